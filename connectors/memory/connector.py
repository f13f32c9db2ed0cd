"""The reference connector: the contract, kept by the simplest means there are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from connectors.capabilities import Capabilities
from connectors.contract import (
    Calendar,
    Copy,
    Finding,
    Hint,
    Identity,
    Listing,
    Member,
    Page,
    Role,
    Subscription,
)
from connectors.errors import (
    ConflictError,
    ConnectorError,
    FatalError,
    ReauthorizeError,
    RejectedError,
)
from connectors.memory.calendar import MemoryCalendar
from connectors.memory.edits import patched
from connectors.memory.world import MemoryWorld
from mappings import merge
from mappings.model import Details, Event, Key, Occurrence
from mappings.recurrence import expand


@dataclass(frozen=True)
class MemoryConnector:
    """One account in a `MemoryWorld`. Holds nothing itself, so any number may exist."""

    world: MemoryWorld
    account: str

    @property
    def capabilities(self) -> Capabilities:
        """The world's."""
        return self.world.capabilities

    def calendars(self) -> Sequence[Calendar]:
        """See `Connector`."""
        with self.world.calling("calendars", self.account):
            return [calendar.info for calendar in self.world.calendars(self.account).values()]

    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        """See `Connector`. The listing shows the calendar as it was when its first page was read;
        what happens between two pages is in the next delta."""
        listing = Listing.COMPLETE if cursor is None else Listing.DELTA
        with self.world.calling("changes", self.account, calendar=calendar):
            changes, following = self._calendar(calendar).changes(cursor)
        size = self.world.page_size
        for first in range(0, max(len(changes), 1), size):
            if first:
                with self.world.calling("changes", self.account, calendar=calendar):
                    self._calendar(calendar)
            last = first + size >= len(changes)
            page = tuple(changes[first : first + size])
            yield Page(changes=page, listing=listing, cursor=following if last else None)

    def fetch(self, calendar: str, ref: str, keys: Sequence[Key] = ()) -> Copy | None:
        """See `Connector`. `keys` are not needed. `RejectedError` if the unit is unreadable."""
        with self.world.calling("fetch", self.account, calendar=calendar, ref=ref):
            return self._read(self._calendar(calendar), ref)

    def create(self, calendar: str, event: Event, key: str) -> Copy:
        """See `Connector`. `ConflictError` if the unit made with `key` was deleted since: a
        service that remembers its dead makes no second one."""
        with self.world.calling("create", self.account, calendar=calendar, key=key):
            return self._make(self._writable(calendar), event, key)

    def create_many(
        self, calendar: str, units: Sequence[tuple[Event, str]]
    ) -> Sequence[Copy | ConnectorError]:
        """See `CreatesMany`; used where the world's capabilities say so."""
        made: list[Copy | ConnectorError] = []
        with self.world.calling("create_many", self.account, calendar=calendar):
            store = self._writable(calendar)
            for event, key in units:
                try:
                    made.append(self._make(store, event, key))
                except ConnectorError as error:
                    made.append(error)
        return made

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """See `Connector`. Under guard every member must be as `copy` shows it; without one, what
        is about to be overwritten is read right before."""
        if not self.capabilities.write_guard:
            self._look(calendar, copy, event)
        with self.world.calling("update", self.account, calendar=calendar, ref=copy.ref):
            store = self._writable(calendar)
            current = self._guarded(store, copy)
            if current is None:
                raise ConflictError("the event was deleted; nothing to update", current=None)
            if not current.organized and not self._own_view(copy.event, event):
                raise RejectedError("only the organizer may change this event")
            self._mail(current.event, event)
            return store.put(copy.ref, patched(current.event, copy.event, event))

    def delete(self, calendar: str, copy: Copy) -> None:
        """See `Connector`. Under guard every member must be as `copy` shows it."""
        with self.world.calling("delete", self.account, calendar=calendar, ref=copy.ref):
            store = self._writable(calendar)
            if self._guarded(store, copy) is not None:
                store.remove(copy.ref)

    def find(self, calendar: str, key: str) -> Copy | None:
        """See `Connector`. `FatalError` where the world cannot, because None would be a lie."""
        with self.world.calling("find", self.account, calendar=calendar, key=key):
            if not self.capabilities.find_by_key:
                raise FatalError("this memory world cannot look events up by their create key")
            store = self._calendar(calendar)
            ref = store.by_origin(key)
            return self._read(store, ref) if ref else None

    def occurrences(
        self, calendar: str, since: datetime, until: datetime
    ) -> Iterator[tuple[str, Occurrence]]:
        """See `Connector`. The only one whose expansion is the project's own."""
        with self.world.calling("occurrences", self.account, calendar=calendar):
            store = self._calendar(calendar)
            units = [(ref, store.event(ref)) for ref in store.refs() if not store.unreadable(ref)]
        for ref, event in units:
            for occurrence in expand(event, since, until):
                yield ref, occurrence

    def subscribe(self, calendar: str | None) -> Subscription | None:
        """See `Subscribes`. Nothing is pushed about the list of calendars."""
        with self.world.calling("subscribe", self.account, calendar=calendar or ""):
            if calendar is None:
                return None
            self._calendar(calendar)
            self.world.subscribed.add((self.account, calendar))
            return Subscription()

    def unsubscribe(self, calendar: str | None) -> None:
        """See `Subscribes`."""
        with self.world.calling("unsubscribe", self.account, calendar=calendar or ""):
            self.world.subscribed.discard((self.account, calendar or ""))

    def close(self) -> None:
        """See `Connector`."""

    def _calendar(self, id_: str) -> MemoryCalendar:
        return self.world.calendar(self.account, id_)

    def _writable(self, id_: str) -> MemoryCalendar:
        calendar = self._calendar(id_)
        if calendar.info.role not in (Role.WRITER, Role.OWNER):
            raise ReauthorizeError(f"account {self.account!r} may not write calendar {id_!r}")
        return calendar

    def _make(self, store: MemoryCalendar, event: Event, key: str) -> Copy:
        ref = store.by_origin(key)
        if ref is None:
            self._mail(None, event)
            return store.put(None, event, origin=key)
        made = self._read(store, ref)
        if made is None:
            raise ConflictError("the event made with this key was deleted", current=None)
        return made

    def _read(self, store: MemoryCalendar, ref: str) -> Copy | None:
        unreadable = store.unreadable(ref)
        if unreadable:
            code, detail = unreadable
            raise RejectedError(detail, code=code)
        return store.copy(ref)

    def _guarded(self, store: MemoryCalendar, copy: Copy) -> Copy | None:
        """The unit as it is, None if it is gone; `ConflictError` if the guard says no."""
        current = self._read(store, copy.ref)
        if current is None or not self.capabilities.write_guard:
            return current
        if _versions(current.members) != _versions(copy.members):
            raise ConflictError("the event changed since it was read", current=current)
        return current

    def _look(self, calendar: str, copy: Copy, event: Event) -> None:
        """`ConflictError` if somebody has changed what is going to be changed otherwise."""
        ours = merge.changes(copy.event, event)
        current = self.fetch(calendar, copy.ref) if ours else None
        if current is None:
            return
        theirs = merge.changes(copy.event, current.event)
        contested, _overruled = merge.clashes(ours, theirs)
        # An exception goes away as a whole, and with the schedule that it belongs to.
        going = copy.event.overrides_by_key.keys() - event.overrides_by_key.keys()
        if contested or any(
            merge.SCHEDULE in ours or path[1] in going for path in theirs if len(path) > 1
        ):
            raise ConflictError("the event changed since it was read", current=current)

    def _own_view(self, old: Event, new: Event) -> bool:
        """Whether the two differ at most in what a participant may change: how the event looks to
        himself, and his answer."""
        limits = self.capabilities.limits
        names = {*limits.own_view, "footer"} | ({"response"} if limits.responses else set())
        neutral = {name: getattr(old.details, name) for name in names}
        return replace(new, details=replace(new.details, **neutral)) == old

    def _mail(self, old: Event | None, new: Event) -> None:
        """The service invites whom a write adds."""
        invited = _addresses(new) - (_addresses(old) if old else set())
        self.world.mails.extend(sorted(invited))


@dataclass(frozen=True)
class MemoryProvider:
    """A `MemoryWorld` under the name that the config gives it."""

    name: str
    world: MemoryWorld

    @property
    def capabilities(self) -> Capabilities:
        """The world's."""
        return self.world.capabilities

    def resolve(self, accounts: Sequence[str]) -> Mapping[str, Identity]:
        """Accounts are their own ids; whoever is not in the world is left out."""
        with self.world.calling("resolve", ""):
            return {
                account: Identity(id=account, email=account if "@" in account else None)
                for account in accounts
                if self.world.has(account)
            }

    def connect(self, account: str) -> MemoryConnector:
        """See `Provider`."""
        return MemoryConnector(self.world, account)

    def examine(self, account: str) -> Sequence[Finding]:
        """One finding per calendar, or why there is none."""
        try:
            calendars = self.connect(account).calendars()
        except ConnectorError as error:
            return [Finding(ok=False, subject=account, detail=error.message, code="ACCOUNT")]
        return [Finding(ok=True, subject=calendar.name) for calendar in calendars]

    def listen(self, sink: Callable[[Hint], None], stop: Callable[[], bool]) -> None:
        """See `Listens`. Every write to a subscribed calendar is announced, our own ones too."""
        with self.world.listening(self.name) as next_hint:
            while not stop():
                hint = next_hint(0.05)
                if hint:
                    sink(hint)

    def close(self) -> None:
        """The world goes on without us."""


def _versions(members: Sequence[Member]) -> Mapping[str, str | None]:
    return {member.part: member.version for member in members}


def _addresses(event: Event) -> set[str]:
    shown: list[Details] = [event.details]
    shown += [override.details for override in event.overrides if override.details]
    return {
        attendee.person.email or attendee.person.name
        for details in shown
        for attendee in details.attendees
    }
