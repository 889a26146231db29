"""For tests: a user pool with real keys and real signatures, its keys over HTTP, and a clock.

`FakeUserPool` mints the tokens that Cognito would, a bad one for every trouble by name, and (through `sign`) those that
nobody would. `JwksServer` serves its keys, well or badly. Nothing of the verification is faked. The keys live in this
process alone and protect nothing.
"""

from __future__ import annotations

from cognito_verify.testing.clock import Clock
from cognito_verify.testing.key_server import FAULTS, Answer, Fault, JwksServer
from cognito_verify.testing.user_pool import TROUBLES, FakeUserPool, Trouble

__all__ = [
    "FAULTS",
    "TROUBLES",
    "Answer",
    "Clock",
    "FakeUserPool",
    "Fault",
    "JwksServer",
    "Trouble",
]
