"""Where each kind of Lambda event carries its token, and where a gateway puts the claims of a verified one.

`requestContext` is the gateway's word, so it alone tells the kinds apart. Headers, query and cookies are the client's:
a value is looked for under every spelling and in every member that could hold it, and two different ones are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import gmtime
from typing import Any, Literal
from urllib.parse import unquote_plus

from cognito_verify.errors import ConfigurationError, MalformedTokenError, MissingTokenError, TokenError, shown
from cognito_verify.jws import bearer_token
from cognito_verify.tokens import AccessToken, VerifiedToken

__all__ = [
    "SAFE_METHODS",
    "TOKEN",
    "HttpKind",
    "TokenSource",
    "claims_of",
    "comma_joined",
    "cookie",
    "header",
    "header_values",
    "http_claims",
    "http_kind",
    "http_method",
    "joinable",
    "optional_token",
    "query",
    "raw_token",
    "rest_claims",
    "token_sources",
    "with_claims",
]

HttpKind = Literal["rest", "http", "alb", "alb-multi", "websocket"]
"""The format of an event that is an HTTP request; "http" is that of HTTP APIs (2.0) and of function URLs."""

TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""What the name of a header or a cookie looks like (RFC 9110 section 5.6.2)."""
_ORIGIN = r"[a-z][a-z0-9+.-]*://[a-z0-9._:\[\]-]+"  # as browsers write it (RFC 6454 section 6.2)
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")  # RFC 9110 section 9.2.1
_GROUPS = "cognito:groups"
_DATES = ("exp", "iat")
_NOT_JOINABLE = re.compile(r"[\s\ufeff,\[\]]|^$")  # U+FEFF is white space to JavaScript
_MOST_FORMS = 256  # of as many tokens; each some 2 KB
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # `strftime` would write them in the locale's language
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_Forms = dict[int, tuple[dict[str, Any], dict[str, str]]]
"""By the id of a token's claims: the claims, and a form of them."""

_rest_forms: _Forms = {}
_http_forms: _Forms = {}


# The token on its way in


@dataclass(frozen=True, slots=True)
class TokenSource:
    """A place in a request that may hold the token. Make one with `header`, `query` or `cookie`."""

    where: Literal["header", "query", "cookie"]
    name: str
    allowed_origins: tuple[str, ...] = ()

    def found(self, event: dict[str, Any]) -> list[str]:
        """Every value that the event carries here, in the order in which it stands there."""
        if self.where == "header":
            return header_values(event, self.name)
        if self.where == "query":
            return _query_values(event, self.name)
        values = _cookie_values(event, self.name)
        return values if values and self._is_meant(event) else []

    def found_instead(self, event: dict[str, Any]) -> str:
        """Why what the event carries here does not count; "" where it carries nothing."""
        if self.where != "cookie" or not _cookie_values(event, self.name):
            return ""
        return (
            f"; {self} was sent, but counts on this request only with an Origin among allowed_origins"
            " or, without an Origin, with Sec-Fetch-Site: same-origin"
        )

    def __str__(self) -> str:
        return f"{self.where} {self.name!r}"

    def _is_meant(self, event: dict[str, Any]) -> bool:
        """Whether the page that caused the request may use the cookie: browsers add it to anybody's requests (CSRF)."""
        kind = http_kind(event)
        # `$connect` is a GET, but opens a connection in both directions, which no CORS rule guards.
        if kind != "websocket" and http_method(event, kind) in SAFE_METHODS:
            return True
        origins = header_values(event, "Origin")
        if origins:
            return all(origin in self.allowed_origins for origin in origins)
        return set(header_values(event, "Sec-Fetch-Site")) == {"same-origin"}


def header(name: str) -> TokenSource:
    """The token stands in the header `name`, in any case, with or without `Bearer`.

    Raises:
        ConfigurationError: No header can have this name.
    """
    return TokenSource("header", _name("header", name, TOKEN))


def query(name: str) -> TokenSource:
    """The token stands in the query parameter `name`. It will show in access logs: use it where no header can be set.

    Raises:
        ConfigurationError: The name is empty or no string.
    """
    return TokenSource("query", _name("query", name, r"\S+"))


def cookie(name: str, allowed_origins: str | Collection[str] = ()) -> TokenSource:
    """The token stands in the cookie `name`.

    Args:
        allowed_origins: Whose pages may cause requests that change something, such as `https://app.example.com`. On
            other methods than GET, HEAD, OPTIONS and TRACE, and on a WebSocket's `$connect`, the cookie counts only
            when `Origin` is one of them or, where there is no `Origin`, `Sec-Fetch-Site` is `same-origin`.

    Raises:
        ConfigurationError: No cookie can have this name, or no browser sends such an origin.
    """
    several = (allowed_origins,) if isinstance(allowed_origins, str) else allowed_origins
    if not isinstance(several, Collection):
        raise ConfigurationError(f"allowed_origins: expected origins, found {shown(allowed_origins)}")
    for origin in several:
        if not isinstance(origin, str) or not re.fullmatch(_ORIGIN, origin):
            raise ConfigurationError(
                f"allowed_origins: expected origins such as 'https://app.example.com', in lower case, without a path "
                f"or a slash at the end, found {shown(origin)}"
            )
    return TokenSource("cookie", _name("cookie", name, TOKEN), tuple(several))


def token_sources(token_from: object) -> tuple[TokenSource, ...]:
    """What an option `token_from=` stands for: a source or several.

    Raises:
        ConfigurationError: None, or something that is no source.
    """
    several = (token_from,) if isinstance(token_from, TokenSource) else token_from
    sources = () if isinstance(several, str) or not isinstance(several, Iterable) else tuple(several)
    if not sources or not all(isinstance(source, TokenSource) for source in sources):
        raise ConfigurationError(
            f"token_from: expected header(...), query(...) or cookie(...), or several, found {shown(token_from)}"
        )
    return sources


def raw_token(sources: Sequence[TokenSource], event: dict[str, Any]) -> str:
    """The raw token of a request: the first source that is present decides.

    Raises:
        MissingTokenError: No source holds anything, or the one that decides holds another scheme or `Bearer` alone.
        MalformedTokenError: The source that decides holds two different values, or more than one token.
    """
    raw = optional_token(sources, event)
    if raw is None:
        places, instead = " or ".join(map(str, sources)), "".join(source.found_instead(event) for source in sources)
        raise MissingTokenError(f"token: expected one in {places}, found nothing{instead}")
    return raw


def optional_token(sources: Sequence[TokenSource], event: dict[str, Any]) -> str | None:
    """As `raw_token`; None where every source is absent or empty."""
    for source in sources:
        values = source.found(event)
        for value in values:
            if value != values[0]:
                raise MalformedTokenError(f"{source}: expected one value, found different ones")
        if values and values[0].strip():
            return _bearer_token(source, values[0])
    return None


def http_kind(event: object) -> HttpKind:
    """In which format the event carries an HTTP request.

    Raises:
        ConfigurationError: It carries none.

    Source: "Lambda proxy integrations" for REST and HTTP APIs and "Lambda authorizers", API Gateway Developer Guide;
        "Invoking Lambda function URLs", AWS Lambda Developer Guide; "Lambda functions as targets", ELB User Guide.
    """
    context = event.get("requestContext") if isinstance(event, dict) else None
    if isinstance(event, dict) and isinstance(context, dict):
        if isinstance(context.get("http"), dict):
            return "http"
        if isinstance(context.get("elb"), dict):
            return "alb-multi" if isinstance(event.get("multiValueHeaders"), dict) else "alb"
        if context.get("eventType") == "CONNECT":
            return "websocket"
        if isinstance(event.get("httpMethod"), str):
            return "rest"
    raise ConfigurationError(f"event: expected an HTTP request, found {_likely_instead(event, context)}")


def http_method(event: dict[str, Any], kind: HttpKind) -> str:
    """The request's method; of `$connect` GET, which opens a WebSocket (RFC 6455 section 4.1)."""
    if kind == "http":
        return str(event["requestContext"]["http"].get("method"))
    return "GET" if kind == "websocket" else str(event.get("httpMethod"))


def header_values(event: dict[str, Any], name: str) -> list[str]:
    """Every value of a header, under all spellings of its name: REST events keep the client's."""
    wanted, length = name.lower(), len(name)
    values: list[str] = []
    for headers in (event.get("headers"), event.get("multiValueHeaders")):
        if isinstance(headers, dict):
            for key in headers:  # a loop: a comprehension costs 0.2 us more
                if len(key) == length and key.lower() == wanted:
                    value = headers[key]
                    if type(value) is str:
                        values.append(value)
                    else:
                        values += _texts(value)
    return values


# The claims on their way to the handler


def with_claims(event: dict[str, Any], kind: HttpKind, token: VerifiedToken | None) -> dict[str, Any]:
    """The event with the token's claims where API Gateway's own authorizer puts them; without a token, with none there.

    What is changed is copied: the caller's event stays as it is.
    """
    context = event["requestContext"]
    authorizer = _member(context, "authorizer")
    if token is None:
        stripped = _without_claims(authorizer, kind)
        return {**event, "requestContext": {**context, "authorizer": stripped}} if authorizer else event
    placed: dict[str, Any]
    if kind == "http":
        claims, scopes = http_claims(token)
        placed = {"jwt": {**_member(authorizer, "jwt"), "claims": claims, "scopes": scopes}}
    else:
        placed = {"claims": rest_claims(token)}
    return {**event, "requestContext": {**context, "authorizer": {**authorizer, **placed}}}


def rest_claims(token: VerifiedToken) -> dict[str, str]:
    """The claims as a REST API's Cognito authorizer writes them: strings, lists comma-joined.

    `exp` and `iat` become dates such as `Tue Nov 24 10:01:54 UTC 2026`, other numbers their digits, objects JSON text.
    """
    return dict(_remembered(_rest_forms, token, _rest_form))


def http_claims(token: VerifiedToken) -> tuple[dict[str, str], list[str] | None]:
    """Claims and scopes as an HTTP API's JWT authorizer writes them: strings, lists as `[a b]`; scopes as a list."""
    written = dict(_remembered(_http_forms, token, _http_form))
    scope = written.get("scope") if isinstance(token, AccessToken) else None  # an ID token grants nothing
    return written, None if scope is None else [one for one in scope.split(" ") if one]


def _rest_form(claims: dict[str, Any]) -> dict[str, str]:
    written: dict[str, str] = {}
    for name, value in claims.items():
        if type(value) is str:
            written[name] = value
        elif type(value) is int and name not in _DATES:
            written[name] = str(value)
        elif name in _DATES:
            written[name] = _java_date(int(value))
        elif name == _GROUPS:
            names = joinable(value)
            if names:
                written[name] = comma_joined(names)
        elif type(value) is list:
            written[name] = comma_joined(map(_json_text, value))
        elif value is not None:
            written[name] = _json_text(value)
    return written


def _http_form(claims: dict[str, Any]) -> dict[str, str]:
    written: dict[str, str] = {}
    for name, value in claims.items():
        if type(value) is str:
            written[name] = value
        elif type(value) is int:
            written[name] = str(value)
        elif name == _GROUPS:
            names = joinable(value)
            if names:
                written[name] = _go_text(names)
        elif value is not None:
            written[name] = _go_text(value)
    return written


def _remembered(
    forms: _Forms, token: VerifiedToken, write: Callable[[dict[str, Any]], dict[str, str]]
) -> dict[str, str]:
    """A form of the token's claims, for the caller to copy.

    A token that was seen before has the claims object of the first time: to remember its form saves 2 us of a budget of
    10 (benchmarks/decorator.py). Not a map of cachetools, which costs 1 us.
    """
    claims = token._verified[0]  # not `dict(token)`, whose copies take 5 us; read and not changed
    known = forms.get(id(claims))
    if known is None or known[0] is not claims:  # it holds the object, so that nothing else can have its id meanwhile
        if len(forms) >= _MOST_FORMS:
            forms.clear()
        known = forms[id(claims)] = (claims, write(claims))
    return known[1]


def joinable(names: Iterable[str]) -> list[str]:
    """The names that survive every joined form, `a,b` and `[a b]`, whoever reads it.

    Cognito allows commas and brackets in a group's name: joined, `x,admin` would read as the group `admin`.
    """
    return [name for name in names if name.isalnum() or not _NOT_JOINABLE.search(name)]  # most need no search


def comma_joined(names: Iterable[str]) -> str:
    """The joined form of REST APIs. Of group names take the `joinable` alone."""
    return ",".join(names)


def claims_of(event: dict[str, Any]) -> dict[str, Any]:
    """The claims that an authorizer in front of this function left in the event; empty where there are none.

    Behind a `LambdaAuthorizer` they are what it put there, with their types. Behind a Cognito authorizer, a JWT
    authorizer or `require_token` they are strings, as AWS writes them: `a,b` or `[a b]` for a list, and a comma, a
    bracket or a space in a group's name cannot be told from a separator. Do not take AWS's joined groups apart to
    decide who is an admin.

    Nothing is verified here: the claims are believed because the gateway wrote them. In a function that can be called
    around its gateway, or through a REST API without proxy integration, the caller writes the event.

    Raises:
        ConfigurationError: The event is no dict, or an authorizer that is neither ours nor AWS's put something else
            there.
    """
    if not isinstance(event, dict):
        raise ConfigurationError(f"event: expected the dict that Lambda's runtime passes, found {type(event).__name__}")
    context = event.get("requestContext")
    if isinstance(context, dict):
        authorizer = _member(context, "authorizer")
        for holder in (_member(authorizer, "jwt"), _member(authorizer, "lambda"), authorizer):
            if holder.get("claims") is not None:
                return _read_claims(holder["claims"])
        return {}
    identity = _member(event, "identity")  # of an AppSync resolver
    for holder in (_member(identity, "resolverContext"), identity):
        if holder.get("claims") is not None:
            return _read_claims(holder["claims"])
    return {}


def _without_claims(authorizer: dict[str, Any], kind: HttpKind) -> dict[str, Any]:
    if kind != "http":
        return {name: authorizer[name] for name in authorizer if name != "claims"}
    jwt = _member(authorizer, "jwt")
    left = {name: jwt[name] for name in jwt if name not in ("claims", "scopes")}
    return {**authorizer, "jwt": left} if jwt else authorizer


def _name(source: str, name: object, form: str) -> str:
    if not isinstance(name, str) or not re.fullmatch(form, name):
        raise ConfigurationError(f"{source}: expected a name, found {shown(name)}")
    return name


def _bearer_token(source: TokenSource, value: str) -> str:
    try:
        return bearer_token(value)
    except TokenError as error:
        told = type(error)(f"{source}: {str(error).removeprefix('Authorization: ')}")
    raise told  # not in the handler: `bearer_token`'s frame, which holds the token, would stay with the error


def _query_values(event: dict[str, Any], name: str) -> list[str]:
    values: list[str] = []
    is_encoded = "elb" in _member(event, "requestContext")  # load balancers alone leave the decoding to the function
    for parameters in (event.get("queryStringParameters"), event.get("multiValueQueryStringParameters")):
        if isinstance(parameters, dict):
            for key in parameters:
                if key == name or (is_encoded and unquote_plus(key) == name):
                    texts = _texts(parameters[key])
                    values += map(unquote_plus, texts) if is_encoded else texts
    return values


def _cookie_values(event: dict[str, Any], name: str) -> list[str]:
    values = []
    for pairs in (*_texts(event.get("cookies")), *header_values(event, "Cookie")):
        for pair in pairs.split(";"):
            key, equals, value = pair.partition("=")
            if equals and key.strip(" \t") == name:
                values.append(value.strip(" \t"))
    return values


def _texts(value: object) -> list[str]:
    """One value or several; what is no string cannot be a token, and is refused as one."""
    several = value if isinstance(value, list) else [value]
    return [one if isinstance(one, str) else shown(one) for one in several if one is not None]


def _member(holder: dict[str, Any], name: str) -> dict[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _likely_instead(event: object, context: object) -> str:
    if not isinstance(event, dict):
        return f"{type(event).__name__}, not the dict that Lambda's runtime passes"
    if isinstance(context, dict) and "eventType" in context:
        return f"a WebSocket event {shown(context['eventType'])}; a token comes with $connect alone"
    if "authorizationToken" in event:
        return "an authorizer's event without one; a LambdaAuthorizer answers it"
    if "Records" in event:
        return "records of a queue, a stream or a bucket"
    return (
        f"members {shown(sorted(map(str, event)))}; a REST API needs Lambda proxy integration: without it the "
        "function gets the mapped body alone"
    )


def _read_claims(claims: object) -> dict[str, Any]:
    value: object = claims
    if isinstance(claims, str):
        try:
            value = json.loads(claims)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise ConfigurationError("claims: expected an object or its JSON text in the authorizer's context, found other")
    return dict(value)


@lru_cache(maxsize=64)
def _java_date(seconds: int) -> str:
    at = gmtime(seconds)
    time = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{_DAYS[at.tm_wday]} {_MONTHS[at.tm_mon - 1]} {at.tm_mday:02} {time} UTC {at.tm_year}"


def _json_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _go_text(value: object) -> str:
    """What Go's `%v` prints, which is what JWT authorizers hand on."""
    if isinstance(value, list):
        return f"[{' '.join(map(_go_text, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{name}:{_go_text(value[name])}' for name in sorted(value))}]"
    return "<nil>" if value is None else _json_text(value)
