"""No change of the public surface is an accident: it is the one that tests/public_surface.txt has."""

from __future__ import annotations

import difflib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cognito_verify import errors
from cognito_verify.aws_lambda import environment
from cognito_verify.cli import failures
from cognito_verify.cli.program import program
from cognito_verify.errors import TokenExpiredError
from cognito_verify.observer import FetchEvent
from cognito_verify.testing import FakeUserPool
from cognito_verify.verifier import CognitoVerifier
from tools import surface

ROOT = surface.ROOT
ACCEPTED = surface.SNAPSHOT.read_text(encoding="utf-8")


def changes() -> list[str]:
    """The lines that a change adds to the surface and takes from it."""
    lines = difflib.unified_diff(ACCEPTED.splitlines(), surface.surface().splitlines(), "accepted", "now", lineterm="")
    return list(lines)


def test_the_public_surface_is_the_accepted_one() -> None:
    found = changes()
    assert not found, "\n".join(
        [
            "The public surface has changed:",
            *found,
            f"If it is meant, `{surface.ACCEPT}` accepts it. docs/versioning.md says in which release it may come.",
        ]
    )


def one_more(self: object, pools: int) -> None:
    raise NotImplementedError((self, pools))


def a_changed_default(self: object, expires_in: int = 60) -> str:
    raise NotImplementedError((self, expires_in))


CHANGES = {
    "a parameter more": (CognitoVerifier, "prefetch", one_more, "+  .prefetch(pools: int) -> None"),
    "a default": (FakeUserPool, "refresh_token", a_changed_default, "+  .refresh_token(expires_in: int = 60) -> str"),
    "a code": (TokenExpiredError, "code", "expired", "+expired: 401, final, Bearer"),
    "a status": (TokenExpiredError, "http_status", 400, "+token_expired: 400, final, Bearer"),
    "a place in the manual": (TokenExpiredError, "docs_url", "docs/x.md", "+  docs/x.md"),
    "an exit code": (failures, "REFUSED", 4, "+4: refused"),
    "an option": (program.commands["verify"].params[-1], "opts", ["--as-json"], "+  --as-json: flag"),
    "an event's field": (FetchEvent, "__signature__", inspect.signature(a_changed_default), "-  (*, jwks_uri: str"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_shows_as_the_lines_that_it_changes(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, value, line = CHANGES[change]
    monkeypatch.setattr(owner, name, value, raising=False)
    assert any(one.startswith(line) for one in changes()), changes()


def test_the_command_that_a_failure_names_writes_the_file_anew() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition(f"\n{surface.ACCEPT.removeprefix('make ')}:\n")[2].partition("\n\n")[0]
    assert "tools/surface.py --write" in recipe


def test_a_new_interpreter_prints_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tools.surface"],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr, done.returncode) == (ACCEPTED, "", 0)


def documented() -> Iterator[str]:
    """What the reference shows, by its full name."""
    for page in sorted((ROOT / "docs" / "reference").glob("*.md")):
        module = ""
        for found in re.finditer(
            r"^\.\. (py:currentmodule|auto(?:class|function|data|exception))::\s*([\w.]+)",
            page.read_text(encoding="utf-8"),
            re.MULTILINE,
        ):
            if found[1] == "py:currentmodule":
                module = found[2]
            else:
                yield found[2] if found[2].startswith("cognito_verify.") else f"{module}.{found[2]}"


def test_all_that_the_reference_shows_is_in_the_snapshot() -> None:
    listed = {f"{door}.{name}" for door in surface.FRONT_DOORS for name in surface._at(f"{door}.__all__")}
    shown = set(documented())
    assert len(shown) > 40
    assert shown - listed - set(surface.BESIDE) == set()
    assert set(surface.BESIDE) - shown == {"cognito_verify.observer.Observer"}


def test_the_variables_of_the_authorizer_are_among_those_that_are_found() -> None:
    section = ACCEPTED.partition("## environment variables")[2].partition("\n## ")[0].splitlines()
    assert {*environment._REQUIRED, *environment._OPTIONAL} <= set(section)


def test_the_page_on_versions_speaks_of_what_is_there() -> None:
    page = (ROOT / "docs" / "versioning.md").read_text(encoding="utf-8")
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    security = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert re.findall(r'requires-python = ">=([\d.]+)"', pyproject) == re.findall(
        r"every CPython from ([\d.]+) on", page
    )
    assert "newest minor release gets security fixes" in security
    assert "Fixes go to the newest minor release" in page
    assert 'getLogger("cognito_verify")' in (ROOT / "cognito_verify" / "jwks.py").read_text(encoding="utf-8")
    assert errors.DOCUMENTATION == "docs/reference/errors.md"
