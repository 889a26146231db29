"""The `cognito-verify` command: verify, explain, inspect, jwks, login, doctor, demo. Needs the extra `cli`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command with the arguments of the process, and end the process with its exit code."""
    try:
        from cognito_verify.cli.program import run
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write("cognito-verify: the command needs click: pip install 'cognito-verify[cli]'\n")
        sys.exit(2)  # a matter of configuration, as in failures.py
    sys.exit(run(sys.argv[1:]))
