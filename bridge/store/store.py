"""The store: reads at any time, writes in transactions."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

from sqlalchemy import Connection

from bridge.store.budgets import BudgetWrites
from bridge.store.calls import CallWrites
from bridge.store.channels import StoredChannels
from bridge.store.circuits import CircuitReads, CircuitWrites
from bridge.store.comebacks import ComebackReads, ComebackWrites
from bridge.store.database import Database, open_database
from bridge.store.errors import OutdatedError, StoreError, UnwritableError
from bridge.store.history import HistoryReads, HistoryWrites, JournalReads
from bridge.store.jobs import JobReads, JobWrites
from bridge.store.links import LinkReads, LinkWrites
from bridge.store.migrate import assert_current, migrate
from bridge.store.observed import ObservedReads, ObservedWrites
from bridge.store.seats import Seat
from bridge.store.session import Ring
from bridge.store.subscriptions import SubscriptionReads, SubscriptionWrites
from bridge.store.tokens import StoredTokens
from bridge.store.units import UnitReads, UnitWrites
from bridge.store.watching import Watch
from bridge.vault import Vault

TOLERATED_SKEW = timedelta(seconds=1)
"""Clocks that differ by less are taken for equal."""


def _wall() -> datetime:
    return datetime.now(UTC)


class Tx(
    LinkWrites,
    UnitWrites,
    HistoryWrites,
    JobWrites,
    ObservedWrites,
    SubscriptionWrites,
    BudgetWrites,
    CallWrites,
    CircuitWrites,
    ComebackWrites,
):
    """One write transaction: all of it is durable when its block ends, or nothing is.

    It reads too, its own writes included. Short, please: on SQLite all writers of a machine wait
    for each other; never call a provider inside.
    """


class Store(
    LinkReads,
    UnitReads,
    HistoryReads,
    JournalReads,
    JobReads,
    ObservedReads,
    SubscriptionReads,
    CircuitReads,
    ComebackReads,
):
    """Everything the bridge remembers. Thread safe. Any method may raise `StoreError`.

    `instance` is this installation's random id; `tokens` keeps OAuth tokens, encrypted,
    `channels` the push channels that connectors opened. `ring` is told of links that become due,
    in the transaction that made them so. `halt` is why this process can store nothing more, for as
    long as it lives.
    """

    ring: Ring

    def __init__(
        self,
        database: Database,
        *,
        vault: Vault,
        now: Callable[[], datetime],
        wall: Callable[[], datetime] = _wall,
    ) -> None:
        self._database = database
        self._now = now
        self._wall = wall
        self.ring = self.announce
        self.halt: StoreError | None = None
        self.measure_skew()
        self.tokens = StoredTokens(self, vault)
        self.channels = StoredChannels(self)
        known = self.setting("instance")
        if known is None:
            with self.begin() as tx:
                known = tx.ensure_instance()
        self.instance = known

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection that sees what is committed."""
        return self._database.reading()

    @contextmanager
    def begin(self, *, durable: bool = True) -> Iterator[Tx]:
        """A transaction, committed when the block ends and undone if an exception leaves it.

        Without `durable` nobody waits for the disk: a power cut, though not the end of the process,
        may take the commit back, together with all that came later, until a durable one follows.
        Only for what nobody outside has been told of or acts upon, and is done again in time.

        One per thread at a time: raises `StoreError` inside another. Raises `OutdatedError` if a
        newer program has taken over the database, `UnwritableError` if its disk is full.
        """
        try:
            with self._database.writing(durable=durable) as connection:
                assert_current(connection)
                yield Tx(connection, self._now, ring=self.ring, skew=self.skew)
        except (OutdatedError, UnwritableError) as error:
            self.halt = error
            raise

    def lock(self, *names: str) -> AbstractContextManager[None]:
        """Held by one thread of one process at a time, wherever the same database is used.

        Freed by the system when its holder dies. Not reentrant.
        """
        return self._database.lock(*names)

    def seat(self, *names: str) -> Seat:
        """What one process at a time does for all, wherever the same database is used."""
        return self._database.seat(*names)

    def presence(self, when_alone: Callable[[], None]) -> AbstractContextManager[None]:
        """Be here as a worker. Calls `when_alone` first if certainly no other one is here."""
        return self._database.presence(when_alone)

    def announce(self, connection: Connection, links: Collection[int]) -> None:
        """Wake the watches of other processes when the transaction commits."""
        self._database.ring(connection, links)

    def watch(self, wake: Callable[[], None]) -> Watch:
        """Have `wake` called when any process may have made something due. Close it in the end."""
        return self._database.watch(wake)

    @property
    def libpq(self) -> Mapping[str, Any] | None:
        """How PostgreSQL is reached, None on SQLite."""
        return self._database.libpq

    def measure_skew(self) -> timedelta:
        """Look how far the database's clock is ahead of this machine's."""
        clock = self._database.clock()
        skew = timedelta(0) if clock is None else clock - self._wall()
        self.skew = skew if abs(skew) >= TOLERATED_SKEW else timedelta(0)
        return self.skew

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()


def open_store(
    url: str, *, vault: Vault, now: Callable[[], datetime], wall: Callable[[], datetime] = _wall
) -> Store:
    """Open `sqlite:///PATH` or `postgresql://...`, with the schema brought up to date.

    `now` is aware UTC, `wall` this machine's clock even where `now` is not. Raises `StoreError` if
    it cannot be opened, or a newer program wrote it.
    """
    database = open_database(url)
    try:
        migrate(database)
        return Store(database, vault=vault, now=now, wall=wall)
    except BaseException:
        database.close()
        raise
