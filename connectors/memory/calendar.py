"""One calendar in memory: units, their parts' versions, and what changed since when."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.changes import occurrence_part
from connectors.contract import Calendar, Change, Copy, Fragment, Gone, Member, Unreadable, Whole
from connectors.errors import ResyncError
from connectors.memory import edits
from mappings import recurrence
from mappings.model import Event, Key

if TYPE_CHECKING:
    from connectors.memory.world import MemoryWorld

MAIN = "main"


@dataclass
class _Unit:
    """`touched` holds the log position of each part's last change, also of parts that are no
    more; the highest is the unit's. A dead unit stays as its tombstone."""

    ref: str
    event: Event
    origin: str | None
    organized: bool
    touched: dict[str, int] = field(default_factory=dict)
    updated: datetime | None = None
    alive: bool = True
    unreadable: tuple[str, str] | None = None

    @property
    def position(self) -> int:
        return max(self.touched.values())


class MemoryCalendar:
    """What the service keeps for one calendar.

    The methods that begin with `person_` are what a human does at the service; the connector
    uses the others. References and origins of the dead are remembered, as providers do.
    """

    def __init__(self, info: Calendar, account: str, world: "MemoryWorld") -> None:
        self.info = info
        self._account = account
        self._world = world
        self._lock = world.lock
        self._units: dict[str, _Unit] = {}
        self._by_origin: dict[str, str] = {}
        self._position = 0
        self._epoch = 0

    # -- what a person does --------------------------------------------------------------------

    def person_puts(
        self, event: Event, *, origin: str | None = None, organized: bool = True
    ) -> str:
        """A new unit; gives its ref. `organized` False = an invitation by somebody else.

        `origin` is for a person who duplicates an event together with the bridge's mark.
        """
        with self._lock:
            return self.put(None, event, origin=origin, organized=organized, named=False).ref

    def person_edits(
        self, ref: str, edit: Callable[[Event], Event] | None = None, **details: Any
    ) -> None:
        """Another content: `edit` of the whole event, or other `Details` fields."""
        with self._lock:
            event = self.event(ref)
            self.put(ref, edit(event) if edit else edits.edited(event, **details))

    def person_moves(
        self, ref: str, start: datetime | date | str, duration: timedelta | None = None
    ) -> None:
        """Another wall clock for the whole unit, as `edits.moved` does it."""
        self.person_edits(ref, lambda event: edits.moved(event, start=start, duration=duration))

    def person_deletes(self, ref: str) -> None:
        """The unit with all its exceptions goes."""
        self.remove(ref)

    def person_edits_occurrence(self, ref: str, key: Key, **details: Any) -> None:
        """Other `Details` fields for one occurrence."""
        self.person_edits(ref, lambda event: edits.edited(event, key, **details))

    def person_moves_occurrence(
        self,
        ref: str,
        key: Key,
        start: datetime | date | str,
        duration: timedelta | None = None,
    ) -> None:
        """Another wall clock for one occurrence."""
        self.person_edits(
            ref, lambda event: edits.moved(event, key, start=start, duration=duration)
        )

    def person_cancels_occurrence(self, ref: str, key: Key) -> None:
        """One occurrence does not take place."""
        self.person_edits(ref, lambda event: edits.cancelled(event, key))

    def person_reverts_occurrence(self, ref: str, key: Key) -> None:
        """One occurrence follows the rule again."""
        self.person_edits(ref, lambda event: edits.reverted(event, key))

    def person_spoils(self, ref: str, code: str = "MALFORMED", detail: str = "spoilt") -> None:
        """The unit becomes unreadable until somebody writes it again."""
        with self._lock:
            unit = self._units[ref]
            unit.unreadable = (code, detail)
            self._touch(unit, {MAIN})

    def void_cursors(self) -> None:
        """No cursor given out so far is worth anything."""
        with self._lock:
            self._epoch += 1

    # -- what it holds -------------------------------------------------------------------------

    def refs(self) -> list[str]:
        """The units that are alive, oldest first."""
        with self._lock:
            return [unit.ref for unit in self._units.values() if unit.alive]

    def event(self, ref: str) -> Event:
        """The unit's content. Raises KeyError if it is gone."""
        with self._lock:
            unit = self._units[ref]
            if not unit.alive:
                raise KeyError(ref)
            return unit.event

    def copy(self, ref: str) -> Copy | None:
        """The unit as it is shown, None if it is gone or never was."""
        with self._lock:
            unit = self._units.get(ref)
            return self._whole(unit) if unit and unit.alive else None

    def unreadable(self, ref: str) -> tuple[str, str] | None:
        """Code and detail, if a person spoilt the unit."""
        with self._lock:
            unit = self._units.get(ref)
            return unit.unreadable if unit and unit.alive else None

    def by_origin(self, origin: str) -> str | None:
        """The ref, dead or alive, that was made with this create key."""
        with self._lock:
            return self._by_origin.get(origin)

    # -- writing -------------------------------------------------------------------------------

    def put(
        self,
        ref: str | None,
        event: Event,
        *,
        origin: str | None = None,
        organized: bool = True,
        named: bool = True,
    ) -> Copy:
        """Make a unit (`ref` None) or give it another content.

        `named` = `origin` is a create key, by which it is found again.
        """
        with self._lock:
            event = recurrence.tidy(self._world.normalise(event))
            if ref is None:
                ref = f"{self.info.id}-{len(self._units) + 1}"
                unit = _Unit(ref=ref, event=event, origin=origin, organized=organized)
                self._units[ref] = unit
                if origin and named:
                    self._by_origin[origin] = ref
                parts = _parts(event)
            else:
                unit = self._units[ref]
                spoilt = unit.unreadable is not None
                parts = _parts(event) if spoilt else _different_parts(unit.event, event)
                unit.event, unit.unreadable = event, None
            if parts:
                self._touch(unit, parts)
            return self._whole(unit)

    def remove(self, ref: str) -> None:
        """Leave only the tombstone. Raises KeyError if it is gone."""
        with self._lock:
            unit = self._units[ref]
            if not unit.alive:
                raise KeyError(ref)
            unit.alive = False
            self._touch(unit, {MAIN})

    def _touch(self, unit: _Unit, parts: set[str]) -> None:
        self._position += 1
        unit.touched |= dict.fromkeys(parts, self._position)
        unit.updated = self._world.now()
        self._world.announce(self._account, self.info.id)

    # -- what changed --------------------------------------------------------------------------

    def changes(self, cursor: str | None) -> tuple[list[Change], str]:
        """Everything, or what changed since `cursor`; with the cursor to go on from."""
        with self._lock:
            since = self._position_of(cursor)
            if since is None:
                changes = list(self._everything())
            else:
                changed = [unit for unit in self._units.values() if unit.position > since]
                changed.sort(key=lambda unit: unit.position)
                changes = [change for unit in changed for change in self._delta(unit, since)]
            return changes, f"{self.info.id}/{self._epoch}/{self._position}"

    def _position_of(self, cursor: str | None) -> int | None:
        if cursor is None:
            return None
        name, _, position = cursor.rpartition("/")
        valid = name == f"{self.info.id}/{self._epoch}" and position.isdecimal()
        if not valid or int(position) > self._position:
            raise ResyncError(f"the cursor for calendar {self.info.id!r} is void; list it again")
        return int(position)

    def _everything(self) -> Iterator[Change]:
        """Whole units; or, as some providers do, all masters and then all exceptions."""
        alive = [unit for unit in self._units.values() if unit.alive]
        whole = self._world.capabilities.whole_changes
        for unit in alive:
            if unit.unreadable:
                yield _unreadable(unit.ref, *unit.unreadable)
            else:
                yield Whole(copy=self._whole(unit) if whole else self._main(unit))
        if whole:
            return
        for unit in alive:
            for override in () if unit.unreadable else unit.event.overrides:
                members = (self._member(unit, occurrence_part(override.key)),)
                yield Fragment(
                    ref=unit.ref,
                    overrides=(override,),
                    members=members,
                    updated=self._updated(unit),
                )

    def _delta(self, unit: _Unit, since: int) -> Iterator[Change]:
        if not unit.alive:
            yield Gone(ref=unit.ref)
        elif unit.unreadable:
            yield _unreadable(unit.ref, *unit.unreadable)
        elif self._world.capabilities.whole_changes:
            yield Whole(copy=self._whole(unit))
        else:
            yield from self._fragments(unit, since)

    def _fragments(self, unit: _Unit, since: int) -> Iterator[Fragment]:
        touched = {part for part, position in unit.touched.items() if position > since}
        if MAIN in touched:
            main = self._main(unit)
            yield Fragment(ref=unit.ref, main=main, members=main.members)
        shown = {occurrence_part(key): o for key, o in unit.event.overrides_by_key.items()}
        exceptions = sorted(touched - {MAIN})
        if exceptions:
            present = [part for part in exceptions if part in shown]
            yield Fragment(
                ref=unit.ref,
                overrides=tuple(shown[part] for part in present),
                reverted=tuple(
                    Key(part.removeprefix(occurrence_part(Key(""))))
                    for part in exceptions
                    if part not in shown
                ),
                members=tuple(self._member(unit, part) for part in present),
                updated=self._updated(unit),
            )

    # -- how a unit is shown -------------------------------------------------------------------

    def _whole(self, unit: _Unit) -> Copy:
        return Copy(
            ref=unit.ref,
            event=unit.event,
            members=tuple(self._member(unit, part) for part in sorted(_parts(unit.event))),
            origin=unit.origin if self._world.capabilities.limits.marks else None,
            organized=unit.organized,
            updated=self._updated(unit),
        )

    def _updated(self, unit: _Unit) -> datetime | None:
        return unit.updated if self._world.tells_times else None

    def _main(self, unit: _Unit) -> Copy:
        event = replace(unit.event, overrides=())
        return replace(self._whole(unit), event=event, members=(self._member(unit, MAIN),))

    def _member(self, unit: _Unit, part: str) -> Member:
        id_ = unit.ref if part == MAIN else f"{unit.ref}/{part}"
        return Member(part=part, id=id_, version=str(unit.touched[part]))


def _unreadable(ref: str, code: str, detail: str) -> Unreadable:
    return Unreadable(ref=ref, code=code, detail=detail)


def _parts(event: Event) -> set[str]:
    return {MAIN} | {occurrence_part(override.key) for override in event.overrides}


def _different_parts(old: Event, new: Event) -> set[str]:
    was, is_ = old.overrides_by_key, new.overrides_by_key
    parts = {occurrence_part(k) for k in was.keys() | is_.keys() if was.get(k) != is_.get(k)}
    if replace(old, overrides=()) != replace(new, overrides=()):
        parts.add(MAIN)
    return parts
