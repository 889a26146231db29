"""CloudWatchObserver: each decision and each fetch as one line that CloudWatch reads as metrics and people as a log.

It is told what an observer is told: no token and no unverified claim.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from cognito_verify.aws_lambda.invocation import current_request_id
from cognito_verify.errors import CognitoVerifyError, ConfigurationError, KeysUnavailableError, shown
from cognito_verify.observer import FetchEvent, VerificationEvent

__all__ = ["CloudWatchObserver"]

# What no client can mend; "unforeseen" is what a check raised that is no refusal. A code of the application's own is a
# refusal's, so it is the client's fault.
_OURS = frozenset({CognitoVerifyError.code, ConfigurationError.code, KeysUnavailableError.code, "unforeseen"})
_MOST_CHARACTERS = 255  # "MetricDatum", CloudWatch API Reference

_Metric = tuple[str, str, tuple[str, ...]]
"""Name, unit, and the dimensions besides `FunctionName`: each makes a metric of its own."""

_Line = tuple[list[_Metric], dict[str, Any]]


class CloudWatchObserver:
    """Writes CloudWatch metrics in the embedded metric format, which are JSON log lines at the same time.

    One line to stdout for each event: `Allowed`, `Refused` (by `Fault`, "client" or "ours", and by `Code`), `KeyFetch`
    (by `Outcome`) and `KeyAge`, all by `FunctionName`; with the request id, where `request_in_context` has told it.

    Args:
        namespace: The metrics' namespace in CloudWatch.
        clock: Seconds since the epoch.

    Raises:
        ConfigurationError: The namespace is none that CloudWatch takes.

    Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide.
    """

    def __init__(self, namespace: str = "CognitoVerify", *, clock: Callable[[], float] = time.time) -> None:
        if not isinstance(namespace, str) or not 0 < len(namespace.strip()) <= len(namespace) <= _MOST_CHARACTERS:
            raise ConfigurationError(
                f"namespace: expected 1 to {_MOST_CHARACTERS} characters, found {shown(namespace)}"
            )
        if namespace.startswith(("AWS/", ":")):
            raise ConfigurationError(f"namespace: expected one of your own, found {shown(namespace)}, which AWS keeps")
        if not callable(clock):
            raise ConfigurationError(f"clock: expected a callable, found {shown(clock)}")
        self._namespace = namespace
        self._clock = clock
        self._function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME") or "local"

    def __call__(self, event: VerificationEvent | FetchEvent) -> None:
        """Write the event's line."""
        if isinstance(event, FetchEvent):
            self._write(*_fetched(event))
        elif event.code is None:
            self._write([("Allowed", "Count", ())], {"Allowed": 1, "event": "allowed", **_decision(event)})
        else:
            self._write(*_refused(event, event.code))

    def __repr__(self) -> str:
        return f"CloudWatchObserver({self._namespace!r})"

    def _write(self, metrics: list[_Metric], members: dict[str, Any]) -> None:
        directives = [
            {
                "Namespace": self._namespace,
                "Dimensions": [["FunctionName", name] for name in dimensions] or [["FunctionName"]],
                "Metrics": [{"Name": name, "Unit": unit}],
            }
            for name, unit, dimensions in metrics
        ]
        line = {
            "_aws": {"Timestamp": int(self._clock() * 1_000), "CloudWatchMetrics": directives},
            "FunctionName": self._function_name,
            "request_id": current_request_id(),
            **members,
        }
        # One call, so that lines of several threads do not mix; and stdout of now: Lambda's runtime replaces it.
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")


def _refused(event: VerificationEvent, code: str) -> _Line:
    fault = "ours" if code in _OURS else "client"
    members = {"Refused": 1, "Fault": fault, "Code": code, "event": "refused", **_decision(event)}
    return [("Refused", "Count", ("Fault", "Code"))], members


def _decision(event: VerificationEvent) -> dict[str, Any]:
    return {
        "token_use": event.token_use,
        "user_pool_id": event.user_pool_id,
        "seen_before": event.seen_before,
        "milliseconds": round(event.seconds * 1_000, 3),
    }


def _fetched(event: FetchEvent) -> _Line:
    metrics: list[_Metric] = [("KeyFetch", "Count", ("Outcome",))]
    members = {
        "KeyFetch": 1,
        "Outcome": "succeeded" if event.error is None else "failed",
        "event": "fetch",
        "jwks_uri": event.jwks_uri,
        "error": event.error,
        "keys": event.keys,
        "milliseconds": round(event.seconds * 1_000, 3),
    }
    if event.key_age is not None:
        metrics.append(("KeyAge", "Seconds", ()))
        members["KeyAge"] = round(max(0.0, event.key_age), 3)  # a clock that was set back makes no negative age
    return metrics, members
