"""Observers are told, and whatever they do changes no decision."""

from __future__ import annotations

import dataclasses

import pytest

from cognito_verify.errors import MissingTokenError
from cognito_verify.observer import FetchEvent, VerificationEvent, notify

VERIFIED = VerificationEvent(
    code=None, token_use="access", user_pool_id="us-east-1_TestPool1", seen_before=False, seconds=0.00002
)
FETCHED = FetchEvent(jwks_uri="https://keys.example/jwks.json", error=None, keys=2, seconds=0.1, key_age=0.0)


@pytest.mark.parametrize("event", [VERIFIED, FETCHED], ids=["verification", "fetch"])
def test_the_observer_is_given_the_event_itself(event: VerificationEvent | FetchEvent) -> None:
    told: list[VerificationEvent | FetchEvent] = []
    notify(told.append, event)
    assert told == [event]
    assert told[0] is event


@pytest.mark.parametrize(
    "raised", [RuntimeError("disk full"), MissingTokenError("ours"), RecursionError(), UserWarning()], ids=repr
)
def test_what_an_observer_raises_goes_no_further(raised: Exception) -> None:
    told = []

    def observer(event: VerificationEvent | FetchEvent) -> None:
        told.append(event)
        raise raised

    notify(observer, VERIFIED)
    assert told == [VERIFIED]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_program_that_is_told_to_stop_in_an_observer_stops(raised: type[BaseException]) -> None:
    def observer(_: VerificationEvent | FetchEvent) -> None:
        raise raised

    with pytest.raises(raised):
        notify(observer, VERIFIED)


@pytest.mark.parametrize("event", [VERIFIED, FETCHED], ids=["verification", "fetch"])
def test_an_event_cannot_be_changed_by_one_observer_before_the_next_sees_it(
    event: VerificationEvent | FetchEvent,
) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.seconds = 0.0  # type: ignore[misc]
    assert dataclasses.replace(event, seconds=0.0).seconds == 0.0


def test_events_have_no_field_that_could_hold_a_token_or_an_unverified_claim() -> None:
    assert [field.name for field in dataclasses.fields(VerificationEvent)] == [
        "code",
        "token_use",
        "user_pool_id",
        "seen_before",
        "seconds",
    ]
    assert [field.name for field in dataclasses.fields(FetchEvent)] == [
        "jwks_uri",
        "error",
        "keys",
        "seconds",
        "key_age",
    ]
