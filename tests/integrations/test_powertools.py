"""The middleware of Powertools' Event Handler, in its resolvers, with the events that AWS sends them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import (
    ALBResolver,
    APIGatewayHttpResolver,
    ApiGatewayResolver,
    APIGatewayRestResolver,
    CORSConfig,
    LambdaFunctionUrlResolver,
    Response,
    VPCLatticeV2Resolver,
)
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.shared.version import VERSION
from aws_lambda_powertools.utilities.data_classes import event_source
from aws_lambda_powertools.utilities.data_classes.api_gateway_authorizer_event import (
    APIGatewayAuthorizerEventV2,
    APIGatewayAuthorizerRequestEvent,
    APIGatewayAuthorizerResponse,
    APIGatewayAuthorizerResponseV2,
    APIGatewayAuthorizerTokenEvent,
)
from aws_lambda_powertools.utilities.data_classes.appsync_authorizer_event import (
    AppSyncAuthorizerEvent,
    AppSyncAuthorizerResponse,
)

from cognito_verify.aws_lambda import LambdaAuthorizer, Rule
from cognito_verify.aws_lambda.invocation import current_request_id
from cognito_verify.context import current_token
from cognito_verify.errors import ConfigurationError
from cognito_verify.integrations.powertools import CognitoMiddleware
from cognito_verify.observer import VerificationEvent
from cognito_verify.testing import LambdaEventKind, lambda_event
from examples.powertools import local
from tests.integrations.refusals import PATHS, REFUSED, Guards, Refused, assert_refused, bearer, who
from tests.integrations.serving import Headers, Reply
from tests.secrecy import assert_secret, logged, told

IS_3 = VERSION.startswith("3.")
CONTEXT: Any = local.Context()
ORIGIN = "https://app.example.com"
PREFLIGHT = [("Origin", ORIGIN), ("Access-Control-Request-Method", "POST")]
RESOLVERS: dict[LambdaEventKind, type[Any]] = {
    "rest": APIGatewayRestResolver,
    "http": APIGatewayHttpResolver,
    "function-url": LambdaFunctionUrlResolver,
    "alb": ALBResolver,
    "alb-multi": ALBResolver,
}
Ask = Callable[..., Reply]


def reply_of(answer: dict[str, Any]) -> Reply:
    """What the gateway makes of a function's answer; it counts the body's bytes."""
    several = answer.get("multiValueHeaders") or {}
    headers = {name: [value] for name, value in (answer.get("headers") or {}).items()} | several
    body = answer["body"].encode()
    joined = {name.lower(): ", ".join(values) for name, values in headers.items()}
    return Reply(answer["statusCode"], joined | {"content-length": str(len(body))}, body)


def event_of(kind: LambdaEventKind, path: str, headers: Headers = (), method: str = "GET") -> dict[str, Any]:
    several: dict[str, list[str]] = {}
    for name, value in headers:
        several.setdefault(name, []).append(value)
    return lambda_event(kind, path=path, headers=several, method=method)


def app_of(guards: Guards, resolver: type[Any]) -> ApiGatewayResolver:
    app: ApiGatewayResolver = resolver(cors=CORSConfig(ORIGIN))
    for path, asked in PATHS.items():

        @app.route(path, method=["GET"], middlewares=[CognitoMiddleware(guards.of(path), **asked)])
        def handle() -> dict[str, str | None]:
            assert app.context["token"] is current_token()
            return who()

    @app.get("/open")
    def handle_openly() -> dict[str, Any]:
        assert current_token() is None
        return {"token": app.context.get("token")}

    return app


@pytest.fixture(scope="module", params=RESOLVERS)
def ask(guards: Guards, request: pytest.FixtureRequest) -> Ask:
    kind: LambdaEventKind = request.param
    app = app_of(guards, RESOLVERS[kind])
    return lambda path, headers=(): reply_of(app.resolve(event_of(kind, path, headers), CONTEXT))


@pytest.mark.parametrize(
    ("path", "claims"),
    [("/", {}), ("/finance", {"groups": "finance"}), ("/orders", {"scopes": "orders/read"})],
)
def test_a_good_token_reaches_the_route(ask: Ask, guards: Guards, path: str, claims: dict[str, Any]) -> None:
    reply = ask(path, bearer(guards.pool.access_token("ada", **claims)))
    assert (reply.status, reply.json) == (200, {"username": "ada"})
    assert ask("/open").json == {"token": None}  # the next invocation knows nothing of it


@pytest.mark.parametrize(
    ("kind", "request_"),
    # A load balancer without multi-value headers hands on the last of two: there is one token in such an event.
    [(kind, one) for kind in RESOLVERS for one in REFUSED if (kind, one.name) != ("alb", "two-headers")],
    ids=str,
)
def test_a_refusal_is_answered_as_everywhere(guards: Guards, kind: LambdaEventKind, request_: Refused) -> None:
    event = event_of(kind, request_.path, request_.headers(guards.pool))
    assert_refused(reply_of(app_of(guards, RESOLVERS[kind]).resolve(event, CONTEXT)), request_, guards)


@pytest.mark.parametrize("kind", RESOLVERS)
def test_a_token_may_be_as_long_as_the_verifier_says(guards: Guards, kind: LambdaEventKind) -> None:
    raw = guards.pool.access_token("ada", groups=[f"group-{number:04}" for number in range(500)])
    assert len(raw) > guards.verifier.max_token_bytes / 2  # the event of a REST API holds it twice
    assert app_of(guards, RESOLVERS[kind]).resolve(event_of(kind, "/", bearer(raw)), CONTEXT)["statusCode"] == 200


def test_a_refusal_has_the_resolvers_cors_headers(ask: Ask) -> None:
    reply = ask("/", [("Origin", ORIGIN)])
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (401, ORIGIN)


def test_a_load_balancer_gets_the_headers_in_the_member_that_it_reads(guards: Guards) -> None:
    app = app_of(guards, ALBResolver)
    assert app.resolve(event_of("alb", "/"), CONTEXT)["headers"]["WWW-Authenticate"] == "Bearer"
    assert app.resolve(event_of("alb-multi", "/"), CONTEXT)["multiValueHeaders"]["WWW-Authenticate"] == ["Bearer"]


def test_a_vpc_lattice_resolver_is_guarded_as_well(guards: Guards) -> None:
    app = app_of(guards, VPCLatticeV2Resolver)
    event = {"version": "2.0", "path": "/", "method": "GET", "requestContext": {}, "headers": {}}
    assert app.resolve(event, CONTEXT)["statusCode"] == 401
    event["headers"] = {"authorization": [f"Bearer {guards.pool.access_token('ada')}"]}
    assert json.loads(app.resolve(event, CONTEXT)["body"]) == {"username": "ada"}


# For all routes


def app_behind(middleware: CognitoMiddleware, **settings: Any) -> ApiGatewayResolver:
    app = APIGatewayRestResolver(**settings)
    app.use(middlewares=[middleware])
    app.get("/")(who)
    return app


def status_of(app: ApiGatewayResolver, path: str, headers: Headers = (), method: str = "GET") -> int:
    return int(app.resolve(event_of("rest", path, headers, method), CONTEXT)["statusCode"])


def test_used_for_the_app_it_guards_what_no_route_matches_too(guards: Guards) -> None:
    app = app_behind(CognitoMiddleware(guards.verifier))
    good = bearer(guards.pool.access_token("ada"))
    assert [status_of(app, path) for path in ("/", "/nothing-here")] == [401, 401]
    assert [status_of(app, path, good) for path in ("/", "/nothing-here")] == [200, 404]


def test_a_preflight_is_answered_by_the_resolver_and_a_bare_options_is_refused(guards: Guards) -> None:
    app = app_behind(CognitoMiddleware(guards.verifier), cors=CORSConfig(ORIGIN))
    assert status_of(app, "/", PREFLIGHT, "OPTIONS") == 204
    assert status_of(app, "/", PREFLIGHT[:1], "OPTIONS") == 401
    closed = app_behind(CognitoMiddleware(guards.verifier, allow_preflight=False), cors=CORSConfig(ORIGIN))
    assert status_of(closed, "/", PREFLIGHT, "OPTIONS") == 401


def test_an_optional_token_may_be_absent_and_never_bad(guards: Guards) -> None:
    app = app_behind(CognitoMiddleware(guards.verifier, optional=True))
    assert status_of(app, "/") == 200
    assert status_of(app, "/", bearer(guards.pool.expired())) == 401


def test_a_routes_own_middleware_adds_to_the_apps(guards: Guards) -> None:
    seen: list[object] = []

    def watch(app: ApiGatewayResolver, next_middleware: Callable[[Any], Response[Any]]) -> Response[Any]:
        response = next_middleware(app)
        seen.append(app.context["token"].username)
        return response

    app = APIGatewayRestResolver()
    app.use(middlewares=[CognitoMiddleware(guards.verifier), watch])
    app.get("/finance", middlewares=[CognitoMiddleware(guards.verifier, groups="finance")])(who)
    assert status_of(app, "/finance", bearer(guards.pool.access_token("ada"))) == 403
    assert status_of(app, "/finance", bearer(guards.pool.access_token("ada", groups="finance"))) == 200
    assert seen == ["ada", "ada"]  # between the two the outer one's token is there, before and after


def test_a_route_that_raises_leaves_no_token_behind(guards: Guards) -> None:
    app = app_of(guards, APIGatewayRestResolver)

    @app.get("/boom", middlewares=[CognitoMiddleware(guards.verifier)])
    def boom() -> None:
        assert app.context["token"].username == "ada"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        status_of(app, "/boom", bearer(guards.pool.access_token("ada")))
    assert current_token() is None
    assert json.loads(app.resolve(event_of("rest", "/open"), CONTEXT)["body"]) == {"token": None}


def test_validation_of_what_routes_return_leaves_refusals_alone(guards: Guards) -> None:
    app = APIGatewayRestResolver(enable_validation=True)
    app.use(middlewares=[CognitoMiddleware(guards.verifier)])

    @app.get("/count")
    def count() -> int:
        return 7

    request_ = next(one for one in REFUSED if one.code == "token_expired")
    reply = reply_of(app.resolve(event_of("rest", "/count", request_.headers(guards.pool)), CONTEXT))
    assert_refused(reply, request_, guards)
    assert status_of(app, "/count", bearer(guards.pool.access_token("ada"))) == 200


@pytest.mark.skipif(not IS_3, reason="Powertools 2 has no resolve_async")
def test_an_async_route_finds_the_token_and_a_refusal_is_answered_all_the_same(guards: Guards) -> None:
    app = APIGatewayRestResolver()
    app.use(middlewares=[CognitoMiddleware(guards.verifier)])

    @app.get("/")
    async def handle() -> dict[str, str | None]:
        await asyncio.sleep(0)
        assert app.context["token"] is current_token()
        return who()

    def resolved(headers: Headers) -> Reply:
        event: Any = event_of("rest", "/", headers)
        return reply_of(asyncio.run(app.resolve_async(event, CONTEXT)))

    assert resolved(bearer(guards.pool.access_token("ada"))).json == {"username": "ada"}
    request_ = next(one for one in REFUSED if one.code == "token_expired")
    assert_refused(resolved(request_.headers(guards.pool)), request_, guards)


# What is ours to mend, and what is told


def test_a_wrong_setting_is_a_fault_of_ours_and_no_401(guards: Guards) -> None:
    with pytest.raises(ConfigurationError, match="groups: "):
        CognitoMiddleware(guards.verifier, groups=[])
    not_a_verifier: Any = "us-east-1_AbCdEfGhI"
    with pytest.raises(ConfigurationError, match="CognitoMiddleware: expected a CognitoVerifier, found str"):
        CognitoMiddleware(not_a_verifier)
    wrong_check: Any = lambda token: True  # noqa: ARG005, E731 - returns something
    app = app_behind(CognitoMiddleware(guards.pool.verifier(checks=[wrong_check])))
    with pytest.raises(ConfigurationError):
        status_of(app, "/", bearer(guards.pool.access_token("ada")))


def test_an_observer_hears_of_every_refusal_with_the_invocations_id(guards: Guards) -> None:
    told: list[tuple[str | None, str | None]] = []

    def observe(event: object) -> None:
        if isinstance(event, VerificationEvent):
            told.append((event.code, current_request_id()))

    app = app_behind(CognitoMiddleware(guards.pool.verifier(observer=observe)))
    assert status_of(app, "/") == 401
    assert status_of(app, "/", bearer(guards.pool.expired())) == 401
    assert status_of(app, "/", bearer(guards.pool.access_token("ada"))) == 200
    assert told == [(code, CONTEXT.aws_request_id) for code in ("missing_token", "token_expired", None)]


def test_no_token_gets_into_a_log_through_us(guards: Guards, caplog: pytest.LogCaptureFixture) -> None:
    written = io.StringIO()
    logger = Logger(service=f"secrecy-{VERSION}", stream=written, log_uncaught_exceptions=False)
    app = APIGatewayRestResolver()
    app.use(middlewares=[CognitoMiddleware(guards.verifier)])

    @app.get("/")
    def handle() -> dict[str, str | None]:
        logger.append_keys(token=app.context["token"], context=app.context)
        logger.info("the token itself, by mistake", extra={"again": current_token()})
        return who()

    @app.get("/boom")
    def boom() -> None:
        raise ZeroDivisionError

    @logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST, clear_state=True)
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        try:
            return app.resolve(event, context)
        except ZeroDivisionError:
            logger.exception("unhandled")
            raise

    caplog.set_level(logging.DEBUG)
    good, bad = guards.pool.access_token("ada"), guards.pool.tampered()
    assert handler(event_of("rest", "/", bearer(good)), CONTEXT)["statusCode"] == 200
    assert handler(event_of("rest", "/", bearer(bad)), CONTEXT)["statusCode"] == 401
    with pytest.raises(ZeroDivisionError) as failed:
        handler(event_of("rest", "/boom", bearer(good)), CONTEXT)
    assert "by mistake" in written.getvalue()
    ours = [line for line in told(failed.value, but_for=__file__) if "cognito_verify" in line.partition(", ")[0]]
    for raw in (good, bad):
        assert_secret(raw, [written.getvalue(), *logged(caplog)])
    assert ours
    assert_secret(good, ours)


def test_log_event_writes_the_token_as_the_page_says(guards: Guards) -> None:
    written = io.StringIO()
    logger = Logger(service=f"log-event-{VERSION}", stream=written)
    app = app_behind(CognitoMiddleware(guards.verifier))
    raw = guards.pool.access_token("ada")
    logger.inject_lambda_context(app.resolve, log_event=True)(event_of("rest", "/", bearer(raw)), CONTEXT)
    assert raw in written.getvalue()


# The authorizer


@pytest.mark.parametrize(
    ("kind", "data_class", "response"),
    [
        ("token-authorizer", APIGatewayAuthorizerTokenEvent, APIGatewayAuthorizerResponse),
        ("request-authorizer", APIGatewayAuthorizerRequestEvent, APIGatewayAuthorizerResponse),
        ("http-2.0-authorizer", APIGatewayAuthorizerEventV2, APIGatewayAuthorizerResponseV2),
        ("appsync-authorizer", AppSyncAuthorizerEvent, AppSyncAuthorizerResponse),
    ],
)
def test_an_authorizer_answers_a_data_class_as_it_answers_the_event(
    guards: Guards, kind: LambdaEventKind, data_class: Any, response: Any
) -> None:
    authorizer = LambdaAuthorizer(
        guards.verifier,
        rules=None if kind == "appsync-authorizer" else [Rule("GET /reports/{id}", groups="finance")],
        http_api_response="simple",
        simple_uncached=True,
    )

    @event_source(data_class=data_class)
    def handler(event: Any, context: Any) -> dict[str, Any]:
        assert type(event) is data_class
        return authorizer(event, context)

    path = None if kind == "appsync-authorizer" else "/reports/7"
    answer: dict[str, Any] = {}
    for groups in ((), ("finance",)):
        event = lambda_event(kind, guards.pool.access_token("ada", groups=groups), path=path)
        answer = handler(event, CONTEXT)
        assert answer == authorizer(event) == authorizer(MappingProxyType(event))
    usual = {
        APIGatewayAuthorizerResponse: {"principalId", "policyDocument", "context"},
        APIGatewayAuthorizerResponseV2: {"isAuthorized", "context"},
        AppSyncAuthorizerResponse: {"isAuthorized", "ttlOverride", "resolverContext"},
    }
    assert set(answer) == usual[response]


# The example


def test_the_example_refuses_and_lets_in(capsys: pytest.CaptureFixture[str]) -> None:
    local.main()
    told = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("{")]
    assert [line.split()[:4] for line in told[:3]] == [
        ["nobody", "GET", "/reports/7", "401"],
        ["bob", "GET", "/reports/7", "403"],
        ["ada", "GET", "/reports/7", "200"],
    ]
    assert [line.split() for line in told[3:]] == [["bob", "authorizer", "Deny"], ["ada", "authorizer", "Allow"]]
    for module in ("examples.powertools.app", "examples.powertools.authorizer"):
        del sys.modules[module]  # their verifiers know this pool alone
