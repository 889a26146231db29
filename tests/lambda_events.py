"""Lambda events in the shapes that AWS documents, for a request that the test describes.

A header or query parameter that is sent several times has a list of values. Each builder hands it on as its gateway
does: REST APIs and load balancers keep the last one, or all of them in `multiValue...`; HTTP APIs join them.

Source: "Lambda proxy integrations" and "Lambda authorizers" for REST, HTTP and WebSocket APIs, API Gateway Developer
Guide; "Invoking Lambda function URLs", Lambda Developer Guide; "Lambda functions as targets", ELB User Guide; "AWS
Lambda authorization", AppSync Developer Guide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

Event = dict[str, Any]
Values = Mapping[str, str | list[str]]

ACCOUNT, API_ID, REGION = "123456789012", "a1b2c3d4e5", "eu-west-1"
HOST = f"{API_ID}.execute-api.{REGION}.amazonaws.com"


def method_arn(method: str, path: str, *, stage: str = "dev", api_id: str = API_ID) -> str:
    return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api_id}/{stage}/{method}{path}"


# Requests, for handlers


def rest_event(
    headers: Values | None = None,
    *,
    method: str = "POST",
    path: str = "/pricepermeter",
    query: Values | None = None,
    body: str | None = '{"price": 400000}',
    authorizer: object = None,
) -> Event:
    """A REST API with Lambda proxy integration (format 1.0). Header names keep the client's case."""
    context = {
        "accountId": ACCOUNT,
        "apiId": API_ID,
        "domainName": HOST,
        "domainPrefix": API_ID,
        "extendedRequestId": "Zx1abc=",
        "httpMethod": method,
        "identity": {"sourceIp": "192.0.2.7", "userAgent": "curl/8", "user": None, "userArn": None},
        "path": f"/dev{path}",
        "protocol": "HTTP/1.1",
        "requestId": "0f3a4d0e-7f0c-4b7e-9d43-4b1f6f3cf2aa",
        "requestTime": "24/Nov/2026:10:01:54 +0000",
        "requestTimeEpoch": 1_795_514_514_000,
        "resourceId": "res123",
        "resourcePath": path,
        "stage": "dev",
    }
    if authorizer is not None:
        context["authorizer"] = authorizer
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": _last(_sent(headers)) or None,
        "multiValueHeaders": _lists(_sent(headers)) or None,
        "queryStringParameters": _last(query) or None,
        "multiValueQueryStringParameters": _lists(query) or None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": context,
        "body": body,
        "isBase64Encoded": False,
    }


def http_event(
    headers: Values | None = None,
    *,
    method: str = "POST",
    path: str = "/pricepermeter",
    query: Values | None = None,
    body: str | None = '{"price": 400000}',
    authorizer: object = None,
) -> Event:
    """An HTTP API (format 2.0): header names in lower case, values joined, cookies in a list of their own."""
    lower: dict[str, list[str]] = {}
    for name, values in _lists(_sent(headers)).items():
        lower.setdefault(name.lower(), []).extend(values)
    cookies = [pair.strip() for line in lower.pop("cookie", []) for pair in line.split(";")]
    context: dict[str, Any] = {
        "accountId": ACCOUNT,
        "apiId": API_ID,
        "domainName": HOST,
        "domainPrefix": API_ID,
        "http": {
            "method": method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "192.0.2.7",
            "userAgent": "curl/8",
        },
        "requestId": "Zx1abc=",
        "routeKey": f"{method} {path}",
        "stage": "$default",
        "time": "24/Nov/2026:10:01:54 +0000",
        "timeEpoch": 1_795_514_514_000,
    }
    if authorizer is not None:
        context["authorizer"] = authorizer
    event: Event = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "&".join(f"{name}={one}" for name, values in _lists(query).items() for one in values),
        "headers": {name: ",".join(values) for name, values in lower.items()},
        "requestContext": context,
        "body": body,
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = {name: ",".join(values) for name, values in _lists(query).items()}
    return event


def function_url_event(
    headers: Values | None = None,
    *,
    method: str = "POST",
    path: str = "/pricepermeter",
    query: Values | None = None,
    body: str | None = '{"price": 400000}',
) -> Event:
    """A function URL: format 2.0 with the one route `$default`."""
    event = http_event(headers, method=method, path=path, query=query, body=body)
    host = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws"
    event["routeKey"] = "$default"
    event["requestContext"] |= {"accountId": "anonymous", "domainName": host, "routeKey": "$default"}
    return event


def alb_event(
    headers: Values | None = None,
    *,
    method: str = "POST",
    path: str = "/pricepermeter",
    query: Values | None = None,
    body: str = '{"price": 400000}',
) -> Event:
    """A load balancer: names in lower case, of several values the last, query parameters as they were encoded."""
    return {
        "requestContext": {
            "elb": {
                "targetGroupArn": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/price/6d0ecf831eec9f09"
            }
        },
        "httpMethod": method,
        "path": path,
        "queryStringParameters": {quote_plus(name): quote_plus(value) for name, value in _last(query).items()},
        "headers": {name.lower(): value for name, value in _last(_sent(headers)).items()},
        "body": body,
        "isBase64Encoded": False,
    }


def alb_multi_event(
    headers: Values | None = None,
    *,
    method: str = "POST",
    path: str = "/pricepermeter",
    query: Values | None = None,
    body: str = '{"price": 400000}',
) -> Event:
    """A load balancer whose target group has `lambda.multi_value_headers.enabled`: lists, and nothing beside them."""
    event = alb_event(headers, method=method, path=path, query=query, body=body)
    del event["headers"], event["queryStringParameters"]
    event["multiValueHeaders"] = {name.lower(): values for name, values in _lists(_sent(headers)).items()}
    event["multiValueQueryStringParameters"] = {
        quote_plus(name): [quote_plus(one) for one in values] for name, values in _lists(query).items()
    }
    return event


def connect_event(
    headers: Values | None = None, *, query: Values | None = None, authorizer: object = None, **ignored: object
) -> Event:
    """The `$connect` of a WebSocket API. It has neither method nor path, so those of a test are ignored."""
    del ignored
    context: dict[str, Any] = {
        "apiId": API_ID,
        "connectedAt": 1_795_514_514_000,
        "connectionId": "L0SM9cOFvHcCIhw=",
        "domainName": HOST,
        "eventType": "CONNECT",
        "extendedRequestId": "Zx1abc=",
        "identity": {"sourceIp": "192.0.2.7"},
        "messageDirection": "IN",
        "requestId": "Zx1abc=",
        "requestTimeEpoch": 1_795_514_514_000,
        "routeKey": "$connect",
        "stage": "dev",
    }
    if authorizer is not None:
        context["authorizer"] = authorizer
    event: Event = {
        "headers": _last(_sent(headers)),
        "multiValueHeaders": _lists(_sent(headers)),
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if query:
        event |= {"queryStringParameters": _last(query), "multiValueQueryStringParameters": _lists(query)}
    return event


def message_event(kind: str = "MESSAGE") -> Event:
    """What comes over a WebSocket once it is open, or its end: no headers of the client's, no token."""
    event = connect_event()
    event["requestContext"] |= {"eventType": kind, "routeKey": "$default" if kind == "MESSAGE" else "$disconnect"}
    del event["headers"], event["multiValueHeaders"]
    return {**event, "body": '{"action": "price"}'}


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
    """REST, `TOKEN`: `value` is the whole header."""
    return {"type": "TOKEN", "authorizationToken": value, "methodArn": method_arn(method, path)}


def request_authorizer_event(
    headers: Values | None = None,
    *,
    method: str = "POST",
    path: str = "/pricepermeter",
    query: Values | None = None,
) -> Event:
    """REST, `REQUEST`."""
    event = rest_event(headers, method=method, path=path, query=query)
    del event["body"], event["isBase64Encoded"]
    return {"type": "REQUEST", "methodArn": method_arn(method, path), **event}


def connect_authorizer_event(headers: Values | None = None, *, query: Values | None = None) -> Event:
    """WebSocket, `$connect`."""
    event = connect_event(headers, query=query)
    del event["isBase64Encoded"]
    arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{API_ID}/dev/$connect"
    return {"type": "REQUEST", "methodArn": arn, "stageVariables": {}, **event}


def http_1_authorizer_event(
    headers: Values | None = None,
    *,
    method: str = "POST",
    path: str = "/pricepermeter",
    query: Values | None = None,
    identity_source: str | None = None,
) -> Event:
    """HTTP API, format 1.0."""
    event = rest_event(headers, method=method, path=path, query=query)
    del event["body"], event["isBase64Encoded"]
    return {
        "version": "1.0",
        "type": "REQUEST",
        "methodArn": method_arn(method, path, stage="$default"),
        "identitySource": identity_source,
        "authorizationToken": identity_source,
        **event,
    }


def http_2_authorizer_event(
    headers: Values | None = None,
    *,
    method: str = "POST",
    path: str = "/pricepermeter",
    query: Values | None = None,
    identity_source: list[str] | None = None,
    route_key: str | None = None,
) -> Event:
    """HTTP API, format 2.0."""
    event = http_event(headers, method=method, path=path, query=query)
    del event["body"], event["isBase64Encoded"]
    key = f"{method} {path}" if route_key is None else route_key
    event["requestContext"]["routeKey"] = key
    return {
        **event,
        "type": "REQUEST",
        "routeArn": method_arn(method, path, stage="$default"),
        "routeKey": key,
        "identitySource": identity_source,
    }


def appsync_authorizer_event(token: str) -> Event:
    """AppSync, `AWS_LAMBDA`."""
    return {
        "authorizationToken": token,
        "requestContext": {
            "apiId": "kh4gqwertyuiop",
            "accountId": ACCOUNT,
            "requestId": "f4081827-1111-4444-5555-5cf4695f339f",
            "queryString": "query Price($size: Int!) { price(size: $size) { total } }",
            "operationName": "Price",
            "variables": {"size": 1_600},
        },
        "requestHeaders": {"authorization": token, "host": "example.appsync-api.eu-west-1.amazonaws.com"},
    }


def _sent(headers: Values | None) -> Values:
    return {} if headers is None else {"Host": HOST, "User-Agent": "curl/8", "X-Forwarded-For": "192.0.2.7", **headers}


def _lists(values: Values | None) -> dict[str, list[str]]:
    return {name: [value] if isinstance(value, str) else list(value) for name, value in (values or {}).items()}


def _last(values: Values | None) -> dict[str, str]:
    return {name: several[-1] for name, several in _lists(values).items()}
