"""A user pool for tests: real keys, real signatures, a real endpoint on loopback. Only the users are made up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, overload

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cognito_verify.errors import ConfigurationError, shown
from cognito_verify.jwks import JwksCache
from cognito_verify.pool import UserPool
from cognito_verify.testing.key_server import Answer, Fault, JwksServer
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier

if TYPE_CHECKING:
    from typing import Unpack

    from cognito_verify.verifier import CommonOptions

    class _VerifierOptions(CommonOptions, total=False):
        client_id: str | Collection[str] | None


__all__ = ["TROUBLES", "FakeUserPool", "Trouble"]

_TokenUse = Literal["access", "id"]
_TOKEN_USES: tuple[_TokenUse, ...] = ("access", "id")
_NEVER_PUBLISHED = -1  # a generation of keys that no rotation reaches

Trouble = Literal[
    "expired",
    "not_yet_valid",
    "wrong_client",
    "other_pool",
    "tampered",
    "unknown_key",
    "none_algorithm",
    "unsigned",
    "key_confusion",
    "refresh_token",
]
"""What can be wrong with a token, whatever a program asks for beyond the verifier's own rules."""

TROUBLES: Final[Mapping[Trouble, str]] = {
    "expired": "token_expired",
    "not_yet_valid": "token_not_yet_valid",
    "wrong_client": "invalid_client",
    "other_pool": "invalid_issuer",
    "tampered": "invalid_signature",
    "unknown_key": "unknown_key",
    "none_algorithm": "unsupported_algorithm",
    "unsigned": "malformed_token",
    "key_confusion": "unsupported_algorithm",
    "refresh_token": "malformed_token",
}
"""The code of the error that each of them ends in: `@pytest.mark.parametrize("trouble", TROUBLES)`."""


class FakeUserPool:
    """A user pool that lives in this process and mints tokens as Cognito does.

    Access and ID tokens have keys of their own. Pools with the same id share their keys (2,048 bits take some 100 ms
    to make, once per process), pools with different ids never do. Nothing is remembered of users, groups or tokens.

    Args:
        user_pool_id: Such as `us-east-1_TestPool1`.
        client_id: The app client that tokens are minted for, unless a call names another.
        clock: Seconds since the epoch, for `iat` and `exp`, and for the verifiers made here; a `Clock` stands still
            until the test moves it.
        issuer: The `iss` of the tokens; without it the pool's ORIGINAL issuer.

    Raises:
        ConfigurationError: What `UserPool` would refuse.

    Source: "Understanding the access token" and "Understanding the identity (ID) token", Amazon Cognito Developer
    Guide.
    """

    def __init__(
        self,
        user_pool_id: str = "us-east-1_TestPool1",
        *,
        client_id: str = "test-client",
        clock: Callable[[], float] = time.time,
        issuer: str | None = None,
    ) -> None:
        pool = UserPool(user_pool_id, client_id=client_id, issuer=issuer)
        self._user_pool_id = user_pool_id
        self._client_id = client_id
        self._clock = clock
        self._own_issuer = issuer
        self._issuer, self._jwks_uri = next(iter(pool.issuers.items()))  # ORIGINAL comes first
        self._generations: tuple[int, ...] = (0,)  # of the published keys; the last one signs
        self._make_keys(0)

    @property
    def user_pool_id(self) -> str:
        """The pool's id."""
        return self._user_pool_id

    @property
    def client_id(self) -> str:
        """The app client that tokens are minted for."""
        return self._client_id

    @property
    def issuer(self) -> str:
        """The `iss` of the pool's tokens."""
        return self._issuer

    @property
    def clock(self) -> Callable[[], float]:
        """The clock of its tokens, for verifiers and caches that are made elsewhere."""
        return self._clock

    @property
    def jwks_path(self) -> str:
        """The path at which `serve` answers with the pool's keys."""
        return f"/{self._user_pool_id}/.well-known/jwks.json"

    @property
    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The pool's public keys as published now (RFC 7517 section 5); the caller's own copy."""
        return {
            "keys": [
                _public_jwk(self._kid(use, generation), _private_key(self._user_pool_id, use, generation))
                for generation in self._generations
                for use in _TOKEN_USES
            ]
        }

    def access_token(
        self,
        username: str = "ada",
        groups: str | Iterable[str] | None = None,
        scopes: str | Iterable[str] | None = None,
        expires_in: int = 3600,
        *,
        client_id: str | None = None,
        omit: str | Iterable[str] = (),
        **claims: Any,
    ) -> str:
        """A user's access token.

        Args:
            username: The user; the same name has the same `sub` in every token of this pool.
            groups: For `cognito:groups`; a user in no group has no such claim.
            scopes: For `scope`. None: the scope that Cognito grants to a sign-in through its API; empty: no such claim.
            expires_in: Seconds from now to `exp`; zero or less is an expired token.
            client_id: The app client, if it isn't the pool's own.
            omit: Claims to leave out.
            claims: More claims, or other values for those above: `auth_time=0`, `**{"custom:tenant": "t1"}`.
        """
        minted = {
            "sub": self._sub(username),
            **_groups_claim(groups),
            "iss": self._issuer,
            "version": 2,
            "client_id": self._client_id if client_id is None else client_id,
            "origin_jti": str(uuid.uuid4()),
            "event_id": str(uuid.uuid4()),
            "token_use": "access",
            **_scope_claim(scopes, "aws.cognito.signin.user.admin"),
            **self._times(expires_in),
            "jti": str(uuid.uuid4()),
            "username": username,
        }
        return self._token("access", minted, claims, omit)

    def id_token(
        self,
        username: str = "ada",
        groups: str | Iterable[str] | None = None,
        email: str | None = None,
        expires_in: int = 3600,
        *,
        client_id: str | None = None,
        omit: str | Iterable[str] = (),
        **claims: Any,
    ) -> str:
        """A user's ID token.

        Args:
            username: The user, for `cognito:username`; the same name has the same `sub` in every token of this pool.
            groups: For `cognito:groups`; a user in no group has no such claim.
            email: For `email`, verified; a user without one has neither `email` nor `email_verified`.
            expires_in: Seconds from now to `exp`; zero or less is an expired token.
            client_id: The app client (`aud`), if it isn't the pool's own.
            omit: Claims to leave out.
            claims: More claims, or other values for those above: `phone_number="+15550100"`.
        """
        minted = {
            "sub": self._sub(username),
            **_groups_claim(groups),
            **({} if email is None else {"email_verified": True}),
            "iss": self._issuer,
            "cognito:username": username,
            "origin_jti": str(uuid.uuid4()),
            "aud": self._client_id if client_id is None else client_id,
            "event_id": str(uuid.uuid4()),
            "token_use": "id",
            **self._times(expires_in),
            "jti": str(uuid.uuid4()),
            **({} if email is None else {"email": email}),
        }
        return self._token("id", minted, claims, omit)

    def machine_token(
        self,
        scopes: str | Iterable[str] | None = None,
        expires_in: int = 3600,
        *,
        client_id: str | None = None,
        omit: str | Iterable[str] = (),
        **claims: Any,
    ) -> str:
        """An access token from the client-credentials grant: `sub` is the app client, and there is no user.

        Args:
            scopes: For `scope`. None: `test-api/read`, since the grant always gives a scope; empty: no such claim.
            expires_in: Seconds from now to `exp`; zero or less is an expired token.
            client_id: The app client, if it isn't the pool's own.
            omit: Claims to leave out.
            claims: More claims, or other values for those above.
        """
        client_id = self._client_id if client_id is None else client_id
        minted = {
            "sub": client_id,
            "token_use": "access",
            **_scope_claim(scopes, "test-api/read"),
            "iss": self._issuer,
            **self._times(expires_in),
            "version": 2,
            "jti": str(uuid.uuid4()),
            "client_id": client_id,
        }
        return self._token("access", minted, claims, omit)

    def trouble(self, name: Trouble, token_use: _TokenUse = "access", **claims: Any) -> str:
        """The bad token of that name, for tests that go through all of them.

            @pytest.mark.parametrize("trouble", TROUBLES)
            def test_it_is_refused(trouble, cognito_pool): ...

        Args:
            name: One of `TROUBLES`, which tells the code of the error that it ends in.
            token_use: "access" or "id"; a refresh token is neither.
            claims: As for the method of that name, without effect on a refresh token.
        """
        if name not in TROUBLES:
            raise ConfigurationError(f"trouble: expected one of {', '.join(TROUBLES)}, found {shown(name)}")
        if name == "refresh_token":
            return self.refresh_token()
        make: Callable[..., str] = getattr(self, name)
        return make(token_use, **claims)

    def expired(self, token_use: _TokenUse = "access", **claims: Any) -> str:
        """A token whose hour was over an hour ago: `token_expired`. Half an hour of leeway does not save it.

        Args:
            token_use: "access" or "id".
            claims: As for `access_token` or `id_token`: `username`, `groups`, `omit`, any claim.
        """
        now = int(self._clock())
        return self._user_token(token_use, {"auth_time": now - 7_200, "iat": now - 7_200, "exp": now - 3_600, **claims})

    def not_yet_valid(self, token_use: _TokenUse = "access", **claims: Any) -> str:
        """A token that is good from in an hour on, by its `nbf`: `token_not_yet_valid`.

        Args:
            token_use: "access" or "id".
            claims: As for `access_token` or `id_token`.
        """
        now = int(self._clock())
        return self._user_token(token_use, {"nbf": now + 3_600, "exp": now + 7_200, **claims})

    def wrong_client(self, token_use: _TokenUse = "access", **claims: Any) -> str:
        """A token for another app client of this pool: `invalid_client`.

        Args:
            token_use: "access" or "id".
            claims: As for `access_token` or `id_token`.
        """
        return self._user_token(token_use, {"client_id": f"not-{self._client_id}", **claims})

    def other_pool(self, token_use: _TokenUse = "access", **claims: Any) -> str:
        """A good token of another pool of the same Region, for a client of the same id: `invalid_issuer`.

        Args:
            token_use: "access" or "id".
            claims: As for `access_token` or `id_token`.
        """
        region, _, name = self._user_pool_id.partition("_")
        other = f"{region}_{'OtherPool1' if name != 'OtherPool1' else 'OtherPool2'}"
        return FakeUserPool(other, client_id=self._client_id, clock=self._clock)._user_token(token_use, claims)

    def tampered(self, token_use: _TokenUse = "access", **claims: Any) -> str:
        """A token that says these claims, under the signature of one that said others: `invalid_signature`.

        Args:
            token_use: "access" or "id".
            claims: As for `access_token` or `id_token`: `groups="admin"`, what an attacker would write into it.
        """
        signing_input, _, _ = self._user_token(token_use, claims).rpartition(".")
        _, _, signature = self.sign(self.header(token_use), {}).rpartition(".")
        return f"{signing_input}.{signature}"

    def unknown_key(self, token_use: _TokenUse = "access", **claims: Any) -> str:
        """A token signed with a key that the pool has never published: `unknown_key`.

        Args:
            token_use: "access" or "id".
            claims: As for `access_token` or `id_token`.
        """
        header = {"kid": self._kid(token_use, _NEVER_PUBLISHED), "alg": "RS256"}
        key = _private_key(self._user_pool_id, token_use, _NEVER_PUBLISHED)
        return _signed(f"{_segment(header)}.{_payload(self._user_token(token_use, claims))}", key)

    def none_algorithm(self, token_use: _TokenUse = "access", **claims: Any) -> str:
        """A token that names the algorithm `none`, its signature still there: `unsupported_algorithm`.

        Args:
            token_use: "access" or "id".
            claims: As for `access_token` or `id_token`.

        Source: RFC 8725 section 2.1.
        """
        payload = _payload(self._user_token(token_use, claims))
        header = {**self.header(token_use), "alg": "none"}
        return _signed(f"{_segment(header)}.{payload}", self._key_named(header["kid"]))

    def unsigned(self, token_use: _TokenUse = "access", **claims: Any) -> str:
        """A token that names the algorithm `none` and has an empty signature: `malformed_token`.

        Args:
            token_use: "access" or "id".
            claims: As for `access_token` or `id_token`.

        Source: RFC 7519 section 6.1, "unsecured JWTs".
        """
        signing_input, _, _ = self.none_algorithm(token_use, **claims).rpartition(".")
        return f"{signing_input}."

    def key_confusion(self, token_use: _TokenUse = "access", **claims: Any) -> str:
        """A token under HS256, with the pool's public key as the secret that everybody knows: `unsupported_algorithm`.

        Args:
            token_use: "access" or "id".
            claims: As for `access_token` or `id_token`.

        Source: RFC 8725 section 2.1.
        """
        payload = _payload(self._user_token(token_use, claims))
        header = {**self.header(token_use), "alg": "HS256"}
        public_key = self._key_named(header["kid"]).public_key()
        secret = public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        signing_input = f"{_segment(header)}.{payload}"
        return f"{signing_input}.{_base64url(hmac.digest(secret, signing_input.encode(), 'sha256'))}"

    def refresh_token(self) -> str:
        """A refresh token, which is encrypted and no proof of anything to anybody but Cognito: `malformed_token`."""
        header = _segment({"cty": "JWT", "enc": "A256GCM", "alg": "RSA-OAEP"})
        sizes = (256, 12, 800, 16)  # bytes: the encrypted key, the initialization vector, the ciphertext, the tag
        return ".".join((header, *(_base64url(os.urandom(size)) for size in sizes)))

    def header(self, token_use: _TokenUse = "access") -> dict[str, str]:
        """The header of the pool's tokens of that use, `kid` and `alg`: what `sign` starts from."""
        return {"kid": self._kid(token_use, self._generations[-1]), "alg": "RS256"}

    def sign(self, header: Mapping[str, Any] | bytes, claims: Mapping[str, Any] | bytes) -> str:
        """A token of exactly this header and payload, however odd, with a good RS256 signature.

        Args:
            header: JSON members, or the bytes to sign as they are. The key is the one that its `kid` names, also one
                that was withdrawn; the access tokens' key where that is none of ours and for a header of bytes.
            claims: JSON members, or the bytes to sign as they are.
        """
        kid = None if isinstance(header, bytes) else header.get("kid")
        return _signed(f"{_segment(header)}.{_segment(claims)}", self._key_named(kid))

    def rotate_keys(self, *, keep_old: bool = False) -> None:
        """New keys sign from now on, as after Cognito's own rotation.

        Args:
            keep_old: Go on publishing the old keys beside the new ones; else they are withdrawn at once.
        """
        newest = self._generations[-1] + 1
        self._make_keys(newest)
        self._generations = (*self._generations, newest) if keep_old else (newest,)

    def fetch_jwks(self, uri: str, seconds: float) -> bytes:  # noqa: ARG002 - what `JwksCache` passes
        """The keys as published now, without a network: for `JwksCache(fetch=pool.fetch_jwks)`.

        Raises:
            LookupError: `uri` isn't where this pool's issuer has its keys.
        """
        if uri != self._jwks_uri:
            raise LookupError(f"{uri}: the keys of {self._user_pool_id} are at {self._jwks_uri}")
        return json.dumps(self.jwks).encode()

    @overload
    def verifier(
        self, token_use: Literal["access"] = "access", **options: Unpack[_VerifierOptions]
    ) -> CognitoVerifier[AccessToken]: ...

    @overload
    def verifier(self, token_use: Literal["id"], **options: Unpack[_VerifierOptions]) -> CognitoVerifier[IdToken]: ...

    @overload
    def verifier(
        self, token_use: None, **options: Unpack[_VerifierOptions]
    ) -> CognitoVerifier[AccessToken | IdToken]: ...

    def verifier(self, token_use: _TokenUse | None = "access", **options: Any) -> CognitoVerifier[Any]:
        """A verifier of this pool's tokens that knows its keys and finds new ones in the process, without a network.

        Args:
            token_use: As for `CognitoVerifier`.
            options: As for `CognitoVerifier`. `client_id` is the pool's own unless given, `clock` as well; a
                `jwks_cache` of yours fetches where you tell it to.
        """
        client_id = options.pop("client_id", self._client_id)
        pool = UserPool(self._user_pool_id, client_id=client_id, issuer=self._own_issuer, jwks=self.jwks)
        options.setdefault("clock", self._clock)
        if options.get("jwks_cache") is None:  # no cooldown: the first token after `rotate_keys` finds its key
            options["jwks_cache"] = JwksCache(
                fetch=self.fetch_jwks, cooldown=0, observer=options.get("observer"), clock=options["clock"]
            )
        return CognitoVerifier(pool, token_use=token_use, **options)

    def serve(self, *answers: Answer | Fault, port: int = 0) -> JwksServer:
        """A real HTTP endpoint on loopback for the pool's keys: `with pool.serve() as jwks_uri: ...`.

        Args:
            answers: What the requests get, as for `JwksServer.answers`: `pool.serve("down")`. Without any, it is well.
            port: Where to listen; 0 takes a free one.
        """
        server = JwksServer(self, port=port)
        server.answers(*answers)
        return server

    @contextmanager
    def environment(self, token_use: _TokenUse) -> Iterator[Mapping[str, str]]:
        """Let `CognitoVerifier.from_env`, and handler strings such as `cognito_verify.aws_lambda.authorize`, find here.

            with FakeUserPool().environment("access"):
                import app  # whose verifier is made from the environment

        While the context lasts, the environment names this pool and its client, has its keys, and the URI at which they
        are served, for those that come later. Import within it what reads it. Gives what was set, for a process of its
        own.

        Args:
            token_use: For `COGNITO_TOKEN_USE`.

        Raises:
            ConfigurationError: The pool has an issuer of its own, which the environment cannot say.
        """
        if self._own_issuer is not None:
            raise ConfigurationError("environment: expected a pool with Cognito's issuer, found one with issuer= set")
        with self.serve() as jwks_uri:
            settings = {
                "COGNITO_USER_POOL_ID": self._user_pool_id,
                "COGNITO_CLIENT_ID": self._client_id,
                "COGNITO_TOKEN_USE": token_use,
                "COGNITO_JWKS": json.dumps(self.jwks),  # so that a good token waits for no fetch
                "COGNITO_JWKS_URI": jwks_uri,
            }
            before = {name: os.environ[name] for name in settings if name in os.environ}
            os.environ.update(settings)
            try:
                yield settings
            finally:
                for name in settings:
                    os.environ.pop(name, None)
                os.environ.update(before)

    def __repr__(self) -> str:
        return f"FakeUserPool({self._user_pool_id!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("FakeUserPool holds private keys and does not pickle: build one per process")

    def _user_token(self, token_use: _TokenUse, claims: Mapping[str, Any]) -> str:
        if token_use not in _TOKEN_USES:
            raise ConfigurationError(f"token_use: expected 'access' or 'id', found {shown(token_use)}")
        return self.access_token(**claims) if token_use == "access" else self.id_token(**claims)

    def _make_keys(self, generation: int) -> None:
        """Before they are published: made only when somebody fetches them, they could cost that fetch its deadline."""
        for use in _TOKEN_USES:
            _private_key(self._user_pool_id, use, generation)

    def _kid(self, use: _TokenUse, generation: int) -> str:
        return _kid_of(self._user_pool_id, use, generation)

    def _key_named(self, kid: object) -> RSAPrivateKey:
        newest = self._generations[-1]
        for generation in range(newest + 1):
            for use in _TOKEN_USES:
                if kid == self._kid(use, generation):
                    return _private_key(self._user_pool_id, use, generation)
        return _private_key(self._user_pool_id, "access", newest)

    def _sub(self, username: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._user_pool_id}/{username}"))

    def _times(self, expires_in: int) -> dict[str, int]:
        now = int(self._clock())
        return {"auth_time": now, "exp": now + expires_in, "iat": now}

    def _token(
        self, use: _TokenUse, minted: dict[str, Any], claims: Mapping[str, Any], omit: str | Iterable[str]
    ) -> str:
        left_out = _several(omit)
        payload = {name: value for name, value in {**minted, **claims}.items() if name not in left_out}
        return self.sign(self.header(use), payload)


_KEYS: dict[tuple[str, _TokenUse, int], RSAPrivateKey] = {}  # by pool id, use and generation
_KEYS_LOCK = Lock()
with suppress(AttributeError):  # Windows does not fork
    # A fork waits for a key in the making: a lock that is held at a fork is held for ever in the child.
    os.register_at_fork(
        before=_KEYS_LOCK.acquire, after_in_parent=_KEYS_LOCK.release, after_in_child=_KEYS_LOCK.release
    )


def _private_key(user_pool_id: str, use: _TokenUse, generation: int) -> RSAPrivateKey:
    with _KEYS_LOCK:
        key = _KEYS.get((user_pool_id, use, generation))
        if key is None:
            key = _KEYS[user_pool_id, use, generation] = generate_private_key(public_exponent=65_537, key_size=2_048)
        return key


@cache
def _kid_of(user_pool_id: str, use: _TokenUse, generation: int) -> str:
    """In the form of Cognito's, 44 characters; of the key itself, since other processes have others for that pool."""
    numbers = _private_key(user_pool_id, use, generation).public_key().public_numbers()
    return base64.b64encode(hashlib.sha256(f"{numbers.n}".encode()).digest()).decode()


def _public_jwk(kid: str, key: RSAPrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {
        "alg": "RS256",
        "e": _base64url(numbers.e.to_bytes(3)),
        "kid": kid,
        "kty": "RSA",
        "n": _base64url(numbers.n.to_bytes(256)),
        "use": "sig",
    }


def _signed(signing_input: str, key: RSAPrivateKey) -> str:
    return f"{signing_input}.{_base64url(key.sign(signing_input.encode(), PKCS1v15(), SHA256()))}"


def _payload(raw: str) -> str:
    return raw.split(".")[1]


def _segment(content: Mapping[str, Any] | bytes) -> str:
    return _base64url(content if isinstance(content, bytes) else json.dumps(content, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _groups_claim(groups: str | Iterable[str] | None) -> dict[str, list[str]]:
    names = [] if groups is None else _several(groups)
    return {"cognito:groups": names} if names else {}


def _scope_claim(scopes: str | Iterable[str] | None, usual: str) -> dict[str, str]:
    scope = " ".join(_several(usual if scopes is None else scopes))
    return {"scope": scope} if scope else {}


def _several(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)  # else "admin" would be five groups
