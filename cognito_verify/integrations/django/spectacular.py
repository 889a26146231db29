"""drf-spectacular: the authentication in the OpenAPI schema. Importing this module registers it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

__all__ = ["CognitoScheme"]


class CognitoScheme(OpenApiAuthenticationExtension):
    """`CognitoAuthentication` is a bearer token.

    Source: OpenAPI Specification 3.0.3, "Security Scheme Object".
    """

    target_class = "cognito_verify.integrations.django.rest_framework.CognitoAuthentication"
    match_subclasses = True
    name = "cognito"

    def get_security_definition(self, auto_schema: object) -> dict[str, Any]:  # noqa: ARG002 - its base's signature
        """The scheme, by which clients and pages of documentation know how to send the token."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
