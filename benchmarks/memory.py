"""100,000 distinct tokens, good and forged, through one verifier: what stays in memory, and how often keys are fetched.

The verifier lives in a process of its own, which reads the tokens line by line from a file that its parent wrote.
"""

import gc
import json
import os
import random
import resource
import subprocess
import sys
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from benchmarks.corpus import CLIENT_ID, SigningPool, b64url
from cognito_verify import AccessToken, CognitoVerifier, CognitoVerifyError, JwksCache

__all__ = ["EXPECTED", "MemoryReport", "measure_memory"]

EXPECTED = {
    "good": "verified",
    "expired": "token_expired",
    "bad signature": "invalid_signature",
    "unknown kid": "unknown_key",
    "malformed": "malformed_token",
}
"""What the verifier has to say to each kind."""

_SHARES = {"good": 0.10, "expired": 0.05, "bad signature": 0.35, "unknown kid": 0.30, "malformed": 0.20}
_ROOT = Path(__file__).resolve().parent.parent
_COOLDOWN = 0.25  # seconds, in the place of 10: the flood is over in seconds and has to see some fetches
_CACHE_SIZE = 1_024  # the default


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What the child process saw. Sizes in bytes of resident memory."""

    tokens: dict[str, int]  # how many of each kind
    signed: int  # made with a key; the others are derived from these
    outcomes: dict[str, dict[str, int]]  # kind -> what the verifier said -> how often
    resident_filled: int
    resident_after: int
    seconds: float
    fetches: int
    cooldown: float
    good_median: float  # seconds for a good token that was not seen before, during the flood
    good_99: float


def measure_memory(*, count: int) -> MemoryReport:
    pool = SigningPool.new("us-east-1_AbCdEfGhI")
    tokens = {kind: round(count * share) for kind, share in _SHARES.items()}
    with TemporaryDirectory() as folder:
        lines, jwks = Path(folder) / "tokens.txt", Path(folder) / "jwks.json"
        jwks.write_text(json.dumps(pool.jwks))
        with lines.open("w") as file:
            file.writelines(f"{kind}\t{raw}\n" for kind, raw in _in_order(_minted(pool, tokens)))
        command = [sys.executable, "-m", "benchmarks.memory", str(lines), str(jwks), pool.pool_id]
        answer = subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE).stdout
    return MemoryReport(tokens=tokens, signed=tokens["good"] + tokens["expired"], **json.loads(answer))


def _minted(pool: SigningPool, tokens: dict[str, int]) -> list[tuple[str, str]]:
    """All tokens, no two alike. Good and expired ones are signed; the others are good ones with something changed."""
    good = [pool.access_token() for _ in range(tokens["good"])]
    expired = [pool.access_token(exp=1_700_000_000 + number) for number in range(tokens["expired"])]
    minted = [("good", raw) for raw in good] + [("expired", raw) for raw in expired]
    minted += [
        ("bad signature", _badly_signed(good[number % len(good)], number)) for number in range(tokens["bad signature"])
    ]
    minted += [
        ("unknown kid", _of_unknown_key(good[number % len(good)], number)) for number in range(tokens["unknown kid"])
    ]
    minted += [("malformed", _malformed(good[number % len(good)], number)) for number in range(tokens["malformed"])]
    if len({raw for _, raw in minted}) != len(minted):
        raise RuntimeError("two tokens are alike")
    return minted


def _badly_signed(raw: str, number: int) -> str:
    return f"{raw[:-100]}{number:06}{raw[-94:]}"


def _of_unknown_key(raw: str, number: int) -> str:
    header = b64url(b'{"kid":"forged-%06d","alg":"RS256"}' % number)
    return f"{header}.{raw.partition('.')[2]}"


def _malformed(raw: str, number: int) -> str:
    header, payload, signature = raw.split(".")
    twice = b64url(b'{"kid":"k","kid":"%d","alg":"RS256"}' % number)
    array = b64url(b"[%d]" % number)
    bomb = b64url(b'{"a":' * 1_500 + b"%d" % number + b"}" * 1_500)
    forms = (
        f"{header}.{payload}",
        f"{header}.{payload}.{signature}.{number}",
        f"{header}.{payload[:200]}*{number:06}{payload[200:]}.{signature}",
        f"{header}.{array}.{signature}",
        f"{header}.{bomb}.{signature}",
        f"{header}.{payload}.{signature}=",
        f"{twice}.{payload}.{signature}",
    )
    return forms[number % len(forms)]


def _in_order(minted: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """First enough of each kind to fill the cache and to visit every branch, then all the others, mixed."""
    mix = random.Random(1)
    mix.shuffle(minted)
    first: dict[str, list[str]] = {kind: [] for kind in EXPECTED}
    rest: list[tuple[str, str]] = []
    for kind, raw in minted:
        if len(first[kind]) < _fill(kind):
            first[kind].append(raw)
        else:
            rest.append((kind, raw))
    filling = [(kind, raw) for kind, raws in first.items() for raw in raws]
    mix.shuffle(filling)
    yield from filling
    yield from rest


def _fill(kind: str) -> int:
    return _CACHE_SIZE if kind == "good" else 200


# What follows runs in the child.


class _CountedKeys:
    """A key endpoint within the process."""

    def __init__(self, path: str) -> None:
        self._answer = Path(path).read_bytes()
        self.fetches = 0

    def __call__(self, _uri: str, _seconds: float) -> bytes:
        self.fetches += 1
        return self._answer


class _Flood:
    """One verifier and what it said so far."""

    def __init__(self, verifier: CognitoVerifier[AccessToken], good: int) -> None:
        self.outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in EXPECTED}
        self.good_seconds = array("d", bytes(8 * good))  # all of it now: it must not grow while memory is watched
        self._verify = verifier.verify
        self._good_seen = 0

    def pour(self, lines: Iterable[str]) -> None:
        for line in lines:
            kind, raw = line.rstrip("\n").split("\t")
            start = time.perf_counter()
            try:
                self._verify(raw)
                outcome = "verified"
            except CognitoVerifyError as error:
                outcome = error.code
            if kind == "good":
                self.good_seconds[self._good_seen] = time.perf_counter() - start
                self._good_seen += 1
            self.outcomes[kind][outcome] += 1


def _main(lines: str, jwks: str, pool_id: str) -> None:
    keys = _CountedKeys(jwks)
    verifier = CognitoVerifier(
        pool_id, client_id=CLIENT_ID, token_use="access", jwks_cache=JwksCache(fetch=keys, cooldown=_COOLDOWN)
    )
    with open(lines) as file:
        good = sum(line.startswith("good\t") for line in file)
    flood = _Flood(verifier, good)
    start = time.perf_counter()
    with open(lines) as file:
        flood.pour(islice(file, sum(map(_fill, EXPECTED))))
        filled = _resident()
        flood.pour(file)
    after = _resident()
    after_filling = flood.good_seconds[_CACHE_SIZE:] or flood.good_seconds
    seen = {
        "outcomes": {kind: dict(outcomes) for kind, outcomes in flood.outcomes.items()},
        "resident_filled": filled,
        "resident_after": after,
        "seconds": time.perf_counter() - start,
        "fetches": keys.fetches,
        "cooldown": _COOLDOWN,
        "good_median": median(after_filling),
        "good_99": quantiles(after_filling, n=100)[-1],
    }
    json.dump(seen, sys.stdout)


def _resident() -> int:
    gc.collect()
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except FileNotFoundError:  # no Linux: the peak, which can hide no growth
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1_024)
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    _main(*sys.argv[1:])
