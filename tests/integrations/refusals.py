"""The requests that every integration refuses, and the one answer to each: what the core says, and nobody else.

A framework's test gives `app_of` the paths below, serves the result and runs the table:

    @pytest.mark.parametrize("request_", REFUSED, ids=str)
    def test_a_refusal_is_answered_as_everywhere(url: str, guards: Guards, request_: Refused) -> None:
        assert_refused(ask(url + request_.path, request_.headers(guards.pool)), request_, guards)

`/` wants an access token, `/finance` the group besides, `/orders` the scope, and `/keyless` has a verifier whose keys
cannot be had. A path that lets a request in answers with the JSON of `who()`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from cognito_verify.answers import REFUSALS, answer_to, token_in
from cognito_verify.context import current_token
from cognito_verify.errors import CognitoVerifyError
from cognito_verify.testing import TROUBLES, FakeUserPool
from cognito_verify.tokens import AccessToken
from cognito_verify.verifier import CognitoVerifier
from tests.integrations.serving import Headers, Reply

__all__ = ["GROUP", "PATHS", "REFUSED", "SCOPE", "Guards", "Refused", "assert_refused", "bearer", "who"]

GROUP, SCOPE = "finance", "orders/read"
PATHS: dict[str, dict[str, Any]] = {
    "/": {},
    "/finance": {"groups": GROUP},
    "/orders": {"scopes": SCOPE},
    "/keyless": {},
}
"""What each path asks for beside its verifier's own; `Guards.of(path)` is that verifier."""


@dataclass(frozen=True)
class Guards:
    """A pool whose keys are served over HTTP, a verifier that has them, and one whose endpoint is down."""

    pool: FakeUserPool
    verifier: CognitoVerifier[AccessToken]
    keyless: CognitoVerifier[AccessToken]

    def of(self, path: str) -> CognitoVerifier[AccessToken]:
        return self.keyless if path == "/keyless" else self.verifier


@dataclass(frozen=True)
class Refused:
    """A request that is refused with `code`."""

    name: str
    code: str
    headers: Callable[[FakeUserPool], Headers]
    path: str = "/"

    def __str__(self) -> str:
        return self.name


def bearer(raw: str) -> Headers:
    return [("Authorization", f"Bearer {raw}")]


REFUSED = (
    *(
        Refused(trouble, code, lambda pool, trouble=trouble: bearer(pool.trouble(trouble)))  # type: ignore[misc]
        for trouble, code in TROUBLES.items()
    ),
    Refused("no-header", "missing_token", lambda _: []),
    Refused("empty-header", "missing_token", lambda _: [("Authorization", "")]),
    Refused("scheme-alone", "missing_token", lambda _: [("Authorization", "Bearer")]),
    Refused("another-scheme", "missing_token", lambda _: [("Authorization", "Basic YWRhOmxvdmVsYWNl")]),
    Refused(
        "two-headers",
        "malformed_token",
        lambda pool: [*bearer(pool.access_token("ada")), *bearer(pool.access_token("bob"))],
    ),
    Refused("not-ascii", "malformed_token", lambda _: bearer("\xe4.\xf6.\xfc")),
    Refused("id-token", "invalid_token_use", lambda pool: bearer(pool.id_token("ada"))),
    Refused("no-group", "missing_group", lambda pool: bearer(pool.access_token("ada", groups="sales")), "/finance"),
    Refused("no-scope", "insufficient_scope", lambda pool: bearer(pool.access_token("ada")), "/orders"),
    Refused("no-keys", "keys_unavailable", lambda pool: bearer(pool.access_token("ada")), "/keyless"),
)


def assert_refused(reply: Reply, request: Refused, guards: Guards) -> None:
    """Status, headers and body are those that the core gives to this request, whatever the framework."""
    sent = list(request.headers(guards.pool))
    with pytest.raises(CognitoVerifyError) as refusal:
        guards.of(request.path).verify(token_in((value for _, value in sent), 16_384), **PATHS[request.path])
    assert isinstance(refusal.value, REFUSALS)
    assert refusal.value.code == request.code
    status, headers, body = answer_to(refusal.value)
    assert (reply.status, reply.json) == (status, json.loads(body))
    told = {"content-type", "www-authenticate", "retry-after"}
    assert {name: value for name, value in reply.headers.items() if name in told} == {
        name.lower(): value for name, value in headers.items()
    }
    assert reply.headers["content-length"] == str(len(reply.body))
    for _, value in sent:
        for part in value.removeprefix("Bearer ").split("."):
            assert len(part) < 16 or part not in f"{reply.headers}{reply.body!r}"


def who() -> dict[str, str | None]:
    """Who is calling, as code far below a handler finds out."""
    token = current_token()
    return {"username": None if token is None else token.username}
