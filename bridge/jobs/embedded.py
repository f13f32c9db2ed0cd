"""The engine that needs nothing besides the database: each process claims due rows itself.

It looks when it is woken, when the next row becomes due, and once a second in any case. Between
processes PostgreSQL's NOTIFY wakes, or SQLite's change counter (`bridge.store.watching`).
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bridge.jobs.port import LEASE, Engine, Handler, Workers
from bridge.jobs.running import Runs
from bridge.store import Store
from bridge.store.jobs import Claim

IDLE = 1.0
"""Seconds between looks at the database when nothing wakes us."""
LEAST = 0.005
"""Seconds until another look when what is due was being claimed by somebody else; doubled each
time, since it may be that its account has enough running already."""


class EmbeddedEngine(Engine):
    """Lets every process with workers look at the database."""

    def notify(self, connection: Connection, links: Collection[int]) -> None:
        """As the database can: NOTIFY, or nothing where commits are seen anyway."""
        self.store.announce(connection, links)

    def workers(
        self,
        handler: Handler,
        *,
        now: Callable[[], datetime],
        threads: int = 4,
        lease: timedelta = LEASE,
        per_account: int | None = None,
        idle: float = IDLE,
    ) -> Workers:
        """A claim loop with that many threads."""
        return EmbeddedWorkers(
            self.store,
            handler,
            now=now,
            threads=threads,
            lease=lease,
            per_account=per_account,
            idle=idle,
        )


class EmbeddedWorkers(Workers):
    """A claim loop, and a thread for each run."""

    def __init__(
        self,
        store: Store,
        handler: Handler,
        *,
        now: Callable[[], datetime],
        threads: int,
        lease: timedelta,
        per_account: int | None,
        idle: float,
    ) -> None:
        self._store = store
        self._now = now
        self._slots = threads
        self._idle = idle
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._log = logging.getLogger("calbridge.jobs")
        self._misses = 0
        self._runs = Runs(
            store, handler, now=now, lease=lease, per_account=per_account, freed=self._wake.set
        )
        self._threads: list[threading.Thread] = []
        self._loop = threading.Thread(target=self._dispatch, name="jobs", daemon=True)
        self._open = contextlib.ExitStack()

    def start(self) -> None:
        """Begin to claim."""
        self._runs.start()
        self._open.callback(self._store.watch(self.wake).close)
        self._loop.start()

    def wake(self) -> None:
        """Something may have become due; look now."""
        self._wake.set()

    def stop(self, patience: float = 8.0) -> None:
        """Claim no more, let runs end at their next commit, wait up to `patience` seconds."""
        deadline = time.monotonic() + patience
        self._stop.set()
        self._runs.stop()
        self._wake.set()
        for thread in [self._loop, *self._threads]:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._open.close()
        self._runs.close(deadline - time.monotonic())

    @property
    def busy(self) -> int:
        """How many links are running now."""
        return self._runs.busy

    def _dispatch(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                wait = self._look()
            except Exception:  # noqa: BLE001 the loop must outlive any fault
                self._log.exception("the database does not answer; trying again")
                self._stop.wait(self._idle)
                continue
            if wait:
                self._wake.wait(wait)

    def _look(self) -> float:
        """Launch what is due and there are threads for; seconds until it is worth another look."""
        slots = self._slots - self._runs.busy
        if slots <= 0:
            return self._idle  # a run that ends wakes us
        due = self._store.next_due()
        if due is None:
            return self._idle
        wait = (due - self._now()).total_seconds()
        if wait > 0:
            return min(self._idle, max(LEAST, wait))
        claims = self._runs.claim(slots)
        for claim, owner in claims:
            self._launch(claim, owner)
        self._misses = 0 if claims else min(self._misses + 1, 16)
        return 0 if claims else min(self._idle, LEAST * 2**self._misses)

    def _launch(self, claim: Claim, owner: str) -> None:
        thread = threading.Thread(
            target=self._runs.run, args=(claim, owner), name=f"link-{claim.link_id}", daemon=True
        )
        self._threads = [old for old in self._threads if old.is_alive()] + [thread]
        thread.start()
