"""What an observer is told: one frozen event per decision or fetch, never a token, never an unverified claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["FetchEvent", "Observer", "VerificationEvent", "notify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationEvent:
    """A token was verified, or refused.

    Attributes:
        code: The error's code, or None for a verified token; "unforeseen" for what is no error of ours, such as a
            cancelled task or a check that raises something else.
        token_use: "access" or "id" of a verified token, or None.
        user_pool_id: The pool of a verified token, or None.
        seen_before: Whether the verified-token cache knew the token.
        seconds: How long the decision took, waiting for keys included.
    """

    code: str | None
    token_use: str | None
    user_pool_id: str | None
    seen_before: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchEvent:
    """Keys were fetched, or not.

    Attributes:
        jwks_uri: Where from; always a configured URI, without its query.
        error: What went wrong, or None.
        keys: How many usable keys came.
        seconds: How long the fetch took.
        key_age: Seconds since the keys that are now held were fetched, or None where there are none.
    """

    jwks_uri: str
    error: str | None
    keys: int
    seconds: float
    key_age: float | None


Observer = Callable[[VerificationEvent | FetchEvent], object]


def notify(observer: Observer, event: VerificationEvent | FetchEvent) -> None:
    """Tell the observer. What it raises changes no decision, so it goes no further."""
    try:
        observer(event)
    except Exception:  # noqa: BLE001, S110 - a caller's own callback; watching must never refuse or let in anybody
        pass
