"""`COGNITO_VERIFY`: from Django's settings to a verifier, once per process."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from cognito_verify.errors import ConfigurationError, shown
from cognito_verify.verifier import CognitoVerifier

__all__ = ["NAME", "Configured", "WrongSettingError", "configured"]

NAME = "COGNITO_VERIFY"

_POOL = "USER_POOL_ID"
_HOOK = "USER_FROM_TOKEN"
_OPTIONS = {option.upper(): option for option in inspect.signature(CognitoVerifier).parameters if option != "user_pool"}
_KNOWN = (_POOL, *_OPTIONS, _HOOK)
_EXAMPLE = f'{NAME} = {{"{_POOL}": "us-east-1_AbCdEfGhI", "CLIENT_ID": "1example23456789", "TOKEN_USE": "access"}}'


class WrongSettingError(ConfigurationError):
    """A fault of `COGNITO_VERIFY`.

    Args:
        message: As everywhere: what was expected, what was found.
        check: The system check that tells of it.
        hint: What to do.
    """

    def __init__(self, message: str = "", *, check: str = "E003", hint: str | None = None) -> None:
        super().__init__(message)
        self.check = check
        self.hint = hint


class Configured(NamedTuple):
    """What `COGNITO_VERIFY` stands for."""

    verifier: CognitoVerifier[Any]
    user_from_token: Callable[[Any], Any] | None


@cache
def configured() -> Configured:
    """What the settings say; read once per process. Nothing is fetched.

    Raises:
        WrongSettingError
    """
    given = getattr(settings, NAME, None)
    if not isinstance(given, Mapping):
        raise WrongSettingError(
            f"{NAME}: expected a dict in the settings, found {shown(given)}", check="E001", hint=_EXAMPLE
        )
    unknown = [name for name in given if name not in _KNOWN]
    if unknown:
        meant = get_close_matches(str(unknown[0]).upper(), _KNOWN, n=1)
        raise WrongSettingError(
            f"{NAME}: there is no setting {shown(unknown[0])}",
            check="E002",
            hint=f"Rename it to {meant[0]}." if meant else f"There are {', '.join(_KNOWN)}.",
        )
    for name in (_POOL, "TOKEN_USE"):
        if name not in given:
            raise WrongSettingError(f"{NAME}: {name}: expected a value, found nothing", hint=_EXAMPLE)
    options = {_OPTIONS[name]: given[name] for name in given if name in _OPTIONS}
    found = options.get("checks")
    if isinstance(found, str):
        raise WrongSettingError(
            f"{NAME}: CHECKS: expected a list of callables, or of their dotted paths, found {shown(found)}",
            hint=f'Write it in a list: "CHECKS": [{shown(found)}].',
        )
    if isinstance(found, (list, tuple)):
        options["checks"] = [_imported("CHECKS", check) for check in found]
    if "observer" in options:
        options["observer"] = _imported("OBSERVER", options["observer"])
    hook = _imported(_HOOK, given.get(_HOOK))
    if hook is not None and not callable(hook):
        raise WrongSettingError(
            f"{NAME}: {_HOOK}: expected a callable (token) -> user, or its dotted path, found {shown(hook)}",
            check="E004",
        )
    try:
        return Configured(CognitoVerifier(given[_POOL], **options), hook)
    except ConfigurationError as error:
        option, colon, rest = str(error).partition(":")
        name = {"user_pool": _POOL, "user_pool_id": _POOL}.get(option, option.upper())
        message = f"{name}{colon}{rest}" if name in _KNOWN else str(error)
    raise WrongSettingError(f"{NAME}: {message}")


def _imported(name: str, value: Any) -> Any:
    """What a dotted path leads to: settings cannot import what needs the settings."""
    if not isinstance(value, str):
        return value
    try:
        return import_string(value)
    except ImportError as error:
        message = f"{NAME}: {name}: {error}"
    raise WrongSettingError(message, check="E004", hint="Expected the dotted path of a callable.")


def _read_anew(*, setting: str, **_: object) -> None:
    if setting == NAME:
        configured.cache_clear()


setting_changed.connect(_read_anew)  # `override_settings` in a test
