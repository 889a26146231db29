"""Who `request.user` is where no hook maps a token to a `User` of the database."""

from __future__ import annotations

from collections.abc import Iterable

from cognito_verify.tokens import AccessToken, IdToken

__all__ = ["CognitoUser"]


class CognitoUser:
    """The bearer of a verified token, as a user without a row in the database. Cannot be changed or saved.

    Has no permissions of Django's own, and is neither staff nor superuser: groups and scopes are asked of the token.

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

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name}: a CognitoUser is what its token says")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name}: a CognitoUser is what its token says")

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
