"""`cognito-verify doctor` and `python -m cognito_verify`: what a bug report needs, and nothing that is secret."""

from __future__ import annotations

import json
import os
import re
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from cognito_verify.cli.doctor import ending, examined, lines
from cognito_verify.testing import Answer, FakeUserPool, JwksServer
from tests.command import CLONE, Ended, as_process, clean_environment, command_line, in_process

POOL = FakeUserPool("eu-west-1_Secret7x")
KIDS = sorted(key["kid"] for key in POOL.jwks["keys"])
NO_PROXY = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("COGNITO_", "AWS_"))]:
        monkeypatch.delenv(name)
    for name in (*NO_PROXY, *map(str.lower, NO_PROXY), "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


class Examined:
    """The command in this process, on a pool whose keys a real server has."""

    def __init__(
        self, server: JwksServer, uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.server, self.uri = server, uri
        self._tools = (monkeypatch, capsys)
        self.options = ("--pool", POOL.user_pool_id, "--jwks-uri", uri)

    def __call__(self, *options: str) -> Ended:
        return in_process(*self._tools, "doctor", *self.options, *options)


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Examined]:
    server = POOL.serve()
    with server as uri:
        yield Examined(server, uri, monkeypatch, capsys)


def as_module(*arguments: str, program: str = "", **variables: str) -> Ended:
    """`python -m cognito_verify` as a process, or a program in its place; its lines count where this suite's do."""
    starter = command_line()[1:-1]  # what counts, less the command itself
    rest = ["-m", "cognito_verify", *arguments]
    if program:
        starter, rest = [], ["-c", program, *arguments]
    done = subprocess.run(
        [sys.executable, *starter, *rest],
        capture_output=True,
        check=False,
        cwd=CLONE,
        env=clean_environment(**variables),
        text=True,
        timeout=60,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def dated(seconds: float) -> Answer:
    return Answer(headers={"Date": formatdate(time.time() + seconds, usegmt=True)})


def findings(ended: Ended) -> list[str]:
    return [one["code"] for one in ended.document["findings"]]


def test_without_a_pool_it_tells_versions_and_what_does_the_cryptography() -> None:
    ended = as_process("doctor")
    assert (ended.code, ended.err) == (0, "")
    for package in ("python-jose", "cryptography", "requests", "urllib3", "cachetools", "click", "pytest"):
        assert re.search(rf"^{package} +{re.escape(version(package))}$", ended.out, re.MULTILINE)
    assert re.search(r"^cognito-verify +\d+\.\d+\.\d+$", ended.out, re.MULTILINE)
    assert re.search(rf"^python +{sys.version.split()[0]} \w+$", ended.out, re.MULTILINE)
    assert re.search(r"^RSA +jose\.backends\.cryptography_backend, OpenSSL \d", ended.out, re.MULTILINE)
    assert re.search(r"^set +nothing$", ended.out, re.MULTILINE)
    assert "endpoint              none asked: name a pool" in ended.out
    assert ended.out.endswith("\nnothing found that is wrong here\n")


@pytest.mark.parametrize("package", ["ecdsa", "rsa", "pyasn1"])
def test_what_python_jose_asks_for_and_nobody_uses_is_not_imported_by_a_fetch(package: str) -> None:
    with POOL.serve() as uri:
        variables = {"COGNITO_USER_POOL_ID": POOL.user_pool_id, "COGNITO_JWKS_URI": uri, "NO_PROXY": "127.0.0.1"}
        ended = as_module("--json", **variables)
    assert (ended.code, ended.err) == (0, "")
    assert ended.document["endpoints"][0]["keys"] == len(KIDS)
    assert ended.document["unused"][package]["imported"] is False


def test_an_endpoint_tells_its_keys_and_how_long_it_took(doctor: Examined) -> None:
    doctor.server.answers(dated(0))
    ended = doctor("--json")
    assert ended.code == 0
    (endpoint,) = ended.document["endpoints"]
    assert isinstance(endpoint.pop("milliseconds"), int)
    assert endpoint.pop("clock_skew") in range(4)  # a fetch takes up to 2.5 s
    host = doctor.uri.split("/")[2]
    assert endpoint == {"host": host, "keys": len(KIDS), "key_ids": KIDS, "error": None, "has_no_keys": False}
    told = doctor().out
    assert re.search(
        rf"^endpoint +{host}\n +keys: {len(KIDS)}, after \d+ ms\n +kid '.*'\n +our clock: ", told, re.MULTILINE
    )


@pytest.mark.parametrize(
    ("ahead", "code", "words"),
    [
        pytest.param(
            600, 1, r"clock_skew: this machine's clock is (59\d|600) s behind .* accepted \1 s late", id="behind"
        ),
        pytest.param(-600, 1, r"clock_skew: this machine's clock is 60\d s ahead .* refused as expired", id="ahead"),
        pytest.param(3, 0, "nothing found that is wrong here", id="a-little-behind"),
        pytest.param(-2, 0, "nothing found that is wrong here", id="a-little-ahead"),
    ],
)
def test_a_clock_that_is_off_is_told_with_its_consequence(doctor: Examined, ahead: int, code: int, words: str) -> None:
    doctor.server.answers(dated(ahead))
    ended = doctor()
    assert ended.code == code
    assert re.search(words, ended.out)
    assert re.search(r"our clock: (\d+ s (ahead|behind)|within a second)\n", ended.out)


@pytest.mark.parametrize(
    ("skew", "words"),
    [(-2, "2 s behind"), (-1, "within a second"), (0, "within a second"), (1, "within a second"), (2, "2 s ahead")],
)
def test_clocks_agree_as_exactly_as_a_date_can_tell(skew: int, words: str) -> None:
    report = examined(None)
    endpoint = {"host": "h", "keys": 1, "key_ids": ["k"], "milliseconds": 1, "error": None, "has_no_keys": False}
    report["endpoints"] = [{**endpoint, "clock_skew": skew}]
    assert f"{'':<22}our clock: {words}" in list(lines(report))


def test_an_endpoint_without_a_date_tells_nothing_of_the_clock(doctor: Examined) -> None:
    assert doctor("--json").document["endpoints"][0]["clock_skew"] is None
    assert "our clock" not in doctor().out


def test_an_endpoint_that_is_out_of_reach_leaves_the_keys_unavailable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = ("doctor", "--pool", POOL.user_pool_id, "--jwks-uri", f"http://127.0.0.1:{port}/")
    ended = in_process(monkeypatch, capsys, *options)
    assert ended.code == 3
    assert "ConnectionRefusedError: " in ended.out
    assert "keys_unavailable: no endpoint has keys" in ended.out
    assert findings(in_process(monkeypatch, capsys, *options, "--json")) == ["keys_unavailable"]


def test_an_issuer_that_has_no_keys_is_told_as_such(doctor: Examined) -> None:
    doctor.server.answers(Answer(404, b""))
    ended = doctor()
    assert ended.code == 3
    assert "answered 404 (this issuer has no keys), after " in ended.out


def test_the_clock_is_told_even_of_an_answer_that_has_no_keys(doctor: Examined) -> None:
    doctor.server.answers(Answer(503, b"", headers=dated(600).headers))
    ended = doctor("--json")
    assert findings(ended) == ["keys_unavailable", "clock_skew"]
    assert ended.code == 3


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        pytest.param({"COGNITO_USER_POOL_ID": "nonsense"}, "user_pool_id: expected", id="no-pool-id"),
        pytest.param(
            {"COGNITO_USER_POOL_ID": "us-east-1_A", "COGNITO_CLIENT_ID": "c", "COGNITO_TOKEN_USE": "both"},
            r"COGNITO_TOKEN_USE: expected 'access' or 'id', found another value \(not shown\)\n",
            id="token-use",
        ),
        pytest.param(
            {
                "COGNITO_USER_POOL_ID": "us-east-1_A",
                "COGNITO_CLIENT_ID": "c",
                "COGNITO_TOKEN_USE": "id",
                "COGNITO_JWKS": "no-such-file.json",
            },
            r"COGNITO_JWKS: expected .* \(not shown\) \(No such file or directory\)\n",
            id="jwks",
        ),
        pytest.param(
            {"COGNITO_USER_POOL_ID": "us-east-1_A", "COGNITO_JWKS_URI": "https://ada:both@example.com/"},
            r"jwks_uri: expected an https URL without user name, .* found another value \(not shown\)\n",
            id="jwks-uri",
        ),
    ],
)
def test_a_configuration_that_a_verifier_would_refuse_is_told(
    variables: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ended = in_process(monkeypatch, capsys, "doctor")
    assert ended.code == 2
    assert re.search(rf"^configuration: {words}", ended.out, re.MULTILINE)
    assert not [secret for secret in ("both", "no-such-file", "nonsense", "ada") if secret in ended.out]
    assert re.search(rf"^set +{', '.join(variables)}$", ended.out, re.MULTILINE)
    assert re.search(r"^ecdsa +", ended.out, re.MULTILINE)  # the rest of the report is there all the same


def test_a_good_configuration_is_no_finding(doctor: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("USER_POOL_ID", POOL.user_pool_id), ("CLIENT_ID", "c"), ("TOKEN_USE", "access")):
        monkeypatch.setenv(f"COGNITO_{name}", value)
    monkeypatch.setenv("COGNITO_USERPOOL", "x")
    ended = doctor("--json")
    assert (ended.code, findings(ended)) == (0, [])
    assert ended.document["settings"]["COGNITO_CLIENT_ID"] is True
    assert ended.document["settings"]["COGNITO_RULES"] is False
    assert ended.document["unknown_settings"] == ["COGNITO_USERPOOL"]
    assert re.search(r"^set, unknown +COGNITO_USERPOOL$", doctor().out, re.MULTILINE)


SECRETS = {
    "COGNITO_CLIENT_SECRET": "hunter2-client",
    "COGNITO_CLIENT_ID": "1example23456789",
    "COGNITO_ACCESS_TOKEN": POOL.access_token(),
    "HTTPS_PROXY": "http://user:hunter2-proxy@127.0.0.1:1",
    "AWS_SECRET_ACCESS_KEY": "hunter2-aws",
    "REQUESTS_CA_BUNDLE": "/home/hunter2/ca.pem",
}


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize(
    "answer", [Answer(), Answer(503), Answer(302, b"", {"Location": "https://x.example/?code=hunter2-code"})]
)
def test_no_value_of_a_variable_and_no_pool_is_shown(
    doctor: Examined, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], answer: Answer
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    doctor.options = ("--pool", POOL.user_pool_id, "--jwks-uri", f"{doctor.uri}?signature=hunter2-query")
    doctor.server.answers(answer)
    ended = doctor(*options)
    shown = ended.out + ended.err
    assert "HTTPS_PROXY" in shown
    for secret in ("hunter2", POOL.user_pool_id, "Secret7x", *SECRETS.values()):
        assert secret not in shown


def test_no_key_id_turns_against_the_terminal(doctor: Examined) -> None:
    (key, *_) = POOL.jwks["keys"]
    body = json.dumps({"keys": [{**key, "kid": "x\x1b[31m\n\u202egpj\u3164"}]}).encode()
    doctor.server.answers(Answer(body=body))
    ended = doctor()
    assert ended.code == 0
    assert not set("\x1b\u202e\u3164") & set(ended.out)
    assert "kid 'x\\x1b[31m\\n\\u202egpj" in ended.out


# Without the command.


def test_the_module_prints_what_the_command_prints(doctor: Examined) -> None:
    def without_times(text: str) -> str:
        return re.sub(r"\d+ ms", "...", text)

    variables = {"COGNITO_USER_POOL_ID": POOL.user_pool_id, "COGNITO_JWKS_URI": doctor.uri}
    module, command = as_module(**variables), as_process("doctor", env=variables)
    assert (module.code, module.err) == (command.code, command.err) == (0, "")
    assert without_times(module.out) == without_times(command.out)
    documents = [as_module("--json", **variables).document, as_process("doctor", "--json", env=variables).document]
    for one in documents:
        for endpoint in one["endpoints"]:
            endpoint.update(milliseconds=0)
    assert documents[0] == documents[1]


def test_the_module_needs_no_click(doctor: Examined) -> None:
    program = "import runpy, sys; sys.modules['click'] = None; runpy.run_module('cognito_verify', run_name='__main__')"
    ended = as_module(program=program, COGNITO_USER_POOL_ID=POOL.user_pool_id, COGNITO_JWKS_URI=doctor.uri)
    assert (ended.code, ended.err) == (0, "")
    assert f"keys: {len(KIDS)}" in ended.out


def test_the_module_takes_no_other_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code in ((["--help"], 0), (["verify"], 2)):
        monkeypatch.setattr(sys, "argv", ["cognito_verify", *arguments])
        with pytest.raises(SystemExit) as end:
            runpy.run_module("cognito_verify", run_name="__main__")
        assert end.value.code == code
    said = capsys.readouterr()
    assert "The other commands are those of cognito-verify" in said.out
    assert said.err.startswith("usage: python -m cognito_verify [-h] [--json]\n")


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_the_module_ends_with_the_codes_of_the_command(
    options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COGNITO_USER_POOL_ID", "nonsense")
    monkeypatch.setattr(sys, "argv", ["cognito_verify", *options])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("cognito_verify", run_name="__main__")
    assert end.value.code == 2
    assert "user_pool_id: expected" in capsys.readouterr().out


def test_a_broken_installation_still_gives_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cognito_verify.keys", None)
    report = examined(None)
    assert [one["code"] for one in report["findings"]] == ["installation"]
    assert ending(report) == 2
    told = "\n".join(lines(report))
    assert "RSA                   not known" in told
    assert "installation: cognito_verify.keys cannot be imported: install" in told


def test_what_is_not_installed_is_told_as_such() -> None:
    report: dict[str, Any] = examined(None)
    report["versions"]["requests"] = report["unused"]["ecdsa"]["version"] = None
    report["unused"]["rsa"] = {"version": "4.9", "imported": True}
    told = list(lines(report))
    assert "requests              not installed" in told
    assert "ecdsa                 not installed" in told
    assert "rsa                   4.9, imported" in told


def test_the_manual_tells_every_member_of_the_document() -> None:
    page = (Path(CLONE) / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("| `doctor` |"))
    assert set(re.findall(r"`(\w+)`", row)) >= examined(None).keys() - {"error"}
