"""A Django project in one module, for the tests: the same paths guarded in every way that there is.

Importing it sets Django up. `COGNITO_VERIFY` comes with `override_settings`, as a user's tests would have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import django
from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.http import HttpRequest, JsonResponse
from django.test import override_settings
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View

from cognito_verify.verifier import CognitoVerifier
from tests.integrations.refusals import PATHS, Guards, who
from tests.integrations.serving import _running

AUTHENTICATION = "cognito_verify.integrations.django.rest_framework.CognitoAuthentication"
MIDDLEWARE = "cognito_verify.integrations.django.middleware.CognitoMiddleware"

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "rest_framework",
            "drf_spectacular",
            "cognito_verify.integrations.django",
        ],
        LOGGING_CONFIG=None,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [AUTHENTICATION],
            "DEFAULT_PERMISSION_CLASSES": ["cognito_verify.integrations.django.rest_framework.HasToken"],
            "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
        },
        ROOT_URLCONF=__name__,
        SECRET_KEY="of the tests",
        USE_TZ=True,
    )
    django.setup()

# These want Django to be set up.
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from cognito_verify.integrations.django.decorators import require_token, token_not_required  # noqa: E402
from cognito_verify.integrations.django.rest_framework import HasGroups, HasScopes, HasToken  # noqa: E402

STYLES = ("decorator", "async", "class", "async-class", "dispatch", "rest")


def answer(request: Any) -> JsonResponse:
    assert who() == {"username": request.cognito_token.username} == {"username": request.user.username}
    return JsonResponse(who())


async def answer_async(request: HttpRequest) -> JsonResponse:
    assert await request.auser() == request.user
    return answer(request)


class Answer(View):
    def get(self, request: HttpRequest) -> JsonResponse:
        return answer(request)


class AnswerAsync(View):
    async def get(self, request: HttpRequest) -> JsonResponse:
        return await answer_async(request)


def rest_view(groups: Any = None, scopes: Any = None) -> Callable[..., Any]:
    class Rest(APIView):
        permission_classes = (
            [HasGroups(groups)] if groups is not None else [HasScopes(scopes)] if scopes is not None else [HasToken]
        )

        def get(self, request: Any) -> Response:
            assert who() == {"username": request.auth.username} == {"username": request.user.username}
            return Response(who())

    return Rest.as_view()


def view_of(style: str, asked: dict[str, Any]) -> Callable[..., Any]:
    guard = require_token(**asked)
    if style == "rest":
        return rest_view(**asked)
    if style == "dispatch":
        return method_decorator(guard, name="dispatch")(type("Guarded", (Answer,), {})).as_view()
    classes = {"class": Answer.as_view(), "async-class": AnswerAsync.as_view()}
    return guard({"decorator": answer, "async": answer_async, **classes}[style])


@token_not_required
def open_view(request: HttpRequest) -> JsonResponse:
    return JsonResponse({**who(), "has_token": hasattr(request, "cognito_token")})


urlpatterns = [
    *(
        path(f"{style}/", include([path(one.lstrip("/"), view_of(style, asked)) for one, asked in PATHS.items()]))
        for style in STYLES
    ),
    path("open", open_view),
    path("bare", answer),
    path("bare-async", answer_async),
]


def middleware(*inner: str) -> Any:
    """The settings of a project behind `CognitoMiddleware`."""
    return override_settings(MIDDLEWARE=["django.middleware.common.CommonMiddleware", MIDDLEWARE, *inner])


def sync_only(get_response: Any) -> Any:
    """A middleware that makes Django call all above it in a thread."""

    def handle(request: HttpRequest) -> Any:
        return get_response(request)

    return handle


def settings_of(guards: Guards, where: str = "/") -> dict[str, Any]:
    """`COGNITO_VERIFY` for the pool of the tests, with the keys that a path's verifier has."""
    verifier: CognitoVerifier[Any] = guards.of(where)
    return {
        "USER_POOL_ID": verifier._pools,
        "TOKEN_USE": "access",
        "CLOCK": verifier.clock,
        "JWKS_CACHE": verifier._jwks,
    }


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served_by_django(app: Any) -> Iterator[str]:
    """The URL of a WSGI application under the server of `manage.py runserver`, without a slash at its end."""
    assert not iscoroutinefunction(app)
    with ThreadedWSGIServer(("127.0.0.1", 0), QuietHandler, allow_reuse_address=False) as server:
        server.daemon_threads = True
        server.set_app(app)
        with _running(lambda: server.serve_forever(0.05)):
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
