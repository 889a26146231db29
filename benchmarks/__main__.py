"""`python -m benchmarks`: measure, print the tables, fail on nothing."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.cold_start import measure_cold_start
from benchmarks.decorator import decorator_table
from benchmarks.frameworks import frameworks_table, measure_frameworks
from benchmarks.garbage import garbage_table
from benchmarks.memory import measure_memory
from benchmarks.policies import policies_table
from benchmarks.report import as_markdown, as_text, cold_start_table, machine, memory_table, verify_table
from benchmarks.stages import stages_table
from benchmarks.stampede import measure_stampede
from benchmarks.verify import measure_verify


def main() -> None:
    options = _options()
    started = time.perf_counter()
    shown = as_markdown if options.markdown else as_text
    print(machine(), flush=True)
    if options.profile:
        print(f"\n{shown(stages_table(quick=options.quick))}")
        return
    verify = measure_verify(rounds=12 if options.quick else 100)
    print(f"\n{shown(verify_table(verify))}", flush=True)
    cold_start = measure_cold_start(rounds=3 if options.quick else 30)
    print(f"\n{shown(cold_start_table(cold_start))}", flush=True)
    print(f"\n{shown(decorator_table(quick=options.quick))}", flush=True)
    if sys.platform == "linux":  # it reads the processor's time of other processes
        print(f"\n{shown(frameworks_table(measure_frameworks(quick=options.quick)))}", flush=True)
    print(f"\n{shown(policies_table(quick=options.quick))}", flush=True)
    print(f"\n{shown(garbage_table(quick=options.quick))}", flush=True)
    memory = measure_memory(count=12_000 if options.quick else 100_000)
    stampede = measure_stampede()
    print(f"\n{shown(memory_table(memory, stampede))}")
    if options.json is not None:
        report = {
            "machine": machine(),
            "verify": {name: asdict(figure) for name, figure in verify.figures.items()},
            "cold_start_wall": {name: asdict(figure) for name, figure in cold_start.wall.items()},
            "cold_start_cpu": {name: asdict(figure) for name, figure in cold_start.cpu.items()},
            "memory": asdict(memory),
            "stampede": asdict(stampede),
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\n{time.perf_counter() - started:.0f} s", file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and tokens: a look, no figures to quote")
    parser.add_argument("--markdown", action="store_true", help="the tables as docs/explanation/figures.md shows them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE as well")
    parser.add_argument(
        "--profile", action="store_true", help="where the microseconds of one verify go, stage by stage"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
