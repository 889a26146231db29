"""What README.md and docs/ show is run, and what they link to is there."""

import logging
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_snippet_runs(page: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)  # a snippet shows an endpoint that is down
    snippets = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    namespace: dict[str, object] = {"headers": {}}
    for number, snippet in enumerate(snippets, 1):
        if re.match(r"# \w+\.py\n", snippet):  # a file of the reader's own: tests/test_testing_page.py runs them
            continue
        exec(compile(snippet, f"{page.name}, snippet {number}", "exec"), namespace)  # noqa: S102 - our own pages
    assert snippets or page.name == "command-line.md"  # its shell snippets run in tests/e2e/test_cli_docs.py


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"], ids=lambda page: page.name)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_has_its_figures() -> None:
    assert "<!-- figures" not in (ROOT / "README.md").read_text(encoding="utf-8")
