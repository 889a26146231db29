"""The examples for Flask and Django, as processes under gunicorn, with the tokens of a pool of moto's server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from examples.cost_calculator import lab
from examples.cost_calculator.lab import Lab
from tests.command import CLONE
from tests.integrations.serving import Reply, ask

APPS = {"flask": "examples.flask_reports.app:create_app()", "django": "examples.django_reports.project:application"}
_PATIENCE = 30.0  # seconds


@pytest.fixture(scope="module", params=["finance", "users"])
def done(request: pytest.FixtureRequest, user_pool_service: str) -> tuple[str, Lab]:
    """A user's group, and the pool in which that user has logged in."""
    return request.param, lab.set_up(user_pool_service, lambda _: None, groups=[request.param])


@contextmanager
def served_by_gunicorn(app: str, pool: Lab) -> Iterator[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "COGNITO_USER_POOL_ID": pool.user_pool_id,
        "COGNITO_CLIENT_ID": pool.client_id,
        "COGNITO_TOKEN_USE": "access",
        "COGNITO_JWKS_URI": pool.jwks_uri,
    }
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{number}", "--log-level", "warning", app]
        with subprocess.Popen(command, cwd=CLONE, env=environment, pass_fds=[number]) as process:
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"  # a request waits until the worker is there
            finally:
                process.terminate()
                process.wait(_PATIENCE)


def with_token(url: str, raw: str) -> Reply:
    return ask(url, [("Authorization", f"Bearer {raw}")])


@pytest.mark.parametrize("framework", APPS)
def test_an_example_lets_in_who_may_come_in(framework: str, done: tuple[str, Lab]) -> None:
    group, pool = done
    with served_by_gunicorn(APPS[framework], pool) as url:
        assert ask(f"{url}/health").json == {"up": True}
        assert (ask(f"{url}/reports").status, ask(f"{url}/reports").headers["www-authenticate"]) == (401, "Bearer")
        assert with_token(f"{url}/reports", pool.access_token).json["for"] == "testUser"
        assert with_token(f"{url}/reports/2026-10", pool.access_token).json["report"] == "2026-10"
        assert with_token(f"{url}/reports", pool.id_token).json["code"] == "invalid_token_use"
        assert with_token(f"{url}/reports", pool.other_client_token).json["code"] == "invalid_client"
        figures = with_token(f"{url}/finance/figures", pool.access_token)
        if group == "finance":
            assert (figures.status, figures.json["for"]) == (200, "testUser")
        else:
            assert (figures.status, figures.json["code"]) == (403, "missing_group")


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
