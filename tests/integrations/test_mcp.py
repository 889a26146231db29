"""The `TokenVerifier` of the official MCP SDK, in its own server under uvicorn, asked by its own client."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from http.client import HTTPConnection
from importlib.metadata import version
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.middleware.bearer_auth import authorization_context
from mcp.shared._httpx_utils import create_mcp_http_client
from starlette.requests import Request
from starlette.responses import JSONResponse

from cognito_verify.context import current_token
from cognito_verify.errors import ConfigurationError, KeysUnavailableError
from cognito_verify.integrations.mcp import (
    CognitoAccessToken,
    CognitoRefusalMiddleware,
    CognitoTokenVerifier,
    token_of,
)
from cognito_verify.observer import VerificationEvent
from cognito_verify.pool import UserPool
from cognito_verify.requirements import all_of, any_of
from cognito_verify.testing import Clock, FakeUserPool
from cognito_verify.verifier import CognitoVerifier
from tests.integrations.refusals import PATHS, REFUSED, Guards, Refused, assert_refused, bearer
from tests.integrations.serving import Headers, Reply, ask, served_by_uvicorn
from tests.secrecy import assert_secret, logged, told

IS_2 = version("mcp").startswith("2.")
if TYPE_CHECKING or IS_2:
    from mcp.server.mcpserver import Context, MCPServer
else:
    from mcp.server.fastmcp import Context
    from mcp.server.fastmcp import FastMCP as MCPServer

RESOURCE = "http://127.0.0.1/mcp"
METADATA = f'resource_metadata="{RESOURCE.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")}"'
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def post(url: str, headers: Headers = ()) -> Reply:
    """A call of the server, which needs no session to be refused."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=30)
    try:
        body = json.dumps(CALL).encode()
        connection.putrequest("POST", parts.path, skip_host="Host" in dict(headers))
        for name, value in (
            *headers,
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ):
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def server_of(verifier: CognitoTokenVerifier, resource_server_url: str | None = RESOURCE) -> Any:
    """A server whose tool says who is calling, with what is theirs to say."""
    settings = verifier.auth_settings(resource_server_url=resource_server_url)
    server = MCPServer("Orders", token_verifier=verifier, auth=settings)

    @server.tool()
    def who(ctx: Context) -> str:
        known, token = get_access_token(), token_of(ctx)
        assert current_token() is None  # mcp 1 would give the token that opened the session
        assert isinstance(known, CognitoAccessToken)
        return json.dumps({"username": token.username, "groups": token.groups, "known": known.verified.groups})

    @server.custom_route("/health", methods=["GET"])  # type: ignore[untyped-decorator]
    async def health(request: Request) -> JSONResponse:
        return JSONResponse({"status": "fine"}, status_code=401 if "sick" in request.query_params else 200)

    return server


def app_of(verifier: CognitoTokenVerifier, resource_server_url: str | None = RESOURCE) -> Any:
    app = server_of(verifier, resource_server_url).streamable_http_app()
    app.add_middleware(CognitoRefusalMiddleware, verifier)
    return app


def side_by_side(apps: dict[str, Any]) -> Any:
    """Several servers as one application, each below a path of its own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            async with AsyncExitStack() as stack:
                for one in apps.values():
                    await stack.enter_async_context(one.router.lifespan_context(one))
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            path = scope["path"].removesuffix("/mcp")
            known = path if path in apps else "/"
            await apps[known]({**scope, "path": "/mcp" if path in apps else scope["path"]}, receive, send)

    return app


async def called(url: str, *tokens: str) -> list[Any]:
    """What the tool says in one session, to one token after the other."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(create_mcp_http_client(headers=dict(bearer(tokens[0]))))
        read, write, *_ = await stack.enter_async_context(streamable_http_client(url, http_client=http))
        session = await stack.enter_async_context(ClientSession(read, write))
        await session.initialize()
        answers = []
        for token in tokens:
            http.headers["Authorization"] = f"Bearer {token}"
            answer: Any = await session.call_tool("who", {})
            answers.append(json.loads(answer.content[0].text))
        return answers


@pytest.fixture(scope="module")
def url(guards: Guards) -> Iterator[str]:
    apps = {path: app_of(CognitoTokenVerifier(guards.of(path), **asked)) for path, asked in PATHS.items()}
    with served_by_uvicorn(side_by_side(apps)) as url:
        yield url


@pytest.mark.parametrize(
    ("path", "claims"),
    [("/", {}), ("/finance", {"groups": "finance"}), ("/orders", {"scopes": "orders/read"})],
)
def test_a_good_token_reaches_the_tool(url: str, guards: Guards, path: str, claims: dict[str, Any]) -> None:
    (answer,) = asyncio.run(called(f"{url}{path}", guards.pool.access_token("ada", **claims)))
    assert answer["username"] == "ada"


@pytest.mark.parametrize("request_", REFUSED, ids=str)
def test_a_refusal_is_answered_as_everywhere_and_says_where_the_metadata_is(
    url: str, guards: Guards, request_: Refused
) -> None:
    reply = post(f"{url}{request_.path}", request_.headers(guards.pool))
    headers = dict(reply.headers)
    if reply.status != 503:
        challenge = headers["www-authenticate"]
        assert challenge.endswith(METADATA)
        headers["www-authenticate"] = challenge.removesuffix(METADATA).rstrip(", ")
    assert_refused(replace(reply, headers=headers), request_, guards)


def test_a_bare_token_lacks_the_scheme_that_the_sdk_wants(url: str, guards: Guards) -> None:
    reply = post(url, [("Authorization", guards.pool.access_token("ada"))])
    assert (reply.status, reply.json["code"]) == (401, "missing_token")


def test_a_tool_sees_the_token_of_its_own_call_and_not_of_the_session(url: str, guards: Guards) -> None:
    before, after = guards.pool.access_token("ada"), guards.pool.access_token("ada", groups="finance")
    first, second = asyncio.run(called(url, before, after))
    assert (first["groups"], second["groups"]) == ([], ["finance"])
    assert second["known"] == (["finance"] if IS_2 else [])  # mcp 1: its issue 2208


@pytest.mark.skipif(not IS_2, reason="mcp 1 has no middleware of the server")
def test_a_middleware_of_the_server_sees_the_token_of_each_call(guards: Guards) -> None:
    seen: list[str | None] = []

    async def look(ctx: Any, call_next: Any) -> Any:
        seen.append(token_of(ctx).username)
        return await call_next(ctx)

    verifier = CognitoTokenVerifier(guards.verifier)
    server: Any = MCPServer
    settings = verifier.auth_settings(resource_server_url=RESOURCE)
    app = server("Orders", token_verifier=verifier, auth=settings, middleware=[look]).streamable_http_app(
        stateless_http=True, json_response=True
    )
    with served_by_uvicorn(app) as url:
        for username in ("ada", "bob"):
            assert "result" in post(f"{url}/mcp", bearer(guards.pool.access_token(username))).json
    assert seen == ["ada", "bob"]


def test_what_no_token_is_asked_for_passes_through(url: str, guards: Guards) -> None:
    for headers in ((), bearer(guards.pool.expired())):
        assert ask(f"{url}/health", headers).json == {"status": "fine"}
        reply = ask(f"{url}/health?sick=1", headers)
        assert (reply.status, reply.json) == (401, {"status": "fine"})


# The metadata, and what a token is for


def bound(guards: Guards, **options: Any) -> CognitoVerifier[Any]:
    pool = UserPool(guards.pool.user_pool_id, client_id=guards.pool.client_id, resource=RESOURCE, jwks=guards.pool.jwks)
    return CognitoVerifier(pool, **{"token_use": "access", "clock": guards.pool.clock, **options})


def test_the_metadata_names_the_server_the_pools_issuer_and_the_scopes(guards: Guards) -> None:
    with served_by_uvicorn(app_of(CognitoTokenVerifier(bound(guards), scopes="orders/read"), None)) as url:
        metadata = ask(f"{url}/.well-known/oauth-protected-resource/mcp").json
    assert metadata["resource"] == RESOURCE
    assert metadata["authorization_servers"] == [
        f"https://cognito-idp.us-east-1.amazonaws.com/{guards.pool.user_pool_id}"
    ]
    assert metadata["scopes_supported"] == ["orders/read"]
    assert metadata["bearer_methods_supported"] == ["header"]


def test_a_token_that_was_issued_for_another_server_is_refused(guards: Guards) -> None:
    with served_by_uvicorn(app_of(CognitoTokenVerifier(bound(guards)), None)) as url:
        for token in (guards.pool.access_token("ada"), guards.pool.access_token("ada", aud=f"{RESOURCE}/other")):
            reply = post(f"{url}/mcp", bearer(token))
            assert (reply.status, reply.json["code"]) == (401, "invalid_resource")
        (answer,) = asyncio.run(called(f"{url}/mcp", guards.pool.access_token("ada", aud=RESOURCE)))
        assert answer["username"] == "ada"


def test_what_the_sdk_refuses_by_itself_keeps_its_answer(guards: Guards) -> None:
    verifier = CognitoTokenVerifier(guards.verifier)
    settings = verifier.auth_settings(resource_server_url=RESOURCE).model_copy(update={"validate_token_resource": True})
    app = MCPServer("Orders", token_verifier=verifier, auth=settings).streamable_http_app()
    app.add_middleware(CognitoRefusalMiddleware, verifier)
    with served_by_uvicorn(app) as url:
        reply = post(f"{url}/mcp", bearer(guards.pool.access_token("ada")))  # no `aud`, and nobody asked us for one
    assert (reply.status, reply.json["error"]) == (401, "invalid_token")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://MCP.example.com/mcp", "'https://mcp.example.com/mcp', as clients are told"),
        ("https://mcp.example.com:443/mcp", "'https://mcp.example.com/mcp', as clients are told"),
        ("urn:mcp", "this server's URL"),
    ],
)
def test_a_server_whose_clients_would_ask_for_another_resource_is_not_set_up(
    guards: Guards, url: str, told: str
) -> None:
    def of(resource: str) -> CognitoTokenVerifier:
        pool = UserPool(guards.pool.user_pool_id, client_id="a", resource=resource, jwks=guards.pool.jwks)
        return CognitoTokenVerifier(CognitoVerifier(pool, token_use="access"))

    with pytest.raises(ConfigurationError) as refusal:
        of(url).auth_settings()
    assert str(refusal.value) == f"auth_settings: expected {told}, found '{url}'"
    assert str(of("https://mcp.example.com/mcp").auth_settings().resource_server_url) == "https://mcp.example.com/mcp"


def test_where_no_resource_is_bound_the_servers_url_may_be_spelt_in_any_way(guards: Guards) -> None:
    settings = CognitoTokenVerifier(guards.verifier).auth_settings(resource_server_url="https://MCP.example.com/mcp")
    assert str(settings.resource_server_url) == "https://mcp.example.com/mcp"


def test_what_a_route_of_the_application_refuses_keeps_its_answer(guards: Guards) -> None:
    verifier = CognitoTokenVerifier(guards.verifier)

    def answered(*headers: tuple[bytes, bytes], **start: Any) -> list[Any]:
        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 401, **start})
            await send({"type": "http.response.body", "body": b"by the route"})

        async def send(message: Any) -> None:
            sent.append(message)

        sent: list[Any] = []
        scope = {"type": "http", "headers": [*headers]}
        asyncio.run(CognitoRefusalMiddleware(app, verifier)(scope, None, send))  # type: ignore[arg-type]
        return sent

    own = b'Bearer error="invalid_token", error_description="the signature of the hook"'
    assert answered(headers=[(b"www-authenticate", own)])[1]["body"] == b"by the route"
    assert answered()[1]["body"] == b"by the route"  # an ASGI application need not give headers
    sdks = b'Bearer error="invalid_token", error_description="Authentication required"'
    assert json.loads(answered(headers=[(b"www-authenticate", sdks)])[1]["body"])["code"] == "missing_token"


def test_only_scopes_that_are_all_needed_are_said_to_the_sdk(guards: Guards) -> None:
    def named(scopes: Any) -> object:
        verifier = CognitoTokenVerifier(guards.verifier, scopes=scopes)
        return verifier.auth_settings(resource_server_url=RESOURCE).required_scopes

    assert named(all_of("b", "a")) == ["a", "b"]
    assert named(any_of("a", "b")) is None
    assert named(None) is None


# Without the middleware, and what the SDK is told


def test_without_the_middleware_the_sdks_own_answer_stays_and_no_keys_are_a_500(
    guards: Guards, caplog: pytest.LogCaptureFixture
) -> None:
    with served_by_uvicorn(server_of(CognitoTokenVerifier(guards.verifier)).streamable_http_app()) as url:
        reply = post(f"{url}/mcp", bearer(guards.pool.expired()))
    assert (reply.status, reply.json["error"]) == (401, "invalid_token")
    raw = guards.pool.access_token("ada")
    with served_by_uvicorn(server_of(CognitoTokenVerifier(guards.keyless)).streamable_http_app()) as url:
        assert post(f"{url}/mcp", bearer(raw)).status == 500
    assert "KeysUnavailableError" in caplog.text
    assert_secret(raw, logged(caplog))


def test_the_sdk_is_told_who_it_is_and_until_when(guards: Guards) -> None:
    verifier = CognitoTokenVerifier(guards.pool.verifier(leeway=60))
    raw = guards.pool.access_token("ada", scopes=["b", "a"], expires_in=-30)
    known = asyncio.run(verifier.verify_token(raw))
    assert known is not None
    assert (known.client_id, known.scopes, known.resource) == (guards.pool.client_id, ["a", "b"], None)
    assert known.expires_at == guards.pool.clock() + 30  # the SDK would refuse what we let in
    user = SimpleNamespace(access_token=known)
    assert authorization_context(user) == {  # type: ignore[arg-type]  # what a session belongs to
        "client_id": guards.pool.client_id,
        "issuer": known.verified.issuer,
        "subject": known.verified.sub,
    }


def test_what_was_made_for_a_seen_token_is_kept_and_what_is_kept_is_bounded() -> None:
    clock = Clock()
    pool = FakeUserPool(clock=clock)
    verifier = CognitoTokenVerifier(pool.verifier())

    async def verified(raw: str, times: int) -> list[CognitoAccessToken | None]:
        return [await verifier.verify_token(raw) for _ in range(times)]

    first, again = asyncio.run(verified(pool.access_token("ada", groups="staff"), 2))
    assert first is not None
    assert (first, first.verified) == (again, again and again.verified)
    first.scopes.append("orders/write")  # of one request
    first.subject = "bob"
    if first.claims is not None:  # an early mcp 1 has none
        first.claims["cognito:groups"].append("admin")
    assert asyncio.run(verified(first.token, 1)) == [again]
    tokens = [pool.access_token(f"user{number}") for number in range(256)]
    all_known = [asyncio.run(verified(raw, 1))[0] for raw in tokens]
    assert [known and known.verified.username for known in all_known] == [f"user{number}" for number in range(256)]
    assert len(verifier._known) == 1
    clock.tick(4_000)
    assert asyncio.run(verified(tokens[-1], 1)) == [None]  # kept, and expired


def test_a_tool_may_verify_other_tokens_one_after_the_other(guards: Guards) -> None:
    verifier, found = CognitoTokenVerifier(guards.verifier), list[str | None]()

    async def tool(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive, send
        for raw in (guards.pool.access_token("ada"), guards.pool.expired(), guards.pool.access_token("bob")):
            known = await verifier.verify_token(raw)
            found.append(known.verified.username if known else None)

    scope = {"type": "http", "headers": [(b"authorization", b"Bearer a.b.c")]}
    asyncio.run(CognitoRefusalMiddleware(tool, verifier)(scope, None, None))  # type: ignore[arg-type]
    assert found == ["ada", None, "bob"]


def test_a_header_that_is_longer_than_a_token_may_be_is_malformed(url: str) -> None:
    reply = post(url, [("Authorization", "a " * 16_000)])
    assert (reply.status, reply.json["code"]) == (401, "malformed_token")


def test_the_middleware_wants_the_servers_own_verifier(guards: Guards) -> None:
    with pytest.raises(ConfigurationError, match="expected the server's CognitoTokenVerifier, found CognitoVerifier"):
        CognitoRefusalMiddleware(server_of, guards.verifier)  # type: ignore[arg-type]


def test_neither_the_sdks_token_nor_a_failure_shows_the_raw_one(guards: Guards) -> None:
    raw = guards.pool.access_token("ada")
    known = asyncio.run(CognitoTokenVerifier(guards.verifier).verify_token(raw))
    assert known is not None
    assert known.token == raw
    assert_secret(raw, [repr(known), str(known), f"{known.verified!r}"])
    with pytest.raises(KeysUnavailableError) as failed:
        asyncio.run(CognitoTokenVerifier(guards.keyless).verify_token(raw))
    assert_secret(raw, (line for line in told(failed.value, but_for=__file__) if "cognito_verify" in line[:200]))


def test_an_observer_hears_once_of_every_refusal(guards: Guards) -> None:
    heard: list[str | None] = []

    def observe(event: object) -> None:
        if isinstance(event, VerificationEvent):
            heard.append(event.code)

    verifier = CognitoTokenVerifier(guards.pool.verifier(observer=observe))
    with served_by_uvicorn(app_of(verifier)) as url:
        two = [*bearer(guards.pool.access_token("ada")), *bearer(guards.pool.access_token("bob"))]
        for headers in ([], bearer(guards.pool.expired()), two):
            post(f"{url}/mcp", headers)
        ask(f"{url}/health")  # nobody asks for a token there
    assert heard == ["missing_token", "token_expired", "malformed_token"]


# What is ours to mend


def test_a_wrong_setting_is_a_configuration_error(guards: Guards) -> None:
    wrong: Any = "us-east-1_AbCdEfGhI"
    with pytest.raises(ConfigurationError, match="expected a CognitoVerifier, found str"):
        CognitoTokenVerifier(wrong)
    with pytest.raises(ConfigurationError, match="expected a verifier with token_use='access', found token_use='id'"):
        CognitoTokenVerifier(bound(guards, token_use="id"))
    with pytest.raises(ConfigurationError, match="groups: "):
        CognitoTokenVerifier(guards.verifier, groups=[])
    with pytest.raises(ConfigurationError, match="expected this server's URL as the resource of its pool"):
        CognitoTokenVerifier(guards.verifier).auth_settings()
    with pytest.raises(ConfigurationError, match="resource_server_url: expected the pool's resource, 'http"):
        CognitoTokenVerifier(bound(guards)).auth_settings(resource_server_url="https://other.example.com/mcp")
    pools = [UserPool(f"us-east-1_Pool{number}", client_id="a", jwks=guards.pool.jwks) for number in (1, 2)]
    several: Any = CognitoVerifier(pools, token_use="access")
    with pytest.raises(ConfigurationError, match="expected a verifier of one pool, found 2"):
        CognitoTokenVerifier(several).auth_settings(resource_server_url=RESOURCE)


def test_a_fault_of_ours_is_a_500_and_no_401(guards: Guards, caplog: pytest.LogCaptureFixture) -> None:
    wrong_check: Any = lambda token: True  # noqa: ARG005, E731 - returns something
    caplog.set_level(logging.ERROR)
    with served_by_uvicorn(app_of(CognitoTokenVerifier(guards.pool.verifier(checks=[wrong_check])))) as url:
        assert post(f"{url}/mcp", bearer(guards.pool.access_token("ada"))).status == 500
    assert "ConfigurationError" in caplog.text


def test_a_call_without_a_token_of_ours_has_none_to_give() -> None:
    for request in (None, SimpleNamespace(scope={}), SimpleNamespace(scope={"user": object()})):
        ctx = SimpleNamespace(request_context=SimpleNamespace(request=request))
        with pytest.raises(ConfigurationError, match="expected a server with a CognitoTokenVerifier over HTTP"):
            token_of(ctx)


# The example


@pytest.mark.skipif(not IS_2, reason="the example is written for mcp 2")
def test_the_example_is_refused_then_let_in(capsys: pytest.CaptureFixture[str]) -> None:
    from examples.mcp_server import local

    local.main()
    without, tokens_from, with_a_token = capsys.readouterr().out.splitlines()
    assert without.startswith("without a token: 401 Bearer resource_metadata=")
    assert tokens_from.endswith("come from https://cognito-idp.us-east-1.amazonaws.com/us-east-1_TestPool1")
    assert with_a_token == "with a token: difference engine"


@pytest.mark.skipif(not IS_2, reason="the example is written for mcp 2")
def test_the_example_answers_under_its_own_name_and_to_no_page_of_elsewhere() -> None:
    from examples.mcp_server import local, server

    kit = FakeUserPool()

    def run(url: str) -> None:
        sent = [*bearer(kit.access_token("ada", scopes=server.SCOPE, aud=url))]
        own = url.removesuffix("/mcp")
        let_in = post(url, [*sent, ("Origin", own)]).status
        assert let_in not in (401, 403, 421)
        assert post(url, [*sent, ("Host", "127.0.0.1")]).status == let_in  # without the port
        assert post(url, [*sent, ("Origin", "https://evil.example")]).status == 403
        assert post(url, [*sent, ("Host", "evil.example")]).status == 421

    local.while_served(
        lambda url: UserPool(kit.user_pool_id, client_id=kit.client_id, resource=url, jwks=kit.jwks), run
    )
