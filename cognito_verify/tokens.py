"""What a verified token is: a read-only mapping of its claims, with the claims of Cognito as typed attributes.

A token is one slot that is written once. Attributes are computed when they are read, and whatever could be changed is
copied on the way out, since a remembered token is handed to many callers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, NoReturn, Self

from cognito_verify.claims import groups_of, scopes_of
from cognito_verify.jws import JsonObject

__all__ = ["AccessToken", "IdToken", "VerifiedToken"]


class VerifiedToken(Mapping[str, Any]):
    """What access and ID tokens share. Made by a verifier, or by unpickling what one made.

    As a mapping it holds the claims: `token["sub"]`, `token.get("custom:tenant")`, `dict(token)`. A typed attribute
    whose claim has a wrong type is None.

    Source: "Understanding user pool JSON web tokens (JWTs)", Amazon Cognito Developer Guide.
    """

    __slots__ = ("_verified",)

    _verified: tuple[JsonObject, JsonObject, str | None, str, str, str | None]

    def __init__(
        self,
        claims: JsonObject,
        header: JsonObject,
        raw: str | None,
        client_id: str,
        user_pool_id: str,
        resource: str | None,
    ) -> None:
        object.__setattr__(self, "_verified", (claims, header, raw, client_id, user_pool_id, resource))

    @property
    def sub(self) -> str | None:
        """The user's id in the pool (a machine's client id); never changes, unlike the username."""
        return self._text("sub")

    @property
    def username(self) -> str | None:
        """The username; None for a machine."""
        return self._text("username")

    @property
    def client_id(self) -> str:
        """The app client that the token was issued to; of an ID token the `aud` that matched."""
        return self._verified[3]

    @property
    def token_use(self) -> str:
        """`access` or `id`."""
        return str(self._verified[0]["token_use"])

    @property
    def issuer(self) -> str:
        """`iss`: one of the issuers of the pool."""
        return str(self._verified[0]["iss"])

    @property
    def user_pool_id(self) -> str:
        """The id of the pool, from the configuration."""
        return self._verified[4]

    @property
    def groups(self) -> tuple[str, ...]:
        """`cognito:groups`; empty where the user is in none."""
        return groups_of(self._verified[0])

    @property
    def issued_at(self) -> datetime | None:
        """`iat` in UTC."""
        return self._time("iat")

    @property
    def expires_at(self) -> datetime:
        """`exp` in UTC."""
        return datetime.fromtimestamp(self._verified[0]["exp"], UTC)

    @property
    def auth_time(self) -> datetime | None:
        """When the user authenticated, in UTC; a refreshed token keeps it."""
        return self._time("auth_time")

    @property
    def jti(self) -> str | None:
        """The token's own id."""
        return self._text("jti")

    @property
    def origin_jti(self) -> str | None:
        """The id that all tokens of a login share; what a revocation list holds."""
        return self._text("origin_jti")

    @property
    def acr(self) -> str | None:
        """How strongly the user authenticated (OpenID Connect Core 1.0 section 2)."""
        return self._text("acr")

    @property
    def amr(self) -> tuple[str, ...] | None:
        """By which methods the user authenticated (RFC 8176); empty where the token does not say."""
        return self._texts("amr")

    @property
    def claims(self) -> JsonObject:
        """All claims, as a copy."""
        return deepcopy(self._verified[0])

    @property
    def header(self) -> JsonObject:
        """The JOSE header, as a copy."""
        return deepcopy(self._verified[1])

    @property
    def raw(self) -> str:
        """The token as it was sent, for forwarding. Do not log it: whoever has it is its user.

        Raises:
            AttributeError: This token comes from a pickle, which never holds the raw token.
        """
        raw = self._verified[2]
        if raw is None:
            raise AttributeError("raw: this token comes from a pickle, which never holds the raw token")
        return raw

    def __getitem__(self, name: str) -> Any:
        value = self._verified[0][name]
        return deepcopy(value) if isinstance(value, (list, dict)) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._verified[0])

    def __len__(self) -> int:
        return len(self._verified[0])

    def __contains__(self, name: object) -> bool:
        return name in self._verified[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sub={self.sub!r}, client_id={self.client_id!r}, expires_at={self.expires_at})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{name}: a verified token does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{name}: a verified token does not change")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        claims, header, _, *rest = self._verified
        return type(self), (claims, header, None, *rest)  # without the raw token

    def _text(self, name: str) -> str | None:
        value = self._verified[0].get(name)
        return value if isinstance(value, str) else None

    def _texts(self, name: str) -> tuple[str, ...] | None:
        value = self._verified[0].get(name, [])
        return tuple(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else None

    def _time(self, name: str) -> datetime | None:
        value = self._verified[0].get(name)
        return None if value is None else datetime.fromtimestamp(value, UTC)


class AccessToken(VerifiedToken):
    """A verified access token: what its bearer may do."""

    __slots__ = ()

    @property
    def scopes(self) -> frozenset[str]:
        """`scope`, taken apart at its spaces (RFC 6749 section 3.3)."""
        return scopes_of(self._verified[0])

    @property
    def resource(self) -> str | None:
        """The pool's resource where one is set, else a single `aud`, else None (RFC 8707)."""
        if self._verified[5] is not None:
            return self._verified[5]
        aud = self._verified[0].get("aud")
        single = aud[0] if isinstance(aud, list) and len(aud) == 1 else aud
        return single if isinstance(single, str) else None

    @property
    def is_machine(self) -> bool:
        """Whether the bearer is a program, not a user: a token of the client-credentials grant has no username."""
        return self.username is None


class IdToken(VerifiedToken):
    """A verified ID token: who logged in."""

    __slots__ = ()

    @property
    def username(self) -> str | None:
        """`cognito:username`."""
        return self._text("cognito:username")

    @property
    def email(self) -> str | None:
        """The e-mail address; see `email_verified`."""
        return self._text("email")

    @property
    def email_verified(self) -> bool | None:
        """True for `true` and `"true"` alone; None where the token does not say."""
        value = self._verified[0].get("email_verified")
        if value is True or value == "true":
            return True
        return False if value is False or value == "false" else None

    @property
    def phone_number(self) -> str | None:
        """The phone number in E.164 form."""
        return self._text("phone_number")

    @property
    def name(self) -> str | None:
        """The full name."""
        return self._text("name")

    @property
    def roles(self) -> tuple[str, ...] | None:
        """`cognito:roles`: the ARNs of the IAM roles of the user's groups; empty where there are none."""
        return self._texts("cognito:roles")

    @property
    def identities(self) -> tuple[JsonObject, ...] | None:
        """The federated identities behind the user; empty for a user of the pool itself."""
        value = self._verified[0].get("identities", [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            return None
        return tuple(deepcopy(value))

    @property
    def custom(self) -> JsonObject:
        """The attributes `custom:*`, without the prefix."""
        return {name.removeprefix("custom:"): self[name] for name in self if name.startswith("custom:")}
