"""Text that can neither turn against the terminal nor give away a token. Needs no click."""

from __future__ import annotations

import re

__all__ = ["plain", "without_tokens"]

# What the command line's own messages may quote: a token, a part of one, or what looks like one.
# Each word is tried from its start alone: else a long one would take quadratic time.
_TOKENS = r"eyJ[\w.+/=-]{8,}|(?<![\w-])[\w-]{16,}+\.[\w-]{16,}+(?:\.[\w-]*+)++"
# What `isprintable` takes for visible and no terminal shows: Default_Ignorable_Code_Point of Unicode's
# DerivedCoreProperties.txt among letters and marks, and the blank of braille.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_QUERIES = r"(https?://[^\s?'\"]*\?)[^\s'\"]+"  # of a signed URL it is a secret


def plain(text: str) -> str:
    """`text` in one line without control, bidirectional or other invisible characters: they are shown escaped."""
    return "".join(
        one if one.isprintable() and not _UNSEEN.match(one) else one.encode("unicode_escape").decode() for one in text
    )


def without_tokens(message: str) -> str:
    """A message about the command line that may quote what was typed, without what may be a token or a URL's query."""
    return re.sub(_TOKENS, "(not shown)", re.sub(_QUERIES, r"\1(not shown)", message))
