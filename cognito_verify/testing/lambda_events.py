"""Lambda events in the shapes that AWS documents, for a request that a test describes.

What is easy to get wrong by hand is done as the gateway does it: REST APIs keep the client's spelling of header names,
HTTP APIs, function URLs and load balancers write them in lower case; a header or query parameter that is sent several
times keeps its last value, or all of them in `multiValue...`, or is joined by commas; format 2.0 has cookies in a list
of their own; load balancers leave the query encoded; an ARN ends in the request's path, not in the route's pattern;
HTTP APIs hand that path on decoded, all others as it was sent.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, Literal, get_args
from urllib.parse import quote_plus, unquote, urlencode

from cognito_verify.errors import ConfigurationError, shown

__all__ = ["LAMBDA_EVENT_KINDS", "LambdaEventKind", "lambda_event"]

LambdaEventKind = Literal[
    "rest",
    "http",
    "function-url",
    "alb",
    "alb-multi",
    "websocket",
    "token-authorizer",
    "request-authorizer",
    "websocket-authorizer",
    "http-1.0-authorizer",
    "http-2.0-authorizer",
    "appsync-authorizer",
]
"""What sends the event: the first six to a handler, the others to a Lambda authorizer."""

LAMBDA_EVENT_KINDS: Final[tuple[LambdaEventKind, ...]] = get_args(LambdaEventKind)

_Event = dict[str, Any]
_Body = str | bytes | Mapping[str, Any] | Sequence[Any]
_Values = Mapping[str, str | Sequence[str]]
_Lists = dict[str, list[str]]

_ACCOUNT, _API_ID, _REGION = "123456789012", "a1b2c3d4e5", "eu-west-1"
_HOST = f"{_API_ID}.execute-api.{_REGION}.amazonaws.com"
_CLIENT_IP, _USER_AGENT = "192.0.2.7", "curl/8"  # RFC 5737: an address for documentation
_TIME, _TIME_EPOCH = "24/Nov/2026:10:01:54 +0000", 1_795_514_514_000

# What each kind has a place for, beside the token and the headers.
_REQUEST = ("method", "path", "cookies", "query")
_PLACES: Final[dict[LambdaEventKind, tuple[str, ...]]] = {
    "rest": (*_REQUEST, "route", "body", "stage", "authorizer"),
    "http": (*_REQUEST, "route", "body", "stage", "authorizer"),
    "function-url": (*_REQUEST, "body", "authorizer"),
    "alb": (*_REQUEST, "body"),
    "alb-multi": (*_REQUEST, "body"),
    "websocket": ("cookies", "query", "route", "body", "stage", "authorizer"),
    "token-authorizer": ("method", "path", "stage"),
    "request-authorizer": (*_REQUEST, "route", "stage"),
    "websocket-authorizer": ("cookies", "query", "stage"),
    "http-1.0-authorizer": (*_REQUEST, "route", "stage", "identity_sources"),
    "http-2.0-authorizer": (*_REQUEST, "route", "stage", "identity_sources"),
    "appsync-authorizer": (),
}


def lambda_event(
    kind: LambdaEventKind,
    token: str | None = None,
    *,
    method: str | None = None,
    path: str | None = None,
    route: str | None = None,
    headers: _Values | None = None,
    cookies: Mapping[str, str] | None = None,
    query: _Values | None = None,
    body: _Body | None = None,
    stage: str | None = None,
    identity_sources: Sequence[str] | None = None,
    authorizer: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The event with which AWS calls a function for a request.

        handler(lambda_event("rest", token=pool.id_token(), path="/pricepermeter", body={"price": 400_000}), None)

    Args:
        kind: What sends it: "rest" (REST API with proxy integration), "http" (HTTP API, payload format 2.0),
            "function-url", "alb" and "alb-multi" (load balancer without and with multi-value headers), "websocket"; or,
            to a Lambda authorizer: "token-authorizer" and "request-authorizer" (REST API), "websocket-authorizer"
            (`$connect`), "http-1.0-authorizer" and "http-2.0-authorizer" (HTTP API), "appsync-authorizer".
        token: Sent as `Authorization: Bearer ...`, to AppSync bare, as in its example. For a bare one, another header,
            a cookie or a query parameter leave it out and say so in `headers`, `cookies` or `query`.
        method: Without it that of `route`, else POST where there is a body, else GET.
        path: As it is sent, without stage and query: `/reports/7`. Without it that of `route`, else `/`.
        route: As the API has it: `/reports/{id}`, `ANY /{proxy+}`, `$default`; its parameters are taken from the path.
            Without it, the path itself. For a WebSocket `$connect` unless given, `$disconnect`, or a message's route.
        headers: As the client spells them; several values in a list. `Host`, `User-Agent` and `X-Forwarded-*` are there
            besides. A "token-authorizer" gets the value of `Authorization` alone.
        cookies: By name.
        query: Not encoded; several values in a list.
        body: Text; or bytes, which come in base64; or an object or a list, which become JSON.
        stage: `dev` unless given; of HTTP APIs `$default`.
        identity_sources: The selection expressions of an HTTP API's authorizer, such as
            `$request.header.Authorization`, `$request.querystring.token`, `$context.routeKey`; the event has their
            values. Without it the first of these where the request has that header, else none at all.
        authorizer: What an authorizer in front of the handler left in `requestContext.authorizer`, `{"claims": {...}}`.

    Raises:
        ConfigurationError: An option that this kind of event has no place for, or a request that AWS would not hand on.

    Source: "Lambda proxy integrations" and "Lambda authorizers" for REST, HTTP and WebSocket APIs, API Gateway
        Developer Guide; "Invoking Lambda function URLs", AWS Lambda Developer Guide; "Lambda functions as targets", ELB
        User Guide; "Configuring authorization and authentication", AWS AppSync Developer Guide.
    """
    if kind not in _PLACES:
        raise ConfigurationError(f"kind: expected one of {', '.join(LAMBDA_EVENT_KINDS)}, found {shown(kind)}")
    options = {
        "method": method,
        "path": path,
        "route": route,
        "cookies": cookies,
        "query": query,
        "body": body,
        "stage": stage,
        "identity_sources": identity_sources,
        "authorizer": authorizer,
    }
    for option, value in options.items():
        if value is not None and option not in _PLACES[kind]:
            places = ", ".join(("headers", *_PLACES[kind]))
            raise ConfigurationError(f"{option}: an event {kind!r} has no place for it, only for {places}")
    if kind == "token-authorizer" and (others := [name for name in headers or () if name.lower() != "authorization"]):
        raise ConfigurationError(f"headers: a {kind} gets Authorization and no other, found {shown(others)}")
    sent = _sent(kind, token, headers, cookies, body)
    if kind == "websocket":
        return _websocket_event(route or "$connect", sent, _lists(query), body, stage or "dev", authorizer)
    if kind == "websocket-authorizer":
        event = _connect(sent, _lists(query), stage or "dev", None)
        return {"type": "REQUEST", "methodArn": _arn(stage or "dev", "$connect"), "stageVariables": {}, **event}
    if kind == "appsync-authorizer":
        return _appsync_authorizer_event(sent)
    request = _Request(sent, _lists(query), body, *_routed(method, path, route, body))
    match kind:
        case "rest":
            return {**_rest(request, stage or "dev", authorizer), **request.content, "body": request.body}
        case "http":
            return {**_http(request, stage or "$default", authorizer), **request.content}
        case "function-url":
            return {**_function_url(request, authorizer), **request.content}
        case "alb" | "alb-multi":
            return {**_alb(request, is_multi=kind == "alb-multi"), **request.content, "body": request.body or ""}
        case "token-authorizer":
            arn = _arn(stage or "dev", f"{request.method}{request.path}")
            return {"type": "TOKEN", "authorizationToken": _authorization(kind, sent), "methodArn": arn}
        case "request-authorizer":
            arn = _arn(stage or "dev", f"{request.method}{request.path}")
            return {"type": "REQUEST", "methodArn": arn, **_rest(request, stage or "dev", None)}
        case "http-1.0-authorizer":
            return _http_1_authorizer_event(request, stage or "$default", identity_sources)
        case _:
            return _http_2_authorizer_event(request, stage or "$default", identity_sources)


class _Request:
    """What was sent, before a gateway writes it down; and which of the API's routes takes it."""

    def __init__(
        self, headers: _Lists, query: _Lists, body: _Body | None, method: str, path: str, route: str, route_key: str
    ) -> None:
        self.headers, self.query = headers, query
        self.method, self.path = method, path
        self.route, self.route_key = route, route_key
        self.parameters = _parameters(route, path)
        self.body, is_base64 = _written(body)
        self.content: _Event = {"isBase64Encoded": is_base64}
        if self.body is not None:
            self.content["body"] = self.body


def _routed(method: str | None, path: str | None, route: str | None, body: object) -> tuple[str, str, str, str]:
    """Method and path of the request, pattern and key of its route."""
    word, _, pattern = (route or "").rpartition(" ")
    if method and word not in ("", "ANY", method):
        raise ConfigurationError(f"method: expected that of the route {shown(route)}, found {shown(method)}")
    method = method or (word if word != "ANY" else "") or ("GET" if body is None else "POST")
    if path is None and "{" in pattern:
        raise ConfigurationError(f"path: expected one of the route {shown(route)}, such as '/reports/7', found none")
    path = path or (pattern if pattern.startswith("/") else "/")
    if not path.startswith("/") or "?" in path:
        raise ConfigurationError(
            f"path: expected one as it is sent, such as '/reports/7', its query in query=, found {shown(path)}"
        )
    pattern = pattern or path
    return method, path, pattern, f"{word or method} {pattern}" if pattern.startswith("/") else pattern


def _parameters(route: str, path: str) -> dict[str, str]:
    """The path's parameters, decoded. To a gateway a slash at the end changes nothing."""
    if not route.startswith("/"):
        return {}
    names = re.findall(r"\{([^{}+]+)\+?\}", route)
    form = re.sub(r"\\\{[^{}+]+\\\}", "([^/]+)", re.sub(r"\\\{[^{}+]+\\\+\\\}", "(.+)", re.escape(route)))
    found = re.fullmatch(f"{form}/?", path)
    if not found:
        raise ConfigurationError(f"path: expected one of the route {shown(route)}, found {shown(path)}")
    return {name: unquote(value) for name, value in zip(names, found.groups(), strict=True)}


def _sent(
    kind: LambdaEventKind,
    token: str | None,
    headers: _Values | None,
    cookies: Mapping[str, str] | None,
    body: _Body | None,
) -> _Lists:
    """All headers of the request, as the client spells them."""
    sent = _lists(headers)
    authorization = None if token is None else token if kind == "appsync-authorizer" else f"Bearer {token}"
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items()) if cookies else None
    for option, name, value in (("token", "Authorization", authorization), ("cookies", "Cookie", cookie)):
        if value is not None:
            if _values(sent, name):
                raise ConfigurationError(f"{option}: expected it here or in a header {name}, found both")
            sent[name] = [value]
    usual = {
        "Host": _HOST,
        "User-Agent": _USER_AGENT,
        "X-Forwarded-For": _CLIENT_IP,
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        **({} if body is None or isinstance(body, (str, bytes)) else {"Content-Type": "application/json"}),
    }
    return {**{name: [value] for name, value in usual.items() if not _values(sent, name)}, **sent}


def _written(body: _Body | None) -> tuple[str | None, bool]:
    """The body as events have it, and whether that is base64."""
    if body is None or isinstance(body, str):
        return body, False
    if isinstance(body, bytes):
        return b64encode(body).decode(), True
    return json.dumps(body), False


# For handlers


def _rest(request: _Request, stage: str, authorizer: Mapping[str, Any] | None) -> _Event:
    """Format 1.0, without what an authorizer doesn't get."""
    context: _Event = {
        "accountId": _ACCOUNT,
        "apiId": _API_ID,
        "domainName": _HOST,
        "domainPrefix": _API_ID,
        "extendedRequestId": "Zx1abc=",
        "httpMethod": request.method,
        "identity": {"sourceIp": _CLIENT_IP, "userAgent": _USER_AGENT, "user": None, "userArn": None},
        "path": request.path if stage == "$default" else f"/{stage}{request.path}",
        "protocol": "HTTP/1.1",
        "requestId": "0f3a4d0e-7f0c-4b7e-9d43-4b1f6f3cf2aa",
        "requestTime": _TIME,
        "requestTimeEpoch": _TIME_EPOCH,
        "resourceId": "res123",
        "resourcePath": request.route,
        "stage": stage,
        **_left_by(authorizer),
    }
    return {
        "resource": request.route,
        "path": request.path,
        "httpMethod": request.method,
        "headers": _last(request.headers),
        "multiValueHeaders": request.headers,
        "queryStringParameters": _last(request.query) or None,
        "multiValueQueryStringParameters": request.query or None,
        "pathParameters": request.parameters or None,
        "stageVariables": None,
        "requestContext": context,
    }


def _http(request: _Request, stage: str, authorizer: Mapping[str, Any] | None) -> _Event:
    """Format 2.0, likewise: what is empty is left out."""
    lower = _lower(request.headers)
    cookies = [pair.strip() for line in lower.pop("cookie", []) for pair in line.split(";")]
    before = "" if stage == "$default" else f"/{stage}"
    event: _Event = {
        "version": "2.0",
        "routeKey": request.route_key,
        "rawPath": before + _decoded(request.path),
        "rawQueryString": urlencode(request.query, doseq=True),
        "headers": _joined(lower),
        "requestContext": {
            "accountId": _ACCOUNT,
            "apiId": _API_ID,
            "domainName": _HOST,
            "domainPrefix": _API_ID,
            "http": {
                "method": request.method,
                "path": before + request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": _CLIENT_IP,
                "userAgent": _USER_AGENT,
            },
            "requestId": "Zx1abc=",
            "routeKey": request.route_key,
            "stage": stage,
            "time": _TIME,
            "timeEpoch": _TIME_EPOCH,
            **_left_by(authorizer),
        },
    }
    may_be_empty = {
        "cookies": cookies,
        "queryStringParameters": _joined(request.query),
        "pathParameters": request.parameters,
    }
    return {**event, **{name: value for name, value in may_be_empty.items() if value}}


def _function_url(request: _Request, authorizer: Mapping[str, Any] | None) -> _Event:
    """Format 2.0 with the one route `$default`."""
    event = _http(request, "$default", authorizer)
    prefix = "abcdefghijklmnopqrstuvwxyz012345"
    host = f"{prefix}.lambda-url.{_REGION}.on.aws"
    event["routeKey"], event["rawPath"] = "$default", request.path
    event["requestContext"] |= {
        "accountId": "anonymous",
        "apiId": prefix,
        "domainName": host,
        "domainPrefix": prefix,
        "routeKey": "$default",
    }
    if event["headers"]["host"] == _HOST:
        event["headers"]["host"] = host
    return event


def _alb(request: _Request, *, is_multi: bool) -> _Event:
    headers = _lower(request.headers)
    query = {quote_plus(name): [quote_plus(value) for value in values] for name, values in request.query.items()}
    group = f"arn:aws:elasticloadbalancing:{_REGION}:{_ACCOUNT}:targetgroup/price/6d0ecf831eec9f09"
    event: _Event = {
        "requestContext": {"elb": {"targetGroupArn": group}},
        "httpMethod": request.method,
        "path": request.path,
    }
    if is_multi:
        return {**event, "multiValueQueryStringParameters": query, "multiValueHeaders": headers}
    return {**event, "queryStringParameters": _last(query), "headers": _last(headers)}


def _websocket_event(
    route: str,
    headers: _Lists,
    query: _Lists,
    body: _Body | None,
    stage: str,
    authorizer: Mapping[str, Any] | None,
) -> _Event:
    if route == "$connect":
        if body is not None:
            raise ConfigurationError("body: a WebSocket's $connect has none; for a message give its route=")
        return {**_connect(headers, query, stage, authorizer), "isBase64Encoded": False}
    if query or {name for name in headers if name.lower() in ("authorization", "cookie")}:
        raise ConfigurationError(
            f"route: expected $connect, which alone carries a token, cookies or a query, found {shown(route)}"
        )
    text, is_base64 = _written(body)
    context = _websocket_context(route, stage, authorizer)
    if route == "$disconnect":
        context |= {"eventType": "DISCONNECT", "disconnectStatusCode": 1_005, "disconnectReason": ""}
        return {"requestContext": context, "isBase64Encoded": is_base64}
    context |= {"eventType": "MESSAGE", "messageId": "L0SM9fDRvHcCIhw="}
    return {"requestContext": context, "body": text or "", "isBase64Encoded": is_base64}


def _connect(headers: _Lists, query: _Lists, stage: str, authorizer: Mapping[str, Any] | None) -> _Event:
    event: _Event = {
        "headers": _last(headers),
        "multiValueHeaders": headers,
        "requestContext": _websocket_context("$connect", stage, authorizer) | {"eventType": "CONNECT"},
    }
    if query:
        event |= {"queryStringParameters": _last(query), "multiValueQueryStringParameters": query}
    return event


def _websocket_context(route: str, stage: str, authorizer: Mapping[str, Any] | None) -> _Event:
    return {
        "apiId": _API_ID,
        "connectedAt": _TIME_EPOCH,
        "connectionId": "L0SM9cOFvHcCIhw=",
        "domainName": _HOST,
        "extendedRequestId": "Zx1abc=",
        "identity": {"sourceIp": _CLIENT_IP},
        "messageDirection": "IN",
        "requestId": "Zx1abc=",
        "requestTime": _TIME,
        "requestTimeEpoch": _TIME_EPOCH,
        "routeKey": route,
        "stage": stage,
        **_left_by(authorizer),
    }


# For authorizers


def _http_1_authorizer_event(request: _Request, stage: str, sources: Sequence[str] | None) -> _Event:
    identity = _identity(request, _http(request, stage, None), sources)
    joined = ",".join(identity) if identity else None
    return {
        "version": "1.0",
        "type": "REQUEST",
        "methodArn": _arn(stage, f"{request.method}{_decoded(request.path)}"),
        "identitySource": joined,
        "authorizationToken": joined,
        **_rest(request, stage, None),
    }


def _http_2_authorizer_event(request: _Request, stage: str, sources: Sequence[str] | None) -> _Event:
    event = _http(request, stage, None)
    return {
        **event,
        "type": "REQUEST",
        "routeArn": _arn(stage, f"{request.method}{_decoded(request.path)}"),
        "identitySource": _identity(request, event, sources) or None,
    }


def _appsync_authorizer_event(headers: _Lists) -> _Event:
    lower = {**_joined(_lower(headers)), "host": f"example.appsync-api.{_REGION}.amazonaws.com"}
    return {
        "authorizationToken": _authorization("appsync-authorizer", headers),
        "requestContext": {
            "apiId": "kh4gqwertyuiop",
            "accountId": _ACCOUNT,
            "requestId": "f4081827-1111-4444-5555-5cf4695f339f",
            "queryString": "query Price($size: Int!) { price(size: $size) { total } }",
            "operationName": "Price",
            "variables": {"size": 1_600},
        },
        "requestHeaders": lower,
    }


def _authorization(kind: LambdaEventKind, headers: _Lists) -> str:
    """The header that is all that such an authorizer gets of the request."""
    values = _values(headers, "Authorization")
    if not values:
        raise ConfigurationError(
            f"token: expected one, or a header Authorization: without it AWS asks no {kind!r}, and refuses by itself"
        )
    return values[-1]


def _identity(request: _Request, event: _Event, sources: Sequence[str] | None) -> list[str]:
    """The values of the identity sources of an HTTP API's authorizer; `event` is the request in format 2.0."""
    if sources is None:
        return (
            [",".join(_values(request.headers, "Authorization"))] if _values(request.headers, "Authorization") else []
        )
    context = event["requestContext"]
    values = []
    for source in sources:
        where, _, name = source.rpartition(".")
        value = {
            "$request.header": ",".join(_values(request.headers, name)),
            "$request.querystring": ",".join(request.query.get(name, [])),
            "$context": {"httpMethod": request.method, "path": context["http"]["path"], **context}.get(name),
        }.get(where)
        if not isinstance(value, str) or not value:
            raise ConfigurationError(
                f"identity_sources: expected $request.header.NAME, $request.querystring.NAME or $context.NAME that the "
                f"request has, found {shown(source)}; without one of its sources no authorizer is asked: the client "
                "gets a 401"
            )
        values.append(value)
    return values


def _arn(stage: str, below: str) -> str:
    return f"arn:aws:execute-api:{_REGION}:{_ACCOUNT}:{_API_ID}/{stage}/{below}"


def _decoded(path: str) -> str:
    """As HTTP APIs hand a path on: what follows a `%3F` is lost."""
    return unquote(path).partition("?")[0]


# Several values under one name


def _lists(values: _Values | None) -> _Lists:
    lists = {name: [value] if isinstance(value, str) else list(value) for name, value in (values or {}).items()}
    return {name: several for name, several in lists.items() if several}


def _last(values: _Lists) -> dict[str, str]:
    return {name: several[-1] for name, several in values.items()}


def _joined(values: _Lists) -> dict[str, str]:
    return {name: ",".join(several) for name, several in values.items()}


def _lower(headers: _Lists) -> _Lists:
    lower: _Lists = {}
    for name, values in headers.items():
        lower.setdefault(name.lower(), []).extend(values)
    return lower


def _values(headers: _Lists, name: str) -> list[str]:
    return _lower(headers).get(name.lower(), [])


def _left_by(authorizer: Mapping[str, Any] | None) -> _Event:
    # A copy, down to the claims: what a handler writes into its event must not stand in the next one.
    return {} if authorizer is None else {"authorizer": deepcopy(authorizer)}
