"""The fixtures that users get by installing the package, and what they cost those who do not ask for them."""

import subprocess
import sys
from pathlib import Path

import pytest

from cognito_verify.errors import InvalidTokenUseError, TokenExpiredError
from cognito_verify.testing import Clock, FakeUserPool
from cognito_verify.tokens import AccessToken
from cognito_verify.verifier import CognitoVerifier

UNUSED = """
import sys

def test_nothing_of_the_kit_is_loaded():
    assert "cognito_verify.pytest_plugin" in sys.modules
    heavy = {"cognito_verify.testing", "cognito_verify.verifier", "cryptography", "jose", "requests", "cachetools"}
    assert heavy & {*sys.modules} == set()

def test_until_a_fixture_is_asked_for(cognito_pool):
    assert {"cognito_verify.testing", "cryptography"} <= {*sys.modules}
"""
ISOLATED = """
import pytest

@pytest.mark.parametrize("time", [1, 2])
def test_each_test_begins_anew(time, cognito_pool, cognito_verifier, cognito_clock):
    kid = cognito_pool.header()["kid"]
    assert kid == cognito_verifier.verify(cognito_pool.access_token()).header["kid"]
    cognito_pool.rotate_keys()
    cognito_clock.tick(86_400)
    assert cognito_pool.header()["kid"] != kid
    if time == 2:
        assert kid == first
    globals()["first"] = kid
"""
OVERRIDDEN = """
import pytest

@pytest.fixture
def cognito_pool():
    from cognito_verify.testing import FakeUserPool  # late: the first file looks at what is loaded
    return FakeUserPool("eu-west-1_Mine", client_id="my-client")

def test_the_verifier_follows(cognito_pool, cognito_verifier):
    token = cognito_verifier.verify(cognito_pool.access_token())
    assert (token.user_pool_id, token.client_id) == ("eu-west-1_Mine", "my-client")
"""


def suite(folder: Path, *options: str, **tests: str) -> subprocess.CompletedProcess[str]:
    """A user's suite in a project that configures nothing, in a process of its own."""
    for name, source in tests.items():
        (folder / f"test_{name}.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", ".", "-c", "/dev/null", *options, "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_fixtures_give_a_pool_and_a_verifier_on_one_clock(
    cognito_pool: FakeUserPool, cognito_verifier: CognitoVerifier[AccessToken], cognito_clock: Clock
) -> None:
    token = cognito_pool.access_token("ada")
    assert cognito_verifier.verify(token).username == "ada"
    with pytest.raises(InvalidTokenUseError):
        cognito_verifier.verify(cognito_pool.id_token())
    cognito_clock.tick(3_600)
    with pytest.raises(TokenExpiredError):
        cognito_verifier.verify(token)


def test_a_project_that_configures_nothing_has_the_fixtures_and_pays_when_it_asks(tmp_path: Path) -> None:
    ran = suite(tmp_path, a_unused=UNUSED, b_isolated=ISOLATED, c_overridden=OVERRIDDEN)  # in this order
    assert "5 passed" in ran.stdout, ran.stdout + ran.stderr


def test_pytest_can_be_told_to_leave_them_out(tmp_path: Path) -> None:
    ran = suite(tmp_path, "-p", "no:cognito_verify", one="def test_it(cognito_pool): pass\n")
    assert "fixture 'cognito_pool' not found" in ran.stdout, ran.stdout + ran.stderr


def test_a_program_that_verifies_never_loads_the_kit() -> None:
    program = """
import sys
import cognito_verify, cognito_verify.aws_lambda
for module in (cognito_verify, cognito_verify.aws_lambda):
    for name in module.__all__:
        getattr(module, name)
print([name for name in sys.modules if name.startswith(("cognito_verify.testing", "cognito_verify.pytest", "pytest"))])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
