"""Why a token is refused: every rule in its order, each by the function of the core that `verify` calls.

A row is written even where an earlier one has failed, as far as that makes sense. Nobody vouches for the claims of a
token whose signature is not verified: the rows then tell what the token says, not what is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from cognito_verify.claims import (
    check_groups,
    check_max_age,
    check_scopes,
    check_time,
    check_time_claims,
    checked_client,
    clock_hint,
    duration,
    groups_of,
    scopes_of,
    utc,
)
from cognito_verify.cli.words import when
from cognito_verify.errors import (
    AccessDeniedError,
    CognitoVerifyError,
    InvalidClaimError,
    InvalidClientError,
    InvalidResourceError,
    InvalidTokenUseError,
    KeysUnavailableError,
    TokenError,
    shown,
)
from cognito_verify.jwks import JwksStatus
from cognito_verify.jws import JsonObject, UnverifiedJws, json_object, parse_compact
from cognito_verify.keys import COGNITO_ALGORITHMS, VerifyingKey, check_algorithm
from cognito_verify.pool import UserPool
from cognito_verify.requirements import Requirement
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier, TokenT_co, check_given

__all__ = ["CHECKS", "Explainer", "Explanation", "Row"]

CHECKS = (
    "structure",
    "algorithm",
    "issuer",
    "key",
    "signature",
    "time",
    "token use",
    "client",
    "resource",
    "other claims",
    "max_age",
    "scopes",
    "groups",
    "checks",
)
"""The rows, in the order in which `verify` refuses."""

Verdict = Literal["passed", "failed", "not looked at"]

_T = TypeVar("_T")
_REFUSALS = (TokenError, AccessDeniedError, KeysUnavailableError)
_LISTED = 8  # names in a row

_CURES = {
    "missing_token": "look at what should have printed it: nothing came",
    "malformed_token": "send the access or ID token whole, as Cognito gave it",
    "unsupported_algorithm": "Cognito signs with RS256 alone: treat the token as forged",
    "invalid_issuer": "log in to the pool that is verified here, or verify the pool that issued the token",
    "unknown_key": "log in again; if new tokens fail too, see that the keys are this pool's (--jwks, --jwks-uri)",
    "keys_unavailable": (
        "see that this machine reaches the endpoint (of an emulator: --endpoint-url), or bring the keys along, --jwks "
        "FILE, renewed where they can be reached: cognito-verify jwks --output FILE"
    ),
    "invalid_signature": "copy the token anew, whole; if it still fails, treat it as forged",
    "token_expired": "get a new token with the refresh token, or log in again",
    "token_not_yet_valid": "wait, or set the clock of this machine or of the issuer right",
    "invalid_token_use": "send the other token of the same login, or verify with the other --token-use",
    "invalid_client": "log in through an expected app client, or add this one: --client-id",
    "invalid_resource": "have the client ask for the resource when it logs in (RFC 8707)",
    "invalid_claim": "see where the claim comes from: the user's attributes or a pre token generation trigger",
    "reauthentication_required": "have the user log in again; a refreshed token keeps its auth_time",
    "insufficient_scope": (
        "have the client ask for the scope when it logs in, and allow it to the app client; a login through "
        "Cognito's API, such as `cognito-verify login`, never gives scopes of your own"
    ),
    "missing_group": "put the user into the group, then log in again: a token keeps the groups that it was issued with",
}
_CURE_BY_CHECK = {"checks": "see the check in your program"}

_NO_ISSUER = "the issuer is none of the pool's"
_NO_USE = "whether the rules for access or for ID tokens hold is not known"
_NO_TYPES = "a claim before it is missing or of a wrong type"


@dataclass(frozen=True, slots=True)
class Row:
    """One rule and what came of it.

    Attributes:
        check: One of `CHECKS`.
        verdict: Whether it passed.
        expected: What the rule asks for.
        found: What the token says, escaped.
        error: What `verify` would raise, had all before it passed.
        why_not: Why it was not looked at.
    """

    check: str
    verdict: Verdict
    expected: str = ""
    found: str = ""
    error: CognitoVerifyError | None = None
    why_not: str = ""

    @property
    def cause(self) -> str:
        """What is probably wrong, where the row failed."""
        return "" if self.error is None else str(self.error)

    @property
    def cure(self) -> str:
        """What to do about it, where the row failed."""
        return "" if self.error is None else _CURE_BY_CHECK.get(self.check, _CURES.get(self.error.code, ""))


@dataclass(frozen=True, slots=True)
class Explanation:
    """All rows, and what follows from them.

    Attributes:
        rows: One for each of `CHECKS`, in this order.
        token: What `verify` returned; None where a row failed.
        is_signed: Whether the signature is verified; if not, no claim proves anything.
        notes: What is not refused and yet worth knowing.
    """

    rows: tuple[Row, ...]
    token: AccessToken | IdToken | None
    is_signed: bool
    notes: tuple[str, ...]

    @property
    def error(self) -> CognitoVerifyError | None:
        """What `verify` raises: the error of the first row that failed."""
        return next((row.error for row in self.rows if row.error is not None), None)


class Explainer(CognitoVerifier[TokenT_co]):
    """A verifier that can also say how it came to its verdict; `verify` is the library's own."""

    def explain(self, raw: str) -> Explanation:
        """Every rule in its order, applied to a token.

        Raises:
            ConfigurationError: This side is set up wrongly, as with `verify`.
        """
        rows = _Rows(self._clock())
        jws, claims = self._read(rows, raw)
        if jws is None:
            return rows.explanation(None)
        rows.attempt("algorithm", "RS256", shown(jws.alg), lambda: check_algorithm(jws, COGNITO_ALGORITHMS))
        if claims is None:
            return rows.explanation(None)
        pool = self._signature_rows(rows, jws, claims)
        are_times = self._time_row(rows, claims)
        are_types = self._client_rows(rows, claims, pool)
        self._requirement_rows(rows, claims, are_times=are_times, are_types=are_types)
        if rows.has_failed:
            rows.skip("checks", "an earlier row failed: checks see verified tokens alone")
            return rows.explanation(None)
        # The last word is `verify`'s own: it alone says yes, and runs the checks.
        expected = ", ".join(_name(check) for check in self._checks) or "none; your program may have some"
        token = rows.attempt("checks", expected, "", lambda: self.verify(raw))
        return rows.explanation(token)

    def _read(self, rows: _Rows, raw: str) -> tuple[UnverifiedJws | None, JsonObject | None]:
        jws: UnverifiedJws | None = None

        def read() -> JsonObject:
            nonlocal jws
            check_given(raw)
            jws = parse_compact(raw, self._max_token_bytes)
            return json_object("payload", jws.payload)

        expected = f"three segments of base64url, strict JSON, a 'kid', at most {self._max_token_bytes} bytes"
        segments = raw.count(".") + 1 if raw else 0
        claims = rows.attempt("structure", expected, f"{len(raw)} characters, segments: {segments}", read)
        return jws, claims

    def _signature_rows(self, rows: _Rows, jws: UnverifiedJws, claims: JsonObject) -> UserPool | None:
        """Issuer, key, signature; returns the pool whose rules hold for the token, where that is known."""
        issuers = " or ".join(self._issuers)
        issuer = rows.attempt("issuer", issuers, _said(claims, "iss"), lambda: self._issuer_of(claims))
        if issuer is None:
            rows.skip("key", f"{_NO_ISSUER}, so that no key is looked up")
            rows.skip("signature", "there is no key to check it with")
            return self._pools[0] if len(self._pools) == 1 else None
        uri = issuer.jwks_uri
        key = rows.attempt(
            "key",
            f"a key that {uri.partition('?')[0]} publishes",
            shown(jws.kid),
            lambda: self._jwks.key(uri, jws.kid, issuer.siblings),
            lambda: f"{shown(jws.kid)}; {_keys_there(self._jwks.status()[uri])}",
        )
        self._signature_row(rows, jws, key)
        return issuer.pool

    def _signature_row(self, rows: _Rows, jws: UnverifiedJws, key: VerifyingKey | None) -> None:
        if key is None:
            rows.skip("signature", "there is no key to check it with")
        elif not key.is_for(jws.alg):
            rows.skip("signature", "it is not of the expected algorithm")
        else:
            expected = f"the key {shown(jws.kid)} signed header and payload as they are"
            rows.attempt("signature", expected, "good", lambda: key.check_signature(jws), lambda: "another one")

    def _time_row(self, rows: _Rows, claims: JsonObject) -> bool:
        """Returns whether the times are numbers, so that others may be derived from them."""
        are_times = False

        def check() -> None:
            nonlocal are_times
            check_time_claims(claims)
            are_times = True
            check_time(claims, rows.now, self._leeway)

        leeway = f", give or take {self._leeway:g} s" if self._leeway else ""
        rows.attempt("time", f"exp after, nbf not after {utc(rows.now)}{leeway}", _times(claims, rows.now), check)
        if are_times and (hint := clock_hint(claims, rows.now)):
            rows.notes.append(f"not refused, since clocks differ: {hint.strip(' ()')}")
        return are_times

    def _client_rows(self, rows: _Rows, claims: JsonObject, pool: UserPool | None) -> bool:
        """Token use, client, resource, other claims; returns whether the claims after them have the right types.

        The core has one function for the four. What it refuses is asked for no longer, and it is called again.
        """
        use = self._token_use
        clients = None if pool is None else pool.client_ids
        resource = None if pool is None else pool.resource
        expected = self._claims
        refusals: dict[str, CognitoVerifyError] = {}
        blocked = ""
        while not blocked:
            try:
                checked_client(claims, use, clients, resource, expected)
                break
            except InvalidTokenUseError as error:
                refusals.setdefault("token use", error.with_traceback(None))
                use, blocked = None, _NO_USE if use is None else ""
            except InvalidClientError as error:
                refusals.setdefault("client", error.with_traceback(None))
                clients, blocked = None, _NO_TYPES if clients is None else ""
            except InvalidResourceError as error:
                refusals["resource"] = error.with_traceback(None)
                resource = None
            except InvalidClaimError as error:
                refusals.setdefault("other claims", error.with_traceback(None))
                expected, blocked = {}, "" if expected else _NO_TYPES
        is_id_token = claims.get("token_use") == "id"
        client = _said(claims, "aud" if is_id_token else "client_id")
        wanted = "the right types" + "".join(
            f", {name} {' or '.join(map(shown, values))}" for name, values in self._claims.items()
        )
        said = ", ".join(f"{name} {_said(claims, name)}" for name in self._claims)
        skipped = {"client": "the pool is not known", "resource": "the pool is not known"} if pool is None else {}
        if pool is not None and pool.resource is None:
            skipped["resource"] = "no resource is asked for"
        elif is_id_token:
            skipped["resource"] = "ID tokens are not bound to a resource"
        found = {
            "token use": (self._token_use or "access or id", _said(claims, "token_use")),
            "client": (_names(pool.client_ids) if pool and pool.client_ids else "any client of the pool", client),
            "resource": (shown(pool.resource) if pool else "", _said(claims, "aud")),
            "other claims": (wanted, said or f"{len(claims)} claims"),
        }
        is_blocked = False
        for check, (asked, told) in found.items():
            refusal = refusals.pop(check, None)
            if refusal is not None:
                rows.fail(check, asked, told, refusal)
                is_blocked = bool(blocked) and not refusals  # the last one ended it
            elif is_blocked:
                rows.skip(check, blocked)
            elif check in skipped:
                rows.skip(check, skipped[check])
            else:
                rows.passed(check, asked, told)
        return not blocked

    def _requirement_rows(self, rows: _Rows, claims: JsonObject, *, are_times: bool, are_types: bool) -> None:
        needed = self._needed
        if needed.max_age is None:
            rows.skip("max_age", "no max_age is asked for")
        elif not are_times:
            rows.skip("max_age", "a time is missing or no number")
        else:
            max_age, authenticated = needed.max_age, claims.get("auth_time", claims.get("iat"))
            found = (
                "neither auth_time nor iat" if authenticated is None else f"{duration(rows.now - authenticated)} ago"
            )
            expected = f"an authentication at most {duration(max_age)} ago"
            rows.attempt("max_age", expected, found, lambda: check_max_age(claims, max_age, rows.now))
        self._names_row(rows, claims, "scopes", needed.scopes, check_scopes, scopes_of if are_types else None)
        self._names_row(rows, claims, "groups", needed.groups, check_groups, groups_of if are_types else None)

    def _names_row(
        self,
        rows: _Rows,
        claims: JsonObject,
        check: str,
        required: tuple[Requirement, ...],
        check_one: Callable[[JsonObject, Requirement], None],
        names_of: Callable[[JsonObject], Iterable[str]] | None,
    ) -> None:
        if not required:
            rows.skip(check, f"no {check} are asked for")
        elif names_of is None:
            rows.skip(check, _NO_TYPES)
        else:
            (one,) = required  # the verifier's own; `explain` adds none
            rows.attempt(check, str(one), _names(names_of(claims)), lambda: check_one(claims, one))


class _Rows:
    """The rows so far."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.notes: list[str] = []
        self._rows: dict[str, Row] = {}

    def attempt(
        self, check: str, expected: str, found: str, step: Callable[[], _T], refused: Callable[[], str] | None = None
    ) -> _T | None:
        """A row of what comes of a step: it raises, or it is passed and its answer returned."""
        try:
            answer = step()
        except _REFUSALS as error:
            self.fail(check, expected, found if refused is None else refused(), error.with_traceback(None))
            return None
        self.passed(check, expected, found)
        return answer

    def passed(self, check: str, expected: str, found: str) -> None:
        self._rows[check] = Row(check, "passed", expected, found)

    def fail(self, check: str, expected: str, found: str, error: CognitoVerifyError) -> None:
        self._rows[check] = Row(check, "failed", expected, found, error)

    def skip(self, check: str, why_not: str) -> None:
        self._rows[check] = Row(check, "not looked at", why_not=why_not)

    @property
    def has_failed(self) -> bool:
        return any(row.error for row in self._rows.values())

    def explanation(self, token: AccessToken | IdToken | None) -> Explanation:
        """All of it; what has no row yet could not be looked at."""
        rows = tuple(
            self._rows.get(check) or Row(check, "not looked at", why_not="the token cannot be read") for check in CHECKS
        )
        is_signed = any(row.check == "signature" and row.verdict == "passed" for row in rows)
        if not is_signed:
            unproven = "the signature is not verified: anybody can have written these claims, so they prove nothing"
            self.notes.insert(0, unproven)
        return Explanation(rows, token, is_signed, tuple(self.notes))


def _keys_there(status: JwksStatus) -> str:
    age = status["age"]
    if status["state"] == "never":
        return "no keys: not fetched"
    since = "bundled" if age is None else f"fetched {duration(age)} ago"
    return f"keys there: {_names(status['key_ids'])} ({since})"


def _said(claims: JsonObject, name: str) -> str:
    return shown(claims[name]) if name in claims else "nothing"


def _times(claims: JsonObject, now: float) -> str:
    told = [f"{name} {when(claims[name], now) or shown(claims[name])}" for name in ("exp", "nbf") if name in claims]
    return "; ".join(told) or "nothing"


def _names(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
    return (", ".join(map(shown, ordered[:_LISTED])) or "none") + more


def _name(check: Any) -> str:
    return str(getattr(check, "__name__", type(check).__name__))
