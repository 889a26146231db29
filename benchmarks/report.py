"""Measurements become tables: plain for a terminal, Markdown for docs/explanation/figures.md."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from benchmarks.cold_start import ColdStartReport
from benchmarks.memory import EXPECTED, MemoryReport
from benchmarks.rounds import Figure
from benchmarks.stampede import StampedeReport
from benchmarks.verify import VerifyReport

__all__ = ["Table", "as_markdown", "as_text", "cold_start_table", "machine", "memory_table", "verify_table"]

_MEMORY_TARGET = 4 * 2**20  # bytes: "a few MiB"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells are text already; all columns but the first are right-aligned."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def verify_table(report: VerifyReport) -> Table:
    rows = []
    for row in report.rows:
        figure = report.figures[row.name]
        rows.append((row.name, f"{figure.median * 1e6:.1f}", *_ratio_cells(figure, row.target)))
    notes = [
        f"One access token of {report.token_chars:,} characters ({report.token_chars_100_groups:,} with 100 groups), "
        f"RS256 with a 2,048 bit key, keys warm. Medians of {report.rounds} rounds of 200 calls; a ratio is taken "
        "within its round, to the floor on the same tokens.",
        "Peers have their key handed to them (joserfc and cognitojwt look it up by kid) and check signature, exp and "
        "iss; token_use and client are two hand-written lines, in joserfc its own claim options. cognitojwt reads its "
        "keys from a file; it can be asked neither for the issuer nor for the token use.",
        "The floor is compiled code, the rest is not: an interpreter built without --enable-optimizations, as pyenv "
        "builds it, adds 0.1 to 0.2 to a ratio of 1.6.",
        *_lets_through(report),
        *(f"Not installed, so not measured: {name} (pip install '.[bench]')." for name in report.missing),
    ]
    return Table("verify, one process", ("verify one token", "us", "x floor", "middle half", "target"), rows, notes)


def cold_start_table(report: ColdStartReport) -> Table:
    rows = []
    for program in report.programs:
        wall, cpu = report.wall[program.name], report.cpu[program.name]
        cells = _ratio_cells(wall, program.target)
        rows.append(
            (program.name, f"{wall.median * 1e3:.0f}", f"{wall.best * 1e3:.0f}", f"{cpu.median * 1e3:.0f}", *cells)
        )
    notes = [
        f"A new process each, {report.rounds} rounds in turns (the floor three times a round), .pyc files written "
        "before. The target is held against wall time."
    ]
    columns = ("whole process", "wall ms", "fastest", "cpu ms", "x floor", "middle half", "target")
    return Table("cold start", columns, rows, notes)


def memory_table(memory: MemoryReport, stampede: StampedeReport) -> Table:
    growth = memory.resident_after - memory.resident_filled
    allowed = 1 + int(memory.seconds / memory.cooldown)
    wrong = sum(
        count
        for kind, outcomes in memory.outcomes.items()
        for outcome, count in outcomes.items()
        if outcome != EXPECTED[kind]
    )
    total = sum(memory.tokens.values())
    rows = [
        (
            f"resident memory after {total:,} tokens, over the filled cache",
            f"{_mib(memory.resident_after)} - {_mib(memory.resident_filled)} = {growth / 2**20:+.1f} MiB",
            _verdict("<= 4 MiB", growth <= _MEMORY_TARGET),
        ),
        (
            f"fetches during {memory.tokens['unknown kid']:,} forged kids",
            f"{memory.fetches} in {memory.seconds:.1f} s",
            _verdict(f"<= 1 per {memory.cooldown} s", memory.fetches <= allowed),
        ),
        (
            "good tokens during it, not seen before",
            f"{memory.good_median * 1e6:.0f} us, 99 of 100 under {memory.good_99 * 1e6:.0f} us",
            "",
        ),
        ("tokens with another outcome than expected", str(wrong), _verdict("0", wrong == 0)),
        (
            f"requests by {stampede.threads} threads on a cold cache",
            f"{stampede.requests} for {stampede.verified} verified tokens",
            _verdict("1", stampede.requests == 1),
        ),
    ]
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in memory.tokens.items())
    notes = [
        f"{kinds}; {memory.signed:,} of them signed, the others derived from good ones, no two alike. One verifier "
        f"with the default cache, cooldown {memory.cooldown} s in the place of 10, in a process of its own that reads "
        "token by token.",
    ]
    return Table("memory and fetches", ("what", "found", "target"), rows, notes)


def machine() -> str:
    """What the figures depend on, without naming anybody's machine."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("cryptography", "python-jose"))
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {libraries}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )


def as_text(table: Table) -> str:
    widths = [max(len(row[column]) for row in (table.columns, *table.rows)) for column in range(len(table.columns))]
    lines = [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (table.columns, tuple("-" * width for width in widths), *table.rows)
    ]
    return "\n".join([f"== {table.title} ==", *lines, *(f"  {note}" for note in table.notes)])


def as_markdown(table: Table) -> str:
    ruler = ["---"] + ["---:"] * (len(table.columns) - 1)
    lines = (f"| {' | '.join(row)} |" for row in (table.columns, ruler, *table.rows))
    return "\n".join([*lines, "", *(f"{note}\n" for note in table.notes)])


def _ratio_cells(figure: Figure, target: float | None) -> tuple[str, str, str]:
    verdict = "" if target is None else _verdict(f"<= {target}", figure.ratio <= target)
    return f"{figure.ratio:.2f}", f"{figure.ratio_low:.2f} to {figure.ratio_high:.2f}", verdict


def _verdict(target: str, is_met: bool) -> str:
    return f"{target}, {'met' if is_met else 'MISSED'}"


def _lets_through(report: VerifyReport) -> Iterable[str]:
    """By set of tokens that got through: the contenders, asked before anything was timed."""
    for row in report.rows:
        if row.lets_through is not None:
            yield f"{row.name} let through: {', '.join(row.lets_through) or 'nothing'}."


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f}"
