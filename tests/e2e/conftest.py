"""What the end-to-end tests share: one embedded user pool service for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from examples.cost_calculator.lab import embedded_user_pool


@pytest.fixture(scope="session")
def user_pool_service() -> Iterator[str]:
    """The endpoint of moto's server on loopback; each test makes pools of its own there."""
    with embedded_user_pool() as endpoint:
        yield endpoint
