"""CognitoVerifier: raw token in, verified token out. The order of the rules is the order of the lines in here."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, NoReturn, TypeVar, overload

from cachetools import LRUCache

from cognito_verify.claims import (
    check_groups,
    check_max_age,
    check_scopes,
    check_time,
    check_time_claims,
    checked_client,
    expected_claims,
)
from cognito_verify.errors import (
    CognitoVerifyError,
    ConfigurationError,
    InvalidIssuerError,
    MissingTokenError,
    TokenExpiredError,
    shown,
)
from cognito_verify.jwks import JwksCache
from cognito_verify.jws import JsonObject, UnverifiedJws, json_object, parse_compact
from cognito_verify.keys import COGNITO_ALGORITHMS, KeySet, VerifyingKey, check_algorithm
from cognito_verify.pool import JwksSource, UserPool, pool_named_in
from cognito_verify.requirements import Requirement, RequirementSource, requirement
from cognito_verify.tokens import AccessToken, IdToken

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    from cognito_verify.observer import Observation, Observer

    class CommonOptions(TypedDict, total=False):
        """What every form of `CognitoVerifier(...)` and `from_env` takes; explained at the class."""

        groups: RequirementSource | None
        scopes: RequirementSource | None
        leeway: float
        max_age: float | None
        claims: Mapping[str, Any] | None
        checks: Iterable[Check]
        jwks_cache: JwksCache | None
        observer: Observer | None
        token_cache_size: int
        max_token_bytes: int
        clock: Callable[[], float]

    class Options(CommonOptions, total=False):
        """What the string form takes besides."""

        client_id: str | Collection[str] | None
        jwks: JwksSource | None
        jwks_uri: str | None


__all__ = ["Check", "CognitoVerifier", "check_given"]

TokenT_co = TypeVar("TokenT_co", bound=AccessToken | IdToken, covariant=True)
Check = Callable[[Any], object]
"""Called with the verified token. Refuses by raising a `TokenError` or an `AccessDeniedError`; returns None."""


def check_given(raw: object) -> None:
    """There is something to verify, be it a token or not.

    Raises:
        MissingTokenError
    """
    if raw is None or (isinstance(raw, str) and not raw):
        raise MissingTokenError("token: expected one, found nothing")


class _NotSaid:
    """The default of an option that must be said."""

    def __repr__(self) -> str:
        return "<must be said>"


_NOT_SAID: Any = _NotSaid()
_VARIABLES = {
    "user_pool_id": "COGNITO_USER_POOL_ID",
    "client_id": "COGNITO_CLIENT_ID",
    "jwks": "COGNITO_JWKS",
    "jwks_uri": "COGNITO_JWKS_URI",
}
_MOST_SECONDS = 100 * 366 * 86_400


class CognitoVerifier(Generic[TokenT_co]):
    """Verifies the access or ID tokens of one user pool or of several. Thread-safe; build one per process and keep it.

    Args:
        user_pool: A pool's id, a `UserPool` or several.
        client_id: With an id: the app client whose tokens are accepted, or several; None accepts any, and must be said.
        token_use: "access" or "id"; None accepts either. The caller decides, so there is no default.
        groups: Groups that every token must have: a name, several of which any is enough, or `all_of(...)`.
        scopes: Scopes that every token must have, likewise. ID tokens have none.
        leeway: Seconds by which clocks may differ, for `exp` and `nbf`.
        max_age: Seconds since the user authenticated (`auth_time`, or `iat` where there is none), or None.
        claims: Exact values that claims must have, or sets of values of which one.
        checks: Callables `(token) -> None`, run on every call after all else; they refuse by raising.
        jwks: With an id: known keys, so that no fetch is needed. A mapping, JSON text or a path.
        jwks_cache: A cache to share between verifiers.
        jwks_uri: With an id: where the keys are, instead of at the issuer.
        observer: Called with one frozen event per decision or fetch, never with a token. Fetches of a `jwks_cache` that
            is passed in go to that cache's own observer. Whoever waits for a fetch waits for its observer.
        token_cache_size: How many verified tokens are remembered; 0 turns it off.
        max_token_bytes: Longer tokens are refused unread.
        clock: Seconds since the epoch.

    Raises:
        ConfigurationError: A setting is empty, senseless or contradicts another.

    Source: "Verifying JSON web tokens", Amazon Cognito Developer Guide; RFC 7519 section 7.2; RFC 8725.
    """

    @overload
    def __init__(
        self: CognitoVerifier[AccessToken],
        user_pool: str | UserPool | Iterable[UserPool],
        *,
        token_use: Literal["access"],
        **options: Unpack[Options],
    ) -> None: ...

    @overload
    def __init__(
        self: CognitoVerifier[IdToken],
        user_pool: str | UserPool | Iterable[UserPool],
        *,
        token_use: Literal["id"],
        **options: Unpack[Options],
    ) -> None: ...

    @overload
    def __init__(
        self: CognitoVerifier[AccessToken | IdToken],
        user_pool: str | UserPool | Iterable[UserPool],
        *,
        token_use: None,
        **options: Unpack[Options],
    ) -> None: ...

    def __init__(
        self,
        user_pool: str | UserPool | Iterable[UserPool],
        *,
        token_use: str | None,
        client_id: str | Collection[str] | None = _NOT_SAID,
        groups: RequirementSource | None = None,
        scopes: RequirementSource | None = None,
        leeway: float = 0,
        max_age: float | None = None,
        claims: Mapping[str, Any] | None = None,
        checks: Iterable[Check] = (),
        jwks: JwksSource | None = None,
        jwks_cache: JwksCache | None = None,
        jwks_uri: str | None = None,
        observer: Observer | None = None,
        token_cache_size: int = 1_024,
        max_token_bytes: int = 16_384,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if token_use is not None and not (isinstance(token_use, str) and token_use in ("access", "id")):
            raise ConfigurationError(f"token_use: expected 'access', 'id' or None (either), found {shown(token_use)}")
        pools = _pools(user_pool, client_id=client_id, jwks=jwks, jwks_uri=jwks_uri)
        self._token_use = token_use
        max_age = None if max_age is None else _seconds("max_age", max_age)
        needed = _Needed(max_age, _requirements("scopes", scopes), _requirements("groups", groups))
        self._needed = _NOTHING_NEEDED if needed == _NOTHING_NEEDED else needed
        self._leeway = _seconds("leeway", leeway)
        self._claims = expected_claims(claims)
        self._checks = _callables("checks", checks)
        self._observer = None if observer is None else _callables("observer", (observer,))[0]
        self._max_token_bytes = _count("max_token_bytes", max_token_bytes, at_least=1)
        self._clock: Callable[[], float] = _callables("clock", (clock,))[0]
        if jwks_cache is not None and not isinstance(jwks_cache, JwksCache):
            raise ConfigurationError(f"jwks_cache: expected a JwksCache, found {type(jwks_cache).__name__}")
        self._jwks = JwksCache(clock=clock, observer=observer) if jwks_cache is None else jwks_cache
        self._remembered_size = _count("token_cache_size", token_cache_size, at_least=0)
        self._issuers = _issuers(pools)
        self._pools = pools
        bundles = [_bundled(pool) for pool in pools]  # all are read before one is added
        for pool, bundled in zip(pools, bundles, strict=True):
            for uri in pool.issuers.values():
                self._jwks.add_source(uri, bundled)
        self._after_fork()
        _verifiers.add(self)

    @classmethod
    def from_env(cls, **options: Unpack[CommonOptions]) -> CognitoVerifier[AccessToken | IdToken]:
        """A verifier from the environment, with any further options of the class.

        Reads `COGNITO_USER_POOL_ID`, `COGNITO_CLIENT_ID` (comma-separated), `COGNITO_TOKEN_USE` ("access" or "id"),
        `COGNITO_JWKS` (a path or JSON text) and `COGNITO_JWKS_URI`; the last two are optional.

        Raises:
            ConfigurationError: A variable is missing, empty or malformed. "Any client" cannot be said this way.
        """
        return cls.from_variables(os.environ, "the environment", **options)

    @classmethod
    def from_variables(
        cls, variables: Mapping[str, Any], where: str, **options: Unpack[CommonOptions]
    ) -> CognitoVerifier[AccessToken | IdToken]:
        """As `from_env`, for adapters: from a framework's settings, where a value need not be a string.

        Args:
            variables: By the names that `from_env` reads.
            where: What to call them in messages.
        """
        user_pool_id = _variable(variables, where, "COGNITO_USER_POOL_ID")
        client_ids = _variable(variables, where, "COGNITO_CLIENT_ID")
        if isinstance(client_ids, str):
            client_ids = [client_id.strip() for client_id in client_ids.split(",")]
        token_use: Any = _variable(variables, where, "COGNITO_TOKEN_USE")
        if token_use not in ("access", "id"):
            raise ConfigurationError(f"COGNITO_TOKEN_USE: expected 'access' or 'id', found {shown(token_use)}")
        try:
            pool = UserPool(
                user_pool_id,
                client_id=client_ids,
                jwks=_variable(variables, where, "COGNITO_JWKS") if "COGNITO_JWKS" in variables else None,
                jwks_uri=_variable(variables, where, "COGNITO_JWKS_URI") if "COGNITO_JWKS_URI" in variables else None,
            )
            _bundled(pool)
        except ConfigurationError as error:
            option, colon, rest = str(error).partition(":")
            message = f"{_VARIABLES[option]}{colon}{rest}" if option in _VARIABLES else str(error)
            raise ConfigurationError(message) from None
        verifier: CognitoVerifier[AccessToken | IdToken] = cls(pool, token_use=token_use, **options)
        return verifier

    def verify(
        self, raw: str | None, *, groups: RequirementSource | None = None, scopes: RequirementSource | None = None
    ) -> TokenT_co:
        """Verify a token.

        Args:
            raw: The token alone; `bearer_token` takes it out of an `Authorization` header.
            groups: Groups that this call asks for besides the verifier's own.
            scopes: Scopes that this call asks for besides the verifier's own.

        Raises:
            TokenError: Who the bearer is cannot be believed (401); the subclass says why.
            AccessDeniedError: The bearer may not do this (403).
            KeysUnavailableError: The pool's keys cannot be had now (503).
            ConfigurationError: This side is set up wrongly, such as by a check that returns something (500).
        """
        sealed = _Sealed(raw)
        del raw
        if self._observer is None:
            return self._granted(self._verdict(sealed), groups, scopes)
        with _observation(self._observer) as observation:
            return self._granted(_noted(self._verdict(sealed), observation), groups, scopes)

    async def verify_async(
        self, raw: str | None, *, groups: RequirementSource | None = None, scopes: RequirementSource | None = None
    ) -> TokenT_co:
        """As `verify`; a fetch of keys blocks neither the event loop nor a thread, and async checks are awaited."""
        sealed = _Sealed(raw)
        del raw
        if self._observer is None:
            return await self._granted_async(await self._verdict_async(sealed), groups, scopes)
        with _observation(self._observer) as observation:
            return await self._granted_async(_noted(await self._verdict_async(sealed), observation), groups, scopes)

    def verify_within(self, observation: Observation, raw: str | None) -> TokenT_co:
        """As `verify`, for adapters: a part of a decision that they observe and tell of by themselves, once.

        The verifier's own observer is told as well, unless it is the one that the adapter tells.
        """
        sealed = _Sealed(raw)
        del raw
        if self._observer is None or self._observer == observation.observer:
            return self._granted(_noted(self._verdict(sealed), observation), None, None)
        with _observation(self._observer) as own:
            return self._granted(_noted(self._verdict(sealed), own, observation), None, None)

    @property
    def observer(self) -> Observer | None:
        """Who is told of decisions, or None; for adapters."""
        return self._observer

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds since the epoch, as the verifier tells the time; for adapters."""
        return self._clock

    @property
    def leeway(self) -> float:
        """Seconds by which clocks may differ; for adapters whose connections end with their token."""
        return self._leeway

    @property
    def pools(self) -> tuple[UserPool, ...]:
        """The pools whose tokens are verified; for adapters."""
        return self._pools

    @property
    def token_use(self) -> str | None:
        """What kind of token is asked for, None for either; for adapters that want one kind."""
        return self._token_use

    @property
    def max_token_bytes(self) -> int:
        """The length of the longest token that is read; for adapters, which have to find it in a header first."""
        return self._max_token_bytes

    def prefetch(self) -> None:
        """Fetch the keys of every pool now, side by side. A pool needs keys from one of its issuers.

        Raises:
            KeysUnavailableError: A pool has none; an UPDATED issuer that the pool has not switched to does not matter.
        """
        self._jwks.prefetch([tuple(pool.issuers.values()) for pool in self._pools])

    def __repr__(self) -> str:
        return f"CognitoVerifier({', '.join(map(repr, self._pools))}, token_use={self._token_use!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("verifiers do not pickle: build one per process")

    # Who is it? In here a refusal is returned, not raised: the frames that it came through hold parts of the token.

    def _verdict(self, sealed: _Sealed) -> _Verdict | CognitoVerifyError:
        try:
            opened = self._opened(sealed)
            issuer, kid = opened[2], opened[3]
            return self._believed(opened, self._jwks.key(issuer.jwks_uri, kid, issuer.siblings))
        except CognitoVerifyError as error:
            sealed.raw = None  # the frames of an error that is kept would keep it
            return error.with_traceback(None)

    async def _verdict_async(self, sealed: _Sealed) -> _Verdict | CognitoVerifyError:
        try:
            opened = self._opened(sealed)
            issuer, kid = opened[2], opened[3]
            return self._believed(opened, await self._jwks.key_async(issuer.jwks_uri, kid, issuer.siblings))
        except CognitoVerifyError as error:
            sealed.raw = None  # the frames of an error that is kept would keep it
            return error.with_traceback(None)

    def _opened(self, sealed: _Sealed) -> _Opened:
        """Structure, algorithm, issuer: what the token claims, or what is remembered of it."""
        raw, digest = sealed.raw, None
        if type(raw) is not str or not raw:
            check_given(raw)
        if self._remembered_size and type(raw) is str and len(raw) <= self._max_token_bytes and raw.isascii():
            digest = sha256(raw.encode()).digest()
            with self._lock:
                remembered = self._remembered.get(digest)
            if remembered is not None:
                return sealed, digest, remembered.issuer, remembered.kid, remembered, None, remembered.claims
        jws = parse_compact(raw, self._max_token_bytes)
        claims = json_object("payload", jws.payload)
        check_algorithm(jws, COGNITO_ALGORITHMS)
        return sealed, digest, self._issuer_of(claims), jws.kid, None, jws, claims

    def _issuer_of(self, claims: JsonObject) -> _Issuer:
        iss = claims.get("iss")
        issuer = self._issuers.get(iss) if type(iss) is str else None
        if issuer is None:  # looked up in our own list: a foreign `iss` costs no fetch and chooses no key
            raise InvalidIssuerError(f"iss: expected {self._expected_issuers()}, found {self._likely_issuer(iss)}")
        return issuer

    def _believed(self, opened: _Opened, key: VerifyingKey) -> _Verdict:
        """Signature, time, token use, client, resource, other claims; of a remembered token key and time."""
        sealed, digest, issuer, kid, remembered, jws, claims = opened
        now = self._clock()
        if remembered is not None and remembered.key is key:
            try:
                check_time(claims, now, self._leeway)
            except TokenExpiredError:
                with self._lock:
                    self._remembered.pop(digest, None)
                raise
            return remembered.token, claims, now, True
        if jws is None:  # the key was replaced under its kid, or the set was fetched anew
            jws = parse_compact(sealed.raw, self._max_token_bytes)
        pool = issuer.pool
        key.check_signature(jws)
        check_time_claims(claims)
        check_time(claims, now, self._leeway)
        client_id = checked_client(claims, self._token_use, pool.client_ids, pool.resource, self._claims)
        kind: Any = AccessToken if claims["token_use"] == "access" else IdToken
        token = kind(claims, jws.header, sealed.raw, client_id, pool.user_pool_id, pool.resource)
        if digest is not None:
            with self._lock:
                self._remembered[digest] = _Remembered(token, claims, key, issuer, kid)
        return token, claims, now, False

    # May it? Requirements and checks, on every call.

    def _granted(
        self,
        verdict: _Verdict | CognitoVerifyError,
        groups: RequirementSource | None,
        scopes: RequirementSource | None,
    ) -> TokenT_co:
        try:
            token = self._checked_bearer(verdict, groups, scopes)
        finally:
            del verdict
        for check in self._checks:
            _check_answer(check, check(token))
        return token

    async def _granted_async(
        self,
        verdict: _Verdict | CognitoVerifyError,
        groups: RequirementSource | None,
        scopes: RequirementSource | None,
    ) -> TokenT_co:
        try:
            token = self._checked_bearer(verdict, groups, scopes)
        finally:
            del verdict
        for check in self._checks:
            answer = check(token)
            _check_answer(check, await answer if hasattr(answer, "__await__") else answer)
        return token

    def _checked_bearer(
        self,
        verdict: _Verdict | CognitoVerifyError,
        groups: RequirementSource | None,
        scopes: RequirementSource | None,
    ) -> TokenT_co:
        """`max_age`, scopes, groups: the verifier's own requirements and the call's."""
        needed = self._needed
        if groups is not None or scopes is not None:  # read first: a senseless one is our fault, whatever the token is
            needed = _Needed(
                needed.max_age,
                needed.scopes + _requirements("scopes", scopes),
                needed.groups + _requirements("groups", groups),
            )
        if isinstance(verdict, CognitoVerifyError):
            try:
                raise verdict
            finally:
                del verdict  # else the error, its traceback and this frame hold each other, and the raw token
        token: TokenT_co = verdict[0]
        if needed is not _NOTHING_NEEDED:
            needed.check(verdict[1], verdict[2])
        return token

    def _expected_issuers(self) -> str:
        ids = sorted({pool.user_pool_id for pool in self._pools})
        named = " or ".join(ids[:3]) + (f" or one of {len(ids) - 3} more" if len(ids) > 3 else "")
        return f"an issuer of user pool {named}"

    def _likely_issuer(self, iss: object) -> str:
        if not isinstance(iss, str):
            return shown(iss)
        user_pool_id = iss.rpartition("/")[2]
        if any(pool.user_pool_id == user_pool_id for pool in self._pools):
            instead = "that pool under an issuer which the configuration leaves out"
            return f"{shown(iss)}: {instead} (issuer_type=, replica_regions= or issuer= of UserPool)"
        named = pool_named_in(iss)
        if named is None:
            return shown(iss)
        region, user_pool_id = named
        return f"{shown(iss)}: issued by user pool {user_pool_id} of {region}; is that the pool to verify?"

    def _after_fork(self) -> None:
        """A lock that another thread held is held for ever in the child, and its cache may be half changed."""
        self._lock = threading.Lock()
        self._remembered: LRUCache[bytes | None, _Remembered] = LRUCache(max(1, self._remembered_size))


class _Needed(NamedTuple):
    """What a bearer must meet besides being who the token says: `max_age`, scopes, groups, in this order."""

    max_age: float | None
    scopes: tuple[Requirement, ...]
    groups: tuple[Requirement, ...]

    def check(self, claims: JsonObject, now: float) -> None:
        if self.max_age is not None:
            check_max_age(claims, self.max_age, now)
        for required in self.scopes:
            check_scopes(claims, required)
        for required in self.groups:
            check_groups(claims, required)


_NOTHING_NEEDED = _Needed(None, (), ())


class _Sealed:
    """A raw token in a box without a repr: a report with the local variables of our frames must not show it."""

    __slots__ = ("raw",)

    def __init__(self, raw: str | None) -> None:
        self.raw = raw


class _Remembered:
    """A verified token, and the key that vouches for it as long as the pool publishes it."""

    __slots__ = ("claims", "issuer", "key", "kid", "token")

    def __init__(self, token: Any, claims: JsonObject, key: VerifyingKey, issuer: _Issuer, kid: str) -> None:
        self.token = token
        self.claims = claims
        self.key = key
        self.issuer = issuer
        self.kid = kid


class _Issuer:
    """A configured issuer: whose it is, where its keys are, and where those of the pool's other issuers are."""

    __slots__ = ("jwks_uri", "pool", "siblings")

    def __init__(self, pool: UserPool, jwks_uri: str) -> None:
        self.pool = pool
        self.jwks_uri = jwks_uri
        self.siblings = tuple(uri for uri in dict.fromkeys(pool.issuers.values()) if uri != jwks_uri)


# Plain tuples: they pass through the hot path, where a class with fields costs 0.3 us more each.

_Opened = tuple[
    _Sealed,
    bytes | None,  # its digest, where tokens are remembered
    _Issuer,
    str,  # kid
    _Remembered | None,
    UnverifiedJws | None,  # not of a remembered token
    JsonObject,  # the claims
]
"""What a token claims; nobody has vouched for it yet."""

_Verdict = tuple[Any, JsonObject, float, bool]
"""A token that is what it says, its claims, the time of the verdict, and whether the token was seen before."""


def _observation(observer: Observer) -> Observation:
    from cognito_verify.observer import Observation  # only those who observe pay for it

    return Observation(observer)


def _noted(verdict: _Verdict | CognitoVerifyError, *observations: Observation) -> _Verdict | CognitoVerifyError:
    if isinstance(verdict, tuple):
        for observation in observations:
            observation.token_use = verdict[0].token_use
            observation.user_pool_id = verdict[0].user_pool_id
            observation.seen_before = verdict[3]
    return verdict


def _pools(
    user_pool: object, *, client_id: str | Collection[str] | None, jwks: JwksSource | None, jwks_uri: str | None
) -> tuple[UserPool, ...]:
    if isinstance(user_pool, str):
        if client_id is _NOT_SAID:
            raise ConfigurationError("client_id: expected the app client(s); client_id=None accepts any client")
        return (UserPool(user_pool, client_id=client_id, jwks=jwks, jwks_uri=jwks_uri),)
    pools = (user_pool,) if isinstance(user_pool, UserPool) else _members(user_pool)
    for pool in pools:
        if not isinstance(pool, UserPool):
            raise ConfigurationError(f"user_pool: expected UserPool objects in the collection, found {shown(pool)}")
    if client_id is not _NOT_SAID or jwks is not None or jwks_uri is not None:
        raise ConfigurationError("client_id, jwks and jwks_uri belong to a pool's id: UserPool objects carry their own")
    return pools


def _members(user_pool: object) -> tuple[Any, ...]:
    members = (
        tuple(user_pool) if isinstance(user_pool, Iterable) and not isinstance(user_pool, (bytes, Mapping)) else ()
    )
    if not members:
        raise ConfigurationError(f"user_pool: expected an id, a UserPool or several, found {shown(user_pool)}")
    return members


def _issuers(pools: tuple[UserPool, ...]) -> dict[str, _Issuer]:
    issuers: dict[str, _Issuer] = {}
    ids = [pool.user_pool_id for pool in pools]
    for user_pool_id in ids:
        if ids.count(user_pool_id) > 1:
            raise ConfigurationError(f"user_pool: {user_pool_id} is there twice; give one UserPool all its client ids")
    for pool in pools:
        for issuer, jwks_uri in pool.issuers.items():
            if issuer in issuers:
                raise ConfigurationError(f"user_pool: the issuer {issuer} belongs to two of the pools")
            issuers[issuer] = _Issuer(pool, jwks_uri)
    return issuers


def _bundled(pool: UserPool) -> KeySet | None:
    if pool.jwks is None:
        return None
    keys = KeySet.from_jwks(pool.jwks)
    if not keys:
        raise ConfigurationError(f"jwks: expected keys of pool {pool.user_pool_id}, found no usable RS256 key")
    return keys


def _check_answer(check: Check, answer: object) -> None:
    if answer is None:
        return
    name = getattr(check, "__name__", type(check).__name__)
    if hasattr(answer, "__await__"):
        if hasattr(answer, "close"):
            answer.close()  # a coroutine that is never awaited would warn
        raise ConfigurationError(f"checks: {name} is async; use verify_async")
    raise ConfigurationError(
        f"checks: {name} returned {type(answer).__name__}; a check refuses by raising, or returns None"
    )


def _requirements(option: str, source: RequirementSource | None) -> tuple[Requirement, ...]:
    required = requirement(option, source)
    return () if required is None else (required,)


def _seconds(option: str, value: float) -> float:
    if type(value) not in (int, float) or not 0 <= value <= _MOST_SECONDS:
        raise ConfigurationError(f"{option}: expected seconds, from 0 to a hundred years, found {shown(value)}")
    return value


def _count(option: str, value: int, *, at_least: int) -> int:
    if type(value) is not int or value < at_least:
        raise ConfigurationError(f"{option}: expected a whole number, at least {at_least}, found {shown(value)}")
    return value


def _callables(option: str, functions: Iterable[Any]) -> tuple[Any, ...]:
    callables = tuple(functions) if isinstance(functions, Iterable) else (functions, None)
    if not all(map(callable, callables)):
        raise ConfigurationError(f"{option}: expected callables, found {shown(functions)}")
    return callables


def _variable(variables: Mapping[str, Any], where: str, name: str) -> Any:
    value = variables.get(name)
    if isinstance(value, str):
        value = value.strip()
    if value is None or value == "":
        raise ConfigurationError(f"{name}: expected a value in {where}, found nothing")
    return value


_verifiers: weakref.WeakSet[CognitoVerifier[Any]] = weakref.WeakSet()


def _renew_after_fork() -> None:
    for verifier in list(_verifiers):
        verifier._after_fork()


with suppress(AttributeError):  # on Windows, where nothing forks
    os.register_at_fork(after_in_child=_renew_after_fork)
