"""Private keys that come from a seed, and what they sign: the same bytes in every run and on every machine."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from random import Random

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPrivateNumbers,
    RSAPublicNumbers,
    rsa_crt_dmp1,
    rsa_crt_dmq1,
    rsa_crt_iqmp,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["Jwk", "b64url", "ec_jwk", "ec_key", "oct_jwk", "pem", "private_jwk", "public_jwk", "rsa_key", "signature"]

Jwk = dict[str, object]

_SMALL_PRIMES = [
    number for number in range(3, 4_000, 2) if all(number % one for one in range(3, 64, 2) if one < number)
]


def b64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def rsa_key(name: str, bits: int = 2_048, e: int = 65_537) -> RSAPrivateKey:
    """The RSA key of that name: for tests alone, since whoever reads this file can make it as well."""
    random = Random(name)
    p, q = (_prime(random, bits // 2, e) for _ in range(2))
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = RSAPublicNumbers(e, p * q)
    return RSAPrivateNumbers(p, q, d, rsa_crt_dmp1(d, p), rsa_crt_dmq1(d, q), rsa_crt_iqmp(p, q), numbers).private_key()


def ec_key(name: str) -> EllipticCurvePrivateKey:
    return derive_private_key(Random(name).getrandbits(255), SECP256R1())


def public_jwk(kid: object, key: RSAPrivateKey, **changes: object) -> Jwk:
    """The key as Cognito would publish it; a change to None takes a member away."""
    numbers = key.public_key().public_numbers()
    jwk: Jwk = {"alg": "RS256", "e": _uint(numbers.e), "kid": kid, "kty": "RSA", "n": _uint(numbers.n), "use": "sig"}
    return {name: value for name, value in {**jwk, **changes}.items() if value is not None}


def private_jwk(kid: str, key: RSAPrivateKey) -> Jwk:
    numbers = key.private_numbers()
    members = {"d": "d", "p": "p", "q": "q", "dp": "dmp1", "dq": "dmq1", "qi": "iqmp"}
    return public_jwk(kid, key, **{member: _uint(getattr(numbers, name)) for member, name in members.items()})


def ec_jwk(kid: str, key: EllipticCurvePrivateKey) -> Jwk:
    numbers = key.public_key().public_numbers()
    x, y = (b64url(coordinate.to_bytes(32)) for coordinate in (numbers.x, numbers.y))
    return {"alg": "ES256", "crv": "P-256", "kid": kid, "kty": "EC", "use": "sig", "x": x, "y": y}


def oct_jwk(kid: str, secret: bytes) -> Jwk:
    return {"alg": "HS256", "k": b64url(secret), "kid": kid, "kty": "oct", "use": "sig"}


def pem(key: RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signature(algorithm: object, signing_input: bytes, key: RSAPrivateKey, ec: EllipticCurvePrivateKey) -> bytes:
    """As whoever has these keys would sign under that algorithm; HS256 with the public key as the secret."""
    signers: dict[object, Callable[[], bytes]] = {
        "none": lambda: b"",
        "HS256": lambda: hmac.digest(pem(key), signing_input, "sha256"),
        "ES256": lambda: _es256(signing_input, ec),
        "PS256": lambda: key.sign(signing_input, PSS(MGF1(SHA256()), 32), SHA256()),
        "RS384": lambda: key.sign(signing_input, PKCS1v15(), SHA384()),
        "RS512": lambda: key.sign(signing_input, PKCS1v15(), SHA512()),
    }
    if isinstance(algorithm, str) and algorithm in signers:
        return signers[algorithm]()
    return key.sign(signing_input, PKCS1v15(), SHA256())


def _es256(signing_input: bytes, key: EllipticCurvePrivateKey) -> bytes:
    r, s = decode_dss_signature(key.sign(signing_input, ECDSA(SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


def _prime(random: Random, bits: int, e: int) -> int:
    while True:
        candidate = random.getrandbits(bits) | 3 << bits - 2 | 1
        is_candidate = all(candidate % small for small in _SMALL_PRIMES) and (candidate - 1) % e
        if is_candidate and pow(2, candidate - 1, candidate) == 1:  # Fermat's test; loading the key tests it again
            return candidate


def _uint(number: int) -> str:
    return b64url(number.to_bytes((number.bit_length() + 7) // 8))
