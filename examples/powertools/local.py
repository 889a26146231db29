"""The API and its authorizer on this machine, without AWS: real tokens, and the events that AWS would send.

python -m examples.powertools.local
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cognito_verify.testing import FakeUserPool, is_allowed, lambda_event

__all__ = ["Context", "main"]


@dataclass(frozen=True)
class Context:
    """What Powertools' Logger reads of the context that Lambda gives a handler."""

    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    function_name: str = "reports"
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:reports"
    memory_limit_in_mb: int = 128


def main() -> None:
    pool = FakeUserPool()
    with pool.environment("access"):
        from examples.powertools.app import handler  # its verifier is made from the environment
        from examples.powertools.authorizer import handler as authorizer
    context: Any = Context()
    ada, bob = pool.access_token("ada", groups="finance"), pool.access_token("bob")
    for who, raw in (("nobody", None), ("bob", bob), ("ada", ada)):
        answer = handler(lambda_event("http", raw, path="/reports/7"), context)
        print(f"{who:<8}GET /reports/7  {answer['statusCode']}  {answer['body']}")
    for who, raw in (("bob", bob), ("ada", ada)):
        event = lambda_event("request-authorizer", raw, path="/reports/7")
        print(f"{who:<8}authorizer      {'Allow' if is_allowed(authorizer(event, context), event) else 'Deny'}")


if __name__ == "__main__":
    main()
