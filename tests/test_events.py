"""Where each kind of event carries its token, which values are ambiguous, and what claims look like in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cognito_verify import AccessToken, ConfigurationError, IdToken, MalformedTokenError, MissingTokenError
from cognito_verify.aws_lambda import claims_of, cookie, events, header, query
from cognito_verify.aws_lambda.events import (
    HttpKind,
    TokenSource,
    comma_joined,
    http_claims,
    http_kind,
    http_method,
    joinable,
    optional_token,
    raw_token,
    rest_claims,
    token_sources,
    with_claims,
)
from cognito_verify.errors import CognitoVerifyError
from cognito_verify.testing import FakeUserPool
from tests.lambda_events import (
    BUILDERS,
    Event,
    Values,
    alb_event,
    alb_multi_event,
    appsync_authorizer_event,
    connect_authorizer_event,
    connect_event,
    function_url_event,
    http_1_authorizer_event,
    http_2_authorizer_event,
    http_event,
    message_event,
    request_authorizer_event,
    rest_event,
    token_authorizer_event,
)

POOL = FakeUserPool()
ACCESS, ID = POOL.verifier("access"), POOL.verifier("id")
NOW = 1_795_514_514  # 2026-11-24 10:01:54 UTC, a Tuesday
AUTHORIZATION = (header("Authorization"),)

every_format = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


def access_token(**claims: Any) -> AccessToken:
    return ACCESS.verify(POOL.access_token(**claims))


# Kinds of events


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        pytest.param(rest_event(), "rest", id="rest"),
        pytest.param(http_event(), "http", id="http"),
        pytest.param(function_url_event(), "http", id="function-url"),
        pytest.param(alb_event(), "alb", id="alb"),
        pytest.param(alb_multi_event(), "alb-multi", id="alb-multi"),
        pytest.param(connect_event(), "websocket", id="websocket"),
        pytest.param(request_authorizer_event(), "rest", id="rest-authorizer"),
        pytest.param(connect_authorizer_event(), "websocket", id="websocket-authorizer"),
        pytest.param(http_1_authorizer_event(), "rest", id="http-1-authorizer"),
        pytest.param(http_2_authorizer_event(), "http", id="http-2-authorizer"),
        pytest.param({**rest_event(), "version": "2.0", "rawPath": "/", "routeKey": "x"}, "rest", id="rest-says-2.0"),
        pytest.param({**http_event(), "httpMethod": "GET", "resource": "/"}, "http", id="http-with-members-of-rest"),
    ],
)
def test_the_request_context_alone_tells_the_kinds_apart(event: Event, kind: str) -> None:
    assert http_kind(event) == kind


@pytest.mark.parametrize(
    ("event", "hint"),
    [
        pytest.param({"price": 400_000, "size": 1_600}, "Lambda proxy integration", id="mapped-body"),
        pytest.param({"httpMethod": "GET", "headers": {"Authorization": "x"}}, "proxy", id="no-request-context"),
        pytest.param({"httpMethod": "GET", "requestContext": None}, "proxy", id="null-request-context"),
        pytest.param({"requestContext": {"http": "GET"}}, "proxy", id="no-method"),
        pytest.param({"Records": [{"eventSource": "aws:sqs"}]}, "records", id="queue"),
        pytest.param(message_event(), "'MESSAGE'; a token comes with $connect alone", id="websocket-message"),
        pytest.param(message_event("DISCONNECT"), "'DISCONNECT'", id="websocket-disconnect"),
        pytest.param(token_authorizer_event("x"), "LambdaAuthorizer", id="token-authorizer"),
        pytest.param(appsync_authorizer_event("x"), "LambdaAuthorizer", id="appsync-authorizer"),
        pytest.param(["x"], "found list", id="list"),
        pytest.param(None, "found NoneType", id="none"),
        pytest.param({1: 2}, "members ['1']", id="number-as-name"),
    ],
)
def test_what_is_no_http_request_is_a_fault_of_ours(event: object, hint: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        http_kind(event)
    assert type(fault.value) is ConfigurationError
    assert hint in str(fault.value)


def test_the_method_is_the_gateways_word() -> None:
    methods = {name: http_method(build(method="PUT"), http_kind(build())) for name, build in BUILDERS.items()}
    assert set(methods.values()) == {"PUT", "GET"}
    assert methods["websocket"] == "GET"


# Sources


@every_format
@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("value", ["t.o.k", "Bearer t.o.k", "bearer t.o.k", "BEARER  t.o.k"])
def test_a_header_is_found_in_any_case_with_or_without_bearer(
    build: Callable[..., Event], name: str, value: str
) -> None:
    assert raw_token(AUTHORIZATION, build({name: value})) == "t.o.k"


@every_format
def test_a_query_parameter_is_found_under_its_exact_name(build: Callable[..., Event]) -> None:
    event = build(query={"token": "t.o.k"})
    assert raw_token([query("token")], event) == "t.o.k"
    assert optional_token([query("Token")], event) is None


@every_format
def test_a_cookie_is_found_among_others(build: Callable[..., Event]) -> None:
    event = build({"Cookie": "theme=dark; id=t.o.k;  flag", "Origin": "https://app"})
    source = cookie("id", allowed_origins=["https://app"])
    assert raw_token([source], event) == "t.o.k"
    assert optional_token([cookie("ID", allowed_origins="https://app")], event) is None
    assert optional_token([cookie("flag", allowed_origins="https://app")], event) is None


def test_sources_are_found_in_authorizers_events_too() -> None:
    for build in (request_authorizer_event, connect_authorizer_event, http_1_authorizer_event, http_2_authorizer_event):
        sources = [header("X-Token"), query("token")]
        assert raw_token(sources, build({"x-token": "a"})) == "a"
        assert raw_token(sources, build(query={"token": "b"})) == "b"


def test_load_balancers_leave_the_decoding_of_the_query_to_us() -> None:
    for build in (alb_event, alb_multi_event):
        assert "a%25" in str(build(query={"id_token": "a%"}))
        assert raw_token([query("id_token")], build(query={"id_token": "a%"})) == "a%"
    assert raw_token([query("t")], {**alb_event(), "queryStringParameters": {"%74": "a"}}) == "a"
    assert raw_token([query("t")], rest_event(query={"t": "a%2Bb"})) == "a%2Bb"  # decoded by the gateway
    assert optional_token([query("t")], rest_event(query={"%74": "a"})) is None


@every_format
def test_the_first_source_that_is_present_decides(build: Callable[..., Event]) -> None:
    sources = [header("Authorization"), header("X-Token")]
    assert raw_token(sources, build({"Authorization": "first", "X-Token": "second"})) == "first"
    assert raw_token(sources, build({"X-Token": "second"})) == "second"
    assert raw_token(sources, build({"Authorization": " ", "X-Token": "second"})) == "second"
    with pytest.raises(MissingTokenError, match="'Basic'"):
        raw_token(sources, build({"Authorization": "Basic dTpw", "X-Token": "second"}))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(rest_event({"Authorization": ["a", "b"]}), id="rest-two-headers"),
        pytest.param(rest_event({"Authorization": ["", "b"]}), id="rest-an-empty-one-first"),
        pytest.param(rest_event({"Authorization": "a", "authorization": "b"}), id="rest-two-spellings"),
        pytest.param(
            rest_event({"Authorization": "Bearer a", "AUTHORIZATION": "a"}), id="rest-with-and-without-bearer"
        ),
        pytest.param({**rest_event({"Authorization": "a"}), "headers": {"authorization": "b"}}, id="rest-disagreement"),
        pytest.param(http_event({"Authorization": ["a", "b"]}), id="http-joined"),
        pytest.param(http_event({"Authorization": ["Bearer a", "Bearer b"]}), id="http-joined-bearer"),
        pytest.param(http_event({"Authorization": ["", "Bearer b"]}), id="http-an-empty-one-first"),
        pytest.param(function_url_event({"Authorization": ["a", "b"]}), id="function-url-joined"),
        pytest.param(alb_multi_event({"Authorization": ["a", "b"]}), id="alb-multi-two-headers"),
        pytest.param(connect_event({"Authorization": ["a", "b"]}), id="websocket-two-headers"),
        pytest.param(rest_event({"Authorization": "Bearer a b"}), id="two-tokens"),
        pytest.param(rest_event({"Authorization": "Bearer a, Bearer b"}), id="two-credentials"),
    ],
)
def test_two_different_values_in_a_header_are_refused(event: Event) -> None:
    with pytest.raises(MalformedTokenError) as refusal:
        raw_token(AUTHORIZATION, event)
    assert type(refusal.value) is MalformedTokenError
    assert str(refusal.value).startswith("header 'Authorization': expected one ")
    with pytest.raises(MalformedTokenError):
        optional_token(AUTHORIZATION, event)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(rest_event(query={"t": ["a", "b"]}), id="rest"),
        pytest.param(http_event(query={"t": ["a", "b"]}), id="http"),
        pytest.param(alb_multi_event(query={"t": ["a", "b"]}), id="alb-multi"),
        pytest.param({**alb_event(), "queryStringParameters": {"t": "a", "%74": "b"}}, id="alb-two-spellings"),
        pytest.param(connect_event(query={"t": ["a", "b"]}), id="websocket"),
    ],
)
def test_two_different_values_in_the_query_are_refused(event: Event) -> None:
    with pytest.raises(MalformedTokenError):
        raw_token([query("t")], event)


@every_format
@pytest.mark.parametrize("sent", [["id=a; id=b"], ["id=a", "id=b"], ["id=; id=b"]], ids=["line", "lines", "empty"])
def test_two_different_cookies_of_one_name_are_refused(build: Callable[..., Event], sent: list[str]) -> None:
    if build is alb_event and len(sent) > 1:
        sent = ["; ".join(sent)]  # of several lines it would show the last alone
    event = build({"Cookie": sent, "Origin": "https://app"})
    with pytest.raises(MalformedTokenError):
        raw_token([cookie("id", allowed_origins="https://app")], event)


@pytest.mark.parametrize("build", [rest_event, alb_multi_event, connect_event])
def test_one_value_sent_twice_is_one(build: Callable[..., Event]) -> None:
    assert raw_token(AUTHORIZATION, build({"Authorization": ["a", "a"]})) == "a"


@every_format
@pytest.mark.parametrize(
    "headers", [None, {"Authorization": ""}, {"Authorization": " \t"}], ids=["none", "empty", "blank"]
)
def test_nothing_at_any_source_is_a_missing_token_that_names_the_places(
    build: Callable[..., Event], headers: dict[str, str] | None
) -> None:
    sources = [header("Authorization"), query("token"), cookie("id")]
    event = build(headers)
    assert optional_token(sources, event) is None
    with pytest.raises(MissingTokenError) as refusal:
        raw_token(sources, event)
    assert str(refusal.value) == (
        "token: expected one in header 'Authorization' or query 'token' or cookie 'id', found nothing"
    )


@pytest.mark.parametrize("value", ["Bearer", "bearer ", "Basic dTpw", "Digest username=x"])
def test_another_scheme_or_bearer_alone_is_present_and_no_token(value: str) -> None:
    with pytest.raises(CognitoVerifyError, match=r"^header 'X-Auth': "):
        optional_token([header("X-Auth")], rest_event({"x-auth": value}))


def test_a_refused_header_leaves_no_token_behind_in_the_error() -> None:
    with pytest.raises(MalformedTokenError) as refusal:
        raw_token(AUTHORIZATION, rest_event({"Authorization": "Bearer secret other"}))
    assert refusal.value.__context__ is None
    assert refusal.value.__cause__ is None
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({**rest_event(), "headers": None, "multiValueHeaders": None}, id="null"),
        pytest.param(
            {**rest_event(), "headers": "Authorization: a", "queryStringParameters": ["token"]}, id="no-objects"
        ),
        pytest.param({**rest_event(), "headers": {"Authorization": None}}, id="null-value"),
        pytest.param({"requestContext": {"http": {}}}, id="no-members"),
        pytest.param({**http_event(), "cookies": None}, id="null-cookies"),
        pytest.param({**http_event(), "cookies": ["", "id"]}, id="cookies-without-values"),
    ],
)
def test_members_that_are_missing_or_odd_hold_nothing(event: Event) -> None:
    assert optional_token([header("Authorization"), query("token"), cookie("id")], event) is None


@pytest.mark.parametrize("value", [5, {"a": 1}, ["a", {"b": 1}], [["a"]]])
def test_a_value_that_is_no_string_is_never_a_reason_to_crash(value: object) -> None:
    event = {**rest_event(), "headers": {"Authorization": value}}
    try:
        assert isinstance(raw_token(AUTHORIZATION, event), str)
    except CognitoVerifyError as error:
        assert type(error) is MalformedTokenError  # noqa: PT017


def test_a_value_too_deep_to_be_written_is_never_a_reason_to_crash_either() -> None:
    deep: object = "a"
    for _ in range(100_000):
        deep = [deep]
    assert raw_token(AUTHORIZATION, {**rest_event(), "headers": {"Authorization": deep}}) == "list"
    assert raw_token([query("token")], {**rest_event(), "queryStringParameters": {"token": deep}}) == "list"
    assert raw_token([cookie("id")], {**http_event(method="GET"), "cookies": [deep, "id=a"]}) == "a"
    with pytest.raises(ConfigurationError, match="a WebSocket event list;"):
        http_kind({"requestContext": {"eventType": deep}})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["Bearer a", "id=a; id=b", "OPTIONS"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
members = st.fixed_dictionaries(
    {},
    optional={
        name: json_values
        | st.dictionaries(st.sampled_from(["Authorization", "cookie", "token", "Origin"]), json_values)
        for name in ("headers", "multiValueHeaders", "queryStringParameters", "cookies", "httpMethod", "identity")
    },
)


@settings(max_examples=300, deadline=None)
@given(
    members,
    st.sampled_from([{"http": {"method": "POST"}}, {"elb": {}}, {"eventType": "CONNECT"}, {}]) | json_values,
)
def test_any_event_gives_a_string_or_one_of_our_errors(event: Event, context: object) -> None:
    event = {**event, "requestContext": context}
    before = deepcopy(event)
    try:
        assert isinstance(raw_token([header("Authorization"), query("token"), cookie("id")], event), str)
        with_claims(event, http_kind(event), None)
        claims_of(event)
    except CognitoVerifyError:
        pass
    assert event == before


# Cookies and whose page sent them


@pytest.mark.parametrize(
    ("headers", "counts"),
    [
        pytest.param({"Origin": "https://app.example.com"}, True, id="allowed-origin"),
        pytest.param({"ORIGIN": "https://app.example.com"}, True, id="other-case"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, True, id="same-origin-without-origin"),
        pytest.param({}, False, id="neither"),
        pytest.param({"Origin": "https://evil.example"}, False, id="foreign-origin"),
        pytest.param({"Origin": "https://app.example.com.evil.example"}, False, id="longer-origin"),
        pytest.param({"Origin": "http://app.example.com"}, False, id="other-scheme"),
        pytest.param({"Origin": "null"}, False, id="opaque-origin"),
        pytest.param({"Origin": ""}, False, id="empty-origin"),
        pytest.param(
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, False, id="foreign-says-same-origin"
        ),
        pytest.param({"Sec-Fetch-Site": "same-site"}, False, id="same-site"),
        pytest.param({"Sec-Fetch-Site": "none"}, False, id="typed-in"),
        pytest.param({"Referer": "https://app.example.com/"}, False, id="referer-alone"),
    ],
)
@every_format
def test_a_cookie_counts_for_our_own_pages_alone(
    build: Callable[..., Event], headers: dict[str, str], counts: bool
) -> None:
    event = build({"Cookie": "id=a", **headers})
    source = cookie("id", allowed_origins=["https://app.example.com"])
    assert optional_token([source], event) == ("a" if counts else None)
    if not counts:
        with pytest.raises(MissingTokenError, match="cookie 'id' was sent, but counts on this request only"):
            raw_token([source], event)


@pytest.mark.parametrize("build", [rest_event, http_event, alb_multi_event, connect_event])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ["https://app.example.com", "https://evil.example"]},
        {"Origin": ["https://evil.example", "https://app.example.com"]},
        {"Sec-Fetch-Site": ["same-origin", "cross-site"]},
    ],
)
def test_a_cookie_does_not_count_where_its_page_is_ambiguous(build: Callable[..., Event], headers: Values) -> None:
    event = build({"Cookie": "id=a", **headers})
    assert optional_token([cookie("id", allowed_origins="https://app.example.com")], event) is None


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "PATCH", "DELETE", "get", "QUERY"]
)
@pytest.mark.parametrize("build", [rest_event, http_event, alb_event])
def test_safe_methods_take_the_cookie_from_any_page(build: Callable[..., Event], method: str) -> None:
    event = build({"Cookie": "id=a", "Origin": "https://evil.example"}, method=method)
    safe = method in {"GET", "HEAD", "OPTIONS", "TRACE"}
    assert optional_token([cookie("id")], event) == ("a" if safe else None)


def test_a_cookie_that_does_not_count_leaves_the_next_source_to_decide() -> None:
    event = rest_event({"Cookie": "id=a", "X-Token": "b"})
    assert raw_token([cookie("id"), header("X-Token")], event) == "b"


@pytest.mark.parametrize(
    "origins",
    [
        "*",
        "null",
        ["https://app.example.com/"],
        ["https://App.example.com"],
        ["https://*.example.com"],
        ["app.example.com"],
        ["https://a,https://b"],
        [""],
        [None],
        None,
        5,
    ],
)
def test_an_origin_that_no_browser_sends_is_a_fault_of_ours(origins: Any) -> None:
    with pytest.raises(ConfigurationError, match="allowed_origins"):
        cookie("id", allowed_origins=origins)


def test_origins_with_ports_and_other_schemes_are_taken() -> None:
    source = cookie("id", allowed_origins=["http://localhost:3000", "capacitor://localhost", "http://[::1]:8080"])
    assert len(source.allowed_origins) == 3


@pytest.mark.parametrize("make", [header, query, cookie])
@pytest.mark.parametrize("name", ["", " ", "two words", "a:b\n", None, 5])
def test_a_name_that_cannot_be_sent_is_a_fault_of_ours(make: Callable[[Any], TokenSource], name: object) -> None:
    with pytest.raises(ConfigurationError):
        make(name)


def test_sources_are_values() -> None:
    assert header("Authorization") == header("Authorization")
    assert token_sources(header("a")) == (header("a"),)
    assert token_sources([header("a"), query("b")]) == (header("a"), query("b"))
    with pytest.raises(AttributeError):
        header("a").name = "b"  # type: ignore[misc]


@pytest.mark.parametrize("token_from", [None, "Authorization", [], [header("a"), "b"], 5])
def test_no_source_is_a_fault_of_ours(token_from: object) -> None:
    with pytest.raises(ConfigurationError, match="token_from"):
        token_sources(token_from)


# Claims, as AWS writes them


def test_rest_claims_are_written_as_a_cognito_authorizer_writes_them() -> None:
    raw = POOL.sign(
        POOL.header("id"),
        {
            "sub": "6d1f2f06-0000-4000-8000-000000000000",
            "aud": "test-client",
            "iss": POOL.issuer,
            "token_use": "id",
            "cognito:username": "ada",
            "cognito:groups": ["admin", "users"],
            "cognito:roles": ["arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/b"],
            "email_verified": True,
            "phone_number_verified": False,
            "auth_time": NOW,
            "iat": NOW,
            "exp": NOW + 86_400 * 3_650,
            "identities": [{"userId": "7", "issuer": None, "primary": "true"}, {"userId": "8"}],
            "custom:level": 3,
            "custom:share": 0.5,
            "address": {"formatted": "Málaga, Spain"},
            "amr": [],
            "nickname": None,
        },
    )
    assert rest_claims(ID.verify(raw)) == {
        "sub": "6d1f2f06-0000-4000-8000-000000000000",
        "aud": "test-client",
        "iss": POOL.issuer,
        "token_use": "id",
        "cognito:username": "ada",
        "cognito:groups": "admin,users",
        "cognito:roles": "arn:aws:iam::123456789012:role/a,arn:aws:iam::123456789012:role/b",
        "email_verified": "true",
        "phone_number_verified": "false",
        "auth_time": "1795514514",
        "iat": "Tue Nov 24 10:01:54 UTC 2026",
        "exp": "Fri Nov 21 10:01:54 UTC 2036",
        "identities": '{"userId":"7","issuer":null,"primary":"true"},{"userId":"8"}',
        "custom:level": "3",
        "custom:share": "0.5",
        "address": '{"formatted":"Málaga, Spain"}',
        "amr": "",
    }


def test_http_claims_are_written_as_a_jwt_authorizer_writes_them() -> None:
    token = access_token(
        groups=["admin", "users"],
        scopes=["orders/read", "openid"],
        auth_time=NOW,
        **{"custom:flag": True, "custom:none": None, "custom:tree": {"b": [1, None], "a": "x"}, "custom:list": []},
    )
    claims, scopes = http_claims(token)
    assert scopes == ["orders/read", "openid"]
    assert claims["cognito:groups"] == "[admin users]"
    assert claims["scope"] == "orders/read openid"
    assert claims["auth_time"] == "1795514514"
    assert claims["exp"] == str(token["exp"])
    assert claims["version"] == "2"
    assert claims["custom:flag"] == "true"
    assert claims["custom:tree"] == "map[a:x b:[1 <nil>]]"
    assert claims["custom:list"] == "[]"
    assert "custom:none" not in claims
    assert all(isinstance(value, str) for value in claims.values())
    assert http_claims(ID.verify(POOL.id_token()))[1] is None  # an ID token has no scopes


def test_fractions_of_a_second_are_no_trouble() -> None:
    raw = POOL.access_token(exp=NOW + 3_600 * 24 * 3_650 + 0.5, iat=NOW + 0.9)
    claims = rest_claims(ACCESS.verify(raw))
    assert (claims["iat"], claims["exp"]) == ("Tue Nov 24 10:01:54 UTC 2026", "Fri Nov 21 10:01:54 UTC 2036")


@pytest.mark.parametrize("name", ["x,admin", "x admin", "[admin", "admin]", "[admin]", "admin\n", "a\u00a0b", ""])
def test_a_group_that_a_joined_form_would_turn_into_others_is_left_out_of_both(name: str) -> None:
    assert joinable([name, "users"]) == ["users"]
    token = access_token(groups=[name, "users"])
    assert rest_claims(token)["cognito:groups"] == "users"
    assert http_claims(token)[0]["cognito:groups"] == "[users]"
    assert token.groups == (name, "users")
    alone = access_token(groups=[name])
    assert "cognito:groups" not in rest_claims(alone)
    assert "cognito:groups" not in http_claims(alone)[0]


@settings(deadline=None)
@given(st.lists(st.text(max_size=6) | st.sampled_from(["admin", "x,admin", "[a", "b]"]), max_size=4))
def test_whoever_reads_a_joined_form_finds_no_group_that_is_not_there(names: list[str]) -> None:
    kept = joinable(names)
    rest, http = comma_joined(kept), f"[{' '.join(kept)}]"
    readings = [
        rest.split(","),
        [name.strip() for name in rest.strip("[]").split(",")],
        http.strip("[]").split(),
        http[1:-1].replace(",", " ").split(),
        http.replace("[", "").replace("]", "").split(" "),
    ]
    for found in readings:
        assert {*found} - {""} == {*kept} <= {*names}


# Claims on their way to the handler

LEFT_BEHIND = {"claims": {"sub": "mallory", "cognito:groups": "admin"}, "principalId": "mallory"}


@pytest.mark.parametrize("build", [rest_event, alb_event, alb_multi_event, connect_event])
def test_claims_stand_where_a_cognito_authorizer_puts_them(build: Callable[..., Event]) -> None:
    event = build()
    if build in (rest_event, connect_event):
        event["requestContext"]["authorizer"] = {**LEFT_BEHIND}
    before = deepcopy(event)
    token = access_token(groups=["users"])
    placed = with_claims(event, http_kind(event), token)
    assert placed["requestContext"]["authorizer"].pop("claims") == rest_claims(token)
    rest = {name: value for name, value in LEFT_BEHIND.items() if name != "claims"}
    assert placed["requestContext"]["authorizer"] == (rest if build in (rest_event, connect_event) else {})
    assert event == before
    del placed["requestContext"]["authorizer"]
    before["requestContext"].pop("authorizer", None)
    assert placed == before


@pytest.mark.parametrize("build", [http_event, function_url_event])
def test_claims_stand_where_a_jwt_authorizer_puts_them(build: Callable[..., Event]) -> None:
    event = build()
    event["requestContext"]["authorizer"] = {
        "jwt": {"claims": {"sub": "mallory"}, "scopes": ["admin"], "kept": 1},
        "lambda": {"kept": 2},
    }
    before = deepcopy(event)
    token = access_token(scopes=["openid"])
    placed = with_claims(event, "http", token)
    assert placed["requestContext"]["authorizer"] == {
        "jwt": {"claims": http_claims(token)[0], "scopes": ["openid"], "kept": 1},
        "lambda": {"kept": 2},
    }
    assert event == before


@pytest.mark.parametrize(
    ("build", "authorizer", "left"),
    [
        pytest.param(rest_event, LEFT_BEHIND, {"principalId": "mallory"}, id="rest"),
        pytest.param(connect_event, LEFT_BEHIND, {"principalId": "mallory"}, id="websocket"),
        pytest.param(http_event, {"jwt": {"claims": {}, "scopes": []}, "iam": 1}, {"jwt": {}, "iam": 1}, id="http"),
        pytest.param(http_event, {"lambda": {"a": 1}}, {"lambda": {"a": 1}}, id="http-lambda"),
        pytest.param(rest_event, {"claims": None, "scopes": None}, {"scopes": None}, id="null"),
    ],
)
def test_without_a_token_no_claims_are_left(build: Callable[..., Event], authorizer: Event, left: Event) -> None:
    event = build(authorizer=authorizer)
    before = deepcopy(event)
    assert with_claims(event, http_kind(event), None)["requestContext"]["authorizer"] == left
    assert event == before


@pytest.mark.parametrize("authorizer", [None, "text", ["list"]])
@pytest.mark.parametrize("kind", ["rest", "http"])
def test_without_a_token_an_event_without_claims_stays_as_it_is(kind: HttpKind, authorizer: object) -> None:
    event = (rest_event if kind == "rest" else http_event)(authorizer=authorizer)
    assert with_claims(event, kind, None) == event


@every_format
def test_an_authorizer_that_is_no_object_makes_place(build: Callable[..., Event]) -> None:
    event = build()
    event["requestContext"]["authorizer"] = "text"
    assert claims_of(with_claims(event, http_kind(event), access_token()))["token_use"] == "access"
    if build is http_event:
        event["requestContext"]["authorizer"] = {"jwt": "text"}
        assert claims_of(with_claims(event, "http", access_token()))["token_use"] == "access"


# Claims read back

OURS = {"sub": "u1", "cognito:groups": ["x,admin", "users"], "exp": NOW}


@pytest.mark.parametrize(
    ("event", "claims"),
    [
        pytest.param(rest_event(authorizer={"claims": {"sub": "u1"}}), {"sub": "u1"}, id="cognito-authorizer"),
        pytest.param(http_event(authorizer={"jwt": {"claims": {"sub": "u1"}}}), {"sub": "u1"}, id="jwt-authorizer"),
        pytest.param(rest_event(authorizer={"claims": json.dumps(OURS), "sub": "u1"}), OURS, id="ours-rest"),
        pytest.param(connect_event(authorizer={"claims": json.dumps(OURS)}), OURS, id="ours-websocket"),
        pytest.param(http_event(authorizer={"lambda": {"claims": json.dumps(OURS)}}), OURS, id="ours-http"),
        pytest.param({"identity": {"resolverContext": {"claims": json.dumps(OURS)}}}, OURS, id="ours-appsync"),
        pytest.param({"identity": {"claims": {"sub": "u1"}, "sub": "u1"}}, {"sub": "u1"}, id="appsync-user-pool"),
        pytest.param(
            http_event(authorizer={"jwt": {"claims": {"sub": "now"}}, "lambda": {"claims": json.dumps(OURS)}}),
            {"sub": "now"},
            id="require-token-behind-ours",
        ),
        pytest.param(rest_event(), {}, id="no-authorizer"),
        pytest.param(rest_event(authorizer={"claims": None, "scopes": None}), {}, id="null-claims"),
        pytest.param(http_event(authorizer={"iam": {}}), {}, id="iam"),
        pytest.param({"identity": None}, {}, id="appsync-api-key"),
        pytest.param({}, {}, id="empty"),
        pytest.param(
            {**rest_event(), "identity": {"claims": {"sub": "mallory"}}, "claims": {"sub": "mallory"}},
            {},
            id="injected",
        ),
    ],
)
def test_claims_are_read_behind_any_authorizer(event: Event, claims: Event) -> None:
    before = deepcopy(event)
    found = claims_of(event)
    assert found == claims
    found["sub"] = "other"
    assert event == before


@pytest.mark.parametrize("claims", ["text", "[]", '"{}"', "{", 5, ["a"], "[" * 100_000])
def test_claims_of_somebody_else_are_not_guessed_at(claims: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^claims: "):
        claims_of(rest_event(authorizer={"claims": claims}))


def test_the_forms_of_a_token_s_claims_are_its_own_and_remembered_for_as_many_as_will_do() -> None:
    for number in range(600):
        token = access_token(username=f"user{number}")
        for _ in range(2):
            assert rest_claims(token)["username"] == http_claims(token)[0]["username"] == f"user{number}"
            rest_claims(token)["username"] = http_claims(token)[0]["username"] = "other"  # the caller's own copies
    assert 0 < len(events._rest_forms) <= 256
    assert 0 < len(events._http_forms) <= 256


@pytest.mark.parametrize("event", [None, [], "x", 5])
def test_claims_are_those_of_an_event(event: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^event: expected the dict"):
        claims_of(event)


@every_format
@pytest.mark.parametrize("kind", [AccessToken, IdToken])
def test_what_is_placed_is_read_back(build: Callable[..., Event], kind: type) -> None:
    token = access_token(groups=["a"]) if kind is AccessToken else ID.verify(POOL.id_token(groups=["a"]))
    event = build()
    written = "[a]" if http_kind(event) == "http" else "a"
    assert claims_of(with_claims(event, http_kind(event), token))["cognito:groups"] == written
