"""The manual as a site: `make docs` builds it into build/docs, and any warning or broken link fails it.

Sphinx reads the pages as they are (Markdown, by MyST), and the reference out of the docstrings. Nothing is fetched,
neither when it is built nor when it is read: tests/test_site.py holds that.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

import cognito_verify

project = "cognito-verify"
author = "the cognito-verify project"
project_copyright = "the cognito-verify project, Apache-2.0"
version = release = cognito_verify.__version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!cognito_verify\b).*"),  # other projects' names: their inventories are elsewhere
    ("py:.*", r"cognito_verify\..*(TokenT_co|\._\w+)"),  # type variables and what is a room's own
]

myst_heading_anchors = 3
myst_url_schemes = ["http", "https"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_use_type_comments = False
maximum_signature_line_length = 72
python_use_unqualified_type_names = True
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"cognito-verify {release}"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_copy_source = html_show_sourcelink = html_show_sphinx = False
html_use_index = True
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"


def files_beside_the_manual(app: Sphinx, page: str, source: list[str]) -> None:
    """Let a link to a Markdown file outside of docs/, which is no page of the site, lead to a copy of the file."""
    folder = (Path(app.srcdir) / page).parent

    def link(found: re.Match[str]) -> str:
        is_outside = not (folder / found[1]).resolve().is_relative_to(app.srcdir)
        return f"](<path:{found[1]}>)" if is_outside else found[0]

    source[0] = re.sub(r"\]\((\.\./[^)#\s]+\.md)(?:#[^)\s]*)?\)", link, source[0])


def anchors_as_a_git_host_makes_them(_app: Sphinx, document: nodes.document) -> None:
    """Give each heading the anchor that its Markdown has in the repository: `#token_expired`, not `#token-expired`.

    So a link to a heading is the same in both places.
    """
    for section in document.findall(nodes.section):
        slug = section.get("slug")
        if slug and slug not in section["ids"]:
            section["ids"].append(slug)


def language_of_the_page(
    _app: Sphinx, _page: str, _template: str, context: dict[str, Any], _document: nodes.document | None
) -> None:
    """Say in `<html lang>` what language a page is in, for screen readers, hyphenation and fonts."""
    context["language"] = (context.get("meta") or {}).get("lang", language)


def docstrings_are_markdown(
    _app: Sphinx, _what: str, _name: str, _value: object, _options: Any, lines: list[str]
) -> None:
    """Our docstrings write code as Markdown does: reStructuredText wants two backticks, and `::` before a block."""
    text = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", "\n".join(lines))
    lines[:] = re.sub(r"^(\S.*)\n\n(?= {4}\S)", r"\1\n\n::\n\n", text, flags=re.MULTILINE).split("\n")


def properties_are_sentences(
    _app: Sphinx, what: str, _name: str, value: object, _options: Any, lines: list[str]
) -> None:
    """Undo what napoleon makes of a property: it takes all before a colon for the type."""
    if what == "property":
        lines[:] = (inspect.getdoc(value) or "").split("\n")
        docstrings_are_markdown(_app, what, _name, value, _options, lines)


def setup(app: Sphinx) -> None:
    app.connect("source-read", files_beside_the_manual)
    app.connect("doctree-read", anchors_as_a_git_host_makes_them)
    app.connect("autodoc-process-docstring", docstrings_are_markdown, priority=400)
    app.connect("autodoc-process-docstring", properties_are_sentences, priority=600)  # napoleon is at 500
    app.connect("html-page-context", language_of_the_page)
