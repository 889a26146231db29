"""The example on Powertools in Lambda's own runtime client, with a real login of moto's pool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cognito_verify.testing import is_allowed, lambda_event
from examples.cost_calculator.lab import set_up
from tests.e2e.runtime_api import lambda_function
from tests.secrecy import assert_secret

pytest.importorskip("awslambdaric", reason="awslambdaric, Lambda's runtime client, has no wheel for this platform")

ROOT = Path(__file__).parents[2] / "examples" / "powertools"


def test_a_user_who_logged_in_is_let_in_and_nobody_else(user_pool_service: str) -> None:
    lab = set_up(user_pool_service, lambda _: None, ("finance",))
    environment = {
        "COGNITO_USER_POOL_ID": lab.user_pool_id,
        "COGNITO_CLIENT_ID": lab.client_id,
        "COGNITO_TOKEN_USE": "access",
        "COGNITO_JWKS_URI": lab.jwks_uri,
    }
    raw = lab.access_token
    with lambda_function("app.handler", root=ROOT, environment=environment) as function:
        good = function.invoke(lambda_event("http", raw, path="/reports/7")).body
        assert (good["statusCode"], json.loads(good["body"])) == (200, {"report": "7", "for": "testUser"})
        assert function.invoke(lambda_event("http", raw, path="/me")).body["statusCode"] == 200
        for token, code in ((None, "missing_token"), (lab.id_token, "invalid_token_use")):
            refused = function.invoke(lambda_event("http", token, path="/reports/7")).body
            assert (refused["statusCode"], json.loads(refused["body"])["code"]) == (401, code)
            assert refused["headers"]["WWW-Authenticate"].startswith("Bearer")
        assert "profile read" in function.output()
        assert_secret(raw, [function.output()])
    with lambda_function("authorizer.handler", root=ROOT, environment=environment) as function:
        event = lambda_event("request-authorizer", raw, path="/reports/7")
        assert is_allowed(function.invoke(event).body, event)
        unauthorized = function.invoke(lambda_event("request-authorizer", lab.id_token, path="/reports/7"))
        assert (unauthorized.kind, unauthorized.body["errorMessage"]) == ("error", "Unauthorized")
        assert_secret(raw, [function.output()])
