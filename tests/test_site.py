"""The manual as a site: built strictly, complete, and nothing in it comes from another host."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import cognito_verify
from cognito_verify import errors
from cognito_verify.errors import CognitoVerifyError
from tools.surface import BESIDE, FRONT_DOORS

ROOT = Path(__file__).parents[1]
ERRORS = [CognitoVerifyError, *(getattr(cognito_verify, name) for name in cognito_verify.__all__ if "Error" in name)]
PUBLIC = [
    *(f"{module}.{name}" for module in FRONT_DOORS for name in import_module(module).__all__),
    *(path for path in BESIDE if not path.endswith(".Observer")),  # the type of a function, told with the events
]


def built(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """What `make docs` does."""
    options = ["--fail-on-warning", "--keep-going", "--quiet", "--doctree-dir", str(target.parent / "doctrees")]
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(source), str(target)],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site") / "docs"
    done = built(ROOT / "docs", target)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return target


class Page(HTMLParser):
    """The ids, the links and what a browser loads of one built page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.language = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.ids.add(given.get("id", ""))
        if tag == "html":
            self.language = given.get("lang", "")
        if tag == "a":
            self.links.append(given.get("href", ""))
        else:
            self.loaded += [
                given[name] for name in ("src", "srcset", "data", "poster", "action", "href") if name in given
            ]
        self.loaded += re.findall(r"url\(([^)]*)\)", given.get("style", ""))


page = cache(Page)


def pages(site: Path) -> Iterator[tuple[Path, Page]]:
    return ((path, page(path)) for path in sorted(site.rglob("*.html")))


def test_the_site_has_every_page_of_the_manual(site: Path) -> None:
    sources = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert sources <= {path.relative_to(site) for path in site.rglob("*.html")}
    assert Path("index.html") in sources


WRONG = {
    "a page": ("[a](no-page.md)", "no-page.md"),
    "an anchor of the same page": ("[a](#no-anchor-here)", "no-anchor-here"),
    "an anchor of another page": ("[a](index.md#no-anchor-there)", "no-anchor-there"),
    "a picture": ("![a](no-picture.svg)", "no-picture.svg"),
    "a file beside the manual": ("[a](../no-file.md)", "no-file.md"),
    "a name": ("```{eval-rst}\n.. autoclass:: cognito_verify.NoName\n```", "NoName"),
    "a reference": ("{py:class}`cognito_verify.NoReference`", "NoReference"),
}


@pytest.fixture(scope="module")
def wrong_and_right(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What the build says of a page where all of that leads nowhere, and of its twin."""
    folder = tmp_path_factory.mktemp("wrong")
    source = folder / "source"
    shutil.copytree(ROOT / "docs" / "_static", source / "_static")
    shutil.copy(ROOT / "docs" / "conf.py", source)
    (folder / "file.md").write_text("# File\n", encoding="utf-8")
    (source / "index.md").write_text("# Title\n\n```{toctree}\nother\n```\n", encoding="utf-8")
    (source / "other.md").write_text("\n\n".join(["# Other", *(text for text, _ in WRONG.values())]), encoding="utf-8")
    wrong = built(source, folder / "docs")
    assert wrong.returncode != 0
    right = "# Other\n\n[a](index.md#title) [a](#other) [a](../file.md)\n"
    (source / "other.md").write_text(right, encoding="utf-8")
    return wrong.stderr, built(source, folder / "docs").stderr


@pytest.mark.parametrize("what", WRONG)
def test_what_leads_nowhere_fails_the_build(wrong_and_right: tuple[str, str], what: str) -> None:
    wrong, right = wrong_and_right
    assert WRONG[what][1] in wrong
    assert right == ""


def test_every_link_inside_the_built_site_leads_to_a_page_and_its_anchor(site: Path) -> None:
    lost = []
    for path, found in pages(site):
        for link in found.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = page(target).ids if target.suffix == ".html" and target.is_file() else set()
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                lost.append((path.name, link))
    assert lost == []


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    foreign = re.compile(r"\s*['\"]?(?:[a-z][a-z0-9+.-]*:)?//|\s*['\"]?(?!data:)[a-z][a-z0-9+.-]*:", re.IGNORECASE)
    loaded = [(path.name, url) for path, found in pages(site) for url in found.loaded]
    for style in site.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", style.read_text(encoding="utf-8"), flags=re.DOTALL)
        loaded += [(style.name, url) for url in re.findall(r"(?:url\(|@import\s)([^)\s;]+)", text)]
    assert len(loaded) > 100
    assert [(name, url) for name, url in loaded if foreign.match(url)] == []
    assert foreign.match("//cdn.example/x.js")
    assert foreign.match("https://cdn.example/x.js")
    assert not foreign.match("_static/x.js")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_every_code_has_its_anchor_in_the_repository_and_in_the_site(
    site: Path, error: type[CognitoVerifyError]
) -> None:
    path, _, anchor = error.docs_url.partition("#")
    assert f"### `{anchor}`\n" in (ROOT / path).read_text(encoding="utf-8")
    assert anchor in page(site / Path(path).relative_to("docs").with_suffix(".html")).ids


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_the_manual_says_what_the_client_sees_of_every_code(error: type[CognitoVerifyError]) -> None:
    text = (ROOT / errors.DOCUMENTATION).read_text(encoding="utf-8")
    section = text.partition(f"### `{error.code}`\n")[2].partition("\n#")[0]
    said = re.search(r"\*\*The client sees\*\* (\d+), (?:`([^`]+)`|without a challenge)", section)
    assert said
    raised = error("...", scopes=["..."] if "scope=" in (said[2] or "") else (), max_age=1)
    assert int(said[1]) == raised.http_status
    assert (said[2] or "") == raised.challenge.replace('max_age="1"', 'max_age="..."')
    assert error.__name__ in section


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_in_the_reference(site: Path, name: str) -> None:
    assert any(name in found.ids for path, found in pages(site) if path.parent.name == "reference")


def test_the_reference_lists_every_option_of_a_verifier() -> None:
    text = (ROOT / "docs" / "reference" / "verify.md").read_text(encoding="utf-8")
    listed = re.search(r"autoclass:: CognitoVerifier\((.*)\)", text)
    assert listed
    names = [parameter.partition("=")[0] for parameter in listed[1].replace("*, ", "").split(", ")]
    assert sorted(names) == sorted(inspect.signature(cognito_verify.CognitoVerifier).parameters)


def test_every_page_says_its_language(site: Path) -> None:
    for path, found in pages(site):
        assert found.language == ("ko" if path.stem.endswith("-ko") else "en"), path
