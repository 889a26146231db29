"""The WSGI middleware in front of a bare application, under waitress."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable, Iterable, Iterator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest

from cognito_verify import current_token
from cognito_verify.errors import CheckFailedError, ConfigurationError
from cognito_verify.integrations.wsgi import CognitoMiddleware
from tests.integrations.refusals import PATHS, REFUSED, Guards, Refused, assert_refused, bearer, who
from tests.integrations.serving import ask, served_by_waitress

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

PREFLIGHT = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")]


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    token = environ["cognito_verify.token"]
    assert who() == {"username": token and token.username}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(who()).encode()]


def app_of(guards: Guards) -> WSGIApplication:
    guarded = {path: CognitoMiddleware(hello, guards.of(path), **asked) for path, asked in PATHS.items()}
    return lambda environ, start_response: guarded[environ["PATH_INFO"]](environ, start_response)


@pytest.fixture(scope="module")
def url(guards: Guards) -> Iterator[str]:
    with served_by_waitress(app_of(guards)) as url:
        yield url


@pytest.mark.parametrize(
    ("path", "claims"),
    [("/", {}), ("/finance", {"groups": "finance"}), ("/orders", {"scopes": "orders/read"})],
)
def test_a_good_token_reaches_the_application_and_everything_below_it(
    url: str, guards: Guards, path: str, claims: dict[str, Any]
) -> None:
    reply = ask(url + path, bearer(guards.pool.access_token("ada", **claims)))
    assert (reply.status, reply.json) == (200, {"username": "ada"})
    assert reply.headers["content-length"] == "19"  # waitress counts it for lists alone: what was one stays one


@pytest.mark.parametrize("request_", REFUSED, ids=str)
def test_a_refusal_is_answered_as_everywhere(url: str, guards: Guards, request_: Refused) -> None:
    assert_refused(ask(url + request_.path, request_.headers(guards.pool)), request_, guards)


def test_only_a_preflight_that_is_allowed_reaches_the_application_without_a_token(url: str, guards: Guards) -> None:
    assert ask(url, PREFLIGHT, method="OPTIONS").status == 401
    with served_by_waitress(CognitoMiddleware(hello, guards.verifier, allow_preflight=True)) as allowing:
        assert ask(allowing, PREFLIGHT, method="OPTIONS").json == {"username": None}
        assert ask(allowing, PREFLIGHT[:1], method="OPTIONS").status == ask(allowing, PREFLIGHT).status == 401
        overriding = [*PREFLIGHT, ("X-HTTP-Method-Override", "DELETE")]
        assert ask(allowing, overriding, method="OPTIONS").status == 401


def test_an_optional_token_may_be_absent_and_not_bad(guards: Guards) -> None:
    with served_by_waitress(CognitoMiddleware(hello, guards.verifier, optional=True)) as url:
        assert ask(url).json == ask(url, [("Authorization", "")]).json == {"username": None}
        assert ask(url, bearer(guards.pool.access_token("ada"))).json == {"username": "ada"}
        assert ask(url, bearer(guards.pool.expired())).json["code"] == "token_expired"


def test_the_answer_to_head_has_no_body_on_the_wire(url: str) -> None:
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as connection:
        connection.sendall(b"HEAD / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b"Bearer" in head
    assert body == b""


# In the process: what a server would do with the answer


def answer_of(app: WSGIApplication, raw: str, **environ: Any) -> tuple[list[str], Any]:
    setup_testing_defaults(environ)
    status: list[str] = []

    def start_response(line: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], object]:
        assert exc_info is None
        assert all(type(name) is type(value) is str for name, value in headers)
        status.append(line)
        return lambda data: data

    return status, app({**environ, "HTTP_AUTHORIZATION": f"Bearer {raw}"}, start_response)


def test_the_token_is_there_while_an_answer_is_made_piece_by_piece_and_not_between(guards: Guards) -> None:
    left: list[object] = []

    def stream(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            for _number in range(2):
                yield str(who()["username"]).encode()
        finally:
            left.append(who()["username"])

    raw = guards.pool.access_token("ada")
    status, answer = answer_of(CognitoMiddleware(stream, guards.verifier), raw)
    parts = iter(answer)
    assert (next(parts), current_token()) == (b"ada", None)
    assert status == ["200 OK"]
    answer.close()
    assert (left, current_token()) == (["ada"], None)
    _, answer = answer_of(CognitoMiddleware(stream, guards.verifier), raw)
    assert list(answer) == [b"ada", b"ada"]


def test_a_copy_of_the_context_has_the_token_until_the_application_returns(guards: Guards) -> None:
    copies: list[Context] = []
    seen: list[object] = []

    def stream(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        copies.append(copy_context())
        seen.append(copies[0].run(who))
        return (str(copies[0].run(who)["username"]).encode() for _number in range(1))

    _, answer = answer_of(CognitoMiddleware(stream, guards.verifier), guards.pool.access_token("ada"))
    assert (seen, list(answer)) == ([{"username": "ada"}], [b"None"])


def test_an_answer_that_is_complete_or_a_file_is_handed_on_as_it_is(guards: Guards) -> None:
    raw, file = guards.pool.access_token("ada"), FileWrapper(io.BytesIO(b"file"))
    for given in ([b"list"], (b"tuple",), file):
        app = CognitoMiddleware(lambda _, __, given=given: given, guards.verifier)  # type: ignore[misc]
        assert answer_of(app, raw, **{"wsgi.file_wrapper": FileWrapper})[1] is given
    app = CognitoMiddleware(lambda _, __: iter([b"no", b"close"]), guards.verifier)
    _, answer = answer_of(app, raw)
    assert list(answer) == [b"no", b"close"]
    answer.close()


def test_a_check_of_the_application_may_have_a_status_of_its_own(guards: Guards) -> None:
    class LockedError(CheckFailedError):
        http_status = 499

    def check(_: object) -> None:
        raise LockedError("locked")

    app = CognitoMiddleware(hello, guards.pool.verifier(checks=[check]))
    status, (body,) = answer_of(app, guards.pool.access_token("ada"))
    assert (status, json.loads(body)["message"]) == (["499 Refused"], "locked")


def test_a_fault_of_ours_is_raised_and_blames_no_client(guards: Guards) -> None:
    app = CognitoMiddleware(hello, guards.pool.verifier(checks=[lambda token: token.username]))
    with pytest.raises(ConfigurationError, match="checks: <lambda> returned str"):
        answer_of(app, guards.pool.access_token("ada"))
    with pytest.raises(ConfigurationError, match="groups: "):
        CognitoMiddleware(hello, guards.verifier, groups=[])
