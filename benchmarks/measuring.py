"""What all programs share: rows of a table, and how a time is taken."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: the median of some rounds, with the lowest and the highest.

    `bar` says what the figure should be, in words, where there is such a wish.
    """

    what: str
    median: float
    low: float
    high: float
    unit: str
    bar: str = ""


def row(what: str, samples: list[float], unit: str, bar: str = "") -> Row:
    """The line for samples that were already taken."""
    return Row(what, statistics.median(samples), min(samples), max(samples), unit, bar)


def counted(what: str, value: float, unit: str, bar: str = "") -> Row:
    """The line for something that was counted, not timed."""
    return Row(what, value, value, value, unit, bar)


def seconds_per(run: Callable[[], int], rounds: int = ROUNDS) -> list[float]:
    """Seconds for one of the things that `run` says it did; one unmeasured round goes before."""
    run()
    samples = []
    for _round in range(rounds):
        started = time.perf_counter()
        done = run()
        samples.append((time.perf_counter() - started) / done)
    return samples


def scaled(samples: list[float], factor: float) -> list[float]:
    """The same in another unit."""
    return [sample * factor for sample in samples]
