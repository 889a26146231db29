"""Handlers as a user writes them, for functions that run in Lambda's own runtime client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from cognito_verify import CognitoVerifier, current_token
from cognito_verify.aws_lambda import CloudWatchObserver, LambdaAuthorizer, Rule, require_token

verifier = CognitoVerifier.from_env(observer=CloudWatchObserver())


@require_token(verifier)
def guarded(event: dict[str, Any], context: Any, token: Any) -> dict[str, Any]:
    claims = event["requestContext"]["authorizer"]["claims"]
    body = {"username": token.username, "sub": claims["sub"], "function": context.function_name}
    return {"statusCode": 200, "body": json.dumps(body)}


@require_token(verifier)
async def guarded_async(event: dict[str, Any], _: object) -> dict[str, Any]:
    await asyncio.sleep(0)
    token = current_token()
    assert token is not None
    return {"statusCode": 200, "body": f"{token.username} {event['path']}"}


def awaited(event: dict[str, Any], context: object) -> Any:
    return asyncio.run(guarded_async(event, context))


authorizer = LambdaAuthorizer(
    verifier, rules=[Rule("POST /pricepermeter"), Rule("GET /reports/{id}", groups="finance")]
)
