"""`lambda_event`: the events of the kit carry a request as AWS's own do, and reach the rooms that read them."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from cognito_verify.aws_lambda import LambdaAuthorizer, Rule, claims_of, cookie, query, require_token
from cognito_verify.errors import ConfigurationError
from cognito_verify.testing import LAMBDA_EVENT_KINDS, FakeUserPool, LambdaEventKind, is_allowed, lambda_event

POOL = FakeUserPool()
VERIFIER = POOL.verifier("access")
HANDLED = LAMBDA_EVENT_KINDS[:6]
AUTHORIZED = LAMBDA_EVENT_KINDS[6:]
WITH_PATH = [kind for kind in LAMBDA_EVENT_KINDS if not kind.startswith(("websocket", "appsync"))]
WITH_QUERY = [kind for kind in LAMBDA_EVENT_KINDS if kind not in ("token-authorizer", "appsync-authorizer")]
WITH_AUTHORIZER = ("rest", "http", "function-url", "websocket")

every_kind = pytest.mark.parametrize("kind", LAMBDA_EVENT_KINDS)


@require_token(VERIFIER)
def handler(event: dict[str, Any], context: object, token: Any) -> str:  # noqa: ARG001 - Lambda's
    return str(token.username)


# Through the rooms that read them


@pytest.mark.parametrize("kind", HANDLED)
def test_a_handler_finds_the_token(kind: LambdaEventKind) -> None:
    assert handler(lambda_event(kind, token=POOL.access_token("ada")), None) == "ada"
    assert handler(lambda_event(kind), None)["statusCode"] == 401


@pytest.mark.parametrize("kind", AUTHORIZED)
def test_an_authorizer_finds_the_token(kind: LambdaEventKind) -> None:
    authorizer = LambdaAuthorizer(VERIFIER, bad_token="deny")
    good, bad = (lambda_event(kind, token=raw) for raw in (POOL.access_token("ada"), POOL.expired()))
    assert is_allowed(authorizer(good), good)
    assert not is_allowed(authorizer(bad), bad)


@pytest.mark.parametrize("kind", [kind for kind in WITH_PATH if kind in AUTHORIZED])
def test_rules_decide_by_the_path_that_was_sent(kind: LambdaEventKind) -> None:
    authorizer = LambdaAuthorizer(VERIFIER, rules=[Rule("GET /reports/{id}"), Rule("GET /admin", groups="admin")])
    report, admin = (lambda_event(kind, POOL.access_token(), path=path) for path in ("/reports/7", "/admin"))
    answer = authorizer(report)
    assert is_allowed(answer, report)
    assert not is_allowed(answer, admin)  # what a cache would say
    assert not is_allowed(authorizer(admin), admin)


@pytest.mark.parametrize("kind", [kind for kind in WITH_QUERY if kind in HANDLED])
def test_cookies_and_query_parameters_carry_a_token_too(kind: LambdaEventKind) -> None:
    sources = [cookie("id", allowed_origins="https://app.example.com"), query("token")]
    anywhere = require_token(VERIFIER, token_from=sources)(lambda event, context, token: token.username)  # noqa: ARG005
    origin = {"Origin": "https://app.example.com"}
    assert (
        anywhere(lambda_event(kind, headers=origin, cookies={"a": "b", "id": POOL.access_token("ada")}), None) == "ada"
    )
    assert anywhere(lambda_event(kind, query={"x": "1", "token": POOL.access_token("bob")}), None) == "bob"


def test_a_handler_finds_what_an_authorizer_left() -> None:
    claims = {"sub": "u1", "cognito:groups": "admin"}
    assert claims_of(lambda_event("rest", authorizer={"claims": claims})) == claims
    assert claims_of(lambda_event("http", authorizer={"jwt": {"claims": claims}})) == claims
    assert claims_of(lambda_event("function-url", authorizer={"claims": claims})) == claims
    for route in ("$connect", "send", "$disconnect"):
        assert claims_of(lambda_event("websocket", route=route, authorizer={"claims": claims})) == claims


@every_kind
def test_every_event_is_json_and_shares_nothing_with_the_next(kind: LambdaEventKind) -> None:
    options: dict[str, Any] = {"headers": {"Authorization": ["t"]}}
    options |= {"query": {"q": ["1", "2"]}} if kind in WITH_QUERY else {}
    options |= {"authorizer": {"claims": {"cognito:groups": ["admin"]}}} if kind in WITH_AUTHORIZER else {}
    described, event = json.dumps(options), lambda_event(kind, **options)
    written = json.dumps(event)
    assert json.loads(written) == event
    spoil(event)
    assert json.dumps(options) == described
    assert json.dumps(lambda_event(kind, **options)) == written


def spoil(content: Any) -> None:
    """Empty every dict and list, the innermost first."""
    if isinstance(content, (dict, list)):
        for member in content.values() if isinstance(content, dict) else content:
            spoil(member)
        content.clear()


# The shapes


def test_a_rest_api_keeps_the_clients_spelling_and_every_value() -> None:
    event = lambda_event(
        "rest", headers={"X-Tag": ["a", "b"], "accept": "*/*"}, query={"q": ["1", "2 3"]}, cookies={"c": "d"}
    )
    assert (event["headers"]["X-Tag"], event["multiValueHeaders"]["X-Tag"]) == ("b", ["a", "b"])
    assert (event["headers"]["accept"], event["headers"]["Cookie"]) == ("*/*", "c=d")
    assert (event["queryStringParameters"], event["multiValueQueryStringParameters"]) == (
        {"q": "2 3"},
        {"q": ["1", "2 3"]},
    )


def test_a_rest_api_has_nulls_where_an_http_api_has_nothing() -> None:
    rest, http = lambda_event("rest"), lambda_event("http")
    assert [rest[name] for name in ("body", "pathParameters", "queryStringParameters", "stageVariables")] == [None] * 4
    assert not {"body", "cookies", "pathParameters", "queryStringParameters"} & http.keys()
    assert (http["rawQueryString"], http["isBase64Encoded"]) == ("", False)


@pytest.mark.parametrize("kind", ["http", "function-url", "http-2.0-authorizer"])
def test_format_2_joins_values_in_lower_case_and_lists_cookies(kind: LambdaEventKind) -> None:
    event = lambda_event(
        kind, headers={"X-Tag": ["a", "b"], "x-TAG": "c"}, query={"q": ["1", "2 3"]}, cookies={"c": "d", "e": "f"}
    )
    assert event["version"] == "2.0"
    assert event["headers"]["x-tag"] == "a,b,c"
    assert event["cookies"] == ["c=d", "e=f"]
    assert "cookie" not in event["headers"]
    assert "multiValueHeaders" not in event
    assert (event["rawQueryString"], event["queryStringParameters"]) == ("q=1&q=2+3", {"q": "1,2 3"})


def test_a_load_balancer_leaves_the_query_encoded_and_has_one_form_of_headers() -> None:
    one, multi = (
        lambda_event(kind, headers={"X-Tag": ["a", "b"]}, query={"a b": ["1", "2 3"]}) for kind in ("alb", "alb-multi")
    )
    assert (one["headers"]["x-tag"], one["queryStringParameters"], one["body"]) == ("b", {"a+b": "2+3"}, "")
    assert multi["multiValueHeaders"]["x-tag"] == ["a", "b"]
    assert multi["multiValueQueryStringParameters"] == {"a+b": ["1", "2+3"]}
    assert not {"multiValueHeaders", "multiValueQueryStringParameters"} & one.keys()
    assert not {"headers", "queryStringParameters"} & multi.keys()


def test_an_arn_ends_in_the_path_and_not_in_the_route() -> None:
    options: dict[str, Any] = {"route": "ANY /reports/{id}", "method": "GET", "path": "/reports/a:b"}
    arn = "arn:aws:execute-api:eu-west-1:123456789012:a1b2c3d4e5"
    rest = lambda_event("request-authorizer", **options)
    http = lambda_event("http-2.0-authorizer", **options)
    assert rest["methodArn"] == f"{arn}/dev/GET/reports/a:b"
    assert http["routeArn"] == f"{arn}/$default/GET/reports/a:b"
    assert (rest["resource"], rest["requestContext"]["resourcePath"]) == ("/reports/{id}", "/reports/{id}")
    assert http["routeKey"] == http["requestContext"]["routeKey"] == "ANY /reports/{id}"
    assert rest["pathParameters"] == http["pathParameters"] == {"id": "a:b"}
    assert lambda_event("token-authorizer", "t", method="PUT", path="/a")["methodArn"] == f"{arn}/dev/PUT/a"
    assert lambda_event("websocket-authorizer", stage="prod")["methodArn"] == f"{arn}/prod/$connect"


@pytest.mark.parametrize(
    ("route", "path", "parameters"),
    [
        pytest.param("/a/{x}/{y}", "/a/1/%C3%A9", {"x": "1", "y": "é"}, id="decoded"),
        pytest.param("GET /files/{proxy+}", "/files/a/b", {"proxy": "a/b"}, id="greedy"),
        pytest.param("/a.b/{user-id}", "/a.b/7", {"user-id": "7"}, id="odd-names"),
        pytest.param("/a", "/a", {}, id="literal"),
        pytest.param("/a/{x}", "/a/1/", {"x": "1"}, id="slash-at-the-end"),
        pytest.param("$default", "/any/thing", {}, id="default"),
    ],
)
def test_parameters_are_taken_from_the_path(route: str, path: str, parameters: dict[str, str]) -> None:
    event = lambda_event("http", route=route, path=path)
    assert event.get("pathParameters", {}) == parameters
    assert event["requestContext"]["http"]["path"] == path
    assert event["routeKey"] == (route if not route.startswith("/") else f"GET {route}")


def test_http_apis_alone_decode_the_path() -> None:
    options: dict[str, Any] = {"path": "/a/b%2Fc%3Fd", "route": "/a/{x}"}
    assert lambda_event("http", **options)["rawPath"] == "/a/b/c"
    assert lambda_event("http-2.0-authorizer", **options)["routeArn"].endswith("/GET/a/b/c")
    assert lambda_event("http-1.0-authorizer", **options)["methodArn"].endswith("/GET/a/b/c")
    assert lambda_event("request-authorizer", **options)["methodArn"].endswith("/GET/a/b%2Fc%3Fd")
    assert lambda_event("rest", **options)["path"] == "/a/b%2Fc%3Fd"
    assert lambda_event("function-url", path="/a/b%2Fc")["rawPath"] == "/a/b%2Fc"
    assert lambda_event("alb", path="/a/b%2Fc")["path"] == lambda_event("alb-multi", path="/a/b%2Fc")["path"]
    assert lambda_event("alb", path="/a/b%2Fc")["path"] == "/a/b%2Fc"
    assert lambda_event("http", **options)["pathParameters"] == {"x": "b/c?d"}


def test_the_method_is_that_of_the_route_or_follows_from_the_body() -> None:
    def method(**options: Any) -> str:
        return str(lambda_event("rest", **options)["httpMethod"])

    assert [method(), method(body="x"), method(body="x", method="PUT")] == ["GET", "POST", "PUT"]
    assert [method(route="DELETE /a"), method(route="ANY /a"), method(route="ANY /a", method="PUT")] == [
        "DELETE",
        "GET",
        "PUT",
    ]
    assert lambda_event("rest", route="DELETE /a")["path"] == "/a"


def test_a_stage_is_part_of_the_path_where_the_gateway_makes_it_so() -> None:
    rest, http = (lambda_event(kind, path="/a", stage="prod") for kind in ("rest", "http"))
    assert (rest["path"], rest["requestContext"]["path"], rest["requestContext"]["stage"]) == ("/a", "/prod/a", "prod")
    assert (http["rawPath"], http["requestContext"]["http"]["path"]) == ("/prod/a", "/prod/a")
    assert lambda_event("http", path="/a")["rawPath"] == "/a"
    assert lambda_event("http-1.0-authorizer", path="/a")["requestContext"]["path"] == "/a"


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("websocket", {}),
        ("websocket", {"route": "send"}),
        ("websocket", {"route": "$disconnect"}),
        ("websocket-authorizer", {}),
    ],
)
def test_a_websocket_has_its_stage_in_the_context(kind: LambdaEventKind, options: dict[str, Any]) -> None:
    assert lambda_event(kind, **options)["requestContext"]["stage"] == "dev"
    assert lambda_event(kind, stage="prod", **options)["requestContext"]["stage"] == "prod"


@pytest.mark.parametrize("kind", ["rest", "http", "function-url", "alb", "alb-multi"])
def test_a_body_is_text_or_base64_or_json(kind: LambdaEventKind) -> None:
    text, data, content = (lambda_event(kind, body=body) for body in ("é", b"\xff", {"price": 400_000}))
    assert (text["body"], text["isBase64Encoded"]) == ("é", False)
    assert (data["body"], data["isBase64Encoded"]) == ("/w==", True)
    assert (json.loads(content["body"]), content["isBase64Encoded"]) == ({"price": 400_000}, False)
    headers = content.get("headers") or content["multiValueHeaders"]
    (content_type,) = (value for name, value in headers.items() if name.lower() == "content-type")
    assert content_type in ("application/json", ["application/json"])


def test_a_content_type_of_ones_own_stays() -> None:
    event = lambda_event("http", body=[1], headers={"content-type": "application/vnd.api+json"})
    assert event["headers"]["content-type"] == "application/vnd.api+json"


def test_usual_headers_are_there_and_give_way() -> None:
    assert lambda_event("rest")["headers"] == {
        "Host": "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com",
        "User-Agent": "curl/8",
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
    }
    event = lambda_event("rest", headers={"host": "api.example.com", "X-Empty": []})
    assert event["headers"]["host"] == "api.example.com"
    assert not {"Host", "X-Empty"} & event["headers"].keys()


def test_a_function_url_has_one_route_and_a_host_of_its_own() -> None:
    event = lambda_event("function-url", path="/a")
    assert (event["routeKey"], event["requestContext"]["routeKey"]) == ("$default", "$default")
    assert event["headers"]["host"] == event["requestContext"]["domainName"]
    assert event["headers"]["host"].endswith(".lambda-url.eu-west-1.on.aws")
    assert lambda_event("function-url", headers={"Host": "x.example"})["headers"]["host"] == "x.example"


def test_a_websocket_carries_the_request_when_it_connects_and_a_body_later() -> None:
    connect = lambda_event("websocket", token="t", query={"a": "b"})
    message = lambda_event("websocket", route="sendmessage", body={"action": "sendmessage"})
    silent = lambda_event("websocket", route="$default")
    end = lambda_event("websocket", route="$disconnect")
    assert [event["requestContext"]["eventType"] for event in (connect, message, silent, end)] == [
        "CONNECT",
        "MESSAGE",
        "MESSAGE",
        "DISCONNECT",
    ]
    assert (connect["headers"]["Authorization"], connect["queryStringParameters"]) == ("Bearer t", {"a": "b"})
    assert (message["body"], silent["body"]) == ('{"action": "sendmessage"}', "")
    assert message["requestContext"]["routeKey"] == "sendmessage"
    assert not {"headers", "multiValueHeaders", "body"} & end.keys()


def test_a_single_header_is_all_that_an_authorizer_gets() -> None:
    assert lambda_event("token-authorizer", "t").keys() == {"type", "authorizationToken", "methodArn"}
    assert lambda_event("token-authorizer", "t")["authorizationToken"] == "Bearer t"
    assert lambda_event("token-authorizer", headers={"authorization": "t"})["authorizationToken"] == "t"
    appsync = lambda_event("appsync-authorizer", "t")
    assert (appsync["authorizationToken"], appsync["requestHeaders"]["authorization"]) == ("t", "t")


@pytest.mark.parametrize(
    ("sources", "values"),
    [
        pytest.param(None, ["Bearer t"], id="by-default"),
        pytest.param([], [], id="none"),
        pytest.param(["$request.header.authorization", "$context.routeKey"], ["Bearer t", "GET /a"], id="route-key"),
        pytest.param(["$request.querystring.q", "$request.header.X-Tag"], ["1,2", "a,b"], id="several-values"),
        pytest.param(
            ["$context.httpMethod", "$context.path", "$context.stage"], ["GET", "/a", "$default"], id="context"
        ),
    ],
)
def test_identity_sources_have_the_values_of_the_request(sources: list[str] | None, values: list[str]) -> None:
    options: dict[str, Any] = {"path": "/a", "query": {"q": ["1", "2"]}, "headers": {"X-Tag": ["a", "b"]}}
    http_2 = lambda_event("http-2.0-authorizer", "t", identity_sources=sources, **options)
    http_1 = lambda_event("http-1.0-authorizer", "t", identity_sources=sources, **options)
    joined = ",".join(values) or None
    assert http_2["identitySource"] == (values or None)
    assert (http_1["identitySource"], http_1["authorizationToken"]) == (joined, joined)
    assert lambda_event("http-2.0-authorizer", query={"token": "t"})["identitySource"] is None


# What AWS would not send


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("v1", {}, "kind: expected one of rest, http, .*, found 'v1'"),
        (
            "token-authorizer",
            {"token": "t", "query": {"a": "b"}},
            "query: an event 'token-authorizer' has no place for it",
        ),
        (
            "appsync-authorizer",
            {"token": "t", "path": "/a"},
            "path: an event 'appsync-authorizer' has no place",
        ),
        (
            "websocket",
            {"method": "GET"},
            "method: an event 'websocket' has no place for it, only for headers",
        ),
        ("alb", {"stage": "dev"}, "stage: an event 'alb' has no place"),
        ("rest", {"identity_sources": []}, "identity_sources: an event 'rest' has no place"),
        ("rest", {"path": "a"}, "path: expected one as it is sent, .* found 'a'"),
        ("rest", {"path": "/a?b=c"}, "its query in query=, found '/a\\?b=c'"),
        ("rest", {"route": "/a/{id}"}, "path: expected one of the route '/a/{id}', such as .*, found none"),
        ("rest", {"route": "/a/{id}", "path": "/b/7"}, "path: expected one of the route '/a/{id}', found '/b/7'"),
        ("rest", {"route": "GET /a", "method": "PUT"}, "method: expected that of the route 'GET /a', found 'PUT'"),
        ("rest", {"token": "t", "headers": {"authorization": "u"}}, "token: expected it here or in a header Authoriz"),
        ("http", {"cookies": {"a": "b"}, "headers": {"cookie": "c=d"}}, "cookies: expected it here or in a header"),
        ("websocket", {"body": "x"}, "body: a WebSocket's \\$connect has none; for a message give its route="),
        ("websocket", {"route": "send", "token": "t"}, "route: expected \\$connect, which alone carries a token"),
        ("websocket", {"route": "send", "query": {"a": "b"}}, "route: expected \\$connect"),
        ("token-authorizer", {"token": "t", "headers": {"X-A": "b"}}, "headers: a token-authorizer gets Authorization"),
        ("token-authorizer", {}, "token: expected one, or a header Authorization: without it AWS asks no 'token-"),
        ("appsync-authorizer", {}, "token: expected one"),
        (
            "http-2.0-authorizer",
            {"identity_sources": ["$request.header.X"]},
            "found '\\$request.header.X'; without one",
        ),
        ("http-2.0-authorizer", {"identity_sources": ["Authorization"]}, "expected \\$request.header.NAME"),
        ("http-1.0-authorizer", {"identity_sources": ["$context.identity"]}, "expected \\$request.header.NAME"),
    ],
)
def test_what_aws_would_not_send_is_refused(kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        lambda_event(kind, **options)


def test_the_kinds_are_a_literal_and_a_tuple_of_the_same() -> None:
    assert get_args(LambdaEventKind) == LAMBDA_EVENT_KINDS


# is_allowed


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"policyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}


def statement(effect: str, *resources: str) -> dict[str, Any]:
    return {"Sid": "x", "Action": "execute-api:*", "Effect": effect, "Resource": list(resources)}


def test_a_deny_that_matches_wins_and_nothing_is_a_deny() -> None:
    event = lambda_event("token-authorizer", "t", path="/a/b")
    assert is_allowed(policy(statement("Allow", "*/GET/a/*")), event)
    assert not is_allowed(policy(statement("Allow", "*/GET/a/*"), statement("Deny", "*/b")), event)
    assert not is_allowed(policy(statement("Allow", "*/POST/a/*")), event)
    assert not is_allowed(policy({**statement("Allow", "*"), "Action": "s3:*"}), event)
    assert not is_allowed(policy(), event)
    one = {"Action": ["s3:*", "execute-api:Invoke"], "Effect": "Allow", "Resource": "*"}
    assert is_allowed({"policyDocument": {"Version": "2012-10-17", "Statement": one}}, event)


def test_a_simple_answer_says_it_itself() -> None:
    assert is_allowed({"isAuthorized": True}, {})
    assert not is_allowed({"isAuthorized": False}, {})


@pytest.mark.parametrize(
    ("answer", "event", "message"),
    [
        (
            {"statusCode": 200},
            {"methodArn": "a"},
            r"answer: expected isAuthorized, or .* found members \['statusCode'\]",
        ),
        ({"policyDocument": {"Statement": []}}, {"methodArn": "a"}, "policyDocument of version 2012-10-17"),
        ({"policyDocument": {"Version": "2012-10-17"}}, {"methodArn": "a"}, "policyDocument of version"),
        (policy(), {"path": "/"}, "event: expected an authorizer's event"),
        (policy({**statement("Allow", "*"), "Condition": {}}), {"methodArn": "a"}, "policy: expected statements of"),
        (policy(statement("allow", "*")), {"methodArn": "a"}, "policy: expected statements of"),
    ],
)
def test_an_answer_that_no_gateway_understands_is_refused(answer: Any, event: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        is_allowed(answer, event)
