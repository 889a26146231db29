"""The CostCalculator on AWS: its template and its OpenAPI document, and that they say what the local API plays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from cognito_verify.aws_lambda import CloudWatchObserver
from cognito_verify.aws_lambda.rules import RuleTable
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.testing import FakeUserPool
from examples.cost_calculator import authorizer, calculate_price, local, reports

FOLDER = Path(local.__file__).parent
TEMPLATE, OPENAPI = FOLDER / "template.yaml", FOLDER / "openapi.yaml"


def loaded(path: Path) -> Any:
    return json.loads(json.dumps(cfn_yaml.load(str(path))))


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    """What SAM makes of the template."""
    template = loaded(TEMPLATE)
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/code"  # as `sam deploy` does
    template["Resources"]["VerifyLayer"]["Properties"]["ContentUri"] = "s3://bucket/layer"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        found: dict[str, Any] = Translator({}, Parser()).translate(template, parameter_values={})["Resources"]
    return found


def methods(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def linted(template: Path) -> str:
    program = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([program, template], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode == 0) is (done.stdout == ""), done.stdout + done.stderr
    return done.stdout


def test_cfn_lint_passes(tmp_path: Path) -> None:
    assert linted(TEMPLATE) == ""
    twin = tmp_path / "template.yaml"
    twin.write_text(TEMPLATE.read_text(encoding="utf-8").replace("GroupName:", "GroupNam:"), encoding="utf-8")
    assert "E3002" in linted(twin)


def test_the_functions_answer_for_the_origin_that_the_template_names(resources: dict[str, Any]) -> None:
    functions = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::Lambda::Function"]
    named = {json.dumps(function["Environment"]["Variables"]["ALLOWED_ORIGIN"]) for function in functions}
    assert named == {'{"Ref": "AllowedOrigin"}'}
    program = (
        "import calculate_price, reports\nprint(calculate_price.CORS, reports.handler({'pathParameters': {'id': '7'}}))"
    )
    environment = {**os.environ, "ALLOWED_ORIGIN": "https://app.example.com"}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=FOLDER, env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.count("'Access-Control-Allow-Origin': 'https://app.example.com'") == 2


def test_the_rules_for_the_handler_string_are_those_of_the_file() -> None:
    comment = " ".join(line.strip(" #") for line in TEMPLATE.read_text(encoding="utf-8").splitlines())
    rules = json.loads(comment.partition("COGNITO_RULES: '")[2].partition("'")[0])
    assert [rule["route"] for rule in rules] == [rule.route for rule in authorizer.RULES]


def test_yaml_has_no_anchors() -> None:
    # CloudFormation knows none, whatever the tools between make of them.
    for path in (TEMPLATE, OPENAPI):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if ": &" in line or ": *" in line or "- *" in line] == []


def test_every_method_but_a_preflight_is_behind_the_authorizer(resources: dict[str, Any]) -> None:
    for document in (resources["CalculatePriceApi"]["Properties"]["Body"], loaded(OPENAPI)):
        for route, operation in methods(document).items():
            expected: object = None if route.startswith("OPTIONS ") else [{"VerifiedToken": []}]
            assert operation.get("security") == expected, route


def test_the_authorizer_is_ours_and_matches_no_expression(resources: dict[str, Any]) -> None:
    for document in (resources["CalculatePriceApi"]["Properties"]["Body"], loaded(OPENAPI)):
        scheme = document["components"]["securitySchemes"]["VerifiedToken"]
        own = scheme["x-amazon-apigateway-authorizer"]
        assert (scheme["type"], scheme["name"], scheme["in"]) == ("apiKey", "Authorization", "header")
        assert set(own) == {"type", "authorizerUri", "authorizerResultTtlInSeconds"}
        assert (own["type"], own["authorizerResultTtlInSeconds"]) == ("token", 300)
    assert resources["AuthorizerFunction"]["Properties"]["Handler"] == "authorizer.handler"


def test_the_http_api_has_no_authorizer_but_the_decorator(resources: dict[str, Any]) -> None:
    document = resources["CalculatePriceHttpApi"]["Properties"]["Body"]
    assert list(methods(document)) == ["POST /pricepermeter"]
    assert "security" not in methods(document)["POST /pricepermeter"]
    function = resources["CalculatePriceHttpFunction"]["Properties"]
    assert function["Handler"] == "calculate_price.http_handler"
    assert "COGNITO_USER_POOL_ID" in function["Environment"]["Variables"]


def test_every_route_of_the_api_has_a_rule_and_is_played_by_the_local_api(
    resources: dict[str, Any], cognito_pool: FakeUserPool
) -> None:
    routes = [key for key in methods(resources["CalculatePriceApi"]["Properties"]["Body"]) if "OPTIONS" not in key]
    assert sorted(rule.route for rule in RuleTable(authorizer.RULES).rules) == sorted(routes)
    api = local.rest_api(cognito_pool.verifier(token_use=None))
    assert sorted(route.key for route in api._routes) == sorted(routes)
    assert {key for key in methods(loaded(OPENAPI)) if "OPTIONS" not in key} == {*routes} - {
        "POST /proxy/pricepermeter"
    }


def test_both_documents_map_and_answer_alike(resources: dict[str, Any]) -> None:
    documents = (resources["CalculatePriceApi"]["Properties"]["Body"], loaded(OPENAPI))
    ours, other = (methods(one)["POST /pricepermeter"]["x-amazon-apigateway-integration"] for one in documents)
    assert ours["requestTemplates"] == other["requestTemplates"]
    assert ours["passthroughBehavior"] == other["passthroughBehavior"] == "never"
    for pattern in {**ours["responses"], **other["responses"]}:
        assert ours["responses"][pattern]["statusCode"] == other["responses"][pattern]["statusCode"]
        assert ours["responses"][pattern].get("responseTemplates") == other["responses"][pattern].get(
            "responseTemplates"
        )
    gateway = "x-amazon-apigateway-gateway-responses"
    denied, as_well = (one[gateway]["ACCESS_DENIED"]["responseTemplates"] for one in documents)
    assert denied == as_well
    assert "$context.authorizer.code" in denied["application/json"]


def test_every_function_has_its_handler_and_time_for_a_cold_start(resources: dict[str, Any]) -> None:
    functions = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::Lambda::Function"]
    modules = {"authorizer": authorizer, "calculate_price": calculate_price, "reports": reports}
    assert len(functions) == 5
    for function in functions:
        module, name = function["Handler"].split(".")
        assert hasattr(modules[module], name) or (module, name) in {  # made of settings that only Lambda has
            ("authorizer", "handler"),
            ("calculate_price", "http_handler"),
        }
        assert function["Timeout"] >= 5


def test_every_alarm_watches_a_metric_that_is_written(
    resources: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alarms = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    assert len(alarms) == 4
    for alarm in alarms:
        function, *others = alarm["Dimensions"]
        assert resources[function["Value"]["Ref"]]["Type"] == "AWS::Lambda::Function"
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", function["Value"]["Ref"])
        observer = CloudWatchObserver()
        observer(
            VerificationEvent(
                code="keys_unavailable", token_use=None, user_pool_id=None, seen_before=False, seconds=2.5
            )
        )
        observer(FetchEvent(jwks_uri="https://keys.example", error="timed out", keys=0, seconds=2.5, key_age=7_201))
        wanted = {"FunctionName": function["Value"]["Ref"], **{one["Name"]: one["Value"] for one in others}}
        values = [
            line[alarm["MetricName"]]
            for line in map(json.loads, capsys.readouterr().out.splitlines())
            for directive in line["_aws"]["CloudWatchMetrics"]
            if directive["Namespace"] == alarm["Namespace"]
            and directive["Metrics"][0]["Name"] == alarm["MetricName"]
            and sorted(wanted) in [sorted(names) for names in directive["Dimensions"]]
            and wanted.items() <= line.items()
        ]
        assert len(values) == 1
        assert values[0] > alarm["Threshold"]
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


@pytest.mark.parametrize(("module", "name"), [("authorizer", "handler"), ("calculate_price", "http_handler")])
def test_the_settings_make_the_handler_in_the_init_phase(module: str, name: str) -> None:
    settings = {
        "AWS_LAMBDA_FUNCTION_NAME": "fn",
        "COGNITO_USER_POOL_ID": "us-east-1_AbCdEfGhI",
        "COGNITO_CLIENT_ID": "1example23456789",
        "COGNITO_TOKEN_USE": "id",
    }
    for environment, status in ((settings, 0), ({**settings, "COGNITO_TOKEN_USE": "refresh"}, 1)):
        started = subprocess.run(
            [sys.executable, "-c", f"import {module}; {module}.{name}"],
            cwd=FOLDER,
            env={**{key: value for key, value in os.environ.items() if key != "PYTHONPATH"}, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert started.returncode == status, started.stderr
        assert ("COGNITO_TOKEN_USE: expected 'access' or 'id'" in started.stderr) is bool(status)
