"""The port: what wakes the workers, whoever does it.

Pending work is one row per link in the database (`bridge.store.jobs`), and so are back-off,
parking and periodic times. An engine carries nothing but "look at this link": what it loses, the
row still knows, and what it sends twice finds the link taken. The rest of the port is the row's
own, the same for every engine: `Tx.hint` (which calls `Engine.notify`), `Snooze`, `Tx.replay` for
what was parked, `Store.job_stats`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bridge.store import Store, Tx
from bridge.store.jobs import Claim

LEASE = timedelta(seconds=30)
"""How long a link stays with a worker that has fallen silent."""


class Stopping(Exception):  # noqa: N818 a signal, not a fault
    """The process is asked to end; the run stops at its next commit and is taken up later."""


@dataclass(frozen=True, slots=True)
class Done:
    """The run succeeded; look again at `next_at` (None = only when hinted)."""

    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Snooze:
    """The provider wants us to come back at `until`; not a failure."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """The run failed; again at `retry_at`, never by itself if None."""

    error: str
    retry_at: datetime | None


Ending = Done | Snooze | Failed
Fence = Callable[[Tx], None]
"""To be called first in every write transaction of a run; raises once the link is another's."""
Handler = Callable[[Claim, Fence], Ending]
"""Runs a link."""


class Workers(ABC):
    """Threads of this process that run due links, each link once at a time everywhere."""

    @abstractmethod
    def start(self) -> None:
        """Begin to claim."""

    @abstractmethod
    def wake(self) -> None:
        """Something became due in this process; look now."""

    @abstractmethod
    def stop(self, patience: float = 8.0) -> None:
        """Claim no more, let runs end at their next commit, wait up to `patience` seconds."""

    @property
    @abstractmethod
    def busy(self) -> int:
        """How many links are running now."""


class Engine(ABC):
    """Wakes workers, in this process and in others. Every process of an installation uses the
    same one, also those that only hint."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.ring = self.notify

    @abstractmethod
    def notify(self, connection: Connection, links: Collection[int]) -> None:
        """The links went from idle to due in this transaction: once it is committed, wake
        somebody for each."""

    @abstractmethod
    def workers(
        self,
        handler: Handler,
        *,
        now: Callable[[], datetime],
        threads: int = 4,
        lease: timedelta = LEASE,
        per_account: int | None = None,
    ) -> Workers:
        """Workers of this process, not started yet. Of no account more than `per_account` links
        run at once."""
