"""Every error of this library: its stable code, its HTTP status and its challenge (RFC 6750 section 3).

Three families, so that nobody turns a 403 into a 401 by catching too widely: `TokenError` (who are you?),
`AccessDeniedError` (you may not) and `KeysUnavailableError` (we cannot tell now). Messages say what was expected and
what was found; none holds a token, a signature or a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar

__all__ = [
    "DOCUMENTATION",
    "AccessDeniedError",
    "CheckFailedError",
    "CognitoVerifyError",
    "ConfigurationError",
    "InsufficientScopeError",
    "InvalidClaimError",
    "InvalidClientError",
    "InvalidIssuerError",
    "InvalidResourceError",
    "InvalidSignatureError",
    "InvalidTokenUseError",
    "KeysUnavailableError",
    "MalformedTokenError",
    "MissingGroupError",
    "MissingTokenError",
    "ReauthenticationRequiredError",
    "TokenError",
    "TokenExpiredError",
    "TokenNotYetValidError",
    "UnknownKeyError",
    "UnsupportedAlgorithmError",
    "shown",
]

# The page that explains every code, each at an anchor of its own. A path in the repository, as long as the manual is
# published nowhere: a clone, a source archive and any Git host can open it, and no stranger can register its name.
DOCUMENTATION = "docs/reference/errors.md"

_SHOWN_CHARACTERS = 64
_NOT_IN_A_QUOTED_STRING = r"[^\x20\x21\x23-\x5b\x5d-\x7e]"  # RFC 6750 section 3: error_description


class CognitoVerifyError(Exception):
    """Base of every error of this library; catch it where any refusal is answered alike.

    Args:
        message: What was expected, what was found and, where it is plain, what to do.
        scopes: Scopes that would have been enough, for the challenge; several, or a string with spaces between them.
        max_age: Seconds since authentication that would have been accepted, for the challenge (RFC 9470 section 3).
        retry_after: Seconds until the next fetch of keys is allowed, for `Retry-After` (RFC 9110 section 10.2.3).
        transient: Whether the same token may pass a moment later; None takes what is usual for the class.

    `docs_url` is where the manual explains the class's code.
    """

    code = "cognito_verify"
    http_status = 500
    transient = False
    docs_url: ClassVar[str] = f"{DOCUMENTATION}#{code}"
    scopes: tuple[str, ...] = ()
    max_age: float | None = None
    retry_after: float | None = None

    def __init__(
        self,
        message: str = "",
        *,
        scopes: Iterable[str] = (),
        max_age: float | None = None,
        retry_after: float | None = None,
        transient: bool | None = None,
    ) -> None:
        super().__init__(message)  # the facts are plain attributes with defaults: that is all that pickling needs
        self.scopes = tuple(scopes.split() if isinstance(scopes, str) else scopes)
        self.max_age = max_age
        self.retry_after = retry_after
        if transient is not None:
            self.transient = transient

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__module__ == __name__:  # an application's own error is explained by the one it is derived from
            cls.docs_url = f"{DOCUMENTATION}#{cls.code}"

    @property
    def challenge(self) -> str:
        """The value for `WWW-Authenticate` (RFC 6750 section 3); empty where the client cannot mend anything."""
        return ""

    def _challenge(self, error: str, **parameters: str) -> str:
        described = {"error": error, "error_description": str(self), **parameters}
        return "Bearer " + ", ".join(f'{name}="{_quotable(value)}"' for name, value in described.items() if value)


class ConfigurationError(CognitoVerifyError, ValueError):
    """This side is set up wrongly; no token can mend it."""

    code = "configuration"


class KeysUnavailableError(CognitoVerifyError):
    """The pool's keys cannot be had now, so nothing can be said about the token. `retry_after` tells when to try."""

    code = "keys_unavailable"
    http_status = 503
    transient = True


class TokenError(CognitoVerifyError):
    """Base of all that is wrong with a token (RFC 6750 section 3.1, `invalid_token`). Raised by its subclasses only."""

    code = "invalid_token"
    http_status = 401

    @property
    def challenge(self) -> str:
        """The value for `WWW-Authenticate` (RFC 6750 section 3)."""
        return self._challenge("invalid_token")


class MissingTokenError(TokenError):
    """No token was sent. The challenge names the scheme and no error (RFC 6750 section 3.1)."""

    code = "missing_token"

    @property
    def challenge(self) -> str:
        """The value for `WWW-Authenticate`: the scheme alone."""
        return "Bearer"


class MalformedTokenError(TokenError):
    """Not a compact JWS by the strict rules, or a header or payload that is no JSON object (RFC 7515 section 5.2)."""

    code = "malformed_token"


class UnsupportedAlgorithmError(TokenError):
    """`alg` is not the one that is expected (RFC 8725 section 3.1)."""

    code = "unsupported_algorithm"


class InvalidIssuerError(TokenError):
    """`iss` is none of the issuers of the configured pools (RFC 7519 section 4.1.1)."""

    code = "invalid_issuer"


class UnknownKeyError(TokenError):
    """The pool publishes no usable key with this `kid`. `transient` is True while no fetch was allowed."""

    code = "unknown_key"


class InvalidSignatureError(TokenError):
    """The signature does not match: the token was altered, or signed by somebody else (RFC 7515 section 5.2)."""

    code = "invalid_signature"


class TokenExpiredError(TokenError):
    """`exp` has passed (RFC 7519 section 4.1.4). The client should refresh; the same token will not pass again."""

    code = "token_expired"


class TokenNotYetValidError(TokenError):
    """`nbf` lies in the future (RFC 7519 section 4.1.5); the token will pass later."""

    code = "token_not_yet_valid"
    transient = True


class ReauthenticationRequiredError(TokenError):
    """The user authenticated longer ago than `max_age`; logging in again helps (RFC 9470 section 3)."""

    code = "reauthentication_required"

    @property
    def challenge(self) -> str:
        """The value for `WWW-Authenticate`, with the accepted `max_age` in seconds (RFC 9470 section 3)."""
        max_age = "" if self.max_age is None else str(int(self.max_age))
        return self._challenge("insufficient_user_authentication", max_age=max_age)


class InvalidTokenUseError(TokenError):
    """`token_use` is not what the verifier asks for, such as an ID token where an access token is wanted."""

    code = "invalid_token_use"


class InvalidClientError(TokenError):
    """`client_id` (access token) or `aud` (ID token) is none of the pool's configured app clients."""

    code = "invalid_client"


class InvalidResourceError(TokenError):
    """The access token's `aud` does not hold the configured resource (RFC 8707 section 2)."""

    code = "invalid_resource"


class InvalidClaimError(TokenError):
    """Another claim is missing, of a wrong type or not the expected value."""

    code = "invalid_claim"


class CheckFailedError(TokenError):
    """A check of the application refused the token. Raise it in a check, with the reason."""

    code = "check_failed"


class AccessDeniedError(CognitoVerifyError):
    """The token is good and its bearer may not do this. Raise it in a check for an answer of 403."""

    code = "access_denied"
    http_status = 403

    @property
    def challenge(self) -> str:
        """The value for `WWW-Authenticate`, with the scopes that would do where they are known (RFC 6750 section 3)."""
        return self._challenge("insufficient_scope", scope=" ".join(self.scopes))


class InsufficientScopeError(AccessDeniedError):
    """The access token lacks a required scope (RFC 6750 section 3.1, `insufficient_scope`)."""

    code = "insufficient_scope"


class MissingGroupError(AccessDeniedError):
    """The user is in none of the required groups (`cognito:groups`)."""

    code = "missing_group"


def shown(value: object) -> str:
    """What an unverified token says, made safe for a message: escaped by `repr` and cut short."""
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return f"{value[:_SHOWN_CHARACTERS]!r}..."
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, lists in lists in lists
        text = type(value).__name__
    return text if len(text) <= 2 * _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _quotable(text: str) -> str:
    return re.sub(_NOT_IN_A_QUOTED_STRING, "?", text.replace('"', "'"))
