"""Counts the calls of this process, and adds them to the database's counts now and then."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from bridge.store import Store, StoreError
from bridge.store.calls import Tally, What
from connectors.metering import Called

EVERY = timedelta(seconds=10)
"""How old a count may get before it is stored, while calls go on. What a process that is killed
had not stored is lost: these are figures to look at, and nothing depends on them."""


class CallCounter:
    """Takes what meters report. Thread safe; never raises."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        self._counts: dict[What, Tally] = {}
        self._stored = now()

    def count(self, call: Called) -> None:
        """One more."""
        now = self._now()
        hour = now.replace(minute=0, second=0, microsecond=0)
        what = What(call.connector, call.kind, call.outcome, hour)
        with self._lock:
            self._counts[what] = self._counts.get(what, Tally()).plus(Tally.of(call.seconds))
            due = not timedelta(0) <= now - self._stored < EVERY
        if due:
            self.store()

    def store(self) -> None:
        """Add what was counted to the database; if it is away, the next time."""
        with self._lock:
            counts, self._counts = self._counts, {}
            self._stored = self._now()
        if not counts:
            return
        try:
            with self._store.begin(durable=False) as tx:
                tx.count_calls(counts)
        except StoreError:
            with self._lock:
                for what, tally in counts.items():
                    self._counts[what] = self._counts.get(what, Tally()).plus(tally)
