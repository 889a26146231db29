"""Build the distributions and use the wheel as a stranger would: a bare environment, the README's first example.

Run it in the clone's root. What is checked: which files the wheel and the sdist hold; that the wheel imports with the
run-time dependencies alone; that the README's first Python block prints the refusals that it promises; that a typed
user's program type-checks against the installed wheel, which takes `py.typed`; that the command says what it needs, and
that the lab which it runs is the wheel's own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path.cwd()
BUILD = ROOT / "build" / "wheel"
BARE = BUILD / "environment"
PYTHON = BARE / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

NOT_AT_RUN_TIME = ("boto3", "click", "hypothesis", "moto", "mypy", "pytest", "ruff")
NEEDED_IN_SDIST = (
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "benchmarks",
    "docs",
    "examples",
    "pyproject.toml",
    "tests",
    "tools",
)

# What `cognito-verify demo` runs; the wheel has a copy.
OF_THE_LAB = tuple(
    f"examples/cost_calculator/{name}.py" for name in ("authorizer", "calculate_price", "lab", "local", "reports")
)

# Headers to put in the place of the README's, and what its example must print.
REFUSALS: tuple[tuple[dict[str, str], str], ...] = (
    ({}, "401 Bearer"),
    ({"Authorization": "Bearer not-a-token"}, '401 Bearer error="invalid_token", error_description="[^"\\n]+"'),
    ({"Authorization": "e30.e30.e30"}, '401 Bearer error="invalid_token", error_description="[^"\\n]+"'),
)


def main() -> None:
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    _run(sys.executable, "-m", "build", "--outdir", str(BUILD), str(ROOT))
    (wheel,), (sdist,) = BUILD.glob("*.whl"), BUILD.glob("*.tar.gz")
    _check_wheel_files(wheel)
    _check_sdist_files(sdist)

    _run(sys.executable, "-m", "venv", str(BARE))
    _run(str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    _check_import()
    _check_readme()
    _check_command(wheel)
    # From outside the clone, so that mypy sees the wheel's types and not the checkout's.
    program = BUILD / "typed_user.py"
    shutil.copy(ROOT / "tests" / "typed_user.py", program)
    _run(sys.executable, "-m", "mypy", "--strict", "--python-executable", str(PYTHON), program.name)
    print(f"{wheel.name}: files, import, the README's first example, types and the command are right")


def _check_wheel_files(wheel: Path) -> None:
    files = set(zipfile.ZipFile(wheel).namelist())
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "cognito_verify").rglob("*.py")}
    beside = {name for name in files if name.split("/")[0] != "cognito_verify" and ".dist-info/" not in name}
    _expect("the wheel holds nothing beside the package", beside, set())
    lab = {f"cognito_verify/cli/{name}" for name in OF_THE_LAB}
    _expect("the wheel lacks nothing", {"cognito_verify/py.typed", *package, *lab} - files, set())
    extra = {name for name in files if name.startswith("cognito_verify/") and not name.endswith("/py.typed")}
    _expect("the wheel holds no more than the package and the lab", extra - package - lab, set())
    _expect("the wheel holds the licence", any(name.endswith("/licenses/LICENSE") for name in files), True)


def _check_sdist_files(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        paths = [name.split("/", 1)[1] for name in archive.getnames() if "/" in name]
    missing = [needed for needed in NEEDED_IN_SDIST if not any(f"{path}/".startswith(f"{needed}/") for path in paths)]
    junk = [path for path in paths if "__pycache__" in path or path.startswith((".venv", "build/", "."))]
    _expect("the sdist is complete", missing, [])
    _expect("the sdist is tidy", [path for path in junk if path != ".gitignore"], [])


def _check_import() -> None:
    program = (
        "import sys, importlib.util, cognito_verify\n"
        "for name in cognito_verify.__all__: getattr(cognito_verify, name)\n"
        f"print(cognito_verify.__file__.startswith(sys.prefix), [name for name in {NOT_AT_RUN_TIME!r}"
        " if importlib.util.find_spec(name)])"
    )
    _expect("every public name of the wheel loads, with the run-time dependencies alone", _python(program), "True []")


def _check_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    match = re.search(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    if match is None:
        raise SystemExit("README.md: expected a ```python block, found none")
    for headers, refusal in REFUSALS:
        program, replaced = re.subn("^headers = {}.*$", f"headers = {headers}", match[1], flags=re.MULTILINE)
        _expect("lines of the README's first example that say which headers came", replaced, 1)
        printed = _python(program)
        if not re.fullmatch(refusal, printed):
            raise SystemExit(f"README.md, first example, headers = {headers}: expected {refusal}, found {printed!r}")


def _check_command(wheel: Path) -> None:
    command = PYTHON.with_name("cognito-verify.exe" if sys.platform == "win32" else "cognito-verify")
    refused = subprocess.run([command], check=False, capture_output=True, text=True)
    needs = "cognito-verify: the command needs click: pip install 'cognito-verify[cli]'\n"
    _expect("the command of the bare environment", (refused.returncode, refused.stderr), (2, needs))

    told = _run(str(PYTHON), "-I", "-W", "error", "-m", "cognito_verify")
    _expect("the report of the bare environment", "nothing found that is wrong here" in told.splitlines(), True)

    unpacked = BUILD / "unpacked"
    shutil.unpack_archive(wheel, unpacked, "zip")
    load = f"import sys; sys.path.insert(0, {str(unpacked)!r}); from cognito_verify.cli.lab import load_lab"
    said = _run(sys.executable, "-c", f"{load}; lab = load_lab(); print(lab.__file__); sys.exit(lab.main())")
    _expect("the lab that runs is the wheel's", Path(said.splitlines()[0]).is_relative_to(unpacked), True)


def _python(program: str) -> str:
    """What a program prints in the bare environment, with warnings as errors and the clone out of sight."""
    return _run(str(PYTHON), "-I", "-W", "error", "-c", program).strip()


def _run(*command: str) -> str:
    finished = subprocess.run(command, cwd=BUILD, check=False, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(
            f"{' '.join(command)}\n{finished.stdout}{finished.stderr}failed, exit code {finished.returncode}"
        )
    return finished.stdout


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise SystemExit(f"{what}: expected {expected!r}, found {found!r}")


if __name__ == "__main__":
    main()
