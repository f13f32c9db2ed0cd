"""Lets links rest whose account does not answer; see `bridge.circuit`."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from bridge.circuit import failed
from bridge.records import Endpoint, Link, Side
from bridge.store import Store
from bridge.store.circuits import Account
from connectors.errors import ConnectorError


@contextmanager
def blaming(end: Endpoint) -> Iterator[None]:
    """An error that leaves the block came from that account, unless it knows better."""
    try:
        yield
    except ConnectorError as error:
        error.account = error.account or (end.connector, end.account)
        raise


class Breaker:
    """The circuits of all accounts. Thread safe; shared by all processes through the store."""

    def __init__(
        self, store: Store, *, now: Callable[[], datetime], random: Callable[[], float]
    ) -> None:
        self._store = store
        self._now = now
        self._random = random
        self._log = logging.getLogger("calbridge.breaker")

    def admit(self, link: Link) -> datetime | None:
        """None if the link may run, else until when it has to rest. An account that has rested
        long enough admits one link at a time."""
        accounts = _accounts(link)
        if not any(circuit.until for circuit in self._store.circuits(accounts).values()):
            return None
        now = self._now()
        with self._store.begin() as tx:
            known = tx.locked_circuits(accounts).values()
            waits = [until for circuit in known if (until := circuit.wait(now))]
            if waits:
                return max(waits)
            for circuit in known:
                if circuit.until is not None:
                    tx.put_circuit(circuit.probed(now))
        return None

    def failed(self, link: Link, error: ConnectorError) -> datetime | None:
        """A run of the link ended with a passing fault. Until when the account rests, if so."""
        now, blamed = self._now(), error.account
        with self._store.begin() as tx:
            known = tx.locked_circuits(_accounts(link))
            for account, circuit in known.items():
                if account != blamed and circuit.probing is not None:
                    # Nobody knows how it fares; the next link may try.
                    tx.put_circuit(replace(circuit, probing=None))
            if blamed is None:
                return None
            before = known.get(blamed)
            after = failed(before, *blamed, error.message, now, self._random)
            tx.put_circuit(after)
        if after.until is not None and (before is None or before.until is None):
            self._log.warning(
                "%s at %s does not answer; its links rest: %s", *reversed(blamed), error.message
            )
        return after.until

    def answered(self, link: Link, error: ConnectorError) -> None:
        """A run of the link ended because of what an account has said: that one is alive."""
        known = self._store.circuits(_accounts(link))
        if not known:
            return
        with self._store.begin() as tx:
            for account, circuit in tx.locked_circuits(_accounts(link)).items():
                if account == error.account:
                    tx.drop_circuits([account])
                elif circuit.probing is not None:
                    tx.put_circuit(replace(circuit, probing=None))

    def worked(self, link: Link) -> None:
        """The accounts of the link have answered."""
        accounts = _accounts(link)
        known = self._store.circuits(accounts)
        if not known:
            return
        with self._store.begin() as tx:
            tx.drop_circuits(accounts)
        for (connector, account), circuit in known.items():
            if circuit.until is not None:
                self._log.info("%s at %s answers again", account, connector)


def _accounts(link: Link) -> set[Account]:
    return {(link.endpoint(side).connector, link.endpoint(side).account) for side in Side}
