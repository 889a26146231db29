"""The shell examples that need a user pool, of every page and of each command's help, run by a shell on moto's pool."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import boto3
import pytest

from cognito_verify.cli.program import program
from tests.command import CLONE, SCRIPT, clean_environment

PAGES = ["README.md", *(str(page.relative_to(CLONE)) for page in sorted((CLONE / "docs").rglob("*.md")))]
COMMAND = "docs/reference/command-line.md"
POOL_ID, CLIENT_ID = "us-east-1_AbCdEfGhI", "1example23456789"  # what the pages write


@pytest.fixture(scope="module")
def environment(user_pool_service: str) -> dict[str, str]:
    """A pool with a user, as the environment of a shell."""
    service: Any = boto3.session.Session().client(
        "cognito-idp",
        region_name="us-east-1",
        endpoint_url=user_pool_service,
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )
    pool_id = service.create_user_pool(PoolName="docs")["UserPool"]["Id"]
    client_id = service.create_user_pool_client(UserPoolId=pool_id, ClientName="docs")["UserPoolClient"]["ClientId"]
    service.admin_create_user(UserPoolId=pool_id, Username="ada", MessageAction="SUPPRESS")
    service.admin_set_user_password(UserPoolId=pool_id, Username="ada", Password="Permanent-1", Permanent=True)
    return clean_environment(
        PATH=f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}",
        AWS_ENDPOINT_URL=user_pool_service,
        COGNITO_JWKS_URI=f"{user_pool_service}/{pool_id}/.well-known/jwks.json",
        COGNITO_USER_POOL_ID=pool_id,
        COGNITO_CLIENT_ID=client_id,
        PASSWORD="Permanent-1",
    )


def sh(script: str, environment: dict[str, str], directory: Path) -> str:
    """What a script prints; it must not fail, nor warn."""
    script = script.replace(POOL_ID, environment["COGNITO_USER_POOL_ID"])
    script = script.replace(CLIENT_ID, environment["COGNITO_CLIENT_ID"])
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", script],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def blocks(page: str, opening: str = r"sh\n *# needs: a user pool") -> list[str]:
    text = (CLONE / page).read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{opening}\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


OTHERS = [page for page in PAGES if blocks(page) and page not in {"README.md", COMMAND}]


@pytest.fixture
def directory(environment: dict[str, str], tmp_path: Path) -> Path:
    """Where the tokens of a login lie."""
    sh("cognito-verify login --username ada --password-env PASSWORD > token.txt", environment, tmp_path)
    (tmp_path / "access-token.txt").write_bytes((tmp_path / "token.txt").read_bytes())
    return tmp_path


def test_the_pages_examples_run(environment: dict[str, str], tmp_path: Path) -> None:
    snippets = blocks(COMMAND)
    assert len(snippets) == 7
    printed = sh("\n".join(snippets), environment, tmp_path)
    assert printed.count("verified: access token of user 'ada'") == 5
    assert printed.count("exit code 1") == 2
    assert "current: 1 keys" in printed
    example, _ = blocks(COMMAND, "text")  # the other is a doctor's
    assert verdicts(example) == verdicts(printed[printed.rindex("structure ") :])


@pytest.mark.parametrize("page", OTHERS)
def test_another_pages_examples_run(environment: dict[str, str], directory: Path, page: str) -> None:
    assert sh("\n".join(blocks(page)), {**environment, "COGNITO_TOKEN_USE": "access"}, directory)


def test_the_other_pages_with_examples_are_found() -> None:
    assert {"docs/how-to/bundle-keys.md", "docs/how-to/runbook.md"} <= set(OTHERS)


def verdicts(rows: str) -> list[tuple[str, str]]:
    """Rows and verdicts of an explanation, up to the line that sums up."""
    table = rows.partition("\n\n")[0]
    return re.findall(r"^([a-z][a-z_ ]*?) +(ok|FAILED|-) ", table, re.MULTILINE)


def test_the_readmes_examples_run(environment: dict[str, str], directory: Path) -> None:
    (snippet,) = blocks("README.md")
    printed = sh(snippet, environment, directory)
    assert "verified: access token of user 'ada'" in printed
    assert (directory / "keys.json").exists()


@pytest.mark.parametrize("name", sorted(program.commands))
def test_the_example_of_each_help_runs(environment: dict[str, str], directory: Path, name: str) -> None:
    told = sh(f"COLUMNS=200 cognito-verify {name} --help", environment, directory)
    (example,) = re.findall(r"^ +\$ (.*)$", told, re.MULTILINE)
    if name == "explain":
        example += ' || [ "$?" = 1 ]'  # the user is in no group: that is what it explains
    assert sh(example, environment, directory)
