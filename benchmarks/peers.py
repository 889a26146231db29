"""Other libraries, each with its key kept, and with the same checks where it allows them.

Every peer is asked for signature, `exp`, `iss`, client and `token_use`; the two that no general library knows are the
two lines of `_check_cognito`, which a careful team writes itself. The key is handed to them: only joserfc's key set and
cognitojwt look it up by `kid`. What each of them still lets through is found out by asking it, not written down.
"""

import json
import os
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.corpus import CLIENT_ID, SigningPool

__all__ = ["PEERS", "Peer", "is_installed", "lets_through", "probes"]

Check = Callable[[str], object]
"""Verifies a raw token: any answer but an exception lets it through."""


class Refused(Exception):
    """What the hand-written lines beside a peer raise."""


def _check_cognito(claims: Mapping[str, Any]) -> None:
    if claims.get("token_use") != "access":
        raise Refused("token_use")
    if claims.get("client_id") != CLIENT_ID:
        raise Refused("client_id")


def pyjwt(pool: SigningPool, _folder: Path) -> Check:
    import jwt

    key = jwt.PyJWK(pool.jwk)
    issuer = pool.issuer
    options = {"require": ["exp", "iss"], "verify_aud": False}  # an access token has no `aud`

    def check(raw: str) -> None:
        _check_cognito(jwt.decode(raw, key, algorithms=["RS256"], issuer=issuer, options=options))

    return check


def joserfc(pool: SigningPool, _folder: Path) -> Check:
    from joserfc.jwk import KeySet
    from joserfc.jwt import JWTClaimsRegistry, decode

    keys = KeySet.import_key_set(pool.jwks)
    rules = JWTClaimsRegistry(
        iss={"essential": True, "value": pool.issuer},
        exp={"essential": True},
        client_id={"essential": True, "value": CLIENT_ID},
        token_use={"essential": True, "value": "access"},
    )

    def check(raw: str) -> None:
        rules.validate(decode(raw, keys, algorithms=["RS256"]).claims)

    return check


def jose_kept_key(pool: SigningPool, _folder: Path) -> Check:
    from jose import jwk

    return _jose_decode(pool, jwk.construct(pool.jwk, "RS256"))


def jose_jwk_dict(pool: SigningPool, _folder: Path) -> Check:
    return _jose_decode(pool, pool.jwk)


def jose_jws(pool: SigningPool, _folder: Path) -> Check:
    from jose import jwk, jws

    key = jwk.construct(pool.jwk, "RS256")

    def check(raw: str) -> object:
        return jws.verify(raw, key, ["RS256"])

    return check


def cognitojwt(pool: SigningPool, folder: Path) -> Check:
    """Reads its keys from the file that `AWS_COGNITO_JWKS_PATH` names and keeps them: the warm case, no network."""
    from cognitojwt import decode

    path = folder / "cognitojwt-jwks.json"
    path.write_text(json.dumps(pool.jwks))
    os.environ["AWS_COGNITO_JWKS_PATH"] = str(path)
    region, pool_id = pool.pool_id.partition("_")[0], pool.pool_id

    def check(raw: str) -> None:
        if decode(raw, region, pool_id, CLIENT_ID)["token_use"] != "access":
            raise Refused("token_use")

    return check


class Peer:
    """A library and one way of using it."""

    def __init__(self, label: str, distribution: str, prepare: Callable[[SigningPool, Path], Check]) -> None:
        self.label = label
        self.distribution = distribution
        self.prepare = prepare

    @property
    def name(self) -> str:
        return self.label.format(version=version(self.distribution)) if is_installed(self.distribution) else self.label


PEERS = (
    Peer("joserfc {version}, kept key set", "joserfc", joserfc),
    Peer("PyJWT {version}, kept PyJWK", "PyJWT", pyjwt),
    Peer("python-jose {version} jws.verify, kept key (signature alone)", "python-jose", jose_jws),
    Peer("python-jose {version} jwt.decode, kept key", "python-jose", jose_kept_key),
    Peer("python-jose {version} jwt.decode, JWK dict", "python-jose", jose_jwk_dict),
    Peer("cognitojwt {version}", "cognitojwt", cognitojwt),
)

_MODULES = {"PyJWT": "jwt", "python-jose": "jose"}


def is_installed(distribution: str) -> bool:
    return find_spec(_MODULES.get(distribution, distribution)) is not None


def probes(pool: SigningPool) -> dict[str, str]:
    """Tokens that must not pass, all but the first with a good signature of the pool's own key."""
    good = pool.access_claims()
    head, _, signature = pool.access_token().rpartition(".")
    doubled = json.dumps(good)[:-1] + f', "client_id": "{CLIENT_ID}"' + "}"
    return {
        "a bad signature": f"{head}.{'A' * 20}{signature[20:]}",
        "an expired token": pool.access_token(exp=1_700_000_000),
        "a token without exp": pool.access_token(exp=None),
        "another issuer": pool.access_token(iss=pool.issuer[:-1] + "0"),
        "an ID token": pool.access_token(token_use="id", aud=CLIENT_ID, client_id=None),
        "another app client": pool.access_token(client_id="9another87654321zyxwvutsrq"),
        "a claim given twice": pool.sign(doubled.replace(CLIENT_ID, "9another87654321zyxwvutsrq", 1).encode()),
        "a respelt signature": f"{head}.{_respelt(signature)}",
        "a claim that is NaN": pool.sign(json.dumps(good | {"auth_time": float("nan")}).encode()),
        "an unknown crit header": pool.sign(json.dumps(good).encode(), crit=["x"], x=1),
    }


def lets_through(check: Check, tokens: Mapping[str, str]) -> list[str]:
    return [name for name, raw in tokens.items() if _passes(check, raw)]


def _passes(check: Check, raw: str) -> bool:
    try:
        check(raw)
    except Exception:  # each peer has its own errors, and some let a KeyError out: all of them are refusals
        return False
    return True


def _jose_decode(pool: SigningPool, key: Any) -> Check:
    from jose import jwt

    issuer = pool.issuer
    options = {"verify_aud": False, "require_exp": True, "require_iss": True}

    def check(raw: str) -> None:
        _check_cognito(jwt.decode(raw, key, algorithms=["RS256"], issuer=issuer, options=options))

    return check


def _respelt(signature: str) -> str:
    """The same bytes in another spelling: the last character of 256 bytes in base64url has four spare bits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
