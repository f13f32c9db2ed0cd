"""Pacing and retrying: one place decides how fast we call and how long we wait.

A connector asks `Pacer.wait` before every call and wraps idempotent calls in `with_retries`.
"""

from collections import deque
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

    No minute and no second holds more calls than `headroom` of what the provider permits, because
    other programs share the budget; inside that, calls go out as fast as they come, so that a
    small job never waits. A provider that counts all its calls together gets one name for all.
    """

    def __init__(
        self,
        budget: RateBudget,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        headroom: float = 0.9,
    ) -> None:
        self._windows = [
            (seconds, max(1, int(headroom * rate)))
            for seconds, rate in ((1.0, budget.per_second), (60.0, budget.per_minute))
            if rate
        ]
        self._longest = max((count for _seconds, count in self._windows), default=1)
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = Lock()
        self._turns: dict[str, deque[float]] = {}
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

    def _reserve(self, operation: str, now: float) -> float:
        """The instant of the next call: the earliest at which every window has room."""
        turns = self._turns.setdefault(operation, deque(maxlen=self._longest))
        turn = max(now, self._barred.get(operation, now), turns[-1] if turns else now)
        for seconds, count in self._windows:
            if len(turns) >= count:
                turn = max(turn, turns[-count] + seconds)
        turns.append(turn)
        return turn


class JointPacer:
    """Several budgets that every call counts against; a `slow_down` is for the first of them."""

    def __init__(self, *pacers: Pacer) -> None:
        self._pacers = pacers

    def wait(self, operation: str) -> None:
        """Return when the call fits all of them."""
        for pacer in self._pacers:
            pacer.wait(operation)

    def slow_down(self, operation: str, seconds: float) -> None:
        """Hand it on to the narrowest one: whom else the provider means it does not say."""
        self._pacers[0].slow_down(operation, seconds)


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
