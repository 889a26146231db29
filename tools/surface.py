"""What docs/versioning.md promises by name: signatures, codes, context keys, options, exit codes, variables, fields.

`make surface` writes it to tests/public_surface.txt, and tests/test_public_snapshot.py compares: no change of it is an
accident. It is read from the objects themselves where there are some, and it is the same on every Python: annotations
are shown as they are written.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import json
import re
import sys
import tomllib
import typing
from collections.abc import Collection, Iterator, Mapping
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import click

import cognito_verify
from cognito_verify.aws_lambda import CloudWatchObserver, LambdaAuthorizer, Rule
from cognito_verify.cli import failures
from cognito_verify.cli.program import program
from cognito_verify.errors import CognitoVerifyError, ConfigurationError, KeysUnavailableError, TokenError
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.testing import FakeUserPool, lambda_event

ROOT = Path(__file__).parents[1]
SNAPSHOT = ROOT / "tests" / "public_surface.txt"
ACCEPT = "make surface"

FRONT_DOORS = ("cognito_verify", "cognito_verify.aws_lambda", "cognito_verify.testing")
# What the reference shows in a module of its own, since it is no part of a front door.
BESIDE = (
    "cognito_verify.aws_lambda.authorizer.Decision",
    "cognito_verify.aws_lambda.environment.authorizer_from_env",
    "cognito_verify.aws_lambda.events.TokenSource",
    "cognito_verify.aws_lambda.invocation.current_request_id",
    "cognito_verify.aws_lambda.invocation.request_in_context",
    "cognito_verify.aws_lambda.policy.ApiPolicy",
    "cognito_verify.aws_lambda.policy.policy_document",
    "cognito_verify.aws_lambda.rules.RuleTable",
    "cognito_verify.integrations.asgi.CognitoMiddleware",
    "cognito_verify.integrations.django.decorators.CognitoRequest",
    "cognito_verify.integrations.django.decorators.require_token",
    "cognito_verify.integrations.django.decorators.token_not_required",
    "cognito_verify.integrations.django.middleware.CognitoMiddleware",
    "cognito_verify.integrations.django.rest_framework.AccessRefused",
    "cognito_verify.integrations.django.rest_framework.CognitoAuthentication",
    "cognito_verify.integrations.django.rest_framework.HasGroups",
    "cognito_verify.integrations.django.rest_framework.HasScopes",
    "cognito_verify.integrations.django.rest_framework.HasToken",
    "cognito_verify.integrations.django.rest_framework.KeysUnavailable",
    "cognito_verify.integrations.django.rest_framework.TokenRefused",
    "cognito_verify.integrations.django.users.CognitoUser",
    "cognito_verify.integrations.fastapi.CognitoBearer",
    "cognito_verify.integrations.fastapi.CognitoHTTPException",
    "cognito_verify.integrations.flask.CognitoAuth",
    "cognito_verify.integrations.mcp.CognitoAccessToken",
    "cognito_verify.integrations.mcp.CognitoRefusalMiddleware",
    "cognito_verify.integrations.mcp.CognitoTokenVerifier",
    "cognito_verify.integrations.mcp.token_of",
    "cognito_verify.integrations.powertools.CognitoMiddleware",
    "cognito_verify.integrations.starlette.CognitoAuthenticationError",
    "cognito_verify.integrations.starlette.CognitoAuthenticationMiddleware",
    "cognito_verify.integrations.starlette.CognitoBackend",
    "cognito_verify.integrations.starlette.CognitoUser",
    "cognito_verify.integrations.wsgi.CognitoMiddleware",
    "cognito_verify.jwks.JwksStatus",
    "cognito_verify.keys.KeySet",
    "cognito_verify.keys.VerifyingKey",
    "cognito_verify.keys.verify_compact",
    "cognito_verify.observer.FetchEvent",
    "cognito_verify.observer.Observer",
    "cognito_verify.observer.VerificationEvent",
    "cognito_verify.requirements.Requirement",
)
# Of these the reference shows some members only; the others are there for rooms of the package.
SHOWN_MEMBERS: Mapping[str, Collection[str]] = {
    "CognitoAccessToken": ("verified",),  # the others are the SDK's
    "Requirement": (),
    "Rule": ("why_not",),
    "RuleTable": ("deciding",),
    "TokenSource": (),
    "VerifyingKey": (),
}
# Nobody outside of the package makes one of these by calling its class.
NOT_CONSTRUCTED = {
    "AccessToken",
    "CognitoAccessToken",
    "IdToken",
    "KeySet",
    "Requirement",
    "TokenSource",
    "VerifyingKey",
}
_WIDTH = 116


def surface() -> str:
    """All of it, as the text of the file."""
    sections = {
        **{f"import {module}": _front_door(module) for module in FRONT_DOORS},
        "in modules of their own": [
            line for path in BESIDE for line in _named(path.removeprefix("cognito_verify."), _at(path))
        ],
        "errors: code, HTTP status, transient, challenge": _errors(),
        "an authorizer's context": _context(),
        "CloudWatchObserver: fields of a line, and metrics with unit and dimensions": _metrics(),
        "environment variables that are read": _variables(),
        "cognito-verify: exit codes": _exit_codes(),
        "cognito-verify: commands and options": _commands(),
        "pytest fixtures": sorted(_at("cognito_verify.pytest_plugin.__all__")),
        "the distribution": _distribution(),
    }
    text = [f"# Written by `{ACCEPT}`. What a change of it means to users: docs/versioning.md."]
    for title, lines in sections.items():
        text += ["", f"## {title}", "", *lines]
    return "\n".join(text) + "\n"


def _at(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _front_door(module: str) -> list[str]:
    lines = [line for name in _at(f"{module}.__all__") for line in _named(name, _at(f"{module}.{name}"))]
    return [*lines, "authorize: made from the environment when asked for"] if module.endswith("aws_lambda") else lines


def _named(name: str, value: Any) -> Iterator[str]:
    if typing.is_typeddict(value):
        yield f"{name}: a dict"
        yield from (f"  [{member!r}]: {_type(type_)}" for member, type_ in value.__annotations__.items())
    elif inspect.isclass(value):
        short = value.__name__
        bases = [base.__name__ for base in value.__bases__ if base is not object]
        yield f"class {name} ({', '.join(bases)})" if bases else f"class {name}"
        if not issubclass(value, CognitoVerifyError) or value is CognitoVerifyError:  # all alike; see the codes below
            if short not in NOT_CONSTRUCTED:
                yield from _called("  ", inspect.signature(value), returns=False)
            yield from _members(value, SHOWN_MEMBERS.get(short))
    elif inspect.isfunction(value):
        yield from _called(f"{_async(value)}{name}", inspect.signature(value))
    elif isinstance(value, (Mapping, tuple)):
        yield f"{name}: {', '.join(map(str, value))}"
    elif typing.get_origin(value) is typing.Literal:
        yield f"{name}: {' | '.join(map(repr, typing.get_args(value)))}"
    else:
        yield f"{name}: a type"


def _async(function: object) -> str:
    return "async " if inspect.iscoroutinefunction(function) else ""


def _members(cls: type, shown: Collection[str] | None) -> Iterator[str]:
    own = [base for base in cls.__mro__ if base.__module__.startswith("cognito_verify")]
    found = {name: value for base in reversed(own) for name, value in vars(base).items() if not name.startswith("_")}
    found |= {"__call__": vars(cls)["__call__"]} if "__call__" in vars(cls) else {}
    for name in sorted(found):
        value = found[name]
        if (shown is not None and name not in shown) or inspect.ismemberdescriptor(value):
            continue
        label = "  ()" if name == "__call__" else f"  .{name}"
        if isinstance(value, property):
            yield f"{label}: {_type(inspect.signature(value.fget).return_annotation)}"  # type: ignore[arg-type]
        elif isinstance(value, (classmethod, staticmethod)):
            yield from _called(f"  classmethod .{name}", inspect.signature(getattr(cls, name)))
        elif inspect.isfunction(value):
            signature = inspect.signature(value)
            unbound = signature.replace(parameters=list(signature.parameters.values())[1:])
            yield from _called(f"  {_async(value)}{label.strip()}" if name != "__call__" else "  ", unbound)
        else:
            yield f"{label} = {_default(value)}"


def _called(name: str, signature: inspect.Signature, *, returns: bool = True) -> Iterator[str]:
    """A call in one line or, where that is long, with a line for each parameter."""
    parameters = []
    is_by_name = False
    for one in signature.parameters.values():
        star = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(one.kind.name, "")
        if one.kind is inspect.Parameter.KEYWORD_ONLY and not is_by_name:
            parameters.append("*")
        is_by_name = is_by_name or star == "*" or one.kind is inspect.Parameter.KEYWORD_ONLY
        type_ = "" if one.annotation is one.empty else f": {_type(one.annotation)}"
        parameters.append(f"{star}{one.name}{type_}{'' if one.default is one.empty else f' = {_default(one.default)}'}")
    end = f" -> {_type(signature.return_annotation)}" if returns else ""
    line = f"{name}({', '.join(parameters)}){end}"
    if len(line) <= _WIDTH:
        yield line
        return
    yield f"{name}("
    indent = " " * (len(name) - len(name.lstrip()) + 4)
    yield from (f"{indent}{parameter}," for parameter in parameters)
    yield f"{indent[4:]}){end}"


def _type(annotation: object) -> str:
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", repr(annotation))


def _default(value: object) -> str:
    if callable(value):
        return f"{value.__module__}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    return repr(value)


def _errors() -> list[str]:
    lines = []
    for name in cognito_verify.__all__:
        error = getattr(cognito_verify, name)
        if inspect.isclass(error) and issubclass(error, CognitoVerifyError):
            told = error("why", scopes=("orders/read",), max_age=60)
            transient = "transient" if told.transient else "final"
            lines.append(f"{error.code}: {error.http_status}, {transient}, {told.challenge or 'no challenge'}")
            lines += [f"  {' < '.join(_families(error))}", f"  {error.docs_url}"]
    for error in _of_the_command():
        lines += [f"{error.code}: of the command alone, exit code {failures.exit_code(error())}", f"  {error.docs_url}"]
    return lines


def _families(error: type[CognitoVerifyError]) -> list[str]:
    """The class and what it can be caught as."""
    return [base.__name__ for base in error.__mro__ if base not in (Exception, BaseException, object)]


def _of_the_command() -> list[type[CognitoVerifyError]]:
    there = (value for value in vars(failures).values() if inspect.isclass(value))
    found = [one for one in there if issubclass(one, CognitoVerifyError) and one.__module__ == failures.__name__]
    return sorted(found, key=lambda error: error.code)


def _context() -> list[str]:
    """What the two authorizer formats that have one hand on, of a token that has everything, and of a refusal."""
    pool = FakeUserPool()
    authorizer = LambdaAuthorizer(pool.verifier(token_use="access"), rules=[Rule("GET /reports", groups="admin")])
    raw = pool.access_token("ada", groups=["admin"], scopes=["orders/read"])
    allowed = authorizer(lambda_event("token-authorizer", raw, path="/reports"))["context"]
    denied = authorizer(lambda_event("token-authorizer", pool.access_token("bob"), path="/reports"))["context"]
    return [
        *(f"{name}: {type(value).__name__}" for name, value in sorted(allowed.items())),
        f"in claims, which is JSON: {', '.join(sorted(json.loads(allowed['claims'])))}",
        f"besides, of a refusal: {', '.join(sorted(denied.keys() - allowed.keys()))}",
    ]


def _metrics() -> list[str]:
    decision = {"token_use": "access", "user_pool_id": "us-east-1_TestPool1", "seen_before": False, "seconds": 0.5}
    fetch = {"jwks_uri": "https://example.com/", "keys": 2, "seconds": 0.5, "key_age": 0.0}
    events: dict[str, VerificationEvent | FetchEvent] = {
        "allowed": VerificationEvent(code=None, **decision),  # type: ignore[arg-type]
        "refused": VerificationEvent(code="token_expired", **decision),  # type: ignore[arg-type]
        "fetch": FetchEvent(error=None, **fetch),  # type: ignore[arg-type]
    }
    lines = []
    for name, event in events.items():
        with redirect_stdout(io.StringIO()) as written:
            CloudWatchObserver(clock=lambda: 0.0)(event)
        line = json.loads(written.getvalue())
        directives = line.pop("_aws")["CloudWatchMetrics"]
        lines.append(f"{name}: {', '.join(sorted(line))}")
        for one in directives:
            metric = one["Metrics"][0]
            dimensions = "; ".join(" and ".join(names) for names in one["Dimensions"])
            lines.append(f"  {metric['Name']} ({metric['Unit']}) by {dimensions}, in {one['Namespace']}")
    return lines


@cache
def _variables() -> list[str]:
    """Every literal of the package that is a variable's name: whoever reads another one writes it down here."""
    found = set()
    for path in sorted((ROOT / "cognito_verify").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if "integrations" in path.parts:
            continue  # their settings are an application's, not the environment's
        names = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name)}  # `__all__` has literals of these
        literals = {one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and isinstance(one.value, str)}
        found |= {one for one in literals - names if re.fullmatch(r"(?:AWS|COGNITO)_[A-Z_]*[A-Z]", one)}
    return sorted(found)


def _exit_codes() -> list[str]:
    ends = {
        "verified": failures.VERIFIED,
        "refused": failures.REFUSED,
        "usage or configuration": failures.CONFIGURATION,
        "keys or service unavailable": failures.UNAVAILABLE,
        "a fault of the command": failures.FAULT,
        "interrupted": failures.INTERRUPTED,
    }
    errors = (TokenError, ConfigurationError, KeysUnavailableError)
    return [
        *(f"{code}: {end}" for end, code in ends.items()),
        *(f"{error.__name__}: {failures.exit_code(error())}" for error in errors),
    ]


def _commands() -> list[str]:
    lines = []
    for name, command in sorted(program.commands.items()):
        lines.append(name)
        for one in command.params:
            if isinstance(one, click.Argument):
                lines.append(f"  {one.make_metavar(click.Context(command))}")
                continue
            if one.name == "help":
                continue
            facts = ["flag" if getattr(one, "is_flag", False) else _values(one)]
            facts += ["required"] if one.required else []
            facts += ["several"] if one.multiple else []
            facts += [f"else {one.envvar}"] if one.envvar else []
            if isinstance(one.default, (str, int, float)) and not isinstance(one.default, bool):
                facts.append(f"else {one.default!r}")
            lines.append(f"  {', '.join(one.opts)}: {', '.join(facts)}")
    return lines


def _values(option: click.Parameter) -> str:
    if isinstance(option.type, click.Choice):
        return " | ".join(map(str, option.type.choices))
    return str(getattr(option, "metavar", "") or option.type.name)


def _distribution() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [
        f"name: {project['name']}",
        f"Python: {project['requires-python']}",
        *(f"needs {one}" for one in project["dependencies"]),
        *(f"extra {one}" for one in project["optional-dependencies"]),
        *(f"command {name}: {target}" for name, target in project["scripts"].items()),
        *(
            f"entry point {group} {name}: {target}"
            for group, targets in project["entry-points"].items()
            for name, target in targets.items()
        ),
    ]


def main() -> None:
    """Print it or, with `--write`, put it into its file."""
    if sys.argv[1:] == ["--write"]:
        SNAPSHOT.write_text(surface(), encoding="utf-8", newline="\n")
    else:
        sys.stdout.write(surface())


if __name__ == "__main__":
    main()
