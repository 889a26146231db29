"""Where the microseconds of one `verify` go: the real functions of the rooms, each timed by itself, in turns.

Each stage runs on one token again and again: the sum comes out a little lower than a `verify` on ever new tokens.
"""

import hashlib
import json
import timeit
from binascii import a2b_base64
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.corpus import CLIENT_ID, SigningPool, batches
from benchmarks.report import Table
from benchmarks.rounds import figures_from, in_turns, quiet
from cognito_verify import AccessToken, CognitoVerifier, claims, jws, keys

__all__ = ["stages_table"]

_FLOOR = "floor: a bare RSA-2048 verify by cryptography"
_CALLS = 200


def stages_table(*, quick: bool) -> Table:
    stages = _stages(SigningPool.new("us-east-1_AbCdEfGhI"))
    with quiet():
        times = in_turns(
            {name: _timed(call) for name, call in stages.items()}, floor=_FLOOR, rounds=30 if quick else 200
        )
    rows = [
        (name, f"{figure.median * 1e6:.2f}", f"{figure.ratio:.3f}")
        for name, figure in figures_from(times, floor=_FLOOR, calls=_CALLS).items()
    ]
    return Table(
        "stages of one verify", ("stage", "us", "x floor"), rows, ["Indented: not counted again in the whole."]
    )


def _stages(pool: SigningPool) -> dict[str, Callable[[], object]]:
    (batch,) = batches(pool, 1, 1)
    (raw,), ((signing_input, signature),) = batch.tokens, batch.prepared
    public_key, padding, digest = pool.public_key, PKCS1v15(), SHA256()
    base64 = [_plain_base64(segment) for segment in raw.split(".")[1:]]
    parsed = jws.parse_compact(raw, 16_384)
    said = jws.json_object("payload", parsed.payload)
    key = keys.KeySet.from_jwks(pool.jwks)[pool.key_ids[0]]
    jose_key = key._jose_keys["RS256"]
    clients = frozenset({CLIENT_ID})
    uncached, cached = (
        CognitoVerifier(pool.pool_id, client_id=CLIENT_ID, token_use="access", jwks=pool.jwks, token_cache_size=size)
        for size in (0, 1_024)
    )
    issuer, now = uncached._issuers[pool.issuer], said["iat"] + 1.5
    return {
        _FLOOR: lambda: public_key.verify(signature, signing_input, padding, digest),
        "jws.parse_compact": lambda: jws.parse_compact(raw, 16_384),
        "  of which binascii.a2b_base64, twice": lambda: [a2b_base64(segment, strict_mode=True) for segment in base64],
        "jws.json_object of the payload": lambda: jws.json_object("payload", parsed.payload),
        "  beside it: json.loads, which is not strict": lambda: json.loads(parsed.payload),
        "keys.check_algorithm": lambda: keys.check_algorithm(parsed, keys.COGNITO_ALGORITHMS),
        "JwksCache.key, at hand": lambda: uncached._jwks.key(issuer.jwks_uri, parsed.kid),
        "VerifyingKey.check_signature": lambda: key.check_signature(parsed),
        "  of which python-jose's key.verify": lambda: jose_key.verify(signing_input, signature),
        "claims.check_time_claims": lambda: claims.check_time_claims(said),
        "claims.check_time": lambda: claims.check_time(said, now, 0),
        "claims.checked_client": lambda: claims.checked_client(
            said, token_use="access", client_ids=clients, resource=None, expected={}
        ),
        "AccessToken()": lambda: AccessToken(said, parsed.header, raw, CLIENT_ID, pool.pool_id, None),
        "whole verify, cache off": lambda: uncached.verify(raw),
        "whole verify, token seen before": lambda: cached.verify(raw),
        "  of which SHA-256 of the token": lambda: hashlib.sha256(raw.encode()).digest(),
    }


def _plain_base64(segment: str) -> str:
    return segment.replace("-", "+").replace("_", "/") + "=" * (-len(segment) % 4)


def _timed(call: Callable[[], object]) -> Callable[[int], float]:
    timer = timeit.Timer(call)
    return lambda _number: timer.timeit(_CALLS)
