"""How a command can end other than well, and its exit code."""

from __future__ import annotations

from cognito_verify.errors import CognitoVerifyError, ConfigurationError, KeysUnavailableError

__all__ = [
    "CONFIGURATION",
    "FAULT",
    "INTERRUPTED",
    "REFUSED",
    "UNAVAILABLE",
    "VERIFIED",
    "InterruptedCommandError",
    "LoginRefusedError",
    "ServiceError",
    "UsageError",
    "exit_code",
]

VERIFIED = 0
REFUSED = 1
CONFIGURATION = 2  # usage as well, as click has it
UNAVAILABLE = 3
FAULT = 70  # of the command itself: EX_SOFTWARE of sysexits.h
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it

_PAGE = "docs/reference/command-line.md"


class UsageError(ConfigurationError):
    """The command line cannot be understood, or contradicts itself."""

    code = "usage"
    docs_url = f"{_PAGE}#usage"


class InterruptedCommandError(CognitoVerifyError):
    """Somebody pressed Ctrl-C, or gave no answer to a question."""

    code = "interrupted"
    docs_url = f"{_PAGE}#interrupted"


class LoginRefusedError(CognitoVerifyError):
    """The pool refused the login, or asks for something that this command cannot answer."""

    code = "login_refused"
    http_status = 401
    docs_url = f"{_PAGE}#login_refused"


class ServiceError(CognitoVerifyError):
    """The pool's service cannot be reached, or asks to be called later."""

    code = "service_unavailable"
    http_status = 503
    transient = True
    docs_url = f"{_PAGE}#service_unavailable"


def exit_code(error: CognitoVerifyError) -> int:
    """0 is for what is verified; each family of errors has its own code."""
    if isinstance(error, InterruptedCommandError):
        return INTERRUPTED
    if isinstance(error, ConfigurationError):
        return CONFIGURATION
    return UNAVAILABLE if isinstance(error, (KeysUnavailableError, ServiceError)) else REFUSED
