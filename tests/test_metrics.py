"""The CloudWatch observer: lines that CloudWatch takes for metrics, and that tell the client's fault from ours."""

from __future__ import annotations

import inspect
import json
import threading
from typing import Any

import pytest

from cognito_verify import errors
from cognito_verify.aws_lambda.invocation import current_request_id, request_in_context
from cognito_verify.aws_lambda.metrics import CloudWatchObserver
from cognito_verify.errors import CognitoVerifyError, ConfigurationError
from cognito_verify.jwks import JwksCache
from cognito_verify.observer import FetchEvent, VerificationEvent
from cognito_verify.testing import FakeUserPool
from cognito_verify.verifier import CognitoVerifier

NOW = 1_795_514_514.25
POOL_ID = "us-east-1_TestPool1"
URI = "https://keys.example/jwks.json"

# "MetricDatum", CloudWatch API Reference; those that are a rate end in "/Second".
UNITS = {"Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "None"}

ERROR_CLASSES = [
    error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, CognitoVerifyError)
]


def verified(code: str | None = None) -> VerificationEvent:
    return VerificationEvent(
        code=code,
        token_use=None if code else "access",
        user_pool_id=None if code else POOL_ID,
        seen_before=False,
        seconds=0.000_123_4,
    )


def fetched(error: str | None = None, key_age: float | None = 0.0) -> FetchEvent:
    return FetchEvent(jwks_uri=URI, error=error, keys=0 if error else 2, seconds=0.1, key_age=key_age)


class Context:
    """As much of Lambda's context object as is read."""

    def __init__(self, aws_request_id: object) -> None:
        self.aws_request_id = aws_request_id


@pytest.fixture
def observer(monkeypatch: pytest.MonkeyPatch) -> CloudWatchObserver:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "calculate-price")
    return CloudWatchObserver(clock=lambda: NOW)


def line_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one line that was written since the last look."""
    written = capsys.readouterr()
    assert written.err == ""
    assert written.out.endswith("\n")
    (line,) = written.out.splitlines()
    document: dict[str, Any] = json.loads(line)
    return document


def metrics_of(document: dict[str, Any]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What CloudWatch extracts from a document, refusing what its specification forbids.

    Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide.
    """
    assert document.keys() >= {"_aws"}
    metadata = document["_aws"]
    assert metadata.keys() == {"Timestamp", "CloudWatchMetrics"}  # objects of the format have no other members
    assert type(metadata["Timestamp"]) is int
    assert 1_000 * NOW - 14 * 86_400_000 < metadata["Timestamp"] < 1_000 * NOW + 7_200_000  # milliseconds
    assert isinstance(metadata["CloudWatchMetrics"], list)
    found = {}
    for directive in metadata["CloudWatchMetrics"]:
        assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
        assert isinstance(directive["Namespace"], str)
        assert 1 <= len(directive["Namespace"]) <= 1_024
        assert len(directive["Dimensions"]) >= 1
        assert 1 <= len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert {"Name"} <= metric.keys() <= {"Name", "Unit", "StorageResolution"}
            assert 1 <= len(metric["Name"]) <= 1_024
            assert metric.get("Unit", "None") in UNITS
            value = document[metric["Name"]]  # a target is a member of the root
            assert type(value) in (int, float)
            for names in directive["Dimensions"]:
                assert len(names) <= 30
                for name in names:
                    assert 1 <= len(name) <= 250
                    assert isinstance(document[name], str)
                    assert 1 <= len(document[name]) <= 1_024
                found[metric["Name"], tuple((name, document[name]) for name in names)] = value
    return found


FUNCTION = ("FunctionName", "calculate-price")


@pytest.mark.parametrize(
    ("event", "metrics"),
    [
        pytest.param(verified(), {("Allowed", (FUNCTION,)): 1}, id="allowed"),
        pytest.param(
            verified("token_expired"),
            {
                ("Refused", (FUNCTION, ("Fault", "client"))): 1,
                ("Refused", (FUNCTION, ("Code", "token_expired"))): 1,
            },
            id="the-clients-fault",
        ),
        pytest.param(
            verified("keys_unavailable"),
            {
                ("Refused", (FUNCTION, ("Fault", "ours"))): 1,
                ("Refused", (FUNCTION, ("Code", "keys_unavailable"))): 1,
            },
            id="our-fault",
        ),
        pytest.param(
            fetched(),
            {("KeyFetch", (FUNCTION, ("Outcome", "succeeded"))): 1, ("KeyAge", (FUNCTION,)): 0},
            id="fetched",
        ),
        pytest.param(
            fetched("answered 503", key_age=4_000.5),
            {("KeyFetch", (FUNCTION, ("Outcome", "failed"))): 1, ("KeyAge", (FUNCTION,)): 4_000.5},
            id="not-fetched",
        ),
        pytest.param(
            fetched("answered 503", key_age=None),
            {("KeyFetch", (FUNCTION, ("Outcome", "failed"))): 1},
            id="no-keys-at-all",
        ),
        pytest.param(
            fetched("answered 503", key_age=-2.0),
            {("KeyFetch", (FUNCTION, ("Outcome", "failed"))): 1, ("KeyAge", (FUNCTION,)): 0},
            id="clock-set-back",
        ),
    ],
)
def test_cloudwatch_finds_these_metrics_in_the_line_of_an_event(
    observer: CloudWatchObserver,
    capsys: pytest.CaptureFixture[str],
    event: VerificationEvent | FetchEvent,
    metrics: dict[Any, float],
) -> None:
    observer(event)
    document = line_of(capsys)
    assert metrics_of(document) == metrics
    assert document["_aws"]["Timestamp"] == 1_795_514_514_250
    assert {directive["Namespace"] for directive in document["_aws"]["CloudWatchMetrics"]} == {"CognitoVerify"}


@pytest.mark.parametrize("error", ERROR_CLASSES, ids=lambda error: error.__name__)
def test_what_a_client_sees_as_500_or_503_is_ours_and_all_else_is_the_clients(
    observer: CloudWatchObserver, capsys: pytest.CaptureFixture[str], error: type[CognitoVerifyError]
) -> None:
    observer(verified(error.code))
    assert line_of(capsys)["Fault"] == ("ours" if error.http_status >= 500 else "client")


@pytest.mark.parametrize(("code", "fault"), [("unforeseen", "ours"), ("tenant_suspended", "client")])
def test_an_unforeseen_error_is_ours_and_a_refusal_of_the_applications_own_is_the_clients(
    observer: CloudWatchObserver, capsys: pytest.CaptureFixture[str], code: str, fault: str
) -> None:
    observer(verified(code))
    assert line_of(capsys)["Fault"] == fault


def test_the_line_is_a_log_line_as_well(observer: CloudWatchObserver, capsys: pytest.CaptureFixture[str]) -> None:
    observer(verified())
    allowed = line_of(capsys)
    del allowed["_aws"]
    assert allowed == {
        "FunctionName": "calculate-price",
        "request_id": None,
        "Allowed": 1,
        "event": "allowed",
        "token_use": "access",
        "user_pool_id": POOL_ID,
        "seen_before": False,
        "milliseconds": 0.123,
    }
    observer(fetched("answered 503", key_age=None))
    failed = line_of(capsys)
    del failed["_aws"]
    assert failed == {
        "FunctionName": "calculate-price",
        "request_id": None,
        "KeyFetch": 1,
        "Outcome": "failed",
        "event": "fetch",
        "jwks_uri": URI,
        "error": "answered 503",
        "keys": 0,
        "milliseconds": 100.0,
    }


def test_an_event_is_one_line_whatever_an_endpoint_answered(
    observer: CloudWatchObserver, capsys: pytest.CaptureFixture[str]
) -> None:
    observer(fetched('ends here\n{"Allowed": 1}\r\u2028\u0085', key_age=None))
    assert line_of(capsys)["error"].startswith("ends here\n")


def test_lines_carry_the_id_of_the_request_that_is_being_handled(
    observer: CloudWatchObserver, capsys: pytest.CaptureFixture[str]
) -> None:
    with request_in_context(Context("0f3a4d0e")):
        observer(verified())
        assert line_of(capsys)["request_id"] == "0f3a4d0e"
        with request_in_context(Context("9d43")):
            assert current_request_id() == "9d43"
        assert current_request_id() == "0f3a4d0e"
    observer(verified())
    assert line_of(capsys)["request_id"] is None


@pytest.mark.parametrize("context", [None, object(), Context(None), Context(7)], ids=["None", "object", "no-id", "int"])
def test_what_has_no_request_id_clears_it_for_the_block(context: object) -> None:
    with request_in_context(Context("before")), request_in_context(context):
        assert current_request_id() is None


def test_the_request_id_is_cleared_when_the_handler_raises() -> None:
    with pytest.raises(ZeroDivisionError), request_in_context(Context("0f3a4d0e")):
        raise ZeroDivisionError
    assert current_request_id() is None


def test_requests_in_other_threads_keep_their_own_ids() -> None:
    seen: list[str | None] = []
    barrier = threading.Barrier(2)

    def handle(request_id: str) -> None:
        with request_in_context(Context(request_id)):
            barrier.wait(timeout=10)
            seen.append(current_request_id())

    threads = [threading.Thread(target=handle, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, seen)) == ["one", "two"]


def test_outside_lambda_the_function_is_called_local(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    CloudWatchObserver("Shop/Tokens", clock=lambda: NOW)(verified())
    document = line_of(capsys)
    assert metrics_of(document) == {("Allowed", (("FunctionName", "local"),)): 1}
    assert document["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Shop/Tokens"


@pytest.mark.parametrize("namespace", ["", " ", "x" * 256, "AWS/Lambda", ":shop", None, 7], ids=repr)
def test_a_namespace_that_cloudwatch_would_not_take_is_refused(namespace: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^namespace: expected") as refusal:
        CloudWatchObserver(namespace)
    assert type(refusal.value) is ConfigurationError
    assert repr(CloudWatchObserver("x" * 255)) == f"CloudWatchObserver('{'x' * 255}')"


def test_a_clock_that_cannot_be_asked_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^clock: expected a callable, found 7$"):
        CloudWatchObserver(clock=7)  # type: ignore[arg-type]


def test_a_verifier_writes_a_line_for_each_decision_and_fetch_and_never_a_token(
    observer: CloudWatchObserver, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = FakeUserPool(POOL_ID, client_id="test-client")
    with pool.serve() as jwks_uri:
        verifier = CognitoVerifier(
            POOL_ID,
            client_id="test-client",
            token_use="access",
            jwks_cache=JwksCache(observer=observer),
            observer=observer,
            jwks_uri=jwks_uri,
        )
        good, expired = pool.access_token(username="ada"), pool.access_token(username="ada", expires_in=-1)
        verifier.verify(good)
        verifier.verify(good)
        for refused in (expired, pool.id_token(), "e30.e30.e30", None):
            with pytest.raises(errors.TokenError):
                verifier.verify(refused)
    written = capsys.readouterr().out
    documents = [json.loads(line) for line in written.splitlines()]
    assert sorted(document["event"] for document in documents) == ["allowed"] * 2 + ["fetch"] + ["refused"] * 4
    assert [document["seen_before"] for document in documents if document["event"] == "allowed"] == [False, True]
    assert [document["Code"] for document in documents if document["event"] == "refused"] == [
        "token_expired",
        "invalid_token_use",
        "malformed_token",
        "missing_token",
    ]
    for raw in (good, expired):
        for part in raw.split("."):
            assert part not in written
    assert "ada" not in written
