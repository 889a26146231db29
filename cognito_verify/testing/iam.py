"""What a gateway makes of an authorizer's answer.

Written from the IAM User Guide, without a look at the policy compiler, so that it can judge what that one writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from cognito_verify.errors import ConfigurationError, shown

__all__ = ["is_allowed"]

_ACTION = "execute-api:invoke"  # in lower case: actions are compared without regard to it


def is_allowed(answer: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether the gateway lets a request through on an authorizer's answer.

    The event need not be the one that was answered: give another to see what the gateway's cache would make of it.

        answer = authorizer(lambda_event("token-authorizer", token=token, path="/price"))
        assert not is_allowed(answer, lambda_event("token-authorizer", token=token, path="/admin"))

    Args:
        answer: A policy, a simple answer of an HTTP API, or one of AppSync's.
        event: An authorizer's event; with a policy, the request is the one of its method or route ARN.

    Raises:
        ConfigurationError: The answer is none that a gateway understands, or the event has no ARN.

    Source: "IAM JSON policy elements: Resource" and "Policy evaluation logic", IAM User Guide: `*` matches any
        characters, slashes included, and none at all; `?` matches one character; a Deny that matches wins; what nothing
        allows is denied. "Output from an API Gateway Lambda authorizer", API Gateway Developer Guide.
    """
    simple = answer.get("isAuthorized")
    if isinstance(simple, bool):
        return simple
    policy, arn = answer.get("policyDocument"), event.get("routeArn", event.get("methodArn"))
    if not isinstance(policy, Mapping) or policy.get("Version") != "2012-10-17" or "Statement" not in policy:
        raise ConfigurationError(
            "answer: expected isAuthorized, or a policyDocument of version 2012-10-17, found members "
            f"{shown(sorted(map(str, answer)))}"
        )
    if not isinstance(arn, str):
        raise ConfigurationError("event: expected an authorizer's event, with a methodArn or a routeArn, found neither")
    statements = policy["Statement"]
    effects = {
        statement["Effect"]
        for statement in ([statements] if isinstance(statements, Mapping) else statements)
        if _concerns(statement, arn)
    }
    return effects == {"Allow"}


def _concerns(statement: Mapping[str, Any], arn: str) -> bool:
    if statement.keys() - {"Sid"} != {"Action", "Effect", "Resource"} or statement["Effect"] not in ("Allow", "Deny"):
        raise ConfigurationError(
            "policy: expected statements of an Action, an Effect (Allow or Deny) and a Resource, found "
            f"{shown(dict(statement))}"
        )
    is_concerned = any(_matches(action.lower(), _ACTION) for action in _listed(statement["Action"]))
    return is_concerned and any(_matches(resource, arn) for resource in _listed(statement["Resource"]))


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> re.Pattern[str]:
    wildcards = {"*": ".*", "?": "."}
    return re.compile("".join(wildcards.get(one) or re.escape(one) for one in pattern), re.DOTALL)


def _listed(value: str | Iterable[str]) -> Iterable[str]:
    return [value] if isinstance(value, str) else value
