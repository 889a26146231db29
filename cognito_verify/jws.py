"""Strict parse of a compact JWS (RFC 7515 section 7.1). Nothing in here is trusted yet."""

from __future__ import annotations

import re
from binascii import a2b_base64
from functools import lru_cache
from json import JSONDecoder
from json.scanner import make_scanner
from math import isfinite
from typing import Any

from cognito_verify.errors import MalformedTokenError, MissingTokenError, TokenError, shown

__all__ = [
    "JsonObject",
    "UnverifiedJws",
    "base64url_decoded",
    "bearer_token",
    "json_object",
    "parse_compact",
    "plain_token",
]

JsonObject = dict[str, Any]

_MAX_INTEGER_DIGITS = 40
_MAX_DEPTH = 64
# What garbage may cost before its signature is looked at: 25 x a good token in time, 10 x its own size in memory
# (`make bench`, the cost of garbage). A member costs 200 bytes and 0.4 us, an element a third of that. Cognito itself
# writes some 30 members, 50 custom attributes and 100 groups at most ("Quotas in Amazon Cognito", Developer Guide).
_MAX_MEMBERS = 256
_MAX_VALUES = 1_000
_SHORTEST_TO_COUNT = 5 * _MAX_MEMBERS  # characters: `"":1,` times the members, less than `1,` times the values
_REMEMBERED_HEADER_CHARACTERS = 256

_PADDING = ("", "", "==", "=")  # by length % 4; a length of 1 is refused before
# The last character of a segment, by length % 4: its unused low bits must be zero (RFC 4648 section 3.5).
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LAST_CHARACTERS = (_ALPHABET, "", _ALPHABET[::16], _ALPHABET[::4])

# A scheme in front of something else (RFC 9110 section 11.1: a token): short, without the two dots of a JWS or the
# `{"` in base64url that one starts with. Shown where it is plain. And the usual ones, known also where nothing follows.
_SCHEME = r"(?!eyJ|.*\..*\.)[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}"
_SHOWN_SCHEME = r"[A-Za-z][A-Za-z0-9_.+-]*"
_SCHEMES = frozenset({"basic", "digest", "dpop", "hoba", "negotiate", "ntlm", "aws4-hmac-sha256"})
_SURROGATE_OR_NUL = "[\0\ud800-\udfff]"

_CURLY_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_ALL_BUT_SIGNS = bytes(set(range(256)).difference(b'"[]{},:'))


class UnverifiedJws:
    """A token taken apart. Believe no field before the signature over `signing_input` is checked."""

    # Neither a dataclass nor frozen: on the hot path that costs 1 us more. No repr shows the content: a traceback or a
    # log line must not carry the token.
    __slots__ = ("alg", "header", "kid", "payload", "signature", "signing_input")

    def __init__(
        self, header: tuple[JsonObject, str, object], payload: bytes, signature: bytes, signing_input: bytes
    ) -> None:
        # The header is shared between tokens: not to be changed, and copied before it is handed out.
        self.header, self.kid, self.alg = header
        self.payload = payload
        self.signature = signature
        self.signing_input = signing_input


def bearer_token(header_value: str | None) -> str:
    """The token in the value of an `Authorization` header: `Bearer x`, in any case, or the bare token.

    Raises:
        MissingTokenError: Nothing, `Bearer` alone, or another scheme.
        MalformedTokenError: More than one token, or no string.

    Source: RFC 6750 section 2.1; RFC 9110 section 11.4.
    """
    token = plain_token(header_value) or _token_or_refusal(header_value)
    del header_value  # a report with the local variables of this frame must not show it
    if isinstance(token, TokenError):
        raise token
    return token


def plain_token(header_value: object) -> str | None:
    """The token in what nearly everybody sends; None for all else, which `bearer_token` reads or refuses.

    `bearer_token` would come to the same by its rules alone, 1.2 us later (`make bench`, the decorator).
    """
    if type(header_value) is str and header_value.startswith("Bearer "):
        token = header_value[7:]
        if token and " " not in token and "\t" not in token and "," not in token:
            return token
    return None


def _token_or_refusal(header_value: object) -> str | TokenError:
    if header_value is not None and not isinstance(header_value, str):
        return MalformedTokenError(f"Authorization: expected a str, found {type(header_value).__name__}")
    words = (header_value or "").replace("\t", " ").split(" ")
    scheme, *rest = [word for word in words if word] or [""]
    if not scheme or (scheme.lower() == "bearer" and not rest):
        found = "the scheme alone" if scheme else "nothing"
        return MissingTokenError(f"Authorization: expected a bearer token, found {found}")
    is_another_scheme = re.fullmatch(_SCHEME, scheme) if rest else scheme.lower() in _SCHEMES
    if scheme.lower() != "bearer" and is_another_scheme:
        found = repr(scheme) if re.fullmatch(_SHOWN_SCHEME, scheme) else "another"
        return MissingTokenError(f"Authorization: expected the scheme 'Bearer', found {found}")
    tokens = rest if scheme.lower() == "bearer" else [scheme, *rest]
    if len(tokens) > 1 or "," in tokens[0]:
        return MalformedTokenError("Authorization: expected one token, found more")
    return tokens[0]


def parse_compact(raw: object, max_token_bytes: int) -> UnverifiedJws:
    """Take a compact JWS apart, its header read, its payload decoded and not yet read.

    Args:
        raw: What was sent as a token.
        max_token_bytes: Longer ones are refused unread.

    Raises:
        MalformedTokenError: Anything but three canonical unpadded base64url segments (RFC 7515 section 2, RFC 4648
            section 3.5), a header that is no strict JSON object, has no `kid`, has a `crit` that we would have to
            understand (RFC 7515 section 4.1.11), or says that its payload is not in base64url (RFC 7797).
    """
    if not isinstance(raw, str):
        raise MalformedTokenError(f"token: expected a str, found {type(raw).__name__}")
    if len(raw) > max_token_bytes:
        raise MalformedTokenError(f"token: expected at most {max_token_bytes} bytes, found {len(raw)}")
    if not raw.isascii():
        raise MalformedTokenError("token: expected base64url segments, found characters outside ASCII")
    signing_input, _, signature = raw.rpartition(".")  # two partitions are faster than one split
    header, dot, payload = signing_input.partition(".")
    if not dot or "." in payload or " " in header:
        raise MalformedTokenError(f"token: expected three segments parted by '.', found {_likely_instead(raw)}")
    # All tokens of a key have the same header: remembering it saves 4 us (`benchmarks --profile`). Only short ones are
    # remembered, and 64 of them, so that forged headers cannot fill the memory.
    read = _remembered_header if len(header) <= _REMEMBERED_HEADER_CHARACTERS else _read_header
    return UnverifiedJws(
        read(header),
        base64url_decoded("payload", payload),
        base64url_decoded("signature", signature),
        signing_input.encode(),
    )


def json_object(where: str, data: bytes, *, is_from_stranger: bool = True) -> JsonObject:
    """`data` as a JSON object by the strict rules: no duplicate member, nothing that readers take in two ways.

    Args:
        is_from_stranger: Whoever sent it has proven nothing yet, so it may not cost much: 256 members, 1,000 values.

    Raises:
        MalformedTokenError: Not UTF-8 (RFC 8259 section 8.1), no JSON object, a duplicate member at any depth (RFC 7515
            section 4, RFC 8259 section 4), NaN or Infinity, a number that overflows, an integer of more than 40
            digits, more than 64 levels, a lone surrogate or a NUL; too many members or values.
    """
    text, value, end = "", None, 0
    try:
        text = data.decode().strip(" \t\n\r")  # the white space of RFC 8259 section 2
        if is_from_stranger and len(text) > _SHORTEST_TO_COUNT:
            _check_size(where, text)
        if text.count("{") + text.count("[") > _MAX_DEPTH:
            _check_depth(where, text)
        value, end = _scan_once(text, 0)  # what `JSONDecoder.decode` does, without its search for white space
    except (ValueError, StopIteration, RecursionError):
        pass  # refused below, not here: inside the handler the error's __context__ would hold the token
    if type(value) is not dict or end != len(text):
        raise MalformedTokenError(
            f"{where}: expected a JSON object in UTF-8 without duplicate members, NaN or oversized numbers"
        )
    if "\\" in text:  # only an escape brings in a lone surrogate or a NUL
        _check_strings(where, value)
    return value


def base64url_decoded(where: str, segment: str) -> bytes:
    """The bytes of a canonical unpadded base64url segment (RFC 7515 section 2); there is one spelling for any bytes.

    Raises:
        MalformedTokenError: Empty, padded, a foreign character, an impossible length or stray trailing bits.
    """
    remainder = len(segment) % 4
    if segment and segment[-1] in _LAST_CHARACTERS[remainder] and "+" not in segment and "/" not in segment:
        # Half the time of `urlsafe_b64decode`, which would skip foreign characters (`benchmarks --profile`).
        base64 = segment.replace("-", "+").replace("_", "/")
        try:
            return a2b_base64(base64 + _PADDING[remainder], strict_mode=True)
        except ValueError:
            pass  # refused below: inside the handler the error's __context__ would hold the segment
    raise MalformedTokenError(f"{where}: expected canonical base64url without padding, found {_flaw(segment)}")


def _flaw(segment: str) -> str:
    if not segment:
        return "nothing"
    if segment.split() != [segment]:
        return "white space in it or around it"
    if len(segment) % 4 == 1:
        return f"{len(segment)} characters, which no bytes give: is the token cut off?"
    return f"{len(segment)} characters that are not"


def _read_header(segment: str) -> tuple[JsonObject, str, object]:
    header = json_object("header", base64url_decoded("header", segment))
    if "crit" in header:
        raise MalformedTokenError("header: expected no 'crit', since no critical extension is understood here")
    if header.get("b64", True) is not True:
        # RFC 7797 section 6 wants it in `crit`; without, whoever knows it reads another payload than whoever does not.
        raise MalformedTokenError(f"header: expected no 'b64' but true, found {shown(header['b64'])}")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise MalformedTokenError(
            f"header: expected 'kid' to be a non-empty string, found {shown(kid)}; "
            "Cognito's tokens have one, an emulator's refresh token has none"
        )
    return header, kid, header.get("alg")


_remembered_header = lru_cache(maxsize=64)(_read_header)


def _likely_instead(raw: str) -> str:
    dots = raw.count(".")
    if raw[:7].lower() == "bearer ":
        return "a scheme in front of the token: pass the header's value through bearer_token() first"
    if not raw.isprintable() or " " in raw:
        return "white space"
    if not raw.strip("."):
        return "nothing between the dots"
    if dots == 4:
        return (
            "five: an encrypted token, perhaps a refresh token, which only Cognito reads; send the access or ID token"
        )
    if dots == 0:
        return "one: an opaque token, perhaps a refresh token or an authorization code; send the access or ID token"
    return f"{dots + 1}"


def _members(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError  # in no words: `json_object` has its own
    return members


def _integer(digits: str) -> int:
    if len(digits) > _MAX_INTEGER_DIGITS and len(digits.removeprefix("-")) > _MAX_INTEGER_DIGITS:
        raise ValueError  # converting digits costs quadratic time
    return int(digits)


def _finite(number: str) -> float:
    value = float(number)
    if not isfinite(value):
        raise ValueError
    return value


def _refused_constant(_: str) -> None:
    raise ValueError


_STRICT_JSON: Any = JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_finite, parse_constant=_refused_constant
)
_scan_once = make_scanner(_STRICT_JSON)


def _check_size(where: str, text: str) -> None:
    if text.count(":") > _MAX_MEMBERS or sum(map(text.count, ",[{")) > _MAX_VALUES:
        signs = _signs_outside_of_strings(text)  # inside they are free, as many as there are
        if signs.count(b":") > _MAX_MEMBERS:
            raise MalformedTokenError(f"{where}: expected at most {_MAX_MEMBERS} members in all, found more")
        if sum(map(signs.count, (b",", b"[", b"{"))) > _MAX_VALUES:
            raise MalformedTokenError(f"{where}: expected at most {_MAX_VALUES} values in all, found more")


def _check_depth(where: str, text: str) -> None:
    # Before the text is read: what recursion costs is not ours to decide (`sys.setrecursionlimit`, a thread's stack).
    brackets = _signs_outside_of_strings(text).translate(_CURLY_AS_SQUARE, b",:")
    for _ in range(_MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")  # the innermost level
    if brackets:
        raise MalformedTokenError(f"{where}: expected at most {_MAX_DEPTH} levels of nesting, found more")


def _signs_outside_of_strings(text: str) -> bytes:
    # Exact up to where the text stops being JSON, which is as far as it is read. Most strings hold no sign and are `""`
    # by then: what is left for the pattern is short, and no text can make it fail and try again.
    signs = text.replace("\\\\", "").replace('\\"', "").encode().translate(None, _ALL_BUT_SIGNS)
    return re.sub(rb'"[^"]*"?', b"", signs.replace(b'""', b""))


def _check_strings(where: str, value: JsonObject) -> None:
    strings: list[str] = []
    level: list[Any] = [value]
    while level:
        inner: list[Any] = []
        for container in level:
            for one in [*container, *container.values()] if type(container) is dict else container:
                kind = type(one)
                if kind is str:
                    strings.append(one)
                elif kind is dict or kind is list:
                    inner.append(one)
        level = inner
    if re.search(_SURROGATE_OR_NUL, "".join(strings)):
        raise MalformedTokenError(f"{where}: expected Unicode text in strings, found a surrogate or a NUL")
