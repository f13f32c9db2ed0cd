"""What has to be done now and then, whether or not anything happens: one slow thread."""

import logging
import threading
from datetime import timedelta

from bridge.runtime import Runtime
from connectors.contract import KeepsAlive
from connectors.errors import ConnectorError

EVERY = 3600.0
PUSHES_KEPT = timedelta(days=1)
"""Longer than any provider goes on repeating a push (Feishu: a little over seven hours)."""
JOURNAL_KEPT = timedelta(days=90)


class Housekeeping:
    """Keeps consents alive and forgets what is no longer needed."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
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

    def tidy(self) -> None:
        """One round."""
        now = self._runtime.system.now()
        with self._runtime.store.begin() as tx:
            tx.forget_pushes(now - PUSHES_KEPT)
            tx.forget_journal(now - JOURNAL_KEPT)
        self._runtime.store.channels.forget(now)
        for connector, account in self._accounts():
            provider = self._runtime.provider(connector)
            if not isinstance(provider, KeepsAlive):
                continue
            try:
                provider.keep_alive(account)
            except ConnectorError as error:
                self._log.warning("consent of %s at %s: %s", account, connector, error.message)

    def _accounts(self) -> set[tuple[str, str]]:
        return {
            (end.connector, end.account)
            for link in self._runtime.config.links
            for end in (link.a, link.b)
        }
