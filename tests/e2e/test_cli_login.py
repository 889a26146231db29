"""`cognito-verify login` against moto's server and, for what moto never answers, a service on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest

from cognito_verify.cli import login as login_room
from cognito_verify.cli.failures import ServiceError, exit_code
from cognito_verify.cli.login import Login, is_unprotected
from tests.command import SCRIPT, Ended, clean_environment, command_line, in_process

pytestmark = pytest.mark.usefixtures("pool")

USER = "ada"
TEMPORARY = "Temporary-1"
PASSWORD = "Permanent-1"

Command = Callable[..., Ended]


@dataclass(frozen=True)
class Pool:
    """A pool of moto's with a user, and what the commands read from the environment."""

    service: Any
    pool_id: str
    client_id: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def service(user_pool_service: str) -> Any:
    """A client of moto's server. boto3 takes a second to make one."""
    return boto3.session.Session().client(
        "cognito-idp",
        region_name="us-east-1",
        endpoint_url=user_pool_service,
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )


@pytest.fixture
def pool(service: Any, user_pool_service: str, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """A pool whose user has a password of their own."""
    for name in [name for name in os.environ if name.startswith(("COGNITO_", "AWS_"))]:
        monkeypatch.delenv(name)
    pool_id = service.create_user_pool(PoolName="pool")["UserPool"]["Id"]
    client = service.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName="client",
        GenerateSecret=True,
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH"],
    )["UserPoolClient"]
    service.admin_create_user(UserPoolId=pool_id, Username=USER, TemporaryPassword=TEMPORARY, MessageAction="SUPPRESS")
    service.admin_set_user_password(UserPoolId=pool_id, Username=USER, Password=PASSWORD, Permanent=True)
    environment = {
        "COGNITO_USER_POOL_ID": pool_id,
        "COGNITO_CLIENT_ID": client["ClientId"],
        "COGNITO_CLIENT_SECRET": client["ClientSecret"],
        "COGNITO_JWKS_URI": f"{user_pool_service}/{pool_id}/.well-known/jwks.json",
        "COGNITO_TOKEN_USE": "access",
        "AWS_ENDPOINT_URL": user_pool_service,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PASSWORD": PASSWORD,
        "NEW_PASSWORD": "Chosen-22",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Pool(service, pool_id, client["ClientId"], environment)


@pytest.fixture
def new_pool(pool: Pool) -> Pool:
    """The same, the user's password a temporary one."""
    pool.service.admin_set_user_password(UserPoolId=pool.pool_id, Username=USER, Password=TEMPORARY, Permanent=False)
    return pool


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process; each test of it has a pool, in `os.environ`."""

    def run(*arguments: str, stdin: str = "") -> Ended:
        return in_process(monkeypatch, capsys, *arguments, stdin=stdin)

    return run


@pytest.mark.parametrize("how", [[], ["--admin"]], ids=["user", "admin"])
def test_a_user_logs_in_and_the_tokens_verify(
    command: Command, monkeypatch: pytest.MonkeyPatch, how: list[str]
) -> None:
    if how:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    ended = command("login", "--username", USER, "--password-env", "PASSWORD", *how)
    assert (ended.code, ended.err) == (0, "")
    assert ended.document.keys() >= {"AccessToken", "IdToken", "RefreshToken", "ExpiresIn", "TokenType"}
    for use in ("access", "id"):
        assert command("verify", "--token-use", use, stdin=ended.out).code == 0


def test_a_password_comes_from_standard_input(command: Command) -> None:
    assert command("login", "--username", USER, "--password-stdin", stdin=f"{PASSWORD}\n").code == 0
    assert command("login", "--username", USER, "--password-stdin", stdin="wrong\n").code == 1
    ended = command("login", "--username", USER, "--password-stdin", stdin="x" * 5_000)
    assert ended.code == 2
    assert "a line of at most 4096 characters" in ended.err


def test_exports_are_lines_for_a_shell(command: Command) -> None:
    ended = command("login", "--username", USER, "--password-env", "PASSWORD", "--export")
    lines = dict(shlex.split(line)[1].split("=", 1) for line in ended.out.splitlines())
    assert list(lines) == ["COGNITO_ACCESS_TOKEN", "COGNITO_ID_TOKEN", "COGNITO_REFRESH_TOKEN"]
    assert lines["COGNITO_ID_TOKEN"].count(".") == 2


def test_exports_are_of_what_there_is(command: Command) -> None:
    answer = {"AuthenticationResult": {"AccessToken": "a"}}
    with service_that_answers((200, answer)) as (url, _):
        ended = command("login", "--username", USER, "--password-env", "PASSWORD", "--export", "--endpoint-url", url)
    assert (ended.code, ended.out) == (0, "export COGNITO_ACCESS_TOKEN=a\n")


def test_a_password_that_others_could_read_is_warned_of(command: Command) -> None:
    login = ["login", "--username", USER, "--password-env", "PASSWORD", "--endpoint-url"]
    for url, is_warned_of in {"http://0.0.0.0:9": True, "http://127.0.0.1:9": False}.items():
        ended = command(*login, url)
        assert ended.code == 3
        assert ("warning: the password goes unprotected" in ended.err) is is_warned_of
    protected = ("https://login.example", "http://localhost:9", "http://[::1]/", "http://127.9.9.9:1")
    assert not any(map(is_unprotected, protected))
    assert all(map(is_unprotected, ("http://127.0.0.1.example", "http://localhost.example", "http://moto:5000")))
    assert is_unprotected("http://localhost:x@192.0.2.2:8941")


@pytest.mark.parametrize("url", ["http://localhost:hush@127.0.0.1:9", "https://hush@login.example", "http://a:hush@:x"])
@pytest.mark.parametrize("way", ["option", "variable"])
def test_an_endpoint_with_a_user_name_is_refused_and_not_shown(
    command: Command, monkeypatch: pytest.MonkeyPatch, way: str, url: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    options = ["--endpoint-url", url] if way == "option" else []
    ended = command("login", "--username", USER, "--password-env", "PASSWORD", *options)
    assert ended.code == 2
    assert "endpoint" in ended.err
    assert "hush" not in ended.err


def test_what_boto3_refuses_is_a_configuration_error(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    login = ["login", "--username", USER, "--password-env", "PASSWORD"]
    ended = command(*login, "--client-id", " ", "--endpoint-url", "http://127.0.0.1:9")
    assert ended.code == 2
    assert "login: ParamValidationError: " in ended.err
    monkeypatch.setenv("AWS_PROFILE", "none")
    ended = command(*login)
    assert ended.code == 2
    assert "login: ProfileNotFound: " in ended.err


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_proxy_gets_no_password_that_is_for_this_machine(
    command: Command, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    tokens = {"AuthenticationResult": {"AccessToken": "a"}}
    with service_that_answers((200, tokens)) as (proxy, seen), service_that_answers((200, tokens)) as (url, asked):
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        options = ["--endpoint-url", url.replace("127.0.0.1", host)]
        assert command("login", "--username", USER, "--password-env", "PASSWORD", *options).code == 0
    assert (len(seen), len(asked)) == (0, 1)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER"])
def test_the_warning_looks_at_where_the_password_goes_whoever_said_so(
    command: Command, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://0.0.0.0:9")
    ended = command("login", "--username", USER, "--password-env", "PASSWORD")
    assert ended.code == 3
    assert "warning: the password goes unprotected to http://0.0.0.0:9\n" in ended.err


@pytest.mark.parametrize("name", ["AccessToken", "IdToken", "RefreshToken"])
@pytest.mark.parametrize("how", ["--export", "--json"])
def test_what_cannot_be_a_token_is_not_printed(command: Command, how: str, name: str) -> None:
    answer = {"AuthenticationResult": {"AccessToken": "a", name: "a'; echo b"}}
    with service_that_answers((200, answer)) as (url, _):
        ended = command("login", "--username", USER, "--password-env", "PASSWORD", how, "--endpoint-url", url)
    assert ended.code == 3
    assert "echo" not in ended.out + ended.err
    assert f"login: expected a token in {name}, found what Cognito does not answer" in ended.out + ended.err


@pytest.mark.parametrize("token", ["$(c)", "d\ne", "a\n", "\x1b[31m", "\u0430", "", 5, ["a"], {"a": "b"}])
def test_a_token_is_of_the_characters_of_tokens(token: object) -> None:
    with pytest.raises(ServiceError, match="expected a token in IdToken"):  # a client for each would take long
        login_room._result({"AuthenticationResult": {"AccessToken": "a.B-_~+/9==", "IdToken": token}})


@pytest.mark.usefixtures("new_pool")
@pytest.mark.parametrize("how", [[], ["--admin"]], ids=["user", "admin"])
def test_a_temporary_password_is_answered_with_a_new_one(
    command: Command, monkeypatch: pytest.MonkeyPatch, how: list[str]
) -> None:
    monkeypatch.setenv("PASSWORD", TEMPORARY)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    first = ["login", "--username", USER, "--password-env", "PASSWORD", *how]
    ended = command(*first)
    assert ended.code == 2
    assert "New password: there is no terminal to ask at" in ended.err
    assert command(*first, "--new-password-env", "NEW_PASSWORD").code == 0
    monkeypatch.setenv("PASSWORD", "Chosen-22")
    assert command(*first).code == 0


def test_another_challenge_is_named_as_unsupported(command: Command) -> None:
    answer = {"ChallengeName": "SOFTWARE_TOKEN_MFA", "Session": "s" * 20, "ChallengeParameters": {}}
    with service_that_answers((200, answer)) as (url, _):
        ended = command("login", "--username", USER, "--password-env", "PASSWORD", "--endpoint-url", url)
    assert ended.code == 1
    assert "'SOFTWARE_TOKEN_MFA', which this command does not answer" in ended.err


@pytest.mark.parametrize(
    ("status", "kind", "message", "code", "says"),
    [
        pytest.param(
            400, "NotAuthorizedException", "Client c is configured with secret but SECRET_HASH was not received",
            2, "set COGNITO_CLIENT_SECRET", id="secret-missing",
        ),
        pytest.param(
            400, "NotAuthorizedException", "Unable to verify secret hash for client c",
            2, "is not this app client's secret", id="secret-wrong",
        ),
        pytest.param(
            400, "NotAuthorizedException", "Client c is configured without secret but SECRET_HASH was received",
            2, "unset COGNITO_CLIENT_SECRET", id="secret-needless",
        ),
        pytest.param(
            400, "InvalidParameterException", "USER_PASSWORD_AUTH flow not enabled for this client",
            2, "ALLOW_USER_PASSWORD_AUTH", id="flow",
        ),
        pytest.param(400, "ResourceNotFoundException", "User pool client c does not exist.", 2, "region", id="client"),
        pytest.param(
            400, "NotAuthorizedException", "Incorrect username or password.", 1, "check user name", id="password"
        ),
        pytest.param(400, "PasswordResetRequiredException", "Password reset", 1, "use the pool's reset", id="reset"),
        pytest.param(
            400, "UserNotConfirmedException", "User is not confirmed.", 1, "confirm the user first", id="unconfirmed"
        ),
        pytest.param(
            400, "AccessDeniedException", "User: x is not authorized to perform: y",
            2, "AdminInitiateAuth and, for a first login, cognito-idp:AdminRespondToAuthChallenge", id="rights",
        ),
        pytest.param(400, "ExpiredTokenException", "t-o-k-e-n", 2, "they have expired", id="session"),
        pytest.param(
            400, "InvalidSignatureException", "x-amz-security-token:t-o-k-e-n", 2, "the secret key", id="secret-key"
        ),
        pytest.param(400, "UserLambdaValidationException", "PreAuth: no\x1b[31m", 1, "no\\x1b[31m", id="else"),
        pytest.param(400, "TooManyRequestsException", "Rate exceeded", 3, "try again later", id="throttled"),
        pytest.param(500, "InternalErrorException", "oops", 3, "try again later", id="internal"),
    ],
)  # fmt: skip
def test_what_cognito_answers_is_told_with_its_cure(
    command: Command, status: int, kind: str, message: str, code: int, says: str
) -> None:
    with service_that_answers((status, {"__type": kind, "message": message})) as (url, _):
        ended = command("login", "--username", USER, "--password-env", "PASSWORD", "--endpoint-url", url)
    assert ended.code == code
    assert f"login: {kind}: " in ended.err
    assert says in ended.err
    assert "t-o-k-e-n" not in ended.err  # AWS quotes the request that it could not verify
    assert ended.out == ""


@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("UnrecognizedClientException", 2, "AWS does not know them"),
        ("InvalidClientTokenId", 2, "AWS does not know them"),
        ("RequestExpired", 2, "this machine's clock"),
        ("SignatureDoesNotMatch", 2, "the secret key is not the access key's"),
        ("IncompleteSignatureException", 2, "they are not whole"),
        ("MissingAuthenticationTokenException", 2, "they are not whole"),
        ("OptInRequired", 2, "their account may not use the service"),
        ("UserNotFoundException", 1, "is the user in this pool?"),
        ("InvalidPasswordException", 1, "password policy"),
        ("LimitExceededException", 3, "try again later"),
        ("ThrottlingException", 3, "try again later"),
        ("InternalFailure", 3, "try again later"),
        ("RequestTimeoutException", 3, "try again later"),
        ("ServiceUnavailableException", 3, "try again later"),
    ],
)
def test_what_any_service_of_aws_answers_is_told_as_well(kind: str, code: int, says: str) -> None:
    refusal = login_room._refusal(kind, "...", 400, "...")  # a client for each would take half a minute
    assert exit_code(refusal) == code
    assert says in str(refusal)


@pytest.mark.parametrize("pool_id", ["here", "us-east-1", "us-east-1_", "eu-west-1_A/../B"])
def test_what_is_no_pool_is_refused_as_by_verify(command: Command, pool_id: str) -> None:
    login = command("login", "--username", USER, "--password-env", "PASSWORD", "--json", "--pool", pool_id)
    verify = command("verify", "--json", "--pool", pool_id, stdin="x.y.z")
    assert login.code == verify.code == 2
    assert login.document == verify.document


def test_an_emulators_pool_has_an_id_of_any_form(command: Command) -> None:
    with service_that_answers((200, {"AuthenticationResult": {"AccessToken": "a"}})) as (url, _):
        emulated = ["--pool", "local_1a2b", "--endpoint-url", url]
        assert command("login", "--username", USER, "--password-env", "PASSWORD", *emulated).code == 0


def test_a_login_is_signed_for_the_region_of_its_pool(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    with service_that_answers((200, {"AuthenticationResult": {"AccessToken": "a"}})) as (url, asked):
        options = ["--pool", "eu-west-1_AbCdEfGhI", "--admin", "--endpoint-url", url]
        assert command("login", "--username", USER, "--password-env", "PASSWORD", *options).code == 0
    assert "/eu-west-1/cognito-idp/aws4_request" in asked[0]["Authorization"]
    assert asked[0]["UserPoolId"] == "eu-west-1_AbCdEfGhI"


def test_a_service_that_says_nothing_is_not_waited_for_long(pool: Pool) -> None:
    config = login_room._Service(Login(pool.pool_id, pool.client_id, USER))._client.meta.config  # no test waits for it
    assert (config.connect_timeout, config.read_timeout) == (10, 10)
    assert config.retries["total_max_attempts"] == 1


def test_no_repr_of_a_login_holds_its_secret() -> None:
    assert "hush" not in repr(Login("us-east-1_AbCdEfGhI", "client", USER, client_secret="hush"))


def test_the_secret_hash_is_of_the_users_own_name_in_the_answer_to_a_challenge(command: Command) -> None:
    challenge = {
        "ChallengeName": "NEW_PASSWORD_REQUIRED",
        "Session": "s" * 20,
        "ChallengeParameters": {"USER_ID_FOR_SRP": "own-name"},
    }
    tokens = {"AuthenticationResult": {"AccessToken": "a", "IdToken": "b", "RefreshToken": "c"}}
    options = ["--password-env", "PASSWORD", "--new-password-env", "NEW_PASSWORD", "--client-secret", "hush"]
    with service_that_answers((200, challenge), (200, tokens)) as (url, asked):
        ended = command("login", "--username", "a@b.example", *options, "--endpoint-url", url)
    assert ended.code == 0
    assert ended.err.startswith("warning: a secret on the command line")
    first, second = asked
    client_id = first["ClientId"]

    def hashed(username: str) -> str:
        return base64.b64encode(hmac.new(b"hush", f"{username}{client_id}".encode(), hashlib.sha256).digest()).decode()

    assert first["AuthParameters"] == {
        "USERNAME": "a@b.example",
        "PASSWORD": PASSWORD,
        "SECRET_HASH": hashed("a@b.example"),
    }
    assert second["ChallengeResponses"] == {
        "USERNAME": "own-name",
        "NEW_PASSWORD": "Chosen-22",
        "SECRET_HASH": hashed("own-name"),
    }


CHALLENGE: dict[str, Any] = {"ChallengeName": "NEW_PASSWORD_REQUIRED", "Session": "s" * 20, "ChallengeParameters": {}}
CHANGES: dict[str, dict[str, Any]] = {
    "without-session": {"Session": None},
    "with-a-list": {"Session": ["hush", "hush"]},
    "with-a-short-session": {"Session": "hush"},
    "with-a-number-for-a-name": {"ChallengeParameters": {"USER_ID_FOR_SRP": 5}},
    "with-a-list-of-parameters": {"ChallengeParameters": [5]},
}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(200, b"{}", id="nothing"),
        pytest.param(200, b'{"AuthenticationResult": null}', id="null"),
        pytest.param(200, b'{"AuthenticationResult": {"IdToken": "a"}}', id="no-access-token"),
        pytest.param(200, b'{"AuthenticationResult": [1]}', id="list"),
        pytest.param(200, b"<html>Log in to this network</html>", id="page"),
        pytest.param(200, b'{"AuthenticationResult": {"Acc', id="cut"),
        pytest.param(200, b"[1]", id="no-object"),
        pytest.param(200, b"[" * 100_000, id="deep"),
        pytest.param(200, b"\xff", id="no-text"),
        *(
            pytest.param(200, json.dumps({**CHALLENGE, **change}).encode(), id=f"challenge-{name}")
            for name, change in CHANGES.items()
        ),
        pytest.param(400, b'{"__type": 5}', id="no-name"),
        pytest.param(400, b"no JSON", id="no-error-by-name"),
        pytest.param(302, b"", id="elsewhere"),
        pytest.param(429, b"slowly", id="throttled"),
        pytest.param(503, b"<html>Service Unavailable</html>", id="out-of-service"),
        pytest.param(500, b'{"__type": "Odd", "message": "..."}', id="error-of-the-service"),
    ],
)
def test_what_is_no_answer_of_cognito_is_no_verdict_on_the_login(command: Command, status: int, body: bytes) -> None:
    options = ["--password-env", "PASSWORD", "--new-password-env", "NEW_PASSWORD", "--json"]
    with service_that_answers((status, body)) as (url, _):
        ended = command("login", "--username", USER, *options, "--endpoint-url", url)
    assert (ended.code, ended.document["error"]["code"]) == (3, "service_unavailable")
    assert "hush" not in ended.out + ended.err


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"__type": "Odd-{}", "message": "{}"}),
        (400, {"__type": "NotAuthorizedException", "message": "x" * 290 + "{}" + "x" * 5_000}),
        (200, {"ChallengeName": "{}"}),
    ],
    ids=["error", "long", "challenge"],
)
@pytest.mark.parametrize("secret", [PASSWORD, "hush-hush", "Chosen-22"], ids=["password", "client", "new-password"])
def test_a_message_of_the_service_is_short_and_without_secrets(
    command: Command, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, dict[str, str]], secret: str
) -> None:
    monkeypatch.setenv("COGNITO_CLIENT_SECRET", "hush-hush")
    status, template = answer
    echo = {name: value.replace("{}", f"<{secret}>") for name, value in template.items()}
    with service_that_answers((200, CHALLENGE), (status, echo)) as (url, _):
        options = ["--password-env", "PASSWORD", "--new-password-env", "NEW_PASSWORD", "--endpoint-url", url]
        ended = command("login", "--username", USER, *options)
    assert ended.code == 1
    assert secret[:8] not in ended.out + ended.err
    assert "<(not sh" in ended.err
    assert len(ended.err) < 600


def test_a_client_without_a_secret_and_an_empty_password_strike_nothing_out(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COGNITO_CLIENT_SECRET")
    with service_that_answers((400, {"__type": "Odd", "message": "as it is"})) as (url, _):
        ended = command("login", "--username", USER, "--password-stdin", "--endpoint-url", url, stdin="\n")
    assert ended.err == "login_refused: login: Odd: as it is\n"


def test_a_client_without_a_secret_proves_none(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COGNITO_CLIENT_SECRET")
    with service_that_answers((200, {"AuthenticationResult": {"AccessToken": "a"}})) as (url, asked):
        assert command("login", "--username", USER, "--password-env", "PASSWORD", "--endpoint-url", url).code == 0
    assert asked[0]["AuthParameters"] == {"USERNAME": USER, "PASSWORD": PASSWORD}


def test_a_service_out_of_reach_and_one_that_is_none(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    login = ["login", "--username", USER, "--password-env", "PASSWORD", "--json"]
    ended = command(*login, "--endpoint-url", "http://127.0.0.1:9")
    assert (ended.code, ended.document["error"]["code"]) == (3, "service_unavailable")
    ended = command(*login, "--endpoint-url", "nowhere")
    assert (ended.code, ended.document["error"]["code"]) == (2, "configuration")
    ended = command(*login, "--admin")
    assert (ended.code, ended.document["error"]["code"]) == (2, "configuration")
    assert "--admin needs AWS credentials" in ended.document["error"]["message"]
    monkeypatch.setitem(sys.modules, "boto3", None)
    ended = command(*login)
    assert ended.code == 2
    assert "needs boto3: pip install 'cognito-verify[cli,aws]'" in ended.document["error"]["message"]


def test_a_broken_boto3_is_not_taken_for_a_missing_extra(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "boto3.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "boto3")
    ended = command("login", "--username", USER, "--password-env", "PASSWORD")
    assert ended.code == 70
    assert "(ModuleNotFoundError)" in ended.err
    assert "needs boto3" not in ended.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--client-id", "other"], "found 2", id="two-clients"),
        pytest.param(["--json", "--export"], "--json or --export", id="two-forms"),
        pytest.param(["--password-stdin"], "--password-env or --password-stdin", id="two-passwords"),
    ],
)
def test_a_contradiction_is_a_usage_error(command: Command, pool: Pool, options: list[str], says: str) -> None:
    given = ["--client-id", pool.client_id] if "--client-id" in options else []
    ended = command("login", "--username", USER, "--password-env", "PASSWORD", *given, *options)
    assert ended.code == 2
    assert says in ended.err + ended.out


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["words", "json"])
def test_a_password_in_the_wrong_place_is_not_shown(command: Command, form: list[str]) -> None:
    ended = command("login", "--username", USER, "--password-stdin", "hunter2secret", *form, stdin="x\n")
    assert ended.code == 2
    assert "expected no argument beside the options" in ended.out + ended.err
    assert "hunter2" not in ended.out + ended.err


def test_a_password_that_is_not_there_is_a_usage_error(command: Command) -> None:
    assert command("login", "--username", USER, "--password-env", "NO_PASSWORD").code == 2
    assert command("login", "--username", USER).code == 2


@pytest.mark.parametrize("redirection", ["<&-", '<"$TERMINAL"'], ids=["closed", "terminal"])
def test_a_password_is_piped_in_or_asked_for_without_echo(pool: Pool, redirection: str) -> None:
    leader, follower = pty.openpty()
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {redirection}', "sh", *command_line("login", "--username", USER, "--password-stdin")],
        capture_output=True,
        text=True,
        env=clean_environment(**pool.environment, TERMINAL=os.ttyname(follower)),
        timeout=60,
        check=False,
    )
    os.close(leader)
    os.close(follower)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--password-stdin: expected a pipe or a file" in done.stderr


def test_a_login_is_piped_into_verify(pool: Pool) -> None:
    login = f"{shlex.quote(str(SCRIPT))} login --username {USER} --password-env PASSWORD"
    verify = f"{shlex.quote(str(SCRIPT))} verify"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{login} | {verify} && {login} | {verify} --token-use id"],
        capture_output=True,
        text=True,
        env=clean_environment(**pool.environment),
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("verified: access token of user 'ada'")
    assert "verified: ID token of user 'ada'" in done.stdout


def take_the_terminal() -> None:
    """In the child: standard input becomes its terminal, and Ctrl-C interrupts it, whatever started this suite."""
    os.close(os.open(os.ttyname(0), os.O_RDWR))
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background is started with it ignored


@contextmanager
def at_a_terminal(pool: Pool, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command at a terminal of its own, and the end of it that a person has."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        command_line(*arguments),
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=follower,
        env=clean_environment(**pool.environment),
        start_new_session=True,
        preexec_fn=take_the_terminal,  # noqa: PLW1509 - nothing else makes a terminal
        text=True,
    )
    os.close(follower)
    try:
        yield process, leader
    finally:
        process.kill()
        process.communicate()
        os.close(leader)


def read_until(prompt: str, leader: int) -> str:
    said = ""
    while not said.endswith(prompt):
        assert select.select([leader], [], [], 60)[0], f"still no {prompt!r} after {said!r}"
        said += os.read(leader, 1_024).decode()
    return said


def test_at_a_terminal_the_passwords_are_asked_for_and_not_shown(new_pool: Pool) -> None:
    with at_a_terminal(new_pool, "login", "--username", USER) as (process, leader):
        said = ""
        for prompt, answer in (
            ("Password: ", TEMPORARY),
            ("New password: ", "Chosen-22"),
            ("Repeat for confirmation: ", "Chosen-22"),
        ):
            said += read_until(prompt, leader)
            os.write(leader, f"{answer}\n".encode())
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    assert TEMPORARY not in said
    assert "Chosen-22" not in said
    assert json.loads(out)["IdToken"].count(".") == 2


def test_an_interrupted_login_is_no_refusal(pool: Pool) -> None:
    with at_a_terminal(pool, "login", "--username", USER) as (process, leader):
        read_until("Password: ", leader)
        os.write(leader, b"\x03")
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 130
    assert out == ""


@contextmanager
def service_that_answers(*answers: tuple[int, dict[str, Any] | bytes]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Cognito's API as far as one login, for answers that moto never gives; and what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append({**body, "Authorization": self.headers.get("Authorization", "")})
            status, document = answers[len(asked) - 1]
            answer = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
