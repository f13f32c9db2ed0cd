"""Mailboxes, folders and stored items.

A stored item never changes: a write makes a draft, and `Mailbox.put` replaces the old item by it
with a new change key, notes the change and tells the subscribers.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Literal

from connectors.sandbox.clock import Clock
from connectors.sandbox.exchange import ids
from connectors.sandbox.exchange.changes import FolderLog
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.recurrence import Recurrence
from connectors.sandbox.exchange.switches import ExchangeSwitches
from connectors.sandbox.exchange.zones import Zones

CALENDAR = "IPF.Appointment"
NOTES = "IPF.Note"
STANDARD_FOLDERS = (
    ("root", "", "Root", ""),
    ("msgfolderroot", "root", "Top of Information Store", NOTES),
    ("calendar", "msgfolderroot", "Calendar", CALENDAR),
    ("inbox", "msgfolderroot", "Inbox", NOTES),
    ("drafts", "msgfolderroot", "Drafts", NOTES),
    ("outbox", "msgfolderroot", "Outbox", NOTES),
    ("sentitems", "msgfolderroot", "Sent Items", NOTES),
    ("deleteditems", "msgfolderroot", "Deleted Items", NOTES),
    ("junkemail", "msgfolderroot", "Junk Email", NOTES),
    ("contacts", "msgfolderroot", "Contacts", "IPF.Contact"),
    ("tasks", "msgfolderroot", "Tasks", "IPF.Task"),
    ("recoverableitemsroot", "root", "Recoverable Items", ""),
    ("recoverableitemsdeletions", "recoverableitemsroot", "Deletions", ""),
    ("recoverableitemspurges", "recoverableitemsroot", "Purges", ""),
)
Status = Literal[
    "active", "moving", "unavailable", "disabled", "ews_disabled", "password_expired", "readonly"
]


@dataclass(frozen=True)
class ExtendedKey:
    """The name of an extended property; GUIDs in lower case."""

    space: str
    name: str
    type: str


@dataclass(frozen=True)
class File:
    """Something that was attached."""

    id: str
    name: str
    content: bytes


@dataclass
class Exception_:  # noqa: N801 - Exception is Python's own
    """What one occurrence holds in place of its master's values."""

    values: dict[str, Any] = field(default_factory=dict)
    extended: dict[ExtendedKey, tuple[str, ...]] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    modified: datetime | None = None

    def draft(self) -> "Exception_":
        """A copy to work on."""
        return replace(self, values=dict(self.values), extended=dict(self.extended))


@dataclass
class Item:
    """A single event or a whole series: `values` by FieldURI, instants in UTC.

    `exceptions` and `deleted` are keyed by the original local date in the series zone.
    """

    id: str
    folder: "Folder"
    values: dict[str, Any]
    extended: dict[ExtendedKey, tuple[str, ...]] = field(default_factory=dict)
    recurrence: Recurrence | None = None
    exceptions: dict[date, Exception_] = field(default_factory=dict)
    deleted: set[date] = field(default_factory=set)
    files: tuple[File, ...] = ()
    change_key: str = ""
    created: datetime | None = None
    modified: datetime | None = None

    def draft(self) -> "Item":
        """A copy to work on."""
        return replace(
            self,
            values=dict(self.values),
            extended=dict(self.extended),
            exceptions={day: found.draft() for day, found in self.exceptions.items()},
            deleted=set(self.deleted),
        )

    def same_content(self, other: "Item") -> bool:
        """Whether both hold the same, versions aside."""
        mine = (self.values, self.extended, self.recurrence, self.deleted, self.exceptions)
        theirs = (other.values, other.extended, other.recurrence, other.deleted, other.exceptions)
        return mine == theirs

    @property
    def zone(self) -> str:
        """The Windows name of the zone in which a series runs."""
        return str(self.values["calendar:StartTimeZone"])

    @property
    def is_event(self) -> bool:
        """Whether it is a calendar item at all."""
        return "calendar:Start" in self.values


@dataclass(eq=False)
class Folder:
    """One folder. `epoch` grows when its sync states become void."""

    id: str
    name: str
    kind: str
    parent: "Folder | None"
    role: str = ""
    change_key: str = ""
    epoch: int = 0
    items: dict[str, Item] = field(default_factory=dict)
    log: FolderLog = field(default_factory=FolderLog)
    by_extended: dict[tuple[ExtendedKey, str], dict[str, None]] = field(default_factory=dict)

    def within(self) -> Iterator["Folder"]:
        """The folder and all above it."""
        above: Folder | None = self
        while above is not None:
            yield above
            above = above.parent


@dataclass(frozen=True)
class Event:
    """What subscribers hear of."""

    kind: str
    folder: Folder
    item_id: str
    change_key: str
    old_item_id: str = ""
    old_folder: Folder | None = None


@dataclass(eq=False)
class Mailbox:
    """One user's mailbox with its folders. `delegates` may open it under their own name; `server`
    names the Mailbox server that holds it, and its subscriptions."""

    address: str
    name: str
    zone: str
    password: str
    world: "World"
    impersonates: bool = False
    status: Status = "active"
    server: str = "mbx1"
    delegates: set[str] = field(default_factory=set)
    folders: dict[str, Folder] = field(default_factory=dict)
    where: dict[str, Folder] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mark = ids.owner_mark(self.address)
        self.hierarchy = FolderLog()
        for role, parent, name, kind in STANDARD_FOLDERS:
            above = self.folder_of_role(parent) if parent else None
            self.add_folder(name, kind, above, role)

    # -- folders ---------------------------------------------------------------------------

    def folder_of_role(self, role: str) -> Folder:
        """A standard folder. Raises EwsError."""
        for folder in self.folders.values():
            if folder.role == role:
                return folder
        raise EwsError("ErrorFolderNotFound")

    def folder(self, folder_id: str) -> Folder:
        """A folder by id. Raises EwsError."""
        found = self.folders.get(ids.check_folder(folder_id))
        if found is None:
            raise EwsError("ErrorFolderNotFound")
        return found

    def add_folder(self, name: str, kind: str, parent: Folder | None, role: str = "") -> Folder:
        """A new folder."""
        folder = Folder(ids.new_folder(self.mark, self.world.dice), name, kind, parent, role)
        self.folders[folder.id] = folder
        self.touch_folder(folder)
        return folder

    def touch_folder(self, folder: Folder) -> None:
        """The folder's own properties changed."""
        folder.change_key = self.world.new_change_key()
        self.hierarchy.touch(folder.id)

    def drop_folder(self, folder: Folder) -> None:
        """Remove it with everything inside."""
        for inside in [f for f in self.folders.values() if folder in f.within()]:
            for item_id in inside.items:
                self.where.pop(item_id, None)
            del self.folders[inside.id]
            self.hierarchy.touch(inside.id)

    # -- items -----------------------------------------------------------------------------

    def item(self, item_id: str) -> Item:
        """A stored item by its id. Raises EwsError."""
        folder = self.where.get(item_id)
        if folder is None:
            raise EwsError("ErrorItemNotFound")
        return folder.items[item_id]

    def new_id(self) -> str:
        """An id for an item about to be stored."""
        return ids.new_item(self.mark, self.world.dice)

    def put(self, item: Item, *, tell: bool = True) -> Item:
        """Store a new item or a new version of one."""
        fresh = item.id not in self.where
        limit = self.world.switches.quota_items
        if fresh and limit is not None and len(self.where) >= limit:
            raise EwsError("ErrorQuotaExceeded")
        item.change_key = self.world.new_change_key()
        item.modified = self.world.now()
        item.created = item.created or item.modified
        folder = item.folder
        if not fresh:
            self._unindex(folder.items[item.id])
        folder.items[item.id] = item
        self.where[item.id] = folder
        for key, values in item.extended.items():
            for value in values:
                folder.by_extended.setdefault((key, value), {})[item.id] = None
        folder.log.touch(item.id)
        if tell:
            kind = "CreatedEvent" if fresh else "ModifiedEvent"
            self.world.tell(Event(kind, folder, item.id, item.change_key))
        return item

    def remove(self, item: Item, *, tell: bool = True) -> None:
        """Take a stored item out of its folder."""
        self._unindex(item)
        del item.folder.items[item.id]
        del self.where[item.id]
        item.folder.log.touch(item.id)
        if tell:
            self.world.tell(Event("DeletedEvent", item.folder, item.id, item.change_key))

    def move(self, item: Item, target: Folder) -> Item:
        """Move to another folder: the item gets a new id."""
        self.remove(item, tell=False)
        moved = item.draft()
        moved.id, moved.folder = self.new_id(), target
        self.put(moved, tell=False)
        event = Event("MovedEvent", target, moved.id, moved.change_key, item.id, item.folder)
        self.world.tell(event)
        return moved

    def _unindex(self, item: Item) -> None:
        for key, values in item.extended.items():
            for value in values:
                held = item.folder.by_extended.get((key, value), {})
                held.pop(item.id, None)


class World:
    """All mailboxes of the organization."""

    def __init__(self, clock: Clock, switches: ExchangeSwitches, seed: int) -> None:
        self.clock = clock
        self.switches = switches
        self.dice = random.Random(seed)
        self.zones = Zones(switches)
        self.mailboxes: dict[str, Mailbox] = {}
        self.tell: Callable[[Event], None] = lambda _event: None
        self.mail: Callable[[str, str, str], None] = lambda _to, _subject, _why: None
        self._writes = 0

    def now(self) -> datetime:
        """Sandbox time in whole seconds."""
        return self.clock.now().replace(microsecond=0)

    def new_change_key(self) -> str:
        """A change key for a new version of anything."""
        self._writes += 1
        return ids.new_change_key(self._writes, self.dice)

    def mailbox(self, address: str) -> Mailbox:
        """A mailbox by address. Raises EwsError."""
        found = self.mailboxes.get(address.lower())
        if found is None:
            raise EwsError("ErrorNonExistentMailbox")
        return found

    def mailbox_of_id(self, identifier: str) -> Mailbox:
        """The mailbox that an item or folder id belongs to. Raises EwsError."""
        mark = ids.owner_of(identifier)
        for mailbox in self.mailboxes.values():
            if mailbox.mark == mark:
                return mailbox
        raise EwsError("ErrorInvalidIdMalformed")
