"""`require_token`: who gets to the handler, what the handler finds, and what is answered to the others."""

# ruff: noqa: ARG001, ARG002, ARG003, ARG004, ARG005 - they are called so by others

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cognito_verify import (
    AccessDeniedError,
    AccessToken,
    CheckFailedError,
    CognitoVerifier,
    CognitoVerifyError,
    ConfigurationError,
    IdToken,
    JwksCache,
    all_of,
    current_token,
)
from cognito_verify.aws_lambda import cookie, header, query, require_token
from cognito_verify.aws_lambda.events import http_claims, rest_claims
from cognito_verify.testing import FakeUserPool
from tests.lambda_events import (
    BUILDERS,
    Event,
    Values,
    alb_event,
    alb_multi_event,
    connect_event,
    function_url_event,
    http_event,
    message_event,
    request_authorizer_event,
    rest_event,
)

POOL = FakeUserPool()
VERIFIER = POOL.verifier("access")

every_format = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


def bearer(**claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {POOL.access_token(**claims)}"}


def echo(event: Event, context: object, token: AccessToken | None) -> Event:
    return {"event": event, "context": context, "token": token, "current": current_token()}


guarded = require_token(VERIFIER)(echo)
open_to_all = require_token(VERIFIER, optional=True)(echo)


def headers_of(response: Event) -> dict[str, str]:
    """What the gateway would send on, whichever member it reads."""
    assert ("headers" in response) != ("multiValueHeaders" in response)
    if "headers" in response:
        return dict(response["headers"])
    return {name: one for name, (one,) in response["multiValueHeaders"].items()}


def refused(response: Event) -> tuple[int, str]:
    assert set(response) <= {
        *("statusCode", "statusDescription", "headers", "multiValueHeaders", "body", "isBase64Encoded")
    }
    assert headers_of(response)["Content-Type"] == "application/json"
    assert response["isBase64Encoded"] is False
    body = json.loads(response["body"])
    assert set(body) == {"message", "code"}
    assert body["message"]
    return response["statusCode"], body["code"]


# Who gets to the handler


@every_format
@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer "])
def test_a_good_token_reaches_the_handler(build: Callable[..., Event], name: str, scheme: str) -> None:
    raw = POOL.access_token(username="ada")
    event, context = build({name: f"{scheme}{raw}"}), object()
    before = deepcopy(event)
    seen = guarded(event, context)
    assert seen["token"].username == "ada"
    assert seen["token"] is seen["current"]
    assert seen["context"] is context
    assert event == before
    assert current_token() is None


@every_format
def test_no_token_is_a_401_without_an_error_code(build: Callable[..., Event]) -> None:
    response = guarded(build(), None)
    assert refused(response) == (401, "missing_token")
    assert headers_of(response)["WWW-Authenticate"] == "Bearer"


@every_format
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param({"Authorization": "Bearer"}, "missing_token", id="scheme-alone"),
        pytest.param({"Authorization": "Basic dTpw"}, "missing_token", id="another-scheme"),
        pytest.param({"Authorization": "Bearer undefined"}, "malformed_token", id="undefined"),
        pytest.param(bearer(expires_in=-1), "token_expired", id="expired"),
        pytest.param({"Authorization": f"Bearer {POOL.id_token()}"}, "invalid_token_use", id="id-token"),
        pytest.param(bearer(client_id="other"), "invalid_client", id="another-client"),
    ],
)
def test_a_bad_token_is_a_401_also_where_tokens_are_optional(
    build: Callable[..., Event], headers: Values, code: str
) -> None:
    for handler in (guarded, open_to_all):
        response = handler(build(headers), None)
        assert refused(response) == (401, code)
        challenge = headers_of(response)["WWW-Authenticate"]
        assert (
            challenge == "Bearer" if code == "missing_token" else challenge.startswith('Bearer error="invalid_token"')
        )


@every_format
@pytest.mark.parametrize("headers", [None, {"Authorization": ""}, {"Authorization": "  "}])
def test_an_absent_or_empty_source_passes_where_tokens_are_optional(
    build: Callable[..., Event], headers: Values | None
) -> None:
    seen = open_to_all(build(headers), None)
    assert seen["token"] is None
    assert seen["current"] is None


def test_a_good_token_counts_where_tokens_are_optional() -> None:
    assert open_to_all(rest_event(bearer(username="ada")), None)["token"].username == "ada"


async def echo_async(event: Event, context: object, token: AccessToken | None) -> Event:
    await asyncio.sleep(0)
    return echo(event, context, token)


def decorated(is_async: bool, **options: Any) -> Callable[..., Event]:
    """`echo` behind the decorator, or its async twin, called as Lambda calls."""
    guard = require_token(VERIFIER, **options)
    handler: Callable[..., Any] = guard(echo_async) if is_async else guard(echo)
    return lambda event, context: asyncio.run(handler(event, context)) if is_async else handler(event, context)


every_way = pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])


@every_format
@every_way
def test_groups_and_scopes_that_are_missing_are_a_403(build: Callable[..., Event], is_async: bool) -> None:
    for_finance = decorated(is_async, groups="finance")
    assert refused(for_finance(build(bearer(groups=["staff"])), None)) == (403, "missing_group")
    assert for_finance(build(bearer(groups=["finance"])), None)["token"].groups == ("finance",)

    for_writers = decorated(is_async, scopes=all_of("orders/read", "orders/write"))
    response = for_writers(build(bearer(scopes=["orders/read"])), None)
    assert refused(response) == (403, "insufficient_scope")
    assert 'scope="orders/read orders/write"' in headers_of(response)["WWW-Authenticate"]
    assert for_writers(build(bearer(scopes=["orders/write", "orders/read"])), None)["token"].is_machine is False


@every_way
def test_the_claims_are_in_the_event_of_either_kind_of_handler(is_async: bool) -> None:
    claims = decorated(is_async)(rest_event(bearer(username="ada")), None)["event"]["requestContext"]["authorizer"]
    assert claims["claims"]["username"] == "ada"


def test_a_handlers_requirement_never_weakens_the_verifiers() -> None:
    strict = require_token(POOL.verifier("access", groups="staff"), groups="finance")(echo)
    assert refused(strict(rest_event(bearer(groups=["finance"])), None)) == (403, "missing_group")
    assert strict(rest_event(bearer(groups=["finance", "staff"])), None)["token"]


@every_format
def test_unavailable_keys_are_a_503_that_says_when_to_come_back(build: Callable[..., Event]) -> None:
    now = [1_000.0]

    def fetch(uri: str, seconds: float) -> bytes:
        raise OSError(f"{uri} is down for {seconds}")

    cache = JwksCache(fetch=fetch, cooldown=9.5, clock=lambda: now[0])
    verifier = CognitoVerifier(POOL.user_pool_id, client_id="test-client", token_use="access", jwks_cache=cache)
    response = require_token(verifier)(echo)(build(bearer()), None)
    assert refused(response) == (503, "keys_unavailable")
    assert headers_of(response)["Retry-After"] == "10"
    assert "WWW-Authenticate" not in headers_of(response)


def test_retry_after_is_at_least_a_second() -> None:
    def without_a_time(token: AccessToken) -> None:
        from cognito_verify import KeysUnavailableError

        raise KeysUnavailableError("a check cannot tell either")

    response = require_token(POOL.verifier("access", checks=[without_a_time]))(echo)(rest_event(bearer()), None)
    assert headers_of(response)["Retry-After"] == "1"


class LegallyBarredError(AccessDeniedError):
    http_status = 451


@pytest.mark.parametrize(
    ("raised", "answer"),
    [
        pytest.param(CheckFailedError("revoked"), (401, "check_failed"), id="check-failed"),
        pytest.param(AccessDeniedError("for people only"), (403, "access_denied"), id="access-denied"),
        pytest.param(LegallyBarredError("not there"), (451, "access_denied"), id="own-status"),
    ],
)
@every_format
def test_checks_of_the_user_refuse_too(
    build: Callable[..., Event], raised: CognitoVerifyError, answer: tuple[int, str]
) -> None:
    def check(token: AccessToken) -> None:
        raise raised

    response = require_token(POOL.verifier("access", checks=[check]))(echo)(build(bearer()), None)
    assert refused(response) == answer


@pytest.mark.parametrize(
    "fault",
    [ConfigurationError("ours"), CognitoVerifyError("unknown"), ZeroDivisionError()],
    ids=["configuration", "base", "bug"],
)
def test_a_fault_of_ours_is_raised_not_answered(fault: Exception) -> None:
    def check(token: AccessToken) -> None:
        raise fault

    with pytest.raises(type(fault)) as raised:
        require_token(POOL.verifier("access", checks=[check]))(echo)(rest_event(bearer()), None)
    assert raised.value is fault


def test_what_the_handler_raises_is_not_dressed_up_as_a_refusal() -> None:
    @require_token(VERIFIER)
    def handler(event: Event, context: object) -> None:
        raise CheckFailedError("the handler's own")

    with pytest.raises(CheckFailedError):
        handler(rest_event(bearer()), None)
    assert current_token() is None


# In the event's own format


@pytest.mark.parametrize("build", [rest_event, http_event, function_url_event, connect_event])
def test_gateways_and_function_urls_get_headers(build: Callable[..., Event]) -> None:
    assert set(guarded(build(), None)) == {"statusCode", "headers", "body", "isBase64Encoded"}


@pytest.mark.parametrize(("build", "member"), [(alb_event, "headers"), (alb_multi_event, "multiValueHeaders")])
def test_load_balancers_get_a_description_and_the_headers_they_read(build: Callable[..., Event], member: str) -> None:
    response = guarded(build(), None)
    assert set(response) == {"statusCode", "statusDescription", member, "body", "isBase64Encoded"}
    assert response["statusDescription"] == "401 Unauthorized"
    denied = require_token(VERIFIER, groups="finance")(echo)(build(bearer()), None)
    assert denied["statusDescription"] == "403 Forbidden"


@every_format
def test_refusals_have_the_headers_that_were_asked_for(build: Callable[..., Event]) -> None:
    given = {"Access-Control-Allow-Origin": "https://app.example.com", "content-type": "application/problem+json"}
    handler = require_token(VERIFIER, error_headers=given)(echo)
    given["X-Later"] = "changed after decorating"
    headers = headers_of(handler(build(), None))
    assert headers == {
        "WWW-Authenticate": "Bearer",
        "Access-Control-Allow-Origin": "https://app.example.com",
        "content-type": "application/problem+json",
    }


@every_format
def test_headers_can_depend_on_the_event(build: Callable[..., Event]) -> None:
    asked: list[Event] = []

    def cors(event: Event) -> dict[str, str]:
        asked.append(event)
        return {"Access-Control-Allow-Origin": "https://app.example.com"}

    handler = require_token(VERIFIER, error_headers=cors)(echo)
    event = build()
    assert headers_of(handler(event, None))["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert asked == [event]
    handler(build(bearer()), None)
    assert len(asked) == 1  # a good token asks for none


@pytest.mark.parametrize("answer", [None, {"X": 5}, {"X": "a\r\nSet-Cookie: id=1"}, {"a b": "c"}, [("X", "y")]])
def test_headers_that_are_none_are_a_fault_of_ours(answer: Any) -> None:
    handler = require_token(VERIFIER, error_headers=lambda event: answer)(echo)
    with pytest.raises(ConfigurationError, match="error_headers"):
        handler(rest_event(), None)
    if answer is not None:
        with pytest.raises(ConfigurationError, match="error_headers"):
            require_token(VERIFIER, error_headers=answer)


def test_a_refusal_never_quotes_the_token() -> None:
    raw = POOL.access_token(expires_in=-1)
    assert raw not in str(guarded(rest_event({"Authorization": raw}), None))


# Preflights

PREFLIGHT = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}


@pytest.mark.parametrize("build", [build for build in BUILDERS.values() if build is not connect_event])
def test_a_preflight_reaches_the_handler_without_a_token(build: Callable[..., Event]) -> None:
    seen = guarded(build(PREFLIGHT, method="OPTIONS"), None)
    assert seen["token"] is None
    assert seen["current"] is None
    lower = {name.lower(): value for name, value in PREFLIGHT.items()}
    assert guarded(build(lower, method="OPTIONS"), None)["token"] is None


@every_format
@pytest.mark.parametrize(
    ("headers", "method"),
    [
        pytest.param(PREFLIGHT, "POST", id="another-method"),
        pytest.param(PREFLIGHT, "options", id="lower-case"),
        pytest.param({"Origin": "https://app.example.com"}, "OPTIONS", id="origin-alone"),
        pytest.param({"Access-Control-Request-Method": "POST"}, "OPTIONS", id="method-alone"),
        pytest.param({**PREFLIGHT, "Origin": ""}, "OPTIONS", id="empty-origin"),
        pytest.param({**PREFLIGHT, "X-HTTP-Method-Override": "OPTIONS"}, "POST", id="override"),
        pytest.param({**PREFLIGHT, "X-HTTP-Method-Override": "DELETE"}, "OPTIONS", id="overridden"),
        pytest.param({**PREFLIGHT, "x-http-method": "DELETE"}, "OPTIONS", id="overridden-by-another-name"),
    ],
)
def test_what_only_looks_like_a_preflight_needs_a_token(
    build: Callable[..., Event], headers: Values, method: str
) -> None:
    assert refused(guarded(build(headers, method=method), None)) == (401, "missing_token")


def test_preflights_can_be_kept_out() -> None:
    handler = require_token(VERIFIER, allow_preflight=False)(echo)
    assert refused(handler(rest_event(PREFLIGHT, method="OPTIONS"), None)) == (401, "missing_token")


def test_a_preflight_brings_no_claims_along() -> None:
    event = rest_event(PREFLIGHT, method="OPTIONS", authorizer={"claims": {"sub": "mallory"}})
    assert guarded(event, None)["event"]["requestContext"]["authorizer"] == {}


# Claims where the gateway's own authorizer puts them


@every_format
def test_the_handler_finds_the_claims_where_the_gateway_would_have_put_them(build: Callable[..., Event]) -> None:
    event = build(bearer(username="ada", groups=["admin", "x,owner"], scopes=["orders/read"]))
    event["requestContext"]["authorizer"] = {"claims": {"sub": "mallory"}, "jwt": {"claims": {"sub": "mallory"}}}
    before = deepcopy(event)
    seen = guarded(event, None)
    placed = seen["event"]["requestContext"]["authorizer"]
    if build in (http_event, function_url_event):
        claims, scopes = http_claims(seen["token"])
        assert placed["jwt"] == {"claims": claims, "scopes": scopes}
        assert (claims["cognito:groups"], scopes) == ("[admin]", ["orders/read"])
    else:
        assert placed["claims"] == rest_claims(seen["token"])
        assert placed["claims"]["cognito:groups"] == "admin"
    assert event == before
    assert {name: value for name, value in seen["event"].items() if name != "requestContext"} == {
        name: value for name, value in before.items() if name != "requestContext"
    }


@every_format
def test_no_claims_are_left_where_no_token_was_sent(build: Callable[..., Event]) -> None:
    event = build()
    event["requestContext"]["authorizer"] = {"claims": {"sub": "mallory"}, "jwt": {"claims": {"sub": "mallory"}}}
    placed = open_to_all(event, None)["event"]["requestContext"]["authorizer"]
    if build in (http_event, function_url_event):
        assert placed["jwt"] == {}
    else:
        assert "claims" not in placed


# Kinds of handlers


def test_plain_functions_get_what_they_declare() -> None:
    @require_token(VERIFIER)
    def plain(event: Event, context: object) -> str:
        """Says who it is."""
        token = current_token()
        return f"{token.username if token else None} {context}"

    assert plain(rest_event(bearer(username="ada")), "context") == "ada context"
    assert plain.__name__ == "plain"
    assert plain.__doc__ == "Says who it is."
    assert list(inspect.signature(plain).parameters) == ["event", "context"]


def test_a_token_parameter_may_have_a_default_and_stand_behind_a_star() -> None:
    @require_token(VERIFIER)
    def with_default(event: Event, context: object, token: AccessToken | None = None) -> Any:
        return token

    @require_token(VERIFIER)
    def keyword_only(event: Event, context: object, *, token: AccessToken) -> Any:
        return token

    @require_token(VERIFIER)
    def any_more(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    event = rest_event(bearer(username="ada"))
    assert with_default(event, None).username == "ada"
    assert keyword_only(event, None).username == "ada"
    assert keyword_only(event, None, token="mine").username == "ada"
    (placed, context), more = any_more(event, "context")
    assert (context, more) == ("context", {})
    assert placed["requestContext"]["authorizer"]["claims"]["username"] == "ada"


def test_arguments_may_be_passed_by_name() -> None:
    seen = guarded(context="c", event=rest_event(bearer(username="ada")))
    assert (seen["token"].username, seen["context"]) == ("ada", "c")
    with pytest.raises(ConfigurationError, match="found NoneType"):
        guarded(context="c")


class Shop:
    """Handlers as methods."""

    def __init__(self, name: str) -> None:
        self.name = name

    @require_token(VERIFIER)
    def plain(self, event: Event, context: object, token: AccessToken) -> tuple[str, Any, Any]:
        return self.name, token.username, event["requestContext"]["authorizer"]["claims"]["username"]

    @require_token(VERIFIER)
    async def asynchronous(self, event: Event, context: object) -> tuple[str, Any]:
        await asyncio.sleep(0)
        token = current_token()
        return self.name, token and token.username

    @classmethod
    @require_token(VERIFIER)
    def of_class(cls, event: Event, context: object, token: AccessToken) -> tuple[str, Any]:
        return cls.__name__, token.username

    @staticmethod
    @require_token(VERIFIER)
    def static(event: Event, context: object, token: AccessToken) -> Any:
        return token.username

    def bound_later(self, event: Event, context: object, token: AccessToken) -> tuple[str, Any]:
        return self.name, token.username

    def __call__(self, event: Event, context: object, token: AccessToken) -> tuple[str, Any]:
        return self.name, token.username


def test_methods_of_every_kind_are_handlers() -> None:
    shop, event = Shop("corner"), rest_event(bearer(username="ada"))
    assert shop.plain(event, None) == ("corner", "ada", "ada")
    assert asyncio.run(shop.asynchronous(event, None)) == ("corner", "ada")
    assert Shop.of_class(event, None) == ("Shop", "ada")
    assert Shop.static(event, None) == "ada"
    assert require_token(VERIFIER)(shop.bound_later)(event, None) == ("corner", "ada")
    assert require_token(VERIFIER)(shop)(event, None) == ("corner", "ada")
    assert require_token(VERIFIER)(functools.partial(echo, context="c"))(event)["context"] == "c"
    assert refused(shop.plain(rest_event(), None)) == (401, "missing_token")


class AsyncHandler:
    async def __call__(self, event: Event, context: object, token: IdToken) -> Any:
        return token.username


def test_an_async_handler_stays_async() -> None:
    @require_token(VERIFIER)
    async def handler(event: Event, context: object, token: AccessToken) -> tuple[Any, Any]:
        await asyncio.sleep(0)
        return token, current_token()

    assert inspect.iscoroutinefunction(handler)
    assert not inspect.iscoroutinefunction(guarded)
    token, current = asyncio.run(handler(rest_event(bearer(username="ada")), None))
    assert token is current
    assert refused(asyncio.run(handler(rest_event(), None))) == (401, "missing_token")
    assert refused(asyncio.run(handler(rest_event(bearer(expires_in=-1)), None))) == (401, "token_expired")
    assert asyncio.run(require_token(VERIFIER)(AsyncHandler())(rest_event(bearer(username="ada")), None)) == "ada"


def test_async_requests_side_by_side_do_not_mix_their_tokens() -> None:
    @require_token(VERIFIER, optional=True)
    async def handler(event: Event, context: object) -> Any:
        await asyncio.sleep(0)
        token = current_token()
        return token and token.username

    async def main() -> list[Any]:
        events = [rest_event(bearer(username=name)) for name in "abc"]
        return await asyncio.gather(*(handler(event, None) for event in [*events, rest_event()]))

    assert asyncio.run(main()) == ["a", "b", "c", None]


def test_async_checks_are_awaited_by_async_handlers_and_a_fault_in_others() -> None:
    async def check(token: AccessToken) -> None:
        await asyncio.sleep(0)

    verifier = POOL.verifier("access", checks=[check])

    @require_token(verifier)
    async def handler(event: Event, context: object) -> str:
        return "reached"

    assert asyncio.run(handler(rest_event(bearer()), None)) == "reached"
    with pytest.raises(ConfigurationError, match="verify_async"):
        require_token(verifier)(echo)(rest_event(bearer()), None)


def test_the_current_token_is_cleared_however_the_handler_ends() -> None:
    @require_token(VERIFIER)
    def failing(event: Event, context: object) -> None:
        assert current_token() is not None
        raise KeyError("handler")

    with pytest.raises(KeyError, match="handler"):
        failing(rest_event(bearer()), None)
    assert current_token() is None


def test_a_request_without_a_token_does_not_see_the_token_around_it() -> None:
    @require_token(VERIFIER)
    def outer(event: Event, context: object) -> Any:
        return open_to_all(rest_event(), None)["current"], current_token()

    inner, after = outer(rest_event(bearer(username="ada")), None)
    assert inner is None
    assert after is not None


# Sources of the token


def test_sources_are_tried_in_their_order() -> None:
    handler = require_token(VERIFIER, token_from=[header("X-Token"), query("token"), cookie("id")])(echo)
    raw = POOL.access_token(username="ada")
    assert handler(rest_event({"x-token": raw}), None)["token"].username == "ada"
    assert handler(connect_event(query={"token": raw}), None)["token"].username == "ada"
    assert handler(rest_event({"Cookie": f"id={raw}"}, method="GET"), None)["token"].username == "ada"
    assert refused(handler(rest_event({"x-token": "bad", "Cookie": f"id={raw}"}), None)) == (401, "malformed_token")
    assert refused(handler(rest_event({"Authorization": raw}), None)) == (401, "missing_token")


@every_format
def test_a_token_elsewhere_than_in_its_header_counts_only_where_it_was_asked_for(build: Callable[..., Event]) -> None:
    raw = POOL.access_token(username="ada")
    in_the_query = build(query={"token": raw, "access_token": raw, "Authorization": raw})
    # From a page of one's own, where a cookie that is asked for counts whatever the method.
    in_a_cookie = build(
        {"Cookie": f"token={raw}; access_token={raw}; Authorization={raw}", "Sec-Fetch-Site": "same-origin"}
    )
    assert refused(guarded(in_the_query, None)) == (401, "missing_token")
    assert refused(guarded(in_a_cookie, None)) == (401, "missing_token")
    asked_for = require_token(VERIFIER, token_from=query("access_token"))(echo)
    assert asked_for(in_the_query, None)["token"].username == "ada"
    assert refused(asked_for(in_a_cookie, None)) == (401, "missing_token")
    assert require_token(VERIFIER, token_from=cookie("token"))(echo)(in_a_cookie, None)["token"].username == "ada"


@every_format
def test_a_foreign_page_cannot_use_the_cookie(build: Callable[..., Event]) -> None:
    source = cookie("id", allowed_origins=["https://app.example.com"])
    handler = require_token(VERIFIER, token_from=source)(echo)
    sent = {"Cookie": f"id={POOL.access_token(username='ada')}"}
    response = handler(build({**sent, "Origin": "https://evil.example"}), None)
    assert refused(response) == (401, "missing_token")
    assert "allowed_origins" in json.loads(response["body"])["message"]
    assert handler(build({**sent, "Origin": "https://app.example.com"}), None)["token"].username == "ada"
    anonymous = require_token(VERIFIER, token_from=source, optional=True)(echo)
    assert anonymous(build({**sent, "Origin": "https://evil.example"}), None)["token"] is None


def test_two_tokens_of_two_users_are_refused_in_either_order() -> None:
    ada, bob = (POOL.access_token(username=name) for name in ("ada", "bob"))
    for first, second in [(ada, bob), (bob, ada)]:
        for event in (
            rest_event({"Authorization": [first, second]}),
            rest_event({"Authorization": first, "authorization": second}),
            http_event({"Authorization": [f"Bearer {first}", f"Bearer {second}"]}),
            {**rest_event({"Authorization": first}), "headers": {"Authorization": second}},
        ):
            for handler in (guarded, open_to_all):
                assert refused(handler(event, None)) == (401, "malformed_token")


# Events that are no HTTP request


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"price": 400_000, "size": 1_600}, id="mapped-body"),
        pytest.param(message_event(), id="websocket-message"),
        pytest.param({"Records": []}, id="records"),
        pytest.param(request_authorizer_event(bearer()), id="authorizer"),
        pytest.param({"routeArn": "arn", **http_event(bearer())}, id="http-authorizer"),
        pytest.param(None, id="none"),
    ],
)
@pytest.mark.parametrize("handler", [guarded, open_to_all])
def test_an_event_that_is_no_http_request_is_raised(handler: Callable[..., Any], event: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^event: expected an HTTP request, found"):
        handler(event, None)


NAMES = st.sampled_from(["Authorization", "authorization", "Cookie", "Origin", "id", "token", "http", "method", "elb"])
VALUES = st.recursive(
    st.none()
    | st.integers()
    | st.sampled_from(["", "a", "Bearer a.b.c", "id=a", "GET", "POST", "CONNECT", "Basic x", "https://app"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
MEMBERS = ("headers", "multiValueHeaders", "queryStringParameters", "cookies", "version", "httpMethod", "identity")
CONTEXTS: st.SearchStrategy[Any] = VALUES | st.sampled_from(
    [{"http": {"method": "GET"}}, {"http": {}}, {"elb": {}}, {"eventType": "CONNECT"}, {"stage": "dev"}]
)


@settings(max_examples=400, deadline=None)
@given(st.fixed_dictionaries({"requestContext": CONTEXTS}, optional=dict.fromkeys(MEMBERS, VALUES)))
def test_no_event_without_a_good_token_reaches_the_handler(event: Event) -> None:
    sources = [header("Authorization"), query("token"), cookie("id", allowed_origins="https://app")]
    handler = require_token(VERIFIER, token_from=sources, allow_preflight=False)(echo)
    before = deepcopy(event)
    try:
        assert refused(handler(event, None))[0] == 401
    except ConfigurationError as fault:
        assert str(fault).startswith("event: expected an HTTP request")  # noqa: PT017
    assert event == before


# Settings are read when decorating


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("groups", []),
        ("groups", ""),
        ("groups", [None]),
        ("scopes", ()),
        ("scopes", 5),
        ("token_from", []),
        ("token_from", "Authorization"),
        ("token_from", None),
        ("optional", None),
        ("optional", "false"),
        ("allow_preflight", 1),
        ("error_headers", "X: y"),
        ("error_headers", {"X": None}),
    ],
)
def test_an_empty_or_senseless_setting_fails_before_the_first_request(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        require_token(VERIFIER, **{option: value})


def test_the_decorator_without_its_verifier_says_how_it_is_written() -> None:
    with pytest.raises(ConfigurationError, match=r"@require_token\(verifier\)"):
        require_token(echo)  # type: ignore[arg-type]


def test_a_token_parameter_that_cannot_be_filled_fails_when_decorating() -> None:
    def too_early(event: Event, token: object) -> None: ...

    def first(token: object, event: Event, context: object) -> None: ...

    def positional(event: Event, context: object, token: object, /) -> None: ...

    for handler in (too_early, first, positional):
        with pytest.raises(ConfigurationError, match=r"^token: "):
            require_token(VERIFIER)(handler)


def test_what_is_no_handler_fails_when_decorating() -> None:
    with pytest.raises(ConfigurationError, match="found classmethod"):
        require_token(VERIFIER)(classmethod(echo))  # type: ignore[arg-type]


# The package


def test_public_names_load_what_they_need_when_they_are_asked_for() -> None:
    import cognito_verify.aws_lambda as package

    assert {*package.__all__} <= {*dir(package)}
    assert package.require_token is require_token
    with pytest.raises(AttributeError, match="no attribute 'requires_token'"):
        package.requires_token  # type: ignore[attr-defined]  # noqa: B018


def test_authorize_is_made_from_the_environment_when_the_runtime_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import cognito_verify.aws_lambda as package

    assert "authorize" not in dir(package)
    monkeypatch.delenv("COGNITO_USER_POOL_ID", raising=False)
    with pytest.raises(ConfigurationError, match=r"^COGNITO_USER_POOL_ID"):
        package.authorize  # noqa: B018
    monkeypatch.setenv("COGNITO_USER_POOL_ID", POOL.user_pool_id)
    monkeypatch.setenv("COGNITO_CLIENT_ID", POOL.client_id)
    monkeypatch.setenv("COGNITO_TOKEN_USE", "access")
    monkeypatch.setenv("COGNITO_JWKS", json.dumps(POOL.jwks))
    try:
        made = package.authorize
        assert isinstance(made, package.LambdaAuthorizer)
        assert package.authorize is made
    finally:
        vars(package).pop("authorize", None)


def test_the_decorator_brings_in_no_authorizer_and_importing_the_package_nothing() -> None:
    program = """
import sys
import cognito_verify.aws_lambda
assert not [name for name in sys.modules if name.startswith("cognito_verify.aws_lambda.")], sys.modules
assert "jose" not in sys.modules
from cognito_verify.aws_lambda import require_token, header
loaded = {name.rpartition(".")[2] for name in sys.modules if name.startswith("cognito_verify.aws_lambda.")}
assert loaded == {"decorator", "events"}, loaded
assert not {"asyncio", "logging", "requests"} & {*sys.modules}
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
