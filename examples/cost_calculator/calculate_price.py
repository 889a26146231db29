"""POST /pricepermeter: what a home costs per square metre, and what is to be paid for it.

One calculation behind the three ways in which API Gateway calls a function:

    calculate_price.handler         a REST API's plain Lambda integration: the mapped body in, the result out
    calculate_price.proxy_handler   Lambda proxy integration: the whole request in, a response out
    calculate_price.http_handler    an HTTP API without an authorizer: the decorator verifies the token
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cognito_verify import AccessToken, CognitoVerifier, IdToken

__all__ = ["BadRequestError", "calculated", "handler", "http_handler_for", "proxy_handler"]

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

# The token travels in a header, not in a cookie: any origin is safe, where the template names none.
CORS = {"Access-Control-Allow-Origin": os.environ.get("ALLOWED_ORIGIN", "*")}

_SQUARE_METRES = {"sqM": Decimal(1), "sqFt": Decimal("0.09290304"), "sqYd": Decimal("0.83612736")}  # of one unit
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")  # plain notation alone: money in 1e999999 would fill the memory
_CENT = Decimal("0.01")


class BadRequestError(Exception):
    """The client's fault. The REST API's integration response looks for "Bad request" and makes a 400 of it."""


def handler(event: Any, context: object = None) -> dict[str, str]:  # noqa: ARG001 - Lambda's
    """For the plain Lambda integration: what is raised is matched by the integration response's selection pattern."""
    return calculated(event)


def proxy_handler(event: dict[str, Any], context: object = None) -> dict[str, Any]:  # noqa: ARG001 - Lambda's
    """For proxy integration, in both formats of the event."""
    try:
        return _response(200, calculated(_body(event)))
    except BadRequestError as error:
        return _response(400, {"message": str(error)})


def http_handler_for(verifier: CognitoVerifier[AccessToken | IdToken]) -> Handler:
    """`proxy_handler`, for requests with a verified token alone."""
    from cognito_verify.aws_lambda import require_token  # the functions behind an authorizer do without it

    # The gateway answers preflights. What `proxy_handler` would make of an OPTIONS without a token is a price.
    return require_token(verifier, error_headers=CORS, allow_preflight=False)(proxy_handler)


def calculated(request: Any) -> dict[str, str]:
    """The answer to a request `{"price", "size", "unit", "downPayment"}`; money is in decimal strings, to the cent.

    The total cost is the price: there are no fees and no interest. `downPayment` is a percentage of it.

    Raises:
        BadRequestError: A member is missing or not as expected; the message names it.
    """
    if not isinstance(request, dict):
        raise BadRequestError(f"Bad request: body: expected a JSON object, found {_shown(request)}")
    price = _number(request, "price")
    size = _number(request, "size")
    unit = request.get("unit")
    if not isinstance(unit, str) or unit not in _SQUARE_METRES:
        raise BadRequestError(f"Bad request: unit: expected {' or '.join(_SQUARE_METRES)}, found {_shown(unit)}")
    percent = _number(request, "downPayment", least=Decimal(0), most=Decimal(100))
    down_payment = _money(price * percent / 100)
    return {
        "unit": unit,
        "pricePerSquareMeter": str(_money(price / (size * _SQUARE_METRES[unit]))),
        "pricePerUnit": str(_money(price / size)),
        "downPayment": str(down_payment),
        "remaining": str(_money(price) - down_payment),
        "totalCost": str(_money(price)),
    }


def _body(event: dict[str, Any]) -> Any:
    body = event.get("body") or ""
    try:
        text = b64decode(body).decode() if event.get("isBase64Encoded") else body
        return json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise BadRequestError(f"Bad request: body: expected a JSON object, found {_shown(body)}") from None


def _number(
    request: dict[str, Any], name: str, *, least: Decimal | None = None, most: Decimal | None = None
) -> Decimal:
    """A number, or a string of one. Without `least` it is more than 0."""
    value = request.get(name)
    if isinstance(value, (int, float, Decimal, str)) and not isinstance(value, bool):
        text = str(value).strip()
        if _NUMBER.fullmatch(text):
            number = Decimal(text)
            is_enough = number > 0 if least is None else number >= least
            if is_enough and (most is None or number <= most):
                return number
    expected = "a number above 0" if least is None else f"a number from {least} to {most}"
    raise BadRequestError(f"Bad request: {name}: expected {expected}, found {_shown(value)}")


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)


def _shown(value: Any) -> str:
    if value is None or value == "":  # a mapping template has the empty string for what the client left out
        return "nothing"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _response(status: int, content: dict[str, str]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", **CORS},
        "body": json.dumps(content),
        "isBase64Encoded": False,
    }


# The settings of the HTTP API's function alone. Read in the init phase: a wrong one is seen before the first request.
if {"AWS_LAMBDA_FUNCTION_NAME", "COGNITO_USER_POOL_ID"} <= os.environ.keys():
    from cognito_verify import CognitoVerifier
    from cognito_verify.aws_lambda import CloudWatchObserver

    http_handler = http_handler_for(CognitoVerifier.from_env(observer=CloudWatchObserver()))
