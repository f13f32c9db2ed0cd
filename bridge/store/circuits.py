"""Accounts that do not answer, as all processes know them."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import bindparam, delete, func, literal, select, tuple_

from bridge.circuit import Circuit
from bridge.store.schema import Instant, circuits
from bridge.store.session import Reads, Writes
from bridge.store.texts import storable

Account = tuple[str, str]
"""A connector of the config, and an account there."""
# In one order, so that two links which share two accounts never wait for each other.
_ALL = select(circuits).order_by(circuits.c.connector, circuits.c.account)
_AMONG = tuple_(circuits.c.connector, circuits.c.account).in_(bindparam("accounts", expanding=True))
_OF_ACCOUNTS = _ALL.where(_AMONG)
_LOCKED = _OF_ACCOUNTS.with_for_update()
_DROPPED = delete(circuits).where(_AMONG)


class CircuitReads(Reads):
    """Circuits to look at. An account without one is well."""

    def circuits(self, accounts: Collection[Account] | None = None) -> Mapping[Account, Circuit]:
        """Those of the accounts, or all."""
        query = _ALL if accounts is None else _OF_ACCOUNTS
        wanted = {} if accounts is None else {"accounts": sorted(accounts)}
        with self.reading() as connection:
            rows = connection.execute(query, wanted).mappings()
            return {(row["connector"], row["account"]): Circuit(**row) for row in rows}


class CircuitWrites(CircuitReads, Writes):
    """Circuits to write."""

    def locked_circuits(self, accounts: Collection[Account]) -> Mapping[Account, Circuit]:
        """Those of the accounts; nobody else changes them until the transaction ends."""
        rows = self.connection.execute(_LOCKED, {"accounts": sorted(accounts)}).mappings()
        return {(row["connector"], row["account"]): Circuit(**row) for row in rows}

    def put_circuit(self, circuit: Circuit) -> None:
        """Write it."""
        row = {name: getattr(circuit, name) for name in circuits.c.keys()}  # noqa: SIM118
        self.upsert(circuits, [{**row, "error": storable(circuit.error)}])

    def drop_circuits(self, accounts: Collection[Account]) -> None:
        """They are well."""
        self.connection.execute(_DROPPED, {"accounts": sorted(accounts)})

    def forget_circuits(self, before: datetime) -> None:
        """Forget accounts that no link has asked about since then."""
        last = func.coalesce(circuits.c.until, circuits.c.since)
        self.connection.execute(delete(circuits).where(last < literal(before, Instant)))
