"""Which invocation is being handled: what finds a line of ours beside the runtime's own lines in a log.

Apart from the observer that reads it, so that a handler without one imports no more than this.
"""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["current_request_id", "request_in_context"]

_request_id: ContextVar[str | None] = ContextVar("cognito_verify_request_id", default=None)


def current_request_id() -> str | None:
    """The id of the Lambda invocation that is being handled, or None outside of one."""
    return _request_id.get()


class request_in_context:  # noqa: N801 - used as a function; a generator-based context manager costs 0.7 us more
    """Make the invocation of Lambda's `context` object the current one; it is cleared however the block ends.

    Takes anything, since tests and other callers pass None: what has no `aws_request_id` clears it for the block.
    """

    __slots__ = ("_before", "_request_id")

    def __init__(self, context: object) -> None:
        request_id = getattr(context, "aws_request_id", None)
        self._request_id = request_id if isinstance(request_id, str) else None

    def __enter__(self) -> None:
        self._before = _request_id.set(self._request_id)

    def __exit__(self, *exception: object) -> None:
        _request_id.reset(self._before)
