"""Who `request.user` is where no hook maps a token to a `User` of the database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cognito_verify.tokens import AccessToken, IdToken

__all__ = ["CognitoUser"]


class CognitoUser:
    """The bearer of a verified token, as a user without a row in the database. Cannot be changed or saved.

    Has no groups and no permissions of Django's own, and is neither staff nor superuser, as Django's `AnonymousUser`:
    the token's are asked of the token.

    Args:
        token: The verified token.
    """

    __slots__ = ("token",)

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    token: AccessToken | IdToken
    """The verified token."""

    def __init__(self, token: AccessToken | IdToken) -> None:
        object.__setattr__(self, "token", token)

    @property
    def pk(self) -> str | None:
        """The token's `sub`, by which throttles tell users apart."""
        return self.token.sub

    id = pk

    @property
    def username(self) -> str:
        """The user's name in the pool; the `sub` of a machine."""
        return self.token.username or self.token.sub or ""

    def get_username(self) -> str:
        """As `username`."""
        return self.username

    def has_perm(self, perm: str, obj: object = None) -> bool:  # noqa: ARG002 - Django's signature
        """False: permissions are in the database, and this user is not."""
        return False

    def has_perms(self, perm_list: Iterable[str], obj: object = None) -> bool:
        """Whether nothing is asked for."""
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:  # noqa: ARG002 - Django's signature
        """False, as `has_perm`."""
        return False

    async def ahas_perm(self, perm: str, obj: object = None) -> bool:
        """As `has_perm`."""
        return self.has_perm(perm, obj)

    async def ahas_perms(self, perm_list: Iterable[str], obj: object = None) -> bool:
        """As `has_perms`."""
        return self.has_perms(perm_list, obj)

    async def ahas_module_perms(self, app_label: str) -> bool:
        """As `has_module_perms`."""
        return self.has_module_perms(app_label)

    def get_all_permissions(self, obj: object = None) -> set[str]:  # noqa: ARG002 - Django's signature
        """None of Django's own; so are those of the user and of the groups."""
        return set()

    get_user_permissions = get_group_permissions = get_all_permissions

    async def aget_all_permissions(self, obj: object = None) -> set[str]:
        """As `get_all_permissions`."""
        return self.get_all_permissions(obj)

    aget_user_permissions = aget_group_permissions = aget_all_permissions

    @property
    def groups(self) -> Any:
        """None of Django's own, as a query. The pool's are `token.groups`."""
        from django.contrib.auth.models import Group  # only where it is asked for: the app may not be installed

        return Group.objects.none()

    @property
    def user_permissions(self) -> Any:
        """None, as a query."""
        from django.contrib.auth.models import Permission

        return Permission.objects.none()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name}: a CognitoUser is what its token says")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name}: a CognitoUser is what its token says")

    def __reduce__(self) -> tuple[type[CognitoUser], tuple[AccessToken | IdToken]]:
        return type(self), (self.token,)  # without the raw token, which no pickle holds

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CognitoUser):
            return NotImplemented
        return (self.token.issuer, self.token.sub) == (other.token.issuer, other.token.sub)

    def __hash__(self) -> int:
        return hash((self.token.issuer, self.token.sub))

    def __str__(self) -> str:
        return self.username

    def __repr__(self) -> str:
        return f"CognitoUser({self.username!r})"
