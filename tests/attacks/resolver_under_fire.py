"""Run by test_key_endpoint_under_fire.py, in a network of its own: name resolution that hangs, then answers.

`getaddrinfo` has no time-out, and nothing can interrupt it: the thread in it is left behind.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading

import requests.adapters  # noqa: F401 - now: else the first deadline pays for the import

from cognito_verify import CognitoVerifier, JwksCache, KeysUnavailableError
from cognito_verify.testing import Clock, FakeUserPool
from tests.key_endpoints import RawServer

A_RECORD = 1
clock = Clock(1_800_000_000)
pool = FakeUserPool(clock=clock)
may_answer = threading.Event()
asked = threading.Event()
resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
resolver.bind(("127.0.0.1", 53))


def answer(question: bytes) -> bytes:
    """127.0.0.1 for whatever name; no address of the other kind (RFC 1035 section 4.1)."""
    end = question.index(b"\0", 12) + 5
    is_a = struct.unpack("!H", question[end - 4 : end - 2])[0] == A_RECORD
    head = question[:2] + struct.pack("!HHHHH", 0x8180, 1, int(is_a), 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", A_RECORD, 1, 0, 4) + bytes([127, 0, 0, 1])
    return head + question[12:end] + (record if is_a else b"")


def resolve() -> None:
    while True:
        question, client = resolver.recvfrom(512)
        asked.set()
        may_answer.wait()
        resolver.sendto(answer(question), client)


def converse(connection: socket.socket) -> None:
    connection.recv(65_536)
    body = json.dumps(pool.jwks).encode()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def is_refused() -> bool:
    try:
        verifier.verify(token)
    except KeysUnavailableError as error:
        return "no complete answer within" in str(error)
    return False


def lookups() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "cognito-verify-jwks"]


threading.Thread(target=resolve, daemon=True).start()
with RawServer(converse) as port:
    os.environ["NO_PROXY"] = "*"
    token = pool.access_token(expires_in=86_400)
    verifier = CognitoVerifier(
        pool.user_pool_id,
        client_id=pool.client_id,
        token_use="access",
        jwks_uri=f"http://localhost:{port}/jwks.json",
        jwks_cache=JwksCache(clock=clock, deadline=1),
        clock=clock,
    )
    assert is_refused()
    assert asked.wait(timeout=60)
    print("refused while it hangs")
    (left_behind,) = lookups()
    clock.tick(3_600)
    assert is_refused()
    assert lookups() == [left_behind]
    print("no second thread")
    may_answer.set()
    left_behind.join(timeout=60)
    assert not left_behind.is_alive()
    clock.tick(10)
    verifier.verify(token)
    print("recovered")
