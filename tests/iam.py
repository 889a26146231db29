"""The kit's IAM evaluator, for what the compiler writes: may a token with this policy call this method ARN?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cognito_verify.testing import is_allowed as is_let_through

__all__ = ["ACTION", "is_allowed", "matches"]

ACTION = "execute-api:Invoke"


def is_allowed(policy: Mapping[str, Any], arn: str) -> bool:
    """Whether the policy lets a request for the ARN through."""
    return is_let_through({"policyDocument": policy}, {"methodArn": arn})


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern of a resource matches all of the text."""
    statement = {"Action": ACTION, "Effect": "Allow", "Resource": pattern}
    return is_allowed({"Version": "2012-10-17", "Statement": [statement]}, text)
