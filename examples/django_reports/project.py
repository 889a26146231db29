"""Reports that registered users may read, and figures for the group "finance" alone: a Django project in one module.

    pip install '.[drf]'
    export COGNITO_USER_POOL_ID=us-east-1_AbCdEfGhI COGNITO_CLIENT_ID=1example23456789 COGNITO_TOKEN_USE=access
    python examples/django_reports/project.py runserver

`/reports` and `/reports/<name>` are views of Django itself, `/finance/figures` is one of its REST framework.
"""

from __future__ import annotations

import os
import secrets
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    COGNITO_VERIFY={
        "USER_POOL_ID": os.environ["COGNITO_USER_POOL_ID"],
        "CLIENT_ID": os.environ["COGNITO_CLIENT_ID"],
        "TOKEN_USE": os.environ["COGNITO_TOKEN_USE"],
        "JWKS_URI": os.environ.get("COGNITO_JWKS_URI"),  # of a pool on this machine
    },
    INSTALLED_APPS=["rest_framework", "cognito_verify.integrations.django"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["cognito_verify.integrations.django.rest_framework.CognitoAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["cognito_verify.integrations.django.rest_framework.HasToken"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "UNAUTHENTICATED_USER": None,  # no django.contrib.auth here, and no database
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY=secrets.token_urlsafe(),
)
django.setup()

# These want Django to be set up.
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from cognito_verify.integrations.django.decorators import CognitoRequest, require_token  # noqa: E402
from cognito_verify.integrations.django.rest_framework import HasGroups  # noqa: E402


def health(_: HttpRequest) -> JsonResponse:
    return JsonResponse({"up": True})


@require_token()
def reports(request: CognitoRequest) -> JsonResponse:
    return JsonResponse({"for": request.cognito_token.username, "reports": ["2026-10", "2026-11"]})


@require_token()
async def report(request: CognitoRequest, name: str) -> JsonResponse:
    return JsonResponse({"for": request.cognito_token.username, "report": name})


class Figures(APIView):
    permission_classes = [HasGroups("finance")]  # noqa: RUF012 - as the framework's own documentation writes it

    def get(self, request: Any) -> Response:
        return Response({"for": request.auth.username, "turnover": 400_000})


urlpatterns = [
    path("health", health),
    path("reports", reports),
    path("reports/<str:name>", report),
    path("finance/figures", Figures.as_view()),
]
application = get_wsgi_application()
asgi_application = get_asgi_application()

if __name__ == "__main__":
    execute_from_command_line()
