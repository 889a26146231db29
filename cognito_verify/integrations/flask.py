"""Flask: views that run only for requests with a verified token, in applications and blueprints."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from flask import Blueprint, Flask, Response, current_app, has_request_context, request
from werkzeug.exceptions import HTTPException, default_exceptions

from cognito_verify.answers import REFUSALS, LateGate, answer_to, check_verifier
from cognito_verify.context import (
    TOKEN_BESIDE_REQUEST,
    clear_current_token,
    current_token,
    set_current_token,
    token_in_context,
)
from cognito_verify.errors import CognitoVerifyError, ConfigurationError
from cognito_verify.requirements import RequirementSource
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier, TokenT_co

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["CognitoAuth"]

_ViewT = TypeVar("_ViewT", bound=Callable[..., Any])
_EXTENSION = "cognito_verify"  # verifiers by the `CognitoAuth` that has them: an application may have several
# Tokens by the `CognitoAuth` that verified them; an attribute of the request. `g` belongs to the application context,
# which several requests may share, and the WSGI environment is handed on to other applications.
_TOKENS = "cognito_verify_tokens"


class CognitoAuth(Generic[TokenT_co]):
    """Verified tokens for the views of a Flask application.

        auth = CognitoAuth(app)

        @app.get("/reports")
        @auth.required(groups="finance")
        def reports():
            return {"hello": auth.token.username}

    A refusal is raised in the view's place, so `@app.errorhandler(TokenError)` and the like replace its answer; where
    there is none, it is the answer of a `werkzeug` exception with its status, and handlers for 401, 403, 503 or
    `HTTPException` apply as well.

    Args:
        app: The application; or call `init_app` later.
        verifier: Who verifies. Without one, `init_app` makes it from `app.config`.

    Raises:
        ConfigurationError: As for `init_app`.
    """

    @overload
    def __init__(self: CognitoAuth[AccessToken | IdToken], app: Flask | None = None, verifier: None = None) -> None: ...

    @overload
    def __init__(self, app: Flask | None = None, *, verifier: CognitoVerifier[TokenT_co]) -> None: ...

    @overload
    def __init__(self, app: Flask | None, verifier: CognitoVerifier[TokenT_co]) -> None: ...

    def __init__(self, app: Flask | None = None, verifier: CognitoVerifier[TokenT_co] | None = None) -> None:
        if verifier is not None:
            check_verifier("CognitoAuth", verifier)
        self._verifier = verifier
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set an application up, of which there may be several.

        Reads what `CognitoVerifier.from_env` reads, from `app.config`: `COGNITO_USER_POOL_ID`, `COGNITO_CLIENT_ID`
        (a comma-separated string, or a list), `COGNITO_TOKEN_USE`, and where they are set `COGNITO_JWKS` and
        `COGNITO_JWKS_URI`. None of it is read where there is a verifier.

        Raises:
            ConfigurationError: A setting is missing, empty or malformed.
        """
        verifier: Any = self._verifier
        if verifier is None:
            verifier = CognitoVerifier.from_variables(app.config, "app.config")
        if _EXTENSION not in app.extensions:
            app.wsgi_app = _in_block(app.wsgi_app)  # type: ignore[assignment, method-assign]
            app.teardown_request(_end)  # the first to be registered runs last
        app.extensions.setdefault(_EXTENSION, {})[self] = verifier
        if CognitoVerifyError not in app.error_handler_spec[None][None]:  # an application's own stays
            app.register_error_handler(CognitoVerifyError, _answer)

    def required(
        self,
        *,
        groups: RequirementSource | None = None,
        scopes: RequirementSource | None = None,
        optional: bool = False,
    ) -> Callable[[_ViewT], _ViewT]:
        """Let a view run only for requests with a verified token. Stands below `@app.route`; views may be `async def`.

        Args:
            groups: Groups that are asked for besides the verifier's own.
            scopes: Scopes that are asked for besides the verifier's own.
            optional: Run the view without a token where there is none. A bad one is still refused.

        Raises:
            ConfigurationError: A requirement is empty or senseless.
        """
        asked = self._asked(groups, scopes, optional=optional)

        def decorate(view: _ViewT) -> _ViewT:
            if iscoroutinefunction(view):

                @wraps(view)
                async def guarded_async(*args: Any, **kwargs: Any) -> Any:
                    self._keep(await asked.of(self.verifier).verified_async(_values()))
                    return await view(*args, **kwargs)

                return guarded_async  # type: ignore[return-value]

            @wraps(view)
            def guarded(*args: Any, **kwargs: Any) -> Any:
                self._keep(asked.of(self.verifier).verified(_values()))
                return view(*args, **kwargs)

            return guarded  # type: ignore[return-value]

        return decorate

    def protect(
        self,
        views: Flask | Blueprint,
        *,
        groups: RequirementSource | None = None,
        scopes: RequirementSource | None = None,
    ) -> None:
        """Ask for a verified token before every view of a blueprint, or of an application with its static files.

        The `OPTIONS` that Flask answers by itself needs none: a browser's preflight carries no token.

        Args:
            views: The blueprint or the application.
            groups: Groups that are asked for besides the verifier's own.
            scopes: Scopes that are asked for besides the verifier's own.

        Raises:
            ConfigurationError: A requirement is empty or senseless.
        """
        asked = self._asked(groups, scopes, optional=False)

        def guard() -> None:
            if request.method == "OPTIONS" and getattr(request.url_rule, "provide_automatic_options", False):
                return
            self._keep(asked.of(self.verifier).verified(_values()))

        views.before_request(guard)

    @property
    def token(self) -> TokenT_co:
        """The verified token of this request.

        Raises:
            RuntimeError: There is none: the view asks for no token, or the token is optional and absent.
        """
        token = self.token_or_none
        if token is None:
            raise RuntimeError(
                "There is no verified token in this request. Decorate the view with @auth.required(), or read "
                "auth.token_or_none where the token is optional."
            )
        return token

    @property
    def token_or_none(self) -> TokenT_co | None:
        """The verified token of this request, or None, as outside of a request."""
        return getattr(request, _TOKENS, {}).get(self) if has_request_context() else None

    @property
    def verifier(self) -> CognitoVerifier[TokenT_co]:
        """Who verifies for the current application."""
        verifier: CognitoVerifier[TokenT_co] | None = current_app.extensions.get(_EXTENSION, {}).get(self)
        if verifier is None:
            raise ConfigurationError(f"CognitoAuth: expected init_app(app) of {current_app.name!r} first, found none")
        return verifier

    def _asked(
        self, groups: RequirementSource | None, scopes: RequirementSource | None, *, optional: bool
    ) -> LateGate[TokenT_co]:
        """What a view asks for. Its verifier is that of the application which handles the request."""
        return LateGate("CognitoAuth", groups=groups, scopes=scopes, optional=optional)

    def _keep(self, token: TokenT_co | None) -> None:
        tokens = getattr(request, _TOKENS, None)
        if tokens is None:
            setattr(request, _TOKENS, {self: token})
        else:
            tokens[self] = token
        set_current_token(token)


def _in_block(wsgi_app: WSGIApplication) -> WSGIApplication:
    """Whatever a request sets is gone at its end, and what was current before it, outside of it, is current again."""

    def called(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with token_in_context(environ.get(TOKEN_BESIDE_REQUEST)):
            return wsgi_app(environ, start_response)

    return called


def _end(_: BaseException | None) -> None:
    """For a `test_request_context` with `preprocess_request`, which no block surrounds."""
    token = current_token()
    if any(token is kept for kept in getattr(request, _TOKENS, {}).values()):
        clear_current_token()


def _values() -> tuple[str, ...]:
    value = request.environ.get("HTTP_AUTHORIZATION")  # `request.headers` reads them all: 13 us, this 1
    return () if value is None else (value,)


def _answer(error: CognitoVerifyError) -> Any:
    """As if a view had called `abort` with this answer: an application's handlers for its status apply."""
    if not isinstance(error, REFUSALS):
        raise error
    status, headers, body = answer_to(error)
    refusal = default_exceptions.get(status, HTTPException)(str(error), Response(body, status, headers))
    return current_app.handle_user_exception(refusal)
