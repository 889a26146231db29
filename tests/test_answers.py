"""The HTTP answer to a refusal, and the token in a request's headers: what all adapters have in common."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cognito_verify.answers import answer_to, tell_refusal, token_in
from cognito_verify.errors import (
    CognitoVerifyError,
    InsufficientScopeError,
    KeysUnavailableError,
    MalformedTokenError,
    MissingTokenError,
    TokenExpiredError,
)
from cognito_verify.observer import FetchEvent, VerificationEvent


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        pytest.param(MissingTokenError("m"), 401, {"WWW-Authenticate": "Bearer"}, id="missing"),
        pytest.param(
            TokenExpiredError("m"),
            401,
            {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="m"'},
            id="expired",
        ),
        pytest.param(
            InsufficientScopeError("m", scopes=["a/b"]),
            403,
            {"WWW-Authenticate": 'Bearer error="insufficient_scope", error_description="m", scope="a/b"'},
            id="scope",
        ),
        pytest.param(KeysUnavailableError("m", retry_after=3.2), 503, {"Retry-After": "4"}, id="keys"),
        pytest.param(KeysUnavailableError("m"), 503, {"Retry-After": "1"}, id="keys-at-any-time"),
    ],
)
def test_a_refusal_is_answered_with_status_challenge_code_and_message(
    error: CognitoVerifyError, status: int, headers: dict[str, str]
) -> None:
    answer = answer_to(error)
    assert (answer.status, answer.headers) == (status, {"Content-Type": "application/json", **headers})
    seconds = headers.get("Retry-After")
    message = f"keys: the token cannot be judged now; try again in {seconds} s" if seconds else "m"
    assert json.loads(answer.body) == {"message": message, "code": error.code}


def test_a_token_is_found_in_one_header_or_in_several_that_say_the_same() -> None:
    assert token_in(["Bearer a.b.c"]) == token_in(["a.b.c"]) == token_in(["Bearer a.b.c", "Bearer a.b.c"]) == "a.b.c"


def test_no_header_is_no_token_and_two_that_differ_are_ambiguous() -> None:
    for values in ([], [""], ["Bearer"], ["Basic dXNlcg=="]):
        with pytest.raises(MissingTokenError):
            token_in(values)
    for values in (["Bearer a.b.c", "Bearer d.e.f"], ["a.b.c", "Bearer a.b.c"], ["Bearer a.b.c, Bearer d.e.f"]):
        with pytest.raises(MalformedTokenError) as refusal:
            token_in(values)
        assert "a.b.c" not in str([entry.tb_frame.f_locals for entry in _frames(refusal.value)][1:])


def _frames(error: BaseException) -> list[Any]:
    frames, traceback = [], error.__traceback__
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    return frames


def test_an_observer_is_told_what_never_reached_the_verifier() -> None:
    told: list[VerificationEvent | FetchEvent] = []
    tell_refusal(told.append, MissingTokenError("m"))
    tell_refusal(None, MissingTokenError("m"))
    (event,) = told
    assert isinstance(event, VerificationEvent)
    assert event.code == "missing_token"
