"""For tests: a user pool with real keys and real signatures, its keys over HTTP, Lambda events, and a clock.

`FakeUserPool` mints the tokens that Cognito would, a bad one for every trouble by name, and (through `sign`) those that
nobody would. `JwksServer` serves its keys, well or badly. `lambda_event` builds what API Gateway, load balancers,
function URLs and AppSync send. Nothing of the verification is faked. The keys live in this process alone and protect
nothing.

With pytest, the fixtures `cognito_pool`, `cognito_verifier` and `cognito_clock` are there once this package is
installed.
"""

from __future__ import annotations

from cognito_verify.testing.clock import Clock
from cognito_verify.testing.iam import is_allowed
from cognito_verify.testing.key_server import FAULTS, Answer, Fault, JwksServer
from cognito_verify.testing.lambda_events import LAMBDA_EVENT_KINDS, LambdaEventKind, lambda_event
from cognito_verify.testing.user_pool import TROUBLES, FakeUserPool, Trouble

__all__ = [
    "FAULTS",
    "LAMBDA_EVENT_KINDS",
    "TROUBLES",
    "Answer",
    "Clock",
    "FakeUserPool",
    "Fault",
    "JwksServer",
    "LambdaEventKind",
    "Trouble",
    "is_allowed",
    "lambda_event",
]
