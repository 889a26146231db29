"""Decorators for views, sync and async."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutine
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction

from cognito_verify.answers import REFUSALS
from cognito_verify.context import token_in_context
from cognito_verify.errors import ConfigurationError
from cognito_verify.integrations.django.guard import Asked, CognitoRequest, admit, admit_async, refuse, varied
from cognito_verify.requirements import RequirementSource

__all__ = ["CognitoRequest", "require_token", "token_not_required"]

_ViewT = TypeVar("_ViewT", bound=Callable[..., Any])


def require_token(
    *, groups: RequirementSource | None = None, scopes: RequirementSource | None = None, optional: bool = False
) -> Callable[[_ViewT], _ViewT]:
    """Let a view run only for requests with a verified token.

        @require_token(groups="finance")
        def reports(request):
            return JsonResponse({"hello": request.cognito_token.username})

    The view finds the token as `request.cognito_token`, its bearer as `request.user`, and `current_token()` anywhere
    below. For a class, decorate what `as_view()` returns. The CSRF protection of Django stays as it is: a view that
    clients without cookies send `POST` to stands under `@csrf_exempt`.

    Args:
        groups: Groups that are asked for besides those of the settings.
        scopes: Scopes that are asked for besides those of the settings.
        optional: Run the view without a token, with None in its place, where there is none. A bad one is still refused.

    Raises:
        ConfigurationError: A requirement is empty or senseless.
    """
    asked = Asked(groups=groups, scopes=scopes, optional=optional)

    def decorate(view: _ViewT) -> _ViewT:
        if iscoroutinefunction(view):

            @wraps(view)
            async def guarded_async(request: Any, *args: Any, **kwargs: Any) -> Any:
                try:
                    token = await admit_async(request, asked)
                except REFUSALS as error:
                    return refuse(error)
                with token_in_context(token):
                    return varied(await view(request, *args, **kwargs))

            return _without_login(guarded_async, optional=optional)

        @wraps(view)
        def guarded(request: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                token = admit(request, asked)
            except REFUSALS as error:
                return refuse(error)
            with token_in_context(token):
                response = view(request, *args, **kwargs)
            if iscoroutine(response):
                response.close()  # one that is never awaited would warn
                raise ConfigurationError(
                    "require_token: expected an async view where a coroutine comes back; of a class with async "
                    "methods, decorate what as_view() returns and not dispatch"
                )
            return varied(response)

        return _without_login(guarded, optional=optional)

    return decorate


def _without_login(guarded: Any, *, optional: bool) -> Any:
    """Django's `LoginRequiredMiddleware` leaves such a view alone: it is asked before us, and knows sessions only."""
    if not optional:
        guarded.login_required = False
    return guarded


def token_not_required(view: _ViewT) -> _ViewT:
    """Let a view run without a token in spite of `CognitoMiddleware`: this view, by whatever path it is reached."""
    view.token_required = False  # type: ignore[attr-defined]
    return view
