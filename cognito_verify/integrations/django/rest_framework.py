"""Django REST framework: an authentication class, and permission classes for tokens, groups and scopes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple, NoReturn

from django.core.signals import request_finished, request_started
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied
from rest_framework.permissions import (
    AND,
    NOT,
    BasePermission,
    OperandHolder,
    OperationHolderMixin,
    SingleOperandHolder,
)
from rest_framework.settings import api_settings

from cognito_verify.answers import REFUSALS, answer_to, tell_refusal, token_in
from cognito_verify.claims import check_groups, check_scopes
from cognito_verify.context import (
    TOKEN_BESIDE_REQUEST,
    begin_request,
    clear_current_token,
    current_token,
    set_current_token,
)
from cognito_verify.errors import (
    AccessDeniedError,
    CognitoVerifyError,
    ConfigurationError,
    MissingTokenError,
    TokenError,
    shown,
)
from cognito_verify.integrations.django.conf import configured
from cognito_verify.integrations.django.guard import authorization, say_who, user_of
from cognito_verify.requirements import Requirement, RequirementSource, requirement
from cognito_verify.tokens import AccessToken, IdToken

__all__ = [
    "AccessRefused",
    "CognitoAuthentication",
    "HasGroups",
    "HasScopes",
    "HasToken",
    "KeysUnavailable",
    "TokenRefused",
]


class CognitoAuthentication(BaseAuthentication):
    """Verified tokens: `request.auth` is the token, `request.user` its bearer, and `current_token()` gives it below.

    Stands before other authentication classes. A request without a bearer token is left to them, and to the
    permissions. A bad token is refused here, whatever they say. Every answer of a view that asks here gets
    `Vary: Authorization`.
    """

    def authenticate(self, request: Any) -> tuple[Any, AccessToken | IdToken] | None:
        """The bearer and the token.

        Raises:
            TokenRefused: 401.
            AccessRefused: 403, by the requirements and checks of the settings.
            KeysUnavailable: 503.
        """
        _vary(request)
        set_current_token(None)  # what a request before this one set that no signal began: a batch's, a test's
        verifier = configured().verifier
        try:  # in a list to be emptied: a report with local variables must not show it
            sealed = [token_in(authorization(request), verifier.max_token_bytes)]
        except MissingTokenError:
            return None
        except TokenError as error:  # two of them, say, which never reach the verifier
            tell_refusal(verifier.observer, error)
            raise _refused(error) from None
        try:
            token = verifier.verify(sealed.pop())
            user = user_of(token)
        except REFUSALS as error:
            raise _refused(error) from None
        set_current_token(token)
        say_who(getattr(request, "_request", request), user)  # to Django's the framework says `user` alone
        return user, token

    def authenticate_header(self, request: Any) -> str:  # noqa: ARG002 - the framework's signature
        """The challenge for a request that nobody authenticated: without one it would be a 403."""
        return MissingTokenError().challenge


def is_second_by_default() -> bool:
    """Whether the settings of the framework have another authentication class before ours."""
    found = api_settings.DEFAULT_AUTHENTICATION_CLASSES
    are_ours = [isinstance(one, type) and issubclass(one, CognitoAuthentication) for one in found]
    return True in are_ours and not are_ours[0]


class _Refusing(NamedTuple):
    by: object
    refusal: CognitoVerifyError
    is_answer: bool


# What refused this request. Not in the permissions themselves: one may serve several requests.
_refusing: ContextVar[_Refusing | None] = ContextVar("cognito_verify_refusing", default=None)
_refusing_of_two: ContextVar[tuple[object, Any] | None] = ContextVar("cognito_verify_refusing_of_two", default=None)


class _And(AND):
    """Both, where the one that refuses says what is answered; the framework's own forgets which one that was."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return self._is_met(lambda one: one.has_permission(request, view))

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        return self._is_met(lambda one: one.has_object_permission(request, view, obj))

    def _is_met(self, asks: Callable[[Any], bool]) -> bool:
        refusing = next((one for one in (self.op1, self.op2) if not asks(one)), None)
        _refusing_of_two.set((self, refusing._refusing() if isinstance(refusing, _And) else refusing))
        return refusing is None

    @property
    def message(self) -> Any:
        return self._refusing().message

    @property
    def code(self) -> Any:
        return self._refusing().code

    def _refusing(self) -> Any:
        one, refusing = _refusing_of_two.get() or (None, None)
        return refusing if one is self else None


class _Combining(OperationHolderMixin):
    def __and__(self, other: Any) -> _Operands:
        return _Operands(_And, self, other)


class _Operands(_Combining, OperandHolder):
    """What the framework makes an `_And` of, once per request."""


class _Without(_Operands):
    """A token that `one` refuses: a stranger, whom it refuses as well, is not meant."""

    def __init__(self, one: Any) -> None:
        super().__init__(_And, HasToken, SingleOperandHolder(NOT, one))

    def __invert__(self) -> Any:
        return self.op2_class.op1_class  # the framework's own would be met by who has no token


class _Kind(_Combining, type(BasePermission)):  # type: ignore[misc] # the framework's is private
    """So that `HasToken` combines as it stands, which is a class and no object, and so do classes made of ours."""

    def __invert__(self) -> Any:
        return super().__invert__() if self is HasToken else _Without(self)


class HasToken(BasePermission, metaclass=_Kind):
    """The request has a verified token. As `IsAuthenticated`, with the answer of this library where there is none."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Whether the token is there, and has what is asked for."""
        try:
            self._check(_token_of(request))
        except REFUSALS as error:
            _refusing.set(_Refusing(self, error.with_traceback(None), _is_handled(request, view)))
            return False
        return True

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:  # noqa: ARG002 - as above
        """As `has_permission`: the framework's own True, negated by `~`, would refuse everybody."""
        return self.has_permission(request, view)

    @property
    def message(self) -> NoReturn:
        """The framework asks for it when it refuses, and at no other time.

        So a permission that is part of a larger one, by `|` or `~`, says no and raises nothing; one that decides by
        itself raises what has the status, the challenge and the body of the refusal.
        """
        found = _refusing.get()
        if found is None or found.by is not self:
            raise AttributeError("message: nothing was refused")
        if found.is_answer:
            tell_refusal(configured().verifier.observer, found.refusal)
        raise _refused(found.refusal)

    def _check(self, token: AccessToken | IdToken) -> None:
        """Whatever a token must have besides being there."""


class _Has(_Combining, HasToken):
    """A permission with an argument. The framework calls what stands in `permission_classes`, once per request."""

    _option = ""

    def __init__(self, required: RequirementSource) -> None:
        asked = requirement(self._option, required)
        if asked is None:
            raise ConfigurationError(f"{self._option}: expected names, any_of() or all_of(), found {shown(required)}")
        self._required: Requirement = asked

    def __call__(self) -> _Has:
        return copy.copy(self)  # no new one: the constructor of a subclass may have other arguments

    def __invert__(self) -> Any:
        return _Without(self)


class HasGroups(_Has):
    """The token has these groups besides those of the settings: `permission_classes = [HasGroups("finance")]`.

    Combines with `&`, `|` and `~`, as permission classes do. Where it stands before `&`, the answer is that of the one
    which refuses; of `|` and `~` it is the framework's own, without code and challenge.
    `~HasGroups("suspended")` asks for a token that has them not. `~` before a combination in brackets does not.

    Args:
        required: A name, several of which any is enough, or `all_of(...)`.

    Raises:
        ConfigurationError: Empty or senseless.
    """

    _option = "groups"

    def _check(self, token: AccessToken | IdToken) -> None:
        check_groups(token, self._required)


class HasScopes(_Has):
    """The token has these scopes besides those of the settings: `permission_classes = [HasScopes("orders/read")]`.

    Args:
        required: As for `HasGroups`. ID tokens have no scopes.

    Raises:
        ConfigurationError: Empty or senseless.
    """

    _option = "scopes"

    def _check(self, token: AccessToken | IdToken) -> None:
        check_scopes(token, self._required)


class _Answered(APIException):
    """What the framework's own exception handler turns into the answer that all other frameworks give.

    Args:
        refusal: What the verifier said; kept as `refusal`.
    """

    def __init__(self, refusal: CognitoVerifyError) -> None:
        status, headers, body = answer_to(refusal)
        super().__init__(json.loads(body), refusal.code)
        self.refusal = refusal
        self.wait = int(headers.get("Retry-After", 0))
        self.__dict__.update(status_code=status, auth_header=headers.get("WWW-Authenticate"))

    def __setattr__(self, name: str, value: object) -> None:
        # Views put the challenge of their first authentication class in the place of the refusal's own, and turn a 401
        # into a 403 where that class has none.
        if name not in ("status_code", "auth_header"):
            super().__setattr__(name, value)


class TokenRefused(_Answered, AuthenticationFailed):
    """401: who the bearer is cannot be believed."""


class AccessRefused(_Answered, PermissionDenied):
    """403: the token is good and its bearer may not do this."""


class KeysUnavailable(_Answered):
    """503: the pool's keys cannot be had now."""


def _vary(request: Any) -> None:
    """The framework puts the headers of the view into whatever it answers, as a refusal or without a token too."""
    headers = getattr(getattr(request, "parser_context", {}).get("view"), "headers", None)
    if headers is not None:
        headers["Vary"] = ", ".join([*filter(None, [headers.get("Vary")]), "Authorization"])


def _is_handled(request: Any, view: Any) -> bool:
    """Whether the view answers this very request.

    For its HTML page, its answer to `OPTIONS` and a schema the framework asks what other requests would be told: copies
    of this one with a method of their own, and views that are not called.
    """
    return hasattr(view, "headers") and "method" not in vars(request)


def _token_of(request: Any) -> AccessToken | IdToken:
    if isinstance(request.auth, (AccessToken, IdToken)):
        if current_token() is not request.auth:  # `force_authenticate` of a test, which asks no authentication class
            set_current_token(request.auth)
        return request.auth
    token_in(authorization(request), configured().verifier.max_token_bytes)
    if any(isinstance(one, CognitoAuthentication) for one in request.authenticators):
        raise MissingTokenError(
            "Authorization: expected a bearer token by itself, found one beside another log-in, which came first; send "
            "the token without cookies or passwords"
        )
    raise ConfigurationError(
        "HasToken: expected CognitoAuthentication among the authentication classes of this view, found none"
    )


def _refused(error: CognitoVerifyError) -> APIException:
    if isinstance(error, TokenError):
        return TokenRefused(error)
    return AccessRefused(error) if isinstance(error, AccessDeniedError) else KeysUnavailable(error)


def _begin(environ: Any = None, scope: Any = None, **_: object) -> None:
    begin_request((environ or scope or {}).get(TOKEN_BESIDE_REQUEST))


def _end(**_: object) -> None:
    clear_current_token()


# The framework gives an authentication no block around the view, and the next request may run in the same thread.
# Under ASGI, Django sends both in a copy of the context: what was set is emptied there, and no block is hidden.
request_started.connect(_begin)
request_finished.connect(_end)
