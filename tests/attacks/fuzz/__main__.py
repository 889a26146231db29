"""Fuzz every target, two side by side, after a replay of all that is kept: `python -m tests.attacks.fuzz`.

    make fuzz                                              ten minutes a target
    make fuzz FUZZ_SECONDS=60                              or as long as you like
    python -m tests.attacks.fuzz TARGET...                 these alone, 20 s each, as in CI
    python -m tests.attacks.fuzz --replay TARGET FILE...   a find, without the fuzzer
    python -m tests.attacks.fuzz --keep                    of all that was tried, keep the least that reaches as much

Finds, logs and what a run adds to the corpus lie in build/fuzz.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from tests.attacks.fuzz.targets import TARGETS, kept

_BUILD = Path("build/fuzz")
_HERE = Path(__file__).parent
_SIDE_BY_SIDE = 2
_MOST_INPUT = 16_384  # bytes; of a token more are refused unread
_MOST_MEGABYTES = 1_024
_PATIENCE = 120  # seconds for a process to start and to end
_KEPT_FILES, _KEPT_BYTES = 55, 50_000  # of a target


def main() -> int:
    arguments = _arguments()
    names = arguments.targets or list(TARGETS)
    if arguments.replay:
        return _replayed(names[0], map(Path, names[1:]))
    is_long = os.environ.get("ATTACKS") == "long"
    seconds = int(os.environ.get("FUZZ_SECONDS") or (600 if is_long else 20))
    if arguments.keep:
        for name in names:
            _keep(name)
        return 0
    broken = [name for name in names if _replayed(name, kept(name))]
    if find_spec("atheris") is None:
        found = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
        print(
            f"skipped: fuzzing (no atheris: it has wheels for some Pythons, not for {found}); the corpus was replayed"
        )
        return 1 if broken else 0
    start = time.monotonic()
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as side_by_side:
        finds = list(side_by_side.map(lambda name: _fuzzed(name, seconds, is_long=is_long), names))
    print(f"fuzz: {len(names)} targets, {seconds} s each, {sum(finds)} finds, in {time.monotonic() - start:.0f} s")
    return 1 if broken or any(finds) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.attacks.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replay", action="store_true", help="run inputs again: a target, then files")
    parser.add_argument("--keep", action="store_true", help="renew the kept corpus from what the last runs found")
    parser.add_argument("targets", nargs="*", help=f"some of {', '.join(TARGETS)}")
    arguments = parser.parse_args()
    wrong = set(arguments.targets[:1] if arguments.replay else arguments.targets) - set(TARGETS)
    if wrong or (arguments.replay and len(arguments.targets) < 2):
        parser.error(f"expected names of targets ({', '.join(TARGETS)}), and files behind --replay")
    return arguments


def _replayed(name: str, files: Iterable[Path]) -> int:
    """Run inputs as a user's program would be run: without atheris. Returns 1 where one of them is a find."""
    finds = count = 0
    for file in files:
        count += 1
        try:
            TARGETS[name].run(file.read_bytes())
        except Exception:
            finds += 1
            print(f"find: {name}: {file}\n{traceback.format_exc()}")
    print(f"{name}: {count} inputs replayed, {finds} finds")
    return 1 if finds else 0


def _replay_command(name: str, file: Path | str) -> list[str]:
    return [sys.executable, "-m", "tests.attacks.fuzz", "--replay", name, str(file)]


def _fuzzed(name: str, seconds: int, *, is_long: bool) -> int:
    """Fuzz a target in a process of its own, then replay what it stopped at. Returns the number of finds."""
    corpus, finds = _BUILD / "corpus" / name, _BUILD / "finds" / name
    corpus.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(finds, ignore_errors=True)  # of a run before this one
    finds.mkdir(parents=True)
    if not is_long:  # CI starts from what is kept alone
        shutil.rmtree(corpus)
        corpus.mkdir()
    limits = [f"-max_total_time={seconds}", f"-max_len={_MOST_INPUT}", f"-rss_limit_mb={_MOST_MEGABYTES}"]
    places = [f"-artifact_prefix={finds}/", f"-dict={_HERE / TARGETS[name].DICTIONARY}"]
    seed = [] if is_long else ["-seed=1"]
    log = _BUILD / f"{name}.log"
    with log.open("wb") as output:
        code = subprocess.run(
            [*_worker(name), *limits, *places, *seed, corpus, _written_seeds(name), _kept_folder(name)],
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=seconds + _PATIENCE,
        ).returncode
    text = log.read_text(errors="replace")
    runs = [line for line in text.splitlines() if line.startswith("Done ")]
    print(f"{name}: {runs[-1] if runs else 'ended before its time'}", flush=True)
    count = 0
    for file in sorted(finds.iterdir()):
        again = subprocess.run(_replay_command(name, file), capture_output=True, text=True, check=False)
        if again.returncode == 0 and file.name.startswith("slow-"):
            file.unlink()  # slow under the fuzzer, which counts every line, and not without it
            continue
        count += 1
        how = f"python -m tests.attacks.fuzz --replay {name} {file}"
        (finds / f"{file.name}.txt").write_text(f"Replay: {how}\n\n{again.stdout}{again.stderr}\n")
        print(f"find: {name}: {how}\n{again.stdout[-2_000:]}", flush=True)
    if code != 0 and not count:
        count = 1
        print(f"find: {name}: the fuzzer ended with {code}; {log}:\n{text[-4_000:]}", flush=True)
    return count


def _keep(name: str) -> None:
    """Make the kept corpus anew: the fewest inputs that reach what the runs reached, the seeds' own left out."""
    merged = _BUILD / "merged" / name
    shutil.rmtree(merged, ignore_errors=True)
    shutil.copytree(_written_seeds(name), merged)
    known = set(merged.iterdir())
    sources = [folder for folder in (_kept_folder(name), _BUILD / "corpus" / name) if folder.is_dir()]
    subprocess.run(
        [*_worker(name), "-merge=1", f"-max_len={_MOST_INPUT}", merged, *sources],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    found = sorted((file for file in merged.iterdir() if file not in known), key=lambda file: file.stat().st_size)
    folder, size, count = _kept_folder(name), 0, 0
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in found:
        size += file.stat().st_size
        if count == _KEPT_FILES or size > _KEPT_BYTES:
            break
        count += 1
        data = file.read_bytes()
        (folder / _name_of(data)).write_bytes(data)
    print(f"{name}: {count} of {len(found)} inputs kept")


def _worker(name: str) -> list[str]:
    return [sys.executable, "-m", "tests.attacks.fuzz.worker", name]


def _kept_folder(name: str) -> Path:
    return _HERE / "corpus" / name


def _written_seeds(name: str) -> Path:
    folder = _BUILD / "seeds" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for data in TARGETS[name].seeds():
        (folder / _name_of(data)).write_bytes(data)
    return folder


def _name_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
