"""`UserPool.local` with tokens of the shapes that pool emulators make: moto, cognito-local and LocalStack.

The shapes are what moto 5.2 and cognito-local 5.3 answered when they were asked, and what LocalStack's documentation
and its users' reports show. Common to all: a `typ` in the header, and an `iss` that may not be where the keys are. One
key and one `kid` serve every pool of moto, of cognito-local and of older releases of LocalStack.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Literal
from uuid import uuid4

import pytest

from cognito_verify import (
    AccessToken,
    CognitoVerifier,
    ConfigurationError,
    IdToken,
    InvalidClientError,
    InvalidIssuerError,
    InvalidSignatureError,
    InvalidTokenUseError,
    KeysUnavailableError,
    MalformedTokenError,
    TokenExpiredError,
    UserPool,
)
from cognito_verify.testing import FakeUserPool

NOW = 1_795_413_714
CLIENT = "1aaf3ae96c694095afff6ff870"
OF_AWS = "https://cognito-idp.us-east-1.amazonaws.com"
SIGNER = FakeUserPool()  # its access tokens' key is the one key of every emulator here

TokenUse = Literal["access", "id"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What an emulator's pools and tokens look like. `{endpoint}` in `iss` is where it listens, `{id}` the pool's."""

    user_pool_id: str
    iss: str
    header: Mapping[str, str]
    claims: Mapping[str, object]
    id_claims: Mapping[str, object] = field(default_factory=dict)
    lifetime: int = 3_600

    def token(self, token_use: TokenUse, endpoint: str, **claims: object) -> str:
        """The token of a user in the group `users`, with other claims for those that are named."""
        whose: dict[str, object] = (
            {"client_id": CLIENT, "scope": "aws.cognito.signin.user.admin", "username": "testUser"}
            if token_use == "access"
            else {"aud": CLIENT, "cognito:username": "testUser", **self.id_claims}
        )
        minted = {
            "iss": self.iss.format(endpoint=endpoint, id=self.user_pool_id),
            "sub": "a6284ba0-7ff8-468c-ab8c-4b8645b19381",
            "token_use": token_use,
            "iat": NOW,
            "auth_time": NOW,
            "exp": NOW + self.lifetime,
            "jti": str(uuid4()),
            "cognito:groups": ["users"],
            **self.claims,
            **whose,
            **claims,
        }
        return SIGNER.sign(self.header, minted)


MOTO = Shape(
    user_pool_id="us-east-1_a539308d3ed841c58e0a43d4730845a1",
    iss=OF_AWS + "/{id}",
    header={"typ": "JWT", "kid": "dummy", "alg": "RS256"},
    claims={"origin_jti": "78cad6f3-2ecb-47bd-847c-094723c878f0"},
)
COGNITO_LOCAL = Shape(
    user_pool_id="local_4uK6Bv9W",
    iss="{endpoint}/{id}",
    header={"alg": "RS256", "typ": "JWT", "kid": "CognitoLocal"},
    claims={"event_id": "51984c40-6c44-4a01-b2fb-5c5f98fd4fec"},
    id_claims={"email": "ada@example.com", "email_verified": False},
    lifetime=86_400,
)
LOCALSTACK = Shape(
    user_pool_id="us-east-1_db019d67e6704e89a7bc087c8485bd00",
    iss="{endpoint}/{id}",
    header={"alg": "RS256", "kid": "5ab0225a-5340-406f-a04f-678dc126ef8c", "typ": "JWT"},
    claims={"event_id": "0cc2c6ad-2868-40a9-9728-c118864604a3"},
    id_claims={"email": "ada@example.com", "email_verified": True},
)

AS_THEY_COME = [
    pytest.param(MOTO, id="moto"),
    pytest.param(replace(MOTO, user_pool_id="us-east-1_" + "0123456789abc" * 3 + "def012"), id="moto-hashed-ids"),
    pytest.param(COGNITO_LOCAL, id="cognito-local"),
    pytest.param(LOCALSTACK, id="localstack"),
    pytest.param(replace(LOCALSTACK, header={**LOCALSTACK.header, "kid": "test-key"}), id="localstack-of-old"),
    pytest.param(replace(LOCALSTACK, user_pool_id="myid123"), id="localstack-own-id"),
]
UNDER_ANOTHER_NAME = [
    pytest.param(replace(COGNITO_LOCAL, iss="http://0.0.0.0:9229/{id}"), id="cognito-local-in-a-container"),
    pytest.param(replace(COGNITO_LOCAL, iss="http://localhost:9229/{id}"), id="cognito-local-at-a-mapped-port"),
    pytest.param(replace(LOCALSTACK, iss="http://localhost.localstack.cloud:4566/{id}"), id="localstack"),
    pytest.param(replace(LOCALSTACK, iss="https://cognito-idp.localhost.localstack.cloud/{id}"), id="localstack-https"),
]


class Emulator:
    """As much of an emulator as a verifier sees: keys at `/{any id}/.well-known/jwks.json`, the same for every pool."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        key = next(jwk for jwk in SIGNER.jwks["keys"] if jwk["kid"] == SIGNER.header("access")["kid"])
        kids = (MOTO.header["kid"], COGNITO_LOCAL.header["kid"], LOCALSTACK.header["kid"], "test-key")
        found = json.dumps({"keys": [{**key, "kid": kid} for kid in kids]}).encode()
        paths = self.paths

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                paths.append(self.path)
                is_known = self.path.endswith("/.well-known/jwks.json")
                body = found if is_known else b""
                self.send_response_only(200 if is_known else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.port = self._server.server_address[1]
        self.endpoint = f"http://localhost:{self.port}"  # by name, as the emulators' own documentation has it

    def stop(self) -> None:
        """End the server and its threads; from then on the port refuses."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    emulator = Emulator()
    yield emulator
    emulator.stop()


def local(endpoint: str, user_pool_id: str, *, client_id: str = CLIENT, issuer: str | None = None) -> UserPool:
    with pytest.warns(UserWarning, match="emulator"):
        return UserPool.local(endpoint, user_pool_id, client_id=client_id, issuer=issuer)


def access_verifier(*pools: UserPool, now: float = NOW + 60) -> CognitoVerifier[AccessToken]:
    return CognitoVerifier(pools, token_use="access", clock=lambda: now)


def id_verifier(pool: UserPool) -> CognitoVerifier[IdToken]:
    return CognitoVerifier(pool, token_use="id", clock=lambda: NOW + 60)


@pytest.mark.parametrize("shape", AS_THEY_COME)
def test_both_tokens_of_an_emulator_pass_with_nothing_but_its_address(emulator: Emulator, shape: Shape) -> None:
    pool = local(emulator.endpoint, shape.user_pool_id)
    access = access_verifier(pool).verify(shape.token("access", emulator.endpoint))
    identity = id_verifier(pool).verify(shape.token("id", emulator.endpoint))
    assert access.username == identity.username == "testUser"
    assert access.groups == identity.groups == ("users",)
    assert access.client_id == identity.client_id == CLIENT
    assert access.user_pool_id == identity.user_pool_id == shape.user_pool_id
    assert set(emulator.paths) == {f"/{shape.user_pool_id}/.well-known/jwks.json"}


@pytest.mark.parametrize("shape", UNDER_ANOTHER_NAME)
def test_an_emulator_that_calls_itself_by_another_name_needs_issuer(emulator: Emulator, shape: Shape) -> None:
    issuer = shape.iss.format(id=shape.user_pool_id)
    token = shape.token("access", emulator.endpoint)
    with pytest.raises(InvalidIssuerError) as refusal:
        access_verifier(local(emulator.endpoint, shape.user_pool_id)).verify(token)
    assert type(refusal.value) is InvalidIssuerError
    assert emulator.paths == []
    verified = access_verifier(local(emulator.endpoint, shape.user_pool_id, issuer=issuer)).verify(token)
    assert verified.issuer == issuer
    assert emulator.paths == [f"/{shape.user_pool_id}/.well-known/jwks.json"]


def test_the_keys_come_from_the_endpoint_and_never_from_the_issuer(emulator: Emulator) -> None:
    pool = local(emulator.endpoint, MOTO.user_pool_id)
    assert set(pool.issuers.values()) == {f"{emulator.endpoint}/{MOTO.user_pool_id}/.well-known/jwks.json"}
    assert f"{OF_AWS}/{MOTO.user_pool_id}" in pool.issuers


def test_issuer_replaces_every_other(emulator: Emulator) -> None:
    pool = local(emulator.endpoint, MOTO.user_pool_id, issuer="http://pool.example:9229/p")
    assert list(pool.issuers) == ["http://pool.example:9229/p"]
    with pytest.raises(InvalidIssuerError):
        access_verifier(pool).verify(MOTO.token("access", emulator.endpoint))


def test_an_id_that_aws_never_gives_has_no_issuer_of_aws(emulator: Emulator) -> None:
    shape = replace(COGNITO_LOCAL, iss=OF_AWS + "/{id}")
    with pytest.raises(InvalidIssuerError):
        access_verifier(local(emulator.endpoint, shape.user_pool_id)).verify(shape.token("access", emulator.endpoint))
    assert emulator.paths == []


@pytest.mark.parametrize("shape", [MOTO, COGNITO_LOCAL, LOCALSTACK], ids=["moto", "cognito-local", "localstack"])
def test_pools_with_one_key_in_common_are_kept_apart_by_their_issuers(emulator: Emulator, shape: Shape) -> None:
    other = replace(shape, user_pool_id="us-east-1_AnotherPool")
    token = other.token("access", emulator.endpoint)
    with pytest.raises(InvalidIssuerError):
        access_verifier(local(emulator.endpoint, shape.user_pool_id)).verify(token)
    assert access_verifier(local(emulator.endpoint, other.user_pool_id)).verify(token).username == "testUser"


def test_one_verifier_takes_the_pools_of_several_emulators(emulator: Emulator) -> None:
    shapes = (MOTO, COGNITO_LOCAL, LOCALSTACK)
    verifier = access_verifier(*(local(emulator.endpoint, shape.user_pool_id) for shape in shapes))
    verifier.prefetch()
    pools = [verifier.verify(shape.token("access", emulator.endpoint)).user_pool_id for shape in shapes]
    assert pools == [shape.user_pool_id for shape in shapes]


def test_no_rule_is_weaker_for_an_emulator(emulator: Emulator) -> None:
    pool = local(emulator.endpoint, MOTO.user_pool_id)
    token = MOTO.token("access", emulator.endpoint)
    header, _, signature = token.split(".")
    payload_of_another = MOTO.token("access", emulator.endpoint, username="admin").split(".")[1]
    verifier = access_verifier(pool)
    assert verifier.verify(token).username == "testUser"
    with pytest.raises(InvalidSignatureError):
        verifier.verify(f"{header}.{payload_of_another}.{signature}")
    with pytest.raises(InvalidTokenUseError):
        verifier.verify(MOTO.token("id", emulator.endpoint))
    with pytest.raises(InvalidClientError):
        verifier.verify(MOTO.token("access", emulator.endpoint, client_id="another-client"))
    assert access_verifier(pool, now=NOW + 3_599).verify(token)
    with pytest.raises(TokenExpiredError):
        access_verifier(pool, now=NOW + 3_600).verify(token)


@pytest.mark.parametrize(
    "refresh_token",
    [
        pytest.param("6deb7c69-9518-4465-9abf-01d1ed2f3819", id="moto"),
        pytest.param("e3f08304", id="localstack"),
        pytest.param(
            SIGNER.sign(
                {"alg": "RS256", "typ": "JWT"},
                {
                    "cognito:username": "testUser",
                    "email": "ada@example.com",
                    "iat": NOW,
                    "jti": "c439b85c-ad4f-46d1-8a27-be991a61dd27",
                    "exp": NOW + 604_800,
                    "iss": "http://localhost:9229/local_4uK6Bv9W",
                },
            ),
            id="cognito-local",  # a good signature, but neither `kid` nor `token_use`
        ),
    ],
)
def test_refresh_tokens_are_refused(emulator: Emulator, refresh_token: str) -> None:
    pool = local(emulator.endpoint, COGNITO_LOCAL.user_pool_id, issuer="http://localhost:9229/local_4uK6Bv9W")
    with pytest.raises(MalformedTokenError) as refusal:
        access_verifier(pool).verify(refresh_token)
    assert type(refusal.value) is MalformedTokenError
    assert emulator.paths == []


@pytest.mark.parametrize(
    ("shape", "email", "is_verified"),
    [
        pytest.param(MOTO, None, None, id="moto"),
        pytest.param(COGNITO_LOCAL, "ada@example.com", False, id="cognito-local"),
        pytest.param(LOCALSTACK, "ada@example.com", True, id="localstack"),
    ],
)
def test_an_id_token_says_what_its_emulator_knows_of_the_email(
    emulator: Emulator, shape: Shape, email: str | None, is_verified: bool | None
) -> None:
    token = id_verifier(local(emulator.endpoint, shape.user_pool_id)).verify(shape.token("id", emulator.endpoint))
    assert (token.email, token.email_verified) == (email, is_verified)


def test_a_machine_token_of_localstack_verifies(emulator: Emulator) -> None:
    # Unlike AWS's it has a `username`, its client's id.
    raw = LOCALSTACK.token(
        "access", emulator.endpoint, sub=CLIENT, username=CLIENT, scope="prices/read", **{"cognito:groups": []}
    )
    token = access_verifier(local(emulator.endpoint, LOCALSTACK.user_pool_id)).verify(raw, scopes="prices/read")
    assert token.sub == token.client_id == CLIENT
    assert token.groups == ()


def test_an_emulator_that_is_down_is_no_refusal_of_the_token(emulator: Emulator) -> None:
    verifier = access_verifier(local(emulator.endpoint, MOTO.user_pool_id))
    emulator.stop()
    with pytest.raises(KeysUnavailableError) as refusal:
        verifier.verify(MOTO.token("access", emulator.endpoint))
    assert type(refusal.value) is KeysUnavailableError


def test_the_warning_points_at_the_call(emulator: Emulator) -> None:
    with pytest.warns(UserWarning, match="emulator") as warned:
        UserPool.local(emulator.endpoint, MOTO.user_pool_id, client_id=CLIENT)
    assert [warning.filename for warning in warned] == [__file__]


def test_refused_inside_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    assert local("http://localhost:9229", COGNITO_LOCAL.user_pool_id).client_ids == frozenset({CLIENT})
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "calculatePrice")
    with pytest.raises(ConfigurationError, match="AWS_LAMBDA_FUNCTION_NAME"):
        UserPool.local("http://localhost:9229", COGNITO_LOCAL.user_pool_id, client_id=CLIENT)


@pytest.mark.parametrize("endpoint", ["http://cognito:9229", "http://cognito:9229/", "https://10.0.0.7:9229"])
def test_the_host_named_may_be_any(endpoint: str) -> None:
    # Containers reach each other by names of their own, mostly without TLS: what the caller names is the caller's word.
    pool = local(endpoint, COGNITO_LOCAL.user_pool_id)
    served_at = f"{endpoint.rstrip('/')}/local_4uK6Bv9W"
    assert pool.issuers[served_at] == f"{served_at}/.well-known/jwks.json"


@pytest.mark.filterwarnings("ignore:user pool .* is an emulator's:UserWarning")  # whether it comes first is no matter
@pytest.mark.parametrize(
    ("endpoint", "user_pool_id", "client_id", "named"),
    [
        pytest.param("localhost:9229", "local_4uK6Bv9W", CLIENT, "endpoint", id="no-scheme"),
        pytest.param("ftp://localhost:9229", "local_4uK6Bv9W", CLIENT, "endpoint", id="another-scheme"),
        pytest.param("http://user:word@localhost:9229", "local_4uK6Bv9W", CLIENT, "endpoint", id="with-a-password"),
        pytest.param("http://localhost:nine", "local_4uK6Bv9W", CLIENT, "endpoint", id="no-port-number"),
        pytest.param("", "local_4uK6Bv9W", CLIENT, "endpoint", id="no-endpoint"),
        pytest.param("http://localhost:9229", "", CLIENT, "user_pool_id", id="no-id"),
        pytest.param("http://localhost:9229", "../other", CLIENT, "user_pool_id", id="an-id-that-is-a-path"),
        pytest.param("http://localhost:9229", "local_4uK6Bv9W", "", "client_id", id="no-client"),
    ],
)
def test_a_senseless_setting_is_named(endpoint: str, user_pool_id: str, client_id: Any, named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{named}"):
        UserPool.local(endpoint, user_pool_id, client_id=client_id)
