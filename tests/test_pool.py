"""A user pool as its operator writes it down: which issuers follow, where the keys are, and what is refused."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import warnings
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cognito_verify.errors import ConfigurationError
from cognito_verify.pool import UserPool, pool_named_in

ID = "us-east-1_AbCdEfGhI"
ORIGINAL = f"https://cognito-idp.us-east-1.amazonaws.com/{ID}"
UPDATED = f"https://issuer-cognito-idp.us-east-1.amazonaws.com/{ID}"
WELL_KNOWN = "/.well-known/jwks.json"
JWKS = {"keys": [{"kid": "one", "kty": "RSA"}]}


class KeysFile(os.PathLike[str]):
    """A path that is neither a `str` nor a `Path`."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __fspath__(self) -> str:
        return self._path


def made(user_pool_id: Any = ID, *, client_id: Any = "client", **settings: Any) -> UserPool:
    """A pool of settings that no type checker has seen."""
    return UserPool(user_pool_id, client_id=client_id, **settings)


def refusal_of(user_pool_id: Any = ID, **settings: Any) -> str:
    """The message with which the settings are refused; their twin is the pool without them."""
    assert made().user_pool_id == ID
    with pytest.raises(ConfigurationError) as refusal:
        made(user_pool_id, **settings)
    assert type(refusal.value) is ConfigurationError
    assert refusal.value.__context__ is None or refusal.value.__suppress_context__
    return str(refusal.value)


@pytest.fixture
def emulators_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside Lambda, wherever the suite runs."""
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)


# Ids


@pytest.mark.parametrize(
    "user_pool_id",
    [
        ID,
        "us-east-1_1",
        "us-gov-west-1_AbCdEfGhI",
        "mx-central-1_AbCdEfGhI",
        "ap-southeast-12_AbCdEfGhI",
        "us-east-1_" + "0123456789abcdef" * 2,
        "us-east-1_" + "a" * 55,
    ],
)
def test_a_pool_id_is_a_region_and_letters_and_digits(user_pool_id: str) -> None:
    assert made(user_pool_id).user_pool_id == user_pool_id
    assert all(issuer.endswith(f"/{user_pool_id}") for issuer in made(user_pool_id).issuers)


@pytest.mark.parametrize(
    "user_pool_id",
    [
        "",
        "AbCdEfGhI",
        "us-east-1",
        "us-east-1_",
        "us-east-1-AbCdEfGhI",
        "us-east-1__AbCdEfGhI",
        "us-east-1_AbC_dEf",
        "us-east-1_AbC-dEf",
        "us-east-1_AbC/../other",
        "us-east-1_AbC?x=",
        "us-east-1_AbC#",
        "us-east-1_AbC%2e",
        "us-east-1_AbC dEf",
        " us-east-1_AbCdEfGhI",
        "us-east-1_AbCdEfGhI\n",
        "us-east-1_AbCdEfGhI\0",
        "us-east-1_\N{LATIN SMALL LETTER E WITH ACUTE}",
        "us-east-\N{ARABIC-INDIC DIGIT ONE}_AbCdEfGhI",
        "us-east-1_" + "a" * 56,
        "US-EAST-1_AbCdEfGhI",
        "us-east_AbCdEfGhI",
        "us-1_AbCdEfGhI",
        "useast1_AbCdEfGhI",
        "us-east-100_AbCdEfGhI",
        "us.east-1_AbCdEfGhI",
        "evil.example/us-east-1_AbCdEfGhI",
        "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI",
        "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbCdEfGhI",
        None,
        5,
        b"us-east-1_AbCdEfGhI",
        ["us-east-1_AbCdEfGhI"],
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_a_malformed_pool_id_is_refused_with_the_expected_form(user_pool_id: object) -> None:
    message = refusal_of(user_pool_id)
    assert message.startswith("user_pool_id: expected '<region>_<letters and digits>' such as 'us-east-1_AbCdEfGhI'")
    assert message.isprintable()


# Issuers


def test_a_pool_accepts_the_original_and_the_updated_issuer() -> None:
    assert dict(made().issuers) == {ORIGINAL: ORIGINAL + WELL_KNOWN, UPDATED: UPDATED + WELL_KNOWN}


@pytest.mark.parametrize(
    ("issuer_type", "issuers"), [("ORIGINAL", [ORIGINAL]), ("UPDATED", [UPDATED]), (None, [ORIGINAL, UPDATED])]
)
def test_an_issuer_type_narrows_the_issuers_to_one_form(issuer_type: str | None, issuers: list[str]) -> None:
    assert list(made(issuer_type=issuer_type).issuers) == issuers


@pytest.mark.parametrize("issuer_type", ["original", "", "BOTH", False, 0, [], ("ORIGINAL",)], ids=repr)
def test_an_issuer_type_is_one_of_two_words(issuer_type: object) -> None:
    assert refusal_of(issuer_type=issuer_type).startswith("issuer_type: expected 'ORIGINAL', 'UPDATED' or None, found ")


PARTITIONS = [
    ("us-east-1", "amazonaws.com"),
    ("eu-west-3", "amazonaws.com"),
    ("il-central-1", "amazonaws.com"),
    ("us-gov-west-1", "amazonaws.com"),
    ("us-gov-east-1", "amazonaws.com"),
    ("cn-north-1", "amazonaws.com.cn"),
    ("cn-northwest-1", "amazonaws.com.cn"),
    ("eusc-de-east-1", "amazonaws.eu"),
    ("us-iso-east-1", "c2s.ic.gov"),
    ("us-iso-west-1", "c2s.ic.gov"),
    ("us-isob-east-1", "sc2s.sgov.gov"),
    ("us-isob-west-1", "sc2s.sgov.gov"),
    ("eu-isoe-west-1", "cloud.adc-e.uk"),
    ("us-isof-east-1", "csp.hci.ic.gov"),
    ("us-isof-south-1", "csp.hci.ic.gov"),
]


@pytest.mark.parametrize(("region", "suffix"), PARTITIONS)
def test_the_dns_suffix_follows_the_partition(region: str, suffix: str) -> None:
    assert list(made(f"{region}_AbC").issuers) == [
        f"https://cognito-idp.{region}.{suffix}/{region}_AbC",
        f"https://issuer-cognito-idp.{region}.{suffix}/{region}_AbC",
    ]


def test_every_region_that_the_aws_sdk_knows_has_the_suffix_that_the_sdk_gives_it() -> None:
    data = pytest.importorskip("botocore.loaders").create_loader().load_data("partitions")
    known = {
        region: partition["outputs"]["dnsSuffix"]
        for partition in data["partitions"]
        for region in partition["regions"]
        if not region.endswith("-global")
    }
    assert len(known) > 30
    for region, suffix in known.items():
        assert f"https://cognito-idp.{region}.{suffix}/{region}_AbC" in made(f"{region}_AbC").issuers


@pytest.mark.parametrize(
    "replicas", [("eu-west-1", "ap-south-1"), ["eu-west-1", "ap-south-1"], {"eu-west-1": 1, "ap-south-1": 2}.keys()]
)
def test_replicas_of_the_original_issuer_are_accepted_too(replicas: Any) -> None:
    assert list(made(replica_regions=replicas).issuers) == [
        ORIGINAL,
        f"https://cognito-idp.eu-west-1.amazonaws.com/{ID}",
        f"https://cognito-idp.ap-south-1.amazonaws.com/{ID}",
        UPDATED,
    ]


def test_the_pools_own_region_among_the_replicas_changes_nothing() -> None:
    assert dict(made(replica_regions=["us-east-1"]).issuers) == dict(made().issuers)


def test_tokens_of_the_updated_issuer_name_the_primary_region_alone() -> None:
    assert list(made(replica_regions=["eu-west-1"], issuer_type="UPDATED").issuers) == [UPDATED]
    assert f"https://issuer-cognito-idp.eu-west-1.amazonaws.com/{ID}" not in made(replica_regions=["eu-west-1"]).issuers


def test_replicas_have_the_dns_suffix_of_their_partition() -> None:
    pool = made("cn-north-1_AbC", replica_regions=["cn-northwest-1"], issuer_type="ORIGINAL")
    assert list(pool.issuers)[1] == "https://cognito-idp.cn-northwest-1.amazonaws.com.cn/cn-north-1_AbC"


@pytest.mark.parametrize(
    "replicas",
    [
        pytest.param("eu-west-1", id="a-string"),
        pytest.param(None, id="none"),
        pytest.param(iter(["eu-west-1"]), id="iterator"),
        pytest.param(7, id="number"),
        pytest.param([""], id="empty-name"),
        pytest.param(["eu-west"], id="no-number"),
        pytest.param(["eu-west-1\n"], id="line-break"),
        pytest.param(["EU-WEST-1"], id="upper-case"),
        pytest.param(["eu-west-1.evil.example/x#"], id="host"),
        pytest.param(["eu-west-1_AbC"], id="pool-id"),
        pytest.param([None], id="none-inside"),
        pytest.param(["eu-west-1", 7], id="number-inside"),
        pytest.param(b"eu-west-1", id="bytes"),
        pytest.param(["cn-north-1"], id="china"),
        pytest.param(["us-gov-west-1"], id="govcloud"),
        pytest.param(["us-iso-east-1"], id="isolated"),
    ],
)
def test_replicas_are_regions_of_the_same_partition(replicas: object) -> None:
    assert refusal_of(replica_regions=replicas).startswith("replica_regions: ")


# Overrides


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_an_issuer_of_ones_own_replaces_all_others(scheme: str) -> None:
    pool = made(issuer=f"{scheme}://auth.example/pool")
    assert dict(pool.issuers) == {f"{scheme}://auth.example/pool": f"{scheme}://auth.example/pool{WELL_KNOWN}"}


def test_the_keys_of_an_issuer_with_a_slash_at_its_end_are_not_behind_two_slashes() -> None:
    pool = made(issuer="https://auth.example/pool/")
    assert dict(pool.issuers) == {"https://auth.example/pool/": f"https://auth.example/pool{WELL_KNOWN}"}


@pytest.mark.filterwarnings("ignore:user pool")
@pytest.mark.usefixtures("emulators_allowed")
def test_nothing_but_slashes_is_cut_off_an_address() -> None:
    assert dict(made(issuer="https://pool.example/X").issuers) == {
        "https://pool.example/X": f"https://pool.example/X{WELL_KNOWN}"
    }
    local = UserPool.local("http://localhost:9229/X/", "x", client_id=None)
    assert dict(local.issuers) == {"http://localhost:9229/X/x": f"http://localhost:9229/X/x{WELL_KNOWN}"}


def test_a_jwks_uri_serves_all_issuers_of_the_pool() -> None:
    pool = made(jwks_uri="https://proxy.example/keys?pool=1", replica_regions=["eu-west-1"])
    assert len(pool.issuers) == 3
    assert set(pool.issuers.values()) == {"https://proxy.example/keys?pool=1"}


def test_issuer_and_jwks_uri_may_stand_apart() -> None:
    pool = made(issuer="https://auth.example", jwks_uri="https://keys.example/jwks.json")
    assert dict(pool.issuers) == {"https://auth.example": "https://keys.example/jwks.json"}


@pytest.mark.parametrize(
    "other", [{"replica_regions": ["eu-west-1"]}, {"issuer_type": "ORIGINAL"}, {"issuer_type": "UPDATED"}], ids=str
)
def test_an_issuer_of_ones_own_contradicts_what_derives_issuers(other: dict[str, Any]) -> None:
    assert refusal_of(issuer="https://auth.example", **other).startswith("issuer= replaces the accepted issuers")
    assert list(made(issuer="https://auth.example").issuers) == ["https://auth.example"]


LOOPBACK = [
    "http://localhost/pool",
    "http://LocalHost:9229/pool",
    "http://127.0.0.1/pool",
    "http://127.0.0.1:5000/pool",
    "http://127.9.9.9/pool",
    "http://[::1]/pool",
    "http://[::1]:8080/pool",
    "HTTP://127.0.0.1/pool",
]
NOT_LOOPBACK = [
    "http://auth.example/pool",
    "http://127.0.0.1.evil.com/pool",
    "http://localhost.evil.com/pool",
    "http://localhost./pool",
    "http://evil-localhost/pool",
    "http://127.1/pool",
    "http://2130706433/pool",
    "http://0177.0.0.1/pool",
    "http://0x7f.0.0.1/pool",
    "http://0.0.0.0/pool",
    "http://10.0.0.1/pool",
    "http://169.254.169.254/pool",
    "http://[::]/pool",
    "http://[fe80::1]/pool",
    "http://[2001:db8::1]/pool",
]
NO_PLAIN_URL = [
    "",
    "auth.example",
    "auth.example/pool",
    "//auth.example/pool",
    "/pool",
    "https:auth.example",
    "https:/auth.example",
    "https://",
    "https:///pool",
    "https://:443/pool",
    "ftp://auth.example/pool",
    "file:///etc/keys.json",
    "javascript:alert(1)",
    "httpss://auth.example",
    "https://user@auth.example/pool",
    "https://user:password@auth.example/pool",
    "https://@auth.example/pool",
    "https://:@auth.example/pool",
    "http://127.0.0.1@evil.com/pool",
    "http://127.0.0.1:80@evil.com/pool",
    "http://127.0.0.1&@evil.com/pool",
    "http://evil.com\\@127.0.0.1/pool",
    "http://127.0.0.1\\.evil.com/pool",
    "http://127.0.0.1;evil.com/pool",
    "http://127.0.0.1,evil.com/pool",
    "http://127.0.0.1%2eevil.com/pool",
    "http://127.0.0.1%00.evil.com/pool",
    "http://[::1].evil.com/pool",
    "http://evil.com[::1]/pool",
    "http://[::1]evil.com/pool",
    "http://[::1%25eth0]/pool",
    "http://[::1/pool",
    "http://::1/pool",
    "https://auth.example/pool#",
    "https://auth.example/pool#fragment",
    "https://auth.example#",
    "https://auth.example:/pool",
    "https://auth.example:port/pool",
    "https://auth.example:-1/pool",
    "https://auth.example:99999/pool",
    "https://auth.example:\N{ARABIC-INDIC DIGIT ONE}/pool",
    "https://<your-host>/pool",
    "https://auth.example/{pool}",
    "https://auth.example/a b",
    " https://auth.example/pool",
    "https://auth.example/pool\n",
    "https://auth\n.example/pool",
    "https://auth.example/\tpool",
    "https://auth.example/pool\0",
    "https://auth.example/\x7f",
    'https://auth.example/"',
    "https://auth.example/\N{LATIN SMALL LETTER E WITH ACUTE}",
    "https://\N{LATIN SMALL LETTER E WITH ACUTE}.example/",
    "https://127.0.0.1\N{FULLWIDTH FULL STOP}evil.com/",
    0,
    False,
    b"https://auth.example/pool",
    ["https://auth.example/pool"],
]


@pytest.mark.parametrize("option", ["issuer", "jwks_uri"])
@pytest.mark.parametrize("url", LOOPBACK)
def test_plain_http_is_for_a_loopback_host(option: str, url: str) -> None:
    pool = made(**{option: url})
    assert url in {*pool.issuers, *pool.issuers.values()}


@pytest.mark.parametrize("option", ["issuer", "jwks_uri"])
@pytest.mark.parametrize("url", NOT_LOOPBACK)
def test_plain_http_to_anywhere_else_is_refused(option: str, url: str) -> None:
    assert refusal_of(**{option: url}).startswith(f"{option}: expected https (http to a loopback host alone), found ")
    made(**{option: url.replace("http:", "https:")})


@pytest.mark.parametrize("option", ["issuer", "jwks_uri"])
@pytest.mark.parametrize("url", NO_PLAIN_URL, ids=ascii)
def test_what_readers_of_urls_may_take_in_two_ways_is_refused(option: str, url: object) -> None:
    message = refusal_of(**{option: url})
    assert message.startswith(f"{option}: expected an https URL without ")
    assert message.isprintable()


@pytest.mark.parametrize("url", ["https://auth.example/?pool=1", "https://auth.example?"])
def test_an_issuer_has_no_query_since_the_path_of_the_keys_follows_it(url: str) -> None:
    assert refusal_of(issuer=url).startswith("issuer: expected an https URL without ")
    assert set(made(jwks_uri=url).issuers.values()) == {url}


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.text(st.characters(max_codepoint=0x7F), max_size=12),
    st.sampled_from(["127.0.0.1", "localhost", "[::1]", "evil.com"]),
    st.text(st.sampled_from(r"abc.:/?#@[]\%1;=&"), max_size=8),
)
def test_whatever_surrounds_a_loopback_host_plain_http_goes_to_it_alone(before: str, host: str, after: str) -> None:
    url = f"http://{before}{host}{after}"
    try:
        pool = made(jwks_uri=url)
    except ConfigurationError:
        return
    reached = re.fullmatch(r"http://(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?([/?][^\\#\s]*)?", url, re.ASCII)
    assert reached
    assert set(pool.issuers.values()) == {url}


# Clients and resource


@pytest.mark.parametrize(
    ("client_id", "client_ids"),
    [
        ("one", {"one"}),
        (["one", "two"], {"one", "two"}),
        (("one",), {"one"}),
        ({"one", "two"}, {"one", "two"}),
        (["one", "one"], {"one"}),
    ],
    ids=repr,
)
def test_app_clients_are_one_or_several(client_id: object, client_ids: set[str]) -> None:
    assert made(client_id=client_id).client_ids == frozenset(client_ids)


def test_any_app_client_is_said_out_loud() -> None:
    assert made(client_id=None).client_ids is None
    with pytest.raises(TypeError, match="client_id"):
        UserPool(ID)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "client_id",
    [
        "", " ", "a b", "a,b\n", "a\0", [], set(), {}, {"one": True}, b"one", bytearray(b"one"), 7, False, object(),
        iter(["one"]), [""], ["one", None], [["one"]], [b"one"], ["one", " two"],
    ],
    ids=lambda value: ascii(value)[:30],
)  # fmt: skip
def test_senseless_app_clients_are_refused(client_id: object) -> None:
    assert refusal_of(client_id=client_id).startswith("client_id: ")


def test_a_resource_is_a_word_or_nothing() -> None:
    assert made().resource is None
    assert made(resource="https://api.example/orders").resource == "https://api.example/orders"


@pytest.mark.parametrize("resource", ["", " ", "a b", "a\n", "a\u200b", 7, False, ["a"], b"a"], ids=ascii)
def test_a_senseless_resource_is_refused(resource: object) -> None:
    assert refusal_of(resource=resource).startswith("resource: expected a string without spaces, found ")


# Known keys


def test_a_pool_without_known_keys_says_none() -> None:
    assert made().jwks is None


@pytest.mark.parametrize("kind", [dict, MappingProxyType], ids=lambda kind: kind.__name__)
def test_known_keys_may_be_a_mapping(kind: Any) -> None:
    assert json.loads(made(jwks=kind(JWKS)).jwks or "") == JWKS


def test_known_keys_are_a_copy_that_the_caller_cannot_change() -> None:
    given_keys: dict[str, list[dict[str, str]]] = {"keys": [{"kid": "one"}]}
    pool = made(jwks=given_keys)
    given_keys["keys"][0]["kid"] = "two"
    given_keys["keys"].append({"kid": "three"})
    assert json.loads(pool.jwks or "") == {"keys": [{"kid": "one"}]}


@pytest.mark.parametrize("text", [json.dumps(JWKS), f" \n\t{json.dumps(JWKS)}\n"], ids=["plain", "white-space"])
def test_known_keys_may_be_json_text(text: str) -> None:
    assert made(jwks=text).jwks == text


@pytest.mark.parametrize("kind", [str, Path, KeysFile], ids=lambda kind: kind.__name__)
def test_known_keys_may_be_a_file(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "keys \N{LATIN SMALL LETTER E WITH ACUTE}.json"
    path.write_text(json.dumps(JWKS), encoding="utf-8")
    assert json.loads(made(jwks=kind(path)).jwks or "") == JWKS


def test_a_file_of_known_keys_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(JWKS), encoding="utf-8")
    pool = made(jwks=path)
    path.unlink()
    assert json.loads(pool.jwks or "") == JWKS


@pytest.mark.parametrize(
    "jwks",
    [
        pytest.param("", id="empty"),
        pytest.param(7, id="number"),
        pytest.param(True, id="boolean"),
        pytest.param(b'{"keys": []}', id="bytes"),
        pytest.param([{"kid": "one"}], id="list-of-keys"),
        pytest.param({"keys": [{"n": b"AQAB"}]}, id="bytes-inside"),
        pytest.param({"keys": {1, 2}}, id="set-inside"),
        pytest.param({("a", "b"): 1}, id="no-name"),
        pytest.param(" ", id="white-space"),
        pytest.param("[]", id="json-array"),
        pytest.param("keys\0.json", id="nul"),
        pytest.param("\ud800", id="surrogate"),
    ],
)
def test_known_keys_of_another_kind_are_refused(jwks: object) -> None:
    message = refusal_of(jwks=jwks)
    assert message.startswith("jwks: expected a ")
    assert message.isprintable()


def test_known_keys_that_contain_themselves_are_refused() -> None:
    keys: dict[str, object] = {}
    keys["keys"] = [keys]
    assert refusal_of(jwks=keys).startswith("jwks: expected a JWKS")


def test_a_file_of_keys_is_read_as_far_as_an_endpoint_s_answer_would_be(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(JWKS).ljust(512 * 1024))
    assert json.loads(made(jwks=path).jwks or "") == JWKS
    path.write_text(json.dumps(JWKS).ljust(512 * 1024 + 1))
    assert refusal_of(jwks=path).endswith(" or as a file in UTF-8 (longer than 512 Ki characters)")
    assert "512 Ki" in refusal_of(jwks="/dev/zero")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    message = refusal_of(jwks=tmp_path / "absent.json")
    assert "absent.json" in message
    assert "No such file" in message


@pytest.mark.parametrize("kind", [str, Path], ids=lambda kind: kind.__name__)
def test_a_directory_is_no_file_of_keys(tmp_path: Path, kind: Any) -> None:
    assert refusal_of(jwks=kind(tmp_path)).startswith("jwks: expected a ")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(b"\xff\xfe{}")
    assert refusal_of(jwks=path).startswith("jwks: expected a ")
    path.write_bytes(b"{}")
    assert made(jwks=path).jwks == "{}"


@pytest.mark.parametrize("length", [10, 1_000, 100_000])
def test_the_text_of_a_key_given_as_a_path_is_not_repeated(length: int) -> None:
    secret = "MIIEvQIBADANBg" * length
    message = refusal_of(jwks=f"-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n")
    assert "MIIE" not in message
    assert len(message) < 500


# The pool as a value


def test_a_pool_cannot_be_changed_by_who_holds_it() -> None:
    pool = made()
    for name in ("user_pool_id", "client_ids", "resource", "issuers", "jwks", "anything"):
        with pytest.raises(AttributeError):
            setattr(pool, name, None)
    with pytest.raises(TypeError):
        pool.issuers["https://evil.example"] = "https://evil.example/keys"  # type: ignore[index]
    assert dict(pool.issuers) == dict(made().issuers)


@pytest.mark.parametrize(
    ("client_id", "text"),
    [
        (["two", "one"], "UserPool('us-east-1_AbCdEfGhI', clients: one, two)"),
        (None, "UserPool('us-east-1_AbCdEfGhI', clients: any)"),
    ],
)
def test_a_pool_shows_its_id_and_its_clients(client_id: object, text: str) -> None:
    assert repr(made(client_id=client_id, jwks=JWKS)) == text


# Emulators


@pytest.mark.usefixtures("emulators_allowed")
@pytest.mark.parametrize(
    ("endpoint", "user_pool_id", "issuers"),
    [
        pytest.param("http://localhost:9229", "local_4uK6Bv9W", ["http://localhost:9229/local_4uK6Bv9W"], id="any-id"),
        pytest.param("http://moto:5000/", "my-pool", ["http://moto:5000/my-pool"], id="another-host"),
        pytest.param("https://emulator.example/a", "x", ["https://emulator.example/a/x"], id="https-and-path"),
        pytest.param("http://moto:5000", ID, [f"http://moto:5000/{ID}", ORIGINAL, UPDATED], id="id-of-aws"),
    ],
)
def test_an_emulators_pool_has_its_keys_at_the_endpoint(endpoint: str, user_pool_id: str, issuers: list[str]) -> None:
    with pytest.warns(UserWarning, match=f"^user pool {user_pool_id} is an emulator's; .* not for production$"):
        pool = UserPool.local(endpoint, user_pool_id, client_id=["one", "two"])
    assert list(pool.issuers) == issuers
    assert set(pool.issuers.values()) == {issuers[0] + WELL_KNOWN}
    assert (pool.user_pool_id, pool.client_ids) == (user_pool_id, frozenset({"one", "two"}))
    assert (pool.resource, pool.jwks) == (None, None)


@pytest.mark.usefixtures("emulators_allowed")
def test_an_emulator_may_claim_another_issuer() -> None:
    with pytest.warns(UserWarning, match="not for production"):
        pool = UserPool.local("http://moto:5000", ID, client_id=None, issuer="http://0.0.0.0:9229/x")
    assert dict(pool.issuers) == {"http://0.0.0.0:9229/x": f"http://moto:5000/{ID}{WELL_KNOWN}"}
    assert pool.client_ids is None


@pytest.mark.usefixtures("emulators_allowed")
def test_the_warning_comes_once_and_names_the_callers_line() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        UserPool.local("http://localhost:9229", "x", client_id=None)
    assert [(one.category, Path(one.filename).name) for one in caught] == [(UserWarning, "test_pool.py")]


@pytest.mark.filterwarnings("ignore:user pool")
def test_an_emulator_is_refused_inside_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "orders")
    with pytest.raises(ConfigurationError, match="refused inside AWS Lambda") as refusal:
        UserPool.local("http://localhost:9229", ID, client_id="one")
    assert type(refusal.value) is ConfigurationError
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME")
    assert UserPool.local("http://localhost:9229", ID, client_id="one").user_pool_id == ID


@pytest.mark.filterwarnings("ignore:user pool")
@pytest.mark.usefixtures("emulators_allowed")
@pytest.mark.parametrize("option", ["endpoint", "issuer"])
@pytest.mark.parametrize(
    "url",
    [*NO_PLAIN_URL, "http://moto:5000/?a=b", "http://moto:5000?"],
    ids=ascii,
)
def test_an_emulators_urls_are_as_plain_as_any(option: str, url: Any) -> None:
    settings: dict[str, Any] = {"endpoint": "http://moto:5000", "issuer": "http://moto:5000/x"}
    with pytest.raises(ConfigurationError, match=f"^{option}: expected an ") as refusal:
        UserPool.local(**{**settings, option: url}, user_pool_id="x", client_id=None)
    assert type(refusal.value) is ConfigurationError
    assert UserPool.local(**settings, user_pool_id="x", client_id=None).user_pool_id == "x"


@pytest.mark.filterwarnings("ignore:user pool")
@pytest.mark.usefixtures("emulators_allowed")
@pytest.mark.parametrize(
    "user_pool_id",
    ["", "a/b", "../a", "a?b", "a#b", "a.b", "a b", "a\n", "\N{LATIN SMALL LETTER E WITH ACUTE}", "a" * 91, None, 7],
    ids=lambda value: ascii(value)[:20],
)
def test_an_emulators_id_stays_one_segment_of_a_path(user_pool_id: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^user_pool_id: expected letters, digits, '_' and '-'") as refusal:
        UserPool.local("http://localhost:9229", user_pool_id, client_id=None)
    assert type(refusal.value) is ConfigurationError
    assert UserPool.local("http://localhost:9229", "a-b_" + "c" * 86, client_id=None).client_ids is None


@pytest.mark.filterwarnings("ignore:user pool")
@pytest.mark.usefixtures("emulators_allowed")
def test_an_emulators_pool_needs_sensible_clients_too() -> None:
    with pytest.raises(ConfigurationError, match=r"^client_id: ") as refusal:
        UserPool.local("http://localhost:9229", ID, client_id=[])
    assert type(refusal.value) is ConfigurationError


# What a refusal says


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"user_pool_id": "x"}, "found 'x'"),
        ({"issuer_type": "NEW"}, "issuer_type: expected 'ORIGINAL', 'UPDATED' or None, found 'NEW'"),
        (
            {"replica_regions": "eu-west-1"},
            "replica_regions: expected a collection such as ('eu-west-1',), found 'eu-west-1'",
        ),
        ({"client_id": []}, "client_id: an empty collection accepts no token; None accepts any client"),
        ({"replica_regions": ["x"]}, "replica_regions: expected regions such as 'eu-west-1', found 'x'"),
        ({"client_id": 5}, "client_id: expected a string or several, or None, found 5"),
        ({"client_id": "a b"}, "client_id: expected a string without spaces, found 'a b'"),
        ({"resource": "a b"}, "resource: expected a string without spaces, found 'a b'"),
        ({"jwks": 5}, "jwks: expected a mapping, JSON text or a path, found int"),
        (
            {"issuer": "ftp://x"},
            "issuer: expected an https URL without user name, fragment, query, found 'ftp://x'",
        ),
        ({"jwks_uri": "ftp://x"}, "jwks_uri: expected an https URL without user name, fragment, found 'ftp://x'"),
        (
            {"issuer": "http://moto:5000"},
            "issuer: expected https (http to a loopback host alone), found 'http://moto:5000'; "
            "for an emulator on another host there is UserPool.local",
        ),
    ],
    ids=str,
)
def test_a_refusal_names_the_setting_and_what_was_found(settings: dict[str, Any], message: str) -> None:
    assert refusal_of(**settings).endswith(message)


@pytest.mark.filterwarnings("ignore:user pool")
def test_an_emulators_refusal_says_what_to_use_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    with pytest.raises(ConfigurationError) as refusal:
        UserPool.local("http://moto:5000", "a/b", client_id=None)
    assert str(refusal.value) == "user_pool_id: expected letters, digits, '_' and '-', found 'a/b'"
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "orders")
    with pytest.raises(ConfigurationError) as refusal:
        UserPool.local("http://moto:5000", ID, client_id=None)
    assert str(refusal.value) == (
        "UserPool.local is for emulators and refused inside AWS Lambda (AWS_LAMBDA_FUNCTION_NAME is set): "
        "use UserPool(user_pool_id, client_id=...)"
    )


def test_a_file_that_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    latin = tmp_path / "keys.json"
    latin.write_bytes(b"\xe9")
    assert refusal_of(jwks=latin).endswith(f" {latin} (UnicodeDecodeError)")
    assert refusal_of(jwks=f"{tmp_path}/<x>").endswith("as a file in UTF-8 (No such file or directory)")


def test_a_port_is_a_number_from_one_on() -> None:
    for option in ("issuer", "jwks_uri"):
        assert "found 'https://pool.example:0/x'" in refusal_of(**{option: "https://pool.example:0/x"})
        assert made(**{option: "https://pool.example:1/x"}).user_pool_id == ID


# The pool that a foreign issuer names


@pytest.mark.parametrize(
    ("issuer", "named"),
    [
        (ORIGINAL, ("us-east-1", ID)),
        (UPDATED, ("us-east-1", ID)),
        (
            "https://cognito-idp.cn-north-1.amazonaws.com.cn/us-east-1_Other",
            ("cn-north-1", "us-east-1_Other"),
        ),
        (f"{ORIGINAL}/", None),
        (f"{ORIGINAL}\N{LATIN SMALL LETTER E WITH ACUTE}", None),
        (f"{ORIGINAL}\n", None),
        (ORIGINAL.replace("https", "http"), None),
        (ORIGINAL.replace("us-east-1.", "us-east."), None),
        ("https://accounts.example/", None),
        ("", None),
    ],
)
def test_a_foreign_issuer_of_the_form_of_aws_says_which_pool_it_means(
    issuer: str, named: tuple[str, str] | None
) -> None:
    assert pool_named_in(issuer) == named


def test_a_pool_can_be_pickled_and_copied() -> None:
    pool = UserPool("us-east-1_AbCdEfGhI", client_id="a", jwks={"keys": []})
    for other in (pickle.loads(pickle.dumps(pool)), copy.deepcopy(pool)):  # noqa: S301 - our own
        assert (other.user_pool_id, dict(other.issuers), other.jwks) == (
            pool.user_pool_id,
            dict(pool.issuers),
            pool.jwks,
        )
