"""Pools with real RSA keys, and the Cognito tokens that every contender is given.

Signed by `cryptography` alone: the library's own testing kit may change without moving a figure.
"""

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

__all__ = ["CLIENT_ID", "Batch", "SigningPool", "b64url", "batches"]

CLIENT_ID = "1example23456789abcdefghij"


@dataclass(frozen=True, slots=True)
class SigningPool:
    """A user pool of our own. Two keys, as in every pool of Cognito: the first signs the access tokens."""

    pool_id: str
    keys: tuple[RSAPrivateKey, RSAPrivateKey]
    key_ids: tuple[str, str]

    @classmethod
    def new(cls, pool_id: str) -> "SigningPool":
        first, second = (generate_private_key(public_exponent=65_537, key_size=2_048) for _ in range(2))
        return cls(pool_id, (first, second), (_key_id(), _key_id()))

    @property
    def issuer(self) -> str:
        return f"https://cognito-idp.{self.pool_id.partition('_')[0]}.amazonaws.com/{self.pool_id}"

    @property
    def public_key(self) -> RSAPublicKey:
        return self.keys[0].public_key()

    @property
    def jwk(self) -> dict[str, str]:
        """The key of the access tokens."""
        return self._jwk(0)

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [self._jwk(0), self._jwk(1)]}

    def access_claims(self, **changes: object) -> dict[str, object]:
        """What an access token says after a log-in through the hosted pages; a change to None takes a claim away."""
        now = int(time.time())
        claims: dict[str, object] = {
            "sub": str(uuid4()),
            "cognito:groups": ["admin", "finance"],
            "iss": self.issuer,
            "version": 2,
            "client_id": CLIENT_ID,
            "origin_jti": str(uuid4()),
            "event_id": str(uuid4()),
            "token_use": "access",
            "scope": "openid email prices/read",
            "auth_time": now,
            "exp": now + 3_600,
            "iat": now,
            "jti": str(uuid4()),
            "username": "testUser",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def access_token(self, **changes: object) -> str:
        return self.sign(json.dumps(self.access_claims(**changes), separators=(",", ":")).encode())

    def sign(self, payload: bytes, **header: object) -> str:
        """A token of any payload, by the access tokens' key. `header` adds to the usual one or replaces parts of it."""
        signing_input = f"{self._header(header)}.{b64url(payload)}"
        return f"{signing_input}.{b64url(self.keys[0].sign(signing_input.encode(), PKCS1v15(), SHA256()))}"

    def _header(self, changes: Mapping[str, object]) -> str:
        header = {"kid": self.key_ids[0], "alg": "RS256", **changes}
        return b64url(json.dumps(header, separators=(",", ":")).encode())

    def _jwk(self, index: int) -> dict[str, str]:
        numbers = self.keys[index].public_key().public_numbers()
        return {
            "alg": "RS256",
            "e": b64url(numbers.e.to_bytes(3)),
            "kid": self.key_ids[index],
            "kty": "RSA",
            "n": b64url(numbers.n.to_bytes(256)),
            "use": "sig",
        }


@dataclass(frozen=True, slots=True)
class Batch:
    """Distinct tokens, timed as one block. `prepared` is all that the floor needs of each: signing input, signature."""

    tokens: tuple[str, ...]
    prepared: tuple[tuple[bytes, bytes], ...]


def batches(pool: SigningPool, count: int, size: int, changes: Mapping[str, object] | None = None) -> list[Batch]:
    return [_batch(tuple(pool.access_token(**(changes or {})) for _ in range(size))) for _ in range(count)]


def b64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _batch(tokens: tuple[str, ...]) -> Batch:
    return Batch(tokens, tuple(_prepared(token) for token in tokens))


def _prepared(token: str) -> tuple[bytes, bytes]:
    signing_input, _, signature = token.encode().rpartition(b".")
    return signing_input, urlsafe_b64decode(signature + b"==")


def _key_id() -> str:
    return b64url(uuid4().bytes + uuid4().bytes) + "="  # Cognito's ids are padded base64 of 32 bytes
