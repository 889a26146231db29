"""Refuse a release whose tag, version and changelog do not say the same: `python tools/check_release.py v1.2.3`.

Prints the release's entry of CHANGELOG.md, which becomes the text of the release. Needs nothing but Python, so that it
runs before anything is installed.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

_VERSION = r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:(?:a|b|rc)\d+)?"
_DATE = r"\d{4}-\d{2}-\d{2}"
_KINDS = ("Stricter verification", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


class NotReadyError(Exception):
    """Something of the release does not fit; the message says what, and what to do."""


def entry_of(tag: str, source: str, changelog: str) -> str:
    """The changelog's entry for the tag, less its heading.

    Args:
        tag: Such as `v1.2.3`.
        source: The text of cognito_verify/__init__.py.
        changelog: The text of CHANGELOG.md.

    Raises:
        NotReadyError: The three do not belong together, or the entry is none of a release.
    """
    version = _version_in(source)
    if tag != f"v{version}":
        raise NotReadyError(f"tag: expected v{version}, as cognito_verify/__init__.py says, found {tag}")
    headings = re.findall(r"^## (.*)$", changelog, re.MULTILINE)
    released = [one for one in headings if one != "[Unreleased]"]
    if headings[:1] != ["[Unreleased]"]:
        raise NotReadyError("CHANGELOG.md: expected ## [Unreleased] as the first heading, for what comes next")
    if not released or not re.fullmatch(rf"\[{re.escape(version)}\] - {_DATE}", released[0]):
        found = released[0] if released else "none"
        raise NotReadyError(f"CHANGELOG.md: expected ## [{version}] - and its date after [Unreleased], found {found}")
    unreleased, entry = (_below(heading, changelog) for heading in headings[:2])
    if unreleased:
        raise NotReadyError(
            "CHANGELOG.md: expected nothing under [Unreleased]: what is there is released under no version"
        )
    kinds = re.findall(r"^### (.*)$", entry, re.MULTILINE)
    if not kinds or not set(kinds) <= set(_KINDS):
        raise NotReadyError(f"CHANGELOG.md, {version}: expected headings out of {', '.join(_KINDS)}, found {kinds}")
    if "Stricter verification" in kinds[1:]:
        raise NotReadyError(
            f"CHANGELOG.md, {version}: expected Stricter verification above all others (docs/versioning.md)"
        )
    return entry


def _version_in(source: str) -> str:
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            version = str(ast.literal_eval(node.value))
            if not re.fullmatch(_VERSION, version):
                raise NotReadyError(f"__version__: expected a release such as 1.2.3 or 1.2.3rc1, found {version}")
            return version
    raise NotReadyError("cognito_verify/__init__.py: expected __version__ = ..., found none")


def _below(heading: str, changelog: str) -> str:
    return changelog.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].strip()


def main() -> None:
    """Print the entry of the release whose tag is given."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python tools/check_release.py TAG")
    texts = (Path(name).read_text(encoding="utf-8") for name in ("cognito_verify/__init__.py", "CHANGELOG.md"))
    try:
        print(entry_of(sys.argv[1], *texts))
    except NotReadyError as error:
        raise SystemExit(f"not ready for release: {error}") from None


if __name__ == "__main__":
    main()
