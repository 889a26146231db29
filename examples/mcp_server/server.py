"""A remote MCP server behind a Cognito user pool: only tokens that were issued for it and hold a scope are let in.

    COGNITO_USER_POOL_ID=... COGNITO_CLIENT_ID=... MCP_SERVER_URL=https://mcp.example.com/mcp \\
        uvicorn --factory examples.mcp_server.server:from_environment --port 8000
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from cognito_verify import AccessToken, CognitoVerifier, UserPool
from cognito_verify.integrations.mcp import CognitoRefusalMiddleware, CognitoTokenVerifier, token_of

__all__ = ["SCOPE", "application", "from_environment"]

SCOPE = "orders/read"
_ORDERS = {"ada": ["difference engine"], "bob": ["spanner", "bolt"]}


def application(pool: UserPool) -> Starlette:
    """The server for a pool whose resource is the server's URL."""
    verifier: CognitoVerifier[AccessToken] = CognitoVerifier(pool, token_use="access")
    tokens = CognitoTokenVerifier(verifier, scopes=SCOPE)
    mcp = MCPServer("Orders", token_verifier=tokens, auth=tokens.auth_settings())

    @mcp.tool()
    def my_orders(ctx: Context) -> str:
        """What the caller has ordered."""
        return ", ".join(_ORDERS.get(token_of(ctx).username or "", ())) or "nothing"

    url = urlsplit(pool.resource or "")
    security = TransportSecuritySettings(  # other names are answered with 421, pages from elsewhere with 403
        allowed_hosts=[f"{url.hostname}", f"{url.hostname}:*"], allowed_origins=[f"{url.scheme}://{url.netloc}"]
    )
    app = mcp.streamable_http_app(transport_security=security)
    app.add_middleware(CognitoRefusalMiddleware, tokens)
    return app


def from_environment() -> Starlette:
    """The server as it is deployed."""
    pool = UserPool(
        os.environ["COGNITO_USER_POOL_ID"],
        client_id=os.environ["COGNITO_CLIENT_ID"].split(","),
        resource=os.environ["MCP_SERVER_URL"],
        jwks_uri=os.environ.get("COGNITO_JWKS_URI"),
    )
    return application(pool)
