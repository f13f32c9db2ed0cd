"""Time zones in iCalendar objects: writing a VTIMEZONE, and knowing one by what it does.

Sources: RFC 5545 sections 3.6.5 (VTIMEZONE) and 3.3.10 (RRULE).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any

from icalendar import Calendar, Component, Timezone, TimezoneDaylight, TimezoneStandard
from icalendar.prop import vDDDLists, vDDDTypes, vRecur, vText, vUTCOffset

from mappings import caldav_lines, zones
from mappings.model import WEEKDAYS

_LAST_YEAR = 2055
"""Until then changes are written one by one where no rule describes them."""

_PROVEN = 13
"""Years after which a weekday of a month cannot be mistaken for another rule."""

_WELL_KNOWN = (
    "Asia/Shanghai",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "Asia/Tokyo",
)
_STEP = timedelta(days=28)
_SECOND = timedelta(seconds=1)
_SAMPLE = timedelta(days=13)
_SAMPLES = 84


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A change of offset: `onset` is the wall clock at which it happens, before it."""

    onset: datetime
    before: timedelta
    after: timedelta
    name: str
    daylight: bool

    @property
    def kind(self) -> tuple[timedelta, timedelta, str, bool]:
        return self.before, self.after, self.name, self.daylight


@lru_cache(maxsize=512)
def text(zone: str, year: int) -> str:
    """As `component`, in lines; without the end of the last one."""
    return "\r\n".join(caldav_lines.written(component(zone, year)))


def component(zone: str, year: int) -> Component:
    """The VTIMEZONE of an IANA zone, true from the beginning of `year` on.

    Changes that follow a yearly rule to the end of our data are written as that rule. Raises
    `UnmappableError` `ZONE_UNKNOWN`.
    """
    found: Component = Timezone()
    found["TZID"] = vText(zone)
    start = datetime(year, 1, 1, tzinfo=UTC)
    changes = list(_changes(zone, start))
    for group in _groups([_standing(zone, start), *changes]):
        for part in _observances(group):
            found.add_component(part)
    return found


def _standing(zone: str, at: datetime) -> _Change:
    """What is in force at the beginning, as if it began there."""
    local = at.astimezone(zones.info(zone))
    offset = local.utcoffset() or timedelta(0)
    return _Change(
        onset=at.replace(tzinfo=None),
        before=offset,
        after=offset,
        name=local.tzname() or zone,
        daylight=bool(local.dst()),
    )


def _changes(zone: str, start: datetime) -> Iterator[_Change]:
    rules = zones.info(zone)
    at, end = start, datetime(_LAST_YEAR + 1, 1, 1, tzinfo=UTC)
    while at < end:
        following = at + _STEP
        before = at.astimezone(rules).utcoffset() or timedelta(0)
        if following.astimezone(rules).utcoffset() != before:
            low, high = at, following
            while high - low > _SECOND:
                middle = (low + (high - low) / 2).replace(microsecond=0)
                changed = middle.astimezone(rules).utcoffset() != before
                low, high = (low, middle) if changed else (middle, high)
            local = high.astimezone(rules)
            yield _Change(
                onset=(high + before).replace(tzinfo=None),
                before=before,
                after=local.utcoffset() or timedelta(0),
                name=local.tzname() or zone,
                daylight=bool(local.dst()),
            )
            following = high + _SECOND
        at = following


def _groups(changes: list[_Change]) -> Iterator[list[_Change]]:
    """Changes of the same kind; those in one group differ by their date alone."""
    kinds: dict[object, list[_Change]] = {}
    for change in changes:
        kinds.setdefault(change.kind, []).append(change)
    yield from kinds.values()


def _observances(group: list[_Change]) -> Iterator[Component]:
    """The tail of a group that a yearly rule gives, and the rest one by one."""
    rule, tail = _rule(group)
    if rest := group[: len(group) - tail]:
        part = _observance(rest[0])
        if rest[1:]:
            part["RDATE"] = vDDDLists([change.onset for change in rest[1:]])
        yield part
    if rule:
        part = _observance(group[len(group) - tail])
        part["RRULE"] = vRecur.from_ical(rule)
        yield part


def _observance(change: _Change) -> Component:
    part: Component = TimezoneDaylight() if change.daylight else TimezoneStandard()
    part["DTSTART"] = vDDDTypes(change.onset)
    part["TZOFFSETFROM"] = vUTCOffset(change.before)
    part["TZOFFSETTO"] = vUTCOffset(change.after)
    part["TZNAME"] = vText(change.name)
    return part


def _rule(group: list[_Change]) -> tuple[str, int]:
    """The yearly rule that the last changes of a group follow, and how many of them do."""
    last = group[-1].onset
    if last.year != _LAST_YEAR:
        return "", 0
    found: tuple[str, int] = ("", 0)
    for ordinal in (-1, 1, 2, 3, 4):
        length = 0
        for year, change in zip(range(last.year, 0, -1), reversed(group), strict=False):
            if change.onset != _nth(year, last, ordinal):
                break
            length += 1
        if length >= max(found[1] + 1, _PROVEN):
            day = WEEKDAYS[last.weekday()]
            found = f"FREQ=YEARLY;BYDAY={ordinal}{day};BYMONTH={last.month}", length
    return found


def _nth(year: int, like: datetime, ordinal: int) -> datetime:
    """The `ordinal`th weekday of `like` in its month of another year, at the same time of day."""
    first = like.replace(year=year, day=1)
    day = first + timedelta(days=(like.weekday() - first.weekday()) % 7)
    days = [day + timedelta(weeks=week) for week in range(6)]
    days = [each for each in days if each.month == like.month]
    return days[ordinal if ordinal < 0 else ordinal - 1]


# Reading


def resolve(tzid: str, definitions: Mapping[str, str], year: int) -> str | None:
    """The IANA zone that an object means by `tzid`: by its name, else by what its VTIMEZONE (text,
    by TZID) does around `year`. None if nobody can know."""
    found = zones.resolve(tzid)
    if found is not None or tzid not in definitions:
        return found
    return _behaving_like(definitions[tzid], year)


@lru_cache(maxsize=256)
def _behaving_like(text: str, year: int) -> str | None:
    wrapped = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//-//\r\n{text}\r\nEND:VCALENDAR\r\n"
    try:
        component: Any = Calendar.from_ical(wrapped).walk("VTIMEZONE")[0]
        for name in ("X-LIC-LOCATION",):
            if named := zones.resolve(str(component.get(name, ""))):
                return named
        rules = component.to_tz(lookup_tzid=False)
        first = datetime(year, 1, 5, 12)  # noqa: DTZ001 - a wall clock
        walls = [first + _SAMPLE * number for number in range(_SAMPLES)]
        wanted = [wall.replace(tzinfo=rules).utcoffset() for wall in walls]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    for zone in _candidates():
        known = zones.info(zone)
        pairs = zip(walls, wanted, strict=True)
        if all(wall.replace(tzinfo=known).utcoffset() == offset for wall, offset in pairs):
            return zone
    return None


@lru_cache(maxsize=1)
def _candidates() -> tuple[str, ...]:
    """Zones that calendars offer, the well-known ones first."""
    table = json.loads(files("mappings").joinpath("windows_zones.json").read_text("utf-8"))
    named = dict.fromkeys((*_WELL_KNOWN, *table["zones"].values()))
    return tuple(zone for zone in named if zones.is_known(zone))
