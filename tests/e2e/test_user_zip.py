"""The recipe of docs/how-to/scanners.md for a zip of one's own: what is left works, and pip says what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.test_supply_chain import UNUSED, everything

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "scanners.md").read_text(encoding="utf-8")


# What `pip install --target package cognito-verify` brings beside the package itself.
BROUGHT = (
    *("cachetools", "certifi", "cffi", "charset-normalizer", "cryptography", "idna", "pycparser", "python-jose"),
    *("requests", "six", "urllib3", *UNUSED),
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's own snippet, run. Its first line asks a package index: the short form copies what is here."""
    (recipe,) = re.findall(r"```sh\n# needs: a network\n(pip install --target .*?)```", PAGE, re.DOTALL)
    folder = tmp_path_factory.mktemp("zip")
    environment = dict(os.environ)
    if os.environ.get("ATTACKS") == "long":
        options = ["--no-isolation", "--outdir", str(folder / "wheels")]
        build = [sys.executable, "-m", "build", "--wheel", *options, str(ROOT)]
        subprocess.run(build, check=True, capture_output=True)
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment["PIP_FIND_LINKS"] = f"{folder / 'wheels'} {os.environ.get('PIP_FIND_LINKS', '')}"
    else:
        recipe = recipe.partition("\n")[2]
        shutil.copytree(ROOT / "cognito_verify", folder / "package" / "cognito_verify")
        for name in BROUGHT:
            for file in distribution(name).files or ():
                if ".." not in file.parts:  # not the commands, in the environment's bin
                    target = folder / "package" / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file.locate(), target)
    done = subprocess.run(
        [shutil.which("sh") or "sh", "-euc", recipe],
        capture_output=True,
        check=False,
        cwd=folder,
        env=environment,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder / "package"


def test_the_recipe_leaves_nothing_of_the_three_and_all_of_the_rest(package: Path) -> None:
    names = {path.name.partition("-")[0] for path in package.iterdir()}
    assert {"cachetools", "cognito_verify", "cryptography", "jose", "python_jose", "requests"} <= names
    assert names & set(UNUSED) == set()


@pytest.fixture(scope="module")
def python(package: Path) -> str:
    """An interpreter that has the zip's content on its path, and nothing else that is installed."""
    bare = package.parent / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    interpreter = str(bare / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    asks = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([interpreter, "-c", asks], check=True, capture_output=True, text=True).stdout.strip()
    Path(site, "zip.pth").write_text(f"{package}\n", encoding="utf-8")
    return interpreter


def test_what_the_recipe_leaves_verifies_refuses_fetches_and_authorizes(python: str) -> None:
    answer = everything(python=python)
    assert answer.returncode == 0, answer.stderr


def test_pip_check_says_what_the_page_says(package: Path, python: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", python, "check"]
    checked = subprocess.run(command, capture_output=True, check=False, text=True)
    assert checked.returncode == 1
    (shown,) = re.findall(r"`pip check` says `([^`]+)`", PAGE)
    (jose,) = package.glob("python_jose-*.dist-info")
    shown = shown.replace("3.5.0", jose.name.split("-")[1].removesuffix(".dist"))
    assert set(checked.stdout.splitlines()) == {shown.replace("ecdsa", name) for name in UNUSED}
