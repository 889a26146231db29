"""The CostCalculator lab: in this process step by step, and as the process that `make demo` starts."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import uuid
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import IO

import botocore.session
import pytest
import requests
from botocore import xform_name

from cognito_verify import AccessToken, CognitoVerifier, IdToken, JwksCache, UserPool
from examples.cost_calculator import lab
from examples.cost_calculator.lab import Call, Lab, Row

CLONE = Path(lab.__file__).parents[2]


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def rows_and_calls(user_pool_service: str, said: list[str]) -> tuple[list[Row], list[Call]]:
    return lab.run_lab(user_pool_service, said.append)


@pytest.fixture(scope="module")
def rows(rows_and_calls: tuple[list[Row], list[Call]]) -> list[Row]:
    return rows_and_calls[0]


@pytest.fixture(scope="module")
def calls(rows_and_calls: tuple[list[Row], list[Call]]) -> list[Call]:
    return rows_and_calls[1]


@pytest.fixture(scope="module")
def done(user_pool_service: str) -> Lab:
    lines: list[str] = []
    return lab.set_up(user_pool_service, lines.append)


@pytest.fixture
def pool(done: Lab) -> UserPool:
    with pytest.warns(UserWarning, match="emulator"):
        return UserPool.local(done.endpoint, done.user_pool_id, client_id=done.client_id)


def run_as_process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=CLONE,
        env={**os.environ, "PYTHONPATH": str(CLONE), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_row_is_as_expected(rows: list[Row]) -> None:
    assert [row for row in rows if not row.is_as_expected] == []


def test_the_rows_show_every_outcome_of_the_lab(rows: list[Row]) -> None:
    assert {row.found for row in rows} == {
        "verified",
        "insufficient_scope",
        "invalid_client",
        "invalid_issuer",
        "invalid_signature",
        "invalid_token_use",
        "keys_unavailable",
        "malformed_token",
        "missing_group",
        "missing_token",
        "token_expired",
        "unsupported_algorithm",
    }


def test_every_call_of_the_api_is_as_expected(calls: list[Call]) -> None:
    assert [call for call in calls if not call.is_as_expected] == []
    assert [call.found for call in calls[:2]] == [401, 200]
    assert {call.found for call in calls} == {200, 400, 401, 403, 500, 503}


def test_the_calls_are_said_with_their_curl_lines(calls: list[Call], said: list[str]) -> None:  # noqa: ARG001
    text = "\n".join(said)
    assert '/dev/pricepermeter -H "Authorization: $ID_TOKEN"' in text
    assert "$ curl -i http://127.0.0.1:" in text
    assert "$ curl -i -X POST http://127.0.0.1:" in text


def test_the_last_number_is_the_count_of_the_calls(calls: list[Call], said: list[str]) -> None:
    api = "\n".join(said).partition("The CostCalculator API, on this machine.")[2]
    assert [int(number) for number in re.findall(r"^ ?(\d+)\. ", api, re.MULTILINE)] == [*range(1, len(calls) + 1)]


def test_a_call_that_turns_out_otherwise_is_told(done: Lab) -> None:
    lines: list[str] = []
    calls = lab.call_api(replace(done, id_token=done.access_token), lines.append)
    unexpected = [call for call in calls if not call.is_as_expected]
    lab.say_calls(calls, lines.append)
    assert (unexpected[0].expected, unexpected[0].found) == (200, 401)
    assert any(line.startswith("NOT AS EXPECTED: With the ID token: expected 200") for line in lines)


def test_the_steps_are_said_with_their_command_lines(rows: list[Row], said: list[str]) -> None:  # noqa: ARG001
    text = "\n".join(said)
    for command in (
        "create-user-pool --pool-name CostCalculatorUserPool",
        "create-user-pool-client",
        "admin-create-user",
        "admin-initiate-auth",
        "admin-respond-to-auth-challenge",
    ):
        assert f"$ aws cognito-idp {command}" in text
    assert "the challenge NEW_PASSWORD_REQUIRED" in text
    assert "an emulator's" in text  # the warning of UserPool.local


def test_no_line_holds_a_token(user_pool_service: str) -> None:
    said: list[str] = []
    done = lab.set_up(user_pool_service, said.append)
    rows = lab.verify_tokens(done, said.append)
    lab.say_table(rows, said.append)
    lab.say_differences(done, said.append)
    calls = lab.call_api(done, said.append)
    text = "".join("".join(said).split()) + repr(done) + repr(rows) + repr(calls)
    for token in (done.access_token, done.id_token, done.other_client_token, done.refresh_token):
        assert token.rsplit(".", 1)[-1] not in text  # the signature; the refresh token as a whole


def test_no_line_is_wider_than_a_hundred_columns(rows: list[Row], said: list[str]) -> None:  # noqa: ARG001
    assert [line for line in said if len(line) > 100] == []


def test_a_token_that_turns_out_otherwise_is_told_in_its_row(done: Lab) -> None:
    # The twin of the rows above: with the other client's token in the place of ours the table must not look well.
    lines: list[str] = []
    rows = lab.verify_tokens(replace(done, access_token=done.other_client_token), lines.append)
    unexpected = [row for row in rows if not row.is_as_expected]
    lab.say_table(rows, lines.append)
    assert unexpected[0].expected == "verified"
    assert unexpected[0].found == "invalid_client"
    assert any("NOT AS EXPECTED: expected verified, found invalid_client" in line for line in lines)


def test_the_tokens_are_what_the_lab_says(done: Lab, pool: UserPool) -> None:
    keys = JwksCache()
    access = CognitoVerifier(pool, token_use="access", jwks_cache=keys).verify(done.access_token)
    identity = CognitoVerifier(pool, token_use="id", jwks_cache=keys).verify(done.id_token)
    assert isinstance(access, AccessToken)
    assert isinstance(identity, IdToken)
    assert access.username == identity.username == "testUser"
    assert access.client_id == identity.client_id == done.client_id
    assert access.groups == identity.groups == ("users",)
    assert access.sub == identity.sub
    assert access.origin_jti == identity.origin_jti
    assert access.scopes == {"aws.cognito.signin.user.admin"}
    assert access.user_pool_id == done.user_pool_id


def test_the_service_differs_from_aws_as_the_lab_says(done: Lab, pool: UserPool) -> None:
    # What the notes below the table say of moto. When this fails, moto has changed: mend the notes.
    token = CognitoVerifier(pool, token_use="access").verify(done.access_token)
    identity = CognitoVerifier(pool, token_use="id").verify(done.id_token)
    assert token.header == identity.header == {"alg": "RS256", "kid": "dummy", "typ": "JWT"}
    assert token.issuer == f"https://cognito-idp.us-east-1.amazonaws.com/{done.user_pool_id}"
    assert token["exp"] - token["iat"] == 3600
    assert identity.email is None
    assert str(uuid.UUID(done.refresh_token)) == done.refresh_token


def test_the_readmes_command_lines_are_the_clis() -> None:
    text = (CLONE / "examples/cost_calculator/README.md").read_text(encoding="utf-8")
    lines = re.findall(r"(?:`|^    )aws ([^`\n]+)", text, re.MULTILINE)
    assert len(lines) >= 12
    session = botocore.session.get_session()
    for line in lines:
        service, operation, *words = shlex.split(line)
        operations = {xform_name(name, "-"): name for name in session.get_service_model(service).operation_names}
        members = session.get_service_model(service).operation_model(operations[operation]).input_shape.members
        options = {f"--{xform_name(name, '-')}" for name in members} | {
            f"--no-{xform_name(name, '-')}" for name in members
        }
        options |= {"--query", "--output", "--zip-file"}  # the CLI's own
        assert {word for word in words if word.startswith("--")} <= options, line


def test_the_readmes_links_lead_somewhere() -> None:
    page = CLONE / "examples/cost_calculator/README.md"
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_program_needs_no_configuration_and_heeds_none(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[default]\nregion = eu-central-1\nendpoint_url = http://127.0.0.1:9\n")
    program = run_as_process(
        "examples/cost_calculator/lab.py",
        HOME=str(tmp_path),
        AWS_PROFILE="no-such-profile",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_MAX_ATTEMPTS="many",
        AWS_REGION="eu-central-1",
        HTTP_PROXY="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
        NO_PROXY="",
    )
    assert program.returncode == 0, program.stdout + program.stderr
    assert program.stderr == ""  # no request log, no stray warning
    assert "What is verified" in program.stdout
    assert "20 of 20 rows are as expected." in program.stdout
    assert "17 of 17 calls are as expected." in program.stdout


def test_demo_serve_prints_lines_that_work_and_ends_when_told_to() -> None:
    with subprocess.Popen(
        [sys.executable, "examples/cost_calculator/lab.py", "--serve"],
        cwd=CLONE,
        env={**os.environ, "PYTHONPATH": str(CLONE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as program:
        try:
            said = read_until_running(program.stdout)
            said = said.replace(" \\\n", " ")
            found = dict(re.findall(r"^(ID_TOKEN|ACCESS_TOKEN)=(\S+)$", said, re.MULTILINE))
            lines = [re.sub(r"\$(\w+)", lambda name: found.get(name[1], name[0]), line) for line in said.splitlines()]
            assert [status_of(line) for line in lines if line.startswith("curl")] == [401, 200, 401, 403, 200]
            for command in ("admin-initiate-auth", "admin-respond-to-auth-challenge", "admin-add-user-to-group"):
                assert re.search(rf"^aws cognito-idp {command} .*--endpoint-url http://127", said, re.MULTILINE)
            program.send_signal(signal.SIGINT)
            assert program.wait(timeout=10) == 0
        finally:
            program.kill()


def read_until_running(stream: IO[str] | None) -> str:
    assert stream is not None
    lines = []
    for line in stream:
        lines.append(line)
        if line.startswith("Running."):
            break
    return "".join(lines)


def status_of(curl_line: str) -> int:
    """What the API answers to a curl line, without curl."""
    words = shlex.split(curl_line)
    url = next(word for word in words if word.startswith("http"))
    with requests.Session() as session:
        session.trust_env = False
        for flag, header in pairwise(words):
            if flag == "-H":
                name, value = header.split(": ")
                session.headers[name] = value
        body = words[words.index("-d") + 1] if "-d" in words else None
        return session.request("POST" if "POST" in words else "GET", url, data=body, timeout=5).status_code


def test_the_program_fails_when_a_row_is_not_as_expected() -> None:
    # The real lab with a user who is in the group that the table expects to be missing.
    program = run_as_process(
        "-c",
        "from examples.cost_calculator.lab import main; raise SystemExit(main(groups=['users', 'finance']))",
    )
    assert program.returncode == 1, program.stdout + program.stderr
    assert "NOT AS EXPECTED: expected missing_group, found verified" in program.stdout
    assert "NOT AS EXPECTED: A report, without the group finance: expected 403" in program.stdout
