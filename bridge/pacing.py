"""One pace for all processes: rate budgets shared through the database.

A process takes a slice of a budget in one short transaction and spends it without asking. How large
the next slice is follows from how fast the last one went, so a single call costs one look and a
thousand calls a few dozen. A slice that its process takes along into death runs out by itself.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from bridge.budget import SECOND, Used, Window, largest_slice, slice_length, windows
from bridge.store import Store, StoreError
from connectors.capabilities import RateBudget
from connectors.errors import RateLimitedError, RetryableError

HEADROOM = 0.94
"""Our share of what a provider permits; other programs may share the budget."""
PATIENCE = 120.0
"""Seconds. No window of a budget is as long: what is closed for longer a provider has closed."""


@dataclass(slots=True)
class _Turn:
    """What this process may do of one operation. Instants are of its monotonic clock."""

    lock: Lock = field(default_factory=Lock)
    permits: int = 0
    taken: int = 0
    wanted: int = 1
    begun: float = -math.inf
    over: float = -math.inf
    last: float = -math.inf
    at: int = 0
    end: int = 0
    closed_until: float = -math.inf

    def settled(self) -> Used | None:
        """What became of the slice."""
        if not self.taken:
            return None
        calls = self.taken - self.permits
        return Used(self.taken, self.end, calls, self.at + _micro(self.last - self.begun))


class SharedPacer:
    """The budget called `name`, for every process on the same database. Thread safe.

    `now` is the clock by which all measure, None for that of the database. Raises from `wait`
    `RetryableError` while the database does not answer, and `RateLimitedError` for a budget that
    a provider has closed for longer than `PATIENCE`: nobody sits that out in the middle of a pass.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        budget: RateBudget,
        *,
        now: Callable[[], datetime] | None,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        headroom: float = HEADROOM,
    ) -> None:
        self._store = store
        self._name = name
        self._limits: tuple[Window, ...] = windows(budget, headroom)
        self._largest = largest_slice(self._limits)
        self._length = slice_length(self._limits)
        self._now = now
        self._monotonic = monotonic
        self._sleep = sleep
        self._turns: dict[str, _Turn] = {}
        self._guard = Lock()

    def wait(self, operation: str) -> None:
        """Return when the call fits. A `slow_down` meanwhile holds up those who wait, too."""
        turn = self._turn(operation)
        while True:
            with turn.lock:
                pause = self._spend(turn, operation)
            if pause <= 0:
                return
            if pause > PATIENCE:
                raise RateLimitedError(
                    f"{self._name} may not call {operation} for another {pause:.0f} s",
                    after=pause,
                )
            self._sleep(pause)

    def slow_down(self, operation: str, seconds: float) -> None:
        """Push the next permitted call of `operation` back, here at once, and in every other
        process as soon as it has spent the slice in its hand."""
        turn = self._turn(operation)
        with turn.lock:
            turn.closed_until = max(turn.closed_until, self._monotonic() + seconds)
        try:
            with self._store.begin() as tx:
                tx.bar(self._name, operation, seconds, self._now and self._now())
        except StoreError:
            return  # this process at least slows down

    def _turn(self, operation: str) -> _Turn:
        with self._guard:
            return self._turns.setdefault(operation, _Turn())

    def _spend(self, turn: _Turn, operation: str) -> float:
        """Make use of a permit; or the seconds until there may be one."""
        now = self._monotonic()
        if now < turn.closed_until:
            return turn.closed_until - now
        if not turn.permits or now >= turn.over:
            pause = self._take(turn, operation, now)
            if pause > 0:
                return pause
        turn.permits -= 1
        turn.last = self._monotonic()
        return 0.0

    def _take(self, turn: _Turn, operation: str, now: float) -> float:
        if turn.taken:
            calls = turn.taken - turn.permits
            turn.wanted = max(1, min(self._largest, calls if turn.permits else 2 * calls))
        try:
            with self._store.begin(durable=False) as tx:
                found = tx.take_slice(
                    self._name,
                    operation,
                    self._limits,
                    turn.wanted,
                    self._length,
                    turn.settled(),
                    self._now and self._now(),
                )
        except StoreError as error:
            raise RetryableError(f"how fast calls may go is not known: {error}") from error
        turn.permits = turn.taken = found.permits
        turn.at, turn.end, turn.begun = found.at, found.end, now
        # Counted from before the question was asked, so that the slice is over here first.
        turn.over = now + self._length / SECOND
        if found.permits:
            return 0.0
        turn.closed_until = now + (found.end - found.at) / SECOND
        return turn.closed_until - now


def _micro(seconds: float) -> int:
    return max(0, math.ceil(seconds * SECOND))
