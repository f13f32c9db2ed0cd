"""Takes hints in, from listening connections (`bridge.listening`) and from webhooks
(`bridge.webhooks`). A hint is made durable, and only then acknowledged; it never says what
happened, only where to look.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta

from bridge.backoff import backoff
from bridge.records import Link, Side
from bridge.runtime import Runtime
from connectors.contract import Hint
from connectors.errors import ConnectorError

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)
"""How long to wait before a provider is asked again who the accounts are."""


def recheck_setting(link: Link) -> str:
    """The setting that asks the next run of a link to look at the calendar list first. Its value
    is unlike that of any other hint, so that one which comes during the look is not forgotten."""
    return f"recheck:{link.id}"


class Intake:
    """Turns hints into due links."""

    def __init__(
        self,
        runtime: Runtime,
        wake: Callable[[], None],
        reads: Callable[[Link, Side], bool] = lambda _link, _side: True,
    ) -> None:
        self._reads = reads
        self._runtime = runtime
        self._store = runtime.store
        self._wake = wake
        self._log = logging.getLogger("calbridge.intake")
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._unknown: dict[str, set[str]] = {}
        self._accounts: dict[tuple[str, str], set[str]] = {}
        self._asking: threading.Thread | None = None
        self.accepted = 0

    def learn(self, links: Iterable[Link]) -> None:
        """Find out which of the providers' user ids the links' accounts are; of a provider that
        cannot be asked now, later."""
        with self._guard:
            for link in links:
                for side in Side:
                    end = link.endpoint(side)
                    self._unknown.setdefault(end.connector, set()).add(end.account)
        self._ask()
        if self._unknown and (self._asking is None or not self._asking.is_alive()):
            self._asking = threading.Thread(target=self._ask_again, name="accounts", daemon=True)
            self._asking.start()

    def _ask(self) -> None:
        with self._guard:
            unknown = {connector: sorted(names) for connector, names in self._unknown.items()}
        for connector, names in unknown.items():
            try:
                found = self._runtime.provider(connector).resolve(names)
            except ConnectorError as error:
                self._log.warning("accounts of %s not resolved: %s", connector, error.message)
                continue
            with self._guard:
                for name, identity in found.items():
                    self._accounts.setdefault((connector, identity.id), set()).add(name)
                left = self._unknown.pop(connector, set()).difference(names)
                if left:
                    self._unknown[connector] = left

    def _ask_again(self) -> None:
        failures = 1
        while self._unknown and not self._stop.wait(self._pause(failures)):
            failures += 1
            try:
                self._ask()
            except Exception:  # noqa: BLE001 the loop must outlive any fault
                self._log.exception("accounts could not be resolved; trying again")

    def _pause(self, failures: int) -> float:
        random = self._runtime.system.random
        pause = backoff(failures, base=FIRST_PAUSE, cap=LONGEST_PAUSE, random=random)
        return pause.total_seconds()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()

    def take(self, hint: Hint) -> None:
        """Make a hint durable; repeated pushes are dropped by their id."""
        links = [link for link in self._found(hint) if self._concerns(link, hint)]
        now = self._runtime.system.now()
        with self._store.begin() as tx:
            if hint.id and not tx.seen_push(hint.connector, hint.id, now):
                return
            if hint.calendar is None and hint.account is not None:
                for link in links:
                    tx.put_setting(recheck_setting(link), f"{now.isoformat()} {hint.id}")
            if hint.calendar is not None or hint.account is None:
                tx.announce(hint.connector, hint.calendar, now)
            tx.hint([link.id for link in links], now)
        self.accepted += 1
        self._wake()

    def _found(self, hint: Hint) -> list[Link]:
        if hint.calendar is None and hint.account is not None:
            accounts = self._accounts.get((hint.connector, hint.account), set())
            return self._store.links_at(hint.connector, accounts=accounts)
        return self._store.links_at(hint.connector, calendar=hint.calendar)

    def _concerns(self, link: Link, hint: Hint) -> bool:
        """Whether a run of the link would see what the hint is about: what is only written to is
        not read, but whether its calendar is still there is always of interest."""
        for side in Side:
            end = link.endpoint(side)
            if end.connector != hint.connector:
                continue
            if hint.calendar is None and hint.account is not None:
                if end.account in self._accounts.get((hint.connector, hint.account), ()):
                    return True
            elif hint.calendar in (None, end.calendar) and self._reads(link, side):
                return True
        return False
