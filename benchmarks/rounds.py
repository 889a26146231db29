"""Contenders timed in turns, so that a machine that slows down slows all of them.

A round times every contender once, in a new order, on the same tokens. A ratio is always taken within one round; what
is reported is the median of a contender's ratios. The floor is timed three times a round, spread over it, since every
ratio leans on it.
"""

import gc
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles

__all__ = ["Figure", "figures_from", "in_turns", "quiet"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One contender's times over all rounds. Seconds for one call or one process."""

    best: float
    median: float
    ratio: float  # to the floor, median over rounds
    ratio_low: float  # a quarter of the rounds lie below
    ratio_high: float  # a quarter of the rounds lie above


def in_turns(
    contenders: Mapping[str, Callable[[int], float]], *, floor: str, rounds: int, seed: int = 1
) -> dict[str, list[list[float]]]:
    """For each contender one list of times a round. A contender is given the round's number and says its seconds."""
    others = [name for name in contenders if name != floor]
    times: dict[str, list[list[float]]] = {name: [] for name in contenders}
    shuffle = random.Random(seed).shuffle
    for number in range(rounds):
        shuffle(others)
        half = len(others) // 2
        for samples in times.values():
            samples.append([])
        gc.collect()
        for name in (floor, *others[:half], floor, *others[half:], floor):
            times[name][number].append(contenders[name](number))
    return times


def figures_from(times: Mapping[str, Sequence[Sequence[float]]], *, floor: str, calls: int = 1) -> dict[str, Figure]:
    """The report's figures. `calls`: how many calls each time stands for."""
    floors = [median(samples) for samples in times[floor]]
    return {name: _figure([median(samples) for samples in rounds], floors, calls) for name, rounds in times.items()}


@contextmanager
def quiet() -> Iterator[None]:
    """No collection inside a timed block, and what set-up left behind is never walked: as `timeit` does it, for all."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _figure(seconds: Sequence[float], floors: Sequence[float], calls: int) -> Figure:
    ratios = [mine / floor for mine, floor in zip(seconds, floors, strict=True)]
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    return Figure(min(seconds) / calls, median(seconds) / calls, middle, low, high)
