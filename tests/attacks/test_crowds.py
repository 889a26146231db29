"""Crowds: 64 threads and 200 tasks on one verifier and one cache, while all around them moves.

Good tokens of the current and of the previous key, tokens of withdrawn keys, forged key ids, forged signatures, expired
ones. The endpoint flaps, keys rotate every second, the process forks, and the wall clock jumps by a day and a week in
both directions, as it does for a restored snapshot. A withdrawn key's token passes until a fetch has succeeded that was
answered after the withdrawal, and never after that. `make crowds` runs the long form: a minute, with forks, and what is
measured is held too. The short one has none: a child of 265 threads shares its parent's processors, and how long it
takes is the machine's to say. tests/test_jwks_concurrency.py forks in every state of a fetch.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.corpus import CLIENT_ID, SigningPool
from cognito_verify.errors import CognitoVerifyError
from cognito_verify.jwks import JwksCache
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.testing import Answer, FakeUserPool, Fault, JwksServer
from cognito_verify.verifier import CognitoVerifier
from tests.key_endpoints import flights_over

IS_LONG = os.environ.get("ATTACKS") == "long"
SEED = 20_261_125
SECONDS = 60.0 if IS_LONG else 4.0
THREADS, TASKS = 64, 200
ROTATION = 1.0  # seconds from one key to the next
COOLDOWN, DEADLINE, TTL, MAX_STALE, RETRIES = 0.5, 0.45, 1.0, 5.0, 1
JUMP_EVERY = 5.3 if IS_LONG else 0.45  # seconds
FORK_EVERY = 2.0 if IS_LONG else 0.8
DAY = 86_400
JUMPS = (DAY, -DAY, -DAY, DAY, 7 * DAY, -7 * DAY, -7 * DAY, 7 * DAY)  # there and back, in both directions
PHASES: tuple[Fault | None, ...] = (None, None, None, "down", "silent", "reset")  # None: the endpoint is well
STUCK = 30.0  # seconds of silence of one worker that the watchdog calls a deadlock
DELAYS = 4  # how often what is awaited may be held up as long as the watchdog is at worst, on a busy machine
MEMORY_MARGIN = 8 * 1024  # KiB between the halves of the minute
FORGED = ("unknown_key", "keys_unavailable")
REFUSALS = {
    "current": FORGED,
    "previous": FORGED,
    "withdrawn": FORGED,
    "forged kid": FORGED,
    "forged signature": ("invalid_signature", *FORGED),
    "expired": ("token_expired", *FORGED),
}
"""By kind of token, the codes that a refusal may have."""

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning"),  # that is the point
]


class JumpingClock:
    """The wall clock, as a machine sees it that slept or was restored."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@dataclass(frozen=True)
class Token:
    raw: str
    kind: str
    generation: int  # of the key that it names; -1 where none does


@dataclass(frozen=True)
class State:
    """How the world stands, replaced as a whole. Times are monotonic."""

    generation: int  # of the newest key; its predecessor is published too
    rotated_at: float
    well_since: float | None  # None: the endpoint fails
    tokens: tuple[Token, ...]


class World:
    """Keys, tokens, endpoint and clock. What moves is moved by one thread, `direct`."""

    def __init__(self, server: JwksServer, clock: JumpingClock) -> None:
        self.over = threading.Event()
        self.clock = clock
        self.jumps = 0
        self.rotations = 0
        self.fetches: list[FetchEvent] = []
        self.floor = 0  # the oldest generation that the cache holds since a fetch that succeeded
        self.violations: list[str] = []
        self.worst_refusal = 0.0
        self.late = (
            0  # fetches that failed although the endpoint was well: on a busy machine an answer can come too late
        )
        self.late_at = 0.0
        self._server = server
        self._ring = [SigningPool.new("us-east-1_TestPool1") for _ in range(4)]
        self._random = random.Random(SEED)
        self._serial = 0
        self._withdrawn: list[Token] = []
        self.state = State(0, time.monotonic(), time.monotonic(), ())
        self._show(None)
        self.state = replace(self.state, tokens=self._mint(0))

    def direct(self) -> None:
        began = time.monotonic()
        phase: Fault | None = None
        phase_ends, jump_at, rotate_at = began + 1.0, began + JUMP_EVERY, began + ROTATION
        while not self.over.wait(0.01):
            now = time.monotonic()
            if now >= rotate_at:
                rotate_at += ROTATION
                self._rotate(phase)
            if now >= phase_ends:
                phase, phase_ends = self._random.choice(PHASES), now + self._random.uniform(0.5, 1.5)
                self._show(phase)
                was_well = self.state.well_since
                well = None if phase is not None else was_well if was_well is not None else time.monotonic()
                self.state = replace(self.state, well_since=well)
            if now >= jump_at:
                jump_at += JUMP_EVERY
                self.jump(JUMPS[self.jumps % len(JUMPS)])

    def calm_down(self) -> str:
        """The endpoint is well for good. A token of the current key."""
        self._show(None)
        return next(token.raw for token in self.state.tokens if token.kind == "current")

    def jump(self, seconds: float) -> None:
        self.clock.offset += seconds
        self.jumps += 1

    def is_good(self, token: Token, state: State) -> bool:
        return token.kind in ("current", "previous") and token.generation >= state.generation - 1

    def heard(self, cache: JwksCache, uri: str, event: FetchEvent) -> None:
        """Called after the keys were replaced and before those who wait for them go on."""
        if event.error is None:
            newest = max((int(kid.removeprefix("key-")) for kid in cache.keys(uri)), default=0)
            self.floor = max(self.floor, newest - 1)  # what the endpoint published beside it
        elif (well_since := self.state.well_since) is not None and well_since < time.monotonic() - event.seconds:
            self.late += 1
            self.late_at = time.monotonic()
        self.fetches.append(event)

    def _rotate(self, phase: Fault | None) -> None:
        self.rotations += 1
        generation = self.state.generation + 1
        self._withdrawn = [token for token in self.state.tokens if token.kind == "previous"]
        # Before the new key is published, since it takes a while; no token of it is handed out before.
        tokens = self._mint(generation)
        self.state = replace(self.state, generation=generation)
        self._show(phase)
        self.state = replace(self.state, tokens=tokens, rotated_at=time.monotonic())

    def _show(self, phase: Fault | None) -> None:
        newest = self.state.generation
        keys = [{**self._key_of(one).jwk, "kid": f"key-{one}"} for one in range(max(0, newest - 1), newest + 1)]
        self._server.answers(phase or Answer(body=json.dumps({"keys": keys}).encode()))

    def _key_of(self, generation: int) -> SigningPool:
        return self._ring[generation % len(self._ring)]

    def _mint(self, generation: int) -> tuple[Token, ...]:
        previous = [replace(token, kind="previous") for token in self.state.tokens if token.kind == "current"]
        withdrawn = [replace(token, kind="withdrawn") for token in self._withdrawn]
        forged = [self._token("forged kid", generation, kid=f"forged-{self._serial}-{i}") for i in range(6)]
        tampered = [self._tampered(self._token("forged signature", generation)) for _ in range(3)]
        return (
            *(self._token("current", generation) for _ in range(6)),
            *previous,
            *withdrawn,
            *forged,
            *tampered,
            *(self._token("expired", generation, lifetime=-30 * DAY) for _ in range(3)),
        )

    def _token(self, kind: str, generation: int, *, kid: str | None = None, lifetime: float = 30 * DAY) -> Token:
        self._serial += 1
        now = int(time.time())  # beyond every jump: what a jump does to a token is not the question here
        key = self._key_of(generation)
        claims = key.access_claims(iat=now, exp=now + lifetime, username=f"user-{self._serial}")
        raw = key.sign(json.dumps(claims).encode(), kid=kid or f"key-{generation}")
        return Token(raw, kind, -1 if kid else generation)

    def _tampered(self, token: Token) -> Token:
        head, payload, _ = token.raw.split(".")
        signature = self._key_of(token.generation + 1).sign(b"{}").split(".")[2]
        return replace(token, raw=f"{head}.{payload}.{signature}")


class Worker:
    """A thread or a task: what it did, and when it was last heard of."""

    def __init__(self, world: World, seed: int) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.last = time.monotonic()
        self.longest = 0.0
        self._world = world
        self._random = random.Random(seed)

    def choose(self, token: Token | None = None) -> tuple[Token, State, int]:
        state = self._world.state
        self._began = time.monotonic()
        return token or self._random.choice(state.tokens), state, self._world.floor

    def note(self, chosen: tuple[Token, State, int], error: BaseException | None) -> None:
        token, before, floor = chosen
        world, after, code = self._world, self._world.state, "accepted"
        if error is not None:
            code = error.code if isinstance(error, CognitoVerifyError) else type(error).__name__
        self.outcomes[token.kind, code] += 1
        self.last = time.monotonic()
        self.longest = max(self.longest, self.last - self._began)
        if code == "accepted":
            if token.kind in ("forged kid", "forged signature", "expired"):
                world.violations.append(f"accepted: {token.kind}")
            elif token.generation < floor:
                world.violations.append(f"accepted: key {token.generation}, withdrawn; the cache had {floor} and later")
        elif code not in REFUSALS[token.kind]:
            world.violations.append(f"{token.kind}: {code}")
        elif world.is_good(token, after) and code == "unknown_key" and not getattr(error, "transient", True):
            world.violations.append(f"{token.kind}: a good token is refused for good")
        elif world.is_good(token, after) and before.well_since is not None and before.well_since == after.well_since:
            published_at = before.rotated_at if token.kind == "current" else 0.0
            since = max(before.well_since, published_at, world.late_at)
            world.worst_refusal = max(world.worst_refusal, self._began - since)


def work(worker: Worker, verifier: CognitoVerifier[Any], over: threading.Event) -> None:
    while not over.wait(0.1):
        chosen = worker.choose()
        try:
            verifier.verify(chosen[0].raw)
        except Exception as error:
            worker.note(chosen, error)
        else:
            worker.note(chosen, None)


async def work_async(worker: Worker, verifier: CognitoVerifier[Any], over: threading.Event) -> None:
    while not over.is_set():
        await asyncio.sleep(0.3)
        chosen = worker.choose()
        try:
            await verifier.verify_async(chosen[0].raw)
        except Exception as error:
            worker.note(chosen, error)
        else:
            worker.note(chosen, None)


async def work_side_by_side(workers: list[Worker], verifier: CognitoVerifier[Any], over: threading.Event) -> None:
    await asyncio.gather(*(work_async(worker, verifier, over) for worker in workers))


class Watchdog:
    """Sees that every worker is heard of, and how late it wakes up itself: that long a thread waits for its turn here.

    A worker that is not heard of leaves the tracebacks of all threads.
    """

    def __init__(self, workers: list[Worker], over: threading.Event) -> None:
        self.longest_silence = 0.0
        self.longest_delay = 0.0
        self.report = ""
        self._workers = workers
        self._over = over

    def watch(self) -> None:
        due = time.monotonic() + 0.1
        while not self._over.wait(0.1):
            now = time.monotonic()
            self.longest_delay = max(self.longest_delay, now - due)
            due = now + 0.1
            self.longest_silence = max(self.longest_silence, *(now - worker.last for worker in self._workers))
            if self.longest_silence > STUCK:
                self.report = tracebacks()
                self._over.set()


def tracebacks() -> str:
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        return file.read()


class Forks:
    """Children that are born in the middle of it, verify and fetch, and end well within seconds."""

    def __init__(self, world: World, verifier: CognitoVerifier[Any]) -> None:
        self.statuses: list[int] = []
        self.fetches = 0
        self.slowest = 0.0
        self._world = world
        self._verifier = verifier

    def fork(self) -> None:
        began = time.monotonic()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            status = 3
            try:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(20)
                faulthandler.dump_traceback_later(15, file=writing)
                os.write(writing, json.dumps(self._live()).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read()  # until the child has ended
        self.statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        if self.statuses[-1]:
            self._world.violations.append(f"a child ended with {self.statuses[-1]}: {told.decode()}")
        else:
            fetches, violations = json.loads(told)
            self.fetches += fetches
            self._world.violations += [f"in a child: {violation}" for violation in violations]
        self.slowest = max(self.slowest, time.monotonic() - began)

    def _live(self) -> tuple[int, list[str]]:
        """The child's life: tokens of every kind until it has fetched by itself; then once more."""
        world, worker = self._world, Worker(self._world, SEED)
        world.violations.clear()
        # Which keys are published while it lives, a child does not know: no token of its is called good.
        world.state = replace(world.state, generation=world.state.generation + 1_000)
        born_with = len(world.fetches)
        lives = 0
        while lives < 2:
            lives += len(world.fetches) > born_with
            for token in world.state.tokens:
                chosen = worker.choose(token)
                try:
                    self._verifier.verify(token.raw)
                except Exception as error:
                    worker.note(chosen, error)
                else:
                    worker.note(chosen, None)
            time.sleep(0.02)
        return len(world.fetches) - born_with, world.violations


def is_served_at_last(verifier: CognitoVerifier[Any], raw: str) -> bool:
    give_up_at = time.monotonic() + STUCK
    while time.monotonic() < give_up_at:
        try:
            verifier.verify(raw)
        except CognitoVerifyError:
            time.sleep(0.05)
        else:
            return True
    return False


def resident() -> int:
    """KiB of memory, where the system says so."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    return int(status.read_text().partition("VmRSS:")[2].split()[0])


@contextmanager
def running(*targets: Callable[[], object]) -> Iterator[list[threading.Thread]]:
    threads = [threading.Thread(target=target, name="crowd", daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    yield threads


def test_crowds_are_served_while_all_around_them_moves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    clock, server = JumpingClock(), FakeUserPool().serve()
    with server as uri:
        world = World(server, clock)

        def observer(event: VerificationEvent | FetchEvent) -> None:
            if isinstance(event, FetchEvent):
                world.heard(cache, uri, event)

        cache = JwksCache(
            ttl=TTL,
            max_stale=MAX_STALE,
            cooldown=COOLDOWN,
            timeout=(0.4, 0.4),
            deadline=DEADLINE,
            retries=RETRIES,
            observer=observer,
            clock=clock,
        )
        verifier = CognitoVerifier(
            "us-east-1_TestPool1",
            client_id=CLIENT_ID,
            token_use="access",
            jwks_uri=uri,
            jwks_cache=cache,
            token_cache_size=64,
            clock=clock,
        )
        workers = [Worker(world, SEED + number) for number in range(THREADS + TASKS)]
        watchdog = Watchdog(workers, world.over)
        forks = Forks(world, verifier)
        memory: list[int] = []
        began = time.monotonic()
        with running(
            world.direct,
            watchdog.watch,
            lambda: asyncio.run(work_side_by_side(workers[THREADS:], verifier, world.over)),
            *(lambda worker=worker: work(worker, verifier, world.over) for worker in workers[:THREADS]),
        ) as threads:
            while time.monotonic() < began + SECONDS and not world.over.wait(FORK_EVERY):
                if IS_LONG:
                    forks.fork()
                memory.append(resident())
            world.over.set()
            for thread in threads:
                thread.join(timeout=STUCK)
        raw = world.calm_down()
        served: list[bool] = []
        for jump in (0, -7 * DAY, 14 * DAY, -DAY):
            world.jump(jump)
            served.append(is_served_at_last(verifier, raw))
        took = time.monotonic() - began
        hung = tracebacks() if any(thread.is_alive() for thread in threads) else watchdog.report
        flights_over()

    outcomes = sum((worker.outcomes for worker in workers), Counter[tuple[str, str]]())
    half = len(memory) // 2
    growth = max(memory[half:]) - max(memory[: half or 1])
    allowed = int(took / COOLDOWN) + 1 + world.jumps
    by_threads = sum(worker.outcomes.total() for worker in workers[:THREADS])
    failed = sum(fetch.error is not None for fetch in world.fetches)
    longest_call = max(worker.longest for worker in workers)
    figures = [
        f"{took:.1f} s, {outcomes.total()} verifies ({by_threads} by {THREADS} threads), longest {longest_call:.2f} s",
        f"{world.rotations} rotations, {world.jumps} jumps of the clock",
        f"{len(world.fetches)} fetches of {allowed} allowed, {server.requests} requests",
        f"{failed} fetches failed, {world.late} of them from an endpoint that was well",
        f"{len(forks.statuses)} forks, {forks.fetches} fetches of theirs, slowest child {forks.slowest:.1f} s",
        f"longest refusal of a good token {world.worst_refusal:.2f} s",
        f"longest silence of a thread or task {watchdog.longest_silence:.2f} s",
        f"longest delay of a thread by this machine {watchdog.longest_delay:.2f} s",
        f"memory {max(memory) // 1024} MiB, {growth:+d} KiB from the first half to the second",
        *(f"{kind:<17} {code:<18} {count}" for (kind, code), count in sorted(outcomes.items())),
    ]
    with capsys.disabled():
        print("", *figures, sep="\n  crowds: ")

    assert hung == ""
    assert world.violations == []
    assert all(served)
    assert set(forks.statuses) == ({0} if IS_LONG else set())
    assert len(world.fetches) <= allowed
    assert server.requests <= (1 + RETRIES) * (len(world.fetches) + forks.fetches)
    assert all(outcomes[kind, "accepted"] for kind in ("current", "previous"))
    assert outcomes["forged signature", "invalid_signature"]
    assert outcomes["expired", "token_expired"]
    assert world.rotations
    assert world.jumps
    if IS_LONG:
        assert (
            world.worst_refusal < COOLDOWN + DEADLINE + DELAYS * watchdog.longest_delay
        )  # with the fetch that ends it
        assert growth < MEMORY_MARGIN
