"""What has to be done now and then, whether or not anything happens: one slow thread, and of all
processes on a database one at a time."""

import logging
import threading
from datetime import datetime, timedelta

from bridge.records import LinkState
from bridge.runtime import Runtime
from connectors.contract import KeepsAlive
from connectors.errors import ReauthorizeError

EVERY = 3600.0
LEAST = timedelta(minutes=30)
"""A round that was made less than that ago is not made again by another process."""
PUSHES_KEPT = timedelta(days=1)
"""Longer than any provider goes on repeating a push (Feishu: a little over seven hours)."""
JOURNAL_KEPT = timedelta(days=90)
CIRCUITS_KEPT = timedelta(days=1)
"""Far longer than an account ever rests, so nothing uses it any more."""
IDLE_RUNS_KEPT = timedelta(days=2)
"""Runs that found nothing to do, most of them; and for how long calls are counted by the hour."""
_TIDIED = "tidied"


class Housekeeping:
    """Keeps consents alive and forgets what is no longer needed."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._store = runtime.store
        self._now = runtime.system.now
        self._log = logging.getLogger("calbridge.housekeeping")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin; the first round is made at once."""
        self._thread.start()

    def stop(self, patience: float = 5.0) -> None:
        """End."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def _loop(self) -> None:
        while True:
            try:
                self.tidy()
            except Exception:  # noqa: BLE001 the loop must outlive any fault
                self._log.exception("housekeeping failed; trying again in an hour")
            if self._stop.wait(EVERY):
                return

    def tidy(self) -> bool:
        """One round. False if another process makes it, or has made it just now."""
        seat = self._store.seat("housekeeping")
        try:
            if not seat.take() or self._is_tidy():
                return False
            self._forget(self._now())
            self._keep_alive()
            with self._store.begin() as tx:
                tx.put_setting(_TIDIED, self._now().isoformat())
        finally:
            seat.leave()
        return True

    def _is_tidy(self) -> bool:
        last = self._store.setting(_TIDIED)
        age = self._now() - datetime.fromisoformat(last) if last else None
        return age is not None and timedelta(0) <= age < LEAST

    def _forget(self, now: datetime) -> None:
        with self._store.begin() as tx:
            tx.forget_pushes(now - PUSHES_KEPT)
            tx.forget_journal(now - JOURNAL_KEPT)
            tx.forget_circuits(now - CIRCUITS_KEPT)
            tx.forget_calls(now - IDLE_RUNS_KEPT)
        forgotten = 1
        while forgotten and not self._stop.is_set():  # bit by bit: others want to write, too
            with self._store.begin() as tx:
                forgotten = tx.forget_runs(now - JOURNAL_KEPT, now - IDLE_RUNS_KEPT)
        self._store.channels.forget(now)

    def _keep_alive(self) -> None:
        for connector, account in sorted(self._accounts()):
            if self._stop.is_set():
                return
            provider = self._runtime.provider(connector)
            if not isinstance(provider, KeepsAlive):
                continue
            try:
                provider.keep_alive(account)
            except ReauthorizeError as error:
                self._log.warning("consent of %s at %s: %s", account, connector, error.message)
                self._tell_links(connector, account)
            except Exception as error:  # noqa: BLE001 one account's trouble is not the others'
                self._log.warning("consent of %s at %s: %s", account, connector, error)

    def _tell_links(self, connector: str, account: str) -> None:
        """Let the links of an account find out that they have to wait for consent."""
        with self._store.begin() as tx:
            links = [
                link.id
                for link in tx.links()
                if link.state is LinkState.ACTIVE
                and any(
                    (end.connector, end.account) == (connector, account) for end in (link.a, link.b)
                )
            ]
            tx.hint(links, self._now())

    def _accounts(self) -> set[tuple[str, str]]:
        return {
            (end.connector, end.account)
            for link in self._runtime.config.links
            for end in (link.a, link.b)
        }
