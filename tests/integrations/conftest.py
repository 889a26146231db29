"""What the integrations' tests share: a pool whose keys are served over HTTP, on a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cognito_verify.context import clear_current_token
from cognito_verify.errors import KeysUnavailableError
from cognito_verify.pool import UserPool
from cognito_verify.testing import Clock, FakeUserPool
from cognito_verify.verifier import CognitoVerifier
from tests.integrations.refusals import Guards


@pytest.fixture(scope="session")
def guards() -> Iterator[Guards]:
    pool = FakeUserPool(clock=Clock())

    def verifier(jwks_uri: str) -> CognitoVerifier:  # type: ignore[type-arg]
        user_pool = UserPool(pool.user_pool_id, client_id=pool.client_id, jwks_uri=jwks_uri)
        return CognitoVerifier(user_pool, token_use="access", clock=pool.clock)

    with pool.serve() as healthy, pool.serve("down") as down:
        keyless = verifier(down)
        with pytest.raises(KeysUnavailableError):  # from now on no fetch is allowed, and every answer is the same
            keyless.prefetch()
        yield Guards(pool, verifier(healthy), keyless)


@pytest.fixture(autouse=True)
def _no_token_of_another_test() -> Iterator[None]:
    """A view that is called without a request's signals (`APIRequestFactory`) leaves its token in this thread."""
    yield
    clear_current_token()
