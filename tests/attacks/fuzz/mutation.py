"""A mutator that knows JSON: bytes alone seldom come to another claim, key or member of an event."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from tests.attacks.fuzz.material import CLAIMS, CLIENT, ISSUER, NOW, SEPARATOR

__all__ = ["mutated"]

_VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 0.5, 1e308, 10**39, 10**41, NOW, NOW - 1, NOW + 60, 2**53, 253_402_300_800),
    *("", " ", "a", "true", "admin", "x,admin", "[a b]", "\x00", "\ud800", "\u2028", "\ufeff", "é", "A" * 300, "AQAB"),
    *(CLIENT, ISSUER, "access", "id", "RS256", "none", "k1", "sig", "verify", "/", "//", "/a/..", "{proxy+}", "{x}"),
    *([], {}, [[]], [CLIENT], ["admin"], [None], [1, "a"], {"": ""}, {"all_of": ["g", "h"]}, {"any_of": ["g"]}),
]
_NAMES = [
    *CLAIMS["access"],
    *CLAIMS["id"],
    "nbf",
    "crit",
    "kid",
    "alg",
    "n",
    "e",
    "d",
    "key_ops",
    "",
    "groups",
    "scopes",
]


def mutated(data: bytes, most: int, seed: int, mutate: Callable[[bytes, int], bytes]) -> bytes:
    """The input with one of its parts changed as JSON, with a piece many times, or as libFuzzer changes bytes."""
    chance = random.Random(seed)
    letter, parts = data[:1], data[1:].split(SEPARATOR)
    place = chance.randrange(len(parts))
    kind = chance.random()
    if data and kind < 0.05:
        return _repeated(data, most, chance)
    if data and kind < 0.6:
        try:
            value = json.loads(parts[place])
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, (dict, list)):
            for _ in range(chance.choice((1, 1, 1, 2, 4))):
                _change(value, chance)
            try:
                parts[place] = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass")
            except (ValueError, RecursionError):
                return mutate(data, most)
            found = letter + SEPARATOR.join(parts)
            if len(found) <= most:
                return found
    return mutate(data, most)


def _repeated(data: bytes, most: int, chance: random.Random) -> bytes:
    """A few bytes of the input many times: what takes more than linear time shows where there is much of it."""
    start = chance.randrange(len(data))
    piece = data[start : start + chance.randrange(1, 17)]
    times = chance.randrange(max(1, most - len(data))) // len(piece)
    return data[:start] + piece * times + data[start:]


def _change(value: Any, chance: random.Random) -> None:
    """One member or element, somewhere in the value, becomes another, goes or comes."""
    holders = [holder for holder in _holders(value, []) if holder] or [value]
    holder = chance.choice(holders)
    keys: list[Any] = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    key = chance.choice(keys) if keys else None
    what = chance.randrange(6)
    if key is None or what == 0:
        if isinstance(holder, dict):
            holder[chance.choice(_NAMES)] = chance.choice(_VALUES)
        else:
            holder.append(chance.choice(_VALUES))
    elif what == 1:
        del holder[key]
    elif what == 2 and isinstance(holder, dict):
        holder[chance.choice((str(key).upper(), str(key) + " ", chance.choice(_NAMES)))] = holder[key]
    elif what == 3 and isinstance(holder, list):
        holder.append(holder[key])
    elif what == 4 and isinstance(holder[key], str):
        text, at = holder[key], chance.randrange(len(holder[key]) + 1)
        more = chance.choice(("/", ",", " ", ";", "%2f", "%61", ":", "*", "{", "~", "=", "\\", "\t", ".", "a", "é"))
        holder[key] = chance.choice((text[:at] + more + text[at:], text[:at], text[at:], text.upper(), text * 2))
    else:
        holder[key] = chance.choice(_VALUES)


def _holders(value: Any, found: list[Any]) -> list[Any]:
    if isinstance(value, (dict, list)) and len(found) < 500:
        found.append(value)
        for one in value.values() if isinstance(value, dict) else value:
            _holders(one, found)
    return found
