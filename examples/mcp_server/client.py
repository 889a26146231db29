"""A client of the MCP server: without a token it is refused and told where to get one, with a token it is let in.

python -m examples.mcp_server.client http://127.0.0.1:8000/mcp [TOKEN]
"""

from __future__ import annotations

import asyncio
import re
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent

__all__ = ["main"]


async def refused(url: str) -> None:
    """What a client learns that has no token yet (RFC 9728 section 5)."""
    async with httpx2.AsyncClient() as http:
        answer = await http.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        challenge = answer.headers["WWW-Authenticate"]
        print(f"without a token: {answer.status_code} {challenge}")
        found = re.search(r'resource_metadata="([^"]+)"', challenge)
        assert found is not None
        metadata = (await http.get(found[1])).json()
        print(f"tokens for {metadata['resource']} come from {metadata['authorization_servers'][0]}")


async def let_in(url: str, token: str) -> None:
    """A call of the server's tool."""
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"})
    async with http, Client(streamable_http_client(url, http_client=http)) as client:
        answer = await client.call_tool("my_orders")
        print(f"with a token: {' '.join(part.text for part in answer.content if isinstance(part, TextContent))}")


def main(url: str, token: str | None = None) -> None:
    asyncio.run(refused(url) if token is None else let_in(url, token))


if __name__ == "__main__":
    main(*sys.argv[1:])
