"""Which invocation is being handled: what finds a line of ours beside the runtime's own lines in a log.

Apart from the observer that reads it, so that a handler without one imports no more than this.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["current_request_id", "request_in_context"]

_request_id: ContextVar[str | None] = ContextVar("cognito_verify_request_id", default=None)


def current_request_id() -> str | None:
    """The id of the Lambda invocation that is being handled, or None outside of one."""
    return _request_id.get()


@contextmanager
def request_in_context(context: object) -> Iterator[None]:
    """Make the invocation of Lambda's `context` object the current one; it is cleared however the block ends.

    Takes anything, since tests and other callers pass None: what has no `aws_request_id` clears it for the block.
    """
    request_id = getattr(context, "aws_request_id", None)
    before = _request_id.set(request_id if isinstance(request_id, str) else None)
    try:
        yield
    finally:
        _request_id.reset(before)
