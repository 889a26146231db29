"""What an observer is told: one frozen event per decision or fetch, never a token, never an unverified claim."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from cognito_verify.errors import CognitoVerifyError

__all__ = ["FetchEvent", "Observation", "Observer", "VerificationEvent", "notify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationEvent:
    """A token was verified, or refused; a request was let through, or not.

    Attributes:
        code: The error's code, or None for what passed; "unforeseen" for what is no error of ours, such as a
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


class Observation:
    """One decision while it is made; the observer is told of it when the block ends, however it ends.

    Whoever decides sets what is found out, as it is found out.

    Attributes:
        observer: Who is told.
        code: The code of a refusal that is answered; what is raised has its own.
        token_use: Of a verified token.
        user_pool_id: Of a verified token.
        seen_before: Whether the verified-token cache knew the token.
    """

    __slots__ = ("_started", "code", "observer", "seen_before", "token_use", "user_pool_id")

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.code: str | None = None
        self.token_use: str | None = None
        self.user_pool_id: str | None = None
        self.seen_before = False

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        code = self.code
        if error is not None:
            code = error.code if isinstance(error, CognitoVerifyError) else "unforeseen"
        notify(
            self.observer,
            VerificationEvent(
                code=code,
                token_use=self.token_use,
                user_pool_id=self.user_pool_id,
                seen_before=self.seen_before,
                seconds=time.perf_counter() - self._started,
            ),
        )


def notify(observer: Observer, event: VerificationEvent | FetchEvent) -> None:
    """Tell the observer. What it raises changes no decision, so it goes no further."""
    try:
        observer(event)
    except Exception:  # noqa: BLE001, S110 - a caller's own callback; watching must never refuse or let in anybody
        pass
