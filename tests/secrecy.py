"""What could show a token, and whether it does."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from types import FrameType

import pytest

__all__ = ["assert_secret", "logged", "pieces", "stack", "told"]

_WINDOW = 16  # characters: a piece of a token of that length is already too much


def pieces(raw: str) -> list[str]:
    """The raw token, and every piece of its payload and signature; the header says nothing secret."""
    _, _, secret = raw.partition(".")
    segments = (secret or raw).split(".")
    return [raw, *(one[at : at + _WINDOW] for one in segments for at in range(0, len(one) - _WINDOW + 1, 3))]


def assert_secret(raw: str, texts: Iterable[str]) -> None:
    looked_for = pieces(raw)
    for text in dict.fromkeys(texts):
        leaked = [piece for piece in looked_for if piece in text]
        assert not leaked, f"{text[:300]} ... holds {leaked[0][:40]}"


def told(error: BaseException, *, but_for: str) -> Iterator[str]:
    """All that an error report could show, but for the frames of one file: a test's own hold the token themselves."""
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        one = chain.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        chain += [one.__cause__, one.__context__]
        yield from (str(one), repr(one), repr(one.args), repr(vars(one)), getattr(one, "challenge", ""))
        yield from _shown(traceback.TracebackException.from_exception(one, capture_locals=True).stack, but_for)


def stack(frame: FrameType | None, *, but_for: str) -> Iterator[str]:
    """What a report of the running program shows from this frame outwards, with all local variables.

    Without the frames of the test runner, which are large and know of no token.
    """
    walked = ((one, line) for one, line in traceback.walk_stack(frame) if "pytest" not in one.f_code.co_filename)
    yield from _shown(traceback.StackSummary.extract(walked, capture_locals=True), but_for)


def logged(log: pytest.LogCaptureFixture) -> list[str]:
    return [log.text, *(repr(vars(record)) for record in log.records)]


def _shown(frames: traceback.StackSummary, but_for: str) -> Iterator[str]:
    for frame in frames:
        if frame.filename != but_for:
            yield f"{frame.filename}, {frame.name}: {frame.locals}"
