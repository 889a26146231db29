"""Verified tokens: what they say, that nothing changes them, and what becomes of them in pickles, copies and JSON."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from cognito_verify.testing import FakeUserPool
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier

NOW = 1_800_000_000
ORIGINAL = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_TestPool1"


@pytest.fixture
def pool() -> FakeUserPool:
    return FakeUserPool(clock=lambda: NOW)


def access_token(pool: FakeUserPool, **claims: Any) -> AccessToken:
    return pool.verifier().verify(pool.access_token(**claims))


def id_token(pool: FakeUserPool, **claims: Any) -> IdToken:
    return pool.verifier("id").verify(pool.id_token(**claims))


def either(pool: FakeUserPool, token_use: str, **claims: Any) -> AccessToken | IdToken:
    return access_token(pool, **claims) if token_use == "access" else id_token(pool, **claims)


RICH: dict[str, Any] = {
    "groups": ["admin", "staff"],
    "amr": ["pwd", "mfa"],
    "identities": [{"providerName": "Idp", "ids": ["1"]}],
    "cognito:roles": ["arn:aws:iam::1:role/a"],
    "custom:tags": ["x"],
    "custom:limits": {"day": [1]},
}


# What they say


def test_an_access_token_says_what_its_claims_say(pool: FakeUserPool) -> None:
    token = access_token(
        pool, username="ada", groups=["b", "a"], scopes=["orders/read", "openid"], jti="j", origin_jti="o", acr="1"
    )
    assert type(token) is AccessToken
    assert token.sub == token["sub"]
    assert token.username == "ada"
    assert token.client_id == "test-client"
    assert token.token_use == "access"
    assert token.issuer == ORIGINAL
    assert token.user_pool_id == "us-east-1_TestPool1"
    assert token.groups == ("b", "a")
    assert token.scopes == frozenset({"orders/read", "openid"})
    assert token.issued_at == token.auth_time == datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
    assert token.expires_at == datetime(2027, 1, 15, 9, 0, tzinfo=UTC)
    assert (token.jti, token.origin_jti, token.acr) == ("j", "o", "1")
    assert token.header == pool.header()
    assert token.claims == dict(token)
    assert not token.is_machine


def test_an_id_token_says_what_its_claims_say(pool: FakeUserPool) -> None:
    token = id_token(
        pool, username="ada", email="ada@example.com", phone_number="+15550100", name="Ada", nonce="n", **RICH
    )
    assert type(token) is IdToken
    assert token.username == "ada"
    assert token.client_id == "test-client"
    assert token.token_use == "id"
    assert token.groups == ("admin", "staff")
    assert token.amr == ("pwd", "mfa")
    assert (token.email, token.email_verified, token.phone_number, token.name) == (
        "ada@example.com",
        True,
        "+15550100",
        "Ada",
    )
    assert token.roles == ("arn:aws:iam::1:role/a",)
    assert token.identities == ({"providerName": "Idp", "ids": ["1"]},)
    assert token.custom == {"tags": ["x"], "limits": {"day": [1]}}
    assert token.header == pool.header("id")


def test_a_machines_token_has_no_username(pool: FakeUserPool) -> None:
    token = pool.verifier().verify(pool.machine_token(scopes="jobs/run"))
    assert token.is_machine
    assert token.username is None
    assert token.auth_time == token.issued_at
    assert (token.sub, token.client_id, token.scopes) == ("test-client", "test-client", frozenset({"jobs/run"}))


@pytest.mark.parametrize("token_use", ["access", "id"])
def test_what_a_token_does_not_say_is_none_or_empty(pool: FakeUserPool, token_use: str) -> None:
    token = either(pool, token_use, omit=["sub", "jti", "origin_jti", "iat", "auth_time", "username", "scope"])
    for absent in (token.sub, token.jti, token.origin_jti, token.issued_at, token.auth_time, token.acr):
        assert absent is None
    assert token.amr == token.groups == ()


def test_what_an_id_token_does_not_say_is_none_or_empty(pool: FakeUserPool) -> None:
    token = id_token(pool, omit="cognito:username")
    for absent in (token.username, token.email, token.email_verified, token.phone_number, token.name):
        assert absent is None
    assert (token.roles, token.identities) == ((), ())
    assert token.custom == {}


def test_the_username_is_that_of_the_tokens_own_kind(pool: FakeUserPool) -> None:
    assert access_token(pool, username="a", **{"cognito:username": "b"}).username == "a"
    assert id_token(pool, **{"cognito:username": "b"}).username == "b"
    assert id_token(pool, omit="cognito:username", preferred_username="x").username is None


@pytest.mark.parametrize(
    ("claims", "attribute"),
    [
        pytest.param({"acr": 1}, "acr", id="acr"),
        pytest.param({"amr": "mfa"}, "amr", id="amr-string"),
        pytest.param({"amr": ["mfa", 1]}, "amr", id="amr-mixed"),
        pytest.param({"amr": None}, "amr", id="amr-null"),
        pytest.param({"email": ["a@example.com"]}, "email", id="email"),
        pytest.param({"phone_number": 15550100}, "phone_number", id="phone_number"),
        pytest.param({"name": {"first": "Ada"}}, "name", id="name"),
        pytest.param({"cognito:roles": "arn"}, "roles", id="roles-string"),
        pytest.param({"cognito:roles": [1]}, "roles", id="roles-mixed"),
        pytest.param({"identities": "[]"}, "identities", id="identities-string"),
        pytest.param({"identities": [{}, "x"]}, "identities", id="identities-mixed"),
        pytest.param({"identities": None}, "identities", id="identities-null"),
        *(
            pytest.param({"email_verified": value}, "email_verified", id=f"email_verified-{value!r}")
            for value in (1, 0, "True", "TRUE", "yes", "1", " true", [True], {"true": True}, None)
        ),
    ],
)
def test_an_attribute_whose_claim_has_a_wrong_type_is_none(
    pool: FakeUserPool, claims: dict[str, Any], attribute: str
) -> None:
    assert getattr(id_token(pool, **claims), attribute) is None


@pytest.mark.parametrize(("value", "verified"), [(True, True), ("true", True), (False, False), ("false", False)])
def test_an_email_is_verified_where_the_token_says_true(pool: FakeUserPool, value: bool | str, verified: bool) -> None:
    assert id_token(pool, email="a@example.com", email_verified=value).email_verified is verified


@pytest.mark.parametrize(
    ("claims", "resource"),
    [
        pytest.param({}, None, id="no-aud"),
        pytest.param({"aud": "https://api"}, "https://api", id="string"),
        pytest.param({"aud": ["https://api"]}, "https://api", id="list-of-one"),
        pytest.param({"aud": ["https://api", "https://other"]}, None, id="list-of-two"),
        pytest.param({"aud": []}, None, id="empty-list"),
        pytest.param({"aud": [5]}, None, id="list-of-a-number"),
        pytest.param({"aud": [["https://api"]]}, None, id="list-of-a-list"),
        pytest.param({"aud": {"https://api": 1}}, None, id="object"),
        pytest.param({"aud": None}, None, id="null"),
    ],
)
def test_without_a_resource_in_the_pool_a_single_aud_is_it(
    pool: FakeUserPool, claims: dict[str, Any], resource: str | None
) -> None:
    assert access_token(pool, **claims).resource == resource


# Mappings


def test_a_token_is_a_mapping_of_its_claims(pool: FakeUserPool) -> None:
    token = access_token(pool, username="ada", **{"custom:tenant": "t1"})
    assert isinstance(token, Mapping)
    assert token["custom:tenant"] == token.get("custom:tenant") == "t1"
    assert token.get("nothing") is None
    assert token.get("nothing", 5) == 5
    assert "sub" in token
    assert "nothing" not in token
    assert len(token) == len(list(token)) == len(token.claims)
    assert list(token) == list(token.keys()) == list(token.claims)
    assert dict(token) == dict(token.items()) == token.claims
    with pytest.raises(KeyError):
        token["nothing"]
    match token:
        case {"username": username}:
            assert username == "ada"
        case _:
            pytest.fail("a token matches as a mapping")


@pytest.mark.parametrize("token_use", ["access", "id"])
def test_a_token_goes_through_json_as_a_dict(pool: FakeUserPool, token_use: str) -> None:
    token = either(pool, token_use, **RICH)
    assert json.loads(json.dumps(dict(token))) == token.claims


# Nothing changes them


@pytest.mark.parametrize("token_use", ["access", "id"])
@pytest.mark.parametrize("name", ["sub", "raw", "claims", "scopes", "custom", "_verified", "new"])
def test_a_token_takes_no_assignment(pool: FakeUserPool, token_use: str, name: str) -> None:
    token = either(pool, token_use)
    with pytest.raises(AttributeError):
        setattr(token, name, {})
    with pytest.raises(AttributeError):
        delattr(token, name)
    assert not hasattr(token, "__dict__")
    assert not hasattr(token, "__setitem__")


CHANGES: list[tuple[str, Callable[[Any], object]]] = [
    ("claims", lambda token: token.claims.update(sub="eve")),
    ("claims-inside", lambda token: token.claims["cognito:groups"].append("root")),
    ("header", lambda token: token.header.update(kid="eve")),
    ("item-list", lambda token: token["cognito:groups"].append("root")),
    ("item-dict", lambda token: token["custom:limits"]["day"].append(2)),
    ("get", lambda token: token.get("custom:tags").append("y")),
    ("values", lambda token: [value.clear() for value in token.values() if isinstance(value, (list, dict))]),
    ("items", lambda token: [value.clear() for _, value in token.items() if isinstance(value, (list, dict))]),
    ("dict", lambda token: dict(token)["custom:limits"]["day"].clear()),
    ("unpacked", lambda token: {**token}["custom:tags"].clear()),
    ("identities", lambda token: token.identities[0].clear()),
    ("identities-inside", lambda token: token.identities[0]["ids"].append("2")),
    ("custom", lambda token: token.custom["limits"]["day"].append(2)),
    ("copy", lambda token: copy.copy(token).claims.clear()),
    ("pickled", lambda token: pickle.loads(pickle.dumps(token))["custom:tags"].clear()),  # noqa: S301 - our own
]


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in CHANGES])
def test_nothing_that_a_caller_gets_changes_a_remembered_token(
    pool: FakeUserPool, change: Callable[[IdToken], object]
) -> None:
    seen_before: list[bool] = []
    verifier: CognitoVerifier[IdToken] = pool.verifier(
        "id", observer=lambda event: seen_before.append(getattr(event, "seen_before", False))
    )
    raw = pool.id_token(**RICH)
    token = verifier.verify(raw)
    before = json.dumps([dict(token), token.header])
    change(token)
    again = verifier.verify(raw, groups="admin")
    assert seen_before == [False, True]
    assert json.dumps([dict(again), again.header]) == json.dumps([dict(token), token.header]) == before


def test_a_header_that_tokens_share_is_nobodys_to_change(pool: FakeUserPool) -> None:
    verifier = pool.verifier()
    first = verifier.verify(pool.access_token(username="ada"))
    first.header["kid"] = "changed"
    assert verifier.verify(pool.access_token(username="bob")).header == pool.header()


# Copies, pickles, text


@pytest.mark.parametrize("token_use", ["access", "id"])
def test_a_copy_of_a_token_is_the_token(pool: FakeUserPool, token_use: str) -> None:
    token = either(pool, token_use, **RICH)
    assert copy.copy(token) is token
    assert copy.deepcopy(token) is token
    assert copy.deepcopy([token])[0].raw == token.raw


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("token_use", ["access", "id"])
def test_a_token_pickles_without_its_raw_form(pool: FakeUserPool, token_use: str, protocol: int) -> None:
    token = either(pool, token_use, **RICH)
    pickled = pickle.dumps(token, protocol)
    again = pickle.loads(pickled)  # noqa: S301 - our own
    assert type(again) is type(token)
    assert again == token
    assert (again.client_id, again.user_pool_id, again.header) == (token.client_id, token.user_pool_id, token.header)
    assert str(again) == str(token)
    assert not hasattr(again, "raw")
    with pytest.raises(AttributeError, match="comes from a pickle"):
        _ = again.raw
    assert token.raw.encode() not in pickled
    assert pickle.dumps(again, protocol) == pickle.dumps(pickle.loads(pickle.dumps(again, protocol)), protocol)  # noqa: S301


def test_the_raw_token_is_there_for_forwarding(pool: FakeUserPool) -> None:
    raw = pool.access_token()
    verifier = pool.verifier()
    assert verifier.verify(raw).raw == verifier.verify(raw).raw == raw


def test_a_tokens_text_names_its_user_and_its_end(pool: FakeUserPool) -> None:
    token = access_token(pool, sub="s\n1")
    assert repr(token) == str(token) == f"{token}"
    assert repr(token) == "AccessToken(sub='s\\n1', client_id='test-client', expires_at=2027-01-15 09:00:00+00:00)"
    assert repr(id_token(pool)).startswith("IdToken(sub=")
