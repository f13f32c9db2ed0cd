"""The service behind the memory connector: calendars that live as long as a value does."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import RLock
from typing import Any

from connectors.capabilities import Capabilities
from connectors.contract import Calendar, Hint, Role
from connectors.errors import FatalError, ReauthorizeError
from connectors.memory.calendar import MemoryCalendar
from mappings.limits import TargetLimits
from mappings.model import Event

LOSSLESS = Capabilities(
    limits=TargetLimits(
        meeting_url=True, attachments=True, responses=True, zero_duration=True, marks=True
    ),
    write_guard=True,
    find_by_key=True,
    whole_changes=True,
    parallel_writes=8,
)
"""Everything that the model can say, under guard, in whole units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call at the service. `number` counts all calls of the world from 1."""

    operation: str
    account: str
    calendar: str = ""
    ref: str = ""
    key: str = ""
    number: int = 0


@dataclass(eq=False)
class MemoryWorld:
    """One provider's service, shared by every `MemoryProvider` that is given it.

    `normalise` is what the service makes of an event that is written, by the bridge or by a
    person; it may raise `RejectedError`. `before` and `after` meet every call of the bridge:
    what they raise is a fault before, respectively after, the call took effect. `calls` counts
    them by operation (a page of a listing is one call), `mails` names everybody whom a call of
    the bridge would have mailed, `subscribed` are the (account, calendar) that pushes go out for,
    `tells_times` whether copies say when they were last changed. Thread safe; persons act through
    `MemoryCalendar.person_*`.
    """

    capabilities: Capabilities = LOSSLESS
    normalise: Callable[[Event], Event] = lambda event: event
    page_size: int = 100
    tells_times: bool = True
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    before: Callable[[Call], None] = lambda call: None
    after: Callable[[Call], None] = lambda call: None
    lock: RLock = field(default_factory=RLock)
    calls: Counter[str] = field(default_factory=Counter)
    mails: list[str] = field(default_factory=list)
    subscribed: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._accounts: dict[str, dict[str, MemoryCalendar]] = {}
        self._listeners: list[SimpleQueue[tuple[str, str]]] = []
        self._number = 0

    def add_calendar(self, account: str, id_: str, **facts: Any) -> MemoryCalendar:
        """The account's calendar of that id, made now if there is none.

        `facts` are further fields of `Calendar`. A new account's first calendar is its primary.
        """
        with self.lock:
            calendars = self._accounts.setdefault(account, {})
            if id_ not in calendars:
                facts = {"name": id_, "role": Role.OWNER, "primary": not calendars, **facts}
                info = Calendar(id=id_, **facts)
                calendars[id_] = MemoryCalendar(info, account, self)
            return calendars[id_]

    def remove_calendar(self, account: str, id_: str) -> None:
        """The calendar is deleted at the service."""
        with self.lock:
            del self._accounts[account][id_]

    def remove_account(self, account: str) -> None:
        """The account no longer lets us in."""
        with self.lock:
            del self._accounts[account]

    def has(self, account: str) -> bool:
        """Whether the account exists."""
        with self.lock:
            return account in self._accounts

    def calendars(self, account: str) -> Mapping[str, MemoryCalendar]:
        """The account's calendars by id. Raises `ReauthorizeError` for an unknown account."""
        with self.lock:
            if account not in self._accounts:
                raise ReauthorizeError(f"the memory world has no account {account!r}; add it")
            return dict(self._accounts[account])

    def calendar(self, account: str, id_: str) -> MemoryCalendar:
        """One of them. Raises `FatalError` if it is gone."""
        calendars = self.calendars(account)
        if id_ not in calendars:
            raise FatalError(f"account {account!r} has no calendar {id_!r}; it may be deleted")
        return calendars[id_]

    @contextmanager
    def calling(self, operation: str, account: str, **facts: str) -> Iterator[None]:
        """Around one call: counts it, lets faults strike, makes it atomic."""
        with self.lock:
            self._number += 1
            self.calls[operation] += 1
            call = Call(operation=operation, account=account, number=self._number, **facts)
        self.before(call)
        with self.lock:
            yield
        self.after(call)

    @contextmanager
    def listening(self, connector: str) -> Iterator[Callable[[float], Hint | None]]:
        """Gives a function that waits for the next push, at most so many seconds."""
        queue: SimpleQueue[tuple[str, str]] = SimpleQueue()
        with self.lock:
            self._listeners.append(queue)
        try:
            yield lambda seconds: _hint(connector, queue, seconds)
        finally:
            with self.lock:
                self._listeners.remove(queue)

    def announce(self, account: str, calendar: str) -> None:
        """Push: somebody should look at this calendar."""
        if (account, calendar) in self.subscribed:
            for queue in self._listeners:
                queue.put((account, calendar))


def _hint(connector: str, queue: SimpleQueue[tuple[str, str]], seconds: float) -> Hint | None:
    try:
        account, calendar = queue.get(timeout=seconds)
    except Empty:
        return None
    return Hint(connector=connector, account=account, calendar=calendar)


_WORLDS: dict[str, MemoryWorld] = {}


def named_world(name: str) -> MemoryWorld:
    """The world that a config calls `name`; made on first use, one per process."""
    return _WORLDS.setdefault(name, MemoryWorld())
