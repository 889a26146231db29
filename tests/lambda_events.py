"""The kit's events, for the request that most tests are about: `POST /pricepermeter` with a body.

The shapes stand in `cognito_verify.testing.lambda_event` alone; what follows are short names for its kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cognito_verify.testing import lambda_event

Event = dict[str, Any]
Values = Mapping[str, str | list[str]]

ARN = lambda_event("token-authorizer", "t")["methodArn"]
REGION, ACCOUNT, API_ID = (ARN.split(":")[at].partition("/")[0] for at in (3, 4, 5))


def method_arn(method: str, path: str, *, stage: str = "dev", api_id: str = API_ID) -> str:
    return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api_id}/{stage}/{method}{path}"


# Requests, for handlers


def rest_event(
    headers: Values | None = None,
    *,
    method: str = "POST",
    path: str = "/pricepermeter",
    body: str | None = '{"price": 400000}',
    **options: Any,
) -> Event:
    return lambda_event("rest", headers=headers, method=method, path=path, body=body, **options)


def http_event(
    headers: Values | None = None,
    *,
    method: str = "POST",
    path: str = "/pricepermeter",
    body: str | None = '{"price": 400000}',
    **options: Any,
) -> Event:
    return lambda_event("http", headers=headers, method=method, path=path, body=body, **options)


def function_url_event(
    headers: Values | None = None, *, method: str = "POST", path: str = "/pricepermeter", **options: Any
) -> Event:
    return lambda_event("function-url", headers=headers, method=method, path=path, **options)


def alb_event(
    headers: Values | None = None, *, method: str = "POST", path: str = "/pricepermeter", **options: Any
) -> Event:
    return lambda_event("alb", headers=headers, method=method, path=path, **options)


def alb_multi_event(
    headers: Values | None = None, *, method: str = "POST", path: str = "/pricepermeter", **options: Any
) -> Event:
    return lambda_event("alb-multi", headers=headers, method=method, path=path, **options)


def connect_event(
    headers: Values | None = None, *, query: Values | None = None, authorizer: Any = None, **ignored: object
) -> Event:
    """The `$connect` of a WebSocket API. It has neither method nor path, so those of a test are ignored."""
    del ignored
    return lambda_event("websocket", headers=headers, query=query, authorizer=authorizer)


def message_event(kind: str = "MESSAGE") -> Event:
    """What comes over a WebSocket once it is open, or its end."""
    return lambda_event("websocket", route="$default" if kind == "MESSAGE" else "$disconnect")


BUILDERS: dict[str, Callable[..., Event]] = {
    "rest": rest_event,
    "http": http_event,
    "function-url": function_url_event,
    "alb": alb_event,
    "alb-multi": alb_multi_event,
    "websocket": connect_event,
}
"""By format: `(headers, *, method, path, query)` to an event."""


# Authorizers


def token_authorizer_event(value: str, *, method: str = "POST", path: str = "/pricepermeter") -> Event:
    """`value` is the whole header; the path stands in the ARN as it is, `?` included."""
    event = lambda_event("token-authorizer", headers={"Authorization": value})
    return {**event, "methodArn": method_arn(method, path)}


def request_authorizer_event(
    headers: Values | None = None, *, method: str = "POST", path: str = "/pricepermeter", query: Values | None = None
) -> Event:
    return lambda_event("request-authorizer", headers=headers, method=method, path=path, query=query)


def connect_authorizer_event(headers: Values | None = None, *, query: Values | None = None) -> Event:
    return lambda_event("websocket-authorizer", headers=headers, query=query)


def http_1_authorizer_event(
    headers: Values | None = None,
    *,
    method: str = "POST",
    path: str = "/pricepermeter",
    query: Values | None = None,
    identity_source: str | None = None,
) -> Event:
    """`identity_source` as the gateway joined it; None: the authorizer has no identity source."""
    event = lambda_event(
        "http-1.0-authorizer", headers=headers, method=method, path=path, query=query, identity_sources=()
    )
    return {**event, "identitySource": identity_source, "authorizationToken": identity_source}


def http_2_authorizer_event(
    headers: Values | None = None,
    *,
    method: str = "POST",
    path: str = "/pricepermeter",
    query: Values | None = None,
    identity_source: list[str] | None = None,
    route_key: str | None = None,
) -> Event:
    """`path` as the event shows it; `identity_source`: the values; `route_key`: also one that takes other paths."""
    event = lambda_event(
        "http-2.0-authorizer", headers=headers, method=method, path=path, query=query, identity_sources=()
    )
    key = event["routeKey"] if route_key is None else route_key
    context = {**event["requestContext"], "routeKey": key}
    shown = {"rawPath": path, "routeArn": method_arn(method, path, stage="$default")}
    return {**event, **shown, "routeKey": key, "requestContext": context, "identitySource": identity_source}


def appsync_authorizer_event(token: str) -> Event:
    return lambda_event("appsync-authorizer", headers={"Authorization": token})
