"""The kit's bad tokens: each ends in the one error that it is named after, and a twin one step away passes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, Literal, get_args

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cognito_verify import errors
from cognito_verify.errors import CognitoVerifyError, ConfigurationError, TokenError
from cognito_verify.testing import TROUBLES, Clock, FakeUserPool, Trouble
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier

NOW = 1_800_000_000

Use = Literal["access", "id"]
both_uses = pytest.mark.parametrize("use", ["access", "id"])
ERRORS = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, CognitoVerifyError)]
CLASSES = {error.code: error for error in ERRORS}


@pytest.fixture
def pool() -> FakeUserPool:
    return FakeUserPool(clock=Clock(NOW))


def verifier_for(pool: FakeUserPool, use: Use, **options: Any) -> CognitoVerifier[AccessToken | IdToken]:
    return pool.verifier("access", **options) if use == "access" else pool.verifier("id", **options)


def claims(raw: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(payload(raw))
    return said


def payload(raw: str) -> bytes:
    return decoded(raw.split(".")[1])


def decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def published(pool: FakeUserPool) -> dict[str, RSAPublicKey]:
    return {
        key["kid"]: RSAPublicNumbers(*(int.from_bytes(decoded(key[name])) for name in ("e", "n"))).public_key()
        for key in pool.jwks["keys"]
    }


def signed_digests(pool: FakeUserPool, raw: str) -> dict[str, bytes]:
    """By published key, the SHA-256 digest that the signature is one of; without those keys that did not sign."""
    digests = {}
    for kid, key in published(pool).items():
        try:
            digests[kid] = key.recover_data_from_signature(decoded(raw.rpartition(".")[2]), PKCS1v15(), SHA256())
        except InvalidSignature:
            continue
    return digests


def digest(raw: str) -> bytes:
    return hashlib.sha256(raw.rpartition(".")[0].encode()).digest()


@both_uses
@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_ends_in_its_own_error(pool: FakeUserPool, trouble: Trouble, use: Use) -> None:
    with pytest.raises(TokenError) as refusal:
        verifier_for(pool, use).verify(pool.trouble(trouble, use))
    assert type(refusal.value) is CLASSES[TROUBLES[trouble]]
    verifier_for(pool, use).verify(pool.access_token() if use == "access" else pool.id_token())


@both_uses
def test_a_claim_mends_what_a_claim_has_broken(pool: FakeUserPool, use: Use) -> None:
    verifier = verifier_for(pool, use)
    verifier.verify(pool.expired(use, exp=NOW + 1))
    verifier.verify(pool.not_yet_valid(use, nbf=NOW))
    verifier.verify(pool.wrong_client(use, client_id="test-client"))


@both_uses
@pytest.mark.parametrize("trouble", ["tampered", "unknown_key", "none_algorithm", "unsigned", "key_confusion"])
def test_the_claims_of_a_forged_token_pass_under_a_good_signature(
    pool: FakeUserPool, trouble: Trouble, use: Use
) -> None:
    forged = pool.trouble(trouble, use, username="mallory", groups="admin")
    token = verifier_for(pool, use).verify(pool.sign(pool.header(use), payload(forged)))
    assert (token.username, token.groups) == ("mallory", ("admin",))


@both_uses
def test_a_forged_token_is_signed_by_whom_it_says(pool: FakeUserPool, use: Use) -> None:
    kid = pool.header(use)["kid"]
    tampered, none, unknown = pool.tampered(use), pool.none_algorithm(use), pool.unknown_key(use)
    assert signed_digests(pool, none) == {kid: digest(none)}  # the algorithm's name alone is wrong
    assert signed_digests(pool, tampered).keys() == {kid}  # a signature of the pool,
    assert signed_digests(pool, tampered)[kid] != digest(tampered)  # of other claims
    assert signed_digests(pool, unknown) == {}
    assert len(decoded(unknown.rpartition(".")[2])) == 256


@both_uses
def test_key_confusion_takes_the_public_key_for_the_secret(pool: FakeUserPool, use: Use) -> None:
    raw = pool.key_confusion(use)
    public = published(pool)[pool.header(use)["kid"]].public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signing_input, _, signature = raw.rpartition(".")
    assert decoded(signature) == hmac.digest(public, signing_input.encode(), "sha256")


@both_uses
@pytest.mark.parametrize("own", ["us-east-1_TestPool1", "us-east-1_OtherPool1", "eu-west-1_TestPool1"])
def test_the_other_pools_token_is_good_over_there(own: str, use: Use) -> None:
    pool = FakeUserPool(own, client_id="c1", clock=Clock(NOW))
    raw = pool.other_pool(use, username="ada")
    other = FakeUserPool(claims(raw)["iss"].rpartition("/")[2], client_id="c1", clock=pool.clock)
    assert other.user_pool_id != own
    assert other.user_pool_id.partition("_")[0] == own.partition("_")[0]
    assert verifier_for(other, use).verify(raw).username == "ada"


@both_uses
@pytest.mark.parametrize(
    "make",
    [
        FakeUserPool.expired,
        FakeUserPool.not_yet_valid,
        FakeUserPool.wrong_client,
        FakeUserPool.other_pool,
        FakeUserPool.tampered,
        FakeUserPool.unknown_key,
        FakeUserPool.none_algorithm,
        FakeUserPool.unsigned,
        FakeUserPool.key_confusion,
    ],
)
def test_each_takes_the_claims_of_a_good_token(pool: FakeUserPool, make: Callable[..., str], use: Use) -> None:
    said = claims(make(pool, use, username="ada", groups=["a", "b"], omit="jti", **{"custom:tenant": "t1"}))
    assert said["token_use"] == use
    assert said["username" if use == "access" else "cognito:username"] == "ada"
    assert (said["cognito:groups"], said["custom:tenant"], "jti" in said) == (["a", "b"], "t1", False)


@both_uses
def test_half_an_hour_of_leeway_saves_neither_the_expired_nor_the_early(pool: FakeUserPool, use: Use) -> None:
    verifier = verifier_for(pool, use, leeway=1_800)
    for raw, code in ((pool.expired(use), "token_expired"), (pool.not_yet_valid(use), "token_not_yet_valid")):
        with pytest.raises(TokenError) as refusal:
            verifier.verify(raw)
        assert refusal.value.code == code
    verifier.verify(pool.access_token(expires_in=-1) if use == "access" else pool.id_token(expires_in=-1))


def test_an_expired_token_was_good_when_it_was_issued(pool: FakeUserPool) -> None:
    raw = pool.expired()
    assert claims(raw)["auth_time"] <= claims(raw)["iat"]
    clock = Clock(claims(raw)["iat"])
    verifier = pool.verifier(clock=clock)
    verifier.verify(raw)
    clock.tick(3_600)
    with pytest.raises(TokenError, match="expired"):
        verifier.verify(raw)


def test_an_unsigned_token_is_what_other_libraries_take_for_good(pool: FakeUserPool) -> None:
    header, _, signature = pool.unsigned().split(".")
    assert (json.loads(base64.urlsafe_b64decode(header + "=="))["alg"], signature) == ("none", "")


def test_a_refresh_token_has_five_parts_and_is_called_by_its_name(pool: FakeUserPool) -> None:
    raw = pool.refresh_token()
    assert raw.count(".") == 4
    assert raw != pool.refresh_token()
    with pytest.raises(TokenError, match="refresh token"):
        pool.verifier().verify(raw)


def test_every_trouble_is_a_method_and_is_documented_with_its_code() -> None:
    assert set(TROUBLES) == set(get_args(Trouble))
    for trouble, code in TROUBLES.items():
        assert f"`{code}`" in (getattr(FakeUserPool, trouble).__doc__ or "").split("\n")[0]


def test_an_unknown_name_is_refused_with_those_that_there_are(pool: FakeUserPool) -> None:
    with pytest.raises(ConfigurationError, match=r"expected one of expired, .*, found 'jwks'"):
        pool.trouble("jwks")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="token_use: expected 'access' or 'id', found 'refresh'"):
        pool.expired("refresh")  # type: ignore[arg-type]
