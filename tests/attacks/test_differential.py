"""Generated tokens, good and mutated, through this library, PyJWT and joserfc set up for the same rules.

Ours accepts nothing that either of them refuses, but for what OURS_ALONE_ACCEPTS names; it refuses nothing that either
of them accepts, but for what OURS_REFUSES names. Any other difference fails, with the seed of its token: `token_of` of
that seed makes the same token again, since the keys come from seeds as well.

A short form runs with the suite, the long one by `make differential`.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import NamedTuple

import pytest

from tests.attacks.contenders import MAX_TOKEN_BYTES, NOW, Contenders, StoppedDatetime, Verdict
from tests.attacks.forgery import MUTATIONS, WORLDS, Draft, token_of

# An environment with older run-time dependencies has an older one, which differs from ours in other ways.
pytest.importorskip("joserfc", minversion="1.8")

IS_LONG = os.environ.get("ATTACKS") == "long"
SEED = "differential"
EACH_ALONE = 400 if IS_LONG else 12  # tokens per mutation, with no other
MIXED = 200_000 if IS_LONG else 1_000
SECONDS = 600  # after which the long form ends, too, and says how far it came

pytestmark = [
    pytest.mark.filterwarnings("ignore:The RSA key is:jwt.warnings.InsecureKeyLengthWarning"),
    pytest.mark.filterwarnings("ignore:Key size should be:joserfc.errors.SecurityWarning"),
]

# What is known to differ, each with what the design says of it, and how it is known from the token and its making.


class Difference(NamedTuple):
    """What the design says, the code of our refusal, which tokens it is about and, of what we accept, who refuses."""

    design: str
    code: str | None
    is_it: Callable[[Draft], bool]
    refused_by: tuple[str, ...] = ()


BOTH, JOSERFC = ("PyJWT", "joserfc"), ("joserfc",)


def did(*names: str) -> Callable[[Draft], bool]:
    """One of these mutations was made."""
    return lambda draft: any(name in one for one in draft.done for name in names)


def published(*worlds: str) -> Callable[[Draft], bool]:
    return lambda draft: draft.world in worlds


def claimed(is_odd: Callable[[object], bool], *names: str) -> Callable[[Draft], bool]:
    """One of these claims is there and odd in that way."""
    return lambda draft: any(name in draft.claims and is_odd(draft.claims[name]) for name in names)


def repeats_a_member(draft: Draft) -> bool:
    """By a mutation of that name, or by two that add the same one."""
    repeated: list[str] = []

    def note(pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs]
        repeated.extend(name for name in names if names.count(name) > 1)

    for written in draft.json.values():
        with suppress(ValueError, RecursionError):
            json.loads(written, object_pairs_hook=note)
    return bool(repeated)


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_beyond_the_calendar(value: object) -> bool:
    return isinstance(value, (int, float)) and not 0 <= value < 253_402_300_800


def is_in_the_future(value: object) -> bool:
    return isinstance(value, (int, float)) and value > NOW


def is_no_list_of_strings(value: object) -> bool:
    return not isinstance(value, list) or not all(isinstance(one, str) for one in value)


def is_no_audience(value: object) -> bool:
    return not isinstance(value, str) and is_no_list_of_strings(value)


def is_no_string(value: object) -> bool:
    return not isinstance(value, str)


def is_no_url(value: object) -> bool:
    return not isinstance(value, str) or not value.startswith("http")


# What joserfc checks of header members that it does not use either.
ODD_MEMBERS: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("typ", "cty", "x5t", "x5t#S256"), is_no_string),
    **dict.fromkeys(("jku", "x5u"), is_no_url),
    "jwk": lambda value: not isinstance(value, dict),
    "x5c": is_no_list_of_strings,
}
TIMES = ("exp", "nbf", "iat", "auth_time")
STRINGS = ("origin_jti", "username", "cognito:username", "scope")  # `sub` and `jti` the peers check as well

OURS_REFUSES = {
    "padding": Difference(
        "Three non-empty unpadded base64url segments, canonical",
        "malformed_token",
        lambda draft: any(segment.endswith("=") for segment in draft.raw.split(".")),
    ),
    "size": Difference("at most `max_token_bytes`", "malformed_token", lambda draft: len(draft.raw) > MAX_TOKEN_BYTES),
    "duplicate member": Difference(
        "JSON objects without duplicate members at any depth", "malformed_token", repeats_a_member
    ),
    "b64 that is not critical": Difference(
        "a payload that could be read in two ways is malformed (RFC 7797 section 6: `b64` belongs into `crit`)",
        "malformed_token",
        lambda draft: draft.header.get("b64", True) is not True,
    ),
    "NaN and Infinity": Difference("NaN or Infinity", "malformed_token", did("json: a number that is none")),
    "long integer": Difference("integers of more than 40 digits", "malformed_token", did("json: a long integer")),
    "overflow": Difference("numbers that overflow (`1e400`)", "malformed_token", did("json: a number that overflows")),
    "surrogate or NUL": Difference(
        "lone surrogates and NUL in strings", "malformed_token", did("json: a surrogate or a nul")
    ),
    "nesting": Difference("nesting bombs", "malformed_token", did("json: nesting beyond 64 levels")),
    "encoding": Difference(
        "Header and payload are UTF-8; no byte order mark",
        "malformed_token",
        did("json: another encoding", "json: bytes of no encoding"),
    ),
    "crit": Difference("a `crit` header is malformed", "malformed_token", lambda draft: "crit" in draft.header),
    "no kid": Difference(
        "the header has a non-empty `kid` (else malformed)",
        "malformed_token",
        lambda draft: not draft.header.get("kid"),
    ),
    "key without a kid": Difference(
        "A token's key is found by the `kid` that is published", "unknown_key", published("a key without a kid")
    ),
    "weak key": Difference("RSA, `n` odd and 2,048 to 8,192 bits", "unknown_key", published("a weak key")),
    "large exponent": Difference("`e` odd and 3 to 2^32", "unknown_key", published("a key with a large exponent")),
    "private key": Difference("no private members", "unknown_key", published("a private key")),
    "ambiguous kid": Difference(
        "A `kid` that a set gives to two different keys is ambiguous: neither is used",
        "unknown_key",
        published("two keys with one kid"),
    ),
    "spelling of a key": Difference(
        "A JWK is rebuilt from its numbers: canonical base64url",
        "unknown_key",
        published("a padded modulus", "a modulus with a leading zero", "an exponent with a leading zero"),
    ),
    "key_ops": Difference(
        "`key_ops` absent or containing `verify`",
        "unknown_key",
        published("a key that may sign alone", "a key that may encrypt alone", "a key with a string for key_ops"),
    ),
    "a time that is no number": Difference(
        "`exp`, `nbf`, `iat`, `auth_time`, where present, are numbers; booleans are no numbers",
        "invalid_claim",
        claimed(lambda value: not is_number(value), *TIMES),
    ),
    "a time beyond the calendar": Difference(
        "numbers between 0 and the year 9999", "invalid_claim", claimed(is_beyond_the_calendar, *TIMES)
    ),
    "a string that is none": Difference(
        "`scope`, `sub`, `jti`, `origin_jti`, `username` strings where present",
        "invalid_claim",
        claimed(is_no_string, *STRINGS),
    ),
    "groups that are no list of strings": Difference(
        "`cognito:groups` is a list of strings", "invalid_claim", claimed(is_no_list_of_strings, "cognito:groups")
    ),
    "token_use in a list": Difference(
        "`token_use` is `access` or `id`",
        "invalid_token_use",
        claimed(lambda value: isinstance(value, list), "token_use"),
    ),
    "client_id in a list": Difference(
        "what is of a wrong type raises the class of its own rule",
        "invalid_client",
        claimed(lambda value: isinstance(value, list), "client_id"),
    ),
}

OURS_ALONE_ACCEPTS = {
    "iat in the future": Difference(
        "an `iat` in the future is not refused (clocks differ)", None, claimed(is_in_the_future, "iat"), BOTH
    ),
    "a header member that nobody reads": Difference(
        "nothing in a token (`jku`, `x5u`, `jwk`) ever chooses a URL or a key, so it is not read",
        None,
        lambda draft: any(name in draft.header and is_odd(draft.header[name]) for name, is_odd in ODD_MEMBERS.items()),
        JOSERFC,
    ),
    "aud of an access token": Difference(
        "`resource` not set: an access token's `aud` is let be", None, claimed(is_no_audience, "aud"), JOSERFC
    ),
    "a JWK member that nobody reads": Difference(
        "A JWK is rebuilt from its numbers alone; `key_ops` absent or containing `verify`",
        None,
        published(
            "a key with an x5t that is no string",
            "a key with an x5u that is no URL",
            "a key with use and key_ops that disagree",
        ),
        JOSERFC,
    ),
}


def names_of(draft: Draft, verdict: Verdict) -> list[str]:
    """The names of a difference, none where it has none or where a peer refuses that no name tells of."""
    if verdict.ours is None:
        return [name for name, one in OURS_REFUSES.items() if one.code == verdict.code and one.is_it(draft)]
    names = [name for name, one in OURS_ALONE_ACCEPTS.items() if one.is_it(draft)]
    told_of = {peer for name in names for peer in OURS_ALONE_ACCEPTS[name].refused_by}
    return names if verdict.refusing <= told_of else []


class Field:
    """All contenders, by what is published and what is asked for, and what they said."""

    def __init__(self) -> None:
        self._contenders: dict[tuple[str, str], Contenders] = {}
        self.counts = Counter[str]()
        self.differences = Counter[str]()
        self.faults: list[str] = []

    def judge(self, seed: str, draft: Draft) -> None:
        chosen = (draft.world, draft.asked)
        if chosen not in self._contenders:
            self._contenders[chosen] = Contenders(WORLDS[draft.world].jwks, draft.asked)
        contenders = self._contenders[chosen]
        verdict = contenders.verdict(draft.raw)
        self.counts["tokens"] += 1
        if not draft.done and verdict.ours is None:
            self.faults.append(f"token_of({seed!r}): nothing was done to it, {verdict!r}\n  {draft!r}")
        if verdict.ours is None and not verdict.accepting:
            self.counts["refused by all"] += 1
        elif verdict.ours is not None and not verdict.refusing:
            self.counts["accepted by all"] += 1
        else:
            names = names_of(draft, verdict)
            self.differences.update(names)
            self.counts["refused by ours alone" if verdict.ours is None else "accepted by ours alone"] += 1
            if not names:
                self.faults.append(f"token_of({seed!r}): {verdict!r}\n  {draft!r}")
        if verdict.ours is not None:
            told = [verdict.ours, contenders.again(draft.raw), *filter(None, verdict.peers.values())]
            if len({json.dumps(claims) for claims in told}) != 1:  # the text, since 1 == True == 1.0
                self.faults.append(f"token_of({seed!r}): the claims differ: {told}\n  {draft!r}")

    def report(self) -> str:
        sides = {"ours refuses": OURS_REFUSES, "ours accepts": OURS_ALONE_ACCEPTS}
        named = [(f"{side}: {name}", self.differences[name]) for side, names in sides.items() for name in names]
        return "\n".join(f"{number:>9,}  {name}" for name, number in [*self.counts.items(), *named])


@pytest.fixture
def field(monkeypatch: pytest.MonkeyPatch) -> Field:
    monkeypatch.setattr("jwt.api_jwt.datetime", StoppedDatetime)
    return Field()


def tokens() -> Iterator[tuple[str, Draft]]:
    for mutation in MUTATIONS:
        for index in range(EACH_ALONE):
            seed = f"{SEED}, {mutation}, {index}"
            yield seed, token_of(seed, [mutation])
    for index in range(MIXED):
        seed = f"{SEED}, {index}"
        yield seed, token_of(seed)


def test_no_token_makes_a_difference_that_the_design_does_not_name(field: Field) -> None:
    until = time.monotonic() + SECONDS
    for seed, draft in tokens():
        field.judge(seed, draft)
        if time.monotonic() > until:
            break
    print(f"\nseed {SEED!r}\n{field.report()}")
    assert not field.faults, f"{len(field.faults)} faults, the first of them:\n" + "\n".join(field.faults[:9])
    # A name that nothing bears any more would hide the next difference of that kind.
    assert {*OURS_REFUSES, *OURS_ALONE_ACCEPTS} == set(field.differences)
    assert field.counts["accepted by all"] > field.counts["tokens"] / 5


@pytest.mark.parametrize(
    ("mutation", "name"),
    [
        ("a duplicate member", "duplicate member"),
        ("a known member of another type", "a header member that nobody reads"),
    ],
)
def test_a_difference_without_a_name_is_a_fault(field: Field, mutation: str, name: str) -> None:
    seeds = (f"{mutation}, {index}" for index in count())
    seed = next(seeds)
    while not field.differences[name]:
        field.judge(seed := next(seeds), token_of(seed, [mutation]))
    assert field.faults == []
    draft = token_of(seed, [mutation])
    draft.done = ["something without a name"]
    draft.header = {"alg": "RS256", "kid": draft.header["kid"]}
    draft.json = {}
    field.judge(seed, draft)
    assert len(field.faults) == 1
    assert repr(seed) in field.faults[0]


def test_a_token_comes_again_from_its_seed() -> None:
    for index in range(50):
        first, second = (token_of(f"{SEED}, {index}") for _ in range(2))
        assert first.done == second.done
        assert first.raw.rpartition(".")[0] == second.raw.rpartition(".")[0]
