"""The authorizer of the handler string: made from the environment, and each fault in there names its variable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cognito_verify.aws_lambda.authorizer import LambdaAuthorizer
from cognito_verify.aws_lambda.environment import authorizer_from_env
from cognito_verify.errors import ConfigurationError
from cognito_verify.testing import FakeUserPool
from tests.iam import is_allowed
from tests.lambda_events import Event, http_2_authorizer_event, method_arn, token_authorizer_event

POOL = FakeUserPool()
VERIFIER = {
    "COGNITO_USER_POOL_ID": POOL.user_pool_id,
    "COGNITO_CLIENT_ID": POOL.client_id,
    "COGNITO_TOKEN_USE": "access",
    "COGNITO_JWKS": json.dumps(POOL.jwks),
}
RULES = '[{"route": "POST /pricepermeter"}, {"route": "GET /reports/{id}", "groups": ["finance"]}]'


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("COGNITO_")]:
        monkeypatch.delenv(name)
    for name, value in VERIFIER.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def is_let_through(authorizer: LambdaAuthorizer, method: str, path: str, **minted: Any) -> bool:
    event = token_authorizer_event(POOL.access_token(**minted), method=method, path=path)
    return is_allowed(authorizer(event)["policyDocument"], method_arn(method, path))


def test_without_rules_every_verified_token_is_let_through(env: pytest.MonkeyPatch) -> None:
    authorizer = authorizer_from_env()
    assert is_let_through(authorizer, "GET", "/any/path")
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorizer(token_authorizer_event(POOL.id_token()))
    env.setenv("COGNITO_TOKEN_USE", "id")
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorizer_from_env()(token_authorizer_event(POOL.access_token()))


@pytest.mark.parametrize("form", ["text", "text-with-white-space", "path"])
def test_rules_are_json_text_or_a_path(env: pytest.MonkeyPatch, tmp_path: Path, form: str) -> None:
    (tmp_path / "rules.json").write_text(RULES, encoding="utf-8")
    forms = {"text": RULES, "text-with-white-space": f"\n  {RULES}\n", "path": str(tmp_path / "rules.json")}
    env.setenv("COGNITO_RULES", forms[form])
    authorizer = authorizer_from_env()
    assert is_let_through(authorizer, "POST", "/pricepermeter")
    assert is_let_through(authorizer, "GET", "/reports/7", groups=["finance"])
    assert not is_let_through(authorizer, "GET", "/reports/7", groups=["sales"])
    assert not is_let_through(authorizer, "GET", "/other")


@pytest.mark.parametrize(
    ("needs", "enough", "too_little"),
    [
        pytest.param({"groups": "a"}, {"groups": ["a"]}, {"groups": ["b"]}, id="name"),
        pytest.param({"groups": ["a", "b"]}, {"groups": ["b"]}, {"groups": ["c"]}, id="list"),
        pytest.param({"groups": {"any_of": ["a", "b"]}}, {"groups": ["b"]}, {}, id="any_of"),
        pytest.param({"groups": {"all_of": ["a", "b"]}}, {"groups": ["a", "b"]}, {"groups": ["a"]}, id="all_of"),
        pytest.param({"groups": {"all_of": "a"}}, {"groups": ["a"]}, {}, id="all_of-one"),
        pytest.param(
            {"groups": [{"all_of": ["a", {"any_of": ["b", "c"]}]}, "d"]},
            {"groups": ["a", "c"]},
            {"groups": ["b", "c"]},
            id="nested",
        ),
        pytest.param(
            {"groups": "a", "scopes": {"all_of": ["x/r", "x/w"]}},
            {"groups": ["a"], "scopes": ["x/r", "x/w"]},
            {"groups": ["a"], "scopes": ["x/r"]},
            id="groups-and-scopes",
        ),
    ],
)
def test_a_rule_says_what_it_requires(
    env: pytest.MonkeyPatch, needs: dict[str, Any], enough: dict[str, Any], too_little: dict[str, Any]
) -> None:
    env.setenv("COGNITO_RULES", json.dumps([{"route": "GET /a", **needs}]))
    authorizer = authorizer_from_env()
    assert is_let_through(authorizer, "GET", "/a", **enough)
    assert not is_let_through(authorizer, "GET", "/a", **too_little)


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("  ", "empty", id="white-space"),
        pytest.param("[]", "expected at least one Rule", id="no-rule"),
        pytest.param("[{]", "expected JSON", id="no-JSON"),
        pytest.param("[" * 100_000, "expected JSON", id="brackets"),
        pytest.param(
            f'[{{"route": "GET /a", "groups": {"[" * 800}"a"{"]" * 800}}}]', "rule 1: groups: .*64 levels", id="deep"
        ),
        pytest.param('{"route": "GET /a"}', "expected a JSON array of rules, found dict", id="one-object"),
        pytest.param("/nowhere/rules.json", "JSON text or the path of a file: .*rules.json", id="no-such-file"),
        pytest.param("GET /a", "JSON text or the path of a file", id="a-route"),
        pytest.param('["GET /a"]', "rule 1: expected an object", id="route-alone"),
        pytest.param('[{"groups": ["a"]}]', "rule 1: expected an object", id="no-route"),
        pytest.param('[{"route": "GET /a"}, {"route": "GET /b", "group": "a"}]', "rule 2: .*group", id="typo"),
        pytest.param('[{"route": "GET /a", "groups": null}]', "rule 1: groups: .*None", id="null"),
        pytest.param('[{"route": "GET /a", "groups": []}]', "rule 1: groups: ", id="no-group"),
        pytest.param('[{"route": "GET /a", "groups": ""}]', "rule 1: .*names", id="empty-group"),
        pytest.param('[{"route": "GET /a", "groups": [7]}]', "rule 1: groups: .*7", id="number"),
        pytest.param('[{"route": "GET /a", "scopes": {"all": ["a"]}}]', "rule 1: scopes: .*all", id="unknown-word"),
        pytest.param(
            '[{"route": "GET /a", "scopes": {"all_of": ["a"], "any_of": ["b"]}}]', "rule 1: scopes: ", id="two-words"
        ),
        pytest.param('[{"route": "GET /a", "groups": "a", "groups": "b"}]', "member twice", id="groups-twice"),
        pytest.param('[{"route": "FETCH /a"}]', "rule 1: .*FETCH", id="unknown-method"),
        pytest.param('[{"route": 7}]', "rule 1: .*7", id="route-as-number"),
        pytest.param('[{"route": "GET /{a}"}, {"route": "GET /{b}", "groups": "a"}]', "same route", id="duplicate"),
        pytest.param(
            '[{"route": "ANY /{p+}"}, {"route": "ANY /a/{p+}", "groups": "a"}, {"route": "GET /a/b"}]',
            "GET /a/b",
            id="not-sayable",
        ),
    ],
)
def test_a_fault_in_the_rules_names_the_variable(env: pytest.MonkeyPatch, rules: str, found: str) -> None:
    env.setenv("COGNITO_RULES", RULES)
    authorizer_from_env()
    env.setenv("COGNITO_RULES", rules)
    with pytest.raises(ConfigurationError, match=rf"^COGNITO_RULES: (?s:.*){found}"):
        authorizer_from_env()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[{]"])
def test_a_fault_in_the_file_of_rules_names_the_variable(
    env: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "rules.json").write_bytes(content)
    env.setenv("COGNITO_RULES", str(tmp_path / "rules.json"))
    with pytest.raises(ConfigurationError, match=r"^COGNITO_RULES: "):
        authorizer_from_env()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COGNITO_POLICY_SCOPE", "stage"),
        ("COGNITO_POLICY_SCOPE", ""),
        ("COGNITO_HTTP_API_RESPONSE", "json"),
        ("COGNITO_HTTP_API_RESPONSE", ""),
        ("COGNITO_SIMPLE_UNCACHED", "yes"),
        ("COGNITO_SIMPLE_UNCACHED", ""),
        ("COGNITO_BAD_TOKEN", "401"),
        ("COGNITO_BAD_TOKEN", " "),
        ("COGNITO_METRICS_NAMESPACE", ""),
        ("COGNITO_METRICS_NAMESPACE", "AWS/Lambda"),
        ("COGNITO_TOKEN_USE", "both"),
        ("COGNITO_CLIENT_ID", ""),
    ],
)
def test_a_wrong_setting_names_the_variable(env: pytest.MonkeyPatch, name: str, value: str) -> None:
    authorizer_from_env()
    env.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        authorizer_from_env()


def test_a_table_that_one_policy_cannot_say_is_answered_for_each_request(env: pytest.MonkeyPatch) -> None:
    rules = [{"route": "ANY /{p+}"}, {"route": "ANY /a/{p+}", "groups": "staff"}, {"route": "GET /a/b"}]
    env.setenv("COGNITO_RULES", json.dumps(rules))
    for value in ("api", None):
        if value is None:
            env.delenv("COGNITO_POLICY_SCOPE")
        else:
            env.setenv("COGNITO_POLICY_SCOPE", value)
        with pytest.raises(ConfigurationError, match=r"^COGNITO_RULES: .*COGNITO_POLICY_SCOPE=request"):
            authorizer_from_env()
    env.setenv("COGNITO_POLICY_SCOPE", "request")
    authorizer = authorizer_from_env()
    assert is_let_through(authorizer, "GET", "/a/b")
    assert not is_let_through(authorizer, "GET", "/a/c")


@pytest.mark.parametrize(("value", "is_simple"), [("iam", False), ("simple", True), ("SIMPLE", True)])
def test_the_response_of_http_apis_is_set(env: pytest.MonkeyPatch, value: str, is_simple: bool) -> None:
    raw = POOL.access_token()
    event: Event = http_2_authorizer_event({"Authorization": raw}, identity_source=[raw])
    assert "policyDocument" in authorizer_from_env()(event)
    env.setenv("COGNITO_HTTP_API_RESPONSE", value)
    assert ("isAuthorized" in authorizer_from_env()(event)) == is_simple


@pytest.mark.parametrize(("value", "is_uncached"), [("true", True), ("True", True), ("false", False)])
def test_that_nothing_is_cached_is_said(env: pytest.MonkeyPatch, value: str, is_uncached: bool) -> None:
    raw = POOL.access_token()
    event: Event = http_2_authorizer_event({"Authorization": raw}, identity_source=[raw])
    env.setenv("COGNITO_HTTP_API_RESPONSE", "simple")
    env.setenv("COGNITO_RULES", RULES)
    env.setenv("COGNITO_SIMPLE_UNCACHED", value)
    if is_uncached:
        assert authorizer_from_env()(event)["isAuthorized"] is True
    else:
        with pytest.raises(ConfigurationError, match="simple_uncached=True"):
            authorizer_from_env()(event)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("COGNITO_RULE", "COGNITO_RULES"),
        ("COGNITO_ROUTES_RULES", ""),
        ("COGNITO_POLICYSCOPE", "COGNITO_POLICY_SCOPE"),
        ("COGNITO_BADTOKEN", "COGNITO_BAD_TOKEN"),
        ("COGNITO_JWKS_URL", "COGNITO_JWKS_URI"),
        ("COGNITO_DOMAIN", ""),
        ("COGNITO_USER_POOL_ARN", ""),
        ("COGNITO_REGION", ""),
    ],
)
def test_a_misspelt_variable_does_not_pass_for_one_that_is_not_set(
    env: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    env.setenv(name, RULES)
    if meant:
        with pytest.raises(ConfigurationError, match=f"^{name}: there is no such variable; rename it to {meant}$"):
            authorizer_from_env()
    else:
        authorizer_from_env()


def test_metrics_are_written_where_a_namespace_is_set(
    env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    event = token_authorizer_event(POOL.access_token())
    authorizer_from_env()(event)
    assert capsys.readouterr().out == ""
    env.setenv("COGNITO_METRICS_NAMESPACE", "Shop")
    authorizer_from_env()(event)
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Shop"
    assert line["Allowed"] == 1


def test_a_bad_token_is_denied_where_that_is_set(env: pytest.MonkeyPatch) -> None:
    event = token_authorizer_event("bad")
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorizer_from_env()(event)
    env.setenv("COGNITO_BAD_TOKEN", "deny")
    assert authorizer_from_env()(event)["context"]["code"] == "malformed_token"


def test_the_handler_string_is_an_authorizer_and_importing_its_package_reads_nothing() -> None:
    program = (
        "import cognito_verify.aws_lambda as room, os\n"
        "before = sorted(vars(room))\n"
        f"os.environ.update({VERIFIER!r})\n"
        "assert 'authorize' not in before\n"
        "assert getattr(room, 'authorize') is room.authorize\n"
        "print(type(room.authorize).__name__)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={}, check=True)
    assert ran.stdout.strip() == "LambdaAuthorizer"


def test_a_wrong_setting_fails_when_the_runtime_asks_for_the_handler() -> None:
    program = "import cognito_verify.aws_lambda as room; print('imported', flush=True); room.authorize"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={}, check=False)
    assert ran.stdout.strip() == "imported"
    assert "COGNITO_USER_POOL_ID" in ran.stderr
