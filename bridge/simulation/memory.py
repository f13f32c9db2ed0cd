"""The real store on a SQLite database in memory, and a pool that is no pool."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import lru_cache
from typing import NoReturn, ParamSpec, TypeVar

from sqlalchemy import Connection, StaticPool, create_engine, event

from bridge.store import Store
from bridge.store.database import Database
from bridge.store.errors import StoreError
from bridge.store.migrate import migrate
from bridge.store.session import silent
from bridge.vault import Vault

P = ParamSpec("P")
T = TypeVar("T")


class MemoryDatabase(Database):
    """One connection, one thread. It outlives the simulated processes that open it."""

    ring = staticmethod(silent)

    def __init__(self, content: bytes | None = None) -> None:
        super().__init__("in memory")
        self._raw = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._raw.execute("PRAGMA foreign_keys=ON")
        if content is not None:
            self._raw.deserialize(content)
        self._engine = create_engine(
            "sqlite://",
            creator=lambda: self._raw,
            poolclass=StaticPool,
            pool_reset_on_return=None,
        )
        event.listen(self._engine, "begin", _begin)

    def content(self) -> bytes:
        """Everything in it, to start another database from."""
        return self._raw.serialize()

    def lock(self, *_names: str) -> AbstractContextManager[None]:
        """There is nobody else."""
        return nullcontext()

    def presence(self, when_alone: Callable[[], None]) -> AbstractContextManager[None]:
        """There is nobody else."""
        when_alone()
        return nullcontext()

    def seat(self, *_names: str) -> NoReturn:
        """Nobody takes one: refused."""
        raise StoreError("no service can run on a database in memory: it has no seats to take")

    def watch(self, _wake: Callable[[], None]) -> NoReturn:
        """Nobody else writes to it: refused."""
        raise StoreError("no service can run on a database in memory: nobody else writes to it")

    def clock(self) -> None:
        """It has none."""

    def close(self) -> None:
        """Let go of the memory."""
        self._engine.dispose()
        self._raw.close()

    def _read_connection(self) -> AbstractContextManager[Connection]:
        return self._engine.connect()

    @contextmanager
    def _write_connection(self, *, durable: bool) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


@lru_cache(maxsize=1)
def _empty() -> bytes:
    """All tables and nothing in them."""
    database = MemoryDatabase()
    migrate(database)
    content = database.content()
    database.close()
    return content


def new_database() -> MemoryDatabase:
    """A database of this program's schema without a row."""
    return MemoryDatabase(_empty())


@lru_cache(maxsize=1)
def _vault() -> Vault:
    return Vault([Vault.generate_key()])


def open_again(database: Database, now: Callable[[], datetime]) -> Store:
    """The store as a process finds it that starts now."""
    return Store(database, vault=_vault(), now=now, wall=now)


class SameThread(Executor):
    """Runs what is submitted at once, in the order of submission."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The finished future. What is no `Exception` (a simulated crash) is not caught."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 as every executor does
            future.set_exception(error)
        return future
