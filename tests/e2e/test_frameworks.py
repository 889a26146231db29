"""ASGI, WSGI, Starlette and FastAPI, each under its server, with the tokens and the keys of a user pool service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cognito_verify import CognitoVerifier, UserPool
from cognito_verify.testing import FakeUserPool
from examples.cost_calculator import lab
from tests.integrations import test_asgi, test_fastapi, test_starlette, test_wsgi
from tests.integrations.refusals import Guards, bearer
from tests.integrations.serving import ask, served_by_uvicorn, served_by_waitress

SERVED = {
    "asgi": lambda guards: served_by_uvicorn(test_asgi.app_of(guards), lifespan="off"),
    "wsgi": lambda guards: served_by_waitress(test_wsgi.app_of(guards)),
    "starlette": lambda guards: served_by_uvicorn(test_starlette.guarded_app(guards)),
    "fastapi": lambda guards: served_by_uvicorn(test_fastapi.guarded_app(guards)),
}


@pytest.fixture(scope="module")
def done(user_pool_service: str) -> lab.Lab:
    lines: list[str] = []
    return lab.set_up(user_pool_service, lines.append, groups=["finance"])


@pytest.fixture(scope="module", params=SERVED)
def url(done: lab.Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.warns(UserWarning, match="emulator"):
        pool = UserPool.local(done.endpoint, done.user_pool_id, client_id=done.client_id)
    verifier = CognitoVerifier(pool, token_use="access")
    with SERVED[request.param](Guards(FakeUserPool(), verifier, verifier)) as url:
        yield url


def test_the_user_who_logged_in_is_let_in(url: str, done: lab.Lab) -> None:
    assert ask(url, bearer(done.access_token)).json == {"username": "testUser"}
    assert ask(f"{url}/finance", bearer(done.access_token)).status == 200


def test_others_are_refused_each_with_its_own_code(url: str, done: lab.Lab) -> None:
    for path, raw, status, code in (
        ("/", done.id_token, 401, "invalid_token_use"),
        ("/", FakeUserPool().access_token("ada"), 401, "invalid_issuer"),
        ("/orders", done.access_token, 403, "insufficient_scope"),
    ):
        reply = ask(url + path, bearer(raw))
        assert (reply.status, reply.json["code"]) == (status, code)
