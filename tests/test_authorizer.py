"""LambdaAuthorizer: what each kind of event is answered with, and what a gateway's cache could make of the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import combinations, product
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cognito_verify.aws_lambda import LambdaAuthorizer, Rule, claims_of, cookie, header, query
from cognito_verify.aws_lambda.authorizer import Decision
from cognito_verify.aws_lambda.rules import METHODS, RuleTable
from cognito_verify.errors import (
    AccessDeniedError,
    CheckFailedError,
    ConfigurationError,
    KeysUnavailableError,
    TokenNotYetValidError,
)
from cognito_verify.jwks import JwksCache
from cognito_verify.requirements import all_of
from cognito_verify.testing import FakeUserPool
from cognito_verify.tokens import AccessToken
from cognito_verify.verifier import CognitoVerifier
from tests.iam import is_allowed
from tests.lambda_events import (
    API_ID,
    Event,
    appsync_authorizer_event,
    connect_authorizer_event,
    http_1_authorizer_event,
    http_2_authorizer_event,
    http_event,
    method_arn,
    request_authorizer_event,
    token_authorizer_event,
)

Answer = dict[str, Any]
NOW = 1_795_514_514
POOL = FakeUserPool(clock=lambda: NOW)
STRANGER = FakeUserPool("us-east-1_Stranger1", clock=lambda: NOW)

EVENTS: dict[str, Callable[[str], Event]] = {
    "TOKEN": token_authorizer_event,
    "REQUEST": lambda value: request_authorizer_event({"authorization": value}),
    "$connect": lambda value: connect_authorizer_event({"Authorization": value}),
    "1.0": lambda value: http_1_authorizer_event({"Authorization": value}, identity_source=value),
    "2.0": lambda value: http_2_authorizer_event({"Authorization": value}, identity_source=[value]),
    "2.0-simple": lambda value: http_2_authorizer_event(
        {"Authorization": value}, identity_source=[value, "POST /pricepermeter"]
    ),
    "AppSync": appsync_authorizer_event,
}
ALL_SOURCES = [header("Authorization"), query("token"), cookie("id", "https://app.example.com")]
MEMBERS = st.sampled_from(
    ["type", "version", "methodArn", "routeArn", "routeKey", "rawPath", "resource", "authorizationToken", "headers"]
) | st.sampled_from(
    ["cookies", "identitySource", "requestContext", "httpMethod", "queryStringParameters", "apiId", "http", "eventType"]
)
JUNK = st.recursive(
    st.sampled_from([None, True, 7, "", "x", "TOKEN", "REQUEST", "1.0", "2.0", "CONNECT", "GET", "/dev/a", "$default"])
    | st.sampled_from(["GET /a", method_arn("GET", "/reports/7"), method_arn("$default", ""), "Bearer x", "a=b; id=c"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(MEMBERS | st.just("Authorization"), inner, max_size=2),
)
RULES = [
    Rule("POST /pricepermeter"),
    Rule("GET /reports/{id}", groups="finance"),
    Rule("ANY /admin/{proxy+}", groups=all_of("admin", "staff"), scopes="admin/all"),
]
GATEWAY_401 = ("TOKEN", "REQUEST", "$connect")
HTTP = ("1.0", "2.0", "2.0-simple")
ROUTED = [kind for kind in EVENTS if kind not in ("$connect", "AppSync")]
IAM = [kind for kind in EVENTS if kind not in ("2.0-simple", "AppSync")]


def authorizer_for(kind: str, verifier: CognitoVerifier[Any] | None = None, **options: Any) -> LambdaAuthorizer:
    if kind == "2.0-simple":
        options["http_api_response"] = "simple"
    return LambdaAuthorizer(POOL.verifier("access") if verifier is None else verifier, **options)


def effect(answer: Answer, arn: str) -> str:
    return "Allow" if is_allowed(answer["policyDocument"], arn) else "Deny"


def outcome(authorizer: LambdaAuthorizer, event: Event) -> str:
    """What the client sees: Allow, Deny, Unauthorized, or the class of what was raised, a 500."""
    answer: Answer = {}
    raised: Exception | None = None
    try:
        answer = authorizer(event, None)
    except Exception as error:
        raised = error
    if raised is not None:
        assert type(raised) is not Exception or (raised.args, raised.__context__) == (("Unauthorized",), None)
        return "Unauthorized" if type(raised) is Exception else type(raised).__name__
    json.dumps(answer, allow_nan=False)
    if "isAuthorized" in answer:
        assert type(answer["isAuthorized"]) is bool
        return "Allow" if answer["isAuthorized"] else "Deny"
    assert set(answer) <= {"principalId", "policyDocument", "context", "usageIdentifierKey"}
    assert isinstance(answer["principalId"], str)
    assert answer["principalId"]
    return effect(answer, arn_of(event))


def arn_of(event: Event) -> str:
    return str(event["routeArn"] if "routeArn" in event else event["methodArn"])


def context_of(answer: Answer) -> dict[str, Any]:
    return cast("dict[str, Any]", answer["resolverContext"] if "resolverContext" in answer else answer["context"])


# Who is it?


@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer "])
@pytest.mark.parametrize("kind", EVENTS)
def test_a_good_token_is_let_through(kind: str, scheme: str) -> None:
    assert outcome(authorizer_for(kind), EVENTS[kind](scheme + POOL.access_token())) == "Allow"


BAD_TOKENS = {
    "expired": ("token_expired", lambda: POOL.access_token(expires_in=-1)),
    "another-pool's": ("invalid_issuer", STRANGER.access_token),
    "forged": ("invalid_signature", lambda: POOL.access_token()[:-8] + "AAAAAAAA"),
    "an-ID-token": ("invalid_token_use", POOL.id_token),
    "opaque": ("malformed_token", lambda: "not-a-token"),
    "another-scheme": ("missing_token", lambda: "Basic YWRhOmFkYQ=="),
    "two": ("malformed_token", lambda: f"Bearer {POOL.access_token()} {POOL.access_token()}"),
}


@pytest.mark.parametrize(("code", "bad_token"), BAD_TOKENS.values(), ids=BAD_TOKENS)
@pytest.mark.parametrize("kind", EVENTS)
def test_a_bad_token_is_a_401_where_the_gateway_makes_one_and_else_a_deny(
    kind: str, code: str, bad_token: Callable[[], str]
) -> None:
    event = EVENTS[kind](bad_token())
    assert outcome(authorizer_for(kind), event) == ("Unauthorized" if kind in GATEWAY_401 else "Deny")
    denying = authorizer_for(kind, bad_token="deny")
    assert outcome(denying, event) == "Deny"
    assert context_of(denying(event))["code"] == code
    assert outcome(denying, EVENTS[kind](POOL.access_token())) == "Allow"


@pytest.mark.parametrize("kind", ["REQUEST", "$connect", "1.0", "2.0", "2.0-simple"])
def test_no_token_at_all_is_answered_as_a_bad_one(kind: str) -> None:
    event = EVENTS[kind](POOL.access_token())
    event |= {"headers": None, "multiValueHeaders": None, "identitySource": None}
    assert outcome(authorizer_for(kind), event) == ("Unauthorized" if kind in GATEWAY_401 else "Deny")


@pytest.mark.parametrize("kind", EVENTS)
def test_a_denied_token_names_nobody_and_denies_this_request_alone(kind: str) -> None:
    answer = authorizer_for(kind, bad_token="deny")(EVENTS[kind](POOL.access_token(expires_in=-1)))
    assert set(context_of(answer)) == {"code", "message"}
    if kind in IAM:
        assert answer["principalId"] == "no-principal"
        assert [one["Effect"] for one in answer["policyDocument"]["Statement"]] == ["Deny"]
        assert "*" not in json.dumps(answer["policyDocument"])


@pytest.mark.parametrize("bad_token", ["unauthorized", "deny"])
@pytest.mark.parametrize(
    ("refused", "raised"),
    [
        pytest.param({"nbf": NOW + 60}, "TokenNotYetValidError", id="not-yet-valid"),
        pytest.param({"custom": "busy"}, "CheckFailedError", id="a-check-that-says-so"),
        pytest.param({"custom": "busy-403"}, "AccessDeniedError", id="a-403-that-says-so"),
    ],
)
@pytest.mark.parametrize("kind", EVENTS)
def test_what_may_pass_a_moment_later_is_never_said_in_a_way_that_is_cached(
    kind: str, refused: dict[str, Any], raised: str, bad_token: str
) -> None:
    def check(token: AccessToken) -> None:
        if token.get("custom") == "busy":
            raise CheckFailedError("the list of revoked sessions is being loaded", transient=True)
        if token.get("custom") == "busy-403":
            raise AccessDeniedError("the list of members is being loaded", transient=True)

    authorizer = authorizer_for(kind, POOL.verifier("access", checks=[check]), bad_token=bad_token)
    event = EVENTS[kind](POOL.access_token(**refused))
    expected = "Unauthorized" if kind in GATEWAY_401 else raised if kind in HTTP else "Deny"
    assert outcome(authorizer, event) == expected
    if kind == "AppSync":
        assert authorizer(event)["ttlOverride"] == 0
    assert outcome(authorizer, EVENTS[kind](POOL.access_token())) == "Allow"


@pytest.mark.parametrize("kind", HTTP)
def test_a_transient_refusal_is_raised_without_a_token_anywhere_in_its_chain(kind: str) -> None:
    raw = POOL.access_token(nbf=NOW + 60)
    with pytest.raises(TokenNotYetValidError) as refusal:
        authorizer_for(kind)(EVENTS[kind](raw))
    assert refusal.value.__context__ is None
    assert raw not in str(refusal.value)


@pytest.mark.parametrize("bad_token", ["unauthorized", "deny"])
@pytest.mark.parametrize("kind", EVENTS)
def test_unavailable_keys_are_an_error_everywhere(kind: str, bad_token: str) -> None:
    is_down = True

    def fetch(uri: str, seconds: float) -> bytes:
        if is_down:
            raise OSError("no route to host")
        return POOL.fetch_jwks(uri, seconds)

    cache = JwksCache(fetch=fetch, retries=0, cooldown=0, clock=lambda: NOW)
    verifier = CognitoVerifier(
        POOL.user_pool_id, client_id=POOL.client_id, token_use="access", jwks_cache=cache, clock=lambda: NOW
    )
    authorizer = authorizer_for(kind, verifier, bad_token=bad_token)
    event = EVENTS[kind](POOL.access_token())
    assert outcome(authorizer, event) == KeysUnavailableError.__name__
    is_down = False
    assert outcome(authorizer, event) == "Allow"


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize(
    ("options", "raised"),
    [
        pytest.param({"checks": [lambda token: token.username == "ada"]}, "ConfigurationError", id="check-returns"),
        pytest.param({"checks": [lambda token: token.nobody]}, "AttributeError", id="check-is-broken"),
    ],
)
def test_a_fault_of_ours_is_raised_as_itself(kind: str, options: dict[str, Any], raised: str) -> None:
    event = EVENTS[kind](POOL.access_token())
    assert outcome(authorizer_for(kind, POOL.verifier("access", **options), bad_token="deny"), event) == raised
    assert outcome(authorizer_for(kind, POOL.verifier("access", checks=[lambda _: None])), event) == "Allow"


@pytest.mark.parametrize("kind", EVENTS)
def test_a_good_token_that_the_verifier_itself_does_not_let_in_is_a_deny(kind: str) -> None:
    authorizer = authorizer_for(kind, POOL.verifier("access", groups="staff"))
    event = EVENTS[kind](POOL.access_token())
    assert outcome(authorizer, event) == "Deny"
    assert context_of(authorizer(event))["code"] == "missing_group"
    assert outcome(authorizer, EVENTS[kind](POOL.access_token(groups=["staff"]))) == "Allow"


# Where is the token?


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param({"headers": {"X-Token": "good"}}, "Allow", id="first"),
        pytest.param({"query": {"token": "good"}}, "Allow", id="second"),
        pytest.param({"headers": {"X-Token": "bad"}, "query": {"token": "good"}}, "Unauthorized", id="first-decides"),
        pytest.param({"headers": {"Authorization": "good"}}, "Unauthorized", id="another"),
        pytest.param({"headers": {"Cookie": "id=good"}}, "Allow", id="cookie-on-GET"),
    ],
)
def test_a_request_s_token_is_read_from_the_sources_in_their_order(sent: dict[str, Any], expected: str) -> None:
    good = POOL.access_token()
    sent = {where: {name: value.replace("good", good) for name, value in sent[where].items()} for where in sent}
    authorizer = LambdaAuthorizer(
        POOL.verifier("access"), token_from=[header("X-Token"), query("token"), cookie("id", "https://app.example.com")]
    )
    assert outcome(authorizer, request_authorizer_event(**sent, method="GET")) == expected


def test_a_cookie_that_another_site_made_the_browser_send_does_not_count() -> None:
    authorizer = LambdaAuthorizer(POOL.verifier("access"), token_from=cookie("id", "https://app.example.com"))
    sent = {"Cookie": f"id={POOL.access_token()}", "Origin": "https://evil.example"}
    assert outcome(authorizer, request_authorizer_event(sent)) == "Unauthorized"
    assert outcome(authorizer, request_authorizer_event(sent | {"Origin": "https://app.example.com"})) == "Allow"


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(None, id="None"),
        pytest.param([], id="list"),
        pytest.param({}, id="empty"),
        pytest.param(http_event({"Authorization": "x"}), id="a-handler's"),
        pytest.param({"type": "TOKEN", "authorizationToken": "x"}, id="no-ARN"),
        pytest.param({"type": "REQUEST", "headers": {}}, id="no-ARN-either"),
        pytest.param({"authorizationToken": "x", "requestContext": {}}, id="no-API"),
        pytest.param({"authorizationToken": "x", "requestContext": None}, id="no-context"),
    ],
)
def test_an_event_that_is_no_authorizer_s_is_a_fault_of_the_deployment(event: Any) -> None:
    with pytest.raises(ConfigurationError, match="event: expected that of an authorizer"):
        LambdaAuthorizer(POOL.verifier("access"))(event)


@given(st.sampled_from([*EVENTS]), st.dictionaries(MEMBERS, JUNK), st.dictionaries(MEMBERS, JUNK), st.booleans())
def test_whatever_comes_without_a_good_token_nobody_is_let_through_and_only_our_errors_come_out(
    kind: str, junk: Event, inner: Event, denies: bool
) -> None:
    event = EVENTS[kind]("Bearer bad")
    event = {**event, "requestContext": {**event.get("requestContext", {}), **inner}, **junk}
    authorizer = authorizer_for(kind, token_from=ALL_SOURCES, bad_token="deny" if denies else "unauthorized")
    assert outcome(authorizer, event) in ("Deny", "Unauthorized", "ConfigurationError")


@pytest.mark.parametrize("raw", [None, 7, ["x"], {}])
def test_a_token_that_is_no_string_is_a_bad_token(raw: object) -> None:
    event = token_authorizer_event(POOL.access_token())
    assert outcome(LambdaAuthorizer(POOL.verifier("access")), event) == "Allow"
    event["authorizationToken"] = raw
    assert outcome(LambdaAuthorizer(POOL.verifier("access")), event) == "Unauthorized"


# May it?


@pytest.mark.parametrize("policy_scope", ["api", "request"])
@pytest.mark.parametrize(
    ("method", "path", "minted", "expected"),
    [
        pytest.param("POST", "/pricepermeter", {}, None, id="open-to-every-token"),
        pytest.param("GET", "/reports/7", {"groups": ["finance"]}, None, id="right-group"),
        pytest.param("GET", "/reports/7", {"groups": ["sales"]}, "missing_group", id="wrong-group"),
        pytest.param("GET", "/reports/7", {}, "missing_group", id="no-group"),
        pytest.param("GET", "/reports", {"groups": ["finance"]}, "access_denied", id="no-rule"),
        pytest.param("DELETE", "/reports/7", {"groups": ["finance"]}, "access_denied", id="no-rule-for-the-method"),
        pytest.param(
            "PUT", "/admin/a/b", {"groups": ["admin", "staff"], "scopes": ["admin/all"]}, None, id="group-and-scope"
        ),
        pytest.param("PUT", "/admin/a/b", {"groups": ["admin", "staff"]}, "insufficient_scope", id="no-scope"),
        pytest.param(
            "PUT", "/admin/a/b", {"groups": ["admin"], "scopes": ["admin/all"]}, "missing_group", id="one-of-two"
        ),
        pytest.param("PUT", "/admin/a/b", {}, "insufficient_scope", id="neither"),
    ],
)
@pytest.mark.parametrize("kind", ROUTED)
def test_the_rule_decides_and_the_context_says_why(
    kind: str, method: str, path: str, minted: dict[str, Any], expected: str | None, policy_scope: str
) -> None:
    raw = POOL.access_token(**minted)
    options: dict[str, Any] = {"method": method, "path": path}
    if kind == "TOKEN":
        event = token_authorizer_event(raw, **options)
    elif kind == "REQUEST":
        event = request_authorizer_event({"Authorization": raw}, **options)
    elif kind == "1.0":
        event = http_1_authorizer_event({"Authorization": raw}, identity_source=raw, **options)
    else:
        sources = [raw, f"{method} {path}"]
        event = http_2_authorizer_event({"Authorization": raw}, identity_source=sources, **options)
    authorizer = authorizer_for(kind, rules=RULES, policy_scope=policy_scope)
    assert outcome(authorizer, event) == ("Deny" if expected else "Allow")
    assert context_of(authorizer(event)).get("code") == expected
    assert bool(context_of(authorizer(event)).get("message")) == bool(expected)


@pytest.mark.parametrize("kind", EVENTS)
def test_without_rules_every_verified_token_may_call_everything(kind: str) -> None:
    authorizer = authorizer_for(kind)
    answer = authorizer(EVENTS[kind](POOL.access_token()))
    if kind in IAM:
        (statement,) = answer["policyDocument"]["Statement"]
        (resource,) = statement["Resource"]
        assert resource.endswith("/*")
        assert (effect(answer, resource[:-1] + "GET/any/path"), effect(answer, "x" + resource)) == ("Allow", "Deny")


@pytest.mark.parametrize("kind", ["$connect", "AppSync"])
def test_an_event_without_a_route_is_denied_by_an_authorizer_with_rules(kind: str) -> None:
    event = EVENTS[kind](POOL.access_token())
    assert outcome(authorizer_for(kind, rules=[Rule("ANY /{proxy+}"), Rule("ANY /")]), event) == "Deny"
    assert outcome(authorizer_for(kind), event) == "Allow"


@pytest.mark.parametrize("kind", [kind for kind in IAM if kind != "$connect"])
def test_a_refused_request_is_answered_with_the_token_s_usual_policy(kind: str) -> None:
    authorizer = authorizer_for(kind, rules=RULES)
    event = EVENTS[kind](POOL.access_token())
    allowed = authorizer(event)
    arn = arn_of(event)
    refused_arn = arn.replace("POST/pricepermeter", "GET/reports/7")
    refused = authorizer({**event, "routeArn" if "routeArn" in event else "methodArn": refused_arn})
    assert refused["policyDocument"] == allowed["policyDocument"]
    assert (effect(refused, arn), effect(refused, refused_arn)) == ("Allow", "Deny")
    assert refused["principalId"] == allowed["principalId"]
    added = {name: value for name, value in refused["context"].items() if name not in allowed["context"]}
    assert added["code"] == "missing_group"
    assert added.keys() == {"code", "message"}


def test_the_policy_of_a_request_covers_this_request_alone() -> None:
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=RULES, policy_scope="request")
    answer = authorizer(token_authorizer_event(POOL.access_token(groups=["finance"])))
    assert effect(answer, method_arn("POST", "/pricepermeter")) == "Allow"
    assert effect(answer, method_arn("GET", "/reports/7")) == "Deny"
    without_rules = LambdaAuthorizer(POOL.verifier("access"), policy_scope="request")
    assert without_rules(token_authorizer_event(POOL.access_token()))["policyDocument"] == answer["policyDocument"]


def test_a_path_that_leaks_is_denied_when_it_is_asked_for() -> None:
    """`GET /{x}/b` is `GET/?*/b` to IAM, which also says `/1/2/b`; a Deny of that would strike `/a/{y}/b`."""
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=[Rule("GET /{x}/b"), Rule("GET /a/{y}/b")])
    raw = POOL.access_token()
    leak, covered = method_arn("GET", "/1/2/b"), method_arn("GET", "/a/2/b")
    (named,) = authorizer.decisions(POOL.verifier("access").verify(raw))[2:]
    assert (named.route, named.allowed) == ("GET /1/2/b", True)
    assert effect(authorizer(token_authorizer_event(raw, method="GET", path="/a/2/b")), leak) == "Allow"
    refused = authorizer(token_authorizer_event(raw, method="GET", path="/1/2/b"))
    assert (effect(refused, leak), effect(refused, covered)) == ("Deny", "Allow")


@pytest.mark.parametrize("path", ["/1/*/b", "/1/?/b", "/1/${x}/b", "/*/b"])
@pytest.mark.parametrize("policy_scope", ["api", "request"])
def test_wildcards_in_a_request_stand_for_themselves(path: str, policy_scope: Any) -> None:
    authorizer = LambdaAuthorizer(
        POOL.verifier("access"), rules=[Rule("GET /{x}/b"), Rule("GET /a/{y}/b")], policy_scope=policy_scope
    )
    answer = authorizer(token_authorizer_event(POOL.access_token(), method="GET", path=path))
    assert effect(answer, method_arn("GET", "/a/2/b")) == ("Allow" if policy_scope == "api" else "Deny")
    assert effect(answer, method_arn("GET", "/1/2/3")) == "Deny"


def test_a_message_fits_into_the_json_of_a_gateway_response() -> None:
    verifier = POOL.verifier("access", claims={"custom": "a"})
    event = token_authorizer_event(POOL.access_token(custom='"}, "admin": "\\\n\u00e9'))
    message = LambdaAuthorizer(verifier, bad_token="deny")(event)["context"]["message"]
    assert json.loads(f'{{"message": "{message}"}}') == {"message": message}
    assert message.isascii()
    assert message.startswith("custom: expected 'a', found ''}, 'admin': '??")


# The ARN and the path


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/dev/GET/a/7", "Allow", id="usual"),
        pytest.param("arn:aws-cn:execute-api:cn-north-1:123456789012:abc/dev/GET/a/7", "Allow", id="China"),
        pytest.param("arn:aws-us-gov:execute-api:us-gov-west-1:123456789012:abc/dev/GET/a/7", "Allow", id="GovCloud"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/null/GET/a/7", "Allow", id="console's-null"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/test-invoke-stage/GET/a/7", "Allow", id="test"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/$default/GET/a/7", "Allow", id="$default"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/dev/GET/", "Allow", id="root"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/dev/GET/a/urn:x:7", "Allow", id="colons"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/dev/GET/a/GET", "Allow", id="a-method-again"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/dev/GET/b:/a/7", "Deny", id="colon-and-slash"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/dev/GET//a/7", "Deny", id="empty-segment"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/dev/GET/a/7\n/b", "Deny", id="line-break"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/dev/POST/a/7", "Deny", id="another-method"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/dev/get/a/7", "Deny", id="no-method"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/dev/GET", "Deny", id="no-path"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/dev", "ConfigurationError", id="no-method"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc", "ConfigurationError", id="no-stage"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/*/GET/a/7", "ConfigurationError", id="*-as-stage"),
        pytest.param("arn:aws:execute-api:eu-west-1:*:abc/dev/GET/a/7", "ConfigurationError", id="*-as-account"),
        pytest.param(
            "arn:aws:execute-api:eu-west-1:123456789012:abc/dev/*/a/7", "ConfigurationError", id="*-as-method"
        ),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:abc/dev/GET,/a/7", "Deny", id="more-than-a-method"),
        pytest.param("arn:aws:lambda:eu-west-1:123456789012:abc/dev/GET/a/7", "ConfigurationError", id="a-function's"),
        pytest.param("arn:aws:execute-api:eu-west-1:abc/dev/GET/a/7", "ConfigurationError", id="no-account"),
        pytest.param("arn:aws:execute-api:eu-west-1:123456789012:*/dev/GET/a/7", "ConfigurationError", id="wildcard"),
        pytest.param("*", "ConfigurationError", id="no-ARN"),
        pytest.param("", "ConfigurationError", id="empty"),
        pytest.param(None, "ConfigurationError", id="None"),
    ],
)
def test_an_arn_is_taken_apart_from_the_left(arn: str | None, expected: str) -> None:
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=[Rule("GET /a/{id}"), Rule("GET /")])
    event = {**token_authorizer_event(POOL.access_token()), "methodArn": arn}
    assert outcome(authorizer, event) == expected


@pytest.mark.parametrize(
    ("stage", "raw_path", "expected"),
    [
        pytest.param("$default", "/a/7", "Allow", id="$default"),
        pytest.param("$default", "/$default/a/7", "Deny", id="$default-is-no-part-of-a-path"),
        pytest.param("dev", "/dev/a/7", "Allow", id="stage"),
        pytest.param("dev", "/dev", "Allow", id="stage-alone-is-the-root"),
        pytest.param("dev", "/dev/", "Allow", id="root"),
        pytest.param("dev", "/a/7", "Allow", id="own-domain"),
        pytest.param("dev", "/develop/a/7", "Deny", id="longer-than-the-stage"),
        pytest.param("dev", "/develop", "Allow", id="own-domain-and-longer-than-the-stage"),
        pytest.param("dev", "/dev/dev/a/7", "Deny", id="stage-twice"),
        pytest.param("dev", "/dev/b", "Deny", id="another-path"),
        pytest.param("dev", None, "Deny", id="no-path-at-all"),
    ],
)
@pytest.mark.parametrize("route_key", ["$default", "ANY /a/{id}"])
def test_a_route_arn_that_names_no_path_leaves_it_to_the_raw_path(
    stage: str, raw_path: str | None, expected: str, route_key: str
) -> None:
    rules = [Rule("GET /a/{id}"), Rule("GET /"), Rule("GET /develop")]
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=rules)
    event = http_2_authorizer_event({"Authorization": POOL.access_token()}, method="GET", route_key=route_key)
    event |= {"routeArn": method_arn(route_key.replace(" ", ""), "", stage=stage), "rawPath": raw_path}
    is_on_its_route = route_key == "$default" or str(raw_path).endswith("/a/7")
    assert outcome(authorizer, event) == (expected if is_on_its_route else "Deny")
    event["requestContext"]["http"]["method"] = "POST"
    assert outcome(authorizer, event) == "Deny"


def test_format_1_0_without_a_path_in_the_arn_is_denied_by_rules() -> None:
    event = http_1_authorizer_event({"Authorization": POOL.access_token()}, method="GET", path="/a/7")
    rules = [Rule("ANY /{proxy+}"), Rule("ANY /")]
    assert outcome(LambdaAuthorizer(POOL.verifier("access"), rules=rules), event) == "Allow"
    for pathless in (
        {"methodArn": method_arn("$default", "")},
        {"resource": "/{x+}", "methodArn": method_arn("GET", "/{x+}")},
    ):
        assert outcome(LambdaAuthorizer(POOL.verifier("access"), rules=rules), {**event, **pathless}) == "Deny"
        assert outcome(LambdaAuthorizer(POOL.verifier("access")), {**event, **pathless}) == "Allow"


# What a cache would make of it


def test_a_token_that_is_in_no_identity_source_is_a_fault_of_the_deployment() -> None:
    """Cached under the identity source, the answer would serve whoever sends the same header and no token at all."""
    authorizer = LambdaAuthorizer(POOL.verifier("access"), token_from=[query("token"), header("Authorization")])
    raw, another = POOL.access_token("ada"), POOL.access_token("bob")
    for identity_source in (["acme"], [another], ["acme", another], [raw[:-1]]):
        event = http_2_authorizer_event(query={"token": raw}, identity_source=identity_source)
        with pytest.raises(ConfigurationError, match="make query 'token' or header 'Authorization' an identity source"):
            authorizer(event)
    for served in (["acme", raw], [raw], [f"Bearer {raw}"], [], None):
        assert outcome(authorizer, http_2_authorizer_event(query={"token": raw}, identity_source=served)) == "Allow"


@pytest.mark.parametrize(
    ("identity_source", "expected"),
    [("acme,{}", "Allow"), ("{}", "Allow"), ("acme", "ConfigurationError"), ("", "Allow"), (None, "Allow")],
)
def test_format_1_0_has_the_identity_source_in_one_string(identity_source: str | None, expected: str) -> None:
    raw = POOL.access_token()
    identity = identity_source and identity_source.format(raw)
    event = http_1_authorizer_event({"Authorization": raw}, identity_source=identity)
    assert outcome(LambdaAuthorizer(POOL.verifier("access")), event) == expected


@pytest.mark.parametrize("where", ["in-a-header", "in-the-query", "in-a-cookie", "in-the-path"])
def test_a_client_cannot_send_the_route_key_that_makes_a_simple_answer_safe(where: str) -> None:
    """With `X-Tenant` as the second identity source, a client could have its answer for one route cached for all."""
    raw, key = POOL.access_token(), "POST /pricepermeter"
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=RULES, http_api_response="simple")
    event = http_2_authorizer_event({"Authorization": raw, "X-Tenant": "acme"}, identity_source=[raw, key])
    assert outcome(authorizer, event) == "Allow"
    forged = {
        "in-a-header": http_2_authorizer_event({"Authorization": raw, "X-Tenant": key}, identity_source=[raw, key]),
        "in-the-query": http_2_authorizer_event({"Authorization": raw}, query={"t": key}, identity_source=[raw, key]),
        "in-a-cookie": http_2_authorizer_event({"Authorization": raw, "Cookie": key}, identity_source=[raw, key]),
        "in-the-path": event | {"pathParameters": {"tenant": key}},
    }
    assert outcome(authorizer, forged[where]) == "ConfigurationError"


SIMPLE = [
    pytest.param("GET /a/{id}", ["GET /a/{id}"], True, id="the-rule-itself"),
    pytest.param("GET /a/{x}", ["GET /a/{id} g", "ANY /{proxy+}"], True, id="decided-by-one-of-two"),
    pytest.param("GET /a/{x}", ["GET /a/{id}", "GET /a/new g"], False, id="a-stricter-rule-below"),
    pytest.param("GET /a/{x}", ["GET /a/{id} g", "GET /a/new g"], True, id="an-equal-rule-below"),
    pytest.param("GET /a/{x}", ["GET /a/{id} g", "GET /a/new g+h"], False, id="an-unequal-rule-below"),
    pytest.param("GET /a/{x}", ["GET /a/{id} g", "GET /a/new g :s"], False, id="a-scope-besides-below"),
    pytest.param("GET /a/{x}", ["GET /a/{id}", "GET /a/new :s"], False, id="a-scope-below"),
    pytest.param("GET /a/{x}", ["GET /a/{id}", "POST /a/new g"], True, id="a-stricter-rule-for-another-method"),
    pytest.param("GET /a/{x}", ["GET /a/{id}", "ANY /a/new g"], False, id="a-stricter-rule-for-any-method"),
    pytest.param("GET /a/new", ["GET /a/{id}", "GET /a/new g"], True, id="a-literal"),
    pytest.param("ANY /a/new", ["GET /a/new"], False, id="other-methods-uncovered"),
    pytest.param("ANY /a/new", [f"{method} /a/new" for method in METHODS], True, id="every-method"),
    pytest.param("ANY /a/{p+}", ["ANY /a/{proxy+}"], True, id="greedy"),
    pytest.param("ANY /a/{p+}", ["ANY /a/{proxy+}", "GET /a/b/c/d g"], False, id="a-stricter-rule-deep-below"),
    pytest.param("ANY /a/{p+}", ["ANY /a/{proxy+}", "GET /{x}/b g"], True, id="decided-before"),
    pytest.param("ANY /{p+}", ["ANY /a/{proxy+}"], False, id="covered-in-part"),
    pytest.param("ANY /{p+}", ["ANY /{id}", "ANY /{id}/{id}"], False, id="covered-to-a-depth"),
    pytest.param("ANY /{p+}", ["ANY /{proxy+}", "ANY / g"], True, id="the-root-is-another-route"),
    pytest.param("ANY /", ["ANY /{id} g", "ANY /"], True, id="the-root"),
    pytest.param("$default", ["ANY /{proxy+} g", "ANY / g"], True, id="default"),
    pytest.param("$default", ["ANY /{proxy+} g"], False, id="default-without-the-root"),
    pytest.param("$default", ["ANY /{proxy+} g", "GET / g"], False, id="default-without-a-method"),
    pytest.param("$default", ["ANY /{proxy+} g", "ANY / g", "GET /open"], False, id="default-not-alike"),
    pytest.param("GET /a//b", ["ANY /{proxy+}"], False, id="a-route-that-no-rule-can-name"),
    pytest.param("GET /z/{x}", ["GET /a"], True, id="a-route-that-no-rule-covers"),
]


def table(routes: list[str]) -> list[Rule]:
    """Rules with groups behind the path, or with a scope that begins with a colon."""
    rules = []
    for route in routes:
        method, path, *needs = route.split(" ")
        scopes = [need[1:] for need in needs if need.startswith(":")]
        groups = [one for need in needs if not need.startswith(":") for one in need.split("+")]
        rules.append(Rule(f"{method} {path}", groups=all_of(groups) if groups else None, scopes=scopes or None))
    return rules


@pytest.mark.parametrize(("route_key", "routes", "is_safe"), SIMPLE)
@pytest.mark.parametrize("groups", [(), ("g", "h")])
def test_a_simple_answer_is_given_only_where_all_below_the_route_is_decided_alike(
    route_key: str, routes: list[str], is_safe: bool, groups: tuple[str, ...]
) -> None:
    raw = POOL.access_token(groups=groups or None)
    rules = table(routes)
    options: dict[str, Any] = {"rules": rules, "policy_scope": "request", "http_api_response": "simple"}
    authorizer = LambdaAuthorizer(POOL.verifier("access"), **options)
    method, path = "GET", route_key.partition(" ")[2].replace("{x}", "new").replace("{p+}", "b") or "/"
    event = http_2_authorizer_event({"Authorization": raw}, method=method, path=path, route_key=route_key)
    event["identitySource"] = [raw, route_key]
    decided = RuleTable(rules).deciding(method, path)
    is_met = decided is not None and decided.scopes is None and (bool(groups) or decided.groups is None)
    expected = "Allow" if is_met else "Deny"
    assert outcome(authorizer, event) == (expected if is_safe else "ConfigurationError")

    event["identitySource"] = [raw]
    assert outcome(authorizer, event) == "ConfigurationError"
    event["identitySource"] = None
    assert outcome(authorizer, event) == "ConfigurationError"
    uncached = LambdaAuthorizer(POOL.verifier("access"), **options, simple_uncached=True)
    assert outcome(uncached, event) == expected
    without_rules = LambdaAuthorizer(POOL.verifier("access"), http_api_response="simple")
    assert outcome(without_rules, event) == "Allow"


def test_no_simple_answer_opens_another_path_below_its_route() -> None:
    """Every table of two rules out of these, every route: what is answered for one path holds for all of the route."""
    routes = ["ANY /{p+}", "ANY /a/{p+} g", "GET /{x} g", "GET /a", "POST /a g", "GET /a/{x}", "GET /{x}/b g", "ANY /"]
    keys = ["$default", "ANY /{p+}", "GET /{x}", "GET /a/{x}", "POST /a", "ANY /a/{p+}", "GET /a/b"]
    paths = ["/", *("/" + "/".join(one) for length in (1, 2, 3, 4) for one in product("abz", repeat=length))]
    raw = POOL.access_token()
    token = POOL.verifier("access").verify(raw)
    answered = 0
    for chosen, key in product(combinations(routes, 2), keys):
        rules = table(list(chosen))
        authorizer = LambdaAuthorizer(
            POOL.verifier("access"), rules=rules, policy_scope="request", http_api_response="simple"
        )
        verb, _, pattern = key.partition(" ")
        form = "/.*" if key == "$default" else re.sub(r"\{\w\}", "[^/]+", re.sub(r"\{\w\+\}", ".+", pattern))
        below = [
            (method, path)
            for method in (METHODS if verb in ("ANY", "$default") else [verb])
            for path in paths
            if re.fullmatch(form, path)
        ]
        decided = {RuleTable(rules).deciding(*one) for one in below}
        verdicts = {rule is not None and rule.is_met_by(token) for rule in decided}
        method, path = below[0]
        event = http_2_authorizer_event({"Authorization": raw}, method=method, path=path, route_key=key)
        event["identitySource"] = [raw, key]
        said = outcome(authorizer, event)
        alike = len({"no rule" if rule is None else rule.groups for rule in decided}) == 1
        assert (said != "ConfigurationError") == alike, (chosen, key)
        if alike:
            assert [said] == ["Allow" if verdict else "Deny" for verdict in verdicts]
            answered += 1
    assert answered > 20


def test_an_iam_answer_for_an_arn_without_a_path_is_as_careful_as_a_simple_one() -> None:
    raw = POOL.access_token(groups=["g"])
    event = http_2_authorizer_event({"Authorization": raw}, method="GET", path="/a", route_key="$default")
    event |= {"routeArn": method_arn("$default", "", stage="$default"), "identitySource": [raw]}
    alike = [Rule("ANY /{proxy+}", groups="g"), Rule("ANY /", groups="g")]
    assert outcome(LambdaAuthorizer(POOL.verifier("access"), rules=alike), event) == "Allow"
    assert outcome(LambdaAuthorizer(POOL.verifier("access"), rules=alike, policy_scope="request"), event) == "Allow"
    unlike = [*alike, Rule("GET /admin", groups="h")]
    assert outcome(LambdaAuthorizer(POOL.verifier("access"), rules=unlike), event) == "ConfigurationError"
    assert outcome(LambdaAuthorizer(POOL.verifier("access"), rules=unlike, simple_uncached=True), event) == "Allow"
    event["identitySource"] = None  # without one, nothing can be cached
    assert outcome(LambdaAuthorizer(POOL.verifier("access"), rules=unlike), event) == "Allow"
    assert outcome(LambdaAuthorizer(POOL.verifier("access"), rules=unlike), {**event, "rawPath": "/admin"}) == "Deny"


@pytest.mark.parametrize("path", ["/reports/7/", "/reports/..", "/reports/a%2Fb"])
@pytest.mark.parametrize("answers", ["simple", "iam-without-a-path"])
def test_a_refusal_of_a_path_that_no_rule_decides_is_not_cached_for_those_that_rules_decide(
    answers: str, path: str
) -> None:
    """A gateway routes them to `/reports/{id}` or `$default`, under which a cached refusal would lock its owner out."""
    raw = POOL.access_token(groups=["finance"])
    options: dict[str, Any] = {"rules": [Rule("ANY /reports/{id}"), Rule("ANY /"), Rule("ANY /{proxy+}")]}
    event = http_2_authorizer_event({"Authorization": raw}, method="GET", path=path, route_key="GET /reports/{id}")
    if answers == "simple":
        options["http_api_response"] = "simple"
        event["identitySource"] = [raw, "GET /reports/{id}"]
    else:
        event |= {"identitySource": [raw], "routeArn": method_arn("$default", "", stage="$default")}
        event["routeKey"] = "$default"
    authorizer = LambdaAuthorizer(POOL.verifier("access"), **options)
    with pytest.raises(AccessDeniedError, match="no rule covers it") as refusal:
        authorizer(event)
    assert type(refusal.value) is AccessDeniedError
    assert raw not in str(refusal.value)
    assert outcome(LambdaAuthorizer(POOL.verifier("access"), **options, simple_uncached=True), event) == "Deny"
    decided = {**event, "rawPath": "/reports/7"}
    if answers == "simple":
        decided["routeArn"] = method_arn("GET", "/reports/7", stage="$default")
    assert outcome(authorizer, decided) == "Allow"


def test_a_refusal_on_a_route_that_no_rule_decides_may_be_cached() -> None:
    raw = POOL.access_token()
    event = http_2_authorizer_event({"Authorization": raw}, method="GET", path="/z/1/", route_key="GET /z/{id}")
    event["identitySource"] = [raw, "GET /z/{id}"]
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=RULES, http_api_response="simple")
    assert outcome(authorizer, event) == "Deny"


DECODED = [
    pytest.param("GET /{tenant}", "/acme/1", id="a-decoded-slash-makes-two-segments-of-one"),
    pytest.param("GET /{tenant}/{id}", "/acme", id="a-decoded-question-mark-cuts-the-rest-off"),
    pytest.param("ANY /{tenant}", "/acme/1", id="a-route-for-any-method"),
]


@pytest.mark.parametrize(("route_key", "path"), DECODED)
@pytest.mark.parametrize("kind", ["1.0", "2.0", "2.0-simple"])
@pytest.mark.parametrize("is_cached", [True, False])
def test_a_path_that_is_none_of_the_route_that_the_gateway_chose_is_denied(
    kind: str, route_key: str, path: str, is_cached: bool
) -> None:
    """HTTP APIs report the path decoded: `GET /acme%2F1` would be decided by the rule for `GET /{tenant}/{id}`."""
    raw = POOL.access_token()
    identity = [raw, route_key]
    rules = [Rule("GET /{tenant}/{id}"), Rule("GET /{tenant}")]
    options: dict[str, Any] = {"rules": rules, "simple_uncached": not is_cached}
    if kind == "1.0":
        event = http_1_authorizer_event({"Authorization": raw}, method="GET", path=path, identity_source=raw)
        event["resource"] = route_key.partition(" ")[2]
    else:
        event = http_2_authorizer_event({"Authorization": raw}, method="GET", path=path, route_key=route_key)
        event["identitySource"] = identity
    authorizer = authorizer_for(kind, **options)
    alike_only = route_key.startswith("ANY") and kind == "2.0-simple" and is_cached
    refused = "ConfigurationError" if alike_only else "AccessDeniedError" if is_cached else "Deny"
    assert outcome(authorizer, event) == refused
    own = f"GET {path}"  # the route that it is on
    event |= {"resource": path} if kind == "1.0" else {"routeKey": own}
    if kind == "2.0-simple":
        event["identitySource"] = [raw, own]
    assert outcome(authorizer, event) == "Allow"
    if kind == "2.0":
        event["routeKey"] = "POST /other"  # of another method: no gateway's making, and the ARN alone decides
        assert outcome(authorizer, event) == "Allow"


def test_a_trailing_slash_is_no_other_route() -> None:
    raw = POOL.access_token()
    event = http_2_authorizer_event({"Authorization": raw}, method="GET", path="/a/", route_key="GET /a")
    event["identitySource"] = [raw]
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=[Rule("GET /a"), Rule("GET /b")])
    assert outcome(authorizer, event) == "Deny"


@pytest.mark.parametrize(
    ("host", "groups", "expected"),
    [
        pytest.param(f"{API_ID}.execute-api.eu-west-1.amazonaws.com", None, "Allow", id="the-api-s-own-domain"),
        pytest.param(None, None, "Allow", id="no-domain-in-the-event"),
        pytest.param("api.example.com", None, "Deny", id="a-custom-domain-in-its-second-reading"),
        pytest.param("api.example.com", ["staff"], "Allow", id="a-token-that-meets-both"),
        pytest.param(f"{API_ID}x.example.com", None, "Deny", id="a-custom-domain-that-looks-alike"),
    ],
)
def test_on_a_custom_domain_the_stage_s_name_may_be_a_segment_of_its_own(
    host: str | None, groups: list[str] | None, expected: str
) -> None:
    raw = POOL.access_token(groups=groups)
    event = http_2_authorizer_event({"Authorization": raw}, method="GET", path="/dev/x", route_key="$default")
    event["routeArn"] = method_arn("$default", "", stage="dev")
    event["requestContext"]["domainName"] = host
    rules = [Rule("GET /{id}"), Rule("GET /dev/{id}", groups="staff")]
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=rules, policy_scope="request")
    assert outcome(authorizer, event) == expected
    alone = LambdaAuthorizer(POOL.verifier("access"), rules=rules[:1])
    assert outcome(alone, event) == "Allow"  # no rule decides the second reading


OWN_PAGE, FOREIGN_PAGE = "https://app.example.com", "https://evil.example"


@pytest.mark.parametrize("kind", HTTP)
@pytest.mark.parametrize(
    ("method", "origin", "also_identity", "expected"),
    [
        pytest.param("POST", OWN_PAGE, [], "ConfigurationError", id="kept-for-all-pages"),
        pytest.param("POST", OWN_PAGE, [OWN_PAGE], "Allow", id="kept-for-one-page"),
        pytest.param("GET", None, [], "ConfigurationError", id="safe-but-kept-for-all-methods"),
        pytest.param("POST", FOREIGN_PAGE, [], "ConfigurationError", id="a-no-kept-for-all-pages"),
        pytest.param("POST", FOREIGN_PAGE, [FOREIGN_PAGE], "Deny", id="a-no-kept-for-one-page"),
    ],
)
def test_an_answer_to_a_cookie_is_not_given_where_it_would_be_cached_for_other_sites(
    kind: str, method: str, origin: str | None, also_identity: list[str], expected: str
) -> None:
    sent = {"Cookie": f"id={POOL.access_token()}"} | ({} if origin is None else {"Origin": origin})
    identity = [sent["Cookie"], *also_identity]
    options: dict[str, Any] = {"token_from": [header("Authorization"), cookie("id", OWN_PAGE)]}
    if kind == "1.0":
        event = http_1_authorizer_event(sent, method=method, identity_source=",".join(identity))
    else:
        event = http_2_authorizer_event(sent, method=method, identity_source=identity)
    assert outcome(authorizer_for(kind, **options), event) == expected
    decided = "Deny" if origin == FOREIGN_PAGE else "Allow"
    assert outcome(authorizer_for(kind, **options, simple_uncached=True), event) == decided
    assert outcome(authorizer_for(kind, **options), {**event, "identitySource": None}) == decided
    in_a_header = {**event, "headers": {**event["headers"], "authorization": POOL.access_token()}}
    in_a_header |= {"multiValueHeaders": None, "identitySource": [in_a_header["headers"]["authorization"]]}
    assert outcome(authorizer_for(kind, **options), in_a_header) == "Allow"
    nowhere = {**event, "headers": {}, "multiValueHeaders": None, "cookies": None}
    assert outcome(authorizer_for(kind, **options), nowhere) == "Deny"


@pytest.mark.parametrize("where", ["query", "header", "part-of-a-cookie", "behind-a-comma-in-a-cookie", "one-of-two"])
def test_a_page_cannot_bring_its_own_origin_into_the_identity_source(where: str) -> None:
    """Else an answer to a page's harmless request is served to its harmful one, which has the same cache key."""
    authorizer = LambdaAuthorizer(POOL.verifier("access"), token_from=cookie("id", FOREIGN_PAGE))
    sent: dict[str, str | list[str]] = {"Cookie": f"id={POOL.access_token()}", "Origin": FOREIGN_PAGE}
    identity, query_sent = [str(sent["Cookie"]), FOREIGN_PAGE], {}
    if where == "query":
        query_sent = {"r": FOREIGN_PAGE}
    elif where == "header":
        sent["X-Page"] = FOREIGN_PAGE
    elif where == "part-of-a-cookie":
        sent["Cookie"] = f"id={POOL.access_token()}; page={FOREIGN_PAGE}/"
        identity = [str(sent["Cookie"])]
    elif where == "behind-a-comma-in-a-cookie":  # set by a page of a neighbouring subdomain
        sent["Cookie"] = f"id={POOL.access_token()}; page=x,{FOREIGN_PAGE}"
        identity = [str(sent["Cookie"])]
    else:
        sent["Origin"] = [OWN_PAGE, FOREIGN_PAGE]
    event = http_2_authorizer_event(sent, query=query_sent, identity_source=identity)
    assert outcome(authorizer, event) == "ConfigurationError"
    alone = f"id={POOL.access_token()}"
    kept = http_2_authorizer_event({"Cookie": alone, "Origin": FOREIGN_PAGE})
    assert outcome(authorizer, {**kept, "identitySource": [alone, FOREIGN_PAGE]}) == "Allow"


def test_a_page_cannot_send_the_route_key_that_keeps_a_cookie_s_answer_for_its_route() -> None:
    authorizer = LambdaAuthorizer(
        POOL.verifier("access"), token_from=cookie("id", OWN_PAGE), http_api_response="simple"
    )
    sent, key = {"Cookie": f"id={POOL.access_token()}"}, "GET /pricepermeter"
    identity = [sent["Cookie"], key]
    event = http_2_authorizer_event(sent, method="GET", query={"t": key}, identity_source=identity)
    assert outcome(authorizer, event) == "ConfigurationError"
    assert outcome(authorizer, http_2_authorizer_event(sent, method="GET", identity_source=identity)) == "Allow"


def test_the_client_may_send_what_looks_like_a_route() -> None:
    """`GET /%7Bproxy+%7D`, decoded, is the pattern of its route, and a path all the same."""
    raw = POOL.access_token()
    event = http_2_authorizer_event({"Authorization": raw}, method="GET", path="/{proxy+}", route_key="ANY /{proxy+}")
    event["identitySource"] = [raw]
    rules = [Rule("ANY /{proxy+}"), Rule("ANY /admin/{proxy+}", groups="admin")]
    assert outcome(LambdaAuthorizer(POOL.verifier("access"), rules=rules), event) == "Allow"


@pytest.mark.parametrize("scope", ["api", "request"])
def test_a_path_longer_than_a_policy_takes_is_denied_in_one_that_is_not(scope: Any) -> None:
    raw, path = POOL.access_token(), "/reports/" + "7" * 600
    rules = [Rule("GET /reports/{id}")]
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=rules, policy_scope=scope)
    event = token_authorizer_event(raw, method="GET", path=path)
    assert outcome(authorizer, event) == ("Allow" if scope == "api" else "Deny")
    denying = LambdaAuthorizer(POOL.verifier("access"), rules=rules, bad_token="deny")
    for answer in (authorizer(event), denying(token_authorizer_event("bad", method="GET", path=path))):
        resources = [one for statement in answer["policyDocument"]["Statement"] for one in statement["Resource"]]
        assert max(map(len, resources)) <= 512


def test_a_trailing_slash_that_is_refused_is_not_let_through_by_the_usual_policy() -> None:
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=[Rule("GET /reports/{id}")])
    raw = POOL.access_token()
    event = token_authorizer_event(raw, method="GET", path="/reports/7/")
    assert authorizer(event)["context"]["code"] == "access_denied"
    assert outcome(authorizer, event) == "Deny"
    assert effect(authorizer(event), method_arn("GET", "/reports/7")) == "Allow"


def test_a_simple_answer_to_a_cookie_is_kept_for_its_route_if_that_changes_nothing() -> None:
    authorizer = LambdaAuthorizer(
        POOL.verifier("access"), token_from=cookie("id", OWN_PAGE), http_api_response="simple"
    )
    sent = {"Cookie": f"id={POOL.access_token()}", "Origin": OWN_PAGE}
    for method, expected in (("GET", "Allow"), ("POST", "ConfigurationError")):
        key = f"{method} /pricepermeter"
        event = http_2_authorizer_event(sent, method=method, identity_source=[sent["Cookie"], key])
        assert outcome(authorizer, event) == expected


@pytest.mark.parametrize(
    ("expires_in", "options", "expected"),
    [
        pytest.param(3_600, {}, 300, id="the-default"),
        pytest.param(60, {}, 60, id="capped-by-exp"),
        pytest.param(1, {}, 1, id="the-last-second"),
        pytest.param(60, {"appsync_ttl": 20}, 20, id="set-below"),
        pytest.param(3_600, {"appsync_ttl": 3_600}, 3_600, id="set-above"),
        pytest.param(3_600, {"appsync_ttl": 0}, 0, id="off"),
    ],
)
def test_appsync_caches_no_answer_beyond_exp(expires_in: int, options: dict[str, Any], expected: int) -> None:
    authorizer = LambdaAuthorizer(POOL.verifier("access"), **options)
    assert authorizer(appsync_authorizer_event(POOL.access_token(expires_in=expires_in)))["ttlOverride"] == expected


def test_appsync_caches_nothing_of_a_token_that_only_leeway_lets_through() -> None:
    answer = LambdaAuthorizer(POOL.verifier("access", leeway=30))(
        appsync_authorizer_event(POOL.access_token(expires_in=-10))
    )
    assert (answer["isAuthorized"], answer["ttlOverride"]) == (True, 0)


def test_appsync_may_cache_that_a_token_is_bad() -> None:
    answer = LambdaAuthorizer(POOL.verifier("access"))(appsync_authorizer_event(POOL.access_token(expires_in=-1)))
    assert (answer["isAuthorized"], answer["ttlOverride"]) == (False, 300)


# The context


def test_the_default_context_is_what_authorization_needs_and_no_more() -> None:
    raw = POOL.access_token("ada", groups=["admin", "staff"], scopes=["a/read", "a/write"], device_key="d", secret="s")
    token = POOL.verifier("access").verify(raw)
    answer = LambdaAuthorizer(POOL.verifier("access"))(token_authorizer_event(raw))
    flat = {
        "sub": token.sub,
        "username": "ada",
        "client_id": "test-client",
        "token_use": "access",
        "iss": POOL.issuer,
        "exp": NOW + 3_600,
        "scope": "a/read a/write",
    }
    claims = answer["context"].pop("claims")
    assert answer["context"] == {**flat, "cognito:groups": "admin,staff"}
    assert json.loads(claims) == {**flat, "cognito:groups": ["admin", "staff"]}
    assert answer["principalId"] == token.sub


def test_an_id_token_has_its_attributes_in_the_context_and_nothing_personal() -> None:
    raw = POOL.id_token("ada", email="ada@example.com", scope="admin/all")
    answer = LambdaAuthorizer(POOL.verifier("id"))(token_authorizer_event(raw))
    assert set(answer["context"]) == {"sub", "username", "client_id", "token_use", "iss", "exp", "claims"}
    assert answer["context"]["username"] == "ada"
    assert answer["context"]["client_id"] == "test-client"


def test_a_machine_s_context_has_no_username() -> None:
    answer = LambdaAuthorizer(POOL.verifier("access"))(token_authorizer_event(POOL.machine_token(scopes=["a/read"])))
    assert "username" not in answer["context"]
    assert answer["principalId"] == answer["context"]["client_id"] == "test-client"


def test_a_token_without_a_sub_has_a_principal_that_is_nobody_s_sub() -> None:
    event = token_authorizer_event(POOL.access_token("ada", omit="sub"))
    answer = LambdaAuthorizer(POOL.verifier("access"))(event)
    assert answer["principalId"] == "no-principal"
    assert "sub" not in answer["context"]


@pytest.mark.parametrize(
    ("groups", "joined"),
    [
        pytest.param(["x,admin"], None, id="comma"),
        pytest.param(["x,admin", "staff"], "staff", id="comma-and-another"),
        pytest.param(["[admin]"], None, id="brackets"),
        pytest.param(["staff", "finance"], "staff,finance", id="harmless"),
    ],
)
def test_a_group_s_name_cannot_forge_another_in_the_joined_list(groups: list[str], joined: str | None) -> None:
    answer = LambdaAuthorizer(POOL.verifier("access"))(token_authorizer_event(POOL.access_token(groups=groups)))
    assert answer["context"].get("cognito:groups") == joined
    assert json.loads(answer["context"]["claims"])["cognito:groups"] == groups


@pytest.mark.parametrize("kind", EVENTS)
def test_a_handler_reads_the_claims_back_without_loss(kind: str) -> None:
    authorizer = authorizer_for(kind, context=lambda token: {"tenant": token["tenant"] + "!", "is_ada": True})
    raw = POOL.access_token("ada", groups=["x,admin", "staff"], tenant="t1")
    context = context_of(authorizer(EVENTS[kind](raw)))
    if kind == "AppSync":
        event: Event = {"identity": {"resolverContext": context}}
    else:
        event = {"requestContext": {"authorizer": {"lambda": context} if kind.startswith("2.0") else context}}
    claims = claims_of(event)
    assert claims["cognito:groups"] == ["x,admin", "staff"]
    assert (claims["tenant"], claims["is_ada"], claims["exp"]) == ("t1!", True, NOW + 3_600)


def test_context_adds_strings_numbers_and_booleans() -> None:
    added: dict[str, str | float] = {
        "email": "ada@example.com",
        "level": 3,
        "ratio": 0.5,
        "is_admin": False,
        "empty": "",
    }
    authorizer = LambdaAuthorizer(POOL.verifier("access"), context=lambda _: added)
    context = authorizer(token_authorizer_event(POOL.access_token()))["context"]
    assert {name: context[name] for name in added} == added


@pytest.mark.parametrize(
    "added",
    [
        *[
            pytest.param({name: "forged"}, id=name)
            for name in ("sub", "username", "client_id", "token_use", "iss", "exp", "scope", "cognito:groups")
        ],
        *[pytest.param({name: "x"}, id=name) for name in ("claims", "code", "message", "principalId")],
        pytest.param({"integrationLatency": 1}, id="integrationLatency"),
        pytest.param({"x": None}, id="None"),
        pytest.param({"x": ["a"]}, id="list"),
        pytest.param({"x": {"a": 1}}, id="dict"),
        pytest.param({"x": float("nan")}, id="NaN"),
        pytest.param({"x": float("inf")}, id="infinity"),
        pytest.param({"x": b"a"}, id="bytes"),
        pytest.param({7: "a"}, id="number-as-name"),
        pytest.param({"": "a"}, id="empty-name"),
        pytest.param(None, id="nothing"),
        pytest.param([("x", "a")], id="pairs"),
    ],
)
def test_context_cannot_replace_what_we_say_nor_add_what_gateways_refuse(added: Any) -> None:
    authorizer = LambdaAuthorizer(POOL.verifier("access"), context=lambda _: added)
    with pytest.raises(ConfigurationError, match="context: "):
        authorizer(token_authorizer_event(POOL.access_token()))


def test_what_context_raises_goes_through() -> None:
    authorizer = LambdaAuthorizer(POOL.verifier("access"), context=lambda token: {"x": token["custom:absent"]})
    assert outcome(authorizer, token_authorizer_event(POOL.access_token())) == "KeyError"


@pytest.mark.parametrize("kind", EVENTS)
def test_the_usage_key_is_for_rest_apis(kind: str) -> None:
    authorizer = authorizer_for(kind, usage_key=lambda token: f"key-of-{token.client_id}")
    answer = authorizer(EVENTS[kind](POOL.access_token()))
    expected = "key-of-test-client" if kind in ("TOKEN", "REQUEST") else None
    assert answer.get("usageIdentifierKey") == expected


@pytest.mark.parametrize(
    ("usage_key", "expected"), [("", "ConfigurationError"), (7, "ConfigurationError"), (None, "Allow")]
)
def test_a_usage_key_is_a_string_or_none(usage_key: Any, expected: str) -> None:
    authorizer = LambdaAuthorizer(POOL.verifier("access"), usage_key=lambda _: usage_key, bad_token="deny")
    event = token_authorizer_event(POOL.access_token())
    assert outcome(authorizer, event) == expected
    if expected == "Allow":
        assert "usageIdentifierKey" not in authorizer(event)
    assert outcome(authorizer, token_authorizer_event("bad")) == "Deny"


def test_an_answer_over_8_kb_warns() -> None:
    event = token_authorizer_event(POOL.access_token())
    LambdaAuthorizer(POOL.verifier("access"), context=lambda _: {"x": "a" * 3_000})(event)
    with pytest.warns(UserWarning, match="over 8,192 bytes"):
        LambdaAuthorizer(POOL.verifier("access"), context=lambda _: {"x": "a" * 5_000})(event)


# Decisions and settings


def test_decisions_lists_every_rule_with_its_reason() -> None:
    token = POOL.verifier("access").verify(POOL.access_token(groups=["finance"]))
    decisions = LambdaAuthorizer(POOL.verifier("access"), rules=RULES).decisions(token)
    assert decisions[:2] == [
        Decision("POST /pricepermeter", True, "meets what every verified token meets"),
        Decision("GET /reports/{id}", True, "meets groups 'finance'"),
    ]
    admin = decisions[2]
    assert (admin.route, admin.allowed) == ("ANY /admin/{proxy+}", False)
    assert "scope: expected 'admin/all'" in admin.reason
    assert "cognito:groups: expected 'admin' and 'staff', found 'finance'" in admin.reason


def test_decisions_without_rules_say_so() -> None:
    authorizer = LambdaAuthorizer(POOL.verifier("access"))
    (decision,) = authorizer.decisions(POOL.verifier("access").verify(POOL.access_token()))
    assert decision.allowed
    assert "no rules" in decision.reason


def test_the_request_scope_has_no_leaks_and_compiles_no_policy() -> None:
    unsayable = [Rule("ANY /{proxy+}"), Rule("ANY /admin/{proxy+}", groups="admin"), Rule("GET /admin/health")]
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=unsayable, policy_scope="request")
    event = token_authorizer_event(POOL.access_token(), method="GET", path="/admin/health")
    assert outcome(authorizer, event) == "Allow"
    decisions = authorizer.decisions(POOL.verifier("access").verify(POOL.access_token()))
    assert [one.allowed for one in decisions] == [True, False, True]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        pytest.param({"rules": []}, "rules", id="no-rules"),
        pytest.param({"rules": ["GET /a"]}, "rules", id="rules-as-text"),
        pytest.param({"rules": "GET /a"}, "rules", id="one-rule-as-text"),
        pytest.param({"rules": Rule("GET /a")}, "rules", id="one-rule"),
        pytest.param({"rules": 5}, "rules", id="rules-as-number"),
        pytest.param({"token_from": []}, "token_from", id="no-source"),
        pytest.param({"token_from": "Authorization"}, "token_from", id="source-as-text"),
        pytest.param({"policy_scope": "stage"}, "policy_scope", id="policy_scope"),
        pytest.param({"http_api_response": "Simple"}, "http_api_response", id="http_api_response"),
        pytest.param({"simple_uncached": "false"}, "simple_uncached", id="simple_uncached"),
        pytest.param({"bad_token": None}, "bad_token", id="bad_token"),
        pytest.param({"context": {"a": 1}}, "context", id="context"),
        pytest.param({"usage_key": "key"}, "usage_key", id="usage_key"),
        pytest.param({"appsync_ttl": -1}, "appsync_ttl", id="negative-ttl"),
        pytest.param({"appsync_ttl": 3_601}, "appsync_ttl", id="longer-than-AppSync's-longest"),
        pytest.param({"appsync_ttl": True}, "appsync_ttl", id="ttl-as-bool"),
    ],
)
def test_a_senseless_setting_is_refused_at_once(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{named}: "):
        LambdaAuthorizer(POOL.verifier("access"), **options)


def test_the_verifier_is_a_verifier() -> None:
    with pytest.raises(ConfigurationError, match="LambdaAuthorizer: expected a CognitoVerifier, found str"):
        LambdaAuthorizer("us-east-1_TestPool1")  # type: ignore[arg-type]


def test_its_repr_shows_the_pool() -> None:
    assert POOL.user_pool_id in repr(LambdaAuthorizer(POOL.verifier("access")))
