"""Build a Lambda layer for each runtime and architecture: this package and what it needs at run time, from wheels only.

    python tools/layer.py [DIRECTORY]        # build/layer, if no other is named

Run it in the clone's root; it needs a package index. python-jose names ecdsa, rsa and pyasn1 as requirements and uses
none of them where `cryptography` is there; they are left out, and so is what only they need. Where this machine has an
interpreter of the runtime's version, the modules are compiled: /opt is read-only in Lambda, so that otherwise each cold
start compiles every module that it imports.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from itertools import product
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

RUNTIMES = ("3.12", "3.13", "3.14")
MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}  # Lambda's names, and those of Linux
LEFT_OUT = frozenset({"ecdsa", "pyasn1", "rsa"})

_GLIBC_MINORS = range(17, 35)  # Amazon Linux 2023, under python3.12 and newer, has glibc 2.34
_OURS = "cognito-verify"
_LIMIT = 250 * 2**20  # bytes of a function with its layers, unzipped: "Lambda quotas"
_NO_DATE = (1980, 1, 1, 0, 0, 0)  # the same content makes the same zip


@dataclass(frozen=True)
class Layer:
    """A layer's zip, the wheels that are in it, its size unzipped, and whether its modules are compiled."""

    runtime: str
    architecture: str
    path: Path
    wheels: tuple[Path, ...]
    bytes_by_name: dict[str, int]
    is_compiled: bool

    @property
    def unzipped_bytes(self) -> int:
        return sum(self.bytes_by_name.values())


def main() -> None:
    into = Path(sys.argv[1] if len(sys.argv) > 1 else "build/layer").absolute()
    layers = build_layers(into)
    print(f"{'layer':<46}{'zip':>8}{'unzipped':>12}   modules")
    for layer in layers:
        compiled = "compiled" if layer.is_compiled else f"not compiled: no Python {layer.runtime} on this machine"
        zipped, unzipped = layer.path.stat().st_size / 1e6, layer.unzipped_bytes / 1e6
        print(f"{layer.path.name:<46}{zipped:>5.1f} MB{unzipped:>9.1f} MB   {compiled}")
    print(f"\nBiggest in {layers[0].path.name}:")
    for name, size in Counter(layers[0].bytes_by_name).most_common(6):
        print(f"  {name:<44}{size / 1e6:>6.1f} MB")
    print(
        f"\nIn {into}. To publish one:\n"
        "  aws lambda publish-layer-version --layer-name cognito-verify \\\n"
        f"    --zip-file fileb://{layers[0].path.name} --compatible-runtimes python{layers[0].runtime} \\\n"
        f"    --compatible-architectures {layers[0].architecture}"
    )


def build_layers(into: Path) -> list[Layer]:
    """A layer for each runtime and architecture, in a directory that is made anew."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", str(into / "wheels"), str(Path.cwd()))
    (ours,) = (into / "wheels").glob("*.whl")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda target: _build(into, ours, *target), product(RUNTIMES, MACHINES)))


def find_python(version: str) -> str | None:
    """An interpreter of a version such as "3.12", found by running whatever may be one."""
    asks = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in _candidates(version):
        try:
            asked = subprocess.run([candidate, "-I", "-c", asks], check=False, capture_output=True, text=True)
        except OSError:
            continue
        if asked.returncode == 0 and asked.stdout.strip() == version:
            return candidate
    return None


def needed(wheels: list[Path], runtime: str, machine: str) -> list[Path]:
    """Of the wheels those that this package needs in Lambda, less what is left out.

    Not what pip took: for another platform too it reads the markers of requirements by the interpreter that it runs in.
    """
    by_name = {parse_wheel_filename(wheel.name)[0]: wheel for wheel in wheels}
    environment = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{runtime}.0",
        "python_version": runtime,
        "sys_platform": "linux",
    }
    found: dict[str, Path] = {}
    seen = set()
    open_ends = [(canonicalize_name(_OURS), "")]
    while open_ends:
        name, extra = end = open_ends.pop()
        if name in LEFT_OUT or end in seen:
            continue
        seen.add(end)
        if name not in by_name:
            raise SystemExit(f"{name}: needed by Python {runtime} on {machine}, and pip did not download it")
        found[name] = by_name[name]
        for text in _requires(by_name[name]):
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra}):
                required = canonicalize_name(requirement.name)
                open_ends += [(required, one) for one in ("", *requirement.extras)]
    return sorted(found.values())


def _build(into: Path, ours: Path, runtime: str, architecture: str) -> Layer:
    machine = MACHINES[architecture]
    work = into / f"python{runtime}-{architecture}"
    content = work / "python"  # what Lambda puts on the path of a Python runtime, under /opt
    target = ["--only-binary=:all:", "--implementation=cp", f"--python-version={runtime}"]
    target += [f"--platform=manylinux_2_{minor}_{machine}" for minor in reversed(_GLIBC_MINORS)]
    target += [f"--platform=manylinux2014_{machine}"]
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run(*pip, "download", *target, f"--dest={work / 'wheels'}", str(ours))
    wheels = needed(list((work / "wheels").glob("*.whl")), runtime, machine)
    _run(*pip, "install", "--no-deps", "--no-index", "--no-compile", *target, f"--target={content}", *map(str, wheels))
    shutil.rmtree(content / "bin", ignore_errors=True)  # commands: nobody is there to run them
    python = find_python(runtime)
    if python is not None:
        as_in_lambda = ["-s", str(work), "-p", "/opt"]  # the paths that tracebacks show
        unchecked = ["--invalidation-mode", "unchecked-hash"]  # a zip keeps no times that could be compared
        _run(python, "-I", "-m", "compileall", "-q", *unchecked, *as_in_lambda, str(content))
    sizes: Counter[str] = Counter()
    zipped = into / f"{_OURS}-python{runtime}-{architecture}.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(path for path in content.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(work).as_posix(), _NO_DATE)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, file.read_bytes())
            sizes[file.relative_to(content).parts[0]] += file.stat().st_size
    layer = Layer(runtime, architecture, zipped, tuple(wheels), dict(sizes), python is not None)
    if layer.unzipped_bytes > _LIMIT:
        raise SystemExit(f"{zipped.name}: {layer.unzipped_bytes / 2**20:.0f} MB unzipped, Lambda takes 250")
    return layer


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    for name in (f"python{version}", "python3", "python"):
        for directory in os.get_exec_path():
            yield str(Path(directory, name))
    pyenv = shutil.which("pyenv")
    if pyenv is not None:  # its commands on PATH run the chosen versions only
        installed = subprocess.run([pyenv, "versions", "--bare"], check=False, capture_output=True, text=True).stdout
        for name in installed.split():
            if f"{name}.".startswith(f"{version}."):
                prefix = subprocess.run([pyenv, "prefix", name], check=False, capture_output=True, text=True).stdout
                yield str(Path(prefix.strip(), "bin", "python"))


def _requires(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = {name.split("/")[0] for name in archive.namelist() if name.endswith(".dist-info/METADATA")}
        return PathDistribution(zipfile.Path(archive, f"{metadata}/")).requires or []


def _run(*command: str) -> None:
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(
            f"{' '.join(command)}\n{finished.stdout}{finished.stderr}failed, exit code {finished.returncode}"
        )


if __name__ == "__main__":
    main()
