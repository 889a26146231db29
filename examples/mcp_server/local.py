"""The server and its client on this machine, without AWS: real tokens of the testing kit's pool.

python -m examples.mcp_server.local
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from threading import Thread

import uvicorn

from cognito_verify import UserPool
from cognito_verify.testing import FakeUserPool
from examples.mcp_server import client, server

__all__ = ["main", "while_served"]


def while_served(pool_of: Callable[[str], UserPool], run: Callable[[str], object]) -> None:
    """Call `run` with the URL of the server, while it is served for the pool that belongs to this URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        app = server.application(pool_of(url))
        serving = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = Thread(target=serving.run, args=([listener],), daemon=True)
        thread.start()
        try:
            run(url)
        finally:
            serving.should_exit = True
            thread.join()


def main() -> None:
    for name in ("httpx2", "mcp"):  # each request and session has a line of theirs; ours are three
        logging.getLogger(name).setLevel(logging.WARNING)
    pool = FakeUserPool()

    def run(url: str) -> None:
        client.main(url)
        client.main(url, pool.access_token("ada", scopes=server.SCOPE, aud=url))

    with pool.serve() as jwks_uri:
        while_served(
            lambda url: UserPool(pool.user_pool_id, client_id=pool.client_id, resource=url, jwks_uri=jwks_uri), run
        )


if __name__ == "__main__":
    main()
