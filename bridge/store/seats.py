"""Seats: what only one process at a time may do, for as long as it likes.

Unlike `Database.lock` nobody waits inside: who does not get the seat asks again later, and who has
it looks now and then whether it is still theirs, because a database that was restarted gives it
to whoever asks first.
"""

import contextlib
import os
import threading
from abc import ABC, abstractmethod
from pathlib import Path

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from bridge.store.errors import StoreError
from bridge.store.filelock import try_lock

_DEAD_PEER = {"idle": "5", "interval": "2", "count": "3"}
"""Seconds, seconds and tries after which the server takes a silent holder's machine for gone."""


class Seat(ABC):
    """One claim to a seat. Thread safe."""

    @abstractmethod
    def take(self) -> bool:
        """Whether the seat is ours now. Does not wait for its holder. May raise `StoreError`."""

    @abstractmethod
    def kept(self) -> bool:
        """Whether it is ours still. Asks the database; what does not answer is lost."""

    @abstractmethod
    def leave(self) -> None:
        """Give it up. Not ours = done. May be taken again."""


class FileSeat(Seat):
    """A locked file, which stays ours until we let go or die."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Lock the file unless somebody else has."""
        with self._guard:
            if self._descriptor is None:
                self._descriptor = try_lock(self._path)
            return self._descriptor is not None

    def kept(self) -> bool:
        """True until `leave`."""
        with self._guard:
            return self._descriptor is not None

    def leave(self) -> None:
        """Closing the file frees it."""
        with self._guard:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class AdvisorySeat(Seat):
    """An advisory lock on a session of its own (PostgreSQL manual, "Advisory Locks")."""

    def __init__(self, engine: Engine, key: int) -> None:
        self._engine = engine
        self._key = key
        self._guard = threading.Lock()
        self._session: Connection | None = None
        self._ours = False

    def take(self) -> bool:
        """Ask the server; the session stays open to ask again."""
        with self._guard:
            if self._ours:
                return True
            try:
                if self._session is None:
                    self._session = self._engine.connect()
                    for name, value in _DEAD_PEER.items():
                        setting = func.set_config(f"tcp_keepalives_{name}", value, False)
                        self._session.execute(select(setting))
                self._ours = bool(
                    self._session.scalar(select(func.pg_try_advisory_lock(self._key)))
                )
            except SQLAlchemyError as error:
                self._drop()
                raise StoreError(f"the database does not answer: {error}") from error
            return self._ours

    def kept(self) -> bool:
        """Whether the session that holds it lives."""
        with self._guard:
            if not self._ours or self._session is None:
                return False
            try:
                self._session.scalar(select(1))
            except SQLAlchemyError:
                self._drop()
            return self._ours

    def leave(self) -> None:
        """The server frees what a session held when it ends."""
        with self._guard:
            self._drop()

    def _drop(self) -> None:
        session, self._session, self._ours = self._session, None, False
        if session is not None:
            with contextlib.suppress(SQLAlchemyError):
                session.close()
