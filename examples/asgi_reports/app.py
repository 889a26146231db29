"""Reports that registered users may read, and figures for the group "finance" alone: an ASGI application of its own.

    export COGNITO_USER_POOL_ID=us-east-1_AbCdEfGhI COGNITO_CLIENT_ID=1example23456789 COGNITO_TOKEN_USE=access
    uvicorn examples.asgi_reports.app:app

Each route is an application, and what must be closed has the middleware around it. What is not found needs no token.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from cognito_verify import CognitoVerifier
from cognito_verify.integrations.asgi import CognitoMiddleware

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

verifier = CognitoVerifier.from_env()


async def health(_scope: Scope, _receive: Receive, send: Send) -> None:
    await answer(send, 200, {"up": True})


async def reports(scope: Scope, _receive: Receive, send: Send) -> None:
    token = scope["cognito_verify.token"]
    await answer(send, 200, {"for": token.username, "reports": ["2026-10", "2026-11"]})


async def figures(scope: Scope, _receive: Receive, send: Send) -> None:
    token = scope["cognito_verify.token"]
    await answer(send, 200, {"for": token.username, "turnover": 400_000})


async def nothing(_scope: Scope, _receive: Receive, send: Send) -> None:
    await answer(send, 404, {"message": "there is nothing here"})


async def answer(send: Send, status: int, value: object) -> None:
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


ROUTES: dict[str, Application] = {
    "/health": health,
    "/reports": CognitoMiddleware(reports, verifier),
    "/finance/figures": CognitoMiddleware(figures, verifier, groups="finance"),
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # how ASGI says that an application does not know a protocol
    await ROUTES.get(scope["path"], nothing)(scope, receive, send)
