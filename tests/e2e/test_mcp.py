"""An MCP server and the SDK's client, with a real login of moto's pool, which knows of no resources."""

from __future__ import annotations

import asyncio

from cognito_verify import CognitoVerifier, UserPool
from cognito_verify.integrations.mcp import CognitoTokenVerifier
from examples.cost_calculator.lab import set_up
from tests.integrations.refusals import bearer
from tests.integrations.serving import served_by_uvicorn
from tests.integrations.test_mcp import METADATA, app_of, called, post


def test_a_user_who_logged_in_is_let_in_and_an_id_token_is_not(user_pool_service: str) -> None:
    lab = set_up(user_pool_service, lambda _: None, ("finance",))
    pool = UserPool(lab.user_pool_id, client_id=lab.client_id, jwks_uri=lab.jwks_uri)
    verifier = CognitoTokenVerifier(CognitoVerifier(pool, token_use="access"), groups="finance")
    with served_by_uvicorn(app_of(verifier)) as url:
        (answer,) = asyncio.run(called(f"{url}/mcp", lab.access_token))
        assert (answer["username"], answer["groups"]) == ("testUser", ["finance"])
        for token, code in ((lab.id_token, "invalid_token_use"), (lab.other_client_token, "invalid_client")):
            reply = post(f"{url}/mcp", bearer(token))
            assert (reply.status, reply.json["code"]) == (401, code)
            assert reply.headers["www-authenticate"].endswith(METADATA)
