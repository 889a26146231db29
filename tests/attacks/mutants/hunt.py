"""Run a room's tests once, then each mutant in a forked child, with the tests that reach the mutated function.

    python -m tests.attacks.mutants.hunt SOURCE RESULTS SEED MOST SECONDS TEST...

SEED decides the order. MOST is how many mutants are tried, and SECONDS how long: it ends what is left then, but for the
first few. 0 is no bound.

The tests are collected once, and a mutant is put in place by giving the living function the mutant's code: a mutant
costs a fork and the tests up to the first that fails. Quick ones come first, and those that killed other mutants of
the function. Each outcome is a line of RESULTS at once.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import mmap
import os
import random
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, NamedTuple

import pytest
import requests  # noqa: F401 - else the first test that fetches imports it, watched, and its fetch is late

_CHILDREN = 2
_LEAST = 10  # are tried, however slow the machine is
_SECONDS_OF_A_PROPERTY = 4.0
_KILLED, _SURVIVED, _TIMEOUT = "killed", "survived", "timeout"


Tests = list[tuple[float, int]]
"""The seconds that a test takes, and its place."""


class Mutant(NamedTuple):
    """A change to one function. Its name holds no line number, so that it stays the same when lines move."""

    function: str
    """Its qualified name."""
    was: str
    """The lines that are changed."""
    becomes: str
    source: str
    """The whole module with the change in it."""

    @property
    def name(self) -> tuple[str, str, str]:
        return self.function, self.was, self.becomes


class Hunt:
    """A pytest plugin in the place of pytest's own loop over the tests."""

    def __init__(
        self, source: Path, mutants: list[Mutant], results: Path, seconds: float = 0, grace: float = 10
    ) -> None:
        self.source = source
        self.mutants = mutants
        self.results = results
        self.seconds = seconds
        self.grace = grace  # seconds that a test may take besides ten times its own
        self.has_failed = False

    def pytest_configure(self) -> None:
        from hypothesis import HealthCheck, Phase, settings  # not before pytest, which would warn

        settings.register_profile(
            "mutants",
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],  # a failing example need not be made smaller
            suppress_health_check=list(HealthCheck),  # a slow machine kills no mutant
        )
        settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.has_failed = self.has_failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        module = importlib.import_module(".".join(self.source.with_suffix("").parts))
        functions = dict(_functions_of(module, module.__name__))
        everything, reached = self._reached(
            session.items, {function.__code__: name for name, function in functions.items()}
        )
        caches = [one for one in gc.get_objects() if isinstance(one, functools._lru_cache_wrapper)]
        caches = [one for one in caches if str(one.__module__).startswith("cognito_verify")]
        gc.collect()
        gc.freeze()  # a child's own collections need not look at what it inherits
        # By function, how many mutants each test has killed, in memory that is shared with the children.
        kills = {name: memoryview(mmap.mmap(-1, 4 * len(session.items))).cast("I") for name in functions}
        if (pid := os.fork()) == 0:
            unchanged = Mutant(next(iter(functions)), "", "", self.source.read_text(encoding="utf-8"))
            self._try(unchanged, functions, session.items, sorted(everything), kills[unchanged.function])
        if os.waitpid(pid, 0)[1]:
            raise pytest.UsageError("a child in which nothing is changed fails: no outcome would mean anything")
        running: dict[int, tuple[Mutant, float, float]] = {}
        mutants, ends_at = self.mutants[::-1], time.monotonic() + (self.seconds or float("inf"))
        while mutants or running:
            if time.monotonic() > ends_at and len(self.mutants) - len(mutants) - len(running) >= _LEAST:
                for pid in running:
                    _kill(pid)
                break
            while mutants and len(running) < _CHILDREN:
                mutant = mutants.pop()
                tests = reached.get(mutant.function) or everything  # what runs in a child alone is not seen
                killed = kills[mutant.function]
                tests = sorted(tests, key=lambda test: (test[0] / (1 + killed[test[1]]), test[1]))
                expected = sum(seconds for seconds, _ in tests)
                pid = os.fork()
                if pid == 0:
                    for cache in caches:  # of what the function said before
                        cache.cache_clear()
                    self._try(mutant, functions, session.items, tests, killed)
                now = time.monotonic()
                running[pid] = mutant, now, now + 60 + 10 * expected
            self._wait_for_one(running)
        return True

    def _reached(self, items: list[pytest.Item], names: dict[CodeType, str]) -> tuple[Tests, dict[str, Tests]]:
        """All tests, and by function those that come through it, each with the seconds that it takes."""
        hit: set[str] = set()

        def profile(frame: FrameType, event: str, _: object) -> None:
            if event == "call" and frame.f_code in names:
                hit.add(names[frame.f_code])

        everything: Tests = []
        reached: dict[str, Tests] = {}
        for index, item in enumerate(items):
            if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
                # Slow, and slower while it is watched: takes part for every function, after the others.
                everything.append((_SECONDS_OF_A_PROPERTY, index))
                continue
            hit.clear()
            started_at = time.perf_counter()
            threading.setprofile(profile)
            sys.setprofile(profile)
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
            sys.setprofile(None)
            threading.setprofile(None)
            if self.has_failed:
                raise pytest.UsageError(f"{item.nodeid} fails without any mutant")
            test = time.perf_counter() - started_at, index
            everything.append(test)
            for name in hit:
                reached.setdefault(name, []).append(test)
        properties = [test for test in everything if test[0] == _SECONDS_OF_A_PROPERTY]
        return everything, {name: tests + properties for name, tests in reached.items()}

    def _try(
        self,
        mutant: Mutant,
        functions: dict[str, FunctionType],
        items: list[pytest.Item],
        tests: Tests,
        killed: memoryview,
    ) -> None:
        """In the child: put the mutant in place, run the tests up to the first that fails, count it, and end."""
        os.setpgid(0, 0)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        status = 1
        try:
            _put_in_place(mutant, functions)
            for seconds, index in tests:
                # For each test by itself: what never ends does so in a quick one, and the slow ones are waited for.
                resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + self.grace + 10 * seconds), hard))
                items[index].ihook.pytest_runtest_protocol(item=items[index], nextitem=None)
                if self.has_failed:
                    killed[index] += 1
                    break
            else:
                status = 0
        finally:
            os._exit(status)

    def _wait_for_one(self, running: dict[int, tuple[Mutant, float, float]]) -> None:
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            now = time.monotonic()
            if pid in running:
                mutant, started_at, _ = running.pop(pid)
                code = os.waitstatus_to_exitcode(status)
                outcome = {0: _SURVIVED, 1: _KILLED}.get(code, _TIMEOUT)
                _kill(pid)  # what its tests may have left behind
                self._note(mutant, outcome, now - started_at)
                return
            for one, (_, _, give_up_at) in running.items():
                if now > give_up_at:
                    _kill(one)
            time.sleep(0.005)

    def _note(self, mutant: Mutant, outcome: str, seconds: float) -> None:
        with self.results.open("a", encoding="utf-8") as file:
            print(json.dumps({"name": mutant.name, "outcome": outcome, "seconds": round(seconds, 2)}), file=file)


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _functions_of(owner: Any, module: str) -> Iterator[tuple[str, FunctionType]]:
    """The functions and methods of a module by qualified name, whatever they are wrapped in."""
    for value in list(vars(owner).values()):
        if isinstance(value, type) and value.__module__ == module:
            yield from _functions_of(value, module)
        for one in (value.fget, value.fset) if isinstance(value, property) else (value,):
            inner: Any = one
            while hasattr(inner, "__wrapped__"):
                inner = inner.__wrapped__
            inner = getattr(inner, "__func__", inner)
            if isinstance(inner, FunctionType) and inner.__module__ == module:
                yield inner.__qualname__, inner


def _put_in_place(mutant: Mutant, functions: dict[str, FunctionType]) -> None:
    living = functions[mutant.function]
    changed = ModuleType(living.__module__)
    exec(compile(mutant.source, living.__code__.co_filename, "exec"), vars(changed))  # noqa: S102
    function = dict(_functions_of(changed, living.__module__))[mutant.function]
    living.__code__ = function.__code__
    living.__defaults__ = function.__defaults__
    living.__kwdefaults__ = function.__kwdefaults__


def main() -> int:
    from tests.attacks.mutants.mutations import mutants_of  # mutmut, without which the tests of the hunt do

    source, results, seed, most, seconds, *tests = sys.argv[1:]
    mutants = list(mutants_of(Path(source)))
    random.Random(int(seed)).shuffle(mutants)
    known = {tuple(json.loads(line)["name"]) for line in _lines(Path(results))}
    left = [mutant for mutant in mutants[: int(most) or None] if mutant.name not in known]
    return pytest.main(
        ["-q", "-p", "no:cacheprovider", "--capture=no", *tests],
        plugins=[Hunt(Path(source), left, Path(results), float(seconds))],
    )


if __name__ == "__main__":
    sys.exit(main())
