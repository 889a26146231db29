"""An authorizer made from the environment alone, for the handler string `cognito_verify.aws_lambda.authorize`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cognito_verify.aws_lambda.authorizer import LambdaAuthorizer
from cognito_verify.aws_lambda.rules import Rule
from cognito_verify.errors import ConfigurationError, shown
from cognito_verify.requirements import Requirement, all_of, any_of
from cognito_verify.verifier import CognitoVerifier

__all__ = ["VARIABLES", "authorizer_from_env"]

_REQUIRED = ("COGNITO_USER_POOL_ID", "COGNITO_CLIENT_ID", "COGNITO_TOKEN_USE")
_OPTIONAL = (
    *("COGNITO_JWKS", "COGNITO_JWKS_URI", "COGNITO_RULES", "COGNITO_POLICY_SCOPE", "COGNITO_HTTP_API_RESPONSE"),
    *("COGNITO_SIMPLE_UNCACHED", "COGNITO_BAD_TOKEN", "COGNITO_METRICS_NAMESPACE"),
)
_MOST_LEVELS = 64  # of any_of in all_of
VARIABLES = (*_REQUIRED, *_OPTIONAL)
"""Every variable that `authorizer_from_env` reads; `CognitoVerifier.from_env` reads some of them."""
_ALIKE = 0.75  # of what follows `COGNITO_`: RULE and RULES, POLICYSCOPE and POLICY_SCOPE, JWKS_URL and JWKS_URI


def authorizer_from_env() -> LambdaAuthorizer:
    """An authorizer from the environment.

    Reads what `CognitoVerifier.from_env` reads and, where they are set, `COGNITO_RULES` (JSON text or the path of a
    file), `COGNITO_POLICY_SCOPE` ("api" or "request"), `COGNITO_HTTP_API_RESPONSE` ("iam" or "simple"),
    `COGNITO_SIMPLE_UNCACHED` ("true" or "false"), `COGNITO_BAD_TOKEN` ("unauthorized" or "deny") and
    `COGNITO_METRICS_NAMESPACE` (then a `CloudWatchObserver` writes metrics). A rule is `{"route": "GET /reports/{id}",
    "groups": ["finance"], "scopes": {"all_of": ["a", "b"]}}`; of a list any one name is enough.

    Raises:
        ConfigurationError: A variable is empty, malformed or misspelt; the message begins with its name.
    """
    _check_spelling()
    namespace = _env("COGNITO_METRICS_NAMESPACE")
    observer = None
    if namespace is not None:
        from cognito_verify.aws_lambda.metrics import CloudWatchObserver  # only those who observe pay for it

        with _naming("COGNITO_METRICS_NAMESPACE"):
            observer = CloudWatchObserver(namespace)
    verifier = CognitoVerifier.from_env(observer=observer)
    scope: Any = _choice("COGNITO_POLICY_SCOPE", "api", "request")
    response: Any = _choice("COGNITO_HTTP_API_RESPONSE", "iam", "simple")
    bad_token: Any = _choice("COGNITO_BAD_TOKEN", "unauthorized", "deny")
    simple_uncached = _choice("COGNITO_SIMPLE_UNCACHED", "false", "true") == "true"
    text = _env("COGNITO_RULES")
    with _naming("COGNITO_RULES"):  # all else that the constructor could refuse has been read by now
        return LambdaAuthorizer(
            verifier,
            rules=None if text is None else _rules(text),
            policy_scope=scope,
            http_api_response=response,
            simple_uncached=simple_uncached,
            bad_token=bad_token,
        )


def _check_spelling() -> None:
    """A misspelt variable must not pass for one that is not set: without `COGNITO_RULES` every route is open."""
    unset = {name.removeprefix("COGNITO_"): name for name in _OPTIONAL if name not in os.environ}
    for name in sorted(os.environ):
        if name.startswith("COGNITO_") and name not in VARIABLES:
            meant = get_close_matches(name.removeprefix("COGNITO_"), unset, n=1, cutoff=_ALIKE)
            if meant:
                raise ConfigurationError(f"{name}: there is no such variable; rename it to {unset[meant[0]]}")


def _env(name: str) -> str | None:
    value = os.environ.get(name)
    if value is not None and not value.strip():
        raise ConfigurationError(f"{name}: expected a value, or no such variable, found an empty one")
    return value and value.strip()


def _choice(name: str, default: str, other: str) -> str:
    value = (_env(name) or default).lower()
    if value not in (default, other):
        raise ConfigurationError(f"{name}: expected {default!r} or {other!r}, found {shown(value)}")
    return value


@contextmanager
def _naming(variable: str) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{variable}: {str(error).removeprefix('rules: ')}") from None


def _rules(text: str) -> list[Rule]:
    """The rules in a JSON array, given as text or as a file's path."""
    if not text.startswith(("[", "{")):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"expected JSON text or the path of a file: {error}") from None
    try:
        items = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"expected JSON: {error}") from None
    if not isinstance(items, list):
        raise ConfigurationError(f"expected a JSON array of rules, found {type(items).__name__}")
    return [_rule(number, item) for number, item in enumerate(items, 1)]


def _rule(number: int, item: Any) -> Rule:
    with _naming(f"rule {number}"):
        if not isinstance(item, dict) or "route" not in item:
            raise ConfigurationError(f"expected an object with a route, found {shown(item)}")
        unknown = [name for name in item if name not in ("route", "groups", "scopes")]
        if unknown:
            raise ConfigurationError(
                f"{shown(unknown[0])} is no member of a rule; there are route and, as you like, groups and scopes"
            )
        needs: dict[str, Requirement] = {
            name: _requirement(name, item[name]) for name in ("groups", "scopes") if name in item
        }
        return Rule(item["route"], **needs)


def _requirement(option: str, value: Any, levels: int = _MOST_LEVELS) -> Requirement:
    """Names in JSON: one, a list of which any is enough, or `{"any_of": [...]}` and `{"all_of": [...]}`, nested."""
    if not levels:
        raise ConfigurationError(f"{option}: expected at most {_MOST_LEVELS} levels of nesting, found more")
    combine = any_of
    if isinstance(value, dict) and len(value) == 1 and (name := next(iter(value))) in ("any_of", "all_of"):
        combine, value = (any_of if name == "any_of" else all_of), value[name]
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value:
        raise ConfigurationError(
            f"{option}: expected names, any_of or all_of, found {shown(value)}; leave {option} out to ask for none"
        )
    return combine(*(one if isinstance(one, str) else _requirement(option, one, levels - 1) for one in value))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError(f"a member twice in {shown(sorted(name for name, _ in pairs))}")
    return members
