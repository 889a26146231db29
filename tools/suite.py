"""Run the test suite under coverage as two processes side by side, which takes half as long on two cores or more.

    python tools/suite.py [PYTEST OPTION...]

What starts servers and processes, and so waits most of the time, is one half; the other half is everything else. Their
output comes one after the other.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

_ROOT = Path(__file__).parents[1]
_PROCESSES = (
    *("tests/e2e", "tests/attacks", "tests/test_docs.py", "tests/test_site.py", "tests/test_cli.py"),
    *("tests/test_cli_doctor.py", "tests/test_supply_chain.py", "tests/test_import_cost.py"),
)


def main(arguments: Iterable[str]) -> int:
    absent = [path for path in _PROCESSES if not (_ROOT / path).exists()]
    if absent:
        raise SystemExit(f"tools/suite.py names what is not there: {', '.join(absent)}")
    with TemporaryFile("w+", encoding="utf-8") as report:
        others = subprocess.Popen(
            _pytest(*(f"--ignore={path}" for path in _PROCESSES), *arguments),
            cwd=_ROOT,
            stdout=report,
            stderr=subprocess.STDOUT,
        )
        processes = subprocess.run(_pytest(*_PROCESSES, *arguments), cwd=_ROOT, check=False)
        others.wait()
        report.seek(0)
        print(report.read(), flush=True)
    return processes.returncode or others.returncode


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "coverage", "run", "-m", "pytest", *arguments]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
