"""What scanners flag and nobody needs, and what a release holds."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import jose.backends
import jose.jwk
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from cognito_verify.errors import ConfigurationError, UnsupportedAlgorithmError
from cognito_verify.keys import KeySet, verify_compact
from cognito_verify.testing import FakeUserPool
from tests.lambda_events import token_authorizer_event
from tools import dist
from tools.layer import LEFT_OUT

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VEX = json.loads((ROOT / dist.VEX).read_text(encoding="utf-8"))
EPOCH = 1_700_000_000  # seconds; any time will do

# ecdsa, rsa and pyasn1: python-jose's requirements, and nobody's need

UNUSED = ("ecdsa", "pyasn1", "rsa")
EVERYTHING = """
import json, sys
given = json.load(sys.stdin)
sys.modules.update(dict.fromkeys(given["blocked"]))  # None: an import of it, or of a part of it, fails
import cognito_verify
from cognito_verify import CognitoVerifier, CognitoVerifyError, JwksCache, any_of
from cognito_verify.aws_lambda import LambdaAuthorizer, require_token
for name in cognito_verify.__all__:
    getattr(cognito_verify, name)
options = {"client_id": given["client"], "token_use": "access"}
known = CognitoVerifier(given["pool"], **options, jwks=given["jwks"])
cache = JwksCache(timeout=(20, 20), deadline=40)  # modules without .pyc files on a busy machine take their time
fetching = CognitoVerifier(given["pool"], **options, jwks_uri=given["jwks_uri"], jwks_cache=cache)
codes = []
for verifier in (known, fetching):
    assert verifier.verify(given["good"], groups=any_of("admin")).username == "ada"
    for bad in given["bad"]:
        try:
            verifier.verify(bad)
        except CognitoVerifyError as error:
            codes.append(error.code)
effects = []
authorizer = LambdaAuthorizer(known)
for token in (given["good"], given["bad"][0]):
    try:
        answer = authorizer(given["event"] | {"authorizationToken": token})
        effects.append(answer["policyDocument"]["Statement"][0]["Effect"])
    except Exception as error:
        effects.append(str(error))
from cognito_verify.testing import FakeUserPool
pool = FakeUserPool()
pool.verifier().verify(pool.access_token())
loaded = sorted({name.split(".")[0] for name, module in sys.modules.items() if module is not None})
json.dump({"codes": codes, "effects": effects, "loaded": loaded}, sys.stdout)
"""


def everything(*blocked: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """A new interpreter verifies, refuses, fetches, authorizes and mints; it cannot import what is blocked."""
    pool = FakeUserPool()
    with pool.serve() as jwks_uri:
        given = {
            "blocked": blocked,
            "pool": pool.user_pool_id,
            "client": pool.client_id,
            "jwks": pool.jwks,
            "jwks_uri": jwks_uri,
            "good": pool.access_token(username="ada", groups=["admin"]),
            "bad": [pool.tampered(), pool.expired(), "e30.e30.e30"],
            "event": token_authorizer_event("t"),
        }
        return subprocess.run(
            [python, "-c", EVERYTHING],
            input=json.dumps(given),
            capture_output=True,
            check=False,
            env={name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTHON"))},
            text=True,
            timeout=60,
        )


def test_the_public_surface_works_with_none_of_the_three_importable() -> None:
    answer = everything(*UNUSED)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["codes"] == ["invalid_signature", "token_expired", "malformed_token"] * 2
    assert found["effects"] == ["Allow", "Unauthorized"]


def test_a_process_that_does_all_of_it_imports_none_of_the_three() -> None:
    answer = everything()
    assert answer.returncode == 0, answer.stderr
    loaded = set(json.loads(answer.stdout)["loaded"])
    assert {"cognito_verify", "cryptography", "jose", "requests"} <= loaded
    assert loaded & set(UNUSED) == set()


@pytest.mark.parametrize(
    ("needed", "error"),
    [
        ("cryptography", "ModuleNotFoundError"),
        ("jose", "ModuleNotFoundError"),
        ("requests", "requests cannot be imported"),
    ],
)
def test_a_package_that_is_needed_and_blocked_is_missed(needed: str, error: str) -> None:
    answer = everything(*UNUSED, needed)
    assert answer.returncode == 1
    assert error in answer.stderr


def test_no_token_and_no_key_set_makes_python_jose_build_an_hmac_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where python-jose 3.5.0 takes a public key in DER, or nothing at all, for an HMAC secret."""
    built: list[object] = []
    monkeypatch.setattr(jose.backends.HMACKey, "__init__", lambda *given: built.append(given))
    pool = FakeUserPool()
    secrets = [{"kty": "oct", "kid": key["kid"], "k": secret} for key in pool.jwks["keys"] for secret in ("", "AAAA")]
    for jwks in (pool.jwks, {"keys": secrets}, {"keys": [*pool.jwks["keys"], *secrets]}):
        keys = KeySet.from_jwks(jwks, ("RS256", "ES256"))
        for algorithm in ("HS256", "HS384", "HS512", "none"):
            with pytest.raises(UnsupportedAlgorithmError):
                verify_compact(pool.sign({**pool.header(), "alg": algorithm}, {}), keys)
    with pytest.raises(ConfigurationError):
        KeySet.from_jwks({"keys": secrets}, ("HS256",))
    assert built == []
    jose.jwk.construct({"kty": "oct", "k": ""}, "HS256")
    assert len(built) == 1


def test_the_layers_leave_out_the_same_three() -> None:
    assert set(UNUSED) == LEFT_OUT


# What a release holds


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def tree(into: Path, *, modified: int, mode: int) -> Path:
    """A copy of the sources, with times and permissions of its own."""
    named = PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    into.mkdir(parents=True)
    for name in (*named, "/.gitignore"):
        source = ROOT / name.removeprefix("/")
        if source.is_dir():
            shutil.copytree(source, into / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, into)
    for path in into.rglob("*"):
        if path.is_file():
            path.chmod(mode)
        os.utime(path, (modified, modified))
    return into


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel and sdist, built in two places from files of other times and permissions."""
    folder = tmp_path_factory.mktemp("built")
    sources = (
        tree(folder / "a" / "source", modified=1_000_000_000, mode=0o644),
        tree(folder / "another-longer-place" / "s", modified=1_600_000_000, mode=0o600),
    )
    for number, source in enumerate(sources):
        dist.build(source, folder / f"out-{number}", EPOCH)
    return folder / "out-0", folder / "out-1"


def test_wheel_and_sdist_are_the_same_bytes_wherever_they_are_built(built: tuple[Path, Path]) -> None:
    first, second = map(digests, built)
    assert len(first) == 2
    assert first == second


def test_the_dates_in_wheel_and_sdist_are_the_ones_given(built: tuple[Path, Path]) -> None:
    (wheel,), (sdist,) = built[0].glob("*.whl"), built[0].glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
    with tarfile.open(sdist) as packed:
        assert {entry.mtime for entry in packed.getmembers()} == {EPOCH}


def listed() -> dict[str, Any]:
    """As cyclonedx-py lists a bare environment, in short."""
    versions = {"ecdsa": "0.19.2", "pyasn1": "0.6.5", "python-jose": "3.5.0"}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": "2023-11-14T22:13:20+00:00",
            "component": {"bom-ref": "root-component", "name": "cognito-verify", "type": "library"},
        },
        "components": [
            {
                "bom-ref": f"{name}=={version}",
                "name": name,
                "purl": f"pkg:pypi/{name}@{version}",
                "type": "library",
                "version": version,
            }
            for name, version in versions.items()
        ],
        "dependencies": [
            {"ref": "root-component", "dependsOn": ["python-jose==3.5.0"]},
            {"ref": "python-jose==3.5.0", "dependsOn": ["ecdsa==0.19.2", "pyasn1==0.6.5"]},
            {"ref": "ecdsa==0.19.2"},
            {"ref": "pyasn1==0.6.5"},
        ],
    }


def vex_source() -> dict[str, Any]:
    source: dict[str, Any] = json.loads(json.dumps(VEX))
    return source


def schema_error(document: dict[str, Any]) -> object:
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))


def test_the_sbom_is_valid_and_its_own_component_has_a_version_and_the_hashes_of_what_is_released(
    built: tuple[Path, Path],
) -> None:
    sbom = dist.sbom_of(listed(), "0.1.0", built[0])
    assert schema_error(sbom) is None
    root = sbom["metadata"]["component"]
    assert (root["purl"], root["version"]) == ("pkg:pypi/cognito-verify@0.1.0", "0.1.0")
    released = {one["url"]: one["hashes"][0]["content"] for one in root["externalReferences"]}
    assert released == digests(built[0])
    refs = {root["bom-ref"], *(component["bom-ref"] for component in sbom["components"])}
    assert refs == {root["purl"], *(component["purl"] for component in sbom["components"])}
    assert {one["ref"] for one in sbom["dependencies"]} == refs
    assert {ref for one in sbom["dependencies"] for ref in one.get("dependsOn", ())} <= refs


def test_the_vex_is_valid_and_speaks_of_components_of_the_sbom(built: tuple[Path, Path]) -> None:
    sbom = dist.sbom_of(listed(), "0.1.0", built[0])
    vex = dist.vex_of(vex_source(), sbom)
    assert schema_error(vex) is None
    assert vex["metadata"]["component"]["purl"] == sbom["metadata"]["component"]["purl"]
    prefix = f"urn:cdx:{sbom['serialNumber'].removeprefix('urn:uuid:')}/1#"
    linked = {one["ref"] for vulnerability in vex["vulnerabilities"] for one in vulnerability["affects"]}
    versions = ("ecdsa@0.19.2", "pyasn1@0.6.5", "python-jose@3.5.0")
    assert linked == {f"{prefix}pkg:pypi/{version}" for version in versions}


def test_the_vex_answers_what_scanners_flag_in_ecdsa() -> None:
    (statement,) = (one for one in VEX["vulnerabilities"] if one["id"] == "CVE-2024-23342")
    assert statement["affects"] == [{"ref": "pkg:pypi/ecdsa"}]
    assert statement["analysis"]["state"] == "not_affected"
    assert statement["analysis"]["justification"] == "code_not_reachable"


@pytest.mark.parametrize("statement", VEX["vulnerabilities"], ids=lambda one: one["id"])
def test_a_statement_of_the_vex_is_about_code_that_never_runs_and_names_the_test_that_proves_it(
    statement: dict[str, Any],
) -> None:
    assert {one["ref"].removeprefix("pkg:pypi/") for one in statement["affects"]} <= {*UNUSED, "python-jose"}
    assert (statement["analysis"]["state"], statement["analysis"]["justification"]) == (
        "not_affected",
        "code_not_reachable",
    )
    named = set(re.findall(r"\btest_\w+(?!\.py)\b", statement["analysis"]["detail"])) - {"test_supply_chain"}
    assert named
    assert named <= globals().keys()


def test_a_document_that_breaks_the_schema_is_refused() -> None:
    wrong = vex_source()
    assert schema_error(wrong) is None
    wrong["vulnerabilities"][0]["analysis"]["justification"] = "we_think_so"
    assert schema_error(wrong) is not None


def test_a_statement_about_what_is_not_in_the_sbom_fails_the_release(built: tuple[Path, Path]) -> None:
    without = listed()
    without["components"] = [one for one in without["components"] if one["name"] != "pyasn1"]
    without["dependencies"] = [{"ref": "root-component"}]
    with pytest.raises(SystemExit, match="CVE-2026-23490: pkg:pypi/pyasn1 is not in the SBOM"):
        dist.vex_of(vex_source(), dist.sbom_of(without, "0.1.0", built[0]))


def test_the_serial_number_is_the_contents_own(built: tuple[Path, Path]) -> None:
    first, again, other = (dist.sbom_of(listed(), version, built[0]) for version in ("0.1.0", "0.1.0", "0.2.0"))
    assert first["serialNumber"] == again["serialNumber"]
    assert first["serialNumber"] != other["serialNumber"]
