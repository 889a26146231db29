"""What `import cognito_verify` offers: every name, loaded when first asked for, with the parameters of the contract."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cognito_verify
from cognito_verify.errors import CognitoVerifyError, ConfigurationError
from cognito_verify.jwks import JwksCache
from cognito_verify.pool import UserPool
from cognito_verify.verifier import CognitoVerifier

NAMES = {
    "AccessToken",
    "CognitoVerifier",
    "IdToken",
    "JwksCache",
    "UserPool",
    "all_of",
    "any_of",
    "bearer_token",
    "current_token",
}
ERRORS = {
    "AccessDeniedError",
    "CheckFailedError",
    "CognitoVerifyError",
    "ConfigurationError",
    "InsufficientScopeError",
    "InvalidClaimError",
    "InvalidClientError",
    "InvalidIssuerError",
    "InvalidResourceError",
    "InvalidSignatureError",
    "InvalidTokenUseError",
    "KeysUnavailableError",
    "MalformedTokenError",
    "MissingGroupError",
    "MissingTokenError",
    "ReauthenticationRequiredError",
    "TokenError",
    "TokenExpiredError",
    "TokenNotYetValidError",
    "UnknownKeyError",
    "UnsupportedAlgorithmError",
}
REQUIRED = inspect.Parameter.empty


def in_a_new_interpreter(program: str) -> str:
    """What the program prints; the names are loaded in there for the first time."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHONWARN")}
    root = str(Path(cognito_verify.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        check=False,
        cwd=root,
        env=environment,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_public_names_are_those_of_the_contract() -> None:
    assert set(cognito_verify.__all__) == NAMES | ERRORS
    assert cognito_verify.__all__ == sorted(cognito_verify.__all__, key=lambda name: (name[0].islower(), name))


@pytest.mark.parametrize("name", sorted(NAMES | ERRORS))
def test_a_public_name_is_that_of_its_room(name: str) -> None:
    value = getattr(cognito_verify, name)
    assert value.__name__ == name
    assert value.__module__.startswith("cognito_verify.")
    assert getattr(importlib.import_module(value.__module__), name) is value
    assert inspect.getdoc(value)
    assert getattr(cognito_verify, name) is value


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_a_public_error_is_one_of_ours(name: str) -> None:
    assert issubclass(getattr(cognito_verify, name), CognitoVerifyError)


@pytest.mark.parametrize("name", ["CognitoVerifer", "cognitoverifier", "shown", "KeySet", "__path_", ""])
def test_a_typo_is_an_attribute_error_that_names_it(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'cognito_verify' has no attribute '{name}'"):
        getattr(cognito_verify, name)
    assert not hasattr(cognito_verify, name)
    assert hasattr(cognito_verify, "CognitoVerifier")


def test_a_typo_cannot_be_imported() -> None:
    with pytest.raises(ImportError, match="CognitoVerifer"):
        exec("from cognito_verify import CognitoVerifer", {})  # noqa: S102
    exec("from cognito_verify import CognitoVerifier", {})  # noqa: S102


def test_a_star_imports_the_public_names() -> None:
    namespace: dict[str, Any] = {}
    exec("from cognito_verify import *", namespace)  # noqa: S102
    assert namespace.keys() - {"__builtins__"} == NAMES | ERRORS


def test_dir_lists_every_public_name_once_and_before_it_is_loaded() -> None:
    assert set(dir(cognito_verify)) >= NAMES | ERRORS | {"__version__", "__all__"}
    assert len(dir(cognito_verify)) == len(set(dir(cognito_verify)))
    listed = in_a_new_interpreter("import cognito_verify, sys; print(dir(cognito_verify), 'jose' in sys.modules)")
    names, _, loaded = listed.rpartition(" ")
    assert loaded == "False"
    assert set(ast.literal_eval(names)) >= NAMES | ERRORS


@pytest.mark.parametrize("name", ["CognitoVerifyError", "UserPool", "any_of", "bearer_token"])
def test_a_name_loads_its_own_room_and_no_cryptography(name: str) -> None:
    program = f"import sys; from cognito_verify import {name}; print('jose' in sys.modules, 'requests' in sys.modules)"
    assert in_a_new_interpreter(program) == "False False"


def test_threads_may_ask_for_names_at_once() -> None:
    program = """
import threading, cognito_verify
barrier, found = threading.Barrier(8), []
def ask():
    barrier.wait()
    found.append(cognito_verify.CognitoVerifier)
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), len(set(found)))
"""
    assert in_a_new_interpreter(program) == "8 1"


def parameters(function: Callable[..., object]) -> list[tuple[str, str, Any]]:
    """Name, kind and default; the keyword-only ones, whose order means nothing, by name."""
    found = [(one.name, one.kind.name, one.default) for one in inspect.signature(function).parameters.values()]
    return sorted(found, key=lambda one: one[0] if one[1] == "KEYWORD_ONLY" else "")


def keyword_only(**defaults: Any) -> list[tuple[str, str, Any]]:
    return [(name, "KEYWORD_ONLY", default) for name, default in sorted(defaults.items())]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        pytest.param(
            UserPool,
            [
                ("user_pool_id", "POSITIONAL_OR_KEYWORD", REQUIRED),
                *keyword_only(
                    client_id=REQUIRED,
                    resource=None,
                    replica_regions=(),
                    issuer_type=None,
                    issuer=None,
                    jwks_uri=None,
                    jwks=None,
                ),
            ],
            id="UserPool",
        ),
        pytest.param(
            UserPool.local,
            [
                ("endpoint", "POSITIONAL_OR_KEYWORD", REQUIRED),
                ("user_pool_id", "POSITIONAL_OR_KEYWORD", REQUIRED),
                *keyword_only(client_id=REQUIRED, issuer=None),
            ],
            id="UserPool.local",
        ),
        pytest.param(
            JwksCache,
            keyword_only(
                ttl=3600,
                max_stale=21_600,
                cooldown=10,
                timeout=(1.0, 1.5),
                deadline=2.5,
                retries=1,
                fetch=None,
                background_refresh=False,
                observer=None,
                clock=time.time,
            ),
            id="JwksCache",
        ),
        *(
            pytest.param(
                function,
                [
                    ("self", "POSITIONAL_OR_KEYWORD", REQUIRED),
                    ("raw", "POSITIONAL_OR_KEYWORD", REQUIRED),
                    *keyword_only(groups=None, scopes=None),
                ],
                id=function.__name__,
            )
            for function in (CognitoVerifier.verify, CognitoVerifier.verify_async)
        ),
        pytest.param(CognitoVerifier.from_env, [("options", "VAR_KEYWORD", REQUIRED)], id="from_env"),
        pytest.param(
            CognitoVerifier.prefetch, [("self", "POSITIONAL_OR_KEYWORD", REQUIRED)], id="CognitoVerifier.prefetch"
        ),
        pytest.param(
            cognito_verify.bearer_token, [("header_value", "POSITIONAL_OR_KEYWORD", REQUIRED)], id="bearer_token"
        ),
        pytest.param(cognito_verify.current_token, [], id="current_token"),
        pytest.param(cognito_verify.any_of, [("names", "VAR_POSITIONAL", REQUIRED)], id="any_of"),
        pytest.param(cognito_verify.all_of, [("names", "VAR_POSITIONAL", REQUIRED)], id="all_of"),
    ],
)
def test_a_signature_is_that_of_the_contract(function: Callable[..., object], expected: list[Any]) -> None:
    assert parameters(function) == expected


def test_the_verifiers_signature_is_that_of_the_contract() -> None:
    found = parameters(CognitoVerifier)
    unsaid = next(default for name, _, default in found if name == "client_id")
    assert unsaid is not None
    assert found == [
        ("user_pool", "POSITIONAL_OR_KEYWORD", REQUIRED),
        *keyword_only(
            client_id=unsaid,  # required with an id, not with UserPool objects
            token_use=REQUIRED,
            groups=None,
            scopes=None,
            leeway=0,
            max_age=None,
            claims=None,
            checks=(),
            jwks=None,
            jwks_cache=None,
            jwks_uri=None,
            observer=None,
            token_cache_size=1024,
            max_token_bytes=16_384,
            clock=time.time,
        ),
    ]
    with pytest.raises(ConfigurationError):
        CognitoVerifier("us-east-1_TestPool1", token_use="access")


def test_verify_async_is_a_coroutine_function_and_verify_is_none() -> None:
    assert inspect.iscoroutinefunction(CognitoVerifier.verify_async)
    assert not inspect.iscoroutinefunction(CognitoVerifier.verify)


def test_types_ship_with_the_package() -> None:
    assert (Path(cognito_verify.__file__).parent / "py.typed").exists()
    assert cognito_verify.__version__.count(".") == 2


def test_help_shows_which_option_must_be_said() -> None:
    assert "client_id: 'str | Collection[str] | None' = <must be said>" in str(inspect.signature(CognitoVerifier))
