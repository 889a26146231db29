"""Applications under their real servers, in a thread of the test's process, and a client that sends what it is told."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from waitress.server import create_server

__all__ = ["Headers", "Reply", "ask", "pipelined", "served_by_uvicorn", "served_by_waitress"]

Headers = Iterable[tuple[str, str]]
_PATIENCE = 30.0  # seconds


@dataclass(frozen=True)
class Reply:
    """What a client got. Names of headers in lower case; several of one name with commas between them."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, headers: Headers = (), *, method: str = "GET") -> Reply:
    """One request on a connection of its own, its headers as they are, the same name twice if need be."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=_PATIENCE)
    try:
        connection.putrequest(method, f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}")
        for name, value in (*headers, ("Connection", "close")):
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        found: dict[str, str] = {}
        for name, value in response.getheaders():
            found[name.lower()] = f"{found[name.lower()]}, {value}" if name.lower() in found else value
        return Reply(response.status, found, response.read())
    finally:
        connection.close()


def pipelined(url: str, *requests: tuple[str, Headers]) -> bytes:
    """All that is answered to paths with headers which are sent at once, on one connection."""
    host = urlsplit(url).netloc
    with socket.create_connection((host.rpartition(":")[0], int(host.rpartition(":")[2])), _PATIENCE) as connection:
        sent = [
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\n"
            + ("Connection: close\r\n" if (path, headers) == requests[-1] else "")
            + "".join(f"{name}: {value}\r\n" for name, value in headers)
            for path, headers in requests
        ]
        connection.sendall("".join(f"{request}\r\n" for request in sent).encode())
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@contextmanager
def served_by_uvicorn(app: Any, **settings: Any) -> Iterator[str]:
    """The URL of an ASGI application, without a slash at its end. Its log goes to the root logger."""
    config = uvicorn.Config(app, log_config=None, **{"ws": "websockets-sansio", **settings})
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener, _running(lambda: server.run([listener])) as thread:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive(), "uvicorn did not start"
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True


@contextmanager
def served_by_waitress(app: Any) -> Iterator[str]:
    """The URL of a WSGI application, without a slash at its end."""
    server: Any = create_server(app, host="127.0.0.1", port=0, threads=2)
    with _running(server.run):
        try:
            yield f"http://127.0.0.1:{server.effective_port}"
        finally:  # in the loop's own thread: it ends once it has nothing left to wait for
            with suppress(OSError):  # awake for another reason, it may have done so before the trigger is pulled
                server.trigger.pull_trigger(lambda: server.asyncore.close_all(server._map))
    server.task_dispatcher.shutdown()


@contextmanager
def _running(run: Callable[[], object]) -> Iterator[Thread]:
    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(_PATIENCE)
        assert not thread.is_alive(), "the server did not stop"
