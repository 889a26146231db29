"""A user pool for tests: real keys, real signatures, a real endpoint on loopback. Only the users are made up.

`FakeUserPool` mints the tokens that Cognito would (and, through `sign`, those that it never would). `JwksServer` serves
the pool's keys over HTTP, well or badly. Both are for tests: the keys live in this process alone and protect nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import struct
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from threading import Condition, Lock, Thread
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from cognito_verify.jwks import JwksCache
from cognito_verify.pool import UserPool
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier

if TYPE_CHECKING:
    from typing import Unpack

    from cognito_verify.verifier import CommonOptions

    class _VerifierOptions(CommonOptions, total=False):
        client_id: str | Collection[str] | None


__all__ = ["Answer", "FakeUserPool", "JwksServer"]

_TokenUse = Literal["access", "id"]
_TOKEN_USES: tuple[_TokenUse, ...] = ("access", "id")


class FakeUserPool:
    """A user pool that lives in this process and mints tokens as Cognito does.

    Access and ID tokens have keys of their own. Pools with the same id share their keys (2,048 bits take some 100 ms
    to make, once per process), pools with different ids never do. Nothing is remembered of users, groups or tokens.

    Args:
        user_pool_id: Such as `us-east-1_TestPool1`.
        client_id: The app client that tokens are minted for, unless a call names another.
        clock: Seconds since the epoch, for `iat` and `exp`, and for the verifiers made here.
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
        signing_input = f"{_segment(header)}.{_segment(claims)}"
        signature = self._key_named(kid).sign(signing_input.encode(), PKCS1v15(), SHA256())
        return f"{signing_input}.{_base64url(signature)}"

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

    def serve(self, *, port: int = 0) -> JwksServer:
        """A real HTTP endpoint on loopback for the pool's keys: `with pool.serve() as jwks_uri: ...`.

        Args:
            port: Where to listen; 0 takes a free one.
        """
        return JwksServer(self, port=port)

    def __repr__(self) -> str:
        return f"FakeUserPool({self._user_pool_id!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("FakeUserPool holds private keys and does not pickle: build one per process")

    def _make_keys(self, generation: int) -> None:
        """Before they are published: made only when somebody fetches them, they could cost that fetch its deadline."""
        for use in _TOKEN_USES:
            _private_key(self._user_pool_id, use, generation)

    def _kid(self, use: _TokenUse, generation: int) -> str:
        name = f"{self._user_pool_id} {use} {generation}"
        return base64.b64encode(hashlib.sha256(name.encode()).digest()).decode()  # the form of Cognito's: 44 characters

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


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, and what goes wrong with it. The default is that of a healthy endpoint.

    Args:
        status: The status code.
        body: The bytes of the body as they go over the wire; None is the pool's keys as published at that moment.
        headers: Instead of, or beside, the usual `Content-Type: application/json` and `Content-Length`; the value None
            leaves one out.
        delay: Seconds before the first byte.
        stall: Send nothing from there on until `JwksServer.release`: "head" is the very start, "body" after the head.
        drip: Send that part one byte at a time.
        drip_seconds: Seconds after each dripped byte.
        truncate: Close the connection after this many bytes of the body; `Content-Length` still promises all of it.
        reset: Close with a TCP reset: where `truncate` says, without it before the first byte.
    """

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    delay: float = 0.0
    stall: Literal["head", "body"] | None = None
    drip: Literal["head", "body"] | None = None
    drip_seconds: float = 0.05
    truncate: int | None = None
    reset: bool = False


class JwksServer:
    """A pool's keys over HTTP/1.1 on 127.0.0.1, as a context manager that gives the JWKS URI.

        server = pool.serve()
        with server as jwks_uri:
            server.answers(Answer(503), Answer())  # one failure, well from then on

    Each connection has its own thread. Leaving the context cuts all connections, also stalled ones, and joins the
    threads; after that the port refuses. Entering again goes on with the same answers and count. A proxy named in the
    environment gets in the way of clients that honour one: set `NO_PROXY=127.0.0.1`.
    """

    def __init__(self, pool: FakeUserPool, *, port: int = 0) -> None:
        self._pool = pool
        self._port = port
        self._changed = Condition()  # guards what follows
        self._answers = [Answer()]  # the last one stays
        self._requests: list[str] = []
        self._releases = 0
        self._closing = False
        self._conversations: list[tuple[Thread, socket.socket]] = []

    @property
    def requests(self) -> int:
        """How many requests came so far, counted before they are answered."""
        return len(self._requests)

    @property
    def last_request(self) -> str:
        """The request line and headers of the latest request, as received; empty before the first."""
        return self._requests[-1] if self._requests else ""

    def answers(self, *answers: Answer) -> None:
        """What the next requests get, one each in this order; the last goes on for good. None at all: healthy again."""
        with self._changed:
            self._answers = list(answers) or [Answer()]

    def release(self) -> None:
        """Let every request that is stalled now have its answer; later ones stall anew."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()

    def wait_for_requests(self, count: int, *, timeout: float = 10.0) -> None:
        """Return once `count` requests came in all, so that a test can act while they wait.

        Raises:
            TimeoutError: Fewer came within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._requests) >= count, timeout):
                raise TimeoutError(f"expected {count} requests within {timeout} s, found {len(self._requests)}")

    def __enter__(self) -> str:
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        port = self._listener.getsockname()[1]
        self._acceptor = Thread(target=self._accept, name="jwks-server", daemon=True)
        self._acceptor.start()
        return f"http://127.0.0.1:{port}{self._pool.jwks_path}"

    def __exit__(self, *exception: object) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        with suppress(OSError):  # wakes `accept`, which closing the listener does not do everywhere
            socket.create_connection(self._listener.getsockname(), timeout=1.0).close()
        self._acceptor.join()
        self._listener.close()
        for _, connection in self._conversations:
            with suppress(OSError):  # the other side, or its own thread, was faster
                connection.shutdown(socket.SHUT_RDWR)
        for thread, _ in self._conversations:
            thread.join()
        self._conversations.clear()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._closing:
                connection.close()
                return
            thread = Thread(target=self._converse, args=(connection,), name="jwks-server", daemon=True)
            self._conversations = [one for one in self._conversations if one[0].is_alive()]
            thread.start()
            self._conversations.append((thread, connection))

    def _converse(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as reader:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a dripped byte leaves by itself
            while (request := _request_head(reader)) and self._reply(connection, request):
                pass

    def _reply(self, connection: socket.socket, request: str) -> bool:
        """Send the answer that is due. Whether the connection may be used again."""
        answer, releases = self._received(request)
        body = json.dumps(self._pool.jwks).encode() if answer.body is None else answer.body
        head, has_length = _answer_head(answer, len(body))
        self._pause(answer.delay)
        for part, data in (("head", head), ("body", body[: answer.truncate])):
            if answer.stall == part:
                self._pause(None, releases)
            if answer.reset and answer.truncate is None:
                break
            for piece in (data[i : i + 1] for i in range(len(data))) if answer.drip == part else (data,):
                connection.sendall(piece)
                if answer.drip == part:
                    self._pause(answer.drip_seconds)
        if answer.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        return has_length and answer.truncate is None and not answer.reset

    def _received(self, request: str) -> tuple[Answer, int]:
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
            if not request.startswith(f"GET {self._pool.jwks_path} "):
                return Answer(404, b""), self._releases
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            return answer, self._releases

    def _pause(self, seconds: float | None, releases: int | None = None) -> None:
        """Wait for `seconds` or for the release that follows `releases`; closing the server ends the conversation."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or (releases is not None and self._releases > releases), seconds
            )
            if self._closing:
                raise ConnectionAbortedError("the server is closing")  # caught in _converse, which cuts the connection


_KEYS: dict[tuple[str, _TokenUse, int], RSAPrivateKey] = {}  # by pool id, use and generation
_KEYS_LOCK = Lock()
with suppress(AttributeError):  # Windows does not fork
    # A fork waits for a key in the making: a lock that is held at a fork is held for ever in the child.
    os.register_at_fork(
        before=_KEYS_LOCK.acquire, after_in_parent=_KEYS_LOCK.release, after_in_child=_KEYS_LOCK.release
    )

_LINGER_NOT = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # SO_LINGER of 0 s: closing sends a reset


def _private_key(user_pool_id: str, use: _TokenUse, generation: int) -> RSAPrivateKey:
    with _KEYS_LOCK:
        key = _KEYS.get((user_pool_id, use, generation))
        if key is None:
            key = _KEYS[user_pool_id, use, generation] = generate_private_key(public_exponent=65_537, key_size=2_048)
        return key


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


def _request_head(reader: BufferedReader) -> str:
    """Request line and headers up to the empty line; empty where the client has gone."""
    lines = []
    while (line := reader.readline()) not in (b"", b"\r\n"):
        lines.append(line)
    return b"".join(lines).decode("latin-1") if line else ""


def _answer_head(answer: Answer, body_bytes: int) -> tuple[bytes, bool]:
    """Status line and headers, and whether these tell the client where the body ends."""
    headers: dict[str, tuple[str, str | None]] = {
        "content-type": ("Content-Type", "application/json"),
        "content-length": ("Content-Length", str(body_bytes)),
    }
    headers |= {name.lower(): (name, value) for name, value in answer.headers.items()}
    lines = [f"{name}: {value}\r\n" for name, value in headers.values() if value is not None]
    head = f"HTTP/1.1 {answer.status} \r\n{''.join(lines)}\r\n"  # without a reason phrase: RFC 9112 section 4
    return head.encode("latin-1"), headers["content-length"][1] is not None
