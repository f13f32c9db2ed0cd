"""Times in iCalendar objects (RFC 5545 sections 3.3.4, 3.3.5, 3.3.6, 3.3.9 and 3.8.2).

A time is a date, a wall clock in a zone, a UTC instant, or *floating*: a wall clock wherever its
reader is, which is taken for one in the calendar's own zone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from icalendar import Component
from icalendar.prop import vBroken, vDDDLists, vDDDTypes

from mappings import caldav_zones, recurrence, zones
from mappings.errors import UnmappableError
from mappings.model import Key, When

ZONE_OF_UTC = "X-CALBRIDGE-TZID"
"""The parameter that names the zone of a time written in UTC: of two equal wall clocks the second
cannot be written otherwise."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A time as written: a date (`zone` None), or a naive wall clock in an IANA zone."""

    value: datetime | date
    zone: str | None = None
    fold: int = 0

    @property
    def instant(self) -> datetime:
        """The aware UTC instant; of a date, its UTC midnight."""
        return zones.start_instant(
            When(start=self.value, duration=_DAY, zone=self.zone, fold=self.fold)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """In which way an object writes the times of a series."""

    tzid: str | None = None
    utc: bool = False

    @classmethod
    def of(cls, property_: Any) -> "Form":
        """That of a time which is there."""
        tzid = property_.params.get("TZID")
        return cls(tzid=tzid, utc=_is_utc(property_.dt, tzid))

    @classmethod
    def for_zone(cls, zone: str | None) -> "Form":
        """That in which we write a time in a zone."""
        return cls(utc=True) if zone == "UTC" else cls(tzid=zone)

    def property(self, values: "datetime | date | Iterable[datetime | date]") -> Any:
        """One property of naive wall clocks or dates."""
        several = not isinstance(values, date)
        listed = [values] if isinstance(values, date) else list(values)
        if self.utc:
            listed = [at.replace(tzinfo=UTC) if isinstance(at, datetime) else at for at in listed]
        found: Any = vDDDLists(listed) if several else vDDDTypes(listed[0])
        if not isinstance(listed[0], datetime):
            found.params["VALUE"] = "DATE"
        elif self.tzid and not self.utc:
            found.params["TZID"] = self.tzid
        return found


def _is_utc(at: Any, tzid: str | None) -> bool:
    return (
        tzid is None
        and isinstance(at, datetime)
        and at.tzinfo is not None
        and at.utcoffset() == timedelta(0)
    )


def value_in(property_: Any) -> Any:
    """The value of a time or duration, None for what could not be parsed or stands twice."""
    return None if isinstance(property_, vBroken) else getattr(property_, "dt", None)


class Clock:
    """Reads the times of one object. `default` is the zone of floating times, `definitions` its
    VTIMEZONEs as text, by TZID."""

    def __init__(self, default: str, definitions: Mapping[str, str]) -> None:
        self._default = default
        self._definitions = definitions

    def stamp(self, property_: Any) -> Stamp:
        """A DATE or DATE-TIME. Raises `UnmappableError` (`MALFORMED`, `ZONE_UNKNOWN`)."""
        at = value_in(property_)
        if not isinstance(at, date):
            raise UnmappableError("MALFORMED", f"a time cannot be read: {property_}")
        return self.of_value(at, property_.params)

    def of_value(self, at: date, params: Mapping[str, Any]) -> Stamp:
        """The same for a parsed value and its parameters."""
        if not isinstance(at, datetime):
            return Stamp(value=at)
        wall = at.replace(tzinfo=None, microsecond=0)
        tzid = params.get("TZID")
        if _is_utc(at, tzid):
            meant = str(params.get(ZONE_OF_UTC, ""))
            if zones.is_known(meant):
                wall, fold = zones.wall(at, meant)
                return Stamp(value=wall, zone=meant, fold=fold)
            return Stamp(value=wall, zone="UTC")
        return Stamp(value=wall, zone=self._zone(str(tzid), at.year) if tzid else self._default)

    def _zone(self, tzid: str, year: int) -> str:
        zone = caldav_zones.resolve(tzid, self._definitions, year)
        if zone is None:
            raise UnmappableError("ZONE_UNKNOWN", f"unknown time zone {tzid!r}")
        return zone

    def when(self, component: Component) -> When:
        """When a VEVENT takes place; without an end a date lasts a day, a time no time at all."""
        if "DTSTART" not in component:
            raise UnmappableError("MALFORMED", "the event has no start")
        start = self.stamp(component["DTSTART"])
        end = self.stamp(component["DTEND"]) if "DTEND" in component else None
        if not isinstance(start.value, datetime):
            length = _duration(component) if end is None else _days(start, end)
            return When(start=start.value, duration=max(_whole(length), _DAY))
        first = start.instant
        if end is None:
            length = _duration(component)
            # Days are nominal, the rest is exact (RFC 5545 section 3.3.6).
            later = zones.instant(start.value + _whole(length), start.zone or "UTC", start.fold)
            last = later + (length - _whole(length))
            length = max(last - first, timedelta(0))
            return When(start=start.value, duration=length, zone=start.zone, fold=start.fold)
        other = end.zone if end.zone and end.zone != start.zone else None
        length = max(end.instant - first, timedelta(0))
        return When(
            start=start.value,
            duration=length,
            zone=start.zone,
            end_zone=other,
            fold=start.fold,
        )

    def key(self, stamp: Stamp, series: When) -> Key:
        """The occurrence that a RECURRENCE-ID, EXDATE or RDATE names."""
        value = stamp.value
        if series.all_day:
            day = value.date() if isinstance(value, datetime) else value
            return Key(day.isoformat())
        if not isinstance(value, datetime):
            assert isinstance(series.start, datetime)
            clock = datetime.combine(value, series.start.time())
            return Key(clock.isoformat(timespec="seconds"))
        if stamp.zone == series.zone:
            return Key(value.isoformat(timespec="seconds"))
        return recurrence.key_of_instant(series, stamp.instant)


def _duration(component: Component) -> timedelta:
    if "DURATION" not in component:
        return timedelta(0)
    length = value_in(component["DURATION"])
    if not isinstance(length, timedelta):
        raise UnmappableError("MALFORMED", f"a duration cannot be read: {component['DURATION']}")
    return length


def _whole(length: timedelta) -> timedelta:
    return timedelta(days=length.days)


def _days(start: Stamp, end: Stamp) -> timedelta:
    last = end.value.date() if isinstance(end.value, datetime) else end.value
    return timedelta(days=last.toordinal() - start.value.toordinal())


def write_when(component: Component, when: When) -> None:
    """Set DTSTART and DTEND."""
    for name in ("DTSTART", "DTEND", "DURATION"):
        component.pop(name, None)
    if not isinstance(when.start, datetime):
        form = Form()
        component["DTSTART"] = form.property(when.start)
        component["DTEND"] = form.property(when.start + when.duration)
        return
    zone = when.zone or "UTC"
    start = zones.instant(when.start, zone, when.fold)
    component["DTSTART"] = _moment(when.start, when.fold, zone, start)
    if when.duration:
        end, zone = start + when.duration, when.end_zone or zone
        wall, fold = zones.wall(end, zone)
        component["DTEND"] = _moment(wall, fold, zone, end)


def _moment(wall: datetime, fold: int, zone: str, at: datetime) -> Any:
    if not fold:
        return Form.for_zone(zone).property(wall)
    found = Form(utc=True).property(at.replace(tzinfo=None))
    found.params[ZONE_OF_UTC] = zone
    return found


def value_of(key: Key, series: When) -> datetime | date:
    """The wall clock or date that a key stands for."""
    return date.fromisoformat(key) if series.all_day else datetime.fromisoformat(key)
