"""The errors as callers, clients and log readers meet them: codes, answers, challenges, pickles."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cognito_verify
from cognito_verify import errors
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
    TokenError,
    TokenExpiredError,
    TokenNotYetValidError,
    UnknownKeyError,
    UnsupportedAlgorithmError,
    shown,
)

INVALID_TOKEN = 'Bearer error="invalid_token", error_description="why"'
INSUFFICIENT_SCOPE = 'Bearer error="insufficient_scope", error_description="why"'

# class, family, code, status, challenge for the message "why"
TABLE: list[tuple[type[CognitoVerifyError], type[CognitoVerifyError], str, int, str]] = [
    (ConfigurationError, CognitoVerifyError, "configuration", 500, ""),
    (KeysUnavailableError, CognitoVerifyError, "keys_unavailable", 503, ""),
    (TokenError, CognitoVerifyError, "invalid_token", 401, INVALID_TOKEN),
    (MissingTokenError, TokenError, "missing_token", 401, "Bearer"),
    (MalformedTokenError, TokenError, "malformed_token", 401, INVALID_TOKEN),
    (UnsupportedAlgorithmError, TokenError, "unsupported_algorithm", 401, INVALID_TOKEN),
    (InvalidIssuerError, TokenError, "invalid_issuer", 401, INVALID_TOKEN),
    (UnknownKeyError, TokenError, "unknown_key", 401, INVALID_TOKEN),
    (InvalidSignatureError, TokenError, "invalid_signature", 401, INVALID_TOKEN),
    (TokenExpiredError, TokenError, "token_expired", 401, INVALID_TOKEN),
    (TokenNotYetValidError, TokenError, "token_not_yet_valid", 401, INVALID_TOKEN),
    (
        ReauthenticationRequiredError,
        TokenError,
        "reauthentication_required",
        401,
        'Bearer error="insufficient_user_authentication", error_description="why"',
    ),
    (InvalidTokenUseError, TokenError, "invalid_token_use", 401, INVALID_TOKEN),
    (InvalidClientError, TokenError, "invalid_client", 401, INVALID_TOKEN),
    (InvalidResourceError, TokenError, "invalid_resource", 401, INVALID_TOKEN),
    (InvalidClaimError, TokenError, "invalid_claim", 401, INVALID_TOKEN),
    (CheckFailedError, TokenError, "check_failed", 401, INVALID_TOKEN),
    (AccessDeniedError, CognitoVerifyError, "access_denied", 403, INSUFFICIENT_SCOPE),
    (InsufficientScopeError, AccessDeniedError, "insufficient_scope", 403, INSUFFICIENT_SCOPE),
    (MissingGroupError, AccessDeniedError, "missing_group", 403, INSUFFICIENT_SCOPE),
]
CLASSES = [row[0] for row in TABLE]
TRANSIENT = {KeysUnavailableError, TokenNotYetValidError}

# RFC 6750 section 3: what a quoted string of the challenge may hold. Nothing in it can end the string or the line.
CHALLENGE = re.compile(r'Bearer [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"(, [a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*")*')


class SuspendedError(AccessDeniedError):
    """What an application would write for a check of its own."""

    code = "suspended"


class TeapotError(CheckFailedError):
    """An application's own, with a constructor of its own."""

    code = "teapot"
    http_status = 418

    def __init__(self, message: str = "", *, spout: str = "left") -> None:
        super().__init__(message, transient=True)
        self.spout = spout


class SilentError(InsufficientScopeError):
    """An application's own, whose constructor leaves ours out."""

    def __init__(self, user: str) -> None:
        self.user = user


# The table


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_the_table_holds_every_public_error_once(error: type[CognitoVerifyError]) -> None:
    assert getattr(cognito_verify, error.__name__) is error
    assert CLASSES.count(error) == 1


def test_no_error_is_missing_from_the_table() -> None:
    defined = {
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, CognitoVerifyError)
    }
    assert defined == {CognitoVerifyError, *CLASSES}
    assert {error.__name__ for error in defined} | {"DOCUMENTATION", "shown"} == set(errors.__all__)


@pytest.mark.parametrize(("error", "family", "code", "status", "challenge"), TABLE, ids=[row[2] for row in TABLE])
def test_an_error_says_its_code_its_status_and_its_challenge(
    error: type[CognitoVerifyError], family: type[CognitoVerifyError], code: str, status: int, challenge: str
) -> None:
    raised = error("why")
    assert (raised.code, raised.http_status, raised.challenge) == (code, status, challenge)
    assert str(raised) == "why"
    assert issubclass(error, family)


def test_codes_tell_errors_apart() -> None:
    assert len({error.code for error in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("error", [CognitoVerifyError, *CLASSES], ids=lambda error: error.__name__)
def test_an_error_says_where_the_manual_explains_it(error: type[CognitoVerifyError]) -> None:
    assert error.docs_url == error("why").docs_url == f"{errors.DOCUMENTATION}#{error.code}"
    assert error.docs_url not in str(error("why"))


def test_an_applications_own_error_is_explained_by_the_one_it_is_derived_from() -> None:
    assert SuspendedError.docs_url == AccessDeniedError.docs_url
    assert SuspendedError("why").docs_url.endswith("#access_denied")


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_nobody_turns_one_family_into_another_by_catching_too_widely(error: type[CognitoVerifyError]) -> None:
    families = (TokenError, AccessDeniedError, KeysUnavailableError, ConfigurationError)
    assert sum(issubclass(error, family) for family in families) == 1


def test_a_wrong_configuration_is_a_value_error_and_a_refused_token_is_none() -> None:
    assert issubclass(ConfigurationError, ValueError)
    assert {error.__name__ for error in CLASSES if issubclass(error, ValueError)} == {"ConfigurationError"}


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_only_what_may_pass_a_moment_later_is_transient(error: type[CognitoVerifyError]) -> None:
    assert error("why").transient is (error in TRANSIENT)


@pytest.mark.parametrize("transient", [True, False])
def test_whoever_raises_may_say_that_the_same_token_passes_a_moment_later(transient: bool) -> None:
    assert UnknownKeyError("why", transient=transient).transient is transient
    assert KeysUnavailableError("why", transient=transient).transient is transient
    assert UnknownKeyError.transient is False
    assert KeysUnavailableError.transient is True


def test_facts_that_nobody_gave_are_absent() -> None:
    error = CognitoVerifyError()
    assert (str(error), error.scopes, error.max_age, error.retry_after) == ("", (), None, None)
    assert error.challenge == ""


def test_the_time_until_the_next_fetch_is_kept_for_the_answer() -> None:
    assert KeysUnavailableError("why", retry_after=7.5).retry_after == 7.5


# The challenge


def test_a_challenge_without_a_message_has_no_empty_description() -> None:
    assert InvalidSignatureError().challenge == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("scopes", "challenge"),
    [
        pytest.param(("orders/read",), f'{INSUFFICIENT_SCOPE}, scope="orders/read"', id="one"),
        pytest.param(["orders/read", "openid"], f'{INSUFFICIENT_SCOPE}, scope="orders/read openid"', id="several"),
        pytest.param((), INSUFFICIENT_SCOPE, id="none"),
    ],
)
def test_the_challenge_names_the_scopes_that_would_do(scopes: list[str], challenge: str) -> None:
    assert InsufficientScopeError("why", scopes=scopes).challenge == challenge


def test_a_single_scope_given_as_a_string_is_not_taken_apart() -> None:
    error = InsufficientScopeError("why", scopes="orders/read")
    assert error.scopes == ("orders/read",)
    assert error.challenge == f'{INSUFFICIENT_SCOPE}, scope="orders/read"'


@pytest.mark.parametrize(("max_age", "said"), [(300, "300"), (0, "0"), (90.0, "90")])
def test_the_challenge_of_a_step_up_names_the_accepted_age(max_age: float, said: str) -> None:
    challenge = ReauthenticationRequiredError("why", max_age=max_age).challenge
    assert challenge.endswith(f', error_description="why", max_age="{said}"')


@pytest.mark.parametrize(
    ("message", "described"),
    [
        pytest.param("plain: it's (fine) [here]~!", "plain: it's (fine) [here]~!", id="untouched"),
        pytest.param("a\r\nSet-Cookie: b", "a??Set-Cookie: b", id="line-break"),
        pytest.param('a", error="b', "a', error='b", id="quote"),
        pytest.param('a\\", b', "a?', b", id="backslash"),
        pytest.param("\N{LATIN SMALL LETTER E WITH ACUTE}t\N{BLACK STAR}", "?t?", id="not-ascii"),
        pytest.param("a\0b\tc\x7fd\x85e\u2028f\ud800g", "a?b?c?d?e?f?g", id="control"),
    ],
)
def test_a_message_cannot_break_out_of_the_challenge(message: str, described: str) -> None:
    assert CheckFailedError(message).challenge == f'Bearer error="invalid_token", error_description="{described}"'
    assert str(CheckFailedError(message)) == message  # only the header is made safe; the message stays what it is


def test_a_scope_cannot_break_out_of_the_challenge() -> None:
    challenge = InsufficientScopeError("why", scopes=['a"b', "c\r\nd", "e\\f"]).challenge
    assert challenge == f'{INSUFFICIENT_SCOPE}, scope="a\'b c??d e?f"'


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.sampled_from(CLASSES), st.text(st.characters()), st.lists(st.text(st.characters())))
def test_a_challenge_is_a_good_header_value_whatever_is_said(
    error: type[CognitoVerifyError], message: str, scopes: list[str]
) -> None:
    challenge = error(message, scopes=scopes).challenge
    assert challenge in ("", "Bearer") or CHALLENGE.fullmatch(challenge)


# What is shown of an unverified token


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("none", "'none'", id="short"),
        pytest.param("x" * 64, repr("x" * 64), id="longest"),
        pytest.param("x" * 65, f"{'x' * 64!r}...", id="longer"),
        pytest.param("a\r\nb\x1b[31m\u202ec", r"'a\r\nb\x1b[31m\u202ec'", id="escaped"),
        pytest.param(None, "None", id="absent"),
        pytest.param(["x" * 100], "['" + "x" * 100 + "']", id="short-list"),
        pytest.param(["x" * 200], "['" + "x" * 62 + "...", id="long-list"),
    ],
)
def test_what_is_shown_is_escaped_and_cut_short(value: object, text: str) -> None:
    assert shown(value) == text


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.recursive(st.text(st.characters()) | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=4)))
def test_what_is_shown_stays_on_its_line_and_short(value: object) -> None:
    text = shown(value)
    assert text.isprintable()
    assert len(text) <= 64 * len(r"\U00000000") + len("''...")


# Pickles and subclasses


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("error", [CognitoVerifyError, *CLASSES], ids=lambda error: error.__name__)
def test_an_error_comes_out_of_a_pickle_with_its_facts(error: type[CognitoVerifyError], protocol: int) -> None:
    raised = error("why", scopes=["a", "b"], max_age=60, retry_after=2.5, transient=True)
    again = pickle.loads(pickle.dumps(raised, protocol))  # noqa: S301 - made on the line itself
    assert type(again) is error
    assert (str(again), again.challenge) == ("why", raised.challenge)
    assert (again.scopes, again.max_age, again.retry_after, again.transient) == (("a", "b"), 60, 2.5, True)


def test_an_error_without_facts_comes_out_of_a_pickle_as_its_class_has_it() -> None:
    again = pickle.loads(pickle.dumps(UnknownKeyError("why")))  # noqa: S301 - made on the line itself
    assert (str(again), again.scopes, again.transient) == ("why", (), False)


def test_an_applications_own_error_inherits_the_answer() -> None:
    error = SuspendedError("account suspended")
    assert (error.code, error.http_status, error.transient) == ("suspended", 403, False)
    assert error.challenge == 'Bearer error="insufficient_scope", error_description="account suspended"'


def test_an_applications_own_error_may_add_facts_and_still_pickles() -> None:
    again = pickle.loads(pickle.dumps(TeapotError("short", spout="right")))  # noqa: S301 - made on the line itself
    assert type(again) is TeapotError
    assert (str(again), again.spout, again.http_status, again.transient) == ("short", "right", 418, True)


def test_an_applications_own_error_that_leaves_out_our_constructor_still_has_a_challenge() -> None:
    error = SilentError("ada")
    assert (error.scopes, error.max_age, error.retry_after, error.transient) == ((), None, None, False)
    assert error.challenge == 'Bearer error="insufficient_scope", error_description="ada"'


def test_a_number_too_long_to_be_written_is_named_by_its_type() -> None:
    assert shown(10**5_000) == "int"
    assert shown(10**30) == str(10**30)


def test_a_value_too_deep_to_be_written_is_named_by_its_type() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "list"
    assert shown([[[]]]) == "[[[]]]"
