"""64 threads ask at once for keys that nobody has yet: how many requests does the endpoint see?"""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.corpus import CLIENT_ID, SigningPool
from cognito_verify import CognitoVerifier

__all__ = ["StampedeReport", "key_endpoint", "measure_stampede"]

_THREADS = 64
_ANSWER_SECONDS = 0.2  # long enough that all threads wait for the one answer


@dataclass(frozen=True, slots=True)
class StampedeReport:
    """`requests` is what the endpoint counted."""

    threads: int
    verified: int
    requests: int
    seconds: float


def measure_stampede() -> StampedeReport:
    pool = SigningPool.new("us-east-1_AbCdEfGhI")
    tokens = [pool.access_token() for _ in range(_THREADS)]
    start_line = threading.Barrier(_THREADS)
    with (
        key_endpoint(json.dumps(pool.jwks).encode(), _ANSWER_SECONDS) as (uri, requests),
        ThreadPoolExecutor(_THREADS) as threads,
    ):
        verifier = CognitoVerifier(pool.pool_id, client_id=CLIENT_ID, token_use="access", jwks_uri=uri)

        def verify(raw: str) -> str:
            start_line.wait()
            return verifier.verify(raw).client_id

        start = time.perf_counter()
        verified = list(threads.map(verify, tokens)).count(CLIENT_ID)
        return StampedeReport(_THREADS, verified, len(requests), time.perf_counter() - start)


@contextmanager
def key_endpoint(answer: bytes, seconds: float) -> Iterator[tuple[str, list[str]]]:
    """A key set over plain HTTP on loopback, after some seconds, and the list of the paths that were asked for."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            time.sleep(seconds)
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Says nothing: this is a benchmark's output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks.json", requests
        finally:
            server.shutdown()
            thread.join()
