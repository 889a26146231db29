"""Who may call what: a Lambda authorizer in the place of API Gateway's Cognito authorizer.

The handler is `authorizer.handler`, the settings are `COGNITO_USER_POOL_ID`, `COGNITO_CLIENT_ID` and
`COGNITO_TOKEN_USE`. The handler string `cognito_verify.aws_lambda.authorize`, with the rules in `COGNITO_RULES` and
`COGNITO_METRICS_NAMESPACE=CognitoVerify`, does the same without this file, but for the e-mail address in the context.
"""

from __future__ import annotations

import os
from typing import Literal

from cognito_verify import AccessToken, CognitoVerifier, IdToken
from cognito_verify.aws_lambda import CloudWatchObserver, LambdaAuthorizer, Rule

__all__ = ["RULES", "authorizer_for"]

RULES = (
    Rule("POST /pricepermeter"),  # every registered user
    Rule("POST /proxy/pricepermeter"),
    Rule("GET /reports/{id}", groups="finance"),
)


def authorizer_for(
    verifier: CognitoVerifier[AccessToken | IdToken], *, http_api_response: Literal["iam", "simple"] = "iam"
) -> LambdaAuthorizer:
    """The authorizer of the REST API; with "simple", that of an HTTP API with the same routes."""
    return LambdaAuthorizer(verifier, rules=RULES, context=_added, http_api_response=http_api_response)


def _added(token: AccessToken | IdToken) -> dict[str, str]:
    """`$context.authorizer.email`, as mapping templates had it from `$context.authorizer.claims.email`."""
    return {"email": token.email} if isinstance(token, IdToken) and token.email else {}


# In Lambda's init phase, so that a wrong setting is seen before the first request.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    handler = authorizer_for(CognitoVerifier.from_env(observer=CloudWatchObserver()))  # template.yaml has the alarms
