"""How long to wait after a failure: the longer it lasts the longer, and never all at once."""

from collections.abc import Callable
from datetime import timedelta


def backoff(
    failures: int, *, base: timedelta, cap: timedelta, random: Callable[[], float]
) -> timedelta:
    """Exponential with full jitter: anything up to `base`, doubled for every failure after the
    first, at most `cap`. `random` is from [0, 1]; with 1 there is no jitter."""
    doubled: int = 2 ** min(max(failures - 1, 0), 30)
    ceiling = min(cap, base * doubled)
    return ceiling * random()
