"""A middleware: every view of the project runs only for requests with a verified token, unless it says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse

from cognito_verify.answers import REFUSALS
from cognito_verify.context import set_current_token, token_in_context
from cognito_verify.integrations.django.conf import configured
from cognito_verify.integrations.django.guard import Asked, admit, admit_async, refuse, varied

__all__ = ["CognitoMiddleware"]


class CognitoMiddleware:
    """Let views run only for requests with a verified token, but for those with `@token_not_required`.

    Views find the token as `request.cognito_token`, its bearer as `request.user`, and `current_token()` anywhere below.
    A path that leads to no view is a 404 without a token, and what another middleware answers without a view, such as
    a flat page or a static file, is not guarded. A browser's preflight carries none: what answers it, such as
    django-cors-headers, stands above this middleware.

    Raises:
        ConfigurationError: `COGNITO_VERIFY` is wrong; the server does not start.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        configured()
        self.get_response = get_response
        self._asked = Asked()
        self._is_async = iscoroutinefunction(get_response)
        self.process_view: Any = self._process_view_async if self._is_async else self._process_view
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Hand the request on; Django asks for `process_view` before the view."""
        if self._is_async:
            return self._call_async(request)
        with token_in_context(None):  # its end clears what `process_view` sets
            return _varied(request, self.get_response(request))

    def requires_token(self, request: HttpRequest, view: Callable[..., Any]) -> bool:  # noqa: ARG002 - for subclasses
        """Whether a view asks for a token. A subclass may let others through, such as those of the admin site."""
        return getattr(view, "token_required", True)

    async def _call_async(self, request: HttpRequest) -> Any:
        with token_in_context(None):
            return _varied(request, await self.get_response(request))

    def _process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: object, _kwargs: object
    ) -> HttpResponse | None:
        if self.requires_token(request, view):
            try:
                set_current_token(admit(request, self._asked))
            except REFUSALS as error:
                return refuse(error)
        return None

    async def _process_view_async(
        self, request: HttpRequest, view: Callable[..., Any], _args: object, _kwargs: object
    ) -> HttpResponse | None:
        if self.requires_token(request, view):
            try:
                set_current_token(await admit_async(request, self._asked))
            except REFUSALS as error:
                return refuse(error)
        return None


def _varied(request: HttpRequest, response: Any) -> Any:
    return varied(response) if hasattr(request, "cognito_token") else response
