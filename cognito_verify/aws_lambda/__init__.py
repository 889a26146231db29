"""Verified tokens in AWS Lambda: a decorator for handlers, and an authorizer for API Gateway and AppSync.

The handler string `cognito_verify.aws_lambda.authorize` is an authorizer that is made from the environment when the
runtime asks for it; importing this package reads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    "CloudWatchObserver",
    "LambdaAuthorizer",
    "Rule",
    "claims_of",
    "cookie",
    "header",
    "query",
    "require_token",
]

if TYPE_CHECKING:
    from cognito_verify.aws_lambda.authorizer import LambdaAuthorizer
    from cognito_verify.aws_lambda.decorator import require_token
    from cognito_verify.aws_lambda.events import claims_of, cookie, header, query
    from cognito_verify.aws_lambda.metrics import CloudWatchObserver
    from cognito_verify.aws_lambda.rules import Rule

    authorize: LambdaAuthorizer
else:
    # Loaded when first asked for (PEP 562). `authorize` is no part of `__all__`: a star import must not need settings.

    def __getattr__(name):
        if name == "authorize":
            from cognito_verify.aws_lambda.environment import authorizer_from_env

            value = authorizer_from_env()
        elif name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        else:
            if name == "require_token":
                from cognito_verify.aws_lambda import decorator as module
            elif name == "LambdaAuthorizer":
                from cognito_verify.aws_lambda import authorizer as module
            elif name == "CloudWatchObserver":
                from cognito_verify.aws_lambda import metrics as module
            elif name == "Rule":
                from cognito_verify.aws_lambda import rules as module
            else:
                from cognito_verify.aws_lambda import events as module
            value = getattr(module, name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
