"""The options that commands share, each over its environment variable, and the verifier that they describe."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import click

from cognito_verify.cli.explaining import Explainer
from cognito_verify.cli.given import given_token
from cognito_verify.cli.words import warn
from cognito_verify.jwks import JwksCache
from cognito_verify.pool import UserPool

__all__ = [
    "client_option",
    "endpoint_option",
    "explainer_of",
    "is_said",
    "json_option",
    "jwks_uri_option",
    "optional_pool_option",
    "pool_option",
    "replicas_option",
    "token_of",
    "token_options",
    "user_pool",
    "verifier_options",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])


class _ClientIds(click.types.StringParamType):
    """Ids by commas in the variable too, as `CognitoVerifier.from_env` reads it; click would take white space."""

    envvar_list_splitter = ","


def _with_options(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _client_ids(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one.strip() for value in values for one in value.split(","))  # an empty one is refused by the pool


def _claims(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    claims: dict[str, Any] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not (name and equals):
            raise click.BadParameter("expected NAME=VALUE, such as email_verified=true")
        if name in claims:
            raise click.BadParameter("expected one value for a claim, found several: a claim has one value")
        try:
            claims[name] = json.loads(text)
        except ValueError:
            claims[name] = text
    return claims


json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on standard output, errors as well."
)
pool_option, optional_pool_option = (
    click.option(
        "--pool",
        "pool_id",
        metavar="ID",
        envvar="COGNITO_USER_POOL_ID",
        required=is_required,
        show_envvar=True,
        help="The user pool, such as us-east-1_AbCdEfGhI.",
    )
    for is_required in (True, False)
)
client_option = click.option(
    "--client-id",
    "client_ids",
    metavar="ID",
    type=_ClientIds(),
    envvar="COGNITO_CLIENT_ID",
    multiple=True,
    callback=_client_ids,
    show_envvar=True,
    help="The app client; several by commas or by saying it again.",
)
endpoint_option = click.option(
    "--endpoint-url", metavar="URL", help="An emulator of Cognito on this machine (moto, cognito-local, LocalStack)."
)
jwks_uri_option = click.option(
    "--jwks-uri",
    metavar="URL",
    envvar="COGNITO_JWKS_URI",
    show_envvar=True,
    help="Where the keys are, if not at the pool's issuer.",
)
replicas_option = click.option(
    "--replica-region", "replica_regions", metavar="REGION", multiple=True, help="Where the pool is replicated to."
)
token_options = _with_options(
    click.argument("token", nargs=-1, metavar="[-]"),
    click.option("--token-file", metavar="FILE", help="Read the token from a file, in the place of standard input."),
    click.option("--token-env", metavar="NAME", help="Read the token from an environment variable."),
)
verifier_options = _with_options(
    pool_option,
    client_option,
    click.option("--any-client", is_flag=True, help="Accept tokens of every app client of the pool."),
    click.option(
        "--token-use",
        type=click.Choice(["access", "id", "any"]),
        envvar="COGNITO_TOKEN_USE",
        required=True,
        show_envvar=True,
        help="The kind of token that is wanted.",
    ),
    click.option(
        "--jwks",
        metavar="FILE",
        envvar="COGNITO_JWKS",
        show_envvar=True,
        help="Known keys, a file or JSON text: nothing is fetched until a token names another. See the command jwks.",
    ),
    jwks_uri_option,
    endpoint_option,
    replicas_option,
    click.option("--resource", metavar="URI", help="The resource that access tokens are bound to (RFC 8707)."),
    click.option("--group", "groups", metavar="NAME", multiple=True, help="A group; of several any is enough."),
    click.option("--scope", "scopes", metavar="NAME", multiple=True, help="A scope; of several any is enough."),
    click.option(
        "--claim",
        "claims",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_claims,
        help="An exact claim; JSON, such as true, else text.",
    ),
    click.option("--max-age", type=float, metavar="SECONDS", help="The most since the user authenticated."),
    click.option("--leeway", type=float, metavar="SECONDS", default=0, help="By how much clocks may differ."),
)


def user_pool(pool_id: str, client_ids: tuple[str, ...] | None, endpoint_url: str | None, **sources: Any) -> UserPool:
    """The pool that the options name; an emulator's warning goes to standard error as a line."""
    if endpoint_url is None:
        return UserPool(pool_id, client_id=client_ids, **sources)
    if any(map(is_said, sources)):
        raise click.UsageError(
            "--endpoint-url is for an emulator's pool: leave out --jwks, --jwks-uri, --replica-region and --resource"
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pool = UserPool.local(endpoint_url, pool_id, client_id=client_ids)
    for one in caught:
        warn(str(one.message))
    return pool


def is_said(option: str) -> bool:
    """Whether an option stands on the command line itself, where it is over the environment."""
    source = click.get_current_context().get_parameter_source(option)
    return source is click.core.ParameterSource.COMMANDLINE


def explainer_of(options: Mapping[str, Any]) -> Explainer[Any]:
    """The verifier that the options describe.

    Raises:
        click.UsageError: No client, or options that contradict each other.
        ConfigurationError: What the library refuses.
    """
    if options["any_client"] and is_said("client_ids"):
        raise click.UsageError("expected --client-id or --any-client, found both")
    if not options["any_client"] and not options["client_ids"]:
        raise click.UsageError("expected --client-id (or COGNITO_CLIENT_ID), or --any-client")
    pool = user_pool(
        options["pool_id"],
        None if options["any_client"] else options["client_ids"],
        options["endpoint_url"],
        jwks=options["jwks"],
        jwks_uri=options["jwks_uri"],
        replica_regions=options["replica_regions"],
        resource=options["resource"],
    )
    explainer: Explainer[Any] = Explainer(
        pool,
        token_use=_token_use(options),
        groups=options["groups"] or None,
        scopes=options["scopes"] or None,
        claims=options["claims"] or None,
        max_age=options["max_age"],
        leeway=options["leeway"],
        jwks_cache=JwksCache(),
        clock=cache(time.time),  # one moment for all rows: the first that is looked at, when the token is there
    )
    return explainer


def _token_use(options: Mapping[str, Any]) -> Any:
    return None if options["token_use"] == "any" else options["token_use"]


def token_of(options: Mapping[str, Any]) -> str:
    """The token that the command was given."""
    return given_token(options["token"], options["token_file"], options["token_env"], _token_use(options))
