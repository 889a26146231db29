"""The HTTP answer to a refusal, and the token in a request's headers: what all adapters have in common."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from cognito_verify.answers import Gate, LateGate, answer_to, is_preflight, tell_refusal, token_in, tokens_offered
from cognito_verify.errors import (
    CognitoVerifyError,
    ConfigurationError,
    InsufficientScopeError,
    KeysUnavailableError,
    MalformedTokenError,
    MissingGroupError,
    MissingTokenError,
    TokenExpiredError,
)
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.testing import FakeUserPool
from cognito_verify.tokens import AccessToken, IdToken


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
    assert (
        token_in(["Bearer a.b.c"], 16_384)
        == token_in(["a.b.c"], 16_384)
        == token_in(["Bearer a.b.c", "Bearer a.b.c"], 16_384)
        == "a.b.c"
    )


def test_no_header_is_no_token_and_two_that_differ_are_ambiguous() -> None:
    for values in ([], [""], ["Bearer"], ["Bearer "], ["Basic dXNlcg=="]):
        with pytest.raises(MissingTokenError):
            token_in(values, 16_384)
    for values in (["Bearer a.b.c", "Bearer d.e.f"], ["a.b.c", "Bearer a.b.c"], ["Bearer a.b.c, Bearer d.e.f"]):
        with pytest.raises(MalformedTokenError) as refusal:
            token_in(values, 16_384)
        assert "a.b.c" not in str([entry.tb_frame.f_locals for entry in _frames(refusal.value)][1:])


def test_a_header_that_is_longer_than_a_token_may_be_is_not_read() -> None:
    assert token_in(["Bearer a.b.c"], 5) == "a.b.c"
    for values in (["Bearer a.b.cd"], ["a " * 7], [" " * 13], ["Bearer a", "Bearer b"]):
        with pytest.raises(MalformedTokenError, match=f"at most 12 characters, found {len(''.join(values))}"):
            token_in(values, 5)


def test_headers_that_a_server_joined_are_read_as_they_were_sent() -> None:
    assert (
        token_in(["Bearer a.b.c, Bearer a.b.c"], 16_384)
        == token_in(["Bearer a.b.c,Bearer a.b.c", "Bearer a.b.c"], 16_384)
        == "a.b.c"
    )
    for blank in (["", " "], [" , "], [",", "\t"]):
        with pytest.raises(MissingTokenError):
            token_in(blank, 16_384)
    with pytest.raises(MalformedTokenError):
        token_in(["," * 9], 16_384)  # so many headers are nobody's: they are not taken apart
    for sent in (["Bearer a.b.c", ""], ["", "Bearer a.b.c"], ["Bearer a.b.c", "Basic eDp5"]):
        for values in (sent, [", ".join(sent)]):
            with pytest.raises(MalformedTokenError):
                token_in(values, 16_384)


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


@pytest.mark.parametrize(
    ("subprotocols", "tokens"),
    [
        ([], []),
        (["bearer"], []),
        (["chat", "a.b.c"], []),
        (["bearer", "a.b.c"], ["a.b.c"]),
        (["chat", "bearer", "a.b.c"], ["a.b.c"]),
        (["bearer", "a.b.c", "bearer", "d.e.f"], ["a.b.c", "d.e.f"]),
    ],
)
def test_a_websockets_token_follows_the_subprotocol_bearer(subprotocols: list[str], tokens: list[str]) -> None:
    assert tokens_offered(subprotocols) == tokens


def test_a_preflight_is_options_with_both_of_its_headers() -> None:
    both = {"Origin", "Access-Control-Request-Method"}
    assert is_preflight("OPTIONS", both.__contains__)
    assert not is_preflight("GET", both.__contains__)
    for name in both:
        assert not is_preflight("OPTIONS", {name}.__contains__)


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_request_that_names_another_method_is_no_preflight(name: str) -> None:
    headers = {"Origin", "Access-Control-Request-Method", name}
    assert not is_preflight("OPTIONS", headers.__contains__)


def test_a_gate_asks_for_more_than_its_verifier_and_says_the_same_to_both_calls() -> None:
    pool = FakeUserPool()
    gate = Gate("here", pool.verifier(), groups="finance")
    good = [f"Bearer {pool.access_token('ada', groups='finance')}"]
    for token in (gate.verified(good), asyncio.run(gate.verified_async(good))):
        assert token is not None
        assert token.username == "ada"
    bad = [f"Bearer {pool.access_token('ada')}"]
    with pytest.raises(MissingGroupError):
        gate.verified(bad)
    with pytest.raises(MissingGroupError):
        asyncio.run(gate.verified_async(bad))


def test_only_an_optional_token_may_be_absent() -> None:
    verifier = FakeUserPool().verifier()
    for values in ([], [""], [" "], ["", " "], [" , "]):
        assert Gate("here", verifier, optional=True).verified(values) is None
        assert asyncio.run(Gate("here", verifier, optional=True).verified_async(values)) is None
        with pytest.raises(MissingTokenError):
            Gate("here", verifier).verified(values)
    with pytest.raises(MissingTokenError):
        Gate("here", verifier, optional=True).verified(["Bearer"])


@pytest.mark.parametrize("optional", [False, True])
def test_a_gate_reads_no_header_that_is_longer_than_a_token_may_be(optional: bool) -> None:
    pool, told = FakeUserPool(), list[VerificationEvent | FetchEvent]()
    raw = pool.access_token("ada")
    verifier = pool.verifier(max_token_bytes=len(raw), observer=told.append)
    gate = Gate("here", verifier, optional=optional)
    assert gate.verified([f"Bearer {raw}"]) is not None
    for values in ([f"Bearer {raw}s"], ["a " * 32_000], [" " * 64_000], ["." * 64_000], ["Bearer x", "x" * len(raw)]):
        told.clear()
        with pytest.raises(
            MalformedTokenError, match=f"at most {len(raw) + 7} characters, found {len(''.join(values))}"
        ):
            gate.verified(values)
        with pytest.raises(MalformedTokenError):
            asyncio.run(gate.verified_async(values))
        assert [event.code for event in told if isinstance(event, VerificationEvent)] == ["malformed_token"] * 2


def test_a_gate_shows_no_token_in_the_local_variables_of_its_frames() -> None:
    pool = FakeUserPool()
    gate = Gate("here", pool.verifier())
    raw = pool.expired()
    refusals: tuple[Callable[[], object], ...] = (
        lambda: gate.verified(iter([f"Bearer {raw}"])),
        lambda: gate.verified(iter([f"Bearer {raw}", raw])),
        lambda: asyncio.run(gate.verified_async(iter([f"Bearer {raw}"]))),
    )
    for refuse in refusals:
        with pytest.raises(CognitoVerifyError) as refusal:
            refuse()
        ours = [
            one.tb_frame
            for one in _frames(refusal.value)
            if f"{os.sep}cognito_verify{os.sep}" in one.tb_frame.f_code.co_filename
        ]
        assert ours
        assert raw.split(".")[2] not in str([frame.f_locals for frame in ours])


def test_a_gate_wants_a_verifier_and_flags() -> None:
    verifier = FakeUserPool().verifier()
    given: Any
    options: dict[str, Any]
    for given, options, message in (
        ("a pool", {}, "here: expected a CognitoVerifier, found str"),
        (verifier, {"optional": "no"}, "optional: expected True or False"),
        (verifier, {"allow_preflight": 1}, "allow_preflight: expected True or False"),
        (verifier, {"groups": ()}, "groups: "),
    ):
        with pytest.raises(ConfigurationError, match=message):
            Gate("here", given, **options)
    preflight = {"Origin", "Access-Control-Request-Method"}.__contains__
    assert not Gate("here", verifier).lets_pass("OPTIONS", preflight)
    assert Gate("here", verifier, allow_preflight=True).lets_pass("OPTIONS", preflight)


def test_what_a_gate_asks_is_checked_before_its_verifier_is_known() -> None:
    with pytest.raises(ConfigurationError, match=r"^optional: "):
        LateGate("here", groups=None, scopes=None, optional="no")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"^groups: "):
        LateGate("here", groups=[], scopes=None, optional=False)
    pool = FakeUserPool()
    one, other = pool.verifier(), pool.verifier()
    late = LateGate[AccessToken | IdToken]("here", groups="admin", scopes=None, optional=True)
    assert late.of(one) is late.of(one)
    assert late.of(other).verifier is other
    assert late.of(other).verified([]) is None
    with pytest.raises(MissingGroupError):
        late.of(other).verified([pool.access_token()])
