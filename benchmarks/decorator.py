"""What `require_token` adds to a `verify`: event in, token found, claims placed, handler called."""

import timeit
from collections.abc import Callable
from typing import Any

from benchmarks.corpus import CLIENT_ID, SigningPool
from benchmarks.report import Table
from benchmarks.rounds import figures_from, in_turns, quiet
from cognito_verify import CognitoVerifier
from cognito_verify.aws_lambda import require_token
from cognito_verify.aws_lambda.events import header, raw_token, with_claims

__all__ = ["decorator_table"]

_FLOOR = "verify, token seen before, with the same requirements"
_CALLS = 200
_TARGET = 10e-6  # seconds beyond the floor
_HEADERS = 16  # beside `Authorization`: what a browser and a gateway send


def decorator_table(*, quick: bool) -> Table:
    contenders = _contenders(SigningPool.new("us-east-1_AbCdEfGhI"))
    with quiet():
        times = in_turns(
            {name: _timed(call) for name, call in contenders.items()}, floor=_FLOOR, rounds=30 if quick else 200
        )
    figures = figures_from(times, floor=_FLOOR, calls=_CALLS)
    rows = []
    for name, figure in figures.items():
        beyond = figure.median - figures[_FLOOR].median
        verdict = f"<= {_TARGET * 1e6:.0f}, {'met' if beyond <= _TARGET else 'MISSED'}"
        is_whole = name.startswith("require_token")
        rows.append(
            (name, f"{figure.median * 1e6:.1f}", f"{beyond * 1e6:.1f}" if is_whole else "", verdict if is_whole else "")
        )
    return Table(
        "the decorator",
        ("one request", "us", "us beyond verify", "target"),
        rows,
        [f"One token; events with {_HEADERS + 1} headers. Indented: parts of the line above, timed by themselves."],
    )


def _contenders(pool: SigningPool) -> dict[str, Callable[[], object]]:
    verifier = CognitoVerifier(pool.pool_id, client_id=CLIENT_ID, token_use="access", jwks=pool.jwks)
    raw = pool.access_token()
    token = verifier.verify(raw)
    rest, http = _rest_event(raw), _http_event(raw)
    sources = (header("Authorization"),)

    @require_token(verifier, groups="admin")
    def handler(event: dict[str, Any], context: object, token: object) -> None:
        pass

    return {
        _FLOOR: lambda: verifier.verify(raw, groups="admin"),
        "require_token, REST API": lambda: handler(rest, None),
        "  the token found": lambda: raw_token(sources, rest),
        "  the claims placed": lambda: with_claims(rest, "rest", token),
        "require_token, HTTP API": lambda: handler(http, None),
        "  the token found there": lambda: raw_token(sources, http),
        "  the claims placed there": lambda: with_claims(http, "http", token),
    }


def _rest_event(raw: str) -> dict[str, Any]:
    headers = {f"X-Forwarded-{number:02}": "192.0.2.7" for number in range(_HEADERS)}
    headers["Authorization"] = f"Bearer {raw}"
    return {
        "resource": "/pricepermeter",
        "path": "/pricepermeter",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": {"stage": "dev", "httpMethod": "POST", "identity": {"sourceIp": "192.0.2.7"}},
        "body": "{}",
    }


def _http_event(raw: str) -> dict[str, Any]:
    headers = {f"x-forwarded-{number:02}": "192.0.2.7" for number in range(_HEADERS)}
    headers["authorization"] = f"Bearer {raw}"
    context = {"stage": "$default", "http": {"method": "POST", "path": "/pricepermeter"}}
    return {"version": "2.0", "rawPath": "/pricepermeter", "headers": headers, "requestContext": context, "body": "{}"}


def _timed(call: Callable[[], object]) -> Callable[[int], float]:
    timer = timeit.Timer(call)
    return lambda _number: timer.timeit(_CALLS)
