"""The testing kit: what the fake pool mints and publishes, and what its server does to those who ask."""

from __future__ import annotations

import base64
import copy
import gc
import http.client
import json
import os
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Literal, assert_type
from urllib.parse import urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from cognito_verify.errors import (
    ConfigurationError,
    InvalidClientError,
    InvalidTokenUseError,
    KeysUnavailableError,
    TokenError,
    TokenExpiredError,
    UnknownKeyError,
)
from cognito_verify.jwks import JwksCache
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.testing import FAULTS, Answer, Clock, FakeUserPool, Fault, JwksServer
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier

NOW = 1_800_000_000
ORIGINAL = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_TestPool1"
UPDATED = "https://issuer-cognito-idp.us-east-1.amazonaws.com/us-east-1_TestPool1"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW + 0.75)


@pytest.fixture
def pool(clock: Clock) -> FakeUserPool:
    return FakeUserPool(clock=clock)


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims, _ = (decoded(segment) for segment in token.split("."))
    return json.loads(header), json.loads(claims)


def decoded(segment: str) -> bytes:
    assert "=" not in segment
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def kids(jwks: dict[str, list[dict[str, str]]]) -> list[str]:
    return [key["kid"] for key in jwks["keys"]]


def signed_by(token: str, jwks: dict[str, list[dict[str, str]]]) -> list[str]:
    """The kids of the published keys under which the signature is good, by nothing but `cryptography`."""
    signing_input, _, signature_segment = token.rpartition(".")
    good = []
    for key in jwks["keys"]:
        n, e = (int.from_bytes(decoded(key[name])) for name in ("n", "e"))
        try:
            RSAPublicNumbers(e, n).public_key().verify(
                decoded(signature_segment), signing_input.encode(), PKCS1v15(), SHA256()
            )
        except InvalidSignature:
            continue
        good.append(key["kid"])
    return good


@contextmanager
def refused_as(error: type[TokenError]) -> Iterator[None]:
    with pytest.raises(error) as refusal:
        yield
    assert type(refusal.value) is error


# Tokens


def test_an_access_token_has_the_claims_of_cognito(pool: FakeUserPool) -> None:
    header, claims = parts(pool.access_token(username="ada", groups=["admin"], scopes=["orders/read", "openid"]))
    unique = {name: claims.pop(name) for name in ("sub", "jti", "origin_jti", "event_id")}
    assert claims == {
        "cognito:groups": ["admin"],
        "iss": ORIGINAL,
        "version": 2,
        "client_id": "test-client",
        "token_use": "access",
        "scope": "orders/read openid",
        "auth_time": NOW,
        "exp": NOW + 3600,
        "iat": NOW,
        "username": "ada",
    }
    assert all(len(value) == 36 for value in unique.values())
    assert len(set(unique.values())) == 4
    assert list(header) == ["kid", "alg"]


def test_an_id_token_has_the_claims_of_cognito(pool: FakeUserPool) -> None:
    header, claims = parts(pool.id_token(username="ada", groups=["admin"], email="ada@example.com"))
    unique = {name: claims.pop(name) for name in ("sub", "jti", "origin_jti", "event_id")}
    assert claims == {
        "cognito:groups": ["admin"],
        "email_verified": True,
        "iss": ORIGINAL,
        "cognito:username": "ada",
        "aud": "test-client",
        "token_use": "id",
        "auth_time": NOW,
        "exp": NOW + 3600,
        "iat": NOW,
        "email": "ada@example.com",
    }
    assert all(len(value) == 36 for value in unique.values())
    assert list(header) == ["kid", "alg"]


def test_a_machine_token_has_the_claims_of_the_client_credentials_grant(pool: FakeUserPool) -> None:
    header, claims = parts(pool.machine_token(scopes=["orders/read"]))
    assert len(claims.pop("jti")) == 36
    assert claims == {
        "sub": "test-client",
        "token_use": "access",
        "scope": "orders/read",
        "auth_time": NOW,
        "iss": ORIGINAL,
        "exp": NOW + 3600,
        "iat": NOW,
        "version": 2,
        "client_id": "test-client",
    }
    assert header == pool.header("access")


def test_without_groups_scopes_and_email_a_token_says_what_cognito_would(pool: FakeUserPool) -> None:
    _, access = parts(pool.access_token())
    _, identity = parts(pool.id_token())
    _, machine = parts(pool.machine_token())
    assert access["scope"] == "aws.cognito.signin.user.admin"
    assert machine["scope"] == "test-api/read"
    assert not {"cognito:groups"} & access.keys()
    assert not {"cognito:groups", "email", "email_verified"} & identity.keys()


def test_an_empty_collection_leaves_the_claim_out(pool: FakeUserPool) -> None:
    _, claims = parts(pool.access_token(groups=[], scopes=[]))
    assert not {"cognito:groups", "scope"} & claims.keys()


def test_a_string_is_one_name_and_not_its_letters(pool: FakeUserPool) -> None:
    _, claims = parts(pool.access_token(groups="admin", scopes="orders/read openid", omit="exp"))
    assert claims["cognito:groups"] == ["admin"]
    assert claims["scope"] == "orders/read openid"
    assert "exp" not in claims


@pytest.mark.parametrize("mint", [FakeUserPool.access_token, FakeUserPool.id_token, FakeUserPool.machine_token])
def test_claims_are_added_replaced_and_omitted(pool: FakeUserPool, mint: Callable[..., str]) -> None:
    _, claims = parts(mint(pool, iat="soon", omit=("exp", "jti"), **{"custom:tenant": "t1"}))
    assert claims["iat"] == "soon"
    assert claims["custom:tenant"] == "t1"
    assert not {"exp", "jti"} & claims.keys()


def test_another_app_client_can_be_named(pool: FakeUserPool) -> None:
    assert parts(pool.access_token(client_id="other"))[1]["client_id"] == "other"
    assert parts(pool.id_token(client_id="other"))[1]["aud"] == "other"
    machine = parts(pool.machine_token(client_id="other"))[1]
    assert (machine["sub"], machine["client_id"]) == ("other", "other")


def test_times_follow_the_clock_in_whole_seconds(pool: FakeUserPool, clock: Clock) -> None:
    clock.now += 60
    _, claims = parts(pool.access_token(expires_in=-1))
    assert [claims[name] for name in ("auth_time", "iat", "exp")] == [NOW + 60, NOW + 60, NOW + 59]
    assert '"iat":1800000060,' in decoded(pool.access_token().split(".")[1]).decode()


def test_a_user_keeps_one_sub_and_every_token_has_its_own_jti(pool: FakeUserPool) -> None:
    ada = [parts(pool.access_token("ada"))[1], parts(pool.id_token("ada"))[1]]
    bob = parts(pool.access_token("bob"))[1]
    ada_elsewhere = parts(FakeUserPool("us-east-1_TestPool2").access_token("ada"))[1]
    assert ada[0]["sub"] == ada[1]["sub"]
    assert len({ada[0]["sub"], bob["sub"], ada_elsewhere["sub"]}) == 3
    assert len({ada[0]["jti"], ada[1]["jti"], bob["jti"]}) == 3


def test_the_issuer_follows_the_pool_id_unless_it_is_given() -> None:
    assert FakeUserPool("eu-west-1_A").issuer == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A"
    pool = FakeUserPool(issuer=UPDATED, client_id="mine")
    assert (pool.issuer, pool.user_pool_id, pool.client_id) == (UPDATED, "us-east-1_TestPool1", "mine")
    assert parts(pool.access_token())[1]["iss"] == UPDATED


def test_a_malformed_pool_id_is_refused_as_a_user_pool_refuses_it() -> None:
    with pytest.raises(ConfigurationError, match="us-east-1_AbCdEfGhI"):
        FakeUserPool("TestPool1")


# Keys


def test_access_and_id_tokens_are_signed_with_different_published_keys(pool: FakeUserPool) -> None:
    access, identity, machine = pool.access_token(), pool.id_token(), pool.machine_token()
    assert signed_by(access, pool.jwks) == [parts(access)[0]["kid"]] == [pool.header()["kid"]]
    assert signed_by(identity, pool.jwks) == [parts(identity)[0]["kid"]] == [pool.header("id")["kid"]]
    assert signed_by(machine, pool.jwks) == signed_by(access, pool.jwks) != signed_by(identity, pool.jwks)


def test_the_key_set_looks_like_that_of_cognito(pool: FakeUserPool) -> None:
    assert list(pool.jwks) == ["keys"]
    assert len(pool.jwks["keys"]) == 2
    for key in pool.jwks["keys"]:
        assert key.keys() == {"alg", "e", "kid", "kty", "n", "use"}
        assert (key["alg"], key["e"], key["kty"], key["use"]) == ("RS256", "AQAB", "RSA", "sig")
        assert int.from_bytes(decoded(key["n"])).bit_length() == 2048
        assert len(base64.b64decode(key["kid"], validate=True)) == 32
        assert len(key["kid"]) == 44


def test_a_key_set_is_the_callers_own(pool: FakeUserPool) -> None:
    pool.jwks["keys"].clear()
    pool.jwks["keys"][0]["kid"] = "spoilt"
    assert kids(pool.jwks) == [pool.header("access")["kid"], pool.header("id")["kid"]]


def test_pools_share_no_keys_and_instances_of_one_pool_do() -> None:
    first, again, other = FakeUserPool(), FakeUserPool(), FakeUserPool("us-east-1_TestPool2")
    assert first.jwks == again.jwks
    assert not {key["n"] for key in first.jwks["keys"]} & {key["n"] for key in other.jwks["keys"]}
    assert not set(kids(first.jwks)) & set(kids(other.jwks))


def test_keys_are_made_once_for_any_number_of_threads() -> None:
    everybody = threading.Barrier(8)

    def make() -> list[str]:
        everybody.wait(10)
        return [key["n"] for key in FakeUserPool("us-east-1_MadeOnce").jwks["keys"]]

    with ThreadPoolExecutor(8) as threads:
        moduli = [future.result() for future in [threads.submit(make) for _ in range(8)]]
    assert all(one == moduli[0] for one in moduli)


def test_keys_are_made_before_anybody_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = FakeUserPool("us-east-1_MadeAhead")
    pool.rotate_keys()
    monkeypatch.delattr("cognito_verify.testing.user_pool.generate_private_key")
    assert len(pool.jwks["keys"]) == 2


def test_a_rotation_withdraws_both_keys(pool: FakeUserPool) -> None:
    before, old = pool.jwks, pool.access_token()
    pool.rotate_keys()
    assert len(pool.jwks["keys"]) == 2
    assert not set(kids(before)) & set(kids(pool.jwks))
    assert signed_by(old, pool.jwks) == []
    assert signed_by(pool.access_token(), pool.jwks) == [pool.header("access")["kid"]]
    assert signed_by(pool.id_token(), pool.jwks) == [pool.header("id")["kid"]]


def test_a_rotation_can_keep_the_old_keys_published(pool: FakeUserPool) -> None:
    before, old = pool.jwks, pool.access_token()
    pool.rotate_keys(keep_old=True)
    assert kids(pool.jwks)[:2] == kids(before)
    assert len(pool.jwks["keys"]) == 4
    assert len(signed_by(old, pool.jwks)) == 1
    pool.rotate_keys()
    assert len(pool.jwks["keys"]) == 2


def test_instances_rotate_apart_through_the_same_keys() -> None:
    one, other = FakeUserPool(), FakeUserPool()
    one.rotate_keys()
    assert not set(kids(one.jwks)) & set(kids(other.jwks))
    other.rotate_keys()
    assert one.jwks == other.jwks


# sign


def test_sign_takes_header_and_claims_as_they_are(pool: FakeUserPool) -> None:
    token = pool.sign({"typ": "JWT", "alg": "none"}, {"exp": float("inf"), "name": "é"})
    header, claims, _ = token.split(".")
    assert decoded(header) == b'{"typ":"JWT","alg":"none"}'
    assert decoded(claims) == b'{"exp":Infinity,"name":"\\u00e9"}'
    assert signed_by(token, pool.jwks) == [pool.header("access")["kid"]]


def test_sign_takes_bytes_as_they_are(pool: FakeUserPool) -> None:
    token = pool.sign(b'{"alg":"RS256","alg":"none"}', b"\xff")
    assert [decoded(segment) for segment in token.split(".")[:2]] == [b'{"alg":"RS256","alg":"none"}', b"\xff"]
    assert signed_by(token, pool.jwks) == [pool.header("access")["kid"]]


def test_sign_uses_the_key_that_the_header_names(pool: FakeUserPool) -> None:
    assert signed_by(pool.sign(pool.header("id"), {}), pool.jwks) == [pool.header("id")["kid"]]
    assert signed_by(pool.sign({"kid": ["odd"]}, {}), pool.jwks) == [pool.header("access")["kid"]]
    theirs = FakeUserPool("us-east-1_TestPool2").header("id")
    assert signed_by(pool.sign(theirs, {}), pool.jwks) == [pool.header("access")["kid"]]


def test_sign_still_has_a_withdrawn_key(pool: FakeUserPool) -> None:
    before, old = pool.jwks, pool.header("id")
    pool.rotate_keys()
    assert signed_by(pool.sign(old, {}), before) == [old["kid"]]


# What an object of ours gives away


def test_a_pool_shows_its_id_and_nothing_else(pool: FakeUserPool) -> None:
    assert repr(pool) == str(pool) == "FakeUserPool('us-east-1_TestPool1')"


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_pool_does_not_pickle(pool: FakeUserPool, duplicate: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="build one per process"):
        duplicate(pool)


# verifier


def test_each_token_use_has_its_verifier(pool: FakeUserPool) -> None:
    assert_type(pool.verifier(), CognitoVerifier[AccessToken])
    assert_type(pool.verifier(token_use="access"), CognitoVerifier[AccessToken])
    assert_type(pool.verifier("id", leeway=5), CognitoVerifier[IdToken])
    assert_type(pool.verifier(token_use=None), CognitoVerifier[AccessToken | IdToken])
    assert pool.verifier().verify(pool.access_token(scopes=["a"])).scopes == {"a"}
    assert pool.verifier("id").verify(pool.id_token(email="ada@example.com")).email == "ada@example.com"
    assert pool.verifier(None).verify(pool.machine_token()).username is None
    with refused_as(InvalidTokenUseError):
        pool.verifier().verify(pool.id_token())


def test_a_verifier_knows_the_keys_without_a_fetch(pool: FakeUserPool) -> None:
    def unused(uri: str, seconds: float) -> bytes:  # noqa: ARG001 - what a cache passes
        raise AssertionError(uri)

    verifier = pool.verifier(jwks_cache=JwksCache(fetch=unused))
    assert verifier.verify(pool.access_token()).user_pool_id == pool.user_pool_id


def test_a_verifier_finds_rotated_keys_at_once_and_drops_the_old(pool: FakeUserPool) -> None:
    verifier = pool.verifier()
    old = pool.access_token()
    verifier.verify(old)
    for _ in range(3):
        pool.rotate_keys()
        verifier.verify(pool.access_token())
        with refused_as(UnknownKeyError):
            verifier.verify(old)


def test_a_verifier_has_the_clock_and_the_client_of_the_pool(pool: FakeUserPool, clock: Clock) -> None:
    verifier, token = pool.verifier(), pool.access_token()
    verifier.verify(token)
    with refused_as(InvalidClientError):
        verifier.verify(pool.access_token(client_id="other"))
    clock.now += 3_600
    with refused_as(TokenExpiredError):
        verifier.verify(token)


def test_a_verifier_takes_another_clock_and_other_clients(pool: FakeUserPool) -> None:
    assert pool.verifier(client_id={"a", "b"}).verify(pool.access_token(client_id="b")).client_id == "b"
    assert pool.verifier(client_id=None).verify(pool.access_token(client_id="c")).client_id == "c"
    with refused_as(TokenExpiredError):
        pool.verifier(clock=lambda: NOW + 86_400).verify(pool.access_token())


def test_a_verifier_accepts_both_forms_of_issuer_unless_one_is_given(pool: FakeUserPool) -> None:
    assert pool.verifier().verify(pool.access_token(iss=UPDATED)).issuer == UPDATED
    moved = FakeUserPool(issuer="https://login.example.com/pool", clock=lambda: NOW)
    verifier = moved.verifier()
    moved.rotate_keys()
    assert verifier.verify(moved.access_token()).issuer == "https://login.example.com/pool"


def test_pools_are_kept_apart(pool: FakeUserPool, clock: Clock) -> None:
    other = FakeUserPool("us-east-1_TestPool2", clock=clock)
    with refused_as(UnknownKeyError):
        pool.verifier().verify(other.access_token(iss=pool.issuer))


def test_an_observer_is_told_of_decisions_and_of_fetches(pool: FakeUserPool) -> None:
    events: list[object] = []
    verifier = pool.verifier(observer=events.append)
    pool.rotate_keys()
    verifier.verify(pool.access_token())
    assert [type(event) for event in events] == [FetchEvent, VerificationEvent]


def test_fetch_jwks_answers_for_the_pools_own_uri_alone(pool: FakeUserPool) -> None:
    assert json.loads(pool.fetch_jwks(f"{ORIGINAL}/.well-known/jwks.json", 1.0)) == pool.jwks
    with pytest.raises(LookupError, match="us-east-1_TestPool1"):
        pool.fetch_jwks(f"{UPDATED}/.well-known/jwks.json", 1.0)


# Clock


def test_a_clock_stands_still_until_it_is_moved() -> None:
    clock = Clock(NOW)
    assert [clock(), clock()] == [NOW, NOW]
    clock.tick()
    clock.tick(0.5)
    assert clock() == clock.now == NOW + 1.5
    clock.tick(-10)
    assert clock() == NOW - 8.5
    assert repr(clock) == f"Clock({NOW - 8.5})"


def test_a_clock_stands_at_the_second_of_its_making_unless_told() -> None:
    before, clock, after = time.time(), Clock(), time.time()
    assert before - 1 < clock() <= after
    assert clock() == int(clock())


def test_a_pool_and_its_verifiers_share_a_clock() -> None:
    clock = Clock()
    pool = FakeUserPool(clock=clock)
    assert pool.clock is clock
    verifier, token = pool.verifier(), pool.access_token()
    clock.tick(3_599)
    verifier.verify(token)
    clock.tick()
    with refused_as(TokenExpiredError):
        verifier.verify(token)


# environment


def test_within_the_environment_a_verifier_finds_the_pool(pool: FakeUserPool) -> None:
    with pool.environment("id") as variables:
        assert {name: os.environ[name] for name in variables} == variables
        verifier = CognitoVerifier.from_env(clock=pool.clock)
        assert verifier.verify(pool.id_token("ada")).username == "ada"
        with refused_as(UnknownKeyError):
            verifier.verify(pool.unknown_key("id"))
        with refused_as(InvalidTokenUseError):
            verifier.verify(pool.access_token())
        pool.rotate_keys()
        later = CognitoVerifier.from_env(clock=pool.clock)
        assert later.verify(pool.id_token("bob")).username == "bob"


def test_within_the_environment_a_good_token_waits_for_no_fetch(pool: FakeUserPool) -> None:
    events: list[object] = []
    with pool.environment("access"):
        CognitoVerifier.from_env(clock=pool.clock, observer=events.append).verify(pool.access_token())
    assert [type(event) for event in events] == [VerificationEvent]


def test_the_environment_is_afterwards_as_it_was(pool: FakeUserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGNITO_CLIENT_ID", "mine")
    monkeypatch.delenv("COGNITO_JWKS_URI", raising=False)
    before = dict(os.environ)
    with suppress(ZeroDivisionError), pool.environment("access"):
        assert os.environ["COGNITO_CLIENT_ID"] == "test-client"
        assert "COGNITO_JWKS_URI" in os.environ
        raise ZeroDivisionError
    assert dict(os.environ) == before


def test_an_issuer_of_ones_own_cannot_be_said_in_the_environment() -> None:
    pool = FakeUserPool(issuer=UPDATED)
    with pytest.raises(ConfigurationError, match="with issuer= set"), pool.environment("access"):
        pass


# serve


@contextmanager
def connected(uri: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(uri).netloc, timeout=10)
    try:
        yield connection
    finally:
        connection.close()


def get(uri: str, path: str | None = None) -> tuple[int, dict[str, str], bytes]:
    with connected(uri) as connection:
        connection.request("GET", path or urlsplit(uri).path)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()


def asked(uri: str) -> socket.socket:
    """A connection on which the request is sent and nothing is read yet."""
    address = urlsplit(uri)
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=10)
    connection.sendall(f"GET {address.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


def test_a_server_answers_with_the_keys_of_the_moment(pool: FakeUserPool) -> None:
    with pool.serve() as uri:
        assert uri.startswith("http://127.0.0.1:")
        assert uri.endswith(pool.jwks_path)
        assert pool.jwks_path == "/us-east-1_TestPool1/.well-known/jwks.json"
        status, headers, body = get(uri)
        assert (status, json.loads(body)) == (200, pool.jwks)
        assert headers == {"Content-Type": "application/json", "Content-Length": str(len(body))}
        pool.rotate_keys()
        assert json.loads(get(uri)[2]) == pool.jwks


def test_a_server_keeps_connections_and_counts_requests(pool: FakeUserPool) -> None:
    server = pool.serve()
    assert (server.requests, server.last_request) == (0, "")
    with server as uri, connected(uri) as connection:
        for _ in range(3):
            connection.request("GET", pool.jwks_path, headers={"X-Probe": "7"})
            assert connection.getresponse().read()
        kept = connection.sock
        assert kept is not None
    assert server.requests == 3
    assert server.last_request.startswith(f"GET {pool.jwks_path} HTTP/1.1\r\n")
    assert "X-Probe: 7\r\n" in server.last_request


def test_another_path_is_not_found_and_uses_up_no_answer(pool: FakeUserPool) -> None:
    server = pool.serve()
    with server as uri:
        server.answers(Answer(503), Answer())
        assert get(uri, "/")[0] == get(uri, pool.jwks_path + "x")[0] == 404
        assert get(uri)[0] == 503
        assert server.requests == 3


def test_answers_come_in_order_and_the_last_one_stays(pool: FakeUserPool) -> None:
    server = pool.serve()
    with server as uri:
        server.answers(Answer(503), Answer(429, headers={"Retry-After": "7"}), Answer(body=b"garbage"))
        assert get(uri)[0] == 503
        status, headers, _ = get(uri)
        assert (status, headers["Retry-After"]) == (429, "7")
        assert get(uri)[2] == get(uri)[2] == b"garbage"
        server.answers()
        assert json.loads(get(uri)[2]) == pool.jwks


def test_usual_headers_can_be_replaced_and_left_out(pool: FakeUserPool) -> None:
    server = pool.serve()
    with server as uri:
        server.answers(Answer(body=b"<p>", headers={"content-type": "text/html", "Content-Length": None}))
        assert get(uri) == (200, {"content-type": "text/html"}, b"<p>")  # where the body ends, the connection does
        server.answers(Answer(302, b"", {"Location": uri}))
        assert get(uri)[1]["Location"] == uri


def test_a_delay_comes_before_the_first_byte(pool: FakeUserPool) -> None:
    server = pool.serve()
    server.answers(Answer(delay=0.05))
    with server as uri:
        begun = time.monotonic()
        assert get(uri)[0] == 200
        assert time.monotonic() - begun >= 0.05


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_dripped_part_arrives_whole_in_the_end(pool: FakeUserPool, part: Literal["head", "body"]) -> None:
    server = pool.serve()
    server.answers(Answer(drip=part, drip_seconds=0.0))
    with server as uri:
        assert json.loads(get(uri)[2]) == pool.jwks


@pytest.mark.parametrize(
    ("part", "end"), [pytest.param("head", b"H", id="head"), pytest.param("body", b"\r\n\r\n0", id="body")]
)
def test_a_dripped_part_arrives_byte_by_byte(pool: FakeUserPool, part: Literal["head", "body"], end: bytes) -> None:
    server = pool.serve()
    server.answers(Answer(body=b"0123456789", drip=part, drip_seconds=60))
    with server as uri:
        connection = asked(uri)
        received = b""
        while not received.endswith(end):
            received += connection.recv(65_536)
    with connection:
        assert connection.recv(65_536) == b""  # the next byte was a minute away


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_stalled_answer_goes_on_when_it_is_released(pool: FakeUserPool, part: Literal["head", "body"]) -> None:
    server = pool.serve()
    server.answers(Answer(stall=part))
    with server as uri, ThreadPoolExecutor(4) as threads:
        server.release()  # nobody waits yet: the requests below stall all the same
        answers = [threads.submit(get, uri) for _ in range(4)]
        server.wait_for_requests(4)
        assert not any(answer.done() for answer in answers)
        server.release()
        assert [answer.result(10)[0] for answer in answers] == [200] * 4


def test_a_body_that_stalls_has_sent_its_head(pool: FakeUserPool) -> None:
    server = pool.serve()
    server.answers(Answer(stall="body"))
    with server as uri, asked(uri) as connection:
        assert connection.recv(65_536).endswith(b"\r\n\r\n")


def test_a_truncated_body_is_shorter_than_promised(pool: FakeUserPool) -> None:
    server = pool.serve()
    server.answers(Answer(body=b"0123456789", truncate=4))
    with server as uri, pytest.raises(http.client.IncompleteRead) as short:
        get(uri)
    assert (short.value.partial, short.value.expected) == (b"0123", 6)


def test_a_reset_ends_the_body_where_it_is_truncated(pool: FakeUserPool) -> None:
    server = pool.serve()
    server.answers(Answer(body=b"0123456789", truncate=4, reset=True))
    with server as uri, pytest.raises(ConnectionResetError):
        get(uri)


def test_a_reset_without_a_place_comes_before_the_first_byte(pool: FakeUserPool) -> None:
    server = pool.serve()
    server.answers(Answer(reset=True))
    with server as uri, pytest.raises(ConnectionResetError):
        get(uri)


def test_waiting_for_requests_that_do_not_come_ends(pool: FakeUserPool) -> None:
    server = pool.serve()
    with server, pytest.raises(TimeoutError, match=r"expected 1 requests within 0\.01 s, found 0"):
        server.wait_for_requests(1, timeout=0.01)


def test_a_client_that_leaves_early_does_no_harm(pool: FakeUserPool) -> None:
    server = pool.serve()
    server.answers(Answer(body=b"x" * 10_485_760), Answer())
    with server as uri:
        asked(uri).close()
        server.wait_for_requests(1)
        address = urlsplit(uri)
        with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert get(uri)[0] == 200


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(stall="head"), id="stalled"),
        pytest.param(Answer(stall="body"), id="stalled-body"),
        pytest.param(Answer(delay=60), id="delayed"),
        pytest.param(Answer(drip="head", drip_seconds=60), id="dripping"),
        pytest.param(Answer(body=b"x" * 10_485_760), id="unread"),
        pytest.param(Answer(), id="kept-alive"),
    ],
)
def test_leaving_the_context_ends_every_conversation(pool: FakeUserPool, answer: Answer) -> None:
    server, before = pool.serve(), threading.active_count()
    server.answers(answer)
    with server as uri:
        connections = [asked(uri) for _ in range(3)]
        server.wait_for_requests(3)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    assert threading.active_count() == before
    for connection in connections:
        connection.close()
    gc.collect()  # a socket that was left open would warn now
    address = urlsplit(uri)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname or "", address.port or 0))


def test_a_server_comes_back_on_its_port(pool: FakeUserPool) -> None:
    with pool.serve() as uri:
        port = urlsplit(uri).port or 0
    server = pool.serve(port=port)
    for count in (1, 2):
        with server as same_uri:
            assert same_uri == uri
            assert get(uri)[0] == 200
        assert server.requests == count
    assert isinstance(server, JwksServer)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_leaves_a_verifier_without_keys_unable_to_tell(pool: FakeUserPool, fault: Fault) -> None:
    def verifier(cache: JwksCache) -> CognitoVerifier[AccessToken]:
        return CognitoVerifier(
            "us-east-1_TestPool1",
            client_id="test-client",
            token_use="access",
            jwks_uri=uri,
            jwks_cache=cache,
            clock=pool.clock,
        )

    server = pool.serve(fault, Answer())
    with server as uri:
        with pytest.raises(KeysUnavailableError):
            verifier(JwksCache(deadline=0.2, retries=0)).verify(pool.access_token())
        assert verifier(JwksCache()).verify(pool.access_token("ada")).username == "ada"  # the next answer is well
    assert server.requests == 2


def test_a_fault_that_does_not_exist_is_refused_with_those_that_do(pool: FakeUserPool) -> None:
    with pytest.raises(ConfigurationError, match=r"expected an Answer or one of down, silent, .*, found 'slow'"):
        pool.serve("slow")  # type: ignore[arg-type]
