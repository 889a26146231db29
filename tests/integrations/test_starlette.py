"""Starlette's authentication with verified tokens, under uvicorn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from cognito_verify.errors import ConfigurationError
from cognito_verify.integrations.starlette import (
    CognitoAuthenticationError,
    CognitoAuthenticationMiddleware,
    CognitoBackend,
    CognitoUser,
)
from cognito_verify.testing import Clock, FakeUserPool
from tests.integrations.refusals import PATHS, REFUSED, Guards, Refused, assert_refused, bearer, who
from tests.integrations.serving import Reply, ask, served_by_uvicorn

PREFLIGHT = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")]


async def hello(request: Request) -> Response:
    assert request.user.token.username == request.user.display_name
    return JSONResponse(who())


def in_a_thread(request: Request) -> Response:
    assert request.user.is_authenticated
    return JSONResponse(who())


async def talk(websocket: WebSocket) -> None:
    await websocket.accept(subprotocol="bearer" if websocket.scope["subprotocols"] else None)
    await websocket.send_json({"username": websocket.user.display_name, **who()})


def guarded_app(guards: Guards) -> Starlette:
    routes: list[Any] = []
    for path in sorted(PATHS, reverse=True):  # "/" last: a mount takes what begins like it
        guard = Middleware(CognitoAuthenticationMiddleware, verifier=guards.of(path), **PATHS[path])
        inner = [Route("/", hello), Route("/threads", in_a_thread), WebSocketRoute("/", talk)]
        routes += [
            WebSocketRoute(path, talk, middleware=[guard]),
            Route(path, hello, middleware=[guard]),
            Mount(path, routes=inner, middleware=[guard]),
        ]
    return Starlette(routes=routes)


@pytest.fixture(scope="module")
def url(guards: Guards) -> Iterator[str]:
    with served_by_uvicorn(guarded_app(guards)) as url:
        yield url


@pytest.mark.parametrize(
    ("path", "claims"),
    [("/", {}), ("/threads", {}), ("/finance", {"groups": "finance"}), ("/orders", {"scopes": "orders/read"})],
)
def test_an_endpoint_gets_the_user_and_everything_below_it_the_token(
    url: str, guards: Guards, path: str, claims: dict[str, Any]
) -> None:
    reply = ask(url + path, bearer(guards.pool.access_token("ada", **claims)))
    assert (reply.status, reply.json) == (200, {"username": "ada"})


@pytest.mark.parametrize("request_", REFUSED, ids=str)
def test_a_refusal_is_answered_as_everywhere(url: str, guards: Guards, request_: Refused) -> None:
    assert_refused(ask(url + request_.path, request_.headers(guards.pool)), request_, guards)


@pytest.mark.parametrize("request_", [one for one in REFUSED if one.name != "two-headers"], ids=str)
def test_a_websocket_is_refused_before_it_opens_as_a_request_would_be(
    url: str, guards: Guards, request_: Refused
) -> None:
    ws = f"ws{url.removeprefix('http')}{request_.path}"
    with pytest.raises(InvalidStatus) as refusal:
        connect(ws, proxy=None, additional_headers=dict(request_.headers(guards.pool)))
    response = refusal.value.response
    found = {name.lower(): value for name, value in response.headers.raw_items()}
    assert_refused(Reply(response.status_code, found, bytes(response.body or b"")), request_, guards)


def test_a_websocket_takes_the_token_of_its_header_or_of_its_subprotocols(url: str, guards: Guards) -> None:
    raw, ws = guards.pool.access_token("ada"), f"ws{url.removeprefix('http')}/"
    with connect(ws, proxy=None, additional_headers=dict(bearer(raw))) as socket:
        assert json.loads(socket.recv()) == {"username": "ada"}
    with connect(ws, proxy=None, subprotocols=["bearer", raw]) as socket:  # type: ignore[list-item]
        assert (json.loads(socket.recv()), socket.subprotocol) == ({"username": "ada"}, "bearer")


def test_an_application_does_not_see_the_token_that_a_websocket_offered(guards: Guards) -> None:
    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json([websocket.scope["subprotocols"], "sec-websocket-protocol" in websocket.headers])

    inner = Starlette(
        routes=[WebSocketRoute("/", chat)],
        middleware=[Middleware(CognitoAuthenticationMiddleware, verifier=guards.verifier)],
    )

    async def reader(scope: Any, receive: Any, send: Any) -> None:
        assert "sec-websocket-protocol" in HTTPConnection(scope).headers  # which Starlette keeps
        await inner(scope, receive, send)

    for app in (inner, CognitoAuthenticationMiddleware(inner, guards.verifier), reader):  # the second verifies it anew
        with served_by_uvicorn(app, lifespan="off") as url:
            offered: Any = ["chat", "bearer", guards.pool.access_token("ada")]
            with connect(url.replace("http", "ws"), proxy=None, subprotocols=offered) as socket:
                assert (json.loads(socket.recv()), socket.subprotocol) == ([["chat"], False], "bearer")


def test_a_websocket_is_closed_when_its_token_expires() -> None:
    clock = Clock()
    pool = FakeUserPool(clock=clock)
    heard: list[Any] = [{"type": "websocket.connect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return heard.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        assert who()["username"] == "ada"
        clock.tick(3_600)
        with pytest.raises(WebSocketDisconnect):
            await websocket.send_text("too late")

    app = CognitoAuthenticationMiddleware(Starlette(routes=[WebSocketRoute("/", listen)]), pool.verifier())
    headers = [(b"authorization", pool.access_token("ada").encode())]
    scope = {"type": "websocket", "path": "/", "headers": headers, "query_string": b"", "subprotocols": []}
    asyncio.run(app(scope, receive, send))
    assert sent[1:] == [{"type": "websocket.close", "code": 1008, "reason": "token_expired"}]


def test_a_request_and_a_websocket_work_for_the_server_without_their_token(guards: Guards) -> None:
    found: list[object] = []

    async def receive() -> Any:
        found.append(who()["username"])
        return {"type": "websocket.connect"}

    async def send(_: Any) -> None:
        found.append(who()["username"])

    async def app(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        found.append(who()["username"])

    headers = [(b"authorization", guards.pool.access_token("ada").encode())]
    for kind in ("http", "websocket"):
        scope = {"type": kind, "method": "GET", "headers": headers}
        asyncio.run(CognitoAuthenticationMiddleware(app, guards.verifier)(scope, receive, send))
    assert found == [None, None, "ada"] * 2


def test_a_server_that_cannot_answer_a_websocket_closes_it(guards: Guards) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "subprotocols": []}
    asyncio.run(CognitoAuthenticationMiddleware(guarded_app(guards), guards.verifier)(scope, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "missing_token"}]


def app_with(guards: Guards, *inner: Middleware, **options: Any) -> Starlette:
    """What middlewares for a whole application do."""

    async def anybody(request: Request) -> Response:
        return JSONResponse([request.user.is_authenticated, sorted(request.auth.scopes), who()["username"]])

    @requires("authenticated", status_code=401)
    async def somebody(request: Request) -> Response:
        return PlainTextResponse(request.user.identity)

    @requires(["authenticated", "orders/read"])
    async def reader(request: Request) -> Response:
        return PlainTextResponse(request.user.display_name)

    both = ["GET", "OPTIONS"]
    guard = Middleware(CognitoAuthenticationMiddleware, verifier=guards.verifier, **options)
    return Starlette(
        routes=[Route("/", anybody, methods=both), Route("/somebody", somebody), Route("/reader", reader)],
        middleware=[guard, *inner],
    )


def test_requires_reads_the_scopes_of_the_token(guards: Guards) -> None:
    with served_by_uvicorn(app_with(guards)) as url:
        raw = guards.pool.access_token("ada", scopes=["orders/read"])
        assert ask(url, bearer(raw)).json == [True, ["authenticated", "orders/read"], "ada"]
        assert ask(f"{url}/reader", bearer(raw)).body == b"ada"
        assert ask(f"{url}/reader", bearer(guards.pool.access_token("ada"))).status == 403


def test_an_optional_token_may_be_absent_and_not_bad(guards: Guards) -> None:
    with served_by_uvicorn(app_with(guards, optional=True)) as url:
        assert ask(url).json == [False, [], None]
        assert ask(f"{url}/somebody").status == 401
        raw = guards.pool.access_token("ada")
        assert ask(f"{url}/somebody", bearer(raw)).body.decode() == guards.verifier.verify(raw).sub
        assert ask(url, bearer(guards.pool.expired())).json["code"] == "token_expired"


def test_a_preflight_that_is_allowed_is_nobodys_request(guards: Guards) -> None:
    with served_by_uvicorn(app_with(guards, allow_preflight=True)) as url:
        assert ask(url, PREFLIGHT, method="OPTIONS").json == [False, [], None]
        assert ask(url, method="OPTIONS").status == ask(url, PREFLIGHT).status == 401
        assert ask(url, [*PREFLIGHT, ("X-Method-Override", "DELETE")], method="OPTIONS").status == 401
    with served_by_uvicorn(app_with(guards)) as url:
        assert ask(url, PREFLIGHT, method="OPTIONS").status == 401


def test_a_cors_middleware_outside_answers_preflights_and_adds_its_headers_to_refusals(guards: Guards) -> None:
    cors = Middleware(CORSMiddleware, allow_origins=["https://app.example"], allow_headers=["Authorization"])
    guard = Middleware(CognitoAuthenticationMiddleware, verifier=guards.verifier)
    with served_by_uvicorn(Starlette(routes=[Route("/", hello)], middleware=[cors, guard])) as url:
        assert ask(url, [PREFLIGHT[0], (PREFLIGHT[1][0], "GET")], method="OPTIONS").status == 200
        refusal = ask(url, PREFLIGHT[:1])
    assert (refusal.status, refusal.headers["access-control-allow-origin"]) == (401, "https://app.example")


def test_the_token_is_there_below_a_middleware_that_starts_a_task(guards: Guards) -> None:
    async def dispatch(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response

    with served_by_uvicorn(app_with(guards, Middleware(BaseHTTPMiddleware, dispatch=dispatch))) as url:
        assert ask(url, bearer(guards.pool.access_token("ada"))).json[2] == "ada"


def test_the_lifespan_passes_untouched(guards: Guards) -> None:
    heard: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> Any:
        heard.append("startup")
        yield
        heard.append("shutdown")

    app = Starlette(
        lifespan=lifespan, middleware=[Middleware(CognitoAuthenticationMiddleware, verifier=guards.verifier)]
    )
    with served_by_uvicorn(app, lifespan="on") as url:
        assert ask(url).status == 401
    assert heard == ["startup", "shutdown"]


def test_the_backend_works_in_starlettes_own_middleware(guards: Guards) -> None:
    def on_error(_: object, error: Exception) -> Response:
        assert isinstance(error, CognitoAuthenticationError)
        return PlainTextResponse(error.refusal.code, 401)

    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse(request.user.display_name))])
    guarded = AuthenticationMiddleware(app, CognitoBackend(guards.verifier), on_error)
    with served_by_uvicorn(guarded) as url:
        assert ask(url, bearer(guards.pool.access_token("ada"))).body == b"ada"
        assert ask(url, bearer(guards.pool.tampered())).body == b"invalid_signature"


def test_the_backend_alone_sets_no_current_token_and_hides_no_offer(guards: Guards) -> None:
    async def chat(websocket: WebSocket) -> None:
        await websocket.accept()
        offered = websocket.scope["subprotocols"]
        await websocket.send_json([websocket.user.display_name, who()["username"], len(offered)])

    app = Starlette(routes=[WebSocketRoute("/", chat)])
    offered: Any = ["bearer", guards.pool.access_token("ada")]
    with (
        served_by_uvicorn(AuthenticationMiddleware(app, CognitoBackend(guards.verifier))) as url,
        connect(url.replace("http", "ws"), proxy=None, subprotocols=offered) as socket,
    ):
        assert json.loads(socket.recv()) == ["ada", None, 2]  # as docs/how-to/starlette.md says


def test_a_user_is_named_by_username_and_identified_by_sub(guards: Guards) -> None:
    ada = guards.verifier.verify(guards.pool.access_token("ada"))
    machine = guards.verifier.verify(guards.pool.machine_token(scopes=["orders/read"]))
    assert CognitoUser(ada).is_authenticated
    assert repr(CognitoUser(ada)) == f"CognitoUser({ada!r})"
    assert (CognitoUser(ada).display_name, CognitoUser(ada).identity) == ("ada", ada.sub)
    assert CognitoUser(machine).display_name == machine.client_id


def test_an_id_token_has_no_scopes(guards: Guards) -> None:
    app = app_with(Guards(guards.pool, guards.pool.verifier("id"), guards.keyless))  # type: ignore[arg-type]
    with served_by_uvicorn(app) as url:
        assert ask(url, bearer(guards.pool.id_token("ada"))).json == [True, ["authenticated"], "ada"]


def test_a_senseless_setting_fails_when_the_application_is_built(guards: Guards) -> None:
    with pytest.raises(ConfigurationError, match="groups: "):
        CognitoAuthenticationMiddleware(guarded_app(guards), guards.verifier, groups=[])
    with pytest.raises(ConfigurationError, match="CognitoBackend: expected a CognitoVerifier, found str"):
        CognitoBackend("us-east-1_TestPool1")  # type: ignore[arg-type]
