"""Makes a failing history as short as it can be and still fail in the same way (delta debugging:
take out halves, then quarters, down to single steps, and what comes between during passes)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from bridge.simulation.wire.tale import Break, Tale

T = TypeVar("T")


def shrunk(tale: Tale, fails: Callable[[Tale], bool], budget: int = 150) -> Tale:
    """The shortest failing history found in at most `budget` runs; `tale` itself must fail."""
    runs = iter(range(budget))

    def still(candidate: Tale) -> bool:
        return next(runs, None) is not None and fails(candidate)

    steps = _fewer(tale.steps, lambda kept: still(tale.with_steps(kept)))
    for number, step in enumerate(steps):

        def with_breaks(breaks: Sequence[Break], at: int = number) -> Tale:
            calmer = replace(steps[at], breaks=tuple(breaks))  # noqa: B023
            return tale.with_steps([*steps[:at], calmer, *steps[at + 1 :]])  # noqa: B023

        breaks = _fewer(step.breaks, lambda kept: still(with_breaks(kept)))
        steps = list(with_breaks(breaks).steps)
    calm = replace(tale.with_steps(steps), lag=0.0)
    return calm if calm != tale.with_steps(steps) and still(calm) else tale.with_steps(steps)


def _fewer(items: Sequence[T], still: Callable[[list[T]], bool]) -> list[T]:
    kept, size = list(items), max(1, len(items) // 2)
    while size:
        start = 0
        while start < len(kept):
            less = kept[:start] + kept[start + size :]
            if still(less):
                kept = less
            else:
                start += size
        size //= 2
    return kept
