"""The FastAPI dependency, under uvicorn."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, assert_type

import fastapi
import pytest
from fastapi import APIRouter, BackgroundTasks, FastAPI, Security, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.security import SecurityScopes
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.applications import Starlette
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import HTTPConnection
from starlette.routing import Mount
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from cognito_verify import AccessDeniedError, AccessToken, all_of, current_token
from cognito_verify.errors import ConfigurationError
from cognito_verify.integrations.asgi import CognitoMiddleware
from cognito_verify.integrations.fastapi import CognitoBearer, CognitoHTTPException
from tests.integrations.refusals import PATHS, REFUSED, Guards, Refused, assert_refused, bearer, who
from tests.integrations.serving import Reply, ask, pipelined, served_by_uvicorn

DOMAIN = "https://example.auth.us-east-1.amazoncognito.com"


def guarded_app(guards: Guards) -> FastAPI:
    app = FastAPI()
    assert_type(CognitoBearer(guards.verifier), CognitoBearer[AccessToken])
    for path in PATHS:
        cognito = CognitoBearer(guards.of(path))
        dependency = cognito.requires(**PATHS[path]) if PATHS[path] else cognito

        @app.get(path)
        async def hello(token: Annotated[AccessToken, Security(dependency)]) -> dict[str, str | None]:
            assert token is current_token()
            return await asyncio.to_thread(who)

        @app.websocket(path)
        async def talk(websocket: WebSocket, token: Annotated[AccessToken, Security(dependency)]) -> None:
            await websocket.accept(subprotocol="bearer" if websocket.scope["subprotocols"] else None)
            await websocket.send_json({"username": token.username, **who()})

    cognito = CognitoBearer(guards.verifier)
    late: asyncio.Queue[str | None] = asyncio.Queue()

    @app.get("/threads")
    def in_a_thread(token: Annotated[AccessToken, Security(cognito)]) -> dict[str, str | None]:
        assert token is current_token()
        return who()

    @app.get("/stream", dependencies=[Security(cognito)])
    async def stream(tasks: BackgroundTasks) -> StreamingResponse:

        async def work() -> None:
            late.put_nowait(who()["username"])

        tasks.add_task(work)

        async def parts() -> Any:
            for _ in range(2):
                yield json.dumps(who())

        return StreamingResponse(parts())

    @app.get("/late")
    async def what_came_late() -> list[str | None]:
        return [await late.get(), who()["username"]]

    router = APIRouter(dependencies=[Security(cognito, scopes=["orders/read"])])

    @router.get("/both")
    async def both(token: Annotated[AccessToken, Security(cognito, scopes=["orders/write"])]) -> list[str]:
        return sorted(token.scopes)

    app.include_router(router)
    return app


@pytest.fixture(scope="module")
def url(guards: Guards) -> Iterator[str]:
    with served_by_uvicorn(guarded_app(guards)) as url:
        yield url


@pytest.mark.parametrize(
    ("path", "claims"),
    [("/", {}), ("/threads", {}), ("/finance", {"groups": "finance"}), ("/orders", {"scopes": "orders/read"})],
)
def test_an_endpoint_gets_the_token_and_so_does_everything_below_it(
    url: str, guards: Guards, path: str, claims: dict[str, Any]
) -> None:
    reply = ask(url + path, bearer(guards.pool.access_token("ada", **claims)))
    assert (reply.status, reply.json) == (200, {"username": "ada"})


@pytest.mark.parametrize("request_", REFUSED, ids=str)
def test_a_refusal_is_answered_as_everywhere(url: str, guards: Guards, request_: Refused) -> None:
    assert_refused(ask(url + request_.path, request_.headers(guards.pool)), request_, guards)


def test_nothing_that_comes_after_an_endpoint_has_its_token(url: str, guards: Guards) -> None:
    reply = ask(f"{url}/stream", bearer(guards.pool.access_token("ada")))
    assert reply.body == b'{"username": null}' * 2
    assert ask(f"{url}/late").json == [None, None]


def test_the_next_request_of_a_connection_has_no_token_of_the_one_before(url: str, guards: Guards) -> None:
    """uvicorn starts it in the other's context, while the other streams or has background tasks."""
    answers = pipelined(url, ("/stream", bearer(guards.pool.access_token("ada"))), ("/late", []))
    assert answers.endswith(b"[null,null]")


@pytest.mark.skipif(not hasattr(FastAPI, "frontend"), reason="a FastAPI that serves no front-ends")
@pytest.mark.parametrize("mounted", [False, True])
def test_the_next_request_has_no_token_of_the_front_end_before(guards: Guards, tmp_path: Path, mounted: bool) -> None:
    """FastAPI sends its files before it closes what it would close behind an endpoint."""
    (tmp_path / "index.html").write_text("hello")
    app, router = FastAPI(), APIRouter(dependencies=[Security(CognitoBearer(guards.verifier))])
    router.frontend("/site", directory=tmp_path)
    app.include_router(router)

    @app.get("/open")
    async def open_to_all() -> str | None:
        return who()["username"]

    path = "/in" if mounted else ""
    with served_by_uvicorn(Starlette(routes=[Mount("/in", app)]) if mounted else app, http="h11") as url:
        assert ask(f"{url}{path}/site/index.html").status == 401
        good = bearer(guards.pool.access_token("ada"))
        answers = pipelined(url, (f"{path}/site/index.html", good), (f"{path}/open", []))
    assert (answers.count(b"HTTP/1.1 200 OK"), answers.endswith(b"null")) == (2, True)


def test_what_an_endpoint_started_has_no_token_once_the_request_is_over(guards: Guards) -> None:
    app = FastAPI()
    started: list[asyncio.Task[str | None]] = []
    over = asyncio.Event()

    async def work() -> str | None:
        await over.wait()
        return who()["username"]

    @app.get("/", dependencies=[Security(CognitoBearer(guards.verifier))])
    async def start() -> str | None:
        started.append(asyncio.create_task(work()))
        return who()["username"]

    @app.get("/over")
    async def end() -> str | None:
        over.set()
        return await started.pop()

    with served_by_uvicorn(app) as url:
        assert ask(url, bearer(guards.pool.access_token("ada"))).json == "ada"
        assert ask(f"{url}/over").json is None


def test_where_nothing_tells_when_an_endpoint_has_returned_the_token_is_the_argument_alone(guards: Guards) -> None:
    cognito = CognitoBearer(guards.verifier)
    headers = [(b"authorization", guards.pool.access_token("ada").encode())]

    async def call() -> tuple[Any, dict[str, str | None]]:
        token = await cognito(HTTPConnection({"type": "http", "headers": headers}), SecurityScopes())
        return token and token.username, who()

    assert asyncio.run(call()) == ("ada", {"username": None})


def test_a_websocket_that_a_middleware_has_let_in_is_verified_anew_by_the_dependency(guards: Guards) -> None:
    app = FastAPI()

    @app.websocket("/")
    async def talk(
        websocket: WebSocket,
        token: Annotated[AccessToken, Security(CognitoBearer(guards.verifier, groups="finance"))],
    ) -> None:
        await websocket.accept()
        await websocket.send_json([token.username, websocket.headers.get("sec-websocket-protocol")])

    with served_by_uvicorn(CognitoMiddleware(app, guards.verifier)) as url:
        good = guards.pool.access_token("ada", groups="finance")
        with connect(ws(url), proxy=None, subprotocols=["bearer", good]) as socket:  # type: ignore[list-item]
            assert json.loads(socket.recv()) == ["ada", None]
        bad: Any = ["bearer", guards.pool.access_token("ada")]
        with pytest.raises(InvalidStatus) as refusal:
            connect(ws(url), proxy=None, subprotocols=bad)
    assert b"missing_group" in (refusal.value.response.body or b"")


def test_the_scopes_of_security_are_enforced_all_of_them(url: str, guards: Guards) -> None:
    def call(scopes: list[str]) -> Reply:
        return ask(f"{url}/both", bearer(guards.pool.access_token("ada", scopes=scopes)))

    for scopes in ([], ["orders/read"], ["orders/write"]):
        reply = call(scopes)
        assert (reply.status, reply.json["code"]) == (403, "insufficient_scope")
        assert reply.headers["www-authenticate"].startswith('Bearer error="insufficient_scope"')
    assert call(["orders/read", "orders/write"]).json == ["orders/read", "orders/write"]


def test_requirements_add_up(guards: Guards) -> None:
    staff = CognitoBearer(guards.verifier, groups="staff", scopes=["a/x", "a/y"])
    app = FastAPI()

    @app.get("/", dependencies=[Security(staff.requires(groups=["finance", "sales"]).requires(scopes="b/z"))])
    async def hello() -> str:
        return "hello"

    with served_by_uvicorn(app) as url:
        for groups, scopes, status in (
            (["staff", "sales"], ["a/y", "b/z"], 200),
            (["sales"], ["a/y", "b/z"], 403),
            (["staff"], ["a/y", "b/z"], 403),
            (["staff", "finance"], ["b/z"], 403),
            (["staff", "finance"], ["a/x"], 403),
        ):
            reply = ask(url, bearer(guards.pool.access_token("ada", groups=groups, scopes=scopes)))
            assert reply.status == status, (groups, scopes)


def test_a_class_of_ones_own_keeps_what_it_has_when_it_asks_for_more(guards: Guards) -> None:
    class TenantBearer(CognitoBearer[AccessToken]):
        def __init__(self, tenant: str) -> None:
            super().__init__(guards.verifier)
            self.tenant = tenant

    cognito = TenantBearer("acme")
    narrower = cognito.requires(groups="finance")
    assert isinstance(narrower, TenantBearer)
    assert narrower.tenant == "acme"
    app = FastAPI()
    for path, dependency in {"/": cognito, "/finance": narrower}.items():
        app.get(path, dependencies=[Security(dependency)])(lambda: "hello")
    with served_by_uvicorn(app) as url:
        headers = bearer(guards.pool.access_token("ada"))
        assert [ask(f"{url}{path}", headers).status for path in ("/", "/finance")] == [200, 403]


def test_a_class_of_ones_own_must_not_make_two_dependencies_equal(guards: Guards) -> None:
    class Equal(CognitoBearer[AccessToken]):
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Equal)

        def __hash__(self) -> int:
            return 1

    with pytest.raises(ConfigurationError, match="found a Equal with an __eq__ of its own: FastAPI asks one of two"):
        Equal(guards.verifier).requires(groups="finance")


def test_an_optional_token_may_be_absent_and_not_bad(guards: Guards) -> None:
    app = FastAPI()
    optional = CognitoBearer(guards.verifier, optional=True)

    @app.get("/")
    async def hello(token: Annotated[AccessToken | None, Security(optional)]) -> str | None:
        return None if token is None else token.username

    with served_by_uvicorn(app) as url:
        assert ask(url).json is None
        assert ask(url, bearer(guards.pool.access_token("ada"))).json == "ada"
        assert ask(url, bearer(guards.pool.expired())).json["code"] == "token_expired"


@pytest.mark.parametrize("way", ["groups", "scopes", "security", "nested"])
def test_an_optional_token_is_asked_for_where_groups_or_scopes_are(guards: Guards, way: str) -> None:
    app = FastAPI()
    optional = CognitoBearer(guards.verifier, optional=True)

    def nested(token: Annotated[AccessToken | None, Security(optional)]) -> AccessToken | None:
        return token

    guard = {
        "groups": Security(optional.requires(groups="finance")),
        "scopes": Security(optional.requires(scopes="orders/read")),
        "security": Security(optional, scopes=["orders/read"]),
        "nested": Security(nested, scopes=["orders/read"]),
    }[way]
    app.delete("/", dependencies=[guard])(lambda: "deleted")
    with served_by_uvicorn(app) as url:
        reply = ask(url, method="DELETE")
        assert (reply.status, reply.json["code"]) == (401, "missing_token")
        assert ask(url, bearer(guards.pool.access_token("ada")), method="DELETE").status == 403
        good = guards.pool.access_token("ada", groups="finance", scopes=["orders/read"])
        assert ask(url, bearer(good), method="DELETE").json == "deleted"


def test_what_is_said_beside_optional_is_asked_of_those_who_send_a_token(guards: Guards) -> None:
    app = FastAPI(dependencies=[Security(CognitoBearer(guards.verifier, optional=True, groups="finance"))])
    app.get("/")(lambda: "hello")
    with served_by_uvicorn(app) as url:
        assert ask(url).json == "hello"
        assert ask(url, bearer(guards.pool.access_token("ada"))).json["code"] == "missing_group"


def test_a_fault_of_ours_is_a_500_and_blames_no_client(guards: Guards) -> None:
    app = FastAPI(dependencies=[Security(CognitoBearer(guards.pool.verifier(checks=[lambda token: token.username])))])
    app.get("/")(lambda: "hello")
    with served_by_uvicorn(app) as url:
        reply = ask(url, bearer(guards.pool.access_token("ada")))
    assert (reply.status, "www-authenticate" in reply.headers) == (500, False)


# The application's own ways


@pytest.mark.parametrize("handled", [StarletteHTTPException, fastapi.HTTPException, CognitoHTTPException, 401])
def test_an_application_that_renders_exceptions_itself_renders_ours(guards: Guards, handled: Any) -> None:
    app = FastAPI(dependencies=[Security(CognitoBearer(guards.verifier))])
    app.get("/")(lambda: "hello")

    @app.exception_handler(handled)
    async def render(_: object, error: CognitoHTTPException) -> JSONResponse:
        detail: Any = error.detail
        return JSONResponse({"error": detail["code"]}, error.status_code, error.headers)

    with served_by_uvicorn(app) as url:
        reply = ask(url)
    assert (reply.status, reply.json) == (401, {"error": "missing_token"})
    assert reply.headers["www-authenticate"] == "Bearer"


def test_what_an_endpoint_raises_is_answered_alike_from_the_first_request_on(guards: Guards) -> None:
    app, plain = FastAPI(), FastAPI()

    def hello() -> None:
        raise CognitoHTTPException(AccessDeniedError("not your orders"))

    app.get("/", dependencies=[Security(CognitoBearer(guards.verifier))])(hello)
    plain.get("/")(hello)
    said = {"message": "not your orders", "code": "access_denied"}
    with served_by_uvicorn(app) as url:
        good = bearer(guards.pool.access_token("ada"))
        assert [ask(url, headers).json.get("code") for headers in (good, [], good)] == [
            "access_denied",
            "missing_token",
            "access_denied",
        ]
        assert (ask(url, good).status, ask(url, good).json) == (403, said)
    with served_by_uvicorn(plain) as url:  # as docs/how-to/fastapi.md says
        assert (ask(url).status, ask(url).json) == (403, {"detail": said})


def test_without_a_place_for_handlers_the_body_is_fastapis_own(guards: Guards) -> None:
    app = FastAPI(dependencies=[Security(CognitoBearer(guards.verifier))])
    app.get("/")(lambda: "hello")

    class WithoutHandlers:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope.pop("starlette.exception_handlers", None)
            await self.app(scope, receive, send)

    # Mounted, so that the outer application handles what the inner one raises.
    outer = FastAPI()
    outer.router.routes.extend(app.router.routes)
    outer.router.middleware_stack = WithoutHandlers(outer.router.middleware_stack)
    with served_by_uvicorn(outer) as url:
        reply = ask(url)
    assert reply.status == 401
    assert reply.json["detail"]["code"] == "missing_token"


def test_an_endpoint_that_fails_clears_the_token_and_fails_as_it_would(guards: Guards) -> None:
    app = FastAPI()

    @app.get("/", dependencies=[Security(CognitoBearer(guards.verifier))])
    async def fail() -> None:
        raise fastapi.HTTPException(418, detail=who()["username"])

    with served_by_uvicorn(app) as url:
        reply = ask(url, bearer(guards.pool.access_token("ada")))
    assert (reply.status, reply.json) == (418, {"detail": "ada"})


# WebSockets


def ws(url: str) -> str:
    return f"ws{url.removeprefix('http')}/"


def test_a_websocket_takes_the_token_of_its_header_or_of_its_subprotocols(url: str, guards: Guards) -> None:
    raw = guards.pool.access_token("ada")
    with connect(ws(url), proxy=None, additional_headers=dict(bearer(raw))) as socket:
        assert json.loads(socket.recv()) == {"username": "ada"}
    with connect(ws(url), proxy=None, subprotocols=["bearer", raw]) as socket:  # type: ignore[list-item]
        assert (json.loads(socket.recv()), socket.subprotocol) == ({"username": "ada"}, "bearer")


def test_an_endpoint_does_not_see_the_token_that_a_websocket_offered(guards: Guards) -> None:
    app = FastAPI(dependencies=[Security(CognitoBearer(guards.verifier))])

    @app.websocket("/")
    async def talk(
        websocket: WebSocket,
        token: Annotated[AccessToken, Security(CognitoBearer(guards.verifier, groups="finance"))],
    ) -> None:
        await websocket.accept(subprotocol=websocket.scope["subprotocols"][-1])
        raw = [name for name, _ in websocket.scope["headers"] if b"protocol" in name]
        await websocket.send_json([token.username, raw, websocket.headers.get("sec-websocket-protocol")])

    with served_by_uvicorn(app) as url:
        offered: Any = ["bearer", guards.pool.access_token("ada", groups="finance")]
        with connect(ws(url), proxy=None, subprotocols=offered) as socket:
            assert (json.loads(socket.recv()), socket.subprotocol) == (["ada", [], None], "bearer")


def test_several_dependencies_ask_for_the_one_token_that_a_websocket_offered(guards: Guards) -> None:
    app = FastAPI(dependencies=[Security(CognitoBearer(guards.verifier))])

    @app.websocket("/")
    async def talk(
        websocket: WebSocket,
        token: Annotated[AccessToken, Security(CognitoBearer(guards.verifier, groups="finance"))],
    ) -> None:
        await websocket.accept(subprotocol="graphql-transport-ws")
        await websocket.send_json([token.username, websocket.scope["subprotocols"]])

    def offered(groups: str) -> Any:
        return ["bearer", guards.pool.access_token("ada", groups=groups), "graphql-transport-ws"]

    with served_by_uvicorn(app) as url:
        with connect(ws(url), proxy=None, subprotocols=offered("finance")) as socket:
            assert json.loads(socket.recv()) == ["ada", ["bearer", "graphql-transport-ws"]]
        with pytest.raises(InvalidStatus) as refusal:
            connect(ws(url), proxy=None, subprotocols=offered("sales"))
    assert b"missing_group" in (refusal.value.response.body or b"")


def test_nor_does_it_where_the_headers_cannot_be_changed_in_place(guards: Guards) -> None:
    cognito, raw = CognitoBearer(guards.verifier), guards.pool.access_token("ada")
    headers = ((b"host", b"api.example"), (b"sec-websocket-protocol", f"bearer, {raw}".encode()))
    scope = {"type": "websocket", "headers": headers, "subprotocols": ["bearer", raw]}
    asyncio.run(cognito(HTTPConnection(scope), SecurityScopes()))
    assert (scope["headers"], scope["subprotocols"]) == ([(b"host", b"api.example")], ["bearer"])


@pytest.mark.parametrize("request_", [one for one in REFUSED if one.name != "two-headers"], ids=str)
def test_a_websocket_is_refused_before_it_opens_as_a_request_would_be(
    url: str, guards: Guards, request_: Refused
) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        connect(ws(url)[:-1] + request_.path, proxy=None, additional_headers=dict(request_.headers(guards.pool)))
    response = refusal.value.response
    found = {name.lower(): value for name, value in response.headers.raw_items()}
    assert_refused(Reply(response.status_code, found, bytes(response.body or b"")), request_, guards)


def test_a_server_that_cannot_answer_a_websocket_closes_it(guards: Guards) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "subprotocols": []}
    asyncio.run(guarded_app(guards)(scope, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "missing_token"}]


# OpenAPI


def document(*, token_use: Literal["access", "id"] | None = "access", **options: Any) -> Any:
    from cognito_verify.testing import FakeUserPool

    app = FastAPI()
    cognito: CognitoBearer[Any] = CognitoBearer(FakeUserPool().verifier(token_use), **options)

    @app.get("/orders")
    async def orders(token: Annotated[AccessToken, Security(cognito.requires(scopes=all_of("a/x", "b/y")))]) -> None:
        pass

    @app.get("/items")
    async def items(token: Annotated[AccessToken, Security(cognito)]) -> None:
        pass

    @app.get("/open")
    async def open_to_all() -> None:
        pass

    OpenAPIV31SpecValidator(app.openapi()).validate()
    return app.openapi()


def test_the_openapi_document_names_the_bearer_scheme_and_no_parameter_of_ours() -> None:
    found = document()
    assert found["components"]["securitySchemes"] == {
        "CognitoBearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    assert found["paths"]["/items"]["get"]["security"] == [{"CognitoBearer": []}]
    assert "security" not in found["paths"]["/open"]["get"]
    assert not any("parameters" in path["get"] for path in found["paths"].values())


def test_with_the_pools_domain_the_docs_page_can_log_in_for_the_scopes_that_routes_ask_for() -> None:
    found = document(domain=f"{DOMAIN}/")
    login = found["components"]["securitySchemes"]["CognitoLogin"]
    assert login["type"] == "oauth2"
    assert login["flows"] == {
        "authorizationCode": {
            "authorizationUrl": f"{DOMAIN}/oauth2/authorize",
            "tokenUrl": f"{DOMAIN}/oauth2/token",
            "scopes": {"openid": "Who you are", "a/x": "a/x", "b/y": "b/y"},
        }
    }
    assert found["paths"]["/items"]["get"]["security"] == [{"CognitoBearer": []}, {"CognitoLogin": []}]
    assert found["paths"]["/orders"]["get"]["security"] == [{"CognitoBearer": []}, {"CognitoLogin": ["a/x", "b/y"]}]
    assert not any("parameters" in path["get"] for path in found["paths"].values())


def test_the_docs_page_can_ask_for_the_scopes_that_are_described() -> None:
    found = document(domain=DOMAIN, login_scopes={"a/x": "Read x", "c/z": "Write z"})
    flow = found["components"]["securitySchemes"]["CognitoLogin"]["flows"]["authorizationCode"]
    assert flow["scopes"] == {"openid": "Who you are", "a/x": "Read x", "c/z": "Write z", "b/y": "b/y"}


def test_an_application_may_have_several_schemes_each_with_its_log_in(guards: Guards) -> None:
    app = FastAPI()
    for name in ("Staff", "Customers"):
        cognito = CognitoBearer(
            guards.verifier, domain=f"https://{name.lower()}.example", scheme_name=f"{name}Bearer"
        ).requires(groups="a")
        app.get(f"/{name}", dependencies=[Security(cognito)])(lambda: "hello")
    schemes = app.openapi()["components"]["securitySchemes"]
    assert list(schemes) == ["StaffBearer", "StaffLogin", "CustomersBearer", "CustomersLogin"]
    assert [schemes[f"{name}Login"]["flows"]["authorizationCode"]["tokenUrl"] for name in ("Staff", "Customers")] == [
        "https://staff.example/oauth2/token",
        "https://customers.example/oauth2/token",
    ]


@pytest.mark.parametrize(
    ("token_use", "scheme", "sent"),
    [("access", "CognitoLogin", None), ("id", "CognitoIdTokenLogin", "id_token"), (None, "CognitoLogin", None)],
)
def test_the_docs_page_is_told_to_send_the_token_that_the_verifier_takes(
    token_use: Literal["access", "id"] | None, scheme: str, sent: str | None
) -> None:
    found = document(token_use=token_use, domain=DOMAIN)
    assert (
        found["components"]["securitySchemes"][scheme].get("x-tokenName") == sent
    )  # Swagger UI's: else the access token
    assert found["paths"]["/items"]["get"]["security"] == [{"CognitoBearer": []}, {scheme: []}]


def test_the_docs_page_is_told_to_use_pkce(guards: Guards) -> None:
    app = FastAPI(swagger_ui_init_oauth={"clientId": "docs-client", "usePkceWithAuthorizationCodeGrant": True})
    cognito = CognitoBearer(guards.verifier, domain=DOMAIN)
    app.get("/", dependencies=[Security(cognito)])(lambda: "hello")
    with served_by_uvicorn(app) as url:
        page = ask(f"{url}/docs").body.decode()
        reply = ask(url, bearer(guards.pool.access_token("ada")))
    assert '"usePkceWithAuthorizationCodeGrant": true' in page
    assert '"clientId": "docs-client"' in page
    assert "/docs/oauth2-redirect" in page
    assert reply.json == "hello"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": []}, "groups: "),
        ({"scopes": ""}, "scopes: "),
        ({"optional": "yes"}, "optional: expected True or False"),
        ({"domain": "example.auth.us-east-1.amazoncognito.com"}, "domain: expected the pool's, such as https://"),
        ({"domain": "http://example.auth.us-east-1.amazoncognito.com"}, "domain: "),
        ({"domain": "https://example.com/login"}, "domain: "),
        ({"domain": ""}, "domain: "),
        ({"domain": 7}, "domain: "),
        ({"domain": f"{DOMAIN}#"}, "domain: "),
        ({"domain": f"{DOMAIN}?"}, "domain: "),
        ({"domain": f"{DOMAIN};x"}, "domain: "),
        ({"domain": "https://ada:secret@example.com"}, "domain: "),
        ({"domain": "https://example.com:port"}, "domain: "),
        ({"domain": "https://exam ple.com"}, "domain: "),
        ({"domain": f" {DOMAIN}"}, "domain: "),
        ({"domain": f"{DOMAIN}\n"}, "domain: "),
        ({"login_scopes": {"a/x": "x"}}, "login_scopes: expected the pool's domain beside them"),
        ({"login_scopes": ["a/x"], "domain": DOMAIN}, "login_scopes: expected scopes and their meaning"),
        ({"login_scopes": {"a/x": None}, "domain": DOMAIN}, "login_scopes: expected scopes and their meaning"),
        ({"scheme_name": "Staff pool"}, "scheme_name: expected letters, digits"),
        ({"scheme_name": ""}, "scheme_name: "),
        ({"scheme_name": None}, "scheme_name: "),
    ],
)
def test_a_senseless_setting_fails_when_the_application_is_built(
    guards: Guards, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CognitoBearer(guards.verifier, **options)


def test_requires_wants_a_requirement(guards: Guards) -> None:
    cognito = CognitoBearer(guards.verifier)
    with pytest.raises(ConfigurationError, match="requires: expected groups= or scopes="):
        cognito.requires()
    with pytest.raises(ConfigurationError, match="groups: "):
        cognito.requires(groups=[])
    for options in ({}, {"domain": "https://example.auth.us-east-1.amazoncognito.com"}):
        with pytest.raises(ConfigurationError, match="CognitoBearer: expected a CognitoVerifier, found str"):
            CognitoBearer("us-east-1_TestPool1", **options)  # type: ignore[arg-type]


def test_mounts_and_starlettes_routes_are_not_covered_by_the_applications_dependencies_and_are_by_the_middleware(
    guards: Guards,
) -> None:
    async def starlettes(_: object) -> PlainTextResponse:
        return PlainTextResponse("open")

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("open")

    app, mounted = FastAPI(dependencies=[Security(CognitoBearer(guards.verifier))]), FastAPI()
    app.get("/")(lambda: "hello")
    mounted.get("/")(lambda: "mounted")
    app.mount("/mounted", mounted)
    app.add_route("/starlettes", starlettes)
    app.router.add_websocket_route("/", talk)
    paths = ("/", "/mounted/", "/starlettes", "/openapi.json")
    with served_by_uvicorn(app) as url:
        assert [ask(url + path).status for path in paths] == [401, 200, 200, 200]  # as docs/how-to/fastapi.md says
        with connect(ws(url), proxy=None) as socket:
            assert socket.recv() == "open"
    with served_by_uvicorn(CognitoMiddleware(app, guards.verifier)) as url:
        assert [ask(url + path).status for path in paths] == [401] * 4
        with pytest.raises(InvalidStatus):
            connect(ws(url), proxy=None)


def test_a_plain_answer_of_the_application_is_let_be(guards: Guards) -> None:
    app = FastAPI()
    app.get("/", dependencies=[Security(CognitoBearer(guards.verifier))])(lambda: PlainTextResponse("plain"))
    with served_by_uvicorn(app) as url:
        assert ask(url, bearer(guards.pool.access_token("ada"))).body == b"plain"
