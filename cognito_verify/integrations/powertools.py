"""A middleware for the Event Handler of Powertools for AWS Lambda: routes run only for requests with a verified token.

For the resolvers of REST and HTTP APIs, load balancers, function URLs and VPC Lattice. A custom authorizer needs
nothing of this room: a `LambdaAuthorizer` takes Powertools' data classes as it takes AWS's own events.
"""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import ApiGatewayResolver, Response
from aws_lambda_powertools.event_handler.middlewares import BaseMiddlewareHandler, NextMiddleware

from cognito_verify.answers import REFUSALS, Gate, answer_to
from cognito_verify.aws_lambda.events import header_values
from cognito_verify.aws_lambda.invocation import request_in_context
from cognito_verify.context import token_in_context
from cognito_verify.errors import CognitoVerifyError
from cognito_verify.requirements import RequirementSource
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier

__all__ = ["CognitoMiddleware"]


class CognitoMiddleware(BaseMiddlewareHandler[ApiGatewayResolver]):
    """Let a resolver's routes run only for requests with a verified token.

        app.use(middlewares=[CognitoMiddleware(verifier)])  # every route, and what no route matches

        @app.get("/reports", middlewares=[CognitoMiddleware(verifier, groups="finance")])

    A route finds the token as `app.context["token"]` and with `current_token()`; both are cleared however it ends. A
    refusal is answered in the resolver's own format, with its CORS headers.

    Args:
        verifier: Who verifies; build it once, outside of the handler.
        groups: Groups that are asked for besides the verifier's own.
        scopes: Scopes that are asked for besides the verifier's own.
        optional: Let a request without a token through, with None in the token's place. A bad one is still refused.
        allow_preflight: Let a browser's preflight through: `OPTIONS` with `Origin` and `Access-Control-Request-Method`.
            Anybody can send one; a resolver with a `CORSConfig` answers it by itself.

    Raises:
        ConfigurationError: A setting is empty or senseless.

    Source: "Event Handler", middleware, Powertools for AWS Lambda (Python); RFC 6750 section 3.
    """

    def __init__(
        self,
        verifier: CognitoVerifier[Any],
        *,
        groups: RequirementSource | None = None,
        scopes: RequirementSource | None = None,
        optional: bool = False,
        allow_preflight: bool = True,
    ) -> None:
        self._gate: Gate[AccessToken | IdToken] = Gate(
            "CognitoMiddleware",
            verifier,
            groups=groups,
            scopes=scopes,
            optional=optional,
            allow_preflight=allow_preflight,
        )

    def handler(self, app: ApiGatewayResolver, next_middleware: NextMiddleware) -> Response[Any]:
        """Answer, or hand on."""
        if self._gate.verifier.observer is None:
            return self._handled(app, next_middleware)
        with request_in_context(app.lambda_context):  # the observer finds the invocation's id
            return self._handled(app, next_middleware)

    def _handled(self, app: ApiGatewayResolver, next_middleware: NextMiddleware) -> Response[Any]:
        def values(name: str) -> list[str]:  # the event in no variable: a report with this frame's must not show it
            return list(dict.fromkeys(header_values(app.current_event.raw_event, name)))  # REST events hold all twice

        token = None
        if not self._gate.lets_pass(app.current_event.http_method, lambda name: any(values(name))):
            try:
                token = self._gate.verified(values("Authorization"))
            except REFUSALS as error:
                return _Refusal(error)
        before = app.context.get("token")  # of the same middleware around this one, with other requirements
        app.context["token"] = token
        try:
            with token_in_context(token):
                return next_middleware(app)
        finally:  # Powertools 2 keeps the context of a route that raised for the next invocation
            app.context["token"] = before


class _Refusal(Response[str]):
    def __init__(self, error: CognitoVerifyError) -> None:
        status, headers, body = answer_to(error)
        super().__init__(status, headers=headers, body=body)

    def is_json(self) -> bool:
        """No: it is text by now, and Powertools 2 would validate it as what the route returns."""
        return False
