"""Occurrences: computed from the series, never stored ("Recurrence patterns and EWS").

They are named by their original local date in the series zone; a series has at most one per date.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

from connectors.sandbox.exchange import ids
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.recurrence import Recurrence
from connectors.sandbox.exchange.state import Exception_, ExtendedKey, File, Item, World

LOOKED_AT = 400


class Dates:
    """The dates of a recurrence, computed as far as somebody asked."""

    def __init__(self, recurrence: Recurrence) -> None:
        self._source = recurrence.dates()
        self._known: list[date] = []

    def at(self, position: int) -> date | None:
        """The date at a position from 0, None beyond the end."""
        while len(self._known) <= position:
            if not self._advance():
                return None
        return self._known[position]

    def position(self, day: date) -> int | None:
        """The position of that date, None if it is none of them."""
        place = self._place(day)
        return place if self.at(place) == day else None

    def between(self, first: date, last: date) -> Iterator[date]:
        """The dates from `first` to `last`, both inclusive."""
        place = self._place(first)
        while (found := self.at(place)) is not None and found <= last:
            yield found
            place += 1

    def last(self) -> date:
        """The last date of a recurrence that ends."""
        while self._advance():
            pass
        return self._known[-1]

    def _place(self, day: date) -> int:
        while (not self._known or self._known[-1] < day) and self._advance():
            pass
        return bisect_left(self._known, day)

    def _advance(self) -> bool:
        found = next(self._source, None)
        if found is not None:
            self._known.append(found)
        return found is not None


@lru_cache(maxsize=50_000)
def dates_of(recurrence: Recurrence) -> Dates:
    """The dates of a recurrence; the same object for equal ones."""
    return Dates(recurrence)


@dataclass(frozen=True)
class View:
    """An item as a client sees it: a stored one, or one occurrence (`original` is its date)."""

    world: World
    item: Item
    original: date | None = None

    @property
    def kind(self) -> str:
        """CalendarItemType."""
        if self.original is not None:
            return "Exception" if self.original in self.item.exceptions else "Occurrence"
        return "RecurringMaster" if self.item.recurrence else "Single"

    @property
    def id(self) -> str:
        """The ItemId."""
        if self.original is None:
            return self.item.id
        return ids.of_occurrence(self.item.id, self.original)

    @property
    def exception(self) -> Exception_ | None:
        """What the occurrence holds of its own."""
        return None if self.original is None else self.item.exceptions.get(self.original)

    @property
    def start(self) -> datetime:
        """The UTC instant of the start."""
        found: datetime = self.value("calendar:Start")
        return found

    @property
    def end(self) -> datetime:
        """The UTC instant of the end."""
        found: datetime = self.value("calendar:End")
        return found

    @property
    def original_start(self) -> datetime | None:
        """Where the pattern puts the occurrence."""
        return None if self.original is None else self._regular[0]

    @cached_property
    def _regular(self) -> tuple[datetime, datetime]:
        assert self.original is not None
        return regular(self.world, self.item, self.original)

    def value(self, uri: str) -> Any:
        """A property's value, None if it has none."""
        if self.exception is not None and uri in self.exception.values:
            return self.exception.values[uri]
        if self.original is not None and uri in ("calendar:Start", "calendar:End"):
            return self._regular[uri == "calendar:End"]
        return self.item.values.get(uri)

    @property
    def files(self) -> tuple[File, ...]:
        """What is attached; an occurrence shows what is attached to its series, too."""
        return self.item.files + (self.exception.files if self.exception else ())

    @property
    def extended(self) -> dict[ExtendedKey, tuple[str, ...]]:
        """The extended properties."""
        if self.exception is None:
            return self.item.extended
        if not self.world.switches.exceptions_inherit_extended:
            return self.exception.extended
        return self.item.extended | self.exception.extended


def regular(world: World, item: Item, day: date) -> tuple[datetime, datetime]:
    """Start and end that the pattern gives to the occurrence of that date."""
    start, end = item.values["calendar:Start"], item.values["calendar:End"]
    zone = item.zone
    first, last = world.zones.wall(start, zone), world.zones.wall(end, zone)
    begin = datetime.combine(day, first.time())
    instant = world.zones.instant(begin, zone)
    if world.switches.occurrence_end == "exact":
        return instant, instant + (end - start)
    return instant, max(world.zones.instant(begin + (last - first), zone), instant)


def occurrence(world: World, item: Item, day: date) -> View:
    """The occurrence of that original date. Raises EwsError if it was deleted or never was."""
    if item.recurrence is None or dates_of(item.recurrence).position(day) is None:
        raise EwsError("ErrorItemNotFound")
    if day in item.deleted:
        raise EwsError("ErrorCalendarOccurrenceIsDeletedFromRecurrence")
    return View(world, item, day)


def at_index(world: World, item: Item, index: int) -> View:
    """The occurrence at a position from 1, deleted ones counted. Raises EwsError."""
    if item.recurrence is None:
        raise EwsError("ErrorCalendarCannotUseIdForRecurringMasterId")
    day = dates_of(item.recurrence).at(index - 1) if index > 0 else None
    if day is None:
        raise EwsError("ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange")
    return occurrence(world, item, day)


def first(world: World, item: Item) -> View | None:
    """The first occurrence that is left."""
    assert item.recurrence is not None
    dates, position = dates_of(item.recurrence), 0
    while (day := dates.at(position)) is not None:
        if day not in item.deleted:
            return View(world, item, day)
        position += 1
    return None


def last(world: World, item: Item) -> View | None:
    """The last occurrence that is left; None for an endless series."""
    assert item.recurrence is not None
    if item.recurrence.endless:
        return None
    dates = dates_of(item.recurrence)
    day = dates.last()
    position = dates.position(day) or 0
    while position >= 0:
        found = dates.at(position)
        if found is not None and found not in item.deleted:
            return View(world, item, found)
        position -= 1
    return None


def overlapping(world: World, item: Item, since: datetime, until: datetime) -> Iterator[View]:
    """All of the item's events that overlap [since, until), exceptions where they now are."""
    if item.recurrence is None:
        if _overlaps(View(world, item), since, until):
            yield View(world, item)
        return
    length = item.values["calendar:End"] - item.values["calendar:Start"]
    low = (since - length - timedelta(days=2)).date()
    high = (until + timedelta(days=2)).date()
    for day in dates_of(item.recurrence).between(low, high):
        if day in item.deleted or day in item.exceptions:
            continue
        if _overlaps(View(world, item, day), since, until):
            yield View(world, item, day)
    for day in item.exceptions:
        if _overlaps(View(world, item, day), since, until):
            yield View(world, item, day)


def _overlaps(view: View, since: datetime, until: datetime) -> bool:
    start, end = view.start, view.end
    return start < until and (end > since or start == end == since)


def check_neighbours(world: World, item: Item, day: date) -> None:
    """The exception of that date must stay between the occurrences before and after it, without
    sharing their local dates. Raises EwsError."""
    assert item.recurrence is not None
    view = View(world, item, day)
    zone = item.zone
    at = world.zones.wall(view.start, zone).date()
    dates = dates_of(item.recurrence)
    position = dates.position(day)
    assert position is not None
    before, after = _neighbour(world, item, position, -1), _neighbour(world, item, position, 1)
    apart = world.switches.same_date == "refuse"
    gap = timedelta(days=world.switches.days_between)

    def date_of(other: View) -> date:
        return world.zones.wall(other.start, zone).date()

    crosses = (
        before is not None
        and (view.start <= before.start or (apart and at <= date_of(before) + gap))
    ) or (
        after is not None and (view.start >= after.start or (apart and at >= date_of(after) - gap))
    )  # fmt: skip
    if crosses:
        raise EwsError("ErrorOccurrenceCrossingBoundary")
    if (before and view.start < before.end) or (after and view.end > after.start):
        raise EwsError("ErrorOccurrenceTimeSpanTooBig")


def _neighbour(world: World, item: Item, position: int, step: int) -> View | None:
    assert item.recurrence is not None
    while (position := position + step) >= 0:
        day = dates_of(item.recurrence).at(position)
        if day is None:
            return None
        if day not in item.deleted:
            return View(world, item, day)
    return None


def check_length(world: World, item: Item) -> None:
    """No occurrence of a series may last into the next one. Raises EwsError.

    In wall time, as the pattern is stored; the first occurrences stand for all.
    """
    assert item.recurrence is not None
    zone = item.zone
    start = world.zones.wall(item.values["calendar:Start"], zone)
    length = world.zones.wall(item.values["calendar:End"], zone) - start
    if length <= timedelta(days=1):
        return
    dates = dates_of(item.recurrence)
    days = [day for position in range(LOOKED_AT) if (day := dates.at(position)) is not None]
    if any(length > later - day for day, later in pairwise(days)):
        raise EwsError("ErrorOccurrenceTimeSpanTooBig")


def align_to_pattern(world: World, item: Item) -> None:
    """Move Start and End of a series to its first occurrence, or refuse (see the switches)."""
    assert item.recurrence is not None
    zone = item.zone
    start = world.zones.wall(item.values["calendar:Start"], zone)
    day = dates_of(item.recurrence).at(0)
    assert day is not None
    if day == start.date():
        return
    if world.switches.start_disagrees == "refuse":
        raise EwsError("ErrorCalendarInvalidRecurrence")
    begin, end = regular(world, item, day)
    item.values["calendar:Start"], item.values["calendar:End"] = begin, end


def midnight(day: date) -> datetime:
    """The naive midnight at which the day begins."""
    return datetime.combine(day, time())


def utc(value: datetime) -> datetime:
    """An aware time in UTC; a naive one is taken for UTC."""
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
