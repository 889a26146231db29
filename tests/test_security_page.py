"""docs/security.md keeps its word: every row of its tables names a test, and every test that is named exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ADVISORIES = "tests/attacks/test_advisories.py"

# By heading of the page: what its tables must have a row for. RFC 8725 has these sections, the OWASP cheat sheet these
# headings; of RFC 9700 and of section 5 of RFC 6750 it is what concerns a resource server.
COMPLETE = {
    "RFC 8725": [
        "2.1 Weak Signatures and Insufficient Signature Validation",
        "2.2 Weak Symmetric Keys",
        "2.3 Incorrect Composition of Encryption and Signature",
        "2.4 Plaintext Leakage through Analysis of Ciphertext Length",
        "2.5 Insecure Use of Elliptic Curve Encryption",
        "2.6 Multiplicity of JSON Encodings",
        "2.7 Substitution Attacks",
        "2.8 Cross-JWT Confusion",
        "2.9 Indirect Attacks on the Server",
        "3.1 Perform Algorithm Verification",
        "3.2 Use Appropriate Algorithms",
        "3.3 Validate All Cryptographic Operations",
        "3.4 Validate Cryptographic Inputs",
        "3.5 Ensure Cryptographic Keys Have Sufficient Entropy",
        "3.6 Avoid Compression of Encryption Inputs",
        "3.7 Use UTF-8",
        "3.8 Validate Issuer and Subject",
        "3.9 Use and Validate Audience",
        "3.10 Do Not Trust Received Claims",
        "3.11 Use Explicit Typing",
        "3.12 Use Mutually Exclusive Validation Rules for Different Kinds of JWTs",
    ],
    "RFC 9700": [
        "2.2.1, 4.10.1 Sender-Constrained Access Tokens",
        "2.3 Access Token Privilege Restriction",
        "4.2 Credential Leakage via Referer Headers",
        "4.3 Credential Leakage via Browser History",
        "4.6 Access Token Injection",
        "4.7 Cross-Site Request Forgery",
        "4.9.1 Access Token Phishing by Counterfeit Resource Server",
        "4.9.2 Compromised Resource Server",
        "4.10 Misuse of Stolen Access Tokens",
        "4.10.2 Audience-Restricted Access Tokens",
        "4.13 TLS Terminating Reverse Proxies",
        "4.14 Refresh Token Protection",
        "4.15 Client Impersonating Resource Owner",
    ],
    "RFC 6750": [
        "5.1 Token manufacture or modification",
        "5.1 Token disclosure",
        "5.1 Token redirect",
        "5.1 Token replay",
        "5.3 Safeguard bearer tokens",
        "5.3 Validate TLS certificate chains",
        "5.3 Always use TLS (https)",
        "5.3 Don't store bearer tokens in cookies",
        "5.3 Issue short-lived bearer tokens",
        "5.3 Issue scoped bearer tokens",
        "5.3 Don't pass bearer tokens in page URLs",
    ],
    "OWASP": [
        "None hashing algorithm",
        "Token sidejacking",
        "No built-in token revocation by the user",
        "Token information disclosure",
        "Token storage on client side",
        "Weak token secret",
    ],
}


def rows(page: str) -> list[tuple[str, list[str]]]:
    """The rows of all tables, each with the heading of the second level above it; their own headings left out."""
    found, heading, above = [], "", ""
    for line in page.splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        is_heading = not above.startswith("|") or set(line) <= set("|-: ")
        if line.startswith("|") and not is_heading:
            found.append((heading, [cell.strip() for cell in line.strip("|").split("|")]))
        above = line
    return found


@cache
def functions_of(path: str) -> frozenset[str]:
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    return frozenset(
        node.name for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    )


def named_in(cell: str) -> list[tuple[str, str]]:
    """By path and name; the id of a case may follow, and is left out."""
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)(?:\[[^\]`]+\])?`", cell)


def faults(page: str) -> list[str]:
    """What a reader of the page would look for in vain."""
    found = []
    for _, cells in rows(page):
        named = named_in(cells[-1])
        if len(named) != cells[-1].count("::") or not named:
            found.append(f"no test: {' | '.join(cells)}")
        if not all(cells[-3:]):  # the first column of four stands for the rows below it, too
            found.append(f"an empty cell: {' | '.join(cells)}")
        found += [f"no such test: {path}::{name}" for path, name in named if name not in functions_of(path)]
    for source, sections in COMPLETE.items():
        had = [cells[0] for heading, cells in rows(page) if heading.startswith(source)]
        found += [f"{source}: no row for {section}" for section in sections if section not in had]
        found += [f"{source}: no section {section}" for section in had if section not in sections]
    ids = re.findall(r"^\| ((?:CVE|GHSA)-[\w-]+)", page, re.MULTILINE)
    found += [f"twice: {one}" for one in sorted(set(ids)) if ids.count(one) > 1]
    return found


def test_every_row_names_a_test_that_exists_and_no_section_is_missing() -> None:
    assert faults(PAGE) == []
    assert len(rows(PAGE)) > 100


def test_every_attack_of_an_advisory_is_on_the_page() -> None:
    on_the_page = {name for _, cells in rows(PAGE) for path, name in named_in(cells[-1]) if path == ADVISORIES}
    assert {name for name in functions_of(ADVISORIES) if name.startswith("test_")} - on_the_page == set()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param(lambda page: page + "\n| a | b | c |\n|---|---|---|\n| x | y | |\n", "no test: x", id="no-test"),
        pytest.param(
            lambda page: page + "\n| a | b | c |\n|---|---|---|\n| x | y | `tests/test_keys.py` |\n",
            "no test: x",
            id="a-file-is-no-test",
        ),
        pytest.param(
            lambda page: page + "\n| a | b | c |\n|---|---|---|\n| x | y | `tests/test_keys.py::test_nothing` |\n",
            "no such test: tests/test_keys.py::test_nothing",
            id="no-such-test",
        ),
        pytest.param(
            lambda page: page.replace("tests/test_keys.py::", "tests/test_locks.py::"),
            "no such test: tests/test_locks.py::",
            id="no-such-file",
        ),
        pytest.param(
            lambda page: page.replace("tests/test_keys.py::test_a", "test_keys.py::test_a"), "no test: ", id="no-path"
        ),
        pytest.param(
            lambda page: page.replace("| Header and payload are UTF-8, without", "| | Header"),
            "an empty cell: 3.7",
            id="no-answer",
        ),
        pytest.param(lambda page: page.replace("| 3.7 ", "| 3.70 "), "RFC 8725: no row for 3.7", id="no-section"),
        pytest.param(lambda page: page.replace("| 3.7 ", "| 3.70 "), "RFC 8725: no section 3.70", id="another-section"),
        pytest.param(
            lambda page: page.replace("| CVE-2026-102268 ", "| CVE-2026-102267 "), "twice: CVE-2026-102267", id="twice"
        ),
    ],
)
def test_a_page_that_does_not_keep_its_word_is_found(change: object, fault: str) -> None:
    assert callable(change)
    changed = change(PAGE)
    assert changed != PAGE
    assert [found for found in faults(changed) if found.startswith(fault)]
