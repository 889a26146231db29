"""The key cache under threads, tasks and forks: one fetch for all, nobody waits for long, nothing hangs."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import cognito_verify.jwks
from cognito_verify.errors import CognitoVerifyError, KeysUnavailableError, UnknownKeyError
from cognito_verify.jwks import JwksCache
from cognito_verify.keys import KeySet, VerifyingKey
from cognito_verify.testing import Answer, Clock, FakeUserPool, JwksServer
from cognito_verify.verifier import CognitoVerifier
from tests.key_endpoints import Endpoint, document, flights_over

URI = "https://keys.example/jwks.json"
HOUR = 3_600
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000)


@pytest.fixture
def pool(clock: Clock) -> FakeUserPool:
    return FakeUserPool(clock=clock)


@pytest.fixture
def kid(pool: FakeUserPool) -> str:
    return pool.header()["kid"]


@pytest.fixture
def server(pool: FakeUserPool) -> JwksServer:
    return pool.serve()


@pytest.fixture
def uri(server: JwksServer) -> Iterator[str]:
    with server as uri:
        yield uri
    flights_over()


@pytest.fixture
def endpoint(pool: FakeUserPool) -> Endpoint:
    return Endpoint(document(*pool.jwks["keys"]))


def cache_of(uri: str, clock: Callable[[], float], bundled: KeySet | None = None, **options: Any) -> JwksCache:
    cache = JwksCache(clock=clock, **options)
    cache.add_source(uri, bundled)
    return cache


class Holding:
    """`fetch=`: hands out an endpoint's answer once the test lets it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()
        self._endpoint = endpoint

    def __call__(self, uri: str, seconds: float) -> bytes:
        self.began.set()
        assert self.may_end.wait(timeout=20)
        return self._endpoint(uri, seconds)


def error_of(cache: JwksCache, uri: str, kid: str) -> BaseException:
    with pytest.raises((UnknownKeyError, KeysUnavailableError)) as refusal:
        cache.key(uri, kid)
    return refusal.value


# Single flight


def test_64_threads_on_a_cold_cache_make_one_request(server: JwksServer, uri: str, clock: Clock, kid: str) -> None:
    cache = cache_of(uri, clock)
    meeting = threading.Barrier(64)

    def look_up() -> VerifyingKey:
        meeting.wait(timeout=20)
        return cache.key(uri, kid)

    server.answers(Answer(delay=0.05))
    with ThreadPoolExecutor(64) as threads:
        lookups = [threads.submit(look_up) for _ in range(64)]
        assert len({lookup.result(timeout=20) for lookup in lookups}) == 1
    assert server.requests == 1


def test_200_tasks_make_one_request_and_hold_no_thread(
    server: JwksServer, uri: str, pool: FakeUserPool, clock: Clock
) -> None:
    verifier = CognitoVerifier(
        "us-east-1_TestPool1",
        client_id="test-client",
        token_use="access",
        jwks_uri=uri,
        jwks_cache=JwksCache(clock=clock),
        clock=clock,
    )
    tokens = [pool.access_token(username=f"user {number}") for number in range(200)]

    async def verify_all() -> list[str | None]:
        before = set(threading.enumerate())
        waiting = [asyncio.create_task(verifier.verify_async(token)) for token in tokens]
        await asyncio.to_thread(server.wait_for_requests, 1)
        added = sorted(thread.name for thread in set(threading.enumerate()) - before)
        assert added == ["asyncio_0", "cognito-verify-jwks", "jwks-server"]  # the test's, the fetch's, the server's
        assert not any(task.done() for task in waiting)
        server.release()
        return [token.username for token in await asyncio.gather(*waiting)]

    server.answers(Answer(stall="head"))
    assert asyncio.run(verify_all()) == [f"user {number}" for number in range(200)]
    assert server.requests == 1


def test_threads_and_tasks_share_one_fetch(server: JwksServer, uri: str, clock: Clock, kid: str) -> None:
    cache = cache_of(uri, clock)

    async def all_tasks() -> set[VerifyingKey]:
        return set(await asyncio.gather(*(cache.key_async(uri, kid) for _ in range(20))))

    server.answers(Answer(stall="head"))
    with ThreadPoolExecutor(24) as threads:
        keys = [threads.submit(cache.key, uri, kid) for _ in range(20)]
        tasks = [threads.submit(asyncio.run, all_tasks()) for _ in range(2)]
        prefetches = [threads.submit(cache.prefetch, [[uri]]) for _ in range(2)]
        server.wait_for_requests(1)
        server.release()
        found = {key.result(timeout=20) for key in keys}.union(*(task.result(timeout=20) for task in tasks))
        for prefetch in prefetches:
            prefetch.result(timeout=20)
    assert len(found) == 1
    assert server.requests == 1


def test_whoever_joins_a_fetch_that_began_before_is_not_refused_for_good(endpoint: Endpoint, clock: Clock) -> None:
    joined = threading.Event()

    def clock_that_tells_who_looks() -> float:  # read with the lock held
        if threading.current_thread().name == "joiner":
            joined.set()
        return clock()

    fetch = Holding(endpoint)
    cache = cache_of(URI, clock_that_tells_who_looks, fetch=fetch, deadline=20)
    refusals: dict[str, BaseException] = {}

    def look_up() -> None:
        refusals[threading.current_thread().name] = error_of(cache, URI, "new")

    starter, joiner = (threading.Thread(target=look_up, name=name) for name in ("starter", "joiner"))
    starter.start()
    assert fetch.began.wait(timeout=20)  # what is on its way may have been written before the pool had the key
    joiner.start()
    assert joined.wait(timeout=20)
    cache.status()  # once the lock is free, the joiner waits for the fetch
    fetch.may_end.set()
    starter.join(timeout=20)
    joiner.join(timeout=20)
    assert {name: (type(error), error.transient) for name, error in refusals.items()} == {  # type: ignore[attr-defined]
        "starter": (UnknownKeyError, False),
        "joiner": (UnknownKeyError, True),
    }


def test_keys_that_came_while_a_caller_was_on_its_way_serve_it(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    faster: list[JwksCache] = []

    def clock_of_a_caller_who_is_overtaken() -> float:
        while faster:
            faster.pop().key(URI, kid)
        return clock()

    cache = cache_of(URI, clock_of_a_caller_who_is_overtaken, fetch=endpoint)
    faster.append(cache)
    cache.key(URI, kid)
    assert endpoint.fetches == 1


def test_tasks_are_told_as_threads_are(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    absent = "https://absent.example/"
    endpoint.answers[absent] = LookupError()
    cache = cache_of(URI, clock, fetch=endpoint)
    cache.add_source(absent)

    async def code_of(uri: str, siblings: Sequence[str] = ()) -> str:
        with pytest.raises(CognitoVerifyError) as refusal:
            await cache.key_async(uri, "forged", siblings)
        return refusal.value.code

    async def outcomes() -> list[object]:
        key = await cache.key_async(URI, kid)
        return [
            await cache.key_async(URI, kid) is key,
            await code_of(URI),
            await code_of(absent),
            await code_of(absent, [URI]),
        ]

    assert asyncio.run(outcomes()) == [True, "unknown_key", "keys_unavailable", "unknown_key"]


def test_a_key_at_hand_is_found_while_another_holds_the_lock(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    looking, may_look_away = threading.Event(), threading.Event()

    def slow_clock() -> float:  # read with the lock held
        if threading.current_thread().name == "holder":
            looking.set()
            may_look_away.wait(timeout=20)
        return clock()

    cache = cache_of(URI, slow_clock, fetch=endpoint)
    key = cache.key(URI, kid)
    holder = threading.Thread(target=cache.status, name="holder")
    holder.start()
    assert looking.wait(timeout=20)
    with ThreadPoolExecutor(2) as threads:
        found = threads.submit(cache.key, URI, kid), threads.submit(asyncio.run, cache.key_async(URI, kid))
        try:
            assert [one.result(timeout=3) for one in found] == [key, key]
        finally:
            may_look_away.set()
    holder.join(timeout=20)


# One refreshes, the others go on


def test_one_caller_refreshes_while_others_go_on_and_even_that_one_does_not_wait_for_long(
    server: JwksServer, uri: str, clock: Clock, kid: str
) -> None:
    cache, cache_of_tasks = cache_of(uri, clock, deadline=20), cache_of(uri, clock, deadline=20)
    old, old_of_tasks = cache.key(uri, kid), cache_of_tasks.key(uri, kid)
    clock.now += HOUR
    server.answers(Answer(stall="head"))
    with ThreadPoolExecutor(2) as threads:
        refresher = threads.submit(cache.key, uri, kid)
        task = threads.submit(asyncio.run, cache_of_tasks.key_async(uri, kid))
        server.wait_for_requests(4)
        for _ in range(100):
            assert cache.key(uri, kid) is old
            assert cache_of_tasks.key(uri, kid) is old_of_tasks
        assert refresher.result(timeout=15) is old
        assert task.result(timeout=15) is old_of_tasks
    assert server.requests == 4  # and both still stall
    server.release()
    flights_over()
    new = cache.key(uri, kid)
    assert new is not old
    assert server.requests == 4


def test_a_caller_without_keys_waits_longer_than_one_who_has_some(
    endpoint: Endpoint, clock: Clock, kid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(uri: str, seconds: float) -> bytes:
        time.sleep(0.1)
        return endpoint(uri, seconds)

    monkeypatch.setattr(cognito_verify.jwks, "_REFRESH_PATIENCE", 0.01)
    cache = cache_of(URI, clock, fetch=fetch, deadline=20)
    cache.key(URI, kid)
    assert endpoint.fetches == 1


def test_a_refresh_that_ends_in_time_gives_its_caller_the_new_keys(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    fetch = Holding(endpoint)
    fetch.may_end.set()
    cache = cache_of(URI, clock, fetch=fetch)
    old = cache.key(URI, kid)
    fetch.may_end.clear()
    fetch.began.clear()
    clock.now += HOUR
    with ThreadPoolExecutor(1) as threads:
        refresher = threads.submit(cache.key, URI, kid)
        assert fetch.began.wait(timeout=20)
        assert cache.key(URI, kid) is old
        fetch.may_end.set()
        assert refresher.result(timeout=20) is not old


def test_known_kids_are_not_slowed_by_a_lookup_of_a_forged_one(
    server: JwksServer, uri: str, clock: Clock, kid: str
) -> None:
    cache = cache_of(uri, clock)
    key = cache.key(uri, kid)
    clock.now += 10
    server.answers(Answer(stall="head"))
    with ThreadPoolExecutor(4) as threads:
        forgers = [threads.submit(error_of, cache, uri, f"forged {number}") for number in range(4)]
        server.wait_for_requests(2)
        for _ in range(1_000):
            assert cache.key(uri, kid) is key
        assert not any(forger.done() for forger in forgers)
        server.release()
        assert {type(forger.result(timeout=20)) for forger in forgers} == {UnknownKeyError}
    assert server.requests == 2


# Threads that do not come back


def test_a_fetch_that_is_stuck_is_left_behind_and_no_other_starts_beside_it(
    endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    fetch = Holding(endpoint)
    cache = cache_of(URI, clock, fetch=fetch, deadline=0.2)
    assert type(error_of(cache, URI, kid)) is KeysUnavailableError
    for _ in range(3):
        clock.now += 1_000
        fetch.began.clear()
        assert "no complete answer within 0.2 s" in str(error_of(cache, URI, kid))
        cache.refresh_due()
        assert not fetch.began.is_set()
    threads = [thread for thread in threading.enumerate() if thread.name == "cognito-verify-jwks"]
    assert [thread.daemon for thread in threads] == [True]  # which lets the interpreter end
    fetch.may_end.set()
    flights_over()
    assert cache.status()[URI]["state"] == "never"  # nobody vouches for what came so late
    cache.key(URI, kid)
    assert endpoint.fetches == 2


@pytest.mark.parametrize("is_task", [False, True], ids=["thread", "task"])
def test_a_caller_gives_up_at_its_deadline_though_an_answer_is_about_to_come(
    endpoint: Endpoint, clock: Clock, kid: str, is_task: bool
) -> None:
    given_up = threading.Event()

    def fetch(uri: str, seconds: float) -> bytes:
        given_up.wait(timeout=20)  # so long only where the caller does not give up
        return endpoint(uri, seconds)

    cache = cache_of(URI, clock, fetch=fetch, deadline=0.1)
    with pytest.raises(KeysUnavailableError, match=r"no complete answer within 0\.1 s"):
        asyncio.run(cache.key_async(URI, kid)) if is_task else cache.key(URI, kid)
    given_up.set()
    flights_over()


def test_a_caller_whose_time_ends_before_the_fetch_that_it_joined_cannot_tell(
    endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    refusals: list[BaseException] = []
    late = threading.Thread(target=lambda: refusals.append(error_of(cache, URI, "new")))

    def slow_clock() -> float:  # read with the lock held
        if threading.current_thread().name == "prefetch" and late.ident is None:
            late.start()  # its time runs from here on, and it waits for the lock
            time.sleep(0.15)
        return clock()

    fetch = Holding(endpoint)
    fetch.may_end.set()
    cache = cache_of(URI, slow_clock, fetch=fetch, deadline=0.3)
    cache.key(URI, kid)
    fetch.may_end.clear()
    clock.now += 10
    prefetch = threading.Thread(target=cache.prefetch, args=([[URI]],), name="prefetch")
    prefetch.start()  # its fetch begins 0.15 s after the other one's time
    prefetch.join(timeout=20)
    late.join(timeout=20)
    fetch.may_end.set()
    assert [type(refusal) for refusal in refusals] == [KeysUnavailableError]
    assert f"({URI}: no answer yet)" in str(refusals[0])


def test_a_sibling_is_given_its_own_time(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    absent, sibling = "https://absent.example/", "https://sibling.example/"
    held = Holding(endpoint)

    def fetch(uri: str, seconds: float) -> bytes:
        if uri == absent:
            time.sleep(0.25)
            raise LookupError(uri)
        return held(uri, seconds)

    cache = cache_of(sibling, clock, fetch=fetch, deadline=0.5)
    cache.add_source(absent)
    with pytest.raises(KeysUnavailableError):
        cache.key(absent, "forged", [sibling])  # half of its time is spent when the sibling's fetch starts
    held.may_end.set()
    cache.key(sibling, kid)
    assert endpoint.fetches == 1


def test_a_fetch_that_ends_after_its_caller_left_counts_for_those_who_come_later(
    endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    fetch = Holding(endpoint)
    cache = cache_of(URI, clock, fetch=fetch, deadline=20)

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cache.key_async(URI, kid), timeout=0.05)

    asyncio.run(leave())
    fetch.may_end.set()
    cache.key(URI, kid)
    assert endpoint.fetches == 1


@pytest.fixture
def no_thread_to_be_had() -> Iterator[None]:
    size = threading.stack_size(1 << 46)  # more than any machine has: the operating system refuses
    yield
    threading.stack_size(size)


@pytest.mark.usefixtures("no_thread_to_be_had")
@pytest.mark.parametrize("background_refresh", [False, True])
def test_without_a_thread_for_the_fetch_the_keys_are_unavailable_until_there_is_one(
    endpoint: Endpoint, clock: Clock, kid: str, background_refresh: bool
) -> None:
    cache = cache_of(URI, clock, fetch=endpoint, background_refresh=background_refresh, ttl=1)
    assert "no thread for the fetch" in str(error_of(cache, URI, kid))
    threading.stack_size(0)
    clock.now += 10
    cache.key(URI, kid)
    names = [thread.name for thread in threading.enumerate()]
    assert ("cognito-verify-refresh" in names) is background_refresh
    del cache
    refreshers_over()


def interrupted(*args: object, **options: object) -> None:
    raise KeyboardInterrupt(args, options)  # as any signal handler may, at any moment


@pytest.mark.parametrize("step", ["__init__", "start"])
def test_a_fetch_whose_start_was_interrupted_does_not_block_its_uri(
    endpoint: Endpoint, clock: Clock, kid: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    cache = cache_of(URI, clock, fetch=endpoint, deadline=0.1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            cache.key(URI, kid)
    assert type(error_of(cache, URI, kid)) is KeysUnavailableError  # waits for a fetch that nobody makes
    clock.now += 10
    cache.key(URI, kid)
    assert endpoint.fetches == 1


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda cache, kid: cache.key(URI, kid), id="key"),
        pytest.param(lambda cache, _: cache.prefetch([[URI]]), id="prefetch"),
        pytest.param(lambda cache, _: cache.refresh_due(), id="refresh"),
    ],
)
def test_a_fetch_that_nobody_makes_is_over_once_its_time_is(
    endpoint: Endpoint,
    clock: Clock,
    kid: str,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[JwksCache, str], object],
) -> None:
    stuck, may_end = "https://stuck.example/", threading.Event()

    def fetch(uri: str, seconds: float) -> bytes:
        if uri == stuck:
            may_end.wait(timeout=20)
        return endpoint(uri, seconds)

    cache = cache_of(URI, clock, fetch=fetch, deadline=0.3)
    cache.add_source(stuck)
    cache.key(URI, kid)
    clock.now += HOUR
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cache.refresh_due()
    with pytest.raises(KeysUnavailableError, match=r"no complete answer within 0\.3 s"):
        cache.prefetch([[stuck]])  # ends after the other's time
    clock.now += 10
    ask(cache, kid)
    may_end.set()
    flights_over()
    assert endpoint.uris.count(URI) == 2


# Tasks that go away


def test_a_cancelled_task_cancels_neither_the_fetch_nor_its_fellow_waiters(
    endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    fetch = Holding(endpoint)
    cache = cache_of(URI, clock, fetch=fetch, deadline=20)

    async def cancel_one() -> VerifyingKey:
        first, second = (asyncio.create_task(cache.key_async(URI, kid)) for _ in range(2))
        await asyncio.to_thread(fetch.began.wait, 20)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        fetch.may_end.set()
        return await second

    assert asyncio.run(cancel_one()) is cache.key(URI, kid)
    assert endpoint.fetches == 1


def test_an_event_loop_that_is_closed_with_waiters_leaves_the_fetch_alone(
    endpoint: Endpoint, clock: Clock, kid: str, caplog: pytest.LogCaptureFixture
) -> None:
    fetch = Holding(endpoint)
    cache = cache_of(URI, clock, fetch=fetch, deadline=20)

    async def leave() -> None:
        for _ in range(3):
            asyncio.create_task(cache.key_async(URI, kid))  # noqa: RUF006 - cancelled when the loop closes
        await asyncio.to_thread(fetch.began.wait, 20)

    asyncio.run(leave())
    fetch.may_end.set()
    flights_over()
    assert cache.status()[URI]["state"] == "fresh"
    assert caplog.records == []


# Background refresh


def refreshers_over() -> None:
    """Wait until no cache refreshes in the background: their threads end with their caches."""
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "cognito-verify-refresh":
            thread.join(timeout=10)
            assert not thread.is_alive()


def test_a_background_refresh_comes_before_ttl_has_run_out_and_ends_with_its_cache(
    server: JwksServer, uri: str, kid: str
) -> None:
    cache = cache_of(uri, time.time, ttl=0.5, cooldown=0, background_refresh=True)
    cache.key(uri, kid)
    server.wait_for_requests(3)  # nobody asks for a key
    cache.key(uri, kid)
    gone = weakref.ref(cache)
    flights_over()
    del cache
    refreshers_over()
    assert gone() is None


def test_with_a_background_refresh_nobody_waits_for_keys_that_may_still_be_served(
    endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    fetch = Holding(endpoint)
    fetch.may_end.set()
    cache = cache_of(URI, clock, fetch=fetch, background_refresh=True, ttl=1, deadline=20)
    old = cache.key(URI, kid)
    fetch.may_end.clear()
    fetch.began.clear()
    clock.now += 1
    assert cache.key(URI, kid) is old
    assert fetch.began.wait(timeout=20)
    fetch.may_end.set()
    flights_over()
    assert cache.key(URI, kid) is not old
    del cache
    refreshers_over()


def test_keys_of_a_short_life_are_looked_at_ten_times_in_it(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    refreshed = threading.Event()

    def fetch(uri: str, seconds: float) -> bytes:
        if endpoint.fetches:
            refreshed.set()
        return endpoint(uri, seconds)

    cache = cache_of(URI, clock, fetch=fetch, ttl=0.1, background_refresh=True)
    cache.key(URI, kid)
    waits = []
    for _ in range(5):
        clock.now += 0.1
        began = time.monotonic()
        assert refreshed.wait(timeout=20)
        waits.append(time.monotonic() - began)
        flights_over()
        refreshed.clear()
    # The first look came at once, each other after 0.01 s; keys that live longer are looked at every second.
    # A machine that stalls draws out one wait, not all of them.
    assert min(waits[1:]) < 0.9
    del cache
    refreshers_over()


def test_one_thread_refreshes_all_sources_of_a_cache(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    cache = cache_of(URI, clock, fetch=endpoint, background_refresh=True, ttl=1)
    cache.add_source("https://other.example/")
    cache.key(URI, kid)
    cache.key("https://other.example/", kid)
    threads = [thread for thread in threading.enumerate() if thread.name == "cognito-verify-refresh"]
    assert [thread.daemon for thread in threads] == [True]  # which lets the interpreter end
    del cache
    refreshers_over()


# Forks


def in_a_child(do: Callable[[], object]) -> int:
    """What a forked child makes of `do`: 0, 1 if that gives False. A child that hangs is ended by an alarm."""
    child = os.fork()
    if child == 0:
        status = 3
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)
            status = 1 if do() is False else 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@needs_fork
def test_a_child_fetches_at_once_where_the_fork_came_in_the_middle_of_a_fetch(
    server: JwksServer, uri: str, clock: Clock, kid: str
) -> None:
    cache = cache_of(uri, clock, timeout=(20, 20), deadline=20)
    server.answers(Answer(stall="head"), Answer())
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(cache.key, uri, kid)
        server.wait_for_requests(1)
        assert in_a_child(lambda: cache.key(uri, kid)) == 0
        assert server.requests == 2
        assert not waiting.done()
        server.release()
        waiting.result(timeout=20)  # the parent's own fetch goes on
    assert server.requests == 2


@needs_fork
def test_a_child_has_no_connection_of_its_parents(server: JwksServer, uri: str, clock: Clock, kid: str) -> None:
    def sockets() -> int:
        return sum("socket:" in os.path.realpath(path) for path in descriptors.iterdir())

    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("needs /proc")
    cache = cache_of(uri, clock, deadline=20)
    server.answers(Answer(stall="head"))
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(cache.key, uri, kid)
        server.wait_for_requests(1)
        in_parent = sockets()
        assert in_a_child(lambda: sockets() == in_parent - 1) == 0  # the server's ends are still there
        server.release()
        waiting.result(timeout=20)


@needs_fork
def test_a_child_does_not_inherit_a_lock_that_was_held(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    looking, may_look_away = threading.Event(), threading.Event()

    def slow_clock() -> float:  # read with the lock held
        if threading.current_thread().name == "holder":
            looking.set()
            may_look_away.wait(timeout=20)
        return clock()

    cache = cache_of(URI, slow_clock, fetch=endpoint)
    holder = threading.Thread(target=cache.status, name="holder")
    holder.start()
    assert looking.wait(timeout=20)
    assert in_a_child(lambda: cache.key(URI, kid)) == 0
    may_look_away.set()
    holder.join(timeout=20)
    assert endpoint.fetches == 0  # the child's fetch was the child's
    cache.key(URI, kid)


@needs_fork
def test_a_child_keeps_the_keys_and_the_cooldown_that_it_was_born_with(
    endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    cache = cache_of(URI, clock, fetch=endpoint)
    key = cache.key(URI, kid)

    def child() -> bool:
        forged = error_of(cache, URI, "forged")
        return cache.key(URI, kid) is key and isinstance(forged, UnknownKeyError) and endpoint.fetches == 1

    flights_over()
    assert in_a_child(child) == 0


@needs_fork
def test_a_child_refreshes_in_the_background_once_it_fetches(endpoint: Endpoint, clock: Clock, kid: str) -> None:
    cache = cache_of(URI, clock, fetch=endpoint, background_refresh=True, ttl=1)
    cache.key(URI, kid)
    flights_over()

    def child(cache: JwksCache = cache) -> bool:
        alone = threading.active_count() == 1
        clock.now += 1
        cache.key(URI, kid)
        return alone and "cognito-verify-refresh" in [thread.name for thread in threading.enumerate()]

    assert in_a_child(child) == 0
    del cache, child
    refreshers_over()


FORK_IN_MID_IMPORT = """
import importlib.abc, os, signal, sys, threading, time

signal.alarm(8)

class Slow(importlib.abc.MetaPathFinder):
    '''Makes an import long enough to fork in it.'''
    def find_spec(self, name, path, target=None):
        if name == "urllib3.poolmanager":
            importing.set()
            time.sleep(0.3)

importing = threading.Event()
sys.meta_path.insert(0, Slow())

from cognito_verify.jwks import JwksCache

uri, kid = sys.argv[1:]
cache = JwksCache()
cache.add_source(uri)
assert "requests" not in sys.modules
thread = threading.Thread(target=cache.key, args=(uri, kid))
thread.start()
assert importing.wait(20)
child = os.fork()
if child == 0:
    signal.alarm(5)
    status = 3
    try:
        status = 0 if cache.key(uri, kid) else 1
    finally:
        os._exit(status)
thread.join()
other = JwksCache()
other.add_source(uri)
other.key(uri, kid)  # and the parent goes on importing
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), end="")
"""


@needs_fork
def test_a_fork_waits_for_the_imports_of_a_fetch(uri: str, kid: str) -> None:
    program = [sys.executable, "-c", FORK_IN_MID_IMPORT, uri, kid]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.stderr) == ("0", "")


# Many at once


def test_nobody_hangs_and_no_good_token_is_refused_while_an_endpoint_flaps(
    endpoint: Endpoint, clock: Clock, kid: str
) -> None:
    cache = cache_of(URI, clock, fetch=endpoint)
    cache.key(URI, kid)
    good = endpoint.answer
    over = threading.Event()
    meeting = threading.Barrier(9)

    def look_up() -> int:
        meeting.wait(timeout=20)
        count = 0
        while not over.is_set():
            cache.key(URI, kid)
            error_of(cache, URI, "forged")
            json.dumps(cache.status())
            count += 1
        return count

    with ThreadPoolExecutor(8) as threads:
        lookups = [threads.submit(look_up) for _ in range(8)]
        meeting.wait(timeout=20)
        for turn in range(40):
            endpoint.answer = good if turn % 3 else OSError("down")
            clock.now += 2_000
            time.sleep(0.01)
        over.set()
        assert all(lookup.result(timeout=20) for lookup in lookups)
    assert endpoint.fetches <= 41
