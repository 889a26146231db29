"""Verified Amazon Cognito tokens.

`CognitoVerifier` takes a raw token and returns an `AccessToken` or an `IdToken`, or raises a `CognitoVerifyError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "AccessDeniedError",
    "AccessToken",
    "CheckFailedError",
    "CognitoVerifier",
    "CognitoVerifyError",
    "ConfigurationError",
    "IdToken",
    "InsufficientScopeError",
    "InvalidClaimError",
    "InvalidClientError",
    "InvalidIssuerError",
    "InvalidResourceError",
    "InvalidSignatureError",
    "InvalidTokenUseError",
    "JwksCache",
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
    "UserPool",
    "all_of",
    "any_of",
    "bearer_token",
    "current_token",
]

if TYPE_CHECKING:
    from cognito_verify.context import current_token
    from cognito_verify.errors import (
        AccessDeniedError,
        CheckFailedError,
        CognitoVerifyError,
        ConfigurationError,
        InsufficientScopeError,
        InvalidClaimError,
        InvalidClientError,
        InvalidIssuerError,
        InvalidResourceError,
        InvalidSignatureError,
        InvalidTokenUseError,
        KeysUnavailableError,
        MalformedTokenError,
        MissingGroupError,
        MissingTokenError,
        ReauthenticationRequiredError,
        TokenError,
        TokenExpiredError,
        TokenNotYetValidError,
        UnknownKeyError,
        UnsupportedAlgorithmError,
    )
    from cognito_verify.jwks import JwksCache
    from cognito_verify.jws import bearer_token
    from cognito_verify.pool import UserPool
    from cognito_verify.requirements import all_of, any_of
    from cognito_verify.tokens import AccessToken, IdToken
    from cognito_verify.verifier import CognitoVerifier
else:
    # Loaded when first asked for (PEP 562): importing the package costs next to nothing, and whoever needs the errors
    # alone does not wait for the cryptography. The type checker sees the plain imports above instead.
    _ROOMS = {
        "CognitoVerifier": "verifier",
        "JwksCache": "jwks",
        "UserPool": "pool",
        "all_of": "requirements",
        "any_of": "requirements",
        "bearer_token": "jws",
        "AccessToken": "tokens",
        "IdToken": "tokens",
        "current_token": "context",
    }

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_ROOMS.get(name, 'errors')}"), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
