"""API Gateway on loopback, as far as the CostCalculator needs it: HTTP in, Lambda events, HTTP out.

The events are those of `cognito_verify.testing`. Authorizers' policies and simple answers are evaluated, and cached by
identity source, as API Gateway does. It is an example to read and to play with, not an emulator: what is not needed is
missing.

Source: "Control access to a REST API with a Lambda authorizer", "Control access to HTTP APIs with AWS Lambda
authorizers", "Lambda proxy integrations", API Gateway Developer Guide.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl

from cognito_verify import AccessToken, CognitoVerifier, IdToken
from cognito_verify.testing import is_allowed, lambda_event
from examples.cost_calculator import calculate_price, reports
from examples.cost_calculator.authorizer import authorizer_for

__all__ = ["HttpApi", "Request", "Response", "RestApi", "Route", "http_api", "rest_api", "served", "simple_http_api"]

Function = Callable[[Any, Any], Any]
Event = dict[str, Any]

_MAX_BODY = 1_000_000  # bytes
_CORS = {"Access-Control-Allow-Origin": "*"}
_PREFLIGHT = {
    **_CORS,
    "Access-Control-Allow-Headers": "Authorization,Content-Type",
    "Access-Control-Allow-Methods": "GET,POST,OPTIONS",
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What came over HTTP; `path` is as it was sent, without the query."""

    method: str
    path: str
    headers: Sequence[tuple[str, str]] = ()
    query: str = ""
    body: str = ""

    def header(self, name: str) -> str:
        """All values of a header, joined."""
        return ",".join(value for one, value in self.headers if one.lower() == name.lower())


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out over HTTP."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path of the API, and what stands behind it.

    Attributes:
        key: As in "GET /reports/{id}".
        function: The Lambda handler.
        is_proxy: Lambda proxy integration; otherwise the function gets the mapped body and gives the answer's.
    """

    key: str
    function: Function
    is_proxy: bool = True

    def takes(self, method: str, path: str) -> bool:
        """Whether this is the route of a request. A slash at the end changes nothing."""
        own_method, pattern = self.key.split(" ")
        form = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern)) + "/?"
        return method == own_method and re.fullmatch(form, path) is not None


class Api(Protocol):
    """What can be served."""

    def answer(self, request: Request) -> Response:
        """The answer to one request."""


class RestApi:
    """A REST API with one stage and a `TOKEN` authorizer on all of its routes.

    Args:
        routes: What it has.
        authorizer: A Lambda authorizer.
        stage: The first segment of every path.
        ttl: Seconds for which a policy is used again for the same token; 300 where a console's user sets nothing.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        authorizer: Function,
        *,
        stage: str = "dev",
        ttl: float = 300,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._routes = routes
        self._authorizer = authorizer
        self._stage = stage
        self._answers = _Cache(ttl, clock)

    def answer(self, request: Request) -> Response:
        """What API Gateway would answer, its gateway responses set as in template.yaml."""
        path = request.path.removeprefix(f"/{self._stage}")
        if path == request.path or not path.startswith("/"):
            return _json(403, {"message": "Forbidden"})
        if request.method == "OPTIONS":  # a mock integration: a browser's preflight carries no token
            return Response(200, headers=_PREFLIGHT)
        route = _routed(self._routes, request.method, path)
        if route is None:
            return _json(403, {"message": "Missing Authentication Token"})
        token = request.header("Authorization")
        if not token:
            return _unauthorized()
        event = lambda_event(
            "token-authorizer",
            headers={"Authorization": token},
            method=request.method,
            path=path,
            stage=self._stage,
        )
        try:
            answer = self._answers.get((token,), lambda: _invoked(self._authorizer, event))
        except Exception as error:  # what the function raises is the gateway's to translate
            if str(error) == "Unauthorized":
                return _unauthorized()
            _log.warning("authorizer: %s: %s", type(error).__name__, error)
            return _json(500, {"message": None}, _CORS)
        context = answer.get("context", {})
        if not is_allowed(answer, event):
            message = "User is not authorized to access this resource"
            return _json(403, {"message": message, "code": context.get("code", "")}, _CORS)
        if not route.is_proxy:
            return _integrated(route.function, request)
        authorizer = {"principalId": answer["principalId"], **{name: _text(value) for name, value in context.items()}}
        proxied = lambda_event(
            "rest",
            method=request.method,
            path=path,
            route=route.key,
            headers=_several(request.headers),
            query=_several(parse_qsl(request.query, keep_blank_values=True)),
            body=request.body or None,
            stage=self._stage,
            authorizer=authorizer,
        )
        response = _proxied(route.function, proxied)
        remapped = {_REMAPPED.get(name.lower(), name): value for name, value in response.headers.items()}
        return Response(response.status, response.body, remapped)


class HttpApi:
    """An HTTP API with the stage `$default`: without an authorizer, or with one in payload format 2.0.

    Args:
        routes: What it has; proxy integration alone.
        authorizer: A Lambda authorizer, or None.
        identity_sources: What the authorizer's answers are cached by. The client must send those of them that are its.
        ttl: Seconds; 0 (no cache) where nothing is set.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        authorizer: Function | None = None,
        *,
        identity_sources: Sequence[str] = ("$request.header.Authorization",),
        ttl: float = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._routes = routes
        self._authorizer = authorizer
        self._identity_sources = identity_sources
        self._answers = _Cache(ttl, clock)

    def answer(self, request: Request) -> Response:
        """What API Gateway would answer."""
        route = _routed(self._routes, request.method, request.path)
        if route is None:
            return _json(404, {"message": "Not Found"})
        described: dict[str, Any] = {
            "method": request.method,
            "path": request.path,
            "route": route.key,
            "headers": _several(request.headers),
            "query": _several(parse_qsl(request.query, keep_blank_values=True)),
        }
        left: dict[str, Any] | None = None
        if self._authorizer is not None:
            identity = [self._identity(source, request, route) for source in self._identity_sources]
            if not all(identity):
                return _json(401, {"message": "Unauthorized"})
            event = lambda_event("http-2.0-authorizer", **described, identity_sources=self._identity_sources)
            authorizer = self._authorizer
            try:
                answer = self._answers.get(tuple(identity), lambda: _invoked(authorizer, event))
            except Exception as error:  # likewise
                _log.warning("authorizer: %s: %s", type(error).__name__, error)
                return _json(500, {"message": "Internal Server Error"})
            if not is_allowed(answer, event):
                return _json(403, {"message": "Forbidden"})
            left = {"lambda": answer.get("context", {})}
        return _proxied(route.function, lambda_event("http", **described, body=request.body or None, authorizer=left))

    @staticmethod
    def _identity(source: str, request: Request, route: Route) -> str:
        kind, _, name = source.rpartition(".")
        if kind == "$request.header":
            return request.header(name)
        return {"$context.routeKey": route.key, "$context.path": request.path}[source]


def rest_api(verifier: CognitoVerifier[AccessToken | IdToken], *, clock: Callable[[], float] = time.time) -> RestApi:
    """The lab's REST API `calculatePrice`, stage `dev`, as template.yaml sets it up."""
    routes = (
        Route("POST /pricepermeter", calculate_price.handler, is_proxy=False),
        Route("POST /proxy/pricepermeter", calculate_price.proxy_handler),
        Route("GET /reports/{id}", reports.handler),
    )
    return RestApi(routes, authorizer_for(verifier), clock=clock)


def http_api(verifier: CognitoVerifier[AccessToken | IdToken]) -> HttpApi:
    """The HTTP API without an authorizer, likewise: the decorator alone."""
    return HttpApi([Route("POST /pricepermeter", calculate_price.http_handler_for(verifier))])


def simple_http_api(
    verifier: CognitoVerifier[AccessToken | IdToken], *, clock: Callable[[], float] = time.time
) -> HttpApi:
    """An HTTP API whose authorizer gives simple answers; cached, so that the route key is an identity source."""
    return HttpApi(
        (
            Route("POST /pricepermeter", calculate_price.proxy_handler),
            Route("GET /reports/{id}", reports.handler),
        ),
        authorizer_for(verifier, http_api_response="simple"),
        identity_sources=("$request.header.Authorization", "$context.routeKey"),
        ttl=300,
        clock=clock,
    )


@contextmanager
def served(api: Api, *, port: int = 0) -> Iterator[str]:
    """An API on loopback for as long as the context lasts; gives its endpoint."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30  # seconds for a client to send its request

        def _converse(self) -> None:
            size = self.headers.get("Content-Length", "0")
            if not size.isdecimal() or int(size) > _MAX_BODY or "Transfer-Encoding" in self.headers:
                self.close_connection = True
                self._send(_json(413, {"message": "Request Too Long"}))
                return
            body = self.rfile.read(int(size)).decode(errors="replace")
            path, _, query = self.path.partition("?")
            request = Request(self.command, path, [(name, value) for name, value in self.headers.items()], query, body)
            try:
                response = api.answer(request)
            except Exception as error:  # a function that fails: the gateway answers, and goes on
                _log.warning("function: %s: %s", type(error).__name__, error)
                response = _json(502, {"message": "Internal server error"})
            self._send(response)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _converse  # noqa: N815 - http.server's names

        def _send(self, response: Response) -> None:
            content = response.body.encode()
            self.send_response(response.status)
            for name, value in {**response.headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Nothing: the demo says what it calls."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Cache:
    """An authorizer's answers by identity source. What is raised is not kept."""

    def __init__(self, ttl: float, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._clock = clock
        self._kept: dict[tuple[str, ...], tuple[float, Event]] = {}

    def get(self, identity: tuple[str, ...], ask: Callable[[], Event]) -> Event:
        now = self._clock()
        ends, answer = self._kept.get(identity, (0.0, {}))
        if ends <= now:
            answer = ask()
            if self._ttl > 0:
                self._kept = {one: kept for one, kept in self._kept.items() if kept[0] > now}
                self._kept[identity] = (now + self._ttl, answer)
        return answer


# API Gateway renames what it wants to say itself.
_REMAPPED = {"www-authenticate": "x-amzn-Remapped-WWW-Authenticate"}


def _routed(routes: Sequence[Route], method: str, path: str) -> Route | None:
    return next((route for route in routes if route.takes(method, path)), None)


def _invoked(function: Function, event: object) -> Any:
    """What Lambda makes of a call: JSON in, JSON out."""
    return json.loads(json.dumps(function(json.loads(json.dumps(event)), None)))


def _proxied(function: Function, event: Event) -> Response:
    answer = _invoked(function, event)
    body = answer.get("body", "")
    if answer.get("isBase64Encoded"):
        body = b64decode(body).decode()
    return Response(answer["statusCode"], body, answer.get("headers", {}))


def _integrated(function: Function, request: Request) -> Response:
    """The plain Lambda integration, its templates and selection patterns as in template.yaml."""
    if request.header("Content-Type").partition(";")[0].strip() not in ("", "application/json"):
        return _json(415, {"message": "Unsupported Media Type"}, _CORS)
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    members = body if isinstance(body, dict) else {}
    mapped = {name: members.get(name, "") for name in ("price", "size", "unit", "downPayment")}
    try:
        return _json(200, _invoked(function, mapped), _CORS)
    except Exception as error:  # matched by its message
        if str(error).startswith("Bad request"):
            return _json(400, {"message": str(error)}, _CORS)
        _log.warning("function: %s: %s", type(error).__name__, error)
        return _json(500, {"message": "Internal server error"}, _CORS)


def _unauthorized() -> Response:
    return _json(401, {"message": "Unauthorized"}, {**_CORS, "WWW-Authenticate": "Bearer"})


def _json(status: int, content: object, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, json.dumps(content), {"Content-Type": "application/json", **(headers or {})})


def _several(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _text(value: object) -> object:
    """A REST API hands an authorizer's numbers and booleans on as strings."""
    return value if isinstance(value, str) else json.dumps(value)
