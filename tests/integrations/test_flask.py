"""Flask applications with `CognitoAuth`, under waitress."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from threading import Event
from typing import Any, assert_type

import pytest
from flask import Blueprint, Flask, Response, abort, copy_current_request_context, stream_with_context
from flask.views import MethodView
from werkzeug.exceptions import HTTPException

from cognito_verify import current_token
from cognito_verify.errors import (
    AccessDeniedError,
    CheckFailedError,
    CognitoVerifyError,
    ConfigurationError,
    TokenError,
    TokenExpiredError,
)
from cognito_verify.integrations.flask import CognitoAuth
from cognito_verify.integrations.wsgi import CognitoMiddleware
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.testing import FakeUserPool
from cognito_verify.tokens import AccessToken, IdToken
from tests.integrations.refusals import PATHS, REFUSED, Guards, Refused, assert_refused, bearer, who
from tests.integrations.serving import Reply, ask, served_by_waitress

PREFLIGHT = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")]
STYLES = ("sync", "async", "blueprint", "class")


def app_of(guards: Guards, style: str, path: str) -> Flask:
    """An application whose only view, at `path`, is guarded in one of the ways that there are."""
    app = Flask(__name__)
    auth = CognitoAuth(app, guards.of(path))
    asked = PATHS[path]

    def answer() -> dict[str, str | None]:
        assert who() == {"username": auth.token.username}
        assert auth.token_or_none is auth.token
        return who()

    if style == "sync":
        app.add_url_rule(path, view_func=auth.required(**asked)(answer))
    elif style == "async":

        @app.get(path)
        @auth.required(**asked)
        async def view() -> dict[str, str | None]:
            return answer()

    elif style == "blueprint":
        blueprint = Blueprint("api", __name__)
        auth.protect(blueprint, **asked)
        blueprint.add_url_rule(path, view_func=answer)
        app.register_blueprint(blueprint)
        app.add_url_rule("/open", view_func=who)
    else:

        class View(MethodView):
            decorators = [auth.required(**asked)]  # noqa: RUF012 - as Flask's own documentation writes it

            async def get(self) -> dict[str, str | None]:
                return answer()

        app.add_url_rule(path, view_func=View.as_view("view"))
    return app


@pytest.fixture(scope="module", params=STYLES)
def urls(guards: Guards, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    apps: dict[str, Any] = {path: app_of(guards, request.param, path) for path in PATHS}

    def dispatch(environ: Any, start_response: Any) -> Any:
        return apps[environ["PATH_INFO"]](environ, start_response)

    with served_by_waitress(dispatch) as url:
        yield {path: url + path for path in PATHS}


@pytest.mark.parametrize(
    ("path", "claims"), [("/", {}), ("/finance", {"groups": "finance"}), ("/orders", {"scopes": "orders/read"})]
)
def test_a_good_token_reaches_the_view(urls: dict[str, str], guards: Guards, path: str, claims: dict[str, Any]) -> None:
    reply = ask(urls[path], bearer(guards.pool.access_token("ada", **claims)))
    assert (reply.status, reply.json) == (200, {"username": "ada"})


@pytest.mark.parametrize("request_", REFUSED, ids=str)
def test_a_refusal_is_answered_as_everywhere(urls: dict[str, str], guards: Guards, request_: Refused) -> None:
    assert_refused(ask(urls[request_.path], request_.headers(guards.pool)), request_, guards)


# From here on in the process: Flask's own client


def reply_of(app: Flask, raw: str | None = None, path: str = "/", **options: Any) -> Reply:
    headers = {} if raw is None else {"Authorization": f"Bearer {raw}"}
    response = app.test_client().open(path, headers=[*headers.items(), *options.pop("headers", [])], **options)
    return Reply(response.status_code, {name.lower(): value for name, value in response.headers}, response.data)


def guarded(guards: Guards, verifier: Any = None, **asked: Any) -> tuple[Flask, CognitoAuth[AccessToken]]:
    app = Flask(__name__)
    auth: CognitoAuth[AccessToken] = CognitoAuth(app, verifier or guards.verifier)
    app.add_url_rule("/", view_func=auth.required(**asked)(lambda: {"username": auth.token.username}))
    return app, auth


def test_a_blueprint_guards_its_own_views_and_no_others(guards: Guards) -> None:
    app = app_of(guards, "blueprint", "/")
    raw = guards.pool.access_token("ada")
    assert reply_of(app).status == 401
    assert reply_of(app, raw).json == {"username": "ada"}
    assert reply_of(app, raw, "/open").json == {"username": None}  # in the same thread, right after
    assert current_token() is None


def test_a_teardown_that_fails_hands_no_token_to_the_next_request(guards: Guards) -> None:
    app, started = Flask(__name__), list[Context]()
    auth: CognitoAuth[AccessToken] = CognitoAuth(app, guards.verifier)
    views = Blueprint("views", __name__)
    auth.protect(views)

    @views.get("/")
    def mine() -> dict[str, str | None]:
        started.append(copy_context())
        return who()

    @views.teardown_request
    def close_the_database(_: BaseException | None) -> None:
        raise OSError("the database has gone")  # Flask then leaves out the functions that were registered before

    app.register_blueprint(views)
    app.add_url_rule("/open", view_func=who)
    with pytest.raises(OSError, match="the database has gone"):
        reply_of(app, guards.pool.access_token("ada"))
    assert current_token() is None  # for another application, too
    assert reply_of(app, None, "/open").json == {"username": None}
    assert started[0].run(who) == {"username": None}  # what the view started, too


def test_a_preflight_is_answered_by_flask_and_reaches_no_view(guards: Guards) -> None:
    for style in STYLES:
        reply = reply_of(app_of(guards, style, "/"), method="OPTIONS", headers=PREFLIGHT)
        assert (reply.status, reply.body) == (200, b"")
        assert "GET" in reply.headers["allow"]


def test_an_options_that_a_view_answers_by_itself_needs_a_token(guards: Guards) -> None:
    app = Flask(__name__)
    CognitoAuth(app, guards.verifier).protect(app)
    app.add_url_rule("/", view_func=who, methods=["OPTIONS"])
    assert reply_of(app, method="OPTIONS", headers=PREFLIGHT).status == 401
    assert reply_of(app, guards.pool.access_token("ada"), method="OPTIONS").json == {"username": "ada"}
    assert reply_of(app, path="/nowhere").status == 401


def test_an_optional_token_may_be_absent_and_not_bad(guards: Guards) -> None:
    app = Flask(__name__)
    auth = CognitoAuth(app, guards.verifier)
    app.add_url_rule("/", view_func=auth.required(optional=True)(who))
    app.add_url_rule("/none", view_func=lambda: {"token": auth.token_or_none})
    assert reply_of(app).json == {"username": None}
    assert reply_of(app, guards.pool.access_token("ada")).json == {"username": "ada"}
    assert reply_of(app, guards.pool.expired()).json["code"] == "token_expired"
    basic = app.test_client().get("/", headers={"Authorization": "Basic YWRhOmxvdmVsYWNl"})
    assert basic.get_json()["code"] == "missing_token"
    assert reply_of(app, path="/none").json == {"token": None}


def test_the_token_of_a_view_that_asks_for_none_is_a_fault_of_the_program(guards: Guards) -> None:
    app = Flask(__name__)
    auth = CognitoAuth(app, guards.verifier)
    app.add_url_rule("/", view_func=lambda: {"username": auth.token.username})
    app.testing = True
    with pytest.raises(RuntimeError, match=r"no verified token in this request. Decorate the view"):
        reply_of(app, guards.pool.access_token("ada"))


def test_an_answer_that_streams_with_its_context_has_the_token(guards: Guards) -> None:
    app = Flask(__name__)
    auth = CognitoAuth(app, guards.verifier)

    @app.get("/")
    @auth.required()
    def stream() -> Response:
        return Response(stream_with_context(str(auth.token.username) for _ in range(2)))

    assert reply_of(app, guards.pool.access_token("ada")).body == b"adaada"


def test_a_thread_with_a_copied_request_has_its_token_and_no_current_one(guards: Guards) -> None:
    app, seen = Flask(__name__), list[tuple[Any, Any]]()
    auth = CognitoAuth(app, guards.verifier)

    @app.get("/")
    @auth.required()
    def view() -> str:
        with ThreadPoolExecutor() as threads:
            seen.append(threads.submit(copy_current_request_context(lambda: (auth.token, current_token()))).result())
        seen.append((auth.token, current_token()))
        return ""

    assert reply_of(app, guards.pool.access_token("ada")).status == 200
    (of_thread, of_view) = seen
    assert of_view == (token := of_thread[0], token)
    assert (token.username, of_thread[1]) == ("ada", None)


def test_what_flask_runs_around_a_view_has_the_current_token(guards: Guards) -> None:
    app, seen = Flask(__name__), list[str | None]()
    auth = CognitoAuth(app, guards.verifier)

    def failing() -> str:
        raise LookupError

    async def failing_async() -> str:
        raise LookupError

    @app.errorhandler(LookupError)
    def answer(_: LookupError) -> dict[str, str | None]:
        return who()

    @app.after_request
    def note(response: Response) -> Response:
        seen.append(who()["username"])
        return response

    guarded = Blueprint("guarded", __name__)
    auth.protect(guarded)
    guarded.add_url_rule("/protected", view_func=failing)
    app.register_blueprint(guarded)
    app.add_url_rule("/sync", "sync", auth.required()(failing))
    app.add_url_rule("/async", "async", auth.required()(failing_async))
    for path in ("/protected", "/sync", "/async"):
        assert reply_of(app, guards.pool.access_token("ada"), path).json == {"username": "ada"}
    assert seen == ["ada"] * 3


def test_a_request_that_is_only_set_up_leaves_no_token_behind(guards: Guards) -> None:
    app = Flask(__name__)
    CognitoAuth(app, guards.verifier).protect(app)
    headers = bearer(guards.pool.access_token("ada"))
    with app.test_request_context("/static/x", headers=headers):
        app.preprocess_request()
        assert who() == {"username": "ada"}
        with app.test_request_context("/"):  # as for `url_for`
            pass
        assert who() == {"username": "ada"}
    assert current_token() is None


def test_an_application_may_have_several_each_with_its_verifier(guards: Guards) -> None:
    app, customers = Flask(__name__), FakeUserPool("us-east-1_Customers")
    staff_auth: CognitoAuth[AccessToken] = CognitoAuth(app, guards.verifier)
    customer_auth: CognitoAuth[IdToken] = CognitoAuth(app, customers.verifier(token_use="id"))
    another_auth: CognitoAuth[IdToken] = CognitoAuth(app, customers.verifier(token_use="id"))
    app.add_url_rule("/staff", "staff", staff_auth.required()(lambda: {"for": staff_auth.token.username}))

    @app.get("/both")
    @another_auth.required()
    @customer_auth.required()
    def both() -> list[str | None]:
        return [another_auth.token.username, customer_auth.token.username]

    @app.get("/customers")
    @customer_auth.required()
    def mine() -> list[str | None]:
        assert staff_auth.token_or_none is None
        return [customer_auth.token.username, type(customer_auth.token).__name__]

    staff, customer = guards.pool.access_token("ada"), customers.id_token("bob")
    assert reply_of(app, staff, "/staff").json == {"for": "ada"}
    assert reply_of(app, customer, "/customers").json == ["bob", "IdToken"]
    assert reply_of(app, customer, "/both").json == ["bob", "bob"]
    for token, path in ((customer, "/staff"), (staff, "/customers"), (staff, "/both")):
        assert reply_of(app, token, path).json["code"] == "invalid_issuer"


# Whose token


@pytest.fixture
def sharing(guards: Guards) -> tuple[Flask, CognitoAuth[AccessToken]]:
    """Guarded views and one that anybody may see. Each says who it takes the client for."""
    app = Flask(__name__)
    auth = CognitoAuth(app, guards.verifier)

    def believed() -> dict[str, str | None]:
        token = auth.token_or_none
        return {"username": token.username if token else None}

    async def believed_async() -> dict[str, str | None]:
        return believed()

    blueprint = Blueprint("api", __name__)
    auth.protect(blueprint)
    blueprint.add_url_rule("/blueprint", "blueprint", believed)
    app.register_blueprint(blueprint)
    app.add_url_rule("/sync", "sync", auth.required()(believed))
    app.add_url_rule("/async", "async", auth.required()(believed_async))
    app.add_url_rule("/open", "open", believed)
    return app, auth


GUARDED = pytest.mark.parametrize("path", ["/sync", "/async", "/blueprint"])


@GUARDED
def test_an_application_context_around_requests_does_not_hand_the_token_of_one_to_the_next(
    guards: Guards, sharing: tuple[Flask, CognitoAuth[AccessToken]], path: str
) -> None:
    app, auth = sharing
    with app.app_context():
        assert reply_of(app, guards.pool.access_token("ada"), path).json == {"username": "ada"}
        assert reply_of(app, path="/open").json == {"username": None}
        assert auth.token_or_none is None


@GUARDED
def test_a_request_inside_a_view_leaves_the_views_token_as_it_is(
    guards: Guards, sharing: tuple[Flask, CognitoAuth[AccessToken]], path: str
) -> None:
    app, auth = sharing
    app.add_url_rule("/current", view_func=who)

    @app.get("/batch")
    @auth.required()
    def batch() -> list[str | None]:
        within = [reply_of(app, guards.pool.access_token("bob"), path).json, reply_of(app, path="/open").json]
        within.append(reply_of(app, path="/current").json)
        assert current_token() is auth.token
        return [*(one["username"] for one in within), auth.token.username]

    assert reply_of(app, guards.pool.access_token("ada"), "/batch").json == ["bob", None, None, "ada"]


@GUARDED
def test_requests_at_a_time_in_copies_of_one_context_have_their_own_tokens(
    guards: Guards, sharing: tuple[Flask, CognitoAuth[AccessToken]], path: str
) -> None:
    app, auth = sharing
    is_in, may_go_on = Event(), Event()

    @app.get("/slow")
    @auth.required()
    def slow() -> dict[str, str | None]:
        is_in.set()
        assert may_go_on.wait(30)
        return {"username": auth.token.username}

    with app.app_context(), ThreadPoolExecutor(1) as threads:
        ada = threads.submit(copy_context().run, reply_of, app, guards.pool.access_token("ada"), "/slow")
        assert is_in.wait(30)
        bob = reply_of(app, guards.pool.access_token("bob"), path)
        may_go_on.set()
    assert (ada.result().json, bob.json) == ({"username": "ada"}, {"username": "bob"})


def test_a_token_that_a_middleware_around_flask_verified_is_not_taken_for_flasks(guards: Guards) -> None:
    app = Flask(__name__)
    auth = CognitoAuth(app, guards.verifier)
    app.add_url_rule("/", view_func=lambda: {"token": auth.token_or_none, **who()})
    other = FakeUserPool("us-east-1_Another")
    app.wsgi_app = CognitoMiddleware(app.wsgi_app, other.verifier())  # type: ignore[method-assign]
    assert reply_of(app, other.access_token("ada")).json == {"token": None, "username": "ada"}


# Error handlers


def test_a_handler_for_a_class_of_errors_replaces_the_answer(guards: Guards) -> None:
    app, _ = guarded(guards, groups="finance")

    @app.errorhandler(TokenError)
    def log_in_again(error: TokenError) -> tuple[str, int, dict[str, str]]:
        return error.code, error.http_status, {"WWW-Authenticate": error.challenge, "X-Ours": "yes"}

    @app.errorhandler(TokenExpiredError)
    def refresh(_: TokenExpiredError) -> tuple[str, int]:
        return "refresh", 401

    missing = reply_of(app)
    assert (missing.status, missing.body, missing.headers["x-ours"]) == (401, b"missing_token", "yes")
    assert reply_of(app, guards.pool.expired()).body == b"refresh"
    assert reply_of(app, guards.pool.access_token("ada")).json["code"] == "missing_group"


@pytest.mark.parametrize("kind", [401, HTTPException, Exception])
def test_a_handler_for_a_status_replaces_it_as_it_does_after_abort(guards: Guards, kind: Any) -> None:
    app, _ = guarded(guards)
    app.add_url_rule("/abort", "abort", lambda: abort(401, "aborted"))

    @app.errorhandler(kind)
    def page(error: HTTPException) -> tuple[str, int]:
        return f"<p>{error.description}", 401

    assert reply_of(app).body == b"<p>Authorization: expected a bearer token, found nothing"
    assert reply_of(app, path="/abort").body == b"<p>aborted"


def test_a_handler_that_changes_the_response_keeps_its_challenge(guards: Guards) -> None:
    app, _ = guarded(guards)

    @app.errorhandler(HTTPException)
    def as_problem(error: HTTPException) -> Any:  # as "Handling Application Errors" of Flask's manual has it
        response = error.get_response()
        response.data = json.dumps({"title": error.name})
        return response

    reply = reply_of(app)
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert reply.json == {"title": "Unauthorized"}


@pytest.mark.parametrize("is_first", [True, False])
def test_a_handler_for_all_errors_of_ours_counts_before_and_after_init_app(guards: Guards, *, is_first: bool) -> None:
    app = Flask(__name__)
    auth = CognitoAuth(verifier=guards.verifier)
    if not is_first:
        auth.init_app(app)
    app.register_error_handler(CognitoVerifyError, lambda error: (error.code, 418))
    if is_first:
        auth.init_app(app)
    app.add_url_rule("/", view_func=auth.required()(who))
    assert (reply_of(app).status, reply_of(app).body) == (418, b"missing_token")


def test_a_handler_of_a_blueprint_is_for_its_views(guards: Guards) -> None:
    app, auth = guarded(guards)
    api = Blueprint("api", __name__, url_prefix="/api")
    api.register_error_handler(401, lambda _: ("of the blueprint", 401))
    api.add_url_rule("/", view_func=auth.required()(who))
    app.register_blueprint(api)
    assert reply_of(app, path="/api/").body == b"of the blueprint"
    assert reply_of(app).json["code"] == "missing_token"


def test_an_error_that_a_view_raises_itself_is_answered_alike(guards: Guards) -> None:
    app = Flask(__name__)
    CognitoAuth(app, guards.verifier)

    def view() -> str:
        raise AccessDeniedError("not yours")

    app.add_url_rule("/", view_func=view)
    assert (reply_of(app).status, reply_of(app).json) == (403, {"message": "not yours", "code": "access_denied"})


def test_a_check_of_the_application_may_have_a_status_of_its_own(guards: Guards) -> None:
    class LockedError(CheckFailedError):
        http_status = 499

    def check(_: object) -> None:
        raise LockedError("locked")

    app, _ = guarded(guards, guards.pool.verifier(checks=[check]))
    reply = reply_of(app, guards.pool.access_token("ada"))
    assert (reply.status, reply.json["message"]) == (499, "locked")


def test_a_fault_of_ours_is_a_500_and_blames_no_client(guards: Guards, caplog: pytest.LogCaptureFixture) -> None:
    app, _ = guarded(guards, guards.pool.verifier(checks=[lambda token: token.username]))
    raw = guards.pool.access_token("ada")
    reply = reply_of(app, raw)
    assert (reply.status, "www-authenticate" in reply.headers) == (500, False)
    assert "ConfigurationError: checks: <lambda> returned str" in caplog.text
    assert raw.split(".")[2] not in caplog.text


# Configuration


def config_of(pool: FakeUserPool, **changed: Any) -> dict[str, Any]:
    config = {
        "COGNITO_USER_POOL_ID": pool.user_pool_id,
        "COGNITO_CLIENT_ID": f"another, {pool.client_id}",
        "COGNITO_TOKEN_USE": "access",
        "COGNITO_JWKS": pool.jwks,
        **changed,
    }
    return {name: value for name, value in config.items() if value != "<absent>"}


@pytest.mark.parametrize("client_id", ["another, test-client", ["test-client"], ("another", "test-client")])
def test_the_verifier_comes_from_the_applications_config(client_id: object) -> None:
    pool = FakeUserPool()
    app = Flask(__name__)
    app.config.update(config_of(pool, COGNITO_CLIENT_ID=client_id))
    auth = CognitoAuth()
    app.add_url_rule("/", view_func=auth.required()(who))
    auth.init_app(app)
    assert reply_of(app, pool.access_token("ada")).json == {"username": "ada"}
    assert reply_of(app, pool.wrong_client()).json["code"] == "invalid_client"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("COGNITO_USER_POOL_ID", "<absent>", "COGNITO_USER_POOL_ID: expected a value in app.config, found nothing"),
        ("COGNITO_USER_POOL_ID", "pool", "COGNITO_USER_POOL_ID: "),
        ("COGNITO_CLIENT_ID", "<absent>", "COGNITO_CLIENT_ID: expected a value in app.config"),
        ("COGNITO_CLIENT_ID", None, "COGNITO_CLIENT_ID: expected a value in app.config"),  # never: any client
        ("COGNITO_CLIENT_ID", [], "COGNITO_CLIENT_ID: "),
        ("COGNITO_TOKEN_USE", "both", "COGNITO_TOKEN_USE: expected 'access' or 'id', found 'both'"),
        ("COGNITO_JWKS", {"keys": []}, "COGNITO_JWKS: "),
        ("COGNITO_JWKS", " ", "COGNITO_JWKS: expected a value in app.config"),
        ("COGNITO_JWKS_URI", "http://keys.example", "COGNITO_JWKS_URI: "),
    ],
)
def test_a_wrong_setting_fails_when_the_application_is_set_up(name: str, value: object, message: str) -> None:
    app = Flask(__name__)
    app.config.update(config_of(FakeUserPool(), **{name: value}))
    with pytest.raises(ConfigurationError) as fault:
        CognitoAuth(app)
    assert str(fault.value).startswith(message)


def test_one_extension_serves_several_applications() -> None:
    auth = CognitoAuth()
    apps, pools = [Flask("one"), Flask("two")], [FakeUserPool("us-east-1_One"), FakeUserPool("us-east-1_Two")]
    for app, pool in zip(apps, pools, strict=True):
        app.config.update(config_of(pool))
        auth.init_app(app)
        app.add_url_rule("/", view_func=auth.required()(who))
        with app.app_context():
            assert auth.verifier.verify(pool.access_token("ada")).username == "ada"
    assert reply_of(apps[0], pools[0].access_token("ada")).status == 200
    assert reply_of(apps[0], pools[1].access_token("ada")).json["code"] == "invalid_issuer"


def test_the_token_has_the_type_of_the_verifiers(guards: Guards) -> None:
    auth = CognitoAuth(Flask("typed"), guards.verifier)
    assert_type(auth, CognitoAuth[AccessToken])
    assert_type(CognitoAuth(verifier=guards.pool.verifier("id")), CognitoAuth[IdToken])
    assert_type(CognitoAuth(), CognitoAuth[AccessToken | IdToken])
    with Flask("typed").app_context():
        assert_type(auth.token_or_none, AccessToken | None)
        assert auth.token_or_none is None


def test_an_application_that_is_not_set_up_is_a_fault_of_the_program() -> None:
    app = Flask("forgotten")
    app.testing = True
    app.add_url_rule("/", view_func=CognitoAuth().required()(who))
    with pytest.raises(ConfigurationError, match=r"expected init_app\(app\) of 'forgotten' first"):
        reply_of(app)


def test_a_senseless_requirement_fails_where_it_stands(guards: Guards) -> None:
    app = Flask(__name__)
    auth = CognitoAuth(app, guards.verifier)
    with pytest.raises(ConfigurationError, match="groups: "):
        auth.required(groups=[])
    with pytest.raises(ConfigurationError, match="scopes: "):
        auth.protect(app, scopes="")
    with pytest.raises(ConfigurationError, match="CognitoAuth: expected a CognitoVerifier, found str"):
        CognitoAuth(app, "us-east-1_TestPool1")  # type: ignore[call-overload]


def test_the_observer_is_told_of_every_refusal_once(guards: Guards) -> None:
    told: list[str | None] = []

    def observe(event: VerificationEvent | FetchEvent) -> None:
        assert isinstance(event, VerificationEvent)
        told.append(event.code)

    app, _ = guarded(guards, guards.pool.verifier(observer=observe))
    for raw in (None, guards.pool.expired(), guards.pool.access_token("ada")):
        reply_of(app, raw)
    assert told == ["missing_token", "token_expired", None]
