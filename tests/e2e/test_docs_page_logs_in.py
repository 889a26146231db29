"""FastAPI's docs page in a real browser: its Authorize button logs in at the pool's domain, by code and PKCE.

`make test-browser` installs what this needs beside Chromium. Nobody else can be reached from the browser: the pool's
domain and the host from which the docs page loads Swagger UI are one server on this machine, with TLS.
"""

from __future__ import annotations

import html
import inspect
import json
import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import trustme
from fastapi import FastAPI, Security
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from cognito_verify import AccessToken, IdToken
from cognito_verify.integrations.fastapi import CognitoBearer
from cognito_verify.testing import FakeUserPool
from tests.integrations.serving import served_by_uvicorn

CHROMIUM = os.environ.get("CHROMIUM")  # its path, which the make target looks for
if CHROMIUM is None:
    pytest.skip("no browser is named: run 'make test-browser'", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: run 'make test-browser'")
fastapi_offline = pytest.importorskip(
    "fastapi_offline", reason="fastapi-offline, for its copy of Swagger UI, is missing: run 'make test-browser'"
)

POOL = FakeUserPool(client_id="docs-page")
LOGIN_HOST = "reports.auth.us-east-1.amazoncognito.com"
# Where FastAPI's docs page loads Swagger UI from.
SWAGGER_UI = urlsplit(inspect.signature(get_swagger_ui_html).parameters["swagger_js_url"].default)
CDN = SWAGGER_UI.netloc
USERNAME, EMAIL, PASSWORD = "ada", "ada@example.com", secrets.token_urlsafe()
FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
# In the docs page, before anything of its own: the code's exchange is sent with another verifier than was meant.
ANOTHER_VERIFIER = """
const send = window.fetch;
window.fetch = (url, request) => send(url, String(url).endsWith("/oauth2/token")
    ? {...request, body: request.body.replace(/code_verifier=[^&]*/, "code_verifier=" + "x".repeat(43))}
    : request);
"""


@dataclass(frozen=True)
class Granted:
    """What a code was given for."""

    challenge: str
    redirect_uri: str
    scope: str


@dataclass
class ManagedLogin:
    """The pool's domain, as far as a public app client that logs a user in by the authorization code grant sees it.

    Source: "The redirect and authorization endpoint" and "The token issuer endpoint", Amazon Cognito Developer Guide;
    RFC 7636 section 4.6. Cognito makes PKCE the client's choice; here it must choose it.
    """

    callback_urls: set[str] = field(default_factory=set)  # what is registered at the app client
    address: str = ""  # where the server of this domain listens in truth
    exchanges: list[tuple[dict[str, str], int]] = field(default_factory=list)  # what was sent, and the status
    _granted: dict[str, Granted] = field(default_factory=dict)

    def app(self) -> Router:
        return Router(
            [
                Route("/oauth2/authorize", self.authorize),
                Route("/login", self.page),
                Route("/login", self.log_in, methods=["POST"]),
                Route("/oauth2/token", self.exchange, methods=["POST"]),
            ]
        )

    async def authorize(self, request: Request) -> Response:
        asked = request.query_params
        expected = {
            "response_type": {"code"},
            "client_id": {POOL.client_id},
            "redirect_uri": self.callback_urls,
            "code_challenge_method": {"S256"},
        }
        wrong = [name for name, values in expected.items() if asked.get(name) not in values]
        if wrong or not asked.get("code_challenge"):
            return HTMLResponse(f"wrong: {wrong}", 400)
        return RedirectResponse(f"/login?{request.url.query}", 302)

    async def page(self, request: Request) -> Response:
        return HTMLResponse(
            f'<form method="post" action="/login?{html.escape(request.url.query)}">'
            '<label>Username <input name="username"></label>'
            '<label>Password <input name="password" type="password"></label>'
            "<button>Sign in</button></form>"
        )

    async def log_in(self, request: Request) -> Response:
        if await form_of(request) != {"username": USERNAME, "password": PASSWORD}:
            return await self.page(request)
        asked, code = request.query_params, secrets.token_urlsafe()
        self._granted[code] = Granted(asked["code_challenge"], asked["redirect_uri"], asked["scope"])
        query = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{query}", 302)

    async def exchange(self, request: Request) -> Response:
        sent = await form_of(request)
        granted = self._granted.pop(sent.get("code", ""), None)  # a code is good for one attempt
        is_good = (
            granted is not None
            and (sent.get("grant_type"), sent.get("client_id")) == ("authorization_code", POOL.client_id)
            and sent.get("redirect_uri") == granted.redirect_uri
            and challenge_of(sent.get("code_verifier", "")) == granted.challenge
        )
        self.exchanges.append((sent, 200 if is_good else 400))
        if granted is None or not is_good:
            return JSONResponse({"error": "invalid_grant"}, 400)
        scopes = granted.scope.split()
        tokens: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3600}
        tokens["access_token"] = POOL.access_token(USERNAME, scopes=scopes)
        if "openid" in scopes:
            tokens["id_token"] = POOL.id_token(USERNAME, email=EMAIL)
        return JSONResponse(tokens)


async def form_of(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))


def challenge_of(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


# Applications as docs/how-to/fastapi.md has them, for access tokens and for ID tokens. Their docs pages are FastAPI's.
access: CognitoBearer[AccessToken] = CognitoBearer(POOL.verifier("access"), domain=f"https://{LOGIN_HOST}")
identity: CognitoBearer[IdToken] = CognitoBearer(POOL.verifier("id"), domain=f"https://{LOGIN_HOST}")
Reader = Annotated[AccessToken, Security(access.requires(scopes="reports/read"))]
Person = Annotated[IdToken, Security(identity)]


def application(scopes: str) -> FastAPI:
    return FastAPI(
        swagger_ui_init_oauth={"clientId": POOL.client_id, "usePkceWithAuthorizationCodeGrant": True, "scopes": scopes}
    )


app, app_of_people = application("openid reports/read"), application("openid")


@app.get("/reports")
async def reports(token: Reader) -> dict[str, Any]:
    return {"for": token.username, "scopes": sorted(token.scopes)}


@app_of_people.get("/reports")
async def reports_by_mail(token: Person) -> dict[str, Any]:
    return {"for": token.email}


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedLogin]:
    """The pool's domain, on the server of both hosts."""
    domain = ManagedLogin()
    swagger_ui = StaticFiles(directory=Path(fastapi_offline.__file__).parent / "static")
    hosts = Starlette(
        routes=[
            Host(LOGIN_HOST, domain.app()),
            Host(CDN, Router([Mount(SWAGGER_UI.path.rpartition("/")[0], swagger_ui)])),
        ],
        # Cognito answers every origin; Swagger UI's header makes the browser ask beforehand.
        middleware=[
            Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["POST"], allow_headers=["X-Requested-With"])
        ],
    )
    certificate = tmp_path_factory.mktemp("tls") / "certificate.pem"
    trustme.CA().issue_cert(LOGIN_HOST, CDN).private_key_and_cert_chain_pem.write_to_path(certificate)
    with served_by_uvicorn(hosts, ssl_certfile=certificate, ssl_keyfile=certificate) as url:
        domain.address = url.removeprefix("http://")
        yield domain


@contextmanager
def served(app: FastAPI, login: ManagedLogin) -> Iterator[str]:
    """Its URL, by the one name that Cognito takes callback URLs without TLS for."""
    with served_by_uvicorn(app) as there:
        url = there.replace("127.0.0.1", "localhost")
        login.callback_urls.add(f"{url}/docs/oauth2-redirect")
        yield url


@pytest.fixture(scope="module")
def url(login: ManagedLogin) -> Iterator[str]:
    with served(app, login) as url:
        yield url


@pytest.fixture(scope="module")
def browser(login: ManagedLogin) -> Iterator[Any]:
    here = [f"MAP {host} {login.address}" for host in (LOGIN_HOST, CDN)]
    rules = ", ".join([*here, "MAP * ~NOTFOUND", "EXCLUDE localhost"])
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, f"--host-resolver-rules={rules}"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, login: ManagedLogin) -> Iterator[Any]:
    """An empty profile's first page. The server's certificate is nobody's: TLS is not what is tried here."""
    login.exchanges.clear()
    context = browser.new_context(ignore_https_errors=True)
    yield context.new_page()
    context.close()


def log_in(page: Any, url: str) -> None:
    """Open the docs page, press its button and log in at the page that it opens, which then closes."""
    page.goto(f"{url}/docs")
    page.get_by_role("button", name="Authorize", exact=True).click()
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Apply given OAuth2 credentials").click()
    popup = opened.value
    popup.get_by_label("Username").fill(USERNAME)
    popup.get_by_label("Password").fill(PASSWORD)
    with popup.expect_event("close"):
        popup.get_by_role("button", name="Sign in").click()


def authorized(page: Any, url: str) -> tuple[str, dict[str, Any]]:
    """What the guarded route answers to whoever has logged in."""
    log_in(page, url)
    page.get_by_role("button", name="Remove authorization").wait_for()
    page.get_by_role("button", name="Close").last.click()
    return executed(page)


def executed(page: Any) -> tuple[str, dict[str, Any]]:
    """The status and the body of the answer that the docs page shows for the guarded route."""
    page.get_by_role("button", name="GET /reports Reports").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    answer = page.locator(".live-responses-table .response")
    status: str = answer.locator(".response-col_status").inner_text()
    return status.split(maxsplit=1)[0], json.loads(answer.locator("code").inner_text())


def test_who_logs_in_by_the_docs_page_is_let_in(page: Any, url: str, login: ManagedLogin) -> None:
    assert authorized(page, url) == ("200", {"for": USERNAME, "scopes": ["openid", "reports/read"]})
    assert [status for _, status in login.exchanges] == [200]


def test_where_id_tokens_are_taken_the_docs_page_sends_that(page: Any, login: ManagedLogin) -> None:
    with served(app_of_people, login) as url:
        assert authorized(page, url) == ("200", {"for": EMAIL})


def test_without_a_login_the_docs_page_shows_that_the_route_refuses(page: Any, url: str) -> None:
    page.goto(f"{url}/docs")
    status, body = executed(page)
    assert (status, body["code"]) == ("401", "missing_token")


def test_a_code_is_exchanged_for_the_verifier_that_it_was_asked_with_alone(
    page: Any, url: str, login: ManagedLogin
) -> None:
    page.add_init_script(ANOTHER_VERIFIER)
    log_in(page, url)
    assert "invalid_grant" in page.locator(".modal-ux .errors").inner_text()
    ((sent, status),) = login.exchanges
    assert (sent["code_verifier"], status) == ("x" * 43, 400)
    page.get_by_role("button", name="Close").last.click()
    shown, body = executed(page)
    assert (shown, body["code"]) == ("401", "missing_token")
