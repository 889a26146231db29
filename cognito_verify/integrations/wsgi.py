"""A WSGI middleware: the application below it runs only for requests with a verified token."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http.client import responses
from typing import TYPE_CHECKING, Any

from cognito_verify.answers import REFUSALS, Gate, answer_to
from cognito_verify.context import TOKEN_BESIDE_REQUEST, token_in_context
from cognito_verify.requirements import RequirementSource
from cognito_verify.tokens import AccessToken, IdToken
from cognito_verify.verifier import CognitoVerifier

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["CognitoMiddleware"]


class CognitoMiddleware:
    """Let a WSGI application run only for requests with a verified token.

    The application finds the token with `current_token()`, also while its answer is read, and as
    `environ["cognito_verify.token"]`. A refusal is answered without the application.

    Args:
        app: The application.
        verifier: Who verifies; build it once, outside of the requests.
        groups: Groups that are asked for besides the verifier's own.
        scopes: Scopes that are asked for besides the verifier's own.
        optional: Let a request without a token through, with None in the token's place. A bad one is still refused.
        allow_preflight: Let a browser's preflight through: `OPTIONS` with `Origin` and `Access-Control-Request-Method`.
            Anybody can send one, so the application must answer every `OPTIONS` by itself, before it does its work. A
            middleware for CORS that stands outside of this one answers preflights, and needs no such permission.

    Raises:
        ConfigurationError: A setting is empty or senseless.

    Source: PEP 3333; RFC 6750 section 3.
    """

    def __init__(
        self,
        app: WSGIApplication,
        verifier: CognitoVerifier[Any],
        *,
        groups: RequirementSource | None = None,
        scopes: RequirementSource | None = None,
        optional: bool = False,
        allow_preflight: bool = False,
    ) -> None:
        self._app = app
        self._gate: Gate[AccessToken | IdToken] = Gate(
            "CognitoMiddleware",
            verifier,
            groups=groups,
            scopes=scopes,
            optional=optional,
            allow_preflight=allow_preflight,
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or hand on."""
        token = None
        if not self._gate.lets_pass(environ["REQUEST_METHOD"], lambda name: bool(environ.get(_key(name)))):
            try:
                token = self._gate.verified(_values(environ))
            except REFUSALS as error:
                status, headers, text = answer_to(error)
                body = text.encode()
                headers["Content-Length"] = str(len(body))
                start_response(f"{status} {responses.get(status, 'Refused')}", list(headers.items()))
                # A body after HEAD would be read as the next answer; not every server takes it away.
                return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
        environ[TOKEN_BESIDE_REQUEST] = token
        with token_in_context(token):
            answer = self._app(environ, start_response)
        if isinstance(answer, (list, tuple)) or answer.__class__ is environ.get("wsgi.file_wrapper"):
            return answer  # nothing of the application runs any more, and servers have a fast path for these
        return _AnswerInContext(answer, token)


class _AnswerInContext:
    """An answer that the application makes while it is read, such as a generator's."""

    __slots__ = ("_answer", "_parts", "_token")

    def __init__(self, answer: Iterable[bytes], token: AccessToken | IdToken | None) -> None:
        self._answer = answer
        self._token = token
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with token_in_context(self._token):
            if self._parts is None:
                self._parts = iter(self._answer)
            return next(self._parts)

    def close(self) -> None:
        close: Callable[[], object] | None = getattr(self._answer, "close", None)
        if close is not None:
            with token_in_context(self._token):
                close()


def _values(environ: WSGIEnvironment) -> tuple[str, ...]:
    value = environ.get("HTTP_AUTHORIZATION")  # several headers are one value by now, with commas between them
    return () if value is None else (value,)


def _key(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")
