"""`verify` on one 1 KB access token, this library beside the floor and the peers, all in one process."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.corpus import CLIENT_ID, Batch, SigningPool, batches
from benchmarks.peers import PEERS, Check, is_installed, lets_through, probes
from benchmarks.rounds import Figure, figures_from, in_turns, quiet
from cognito_verify import AccessToken, CognitoVerifier, UserPool

__all__ = ["FLOOR", "Row", "VerifyReport", "measure_verify"]

FLOOR = "floor: a bare RSA-2048 verify by cryptography"
_BATCH = 200  # calls in one timed block: 4 ms at the floor
_RING = 7  # batches; 1,200 other tokens pass through a cache of 1,024 before one comes again


@dataclass(frozen=True, slots=True)
class Row:
    """One way of verifying, and what it must reach."""

    name: str
    run: Callable[[Batch], float]  # seconds for the whole batch
    target: float | None = None  # highest ratio to the floor
    batches: list[Batch] | None = None  # where it can't take everybody's
    lets_through: list[str] | None = None


@dataclass(frozen=True, slots=True)
class VerifyReport:
    rows: list[Row]
    figures: dict[str, Figure]
    token_chars: int
    token_chars_100_groups: int
    rounds: int
    missing: list[str] = field(default_factory=list)


def measure_verify(*, rounds: int) -> VerifyReport:
    pool = SigningPool.new("us-east-1_AbCdEfGhI")
    ring = batches(pool, _RING, _BATCH)
    many_groups = batches(pool, 1, _BATCH, {"cognito:groups": [f"team-{number:03}" for number in range(100)]})
    with TemporaryDirectory() as folder, asyncio.Runner() as runner:
        peers = [peer for peer in PEERS if is_installed(peer.distribution)]
        bad = probes(pool)
        rows = [
            Row(FLOOR, _floor(pool)),
            *_own_rows(pool, ring[0], many_groups, runner),
            *(_peer_row(peer.name, peer.prepare(pool, Path(folder)), bad) for peer in peers),
        ]
        contenders = {row.name: _contender(row, ring) for row in rows}
        for run in contenders.values():  # to the steady state: every cache full, every branch specialised
            for number in range(_RING):
                run(number)
        with quiet():
            times = in_turns(contenders, floor=FLOOR, rounds=rounds)
    return VerifyReport(
        rows=rows,
        figures=figures_from(times, floor=FLOOR, calls=_BATCH),
        token_chars=len(ring[0].tokens[0]),
        token_chars_100_groups=len(many_groups[0].tokens[0]),
        rounds=rounds,
        missing=sorted({peer.distribution for peer in PEERS if not is_installed(peer.distribution)}),
    )


def _own_rows(pool: SigningPool, seen: Batch, many_groups: list[Batch], runner: asyncio.Runner) -> list[Row]:
    uncached = _verifier(pool, token_cache_size=0)
    return [
        Row("cache off", _each(uncached.verify), target=1.6),
        Row("default cache, token not seen before", _each(_verifier(pool).verify), target=1.9),
        Row("token seen before", _each(_verifier(pool).verify), target=0.2, batches=[seen]),
        Row("verify_async, cache off", _each_async(uncached, runner)),
        Row("verify_async, token seen before", _each_async(_verifier(pool), runner), batches=[seen]),
        Row("two pools, cache off", _each(_of_pools(pool, 2).verify)),
        Row("40 pools, cache off", _each(_of_pools(pool, 40).verify)),
        Row("token with 100 groups, cache off", _each(uncached.verify), batches=many_groups),
        Row("groups= and scopes=, cache off", _each(_with_requirements(pool, 0).verify)),
        Row("groups= and scopes=, token seen before", _each(_with_requirements(pool, 1_024).verify), batches=[seen]),
        Row("observer=, cache off", _each(_observed(pool, 0).verify)),
        Row("observer=, token seen before", _each(_observed(pool, 1_024).verify), batches=[seen]),
    ]


def _peer_row(name: str, check: Check, bad: dict[str, str]) -> Row:
    return Row(name, _each(check), lets_through=lets_through(check, bad))


def _contender(row: Row, ring: list[Batch]) -> Callable[[int], float]:
    own = row.batches or ring
    run = row.run
    return lambda number: run(own[number % len(own)])


def _floor(pool: SigningPool) -> Callable[[Batch], float]:
    verify, padding, digest = pool.public_key.verify, PKCS1v15(), SHA256()

    def run(batch: Batch) -> float:
        start = time.perf_counter()
        for signing_input, signature in batch.prepared:
            verify(signature, signing_input, padding, digest)
        return time.perf_counter() - start

    return run


def _each(check: Check) -> Callable[[Batch], float]:
    def run(batch: Batch) -> float:
        start = time.perf_counter()
        for raw in batch.tokens:
            check(raw)
        return time.perf_counter() - start

    return run


def _each_async(verifier: CognitoVerifier[AccessToken], runner: asyncio.Runner) -> Callable[[Batch], float]:
    """Timed inside one running loop: starting a loop is no part of a call."""

    async def timed(batch: Batch) -> float:
        verify = verifier.verify_async
        start = time.perf_counter()
        for raw in batch.tokens:
            await verify(raw)
        return time.perf_counter() - start

    return lambda batch: runner.run(timed(batch))


def _verifier(pool: SigningPool, token_cache_size: int = 1_024) -> CognitoVerifier[AccessToken]:
    return CognitoVerifier(
        pool.pool_id, client_id=CLIENT_ID, token_use="access", jwks=pool.jwks, token_cache_size=token_cache_size
    )


def _of_pools(pool: SigningPool, count: int) -> CognitoVerifier[AccessToken]:
    """The tokens' pool comes last: a search would show."""
    ids = [f"us-east-1_Other{number:04}" for number in range(count - 1)] + [pool.pool_id]
    pools = [UserPool(pool_id, client_id=CLIENT_ID, jwks=pool.jwks) for pool_id in ids]
    return CognitoVerifier(pools, token_use="access", token_cache_size=0)


def _with_requirements(pool: SigningPool, token_cache_size: int) -> CognitoVerifier[AccessToken]:
    return CognitoVerifier(
        pool.pool_id,
        client_id=CLIENT_ID,
        token_use="access",
        groups={"finance", "operations"},
        scopes="prices/read",
        jwks=pool.jwks,
        token_cache_size=token_cache_size,
    )


def _observed(pool: SigningPool, token_cache_size: int) -> CognitoVerifier[AccessToken]:
    return CognitoVerifier(
        pool.pool_id,
        client_id=CLIENT_ID,
        token_use="access",
        observer=lambda _event: None,
        jwks=pool.jwks,
        token_cache_size=token_cache_size,
    )
