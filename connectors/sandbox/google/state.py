"""What the service remembers: users, calendars, events."""

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from connectors.sandbox.google.changes import ChangeLog
from connectors.sandbox.google.errors import needs_role, not_found
from connectors.sandbox.google.expansion import Reading, Series, series
from connectors.sandbox.google.switches import GoogleSwitches
from connectors.sandbox.google.times import Moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.sandbox.clock import Clock

BASE32HEX = "0123456789abcdefghijklmnopqrstuv"
ROLES = ("freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner")
MAX_SERIES = 20_000
SECONDARY = "@group.calendar.google.com"


@dataclass
class Row:
    """One stored event, or (`stored` False) an occurrence that only its series' rule makes.

    `fields` holds what clients wrote, normalised and without defaults; `start`, `end` and
    `original` are `Moment`s. `version` is the number inside the etag. `created` and `updated`
    are Unix milliseconds. `removed_by_person`: deleted in the web interface. `dropped`: an
    exception whose occurrence its series no longer has.
    """

    id: str
    uid: str
    fields: dict[str, Any]
    start: Moment
    end: Moment
    creator: str
    organizer: dict[str, Any]
    created: int = 0
    updated: int = 0
    version: int = 0
    sequence: int = 0
    status: str = "confirmed"
    master: str | None = None
    original: Moment | None = None
    stored: bool = True
    removed_by_person: bool = False
    dropped: bool = False

    @property
    def etag(self) -> str:
        """Quoted, as on the wire."""
        return f'"{self.version}"'

    @property
    def recurrence(self) -> tuple[str, ...]:
        """The lines of a master; empty for all others."""
        return tuple(self.fields.get("recurrence", ()))

    @property
    def cancelled(self) -> bool:
        """Deleted, or a cancelled occurrence."""
        return self.status == "cancelled"

    def copy(self, **changed: Any) -> "Row":
        """Another row with its own `fields`."""
        return replace(self, **({"fields": dict(self.fields)} | changed))


@dataclass
class Calendar:
    """One calendar with its events. Primary calendars bear their owner's address as id."""

    id: str
    owner: str
    summary: str
    zone: str
    description: str = ""
    location: str = ""
    roles: dict[str, str] = field(default_factory=dict)
    deleted: bool = False
    updated: int = 0
    epoch: int = 0
    last_write: float = float("-inf")
    rows: dict[str, Row] = field(default_factory=dict)
    exceptions: dict[str, dict[str, str]] = field(default_factory=dict)
    by_uid: dict[str, set[str]] = field(default_factory=dict)
    by_base: dict[str, set[str]] = field(default_factory=dict)
    log: ChangeLog = field(default_factory=ChangeLog)

    @property
    def primary(self) -> bool:
        """It is its owner's first calendar."""
        return self.id == self.owner

    def put(self, row: Row) -> None:
        """Remember a row, and that it changed."""
        self.rows[row.id] = row
        self.by_uid.setdefault(row.uid, set()).add(row.id)
        if row.master is None:
            self.by_base.setdefault(base_of(row.id), set()).add(row.id)
        elif row.original is not None and not row.dropped:
            self.exceptions.setdefault(row.master, {})[row.original.key] = row.id
        self.log.touch(row.id)

    def drop_exception(self, row: Row) -> None:
        """The series no longer has this occurrence; a tombstone stays."""
        assert row.master is not None
        assert row.original is not None
        self.exceptions.get(row.master, {}).pop(row.original.key, None)
        row.dropped, row.status = True, "cancelled"

    def exceptions_of(self, master: str) -> list[Row]:
        """The living and cancelled exceptions of a series."""
        return [self.rows[name] for name in self.exceptions.get(master, {}).values()]

    def is_deleted(self, row: Row) -> bool:
        """Gone with all its traces, unlike a cancelled occurrence of a living series."""
        if row.dropped:
            return True
        master = self.rows.get(row.master) if row.master else None
        return master.cancelled if master else row.cancelled

    def erase(self) -> None:
        """Forget all events, so that old sync tokens are void."""
        self.rows.clear()
        self.exceptions.clear()
        self.by_uid.clear()
        self.by_base.clear()
        self.log = ChangeLog()
        self.epoch += 1


@dataclass
class ListEntry:
    """A calendar in one user's list, with what only that user sees."""

    calendar: str
    shown: dict[str, Any] = field(default_factory=dict)
    deleted: bool = False
    version: int = 0


@dataclass
class User:
    """One account. Service accounts are users too."""

    email: str
    zone: str
    name: str = ""
    service_account: bool = False
    entries: dict[str, ListEntry] = field(default_factory=dict)
    log: ChangeLog = field(default_factory=ChangeLog)
    epoch: int = 0


@dataclass(frozen=True)
class Caller:
    """Who calls: `delegated` = a service account acting for a user, `person` = the web interface.

    `account` is what request rates count against unless the call names a quota user.
    """

    email: str
    account: str = ""
    client: str = ""
    scopes: frozenset[str] = frozenset()
    service_account: bool = False
    delegated: bool = False
    person: bool = False


class World:
    """The service's state and the few services that everything needs."""

    def __init__(self, clock: "Clock", switches: GoogleSwitches, seed: int) -> None:
        self.clock = clock
        self.switches = switches
        self.random = random.Random(seed)
        self.users: dict[str, User] = {}
        self.calendars: dict[str, Calendar] = {}
        self.mail: Callable[[str, str, str], None] = lambda _to, _subject, _why: None
        self.on_change: Callable[[str, str], None] = lambda _kind, _name: None
        self._last_millis = 0
        self._series: dict[tuple[Moment, tuple[str, ...]], tuple[Reading, Series]] = {}

    def millis(self) -> int:
        """Now in Unix milliseconds; no two calls get the same."""
        self._last_millis = max(int(self.clock.time() * 1000), self._last_millis + 1)
        return self._last_millis

    def new_id(self, length: int = 26) -> str:
        """A server-made id (base32hex)."""
        return "".join(self.random.choices(BASE32HEX, k=length))

    @property
    def reading(self) -> Reading:
        """How recurrence lines are read under the switches in force."""
        switches = self.switches
        return Reading(
            several_rules=switches.several_rules,
            include_unmatched_start=switches.include_unmatched_start,
            until_date=switches.until_date,
            date_exdate_removes_day=switches.date_exdate_removes_day,
        )

    def series(self, master: Row) -> Series:
        """The occurrences of a master; what was computed once is remembered."""
        key, reading = (master.start, master.recurrence), self.reading
        known = self._series.get(key)
        if known is None or known[0] != reading:
            if len(self._series) > MAX_SERIES:
                self._series.clear()
            known = self._series[key] = (reading, series(*key, reading))
        return known[1]

    def add_user(self, email: str, zone: str, name: str, *, service_account: bool = False) -> User:
        """An account with its primary calendar. Known already = the same one."""
        email = email.lower()
        if email not in self.users:
            self.users[email] = User(email, zone, name, service_account)
            self.add_calendar(email, email, zone, name=email)
        return self.users[email]

    def add_calendar(self, owner: str, summary: str, zone: str, *, name: str = "") -> Calendar:
        """A calendar and its entry in the owner's list."""
        calendar = Calendar(
            id=name or self.new_id() + SECONDARY, owner=owner, summary=summary, zone=zone
        )
        calendar.updated = self.millis()
        calendar.roles[owner] = "owner"
        self.calendars[calendar.id] = calendar
        self.enlist(owner, calendar.id)
        return calendar

    def enlist(self, email: str, calendar: str) -> ListEntry:
        """Put the calendar into (or back into) the user's list."""
        user = self.users[email]
        entry = user.entries.setdefault(calendar, ListEntry(calendar))
        entry.deleted = False
        self.touch_entry(email, calendar)
        return entry

    def touch_entry(self, email: str, calendar: str) -> None:
        """The user's list entry changed."""
        user = self.users.get(email)
        if user and calendar in user.entries:
            user.entries[calendar].version = self.millis() * 1000
            user.log.touch(calendar)
            self.on_change("calendarList", email)

    def resolve(self, caller: Caller, calendar_id: str) -> Calendar:
        """The calendar as the caller names it. 404 if it is not there or not shared with him."""
        name = caller.email if calendar_id == "primary" else calendar_id
        calendar = self.calendars.get(name) or self.calendars.get(name.lower())
        if calendar is None or calendar.deleted or caller.email not in calendar.roles:
            raise not_found()
        return calendar

    def require(self, caller: Caller, calendar: Calendar, role: str) -> None:
        """403 unless the caller has at least `role`."""
        if ROLES.index(calendar.roles[caller.email]) < ROLES.index(role):
            raise needs_role(role)

    def changed(self, calendar: Calendar) -> None:
        """The calendar's events changed: new collection etag, pushes."""
        calendar.updated = self.millis()
        self.on_change("events", calendar.id)


def base_of(event_id: str) -> str:
    """The id that instances of the event bear before their own suffix.

    A series made by "this and following" is `<base>_R<pivot>`, its instances `<base>_<start>`.
    """
    base, mark, _ = event_id.rpartition("_R")
    return base if mark else event_id
