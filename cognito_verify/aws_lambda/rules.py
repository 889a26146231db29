"""Route rules: which rule decides a request, and whether a token meets it. Paths come from the client, as sent.

A rule is matched segment by segment, and of the rules that match the most specific one decides. A path that two
programs could read in two ways is decided by no rule, so it is denied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from cognito_verify.claims import check_groups, check_scopes
from cognito_verify.errors import AccessDeniedError, ConfigurationError, shown
from cognito_verify.requirements import Requirement, RequirementSource, requirement
from cognito_verify.tokens import AccessToken, IdToken

__all__ = [
    "AMBIGUOUS_PARTS",
    "AMBIGUOUS_SEGMENTS",
    "METHODS",
    "OTHER",
    "Rule",
    "RuleTable",
    "deciding",
    "first_match",
    "generic_words",
    "longest",
    "refusing",
    "segments_of",
]

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

AMBIGUOUS_PARTS = ("//", ";", "\\", "%2F", "%2f", "%5C", "%5c", "%2E", "%2e", "%6", "%7")
"""One reader takes these for a separator or what parts a segment from its parameters, or decodes them into one, into a
dot or into a letter; another does not. No honest client encodes letters (RFC 3986 section 6.2.2.2). `%6` and `%7` take
a few more characters with them, the braces and the bar among them: a policy has one pattern for each part."""
AMBIGUOUS_SEGMENTS = (".", "..")

OTHER = "{}"
"""A segment that is no literal of any rule; in a rule's pattern, any one segment. No literal can be spelt so."""

_LITERAL = re.compile(r"(?:[A-Za-z0-9._~!$&'()+,;=:@-]|%[0-9A-Fa-f]{2})+")  # RFC 3986 section 3.3, without `*`
_ENCODED = re.compile("%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile("[A-Za-z0-9._~-]")  # RFC 3986 section 2.3
_NAME = re.compile(r"\{[A-Za-z0-9._:-]+(\+)?\}")


@dataclass(frozen=True, slots=True, init=False)
class Rule:
    """Who may call a route.

    Args:
        route: A method, or ANY, and a path: `GET /reports/{id}`. `{name}` stands for one segment, `{proxy+}` at the end
            for one or more, the rest for itself. A stage is no part of it.
        groups: Groups that the token must have: a name, several of which any is enough, or `all_of(...)`.
        scopes: Scopes that the token must have, likewise. ID tokens have none.

    Raises:
        ConfigurationError: The route is malformed, or a requirement is empty or senseless.

    Source: "Set up a proxy integration with a proxy resource", Amazon API Gateway Developer Guide.
    """

    route: str
    method: str
    segments: tuple[str, ...]
    groups: Requirement | None
    scopes: Requirement | None
    pattern: tuple[str, ...]
    """The segments, `OTHER` for any one, without the `{proxy+}` at the end; the root has a single empty one."""
    is_greedy: bool
    """Whether the route ends with a `{proxy+}`."""

    def __init__(
        self, route: str, *, groups: RequirementSource | None = None, scopes: RequirementSource | None = None
    ) -> None:
        method, segments = _method_and_segments(route)
        is_greedy = bool(segments) and segments[-1].endswith("+}")
        fixed = segments[:-1] if is_greedy else segments or ("",)
        fields = {
            "route": route,
            "method": method,
            "segments": segments,
            "groups": _requirement(route, "groups", groups),
            "scopes": _requirement(route, "scopes", scopes),
            "pattern": tuple(OTHER if segment.startswith("{") else segment for segment in fixed),
            "is_greedy": is_greedy,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return hash(self.route)  # a string remembers its hash: the compiler of policies asks for it all the time

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that the rule is for."""
        return METHODS if self.method == "ANY" else (self.method,)

    @property
    def specificity(self) -> tuple[tuple[int, ...], bool]:
        """The smaller one decides where two rules match: literal, `{name}`, `{proxy+}` from the left, then ANY last."""
        kinds = tuple(int(segment == OTHER) for segment in self.pattern) + (2,) * self.is_greedy
        return kinds, self.method == "ANY"

    def is_met_by(self, token: AccessToken | IdToken) -> bool:
        """Whether the token has the groups and the scopes."""
        return (self.groups is None or self.groups.is_met_by(frozenset(token.groups))) and (
            self.scopes is None or self.scopes.is_met_by(scopes_of(token))
        )

    def why_not(self, token: AccessToken | IdToken) -> str:
        """What the token lacks; empty where it meets the rule."""
        claims, reasons = dict(token), []
        for check, required in ((check_scopes, self.scopes), (check_groups, self.groups)):
            try:
                if required is not None:
                    check(claims, required)
            except AccessDeniedError as refusal:
                reasons.append(str(refusal))
        return "; ".join(reasons)

    def matches(self, segments: Sequence[str]) -> bool:
        """Whether the route covers these segments of a path, as sent. A `{proxy+}` takes a trailing slash as well."""
        pattern = self.pattern
        if self.is_greedy:
            # An empty last segment is enough behind a prefix (`/admin/`), but the root is no `/{proxy+}`.
            if len(segments) <= len(pattern) or segments[0] == "":
                return False
        elif len(segments) != len(pattern):
            return False
        for expected, found in zip(pattern, segments, strict=False):
            if expected != found and (expected != OTHER or not found):
                return False
        return True


class RuleTable:
    """The rules of an API, and which of them decides a request.

    Raises:
        ConfigurationError: No rule at all, one that is given twice or one that never decides.
    """

    __slots__ = ("_by_method", "ambiguous_parts", "rules")

    def __init__(self, rules: Iterable[Rule]) -> None:
        if isinstance(rules, (str, Rule)) or not isinstance(rules, Iterable):
            raise ConfigurationError(f"rules: expected a list such as [Rule('GET /path')], found {shown(rules)}")
        self.rules = tuple(rules)
        if not self.rules:
            raise ConfigurationError("rules: expected at least one Rule; leave rules out to let any verified token in")
        for rule in self.rules:
            if not isinstance(rule, Rule):
                raise ConfigurationError(f"rules: expected Rule('GET /path'), found {shown(rule)}")
        self.ambiguous_parts = AMBIGUOUS_PARTS + _other_spellings(self.rules)
        ordered = sorted(self.rules, key=lambda rule: rule.specificity)
        self._by_method = {
            method: tuple(rule for rule in ordered if rule.method in (method, "ANY")) for method in METHODS
        }
        _check_no_duplicates(self.rules)
        for rule in self.rules:
            self._check_reachable(rule)

    def deciding(self, method: str, path: str) -> Rule | None:
        """The most specific of the rules that match, or None: the request is not covered, or its path is ambiguous.

        Args:
            method: As in the request, in capitals.
            path: As sent, with its leading slash, without the stage and the query.
        """
        segments = segments_of(path, self.ambiguous_parts)
        return None if segments is None else deciding(self.of_method(method), segments)

    def of_method(self, method: str) -> tuple[Rule, ...]:
        """The rules for a method, the most specific first."""
        return self._by_method.get(method, ())

    def _check_reachable(self, rule: Rule) -> None:
        instead: dict[str, None] = {}
        for method in rule.methods:
            rules = self.of_method(method)
            for word in generic_words(rule, longest(rules)):
                first = first_match(rules, word)
                if first is rule:
                    return
                instead |= {} if first is None else {first.route: None}
        raise ConfigurationError(
            f"rules: {rule.route!r} never decides, since {_listed(instead)} always comes first; leave it out"
        )


def segments_of(path: str, ambiguous_parts: Iterable[str] = AMBIGUOUS_PARTS) -> tuple[str, ...] | None:
    """The segments of a path as sent, or None where it can be read in two ways; the root has a single empty one."""
    if not path.startswith("/"):
        return None
    for part in ambiguous_parts:
        if part in path:
            return None
    segments = tuple(path[1:].split("/"))
    for ambiguous in AMBIGUOUS_SEGMENTS:
        if ambiguous in segments:
            return None
    return segments


def first_match(rules: Sequence[Rule], segments: Sequence[str]) -> Rule | None:
    """The first of the rules that matches; they come with the most specific first."""
    for rule in rules:
        if rule.matches(segments):
            return rule
    return None


def deciding(rules: Sequence[Rule], segments: Sequence[str]) -> Rule | None:
    """The rule that decides; None also for a trailing slash behind a path that a rule without `{proxy+}` matches.

    REST and HTTP APIs route `/hello/` to `/hello` where that exists, and to a `{proxy+}` where it does not (measured by
    a maintainer of Powertools for AWS Lambda, issue 1552), so that path has two readings.
    """
    if segments[-1] == "" and len(segments) > 1 and _is_matched_exactly(rules, segments[:-1]):
        return None
    return first_match(rules, segments)


def refusing(rules: Sequence[Rule], segments: Sequence[str]) -> list[Rule]:
    """The rules of which each, when it is not met, forbids to let the path through: one per reading of the path."""
    found = [first_match(rules, segments)]
    if segments[-1] == "" and len(segments) > 1:
        without_slash = first_match(rules, segments[:-1])
        if without_slash is not None and not without_slash.is_greedy:
            found.append(without_slash)
    return [rule for rule in found if rule is not None]


def generic_words(rule: Rule, most: int) -> Iterator[tuple[str, ...]]:
    """The rule's least special paths, one per length: of all paths of that length it matches those and their kin."""
    if not rule.is_greedy:
        yield rule.pattern
    else:  # beyond the longest rule, lengths make no difference
        for more in range(1, most + 2 - len(rule.pattern)):
            yield rule.pattern + (OTHER,) * more


def longest(rules: Sequence[Rule]) -> int:
    """How many segments the longest rule has."""
    return max(len(rule.pattern) + rule.is_greedy for rule in rules)


def scopes_of(token: AccessToken | IdToken) -> frozenset[str]:
    """The scopes of an access token; an ID token has none."""
    return token.scopes if isinstance(token, AccessToken) else frozenset()


def _is_matched_exactly(rules: Sequence[Rule], segments: Sequence[str]) -> bool:
    for rule in rules:
        if not rule.is_greedy and rule.matches(segments):
            return True
    return False


def _other_spellings(rules: Sequence[Rule]) -> tuple[str, ...]:
    """How else the characters of the literals could be sent: encoded, or encoded with digits in another case.

    To the rules such a path is another one; a program that decodes before it routes takes it for theirs.
    """
    literals = {segment for rule in rules for segment in rule.pattern if segment != OTHER}
    encoded = {one for literal in literals for one in _ENCODED.findall(literal)}
    plain = {one for literal in literals for one in _ENCODED.sub("", literal)}
    spellings = {f"%{ord(one):02x}" for one in plain} | encoded
    cases = {
        f"%{''.join(digits)}"
        for spelling in spellings
        for digits in product(*({digit.lower(), digit.upper()} for digit in spelling[1:]))
    }
    # `%61` is known by its beginning already.
    return tuple(sorted(one for one in cases - encoded if not {one, one[:2]} & {*AMBIGUOUS_PARTS}))


def _method_and_segments(route: object) -> tuple[str, tuple[str, ...]]:
    expected = "expected a method and a path such as 'GET /reports/{id}'"
    if not isinstance(route, str):
        raise ConfigurationError(f"rules: {expected}, found {shown(route)}")
    method, space, path = route.partition(" ")
    if not space or not path.startswith("/"):
        raise ConfigurationError(f"rules: {expected}, found {shown(route)}")
    if method not in (*METHODS, "ANY"):
        raise ConfigurationError(f"rules: {shown(route)}: expected one of {', '.join(METHODS)} or ANY as the method")
    segments = tuple(path[1:].split("/")) if path != "/" else ()
    for place, segment in enumerate(segments, 1):
        _check_segment(route, segment, is_last=place == len(segments))
    return method, segments


def _check_segment(route: str, segment: str, *, is_last: bool) -> None:
    name = _NAME.fullmatch(segment)
    if name is not None:
        if name[1] and not is_last:
            raise ConfigurationError(f"rules: {shown(route)}: {segment} may only stand at the end")
    elif not segment:
        raise ConfigurationError(f"rules: {shown(route)}: a segment is empty; write it without the extra slash")
    elif _LITERAL.fullmatch(segment) is None:
        raise ConfigurationError(
            f"rules: {shown(route)}: {shown(segment)} is neither {{name}}, {{proxy+}} nor a literal; a literal is "
            "written as it is sent, percent-encoded where it must be, and has no wildcards"
        )
    elif any(_UNRESERVED.fullmatch(chr(int(one[1:], 16))) for one in _ENCODED.findall(segment)):
        raise ConfigurationError(
            f"rules: {shown(route)}: {shown(segment)} encodes what is sent as it is; write letters, digits and "
            "'-', '.', '_', '~' plainly"
        )
    elif segments_of(f"/{segment}") is None:
        raise ConfigurationError(f"rules: {shown(route)}: {shown(segment)} is ambiguous; such paths are always denied")


def _requirement(route: str, option: str, source: RequirementSource | None) -> Requirement | None:
    try:
        return requirement(option, source)
    except ConfigurationError as error:
        message = str(error)
    raise ConfigurationError(f"rules: {shown(route)}: {message}")


def _check_no_duplicates(rules: Sequence[Rule]) -> None:
    known: dict[tuple[str, tuple[str, ...], bool], Rule] = {}
    for rule in rules:
        twin = known.setdefault((rule.method, rule.pattern, rule.is_greedy), rule)
        if twin is not rule:
            raise ConfigurationError(
                f"rules: {twin.route!r} and {rule.route!r} are the same route; write it once, with any_of or all_of "
                "where both requirements are meant"
            )


def _listed(routes: Iterable[str]) -> str:
    return " or ".join(map(repr, routes))
