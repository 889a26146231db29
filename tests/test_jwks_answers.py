"""Which answers of a key endpoint are taken, where only the answer matters: through `responses`, as users may do."""

import gzip
import json

import pytest
import responses

from cognito_verify import JwksCache, KeysUnavailableError
from cognito_verify.testing import FakeUserPool

POOL = FakeUserPool()
JWKS_URI = f"{POOL.issuer}/.well-known/jwks.json"
KID = POOL.header("access")["kid"]


def cache() -> JwksCache:
    made = JwksCache(retries=0)
    made.add_source(JWKS_URI)
    return made


@pytest.mark.parametrize("content_type", ["application/json", "text/html", "application/jwk-set+json"])
def test_a_jwks_is_taken_whatever_its_content_type_says(content_type: str) -> None:
    with responses.RequestsMock() as endpoint:
        endpoint.get(JWKS_URI, body=json.dumps(POOL.jwks), content_type=content_type)
        assert cache().key(JWKS_URI, KID) is not None


def test_a_jwks_may_come_in_gzip() -> None:
    with responses.RequestsMock() as endpoint:
        packed = gzip.compress(json.dumps(POOL.jwks).encode())
        endpoint.get(JWKS_URI, body=packed, headers={"Content-Encoding": "gzip"})
        assert cache().key(JWKS_URI, KID) is not None


@pytest.mark.parametrize("status", [201, 204, 206, 301, 302, 304, 400, 401, 403, 404, 405, 410, 429, 500, 502, 503])
def test_a_jwks_under_any_other_status_than_200_is_refused(status: int) -> None:
    with responses.RequestsMock() as endpoint:
        endpoint.get(JWKS_URI, json=POOL.jwks, status=status)
        refusing = cache()
        with pytest.raises(KeysUnavailableError):
            refusing.key(JWKS_URI, KID)
    told = refusing.status()[JWKS_URI]
    assert (told["last_error"], told["is_absent"]) == (f"answered {status}", status in (403, 404))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>Service Unavailable</html>", id="html"),
        pytest.param(json.dumps(POOL.jwks)[:-1].encode(), id="cut-off"),
        pytest.param(json.dumps(POOL.jwks).encode("utf-16"), id="utf-16"),
        pytest.param(b"\xef\xbb\xbf" + json.dumps(POOL.jwks).encode(), id="byte-order-mark"),
        pytest.param(json.dumps(POOL.jwks["keys"]).encode(), id="a-list"),
        pytest.param(b'{"keys": []}', id="no-key"),
        pytest.param(b'{"keys": null}', id="null"),
        pytest.param(
            json.dumps({"keys": [{**key, "use": "enc"} for key in POOL.jwks["keys"]]}).encode(), id="unusable"
        ),
        pytest.param(json.dumps({**POOL.jwks, "padding": "x" * 524_288}).encode(), id="over-512-KiB"),
    ],
)
def test_what_is_no_usable_jwks_is_refused(body: bytes) -> None:
    with responses.RequestsMock() as endpoint:
        endpoint.get(JWKS_URI, body=body)
        with pytest.raises(KeysUnavailableError):
            cache().key(JWKS_URI, KID)


def test_single_unusable_keys_are_skipped() -> None:
    with responses.RequestsMock() as endpoint:
        endpoint.get(JWKS_URI, json={"keys": [{"kty": "oct", "kid": "x", "k": "c2VjcmV0"}, 5, *POOL.jwks["keys"]]})
        assert cache().key(JWKS_URI, KID) is not None
