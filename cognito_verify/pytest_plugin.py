"""Fixtures for pytest, which finds them by itself once this package is installed.

They are opt-in by name: this module defines them and runs nothing, and a suite that asks for none of them never imports
the testing kit, nor what it needs. `-p no:cognito_verify` leaves out even the definitions.

All of them are made anew for each test: a test that moves the clock or rotates the keys must not change the next one.
That costs nothing, since pools of one id share their keys, which are made once per process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cognito_verify.testing import Clock, FakeUserPool
    from cognito_verify.tokens import AccessToken
    from cognito_verify.verifier import CognitoVerifier

__all__ = ["cognito_clock", "cognito_pool", "cognito_verifier"]

# Imports stand in the fixtures: the kit and what it loads cost a suite 0.1 s, the keys 0.2 s more.


@pytest.fixture
def cognito_clock() -> Clock:
    """A `Clock` that stands still at the second in which the test began; `cognito_clock.tick(3_600)` moves it."""
    from cognito_verify.testing import Clock

    return Clock()


@pytest.fixture
def cognito_pool(cognito_clock: Clock) -> FakeUserPool:
    """A `FakeUserPool` with real keys, on `cognito_clock`.

    Its id is `us-east-1_TestPool1`, its client `test-client`. For others, define a fixture of this name in your
    `conftest.py`; `cognito_verifier` then follows.
    """
    from cognito_verify.testing import FakeUserPool

    return FakeUserPool(clock=cognito_clock)


@pytest.fixture
def cognito_verifier(cognito_pool: FakeUserPool) -> CognitoVerifier[AccessToken]:
    """A verifier of the access tokens of `cognito_pool`, on its clock; `cognito_pool.verifier(...)` makes others."""
    return cognito_pool.verifier(token_use="access")
