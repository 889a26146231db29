"""This library, PyJWT and joserfc, each set up for the same rules: what a careful team would write around it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

from cognito_verify.errors import CognitoVerifyError
from cognito_verify.jwks import JwksCache
from cognito_verify.verifier import CognitoVerifier

__all__ = ["CLIENT_ID", "ISSUERS", "NOW", "POOL_ID", "Asked", "Contenders", "StoppedDatetime", "Verdict"]

NOW = 1_800_000_000
POOL_ID = "us-east-1_Attacked1"
CLIENT_ID = "1example23456789abcdefghij"
ISSUERS = (
    f"https://cognito-idp.us-east-1.amazonaws.com/{POOL_ID}",
    f"https://issuer-cognito-idp.us-east-1.amazonaws.com/{POOL_ID}",
)
MAX_TOKEN_BYTES = 16_384

Asked = Literal["access", "id"]
Check = Callable[[str], dict[str, Any]]
"""Gives the claims of a token, or raises."""


class StoppedDatetime(datetime):
    """What `jwt.api_jwt` takes for `datetime`: PyJWT has no option for a clock."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> StoppedDatetime:
        return cls.fromtimestamp(NOW, tz or UTC)


class Refused(Exception):
    """What the hand-written lines around PyJWT raise."""


class Verdict:
    """What the three said of one token: the claims, or None where it was refused."""

    def __init__(self, ours: dict[str, Any] | None, code: str | None, peers: dict[str, dict[str, Any] | None]) -> None:
        self.ours = ours
        self.code = code
        self.peers = peers

    @property
    def accepting(self) -> set[str]:
        return {name for name, claims in self.peers.items() if claims is not None}

    @property
    def refusing(self) -> set[str]:
        return {name for name, claims in self.peers.items() if claims is None}

    def __repr__(self) -> str:
        return (
            f"ours: {self.code or 'accepted'}, accepted by {sorted(self.accepting)}, refused by {sorted(self.refusing)}"
        )


class Contenders:
    """The three, for one published key set and one kind of token."""

    def __init__(self, jwks: dict[str, Any], asked: Asked) -> None:
        self._ours = CognitoVerifier(
            POOL_ID,
            client_id=CLIENT_ID,
            token_use=asked,
            jwks_cache=JwksCache(fetch=lambda _, __: json.dumps(jwks).encode(), clock=lambda: NOW),
            max_token_bytes=MAX_TOKEN_BYTES,
            clock=lambda: NOW,
        )
        self._peers: dict[str, Check] = {"PyJWT": _pyjwt(jwks, asked), "joserfc": _joserfc(jwks, asked)}

    def verdict(self, raw: str) -> Verdict:
        ours: dict[str, Any] | None = None
        code: str | None = None
        try:
            ours = dict(self._ours.verify(raw))
        except CognitoVerifyError as error:
            code = error.code
        return Verdict(ours, code, {name: _answer(check, raw) for name, check in self._peers.items()})

    def again(self, raw: str) -> dict[str, Any]:
        """What ours says of an accepted token the second time, when it is remembered."""
        return dict(self._ours.verify(raw))


def _answer(check: Check, raw: str) -> dict[str, Any] | None:
    try:
        return check(raw)
    except Exception:  # each has its own errors and lets KeyError, TypeError or RecursionError out: all are refusals
        return None


# The peers are imported late: whoever asks for a version of theirs asks before.


def _pyjwt(jwks: dict[str, Any], asked: Asked) -> Check:
    import jwt

    keys = {}
    for key in reversed(
        jwt.PyJWKSet.from_dict(jwks).keys
    ):  # the first of two with one name wins, as in `PyJWKSet[kid]`
        if key.public_key_use in ("sig", None) and key.key_id:  # as `PyJWKClient.get_signing_keys` filters
            keys[key.key_id] = key
    audience = CLIENT_ID if asked == "id" else None
    options = {"require": ["exp", "iss", "token_use"], "verify_aud": asked == "id"}

    def check(raw: str) -> dict[str, Any]:
        key = keys[jwt.get_unverified_header(raw)["kid"]]
        claims: dict[str, Any] = jwt.decode(
            raw, key, algorithms=["RS256"], issuer=ISSUERS, audience=audience, options=options
        )
        if claims["token_use"] != asked:
            raise Refused("token_use")
        if asked == "access" and claims.get("client_id") != CLIENT_ID:
            raise Refused("client_id")
        return claims

    return check


def _joserfc(jwks: dict[str, Any], asked: Asked) -> Check:
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry, KeySet
    from joserfc.jws import JWSRegistry
    from joserfc.jwt import JWTClaimsRegistry, decode

    imported = []
    for jwk in jwks["keys"]:
        try:
            imported.append(JWKRegistry.import_key(jwk))
        except (JoseError, ValueError, TypeError, KeyError):  # one key that it refuses must not cost the others
            continue
    keys = KeySet(imported)
    registry = JWSRegistry(
        algorithms=["RS256"], strict_check_header=False
    )  # RFC 7515 section 4: unknown ones are ignored
    registry.max_header_length = MAX_TOKEN_BYTES
    client = {"essential": True, "value": CLIENT_ID}
    rules = JWTClaimsRegistry(
        now=NOW,
        exp={"essential": True},
        iss={"essential": True, "values": list(ISSUERS)},
        token_use={"essential": True, "value": asked},
        **{"client_id" if asked == "access" else "aud": client},
    )

    def check(raw: str) -> dict[str, Any]:
        claims: dict[str, Any] = decode(raw, keys, algorithms=["RS256"], registry=registry).claims
        rules.validate(claims)
        return claims

    return check
