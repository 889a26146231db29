"""Requirements on groups and scopes: `any_of` and `all_of`, nested as one likes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from itertools import product

from cognito_verify.errors import ConfigurationError, shown

__all__ = ["Requirement", "RequirementSource", "all_of", "any_of", "requirement"]

_MAX_ALTERNATIVES = 1_000


class Requirement:
    """Sets of names, each of which is enough: having more never hurts. Make one with `any_of` or `all_of`."""

    __slots__ = ("_alternatives",)

    def __init__(self, alternatives: Collection[frozenset[str]]) -> None:
        # A set that holds another one adds nothing. The order of first mention stays: messages and challenges show it.
        distinct = dict.fromkeys(alternatives)
        if len({len(one) for one in distinct}) > 1:  # sets of one size do not hold each other: that is the usual case
            distinct = dict.fromkeys(one for one in distinct if not any(other < one for other in distinct))
        self._alternatives = tuple(distinct)

    @property
    def alternatives(self) -> tuple[frozenset[str], ...]:
        """The smallest sets of names that meet the requirement."""
        return self._alternatives

    def is_met_by(self, names: frozenset[str]) -> bool:
        """Whether `names` holds at least one alternative."""
        for alternative in self._alternatives:  # a loop: any() over a generator takes twice as long
            if alternative <= names:
                return True
        return False

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that is mentioned; whoever has them all meets the requirement."""
        return tuple(dict.fromkeys(name for alternative in self._alternatives for name in sorted(alternative)))

    def __str__(self) -> str:
        return " or ".join(" and ".join(repr(name) for name in sorted(one)) for one in self._alternatives)

    def __repr__(self) -> str:
        return f"Requirement({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Requirement) and set(self._alternatives) == set(other._alternatives)

    def __hash__(self) -> int:
        return hash(frozenset(self._alternatives))


RequirementSource = str | Collection[str] | Requirement
"""A name, several names of which any is enough, or what `any_of` and `all_of` return."""


def any_of(*names: RequirementSource) -> Requirement:
    """At least one of the names, or of the requirements, must be met.

    Raises:
        ConfigurationError: No name, an empty one, one with white space or something that is no string.
    """
    return _any(_parts("any_of", _unpacked("any_of", names)))


def all_of(*names: RequirementSource) -> Requirement:
    """Every name, and every requirement, must be met.

    Raises:
        ConfigurationError: As for `any_of`, or more than 1,000 ways to meet it.
    """
    alternatives: list[frozenset[str]] = [frozenset()]
    for part in _parts("all_of", _unpacked("all_of", names)):
        if len(alternatives) * len(part.alternatives) > _MAX_ALTERNATIVES:
            raise ConfigurationError(f"all_of: expected at most {_MAX_ALTERNATIVES} ways to meet it, found more")
        joined = [one | other for one, other in product(alternatives, part.alternatives)]
        alternatives = list(Requirement(joined).alternatives)
    return Requirement(alternatives)


def requirement(option: str, source: RequirementSource | None) -> Requirement | None:
    """The requirement that an option such as `groups=` stands for; None stays None.

    Raises:
        ConfigurationError: Empty or senseless; it never becomes "no requirement".
    """
    if source is None or isinstance(source, Requirement):
        return source
    if isinstance(source, str):
        return _of_name(option, source)
    return _any(_parts(option, _members(option, source)))


def _any(parts: list[Requirement]) -> Requirement:
    return Requirement([alternative for part in parts for alternative in part.alternatives])


def _unpacked(option: str, names: tuple[RequirementSource, ...]) -> tuple[object, ...]:
    """The arguments; a single collection is the list of them, as with `min` and `max`."""
    if len(names) == 1 and not isinstance(names[0], (str, Requirement)):
        return _members(option, names[0])
    return names


def _members(option: str, source: object) -> tuple[object, ...]:
    if not isinstance(source, Collection) or isinstance(source, (bytes, bytearray, Mapping)):
        raise ConfigurationError(f"{option}: expected a string, several, any_of() or all_of(), found {shown(source)}")
    return tuple(source)


def _parts(option: str, names: tuple[object, ...]) -> list[Requirement]:
    if not names:
        raise ConfigurationError(f"{option}: expected at least one name; nothing at all requires nothing")
    return [name if isinstance(name, Requirement) else _of_name(option, name) for name in names]


def _of_name(option: str, name: object) -> Requirement:
    if not isinstance(name, str) or name.split() != [name]:
        raise ConfigurationError(f"{option}: expected names without white space, found {shown(name)}")
    return _of_word(name)


@lru_cache(maxsize=256)  # for requirements that come with each call
def _of_word(name: str) -> Requirement:
    return Requirement([frozenset({name})])
