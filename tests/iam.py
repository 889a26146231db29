"""A small IAM evaluator for what a gateway asks: may this token call this method ARN?

Written from the IAM User Guide ("IAM JSON policy elements: Resource", "Policy evaluation logic"), without a look at the
compiler: `*` matches any characters, slashes included, and none at all; `?` matches one character, a slash included;
case counts; an explicit Deny wins; what nothing allows is denied. Policy variables stand for themselves, as they do for
a gateway that does not know them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

__all__ = ["is_allowed", "matches"]

ACTION = "execute-api:Invoke"


def is_allowed(policy: Mapping[str, Any], arn: str) -> bool:
    """Whether the policy lets a request for the ARN through."""
    assert policy["Version"] == "2012-10-17"
    effects = {statement["Effect"] for statement in policy["Statement"] if _concerns(statement, arn)}
    assert effects <= {"Allow", "Deny"}
    return effects == {"Allow"}


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern matches all of the text."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=100_000)
def _compiled(pattern: str) -> re.Pattern[str]:
    wildcards = {"*": ".*", "?": "."}
    return re.compile("".join(wildcards.get(one) or re.escape(one) for one in pattern), re.DOTALL)


def _concerns(statement: Mapping[str, Any], arn: str) -> bool:
    assert statement.keys() == {"Action", "Effect", "Resource"}
    is_concerned = any(matches(action.lower(), ACTION.lower()) for action in _listed(statement["Action"]))
    return is_concerned and any(matches(resource, arn) for resource in _listed(statement["Resource"]))


def _listed(value: str | Iterable[str]) -> Iterable[str]:
    return [value] if isinstance(value, str) else value
