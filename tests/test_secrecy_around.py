"""The token stays secret around the verifier as well: in adapters, observers, loggers, and in reports of what runs."""

from __future__ import annotations

import asyncio
import copy
import faulthandler
import gc
import logging
import pickle
import sys
import tempfile
import weakref
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import pytest

from cognito_verify.aws_lambda import LambdaAuthorizer, Rule, cookie, header, query, require_token
from cognito_verify.context import current_token
from cognito_verify.errors import (
    AccessDeniedError,
    CheckFailedError,
    CognitoVerifyError,
    ConfigurationError,
    InvalidSignatureError,
    TokenExpiredError,
)
from cognito_verify.jwks import JwksCache
from cognito_verify.testing import Clock, FakeUserPool, lambda_event
from cognito_verify.testing.lambda_events import LambdaEventKind
from cognito_verify.verifier import CognitoVerifier
from tests.secrecy import assert_secret, logged, stack, told

NOW = 1_800_000_000
WAYS = pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def pool(clock: Clock) -> FakeUserPool:
    return FakeUserPool(clock=clock)


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


class Unshown:
    """A part of an event that no report shows: what the gateway sent is the caller's, what we make of it is ours."""

    def __repr__(self) -> str:
        return "<the event>"


class UnshownDict(Unshown, dict[str, Any]):
    pass


class UnshownList(Unshown, list[Any]):
    pass


def unshown(part: Any) -> Any:
    if isinstance(part, dict):
        return UnshownDict({name: unshown(value) for name, value in part.items()})
    return UnshownList(map(unshown, part)) if isinstance(part, list) else part


# Lambda


def fails(token: Any) -> str | None:
    """A check that does what the token says."""
    if token.get("fault"):
        raise ValueError("odd")
    if token.get("refused"):
        raise CheckFailedError("refused")
    return "yes" if token.get("answer") else None


HANDLED: tuple[LambdaEventKind, ...] = ("rest", "http", "function-url", "alb", "alb-multi", "websocket")
SOURCES = [header("Authorization"), query("token"), cookie("id")]


def sent(kind: LambdaEventKind, raw: str, where: str, **options: Any) -> Any:
    places: dict[str, dict[str, Any]] = {
        "header": {"token": raw},
        "query": {"query": {"token": raw}},
        "cookie": {"cookies": {"id": raw}},
        "twice": {"headers": {"Authorization": [raw, f"{raw}x"]}},
        "two in one": {"headers": {"Authorization": f"Bearer {raw} {raw}"}},
    }
    return unshown(lambda_event(kind, **places[where], **options))


OUTCOMES: dict[str, tuple[type[BaseException] | int, str, Callable[[FakeUserPool], str]]] = {
    "let-through": (200, "header", lambda pool: pool.access_token()),
    "handler-fails": (KeyError, "header", lambda pool: pool.access_token(username="eve")),
    "expired": (401, "header", lambda pool: pool.expired()),
    "tampered": (401, "header", lambda pool: pool.tampered()),
    "no-token-at-all": (401, "header", lambda pool: pool.access_token().replace(".", "!")),
    "two-in-one-header": (401, "two in one", lambda pool: pool.access_token()),
    "refused-by-a-check": (401, "header", lambda pool: pool.access_token(refused=True)),
    "check-raises-something-else": (ValueError, "header", lambda pool: pool.access_token(fault=True)),
    "check-answers": (ConfigurationError, "header", lambda pool: pool.access_token(answer=True)),
    "check-answers-of-a-query": (ConfigurationError, "query", lambda pool: pool.access_token(answer=True)),
    "check-answers-of-a-cookie": (ConfigurationError, "cookie", lambda pool: pool.access_token(answer=True)),
}


@WAYS
@pytest.mark.parametrize("is_observed", [False, True])
@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "rest") for name in OUTCOMES), *(("handler-fails", kind) for kind in HANDLED)]
)
def test_a_decorated_handler_does_not_tell_the_token(
    pool: FakeUserPool,
    log: pytest.LogCaptureFixture,
    name: str,
    kind: LambdaEventKind,
    is_observed: bool,
    is_async: bool,
) -> None:
    events: list[object] = []
    texts: list[str] = []
    verifier = pool.verifier(checks=[fails], observer=events.append if is_observed else None)
    guard = require_token(verifier, token_from=SOURCES)

    def answer(token: Any) -> Any:
        texts.extend([*stack(sys._getframe(), but_for=__file__), repr(current_token())])
        return {"statusCode": 200, "user": {"ada": 1}[token.username]}

    if is_async:

        @guard
        async def handler(event: Any, context: Any, token: Any) -> Any:  # noqa: ARG001
            return answer(token)
    else:

        @guard
        def handler(event: Any, context: Any, token: Any) -> Any:  # noqa: ARG001
            return answer(token)

    expected, where, mint = OUTCOMES[name]
    raw = mint(pool)
    event = sent(kind, raw, where, **({} if kind == "websocket" else {"method": "GET"}))

    def call() -> Any:
        return asyncio.run(handler(event, None)) if is_async else handler(event, None)

    if isinstance(expected, int):
        answered = call()
        assert answered["statusCode"] == expected
        texts.append(repr(answered))
    else:
        with pytest.raises(expected) as failure:
            call()
        texts += told(failure.value, but_for=__file__)
        assert any("decorator.py" in text for text in texts)
    assert_secret(raw, [*texts, *logged(log), repr(events)])


AUTHORIZERS: tuple[LambdaEventKind, ...] = (
    "token-authorizer",
    "request-authorizer",
    "websocket-authorizer",
    "http-1.0-authorizer",
    "http-2.0-authorizer",
    "appsync-authorizer",
)
OPTIONS: dict[str, dict[str, Any]] = {
    "no-rules": {},
    "rules": {"rules": [Rule("ANY /{proxy+}", groups="admin")]},
    "simple-answers": {"rules": [Rule("ANY /{proxy+}", groups="admin")], "http_api_response": "simple"},
    "a-context-that-fails": {"context": lambda token: {}[token.username]},
    "a-context-of-lists": {"context": lambda token: {"token": [token]}},
    "a-usage-key-of-none-s-type": {"usage_key": lambda _: 5},
}


@pytest.mark.parametrize("kind", AUTHORIZERS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, "no-rules") for name in OUTCOMES if name != "handler-fails"),
        *(("let-through", options) for options in OPTIONS),
    ],
)
def test_an_authorizer_does_not_tell_the_token(
    pool: FakeUserPool, log: pytest.LogCaptureFixture, name: str, kind: LambdaEventKind, options: str
) -> None:
    events: list[object] = []
    _, where, mint = OUTCOMES[name]
    if where != "header" and kind in ("token-authorizer", "appsync-authorizer"):
        where = "header"
    raw = mint(pool)
    authorizer: Any = LambdaAuthorizer(
        pool.verifier(checks=[fails]),
        token_from=SOURCES,
        observer=events.append,
        **OPTIONS[options],
    )
    texts: list[str] = []
    try:
        texts.append(repr(authorizer(sent(kind, raw, where), None)))
    except Exception as error:
        texts += told(error, but_for=__file__)
        assert any("authorizer.py" in text for text in texts)
    assert_secret(raw, [*texts, *logged(log), repr(events), repr(authorizer)])


def test_a_deployment_whose_cache_would_serve_others_is_told_without_the_token(pool: FakeUserPool) -> None:
    raw, other = pool.access_token(), pool.access_token(username="eve")
    verifier = pool.verifier()
    rules = [Rule("GET /reports", groups="admin"), Rule("GET /", scopes="read")]
    for authorizer, sources in (
        (LambdaAuthorizer(verifier), {"headers": {"X": other}, "identity_sources": ["$request.header.X"]}),
        (LambdaAuthorizer(verifier, rules=rules, http_api_response="simple"), {}),
        (LambdaAuthorizer(verifier, token_from=cookie("id")), {"cookies": {"id": raw}}),
    ):
        options: Any = sources
        event = unshown(lambda_event("http-2.0-authorizer", raw, path="/reports", **options))
        with pytest.raises(ConfigurationError) as fault:
            authorizer(event)
        texts = list(told(fault.value, but_for=__file__))
        assert_secret(raw, texts)
        assert_secret(other, texts)


# What others see of a verification that runs


@WAYS
def test_a_report_of_what_runs_does_not_show_the_token(
    pool: FakeUserPool, log: pytest.LogCaptureFixture, is_async: bool
) -> None:
    texts: list[str] = []

    def look(_: object) -> None:
        texts.extend(stack(sys._getframe(), but_for=__file__))
        error = sys.exception()
        if error is not None:
            texts.extend(told(error, but_for=__file__))
        with tempfile.TemporaryFile("w+") as file:
            faulthandler.dump_traceback(file, all_threads=True)
            file.seek(0)
            texts.append(file.read())
        logging.getLogger("user").debug("seen", exc_info=error, stack_info=True)

    verifier = pool.verifier(checks=[look], observer=look, groups="staff")
    for groups in ("staff", "guests"):
        raw = pool.access_token(groups=groups)
        for _ in range(2):
            try:
                asyncio.run(verifier.verify_async(raw)) if is_async else verifier.verify(raw)
            except AccessDeniedError:
                assert groups == "guests"
        assert_secret(raw, [*texts, *logged(log)])
    assert any("verifier.py" in text for text in texts)
    assert any("test_secrecy_around.py" in text and "File" in text for text in texts)


def held_by(roots: list[object]) -> list[object]:
    """Every object of the library's classes that can be reached from these."""
    reached: dict[int, object] = {}
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) not in reached and not isinstance(one, (type, ModuleType, FunctionType)):
            reached[id(one)] = one
            waiting += gc.get_referents(one)
    return [one for one in reached.values() if type(one).__module__.startswith("cognito_verify.")]


def test_no_object_of_the_library_shows_a_token_that_was_verified(pool: FakeUserPool) -> None:
    authorizer = LambdaAuthorizer(pool.verifier())
    verifier = pool.verifier()
    raw = pool.access_token()
    token = verifier.verify(raw)
    authorizer(lambda_event("token-authorizer", raw))
    alive = held_by([token, verifier, authorizer])
    assert {"AccessToken", "CognitoVerifier", "JwksCache", "LambdaAuthorizer", "_Remembered"} <= {
        type(one).__name__ for one in alive
    }
    texts = [f"{one!r} {one!s}" for one in alive]
    texts += [repr(vars(one)) for one in alive if hasattr(one, "__dict__")]
    for copied in (token, copy.copy(token), copy.deepcopy(token), copy.deepcopy([token])[0]):
        assert copied == token
        texts += [repr(copied), str(copied)]
        texts += [pickle.dumps({"token": copied}, protocol).decode("latin-1") for protocol in range(6)]
    assert_secret(raw, texts)


# What is kept


class Watched(str):  # noqa: SLOT000 - slots would rule out weak references
    """A str that can be watched by a weak reference."""


REFUSED: dict[str, tuple[type[CognitoVerifyError], Callable[[FakeUserPool], str]]] = {
    "expired": (TokenExpiredError, lambda pool: pool.expired()),
    "tampered": (InvalidSignatureError, lambda pool: pool.tampered()),
}


@WAYS
@pytest.mark.parametrize("is_observed", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_an_error_that_is_kept_does_not_keep_the_token(
    pool: FakeUserPool, name: str, is_observed: bool, is_async: bool
) -> None:
    error, mint = REFUSED[name]
    raw = Watched(mint(pool))
    watch = weakref.ref(raw)
    verifier = pool.verifier(observer=(lambda _: None) if is_observed else None)
    kept: list[BaseException] = []

    async def refuse() -> None:
        nonlocal raw
        given = [raw]
        del raw
        try:
            if is_async:
                await verifier.verify_async(given.pop())
            else:
                verifier.verify(given.pop())
        except error as refusal:
            kept.append(refusal)

    asyncio.run(refuse())
    gc.collect()
    assert type(kept[0]) is error
    assert kept[0].__traceback__ is not None
    assert watch() is None


def test_a_task_that_nobody_waits_for_does_not_tell_the_token(
    pool: FakeUserPool, log: pytest.LogCaptureFixture
) -> None:
    raw = pool.expired()

    async def main() -> list[str]:
        task = asyncio.ensure_future(pool.verifier().verify_async(raw))
        texts = [repr(task), repr(task.get_coro())]
        await asyncio.wait([task])
        texts.append(repr(task))
        del task
        gc.collect()
        return texts

    texts = asyncio.run(main(), debug=True)
    assert "never retrieved" in log.text
    assert_secret(raw, [*texts, *logged(log)])


def test_a_fetch_over_http_logs_no_token(pool: FakeUserPool, clock: Clock, log: pytest.LogCaptureFixture) -> None:
    raw, unknown = pool.access_token(), pool.unknown_key()
    for answer in ("healthy", "down"):
        server = pool.serve() if answer == "healthy" else pool.serve("down")
        with server as jwks_uri:
            verifier = CognitoVerifier(
                pool.user_pool_id,
                client_id=pool.client_id,
                token_use="access",
                jwks_uri=jwks_uri,
                jwks_cache=JwksCache(cooldown=0, clock=clock),
                clock=clock,
            )
            for one in (raw, unknown):
                try:
                    verifier.verify(one)
                except CognitoVerifyError as error:
                    assert_secret(one, told(error, but_for=__file__))
    assert {"urllib3.connectionpool"} <= {record.name for record in log.records}
    for one in (raw, unknown):
        assert_secret(one, logged(log))
