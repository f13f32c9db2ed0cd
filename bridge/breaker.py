"""Lets links rest whose account does not answer; see `bridge.circuit`."""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.circuit import failed
from bridge.records import Endpoint, Link, Side
from bridge.store import Store
from bridge.store.circuits import Account
from connectors.errors import ConnectorError

SPREAD = timedelta(seconds=5)
"""Within it the links of an account that is back are due."""
ONCE = timedelta(minutes=1)
"""How often an account that is back sends the others of its provider to look at most, lest one
that stays away is asked by each of a thousand."""


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
        self._sent: dict[str, datetime] = {}
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

    def slowed(self, link: Link) -> None:
        """A run of the link ended because a provider asks for patience: an account that rests is
        neither back nor still away, and the next link may try."""
        accounts = _accounts(link)
        if any(circuit.probing for circuit in self._store.circuits(accounts).values()):
            with self._store.begin() as tx:
                for circuit in tx.locked_circuits(accounts).values():
                    tx.put_circuit(replace(circuit, probing=None))

    def answered(self, link: Link, error: ConnectorError) -> None:
        """A run of the link ended because of what an account has said: that one is alive."""
        accounts = _accounts(link)
        self._alive(accounts & {error.account}, beside=accounts)

    def worked(self, link: Link) -> None:
        """The accounts of the link have answered."""
        self._alive(_accounts(link))

    def _alive(self, accounts: Collection[Account], beside: Collection[Account] = ()) -> None:
        """These answer; the probes of those `beside` them are over, and nobody knows more."""
        concerned = {*accounts, *beside}
        known = self._store.circuits(concerned)
        if not known:
            return
        back = {who for who in accounts if who in known and known[who].until is not None}
        waiting = back | self._neighbours(back)
        now = self._now()
        with self._store.begin() as tx:
            for who, circuit in tx.locked_circuits(concerned | waiting).items():
                if who in waiting and circuit.until is not None:
                    circuit = replace(circuit, until=min(circuit.until, now))  # noqa: PLW2901
                tx.put_circuit(replace(circuit, probing=None))
            tx.drop_circuits(accounts)
            tx.hurry(waiting, now, lambda: SPREAD * self._random())
        for connector, account in sorted(back):
            self._log.info("%s at %s answers again", account, connector)

    def _neighbours(self, back: Collection[Account]) -> set[Account]:
        """Accounts that failed at the providers of those: most often it is these that were away."""
        now, asked = self._now(), set[str]()
        for connector in {name for name, _account in back}:
            sent = self._sent.get(connector)
            if sent is None or now - sent >= ONCE:
                self._sent[connector] = now
                asked.add(connector)
        known = self._store.circuits() if asked else {}
        return {account for account in known if account[0] in asked}


def _accounts(link: Link) -> set[Account]:
    return {(link.endpoint(side).connector, link.endpoint(side).account) for side in Side}
