"""The application: it brings the system checks, and tells drf-spectacular of the authentication."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.core import checks

__all__ = ["CognitoVerifyConfig"]


class CognitoVerifyConfig(AppConfig):
    """`cognito_verify.integrations.django` in `INSTALLED_APPS`."""

    name = "cognito_verify.integrations.django"
    label = "cognito_verify"
    verbose_name = "Amazon Cognito"

    def ready(self) -> None:
        """Register what is looked for elsewhere."""
        from cognito_verify.integrations.django.checks import check_authentication, check_settings

        checks.register(check_settings, checks.Tags.security)
        checks.register(check_authentication, checks.Tags.security)
        if apps.is_installed("drf_spectacular"):
            from cognito_verify.integrations.django import spectacular  # noqa: F401 - importing it registers it
