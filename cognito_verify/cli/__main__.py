"""`python -m cognito_verify.cli` is the `cognito-verify` command."""

from cognito_verify.cli import main

main()
