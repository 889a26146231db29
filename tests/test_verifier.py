"""CognitoVerifier: the order of refusals, what is remembered, settings, pools, checks, async, forks and threads."""

from __future__ import annotations

import asyncio
import copy
import inspect
import itertools
import json
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest import mock

import pytest

from cognito_verify.errors import (
    AccessDeniedError,
    CheckFailedError,
    CognitoVerifyError,
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
    MissingTokenError,
    ReauthenticationRequiredError,
    TokenExpiredError,
    UnknownKeyError,
    UnsupportedAlgorithmError,
    shown,
)
from cognito_verify.jwks import JwksCache
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.pool import UserPool
from cognito_verify.requirements import all_of, any_of
from cognito_verify.testing import Clock, FakeUserPool
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier

NOW = 1_800_000_000
POOL_ID = "us-east-1_TestPool1"
OTHER_ID = "eu-west-1_TestPool2"
ORIGINAL = f"https://cognito-idp.us-east-1.amazonaws.com/{POOL_ID}"
UPDATED = f"https://issuer-cognito-idp.us-east-1.amazonaws.com/{POOL_ID}"
JWKS_PATH = "/.well-known/jwks.json"

Verify = Callable[..., AccessToken | IdToken]


class Keys:
    """What `fetch=` serves, by URI; counts the fetches."""

    def __init__(self, **by_uri: Any) -> None:
        self.by_uri: dict[str, Any] = by_uri
        self.fetched: list[str] = []

    def __call__(self, uri: str, seconds: float) -> bytes:
        assert 0 < seconds <= 2.5
        self.fetched.append(uri)
        answer = self.by_uri[uri]  # a KeyError is a LookupError: this issuer has no keys
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer).encode()


class Listener:
    """An observer. Fetches are told by their own threads, so that a test has to wait for them."""

    def __init__(self) -> None:
        self.decisions: list[VerificationEvent] = []
        self.fetches: list[FetchEvent] = []
        self.changed = threading.Condition()

    def __call__(self, event: VerificationEvent | FetchEvent) -> None:
        with self.changed:
            if isinstance(event, FetchEvent):
                self.fetches.append(event)
            else:
                self.decisions.append(event)
            self.changed.notify_all()

    def wait_for_fetches(self, count: int) -> list[FetchEvent]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.fetches) >= count, timeout=5)
            return self.fetches


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def pool(clock: Clock) -> FakeUserPool:
    return FakeUserPool(POOL_ID, clock=clock)


@pytest.fixture
def other(clock: Clock) -> FakeUserPool:
    return FakeUserPool(OTHER_ID, clock=clock)


def built(pool: FakeUserPool, token_use: Any = "access", **options: Any) -> CognitoVerifier[Any]:
    return pool.verifier(token_use, **options)


def user_pool(pool: FakeUserPool, **options: Any) -> UserPool:
    return UserPool(pool.user_pool_id, **{"client_id": pool.client_id, "jwks": pool.jwks, **options})


def in_sync(verifier: CognitoVerifier[Any]) -> Verify:
    return verifier.verify


def in_async(verifier: CognitoVerifier[Any]) -> Verify:
    return lambda *args, **options: asyncio.run(verifier.verify_async(*args, **options))


WAYS = pytest.mark.parametrize("way", [pytest.param(in_sync, id="verify"), pytest.param(in_async, id="verify_async")])


def refusal_of(error: type[CognitoVerifyError], act: Callable[[], object]) -> CognitoVerifyError:
    with pytest.raises(error) as refusal:
        act()
    assert type(refusal.value) is error
    return refusal.value


def tampered(raw: str) -> str:
    """The same token, its signature one of its own length by nobody."""
    signing_input, _, signature = raw.rpartition(".")
    return f"{signing_input}.{signature[:9]}{'A' if signature[9] != 'A' else 'B'}{signature[10:]}"


# The order of refusals


def faulty(fault: dict[str, Any], pool: FakeUserPool) -> str:
    claims = {
        "iss": ORIGINAL,
        "token_use": "access",
        "client_id": "test-client",
        "aud": "https://api",
        "exp": NOW + 60,
        "auth_time": NOW,
        "custom:tenant": "t1",
        "scope": "read",
        "cognito:groups": ["staff"],
    }
    raw = pool.sign({**pool.header(), **fault.get("header", {})}, {**claims, **fault.get("claims", {})})
    return tampered(raw) if fault.get("tampered") else raw


FAULTS: dict[str, tuple[type[CognitoVerifyError], dict[str, Any]]] = {
    "structure": (MalformedTokenError, {"header": {"crit": ["exp"]}}),
    "algorithm": (UnsupportedAlgorithmError, {"header": {"alg": "RS512"}}),
    "issuer": (InvalidIssuerError, {"claims": {"iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_No"}}),
    "key": (UnknownKeyError, {"header": {"kid": "nobody's"}}),
    "signature": (InvalidSignatureError, {"tampered": True}),
    "time": (TokenExpiredError, {"claims": {"exp": NOW}}),
    "token-use": (InvalidTokenUseError, {"claims": {"token_use": "id"}}),
    "client": (InvalidClientError, {"claims": {"client_id": "another"}}),
    "resource": (InvalidResourceError, {"claims": {"aud": "https://another"}}),
    "other-claims": (InvalidClaimError, {"claims": {"custom:tenant": "t2"}}),
    "max_age": (ReauthenticationRequiredError, {"claims": {"auth_time": NOW - 61}}),
    "scopes": (InsufficientScopeError, {"claims": {"scope": "write"}}),
    "groups": (MissingGroupError, {"claims": {"cognito:groups": ["guests"]}}),
    "checks": (CheckFailedError, {"claims": {"banned": True}}),
}


def not_banned(token: AccessToken) -> None:
    if token.get("banned"):
        raise CheckFailedError("banned")


def strict_verifier(pool: FakeUserPool, clock: Clock) -> CognitoVerifier[AccessToken]:
    return CognitoVerifier(
        user_pool(pool, resource="https://api"),
        token_use="access",
        max_age=60,
        scopes="read",
        groups="staff",
        claims={"custom:tenant": "t1"},
        checks=[not_banned],
        jwks_cache=JwksCache(fetch=pool.fetch_jwks, cooldown=0, clock=clock),
        clock=clock,
    )


@WAYS
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_refused_by_its_own_class_and_a_token_without_any_passes(
    pool: FakeUserPool, clock: Clock, way: Callable[[CognitoVerifier[Any]], Verify], name: str
) -> None:
    verify = way(strict_verifier(pool, clock))
    error, fault = FAULTS[name]
    refusal = refusal_of(error, lambda: verify(faulty(fault, pool)))
    assert refusal.http_status == (403 if name in ("scopes", "groups") else 401)
    verify(faulty({}, pool))


@pytest.mark.parametrize(("earlier", "later"), list(itertools.combinations(FAULTS, 2)))
def test_of_two_faults_the_earlier_one_is_told(pool: FakeUserPool, clock: Clock, earlier: str, later: str) -> None:
    verifier = strict_verifier(pool, clock)
    error, fault = FAULTS[earlier]
    both = dict(fault)
    for part, content in FAULTS[later][1].items():
        both[part] = {**content, **fault.get(part, {})} if isinstance(content, dict) else content
    refusal_of(error, lambda: verifier.verify(faulty(both, pool)))


ODD_CLAIMS: list[tuple[str, dict[str, Any], str]] = [
    ("time-before-other-claims", {"exp": NOW, "sub": 5}, "time"),
    ("types-of-times-before-token-use", {"auth_time": None, "token_use": "id"}, "other-claims"),
    ("types-before-max_age", {"scope": 5, "auth_time": 0}, "other-claims"),
    ("types-before-groups", {"cognito:groups": "guests"}, "other-claims"),
    ("types-before-scopes", {"scope": ["write"]}, "other-claims"),
]


@pytest.mark.parametrize(
    ("claims", "name"), [pytest.param(claims, name, id=identity) for identity, claims, name in ODD_CLAIMS]
)
def test_a_wrong_type_is_refused_where_its_rule_stands(
    pool: FakeUserPool, clock: Clock, claims: dict[str, Any], name: str
) -> None:
    verifier = strict_verifier(pool, clock)
    refusal_of(FAULTS[name][0], lambda: verifier.verify(faulty({"claims": claims}, pool)))
    verifier.verify(faulty({}, pool))


REMEMBERED_FAULTS: dict[str, type[CognitoVerifyError]] = {
    "key": UnknownKeyError,
    "time": TokenExpiredError,
    "max_age": ReauthenticationRequiredError,
    "scopes": InsufficientScopeError,
    "groups": MissingGroupError,
    "checks": CheckFailedError,
}


@WAYS
@pytest.mark.parametrize(
    "faults", [*((name,) for name in REMEMBERED_FAULTS), *itertools.combinations(REMEMBERED_FAULTS, 2)], ids="+".join
)
def test_a_remembered_token_repeats_key_time_and_requirements_in_this_order(
    pool: FakeUserPool, clock: Clock, way: Callable[[CognitoVerifier[Any]], Verify], faults: tuple[str, ...]
) -> None:
    banned: list[str] = []
    events: list[Any] = []

    def check(token: AccessToken) -> None:
        if token.username in banned:
            raise CheckFailedError("banned")

    verifier = CognitoVerifier(
        POOL_ID,
        client_id="test-client",
        token_use="access",
        max_age=3_000,
        checks=[check],
        jwks_cache=JwksCache(fetch=pool.fetch_jwks, ttl=100 if "key" in faults else 10_000, clock=clock),
        observer=events.append,
        clock=clock,
    )
    verify = way(verifier)
    raw = pool.access_token(username="ada", scopes="read", groups="staff")
    verify(raw)
    if "key" in faults:
        pool.rotate_keys()
        clock.now += 101  # past `ttl`
    if "time" in faults:
        clock.now += 3_600
    if "max_age" in faults:
        clock.now += 3_001
    if "checks" in faults:
        banned.append("ada")
    needed = {name: "more" for name in ("scopes", "groups") if name in faults}
    refusal_of(REMEMBERED_FAULTS[faults[0]], lambda: verify(raw, **needed))
    assert [event.seen_before for event in events] == [False, "key" not in faults and "time" not in faults]


# What is remembered


def seen(events: list[Any]) -> list[bool]:
    return [event.seen_before for event in events if isinstance(event, VerificationEvent)]


def test_a_token_seen_before_is_remembered(pool: FakeUserPool) -> None:
    events: list[Any] = []
    verifier = built(pool, observer=events.append)
    raw = pool.access_token()
    assert verifier.verify(raw) is verifier.verify(raw)
    verifier.verify(pool.access_token())
    assert seen(events) == [False, True, False]


def test_a_remembered_token_is_found_by_its_sha_256(pool: FakeUserPool) -> None:
    verifier = built(pool)
    raw = pool.access_token()
    verifier.verify(raw)
    assert list(verifier._remembered) == [sha256(raw.encode()).digest()]


def test_a_remembered_token_ends_with_its_exp(pool: FakeUserPool, clock: Clock) -> None:
    events: list[Any] = []
    verifier = built(pool, observer=events.append, leeway=5)
    raw = pool.access_token(expires_in=60)
    verifier.verify(raw)
    clock.now = NOW + 64.9
    verifier.verify(raw)
    clock.now = NOW + 65
    refusal_of(TokenExpiredError, lambda: verifier.verify(raw))
    clock.now = NOW  # set back: the token is valid again, and no longer remembered
    verifier.verify(raw)
    assert [event.seen_before for event in events if event.code is None] == [False, True, False]


def test_a_remembered_token_waits_for_its_nbf_where_the_clock_is_set_back(pool: FakeUserPool, clock: Clock) -> None:
    verifier = built(pool)
    raw = pool.access_token(nbf=NOW)
    verifier.verify(raw)
    clock.now = NOW - 1
    with pytest.raises(CognitoVerifyError) as refusal:
        verifier.verify(raw)
    assert refusal.value.code == "token_not_yet_valid"
    clock.now = NOW
    verifier.verify(raw)


def test_a_withdrawn_key_takes_remembered_tokens_with_it(pool: FakeUserPool, clock: Clock) -> None:
    verifier = CognitoVerifier(
        POOL_ID,
        client_id="test-client",
        token_use="access",
        jwks_cache=JwksCache(fetch=pool.fetch_jwks, clock=clock),
        clock=clock,
    )
    raw = pool.access_token(expires_in=9_000)
    verifier.verify(raw)
    pool.rotate_keys(keep_old=True)
    clock.now += 3_601
    verifier.verify(raw)  # still published
    pool.rotate_keys()
    clock.now += 3_601
    refusal_of(UnknownKeyError, lambda: verifier.verify(raw))
    verifier.verify(pool.access_token())


def test_an_unknown_kid_that_fetches_withdraws_the_key_of_remembered_tokens(pool: FakeUserPool) -> None:
    verifier = built(pool)  # bundled keys do not age, and what is fetched replaces them
    raw = pool.access_token()
    verifier.verify(raw)
    pool.rotate_keys()
    verifier.verify(pool.access_token())
    refusal_of(UnknownKeyError, lambda: verifier.verify(raw))


def test_a_key_replaced_under_its_kid_takes_remembered_tokens_with_it(
    pool: FakeUserPool, other: FakeUserPool, clock: Clock
) -> None:
    keys = Keys(**{ORIGINAL + JWKS_PATH: pool.jwks})
    verifier = CognitoVerifier(
        POOL_ID, client_id="test-client", token_use="access", jwks_cache=JwksCache(fetch=keys, clock=clock), clock=clock
    )
    raw = pool.access_token(expires_in=9_000)
    verifier.verify(raw)
    replaced = [{**key, "n": new["n"]} for key, new in zip(pool.jwks["keys"], other.jwks["keys"], strict=True)]
    keys.by_uri[ORIGINAL + JWKS_PATH] = {"keys": replaced}
    clock.now += 3_601
    refusal_of(InvalidSignatureError, lambda: verifier.verify(raw))
    refusal_of(InvalidSignatureError, lambda: verifier.verify(raw))
    keys.by_uri[ORIGINAL + JWKS_PATH] = pool.jwks
    clock.now += 3_601
    verifier.verify(raw)


def test_a_remembered_token_is_verified_anew_by_a_key_fetched_anew(pool: FakeUserPool, clock: Clock) -> None:
    events: list[Any] = []
    verifier = CognitoVerifier(
        POOL_ID,
        client_id="test-client",
        token_use="access",
        jwks_cache=JwksCache(fetch=pool.fetch_jwks, clock=clock),
        observer=events.append,
        clock=clock,
    )
    raw = pool.access_token(expires_in=9_000)
    for seconds in (0, 1, 3_601, 1):
        clock.now += seconds
        verifier.verify(raw)
    assert seen(events) == [False, True, False, True]


def test_the_least_recently_seen_token_is_forgotten_first(pool: FakeUserPool) -> None:
    events: list[Any] = []
    verifier = built(pool, observer=events.append, token_cache_size=2)
    a, b, c = (pool.access_token(username=name) for name in "abc")
    for raw in (a, b, a, c, a, b):
        verifier.verify(raw)
    assert seen(events) == [False, False, True, False, True, False]


def test_a_cache_of_one_remembers_the_last_token_alone(pool: FakeUserPool) -> None:
    events: list[Any] = []
    verifier = built(pool, observer=events.append, token_cache_size=1)
    a, b = (pool.access_token(username=name) for name in "ab")
    for raw in (a, a, b, a):
        verifier.verify(raw)
    assert seen(events) == [False, True, False, False]


def test_two_who_find_a_remembered_token_expired_at_once_are_both_told_so(pool: FakeUserPool) -> None:
    now, told = NOW, list[str]()
    raw = pool.access_token(expires_in=60)

    def clock() -> float:
        if now > NOW and not told:  # between the look at what is remembered and the look at the time
            told.append("the first")
            refusal_of(TokenExpiredError, lambda: verifier.verify(raw))
        return now

    verifier = built(pool, clock=clock)
    verifier.verify(raw)
    now += 60
    refusal_of(TokenExpiredError, lambda: verifier.verify(raw))
    assert told == ["the first"]


def test_a_cache_of_none_remembers_nothing(pool: FakeUserPool) -> None:
    events: list[Any] = []
    verifier = built(pool, observer=events.append, token_cache_size=0)
    raw = pool.access_token()
    for _ in range(3):
        verifier.verify(raw)
    assert seen(events) == [False] * 3


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in ("max_age", "scopes", "groups", "checks")])
def test_a_refused_token_is_not_remembered(pool: FakeUserPool, clock: Clock, name: str) -> None:
    verifier = strict_verifier(pool, clock)
    error, fault = FAULTS[name]
    raw = faulty(fault, pool)
    for _ in range(2):
        refusal_of(error, lambda: verifier.verify(raw))
    verifier.verify(faulty({}, pool))


def test_a_token_that_differs_in_one_character_is_another_token(pool: FakeUserPool) -> None:
    verifier = built(pool)
    raw = pool.access_token()
    verifier.verify(raw)
    refusal_of(InvalidSignatureError, lambda: verifier.verify(tampered(raw)))
    for around in (raw + "\n", " " + raw, raw + "=", raw + "."):
        refusal_of(MalformedTokenError, lambda around=around: verifier.verify(around))  # type: ignore[misc]
    verifier.verify(raw)


def test_a_remembered_token_that_is_over_the_limit_cannot_be_asked_for(pool: FakeUserPool) -> None:
    raw = pool.access_token()
    verifier = built(pool, max_token_bytes=len(raw))
    assert verifier.verify(raw) is verifier.verify(raw)
    refusal = refusal_of(MalformedTokenError, lambda: built(pool, max_token_bytes=len(raw) - 1).verify(raw))
    assert str(refusal) == f"token: expected at most {len(raw) - 1} bytes, found {len(raw)}"


def test_a_token_in_a_class_of_its_own_is_verified_as_the_str_that_it_is(pool: FakeUserPool) -> None:
    class Text(str):
        __slots__ = ()

    verifier = built(pool)
    raw = pool.access_token()
    assert verifier.verify(Text(raw)) == verifier.verify(raw)
    refusal_of(MissingTokenError, lambda: verifier.verify(Text()))


# What is no token at all


class Vague:
    """Like an array: not to be compared."""

    def __eq__(self, other: object) -> NoReturn:
        raise ValueError("the truth value is ambiguous")

    __hash__ = None  # type: ignore[assignment]


@WAYS
@pytest.mark.parametrize("raw", [None, ""])
def test_nothing_is_a_missing_token(
    pool: FakeUserPool, way: Callable[[CognitoVerifier[Any]], Verify], raw: str | None
) -> None:
    verify = way(built(pool))
    refusal = refusal_of(MissingTokenError, lambda: verify(raw))
    assert str(refusal) == "token: expected one, found nothing"
    assert refusal.challenge == "Bearer"
    verify(pool.access_token())


@WAYS
@pytest.mark.parametrize(
    "raw",
    [b"", b"a.b.c", bytearray(b"x"), 5, 0, True, False, 0.5, [], ["a.b.c"], {}, object(), str, Vague(), mock.ANY],
    ids=lambda raw: type(raw).__name__,
)
def test_what_is_no_str_is_malformed(
    pool: FakeUserPool, way: Callable[[CognitoVerifier[Any]], Verify], raw: Any
) -> None:
    verify = way(built(pool))
    refusal = refusal_of(MalformedTokenError, lambda: verify(raw))
    assert str(refusal) == f"token: expected a str, found {type(raw).__name__}"
    verify(pool.access_token())


@WAYS
@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param(
            "Bearer {}", "a scheme in front of the token: pass the header's value through bearer_token() first"
        ),
        pytest.param(
            "bearer {}", "a scheme in front of the token: pass the header's value through bearer_token() first"
        ),
        pytest.param("a.b.c.d.e", "five: an encrypted token, perhaps a refresh token, which only Cognito reads; send"),
        pytest.param("f3b9c1d2-opaque", "one: an opaque token, perhaps a refresh token or an authorization code; send"),
        pytest.param("a.b", "found 2"),
        pytest.param("..", "found nothing"),
        pytest.param(" {}", "white space"),
    ],
)
def test_what_looks_like_something_else_says_what_to_send(
    pool: FakeUserPool, way: Callable[[CognitoVerifier[Any]], Verify], raw: str, message: str
) -> None:
    verify, good = way(built(pool)), pool.access_token()
    assert message in str(refusal_of(MalformedTokenError, lambda: verify(raw.format(good))))
    verify(good)


@pytest.mark.parametrize(
    ("iss", "message"),
    [
        pytest.param(
            f"https://cognito-idp.eu-west-1.amazonaws.com/{OTHER_ID}",
            f": issued by user pool {OTHER_ID} of eu-west-1; is that the pool to verify?",
            id="another-pool",
        ),
        pytest.param(
            f"https://issuer-cognito-idp.eu-west-1.amazonaws.com/{OTHER_ID}",
            f": issued by user pool {OTHER_ID} of eu-west-1; is that the pool to verify?",
            id="another-pool-updated",
        ),
        pytest.param(
            f"https://cognito-idp.eu-west-1.amazonaws.com/{POOL_ID}",
            ": that pool under an issuer which the configuration leaves out "
            "(issuer_type=, replica_regions= or issuer= of UserPool)",
            id="the-pool-elsewhere",
        ),
        pytest.param("https://example.com", "found 'https://example.com'", id="somebody-else"),
        pytest.param(ORIGINAL + "/", f"found '{ORIGINAL}/'", id="a-slash-more"),
        pytest.param(ORIGINAL.upper(), "found 'HTTPS://", id="another-case"),
        pytest.param(None, "found None", id="null"),
        pytest.param([ORIGINAL], "found ['https://", id="list"),
        pytest.param({ORIGINAL: 1}, "found {'https://", id="object"),
        pytest.param(5, "found 5", id="number"),
    ],
)
def test_a_token_of_another_issuer_says_whose_it_is(pool: FakeUserPool, iss: Any, message: str) -> None:
    verifier = built(pool)
    refusal = refusal_of(InvalidIssuerError, lambda: verifier.verify(pool.access_token(iss=iss)))
    assert str(refusal).startswith(f"iss: expected an issuer of user pool {POOL_ID}, found ")
    assert f", found {shown(iss)}" in str(refusal)
    assert message in str(refusal)
    refusal_of(InvalidIssuerError, lambda: verifier.verify(pool.access_token(omit="iss")))
    verifier.verify(pool.access_token(iss=ORIGINAL))


def test_a_refusal_names_three_of_many_pools(clock: Clock) -> None:
    pools = [UserPool(f"us-east-1_P{number}", client_id="a") for number in range(5)]
    verifier = CognitoVerifier(pools, token_use="access", clock=clock)
    refusal = refusal_of(InvalidIssuerError, lambda: verifier.verify(FakeUserPool(clock=clock).access_token()))
    assert "us-east-1_P0 or us-east-1_P1 or us-east-1_P2 or one of 2 more, found" in str(refusal)
    for count, rest in ((4, " or one of 1 more, found"), (3, ", found")):
        verifier = CognitoVerifier(pools[:count], token_use="access", clock=clock)
        refusal = refusal_of(InvalidIssuerError, lambda: verifier.verify(FakeUserPool(clock=clock).access_token()))  # noqa: B023
        assert f"us-east-1_P0 or us-east-1_P1 or us-east-1_P2{rest}" in str(refusal)


# Requirements of a call


def test_a_call_adds_to_the_verifiers_requirements_and_never_weakens_them(pool: FakeUserPool) -> None:
    verifier = built(pool, groups="staff", scopes="read")
    token = pool.access_token(groups=["staff", "admin"], scopes=["read", "write"])
    verifier.verify(token, groups="admin", scopes=all_of("read", "write"))
    verifier.verify(token, groups=any_of("admin", "nobody"))
    refusal_of(MissingGroupError, lambda: verifier.verify(token, groups="nobody"))
    refusal_of(InsufficientScopeError, lambda: verifier.verify(token, scopes="delete"))
    for lesser in (pool.access_token(groups="admin", scopes="read"), pool.access_token(groups=["admin"], scopes="")):
        with pytest.raises(AccessDeniedError):
            verifier.verify(lesser, groups="admin", scopes=any_of("read", "write"))
    for groups, scopes in (("admin", "read"), ("staff", "write"), ("admin", "write")):
        lesser = pool.access_token(groups=groups, scopes=scopes)
        with pytest.raises(AccessDeniedError):
            verifier.verify(lesser, groups=groups, scopes=scopes)


def test_a_calls_requirements_leave_max_age_in_force(pool: FakeUserPool) -> None:
    verifier = built(pool, max_age=60)
    old, new = (pool.access_token(auth_time=time, groups="staff") for time in (NOW - 61, NOW))
    refusal_of(ReauthenticationRequiredError, lambda: verifier.verify(old, groups="staff"))
    verifier.verify(new, groups="staff")


def test_a_calls_requirements_do_not_stay(pool: FakeUserPool) -> None:
    verifier = built(pool)
    raw = pool.access_token(groups="staff")
    refusal_of(MissingGroupError, lambda: verifier.verify(raw, groups="admin"))
    verifier.verify(raw)
    verifier.verify(raw, groups="staff")
    refusal_of(MissingGroupError, lambda: verifier.verify(raw, groups="admin"))


def test_a_list_of_groups_cannot_be_changed_afterwards(pool: FakeUserPool) -> None:
    groups = ["admin"]
    verifier = built(pool, groups=groups)
    groups.append("staff")
    refusal_of(MissingGroupError, lambda: verifier.verify(pool.access_token(groups="staff")))
    verifier.verify(pool.access_token(groups="admin"))


# Settings

EMPTY_OR_SENSELESS: list[Any] = [
    "",
    " ",
    "a b",
    "a\n",
    [],
    (),
    set(),
    {},
    {"a": 1},
    5,
    0,
    True,
    False,
    b"a",
    [""],
    ["a", 5],
]
EMPTY_OR_SENSELESS += [[None], [[]], [["a"]], [b"a"], object(), iter(["a"])]
A_HUNDRED_YEARS = 100 * 366 * 86_400  # as if each were a leap year
NO_SECONDS: list[Any] = [-1, -0.5, A_HUNDRED_YEARS + 1, float("nan"), float("inf"), True, "5", [], (), 10**400]
NO_COUNT: list[Any] = [-1, 1.0, "5", None, True, [], float("nan")]
NO_CALLABLE: list[Any] = [5, "", "print", [], (), True, {}]
BAD_SETTINGS: dict[str, list[Any]] = {
    "user_pool": ["", "nonsense", "us-east-1", f"{POOL_ID} ", None, 5, True, POOL_ID.encode(), [], (), {}, [POOL_ID]],
    "client_id": [*EMPTY_OR_SENSELESS],
    "token_use": ["", "refresh", "Access", "access ", True, 5, [], ["access"], b"access"],
    "groups": EMPTY_OR_SENSELESS,
    "scopes": EMPTY_OR_SENSELESS,
    "leeway": [*NO_SECONDS, None],
    "max_age": NO_SECONDS,
    "claims": [{}, [], "", "x", 5, True, {"": 1}, {"a": set()}],
    "checks": [None, 5, True, "abc", not_banned, [None], [5], [not_banned, 5], {"a": 1}],
    "jwks": [{}, {"keys": []}, {"keys": 5}, {"keys": [{}]}, {"keys": [object()]}, "", "{", "{}", b"{}", 5, True, []],
    "jwks_cache": [{}, 5, "x", True, JwksCache],
    "jwks_uri": [
        "",
        "ftp://a/b",
        "http://example.com/jwks.json",
        "https://",
        "https://a@b/",
        5,
        True,
        [],
        b"https://a",
    ],
    "observer": NO_CALLABLE,
    "token_cache_size": NO_COUNT,
    "max_token_bytes": [*NO_COUNT, 0],
    "clock": [*NO_CALLABLE, None],
}
BAD_SETTINGS["user_pool"] += [[None], {POOL_ID: 1}]
GOOD_SETTINGS: dict[str, list[Any]] = {
    "client_id": ["a", ["a", "b"], ("a",), {"a"}, frozenset({"a"}), None],
    "token_use": ["access", "id", None],
    "groups": ["a", ["a", "b"], ("a",), {"a"}, any_of("a"), all_of("a", "b"), None],
    "scopes": ["a/b", ["a", "b"], any_of("a"), all_of("a", "b"), None],
    "leeway": [0, 5, 0.5, A_HUNDRED_YEARS],
    "max_age": [0, 5, 0.5, A_HUNDRED_YEARS, None],
    "claims": [{"a": 1}, None],
    "checks": [(), [], [not_banned], (not_banned,), iter([not_banned])],
    "jwks": [None],
    "jwks_cache": [JwksCache(), None],
    "jwks_uri": ["https://example.com/jwks.json", "http://127.0.0.1:5000/jwks.json", "http://localhost/x", None],
    "observer": [print, None],
    "token_cache_size": [0, 1, 10_000],
    "max_token_bytes": [1, 10**6],
    "clock": [Clock(NOW)],
}


def made(option: str, value: Any) -> CognitoVerifier[Any]:
    options: dict[str, Any] = {"user_pool": POOL_ID, "client_id": "a", "token_use": "access", option: value}
    return CognitoVerifier(options.pop("user_pool"), **options)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        pytest.param(option, value, id=f"{option}-{number}")
        for option, values in BAD_SETTINGS.items()
        for number, value in enumerate(values)
    ],
)
def test_a_senseless_setting_is_a_configuration_error_that_names_it(option: str, value: Any) -> None:
    refusal = refusal_of(ConfigurationError, lambda: made(option, value))
    assert option in str(refusal)
    assert isinstance(refusal, ValueError)
    assert refusal.http_status == 500
    assert refusal.challenge == ""


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("token_cache_size", -1, "token_cache_size: expected a whole number, at least 0, found -1"),
        ("max_token_bytes", 0.5, "max_token_bytes: expected a whole number, at least 1, found 0.5"),
        ("leeway", -1, "leeway: expected seconds, from 0 to a hundred years, found -1"),
        ("max_age", "1", "max_age: expected seconds, from 0 to a hundred years, found '1'"),
        ("checks", 5, "checks: expected callables, found 5"),
        ("user_pool", b"us", "user_pool: expected an id, a UserPool or several, found b'us'"),
        ("user_pool", {POOL_ID: 1}, f"user_pool: expected an id, a UserPool or several, found {{'{POOL_ID}': 1}}"),
        ("user_pool", [POOL_ID], f"user_pool: expected UserPool objects in the collection, found '{POOL_ID}'"),
    ],
)
def test_a_senseless_setting_is_shown(option: str, value: Any, message: str) -> None:
    assert str(refusal_of(ConfigurationError, lambda: made(option, value))) == message


@pytest.mark.parametrize("user_pool", BAD_SETTINGS["user_pool"], ids=lambda value: type(value).__name__)
def test_what_is_no_pool_is_a_configuration_error_without_a_client_as_well(user_pool: Any) -> None:
    refusal = refusal_of(ConfigurationError, lambda: CognitoVerifier(user_pool, token_use="access"))
    assert ("client_id" if isinstance(user_pool, str) else "user_pool") in str(refusal)
    CognitoVerifier(UserPool(POOL_ID, client_id="a"), token_use="access")


@pytest.mark.parametrize("option", GOOD_SETTINGS)
def test_a_sensible_setting_is_taken(option: str) -> None:
    for value in GOOD_SETTINGS[option]:
        made(option, value)


@WAYS
@pytest.mark.parametrize("option", ["groups", "scopes"])
@pytest.mark.parametrize("value", EMPTY_OR_SENSELESS, ids=lambda value: type(value).__name__)
def test_a_senseless_requirement_of_a_call_is_a_configuration_error_whatever_the_token(
    pool: FakeUserPool, way: Callable[[CognitoVerifier[Any]], Verify], option: str, value: Any
) -> None:
    verify = way(built(pool))
    raw = pool.access_token(groups="a", scopes="a")
    for token in (raw, tampered(raw), None):
        refusal = refusal_of(ConfigurationError, lambda token=token: verify(token, **{option: value}))  # type: ignore[misc]
        assert str(refusal).startswith(f"{option}: ")
    verify(raw, **{option: ["a"]})


def test_the_client_must_be_said_and_none_means_any() -> None:
    unsaid: Any = {"token_use": "access"}
    refusal = refusal_of(ConfigurationError, lambda: CognitoVerifier(POOL_ID, **unsaid))
    assert str(refusal) == "client_id: expected the app client(s); client_id=None accepts any client"
    CognitoVerifier(POOL_ID, client_id=None, **unsaid)


def test_the_token_use_must_be_said() -> None:
    unsaid: Any = {"client_id": "a"}
    with pytest.raises(TypeError, match="token_use"):
        CognitoVerifier(POOL_ID, **unsaid)
    CognitoVerifier(POOL_ID, token_use=None, **unsaid)


@pytest.mark.parametrize(
    "options",
    [{"client_id": "a"}, {"client_id": None}, {"jwks": {"keys": []}}, {"jwks_uri": "https://example.com/jwks.json"}],
    ids=repr,
)
def test_pools_carry_their_own_clients_and_keys(options: Any) -> None:
    configured = UserPool(POOL_ID, client_id="a")
    for pools in (configured, [configured]):
        refusal = refusal_of(
            ConfigurationError,
            lambda pools=pools: CognitoVerifier(pools, token_use="access", **options),  # type: ignore[misc]
        )
        assert str(refusal) == "client_id, jwks and jwks_uri belong to a pool's id: UserPool objects carry their own"
        CognitoVerifier(pools, token_use="access")


def test_a_constructor_that_refuses_leaves_a_shared_cache_as_it_was(pool: FakeUserPool) -> None:
    shared = JwksCache()
    odd: Any
    for odd in ({"token_cache_size": -1}, {"max_token_bytes": 0}, {"groups": []}):
        refusal_of(
            ConfigurationError,
            lambda odd=odd: CognitoVerifier(user_pool(pool), token_use="access", jwks_cache=shared, **odd),  # type: ignore[misc]
        )
    unusable = UserPool(OTHER_ID, client_id="a", jwks={"keys": []})
    refusal_of(
        ConfigurationError,
        lambda: CognitoVerifier([user_pool(pool), unusable], token_use="access", jwks_cache=shared),
    )
    assert shared.status() == {}
    CognitoVerifier(user_pool(pool), token_use="access", jwks_cache=shared)
    assert set(shared.status()) == {ORIGINAL + JWKS_PATH, UPDATED + JWKS_PATH}


def test_a_verifier_shows_its_pools_and_no_keys(pool: FakeUserPool) -> None:
    first = f"UserPool('{POOL_ID}', clients: test-client)"
    assert repr(built(pool)) == f"CognitoVerifier({first}, token_use='access')"
    both = CognitoVerifier([user_pool(pool), UserPool(OTHER_ID, client_id="a")], token_use=None)
    assert repr(both) == f"CognitoVerifier({first}, UserPool('{OTHER_ID}', clients: a), token_use=None)"


# From the environment

ENVIRONMENT = {"COGNITO_USER_POOL_ID": POOL_ID, "COGNITO_CLIENT_ID": "test-client", "COGNITO_TOKEN_USE": "access"}
OPTIONAL = ("COGNITO_JWKS", "COGNITO_JWKS_URI")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in OPTIONAL:
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_a_verifier_comes_from_the_environment_with_further_options(
    pool: FakeUserPool, clock: Clock, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("COGNITO_JWKS", json.dumps(pool.jwks))
    verifier = CognitoVerifier.from_env(clock=clock, groups="staff")
    verifier.verify(pool.access_token(groups="staff"))
    refusal_of(MissingGroupError, lambda: verifier.verify(pool.access_token()))
    refusal_of(InvalidClientError, lambda: verifier.verify(pool.access_token(client_id="another")))
    refusal_of(InvalidTokenUseError, lambda: verifier.verify(pool.id_token()))


def test_the_environment_names_several_clients_and_a_file_of_keys(
    pool: FakeUserPool, clock: Clock, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(pool.jwks), encoding="utf-8")
    for name, value in {
        "COGNITO_USER_POOL_ID": f" {POOL_ID}\n",
        "COGNITO_CLIENT_ID": "first, second ,third",
        "COGNITO_TOKEN_USE": " id ",
        "COGNITO_JWKS": f"{path}\n",
    }.items():
        environment.setenv(name, value)
    verifier = CognitoVerifier.from_env(clock=clock)
    for client_id in ("first", "second", "third"):
        assert verifier.verify(pool.id_token(client_id=client_id)).client_id == client_id
    refusal_of(InvalidClientError, lambda: verifier.verify(pool.id_token(client_id="first, second ,third")))
    refusal_of(InvalidClientError, lambda: verifier.verify(pool.id_token(client_id="")))


def test_the_environment_names_where_the_keys_are(
    pool: FakeUserPool, clock: Clock, environment: pytest.MonkeyPatch
) -> None:
    keys = Keys(**{"https://example.com/jwks.json": pool.jwks})
    environment.setenv("COGNITO_JWKS_URI", "https://example.com/jwks.json")
    CognitoVerifier.from_env(clock=clock, jwks_cache=JwksCache(fetch=keys, clock=clock)).verify(pool.access_token())
    assert keys.fetched == ["https://example.com/jwks.json"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ENVIRONMENT for value in (None, "", "  ", "\n")),
        *((name, value) for name in OPTIONAL for value in ("", "  ")),
        ("COGNITO_USER_POOL_ID", "nonsense"),
        ("COGNITO_USER_POOL_ID", f"{POOL_ID},{OTHER_ID}"),
        ("COGNITO_CLIENT_ID", ","),
        ("COGNITO_CLIENT_ID", "a,"),
        ("COGNITO_CLIENT_ID", "a,,b"),
        ("COGNITO_CLIENT_ID", "a b"),
        ("COGNITO_TOKEN_USE", "None"),
        ("COGNITO_TOKEN_USE", "ACCESS"),
        ("COGNITO_TOKEN_USE", "access,id"),
        ("COGNITO_JWKS", "{"),
        ("COGNITO_JWKS", "{}"),
        ("COGNITO_JWKS", '{"keys": []}'),
        ("COGNITO_JWKS", "/nowhere/jwks.json"),
        ("COGNITO_JWKS", "/"),
        ("COGNITO_JWKS_URI", "http://example.com/jwks.json"),
        ("COGNITO_JWKS_URI", "nonsense"),
    ],
)
def test_a_variable_that_is_missing_or_senseless_is_a_configuration_error(
    environment: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    CognitoVerifier.from_env()
    if value is None:
        environment.delenv(name)
    else:
        environment.setenv(name, value)
    refusal = refusal_of(ConfigurationError, CognitoVerifier.from_env)
    assert str(refusal).startswith(f"{name}: ")
    if name == "COGNITO_TOKEN_USE" and value and value.strip():
        assert str(refusal).endswith(f", found {value!r}")


@pytest.mark.parametrize("name", [*ENVIRONMENT, *OPTIONAL])
def test_an_empty_variable_is_called_so(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, " ")
    refusal = refusal_of(ConfigurationError, CognitoVerifier.from_env)
    assert str(refusal) == f"{name}: expected a value in the environment, found nothing"


@pytest.mark.parametrize("option", ["client_id", "token_use", "jwks", "jwks_uri"])
def test_what_the_environment_says_is_not_said_twice(environment: pytest.MonkeyPatch, option: str) -> None:
    twice: Any = {option: "said"}
    with pytest.raises((TypeError, ConfigurationError)):
        CognitoVerifier.from_env(**twice)
    environment.setenv("COGNITO_JWKS_URI", "https://example.com/jwks.json")
    CognitoVerifier.from_env(groups=None)


# Pools and keys


def test_each_of_several_pools_vouches_for_its_own_tokens_alone(
    pool: FakeUserPool, other: FakeUserPool, clock: Clock
) -> None:
    pools = [user_pool(pool, client_id="first"), user_pool(other, client_id="second")]
    keys = Keys()
    for several in (pools, tuple(pools), set(pools), iter(pools)):
        verifier = CognitoVerifier(
            several, token_use="access", clock=clock, jwks_cache=JwksCache(fetch=keys, clock=clock)
        )
        assert verifier.verify(pool.access_token(client_id="first")).user_pool_id == POOL_ID
        assert verifier.verify(other.access_token(client_id="second")).user_pool_id == OTHER_ID
        refusal_of(InvalidClientError, lambda: verifier.verify(pool.access_token(client_id="second")))  # noqa: B023
        refusal_of(InvalidClientError, lambda: verifier.verify(other.access_token(client_id="first")))  # noqa: B023
    posing = pool.access_token(client_id="second", iss=other.issuer)
    refusal_of(UnknownKeyError, lambda: verifier.verify(posing))
    renamed = pool.sign({**other.header(), "kid": other.header()["kid"]}, {"iss": other.issuer, "exp": NOW + 9})
    refusal_of(InvalidSignatureError, lambda: verifier.verify(renamed))


def test_a_foreign_issuer_causes_no_fetch(pool: FakeUserPool, other: FakeUserPool, clock: Clock) -> None:
    keys = Keys(**{ORIGINAL + JWKS_PATH: pool.jwks})
    verifier = CognitoVerifier(
        POOL_ID, client_id="test-client", token_use="access", clock=clock, jwks_cache=JwksCache(fetch=keys)
    )
    refusal_of(InvalidIssuerError, lambda: verifier.verify(other.access_token()))
    assert keys.fetched == []
    verifier.verify(pool.access_token())
    assert keys.fetched == [ORIGINAL + JWKS_PATH]


@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c"])
def test_nothing_in_a_token_chooses_a_key_or_where_it_is_fetched(
    pool: FakeUserPool, other: FakeUserPool, clock: Clock, member: str
) -> None:
    keys = Keys(**{ORIGINAL + JWKS_PATH: pool.jwks})
    verifier = CognitoVerifier(
        POOL_ID, client_id="test-client", token_use="access", clock=clock, jwks_cache=JwksCache(fetch=keys)
    )
    good = dict(verifier.verify(pool.access_token()))
    value: Any = other.jwks["keys"][0] if member == "jwk" else "https://evil.example/jwks.json"
    forged = other.sign({**other.header(), member: value}, good)
    refusal_of(UnknownKeyError, lambda: verifier.verify(forged))
    assert set(keys.fetched) <= {ORIGINAL + JWKS_PATH, UPDATED + JWKS_PATH}
    verifier.verify(pool.sign({**pool.header(), member: value}, good))


@pytest.mark.parametrize(
    "pools",
    [
        pytest.param([{}, {}], id="alike"),
        pytest.param([{}, {"client_id": "another"}], id="another-client"),
        pytest.param([{"issuer_type": "ORIGINAL"}, {"issuer_type": "UPDATED"}], id="another-issuer"),
        pytest.param([{}, {"issuer": "https://example.com"}], id="an-issuer-of-its-own"),
        pytest.param([{"replica_regions": ("eu-west-1",)}, {}], id="a-replica-more"),
    ],
)
def test_the_same_pool_twice_is_a_configuration_error(pools: list[dict[str, Any]]) -> None:
    twice = [UserPool(POOL_ID, **{"client_id": "a", **options}) for options in pools]
    refusal = refusal_of(ConfigurationError, lambda: CognitoVerifier(twice, token_use="access"))
    assert POOL_ID in str(refusal)
    for one in twice:
        CognitoVerifier([one, UserPool(OTHER_ID, client_id="a")], token_use="access")


def test_two_pools_of_the_same_issuer_are_a_configuration_error() -> None:
    first, second = (UserPool(pool_id, client_id="a", issuer="https://example.com") for pool_id in (POOL_ID, OTHER_ID))
    refusal = refusal_of(ConfigurationError, lambda: CognitoVerifier([first, second], token_use="access"))
    assert str(refusal) == "user_pool: the issuer https://example.com belongs to two of the pools"
    CognitoVerifier([first], token_use="access")


@pytest.mark.parametrize(
    ("options", "accepted", "refused"),
    [
        pytest.param({}, [ORIGINAL, UPDATED], [ORIGINAL.replace("us-east-1.", "eu-west-1.")], id="both"),
        pytest.param({"issuer_type": "UPDATED"}, [UPDATED], [ORIGINAL], id="updated"),
        pytest.param({"issuer_type": "ORIGINAL"}, [ORIGINAL], [UPDATED], id="original"),
        pytest.param(
            {"replica_regions": ("eu-west-1",)},
            [ORIGINAL, UPDATED, ORIGINAL.replace("us-east-1.", "eu-west-1.")],
            [ORIGINAL.replace("us-east-1.", "eu-west-2."), UPDATED.replace("us-east-1.", "eu-west-1.")],
            id="replica",
        ),
        pytest.param({"issuer": "https://example.com"}, ["https://example.com"], [ORIGINAL, UPDATED], id="own"),
    ],
)
def test_a_pool_accepts_its_issuers_and_bundled_keys_serve_them_all(
    pool: FakeUserPool, clock: Clock, options: dict[str, Any], accepted: list[str], refused: list[str]
) -> None:
    verifier = CognitoVerifier(user_pool(pool, **options), token_use="access", clock=clock)
    for iss in accepted:
        assert verifier.verify(pool.access_token(iss=iss)).issuer == iss
    for iss in refused:
        refusal_of(InvalidIssuerError, lambda iss=iss: verifier.verify(pool.access_token(iss=iss)))  # type: ignore[misc]


def test_each_issuers_keys_are_fetched_from_that_issuer(pool: FakeUserPool, clock: Clock) -> None:
    replica = ORIGINAL.replace("us-east-1.", "eu-west-1.")
    keys = Keys(**{iss + JWKS_PATH: pool.jwks for iss in (ORIGINAL, UPDATED, replica)})
    configured = UserPool(POOL_ID, client_id="test-client", replica_regions=["eu-west-1"])
    verifier = CognitoVerifier(configured, token_use="access", clock=clock, jwks_cache=JwksCache(fetch=keys))
    for iss in (UPDATED, replica, ORIGINAL):
        verifier.verify(pool.access_token(iss=iss))
        assert keys.fetched[-1] == iss + JWKS_PATH
    assert len(keys.fetched) == 3


@pytest.mark.parametrize("form", ["dict", "text", "text-with-space-in-front", "path", "path-as-str"])
def test_known_keys_come_as_a_dict_as_text_or_from_a_file(
    pool: FakeUserPool, clock: Clock, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(pool.jwks), encoding="utf-8")
    jwks: Any = {
        "dict": pool.jwks,
        "text": json.dumps(pool.jwks),
        "text-with-space-in-front": "\n\t " + json.dumps(pool.jwks),
        "path": path,
        "path-as-str": str(path),
    }[form]
    verifier = CognitoVerifier(
        POOL_ID,
        client_id="test-client",
        token_use="access",
        jwks=jwks,
        jwks_cache=JwksCache(fetch=Keys(), clock=clock),
        clock=clock,
    )
    if form == "dict":
        jwks["keys"].clear()
    path.unlink()
    clock.now += 10**9  # known keys do not age
    verifier.verify(pool.access_token())


def test_verifiers_share_a_cache_and_its_keys(pool: FakeUserPool, other: FakeUserPool, clock: Clock) -> None:
    keys = Keys(**{one.issuer + JWKS_PATH: one.jwks for one in (pool, other)})
    shared = JwksCache(fetch=keys, clock=clock)
    first, second = (
        CognitoVerifier(
            [UserPool(POOL_ID, client_id="test-client"), UserPool(OTHER_ID, client_id="test-client")],
            token_use=use,
            jwks_cache=shared,
            clock=clock,
        )
        for use in (None, "access")
    )
    for verifier in (first, second):
        for one in (pool, other):
            verifier.verify(one.access_token())
    refusal_of(InvalidTokenUseError, lambda: second.verify(pool.id_token()))
    first.verify(pool.id_token())
    assert sorted(keys.fetched) == sorted(keys.by_uri)


def test_a_verifiers_clock_is_its_caches_unless_it_was_given_one(pool: FakeUserPool, clock: Clock) -> None:
    keys, elsewhere = Keys(**{ORIGINAL + JWKS_PATH: pool.jwks}), Clock(NOW)
    verifier = CognitoVerifier(
        POOL_ID,
        client_id="test-client",
        token_use="access",
        clock=clock,
        jwks_cache=JwksCache(fetch=keys, clock=elsewhere),
    )
    raw = pool.access_token(expires_in=99_999)
    verifier.verify(raw)
    clock.now += 50_000
    verifier.verify(raw)
    assert len(keys.fetched) == 1
    elsewhere.now += 3_601
    verifier.verify(raw)
    assert len(keys.fetched) == 2


def test_a_verifier_hands_its_clock_and_observer_to_the_cache_that_it_builds(clock: Clock) -> None:
    pool, listener = FakeUserPool(clock=clock), Listener()
    with pool.serve() as jwks_uri:
        verifier = CognitoVerifier(
            POOL_ID, client_id="test-client", token_use="access", jwks_uri=jwks_uri, observer=listener, clock=clock
        )
        verifier.verify(pool.access_token())
        pool.rotate_keys()
        clock.now += 3_601  # past `ttl` by the verifier's own clock
        verifier.verify(pool.access_token())
    told = [(event.jwks_uri, event.error, event.keys) for event in listener.wait_for_fetches(2)]
    assert told == [(jwks_uri, None, 2)] * 2
    assert len(listener.decisions) == 2


def test_prefetch_needs_keys_of_every_pool_and_of_one_issuer_each(
    pool: FakeUserPool, other: FakeUserPool, clock: Clock
) -> None:
    keys = Keys(**{ORIGINAL + JWKS_PATH: pool.jwks})
    pools = [UserPool(one, client_id="test-client") for one in (POOL_ID, OTHER_ID)]
    shared = JwksCache(fetch=keys, cooldown=0, clock=clock)
    verifier = CognitoVerifier(pools, token_use="access", jwks_cache=shared, clock=clock)
    refusal_of(KeysUnavailableError, verifier.prefetch)
    keys.by_uri[other.issuer.replace("cognito-idp", "issuer-cognito-idp") + JWKS_PATH] = other.jwks
    verifier.prefetch()
    fetched = len(keys.fetched)
    verifier.verify(pool.access_token())
    assert len(keys.fetched) == fetched


@WAYS
def test_an_issuer_without_keys_is_the_tokens_fault_where_the_pool_has_keys_from_another(
    pool: FakeUserPool, clock: Clock, way: Callable[[CognitoVerifier[Any]], Verify]
) -> None:
    shared = JwksCache(fetch=Keys(**{ORIGINAL + JWKS_PATH: pool.jwks}), clock=clock)
    verify = way(CognitoVerifier(POOL_ID, client_id="test-client", token_use="access", jwks_cache=shared, clock=clock))
    refusal_of(UnknownKeyError, lambda: verify(pool.access_token(iss=UPDATED)))
    verify(pool.access_token())


@WAYS
def test_a_pool_without_keys_is_our_fault_and_not_the_tokens(
    pool: FakeUserPool, clock: Clock, way: Callable[[CognitoVerifier[Any]], Verify]
) -> None:
    keys = Keys(**{iss + JWKS_PATH: OSError("down") for iss in (ORIGINAL, UPDATED)})
    shared = JwksCache(fetch=keys, cooldown=0, clock=clock)
    verify = way(CognitoVerifier(POOL_ID, client_id="test-client", token_use="access", jwks_cache=shared, clock=clock))
    refusal = refusal_of(KeysUnavailableError, lambda: verify(pool.access_token()))
    assert refusal.transient
    assert refusal.retry_after == 0
    keys.by_uri[ORIGINAL + JWKS_PATH] = pool.jwks
    verify(pool.access_token())


# Checks


@WAYS
def test_checks_run_in_order_on_every_call(pool: FakeUserPool, way: Callable[[CognitoVerifier[Any]], Verify]) -> None:
    called: list[tuple[str, Any]] = []
    verify = way(
        built(
            pool,
            checks=[lambda token: called.append(("first", token)), lambda token: called.append(("second", token))],
        )
    )
    raw = pool.access_token()
    tokens = [verify(raw) for _ in range(3)]
    assert called == [(name, token) for token in tokens for name in ("first", "second")]


class Foreign(Exception):
    """What a user's check raises."""

    code = 404


RAISED = [CheckFailedError("why"), AccessDeniedError("why"), MissingTokenError("why"), Foreign("why"), KeyError("why")]


@pytest.mark.parametrize(
    ("way", "is_async"),
    [
        pytest.param(in_sync, False, id="verify"),
        pytest.param(in_async, False, id="verify_async"),
        pytest.param(in_async, True, id="verify_async-awaiting"),
    ],
)
@pytest.mark.parametrize("raised", [*RAISED, KeyboardInterrupt("why")], ids=lambda raised: type(raised).__name__)
def test_what_a_check_raises_goes_through_unchanged(
    pool: FakeUserPool, way: Callable[[CognitoVerifier[Any]], Verify], raised: BaseException, is_async: bool
) -> None:
    banned: list[bool] = []

    def check(token: AccessToken) -> None:
        assert token.username == "ada"
        if banned:
            raise raised

    async def check_async(token: AccessToken) -> None:
        check(token)

    verify = way(built(pool, checks=[check_async if is_async else check]))
    raw = pool.access_token()
    verify(raw)
    banned.append(True)
    for _ in range(2):
        with pytest.raises(type(raised)) as refusal:
            verify(raw)
        assert refusal.value is raised
        assert raised.__cause__ is None


def accept(_: object) -> None:
    """Refuses nobody."""


async def accept_async(_: object) -> None:
    """Refuses nobody, after a while."""
    await asyncio.sleep(0)


class CallableCheck:
    def __call__(self, token: AccessToken) -> bool:
        return token.username == "ada"


async def answers_async(_: object) -> bool:
    return True


@WAYS
@pytest.mark.parametrize(
    ("check", "message"),
    [
        pytest.param(lambda token: token.username == "ada", "checks: <lambda> returned bool;", id="true"),
        pytest.param(lambda token: token.username == "eve", "checks: <lambda> returned bool;", id="false"),
        pytest.param(lambda token: token.username, "checks: <lambda> returned str;", id="text"),
        pytest.param(lambda _: 0, "checks: <lambda> returned int;", id="zero"),
        pytest.param(lambda _: "", "checks: <lambda> returned str;", id="empty"),
        pytest.param(lambda _: CheckFailedError("no"), "checks: <lambda> returned CheckFailedError;", id="an-error"),
        pytest.param(CallableCheck(), "checks: CallableCheck returned bool;", id="object"),
        pytest.param(lambda _: (yield), "checks: <lambda> returned generator;", id="generator"),
    ],
)
def test_a_check_that_answers_is_a_configuration_error_and_lets_nobody_in(
    pool: FakeUserPool, way: Callable[[CognitoVerifier[Any]], Verify], check: Any, message: str
) -> None:
    raw = pool.access_token(username="ada")
    verify = way(built(pool, checks=[check]))
    for _ in range(2):
        refusal = refusal_of(ConfigurationError, lambda: verify(raw))
        assert str(refusal) == f"{message} a check refuses by raising, or returns None"
    way(built(pool, checks=[accept]))(raw)


def test_an_async_check_is_awaited_by_verify_async_alone(pool: FakeUserPool) -> None:
    raw = pool.access_token()
    verifier = built(pool, checks=[accept, accept_async, accept])
    refusal = refusal_of(ConfigurationError, lambda: verifier.verify(raw))
    assert str(refusal) == "checks: accept_async is async; use verify_async"
    asyncio.run(verifier.verify_async(raw))


def test_an_async_check_that_answers_is_a_configuration_error(pool: FakeUserPool) -> None:
    refusal = refusal_of(ConfigurationError, lambda: in_async(built(pool, checks=[answers_async]))(pool.access_token()))
    assert str(refusal).startswith("checks: answers_async returned bool;")
    in_async(built(pool, checks=[accept_async]))(pool.access_token())


def test_a_check_may_answer_with_anything_that_can_be_awaited(pool: FakeUserPool) -> None:
    async def main() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        verifier = built(pool, checks=[lambda _: future])
        refusal = None
        try:
            verifier.verify(pool.access_token())
        except ConfigurationError as error:
            refusal = error
        assert str(refusal) == "checks: <lambda> is async; use verify_async"
        waiting = asyncio.ensure_future(verifier.verify_async(pool.access_token()))
        await asyncio.sleep(0)
        assert not waiting.done()
        future.set_result(None)
        await waiting

    asyncio.run(main())


# Async


class Gate:
    """A fetch that says when it has begun and waits to be let through."""

    def __init__(self, pool: FakeUserPool) -> None:
        self.pool = pool
        self.fetches = 0
        self.begun = asyncio.Event()
        self.open = threading.Event()
        self.loop = asyncio.get_running_loop()

    def __call__(self, uri: str, seconds: float) -> bytes:
        self.fetches += 1
        self.loop.call_soon_threadsafe(self.begun.set)
        assert self.open.wait(timeout=5)
        return self.pool.fetch_jwks(uri, seconds)


def gated(gate: Gate, clock: Clock) -> CognitoVerifier[AccessToken]:
    cache = JwksCache(fetch=gate, clock=clock)
    return CognitoVerifier(POOL_ID, client_id="test-client", token_use="access", jwks_cache=cache, clock=clock)


def test_a_fetch_holds_up_neither_the_event_loop_nor_a_second_fetch(pool: FakeUserPool, clock: Clock) -> None:
    async def main() -> None:
        gate = Gate(pool)
        verifier = gated(gate, clock)
        waiting = [asyncio.ensure_future(verifier.verify_async(pool.access_token())) for _ in range(50)]
        await gate.begun.wait()
        assert not any(task.done() for task in waiting)
        gate.open.set()
        assert len(await asyncio.gather(*waiting)) == 50
        assert gate.fetches == 1

    asyncio.run(main())


def test_whoever_is_cancelled_cancels_nobody_elses_fetch(pool: FakeUserPool, clock: Clock) -> None:
    async def main() -> None:
        gate = Gate(pool)
        verifier = gated(gate, clock)
        first, second = (asyncio.ensure_future(verifier.verify_async(pool.access_token())) for _ in range(2))
        await gate.begun.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not second.done()
        gate.open.set()
        assert (await second).username == "ada"
        await verifier.verify_async(pool.access_token())
        assert gate.fetches == 1

    asyncio.run(main())


def test_a_check_that_is_cancelled_lets_nobody_in(pool: FakeUserPool) -> None:
    async def main() -> None:
        begun = asyncio.Event()

        async def check(_: object) -> None:
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(built(pool, checks=[check]).verify_async(pool.access_token()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


# Observers


def test_an_observer_hears_of_every_decision_and_nothing_of_the_token(pool: FakeUserPool) -> None:
    events: list[Any] = []
    verifier = built(pool, None, observer=events.append, checks=[not_banned])
    access, identity = pool.access_token(), pool.id_token()
    verifier.verify(access)
    verifier.verify(access)
    verifier.verify(identity)
    banned = pool.access_token(banned=True)
    for act in (
        lambda: verifier.verify(tampered(access)),
        lambda: verifier.verify(access, groups="admin"),
        lambda: verifier.verify(banned),
        lambda: verifier.verify(access, groups=[]),
        lambda: verifier.verify(None),
        lambda: in_async(verifier)(pool.access_token(expires_in=0)),
    ):
        with pytest.raises(CognitoVerifyError):
            act()
    in_async(verifier)(identity)
    assert all(type(event) is VerificationEvent and 0 <= event.seconds < 60 for event in events)
    assert [(event.code, event.token_use, event.user_pool_id, event.seen_before) for event in events] == [
        (None, "access", POOL_ID, False),
        (None, "access", POOL_ID, True),
        (None, "id", POOL_ID, False),
        ("invalid_signature", None, None, False),
        ("missing_group", "access", POOL_ID, True),
        ("check_failed", "access", POOL_ID, False),
        ("configuration", "access", POOL_ID, True),
        ("missing_token", None, None, False),
        ("token_expired", None, None, False),
        (None, "id", POOL_ID, True),
    ]


@WAYS
@pytest.mark.parametrize("raised", [Foreign("why"), KeyError("why"), SystemExit("why")])
def test_a_fault_of_ours_has_one_code(
    pool: FakeUserPool, way: Callable[[CognitoVerifier[Any]], Verify], raised: BaseException
) -> None:
    def check(_: object) -> None:
        raise raised

    events: list[Any] = []
    verify = way(built(pool, observer=events.append, checks=[check]))
    with pytest.raises(type(raised)):
        verify(pool.access_token())
    assert [event.code for event in events] == ["unforeseen"]


@WAYS
def test_an_observer_that_raises_changes_nothing(
    pool: FakeUserPool, way: Callable[[CognitoVerifier[Any]], Verify]
) -> None:
    listener = Listener()

    def observer(event: Any) -> None:
        listener(event)
        raise CheckFailedError("the observer's own trouble")

    verify = way(built(pool, observer=observer))
    assert verify(pool.access_token()).username == "ada"
    refusal = refusal_of(TokenExpiredError, lambda: verify(pool.access_token(expires_in=0)))
    assert refusal.__context__ is None
    pool.rotate_keys()
    verify(pool.access_token())
    assert [event.code for event in listener.decisions] == [None, "token_expired", None]
    assert len(listener.wait_for_fetches(1)) == 1


def test_events_do_not_change(pool: FakeUserPool) -> None:
    events: list[Any] = []
    built(pool, observer=events.append).verify(pool.access_token())
    with pytest.raises(AttributeError):
        events[0].code = "none"


# Pickles, forks, threads


def test_verifiers_and_caches_do_not_pickle(pool: FakeUserPool) -> None:
    for unpicklable, what in ((built(pool), "verifiers"), (JwksCache(), "key caches")):
        for act in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match=rf"^{what} do not pickle: build one per process$"):
                act(unpicklable)


@contextmanager
def in_a_child() -> Iterator[SimpleNamespace]:
    """Everything in the block happens in a forked child; its outcome is the block's."""
    child = SimpleNamespace(is_here=False, status=None)
    pid = os.fork()
    if pid == 0:
        signal.alarm(15)  # a child that hangs must not hang the suite
        child.is_here = True
    try:
        yield child
    except BaseException:
        if pid == 0:
            traceback.print_exc()
            os._exit(1)
        raise
    if pid == 0:
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
may_warn = pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")


@needs_fork
@may_warn
def test_a_forked_child_verifies(pool: FakeUserPool, clock: Clock) -> None:
    keys = Keys(**{ORIGINAL + JWKS_PATH: pool.jwks})
    verifier = CognitoVerifier(
        POOL_ID,
        client_id="test-client",
        token_use="access",
        jwks_cache=JwksCache(fetch=keys, cooldown=0, clock=clock),
        clock=clock,
    )
    raw = pool.access_token()
    verifier.verify(raw)
    with in_a_child() as child:
        if child.is_here:
            verifier.verify(raw)
            verifier.verify(pool.access_token())
            asyncio.run(verifier.verify_async(raw))
            clock.now += 3_000
            keys.by_uri[ORIGINAL + JWKS_PATH] = {"keys": pool.jwks["keys"][:1]}
            clock.now += 601
            refusal_of(TokenExpiredError, lambda: verifier.verify(raw))
            assert len(keys.fetched) == 2
    verifier.verify(raw)
    assert len(keys.fetched) == 1


@needs_fork
@may_warn
def test_a_fork_while_another_thread_is_at_the_remembered_tokens_leaves_the_child_no_lock_that_is_held(
    pool: FakeUserPool,
) -> None:
    verifier = built(pool)
    raw = pool.access_token()
    verifier.verify(raw)
    with verifier._lock, in_a_child() as child:
        if child.is_here:
            verifier.verify(raw)
            verifier.verify(raw)
    verifier.verify(raw)


def test_threads_share_a_verifier(pool: FakeUserPool) -> None:
    verifier = built(pool, token_cache_size=3)
    raws = [pool.access_token(username=f"u{number}") for number in range(6)]
    expired = pool.access_token(expires_in=0)
    barrier = threading.Barrier(8)

    def verify_all(first: int) -> list[str | None]:
        barrier.wait()
        names = []
        for number in range(60):
            refusal_of(TokenExpiredError, lambda: verifier.verify(expired))
            names.append(verifier.verify(raws[(first + number) % 6]).username)
        return names

    with ThreadPoolExecutor(8) as threads:
        for first, names in enumerate(threads.map(verify_all, range(8))):
            assert names == [f"u{(first + number) % 6}" for number in range(60)]


def test_adapters_can_ask_what_a_verifier_verifies() -> None:
    pools = [UserPool(f"us-east-1_Pool{number}", client_id="a") for number in (1, 2)]
    either: CognitoVerifier[AccessToken | IdToken] = CognitoVerifier(pools, token_use=None)
    assert (either.pools, either.token_use) == (tuple(pools), None)
    assert CognitoVerifier(pools[0], token_use="id").token_use == "id"


# What comes out


@WAYS
def test_a_verified_token_is_of_its_kind_and_holds_what_was_sent(
    pool: FakeUserPool, way: Callable[[CognitoVerifier[Any]], Verify]
) -> None:
    verify = way(built(pool, None))
    for raw, kind in ((pool.access_token(), AccessToken), (pool.id_token(), IdToken)):
        token = verify(raw)
        assert type(token) is kind
        assert token.raw == raw
        assert token.header == pool.header("access" if kind is AccessToken else "id")
        assert token.user_pool_id == POOL_ID


def test_a_verified_token_names_the_resource_that_its_pool_asks_for(pool: FakeUserPool, clock: Clock) -> None:
    for_two = faulty({"claims": {"aud": ["https://another", "https://api"]}}, pool)
    assert strict_verifier(pool, clock).verify(for_two).resource == "https://api"
    assert built(pool).verify(pool.access_token()).resource is None


def test_a_payload_that_is_no_object_is_refused_by_that_name(pool: FakeUserPool) -> None:
    raw = pool.sign(pool.header(), {"iss": ORIGINAL, "exp": float("nan")})
    assert str(refusal_of(MalformedTokenError, lambda: built(pool).verify(raw))).startswith("payload: expected a JSON ")


def test_the_signature_shows_what_must_be_said() -> None:
    option = inspect.signature(CognitoVerifier.__init__).parameters["client_id"]
    assert repr(option.default) == "<must be said>"
