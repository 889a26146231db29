"""Tokens from a seed: good ones, and good ones with one to three mutations, signed again wherever a signer could."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from random import Random

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.attacks.contenders import CLIENT_ID, ISSUERS, NOW, POOL_ID, Asked
from tests.attacks.signers import (
    Jwk,
    b64url,
    ec_jwk,
    ec_key,
    oct_jwk,
    pem,
    private_jwk,
    public_jwk,
    rsa_key,
    signature,
)

__all__ = ["MUTATIONS", "WORLDS", "Draft", "World", "token_of"]

LEVELS = ("key", "claims", "header", "json", "base64", "bytes")  # in the order in which a token is built
KINDS = ("access", "id", "machine")

ACCESS = rsa_key("access")
ID = rsa_key("id")
STRANGER = rsa_key("stranger")
CURVE = ec_key("curve")
ACCESS_KID = "sN3wU9v0qk1rX5J8mT2yL7bC4dF6hG0aZpQeRtYuIoA="  # in the form of Cognito's
ID_KID = "b7Kx1Vn4Qw8Ez2Rt6Yu0Io3Pa5Sd9FgHjKlZxCvBnM1="
_ID_JWK = public_jwk(ID_KID, ID)


class World:
    """What the pool publishes, who signs a token that names `kid`, and under which other algorithm they may try it."""

    def __init__(
        self, *keys: Jwk, signer: RSAPrivateKey = ACCESS, kid: object = ACCESS_KID, algorithm: str = ""
    ) -> None:
        self.jwks = {"keys": list(keys)}
        self.signer = signer
        self.kid = kid
        self.algorithm = algorithm


def _altered(**changes: object) -> World:
    return World(public_jwk(ACCESS_KID, ACCESS, **changes), _ID_JWK)


def _thumbprint(jwk: Jwk) -> str:
    """RFC 7638: the name that joserfc gives to a key without one."""
    required = {name: jwk[name] for name in ("e", "kty", "n")}
    return b64url(sha256(json.dumps(required, separators=(",", ":")).encode()).digest())


def _worlds() -> dict[str, World]:
    good = public_jwk(ACCESS_KID, ACCESS)
    n = str(good["n"])
    weak = rsa_key("weak", 1_024)
    wide = rsa_key("wide", e=2**32 + 15)
    nameless = public_jwk(None, ACCESS)
    return {
        "usual": World(good, _ID_JWK),
        "another key under that kid": World(public_jwk(ACCESS_KID, STRANGER), _ID_JWK),
        "a withdrawn key": World(_ID_JWK),
        "a weak key": World(public_jwk(ACCESS_KID, weak), _ID_JWK, signer=weak),
        "a key with a large exponent": World(public_jwk(ACCESS_KID, wide), _ID_JWK, signer=wide),
        "a private key": World(private_jwk(ACCESS_KID, ACCESS), _ID_JWK),
        "two keys with one kid": World(good, public_jwk(ACCESS_KID, STRANGER), _ID_JWK),
        "one key twice": World(good, good, _ID_JWK),
        "a key on a curve": World(ec_jwk(ACCESS_KID, CURVE), _ID_JWK, algorithm="ES256"),
        "the public key as a secret": World(oct_jwk(ACCESS_KID, pem(ACCESS)), _ID_JWK, algorithm="HS256"),
        "a key alone, and no kid in the token": World(good, kid=None),
        "a key without a kid": World(nameless, _ID_JWK, kid=_thumbprint(nameless)),
        "a key with an empty kid": World(public_jwk("", ACCESS), _ID_JWK, kid=""),
        "a key with a number for a kid": World(public_jwk(5, ACCESS), _ID_JWK, kid=5),
        "a key without alg": _altered(alg=None),
        "a key without alg and use": _altered(alg=None, use=None),
        "a key for RS512": World(public_jwk(ACCESS_KID, ACCESS, alg="RS512"), _ID_JWK, algorithm="RS512"),
        "a key for PS256": World(public_jwk(ACCESS_KID, ACCESS, alg="PS256"), _ID_JWK, algorithm="PS256"),
        "a key for encryption": _altered(use="enc"),
        "a key of a use that nobody knows": _altered(use="auth"),
        "a key that may verify": _altered(use=None, key_ops=["verify"]),
        "a key that may sign alone": _altered(use=None, key_ops=["sign"]),
        "a key that may encrypt alone": _altered(use=None, key_ops=["encrypt"]),
        "a key with a string for key_ops": _altered(use=None, key_ops="verify"),
        "a key with use and key_ops that disagree": _altered(key_ops=["verify", "encrypt"]),
        "a key with members that nobody reads": _altered(x5c=["QUJD"], x5t="QUJD", note={"a": [1]}),
        "a key with an x5t that is no string": _altered(x5t=5),
        "a key with an x5u that is no URL": _altered(x5u="elsewhere"),
        "a padded modulus": _altered(n=f"{n}=="),
        "a modulus with a line break": _altered(n=f"{n[:64]}\n{n[64:]}"),
        "a modulus with a leading zero": _altered(
            n=b64url(b"\0" + ACCESS.public_key().public_numbers().n.to_bytes(256))
        ),
        "an exponent with a leading zero": _altered(e="AAEAAQ"),
        "an even exponent": _altered(e=b64url((65_536).to_bytes(3))),
        "an exponent of one": _altered(e="AQ"),
        "a modulus that is a number": _altered(n=5),
    }


WORLDS = _worlds()


class Draft:
    """A token in the making, and what was done to it; `header` and `claims` before they are written as JSON."""

    def __init__(self, kind: str, random: Random) -> None:
        self.kind = kind
        self.asked: Asked = "id" if kind == "id" else "access"
        self.world = "usual"
        self.header: dict[str, object] = {"kid": ID_KID if kind == "id" else ACCESS_KID, "alg": "RS256"}
        self.claims = _claims(kind, random)
        self.signer = ID if kind == "id" else ACCESS
        self.json: dict[str, bytes] = {}  # of header and payload
        self.spellings: list[tuple[int, Callable[[str], str]]] = []  # of a segment
        self.done: list[str] = []
        self.raw = ""

    def __repr__(self) -> str:
        told = f"{self.kind} token, asked for {self.asked}, {self.done or 'untouched'}, published: {self.world}"
        return f"{told}\n  {self.header}\n  {str(self.claims)[:1_500]}\n  {self.raw[:3_000]}"


def token_of(seed: str, mutations: list[str] | None = None) -> Draft:
    """The token of that seed, with these mutations or such as the seed chooses. Call it again to see it again."""
    random = Random(seed)
    draft = Draft(random.choice(KINDS), random)
    if mutations is None:
        levels = random.choices(LEVELS, k=random.choices((0, 1, 2, 3), weights=(15, 40, 30, 15))[0])
        mutations = [random.choice(_OF_LEVEL[level]) for level in levels]
    chosen = sorted(mutations, key=lambda name: LEVELS.index(MUTATIONS[name][0]))

    def mutate(*levels: str) -> None:
        for name in chosen:
            level, mutation = MUTATIONS[name]
            if level in levels and (level != "bytes" or len(draft.raw) > 1):  # an earlier cut may have left nothing
                draft.done.append(f"{level}: {mutation(draft, random) or name}")

    mutate("key", "claims", "header")
    draft.json = {
        "header": _dumped(draft.header, random),
        "payload": _dumped(draft.claims, random),
    }
    mutate("json", "base64")
    header, payload = (_spelt(draft, index, draft.json[name]) for index, name in enumerate(("header", "payload")))
    signing_input = f"{header}.{payload}"
    signed = signature(draft.header.get("alg"), signing_input.encode(), draft.signer, CURVE)
    draft.raw = f"{signing_input}.{_spelt(draft, 2, signed)}"
    mutate("bytes")
    return draft


def _dumped(members: dict[str, object], random: Random) -> bytes:
    separators = random.choice(((",", ":"), (", ", ": "), (",", ":")))
    return json.dumps(members, separators=separators, ensure_ascii=random.random() < 0.5).encode()


def _spelt(draft: Draft, index: int, data: bytes) -> str:
    segment = b64url(data)
    for where, spelling in draft.spellings:
        if where == index:
            segment = spelling(segment)
    return segment


# Good tokens


def _claims(kind: str, random: Random) -> dict[str, object]:
    issued = NOW - random.choice((0, 1, 60, 3_599))
    times: dict[str, object] = {"auth_time": issued, "iat": issued, "exp": issued + random.choice((3_600, 86_400))}
    jti = str(random.getrandbits(128))
    user = random.choice(("ada", "eve@example.com", "김철수", "a" * 120, "\u2028 \U0001f600", 'quo"te\\'))
    groups = random.choice((None, [], ["admin"], ["x,admin", "프로덕션", "a b"]))
    common: dict[str, object] = {"iss": random.choice(ISSUERS), **times, "jti": jti}
    if kind == "machine":
        claims = {"sub": CLIENT_ID, "token_use": "access", "scope": "api/read", "version": 2, **common}
        return {**claims, "client_id": CLIENT_ID}
    common |= {"sub": str(random.getrandbits(128)), "origin_jti": jti[::-1], "event_id": jti[:9]}
    if groups is not None:
        common["cognito:groups"] = groups
    if kind == "access":
        claims = {**common, "version": 2, "client_id": CLIENT_ID, "token_use": "access", "username": user}
        claims["scope"] = random.choice(("aws.cognito.signin.user.admin", "openid email api/read", ""))
        if random.random() < 0.2:
            claims["aud"] = random.choice(("https://api.example.com", ["https://api.example.com"]))
        if random.random() < 0.2:
            claims["nbf"] = issued
        return claims
    claims = {**common, "aud": CLIENT_ID, "token_use": "id", "cognito:username": user, "email": "ada@example.com"}
    claims |= {"email_verified": random.choice((True, "true", False)), "at_hash": "x" * 22, "custom:tenant": "t1"}
    if random.random() < 0.3:
        claims["identities"] = [{"userId": "1", "providerName": "Google", "primary": "true", "dateCreated": "1"}]
    if random.random() < 0.2:
        claims["aud"] = random.choice(([CLIENT_ID], ["another", CLIENT_ID]))
    return claims


# Mutations. One gives the name of what it did, where that says more than its own.

Mutation = Callable[[Draft, Random], "str | None"]
MUTATIONS: dict[str, tuple[str, Mutation]] = {}


def _mutation(level: str) -> Callable[[Mutation], Mutation]:
    def add(mutation: Mutation) -> Mutation:
        MUTATIONS[mutation.__name__.replace("_", " ")] = (level, mutation)
        return mutation

    return add


# Keys


def _published(name: str) -> Mutation:
    def publish(draft: Draft, random: Random) -> None:
        world = WORLDS[name]
        draft.world, draft.signer = name, world.signer
        draft.header["kid"] = world.kid
        if world.kid is None:
            del draft.header["kid"]
        if world.algorithm and random.random() < 0.6:
            draft.header["alg"] = world.algorithm

    return publish


MUTATIONS.update({name: ("key", _published(name)) for name in WORLDS})


@_mutation("key")
def signed_by_somebody_else(draft: Draft, random: Random) -> None:
    draft.signer = random.choice((STRANGER, ID, ACCESS))


@_mutation("key")
def the_other_key_of_the_pool(draft: Draft, _: Random) -> None:
    draft.signer, draft.header["kid"] = (ACCESS, ACCESS_KID) if draft.signer is ID else (ID, ID_KID)


# Claims

_TIMES = ("exp", "nbf", "iat", "auth_time")
_STRINGS = ("sub", "jti", "origin_jti", "username", "cognito:username", "scope")
_NAMES = (*_TIMES, *_STRINGS, "iss", "aud", "client_id", "token_use", "cognito:groups", "email_verified", "version")
_ODD: tuple[object, ...] = (
    *(None, True, False, 0, 1, -1, 1.0, 0.5, "", " ", "x", str(NOW + 60), str(NOW - 60), "1.8e9"),
    *([], ["x"], [None], [["x"]], [CLIENT_ID], {}, {"a": 1}, [{"a": 1}]),
)


@_mutation("claims")
def a_claim_left_out(draft: Draft, random: Random) -> str:
    name = random.choice(list(draft.claims))
    del draft.claims[name]
    return f"{name} left out"


@_mutation("claims")
def a_claim_of_another_type(draft: Draft, random: Random) -> str:
    name = random.choice(_NAMES)
    draft.claims[name] = random.choice(_ODD)
    return f"another {name}"


@_mutation("claims")
def a_claim_in_a_list(draft: Draft, random: Random) -> str:
    name = random.choice(list(draft.claims))
    draft.claims[name] = [draft.claims[name]]
    return f"{name} in a list"


@_mutation("claims")
def a_claim_as_a_string(draft: Draft, random: Random) -> str:
    name = random.choice(list(draft.claims))
    draft.claims[name] = json.dumps(draft.claims[name])
    return f"{name} as a string"


@_mutation("claims")
def a_time_at_its_bound(draft: Draft, random: Random) -> str:
    name = random.choice(_TIMES)
    value = random.choice((NOW - 1, NOW, NOW + 1, NOW - 86_400, NOW + 86_400))
    draft.claims[name] = float(value) if random.random() < 0.3 else value
    return f"another {name}"


@_mutation("claims")
def a_time_far_away(draft: Draft, random: Random) -> str:
    name = random.choice(_TIMES)
    draft.claims[name] = random.choice(
        (0, -0.0, -1, -NOW, 253_402_300_799, 253_402_300_800, 2**53, 1e15, 10**30, 1e300, NOW * 1_000, NOW + 3_600.5)
    )
    return f"another {name}"


@_mutation("claims")
def another_issuer(draft: Draft, random: Random) -> None:
    iss = ISSUERS[0]
    draft.claims["iss"] = random.choice(
        (f"{iss}/", iss.upper(), iss[:-1], f"{iss}x", f" {iss}", "", POOL_ID, iss.replace("https", "http"), *ISSUERS)
    )


@_mutation("claims")
def another_audience(draft: Draft, random: Random) -> None:
    draft.claims["aud"] = random.choice(
        (
            "another",
            CLIENT_ID.upper(),
            f"{CLIENT_ID} ",
            CLIENT_ID[:-1],
            f"x,{CLIENT_ID}",
            CLIENT_ID,
            [CLIENT_ID],
            ["x"],
            ["x", CLIENT_ID],
            [CLIENT_ID, 5],
            [CLIENT_ID, None],
            [[CLIENT_ID]],
            {CLIENT_ID: 1},
            ["", CLIENT_ID],
        )
    )


@_mutation("claims")
def another_client(draft: Draft, random: Random) -> None:
    draft.claims["client_id"] = random.choice(("another", CLIENT_ID.upper(), CLIENT_ID[:9], [CLIENT_ID], CLIENT_ID))


@_mutation("claims")
def another_use(draft: Draft, random: Random) -> None:
    draft.claims["token_use"] = random.choice(("access", "id", "ID", "refresh", ["access"], ["access", "id"], ["id"]))


@_mutation("claims")
def the_other_kind_is_asked_for(draft: Draft, random: Random) -> None:
    draft.asked = "access" if draft.asked == "id" else "id"
    if random.random() < 0.5:
        draft.claims |= {"aud": CLIENT_ID, "client_id": CLIENT_ID}


@_mutation("claims")
def other_groups(draft: Draft, random: Random) -> None:
    draft.claims["cognito:groups"] = random.choice((["a", 5], ["a", None], "admin", "[admin]", ["", " "], [["a"]]))


@_mutation("claims")
def more_claims(draft: Draft, random: Random) -> None:
    names = ("", "exp ", "Exp", "__proto__", "한국어", "a.b", "$ref", "crit", "alg", "cnf", "act")
    draft.claims |= {name: random.choice(_ODD) for name in random.sample(names, 3)}
    draft.claims["numbers"] = [0, -1, 10**39, 1e-7, 1.5e300, 5e-324, 2**63, -(2**53) - 1]


@_mutation("claims")
def many_claims(draft: Draft, random: Random) -> None:
    count = random.choices((10, 60, 600), weights=(6, 3, 1))[0]
    draft.claims |= {f"custom:{number}": "x" * 20 for number in range(count)}


# Header


@_mutation("header")
def another_algorithm(draft: Draft, random: Random) -> None:
    draft.header["alg"] = random.choice(
        ("none", "None", "", "HS256", "RS384", "RS512", "PS256", "ES256", "rs256", "RS256 ", None, 5, ["RS256"], {})
    )


@_mutation("header")
def another_kid(draft: Draft, random: Random) -> None:
    draft.header["kid"] = random.choice(
        (
            None,
            "",
            5,
            True,
            [ACCESS_KID],
            {},
            "nobody's",
            ACCESS_KID[:-1],
            f"{ACCESS_KID} ",
            "../../dev/null",
            "' OR 1=1",
            "x" * 300,
            ACCESS_KID,
            ID_KID,
        )
    )


@_mutation("header")
def a_member_left_out(draft: Draft, random: Random) -> str | None:
    name = random.choice(("alg", "kid"))
    return f"{name} left out" if draft.header.pop(name, None) else None


@_mutation("header")
def a_crit(draft: Draft, random: Random) -> None:
    draft.header["crit"] = random.choice(([], ["exp"], ["b64"], ["b64", "b64"], ["alg"], ["kid"], None, "b64", {}, [5]))
    if random.random() < 0.6:
        draft.header["b64"] = random.choice((True, True, False))
    if random.random() < 0.3:
        draft.header["exp"] = NOW


@_mutation("header")
def a_b64_that_is_not_critical(draft: Draft, random: Random) -> None:
    draft.header["b64"] = random.choice((True, False, "false", 0, None))


@_mutation("header")
def a_key_of_its_own(draft: Draft, random: Random) -> None:
    evil = public_jwk(ACCESS_KID, STRANGER)
    draft.header |= random.choice(
        ({"jwk": evil}, {"jku": "https://example.com/jwks.json"}, {"x5u": "https://example.com/x"}, {"x5c": ["QUJD"]})
    )
    if random.random() < 0.5:
        draft.signer = STRANGER


@_mutation("header")
def a_type(draft: Draft, random: Random) -> None:
    draft.header |= random.choice(({"typ": "JWT"}, {"typ": "at+jwt"}, {"cty": "JWT"}, {"typ": "JOSE"}, {"zip": "DEF"}))


@_mutation("header")
def a_known_member_of_another_type(draft: Draft, random: Random) -> None:
    name = random.choice(("typ", "cty", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256"))
    draft.header[name] = random.choice((None, 5, True, [5], "elsewhere", {}))


@_mutation("header")
def more_members(draft: Draft, random: Random) -> None:
    draft.header |= {"note": random.choice(_ODD), "": "x", "한국어": "x" * random.choice((1, 200, 700))}


# JSON, signed as it is written


def _part(random: Random) -> str:
    return random.choice(("header", "payload", "payload"))


def _member_added(draft: Draft, part: str, *members: str) -> None:
    written = draft.json[part]
    draft.json[part] = written[:-1] + b"".join(b"," + member.encode() for member in members) + b"}"


@_mutation("json")
def a_duplicate_member(draft: Draft, random: Random) -> None:
    part = _part(random)
    content = draft.header if part == "header" else draft.claims
    name = random.choice([*content, "n", ""])
    value = json.dumps(random.choice((content.get(name), "admin", NOW + 9)))
    written = random.choice(
        (f'"{name}":{value}', f'"\\u{ord(name[0]):04x}{name[1:]}":{value}' if name else f'"":{value}')
    )
    if random.random() < 0.3:
        written = f'"inner":{random.choice(("", "["))}{{"a":1,"a":1}}'
        written += "]" if "[" in written else ""
    _member_added(draft, part, written)


@_mutation("json")
def a_number_that_is_none(draft: Draft, random: Random) -> None:
    _member_added(draft, _part(random), f'"n":{random.choice(("NaN", "Infinity", "-Infinity", "[NaN]"))}')


@_mutation("json")
def a_long_integer(draft: Draft, random: Random) -> None:
    digits = random.choice((41, 60, 400, 1_000))
    _member_added(draft, _part(random), f'"n":{random.choice(("", "-"))}{"7" * digits}')


@_mutation("json")
def a_number_that_overflows(draft: Draft, random: Random) -> None:
    _member_added(draft, _part(random), f'"n":{random.choice(("1e400", "-1e999", "1.5e309", "9" * 40 + "E300"))}')


@_mutation("json")
def a_number_spelt_in_another_way(draft: Draft, random: Random) -> None:
    _member_added(draft, _part(random), f'"n":{random.choice(("1E5", "-0", "0.10", "1e-400", "01", "+1", ".5", "1."))}')


@_mutation("json")
def deep_nesting(draft: Draft, random: Random) -> str:
    levels = random.choice((20, 60, 66, 90, 200, 900))
    opening, closing = random.choice((("[", "]"), ('{"a":', "}")))
    _member_added(draft, _part(random), f'"n":{opening * levels}0{closing * levels}')
    return "nesting beyond 64 levels" if levels > 64 else "nesting"


@_mutation("json")
def a_surrogate_or_a_nul(draft: Draft, random: Random) -> None:
    odd = random.choice(("\\ud800", "\\udc00x", "\\u0000", "\\ud800\\ud800", "\\uDBFF "))
    member = random.choice((f'"n":"{odd}"', f'"{odd}":1', f'"n":[{{"a":"{odd}"}}]'))
    _member_added(draft, _part(random), member)


@_mutation("json")
def escapes(draft: Draft, random: Random) -> None:
    part = _part(random)
    written = draft.json[part]
    for name in (b'"alg"', b'"exp"', b'"sub"'):
        written = written.replace(name, name.replace(name[1:2], b"\\u%04x" % name[1]))
    draft.json[part] = written[:-1] + b',"n":"\\ud83d\\ude00 \\/ \\b\\f\\n\\r\\t"}'


@_mutation("json")
def white_space(draft: Draft, random: Random) -> None:
    part = _part(random)
    draft.json[part] = random.choice((b" ", b"\n\t", b"\r\n")) + draft.json[part].replace(b",", b"\n,\t") + b" \r\n"


@_mutation("json")
def white_space_of_no_json(draft: Draft, random: Random) -> None:
    part = _part(random)
    draft.json[part] += random.choice((b"\x0b", b"\x0c", b"\x00", "\u00a0".encode(), "\u2028".encode()))


@_mutation("json")
def another_encoding(draft: Draft, random: Random) -> None:
    part = _part(random)
    text = draft.json[part].decode("utf-8", "replace")  # an earlier mutation may have left what is no UTF-8
    encoding = random.choice(("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"))
    draft.json[part] = text.encode(encoding)


@_mutation("json")
def bytes_of_no_encoding(draft: Draft, random: Random) -> None:
    bad = random.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe4", b"\x80"))
    part = _part(random)
    draft.json[part] = draft.json[part][:-1] + b',"n":"' + bad + b'"}'


@_mutation("json")
def junk_behind_it(draft: Draft, random: Random) -> None:
    draft.json[_part(random)] += random.choice((b"}", b"{}", b"x", b",", b'{"sub":"eve"}', b"//", b"]"))


@_mutation("json")
def no_json(draft: Draft, random: Random) -> None:
    part = _part(random)
    written = draft.json[part]
    draft.json[part] = random.choice(
        (
            b"",
            b"null",
            b"5",
            b'"x"',
            b"[" + written + b"]",
            written[:-1],
            written[:-1] + b",}",
            written.replace(b'"', b"'"),
            written[:-1] + b',"n":"\n"}',
            written[:-1] + b",n:1}",
            b"/**/" + written,
            written[:-1] + b',"n":tRue}',
        )
    )


# Base64


def _trailing_bits(segment: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    if not segment or len(segment) % 4 < 2 or segment[-1] not in alphabet:
        return f"{segment}A"
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) | 1]


_SPELLINGS: dict[str, Callable[[str], str]] = {
    "padding": lambda segment: segment + "=" * (-len(segment) % 4),
    "padding without need": lambda segment: f"{segment}=",
    "padding alone": lambda segment: f"{segment}====",
    "the other alphabet": lambda segment: segment.replace("-", "+").replace("_", "/"),
    "trailing bits": _trailing_bits,
    "a space in front": lambda segment: f" {segment}",
    "a space behind": lambda segment: f"{segment} ",
    "a line break within": lambda segment: f"{segment[:8]}\n{segment[8:]}",
    "a line break behind": lambda segment: f"{segment}\r\n",
    "a foreign character": lambda segment: f"{segment[:4]}*{segment[4:]}",
    "four foreign characters": lambda segment: f"{segment[:4]}!!!!{segment[4:]}",
    "no ASCII": lambda segment: f"{segment[:-1]}\uff21",
    "a NUL": lambda segment: f"{segment}\0",
    "one character less": lambda segment: segment[:-1],
    "nothing": lambda _: "",
    "percent escapes": lambda segment: segment.replace("-", "%2D"),
}


@_mutation("base64")
def another_spelling(draft: Draft, random: Random) -> str:
    name = random.choice(list(_SPELLINGS))
    draft.spellings.append((random.choice((0, 1, 2)), _SPELLINGS[name]))
    return name


# Bytes, behind the signature


@_mutation("bytes")
def a_flipped_bit(draft: Draft, random: Random) -> None:
    at = random.randrange(len(draft.raw))
    flipped = chr(ord(draft.raw[at]) ^ 1 << random.randrange(7))
    draft.raw = f"{draft.raw[:at]}{flipped}{draft.raw[at + 1 :]}"


@_mutation("bytes")
def a_character_added(draft: Draft, random: Random) -> None:
    at = random.choice((0, len(draft.raw), random.randrange(len(draft.raw))))
    draft.raw = f"{draft.raw[:at]}{random.choice('A=.-_ +/%0') if at else random.choice(' A.')}{draft.raw[at:]}"


@_mutation("bytes")
def a_character_taken_away(draft: Draft, random: Random) -> None:
    at = random.randrange(len(draft.raw))
    draft.raw = draft.raw[:at] + draft.raw[at + 1 :]


@_mutation("bytes")
def cut_off(draft: Draft, random: Random) -> None:
    draft.raw = draft.raw[: random.randrange(len(draft.raw))]


@_mutation("bytes")
def two_characters_swapped(draft: Draft, random: Random) -> None:
    at = random.randrange(len(draft.raw) - 1)
    draft.raw = draft.raw[:at] + draft.raw[at + 1] + draft.raw[at] + draft.raw[at + 2 :]


@_mutation("bytes")
def segments_moved(draft: Draft, random: Random) -> None:
    segments = draft.raw.split(".")
    moved = random.choice(
        (segments[::-1], segments[:2], [*segments, segments[-1]], ["", *segments], [*segments[:2], ""])
    )
    draft.raw = ".".join(moved)


@_mutation("bytes")
def something_around_it(draft: Draft, random: Random) -> None:
    before, behind = random.choice(
        (
            ("Bearer ", ""),
            ("", "\n"),
            ("", "\r\n"),
            (" ", ""),
            ("", " "),
            ("\ufeff", ""),
            ('"', '"'),
            ("", "\0"),
            ("", ","),
        )
    )
    draft.raw = f"{before}{draft.raw}{behind}"


@_mutation("bytes")
def the_payload_of_another(draft: Draft, random: Random) -> None:
    head, _, tail = draft.raw.rpartition(".")
    other = b64url(_dumped({**_claims(draft.kind, random), "cognito:groups": ["admin"]}, random))
    draft.raw = f"{head.partition('.')[0]}.{other}.{tail}"


_OF_LEVEL = {level: [name for name, (where, _) in MUTATIONS.items() if where == level] for level in LEVELS}
