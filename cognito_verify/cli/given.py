"""Where a command's token comes from: standard input, a file, a variable or, with a warning, an argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from cognito_verify.cli.words import warn
from cognito_verify.jws import JsonObject, bearer_token, json_object

__all__ = ["given_token"]

_MAX_BYTES = 1_000_000
# Of what a login answers: Cognito's API, and its OAuth token endpoint (RFC 6749 section 5.1).
_MEMBERS = {"access": ("AccessToken", "access_token"), "id": ("IdToken", "id_token")}
_WAYS = "pipe it in, or say --token-file FILE or --token-env NAME"


def given_token(argument: tuple[str, ...], file: str | None, variable: str | None, token_use: str | None) -> str:
    """The token alone, of the one source that is named; standard input where none is.

    Args:
        argument: What stands on the command line; `-` is standard input.
        file: A path.
        variable: The name of an environment variable.
        token_use: Which token to take out of what a login answered: "access", "id", or None for the first of both.

    Raises:
        click.UsageError: No source, several, or one that cannot be read.
        TokenError: Something that is no token where one is alone.
    """
    if len(argument) + (file is not None) + (variable is not None) > 1:
        raise click.UsageError("expected one token: as an argument, in --token-file or in --token-env")
    if argument and argument != ("-",):
        warn(f"a token on the command line stays in the shell's history and shows in the list of processes: {_WAYS}")
        return _token_in("the argument", argument[0], token_use)
    if variable is not None:
        if variable not in os.environ:
            raise click.UsageError("--token-env: expected the name of a variable of the environment, found none of it")
        return _token_in("the variable", os.environ[variable], token_use)
    where, content = ("the file", _read_file(file)) if file is not None else ("standard input", _read_input())
    if len(content) > _MAX_BYTES:
        raise click.UsageError(f"{where}: expected a token, found more than a megabyte")
    return _token_in(where, content.decode("utf-8-sig", "replace"), token_use)


def _read_file(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"--token-file: {error.strerror}: {click.format_filename(path)}") from None


def _read_input() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():  # None where it is closed
        raise click.UsageError(f"no token: {_WAYS}")
    return sys.stdin.buffer.read(_MAX_BYTES + 1)


def _token_in(where: str, text: str, token_use: str | None) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        raise click.UsageError(f"{where}: expected a token, found one in quotes; take them off (of jq, with -r)")
    if text.lower().startswith("authorization:"):
        text = text.partition(":")[2].strip()
    if text.startswith("{"):
        return _member(where, json_object(where, text.encode(errors="replace")), token_use)
    return bearer_token(text) if text[:7].lower() == "bearer " else text


def _member(where: str, answer: JsonObject, token_use: str | None) -> str:
    """The token in what `cognito-verify login`, the AWS CLI's `initiate-auth` or the token endpoint answered."""
    result = answer.get("AuthenticationResult", answer)
    names = _MEMBERS["access"] + _MEMBERS["id"] if token_use is None else _MEMBERS[token_use]
    if isinstance(result, dict):
        for name in names:
            if isinstance(result.get(name), str):
                return str(result[name])
    found = "a challenge, which is to be answered first" if "ChallengeName" in answer else "an object without it"
    raise click.UsageError(f"{where}: expected {' or '.join(names)} in the JSON of a login, found {found}")
