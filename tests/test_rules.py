"""Which rule decides a request, and which rules and tables make no sense."""

from __future__ import annotations

import pytest

from cognito_verify.aws_lambda.rules import METHODS, Rule, RuleTable, segments_of
from cognito_verify.errors import ConfigurationError
from cognito_verify.requirements import all_of
from cognito_verify.tokens import AccessToken, IdToken

TABLE = RuleTable(
    [
        Rule("GET /"),
        Rule("ANY /{proxy+}"),
        Rule("GET /orders"),
        Rule("GET /orders/{id}"),
        Rule("ANY /orders/{id}"),
        Rule("GET /orders/new"),
        Rule("GET /orders/{id}/items"),
        Rule("GET /{kind}/7/{part}"),
        Rule("ANY /admin/{proxy+}"),
        Rule("GET /v1:batch"),
    ]
)


def access_token(*, groups: tuple[str, ...] = (), scope: str = "") -> AccessToken:
    claims = {"sub": "ada", "token_use": "access", "scope": scope, "cognito:groups": list(groups)}
    return AccessToken(claims, {}, None, "client", "pool", None)


# Which rule decides


@pytest.mark.parametrize(
    ("request_line", "route"),
    [
        pytest.param("GET /", "GET /", id="root"),
        pytest.param("POST /", None, id="the-root-is-no-proxy"),
        pytest.param("GET /orders", "GET /orders", id="literal"),
        pytest.param("POST /orders", "ANY /{proxy+}", id="another-method"),
        pytest.param("GET /orders/new", "GET /orders/new", id="literal-over-name"),
        pytest.param("GET /orders/8", "GET /orders/{id}", id="named-method-over-any"),
        pytest.param("PUT /orders/8", "ANY /orders/{id}", id="any-method"),
        pytest.param("PUT /orders/new", "ANY /orders/{id}", id="a-literal-of-another-method"),
        pytest.param("GET /orders/7/items", "GET /orders/{id}/items", id="from-the-left"),
        pytest.param("GET /bills/7/items", "GET /{kind}/7/{part}", id="name-first"),
        pytest.param("GET /bills/8/items", "ANY /{proxy+}", id="name-over-proxy-only-where-it-matches"),
        pytest.param("GET /orders/7/items/1", "ANY /{proxy+}", id="longer"),
        pytest.param("GET /Orders", "ANY /{proxy+}", id="case-counts"),
        pytest.param("GET /v1:batch", "GET /v1:batch", id="colon"),
        pytest.param("GET /x:y", "ANY /{proxy+}", id="colon-in-a-proxy"),
        pytest.param("GET /orders/a%20b", "GET /orders/{id}", id="percent-encoded"),
        pytest.param("GET /orders/*", "GET /orders/{id}", id="star"),
        pytest.param("GET /orders/{id}", "GET /orders/{id}", id="braces"),
        pytest.param("GET /admin/x/", "ANY /admin/{proxy+}", id="slash-in-a-proxy"),
        pytest.param("GET /admin/", "ANY /admin/{proxy+}", id="slash-for-a-proxy"),
        pytest.param("GET /orders/", None, id="slash-behind-a-literal"),
        pytest.param("GET /orders/8/", None, id="slash-behind-a-name"),
        pytest.param("GET //orders", None, id="empty-segment"),
        pytest.param("GET /x//y", None, id="empty-segment-inside"),
        pytest.param("GET /orders/a%2Fb", None, id="encoded-slash"),
        pytest.param("GET /orders/a%2fb", None, id="encoded-slash-in-small-letters"),
        pytest.param("GET /x/../orders", None, id="dots"),
        pytest.param("GET /x/..", None, id="dots-at-the-end"),
        pytest.param("GET /./orders", None, id="one-dot"),
        pytest.param("GET /%2e%2E/orders", None, id="encoded-dots"),
        pytest.param("GET /x/...", "ANY /{proxy+}", id="three-dots-are-a-name"),
        pytest.param("GET orders", None, id="no-slash"),
        pytest.param("GET ", None, id="nothing"),
        pytest.param("TRACE /orders", None, id="unknown-method"),
        pytest.param("get /orders", None, id="method-in-small-letters"),
    ],
)
def test_the_most_specific_rule_decides(request_line: str, route: str | None) -> None:
    method, _, path = request_line.partition(" ")
    rule = TABLE.deciding(method, path)
    assert (rule.route if rule else None) == route


def test_the_order_of_the_rules_makes_no_difference() -> None:
    backwards = RuleTable(reversed(TABLE.rules))
    for path in ("/orders", "/orders/new", "/orders/8", "/bills/7/items", "/admin/x"):
        assert backwards.deciding("GET", path) is TABLE.deciding("GET", path)


def test_a_path_without_ambiguity_is_its_segments() -> None:
    assert segments_of("/") == ("",)
    assert segments_of("/a/b") == ("a", "b")
    assert segments_of("/a/") == ("a", "")


# What a rule is, and who meets it


def test_a_rule_says_what_it_was_made_of() -> None:
    rule = Rule("ANY /reports/{id}/{proxy+}", groups=["finance", "audit"], scopes=all_of("a", "b"))
    assert (rule.route, rule.method, rule.segments) == (
        "ANY /reports/{id}/{proxy+}",
        "ANY",
        ("reports", "{id}", "{proxy+}"),
    )
    assert str(rule.groups) == "'finance' or 'audit'"
    assert str(rule.scopes) == "'a' and 'b'"
    assert rule.methods == METHODS
    assert Rule("GET /").segments == ()
    assert Rule("GET /").groups is None


def test_rules_are_values() -> None:
    assert Rule("GET /a", groups="x") == Rule("GET /a", groups=["x"])
    assert hash(Rule("GET /a", groups="x")) == hash(Rule("GET /a", groups=["x"]))
    assert Rule("GET /a", groups="x") != Rule("GET /a", groups="y")
    with pytest.raises(AttributeError):
        Rule("GET /a").route = "GET /b"  # type: ignore[misc]


def test_a_token_meets_a_rule_with_the_groups_and_the_scopes() -> None:
    rule = Rule("GET /reports/{id}", groups="finance", scopes=all_of("a", "b"))
    enough = access_token(groups=("finance", "staff"), scope="a b c")
    assert rule.is_met_by(enough)
    assert rule.why_not(enough) == ""
    assert Rule("GET /reports/{id}").is_met_by(access_token())
    assert Rule("GET /reports/{id}").why_not(access_token()) == ""


@pytest.mark.parametrize(
    ("token", "missing"),
    [
        pytest.param(access_token(groups=("staff",), scope="a b"), ["cognito:groups", "'finance'"], id="group"),
        pytest.param(access_token(groups=("finance",), scope="a"), ["scope", "'a' and 'b'"], id="scope"),
        pytest.param(access_token(), ["scope", "'a' and 'b'", "cognito:groups", "'finance'"], id="both"),
    ],
)
def test_a_rule_says_what_a_token_lacks(token: AccessToken, missing: list[str]) -> None:
    rule = Rule("GET /reports/{id}", groups="finance", scopes=all_of("a", "b"))
    assert not rule.is_met_by(token)
    assert [part for part in missing if part not in rule.why_not(token)] == []


def test_an_id_token_has_groups_and_no_scopes() -> None:
    claims = {"sub": "ada", "token_use": "id", "scope": "a", "cognito:groups": ["finance"]}
    token = IdToken(claims, {}, None, "client", "pool", None)
    assert Rule("GET /a", groups="finance").is_met_by(token)
    assert not Rule("GET /a", scopes="a").is_met_by(token)
    assert "send the access token" in Rule("GET /a", scopes="a").why_not(token)


# What makes no sense


@pytest.mark.parametrize(
    "route",
    [
        pytest.param("", id="empty"),
        pytest.param("/orders", id="no-method"),
        pytest.param("GET", id="no-path"),
        pytest.param("GET orders", id="no-slash"),
        pytest.param("get /orders", id="method-in-small-letters"),
        pytest.param("FETCH /orders", id="unknown-method"),
        pytest.param("TRACE /orders", id="method-that-no-gateway-has"),
        pytest.param("* /orders", id="star-method"),
        pytest.param("$default", id="default-route"),
        pytest.param("GET  /orders", id="two-spaces"),
        pytest.param("GET /orders ", id="space-at-the-end"),
        pytest.param("GET /orders\n", id="newline"),
        pytest.param("GET /orders/*", id="star"),
        pytest.param("GET /orders*", id="star-inside"),
        pytest.param("GET /order?", id="question-mark"),
        pytest.param("GET /orders?a=b", id="query"),
        pytest.param("GET /orders#a", id="fragment"),
        pytest.param("GET /orders/", id="slash-at-the-end"),
        pytest.param("GET //orders", id="empty-segment"),
        pytest.param("GET /{proxy+}/orders", id="proxy-not-at-the-end"),
        pytest.param("GET /{}", id="no-name"),
        pytest.param("GET /{+}", id="no-name-for-a-proxy"),
        pytest.param("GET /{id", id="open-brace"),
        pytest.param("GET /{id}.json", id="name-and-more"),
        pytest.param("GET /a{id}", id="more-and-name"),
        pytest.param("GET /${aws:username}", id="policy-variable"),
        pytest.param("GET /a/../b", id="dots"),
        pytest.param("GET /a/.", id="one-dot"),
        pytest.param("GET /a%2Fb", id="encoded-slash"),
        pytest.param("GET /a;b", id="semicolon"),
        pytest.param("GET /%61", id="encoded-letter"),
        pytest.param("GET /a%2Db", id="encoded-hyphen"),
        pytest.param("GET /%2e%2e", id="encoded-dots"),
        pytest.param("GET /100%", id="percent-alone"),
        pytest.param("GET /caf\u00e9", id="not-as-sent"),
        pytest.param("GET /a\\b", id="backslash"),
        pytest.param(None, id="none"),
        pytest.param(7, id="number"),
    ],
)
def test_a_senseless_route_is_refused(route: str) -> None:
    with pytest.raises(ConfigurationError, match="rules: ") as refusal:
        Rule(route)
    assert type(refusal.value) is ConfigurationError
    if isinstance(route, str):
        assert repr(route) in str(refusal.value)


@pytest.mark.parametrize(
    "route",
    ["GET /a-b_c.d~e", "GET /caf%C3%A9", "DELETE /v1/a:b@c,d=e$f&g!(h)", "GET /.well-known", "HEAD /{a.b-c_d}"],
)
def test_its_twin_is_taken(route: str) -> None:
    assert Rule(route).route == route


def test_an_empty_requirement_names_its_rule() -> None:
    with pytest.raises(ConfigurationError, match=r"'GET /a': groups: expected at least one name") as refusal:
        Rule("GET /a", groups=[])
    assert refusal.value.__context__ is None
    with pytest.raises(ConfigurationError, match=r"'GET /a': scopes: expected names without white space"):
        Rule("GET /a", scopes="")


def test_a_table_wants_rules() -> None:
    with pytest.raises(ConfigurationError, match="at least one Rule"):
        RuleTable([])
    with pytest.raises(ConfigurationError, match="found 'GET /a'"):
        RuleTable(["GET /a"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    "routes",
    [
        pytest.param(["GET /a/{id}", "GET /a/{name}"], id="other-name"),
        pytest.param(["ANY /{proxy+}", "ANY /{rest+}"], id="other-proxy"),
        pytest.param(["GET /", "GET /"], id="root"),
    ],
)
def test_the_same_route_twice_is_refused(routes: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="the same route") as refusal:
        RuleTable([Rule("GET /other"), *map(Rule, routes)])
    assert all(repr(route) in str(refusal.value) for route in routes)
    RuleTable([Rule(routes[0]), Rule("GET /other")])


@pytest.mark.parametrize(
    ("routes", "instead"),
    [
        pytest.param([f"{method} /a" for method in METHODS] + ["ANY /a"], "'GET /a'", id="every-method-named"),
        pytest.param(
            ["GET /a/{x}", "GET /a/{x}/{proxy+}", "GET /a/{proxy+}"], "'GET /a/{x}/{proxy+}'", id="every-length"
        ),
    ],
)
def test_a_rule_that_never_decides_is_refused(routes: list[str], instead: str) -> None:
    with pytest.raises(ConfigurationError, match="never decides") as refusal:
        RuleTable(map(Rule, routes))
    assert repr(routes[-1]) in str(refusal.value)
    assert instead in str(refusal.value)
    RuleTable(map(Rule, routes[1:]))


def test_routes_of_different_lengths_are_different_routes() -> None:
    table = RuleTable([Rule("GET /a/{x}"), Rule("GET /a/{proxy+}")])
    assert [rule.route for rule in table.rules if rule is table.deciding("GET", "/a/b/c")] == ["GET /a/{proxy+}"]
