"""A release: tag, version and changelog agree, and the workflow has no more power than each of its jobs needs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import cognito_verify
from tools.check_release import NotReadyError, entry_of

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SOURCE = '"""Text."""\n\n__version__ = "1.2.3"\n\n__all__ = []\n'
ENTRY = "### Stricter verification\n\n- One.\n\n### Fixed\n\n- Two."
OLDER = "\n\n## [1.2.2] - 2026-12-01\n\n### Fixed\n\n- Three.\n"
CHANGELOG = f"# Changelog\n\nText.\n\n## [Unreleased]\n\n## [1.2.3] - 2027-01-15\n\n{ENTRY}{OLDER}"


def test_the_entry_of_the_release_is_found() -> None:
    assert entry_of("v1.2.3", SOURCE, CHANGELOG) == ENTRY
    first = CHANGELOG.removesuffix(OLDER)
    assert entry_of("v1.2.3", SOURCE, first) == ENTRY
    candidate = CHANGELOG.replace("[1.2.3]", "[1.2.3rc1]")
    assert entry_of("v1.2.3rc1", SOURCE.replace("1.2.3", "1.2.3rc1"), candidate) == ENTRY


@pytest.mark.parametrize(
    ("tag", "source", "changelog", "message"),
    [
        pytest.param("v1.2.4", SOURCE, CHANGELOG, "tag: expected v1.2.3, .* found v1.2.4", id="another-tag"),
        pytest.param("1.2.3", SOURCE, CHANGELOG, "tag: expected v1.2.3", id="no-v"),
        pytest.param(
            "v1.2", SOURCE.replace("1.2.3", "1.2"), CHANGELOG, "__version__: expected a release", id="two-numbers"
        ),
        pytest.param("v1.2.3", '__all__ = ["__version__"]', CHANGELOG, "expected __version__", id="no-version"),
        pytest.param(
            "v1.2.3", SOURCE, CHANGELOG.replace("1.2.3]", "1.2.2]"), "expected ## .1.2.3. - and its date", id="old"
        ),
        pytest.param("v1.2.3", SOURCE, CHANGELOG.replace(" - 2027-01-15", ""), "and its date", id="no-date"),
        pytest.param("v1.2.3", SOURCE, "# Changelog\n\n## [Unreleased]\n\n### Fixed\n", "found none", id="none"),
        pytest.param(
            "v1.2.3", SOURCE, CHANGELOG.replace("## [Unreleased]\n\n", ""), "as the first", id="no-unreleased"
        ),
        pytest.param(
            "v1.2.3",
            SOURCE,
            CHANGELOG.replace("## [Unreleased]", "## [Unreleased]\n\n- One."),
            "nothing under",
            id="left",
        ),
        pytest.param(
            "v1.2.3", SOURCE, CHANGELOG.replace("### Fixed", "### Fixes"), "expected headings out of", id="kind"
        ),
        pytest.param("v1.2.3", SOURCE, CHANGELOG.replace(ENTRY, "- One."), r"found \[\]", id="no-kind"),
        pytest.param(
            "v1.2.3",
            SOURCE,
            CHANGELOG.replace(ENTRY, "### Fixed\n\n### Stricter verification"),
            "Stricter verification above all",
            id="below",
        ),
    ],
)
def test_a_release_that_does_not_fit_is_refused(tag: str, source: str, changelog: str, message: str) -> None:
    with pytest.raises(NotReadyError, match=message):
        entry_of(tag, source, changelog)


def test_the_check_runs_with_nothing_installed_and_says_what_is_missing(tmp_path: Path) -> None:
    def check(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", str(ROOT / "tools" / "check_release.py"), *arguments]
        return subprocess.run(command, capture_output=True, check=False, cwd=tmp_path, text=True, timeout=60)

    (tmp_path / "cognito_verify").mkdir()
    (tmp_path / "cognito_verify" / "__init__.py").write_text(SOURCE)
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    good, bad, unsaid = check("v1.2.3"), check("v9.9.9"), check()
    assert (good.returncode, good.stdout) == (0, f"{ENTRY}\n")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert (
        bad.stderr == "not ready for release: tag: expected v1.2.3, as cognito_verify/__init__.py says, found v9.9.9\n"
    )
    assert (unsaid.returncode, unsaid.stderr) == (1, "usage: python tools/check_release.py TAG\n")


def test_our_own_changelog_has_the_headings_that_the_check_allows() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.sub(
        r"^## \[Unreleased\]$",
        f"## [Unreleased]\n\n## [{cognito_verify.__version__}] - 2027-01-15",
        changelog,
        flags=re.MULTILINE,
    )
    source = Path(cognito_verify.__file__).read_text(encoding="utf-8")
    assert entry_of(f"v{cognito_verify.__version__}", source, released)


# The workflows


def loaded(path: Path) -> Any:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {**workflow, "on": workflow.get("on", workflow.get(True))}  # `on` is YAML 1.1's way to say true


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in loaded(path)["jobs"].items():
            for step in job["steps"]:
                yield f"{path.stem}: {name}", step


RELEASE = loaded(ROOT / ".github" / "workflows" / "release.yml")
# What each job may do, and why it must. Nothing else may: the default of the file is nothing at all.
ALLOWED = {
    "ci: test": {"contents": "read"},
    "ci: bounds": {"contents": "read"},
    "ci: around": {"contents": "read"},
    "release: test": {"contents": "read"},
    "release: build": {"contents": "read"},
    "release: attest": {"id-token": "write", "attestations": "write"},
    "release: publish": {"id-token": "write"},
    "release: announce": {"contents": "write"},
}


def test_a_job_has_the_permissions_that_it_needs_and_no_others() -> None:
    assert [loaded(path)["permissions"] for path in WORKFLOWS] == [{}] * len(WORKFLOWS)
    found = {
        f"{path.stem}: {name}": job["permissions"] for path in WORKFLOWS for name, job in loaded(path)["jobs"].items()
    }
    assert found == ALLOWED


def test_what_may_write_runs_no_code_of_the_repository() -> None:
    writing = {name for name, permissions in ALLOWED.items() if "write" in permissions.values()}
    assert writing == {"release: attest", "release: publish", "release: announce"}
    for name, step in steps():
        if name in writing:
            assert "checkout" not in step.get("uses", "")
            assert not re.search(r"\b(make|python|pip|bash|sh)\b", step.get("run", "")), step


def test_every_action_is_pinned_to_a_commit_whose_release_is_named() -> None:
    for path in WORKFLOWS:
        used = re.findall(r"uses: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert used
        for one in used:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+(?:: .*)?", one), one


def test_an_action_is_pinned_to_one_commit_everywhere() -> None:
    pins = {step["uses"] for _, step in steps() if "uses" in step}
    assert len({pin.partition("@")[0] for pin in pins}) == len(pins)


def test_no_checkout_leaves_its_credentials_behind() -> None:
    checkouts = [step for _, step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


def test_no_text_of_an_event_is_put_into_a_script() -> None:
    scripts = [step["run"] for _, step in steps() if "run" in step]
    assert scripts
    assert not [script for script in scripts if "${{" in script]


def test_every_target_that_is_called_is_one_that_there_is() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    called = {found for _, step in steps() for found in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}
    around = {"test-frameworks", "test-browser", "test-without-ecdsa", "reproducible"}
    assert called == {"dist", "docs", "lint", "test", "test-lowest", *around}
    assert called <= targets
    for _, step in steps():
        for script in re.findall(r"\b(?:bash|python) (\S+)", step.get("run", "")):
            assert (ROOT / script).is_file()


def test_a_release_is_published_last_from_a_protected_environment_and_by_a_tag_alone() -> None:
    assert RELEASE["on"] == {"push": {"tags": ["v*"]}}
    jobs = RELEASE["jobs"]
    assert [name for name, job in jobs.items() if "environment" in job] == ["publish"]
    assert jobs["publish"]["environment"] == "release"
    assert (jobs["attest"]["needs"], jobs["publish"]["needs"]) == (["test", "build"], "attest")
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")


def test_all_files_are_attested_and_the_packages_with_their_sbom() -> None:
    attested = [
        one["with"] for one in RELEASE["jobs"]["attest"]["steps"] if one.get("uses", "").startswith("actions/attest@")
    ]
    assert attested == [
        {"subject-path": "dist/*"},
        {"subject-path": "dist/*.whl\ndist/*.tar.gz\n", "sbom-path": "sbom.cdx.json"},
    ]


def test_every_python_that_the_package_names_is_tested() -> None:
    classifiers = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', classifiers)
    assert set(named) == set(
        loaded(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    )
