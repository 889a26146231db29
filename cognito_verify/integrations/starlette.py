"""Starlette's authentication by verified tokens: `request.user`, `request.auth` and `@requires` work as ever."""

from __future__ import annotations

from typing import Any

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    UnauthenticatedUser,
)
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cognito_verify.answers import REFUSALS, Gate, answer_to
from cognito_verify.context import TOKEN_BESIDE_REQUEST, token_in_context
from cognito_verify.conversation import (
    POLICY_VIOLATION,
    credentials,
    outside_of_the_request,
    until_expiry,
    without_offer,
)
from cognito_verify.errors import CognitoVerifyError
from cognito_verify.requirements import RequirementSource
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier

__all__ = ["CognitoAuthenticationError", "CognitoAuthenticationMiddleware", "CognitoBackend", "CognitoUser"]


class CognitoUser(BaseUser):
    """Who is calling: `request.user`. Its `token` is the verified token."""

    def __init__(self, token: AccessToken | IdToken) -> None:
        self.token = token

    def __repr__(self) -> str:
        return f"CognitoUser({self.token!r})"

    @property
    def is_authenticated(self) -> bool:
        """True: whoever is nobody is Starlette's `UnauthenticatedUser`."""
        return True

    @property
    def display_name(self) -> str:
        """The username; of a machine the app client."""
        return self.token.username or self.token.client_id

    @property
    def identity(self) -> str:
        """The token's `sub`, which stays when a user is renamed."""
        return self.token.sub or ""


class CognitoAuthenticationError(AuthenticationError):
    """A refusal, as an authentication middleware expects it.

    Args:
        refusal: What the verifier said; kept as `refusal`.
    """

    def __init__(self, refusal: CognitoVerifyError) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class CognitoBackend(AuthenticationBackend):
    """A backend for middlewares that ask for one; `CognitoAuthenticationMiddleware` has it already.

    The credentials of a request are `authenticated` and the token's scopes, for `@requires`. A backend cannot set
    `current_token()`, nor hide the token that a WebSocket offers from the application.

    Args:
        verifier: Who verifies; build it once, beside the application.
        groups: Groups that are asked for besides the verifier's own.
        scopes: Scopes that are asked for besides the verifier's own.
        optional: A request without a token is an `UnauthenticatedUser`'s. A bad token is still refused.
        allow_preflight: So is a browser's preflight: `OPTIONS` with `Origin` and `Access-Control-Request-Method`.
            Anybody can send one, so endpoints must answer every `OPTIONS` by itself. Where `CORSMiddleware` stands
            before the authentication, it answers preflights, and needs no such permission.

    Raises:
        ConfigurationError: A setting is empty or senseless.
    """

    def __init__(
        self,
        verifier: CognitoVerifier[Any],
        *,
        groups: RequirementSource | None = None,
        scopes: RequirementSource | None = None,
        optional: bool = False,
        allow_preflight: bool = False,
    ) -> None:
        self._gate: Gate[AccessToken | IdToken] = Gate(
            "CognitoBackend", verifier, groups=groups, scopes=scopes, optional=optional, allow_preflight=allow_preflight
        )

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, CognitoUser] | None:
        """What Starlette asks. None where nobody is calling, and may.

        Raises:
            CognitoAuthenticationError: The token is refused.
        """
        if self._gate.lets_pass(conn.scope.get("method", ""), lambda name: name in conn.headers):
            return None
        try:
            token = await self._gate.verified_async(credentials(conn.scope))
        except REFUSALS as error:
            refusal = error.with_traceback(None)
        else:
            if token is None:
                return None
            scopes = token.scopes if isinstance(token, AccessToken) else ()
            return AuthCredentials(["authenticated", *scopes]), CognitoUser(token)
        raise CognitoAuthenticationError(refusal)


class CognitoAuthenticationMiddleware:
    """In the place of Starlette's `AuthenticationMiddleware`: with a `CognitoBackend`, and refusals as everywhere.

    The token is the `current_token()` as well. WebSockets are refused before they open, and closed when their token
    expires.

    Args:
        app: The application; `Middleware(CognitoAuthenticationMiddleware, verifier=verifier)` fills it in.
        verifier: As for `CognitoBackend`, like the other options.
        groups: As for `CognitoBackend`.
        scopes: As for `CognitoBackend`.
        optional: As for `CognitoBackend`.
        allow_preflight: As for `CognitoBackend`.

    Raises:
        ConfigurationError: A setting is empty or senseless.
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
        self._verifier = verifier
        self._backend = CognitoBackend(
            verifier, groups=groups, scopes=scopes, optional=optional, allow_preflight=allow_preflight
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        try:
            found = await self._backend.authenticate(HTTPConnection(scope))
        except CognitoAuthenticationError as error:
            # Starlette's own answers a WebSocket by closing it: 403, whatever the reason, and without a word.
            if scope["type"] == "websocket" and "websocket.http.response" not in (scope.get("extensions") or {}):
                close = {"type": "websocket.close", "code": POLICY_VIOLATION, "reason": error.refusal.code}
                return await send(close)
            status, headers, body = answer_to(error.refusal)
            return await Response(body, status, headers)(scope, receive, send)
        token = found and found[1].token
        if scope["type"] == "websocket":
            scope, send = without_offer(scope, send, token)
        scope[TOKEN_BESIDE_REQUEST] = token
        scope["auth"], scope["user"] = found or (AuthCredentials(), UnauthenticatedUser())
        if token is not None:
            receive, send = outside_of_the_request(receive, send)
            if scope["type"] == "websocket":
                receive, send = until_expiry(token, self._verifier, receive, send)
        with token_in_context(token):
            return await self._app(scope, receive, send)
