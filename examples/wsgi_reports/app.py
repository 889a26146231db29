"""Reports that registered users may read, and figures for the group "finance" alone: a WSGI application of its own.

    export COGNITO_USER_POOL_ID=us-east-1_AbCdEfGhI COGNITO_CLIENT_ID=1example23456789 COGNITO_TOKEN_USE=access
    gunicorn examples.wsgi_reports.app:app

Each route is an application, and what must be closed has the middleware around it. What is not found needs no token.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from cognito_verify import CognitoVerifier
from cognito_verify.integrations.wsgi import CognitoMiddleware

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

verifier = CognitoVerifier.from_env()


def health(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return answer(start_response, HTTPStatus.OK, {"up": True})


def reports(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    token = environ["cognito_verify.token"]
    return answer(start_response, HTTPStatus.OK, {"for": token.username, "reports": ["2026-10", "2026-11"]})


def figures(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    token = environ["cognito_verify.token"]
    return answer(start_response, HTTPStatus.OK, {"for": token.username, "turnover": 400_000})


def nothing(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return answer(start_response, HTTPStatus.NOT_FOUND, {"message": "there is nothing here"})


def answer(start_response: StartResponse, status: HTTPStatus, value: object) -> Iterable[bytes]:
    start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
    return [json.dumps(value).encode()]


ROUTES: dict[str, WSGIApplication] = {
    "/health": health,
    "/reports": CognitoMiddleware(reports, verifier),
    "/finance/figures": CognitoMiddleware(figures, verifier, groups="finance"),
}


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return ROUTES.get(environ["PATH_INFO"], nothing)(environ, start_response)
