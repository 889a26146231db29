"""Key sets by JWKS URI: fetched once for any number of threads and tasks, refreshed, and kept through an outage.

The only room that imports requests. Which URI is asked is the configuration's to say, never a token's.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypedDict, TypeVar

from cognito_verify.errors import ConfigurationError, KeysUnavailableError, UnknownKeyError, shown
from cognito_verify.keys import COGNITO_ALGORITHMS, KeySet, VerifyingKey

if TYPE_CHECKING:
    from concurrent.futures import Future

    import requests

    from cognito_verify.observer import Observer

__all__ = ["JwksCache", "JwksStatus"]

_MAX_RESPONSE_BYTES = 512 * 1024
_MAX_BACKOFF = 300.0  # seconds
_REFRESH_PATIENCE = 1.0  # seconds for which a caller waits for new keys while the old ones may still be served
_SHOWN_CHARACTERS = 200  # of a foreign error
_TIMER_SLACK = 0.02  # seconds by which a wait may end early
_MOST_SECONDS = 100 * 366 * 86_400  # of an option
_NEVER, _FOREVER = float("-inf"), float("inf")
_NO_KEYS = KeySet({}, COGNITO_ALGORITHMS)
_T = TypeVar("_T")


class JwksStatus(TypedDict):
    """What a health endpoint tells about the keys of one JWKS URI; goes through `json.dumps` as it is."""

    state: str
    """`never` (no keys so far), `fresh`, `stale` (still served) or `expired` (no longer served)."""
    age: float | None
    """Seconds since the keys were fetched; None for bundled keys and where there are none."""
    key_ids: list[str]
    last_error: str | None
    """What went wrong with the last fetch; None where it went well or there was none."""
    is_absent: bool
    """Whether the last fetch said that this issuer has no keys (403, 404, or a `LookupError` of `fetch=`)."""
    next_fetch_in: float
    """Seconds until the next fetch is allowed; 0 for now."""
    clock_skew: int | None
    """Seconds by which our clock is ahead of the endpoint's, as its `Date` tells in whole ones; negative: behind. None
    where the last fetch brought no answer, or one without a `Date`."""


class JwksCache:
    """Key sets by JWKS URI, for one verifier or for several.

    Fresh for `ttl`; then one caller refreshes, for which it waits at most a second, while the others go on with the
    keys at hand. When refreshes fail, keys are served for `max_stale` more. An unknown `kid` fetches at once, but never
    more often than every `cooldown`. Safe for threads, tasks and forks.

    Args:
        ttl: Seconds for which a fetched set is fresh.
        max_stale: Seconds beyond `ttl` for which it is served when refreshes fail; 0 fails closed at once.
        cooldown: Seconds between two fetches of a URI that an unknown `kid`, or having no keys, causes. Failed
            refreshes wait twice as long each time, at most 300 s.
        timeout: Seconds to connect and to wait for the next bytes, for each request.
        deadline: Seconds that a caller waits at most, whatever the server does.
        retries: Further requests of a fetch after a connection that fails, a 429 or a 5xx.
        fetch: Called with the URI and the seconds that are left, in place of HTTPS; returns the JWKS as bytes. A
            `LookupError` says that this issuer has no keys, as HTTP's 403 and 404 do. It is not retried.
        background_refresh: Refresh before `ttl` has run out, from a thread, so that no caller ever waits for a refresh.
            For long-running servers; in Lambda threads stand still between invocations.
        observer: Called with a `FetchEvent` after each fetch.
        clock: Seconds since the epoch. Not monotonic: a restored SnapStart image must see that time has passed.

    Raises:
        ConfigurationError: A duration that is negative, over a hundred years or no number, or another option of a
            wrong type.

    Source: "Verifying JSON web tokens", Amazon Cognito Developer Guide; RFC 7517 section 5.
    """

    def __init__(
        self,
        *,
        ttl: float = 3_600,
        max_stale: float = 21_600,
        cooldown: float = 10,
        timeout: tuple[float, float] = (1.0, 1.5),
        deadline: float = 2.5,
        retries: int = 1,
        fetch: Callable[[str, float], bytes] | None = None,
        background_refresh: bool = False,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not isinstance(timeout, tuple) or len(timeout) != 2:
            raise ConfigurationError(f"timeout: expected seconds to connect and to read, found {shown(timeout)}")
        positive = {"ttl": ttl, "deadline": deadline, "timeout (connect)": timeout[0], "timeout (read)": timeout[1]}
        for name, value in {**positive, "max_stale": max_stale, "cooldown": cooldown}.items():
            if not _is_duration(value) or (name in positive and value == 0):
                least = "more than 0" if name in positive else "0 or more"
                raise ConfigurationError(f"{name}: expected {least} seconds, found {shown(value)}")
        if type(retries) is not int or retries < 0:
            raise ConfigurationError(f"retries: expected a number, 0 or more, found {shown(retries)}")
        if not isinstance(background_refresh, bool):
            raise ConfigurationError(f"background_refresh: expected True or False, found {shown(background_refresh)}")
        for name, function in {"fetch": fetch, "observer": observer, "clock": clock}.items():
            if not callable(function) and (function is not None or name == "clock"):
                raise ConfigurationError(f"{name}: expected a callable, found {type(function).__name__}")
        self._ttl = ttl
        self._max_stale = max_stale
        self._cooldown = cooldown
        self._timeout = timeout
        self._deadline = deadline
        self._retries = retries
        self._fetch = fetch
        self._background_refresh = background_refresh
        self._observer = observer
        self._clock = clock
        self._sources: dict[str, _Source] = {}  # as many as are configured: no token adds one
        self._lock = threading.Lock()
        self._refresher: threading.Thread | None = None
        _caches.add(self)

    def add_source(self, jwks_uri: str, bundled: KeySet | None = None) -> None:
        """Name a URI from which keys may be asked, with the keys that are known already, if any.

        Bundled keys are the operator's word: they do not age, and they stay until a fetch replaces them. Where a fetch
        has brought keys already, these stay. Whoever shares the cache shares the keys of a URI.

        Raises:
            ConfigurationError: Other keys are bundled for this URI already.
        """
        with self._lock:
            source = self._sources.setdefault(jwks_uri, _Source(jwks_uri))
            if bundled is not None and source.fetched_at is None:
                if source.held.keys and not source.held.keys.is_same(bundled):
                    raise ConfigurationError(f"jwks: two different sets of known keys for {jwks_uri}")
                source.held = _Held(bundled, _NEVER, _FOREVER)

    def key(self, jwks_uri: str, kid: str, siblings: Sequence[str] = ()) -> VerifyingKey:
        """The key with this `kid`, from the keys at hand or, where they do not know it, from the endpoint.

        Args:
            jwks_uri: An added URI.
            kid: What the token's header says.
            siblings: The URIs of the pool's other issuers. Where `jwks_uri` answers that it has no keys and one of
                these has, the key is unknown; else a forger who picks that issuer could turn a 401 into a 503.

        Raises:
            UnknownKeyError: The last fetch went well and no usable key has this `kid`.
            KeysUnavailableError: The last fetch failed, and the keys at hand, if any, do not have this `kid`.
        """
        return self._key_at_hand(jwks_uri, kid) or _driven(self._search(jwks_uri, kid, siblings))

    async def key_async(self, jwks_uri: str, kid: str, siblings: Sequence[str] = ()) -> VerifyingKey:
        """As `key`, without holding the event loop or a thread while it waits. A cancelled caller cancels no fetch."""
        key = self._key_at_hand(jwks_uri, kid)
        if key is not None:
            return key
        search = self._search(jwks_uri, kid, siblings)
        try:
            while True:
                flight, seconds = next(search)
                await flight.wait_async(seconds)
        except StopIteration as found:
            return found.value  # type: ignore[no-any-return]

    def prefetch(self, pools: Iterable[Sequence[str]]) -> None:
        """Fetch the keys of all these URIs side by side; of each pool's URIs one must have keys afterwards.

        Raises:
            KeysUnavailableError: A pool has no keys that may be served.
        """
        pools = [tuple(uris) for uris in pools]
        _driven(self._fetch_all([uri for uris in pools for uri in uris]))
        now = self._clock()
        for uris in pools:
            if not any(self._usable(self._sources[uri], now) for uri in uris):
                raise self._unavailable([self._sources[uri] for uri in uris], now)

    def status(self) -> dict[str, JwksStatus]:
        """How the keys of each JWKS URI stand, for a health endpoint. Fetches nothing."""
        with self._lock:
            return {uri: self._status(source, self._settled(source)) for uri, source in self._sources.items()}

    def keys(self, jwks_uri: str) -> KeySet:
        """The keys of an added URI that may be served now; empty where there are none. Fetches nothing."""
        return self._usable(self._sources[jwks_uri], self._clock())

    def __reduce__(self) -> NoReturn:
        raise TypeError("key caches do not pickle: build one per process")

    # The search for a key. It is a generator of flights to wait for, so that threads and tasks share every step of it.

    def _key_at_hand(self, jwks_uri: str, kid: str) -> VerifyingKey | None:
        keys, since, until = self._sources[jwks_uri].held  # one read: the three belong together
        return keys.by_kid.get(kid) if since <= self._clock() < until else None

    def _search(self, jwks_uri: str, kid: str, siblings: Sequence[str]) -> _Search[VerifyingKey]:
        give_up_at = time.monotonic() + self._deadline
        source = self._sources[jwks_uri]
        self._end_if_overdue(source.flight)
        with self._lock:
            now = self._settled(source)
            key = self._usable(source, now).get(kid)
            if key is not None and source.held.is_fresh(now):
                return key
            # Whoever finds stale keys refreshes them, unless another one is about to; the others do not wait.
            started = self._started(source, now, give_up_at, on_demand=key is None)
            flight = source.flight if key is None else started
            is_answered, error, is_absent = True, source.error, source.is_absent
        self._launch(started)
        if flight is not None and not (key is not None and self._background_refresh):
            patience = give_up_at - time.monotonic()
            yield flight, patience if key is None else min(patience, _REFRESH_PATIENCE)
            self._end_if_overdue(flight)
            with self._lock:
                now = self._settled(source)
                key = self._usable(source, now).get(kid)
                is_answered, error, is_absent = flight.has_landed, source.error, source.is_absent
        if key is not None:
            return key
        if not is_answered:
            raise self._unavailable([source], now)
        if error is not None and is_absent:
            if not any(self._usable(self._sources[uri], now) for uri in siblings):
                yield from self._fetch_all(siblings, give_up_at)
            others = [self._sources[uri] for uri in siblings]
            if not any(self._usable(other, self._clock()) for other in others):
                raise self._unavailable([source, *others], now)
        elif error is not None or not self._usable(source, now):
            raise self._unavailable([source], now)
        raise UnknownKeyError(
            f"kid: expected a key that {source.name} publishes, found {shown(kid)}: signed by another pool, forged, "
            "or by a key that was withdrawn" + ("; keys were fetched a moment ago" if started is None else ""),
            transient=started is None,  # a fetch that began before this token came may have missed its key
        )

    def _fetch_all(self, uris: Sequence[str], give_up_at: float | None = None) -> _Search[None]:
        if give_up_at is None:
            give_up_at = time.monotonic() + self._deadline
        flights = []
        for uri in uris:
            source = self._sources[uri]
            self._end_if_overdue(source.flight)
            with self._lock:
                now = self._settled(source)
                is_bundled = source.held.until == _FOREVER
                # Each has its own time: what is left of this caller's might be too little, and a failure is remembered.
                over_at = time.monotonic() + self._deadline
                started = None if is_bundled else self._started(source, now, over_at, on_demand=True)
                flights.append(source.flight)
            self._launch(started)
        for flight in flights:
            if flight is not None:
                yield flight, give_up_at - time.monotonic()
                self._end_if_overdue(flight)

    # What is said of a source. All of this is called with the lock held, or reads what one assignment replaces.

    def _settled(self, source: _Source) -> float:
        """The time, after what a clock that was set back means for the source."""
        now = self._clock()
        if any(before is not None and now < before for before in (source.attempted_at, source.fetched_at)):
            source.attempted_at = None  # the cooldown is over
            if source.fetched_at is not None:  # the keys are stale from now, and `max_stale` runs from now
                self._hold(source, source.held.keys, now - self._ttl)
        return now

    def _usable(self, source: _Source, now: float) -> KeySet:
        return source.held.keys if now < source.held.until + self._max_stale else _NO_KEYS

    def _wait_before_fetch(self, source: _Source, now: float, *, on_demand: bool) -> float:
        """Seconds until a fetch is allowed. On demand: for an unknown `kid`, or without keys that may be served."""
        if source.attempted_at is None:
            return 0.0
        has_run_out = not source.failures and not source.held.is_fresh(now)
        if has_run_out and not (on_demand and self._usable(source, now)):
            return 0.0  # `ttl` is what parts one refresh from the next, even where it is shorter than the cooldown
        wait = self._cooldown
        if not on_demand:
            wait = max(wait, min(self._cooldown * 2 ** min(source.failures - 1, 32), _MAX_BACKOFF))
        return max(0.0, source.attempted_at + wait - now)

    def _unavailable(self, sources: Sequence[_Source], now: float) -> KeysUnavailableError:
        waits = [self._wait_before_fetch(source, now, on_demand=True) for source in sources]
        causes = "; ".join(f"{source.name}: {source.error or 'no answer yet'}" for source in sources)
        return KeysUnavailableError(
            f"keys: the token cannot be judged without the pool's keys ({causes}); next fetch in {min(waits):.0f} s. "
            "Is the endpoint within reach from here (network, proxy)? jwks= brings the keys along",
            retry_after=min(waits),
        )

    def _outlook(self, source: _Source, now: float) -> str:
        """What a failed fetch means for tokens, and when the next one is allowed."""
        if source.held.until == _FOREVER:
            return "bundled keys go on"  # which cause no fetch
        if not self._usable(source, now):
            wait = self._wait_before_fetch(source, now, on_demand=True)
            return f"no keys to go on with; next fetch in {wait:.0f} s"
        left = source.held.until + self._max_stale - now
        wait = self._wait_before_fetch(source, now, on_demand=False)
        return f"keys at hand are served for {left:.0f} s more; next refresh in {wait:.0f} s"

    def _status(self, source: _Source, now: float) -> JwksStatus:
        if not source.held.keys:
            state = "never"
        elif source.held.is_fresh(now):
            state = "fresh"
        else:
            state = "stale" if self._usable(source, now) else "expired"
        return {
            "state": state,
            "age": None if source.fetched_at is None else max(0.0, now - source.fetched_at),
            "key_ids": sorted(source.held.keys),
            "last_error": source.error,
            "is_absent": source.is_absent,
            "next_fetch_in": self._wait_before_fetch(source, now, on_demand=True),
            "clock_skew": source.clock_skew,
        }

    # Flights: one fetch at a time for each URI, in a thread that nobody waits for longer than the deadline.

    def _started(self, source: _Source, now: float, give_up_at: float, *, on_demand: bool) -> _Flight | None:
        """A new flight, to be launched once the lock is released, or None where none is allowed now."""
        if source.flight is not None or self._wait_before_fetch(source, now, on_demand=on_demand):
            return None
        source.attempted_at = now
        source.flight = _Flight(source, now, give_up_at)
        return source.flight

    def _launch(self, flight: _Flight | None) -> None:
        if flight is None:
            return
        import_module("logging")  # 4 ms; before anything that may be in the way of a fork, see _import_for_fetch
        flight.thread = threading.Thread(target=self._fly, args=(flight,), name="cognito-verify-jwks", daemon=True)
        try:
            flight.thread.start()
        except RuntimeError as error:  # no thread to be had, or the interpreter is about to end
            self._land(flight, _FetchFailure(f"no thread for the fetch: {error}"))
        if self._background_refresh:
            self._start_refresher()

    def _fly(self, flight: _Flight) -> None:
        outcome: KeySet | _FetchFailure = _FetchFailure("the fetch ended unforeseen")
        try:
            _import_for_fetch(with_requests=self._fetch is None, with_observer=self._observer is not None)
            outcome = _key_set(self._body(flight))
        except _FetchFailure as failure:
            outcome = failure
        except ImportError as error:  # told, not raised: a thread's traceback at the end of a process may abort it
            outcome = _FetchFailure(f"requests cannot be imported ({error})")
        finally:
            self._land(flight, outcome)

    def _body(self, flight: _Flight) -> bytes:
        if self._fetch is not None:
            return _called(self._fetch, flight.source.uri, flight.seconds_left())
        for _ in range(self._retries):
            try:
                return _requested(flight, self._timeout)
            except _FetchFailure as failure:
                if not failure.is_worth_a_retry or flight.seconds_left() <= 0 or flight.has_landed:
                    raise
        return _requested(flight, self._timeout)

    def _land(self, flight: _Flight, outcome: KeySet | _FetchFailure, *, is_over: bool = True) -> None:
        source = flight.source
        try:
            with self._lock:
                if is_over and source.flight is flight:
                    source.flight = None  # not before: while a thread that was given up on lives, no other starts
                if flight.has_landed:
                    return  # given up on long ago: nobody vouches for what came so late
                flight.has_landed = True
                source.clock_skew = flight.clock_skew
                age = self._settle(source, flight.started_at, outcome)
                outlook = "" if isinstance(outcome, KeySet) else self._outlook(source, self._settled(source))
            # Before the callers go on: when they have answered, a Lambda function stands still.
            if isinstance(outcome, _FetchFailure):
                import logging

                level = logging.INFO if outcome.is_absent else logging.WARNING
                logging.getLogger("cognito_verify").log(
                    level, "keys: expected a key set from %s, found none: %s; %s", source.name, outcome, outlook
                )
            if self._observer is not None:
                _tell(self._observer, flight, outcome, age)
        finally:
            flight.end()

    def _settle(self, source: _Source, started_at: float, outcome: KeySet | _FetchFailure) -> float | None:
        """Write down how a fetch went; returns how old the keys were when it started, if there are any."""
        if isinstance(outcome, KeySet):
            self._hold(source, outcome, started_at)
            source.failures, source.error, source.is_absent = 0, None, False
        else:
            source.failures += 1
            source.error, source.is_absent = str(outcome), outcome.is_absent
            if source.fetched_at is not None:  # a clock set back to before this fetch makes them no fresher
                source.held = source.held._replace(since=started_at)
        return None if source.fetched_at is None else started_at - source.fetched_at

    def _end_if_overdue(self, flight: _Flight | None) -> None:
        if flight is not None and flight.seconds_left() <= _TIMER_SLACK:
            failure = _FetchFailure(f"no complete answer within {self._deadline:g} s")
            self._land(flight, failure, is_over=not flight.has_thread())
            flight.shut()

    def _hold(self, source: _Source, keys: KeySet, fetched_at: float) -> None:
        source.fetched_at = fetched_at
        source.held = _Held(keys, fetched_at, fetched_at + self._ttl)

    # Refreshing ahead of time, for long-running servers.

    def refresh_due(self) -> None:
        """Start fetching keys four fifths of whose `ttl` are over.

        `background_refresh` does it every second, or every tenth of `ttl` where that is shorter.
        """
        for source in list(self._sources.values()):
            self._end_if_overdue(source.flight)
            started = None
            with self._lock:
                now = self._settled(source)
                if source.fetched_at is not None and now >= source.fetched_at + 0.8 * self._ttl:
                    started = self._started(source, now, time.monotonic() + self._deadline, on_demand=False)
            self._launch(started)

    def _start_refresher(self) -> None:
        with self._lock:
            if self._refresher is None or not self._refresher.is_alive():
                self._refresher = threading.Thread(
                    target=_refresh_until_gone,
                    args=(weakref.ref(self), min(1.0, self._ttl / 10)),
                    name="cognito-verify-refresh",
                    daemon=True,
                )
                with suppress(RuntimeError):  # no thread to be had: the next fetch tries again
                    self._refresher.start()

    def _after_fork(self) -> None:
        """What a child process must not inherit: a lock that is held for ever, and threads that it does not have."""
        self._lock = threading.Lock()
        self._refresher = None
        for source in self._sources.values():
            if source.flight is not None:
                source.flight.abandon()
                source.flight = source.attempted_at = None


class _Held(NamedTuple):
    """Keys and the span of time in which they are fresh, replaced as a whole: they are read without a lock."""

    keys: KeySet
    since: float
    until: float

    def is_fresh(self, now: float) -> bool:
        return self.since <= now < self.until


class _Source:
    """All that is known of one JWKS URI."""

    __slots__ = (
        *("attempted_at", "clock_skew", "error", "failures", "fetched_at"),
        *("flight", "held", "is_absent", "name", "uri"),
    )

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.name = uri.partition("?")[0]  # for messages: a signed URL's query is a secret
        self.held = _Held(_NO_KEYS, _NEVER, _NEVER)
        self.fetched_at: float | None = None  # when the fetch of the held keys started
        self.attempted_at: float | None = None  # when the last fetch started
        self.failures = 0  # in a row
        self.error: str | None = None  # of the last fetch
        self.is_absent = False  # the last fetch said that this issuer has no keys
        self.clock_skew: int | None = None  # as the last fetch found it
        self.flight: _Flight | None = None


class _Flight:
    """One fetch on its way: its deadline, its sockets, and whoever waits for it."""

    def __init__(self, source: _Source, started_at: float, give_up_at: float) -> None:
        from concurrent.futures import Future  # 5 ms that a process with its keys at hand never pays

        self.source = source
        self.started_at = started_at
        self.thread: threading.Thread | None = None
        self.has_landed = False
        self.clock_skew: int | None = None
        self._launched_at = time.monotonic()
        self._give_up_at = give_up_at
        self._future: Future[None] = Future()
        self._layers: list[Any] = []  # plain sockets and TLS over them

    def seconds_left(self) -> float:
        return self._give_up_at - time.monotonic()

    def seconds_taken(self) -> float:
        return time.monotonic() - self._launched_at

    def has_thread(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def end(self) -> None:
        """Let go on whoever waits."""
        if not self._future.done():
            self._future.set_result(None)

    def wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            self._future.result(max(0.0, seconds))

    async def wait_async(self, seconds: float) -> None:
        import asyncio  # 20 ms; whoever comes here has it

        await asyncio.wait({asyncio.wrap_future(self._future)}, timeout=max(0.0, seconds))

    def watch(self, layer: Any) -> None:
        self._layers.append(layer)

    def shut(self) -> None:
        """Shut the sockets, so that a thread that waits for a server's next byte comes back.

        Timeouts cannot do that: they start anew with each byte. `shutdown` of the plain socket, since TLS's own would
        pull the connection from under the thread that reads from it.
        """
        for plain in self._sockets():
            with suppress(OSError):
                socket.socket.shutdown(plain, socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Close the sockets that are still open, without a word to the other side: a child's share of its parent's."""
        for plain in self._sockets():
            with suppress(OSError):
                os.close(plain.detach())
        self._layers.clear()

    def _sockets(self) -> Iterator[socket.socket]:
        for layer in list(self._layers):
            yield getattr(layer, "socket", layer)  # TLS inside TLS wraps its socket instead of being one


class _FetchFailure(Exception):
    """Why a fetch brought no keys."""

    def __init__(self, message: str, *, is_worth_a_retry: bool = False, is_absent: bool = False) -> None:
        super().__init__(message)
        self.is_worth_a_retry = is_worth_a_retry
        self.is_absent = is_absent


_Search = Generator[tuple[_Flight, float], None, _T]


def _driven(search: _Search[_T]) -> _T:
    try:
        while True:
            flight, seconds = next(search)
            flight.wait(seconds)
    except StopIteration as found:
        return found.value  # type: ignore[no-any-return]


def _called(fetch: Callable[[str, float], bytes], uri: str, seconds: float) -> bytes:
    try:
        return fetch(uri, seconds)
    except LookupError as error:
        message = f"fetch= says that the issuer has no keys ({type(error).__name__})"
        raise _FetchFailure(message, is_absent=True) from None
    except Exception as error:  # noqa: BLE001 - a caller's own callback: whatever it raises, there are no keys
        raise _FetchFailure(f"fetch= raised {_named(error)}") from None


def _import_for_fetch(*, with_requests: bool, with_observer: bool) -> None:
    """Import what a fetch needs, 60 to 90 ms that a process with its keys at hand never pays.

    A process that forks waits for it: its child would find half-imported modules, and keep them.
    """
    with _importing:
        _watch_forks()  # now: hooks run last registered first, and this one may not wait with logging's lock held
        if with_requests:
            import_module("requests.adapters")
        if with_observer:
            import_module("cognito_verify.observer")


def _requested(flight: _Flight, timeout: tuple[float, float]) -> bytes:
    import zlib

    import requests
    from requests.adapters import HTTPAdapter

    # By requests' own name for it: urllib3 is its dependency, not ours.
    from requests.exceptions import BaseHTTPError  # type: ignore[attr-defined]

    class UnredirectedSession(requests.Session):
        """Sees no redirects: requests would read the body of one whole, however large, even if it is not followed."""

        def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - the name is requests'
            return None

    class WatchedAdapter(HTTPAdapter):
        """Shows each socket to the flight as soon as there is one: the deadline holds for the handshake too."""

        def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
            pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
            pool.ConnectionCls = type("Watched", (pool.ConnectionCls,), {"__setattr__": set_and_watch})
            return pool

    def set_and_watch(connection: object, name: str, value: object) -> None:
        if name == "sock" and value is not None:
            flight.watch(value)  # now: http.client forgets a socket while the body of a last answer is still read
        object.__setattr__(connection, name, value)

    left = max(0.001, flight.seconds_left())
    with UnredirectedSession() as session:  # of its own: no cookie, no pooled connection from before a freeze
        session.mount("https://", WatchedAdapter())
        session.mount("http://", WatchedAdapter())
        session.auth = _no_auth
        try:
            with session.get(
                flight.source.uri,
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                timeout=(min(timeout[0], left), min(timeout[1], left)),
                allow_redirects=False,
                stream=True,
            ) as response:
                flight.clock_skew = _clock_skew(response.headers, flight.started_at + flight.seconds_taken())
                _check_answer(response)
                return _received(response)
        # requests' own are OSErrors, urllib3's none; a socket that is shut raises an OSError or a ValueError
        except (OSError, ValueError, BaseHTTPError, zlib.error) as error:
            raise _FetchFailure(_named(_root_cause(error)), is_worth_a_retry=True) from None
        finally:
            flight.abandon()  # urllib3 leaves a socket that breaks off in the wrong moment to the garbage collector


def _check_answer(response: requests.Response) -> None:
    status = response.status_code
    if status != 200:
        redirected = f" to {shown(response.headers.get('Location'))}, not followed" if response.is_redirect else ""
        raise _FetchFailure(
            f"answered {status}{redirected}",
            is_worth_a_retry=status == 429 or status >= 500,
            is_absent=status in (403, 404),
        )


def _clock_skew(headers: Mapping[str, str], now: float) -> int | None:
    """Seconds by which `now` is beyond the answer's `Date` (RFC 9110 section 6.6.1), or None where it tells none.

    `Date` is cut to whole seconds: within the second that it names, clocks agree. What a proxy has kept for a while
    says so in `Age` (RFC 9111 section 5.1).
    """
    from datetime import UTC
    from email.utils import parsedate_to_datetime  # both are there: requests imports them

    try:
        sent = parsedate_to_datetime(headers["Date"])
        sent_at = sent.replace(tzinfo=sent.tzinfo or UTC).timestamp() + int(headers.get("Age", "0"))
        return int((now - sent_at) // 1)
    except (KeyError, ValueError, OverflowError):
        return None


def _received(response: requests.Response) -> bytes:
    """The body, unpacked, of which never more is held than may be kept.

    Not by `iter_content`: urllib3 2.5 unpacks all that a read brings at once (45 MiB of a bomb) and keeps an endless
    line between two chunks (180 MiB in 2.5 s); 2.8 does neither. http.client, which `raw.read` asks, never did.
    """
    import zlib  # 0.2 ms, and whoever comes here has it through urllib3

    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):  # others could unfold a few bytes into gigabytes in one step
        raise _FetchFailure(f"answered with Content-Encoding {shown(encoding)}, unasked")
    unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # gzip alone
    body = b""
    while not unpacking.eof and (part := response.raw.read(16_384, decode_content=False)):
        body += part if encoding == "identity" else unpacking.decompress(part, _MAX_RESPONSE_BYTES + 1 - len(body))
        if len(body) > _MAX_RESPONSE_BYTES:
            raise _FetchFailure("the answer is over 512 KiB")
    return body


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An auth that adds nothing keeps requests from looking for a password in `.netrc`."""
    return request


def _key_set(body: object) -> KeySet:
    if not isinstance(body, bytes) or len(body) > _MAX_RESPONSE_BYTES:
        found = f"{len(body)} bytes" if isinstance(body, bytes) else type(body).__name__
        raise _FetchFailure(f"expected at most 512 KiB as bytes, found {found}")
    try:
        keys = KeySet.from_jwks(body)
    except ConfigurationError as error:
        raise _FetchFailure(f"the answer is no JWKS ({error})") from None
    if not keys:
        raise _FetchFailure("the answer holds no usable RS256 key")
    return keys


def _root_cause(error: BaseException) -> BaseException:
    while error.__context__ is not None:
        error = error.__context__
    return error


def _named(error: BaseException) -> str:
    """The error in a line of its own making: what an endpoint sends may be long, and try to start a line of a log."""
    text = re.sub(r"(?<=//)[^@\n]*@|\?\S*", "...", str(error)[:5_000])  # a proxy's password, a signed URL's query
    return f"{type(error).__name__}: {repr(text[:_SHOWN_CHARACTERS])[1:-1]}"


def _tell(observer: Observer, flight: _Flight, outcome: KeySet | _FetchFailure, age: float | None) -> None:
    from cognito_verify.observer import FetchEvent, notify  # only those who observe pay for it

    notify(
        observer,
        FetchEvent(
            jwks_uri=flight.source.name,
            error=str(outcome) if isinstance(outcome, _FetchFailure) else None,
            keys=len(outcome) if isinstance(outcome, KeySet) else 0,
            seconds=flight.seconds_taken(),
            key_age=age,
        ),
    )


def _is_duration(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _MOST_SECONDS


def _refresh_until_gone(cache: weakref.ref[JwksCache], interval: float) -> None:
    while (living := cache()) is not None:
        living.refresh_due()
        del living
        time.sleep(interval)


_caches: weakref.WeakSet[JwksCache] = weakref.WeakSet()
_importing = threading.RLock()  # one thread may import and, in the midst of it, fork


def _wait_for_imports() -> None:
    # Not for ever: what is imported may itself wait for something that another hook of this fork holds.
    _importing.acquire(timeout=2.0)


def _go_on_importing() -> None:
    with suppress(RuntimeError):  # it was not acquired in time
        _importing.release()


def _renew_after_fork() -> None:
    global _importing  # noqa: PLW0603 - the thread that held it does not exist here
    _importing = threading.RLock()
    for cache in list(_caches):
        cache._after_fork()


@lru_cache(maxsize=1)
def _watch_forks() -> None:
    with suppress(AttributeError):  # on Windows, where nothing forks
        os.register_at_fork(before=_wait_for_imports, after_in_parent=_go_on_importing)


with suppress(AttributeError):
    os.register_at_fork(after_in_child=_renew_after_fork)
