"""The `cognito-verify` command: what it prints, how it ends, and what it never shows. Logins are in tests/e2e."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cognito_verify import CognitoVerifier
from cognito_verify.cli import failures, main
from cognito_verify.cli.keys_file import fetched_keys, write_keys
from cognito_verify.cli.program import program, run
from cognito_verify.errors import DOCUMENTATION, CognitoVerifyError, ConfigurationError, KeysUnavailableError
from cognito_verify.jws import json_object, parse_compact
from cognito_verify.keys import KeySet
from cognito_verify.pool import UserPool
from cognito_verify.testing import Answer, Clock, FakeUserPool
from tests.command import CLONE, Ended, as_process, clean_environment, command_line, in_process

POOL = FakeUserPool()
OTHER_POOL = FakeUserPool("eu-west-1_Other1")
EVIL = "x\x1b[31m\n\u202egpj.\x9b\x7f\u2066"  # ESC, a new line, bidirectional marks, C1 and DEL
WINDOW = 20  # characters of a token that are already too many

Command = Callable[..., Ended]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """The command in this process, in a directory with the pool's keys, which the environment names."""
    for name in [name for name in os.environ if name.startswith(("COGNITO_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    Path("keys.json").write_text(json.dumps(POOL.jwks))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, stdin: str | bytes = "") -> Ended:
        return in_process(monkeypatch, capsys, *arguments, stdin=stdin)

    return run


ENVIRONMENT = {
    "COGNITO_USER_POOL_ID": POOL.user_pool_id,
    "COGNITO_CLIENT_ID": f"{POOL.client_id}, another",
    "COGNITO_TOKEN_USE": "access",
    "COGNITO_JWKS": "keys.json",
}


def shows(ended: Ended, raw: str) -> bool:
    """Whether a piece of the token's payload or signature is in what was printed, on one line or over several."""
    text = "".join((ended.out + ended.err).split())
    secret = raw.partition(".")[2] or raw
    return len(secret) >= WINDOW and any(
        secret[start : start + WINDOW] in text for start in range(len(secret) - WINDOW + 1)
    )


# verify


def test_a_good_token_says_who_it_is_for_what_and_until_when(command: Command) -> None:
    ended = command("verify", "--group", "finance", stdin=POOL.access_token(groups=["finance"], scopes="a/b"))
    assert ended.code == 0
    assert ended.out.startswith("verified: access token of user 'ada', user pool us-east-1_TestPool1\n")
    assert re.search(
        r"client +test-client\n +groups +'finance'\n +scopes +'a/b'\n +expires .*Z, in 60 min\n", ended.out
    )
    assert ended.err == ""


def test_a_machine_and_an_id_token_are_told_as_such(command: Command) -> None:
    assert command("verify", stdin=POOL.machine_token()).out.startswith("verified: access token of a machine")
    ended = command("verify", "--token-use", "id", stdin=POOL.id_token(omit="iat"))
    assert ended.out.startswith("verified: ID token of user 'ada', ")
    assert ended.code == 0


def test_a_verified_token_as_json(command: Command) -> None:
    raw = POOL.access_token(groups="finance", scopes="b a", omit="auth_time", exp=2_000_000_000, iat=1_700_000_000)
    ended = command("verify", "--json", stdin=raw)
    document = ended.document
    claims = document["token"].pop("claims")
    assert claims == json_object("payload", parse_compact(raw, 10_000).payload)
    assert document == {
        "verified": True,
        "token": {
            "token_use": "access",
            "sub": claims["sub"],
            "username": "ada",
            "client_id": "test-client",
            "user_pool_id": "us-east-1_TestPool1",
            "issuer": POOL.issuer,
            "groups": ["finance"],
            "scopes": ["a", "b"],
            "issued_at": "2023-11-14T22:13:20Z",
            "expires_at": "2033-05-18T03:33:20Z",
            "auth_time": None,
        },
        "error": None,
    }
    assert command("verify", "--json", "--token-use", "id", stdin=POOL.id_token()).document["token"]["scopes"] == []


@pytest.mark.parametrize(
    ("options", "raw", "code", "name"),
    [
        pytest.param([], POOL.access_token(), 0, None, id="verified"),
        pytest.param([], POOL.access_token(expires_in=-1), 1, "token_expired", id="refused"),
        pytest.param(["--group", "g"], POOL.access_token(), 1, "missing_group", id="denied"),
        pytest.param([], "", 1, "missing_token", id="nothing"),
        pytest.param(["--group", ""], POOL.access_token(), 2, "configuration", id="empty-option"),
        pytest.param(["--pool", "here"], POOL.access_token(), 2, "configuration", id="no-pool-id"),
        pytest.param(["--jwks", "none.json"], POOL.access_token(), 2, "configuration", id="no-such-file"),
        pytest.param(["--leeway", "much"], POOL.access_token(), 2, "usage", id="no-number"),
        pytest.param(["--any-client", "--client-id", "c"], POOL.access_token(), 2, "usage", id="contradiction"),
        pytest.param(["--claim", "novalue"], POOL.access_token(), 2, "usage", id="no-claim"),
        pytest.param(
            ["--pool", "eu-west-1_A", "--jwks-uri", "http://127.0.0.1:9/jwks"],
            OTHER_POOL.access_token(iss="https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A"),
            3,
            "keys_unavailable",
            id="keys-unavailable",
        ),
    ],
)
@pytest.mark.parametrize("name_of", ["verify", "explain"])
def test_the_exit_code_says_how_it_ended_and_json_says_why(
    command: Command, name_of: str, options: list[str], raw: str, code: int, name: str | None
) -> None:
    ended = command(name_of, *options, stdin=raw)
    as_json = command(name_of, *options, "--json", stdin=raw)
    assert (ended.code, as_json.code) == (code, code)
    assert (as_json.document["error"] or {}).get("code") == name
    assert not shows(ended, raw)
    assert not shows(as_json, raw)
    if name is not None:
        assert name in ended.out + ended.err
        assert as_json.document.get("verified", False) is False


def test_options_stand_over_the_environment(command: Command) -> None:
    raw = OTHER_POOL.access_token(client_id="mine", aud="r", email_verified=True, level="high", auth_time=0)
    Path("other.json").write_text(json.dumps(OTHER_POOL.jwks))
    options = ["--pool", "eu-west-1_Other1", "--client-id", "mine", "--jwks", "other.json"]
    assert command("verify", *options, stdin=raw).code == 0
    options += ["--resource", "r", "--claim", "email_verified=true"]
    assert command("verify", *options, "--claim", "level=high", stdin=raw).code == 0
    assert command("verify", *options, "--replica-region", "eu-west-2", stdin=raw).code == 0
    assert command("verify", *options, "--max-age", "60", "--json", stdin=raw).document["error"]["code"] == (
        "reauthentication_required"
    )
    assert command("verify", *options, "--claim", "level=low", stdin=raw).code == 1
    assert command("verify", "--any-client", stdin=POOL.access_token(client_id="whose")).code == 0
    assert command("verify", stdin=POOL.access_token(client_id="whose")).code == 1
    assert command("verify", stdin=POOL.access_token(client_id="another")).code == 0


def test_a_second_value_for_a_claim_drops_no_requirement(command: Command) -> None:
    raw = POOL.access_token(level="low")
    ended = command("verify", "--claim", "level=high", "--claim", "level=low", stdin=raw)
    assert ended.code == 2
    assert "expected one value for a claim" in ended.err


def test_without_a_client_nothing_is_accepted(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGNITO_CLIENT_ID", "")
    ended = command("verify", stdin=POOL.access_token())
    assert ended.code == 2
    assert "--any-client" in ended.err


@pytest.mark.parametrize("value", [" , ", "test-client,", "test-client another", "test-client, an other"])
def test_the_variable_of_clients_is_read_as_by_from_env(
    command: Command, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("COGNITO_CLIENT_ID", value)
    ended = command("verify", stdin=POOL.access_token())
    assert ended.code == 2
    assert "client_id: expected a string without spaces" in ended.err
    with pytest.raises(ConfigurationError, match="expected a string without spaces"):
        CognitoVerifier.from_env()


def test_a_refused_url_is_told_without_its_query(command: Command) -> None:
    ended = command("verify", "--jwks-uri", "http://evil.example/x?sig=hush", stdin=POOL.access_token())
    assert ended.code == 2
    assert "http://evil.example/x?(not shown)" in ended.err
    assert "hush" not in ended.err


def test_a_missing_setting_names_its_variable(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COGNITO_TOKEN_USE")
    ended = command("verify", stdin=POOL.access_token())
    assert ended.code == 2
    assert "COGNITO_TOKEN_USE" in ended.err
    assert "Choose from: access, id, any" in ended.err


# Where the token comes from.


@pytest.mark.parametrize(
    ("stdin", "use"),
    [
        pytest.param("{access}\n", "access", id="bare"),
        pytest.param("  Bearer  {access}\r\n", "access", id="bearer"),
        pytest.param("\ufeff{access}", "access", id="byte-order-mark"),
        pytest.param('{{"AccessToken": "{access}", "IdToken": "{id}"}}', "access", id="login-access"),
        pytest.param('{{"AccessToken": "{access}", "IdToken": "{id}"}}', "id", id="login-id"),
        pytest.param('{{"AccessToken": "{access}", "IdToken": "{id}"}}', "any", id="login-any"),
        pytest.param('{{"IdToken": "{id}"}}', "any", id="login-any-id"),
        pytest.param('{{"AuthenticationResult": {{"AccessToken": "{access}"}}}}', "access", id="aws-cli"),
        pytest.param('{{"access_token": "{access}", "id_token": "{id}"}}', "access", id="token-endpoint"),
        pytest.param('{{"access_token": "{access}", "id_token": "{id}"}}', "id", id="token-endpoint-id"),
        pytest.param("Authorization: Bearer {access}", "access", id="the-header-whole"),
    ],
)
def test_the_token_is_found_in_what_is_piped_in(command: Command, stdin: str, use: str) -> None:
    piped = stdin.format(access=POOL.access_token(), id=POOL.id_token())
    assert command("verify", "--token-use", use, stdin=piped).code == 0


@pytest.mark.parametrize(
    ("stdin", "says"),
    [
        pytest.param(
            '{"IdToken": "x"}', "expected AccessToken or access_token in the JSON of a login", id="another-token"
        ),
        pytest.param('{"AccessToken": 5}', "expected AccessToken", id="no-string"),
        pytest.param('"x.y.z"', "found one in quotes", id="quotes"),
        pytest.param('{"AuthenticationResult": 5}', "expected AccessToken", id="no-object"),
        pytest.param('{"ChallengeName": "SMS_MFA"}', "a challenge, which is to be answered first", id="challenge"),
        pytest.param("x" * 1_000_001, "more than a megabyte", id="huge"),
    ],
)
def test_json_without_the_token_is_a_usage_error(command: Command, stdin: str, says: str) -> None:
    ended = command("verify", stdin=stdin)
    assert ended.code == 2
    assert says in ended.err


@pytest.mark.parametrize("stdin", ["{", "Bearer a, b", b"\xff\xfe\x00", "{access} {access}"])
def test_what_is_no_token_is_refused(command: Command, stdin: str | bytes) -> None:
    ended = command("verify", "--json", stdin=stdin)
    assert (ended.code, ended.document["error"]["code"]) == (1, "malformed_token")
    assert ended.document["verified"] is False


def test_a_file_and_a_variable_hold_a_token(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("token.txt").write_text(POOL.access_token())
    monkeypatch.setenv("TOKEN", POOL.access_token())
    assert command("verify", "--token-file", "token.txt").code == 0
    assert command("verify", "--token-env", "TOKEN").code == 0
    assert command("verify", "-", stdin=POOL.access_token()).code == 0
    for options in (["--token-file", "no.txt"], ["--token-env", "NO"], ["-", "--token-env", "TOKEN"]):
        assert command("verify", *options).code == 2


def test_a_token_on_the_command_line_works_and_is_warned_of(command: Command) -> None:
    raw = POOL.access_token()
    ended = command("verify", raw)
    assert ended.code == 0
    assert ended.err.startswith("warning: a token on the command line stays in the shell's history")
    assert not shows(ended, raw)


@pytest.mark.parametrize("name_of", ["verify", "explain"])
@pytest.mark.parametrize(
    ("lives", "is_valid_after", "code"),
    [
        pytest.param(60, 0, "token_expired", id="expired-meanwhile"),
        pytest.param(7_200, 3_600, None, id="issued-meanwhile"),
    ],
)
@pytest.mark.usefixtures("command")
def test_the_time_is_that_at_which_the_token_came(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name_of: str,
    lives: int,
    is_valid_after: int,
    code: str | None,
) -> None:
    clock = Clock()
    issued = clock() + is_valid_after
    raw = FakeUserPool(clock=clock).access_token(expires_in=lives, nbf=issued, iat=issued)

    class LatePipe(io.BytesIO):
        """Standard input whose other end takes an hour."""

        def read(self, size: int | None = -1) -> bytes:
            clock.tick(3_600)
            return super().read(size)

    monkeypatch.setattr(time, "time", clock)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(LatePipe(raw.encode())))
    run([name_of, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert (document["error"] or {}).get("code") == code
    assert document.get("notes", []) == []


def test_at_a_terminal_no_token_is_waited_for() -> None:
    leader, follower = os.openpty()
    ended = as_process("verify", env={**ENVIRONMENT, "COGNITO_JWKS": json.dumps(POOL.jwks)}, terminal=follower)
    os.close(leader)
    os.close(follower)
    assert ended.code == 2
    assert "no token: pipe it in" in ended.err


def test_a_closed_standard_input_is_a_usage_error() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" <&-', "sh", *command_line("verify")],
        env=clean_environment(**{**ENVIRONMENT, "COGNITO_JWKS": json.dumps(POOL.jwks)}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "no token: pipe it in" in done.stderr


# No token is shown, and no token speaks to the terminal.


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["words", "json"])
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["{raw}"], id="as-the-command"),
        pytest.param(["verify", "{raw}", "{raw}"], id="twice"),
        pytest.param(["verify", "--{raw}"], id="as-an-option"),
        pytest.param(["verify", "--leeway", "{raw}"], id="as-a-number"),
        pytest.param(["verify", "--token-use={raw}"], id="as-a-choice"),
        pytest.param(["verify", "--token-file", "{raw}"], id="as-a-file"),
        pytest.param(["verify", "--token-env", "{raw}"], id="as-a-variable"),
        pytest.param(["verify", "--pool", "{raw}"], id="as-a-pool"),
        pytest.param(["verify", "--jwks", "{raw}"], id="as-keys"),
        pytest.param(["verify", "--endpoint-url", "{raw}"], id="as-an-endpoint"),
        pytest.param(["jwks", "--check", "{raw}"], id="as-a-file-of-keys"),
        pytest.param(["jwks", "{raw}"], id="as-an-argument-too-many"),
        pytest.param(["jwks", "e{raw}"], id="spoilt"),
        pytest.param(["explain", "{raw}x"], id="tampered"),
        pytest.param(["explain", "{raw}"], id="explained"),
        pytest.param(["inspect", "{raw}"], id="inspected"),
    ],
)
def test_no_command_shows_a_token_that_it_was_given(command: Command, arguments: list[str], as_json: list[str]) -> None:
    raw = POOL.access_token()
    ended = command(*(argument.format(raw=raw) for argument in arguments), *as_json)
    assert not shows(ended, raw)
    assert ended.out + ended.err != ""


@pytest.mark.parametrize(
    "arguments", [["verify"], ["verify", "--json"], ["explain"], ["explain", "--json"], ["inspect"]]
)
@pytest.mark.parametrize("is_good", [True, False])
def test_what_a_token_says_cannot_reach_the_terminal_as_it_is(
    command: Command, arguments: list[str], is_good: bool
) -> None:
    claims = {
        **json_object("payload", parse_compact(POOL.access_token(), 10_000).payload),
        **dict.fromkeys(("username", "sub", "scope", EVIL), EVIL),
        "cognito:groups": [EVIL],
        **({} if is_good else {"iss": f"https://{EVIL}", "client_id": EVIL, "token_use": EVIL, "exp": EVIL}),
    }
    raw = POOL.sign({**POOL.header(), "kid": POOL.header()["kid"] if is_good else EVIL, EVIL: EVIL}, claims)
    options = ["--group", "g"] if arguments[0] == "explain" or not (is_good or arguments[0] == "inspect") else []
    ended = command(*arguments, *options, stdin=raw)
    text = ended.out + ended.err
    assert "\\x1b" in text or "\\u001b" in text
    assert all(one.isprintable() or one == "\n" for one in text)
    assert "gpj." in text


@pytest.mark.parametrize("unseen", "\u3164\u115f\u1160\u2800\u034f\ufe00\ufe0f\U000e0100\U000e01ef\u202e\u200b")
def test_letters_that_nobody_sees_are_shown_escaped(command: Command, unseen: str) -> None:
    ended = command("verify", stdin=POOL.access_token(username=f"ad{unseen}a"))
    assert ended.code == 0
    assert f"ad{ascii(unseen)[1:-1]}a" in ended.out.replace("\\\\", "\\")
    assert unseen not in ended.out


def test_a_terminal_that_cannot_show_a_letter_is_no_reason_to_fail() -> None:
    raw = POOL.sign(POOL.header(), {"name": "Ада"})
    ended = as_process("inspect", stdin=raw, env={"PYTHONIOENCODING": "latin-1"})
    assert ended.code == 0
    assert "\\u0410" in ended.out


def test_colours_are_for_terminals_alone_and_not_where_the_user_wants_none(tmp_path: Path) -> None:
    raw = tmp_path / "raw.txt"
    raw.write_text(POOL.access_token())
    arguments = ["inspect", "--token-file", str(raw)]
    assert "\x1b[" in at_a_terminal(arguments, {"TERM": "xterm"})
    assert "\x1b[" not in at_a_terminal(arguments, {"TERM": "xterm", "NO_COLOR": "1"})
    assert "\x1b[" not in at_a_terminal(arguments, {"TERM": "dumb"})
    assert "\x1b[" not in as_process(*arguments, env={"TERM": "xterm"}).out


def at_a_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    leader, follower = os.openpty()
    with subprocess.Popen(
        command_line(*arguments), stdout=follower, stdin=subprocess.DEVNULL, env=clean_environment(**environment)
    ) as process:
        os.close(follower)
        said = b""
        try:
            while piece := os.read(leader, 4_096):
                said += piece
        except OSError:  # how Linux tells that the other side has gone
            pass
        process.wait(timeout=30)
    os.close(leader)
    return said.decode()


# explain


def test_explain_shows_each_row_its_cause_and_cure(command: Command) -> None:
    ended = command("explain", "--group", "finance", stdin=POOL.access_token(expires_in=-10_800))
    assert ended.code == 1
    assert re.search(r"^structure +ok +\d+ characters, segments: 3$", ended.out, re.MULTILINE)
    assert re.search(r"^time +FAILED +expected +exp after, nbf not after ", ended.out, re.MULTILINE)
    assert re.search(r"^ +cause +exp: the token expired 3 h ago", ended.out, re.MULTILINE)
    assert re.search(r"^ +cure +get a new token with the refresh token", ended.out, re.MULTILINE)
    assert re.search(r"^groups +FAILED +expected +'finance'\n +found +none$", ended.out, re.MULTILINE)
    assert re.search(r"^resource +- +not looked at: no resource is asked for$", ended.out, re.MULTILINE)
    assert ended.out.endswith("not verified: token_expired, HTTP status 401\n")
    assert command("explain", stdin=POOL.access_token()).out.endswith("\nverified\n")


def test_explain_says_that_unsigned_claims_prove_nothing_and_what_an_iat_ahead_means(command: Command) -> None:
    ended = command("explain", stdin=OTHER_POOL.access_token(iat=int(time.time()) + 700))
    assert (
        "note: the signature is not verified: anybody can have written these claims, so they prove nothing" in ended.out
    )
    assert "note: not refused, since clocks differ: iat lies 12 min in the future" in ended.out


def test_an_explanation_as_json_has_its_rows(command: Command) -> None:
    document = command("explain", "--json", stdin=POOL.access_token(expires_in=-1)).document
    assert list(document) == ["verified", "signature_verified", "rows", "notes", "token", "error"]
    assert (document["verified"], document["signature_verified"], document["token"]) == (False, True, None)
    (time_row,) = [row for row in document["rows"] if row["check"] == "time"]
    assert list(time_row) == ["check", "verdict", "expected", "found", "code", "cause", "cure", "why_not"]
    assert (time_row["verdict"], time_row["code"]) == ("failed", "token_expired")
    document = command("explain", "--json", stdin=POOL.access_token()).document
    assert document["verified"] is True
    assert document["token"]["username"] == "ada"
    assert [row["code"] for row in document["rows"]] == [None] * 14


# inspect


def test_inspect_needs_no_pool_and_marks_what_it_shows(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name)
    raw = OTHER_POOL.access_token(expires_in=-7_200, nbf="soon")
    ended = command("inspect", stdin=raw)
    assert ended.code == 0
    assert ended.out.startswith("NOT VERIFIED: anybody can have written this\nheader\n")
    assert re.search(r"^  exp: \d+  \(\d{4}-\d\d-\d\dT.*Z, 2 h ago\)$", ended.out, re.MULTILINE)
    assert '  nbf: "soon"\n' in ended.out
    document = command("inspect", "--json", stdin=raw).document
    assert list(document) == ["verified", "header", "claims", "times", "error"]
    assert document["verified"] is False
    assert document["times"].keys() == {"exp", "iat", "auth_time"}
    both = json.dumps({"AccessToken": raw, "IdToken": OTHER_POOL.id_token()})
    assert command("inspect", "--json", "--token-use", "id", stdin=both).document["claims"]["token_use"] == "id"
    assert command("inspect", stdin="no token").code == 1


@pytest.mark.parametrize("name_of", ["verify", "explain", "inspect"])
def test_nothing_at_all_is_a_missing_token_to_every_command(command: Command, name_of: str) -> None:
    ended = command(name_of, "--json", stdin="\n")
    assert (ended.code, ended.document["error"]["code"]) == (1, "missing_token")


# jwks


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeUserPool, Any]]:
    """A pool whose keys are served; the environment says where. To be asked for after `command`."""
    pool = FakeUserPool()
    server = pool.serve()
    with server as uri:
        monkeypatch.setenv("COGNITO_JWKS_URI", uri)
        yield pool, server


def test_a_pools_keys_are_written_and_serve_as_jwks(command: Command, published: tuple[FakeUserPool, Any]) -> None:
    pool, _ = published
    Path("mine.json").write_text("before")
    Path("mine.json").chmod(0o600)
    ended = command("jwks", "--output", "mine.json")
    assert (ended.code, ended.out) == (0, "2 keys written to mine.json\n")
    assert KeySet.from_jwks(Path("mine.json").read_text()).is_same(KeySet.from_jwks(pool.jwks))
    assert Path("mine.json").stat().st_mode & 0o777 == 0o600
    assert command("verify", "--jwks", "mine.json", stdin=pool.access_token()).code == 0
    assert command("jwks", "--json", "--output", "new.json").document == {
        "file": "new.json",
        "key_ids": sorted(one["kid"] for one in pool.jwks["keys"]),
        "error": None,
    }
    assert json.loads(Path("new.json").read_text()) == command("jwks").document
    assert Path("new.json").stat().st_mode & 0o777 == 0o644


def test_a_bad_set_is_refused_and_the_file_stays(command: Command, published: tuple[FakeUserPool, Any]) -> None:
    _, server = published
    Path("mine.json").write_text("before")
    server.answers(Answer(200, b'{"keys": []}'), Answer(200, b'{"keys": []}'))
    ended = command("jwks", "--output", "mine.json")
    assert ended.code == 3
    assert "no usable RS256 key" in ended.err
    assert Path("mine.json").read_text() == "before"
    assert sorted(path.name for path in Path().iterdir()) == ["keys.json", "mine.json"]


@pytest.mark.usefixtures("command", "published")
def test_a_file_that_cannot_be_written_is_a_configuration_error(command: Command) -> None:
    Path("directory").mkdir()
    for path in ("directory", "nowhere/keys.json"):
        ended = command("jwks", "--output", path)
        assert ended.code == 2
        assert "cannot be written" in ended.err
    assert sorted(path.name for path in Path().iterdir()) == ["directory", "keys.json"]


@pytest.mark.usefixtures("command", "published")
def test_what_is_no_file_is_not_replaced_by_one(command: Command) -> None:
    os.mkfifo("fifo")
    Path("link.json").symlink_to("keys.json")
    Path("dangling.json").symlink_to("nowhere.json")
    Path("dev").symlink_to("/dev")
    before = Path("keys.json").read_text()
    for path in ("fifo", "link.json", "dangling.json", "/dev/none/keys.json", "dev/none.json", "/proc/none.json"):
        ended = command("jwks", "--output", path)
        assert ended.code == 2
        assert "cannot be written: expected a regular file or none yet" in ended.err
    assert Path("fifo").is_fifo()
    assert Path("link.json").is_symlink()
    assert Path("keys.json").read_text() == before
    assert not Path("nowhere.json").exists()


def test_a_hyphen_is_standard_output(command: Command, published: tuple[FakeUserPool, Any]) -> None:
    pool, _ = published
    ended = command("jwks", "--output", "-")
    assert ended.code == 0
    assert KeySet.from_jwks(ended.out).is_same(KeySet.from_jwks(pool.jwks))
    assert not Path("-").exists()


@pytest.mark.usefixtures("command", "published")
@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["words", "json"])
def test_a_path_that_looks_like_a_token_is_not_shown(command: Command, as_json: list[str]) -> None:
    raw = f"eyJ{'a' * WINDOW}.{'b' * WINDOW}.{'c' * WINDOW}"
    for option in ("--output", "--check"):
        ended = command("jwks", option, raw, *as_json)
        assert ended.code == 0
        assert "aaaa" not in ended.out + ended.err


def test_check_says_whether_a_file_is_current(command: Command, published: tuple[FakeUserPool, Any]) -> None:
    pool, server = published
    assert command("jwks", "--check", "keys.json").out == "current: 2 keys\n"
    assert command("jwks", "--check", "keys.json", "--json").document["current"] is True
    old = sorted(one["kid"] for one in pool.jwks["keys"])
    pool.rotate_keys()
    ended = command("jwks", "--check", "keys.json")
    assert ended.code == 1
    assert ended.out.count("missing: '") == ended.out.count("withdrawn: '") == 2
    document = command("jwks", "--check", "keys.json", "--json").document
    new = sorted(one["kid"] for one in pool.jwks["keys"])
    assert document == {
        "current": False,
        "file": "keys.json",
        "missing": new,
        "withdrawn": old,
        "changed": [],
        "error": None,
    }
    first, second = pool.jwks["keys"]
    Path("keys.json").write_text(json.dumps({"keys": [{**first, "n": second["n"]}, second]}))
    assert command("jwks", "--check", "keys.json", "--json").document["changed"] == [first["kid"]]
    server.answers(Answer(503), Answer(503))
    assert command("jwks", "--check", "keys.json").code == 3


@pytest.mark.parametrize("content", [None, "no json", '{"keys": []}'])
def test_a_file_without_keys_cannot_be_checked(command: Command, content: str | None) -> None:
    if content is not None:
        Path("mine.json").write_text(content)
    assert command("jwks", "--check", "mine.json").code == 2


def test_only_a_file_of_a_bounded_length_is_checked(command: Command) -> None:
    os.mkfifo("fifo")
    Path("long.json").write_text(json.dumps(POOL.jwks) + " " * 600_000)
    for path, says in {"fifo": "a regular file", "/dev/zero": "a regular file", "long.json": "more than"}.items():
        ended = command("jwks", "--check", path)
        assert ended.code == 2
        assert says in ended.err


def test_jwks_either_writes_or_checks(command: Command) -> None:
    assert command("jwks", "--check", "keys.json", "--output", "keys.json").code == 2


class TwoIssuers(UserPool):
    """A pool whose two issuers have an endpoint each, as AWS's have."""

    def __init__(self, *uris: str) -> None:
        super().__init__("us-east-1_TestPool1", client_id=None)
        self._uris = dict(zip("ab", uris, strict=True))

    @property
    def issuers(self) -> dict[str, str]:
        return self._uris


def test_issuers_that_publish_different_keys_under_one_name_are_refused() -> None:
    first, second = FakeUserPool(), FakeUserPool("us-east-1_TestPool2")
    keys = second.jwks["keys"]
    keys[0]["kid"] = first.jwks["keys"][0]["kid"]
    with first.serve() as one, second.serve() as other:
        assert len(fetched_keys(TwoIssuers(one, other))) == 4
    server = second.serve()
    server.answers(Answer(200, json.dumps({"keys": keys}).encode()))
    with (
        first.serve() as one,
        server as other,
        pytest.raises(ConfigurationError, match="different keys under one kid"),
    ):
        fetched_keys(TwoIssuers(one, other))


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
def test_half_a_set_is_no_set_unless_an_issuer_says_that_it_has_no_keys(status: int) -> None:
    first, second = FakeUserPool(), FakeUserPool("us-east-1_TestPool2")
    server = second.serve()
    server.answers(Answer(status), Answer(status))
    with first.serve() as one, server as other:
        if status in (403, 404):
            assert fetched_keys(TwoIssuers(one, other)).is_same(KeySet.from_jwks(first.jwks))
        else:
            with pytest.raises(KeysUnavailableError, match=rf"\({re.escape(other)}: answered {status}\)"):
                fetched_keys(TwoIssuers(one, other))


def test_whoever_reads_a_file_of_keys_meanwhile_finds_the_old_ones_or_the_new_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = tmp_path / "keys.json"
    target.write_text("before")
    new = json.dumps(POOL.jwks)
    forced = []

    def watched(descriptor: int, force: Callable[[int], None] = os.fsync) -> None:
        force(descriptor)
        (beside,) = set(tmp_path.iterdir()) - {target}
        assert os.path.samestat(os.fstat(descriptor), beside.stat())
        forced.append((target.read_text(), KeySet.from_jwks(beside.read_bytes()).keys()))

    monkeypatch.setattr(os, "fsync", watched)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))  # it may lie on another disk
    keys = KeySet.from_jwks(new)
    with target.open() as reader:
        write_keys(keys, str(target))
        assert reader.read() == "before"  # of a file that is there no longer: nobody wrote into it
    assert forced == [("before", keys.keys())]
    assert KeySet.from_jwks(target.read_bytes()).is_same(keys)
    assert list(tmp_path.iterdir()) == [target]


# An emulator's pool.


def test_an_emulators_pool_is_named_by_its_endpoint_and_warned_of(command: Command) -> None:
    pool = FakeUserPool()
    with pool.serve() as uri:
        endpoint = uri.removesuffix(pool.jwks_path)
        ended = command("verify", "--endpoint-url", endpoint, stdin=pool.access_token())
        assert ended.code == 0
        assert ended.err.startswith(
            "warning: user pool us-east-1_TestPool1 is an emulator's; its keys come unprotected"
        )
        ended = command("verify", "--endpoint-url", endpoint, "--jwks", "keys.json", stdin=pool.access_token())
        assert ended.code == 2
        assert "leave out --jwks" in ended.err


# The command as a process.


def test_the_installed_command_verifies(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(POOL.jwks))
    ended = as_process("verify", stdin=POOL.access_token(), env=ENVIRONMENT, cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("verified: access token of user 'ada'")
    assert as_process("verify", stdin=POOL.id_token(), env=ENVIRONMENT, cwd=tmp_path).code == 1
    assert as_process("verify", stdin=POOL.id_token(), cwd=tmp_path).code == 2


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, *command_line("--version")[1:-2], "-m", "cognito_verify.cli", "--version"],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
        check=True,
    )
    assert re.fullmatch(r"cognito-verify, version \d+\.\d+\.\d+\n", done.stdout)


def test_without_click_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "cognito_verify.cli.program")
    monkeypatch.setitem(sys.modules, "click", None)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err == "cognito-verify: the command needs click: pip install 'cognito-verify[cli]'\n"


def test_a_broken_installation_is_not_taken_for_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cognito_verify.cli.program", None)
    with pytest.raises(ModuleNotFoundError):
        main()


def test_a_closed_standard_output_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "raw.txt").write_text(POOL.access_token())
    inspect = command_line("inspect", "--token-file", str(tmp_path / "raw.txt"))
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" >&-', "sh", *inspect],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_shell_completes_commands_and_options() -> None:
    def completed(words: str, number: int) -> list[str]:
        environment = {"_COGNITO_VERIFY_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
        return [line.partition(",")[2] for line in as_process(env=environment).out.splitlines()]

    assert completed("cognito-verify ", 1) == ["demo", "doctor", "explain", "inspect", "jwks", "login", "verify"]
    assert completed("cognito-verify verify --token-u", 2) == ["--token-use"]
    assert completed("cognito-verify verify --token-use ", 3) == ["access", "id", "any"]
    source = as_process(env={"_COGNITO_VERIFY_COMPLETE": "bash_source"}).out
    assert "_COGNITO_VERIFY_COMPLETE=bash_complete" in source


def test_a_completion_that_was_left_in_the_environment_verifies_nothing(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_COGNITO_VERIFY_COMPLETE", "bash_source")
    assert command("verify", stdin=POOL.access_token(expires_in=-1)).code == 1
    assert "_COGNITO_VERIFY_COMPLETE" in command().out


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_complete_as_well(shell: str) -> None:
    def completed(words: str, incomplete: str) -> list[str]:
        place = {"zsh": str(len(words.split())), "fish": incomplete}[shell]  # as each one's script has it
        environment = {"COMP_WORDS": f"{words} {incomplete}", "COMP_CWORD": place}
        lines = as_process(env={"_COGNITO_VERIFY_COMPLETE": f"{shell}_complete", **environment}).out.splitlines()
        return lines[1::3] if shell == "zsh" else [re.split("[,\t]", line)[1] for line in lines if line[0] == "p"]

    assert completed("cognito-verify", "ins") == ["inspect"]
    assert completed("cognito-verify verify", "--token-u") == ["--token-use"]
    source = as_process(env={"_COGNITO_VERIFY_COMPLETE": f"{shell}_source"}).out
    assert f"_COGNITO_VERIFY_COMPLETE={shell}_complete" in source


def test_an_interrupt_is_a_document_as_well(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with (
        subprocess.Popen(
            command_line("inspect", "--json", "--token-file", str(fifo)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
            preexec_fn=heed_interrupts,  # noqa: PLW1509 - nothing else can undo it
        ) as process,
        fifo.open("wb"),  # opens once the command reads
    ):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err.strip()) == (130, "")
    assert json.loads(out)["error"]["code"] == "interrupted"


def heed_interrupts() -> None:
    """In the child: a job in the background is started with interrupts ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


OWN_ERRORS = [
    one
    for one in vars(failures).values()
    if isinstance(one, type) and issubclass(one, CognitoVerifyError) and one.__module__ == failures.__name__
]


@pytest.mark.parametrize("error", OWN_ERRORS, ids=lambda one: one.code)
def test_each_error_of_the_commands_own_is_explained_where_it_says(error: type[CognitoVerifyError]) -> None:
    path, _, anchor = error.docs_url.partition("#")
    assert anchor == error.code
    assert f"### `{anchor}`\n" in (CLONE / path).read_text(encoding="utf-8")


def test_an_error_document_says_where_it_is_explained(command: Command) -> None:
    refused = command("verify", "--json", stdin=POOL.access_token(expires_in=-1)).document["error"]
    assert refused["docs_url"] == f"{DOCUMENTATION}#token_expired"
    assert command("verify", "--json", "--nonsense").document["error"]["docs_url"].endswith("command-line.md#usage")


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "raw.txt").write_text(POOL.access_token())
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(
        command_line("inspect", "--token-file", str(tmp_path / "raw.txt")),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    ) as process:
        os.close(writer)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 70  # 1 would be a refusal
    assert said == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this platform has no full device")
@pytest.mark.parametrize("is_told", [True, False])
def test_a_fault_of_the_system_is_neither_hidden_nor_a_refusal(is_told: bool) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command_line("--version"),
            stdout=full,
            stderr=subprocess.PIPE if is_told else full,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode in (70, 120)  # 120: Python's own, once it cannot flush either
    if is_told:
        assert done.stderr.startswith("fault: the command failed (OSError)")


def test_a_fault_of_the_command_is_one_line_that_quotes_nothing(command: Command) -> None:
    ended = command("verify", "--claim", f"a={'[' * 100_000}", stdin=POOL.access_token())
    assert (ended.code, ended.out) == (70, "")
    assert ended.err == "fault: the command failed (RecursionError), and says nothing else\n"


def test_a_long_word_is_looked_through_at_once(command: Command) -> None:
    assert command("verify", "--leeway", "x" * 200_000, stdin=POOL.access_token()).code == 2


# Help.


@pytest.mark.parametrize("name", sorted(program.commands))
def test_each_help_has_an_example_and_the_short_one_is_whole(command: Command, name: str) -> None:
    assert re.search(rf"^    \$ cognito-verify {name}\b", command(name, "--help").out, re.MULTILINE)
    told = command("--help").out
    assert "..." not in told.partition("Commands:")[2]
    assert '\n    eval "$(_COGNITO_VERIFY_COMPLETE=bash_source cognito-verify)"' in told


def test_no_command_at_all_is_a_usage_error(command: Command) -> None:
    ended = command()
    assert ended.code == 2
    assert ended.err.startswith("Usage: cognito-verify [OPTIONS] COMMAND [ARGS]...\nSee cognito-verify --help\nusage: ")
    assert "See cognito-verify jwks --help" in command("jwks", "extra").err
