"""What the sandbox remembers: apps, people, calendars, events and everybody's view of them."""

import itertools
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from connectors.sandbox.clock import Clock
from connectors.sandbox.feishu.changelog import ChangeLog, Cursors
from connectors.sandbox.feishu.errors import RefusalError
from connectors.sandbox.feishu.switches import FeishuSwitches
from connectors.sandbox.feishu.times import Span

CalendarType = Literal["primary", "shared", "google", "resource", "exchange"]
ROLES = ("unknown", "free_busy_reader", "reader", "writer", "owner")
PERSONAL = ("visibility", "free_busy_status", "color", "reminders")

ALL_SCOPES = frozenset(
    {
        "calendar:calendar",
        "calendar:calendar:readonly",
        "contact:user.id:readonly",
        "contact:user.employee_id:readonly",
        "contact:user.email:readonly",
        "offline_access",
    }
)


@dataclass(eq=False)
class User:
    """A person of the tenant, or an app's bot. `listed` is the identity's calendar list."""

    open_id: str
    union_id: str
    user_id: str
    name: str
    email: str
    primary: str = ""
    active: bool = True
    bot: bool = False
    listed: dict[str, int] = field(default_factory=dict)
    list_entries: list[str] = field(default_factory=list)
    list_log: ChangeLog = field(default_factory=ChangeLog)

    def id(self, kind: str) -> str:
        """The id of the asked `user_id_type`."""
        return {"union_id": self.union_id, "user_id": self.user_id}.get(kind, self.open_id)


@dataclass(eq=False)
class App:
    """A self-built app of the one tenant. `scopes` are those switched on in its console."""

    id: str
    secret: str
    bot: User
    tenant_key: str = "tenant_1"
    scopes: frozenset[str] = ALL_SCOPES
    refresh_enabled: bool = True


@dataclass(eq=False)
class Attendee:
    """One attendee line of an event. `target` is the user, chat, room or address."""

    id: str
    type: Literal["user", "chat", "resource", "third_party"]
    target: str
    name: str
    rsvp: str = "needs_action"
    optional: bool = False
    organizer: bool = False


@dataclass(eq=False)
class Event:
    """What all participants share of an event: a single one, a master or an exception."""

    uid: str
    original: int
    organizer_calendar: str
    organizer: User
    span: Span
    created: int
    content: dict[str, Any]
    recurrence: str = ""
    status: str = "confirmed"
    attendees: dict[str, Attendee] = field(default_factory=dict)
    entries: dict[str, "Entry"] = field(default_factory=dict)
    exceptions: dict[int, "Event"] = field(default_factory=dict)
    master: "Event | None" = None

    @property
    def id(self) -> str:
        """`{uid}_{original start}`, `_0` for a single event or a master."""
        return f"{self.uid}_{self.original}"

    @property
    def cancelled(self) -> bool:
        """Deleted, or a removed occurrence."""
        return self.status == "cancelled"


@dataclass(eq=False)
class Entry:
    """An event as it stands in one calendar, with what only this calendar's owner sees."""

    event: Event
    number: int
    appeared: float
    personal: dict[str, Any] = field(default_factory=dict)
    removed: bool = False
    rsvp: str = ""

    @property
    def gone(self) -> bool:
        """No longer in this calendar, for whatever reason."""
        return self.removed or self.event.cancelled


@dataclass(eq=False)
class Calendar:
    """A calendar: `entries` only ever grows, so that a position in it stays valid."""

    id: str
    owner: User
    summary: str
    type: CalendarType
    description: str = ""
    permissions: str = "show_only_free_busy"
    color: int = -1
    deleted: bool = False
    acl: dict[str, str] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    by_id: dict[str, Entry] = field(default_factory=dict)
    log: ChangeLog = field(default_factory=ChangeLog)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)

    def role(self, user: User) -> str:
        """What this identity may do here."""
        if user is self.owner:
            return "owner"
        public = {"public": "reader", "show_only_free_busy": "free_busy_reader"}
        default = public.get(self.permissions, "unknown")
        return max(self.acl.get(user.open_id, "unknown"), default, key=ROLES.index)


@dataclass(eq=False)
class Room:
    """A meeting room; it answers invitations by itself."""

    id: str
    name: str
    calendar: str


@dataclass(eq=False)
class Chat:
    """A group chat that can be invited as a whole."""

    id: str
    name: str
    members: list[User]


@dataclass(frozen=True)
class Change:
    """Something that subscribers hear about. `kind` as in the grey field `change_type`."""

    calendar: str
    event_id: str
    kind: Literal["create", "update", "delete", "rsvp"]
    users: tuple[str, ...] = ()


class World:
    """All state of one sandbox. Callers hold the sandbox's lock.

    Within `quietly` nothing is pushed, within `unmailed` nothing is mailed.
    """

    def __init__(self, clock: Clock, switches: FeishuSwitches, seed: int) -> None:
        self.clock = clock
        self.switches = switches
        self.random = random.Random(seed)
        self.cursors = Cursors(uuid.uuid4().hex)
        self.epoch = 0
        self._quiet = False
        self._unmailed = False
        self.apps: dict[str, App] = {}
        self.users: dict[str, User] = {}
        self.calendars: dict[str, Calendar] = {}
        self.rooms: dict[str, Room] = {}
        self.chats: dict[str, Chat] = {}
        self.on_change: Callable[[Change], None] = lambda _change: None
        self.on_list_change: Callable[[User], None] = lambda _user: None
        self.on_acl_change: Callable[[Calendar, str, User, str], None] = lambda *_args: None
        self.on_mail: Callable[[str, str, str], None] = lambda *_args: None
        self.later: Callable[[float, Callable[[], None]], None] = lambda *_args: None
        self._serial = itertools.count(1)

    # -- names ---------------------------------------------------------------------------------

    def hex(self, bits: int = 128) -> str:
        """A random identifier, the same for the same seed and order of calls."""
        return f"{self.random.getrandbits(bits):0{bits // 4}x}"

    def serial(self) -> int:
        """1, 2, 3, ..."""
        return next(self._serial)

    # -- people and calendars ------------------------------------------------------------------

    def add_user(self, name: str, email: str, open_id: str | None, *, bot: bool = False) -> User:
        """A person with a primary calendar."""
        tail = self.hex(64)
        user = User(
            open_id=open_id or f"ou_{tail}",
            union_id=f"on_{tail}",
            user_id=tail[:8],
            name=name,
            email=email.lower(),
            bot=bot,
        )
        self.users[user.open_id] = user
        user.primary = self.add_calendar(user, name, "primary").id
        return user

    def add_calendar(self, owner: User, summary: str, kind: CalendarType) -> Calendar:
        """A calendar that stands in its owner's list."""
        name = f"feishu.cn_{self.hex(64)}@group.calendar.feishu.cn"
        calendar = Calendar(id=name, owner=owner, summary=summary, type=kind)
        self.calendars[name] = calendar
        if kind != "resource":
            self.list_touch(owner, name)
        return calendar

    def list_touch(self, user: User, calendar_id: str) -> None:
        """The calendar appeared, changed or vanished in the identity's list."""
        if calendar_id not in user.listed:
            user.listed[calendar_id] = len(user.list_entries)
            user.list_entries.append(calendar_id)
        user.list_log.touch(user.listed[calendar_id], self.clock.time())
        if not self._quiet:
            self.on_list_change(user)

    def user_by(self, key: str) -> User:
        """A user by open_id, union_id, user_id or e-mail address. Raises KeyError."""
        if key in self.users:
            return self.users[key]
        for user in self.users.values():
            if key.lower() in (user.email, user.user_id, user.union_id):
                return user
        raise KeyError(key)

    def user_of_id(self, kind: str, value: Any) -> User:
        """A user by id of the given `user_id_type`. Raises 99992351 or 195100."""
        user = next((u for u in self.users.values() if u.id(kind) == value), None)
        if user is None:
            raise RefusalError(99992351)
        if not user.active:
            raise RefusalError(195100)
        return user

    # -- changes -------------------------------------------------------------------------------

    def show(self, event: Event, calendar: Calendar, *, silently: bool = False) -> Entry:
        """Put an event into a calendar, or back into it; `silently`: the caller touches it."""
        entry = calendar.by_id.get(event.id)
        if entry is None:
            entry = Entry(event, len(calendar.entries), self.clock.time())
            calendar.entries.append(entry)
            calendar.by_id[event.id] = entry
            event.entries[calendar.id] = entry
        entry.removed = False
        if not silently:
            self.touch(entry, calendar, "create")
        return entry

    def touch(
        self, entry: Entry, calendar: Calendar, kind: Literal["create", "update", "delete", "rsvp"]
    ) -> None:
        """The entry changed in this calendar: one line in its log, one push to subscribers."""
        calendar.log.touch(entry.number, self.clock.time())
        if not self._quiet:
            self.on_change(Change(calendar.id, entry.event.id, kind))

    def touch_all(self, event: Event, kind: Literal["update", "delete", "rsvp"]) -> None:
        """The shared part of an event changed, in every calendar that shows it."""
        for calendar_id, entry in event.entries.items():
            if not entry.removed:
                self.touch(entry, self.calendars[calendar_id], kind)

    def mail(self, to: str, subject: str, why: str) -> None:
        """A bot message or mail leaves the house."""
        if not self._unmailed:
            self.on_mail(to, subject, why)

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """A test lays out its starting point."""
        self._quiet, before = True, self._quiet
        try:
            yield
        finally:
            self._quiet = before

    @contextmanager
    def unmailed(self) -> Iterator[None]:
        """People do this by hand."""
        self._unmailed, before = True, self._unmailed
        try:
            yield
        finally:
            self._unmailed = before
