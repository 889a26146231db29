"""Django projects under Django's own server, waitress and uvicorn: all ways to guard a view answer alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.test import override_settings

from tests.integrations.django_project import STYLES, middleware, served_by_django, settings_of
from tests.integrations.refusals import REFUSED, Guards, Refused, assert_refused, bearer
from tests.integrations.serving import ask, served_by_uvicorn, served_by_waitress


@pytest.fixture(scope="module", params=["django", "waitress", "uvicorn"])
def url(request: pytest.FixtureRequest, guards: Guards) -> Iterator[str]:
    with override_settings(COGNITO_VERIFY=settings_of(guards)):
        if request.param == "uvicorn":
            with served_by_uvicorn(get_asgi_application(), lifespan="off") as url:
                yield url
        else:
            serve = served_by_django if request.param == "django" else served_by_waitress
            with serve(get_wsgi_application()) as url:
                yield url


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("path", "claims"), [("/", {}), ("/finance", {"groups": "finance"}), ("/orders", {"scopes": "orders/read"})]
)
def test_a_good_token_reaches_the_view(url: str, guards: Guards, style: str, path: str, claims: dict[str, Any]) -> None:
    reply = ask(f"{url}/{style}{path}", bearer(guards.pool.access_token("ada", **claims)))
    assert (reply.status, reply.json) == (200, {"username": "ada"})
    assert style == "rest" or reply.headers["vary"] == "Authorization"


@pytest.mark.parametrize("request_", REFUSED, ids=str)
@pytest.mark.parametrize("style", STYLES)
def test_a_refusal_is_answered_as_everywhere(url: str, guards: Guards, style: str, request_: Refused) -> None:
    with override_settings(COGNITO_VERIFY=settings_of(guards, request_.path)):
        reply = ask(f"{url}/{style}{request_.path}", request_.headers(guards.pool))
    assert_refused(reply, request_, guards)


@pytest.fixture(scope="module", params=["waitress", "uvicorn", "uvicorn-and-a-sync-middleware"])
def guarded_url(request: pytest.FixtureRequest, guards: Guards) -> Iterator[str]:
    """The whole project behind the middleware."""
    inner = ["tests.integrations.django_project.sync_only"] if request.param.endswith("middleware") else []
    with override_settings(COGNITO_VERIFY=settings_of(guards)), middleware(*inner):
        if request.param == "waitress":
            with served_by_waitress(get_wsgi_application()) as url:
                yield url
        else:
            with served_by_uvicorn(get_asgi_application(), lifespan="off") as url:
                yield url


@pytest.mark.parametrize("path", ["/bare", "/bare-async"])
def test_the_middleware_guards_views_that_ask_for_nothing(guarded_url: str, guards: Guards, path: str) -> None:
    reply = ask(guarded_url + path, bearer(guards.pool.access_token("ada")))
    assert (reply.status, reply.json, reply.headers["vary"]) == (200, {"username": "ada"}, "Authorization")
    assert ask(guarded_url + "/open").json == {"username": None, "has_token": False}
    assert ask(guarded_url + "/nowhere").status == 404
    assert ask(guarded_url + "/decorator/finance", bearer(guards.pool.access_token("ada"))).status == 403


@pytest.mark.parametrize("request_", [one for one in REFUSED if one.path in ("/", "/keyless")], ids=str)
@pytest.mark.parametrize("path", ["/bare", "/bare-async"])
def test_the_middleware_answers_as_everywhere(guarded_url: str, guards: Guards, path: str, request_: Refused) -> None:
    with override_settings(COGNITO_VERIFY=settings_of(guards, request_.path)):
        reply = ask(guarded_url + path, request_.headers(guards.pool))
    assert_refused(reply, request_, guards)
