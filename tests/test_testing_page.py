"""docs/how-to/testing.md as its reader follows it: the page's files in a folder of their own, and pytest run there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from cognito_verify.testing import FAULTS, LAMBDA_EVENT_KINDS, TROUBLES

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "testing.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


def suite(folder: Path, files: dict[str, str]) -> str:
    for name, source in files.items():
        (folder / name).write_text(source, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COGNITO_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", ".", "test_app.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


def test_the_pages_suite_passes_as_the_page_says(tmp_path: Path) -> None:
    told = re.search(r"`(\d+ passed)`", PAGE)
    assert told is not None
    printed = suite(tmp_path, FILES)
    assert f"\n{told[1]} in " in printed, printed


def test_the_pages_suite_fails_where_the_rule_is_taken_out(tmp_path: Path) -> None:
    opened = FILES["app.py"].replace(', groups="finance"', "")
    assert opened != FILES["app.py"]
    printed = suite(tmp_path, {**FILES, "app.py": opened})
    assert "test_others_do_not" in printed
    assert "3 failed, 14 passed" in printed, printed


def test_the_page_knows_every_trouble_fault_and_kind_of_event() -> None:
    rows = dict(re.findall(r"^\| `pool\.(\w+)\(\)` \| .* \| `(\w+)` \|$", PAGE, re.MULTILINE))
    assert rows == TROUBLES
    assert [name for name in (*FAULTS, *LAMBDA_EVENT_KINDS) if f"`{name}`" not in PAGE] == []
