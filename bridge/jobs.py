"""Runs links in this process, driven by the job row that each link has in the database.

The row is the truth (see `bridge.store.jobs`); this file only claims due rows, keeps their leases
alive and reports how a run ended. Any number of processes may do so at once.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.store import LeaseLostError, Store, Tx
from bridge.store.jobs import Claim

LEASE = timedelta(seconds=30)
IDLE = 1.0
"""Seconds between looks at the database when nothing wakes us: hints of other processes."""


class Stopping(Exception):  # noqa: N818 a signal, not a fault
    """The process is asked to end; the run stops at its next commit and is taken up later."""


@dataclass(frozen=True, slots=True)
class Done:
    """The run succeeded; look again at `next_at` (None = only when hinted)."""

    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Snooze:
    """The provider wants us to come back at `until`; not a failure."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """The run failed; again at `retry_at`, never by itself if None."""

    error: str
    retry_at: datetime | None


Ending = Done | Snooze | Failed
Handler = Callable[[Claim, Callable[[Tx], None]], Ending]
"""Runs a link. The second argument is the fence to call first in every write transaction."""


class Workers:
    """A claim loop with a fixed number of threads."""

    def __init__(
        self,
        store: Store,
        handler: Handler,
        *,
        now: Callable[[], datetime],
        threads: int = 4,
        lease: timedelta = LEASE,
        idle: float = IDLE,
    ) -> None:
        self._store = store
        self._handler = handler
        self._now = now
        self._lease = lease
        self._idle = idle
        self._owner = f"{secrets.token_hex(8)}:"
        self._claims = 0
        self._free = threading.Semaphore(threads)
        self._slots = threads
        self._running: dict[int, str] = {}
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._log = logging.getLogger("calbridge.jobs")
        self._threads: list[threading.Thread] = []
        self._loops = [
            threading.Thread(target=self._dispatch, name="jobs", daemon=True),
            threading.Thread(target=self._keep_leases, name="leases", daemon=True),
        ]

    def start(self) -> None:
        """Begin to claim."""
        for loop in self._loops:
            loop.start()

    def wake(self) -> None:
        """Something became due in this process; look now."""
        self._wake.set()

    def stop(self, patience: float = 8.0) -> None:
        """Claim no more, let runs end at their next commit, wait up to `patience` seconds."""
        self._stop.set()
        self._wake.set()
        deadline = time.monotonic() + patience
        for thread in [*self._loops, *self._threads]:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def busy(self) -> int:
        """How many links are running now."""
        with self._guard:
            return len(self._running)

    def _dispatch(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            slots = 0
            while slots < self._slots and self._free.acquire(blocking=False):
                slots += 1
            claims = self._claim(slots) if slots else []
            for _unused in range(slots - len(claims)):
                self._free.release()
            for claim, owner in claims:
                self._launch(claim, owner)
            if not claims or len(claims) < slots:
                self._wake.wait(self._patience())

    def _claim(self, slots: int) -> list[tuple[Claim, str]]:
        self._claims += 1
        owner = f"{self._owner}{self._claims}"
        try:
            with self._store.begin() as tx:
                claims = tx.claim(owner, slots, self._now(), self._lease.total_seconds())
        except Exception:  # noqa: BLE001 the loop must outlive any fault
            self._log.exception("the database does not answer; trying again")
            self._stop.wait(self._idle)
            return []
        with self._guard:
            for claim in claims:
                self._running[claim.link_id] = owner
        return [(claim, owner) for claim in claims]

    def _patience(self) -> float:
        try:
            due = self._store.next_due()
        except Exception:  # noqa: BLE001 the loop must outlive any fault
            self._log.exception("the database does not answer; trying again")
            return self._idle
        if due is None:
            return self._idle
        return min(self._idle, max(0.005, (due - self._now()).total_seconds()))

    def _launch(self, claim: Claim, owner: str) -> None:
        thread = threading.Thread(
            target=self._run, args=(claim, owner), name=f"link-{claim.link_id}", daemon=True
        )
        self._threads = [old for old in self._threads if old.is_alive()] + [thread]
        thread.start()

    def _run(self, claim: Claim, owner: str) -> None:
        def fence(tx: Tx) -> None:
            if self._stop.is_set():
                raise Stopping
            tx.assert_owner(claim.link_id, owner)

        try:
            ending = self._handler(claim, fence)
        except Stopping:
            ending = Snooze(self._now())
        except LeaseLostError:
            self._log.warning("link %s was taken over by another worker", claim.link_id)
            return self._release(claim)
        except Exception as error:  # noqa: BLE001 the loop must outlive any fault
            self._log.exception("run of link %s failed", claim.link_id)
            ending = Failed(f"unexpected {type(error).__name__}; see the log", self._later(claim))
        try:
            self._report(claim, owner, ending)
        except Exception:  # noqa: BLE001 the loop must outlive any fault
            self._log.exception("the end of a run could not be stored; its lease will run out")
        return self._release(claim)

    def _later(self, claim: Claim) -> datetime:
        return self._now() + min(
            timedelta(hours=1), timedelta(seconds=2 ** min(claim.attempts, 11))
        )

    def _report(self, claim: Claim, owner: str, ending: Ending) -> None:
        with self._store.begin() as tx:
            match ending:
                case Done(next_at):
                    tx.finish(claim.link_id, owner, claim.dirty, next_at)
                case Snooze(until):
                    tx.snooze(claim.link_id, owner, until)
                case Failed(error, retry_at):
                    tx.fail(claim.link_id, owner, error, retry_at)

    def _release(self, claim: Claim) -> None:
        with self._guard:
            self._running.pop(claim.link_id, None)
        self._free.release()
        self._wake.set()

    def _keep_leases(self) -> None:
        while not self._stop.wait(self._lease.total_seconds() / 3):
            with self._guard:
                running = dict(self._running)
            try:
                with self._store.begin() as tx:
                    for owner in set(running.values()):
                        links = [link for link, held in running.items() if held == owner]
                        tx.beat(owner, links, self._now() + self._lease)
            except Exception:  # noqa: BLE001 the loop must outlive any fault
                self._log.exception("leases could not be prolonged; trying again")
