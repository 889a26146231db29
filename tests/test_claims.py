"""The rules on claims: what each refuses, at which edge, under which name, and the twin one claim away that passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from types import MappingProxyType
from typing import Any

import pytest

from cognito_verify.claims import duration, utc
from cognito_verify.errors import (
    CognitoVerifyError,
    ConfigurationError,
    InsufficientScopeError,
    InvalidClaimError,
    InvalidClientError,
    InvalidResourceError,
    InvalidTokenUseError,
    MissingGroupError,
    ReauthenticationRequiredError,
    TokenExpiredError,
    TokenNotYetValidError,
    shown,
)
from cognito_verify.jwks import JwksCache
from cognito_verify.pool import UserPool
from cognito_verify.requirements import all_of, any_of
from cognito_verify.testing import Clock, FakeUserPool
from cognito_verify.verifier import CognitoVerifier

NOW = 1_800_000_000
LAST_SECOND = 253_402_300_799  # of the year 9999
NAN = float("nan")


class Shade(str, Enum):  # noqa: UP042 - a str of a class of its own is the point
    RED = "red"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def pool(clock: Clock) -> FakeUserPool:
    return FakeUserPool(clock=clock)


def built(pool: FakeUserPool, token_use: Any = "access", **options: Any) -> CognitoVerifier[Any]:
    return pool.verifier(token_use, **options)


def access_token(pool: FakeUserPool, **claims: Any) -> str:
    return pool.access_token(**claims)


def bound_to(pool: FakeUserPool, resource: str, token_use: Any, clock: Clock) -> CognitoVerifier[Any]:
    configured = UserPool(pool.user_pool_id, client_id=pool.client_id, resource=resource, jwks=pool.jwks)
    return CognitoVerifier(configured, token_use=token_use, clock=clock)


def refusal_of(error: type[CognitoVerifyError], verify: Callable[[], object]) -> CognitoVerifyError:
    with pytest.raises(error) as refusal:
        verify()
    assert type(refusal.value) is error
    return refusal.value


# Time


@pytest.mark.parametrize(
    ("leeway", "now", "refused", "passing"),
    [
        pytest.param(0, NOW, NOW, NOW + 1, id="now-is-over"),
        pytest.param(0, NOW, NOW - 1, NOW + 1, id="a-second-ago"),
        pytest.param(0, NOW + 0.5, NOW + 0.5, NOW + 0.75, id="fractions-count"),
        pytest.param(10, NOW, NOW - 10, NOW - 9, id="leeway-ends-where-it-says"),
        pytest.param(0.5, NOW, NOW - 0.5, NOW - 0.25, id="leeway-of-a-fraction"),
        pytest.param(0, NOW, 0, LAST_SECOND, id="the-ends-of-time"),
    ],
)
def test_a_token_ends_at_exp(
    pool: FakeUserPool, clock: Clock, leeway: float, now: float, refused: float, passing: float
) -> None:
    verifier = built(pool, leeway=leeway)
    clock.now = now
    refusal_of(TokenExpiredError, lambda: verifier.verify(pool.access_token(exp=refused)))
    assert verifier.verify(pool.access_token(exp=passing))["exp"] == passing


@pytest.mark.parametrize(
    ("leeway", "now", "refused", "passing"),
    [
        pytest.param(0, NOW, NOW + 1, NOW, id="from-now-on"),
        pytest.param(0, NOW + 0.5, NOW + 0.75, NOW + 0.5, id="fractions-count"),
        pytest.param(10, NOW, NOW + 11, NOW + 10, id="leeway-ends-where-it-says"),
        pytest.param(0, NOW, LAST_SECOND, 0, id="the-ends-of-time"),
    ],
)
def test_a_token_starts_at_nbf(
    pool: FakeUserPool, clock: Clock, leeway: float, now: float, refused: float, passing: float
) -> None:
    verifier = built(pool, leeway=leeway)
    clock.now = now
    refusal = refusal_of(TokenNotYetValidError, lambda: verifier.verify(pool.access_token(nbf=refused)))
    assert refusal.transient
    assert verifier.verify(pool.access_token(nbf=passing))["nbf"] == passing


def test_a_token_that_is_both_over_and_not_yet_valid_is_over(pool: FakeUserPool) -> None:
    refusal_of(TokenExpiredError, lambda: built(pool).verify(pool.access_token(exp=NOW - 9, nbf=NOW + 9)))


def test_a_clock_that_says_nan_lets_nobody_in(pool: FakeUserPool, clock: Clock) -> None:
    verifier = built(pool, jwks_cache=JwksCache(fetch=pool.fetch_jwks))
    token = pool.access_token()
    verifier.verify(token)
    clock.now = NAN
    refusal_of(TokenExpiredError, lambda: verifier.verify(token))


def test_an_iat_in_the_future_is_let_be_since_clocks_differ(pool: FakeUserPool) -> None:
    assert built(pool).verify(pool.access_token(iat=NOW + 500))["iat"] == NOW + 500


@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "auth_time"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="null"),
        pytest.param(True, id="true"),
        pytest.param(False, id="false"),
        pytest.param(str(NOW + 60), id="string"),
        pytest.param([NOW + 60], id="list"),
        pytest.param({"t": NOW + 60}, id="object"),
        pytest.param(-1, id="before-1970"),
        pytest.param(-0.5, id="just-before-1970"),
        pytest.param(LAST_SECOND + 1, id="year-10000"),
        pytest.param(1e300, id="long-after"),
        pytest.param(10**39, id="forty-digits"),
    ],
)
def test_a_time_is_a_number_between_1970_and_the_year_9999(pool: FakeUserPool, name: str, value: Any) -> None:
    verifier = built(pool)
    raw = access_token(pool, **{name: value})
    refusal = refusal_of(InvalidClaimError, lambda: verifier.verify(raw))
    assert str(refusal) == f"{name}: expected seconds since 1970, up to the year 9999, found {shown(value)}"
    twin = NOW if name != "exp" else LAST_SECOND
    assert verifier.verify(access_token(pool, **{name: twin}))[name] == twin


def test_the_last_fraction_of_the_year_9999_is_a_time(pool: FakeUserPool) -> None:
    token = built(pool).verify(pool.access_token(exp=LAST_SECOND + 0.99996))
    assert token.expires_at.year == 9999


def test_a_token_without_exp_is_refused(pool: FakeUserPool) -> None:
    verifier = built(pool)
    refusal = refusal_of(InvalidClaimError, lambda: verifier.verify(pool.access_token(omit="exp")))
    assert str(refusal) == "exp: expected a time at which the token expires, found nothing"
    verifier.verify(pool.access_token(omit=["nbf", "iat", "auth_time"]))


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        pytest.param(
            {"exp": NOW - 3},
            "exp: the token expired 3 s ago, at 2027-01-15T07:59:57Z; get a new one with the refresh token",
            id="seconds",
        ),
        pytest.param({"exp": NOW - 600}, "exp: the token expired 10 min ago, at 2027-01-15T07:50:00Z; ", id="minutes"),
        pytest.param({"exp": NOW - 9_000}, "exp: the token expired 2 h ago, at ", id="hours"),
        pytest.param({"exp": NOW - 90 * 86_400}, "exp: the token expired 90 d ago, at ", id="days"),
        pytest.param({"nbf": NOW + 90}, "nbf: the token is valid in 90 s, from 2027-01-15T08:01:30Z on", id="not-yet"),
    ],
)
def test_a_refusal_for_its_time_says_how_far_off_it_is(
    pool: FakeUserPool, claims: dict[str, Any], message: str
) -> None:
    with pytest.raises(CognitoVerifyError) as refusal:
        built(pool).verify(pool.access_token(**claims))
    assert str(refusal.value).startswith(message)
    assert "clock" not in str(refusal.value)


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"iat": NOW + 300, "nbf": NOW + 300}, id="not-yet-valid"),
        pytest.param({"iat": NOW + 300, "exp": NOW}, id="over"),
    ],
)
def test_an_iat_in_the_future_hints_at_this_machines_clock(pool: FakeUserPool, claims: dict[str, Any]) -> None:
    with pytest.raises(CognitoVerifyError) as refusal:
        built(pool).verify(pool.access_token(**claims))
    assert str(refusal.value).endswith(" (iat lies 5 min in the future: is this machine's clock right?)")


def test_a_token_without_iat_hints_at_no_clock(pool: FakeUserPool) -> None:
    refusal = refusal_of(TokenExpiredError, lambda: built(pool).verify(pool.access_token(exp=NOW - 3, omit="iat")))
    assert str(refusal).endswith("; get a new one with the refresh token")
    refusal = refusal_of(TokenExpiredError, lambda: built(pool).verify(pool.access_token(exp=NOW - 3, iat=NOW)))
    assert str(refusal).endswith("; get a new one with the refresh token")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_199, "120 min"),
        (7_200, "2 h"),
        (172_799, "48 h"),
        (172_800, "2 d"),
    ],
)
def test_a_span_of_time_is_told_in_the_largest_unit_of_which_it_has_two(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone is the machine's own there")
def test_a_time_is_told_in_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert utc(NOW) == "2027-01-15T08:00:00Z"
    finally:
        monkeypatch.undo()
        time.tzset()


# Token use


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param("refresh", id="refresh"),
        pytest.param("Access", id="another-case"),
        pytest.param(None, id="null"),
        pytest.param(True, id="true"),
        pytest.param(["access"], id="list"),
        pytest.param({"access": "id"}, id="object"),
    ],
)
@pytest.mark.parametrize("token_use", ["access", "id", None])
def test_a_token_use_that_cognito_does_not_know_is_refused(
    pool: FakeUserPool, token_use: str | None, value: Any
) -> None:
    mint = pool.id_token if token_use == "id" else pool.access_token
    verifier = built(pool, token_use)
    refusal = refusal_of(InvalidTokenUseError, lambda: verifier.verify(mint(token_use=value)))
    assert str(refusal) == f"token_use: expected 'access' or 'id', found {value!r}"
    refusal_of(InvalidTokenUseError, lambda: verifier.verify(mint(omit="token_use")))
    refusal_of(InvalidTokenUseError, lambda: verifier.verify(mint(omit="token_use", aud=pool.client_id)))
    verifier.verify(mint())


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        pytest.param(
            "access",
            "token_use: this is an ID token; send the access token or build the verifier with token_use='id'",
            id="access-wanted",
        ),
        pytest.param(
            "id",
            "token_use: this is an access token; send the ID token or build the verifier with token_use='access'",
            id="id-wanted",
        ),
    ],
)
def test_the_other_kind_of_token_is_refused_with_what_to_do(pool: FakeUserPool, wanted: str, message: str) -> None:
    right, wrong = pool.access_token(), pool.id_token()
    if wanted == "id":
        right, wrong = wrong, right
    verifier = built(pool, wanted)
    assert str(refusal_of(InvalidTokenUseError, lambda: verifier.verify(wrong))) == message
    assert verifier.verify(right).token_use == wanted


def test_either_kind_of_token_passes_where_the_caller_says_so(pool: FakeUserPool) -> None:
    verifier = built(pool, None)
    assert verifier.verify(pool.access_token()).token_use == "access"
    assert verifier.verify(pool.id_token()).token_use == "id"


# Client


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"client_id": "other"}, id="another"),
        pytest.param({"client_id": ""}, id="empty"),
        pytest.param({"client_id": "TEST-CLIENT"}, id="another-case"),
        pytest.param({"client_id": 5}, id="number"),
        pytest.param({"client_id": ["test-client"]}, id="list"),
        pytest.param({"client_id": {"test-client": 1}}, id="object"),
        pytest.param({"client_id": "other", "aud": "test-client"}, id="aud-does-not-count"),
        pytest.param({"omit": "client_id"}, id="missing"),
        pytest.param({"omit": "client_id", "aud": "test-client"}, id="missing-with-an-aud"),
    ],
)
def test_an_access_token_names_its_client_in_client_id(pool: FakeUserPool, claims: dict[str, Any]) -> None:
    verifier = built(pool)
    refusal_of(InvalidClientError, lambda: verifier.verify(pool.access_token(**claims)))
    assert verifier.verify(pool.access_token()).client_id == "test-client"


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"aud": "other"}, id="another"),
        pytest.param({"aud": ""}, id="empty"),
        pytest.param({"aud": []}, id="empty-list"),
        pytest.param({"aud": ["other"]}, id="list-of-another"),
        pytest.param({"aud": ["test-client", 5]}, id="mixed-list"),
        pytest.param({"aud": ["test-client", None]}, id="list-with-null"),
        pytest.param({"aud": [["test-client"]]}, id="nested-list"),
        pytest.param({"aud": {"test-client": 1}}, id="object"),
        pytest.param({"aud": None}, id="null"),
        pytest.param({"aud": 5}, id="number"),
        pytest.param({"aud": "other", "client_id": "test-client"}, id="client_id-does-not-count"),
        pytest.param({"omit": "aud"}, id="missing"),
        pytest.param({"omit": "aud", "client_id": "test-client"}, id="missing-with-a-client_id"),
    ],
)
def test_an_id_token_names_its_client_in_aud(pool: FakeUserPool, claims: dict[str, Any]) -> None:
    verifier = built(pool, "id")
    refusal_of(InvalidClientError, lambda: verifier.verify(pool.id_token(**claims)))
    assert verifier.verify(pool.id_token(aud="test-client")).client_id == "test-client"


@pytest.mark.parametrize(
    ("aud", "client_id"),
    [
        pytest.param("second", "second", id="string"),
        pytest.param(["other", "second"], "second", id="list"),
        pytest.param(["first", "second"], "first", id="first-that-matches"),
    ],
)
def test_an_id_tokens_client_is_the_aud_that_matched(pool: FakeUserPool, aud: str | list[str], client_id: str) -> None:
    verifier = built(pool, "id", client_id=["first", "second"])
    assert verifier.verify(pool.id_token(aud=aud)).client_id == client_id


@pytest.mark.parametrize("client_id", ["first", "second"])
def test_each_of_several_clients_is_accepted(pool: FakeUserPool, client_id: str) -> None:
    verifier = built(pool, client_id={"first", "second"})
    assert verifier.verify(pool.access_token(client_id=client_id)).client_id == client_id
    refusal_of(InvalidClientError, lambda: verifier.verify(pool.access_token(client_id="third")))


def test_any_client_is_accepted_where_the_caller_says_so_but_there_must_be_one(pool: FakeUserPool) -> None:
    verifier = built(pool, None, client_id=None)
    assert verifier.verify(pool.access_token(client_id="whoever")).client_id == "whoever"
    assert verifier.verify(pool.id_token(aud=["whoever", "else"])).client_id == "whoever"
    refusal = refusal_of(InvalidClientError, lambda: verifier.verify(pool.access_token(omit="client_id")))
    assert "expected the id of an app client, found None" in str(refusal)
    refusal_of(InvalidClientError, lambda: verifier.verify(pool.id_token(omit="aud")))


def test_a_token_for_another_client_says_which_ones_would_do(pool: FakeUserPool) -> None:
    verifier = built(pool, client_id=["a", "b"])
    refusal = refusal_of(InvalidClientError, lambda: verifier.verify(pool.access_token(client_id="other")))
    assert str(refusal) == (
        "client_id: expected one of 'a', 'b', found 'other': a token for another app client; "
        "send one of yours, or add that client to client_id="
    )


def test_an_id_token_for_another_client_says_which_ones_would_do(pool: FakeUserPool) -> None:
    verifier = built(pool, "id", client_id=["a", "b"])
    refusal = refusal_of(InvalidClientError, lambda: verifier.verify(pool.id_token(aud="other")))
    assert str(refusal).startswith("aud: expected one of 'a', 'b', found 'other': a token for another app client; ")


def test_a_client_id_of_null_is_none(pool: FakeUserPool) -> None:
    verifier = built(pool, client_id=None)
    claims = dict(verifier.verify(pool.access_token()))
    null = pool.sign(pool.header(), {**claims, "client_id": None})
    refusal_of(InvalidClientError, lambda: verifier.verify(null))
    verifier.verify(pool.sign(pool.header(), {**claims, "client_id": "x"}))


# Resource


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({}, id="no-aud"),
        pytest.param({"aud": None}, id="null"),
        pytest.param({"aud": "https://other"}, id="another"),
        pytest.param({"aud": "https://api/"}, id="a-slash-more"),
        pytest.param({"aud": ["https://other"]}, id="list-of-another"),
        pytest.param({"aud": ["https://api", 5]}, id="mixed-list"),
        pytest.param({"aud": {"https://api": 1}}, id="object"),
        pytest.param({"client_id": "test-client", "resource": "https://api"}, id="another-claim"),
    ],
)
def test_an_access_token_is_bound_to_the_pools_resource(
    pool: FakeUserPool, clock: Clock, claims: dict[str, Any]
) -> None:
    verifier = bound_to(pool, "https://api", "access", clock)
    refusal = refusal_of(InvalidResourceError, lambda: verifier.verify(pool.access_token(**claims)))
    assert str(refusal).startswith("aud: expected the resource 'https://api', found ")
    assert str(refusal).endswith("; the client must ask for it (RFC 8707)")
    for aud in ("https://api", ["https://other", "https://api"]):
        assert verifier.verify(pool.access_token(aud=aud)).resource == "https://api"


def test_a_token_for_another_resource_says_for_which(pool: FakeUserPool, clock: Clock) -> None:
    verifier = bound_to(pool, "https://api", "access", clock)
    refusal = refusal_of(InvalidResourceError, lambda: verifier.verify(pool.access_token(aud="https://other")))
    assert ", found 'https://other'; " in str(refusal)


def test_an_id_token_is_bound_to_no_resource(pool: FakeUserPool, clock: Clock) -> None:
    verifier = bound_to(pool, "https://api", None, clock)
    assert verifier.verify(pool.id_token()).token_use == "id"
    refusal_of(InvalidResourceError, lambda: verifier.verify(pool.access_token()))


@pytest.mark.parametrize("aud", ["https://other", ["a", "b"], None, 5, {}])
def test_without_a_resource_an_access_tokens_aud_is_let_be(pool: FakeUserPool, aud: Any) -> None:
    assert built(pool).verify(pool.access_token(aud=aud))["aud"] == aud


# Other claims


@pytest.mark.parametrize("name", ["sub", "jti", "origin_jti", "username", "cognito:username", "scope"])
@pytest.mark.parametrize("value", [None, True, 5, 0.5, ["x"], {"x": "y"}])
def test_the_claims_that_are_strings_are_strings(pool: FakeUserPool, name: str, value: Any) -> None:
    verifier = built(pool)
    refusal = refusal_of(InvalidClaimError, lambda: verifier.verify(access_token(pool, **{name: value})))
    assert str(refusal) == f"{name}: expected a string, found {value!r}"
    verifier.verify(access_token(pool, **{name: "x"}))
    verifier.verify(pool.access_token(omit=name))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="null"),
        pytest.param("admin", id="string"),
        pytest.param({"admin": True}, id="object"),
        pytest.param(True, id="true"),
        pytest.param(["admin", 5], id="mixed-list"),
        pytest.param(["admin", None], id="list-with-null"),
        pytest.param([["admin"]], id="nested-list"),
    ],
)
def test_groups_are_a_list_of_strings(pool: FakeUserPool, value: Any) -> None:
    verifier = built(pool)
    refusal = refusal_of(InvalidClaimError, lambda: verifier.verify(access_token(pool, **{"cognito:groups": value})))
    assert str(refusal) == f"cognito:groups: expected a list of strings, found {shown(value)}"
    assert verifier.verify(access_token(pool, **{"cognito:groups": ["admin"]})).groups == ("admin",)
    assert verifier.verify(access_token(pool, **{"cognito:groups": []})).groups == ()


@pytest.mark.parametrize(
    ("expected", "refused", "passing"),
    [
        pytest.param(True, "true", True, id="true-is-no-string"),
        pytest.param("true", True, "true", id="a-string-is-not-true"),
        pytest.param(True, 1, True, id="true-is-not-one"),
        pytest.param(1, True, 1, id="one-is-not-true"),
        pytest.param(0, False, 0, id="zero-is-not-false"),
        pytest.param(1, 1.0, 1, id="types-count-among-numbers"),
        pytest.param(None, False, None, id="null"),
        pytest.param("a", "A", "a", id="case"),
        pytest.param("a", ["a"], "a", id="no-list-in-place-of-a-string"),
        pytest.param(["a"], "a", ["a"], id="no-string-in-place-of-a-list"),
        pytest.param(["a", "b"], ["b", "a"], ["a", "b"], id="order-of-a-list"),
        pytest.param(["a"], ["a", "b"], ["a"], id="longer-list"),
        pytest.param([1], [True], [1], id="types-inside-a-list"),
        pytest.param({"a": [1]}, {"a": [1.0]}, {"a": [1]}, id="types-inside-an-object"),
        pytest.param({"a": 1}, {"a": 1, "b": 2}, {"a": 1}, id="larger-object"),
        pytest.param({"a", "b"}, "c", "b", id="one-of-a-set"),
        pytest.param(frozenset({True, "yes"}), 1, "yes", id="one-of-a-frozen-set"),
        pytest.param({True}, "true", True, id="types-inside-a-set"),
        pytest.param("", "x", "", id="empty-string"),
        pytest.param([], [[]], [], id="empty-list"),
    ],
)
def test_an_expected_claim_has_the_value_and_its_type(
    pool: FakeUserPool, expected: object, refused: Any, passing: Any
) -> None:
    verifier = built(pool, claims={"custom:x": expected})
    refusal_of(InvalidClaimError, lambda: verifier.verify(access_token(pool, **{"custom:x": refused})))
    refusal_of(InvalidClaimError, lambda: verifier.verify(pool.access_token()))
    assert verifier.verify(access_token(pool, **{"custom:x": passing}))["custom:x"] == passing


def test_every_expected_claim_counts(pool: FakeUserPool) -> None:
    verifier = built(pool, claims=MappingProxyType({"a": 1, "b": {2, 3}}))
    refusal = refusal_of(InvalidClaimError, lambda: verifier.verify(pool.access_token(a=1, b=4)))
    assert str(refusal) == "b: expected 2 or 3, found 4"
    refusal = refusal_of(InvalidClaimError, lambda: verifier.verify(pool.access_token(b=2)))
    assert str(refusal) == "a: expected 1, found nothing"
    verifier.verify(pool.access_token(a=1, b=3))


def test_expected_claims_cannot_be_changed_from_outside(pool: FakeUserPool) -> None:
    expected: dict[str, Any] = {"a": ["x"], "b": {1}}
    verifier = built(pool, claims=expected)
    expected["a"].append("y")
    expected["b"].add(2)
    expected["c"] = 1
    verifier.verify(pool.access_token(a=["x"], b=1))
    refusal_of(InvalidClaimError, lambda: verifier.verify(pool.access_token(a=["x", "y"], b=1)))
    refusal_of(InvalidClaimError, lambda: verifier.verify(pool.access_token(a=["x"], b=2)))


def holding_itself() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({}, id="empty"),
        pytest.param([], id="list"),
        pytest.param([("a", 1)], id="pairs"),
        pytest.param("", id="empty-string"),
        pytest.param("email_verified", id="string"),
        pytest.param(True, id="true"),
        pytest.param({"": 1}, id="empty-name"),
        pytest.param({5: 1}, id="number-for-a-name"),
        pytest.param({None: 1}, id="none-for-a-name"),
        pytest.param({"a": set()}, id="empty-set"),
        pytest.param({"a": ("x", "y")}, id="tuple"),
        pytest.param({"a": b"x"}, id="bytes"),
        pytest.param({"a": object()}, id="object"),
        pytest.param({"a": {b"x"}}, id="set-of-bytes"),
        pytest.param({"a": {1: 2}}, id="number-for-a-member"),
        pytest.param({"a": {"b": object()}}, id="object-in-a-member"),
        pytest.param({"a": [object()]}, id="object-in-a-list"),
        pytest.param({"a": 1, "b": object()}, id="second"),
        pytest.param({"a": NAN}, id="nan-which-no-json-has"),
        pytest.param({"a": float("inf")}, id="infinity-which-no-json-has"),
        pytest.param({"a": Shade.RED}, id="a-string-of-a-class-which-no-claim-has"),
        pytest.param({"a": holding_itself()}, id="list-that-holds-itself"),
    ],
)
def test_expected_claims_that_no_token_could_meet_are_a_configuration_error(pool: FakeUserPool, claims: Any) -> None:
    refusal = refusal_of(ConfigurationError, lambda: built(pool, claims=claims))
    assert str(refusal).startswith("claims: expected ")
    built(pool, claims={"a": [{"b": {"c": [1, 0.5, "x", True, None]}}]})


def test_expected_claims_that_make_no_sense_are_shown(pool: FakeUserPool) -> None:
    refusal = refusal_of(ConfigurationError, lambda: built(pool, claims=access_token))
    assert str(refusal).endswith(f", found {shown(access_token)}")
    refusal = refusal_of(ConfigurationError, lambda: built(pool, claims={"a": 1, "b": b"x"}))
    assert str(refusal).endswith(", found {'b': b'x'}")


# max_age


@pytest.mark.parametrize(
    ("max_age", "refused", "passing"),
    [
        pytest.param(60, {"auth_time": NOW - 61}, {"auth_time": NOW - 60}, id="a-second-more"),
        pytest.param(60, {"auth_time": NOW - 60.5}, {"auth_time": NOW - 59.5}, id="fractions-count"),
        pytest.param(0, {"auth_time": NOW - 1}, {"auth_time": NOW}, id="zero"),
        pytest.param(0.5, {"auth_time": NOW - 1}, {"auth_time": NOW - 0.5}, id="half-a-second"),
        pytest.param(60, {"auth_time": NOW - 61, "iat": NOW}, {"auth_time": NOW, "iat": NOW - 61}, id="not-iat"),
        pytest.param(60, {"omit": "auth_time", "iat": NOW - 61}, {"omit": "auth_time", "iat": NOW - 60}, id="or-iat"),
        pytest.param(60, {"omit": ["auth_time", "iat"]}, {"omit": "auth_time"}, id="neither"),
        pytest.param(60, {"auth_time": 0}, {"auth_time": NOW + 500}, id="in-the-future"),
    ],
)
def test_an_authentication_is_at_most_max_age_old(
    pool: FakeUserPool, max_age: float, refused: dict[str, Any], passing: dict[str, Any]
) -> None:
    verifier = built(pool, max_age=max_age)
    refusal = refusal_of(ReauthenticationRequiredError, lambda: verifier.verify(pool.access_token(**refused)))
    assert refusal.max_age == max_age
    assert f'max_age="{int(max_age)}"' in refusal.challenge
    verifier.verify(pool.access_token(**passing))


def test_leeway_does_not_lengthen_max_age(pool: FakeUserPool) -> None:
    verifier = built(pool, max_age=60, leeway=30)
    refusal_of(ReauthenticationRequiredError, lambda: verifier.verify(pool.access_token(auth_time=NOW - 61)))
    verifier.verify(pool.access_token(auth_time=NOW - 60))


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        pytest.param({"auth_time": NOW - 900}, "found 15 min ago; log in again", id="old"),
        pytest.param({"omit": ["auth_time", "iat"]}, "found neither auth_time nor iat; log in again", id="neither"),
    ],
)
def test_a_stale_authentication_says_what_would_do(pool: FakeUserPool, claims: dict[str, Any], found: str) -> None:
    verifier = built(pool, max_age=300)
    refusal = refusal_of(ReauthenticationRequiredError, lambda: verifier.verify(pool.access_token(**claims)))
    assert str(refusal) == f"auth_time: expected an authentication at most 5 min ago, {found}"


# Scopes and groups

NAMES = [
    pytest.param("a", [], ["a"], id="one"),
    pytest.param("a", ["A", "ab", "a/b"], ["b", "a"], id="whole-names-alone"),
    pytest.param(["a", "b"], ["c"], ["b"], id="several-are-any"),
    pytest.param({"a", "b"}, [], ["a"], id="set"),
    pytest.param(any_of("a", "b"), ["c"], ["b"], id="any_of"),
    pytest.param(all_of("a", "b"), ["a"], ["b", "a"], id="all_of"),
    pytest.param(all_of("a", any_of("b", "c")), ["b", "c"], ["a", "c"], id="nested"),
    pytest.param(["a", all_of("b", "c")], ["b"], ["c", "b"], id="all_of-in-a-list"),
]


@pytest.mark.parametrize(("required", "refused", "passing"), NAMES)
def test_scopes_are_required_by_the_verifier_or_the_call(
    pool: FakeUserPool, required: Any, refused: list[str], passing: list[str]
) -> None:
    poor, rich = pool.access_token(scopes=refused), pool.access_token(scopes=passing)
    verifier, lax = built(pool, scopes=required), built(pool)
    refusal_of(InsufficientScopeError, lambda: verifier.verify(poor))
    refusal_of(InsufficientScopeError, lambda: lax.verify(poor, scopes=required))
    assert verifier.verify(rich).scopes == lax.verify(rich, scopes=required).scopes == frozenset(passing)
    lax.verify(poor)


@pytest.mark.parametrize(("required", "refused", "passing"), NAMES)
@pytest.mark.parametrize("token_use", ["access", "id"])
def test_groups_are_required_by_the_verifier_or_the_call(
    pool: FakeUserPool, token_use: str, required: Any, refused: list[str], passing: list[str]
) -> None:
    mint: Any = pool.id_token if token_use == "id" else pool.access_token
    poor, rich = mint(groups=refused), mint(groups=passing)
    verifier, lax = built(pool, token_use, groups=required), built(pool, token_use)
    refusal_of(MissingGroupError, lambda: verifier.verify(poor))
    refusal_of(MissingGroupError, lambda: lax.verify(poor, groups=required))
    assert verifier.verify(rich).groups == lax.verify(rich, groups=required).groups == tuple(passing)
    lax.verify(poor)


def test_a_scope_is_what_stands_between_spaces(pool: FakeUserPool) -> None:
    verifier = built(pool)
    assert verifier.verify(pool.access_token(scope="  a   b\tc ")).scopes == {"a", "b\tc"}
    assert verifier.verify(pool.access_token(scope="")).scopes == frozenset()
    refusal_of(InsufficientScopeError, lambda: verifier.verify(pool.access_token(scope="b\tc"), scopes="c"))


def test_a_group_with_a_comma_is_one_group(pool: FakeUserPool) -> None:
    verifier = built(pool)
    refusal_of(MissingGroupError, lambda: verifier.verify(pool.access_token(groups=["x,admin"]), groups="admin"))
    assert verifier.verify(pool.access_token(groups=["x,admin"]), groups="x,admin").groups == ("x,admin",)


def test_a_missing_scope_is_told_in_message_and_challenge(pool: FakeUserPool) -> None:
    verifier = built(pool, scopes=all_of("orders/read", "orders/write"))
    refusal = refusal_of(InsufficientScopeError, lambda: verifier.verify(pool.access_token(scopes="orders/read")))
    assert str(refusal) == "scope: expected 'orders/read' and 'orders/write', found 'orders/read'"
    assert 'scope="orders/read orders/write"' in refusal.challenge
    refusal = refusal_of(InsufficientScopeError, lambda: verifier.verify(pool.access_token(scopes=())))
    assert str(refusal).endswith(", found none")


def test_an_id_token_where_scopes_are_wanted_says_what_to_send(pool: FakeUserPool) -> None:
    verifier = built(pool, None)
    refusal = refusal_of(InsufficientScopeError, lambda: verifier.verify(pool.id_token(), scopes="a"))
    assert str(refusal) == "scope: expected 'a', found an ID token, which has no scopes; send the access token"
    verifier.verify(pool.access_token(scopes="a"), scopes="a")


def test_an_id_tokens_scope_claim_gives_it_no_scopes(pool: FakeUserPool) -> None:
    verifier = built(pool, "id")
    refusal_of(InsufficientScopeError, lambda: verifier.verify(pool.id_token(scope="a"), scopes="a"))


def test_a_missing_group_is_told_without_reciting_them_all(pool: FakeUserPool) -> None:
    token = pool.access_token(groups=[f"g{number}" for number in range(7)])
    refusal = refusal_of(MissingGroupError, lambda: built(pool, groups="admin").verify(token))
    assert str(refusal) == "cognito:groups: expected 'admin', found 'g0', 'g1', 'g2', 'g3', 'g4' and 2 more"
    few = pool.access_token(groups=[f"g{number}" for number in range(5)])
    refusal = refusal_of(MissingGroupError, lambda: built(pool, groups="admin").verify(few))
    assert str(refusal) == "cognito:groups: expected 'admin', found 'g0', 'g1', 'g2', 'g3', 'g4'"


def test_what_a_token_says_cannot_break_out_of_a_message(pool: FakeUserPool) -> None:
    nasty = 'x", error="none\r\nSet-Cookie: a=b'
    refusal = refusal_of(InvalidClientError, lambda: built(pool).verify(pool.access_token(client_id=nasty)))
    assert "\n" not in str(refusal)
    assert "\n" not in refusal.challenge
    assert refusal.challenge.count('error="') == 1
    long = refusal_of(InvalidClientError, lambda: built(pool).verify(pool.access_token(client_id="x" * 9_000)))
    assert len(str(long)) < 300


def test_any_client_is_still_a_client(pool: FakeUserPool) -> None:
    verifier = built(pool, client_id=None)
    refusal_of(InvalidClientError, lambda: verifier.verify(pool.access_token(client_id="")))
    assert verifier.verify(pool.access_token(client_id="whoever")).client_id == "whoever"
