"""JWKs become verifying keys. The only room that imports python-jose, which would take almost anything as a key.

A JWK is rebuilt from its numbers alone before python-jose sees it, and each key object is built once and kept: building
it again for every token would cost more than the signature check itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any, NoReturn

import jose.backends.cryptography_backend  # fails where python-jose would fall back to slow and leaky Python
import jose.jwk
from jose.exceptions import JWKError

from cognito_verify.errors import (
    ConfigurationError,
    InvalidSignatureError,
    MalformedTokenError,
    UnknownKeyError,
    UnsupportedAlgorithmError,
    shown,
)
from cognito_verify.jws import JsonObject, UnverifiedJws, base64url_decoded, json_object, parse_compact

__all__ = ["COGNITO_ALGORITHMS", "KeySet", "VerifyingKey", "check_algorithm", "rsa_backend", "verify_compact"]

COGNITO_ALGORITHMS = ("RS256",)

_RSA_BITS = range(2_048, 8_192 + 1)
_RSA_EXPONENTS = range(3, 2**32 + 1)
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})  # RFC 7518 section 6
# By algorithm (RFC 7518 section 3.4): the curve and the prime of its field (NIST SP 800-186 section 3.2.1).
_CURVES = {
    "ES256": ("P-256", 2**256 - 2**224 + 2**192 + 2**96 - 1),
    "ES384": ("P-384", 2**384 - 2**128 - 2**96 + 2**32 - 1),
    "ES512": ("P-521", 2**521 - 1),
}
_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", *_CURVES})


class VerifyingKey:
    """An admitted public key: for each algorithm that it may verify, python-jose's key object, built once and kept."""

    __slots__ = ("_jose_keys", "_numbers")

    def __init__(self, numbers: Mapping[str, str], algorithms: Collection[str]) -> None:
        self._numbers = dict(numbers)
        self._jose_keys: dict[object, Any] = {
            algorithm: jose.jwk.construct(self._numbers, algorithm) for algorithm in algorithms
        }

    def is_for(self, algorithm: object) -> bool:
        """Whether the key may verify signatures of this algorithm."""
        return isinstance(algorithm, str) and algorithm in self._jose_keys

    def check_signature(self, jws: UnverifiedJws) -> None:
        """Refuse a signature over the signing input that is not this key's (RFC 7515 section 5.2).

        Raises:
            InvalidSignatureError
        """
        if self._jose_keys[jws.alg].verify(jws.signing_input, jws.signature) is not True:
            raise InvalidSignatureError(
                f"signature: expected one by key {shown(jws.kid)}, found another: the token was altered on its way, "
                "or somebody else signed it"
            )

    def is_same(self, other: VerifyingKey) -> bool:
        """Whether both are the same public key for the same algorithms."""
        return self._numbers == other._numbers and self._jose_keys.keys() == other._jose_keys.keys()

    def as_jwk(self, kid: str) -> dict[str, str]:
        """The key under this name, as it may be published (RFC 7517 section 4)."""
        first, *others = map(str, self._jose_keys)
        return {"kid": kid, "use": "sig", **({} if others else {"alg": first}), **self._numbers}

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys do not pickle: build one KeySet per process")


class KeySet(Mapping[str, VerifyingKey]):
    """The usable keys of a JWKS by `kid`, never changed after it is built.

    Source: RFC 7517 sections 4 and 5; RFC 7518 sections 3.3, 3.4 and 6.
    """

    __slots__ = ("_algorithms", "_keys")

    def __init__(self, keys: Mapping[str, VerifyingKey], algorithms: Collection[str]) -> None:
        self._keys = MappingProxyType(dict(keys))
        self._algorithms = frozenset(algorithms)

    @classmethod
    def from_jwks(
        cls, jwks: Mapping[str, object] | str | bytes, algorithms: Collection[str] = COGNITO_ALGORITHMS
    ) -> KeySet:
        """Admit what may be used; a key that is not admitted is as if it were not there.

        Args:
            jwks: A JWKS as a mapping or as JSON.
            algorithms: What the keys may verify: RS256, RS384, RS512, ES256, ES384, ES512.

        Raises:
            ConfigurationError: No JWKS, or an algorithm that is not one of these.
        """
        if not isinstance(algorithms, Collection) or isinstance(algorithms, str) or not algorithms:
            raise ConfigurationError(f"algorithms: expected a collection of names, found {shown(algorithms)}")
        if not all(isinstance(algorithm, str) and algorithm in _ALGORITHMS for algorithm in algorithms):
            raise ConfigurationError(
                f"algorithms: expected some of {', '.join(sorted(_ALGORITHMS))}, found {shown(algorithms)}"
            )
        admitted: dict[str, VerifyingKey] = {}
        ambiguous: set[str] = set()
        for jwk in _jwks_members(jwks):
            if not isinstance(jwk, Mapping):
                continue
            kid, key = jwk.get("kid"), _admitted(jwk, algorithms)
            if key is None or not isinstance(kid, str) or not kid:
                continue
            if not admitted.setdefault(kid, key).is_same(key):
                ambiguous.add(kid)  # neither is used: whoever slips in a second key must not be able to choose
        return cls({kid: key for kid, key in admitted.items() if kid not in ambiguous}, algorithms)

    def __getitem__(self, kid: str) -> VerifyingKey:
        return self._keys[kid]

    @property
    def algorithms(self) -> frozenset[str]:
        """What the keys may verify."""
        return self._algorithms

    def is_same(self, other: KeySet) -> bool:
        """Whether both hold the same keys under the same names."""
        return self.keys() == other.keys() and all(key.is_same(other[kid]) for kid, key in self.items())

    @property
    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The keys as a JWKS (RFC 7517 section 5), by `kid`: what `jwks=` takes, less what was skipped."""
        return {"keys": [self[kid].as_jwk(kid) for kid in sorted(self)]}

    @property
    def by_kid(self) -> Mapping[str, VerifyingKey]:
        """The same keys in a map whose `get` is not written in Python: for the hot path."""
        return self._keys

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"KeySet({len(self)} keys)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("key sets do not pickle: build one per process")


def verify_compact(raw: str, keyset: KeySet, *, max_token_bytes: int = 16_384) -> tuple[JsonObject, bytes]:
    """Verify any compact JWS by the rules on structure, header and keys; what the payload says is the caller's to read.

    Args:
        raw: The compact JWS.
        keyset: The keys that may have signed it, and for which algorithms.
        max_token_bytes: Longer ones are refused unread.

    Returns:
        The header and the bytes of the payload.

    Raises:
        MalformedTokenError, UnsupportedAlgorithmError, UnknownKeyError, InvalidSignatureError: In this order.

    Source: RFC 7515 section 5.2.
    """
    jws = parse_compact(raw, max_token_bytes)
    check_algorithm(jws, keyset.algorithms)
    key = keyset.get(jws.kid)
    if key is None or not key.is_for(jws.alg):
        raise UnknownKeyError(f"kid: expected a key of the set for {jws.alg}, found {shown(jws.kid)}")
    key.check_signature(jws)
    return deepcopy(jws.header), jws.payload


def check_algorithm(jws: UnverifiedJws, algorithms: Collection[str]) -> None:
    """Refuse any `alg` but the expected ones, `none` above all (RFC 8725 section 3.1)."""
    if not isinstance(jws.alg, str) or jws.alg not in algorithms:
        raise UnsupportedAlgorithmError(f"alg: expected {' or '.join(sorted(algorithms))}, found {shown(jws.alg)}")


def rsa_backend() -> tuple[str, str]:
    """For bug reports: python-jose's module that checks RSA signatures here, and the OpenSSL beneath it."""
    from cryptography.hazmat.backends.openssl import backend

    return str(jose.jwk.get_key("RS256").__module__), backend.openssl_version_text()


def _jwks_members(jwks: object) -> list[object]:
    if isinstance(jwks, str):
        jwks = jwks.encode(errors="surrogatepass")
    if isinstance(jwks, bytes):
        try:
            jwks = json_object("jwks", jwks, is_from_stranger=False)
        except MalformedTokenError as error:
            raise ConfigurationError(str(error)) from None
    members = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(members, (list, tuple)):
        raise ConfigurationError("jwks: expected an object with an array 'keys' (RFC 7517 section 5)")
    return list(members)


def _admitted(jwk: Mapping[str, object], algorithms: Collection[str]) -> VerifyingKey | None:
    """The key, rebuilt from its numbers alone, or None where it may not be used (RFC 7517 section 4, RFC 7518)."""
    if not _PRIVATE_MEMBERS.isdisjoint(jwk) or jwk.get("use", "sig") != "sig":
        return None
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    usable = [algorithm for algorithm in algorithms if jwk.get("alg", algorithm) == algorithm]
    try:
        if jwk.get("kty") == "RSA":
            numbers = _rsa_numbers(jwk)
            usable = [algorithm for algorithm in usable if algorithm not in _CURVES]
        elif jwk.get("kty") == "EC":
            numbers = _ec_numbers(jwk)
            usable = [algorithm for algorithm in usable if _CURVES.get(algorithm, ("",))[0] == jwk.get("crv")]
        else:
            return None
        return VerifyingKey(numbers, usable) if usable else None
    except (MalformedTokenError, JWKError, ValueError):
        return None  # not canonical base64url, numbers out of bounds, a point that is not on its curve


def _rsa_numbers(jwk: Mapping[str, object]) -> dict[str, str]:
    modulus, exponent = _number(jwk, "n"), _number(jwk, "e")
    if modulus.bit_length() not in _RSA_BITS or exponent not in _RSA_EXPONENTS or not modulus & exponent & 1:
        raise ValueError("modulus or exponent out of bounds")
    return {"kty": "RSA", "n": str(jwk["n"]), "e": str(jwk["e"])}


def _ec_numbers(jwk: Mapping[str, object]) -> dict[str, str]:
    prime = next((prime for curve, prime in _CURVES.values() if curve == jwk.get("crv")), 0)
    for coordinate in ("x", "y"):
        octets = _octets(jwk, coordinate)
        # As long as the field's elements (RFC 7518 section 6.2.1.2) and one of them: others would be reduced to one.
        if len(octets) != (prime.bit_length() + 7) // 8 or int.from_bytes(octets, "big") >= prime:
            raise ValueError("no coordinate of the curve")
    return {"kty": "EC", **{member: str(jwk[member]) for member in ("crv", "x", "y")}}


def _number(jwk: Mapping[str, object], member: str) -> int:
    octets = _octets(jwk, member)
    if octets[0] == 0:
        raise ValueError("leading zero octet (RFC 7518 section 2, Base64urlUInt)")
    return int.from_bytes(octets, "big")


def _octets(jwk: Mapping[str, object], member: str) -> bytes:
    value = jwk.get(member)
    return base64url_decoded(member, value) if isinstance(value, str) else b"\0"
