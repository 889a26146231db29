"""The functions of the CostCalculator API, as Lambda calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cognito_verify.testing import FakeUserPool, lambda_event
from examples.cost_calculator import authorizer, calculate_price, reports
from examples.cost_calculator.calculate_price import BadRequestError

REQUEST = {"price": 400000, "size": 1600, "unit": "sqFt", "downPayment": 20}
ANSWER = {
    "unit": "sqFt",
    "pricePerSquareMeter": "2690.98",  # 400,000 / (1,600 x 0.09290304)
    "pricePerUnit": "250.00",
    "downPayment": "80000.00",
    "remaining": "320000.00",
    "totalCost": "400000.00",
}


def proxied(body: str | None) -> tuple[int, Any]:
    answer = calculate_price.proxy_handler(lambda_event("rest", path="/pricepermeter", body=body))
    assert answer["headers"]["Content-Type"] == "application/json"
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(REQUEST, id="numbers"),
        pytest.param({name: str(value) for name, value in REQUEST.items()}, id="strings"),
        pytest.param({**REQUEST, "price": " 400000.00 ", "size": 1600.0}, id="fractions"),
        pytest.param({**REQUEST, "note": "north side"}, id="more-than-asked"),
    ],
)
def test_the_labs_request_has_the_labs_price(request_: dict[str, Any]) -> None:
    assert calculate_price.handler(request_) == ANSWER
    assert proxied(json.dumps(request_)) == (200, ANSWER)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({"unit": "sqM"}, {"pricePerSquareMeter": "250.00", "pricePerUnit": "250.00"}, id="square-metres"),
        pytest.param({"unit": "sqYd"}, {"pricePerSquareMeter": "299.00", "pricePerUnit": "250.00"}, id="square-yards"),
        pytest.param({"downPayment": 0}, {"downPayment": "0.00", "remaining": "400000.00"}, id="nothing-down"),
        pytest.param({"downPayment": "100"}, {"downPayment": "400000.00", "remaining": "0.00"}, id="all-down"),
        pytest.param({"downPayment": 12.5}, {"downPayment": "50000.00", "remaining": "350000.00"}, id="half-percent"),
        pytest.param({"price": "0.05", "downPayment": 50}, {"downPayment": "0.03", "remaining": "0.02"}, id="half-up"),
        pytest.param({"price": 0.1, "size": 0.3}, {"pricePerUnit": "0.33", "totalCost": "0.10"}, id="no-binary-dust"),
        pytest.param({"price": "999999999999"}, {"totalCost": "999999999999.00"}, id="largest"),
    ],
)
def test_money_is_exact_to_the_cent(changed: dict[str, Any], expected: dict[str, str]) -> None:
    answer = calculate_price.calculated({**REQUEST, **changed})
    assert {name: answer[name] for name in expected} == expected
    assert proxied(json.dumps({**REQUEST, **changed}))[1] == answer


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({"price": None}, "price: expected a number above 0, found nothing", id="null"),
        pytest.param({"price": ""}, "price: expected a number above 0, found nothing", id="left-out-by-the-mapping"),
        pytest.param({"price": "much"}, "price: expected a number above 0, found 'much'", id="word"),
        pytest.param({"price": 0}, "price: expected a number above 0, found 0", id="zero"),
        pytest.param({"price": -1}, "price: expected a number above 0, found -1", id="negative"),
        pytest.param({"price": True}, "price: expected a number above 0, found True", id="boolean"),
        pytest.param({"price": [1]}, "price: expected a number above 0, found an array", id="array"),
        pytest.param({"price": {"a": 1}}, "price: expected a number above 0, found an object", id="object"),
        pytest.param({"price": float("inf")}, "price: expected a number above 0, found inf", id="infinity"),
        pytest.param({"price": "NaN"}, "price: expected a number above 0, found 'NaN'", id="nan"),
        pytest.param({"price": "1e6"}, "price: expected a number above 0, found '1e6'", id="exponent"),
        pytest.param({"price": "400,000"}, "price: expected a number above 0, found '400,000'", id="comma"),
        pytest.param({"price": "٤"}, r"price: expected a number above 0, found '\u0664'", id="other-digits"),
        pytest.param({"price": 10**12}, "price: expected a number above 0, found 1000000000000", id="too-large"),
        pytest.param({"price": "9" * 99}, f"price: expected a number above 0, found '{'9' * 36}...", id="long"),
        pytest.param({"size": 0}, "size: expected a number above 0, found 0", id="no-size"),
        pytest.param({"unit": "sqft"}, "unit: expected sqM or sqFt or sqYd, found 'sqft'", id="unit-in-another-case"),
        pytest.param({"unit": ["sqFt"]}, "unit: expected sqM or sqFt or sqYd, found an array", id="unit-array"),
        pytest.param({"unit": None}, "unit: expected sqM or sqFt or sqYd, found nothing", id="no-unit"),
        pytest.param({"downPayment": 101}, "downPayment: expected a number from 0 to 100, found 101", id="over-100"),
        pytest.param({"downPayment": "-0"}, "downPayment: expected a number from 0 to 100, found '-0'", id="minus-0"),
    ],
)
def test_a_bad_request_is_told_what_was_expected(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequestError) as refusal:
        calculate_price.handler({**REQUEST, **changed})
    assert str(refusal.value) == f"Bad request: {message}"  # the integration response's pattern wants this beginning
    status, answer = proxied(json.dumps({**REQUEST, **changed}))
    assert status == 400
    assert answer["message"].startswith(f"Bad request: {next(iter(changed))}: expected ")


@pytest.mark.parametrize("name", REQUEST)
def test_no_member_may_be_missing(name: str) -> None:
    with pytest.raises(BadRequestError, match=f"^Bad request: {name}: expected .*, found nothing$"):
        calculate_price.calculated({one: value for one, value in REQUEST.items() if one != name})


@pytest.mark.parametrize(
    "body",
    [None, "", "price=400000", "[]", "null", '"{}"', "1e999999", "9" * 5_000, "[" * 100_000, '{"price": 1e999999}'],
    ids=["none", "empty", "form", "array", "null", "string", "exponent", "digits", "nested", "member"],
)
def test_a_body_that_is_no_request_is_a_400(body: str | None) -> None:
    status, answer = proxied(body)
    assert status == 400
    assert answer["message"].startswith("Bad request: ")
    assert len(answer["message"]) < 120


def test_a_body_may_come_in_base64() -> None:
    event = lambda_event("rest", body=json.dumps(REQUEST).encode())
    assert event["isBase64Encoded"]
    assert calculate_price.proxy_handler(event)["statusCode"] == 200
    assert calculate_price.proxy_handler(event | {"body": "/w=="})["statusCode"] == 400  # not UTF-8
    assert calculate_price.proxy_handler(event | {"body": "{}"})["statusCode"] == 400


def test_the_decorator_guards_the_http_apis_handler(cognito_pool: FakeUserPool) -> None:
    handler = calculate_price.http_handler_for(cognito_pool.verifier(token_use=None))
    refused = handler(lambda_event("http", body=REQUEST), None)
    assert refused["statusCode"] == 401
    assert refused["headers"]["Access-Control-Allow-Origin"] == "*"
    allowed = handler(lambda_event("http", cognito_pool.id_token(), body=REQUEST), None)
    assert json.loads(allowed["body"]) == ANSWER


def test_a_report_is_for_whom_the_authorizer_names(cognito_pool: FakeUserPool) -> None:
    token = cognito_pool.id_token("ada", groups=["finance", "x,admin"])
    guard = authorizer.authorizer_for(cognito_pool.verifier(token_use=None))
    context = guard(lambda_event("token-authorizer", token, path="/reports/7"))["context"]
    answer = reports.handler(lambda_event("rest", route="GET /reports/{id}", path="/reports/7", authorizer=context))
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"report": "7", "for": "ada", "groups": ["finance", "x,admin"]}


@pytest.mark.parametrize(
    ("groups", "allowed"),
    [
        pytest.param([], ["POST /pricepermeter", "POST /proxy/pricepermeter"], id="registered"),
        pytest.param(["admin"], ["POST /pricepermeter", "POST /proxy/pricepermeter"], id="another-group"),
        pytest.param(
            ["finance"], ["POST /pricepermeter", "POST /proxy/pricepermeter", "GET /reports/{id}"], id="finance"
        ),
    ],
)
def test_the_authorizers_rules(cognito_pool: FakeUserPool, groups: list[str], allowed: list[str]) -> None:
    verifier = cognito_pool.verifier(token_use=None)
    token = verifier.verify(cognito_pool.id_token(groups=groups))
    decisions = authorizer.authorizer_for(verifier).decisions(token)
    assert [decision.route for decision in decisions if decision.allowed] == allowed


def test_the_email_is_handed_on_where_the_token_has_one(cognito_pool: FakeUserPool) -> None:
    guard = authorizer.authorizer_for(cognito_pool.verifier(token_use=None))
    with_email = cognito_pool.id_token(email="ada@example.com")
    assert guard(lambda_event("token-authorizer", with_email))["context"]["email"] == "ada@example.com"
    assert "email" not in guard(lambda_event("token-authorizer", cognito_pool.access_token()))["context"]


@pytest.mark.parametrize("name", ["calculate_price", "reports", "authorizer"])
def test_each_function_is_one_file(name: str) -> None:
    # In Lambda the folder's files stand at the root: an import of `examples` would work here and fail there.
    source = Path(f"{calculate_price.__file__}").with_name(f"{name}.py").read_text(encoding="utf-8")
    assert "import examples" not in source
    assert "from examples" not in source
