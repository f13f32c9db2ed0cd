"""Hearing at once of work that another process has stored.

SQLite tells nobody, but a connection can ask cheaply whether others have committed since ("PRAGMA
data_version", sqlite.org). PostgreSQL tells whoever listens; the connection has to lead to the
server itself, since poolers between transactions lose what was listened to (PostgreSQL manual,
"LISTEN").
"""

import contextlib
import logging
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Engine, func, select, text

LOOK = 0.05
"""Seconds between looks at a SQLite file."""
PAUSE = 0.3
"""Seconds after which a listener sees that it is to end."""
HEARTBEAT = 30.0
"""Seconds after which the connection to PostgreSQL is tried."""
RETRY = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds until a lost connection is opened again, growing to the last."""

_log = logging.getLogger("calbridge.jobs")


class Watch(ABC):
    """Calls `wake` from a thread of its own whenever something may have become due.

    It may be late or `deaf` for a while: who waits for it looks now and then as well.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.deaf = True
        self._wake = wake
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_on, name="watch", daemon=True)
        self._thread.start()

    def close(self, patience: float = 2.0) -> None:
        """No more calls; waits up to `patience` seconds."""
        self._over.set()
        self._thread.join(patience)

    @abstractmethod
    def _listen(self) -> None:
        """Call `_heard` once it listens and whenever something may be due, until it is over."""

    def _heard(self) -> None:
        self.deaf = False
        self._wake()

    def _keep_on(self) -> None:
        failures = 0
        while not self._over.is_set():
            try:
                self._listen()
            except Exception as error:  # noqa: BLE001 the loop must outlive any fault
                failures = 0 if not self.deaf else min(failures + 1, len(RETRY) - 1)
                self.deaf = True
                _log.warning("not told of new work for now, looking instead: %s", error)
            self._over.wait(RETRY[failures])


class SqliteWatch(Watch):
    """Watches a file for commits of any other connection, in this process too."""

    def __init__(self, path: Path, wake: Callable[[], None]) -> None:
        self._path = path
        super().__init__(wake)

    def _listen(self) -> None:
        place = f"{self._path.as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(place, uri=True, isolation_level=None)) as looking:
            known = None
            while not self._over.is_set():
                (version,) = looking.execute("PRAGMA data_version").fetchone()
                if version != known:
                    self._heard()
                known = version
                self._over.wait(LOOK)


class PostgresqlWatch(Watch):
    """Listens on a connection of its own."""

    def __init__(self, engine: Engine, wake: Callable[[], None]) -> None:
        self._engine = engine
        super().__init__(wake)

    def _listen(self) -> None:
        with self._engine.connect() as connection:
            channel = connection.scalar(select(_channel()))
            connection.execute(text(f'LISTEN "{channel}"'))
            self._heard()
            listening = connection.connection.driver_connection
            assert listening is not None
            tried = time.monotonic()
            while not self._over.is_set():
                if list(listening.notifies(timeout=PAUSE, stop_after=1)):
                    self._heard()
                elif time.monotonic() - tried >= HEARTBEAT:
                    tried = time.monotonic()
                    connection.execute(text("SELECT 1"))


def notify(connection: Connection, _links: Collection[int]) -> None:
    """Tell all listeners when the transaction commits. One message, whatever it is about: the
    database orders commits that notify one after the other."""
    connection.execute(select(func.pg_notify(_channel(), "")))


def _channel() -> ColumnElement[str]:
    """Each schema is a database of its own."""
    return func.concat("calbridge_", func.md5(func.current_schema()))
