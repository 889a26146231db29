"""The CostCalculator lab on a laptop: log in to a user pool, see which tokens pass and why the others don't, then call
the API that only registered users may call.

    python examples/cost_calculator/lab.py             # all of it, and an exit status that says whether it went well
    python examples/cost_calculator/lab.py --serve     # the pool and the API, left running for you to call

moto's server is the user pool, on loopback and in this process: no AWS account, no configuration, no internet. The
pool's answers, tokens and signatures are real; where moto differs from AWS the last lines say how.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import shlex
import signal
import socket
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import botocore
import requests
from moto.server import ThreadedMotoServer

from cognito_verify import AccessToken, CognitoVerifier, CognitoVerifyError, IdToken, JwksCache, UserPool, bearer_token
from examples.cost_calculator.local import Request, Response, http_api, rest_api, served, simple_http_api

__all__ = [
    "Call",
    "Lab",
    "Row",
    "call_api",
    "embedded_user_pool",
    "main",
    "run_lab",
    "say_calls",
    "say_differences",
    "say_table",
    "serve",
    "set_up",
    "verify_tokens",
]

POOL_NAME = "CostCalculatorUserPool"
USERNAME = "testUser"
TEMPORARY_PASSWORD = "Temporary-1"
PASSWORD = "Permanent-1"
GROUPS = ("users", "finance")  # testUser is put into the first alone
NEW_USER = "newUser"  # for the reader of `make demo-serve` to log in, from the temporary password on
PRICE_REQUEST = {"price": 400000, "size": 1600, "unit": "sqFt", "downPayment": 20}

VERIFIED = "verified"
_WIDTH = 100  # columns

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Lab:
    """What the steps leave behind: a pool, its app clients and the tokens of a user who has logged in."""

    endpoint: str
    user_pool_id: str
    client_id: str
    access_token: str = field(repr=False)
    id_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    other_client_id: str
    other_client_token: str = field(repr=False)

    @property
    def jwks_uri(self) -> str:
        """Where the pool's keys are."""
        return f"{self.endpoint}/{self.user_pool_id}/.well-known/jwks.json"


@dataclass(frozen=True, slots=True)
class Row:
    """One token put to one verifier.

    Attributes:
        what: The token and what it is wanted for.
        expected: "verified", or the code of the error.
        found: The same.
        detail: Who it is, or HTTP status and message of the error.
        seconds: How long the decision took.
    """

    what: str
    expected: str
    found: str
    detail: str
    seconds: float

    @property
    def is_as_expected(self) -> bool:
        """Whether the verifier decided as it should."""
        return self.found == self.expected


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API.

    Attributes:
        what: What is sent, and where it matters to which API.
        expected: The HTTP status.
        found: The same.
        contains: What the body must hold besides.
        body: What came.
    """

    what: str
    expected: int
    found: int
    contains: str
    body: str

    @property
    def is_as_expected(self) -> bool:
        """Whether the API answered as it should."""
        return self.found == self.expected and self.contains in self.body


@contextmanager
def _nothing_from_outside() -> Iterator[None]:
    """Until it ends: no AWS settings or credentials of the caller's, no proxy between here and loopback."""
    before = dict(os.environ)
    for name in before:
        if name.upper().startswith("AWS_") or name.upper().endswith("_PROXY"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["NO_PROXY"] = "*"  # proxies may also be set system-wide, outside the environment
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def main(groups: Collection[str] = GROUPS[:1], *, is_served: bool = False) -> int:
    """Run the lab on a user pool service of its own.

    Args:
        groups: The groups that the user is put into.
        is_served: Leave the pool and the API running until Ctrl-C, in the place of the table and the calls.

    Returns:
        The exit status: 0 if every row of the table and every call of the API is as expected.
    """
    logging.basicConfig(stream=sys.stdout, format="[log] %(message)s")
    with embedded_user_pool() as endpoint:
        print(f"A user pool service (moto's server) listens on {endpoint} for as long as this runs.")
        if is_served:
            serve(endpoint, print)
            return 0
        rows, calls = run_lab(endpoint, print, groups)
    return 0 if all(row.is_as_expected for row in rows) and all(call.is_as_expected for call in calls) else 1


def run_lab(endpoint: str, say: Say, groups: Collection[str] = GROUPS[:1]) -> tuple[list[Row], list[Call]]:
    """All of the lab against a running user pool service: the steps, the table, where it is not AWS, and the API."""
    lab = set_up(endpoint, say, groups)
    rows = verify_tokens(lab, say)
    say_table(rows, say)
    say_differences(lab, say)
    calls = call_api(lab, say)
    say_calls(calls, say)
    return rows, calls


@contextmanager
def embedded_user_pool() -> Iterator[str]:
    """moto's server on a free port of loopback, ended with the context; gives its endpoint."""
    request_log = logging.getLogger("werkzeug")
    level = request_log.level
    request_log.setLevel(logging.ERROR)  # one line per request would drown the lab's own
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
        request_log.setLevel(level)


@_nothing_from_outside()
def set_up(endpoint: str, say: Say, groups: Collection[str] = GROUPS[:1]) -> Lab:
    """The steps of the lab up to the tokens, each said with the AWS CLI line that does the same.

    Args:
        endpoint: A user pool service.
        say: Takes one line.
        groups: The groups that the user is put into.
    """
    with closing(_service(endpoint)) as service:
        console = _Console(service, say)
        pool_id = console.step("Create the user pool", "create_user_pool", PoolName=POOL_NAME)["UserPool"]["Id"]
        console.found(f"user pool {pool_id}")

        client_id = _create_client(console, pool_id, "calculator", "Create the app client, without a secret")
        other_client_id = _create_client(console, pool_id, "reports", "Create another app client, to be refused")

        user = console.step(
            "Create the user, with a temporary password",
            "admin_create_user",
            UserPoolId=pool_id,
            Username=USERNAME,
            TemporaryPassword=TEMPORARY_PASSWORD,
            MessageAction="SUPPRESS",
        )["User"]
        console.found(f"{user['Username']} is {user['UserStatus']}")

        for group in GROUPS:
            console.step(f"Create the group {group}", "create_group", UserPoolId=pool_id, GroupName=group)
        for group in groups:
            console.step(
                f"Put the user into {group}",
                "admin_add_user_to_group",
                UserPoolId=pool_id,
                Username=USERNAME,
                GroupName=group,
            )

        challenge = _log_in(console, pool_id, client_id, TEMPORARY_PASSWORD, "Log in with the temporary password")
        console.found(f"no tokens yet: the challenge {challenge['ChallengeName']}")

        answer = console.step(
            "Answer the challenge with a password of one's own",
            "admin_respond_to_auth_challenge",
            UserPoolId=pool_id,
            ClientId=client_id,
            ChallengeName=challenge["ChallengeName"],
            Session=challenge["Session"],
            ChallengeResponses={"USERNAME": USERNAME, "NEW_PASSWORD": PASSWORD},
        )
        console.found_tokens(answer)

        tokens = console.found_tokens(_log_in(console, pool_id, client_id, PASSWORD, "Log in again"))
        others = console.found_tokens(
            _log_in(console, pool_id, other_client_id, PASSWORD, "Log in through the other app client")
        )
    return Lab(
        endpoint=endpoint,
        user_pool_id=pool_id,
        client_id=client_id,
        access_token=tokens["AccessToken"],
        id_token=tokens["IdToken"],
        refresh_token=tokens["RefreshToken"],
        other_client_id=other_client_id,
        other_client_token=others["AccessToken"],
    )


@_nothing_from_outside()
def verify_tokens(lab: Lab, say: Say) -> list[Row]:
    """The lab's tokens put to verifiers that fetch the pool's keys over HTTP, with what must come of it."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        pool = UserPool.local(lab.endpoint, lab.user_pool_id, client_id=lab.client_id)
    say("")
    say("The verifiers get their pool from UserPool.local, which warns:")
    for warning in warned:
        _say_wrapped(say, str(warning.message), indent="  ")

    keys = JwksCache()  # shared: the pool's keys are fetched once for all of the verifiers
    access = CognitoVerifier(pool, token_use="access", jwks_cache=keys)
    identity = CognitoVerifier(pool, token_use="id", jwks_cache=keys)
    user_group, other_group = GROUPS
    either = CognitoVerifier(
        lab.user_pool_id,
        client_id=[lab.client_id, lab.other_client_id],
        token_use="access",
        jwks_uri=lab.jwks_uri,  # enough where the emulator's `iss` is AWS's, as moto's is
    )
    another_pool = CognitoVerifier(
        "us-east-1_AnotherPool", client_id=lab.client_id, token_use="access", jwks_uri=lab.jwks_uri
    )
    expires = _unverified(lab.access_token.split(".")[1])["exp"]
    before, after = (
        CognitoVerifier(pool, token_use="access", jwks_cache=keys, clock=_stopped_at(moment))
        for moment in (expires - 60, expires + 60)
    )
    user_group, other_group = GROUPS
    return [
        _row("the access token; the keys are fetched", VERIFIED, access.verify, lab.access_token),
        _row("the access token, seen before", VERIFIED, access.verify, lab.access_token),
        _row("the access token, with Bearer before it", VERIFIED, _from_header(access), f"Bearer {lab.access_token}"),
        _row("the ID token", VERIFIED, identity.verify, lab.id_token),
        _row("the ID token for an access token", "invalid_token_use", access.verify, lab.id_token),
        _row("the access token for an ID token", "invalid_token_use", identity.verify, lab.access_token),
        _row("a token of another app client", "invalid_client", access.verify, lab.other_client_token),
        _row("the same, that client accepted too", VERIFIED, either.verify, lab.other_client_token),
        _row("a token of another pool", "invalid_issuer", another_pool.verify, lab.access_token),
        _row("tampered: another username", "invalid_signature", access.verify, _tampered(lab.access_token)),
        _row("unsigned: alg is none", "unsupported_algorithm", access.verify, _unsigned(lab.access_token)),
        _row("a minute before the token expires", VERIFIED, before.verify, lab.access_token),
        _row("a minute after it expired", "token_expired", after.verify, lab.access_token),
        _row("the refresh token", "malformed_token", access.verify, lab.refresh_token),
        _row("no token", "missing_token", _from_header(access), ""),
        _row(f"required: group {user_group}", VERIFIED, access.verify, lab.access_token, groups=user_group),
        _row(f"required: group {other_group}", "missing_group", access.verify, lab.access_token, groups=other_group),
        _row(
            "required: scope prices/read", "insufficient_scope", access.verify, lab.access_token, scopes="prices/read"
        ),
        *_rows_without_keys(lab),
    ]


def say_table(rows: Collection[Row], say: Say) -> None:
    """One row per token, what came of it below, and the count at the end."""
    widest = max(len(outcome) for row in rows for outcome in (row.expected, row.found))
    what_width = _WIDTH - 4 - 2 * (widest + 2) - 9
    say("")
    say(f"{'':4}{'What is verified':{what_width}}{'Expected':{widest + 2}}{'Found':{widest + 2}}{'Time':>9}")
    say("-" * _WIDTH)
    for number, row in enumerate(rows, 1):
        first, *rest = textwrap.wrap(row.what, what_width - 2)
        outcomes = f"{row.expected:{widest + 2}}{row.found:{widest + 2}}{_duration(row.seconds):>9}"
        say(f"{number:>2}  {first:{what_width}}{outcomes}")
        for line in rest:
            say(f"    {line}")
        _say_wrapped(say, row.detail, indent="      ", max_lines=3)
        if not row.is_as_expected:
            say(f"      NOT AS EXPECTED: expected {row.expected}, found {row.found}")
    say("-" * _WIDTH)
    unexpected = [str(number) for number, row in enumerate(rows, 1) if not row.is_as_expected]
    counts = f"{len(rows) - len(unexpected)} of {len(rows)} rows are as expected"
    say(f"{counts}, these are NOT: {', '.join(unexpected)}" if unexpected else f"{counts}.")


def say_differences(lab: Lab, say: Say) -> None:
    """Where the service is not AWS, read off its tokens, and what the lab does about it."""
    header, access, _ = lab.access_token.split(".")
    kid, claims = _unverified(header)["kid"], _unverified(access)
    notes = (
        (
            f"The tokens have iss={claims['iss']!r}, yet the keys are on loopback. UserPool.local and jwks_uri= say "
            "where the keys are; the accepted issuers stay AWS's."
        ),
        (
            f"One key, {kid!r}, signs the access and ID tokens of every pool. AWS has keys of their own for each; here "
            "`iss` and `token_use` alone tell them apart."
        ),
        f"Every token lives for {claims['exp'] - claims['iat']} s, whatever its client says. So clock= shows expiry.",
        "The header also has `typ`, which decides nothing, and the ID token has no e-mail address.",
        (
            f"The refresh token is an id of {len(lab.refresh_token)} characters. AWS's is an encrypted JWT in five "
            "parts. Neither is for an API: malformed_token, either way."
        ),
    )
    say("")
    say("Where moto is not AWS, and what the lab does about it. No rule is weakened.")
    for note in notes:
        _say_wrapped(say, note, indent="    ", first="  - ")


@_nothing_from_outside()
def call_api(lab: Lab, say: Say) -> list[Call]:
    """The CostCalculator API on loopback, called as its clients call it; each call is said as its curl line."""
    keys = _KeysEndpoint(lab.jwks_uri)
    with closing(_service(lab.endpoint)) as service, served(keys) as keys_uri:
        console = _Console(service, say)

        def verifier(clock: Callable[[], float] = time.time) -> CognitoVerifier[AccessToken | IdToken]:
            return CognitoVerifier(
                lab.user_pool_id, client_id=lab.client_id, token_use="id", jwks_uri=keys_uri, clock=clock
            )

        warm = verifier()
        with served(rest_api(warm)) as rest, served(http_api(warm)) as http, served(simple_http_api(warm)) as simple:
            say("")
            say("The CostCalculator API, on this machine. API Gateway's part is played by local.py:")
            say(f"  - {rest}/dev    the REST API, behind our authorizer (cached for 300 s)")
            say(f"  - {http}        an HTTP API without an authorizer: the decorator alone")
            say(f"  - {simple}        an HTTP API whose authorizer gives simple answers (likewise)")
            prices, reports = f"{rest}/dev/pricepermeter", f"{rest}/dev/reports/7"
            token = lab.id_token
            console.call("Without a token", 401, prices)
            console.call("With the ID token", 200, prices, token, contains='"2690.98"')
            in_strings = {name: str(value) for name, value in PRICE_REQUEST.items()}
            in_proxy = f"{rest}/dev/proxy/pricepermeter"
            console.call("Numbers in strings, proxy integration", 200, in_proxy, token, in_strings, '"2690.98"')
            no_size = {**PRICE_REQUEST, "size": 0}
            console.call("Nonsense", 400, prices, token, no_size, "size: expected a number above 0, found 0")
            console.call("With the access token", 401, prices, lab.access_token, name="ACCESS_TOKEN")
            console.call("A report, without the group finance", 403, reports, token, None, contains='"code": ""')
            console.found("decided by the policy that was cached with the price: nobody was asked, so there is no code")
            console.call("The same, simple answers", 403, f"{simple}/reports/7", token, None)

            console.step(
                "Put the user into finance",
                "admin_add_user_to_group",
                UserPoolId=lab.user_pool_id,
                Username=USERNAME,
                GroupName=GROUPS[1],
            )
            finance = console.found_tokens(
                _log_in(console, lab.user_pool_id, lab.client_id, PASSWORD, "Log in again: groups are in the token")
            )["IdToken"]
            console.call("The report, with the group finance", 200, reports, finance, None, f'"{USERNAME}"')
            console.call("The same, simple answers", 200, f"{simple}/reports/7", finance, None, f'"{USERNAME}"')

            in_decorator = f"{http}/pricepermeter"
            console.call("The decorator, without a token", 401, in_decorator, contains="missing_token")
            console.call("The decorator, with the ID token", 200, in_decorator, token, contains='"2690.98"')

        an_hour_later = _Clock(ahead=3_700)
        late = verifier(an_hour_later)
        with served(rest_api(late, clock=an_hour_later)) as rest, served(http_api(late)) as http:
            say("")
            say("An hour and 100 s later, by the clock of functions started anew:")
            console.call("The ID token has expired", 401, f"{rest}/dev/pricepermeter", token)
            console.call("The same, decorator", 401, f"{http}/pricepermeter", token, contains="token_expired")

        keys.is_up = False
        clock = _Clock()
        cold = verifier(clock)
        with served(rest_api(cold, clock=clock)) as rest, served(http_api(cold)) as http:
            say("")
            say("The keys' endpoint is down while functions start that have no keys yet. Not the client's fault:")
            console.call("The ID token, no keys", 500, f"{rest}/dev/pricepermeter", token)
            console.call("The same, decorator", 503, f"{http}/pricepermeter", token, contains="keys_unavailable")
            keys.is_up = True
            clock.ahead += 11  # past the cooldown
            say("")
            say("It is up again, 11 s later. Nothing was restarted, and nobody's 500 was cached:")
            console.call("The ID token, recovered", 200, f"{rest}/dev/pricepermeter", token, contains='"2690.98"')
            console.call("The same, decorator", 200, f"{http}/pricepermeter", token, contains='"2690.98"')
        return console.calls


def say_calls(calls: Collection[Call], say: Say) -> None:
    """How many calls came out as they should, and which did not."""
    say("")
    say("-" * _WIDTH)
    unexpected = [call for call in calls if not call.is_as_expected]
    for call in unexpected:
        expected = f"{call.expected} {call.contains}".rstrip()
        say(f"NOT AS EXPECTED: {call.what}: expected {expected}, found {call.found}")
    counts = f"{len(calls) - len(unexpected)} of {len(calls)} calls are as expected"
    say(f"{counts}, see above." if unexpected else f"{counts}.")


@_nothing_from_outside()
def serve(endpoint: str, say: Say) -> None:
    """The pool and the API, with lines to copy, until the process is told to end."""
    lab = set_up(endpoint, say)
    with closing(_service(endpoint)) as service:
        service.admin_create_user(
            UserPoolId=lab.user_pool_id,
            Username=NEW_USER,
            TemporaryPassword=TEMPORARY_PASSWORD,
            MessageAction="SUPPRESS",
        )
    verifier = CognitoVerifier(lab.user_pool_id, client_id=lab.client_id, token_use="id", jwks_uri=lab.jwks_uri)
    with served(rest_api(verifier)) as rest, served(http_api(verifier)) as http:
        _say_lines_to_try(lab, rest, http, say)
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        say("Running. Ctrl-C ends it.")
        sys.stdout.flush()
        ended.wait()


def _say_lines_to_try(lab: Lab, rest: str, http: str, say: Say) -> None:
    """The AWS CLI's lines of the lab and curl's, as they work against what runs here."""
    where = {"EndpointUrl": lab.endpoint, "UserPoolId": lab.user_pool_id}
    credentials = {"USERNAME": NEW_USER, "PASSWORD": TEMPORARY_PASSWORD}
    first = _cli_lines(
        "admin_initiate_auth",
        {**where, "ClientId": lab.client_id, "AuthFlow": "ADMIN_NO_SRP_AUTH", "AuthParameters": credentials},
    )
    second = _cli_lines(
        "admin_respond_to_auth_challenge",
        {
            **where,
            "ClientId": lab.client_id,
            "ChallengeName": "NEW_PASSWORD_REQUIRED",
            "ChallengeResponses": {"USERNAME": NEW_USER, "NEW_PASSWORD": PASSWORD},
        },
    )
    group = {**where, "Username": USERNAME, "GroupName": GROUPS[1]}
    say("")
    say(f"# Log {NEW_USER} in with the AWS CLI, as the lab does. moto wants credentials and checks none.")
    say("export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=us-east-1")
    for lines in (first, [*second[:-1], f'{second[-1]} --session "$SESSION"']):
        say("")
        for line in lines:
            say(line.removeprefix("$ "))
        if lines is first:
            say("SESSION='the Session in that answer'")
    say("")
    say(f"# Or go on as {USERNAME}, whose tokens live for an hour:")
    say(f"ID_TOKEN={lab.id_token}")
    say(f"ACCESS_TOKEN={lab.access_token}")
    say("")
    for url, name, body in (
        (f"{rest}/dev/pricepermeter", "", PRICE_REQUEST),
        (f"{rest}/dev/pricepermeter", "ID_TOKEN", PRICE_REQUEST),
        (f"{rest}/dev/pricepermeter", "ACCESS_TOKEN", PRICE_REQUEST),
        (f"{rest}/dev/reports/7", "ID_TOKEN", None),
        (f"{http}/pricepermeter", "ID_TOKEN", PRICE_REQUEST),
    ):
        for line in _curl_lines(url, name, body):
            say(line.removeprefix("$ "))
    say("")
    say("# Reports are for a group. Groups are in the token: log in again after this.")
    for line in _cli_lines("admin_add_user_to_group", group):
        say(line.removeprefix("$ "))
    say("")


class _Clock:
    """The time, some seconds ahead."""

    def __init__(self, ahead: float = 0) -> None:
        self.ahead = ahead

    def __call__(self) -> float:
        return time.time() + self.ahead


class _KeysEndpoint:
    """Stands before the pool's keys, and can be down."""

    def __init__(self, jwks_uri: str) -> None:
        self._jwks_uri = jwks_uri
        self.is_up = True

    def answer(self, request: Request) -> Response:  # noqa: ARG002 - there is one thing to ask for
        if not self.is_up:
            return Response(503)
        return Response(200, requests.get(self._jwks_uri, timeout=5).text, {"Content-Type": "application/json"})


class _Console:
    """Does one call after the other and shows each as the line that one would type."""

    def __init__(self, service: Any, say: Say) -> None:
        self._service = service
        self._say = say
        self._number = 0
        self.calls: list[Call] = []

    def _say_next(self, what: str) -> None:
        self._number += 1
        self._say(f"{self._number:>2}. {what}")

    def call(
        self,
        what: str,
        expected: int,
        url: str,
        token: str | None = None,
        body: Mapping[str, Any] | None = PRICE_REQUEST,
        contains: str = "",
        name: str = "ID_TOKEN",
    ) -> None:
        """Say how curl would call the API, call it, and say what came; a body is posted."""
        self._say("")
        self._say_next(what)
        for line in _curl_lines(url, "" if token is None else name, body):
            self._say(f"    {line}")
        answer = requests.request(
            "GET" if body is None else "POST",
            url,
            headers={"Content-Type": "application/json", **({} if token is None else {"Authorization": token})},
            data=None if body is None else json.dumps(body),
            timeout=10,
        )
        call = Call(what, expected, answer.status_code, contains, answer.text)
        self.calls.append(call)
        retry_after = answer.headers.get("Retry-After")
        retry = "" if retry_after is None else f" (Retry-After: {retry_after})"
        _say_wrapped(self._say, f"{call.found}{retry} {call.body}", indent="       ", first="    -> ", max_lines=4)
        if not call.is_as_expected:
            self._say(f"    NOT AS EXPECTED: expected {expected} {contains}".rstrip())

    def step(self, meaning: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Say what comes and how the AWS CLI would be told to do it, then do it."""
        self._say("")
        if self.calls:
            self._say(f"    {meaning}:")  # between two calls, which are what is numbered
        else:
            self._say_next(meaning)
        for line in _cli_lines(operation, parameters):
            self._say(f"    {line}")
        answer: dict[str, Any] = getattr(self._service, operation)(**parameters)
        return answer

    def found(self, what: str) -> None:
        """Say what came of the last step."""
        self._say(f"    -> {what}")

    def found_tokens(self, answer: dict[str, Any]) -> dict[str, str]:
        """The tokens in the answer to a login, of which only the sizes are said: whoever has a token is its user."""
        result = answer["AuthenticationResult"]
        sizes = [f"{name} of {len(result[name])} characters" for name in ("AccessToken", "IdToken", "RefreshToken")]
        self.found(", ".join(sizes))
        tokens: dict[str, str] = result
        return tokens


def _create_client(console: _Console, pool_id: str, name: str, meaning: str) -> str:
    client = console.step(
        meaning,
        "create_user_pool_client",
        UserPoolId=pool_id,
        ClientName=name,
        GenerateSecret=False,
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]
    console.found(f"app client {client['ClientId']}")
    return str(client["ClientId"])


def _log_in(console: _Console, pool_id: str, client_id: str, password: str, meaning: str) -> dict[str, Any]:
    return console.step(
        meaning,
        "admin_initiate_auth",
        UserPoolId=pool_id,
        ClientId=client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": USERNAME, "PASSWORD": password},
    )


def _service(endpoint: str) -> Any:
    """A client of the embedded pool, with credentials that are none: moto asks for some and checks nothing."""
    return boto3.session.Session().client(
        "cognito-idp",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )


def _cli_lines(operation: str, parameters: dict[str, Any]) -> list[str]:
    """The AWS CLI line for a call, broken where it gets too long."""
    lines = [f"$ aws cognito-idp {operation.replace('_', '-')}"]
    for name, value in parameters.items():
        option = _cli_option(botocore.xform_name(name, "-"), value)
        if len(lines[-1]) + len(option) > _WIDTH - 10:
            lines[-1] += " \\"
            lines.append(" " * 6 + option)
        else:
            lines[-1] += f" {option}"
    return lines


def _curl_lines(url: str, token_name: str, body: Mapping[str, Any] | None) -> list[str]:
    """The curl line for a call, broken likewise; the token is in a variable of the shell's."""
    lines = [f"$ curl -i {'' if body is None else '-X POST '}{url}"]
    options = [f'-H "Authorization: ${token_name}"'] if token_name else []
    if body is not None:
        options += ['-H "Content-Type: application/json"', f"-d {shlex.quote(json.dumps(body))}"]
    for option in options:
        if len(lines[-1]) + len(option) > _WIDTH - 10:
            lines[-1] += " \\"
            lines.append(" " * 6 + option)
        else:
            lines[-1] += f" {option}"
    return lines


def _cli_option(name: str, value: Any) -> str:
    if value is False:
        return f"--no-{name}"
    if isinstance(value, dict):
        value = [",".join(f"{key}={one}" for key, one in value.items())]
    return shlex.join([f"--{name}", *(value if isinstance(value, list) else [value])])


def _row(what: str, expected: str, verify: Callable[..., AccessToken | IdToken], raw: str, **requirements: str) -> Row:
    started = time.perf_counter()
    try:
        token = verify(raw, **requirements)
    except CognitoVerifyError as error:
        seconds = time.perf_counter() - started
        return Row(what, expected, error.code, f"{error.http_status}: {error}", seconds)
    seconds = time.perf_counter() - started
    return Row(what, expected, VERIFIED, f"{token.username}, groups: {', '.join(token.groups) or 'none'}", seconds)


def _from_header(verifier: CognitoVerifier[AccessToken]) -> Callable[[str], AccessToken]:
    return lambda header: verifier.verify(bearer_token(header))


def _stopped_at(moment: float) -> Callable[[], float]:
    return lambda: moment


def _rows_without_keys(lab: Lab) -> list[Row]:
    """An endpoint that nobody listens on: with no keys nothing can be said, with keys at hand it isn't needed."""
    jwks = requests.get(lab.jwks_uri, timeout=5).json()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens: a connection is refused, and nobody else can take the port
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}/jwks.json"
        cut_off = CognitoVerifier(lab.user_pool_id, client_id=lab.client_id, token_use="access", jwks_uri=nowhere)
        pinned = CognitoVerifier(
            lab.user_pool_id, client_id=lab.client_id, token_use="access", jwks_uri=nowhere, jwks=jwks
        )
        return [
            _row("the keys' endpoint is down", "keys_unavailable", cut_off.verify, lab.access_token),
            _row("the same, the keys given by jwks=", VERIFIED, pinned.verify, lab.access_token),
        ]


def _tampered(token: str) -> str:
    """The token with the name of another user in its payload."""
    header, payload, signature = token.split(".")
    return ".".join((header, _segment({**_unverified(payload), "username": "admin"}), signature))


def _unsigned(token: str) -> str:
    """The token as one would send it to a verifier that takes the header's word for what to check."""
    header, payload, signature = token.split(".")
    return ".".join((_segment({**_unverified(header), "alg": "none"}), payload, signature))


def _unverified(segment: str) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=="))
    return members


def _segment(members: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()


def _duration(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us" if seconds < 0.001 else f"{seconds * 1e3:.1f} ms"


def _say_wrapped(say: Say, text: str, *, indent: str, first: str | None = None, max_lines: int | None = None) -> None:
    for line in textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        max_lines=max_lines,
        placeholder=" ...",
        break_on_hyphens=False,
    ):
        say(line)


if __name__ == "__main__":
    raise SystemExit(main(is_served="--serve" in sys.argv[1:]))
