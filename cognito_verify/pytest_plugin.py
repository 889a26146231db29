"""A user pool for tests as a pytest fixture. pytest finds it by itself once this package is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cognito_verify.testing import FakeUserPool

__all__ = ["cognito_pool"]


@pytest.fixture
def cognito_pool() -> FakeUserPool:
    """A `FakeUserPool` of its own for each test: real keys, real signatures."""
    from cognito_verify.testing import FakeUserPool  # the keys cost 0.2 s, which suites without this fixture never pay

    return FakeUserPool()
