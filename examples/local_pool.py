"""Run a program's module with a user pool on this machine: no AWS, real keys and real tokens.

    python -m examples.local_pool uvicorn examples.asgi_reports.app:app

It prints the tokens of two users, and sets the variables from which `CognitoVerifier.from_env` makes a verifier.
"""

from __future__ import annotations

import runpy
import sys

from cognito_verify.testing import FakeUserPool

__all__ = ["main"]


def main(module: str, *arguments: str) -> None:
    pool = FakeUserPool()
    with pool.environment("access"):
        print(f"ADA={pool.access_token('ada', groups='finance', scopes='reports/write')}")
        print(f"BOB={pool.access_token('bob')}", flush=True)
        sys.argv[1:] = arguments
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        raise SystemExit(
            "expected the program's module and its arguments, as in: uvicorn examples.asgi_reports.app:app"
        )
    main(*sys.argv[1:])
