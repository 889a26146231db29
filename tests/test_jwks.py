"""The key cache: ages, cooldowns, unknown kids, clocks. What the network does to it is in test_jwks_http.py."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import re
import runpy
import threading
from collections.abc import Callable
from typing import Any

import pytest

import cognito_verify.jwks
from cognito_verify.errors import (
    CognitoVerifyError,
    ConfigurationError,
    KeysUnavailableError,
    UnknownKeyError,
)
from cognito_verify.jwks import JwksCache, JwksStatus
from cognito_verify.keys import KeySet
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.pool import UserPool
from cognito_verify.testing import Clock, FakeUserPool
from cognito_verify.tokens import AccessToken
from cognito_verify.verifier import CognitoVerifier
from tests.key_endpoints import Endpoint, document, flights_over

URI = "https://keys.example/jwks.json"
HOUR, DAY, WEEK = 3_600, 86_400, 604_800
ORIGINAL = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_TestPool1"
UPDATED = "https://issuer-cognito-idp.us-east-1.amazonaws.com/us-east-1_TestPool1"
ORIGINAL_KEYS, UPDATED_KEYS = (f"{issuer}/.well-known/jwks.json" for issuer in (ORIGINAL, UPDATED))
DOWN = OSError("the endpoint is down")
ABSENT = LookupError("no such issuer")
ENDINGS = [pytest.param(None, id="after-success"), pytest.param(DOWN, id="after-failure")]


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000)


@pytest.fixture
def pool(clock: Clock) -> FakeUserPool:
    return FakeUserPool(clock=clock)


@pytest.fixture
def endpoint(pool: FakeUserPool) -> Endpoint:
    return Endpoint(document(*pool.jwks["keys"]))


@pytest.fixture
def cache(endpoint: Endpoint, clock: Clock) -> JwksCache:
    return made(endpoint, clock)


@pytest.fixture
def kid(pool: FakeUserPool) -> str:
    return pool.header()["kid"]


def made(
    endpoint: Callable[[str, float], bytes], clock: Clock, bundled: KeySet | None = None, **options: Any
) -> JwksCache:
    cache = JwksCache(fetch=endpoint, clock=clock, **options)
    cache.add_source(URI, bundled)
    return cache


def pool_verifier(cache: JwksCache, clock: Clock, **options: Any) -> CognitoVerifier[AccessToken]:
    return CognitoVerifier(
        "us-east-1_TestPool1", client_id="test-client", token_use="access", jwks_cache=cache, clock=clock, **options
    )


def refused(cache: JwksCache, kid: str, error: type[CognitoVerifyError], siblings: tuple[str, ...] = ()) -> Any:
    with pytest.raises(error) as refusal:
        cache.key(URI, kid, siblings)
    assert type(refusal.value) is error
    return refusal.value


def status(cache: JwksCache, uri: str = URI) -> JwksStatus:
    return cache.status()[uri]


# Ages


def test_keys_are_fetched_once_and_fresh_for_ttl(cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str) -> None:
    key = cache.key(URI, kid)
    clock.now += HOUR - 1
    assert cache.key(URI, kid) is key
    assert endpoint.fetches == 1


def test_the_first_caller_past_ttl_has_the_keys_refreshed(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    old = cache.key(URI, kid)
    clock.now += HOUR
    assert cache.key(URI, kid) is not old
    cache.key(URI, kid)
    assert endpoint.fetches == 2


def test_keys_are_served_for_max_stale_beyond_ttl_when_refreshes_fail(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    key = cache.key(URI, kid)
    endpoint.answer = DOWN
    clock.now += HOUR + 21_600 - 1
    assert cache.key(URI, kid) is key
    clock.now += 1
    refused(cache, kid, KeysUnavailableError)


def test_expired_keys_are_replaced_as_soon_as_the_endpoint_is_back(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    cache.key(URI, kid)
    good, endpoint.answer = endpoint.answer, DOWN
    clock.now += DAY
    refused(cache, kid, KeysUnavailableError)
    endpoint.answer = good
    clock.now += 10
    cache.key(URI, kid)


def test_max_stale_0_fails_closed_at_once(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    cache = made(endpoint, clock, max_stale=0)
    key = cache.key(URI, kid)
    endpoint.answer = DOWN
    clock.now += HOUR - 1
    assert cache.key(URI, kid) is key
    clock.now += 1
    refused(cache, kid, KeysUnavailableError)


def test_a_fetch_replaces_the_set_as_a_whole(
    cache: JwksCache, endpoint: Endpoint, pool: FakeUserPool, clock: Clock, kid: str
) -> None:
    cache.key(URI, kid)
    pool.rotate_keys()
    endpoint.answer = document(*pool.jwks["keys"])
    clock.now += HOUR
    refused(cache, kid, UnknownKeyError)
    assert status(cache)["key_ids"] == sorted(key["kid"] for key in pool.jwks["keys"])


def test_a_withdrawn_key_is_refused_for_tokens_seen_before_too(
    pool: FakeUserPool, endpoint: Endpoint, clock: Clock
) -> None:
    verifier = pool_verifier(JwksCache(fetch=endpoint, clock=clock), clock)
    raw = pool.access_token(expires_in=2 * HOUR)
    assert verifier.verify(raw) is verifier.verify(raw)
    pool.rotate_keys()
    endpoint.answer = document(*pool.jwks["keys"])
    clock.now += HOUR
    with pytest.raises(UnknownKeyError) as refusal:
        verifier.verify(raw)
    assert type(refusal.value) is UnknownKeyError
    assert verifier.verify(pool.access_token())


# Cooldown and backoff


def test_failed_refreshes_wait_longer_each_time_up_to_five_minutes(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    key = cache.key(URI, kid)
    endpoint.answer = DOWN
    clock.now += HOUR
    for failures, seconds in enumerate((10, 20, 40, 80, 160, 300, 300), 1):
        assert cache.key(URI, kid) is key
        assert endpoint.fetches == 1 + failures
        clock.now += seconds - 1
        assert cache.key(URI, kid) is key
        assert endpoint.fetches == 1 + failures  # not yet
        clock.now += 1


def test_a_success_ends_the_backoff(cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str) -> None:
    cache.key(URI, kid)
    good, endpoint.answer = endpoint.answer, DOWN
    clock.now += HOUR
    for seconds in (10, 20, 40):
        cache.key(URI, kid)
        clock.now += seconds
    endpoint.answer = good
    cache.key(URI, kid)
    assert endpoint.fetches == 5
    endpoint.answer = DOWN
    clock.now += HOUR
    cache.key(URI, kid)
    clock.now += 10
    cache.key(URI, kid)
    assert endpoint.fetches == 7


def test_refreshes_never_come_faster_than_a_cooldown_beyond_five_minutes(
    endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    cache = made(endpoint, clock, cooldown=400)
    cache.key(URI, kid)
    endpoint.answer = DOWN
    clock.now += HOUR
    cache.key(URI, kid)
    for seconds, fetches in ((399, 2), (1, 3)):
        clock.now += seconds
        cache.key(URI, kid)
        assert endpoint.fetches == fetches


def test_a_thousand_failures_in_a_row_are_counted_without_overflow(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    cache = made(endpoint, clock, max_stale=WEEK)
    key = cache.key(URI, kid)
    endpoint.answer = DOWN
    clock.now += HOUR
    for _ in range(1_050):
        clock.now += 300
        assert cache.key(URI, kid) is key
    assert endpoint.fetches == 1_051


@pytest.mark.parametrize("answer", ENDINGS)
def test_a_flood_of_forged_kids_costs_one_fetch_per_cooldown(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str, answer: Exception | None
) -> None:
    key = cache.key(URI, kid)
    endpoint.answer = answer or endpoint.answer
    for cooldown in range(1, 6):
        clock.now += 10
        for number in range(1_000):
            with pytest.raises(UnknownKeyError if answer is None else KeysUnavailableError):
                cache.key(URI, f"forged {number}")
            clock.now += 0.0099
        clock.now -= 9.9
        assert endpoint.fetches == 1 + cooldown
        assert (cache.key(URI, kid) is key) is (answer is not None)  # the set of the last good fetch
        assert endpoint.fetches == 1 + cooldown


def test_a_flood_on_a_cold_cache_costs_one_fetch_per_cooldown_too(
    cache: JwksCache, endpoint: Endpoint, clock: Clock
) -> None:
    endpoint.answer = DOWN
    for second in range(50):
        for number in range(20):
            refused(cache, f"forged {second} {number}", KeysUnavailableError)
        clock.now += 1
    assert endpoint.fetches == 5


def test_a_rotation_is_picked_up_within_one_cooldown_during_a_flood(
    cache: JwksCache, endpoint: Endpoint, pool: FakeUserPool, clock: Clock, kid: str
) -> None:
    cache.key(URI, kid)
    clock.now += 10
    refused(cache, "forged", UnknownKeyError)  # spends this cooldown's fetch
    pool.rotate_keys(keep_old=True)
    endpoint.answer = document(*pool.jwks["keys"])
    new_kid = pool.header()["kid"]
    for second in range(10):
        refused(cache, f"forged {second}", UnknownKeyError)
        assert refused(cache, new_kid, UnknownKeyError).transient
        clock.now += 1
    refused(cache, "forged once more", UnknownKeyError)
    cache.key(URI, new_kid)
    cache.key(URI, kid)
    assert endpoint.fetches == 3


def test_a_cooldown_of_0_looks_up_every_unknown_kid(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    cache = made(endpoint, clock, cooldown=0)
    cache.key(URI, kid)
    refused(cache, "forged", UnknownKeyError)
    endpoint.answer = DOWN
    refused(cache, "forged", KeysUnavailableError)
    refused(cache, "forged", KeysUnavailableError)
    assert endpoint.fetches == 4


# Unknown kids: 401 or 503


def test_an_unknown_kid_is_a_401_when_the_last_fetch_succeeded(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    cache.key(URI, kid)
    clock.now += 10
    looked_up = refused(cache, "new", UnknownKeyError)
    not_looked_up = refused(cache, "newer", UnknownKeyError)
    assert (looked_up.transient, not_looked_up.transient) == (False, True)
    expected = f"kid: expected a key that {URI} publishes, found "
    told = ": signed by another pool, forged, or by a key that was withdrawn"
    assert str(looked_up) == f"{expected}'new'{told}"
    assert str(not_looked_up) == f"{expected}'newer'{told}; keys were fetched a moment ago"
    assert endpoint.fetches == 2


def test_an_unknown_kid_is_a_503_when_the_last_fetch_failed(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    key = cache.key(URI, kid)
    endpoint.answer = DOWN
    clock.now += 10
    at_once = refused(cache, "new", KeysUnavailableError)
    clock.now += 4
    later = refused(cache, "new", KeysUnavailableError)
    assert (at_once.retry_after, later.retry_after) == (10, 6)
    assert at_once.transient
    assert str(later) == (
        f"keys: the token cannot be judged without the pool's keys ({URI}: fetch= raised OSError: the endpoint is "
        "down); next fetch in 6 s. Is the endpoint within reach from here (network, proxy)? jwks= brings the keys along"
    )
    assert cache.key(URI, kid) is key


def test_a_kid_of_another_form_than_a_word_is_quoted_and_cut(cache: JwksCache) -> None:
    error = refused(cache, "a\n" + "b" * 10_000, UnknownKeyError)
    assert "\n" not in str(error)
    assert len(str(error)) < 400


# Clocks


@pytest.mark.parametrize("seconds", [1, DAY, WEEK], ids=["second", "day", "week"])
def test_where_the_clock_was_set_back_the_set_is_stale_and_the_cooldown_over(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str, seconds: int
) -> None:
    old = cache.key(URI, kid)
    clock.now -= seconds
    assert status(cache)["state"] == "stale"
    assert cache.key(URI, kid) is not old
    assert endpoint.fetches == 2
    assert status(cache)["state"] == "fresh"


@pytest.mark.parametrize("seconds", [1, DAY, WEEK], ids=["second", "day", "week"])
def test_where_the_clock_was_set_back_max_stale_runs_from_then(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str, seconds: int
) -> None:
    key = cache.key(URI, kid)
    endpoint.answer = DOWN
    clock.now -= seconds
    assert cache.key(URI, kid) is key
    assert endpoint.fetches == 2
    clock.now += 21_600 - 1
    assert cache.key(URI, kid) is key
    clock.now += 1
    refused(cache, kid, KeysUnavailableError)


@pytest.mark.parametrize("answer", ENDINGS)
def test_where_the_clock_was_set_back_unknown_kids_are_looked_up_at_once(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, answer: Exception | None
) -> None:
    error: Any = UnknownKeyError if answer is None else KeysUnavailableError
    endpoint.answer = answer or endpoint.answer
    refused(cache, "forged", error)
    clock.now -= DAY
    refused(cache, "forged", error)
    assert endpoint.fetches == 2
    refused(cache, "forged", error)
    assert endpoint.fetches == 2  # the cooldown holds from here on


def test_a_clock_set_back_to_before_a_failed_refresh_does_not_make_keys_fresh_again(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    key = cache.key(URI, kid)
    endpoint.answer = DOWN
    clock.now += 20_000
    assert cache.key(URI, kid) is key  # the refresh fails
    clock.now -= 19_990
    assert cache.key(URI, kid) is key
    assert endpoint.fetches == 3
    assert status(cache)["state"] == "stale"
    clock.now += 21_600
    refused(cache, kid, KeysUnavailableError)


@pytest.mark.parametrize("seconds", [DAY, WEEK], ids=["day", "week"])
def test_where_the_clock_jumped_ahead_old_keys_are_not_served(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str, seconds: int
) -> None:
    cache.key(URI, kid)
    clock.now += seconds
    good, endpoint.answer = endpoint.answer, DOWN
    refused(cache, kid, KeysUnavailableError)
    clock.now += 10
    endpoint.answer = good
    cache.key(URI, kid)


def test_a_clock_that_jumped_ahead_and_came_back_costs_one_fetch_each_way(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    for seconds in (0, WEEK, -WEEK, 0):
        clock.now += seconds
        cache.key(URI, kid)
    assert endpoint.fetches == 3
    assert status(cache)["state"] == "fresh"


def test_an_instant_beyond_ttl_is_not_waited_for_twice_by_a_clock_that_stands_still(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    cache.key(URI, kid)
    endpoint.answer = DOWN
    clock.now += HOUR
    for _ in range(100):
        cache.key(URI, kid)
    assert endpoint.fetches == 2


# Bundled keys


def test_bundled_keys_do_not_age_and_cause_no_fetch(
    endpoint: Endpoint, pool: FakeUserPool, clock: Clock, kid: str
) -> None:
    cache = made(endpoint, clock, KeySet.from_jwks(pool.jwks))
    for seconds in (0, 100 * WEEK, -200 * WEEK):
        clock.now += seconds
        cache.key(URI, kid)
    cache.prefetch([[URI]])
    cache.refresh_due()
    assert endpoint.fetches == 0
    assert status(cache)["age"] is None


def test_an_unknown_kid_replaces_bundled_keys_by_fetched_ones_which_age(
    endpoint: Endpoint, pool: FakeUserPool, clock: Clock, kid: str
) -> None:
    cache = made(endpoint, clock, KeySet.from_jwks(pool.jwks))
    pool.rotate_keys()
    endpoint.answer = document(*pool.jwks["keys"])
    new_kid = pool.header()["kid"]
    cache.key(URI, kid)
    cache.key(URI, new_kid)
    refused(cache, kid, UnknownKeyError)
    assert endpoint.fetches == 1
    endpoint.answer = DOWN
    clock.now += DAY
    refused(cache, new_kid, KeysUnavailableError)


def test_bundled_keys_outlive_a_failed_fetch(endpoint: Endpoint, pool: FakeUserPool, clock: Clock, kid: str) -> None:
    cache = made(endpoint, clock, KeySet.from_jwks(pool.jwks))
    endpoint.answer = DOWN
    refused(cache, "new", KeysUnavailableError)
    clock.now += WEEK
    cache.key(URI, kid)
    clock.now -= 2 * WEEK
    cache.key(URI, kid)
    refused(cache, "new", KeysUnavailableError)
    assert endpoint.fetches == 2


def test_a_source_named_twice_keeps_what_it_knows(
    cache: JwksCache, endpoint: Endpoint, pool: FakeUserPool, clock: Clock, kid: str
) -> None:
    key = cache.key(URI, kid)
    other = FakeUserPool("us-east-1_TestPool2", clock=clock)
    cache.add_source(URI)
    cache.add_source(URI, KeySet.from_jwks(other.jwks))  # fetched keys are newer than any bundle
    assert cache.key(URI, kid) is key
    bundled = made(endpoint, clock, KeySet.from_jwks(pool.jwks))
    bundled.add_source(URI)
    bundled.key(URI, kid)
    assert endpoint.fetches == 1


def test_one_uri_has_one_set_of_bundled_keys(endpoint: Endpoint, pool: FakeUserPool, clock: Clock, kid: str) -> None:
    cache = made(endpoint, clock, KeySet.from_jwks(pool.jwks))
    other = FakeUserPool("us-east-1_TestPool2", clock=clock)
    cache.add_source(URI, KeySet.from_jwks(pool.jwks))  # the same again, for a second verifier
    with pytest.raises(ConfigurationError) as refusal:
        cache.add_source(URI, KeySet.from_jwks(other.jwks))
    assert str(refusal.value) == f"jwks: two different sets of known keys for {URI}"
    assert type(refusal.value) is ConfigurationError
    cache.key(URI, kid)


# Prefetch


def test_prefetch_takes_a_pool_that_has_not_switched_to_its_updated_issuer(
    endpoint: Endpoint, pool: FakeUserPool, clock: Clock
) -> None:
    endpoint.answers = {UPDATED_KEYS: ABSENT}
    verifier = pool_verifier(JwksCache(fetch=endpoint, clock=clock), clock)
    verifier.prefetch()
    assert sorted(endpoint.uris) == sorted([ORIGINAL_KEYS, UPDATED_KEYS])
    verifier.verify(pool.access_token())
    assert endpoint.fetches == 2


def test_prefetch_fails_where_one_pool_of_two_has_no_keys(endpoint: Endpoint, pool: FakeUserPool, clock: Clock) -> None:
    other = UserPool("us-east-1_TestPool2", client_id="other-client", issuer_type="ORIGINAL")
    endpoint.answers = dict.fromkeys(other.issuers.values(), DOWN)
    verifier = CognitoVerifier(
        [UserPool("us-east-1_TestPool1", client_id="test-client"), other],
        token_use="access",
        jwks_cache=JwksCache(fetch=endpoint, clock=clock),
        clock=clock,
    )
    with pytest.raises(KeysUnavailableError, match="us-east-1_TestPool2") as refusal:
        verifier.prefetch()
    assert refusal.value.retry_after == 10
    assert verifier.verify(pool.access_token())
    endpoint.answers = {}
    clock.now += 10
    verifier.prefetch()


def test_prefetch_fetches_issuers_and_pools_side_by_side(endpoint: Endpoint, clock: Clock) -> None:
    meeting = threading.Barrier(4)

    def fetch(uri: str, seconds: float) -> bytes:
        meeting.wait(timeout=2)  # one after the other, they would never meet
        return endpoint(uri, seconds)

    verifier = CognitoVerifier(
        [UserPool(f"us-east-1_TestPool{number}", client_id="test-client") for number in (1, 2)],
        token_use="access",
        jwks_cache=JwksCache(fetch=fetch, clock=clock),
    )
    verifier.prefetch()
    assert endpoint.fetches == 4


def test_prefetch_keeps_to_the_cooldown(cache: JwksCache, endpoint: Endpoint, clock: Clock) -> None:
    for _ in range(3):
        cache.prefetch([[URI]])
    assert endpoint.fetches == 1
    clock.now += 10
    cache.prefetch([[URI]])
    assert endpoint.fetches == 2


# A pool's other issuers


def forged(pool: FakeUserPool, issuer: str, kid: str = "forged") -> str:
    return pool.sign({"kid": kid, "alg": "RS256"}, {"iss": issuer})


def code_of(verifier: CognitoVerifier[AccessToken], raw: str) -> str:
    with pytest.raises(CognitoVerifyError) as refusal:
        verifier.verify(raw)
    return refusal.value.code


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_a_forger_who_picks_an_issuer_without_keys_gets_a_401(
    endpoint: Endpoint, pool: FakeUserPool, clock: Clock, warm: bool
) -> None:
    endpoint.answers = {UPDATED_KEYS: ABSENT}
    verifier = pool_verifier(JwksCache(fetch=endpoint, clock=clock), clock)
    if warm:
        verifier.verify(pool.access_token())
    for number in range(100):
        assert code_of(verifier, forged(pool, UPDATED, f"forged {number}")) == "unknown_key"
    assert sorted(endpoint.uris) == sorted([ORIGINAL_KEYS, UPDATED_KEYS])


def test_a_flood_on_an_issuer_without_keys_costs_one_fetch_per_cooldown_and_issuer(
    endpoint: Endpoint, pool: FakeUserPool, clock: Clock
) -> None:
    endpoint.answers = {UPDATED_KEYS: ABSENT, ORIGINAL_KEYS: DOWN}
    verifier = pool_verifier(JwksCache(fetch=endpoint, clock=clock), clock)
    for number in range(300):
        assert code_of(verifier, forged(pool, UPDATED, f"forged {number}")) == "keys_unavailable"
        clock.now += 0.1
    assert {uri: endpoint.uris.count(uri) for uri in set(endpoint.uris)} == {ORIGINAL_KEYS: 3, UPDATED_KEYS: 3}


@pytest.mark.parametrize(
    ("original", "updated"),
    [
        pytest.param(DOWN, ABSENT, id="the-other-issuer-is-down"),
        pytest.param(ABSENT, ABSENT, id="no-issuer-has-keys"),
        pytest.param(None, DOWN, id="this-issuer-is-down"),
    ],
)
def test_where_nobody_can_tell_the_answer_stays_a_503(
    endpoint: Endpoint, pool: FakeUserPool, clock: Clock, original: Exception | None, updated: Exception
) -> None:
    endpoint.answers = {ORIGINAL_KEYS: original or endpoint.answer, UPDATED_KEYS: updated}
    verifier = pool_verifier(JwksCache(fetch=endpoint, clock=clock), clock)
    assert code_of(verifier, forged(pool, UPDATED)) == "keys_unavailable"


def test_a_pool_with_one_issuer_that_answers_that_it_has_no_keys_is_a_503(cache: JwksCache, endpoint: Endpoint) -> None:
    endpoint.answer = ABSENT
    assert refused(cache, "any", KeysUnavailableError).retry_after == 10


def test_a_pool_that_switches_its_issuer_is_believed_within_one_cooldown(
    endpoint: Endpoint, pool: FakeUserPool, clock: Clock
) -> None:
    endpoint.answers = {UPDATED_KEYS: ABSENT}
    verifier = pool_verifier(JwksCache(fetch=endpoint, clock=clock), clock)
    assert code_of(verifier, forged(pool, UPDATED)) == "unknown_key"
    endpoint.answers = {}
    raw = pool.access_token(iss=UPDATED)
    clock.now += 9
    with pytest.raises(UnknownKeyError) as refusal:
        verifier.verify(raw)
    assert refusal.value.transient
    clock.now += 1
    assert verifier.verify(raw)


def test_bundled_keys_of_a_pool_answer_for_its_issuer_without_keys(
    endpoint: Endpoint, pool: FakeUserPool, clock: Clock
) -> None:
    endpoint.answer = ABSENT
    verifier = pool_verifier(JwksCache(fetch=endpoint, clock=clock), clock, jwks=pool.jwks)
    assert code_of(verifier, forged(pool, UPDATED)) == "unknown_key"
    assert verifier.verify(pool.access_token(iss=UPDATED))


# fetch=


def test_fetch_is_called_with_the_uri_and_the_seconds_that_are_left(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    made(endpoint, clock, deadline=7).key(URI, kid)
    made(endpoint, clock).prefetch([[URI]])
    assert endpoint.uris == [URI, URI]
    assert 2.5 < endpoint.seconds[0] <= 7
    assert 0 < endpoint.seconds[1] <= 2.5


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(
            KeyError("no such object"), r"fetch= says that the issuer has no keys \(KeyError\)", id="lookup-error"
        ),
        pytest.param(ValueError("denied"), "fetch= raised ValueError: denied", id="exception"),
        pytest.param(None, "expected at most 512 KiB as bytes, found NoneType", id="none"),
        pytest.param('{"keys": []}', "expected at most 512 KiB as bytes, found str", id="str"),
        pytest.param(bytearray(b"{}"), "expected at most 512 KiB as bytes, found bytearray", id="bytearray"),
        pytest.param(b" " * (512 * 1024 + 1), "expected at most 512 KiB as bytes, found 524289 bytes", id="too-big"),
        pytest.param(b"<html>", r"the answer is no JWKS \(jwks: .+\)", id="html"),
        pytest.param(b'{"keys": [', r"the answer is no JWKS \(jwks: .+\)", id="cut-off"),
        pytest.param(b"\xff\xfe", r"the answer is no JWKS \(jwks: .+\)", id="no-utf-8"),
        pytest.param(b"[]", r"the answer is no JWKS \(jwks: .+\)", id="array"),
        pytest.param(b'{"keys": {}}', r"the answer is no JWKS \(jwks: .+\)", id="keys-are-no-array"),
        pytest.param(b"[" * 100_000, r"the answer is no JWKS \(jwks: .+\)", id="nesting-bomb"),
        pytest.param(b'{"keys": []}', "the answer holds no usable RS256 key", id="empty"),
        pytest.param(
            b'{"keys": [null, 1, {"kty": "oct", "k": "AA", "kid": "x"}]}',
            "the answer holds no usable RS256 key",
            id="unusable",
        ),
    ],
)
def test_good_keys_outlive_what_fetch_does_wrong_which_is_not_retried(
    endpoint: Endpoint, clock: Clock, kid: str, answer: object, why: str
) -> None:
    cache = made(endpoint, clock, retries=3)
    key = cache.key(URI, kid)
    good, endpoint.answer = endpoint.answer, answer
    clock.now += HOUR
    assert cache.key(URI, kid) is key
    assert re.fullmatch(why, str(status(cache)["last_error"]))
    assert endpoint.fetches == 2
    endpoint.answer = good
    clock.now += 10
    assert cache.key(URI, kid) is not key
    assert status(cache)["last_error"] is None


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it ends the thread, and says so
def test_what_is_no_exception_to_be_caught_is_a_failed_fetch_too(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str, raised: type[BaseException]
) -> None:
    good, endpoint.answer = endpoint.answer, raised()
    refused(cache, kid, KeysUnavailableError)
    flights_over()
    assert status(cache)["last_error"] == "the fetch ended unforeseen"
    endpoint.answer = good
    clock.now += 10
    cache.key(URI, kid)


def test_a_set_of_exactly_512_kib_is_taken(cache: JwksCache, endpoint: Endpoint, pool: FakeUserPool, kid: str) -> None:
    endpoint.answer = document(*pool.jwks["keys"]).ljust(512 * 1024)
    cache.key(URI, kid)


def test_what_an_exception_says_is_cut_short_and_kept_on_one_line(cache: JwksCache, endpoint: Endpoint) -> None:
    endpoint.answer = ValueError("one line\nanother\r\n" + "x" * 60_000)
    refused(cache, "any", KeysUnavailableError)
    said = str(status(cache)["last_error"])
    assert len(said) < 1_000
    assert said.isprintable()


def test_single_unusable_keys_are_skipped_and_two_keys_of_one_kid_are_none(
    cache: JwksCache, endpoint: Endpoint, pool: FakeUserPool, clock: Clock
) -> None:
    access, id_token = pool.jwks["keys"]
    other = FakeUserPool("us-east-1_TestPool2", clock=clock).jwks["keys"][0]
    endpoint.answer = document({"kty": "EC"}, access, id_token, access, {**other, "kid": id_token["kid"]})
    cache.key(URI, access["kid"])
    refused(cache, id_token["kid"], UnknownKeyError)
    assert status(cache)["key_ids"] == [access["kid"]]


# Status, events, log


def test_status_tells_how_the_keys_of_each_uri_stand(
    endpoint: Endpoint, pool: FakeUserPool, clock: Clock, kid: str
) -> None:
    cache = made(endpoint, clock)
    cache.add_source("https://bundled.example/", KeySet.from_jwks(pool.jwks))
    kids = sorted(key["kid"] for key in pool.jwks["keys"])

    def told() -> list[object]:
        one = status(cache)
        json.dumps(cache.status())
        assert one["key_ids"] == ([] if one["state"] == "never" else kids)
        return [one["state"], one["age"], one["last_error"], one["next_fetch_in"]]

    failed = "fetch= raised OSError: the endpoint is down"
    assert told() == ["never", None, None, 0]
    assert (status(cache)["is_absent"], status(cache)["clock_skew"]) == (False, None)
    good, endpoint.answer = endpoint.answer, DOWN
    refused(cache, kid, KeysUnavailableError)
    assert told() == ["never", None, failed, 10]
    endpoint.answer = good
    clock.now += 10
    cache.key(URI, kid)
    assert told() == ["fresh", 0, None, 10]
    assert status(cache)["is_absent"] is False
    clock.now += HOUR - 1
    assert told() == ["fresh", HOUR - 1, None, 0]
    clock.now += 1
    assert told() == ["stale", HOUR, None, 0]
    endpoint.answer = DOWN
    cache.key(URI, kid)
    clock.now += 4
    assert told() == ["stale", HOUR + 4, failed, 6]
    clock.now += 21_600 - 4
    assert told() == ["expired", HOUR + 21_600, failed, 0]
    refused(cache, kid, KeysUnavailableError)
    assert told() == ["expired", HOUR + 21_600, failed, 10]  # on demand, however many refreshes have failed
    assert endpoint.fetches == 4  # asking for the status fetches nothing
    bundled = status(cache, "https://bundled.example/")
    assert bundled == {
        "state": "fresh",
        "age": None,
        "key_ids": kids,
        "last_error": None,
        "is_absent": False,
        "next_fetch_in": 0,
        "clock_skew": None,
    }


@pytest.mark.parametrize("answer", ENDINGS)
def test_status_after_the_clock_was_set_back_allows_a_fetch(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str, answer: Exception | None
) -> None:
    cache.key(URI, kid)
    endpoint.answer = answer or endpoint.answer
    clock.now += HOUR
    cache.key(URI, kid)
    clock.now -= DAY
    one = status(cache)
    assert (one["state"], one["next_fetch_in"]) == ("stale", 0)


def test_the_keys_at_hand_are_those_that_may_be_served(
    cache: JwksCache, endpoint: Endpoint, pool: FakeUserPool, clock: Clock, kid: str
) -> None:
    assert len(cache.keys(URI)) == endpoint.fetches == 0
    cache.key(URI, kid)
    assert cache.keys(URI).is_same(KeySet.from_jwks(pool.jwks))
    clock.now += 3_600 + 21_600
    assert len(cache.keys(URI)) == 0
    assert endpoint.fetches == 1


def test_the_observer_is_told_of_each_fetch(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    told: list[VerificationEvent | FetchEvent] = []
    cache = made(endpoint, clock, observer=told.append)
    endpoint.answer, good = DOWN, endpoint.answer
    refused(cache, kid, KeysUnavailableError)
    flights_over()  # the observer is told last, when nobody waits any more
    endpoint.answer = good
    clock.now += 10
    cache.key(URI, kid)
    flights_over()
    endpoint.answer = DOWN
    clock.now += HOUR
    cache.key(URI, kid)
    flights_over()
    events = [event for event in told if isinstance(event, FetchEvent)]
    failed = "fetch= raised OSError: the endpoint is down"
    assert [(event.jwks_uri, event.error, event.keys, event.key_age) for event in events] == [
        (URI, failed, 0, None),
        (URI, None, 2, 0),
        (URI, failed, 0, HOUR),
    ]
    assert all(0 <= event.seconds < 10 for event in events)


def test_an_observer_that_raises_changes_nothing(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    def observer(event: object) -> None:
        raise RuntimeError(event)

    cache = made(endpoint, clock, observer=observer)
    cache.key(URI, kid)
    flights_over()
    clock.now += HOUR
    cache.key(URI, kid)
    assert endpoint.fetches == 2


@pytest.mark.parametrize(
    ("answer", "level", "why"),
    [
        pytest.param(DOWN, logging.WARNING, "fetch= raised OSError: the endpoint is down", id="down"),
        pytest.param(ABSENT, logging.INFO, "fetch= says that the issuer has no keys (LookupError)", id="absent"),
    ],
)
def test_a_failed_fetch_is_logged_with_what_it_means_for_tokens(
    cache: JwksCache,
    endpoint: Endpoint,
    clock: Clock,
    kid: str,
    caplog: pytest.LogCaptureFixture,
    answer: Exception,
    level: int,
    why: str,
) -> None:
    caplog.set_level(logging.INFO)
    good, endpoint.answer = endpoint.answer, answer
    for _ in range(2):
        assert refused(cache, kid, KeysUnavailableError).retry_after == 10
        flights_over()
        clock.now += 10
    endpoint.answer = good
    cache.key(URI, kid)
    flights_over()
    endpoint.answer = answer
    clock.now += HOUR
    for _ in range(2):
        cache.key(URI, kid)
        flights_over()
        clock.now += 10
    assert [(record.name, record.levelno, record.getMessage()) for record in caplog.records] == [
        ("cognito_verify", level, f"keys: expected a key set from {URI}, found none: {why}; {outlook}")
        for outlook in (
            "no keys to go on with; next fetch in 10 s",
            "no keys to go on with; next fetch in 10 s",
            "keys at hand are served for 21600 s more; next refresh in 10 s",
            "keys at hand are served for 21590 s more; next refresh in 20 s",
        )
    ]
    told = status(cache)
    assert (told["last_error"], told["is_absent"]) == (why, level == logging.INFO)


def test_a_failed_fetch_is_logged_with_what_it_means_where_keys_are_bundled(
    endpoint: Endpoint, pool: FakeUserPool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    cache = JwksCache(fetch=endpoint, clock=clock)
    cache.add_source(URI, KeySet.from_jwks(pool.jwks))
    endpoint.answer = DOWN
    refused(cache, "unknown", KeysUnavailableError)
    flights_over()
    assert [record.getMessage() for record in caplog.records] == [
        f"keys: expected a key set from {URI}, found none: fetch= raised {type(DOWN).__name__}: {DOWN}; "
        "bundled keys go on"
    ]


# Refreshing ahead of time


def test_refresh_due_fetches_once_four_fifths_of_ttl_are_over(
    cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    cache.refresh_due()
    assert endpoint.fetches == 0  # nobody has asked for these keys so far
    cache.key(URI, kid)
    for seconds, fetches in ((0.8 * HOUR - 1, 1), (1, 2), (0, 2)):
        clock.now += seconds
        cache.refresh_due()
        flights_over()
        assert endpoint.fetches == fetches
    assert 0 < endpoint.seconds[1] <= 2.5
    clock.now += 0.5 * HOUR
    cache.key(URI, kid)
    assert endpoint.fetches == 2


def test_refresh_due_backs_off_as_refreshes_do(cache: JwksCache, endpoint: Endpoint, clock: Clock, kid: str) -> None:
    cache.key(URI, kid)
    endpoint.answer = DOWN
    clock.now += 0.8 * HOUR
    for failures, seconds in enumerate((10, 20, 40), 1):
        for pause in (0, seconds - 1, 1):
            clock.now += pause
            if pause != 1:
                cache.refresh_due()
                flights_over()
            assert endpoint.fetches == 1 + failures
    cache.refresh_due()
    flights_over()
    assert endpoint.fetches == 5


# Construction


@pytest.mark.parametrize(
    "options",
    [
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": "3600"},
        {"ttl": True},
        {"ttl": None},
        {"ttl": float("nan")},
        {"ttl": float("inf")},
        {"max_stale": -1},
        {"max_stale": float("inf")},
        {"cooldown": -0.1},
        {"cooldown": False},
        {"deadline": 0},
        {"timeout": 1.0},
        {"timeout": (1.0,)},
        {"timeout": [1.0, 1.0]},
        {"timeout": (0, 1)},
        {"timeout": (1, 0)},
        {"timeout": (1, None)},
        {"retries": -1},
        {"retries": 1.0},
        {"retries": True},
        {"fetch": "https://keys.example/"},
        {"observer": "print"},
        {"clock": None},
        {"clock": 1_800_000_000},
    ],
    ids=str,
)
def test_a_senseless_option_is_a_configuration_error_that_names_it(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))) as refusal:
        JwksCache(**options)
    assert type(refusal.value) is ConfigurationError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ttl": 0}, "ttl: expected more than 0 seconds, found 0"),
        ({"max_stale": -1}, "max_stale: expected 0 or more seconds, found -1"),
        ({"cooldown": "10"}, "cooldown: expected 0 or more seconds, found '10'"),
        ({"deadline": 0.0}, "deadline: expected more than 0 seconds, found 0.0"),
        ({"timeout": (0, 1)}, "timeout (connect): expected more than 0 seconds, found 0"),
        ({"timeout": (1, None)}, "timeout (read): expected more than 0 seconds, found None"),
        ({"timeout": (1, 1, 1)}, "timeout: expected seconds to connect and to read, found (1, 1, 1)"),
        ({"retries": -1}, "retries: expected a number, 0 or more, found -1"),
        ({"background_refresh": 1}, "background_refresh: expected True or False, found 1"),
        ({"fetch": "https://keys.example/"}, "fetch: expected a callable, found str"),
        ({"observer": 1}, "observer: expected a callable, found int"),
        ({"clock": None}, "clock: expected a callable, found NoneType"),
    ],
    ids=str,
)
def test_a_senseless_option_is_told_with_what_was_expected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        JwksCache(**options)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    "options", [{"max_stale": 0}, {"cooldown": 0}, {"retries": 0}, {"ttl": 1}, {"timeout": (1, 1)}], ids=str
)
def test_the_least_sensible_options_are_taken(options: dict[str, Any]) -> None:
    JwksCache(**options)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_a_cache_does_not_pickle(cache: JwksCache, copied: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match=r"^key caches do not pickle: build one per process$"):
        copied(cache)


def test_two_verifiers_share_a_cache(endpoint: Endpoint, pool: FakeUserPool, clock: Clock) -> None:
    cache = JwksCache(fetch=endpoint, clock=clock)
    for verifier in (pool_verifier(cache, clock), pool_verifier(cache, clock)):
        assert verifier.verify(pool.access_token())
    assert endpoint.fetches == 1


def test_the_room_loads_on_a_platform_that_does_not_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.register_at_fork")
    room = runpy.run_path(cognito_verify.jwks.__file__)
    assert room["JwksCache"]().status() == {}
    cognito_verify.jwks._watch_forks.__wrapped__()  # what a first fetch does


def test_a_fork_that_has_waited_in_vain_goes_on() -> None:
    cognito_verify.jwks._go_on_importing()  # without the lock, for which it waits two seconds at most


@pytest.mark.parametrize("option", ["ttl", "max_stale", "cooldown", "deadline"])
def test_a_duration_beyond_reason_is_a_configuration_error(option: str) -> None:
    for senseless in (1e18, 10**400):
        with pytest.raises(ConfigurationError, match=f"^{option}: "):
            JwksCache(**{option: senseless})  # type: ignore[arg-type]
    JwksCache(**{option: 100 * 366 * 86_400})  # type: ignore[arg-type]


def test_background_refresh_is_true_or_false() -> None:
    with pytest.raises(ConfigurationError, match=r"^background_refresh: "):
        JwksCache(background_refresh="false")  # type: ignore[arg-type]


def test_a_signed_urls_query_is_in_no_message() -> None:
    def unreachable(uri: str, seconds: float) -> bytes:
        raise OSError(f"cannot connect to {uri} in {seconds} s through http://user:pass/wo rd@proxy:1")

    uri = "https://bucket.example/jwks.json?signature=hidden"
    cache = JwksCache(fetch=unreachable)
    cache.add_source(uri)
    with pytest.raises(KeysUnavailableError) as refusal:
        cache.key(uri, "kid")
    assert "hidden" not in str(refusal.value)
    assert "rd@proxy" not in str(refusal.value)
    found = str(status(cache, uri)["last_error"])
    assert f"(https://bucket.example/jwks.json: {found})" in str(refusal.value)
    assert found == "fetch= raised OSError: cannot connect to https://...proxy:1"
