"""GET /reports/{id}, for the group `finance`: the authorizer lets nobody else through, so nothing is verified here."""

from __future__ import annotations

import json
import os
from typing import Any

from cognito_verify.aws_lambda import claims_of

__all__ = ["handler"]


def handler(event: dict[str, Any], context: object = None) -> dict[str, Any]:  # noqa: ARG001 - Lambda's
    """For proxy integration. The claims are the authorizer's word, which the gateway hands on."""
    claims = claims_of(event)
    report = {
        "report": event["pathParameters"]["id"],
        "for": claims.get("username"),
        "groups": claims.get("cognito:groups", []),
    }
    return {
        "statusCode": 200,
        "headers": {
            "Content-Type": "application/json",
            "Access-Control-Allow-Origin": os.environ.get("ALLOWED_ORIGIN", "*"),
        },
        "body": json.dumps(report),
    }
