"""What the adapters for ASGI have in common: a request's credentials, and the two ends of its conversation."""

from __future__ import annotations

from asyncio import timeout
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from cognito_verify.answers import BEARER_SUBPROTOCOL, Answer, tokens_offered
from cognito_verify.context import TOKEN_BESIDE_REQUEST, without_token
from cognito_verify.errors import TokenExpiredError
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier

__all__ = [
    "POLICY_VIOLATION",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "credentials",
    "outside_of_the_request",
    "send_answer",
    "until_expiry",
    "without_offer",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1


def credentials(scope: Scope) -> list[str]:
    """The values of all `Authorization` headers; where a WebSocket has none, the token that it offers.

    An adapter takes the offer out of what it hands on. One that stands within another finds what that one verified, and
    verifies it anew.
    """
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    if values or scope["type"] != "websocket":
        return values
    token: AccessToken | IdToken | None = scope.get(TOKEN_BESIDE_REQUEST)  # then what follows `bearer` now is no token
    return tokens_offered(scope.get("subprotocols") or ()) if token is None else [token.raw]


async def send_answer(answer: Answer, send: Send, *, kind: str = "http") -> None:
    """Answer a request; `kind` is how the messages of its protocol begin."""
    body = answer.body.encode()
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": f"{kind}.response.start", "status": answer.status, "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body})


def outside_of_the_request(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """The two ends of a conversation, which work for the server and so without the request's token.

    A server starts there what is not this request's: uvicorn the connection's next request, once an answer is complete.
    """
    return without_token(receive), without_token(send)


def without_offer(scope: Scope, send: Send, token: AccessToken | IdToken | None) -> tuple[Scope, Send]:
    """A WebSocket that offers no token to the application, and that is accepted with `bearer` where it was offered.

    The application must not choose the token for the subprotocol: the answer would send it back.
    """
    offered: list[str] = scope.get("subprotocols") or []
    secret = {BEARER_SUBPROTOCOL, *tokens_offered(offered)} | (set() if token is None else {token.raw})
    if not secret.isdisjoint(offered):
        left = [name for name in offered if name not in secret]
        headers = [header for header in scope["headers"] if header[0] != b"sec-websocket-protocol"]
        scope = {**scope, "subprotocols": left, "headers": headers}
    return scope, _accepting_offer(send) if BEARER_SUBPROTOCOL in offered else send


def _accepting_offer(send: Send) -> Send:
    async def accept(message: Message) -> None:
        if message["type"] == "websocket.accept" and not message.get("subprotocol"):
            message = {**message, "subprotocol": BEARER_SUBPROTOCOL}  # browsers want one of those that they offered
        await send(message)

    return accept


def until_expiry(
    token: AccessToken | IdToken, verifier: CognitoVerifier[Any], receive: Receive, send: Send
) -> tuple[Receive, Send]:
    """The two ends of a WebSocket that is over when its token is."""
    clock, end = verifier.clock, token["exp"] + verifier.leeway

    async def close() -> None:
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": TokenExpiredError.code})

    async def receive_in_time() -> Message:
        try:
            async with timeout(max(0, end - clock())):
                return await receive()
        except TimeoutError:
            await close()
            return {"type": "websocket.disconnect", "code": POLICY_VIOLATION, "reason": TokenExpiredError.code}

    async def send_in_time(message: Message) -> None:
        if clock() >= end and message["type"] == "websocket.send":
            await close()
            raise OSError("the WebSocket was closed: its token has expired")
        await send(message)

    return receive_in_time, send_in_time
