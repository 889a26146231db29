"""The handlers in AWS's own runtime client for Lambda: what a gateway would get is what the client posts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cognito_verify.testing import FakeUserPool
from tests.e2e.runtime_api import Answer, LambdaFunction, lambda_function
from tests.iam import is_allowed
from tests.lambda_events import method_arn, rest_event, token_authorizer_event

pytest.importorskip("awslambdaric", reason="awslambdaric, Lambda's runtime client, has no wheel for this platform")

ROOT = Path(__file__).parent
POOL = FakeUserPool()
SETTINGS = {
    "COGNITO_USER_POOL_ID": POOL.user_pool_id,
    "COGNITO_CLIENT_ID": POOL.client_id,
    "COGNITO_TOKEN_USE": "id",
    "COGNITO_JWKS": json.dumps(POOL.jwks),
}
NO_KEYS = {name: value for name, value in SETTINGS.items() if name != "COGNITO_JWKS"} | {
    "COGNITO_JWKS_URI": "http://127.0.0.1:1/jwks.json"  # nobody listens there
}
RULES = '[{"route": "POST /pricepermeter"}, {"route": "GET /reports/{id}", "groups": ["finance"]}]'
READY_AUTHORIZER = "cognito_verify.aws_lambda.authorize"


@pytest.fixture(scope="module")
def price() -> Iterator[LambdaFunction]:
    with lambda_function("runtime_handlers.guarded", root=ROOT, environment=SETTINGS) as function:
        yield function


@pytest.fixture(scope="module")
def authorizer() -> Iterator[LambdaFunction]:
    with lambda_function("runtime_handlers.authorizer", root=ROOT, environment=SETTINGS) as function:
        yield function


def assert_says_nothing_of(raw: str, *texts: str) -> None:
    for part in raw.split("."):
        for text in texts:
            assert part not in text


# The decorator


def test_a_good_token_reaches_the_handler_and_its_answer_the_gateway(price: LambdaFunction) -> None:
    raw = POOL.id_token(username="ada")
    answer = price.invoke(rest_event({"Authorization": raw}))
    assert answer.kind == "response"
    assert answer.body["statusCode"] == 200
    body = json.loads(answer.body["body"])
    assert (body["username"], body["function"]) == ("ada", "calculate-price")
    assert_says_nothing_of(raw, answer.text, price.output())


@pytest.mark.parametrize(
    ("headers", "code", "challenge"),
    [
        pytest.param({}, "missing_token", "Bearer", id="no-token"),
        pytest.param(
            {"Authorization": POOL.id_token(expires_in=-60)},
            "token_expired",
            'Bearer error="invalid_token", error_description="exp: ',
            id="expired",
        ),
        pytest.param(
            {"Authorization": POOL.access_token()},
            "invalid_token_use",
            'Bearer error="invalid_token", error_description="token_use: ',
            id="access-token",
        ),
    ],
)
def test_a_refusal_is_a_response_with_401_and_no_error_of_the_function(
    price: LambdaFunction, headers: Mapping[str, str], code: str, challenge: str
) -> None:
    answer = price.invoke(rest_event(headers))
    assert answer.kind == "response"
    assert answer.body["statusCode"] == 401
    assert answer.body["headers"]["WWW-Authenticate"].startswith(challenge)
    assert json.loads(answer.body["body"])["code"] == code
    assert_says_nothing_of(headers.get("Authorization", "none sent"), answer.text, price.output())


def test_an_event_that_is_no_http_request_is_an_error_of_the_function(price: LambdaFunction) -> None:
    answer = price.invoke({"price": 400_000, "size": 1_600})  # a REST API without proxy integration
    assert answer.kind == "error"
    assert answer.body["errorType"] == "ConfigurationError"
    assert price.invoke(rest_event({"Authorization": POOL.id_token()})).body["statusCode"] == 200


def test_an_async_handler_runs_behind_its_wrapper() -> None:
    with lambda_function("runtime_handlers.awaited", root=ROOT, environment=SETTINGS) as function:
        good = function.invoke(rest_event({"Authorization": POOL.id_token(username="ada")}))
        assert (good.kind, good.body) == ("response", {"statusCode": 200, "body": "ada /pricepermeter"})
        refused = function.invoke(rest_event())
        assert (refused.kind, refused.body["statusCode"]) == ("response", 401)


def test_without_keys_the_decorator_answers_503_and_the_authorizer_raises() -> None:
    raw = POOL.id_token()
    with lambda_function("runtime_handlers.guarded", root=ROOT, environment=NO_KEYS) as function:
        answer = function.invoke(rest_event({"Authorization": raw}))
        assert (answer.kind, answer.body["statusCode"]) == ("response", 503)
        assert int(answer.body["headers"]["Retry-After"]) >= 1
        function.wait_for('"event":"fetch"')  # from the thread of the fetch, which nobody waits for
        lines = {str(line["event"]): line for line in lines_of(function)}
        assert (lines["fetch"]["Outcome"], lines["fetch"]["request_id"]) == ("failed", None)
        refusal = lines["refused"]
        assert (refusal["Code"], refusal["Fault"]) == ("keys_unavailable", "ours")
        assert refusal["request_id"] == answer.request_id
    with lambda_function("runtime_handlers.authorizer", root=ROOT, environment=NO_KEYS) as function:
        answer = function.invoke(token_authorizer_event(raw))
        assert (answer.kind, answer.body["errorType"]) == ("error", "KeysUnavailableError")
        assert_says_nothing_of(raw, answer.text, function.output())


# The observer


def lines_of(function: LambdaFunction) -> list[dict[str, object]]:
    return [json.loads(line) for line in function.output().splitlines() if line.startswith("{")]


def test_each_decision_is_a_line_of_the_functions_log_with_the_request_id(price: LambdaFunction) -> None:
    before = len(lines_of(price))
    good = price.invoke(rest_event({"Authorization": POOL.id_token()}))
    refused = price.invoke(rest_event({"Authorization": POOL.access_token()}))
    allowed, denied = lines_of(price)[before:]
    assert (allowed["Allowed"], allowed["request_id"]) == (1, good.request_id)
    assert (denied["Refused"], denied["request_id"]) == (1, refused.request_id)
    assert denied["Fault"] == "client"
    assert allowed["FunctionName"] == denied["FunctionName"] == "calculate-price"


# The authorizer


def assert_is_unauthorized(answer: Answer) -> None:
    """Exactly what API Gateway compares: a 401 for the client, else it is a 500."""
    assert answer.kind == "error"
    assert answer.body["errorMessage"] == "Unauthorized"
    assert answer.body["errorType"] == "Exception"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(POOL.id_token(expires_in=-60), id="expired"),
        pytest.param(POOL.access_token(), id="access-token"),
        pytest.param(f"{POOL.id_token()[:-4]}AAAA", id="altered"),
        pytest.param("Basic YWRhOmxvdmVsYWNl", id="another-scheme"),
    ],
)
def test_a_bad_token_arrives_as_the_one_message_that_a_gateway_turns_into_401(
    authorizer: LambdaFunction, raw: str
) -> None:
    answer = authorizer.invoke(token_authorizer_event(raw))
    assert_is_unauthorized(answer)
    assert_says_nothing_of(raw.removeprefix("Basic "), answer.text, authorizer.output())


def test_after_an_unauthorized_the_same_process_answers_a_good_token(authorizer: LambdaFunction) -> None:
    assert_is_unauthorized(authorizer.invoke(token_authorizer_event("e30.e30.e30")))
    raw = POOL.id_token()
    answer = authorizer.invoke(token_authorizer_event(raw))
    assert answer.kind == "response"
    assert is_allowed(answer.body["policyDocument"], method_arn("POST", "/pricepermeter"))
    assert not is_allowed(answer.body["policyDocument"], method_arn("GET", "/reports/7"))
    assert_says_nothing_of(raw, answer.text, authorizer.output())


# The handler string


def test_the_handler_string_is_an_authorizer_made_from_the_environment() -> None:
    environment = {**SETTINGS, "COGNITO_RULES": RULES}
    with lambda_function(READY_AUTHORIZER, root=ROOT, environment=environment) as function:
        answer = function.invoke(token_authorizer_event(POOL.id_token(groups=["finance"])))
        assert answer.kind == "response"
        assert is_allowed(answer.body["policyDocument"], method_arn("GET", "/reports/7"))
        assert_is_unauthorized(function.invoke(token_authorizer_event(POOL.access_token())))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COGNITO_USER_POOL_ID", "CostCalculatorUserPool"),
        ("COGNITO_CLIENT_ID", ""),
        ("COGNITO_JWKS", '{"keys": []}'),
        ("COGNITO_TOKEN_USE", "acess"),
        ("COGNITO_RULES", '[{"route": "GET /reports/{id}", "group": ["finance"]}]'),
        ("COGNITO_RULES", "rules.json"),
        ("COGNITO_BAD_TOKEN", "401"),
    ],
)
def test_a_wrong_setting_fails_in_the_init_phase_and_is_named(variable: str, value: str) -> None:
    environment = {**SETTINGS, "COGNITO_RULES": RULES, variable: value}
    with lambda_function(READY_AUTHORIZER, root=ROOT, environment=environment) as function:
        answer = function.answer()
        assert answer.kind == "init/error"
        assert answer.body["errorType"] == "ConfigurationError"
        assert answer.body["errorMessage"].startswith(f"{variable}: ")
        assert function.exit_code() != 0
        assert function.polls == 0  # it never asked for an invocation


def test_a_function_that_was_restored_from_a_snapshot_answers() -> None:
    environment = {**SETTINGS, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    with lambda_function(READY_AUTHORIZER, root=ROOT, environment=environment) as function:
        answer = function.invoke(token_authorizer_event(POOL.id_token()))
        assert answer.kind == "response"
        assert function.restores == 1  # what was done before it is in the snapshot, the verifier with it
