"""Django REST framework: authentication, permissions, schema; test_django_served.py has it under real servers."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core import checks
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from django.views.decorators.cache import cache_page

from cognito_verify import all_of, current_token
from cognito_verify.answers import answer_to
from cognito_verify.errors import CheckFailedError, ConfigurationError, TokenExpiredError
from cognito_verify.integrations.django.decorators import require_token
from cognito_verify.integrations.django.users import CognitoUser
from cognito_verify.integrations.wsgi import CognitoMiddleware
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.testing import FakeUserPool
from tests.integrations import django_project
from tests.integrations.refusals import who

# isort: split
# What follows wants Django to be set up, as the module above does.
from django.contrib.auth.models import AnonymousUser, User
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView
from openapi_spec_validator import validate
from rest_framework.authentication import BasicAuthentication, SessionAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny, BasePermission, IsAdminUser, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from cognito_verify.integrations.django.rest_framework import (
    AccessRefused,
    CognitoAuthentication,
    HasGroups,
    HasScopes,
    HasToken,
    TokenRefused,
)

URLS = django_project.__name__


@pytest.fixture
def pool() -> Iterator[FakeUserPool]:
    """A pool that the settings describe."""
    pool = FakeUserPool()
    with override_settings(COGNITO_VERIFY=described(pool)):
        yield pool


def described(pool: FakeUserPool, **changed: Any) -> dict[str, Any]:
    settings = {"USER_POOL_ID": pool.user_pool_id, "CLIENT_ID": pool.client_id, "TOKEN_USE": "access"}
    return {**settings, "JWKS": pool.jwks, **changed}


def request_with(raw: str | None = None) -> HttpRequest:
    header = {} if raw is None else {"HTTP_AUTHORIZATION": raw if " " in raw else f"Bearer {raw}"}
    request: HttpRequest = RequestFactory().get("/", **header)
    return request


def view_of(permissions: Any, **attributes: Any) -> Any:
    """A view with these permissions, which says who asks."""

    def get(self: object, request: Any) -> Response:
        del self
        return Response({"user": str(request.user), "auth": request.auth and request.auth.username})

    members = {"permission_classes": permissions, "get": get, **attributes}
    anything: Any = type("Anything", (APIView,), members)
    return anything.as_view()


def reply_of(permissions: Any, raw: str | None = None, **attributes: Any) -> Any:
    """What a view with these permissions answers."""
    view = view_of(permissions, **attributes)
    response = view(request_with(raw))
    response.render()
    return response


def answer(response: Any) -> tuple[int, str | None, Any]:
    return response.status_code, response.headers.get("WWW-Authenticate"), response.data


# Authentication


def test_without_a_token_a_request_is_anonymous_and_a_bad_one_is_refused_all_the_same(pool: FakeUserPool) -> None:
    assert reply_of([AllowAny]).data == {"user": str(AnonymousUser()), "auth": None}
    assert reply_of([AllowAny], "Basic YWRhOmxvdmVsYWNl").data["auth"] is None
    assert reply_of([AllowAny], pool.access_token("ada")).data == {"user": "ada", "auth": "ada"}
    assert reply_of([AllowAny], pool.expired()).data["code"] == "token_expired"


def test_the_frameworks_own_permission_answers_401_with_a_challenge(pool: FakeUserPool) -> None:
    assert answer(reply_of([IsAuthenticated]))[:2] == (401, "Bearer")
    assert reply_of([IsAuthenticated], pool.access_token("ada")).status_code == 200


@pytest.mark.parametrize("first", [SessionAuthentication, BasicAuthentication])
def test_a_refusal_is_the_same_behind_any_other_authentication(pool: FakeUserPool, first: Any) -> None:
    # the first class has no challenge, or another one: the framework would answer 403, or ask for a password
    classes = [first, CognitoAuthentication]
    for raw in (None, pool.expired(), pool.access_token("ada")):
        alone = reply_of([HasGroups("finance")], raw)
        behind = reply_of([HasGroups("finance")], raw, authentication_classes=classes)
        assert answer(behind) == answer(alone)
    assert reply_of([HasToken], authentication_classes=classes).status_code == 401


def test_another_scheme_is_left_to_another_authentication(pool: FakeUserPool) -> None:
    class Password(BasicAuthentication):
        def authenticate_credentials(self, userid: str, password: str, request: Any = None) -> Any:
            del password, request
            return User(username=userid), None

    classes = [CognitoAuthentication, Password]
    basic = "Basic YWRhOmxvdmVsYWNl"
    assert reply_of([IsAuthenticated], basic, authentication_classes=classes).data["user"] == "ada"
    # who is logged in otherwise and has no token
    assert answer(reply_of([HasToken], basic, authentication_classes=classes))[:2] == (401, "Bearer")
    assert pool.user_pool_id


class Session(BasicAuthentication):
    """Who has one is believed whatever else the request brings, as by `SessionAuthentication`."""

    def authenticate(self, request: Any) -> Any:
        del request
        return User(username="of the session"), None


def test_a_session_beside_a_token_is_no_token_and_no_fault_of_the_program(pool: FakeUserPool) -> None:
    forged = FakeUserPool("us-east-1_Another").access_token("ada")
    behind: Any = {"authentication_classes": [Session, CognitoAuthentication]}
    for raw in (forged, pool.access_token("ada")):
        reply = reply_of([HasToken], raw, **behind)
        assert answer(reply)[:2] == (401, "Bearer")
        assert reply.data["code"] == "missing_token"
        assert "send the token without cookies" in reply.data["message"]
    assert "found nothing" in reply_of([HasToken], **behind).data["message"]


def test_a_token_counts_before_a_session_where_its_class_stands_first(pool: FakeUserPool) -> None:
    forged = FakeUserPool("us-east-1_Another").access_token("ada")
    first: Any = {"authentication_classes": [CognitoAuthentication, Session]}
    assert reply_of([HasToken], pool.access_token("ada"), **first).data["user"] == "ada"
    assert reply_of([IsAuthenticated], **first).data["user"] == "of the session"
    assert reply_of([IsAuthenticated], forged, **first).status_code == 401


def test_a_session_beside_a_token_is_no_user_of_djangos_request_either(pool: FakeUserPool) -> None:
    async def of_the_session() -> str:
        return "of the session"

    for raw, name in ((pool.access_token("ada"), "ada"), (None, "of the session")):
        request = request_with(raw)
        request.user, request.auser = User(username="of the session"), of_the_session
        view_of([AllowAny], authentication_classes=[CognitoAuthentication, Session])(request)
        assert [str(request.user), str(asyncio.run(request.auser()))] == [name, name]


OURS = django_project.AUTHENTICATION
OTHERS = "rest_framework.authentication.SessionAuthentication"


@pytest.mark.parametrize(
    ("classes", "found"),
    [
        ([OURS], []),
        ([OURS, OTHERS], []),
        ([OTHERS], []),
        ([], []),
        ([OTHERS, OURS], ["cognito_verify.W002"]),
        ([OTHERS, f"{__name__}.Derived"], ["cognito_verify.W002"]),
        ([f"{__name__}.described", OURS], ["cognito_verify.W002"]),  # no class: the framework calls it
    ],
)
def test_a_system_check_finds_another_authentication_before_ours(
    pool: FakeUserPool, classes: list[str], found: list[str]
) -> None:
    with override_settings(REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": classes}):
        told = [one for one in checks.run_checks() if (one.id or "").startswith("cognito_")]
    assert [one.id for one in told] == found
    assert all((one.hint or "").startswith("Put CognitoAuthentication first") for one in told)
    assert pool.user_pool_id


class Derived(CognitoAuthentication):
    """What a project may make of ours."""


def test_an_answer_of_an_application_may_have_a_status_of_its_own(pool: FakeUserPool) -> None:
    class LockedError(CheckFailedError):
        http_status = 423

    def check(_: object) -> None:
        raise LockedError("locked")

    with override_settings(COGNITO_VERIFY=described(pool, CHECKS=[check])):
        assert reply_of([HasToken], pool.access_token("ada")).status_code == 423


def test_an_exception_handler_of_the_application_finds_the_refusal(pool: FakeUserPool) -> None:
    found: list[Any] = []

    def handler(error: Any, _: object) -> Response:
        found.append(error.refusal)
        return Response("ours", status=error.status_code)

    attributes = {"get_exception_handler": lambda _: handler}
    assert reply_of([HasToken], pool.expired(), **attributes).data == "ours"
    assert type(found[0]) is TokenExpiredError


def test_a_refusal_pickles() -> None:
    refusal = TokenRefused(TokenExpiredError("exp: expired"))
    again = pickle.loads(pickle.dumps(refusal))  # noqa: S301 - our own
    assert (again.detail, again.status_code, str(again.refusal)) == (refusal.detail, 401, "exp: expired")
    assert again.auth_header == answer_to(refusal.refusal).headers["WWW-Authenticate"]


def test_throttles_tell_bearers_apart(pool: FakeUserPool) -> None:
    class Once(UserRateThrottle):
        rate = "1/day"

    def status(name: str) -> int:
        code: int = reply_of([HasToken], pool.access_token(name), throttle_classes=[Once]).status_code
        return code

    assert [status(name) for name in ("carol", "dan", "carol")] == [200, 200, 429]


def test_the_token_of_one_request_is_not_that_of_the_next_in_the_thread(pool: FakeUserPool) -> None:
    seen: list[Any] = []

    @api_view(["GET"])
    @permission_classes([AllowAny])
    def view(_: object) -> Response:
        seen.append(current_token())
        return Response()

    with override_settings(ROOT_URLCONF=type("urls", (), {"urlpatterns": [path("seen", view)]})):
        client = Client()
        client.get("/seen", HTTP_AUTHORIZATION=pool.access_token("ada"))
        client.get("/seen")
        served(WSGIHandler(), "/seen", pool.access_token("bob"))  # and its answer is never closed: nothing has ended it
        client.get("/seen")
    assert [token and token.username for token in seen] == ["ada", None, "bob", None]
    assert current_token() is None


def served(app: Any, path: str, raw: str) -> None:
    environ: dict[str, Any] = {"PATH_INFO": path, "HTTP_AUTHORIZATION": raw, "HTTP_HOST": "testserver"}
    setup_testing_defaults(environ)
    app(environ, lambda _status, _headers: None)


def test_behind_a_middleware_for_wsgi_its_token_is_that_of_the_views_which_ask_for_none(pool: FakeUserPool) -> None:
    seen: list[Any] = []
    copies = []

    @api_view(["GET"])
    @permission_classes([AllowAny])
    def asking(_: object) -> Response:
        seen.append(current_token())
        copies.append(copy_context())
        return Response()

    @api_view(["GET"])
    @authentication_classes([])
    @permission_classes([AllowAny])
    def open_to_all(_: object) -> Response:
        seen.append(current_token())
        return Response()

    app = CognitoMiddleware(WSGIHandler(), pool.verifier())
    urls = [path("asking", asking), path("open", open_to_all)]
    with override_settings(ROOT_URLCONF=type("urls", (), {"urlpatterns": urls})):
        served(app, "/asking", pool.access_token("ada"))
        served(app, "/open", pool.access_token("bob"))
    assert [token and token.username for token in seen] == ["ada", "bob"]
    assert copies[0].run(current_token) is None


def test_a_request_that_a_view_makes_has_not_the_views_token(pool: FakeUserPool) -> None:
    seen: list[Any] = []

    @api_view(["GET"])
    @permission_classes([AllowAny])
    def inner(_: object) -> Response:
        seen.append(current_token())
        return Response()

    @require_token()
    def outer(_: HttpRequest) -> HttpResponse:
        client = Client()
        client.get("/inner")
        client.get("/inner", HTTP_AUTHORIZATION=pool.access_token("bob"))
        seen.append(current_token())
        return HttpResponse()

    with override_settings(
        ROOT_URLCONF=type("urls", (), {"urlpatterns": [path("inner", inner), path("outer", outer)]})
    ):
        Client().get("/outer", HTTP_AUTHORIZATION=pool.access_token("ada"))
    assert [token and token.username for token in seen] == [None, "bob", "ada"]


def test_a_cached_answer_is_for_its_bearer_alone(pool: FakeUserPool) -> None:
    urls = [path(name, cache_page(60)(view_of([one]))) for name, one in (("open", AllowAny), ("closed", HasToken))]
    raws = {name: {"HTTP_AUTHORIZATION": pool.access_token(name)} for name in ("ada", "bob")}
    client = Client(HTTP_HOST="cached.of.rest.framework")

    def found(where: str, *names: str) -> list[str | None]:
        return [client.get(where, **raws.get(name, {})).json().get("user") for name in names]

    with override_settings(ROOT_URLCONF=type("urls", (), {"urlpatterns": urls})):
        assert found("/open", "nobody", "ada", "bob", "ada") == ["AnonymousUser", "ada", "bob", "ada"]
        assert found("/closed", "ada", "bob", "nobody", "ada") == ["ada", "bob", None, "ada"]


def test_every_answer_of_a_view_that_asks_for_tokens_says_that_it_varies(pool: FakeUserPool) -> None:
    def vary(*asked: Any, **attributes: Any) -> str | None:
        value: str | None = reply_of(*asked, **attributes).headers.get("Vary")
        return value

    for raw in (None, pool.expired(), pool.access_token("ada")):
        assert vary([AllowAny], raw) == vary([HasGroups("finance")], raw) == "Accept, Authorization"
    assert vary([AllowAny], renderer_classes=[JSONRenderer]) == "Authorization"
    assert vary([AllowAny], authentication_classes=[BasicAuthentication]) == "Accept"


def test_a_request_that_no_view_handles_is_authenticated_as_well(pool: FakeUserPool) -> None:
    plain = request_with(pool.access_token("ada"))
    for request in (plain, Request(plain)):
        found = CognitoAuthentication().authenticate(request)
        assert found is not None
        assert found[1].username == "ada"


def test_the_observer_is_told_of_every_decision_once(pool: FakeUserPool) -> None:
    told: list[str | None] = []

    def observe(event: VerificationEvent | FetchEvent) -> None:
        assert isinstance(event, VerificationEvent)
        told.append(event.code)

    two = f"Bearer {pool.access_token('ada')}, Bearer {pool.access_token('bob')}"
    with override_settings(COGNITO_VERIFY=described(pool, OBSERVER=observe)):
        for raw in (None, pool.expired(), two, pool.access_token("ada")):
            reply_of([HasToken], raw)
        assert told == ["missing_token", "token_expired", "malformed_token", None]
        reply_of([HasGroups("finance")], pool.access_token("ada"))
        reply_of([HasGroups("finance") | IsAuthenticated], pool.access_token("ada"))
    assert told[4:] == [None, "missing_group", None]


def test_the_observer_hears_nothing_of_what_the_framework_asks_about_requests_that_nobody_made(
    pool: FakeUserPool,
) -> None:
    told: list[str | None] = []

    def observe(event: VerificationEvent | FetchEvent) -> None:
        assert isinstance(event, VerificationEvent)
        told.append(event.code)

    class Orders(GenericAPIView[Any]):
        serializer_class = Serializer

        def get_permissions(self) -> Any:
            if self.request.method == "POST":
                return [(HasGroups("finance") & HasScopes("orders/write"))()]
            return [HasToken()]

        def get(self, request: Any) -> Response:
            del request
            return Response("orders")

        post = get

    urlconf = type("urls", (), {})
    urlconf.urlpatterns = [  # type: ignore[attr-defined]
        path("orders", Orders.as_view()),
        path("schema", SpectacularAPIView.as_view(serve_public=False, urlconf=urlconf)),
    ]
    templates = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
    ada = {"HTTP_AUTHORIZATION": f"Bearer {pool.access_token('ada')}"}
    with override_settings(
        COGNITO_VERIFY=described(pool, OBSERVER=observe),
        ROOT_URLCONF=urlconf,
        STATIC_URL="/static/",
        TEMPLATES=templates,
    ):
        page = Client().get("/orders", HTTP_ACCEPT="text/html", **ada)
        assert b"<html" in page.content
        options = Client().options("/orders", **ada).json()
        assert "actions" not in options
        schema = Client().get("/schema", HTTP_ACCEPT="application/json", **ada).json()
        assert list(schema["paths"]["/orders"]) == ["get"]
        assert told == [None] * 3
        refused = Client().post("/orders", HTTP_ACCEPT="text/html", **ada)
        assert refused.status_code == 403
        assert b"missing_group" in refused.content
        assert told[3:] == [None, "missing_group"]


# Permissions


class Suspended(HasGroups):
    """What a project may make of ours."""

    def __init__(self) -> None:
        super().__init__("suspended")


class Sales(HasToken):
    """As above, of the permission without an argument."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return super().has_permission(request, view) and "sales" in request.auth.groups


@pytest.mark.parametrize(
    ("permissions", "claims", "status"),
    [
        ([HasGroups("finance")], {"groups": "finance"}, 200),
        ([HasGroups("finance")], {"groups": "sales"}, 403),
        ([HasGroups(["finance", "sales"])], {"groups": "sales"}, 200),
        ([HasGroups(all_of("finance", "sales"))], {"groups": "sales"}, 403),
        ([HasScopes("orders/read")], {"scopes": "orders/read"}, 200),
        ([HasScopes("orders/read")], {}, 403),
        ([HasGroups("finance"), HasScopes("orders/read")], {"groups": "finance", "scopes": "orders/read"}, 200),
        ([HasGroups("finance"), HasScopes("orders/read")], {"groups": "finance"}, 403),
        ([HasGroups("finance") & HasScopes("orders/read")], {"groups": "finance", "scopes": "orders/read"}, 200),
        ([HasGroups("finance") & HasScopes("orders/read")], {"scopes": "orders/read"}, 403),
        ([HasGroups("finance") | HasScopes("orders/read")], {"scopes": "orders/read"}, 200),
        ([HasGroups("finance") | IsAuthenticated], {}, 200),
        ([IsAdminUser | HasGroups("finance")], {"groups": "finance"}, 200),
        ([IsAdminUser | HasGroups("finance")], {}, 403),
        ([HasToken & ~HasGroups("suspended")], {}, 200),
        ([HasToken & ~HasGroups("suspended")], {"groups": "suspended"}, 403),
        ([~HasGroups("suspended")], {}, 200),
        ([~HasGroups("suspended")], {"groups": "suspended"}, 403),
        ([~~HasGroups("finance")], {"groups": "finance"}, 200),
        ([~~HasGroups("finance")], {}, 403),
        ([~~~HasGroups("suspended")], {}, 200),
        ([~~~HasGroups("suspended")], {"groups": "suspended"}, 403),
        ([Suspended], {"groups": "suspended"}, 200),
        ([Suspended], {}, 403),
        ([Suspended()], {"groups": "suspended"}, 200),
        ([Suspended()], {}, 403),
        ([~Suspended], {}, 200),
        ([~Suspended], {"groups": "suspended"}, 403),
        ([~Suspended()], {}, 200),
        ([~~Suspended], {"groups": "suspended"}, 200),
        ([~~Suspended], {}, 403),
        ([~Suspended & HasGroups("finance")], {"groups": "finance"}, 200),
        ([~Suspended & HasGroups("finance")], {}, 403),
        ([~Sales], {}, 200),
        ([~Sales], {"groups": "sales"}, 403),
        ([~HasScopes("orders/read")], {}, 200),
        ([~HasScopes("orders/read")], {"scopes": "orders/read"}, 403),
        ([IsAdminUser | ~HasGroups("suspended")], {}, 200),
        ([~HasGroups("suspended") | IsAdminUser], {"groups": "suspended"}, 403),
        ([HasToken & ~(HasGroups("suspended") | HasScopes("orders/read"))], {}, 200),
        ([HasToken & ~(HasGroups("suspended") | HasScopes("orders/read"))], {"scopes": "orders/read"}, 403),
    ],
)
def test_permissions_ask_for_groups_and_scopes_and_combine(
    pool: FakeUserPool, permissions: Any, claims: dict[str, Any], status: int
) -> None:
    def get_object(self: Any, request: Any) -> Response:
        self.check_object_permissions(request, object())
        return Response()

    raw = pool.access_token("ada", **claims)
    assert reply_of(permissions, raw).status_code == status
    assert reply_of(permissions, raw, get=get_object).status_code == status
    assert reply_of(permissions).status_code == 401


@pytest.mark.parametrize("claims", [None, {"groups": "sales"}, {"groups": "finance"}, {"scopes": "orders/read"}])
def test_where_both_must_pass_the_answer_is_that_of_the_one_which_refuses(
    pool: FakeUserPool, claims: dict[str, Any] | None
) -> None:
    raw = None if claims is None else pool.access_token("ada", **claims)
    expected = answer(reply_of([HasGroups("finance"), HasScopes("orders/read")], raw))
    assert expected[0] == (401 if raw is None else 403)
    assert answer(reply_of([HasGroups("finance") & HasScopes("orders/read")], raw)) == expected
    assert answer(reply_of([HasGroups("finance") & HasScopes("orders/read") & IsAuthenticated], raw)) == expected


def test_where_another_permission_refuses_beside_ours_the_answer_is_its_own(pool: FakeUserPool) -> None:
    class Closed(BasePermission):
        message, code = "closed on sundays", "closed"

        def has_permission(self, request: Any, view: Any) -> bool:
            del request, view
            return False

    raw = pool.access_token("ada", groups="finance")
    for permission in (Closed, IsAdminUser):
        expected = answer(reply_of([HasGroups("finance"), permission], raw))
        assert answer(reply_of([HasGroups("finance") & permission], raw)) == expected
        assert expected[0] == 403
        assert expected[2]["detail"].code == getattr(permission, "code", "permission_denied")


def test_where_both_must_pass_both_are_asked_about_an_object(pool: FakeUserPool) -> None:
    class Owner(BasePermission):
        message, code = "not yours", "not_yours"

        def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
            del request, view
            return bool(obj == "mine")

    def asking(obj: str) -> Any:
        def get(self: Any, request: Any) -> Response:
            self.check_object_permissions(request, obj)
            return Response()

        return get

    raw = pool.access_token("ada", groups="finance")
    for permission in (HasGroups("finance") & Owner, HasToken & Owner, HasToken & (HasGroups("finance") & Owner)):
        assert reply_of([permission], raw, get=asking("mine")).status_code == 200
        refused = reply_of([permission], raw, get=asking("another's"))
        assert (refused.status_code, refused.data["detail"].code) == (403, "not_yours")


def test_a_permission_that_several_requests_share_answers_each_with_its_own_refusal(pool: FakeUserPool) -> None:
    permissions = [HasGroups("finance"), HasGroups("finance") & HasScopes("orders/read")]
    request = Request(request_with(pool.access_token("ada")), authenticators=[CognitoAuthentication()])

    for permission in permissions:
        shared = permission()
        contexts = [copy_context() for _ in range(2)]
        assert not contexts[0].run(shared.has_permission, request, None)
        raw = pool.access_token("ada", groups="sales")
        other = Request(request_with(raw), authenticators=[CognitoAuthentication()])
        assert not contexts[1].run(shared.has_permission, other, None)
        said = []
        for context in contexts:
            with pytest.raises(AccessRefused) as refusal:
                context.run(getattr, shared, "message")
            said.append("sales" in str(refusal.value.refusal))
        assert said == [False, True]


def test_a_header_that_is_longer_than_a_token_may_be_is_malformed(pool: FakeUserPool) -> None:
    del pool
    for classes in ([CognitoAuthentication], []):
        reply = reply_of([HasToken], "a " * 16_000, authentication_classes=classes)
        assert (reply.status_code, reply.data["code"]) == (401, "malformed_token")


def test_a_permission_decides_on_an_object_by_itself_as_well(pool: FakeUserPool) -> None:
    request = Request(request_with(pool.access_token("ada", groups="sales")), authenticators=[CognitoAuthentication()])
    found = [one().has_object_permission(request, None, object()) for one in (HasGroups("sales"), HasGroups("finance"))]
    assert found == [True, False]


def test_who_is_known_otherwise_passes_where_a_negated_permission_is_one_of_two(pool: FakeUserPool) -> None:
    class AdminsPassword(BasicAuthentication):
        def authenticate_credentials(self, userid: str, password: str, request: Any = None) -> Any:
            del password, request
            return User(username=userid, is_staff=True), None

    classes = [CognitoAuthentication, AdminsPassword]
    permissions = [~HasGroups("suspended") | IsAdminUser]
    basic = "Basic YWRhOmxvdmVsYWNl"
    assert reply_of(permissions, basic, authentication_classes=classes).status_code == 200
    assert reply_of([~HasGroups("suspended")], basic, authentication_classes=classes).status_code == 401
    assert pool.user_pool_id


def test_an_id_token_has_no_scopes(pool: FakeUserPool) -> None:
    with override_settings(COGNITO_VERIFY=described(pool, TOKEN_USE="id")):
        reply = reply_of([HasScopes("orders/read")], pool.id_token("ada"))
    assert (reply.status_code, reply.data["code"]) == (403, "insufficient_scope")


def test_a_permission_without_its_authentication_is_a_fault_of_the_program(pool: FakeUserPool) -> None:
    with pytest.raises(ConfigurationError, match="expected CognitoAuthentication among the authentication classes"):
        reply_of([HasToken], pool.access_token("ada"), authentication_classes=[BasicAuthentication])


@pytest.mark.parametrize("senseless", [None, [], "", "two words"])
def test_a_senseless_requirement_fails_where_it_stands(senseless: Any) -> None:
    with pytest.raises(ConfigurationError, match="groups: "):
        HasGroups(senseless)
    with pytest.raises(ConfigurationError, match="scopes: "):
        HasScopes(senseless)


def test_a_permission_has_no_message_before_it_refuses() -> None:
    assert not hasattr(HasToken(), "message")


def test_a_test_of_the_application_may_force_a_token(pool: FakeUserPool) -> None:
    @api_view(["GET"])
    @permission_classes([HasGroups("finance")])
    def view(request: Any) -> Response:
        return Response([request.auth.username, request.user and request.user.username, who()["username"]])

    ada = pool.verifier().verify(pool.access_token("ada", groups="finance"))
    for user, said in ((None, None), (CognitoUser(ada), "ada")):
        request = APIRequestFactory().get("/")
        force_authenticate(request, user=user, token=ada)
        assert view(request).data == ["ada", said, "ada"]


def test_a_request_that_no_signal_begins_has_not_the_token_of_the_one_before(pool: FakeUserPool) -> None:
    @api_view(["GET"])
    @permission_classes([AllowAny])
    def view(request: Any) -> Response:
        return Response([request.auth and request.auth.username, who()["username"]])

    for raw, said in ((pool.access_token("ada"), "ada"), (None, None)):
        assert view(request_with(raw)).data == [said, said]


# The schema


def test_the_schema_names_the_bearer_token() -> None:
    schema = SchemaGenerator(urlconf=URLS).get_schema(request=None, public=True)
    validate(schema)
    assert schema["components"]["securitySchemes"] == {
        "cognito": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    assert schema["paths"]["/rest/"]["get"]["security"] == [{"cognito": []}]
