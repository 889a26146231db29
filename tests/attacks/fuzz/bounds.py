"""What every run is held to: errors of the table alone, 50 ms of processor time, and nothing left behind."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from cognito_verify.errors import CognitoVerifyError

__all__ = ["MOST_SECONDS", "Find", "Growth", "SlowError", "cache_sizes", "called", "check"]

MOST_SECONDS = 0.05
_TRIES = 5  # of a call that took long: the least of them is its own time, the rest is the machine's

_WARM_UP = 5  # samples
# More than after the warm-up: bounded caches, of routes and of the kit's globs, take up to 110,000 once they are full,
# up and down with what they hold. A leak of one small object per run is there after some minutes.
_MOST_BLOCKS = 150_000
_MOST_ENTRIES = 1_024  # of a module's own cache


class Find(AssertionError):
    """A run broke a promise."""


class SlowError(Find):
    """A call took longer than it may, also when it was made again."""


def check(is_kept: object, promise: str) -> None:
    """Raise a `Find` where a promise is broken: not `assert`, which `python -O` would leave out."""
    if not is_kept:
        raise Find(promise)


def called(function: Callable[..., Any], *args: Any, most_seconds: float = MOST_SECONDS) -> Any:
    """What the library answers, or the error of its table that it raises; any other exception goes through as a find.

    Raises:
        SlowError: The call takes more than `most_seconds` of processor time each time that it is made.
    """
    outcome, seconds = _timed(function, args)
    for _ in range(_TRIES - 1):
        if seconds <= most_seconds:
            return outcome
        seconds = min(seconds, _timed(function, args)[1])
    if seconds > most_seconds:
        raise SlowError(f"{getattr(function, '__qualname__', function)}: {seconds * 1_000:.0f} ms of processor time")
    return outcome


def _timed(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, float]:
    start = time.process_time()
    try:
        outcome = function(*args)
    except CognitoVerifyError as error:
        outcome = error.with_traceback(None)
    return outcome, time.process_time() - start


class Growth:
    """Whether memory stays flat from run to run, in the blocks that Python has given out.

    Args:
        sample_every: Runs from one look to the next.
    """

    def __init__(self, sample_every: int = 500) -> None:
        self._sample_every = sample_every
        self._runs = 0
        self._samples: list[int] = []

    def look(self) -> None:
        """To be called after every run.

        Raises:
            Find: There is more than after the warm-up, or a module's cache is larger than any should be.
        """
        self._runs += 1
        if self._runs % self._sample_every:
            return
        gc.collect()
        self._samples.append(sys.getallocatedblocks())
        for name, size in cache_sizes():
            check(size <= _MOST_ENTRIES, f"growth: {name} has {size} entries")
        before, now = max(self._samples[:_WARM_UP]), self._samples[-1]
        check(now <= before + _MOST_BLOCKS, f"growth: from {before} to {now} blocks of memory in {self._runs} runs")


def cache_sizes() -> Iterator[tuple[str, int]]:
    """Every container that belongs to a module of the package, with its size; a cache without a bound counts as one."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "cognito_verify":
            for member, value in list(vars(module).items()):
                kind = type(value)  # not the value: a framework's lazy one would be made by the question
                if issubclass(kind, (dict, list, set)) and not member.startswith("__"):
                    yield f"{name}.{member}", len(value)
                elif hasattr(kind, "cache_info"):
                    yield f"{name}.{member}", value.cache_info().currsize
