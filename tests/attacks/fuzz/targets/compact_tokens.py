"""Tokens: `verify_compact` and `CognitoVerifier.verify`, most of them with a real signature over what was mutated.

An input is a letter and two parts: `s` signs header and payload with the pool's key, `f` with a stranger's, `r` takes
all that follows for the raw token.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cognito_verify.errors import CognitoVerifyError, InvalidSignatureError, TokenError
from cognito_verify.jws import bearer_token
from cognito_verify.keys import verify_compact
from cognito_verify.tokens import AccessToken, IdToken
from tests.attacks.fuzz.bounds import called, check
from tests.attacks.fuzz.material import (
    CLAIMS,
    CLIENT,
    HEADER,
    ISSUER,
    KEYS,
    NOW,
    POOL,
    SEPARATOR,
    STRANGER,
    USER_POOL,
    joined,
    verifier,
)

DICTIONARY = "claims.dict"

_VERIFIERS = [
    verifier("access", token_cache_size=0),
    verifier(None),
    verifier("id", claims={"email_verified": True}),
    verifier(None, groups="admin", scopes=["orders/read"], max_age=60, leeway=5),
]
_ATTRIBUTES = [
    name
    for kind in (AccessToken, IdToken)
    for name in dir(kind)
    if not name.startswith("_") and isinstance(getattr(kind, name), property)
]
_SECRET_CHARACTERS = 43  # shorter segments may stand in a message by chance


def run(data: bytes) -> None:
    """One token, before every door that tokens come through."""
    letter, content = data[:1], data[1:]
    header, _, payload = content.partition(SEPARATOR)
    if letter == b"r":
        raw = content.decode(errors="surrogateescape")
    else:
        raw = (STRANGER if letter == b"f" else POOL).sign(header, payload)
    for value in (raw, f"Bearer {raw}"):
        found = called(bearer_token, value)
        check(
            isinstance(found, TokenError) or (found == raw.strip(" \t")) or letter == b"r",
            "bearer_token: the token alone",
        )
        _check_is_secret(raw, found)
    verified = called(verify_compact, raw, KEYS)
    _check_is_secret(raw, verified)
    if letter == b"f":
        check(isinstance(verified, CognitoVerifyError), "a stranger's signature is refused")
    elif not isinstance(verified, CognitoVerifyError):
        _check_compact(raw, *verified)
        if letter == b"s":
            check(verified[1] == payload, "the payload is the one that was signed")
    for one in _VERIFIERS:
        token, again = called(one.verify, raw), called(one.verify, raw)
        _check_is_secret(raw, token)
        if isinstance(token, CognitoVerifyError):
            check(type(again) is type(token), "the same refusal for the same token")
        else:
            check(not isinstance(verified, CognitoVerifyError), "what verify takes, verify_compact takes")
            check(again == token and again.raw == raw, "a remembered token says the same")
            _check_claims(token, verified[1])


def _check_compact(raw: str, header: dict[str, Any], payload: bytes) -> None:
    check(header["alg"] == "RS256" and header["kid"] in KEYS and "crit" not in header, "RS256, a known key, no crit")
    signing_input, _, signature = raw.rpartition(".")
    place = len(payload) % len(raw)
    altered = f"{raw[:place]}{'A' if raw[place] != 'A' else 'B'}{raw[place + 1 :]}"
    check(isinstance(called(verify_compact, altered, KEYS), TokenError), "one other character, and it is refused")
    forged = STRANGER.sign(json.dumps(header).encode(), payload)
    check(type(called(verify_compact, forged, KEYS)) is InvalidSignatureError, "signed by another key, it is refused")
    crossed = f"{signing_input}.{forged.rpartition('.')[2]}"
    check(type(called(verify_compact, crossed, KEYS)) is InvalidSignatureError, "another signature is refused")
    check(len(signature) == 342, "one spelling of a signature")


def _check_claims(token: AccessToken | IdToken, payload: bytes) -> None:
    said = json.loads(payload)
    check(dict(token) == said == json.loads(json.dumps(dict(token))), "the claims are those of the payload, and JSON")
    check(said["iss"] in USER_POOL.issuers, "the pool's issuer")
    check(said["token_use"] == ("access" if isinstance(token, AccessToken) else "id"), "the kind is the token's own")
    check(type(said["exp"]) in (int, float) and said["exp"] + 5 > NOW, "not expired")
    check(all(type(said.get(name, 0)) in (int, float) for name in ("nbf", "iat", "auth_time")), "times are numbers")
    clients = said["client_id"] if token.token_use == "access" else said["aud"]
    check(CLIENT in (clients if isinstance(clients, list) else [clients]), "for this client")
    check(token.client_id == CLIENT, "client_id is the client that it is for")
    groups = said.get("cognito:groups", [])
    check(token.groups == tuple(groups) and all(type(one) is str for one in groups), "groups are strings")
    for name in _ATTRIBUTES:
        if hasattr(type(token), name):
            called(getattr, token, name)
    hash(token.groups)
    check(token.raw not in repr(token), "no repr shows the token")


def _check_is_secret(raw: str, outcome: object) -> None:
    segments = raw.split(".")
    if isinstance(outcome, CognitoVerifyError) and len(segments) == 3:
        said = f"{outcome} {outcome.challenge}"
        shown = [one for one in segments if len(one) >= _SECRET_CHARACTERS and one in said]
        check(not shown, "no message shows a part of the token")


def seeds() -> Iterator[bytes]:
    """Good tokens of every kind, one change away from it, and what is wrong by name."""
    for kind in CLAIMS.values():
        yield joined("s", HEADER, kind)
        yield joined("f", HEADER, kind)
    changes: list[dict[str, Any]] = [
        {"exp": NOW - 1},
        {"exp": NOW + 0.5},
        {"exp": True},
        {"nbf": NOW + 60},
        {"iat": -1, "auth_time": 1e12},
        {"aud": ["https://api.example.com"], "resource": None},
        {"token_use": "id"},
        {"client_id": [CLIENT]},
        {"iss": ISSUER.replace("cognito-idp", "issuer-cognito-idp")},
        {"iss": ISSUER + "/"},
        {"cognito:groups": "admin"},
        {"scope": ["orders/read"]},
        {"nested": [[{"a": [1, {"b": None}]}], 10**39, 1e300, "\ud7ff\\ \u2028"]},
    ]
    for change in changes:
        yield joined("s", HEADER, {**CLAIMS["access"], **change})
    changes = [{"aud": [CLIENT, "other"]}, {"aud": []}, {"email_verified": "true"}, {"identities": "[]"}]
    for change in changes:
        yield joined("s", HEADER, {**CLAIMS["id"], **change})
    for header in (
        {**HEADER, "alg": "none"},
        {**HEADER, "alg": ["RS256"]},
        {**HEADER, "kid": "k2"},
        {**HEADER, "kid": ""},
        {**HEADER, "crit": ["exp"], "exp": 1},
        {**HEADER, "jku": "https://evil.example.com/jwks.json", "typ": "JWT"},
        {"alg": "RS256"},
    ):
        yield joined("s", header, CLAIMS["access"])
    yield joined("s", HEADER, b'{"a":1,"a":2}')
    yield joined("s", HEADER, b'{"a":NaN}')
    yield joined("s", HEADER, b'{"a":1e400}')
    yield joined("s", HEADER, b'{"a":"\\ud800"}')
    yield joined("s", HEADER, b'{"a":"\\u0000"}')
    yield joined("s", HEADER, b"[" * 70 + b"]" * 70)
    yield joined("s", HEADER, b'{"exp":' + b"9" * 41 + b"}")
    yield joined("s", HEADER, b"\xef\xbb\xbf{}")
    yield joined("s", HEADER, b"any bytes \x00\x01")
    for text in (
        "",
        ".",
        "..",
        "a.b.c",
        "Bearer a.b.c",
        "Basic YTpi",
        "eyJhbGciOiJub25lIn0.e30.",
        "e30.e30.AA==",
        "a.b.c.d.e",
    ):
        yield joined("r", text.encode())
