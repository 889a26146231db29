"""What an integration costs: requests per second of a real server, with it and without, for a token seen before.

    python -m benchmarks.frameworks [ROW ...]

Servers of one worker, each a process of its own, are asked in turns; a ratio is taken within a turn. A second is one of
the worker's processor, which is all that a busy worker has: whatever else the machine does, the figure stays. The
application answers the same few bytes in all. Where a framework has a place for authentication, a third server has
something there that lets everybody in: what that costs is the framework's. To add a framework, add a row. Linux alone
tells the time of another process's processor.

All run on one processor: two of a machine's are often halves of one, and a server would wait for its client's half.
"""

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from statistics import median, quantiles
from typing import Any, Literal, NoReturn

from benchmarks.corpus import CLIENT_ID, SigningPool
from benchmarks.report import Table, as_text, machine
from cognito_verify import CognitoVerifier

__all__ = ["ROWS", "Cost", "Row", "frameworks_table", "measure_frameworks"]

_Verifier = CognitoVerifier[Any] | None
_LEAST = 0.95  # of the requests per second without the integration
_CONNECTIONS = 8
_TURN = 80  # requests: short turns, for machines whose speed drifts
_Kind = Literal["bare", "idle", "guarded"]


@dataclass(frozen=True, slots=True)
class Row:
    """A framework: its application without an integration (None) or with one, and the server that it runs on."""

    server: Literal["uvicorn", "waitress"]
    app: Callable[[_Verifier], Any]
    idle: Callable[[], Any] | None = None  # with the framework's own place for authentication, and nothing verified

    def served(self, kind: _Kind, verifier: _Verifier) -> Any:
        if kind != "idle":
            return self.app(verifier if kind == "guarded" else None)
        assert self.idle is not None
        return self.idle()


def _asgi(verifier: _Verifier) -> Any:
    from cognito_verify.integrations.asgi import CognitoMiddleware

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello"})

    return app if verifier is None else CognitoMiddleware(app, verifier)


def _asgi_least(verifier: _Verifier) -> Any:
    """The least that remembers tokens by their hash: no token is checked, none is handed on."""
    app, seen = _asgi(None), set[bytes]()

    async def least(scope: Any, receive: Any, send: Any) -> None:
        for name, value in scope["headers"]:
            if name == b"authorization":
                digest = sha256(value).digest()
                if digest not in seen:
                    seen.add(digest)
        await app(scope, receive, send)

    return app if verifier is None else least


def _wsgi(verifier: _Verifier) -> Any:
    from cognito_verify.integrations.wsgi import CognitoMiddleware

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"hello"]

    return app if verifier is None else CognitoMiddleware(app, verifier)


def _starlette(verifier: _Verifier) -> Any:
    from cognito_verify.integrations.starlette import CognitoAuthenticationMiddleware

    return _starlette_app(*([] if verifier is None else [(CognitoAuthenticationMiddleware, {"verifier": verifier})]))


def _starlette_idle() -> Any:
    from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
    from starlette.middleware.authentication import AuthenticationMiddleware

    class Everybody(AuthenticationBackend):
        async def authenticate(self, _: object) -> tuple[AuthCredentials, SimpleUser]:
            return AuthCredentials(["authenticated"]), SimpleUser("somebody")

    return _starlette_app((AuthenticationMiddleware, {"backend": Everybody()}))


def _starlette_app(*guards: tuple[Any, dict[str, Any]]) -> Any:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def hello(_request: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    return Starlette(routes=[Route("/", hello)], middleware=[Middleware(guard, **given) for guard, given in guards])


def _fastapi(verifier: _Verifier) -> Any:
    from cognito_verify.integrations.fastapi import CognitoBearer

    return _fastapi_app(*([] if verifier is None else [CognitoBearer(verifier)]))


def _fastapi_idle() -> Any:
    from fastapi.security import HTTPBearer

    return _fastapi_app(HTTPBearer())  # wants a token, and takes any


def _fastapi_app(*guards: Any) -> Any:
    from fastapi import FastAPI, Security

    app = FastAPI(dependencies=[Security(guard) for guard in guards])

    @app.get("/")
    async def hello() -> str:
        return "hello"

    return app


def _flask(verifier: _Verifier) -> Any:
    from flask import Flask

    from cognito_verify.integrations.flask import CognitoAuth

    app = Flask(__name__)

    def hello() -> str:
        return "hello"

    guard = None if verifier is None else CognitoAuth(app, verifier).required()
    app.add_url_rule("/", view_func=hello if guard is None else guard(hello))
    return app


def _django(verifier: _Verifier) -> Any:
    from django.http import HttpRequest, HttpResponse

    from cognito_verify.integrations.django.decorators import require_token

    def hello(_: HttpRequest) -> HttpResponse:
        return HttpResponse("hello")

    return _django_project(verifier, lambda: hello if verifier is None else require_token()(hello))


def _rest_framework(verifier: _Verifier) -> Any:
    def view() -> Any:
        from cognito_verify.integrations.django.rest_framework import CognitoAuthentication, HasToken

        return _rest_framework_view(*([] if verifier is None else [CognitoAuthentication, HasToken]))

    return _django_project(verifier, view)


def _rest_framework_idle() -> Any:
    def view() -> Any:
        from rest_framework.authentication import BaseAuthentication
        from rest_framework.permissions import IsAuthenticated

        class Somebody:
            is_authenticated = True

        class Everybody(BaseAuthentication):  # type: ignore[misc]
            def authenticate(self, _: object) -> tuple[Somebody, None]:
                return Somebody(), None

        return _rest_framework_view(Everybody, IsAuthenticated)

    return _django_project(None, view)


def _rest_framework_view(*guards: Any) -> Any:
    from rest_framework.renderers import JSONRenderer
    from rest_framework.response import Response
    from rest_framework.views import APIView

    def hello(_view: object, _request: object) -> Response:
        return Response("hello")

    classes = {
        "authentication_classes": guards[:1],
        "permission_classes": guards[1:],
        "renderer_classes": [JSONRenderer],
    }
    hello_view: Any = type("Hello", (APIView,), {"get": hello, **classes})
    return hello_view.as_view()


def _django_project(verifier: _Verifier, view: Callable[[], Any]) -> Any:
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.urls import path

    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        COGNITO_VERIFY=None if verifier is None else {"USER_POOL_ID": verifier._pools, "TOKEN_USE": "access"},
        INSTALLED_APPS=["rest_framework", "cognito_verify.integrations.django"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        REST_FRAMEWORK={"UNAUTHENTICATED_USER": None},
        ROOT_URLCONF=type("urls", (), {"urlpatterns": []}),
    )
    django.setup()
    settings.ROOT_URLCONF.urlpatterns.append(path("", view()))
    return get_wsgi_application()


def _powertools(verifier: _Verifier) -> Any:
    from cognito_verify.integrations.powertools import CognitoMiddleware

    return _powertools_app(*([] if verifier is None else [CognitoMiddleware(verifier)]))


def _powertools_idle() -> Any:
    def everybody(app: Any, next_middleware: Any) -> Any:
        return next_middleware(app)

    return _powertools_app(everybody)


def _powertools_app(*guards: Any) -> Any:
    """A resolver, asked as Lambda asks it: a server makes an HTTP API's event of the request."""
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
    from aws_lambda_powertools.utilities.typing import LambdaContext

    resolver = APIGatewayHttpResolver()
    resolver.use(middlewares=list(guards))

    @resolver.get("/")
    def hello() -> Response[str]:
        return Response(200, content_type="text/plain", body="hello")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        headers = {name[5:].replace("_", "-").lower(): environ[name] for name in environ if name.startswith("HTTP_")}
        http = {"method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"]}
        event = {"version": "2.0", "headers": headers, "rawPath": http["path"]}
        answer = resolver.resolve({**event, "requestContext": {"http": http, "stage": "$default"}}, LambdaContext())
        start_response(f"{answer['statusCode']} OK", list(answer["headers"].items()))
        return [answer["body"].encode()]

    return app


def _mcp(verifier: _Verifier) -> Any:
    from cognito_verify.integrations.mcp import CognitoRefusalMiddleware, CognitoTokenVerifier

    if verifier is None:
        return _mcp_app()
    tokens = CognitoTokenVerifier(verifier)
    auth = tokens.auth_settings(resource_server_url="http://127.0.0.1/mcp")
    return _mcp_app((CognitoRefusalMiddleware, {"token_verifier": tokens}), token_verifier=tokens, auth=auth)


def _mcp_idle() -> Any:
    from mcp.server.auth.provider import AccessToken
    from mcp.server.auth.settings import AuthSettings

    class Everybody:
        async def verify_token(self, token: str) -> AccessToken:
            return AccessToken(token=token, client_id="somebody", scopes=[])

    auth: Any = {
        "issuer_url": "http://127.0.0.1",
        "resource_server_url": "http://127.0.0.1/mcp",
        "validate_token_resource": False,
    }
    return _mcp_app(token_verifier=Everybody(), auth=AuthSettings(**auth))


def _mcp_app(*middlewares: tuple[Any, dict[str, Any]], **options: Any) -> Any:
    """A server of mcp 2 without sessions; whatever is asked is a call of its tool."""
    import asyncio

    from mcp.server import MCPServer

    server = MCPServer("hello", log_level="WARNING", **options)
    server.tool(name="hello")(lambda: "hello")
    served = server.streamable_http_app(stateless_http=True, json_response=True)
    for middleware, given in middlewares:
        served.add_middleware(middleware, **given)
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "hello", "arguments": {}}}
    body = json.dumps(call).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"mcp-protocol-version", b"2025-06-18"),
    ]
    ready = asyncio.Event()
    started: list[asyncio.Task[None]] = []

    async def run() -> None:  # the servers of this module have no lifespan
        async with served.router.lifespan_context(served):
            ready.set()
            await asyncio.Event().wait()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def receive_call() -> Any:
            message = await receive()
            return {**message, "body": body} if message["type"] == "http.request" else message

        if not started:
            started.append(asyncio.create_task(run()))
        await ready.wait()
        request = {**scope, "method": "POST", "path": "/mcp", "raw_path": b"/mcp"}
        request["headers"] = [one for one in scope["headers"] if one[0] != b"accept"] + headers
        request["headers"].append((b"accept", b"application/json, text/event-stream"))
        await served(request, receive_call, send)

    return app


ROWS: dict[str, Row] = {
    "ASGI, a hash alone": Row("uvicorn", _asgi_least),
    "ASGI": Row("uvicorn", _asgi),
    "Starlette": Row("uvicorn", _starlette, _starlette_idle),
    "FastAPI": Row("uvicorn", _fastapi, _fastapi_idle),
    "WSGI": Row("waitress", _wsgi),
    "Flask": Row("waitress", _flask),
    "Django": Row("waitress", _django),
    "Django REST framework": Row("waitress", _rest_framework, _rest_framework_idle),
    "Powertools": Row("waitress", _powertools, _powertools_idle),
    "MCP": Row("uvicorn", _mcp, _mcp_idle),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What an integration costs: seconds of a request without and with it, and their ratio within a turn."""

    name: str
    without: float
    with_it: float
    ratio: tuple[float, float, float]  # the lower quartile, the median, the upper one
    more: float  # microseconds
    idle: float | None  # microseconds, of which the framework takes so many by itself


def measure_frameworks(*, quick: bool, names: Sequence[str] = ()) -> list[Cost]:
    pool = SigningPool.new("us-east-1_AbCdEfGhI")
    with _one_processor():
        return [_measured(name, pool, turns=30 if quick else 200) for name in names or ROWS]


def frameworks_table(costs: Sequence[Cost]) -> Table:
    columns = ("requests per second", "without", "with", "ratio", "middle half", "us more", "the framework's", "target")
    rows = [
        (
            cost.name,
            f"{1 / cost.without:,.0f}",
            f"{1 / cost.with_it:,.0f}",
            f"{cost.ratio[1]:.2f}",
            f"{cost.ratio[0]:.2f} to {cost.ratio[2]:.2f}",
            f"{cost.more:.0f}",
            "" if cost.idle is None else f"{cost.idle:.0f}",
            f">= {_LEAST}, {'met' if cost.ratio[1] >= _LEAST else 'MISSED'}",
        )
        for cost in costs
    ]
    notes = [
        f"One worker, one access token, seen before; {_CONNECTIONS} connections kept open, turns of {_TURN} requests. "
        "Seconds of the worker's processor.",
        '"The framework\'s" is the part of "us more" that it takes for an authentication which lets everybody in: '
        "Starlette's AuthenticationMiddleware, FastAPI's HTTPBearer, an authentication and a permission class, a "
        "middleware of Powertools, a token verifier of the MCP SDK.",
    ]
    return Table("frameworks", columns, rows, notes)


@contextmanager
def _one_processor() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})  # the servers inherit it
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _measured(name: str, pool: SigningPool, *, turns: int) -> Cost:
    kinds: list[_Kind] = ["bare", "guarded"] if ROWS[name].idle is None else ["bare", "idle", "guarded"]
    with ExitStack() as stack:
        clients = {
            kind: stack.enter_context(_client(*stack.enter_context(_server(name, kind, pool)), pool.access_token()))
            for kind in kinds
        }
        for run in [*clients.values()] * 10:
            run()  # warm: keys, the token, the interpreter's caches
        found: dict[_Kind, list[float]] = {kind: [] for kind in kinds}
        for turn in range(turns):
            for kind in kinds if turn % 2 else reversed(kinds):
                found[kind].append(clients[kind]())
    pairs = list(zip(found["bare"], found["guarded"], strict=True))
    low, ratio, high = quantiles([before / after for before, after in pairs], n=4, method="inclusive")
    return Cost(
        name,
        without=median(found["bare"]),
        with_it=median(found["guarded"]),
        ratio=(low, ratio, high),
        more=_more(found, "guarded"),
        idle=_more(found, "idle") if "idle" in found else None,
    )


def _more(found: dict[_Kind, list[float]], kind: _Kind) -> float:
    """Microseconds that a request takes more than in the bare framework, within its turn."""
    return median(one - bare for one, bare in zip(found[kind], found["bare"], strict=True)) * 1e6


@contextmanager
def _server(name: str, kind: _Kind, pool: SigningPool) -> Iterator[tuple[int, int]]:
    """The port of a new process that serves the row, and the clock of its processor time."""
    command = [sys.executable, "-m", "benchmarks.frameworks", "--serve", name, kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"pool": pool.pool_id, "jwks": pool.jwks}) + "\n")
        process.stdin.flush()
        try:
            yield int(process.stdout.readline()), ~process.pid << 3 | 2  # as clock_getcpuclockid(3) makes it
        finally:
            process.kill()


def _serve(name: str, kind: _Kind) -> None:
    given = json.loads(sys.stdin.readline())
    verifier = CognitoVerifier(given["pool"], client_id=CLIENT_ID, token_use="access", jwks=given["jwks"])
    row = ROWS[name]
    app = row.served(kind, verifier)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or answers wait; asyncio leaves it to the giver
    print(listener.getsockname()[1], flush=True)
    if row.server == "uvicorn":
        import uvicorn

        uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_keep_alive=600)).run([listener])
    else:
        import waitress

        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # warns of each request that waits for a thread
        waitress.serve(app, sockets=[listener], threads=_CONNECTIONS, channel_timeout=600, _quiet=True)


@contextmanager
def _client(port: int, clock: int, raw: str) -> Iterator[Callable[[], float]]:
    """A function that makes a turn's requests and says the seconds of the server's processor that one took."""
    request = (
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\nUser-Agent: benchmarks\r\n"
        f"Authorization: Bearer {raw}\r\n\r\n"
    ).encode()
    with ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(_CONNECTIONS)]
        for connection in connections:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def run() -> float:
            started = time.clock_gettime(clock)
            for _ in range(_TURN // _CONNECTIONS):
                for connection in connections:
                    connection.sendall(request)
                for connection in connections:
                    _read_answer(connection)
            return (time.clock_gettime(clock) - started) / _TURN

        yield run


def _read_answer(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65_536) or _closed()
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]) - len(body)
    while left > 0:
        left -= len(connection.recv(left) or _closed())


def _closed() -> NoReturn:
    raise ConnectionError("the server closed a connection in the middle of an answer")


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        name, kind = sys.argv[2:]
        _serve(name, kind)  # type: ignore[arg-type]
        return
    print(machine())
    print(as_text(frameworks_table(measure_frameworks(quick=False, names=sys.argv[1:]))))


if __name__ == "__main__":
    main()
