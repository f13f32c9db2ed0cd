"""Occurrences of series: addressable by id whether stored (exceptions) or not."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from connectors.sandbox.google.state import Calendar, Row, World, base_of
from connectors.sandbox.google.times import Moment

SUFFIX = re.compile(r"_(\d{8})(?:T(\d{6})Z)?$")


def locate(world: World, calendar: Calendar, event_id: str) -> Row | None:
    """The event with that id: stored, or an occurrence that a rule of the calendar yields."""
    row = calendar.rows.get(event_id)
    if row is not None and not row.dropped:
        return row
    found = SUFFIX.search(event_id)
    if found is None:
        return row
    for name in sorted(calendar.by_base.get(event_id[: found.start()], ())):
        master = calendar.rows[name]
        original = _original(found, master)
        if original and not master.cancelled and master.recurrence:
            if original.key in calendar.exceptions.get(name, {}):
                continue
            if world.series(master).holds(original):
                return occurrence(master, original)
    return row


def occurrence(master: Row, original: Moment) -> Row:
    """The unchanged occurrence of a series that starts at `original`."""
    fields = {name: value for name, value in master.fields.items() if name != "recurrence"}
    return master.copy(
        id=f"{base_of(master.id)}_{original.key}",
        fields=fields,
        start=original,
        end=original.plus(master.end.order - master.start.order),
        master=master.id,
        original=original,
        stored=False,
    )


def instances(
    world: World, calendar: Calendar, master: Row, low: datetime | None, high: datetime | None
) -> Iterator[Row]:
    """All occurrences of a living series that overlap (low, high), cancelled ones included.

    Occurrences with an exception stand for their exception, in the order of original starts,
    followed by those that an exception moved into the window from outside.
    """
    replaced = calendar.exceptions.get(master.id, {})
    length = master.end.order - master.start.order
    margin = timedelta(days=1) if master.start.all_day else timedelta()
    occurrences = world.series(master).between(
        low - length - margin if low else None, high + margin if high else None
    )
    if high is None and world.series(master).endless:
        occurrences = islice(occurrences, world.switches.endless_instances)
    seen = set()
    for original in occurrences:
        name = replaced.get(original.key)
        seen.add(original.key)
        row = calendar.rows[name] if name else occurrence(master, original)
        if overlaps(row, calendar.zone, low, high):
            yield row
    for key, name in replaced.items():
        if key not in seen and overlaps(calendar.rows[name], calendar.zone, low, high):
            yield calendar.rows[name]


def touches_window(
    world: World, calendar: Calendar, row: Row, low: datetime | None, high: datetime | None
) -> bool:
    """Whether the event, or any occurrence of it, overlaps the window."""
    if low is None and high is None:
        return True
    if not row.recurrence:
        return overlaps(row, calendar.zone, low, high)
    return next(instances(world, calendar, row, low, high), None) is not None


def overlaps(row: Row, zone: str, low: datetime | None, high: datetime | None) -> bool:
    """`timeMin` compares with the end, `timeMax` with the start; both exclusive."""
    if low is not None and row.end.within(zone) <= low:
        return False
    return high is None or row.start.within(zone) < high


def _original(found: re.Match[str], master: Row) -> Moment | None:
    day, clock = found.groups()
    try:
        if master.start.all_day:
            return None if clock else Moment(day=date.fromisoformat(day))
        if clock is None:
            return None
        at = datetime.strptime(day + clock, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Moment(instant=at, zone=master.start.zone)
