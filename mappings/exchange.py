"""Items of Exchange Web Services <-> the canonical model, one item at a time.

Sources: EWS reference "CalendarItem", "UpdateItem"; "Time zones and EWS in Exchange"; "How to
create all-day events". A wire item is its XML as plain values: an element is its text, or a dict
with `@Attribute`, `#` (text beside attributes) and the names of its children, repeated ones as a
list. What a unit of several items is, stands in `mappings.exchange_units`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from mappings import exchange_recurrence, footer, recurrence, richtext, zones
from mappings.errors import UnmappableError
from mappings.limits import RuleLimits, TargetLimits
from mappings.model import (
    Attendee,
    AttendeeKind,
    Busy,
    Details,
    Event,
    Key,
    Location,
    Override,
    Person,
    Response,
    Visibility,
    When,
)
from mappings.patterns import Pattern, Range, expand_pattern, iana_zone, unplan, windows_zone
from mappings.patterns.pins import as_ruled
from mappings.patterns.windows import AHEAD

Wire = Mapping[str, Any]

LIMITS = TargetLimits(
    title_length=255,
    description_length=200_000,
    location_length=255,
    address=False,
    coordinates=False,
    colors=False,
    reminders=1,
    reminder_range=(0, 2_629_800),
    default_reminders=False,
    visibilities=frozenset({Visibility.DEFAULT, Visibility.PRIVATE}),
    busy=frozenset(Busy),
    statuses=False,
    earliest=datetime(1900, 1, 2, tzinfo=UTC),
    latest=datetime(2499, 12, 31, tzinfo=UTC),
    max_duration=timedelta(days=5 * 365),
    rules=RuleLimits(parts=frozenset({"BYMONTH", "BYMONTHDAY", "BYDAY", "BYSETPOS"}), rdates=False),
    responses=True,
    marks=True,
    zone_rules=True,
)
"""What a calendar item can hold. Series are written as patterns (`mappings.patterns`)."""

ITEM_FIELDS = (
    "item:Subject",
    "item:Sensitivity",
    "item:Body",
    "item:Categories",
    "item:HasAttachments",
    "item:DateTimeCreated",
    "item:ReminderIsSet",
    "item:ReminderMinutesBeforeStart",
    "item:LastModifiedTime",
    "calendar:UID",
    "calendar:Start",
    "calendar:End",
    "calendar:OriginalStart",
    "calendar:IsAllDayEvent",
    "calendar:LegacyFreeBusyStatus",
    "calendar:Location",
    "calendar:IsMeeting",
    "calendar:IsCancelled",
    "calendar:CalendarItemType",
    "calendar:MyResponseType",
    "calendar:Organizer",
    "calendar:RequiredAttendees",
    "calendar:OptionalAttendees",
    "calendar:Resources",
    "calendar:Recurrence",
    "calendar:ModifiedOccurrences",
    "calendar:DeletedOccurrences",
    "calendar:StartTimeZone",
    "calendar:EndTimeZone",
    "calendar:JoinOnlineMeetingUrl",
)
"""The properties that GetItem has to be asked for."""

_ITEM = frozenset({"Subject", "Sensitivity", "Body", "ReminderIsSet", "ReminderMinutesBeforeStart"})
_BUSY = {
    "Free": Busy.FREE,
    "Tentative": Busy.TENTATIVE,
    "Busy": Busy.BUSY,
    "OOF": Busy.AWAY,
    "WorkingElsewhere": Busy.ELSEWHERE,
}
_BUSY_WORDS = {busy: word for word, busy in _BUSY.items()}
_RESPONSES = {
    "Accept": Response.ACCEPTED,
    "Tentative": Response.TENTATIVE,
    "Decline": Response.DECLINED,
    "NoResponseReceived": Response.NEEDS_ACTION,
}
_GROUPS = ("PublicDL", "PrivateDL", "GroupMailbox")
_UTC = "UTC"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zoning:
    """In which zones an item is read and written.

    `mailbox` is the IANA zone of the mailbox: all-day events are days there. `source` and `end`
    are the IANA zones the bridge meant when it wrote the item with the Windows zones
    `source_windows` and `end_windows`; they count as long as the item still has these.
    """

    mailbox: str
    source: str | None = None
    source_windows: str | None = None
    end: str | None = None
    end_windows: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One stored item as it was read: without changed occurrences, which are items of their own.

    `event` has the removed occurrences as cancelled overrides. `zone` is the item's own zone,
    also for all-day events. `changed` are the ids of the changed occurrences.
    """

    event: Event
    zone: str
    pattern: Pattern | None = None
    bounds: Range | None = None
    changed: tuple[str, ...] = ()


def uri_of(name: str) -> str:
    """The FieldURI of a property that we write."""
    return f"{'item' if name in _ITEM else 'calendar'}:{name}"


def many(wire: Any, name: str) -> list[Any]:
    """The children of that name, however many there are."""
    found = wire.get(name) if isinstance(wire, Mapping) else None
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def text(wire: Wire, name: str) -> str:
    """The text of a child, empty if there is none."""
    found = wire.get(name)
    if isinstance(found, Mapping):
        found = found.get("#")
    return str(found) if found else ""


def flag(wire: Wire, name: str) -> bool:
    """An xs:boolean, False if absent."""
    return text(wire, name).strip().lower() in ("true", "1")


def instant(raw: str) -> datetime:
    """An xs:dateTime as aware UTC, whole seconds. Raises ValueError."""
    at = datetime.fromisoformat(raw)
    if at.tzinfo is None:
        raise ValueError(f"{raw} names no offset")
    return at.astimezone(UTC).replace(microsecond=0)


def is_cancelled(wire: Wire) -> bool:
    """True for a meeting that its organiser called off and that only waits to be removed."""
    return flag(wire, "IsCancelled")


def organized(wire: Wire) -> bool:
    """True if the event is the mailbox owner's own, so that all of it may be changed."""
    return not flag(wire, "IsMeeting") or text(wire, "MyResponseType") in ("", "Organizer")


def updated(wire: Wire) -> datetime | None:
    """Exchange's own time of the last change."""
    raw = text(wire, "LastModifiedTime")
    return instant(raw) if raw else None


def decode(wire: Wire, zoning: Zoning) -> Shown:
    """A single event, a master, or (as if it were single) a changed occurrence.

    Raises `UnmappableError` (`NO_END`, `ZONE_UNKNOWN`, `RULE_INVALID`, `MALFORMED`).
    """
    try:
        return _decode(wire, zoning)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UnmappableError):
            raise
        raise UnmappableError("MALFORMED", f"the item cannot be read: {error}") from error


def decode_override(wire: Wire, series: Shown, zoning: Zoning) -> Override:
    """One changed occurrence of a series."""
    raw = text(wire, "OriginalStart")
    if not raw:
        raise UnmappableError("MALFORMED", "the occurrence names no original start")
    inherited = replace(zoning, source=series.zone, source_windows=_zone_id(wire, "StartTimeZone"))
    same = zones.resolve(_zone_id(wire, "StartTimeZone") or "") is None
    shown = decode(wire, inherited if same else zoning)
    key = key_of(instant(raw), series)
    when = as_ruled(shown.event.when, recurrence.when_of(series.event, key))
    if is_cancelled(wire):
        return Override(key=key, cancelled=True)
    return Override(key=key, details=shown.event.details, when=when)


def key_of(at: datetime, series: Shown) -> Key:
    """The key of the occurrence of a series that originally starts at that instant."""
    wall = zones.wall(at, series.zone)[0]
    if series.event.when.all_day:
        # Where a day does not begin at midnight, its first instant stands for it.
        return Key(wall.date().isoformat())
    matched = recurrence.match_key(replace(series.event, overrides=()), instant=at)
    return matched or Key(wall.isoformat(timespec="seconds"))


def encode(
    details: Details,
    when: When,
    zoning: Zoning,
    recurring: tuple[Pattern, Range, date] | None = None,
) -> dict[str, Any]:
    """Everything that we write of an item, in the schema's order; None = it has none.

    `zoning` names the Windows zones to write. Two of these differ exactly where an update has to
    change something.
    """
    reminder = details.reminders[0] if details.reminders else None
    body = footer.join(details.description, details.footer)
    if not richtext.has_markup(body):
        body = body.replace("\n", "<br>")
    guests = [attendee for attendee in details.attendees if attendee.person.email]
    rooms = [guest for guest in guests if guest.kind is AttendeeKind.ROOM]
    people = [guest for guest in guests if guest not in rooms and not guest.organizer]
    fields: dict[str, Any] = {
        "Subject": details.title,
        "Sensitivity": "Private" if details.visibility is Visibility.PRIVATE else "Normal",
        "Body": {"@BodyType": "HTML", "#": body},
        "ReminderIsSet": "false" if reminder is None else "true",
    }
    if reminder is not None:
        fields["ReminderMinutesBeforeStart"] = str(reminder)
    fields |= _encode_times(when, zoning)
    fields["LegacyFreeBusyStatus"] = _BUSY_WORDS[details.busy]
    fields["Location"] = _encode_location(details.location)
    fields["RequiredAttendees"] = _encode_guests([g for g in people if not g.optional])
    fields["OptionalAttendees"] = _encode_guests([g for g in people if g.optional])
    fields["Resources"] = _encode_guests(rooms)
    fields["Recurrence"] = exchange_recurrence.encode(*recurring) if recurring else None
    start = _UTC if zoning.source_windows is None else zoning.source_windows
    fields["StartTimeZone"] = {"@Id": start}
    fields["EndTimeZone"] = {"@Id": zoning.end_windows or start}
    return fields


def written_in(when: When, mailbox: str, series_zone: str | None = None) -> Zoning:
    """The zones in which an item of this time is written.

    `series_zone` is the Windows zone that a plan has chosen. A single event keeps its instant in
    any zone, so that one that Windows does not know is shown in UTC.
    """
    source = mailbox if when.all_day else (when.zone or _UTC)
    start = _begin(when, mailbox)
    windows = series_zone or _windows(source, start, start + max(when.duration, _DAY))
    end = None if when.all_day else when.end_zone
    return Zoning(
        mailbox=mailbox,
        source=source,
        source_windows=windows,
        end=end,
        end_windows=_windows(end, start, start + when.duration) if end else None,
    )


# Times


def _windows(zone: str, first: datetime, last: datetime) -> str:
    try:
        found = windows_zone(zone, first, last)
    except UnmappableError:
        return _UTC
    return found[0] if found else _UTC


def _begin(when: When, mailbox: str) -> datetime:
    if isinstance(when.start, datetime):
        return zones.start_instant(when)
    return zones.instant(datetime.combine(when.start, time()), mailbox)


def _encode_times(when: When, zoning: Zoning) -> dict[str, str]:
    start = _begin(when, zoning.source or zoning.mailbox)
    end = start + when.duration
    if not isinstance(when.start, datetime):
        last = datetime.combine(when.start + when.duration, time())
        end = zones.instant(last, zoning.source or zoning.mailbox)
    return {
        "Start": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "End": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "IsAllDayEvent": "true" if when.all_day else "false",
    }


def _zone_id(wire: Wire, name: str) -> str | None:
    found = wire.get(name)
    return found.get("@Id") if isinstance(found, Mapping) else None


def _zone(wire: Wire, name: str, zoning: Zoning, at: datetime) -> str | None:
    """The IANA zone of an item's start or end; None if nobody can know it."""
    named = _zone_id(wire, name)
    if not named:
        return None
    ours = (zoning.source_windows, zoning.source)
    if name == "EndTimeZone" and zoning.end_windows:
        ours = (zoning.end_windows, zoning.end)
    if ours[0] == named and ours[1] and zones.is_known(ours[1]):
        return ours[1]
    if named == "tzone://Microsoft/Utc":
        return _UTC
    likely = [zone for zone in (ours[1], zoning.mailbox) if zone]
    return iana_zone(named, at, at + AHEAD, likely)


def _decode(wire: Wire, zoning: Zoning) -> Shown:
    if not text(wire, "End"):
        raise UnmappableError("NO_END", "the event has no end")
    start, end = instant(text(wire, "Start")), instant(text(wire, "End"))
    zone = _zone(wire, "StartTimeZone", zoning, start)
    repeats = wire.get("Recurrence")
    if zone is None and repeats:
        named = _zone_id(wire, "StartTimeZone") or "nameless"
        raise UnmappableError(
            "ZONE_UNKNOWN",
            f"The series runs in the time zone {named}, which only its server knows. Open it in "
            "Outlook, choose a time zone from the list and save it.",
        )
    zone = zone or zoning.mailbox
    if flag(wire, "IsAllDayEvent"):
        when, zone = _whole_days(start, end, zone, zoning.mailbox)
    else:
        wall, fold = zones.wall(start, zone)
        end_zone = _zone(wire, "EndTimeZone", zoning, end) or zone
        when = When(
            start=wall,
            duration=max(end - start, timedelta(0)),
            zone=zone,
            end_zone=end_zone if end_zone != zone else None,
            fold=fold,
        )
    event = Event(details=_decode_details(wire), when=when, uid=text(wire, "UID") or None)
    if not repeats:
        return Shown(event=event, zone=zone)
    pattern, bounds, since = exchange_recurrence.decode(repeats)
    first = next(expand_pattern(pattern, bounds, since), None)
    if first is None:
        raise UnmappableError("RULE_INVALID", "the series has no occurrence")
    if isinstance(when.start, datetime):
        begin: datetime | date = datetime.combine(first, when.start.time())
    else:
        begin = first
    when = replace(when, start=begin, fold=0)
    event = replace(event, when=when, rule=unplan(pattern, bounds, when))
    shown = Shown(
        event=event,
        zone=zone,
        pattern=pattern,
        bounds=bounds,
        changed=tuple(
            line["ItemId"]["@Id"] for line in many(wire.get("ModifiedOccurrences"), "Occurrence")
        ),
    )
    gone = [
        key_of(instant(text(line, "Start")), shown)
        for line in many(wire.get("DeletedOccurrences"), "DeletedOccurrence")
    ]
    removed = tuple(Override(key=key, cancelled=True) for key in sorted(set(gone)))
    return replace(shown, event=replace(event, overrides=removed))


def _whole_days(start: datetime, end: datetime, zone: str, mailbox: str) -> tuple[When, str]:
    """The days that an all-day item covers: midnights in its own zone, else in the mailbox's,
    else rounded outwards as Exchange does."""
    for candidate in dict.fromkeys((zone, mailbox)):
        first, last = zones.wall(start, candidate)[0], zones.wall(end, candidate)[0]
        if _begins(start, first, candidate) and _begins(end, last, candidate):
            days = max(last.date() - first.date(), _DAY)
            return When(start=first.date(), duration=days), candidate
    first, last = zones.wall(start, zone)[0], zones.wall(end, zone)[0]
    whole = last.date() if _begins(end, last, zone) else last.date() + _DAY
    return When(start=first.date(), duration=max(whole - first.date(), _DAY)), zone


def _begins(at: datetime, wall: datetime, zone: str) -> bool:
    """True if it is the first instant of its day, which is not 00:00 on every date."""
    return zones.day_bounds(wall.date(), zone)[0] == at


# Details


def _decode_details(wire: Wire) -> Details:
    html = canonical_body(wire)
    description, lines = footer.split(html)
    place = richtext.line(text(wire, "Location"))
    minutes = text(wire, "ReminderMinutesBeforeStart")
    guests = _decode_guests(wire)
    answer = text(wire, "MyResponseType")
    private = text(wire, "Sensitivity") in ("Personal", "Private", "Confidential")
    return Details(
        title=richtext.line(text(wire, "Subject")),
        description=description,
        footer=lines,
        location=Location(name=place) if place else None,
        visibility=Visibility.PRIVATE if private else Visibility.DEFAULT,
        busy=_BUSY.get(text(wire, "LegacyFreeBusyStatus"), Busy.BUSY),
        reminders=(int(minutes),) if flag(wire, "ReminderIsSet") and minutes else (),
        attendees=guests,
        organizer=_person((wire.get("Organizer") or {}).get("Mailbox")) if guests else None,
        meeting_url=text(wire, "JoinOnlineMeetingUrl") or None,
        response=None if organized(wire) else _RESPONSES.get(answer),
        redacted=private and "Subject" not in wire and "Body" not in wire,
    )


def canonical_body(wire: Wire) -> str:
    """The description in canonical spelling."""
    body = wire.get("Body")
    if not isinstance(body, Mapping):
        return richtext.from_text(str(body)) if body else ""
    content = str(body.get("#") or "")
    if body.get("@BodyType") == "Text":
        return richtext.from_text(content)
    return richtext.canonical(content, wrapped="<pre" not in content.lower())


def _decode_guests(wire: Wire) -> tuple[Attendee, ...]:
    found: list[Attendee] = []
    for name in ("RequiredAttendees", "OptionalAttendees", "Resources"):
        for line in many(wire.get(name), "Attendee"):
            person = _person(line.get("Mailbox"))
            kind = AttendeeKind.INDIVIDUAL
            if text(line.get("Mailbox") or {}, "MailboxType") in _GROUPS:
                kind = AttendeeKind.GROUP
            if name == "Resources":
                kind = AttendeeKind.ROOM
            answer = text(line, "ResponseType")
            found.append(
                Attendee(
                    person=person or Person(),
                    kind=kind,
                    optional=name == "OptionalAttendees",
                    organizer=answer == "Organizer",
                    response=_RESPONSES.get(answer, Response.NEEDS_ACTION),
                )
            )
    return tuple(found)


def _person(wire: Wire | None) -> Person | None:
    """Addresses inside the organization may come as X.500 names, which nobody can write to."""
    if not wire:
        return None
    email = text(wire, "EmailAddress").lower()
    return Person(email=email if "@" in email else None, name=richtext.line(text(wire, "Name")))


def _encode_location(location: Location | None) -> str:
    if location is None:
        return ""
    return ", ".join(part for part in (location.name, location.address) if part)


def _encode_guests(guests: list[Attendee]) -> dict[str, Any] | None:
    if not guests:
        return None
    lines = []
    for guest in guests:
        mailbox = {"Name": guest.person.name or None, "EmailAddress": guest.person.email}
        lines.append({"Mailbox": mailbox})
    return {"Attendee": lines}
