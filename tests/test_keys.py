"""Which JWKs become keys, and which signatures these let through: real keys, made by `cryptography` alone."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from cognito_verify.errors import (
    CognitoVerifyError,
    ConfigurationError,
    InvalidSignatureError,
    MalformedTokenError,
    UnknownKeyError,
    UnsupportedAlgorithmError,
)
from cognito_verify.jws import parse_compact
from cognito_verify.keys import COGNITO_ALGORITHMS, KeySet, check_algorithm, rsa_backend, verify_compact

RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
CURVES: dict[str, tuple[ec.EllipticCurve, str, int]] = {
    "ES256": (ec.SECP256R1(), "P-256", 32),
    "ES384": (ec.SECP384R1(), "P-384", 48),
    "ES512": (ec.SECP521R1(), "P-521", 66),
}
ALGORITHMS = (*RSA_ALGORITHMS, *CURVES)
HASHES: dict[str, hashes.HashAlgorithm] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}

Jwk = dict[str, Any]
ALPHABET = "aA0-_= \n\0\ud800"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    """A Base64urlUInt: as many octets as it takes, and no more."""
    return encoded(value.to_bytes(max(1, (value.bit_length() + 7) // 8)))


@cache
def rsa_key(name: str = "one", exponent: int = 65_537) -> rsa.RSAPrivateKey:
    assert name
    return rsa.generate_private_key(public_exponent=exponent, key_size=2_048)


@cache
def ec_key(algorithm: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(CURVES[algorithm][0])


def rsa_jwk(name: str = "one", /, **members: Any) -> Jwk:
    """The public JWK of that name; members may be replaced, or left out by the value `...`."""
    numbers = rsa_key(name).public_key().public_numbers()
    jwk = {"kty": "RSA", "kid": name, "n": number(numbers.n), "e": number(numbers.e), "use": "sig", "alg": "RS256"}
    return {member: value for member, value in {**jwk, **members}.items() if value is not ...}


def ec_jwk(algorithm: str, /, **members: Any) -> Jwk:
    numbers, (_, curve, size) = ec_key(algorithm).public_key().public_numbers(), CURVES[algorithm]
    x, y = (encoded(coordinate.to_bytes(size)) for coordinate in (numbers.x, numbers.y))
    jwk = {"kty": "EC", "kid": "curve", "crv": curve, "x": x, "y": y, "use": "sig", "alg": algorithm}
    return {member: value for member, value in {**jwk, **members}.items() if value is not ...}


def key_set(*jwks: object, algorithms: Iterable[str] = ALGORITHMS) -> KeySet:
    return KeySet.from_jwks({"keys": list(jwks)}, tuple(algorithms))


def signing_input(header: Mapping[str, Any], payload: bytes = b'{"sub":"ada"}') -> str:
    return f"{encoded(json.dumps(header).encode())}.{encoded(payload)}"


def signature_by(algorithm: str, text: str, kid: str = "one") -> bytes:
    """What a signer of that algorithm makes, in the form of RFC 7518 section 3."""
    digest = HASHES[algorithm[2:]]
    if algorithm in RSA_ALGORITHMS:
        return rsa_key(kid).sign(text.encode(), padding.PKCS1v15(), digest)
    r, s = decode_dss_signature(ec_key(algorithm).sign(text.encode(), ec.ECDSA(digest)))
    size = CURVES[algorithm][2]
    return r.to_bytes(size) + s.to_bytes(size)


def signed(algorithm: str, *, payload: bytes = b'{"sub":"ada"}', by: str | None = None, **header: Any) -> str:
    """A token that says `algorithm`, signed by it or by another one."""
    kid = "one" if algorithm in RSA_ALGORITHMS else "curve"
    text = signing_input({"kid": kid, "alg": algorithm, **header}, payload)
    return f"{text}.{encoded(signature_by(by or algorithm, text))}"


def jwk_for(algorithm: str) -> Jwk:
    return rsa_jwk(alg=algorithm) if algorithm in RSA_ALGORITHMS else ec_jwk(algorithm)


def refused(error: type[CognitoVerifyError], raw: str, keys: KeySet) -> str:
    """The message with which the token is refused."""
    with pytest.raises(error) as refusal:
        verify_compact(raw, keys)
    assert type(refusal.value) is error
    assert (raw.rpartition(".")[2] or raw) not in str(refusal.value)
    return str(refusal.value)


# RSA keys that are admitted and that are not


def test_a_cognito_key_is_admitted() -> None:
    keys = KeySet.from_jwks({"keys": [rsa_jwk()]})
    assert list(keys) == ["one"]
    assert keys.algorithms == frozenset(COGNITO_ALGORITHMS) == {"RS256"}


N = rsa_jwk()["n"]
N_OCTETS = base64.urlsafe_b64decode(N + "==")

RSA_NOT_ADMITTED = [
    pytest.param({"n": N + "\n"}, id="n-line-break-last"),
    pytest.param({"n": N[:100] + "\n" + N[100:]}, id="n-line-break-inside"),
    pytest.param({"n": N[:100] + "\r\n" + N[100:]}, id="n-carriage-return-inside"),
    pytest.param({"n": " " + N}, id="n-space-first"),
    pytest.param({"n": N + " "}, id="n-space-last"),
    pytest.param({"n": N[:100] + "\t" + N[100:]}, id="n-tab-inside"),
    pytest.param({"n": N + "=="}, id="n-padded"),
    pytest.param({"n": N + "="}, id="n-half-padded"),
    pytest.param({"n": base64.b64encode(N_OCTETS).decode()}, id="n-base64"),
    pytest.param({"n": N + "A"}, id="n-impossible-length"),
    pytest.param({"n": N[:-1] + chr(ord("A") + ((ord(N[-1]) - ord("A")) | 1))}, id="n-stray-bits"),
    pytest.param({"n": encoded(b"\0" + N_OCTETS)}, id="n-leading-zero"),
    pytest.param({"n": "\ufeff" + N}, id="n-byte-order-mark"),
    pytest.param({"n": N[:-1] + "\N{LATIN SMALL LETTER E WITH ACUTE}"}, id="n-not-ascii"),
    pytest.param({"n": "\ud800"}, id="n-surrogate"),
    pytest.param({"n": ""}, id="n-empty"),
    pytest.param({"n": "AA"}, id="n-zero"),
    pytest.param({"n": "AQ"}, id="n-one"),
    pytest.param({"n": ...}, id="n-absent"),
    pytest.param({"n": None}, id="n-null"),
    pytest.param({"n": int.from_bytes(N_OCTETS)}, id="n-number"),
    pytest.param({"n": N.encode()}, id="n-bytes"),
    pytest.param({"n": [N]}, id="n-list"),
    pytest.param({"n": number(int.from_bytes(N_OCTETS) - 1)}, id="n-even"),
    pytest.param({"n": number(2**63 + 1)}, id="n-64-bits"),
    pytest.param({"n": number(2**1023 + 1)}, id="n-1024-bits"),
    pytest.param({"n": number(2**2047 - 1)}, id="n-2047-bits"),
    pytest.param({"n": number(2**8192 + 1)}, id="n-8193-bits"),
    pytest.param({"n": number(2**500_000 + 1)}, id="n-half-a-megabit"),
    pytest.param({"e": number(1)}, id="e-1"),
    pytest.param({"e": number(0)}, id="e-0"),
    pytest.param({"e": number(2)}, id="e-2"),
    pytest.param({"e": number(65_536)}, id="e-even"),
    pytest.param({"e": number(2**32)}, id="e-2^32"),
    pytest.param({"e": number(2**32 + 1)}, id="e-beyond-2^32"),
    pytest.param({"e": number(2**2048 - 1)}, id="e-as-long-as-n"),
    pytest.param({"e": "AQAB\n"}, id="e-line-break"),
    pytest.param({"e": "AQAB===="}, id="e-padded"),
    pytest.param({"e": "AAEAAQ"}, id="e-leading-zero"),
    pytest.param({"e": ""}, id="e-empty"),
    pytest.param({"e": ...}, id="e-absent"),
    pytest.param({"e": 65_537}, id="e-number"),
    *[pytest.param({member: "AQAB"}, id=f"private-{member}") for member in ("d", "p", "q", "dp", "dq", "qi", "k")],
    pytest.param({"oth": []}, id="private-oth"),
    pytest.param({"d": None}, id="private-d-null"),
    pytest.param({"d": ""}, id="private-d-empty"),
    pytest.param({"use": "enc"}, id="use-enc"),
    pytest.param({"use": "SIG"}, id="use-upper-case"),
    pytest.param({"use": ""}, id="use-empty"),
    pytest.param({"use": None}, id="use-null"),
    pytest.param({"use": ["sig"]}, id="use-list"),
    pytest.param({"key_ops": ["sign"]}, id="key-ops-sign"),
    pytest.param({"key_ops": []}, id="key-ops-empty"),
    pytest.param({"key_ops": None}, id="key-ops-null"),
    pytest.param({"key_ops": "verify"}, id="key-ops-string"),
    pytest.param({"key_ops": {"verify": True}}, id="key-ops-object"),
    pytest.param({"alg": "RS257"}, id="alg-unknown"),
    pytest.param({"alg": "rs256"}, id="alg-lower-case"),
    pytest.param({"alg": "HS256"}, id="alg-hs256"),
    pytest.param({"alg": "PS256"}, id="alg-ps256"),
    pytest.param({"alg": "RSA-OAEP"}, id="alg-encryption"),
    pytest.param({"alg": "none"}, id="alg-none"),
    pytest.param({"alg": "ES256"}, id="alg-of-a-curve"),
    pytest.param({"alg": ""}, id="alg-empty"),
    pytest.param({"alg": None}, id="alg-null"),
    pytest.param({"alg": ["RS256"]}, id="alg-list"),
    pytest.param({"kty": "rsa"}, id="kty-lower-case"),
    pytest.param({"kty": "oct", "k": N}, id="kty-oct"),
    pytest.param({"kty": "oct"}, id="kty-oct-without-key"),
    pytest.param({"kty": "OKP", "crv": "Ed25519", "x": "AA"}, id="kty-okp"),
    pytest.param({"kty": "EC"}, id="kty-ec"),
    pytest.param({"kty": "EC", "crv": ""}, id="kty-ec-of-no-curve"),
    pytest.param({"kty": ...}, id="kty-absent"),
    pytest.param({"kty": ["RSA"]}, id="kty-list"),
    pytest.param({"kid": ...}, id="kid-absent"),
    pytest.param({"kid": ""}, id="kid-empty"),
    pytest.param({"kid": 7}, id="kid-number"),
    pytest.param({"kid": None}, id="kid-null"),
    pytest.param({"kid": ["one"]}, id="kid-list"),
]  # fmt: skip


@pytest.mark.parametrize("members", RSA_NOT_ADMITTED)
def test_a_senseless_or_dangerous_rsa_key_is_as_if_it_were_not_there(members: Jwk) -> None:
    assert dict(key_set(rsa_jwk(**members))) == {}
    assert list(key_set(rsa_jwk(**members), rsa_jwk("other"))) == ["other"]
    assert list(key_set(rsa_jwk())) == ["one"]


def test_the_refused_spelling_with_stray_bits_differs_in_these_alone() -> None:
    (stray,) = (case.values[0] for case in RSA_NOT_ADMITTED if case.id == "n-stray-bits")
    assert isinstance(stray, dict)
    assert stray["n"] != N
    assert base64.urlsafe_b64decode(stray["n"] + "==") == N_OCTETS


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"n": number(2**2047 + 1)}, id="n-2048-bits"),
        pytest.param({"n": number(2**2049 + 1)}, id="n-2050-bits"),
        pytest.param({"n": number(2**8192 - 1)}, id="n-8192-bits"),
        pytest.param({"e": number(3)}, id="e-3"),
        pytest.param({"e": number(2**32 - 1)}, id="e-largest"),
        pytest.param({"use": ...}, id="use-absent"),
        pytest.param({"alg": ...}, id="alg-absent"),
        pytest.param({"key_ops": ["verify"]}, id="key-ops-verify"),
        pytest.param({"key_ops": ["sign", "verify"]}, id="key-ops-more"),
        pytest.param({"kid": "\N{BLACK STAR} /../ \n"}, id="kid-odd"),
        pytest.param({"x5c": ["AA"], "x5u": "https://evil.example", "x5t": "AA", "foo": {"d": 1}}, id="more-members"),
        pytest.param({"crv": "P-256", "x": "AA", "y": "AA"}, id="members-of-a-curve"),
    ],
)
def test_an_rsa_key_within_the_bounds_is_admitted(members: Jwk) -> None:
    assert len(KeySet.from_jwks({"keys": [rsa_jwk(**members)]})) == 1


def test_a_key_with_the_smallest_exponent_verifies() -> None:
    small = rsa_key("small", 3)
    numbers = small.public_key().public_numbers()
    keys = key_set(rsa_jwk(n=number(numbers.n), e=number(3)))
    text = signing_input({"kid": "one", "alg": "RS256"})
    good = small.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert verify_compact(f"{text}.{encoded(good)}", keys)[1] == b'{"sub":"ada"}'
    # A signature whose cube ends in the digest, which a verifier that does not check the padding would take.
    refused(InvalidSignatureError, f"{text}.{encoded((1).to_bytes(256))}", keys)


# The same for curves


@pytest.mark.parametrize("algorithm", CURVES)
def test_a_key_on_the_curve_of_its_algorithm_is_admitted(algorithm: str) -> None:
    assert list(key_set(ec_jwk(algorithm))) == ["curve"]
    assert list(key_set(ec_jwk(algorithm, alg=..., use=...))) == ["curve"]


@pytest.mark.parametrize("algorithm", CURVES)
@pytest.mark.parametrize("named", [*CURVES, "RS256", "HS256", "none", None, ["ES256"]], ids=str)
def test_a_curve_belongs_to_its_algorithm(algorithm: str, named: object) -> None:
    assert len(key_set(ec_jwk(algorithm, alg=named))) == (named == algorithm)


@pytest.mark.parametrize("algorithm", CURVES)
@pytest.mark.parametrize(
    "curve", ["P-256", "P-384", "P-521", "secp256k1", "Ed25519", "p-256", "", None, ["P-256"], ...], ids=str
)
def test_a_curve_is_not_renamed(algorithm: str, curve: object) -> None:
    assert len(key_set(ec_jwk(algorithm, crv=curve))) == (curve == CURVES[algorithm][1])
    assert len(key_set(ec_jwk(algorithm, crv=curve, alg=...))) == (curve == CURVES[algorithm][1])


def changed(value: str, change: Callable[[bytes], bytes]) -> str:
    return encoded(change(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))))


P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1  # the prime of P-256 (FIPS 186-4 appendix D.1.2.3)


@pytest.mark.parametrize("algorithm", CURVES)
@pytest.mark.parametrize("member", ["x", "y"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda value: changed(value, lambda octets: b"\0" + octets), id="one-octet-more"),
        pytest.param(lambda value: changed(value, lambda octets: octets + b"\0"), id="one-octet-more-behind"),
        pytest.param(lambda value: changed(value, lambda octets: octets[1:]), id="one-octet-less"),
        pytest.param(lambda value: changed(value, lambda octets: octets[:-1]), id="one-octet-less-behind"),
        pytest.param(
            lambda value: changed(value, lambda octets: octets[:-1] + bytes([octets[-1] ^ 1])), id="off-curve"
        ),
        pytest.param(lambda value: changed(value, lambda octets: bytes(len(octets))), id="zero"),
        pytest.param(lambda value: changed(value, lambda octets: b"\xff" * len(octets)), id="beyond-the-prime"),
        pytest.param(lambda value: value + "=", id="padded"),
        pytest.param(lambda value: value + "\n", id="line-break"),
        pytest.param(lambda value: " " + value, id="space"),
        pytest.param(lambda value: value.encode(), id="bytes"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: 7, id="number"),
        pytest.param(lambda _: None, id="null"),
        pytest.param(lambda _: ..., id="absent"),
    ],
)
def test_a_point_is_on_its_curve_and_as_long_as_the_curve_says(
    algorithm: str, member: str, change: Callable[[str], object]
) -> None:
    jwk = ec_jwk(algorithm)
    assert dict(key_set(ec_jwk(algorithm, **{member: change(jwk[member])}))) == {}
    assert list(key_set(jwk)) == ["curve"]


def test_the_point_at_infinity_is_no_key() -> None:
    assert dict(key_set(ec_jwk("ES256", x=encoded(bytes(32)), y=encoded(bytes(32))))) == {}


@pytest.mark.parametrize("x", [0, 5])
def test_a_coordinate_of_the_prime_or_beyond_is_no_second_spelling(x: int) -> None:
    # Both are on P-256: `x` and `x + p` both fit into 32 octets, and OpenSSL takes p for 0.
    square = (x**3 - 3 * x + 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B) % P256
    y = encoded(pow(square, (P256 + 1) // 4, P256).to_bytes(32))
    assert list(key_set(ec_jwk("ES256", x=encoded(x.to_bytes(32)), y=y))) == ["curve"]
    assert dict(key_set(ec_jwk("ES256", x=encoded((x + P256).to_bytes(32)), y=y))) == {}


@pytest.mark.parametrize(
    "members",
    [{"d": encoded(bytes(31) + b"\1")}, {"use": "enc"}, {"key_ops": ["deriveKey"]}, {"kty": "RSA"}, {"kty": "OKP"}],
    ids=str,
)
def test_a_senseless_or_dangerous_ec_key_is_as_if_it_were_not_there(members: Jwk) -> None:
    assert dict(key_set(ec_jwk("ES256", **members))) == {}
    assert list(key_set(ec_jwk("ES256"))) == ["curve"]


# Sets


@pytest.mark.parametrize(
    "form",
    [
        lambda jwks: jwks,
        MappingProxyType,
        json.dumps,
        lambda jwks: json.dumps(jwks).encode(),
        lambda jwks: f"\n {json.dumps(jwks)}\t",
        lambda jwks: {**jwks, "keys": tuple(map(MappingProxyType, jwks["keys"])), "more": 1},
    ],
    ids=["dict", "mapping", "text", "bytes", "white-space", "mappings"],
)
def test_a_jwks_comes_as_a_mapping_or_as_json(form: Callable[[Jwk], Any]) -> None:
    assert list(KeySet.from_jwks(form({"keys": [rsa_jwk("one"), rsa_jwk("two")]}))) == ["one", "two"]


@pytest.mark.parametrize(
    "jwks",
    [
        None, 7, [], [{"kty": "RSA"}], "", b"", "[]", "null", "{", "{}", b"\xff", "\ud800", {}, {"keys": None},
        {"keys": {}}, {"keys": "AQAB"}, {"Keys": []}, '{"keys": 7}', '{"keys": [], "keys": []}', '{"keys": [NaN]}',
        '\ufeff{"keys": []}', "[" * 100_000, bytearray(b'{"keys": []}'),
    ],
    ids=lambda value: ascii(value)[:30],
)  # fmt: skip
def test_what_is_no_jwks_is_a_wrong_configuration(jwks: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^jwks: expected ") as refusal:
        KeySet.from_jwks(jwks)
    assert type(refusal.value) is ConfigurationError
    assert dict(KeySet.from_jwks('{"keys": []}')) == {}


@pytest.mark.parametrize(
    "member", [None, 7, "AQAB", [], [rsa_jwk("inner")], {}, {"keys": [rsa_jwk("inner")]}], ids=type
)
def test_what_is_no_key_among_the_keys_is_passed_over(member: object) -> None:
    assert list(key_set(member, rsa_jwk(), member)) == ["one"]


@pytest.mark.parametrize(
    "algorithms",
    [
        None, "RS256", "", (), [], b"RS256", 7, True, ["HS256"], ["none"], ["RS256", "PS256"], ["rs256"], [["RS256"]],
        [None], [7], iter(["RS256"]), object(),
    ],
    ids=lambda value: ascii(value)[:20],
)  # fmt: skip
def test_senseless_algorithms_are_a_wrong_configuration(algorithms: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^algorithms: expected ") as refusal:
        KeySet.from_jwks({"keys": []}, algorithms)
    assert type(refusal.value) is ConfigurationError
    assert KeySet.from_jwks({"keys": []}, ["RS256"]).algorithms == {"RS256"}


@pytest.mark.parametrize(
    ("algorithms", "message"),
    [
        ("RS256", "algorithms: expected a collection of names, found 'RS256'"),
        (["PS256"], "algorithms: expected some of ES256, ES384, ES512, RS256, RS384, RS512, found ['PS256']"),
    ],
    ids=ascii,
)
def test_a_refusal_says_which_algorithms_there_are(algorithms: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        KeySet.from_jwks({"keys": []}, algorithms)
    assert str(refusal.value) == message


def test_a_refusal_says_what_a_jwks_is() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        KeySet.from_jwks({"keys": 7})
    assert str(refusal.value) == "jwks: expected an object with an array 'keys' (RFC 7517 section 5)"


def test_a_set_may_hold_more_members_than_a_token() -> None:
    others = [{"kty": "OKP", "kid": str(number)} for number in range(2_000)]
    assert list(KeySet.from_jwks(json.dumps({"keys": [*others, rsa_jwk()]}))) == ["one"]


def test_rsa_signatures_are_checked_by_cryptography() -> None:
    backend, openssl = rsa_backend()
    assert backend == "jose.backends.cryptography_backend"
    assert openssl.startswith("OpenSSL ")


def test_sets_are_the_same_where_kids_and_keys_are() -> None:
    keys = key_set(rsa_jwk("one"))
    assert keys.is_same(key_set(rsa_jwk("one")))
    assert not keys.is_same(key_set(rsa_jwk("two", kid="one")))
    assert not keys.is_same(key_set(rsa_jwk("one", kid="two")))
    assert not keys.is_same(key_set(rsa_jwk("one"), rsa_jwk("two")))


def test_a_key_for_several_algorithms_is_published_without_one() -> None:
    jwk = rsa_jwk()
    del jwk["alg"]
    assert "alg" not in key_set(jwk).jwks["keys"][0]
    assert key_set(jwk, algorithms=["RS256"]).jwks["keys"][0]["alg"] == "RS256"


def test_a_kid_with_two_different_keys_is_ambiguous_and_neither_is_used() -> None:
    first, second = rsa_jwk("one"), {**rsa_jwk("two"), "kid": "one"}
    for jwks in ([first, second], [second, first], [first, second, first], [first, first, second, rsa_jwk("three")]):
        keys = key_set(*jwks)
        assert "one" not in keys
        refused(UnknownKeyError, signed("RS256"), keys)
    assert verify_compact(signed("RS256"), key_set(first, rsa_jwk("two")))[0]["kid"] == "one"


def test_a_kid_with_keys_of_two_types_is_ambiguous() -> None:
    assert dict(key_set(rsa_jwk("one"), ec_jwk("ES256", kid="one"))) == {}


def test_a_kid_with_one_key_for_two_algorithms_is_ambiguous() -> None:
    assert dict(key_set(rsa_jwk(alg="RS256"), rsa_jwk(alg="RS512"))) == {}
    assert list(key_set(rsa_jwk(alg="RS256"), rsa_jwk(alg="RS512"), algorithms=["RS256"])) == ["one"]


@pytest.mark.parametrize("again", [{}, {"use": ...}, {"key_ops": ["verify"]}, {"x5t": "AA"}], ids=str)
def test_the_same_key_said_twice_is_one_key(again: Jwk) -> None:
    keys = key_set(rsa_jwk(), rsa_jwk(**again))
    assert verify_compact(signed("RS256"), keys)[0]["kid"] == "one"


def test_a_key_that_is_not_admitted_makes_no_kid_ambiguous() -> None:
    keys = key_set(
        {**rsa_jwk("two"), "kid": "one", "d": "AQAB"}, rsa_jwk(), {**rsa_jwk("two"), "kid": "one", "e": "AQ"}
    )
    assert verify_compact(signed("RS256"), keys)[0]["kid"] == "one"


def test_kids_that_differ_in_case_alone_are_two() -> None:
    assert list(key_set(rsa_jwk("one"), {**rsa_jwk("two"), "kid": "ONE"})) == ["one", "ONE"]


def test_a_key_set_is_a_read_only_mapping() -> None:
    source = {"keys": [rsa_jwk("one")]}
    keys = KeySet.from_jwks(source)
    source["keys"].clear()
    assert (len(keys), list(keys), "one" in keys, "two" in keys) == (1, ["one"], True, False)
    assert keys["one"] is keys.by_kid["one"]
    assert keys.get("two") is None
    assert repr(keys) == "KeySet(1 keys)"
    with pytest.raises(TypeError):
        keys["two"] = keys["one"]  # type: ignore[index]


@pytest.mark.parametrize("again", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_keys_and_key_sets_do_not_pickle(again: Callable[[object], object]) -> None:
    keys = key_set(rsa_jwk())
    with pytest.raises(TypeError, match=r"^[a-z ]+ do not pickle: build one per process$"):
        again(keys)
    with pytest.raises(TypeError, match=r"^keys do not pickle: build one KeySet per process$"):
        again(keys["one"])


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(ALPHABET, max_size=6)
    | st.sampled_from(["RSA", "EC", "P-256", "AQAB", N]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(ALPHABET, max_size=4), inner, max_size=3),
    max_leaves=4,
)
members = st.sampled_from(["kty", "kid", "n", "e", "crv", "x", "y", "use", "key_ops", "alg", "d"])


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.sampled_from([rsa_jwk(), ec_jwk("ES256")]), st.dictionaries(members, json_values, max_size=3))
def test_any_jwk_is_admitted_or_passed_over(jwk: Jwk, other: Jwk) -> None:
    keys = key_set({**jwk, **other}, rsa_jwk("beside"))
    assert "beside" in keys
    assert len(keys) <= 2


# Signatures


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_signature_gives_the_header_and_the_payload(algorithm: str) -> None:
    raw = signed(algorithm, typ="JWT")
    header, payload = verify_compact(raw, key_set(jwk_for(algorithm)))
    assert header == {"kid": "one" if algorithm in RSA_ALGORITHMS else "curve", "alg": algorithm, "typ": "JWT"}
    assert payload == b'{"sub":"ada"}'


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_set_for_one_algorithm_verifies_no_other(algorithm: str) -> None:
    for other in ALGORITHMS:
        keys = key_set(rsa_jwk(alg=...), *([ec_jwk(other)] if other in CURVES else []), algorithms=[other])
        if other == algorithm:
            assert verify_compact(signed(algorithm), keys)[1] == b'{"sub":"ada"}'
        else:
            message = refused(UnsupportedAlgorithmError, signed(algorithm), keys)
            assert message == f"alg: expected {other}, found {algorithm!r}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_for_one_algorithm_verifies_no_other_of_the_set(algorithm: str) -> None:
    keys = key_set(rsa_jwk(alg=algorithm), ec_jwk(algorithm) if algorithm in CURVES else ec_jwk("ES256"))
    for other in ALGORITHMS:
        kid = next(iter(keys))
        if other != algorithm and keys[kid].is_for(algorithm):
            assert not keys[kid].is_for(other)
            assert f"a key of the set for {other}, found" in refused(UnknownKeyError, signed(other, kid=kid), keys)
    for senseless in ([algorithm], {algorithm: 1}, None, 256):
        assert not any(key.is_for(senseless) for key in keys.values())
    assert verify_compact(signed(algorithm), keys)[1] == b'{"sub":"ada"}'


def test_a_key_that_names_no_algorithm_verifies_all_of_its_type() -> None:
    keys = key_set(rsa_jwk(alg=...))
    for algorithm in RSA_ALGORITHMS:
        assert verify_compact(signed(algorithm), keys)[0]["alg"] == algorithm
    for algorithm in CURVES:
        refused(UnknownKeyError, signed(algorithm, kid="one"), keys)


@pytest.mark.parametrize(("said", "by"), [("RS256", "RS512"), ("RS512", "RS256"), ("RS384", "RS256")])
def test_a_signature_over_another_digest_is_refused(said: str, by: str) -> None:
    keys = key_set(rsa_jwk(alg=...))
    refused(InvalidSignatureError, signed(said, by=by), keys)
    verify_compact(signed(said), keys)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda good: bytes([good[0] ^ 1]) + good[1:], id="first-bit"),
        pytest.param(lambda good: good[:-1] + bytes([good[-1] ^ 1]), id="last-bit"),
        pytest.param(lambda good: good[:-1], id="cut-short"),
        pytest.param(lambda good: good + b"\0", id="one-octet-more"),
        pytest.param(lambda good: b"\0" + good, id="one-octet-more-in-front"),
        pytest.param(lambda good: good + good, id="twice"),
        pytest.param(lambda good: bytes(len(good)), id="zeros"),
        pytest.param(lambda good: b"\xff" * len(good), id="ones"),
        pytest.param(lambda good: good[len(good) // 2 :] + good[: len(good) // 2], id="halves-swapped"),
        pytest.param(lambda _: b"\0", id="one-octet"),
        pytest.param(lambda _: b"A" * 10_000, id="ten-thousand-octets"),
    ],
)
def test_another_signature_is_refused(algorithm: str, change: Callable[[bytes], bytes]) -> None:
    text = signing_input({"kid": "one" if algorithm in RSA_ALGORITHMS else "curve", "alg": algorithm})
    good, keys = signature_by(algorithm, text), key_set(jwk_for(algorithm))
    message = refused(InvalidSignatureError, f"{text}.{encoded(change(good))}", keys)
    assert message == (
        f"signature: expected one by key {jwk_for(algorithm)['kid']!r}, found another: "
        "the token was altered on its way, or somebody else signed it"
    )
    assert verify_compact(f"{text}.{encoded(good)}", keys)[1] == b'{"sub":"ada"}'


def test_a_signature_of_a_curve_in_der_is_refused() -> None:
    text, keys = signing_input({"kid": "curve", "alg": "ES256"}), key_set(ec_jwk("ES256"))
    good = signature_by("ES256", text)
    der = encode_dss_signature(int.from_bytes(good[:32]), int.from_bytes(good[32:]))
    refused(InvalidSignatureError, f"{text}.{encoded(der)}", keys)
    verify_compact(f"{text}.{encoded(good)}", keys)


def test_an_rsa_signature_with_another_padding_is_refused() -> None:
    text, keys = signing_input({"kid": "one", "alg": "RS256"}), key_set(rsa_jwk())
    pss = rsa_key().sign(text.encode(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    refused(InvalidSignatureError, f"{text}.{encoded(pss)}", keys)
    verify_compact(signed("RS256"), keys)


def test_the_signature_covers_header_and_payload() -> None:
    keys, (header, payload, signature) = key_set(rsa_jwk()), signed("RS256").split(".")
    other_header, other_payload, _ = signed("RS256", payload=b'{"sub":"eve"}', typ="JWT").split(".")
    refused(InvalidSignatureError, f"{header}.{other_payload}.{signature}", keys)
    refused(InvalidSignatureError, f"{other_header}.{payload}.{signature}", keys)
    assert verify_compact(f"{header}.{payload}.{signature}", keys)[1] == b'{"sub":"ada"}'


def test_another_key_of_the_set_is_not_tried() -> None:
    keys = key_set(rsa_jwk("one"), rsa_jwk("two"))
    text = signing_input({"kid": "two", "alg": "RS256"})
    refused(InvalidSignatureError, f"{text}.{encoded(signature_by('RS256', text, 'one'))}", keys)
    assert verify_compact(f"{text}.{encoded(signature_by('RS256', text, 'two'))}", keys)[0]["kid"] == "two"


@pytest.mark.parametrize(
    "payload", [b"\xff\xfe\0", b"no JSON", b"\0", b'{"a":1,"a":2}', b"[" * 9_000, bytes(range(256))], ids=len
)
def test_the_payload_may_be_any_bytes(payload: bytes) -> None:
    assert verify_compact(signed("RS256", payload=payload), key_set(rsa_jwk()))[1] == payload


def test_an_empty_payload_is_refused_as_any_empty_segment() -> None:
    assert refused(MalformedTokenError, signed("RS256", payload=b""), key_set(rsa_jwk())).startswith("payload: ")
    verify_compact(signed("RS256", payload=b"\0"), key_set(rsa_jwk()))


def test_a_token_of_more_than_sixteen_kib_is_refused_where_nothing_else_is_said() -> None:
    keys = key_set(rsa_jwk())
    with pytest.raises(MalformedTokenError, match="expected at most 16384 bytes, found 16385"):
        verify_compact("x" * 16_385, keys)


def test_a_kid_that_the_set_does_not_know_is_named() -> None:
    message = refused(UnknownKeyError, signed("RS256", kid="two"), key_set(rsa_jwk()))
    assert message == "kid: expected a key of the set for RS256, found 'two'"


def test_the_longest_token_is_the_callers_choice() -> None:
    raw, keys = signed("RS256"), key_set(rsa_jwk())
    assert verify_compact(raw, keys, max_token_bytes=len(raw))[1] == b'{"sub":"ada"}'
    with pytest.raises(MalformedTokenError) as refusal:
        verify_compact(raw, keys, max_token_bytes=len(raw) - 1)
    assert type(refusal.value) is MalformedTokenError
    refused(MalformedTokenError, signed("RS256", payload=b"A" * 16_384), keys)


def test_the_header_belongs_to_the_caller() -> None:
    raw, keys = signed("RS256", nested={"list": [1]}), key_set(rsa_jwk())
    header, _ = verify_compact(raw, keys)
    header["nested"]["list"].append(2)
    header["kid"] = "other"
    assert verify_compact(raw, keys)[0] == {"kid": "one", "alg": "RS256", "nested": {"list": [1]}}


# Attacks


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(
            lambda: rsa_key().public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            id="pem",
        ),
        pytest.param(
            lambda: rsa_key().public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1),
            id="der",
        ),
        pytest.param(lambda: N_OCTETS, id="modulus"),
        pytest.param(N.encode, id="modulus-in-base64url"),
        pytest.param(lambda: json.dumps(rsa_jwk()).encode(), id="jwk"),
        pytest.param(lambda: b"", id="empty"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_shared_secret(algorithm: str, secret: Callable[[], bytes]) -> None:
    for header in ({"kid": "one", "alg": algorithm}, {"kid": "one", "alg": "RS256"}):
        text = signing_input(header)
        forged = hmac.new(secret(), text.encode(), getattr(hashlib, f"sha{algorithm[2:]}")).digest()
        expected = UnsupportedAlgorithmError if header["alg"] == algorithm else InvalidSignatureError
        refused(expected, f"{text}.{encoded(forged)}", key_set(rsa_jwk()))
    verify_compact(signed("RS256"), key_set(rsa_jwk()))


@pytest.mark.parametrize(
    "alg",
    ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "RS256\n", "HS256", "PS256", "EdDSA", "dir", "RSA1_5", None,
     7, True, ["RS256"], {"RS256": 1}, []],
    ids=repr,
)  # fmt: skip
def test_any_other_algorithm_is_refused_before_a_key_is_looked_up(alg: object) -> None:
    for keys in (key_set(rsa_jwk()), key_set()):
        message = refused(UnsupportedAlgorithmError, signed("RS256", alg=alg), keys)
        assert message == f"alg: expected ES256 or ES384 or ES512 or RS256 or RS384 or RS512, found {alg!r}"
    verify_compact(signed("RS256"), key_set(rsa_jwk()))


def test_a_header_without_an_algorithm_is_refused() -> None:
    text = signing_input({"kid": "one"})
    message = refused(UnsupportedAlgorithmError, f"{text}.{encoded(signature_by('RS256', text))}", key_set(rsa_jwk()))
    assert message.endswith("found None")


def test_a_token_of_algorithm_none_without_a_signature_is_malformed() -> None:
    text = signing_input({"kid": "one", "alg": "none"})
    refused(MalformedTokenError, f"{text}.", key_set(rsa_jwk()))
    refused(MalformedTokenError, text, key_set(rsa_jwk()))
    refused(UnsupportedAlgorithmError, f"{text}.AA", key_set(rsa_jwk()))


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"jwk": {**rsa_jwk("eve"), "kid": "one"}}, id="jwk"),
        pytest.param({"jku": "https://evil.example/jwks.json"}, id="jku"),
        pytest.param({"x5u": "https://evil.example/cert.pem"}, id="x5u"),
        pytest.param({"x5c": ["MIIB"]}, id="x5c"),
        pytest.param({"x5t": "AA", "x5t#S256": "AA", "zip": "DEF", "cty": "JWT", "b64": True, "enc": "A"}, id="others"),
    ],
)
def test_nothing_in_the_header_chooses_another_key(header: Jwk) -> None:
    keys = key_set(rsa_jwk())
    text = signing_input({"kid": "one", "alg": "RS256", **header})
    refused(InvalidSignatureError, f"{text}.{encoded(signature_by('RS256', text, 'eve'))}", keys)
    assert verify_compact(f"{text}.{encoded(signature_by('RS256', text))}", keys)[0] == {
        "kid": "one", "alg": "RS256", **header,
    }  # fmt: skip


@pytest.mark.parametrize(
    "kid", ["two", "ONE", "one ", " one", "one\n", "../one", "' or 1=1", "\N{BLACK STAR}", "x" * 200]
)
def test_an_unknown_kid_is_refused(kid: str) -> None:
    message = refused(UnknownKeyError, signed("RS256", kid=kid), key_set(rsa_jwk()))
    assert message.startswith("kid: expected a key of the set for RS256, found ")
    assert message.isprintable()
    assert len(message) < 150
    verify_compact(signed("RS256"), key_set(rsa_jwk()))


@pytest.mark.parametrize("members", [{"crit": ["exp"]}, {"crit": []}, {"kid": ""}, {"kid": None}, {"kid": 1}], ids=str)
def test_a_malformed_header_is_refused_although_the_signature_is_good(members: Jwk) -> None:
    assert refused(MalformedTokenError, signed("RS256", **members), key_set(rsa_jwk())).startswith("header: expected ")
    verify_compact(signed("RS256"), key_set(rsa_jwk()))


def test_refusals_come_in_the_order_structure_algorithm_key_signature() -> None:
    keys = key_set(rsa_jwk(), algorithms=["RS256"])
    bad = encoded(bytes(256))
    for members, error in [
        ({"kid": "", "alg": "none"}, MalformedTokenError),
        ({"kid": "two", "alg": "none"}, UnsupportedAlgorithmError),
        ({"kid": "two", "alg": "RS256"}, UnknownKeyError),
        ({"kid": "one", "alg": "RS256"}, InvalidSignatureError),
    ]:
        refused(error, f"{signing_input(members)}.{bad}", keys)
    assert verify_compact(signed("RS256"), keys)[1] == b'{"sub":"ada"}'


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.integers(0, 10_000), st.integers(1, 127))
def test_a_token_with_one_character_changed_is_refused(place: int, other: int) -> None:
    raw, keys = signed("RS256"), key_set(rsa_jwk())
    at = place % len(raw)
    forged = f"{raw[:at]}{chr(ord(raw[at]) ^ other)}{raw[at + 1 :]}"
    with pytest.raises((MalformedTokenError, UnsupportedAlgorithmError, UnknownKeyError, InvalidSignatureError)):
        verify_compact(forged, keys)


def test_the_check_of_the_algorithm_names_what_was_expected() -> None:
    jws = parse_compact(signed("RS512"), 16_384)
    with pytest.raises(UnsupportedAlgorithmError) as refusal:
        check_algorithm(jws, COGNITO_ALGORITHMS)
    assert type(refusal.value) is UnsupportedAlgorithmError
    assert str(refusal.value) == "alg: expected RS256, found 'RS512'"
    check_algorithm(jws, {"RS512"})


# Dependencies that verification does without

BLOCKED = ("ecdsa", "rsa", "pyasn1")
VERIFY = """
import importlib.abc, json, sys
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
from cognito_verify.keys import KeySet, verify_compact
given = json.load(sys.stdin)
keys = KeySet.from_jwks(given["jwks"], given["algorithms"])
for raw in given["tokens"]:
    assert verify_compact(raw, keys)[1] == b'{{"sub":"ada"}}'
"""


def verification_without(*blocked: str) -> subprocess.CompletedProcess[str]:
    """A new interpreter verifies a token of each algorithm and cannot import these."""
    jwks = {"keys": [rsa_jwk(alg=...), *(ec_jwk(algorithm, kid=algorithm) for algorithm in CURVES)]}
    tokens = [signed(algorithm, kid=algorithm if algorithm in CURVES else "one") for algorithm in ALGORITHMS]
    return subprocess.run(
        [sys.executable, "-c", VERIFY.format(blocked=blocked)],
        input=json.dumps({"jwks": jwks, "algorithms": ALGORITHMS, "tokens": tokens}),
        capture_output=True,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTHON"))},
        text=True,
        timeout=60,
    )


def test_verification_needs_neither_ecdsa_nor_rsa_nor_pyasn1() -> None:
    answer = verification_without(*BLOCKED)
    assert answer.returncode == 0, answer.stderr


def test_a_module_that_is_needed_and_blocked_is_missed() -> None:
    answer = verification_without(*BLOCKED, "cryptography")
    assert answer.returncode == 1
    assert "ModuleNotFoundError" in answer.stderr


@pytest.mark.parametrize("algorithms", [ALGORITHMS, ("RS256",), ("ES256", "ES384")])
def test_a_set_is_told_as_a_jwks_of_what_it_admits(algorithms: tuple[str, ...]) -> None:
    jwks = [rsa_jwk("one", kid="b", x5c=["no"]), ec_jwk("ES256", kid="c"), rsa_jwk("one", kid="a", use="enc")]
    keys = key_set(*jwks, algorithms=algorithms)
    told = keys.jwks
    assert KeySet.from_jwks(json.dumps(told), algorithms).is_same(keys)
    assert [one["kid"] for one in told["keys"]] == sorted(keys)
    assert all(one.keys() <= {"kid", "use", "alg", "kty", "n", "e", "crv", "x", "y"} for one in told["keys"])
    assert keys
