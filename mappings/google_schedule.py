"""The `recurrence` lines of a Google event (RFC 5545 sections 3.8.5.1 to 3.8.5.3).

A master carries its rule and its extra and removed dates as content lines without DTSTART.
They are read in every form that occurs (TZID, UTC, date only) and written in UTC, or as dates.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from mappings import recurrence, zones
from mappings.errors import UnmappableError
from mappings.model import Event, Key, Rule, When

_LINE = re.compile(r"(RRULE|RDATE|EXDATE)((?:;[^:]*)?):(.*)", re.IGNORECASE | re.DOTALL)
_TZID = re.compile(r';TZID="?([^;"]+)', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """What the lines say, with occurrences named by key."""

    rule: Rule | None
    rdates: tuple[Key, ...]
    exdates: tuple[Key, ...]

    @classmethod
    def read(cls, lines: Iterable[str], first: When) -> "Lines":
        """Understand the lines of the series that starts at `first`.

        Raises `UnmappableError` `RULE_INVALID` for EXRULE, several RRULEs or anything unreadable.
        """
        rules: list[str] = []
        dates: dict[str, set[Key]] = {"RDATE": set(), "EXDATE": set()}
        for line in lines:
            match = _LINE.fullmatch(line.strip())
            if match is None:
                raise UnmappableError("RULE_INVALID", f"recurrence line not understood: {line}")
            name = match[1].upper()
            if name == "RRULE":
                rules.append(match[3])
            else:
                dates[name].update(_keys(match[2], match[3], first))
        if len(rules) > 1:
            raise UnmappableError("RULE_INVALID", "several RRULE lines on one event")
        return cls(
            rule=recurrence.parse_rule(rules[0], first) if rules else None,
            rdates=tuple(sorted(dates["RDATE"])),
            exdates=tuple(sorted(dates["EXDATE"])),
        )

    @classmethod
    def of(cls, event: Event, removed: Iterable[Key]) -> "Lines":
        """The lines of a series from which the occurrences `removed` are taken out."""
        return cls(rule=event.rule, rdates=event.rdates, exdates=tuple(sorted(removed)))

    def write(self, first: When) -> list[str]:
        """The lines as Google takes them, for the series that starts at `first`."""
        lines = []
        if self.rule is not None:
            lines.append(f"RRULE:{recurrence.format_rule(self.rule, first, count=True)}")
        if self.rdates:
            lines.append(_date_line("RDATE", self.rdates, first))
        if self.exdates:
            lines.append(_date_line("EXDATE", self.exdates, first))
        return lines


def zone_of(name: str | None, default: str | None) -> str:
    """The IANA id of a zone named on the wire. Raises `UnmappableError` `ZONE_UNKNOWN`."""
    zone = zones.resolve(name or default or "UTC")
    if zone is None:
        raise UnmappableError("ZONE_UNKNOWN", f"unknown time zone {name or default!r}")
    return zone


def key_of_day(day: date, series: When) -> Key:
    """The occurrence on that day, where only the day is told."""
    if isinstance(series.start, datetime):
        return Key(datetime.combine(day, series.start.time()).isoformat(timespec="seconds"))
    return Key(day.isoformat())


def instant_of(key: Key, series: When) -> datetime:
    """The UTC instant at which an occurrence of a timed series was to start."""
    fold = series.fold if key == series.key else 0
    return zones.instant(datetime.fromisoformat(key), series.zone or "UTC", fold)


def compact(at: datetime) -> str:
    """A UTC instant as iCalendar writes it."""
    return at.strftime("%Y%m%dT%H%M%SZ")


def _keys(parameters: str, values: str, first: When) -> Iterator[Key]:
    """The occurrences that a list of dates, date-times or periods names."""
    named = _TZID.search(parameters)
    zone = zone_of(named[1] if named else None, first.zone)
    for value in values.split(","):
        text = value.strip().partition("/")[0]
        try:
            at = datetime.fromisoformat(text)
        except ValueError as error:
            raise UnmappableError("RULE_INVALID", f"not a date: {text}") from error
        if first.all_day or "T" not in text.upper():
            yield key_of_day(at.date(), first)
        else:
            instant = zones.instant(at, zone) if at.tzinfo is None else at.astimezone(UTC)
            yield recurrence.key_of_instant(first, instant)


def _date_line(name: str, keys: Iterable[Key], series: When) -> str:
    if series.all_day:
        return f"{name};VALUE=DATE:" + ",".join(key.replace("-", "") for key in keys)
    return f"{name}:" + ",".join(compact(instant_of(key, series)) for key in keys)
