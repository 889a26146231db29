"""A typed user's program: it is never run; `mypy --strict` reads it in `make lint`, and once more against the wheel.

A line with an expected error fails the check when the error is gone, as mypy warns of an unused `type: ignore`.
"""

from typing import Any, assert_type

from cognito_verify import (
    AccessToken,
    CognitoVerifier,
    CognitoVerifyError,
    IdToken,
    UserPool,
    any_of,
    bearer_token,
)
from cognito_verify.testing import Clock, FakeUserPool, lambda_event

POOL_ID = "us-east-1_AbCdEfGhI"

access = CognitoVerifier(POOL_ID, client_id="x", token_use="access")
assert_type(access, CognitoVerifier[AccessToken])
assert_type(access.verify("t").scopes, frozenset[str])
assert_type(access.verify(bearer_token("Bearer t"), groups=any_of("admin", "auditor")).is_machine, bool)

identity = CognitoVerifier(POOL_ID, client_id={"x", "y"}, token_use="id")
assert_type(identity.verify("t"), IdToken)
assert_type(identity.verify("t").email, str | None)

either = CognitoVerifier(POOL_ID, client_id=None, token_use=None)
assert_type(either.verify("t"), AccessToken | IdToken)
assert_type(CognitoVerifier.from_env().verify("t"), AccessToken | IdToken)

of_pools = CognitoVerifier([UserPool(POOL_ID, client_id="x")], token_use="access")
assert_type(of_pools.verify("t").username, str | None)


async def verified(raw: str) -> AccessToken | None:
    try:
        return await access.verify_async(raw)
    except CognitoVerifyError as error:
        assert_type((error.code, error.http_status, error.challenge, error.transient), tuple[str, int, str, bool])
        return None


def misspelt() -> None:
    from cognito_verify import CognitoVerifer  # type: ignore[attr-defined]  # although public names are loaded lazily

    print(CognitoVerifer)


pool = FakeUserPool(POOL_ID, clock=Clock())
assert_type(pool.verifier().verify(pool.expired("access", groups="admin")), AccessToken)
assert_type(pool.verifier("id").verify(pool.id_token()).email, str | None)
assert_type(lambda_event("rest", pool.access_token(), query={"a": ["b", "c"]}, body={"d": 1})["body"], Any)
lambda_event("v1")  # type: ignore[arg-type]  # kinds, troubles and faults are named by literals
pool.trouble("old")  # type: ignore[arg-type]
pool.expired("refresh")  # type: ignore[arg-type]
pool.serve("slow")  # type: ignore[arg-type]

CognitoVerifier(POOL_ID, client_id="x")  # type: ignore[call-overload]  # which tokens are meant is the caller's to say
CognitoVerifier(POOL_ID, client_id="x", token_use="refresh")  # type: ignore[call-overload]
CognitoVerifier(POOL_ID, "x", token_use="access")  # type: ignore[call-overload]  # options are named
_ = access.verify("t").email  # type: ignore[attr-defined]  # an access token has no e-mail
_ = identity.verify("t").scopes  # type: ignore[attr-defined]  # and an ID token no scopes
access.verify("t").sub = "other"  # type: ignore[misc]  # tokens are read-only
