"""The key cache against real servers on loopback: bad answers, slow ones, TLS, proxies, the environment."""

from __future__ import annotations

import gzip
import json
import select
import socket
import ssl
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from hypothesis import example, given
from hypothesis import strategies as st

from cognito_verify.errors import CognitoVerifyError, KeysUnavailableError, UnknownKeyError
from cognito_verify.jwks import JwksCache, _clock_skew, _Flight, _Source
from cognito_verify.testing import Answer, Clock, FakeUserPool, JwksServer
from tests.key_endpoints import RawServer, document, flights_over

HOUR = 3_600
MIB = 1024 * 1024
ENVIRONMENT = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle", "netrc")


class Served:
    """A pool's real endpoint, and a cache that fetches from it."""

    def __init__(self, pool: FakeUserPool, server: JwksServer, uri: str, clock: Clock) -> None:
        self.pool = pool
        self.server = server
        self.uri = uri
        self.clock = clock
        self.kid = pool.header()["kid"]
        self.cache = self.cache_with()

    def cache_with(self, **options: Any) -> JwksCache:
        cache = JwksCache(clock=self.clock, **options)
        cache.add_source(self.uri)
        return cache


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000)


@pytest.fixture
def pool(clock: Clock) -> FakeUserPool:
    return FakeUserPool(clock=clock)


@pytest.fixture
def served(pool: FakeUserPool, clock: Clock) -> Iterator[Served]:
    server = pool.serve()
    with server as uri:
        yield Served(pool, server, uri, clock)
    flights_over()


def unavailable(cache: JwksCache, uri: str, kid: str = "any", siblings: tuple[str, ...] = ()) -> str:
    with pytest.raises(KeysUnavailableError) as refusal:
        cache.key(uri, kid, siblings)
    assert type(refusal.value) is KeysUnavailableError
    return str(cache.status()[uri]["last_error"])


def asked_with(connection: socket.socket) -> bytes:
    """The head of a request."""
    head = b""
    while b"\r\n\r\n" not in head and (data := connection.recv(65_536)):
        head += data
    return head


def replying(head: bytes, body: bytes = b"", asked: list[bytes] | None = None) -> Callable[[socket.socket], None]:
    def converse(connection: socket.socket) -> None:
        request = asked_with(connection)
        if asked is not None:
            asked.append(request)
        connection.sendall(head + b"\r\n\r\n" + body)

    return converse


def test_tokens_are_verified_with_keys_from_the_endpoint(served: Served) -> None:
    verifier = served.pool.verifier(jwks_cache=served.cache)
    assert verifier.verify(served.pool.access_token(username="ada")).username == "ada"
    served.cache.key(served.uri, served.kid)
    assert served.server.requests == 1
    request = served.server.last_request.splitlines()
    assert {line for line in request if line.startswith("Accept")} == {
        "Accept: application/json",
        "Accept-Encoding: identity",
    }


# Answers that are refused


OTHER_KEY = FakeUserPool("us-east-1_TestPool2").jwks["keys"][0]
DIFFERENT_KEYS = [{**key, "kid": "same"} for key in FakeUserPool("us-east-1_TestPool2").jwks["keys"]]


def encoded(body: bytes, encoding: str) -> Answer:
    return Answer(body=body, headers={"Content-Encoding": encoding})


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(Answer(302, headers={"Location": "/elsewhere"}), "answered 302 to '/elsewhere'", id="redirect"),
        pytest.param(Answer(304), "answered 304", id="not-modified"),
        pytest.param(Answer(204, b""), "answered 204", id="no-content"),
        pytest.param(Answer(206), "answered 206", id="partial-content"),
        pytest.param(Answer(403), "answered 403", id="forbidden"),
        pytest.param(Answer(404), "answered 404", id="not-found"),
        pytest.param(Answer(429), "answered 429", id="too-many-requests"),
        pytest.param(Answer(500), "answered 500", id="server-error"),
        pytest.param(Answer(503, headers={"Retry-After": "3600"}), "answered 503", id="retry-after"),
        pytest.param(Answer(body=b"<!doctype html>", headers={"Content-Type": "text/html"}), "no JWKS", id="html"),
        pytest.param(Answer(body=b""), "no JWKS", id="empty-body"),
        pytest.param(Answer(body=b'{"keys": ['), "no JWKS", id="cut-off-json"),
        pytest.param(Answer(body=document()), "no usable", id="no-key"),
        pytest.param(Answer(body=document({**OTHER_KEY, "d": "AQAB"})), "no usable", id="private-key-alone"),
        pytest.param(Answer(body=document(*DIFFERENT_KEYS)), "no usable", id="one-kid-for-two-keys"),
        pytest.param(Answer(truncate=100), "IncompleteRead", id="truncated"),
        pytest.param(Answer(truncate=100, reset=True), "reset", id="reset-in-the-body"),
        pytest.param(Answer(reset=True), "reset", id="reset-before-the-head"),
        pytest.param(Answer(body=document() + b" " * 10 * MIB), "over 512 KiB", id="10-mib"),
        pytest.param(
            Answer(body=document() + b" " * 10 * MIB, headers={"Content-Length": None}), "over 512 KiB", id="unbounded"
        ),
        pytest.param(encoded(gzip.compress(b" " * 50 * MIB), "gzip"), "over 512 KiB", id="gzip-bomb"),
        pytest.param(encoded(b"not gzip at all", "gzip"), "incorrect header check", id="no-gzip"),
        pytest.param(encoded(zlib.compress(b"{}"), "gzip"), "incorrect header check", id="zlib-as-gzip"),
        pytest.param(encoded(zlib.compress(b"{}"), "deflate"), "Content-Encoding 'deflate'", id="deflate"),
        pytest.param(encoded(b"{}", "br"), "Content-Encoding 'br'", id="brotli"),
        pytest.param(encoded(b"{}", "zstd"), "Content-Encoding 'zstd'", id="zstd"),
        pytest.param(
            encoded(gzip.compress(gzip.compress(b"{}")), "gzip, gzip"), "Content-Encoding 'gzip, gzip'", id="gzip-twice"
        ),
    ],
)
def test_good_keys_outlive_a_bad_answer(served: Served, answer: Answer, why: str) -> None:
    key = served.cache.key(served.uri, served.kid)
    served.server.answers(answer)
    served.clock.now += HOUR
    assert served.cache.key(served.uri, served.kid) is key
    assert served.cache.status()[served.uri]["state"] == "stale"
    assert why in str(served.cache.status()[served.uri]["last_error"])
    served.server.answers()
    served.clock.now += 10
    assert served.cache.key(served.uri, served.kid) is not key
    assert served.cache.status()[served.uri]["last_error"] is None


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"A" * 60_000, id="endless-status-line"),
        pytest.param(b"HTTP/1.1 OK", id="no-status"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2", id="other-protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200, id="too-many-headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2", id="two-lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", id="no-chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, id="endless-header"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: http://[::1", id="no-location"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_is_not_quite_http_is_a_failed_fetch_told_in_one_short_line(head: bytes, clock: Clock) -> None:
    with RawServer(replying(head)) as port:
        cache = JwksCache(clock=clock)
        cache.add_source(uri := f"http://127.0.0.1:{port}/")
        why = unavailable(cache, uri)
    assert len(why) < 300
    assert why.isprintable()


def test_where_requests_cannot_be_imported_the_failed_fetch_says_so(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "requests.adapters", None)  # as where it is not installed
        found = unavailable(served.cache, served.uri)
    assert found.startswith("requests cannot be imported (")
    assert served.server.requests == 0


def test_a_redirect_is_refused_without_reading_its_body(served: Served) -> None:
    served.server.answers(Answer(302, headers={"Location": served.uri}, stall="body"))
    assert "answered 302" in unavailable(served.cache, served.uri)
    assert served.server.requests == 1


def test_a_redirect_to_the_keys_is_not_followed(served: Served) -> None:
    served.server.answers(Answer(301, b"", headers={"Location": served.uri}), Answer())
    assert "not followed" in unavailable(served.cache, served.uri, served.kid)
    assert served.server.requests == 1


def test_a_set_may_come_in_gzip_and_in_chunks_though_nobody_asked_for_it(pool: FakeUserPool, clock: Clock) -> None:
    packed = gzip.compress(document(*pool.jwks["keys"]))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: GZIP"
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (packed[:100], packed[100:], b""))
    with RawServer(replying(head, body)) as port:
        cache = JwksCache(clock=clock)
        cache.add_source(uri := f"http://127.0.0.1:{port}/")
        cache.key(uri, pool.header()["kid"])


@pytest.mark.parametrize("is_packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("size", [MIB // 2, MIB // 2 + 1])
def test_a_set_of_exactly_512_kib_is_taken_and_a_byte_more_is_not(served: Served, is_packed: bool, size: int) -> None:
    body = json.dumps(served.pool.jwks).encode().ljust(size)
    served.server.answers(encoded(gzip.compress(body), "gzip") if is_packed else Answer(body=body))
    if size == MIB // 2:
        served.cache.key(served.uri, served.kid)
    else:
        assert unavailable(served.cache, served.uri) == "the answer is over 512 KiB"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        pytest.param(b" " * 10 * MIB, b"identity", id="10-mib"),
        pytest.param(gzip.compress(b" " * 50 * MIB), b"gzip", id="gzip-bomb"),  # a part of 16 KiB unpacks to 16 MiB
    ],
)
def test_no_more_is_held_of_an_answer_than_may_be_kept(clock: Clock, body: bytes, encoding: bytes) -> None:
    def answer(connection: socket.socket) -> None:
        asked_with(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\n\r\n" % encoding)
        connection.sendall(body)

    with RawServer(answer) as port:
        cache = JwksCache(clock=clock)
        cache.add_source(uri := f"http://127.0.0.1:{port}/")
        tracemalloc.start()
        try:
            assert unavailable(cache, uri) == "the answer is over 512 KiB"
            flights_over()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 3 * MIB


def test_an_endpoint_that_refuses_connections_is_unavailable_until_it_is_back(pool: FakeUserPool, clock: Clock) -> None:
    with pool.serve() as uri:
        pass
    cache = JwksCache(clock=clock)
    cache.add_source(uri)
    assert "ConnectionRefusedError" in unavailable(cache, uri)
    clock.now += 10
    with pool.serve(port=int(uri.split(":")[2].split("/")[0])):
        cache.key(uri, pool.header()["kid"])


# Retries


@pytest.mark.parametrize(
    ("answer", "retries", "expected"),
    [
        pytest.param(Answer(500), 1, 2, id="500"),
        pytest.param(Answer(503), 0, 1, id="503-without-retries"),
        pytest.param(Answer(503), 3, 4, id="503-three-retries"),
        pytest.param(Answer(429), 1, 2, id="429"),
        pytest.param(Answer(reset=True), 1, 2, id="reset"),
        pytest.param(Answer(truncate=9), 1, 2, id="truncated"),
        pytest.param(Answer(stall="head"), 1, 2, id="read-timeout"),
        pytest.param(Answer(302, headers={"Location": "/"}), 1, 1, id="redirect"),
        pytest.param(Answer(400), 1, 1, id="400"),
        pytest.param(Answer(403), 1, 1, id="403"),
        pytest.param(Answer(404), 1, 1, id="404"),
        pytest.param(Answer(body=b"{}"), 1, 1, id="no-jwks"),
        pytest.param(Answer(body=b" " * MIB), 1, 1, id="too-big"),
        pytest.param(Answer(headers={"Content-Encoding": "br"}), 1, 1, id="encoding"),
    ],
)
def test_a_fetch_is_at_most_one_request_and_its_retries(
    served: Served, answer: Answer, retries: int, expected: int
) -> None:
    cache = served.cache_with(retries=retries, timeout=(1, 0.1))
    served.server.answers(answer)
    unavailable(cache, served.uri)
    assert served.server.requests == expected


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux lets a first packet wait where the accept queue is full"
)
def test_the_time_to_connect_is_not_the_time_to_read(clock: Clock) -> None:
    cache = JwksCache(clock=clock, timeout=(0.1, 20), deadline=10)
    with ExitStack() as standing:
        listener = standing.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # its queue is full: whoever comes waits for an answer to a first packet
            waiting = standing.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        cache.add_source(uri := f"http://127.0.0.1:{listener.getsockname()[1]}/")
        assert unavailable(cache, uri) == "TimeoutError: timed out"


def test_no_retry_starts_once_the_deadline_is_over(served: Served) -> None:
    cache = served.cache_with(deadline=0.2, timeout=(5, 5))
    cache.key(served.uri, served.kid)
    served.server.answers(Answer(delay=0.7))
    served.clock.now += HOUR
    cache.refresh_due()  # nobody waits for it, so nobody ends it
    flights_over()
    assert served.server.requests == 2
    assert "timed out" in str(cache.status()[served.uri]["last_error"])


def test_a_retry_that_succeeds_is_a_fetch_that_succeeded(served: Served) -> None:
    served.server.answers(Answer(500), Answer())
    served.cache.key(served.uri, served.kid)
    assert served.server.requests == 2
    assert served.cache.status()[served.uri]["last_error"] is None


# Issuers without keys, over HTTP


@pytest.mark.parametrize("status", [403, 404])
def test_403_and_404_say_that_an_issuer_has_no_keys(served: Served, clock: Clock, status: int) -> None:
    other = FakeUserPool("us-east-1_TestPool2", clock=clock).serve()
    other.answers(Answer(status))
    with other as other_uri:
        served.cache.add_source(other_uri)
        for _ in range(2):
            with pytest.raises(CognitoVerifyError) as refusal:
                served.cache.key(other_uri, "forged", [served.uri])
            assert type(refusal.value) is UnknownKeyError
        unavailable(served.cache, other_uri, "forged")  # its twin: a pool with this one issuer
    assert (other.requests, served.server.requests) == (1, 1)


@pytest.mark.parametrize("status", [401, 410, 500])
def test_other_answers_do_not(served: Served, clock: Clock, status: int) -> None:
    other = FakeUserPool("us-east-1_TestPool2", clock=clock).serve()
    other.answers(Answer(status))
    with other as other_uri:
        served.cache.add_source(other_uri)
        unavailable(served.cache, other_uri, "forged", (served.uri,))


# Deadlines


def is_over_time(why: str) -> bool:
    """The caller's deadline, or the socket's own time-out, which is cut to it and may be a moment faster."""
    return "no complete answer within 0." in why or "timed out" in why


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(stall="head"), id="stalls-before-the-head"),
        pytest.param(Answer(stall="body"), id="stalls-before-the-body"),
        pytest.param(Answer(drip="head"), id="drips-the-head"),
        pytest.param(Answer(drip="body"), id="drips-the-body"),
        pytest.param(Answer(drip="body", headers={"Content-Length": None}), id="drips-a-body-of-unknown-length"),
        pytest.param(Answer(drip="body", headers={"Connection": "close"}), id="drips-the-body-and-closes"),
        pytest.param(Answer(500, delay=0.1), id="fails-slowly-for-ever"),
    ],
)
def test_no_caller_waits_longer_than_the_deadline(served: Served, answer: Answer) -> None:
    cache = served.cache_with(deadline=0.3, retries=1_000)
    served.server.answers(answer)
    began = time.monotonic()
    assert is_over_time(unavailable(cache, served.uri))
    assert time.monotonic() - began < 5  # a dripped set takes half a minute
    flights_over()  # the thread comes back from its socket although the server goes on
    assert served.server.requests < 10
    served.server.answers()
    served.clock.now += 10
    cache.key(served.uri, served.kid)


@pytest.mark.parametrize("drips", [True, False], ids=["drips", "stalls"])
def test_the_deadline_holds_during_the_tls_handshake_too(clock: Clock, drips: bool) -> None:
    def shake_hands(connection: socket.socket) -> None:
        connection.recv(65_536)
        if drips:
            connection.sendall(b"\x16\x03\x03\x40\x00")  # a handshake record of 16 KiB follows
        while True:
            time.sleep(0.02)
            connection.send(b"\x02" if drips else b"")

    with RawServer(shake_hands) as port:
        cache = JwksCache(clock=clock, deadline=0.3)
        cache.add_source(uri := f"https://127.0.0.1:{port}/")
        assert is_over_time(unavailable(cache, uri))
        flights_over()


def test_a_connection_that_failed_does_not_keep_the_next_from_being_shut(served: Served) -> None:
    cache = served.cache_with(deadline=0.4)
    served.server.answers(Answer(reset=True), Answer(drip="body"))
    assert is_over_time(unavailable(cache, served.uri))
    flights_over()
    assert served.server.requests == 2


# The environment


def test_netrc_is_ignored(served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    requests.get(served.uri, timeout=5).close()
    assert "Authorization" in served.server.last_request  # what it would do
    served.cache.key(served.uri, served.kid)
    assert served.server.requests == 2
    assert "Authorization" not in served.server.last_request


def test_no_cookie_goes_from_one_fetch_to_the_next(served: Served) -> None:
    served.server.answers(Answer(headers={"Set-Cookie": "session=1"}))
    for _ in range(2):
        served.cache.key(served.uri, served.kid)
        served.clock.now += HOUR
    assert served.server.requests == 2
    assert "Cookie" not in served.server.last_request


def test_a_proxy_of_the_environment_is_honoured(
    pool: FakeUserPool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    body = document(*pool.jwks["keys"])
    cache = JwksCache(clock=clock)
    cache.add_source(uri := "http://keys.example/jwks.json")
    with RawServer(replying(b"HTTP/1.1 200 OK\r\nContent-Length: %d" % len(body), body, asked)) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        cache.key(uri, pool.header()["kid"])
    assert asked[0].startswith(b"GET http://keys.example/jwks.json HTTP/1.1\r\n")


def test_a_proxy_for_https_is_honoured(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    cache = JwksCache(clock=clock, retries=0)
    cache.add_source(uri := "https://keys.example/jwks.json")
    with RawServer(replying(b"HTTP/1.1 407 Proxy Authentication Required", asked=asked)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        assert "Tunnel connection failed: 407" in unavailable(cache, uri)
    assert [request.partition(b" HTTP/1.")[0] for request in asked] == [b"CONNECT keys.example:443"]


def test_the_deadline_holds_for_a_proxy_too(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(connection: socket.socket) -> None:
        asked_with(connection)
        while True:  # a status line that does not end
            connection.send(b"H")
            time.sleep(0.02)

    with RawServer(drip) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        cache = JwksCache(clock=clock, deadline=0.3)
        cache.add_source(uri := "https://keys.example/")
        assert is_over_time(unavailable(cache, uri))
        flights_over()


def test_no_proxy_is_honoured(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served.cache.key(served.uri, served.kid)


# TLS


def server_context(authority: trustme.CA, host: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


def over_tls(context: ssl.SSLContext, converse: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    def shake_hands(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            converse(secured)

    return shake_hands


@pytest.mark.parametrize(
    ("trusted", "host", "why"),
    [
        pytest.param("ours", "127.0.0.1", None, id="the-right-authority"),
        pytest.param("theirs", "127.0.0.1", "CERTIFICATE_VERIFY_FAILED", id="another-authority"),
        pytest.param("ours", "127.0.0.2", "CERTIFICATE_VERIFY_FAILED", id="another-host"),
        pytest.param("nobody's", "127.0.0.1", "CA certificate bundle", id="a-bundle-that-is-not-there"),
    ],
)
def test_the_ca_bundle_of_the_environment_is_honoured(
    pool: FakeUserPool,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    trusted: str,
    host: str,
    why: str | None,
) -> None:
    authorities = {name: trustme.CA() for name in ("ours", "theirs")}
    for name, authority in authorities.items():
        authority.cert_pem.write_to_path(str(tmp_path / f"{name}.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / f"{trusted}.pem"))
    body = json.dumps(pool.jwks).encode()
    reply = replying(b"HTTP/1.1 200 OK\r\nContent-Length: %d" % len(body), body)
    with RawServer(over_tls(server_context(authorities["ours"], host), reply)) as port:
        cache = JwksCache(clock=clock)
        cache.add_source(uri := f"https://127.0.0.1:{port}/")
        if why is None:
            cache.key(uri, pool.header()["kid"])
        else:
            assert why in unavailable(cache, uri)


def test_a_body_that_drips_over_tls_is_cut_at_the_deadline(
    pool: FakeUserPool, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def drip(connection: socket.socket) -> None:
        asked_with(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for byte in json.dumps(pool.jwks).encode()[:800]:
            time.sleep(0.01)
            connection.sendall(bytes([byte]))

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ours.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ours.pem"))
    with RawServer(over_tls(server_context(authority, "127.0.0.1"), drip)) as port:
        cache = JwksCache(clock=clock, deadline=0.3)
        cache.add_source(uri := f"https://127.0.0.1:{port}/")
        assert is_over_time(unavailable(cache, uri))
        flights_over()


@pytest.mark.parametrize("drips", [False, True], ids=["answers", "drips"])
def test_tls_within_the_tls_of_a_proxy_is_watched_too(
    pool: FakeUserPool, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, drips: bool
) -> None:
    body = json.dumps(pool.jwks).encode()

    def answer(connection: socket.socket) -> None:
        asked_with(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + (b"" if drips else body))
        while drips:
            time.sleep(0.01)
            connection.sendall(b" ")

    def tunnel(connection: socket.socket) -> None:
        asked_with(connection)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", origin)) as beyond:
            while True:
                for one in select.select([connection, beyond], [], [])[0]:
                    if not (part := one.recv(65_536)):
                        return
                    (beyond if one is connection else connection).sendall(part)

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ours.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ours.pem"))
    context = server_context(authority, "127.0.0.1")
    with RawServer(over_tls(context, answer)) as origin, RawServer(over_tls(context, tunnel)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy}")
        cache = JwksCache(clock=clock, deadline=0.4 if drips else 20)
        cache.add_source(uri := f"https://127.0.0.1:{origin}/")
        if drips:
            assert is_over_time(unavailable(cache, uri))
        else:
            cache.key(uri, pool.header()["kid"])
        flights_over()


def test_a_socket_that_is_gone_keeps_no_other_open() -> None:
    flight = _Flight(_Source("https://keys.example/"), 0, time.monotonic())
    gone, (ours, theirs) = socket.socket(), socket.socketpair()
    gone.close()
    flight.watch(gone)
    flight.watch(ours)
    theirs.settimeout(20)
    flight.shut()
    assert theirs.recv(1) == b""
    flight.abandon()
    assert ours.fileno() == -1
    theirs.close()


def date(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


# By how much the endpoint's clock differs from ours, which stands still; a fetch takes up to its deadline of 2.5 s.
@pytest.mark.parametrize("ahead", [-600, -6, 0, 6, 600])
@pytest.mark.parametrize("status", [200, 404, 503])
def test_the_status_tells_how_far_the_endpoints_clock_is_from_ours(served: Served, ahead: int, status: int) -> None:
    served.server.answers(Answer(status, headers={"Date": date(served.clock.now - ahead)}))
    with suppress(KeysUnavailableError):
        served.cache.prefetch([[served.uri]])
    skew = served.cache.status()[served.uri]["clock_skew"]
    assert skew is not None
    assert skew - ahead in (0, 1, 2)


def test_without_an_answer_nothing_is_known_of_the_endpoints_clock(served: Served) -> None:
    served.server.answers(Answer(headers={"Date": date(served.clock.now)}), Answer(reset=True))
    served.cache.prefetch([[served.uri]])
    assert served.cache.status()[served.uri]["clock_skew"] is not None
    served.clock.now += HOUR
    served.cache.key(served.uri, served.kid)
    assert served.cache.status()[served.uri]["clock_skew"] is None


@pytest.mark.parametrize(
    ("headers", "skew"),
    [
        pytest.param({"Date": "Fri, 15 Jan 2027 08:00:00 GMT"}, 0, id="the-same-second"),
        pytest.param({"Date": "Fri, 15 Jan 2027 07:59:59 GMT"}, 1, id="we-are-ahead"),
        pytest.param({"Date": "Fri, 15 Jan 2027 08:00:01 GMT"}, -1, id="we-are-behind"),
        pytest.param({"Date": "Fri, 15 Jan 2027 09:00:00 +0100"}, 0, id="another-zone"),
        pytest.param({"Date": "Fri, 15 Jan 2027 08:00:00 -0000"}, 0, id="no-zone"),
        pytest.param({"Date": "Fri, 15 Jan 2027 07:00:00 GMT", "Age": "3600"}, 0, id="kept-by-a-proxy"),
        pytest.param({"Date": "Fri, 15 Jan 2027 08:00:00 GMT", "Age": "an hour"}, None, id="an-age-in-words"),
        pytest.param({"Date": "Fri, 15 Jan 2027 08:00:00 GMT", "Age": "9" * 4_000}, None, id="an-age-beyond-numbers"),
        pytest.param({"Date": "Fri, 32 Jan 2027 08:00:00 GMT"}, None, id="no-such-day"),
        pytest.param({"Date": "1800000000"}, None, id="a-number"),
        pytest.param({"Date": ""}, None, id="empty"),
        pytest.param({}, None, id="none"),
    ],
)
def test_a_date_is_told_from_what_is_none(headers: dict[str, str], skew: int | None) -> None:
    assert _clock_skew(headers, 1_800_000_000.9) == skew


@given(
    date=st.text(st.characters(max_codepoint=255))
    | st.from_regex(r"\w{3}, \d+ (Jan|May) \d+ \d+:\d+:?\d* ?\S*", fullmatch=True)
)
@example(date=" ")
@example(date="Fri, 15 Jan 2027 08:00:00 +9999")
@example(date="Fri, 15 Jan 0 08:00:00 GMT")
@example(date="Fri, 15 Jan 1 08:00:00 +2300")
def test_no_date_whatever_it_says_stops_a_fetch(date: str) -> None:
    assert isinstance(_clock_skew({"Date": date}, 1_800_000_000), int | None)
