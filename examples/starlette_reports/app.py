"""Reports that registered users may read, drafts by a scope, figures by a group, and a WebSocket: with Starlette.

    export COGNITO_USER_POOL_ID=us-east-1_AbCdEfGhI COGNITO_CLIENT_ID=1example23456789 COGNITO_TOKEN_USE=access
    uvicorn examples.starlette_reports.app:app

Everything but `/health` stands under the authentication, what is not found as well.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from cognito_verify import CognitoVerifier
from cognito_verify.integrations.starlette import CognitoAuthenticationMiddleware

verifier = CognitoVerifier.from_env()


async def health(_: Request) -> JSONResponse:
    return JSONResponse({"up": True})


async def reports(request: Request) -> JSONResponse:
    return JSONResponse({"for": request.user.display_name, "reports": ["2026-10", "2026-11"]})


@requires("reports/write")  # a scope of the token
async def drafts(request: Request) -> JSONResponse:
    return JSONResponse({"for": request.user.display_name, "drafts": ["2026-12"]})


async def figures(request: Request) -> JSONResponse:
    return JSONResponse({"for": request.user.display_name, "turnover": 400_000})


async def news(websocket: WebSocket) -> None:
    """What is asked for, until the client leaves or its token expires."""
    await websocket.accept()
    async for month in websocket.iter_text():
        await websocket.send_json({"for": websocket.user.display_name, "published": month})


registered = Middleware(CognitoAuthenticationMiddleware, verifier=verifier)
finance = Middleware(CognitoAuthenticationMiddleware, verifier=verifier, groups="finance")
app = Starlette(
    routes=[
        Route("/health", health),
        Mount("/finance", routes=[Route("/figures", figures)], middleware=[finance]),
        Mount(
            "/",
            routes=[Route("/reports", reports), Route("/drafts", drafts), WebSocketRoute("/news", news)],
            middleware=[registered],
        ),
    ]
)
