"""What an observer hears of requests: each decision once, whoever makes it, and never a token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from cognito_verify.aws_lambda import CloudWatchObserver, LambdaAuthorizer, Rule, header, query, require_token
from cognito_verify.aws_lambda.invocation import current_request_id
from cognito_verify.errors import CheckFailedError, ConfigurationError
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.testing import FakeUserPool
from tests.lambda_events import (
    Event,
    appsync_authorizer_event,
    http_2_authorizer_event,
    http_event,
    method_arn,
    rest_event,
    token_authorizer_event,
)

POOL = FakeUserPool()
RULES = [Rule("POST /pricepermeter"), Rule("GET /reports/{id}", groups="finance")]


class Listener:
    """An observer that keeps what it hears, and which invocation it was in."""

    def __init__(self) -> None:
        self.events: list[VerificationEvent] = []
        self.request_ids: list[str | None] = []

    def __call__(self, event: VerificationEvent | FetchEvent) -> None:
        if isinstance(event, VerificationEvent):
            self.events.append(event)
            self.request_ids.append(current_request_id())

    @property
    def told(self) -> list[tuple[str | None, str | None, bool]]:
        return [(event.code, event.token_use, event.seen_before) for event in self.events]


class Context:
    """As much of Lambda's context object as is read."""

    aws_request_id = "8f5e1c1e-6a25-4e7e-9d2c-0c7a5cf2f9d4"


def called(handler: Callable[..., Any], event: Event) -> Any:
    """The answer, or what was raised."""
    try:
        return handler(event, Context())
    except Exception as error:
        return error


def reports(raw: str) -> Event:
    return token_authorizer_event(raw, method="GET", path="/reports/7")


# LambdaAuthorizer


@pytest.mark.parametrize("where", ["authorizer", "verifier", "both"])
def test_an_authorizer_s_decision_is_told_once(where: str) -> None:
    listener = Listener()
    verifier = POOL.verifier("access", observer=None if where == "authorizer" else listener)
    authorizer = LambdaAuthorizer(verifier, rules=RULES, observer=None if where == "verifier" else listener)
    raw = POOL.access_token()
    for event in (
        token_authorizer_event(raw),
        reports(raw),
        token_authorizer_event(""),
        token_authorizer_event(POOL.access_token(expires_in=-1)),
        token_authorizer_event(raw, path="/elsewhere"),
        {"type": "TOKEN", "authorizationToken": raw, "methodArn": "no-arn"},
    ):
        called(authorizer, event)
    assert listener.told == [
        (None, "access", False),
        ("missing_group", "access", True),
        ("missing_token", None, False),
        ("token_expired", None, False),
        ("access_denied", "access", True),
        ("configuration", None, False),
    ]
    assert {event.user_pool_id for event in listener.events} == {POOL.user_pool_id, None}
    assert all(event.seconds >= 0 for event in listener.events)
    assert set(listener.request_ids) == {Context.aws_request_id}
    assert current_request_id() is None


def test_a_verifier_s_own_observer_goes_on_hearing_of_tokens() -> None:
    of_tokens, of_requests = Listener(), Listener()
    authorizer = LambdaAuthorizer(POOL.verifier("access", observer=of_tokens), rules=RULES, observer=of_requests)
    raw = POOL.access_token()
    for event in (reports(raw), token_authorizer_event("")):
        called(authorizer, event)
    assert of_tokens.told == [(None, "access", False)]
    assert of_requests.told == [("missing_group", "access", False), ("missing_token", None, False)]
    assert of_tokens.request_ids == [Context.aws_request_id]


def test_the_same_method_of_the_same_object_is_one_observer() -> None:
    heard: list[VerificationEvent | FetchEvent] = []
    verifier = POOL.verifier("access", observer=heard.append)
    LambdaAuthorizer(verifier, observer=heard.append)(token_authorizer_event(POOL.access_token()))
    assert len([event for event in heard if isinstance(event, VerificationEvent)]) == 1


def test_a_refusal_has_its_code_in_whatever_form_it_is_answered() -> None:
    def check(token: Any) -> None:
        if "why" in token:
            raise CheckFailedError("later", transient=token["why"] == "transient")

    raw = POOL.access_token(why="transient")
    identity = [raw, "POST /pricepermeter"]
    cases: list[tuple[dict[str, Any], Event, str]] = [
        ({}, token_authorizer_event(raw), "Exception"),
        ({"bad_token": "deny"}, token_authorizer_event(POOL.access_token(why="final")), "dict"),
        ({}, http_2_authorizer_event({"Authorization": raw}, identity_source=identity), "CheckFailedError"),
        ({}, appsync_authorizer_event(raw), "dict"),
    ]
    for options, event, answered in cases:
        listener = Listener()
        authorizer = LambdaAuthorizer(POOL.verifier("access", checks=[check]), observer=listener, **options)
        assert type(called(authorizer, event)).__name__ == answered
        assert listener.told == [("check_failed", "access", False)]


def test_a_refusal_that_no_cache_may_keep_is_told_as_itself() -> None:
    raw, listener = POOL.access_token(groups=["finance"]), Listener()
    key = "GET /reports/{id}"
    event = http_2_authorizer_event({"Authorization": raw}, method="GET", path="/reports/7/", route_key=key)
    event["identitySource"] = [raw, key]
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=RULES, observer=listener, http_api_response="simple")
    assert type(called(authorizer, event)).__name__ == "AccessDeniedError"
    assert listener.told == [("access_denied", "access", False)]


def test_a_fault_in_the_answer_s_making_is_told_as_unforeseen() -> None:
    def context(token: Any) -> dict[str, str]:
        raise KeyError(token["sub"])

    listener = Listener()
    authorizer = LambdaAuthorizer(POOL.verifier("access"), observer=listener, context=context)
    assert type(called(authorizer, token_authorizer_event(POOL.access_token()))) is KeyError
    assert listener.told == [("unforeseen", "access", False)]


def test_an_observer_that_raises_changes_no_answer() -> None:
    def observer(_: object) -> None:
        raise RuntimeError("disk full")

    raw = POOL.access_token()
    quiet = LambdaAuthorizer(POOL.verifier("access"), rules=RULES)
    loud = LambdaAuthorizer(POOL.verifier("access"), rules=RULES, observer=observer)
    for event in (token_authorizer_event(raw), reports(raw)):
        assert loud(event) == quiet(event)
    assert str(called(loud, token_authorizer_event("bad"))) == "Unauthorized"


def test_an_observer_is_a_callable() -> None:
    with pytest.raises(ConfigurationError, match=r"^observer: "):
        LambdaAuthorizer(POOL.verifier("access"), observer="print")  # type: ignore[arg-type]


# require_token


def echo(event: Event, context: object, token: object) -> Event:  # noqa: ARG001 - called so
    return {"statusCode": 200, "request_id": current_request_id()}


async def echo_async(event: Event, context: object, token: object) -> Event:
    return echo(event, context, token)


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("build", [rest_event, http_event], ids=["rest", "http"])
def test_a_request_without_a_token_is_told_as_well(build: Callable[..., Event], is_async: bool) -> None:
    listener = Listener()
    verifier = POOL.verifier("access", observer=listener)
    guarded: Callable[..., Any] = require_token(verifier, token_from=[header("Authorization"), query("token")])(
        echo_async if is_async else echo
    )

    def handler(event: Event, context: object) -> Any:
        answer = guarded(event, context)
        return asyncio.run(answer) if is_async else answer

    raw = POOL.access_token()
    answers = [
        called(handler, build(sent))
        for sent in (
            {},
            {"Authorization": "Basic YWRhOmFkYQ=="},
            {"Authorization": [raw, "another"]},
            {"Authorization": raw},
            {"Authorization": POOL.id_token()},
        )
    ]
    assert type(called(handler, {"price": 400_000})) is ConfigurationError  # no proxy integration: a fault of ours
    assert [answer["statusCode"] for answer in answers] == [401, 401, 401, 200, 401]
    assert listener.told == [
        ("missing_token", None, False),
        ("missing_token", None, False),
        ("malformed_token", None, False),
        (None, "access", False),
        ("invalid_token_use", None, False),
        ("configuration", None, False),
    ]
    assert answers[3]["request_id"] == Context.aws_request_id
    assert set(listener.request_ids) == {Context.aws_request_id}
    assert current_request_id() is None


def test_a_context_is_found_where_it_was_passed() -> None:
    class Handlers:
        @require_token(POOL.verifier("access", observer=Listener()))
        def method(self, event: Event, lambda_context: object, token: object = None) -> Event:
            return echo(event, lambda_context, token)

    @require_token(POOL.verifier("access", observer=Listener()))
    def without_one(event: Event) -> Event:
        return echo(event, None, None)

    event = rest_event({"Authorization": POOL.access_token()})
    assert Handlers().method(event, Context())["request_id"] == Context.aws_request_id
    assert Handlers().method(event=event, lambda_context=Context())["request_id"] == Context.aws_request_id
    assert without_one(event)["request_id"] is None


def test_the_event_keeps_no_trace_of_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    observer = CloudWatchObserver()
    raw = POOL.access_token(groups=["sales"])
    authorizer = LambdaAuthorizer(POOL.verifier("access"), rules=RULES, observer=observer)
    called(authorizer, reports(raw))
    called(
        require_token(POOL.verifier("access", observer=observer))(echo),
        rest_event({"Authorization": raw[:-8] + "AAAAAAAA"}),
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["Code"], line["Fault"], line["request_id"]) for line in lines if "Code" in line] == [
        ("missing_group", "client", Context.aws_request_id),
        ("invalid_signature", "client", Context.aws_request_id),
    ]
    written = json.dumps(lines)
    assert not any(part in written for part in (*raw.split("."), "sales", method_arn("GET", "/reports/7")))
