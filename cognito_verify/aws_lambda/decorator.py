"""`require_token`: a handler runs only for a verified token, and finds the claims where AWS would have put them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

from cognito_verify.answers import REFUSALS, answer_to, check_flag, check_verifier, is_preflight, tell_refusal
from cognito_verify.aws_lambda.events import (
    TOKEN,
    HttpKind,
    TokenSource,
    header,
    header_values,
    http_kind,
    http_method,
    optional_token,
    raw_token,
    token_sources,
    with_claims,
)
from cognito_verify.context import token_in_context
from cognito_verify.errors import CognitoVerifyError, ConfigurationError, TokenError, shown
from cognito_verify.requirements import RequirementSource, requirement
from cognito_verify.verifier import CognitoVerifier

__all__ = ["ErrorHeaders", "require_token"]

ErrorHeaders = Mapping[str, str] | Callable[[dict[str, Any]], Mapping[str, str]]
"""Headers for refusals, or a callable that gets the event and returns them."""

_Handler = Callable[..., Any]

_REASONS = {401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable"}
_AUTHORIZATION = header("Authorization")


def require_token(
    verifier: CognitoVerifier[Any],
    *,
    groups: RequirementSource | None = None,
    scopes: RequirementSource | None = None,
    token_from: TokenSource | Iterable[TokenSource] = _AUTHORIZATION,
    optional: bool = False,
    allow_preflight: bool = True,
    error_headers: ErrorHeaders | None = None,
) -> Callable[[_Handler], _Handler]:
    """Let a Lambda handler run only for requests with a verified token.

    For REST APIs, HTTP APIs, function URLs, load balancers and the `$connect` of WebSocket APIs; plain functions,
    methods and `async def`. The handler gets a copy of the event with the claims where API Gateway's own authorizer
    puts them, the verified token as `token` if it declares such a parameter, and `current_token()` anywhere below. A
    refusal is a response in the event's own format; the handler does not run.

    Args:
        verifier: Who verifies; build it outside of the handler.
        groups: Groups that this handler asks for besides the verifier's own.
        scopes: Scopes that this handler asks for besides the verifier's own.
        token_from: `header`, `query` or `cookie`, or several: the first that is present decides.
        optional: Run the handler without a token where every source is absent or empty. A bad token is still refused.
        allow_preflight: Run the handler without a token for a browser's preflight: `OPTIONS` with `Origin` and
            `Access-Control-Request-Method`. Anybody can send one, so the handler must answer `OPTIONS` by itself.
        error_headers: Headers that refusals have besides their own, such as those of CORS; the same name replaces ours.

    Raises:
        ConfigurationError: When decorating, a setting is empty or senseless; when called, the event is no HTTP request,
            or the verifier is set up wrongly. A 401 in the place of it would blame the client for a fault of ours.

    Source: RFC 6750 section 3; "Lambda proxy integrations", API Gateway Developer Guide; "Lambda functions as targets",
        Elastic Load Balancing User Guide.
    """
    check_verifier("@require_token(verifier)", verifier)
    check_flag("optional", optional)
    check_flag("allow_preflight", allow_preflight)
    needed_groups, needed_scopes = requirement("groups", groups), requirement("scopes", scopes)
    sources = token_sources(token_from)
    headers_of = _headers_of(error_headers)

    def raw_of(event: dict[str, Any], kind: HttpKind) -> str | None:
        if allow_preflight and is_preflight(http_method(event, kind), lambda name: any(header_values(event, name))):
            return None
        try:
            return optional_token(sources, event) if optional else raw_token(sources, event)
        except TokenError as error:
            tell_refusal(verifier.observer, error)  # what never reaches the verifier
            raise

    def kind_of(event: Any) -> HttpKind:
        try:
            return _handled_kind(event)
        except ConfigurationError as error:
            tell_refusal(verifier.observer, error)
            raise

    def decorate(handler: _Handler) -> _Handler:
        call = _Call(handler)

        if call.is_async:

            @wraps(handler)
            async def guarded_async(*args: Any, **kwargs: Any) -> Any:
                event = call.event(args, kwargs)
                kind = kind_of(event)
                token: Any = None
                try:
                    given = [raw_of(event, kind)]
                    if given[0] is not None:  # popped: a report with the local variables of this frame must not show it
                        token = await verifier.verify_async(given.pop(), groups=needed_groups, scopes=needed_scopes)
                except REFUSALS as error:
                    return _refusal(error, kind, headers_of(event))
                args = call.arguments(args, kwargs, with_claims(event, kind, token), token)
                with token_in_context(token):
                    return await handler(*args, **kwargs)

            return guarded_async if verifier.observer is None else _telling_request_id(guarded_async, call)

        @wraps(handler)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            event = call.event(args, kwargs)
            kind = kind_of(event)
            token: Any = None
            try:
                given = [raw_of(event, kind)]
                if given[0] is not None:  # popped: a report with the local variables of this frame must not show it
                    token = verifier.verify(given.pop(), groups=needed_groups, scopes=needed_scopes)
            except REFUSALS as error:
                return _refusal(error, kind, headers_of(event))
            args = call.arguments(args, kwargs, with_claims(event, kind, token), token)
            with token_in_context(token):
                return handler(*args, **kwargs)

        return guarded if verifier.observer is None else _telling_request_id(guarded, call)

    return decorate


class _Call:
    """How a handler wants to be called: where the event stands, whether the token goes with it, and what comes back."""

    __slots__ = ("_context_name", "_event_at", "_event_name", "_wants_token", "is_async")

    def __init__(self, handler: object) -> None:
        if not callable(handler):
            raise ConfigurationError(
                f"require_token: expected a handler to decorate, found {type(handler).__name__}; "
                "@classmethod stands above @require_token(...)"
            )
        self.is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)
        parameters = list(inspect.signature(handler).parameters.values())
        self._event_at = 1 if parameters and parameters[0].name in ("self", "cls") else 0
        names = [parameter.name for parameter in parameters[self._event_at :]]
        self._event_name = names[0] if names else "event"
        self._context_name = names[1] if len(names) > 1 else "context"
        self._wants_token = False
        for position, parameter in enumerate(parameters):
            if parameter.name == "token" and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                behind = parameter.kind == parameter.KEYWORD_ONLY or position >= self._event_at + 2
                if parameter.kind == parameter.POSITIONAL_ONLY or not behind:
                    raise ConfigurationError("token: expected it behind event and context, and to be passed by name")
                self._wants_token = True

    def event(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return args[self._event_at] if len(args) > self._event_at else kwargs.get(self._event_name)

    def context(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        return args[self._event_at + 1] if len(args) > self._event_at + 1 else kwargs.get(self._context_name)

    def arguments(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], event: dict[str, Any], token: object
    ) -> tuple[Any, ...]:
        """The positional arguments; `kwargs` is changed in its place: it is the wrapper's own."""
        if self._wants_token:
            kwargs["token"] = token
        if len(args) > self._event_at:
            return (*args[: self._event_at], event, *args[self._event_at + 1 :])
        kwargs[self._event_name] = event
        return args


def _telling_request_id(guarded: _Handler, call: _Call) -> _Handler:
    """For a verifier that is observed: its observer finds the invocation's id, also for what the handler verifies."""
    from cognito_verify.aws_lambda.invocation import request_in_context  # only those who observe pay for it

    if call.is_async:

        @wraps(guarded)
        async def told_async(*args: Any, **kwargs: Any) -> Any:
            with request_in_context(call.context(args, kwargs)):
                return await guarded(*args, **kwargs)

        return told_async

    @wraps(guarded)
    def told(*args: Any, **kwargs: Any) -> Any:
        with request_in_context(call.context(args, kwargs)):
            return guarded(*args, **kwargs)

    return told


def _headers_of(error_headers: ErrorHeaders | None) -> Callable[[dict[str, Any]], dict[str, str]]:
    if callable(error_headers):
        ask = error_headers
        return lambda event: _checked_headers(ask(event))
    headers = {} if error_headers is None else _checked_headers(error_headers)
    return lambda event: headers  # noqa: ARG005


def _checked_headers(headers: object) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        raise ConfigurationError(
            f"error_headers: expected a dict or a callable that returns one, found {shown(headers)}"
        )
    for name, value in headers.items():
        if not isinstance(name, str) or not re.fullmatch(TOKEN, name):
            raise ConfigurationError(f"error_headers: expected names of headers, found {shown(name)}")
        if not isinstance(value, str) or not value.isprintable():
            raise ConfigurationError(f"error_headers: expected {name} to be one line of text, found {shown(value)}")
    return dict(headers)


def _handled_kind(event: Any) -> HttpKind:
    kind = http_kind(event)
    if "methodArn" in event or "routeArn" in event:
        raise ConfigurationError(
            "event: expected an HTTP request, found an authorizer's; a LambdaAuthorizer answers it"
        )
    return kind


def _refusal(error: CognitoVerifyError, kind: HttpKind, error_headers: Mapping[str, str]) -> dict[str, Any]:
    """The response that the event's sender understands."""
    status, headers, body = answer_to(error)
    replaced = {name.lower() for name in error_headers}
    headers = {name: headers[name] for name in headers if name.lower() not in replaced} | dict(error_headers)
    response: dict[str, Any] = {"statusCode": status, "headers": headers, "body": body, "isBase64Encoded": False}
    if kind in ("alb", "alb-multi"):
        response["statusDescription"] = f"{status} {_REASONS.get(status, 'Refused')}"
    if kind == "alb-multi":  # a load balancer reads the one member that its target group is set to
        response["multiValueHeaders"] = {name: [value] for name, value in response.pop("headers").items()}
    return response
