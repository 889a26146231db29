"""The example: FastAPI in AWS's own runtime client for Lambda, behind a function URL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cognito_verify.testing import FakeUserPool, lambda_event
from tests.e2e.runtime_api import LambdaFunction, lambda_function
from tests.test_cost_calculator_template import linted

pytest.importorskip("awslambdaric", reason="awslambdaric, Lambda's runtime client, has no wheel for this platform")

ROOT = Path(__file__).parents[2] / "examples" / "fastapi_lambda"
POOL = FakeUserPool()
SETTINGS = {
    "COGNITO_USER_POOL_ID": POOL.user_pool_id,
    "COGNITO_CLIENT_ID": POOL.client_id,
    "COGNITO_TOKEN_USE": "access",
}


@pytest.fixture(scope="module")
def function() -> Iterator[LambdaFunction]:
    environment = {**SETTINGS, "COGNITO_JWKS": json.dumps(POOL.jwks)}
    with lambda_function("app.handler", root=ROOT, environment=environment) as function:
        yield function


def call(function: LambdaFunction, path: str, raw: str | None) -> Any:
    answer = function.invoke(lambda_event("function-url", raw, path=path))
    assert answer.kind == "response", answer.text
    return answer.body


def test_a_user_is_let_in_and_greeted(function: LambdaFunction) -> None:
    answer = call(function, "/hello", POOL.access_token("ada"))
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"hello": "ada"})


def test_a_route_asks_for_its_group(function: LambdaFunction) -> None:
    good = call(function, "/reports/7", POOL.access_token("ada", groups="finance"))
    assert json.loads(good["body"]) == {"report": 7, "for": "ada"}
    refused = call(function, "/reports/7", POOL.access_token("ada"))
    assert (refused["statusCode"], json.loads(refused["body"])["code"]) == (403, "missing_group")


@pytest.mark.parametrize(("raw", "code"), [(None, "missing_token"), (POOL.expired(), "token_expired")])
def test_a_refusal_reaches_the_client_of_the_url_as_everywhere(
    function: LambdaFunction, raw: str | None, code: str
) -> None:
    answer = call(function, "/hello", raw)
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (401, code)
    assert answer["headers"]["www-authenticate"].startswith("Bearer")
    assert raw is None or raw.split(".")[2] not in function.output()


def test_many_processes_on_one_tmp_each_fetch_their_own_keys_and_leave_nothing_there(tmp_path: Path) -> None:
    """As managed instances run Python: one process for each request that is served at the same time."""
    server = POOL.serve()
    with server as jwks_uri, ExitStack() as stack:
        environment = {**SETTINGS, "COGNITO_JWKS_URI": jwks_uri, "TMPDIR": str(tmp_path)}
        functions = [
            stack.enter_context(lambda_function("app.handler", root=ROOT, environment=environment)) for _ in range(3)
        ]
        for _ in range(2):
            for one in functions:
                assert call(one, "/hello", POOL.access_token("ada"))["statusCode"] == 200
        assert server.requests == len(functions)
    assert list(tmp_path.iterdir()) == []


def test_the_template_is_one_that_cloudformation_takes(tmp_path: Path) -> None:
    assert linted(ROOT / "template.yaml") == ""
    twin = tmp_path / "template.yaml"
    twin.write_text((ROOT / "template.yaml").read_text(encoding="utf-8").replace("Principal:", "Principle:"))
    assert "Principle" in linted(twin)
