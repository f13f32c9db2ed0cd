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
    """A budget inside one process, per operation, thread safe.

    Aims at `headroom` of what the provider permits, because other programs share the budget:
    `headroom * per_minute` in the long run, with an allowance for bursts of half of what is
    spared, so that no minute ever holds more than `(1 + headroom) / 2 * per_minute` calls (and
    one). Within a second calls are spaced evenly at `headroom * per_second`, without bursts. A
    provider that counts all its calls together gets one name for all of them.
    """

    def __init__(
        self,
        budget: RateBudget,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        headroom: float = 0.9,
    ) -> None:
        per_minute = budget.per_minute or 0.0
        self._spacing = 1 / (headroom * budget.per_second) if budget.per_second else 0.0
        self._interval = 60 / (headroom * per_minute) if per_minute else 0.0
        self._tolerance = (1 - headroom) / 2 * per_minute * self._interval
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = Lock()
        self._earliest: dict[str, float] = {}
        self._arrival: dict[str, float] = {}
        self._barred: dict[str, float] = {}

    def wait(self, operation: str) -> None:
        """Return when the call fits. A `slow_down` meanwhile holds up those who wait, too."""
        while True:
            with self._lock:
                now = self._monotonic()
                turn = self._reserve(operation, now)
            if turn > now:
                self._sleep(turn - now)
            with self._lock:
                if self._barred.get(operation, turn) <= turn:
                    return

    def slow_down(self, operation: str, seconds: float) -> None:
        """Push the next permitted call of `operation` back."""
        with self._lock:
            until = self._monotonic() + seconds
            self._barred[operation] = max(self._barred.get(operation, until), until)
            self._earliest[operation] = max(self._earliest.get(operation, until), until)

    def _reserve(self, operation: str, now: float) -> float:
        """The instant of the next call (generic cell rate algorithm, ITU-T I.371)."""
        turn = max(now, self._earliest.get(operation, now))
        arrival = max(turn, self._arrival.get(operation, turn))
        turn = max(turn, arrival - self._tolerance)
        self._arrival[operation] = arrival + self._interval
        self._earliest[operation] = turn + self._spacing
        return turn


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
