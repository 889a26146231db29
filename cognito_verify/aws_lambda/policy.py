"""Route rules compiled into one IAM policy for a whole API, which a gateway may cache for all of its routes.

IAM knows two wildcards, `*` (anything, slashes too) and `?` (one character), and a Deny always wins. What can be said
in it follows from one order on paths. A word is a path whose segments are literals of the table or `OTHER`, any other
segment. A glob that is to match a word must let each `OTHER` be anything of one character or more, so it matches all
words that grow out of that word, by putting any segments in the place of an `OTHER`, and no others. Hence:

- To allow a word allows all that grows out of it. Per method, each rule has one smallest word, out of which all the
  others that it decides grow: that word's glob is its Allow.
- What a refused rule decides among the words that an allowed rule lets through must be denied; the smallest such words
  are the least Deny. It is needed only for tokens that meet the one rule and not the other.
- So a path is lost only where it grows out of a refused one that grows out of an allowed one, and no other policy would
  do better: construction looks for these chains, for the tokens that could come.

Nothing is enumerated: what a rule and the growth of a word have in common has one least special word per way of laying
them over each other. A path with an ambiguous part is denied whatever the rules say.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from cognito_verify.aws_lambda.rules import (
    AMBIGUOUS_SEGMENTS,
    METHODS,
    OTHER,
    Rule,
    RuleTable,
    deciding,
    generic_words,
    longest,
    refusing,
)
from cognito_verify.errors import ConfigurationError
from cognito_verify.tokens import AccessToken, IdToken

__all__ = ["MOST_BYTES", "ApiPolicy", "allow_api", "allow_request", "deny_request", "policy_document"]

Statement = dict[str, object]
Word = tuple[str, ...]
"""Segments: literals, `OTHER`, and an empty last one for a trailing slash; the root is a single empty one."""

_MOST_STEPS = 300_000  # a fraction of a second; usual tables take a hundredth of it
_SEGMENTS_OF_A_STEP = 16  # of a word; a longer one takes as many steps more as it takes time
MOST_BYTES = 8_192
"""Of an authorizer's answer: "Quotas for configuring and running a WebSocket API", API Gateway Developer Guide. None is
documented for other APIs."""
_BYTES_OF_A_PREFIX = 64  # arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/prod/, the quotes and the comma
_BYTES_OF_A_GLOB = 90  # with the prefix
_TYPICAL = 16  # tokens whose policies are weighed
_REMEMBERED = 256  # policies, by the rules that a token meets
_DENIED_METHODS = (
    # For a Deny alone: what these match besides is allowed by nothing. In an Allow they would let in other methods than
    # those that rules are for, and a `?` matches a slash as well (`?????/` matches `GET/a/`).
    ("??T", ("GET", "PUT")),
    ("????", ("HEAD", "POST")),
)
_MOST_CHARACTERS = 512  # of a resource: "Output from an API Gateway Lambda authorizer", API Gateway Developer Guide
_PER_REQUEST = 'policy_scope="request" (COGNITO_POLICY_SCOPE=request)'
_WAY_OUT = f"use {_PER_REQUEST}, or rewrite the routes (docs/reference/policies.md shows the usual cases)"


def policy_document(statements: Iterable[Statement]) -> dict[str, object]:
    """The statements as an IAM policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow_api(arn_prefix: str) -> Statement:
    """An Allow for the whole API."""
    return _statement("Allow", [f"{arn_prefix}*"])


def allow_request(arn: str) -> Statement | None:
    """An Allow for this request alone; None where the ARN is longer than API Gateway takes.

    IAM's own characters in it are the client's, and stand for themselves. Where a gateway does not know how they are
    spelt, the statement does not match this request, and the Allow comes to nothing.

    Source: "IAM policy elements: Variables and tags", AWS Identity and Access Management User Guide, for `${*}`.
    """
    resource = _literal(arn)
    return _statement("Allow", [resource]) if len(resource) <= _MOST_CHARACTERS else None


def deny_request(arn: str) -> Statement:
    """A Deny for this request, and for few others: any character in the place of IAM's own, any end of a long ARN."""
    resource = arn.replace("*", "?").replace("${", "?{")
    if len(resource) > _MOST_CHARACTERS:
        resource = f"{resource[: _MOST_CHARACTERS - 1]}*"
    return _statement("Deny", [resource])


class ApiPolicy:
    """The rules of a table as one policy per token, for the whole API.

    It never allows a path that a rule decides and refuses. It decides every other covered path as the table does, but
    for those that the constructor warned of, and denies what no rule covers, but for what `leaks_for` names.

    Raises:
        ConfigurationError: For some token that meets a rule, one policy would have to deny the rule's whole path; or
            the table is too entangled to tell.

    Source: "IAM JSON policy elements: Resource", AWS Identity and Access Management User Guide; "Control access to a
        REST API with IAM permissions", Amazon API Gateway Developer Guide.
    """

    __slots__ = ("_ambiguous", "_areas", "_globs", "_leaks", "_rules")

    def __init__(self, table: RuleTable) -> None:
        budget = _Budget()
        tokens = _Tokens(table.rules, budget)
        by_rules: dict[tuple[Rule, ...], list[str]] = {}
        for method in METHODS:
            by_rules.setdefault(table.of_method(method), []).append(method)
        self._rules = table.rules
        self._ambiguous = [
            *(f"*{part}*" for part in table.ambiguous_parts),
            *(f"*/{segment}{rest}" for segment in AMBIGUOUS_SEGMENTS for rest in ("", "/*")),
        ]
        self._areas = [_Area(methods, rules, tokens, budget) for rules, methods in by_rules.items() if rules]
        self._globs = lru_cache(maxsize=_REMEMBERED)(self._globs_for)  # thread-safe, and 1 ms is saved per call
        self._leaks = lru_cache(maxsize=_REMEMBERED)(self._leaks_for)
        losses = [loss for rule in self._rules if (loss := _loss(rule, self._areas, tokens))]
        for loss in losses:
            warnings.warn(loss, stacklevel=3)  # at whoever builds the authorizer
        if large := self._too_large(tokens):
            warnings.warn(large, stacklevel=3)

    def statements(self, token: AccessToken | IdToken, arn_prefix: str) -> list[Statement]:
        """What the token may call, and what it may not.

        Args:
            token: Verified.
            arn_prefix: Of a method ARN what stands before the method:
                `arn:aws:execute-api:eu-west-1:123456789012:abcdef/dev/`.
        """
        allowed, denied = self._globs(self._met_by(token))
        prefix = _literal(arn_prefix)
        return [
            _statement(effect, [prefix + glob for glob in globs])
            for effect, globs in (("Allow", allowed), ("Deny", denied))
            if globs
        ]

    def leaks_for(self, token: AccessToken | IdToken) -> tuple[str, ...]:
        """Paths that no rule covers and that the token's policy lets through all the same, by example.

        A gateway without such a route answers them itself.
        """
        return self._leaks(self._met_by(token))

    def _met_by(self, token: AccessToken | IdToken) -> frozenset[Rule]:
        return frozenset(rule for rule in self._rules if rule.is_met_by(token))

    def _leaks_for(self, met: frozenset[Rule]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(leak for area in self._areas for leak in area.leaks(met)))

    def _too_large(self, tokens: _Tokens) -> str:
        """What to say of the largest policy of a token that could well come; empty where it is small enough."""
        if sum(area.most_globs for area in self._areas) * _BYTES_OF_A_GLOB < MOST_BYTES:
            return ""
        size, held = max((self._size(tokens.met_by(held)), held) for held in tokens.typical())
        if size <= MOST_BYTES:
            return ""
        return (
            f"rules: the policy of a token with {', '.join(held) or 'no group and no scope'} has some {size:,} bytes; "
            f"API Gateway documents {MOST_BYTES:,} as the most, for WebSocket APIs. Say several routes in one with "
            f"{{proxy+}}, name their methods in place of ANY, or use {_PER_REQUEST}"
        )

    def _size(self, met: frozenset[Rule]) -> int:
        return sum(_BYTES_OF_A_PREFIX + len(glob) for globs in self._globs(met) for glob in globs)

    def _globs_for(self, met: frozenset[Rule]) -> tuple[list[str], list[str]]:
        allowed = _joined(((area.methods, area.allowed(met)) for area in self._areas), _by_name)
        if not allowed:
            return [], ["*"]
        denied = _joined(((area.methods, area.denied(met)) for area in self._areas), _by_pattern)
        return allowed, [*denied, *self._ambiguous] if any("*" in glob for glob in allowed) else denied


class _Budget:
    """Steps of the compiler, so that a table that multiplies itself ends in an error and not in a time-out."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = _MOST_STEPS

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise ConfigurationError(
                f"rules: {_MOST_STEPS:,} steps do not compile them into one policy; there are too many, with too many "
                f"names or ways to meet them: use {_PER_REQUEST}"
            )


class _Tokens:
    """Whether a token could come that meets some rules and not others. Holding more never hurts, so the least do."""

    __slots__ = ("_alternatives", "_budget", "_known")

    def __init__(self, rules: Sequence[Rule], budget: _Budget) -> None:
        self._budget = budget
        self._known: dict[tuple[object, ...], bool] = {}
        self._alternatives = {rule: self._of(rule) for rule in rules}

    def could_come(self, met: Collection[Rule], unmet: Collection[Rule]) -> bool:
        """Whether some token meets all of the ones and none of the others."""
        key = (frozenset(self._alternatives[rule] for rule in met), frozenset(self._alternatives[one] for one in unmet))
        self._budget.spend(1)
        if key not in self._known:
            forbidden = [alternative for alternatives in key[1] for alternative in alternatives]
            self._known[key] = self._is_possible(frozenset(), sorted(key[0], key=len), forbidden)
        return self._known[key]

    def typical(self) -> list[tuple[str, ...]]:
        """What tokens hold that could well come: nothing, everything, or just what some rule wants."""
        wanted = dict.fromkeys(one for alternatives in self._alternatives.values() for one in alternatives)
        some = [frozenset[str](), frozenset[str]().union(*wanted), *wanted][:_TYPICAL]
        return [tuple(sorted(one)) for one in some]

    def met_by(self, held: Iterable[str]) -> frozenset[Rule]:
        """The rules that are met by holding this."""
        names = frozenset(held)
        return frozenset(
            rule for rule, alternatives in self._alternatives.items() if any(one <= names for one in alternatives)
        )

    def _is_possible(
        self, held: frozenset[str], wanted: list[tuple[frozenset[str], ...]], forbidden: list[frozenset[str]]
    ) -> bool:
        self._budget.spend(1)
        for alternative in forbidden:
            if alternative <= held:
                return False
        return not wanted or any(self._is_possible(held | one, wanted[1:], forbidden) for one in wanted[0])

    def _of(self, rule: Rule) -> tuple[frozenset[str], ...]:
        groups = (frozenset[str](),) if rule.groups is None else rule.groups.alternatives
        scopes = (frozenset[str](),) if rule.scopes is None else rule.scopes.alternatives
        self._budget.spend(len(groups) * len(scopes))
        return tuple(
            frozenset([f"group {name}" for name in some] + [f"scope {name}" for name in others])
            for some, others in product(groups, scopes)
        )


@dataclass(frozen=True, slots=True)
class _Chain:
    """A word of a rule grows out of one that `refused` decides, and that out of one that `allowed` decides."""

    allowed: Rule
    refused: Rule
    word: Word
    is_whole: bool
    """Whether the rule's smallest word does, so that all of them do."""


class _Area:
    """Methods for which the same rules are there, and what these rules come to among themselves."""

    __slots__ = ("_allows", "_denies", "_uncovered", "chains", "methods")

    def __init__(self, methods: Sequence[str], rules: Sequence[Rule], tokens: _Tokens, budget: _Budget) -> None:
        words = _Words(rules, budget)
        self.methods = tuple(methods)
        self._allows = {rule: found for rule in rules if (found := words.smallest(rule))}
        self._denies: list[tuple[Rule, Rule, list[Word]]] = []
        self._uncovered: list[tuple[Rule, Word, frozenset[Rule]]] = []
        self.chains: dict[Rule, list[_Chain]] = {rule: [] for rule in self._allows}
        for allowed, smallest in self._allows.items():
            for refused in rules:
                if refused is allowed or not tokens.could_come((allowed,), (refused,)):
                    continue
                needed = words.refused_by(refused, smallest)
                if needed:
                    self._denies.append((allowed, refused, needed))
                    self._note_chains(allowed, refused, needed, words, tokens)
            free: list[Word] = []  # denied to everybody: what grows out of them needs no Deny of its own
            for word in words.uncovered(smallest):
                budget.spend(len(free) * words.steps)
                if not any(_grows_into(one, word) for one in free):
                    hit = words.hit(word)
                    self._uncovered.append((allowed, word, hit))
                    if not hit:
                        free.append(word)

    def allowed(self, met: Collection[Rule]) -> list[Word]:
        """What to allow a token that meets these rules."""
        return _smallest_of(word for rule, smallest in self._allows.items() if rule in met for word in smallest)

    def denied(self, met: Collection[Rule]) -> list[Word]:
        """What to deny it, of all that this allows."""
        needed = [
            word
            for allowed, refused, needed in self._denies
            if allowed in met and refused not in met
            for word in needed
        ]
        harmless = [word for rule, word, hit in self._uncovered if rule in met and hit.isdisjoint(met)]
        return _smallest_of(needed + harmless)

    def leaks(self, met: Collection[Rule]) -> list[str]:
        """What it may call all the same though no rule covers it, by example."""
        denied = self.denied(met)
        leaks = _smallest_of(
            word
            for rule, word, _ in self._uncovered
            if rule in met and not any(_grows_into(deny, word) for deny in denied)
        )
        methods = "ANY" if len(self.methods) == len(METHODS) else ", ".join(self.methods)
        return [f"{methods} {_example(word, self._allows)}" for word in leaks]

    @property
    def most_globs(self) -> int:
        """No token's policy has more for these methods."""
        words = sum(map(len, self._allows.values())) + sum(len(needed) for _, _, needed in self._denies)
        return len(self.methods) * (words + len(self._uncovered))

    def smallest(self, rule: Rule) -> Word | None:
        """The word out of which all grow that the rule decides here; None where it decides nothing."""
        return self._allows[rule][0] if rule in self._allows else None

    def example(self, word: Word) -> str:
        """A request that the word stands for."""
        return f"{self.methods[0]} {_example(word, self._allows)}"

    def _note_chains(
        self, allowed: Rule, refused: Rule, denied: Iterable[Word], words: _Words, tokens: _Tokens
    ) -> None:
        for deny in denied:
            for rule in words.hit(deny):
                if rule in self._allows and tokens.could_come((allowed, rule), (refused,)):
                    lost = words.decided_by(rule, [deny])[0]
                    is_whole = _grows_into(deny, self._allows[rule][0])
                    self.chains[rule].append(_Chain(allowed, refused, lost, is_whole))


class _Words:
    """The words of some rules, found by laying rules over what grows out of other words."""

    __slots__ = ("_budget", "_deciding", "_grown", "_has_proxy", "_hit", "_longest", "_rules", "steps")

    def __init__(self, rules: Sequence[Rule], budget: _Budget) -> None:
        self._rules = rules
        self._budget = budget
        self._longest = longest(rules)
        self.steps = 1 + self._longest // _SEGMENTS_OF_A_STEP  # for each word
        self._has_proxy = any(rule.is_greedy for rule in rules)
        self._grown: dict[Word, list[Word]] = {}
        self._deciding: dict[Word, Rule | None] = {}
        self._hit: dict[Word, frozenset[Rule]] = {}

    def smallest(self, rule: Rule) -> list[Word]:
        """The words out of which all grow that the rule decides; the first of them is not a trailing slash alone."""
        words = generic_words(rule, self._longest)
        smallest = next(([word] for word in words if self._decides(word) is rule), [])
        with_slash = (*rule.pattern, "")
        if rule.is_greedy and rule.pattern and self._decides(with_slash) is rule:
            smallest.append(with_slash)
        return smallest

    def decided_by(self, rule: Rule, smallest: Iterable[Word]) -> list[Word]:
        """What the rule decides of all that grows out of some words: the smallest."""
        return self._smallest_of(word for word in self._shared(rule, smallest) if self._decides(word) is rule)

    def refused_by(self, rule: Rule, smallest: Iterable[Word]) -> list[Word]:
        """What must not be let through, of all that grows out of some words, when the rule is not met: the smallest."""
        return self._smallest_of(word for word in self._shared(rule, smallest) if rule in refusing(self._rules, word))

    def uncovered(self, smallest: Iterable[Word]) -> list[Word]:
        """What no rule covers of all that grows out of some words: the least special word per way of growing.

        Not so for a trailing slash that has two readings: it is for those who meet the rules of both.
        """
        grown = (word for one in smallest for word in self._growing(one))
        found = [word for word in grown if self._decides(word) is None and not refusing(self._rules, word)]
        return sorted(found, key=len)

    def hit(self, word: Word) -> frozenset[Rule]:
        """The rules that decide something of what grows out of the word."""
        if word not in self._hit:
            self._hit[word] = frozenset(
                rule
                for rule in self._rules
                if any(self._decides(shared) is rule for shared in self._shared(rule, [word]))
            )
        return self._hit[word]

    def _smallest_of(self, words: Iterable[Word]) -> list[Word]:
        found = set(words)
        self._budget.spend(len(found) ** 2 // 2)
        return _smallest_of(found)

    def _decides(self, word: Word) -> Rule | None:
        if word not in self._deciding:
            self._deciding[word] = deciding(self._rules, word)
        return self._deciding[word]

    def _shared(self, rule: Rule, smallest: Iterable[Word]) -> Iterable[Word]:
        """What grows out of the words and is matched by the rule, with or without a trailing slash: the least special.

        Any other one grows, segment by segment, out of one of these, and a more specific rule that matches the least
        special one matches the other as well: so these are enough to tell which rule decides.
        """
        first = rule.pattern[0] if rule.pattern else OTHER
        for one in smallest:
            if one[0] != first and OTHER not in (one[0], first):
                continue
            for grown in self._growing(one):
                word = _laid_over(rule, grown)
                if word is not None:
                    yield word

    def _growing(self, word: Word) -> list[Word]:
        """What grows out of the word by `OTHER` alone, as far as lengths make a difference to the rules."""
        if word not in self._grown:
            self._grown[word] = self._growing_anew(word)
        self._budget.spend(len(self._grown[word]) * self.steps)
        return self._grown[word]

    def _growing_anew(self, word: Word) -> list[Word]:
        slash = word[-1:] if word[-1] == "" else ()
        body = word[:-1] if slash else word
        growing: list[Word] = [()]
        for place, segment in enumerate(body):
            # Of neighbours one grows for all: it comes to the same words.
            is_gap = segment == OTHER and body[place - 1 : place] != (OTHER,)
            # Segments beyond the longest rule are all alike to a {proxy+}, and without one nothing is as long.
            most = self._longest + 1 - (0 if self._has_proxy else len(body) - place - 1)
            growths = [range(1, max(1, most - len(grown)) + 1 if is_gap else 2) for grown in growing]
            self._budget.spend(sum(map(len, growths)) * self.steps)  # before they are made: they may be millions
            growing = [
                grown + (segment,) * times for grown, growth in zip(growing, growths, strict=True) for times in growth
            ]
        if slash:
            return [grown + slash for grown in growing]
        return growing + [(*grown, "") for grown in growing if grown[-1] == OTHER]


def _laid_over(rule: Rule, word: Word) -> Word | None:
    """The word with the rule's literals in the place of `OTHER`; None where they do not fit."""
    pattern = rule.pattern
    has_slash = word[-1] == "" and len(word) > 1
    length = len(word) - has_slash
    if length != len(pattern) if not rule.is_greedy else length < len(pattern) + (not has_slash):
        return None
    laid = []
    for segment, expected in zip(word, pattern, strict=False):
        if segment == expected or (expected == OTHER and segment):
            laid.append(segment)
        elif segment == OTHER and expected:
            laid.append(expected)
        else:
            return None
    return (*laid, *word[len(pattern) :])


def _grows_into(word: Word, other: Word) -> bool:
    """Whether the other one is the word with one or more segments in the place of each `OTHER`.

    An empty segment alone is no character at all, and `?*` needs one. Where a later `OTHER` has begun, the ones before
    it need not grow any further: whatever they could take, it takes as well.
    """
    place = at = 0
    grown: tuple[int, int] | None = None  # behind the last `OTHER`, and behind what has grown out of it
    while at < len(other):
        if place < len(word) and word[place] == OTHER and other[at] != "":
            place, at = grown = place + 1, at + 1
        elif place < len(word) and word[place] == other[at]:
            place, at = place + 1, at + 1
        elif grown is not None:
            place, at = grown = grown[0], grown[1] + 1
        else:
            return False
    return place == len(word)


def _smallest_of(words: Iterable[Word]) -> list[Word]:
    """The words that grow out of no other one among them."""
    smallest: list[Word] = []
    for word in sorted(set(words), key=lambda word: (len(word), len(word) - word.count(OTHER), word)):
        if not any(_grows_into(one, word) for one in smallest):
            smallest.append(word)
    return smallest


def _loss(rule: Rule, areas: Sequence[_Area], tokens: _Tokens) -> str:
    """What a token that meets the rule may lose of its paths all the same; empty where nothing.

    Raises:
        ConfigurationError: All of them.
    """
    own = [area for area in areas if area.smallest(rule) is not None]
    whole = [[chain for chain in area.chains[rule] if chain.is_whole] for area in own]
    for chains in product(*({(chain.allowed, chain.refused): chain for chain in one}.values() for one in whole)):
        met = {rule, *(chain.allowed for chain in chains)}
        if tokens.could_come(met, {chain.refused for chain in chains}):
            chain = chains[0]
            raise ConfigurationError(
                f"rules: {rule.route!r} lies inside {chain.refused.route!r}, and that inside {chain.allowed.route!r}. "
                f"One policy for the whole API must deny it to a token that meets the first and the last but not "
                f"{chain.refused.route!r}, since Deny wins over Allow: {_WAY_OUT}"
            )
    for area in own:
        for chain in area.chains[rule]:
            return (
                f"rules: {rule.route!r} loses some of its paths, such as {area.example(chain.word)}, for a token that "
                f"meets it but not {chain.refused.route!r}: `*` crosses slashes in IAM, and the Deny for the one "
                f"strikes them as well. To allow them all, {_WAY_OUT}"
            )
    return ""


def _joined(
    parts: Iterable[tuple[Sequence[str], Sequence[Word]]], methods_as: Callable[[Collection[str], str], list[str]]
) -> list[str]:
    """The words of some methods as globs, with as few of them as will do."""
    methods_of: dict[Word, list[str]] = {}
    for methods, words in parts:
        for word in words:
            methods_of.setdefault(word, []).extend(methods)
    globs = []
    for word, methods in methods_of.items():
        end = "?*" if word[-1] == OTHER else word[-1]
        if end == "?*" and methods_of.get((*word[:-1], "")) == methods:
            end = "*"  # with the trailing slash alone
        elif end == "" and methods_of.get((*word[:-1], OTHER)) == methods:
            continue
        glob = "/".join([*("?*" if segment == OTHER else segment for segment in word[:-1]), end])
        globs += [f"{method}/{glob}" for method in methods_as(methods, glob)]
    return globs


def _by_name(methods: Collection[str], _: str) -> list[str]:
    """The methods for an Allow: no other method is let in."""
    return [method for method in METHODS if method in methods]


def _by_pattern(methods: Collection[str], glob: str) -> list[str]:
    """The methods for a Deny, in as few patterns as will do."""
    if len(methods) == len(METHODS) and glob.startswith("?*"):
        return ["*"]  # whatever it takes beyond the method, the rest of the glob takes as well
    found, left = [], set(methods)
    for method_glob, some in _DENIED_METHODS:
        if left.issuperset(some):
            found.append(method_glob)
            left.difference_update(some)
    return found + _by_name(left, glob)


def _example(word: Word, rules: Iterable[Rule]) -> str:
    literals = {segment for rule in rules for segment in rule.pattern}
    others = (str(number) for number in range(1, 1_000_000) if str(number) not in literals)
    return "/" + "/".join(next(others) if segment == OTHER else segment for segment in word)


def _statement(effect: str, resources: list[str]) -> Statement:
    return {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resources}


def _literal(arn: str) -> str:
    """With IAM's own characters spelt as policy variables that stand for them."""
    if "*" not in arn and "?" not in arn and "${" not in arn:
        return arn
    spelt = {"*": "${*}", "?": "${?}", "$": "${$}"}
    return "".join(spelt.get(character, character) for character in arn)
