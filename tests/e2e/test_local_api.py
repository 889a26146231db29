"""The CostCalculator API on loopback, over HTTP: what its gateway decides, evaluates and caches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from cognito_verify import CognitoVerifier
from cognito_verify.aws_lambda import LambdaAuthorizer, Rule
from cognito_verify.testing import Answer as JwksAnswer
from cognito_verify.testing import Clock, FakeUserPool
from examples.cost_calculator import calculate_price, reports
from examples.cost_calculator.authorizer import authorizer_for
from examples.cost_calculator.local import HttpApi, RestApi, Route, http_api, rest_api, served, simple_http_api

PRICE = json.dumps({"price": "400000", "size": "1600", "unit": "sqFt", "downPayment": "20"})
ROUTES = [
    Route("POST /pricepermeter", calculate_price.handler, is_proxy=False),
    Route("GET /reports/{id}", reports.handler),
]


@dataclass(slots=True)
class Counted:
    """An authorizer that tells what it was asked."""

    authorizer: Any
    events: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, event: dict[str, Any], context: object) -> Any:
        self.events.append(event)
        return self.authorizer(event, context)


@dataclass(slots=True)
class Answer:
    status: int
    content: Any
    headers: dict[str, str]


def call(url: str, token: str | None = None, body: str | None = None, method: str = "", **headers: str) -> Answer:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    if token is not None:
        headers["Authorization"] = token
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method or ("GET" if body is None else "POST"), target, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        return Answer(response.status, json.loads(text) if text else None, dict(response.headers.items()))
    finally:
        connection.close()


def parameters(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's
    return {"statusCode": 200, "body": json.dumps(event["pathParameters"])}


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000)


@pytest.fixture
def pool(clock: Clock) -> FakeUserPool:
    return FakeUserPool(clock=clock)


@pytest.fixture
def guard(pool: FakeUserPool) -> Counted:
    return Counted(authorizer_for(pool.verifier(token_use=None)))


@pytest.fixture
def rest(guard: Counted, clock: Clock) -> Iterator[str]:
    with served(RestApi(ROUTES, guard, clock=clock)) as endpoint:
        yield f"{endpoint}/dev"


@pytest.fixture
def simple(pool: FakeUserPool, clock: Clock) -> Iterator[str]:
    with served(simple_http_api(pool.verifier(token_use=None), clock=clock)) as endpoint:
        yield endpoint


# REST API


@pytest.mark.parametrize("prefix", ["", "Bearer "], ids=["bare", "bearer"])
def test_a_registered_user_gets_the_price(rest: str, pool: FakeUserPool, prefix: str) -> None:
    answer = call(f"{rest}/pricepermeter", prefix + pool.id_token(), PRICE)
    assert answer.status == 200
    assert answer.content["pricePerSquareMeter"] == "2690.98"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_without_a_token_the_authorizer_is_not_asked(rest: str, guard: Counted) -> None:
    for token in (None, ""):
        answer = call(f"{rest}/pricepermeter", token, PRICE)
        assert (answer.status, answer.content) == (401, {"message": "Unauthorized"})
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert guard.events == []


def test_a_bad_token_is_a_401_and_is_not_cached(rest: str, guard: Counted, pool: FakeUserPool) -> None:
    forged = FakeUserPool("us-east-1_AnotherPool").id_token()
    for _ in range(2):
        assert call(f"{rest}/pricepermeter", forged, PRICE).status == 401
    assert len(guard.events) == 2
    assert call(f"{rest}/pricepermeter", pool.id_token(), PRICE).status == 200


def test_a_refusal_that_is_asked_for_has_a_code(rest: str, pool: FakeUserPool) -> None:
    answer = call(f"{rest}/reports/7", pool.id_token(groups=["users"]))
    assert (answer.status, answer.content["code"]) == (403, "missing_group")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert call(f"{rest}/reports/7", pool.id_token(groups=["finance"])).status == 200


def test_one_policy_decides_every_route_of_the_api(rest: str, guard: Counted, pool: FakeUserPool) -> None:
    token = pool.id_token(groups=["finance"])
    assert call(f"{rest}/pricepermeter", token, PRICE).status == 200
    assert call(f"{rest}/reports/7", token).status == 200
    assert call(f"{rest}/reports/8?from=2026", token).content["report"] == "8"
    assert len(guard.events) == 1


def test_a_policy_for_one_request_alone_denies_the_next_from_the_cache(pool: FakeUserPool, clock: Clock) -> None:
    # The trap of most examples, which `policy_scope="api"` avoids: the twin of the test above.
    def for_one_path(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
        statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}
        return {"principalId": "u", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}

    token = pool.id_token()
    with served(RestApi(ROUTES, for_one_path, clock=clock)) as endpoint:
        assert call(f"{endpoint}/dev/pricepermeter", token, PRICE).status == 200
        assert call(f"{endpoint}/dev/reports/7", token).status == 403
        clock.now += 301
        assert call(f"{endpoint}/dev/reports/7", token).status == 200


def test_a_cached_allow_outlives_exp_by_up_to_the_ttl(rest: str, pool: FakeUserPool, clock: Clock) -> None:
    token = pool.id_token(expires_in=60)
    assert call(f"{rest}/pricepermeter", token, PRICE).status == 200
    clock.now += 200
    assert call(f"{rest}/pricepermeter", token, PRICE).status == 200  # from the cache, as the docs warn
    clock.now += 101
    assert call(f"{rest}/pricepermeter", token, PRICE).status == 401


def test_without_a_cache_every_request_is_decided_anew(guard: Counted, pool: FakeUserPool, clock: Clock) -> None:
    token = pool.id_token(expires_in=60)
    with served(RestApi(ROUTES, guard, ttl=0, clock=clock)) as endpoint:
        assert call(f"{endpoint}/dev/pricepermeter", token, PRICE).status == 200
        clock.now += 61
        assert call(f"{endpoint}/dev/pricepermeter", token, PRICE).status == 401
    assert len(guard.events) == 2


def test_a_report_is_for_whom_the_token_names(rest: str, pool: FakeUserPool) -> None:
    token = pool.id_token("ada", groups=["finance", "x,admin"])
    answer = call(f"{rest}/reports/a%20b", token)
    assert answer.content == {"report": "a b", "for": "ada", "groups": ["finance", "x,admin"]}


@pytest.mark.parametrize(
    "path", ["/reports", "/reports/", "/reports/7/8", "/pricepermeter/", "/admin", "/", "//reports/7", "/reports%2F7"]
)
def test_a_path_that_the_api_does_not_have_is_refused(rest: str, pool: FakeUserPool, path: str) -> None:
    answer = call(f"{rest}{path}", pool.id_token(groups=["finance"]))
    assert (answer.status, answer.content) == (403, {"message": "Missing Authentication Token"})


@pytest.mark.parametrize("path", ["/reports/..", "/reports/a%2Fb", "/reports/*", "/reports/$%7Bx%7D"])
def test_an_ambiguous_path_never_opens_more(rest: str, pool: FakeUserPool, path: str) -> None:
    assert call(f"{rest}{path}", pool.id_token(groups=["users"])).status in (403, 500)


def test_another_stage_is_refused(rest: str, pool: FakeUserPool) -> None:
    assert call(rest.replace("/dev", "/prod/pricepermeter"), pool.id_token(), PRICE).status == 403
    assert call(rest.replace("/dev", "/development/pricepermeter"), pool.id_token(), PRICE).status == 403


def test_a_preflight_carries_no_token(rest: str, guard: Counted) -> None:
    answer = call(f"{rest}/pricepermeter", method="OPTIONS", Origin="https://app.example.com")
    assert answer.status == 200
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert guard.events == []


@pytest.mark.parametrize("body", ["price=400000", "{}", "", "[]"])
def test_a_body_that_is_no_request_is_a_400(rest: str, pool: FakeUserPool, body: str) -> None:
    answer = call(f"{rest}/pricepermeter", pool.id_token(), body, method="POST")
    assert answer.status == 400
    assert answer.content["message"] == "Bad request: price: expected a number above 0, found nothing"


def test_a_mapped_body_is_json(rest: str, pool: FakeUserPool) -> None:
    for content_type, status in (
        ("application/json; charset=utf-8", 200),
        ("application/x-www-form-urlencoded", 415),  # what curl says of itself
    ):
        assert call(f"{rest}/pricepermeter", pool.id_token(), PRICE, **{"Content-Type": content_type}).status == status


def test_unavailable_keys_are_a_500_and_nothing_is_cached(
    pool: FakeUserPool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    server = pool.serve()
    with server as uri:
        verifier = CognitoVerifier(
            pool.user_pool_id, client_id=pool.client_id, token_use="id", jwks_uri=uri, clock=clock
        )
        with served(rest_api(verifier, clock=clock)) as rest, served(http_api(verifier)) as http:
            server.answers(JwksAnswer(503))
            token = pool.id_token()
            assert call(f"{rest}/dev/pricepermeter", token, PRICE).status == 500
            refused = call(f"{http}/pricepermeter", token, PRICE)
            assert (refused.status, refused.content["code"]) == (503, "keys_unavailable")
            assert int(refused.headers["Retry-After"]) <= 10
            server.answers()  # the real one again
            clock.now += 11  # past the cooldown
            assert call(f"{rest}/dev/pricepermeter", token, PRICE).status == 200
            assert call(f"{http}/pricepermeter", token, PRICE).status == 200
    assert "KeysUnavailableError" in caplog.text


def test_a_function_that_fails_is_the_gateways_to_answer(
    guard: Counted, pool: FakeUserPool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(event: object, context: object) -> object:  # noqa: ARG001
        raise RuntimeError("out of order")

    routes = [Route("POST /pricepermeter", fails, is_proxy=False), Route("GET /reports/{id}", fails)]
    token = pool.id_token(groups=["finance"])
    with served(RestApi(routes, guard, clock=clock)) as endpoint:
        assert call(f"{endpoint}/dev/pricepermeter", token, PRICE).status == 500
        assert call(f"{endpoint}/dev/reports/7", token).status == 502
    assert caplog.text.count("out of order") == 2


def test_a_rest_api_renames_the_challenge(pool: FakeUserPool, clock: Clock) -> None:
    handler = calculate_price.http_handler_for(pool.verifier(token_use=None, groups="finance"))
    lets_all_in = authorizer_for(pool.verifier(token_use=None))
    with served(RestApi([Route("POST /pricepermeter", handler)], lets_all_in, clock=clock)) as endpoint:
        answer = call(f"{endpoint}/dev/pricepermeter", pool.id_token(), PRICE)
    assert (answer.status, answer.content["code"]) == (403, "missing_group")
    assert "WWW-Authenticate" not in answer.headers
    assert "insufficient_scope" in answer.headers["x-amzn-Remapped-WWW-Authenticate"]


# HTTP APIs


def test_the_decorator_alone(pool: FakeUserPool) -> None:
    with served(http_api(pool.verifier(token_use=None))) as http:
        refused = call(f"{http}/pricepermeter", None, PRICE)
        assert (refused.status, refused.content["code"]) == (401, "missing_token")
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert call(f"{http}/pricepermeter", pool.id_token(), PRICE).content["totalCost"] == "400000.00"
        assert call(f"{http}/dev/pricepermeter", pool.id_token(), PRICE).status == 404


def test_simple_answers(simple: str, pool: FakeUserPool) -> None:
    user, finance = pool.id_token("bob"), pool.id_token("ada", groups=["finance"])
    assert call(f"{simple}/pricepermeter", None, PRICE).status == 401  # no identity source
    assert call(f"{simple}/pricepermeter", "nonsense", PRICE).status == 403
    assert call(f"{simple}/pricepermeter", user, PRICE).status == 200
    assert call(f"{simple}/reports/7", user).status == 403
    assert call(f"{simple}/reports/7", finance).content == {"report": "7", "for": "ada", "groups": ["finance"]}


def test_simple_answers_are_cached_by_route(pool: FakeUserPool, clock: Clock) -> None:
    guard = Counted(authorizer_for(pool.verifier(token_use=None), http_api_response="simple"))
    routes = [
        Route("POST /pricepermeter", calculate_price.proxy_handler),
        Route("GET /reports/{id}", reports.handler),
    ]
    sources = ("$request.header.Authorization", "$context.routeKey")
    token = pool.id_token()
    with served(HttpApi(routes, guard, identity_sources=sources, ttl=300, clock=clock)) as http:
        for _ in range(2):
            assert call(f"{http}/pricepermeter", token, PRICE).status == 200
            assert call(f"{http}/reports/7", token).status == 403
    assert [event["routeKey"] for event in guard.events] == ["POST /pricepermeter", "GET /reports/{id}"]


@pytest.mark.parametrize("path", ["/reports/7/", "/reports/a%2Fb", "/reports/%2E%2E"])
def test_an_odd_path_locks_nobody_out_of_its_route(pool: FakeUserPool, clock: Clock, path: str) -> None:
    """The gateway takes each for `GET /reports/{id}`; a cached no would hold for all reports."""
    guard = authorizer_for(pool.verifier(token_use=None), http_api_response="simple")
    sources = ("$request.header.Authorization", "$context.routeKey")
    token = pool.id_token(groups=["finance"])
    routes = [Route("GET /reports/{id}", reports.handler)]
    with served(HttpApi(routes, guard, identity_sources=sources, ttl=300, clock=clock)) as http:
        assert call(http + path, token).status == 500
        assert call(f"{http}/reports/7", token).status == 200
        assert call(f"{http}/reports/7", pool.id_token()).status == 403


def test_a_decoded_slash_does_not_borrow_the_rule_of_another_route(pool: FakeUserPool, clock: Clock) -> None:
    rules = [Rule("GET /{tenant}", groups="staff"), Rule("GET /{tenant}/{id}")]
    routes = [Route("GET /{tenant}", parameters), Route("GET /{tenant}/{id}", parameters)]
    token = pool.id_token()
    forms: list[dict[str, Any]] = [{}, {"http_api_response": "simple", "simple_uncached": True}]
    for options in forms:
        guard = LambdaAuthorizer(pool.verifier(token_use=None), rules=rules, **options)
        with served(HttpApi(routes, guard, clock=clock)) as http:
            assert call(f"{http}/acme/1", token).content == {"tenant": "acme", "id": "1"}
            assert call(f"{http}/acme%2F1", token).status != 200
            assert call(f"{http}/acme", token).status == 403
            assert call(f"{http}/acme%2F1", pool.id_token(groups=["staff"])).status != 200


def test_a_simple_answer_that_a_cache_would_replay_is_not_given(
    pool: FakeUserPool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    guard = authorizer_for(pool.verifier(token_use=None), http_api_response="simple")
    routes = [Route("POST /pricepermeter", calculate_price.proxy_handler)]
    with served(HttpApi(routes, guard, ttl=300, clock=clock)) as http:
        assert call(f"{http}/pricepermeter", pool.id_token(), PRICE).status == 500
    assert "add $context.routeKey" in caplog.text


def test_policies_are_evaluated_on_http_apis_too(pool: FakeUserPool, clock: Clock) -> None:
    routes = [
        Route("POST /pricepermeter", calculate_price.proxy_handler),
        Route("GET /reports/{id}", reports.handler),
    ]
    guard = Counted(authorizer_for(pool.verifier(token_use=None)))
    token = pool.id_token(groups=["users"])
    with served(HttpApi(routes, guard, ttl=300, clock=clock)) as http:
        assert call(f"{http}/pricepermeter?a=1&a=2", token, PRICE, Cookie="a=b; c=d").status == 200
        assert call(f"{http}/reports/7", token).status == 403
    (event,) = guard.events
    assert event["cookies"] == ["a=b", "c=d"]
    assert event["queryStringParameters"] == {"a": "1,2"}
    assert event["identitySource"] == [token]


def test_a_body_beyond_bounds_is_refused(rest: str) -> None:
    assert call(f"{rest}/pricepermeter", method="POST", **{"Content-Length": "1000001"}).status == 413
    assert call(f"{rest}/pricepermeter", method="POST", **{"Content-Length": "-1"}).status == 413
