"""Pacing and retrying: one place decides how fast we call and how long we wait.

A connector asks `Pacer.wait` before every call and wraps idempotent calls in `with_retries`.
"""

from collections.abc import Callable
from threading import Lock
from typing import Protocol, TypeVar

from connectors.capabilities import RateBudget
from connectors.errors import RateLimitedError, RetryableError

T = TypeVar("T")


class Pacer(Protocol):
    """A shared rate budget."""

    def wait(self, operation: str) -> None:
        """Return when one more call of `operation` fits the budget."""

    def slow_down(self, operation: str, seconds: float) -> None:
        """The provider said so: no call of `operation` for that long."""


class LocalPacer:
    """A budget inside one process: a smooth spacing per operation, thread safe.

    Aims at `headroom` of what the provider permits, because other programs share the budget.
    """

    def __init__(
        self,
        budget: RateBudget,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        headroom: float = 0.9,
    ) -> None:
        rates = [
            rate
            for rate in (budget.per_second, budget.per_minute and budget.per_minute / 60)
            if rate
        ]
        self._second = 1 / (headroom * budget.per_second) if budget.per_second else 0.0
        self._minute = 1 / (headroom * min(rates)) if rates else 0.0
        self._burst = (budget.per_minute or 0.0) / 6
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = Lock()
        self._next: dict[str, float] = {}
        self._theoretical: dict[str, float] = {}

    def wait(self, operation: str) -> None:
        """Return when the call fits (generic cell rate algorithm: burst of ten seconds' worth)."""
        if not self._minute:
            wake = self._next.get(operation, 0.0)
            pause = wake - self._monotonic()
            if pause > 0:
                self._sleep(pause)
            return
        with self._lock:
            now = self._monotonic()
            start = max(now, self._next.get(operation, 0.0))
            arrival = max(self._theoretical.get(operation, start), start)
            start = max(start, arrival - self._burst * self._minute)
            self._theoretical[operation] = arrival + self._minute
            self._next[operation] = start + self._second
            pause = start - now
        if pause > 0:
            self._sleep(pause)

    def slow_down(self, operation: str, seconds: float) -> None:
        """Push the next permitted call of `operation` back."""
        with self._lock:
            until = self._monotonic() + seconds
            self._next[operation] = max(self._next.get(operation, 0.0), until)


class FreePacer:
    """No budget at all (memory connector, tests)."""

    def wait(self, operation: str) -> None:
        """Return at once."""

    def slow_down(self, operation: str, seconds: float) -> None:
        """Ignore it."""


def with_retries(
    call: Callable[[], T],
    *,
    sleep: Callable[[float], None],
    random: Callable[[], float],
    attempts: int = 5,
    base: float = 0.5,
    cap: float = 32.0,
    patience: float = 60.0,
) -> T:
    """Run `call` until it succeeds, repeating only after `RetryableError`.

    Exponential backoff with full jitter; a provider's own figure (`RateLimitedError.after`) is
    a lower bound, and one beyond `patience` seconds is passed on to the caller, who has better
    things to do than to wait. The last error is raised unchanged.
    """
    for attempt in range(attempts):
        try:
            return call()
        except RetryableError as error:
            after = error.after if isinstance(error, RateLimitedError) else 0.0
            if attempt == attempts - 1 or after > patience:
                raise
            sleep(after + random() * min(cap, base * 2**attempt))
    raise AssertionError("unreachable: attempts is positive")
