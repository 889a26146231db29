"""The targets by name: what is attacked, and what each run is held to."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from tests.attacks.fuzz.targets import compact_tokens, inspect_command, key_sets, lambda_events, route_rules

__all__ = ["TARGETS", "kept"]

TARGETS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (compact_tokens, key_sets, lambda_events, route_rules, inspect_command)
}


def kept(name: str) -> list[Path]:
    """The kept corpus of a target; its seeds are made anew each time."""
    return sorted((Path(__file__).parents[1] / "corpus" / name).glob("*"))
