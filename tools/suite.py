"""Run the test suite under coverage as four processes side by side, which takes half as long on two cores or more.

    python tools/suite.py [PYTEST OPTION...]

What starts servers and processes, and so waits most of the time, is in the first two parts; the others share the rest.
Their output comes one after the other.
"""

import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

_ROOT = Path(__file__).parents[1]
_PARTS = (
    (
        *("tests/e2e", "tests/test_cli.py", "tests/test_cli_doctor.py", "tests/test_supply_chain.py"),
        "tests/test_import_cost.py",
    ),
    (
        *("tests/e2e/test_framework_pages.py", "tests/e2e/test_framework_examples.py", "tests/e2e/test_frameworks.py"),
        *("tests/e2e/test_mcp.py", "tests/e2e/test_powertools.py", "tests/e2e/test_fastapi_lambda.py"),
        *("tests/attacks", "tests/test_docs.py", "tests/test_site.py"),
    ),
    (
        *("tests/integrations", "tests/test_policy.py", "tests/test_authorizer.py", "tests/test_errors.py"),
        *("tests/test_events.py", "tests/test_decorator.py", "tests/test_cli_explaining.py"),
    ),
)


def main(options: Iterable[str]) -> int:
    named = [path for part in _PARTS for path in part]
    absent = [path for path in named if not (_ROOT / path).exists()]
    if absent:
        raise SystemExit(f"tools/suite.py names what is not there: {', '.join(absent)}")
    others = [f"--ignore={path}" for path in named]
    parts = [[*part, *(f"--ignore={path}" for path in named if _is_below(path, part))] for part in _PARTS]
    codes = set()
    with ExitStack() as opened:
        running: list[tuple[subprocess.Popen[bytes], Any]] = []
        for part in (*parts, others):
            report = opened.enter_context(TemporaryFile("w+", encoding="utf-8"))
            command = [sys.executable, "-m", "coverage", "run", "-m", "pytest", *part, *options]
            running.append((subprocess.Popen(command, cwd=_ROOT, stdout=report, stderr=subprocess.STDOUT), report))
        for process, report in running:
            process.wait()
            report.seek(0)
            print(report.read(), flush=True)
            codes.add(process.returncode)
    none_is_there = {int(pytest.ExitCode.NO_TESTS_COLLECTED)}  # as in a part of which `-k` selects nothing
    return int(codes - none_is_there != {0})


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(f"{folder}/") for folder in folders)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
