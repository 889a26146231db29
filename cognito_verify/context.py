"""The verified token of the request that is being handled, for code far below the handler."""

from __future__ import annotations

from contextvars import ContextVar

from cognito_verify.tokens import AccessToken, IdToken

__all__ = ["current_token", "set_current_token", "token_in_context"]


def current_token() -> AccessToken | IdToken | None:
    """The verified token of the request that is being handled, or None outside of one. Adapters set it.

    Tasks and threads that a request starts have its token until the request ends, and none from then on.
    """
    block = _current.get()
    return None if block is None else block.token


class token_in_context:  # noqa: N801 - used as a function; a generator-based context manager costs 0.7 us more
    """Make `token` the current one, or none, for adapters; it is cleared however the block ends.

    Contexts are copied: what was started within the block outlives it with a copy of its own, such as a worker that
    serves later requests. The copies share the block itself, so that it is emptied for all of them.
    """

    __slots__ = ("_before", "token")

    def __init__(self, token: AccessToken | IdToken | None) -> None:
        self.token = token

    def __enter__(self) -> None:
        self._before = _current.set(self)

    def __exit__(self, *exception: object) -> None:
        self.token = None
        _current.reset(self._before)


def set_current_token(token: AccessToken | IdToken | None) -> None:
    """Make `token` the current one until the next call, for adapters of frameworks that give them no block.

    They clear it at the end of the request by themselves: the next request may run in the same thread. What was
    current before is gone for all that has a copy of the context, as at the end of a block.
    """
    before = _current.get()
    if before is not None:
        before.token = None
    _current.set(None if token is None else token_in_context(token))


_current: ContextVar[token_in_context | None] = ContextVar("cognito_verify_token", default=None)
