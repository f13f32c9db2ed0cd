"""When to look at a link again although nobody pushed: often where much happens. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

BUSY = timedelta(hours=1)
QUIET = timedelta(days=1)
IDLE = timedelta(days=3)
PUSHED = 3
"""Where pushes are known to come, polls are only there for those that get lost."""
JITTER = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What is known of a link. `calm` is how long ago changes were last seen, `pushed` whether
    every side that is read pushes and has been heard, `cursor_lifetime` how long the provider with
    the shortest memory keeps a change token."""

    calm: timedelta
    pushed: bool = False
    cursor_lifetime: timedelta | None = None


def next_poll(base: timedelta, habits: Habits, random: Callable[[], float]) -> timedelta:
    """How long to wait, +-10 %: half of `base` while changes keep coming, `base` for the rest of
    a day, then twice and, after three days, four times as long; three times that if pushed. Never
    longer than half of what a cursor lives. `random` is from [0, 1]."""
    if habits.calm < BUSY:
        wait = base / 2
    elif habits.calm < QUIET:
        wait = base
    elif habits.calm < IDLE:
        wait = base * 2
    else:
        wait = base * 4
    if habits.pushed:
        wait *= PUSHED
    wait *= 1 - JITTER + 2 * JITTER * random()
    return wait if habits.cursor_lifetime is None else min(wait, habits.cursor_lifetime / 2)
