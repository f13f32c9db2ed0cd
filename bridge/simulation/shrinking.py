"""Makes a failing history as short as it can be and still fail in the same way.

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input"): take
out halves, then quarters, down to single steps; then what comes between during passes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from bridge.simulation.history import History, Step

T = TypeVar("T")


def shrunk(history: History, fails: Callable[[History], bool], budget: int = 400) -> History:
    """The shortest failing history found in at most `budget` runs; `history` itself must fail."""
    runs = iter(range(budget))

    def still(steps: Sequence[Step]) -> bool:
        return next(runs, None) is not None and fails(history.with_steps(steps))

    steps: list[Step] = list(history.steps)
    while True:
        fewer = _minimal(steps, still)
        fewer = _calmer(fewer, still)
        if fewer == steps:
            return history.with_steps(steps)
        steps = fewer


def _minimal(items: list[T], still: Callable[[list[T]], bool]) -> list[T]:
    size = max(1, len(items) // 2)
    while True:
        for less in _without(items, size):
            if still(less):
                items = less
                break
        else:
            if size == 1:
                return items
            size = max(1, size // 2)


def _without(items: list[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield items[:start] + items[start + size :]


def _calmer(steps: list[Step], still: Callable[[list[Step]], bool]) -> list[Step]:
    """The same steps with less coming between."""
    for number in range(len(steps)):
        steps = _calmer_at(steps, number, still)
    return steps


def _calmer_at(steps: list[Step], number: int, still: Callable[[list[Step]], bool]) -> list[Step]:
    def instead(step: Step) -> list[Step]:
        return [*steps[:number], step, *steps[number + 1 :]]

    step = steps[number]
    breaks = _minimal(
        list(step.breaks), lambda kept: still(instead(replace(step, breaks=tuple(kept))))
    )
    calmer = replace(step, breaks=tuple(breaks))
    plain = replace(calmer, do="pass")
    return instead(plain if step.do == "full pass" and still(instead(plain)) else calmer)
