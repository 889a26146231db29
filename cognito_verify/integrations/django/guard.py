"""What the decorator and the middleware have in common: a request is admitted, or answered."""

from __future__ import annotations

from collections.abc import Awaitable
from inspect import isawaitable
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from cognito_verify.answers import REFUSALS, Gate, LateGate, answer_to, tell_refusal
from cognito_verify.errors import CheckFailedError, CognitoVerifyError, ConfigurationError
from cognito_verify.integrations.django.conf import configured
from cognito_verify.integrations.django.users import CognitoUser
from cognito_verify.requirements import RequirementSource
from cognito_verify.tokens import AccessToken, IdToken

__all__ = [
    "Asked",
    "CognitoRequest",
    "admit",
    "admit_async",
    "authorization",
    "refuse",
    "say_who",
    "user_of",
    "varied",
]

Token = AccessToken | IdToken


class CognitoRequest(HttpRequest):
    """The request of a view that asks for a token, for annotations."""

    cognito_token: Token
    """The verified token."""


class Asked:
    """What a view asks for, of the verifier that the settings describe.

    Raises:
        ConfigurationError: A requirement is empty or senseless.
    """

    __slots__ = ("_gate",)

    def __init__(
        self,
        *,
        groups: RequirementSource | None = None,
        scopes: RequirementSource | None = None,
        optional: bool = False,
    ) -> None:
        self._gate: LateGate[Token] = LateGate("COGNITO_VERIFY", groups=groups, scopes=scopes, optional=optional)

    def gate(self) -> Gate[Token]:
        """Made by the first request: a view is decorated before the settings are read, and a test may change them."""
        return self._gate.of(configured().verifier)


def authorization(request: HttpRequest) -> tuple[str, ...]:
    """The values of all `Authorization` headers; servers have joined them with commas by now."""
    value = request.META.get("HTTP_AUTHORIZATION")
    return () if value is None else (value,)


def admit(request: HttpRequest, asked: Asked) -> Token | None:
    """Verify the token of a request and say in the request whose it is.

    Raises:
        CognitoVerifyError: One of `REFUSALS`, or a `ConfigurationError`.
    """
    token = request.cognito_token = asked.gate().verified(authorization(request))
    if token is not None:
        say_who(request, user_of(token))
    return token


async def admit_async(request: HttpRequest, asked: Asked) -> Token | None:
    """As `admit`, without a thread unless `USER_FROM_TOKEN` needs one."""
    token = request.cognito_token = await asked.gate().verified_async(authorization(request))
    if token is not None:
        say_who(request, await _user_of_async(token))
    return token


def user_of(token: Token) -> Any:
    """Whom `USER_FROM_TOKEN` finds, or the `CognitoUser` of the token where there is no such hook.

    Raises:
        CheckFailedError: It finds nobody, or a user who is not active.
        ConfigurationError: It gives what is no user.
    """
    hook = configured().user_from_token
    if hook is None:
        return CognitoUser(token)
    try:
        found = hook(token)
        return _active(async_to_sync(_awaited)(found) if isawaitable(found) else found)
    except REFUSALS as error:
        tell_refusal(configured().verifier.observer, error)
        raise


async def _user_of_async(token: Token) -> Any:
    hook = configured().user_from_token
    if hook is None:
        return CognitoUser(token)
    is_async = iscoroutinefunction(hook) or iscoroutinefunction(type(hook).__call__)
    try:
        found = await (hook if is_async else sync_to_async(hook))(token)
        # a plain function around an async one, such as a tracer's, has given a coroutine
        return _active(await found if isawaitable(found) else found)
    except REFUSALS as error:
        tell_refusal(configured().verifier.observer, error)
        raise


async def _awaited(found: Awaitable[Any]) -> Any:
    return await found


def _active(user: Any) -> Any:
    # False, a name, a query, a class that was not called: not to be let in as a user.
    if user is not None and not isinstance(getattr(user, "is_authenticated", None), bool):
        raise ConfigurationError(
            "USER_FROM_TOKEN: expected a user, whose is_authenticated is True or False, or None for nobody, found "
            f"{type(user).__name__}"
        )
    if user is None or not (user.is_authenticated and getattr(user, "is_active", True)):
        raise CheckFailedError("user: expected an active user for this token, found none")
    return user


def say_who(request: HttpRequest, user: Any) -> None:
    """In the place of the session's user: a view must not act for another one than the token's."""

    async def auser() -> Any:
        return user

    request.user = user
    request.auser = auser


def refuse(error: CognitoVerifyError) -> HttpResponse:
    """The answer to a refusal, the same as in every other framework."""
    status, headers, body = answer_to(error)
    content = body.encode()
    return varied(HttpResponse(content, status=status, headers={**headers, "Content-Length": str(len(content))}))


def varied(response: Any) -> Any:
    """Django's own cache keeps answers by URL and what `Vary` names: one bearer's must not be served to another."""
    if not hasattr(response, "has_header"):  # None, say: Django's own error names the view
        return response
    if response.has_header("Vary"):
        patch_vary_headers(response, ("Authorization",))
    else:  # the usual case, without taking a header apart
        response.headers["Vary"] = "Authorization"
    return response
