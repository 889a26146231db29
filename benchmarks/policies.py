"""What an authorizer costs: compiling its rules, the size of its policies, one answer."""

import json
import timeit
import warnings
from itertools import combinations
from statistics import median

from benchmarks.corpus import CLIENT_ID, SigningPool
from benchmarks.report import Table
from cognito_verify import CognitoVerifier
from cognito_verify.aws_lambda import LambdaAuthorizer, Rule
from cognito_verify.aws_lambda.policy import MOST_BYTES

__all__ = ["policies_table"]

_ARN = "arn:aws:execute-api:eu-central-1:123456789012:abcdef1234/prod/"
_GROUPS = ("reader", "writer", "admin")
_KINDS = ("orders", "users", "items", "bills", "carts", "pages")

_TABLES: dict[str, list[tuple[str, str | None]]] = {
    "the lab's two rules": [("POST /pricepermeter", None), ("GET /reports/{id}", "reader")],
    "5 rules: one kind, read, written, deleted": [
        (route, group)
        for route, group in (
            *(("GET /orders", "reader"), ("POST /orders", "writer"), ("GET /orders/{id}", "reader")),
            *(("PUT /orders/{id}", "writer"), ("DELETE /orders/{id}", "admin")),
        )
    ],
    "30 rules: six such kinds": [
        (f"{method} /{kind}{end}", group)
        for kind in _KINDS
        for method, end, group in (
            *(("GET", "", "reader"), ("POST", "", "writer"), ("GET", "/{id}", "reader")),
            *(("PUT", "/{id}", "writer"), ("DELETE", "/{id}", "admin")),
        )
    ],
    "30 rules: GET /kindN/{a}/x/{b}": [
        (f"GET /kind{number}/{{a}}/x/{{b}}", _GROUPS[number % 3]) for number in range(30)
    ],
    "2 rules: ANY /{proxy+}, ANY /admin/{proxy+}": [("ANY /{proxy+}", None), ("ANY /admin/{proxy+}", "admin")],
    "12 rules: ANY /kindN/{proxy+}": [(f"ANY /kind{number}/{{proxy+}}", _GROUPS[number % 3]) for number in range(12)],
}


def policies_table(*, quick: bool) -> Table:
    pool = SigningPool.new("us-east-1_AbCdEfGhI")
    verifier = CognitoVerifier(pool.pool_id, client_id=CLIENT_ID, token_use="access", jwks=pool.jwks)
    held = [some for size in range(4) for some in combinations(_GROUPS, size)]
    tokens = [pool.access_token(**{"cognito:groups": [*groups]}) for groups in held]
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is large is in the table
        for name, routes in _TABLES.items():
            rules = [Rule(route, groups=group) for route, group in routes]
            compiled = median(
                timeit.repeat(lambda: LambdaAuthorizer(verifier, rules=rules), number=1, repeat=3 if quick else 15)  # noqa: B023
            )
            authorizer = LambdaAuthorizer(verifier, rules=rules)
            events = [{"type": "TOKEN", "authorizationToken": raw, "methodArn": f"{_ARN}GET/x"} for raw in tokens]
            sizes = [len(json.dumps(authorizer(event)["policyDocument"], separators=(",", ":"))) for event in events]
            calls = [
                min(timeit.repeat(lambda: authorizer(event), number=20, repeat=3)) / 20  # noqa: B023
                for event in events
            ]
            rows.append(
                (
                    name,
                    f"{compiled * 1e3:.1f}",
                    f"{min(sizes):,}",
                    f"{max(sizes):,}",
                    f"{median(calls) * 1e6:.0f}",
                    f"<= {MOST_BYTES:,}, {'met' if max(sizes) <= MOST_BYTES else 'warned of'}",
                )
            )
    notes = ["Over the tokens with each choice of three groups; an answer to a token that was seen before."]
    columns = ("rules", "compiled, ms", "smallest policy, bytes", "largest", "an answer, us", "target")
    return Table("an authorizer's policies", columns, rows, notes)
