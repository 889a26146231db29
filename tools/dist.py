"""Make what a release consists of: wheel, sdist, SBOM and VEX, the same bytes whoever makes them.

    python tools/dist.py            # of the last commit, into dist
    python tools/dist.py --twice    # in two clones that differ in all but the commit; fails where a byte differs

Run it in the clone's root, in an environment that has the versions of constraints.txt; it needs a package index.

The SBOM (CycloneDX) lists what a user's environment holds after installing the wheel: the run-time dependencies, in the
versions of constraints.txt, for the platform and the Python that it is made with. The VEX says of findings in them
that they don't concern users of this package, and why. Its source, tools/vex.json, names packages; here each becomes
a link to its component in the SBOM.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Document = dict[str, Any]

VEX = Path("tools", "vex.json")
_SPEC = "1.6"
_NAME = "cognito-verify"

# What two people's machines differ in. The times of files are set as well: see `_twice`.
_MACHINES: tuple[tuple[int, dict[str, str]], ...] = (
    (0o022, {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"}),
    (0o077, {"TZ": "Asia/Seoul", "LC_ALL": "C", "PYTHONHASHSEED": "2"}),
)


def main() -> None:
    if sys.argv[1:] == ["--twice"]:
        _twice()
        return
    changed = _run("git", "status", "--porcelain").rstrip()
    if changed:
        raise SystemExit(f"dist holds the last commit; first commit, stash or remove:\n{changed}")
    for name, digest in make(Path("dist").absolute()).items():
        print(f"{digest}  dist/{name}")


def make(into: Path) -> dict[str, str]:
    """The release of the last commit of the current folder, in a directory that is made anew: SHA-256 by name."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    epoch = int(_run("git", "log", "-1", "--format=%ct"))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        source.mkdir()
        _run("git", "archive", "--output", str(source.with_suffix(".tar")), "HEAD")
        shutil.unpack_archive(source.with_suffix(".tar"), source, "tar")
        build(source, into, epoch)
        version = next(into.glob("*.whl")).name.split("-")[1]
        sbom = sbom_of(_listed(source, into, Path(folder, "bare"), version, epoch), version, into)
        vex = vex_of(json.loads((source / VEX).read_text(encoding="utf-8")), sbom)
    for name, document in (("cdx", sbom), ("vex.cdx", vex)):
        _write(into / f"{_NAME}-{version}.{name}.json", document)
    return {path.name: _sha256(path) for path in sorted(into.iterdir())}


def build(source: Path, into: Path, epoch: int) -> None:
    """The wheel and the sdist of a source tree, dated `epoch` (seconds). Hatchling's own version is in the wheel."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), str(source)]
    _run(*command, environment=environment)


def sbom_of(listed: Document, version: str, files: Path) -> Document:
    """The SBOM out of what cyclonedx-py lists: with our own version, and with refs that a VEX can link to.

    Args:
        files: Where the wheel and the sdist are; their hashes tie them to the SBOM.
    """
    purl = f"pkg:pypi/{_NAME}@{version}"
    refs = {component["bom-ref"]: component["purl"] for component in listed["components"]}
    root = listed["metadata"]["component"]
    refs[root["bom-ref"]] = purl
    root |= {"version": version, "purl": purl}
    root["externalReferences"] = [
        {"type": "distribution", "url": path.name, "hashes": [{"alg": "SHA-256", "content": _sha256(path)}]}
        for path in sorted(files.iterdir())
        if path.name.endswith((".whl", ".tar.gz"))
    ]
    for component in (root, *listed["components"]):
        component["bom-ref"] = refs[component["bom-ref"]]
    for dependency in listed["dependencies"]:
        dependency["ref"] = refs[dependency["ref"]]
        if "dependsOn" in dependency:
            dependency["dependsOn"] = sorted(refs[ref] for ref in dependency["dependsOn"])
    return _numbered(listed)


def vex_of(source: Document, sbom: Document) -> Document:
    """The VEX for an SBOM. A package that the SBOM does not list is an error: its statements are out of date."""
    serial = sbom["serialNumber"].removeprefix("urn:uuid:")
    links = {
        component["purl"].rpartition("@")[0]: f"urn:cdx:{serial}/{sbom['version']}#{component['bom-ref']}"
        for component in sbom["components"]
    }
    for vulnerability in source["vulnerabilities"]:
        for affected in vulnerability["affects"]:
            if affected["ref"] not in links:
                raise SystemExit(f"{VEX}, {vulnerability['id']}: {affected['ref']} is not in the SBOM")
            affected["ref"] = links[affected["ref"]]
    root = sbom["metadata"]["component"]
    product = {name: root[name] for name in ("bom-ref", "name", "purl", "type", "version")}
    return _numbered({**source, "metadata": {"timestamp": sbom["metadata"]["timestamp"], "component": product}})


def _listed(source: Path, wheels: Path, bare: Path, version: str, epoch: int) -> Document:
    """What is in an environment that has the wheel and what it needs, and neither pip nor anything else."""
    _run(sys.executable, "-m", "venv", "--without-pip", str(bare))
    python = bare / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--quiet"]
    pins = ["--constraint", str(source / "constraints.txt")]
    # By name, not by file: a file's place would be written into the environment, and from there into the SBOM.
    _run(*pip, "install", "--no-compile", *pins, "--find-links", str(wheels), f"{_NAME}=={version}")
    options = ["--output-reproducible", "--spec-version", _SPEC, "--mc-type", "library", "--pyproject"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    command = [sys.executable, "-m", "cyclonedx_py", "environment", *options, str(source / "pyproject.toml")]
    listed: Document = json.loads(_run(*command, str(python), environment=environment))
    listed["metadata"]["timestamp"] = datetime.fromtimestamp(epoch, UTC).isoformat()  # in UTC, whoever makes it
    return listed


def _numbered(document: Document) -> Document:
    """With a serial number that is the content's own: other content, other number; the same content, the same."""
    content = json.dumps(document, sort_keys=True)
    return {**document, "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, content).urn}


def _write(path: Path, document: Document) -> None:
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True)
    path.write_bytes(f"{text}\n".encode())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _twice() -> None:
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (umask, environment) in enumerate(_MACHINES):
            clone = Path(folder, "a" * (10 * number + 1), "clone")
            _run("git", "clone", "--quiet", "--no-hardlinks", ".", str(clone), umask=umask)
            for path in clone.rglob("*"):
                if ".git" not in path.relative_to(clone).parts:
                    os.utime(path, (10**9 * (1 - number), 10**9 * (1 - number)))
            command = [sys.executable, str(clone / "tools" / "dist.py")]
            printed = _run(*command, umask=umask, environment={**os.environ, **environment}, folder=clone)
            made.append({name: digest for digest, name in (line.split() for line in printed.splitlines())})
    first, second = made
    if first != second:
        differing = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
        raise SystemExit(f"not reproducible: {', '.join(differing)}")
    for name, digest in first.items():
        print(f"{digest}  {name}")
    print(f"{len(first)} files, twice the same")


def _run(
    *command: str, umask: int = -1, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> str:
    finished = subprocess.run(
        command, check=False, capture_output=True, text=True, umask=umask, env=environment, cwd=folder
    )
    if finished.returncode:
        raise SystemExit(
            f"{' '.join(command)}\n{finished.stdout}{finished.stderr}failed, exit code {finished.returncode}"
        )
    return finished.stdout


if __name__ == "__main__":
    main()
