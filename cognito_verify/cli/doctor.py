"""What a bug report needs: versions, who does the cryptography, what is set, the key endpoints and their clock.

It can be pasted in public: variables are named and their values are not, an endpoint is its host, and there is no token
that it could show. Needs no click, since those who have none write bug reports too: `python -m cognito_verify`.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cognito_verify.cli.failures import CONFIGURATION, REFUSED, UNAVAILABLE, VERIFIED
from cognito_verify.cli.plain_text import plain, without_tokens
from cognito_verify.errors import ConfigurationError, KeysUnavailableError

if TYPE_CHECKING:
    from cognito_verify.observer import FetchEvent, VerificationEvent
    from cognito_verify.pool import UserPool

__all__ = ["ending", "examined", "lines", "main"]

_NEEDED = ("python-jose", "cryptography", "requests", "urllib3", "cachetools")
_BESIDE = (
    *("aiohttp", "aws-lambda-powertools", "awslambdaric", "boto3", "chalice", "click", "django", "djangorestframework"),
    *("drf-spectacular", "fastapi", "flask", "gunicorn", "mangum", "mcp", "moto", "pytest", "starlette", "uvicorn"),
    "waitress",
)
_UNUSED = ("ecdsa", "rsa", "pyasn1")  # python-jose asks for them; nothing that verifies imports them
_NETWORK = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"),
    *("SSL_CERT_DIR", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
_SKEW = 5  # seconds by which clocks may differ unnoticed
_ENDINGS = {"installation": CONFIGURATION, "configuration": CONFIGURATION, "keys_unavailable": UNAVAILABLE}


def examined(named: Callable[[], UserPool] | None) -> dict[str, Any]:
    """The report, as `--json` shows it.

    Args:
        named: Makes the pool whose key endpoints are asked; None where none is named.
    """
    report: dict[str, Any] = {
        "versions": {
            "cognito-verify": sys.modules["cognito_verify"].__version__,  # what runs, whatever its metadata says
            "python": f"{platform.python_version()} {platform.python_implementation()}",
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            **{name: _version(name) for name in _NEEDED},
            **{name: found for name in _BESIDE if (found := _version(name)) is not None},
        },
        "rsa": None,
        "openssl": None,
        "unused": {},
        "settings": {},
        "unknown_settings": [],
        "network": [name for name in _NETWORK if os.environ.get(name)],
        "endpoints": [],
        "findings": [],
        "error": None,
    }
    try:
        _examine(report, named)
    except ImportError as error:  # the report tells what is there and what is not
        # Not its message, which may hold a path: a home directory has a name.
        _find(
            report, "installation", f"{error.name} cannot be imported: install cognito-verify anew, with what it needs"
        )
    report["unused"] = {name: {"version": _version(name), "imported": name in sys.modules} for name in _UNUSED}
    return report


def _examine(report: dict[str, Any], named: Callable[[], UserPool] | None) -> None:
    from cognito_verify.aws_lambda.environment import VARIABLES
    from cognito_verify.keys import rsa_backend
    from cognito_verify.verifier import CognitoVerifier

    known = (*VARIABLES, "COGNITO_CLIENT_SECRET")
    report["settings"] = {name: name in os.environ for name in known}
    report["unknown_settings"] = sorted(
        name for name in os.environ if name.startswith("COGNITO_") and name not in known
    )
    report["rsa"], report["openssl"] = rsa_backend()
    try:
        pool = None if named is None else named()
        if all(name in os.environ for name in ("COGNITO_USER_POOL_ID", "COGNITO_CLIENT_ID", "COGNITO_TOKEN_USE")):
            CognitoVerifier.from_env()
    except ConfigurationError as error:
        _find(report, "configuration", _without_values(str(error)))
        return
    if pool is not None:
        report["endpoints"] = _asked(pool)
        _judge(report)


def _without_values(message: str) -> str:
    """What was expected, without what was found: it may be a secret that was put into the wrong variable."""
    hidden = re.sub(r"found ([\"']).*\1", "found another value (not shown)", message)
    path = os.environ.get("COGNITO_JWKS", "").strip()
    return hidden.replace(path, "(not shown)") if path else hidden


def _asked(pool: UserPool) -> list[dict[str, Any]]:
    """What each place of the pool's keys answers, asked as a verifier asks."""
    from cognito_verify.jwks import JwksCache

    told: list[Any] = []

    def remember(event: VerificationEvent | FetchEvent) -> None:
        told.append(event)

    cache = JwksCache(observer=remember)
    uris = tuple(dict.fromkeys(pool.issuers.values()))
    for uri in uris:
        cache.add_source(uri)
    started = time.monotonic()
    with suppress(KeysUnavailableError):  # each endpoint tells its own error
        cache.prefetch([uris])
    taken = time.monotonic() - started
    seconds = {event.jwks_uri: event.seconds for event in told}
    return [
        {
            "host": urlsplit(uri).netloc.rpartition("@")[2],
            "keys": len(status["key_ids"]),
            "key_ids": status["key_ids"],
            "milliseconds": round(1_000 * seconds.get(uri.partition("?")[0], taken)),
            "error": _public(status["last_error"] or ("" if status["key_ids"] else "no answer in time"), pool) or None,
            "has_no_keys": status["is_absent"],
            "clock_skew": status["clock_skew"],
        }
        for uri, status in cache.status().items()
    ]


def _public(message: str, pool: UserPool) -> str:
    return without_tokens(message).replace(pool.user_pool_id, "(pool)")


def _judge(report: dict[str, Any]) -> None:
    endpoints = report["endpoints"]
    if not any(one["keys"] for one in endpoints):
        _find(
            report,
            "keys_unavailable",
            "no endpoint has keys, so no token can be judged: is it within reach from here (network, proxy), and is "
            "the pool's id right?",
        )
    skew = max((one["clock_skew"] or 0 for one in endpoints), key=abs)
    if skew > _SKEW:
        _find(
            report,
            "clock_skew",
            f"this machine's clock is {skew} s ahead of the endpoint's: good tokens are refused as expired, {skew} s "
            "early; set the clock right (NTP)",
        )
    elif skew < -_SKEW:
        _find(
            report,
            "clock_skew",
            f"this machine's clock is {-skew} s behind the endpoint's: expired tokens are accepted {-skew} s late, and "
            "tokens with nbf are refused as not yet valid; set the clock right (NTP)",
        )


def _find(report: dict[str, Any], code: str, message: str) -> None:
    report["findings"].append({"code": code, "message": without_tokens(message)})


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def ending(report: dict[str, Any]) -> int:
    """The exit code: 0 where nothing was found, else that of the first finding."""
    return next((_ENDINGS.get(one["code"], REFUSED) for one in report["findings"]), VERIFIED)


def lines(report: dict[str, Any]) -> Iterator[str]:
    """The report for people, to be pasted as it is."""
    for name, found in report["versions"].items():
        yield _line(name, found or "not installed")
    yield _line("RSA", f"{report['rsa']}, {report['openssl']}" if report["rsa"] else "not known")
    for name, one in report["unused"].items():
        imported = "imported" if one["imported"] else "not imported"
        yield _line(name, f"{one['version']}, {imported}" if one["version"] else "not installed")
    for is_set, title in ((True, "set"), (False, "not set")):
        yield _line(
            title, ", ".join(name for name, found in report["settings"].items() if found is is_set) or "nothing"
        )
    if report["unknown_settings"]:
        yield _line("set, unknown", ", ".join(report["unknown_settings"]))
    yield _line("network", ", ".join(report["network"]) or "no proxy and no CA bundle of its own")
    for one in report["endpoints"]:
        yield _line("endpoint", one["host"])
        yield _line("", _answer(one))
        if one["key_ids"]:
            yield _line("", f"kid {', '.join(map(repr, one['key_ids']))}")
        if one["clock_skew"] is not None:
            yield _line("", _clock(one["clock_skew"]))
    if not report["endpoints"]:
        yield _line("endpoint", "none asked: name a pool (COGNITO_USER_POOL_ID) to have its keys and clock looked at")
    yield ""
    for one in report["findings"]:
        yield plain(f"{one['code']}: {one['message']}")
    if not report["findings"]:
        yield "nothing found that is wrong here"


def _answer(endpoint: dict[str, Any]) -> str:
    what = f"keys: {endpoint['keys']}" if endpoint["error"] is None else endpoint["error"]
    absent = " (this issuer has no keys)" if endpoint["has_no_keys"] else ""
    return f"{what}{absent}, after {endpoint['milliseconds']} ms"


def _clock(skew: int) -> str:
    if abs(skew) <= 1:  # as exact as a `Date` is
        return "our clock: within a second"
    return f"our clock: {abs(skew)} s {'ahead' if skew > 0 else 'behind'}"


def _line(name: str, text: str) -> str:
    return plain(f"{name:<22}{text}").rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m cognito_verify`: the report on the pool of the environment, where there is one."""
    parser = argparse.ArgumentParser(
        prog="python -m cognito_verify",
        description="Print what a bug report needs; nothing of it is secret. The same as `cognito-verify doctor`.",
        epilog="The other commands are those of cognito-verify, which needs pip install 'cognito-verify[cli]'.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    as_json = parser.parse_args(arguments).json
    logging.getLogger("cognito_verify").addHandler(logging.NullHandler())  # a failed fetch is told once, in the report
    report = examined(_of_the_environment if "COGNITO_USER_POOL_ID" in os.environ else None)
    sys.stdout.write((json.dumps(report, indent=2) if as_json else "\n".join(lines(report))) + "\n")
    return ending(report)


def _of_the_environment() -> UserPool:
    from cognito_verify.pool import UserPool

    uri = os.environ.get("COGNITO_JWKS_URI")
    return UserPool(os.environ["COGNITO_USER_POOL_ID"].strip(), client_id=None, jwks_uri=uri)
