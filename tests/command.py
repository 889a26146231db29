"""The `cognito-verify` command for tests: in this process, where much is tried, and as the process that users run."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cognito_verify.cli.program import run

__all__ = ["CLONE", "SCRIPT", "Ended", "as_process", "clean_environment", "command_line", "in_process"]

CLONE = Path(__file__).parents[1]
SCRIPT = Path(sys.executable).with_name("cognito-verify.exe" if sys.platform == "win32" else "cognito-verify")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def clean_environment(**variables: str) -> dict[str, str]:
    """The environment without what the commands read from it, and with these variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COGNITO_", "AWS_"))}
    kept = {name: value for name, value in kept.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    return {**kept, **variables}


def in_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str, stdin: str | bytes = ""
) -> Ended:
    content = stdin if isinstance(stdin, bytes) else stdin.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    capsys.readouterr()
    code = run(arguments)
    said = capsys.readouterr()
    return Ended(code, said.out, said.err)


def command_line(*arguments: str) -> list[str]:
    """What starts the installed command; its lines count where this suite's are counted."""
    counted = os.environ.get("COVERAGE_RUN") == "true"
    counting = ["-m", "coverage", "run", f"--rcfile={CLONE / 'pyproject.toml'}", f"--data-file={CLONE / '.coverage'}"]
    return [sys.executable, *(counting if counted else []), str(SCRIPT), *arguments]


def as_process(
    *arguments: str,
    stdin: str = "",
    terminal: int | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Ended:
    """Run it with a text as its standard input, or at a terminal."""
    source: dict[str, Any] = {"input": stdin} if terminal is None else {"stdin": terminal}
    done = subprocess.run(
        command_line(*arguments),
        **source,
        capture_output=True,
        text=True,
        env=clean_environment(**(env or {})),
        cwd=cwd,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
