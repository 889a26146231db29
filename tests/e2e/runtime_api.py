"""A Lambda function on this machine: AWS's own runtime client, and behind it the runtime API that Lambda gives it.

Source: "Using the Lambda runtime API for custom runtimes", AWS Lambda Developer Guide.
"""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal
from uuid import uuid4

__all__ = ["Answer", "LambdaFunction", "lambda_function"]

_PREFIX = "/2018-06-01/runtime"
_PATIENCE = 30.0  # seconds, for a new interpreter on a busy machine


@dataclass(frozen=True)
class Answer:
    """What a runtime posts: to `/response`, to `/error` of an invocation, or to `/init/error`."""

    kind: Literal["response", "error", "init/error"]
    request_id: str | None
    body: Any
    text: str


class LambdaFunction:
    """A function whose runtime runs as a process of its own. Handles one invocation after the other, as Lambda does."""

    def __init__(self) -> None:
        self._events: queue.Queue[tuple[str, bytes] | None] = queue.Queue()
        self._answers: queue.Queue[Answer] = queue.Queue()
        self.polls = 0
        self.restores = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - closed at the end; appends wherever we read

    def invoke(self, event: object) -> Answer:
        """What the runtime answers to an event."""
        request_id = str(uuid4())
        self._events.put((request_id, json.dumps(event).encode()))
        answer = self.answer()
        assert answer.request_id == request_id
        return answer

    def answer(self) -> Answer:
        """The next thing that the runtime posts; an error of the init phase comes unasked."""
        for _ in range(int(_PATIENCE * 10)):
            try:
                return self._answers.get(timeout=0.1)
            except queue.Empty:
                assert self._process is not None
                if self._process.poll() is not None and self._answers.empty():
                    break
        raise AssertionError(f"the runtime gave no answer; it wrote:\n{self.output()}")

    def exit_code(self) -> int:
        """The exit code of a runtime that ends by itself."""
        assert self._process is not None
        return self._process.wait(_PATIENCE)

    def output(self) -> str:
        """All that the runtime and the handler have written so far: what goes to CloudWatch Logs."""
        self._output.seek(0)
        return self._output.read().decode()

    def wait_for(self, text: str) -> None:
        """Until the function has written a text."""
        given_up_at = time.monotonic() + _PATIENCE
        while text not in self.output():
            assert time.monotonic() < given_up_at, f"expected {text} in the output, found:\n{self.output()}"
            time.sleep(0.01)

    def _start(self, handler: str, root: Path, api: str, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "awslambdaric", handler],
            cwd=root,
            env={
                "PATH": os.defpath,
                "AWS_EXECUTION_ENV": f"AWS_Lambda_python3.{sys.version_info[1]}",
                "AWS_LAMBDA_FUNCTION_NAME": "calculate-price",
                "AWS_LAMBDA_RUNTIME_API": api,
                "AWS_REGION": "eu-west-1",
                "LAMBDA_TASK_ROOT": str(root),
                "TZ": ":UTC",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._events.put(None)
        self._output.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # that of a runtime that was stopped while it waited
            super().handle_error(*args)


@contextmanager
def lambda_function(handler: str, *, root: Path, environment: Mapping[str, str]) -> Iterator[LambdaFunction]:
    """A function with a handler string, such as "module.handler" in `root`, and the environment that it is set to."""
    function = LambdaFunction()

    class Runtime(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == f"{_PREFIX}/restore/next":
                function.restores += 1
                return self._send(200, b"{}")
            if self.path != f"{_PREFIX}/invocation/next":
                return self._send(404, b"")
            function.polls += 1
            invocation = function._events.get()
            if invocation is None:
                self.close_connection = True
                return None
            request_id, event = invocation
            headers = {
                "Lambda-Runtime-Aws-Request-Id": request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 3) * 1_000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:calculate-price",
                "Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
            }
            return self._send(200, event, headers)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            path = re.fullmatch(
                rf"{_PREFIX}/(?:invocation/(?P<request_id>[^/]+)/(?P<kind>response|error)|(?P<init>init/error))",
                self.path,
            )
            if path is None:
                return self._send(404, b"")
            kind: Any = path["kind"] or path["init"]
            function._answers.put(Answer(kind, path["request_id"], json.loads(body), body))
            return self._send(202, b'{"status": "OK"}')

        def log_message(self, *args: object) -> None:
            pass

        def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with _Server(("127.0.0.1", 0), Runtime) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            function._start(handler, root, f"127.0.0.1:{server.server_port}", environment)
            yield function
        finally:
            function._end()
            server.shutdown()
            thread.join()
