"""The Lambda layers of `make layer`: built as a user builds them, and imported as Lambda would."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from cognito_verify.testing import FakeUserPool
from tests.lambda_events import token_authorizer_event
from tools.layer import LEFT_OUT, MACHINES, RUNTIMES, Layer, build_layers, find_python, needed

ROOT = Path(__file__).parents[2]
ELF_MACHINES = {"x86_64": 62, "arm64": 183}  # e_machine, in the psABI of each architecture
TARGETS = [(runtime, architecture) for runtime in RUNTIMES for architecture in MACHINES]

# What the runtime does with the layer on its path, and with nothing else that is installed.
PROGRAM = """
import json, sys
given = json.load(sys.stdin)
sys.path.insert(0, given["layer"])
import os
os.environ.update(given["environment"])
from importlib.util import find_spec
from cognito_verify.aws_lambda import authorize
answer = authorize(given["event"])
import requests  # what a fetch needs
specs = [module.__spec__ for name, module in sys.modules.items() if name.split(".")[0] in given["names"]]
specs = [spec for spec in specs if spec is not None and spec.has_location]  # not the parts of a native module
json.dump({
    "effect": answer["policyDocument"]["Statement"][0]["Effect"],
    "from elsewhere": [repr(spec) for spec in specs if not spec.origin.startswith(given["layer"])],
    "left out": [name for name in given["left out"] if find_spec(name)],
    "loaded": sorted({spec.name.split(".")[0] for spec in specs}),
    "not compiled": [repr(spec) for spec in specs if spec.cached and not os.path.exists(spec.cached)],
}, sys.stdout)
"""


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Layer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        built = build_layers(tmp_path_factory.mktemp("layer") / "built")
    return {(layer.runtime, layer.architecture): layer for layer in built}


def test_there_is_a_layer_for_each_runtime_and_architecture(layers: dict[tuple[str, str], Layer]) -> None:
    assert sorted(layers) == sorted(TARGETS)
    for (runtime, architecture), layer in layers.items():
        assert layer.path.name == f"cognito-verify-python{runtime}-{architecture}.zip"
        assert layer.unzipped_bytes < 40e6
        with zipfile.ZipFile(layer.path) as archive:
            assert sum(entry.file_size for entry in archive.infolist()) == layer.unzipped_bytes


@pytest.mark.parametrize("target", TARGETS, ids="-".join)
def test_every_wheel_is_one_for_the_runtime_and_the_architecture(
    layers: dict[tuple[str, str], Layer], target: tuple[str, str]
) -> None:
    wheels = layers[target].wheels
    assert {"cryptography", "python-jose", "cognito-verify"} <= {parse_wheel_filename(one.name)[0] for one in wheels}
    for wheel in wheels:
        assert any(is_fit(tag, *target) for tag in parse_wheel_filename(wheel.name)[3]), wheel.name


def is_fit(tag: Tag, runtime: str, architecture: str) -> bool:
    """By PEP 425 and PEP 600, for a Lambda runtime on Amazon Linux 2023 (glibc 2.34)."""
    minor = int(runtime.removeprefix("3."))
    if tag.platform != "any":
        found = re.fullmatch(r"manylinux_2_(\d+)_(.+)", tag.platform.replace("manylinux2014", "manylinux_2_17"))
        if found is None or int(found[1]) > 34 or found[2] != MACHINES[architecture]:
            return False
    if tag.abi == "abi3":
        return tag.interpreter.startswith("cp3") and int(tag.interpreter.removeprefix("cp3")) <= minor
    return (tag.interpreter, tag.abi) in {("py3", "none"), (f"cp3{minor}", "none"), (f"cp3{minor}", f"cp3{minor}")}


@pytest.mark.parametrize(
    ("tag", "twin"),
    [
        ("cp313-cp313-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_17_x86_64"),
        ("cp312-cp312-manylinux_2_35_x86_64", "cp312-cp312-manylinux_2_34_x86_64"),
        ("cp312-cp312-manylinux2014_aarch64", "cp312-cp312-manylinux2014_x86_64"),
        ("cp312-cp312-musllinux_1_2_x86_64", "cp312-cp312-manylinux_2_28_x86_64"),
        ("cp313-abi3-manylinux_2_17_x86_64", "cp311-abi3-manylinux_2_17_x86_64"),
        ("cp312-cp312-macosx_11_0_x86_64", "py3-none-any"),
        ("py2-none-any", "py3-none-any"),
    ],
)
def test_the_check_of_tags_refuses_what_lambda_could_not_import(tag: str, twin: str) -> None:
    assert not is_fit(Tag(*tag.split("-")), "3.12", "x86_64")
    assert is_fit(Tag(*twin.split("-")), "3.12", "x86_64")


@pytest.mark.parametrize("target", TARGETS, ids="-".join)
def test_a_layer_holds_the_package_and_its_needs_and_nothing_that_is_left_out(
    layers: dict[tuple[str, str], Layer], target: tuple[str, str]
) -> None:
    with zipfile.ZipFile(layers[target].path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert {name.split("/")[0] for name in files} == {"python"}
    names = {name.split("/")[1] for name in files}
    assert {"cognito_verify", "cachetools", "cryptography", "jose", "requests"} <= names
    assert {name for name in names if name.split("-")[0] in {*LEFT_OUT, "six", "bin", "pytest"}} == set()
    ours = {f"python/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "cognito_verify").rglob("*.py")}
    assert ours <= files.keys()

    libraries = {name: data for name, data in files.items() if name.endswith(".so")}
    assert any(name.startswith("python/cryptography/") for name in libraries)
    for name, data in libraries.items():
        assert data[:4] == b"\x7fELF", name
        assert int.from_bytes(data[18:20], "little") == ELF_MACHINES[target[1]], name
        minor = target[0].replace(".", "")
        assert f".cpython-{minor}-" in name or ".abi3." in name, name


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_clean_interpreter_authorizes_with_the_layer_alone(
    layers: dict[tuple[str, str], Layer], runtime: str, tmp_path: Path
) -> None:
    architecture = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine())
    if sys.platform != "linux" or architecture is None:
        pytest.skip(f"a layer's libraries do not run on {sys.platform} {platform.machine()}; its tags are checked")
    python = find_python(runtime)
    if python is None:
        pytest.skip(f"no Python {runtime} on this machine; the layer's tags are checked")
    layer = layers[runtime, architecture]
    with zipfile.ZipFile(layer.path) as archive:
        archive.extractall(tmp_path)
    pool = FakeUserPool()
    given = {
        "layer": str(tmp_path / "python"),
        "names": ["cachetools", "cognito_verify", "cryptography", "jose", "requests", "urllib3"],
        "left out": sorted(LEFT_OUT),
        "environment": {
            "COGNITO_USER_POOL_ID": pool.user_pool_id,
            "COGNITO_CLIENT_ID": pool.client_id,
            "COGNITO_TOKEN_USE": "id",
            "COGNITO_JWKS": json.dumps(pool.jwks),
        },
        "event": token_authorizer_event(pool.id_token()),
    }
    answer = subprocess.run(
        [python, "-I", "-S", "-B", "-W", "error", "-c", PROGRAM],
        input=json.dumps(given),
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert set(given["names"]) <= set(found["loaded"])
    assert (found["effect"], found["from elsewhere"], found["left out"]) == ("Allow", [], [])
    assert layer.is_compiled
    assert found["not compiled"] == []


def test_a_requirement_that_was_not_downloaded_fails_the_build(layers: dict[tuple[str, str], Layer]) -> None:
    wheels = list(layers["3.12", "x86_64"].wheels)
    assert needed(wheels, "3.12", "x86_64") == wheels
    without = [wheel for wheel in wheels if not wheel.name.startswith("cffi-")]
    with pytest.raises(SystemExit, match=r"^cffi: needed by Python 3\.12 on x86_64"):
        needed(without, "3.12", "x86_64")


def test_an_interpreter_is_found_by_what_it_says_of_itself() -> None:
    version = "{}.{}".format(*sys.version_info)
    found = find_python(version)
    assert found is not None
    said = subprocess.run([found, "--version"], capture_output=True, check=True, text=True).stdout
    assert said.startswith(f"Python {version}.")
    assert find_python("3.0") is None
