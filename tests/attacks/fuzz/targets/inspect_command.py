"""The command: `inspect` in process, and what `explain` says beside what `verify` does.

An input is a letter and what stands on standard input: `t` and `j` take it as it is, `j` with `--json`; `s` and `z`
likewise, with the pool's signature over the header and payload that follow.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import Any
from unicodedata import category

from cognito_verify.cli.explaining import CHECKS, Explainer, Explanation
from cognito_verify.cli.program import run as run_command
from cognito_verify.errors import CognitoVerifyError
from tests.attacks.fuzz.bounds import called, check
from tests.attacks.fuzz.material import CACHE, CLAIMS, HEADER, NOW, POOL, SEPARATOR, STRANGER, USER_POOL, joined

DICTIONARY = "claims.dict"

_EXPLAINER: Explainer[Any] = Explainer(
    USER_POOL,
    token_use="access",
    groups="admin",
    scopes=["orders/read"],
    max_age=3_600,
    claims={"username": {"ada", "bob"}},
    jwks_cache=CACHE,
    token_cache_size=0,
    clock=POOL.clock,
)


def run(data: bytes) -> None:
    """One text on standard input."""
    letter, content = data[:1], data[1:]
    signature = ""
    if letter in (b"s", b"z"):
        header, _, payload = content.partition(SEPARATOR)
        content = POOL.sign(header, payload).encode()
        signature = content.decode().rpartition(".")[2]
    is_json = letter in (b"j", b"z")
    code, out, err = called(_inspected, content, ["--json"] if is_json else [])
    check(code in (0, 1, 2), f"a token is shown, refused or not understood, never a fault: {code}, {err}")
    check(not signature or signature not in out + err, "nothing that is printed holds a signature")
    if is_json:
        document = json.loads(out)
        check(out.isascii() and err == "", "a document is ASCII and alone")
        check((document["error"] is None) is (code == 0), "a document says how it ended")
    else:
        check(bool(out) is (code == 0), "what is refused is told on standard error alone")
        unseen = [one for one in out + err if category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") and one != "\n"]
        check(not unseen, f"no character turns against the terminal: {unseen!r}")
    _check_explanation(content.decode(errors="surrogateescape"), signature)


# One of each for all runs: click holds on to every stream that it has once written to.
_OUT, _ERR = io.StringIO(), io.StringIO()


def _inspected(content: bytes, options: list[str]) -> tuple[int, str, str]:
    for stream in (_OUT, _ERR):
        stream.seek(0)
        stream.truncate()
    stdin = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(content))
    try:
        with redirect_stdout(_OUT), redirect_stderr(_ERR):
            code = run_command(["inspect", *options])
    finally:
        sys.stdin = stdin
    return code, _OUT.getvalue(), _ERR.getvalue()


def _check_explanation(raw: str, signature: str) -> None:
    explanation, token = called(_EXPLAINER.explain, raw), called(_EXPLAINER.verify, raw)
    check(isinstance(explanation, Explanation), "whatever the token is, it is explained")
    check([row.check for row in explanation.rows] == list(CHECKS), "every check has its row")
    if isinstance(token, CognitoVerifyError):
        check(type(explanation.error) is type(token), f"explain and verify say the same: {explanation.error}, {token}")
        check(explanation.token is None, "what is refused is no token")
    else:
        check(
            explanation.error is None and explanation.token == token, f"so do they of a good one: {explanation.error}"
        )
    told = [f"{row.expected} {row.found} {row.cause} {row.cure} {row.why_not}" for row in explanation.rows]
    check(not signature or signature not in "".join([*told, *explanation.notes]), "no row shows a signature")


def seeds() -> Iterator[bytes]:
    """Tokens, what a login prints, and what people paste."""
    for letter in ("s", "z"):
        for claims in CLAIMS.values():
            yield joined(letter, HEADER, claims)
        yield joined(letter, {**HEADER, "alg": "none"}, {**CLAIMS["access"], "exp": NOW - 1})
        yield joined(letter, HEADER, {**CLAIMS["access"], "token_use": "refresh", "client_id": 7, "aud": {}})
        yield joined(letter, HEADER, {**CLAIMS["access"], "iss": "https://evil.example.com", "username": "eve"})
        yield joined(letter, HEADER, {**CLAIMS["access"], "iat": NOW + 60, "auth_time": 0, "cognito:groups": []})
        yield joined(
            letter, HEADER, {**CLAIMS["access"], "exp": "soon", "nbf": 1e12, "scope": 1, "cognito:groups": "admin"}
        )
        yield joined(letter, HEADER, {"\x1b[31m": "\u202e\x7f\x9b\u2028\U000e0101\u115f", "a": [{"b": None}]})
        yield joined(letter, HEADER, b'{"a":1,"a":2}')
    raw = STRANGER.sign({"kid": "k1", "alg": "RS256"}, {"sub": "ada"}).encode()
    header, payload, _ = raw.split(b".")
    short = header + b"." + payload + b".AAAA"  # a signature of a process's own key would be another in each
    for letter in ("t", "j"):
        for text in (
            short,
            b"Bearer " + short,
            b"Authorization: Bearer " + short + b"\r\n",
            b'"' + short + b'"',
            b"\xef\xbb\xbf" + short,
            json.dumps({"AuthenticationResult": {"AccessToken": short.decode()}}).encode(),
            json.dumps({"id_token": short.decode(), "token_type": "Bearer"}).encode(),
            b'{"ChallengeName":"NEW_PASSWORD_REQUIRED"}',
            b"a.b.c.d.e",
            b"",
            b"\xff\xfe",
        ):
            yield joined(letter, text)
