"""Rules: a table as `COGNITO_RULES` has it, its policy for a token, and requests that both must decide alike.

An input is a letter and three parts: the rules, the names that the token holds, and requests, one a line.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from urllib.parse import unquote

from cognito_verify.aws_lambda.environment import _rules
from cognito_verify.aws_lambda.policy import ApiPolicy
from cognito_verify.aws_lambda.rules import AMBIGUOUS_SEGMENTS, METHODS, Rule, RuleTable
from cognito_verify.errors import CognitoVerifyError, ConfigurationError
from cognito_verify.tokens import AccessToken
from tests import iam
from tests.attacks.fuzz.bounds import called, check
from tests.attacks.fuzz.material import SEPARATOR, joined
from tests.test_policy import PREFIX, Oracle, document, is_named, is_unsayable

DICTIONARY = "rules.dict"

_MOST_RULES = 12
_MOST_SEGMENTS = 5  # the oracle looks at every way to join them
_MOST_REQUESTS = 12
# A table is the deployment's own and compiled once; its cost is bounded by steps, and a large one takes them all.
_MOST_SECONDS_TO_COMPILE = 1.0


def run(data: bytes) -> None:
    """One table, three tokens, a few requests."""
    text, held, requests = [*data[1:].split(SEPARATOR, 2), b"", b""][:3]
    rules = called(_rules, "[" + text.decode(errors="replace").removeprefix("["))  # a text, never a file's path
    if isinstance(rules, CognitoVerifyError):
        check(type(rules) is ConfigurationError, "rules that cannot be read are a matter of configuration")
        return
    rules = [_with_usual_name(rule) for rule in rules[:_MOST_RULES]]
    table = called(RuleTable, rules)
    if isinstance(table, CognitoVerifyError):
        check(type(table) is ConfigurationError, "so is a table that makes no sense")
        return
    policy, warned = called(_compiled, table, most_seconds=_MOST_SECONDS_TO_COMPILE)
    names = _names(held)
    for some in ((), names, names[: len(names) // 2]):
        token = _token(some)
        for method, path in _requests(requests):
            _check_request(table, policy, warned, token, method, path)


def _with_usual_name(rule: Rule) -> Rule:
    """The same rule with the name of a `{proxy+}` that the oracle knows."""
    return Rule(re.sub(r"\{[^{}]*\+\}$", "{proxy+}", rule.route), groups=rule.groups, scopes=rule.scopes)


def _compiled(table: RuleTable) -> tuple[ApiPolicy | None, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            policy = ApiPolicy(table)
        except ConfigurationError as error:
            check('policy_scope="request"' in str(error), "a table that is no policy has a way out")
            policy = None
    return policy, [str(warning.message) for warning in caught]


def _token(held: tuple[str, ...]) -> AccessToken:
    claims = {"sub": "ada", "token_use": "access", "scope": " ".join(held), "cognito:groups": sorted(held)}
    return AccessToken(claims, {}, None, "client", "pool", None)


def _names(held: bytes) -> tuple[str, ...]:
    try:
        names = json.loads(held)
    except (ValueError, RecursionError):
        return ("g",)
    return tuple(name for name in names if isinstance(name, str))[:6] if isinstance(names, list) else ("g",)


def _requests(lines: bytes) -> Iterator[tuple[str, str]]:
    for line in lines.decode(errors="replace").split("\n")[:_MOST_REQUESTS]:
        method, _, path = line.partition(" ")
        if "/" not in method and path.startswith("/") and path.count("/") <= _MOST_SEGMENTS:
            yield method, path


def _check_request(
    table: RuleTable, policy: ApiPolicy | None, warned: list[str], token: AccessToken, method: str, path: str
) -> None:
    found = f"{[rule.route for rule in table.rules]}, {token.groups}: {method} {path!r}"
    oracle, decides = Oracle(table.rules), called(table.deciding, method, path)
    is_odd = any(part in path for part in table.ambiguous_parts) or not {*AMBIGUOUS_SEGMENTS}.isdisjoint(
        path.split("/")
    )
    rule, readings = (None, ()) if is_odd else oracle.decisions(method, path)
    check(decides is rule, f"the rules decide by the most specific one: {found}")
    if policy is None:
        return
    statements = called(policy.statements, token, PREFIX)
    check(not isinstance(statements, CognitoVerifyError), "every token has a policy")
    is_allowed = iam.is_allowed(document(policy, token), f"{PREFIX}{method}{path}")
    if is_odd or method not in METHODS or any(not reading.is_met_by(token) for reading in readings):
        check(not is_allowed, f"allowed though refused: {found}")
    elif rule is not None and not is_allowed:
        check(any(f"{rule.route!r} loses" in warning for warning in warned), f"lost unsaid: {found}")
        if "zz" not in {segment for one in table.rules for segment in one.segments}:  # the oracle's own
            check(is_unsayable(oracle, token, method, path), f"lost without need: {found}")
    elif not readings and is_allowed:
        check(is_named(policy.leaks_for(token), method, path), f"leaks unnamed: {found}")
    if is_allowed and readings:
        decoded = "/".join(map(unquote, path.split("/")))
        closed = [one for one in oracle.decisions(method, decoded)[1] if not one.is_met_by(token)]
        check(not closed, f"another spelling of what is refused: {found}")


def seeds() -> Iterator[bytes]:
    """The tables that were hard once, and requests that are near their edges."""
    paths = (
        "GET /a,GET /a/,GET /a/b,POST /a/b/c,GET /a%2Fb,DELETE /users/7,GET /,LOCK /a,GET /a/../b,GET /%61,PUT /a*/?"
    )
    lines = paths.replace(",", "\n").encode()
    for table in (
        [{"route": "POST /pricepermeter"}],
        [{"route": "GET /orders/{id}", "groups": "g"}, {"route": "DELETE /orders/{id}/items/{item}", "groups": ["k"]}],
        [{"route": "ANY /{proxy+}"}, {"route": "DELETE /users/{id}", "groups": "k"}],
        [{"route": "ANY /"}, {"route": "ANY /{proxy+}"}, {"route": "ANY /admin", "groups": "k"}],
        [{"route": "ANY /{proxy+}"}, {"route": "ANY /a/{proxy+}", "groups": "k"}, {"route": "GET /a/b"}],
        [{"route": "GET /a/{proxy+}", "groups": "g"}, {"route": "GET /a"}],
        [
            {"route": "GET /{x}/{y}", "groups": "g"},
            {"route": "GET /{proxy+}"},
            {"route": "GET /{x}/{y}/z", "groups": "h"},
        ],
        [
            {"route": "GET /a/{x}"},
            {"route": "GET /a/{x}/{p+}", "scopes": "g"},
            {"route": "ANY /a/{proxy+}", "groups": "h"},
        ],
        [
            {"route": "GET /lines/lines"},
            {"route": "GET /lines/{id}", "groups": {"all_of": ["g", {"any_of": ["h", "k"]}]}},
        ],
        [
            {"route": "ANY /{proxy+}"},
            {"route": "ANY /caf%C3%A9", "groups": "k"},
            {"route": "ANY /V1/a-b", "groups": "k"},
        ],
    ):
        yield joined("r", table, ["g", "k", "h"], lines)
    for text in (
        b'[{"route":"GET /a","route":"GET /b"}]',
        b'[{"route":"GET /a","group":"g"}]',
        b'[{"route":"GET a"}]',
        b'[{"route":"TRACE /a"}]',
        b'[{"route":"GET /{proxy+}/a"}]',
        b'[{"route":"GET /a%61"}]',
        b'[{"route":"GET /a"},{"route":"GET /a"}]',
        b'[{"route":"GET /a","groups":[]}]',
        b'[{"route":"GET /a","scopes":{"all_of":[]}}]',
        b"[1]",
        b"{}",
    ):
        yield joined("r", text, ["g"], lines)
