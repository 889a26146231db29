"""What the commands print: text that no token can turn against the terminal, and JSON in ASCII."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

import click

from cognito_verify.claims import check_time_claims, duration, utc
from cognito_verify.errors import CognitoVerifyError, InvalidClaimError
from cognito_verify.tokens import AccessToken, IdToken, VerifiedToken

__all__ = [
    "TIMES",
    "error_document",
    "marked",
    "plain",
    "say",
    "say_json",
    "token_document",
    "warn",
    "when",
    "without_tokens",
]

TIMES = ("exp", "nbf", "iat", "auth_time")
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


def marked(text: str, colour: str) -> str:
    """Printable text in a colour, which only terminals see."""
    return click.style(plain(text), fg=colour)


def say(text: str = "", *, err: bool = False) -> None:
    """One line; colours on a terminal alone, and not where `NO_COLOR` is set."""
    is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    click.echo(text, err=err, color=False if is_plain else None)


def warn(message: str) -> None:
    """One line on standard error."""
    say(f"{marked('warning:', 'yellow')} {plain(message)}", err=True)


def say_json(document: Mapping[str, Any]) -> None:
    """A document on standard output, in ASCII: what a token says reaches no terminal as it is."""
    click.echo(json.dumps(document, indent=2).replace("\x7f", "\\u007f"))


def without_tokens(message: str) -> str:
    """A message about the command line that may quote what was typed, without what may be a token or a URL's query."""
    return re.sub(_TOKENS, "(not shown)", re.sub(_QUERIES, r"\1(not shown)", message))


def when(value: Any, now: float) -> str:
    """A time such as `exp` in words, or nothing where it is no time."""
    try:
        check_time_claims({"exp": value})
    except InvalidClaimError:
        return ""
    span = f"in {duration(value - now)}" if value > now else f"{duration(now - value)} ago"
    return f"{utc(value)}, {span}"


def error_document(error: CognitoVerifyError) -> dict[str, Any]:
    """An error as every `--json` shows it."""
    return {
        "code": error.code,
        "message": str(error),
        "http_status": error.http_status,
        "transient": error.transient,
        "retry_after": error.retry_after,
        "docs_url": error.docs_url,
    }


def token_document(token: AccessToken | IdToken) -> dict[str, Any]:
    """A verified token as `--json` shows it; the raw token is not in it."""
    return {
        "token_use": token.token_use,
        "sub": token.sub,
        "username": token.username,
        "client_id": token.client_id,
        "user_pool_id": token.user_pool_id,
        "issuer": token.issuer,
        "groups": list(token.groups),
        "scopes": sorted(token.scopes) if isinstance(token, AccessToken) else [],
        "issued_at": _utc_or_none(token, "iat"),
        "expires_at": utc(token["exp"]),
        "auth_time": _utc_or_none(token, "auth_time"),
        "claims": token.claims,
    }


def _utc_or_none(token: VerifiedToken, claim: str) -> str | None:
    return utc(token[claim]) if claim in token else None
