"""One IAM policy for a whole API decides as the rules do: an evaluator and an oracle that know no compiler say so."""

from __future__ import annotations

import json
import random
import re
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain, combinations, product
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cognito_verify.aws_lambda.policy import (
    MOST_BYTES,
    ApiPolicy,
    allow_api,
    allow_request,
    deny_request,
    policy_document,
)
from cognito_verify.aws_lambda.rules import METHODS, Rule, RuleTable
from cognito_verify.errors import ConfigurationError
from cognito_verify.requirements import all_of, any_of
from cognito_verify.tokens import AccessToken, IdToken
from tests import iam

PREFIX = "arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/dev/"
HELD = [frozenset(held) for held in chain.from_iterable(combinations("ghk", size) for size in range(4))]


def access_token(held: Iterable[str] = (), scope: str = "") -> AccessToken:
    claims = {"sub": "ada", "token_use": "access", "scope": scope, "cognito:groups": sorted(held)}
    return AccessToken(claims, {}, None, "client", "pool", None)


TOKENS = [access_token(held, scope) for held in HELD for scope in ("", "g")]  # a scope that is called like a group
UNKNOWN_METHODS = ("LOCK", "SET", "PROPFIND", "A/GET")  # of three and four letters, where patterns could let them in


# The oracle: what DESIGN says of rules and paths, in regular expressions, with no part of the package but Rule's data.


class Oracle:
    """Decides paths as the rules do, one rule and one regular expression at a time."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = [(rule, self.expression(rule.segments, "[^/]+(/[^/]+)*/?")) for rule in rules]
        # `/admin/` is below `/admin`, `/` is not below itself
        self.below = {
            rule.route: self.expression(rule.segments[:-1], "") + "/" for rule in rules if len(rule.segments) > 1
        }
        self.decisions = cache(self._decisions)

    @staticmethod
    def expression(segments: Iterable[str], proxy: str) -> str:
        parts = [
            proxy if segment.endswith("+}") else "[^/]+" if segment.startswith("{") else re.escape(segment)
            for segment in segments
        ]
        return "/" + "/".join(parts)

    @staticmethod
    def rank(rule: Rule) -> tuple[str, bool]:
        kinds = ["c" if one.endswith("+}") else "b" if one.startswith("{") else "a" for one in rule.segments]
        return "".join(kinds), rule.method == "ANY"

    def matching(self, method: str, path: str) -> list[Rule]:
        found = [
            rule
            for rule, expression in self.rules
            if rule.method in (method, "ANY")
            and method in METHODS
            and (
                re.fullmatch(expression, path)
                or (rule.segments[-1:] == ("{proxy+}",) and re.fullmatch(self.below.get(rule.route, "(?!)"), path))
            )
        ]
        return sorted(found, key=self.rank)

    def _decisions(self, method: str, path: str) -> tuple[Rule | None, tuple[Rule, ...]]:
        """The rule that decides, and the rules of which none may be unmet for the path to be let through."""
        if re.search("//|;|%6", path):
            return None, ()
        found = self.matching(method, path)[:1]
        if path == "/" or not path.endswith("/"):
            return (found[0] if found else None), tuple(found)
        without_slash = self.matching(method, path[:-1])
        exact = [rule for rule in without_slash if rule.segments[-1] != "{proxy+}"]
        readings = found + ([without_slash[0]] if exact and without_slash[0] is exact[0] else [])
        return (found[0] if found and not exact else None), tuple(readings)


def inner(path: str) -> Iterator[str]:
    """All paths that IAM cannot leave out when it lets a path of their kind through: any segments become one other."""
    for segments in _inner(tuple(path[1:].split("/"))):
        yield "/" + "/".join(segments)


@cache
def _inner(segments: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    if not segments:
        return ((),)
    kept = {(segments[0], *rest) for rest in _inner(segments[1:])}
    for end in range(1, len(segments) + 1):
        if segments[:end] != ("",):
            kept |= {("zz", *rest) for rest in _inner(segments[end:])}
    return tuple(kept)


def is_unsayable(oracle: Oracle, token: AccessToken, method: str, path: str) -> bool:
    """Whether the path lies inside a refused one that lies inside an allowed one, so that no policy could allow it."""
    for refused in inner(path):
        if any(not rule.is_met_by(token) for rule in oracle.decisions(method, refused)[1]):
            for allowed in inner(refused):
                rule = oracle.decisions(method, allowed)[0]
                if rule is not None and rule.is_met_by(token):
                    return True
    return False


def paths_for(rules: Iterable[Rule]) -> list[str]:
    """Every path of up to three segments that a table could tell apart, and a sample of longer ones."""
    literals = sorted({one for rule in rules for one in rule.segments if not one.startswith("{")} | {"zz"})
    sample = random.Random(7)
    words = [word for length in (1, 2, 3) for word in product(literals, repeat=length)]
    words = words if len(words) <= 100 else words[: len(literals)] + sample.sample(words, 60)
    words += [tuple(sample.choices(literals, k=length)) for length in (4, 5, 6) for _ in range(15)]
    plain = ["/" + "/".join(word) for word in words]
    odd = ["//", "//zz", "/zz//", "/%61", "/%61/zz", "/zz/%61/zz", "/zz;b/zz", "/zz/..;/a"]
    return ["/", *odd, *plain, *(path + "/" for path in plain[::2])]


def compiled(rules: Iterable[Rule]) -> tuple[ApiPolicy, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        policy = ApiPolicy(RuleTable(rules))
    return policy, [str(warning.message) for warning in caught]


def document(policy: ApiPolicy, token: AccessToken) -> dict[str, object]:
    return policy_document(policy.statements(token, PREFIX))


def is_named(leaks: Iterable[str], method: str, path: str) -> bool:
    for leak in leaks:
        methods, _, example = leak.rpartition(" ")
        kind = "/".join(".+" if one.isdigit() else re.escape(one) for one in example.split("/"))
        if (methods == "ANY" or method in methods.split(", ")) and re.fullmatch(kind, path):
            return True
    return False


def check_against_the_rules(rules: list[Rule], methods: Iterable[str]) -> None:
    oracle, paths = Oracle(rules), paths_for(rules)
    table = RuleTable(rules)
    for method, path in product(methods, paths):
        assert table.deciding(method, path) is oracle.decisions(method, path)[0]
    try:
        policy, warned = compiled(rules)
    except ConfigurationError as error:
        check_that_it_cannot_be_honoured(rules, oracle, str(error), paths)
        return
    for token in TOKENS:
        for_the_token = document(policy, token)
        for method, path in product(methods, paths):
            is_allowed = iam.is_allowed(for_the_token, f"{PREFIX}{method}{path}")
            rule, readings = oracle.decisions(method, path)
            found = f"{[(one.route, one.groups) for one in rules]}, {token.groups}: {method} {path}"
            is_odd = method not in METHODS or re.search("//|;|%6", path)
            if is_odd or any(not reading.is_met_by(token) for reading in readings):
                assert not is_allowed, f"allowed though refused: {found}"
            elif rule is not None and not is_allowed:
                assert any(f"{rule.route!r} loses" in warning for warning in warned), f"lost unsaid: {found}"
                assert is_unsayable(oracle, token, method, path), f"lost without need: {found}"
            elif not readings and is_allowed:
                assert is_named(policy.leaks_for(token), method, path), f"leaks unnamed: {found}"
    for warning in warned:
        if "loses" in warning:  # the others are about the policy's size
            check_that_the_example_is_lost(rules, policy, warning)


def check_that_it_cannot_be_honoured(rules: list[Rule], oracle: Oracle, error: str, paths: list[str]) -> None:
    named = re.findall("'([A-Z]+ /[^']*)'", error)
    lost = next(rule for rule in rules if rule.route == named[0])
    own = [
        (method, path) for method, path in product(METHODS, paths) if oracle.decisions(method, path)[0] is lost
    ]  # none where the sample of paths holds none of the rule's
    assert any(
        lost.is_met_by(token) and all(is_unsayable(oracle, token, *request) for request in own) for token in TOKENS
    ), f"could be honoured: {error}"
    assert 'policy_scope="request"' in error


def check_that_the_example_is_lost(rules: list[Rule], policy: ApiPolicy, warning: str) -> None:
    route, method, path = re.findall(r"'([A-Z]+ /\S*)' loses some of its paths, such as (\S+) (\S+),", warning)[0]
    rule = RuleTable(rules).deciding(method, path)
    assert rule is not None
    assert rule.route == route
    arn = f"{PREFIX}{method}{path}"
    assert any(rule.is_met_by(token) and not iam.is_allowed(document(policy, token), arn) for token in TOKENS)


# Random tables

SEGMENTS = st.sampled_from(["a", "b", "c", "{x}", "{x}"])
REQUIREMENTS = st.sampled_from(
    [None, None, "g", "h", any_of("g", "h"), all_of("g", "h"), any_of("k", all_of("g", "h"))]
)
RULES = st.builds(
    lambda method, segments, end, groups, scopes: Rule(
        f"{method} /{'/'.join([*segments, *end])}", groups=groups, scopes=scopes
    ),
    st.sampled_from(["ANY", "GET", "GET", "POST", "PATCH"]),
    st.lists(SEGMENTS, max_size=4),
    st.sampled_from([[], [], ["{proxy+}"]]),
    REQUIREMENTS,
    st.sampled_from([None, None, None, "g"]),
)


def is_a_table(rules: list[Rule]) -> bool:
    try:
        RuleTable(rules)
    except ConfigurationError:
        return False
    return True


TABLES = st.lists(RULES, min_size=1, max_size=6).filter(is_a_table)


# A second each; `make fuzz` goes on with tables of its own, against the same oracle.
@settings(derandomize=True, deadline=None, max_examples=50)
@given(TABLES, st.sampled_from(METHODS), st.sampled_from(UNKNOWN_METHODS))
def test_a_policy_decides_as_the_rules_do_wherever_iam_can_say_so(
    rules: list[Rule], method: str, unknown_method: str
) -> None:
    check_against_the_rules(rules, {"GET", method, unknown_method})


@settings(derandomize=True, deadline=None, max_examples=100)
@given(TABLES)
def test_motos_evaluator_agrees_with_ours(rules: list[Rule]) -> None:
    access_control = pytest.importorskip("moto.iam.access_control")
    try:
        policy, _ = compiled(rules)
    except ConfigurationError:
        return
    for token in TOKENS[::3]:
        ours = document(policy, token)
        # moto knows `*`, and takes the rest of a pattern for a regular expression: there, `?` is written `.`
        text = json.dumps(ours).replace(PREFIX, "arn/").replace(".", "[.]").replace("?", ".").replace("\\\\", "[|]")
        theirs = access_control.IAMPolicy(text)
        for path in paths_for(rules)[::5]:
            result = theirs.is_action_permitted(iam.ACTION, f"arn/GET{path}")
            assert (result.name == "PERMITTED") is iam.is_allowed(ours, f"{PREFIX}GET{path}")


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        pytest.param("GET/*", ["GET/", "GET/a", "GET/a/b", "GET//"], ["GET", "get/a", "POST/a"], id="star"),
        pytest.param("GET/?*", ["GET/a", "GET//", "GET/a/b"], ["GET/"], id="one-at-least"),
        pytest.param("GET/a?c", ["GET/abc", "GET/a/c"], ["GET/ac", "GET/abbc"], id="question-mark"),
        pytest.param("*/a", ["GET/a", "GET/b/a", "/a"], ["GET/ab", "a"], id="any-start"),
        pytest.param("GET/a.c", ["GET/a.c"], ["GET/abc"], id="dot"),
        pytest.param("GET/*", ["GET/a\nb"], [], id="newline"),
    ],
)
def test_the_evaluator_knows_iams_wildcards(pattern: str, matching: list[str], others: list[str]) -> None:
    assert [text for text in matching if not iam.matches(pattern, text)] == []
    assert [text for text in others if iam.matches(pattern, text)] == []


# Tables by hand: as usual ones are


def rules_of(*routes: str) -> list[Rule]:
    """`GET /a g|h`: a route, and the groups of which one is needed."""
    split = [route.split(" ") for route in routes]
    return [Rule(f"{one[0]} {one[1]}", groups=one[2].split("|") if len(one) > 2 else None) for one in split]


LAB = rules_of("POST /pricepermeter")
CRUD = rules_of(
    "GET /orders g|h|k",
    "POST /orders h|k",
    "GET /orders/{id} g|h|k",
    "PUT /orders/{id} h|k",
    "DELETE /orders/{id} k",
)
ITEMS = rules_of("GET /orders/{id} g", "GET /orders/{id}/items g", "DELETE /orders/{id}/items/{item} k")
USERS = rules_of("ANY /{proxy+}", "DELETE /users/{id} k")
ADMIN = rules_of("ANY /", "ANY /{proxy+}", "ANY /admin k", "ANY /admin/{proxy+} k")
HEALTH = rules_of("ANY /{proxy+}", "ANY /admin/{proxy+} k", "GET /admin/health")
THIRTY = rules_of(
    *(
        f"{route} {group}"
        for kind in ("orders", "users", "items", "bills", "carts", "pages")
        for route, group in [
            (f"GET /{kind}", "g"),
            (f"POST /{kind}", "h"),
            (f"GET /{kind}/{{id}}", "g"),
            (f"PUT /{kind}/{{id}}", "h"),
            (f"DELETE /{kind}/{{id}}", "k"),
        ]
    )
)


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(LAB, id="the-lab"),
        pytest.param(CRUD, id="crud"),
        pytest.param(ITEMS, id="items"),
        pytest.param(USERS, id="users"),
        pytest.param(ADMIN, id="admin"),
        pytest.param(HEALTH, id="health"),
        pytest.param(rules_of("GET /lines/lines", "GET /lines/{id} g"), id="lines"),
        pytest.param(rules_of("GET /", "POST / g"), id="root"),
        pytest.param(rules_of("GET /", "ANY /{proxy+} g"), id="root-and-proxy"),
        pytest.param(rules_of("GET /a/{proxy+} g", "GET /a"), id="slash-of-a-proxy"),
        pytest.param(rules_of("GET /a g", "ANY /{proxy+}"), id="slash-of-a-literal"),
        pytest.param(rules_of("GET /{x} g", "GET /{proxy+}"), id="longer-than-a-name"),
        pytest.param(rules_of("GET /{x}/{y} g", "GET /{proxy+}", "GET /{x}/{y}/z h"), id="expanded"),
        pytest.param(rules_of("GET /docs/{id}", "GET /{proxy+} g"), id="inside-a-refused-one"),
        pytest.param(rules_of("GET /a/{x}", "GET /a/{x}/{proxy+} g", "ANY /a/{proxy+} h"), id="a-slash-alone"),
        pytest.param(THIRTY, id="thirty"),
    ],
)
def test_usual_tables(rules: list[Rule]) -> None:
    check_against_the_rules(rules, METHODS)


def resources(rules: list[Rule], held: Iterable[str] = ()) -> dict[str, list[str]]:
    statements = compiled(rules)[0].statements(access_token(held), PREFIX)
    assert all(one["Action"] == "execute-api:Invoke" for one in statements)
    return {
        str(one["Effect"]): [resource.removeprefix(PREFIX) for resource in one["Resource"]]  # type: ignore[attr-defined]
        for one in statements
    }


AMBIGUOUS = [
    *("*//*", "*;*", "*\\*", "*%2F*", "*%2f*", "*%5C*", "*%5c*", "*%2E*", "*%2e*", "*%6*", "*%7*"),
    *("*/.", "*/./*", "*/..", "*/../*"),
]
EVERY_METHOD = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


def test_a_table_of_literals_is_a_list_of_them() -> None:
    assert resources(LAB) == {"Allow": ["POST/pricepermeter"]}
    assert resources(rules_of("GET /x/a", "GET /x/b k")) == {"Allow": ["GET/x/a"]}  # the other one needs no Deny


def test_whoever_meets_no_rule_is_denied_everything() -> None:
    assert resources(CRUD) == {"Deny": ["*"]}


def test_an_allow_names_its_methods_and_a_deny_is_as_short_as_will_do() -> None:
    everything = [f"{method}/?*" for method in EVERY_METHOD]
    assert resources(USERS, "k") == {"Allow": everything, "Deny": AMBIGUOUS}
    assert resources(USERS) == {"Allow": everything, "Deny": ["DELETE/users/?*", *AMBIGUOUS]}
    assert resources(ADMIN, "k")["Allow"] == [f"{method}/*" for method in EVERY_METHOD]
    admin = ["??T/admin/*", "????/admin/*", "OPTIONS/admin/*", "PATCH/admin/*", "DELETE/admin/*"]
    assert set(resources(ADMIN)["Deny"]) >= set(admin)
    assert resources(rules_of("ANY /{proxy+}", "ANY /{x}/a k"))["Deny"] == ["*/?*/a", "*/?*/a/", *AMBIGUOUS]


def test_any_is_every_method_that_a_gateway_has_and_no_other() -> None:
    methods = resources(rules_of("ANY /a"))
    assert methods == {"Allow": [f"{method}/a" for method in EVERY_METHOD]}
    policy = document(ApiPolicy(RuleTable(rules_of("ANY /a"))), access_token())
    assert [method for method in METHODS if not iam.is_allowed(policy, f"{PREFIX}{method}/a")] == []
    for path in ("GET//a", "GET/x/a", "PUT//a", "HEAD/x/a", "POST//a", "A/b/a", "GET/a/a", "GETS/b/a", "/a", "GET/"):
        assert not iam.is_allowed(policy, PREFIX + path)
    catch_all = document(ApiPolicy(RuleTable(rules_of("ANY /{proxy+}"))), access_token())
    for method in ("TRACE", "PROPFIND", "LOCK", "SET", "get"):
        assert not iam.is_allowed(policy, f"{PREFIX}{method}/a")
        assert not iam.is_allowed(catch_all, f"{PREFIX}{method}/a")


@pytest.mark.parametrize(
    "path",
    [
        *("/a//b", "//a", "/a%2Fb", "/a%2fb", "/a/%2e%2e/b", "/a/../b", "/..", "/a/.", "/./a", "/%2E"),
        *("/%61", "/x/%7A", "/a;v=1", "/x/..;/a", "/a\\b", "/a%5Cb", "/x%5c..%5ca"),
    ],
)
def test_an_ambiguous_path_is_denied_to_everybody(path: str) -> None:
    rules = rules_of("ANY /{proxy+}")
    assert not iam.is_allowed(document(ApiPolicy(RuleTable(rules)), access_token()), f"{PREFIX}GET{path}")
    assert RuleTable(rules).deciding("GET", path) is None


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/V%31/users/x", id="digit"),
        pytest.param("/%561/users/x", id="capital"),
        pytest.param("/V1/%75sers/x", id="small-letter"),
        pytest.param("/V1/users%2dall", id="hyphen"),
        pytest.param("/V1/users%2Dall", id="hyphen-in-the-other-case"),
        pytest.param("/V1/caf%c3%A9", id="encoded-in-another-case"),
    ],
)
def test_another_spelling_of_a_literal_does_not_pass_for_another_path(path: str) -> None:
    """A program behind `{proxy+}` that decodes before it routes would take it for the literal's."""
    closed = ["ANY /V1/users/{proxy+} k", "ANY /V1/users-all k", "ANY /V1/caf%C3%A9 k"]
    table = RuleTable(rules_of("ANY /{proxy+}", *closed))
    policy = document(ApiPolicy(table), access_token())
    assert not iam.is_allowed(policy, f"{PREFIX}GET{path}")
    assert table.deciding("GET", path) is None
    for open_path in ("/V2/x", "/x/12%3A00", "/a%40b", "/caf%C3%A8"):
        assert iam.is_allowed(policy, PREFIX + "GET" + open_path) is (table.deciding("GET", open_path) is not None)
    assert iam.is_allowed(policy, PREFIX + "GET/x/a%40b")


def test_an_id_token_s_scope_claim_meets_no_rule_of_a_policy() -> None:
    policy = ApiPolicy(RuleTable([Rule("GET /a"), Rule("GET /b", scopes="g")]))
    claims = {"sub": "ada", "token_use": "id", "scope": "g"}
    found = policy_document(policy.statements(IdToken(claims, {}, None, "client", "pool", None), PREFIX))
    assert iam.is_allowed(found, f"{PREFIX}GET/a")
    assert not iam.is_allowed(found, f"{PREFIX}GET/b")


def test_a_scope_that_is_called_like_a_group_is_none() -> None:
    table = RuleTable([Rule("ANY /{proxy+}"), Rule("GET /admin/{p+}", scopes="g"), Rule("GET /staff/{p+}", groups="g")])
    policy = ApiPolicy(table)
    for token, allowed in [(access_token("g"), "/staff/7"), (access_token(scope="g"), "/admin/7")]:
        found = document(policy, token)
        assert [path for path in ("/admin/7", "/staff/7") if iam.is_allowed(found, f"{PREFIX}GET{path}")] == [allowed]


@pytest.mark.parametrize("path", ["/a/*", "/a/?", "/a:b", "/a/...", "/.well-known/x", "/a%20b", "/${a}", "/caf\u00e9"])
def test_a_path_that_only_looks_odd_is_a_path(path: str) -> None:
    rules = rules_of("ANY /{proxy+}", "GET /b k")
    assert iam.is_allowed(document(ApiPolicy(RuleTable(rules)), access_token()), f"{PREFIX}GET{path}")


def test_scopes_and_groups_count_alike() -> None:
    rules = [Rule("GET /a", scopes="read"), Rule("GET /b", groups="g", scopes=any_of("read", "write"))]
    policy = ApiPolicy(RuleTable(rules))
    for token, allowed in [
        (access_token(), []),
        (access_token("g"), []),
        (access_token(scope="read"), ["/a"]),
        (access_token("g", scope="write"), ["/b"]),
        (access_token("g", scope="read"), ["/a", "/b"]),
    ]:
        found = document(policy, token)
        assert [path for path in ("/a", "/b") if iam.is_allowed(found, f"{PREFIX}GET{path}")] == allowed


def test_the_policy_is_for_the_api_and_the_stage_of_the_request() -> None:
    policy = ApiPolicy(RuleTable(CRUD))
    prefix = "arn:aws-cn:execute-api:cn-north-1:123456789012:abcdef1234/$default/"
    found = policy_document(policy.statements(access_token("g"), prefix))
    assert iam.is_allowed(found, prefix + "GET/orders/7")
    assert not iam.is_allowed(found, PREFIX + "GET/orders/7")


# What one policy cannot say


def test_an_open_route_inside_a_closed_one_inside_an_open_one_cannot_be_honoured() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        ApiPolicy(RuleTable(HEALTH))
    message = str(refusal.value)
    assert [
        route for route in ("GET /admin/health", "ANY /admin/{proxy+}", "ANY /{proxy+}") if route not in message
    ] == []
    assert 'policy_scope="request"' in message


@pytest.mark.parametrize(
    "routes",
    [
        pytest.param(["ANY /{proxy+} k", "ANY /admin/{proxy+} k", "GET /admin/health"], id="outside-closed-as-well"),
        pytest.param(["ANY /admin/{proxy+} k", "GET /admin/health"], id="nothing-outside"),
        pytest.param(["ANY /{proxy+}", "ANY /admin/{proxy+} k", "GET /health"], id="beside-it"),
        pytest.param(["ANY /{proxy+}", "ANY /admin/{proxy+} k", "GET /admin/health k"], id="as-closed"),
    ],
)
def test_its_rewrites_can_be_honoured(routes: list[str]) -> None:
    assert compiled(rules_of(*routes))[1] == []


def test_no_token_no_conflict() -> None:
    # Whoever is a `k` and a `g` or a `h` is both, so nobody is refused in between.
    between = [
        Rule("ANY /{proxy+}", groups="g"),
        Rule("ANY /a/{proxy+}", groups=["g", "h"]),
        Rule("GET /a/b", groups="k"),
    ]
    assert compiled(between)[1] == []


def test_a_rule_that_is_lost_for_one_method_loses_some_paths() -> None:
    policy, warned = compiled(rules_of("ANY /{proxy+}", "GET /a/{x} k", "ANY /a/b"))
    assert [re.findall("such as ([^,]*)", warning) for warning in warned] == [["GET /a/1/2"], ["GET /a/b"]]
    assert iam.is_allowed(document(policy, access_token()), f"{PREFIX}POST/a/b")


def test_a_rule_that_no_single_token_loses_for_every_method_loses_some_paths() -> None:
    rules = rules_of(
        "GET /{proxy+}", "GET /a/{x} k", *("ANY /{proxy+} k", "ANY /a/{x} h"), "ANY /a/b"
    )  # GET is lost without `k`, the others with it
    check_against_the_rules(rules, METHODS)
    assert [re.findall("such as ([^,]*)", warning) for warning in compiled(rules)[1]][-1] == ["GET /a/b"]
    with pytest.raises(ConfigurationError, match="'ANY /a/b' lies inside"):
        compiled([*rules_of("GET /{proxy+} k", "GET /a/{x} h"), *rules[2:]])


def test_a_rule_that_loses_paths_is_one_warning_at_whoever_builds_the_policy() -> None:
    def constructor() -> None:  # as LambdaAuthorizer's
        ApiPolicy(RuleTable(USERS))

    with pytest.warns(
        UserWarning, match=r"'ANY /\{proxy\+\}' loses .* DELETE /users/1/2, .*'DELETE /users/\{id\}'"
    ) as caught:
        constructor()
    assert [warning.filename for warning in caught] == [__file__]


def test_a_leak_is_named() -> None:
    policy, warned = compiled(ITEMS)
    assert warned == []
    assert policy.leaks_for(access_token("g")) == ("GET /orders/1/2",)
    assert policy.leaks_for(access_token("k")) == ()  # who may not call the two routes finds nothing between them
    assert iam.is_allowed(document(policy, access_token("g")), f"{PREFIX}GET/orders/7/bills")
    assert not iam.is_allowed(document(policy, access_token("g")), f"{PREFIX}GET/orders/7/items/8")
    assert compiled(CRUD)[0].leaks_for(access_token("ghk")) == ()


def test_a_leak_of_several_methods_names_them() -> None:
    policy, _ = compiled(rules_of("ANY /a/{x}", "ANY /a/{x}/b", "DELETE /a/{x}/b/{y} g"))
    assert policy.leaks_for(access_token()) == (
        "GET, HEAD, OPTIONS, POST, PUT, PATCH /a/1/2",
        "DELETE /a/1/2",
    )


def test_a_deny_of_what_no_rule_covers_spares_what_a_proxy_matches_however_long() -> None:
    # `?*/?*/a/b/?*` is what leaks, but a Deny of it would take the second path as well.
    policy, warned = compiled(rules_of("GET /{x}/a/b/{proxy+}", "GET /c g"))
    for path in ("/1/a/b/2", "/1/a/b/a/b/2"):
        assert iam.is_allowed(document(policy, access_token()), f"{PREFIX}GET{path}")
    assert (warned, policy.leaks_for(access_token())) == ([], ("GET /1/2/a/b/3", "GET /1/2/a/b/"))


def test_an_example_does_not_say_a_literal() -> None:
    policy, _ = compiled(rules_of("ANY /a/{x}/1", "ANY /a/{x}"))
    assert policy.leaks_for(access_token()) == ("ANY /a/2/3",)


def test_a_table_that_multiplies_itself_is_refused() -> None:
    long = "GET /" + "/".join(f"x/{{name{number}}}" for number in range(10))
    rules = [Rule(long), Rule("GET /{a}/{proxy+}", groups="g"), Rule("GET " + "/{x}" * 24, groups="h")]
    with pytest.raises(ConfigurationError, match=r'steps do not compile them .*policy_scope="request"'):
        ApiPolicy(RuleTable(rules))


@pytest.mark.parametrize(
    ("rules", "steps"),
    [
        pytest.param(ITEMS, 96, id="items"),
        pytest.param(rules_of("GET /{x} g", "GET /{y}/b/{z}"), 116, id="names"),
        pytest.param(rules_of("GET /{x}/a/b/{proxy+}", "GET /c g"), 609, id="leaks"),
        pytest.param([Rule("GET " + "/a" * 100), *rules_of("GET /{proxy+} h")], 2_842, id="long"),
        pytest.param([Rule("GET " + "/a/{name}" * 10)], 1_035, id="many-names"),
        pytest.param(
            [Rule("GET /{a}/{b}/z", groups=["g", "h"], scopes=["s", "t"]), *rules_of("ANY /{proxy+} k")],
            143,
            id="ways-to-meet",
        ),
    ],
)
def test_a_table_costs_so_many_steps(monkeypatch: pytest.MonkeyPatch, rules: list[Rule], steps: int) -> None:
    monkeypatch.setattr("cognito_verify.aws_lambda.policy._MOST_STEPS", steps)
    compiled(rules)
    monkeypatch.setattr("cognito_verify.aws_lambda.policy._MOST_STEPS", steps - 1)
    with pytest.raises(ConfigurationError, match=f"rules: {steps - 1:,} steps do not compile them"):
        compiled(rules)


def test_a_long_route_counts_as_much_as_it_costs() -> None:
    """400 segments took a third of a second and 2,000 half a minute, with steps to spare."""
    rules = [Rule("GET /{id}/a", groups="g"), Rule("GET /{proxy+}", groups="h")]
    with pytest.raises(ConfigurationError, match="steps do not compile them"):
        ApiPolicy(RuleTable([Rule("GET " + "/a" * 400), *rules]))
    with pytest.raises(ConfigurationError, match="steps do not compile them"):  # 1.3 s, of steps that were not counted
        ApiPolicy(RuleTable([Rule("GET " + "".join(f"/a/{{name{number}}}" for number in range(90)))]))
    # A RecursionError, and eight seconds for millions of words that were counted after they had been made.
    for route in ("GET /a" + "/{name}" * 1_000, "GET " + "/a/{name}" * 500):
        with pytest.raises(ConfigurationError, match="steps do not compile them"):
            ApiPolicy(RuleTable([Rule(route, groups="g"), Rule("ANY /{proxy+}")]))
    policy, _ = compiled([Rule("GET " + "/a" * 100), rules[1]])
    assert iam.is_allowed(document(policy, access_token()), f"{PREFIX}GET{'/a' * 100}")


def test_a_policy_is_large_from_one_byte_more_than_documented_on() -> None:
    names = [
        f"{number:0>{21 if number < 88 else 22}}" for number in range(92)
    ]  # 68 bytes besides, of a method and an ARN
    assert sum(68 + len(name) for name in names) == MOST_BYTES
    assert compiled([Rule(f"GET /{name}") for name in names])[1] == []
    assert "has some 8,193 bytes" in compiled([Rule(f"GET /{name}") for name in [*names[:-1], f"{names[-1]}0"]])[1][0]


def test_what_no_rule_covers_makes_a_policy_large_as_well() -> None:
    rules = [Rule(f"GET /{number:0>20}/{{id}}") for number in range(60)]  # 60 globs to allow, 60 to deny
    assert "bytes; API Gateway documents 8,192" in compiled(rules)[1][0]


def test_a_large_policy_is_a_warning() -> None:
    def made(rules: list[Rule]) -> ApiPolicy:  # as LambdaAuthorizer's constructor
        return ApiPolicy(RuleTable(rules))

    rules = [Rule(f"ANY /kind{number}/{{proxy+}}", groups=f"group{number}") for number in range(25)]
    with pytest.warns(UserWarning, match=r"no group and no scope has some 11,\d\d\d bytes; .* 8,192") as caught:
        policy = made([*rules, Rule("ANY /{proxy+}")])
    assert [warning.filename for warning in caught] == [__file__]
    assert 8_192 < len(json.dumps(document(policy, access_token()), separators=(",", ":"))) < 13_000
    with pytest.warns(UserWarning, match=r"with group group0, group group1, .* bytes"):
        ApiPolicy(RuleTable(rules))
    assert compiled(THIRTY)[1] == []


# For one request


def test_without_rules_the_whole_api_is_allowed() -> None:
    everything = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": [f"{PREFIX}*"]}
    assert allow_api(PREFIX) == everything


def test_a_statement_for_one_request_is_its_arn() -> None:
    arn = f"{PREFIX}GET/a:b"
    assert allow_request(arn) == {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": [arn]}
    assert deny_request(arn) == {"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": [arn]}


@pytest.mark.parametrize(
    ("path", "spelt", "denied"),
    [
        pytest.param("GET/a/*", "GET/a/${*}", "GET/a/?", id="star"),
        pytest.param("GET/a/?", "GET/a/${?}", "GET/a/?", id="question-mark"),
        pytest.param("GET/${aws:username}", "GET/${$}{aws:username}", "GET/?{aws:username}", id="variable"),
    ],
)
def test_a_requests_own_wildcards_stand_for_themselves(path: str, spelt: str, denied: str) -> None:
    statement = allow_request(PREFIX + path)
    assert statement is not None
    assert statement["Resource"] == [PREFIX + spelt]
    for other in ("GET/a/b", "GET/a/b/c", "GET/a/", "GET/ada"):
        assert not iam.is_allowed(policy_document([statement]), PREFIX + other)
    refusal = deny_request(PREFIX + path)  # holds where the gateway knows no policy variables, too
    assert refusal["Resource"] == [PREFIX + denied]
    everything: dict[str, object] = {"Action": iam.ACTION, "Effect": "Allow", "Resource": ["*"]}
    assert not iam.is_allowed(policy_document([everything, refusal]), PREFIX + path)
    assert iam.is_allowed(policy_document([everything, refusal]), PREFIX + "GET/other/path")


def test_a_statement_is_no_longer_than_a_gateway_takes() -> None:
    fits, long, longer = (PREFIX + "GET/" + "a" * (length - len(PREFIX) - 4) for length in (512, 513, 1_600))
    assert allow_request(fits) is not None
    assert allow_request(long) is None
    assert allow_request(PREFIX + "GET/" + "*" * 150) is None  # as it is spelt
    for arn in (long, longer):
        (resource,) = cast("list[str]", deny_request(arn)["Resource"])
        assert len(resource) == 512
        assert iam.matches(resource, arn)
    assert deny_request(fits)["Resource"] == [fits]


def test_the_stage_default_is_left_alone() -> None:
    arn = "arn:aws:execute-api:eu-west-1:123456789012:abcdef1234/$default/GET/a"
    assert deny_request(arn)["Resource"] == [arn]
