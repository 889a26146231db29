"""Verified tokens in MCP servers on the official SDK: its `TokenVerifier`, its settings, the right answer to refusals.

The SDK's protocol knows a token or None, and makes one 401 of every None. What was refused and why is handed past it to
a middleware of ours, which answers as every other integration does. Without that middleware the SDK's answer stays.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextvars import ContextVar
from copy import deepcopy
from typing import Any, Protocol

from mcp.server.auth import provider
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.settings import AuthSettings
from pydantic import PrivateAttr, ValidationError

from cognito_verify.answers import REFUSALS, answer_to, check_verifier, tell_refusal, token_in
from cognito_verify.conversation import Message, Receive, Scope, Send, send_answer
from cognito_verify.errors import (
    CognitoVerifyError,
    ConfigurationError,
    KeysUnavailableError,
    MissingTokenError,
    TokenError,
    shown,
)
from cognito_verify.requirements import RequirementSource, requirement
from cognito_verify.tokens import AccessToken
from cognito_verify.verifier import CognitoVerifier

__all__ = ["CognitoAccessToken", "CognitoRefusalMiddleware", "CognitoTokenVerifier", "token_of"]

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_MOST_KNOWN = 256  # tokens in the SDK's form; each some 3 KB
_CHALLENGE_OF_THE_SDK = 'Bearer error="invalid_token", error_description="Authentication required"'
_RESOURCE_METADATA = re.compile(r'resource_metadata="[^"]*"')


class CognitoAccessToken(provider.AccessToken):
    """What the SDK knows of a verified token; `verified` is the token itself."""

    _verified: AccessToken = PrivateAttr()

    @property
    def verified(self) -> AccessToken:
        """The verified token, with its groups."""
        return self._verified

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        return ((name, value) for name, value in super().__repr_args__() if name != "token")


class CognitoTokenVerifier(provider.TokenVerifier):
    """The SDK's `TokenVerifier`: `MCPServer(..., token_verifier=CognitoTokenVerifier(verifier), auth=...)`.

    Args:
        verifier: Who verifies, with `token_use="access"`: an ID token is for the client, not for a server.
        groups: Groups that are asked for besides the verifier's own.
        scopes: Scopes that are asked for besides the verifier's own.

    Raises:
        ConfigurationError: A setting is empty or senseless.

    Source: "Authorization", Model Context Protocol; RFC 8707 section 2.
    """

    def __init__(
        self,
        verifier: CognitoVerifier[AccessToken],
        *,
        groups: RequirementSource | None = None,
        scopes: RequirementSource | None = None,
    ) -> None:
        check_verifier("CognitoTokenVerifier", verifier)
        if verifier.token_use != "access":
            raise ConfigurationError(
                "CognitoTokenVerifier: expected a verifier with token_use='access', found "
                f"token_use={verifier.token_use!r}"
            )
        self.verifier = verifier
        self._groups = requirement("groups", groups)
        self._scopes = requirement("scopes", scopes)
        self._known: dict[str, CognitoAccessToken] = {}  # by the raw token, which is verified each time all the same

    def auth_settings(self, *, resource_server_url: str | None = None) -> AuthSettings:
        """The SDK's settings for this server, from which it serves its metadata (RFC 9728).

        The pool's first issuer is named as the authorization server: below it Cognito has its OpenID Connect metadata.
        A pool that is on its UPDATED issuer says so (`issuer_type=`). Scopes of which all are needed are named as well.

        Args:
            resource_server_url: The URL of this server, where the pool has no `resource`: its tokens are then bound to
                no server, and one that was issued for another server passes here.

        Raises:
            ConfigurationError: The verifier has several pools, of which the SDK can name one only; or neither the pool
                nor the caller says this server's URL, or they differ; or it is none, or the resource is spelt in
                another way than clients are told, so that none of their tokens would be for it.

        Source: RFC 9728 section 2; RFC 8707 section 2; "Authorization", Model Context Protocol.
        """
        if len(self.verifier.pools) > 1:
            raise ConfigurationError(
                f"auth_settings: expected a verifier of one pool, found {len(self.verifier.pools)}; the SDK names one "
                "authorization server: make its AuthSettings yourself"
            )
        pool = self.verifier.pools[0]
        url = pool.resource if resource_server_url is None else resource_server_url
        if url is None:
            raise ConfigurationError(
                "auth_settings: expected this server's URL as the resource of its pool, such as "
                "UserPool(..., resource='https://mcp.example.com/mcp'), found none"
            )
        if pool.resource not in (None, url):
            raise ConfigurationError(
                f"resource_server_url: expected the pool's resource, {shown(pool.resource)}, found {shown(url)}"
            )
        wanted = () if self._scopes is None else self._scopes.alternatives
        settings = {
            "issuer_url": next(iter(pool.issuers)),
            "resource_server_url": url,
            "required_scopes": sorted(wanted[0]) if len(wanted) == 1 else None,
            "validate_token_resource": pool.resource is not None,
        }
        try:
            made = AuthSettings.model_validate(settings)
        except ValidationError:
            raise ConfigurationError(f"auth_settings: expected this server's URL, found {shown(url)}") from None
        told = str(made.resource_server_url)
        if pool.resource not in (None, told):
            raise ConfigurationError(f"auth_settings: expected {told!r}, as clients are told, found {shown(url)}")
        return made

    async def verify_token(self, token: str) -> CognitoAccessToken | None:
        """The token as the SDK wants it, or None where it is refused.

        Raises:
            KeysUnavailableError: Nothing can be said now, and no `CognitoRefusalMiddleware` is there to answer 503. As
                a 500 it sends no client to log in again, which None would do.
            ConfigurationError: A fault of ours.
        """
        given = [token]
        del token  # popped: a report with the local variables of this frame must not show it
        request = _request.get()
        if request is not None:
            if request.header_refusal is not None:  # such as two tokens in two headers, of which the SDK reads one
                return None
            request.is_verified = True
        try:
            verified = await self.verifier.verify_async(given.pop(), groups=self._groups, scopes=self._scopes)
        except REFUSALS as error:
            if request is None and isinstance(error, KeysUnavailableError):
                raise
            if request is not None:
                request.refusal = error.with_traceback(None)
            return None
        known = self._known.get(verified.raw)
        if known is None:  # pydantic takes 50 us to make one, seven times what the verification of a seen token takes
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[verified.raw] = _known(verified, self.verifier.leeway)
        # A copy: the SDK decides by these fields, and whoever changes them must not change them for the next request.
        return known.model_copy(
            update={name: deepcopy(value) for name, value in known if isinstance(value, (list, dict))}
        )


class CognitoRefusalMiddleware:
    """Answer a refused request as every integration does, with its code, instead of the SDK's one 401 for all.

        app = mcp.streamable_http_app()
        app.add_middleware(CognitoRefusalMiddleware, tokens)

    Everything else passes through as it is. The challenge names the server's metadata besides (RFC 9728 section 5.1).

    Args:
        app: The SDK's application, of any of its HTTP transports.
        token_verifier: The one that the server has.
    """

    def __init__(self, app: ASGIApp, token_verifier: CognitoTokenVerifier) -> None:
        if not isinstance(token_verifier, CognitoTokenVerifier):
            raise ConfigurationError(
                "CognitoRefusalMiddleware: expected the server's CognitoTokenVerifier, found "
                f"{type(token_verifier).__name__}"
            )
        self._app = app
        self._verifier = token_verifier.verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on; where the SDK refuses, answer."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = _Request(scope, self._verifier.max_token_bytes)
        before = _request.set(request)
        try:
            return await self._app(scope, receive, self._answering(request, scope, send))
        finally:
            _request.reset(before)

    def _answering(self, request: _Request, scope: Scope, send: Send) -> Send:
        is_answered = False

        async def answer(message: Message) -> None:
            nonlocal is_answered
            refusal = request.why() if _is_refusal_of_the_sdk(message, scope) else None
            if refusal is not None:
                is_answered = True
                if not request.is_verified:
                    tell_refusal(self._verifier.observer, refusal)  # what never reaches the verifier
                await _refuse(refusal, _header(message["headers"], b"www-authenticate"), send)
            elif not is_answered:
                await send(message)

        return answer


class _Request:
    """What is known of a request beyond what the SDK's protocol can say."""

    __slots__ = ("header_refusal", "is_verified", "refusal")

    def __init__(self, scope: Scope, max_token_bytes: int) -> None:
        self.is_verified = False  # whether the verifier was asked; it has told its observer then
        self.refusal: CognitoVerifyError | None = None  # by the verifier, which a tool may ask again
        self.header_refusal: CognitoVerifyError | None = None
        values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
        try:
            token_in(values, max_token_bytes)
        except TokenError as error:
            self.header_refusal = error.with_traceback(None)

    def why(self) -> CognitoVerifyError | None:
        """Why it was refused; None where that was a rule of the SDK's own."""
        if self.header_refusal is not None:
            return self.header_refusal
        if not self.is_verified:
            return MissingTokenError("Authorization: expected 'Bearer' and a token, found no 'Bearer'")
        return self.refusal


_request: ContextVar[_Request | None] = ContextVar("cognito_verify_mcp_request", default=None)


class _Context(Protocol):
    """A `Context` of `MCPServer`, or of mcp 1's `FastMCP`."""

    @property
    def request_context(self) -> Any: ...


class _RequestContext(Protocol):
    """What a handler of the low-level `Server` is given, and a middleware of either."""

    @property
    def request(self) -> Any: ...


def token_of(ctx: _Context | _RequestContext) -> AccessToken:
    """The verified token with which a tool was called, by its `Context` or by what a middleware of the server is given.

    Not the one that opened the session: `get_access_token()` of mcp 1 gives that as long as the session lasts, also
    after the client has got a new token.

    Raises:
        ConfigurationError: The call did not come over HTTP, or its server has no `CognitoTokenVerifier`.
    """
    context: Any = getattr(ctx, "request_context", ctx)
    request = context.request
    user = None if request is None else request.scope.get("user")
    known = user.access_token if isinstance(user, AuthenticatedUser) else None
    if not isinstance(known, CognitoAccessToken):
        raise ConfigurationError("token_of: expected a server with a CognitoTokenVerifier over HTTP, found no token")
    return known.verified


def _known(verified: AccessToken, leeway: float) -> CognitoAccessToken:
    """The SDK's form of a token. A session belongs to its client, issuer and subject: all three are told."""
    known = CognitoAccessToken(
        token=verified.raw,
        client_id=verified.client_id,
        scopes=sorted(verified.scopes),
        expires_at=int(verified["exp"] + leeway),  # the SDK looks at the clock again
        resource=verified.resource,
        subject=verified.sub,
        claims=dict(verified),
    )
    known._verified = verified
    return known


def _is_refusal_of_the_sdk(message: Message, scope: Scope) -> bool:
    """Whether `RequireAuthMiddleware` answers, and no route of the application."""
    return (
        message["type"] == "http.response.start"
        and message["status"] == 401
        and not isinstance(scope.get("user"), AuthenticatedUser)
        and _header(message.get("headers", ()), b"www-authenticate").startswith(_CHALLENGE_OF_THE_SDK)
    )


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == wanted), "")


async def _refuse(error: CognitoVerifyError, challenge_of_the_sdk: str, send: Send) -> None:
    answer = answer_to(error)
    metadata = _RESOURCE_METADATA.search(challenge_of_the_sdk)
    if metadata is not None and error.challenge:
        answer.headers["WWW-Authenticate"] += f"{' ' if error.challenge == 'Bearer' else ', '}{metadata[0]}"
    await send_answer(answer, send)
