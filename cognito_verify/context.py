"""The verified token of the request that is being handled, for code far below the handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from cognito_verify.tokens import AccessToken, IdToken

__all__ = [
    "TOKEN_BESIDE_REQUEST",
    "begin_request",
    "clear_current_token",
    "current_token",
    "set_current_token",
    "token_in_context",
    "without_token",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")

TOKEN_BESIDE_REQUEST = "cognito_verify.token"
"""Where a middleware leaves the verified token, in an ASGI scope or a WSGI environment, for what stands within it. No
client can write there."""


def current_token() -> AccessToken | IdToken | None:
    """The verified token of the request that is being handled, or None outside of one. Adapters set it.

    Tasks that a request starts have its token until the request ends, and none from then on; so has what
    `asyncio.to_thread` or asgiref's `sync_to_async` calls. A `threading.Thread`, or one of a pool, has none.
    """
    found = _current.get()
    return None if found is None else found.token


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
        if _current.get() is not self:
            _cleared()
        self.token = None
        _current.reset(self._before)


class _Set:
    """A token that was set without a block of its own, and the block around it, if any."""

    __slots__ = ("around", "token")

    def __init__(self, token: AccessToken | IdToken | None, around: token_in_context | None) -> None:
        self.token = token
        self.around = around


def set_current_token(token: AccessToken | IdToken | None) -> None:
    """Make `token` the current one, or none, for adapters of frameworks that give them no block.

    They clear it at the end of the request by themselves, for the next one may run in the same thread. A block around
    clears it at its own end. What was set before is gone for all that has a copy of the context.
    """
    _current.set(_Set(token, _cleared()))


def clear_current_token() -> None:
    """Take back what `set_current_token` or `begin_request` did. A block around is open still, and has its token."""
    _current.set(_cleared())


def begin_request(verified: AccessToken | IdToken | None) -> None:
    """Begin a request without a token, for adapters of frameworks that give them no block; they clear it at its end.

    Args:
        verified: What stands at `TOKEN_BESIDE_REQUEST`. An open block with this token is a middleware's around this
            very request, and stays. Any other is of a request whose handler makes this one.
    """
    around = _cleared()
    _current.set(around if around is None or around.token is verified else _Set(None, around))


def without_token(function: Callable[_P, Awaitable[_T]]) -> Callable[_P, Awaitable[_T]]:
    """A function as awaited outside of any request: there is no current token, nor in what is started there."""

    async def called(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        mark = _current.set(None)  # no block: this runs at every message of every request
        try:
            return await function(*args, **kwargs)
        finally:
            _current.reset(mark)

    return called


def _cleared() -> token_in_context | None:
    """The innermost open block, once what was set within it is emptied for all that has a copy of the context."""
    found = _current.get()
    if isinstance(found, _Set):
        found.token = None
        return found.around
    return found


_current: ContextVar[token_in_context | _Set | None] = ContextVar("cognito_verify_token", default=None)
