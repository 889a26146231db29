"""One target under atheris, in a process of its own: `python -m tests.attacks.fuzz.worker TARGET LIBFUZZER-OPTIONS`.

A call that takes too long is written down and not the end: with every line counted, it takes longer than it would for a
user. Whoever started this process replays it without.
"""

import hashlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cognito_verify"]):
    from tests.attacks.fuzz.targets import TARGETS

from tests.attacks.fuzz.bounds import Growth, SlowError
from tests.attacks.fuzz.mutation import mutated

_MOST_CANDIDATES = 20


def main() -> None:
    name, options = sys.argv[1], sys.argv[2:]
    target, growth = TARGETS[name], Growth()
    prefix = next((one.partition("=")[2] for one in options if one.startswith("-artifact_prefix=")), "")
    candidates: set[str] = set()

    def test_one_input(data: bytes) -> None:
        try:
            target.run(data)
        except SlowError as slow:
            where = str(slow).partition(":")[0]
            if prefix and where not in candidates and len(candidates) < _MOST_CANDIDATES:
                candidates.add(where)
                Path(f"{prefix}slow-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
        growth.look()

    def custom_mutator(data: bytes, most: int, seed: int) -> bytes:
        return mutated(data, most, seed, atheris.Mutate)

    # libFuzzer starts itself again to merge, through a shell, by the first of its arguments.
    command = f"{sys.executable} -m tests.attacks.fuzz.worker {name}"
    atheris.Setup([command, *options], test_one_input, custom_mutator=custom_mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
