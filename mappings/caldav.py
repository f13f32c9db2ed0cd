"""Calendar objects of a CalDAV server: iCalendar text <-> the canonical model.

Sources: RFC 5545 (iCalendar), RFC 4791 section 4.1 (a calendar object holds one event, or a series
with all its overrides), RFC 7986. A write starts from the object as the server holds it and
changes only what differs, so that whatever a person's client keeps there stays.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from icalendar import Calendar, Component
from icalendar import Event as VEvent
from icalendar.prop import vBroken, vDDDTypes, vInt, vRecur, vText, vUnknown

from mappings import caldav_details as details_of
from mappings import caldav_lines, caldav_zones, recurrence, zones
from mappings.caldav_details import email_of, first, listed, text
from mappings.caldav_times import Clock, Form, value_in, value_of, write_when
from mappings.errors import UnmappableError
from mappings.limits import RuleLimits, TargetLimits
from mappings.members import is_member
from mappings.model import Busy, Details, Event, Freq, Key, Override, Rule, When

LIMITS = TargetLimits(
    html=False,
    address=False,
    colors=False,
    default_reminders=False,
    reminder_range=(-525600, 525600),
    busy=frozenset({Busy.BUSY, Busy.FREE}),
    own_view=frozenset({"busy", "reminders"}),
    zero_duration=True,
    rules=RuleLimits(
        parts=frozenset(
            {"BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYSETPOS"}
            | {"BYHOUR", "BYMINUTE", "BYSECOND"}
        ),
        freqs=frozenset(Freq),
    ),
    marks=True,
)
"""What a calendar object can hold. A description is plain text (RFC 5545 section 3.8.1.5)."""

MARK = "X-CALBRIDGE-KEY"
"""The property that holds the create key, on the event or the master of the series."""

_PRODUCT = "-//Feishu Calendar Bridge//CalDAV//EN"
_ROW = re.MULTILINE | re.IGNORECASE
_ZONES = re.compile(
    r"^(BEGIN:VTIMEZONE[ \t]*\r?\n.*?^END:VTIMEZONE[ \t]*(?:\r?\n|\Z))", _ROW | re.DOTALL
)
_TZID = re.compile(r"^TZID(?:;[^:\n]*)?:([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", _ROW)
_FOLD, _BREAK = re.compile(r"\r?\n[ \t]"), re.compile(r"\r?\n")
_TIMES = ("DTSTART", "DTEND", "RECURRENCE-ID", "EXDATE", "RDATE")
_ZONES_FROM = 2008
"""All definitions of a zone are true from this year on: some servers keep one for all objects."""

_OF_THE_SERIES = ("RRULE", "RDATE", "EXDATE", "EXRULE", "DURATION", "SEQUENCE", MARK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one calendar object shows. `event` None: it was cancelled. `guests`: somebody else than
    the account stands among the attendees, whom a server may mail (RFC 6638)."""

    event: Event | None
    origin: str | None
    organized: bool
    updated: datetime | None
    guests: bool


def decode(source: str, zone: str, addresses: frozenset[str] = frozenset()) -> Shown | None:
    """The unit that an object holds, None if that is no event (a task, a note).

    `zone` is that of the calendar, for floating times; `addresses` are those of the account, lower
    case. Raises `UnmappableError` (`MALFORMED`, `ZONE_UNKNOWN`, `RULE_INVALID`).
    """
    calendar, definitions = _parse(source)
    events = calendar.walk("VEVENT")
    if not events:
        return None
    master, overrides = _parts(events)
    clock = Clock(zone, definitions)
    mark = text(master, MARK) or None
    organizer = first(master, "ORGANIZER")
    boss = email_of(organizer) if organizer is not None else None
    organized = mark is not None or organizer is None or boss in addresses
    return Shown(
        event=_event(master, overrides, clock, addresses),
        origin=mark,
        organized=organized,
        updated=max(filter(None, map(_updated, events)), default=None),
        guests=any(
            email_of(item) not in addresses
            for event in events
            for item in listed(event, "ATTENDEE")
        ),
    )


def decode_instances(
    source: str, zone: str, addresses: frozenset[str] = frozenset()
) -> Iterator[tuple[When, Details]]:
    """What the instances show into which a server has expanded an object (RFC 4791 section
    9.6.5). Those that cannot be understood, or were cancelled, are left out."""
    calendar, definitions = _parse(source)
    clock = Clock(zone, definitions)
    for component in calendar.walk("VEVENT"):
        if _cancelled(component):
            continue
        try:
            when = clock.when(component)
        except UnmappableError:
            continue
        yield when, details_of.read(component, when, addresses)


def encode(event: Event, *, key: str, now: datetime, owner: str | None = None) -> str:
    """A new object that bears the create key; its UID is the key, too.

    `now` is aware; `owner` is the account's address, without which nobody can be invited. Raises
    `UnmappableError` `OUT_OF_RANGE` for what cannot be said.
    """
    calendar = Calendar()
    calendar["VERSION"] = vText("2.0")
    calendar["PRODID"] = vText(_PRODUCT)
    master = VEvent()
    master["UID"] = vText(key)
    master[MARK] = vUnknown(key)
    calendar.add_component(master)
    _write(calendar, master, {}, None, anchored(event), now, owner)
    return _text(calendar, {}, anew=True)


def merge_into(
    source: str, old: Event, new: Event, *, zone: str, now: datetime, owner: str | None = None
) -> str:
    """The object with its unit changed from `old`, which it shows, to `new`."""
    calendar, definitions = _parse(source)
    master, overrides = _parts(calendar.walk("VEVENT"))
    clock = Clock(zone, definitions)
    parts = {
        clock.key(clock.stamp(part["RECURRENCE-ID"]), old.when): part
        for part in overrides
        if old.recurring
    }
    if "RECURRENCE-ID" in master and new.recurring:
        raise UnmappableError("OUT_OF_RANGE", "one occurrence of a series becomes no series")
    reshaped = _write(calendar, master, parts, old, anchored(new), now, owner)
    return _text(calendar, definitions, anew=reshaped)


def anchored(event: Event) -> Event:
    """The same occurrences, every changed one at a date that the series has: an override of no
    occurrence is shown by some clients and by others not."""
    if not event.recurring:
        return event
    loose = [
        override.key
        for override in event.overrides
        if not override.cancelled and not is_member(event, override.key)
    ]
    return replace(event, rdates=tuple(sorted({*event.rdates, *loose}))) if loose else event


def writable(event: Event) -> Event:
    """The event without what nobody can set, so that it compares as a write decides."""

    def bare(details: Details) -> Details:
        return replace(
            details, organizer=None, response=None, meeting_url=None, attachments=(), redacted=False
        )

    return replace(
        event,
        details=bare(event.details),
        overrides=tuple(
            replace(item, details=bare(item.details)) if item.details else item
            for item in event.overrides
        ),
    )


def zone_named(source: str) -> str:
    """The TZID of an object's first VTIMEZONE, empty without one."""
    return next(iter(_definitions(tuple(_ZONES.findall(source)))), "")


# Reading


def _parse(source: str) -> tuple[Component, Mapping[str, str]]:
    """An object without its VTIMEZONEs, and these as text, by TZID."""
    parts = _ZONES.split(source)
    try:
        calendar = caldav_lines.read("".join(parts[::2]))
    except (ValueError, KeyError, IndexError) as error:
        raise UnmappableError("MALFORMED", f"not an iCalendar object: {error}") from error
    return calendar, _definitions(tuple(parts[1::2]))


@lru_cache(maxsize=256)
def _definitions(blocks: tuple[str, ...]) -> Mapping[str, str]:
    """VTIMEZONEs by TZID. A calendar's objects mostly have the same ones."""
    found = {}
    for block in blocks:
        named = _TZID.search(block)
        if named:
            found[_FOLD.sub("", named[1]).strip()] = _BREAK.sub("\r\n", block.strip())
    return MappingProxyType(found)


def _parts(events: list[Component]) -> tuple[Component, list[Component]]:
    """The single event or the master, and the overrides."""
    masters = [event for event in events if "RECURRENCE-ID" not in event]
    if not masters and len(events) == 1:
        return events[0], []  # an invitation to one occurrence of somebody's series
    if len(masters) != 1 or len({text(event, "UID") for event in events}) > 1:
        raise UnmappableError("MALFORMED", "the object is not one event with its overrides")
    return masters[0], [event for event in events if event is not masters[0]]


def _cancelled(component: Component) -> bool:
    return text(component, "STATUS").upper() == "CANCELLED"


def _event(
    master: Component, overrides: list[Component], clock: Clock, addresses: frozenset[str]
) -> Event | None:
    if _cancelled(master):
        return None
    when = clock.when(master)
    details = details_of.read(master, when, addresses)
    event = Event(details=details, when=when, uid=text(master, "UID") or None)
    if "RECURRENCE-ID" in master:
        return event
    rule = _rule(master, when)
    extra = dict(_dates(master, "RDATE", clock, when))
    event = replace(event, rule=rule, rdates=tuple(sorted(extra)))
    if not event.recurring:
        return event
    changed = {
        key: Override(
            key=key,
            details=details,
            when=replace(recurrence.when_of(event, key), duration=length),
        )
        for key, length in extra.items()
        if length not in (None, when.duration)
    }
    changed |= {item.key: item for item in _overrides(overrides, clock, when, addresses)}
    removed = (key for key, _ in _dates(master, "EXDATE", clock, when))
    changed |= {key: Override(key=key, cancelled=True) for key in removed}
    event = replace(event, overrides=tuple(changed[key] for key in sorted(changed)))
    return recurrence.tidy(recurrence.rebase(event))


def _rule(master: Component, when: When) -> Rule | None:
    if "EXRULE" in master:
        raise UnmappableError("RULE_INVALID", "EXRULE is not supported")
    rules = listed(master, "RRULE")
    if len(rules) > 1:
        raise UnmappableError("RULE_INVALID", "several RRULEs on one event")
    if not rules:
        return None
    raw = rules[0].to_ical()
    return recurrence.parse_rule(raw.decode() if isinstance(raw, bytes) else str(raw), when)


def _dates(
    master: Component, name: str, clock: Clock, series: When
) -> Iterator[tuple[Key, timedelta | None]]:
    """The occurrences that a list names, with the length of those given as periods."""
    for property_ in listed(master, name):
        values = None if isinstance(property_, vBroken) else getattr(property_, "dts", None)
        if values is None:
            raise UnmappableError("MALFORMED", f"{name} cannot be read: {property_}")
        for value in values:
            at, length = value.dt, None
            if isinstance(at, tuple):
                at, end = at
                length = end if isinstance(end, timedelta) else end - at
            yield clock.key(clock.of_value(at, property_.params), series), length


def _overrides(
    parts: Iterable[Component], clock: Clock, series: When, addresses: frozenset[str]
) -> Iterator[Override]:
    for part in parts:
        original = part["RECURRENCE-ID"]
        if "RANGE" in getattr(original, "params", ()):
            raise UnmappableError("RULE_INVALID", "RANGE=THISANDFUTURE is not supported")
        key = clock.key(clock.stamp(original), series)
        if _cancelled(part):
            yield Override(key=key, cancelled=True)
            continue
        when = clock.when(part)
        yield Override(key=key, details=details_of.read(part, when, addresses), when=when)


def _updated(component: Component) -> datetime | None:
    for name in ("LAST-MODIFIED", "DTSTAMP"):
        at = value_in(first(component, name))
        if isinstance(at, datetime):
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    return None


# Writing


def _write(
    calendar: Component,
    master: Component,
    parts: dict[Key, Component],
    old: Event | None,
    new: Event,
    now: datetime,
    owner: str | None,
) -> bool:
    """Make the object show `new`. `parts` are its overrides by their keys in `old`. Gives whether
    its times changed."""
    if new.recurring and new.when.fold:
        raise UnmappableError("OUT_OF_RANGE", "a series cannot begin in the second of equal hours")
    details_of.write(master, old.details if old else None, new.details, new.when, owner)
    moved = old is None or old.when != new.when
    reshaped = moved or old is None or (old.rule, old.rdates) != (new.rule, new.rdates)
    if moved:
        write_when(master, new.when)
    if reshaped:
        _write_rule(master, new)
    removed = _removed(new)
    if new.recurring and (reshaped or old is None or _removed(old) != removed):
        _write_dates(master, "EXDATE", removed, new.when)
    kept = _write_overrides(calendar, master, parts, old, new, now, owner) if new.recurring else []
    for part in parts.values():
        if not any(part is each for each in kept):
            calendar.subcomponents.remove(part)
    _stamp(master, now, reshaped=reshaped and old is not None)
    return reshaped


def _write_rule(master: Component, event: Event) -> None:
    for name in ("RRULE", "RDATE", "EXDATE"):
        master.pop(name, None)
    if event.rule is not None:
        rule = recurrence.format_rule(event.rule, event.when, count=True)
        master["RRULE"] = vRecur.from_ical(rule)
    _write_dates(master, "RDATE", event.rdates, event.when)


def _write_dates(master: Component, name: str, keys: Iterable[Key], series: When) -> None:
    """Dates in the form of the start, which readers compare them with."""
    master.pop(name, None)
    values = [value_of(key, series) for key in keys]
    if values:
        master[name] = Form.of(master["DTSTART"]).property(values)


def _removed(event: Event) -> tuple[Key, ...]:
    return tuple(override.key for override in event.overrides if override.cancelled)


def _write_overrides(
    calendar: Component,
    master: Component,
    parts: Mapping[Key, Component],
    old: Event | None,
    new: Event,
    now: datetime,
    owner: str | None,
) -> list[Component]:
    """Write the changed occurrences; gives the parts that were there and stay."""
    here = {recurrence.renamed(key, old, new): key for key in parts} if old else {}
    here |= {key: key for key in parts}
    shown = old.overrides_by_key if old else {}
    kept = []
    for override in new.overrides:
        if override.cancelled or override.details is None or override.when is None:
            continue
        before = shown.get(here.get(override.key, override.key))
        part = parts.get(here.get(override.key, override.key))
        was: tuple[Details | None, When | None]
        if part is None or before is None or before.cancelled:
            part = _copy_of(master)
            calendar.add_component(part)
            was = new.details, None
        else:
            kept.append(part)
            if before == override:
                continue
            was = before.details, before.when
        form = Form.of(master["DTSTART"])
        part["RECURRENCE-ID"] = form.property(value_of(override.key, new.when))
        details_of.write(part, was[0], override.details, override.when, owner)
        if was[1] != override.when:
            write_when(part, override.when)
        _stamp(part, now, reshaped=was[1] != override.when)
    return kept


def _copy_of(master: Component) -> Component:
    """An occurrence has from its series whatever it does not say otherwise."""
    part = deepcopy(master)
    for name in _OF_THE_SERIES:
        part.pop(name, None)
    return part


def _stamp(component: Component, now: datetime, *, reshaped: bool) -> None:
    """DTSTAMP and LAST-MODIFIED; SEQUENCE where the time changed (RFC 5546 section 2.1.4)."""
    at = now.astimezone(UTC).replace(microsecond=0)
    for name in ("DTSTAMP", "LAST-MODIFIED"):
        component[name] = vDDDTypes(at)
    if reshaped:
        before = first(component, "SEQUENCE")
        component["SEQUENCE"] = vInt((before if isinstance(before, int) else 0) + 1)


def _zones_of(calendar: Component, definitions: Mapping[str, str], *, anew: bool) -> list[str]:
    """A VTIMEZONE for every zone that is named, true for the dates named; those that were there
    stay, unless they are written anew."""
    used: dict[str, int] = {}
    for event in calendar.walk("VEVENT"):
        for property_ in (each for name in _TIMES for each in listed(event, name)):
            tzid = str(property_.params.get("TZID", ""))
            if tzid:
                years = (at.year for at in _values(property_))
                used[tzid] = min((used.get(tzid, 9999), *years))
    found = dict(definitions)
    for tzid, year in used.items():
        if zones.is_known(tzid) and (anew or tzid not in definitions):
            found[tzid] = caldav_zones.text(tzid, min(year - 1, _ZONES_FROM))
    return list(found.values())


def _values(property_: Any) -> Iterator[datetime]:
    for value in getattr(property_, "dts", None) or [property_]:
        at = value.dt[0] if isinstance(value.dt, tuple) else value.dt
        if isinstance(at, datetime):
            yield at


def _text(calendar: Component, definitions: Mapping[str, str], *, anew: bool) -> str:
    first, *others = caldav_lines.written(calendar)
    at = next((at for at, line in enumerate(others) if line.startswith("BEGIN:")), len(others))
    zones_ = _zones_of(calendar, definitions, anew=anew)
    return "\r\n".join((first, *others[:at], *zones_, *others[at:], ""))
