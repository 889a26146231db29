"""A security dependency for FastAPI: the verified token as an argument, and the pool's log-in on the docs page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import copy
from inspect import Parameter, Signature
from typing import Any, Generic

from fastapi import HTTPException, Security, WebSocketException
from fastapi.exception_handlers import http_exception_handler
from fastapi.openapi.models import HTTPBearer, OAuth2, OAuthFlowAuthorizationCode, OAuthFlows
from fastapi.routing import APIRoute, APIWebSocketRoute
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.status import WS_1008_POLICY_VIOLATION

from cognito_verify.answers import REFUSALS, Gate, answer_to, check_verifier, tokens_offered
from cognito_verify.context import TOKEN_BESIDE_REQUEST, token_in_context
from cognito_verify.conversation import Scope, credentials
from cognito_verify.errors import CognitoVerifyError, ConfigurationError, shown
from cognito_verify.requirements import Requirement, RequirementSource, all_of, requirement
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier, TokenT_co

__all__ = ["CognitoBearer", "CognitoHTTPException"]


class CognitoHTTPException(HTTPException):
    """A refusal: FastAPI's own exception with the status, the headers and the body that it has everywhere.

    An application that has a handler for `HTTPException` or for this class renders it by that; `detail` holds `message`
    and `code`.

    Args:
        refusal: What the verifier said; kept as `refusal`.
    """

    def __init__(self, refusal: CognitoVerifyError) -> None:
        status, headers, body = answer_to(refusal)
        del headers["Content-Type"]  # a handler's own business
        super().__init__(status, detail=json.loads(body), headers=headers)
        self.refusal = refusal


class CognitoBearer(SecurityBase, Generic[TokenT_co]):
    """A dependency whose value is the verified token; without one, the endpoint does not run.

    For HTTP and WebSocket endpoints, `async def` or not, as an argument or in `dependencies=[...]` of a route, a router
    or the application. Those do not cover its mounted applications, its OpenAPI document and Starlette's own routes
    (`add_route`, `add_websocket_route`, `websocket_route`). `Security(..., scopes=[...])` is enforced: the token needs
    all of those. The token is the `current_token()` of the endpoint and of all below it, and gone when the endpoint has
    returned: what streams an answer and what runs in the background takes the argument.

    Args:
        verifier: Who verifies; build it once, beside the application.
        groups: Groups that are asked for besides the verifier's own.
        scopes: Scopes that are asked for besides the verifier's own.
        optional: The value is None where no token was sent. A bad one is still refused. `groups` and `scopes` beside it
            are asked of those who send a token; what `requires(...)` and `Security(..., scopes=[...])` ask for is asked
            of everybody.
        domain: The pool's domain, such as `https://example.auth.us-east-1.amazoncognito.com`. With it, the OpenAPI
            document names the authorization code flow, so that the docs page can log in. The page then sends the access
            token, or the ID token where the verifier takes that alone.
        login_scopes: Scopes that the docs page can ask for, and what they mean, as for FastAPI's own OAuth2 classes:
            those of `Security(..., scopes=[...])`, of which a dependency hears with the first request only. `openid`
            and the scopes of `requires(...)` are there without it.
        scheme_name: The name in the OpenAPI document, where an application has several; the log-in of `StaffBearer` is
            `StaffLogin`.

    Raises:
        ConfigurationError: A setting is empty or senseless.

    Source: RFC 6750 section 3; OpenAPI specification 3.1, "Security Scheme Object"; "The redirect and authorization
        endpoint", Amazon Cognito Developer Guide.
    """

    def __init__(
        self,
        verifier: CognitoVerifier[TokenT_co],
        *,
        groups: RequirementSource | None = None,
        scopes: RequirementSource | None = None,
        optional: bool = False,
        domain: str | None = None,
        login_scopes: Mapping[str, str] | None = None,
        scheme_name: str = "CognitoBearer",
    ) -> None:
        check_verifier("CognitoBearer", verifier)
        self.scheme_name = _scheme_name(scheme_name)
        login = _login(domain, login_scopes, scheme_name, verifier.token_use)
        self._build(verifier, requirement("groups", groups), requirement("scopes", scopes), login, optional=optional)

    def _build(
        self,
        verifier: CognitoVerifier[TokenT_co],
        groups: Requirement | None,
        scopes: Requirement | None,
        login: _Login | None,
        *,
        optional: bool,
    ) -> None:
        self.model = HTTPBearer(bearerFormat="JWT")
        self._verifier = verifier
        self._groups = groups
        self._scopes = scopes
        self._is_optional = optional
        self._login = login
        self._gates: dict[tuple[str, ...], Gate[TokenT_co]] = {}  # by the scopes of `Security(...)`: as many as routes
        self._gate(())
        self.__signature__ = _signature(login, () if scopes is None else scopes.names)

    def requires(
        self, *, groups: RequirementSource | None = None, scopes: RequirementSource | None = None
    ) -> CognitoBearer[TokenT_co]:
        """A dependency that asks for these groups and scopes besides its own, and so for a token: it is not optional.

        Raises:
            ConfigurationError: A requirement is empty or senseless, or there is none; a subclass has an `__eq__`.
        """
        if groups is None and scopes is None:
            raise ConfigurationError("requires: expected groups= or scopes=; nothing at all requires nothing")
        narrower = copy(self)  # with what a subclass has besides
        narrower._build(
            self._verifier,
            _both(self._groups, requirement("groups", groups)),
            _both(self._scopes, requirement("scopes", scopes)),
            self._login,
            optional=False,  # who asks for more asks for a token
        )
        if narrower == self:
            raise ConfigurationError(
                f"requires: expected two dependencies that differ, found a {type(self).__name__} with an __eq__ of its "
                "own: FastAPI asks one of two that are equal, and takes its answer for the other's"
            )
        return narrower

    async def __call__(
        self,
        connection: HTTPConnection,
        security_scopes: SecurityScopes,
        login: None = None,  # noqa: ARG002 - what puts the log-in into the OpenAPI document
    ) -> TokenT_co | None:
        """What FastAPI calls, with what `__signature__` says."""
        _join_handlers(connection.scope)
        gate = self._gates.get(tuple(security_scopes.scopes)) or self._gate(tuple(security_scopes.scopes))
        try:
            token = await gate.verified_async(credentials(connection.scope))
        except REFUSALS as error:
            refusal = _exception(error.with_traceback(None), connection.scope)
        else:
            _withhold_offer(connection.scope, token)
            # Until what FastAPI closes behind the endpoint. Not longer: a server may start the connection's next
            # request in this one's context, while this one still has background tasks. To clear it by `yield` costs
            # 80 us, for FastAPI then enters and leaves two exit stacks and a context manager: half of what a whole
            # request takes.
            end_of_endpoint = connection.scope.get("fastapi_function_astack")
            # Front-ends have one too, and send their files before it closes: they are no such route.
            is_endpoint = isinstance(connection.scope.get("route"), (APIRoute, APIWebSocketRoute))
            if end_of_endpoint is not None and is_endpoint:
                end_of_endpoint.enter_context(token_in_context(token))
            return token
        raise refusal  # out here: it has no context, whose traceback would go on and on

    def _gate(self, security_scopes: tuple[str, ...]) -> Gate[TokenT_co]:
        scopes = _both(self._scopes, all_of(*security_scopes) if security_scopes else None)
        optional = False if security_scopes else self._is_optional  # as for `requires`
        gate = Gate("CognitoBearer", self._verifier, groups=self._groups, scopes=scopes, optional=optional)
        return self._gates.setdefault(security_scopes, gate)


class _Login(SecurityBase):
    """The pool's log-in: a security scheme that is documented and asks for nothing."""

    def __init__(self, domain: str, scopes: Mapping[str, str], scheme_name: str, token_use: str | None) -> None:
        self.scopes = {"openid": "Who you are", **scopes}
        flow = OAuthFlowAuthorizationCode(
            authorizationUrl=f"{domain}/oauth2/authorize", tokenUrl=f"{domain}/oauth2/token"
        )
        flow.scopes = self.scopes  # not copied: it grows with `requires`
        self.model = OAuth2(flows=OAuthFlows(authorizationCode=flow), description="Authorization code with PKCE.")
        kind = "IdToken" if token_use == "id" else ""  # an application may have both
        self.scheme_name = f"{scheme_name.removesuffix('Bearer')}{kind}Login"
        if token_use == "id":  # else Swagger UI sends the access token, which such a verifier refuses
            setattr(self.model, "x-tokenName", "id_token")

    async def __call__(self) -> None:
        pass


def _signature(login: _Login | None, scopes: tuple[str, ...]) -> Signature:
    """What FastAPI reads the dependency's own dependencies from."""
    kind = Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        Parameter("connection", kind, annotation=HTTPConnection),
        Parameter("security_scopes", kind, annotation=SecurityScopes),
    ]
    if login is not None:
        login.scopes.update({name: name for name in scopes if name not in login.scopes})
        parameters.append(Parameter("login", kind, default=Security(login, scopes=scopes), annotation=Any))
    return Signature(parameters)


def _both(own: Requirement | None, other: Requirement | None) -> Requirement | None:
    return all_of(own, other) if own is not None and other is not None else own or other


def _join_handlers(scope: Scope) -> None:
    """Render a `CognitoHTTPException`, the dependency's or the endpoint's, unless the application does by itself."""
    # Where Starlette keeps the application's handlers while a request is served. Ours joins them only where FastAPI's
    # own stands; without that place, the body is FastAPI's usual one, around `detail`.
    handlers, *_ = scope.get("starlette.exception_handlers", ({},))
    if HTTPException not in handlers and handlers.get(StarletteHTTPException) is http_exception_handler:
        handlers.setdefault(CognitoHTTPException, _answer)


def _exception(refusal: CognitoVerifyError, scope: Scope) -> Exception:
    if scope["type"] == "websocket" and "websocket.http.response" not in (scope.get("extensions") or {}):
        return WebSocketException(WS_1008_POLICY_VIOLATION, refusal.code)
    return CognitoHTTPException(refusal)


async def _answer(_: Request, error: CognitoHTTPException) -> Response:
    status, headers, body = answer_to(error.refusal)
    return Response(body, status, headers)


def _withhold_offer(scope: Scope, token: AccessToken | IdToken | None) -> None:
    """An endpoint must not choose the token for its WebSocket's subprotocol: the answer would send it back."""
    offered = tokens_offered(scope.get("subprotocols") or ())
    if offered and TOKEN_BESIDE_REQUEST not in scope:  # where it is, this was done, and no token follows `bearer`
        scope["subprotocols"] = [name for name in scope["subprotocols"] if name not in offered]
        left = [header for header in scope["headers"] if header[0] != b"sec-websocket-protocol"]
        if isinstance(scope["headers"], list):  # `websocket.headers`, which FastAPI has read already, shares it
            scope["headers"][:] = left
        else:
            scope["headers"] = left
        scope[TOKEN_BESIDE_REQUEST] = token  # for another dependency of the same request


def _scheme_name(scheme_name: object) -> str:
    if not isinstance(scheme_name, str) or not re.fullmatch(r"[a-zA-Z0-9._-]+", scheme_name):
        raise ConfigurationError(
            f"scheme_name: expected letters, digits, '.', '-' and '_', as OpenAPI has it, found {shown(scheme_name)}"
        )
    return scheme_name


def _login(
    domain: str | None, scopes: Mapping[str, str] | None, scheme_name: str, token_use: str | None
) -> _Login | None:
    if scopes is not None and not (
        isinstance(scopes, Mapping) and all(isinstance(one, str) for pair in scopes.items() for one in pair)
    ):
        raise ConfigurationError(
            f"login_scopes: expected scopes and their meaning, {{'orders/read': 'Read orders'}}, found {shown(scopes)}"
        )
    if domain is None and scopes is not None:
        raise ConfigurationError("login_scopes: expected the pool's domain beside them, domain=..., found none")
    return None if domain is None else _Login(_base_url(domain), scopes or {}, scheme_name, token_use)


def _base_url(domain: str) -> str:
    if not isinstance(domain, str) or not re.fullmatch(r"(?ai:https://[a-z0-9.-]+(:[0-9]{1,5})?/*)", domain):
        raise ConfigurationError(
            "domain: expected the pool's, such as https://example.auth.us-east-1.amazoncognito.com, "
            f"found {shown(domain)}"
        )
    return domain.rstrip("/")
