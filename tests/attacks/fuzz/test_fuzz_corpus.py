"""The kept corpus and the seeds of every fuzz target, replayed; and that a target would notice what it is there for."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest

from cognito_verify.errors import MalformedTokenError
from tests.attacks.fuzz.bounds import Find, Growth, SlowError, cache_sizes, called
from tests.attacks.fuzz.mutation import mutated
from tests.attacks.fuzz.targets import TARGETS, compact_tokens, kept

_ROOT = Path(__file__).parents[3]
_PASSES = 2
_MOST_BLOCKS = 5  # for each input; what Python remembers of its own is less, and a token's claims are more
_MOST_FILES, _MOST_BYTES = 300, 300_000


@pytest.fixture(autouse=True)
def _no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest keeps what is logged, which is no growth of ours."""
    monkeypatch.setattr(logging.getLogger("cognito_verify"), "disabled", True)


def inputs(name: str) -> list[bytes]:
    return [*TARGETS[name].seeds(), *(file.read_bytes() for file in kept(name))]


def run_all(name: str, some: Iterable[bytes]) -> None:
    for data in some:
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_every_kept_input_keeps_the_promises(name: str) -> None:
    assert kept(name)
    run_all(name, inputs(name))


def growth(name: str) -> float:
    """Blocks of memory that each input of a pass leaves behind, at best."""
    logging.getLogger("cognito_verify").disabled = True
    some = inputs(name)[::4]
    blocks = []
    for _ in range(2 + _PASSES):  # the first ones fill what is bounded
        run_all(name, some)
        gc.collect()
        blocks.append(sys.getallocatedblocks())
    return min(after - before for before, after in pairwise(blocks[1:])) / len(some)


@pytest.mark.parametrize("name", TARGETS)
def test_memory_is_flat_from_pass_to_pass(name: str) -> None:
    """In a process of its own: what measures coverage keeps something of every thread."""
    program = f"from {__name__} import growth; print(growth({name!r}))"
    grown = subprocess.run(
        [sys.executable, "-c", program], cwd=_ROOT, capture_output=True, check=True, text=True, timeout=120
    ).stdout
    assert float(grown) < _MOST_BLOCKS


def test_no_cache_of_a_module_is_without_a_bound() -> None:
    sizes = dict(cache_sizes())
    assert "cognito_verify.jws._remembered_header" in sizes
    assert {name: size for name, size in sizes.items() if size > 1_024} == {}


def test_the_kept_corpus_is_small() -> None:
    files = [file for name in TARGETS for file in kept(name)]
    assert len(files) <= _MOST_FILES
    assert sum(file.stat().st_size for file in files) <= _MOST_BYTES


def refuses() -> None:
    raise MalformedTokenError("expected")


def fails() -> None:
    raise KeyError("unexpected")


def test_an_error_of_the_table_is_an_answer_and_any_other_a_find() -> None:
    assert type(called(refuses)) is MalformedTokenError
    with pytest.raises(KeyError, match="unexpected"):
        called(fails)


@pytest.mark.parametrize(("slow_calls", "is_find"), [(1, False), (4, False), (5, True)])
def test_a_call_is_slow_only_where_it_is_slow_each_time(
    monkeypatch: pytest.MonkeyPatch, slow_calls: int, is_find: bool
) -> None:
    costs = iter([0.06] * slow_calls + [0.01] * 5)
    now = 0.0

    def costly() -> None:
        nonlocal now
        now += next(costs)

    monkeypatch.setattr("tests.attacks.fuzz.bounds.time.process_time", lambda: now)
    if is_find:
        with pytest.raises(SlowError, match="costly: 60 ms of processor time"):
            called(costly)
    else:
        assert called(costly) is None


def test_what_is_kept_from_every_run_is_noticed() -> None:
    growth, leaked = Growth(sample_every=1), list[object]()

    def leak() -> None:
        for _ in range(10):
            leaked.extend(object() for _ in range(30_000))
            growth.look()

    with pytest.raises(Find, match="growth: from"):
        leak()


def test_a_token_that_is_taken_without_its_signature_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    forged = next(data for data in compact_tokens.seeds() if data[:1] == b"f")
    compact_tokens.run(forged)
    monkeypatch.setattr("cognito_verify.keys.VerifyingKey.check_signature", lambda _key, _jws: None)
    with pytest.raises(Find, match="a stranger's signature is refused"):
        compact_tokens.run(forged)


@pytest.mark.parametrize(
    ("name", "patched", "answer", "promise"),
    [
        pytest.param(
            "key_sets",
            "cognito_verify.keys._PRIVATE_MEMBERS",
            frozenset(),
            "an admitted key is a sound one",
            id="private-members",
        ),
        pytest.param(
            "lambda_events",
            "cognito_verify.verifier.check_time",
            lambda *_: None,
            "good tokens alone|has a good token",
            id="expired-tokens",
        ),
        pytest.param(
            "route_rules",
            "cognito_verify.aws_lambda.policy.ApiPolicy._met_by",
            lambda policy, _token: frozenset(policy._rules),
            "allowed though refused",
            id="a-policy-for-all",
        ),
        pytest.param(
            "inspect_command", "cognito_verify.cli.program.plain", str, "turns against the terminal", id="raw-text"
        ),
    ],
)
def test_a_broken_promise_is_noticed(
    monkeypatch: pytest.MonkeyPatch, name: str, patched: str, answer: object, promise: str
) -> None:
    monkeypatch.setattr(patched, answer)
    with pytest.raises(Find, match=promise):
        run_all(name, TARGETS[name].seeds())


def test_a_mutation_is_another_input_of_the_same_form_and_the_same_for_the_same_seed() -> None:
    data = next(iter(compact_tokens.seeds()))

    def unchanged(one: bytes, _most: int) -> bytes:
        return one

    found = {mutated(data, 4_096, seed, unchanged) for seed in range(200)}
    assert len(found) > 50
    assert all(one[:1] == b"s" and one.count(b"\xff") == 1 for one in found)
    assert mutated(data, 4_096, 7, unchanged) == mutated(data, 4_096, 7, unchanged)
    assert all(len(mutated(data, len(data), seed, unchanged)) <= len(data) for seed in range(50))
