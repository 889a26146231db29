"""`cognito-verify demo`: the lab of examples/, from a clone; tools/check_wheel.py runs it from a wheel."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from cognito_verify.cli.lab import load_lab
from tests.command import CLONE, in_process


def test_the_demo_is_the_lab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COGNITO_USER_POOL_ID", "us-east-1_AbCdEfGhI")  # a shell's settings are none of the demo's
    assert Path(load_lab().__file__) == CLONE / "examples" / "cost_calculator" / "lab.py"
    ended = in_process(monkeypatch, capsys, "demo")
    assert ended.code == 0
    assert "17 of 17 calls are as expected." in ended.out


def test_the_demo_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ended = in_process(monkeypatch, capsys, "demo", "--json")
    assert ended.code == 0
    assert list(ended.document) == ["as_expected", "rows", "calls", "error"]
    assert (len(ended.document["rows"]), len(ended.document["calls"])) == (20, 17)
    assert ended.document["rows"][0]["found"] == "verified"
    assert in_process(monkeypatch, capsys, "demo", "--json", "--serve").code == 2


def test_without_its_extra_the_demo_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    ended = in_process(monkeypatch, capsys, "demo")
    assert ended.code == 2
    assert "demo: needs boto3: pip install 'cognito-verify[demo]'" in ended.err


def test_what_is_broken_is_not_taken_for_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(ModuleNotFoundError):
        load_lab()


def test_the_lab_is_found_whoever_else_is_called_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = {"examples": ModuleType("examples"), "examples.cost_calculator": ModuleType("theirs")}
    for name, module in foreign.items():
        monkeypatch.setitem(sys.modules, name, module)
    before = called_examples()
    assert load_lab().run_lab
    assert called_examples() == before


def called_examples() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "examples"}
