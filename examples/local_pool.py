"""Run a program's module with a user pool on this machine: no AWS, real keys and real tokens.

    python -m examples.local_pool uvicorn examples.asgi_reports.app:app

It prints the tokens of two users, and sets the variables from which `CognitoVerifier.from_env` makes a verifier.
"""

from __future__ import annotations

import runpy
import sys

from cognito_verify.testing import FakeUserPool

__all__ = ["main"]

RESOURCE = "http://127.0.0.1:8000/mcp"  # what an MCP server on this machine asks for; others let `aud` be


def main(module: str, *arguments: str) -> None:
    pool = FakeUserPool()
    with pool.environment("access"):
        ada = pool.access_token("ada", groups="finance", scopes=["orders/read", "reports/write"], aud=RESOURCE)
        print(f"ADA={ada}")
        print(f"BOB={pool.access_token('bob', aud=RESOURCE)}", flush=True)
        sys.argv[1:] = arguments
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        raise SystemExit(
            "expected the program's module and its arguments, as in: uvicorn examples.asgi_reports.app:app"
        )
    main(*sys.argv[1:])
