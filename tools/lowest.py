"""Print pip constraints that hold each run-time dependency to its lower bound; `--check` proves them installed.

The bounds have one home, `dependencies` in pyproject.toml.
"""

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?>=(?P<version>[0-9][0-9.]*)")


def lower_bounds(pyproject: str) -> dict[str, str]:
    """The lowest allowed version of each run-time dependency, by its name."""
    bounds = {}
    for requirement in tomllib.loads(pyproject)["project"]["dependencies"]:
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise SystemExit(f"pyproject.toml: expected `name>=version` as a dependency, found {requirement!r}")
        bounds[match["name"]] = match["version"]
    return bounds


def _release(text: str) -> tuple[int, ...]:
    numbers = [int(number) for number in text.split(".")]
    while numbers and numbers[-1] == 0:  # 3.4 and 3.4.0 are the same version (PEP 440)
        numbers.pop()
    return tuple(numbers)


def main() -> None:
    """Print the constraints, or check that they are what is installed."""
    bounds = lower_bounds(Path("pyproject.toml").read_text(encoding="utf-8"))
    if sys.argv[1:] != ["--check"]:
        print("\n".join(f"{name}=={bound}" for name, bound in bounds.items()))
        return
    for name, bound in bounds.items():
        if _release(version(name)) != _release(bound):
            raise SystemExit(f"{name}: expected {bound}, the lower bound, found {version(name)}")


if __name__ == "__main__":
    main()
