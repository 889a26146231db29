"""Events: `require_token`, `LambdaAuthorizer` and `claims_of` before an event that is nearly one of AWS's.

An input is a letter, which chooses the options, and the event as JSON. `~access~` and the like stand for tokens.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from cognito_verify.aws_lambda import LambdaAuthorizer, Rule, claims_of, cookie, header, query, require_token
from cognito_verify.aws_lambda.events import http_kind, http_method
from cognito_verify.errors import CognitoVerifyError, ConfigurationError, KeysUnavailableError
from cognito_verify.testing import LAMBDA_EVENT_KINDS, is_allowed, lambda_event
from cognito_verify.tokens import AccessToken, IdToken
from tests.attacks.fuzz.bounds import Find, called, check
from tests.attacks.fuzz.material import CLAIMS, HEADER, NOW, POOL, STRANGER, joined, verifier
from tests.test_policy import Oracle

DICTIONARY = "events.dict"

_Handler = Callable[[Any, Any], Any]


def _signed(kind: str, **changes: Any) -> str:
    return POOL.sign(json.dumps(HEADER).encode(), json.dumps({**CLAIMS[kind], **changes}).encode())


_GOOD = {
    "access": _signed("access"),
    "plain": _signed("access", **{"cognito:groups": ["users"]}),
    "machine": _signed("machine"),
}
_BAD = {
    "id": _signed("id"),
    "expired": _signed("access", exp=NOW - 1),
    "early": _signed("access", nbf=NOW + 60),
    "forged": STRANGER.sign(json.dumps(HEADER).encode(), json.dumps(CLAIMS["access"]).encode()),
    "unknown": POOL.sign(json.dumps({**HEADER, "kid": "k9"}).encode(), json.dumps(CLAIMS["access"]).encode()),
}
_TOKENS = (*_GOOD.values(), *_BAD.values())
_GROUPS = {"access": {"admin"}, "plain": {"users"}, "machine": set[str]()}

_verifier = verifier("access")
_SOURCES = {
    "h": [header("Authorization")],
    "q": [query("token"), header("X-Token")],
    "c": [cookie("id", allowed_origins=["https://app.example.com"]), header("Authorization")],
}
RULES = [
    Rule("POST /pricepermeter"),
    Rule("GET /reports/{id}"),
    Rule("ANY /admin/{proxy+}", groups="admin"),
    Rule("GET /"),
]
_ORACLE = Oracle(RULES)
_OTHER_API = "arn:aws:execute-api:eu-west-1:999999999999:zzzzzzzzzz/dev/GET/reports/7"


def _handled(event: dict[str, Any], _context: object, *, token: AccessToken | IdToken | None = None) -> Any:
    return {"statusCode": 200, "token": token, "claims": event["requestContext"].get("authorizer")}


_HANDLERS: dict[bytes, _Handler] = {}
_AUTHORIZERS: dict[bytes, list[LambdaAuthorizer]] = {}
for _letter, _sources in _SOURCES.items():
    _HANDLERS[_letter.encode()] = require_token(_verifier, token_from=_sources, optional=_letter == "c")(_handled)
    _AUTHORIZERS[_letter.encode()] = [
        LambdaAuthorizer(_verifier, token_from=_sources),
        LambdaAuthorizer(_verifier, token_from=_sources, rules=RULES),
        LambdaAuthorizer(
            _verifier,
            token_from=_sources,
            rules=RULES,
            policy_scope="request",
            http_api_response="simple",
            bad_token="deny",
        ),
    ]


_MOST_CHARACTERS = 65_536  # what is longer has a hundred tokens: gateways let 10 KiB of headers through


def run(data: bytes) -> None:
    """One event, before every door that events come through."""
    letter, text = data[:1], data[1:].decode(errors="replace")
    for name, token in {**_GOOD, **_BAD}.items():
        text = text.replace(f"~{name}~", token)
    if len(text) > _MOST_CHARACTERS:
        return
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return
    letter = letter if letter in _HANDLERS else b"h"
    before = json.dumps(event)
    sent = {name for name, token in _GOOD.items() if token in before}
    _check_handler(_HANDLERS[letter], event, sent)
    for authorizer in _AUTHORIZERS[letter]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a large answer
            _check_authorizer(authorizer, event, sent)
    called(claims_of, event)
    check(json.dumps(event) == before, "the caller's event stays as it is")


def _check_handler(handler: _Handler, event: Any, sent: set[str]) -> None:
    answer = called(handler, event, None)
    if isinstance(answer, CognitoVerifyError):
        check(type(answer) is ConfigurationError, "a refusal is a response, not an exception")
        return
    if answer["statusCode"] != 200:
        text = json.dumps(answer)
        check(answer["statusCode"] in (401, 403, 503), "a refusal has a status of its own")
        check(not any(token in text for token in _TOKENS), "no response shows a token")
        return
    token = answer["token"]
    if token is None:
        kind = http_kind(event)
        is_preflight = http_method(event, kind) == "OPTIONS"
        is_optional = handler is _HANDLERS[b"c"]
        check(is_preflight or is_optional, "without a token a handler runs for a preflight, or where it is optional")
        check(not answer["claims"] or "claims" not in answer["claims"], "without a token there are no claims")
    else:
        check(token.raw in _GOOD.values(), "a handler sees good tokens alone")
        check(any(token.raw == _GOOD[name] for name in sent), "the token is one that was sent")
        json.dumps(answer["claims"])


def _check_authorizer(authorizer: LambdaAuthorizer, event: Any, sent: set[str]) -> None:
    answer = called(_answer, authorizer, event)
    if answer == "Unauthorized":
        check("methodArn" in event and event.get("version") != "1.0", "Unauthorized is for REST and WebSocket APIs")
        return
    if isinstance(answer, CognitoVerifyError):
        is_transient = answer.transient or isinstance(answer, (ConfigurationError, KeysUnavailableError))
        check(is_transient or "routeArn" in event or event.get("version") == "1.0", "a refusal is an answer")
        return
    text = json.dumps(answer, allow_nan=False)
    arn = str(event.get("routeArn", event.get("methodArn")))  # a policy names the path, and whatever was sent in it
    check(not any(token in text for token in _TOKENS if token not in arn), "no answer shows a token")
    if "policyDocument" in answer:
        check(not is_allowed(answer, {"methodArn": _OTHER_API}), "a policy is for its own API")
    if is_allowed(answer, event):
        check(sent, "what is allowed has a good token")
        if authorizer is not _AUTHORIZERS[b"h"][0] and authorizer not in [one[0] for one in _AUTHORIZERS.values()]:
            _check_ruled(event, sent)
        context = answer.get("context", answer.get("resolverContext"))
        told = claims_of({"requestContext": {"authorizer": context}})
        check(told["iss"] == CLAIMS["access"]["iss"] and "code" not in context, "an Allow hands the claims on")


def _check_ruled(event: dict[str, Any], sent: set[str]) -> None:
    """By the path of the ARN; where that may be a route's pattern, another target holds what is decided."""
    arn = event.get("routeArn", event.get("methodArn", ""))
    if arn.count("/") < 3 or "{" in arn:
        return
    _, _, method, path = arn.split("/", 3)
    rule, readings = _ORACLE.decisions(method, f"/{path}")
    wanted = {name for name in sent if not readings or all(_meets(name, one) for one in readings)}
    check(rule is not None or readings, "what no rule covers is denied")
    check(wanted, "what the rules refuse is denied")


def _meets(name: str, rule: Rule) -> bool:
    return rule.groups is None or rule.groups.is_met_by(frozenset(_GROUPS[name]))


def _answer(authorizer: LambdaAuthorizer, event: Any) -> Any:
    try:
        return authorizer(event)
    except CognitoVerifyError:
        raise
    except Exception as error:
        if type(error) is not Exception or error.args != ("Unauthorized",):
            raise
        if error.__cause__ is not None or error.__context__ is not None:
            raise Find("Unauthorized: nothing is chained to it") from error
    return "Unauthorized"


def seeds() -> Iterator[bytes]:
    """Every kind of event, with a token of every kind, where each source looks for it."""
    for kind in LAMBDA_EVENT_KINDS:
        for name in ("access", "expired"):
            yield joined("h", lambda_event(kind, f"~{name}~"))
    for kind in ("rest", "http", "alb", "alb-multi", "websocket", "request-authorizer", "http-2.0-authorizer"):
        yield joined("q", lambda_event(kind, query={"token": "~plain~", "x": ["1", "2"]}))
        yield joined("c", lambda_event(kind, headers={"Origin": "https://app.example.com"}, cookies={"id": "~access~"}))
    for kind in ("rest", "http", "alb-multi", "function-url"):
        preflight = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
        yield joined("h", lambda_event(kind, method="OPTIONS", headers=preflight))
        yield joined("h", lambda_event(kind, headers={"authorization": ["Bearer ~access~", "~forged~"]}))
        yield joined("h", lambda_event(kind, headers={"Authorization": "Basic YTpi"}))
    for method, path, name in (
        ("POST", "/pricepermeter", "plain"),
        ("GET", "/reports/7", "machine"),
        ("GET", "/admin/users", "plain"),
        ("GET", "/admin/users/", "access"),
        ("GET", "/nowhere", "access"),
        ("GET", "/reports/a%2Fb", "access"),
        ("GET", "/", "id"),
    ):
        yield joined("h", lambda_event("token-authorizer", f"~{name}~", method=method, path=path))
        yield joined("h", lambda_event("http-1.0-authorizer", f"~{name}~", method=method, path=path))
        yield joined("h", lambda_event("http-2.0-authorizer", f"~{name}~", method=method, path=path))
        sources = ["$request.header.Authorization", "$context.routeKey"]
        route = {"/reports/7": "GET /reports/{id}", "/admin/users": "ANY /admin/{proxy+}"}.get(path, "$default")
        yield joined(
            "h",
            lambda_event(
                "http-2.0-authorizer",
                f"~{name}~",
                method=method,
                path=path,
                route=route,
                identity_sources=sources,
                stage="dev",
            ),
        )
    yield joined("h", {"requestContext": {"authorizer": {"claims": '{"sub": "a"}'}}, "Records": []})
    yield joined("h", [])
    yield joined("h", {"httpMethod": "GET", "requestContext": {"elb": {}}, "headers": {"AUTHORIZATION": 7}})
