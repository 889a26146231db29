"""What the commands print: text that no token can turn against the terminal, and JSON in ASCII."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import click

from cognito_verify.claims import check_time_claims, duration, utc
from cognito_verify.cli.plain_text import plain
from cognito_verify.errors import CognitoVerifyError, InvalidClaimError
from cognito_verify.tokens import AccessToken, IdToken, VerifiedToken

__all__ = [
    "TIMES",
    "error_document",
    "marked",
    "say",
    "say_json",
    "token_document",
    "warn",
    "when",
]

TIMES = ("exp", "nbf", "iat", "auth_time")


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
