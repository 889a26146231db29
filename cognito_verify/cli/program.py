"""The commands, their options and how they end: 0 verified, 1 refused, 2 usage or configuration, 3 keys unavailable."""

from __future__ import annotations

import io
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import click

from cognito_verify.cli.doctor import ending, examined, lines
from cognito_verify.cli.explaining import CHECKS, Explanation, Row
from cognito_verify.cli.failures import FAULT, REFUSED, VERIFIED, InterruptedCommandError, UsageError, exit_code
from cognito_verify.cli.keys_file import compare, fetched_keys, keys_in, write_keys
from cognito_verify.cli.lab import load_lab
from cognito_verify.cli.login import Login, logged_in
from cognito_verify.cli.options import (
    client_option,
    endpoint_option,
    explainer_of,
    is_said,
    json_option,
    jwks_uri_option,
    optional_pool_option,
    pool_option,
    replicas_option,
    token_of,
    token_options,
    user_pool,
    verifier_options,
)
from cognito_verify.cli.plain_text import plain, without_tokens
from cognito_verify.cli.words import (
    TIMES,
    error_document,
    marked,
    say,
    say_json,
    token_document,
    warn,
    when,
)
from cognito_verify.errors import CognitoVerifyError
from cognito_verify.jws import json_object, parse_compact
from cognito_verify.pool import UserPool
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import check_given

__all__ = ["run"]

NAME = "cognito-verify"

_PASSWORD_CHARACTERS = 4_096  # Cognito takes 256
_UNPROVEN = "NOT VERIFIED: anybody can have written this"
_COLOURS = {"passed": "green", "failed": "red", "not looked at": "bright_black"}
_MARKS = {"passed": "ok", "failed": "FAILED", "not looked at": "-"}

logging.getLogger("cognito_verify").addHandler(logging.NullHandler())  # a failed fetch is told once, by the command


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit code. Nothing that it prints holds a token, those of `login` aside."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what a terminal cannot show is no reason to fail
    # The shell asks for completions without arguments; with some, its variable is one that was left behind.
    asked_by = "" if arguments else None
    try:
        return int(program.main(list(arguments), NAME, complete_var=asked_by, standalone_mode=False) or VERIFIED)
    except SystemExit as end:  # click's own, of completions and where the reader of the output has gone
        return FAULT if arguments else int(end.code or VERIFIED)
    except click.exceptions.Abort:
        return _told(InterruptedCommandError("the command was stopped before it had an answer"), arguments)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        usage = "" if context is None else f"{context.get_usage()}\nSee {context.command_path} --help"
        message = " ".join(error.format_message().split())  # choices come on lines of their own
        return _told(UsageError(message), arguments, usage)
    except CognitoVerifyError as error:
        return _told(error, arguments)
    except Exception as error:  # noqa: BLE001 - a traceback ends with 1, which reads as a refusal, and may show secrets
        with suppress(OSError):
            say(
                f"{marked('fault:', 'red')} the command failed ({type(error).__name__}), and says nothing else",
                err=True,
            )
        return FAULT


def _told(error: CognitoVerifyError, arguments: Sequence[str], usage: str = "") -> int:
    message = without_tokens(str(error))  # it may quote what was typed
    if "--json" in arguments:
        say_json({"error": {**error_document(error), "message": message}})
    else:
        if usage:
            say(usage, err=True)
        say(f"{marked(error.code, 'red')}: {plain(message)}", err=True)
    return exit_code(error)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
    epilog="\b\nCompletion, for bash (or zsh_source, fish_source):\n"
    '  eval "$(_COGNITO_VERIFY_COMPLETE=bash_source cognito-verify)"',
)
@click.version_option(package_name=NAME, prog_name=NAME)
def program() -> None:
    """Verify Amazon Cognito tokens, and see why one is refused.

    Exit codes: 0 verified, 1 refused, 2 usage or configuration, 3 keys unavailable, 70 a fault of the command.
    """


@program.command(
    epilog="\b\nExample, with pool and client from the environment:\n"
    "  $ cognito-verify verify --token-use access < access-token.txt"
)
@token_options
@verifier_options
@json_option
def verify(*, as_json: bool, **options: Any) -> int:
    """Verify a token: who it is, for what, until when.

    The token comes from standard input, bare, after `Bearer`, or in the JSON that `login` prints.
    """
    verifier = explainer_of(options)
    try:
        token = verifier.verify(token_of(options))
    except CognitoVerifyError as error:
        if not as_json:
            raise
        say_json({"verified": False, "token": None, "error": error_document(error)})
        return exit_code(error)
    if as_json:
        say_json({"verified": True, "token": token_document(token), "error": None})
    else:
        _say_token(token, verifier.clock())
    return VERIFIED


def _say_token(token: AccessToken | IdToken, now: float) -> None:
    kind = "access token" if isinstance(token, AccessToken) else "ID token"
    whose = "a machine" if token.username is None else f"user {token.username!r}"
    say(f"{marked('verified', 'green')}: {plain(f'{kind} of {whose}, user pool {token.user_pool_id}')}")
    facts = {
        "sub": token.sub,
        "client": token.client_id,
        "groups": ", ".join(map(repr, token.groups)),
        "scopes": ", ".join(map(repr, sorted(token.scopes))) if isinstance(token, AccessToken) else "",
        "expires": when(token["exp"], now),
    }
    for name, fact in facts.items():
        if fact:
            say(f"  {name:<9}{plain(fact)}")


@program.command(
    epilog="\b\nExample, with pool and client from the environment:\n"
    "  $ cognito-verify explain --token-use access --group finance < access-token.txt"
)
@token_options
@verifier_options
@json_option
def explain(*, as_json: bool, **options: Any) -> int:
    """Show every check on a token, and why one fails.

    In their order: expected, found, verdict, likely cause and cure. It goes on after the first failure. Options and
    the verdict are those of `verify`.
    """
    explainer = explainer_of(options)
    explanation = explainer.explain(token_of(options))
    if as_json:
        say_json(_explanation_document(explanation))
    else:
        _say_explanation(explanation)
    return VERIFIED if explanation.error is None else exit_code(explanation.error)


def _explanation_document(explanation: Explanation) -> dict[str, Any]:
    return {
        "verified": explanation.error is None,
        "signature_verified": explanation.is_signed,
        "rows": [
            {
                "check": row.check,
                "verdict": row.verdict,
                "expected": row.expected,
                "found": row.found,
                "code": None if row.error is None else row.error.code,
                "cause": row.cause,
                "cure": row.cure,
                "why_not": row.why_not,
            }
            for row in explanation.rows
        ],
        "notes": list(explanation.notes),
        "token": None if explanation.token is None else token_document(explanation.token),
        "error": None if explanation.error is None else error_document(explanation.error),
    }


def _say_explanation(explanation: Explanation) -> None:
    width = max(map(len, CHECKS)) + 2
    for row in explanation.rows:
        mark = marked(f"{_MARKS[row.verdict]:<8}", _COLOURS[row.verdict])
        first, *rest = _row_lines(row)
        say(f"{row.check:<{width}}{mark}{plain(first)}")
        for line in rest:
            say(f"{'':{width + 8}}{plain(line)}")
    say()
    for note in explanation.notes:
        say(f"{marked('note:', 'yellow')} {plain(note)}")
    if explanation.error is None:
        say(marked("verified", "green"))
    else:
        say(f"{marked('not verified', 'red')}: {explanation.error.code}, HTTP status {explanation.error.http_status}")


def _row_lines(row: Row) -> list[str]:
    if row.verdict == "not looked at":
        return [f"not looked at: {row.why_not}"]
    if row.error is None:
        return [row.found or row.expected]
    facts = {"expected": row.expected, "found": row.found, "cause": row.cause, "cure": row.cure}
    return [f"{name:<10}{fact}" for name, fact in facts.items() if fact]


@program.command(epilog="\b\nExample:\n  $ cognito-verify inspect < access-token.txt")
@token_options
@click.option(
    "--token-use",
    type=click.Choice(["access", "id", "any"]),
    default="any",
    help="Which token to take out of what a login printed; any is the access token.",
)
@json_option
def inspect(*, as_json: bool, **options: Any) -> int:
    """Show what a token says, not verified.

    Header and claims, the times in words. Needs no pool, and verifies nothing.

    The exit code 0 says that the token can be read, not that it is good.
    """
    raw = token_of(options)
    check_given(raw)
    jws = parse_compact(raw, 1_000_000)
    claims = json_object("payload", jws.payload)
    now = time.time()
    times = {name: text for name in TIMES if (text := when(claims.get(name), now))}
    if as_json:
        say_json({"verified": False, "header": jws.header, "claims": claims, "times": times, "error": None})
        return VERIFIED
    say(marked(_UNPROVEN, "yellow"))
    for title, members in (("header", jws.header), ("claims", claims)):
        say(title)
        for name, value in members.items():
            words = f"  ({times[name]})" if title == "claims" and name in times else ""
            say(f"  {plain(name)}: {plain(json.dumps(value, ensure_ascii=False))}{words}")
    return VERIFIED


@program.command(
    epilog="\b\nExample, with the pool from the environment:\n"
    "  $ cognito-verify jwks --output keys.json && cognito-verify jwks --check keys.json"
)
@pool_option
@jwks_uri_option
@endpoint_option
@replicas_option
@click.option(
    "--output",
    metavar="FILE",
    help="Write the keys there, whole or not at all; without it, or with -, they are printed.",
)
@click.option("--check", metavar="FILE", help="Say whether the keys in a file are still those of the pool.")
@json_option
def jwks(*, as_json: bool, pool_id: str, output: str | None, check: str | None, **options: Any) -> int:
    """Fetch a pool's keys, or check a file of them.

    The file is for `jwks=` and COGNITO_JWKS.

    Exit codes of --check: 0 current, 1 not current, 3 the pool's keys cannot be had now.
    """
    if output is not None and check is not None:
        raise click.UsageError("expected --output or --check, found both")
    bundled = None if check is None else keys_in(check)
    endpoint_url, jwks_uri = options["endpoint_url"], options["jwks_uri"]
    keys = fetched_keys(
        user_pool(pool_id, None, endpoint_url, jwks_uri=jwks_uri, replica_regions=options["replica_regions"])
    )
    if bundled is not None:
        found = compare(bundled, keys)
        if as_json:
            say_json({"current": found.is_current, "file": without_tokens(str(check)), **asdict(found), "error": None})
        elif found.is_current:
            say(f"{marked('current', 'green')}: {len(keys)} keys")
        else:
            for name, kids in asdict(found).items():
                for kid in kids:
                    say(f"{marked(name, 'red')}: {plain(repr(kid))}")
        return VERIFIED if found.is_current else REFUSED
    if output is None or output == "-":
        say_json(keys.jwks)
        return VERIFIED
    write_keys(keys, output)
    shown = without_tokens(output)
    if as_json:
        say_json({"file": shown, "key_ids": sorted(keys), "error": None})
    else:
        say(f"{len(keys)} keys written to {plain(shown)}")
    return VERIFIED


@program.command(
    context_settings={"allow_extra_args": True},  # refused below: click's message would quote a password
    epilog="\b\nExample, with pool and client from the environment:\n"
    "  $ cognito-verify login --username ada --password-env PASSWORD | cognito-verify verify --token-use id",
)
@pool_option
@client_option
@click.option("--username", metavar="NAME", required=True, help="The user, or an alias that the pool accepts.")
@click.option(
    "--password-env", metavar="NAME", help="Take the password from a variable, in the place of asking for it."
)
@click.option("--password-stdin", is_flag=True, help="Take the password from the first line of standard input.")
@click.option("--new-password-env", metavar="NAME", help="The new one, where the pool asks for it at a first login.")
@click.option(
    "--client-secret",
    metavar="SECRET",
    envvar="COGNITO_CLIENT_SECRET",
    show_envvar=True,
    help="Of app clients that have one; better in the variable.",
)
@click.option("--admin", is_flag=True, help="ADMIN_USER_PASSWORD_AUTH, with AWS credentials; else USER_PASSWORD_AUTH.")
@endpoint_option
@click.option("--export", is_flag=True, help="Print lines for the shell's eval, in the place of JSON.")
@json_option
def login(
    *,
    as_json: bool,
    pool_id: str,
    client_ids: tuple[str, ...],
    password_env: str | None,
    password_stdin: bool,
    new_password_env: str | None,
    export: bool,
    admin: bool,
    **options: Any,
) -> int:
    """Log a user in and print the tokens.

    As JSON of Cognito's own form. Needs the extra aws.

    The password is asked for without echo. A first login with a temporary password asks for a new one.
    """
    if click.get_current_context().args:
        raise click.UsageError("login: expected no argument beside the options, found some (not shown)")
    if len(client_ids) != 1:
        raise click.UsageError(f"login: expected one app client in --client-id, found {len(client_ids)}")
    if as_json and export:
        raise click.UsageError("expected --json or --export, found both")
    if password_env is not None and password_stdin:
        raise click.UsageError("expected --password-env or --password-stdin, found both")
    if is_said("client_secret"):
        warn("a secret on the command line stays in the shell's history: COGNITO_CLIENT_SECRET is better")
    if options["endpoint_url"] is None:
        UserPool(pool_id, client_id=client_ids)  # refuses what `verify` would; emulators have ids of any form
    result = logged_in(
        Login(pool_id, client_ids[0], is_admin=admin, **options),
        _piped_password if password_stdin else lambda: _secret("Password", password_env),
        lambda: _secret("New password", new_password_env, is_new=True),
    )
    if export:
        for name in ("AccessToken", "IdToken", "RefreshToken"):
            variable = f"COGNITO_{name.removesuffix('Token').upper()}_TOKEN"
            if name in result:
                say(f"export {variable}={shlex.quote(str(result[name]))}")
    else:
        say_json(result)
    return VERIFIED


def _piped_password() -> str:
    if sys.stdin is None or sys.stdin.isatty():  # None where it is closed; a terminal would show what is typed
        raise click.UsageError("--password-stdin: expected a pipe or a file; leave it out to be asked without echo")
    line = sys.stdin.readline(_PASSWORD_CHARACTERS + 1)
    if len(line) > _PASSWORD_CHARACTERS:
        raise click.UsageError(f"--password-stdin: expected a line of at most {_PASSWORD_CHARACTERS} characters")
    return line.rstrip("\r\n")


def _secret(what: str, variable: str | None, *, is_new: bool = False) -> str:
    if variable is not None:
        if not os.environ.get(variable):
            raise click.UsageError(f"{what}: expected it in the named variable of the environment, found nothing")
        return os.environ[variable]
    if (
        sys.stdin is None or not sys.stdin.isatty()
    ):  # getpass would fall back to reading, and showing, a line of standard input
        raise click.UsageError(f"{what}: there is no terminal to ask at; name a variable (see --help)")
    return str(click.prompt(what, hide_input=True, confirmation_prompt=is_new, err=True))


@program.command(epilog="\b\nExample, with the pool, if any, from the environment:\n  $ cognito-verify doctor")
@optional_pool_option
@jwks_uri_option
@endpoint_option
@replicas_option
@json_option
def doctor(*, as_json: bool, pool_id: str | None, endpoint_url: str | None, **sources: Any) -> int:
    """Print what a bug report needs.

    Versions, the cryptography's backend, which variables are set, whether the pool's keys can be had, and how far this
    machine's clock is from the endpoint's. No value of a variable, no token, no pool id.

    Exit codes: 0 nothing found, 1 a clock that is off, 2 configuration, 3 keys unavailable.
    """
    report = examined(None if pool_id is None else lambda: user_pool(pool_id, None, endpoint_url, **sources))
    if as_json:
        say_json(report)
    else:
        for line in lines(report):
            say(line)
    return ending(report)


@program.command(epilog="\b\nExample:\n  $ cognito-verify demo")
@click.option("--serve", is_flag=True, help="Leave the pool and an API running, with lines to try, until Ctrl-C.")
@json_option
def demo(*, as_json: bool, serve: bool) -> int:
    """Run a user pool and an API on this machine.

    A user logs in, tokens are verified and refused. Needs the extra demo, and no AWS account.

    The exit code is 0 if every outcome is as expected, else 1.
    """
    if as_json and serve:
        raise click.UsageError("expected --json or --serve, found both")
    lab = load_lab()
    if not as_json:
        return int(lab.main(is_served=serve))
    with lab.embedded_user_pool() as endpoint:
        rows, calls = lab.run_lab(endpoint, lambda line: None)  # noqa: ARG005 - the lab says a line
    is_as_expected = all(one.is_as_expected for one in (*rows, *calls))
    say_json(
        {
            "as_expected": is_as_expected,
            "rows": [asdict(row) for row in rows],
            "calls": [asdict(call) for call in calls],
            "error": None,
        }
    )
    return VERIFIED if is_as_expected else REFUSED
