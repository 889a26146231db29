"""What a cold process pays for: a new interpreter says which modules it loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from cognito_verify.testing import FakeUserPool

# On one machine, in ms: requests 60 to 90, asyncio 20, importlib.metadata 14, logging 4.
NEVER_FOR_A_TOKEN = frozenset(
    {"asyncio", "click", "ecdsa", "importlib.metadata", "logging", "pyasn1", "requests", "rsa", "urllib3"}
)
NEVER_FOR_AN_IMPORT = NEVER_FOR_A_TOKEN | {"cachetools", "cryptography", "jose"}

REPORT = """
import json, sys
already = sorted(sys.modules)
{program}
json.dump({{"already": already, "loaded": sorted(set(sys.modules) - set(already))}}, sys.stdout)
"""
IMPORT = "import cognito_verify"
VERIFY = """
given = json.load(sys.stdin)
from cognito_verify import CognitoVerifier
verifier = CognitoVerifier(given["pool"], client_id=given["client"], token_use="access", jwks=given["jwks"])
assert verifier.verify(given["token"]).username == "ada"
"""


def modules_loaded_by(program: str, given: str = "") -> frozenset[str]:
    """The modules that a program loads in a new interpreter."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTHON"))}
    answer = subprocess.run(
        [sys.executable, "-c", REPORT.format(program=program)],
        input=given,
        capture_output=True,
        check=False,
        env=environment,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    report = json.loads(answer.stdout)
    # What a tool of the environment loads at every start would hide here: then the test must say so, not pass.
    assert NEVER_FOR_AN_IMPORT.isdisjoint(report["already"])
    return frozenset(report["loaded"])


def given_token() -> str:
    pool = FakeUserPool("us-east-1_TestPool1", client_id="test-client")
    token = pool.access_token(username="ada")
    return json.dumps({"pool": "us-east-1_TestPool1", "client": "test-client", "jwks": pool.jwks, "token": token})


def test_importing_the_package_loads_no_dependency() -> None:
    loaded = modules_loaded_by(IMPORT)
    assert "cognito_verify" in loaded
    assert sorted(NEVER_FOR_AN_IMPORT & loaded) == []


def test_verifying_with_known_keys_loads_nothing_that_only_a_fetch_or_a_signer_needs() -> None:
    loaded = modules_loaded_by(VERIFY, given_token())
    assert "jose.jwk" in loaded
    assert sorted(NEVER_FOR_A_TOKEN & loaded) == []


def test_verifying_with_known_keys_defines_at_most_three_dataclasses() -> None:
    counted = "import dataclasses\ndefined = []\nprocess = dataclasses._process_class\n"
    counted += "def counting(cls, *args, **kwargs):\n"
    counted += "    defined.append(f'{cls.__module__}.{cls.__name__}')\n    return process(cls, *args, **kwargs)\n"
    counted += f"dataclasses._process_class = counting\n{VERIFY}\n"
    counted += "ours = [name for name in defined if name.startswith('cognito_verify')]\nassert len(ours) <= 3, ours"
    modules_loaded_by(counted, given_token())


@pytest.mark.parametrize("module", ["importlib.metadata", "logging", "requests", "urllib3"])
def test_the_report_catches_a_module_that_is_loaded(module: str) -> None:
    assert module in modules_loaded_by(f"{IMPORT}\nimport {module}")
