"""A custom authorizer with Powertools' Logger and data classes; who may call what is said in rules.

The function's handler is `examples.powertools.authorizer.handler`; behind it, `claims_of` reads the claims.
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes import event_source
from aws_lambda_powertools.utilities.data_classes.api_gateway_authorizer_event import APIGatewayAuthorizerRequestEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from cognito_verify import CognitoVerifier
from cognito_verify.aws_lambda import LambdaAuthorizer, Rule

logger = Logger(service="authorizer")
authorizer = LambdaAuthorizer(
    CognitoVerifier.from_env(), rules=[Rule("GET /me"), Rule("GET /reports/{id}", groups="finance")]
)


@logger.inject_lambda_context
@event_source(data_class=APIGatewayAuthorizerRequestEvent)
def handler(event: APIGatewayAuthorizerRequestEvent, context: LambdaContext) -> dict[str, Any]:
    logger.info("asked", extra={"path": event.path, "stage": event.parsed_arn.stage})
    return authorizer(event, context)
