"""The HTTP answer to a refusal: the same status, headers and body in every adapter."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from cognito_verify.errors import AccessDeniedError, CognitoVerifyError, KeysUnavailableError, TokenError
from cognito_verify.jws import bearer_token

if TYPE_CHECKING:
    from cognito_verify.observer import Observer

__all__ = ["REFUSALS", "Answer", "answer_to", "tell_refusal", "token_in"]

REFUSALS = (TokenError, AccessDeniedError, KeysUnavailableError)
"""What an adapter answers. A `ConfigurationError` is a fault of ours: it is raised, and blames no client."""


class Answer(NamedTuple):
    """What the client is told. The headers are the caller's to add to."""

    status: int
    headers: dict[str, str]
    body: str


def answer_to(error: CognitoVerifyError) -> Answer:
    """Status, challenge and a body of `message` and `code`; `Retry-After` where keys are unavailable.

    Why the keys are unavailable is for the log: what a proxy or a `fetch=` says may name hosts, accounts and roles.

    Source: RFC 6750 section 3; RFC 9110 section 10.2.3.
    """
    headers, message = {"Content-Type": "application/json"}, str(error)
    if error.challenge:
        headers["WWW-Authenticate"] = error.challenge
    if error.http_status == 503:
        seconds = max(1, ceil(error.retry_after or 0))
        headers["Retry-After"] = str(seconds)
        message = f"keys: the token cannot be judged now; try again in {seconds} s"
    return Answer(error.http_status, headers, json.dumps({"message": message, "code": error.code}))


def token_in(values: Iterable[str]) -> str:
    """The token in the values of all `Authorization` headers of a request; two that differ are ambiguous.

    Raises:
        MissingTokenError: No header, `Bearer` alone, or another scheme.
        MalformedTokenError: More than one token.

    Source: RFC 9110 sections 5.3 and 11.6.2.
    """
    try:
        return bearer_token(", ".join(dict.fromkeys(values)))
    except TokenError as error:
        refusal = error.with_traceback(None)
    del values  # a report with the local variables of this frame must not show them
    raise refusal


def tell_refusal(observer: Observer | None, refusal: CognitoVerifyError) -> None:
    """Tell a verifier's observer what an adapter refused by itself, such as a request without a token."""
    if observer is not None:
        from cognito_verify.observer import Observation  # only those who observe pay for it

        with Observation(observer) as observation:
            observation.code = refusal.code
