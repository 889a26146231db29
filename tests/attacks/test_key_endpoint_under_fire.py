"""The key endpoint under fire: whatever it does, the same promises hold.

Each row of the table is a way to misbehave, on a real port of loopback. In each, known keys go on within their limits,
no caller waits longer than its budget, the verifier recovers by itself, and the log has one useful line for a failed
fetch.
`make fire` runs the long form: the default deadlines, measured by the wall clock. In the short form a server that never
lets go proves them: who comes back from it has not waited for it.
"""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import re
import select
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests.adapters  # noqa: F401 - now: else the first deadline pays for the import
import trustme

from cognito_verify.errors import InvalidSignatureError, KeysUnavailableError, UnknownKeyError
from cognito_verify.jwks import JwksCache
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.testing import Answer, Clock, FakeUserPool
from cognito_verify.verifier import CognitoVerifier
from tests.key_endpoints import RawServer, document, flights_over

IS_LONG = os.environ.get("ATTACKS") == "long"
NOON = 1_800_000_000
TTL, MAX_STALE, COOLDOWN = 3_600, 21_600, 10  # the defaults
DEADLINE = 2.5 if IS_LONG else 0.3  # of an endpoint that does not let go
PATIENCE = 1.0  # while keys may still be served
ALLOWANCE = 1.5  # of a busy machine
DRIP_SECONDS = 1.0 if IS_LONG else 0.02
MIB = 1024 * 1024
OVER_TIME = r"(no complete answer within [\d.]+ s|\w*[tT]ime\w*: .*timed out.*)"

OTHER_KEYS = FakeUserPool("us-east-1_TestPool2").jwks["keys"]
HTML = b"<!doctype html><title>Sign in</title>"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(b" " * 50 * MIB)
LINGER_NOT = struct.pack("ii", 1, 0)


def large_set(keys: int) -> bytes:
    """Keys that differ in their last digits, each of them usable."""
    n = base64.urlsafe_b64decode(OTHER_KEYS[0]["n"] + "==")
    numbers = (n[:-4] + (2 * number + 1).to_bytes(4, "big") for number in range(keys))
    return document(
        *(
            {"kty": "RSA", "kid": f"k{i}", "e": "AQAB", "n": base64.urlsafe_b64encode(number).rstrip(b"=").decode()}
            for i, number in enumerate(numbers)
        )
    )


# How to misbehave


class Field:
    """A key endpoint that turns hostile and well again, on one port."""

    def __init__(self, pool: FakeUserPool, good_tls: ssl.SSLContext | None) -> None:
        self.pool = pool
        self.over = threading.Event()
        self.connections = 0
        self.left = threading.Semaphore(0)  # once for each conversation that the client left first
        self.elsewhere = socket.create_server(("127.0.0.1", 0))
        self._good_tls = good_tls
        self._hostile: Conversation | None = None
        self._standing = ExitStack()
        self._port = self._standing.enter_context(RawServer(self._converse))
        self.uri = f"http{'s' if good_tls else ''}://127.0.0.1:{self._port}/jwks.json"

    def turn(self, hostile: Conversation | None = None) -> None:
        self._hostile = hostile
        self._standing.close()  # cuts what the last turn left
        self._standing.enter_context(RawServer(self._converse, port=self._port))

    def refuse(self) -> None:
        self._standing.close()

    def ignore(self) -> None:
        """Listen with a full queue: whoever comes waits for an answer to a first packet."""
        self._standing.close()
        listener = self._standing.enter_context(socket.create_server(("127.0.0.1", self._port), backlog=0))
        for _ in range(4):
            waiting = self._standing.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())

    def close(self) -> None:
        self.over.set()
        self._standing.close()
        self.elsewhere.close()

    def was_left_alone_elsewhere(self) -> bool:
        return select.select([self.elsewhere], [], [], 0)[0] == []

    def _converse(self, connection: socket.socket) -> None:
        self.connections += 1
        if self._hostile is not None:
            self._hostile(self, connection)
        elif self._good_tls is not None:
            with self._good_tls.wrap_socket(connection, server_side=True) as secured:
                self._answer_well(secured)
        else:
            self._answer_well(connection)

    def _answer_well(self, connection: socket.socket) -> None:
        read_request(connection)
        body = json.dumps(self.pool.jwks).encode()
        connection.sendall(OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))


Conversation = Callable[[Field, socket.socket], None]


def read_request(connection: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head and not head.startswith(b"\x16") and (data := connection.recv(65_536)):
        head += data  # up to the empty line, or a first record of TLS


def sends(head: bytes, body: bytes = b"") -> Conversation:
    def converse(field: Field, connection: socket.socket) -> None:
        read_request(connection)
        port = field.elsewhere.getsockname()[1]
        connection.sendall(head.replace(b"ELSEWHERE", b"127.0.0.1:%d" % port).replace(b"HERE", field.uri.encode()))
        connection.sendall(body)

    return converse


def answers(status: str = "200 OK", body: bytes = b"", *headers: str) -> Conversation:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return sends("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n", body)


def resets(head: bytes = b"") -> Conversation:
    def converse(field: Field, connection: socket.socket) -> None:
        sends(head)(field, connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        connection.close()

    return converse


def holds(head: bytes = b"") -> Conversation:
    """Sends that much and then nothing, until the client has gone."""

    def converse(field: Field, connection: socket.socket) -> None:
        sends(head)(field, connection)
        with suppress(OSError):
            while connection.recv(65_536):
                pass
        field.left.release()

    return converse


def goes_on(head: bytes, piece: bytes, pause: float) -> Conversation:
    """Sends the piece again and again, until the client has gone."""

    def converse(field: Field, connection: socket.socket) -> None:
        sends(head)(field, connection)
        with suppress(OSError):
            while not field.over.wait(pause):
                connection.sendall(piece)
        field.left.release()

    return converse


def drips(head: bytes, piece: bytes) -> Conversation:
    return goes_on(head, piece, DRIP_SECONDS)


def over_tls(context: Callable[[], ssl.SSLContext], inner: Conversation) -> Conversation:
    def converse(field: Field, connection: socket.socket) -> None:
        with context().wrap_socket(connection, server_side=True) as secured:
            inner(field, secured)

    return converse


AUTHORITY = trustme.CA()
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def tls_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


GOOD_TLS = tls_of(AUTHORITY.issue_cert("127.0.0.1"))


def shows(certificate: trustme.LeafCert) -> Conversation:
    return over_tls(lambda: tls_of(certificate), answers("200 OK", document(*OTHER_KEYS)))


@dataclass(frozen=True)
class Row:
    """A way to misbehave, and what the log says of it."""

    turn: Callable[[Field], None]
    found: str  # a regular expression
    lets_go: bool = True  # else the client has to leave
    is_secure: bool = False


def row(name: str, conversation: Conversation, found: str, **more: Any) -> Any:
    return pytest.param(Row(lambda field: field.turn(conversation), found, **more), id=name)


def stuck(name: str, conversation: Conversation, **more: Any) -> Any:
    return row(name, conversation, OVER_TIME, lets_go=False, **more)


NO_JWKS = re.escape("the answer is no JWKS (jwks: expected ") + ".*"
TABLE = [
    pytest.param(Row(Field.refuse, r"ConnectionRefusedError: .*"), id="refused"),
    pytest.param(Row(Field.ignore, OVER_TIME, lets_go=False), id="connection-never-answered"),
    row("reset-before-the-head", resets(), r"ConnectionResetError: .*"),
    row(
        "reset-in-the-body", resets(OK + b"Content-Length: 800\r\n\r\n{"), r"(ConnectionResetError|IncompleteRead): .*"
    ),
    row("closed-without-a-word", sends(b""), r"RemoteDisconnected: .*"),
    stuck("stalls-before-the-head", holds()),
    stuck("stalls-in-the-head", holds(OK)),
    stuck("stalls-in-the-body", holds(OK + b'Content-Length: 800\r\n\r\n{"keys": [')),
    stuck("drips-the-head", drips(b"", b"H")),
    stuck("drips-headers", drips(OK, b"X: y\r\n")),
    stuck("drips-a-body", drips(OK + b"Content-Length: 800\r\n\r\n", b"{")),
    stuck("drips-a-body-without-end", drips(OK + b"\r\n", b" ")),
    stuck("drips-chunks", drips(CHUNKED, b"1\r\n{\r\n")),
    stuck("drips-a-chunks-length", drips(CHUNKED, b"0")),
    stuck("trailers-without-end", goes_on(CHUNKED + b"0\r\n", b"X: y\r\n" * 100, 0.001)),
    stuck("100-continue-for-ever", goes_on(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.001)),
    stuck("keeps-the-connection-of-a-body-that-lacks-a-byte", holds(OK + b"Content-Length: 3\r\n\r\n{}")),
    row("500", answers("500 Internal Server Error", HTML), "answered 500"),
    row("503", answers("503 Service Unavailable", b"", "Retry-After: 3600"), "answered 503"),
    row("429", answers("429 Too Many Requests", b"", "Retry-After: 7"), "answered 429"),
    row("html", answers("200 OK", HTML, "Content-Type: application/json"), NO_JWKS),
    row("json-cut-off", answers("200 OK", document(*OTHER_KEYS)[:-9]), NO_JWKS),
    row("json-of-another-kind", answers("200 OK", b'{"message": "ok"}'), NO_JWKS),
    row("nested-500000-times", answers("200 OK", b'{"keys":' + b"[" * 500_000), NO_JWKS),
    row("empty", answers(), NO_JWKS),
    row("10-mib", answers("200 OK", b" " * 10 * MIB), "the answer is over 512 KiB"),
    row("512-kib-and-1", answers("200 OK", document(*OTHER_KEYS).ljust(MIB // 2 + 1)), "the answer is over 512 KiB"),
    row("10000-keys", answers("200 OK", large_set(10_000)), "the answer is over 512 KiB"),
    row(
        "10000-keys-without-numbers",
        answers("200 OK", document(*({"kty": "RSA", "kid": str(i)} for i in range(10_000)))),
        "the answer holds no usable RS256 key",
    ),
    row(
        "one-kid-for-two-keys",
        answers("200 OK", document(*({**key, "kid": "same"} for key in OTHER_KEYS))),
        "the answer holds no usable RS256 key",
    ),
    row(
        "redirect-to-another-host", answers("302 Found", b"", "Location: http://ELSEWHERE/"), r"answered 302 to '.*'.*"
    ),
    row("redirect-to-itself", answers("301 Moved Permanently", b"", "Location: HERE"), r"answered 301 to '.*'.*"),
    row("gzip-bomb", answers("200 OK", BOMB, "Content-Encoding: gzip"), "the answer is over 512 KiB"),
    row("gzip-that-is-none", answers("200 OK", HTML, "Content-Encoding: gzip"), "error: .*incorrect header check"),
    row("gzip-of-nothing", sends(OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b"") * 1_000), NO_JWKS),
    row("brotli", answers("200 OK", HTML, "Content-Encoding: br"), "answered with Content-Encoding 'br', unasked"),
    row("length-too-long", sends(OK + b"Content-Length: 800\r\n\r\n{}"), r"IncompleteRead: .*"),
    row("length-too-short", sends(OK + b"Content-Length: 9\r\n\r\n" + document(*OTHER_KEYS)), NO_JWKS),
    row("length-beyond-reason", sends(OK + b"Content-Length: 9" + b"9" * 99 + b"\r\n\r\n{}"), r"\w+: .*"),
    row("length-below-zero", sends(OK + b"Content-Length: -2\r\n\r\n{}"), NO_JWKS),
    row("two-lengths", sends(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), r"\w+: .*"),
    row("chunks-of-garbage", sends(CHUNKED + b"\xff\xfe{}\r\n0\r\n\r\n"), r"\w+: .*"),
    row("chunk-below-zero", sends(CHUNKED + b"-5\r\n{}"), r"\w+: .*"),
    row("chunk-without-end", goes_on(CHUNKED, b"1" * 65_536, 0.0), r"\w+: .*"),
    row("header-without-end", goes_on(OK + b"X: ", b"y" * 65_536, 0.0), r"LineTooLong: .*"),
    row("headers-without-end", goes_on(OK, b"X: y\r\n" * 1_000, 0.0), r"\w+: .*100 headers.*"),
    row("http-0.9", sends(b"", HTML), r"BadStatusLine: .*"),
    row("http-9.9", sends(b"HTTP/9.9 200 OK\r\n\r\n", HTML), r"\w+: .*"),
    row("another-protocol", sends(b"SSH-2.0-OpenSSH_9.2\r\n"), r"BadStatusLine: .*"),
    row("tls-on-the-http-port", sends(b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n"), r"BadStatusLine: .*"),
    row("http-on-the-tls-port", answers("400 Bad Request"), r"SSLError: .*", is_secure=True),
    row(
        "tls-of-another-authority",
        shows(trustme.CA().issue_cert("127.0.0.1")),
        r"SSL.*unable to get local issuer.*",
        is_secure=True,
    ),
    row("tls-for-another-name", shows(AUTHORITY.issue_cert("127.0.0.2")), r"SSL.*mismatch.*", is_secure=True),
    row(
        "tls-that-has-expired",
        shows(AUTHORITY.issue_cert("127.0.0.1", not_before=YESTERDAY, not_after=YESTERDAY + timedelta(hours=1))),
        r"SSL.*expired.*",
        is_secure=True,
    ),
    row("tls-cut-off", resets(), r"(ConnectionResetError|SSLEOFError): .*", is_secure=True),
    stuck("tls-stalls-in-the-handshake", holds(b""), is_secure=True),
    stuck("tls-drips-the-handshake", drips(b"\x16\x03\x03\x40\x00", b"\x02"), is_secure=True),
    stuck("drips-a-body-over-tls", over_tls(lambda: GOOD_TLS, drips(OK + b"\r\n", b" ")), is_secure=True),
]


# The promises


class Heard:
    """What the observer is told of fetches."""

    def __init__(self) -> None:
        self.fetches: list[FetchEvent] = []
        self._failed = threading.Condition()

    def __call__(self, event: VerificationEvent | FetchEvent) -> None:
        if isinstance(event, FetchEvent):
            with self._failed:
                self.fetches.append(event)
                self._failed.notify_all()

    @property
    def failures(self) -> int:
        return sum(event.error is not None for event in self.fetches)

    def has_failed(self, times: int) -> bool:
        with self._failed:
            return self._failed.wait_for(lambda: self.failures >= times, 0.01)


@pytest.fixture(autouse=True)
def trust(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def pool(clock: Clock) -> FakeUserPool:
    return FakeUserPool(clock=clock)


def verifier_of(pool: FakeUserPool, uri: str, cache: JwksCache) -> CognitoVerifier[Any]:
    return CognitoVerifier(
        pool.user_pool_id,
        client_id=pool.client_id,
        token_use="access",
        jwks_uri=uri,
        jwks_cache=cache,
        clock=pool.clock,
    )


class Waits:
    """How long callers wait: in the long form within their budget; the short form has no wall clock."""

    def __init__(self) -> None:
        self.longest = 0.0

    def within(self, budget: float, call: Callable[[], object]) -> None:
        began = time.monotonic()
        try:
            call()
        finally:
            waited = time.monotonic() - began
            self.longest = max(self.longest, waited)
            if IS_LONG:
                assert waited < budget + ALLOWANCE


@pytest.fixture
def under_fire(row: Row, pool: FakeUserPool) -> Iterator[Field]:
    field = Field(pool, GOOD_TLS if row.is_secure else None)
    yield field
    field.close()
    flights_over()


def line(uri: str, found: str, outlook: str) -> str:
    return f"keys: expected a key set from {re.escape(uri)}, found none: {found}; {outlook}"


@pytest.mark.parametrize("row", TABLE)
def test_whatever_the_endpoint_does(
    under_fire: Field, row: Row, pool: FakeUserPool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    heard, waits = Heard(), Waits()
    cache = JwksCache(clock=clock, observer=heard, deadline=2.5 if row.lets_go else DEADLINE)
    verifier = verifier_of(pool, under_fire.uri, cache)
    known = pool.access_token("ada", expires_in=86_400)
    verifier.verify(known)
    row.turn(under_fire)
    under_fire.connections = 0

    # Known keys go on, for the one who refreshes as for the others, and for tokens never seen before.
    clock.tick(TTL)
    waits.within(PATIENCE, lambda: verifier.verify(known))
    while not heard.has_failed(1):
        assert verifier.verify(known).username == "ada"
    assert verifier.verify(pool.access_token("bob")).username == "bob"

    # A key that nobody knows yet is a 503: nobody can tell. Within the cooldown nobody asks, after it one fetch does.
    pool.rotate_keys(keep_old=True)
    new = pool.access_token("cyd", expires_in=86_400)
    for fetches in (1, 2):
        with pytest.raises(KeysUnavailableError) as refusal:
            waits.within(DEADLINE, lambda: verifier.verify(new))
        assert type(refusal.value) is KeysUnavailableError
        assert refusal.value.retry_after == COOLDOWN
        flights_over()
        assert heard.failures == fetches
        clock.tick(COOLDOWN)

    # After max_stale known keys end.
    clock.now = NOON + TTL + MAX_STALE - 1
    assert pool.header()["kid"] not in cache.keys(under_fire.uri)
    assert len(cache.keys(under_fire.uri)) == 2
    clock.tick(1)
    with pytest.raises(KeysUnavailableError) as refusal:
        waits.within(DEADLINE, lambda: verifier.verify(known))
    assert type(refusal.value) is KeysUnavailableError
    flights_over()
    assert heard.failures == 3
    if not row.lets_go and row.turn is not Field.ignore:
        for _ in range(3):
            assert under_fire.left.acquire(timeout=20)  # it never let go: the client left
    assert under_fire.connections <= 3 * 2  # one request and its retry for each fetch

    # The endpoint is well again: the next token finds out.
    under_fire.turn()
    clock.tick(COOLDOWN)
    assert verifier.verify(new).username == "cyd"
    assert verifier.verify(known).username == "ada"
    assert cache.status()[under_fire.uri]["last_error"] is None
    assert under_fire.was_left_alone_elsewhere()

    # One line for each failed fetch, and each says what was expected, what was found, where, and what comes next.
    assert heard.failures == 3
    expected = [
        f"keys at hand are served for {MAX_STALE} s more; next refresh in 10 s",
        f"keys at hand are served for {MAX_STALE - COOLDOWN} s more; next refresh in 20 s",
        "no keys to go on with; next fetch in 10 s",
    ]
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 3, texts
    for text, outlook in zip(texts, expected, strict=True):
        assert re.fullmatch(line(under_fire.uri, row.found, outlook), text), text
        assert text.isprintable()


# What is no failed fetch


@pytest.mark.parametrize("headers", [("Content-Type: text/html",), ("Content-Type: application/octet-stream",), ()])
def test_keys_are_taken_whatever_their_content_type_says(pool: FakeUserPool, clock: Clock, headers: tuple[str]) -> None:
    field = Field(pool, None)
    field.turn(answers("200 OK", document(*pool.jwks["keys"]), *headers))
    verifier_of(pool, field.uri, JwksCache(clock=clock)).verify(pool.access_token())
    field.close()


def test_a_kid_that_is_given_to_two_keys_is_nobodys_and_the_others_go_on(pool: FakeUserPool, clock: Clock) -> None:
    server = pool.serve()
    with server as uri:
        verifier = verifier_of(pool, uri, JwksCache(clock=clock))
        withdrawn = pool.access_token(expires_in=86_400)
        verifier.verify(withdrawn)
        old = pool.jwks["keys"]
        pool.rotate_keys(keep_old=True)
        doubled = {**OTHER_KEYS[0], "kid": old[0]["kid"]}, {**OTHER_KEYS[1], "kid": old[1]["kid"]}
        server.answers(Answer(body=document(*pool.jwks["keys"], *doubled)))
        clock.tick(TTL)
        verifier.verify(pool.access_token())
        with pytest.raises(UnknownKeyError):
            verifier.verify(withdrawn)


@pytest.mark.parametrize("is_remembered", [True, False])
def test_a_key_that_is_replaced_under_its_kid_ends_its_tokens_with_the_refresh(
    pool: FakeUserPool, clock: Clock, is_remembered: bool
) -> None:
    server = pool.serve()
    with server as uri:
        verifier = verifier_of(pool, uri, JwksCache(clock=clock))
        tokens = [pool.access_token(name, expires_in=86_400) for name in ("ada", "bob")]
        verifier.verify(tokens[0])
        token = tokens[0 if is_remembered else 1]
        replaced = [{**new, "kid": old["kid"]} for new, old in zip(OTHER_KEYS, pool.jwks["keys"], strict=True)]
        server.answers(Answer(body=document(*replaced)))
        clock.tick(TTL - 1)
        verifier.verify(token)  # its twin, a second earlier
        clock.tick(1)
        with pytest.raises(InvalidSignatureError) as refusal:
            verifier.verify(token)
        assert type(refusal.value) is InvalidSignatureError
        server.answers()
        clock.tick(TTL)
        verifier.verify(token)


# Memory

LARGEST = 3 * MIB  # the half megabyte that may be kept, before and after a part is added, and what else a fetch needs


@pytest.mark.parametrize(
    "conversation",
    [
        pytest.param(answers("200 OK", BOMB, "Content-Encoding: gzip"), id="gzip-bomb"),
        pytest.param(
            sends(OK + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BOMB), BOMB),
            id="gzip-bomb-in-one-chunk",
        ),
        pytest.param(goes_on(OK + b"\r\n", b" " * 65_536, 0.0), id="body-without-end"),
        pytest.param(goes_on(CHUNKED, b"1" * 65_536, 0.0), id="length-of-a-chunk-without-end"),
        pytest.param(goes_on(CHUNKED + b"1;", b"x" * 65_536, 0.0), id="extension-of-a-chunk-without-end"),
        pytest.param(goes_on(CHUNKED + b"0\r\nX: ", b"y" * 65_536, 0.0), id="trailer-without-end"),
        pytest.param(goes_on(OK + b"X: ", b"y" * 65_536, 0.0), id="header-without-end"),
        pytest.param(goes_on(b"", b"H" * 65_536, 0.0), id="status-line-without-end"),
        pytest.param(sends(CHUNKED + b"7fffffffffffffff\r\n", b" " * MIB), id="chunk-beyond-reason"),
    ],
)
def test_no_answer_takes_more_memory_than_a_key_set_may(
    pool: FakeUserPool, clock: Clock, conversation: Conversation
) -> None:
    field = Field(pool, None)
    cache = JwksCache(clock=clock)
    verifier = verifier_of(pool, field.uri, cache)
    token = pool.access_token(expires_in=86_400)
    verifier.verify(token)
    field.turn(conversation)
    clock.tick(TTL)
    tracemalloc.start()
    try:
        verifier.verify(token)
        flights_over()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    field.close()
    assert cache.status()[field.uri]["last_error"] is not None
    assert peak < LARGEST


# Names that do not resolve


def test_a_host_without_an_address_is_a_failed_fetch_that_names_it(
    pool: FakeUserPool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    uri = "https://keys.invalid/jwks.json"  # RFC 6761 section 6.4: no resolver knows it
    verifier = verifier_of(pool, uri, JwksCache(clock=clock))
    with pytest.raises(KeysUnavailableError) as refusal:
        verifier.verify(pool.access_token())
    flights_over()
    assert refusal.value.retry_after == COOLDOWN
    found = rf"(gaierror: .*|{OVER_TIME})"
    assert [
        bool(re.fullmatch(line(uri, found, "no keys to go on with; next fetch in 10 s"), r.getMessage()))
        for r in caplog.records
    ] == [True]


NAMESPACES = """
set -e
ip link set lo up
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
exec "$2" "$3"
"""
RESOLVER = Path(__file__).with_name("resolver_under_fire.py")


def test_a_resolver_that_hangs_fails_or_lies_costs_no_more_than_the_deadline(tmp_path: Path) -> None:
    """In namespaces of its own: a real stub of a name server on port 53, and the C library's own resolver asks it."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:1\n")
    (tmp_path / "nsswitch.conf").write_text("hosts: dns\n")
    unshare = [shutil.which("unshare") or "unshare", "--user", "--map-root-user", "--net", "--mount"]
    try:
        subprocess.run([*unshare, "sh", "-c", "ip link set lo up"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs Linux, and leave to make namespaces")
    program = [*unshare, "sh", "-c", NAMESPACES, "sh", str(tmp_path), sys.executable, str(RESOLVER)]
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        program,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "refused while it hangs\nno second thread\nrecovered\n"), (
        ended.stderr
    )
