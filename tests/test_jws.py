"""The strict parse: what is let through has one spelling and one meaning; all else is refused by our own errors."""

from __future__ import annotations

import base64
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cognito_verify.errors import MalformedTokenError, MissingTokenError, shown
from cognito_verify.jws import UnverifiedJws, base64url_decoded, bearer_token, json_object, parse_compact

MAX = 16_384
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HEADER = {"kid": "one", "alg": "RS256"}

fixed = settings(derandomize=True, deadline=None, max_examples=150)
unicode = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(header: object = HEADER, payload: bytes = b"{}", signature: bytes = b"signature") -> str:
    """A token of this header, JSON or bytes. Nobody has signed it: nothing in this room asks."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return f"{encoded(head)}.{encoded(payload)}.{encoded(signature)}"


def outcome_of(parse: Callable[[Any], Any], given_value: object) -> Any:
    """What comes back, or the refusal as malformed. Anything else that is raised fails the test."""
    try:
        return parse(given_value)
    except MalformedTokenError as refusal:
        return refusal


def refusal_of(parse: Callable[..., object], *given_values: object) -> str:
    """The message with which a value is refused as malformed."""
    with pytest.raises(MalformedTokenError) as refusal:
        parse(*given_values)
    assert type(refusal.value) is MalformedTokenError
    message = str(refusal.value)
    assert message.isprintable()
    return message


# Segments


@fixed
@given(st.binary(min_size=1))
def test_any_bytes_have_a_spelling_that_is_read_back(data: bytes) -> None:
    assert base64url_decoded("segment", encoded(data)) == data


@fixed
@given(st.text(st.characters(), max_size=12) | st.text(ALPHABET + "=+/ \n.", max_size=12) | st.text(ALPHABET))
@example("AA=A")
@example("A===")
@example("AAA=AA")
@example("AB==")
def test_what_is_read_as_a_segment_has_no_second_spelling(segment: str) -> None:
    data = outcome_of(lambda given_value: base64url_decoded("segment", given_value), segment)
    assert type(data) is MalformedTokenError or encoded(data) == segment


@pytest.mark.parametrize(
    ("segment", "twin"),
    [
        pytest.param("QUJDRA==", "QUJDRA", id="padded"),
        pytest.param("QUJDRA=", "QUJDRA", id="half-padded"),
        pytest.param("QUJD=", "QUJD", id="padding-for-nothing"),
        pytest.param("QUJD====", "QUJD", id="padding-for-a-whole-quantum"),
        pytest.param("QU=D", "QUJD", id="padding-inside"),
        pytest.param("QUJDR", "QUJDRA", id="impossible-length"),
        pytest.param("Q", "QQ", id="one-character"),
        pytest.param("QUJDRB", "QUJDRA", id="stray-bits-of-four"),
        pytest.param("QUJDRG", "QUJDRA", id="stray-bit-of-four"),
        pytest.param("QUJDRUV", "QUJDRUU", id="stray-bit-of-two"),
        pytest.param("QUJ+", "QUJ-", id="plus"),
        pytest.param("QUJ/", "QUJ_", id="slash"),
        pytest.param("+UJD", "-UJD", id="plus-first"),
        pytest.param("QUJD\n", "QUJD", id="line-break-last"),
        pytest.param("QU\nJD", "QUJD", id="line-break-inside"),
        pytest.param("\nQUJD", "QUJD", id="line-break-first"),
        pytest.param(" QUJD", "QUJD", id="space-first"),
        pytest.param("QUJ\0", "QUJA", id="nul"),
        pytest.param("QU!D", "QUJD", id="foreign"),
        pytest.param("QUJ\x85", "QUJD", id="not-ascii"),
        pytest.param("====", "AAAA", id="padding-alone"),
    ],
)
def test_a_segment_is_canonical(segment: str, twin: str) -> None:
    message = refusal_of(base64url_decoded, "payload", segment)
    assert message.startswith("payload: expected canonical base64url without padding, found ")
    assert encoded(base64url_decoded("payload", twin)) == twin


@pytest.mark.parametrize(
    ("segment", "hint"),
    [
        pytest.param("QUJD\n", "white space in it or around it", id="white-space"),
        pytest.param("QUJDR", "is the token cut off?", id="cut-off"),
        pytest.param("QU!D", "4 characters that are not", id="foreign"),
    ],
)
def test_a_flaw_of_a_segment_is_named(segment: str, hint: str) -> None:
    assert refusal_of(base64url_decoded, "payload", segment).endswith(hint)


def test_an_empty_segment_is_refused() -> None:
    assert refusal_of(base64url_decoded, "payload", "").endswith("found nothing")
    assert base64url_decoded("payload", "AA") == b"\0"


# Tokens


def test_a_token_is_taken_apart_and_its_payload_left_unread() -> None:
    raw = token({"kid": "one", "alg": "none", "jku": "https://evil.example"}, b"\xff no JSON", b"\x00")
    jws = parse_compact(raw, MAX)
    assert jws.header == {"kid": "one", "alg": "none", "jku": "https://evil.example"}
    assert (jws.kid, jws.alg, jws.payload, jws.signature) == ("one", "none", b"\xff no JSON", b"\x00")
    assert jws.signing_input == raw.rpartition(".")[0].encode()


@fixed
@given(
    st.dictionaries(unicode, st.integers(-(10**39), 10**39)),
    st.binary(min_size=1),
    st.binary(min_size=1),
)
def test_what_is_parsed_encodes_to_the_same_token(more: dict[str, Any], payload: bytes, signature: bytes) -> None:
    more = {name: value for name, value in more.items() if name not in ("crit", "b64")}
    raw = token({**more, "kid": "one"}, payload, signature)
    jws = parse_compact(raw, MAX)
    assert jws.header == {**more, "kid": "one"}
    assert (jws.payload, jws.signature) == (payload, signature)
    assert f"{jws.signing_input.decode()}.{encoded(jws.signature)}" == raw


@fixed
@given(
    st.text(st.characters())
    | st.text(ALPHABET + ".= \n", max_size=60)
    | st.tuples(st.binary(), st.binary(), st.binary()).map(lambda parts: token(*parts))
    | st.binary().map(lambda data: token(b'{"kid":"one",' + data + b"}"))
    | st.none()
    | st.binary()
    | st.integers()
)
def test_anything_at_all_is_parsed_or_refused_as_malformed(raw: object) -> None:
    jws = outcome_of(lambda given_value: parse_compact(given_value, MAX), raw)
    if isinstance(jws, UnverifiedJws):
        assert f"{jws.signing_input.decode()}.{encoded(jws.signature)}" == raw
    else:
        assert type(jws) is MalformedTokenError
        assert str(jws).isprintable()


@fixed
@given(st.data())
def test_a_token_that_was_changed_anywhere_is_another_token_or_refused(data: st.DataObject) -> None:
    raw = token()
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:at] + data.draw(st.characters(max_codepoint=0x7F)) + raw[at + 1 :]
    jws, first = outcome_of(lambda given_value: parse_compact(given_value, MAX), changed), parse_compact(raw, MAX)
    if isinstance(jws, UnverifiedJws) and changed != raw:
        assert (jws.signing_input, jws.signature) != (first.signing_input, first.signature)


@pytest.mark.parametrize("raw", [None, 7, True, b"a.b.c", bytearray(b"a.b.c"), ["a.b.c"], object()], ids=type)
def test_a_token_is_a_string(raw: object) -> None:
    assert refusal_of(parse_compact, raw, MAX) == f"token: expected a str, found {type(raw).__name__}"


def test_a_token_has_a_longest_length() -> None:
    raw = token()
    assert parse_compact(raw, len(raw)).kid == "one"
    found = refusal_of(parse_compact, raw, len(raw) - 1)
    assert found == f"token: expected at most {len(raw) - 1} bytes, found {len(raw)}"


@pytest.mark.parametrize(
    "character", ["\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{FULLWIDTH DIGIT ONE}", "\ufeff", "\ud800"]
)
def test_characters_outside_ascii_are_refused(character: str) -> None:
    assert refusal_of(parse_compact, character + token(), MAX).endswith("found characters outside ASCII")
    assert refusal_of(parse_compact, token() + character, MAX).endswith("found characters outside ASCII")


SCHEME_IN_FRONT = "a scheme in front of the token: pass the header's value through bearer_token() first"


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        pytest.param("", "nothing between the dots", id="empty"),
        pytest.param(".", "nothing between the dots", id="dot"),
        pytest.param("...", "nothing between the dots", id="dots"),
        pytest.param(f"Bearer {token()}", SCHEME_IN_FRONT, id="scheme"),
        pytest.param(f"bEARER {token()}", SCHEME_IN_FRONT, id="scheme-in-any-case"),
        pytest.param(f" {token()}", "white space", id="space-first"),
        pytest.param(f"two words {token()}", "white space", id="words"),
        pytest.param("a.b\n", "white space", id="line-break"),
        pytest.param("a b", "white space", id="space"),
        pytest.param(
            "3f2a7c1e-refresh",
            "one: an opaque token, perhaps a refresh token or an authorization code; send the access or ID token",
            id="opaque",
        ),
        pytest.param(
            "a.b.c.d.e",
            "five: an encrypted token, perhaps a refresh token, which only Cognito reads; send the access or ID token",
            id="jwe",
        ),
        pytest.param("a.b", "2", id="two"),
        pytest.param("X.X", "2", id="two-letters"),
        pytest.param("a.b.c.d", "4", id="four"),
        pytest.param(f"{token()}.x", "4", id="one-more"),
        pytest.param("a" + ".b" * 7, "8", id="eight"),
    ],
)
def test_what_is_not_three_segments_is_refused_with_what_it_may_be(raw: str, found: str) -> None:
    assert refusal_of(parse_compact, raw, MAX) == f"token: expected three segments parted by '.', found {found}"


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        pytest.param(f".{encoded(b'{}')}.AA", "header", id="no-header"),
        pytest.param(token(payload=b""), "payload", id="no-payload"),
        pytest.param(token(signature=b""), "signature", id="no-signature"),
        pytest.param("..", "header", id="nothing"),
        pytest.param(f"{token()}=", "signature", id="padded"),
        pytest.param(f"{token()}\n", "signature", id="line-break-last"),
        pytest.param(f"{token()} ", "signature", id="space-last"),
        pytest.param(f"\n{token()}", "header", id="line-break-first"),
        pytest.param(f"\t{token()}", "header", id="tab-first"),
        pytest.param(token(signature=b"\0")[:-1] + "B", "signature", id="stray-bits"),
        pytest.param(token().replace(".", ". ", 1), "payload", id="space-inside"),
    ],
)
def test_each_segment_is_canonical_and_not_empty(raw: str, where: str) -> None:
    assert refusal_of(parse_compact, raw, MAX).startswith(f"{where}: expected canonical base64url without padding")
    assert parse_compact(token(), MAX).kid == "one"


# Headers


@pytest.mark.parametrize("kid", [None, "", 7, True, ["one"], {"a": 1}, 1.5], ids=repr)
def test_a_header_names_its_key(kid: object) -> None:
    message = refusal_of(parse_compact, token({**HEADER, "kid": kid}), MAX)
    why = "Cognito's tokens have one, an emulator's refresh token has none"
    assert message == f"header: expected 'kid' to be a non-empty string, found {kid!r}; {why}"
    assert parse_compact(token({**HEADER, "kid": "0"}), MAX).kid == "0"


def test_a_header_without_a_kid_is_refused() -> None:
    assert "found None" in refusal_of(parse_compact, token({"alg": "RS256"}), MAX)
    assert parse_compact(token({"kid": "one"}), MAX).alg is None  # whether that is a good `alg` is decided later


@pytest.mark.parametrize("b64", [False, None, 0, 1, "true"], ids=repr)
def test_a_payload_that_would_not_be_in_base64url_is_refused(b64: object) -> None:
    """Without `crit`, which RFC 7797 asks for, one reader takes the payload as it stands and another decodes it."""
    message = refusal_of(parse_compact, token({**HEADER, "b64": b64}), MAX)
    assert message == f"header: expected no 'b64' but true, found {shown(b64)}"
    assert parse_compact(token({**HEADER, "b64": True}), MAX).kid == "one"


@pytest.mark.parametrize("crit", [["exp"], [], None, "b64", False], ids=repr)
def test_a_critical_header_is_refused(crit: object) -> None:
    message = refusal_of(parse_compact, token({**HEADER, "crit": crit}), MAX)
    assert message.startswith("header: expected no 'crit'")
    assert parse_compact(token({**HEADER, "Crit": crit}), MAX).kid == "one"


@pytest.mark.parametrize("length", [1, 5_000], ids=["remembered", "long"])
def test_a_header_is_read_alike_at_the_second_time(length: int) -> None:
    good = token({**HEADER, "x": "y" * length})
    assert parse_compact(good, MAX).header == parse_compact(good, MAX).header == {**HEADER, "x": "y" * length}
    bad = token({"alg": "RS256", "x": "y" * length})
    assert refusal_of(parse_compact, bad, MAX) == refusal_of(parse_compact, bad, MAX)


def test_a_flood_of_forged_headers_pushes_out_no_meaning() -> None:
    for number in range(200):
        assert parse_compact(token({"kid": f"forged-{number}"}), MAX).kid == f"forged-{number}"
    assert parse_compact(token(), MAX).header == HEADER


@pytest.mark.parametrize("header", [b"{}", b"[]", b"null", b'"kid"', b"", b"{", b"\xff"], ids=repr)
def test_a_header_is_a_json_object(header: bytes) -> None:
    assert refusal_of(parse_compact, token(header), MAX).startswith("header: expected ")


# JSON


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        (" \t\r\n{ } \n", {}),
        ('{"a": [1, -2, 3.5, 1e3, true, false, null, "x"]}', {"a": [1, -2, 3.5, 1000.0, True, False, None, "x"]}),
        ('{"a": {"a": {"a": 1}}}', {"a": {"a": {"a": 1}}}),
        ('{"\\u00e9": "\\ud83d\\ude00"}', {"\N{LATIN SMALL LETTER E WITH ACUTE}": "\N{GRINNING FACE}"}),
        ('{"a": "\N{GRINNING FACE}\\n\\\\"}', {"a": "\N{GRINNING FACE}\n\\"}),
        ('{"": ""}', {"": ""}),
        ('{"a": "{[[["}', {"a": "{[[["}),
        ('{"a": 1e-400}', {"a": 0.0}),
        ('{"a": -0}', {"a": 0}),
        (f'{{"a": {"9" * 40}}}', {"a": int("9" * 40)}),
        (f'{{"a": -{"9" * 40}}}', {"a": -int("9" * 40)}),
    ],
)
def test_a_plain_object_is_read(text: str, value: dict[str, object]) -> None:
    assert json_object("payload", text.encode()) == value


def nested(levels: int, innermost: str, kind: str) -> bytes:
    """So many objects or arrays around something, in one object."""
    opening, closing = {"object": ('{"a":', "}"), "array": ("[", "]")}[kind]
    return f'{{"a":{opening * (levels - 1)}{innermost}{closing * (levels - 1)}}}'.encode()


@pytest.mark.parametrize(
    ("data", "twin"),
    [
        pytest.param(b"", b"{}", id="nothing"),
        pytest.param(b" ", b" {}", id="white-space"),
        pytest.param(b"[]", b"{}", id="array"),
        pytest.param(b"null", b"{}", id="null"),
        pytest.param(b'"{}"', b"{}", id="string"),
        pytest.param(b"1", b'{"a":1}', id="number"),
        pytest.param(b"true", b'{"a":true}', id="boolean"),
        pytest.param(b"{", b"{}", id="cut-short"),
        pytest.param(b"{}{}", b"{}", id="two-objects"),
        pytest.param(b"{}\0", b"{}", id="nul-behind"),
        pytest.param(b"X{}", b"\n{}", id="letter-in-front"),
        pytest.param(b"{} x", b"{} ", id="more-behind"),
        pytest.param(b"\x0b{}", b"\n{}", id="vertical-tab"),
        pytest.param(b"\xc2\xa0{}", b" {}", id="no-break-space"),
        pytest.param(b"\xef\xbb\xbf{}", b"{}", id="byte-order-mark"),
        pytest.param('{"a":1}'.encode("utf-16"), b'{"a":1}', id="utf-16"),
        pytest.param('{"a":1}'.encode("utf-32-le"), b'{"a":1}', id="utf-32"),
        pytest.param(b'{"a":"\xff"}', b'{"a":"f"}', id="not-utf-8"),
        pytest.param(b'{"a":"\xc0\x80"}', b'{"a":"0"}', id="overlong"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', b'{"a":"\xed\x9f\xbf"}', id="surrogate-in-utf-8"),
        pytest.param(b'{"a":1,"a":1}', b'{"a":1,"b":1}', id="duplicate"),
        pytest.param(b'{"a":1,"\\u0061":2}', b'{"a":1,"\\u0062":2}', id="duplicate-by-escape"),
        pytest.param(b'{"x":[{"a":{"b":1,"b":2}}]}', b'{"x":[{"a":{"b":1,"c":2}}]}', id="duplicate-inside"),
        pytest.param(b'{"a":NaN}', b'{"a":"NaN"}', id="nan"),
        pytest.param(b'{"a":Infinity}', b'{"a":"Infinity"}', id="infinity"),
        pytest.param(b'{"a":-Infinity}', b'{"a":"-Infinity"}', id="minus-infinity"),
        pytest.param(b'{"a":1e400}', b'{"a":1e300}', id="overflow"),
        pytest.param(b'{"a":[-1e400]}', b'{"a":[-1e300]}', id="overflow-below-zero"),
        pytest.param(b'{"a":' + b"9" * 400 + b".0}", b'{"a":' + b"9" * 300 + b".0}", id="overflow-in-digits"),
        pytest.param(b'{"a":' + b"1" * 41 + b"}", b'{"a":' + b"1" * 40 + b"}", id="long-integer"),
        pytest.param(b'{"a":-' + b"1" * 41 + b"}", b'{"a":-' + b"1" * 40 + b"}", id="long-integer-below-zero"),
        pytest.param(b'{"a":' + b"1" * 10_000 + b"}", b'{"a":1}', id="integer-bomb"),
        pytest.param(b'{"a":01}', b'{"a":1}', id="leading-zero"),
        pytest.param(b'{"a":+1}', b'{"a":1}', id="plus"),
        pytest.param(b'{"a":.5}', b'{"a":0.5}', id="no-integer-part"),
        pytest.param(b'{"a":0x1}', b'{"a":1}', id="hexadecimal"),
        pytest.param('{"a":\N{ARABIC-INDIC DIGIT ONE}}'.encode(), b'{"a":1}', id="digit-of-another-script"),
        pytest.param(b"{'a':1}", b'{"a":1}', id="single-quotes"),
        pytest.param(b"{a:1}", b'{"a":1}', id="no-quotes"),
        pytest.param(b'{"a":1,}', b'{"a":1}', id="trailing-comma"),
        pytest.param(b'{"a":1}//', b'{"a":1}', id="comment"),
        pytest.param(b'{"a":"\n"}', b'{"a":"\\n"}', id="raw-line-break"),
        pytest.param(b'{"a":"\0"}', b'{"a":"0"}', id="raw-nul"),
        pytest.param(b'{"a":"\\u0000"}', b'{"a":"\\u0001"}', id="nul"),
        pytest.param(b'{"\\u0000":1}', b'{"\\u0001":1}', id="nul-in-a-name"),
        pytest.param(b'{"a":[["x","y\\u0000z"]]}', b'{"a":[["x","y\\u0001z"]]}', id="nul-inside"),
        pytest.param(b'{"a":"\\ud800"}', b'{"a":"\\ud83d\\ude00"}', id="lone-high-surrogate"),
        pytest.param(b'{"a":"\\udc00"}', b'{"a":"\\ud83d\\ude00"}', id="lone-low-surrogate"),
        pytest.param(b'{"a":"\\ude00\\ud83d"}', b'{"a":"\\ud83d\\ude00"}', id="surrogates-the-wrong-way"),
        pytest.param(b'{"a":{"\\udfff":1}}', b'{"a":{"\\ue000":1}}', id="surrogate-in-a-name-inside"),
        pytest.param(nested(65, "1", "object"), nested(64, "1", "object"), id="deep-objects"),
        pytest.param(nested(65, "1", "array"), nested(64, "1", "array"), id="deep-arrays"),
        pytest.param(nested(64, "{}", "object"), nested(63, "{}", "object"), id="deep-empty-object"),
        pytest.param(nested(64, "[]", "array"), nested(63, "[]", "array"), id="deep-empty-array"),
        pytest.param(nested(64, '["\\u0000"]', "array"), nested(63, '["0"]', "array"), id="deep-nul"),
        pytest.param(b'{"a":' + b"[" * 100_000, b'{"a":[]}', id="nesting-bomb"),
        pytest.param(nested(100_000, "1", "object"), b'{"a":1}', id="nesting-bomb-that-ends"),
    ],
)  # fmt: skip
def test_what_readers_of_json_may_take_in_two_ways_is_refused(data: bytes, twin: bytes) -> None:
    assert refusal_of(json_object, "payload", data).startswith("payload: expected ")
    assert isinstance(json_object("payload", twin), dict)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**39), 10**39) | st.floats(allow_nan=False, allow_infinity=False)
    | unicode,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(unicode, inner),
    max_leaves=5,
)  # fmt: skip


@settings(fixed, max_examples=60)
@given(st.dictionaries(unicode, json_values, max_size=4), st.booleans())
def test_any_object_within_the_rules_is_read_back(value: dict[str, object], ascii_alone: bool) -> None:
    assert json_object("payload", json.dumps(value, ensure_ascii=ascii_alone).encode()) == value


@fixed
@given(
    st.binary()
    | st.text('{}[]",:\\u0 dc8e1-.NaIfity\ud800', max_size=40).map(lambda text: text.encode(errors="replace"))
    | st.text('{}[]",:\\u0 d8e1-.', max_size=40).map(lambda inner: f'{{"a":{inner}}}'.encode())
)
def test_any_bytes_are_read_as_python_reads_them_or_refused_as_malformed(data: bytes) -> None:
    value = outcome_of(lambda given_value: json_object("payload", given_value), data)
    assert type(value) is MalformedTokenError or value == json.loads(data)


def test_a_caller_near_the_end_of_the_stack_is_not_hit_by_a_nesting_bomb() -> None:
    def deep(levels: int) -> str:
        return deep(levels - 1) if levels else refusal_of(json_object, "payload", nested(400, "1", "array"))

    assert deep(sys.getrecursionlimit() // 3).startswith("payload: expected ")


# No trace of the token


SECRET = b"eyJzZWNyZXQiOiJ2YWx1ZSJ9"


@pytest.mark.parametrize(
    ("parse", "given_values"),
    [
        pytest.param(json_object, ("payload", b'{"a":"' + SECRET + b'\xff"}'), id="not-utf-8"),
        pytest.param(json_object, ("payload", b'{"a":"' + SECRET + b'"'), id="no-json"),
        pytest.param(json_object, ("payload", b'{"a":"' + SECRET + b'\\ud800"}'), id="surrogate"),
        pytest.param(json_object, ("payload", b'{"' + SECRET + b'":1,"' + SECRET + b'":2}'), id="duplicate"),
        pytest.param(base64url_decoded, ("payload", SECRET.decode() + "!AAA"), id="no-base64url"),
        pytest.param(parse_compact, (SECRET.decode(), MAX), id="opaque"),
        pytest.param(parse_compact, (f"{SECRET.decode()}.AA.AA", MAX), id="no-kid"),
        pytest.param(parse_compact, (f"{SECRET.decode()} AA.AA", MAX), id="white-space"),
        pytest.param(bearer_token, (f"{SECRET.decode()} {SECRET.decode()}",), id="two-tokens"),
        pytest.param(bearer_token, (f"Bearer {SECRET.decode()},{SECRET.decode()}",), id="comma"),
    ],
)
def test_no_refusal_carries_the_token_along(parse: Callable[..., object], given_values: tuple[object, ...]) -> None:
    with pytest.raises(MalformedTokenError) as refusal:
        parse(*given_values)
    assert type(refusal.value) is MalformedTokenError
    assert refusal.value.__context__ is None
    assert SECRET.decode() not in "".join(traceback.format_exception_only(refusal.value))
    assert SECRET.decode() not in repr(refusal.value.__dict__)


def test_a_token_taken_apart_does_not_show_its_content() -> None:
    jws = parse_compact(token(payload=SECRET, signature=SECRET), MAX)
    assert "secret" not in repr(jws)
    assert SECRET.decode() not in repr(jws)
    assert "one" not in repr(jws)
    assert not hasattr(jws, "__dict__")
    assert isinstance(jws, UnverifiedJws)


# Authorization headers


@pytest.mark.parametrize("scheme", ["my_scheme", "x.y", "Scheme-Of-Twenty-Five-Chars", "AWS4-HMAC-SHA256", "DPoP"])
def test_another_scheme_is_a_missing_token_that_is_named(scheme: str) -> None:
    with pytest.raises(MissingTokenError) as refusal:
        bearer_token(f"{scheme} abc")
    assert str(refusal.value) == f"Authorization: expected the scheme 'Bearer', found {scheme!r}"
    assert bearer_token("Bearer abc") == "abc"


def test_a_scheme_that_is_not_plain_is_not_shown() -> None:
    with pytest.raises(MissingTokenError, match=r"found another$"):
        bearer_token("5$ abc")


def test_a_usual_scheme_alone_is_no_token() -> None:
    with pytest.raises(MissingTokenError, match=r"found 'Basic'$"):
        bearer_token("Basic")
    assert bearer_token("Basics") == "Basics"


@pytest.mark.parametrize(
    "value",
    [
        "abc.def.ghi", "Bearer abc.def.ghi", "bearer abc.def.ghi", "BEARER abc.def.ghi", "bEaReR   abc.def.ghi",
        "  Bearer abc.def.ghi  ", "\tBearer\tabc.def.ghi\t", " abc.def.ghi ", "\tabc.def.ghi",
    ],
    ids=repr,
)  # fmt: skip
def test_a_bearer_token_is_found_with_or_without_its_scheme(value: str) -> None:
    assert bearer_token(value) == "abc.def.ghi"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        pytest.param(None, "found nothing", id="absent"),
        pytest.param("", "found nothing", id="empty"),
        pytest.param(" \t ", "found nothing", id="white-space"),
        pytest.param("Bearer", "found the scheme alone", id="scheme"),
        pytest.param("bearer  ", "found the scheme alone", id="scheme-and-spaces"),
        pytest.param("Basic dXNlcjpwYXNz", "found 'Basic'", id="basic"),
        pytest.param("DPoP abc.def.ghi", "found 'DPoP'", id="dpop"),
        pytest.param("Digest username=a, realm=b", "found 'Digest'", id="digest"),
        pytest.param("AWS4-HMAC-SHA256 Credential=a, Signature=b", "found 'AWS4-HMAC-SHA256'", id="aws"),
        pytest.param("Bearers abc.def.ghi", "found 'Bearers'", id="almost"),
    ],
)
def test_no_bearer_token_is_a_missing_token(value: str | None, found: str) -> None:
    with pytest.raises(MissingTokenError) as refusal:
        bearer_token(value)
    assert type(refusal.value) is MissingTokenError
    assert str(refusal.value).startswith("Authorization: expected ")
    assert str(refusal.value).endswith(found)
    assert bearer_token("Bearer abc.def.ghi") == "abc.def.ghi"


@pytest.mark.parametrize(
    "value",
    [
        "Bearer abc.def.ghi abc.def.ghi", "Bearer abc.def.ghi, Bearer abc.def.ghi", "Bearer abc.def.ghi,abc.def.ghi",
        "abc.def.ghi,abc.def.ghi", "abc.def.ghi abc.def.ghi", "Bearer Bearer abc.def.ghi", "Bearer abc.def.ghi,",
        ",", "Bearer ,", "Bearer: abc.def.ghi", "Bearer, abc.def.ghi",
    ],
    ids=repr,
)  # fmt: skip
def test_two_tokens_are_ambiguous(value: str) -> None:
    assert refusal_of(bearer_token, value) == "Authorization: expected one token, found more"


@pytest.mark.parametrize("value", [7, b"Bearer abc.def.ghi", ["Bearer abc.def.ghi"], True, 0, False, [], b""], ids=repr)
def test_a_header_value_is_a_string(value: Any) -> None:
    assert refusal_of(bearer_token, value) == f"Authorization: expected a str, found {type(value).__name__}"


@fixed
@given(st.text(st.characters(), max_size=30) | st.text("Beare \t,ab.", max_size=12))
def test_any_header_value_gives_one_word_or_one_of_our_refusals(value: str) -> None:
    try:
        found = bearer_token(value)
    except (MissingTokenError, MalformedTokenError) as refusal:
        message = str(refusal)
    else:
        message = ""
        assert found in value
        assert not {" ", "\t", ","} & set(found)
        assert bearer_token(found) == bearer_token(f"Bearer {found}") == found
    assert message.isprintable()


@fixed
@given(st.text(st.characters(), max_size=30) | st.text("Be \t,a.b\n", max_size=8))
def test_the_usual_spelling_of_the_scheme_is_read_as_any_other(value: str) -> None:
    outcomes: list[tuple[type, str]] = []
    for scheme in ("Bearer", "bEARER"):
        try:
            outcomes.append((str, bearer_token(f"{scheme} {value}")))
        except (MissingTokenError, MalformedTokenError) as refusal:
            outcomes.append((type(refusal), str(refusal)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("inside", ['\\"', "\\", '"', 'a"', '\\\\"'], ids=repr)
def test_looking_for_deep_nesting_takes_time_in_step_with_the_text(inside: str) -> None:
    """A thousand times the size of a token: what takes the square of its length would not end here."""
    refusal_of(json_object, "payload", ("[" * 70 + '"' + inside * (4_000_000 // len(inside))).encode())


@pytest.mark.parametrize(
    ("content", "most", "limit"),
    [
        pytest.param(lambda n: {f"claim {i}": "a:b" for i in range(n)}, 256, "256 members", id="members"),
        pytest.param(lambda n: {"o": [{"name": ":"}] * n}, 255, "256 members", id="members-of-inner-objects"),
        pytest.param(lambda n: {"cognito:groups": ["a,[b"] * n}, 999, "1000 values", id="elements"),
        pytest.param(lambda n: {"lists": [[]] * n}, 499, "1000 values", id="empty-lists"),
        pytest.param(lambda n: {"objects": [{}] * n}, 499, "1000 values", id="empty-objects"),
        pytest.param(lambda n: {"l": ['\\"', [], '"[', "\\", "{"] * n}, 166, "1000 values", id="between-escapes"),
    ],
)
def test_what_has_proven_nothing_yet_may_not_cost_much(
    content: Callable[[int], dict[str, Any]], most: int, limit: str
) -> None:
    accepted, refused = (json.dumps({**content(n), "long": "x" * 1_300}).encode() for n in (most - 1, most + 1))
    assert json_object("payload", accepted) == json.loads(accepted)
    assert f"at most {limit} in all" in refusal_of(json_object, "payload", refused)
    assert json_object("jwks", refused, is_from_stranger=False) == json.loads(refused)


def test_signs_in_strings_count_for_nothing() -> None:
    content = {'":{': ":,[{" * 2_000, "escaped": '"\\":,[{' * 500, "groups": ['\\"', ",:", '"[', "\\"] * 100}
    assert json_object("payload", json.dumps(content).encode()) == content


def test_many_lists_side_by_side_are_no_deep_nesting() -> None:
    content = {"lists": [[n] for n in range(100)], "brackets": "[" * 100 + '"'}
    assert json_object("payload", json.dumps(content).encode()) == content
    deep = b'{"a":' * 65 + b"1" + b"}" * 65
    assert "at most 64 levels" in refusal_of(json_object, "payload", deep)
    assert json_object("payload", deep[5:-1]) is not None
