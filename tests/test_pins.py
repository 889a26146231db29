"""Lower bounds of pyproject.toml exclude what advisories are about; constraints.txt pins all that is required."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools.lowest import lower_bounds

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Lower bounds

# Advisories of run-time dependencies, and the first version without them.
ADVISORIES = (
    ("python-jose", "CVE-2024-33663", "3.4.0"),  # HS256 with a public key that is not seen to be one
    ("python-jose", "CVE-2024-33664", "3.4.0"),  # a JWE that unpacks to gigabytes
    ("cryptography", "CVE-2023-50782", "42.0.0"),  # RSA decryption tells by its time
    ("cryptography", "CVE-2024-26130", "42.0.4"),  # a NULL pointer in PKCS #12
    ("requests", "CVE-2024-35195", "2.32.0"),  # verify=False for one request stays for the next
    ("requests", "CVE-2024-47081", "2.32.4"),  # .netrc given to another host
)


@pytest.mark.parametrize(("package", "advisory", "mended_in"), ADVISORIES)
def test_a_lower_bound_excludes_what_an_advisory_is_about(package: str, advisory: str, mended_in: str) -> None:
    bounds = lower_bounds((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert Version(bounds[package]) >= Version(mended_in), advisory


# constraints.txt


def pins() -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            pin = Requirement(line)
            found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


def requirements() -> Iterator[Requirement]:
    project = PYPROJECT["project"]
    for text in (
        *PYPROJECT["build-system"]["requires"],
        *project["dependencies"],
        *(text for extra in project["optional-dependencies"].values() for text in extra),
    ):
        requirement = Requirement(text)
        if requirement.name != project["name"]:  # an extra made of extras
            yield requirement


def unpinned(requirement: Requirement, pinned: Mapping[str, list[Requirement]]) -> list[str]:
    """What is wrong with the pins of a requirement."""
    found = pinned.get(canonicalize_name(requirement.name), [])
    versions = [specifier.version for pin in found for specifier in pin.specifier if specifier.operator == "=="]
    if not versions:
        return [f"{requirement}: not in constraints.txt; run: make constraints"]
    wrong = [version for version in versions if not requirement.specifier.contains(version, prereleases=True)]
    if requirement.marker and len(wrong) < len(versions):
        return []  # one of several for some environments each, as the pins are
    return [f"{requirement}: constraints.txt has {version}; run: make constraints" for version in wrong]


def test_every_requirement_has_a_pin_that_it_allows() -> None:
    pinned = pins()
    assert len(pinned) > 50
    assert [wrong for requirement in requirements() for wrong in unpinned(requirement, pinned)] == []


@pytest.mark.parametrize(
    ("requirement", "pin", "is_right"),
    [
        ("pytest>=8.3", "pytest==9.2.0", True),
        ("pytest>=8.3", "pytest==8.2.0", False),
        ("pytest>=8.3", "pytest>=8.3", False),
        ("pytest>=8.3", "pytest-x==9.2.0", False),
        ("Py_Test[x]>=8.3", "py-test==9.2.0 ; sys_platform == 'linux'", True),
        ("mypy==2.4.1", "mypy==2.4.2", False),
    ],
)
def test_a_missing_or_a_low_pin_is_found(requirement: str, pin: str, is_right: bool) -> None:
    pinned: dict[str, list[Requirement]] = {canonicalize_name(Requirement(pin).name): [Requirement(pin)]}
    assert (unpinned(Requirement(requirement), pinned) == []) is is_right


def test_the_pins_name_packages_and_versions_alone() -> None:
    for name, found in pins().items():
        for pin in found:
            assert pin.url is None, name
            assert [specifier.operator for specifier in pin.specifier] == ["=="], name
