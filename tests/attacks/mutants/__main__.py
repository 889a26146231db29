"""Mutation testing: whether the tests of a room notice when its code is changed.

    python -m tests.attacks.mutants                              a sample, less than a minute
    ATTACKS=long python -m tests.attacks.mutants [ROOM...]       every mutant; goes on where it was interrupted
    ATTACKS=long python -m tests.attacks.mutants --again [ROOM...]   those that were not killed, with the tests of now
    ATTACKS=long python -m tests.attacks.mutants --most 250 [ROOM...]   so many of each room, drawn by lot

Fails where fewer than 95 % of a room's mutants are killed, and on a survivor that survivors.toml does not explain.
What was not tried is said, and is no failure.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
STATE = ROOT / "build" / "mutants"
LEAST_KILLED = 95.0  # per cent
SAMPLED = ("claims", "keys", "pool", "requirements")  # of the others, the tests alone take most of a sample's time
SAMPLE = 60  # mutants
SAMPLE_SECONDS = 30  # besides the tests without a mutant

Name = tuple[str, str, str]
"""Function, lines, what they become."""


class Room(NamedTuple):
    """A module, and the tests that must notice what is changed in it."""

    source: str
    tests: tuple[str, ...]


ROOMS = {
    "jws": Room("cognito_verify/jws.py", ("tests/test_jws.py",)),
    "keys": Room("cognito_verify/keys.py", ("tests/test_keys.py",)),
    "jwks": Room(
        "cognito_verify/jwks.py",
        (
            "tests/test_jwks.py",
            "tests/test_jwks_answers.py",
            "tests/test_jwks_concurrency.py",
            "tests/test_jwks_http.py",
            # An interpreter of its own, which no mutant gets into.
            "--deselect=tests/test_jwks_concurrency.py::test_a_fork_waits_for_the_imports_of_a_fetch",
        ),
    ),
    "claims": Room("cognito_verify/claims.py", ("tests/test_claims.py",)),
    "requirements": Room("cognito_verify/requirements.py", ("tests/test_requirements.py",)),
    "pool": Room("cognito_verify/pool.py", ("tests/test_pool.py", "tests/test_local_pools.py")),
    "verifier": Room("cognito_verify/verifier.py", ("tests/test_verifier.py", "tests/test_lambda_observers.py")),
    "policy": Room(
        "cognito_verify/aws_lambda/policy.py",
        (
            "tests/test_policy.py",
            "tests/test_authorizer.py",
            # Seconds to a minute each, and every mutant runs the tests anew.
            "--deselect=tests/test_policy.py::test_a_policy_decides_as_the_rules_do_wherever_iam_can_say_so",
            "--deselect=tests/test_policy.py::test_motos_evaluator_agrees_with_ours",
            "--deselect=tests/test_policy.py::test_usual_tables[thirty]",
        ),
    ),
}


class Outcome(NamedTuple):
    name: Name
    outcome: str
    seconds: float


def outcomes_in(path: Path) -> list[Outcome]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Outcome(tuple(one["name"]), one["outcome"], one["seconds"]) for one in map(json.loads, lines)]


def explained() -> dict[str, dict[Name, str]]:
    """By room: the survivors that are known, and why each is left."""
    listed = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))
    return {
        room: {
            (one["function"], one["was"], becomes): one["because"]
            for one in listed.get(room, ())
            for becomes in one["becomes"]
        }
        for room in ROOMS
    }


def digest(room: Room) -> str:
    """Of the room and its tests: what was found of others says nothing."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files_of(room))).hexdigest()


def files_of(room: Room) -> list[Path]:
    return [ROOT / room.source, *(ROOT / test for test in room.tests if test.endswith(".py"))]


def hunt(room: Room, results: Path, *, seed: int = 0, most: int = 0, seconds: int = 0) -> None:
    """Run the room's mutants whose outcome is not in `results` yet; `most` and `seconds` of 0: all of them."""
    module = ["-m", "tests.attacks.mutants.hunt"]
    done = subprocess.run(
        [sys.executable, *module, room.source, str(results), str(seed), str(most), str(seconds), *room.tests],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},  # the order of a set is not what decides what a mutant comes to
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout.decode(errors='replace')[-4_000:]}\nthe tests of {room.source} did not run")


def report(
    name: str, outcomes: list[Outcome], known: dict[Name, str], left: int, seconds: float, *, is_sample: bool
) -> list[str]:
    """Print the room's line; returns what is wrong with it."""
    if not outcomes:
        return [f"{name}: no mutant was tried"]
    survivors = [one for one in outcomes if one.outcome == "survived"]
    unexplained = [one for one in survivors if one.name not in known]
    killed = 100 * (len(outcomes) - len(survivors)) / len(outcomes)
    timeouts = sum(one.outcome == "timeout" for one in outcomes)
    print(
        f"{name:13}{len(outcomes):5} mutants{len(outcomes) - len(survivors):6} killed, {timeouts:3} of them by time"
        f"{len(survivors):5} survived, {len(survivors) - len(unexplained):3} of them explained"
        f"{killed:7.1f} %{seconds:7.0f} s{f', {left} NOT TRIED' if left else ''}",
        flush=True,
    )
    faults = [f"{name}: {one.outcome}: {one.name[0]}\n  - {one.name[1]}\n  + {one.name[2]}" for one in unexplained]
    if killed < LEAST_KILLED and not is_sample:
        faults.append(f"{name}: {killed:.1f} % are killed, expected at least {LEAST_KILLED:g} %")
    return faults


def sample() -> list[str]:
    """Some mutants of one room; which ones, the code and the tests of these rooms decide."""
    code = hashlib.sha256("".join(digest(ROOMS[name]) for name in SAMPLED).encode()).hexdigest()
    seed = int(os.environ.get("SEED") or code[:8], 16)
    name = random.Random(seed).choice(SAMPLED)
    print(f"mutants: a sample of {name} (SEED={seed:x})")
    results = STATE / "sample.jsonl"
    results.unlink(missing_ok=True)
    started_at = time.monotonic()
    hunt(ROOMS[name], results, seed=seed, most=SAMPLE, seconds=SAMPLE_SECONDS)
    outcomes = outcomes_in(results)
    left = names_of(ROOMS[name]).difference(one.name for one in outcomes)
    return report(name, outcomes, explained()[name], len(left), time.monotonic() - started_at, is_sample=True)


def everything(rooms: Iterable[str], *, again: bool, most: int) -> list[str]:
    faults = []
    known = explained()
    for name in rooms:
        room, results, stamp = ROOMS[name], STATE / f"{name}.jsonl", STATE / f"{name}.digest"
        if again:
            found = {one.name for one in outcomes_in(results) if one.outcome == "survived"}  # two may have one name
            kept = [one for one in outcomes_in(results) if one.name not in found]
            results.write_text("".join(f"{json.dumps(one._asdict())}\n" for one in kept), encoding="utf-8")
        elif not stamp.exists() or stamp.read_text(encoding="utf-8") != digest(room):
            results.unlink(missing_ok=True)
        before = digest(room)
        stamp.write_text(before, encoding="utf-8")
        started_at = time.monotonic()
        hunt(room, results, most=most)
        if digest(room) != before:  # Hypothesis reads a property's source when it runs it, and fails: a false kill
            results.unlink()
            faults.append(f"{name}: changed while its mutants ran; what was found is thrown away")
            continue
        names = names_of(room)
        outcomes = [one for one in outcomes_in(results) if one.name in names]
        left = names - {one.name for one in outcomes}
        faults += report(name, outcomes, known[name], len(left), time.monotonic() - started_at, is_sample=False)
        found = {one.name for one in outcomes if one.outcome == "survived"}
        faults += [f"{name}: explained, but killed or gone: {one}" for one in known[name] if one not in found | left]
    return faults


def names_of(room: Room) -> set[Name]:
    from tests.attacks.mutants.mutations import mutants_of  # mutmut, which may not be there

    return {one.name for one in mutants_of(ROOT / room.source)}


def main() -> int:
    if find_spec("mutmut") is None or not hasattr(os, "fork"):
        print("skipped: mutants (they need mutmut and fork)")
        return 0
    STATE.mkdir(parents=True, exist_ok=True)
    options = argparse.ArgumentParser(prog="python -m tests.attacks.mutants")
    options.add_argument("rooms", nargs="*", metavar="ROOM", help=", ".join(ROOMS))
    options.add_argument("--again", action="store_true", help="those that were not killed, with the tests of now")
    options.add_argument("--most", type=int, default=0, metavar="N", help="so many of each room, drawn by lot")
    given = options.parse_args()
    if unknown := set(given.rooms).difference(ROOMS):
        options.error(f"no such room: {', '.join(sorted(unknown))}")
    if os.environ.get("ATTACKS") == "long":
        faults = everything(given.rooms or ROOMS, again=given.again, most=given.most)
    else:
        faults = sample()
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
