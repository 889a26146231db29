"""The keys of a `FakeUserPool` over HTTP on loopback: as a healthy endpoint serves them, or as one that fails."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final, Literal

from cognito_verify.errors import ConfigurationError, shown

if TYPE_CHECKING:
    from cognito_verify.testing.user_pool import FakeUserPool

__all__ = ["FAULTS", "Answer", "Fault", "JwksServer"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, and what goes wrong with it. The default is that of a healthy endpoint.

    Args:
        status: The status code.
        body: The bytes of the body as they go over the wire; None is the pool's keys as published at that moment.
        headers: Instead of, or beside, the usual `Content-Type: application/json` and `Content-Length`; the value None
            leaves one out.
        delay: Seconds before the first byte.
        stall: Send nothing from there on until `JwksServer.release`: "head" is the very start, "body" after the head.
        drip: Send that part one byte at a time.
        drip_seconds: Seconds after each dripped byte.
        truncate: Close the connection after this many bytes of the body; `Content-Length` still promises all of it.
        reset: Close with a TCP reset: where `truncate` says, without it before the first byte.
    """

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    delay: float = 0.0
    stall: Literal["head", "body"] | None = None
    drip: Literal["head", "body"] | None = None
    drip_seconds: float = 0.05
    truncate: int | None = None
    reset: bool = False


Fault = Literal[
    "down", "silent", "stalling", "dripping", "cut-off", "reset", "redirect", "not-json", "no-keys", "too-large"
]
"""How an endpoint fails."""

FAULTS: Final[Mapping[Fault, Answer]] = {
    "down": Answer(503),
    "silent": Answer(stall="head"),
    "stalling": Answer(stall="body"),
    "dripping": Answer(drip="body"),
    "cut-off": Answer(truncate=64),
    "reset": Answer(reset=True),
    "redirect": Answer(302, b"", {"Location": "https://example.com/"}),
    "not-json": Answer(body=b"<html>Sign in</html>"),
    "no-keys": Answer(body=b'{"keys": []}'),
    "too-large": Answer(body=b" " * 1_048_576),
}
"""The answer of each. A verifier without keys ends in `keys_unavailable`; with keys, it goes on with them."""


class JwksServer:
    """A pool's keys over HTTP/1.1 on 127.0.0.1, as a context manager that gives the JWKS URI.

        server = pool.serve()
        with server as jwks_uri:
            server.answers("down", Answer())  # one failure, well from then on
            server.answers(Answer(429, headers={"Retry-After": "7"}))  # any other answer

    Each connection has its own thread. Leaving the context cuts all connections, also stalled ones, and joins the
    threads; after that the port refuses. Entering again goes on with the same answers and count. A proxy named in the
    environment gets in the way of clients that honour one: set `NO_PROXY=127.0.0.1`.
    """

    def __init__(self, pool: FakeUserPool, *, port: int = 0) -> None:
        self._pool = pool
        self._port = port
        self._changed = Condition()  # guards what follows
        self._answers = [Answer()]  # the last one stays
        self._requests: list[str] = []
        self._releases = 0
        self._closing = False
        self._conversations: list[tuple[Thread, socket.socket]] = []

    @property
    def requests(self) -> int:
        """How many requests came so far, counted before they are answered."""
        return len(self._requests)

    @property
    def last_request(self) -> str:
        """The request line and headers of the latest request, as received; empty before the first."""
        return self._requests[-1] if self._requests else ""

    def answers(self, *answers: Answer | Fault) -> None:
        """What the next requests get, one each in this order; the last goes on for good. None at all: healthy again.

        Args:
            answers: Each an `Answer`, or the name of one of `FAULTS`.
        """
        for answer in answers:
            if not isinstance(answer, Answer) and answer not in FAULTS:
                raise ConfigurationError(
                    f"answers: expected an Answer or one of {', '.join(FAULTS)}, found {shown(answer)}"
                )
        with self._changed:
            self._answers = [one if isinstance(one, Answer) else FAULTS[one] for one in answers] or [Answer()]

    def release(self) -> None:
        """Let every request that is stalled now have its answer; later ones stall anew."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()

    def wait_for_requests(self, count: int, *, timeout: float = 10.0) -> None:
        """Return once `count` requests came in all, so that a test can act while they wait.

        Raises:
            TimeoutError: Fewer came within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._requests) >= count, timeout):
                raise TimeoutError(f"expected {count} requests within {timeout} s, found {len(self._requests)}")

    def __enter__(self) -> str:
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        port = self._listener.getsockname()[1]
        self._acceptor = Thread(target=self._accept, name="jwks-server", daemon=True)
        self._acceptor.start()
        return f"http://127.0.0.1:{port}{self._pool.jwks_path}"

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        with suppress(OSError):  # wakes `accept`, which closing the listener does not do everywhere
            socket.create_connection(self._listener.getsockname(), timeout=1.0).close()
        self._acceptor.join()
        self._listener.close()
        for _, connection in self._conversations:
            with suppress(OSError):  # the other side, or its own thread, was faster
                connection.shutdown(socket.SHUT_RDWR)
        for thread, _ in self._conversations:
            thread.join()
        self._conversations.clear()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._closing:
                connection.close()
                return
            thread = Thread(target=self._converse, args=(connection,), name="jwks-server", daemon=True)
            self._conversations = [one for one in self._conversations if one[0].is_alive()]
            thread.start()
            self._conversations.append((thread, connection))

    def _converse(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as reader:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a dripped byte leaves by itself
            while (request := _request_head(reader)) and self._reply(connection, request):
                pass

    def _reply(self, connection: socket.socket, request: str) -> bool:
        """Send the answer that is due. Whether the connection may be used again."""
        answer, releases = self._received(request)
        body = json.dumps(self._pool.jwks).encode() if answer.body is None else answer.body
        head, has_length = _answer_head(answer, len(body))
        self._pause(answer.delay)
        for part, data in (("head", head), ("body", body[: answer.truncate])):
            if answer.stall == part:
                self._pause(None, releases)
            if answer.reset and answer.truncate is None:
                break
            for piece in (data[i : i + 1] for i in range(len(data))) if answer.drip == part else (data,):
                connection.sendall(piece)
                if answer.drip == part:
                    self._pause(answer.drip_seconds)
        if answer.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        return has_length and answer.truncate is None and not answer.reset

    def _received(self, request: str) -> tuple[Answer, int]:
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
            if not request.startswith(f"GET {self._pool.jwks_path} "):
                return Answer(404, b""), self._releases
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            return answer, self._releases

    def _pause(self, seconds: float | None, releases: int | None = None) -> None:
        """Wait for `seconds` or for the release that follows `releases`; closing the server ends the conversation."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or (releases is not None and self._releases > releases), seconds
            )
            if self._closing:
                raise ConnectionAbortedError("the server is closing")  # caught in _converse, which cuts the connection


_LINGER_NOT = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # SO_LINGER of 0 s: closing sends a reset


def _request_head(reader: BufferedReader) -> str:
    """Request line and headers up to the empty line; empty where the client has gone."""
    lines = []
    while (line := reader.readline()) not in (b"", b"\r\n"):
        lines.append(line)
    return b"".join(lines).decode("latin-1") if line else ""


def _answer_head(answer: Answer, body_bytes: int) -> tuple[bytes, bool]:
    """Status line and headers, and whether these tell the client where the body ends."""
    headers: dict[str, tuple[str, str | None]] = {
        "content-type": ("Content-Type", "application/json"),
        "content-length": ("Content-Length", str(body_bytes)),
    }
    headers |= {name.lower(): (name, value) for name, value in answer.headers.items()}
    lines = [f"{name}: {value}\r\n" for name, value in headers.values() if value is not None]
    head = f"HTTP/1.1 {answer.status} \r\n{''.join(lines)}\r\n"  # without a reason phrase: RFC 9112 section 4
    return head.encode("latin-1"), headers["content-length"][1] is not None
