"""What the tests of the key cache fetch from: a callable in the place of HTTPS, sockets that misbehave."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

__all__ = ["Endpoint", "RawServer", "document", "flights_over"]


class Endpoint:
    """`JwksCache(fetch=endpoint)`: publishes one answer, or one per URI, and counts who asks. Errors are raised."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.answers: dict[str, object] = {}  # by URI; `answer` for all others
        self.uris: list[str] = []
        self.seconds: list[float] = []

    @property
    def fetches(self) -> int:
        return len(self.uris)

    def __call__(self, uri: str, seconds: float) -> bytes:
        self.uris.append(uri)
        self.seconds.append(seconds)
        answer = self.answers.get(uri, self.answer)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[return-value]  # some tests have it return what it must not


class RawServer:
    """A listener on loopback that leaves each connection to a function of the test, in a thread of its own.

    Leaving the context cuts the connections and joins the threads.
    """

    def __init__(self, converse: Callable[[socket.socket], None], *, port: int = 0) -> None:
        self._converse = converse
        self._port = port
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> int:
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        self._start(self._accept)
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *exception: object) -> None:
        for one in (self._listener, *self._connections):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()
        for connection in self._connections:
            connection.close()

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name="raw-server", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        with suppress(OSError):  # the listener is shut
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                self._start(lambda connection=connection: self._leave_to(connection))  # type: ignore[misc]

    def _leave_to(self, connection: socket.socket) -> None:
        with suppress(OSError):  # the client has gone, or the test is over
            self._converse(connection)
            connection.shutdown(socket.SHUT_RDWR)


def document(*keys: Mapping[str, object]) -> bytes:
    """A JWKS as it is served."""
    return json.dumps({"keys": keys}).encode()


def flights_over() -> None:
    """Wait until no fetch is in the air any more."""
    for thread in threading.enumerate():
        if thread.name == "cognito-verify-jwks":
            thread.join(timeout=5)
            assert not thread.is_alive()
