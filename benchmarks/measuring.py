"""What all programs share: rows of a table, and how a time is taken."""

import operator
import re
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

ROUNDS = 5
_BAR = re.compile(r"(<=|>=|=|<|>) ([\d,.]+)")
_TESTS = {
    "<=": operator.le, ">=": operator.ge, "=": operator.eq, "<": operator.lt, ">": operator.gt,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: the median of `rounds` values, with the lowest and the highest.

    `bar` says what the median should be, as `<= 200`, where there is such a wish. `note` is for
    what a number alone would not tell.
    """

    what: str
    median: float
    low: float
    high: float
    unit: str
    bar: str = ""
    rounds: int = 1
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the median is within the bar; None without one."""
        found = _BAR.match(self.bar)
        if found is None:
            return None
        return bool(_TESTS[found[1]](self.median, float(found[2].replace(",", ""))))


Case = Callable[[], list[Row]]
Cases = Mapping[str, Case]
"""What a program can measure by itself, by name."""


def row(what: str, samples: list[float], unit: str, bar: str = "", note: str = "") -> Row:
    """The line for samples that were already taken."""
    return Row(
        what, statistics.median(samples), min(samples), max(samples), unit, bar, len(samples), note
    )


def counted(what: str, value: float, unit: str, bar: str = "", note: str = "") -> Row:
    """The line for something that was counted, not timed."""
    return Row(what, value, value, value, unit, bar, 1, note)


def noted(found: Row, note: str) -> Row:
    """The same line with a note."""
    return replace(found, note=note)


def percentile(samples: list[float], share: float) -> float:
    """The value that so many percent of the samples do not exceed."""
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * share / 100))]


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
