"""Django projects: the decorator, the middleware, users and settings, with Django's own client."""

from __future__ import annotations

import asyncio
import pickle
import re
import sys
import threading
from collections.abc import Iterator
from contextvars import Context, copy_context
from copy import copy, deepcopy
from functools import partial, wraps
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import django
import pytest
from django import urls
from django.apps import apps
from django.contrib.auth import decorators as auth_decorators
from django.contrib.auth.context_processors import PermWrapper
from django.core import checks
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import Context as TemplateContext
from django.template import Engine
from django.template.response import SimpleTemplateResponse
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory, modify_settings, override_settings
from django.utils.decorators import method_decorator
from django.views import View
from django.views.debug import get_default_exception_reporter_filter
from django.views.decorators.cache import cache_page
from django.views.decorators.vary import vary_on_headers

from cognito_verify import current_token
from cognito_verify.errors import AccessDeniedError, ConfigurationError
from cognito_verify.integrations.django.conf import configured
from cognito_verify.integrations.django.decorators import require_token, token_not_required
from cognito_verify.integrations.django.middleware import CognitoMiddleware
from cognito_verify.integrations.django.users import CognitoUser
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.testing import FakeUserPool
from tests.integrations.django_project import MIDDLEWARE, middleware

# isort: split
# This wants Django to be set up, as the module above does.
from django.contrib.auth.models import User


@pytest.fixture
def pool() -> Iterator[FakeUserPool]:
    """A pool that the settings describe."""
    pool = FakeUserPool()
    with override_settings(COGNITO_VERIFY=described(pool)):
        yield pool


def described(pool: FakeUserPool, **changed: Any) -> dict[str, Any]:
    settings = {"USER_POOL_ID": pool.user_pool_id, "CLIENT_ID": pool.client_id, "TOKEN_USE": "access", **changed}
    return {"JWKS": pool.jwks, **{name: value for name, value in settings.items() if value != "<absent>"}}


def request_with(raw: str | None = None, **environ: Any) -> HttpRequest:
    return RequestFactory().get("/", **environ, **({} if raw is None else {"HTTP_AUTHORIZATION": f"Bearer {raw}"}))


@require_token()
def whose(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": str(request.user), "kind": type(request.user).__name__})


def test_an_optional_token_may_be_absent_and_leaves_the_sessions_user(pool: FakeUserPool) -> None:
    @require_token(optional=True)
    def view(request: Any) -> HttpResponse:
        return HttpResponse(f"{request.user} {request.cognito_token and request.cognito_token.username}")

    def reply(raw: str | None) -> bytes:
        request = request_with(raw)
        request.user = "of the session"
        content: bytes = view(request).content
        return content

    assert reply(None) == b"of the session None"
    assert reply(pool.access_token("ada")) == b"ada ada"
    assert b"token_expired" in reply(pool.expired())
    assert b"missing_token" in view(request_with(HTTP_AUTHORIZATION="Basic YWRhOmxvdmVsYWNl")).content


def test_a_template_is_rendered_when_the_decorated_view_is_over_and_within_the_middleware(pool: FakeUserPool) -> None:
    class Late(SimpleTemplateResponse):
        @property
        def rendered_content(self) -> str:
            return str(current_token() and self._request.cognito_token is current_token())

    def view(request: Any) -> HttpResponse:
        response = Late("any.html")
        response._request = request
        return response

    patterns = [urls.path("bare", view), urls.path("decorated", require_token()(view))]
    raw = pool.access_token("ada")
    with override_settings(ROOT_URLCONF=type("urlconf", (), {"urlpatterns": patterns})):
        assert Client().get("/decorated", HTTP_AUTHORIZATION=raw).content == b"None"
        with middleware():
            assert Client().get("/bare", HTTP_AUTHORIZATION=raw).content == b"True"


def test_an_optional_token_of_an_async_view_may_be_absent(pool: FakeUserPool) -> None:
    @require_token(optional=True)
    async def view(request: Any) -> HttpResponse:
        return HttpResponse(str(request.cognito_token and request.cognito_token.username))

    found = [asyncio.run(view(request_with(raw))).content for raw in (None, pool.access_token("ada"))]
    assert found == [b"None", b"ada"]


def test_the_user_of_a_token_takes_the_place_of_the_sessions(pool: FakeUserPool) -> None:
    request = request_with(pool.access_token("ada"))
    request.user = "of the session"
    assert whose(request).content == b'{"user": "ada", "kind": "CognitoUser"}'


def test_a_cached_answer_is_not_served_to_another_bearer(pool: FakeUserPool) -> None:
    page = cache_page(60)(whose)
    raw = [pool.access_token(name) for name in ("ada", "bob")]
    found = [page(request_with(one, HTTP_HOST="cached")).content for one in (raw[0], raw[1], raw[0])]
    assert [b"ada" in one for one in found] == [True, False, True]
    assert page(request_with(HTTP_HOST="cached")).status_code == 401


CACHE = "django.middleware.cache"


@pytest.mark.parametrize(
    ("cached", "order"),
    [
        pytest.param(lambda view: cache_page(60)(vary_on_headers("Authorization")(view)), [MIDDLEWARE], id="page"),
        pytest.param(
            lambda view: view,
            [f"{CACHE}.UpdateCacheMiddleware", MIDDLEWARE, f"{CACHE}.FetchFromCacheMiddleware"],
            id="project",
        ),
    ],
)
def test_a_cache_and_the_middleware_as_the_manual_has_them_keep_bearers_apart(
    pool: FakeUserPool, request: pytest.FixtureRequest, cached: Any, order: list[str]
) -> None:
    asked: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        asked.append(str(request.user))
        return HttpResponse(str(request.user))

    urlconf = type("urlconf", (), {"urlpatterns": [urls.path("cached", cached(view))]})
    raws = {name: pool.access_token(name) for name in ("ada", "bob")}
    with override_settings(MIDDLEWARE=order, ROOT_URLCONF=urlconf):
        client = Client(HTTP_HOST=f"{request.node.callspec.id}.cached")
        for name in ("ada", "bob", "ada"):
            assert client.get("/cached", HTTP_AUTHORIZATION=raws[name]).content == name.encode()
        assert client.get("/cached").status_code == 401
    assert asked == ["ada", "bob"]


def test_what_an_answer_varies_by_already_stays(pool: FakeUserPool) -> None:
    view = require_token()(vary_on_headers("Accept-Language")(lambda _: HttpResponse()))
    assert view(request_with(pool.access_token("ada"))).headers["Vary"] == "Accept-Language, Authorization"


def test_every_answer_where_a_token_is_asked_for_says_that_it_varies(pool: FakeUserPool) -> None:
    sent: list[dict[str, str]] = [{}, *({"Authorization": raw} for raw in (pool.expired(), pool.access_token("ada")))]

    def found(path: str) -> list[tuple[int, str | None]]:
        answers = [Client().get(path, headers=headers) for headers in sent]
        answers += [asyncio.run(AsyncClient().get(path, headers=headers)) for headers in sent]
        return [(answer.status_code, answer.headers.get("Vary")) for answer in answers]

    guarded = [(401, "Authorization"), (401, "Authorization"), (200, "Authorization")] * 2
    assert found("/decorator/") == found("/async/") == guarded
    with middleware():
        assert found("/bare") == found("/bare-async") == guarded
        assert found("/open") == [(200, None)] * 6


def test_an_error_report_as_the_manual_has_it_does_not_show_the_token(pool: FakeUserPool) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "django.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```python\n# mysite/reporting.py\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    reporting = ModuleType("reporting_of_the_manual")
    exec(shown, reporting.__dict__)  # noqa: S102 - our own page

    def view(_: HttpRequest) -> HttpResponse:
        raise RuntimeError

    urlconf = type("urlconf", (), {"urlpatterns": [urls.path("fails", require_token()(view))]})
    raw = pool.access_token("ada")

    def reported() -> str:
        get_default_exception_reporter_filter.cache_clear()
        with override_settings(DEBUG=True, ROOT_URLCONF=urlconf):
            return (
                Client(raise_request_exception=False).get("/fails", HTTP_AUTHORIZATION=f"Bearer {raw}").content.decode()
            )

    assert (raw in reported()) == (django.VERSION < (5, 2))
    sys.modules[reporting.__name__] = reporting
    try:
        with override_settings(DEFAULT_EXCEPTION_REPORTER_FILTER=f"{reporting.__name__}.WithoutTokens"):
            report = reported()
    finally:
        del sys.modules[reporting.__name__]
        get_default_exception_reporter_filter.cache_clear()
    assert "HTTP_AUTHORIZATION" in report
    assert raw not in report


@pytest.mark.parametrize("path", ["nothing", "nothing-async"])
def test_a_view_without_an_answer_is_named_by_djangos_own_error(pool: FakeUserPool, path: str) -> None:
    @require_token()
    def forgetful(_: HttpRequest) -> None:
        return None

    @require_token()
    async def forgetful_async(_: HttpRequest) -> None:
        return None

    patterns = [urls.path("nothing", forgetful), urls.path("nothing-async", forgetful_async)]
    with (
        override_settings(ROOT_URLCONF=type("urlconf", (), {"urlpatterns": patterns})),
        pytest.raises(ValueError, match=r"forgetful.* didn't return an HttpResponse object"),
    ):
        Client().get(f"/{path}", HTTP_AUTHORIZATION=pool.access_token("ada"))


def test_csrf_protection_stays_as_it_is(pool: FakeUserPool) -> None:
    headers = {"HTTP_AUTHORIZATION": f"Bearer {pool.access_token('ada')}"}
    with override_settings(MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"]):
        client = Client(enforce_csrf_checks=True)
        assert client.get("/class/", **headers).status_code == 200
        assert client.post("/class/", **headers).status_code == 403
        assert client.post("/rest/", **headers).status_code == 405  # the framework asks for it with sessions alone


def test_dispatch_of_a_class_with_async_methods_is_a_fault_that_says_what_to_do(pool: FakeUserPool) -> None:
    class Async(View):
        async def get(self, _: HttpRequest) -> None:
            raise NotImplementedError

    view = method_decorator(require_token(), name="dispatch")(Async).as_view()
    with pytest.raises(ConfigurationError, match=r"decorate what as_view\(\) returns and not dispatch"):
        view(request_with(pool.access_token("ada")))


@pytest.mark.parametrize("path", ["bare", "bare-async"])
def test_what_a_view_behind_the_middleware_started_has_no_token_when_it_is_over(pool: FakeUserPool, path: str) -> None:
    started: list[Context] = []

    def view(request: HttpRequest) -> HttpResponse:
        del request
        started.append(copy_context())
        return HttpResponse(token and token.username if (token := current_token()) else "")

    async def view_async(request: HttpRequest) -> HttpResponse:
        return view(request)

    patterns = [urls.path("bare", view), urls.path("bare-async", view_async)]
    headers = {"Authorization": f"Bearer {pool.access_token('ada')}"}
    with middleware(), override_settings(ROOT_URLCONF=type("urlconf", (), {"urlpatterns": patterns})):
        answers = [
            Client().get(f"/{path}", headers=headers),
            asyncio.run(AsyncClient().get(f"/{path}", headers=headers)),
        ]
    assert [answer.content for answer in answers] == [b"ada", b"ada"]
    assert [context.run(current_token) for context in started] == [None, None]


def test_a_subclass_of_the_middleware_lets_others_through(pool: FakeUserPool) -> None:
    class ApiAlone(CognitoMiddleware):
        def requires_token(self, request: HttpRequest, view: Any) -> bool:
            return request.path.startswith("/api/") and super().requires_token(request, view)

    guard = ApiAlone(lambda _: HttpResponse())
    views = (whose, token_not_required(lambda _: HttpResponse()))
    admin, api = RequestFactory().get("/admin/"), RequestFactory().get("/api/")
    assert [guard.process_view(admin, view, (), {}) for view in views] == [None, None]
    assert guard.process_view(api, views[0], (), {}).status_code == 401
    assert guard.process_view(api, views[1], (), {}) is None
    assert configured().verifier.verify(pool.access_token("ada"))


def test_the_token_is_gone_after_the_request(pool: FakeUserPool) -> None:
    client, headers = Client(), {"HTTP_AUTHORIZATION": f"Bearer {pool.access_token('ada')}"}
    for path in ("/decorator/", "/async/", "/rest/"):
        assert client.get(path, **headers).json() == {"username": "ada"}
        assert current_token() is None


def test_no_thread_is_started_for_an_async_view(pool: FakeUserPool) -> None:
    threads: set[int] = set()

    def check(_: object) -> None:
        threads.add(threading.get_ident())

    @require_token()
    async def view(_: HttpRequest) -> HttpResponse:
        return HttpResponse(str(threading.get_ident()))

    async def main() -> bytes:
        request = AsyncRequestFactory().get("/", headers={"authorization": pool.access_token("ada")})
        content: bytes = (await view(request)).content
        return content

    with override_settings(COGNITO_VERIFY=described(pool, CHECKS=[check])):
        assert asyncio.run(main()) == str(threading.get_ident()).encode()
    assert threads == {threading.get_ident()}


def test_a_fault_of_ours_is_raised_and_blames_no_client(pool: FakeUserPool) -> None:
    with override_settings(COGNITO_VERIFY=described(pool, CHECKS=[lambda token: token.username])):
        for path in ("/decorator/", "/rest/"):
            with pytest.raises(ConfigurationError, match="checks: <lambda> returned str"):
                Client().get(path, HTTP_AUTHORIZATION=pool.access_token("ada"))


@pytest.mark.parametrize("options", [{"groups": []}, {"scopes": ""}])
def test_a_senseless_requirement_fails_where_it_stands(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(options))}: "):
        require_token(**options)


# Who `request.user` is


def test_a_cognito_user_is_what_its_token_says(pool: FakeUserPool) -> None:
    verifier = pool.verifier()
    ada, again, bob = (CognitoUser(verifier.verify(pool.access_token(name))) for name in ("ada", "ada", "bob"))
    assert (ada.is_authenticated, ada.is_active, ada.is_anonymous) == (True, True, False)
    assert (ada.is_staff, ada.is_superuser) == (False, False)
    assert (ada.username, ada.get_username(), str(ada), repr(ada)) == ("ada", "ada", "ada", "CognitoUser('ada')")
    assert ada.pk == ada.id == ada.token.sub
    assert ada == again
    assert {ada, again, bob} == {ada, bob}
    assert ada != "ada"
    assert (ada.has_perm("shop.view"), ada.has_module_perms("shop")) == (False, False)
    assert (ada.has_perms(["shop.view"]), ada.has_perms([])) == (False, True)
    with pytest.raises(AttributeError, match="is_staff: a CognitoUser is what its token says"):
        ada.is_staff = True
    with pytest.raises(AttributeError, match="token: a CognitoUser is what its token says"):
        del ada.token


def test_what_django_asks_of_any_user_a_cognito_user_answers_as_nobody_with_permissions(pool: FakeUserPool) -> None:
    ada = CognitoUser(pool.verifier().verify(pool.access_token("ada")))
    assert not ada.groups.filter(name="editors").exists()
    assert not ada.user_permissions.exists()
    assert ada.get_all_permissions() == ada.get_user_permissions() == ada.get_group_permissions() == set()
    template = Engine().from_string("{% if perms.auth.view_user %}yes{% else %}no{% endif %}")
    assert template.render(TemplateContext({"perms": PermWrapper(ada)})) == "no"

    async def asked() -> list[object]:
        return [
            await ada.ahas_perm("shop.view"),
            await ada.ahas_perms(["shop.view"]),
            await ada.ahas_module_perms("shop"),
            await ada.aget_all_permissions(),
        ]

    assert asyncio.run(asked()) == [False, False, False, set()]
    assert [copy(ada), deepcopy(ada), pickle.loads(pickle.dumps(ada))] == [ada] * 3  # noqa: S301


@pytest.mark.skipif(django.VERSION < (5, 1), reason="LoginRequiredMiddleware came with Django 5.1")
def test_where_django_asks_for_a_login_a_view_that_asks_for_a_token_needs_none(pool: FakeUserPool) -> None:
    @require_token()
    async def asynchronous(request: HttpRequest) -> JsonResponse:
        return JsonResponse({"user": str(request.user)})

    def anybody(_: HttpRequest) -> JsonResponse:
        raise AssertionError

    def whose_or_nobody(request: Any) -> HttpResponse:
        return HttpResponse(request.cognito_token.username if request.cognito_token else "nobody")

    views: dict[str, Any] = {
        "token": whose,
        "async": asynchronous,
        "class": method_decorator(require_token(), "dispatch")(
            type("Whose", (View,), {"get": lambda _self, request: JsonResponse({"user": str(request.user)})})
        ).as_view(),
        "optional": require_token(optional=True)(anybody),
        "open": require_token(optional=True)(auth_decorators.login_not_required(whose_or_nobody)),
    }
    urlpatterns = [urls.path(name, view) for name, view in views.items()]
    required = ["django.contrib.auth.middleware.LoginRequiredMiddleware"]
    sessions = ["django.contrib.sessions.middleware.SessionMiddleware"]
    sessions.append("django.contrib.auth.middleware.AuthenticationMiddleware")
    with override_settings(
        ROOT_URLCONF=type("urls", (), {"urlpatterns": urlpatterns}),
        MIDDLEWARE=sessions + required,
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    ):
        for name in ("token", "async", "class"):
            answer = Client().get(f"/{name}", HTTP_AUTHORIZATION=pool.access_token("ada"))
            assert (answer.status_code, answer.json()["user"]) == (200, "ada")
            assert Client().get(f"/{name}").status_code == 401
        raw = pool.access_token("ada")
        found = [Client().get("/optional", **headers).status_code for headers in ({}, {"HTTP_AUTHORIZATION": raw})]
        assert found == [302, 302]  # who may come without a token needs the login, whatever comes
        assert Client().get("/open").content == b"nobody"
        assert Client().get("/open", HTTP_AUTHORIZATION=raw).content == b"ada"


def test_a_machine_goes_by_its_sub(pool: FakeUserPool) -> None:
    machine = CognitoUser(pool.verifier().verify(pool.machine_token(scopes=["orders/read"])))
    assert machine.username == machine.pk == machine.token.sub


HOOKS = "tests.integrations.test_django"


def user_of(token: Any) -> Any:
    """A hook, as if it had asked the database."""
    users = {
        "ada": SimpleNamespace(username="ada", is_authenticated=True),
        "bob": SimpleNamespace(is_authenticated=True, is_active=False),
        "dan": SimpleNamespace(is_authenticated=False),
    }
    if token.username == "mallory":
        raise AccessDeniedError("banned")
    return users.get(token.username)


async def user_of_async(token: Any) -> Any:
    return user_of(token)


@wraps(user_of_async)
def user_of_traced(token: Any) -> Any:
    """A plain function around an async one, as a tracer's or a cache's."""
    return user_of_async(token)


class People:
    """A hook that is an object."""

    async def __call__(self, token: Any) -> Any:
        return user_of(token)


@pytest.mark.parametrize(
    "hook", [f"{HOOKS}.user_of", f"{HOOKS}.user_of_async", user_of, user_of_traced, People(), partial(People())]
)
@pytest.mark.parametrize("path", ["/decorator/", "/async/", "/rest/"])
def test_a_hook_maps_a_token_to_a_user(pool: FakeUserPool, hook: Any, path: str) -> None:
    told: list[str | None] = []

    def observe(event: VerificationEvent | FetchEvent) -> None:
        assert isinstance(event, VerificationEvent)
        told.append(event.code)

    with override_settings(COGNITO_VERIFY=described(pool, USER_FROM_TOKEN=hook, OBSERVER=observe)):
        client = Client()
        assert client.get(path, HTTP_AUTHORIZATION=pool.access_token("ada")).json() == {"username": "ada"}
        for name in ("bob", "dan", "eve"):  # who is not active, or not authenticated, and whom nobody knows
            reply = client.get(path, HTTP_AUTHORIZATION=pool.access_token(name))
            assert (reply.status_code, reply.json()["code"]) == (401, "check_failed")
            assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]
        reply = client.get(path, HTTP_AUTHORIZATION=pool.access_token("mallory"))
        assert (reply.status_code, reply.json()["message"]) == (403, "banned")
    assert told == [None, *[None, "check_failed"] * 3, None, "access_denied"], told


@pytest.mark.parametrize("found", [False, "ada", User.objects.none(), 1, User])
@pytest.mark.parametrize("path", ["/decorator/", "/async/", "/rest/"])
def test_a_hook_that_finds_what_is_no_user_lets_nobody_in(pool: FakeUserPool, path: str, found: Any) -> None:
    async def hook_async(_: object) -> Any:
        return found

    for hook in (lambda _: found, hook_async):
        with override_settings(COGNITO_VERIFY=described(pool, USER_FROM_TOKEN=hook)):
            expected = f"USER_FROM_TOKEN: expected a user, .* found {type(found).__name__}$"
            with pytest.raises(ConfigurationError, match=expected):
                Client().get(path, HTTP_AUTHORIZATION=pool.access_token("ada"))


# Settings


def problems(settings: Any) -> list[tuple[str | None, str, str]]:
    with override_settings(COGNITO_VERIFY=settings):
        return [
            (one.id, one.msg, one.hint or "") for one in checks.run_checks() if (one.id or "").startswith("cognito_")
        ]


def test_good_settings_have_nothing_to_tell() -> None:
    pool = FakeUserPool()
    assert problems(described(pool)) == []
    assert problems(described(pool, CHECKS=(f"{HOOKS}.user_of",), OBSERVER=f"{HOOKS}.user_of", LEEWAY=5)) == []


@pytest.mark.parametrize("absent", [["drf_spectacular"], ["drf_spectacular", "rest_framework"]])
def test_a_project_needs_no_rest_framework_nor_drf_spectacular(absent: list[str]) -> None:
    with modify_settings(INSTALLED_APPS={"remove": absent}):
        assert apps.get_app_config("cognito_verify").verbose_name == "Amazon Cognito"
        assert problems(described(FakeUserPool())) == []


@pytest.mark.parametrize(
    ("changed", "id_", "message", "hint"),
    [
        ({"CLIENT": "x"}, "E002", "there is no setting 'CLIENT'", "Rename it to CLIENT_ID."),
        ({"client_id": "x"}, "E002", "there is no setting 'client_id'", "Rename it to CLIENT_ID."),
        ({"ZZZ": 1}, "E002", "there is no setting 'ZZZ'", "There are USER_POOL_ID, TOKEN_USE, CLIENT_ID, "),
        ({"USER_POOL_ID": "<absent>"}, "E003", "USER_POOL_ID: expected a value, found nothing", "COGNITO_VERIFY = {"),
        ({"TOKEN_USE": "<absent>"}, "E003", "TOKEN_USE: expected a value, found nothing", "COGNITO_VERIFY = {"),
        ({"CLIENT_ID": "<absent>"}, "E003", "CLIENT_ID: expected the app client(s)", ""),
        ({"USER_POOL_ID": "pool"}, "E003", "USER_POOL_ID: ", ""),
        ({"USER_POOL_ID": []}, "E003", "USER_POOL_ID: ", ""),
        ({"TOKEN_USE": "both"}, "E003", "TOKEN_USE: expected 'access', 'id'", ""),
        ({"GROUPS": []}, "E003", "GROUPS: expected at least one name", ""),
        ({"CHECKS": 5}, "E003", "CHECKS: expected callables", ""),
        (
            {"CHECKS": "a.check"},
            "E003",
            "CHECKS: expected a list of callables",
            'Write it in a list: "CHECKS": [\'a.ch',
        ),
        ({"LEEWAY": "5"}, "E003", "LEEWAY: expected seconds", ""),
        ({"CHECKS": ["nowhere.check"]}, "E004", "CHECKS: No module named 'nowhere'", "Expected the dotted path"),
        ({"OBSERVER": "observer"}, "E004", "OBSERVER: observer doesn't look like a module path", "Expected"),
        ({"USER_FROM_TOKEN": f"{HOOKS}.nobody"}, "E004", "USER_FROM_TOKEN: Module", "Expected the dotted path"),
        ({"USER_FROM_TOKEN": f"{HOOKS}.HOOKS"}, "E004", "USER_FROM_TOKEN: expected a callable", ""),
        ({"CLIENT_ID": None}, "W001", "CLIENT_ID is None: the tokens of every app client", "Name the app client"),
    ],
)
def test_a_system_check_finds_a_wrong_setting(changed: dict[str, Any], id_: str, message: str, hint: str) -> None:
    ((found, told, advice),) = problems(described(FakeUserPool(), **changed))
    assert (found, told.startswith(f"COGNITO_VERIFY: {message}")) == (f"cognito_verify.{id_}", True), told
    assert advice.startswith(hint)


@pytest.mark.parametrize("settings", [None, [], "us-east-1_TestPool1"])
def test_a_project_without_settings_is_told_what_they_look_like(settings: Any) -> None:
    ((found, told, hint),) = problems(settings)
    assert (found, told.startswith("COGNITO_VERIFY: expected a dict")) == ("cognito_verify.E001", True)
    assert hint.startswith('COGNITO_VERIFY = {"USER_POOL_ID": ')


def test_a_project_with_a_wrong_setting_does_not_start_with_the_middleware() -> None:
    with override_settings(COGNITO_VERIFY={}), middleware(), pytest.raises(ConfigurationError, match="USER_POOL_ID"):
        get_wsgi_application()


def test_settings_of_a_test_count_until_it_ends(pool: FakeUserPool) -> None:
    verifier = configured().verifier
    assert configured().verifier is verifier
    with override_settings(USE_TZ=False):
        assert configured().verifier is verifier
    with override_settings(COGNITO_VERIFY=described(pool, GROUPS="finance")):
        assert Client().get("/decorator/", HTTP_AUTHORIZATION=pool.access_token("ada")).status_code == 403
    assert Client().get("/decorator/", HTTP_AUTHORIZATION=pool.access_token("ada")).status_code == 200
