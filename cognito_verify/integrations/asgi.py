"""An ASGI middleware: the application below it runs only for requests and WebSockets with a verified token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from cognito_verify.answers import REFUSALS, Gate, answer_to
from cognito_verify.context import TOKEN_BESIDE_REQUEST, token_in_context
from cognito_verify.conversation import (
    POLICY_VIOLATION,
    Receive,
    Scope,
    Send,
    credentials,
    outside_of_the_request,
    send_answer,
    until_expiry,
    without_offer,
)
from cognito_verify.requirements import RequirementSource
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier

__all__ = ["CognitoMiddleware"]

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class CognitoMiddleware:
    """Let an ASGI application run only for requests and WebSockets with a verified token.

    The application finds the token with `current_token()`, and as `scope["cognito_verify.token"]`. A refusal is
    answered before the application hears of the request. A WebSocket is closed when its token expires.

    Args:
        app: The application.
        verifier: Who verifies; build it once, outside of the requests.
        groups: Groups that are asked for besides the verifier's own.
        scopes: Scopes that are asked for besides the verifier's own.
        optional: Let a request without a token through, with None in the token's place. A bad one is still refused.
        allow_preflight: Let a browser's preflight through: `OPTIONS` with `Origin` and `Access-Control-Request-Method`.
            Anybody can send one, so the application must answer every `OPTIONS` by itself, before it does its work. A
            middleware for CORS that stands outside of this one answers preflights, and needs no such permission.

    Raises:
        ConfigurationError: A setting is empty or senseless.

    Source: ASGI specification, "HTTP & WebSocket ASGI Message Format"; RFC 6750 section 3.
    """

    def __init__(
        self,
        app: ASGIApp,
        verifier: CognitoVerifier[Any],
        *,
        groups: RequirementSource | None = None,
        scopes: RequirementSource | None = None,
        optional: bool = False,
        allow_preflight: bool = False,
    ) -> None:
        self._app = app
        self._gate: Gate[AccessToken | IdToken] = Gate(
            "CognitoMiddleware",
            verifier,
            groups=groups,
            scopes=scopes,
            optional=optional,
            allow_preflight=allow_preflight,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] == "websocket":
            return await self._converse(scope, receive, send)
        token = None
        if not self._gate.lets_pass(scope["method"], lambda name: any(_values(scope, name.lower().encode()))):
            try:
                token = await self._gate.verified_async(credentials(scope))
            except REFUSALS as error:
                return await send_answer(answer_to(error), send)
        return await self._hand_on(token, scope, receive, send)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            token = await self._gate.verified_async(credentials(scope))
        except REFUSALS as error:
            await receive()  # `websocket.connect`, which comes before any answer
            if "websocket.http.response" in (scope.get("extensions") or {}):
                return await send_answer(answer_to(error), send, kind="websocket.http")
            return await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": error.code})
        scope, send = without_offer(scope, send, token)
        if token is not None:
            receive, send = until_expiry(token, self._gate.verifier, receive, send)
        return await self._hand_on(token, scope, receive, send)

    async def _hand_on(self, token: AccessToken | IdToken | None, scope: Scope, receive: Receive, send: Send) -> None:
        scope[TOKEN_BESIDE_REQUEST] = token
        if token is not None:
            receive, send = outside_of_the_request(receive, send)
        with token_in_context(token):
            return await self._app(scope, receive, send)


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for header, value in scope["headers"] if header == name]
