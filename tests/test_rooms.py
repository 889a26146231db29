"""Which room may import which: data flows one way, and so do imports, the late ones inside functions included."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cognito_verify"

# A room imports only from itself and from rooms above it in this list.
ROOMS = (
    "errors",
    "observer",
    "pool",
    "jws",
    "keys",
    "jwks",
    "requirements",
    "claims",
    "tokens",
    "context",
    "verifier",
    "answers",
    "conversation",
    "aws_lambda",
    "integrations",
    "testing",
    "pytest_plugin",
    "cli",
    "__main__",
)
# The rooms that may import what is installed beside the package. Anything else is the standard library's or nobody's.
THIRD_PARTY = {
    "boto3": ("cli",),
    "botocore": ("cli",),
    "cachetools": ROOMS,
    "click": ("cli",),
    "cryptography": ("keys", "testing"),
    "examples": ("cli",),  # a copy in the wheel, for `cognito-verify demo`
    "jose": ("keys",),
    "pytest": ("pytest_plugin",),
    "requests": ("jwks",),
}
# What one integration may import where that is not simply the package of the same name. One that is a folder shares its
# files among themselves; a file of it whose framework stands on the folder's has a line of its own.
FRAMEWORKS: dict[str, tuple[str, ...]] = {
    "asgi": (),
    "django": ("asgiref", "django"),
    "django.rest_framework": ("django", "rest_framework"),
    "django.spectacular": ("drf_spectacular",),
    "fastapi": ("fastapi", "starlette"),
    "flask": ("flask", "werkzeug"),
    "mcp": ("mcp", "pydantic"),
    "powertools": ("aws_lambda_powertools",),
    "wsgi": (),
}


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str) -> Iterator[tuple[int, str, str | None]]:
    """Every import of a source, wherever it stands: the line, the module, and the name taken from it.

    A module that is named only at run time is "?".
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, "." * node.level + (node.module or ""), alias.name) for alias in node.names)
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            if called in {"import_module", "__import__"}:
                module = node.args[0] if node.args else None
                named = isinstance(module, ast.Constant) and isinstance(module.value, str)
                yield node.lineno, str(module.value) if named and isinstance(module, ast.Constant) else "?", None


def fault(module: str, imported: str, name: str | None) -> str | None:
    """What is wrong with `from imported import name` (or `import imported`) in `module`; None where nothing is."""
    _, room, *inside = module.split(".")
    integration = inside[0] if inside else ""
    if imported.startswith((".", "?")):
        return "an import names its module in full, and before the program runs"
    top, *below = imported.split(".")
    if top in sys.stdlib_module_names:
        return None
    if top != "cognito_verify":
        usual = FRAMEWORKS.get(integration, (integration,))
        frameworks = FRAMEWORKS.get(".".join(inside), usual) if room == "integrations" else ()
        if room in THIRD_PARTY.get(top, ()) or top in frameworks:
            return None
        return f"{top} is imported only by {', '.join(THIRD_PARTY.get(top, ())) or 'nobody'}"
    if not below and name in ROOMS:
        below = [name]  # `from cognito_verify import errors`
    if not below or below[0] not in ROOMS:
        return "a room imports from rooms, not from the package's own front door"
    if ROOMS.index(below[0]) > ROOMS.index(room):
        return f"{below[0]} stands below {room}"
    if below[0] != room and any(part.startswith("_") for part in (*below, name or "")):
        return "what starts with an underscore is its room's own"
    if room == below[0] == "integrations" and below[1:2] != [integration]:
        return "one integration does not import another"
    return None


def faults(module: str, source: str) -> list[str]:
    return [
        f"{module}, line {line}: {imported}{f': {name}' if name else ''}: {wrong}"
        for line, imported, name in imports_of(source)
        if (wrong := fault(module, imported, name))
    ]


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def test_every_module_belongs_to_a_room() -> None:
    rooms = {module.split(".")[1] for module in MODULES if module != "cognito_verify"}
    assert {"errors", "pool", "jws", "keys", "jwks"} <= rooms
    assert rooms <= set(ROOMS)


@pytest.mark.parametrize("module", [module for module in MODULES if module != "cognito_verify"])
def test_a_room_imports_only_from_rooms_above_it(module: str) -> None:
    assert faults(module, MODULES[module].read_text(encoding="utf-8")) == []


def test_the_front_door_imports_rooms_and_the_standard_library() -> None:
    for _, imported, _ in imports_of(MODULES["cognito_verify"].read_text(encoding="utf-8")):
        top, *below = imported.split(".")
        assert top in {*sys.stdlib_module_names, "?"} or (top == "cognito_verify" and below[0] in ROOMS), imported


@pytest.mark.parametrize(
    ("module", "source", "allowed"),
    [
        pytest.param(
            "cognito_verify.jws",
            "from cognito_verify.keys import KeySet",
            "from cognito_verify.errors import MalformedTokenError",
            id="upwards",
        ),
        pytest.param(
            "cognito_verify.claims",
            "def late():\n    from cognito_verify.verifier import CognitoVerifier",
            "def late():\n    from cognito_verify.pool import UserPool",
            id="inside-a-function",
        ),
        pytest.param(
            "cognito_verify.tokens",
            "if TYPE_CHECKING:\n    import cognito_verify.verifier",
            "if TYPE_CHECKING:\n    import cognito_verify.claims",
            id="for-types-alone",
        ),
        pytest.param(
            "cognito_verify.errors",
            "from cognito_verify import tokens",
            "import cognito_verify.errors",
            id="room-by-name",
        ),
        pytest.param(
            "cognito_verify.testing",
            "from cognito_verify import CognitoVerifier",
            "from cognito_verify.verifier import CognitoVerifier",
            id="front-door",
        ),
        pytest.param(
            "cognito_verify.aws_lambda.rules",
            "from cognito_verify.pool import _region",
            "from cognito_verify.aws_lambda.events import _path",
            id="underscore",
        ),
        pytest.param(
            "cognito_verify.jws", "from .errors import shown", "from cognito_verify import errors", id="relative"
        ),
        pytest.param(
            "cognito_verify.verifier",
            "import importlib\nimportlib.import_module('cognito_verify.testing')",
            "import importlib\nimportlib.import_module('cognito_verify.jwks')",
            id="import-module",
        ),
        pytest.param("cognito_verify.verifier", "__import__(name)", "__import__('json')", id="named-at-run-time"),
        pytest.param("cognito_verify.testing", "from jose import jwk", "from http import server", id="jose"),
        pytest.param("cognito_verify.keys", "import requests.adapters", "import jose.jwk", id="requests"),
        pytest.param("cognito_verify.jwks", "import urllib3", "import requests", id="urllib3"),
        pytest.param(
            "cognito_verify.jwks", "from cryptography import x509", "from cachetools import LRUCache", id="keys"
        ),
        pytest.param(
            "cognito_verify.integrations.flask", "import fastapi", "from flask import Flask", id="another-framework"
        ),
        pytest.param(
            "cognito_verify.integrations.django.conf",
            "from rest_framework.request import Request",
            "from django.conf import settings",
            id="what-stands-on-the-framework",
        ),
        pytest.param(
            "cognito_verify.integrations.django.rest_framework",
            "from cognito_verify.integrations.flask import CognitoAuth",
            "from cognito_verify.integrations.django.conf import configured",
            id="another-file-of-the-same",
        ),
        pytest.param(
            "cognito_verify.integrations.flask",
            "from cognito_verify.integrations.fastapi import require",
            "from cognito_verify.verifier import CognitoVerifier",
            id="another-integration",
        ),
    ],
)
def test_the_rule_catches_a_violation_and_lets_its_twin_pass(module: str, source: str, allowed: str) -> None:
    assert len(faults(module, source)) == 1
    assert faults(module, allowed) == []
