"""The ASGI middleware in front of a bare application, under uvicorn."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from cognito_verify import current_token
from cognito_verify.context import TOKEN_BESIDE_REQUEST
from cognito_verify.conversation import Message, Receive, Scope, Send
from cognito_verify.errors import ConfigurationError
from cognito_verify.integrations.asgi import ASGIApp, CognitoMiddleware
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.testing import Clock, FakeUserPool
from tests.integrations.refusals import PATHS, REFUSED, Guards, Refused, assert_refused, bearer, who
from tests.integrations.serving import Reply, ask, pipelined, served_by_uvicorn

PREFLIGHT = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")]


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Says who is calling, in a thread as well, and repeats what it hears."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": json.dumps([who(), scope["subprotocols"]])})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    token = scope["cognito_verify.token"]
    assert who() == await asyncio.to_thread(who) == {"username": token and token.username}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(who()).encode()})


def app_of(guards: Guards) -> ASGIApp:
    guarded = {path: CognitoMiddleware(hello, guards.of(path), **asked) for path, asked in PATHS.items()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await guarded[scope.get("path", "/")](scope, receive, send)

    return app


@pytest.fixture(scope="module")
def url(guards: Guards) -> Iterator[str]:
    with served_by_uvicorn(app_of(guards), lifespan="off") as url:
        yield url


def opened(url: str, path: str = "/", **options: Any) -> ClientConnection:
    connection: ClientConnection = connect(f"ws{url.removeprefix('http')}{path}", proxy=None, **options)
    return connection


# Requests


@pytest.mark.parametrize(
    ("path", "claims"),
    [("/", {}), ("/finance", {"groups": "finance"}), ("/orders", {"scopes": "orders/read"})],
)
def test_a_good_token_reaches_the_application_and_everything_below_it(
    url: str, guards: Guards, path: str, claims: dict[str, Any]
) -> None:
    reply = ask(url + path, bearer(guards.pool.access_token("ada", **claims)))
    assert (reply.status, reply.json) == (200, {"username": "ada"})
    assert current_token() is None


@pytest.mark.parametrize("request_", REFUSED, ids=str)
def test_a_refusal_is_answered_as_everywhere(url: str, guards: Guards, request_: Refused) -> None:
    assert_refused(ask(url + request_.path, request_.headers(guards.pool)), request_, guards)


def test_the_answer_to_head_has_no_body(url: str) -> None:
    reply = ask(url, method="HEAD")
    assert (reply.status, reply.body, reply.headers["www-authenticate"]) == (401, b"", "Bearer")


def test_only_a_preflight_that_is_allowed_reaches_the_application_without_a_token(url: str, guards: Guards) -> None:
    assert ask(url, PREFLIGHT, method="OPTIONS").status == 401
    allowing = CognitoMiddleware(hello, guards.verifier, allow_preflight=True)
    with served_by_uvicorn(allowing, lifespan="off") as open_url:
        assert ask(open_url, PREFLIGHT, method="OPTIONS").json == {"username": None}
        assert ask(open_url, PREFLIGHT[:1], method="OPTIONS").status == ask(open_url, PREFLIGHT).status == 401
        assert ask(open_url, [*PREFLIGHT, ("X-HTTP-Method-Override", "DELETE")], method="OPTIONS").status == 401


def test_an_optional_token_may_be_absent_and_not_bad(guards: Guards) -> None:
    with served_by_uvicorn(CognitoMiddleware(hello, guards.verifier, optional=True), lifespan="off") as url:
        assert ask(url).json == ask(url, [("Authorization", "")]).json == {"username": None}
        assert ask(url, bearer(guards.pool.access_token("ada"))).json == {"username": "ada"}
        assert ask(url, bearer(guards.pool.expired())).json["code"] == "token_expired"
        assert ask(url, [("Authorization", "Basic eDp5")]).json["code"] == "missing_token"


def test_the_lifespan_passes_untouched(guards: Guards) -> None:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        for answer in ("startup", "shutdown"):
            heard.append((await receive())["type"])
            await send({"type": f"lifespan.{answer}.complete"})

    with served_by_uvicorn(CognitoMiddleware(app, guards.verifier), lifespan="on") as url:
        assert ask(url).status == 401
    assert heard == ["lifespan.startup", "lifespan.shutdown"]


def test_the_log_says_nothing_of_the_token(url: str, guards: Guards, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)  # at DEBUG, uvicorn's WebSockets log every header of every request
    good, bad = guards.pool.access_token("ada"), guards.pool.expired()
    for raw in (good, bad):
        ask(url, bearer(raw))
    with opened(url, subprotocols=["bearer", good]) as socket:
        socket.recv()
    with pytest.raises(InvalidStatus):
        opened(url, subprotocols=["bearer", bad])
    assert '"GET / HTTP/1.1" 401' in caplog.text
    assert '"WebSocket /" [accepted]' in caplog.text
    for raw in (good, bad):
        assert not any(part in caplog.text for part in raw.split("."))


# What never reaches the verifier, and what is no fault of the client


def test_the_observer_is_told_of_every_refusal_once(guards: Guards) -> None:
    told: list[str | None] = []

    def observe(event: VerificationEvent | FetchEvent) -> None:
        assert isinstance(event, VerificationEvent)
        told.append(event.code)

    verifier = guards.pool.verifier("access", observer=observe)
    with served_by_uvicorn(CognitoMiddleware(hello, verifier), lifespan="off") as url:
        for headers in ([], bearer(guards.pool.expired()), bearer(guards.pool.access_token("ada"))):
            ask(url, headers)
    assert told == ["missing_token", "token_expired", None]


def test_a_fault_of_ours_is_a_500_and_blames_no_client(guards: Guards, caplog: pytest.LogCaptureFixture) -> None:
    verifier = guards.pool.verifier("access", checks=[lambda token: token.username])
    raw = guards.pool.access_token("ada")
    with served_by_uvicorn(CognitoMiddleware(hello, verifier), lifespan="off") as url:
        reply = ask(url, bearer(raw))
    assert (reply.status, "www-authenticate" in reply.headers) == (500, False)
    assert "ConfigurationError: checks: <lambda> returned str" in caplog.text
    assert raw.split(".")[2] not in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": []}, "groups: "),
        ({"scopes": ""}, "scopes: "),
        ({"optional": 1}, "optional: expected True or False, found 1"),
        ({"allow_preflight": None}, "allow_preflight: expected True or False, found None"),
    ],
)
def test_a_senseless_setting_fails_when_the_application_is_built(
    guards: Guards, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CognitoMiddleware(hello, guards.verifier, **options)


def test_the_verifier_is_asked_for_by_name() -> None:
    with pytest.raises(ConfigurationError, match="CognitoMiddleware: expected a CognitoVerifier, found str"):
        CognitoMiddleware(hello, "us-east-1_TestPool1")  # type: ignore[arg-type]


# WebSockets


def test_a_websocket_opens_for_a_token_in_its_header(url: str, guards: Guards) -> None:
    headers = dict(bearer(guards.pool.access_token("ada")))
    with opened(url, additional_headers=headers) as socket:
        assert (json.loads(socket.recv()), socket.subprotocol) == ([{"username": "ada"}, []], None)
        socket.send("hello")
        assert socket.recv() == "hello"


def test_a_browser_offers_its_token_as_a_subprotocol_and_the_application_never_sees_it(
    url: str, guards: Guards
) -> None:
    raw = guards.pool.access_token("ada")
    for offered, left in (
        (["bearer", raw], []),
        (["chat", "bearer", raw], ["chat"]),
        (["bearer", raw, "chat"], ["chat"]),
        (["bearer", raw, raw], []),
        (["bearer", raw, "chat", "bearer", raw], ["chat"]),
    ):
        with opened(url, subprotocols=offered) as socket:
            assert (json.loads(socket.recv()), socket.subprotocol) == ([{"username": "ada"}, left], "bearer")


def test_a_token_that_is_offered_beside_one_in_the_header_is_not_handed_on_either(url: str, guards: Guards) -> None:
    raw, other = guards.pool.access_token("ada"), guards.pool.access_token("bob")
    for offered, left in ((["bearer", other, "chat"], ["chat"]), (["chat", raw], ["chat"])):
        with opened(url, subprotocols=offered, additional_headers=dict(bearer(raw))) as socket:
            assert json.loads(socket.recv()) == [{"username": "ada"}, left]


def test_within_another_the_token_that_a_browser_offered_is_verified_anew(guards: Guards) -> None:
    for groups, opens in (("finance", True), ("sales", False)):
        inner = CognitoMiddleware(hello, guards.verifier, groups="finance")
        with served_by_uvicorn(CognitoMiddleware(inner, guards.verifier), lifespan="off") as url:
            offered = ["bearer", guards.pool.access_token("ada", groups=groups)]
            if opens:
                with opened(url, subprotocols=offered) as socket:
                    assert (json.loads(socket.recv()), socket.subprotocol) == ([{"username": "ada"}, []], "bearer")
            else:
                with pytest.raises(InvalidStatus) as refusal:
                    opened(url, subprotocols=offered)
                assert b"missing_group" in (refusal.value.response.body or b"")


def test_the_subprotocol_that_the_application_chose_stays(guards: Guards) -> None:
    async def chat(scope: Scope, receive: Receive, send: Send) -> None:
        assert not any(name == b"sec-websocket-protocol" for name, _ in scope["headers"])
        await receive()
        await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
        await send({"type": "websocket.close"})

    offered = ["bearer", guards.pool.access_token("ada"), "chat"]
    with (
        served_by_uvicorn(CognitoMiddleware(chat, guards.verifier), lifespan="off") as url,
        opened(url, subprotocols=offered) as socket,
    ):
        assert socket.subprotocol == "chat"


@pytest.mark.parametrize("request_", [one for one in REFUSED if one.name != "two-headers"], ids=str)
def test_a_websocket_is_refused_before_it_opens_as_a_request_would_be(
    url: str, guards: Guards, request_: Refused
) -> None:
    headers = dict(request_.headers(guards.pool))
    with pytest.raises(InvalidStatus) as refusal:
        opened(url, request_.path, additional_headers=headers)
    response = refusal.value.response
    found = {name.lower(): value for name, value in response.headers.raw_items()}
    assert_refused(Reply(response.status_code, found, bytes(response.body or b"")), request_, guards)


def test_a_token_that_a_browser_offers_is_refused_likewise(url: str, guards: Guards) -> None:
    first, second = guards.pool.access_token("ada"), guards.pool.access_token("bob")
    for offered, code in (
        (["bearer", guards.pool.expired()], b"token_expired"),
        (["bearer"], b"missing_token"),
        (["chat", first], b"missing_token"),
        (["bearer", first, "bearer", second], b"malformed_token"),
    ):
        with pytest.raises(InvalidStatus) as refusal:
            opened(url, subprotocols=offered)
        assert code in (refusal.value.response.body or b"")


def test_nothing_that_a_client_sends_stands_where_a_middleware_leaves_its_token(url: str, guards: Guards) -> None:
    path, raw = f"/?{TOKEN_BESIDE_REQUEST}=x", guards.pool.access_token("ada")
    headers = {TOKEN_BESIDE_REQUEST: "x", "Cookie": f"{TOKEN_BESIDE_REQUEST}=x"}
    with pytest.raises(InvalidStatus) as refusal:
        opened(url, path, additional_headers=headers)
    assert b"missing_token" in (refusal.value.response.body or b"")
    with opened(url, path, additional_headers=headers, subprotocols=["bearer", raw]) as socket:
        assert json.loads(socket.recv()) == [{"username": "ada"}, []]


async def conversation(app: ASGIApp, heard: list[Message], **scope: Any) -> list[Message]:
    """What an application sends on a server that has no extensions, and whose client says nothing more."""
    sent: list[Message] = []

    async def receive() -> Message:
        if heard:
            return heard.pop(0)
        return await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: Message) -> None:
        sent.append(message)

    await app({"type": "websocket", "path": "/", "headers": [], **scope}, receive, send)
    return sent


def test_a_server_that_cannot_answer_a_websocket_closes_it(guards: Guards) -> None:
    app = CognitoMiddleware(hello, guards.verifier)
    sent = asyncio.run(conversation(app, [{"type": "websocket.connect"}]))
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "missing_token"}]


def test_a_websocket_may_open_without_a_token_where_it_is_optional(guards: Guards) -> None:
    app = CognitoMiddleware(hello, guards.verifier, optional=True)
    heard: list[Message] = [{"type": "websocket.connect"}, {"type": "websocket.disconnect"}]
    accepted, greeting = asyncio.run(conversation(app, heard, subprotocols=[]))
    assert (accepted["type"], json.loads(greeting["text"])) == ("websocket.accept", [{"username": None}, []])


EXPIRED = {"type": "websocket.close", "code": 1008, "reason": "token_expired"}


def headers_of(raw: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", raw.encode())]


def test_a_websocket_that_listens_is_closed_when_its_token_expires() -> None:
    pool = FakeUserPool()
    raw = pool.access_token("ada", exp=time.time() + 0.2)
    app = CognitoMiddleware(hello, pool.verifier())
    heard: list[Message] = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]
    accepted, _, echo, closed = asyncio.run(conversation(app, heard, headers=headers_of(raw), subprotocols=[]))
    assert (accepted["type"], echo["text"]) == ("websocket.accept", "hello")
    assert closed == EXPIRED


@pytest.mark.parametrize(("leeway", "seconds"), [(0, 3_600), (60, 3_660)])
def test_a_websocket_that_only_talks_is_closed_when_its_token_expires(leeway: int, seconds: int) -> None:
    clock = Clock()
    pool = FakeUserPool(clock=clock)

    async def ticker(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        clock.tick(seconds - 1)
        await send({"type": "websocket.send", "text": "in time"})
        clock.tick(1)
        with pytest.raises(OSError, match="its token has expired"):
            await send({"type": "websocket.send", "text": "too late"})
        await send({"type": "websocket.close"})

    app = CognitoMiddleware(ticker, pool.verifier(leeway=leeway))
    heard: list[Message] = [{"type": "websocket.connect"}]
    sent = asyncio.run(conversation(app, heard, headers=headers_of(pool.access_token("ada"))))
    assert [message.get("text") for message in sent[1:2]] == ["in time"]
    assert sent[2:] == [EXPIRED, {"type": "websocket.close"}]


def test_a_pipelined_request_does_not_see_the_token_of_the_one_before_which_is_still_at_work(guards: Guards) -> None:
    found: list[object] = []
    next_one = asyncio.Event()

    async def answer(send: Send) -> None:
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    async def busy(_: Scope, __: Receive, send: Send) -> None:
        await answer(send)
        await next_one.wait()
        found.append(who()["username"])

    guarded = CognitoMiddleware(busy, guards.verifier)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/busy":
            await guarded(scope, receive, send)
        else:
            found.append(who()["username"])
            next_one.set()
            await answer(send)

    with served_by_uvicorn(app, lifespan="off") as url:
        answers = pipelined(url, ("/busy", bearer(guards.pool.access_token("ada"))), ("/open", []))
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert found == [None, "ada"]


def test_what_a_server_starts_while_it_listens_for_a_request_has_no_token(guards: Guards) -> None:
    found: list[object] = []

    async def receive() -> Message:
        found.append(await asyncio.create_task(asyncio.to_thread(current_token)))
        return {"type": "http.request"}

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        await receive()
        found.append(who()["username"])

    async def send(_: Message) -> None: ...

    scope = {"type": "http", "method": "GET", "headers": headers_of(guards.pool.access_token("ada"))}
    asyncio.run(CognitoMiddleware(app, guards.verifier)(scope, receive, send))
    assert found == [None, "ada"]


def test_requests_at_once_do_not_see_each_others_token(url: str, guards: Guards) -> None:
    names = [f"user-{number}" for number in range(16)]
    barrier, found = threading.Barrier(len(names)), dict.fromkeys(names, "")

    def call(name: str) -> None:
        raw = guards.pool.access_token(name)
        barrier.wait()
        found[name] = ask(url, bearer(raw)).json["username"]

    threads = [threading.Thread(target=call, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: name for name in names}
