"""The token stays secret: in errors, in tracebacks that show local variables, in logs, in events and in pickles."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cognito_verify.errors import (
    AccessDeniedError,
    CheckFailedError,
    ConfigurationError,
    InsufficientScopeError,
    InvalidClaimError,
    InvalidClientError,
    InvalidIssuerError,
    InvalidResourceError,
    InvalidSignatureError,
    InvalidTokenUseError,
    KeysUnavailableError,
    MalformedTokenError,
    MissingGroupError,
    ReauthenticationRequiredError,
    TokenExpiredError,
    TokenNotYetValidError,
    UnknownKeyError,
    UnsupportedAlgorithmError,
)
from cognito_verify.jwks import JwksCache
from cognito_verify.pool import UserPool
from cognito_verify.testing import Clock, FakeUserPool
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier
from tests.secrecy import assert_secret, logged, told

NOW = 1_800_000_000


class BreakableClock(Clock):
    is_broken = False

    def __call__(self) -> float:
        if self.is_broken:
            raise OSError("no clock")
        return super().__call__()


@pytest.fixture
def clock() -> BreakableClock:
    return BreakableClock(NOW)


@pytest.fixture
def pool(clock: Clock) -> FakeUserPool:
    return FakeUserPool(clock=clock)


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def told_by(error: BaseException) -> Iterator[str]:
    return told(error, but_for=__file__)


# Refusals


def banned(token: AccessToken | IdToken) -> None:
    if token.get("banned"):
        raise CheckFailedError("banned")
    if token.get("forbidden"):
        raise AccessDeniedError("forbidden")
    if token.get("odd"):
        raise ValueError("odd")


def answering(token: AccessToken | IdToken) -> str | None:
    return "yes" if token.get("answer") else None


def headed(pool: FakeUserPool, header: dict[str, Any], **claims: Any) -> str:
    good = dict(pool.verifier().verify(pool.access_token()))
    return pool.sign({**pool.header(), **header}, {**good, **claims})


def resigned(raw: str) -> str:
    head, _, signature = raw.rpartition(".")
    return f"{head}.{signature[::-1].lstrip('-_')[:340]}{signature[-2:]}"


MINTED: dict[str, tuple[type[Exception], Callable[[FakeUserPool], str]]] = {
    "two-segments": (MalformedTokenError, lambda pool: pool.access_token().rpartition(".")[0]),
    "five-segments": (MalformedTokenError, lambda pool: f"{pool.access_token()}.{'QUJD' * 20}.{'REVG' * 20}"),
    "no-dots": (MalformedTokenError, lambda pool: pool.access_token().replace(".", "")),
    "a-scheme-in-front": (MalformedTokenError, lambda pool: f"Bearer {pool.access_token()}"),
    "a-line-break-behind": (MalformedTokenError, lambda pool: f"{pool.access_token()}\n"),
    "padding": (MalformedTokenError, lambda pool: f"{pool.access_token()}=="),
    "foreign-characters-in-the-payload": (MalformedTokenError, lambda pool: pool.access_token().replace(".", ".*", 1)),
    "foreign-characters-in-the-signature": (MalformedTokenError, lambda pool: f"{pool.access_token()}*"),
    "not-ascii": (MalformedTokenError, lambda pool: f"{pool.access_token()}\u00e4"),
    "too-long": (MalformedTokenError, lambda pool: pool.access_token(padding="x" * 20_000)),
    "no-json": (MalformedTokenError, lambda pool: pool.sign(pool.header(), b"not json at all, " * 9)),
    "duplicate-members": (MalformedTokenError, lambda pool: pool.sign(pool.header(), b'{"sub":"ada","sub":"eve"}')),
    "nan": (MalformedTokenError, lambda pool: pool.sign(pool.header(), b'{"sub":"ada","exp":NaN,"iat":5}')),
    "not-utf-8": (MalformedTokenError, lambda pool: pool.sign(pool.header(), b'{"sub":"ada\xff\xfe and so on"}')),
    "nesting": (
        MalformedTokenError,
        lambda pool: pool.sign(pool.header(), b'{"a":' + b"[" * 4_000 + b"]" * 4_000 + b"}"),
    ),
    "surrogate": (MalformedTokenError, lambda pool: pool.sign(pool.header(), b'{"sub":"\\ud800 and so on"}')),
    "crit": (MalformedTokenError, lambda pool: headed(pool, {"crit": ["exp"]})),
    "no-kid": (MalformedTokenError, lambda pool: headed(pool, {"kid": None})),
    "algorithm": (UnsupportedAlgorithmError, lambda pool: headed(pool, {"alg": "none"})),
    "issuer": (InvalidIssuerError, lambda pool: pool.access_token(iss="https://example.com")),
    "issuer-elsewhere": (InvalidIssuerError, lambda _: FakeUserPool("eu-west-1_Else1").access_token()),
    "key": (UnknownKeyError, lambda pool: headed(pool, {"kid": "nobody's"})),
    "signature": (InvalidSignatureError, lambda pool: resigned(pool.access_token())),
    "signature-of-another-length": (InvalidSignatureError, lambda pool: f"{pool.access_token()}{'A' * 40}"),
    "expired": (TokenExpiredError, lambda pool: pool.access_token(expires_in=0)),
    "not-yet-valid": (TokenNotYetValidError, lambda pool: pool.access_token(nbf=NOW + 9)),
    "odd-time": (InvalidClaimError, lambda pool: pool.access_token(iat="yesterday")),
    "no-exp": (InvalidClaimError, lambda pool: pool.access_token(omit="exp")),
    "token-use": (InvalidTokenUseError, lambda pool: pool.id_token()),
    "client": (InvalidClientError, lambda pool: pool.access_token(client_id="another")),
    "resource": (InvalidResourceError, lambda pool: pool.access_token(aud="https://another")),
    "odd-claim": (InvalidClaimError, lambda pool: pool.access_token(scope=["a"])),
    "expected-claim": (InvalidClaimError, lambda pool: pool.access_token(tenant="t2")),
    "max_age": (ReauthenticationRequiredError, lambda pool: pool.access_token(auth_time=5)),
    "scopes": (InsufficientScopeError, lambda pool: pool.access_token(scopes="write")),
    "groups": (MissingGroupError, lambda pool: pool.access_token(groups="guests")),
    "check": (CheckFailedError, lambda pool: pool.access_token(banned=True)),
    "check-denies": (AccessDeniedError, lambda pool: pool.access_token(forbidden=True)),
    "check-raises-something-else": (ValueError, lambda pool: pool.access_token(odd=True)),
    "check-answers": (ConfigurationError, lambda pool: pool.access_token(answer=True)),
}


class Minted:
    """As `FakeUserPool`, with what the strict verifier asks for where a test does not say otherwise."""

    def __init__(self, pool: FakeUserPool) -> None:
        self._pool = pool

    def access_token(self, **claims: Any) -> str:
        usual = {"groups": "staff", "scopes": "read", "aud": "https://api", "tenant": "t1"}
        return self._pool.access_token(**{**usual, **claims})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


def strict(pool: FakeUserPool, clock: Clock, **options: Any) -> CognitoVerifier[Any]:
    configured = UserPool(pool.user_pool_id, client_id=pool.client_id, resource="https://api", jwks=pool.jwks)
    return CognitoVerifier(
        configured,
        token_use="access",
        max_age=60,
        scopes="read",
        groups="staff",
        claims={"tenant": "t1"},
        checks=[banned, answering],
        clock=clock,
        **{"jwks_cache": JwksCache(fetch=pool.fetch_jwks, cooldown=0, clock=clock), **options},
    )


WAYS = pytest.mark.parametrize("is_async", [False, True], ids=["verify", "verify_async"])


def verified(verifier: CognitoVerifier[Any], raw: str | None, *, is_async: bool, **needed: Any) -> Any:
    if is_async:
        return asyncio.run(verifier.verify_async(raw, **needed), debug=True)
    return verifier.verify(raw, **needed)


@WAYS
@pytest.mark.parametrize("token_cache_size", [0, 9])
@pytest.mark.parametrize("name", MINTED)
def test_a_refusal_does_not_hold_the_token(
    pool: FakeUserPool,
    clock: Clock,
    log: pytest.LogCaptureFixture,
    name: str,
    token_cache_size: int,
    is_async: bool,
) -> None:
    events: list[object] = []
    verifier = strict(pool, clock, observer=events.append, token_cache_size=token_cache_size)
    error, mint = MINTED[name]
    minted: Any = Minted(pool)
    raw = mint(minted)
    for _ in range(2):  # the second time some of them are remembered
        with pytest.raises(error) as refusal:
            verified(verifier, raw, is_async=is_async)
        assert type(refusal.value) is error
        texts = [*told_by(refusal.value), pickle.dumps(refusal.value).decode("latin-1")]
        assert any("cognito_verify" in text for text in texts)
        assert_secret(raw, texts)
    assert_secret(raw, [*logged(log), repr(events), repr(verifier)])
    verified(verifier, minted.access_token(), is_async=is_async)


def test_these_tests_would_find_a_leak(pool: FakeUserPool) -> None:
    raw = pool.access_token()
    header, payload, signature = raw.split(".")
    for text in (raw, f"found {payload!r}", signature[5:60], f"...{payload[40:80]}..."):
        with pytest.raises(AssertionError, match="holds"):
            assert_secret(raw, [text])
    assert_secret(raw, [header])
    namespace: dict[str, Any] = {}
    exec(compile("def leak(raw): raise ValueError('no')", "elsewhere.py", "exec"), namespace)  # noqa: S102
    with pytest.raises(ValueError, match="no") as refusal:
        namespace["leak"](raw)
    with pytest.raises(AssertionError, match="holds"):
        assert_secret(raw, list(told_by(refusal.value)))


@WAYS
def test_missing_keys_do_not_tell_the_token(
    pool: FakeUserPool, clock: Clock, log: pytest.LogCaptureFixture, is_async: bool
) -> None:
    is_told = threading.Event()  # the log is written before the observer hears of it, and by the fetch's own thread

    def fetch(_: str, __: float) -> bytes:
        raise OSError("down")

    raw = pool.access_token()
    verifier = CognitoVerifier(
        pool.user_pool_id,
        client_id="test-client",
        token_use="access",
        jwks_cache=JwksCache(fetch=fetch, observer=lambda _: is_told.set(), clock=clock),
        clock=clock,
    )
    with pytest.raises(KeysUnavailableError) as refusal:
        verified(verifier, raw, is_async=is_async)
    assert is_told.wait(timeout=5)
    assert "down" in log.text
    assert_secret(raw, [*told_by(refusal.value), *logged(log)])
    verified(pool.verifier(), raw, is_async=is_async)


@WAYS
@pytest.mark.parametrize("is_remembered", [False, True])
def test_a_remembered_token_that_is_refused_is_not_told(
    pool: FakeUserPool, clock: Clock, is_remembered: bool, is_async: bool
) -> None:
    raw = pool.access_token()
    verifier = pool.verifier(token_cache_size=9 if is_remembered else 0)
    needed: Any
    for needed in ({"groups": "admin"}, {"scopes": "admin"}, {"groups": []}, {"scopes": [object()]}):
        verified(verifier, raw, is_async=is_async)
        with pytest.raises((AccessDeniedError, ConfigurationError)) as denial:
            verified(verifier, raw, is_async=is_async, **needed)
        assert_secret(raw, list(told_by(denial.value)))
    clock.now += 3_600
    with pytest.raises(TokenExpiredError) as expiry:
        verified(verifier, raw, is_async=is_async)
    assert_secret(raw, list(told_by(expiry.value)))
    clock.now -= 3_600
    verified(verifier, raw, is_async=is_async)
    pool.rotate_keys()
    verified(verifier, pool.access_token(), is_async=is_async)
    with pytest.raises(UnknownKeyError) as refusal:
        verified(verifier, raw, is_async=is_async)
    assert_secret(raw, list(told_by(refusal.value)))


@WAYS
@pytest.mark.parametrize("is_remembered", [False, True])
def test_a_clock_that_fails_does_not_tell_the_token(
    pool: FakeUserPool, clock: BreakableClock, is_remembered: bool, is_async: bool
) -> None:
    verifier = pool.verifier(jwks_cache=JwksCache(fetch=pool.fetch_jwks, clock=Clock(NOW)))
    raw = pool.access_token()
    if is_remembered:
        verified(verifier, raw, is_async=is_async)
    clock.is_broken = True
    with pytest.raises(OSError, match="no clock") as failure:
        verified(verifier, raw, is_async=is_async)
    assert_secret(raw, list(told_by(failure.value)))
    clock.is_broken = False
    verified(verifier, raw, is_async=is_async)


def test_an_async_check_without_verify_async_does_not_tell_the_token(pool: FakeUserPool) -> None:
    async def check(_: object) -> None:
        """Refuses nobody."""

    raw = pool.access_token()
    verifier = pool.verifier(checks=[check])
    with pytest.raises(ConfigurationError) as refusal:
        verifier.verify(raw)
    assert_secret(raw, list(told_by(refusal.value)))
    verified(verifier, raw, is_async=True)


@pytest.mark.parametrize("is_observed", [False, True])
def test_whoever_gives_up_waiting_for_keys_does_not_tell_the_token(
    pool: FakeUserPool, clock: Clock, log: pytest.LogCaptureFixture, is_observed: bool
) -> None:
    events: list[object] = []
    raw = pool.access_token()

    async def main() -> BaseException:
        loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def fetch(uri: str, seconds: float) -> bytes:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(timeout=5)
            return pool.fetch_jwks(uri, seconds)

        verifier = CognitoVerifier(
            pool.user_pool_id,
            client_id="test-client",
            token_use="access",
            jwks_cache=JwksCache(fetch=fetch, clock=clock),
            observer=events.append if is_observed else None,
            clock=clock,
        )
        task = asyncio.ensure_future(verifier.verify_async(raw))
        await begun.wait()
        assert_secret(raw, [repr(task), repr(task.get_coro())])
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as cancelled:
            go_on.set()
            await verifier.verify_async(raw)
            return cancelled
        raise AssertionError("not cancelled")

    cancelled = asyncio.run(main(), debug=True)
    texts = list(told_by(cancelled))
    assert any("verify_async" in text for text in texts)
    assert_secret(raw, [*texts, *logged(log), repr(events)])


# Success


@WAYS
@pytest.mark.parametrize("token_use", ["access", "id"])
def test_a_verified_token_does_not_show_its_raw_form(
    pool: FakeUserPool, log: pytest.LogCaptureFixture, token_use: str, is_async: bool
) -> None:
    events: list[object] = []
    raw = pool.access_token(groups="a") if token_use == "access" else pool.id_token(groups="a")
    use: Any = token_use
    verifier = pool.verifier(use, observer=events.append)
    for _ in range(2):
        token = verified(verifier, raw, is_async=is_async)
        logging.getLogger("user").debug("%s %r", token, [token], extra={"token": token})
        namespace: dict[str, Any] = {}
        exec(compile("def fail(token): claims = dict(token); raise ValueError", "elsewhere.py", "exec"), namespace)  # noqa: S102
        with pytest.raises(ValueError) as failure:  # noqa: PT011 - without a message
            namespace["fail"](token)
        assert_secret(
            raw,
            [
                str(token),
                repr(token),
                f"{token}",
                repr({"token": token}),
                repr(token.claims),
                repr(token.header),
                *(pickle.dumps(token, protocol).decode("latin-1") for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
                *told_by(failure.value),
            ],
        )
        assert token.raw == raw
    assert len(events) == 2
    assert_secret(raw, [*logged(log), repr(events), repr(verifier)])
    assert "user" in log.text


class Watched(str):  # noqa: SLOT000 - slots would rule out weak references
    """A str that can be watched by a weak reference."""


@WAYS
@pytest.mark.parametrize("is_observed", [False, True])
@pytest.mark.parametrize("name", ["two-segments", "issuer", "signature", "expired", "groups", "check", "check-answers"])
def test_a_refused_token_is_let_go_at_once(
    pool: FakeUserPool, clock: Clock, name: str, is_observed: bool, is_async: bool
) -> None:
    minted: Any = Minted(pool)
    error, mint = MINTED[name]
    raw = Watched(mint(minted))
    watch = weakref.ref(raw)
    verifier = strict(pool, clock, observer=(lambda _: None) if is_observed else None)

    async def refuse(raw: str) -> None:  # no `raises`, which would keep the error
        try:
            if is_async:
                await verifier.verify_async(raw)
            else:
                verifier.verify(raw)
        except error:
            return
        raise AssertionError("not refused")

    gc.disable()  # a reference cycle would keep the token until the collector comes by
    try:
        asyncio.run(refuse(raw))
        del raw
        assert watch() is None
    finally:
        gc.enable()
