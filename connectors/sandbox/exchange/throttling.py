"""Budgets of callers ("EWS throttling in Exchange")."""

import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.sandbox.exchange.errors import EwsFaultError, busy
from connectors.sandbox.exchange.state import World


class Budgets:
    """How much each caller has under way and did in the last minute."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._guard = threading.Lock()
        self._open: Counter[str] = Counter()
        self._recent: dict[str, deque[float]] = {}
        self._busy_until: dict[str, float] = {}
        self.peak = 0
        self.refused = 0
        """Requests that came too fast, or while too many were under way."""

    def slow_down(self, address: str, seconds: float) -> None:
        """The mailbox's callers are told to stay away for that long."""
        with self._guard:
            self._busy_until[address.lower()] = self._world.clock.time() + seconds

    @contextmanager
    def under_way(self, caller: str) -> Iterator[bool]:
        """While one request of the caller is worked on; False if he has too many open."""
        with self._guard:
            self._open[caller] += 1
            count = self._open[caller]
            self.peak = max(self.peak, count)
        try:
            switches = self._world.switches
            admitted = not switches.limits or count <= switches.max_concurrency
            if not admitted:
                with self._guard:
                    self.refused += 1
            yield admitted
        finally:
            with self._guard:
                self._open[caller] -= 1

    def check(self, address: str) -> None:
        """Raises EwsFaultError if the mailbox's budget is spent."""
        now, switches = self._world.clock.time(), self._world.switches
        with self._guard:
            left = self._busy_until.get(address, 0.0) - now
            if left > 0:
                raise busy(int(left * 1000) + 1)
            if switches.requests_per_minute is None or not switches.limits:
                return
            recent = self._recent.setdefault(address, deque())
            while recent and recent[0] <= now - 60:
                recent.popleft()
            if len(recent) >= switches.requests_per_minute:
                self.refused += 1
                raise busy(int((recent[0] + 60 - now) * 1000) + 1)
            recent.append(now)


def too_many_connections() -> EwsFaultError:
    """More requests at once than the policy allows."""
    return EwsFaultError("ErrorExceededConnectionCount")
