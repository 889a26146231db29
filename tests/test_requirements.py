"""What `any_of` and `all_of` require, and that nothing senseless ever requires nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cognito_verify.errors import ConfigurationError, shown
from cognito_verify.requirements import Requirement, RequirementSource, all_of, any_of, requirement

NAMES = ("a", "b", "c", "d")
HOLDINGS = [frozenset(held) for held in chain.from_iterable(combinations(NAMES, size) for size in range(5))]


def met(one: Requirement) -> set[frozenset[str]]:
    """Which of all the sets of four names meet it."""
    return {held for held in HOLDINGS if one.is_met_by(held)}


# What is met


@pytest.mark.parametrize(
    ("one", "enough", "too_little"),
    [
        pytest.param(any_of("a"), {"a"}, {"b"}, id="one-name"),
        pytest.param(any_of("a", "b"), {"b"}, {"c"}, id="any"),
        pytest.param(any_of(["a", "b"]), {"b"}, {"c"}, id="any-of-a-list"),
        pytest.param(all_of("a", "b"), {"a", "b"}, {"a"}, id="all"),
        pytest.param(all_of({"a", "b"}), {"a", "b"}, {"b"}, id="all-of-a-set"),
        pytest.param(any_of("a", all_of("b", "c")), {"b", "c"}, {"b"}, id="all-in-any"),
        pytest.param(all_of("a", any_of("b", "c")), {"a", "c"}, {"b", "c"}, id="any-in-all"),
        pytest.param(all_of(any_of("a", "b"), any_of("c", "d")), {"b", "d"}, {"a", "b"}, id="all-of-any"),
        pytest.param(any_of(all_of("a", "b")), {"a", "b"}, {"a"}, id="requirement-alone"),
        pytest.param(all_of(any_of("a", "b")), {"a"}, {"c"}, id="all-of-one-requirement"),
        pytest.param(all_of("a", "a"), {"a"}, {"b"}, id="said-twice"),
        pytest.param(any_of("A"), {"A"}, {"a"}, id="upper-case"),
        pytest.param(any_of("x,admin"), {"x,admin"}, {"x", "admin"}, id="comma"),
    ],
)
def test_a_requirement_is_met_by_enough_names_alone(one: Requirement, enough: set[str], too_little: set[str]) -> None:
    assert one.is_met_by(frozenset(enough))
    assert one.is_met_by(frozenset(enough | {"more"}))
    assert not one.is_met_by(frozenset(too_little))
    assert not one.is_met_by(frozenset())


@st.composite
def nested(draw: st.DrawFn, depth: int = 3) -> tuple[Requirement, Callable[[frozenset[str]], bool]]:
    """A requirement, and the same said as a predicate."""
    if depth == 0 or draw(st.booleans()):
        name = draw(st.sampled_from(NAMES))
        return any_of(name), lambda held: name in held
    parts = draw(st.lists(nested(depth - 1), min_size=1, max_size=3))
    make, judge = draw(st.sampled_from([(any_of, any), (all_of, all)]))
    return make(*[one for one, _ in parts]), lambda held: judge(is_met(held) for _, is_met in parts)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(nested())
def test_nesting_means_what_it_says(pair: tuple[Requirement, Callable[[frozenset[str]], bool]]) -> None:
    one, is_met = pair
    assert met(one) == {held for held in HOLDINGS if is_met(held)}


@settings(derandomize=True, deadline=None, max_examples=100)
@given(nested())
def test_the_alternatives_are_the_smallest_sets_that_are_enough(
    pair: tuple[Requirement, Callable[[frozenset[str]], bool]],
) -> None:
    one, _ = pair
    assert len(set(one.alternatives)) == len(one.alternatives)
    assert set(one.alternatives) == {held for held in met(one) if not any(other < held for other in met(one))}
    assert one.is_met_by(frozenset(one.names))


# Options


@pytest.mark.parametrize(
    ("source", "same"),
    [
        pytest.param("a", any_of("a"), id="name"),
        pytest.param(["a", "b"], any_of("a", "b"), id="list-is-any-of"),
        pytest.param(("a",), any_of("a"), id="tuple"),
        pytest.param({"a", "b"}, any_of("a", "b"), id="set"),
        pytest.param({"a": 1}.keys(), any_of("a"), id="keys-view"),
        pytest.param([all_of("a", "b"), "c"], any_of(all_of("a", "b"), "c"), id="list-with-a-requirement"),
        pytest.param(all_of("a", "b"), all_of("a", "b"), id="requirement"),
    ],
)
def test_an_option_stands_for_a_requirement(source: RequirementSource, same: Requirement) -> None:
    assert requirement("groups", source) == same


def test_an_option_that_was_not_given_requires_nothing() -> None:
    assert requirement("groups", None) is None


SENSELESS: list[object] = ["", " ", "a b", " a", "a\n", "a\N{NO-BREAK SPACE}b", 0, True, b"a", object(), None, ["a"]]


def generated() -> Iterator[str]:
    yield "a"


@pytest.mark.parametrize("name", SENSELESS, ids=ascii)
@pytest.mark.parametrize("make", [any_of, all_of])
def test_a_senseless_name_is_refused_beside_a_good_one(make: Callable[..., Requirement], name: object) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        make("good", name)
    assert type(refusal.value) is ConfigurationError
    found = f"{make.__name__}: expected names without white space, found {shown(name)}"
    assert str(refusal.value) == found
    assert make("good", "name").names == ("good", "name")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param([], id="empty-list"),
        pytest.param(set(), id="empty-set"),
        pytest.param({}, id="empty-mapping"),
        pytest.param({"a": True}, id="mapping"),
        pytest.param(b"a", id="bytes"),
        pytest.param(bytearray(b"a"), id="bytearray"),
        pytest.param(5, id="number"),
        pytest.param(False, id="boolean"),
        pytest.param(generated(), id="generator"),
        pytest.param([""], id="empty-name"),
        pytest.param(["a", None], id="none-inside"),
        pytest.param([["a"]], id="list-inside"),
    ],
)
@pytest.mark.parametrize(
    "make",
    [any_of, all_of, lambda source: requirement("groups", source)],
    ids=["any_of", "all_of", "option"],
)
def test_an_empty_or_senseless_setting_never_becomes_no_requirement(
    make: Callable[[object], Requirement | None], source: object
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        make(source)
    assert type(refusal.value) is ConfigurationError
    assert make(["a"]) == any_of("a")


@pytest.mark.parametrize(
    ("make", "option"),
    [(any_of, "any_of"), (all_of, "all_of"), (lambda source: requirement("groups", source), "groups")],
    ids=["any_of", "all_of", "option"],
)
def test_a_refusal_names_the_option_and_what_was_found(make: Callable[[object], object], option: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        make(5)
    assert str(refusal.value) in {
        f"{option}: expected a string, several, any_of() or all_of(), found 5",
        f"{option}: expected names without white space, found 5",
    }
    with pytest.raises(ConfigurationError) as refusal:
        make({"a": True})
    assert str(refusal.value) == (
        f"{option}: expected a string, several, any_of() or all_of(), found {shown({'a': True})}"
    )
    with pytest.raises(ConfigurationError) as refusal:
        make([5])
    assert str(refusal.value) == f"{option}: expected names without white space, found 5"


@pytest.mark.parametrize("source", ["", " ", "a b", "a\t"], ids=ascii)
def test_an_option_is_one_name_without_white_space(source: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^groups: expected names without white space, found ") as refusal:
        requirement("groups", source)
    assert type(refusal.value) is ConfigurationError
    assert requirement("groups", source.strip().replace(" ", "-") or "a") is not None


@pytest.mark.parametrize("make", [any_of, all_of])
def test_no_name_at_all_is_refused(make: Callable[..., Requirement]) -> None:
    with pytest.raises(ConfigurationError, match="expected at least one name") as refusal:
        make()
    assert type(refusal.value) is ConfigurationError


# Limits


def ways(count: int) -> Requirement:
    return any_of([f"way-{number}" for number in range(count)])


def test_a_requirement_with_more_than_a_thousand_ways_to_meet_it_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at most 1000 ways") as refusal:
        all_of(ways(7), any_of([f"other-{number}" for number in range(143)]))
    assert type(refusal.value) is ConfigurationError
    assert len(all_of(ways(7), any_of([f"other-{number}" for number in range(142)])).alternatives) == 994
    assert len(all_of(ways(8), any_of([f"other-{number}" for number in range(125)])).alternatives) == 1_000


def test_ways_that_are_the_same_count_once() -> None:
    assert all_of(*[any_of("a", "b")] * 12) == any_of("a", "b")


def test_many_names_of_which_one_is_enough_are_no_problem() -> None:
    assert len(ways(5_000).alternatives) == 5_000


# How it shows


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (any_of("b", "a"), "'b' or 'a'"),
        (all_of("b", "a"), "'a' and 'b'"),
        (any_of("c", all_of("b", "a")), "'c' or 'a' and 'b'"),
        (any_of("a\0"), r"'a\x00'"),
    ],
    ids=str,
)
def test_a_requirement_reads_as_it_was_said(one: Requirement, text: str) -> None:
    assert str(one) == text
    assert repr(one) == f"Requirement({text})"


def test_names_come_in_the_order_in_which_they_were_said() -> None:
    assert any_of("c", "a", "c", all_of("b", "a")).names == ("c", "a")
    assert any_of("c", all_of("b", "a")).names == ("c", "a", "b")


def test_requirements_are_equal_when_the_same_sets_meet_them() -> None:
    one, other = any_of("a", all_of("b", "c")), any_of(all_of("c", "b"), "a", all_of("a", "d"))
    assert one == other
    assert hash(one) == hash(other) != hash(any_of("a", "b"))
    assert one != any_of("a", "b")
    assert one != "a"
