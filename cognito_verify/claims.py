"""The rules on claims, in the order in which they run. The signature has been checked; the claims are Cognito's word.

Time, token use, client, resource, other claims, `max_age`, scopes, groups. What a rule needs and does not find, or
finds in a wrong type, it refuses with its own error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from cognito_verify.errors import (
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
from cognito_verify.jws import JsonObject
from cognito_verify.requirements import Requirement

__all__ = [
    "ExpectedClaims",
    "check_expected_claims",
    "check_groups",
    "check_max_age",
    "check_scopes",
    "check_time",
    "check_time_claims",
    "checked_client",
    "clock_hint",
    "duration",
    "expected_claims",
    "groups_of",
    "scopes_of",
    "utc",
]

ExpectedClaims = dict[str, tuple[Any, ...]]
"""By claim: the values of which one must be there."""

_YEAR_10000 = 253_402_300_800
_NUMBERS = (int, float)  # compared with `type(x) in`, since True is an int to isinstance
_TIMES = ("exp", "nbf", "iat", "auth_time")
_STRINGS = ("sub", "jti", "origin_jti", "username", "cognito:username", "scope")
_LISTED = 5  # names in a message
_NAMES = {"access": "an access token", "id": "an ID token"}


def check_time_claims(claims: JsonObject) -> None:
    """`exp` is there, and all times are numbers between 0 and the year 9999 (RFC 7519 sections 2 and 4.1).

    Raises:
        InvalidClaimError
    """
    for name in _TIMES:
        value = claims.get(name, 0)
        if type(value) not in _NUMBERS or not 0 <= value < _YEAR_10000:
            raise InvalidClaimError(f"{name}: expected seconds since 1970, up to the year 9999, found {shown(value)}")
    if "exp" not in claims:
        raise InvalidClaimError("exp: expected a time at which the token expires, found nothing")


def check_time(claims: JsonObject, now: float, leeway: float) -> None:
    """`exp` lies ahead and `nbf` does not (RFC 7519 sections 4.1.4 and 4.1.5). For claims with numbers for times.

    Raises:
        TokenExpiredError, TokenNotYetValidError
    """
    if not now < claims["exp"] + leeway:  # spelt so that a clock that says NaN lets nobody in
        expires = claims["exp"]
        raise TokenExpiredError(
            f"exp: the token expired {duration(now - expires)} ago, at {utc(expires)}; "
            f"get a new one with the refresh token{clock_hint(claims, now)}"
        )
    if "nbf" in claims and not claims["nbf"] <= now + leeway:
        not_before = claims["nbf"]
        raise TokenNotYetValidError(
            f"nbf: the token is valid in {duration(not_before - now)}, from {utc(not_before)} on"
            f"{clock_hint(claims, now)}"
        )


def checked_client(
    claims: JsonObject,
    token_use: str | None,
    client_ids: Collection[str] | None,
    resource: str | None,
    expected: ExpectedClaims,
) -> str:
    """Token use, client, resource, other claims; returns the app client that the token was issued to.

    The rules stand in one function because each call into another costs 0.3 us of a verification's 30.

    Args:
        claims: What the token says, the signature and the time checked.
        token_use: "access", "id" or None for either.
        client_ids: The accepted app clients, or None for any.
        resource: To which resource access tokens must be bound, or None.
        expected: What `claims=` asks for.

    Raises:
        InvalidTokenUseError, InvalidClientError, InvalidResourceError, InvalidClaimError: In this order.

    Source: "Verifying JSON web tokens", Amazon Cognito Developer Guide; OpenID Connect Core 1.0 section 3.1.3.7;
        RFC 8707 section 2.
    """
    use = claims.get("token_use")
    if use not in ("access", "id") or (token_use is not None and use != token_use):
        raise _wrong_token_use(use, token_use)

    if use == "access":
        client_id = claims.get("client_id")
        if type(client_id) is not str or not client_id or (client_ids is not None and client_id not in client_ids):
            raise _wrong_client("client_id", client_id, client_ids)
    else:
        audiences = _audiences(claims.get("aud"))
        client_id = next((one for one in audiences if client_ids is None or one in client_ids), "")
        if not client_id:
            raise _wrong_client("aud", claims.get("aud"), client_ids)

    if resource is not None and use == "access" and resource not in _audiences(claims.get("aud")):
        raise _wrong_resource(claims.get("aud"), resource)

    for name in _STRINGS:
        if type(claims.get(name, "")) is not str:
            raise InvalidClaimError(f"{name}: expected a string, found {shown(claims[name])}")
    if "cognito:groups" in claims and not _is_strings(claims["cognito:groups"]):
        raise InvalidClaimError(f"cognito:groups: expected a list of strings, found {shown(claims['cognito:groups'])}")
    if expected:
        check_expected_claims(claims, expected)
    return client_id


def check_expected_claims(claims: JsonObject, expected: ExpectedClaims) -> None:
    """What `claims=` asks for: exactly one of the values, of the same type (`True` is not `"true"`).

    Raises:
        InvalidClaimError
    """
    for name, values in expected.items():
        if name not in claims:
            raise InvalidClaimError(f"{name}: expected {_alternatives(values)}, found nothing")
        if not any(_is_same(claims[name], value) for value in values):
            raise InvalidClaimError(f"{name}: expected {_alternatives(values)}, found {shown(claims[name])}")


def check_max_age(claims: JsonObject, max_age: float, now: float) -> None:
    """The user authenticated at most `max_age` seconds ago (RFC 9470 section 6; `iat` where there is no `auth_time`).

    Raises:
        ReauthenticationRequiredError
    """
    authenticated = claims.get("auth_time", claims.get("iat"))
    if authenticated is None or not now - authenticated <= max_age:
        found = "neither auth_time nor iat" if authenticated is None else f"{duration(now - authenticated)} ago"
        raise ReauthenticationRequiredError(
            f"auth_time: expected an authentication at most {duration(max_age)} ago, found {found}; log in again",
            max_age=max_age,
        )


def check_scopes(claims: Mapping[str, Any], required: Requirement) -> None:
    """The access token's scopes meet the requirement (RFC 6749 section 3.3). ID tokens have none.

    Raises:
        InsufficientScopeError: Its challenge names scopes that would do.
    """
    is_id_token = claims["token_use"] == "id"
    found = frozenset() if is_id_token else scopes_of(claims)
    if not required.is_met_by(found):
        instead = "an ID token, which has no scopes; send the access token" if is_id_token else _listed(found)
        raise InsufficientScopeError(f"scope: expected {required}, found {instead}", scopes=required.names)


def check_groups(claims: Mapping[str, Any], required: Requirement) -> None:
    """The user's groups meet the requirement ("Adding groups to a user pool", Amazon Cognito Developer Guide).

    Raises:
        MissingGroupError
    """
    found = frozenset(groups_of(claims))
    if not required.is_met_by(found):
        raise MissingGroupError(f"cognito:groups: expected {required}, found {_listed(found)}")


def scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """`scope`, taken apart at its spaces (RFC 6749 section 3.3)."""
    return frozenset(claims.get("scope", "").split(" ")) - {""}


def groups_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """`cognito:groups`; empty where there is none."""
    return tuple(claims.get("cognito:groups", ()))


def expected_claims(claims: Mapping[str, Any] | None) -> ExpectedClaims:
    """What the option `claims=` asks for, checked and copied.

    Raises:
        ConfigurationError: Empty, or a value that no JSON claim can have.
    """
    if claims is None:
        return {}
    if not isinstance(claims, Mapping) or not claims:
        raise ConfigurationError(
            f"claims: expected a mapping such as {{'email_verified': True}}, found {shown(claims)}"
        )
    expected = {}
    for name, value in claims.items():
        values = tuple(value) if isinstance(value, (set, frozenset)) else (value,)
        try:
            is_sound = isinstance(name, str) and name and values and all(map(_is_json, values))
        except RecursionError:
            is_sound = False
        if not is_sound:
            raise ConfigurationError(
                f"claims: expected a claim's name and its JSON value or a set of them, found {shown({name: value})}"
            )
        expected[name] = deepcopy(values)
    return expected


def _wrong_token_use(found: object, token_use: str | None) -> InvalidTokenUseError:
    kind = _NAMES.get(found) if isinstance(found, str) else None
    if kind is None or token_use is None:
        return InvalidTokenUseError(f"token_use: expected 'access' or 'id', found {shown(found)}")
    return InvalidTokenUseError(
        f"token_use: this is {kind}; send {_NAMES[token_use].replace('an', 'the')} "
        f"or build the verifier with token_use={found!r}"
    )


def _wrong_client(name: str, found: object, client_ids: Collection[str] | None) -> InvalidClientError:
    expected = "the id of an app client" if client_ids is None else f"one of {_listed(client_ids)}"
    return InvalidClientError(
        f"{name}: expected {expected}, found {shown(found)}: a token for another app client; "
        "send one of yours, or add that client to client_id="
    )


def _wrong_resource(found: object, resource: str) -> InvalidResourceError:
    return InvalidResourceError(
        f"aud: expected the resource {resource!r}, found {shown(found)}; the client must ask for it (RFC 8707)"
    )


def _audiences(aud: object) -> tuple[str, ...]:
    """RFC 7519 section 4.1.3: one string, or a list of strings. Anything else names nobody."""
    if isinstance(aud, str):
        return (aud,)
    return tuple(aud) if isinstance(aud, list) and _is_strings(aud) else ()


def _is_strings(value: object) -> bool:
    if type(value) is not list:
        return False
    for one in value:  # a loop: all() over a generator takes twice as long
        if type(one) is not str:
            return False
    return True


def _is_json(value: object) -> bool:
    # By exact type, as values are compared later: a member of an enum would never match.
    if type(value) is list:
        return all(map(_is_json, value))
    if type(value) is dict:
        return all(type(name) is str for name in value) and all(map(_is_json, value.values()))
    return value is None or type(value) in (str, int, bool) or (type(value) is float and isfinite(value))


def _is_same(found: object, expected: object) -> bool:
    if type(found) is not type(expected):
        return False
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_is_same, found, expected))
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(_is_same(found[name], expected[name]) for name in found)
    return found == expected


def _alternatives(values: tuple[object, ...]) -> str:
    return " or ".join(sorted(map(repr, values)))


def _listed(names: Collection[str]) -> str:
    shown_names = ", ".join(map(shown, sorted(names)[:_LISTED]))
    return (shown_names or "none") + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")


def clock_hint(claims: JsonObject, now: float) -> str:
    """What an `iat` in the future suggests; empty where it lies in the past. It is not refused: clocks differ."""
    issued = claims.get("iat", 0)
    if issued <= now:
        return ""
    return f" (iat lies {duration(issued - now)} in the future: is this machine's clock right?)"


def utc(seconds: float) -> str:
    """A time such as `exp` in words, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """A span of time in its most telling unit."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
