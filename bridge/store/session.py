"""What the parts of the store stand on: a connection to read with, a transaction to write in.

A statement of every pass is made once, with `bindparam`s: SQLAlchemy takes longer to put one
together and to find what it was compiled to than SQLite takes to carry it out.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite

CHUNK = 500
"""Rows or ids in one statement: far below every limit on bound parameters."""

T = TypeVar("T")
Ring = Callable[[Connection, Collection[int]], None]
"""Called with links that have just become due, inside the transaction that made them so."""


def silent(_connection: Connection, _links: Collection[int]) -> None:
    """Nobody has to be told."""


class Reads(ABC):
    """Something to read from: the store itself, or a transaction (which sees its own writes).

    `skew` is how far the database's clock is ahead of ours.
    """

    skew = timedelta(0)

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """A connection for one look."""


class Writes(Reads):
    """One transaction. `now` is aware UTC."""

    def __init__(
        self,
        connection: Connection,
        now: Callable[[], datetime],
        *,
        ring: Ring = silent,
        skew: timedelta = timedelta(0),
    ) -> None:
        self.connection = connection
        self.now = now
        self.ring = ring
        self.skew = skew

    def reading(self) -> AbstractContextManager[Connection]:
        """The transaction's own connection."""
        return nullcontext(self.connection)

    def upsert(
        self, table: Table, rows: Sequence[Mapping[str, Any]], *, keep: Collection[str] = ()
    ) -> None:
        """Insert rows, or replace those with the same primary key except their `keep` columns."""
        if not rows:
            return
        statement = _upsert(table, self.connection.dialect.name, tuple(rows[0]), frozenset(keep))
        self.connection.execute(statement, list(rows))

    def insert_new(self, table: Table, row: Mapping[str, Any]) -> bool:
        """Insert a row unless its primary key is taken; True if it was new."""
        statement = _insert_new(table, self.connection.dialect.name)
        return self.connection.execute(statement, row).first() is not None


@cache
def _upsert(table: Table, dialect: str, names: tuple[str, ...], keep: frozenset[str]) -> Executable:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    key = [column.name for column in table.primary_key]
    changed = {name: insert.excluded[name] for name in names if name not in {*key, *keep}}
    statement: Executable = insert.on_conflict_do_update(index_elements=key, set_=changed)
    return statement


@cache
def _insert_new(table: Table, dialect: str) -> Executable:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    statement: Executable = insert.on_conflict_do_nothing().returning(*table.primary_key)
    return statement


def chunks(values: Collection[T]) -> Iterator[list[T]]:
    """The values in lists of at most `CHUNK`."""
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
