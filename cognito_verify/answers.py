"""What all adapters have in common: who is let in, and what a refused request is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Generic, NamedTuple

from cognito_verify.errors import (
    AccessDeniedError,
    CognitoVerifyError,
    ConfigurationError,
    KeysUnavailableError,
    MalformedTokenError,
    TokenError,
    shown,
)
from cognito_verify.jws import bearer_token, plain_token
from cognito_verify.requirements import RequirementSource, requirement
from cognito_verify.verifier import CognitoVerifier, TokenT_co

if TYPE_CHECKING:
    from cognito_verify.observer import Observer

__all__ = [
    "BEARER_SUBPROTOCOL",
    "REFUSALS",
    "Answer",
    "Gate",
    "LateGate",
    "answer_to",
    "check_flag",
    "check_verifier",
    "is_preflight",
    "tell_refusal",
    "token_in",
    "tokens_offered",
]

BEARER_SUBPROTOCOL = "bearer"
"""What a browser's WebSocket offers before its token: `new WebSocket(url, ["bearer", token])`."""

_MOST_JOINED = (
    8  # commas between headers that are looked at: 64 KiB of them take 0.4 ms to read, and 17 without a bound
)
_METHOD_OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")

REFUSALS = (TokenError, AccessDeniedError, KeysUnavailableError)
"""What an adapter answers. A `ConfigurationError` is a fault of ours: it is raised, and blames no client."""


def check_verifier(where: str, value: object) -> None:
    """Raise a `ConfigurationError` that begins with `where` for what is no `CognitoVerifier`."""
    if not isinstance(value, CognitoVerifier):
        raise ConfigurationError(f"{where}: expected a CognitoVerifier, found {type(value).__name__}")


def check_flag(option: str, value: object) -> None:
    """Raise a `ConfigurationError` that begins with the option for what is neither True nor False."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{option}: expected True or False, found {shown(value)}")


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


def token_in(values: Iterable[str], max_token_bytes: int) -> str:
    """The token in the values of all `Authorization` headers of a request; two that differ are ambiguous.

    Servers that join the values of several headers put commas between them; that changes nothing here.

    Args:
        values: Of headers of any length: a long one is refused before it is read. 64 KiB of words would take 3 ms.
        max_token_bytes: Of the verifier.

    Raises:
        MissingTokenError: No header, `Bearer` alone, or another scheme.
        MalformedTokenError: More than one token, or more than one token's length.

    Source: RFC 9110 sections 5.3 and 11.6.2.
    """
    found = list(values)
    if len(found) == 1 and len(found[0]) <= max_token_bytes + len("Bearer "):
        token = plain_token(found[0])  # the hot path: what follows comes to the same
        if token is not None:
            return token
    _check_length(found, max_token_bytes)
    said = ", ".join(dict.fromkeys(found))
    if "," in said:
        said = ", ".join(dict.fromkeys(part.strip(" \t") for part in said.split(",", _MOST_JOINED)))
    try:
        return bearer_token(said)
    except TokenError as error:
        refusal = error.with_traceback(None)
    found.clear()
    del values, said  # a report with the local variables of this frame must not show them
    raise refusal


def _check_length(values: Sequence[str], max_token_bytes: int) -> None:
    length, longest = sum(map(len, values)), max_token_bytes + len("Bearer ")
    if length > longest:
        raise MalformedTokenError(f"Authorization: expected at most {longest} characters, found {length}")


def tell_refusal(observer: Observer | None, refusal: CognitoVerifyError) -> None:
    """Tell a verifier's observer what an adapter refused by itself, such as a request without a token."""
    if observer is not None:
        from cognito_verify.observer import Observation  # only those who observe pay for it

        with Observation(observer) as observation:
            observation.code = refusal.code


def tokens_offered(subprotocols: Sequence[str]) -> list[str]:
    """The token that follows `bearer` among the subprotocols of a WebSocket's opening request; none or several.

    The one place of that request which a page's script can write to and which no access log shows.

    Source: RFC 6455 section 4.1; "The WebSocket interface", WebSockets Standard.
    """
    return [after for name, after in pairwise(subprotocols) if name == BEARER_SUBPROTOCOL]


def is_preflight(method: str, has_header: Callable[[str], bool]) -> bool:
    """Whether a browser asks beforehand what it may send. Such a request carries no token.

    One that names another method is none: a framework that obeys such a header would run that method without a token.

    Source: "CORS-preflight request", Fetch Standard.
    """
    return (
        method == "OPTIONS"
        and has_header("Origin")
        and has_header("Access-Control-Request-Method")
        and not any(map(has_header, _METHOD_OVERRIDES))
    )


class Gate(Generic[TokenT_co]):
    """What an adapter asks of a request: a token of `verifier`, with these groups and scopes.

    Args:
        where: The adapter's name, for messages.
        verifier: Who verifies.
        groups: Groups that are asked for besides the verifier's own.
        scopes: Scopes that are asked for besides the verifier's own.
        optional: A request without a token may pass. A bad token is still refused.
        allow_preflight: A browser's preflight may pass.

    Raises:
        ConfigurationError: A setting is empty or senseless.
    """

    __slots__ = ("_groups", "_is_optional", "_max_token_bytes", "_passes_preflight", "_scopes", "verifier")

    def __init__(
        self,
        where: str,
        verifier: CognitoVerifier[TokenT_co],
        *,
        groups: RequirementSource | None = None,
        scopes: RequirementSource | None = None,
        optional: bool = False,
        allow_preflight: bool = False,
    ) -> None:
        check_verifier(where, verifier)
        check_flag("optional", optional)
        check_flag("allow_preflight", allow_preflight)
        self.verifier = verifier
        self._max_token_bytes = verifier.max_token_bytes
        self._groups = requirement("groups", groups)
        self._scopes = requirement("scopes", scopes)
        self._is_optional = optional
        self._passes_preflight = allow_preflight

    def lets_pass(self, method: str, has_header: Callable[[str], bool]) -> bool:
        """Whether a request passes without a look at its token: a browser's preflight, where that is allowed."""
        return self._passes_preflight and is_preflight(method, has_header)

    def verified(self, values: Iterable[str]) -> TokenT_co | None:
        """The verified token in the values of all `Authorization` headers; None where it is optional and absent.

        Raises:
            CognitoVerifyError: One of `REFUSALS`, or a `ConfigurationError`. The verifier's observer has been told.
        """
        raw = self._sealed(values)
        del values
        return None if raw is None else self.verifier.verify(raw.pop(), groups=self._groups, scopes=self._scopes)

    async def verified_async(self, values: Iterable[str]) -> TokenT_co | None:
        """As `verified`, by `verify_async`."""
        raw = self._sealed(values)
        del values
        if raw is None:
            return None
        return await self.verifier.verify_async(raw.pop(), groups=self._groups, scopes=self._scopes)

    def _sealed(self, values: Iterable[str]) -> list[str] | None:
        """The raw token in a list to be emptied: a report with local variables of our frames must not show it."""
        found = list(values)
        del values
        try:
            if self._is_optional:
                _check_length(found, self._max_token_bytes)
                if not any(value.strip(" \t,") for value in found):
                    return None
            return [token_in(found, self._max_token_bytes)]
        except TokenError as error:
            found.clear()
            tell_refusal(self.verifier.observer, error)  # what never reaches the verifier
            raise


class LateGate(Generic[TokenT_co]):
    """A `Gate` whose verifier is known with the first request, or is another one then: what it asks is checked before.

    Raises:
        ConfigurationError: A setting is empty or senseless.
    """

    __slots__ = ("_gate", "_groups", "_is_optional", "_scopes", "_where")

    def __init__(
        self, where: str, *, groups: RequirementSource | None, scopes: RequirementSource | None, optional: bool
    ) -> None:
        check_flag("optional", optional)
        self._where = where
        self._groups = requirement("groups", groups)
        self._scopes = requirement("scopes", scopes)
        self._is_optional = optional
        self._gate: Gate[TokenT_co] | None = None

    def of(self, verifier: CognitoVerifier[TokenT_co]) -> Gate[TokenT_co]:
        """The gate of this verifier, kept until another one is asked for."""
        gate = self._gate
        if gate is None or gate.verifier is not verifier:
            gate = self._gate = Gate(
                self._where, verifier, groups=self._groups, scopes=self._scopes, optional=self._is_optional
            )
        return gate
