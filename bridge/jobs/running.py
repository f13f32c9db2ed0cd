"""The runs of one process: each under a lease that is kept alive, its end stored in its row."""

import contextlib
import logging
import random
import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from bridge.backoff import backoff
from bridge.jobs.port import Done, Ending, Failed, Handler, Snooze, Stopping
from bridge.store import LeaseLostError, Store, Tx
from bridge.store.jobs import Claim

PERSIST = 0.5
"""Seconds between attempts to store how a run ended while the database does not answer."""
BACKOFF_BASE = timedelta(seconds=1)
BACKOFF_CAP = timedelta(hours=1)
SKEW_EVERY = 60.0
"""Seconds between looks at how far the database's clock and ours differ."""


class Runs:
    """Claims links, runs them, and reports how that ended. Thread safe.

    `ended` is called in the transaction that stores a run's end, `freed` afterwards.
    """

    def __init__(
        self,
        store: Store,
        handler: Handler,
        *,
        now: Callable[[], datetime],
        lease: timedelta,
        per_account: int | None = None,
        ended: Callable[[Tx, int], None] = lambda _tx, _link: None,
        freed: Callable[[], None] = lambda: None,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._handler = handler
        self._now = now
        self._lease = lease
        self._per_account = per_account
        self._ended = ended
        self._freed = freed
        self._random = random
        self._process = secrets.token_hex(8)
        self._claims = 0
        self._running: set[tuple[int, str]] = set()
        self._guard = threading.Lock()
        self._claiming = threading.Lock()
        self._stop = threading.Event()
        self._open = contextlib.ExitStack()
        self._log = logging.getLogger("calbridge.jobs")
        self._beating = threading.Thread(target=self._keep_leases, name="leases", daemon=True)

    def start(self) -> None:
        """From now on this process counts as a worker. Links of workers that died are due at once
        if no other worker is left."""
        self._open.enter_context(self._store.presence(self._bury))
        self._beating.start()

    def stop(self) -> None:
        """Runs end at their next commit."""
        self._stop.set()

    def close(self, patience: float) -> None:
        """The last run has ended, or has been waited for long enough."""
        if self._beating.is_alive():
            self._beating.join(max(0.0, patience))
        self._open.close()

    @property
    def busy(self) -> int:
        """How many links are running now."""
        with self._guard:
            return len(self._running)

    def claim(self, n: int, link_id: int | None = None) -> list[tuple[Claim, str]]:
        """Up to `n` due links, or that one if it is due, each with the owner to run it as."""
        # One at a time: each sees of an account what the one before has taken.
        # A power cut ends the runs, too, and then nobody has claimed anything.
        with self._claiming, self._store.begin(durable=False) as tx:
            self._claims += 1
            owner = f"{self._process}:{self._claims}"
            claims = tx.claim(
                owner, n, self._now(), self._lease.total_seconds(), link_id, self._per_account
            )
        with self._guard:
            self._running.update((claim.link_id, owner) for claim in claims)
        return [(claim, owner) for claim in claims]

    def run(self, claim: Claim, owner: str) -> None:
        """Run a claimed link to its end. Raises nothing."""
        try:
            ending = self._end_of(claim, owner)
            if ending is not None:
                self._report(claim, owner, ending)
        except Exception:  # noqa: BLE001 the worker must outlive any fault
            self._log.exception("the end of a run could not be stored; its lease will run out")
        finally:
            with self._guard:
                self._running.discard((claim.link_id, owner))
            self._freed()

    def _end_of(self, claim: Claim, owner: str) -> Ending | None:
        def fence(tx: Tx) -> None:
            if self._stop.is_set():
                raise Stopping
            tx.assert_owner(claim.link_id, owner)

        try:
            return self._handler(claim, fence)
        except Stopping:
            return Snooze(self._now())
        except LeaseLostError:
            self._log.warning("link %s was taken over by another worker", claim.link_id)
            return None
        except Exception as error:  # noqa: BLE001 the worker must outlive any fault
            self._log.exception("run of link %s failed", claim.link_id)
            return Failed(f"unexpected {type(error).__name__}; see the log", self._later(claim))

    def _later(self, claim: Claim) -> datetime:
        return self._now() + backoff(
            claim.attempts + 1, base=BACKOFF_BASE, cap=BACKOFF_CAP, random=self._random
        )

    def _report(self, claim: Claim, owner: str, ending: Ending) -> None:
        """Store how it ended, again and again until the lease is over: a database that restarts
        costs the link no wait."""
        deadline = time.monotonic() + self._lease.total_seconds()
        while True:
            try:
                return self._store_end(claim, owner, ending)
            except Exception:  # whatever a database that restarts raises, in any of its drivers
                if time.monotonic() >= deadline or self._stop.wait(PERSIST):
                    raise

    def _store_end(self, claim: Claim, owner: str, ending: Ending) -> None:
        with self._store.begin(durable=False) as tx:  # else the link runs once more
            if _write_end(tx, claim, owner, ending):
                self._ended(tx, claim.link_id)

    def _bury(self) -> None:
        with self._store.begin() as tx:
            freed = tx.end_leases(self._now())
        if freed:
            self._log.info("links of a worker that died are taken up again: %s", freed)

    def _keep_leases(self) -> None:
        looked = time.monotonic()
        while not self._stop.wait(self._lease.total_seconds() / 3):
            try:
                self._beat()
                if time.monotonic() - looked >= SKEW_EVERY:
                    looked = time.monotonic()
                    self._watch_clock()
            except Exception:  # noqa: BLE001 the loop must outlive any fault
                self._log.exception("leases could not be prolonged; trying again")

    def _beat(self) -> None:
        with self._guard:
            running = sorted(self._running)
        if not running:
            return
        with self._store.begin() as tx:
            for link, owner in running:  # in order, as hints lock them: so they never deadlock
                tx.beat(owner, [link], self._now() + self._lease)

    def _watch_clock(self) -> None:
        skew = self._store.measure_skew()
        if skew:
            self._log.warning(
                "this machine's clock and the database's differ by %s s; set the clock",
                round(-skew.total_seconds()),
            )


def _write_end(tx: Tx, claim: Claim, owner: str, ending: Ending) -> bool:
    match ending:
        case Done(next_at):
            return tx.finish(claim.link_id, owner, claim.dirty, next_at)
        case Snooze(until):
            return tx.snooze(claim.link_id, owner, until)
        case Failed(error, retry_at):
            return tx.fail(claim.link_id, owner, error, retry_at)
