"""The hunt itself: a mutant is killed by a test that notices it and by no other, and its lists name what is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.mutants.__main__ import LEAST_KILLED, ROOMS, SAMPLED, Name, Outcome, explained, files_of, report

ROOT = Path(__file__).parents[3]

TINY = """
def is_adult(age):
    return age >= 18

def is_retired(age):
    return age >= 65

def year_of(days):
    year = 0
    while days >= 365:
        year, days = year + 1, days - 365
    return year
"""
TESTS = """
from tiny import is_adult, is_retired, year_of

def test_whoever_is_30_is_an_adult():
    assert is_adult(30)

def test_whoever_is_65_is_retired():
    assert is_retired(65)

def test_two_years_have_passed():
    assert year_of(800) == 2
"""
PROGRAM = """
import sys
from pathlib import Path
import pytest
from tests.attacks.mutants.hunt import Hunt, Mutant

source = Path("tiny.py")
text = source.read_text()
mutants = [
    Mutant(function, was, becomes, text.replace(was, becomes))
    for function, was, becomes in [
        ("is_adult", "age >= 18", "age > 18"),
        ("is_retired", "age >= 65", "age > 65"),
        ("year_of", "days - 365", "days"),
    ]
]
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider"], plugins=[Hunt(source, mutants, Path("results"), grace=1)]))
"""


def hunted(folder: Path, tests: str) -> tuple[dict[str, str], str]:
    """What becomes of three mutants of a tiny module, and what was said meanwhile."""
    (folder / "tiny.py").write_text(TINY, encoding="utf-8")
    (folder / "test_tiny.py").write_text(tests, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (folder / "results").read_text(encoding="utf-8").splitlines() if (folder / "results").exists() else []
    return {one["name"][2]: one["outcome"] for one in map(json.loads, lines)}, done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_mutant_is_killed_by_the_test_that_notices_it_and_survives_without(tmp_path: Path) -> None:
    outcomes, said = hunted(tmp_path, TESTS)
    assert outcomes == {"age > 18": "survived", "age > 65": "killed", "days": "timeout"}, said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_nothing_is_found_where_a_test_fails_without_a_mutant(tmp_path: Path) -> None:
    outcomes, said = hunted(tmp_path, f"{TESTS}    assert is_adult(17)\n")
    assert outcomes == {}
    assert "test_two_years_have_passed fails without any mutant" in said


def test_a_room_is_there_and_so_are_its_tests() -> None:
    for room in ROOMS.values():
        for path in files_of(room):
            assert path.is_file(), path
        for left_out in (one.removeprefix("--deselect=") for one in room.tests if one.startswith("--")):
            file, _, function = left_out.partition("::")
            assert f"def {function.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")
    assert set(SAMPLED) <= set(ROOMS)


def test_each_survivor_that_is_explained_is_of_lines_that_are_there() -> None:
    for name, survivors in explained().items():
        source = (ROOT / ROOMS[name].source).read_text(encoding="utf-8")
        for (function, was, becomes), because in survivors.items():
            assert f"def {function.rpartition('.')[2]}(" in source
            assert was in source
            assert becomes not in source.splitlines()
            assert because.endswith(".")


KILLED = [Outcome(("f", "a", str(number)), "killed", 0.1) for number in range(99)]
SURVIVOR: Name = ("f", "a", "b")


@pytest.mark.parametrize("is_sample", [True, False])
def test_what_survives_without_an_explanation_is_a_fault_and_so_is_a_sample_of_none(is_sample: bool) -> None:
    outcomes = [*KILLED, Outcome(SURVIVOR, "survived", 0.1)]
    assert report("keys", outcomes, {SURVIVOR: "It behaves alike."}, 0, 1.0, is_sample=is_sample) == []
    assert report("keys", outcomes, {}, 0, 1.0, is_sample=is_sample) == ["keys: survived: f\n  - a\n  + b"]
    assert report("keys", [], {}, 100, 1.0, is_sample=is_sample) == ["keys: no mutant was tried"]


def test_explained_or_not_no_more_than_so_many_survive(capsys: pytest.CaptureFixture[str]) -> None:
    survivors = [Outcome(("f", "a", f"b{number}"), "survived", 0.1) for number in range(6)]
    known = {one.name: "It behaves alike." for one in survivors}
    fault = f"keys: 94.3 % are killed, expected at least {LEAST_KILLED:g} %"
    assert report("keys", [*KILLED, *survivors], known, 7, 1.0, is_sample=False) == [fault]
    assert "7 NOT TRIED" in capsys.readouterr().out
