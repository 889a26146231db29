"""Key sets: what `KeySet.from_jwks` admits of a JWKS, and what `JwksCache` makes of it as an endpoint's answer.

An input is a letter, which chooses the algorithms, and the JWKS. `~n~` in it stands for the modulus of the pool's key.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, SECP521R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from cognito_verify.errors import CognitoVerifyError, ConfigurationError, KeysUnavailableError
from cognito_verify.jwks import JwksCache
from cognito_verify.keys import KeySet, verify_compact
from tests.attacks.fuzz.bounds import called, check
from tests.attacks.fuzz.material import POOL, joined

DICTIONARY = "keys.dict"

_ALGORITHMS = {b"r": ("RS256",), b"e": ("ES256", "ES384", "ES512"), b"a": ("RS256", "RS512", "ES256", "ES384")}
_CURVES = {"P-256": SECP256R1(), "P-384": SECP384R1(), "P-521": SECP521R1()}
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_URI = "https://keys.example.com/jwks.json"
_MODULUS = POOL.jwks["keys"][0]["n"]
_MOST_BYTES = 512 * 1024  # of an endpoint's answer; a program may hand over more
# As moduli: of 2,047 bits, and an even one.
_SHORT, _EVEN = "f" + "_" * 340 + "w", "_" * 341 + "g"


def run(data: bytes) -> None:
    """One JWKS, given to a program and answered by an endpoint."""
    text = data[1:].replace(b"~n~", _MODULUS.encode())
    algorithms = _ALGORITHMS.get(data[:1], ("RS256",))
    keys = called(KeySet.from_jwks, text, algorithms)
    if isinstance(keys, KeySet):
        _check_admitted(keys, json.loads(text)["keys"])
    else:
        check(type(keys) is ConfigurationError, "no JWKS is a matter of configuration")
    _check_answer(text)


def _check_admitted(keys: KeySet, members: list[Any]) -> None:
    again = called(KeySet.from_jwks, json.dumps(keys.jwks), sorted(keys.algorithms))
    check(set(again) == set(keys), "what is admitted is admitted again")
    for kid in keys:
        candidates = [one for one in members if isinstance(one, dict) and one.get("kid") == kid]
        check(any(map(_is_sound, candidates)), "an admitted key is a sound one")
        check(type(kid) is str and kid, "a key has a name")
    for kid in list(keys)[:1]:  # a signature costs a millisecond
        if keys[kid].is_for("RS256"):
            is_ours = keys[kid].as_jwk(kid)["n"] == _MODULUS and keys[kid].as_jwk(kid)["e"] == "AQAB"
            raw = POOL.sign(json.dumps({"kid": kid, "alg": "RS256"}).encode(), b"{}")
            outcome = called(verify_compact, raw, keys)
            if len(json.dumps(kid)) < 10_000:  # longer tokens are refused unread
                is_refused = isinstance(outcome, CognitoVerifyError)
                check(is_refused or is_ours, "a key verifies its own signatures alone")


def _is_sound(jwk: dict[str, Any]) -> bool:
    """Whether a reader who knows the RFCs and not our code would use it."""
    try:
        if _PRIVATE & set(jwk) or jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
            return False
        if jwk["kty"] == "RSA":
            n, e = _integer(jwk["n"]), _integer(jwk["e"])
            RSAPublicNumbers(e, n).public_key()
            return 2_048 <= n.bit_length() <= 8_192 and n % 2 == 1 and 3 <= e <= 2**32 and e % 2 == 1
        EllipticCurvePublicNumbers(_integer(jwk["x"]), _integer(jwk["y"]), _CURVES[jwk["crv"]]).public_key()
    except (KeyError, TypeError, ValueError):
        return False
    return True


def _integer(text: str) -> int:
    if not re.fullmatch("[A-Za-z0-9_-]+", text):
        raise ValueError("not in base64url")
    return int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def _check_answer(body: bytes) -> None:
    cache, error = called(_fetched, body)
    keys, status = called(KeySet.from_jwks, body), cache.status()[_URI]
    if isinstance(keys, KeySet) and keys and len(body) <= _MOST_BYTES:
        check(error is None and cache.keys(_URI).is_same(keys), "an answer is what from_jwks makes of it")
        check(status["state"] == "fresh", "fetched keys are fresh")
    else:
        check(error is not None and not cache.keys(_URI), "an answer without keys is a failed fetch")
        check(status["last_error"], "a failed fetch says why")
    json.dumps(status)


def _fetched(body: bytes) -> tuple[JwksCache, KeysUnavailableError | None]:
    cache = JwksCache(fetch=lambda _uri, _seconds: body, clock=POOL.clock)
    cache.add_source(_URI)
    try:
        cache.prefetch([[_URI]])
    except KeysUnavailableError as error:
        return cache, error.with_traceback(None)
    return cache, None


def seeds() -> Iterator[bytes]:
    """A good key of each kind, one change away from it, and what is no JWKS."""
    rsa = {"kid": "k1", "kty": "RSA", "alg": "RS256", "use": "sig", "n": "~n~", "e": "AQAB"}
    p256 = {
        "kid": "e1",
        "kty": "EC",
        "crv": "P-256",
        "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
        "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
    }
    yield joined("r", {"keys": [rsa, {**rsa, "kid": "k2", "key_ops": ["verify"]}]})
    yield joined("a", {"keys": [rsa, p256]})
    yield joined("e", {"keys": [p256]})
    for change in (
        {"alg": "RS512"},
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"d": "AQAB"},
        {"e": "AQ"},
        {"e": "AAEAAQ"},
        {"e": "AQAAAAE"},
        {"n": _SHORT},
        {"n": _EVEN},
        {"n": "~n~\n"},
        {"n": "_" * 1_400},
        {"kid": ""},
        {"kid": 7},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"x5c": ["AAAA"], "x5u": "https://evil.example.com/"},
    ):
        yield joined("r", {"keys": [{**rsa, **change}, {**rsa, "kid": "k2"}]})
    for change in (
        {"crv": "P-384"},
        {"crv": ["P-256"]},
        {"x": "A" * 43},
        {"y": "_" * 43},
        {"alg": "ES256"},
        {"crv": 1},
    ):
        yield joined("e", {"keys": [{**p256, **change}]})
    yield joined("r", {"keys": [rsa, {**rsa, "e": "Aw"}]})  # two keys under one name
    others: list[object] = [{"keys": {}}, {"keys": [None, 1, "a", []]}, [], {}, {"keys": []}]
    yield from (joined("r", other) for other in others)
    yield joined("r", b"\xef\xbb\xbf{}")
    yield joined("r", b'{"keys":[],"keys":[]}')
    yield joined("r", b"<html>")
