"""The two databases behind the store, and what each needs to be safe.

SQLite: write-ahead log, `synchronous=FULL` (a commit survives a power cut; `NORMAL` for those that
need not, and none is ever kept without those before it), one write connection per process behind a
lock and `BEGIN IMMEDIATE`, because writers that wait inside SQLite starve each other; readers have
connections of their own (sqlite.org, "Write-Ahead Logging", "PRAGMA synchronous"). PostgreSQL:
psycopg 3, `READ COMMITTED`, one pool, `synchronous_commit` off likewise.
"""

import hashlib
import os
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.functions import func

from bridge.store.errors import StoreError, UnwritableError
from bridge.store.filelock import locked_file, shared_file
from bridge.store.seats import AdvisorySeat, FileSeat, Seat
from bridge.store.session import Ring, silent
from bridge.store.watching import PostgresqlWatch, SqliteWatch, Watch, notify

_BUSY_MILLISECONDS = 30_000
_NOTICE_SILENCE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""How soon a session that holds a lock learns that its server is gone (libpq, "Parameter Key
Words"); seconds, seconds, tries, milliseconds."""


class Database(ABC):
    """Connections and locks of one database. Thread safe; not to be carried over a fork.

    `ring` tells other processes' watches. `libpq` is how PostgreSQL is reached, None elsewhere.
    """

    ring: Ring
    libpq: Mapping[str, Any] | None = None

    def __init__(self, place: str) -> None:
        self._place = place
        self._open = threading.local()
        self._closed = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection where each statement sees what is committed."""
        with self._explained(), self._read_connection() as connection:
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """One transaction: committed on leaving, rolled back if an exception leaves."""
        if getattr(self._open, "transaction", False):
            raise StoreError("this thread has a transaction open already; use that one")
        self._open.transaction = True
        try:
            with self._explained(), self._write_connection(durable=durable) as connection:
                yield connection
        finally:
            self._open.transaction = False

    @abstractmethod
    def lock(self, *names: str) -> AbstractContextManager[None]:
        """Held by one thread of one process at a time, everywhere; freed when its holder dies."""

    @abstractmethod
    def seat(self, *names: str) -> Seat:
        """A seat of that name, not taken yet; the same name is the same seat everywhere."""

    @abstractmethod
    def presence(self, when_alone: Callable[[], None]) -> AbstractContextManager[None]:
        """Be here as a worker. Calls `when_alone` if it is certain that no other one is here."""

    @abstractmethod
    def watch(self, wake: Callable[[], None]) -> Watch:
        """Have `wake` called when something may have become due."""

    @abstractmethod
    def clock(self) -> datetime | None:
        """The time by the database's own clock, None if it has none."""

    @abstractmethod
    def close(self) -> None:
        """Let go of all connections; those in use are closed when they come back."""

    def _let_go(self, *engines: Engine) -> None:
        self._closed = True
        for engine in engines:
            engine.dispose()

    def _returned(self, _connection: Any, entry: ConnectionPoolEntry) -> None:
        if self._closed:  # the pool that it comes back to is in use no more
            entry.invalidate()

    @abstractmethod
    def _read_connection(self) -> AbstractContextManager[Connection]: ...

    @abstractmethod
    def _write_connection(self, *, durable: bool) -> AbstractContextManager[Connection]: ...

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if _unwritable(error.orig):
                raise UnwritableError(
                    f"database {self._place} cannot be written: {error.orig}. Nothing is lost; "
                    "make room on its disk (or mend it), then start again"
                ) from error
            raise StoreError(f"database {self._place}: {error.orig}") from error
        except SQLAlchemyError as error:
            raise StoreError(f"database {self._place}: {error}") from error


def open_database(url: str) -> Database:
    """The database that `url` names; a missing SQLite file is created, readable by us alone."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            "the database address cannot be read; write sqlite:///PATH or postgresql://HOST/NAME"
        ) from None
    match parsed.get_backend_name():
        case "sqlite":
            return SqliteDatabase(parsed)
        case "postgresql" | "postgres":
            return PostgresqlDatabase(parsed)
        case other:
            raise StoreError(f"database {other} is not supported; use sqlite or postgresql")


class SqliteDatabase(Database):
    """One file, for one machine."""

    ring = staticmethod(silent)

    def __init__(self, url: URL) -> None:
        if not url.database or url.database == ":memory:":
            raise StoreError("the SQLite database needs a file: sqlite:///PATH")
        self._path = Path(url.database).absolute()
        super().__init__(str(self._path))
        self._mutex = threading.Lock()
        url = URL.create("sqlite", database=str(self._path))
        self._readers = create_engine(url, hide_parameters=True, pool_size=4, max_overflow=-1)
        self._writer = create_engine(url, hide_parameters=True, pool_size=1, max_overflow=0)
        for engine in (self._readers, self._writer):
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "checkin", self._returned)
        event.listen(self._readers, "connect", _forbid_writing)
        event.listen(self._writer, "begin", _begin_immediate)
        self._create_file()

    def lock(self, *names: str) -> AbstractContextManager[None]:
        """A lock file in a folder beside the database."""
        return locked_file(self._lock_file(f"{_name_hash(names).hex()}.lock"))

    def seat(self, *names: str) -> Seat:
        """A lock file in the same folder."""
        return FileSeat(self._lock_file(f"{_name_hash(('seat', *names)).hex()}.lock"))

    def presence(self, when_alone: Callable[[], None]) -> AbstractContextManager[None]:
        """A file in the same folder that all workers share."""
        return shared_file(self._lock_file("workers.lock"), when_alone)

    def watch(self, wake: Callable[[], None]) -> Watch:
        """Of any commit to the file."""
        return SqliteWatch(self._path, wake)

    def clock(self) -> datetime | None:
        """One machine has one clock."""
        return None

    def close(self) -> None:
        """Close the file."""
        self._let_go(self._readers, self._writer)

    def _read_connection(self) -> AbstractContextManager[Connection]:
        return self._readers.connect()

    @contextmanager
    def _write_connection(self, *, durable: bool) -> Iterator[Connection]:
        with self._mutex, self._writer.connect() as connection:
            # Settled outside of the transaction; `begin` is ours to say.
            connection.connection.cursor().execute(
                f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}"
            )
            with connection.begin():
                yield connection

    def _lock_file(self, name: str) -> Path:
        folder = self._path.with_name(self._path.name + "-locks")
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / name

    def _create_file(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            with self.lock("open"), self._explained(), self._writer.connect() as connection:
                # Switching to the write-ahead log does not wait for other openers by itself.
                connection.connection.cursor().execute("PRAGMA journal_mode=WAL")
        except OSError as error:
            raise StoreError(f"database {self._path} cannot be opened: {error.strerror}") from error


class PostgresqlDatabase(Database):
    """A server, for one machine or many."""

    ring = staticmethod(notify)

    def __init__(self, url: URL) -> None:
        super().__init__(url.render_as_string(hide_password=True))
        url = url.set(drivername="postgresql+psycopg")
        try:
            # Looked at before use: after a restart of the server the pool heals by itself.
            self._engine = create_engine(
                url, hide_parameters=True, pool_pre_ping=True, pool_size=8, max_overflow=24
            )
            self._lockers = create_engine(
                url,
                hide_parameters=True,
                poolclass=NullPool,
                isolation_level="AUTOCOMMIT",
                connect_args=_NOTICE_SILENCE,
            )
        except ModuleNotFoundError:
            raise StoreError(
                "PostgreSQL needs psycopg; install feishu-calendar-bridge[postgres]"
            ) from None
        event.listen(self._engine, "checkin", self._returned)
        self._readers: Engine = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self.libpq = self._engine.dialect.create_connect_args(url)[1]

    @contextmanager
    def lock(self, *names: str) -> Iterator[None]:
        """An advisory lock of a session of its own, so that waiting takes nothing from the pool."""
        with self._explained(), self._lockers.connect() as connection:
            key = _key(connection, names)
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
            yield

    def seat(self, *names: str) -> Seat:
        """An advisory lock of the same kind."""
        with self.reading() as connection:
            return AdvisorySeat(self._lockers, _key(connection, ("seat", *names)))

    def presence(self, when_alone: Callable[[], None]) -> AbstractContextManager[None]:
        """Nobody is known to be alone: another machine may only be cut off for a moment."""
        return nullcontext()

    def watch(self, wake: Callable[[], None]) -> Watch:
        """On a session of its own."""
        return PostgresqlWatch(self._lockers, wake)

    def clock(self) -> datetime | None:
        """The server's."""
        with self.reading() as connection:
            return connection.scalar(select(func.clock_timestamp()))

    def close(self) -> None:
        """Close the pool."""
        self._let_go(self._engine, self._lockers)

    def _read_connection(self) -> AbstractContextManager[Connection]:
        return self._readers.connect()

    @contextmanager
    def _write_connection(self, *, durable: bool) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            if not durable:
                connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
            yield connection


def _unwritable(error: BaseException | None) -> bool:
    """Whether SQLite has no room to write (SQLITE_FULL), or the system refused a write, for example
    beyond a quota. A server that is out of room may get some, and is asked again."""
    code = getattr(error, "sqlite_errorcode", None)
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC)


def _configure_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin when we say so
    for pragma in (
        f"busy_timeout={_BUSY_MILLISECONDS}",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _forbid_writing(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA query_only=ON")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _key(connection: Connection, names: tuple[str, ...]) -> int:
    """The number of a lock: each schema is a database of its own."""
    schema = connection.scalar(select(func.current_schema()))
    return int.from_bytes(_name_hash((str(schema), *names))[:8], signed=True)


def _name_hash(names: tuple[str, ...]) -> bytes:
    return hashlib.blake2b("\0".join(names).encode(), digest_size=16).digest()
