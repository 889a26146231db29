"""The fixture that users get by installing the package."""

import subprocess
import sys
from pathlib import Path

from cognito_verify.testing import FakeUserPool


def test_the_fixture_gives_a_pool_whose_tokens_verify(cognito_pool: FakeUserPool) -> None:
    token = cognito_pool.verifier(token_use="access").verify(cognito_pool.access_token("ada"))
    assert token.username == "ada"


def test_pytest_finds_the_fixture_in_a_project_that_configures_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_user.py").write_text("def test_it(cognito_pool): assert cognito_pool.access_token()\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", ".", "-c", "/dev/null", "test_user.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def test_a_suite_without_the_fixture_pays_for_no_cryptography(tmp_path: Path) -> None:
    loaded = "import sys, cognito_verify.pytest_plugin\nprint({'jose', 'cryptography'} & {*sys.modules})"
    ran = subprocess.run([sys.executable, "-c", loaded], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
