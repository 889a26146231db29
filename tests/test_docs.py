"""What README.md and docs/ show is run, and what they link to is there.

The snippets of a page run in their order, in one namespace and one scratch copy of the project:

- `python` blocks are executed; one whose first line is the name of a file (`# handler.py`) is written to it, or
  added to it (`# mysite/urls.py, at its end`), for a later snippet of the page to run.
- `sh` blocks are executed as a script; of `console` blocks the lines after `$` are executed, and what they print is
  compared with the lines below, where `...` stands for anything.
- `# needs: ...` as the first line says what a snippet wants beyond this machine, or beside the project. A `sh` block of
  this kind is checked for its syntax, and its `aws` lines for operations and options that AWS has; one that needs a
  user pool is run by tests/e2e/test_cli_docs.py, one that needs the code above it by tests/e2e/test_framework_pages.py.
  A `python` block that needs a peer is executed like any other.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import botocore.model
import botocore.session
import pytest
from botocore import xform_name

from benchmarks.cold_start import PROGRAMS, ColdStartReport
from benchmarks.corpus import Batch, SigningPool
from benchmarks.frameworks import ROWS, Cost, frameworks_table
from benchmarks.memory import EXPECTED, MemoryReport
from benchmarks.peers import PEERS as CONTENDERS
from benchmarks.report import Table, cold_start_table, memory_table, verify_table
from benchmarks.rounds import Figure
from benchmarks.stampede import StampedeReport
from benchmarks.verify import FLOOR, Row, VerifyReport, _own_rows

ROOT = Path(__file__).parents[1]
BASH = shutil.which("bash") or "bash"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKED = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *sorted((ROOT / "examples").rglob("*.md"))]
RUNNABLE = ("python", "sh", "console")
# What a snippet may need so that it is not run here: an AWS account, a network beyond this machine, a user pool
# (tests/e2e/test_cli_docs.py runs those on moto's), the code above in a file, under a server
# (tests/e2e/test_framework_pages.py), or a clone with its `make`, whose targets make environments of their own (other
# tests run what is in them).
ELSEWHERE = {"AWS", "a network", "a user pool", "the code above", "a clone"}
PEERS = ("PyJWT", "cognitojwt")
COMMANDS = {"aws", "cognito-verify", "curl", "eval", "make", "mkdir", "pip", "python", "python3.12", "sam", "sed"}
GLOBAL_OPTIONS = {"endpoint-url", "region", "profile", "output", "query", "no-sign-request", "no-cli-pager"}


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}, line {self.line}"

    @property
    def needs(self) -> str:
        found = re.match(r"# needs: (.+)\n", self.text)
        return found[1] if found else ""

    @property
    def file(self) -> str:
        found = re.match(r"# ([\w/]+\.py)(?:, at its end)?\n", self.text)
        return found[1] if found else ""

    def write(self, folder: Path) -> None:
        """Do with its file what its first line says."""
        is_added = self.text.partition("\n")[0].endswith(", at its end")
        with (folder / self.file).open("a" if is_added else "w", encoding="utf-8") as file:
            file.write(self.text)


def snippets(page: Path) -> Iterator[Snippet]:
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE):
        line = text.count("\n", 0, found.start()) + 2
        yield Snippet(page, line, found[2], textwrap.dedent(found[3]))


ALL = [snippet for page in PAGES for snippet in snippets(page)]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what a clone has, and the current folder of the snippets."""
    copy = tmp_path / "clone"
    copy.mkdir()
    for folder in ("cognito_verify", "examples", "tools"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("Makefile", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, copy)
    monkeypatch.chdir(copy)
    return copy


def in_a_shell(script: str, folder: Path) -> str:
    paths = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    environment = {
        "HOME": str(folder.parent),
        "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join(paths),
        "PYTHONPATH": str(folder),
    }
    done = subprocess.run(
        [BASH, "-euo", "pipefail", "-c", script],
        capture_output=True,
        check=False,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def commands(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it should print."""
    found = re.findall(r"^\$ (.*(?:\n> .*)*)\n?((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
    return [(command.replace("\n> ", "\n"), output) for command, output in found]


def is_as_shown(printed: str, shown: str) -> bool:
    return re.fullmatch(re.escape(shown.strip()).replace(r"\.\.\.", ".*"), printed.strip(), re.DOTALL) is not None


def run(snippet: Snippet, namespace: dict[str, object], folder: Path) -> None:
    if snippet.language == "sh":
        in_a_shell(snippet.text, folder)
    elif snippet.language == "console":
        for command, shown in commands(snippet.text):
            printed = in_a_shell(command, folder)
            assert is_as_shown(printed, shown), f"{snippet}: {command}\nprinted:\n{printed}\nshown:\n{shown}"
    elif snippet.file:
        snippet.write(folder)
    else:
        code = compile("\n" * (snippet.line - 1) + snippet.text, str(snippet.page), "exec")
        exec(code, namespace)  # noqa: S102 - our own pages


def run_page(page: Path, folder: Path) -> None:
    namespace: dict[str, object] = {"__name__": "snippet"}
    for snippet in snippets(page):
        if snippet.language in RUNNABLE and snippet.needs in ("", *PEERS):
            run(snippet, namespace, folder)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_snippet_runs(page: Path, scratch: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)  # a snippet shows an endpoint that is down
    run_page(page, scratch)


def test_every_snippet_says_what_it_is_and_what_it_needs() -> None:
    for snippet in ALL:
        assert snippet.language not in {"bash", "shell", "py", "pycon", "zsh"}, f"{snippet}: use python, sh or console"
        allowed = {"", "the code above", *PEERS} if snippet.language == "python" else {"", *ELSEWHERE}
        assert snippet.needs in allowed, f"{snippet}: one of {sorted(allowed)}"
        if snippet.file:
            later = [other for other in ALL if other.page == snippet.page and other.line > snippet.line]
            stem = "manage.py" if "/" in snippet.file else Path(snippet.file).stem  # which runs what a project has
            is_run = name_of(snippet.page) == "docs/how-to/testing.md"  # by tests/test_testing_page.py
            assert is_run or any(stem in other.text for other in later), f"{snippet}: {snippet.file} is never used"


def indented_blocks(page: Path) -> list[str]:
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for block in re.findall(r"^\n((?: {4}.*\n)+)", text, re.MULTILINE)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_tells_to_type_is_in_a_block_that_is_run_or_says_what_it_needs(page: Path) -> None:
    first = [block.split()[0] for block in indented_blocks(page)]
    assert [word for word in first if word in COMMANDS or re.match(r"[A-Z_]+=", word)] == []


def shell_scripts() -> list[tuple[str, str]]:
    scripts = [(str(snippet), snippet.text) for snippet in ALL if snippet.language == "sh"]
    for snippet in ALL:
        if snippet.language == "console":
            scripts += [(str(snippet), command) for command, _ in commands(snippet.text)]
    for page in LINKED:  # an indented block, and a command in a list, as the lab's steps have them
        text = page.read_text(encoding="utf-8")
        scripts += [(name_of(page), block) for block in indented_blocks(page) if block.split()[0] in COMMANDS]
        scripts += [(name_of(page), command) for command in re.findall(r"^- CLI: `(aws .*)`$", text, re.MULTILINE)]
    return scripts


def test_every_shell_snippet_is_a_script() -> None:
    assert len(shell_scripts()) > 20
    for name, script in shell_scripts():
        done = subprocess.run([BASH, "-n"], input=script, capture_output=True, check=False, text=True, timeout=20)
        assert done.returncode == 0, f"{name}: {done.stderr}"


def aws_commands(script: str) -> Iterator[list[str]]:
    """The `aws` commands of a script, as words."""
    for line in script.replace("\\\n", " ").splitlines():
        for command in re.findall(r"(?:^|[|;&(]\s*)(aws [^|;)]*)", line.strip()):
            yield shlex.split(command, comments=True)


@cache
def model_of(service: str) -> botocore.model.ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def faults(words: list[str]) -> list[str]:
    """What AWS would not understand in an `aws` command, by botocore's model of the service."""
    _, service, operation, *rest = words
    model = model_of(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in names:
        return [f"aws {service} has no {operation}"]
    shape = model.operation_model(names[operation]).input_shape
    members = {xform_name(member, "-") for member in shape.members}
    given = {
        word.removeprefix("--").removeprefix("no-") if word[2:] not in members else word[2:]
        for word in rest
        if word.startswith("--")
    }
    required = {xform_name(member, "-") for member in shape.required_members}
    if "zip-file" in given:  # the CLI's own way to say it
        given = (given - {"zip-file"}) | ({"code", "content"} & members)
    return [
        *(f"aws {service} {operation} has no --{option}" for option in sorted(given - members - GLOBAL_OPTIONS)),
        *(f"aws {service} {operation} needs --{option}" for option in sorted(required - given)),
    ]


def test_every_aws_command_is_one_that_aws_has() -> None:
    found = [(name, words) for name, script in shell_scripts() for words in aws_commands(script)]
    assert len(found) > 10
    assert [(name, fault) for name, words in found for fault in faults(words)] == []


def test_a_wrong_aws_command_is_found() -> None:
    assert faults(["aws", "cognito-idp", "admin-creat-user"]) == ["aws cognito-idp has no admin-creat-user"]
    assert faults(["aws", "cognito-idp", "create-user-pool", "--name", "x"]) == [
        "aws cognito-idp create-user-pool has no --name",
        "aws cognito-idp create-user-pool needs --pool-name",
    ]


@pytest.mark.parametrize(
    ("printed", "shown", "is_shown"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\nb\n", "a\n", False),
        ("a 12 b\n", "a ... b\n", True),
        ("a\nb\nc\n", "a\n...\nc\n", True),
        ("a.b\n", "a-b\n", False),
        ("", "", True),
    ],
)
def test_what_a_console_shows_is_compared(printed: str, shown: str, is_shown: bool) -> None:
    assert is_as_shown(printed, shown) is is_shown


def test_a_console_block_is_taken_apart() -> None:
    assert commands("$ echo a\na\n$ true\n$ echo \\\n>     b\nb\n") == [
        ("echo a", "a\n"),
        ("true", ""),
        ("echo \\\n    b", "b\n"),
    ]


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def printed_tables() -> list[Table]:
    """The tables of `make bench` that the manual shows; their rows as they are printed, their figures of no account."""
    figure = Figure(best=1.0, median=1.0, ratio=1.0, ratio_low=1.0, ratio_high=1.0)
    with asyncio.Runner() as runner:  # the rows alone: to measure them, however coarsely, takes seven seconds
        own = _own_rows(SigningPool.new("us-east-1_AbCdEfGhI"), Batch((), ()), [], runner)
    rows = [Row(FLOOR, own[0].run), *own, *(Row(peer.name, own[0].run) for peer in CONTENDERS)]
    of_rows = {row.name: figure for row in rows}
    of_programs = {program.name: figure for program in PROGRAMS}
    memory = MemoryReport(
        tokens={kind: {"unknown kid": 30_000, "good": 70_000}.get(kind, 0) for kind in EXPECTED},
        signed=0,
        outcomes={},
        resident_filled=0,
        resident_after=0,
        seconds=1.0,
        fetches=1,
        cooldown=0.25,
        good_median=0.0,
        good_99=0.0,
    )
    return [
        verify_table(VerifyReport(rows, of_rows, token_chars=0, token_chars_100_groups=0, rounds=1)),
        cold_start_table(ColdStartReport(list(PROGRAMS), wall=of_programs, cpu=of_programs, rounds=1)),
        frameworks_table([Cost(name, 1.0, 1.0, (1.0, 1.0, 1.0), more=0.0, idle=None) for name in ROWS]),
        memory_table(memory, StampedeReport(threads=64, verified=64, requests=1, seconds=1.0)),
    ]


def without_version(name: str) -> str:
    return re.sub(r"\b\d+\.\d+\.\d+\b", "{version}", name)


def target_of(cell: str) -> str:
    return cell.partition(",")[0]


def tables_of(text: str) -> list[list[list[str]]]:
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    ]


FIGURES = ROOT / "docs" / "explanation" / "figures.md"


def test_the_readmes_figures_are_those_of_the_manual() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    ((_, _, *rows),) = tables_of(text.partition("\n## Figures\n")[2].partition("\n## ")[0])
    assert [row for row in rows if row not in tables_of(FIGURES.read_text(encoding="utf-8"))[0]] == []
    assert len(rows) == 7


def test_the_figures_are_of_the_rows_and_the_targets_that_the_benchmarks_have() -> None:
    shown = tables_of(FIGURES.read_text(encoding="utf-8"))
    for (columns, _, *rows), printed in zip(shown, printed_tables(), strict=True):
        assert set(columns) <= set(printed.columns)
        targets = {without_version(row[0]): target_of(row[-1]) for row in printed.rows}
        assert {without_version(row[0]): target_of(row[-1]) for row in rows}.items() <= targets.items()
        missing = targets.keys() - {without_version(row[0]) for row in rows}
        assert [name for name in missing if targets[name]] == []
