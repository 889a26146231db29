"""`python -m cognito_verify` prints what a bug report needs. The command for everything else is `cognito-verify`."""

import sys

from cognito_verify.cli.doctor import main

sys.exit(main())
