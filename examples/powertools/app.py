"""An API on Powertools' Event Handler: every route needs a token, `/reports` the group `finance` besides.

The function's handler is `examples.powertools.app.handler`; its verifier is made from the environment.
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, CORSConfig
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from cognito_verify import CognitoVerifier
from cognito_verify.integrations.powertools import CognitoMiddleware

verifier = CognitoVerifier.from_env()
logger = Logger(service="reports")
app = APIGatewayHttpResolver(cors=CORSConfig(allow_origin="https://app.example.com", allow_headers=["Authorization"]))
app.use(middlewares=[CognitoMiddleware(verifier)])


@app.get("/me")
def me() -> dict[str, Any]:
    token = app.context["token"]
    logger.info("profile read", extra={"sub": token.sub})
    return {"username": token.username, "groups": list(token.groups)}


@app.get("/reports/<report_id>", middlewares=[CognitoMiddleware(verifier, groups="finance")])
def report(report_id: str) -> dict[str, Any]:
    return {"report": report_id, "for": app.context["token"].username}


@logger.inject_lambda_context(
    correlation_id_path=correlation_paths.API_GATEWAY_HTTP
)  # log_event stays off: see the page
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
