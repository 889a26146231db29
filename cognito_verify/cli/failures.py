"""How a command can end other than well, and its exit code."""

from __future__ import annotations

from cognito_verify.errors import CognitoVerifyError, ConfigurationError, KeysUnavailableError

__all__ = [
    "CONFIGURATION",
    "REFUSED",
    "UNAVAILABLE",
    "VERIFIED",
    "LoginError",
    "LoginRefusedError",
    "ServiceError",
    "exit_code",
]

VERIFIED = 0
REFUSED = 1
CONFIGURATION = 2  # usage as well, as click has it
UNAVAILABLE = 3


class LoginError(CognitoVerifyError):
    """A login that gave no tokens. Raised by its subclasses only."""


class LoginRefusedError(LoginError):
    """The pool refused the login, or asks for something that this command cannot answer."""

    code = "login_refused"
    http_status = 401


class ServiceError(LoginError):
    """The pool's service cannot be reached, or asks to be called later."""

    code = "service_unavailable"
    http_status = 503
    transient = True


def exit_code(error: CognitoVerifyError) -> int:
    """0 is for what is verified; each family of errors has its own code."""
    if isinstance(error, ConfigurationError):
        return CONFIGURATION
    return UNAVAILABLE if isinstance(error, (KeysUnavailableError, ServiceError)) else REFUSED
