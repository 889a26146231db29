"""System checks: a wrong setting is found when the project starts, not by its first request."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks

from cognito_verify.integrations.django.conf import NAME, WrongSettingError, configured

__all__ = ["check_authentication", "check_settings"]


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """What is wrong with `COGNITO_VERIFY`, and what can hardly be meant. Nothing is fetched."""
    try:
        configured()
    except WrongSettingError as error:
        return [checks.Error(str(error), hint=error.hint, id=f"cognito_verify.{error.check}")]
    given = getattr(settings, NAME)
    if given.get("CLIENT_ID", "") is None:
        return [
            checks.Warning(
                f"{NAME}: CLIENT_ID is None: the tokens of every app client of the pool are accepted",
                hint="Name the app client, or several. Silence this check where any client is meant.",
                id="cognito_verify.W001",
            )
        ]
    return []


def check_authentication(**_: Any) -> list[checks.CheckMessage]:
    """Whether another authentication class is asked before ours, by the settings of Django REST framework."""
    if not apps.is_installed("rest_framework"):
        return []
    from cognito_verify.integrations.django.rest_framework import is_second_by_default  # needs the framework

    if not is_second_by_default():
        return []
    return [
        checks.Warning(
            "REST_FRAMEWORK: DEFAULT_AUTHENTICATION_CLASSES: another class stands before CognitoAuthentication: a "
            "request that it believes, such as one with a session, is let in without a look at its token",
            hint="Put CognitoAuthentication first: requests without a bearer token are left to the others.",
            id="cognito_verify.W002",
        )
    ]
