"""Keys, tokens and names that the targets share. Inputs of the corpus fit any run, so they hold no key and no token."""

from __future__ import annotations

import json
import logging
from typing import Any, Final, Literal

from cognito_verify.jwks import JwksCache
from cognito_verify.keys import KeySet
from cognito_verify.pool import UserPool
from cognito_verify.testing import Clock, FakeUserPool
from cognito_verify.verifier import CognitoVerifier

__all__ = [
    "CACHE",
    "CLAIMS",
    "CLIENT",
    "HEADER",
    "ISSUER",
    "KEYS",
    "KEY_ID",
    "NOW",
    "POOL",
    "SEPARATOR",
    "STRANGER",
    "USER_POOL",
    "joined",
    "verifier",
]

SEPARATOR: Final = b"\xff"
"""Between the parts of an input: a byte that UTF-8 has no use for."""

NOW: Final = 1_800_000_000
CLIENT: Final = "fuzz-client"
KEY_ID: Final = "k1"
"""Of the key that `POOL.sign` takes for a header of bytes; the pool's own ids are others in each process."""

POOL: Final = FakeUserPool("us-east-1_FuzzPool1", client_id=CLIENT, clock=Clock(NOW))
STRANGER: Final = FakeUserPool("us-east-1_FuzzPool2", client_id=CLIENT, clock=Clock(NOW))
ISSUER: Final = POOL.issuer
KEYS: Final = KeySet.from_jwks({"keys": [{**POOL.jwks["keys"][0], "kid": KEY_ID}]})
USER_POOL: Final = UserPool(POOL.user_pool_id, client_id=CLIENT, jwks=KEYS.jwks)
# The clock stands still: one fetch for the first unknown kid, none later.
CACHE: Final = JwksCache(fetch=lambda _uri, _seconds: json.dumps(KEYS.jwks).encode(), clock=POOL.clock)

HEADER: Final = {"kid": KEY_ID, "alg": "RS256"}
CLAIMS: Final[dict[str, dict[str, Any]]] = {
    "access": {
        "sub": "0b7c6f3e-ada",
        "cognito:groups": ["admin", "x,admin"],
        "iss": ISSUER,
        "version": 2,
        "client_id": CLIENT,
        "origin_jti": "o-1",
        "event_id": "e-1",
        "token_use": "access",
        "scope": "aws.cognito.signin.user.admin orders/read",
        "auth_time": NOW,
        "exp": NOW + 3_600,
        "iat": NOW,
        "jti": "j-1",
        "username": "ada",
    },
    "id": {
        "sub": "0b7c6f3e-ada",
        "cognito:groups": ["admin"],
        "email_verified": True,
        "iss": ISSUER,
        "cognito:username": "ada",
        "aud": CLIENT,
        "token_use": "id",
        "auth_time": NOW,
        "exp": NOW + 3_600,
        "iat": NOW,
        "identities": [{"userId": "7", "primary": "true"}],
        "custom:tenant": "t1",
        "email": "ada@example.com",
        "amr": ["mfa"],
    },
    "machine": {
        "sub": CLIENT,
        "token_use": "access",
        "scope": "test-api/read",
        "iss": ISSUER,
        "exp": NOW + 3_600,
        "iat": NOW,
        "version": 2,
        "jti": "j-2",
        "client_id": CLIENT,
    },
}

logging.getLogger("cognito_verify").addHandler(logging.NullHandler())  # failed fetches are what is looked for


def verifier(token_use: Literal["access", "id"] | None, **options: Any) -> CognitoVerifier[Any]:
    """A verifier of the pool's tokens; it remembers few, so that memory is flat soon."""
    return CognitoVerifier(
        USER_POOL, token_use=token_use, jwks_cache=CACHE, clock=POOL.clock, **{"token_cache_size": 16, **options}
    )


def joined(letter: str, *parts: object) -> bytes:
    """An input: its letter, and its parts, as JSON where they are no bytes."""
    written = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in parts)
    return letter.encode() + SEPARATOR.join(written)
