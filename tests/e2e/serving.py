"""Programs as processes under gunicorn or uvicorn, on a socket that is open, and what curl would print of them."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Timer
from urllib.parse import urlsplit

from tests.command import CLONE

__all__ = ["APPS", "GUNICORN", "UVICORN", "curl", "running", "tokens_printed_by"]

APPS = {
    "flask": "examples.flask_reports.app:create_app()",
    "django": "examples.django_reports.project:application",
    "asgi": "examples.asgi_reports.app:app",
    "wsgi": "examples.wsgi_reports.app:app",
    "starlette": "examples.starlette_reports.app:app",
}
# How a server is told to take a socket that is open: so no test has to guess a free port.
GUNICORN = ("gunicorn", "--log-level", "warning", "--bind", "fd://{}")
UVICORN = ("uvicorn", "--log-level", "warning", "--fd", "{}")
_PATIENCE = 30.0  # seconds


@contextmanager
def running(command: Sequence[str], settings: Mapping[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The URL of a Python module that serves the socket whose number stands at `{}`, and its process."""
    environment = {"PATH": os.environ["PATH"], **settings}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        words = [sys.executable, "-m", *(word.format(number) for word in command)]
        with subprocess.Popen(
            words, cwd=CLONE, env=environment, pass_fds=[number], stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}", process  # a request waits until it is ready
            finally:
                process.terminate()
                try:
                    process.wait(_PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()  # else the end of `with` waits for it without a bound
                    raise


def tokens_printed_by(process: subprocess.Popen[str]) -> dict[str, str]:
    """What a local pool prints before its server starts: a token by each of the names ADA and BOB."""
    assert process.stdout is not None
    overdue = Timer(_PATIENCE, process.kill)  # which ends what is read below
    overdue.start()
    try:
        lines = {name: process.stdout.readline() for name in ("ADA", "BOB")}
    finally:
        overdue.cancel()
    for name, line in lines.items():
        assert line.startswith(f"{name}="), f"expected {name}=..., found {line!r}, status {process.poll()}"
    return {name: line.removeprefix(f"{name}=").rstrip() for name, line in lines.items()}


def curl(line: str, url: str, variables: Mapping[str, str]) -> tuple[int, str]:
    """The status that a line for curl gets, sent to `url` and not to port 8000, and what curl prints; without curl."""
    words = shlex.split(re.sub(r"\$(\w+)", lambda name: variables[name[1]], line))
    asked = urlsplit(words[-1])
    assert asked.netloc == "127.0.0.1:8000"
    sent = dict(words[at + 1].split(": ") for at, word in enumerate(words) if word == "-H")
    connection = HTTPConnection(urlsplit(url).netloc, timeout=_PATIENCE)
    try:
        connection.request("GET", asked.path, headers={"Host": asked.netloc, "Accept": "*/*", **sent})
        answer = connection.getresponse()
        head = [
            f"HTTP/1.1 {answer.status} {answer.reason}",
            *(f"{name}: {value}" for name, value in answer.getheaders()),
        ]
        body = answer.read().decode()
    finally:
        connection.close()
    return answer.status, "\n".join([*head, "", body]) if "-i" in words else body
