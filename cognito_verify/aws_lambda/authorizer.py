"""LambdaAuthorizer: the event of a gateway in, the answer that lets a request through or not out.

The event's ARN, route key and identity source are the gateway's word, its headers and query the client's. Whatever is
answered here may be cached, and served again to whoever sends the same identity source: each answer is right for all
of those requests, or is given in a form that no gateway caches, or not at all.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cognito_verify.answers import check_verifier
from cognito_verify.aws_lambda.events import (
    SAFE_METHODS,
    TokenSource,
    comma_joined,
    header,
    header_values,
    joinable,
    raw_token,
    token_sources,
)
from cognito_verify.aws_lambda.policy import (
    MOST_BYTES,
    ApiPolicy,
    allow_api,
    allow_request,
    deny_request,
    policy_document,
)
from cognito_verify.aws_lambda.rules import OTHER, Rule, RuleTable, generic_words, longest, scopes_of, segments_of
from cognito_verify.errors import (
    AccessDeniedError,
    CognitoVerifyError,
    ConfigurationError,
    InsufficientScopeError,
    MissingGroupError,
    TokenError,
    shown,
)
from cognito_verify.jws import bearer_token
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier

if TYPE_CHECKING:
    from cognito_verify.observer import Observer

__all__ = ["Decision", "LambdaAuthorizer"]

_Token = AccessToken | IdToken
_ContextValue = str | int | float | bool
_Kind = Literal["TOKEN", "REQUEST", "$connect", "HTTP API 1.0", "HTTP API 2.0", "AppSync"]

_AUTHORIZATION = header("Authorization")
_RAISES_UNAUTHORIZED = ("TOKEN", "REQUEST", "$connect")  # where the gateway makes a 401 of it, and caches nothing
_HTTP_APIS = ("HTTP API 1.0", "HTTP API 2.0")
_APPSYNC_MAX_TTL = 3_600
_SAY_UNCACHED = "turn its cache off and say so (simple_uncached=True, or COGNITO_SIMPLE_UNCACHED=true)"
_NO_PRINCIPAL = "no-principal"  # neither a `sub` nor a client id can look like this

# Nothing that could match more than itself where a policy names the API; the path holds what the client sent.
_ARN = re.compile(
    r"(?P<api>arn:[^:/*?]+:execute-api:[^:/*?]+:[^:/*?]*:[^:/*?]+/[^/*?]+/)(?P<method>[^/*?]+)(?P<path>/.*)?", re.DOTALL
)
_NOT_IN_A_TEMPLATE = r"[^\x20\x21\x23-\x5b\x5d-\x7e]"

# What the default context and the gateway's own members are called: `context=` cannot replace them.
_RESERVED = frozenset(
    {
        *("sub", "username", "client_id", "token_use", "iss", "exp", "scope", "cognito:groups", "claims"),
        *("code", "message", "principalId", "integrationLatency"),
    }
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a rule says of a token.

    Attributes:
        route: The rule's route as it was given, or the path of a leak.
        allowed: Whether the token may call it.
        reason: What is required, what is missing, or what the policy cannot say.
    """

    route: str
    allowed: bool
    reason: str


class LambdaAuthorizer:
    """A Lambda authorizer for API Gateway (REST, WebSocket, HTTP) and AppSync: an object that is the handler.

    Args:
        verifier: Who verifies; its own requirements hold on every route.
        rules: Who may call what; a request that no rule covers is denied. None lets any verified token call everything.
        token_from: `header`, `query` or `cookie`, or several: the first that is present decides. `TOKEN` authorizers
            and AppSync have read the token by then, from where the gateway is told.
        policy_scope: "api" answers with a policy for the whole API, which a cache may keep; "request" with one for this
            request alone, which is exact but needs the authorizer's cache off, or keyed by method and path as well.
        http_api_response: What an HTTP API (2.0) is set to expect: "iam" or "simple".
        simple_uncached: The authorizer's cache is off, so that an answer for one request cannot be served for another.
        bad_token: "unauthorized" raises what REST and WebSocket APIs turn into a 401, and what counts as an error of
            the function; "deny" answers with a Deny (403).
        context: Called with the verified token; strings, numbers and booleans to hand on besides the default context.
        usage_key: Called with the verified token; the API key whose usage plan applies, on REST APIs.
        observer: Called with one frozen event per request, never with a token; without it, the verifier's observer is.
            Fetches are told to the observer of the verifier or of its cache.
        appsync_ttl: Seconds for which AppSync may cache an answer, at most until `exp`; 0 turns its cache off. It
            stands in the place of the TTL that the API is set to.

    Raises:
        ConfigurationError: A setting is empty or senseless, or the rules cannot be said in one IAM policy. When called:
            the event is none of an authorizer's, or its answer would be served for requests that it does not fit.

    Source: "Use API Gateway Lambda authorizers", "Control access to HTTP APIs with AWS Lambda authorizers", API Gateway
        Developer Guide; "Configuring authorization and authentication", AWS AppSync Developer Guide.
    """

    def __init__(
        self,
        verifier: CognitoVerifier[_Token],
        *,
        rules: Iterable[Rule] | None = None,
        token_from: TokenSource | Iterable[TokenSource] = _AUTHORIZATION,
        policy_scope: Literal["api", "request"] = "api",
        http_api_response: Literal["iam", "simple"] = "iam",
        simple_uncached: bool = False,
        bad_token: Literal["unauthorized", "deny"] = "unauthorized",
        context: Callable[[Any], Mapping[str, _ContextValue]] | None = None,
        usage_key: Callable[[Any], str | None] | None = None,
        observer: Observer | None = None,
        appsync_ttl: int = 300,
    ) -> None:
        check_verifier("LambdaAuthorizer", verifier)
        self._verifier = verifier
        self._sources = token_sources(token_from)
        self._covers_api = _choice("policy_scope", policy_scope, ("api", "request")) == "api"
        self._answers_simply = _choice("http_api_response", http_api_response, ("iam", "simple")) == "simple"
        self._raises_unauthorized = _choice("bad_token", bad_token, ("unauthorized", "deny")) == "unauthorized"
        if not isinstance(simple_uncached, bool):
            raise ConfigurationError(f"simple_uncached: expected True or False, found {shown(simple_uncached)}")
        self._is_uncached = simple_uncached
        for option, function in (("context", context), ("usage_key", usage_key), ("observer", observer)):
            if function is not None and not callable(function):
                raise ConfigurationError(f"{option}: expected a callable, found {shown(function)}")
        self._context = context
        self._usage_key = usage_key
        self._observer = verifier.observer if observer is None else observer
        if type(appsync_ttl) is not int or not 0 <= appsync_ttl <= _APPSYNC_MAX_TTL:
            raise ConfigurationError(
                f"appsync_ttl: expected whole seconds from 0 to {_APPSYNC_MAX_TTL}, found {shown(appsync_ttl)}"
            )
        self._appsync_ttl = appsync_ttl
        self._table = None if rules is None else RuleTable(rules)
        self._policy = ApiPolicy(self._table) if self._table is not None and self._covers_api else None
        self._requirements_below = lru_cache(maxsize=256)(_requirements_below)  # 1 ms for a table of 20 rules

    def __call__(self, event: Mapping[str, Any], context: object = None) -> dict[str, Any]:
        """The answer to an authorizer's event; another mapping, such as a data class of Powertools, is taken as well.

        Raises:
            Exception: "Unauthorized", the one string that API Gateway turns into a 401.
            KeysUnavailableError: The pool's keys cannot be had now: a 500, which is not cached.
            TokenError, AccessDeniedError: On an HTTP API, a refusal that may pass a moment later: a 500 as well.
            ConfigurationError: A fault of the deployment; also what `context=`, `usage_key=` or a check raises.
        """
        if not isinstance(event, dict) and isinstance(event, Mapping):
            event = dict(event)
        if self._observer is None:
            answer, _ = self._answered(event, self._verifier.verify)
        else:
            from cognito_verify.aws_lambda.invocation import request_in_context  # only those who observe pay for it
            from cognito_verify.observer import Observation

            with request_in_context(context), Observation(self._observer) as observation:
                answer, refusal = self._answered(event, partial(self._verifier.verify_within, observation))
                observation.code = None if refusal is None else refusal.code
        if answer is None:
            raise Exception("Unauthorized")  # noqa: TRY002 - the gateway compares this string
        return answer

    def decisions(self, token: _Token) -> list[Decision]:
        """What every rule says of a verified token, in the order of the rules; then each leak of the policy.

        A leak is a path that no rule covers and that the token's policy for the whole API cannot deny, since IAM's `*`
        crosses slashes. Asked about it, the authorizer denies it; from a gateway's cache it is let through.
        """
        if self._table is None:
            return [Decision("any", allowed=True, reason="no rules: every verified token may call everything")]
        decisions = []
        for rule in self._table.rules:
            why_not = rule.why_not(token)
            decisions.append(Decision(rule.route, allowed=not why_not, reason=why_not or f"meets {_required(rule)}"))
        reason = "no rule covers it, and IAM cannot say so: a cached policy lets it through"
        leaks = () if self._policy is None else self._policy.leaks_for(token)
        return decisions + [Decision(leak, allowed=True, reason=reason) for leak in leaks]

    def __repr__(self) -> str:
        return f"LambdaAuthorizer({self._verifier!r})"

    def _answered(
        self, event: Any, verify: Callable[[str | None], _Token]
    ) -> tuple[dict[str, Any] | None, CognitoVerifyError | None]:
        """The answer, None for "Unauthorized", and the refusal that it says, if any."""
        request = _request(event)
        self._check_cookie_is_kept_for_its_site(event, request)
        verified = self._verified(event, request, verify)
        if isinstance(verified, CognitoVerifyError):
            return self._turned_away(request, verified), verified
        self._check_cached_form(event, request, verified)
        refusal = self._refusal(event, request, verified)
        if refusal is None and self._answers_for_the_request(request) and allow_request(request.arn) is None:
            refusal = AccessDeniedError("the request is denied: its ARN is longer than API Gateway takes in a policy")
        return self._answer(request, verified, refusal), refusal

    # Who is it?

    def _verified(
        self, event: dict[str, Any], request: _Request, verify: Callable[[str | None], _Token]
    ) -> _Token | TokenError | AccessDeniedError:
        try:
            if request.kind in ("TOKEN", "AppSync"):
                return verify(bearer_token(event.get("authorizationToken")))
            return verify(raw_token(self._sources, event))
        except (TokenError, AccessDeniedError) as error:
            return error  # not in here: what is raised for it must not have it as its context

    def _turned_away(self, request: _Request, error: TokenError | AccessDeniedError) -> dict[str, Any] | None:
        """The answer without a verified token."""
        if request.kind in _RAISES_UNAUTHORIZED:
            if error.transient or (self._raises_unauthorized and isinstance(error, TokenError)):
                return None
        elif error.transient and request.kind != "AppSync":
            raise error  # a 500: the only answer that an HTTP API does not cache
        return self._answer(request, None, error)

    # What would a cache make of the answer?

    def _check_cached_form(self, event: dict[str, Any], request: _Request, token: _Token) -> None:
        """The answer to a verified token, allowed or not, fits every request that a cache would serve it for.

        Source: "Control access to HTTP APIs with AWS Lambda authorizers" (caching), API Gateway Developer Guide.
        """
        identity = _identity(event)
        if identity and not any(token.raw in value for value in identity):
            raise ConfigurationError(
                "identitySource: the token is in none of its values, so that an answer that is cached would serve "
                f"whoever sends the same values; make {' or '.join(map(str, self._sources))} an identity source of the "
                "authorizer, or read the token from the identity source (token_from=)"
            )
        if self._table is None or self._is_uncached or request.kind != "HTTP API 2.0":
            return
        route_key = request.route_key
        if self._is_simple(request):
            if route_key not in identity or _is_sent(event, route_key):
                raise ConfigurationError(
                    "http_api_response='simple' with rules: a cached answer would open every route; add "
                    f"$context.routeKey to the authorizer's identity sources, or {_SAY_UNCACHED}, or use 'iam'"
                )
        elif request.is_path_in_arn or not identity:  # nothing is cached without an identity source
            return
        if len(self._requirements_below(self._table, route_key)) != 1:
            raise ConfigurationError(
                f"route {shown(route_key)}: the rules do not decide alike for everything below it, so that a cached "
                "answer for one path would serve another; give the API a route for each rule, cover all of this one "
                "with rules that require the same ('ANY /' and 'ANY /{proxy+}' for $default), or "
                f"{_SAY_UNCACHED}"
            )

    def _check_cookie_is_kept_for_its_site(self, event: dict[str, Any], request: _Request) -> None:
        """An answer to a cookie, yes or no, is cached for pages of the same origin alone, or for what changes nothing.

        A cached yes would let in the pages of others; a cached no, which they could cause, would lock the user out.
        """
        identity = _identity(event)
        if self._is_uncached or request.kind not in _HTTP_APIS or not identity or not self._asks_a_cookie(event):
            return
        # What the client also sent elsewhere may be another identity source's value, or part of one (format 1.0 joins
        # them by commas): it proves nothing.
        key, origins = request.route_key, header_values(event, "Origin")
        is_kept_by_origin = bool(origins) and all(
            any(origin in value.split(",") for value in identity)
            and origin not in _cookies(event)
            and not _is_sent(event, origin, but_for="origin")
            for origin in origins
        )
        is_kept_by_route = self._is_simple(request) and key in identity and not _is_sent(event, key)
        if not is_kept_by_origin and not (is_kept_by_route and key.partition(" ")[0] in SAFE_METHODS):
            raise ConfigurationError(
                "token_from: a cookie counts or not by the request's Origin, and a cached answer would serve the "
                "requests of other sites as well; make $request.header.Origin an identity source of the authorizer, or "
                f"{_SAY_UNCACHED}"
            )

    def _asks_a_cookie(self, event: dict[str, Any]) -> bool:
        """Whether a cookie decides, be it that it does not count on this request."""
        for source in self._sources:
            if source.where == "cookie" and (source.found(event) or source.found_instead(event)):
                return True
            if any(map(str.strip, source.found(event))):
                return False
        return False

    def _answers_for_the_request(self, request: _Request) -> bool:
        """Whether the answer is an IAM policy for this request alone."""
        return not self._covers_api and request.kind != "AppSync" and not self._is_simple(request)

    def _is_simple(self, request: _Request) -> bool:
        return self._answers_simply and request.kind == "HTTP API 2.0"

    def _is_kept_for_other_paths(self, event: dict[str, Any], request: _Request) -> bool:
        """Whether a gateway's cache would serve the refusal of a path that no rule decides for those that rules decide.

        A path like `/reports/7/` or `/a//b` belongs to the gateway's route for `/reports/{id}` or `$default`.
        """
        if request.kind not in _HTTP_APIS or self._is_uncached or not _identity(event):
            return False
        if request.is_off_its_route:
            return True
        if self._table is None or (request.is_path_in_arn and not self._is_simple(request)):
            return False
        return self._requirements_below(self._table, request.route_key) != {None}

    # May it?

    def _refusal(self, event: dict[str, Any], request: _Request, token: _Token) -> AccessDeniedError | None:
        if self._table is None:
            return None
        if request.path is None:
            return AccessDeniedError(f"{request.kind}: an authorizer with rules denies an event without a route")
        rule = None if request.is_off_its_route else self._table.deciding(request.method, request.path)
        if rule is None:
            why = "the path is none of the gateway's route" if request.is_off_its_route else "no rule covers it"
            refusal = AccessDeniedError(f"{shown(f'{request.method} {request.path}')}: {why}, so it is denied")
            if self._is_kept_for_other_paths(event, request):
                raise refusal  # a 500: the only answer that an HTTP API does not cache
            return refusal
        second = None if request.with_stage is None else self._table.deciding(request.method, request.with_stage)
        return _refusal_by(rule, token) or (None if second is None else _refusal_by(second, token))

    # In the gateway's words

    def _answer(
        self, request: _Request, token: _Token | None, refusal: TokenError | AccessDeniedError | None
    ) -> dict[str, Any]:
        context = self._context_of(token)
        if refusal is not None:
            context["code"] = refusal.code
            context["message"] = re.sub(_NOT_IN_A_TEMPLATE, "?", str(refusal).replace('"', "'"))
        if request.kind == "AppSync":
            return {
                "isAuthorized": refusal is None,
                "resolverContext": context,
                "ttlOverride": self._appsync_seconds(token, refusal),
            }
        answer: dict[str, Any]
        if self._is_simple(request):
            answer = {"isAuthorized": refusal is None, "context": context}
        else:
            answer = {
                "principalId": (token and token.sub) or _NO_PRINCIPAL,
                "policyDocument": policy_document(self._statements(request, token, refusal)),
                "context": context,
            }
            usage_key = self._usage_key_of(request, token)
            if usage_key is not None:
                answer["usageIdentifierKey"] = usage_key
        if len(json.dumps(answer)) > MOST_BYTES:
            warnings.warn(
                f"the authorizer's answer is over {MOST_BYTES:,} bytes, AWS's limit for WebSocket APIs: fewer rules, "
                "less in context=, or policy_scope='request'",
                stacklevel=2,
            )
        return answer

    def _statements(
        self, request: _Request, token: _Token | None, refusal: CognitoVerifyError | None
    ) -> list[dict[str, object]]:
        if token is not None and self._table is None and self._covers_api:
            return [allow_api(request.api)]
        this_request = (refusal is None and allow_request(request.arn)) or deny_request(request.arn)
        if token is None or self._policy is None:
            return [this_request]
        statements = self._policy.statements(token, request.api)
        # Not said by the patterns: an ARN without a path, a path off its route, one with two readings that the token
        # meets both, one that leaks into what is allowed.
        says_more = not request.is_path_in_arn or request.is_off_its_route
        may_be_let_through = str(request.path).endswith("/") or bool(self._policy.leaks_for(token))
        if says_more or (refusal is not None and may_be_let_through):
            statements = [*statements, this_request]
        return statements

    def _context_of(self, token: _Token | None) -> dict[str, Any]:
        if token is None:
            return {}
        added = {} if self._context is None else _checked_context(self._context(token))
        lossless = {**_default_claims(token), **added}
        flat = {name: value for name, value in lossless.items() if name != "cognito:groups"}
        groups = comma_joined(joinable(token.groups))
        if groups:
            flat["cognito:groups"] = groups
        return {**flat, "claims": json.dumps(lossless, separators=(",", ":"))}

    def _usage_key_of(self, request: _Request, token: _Token | None) -> str | None:
        if self._usage_key is None or token is None or request.kind not in ("TOKEN", "REQUEST"):
            return None
        usage_key = self._usage_key(token)
        if usage_key is not None and (not isinstance(usage_key, str) or not usage_key):
            raise ConfigurationError(f"usage_key: expected an API key or None, found {type(usage_key).__name__}")
        return usage_key

    def _appsync_seconds(self, token: _Token | None, refusal: CognitoVerifyError | None) -> int:
        if token is None:
            return 0 if refusal is not None and refusal.transient else self._appsync_ttl
        left = int(token["exp"] - self._verifier.clock())
        return max(0, min(self._appsync_ttl, left))


class _Request(NamedTuple):
    """What an event asks about, by the gateway's own word."""

    kind: _Kind
    arn: str = ""
    api: str = ""  # the ARN up to the stage and its slash
    method: str = ""
    path: str | None = None  # None: the event has no route
    is_path_in_arn: bool = False
    with_stage: str | None = None  # a second reading of the path, where its first segment may be the stage or its own
    route_key: str = ""  # of an HTTP API
    is_off_its_route: bool = False  # the gateway chose its route by another reading of the path than the one it reports


def _request(event: Any) -> _Request:
    kind = _kind(event)
    if kind == "AppSync":
        return _Request(kind)
    arn = event["routeArn" if kind == "HTTP API 2.0" else "methodArn"]
    parts = _ARN.fullmatch(arn) if isinstance(arn, str) else None
    if parts is None:
        raise ConfigurationError(f"event: expected the ARN of a method or route of an API, found {shown(arn)}")
    api, method, path = parts["api"], parts["method"], parts["path"]
    # A route's pattern in the place of the path would be decided as if `{proxy+}` were what the client asked for.
    pattern = event.get("resource") if kind == "HTTP API 1.0" else str(event.get("routeKey")).partition(" ")[2]
    route_key = f"{event.get('httpMethod')} {pattern}" if kind == "HTTP API 1.0" else str(event.get("routeKey"))
    raw_path = event.get("rawPath")  # HTTP APIs have it in format 2.0
    less_stage = _less_stage(raw_path, api) if isinstance(raw_path, str) else None
    if path is not None and ("{" not in path or path != pattern or path == less_stage):
        return _Request(
            kind,
            arn,
            api,
            method,
            path,
            is_path_in_arn=True,
            route_key=route_key,
            is_off_its_route=kind in _HTTP_APIS and _is_off_its_route(method, path, route_key),
        )
    context = _members(event.get("requestContext"))
    method = str(_members(context.get("http")).get("method"))
    if less_stage is None:
        return _Request(kind, arn, api, route_key=route_key)
    return _Request(
        kind,
        arn,
        api,
        method,
        less_stage,
        with_stage=raw_path if less_stage != raw_path and _is_domain_of_ones_own(context, api) else None,
        route_key=route_key,
        is_off_its_route=_is_off_its_route(method, less_stage, route_key),
    )


def _is_off_its_route(method: str, path: str, route_key: str) -> bool:
    """Whether the route that an HTTP API chose does not cover the path that it reports; `$default` covers them all.

    HTTP APIs report the path decoded (`GET /acme%2F1` as `/acme/1`, and what follows a `%3F` not at all). Where they
    chose the route by the path as it was sent, `GET /{tenant}` would be decided by the rule for `GET /{tenant}/{id}`.

    Source: captures of API Gateway's events that middleapi/standard-server's pull request 93 names.
    """
    segments = segments_of(path)
    routes = [route for route in _routes_of(route_key) if method in route.methods]
    if route_key == "$default" or segments is None or not routes:
        return False
    readings = [segments, segments[:-1]] if segments[-1] == "" and len(segments) > 1 else [segments]
    return not any(route.matches(reading) for route in routes for reading in readings)


@lru_cache(maxsize=256)
def _routes_of(route_key: str) -> tuple[Rule, ...]:
    """A gateway's route as rules that cover the same; none for a route that no rule could be written for."""
    try:
        return tuple(Rule(key) for key in (("ANY /", "ANY /{proxy+}") if route_key == "$default" else (route_key,)))
    except ConfigurationError:
        return ()


def _kind(event: Any) -> _Kind:
    if isinstance(event, dict):
        context, kind = _members(event.get("requestContext")), event.get("type")
        if "routeArn" in event:
            return "HTTP API 2.0"
        if kind == "REQUEST" and event.get("version") == "1.0" and "methodArn" in event:
            return "HTTP API 1.0"  # REST APIs send the same members, but no version
        if kind == "REQUEST" and "methodArn" in event:
            return "$connect" if context.get("eventType") == "CONNECT" else "REQUEST"
        if kind == "TOKEN" and "methodArn" in event:
            return "TOKEN"
        if kind is None and "authorizationToken" in event and "apiId" in context:
            return "AppSync"
    found = f"members {shown(sorted(map(str, event)))}" if isinstance(event, dict) else type(event).__name__
    raise ConfigurationError(
        "event: expected that of an authorizer (TOKEN or REQUEST of API Gateway, or AppSync), found "
        f"{found}; a handler's own requests are guarded by require_token"
    )


def _less_stage(raw_path: str, api: str) -> str:
    """The path of an HTTP API's request as its routes have it: all stages but `$default` are part of the path."""
    stage = api.split("/")[1]
    if stage != "$default" and f"{raw_path}/".startswith(f"/{stage}/"):
        return raw_path[len(stage) + 1 :] or "/"
    return raw_path  # `$default`, or a domain name of one's own, mapped to a stage


def _is_domain_of_ones_own(context: dict[str, Any], api: str) -> bool:
    """Whether the request came by a custom domain name. There the path may have the stage in front of it or not."""
    domain_name, api_id = context.get("domainName"), api.partition("/")[0].rpartition(":")[2]
    return isinstance(domain_name, str) and not domain_name.startswith(f"{api_id}.")


def _members(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class _Identity(tuple[str, ...]):
    """Values of identity sources, the token among them: a report with local variables must not show them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} values)"


def _identity(event: dict[str, Any]) -> _Identity:
    """The values of the authorizer's identity sources; format 1.0 has them in one string, REST APIs do not tell."""
    values = event.get("identitySource")
    several = values if isinstance(values, list) else [values]
    return _Identity(value for value in several if isinstance(value, str) and value)


def _cookies(event: dict[str, Any]) -> str:
    return str([event.get("cookies"), header_values(event, "Cookie")])


def _is_sent(event: dict[str, Any], text: str, *, but_for: str = "") -> bool:
    """Whether the client sent the text somewhere else than in one header.

    A header of its own making must not pass for the gateway's route key.
    """
    headers = _members(event.get("headers"))
    others = [headers[name] for name in headers if name.lower() != but_for]
    sent = [_members(event.get(name)).values() for name in ("queryStringParameters", "pathParameters")]
    cookies = event.get("cookies")
    return any(text in values for values in (others, *sent, cookies if isinstance(cookies, list) else []))


def _requirements_below(table: RuleTable, route_key: str) -> frozenset[object]:
    """What the rules require of the paths that the gateway gives to a route; None where no rule decides.

    The table itself is asked, about a path from each rule's share of the route in each length that matters.
    """
    requirements: set[object] = set()
    for route in _routes_of(route_key):
        most = longest((*table.rules, route))
        for rule in (*table.rules, route):
            paths = {
                f"/{'/'.join(common)}"
                for word, share in product(generic_words(route, most), generic_words(rule, most))
                if (common := _common_path(word, share))
            }
            for method, path in product(set(route.methods) & set(rule.methods), paths):
                decides = table.deciding(method, path)
                requirements.add(None if decides is None else (decides.groups, decides.scopes))
    return frozenset(requirements)


def _common_path(one: tuple[str, ...], other: tuple[str, ...]) -> list[str]:
    """The segments of a path in which both patterns meet, with as few of the rules' literals as possible."""
    common = []
    for first, second in zip(one, other, strict=False):
        if first != second and (OTHER not in (first, second) or "" in (first, second)):
            return []
        common.append(second if first == OTHER else first)
    return common if len(one) == len(other) else []


def _refusal_by(rule: Rule, token: _Token) -> AccessDeniedError | None:
    why = rule.why_not(token)
    if not why:
        return None
    lacks_scope = rule.scopes is not None and not rule.scopes.is_met_by(scopes_of(token))
    return InsufficientScopeError(why) if lacks_scope else MissingGroupError(why)


def _default_claims(token: _Token) -> dict[str, Any]:
    """What authorization needs and no more: gateways write the context to access logs."""
    claims = {
        "sub": token.sub,
        "username": token.username,
        "client_id": token.client_id,
        "token_use": token.token_use,
        "iss": token.issuer,
        "exp": token["exp"],
        "scope": token.get("scope") if isinstance(token, AccessToken) else None,  # an ID token grants nothing
        "cognito:groups": list(token.groups) or None,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _checked_context(added: object) -> dict[str, _ContextValue]:
    if not isinstance(added, Mapping):
        raise ConfigurationError(f"context: expected a callable that returns a dict, found {type(added).__name__}")
    for name, value in added.items():
        if not isinstance(name, str) or not name or name in _RESERVED:
            raise ConfigurationError(f"context: expected names that are not taken, found {shown(name)}")
        if not isinstance(value, (str, int, float)) or (isinstance(value, float) and not isfinite(value)):
            raise ConfigurationError(
                f"context: {name}: expected a string, number or boolean, found {type(value).__name__}; gateways "
                "refuse anything else, None as well: leave it out"
            )
    return dict(added)


def _required(rule: Rule) -> str:
    required = [f"{name} {one}" for name, one in (("scopes", rule.scopes), ("groups", rule.groups)) if one is not None]
    return " and ".join(required) or "what every verified token meets"


def _choice(option: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ConfigurationError(f"{option}: expected {' or '.join(map(repr, choices))}, found {shown(value)}")
    return value
