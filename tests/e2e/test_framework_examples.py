"""The examples for web frameworks, and for none, as processes under gunicorn or uvicorn.

With the tokens of a pool of moto's server, and as their READMEs say it, with a pool of the testing kit.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from cognito_verify.testing import FakeUserPool
from examples.cost_calculator import lab
from examples.cost_calculator.lab import Lab
from tests.command import CLONE
from tests.e2e.serving import APPS, GUNICORN, UVICORN, curl, running, tokens_printed_by
from tests.integrations.serving import Reply, ask

# The server of each.
SERVERS = {"flask": GUNICORN, "django": GUNICORN, "asgi": UVICORN, "wsgi": GUNICORN, "starlette": UVICORN}
_PATIENCE = 30.0  # seconds


@pytest.fixture(scope="module", params=["finance", "users"])
def done(request: pytest.FixtureRequest, user_pool_service: str) -> tuple[str, Lab]:
    """A user's group, and the pool in which that user has logged in."""
    return request.param, lab.set_up(user_pool_service, lambda _: None, groups=[request.param])


@contextmanager
def served(framework: str, settings: Mapping[str, str]) -> Iterator[str]:
    """The URL of an example, as a process of its own that finds its pool in the environment."""
    with running([*SERVERS[framework], APPS[framework]], settings) as (url, _):
        yield url


def settings_of(pool: Lab) -> dict[str, str]:
    return {
        "COGNITO_USER_POOL_ID": pool.user_pool_id,
        "COGNITO_CLIENT_ID": pool.client_id,
        "COGNITO_TOKEN_USE": "access",
        "COGNITO_JWKS_URI": pool.jwks_uri,
    }


def with_token(url: str, raw: str) -> Reply:
    return ask(url, [("Authorization", f"Bearer {raw}")])


@pytest.mark.parametrize("framework", APPS)
def test_an_example_lets_in_who_may_come_in(framework: str, done: tuple[str, Lab]) -> None:
    group, pool = done
    with served(framework, settings_of(pool)) as url:
        assert ask(f"{url}/health").json == {"up": True}
        assert (ask(f"{url}/reports").status, ask(f"{url}/reports").headers["www-authenticate"]) == (401, "Bearer")
        assert with_token(f"{url}/reports", pool.access_token).json["for"] == "testUser"
        assert with_token(f"{url}/reports", pool.id_token).json["code"] == "invalid_token_use"
        assert with_token(f"{url}/reports", pool.other_client_token).json["code"] == "invalid_client"
        figures = with_token(f"{url}/finance/figures", pool.access_token)
        if group == "finance":
            assert (figures.status, figures.json["for"]) == (200, "testUser")
        else:
            assert (figures.status, figures.json["code"]) == (403, "missing_group")
        assert with_token(f"{url}/nothing", pool.access_token).status == 404
        if framework in ("flask", "django"):
            assert with_token(f"{url}/reports/2026-10", pool.access_token).json["report"] == "2026-10"
        if framework == "starlette":  # moto's tokens have one scope, which is not the one that drafts ask for
            assert with_token(f"{url}/drafts", pool.access_token).status == 403


def test_the_websocket_of_the_starlette_example_is_for_users_alone() -> None:
    pool = FakeUserPool()
    with pool.environment("access") as settings, served("starlette", settings) as url:
        news = f"ws{url.removeprefix('http')}/news"
        with pytest.raises(InvalidStatus) as refused:
            connect(news)
        assert refused.value.response.status_code == 401
        ada = {"Authorization": f"Bearer {pool.access_token('ada')}"}
        with connect(news, additional_headers=ada) as conversation:
            conversation.send("2026-11")
            assert conversation.recv(_PATIENCE) == '{"for":"ada","published":"2026-11"}'
        offered = [Subprotocol("bearer"), Subprotocol(pool.access_token("bob"))]
        with connect(news, subprotocols=offered) as conversation:  # as a browser does it
            assert conversation.subprotocol == "bearer"
            conversation.send("2026-10")
            assert conversation.recv(_PATIENCE) == '{"for":"bob","published":"2026-10"}'


READMES = {
    "asgi": [200, 401, 200, 403, 200],
    "wsgi": [200, 401, 200, 403, 200],
    "starlette": [200, 401, 200, 403, 200, 200],
}


@pytest.mark.parametrize("framework", READMES)
def test_what_a_readme_tells_to_paste_works_without_a_pool(framework: str) -> None:
    text = (CLONE / "examples" / f"{framework}_reports" / "README.md").read_text(encoding="utf-8")
    lines = [textwrap.dedent(line) for line in re.findall(r"^ {4}.+", text, re.MULTILINE)]
    (local,) = [line for line in lines if line.startswith("python -m examples.local_pool ")]
    _, _, program, server, app = local.split()
    assert (server, app) == (SERVERS[framework][0], APPS[framework])
    assert f"{server} {app}" in lines  # the same with a pool of one's own
    tried = list(takewhile(lambda line: not line.startswith("export "), lines))
    requests = [line for line in tried if line.startswith("curl ")]
    with running([program, *SERVERS[framework], app], {}) as (url, process):
        said = tokens_printed_by(process)
        assert [curl(line, url, said)[0] for line in requests] == READMES[framework]


def test_the_django_example_passes_its_system_checks(done: tuple[str, Lab]) -> None:
    _, pool = done
    names = {"COGNITO_USER_POOL_ID": pool.user_pool_id, "COGNITO_CLIENT_ID": pool.client_id}
    for use, code, said in ("access", 0, "no issues"), ("both", 1, "(cognito_verify.E003) COGNITO_VERIFY: TOKEN_USE"):
        checked = subprocess.run(
            [sys.executable, "examples/django_reports/project.py", "check"],
            capture_output=True,
            check=False,
            cwd=CLONE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CLONE), "COGNITO_TOKEN_USE": use, **names},
            text=True,
            timeout=_PATIENCE,
        )
        assert (checked.returncode, said in checked.stdout + checked.stderr) == (code, True), checked.stderr
