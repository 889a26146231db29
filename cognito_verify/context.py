"""The verified token of the request that is being handled, for code far below the handler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from cognito_verify.tokens import AccessToken, IdToken

__all__ = ["current_token", "token_in_context"]

_current: ContextVar[AccessToken | IdToken | None] = ContextVar("cognito_verify_token", default=None)


def current_token() -> AccessToken | IdToken | None:
    """The verified token of the request that is being handled, or None outside of one. Adapters set it."""
    return _current.get()


@contextmanager
def token_in_context(token: AccessToken | IdToken) -> Iterator[None]:
    """Make `token` the current one, for adapters; it is cleared however the block ends."""
    before = _current.set(token)
    try:
        yield
    finally:
        _current.reset(before)
