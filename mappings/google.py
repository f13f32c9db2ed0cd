"""Google Calendar API v3 events: wire objects <-> the canonical model.

Sources: Calendar API reference "Events", guides "Recurring events", "Extended properties",
"Create events". Wire objects are the parsed JSON of an event. A write starts from the object as
Google holds it and changes only what differs, because an update replaces the whole resource.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mappings import colors, footer, recurrence, richtext, zones
from mappings.errors import UnmappableError
from mappings.google_schedule import Lines, compact, instant_of, key_of_day, zone_of
from mappings.limits import TargetLimits
from mappings.model import (
    Attachment,
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
    Status,
    Visibility,
    When,
)

Wire = Mapping[str, Any]

PALETTE = (
    ("1", "#a4bdfc"),
    ("2", "#7ae7bf"),
    ("3", "#dbadff"),
    ("4", "#ff887c"),
    ("5", "#fbd75b"),
    ("6", "#ffb878"),
    ("7", "#46d6db"),
    ("8", "#e1e1e1"),
    ("9", "#5484ed"),
    ("10", "#51b749"),
    ("11", "#dc2127"),
)
"""The event colours: `colorId` and background (Calendar API, `colors.get`)."""

LIMITS = TargetLimits(
    title_length=1024,
    description_length=8192,
    location_length=1024,
    address=False,
    coordinates=False,
    palette=PALETTE,
    reminders=5,
    reminder_range=(0, 40320),
    responses=True,
    own_view=frozenset({"busy", "color", "reminders"}),
    marks=True,
)
"""What an event of a Google calendar can hold."""

MARK = "calbridge"
"""The private extended property that holds the create key."""

_COLORS = dict(PALETTE)
_RESPONSES = {
    "needsAction": Response.NEEDS_ACTION,
    "accepted": Response.ACCEPTED,
    "tentative": Response.TENTATIVE,
    "declined": Response.DECLINED,
}
_RESPONSE_WORDS = {response: word for word, response in _RESPONSES.items()}
_VISIBILITIES = {
    "public": Visibility.PUBLIC,
    "private": Visibility.PRIVATE,
    "confidential": Visibility.PRIVATE,
}
_BUSY_BY_TYPE = {"outOfOffice": Busy.AWAY, "workingLocation": Busy.ELSEWHERE}
_SECONDARY = "@group.calendar.google.com"
_SPLIT_SUFFIX = re.compile(r"_R\d{8}(?:T\d{6})?$")
_OWN_OF_MASTER = frozenset(
    {"recurrence", "id", "etag", "sequence", "created", "updated", "htmlLink"}
)
"""What an occurrence does not inherit. A repeated write must not bear the master's sequence: the
first may have raised the occurrence's own, and Google refuses a lower one."""


def is_exception(wire: Wire) -> bool:
    """True if the object is one occurrence of a series, changed or removed."""
    return "recurringEventId" in wire


def is_cancelled(wire: Wire) -> bool:
    """True if the object stands for a deleted event or a removed occurrence."""
    return wire.get("status") == "cancelled"


def organized(wire: Wire) -> bool:
    """True if the event belongs to this calendar, so that all of it may be changed."""
    if wire.get("locked"):
        return False
    organizer = wire.get("organizer")
    return not organizer or bool(organizer.get("self")) or bool(wire.get("privateCopy"))


def origin(wire: Wire) -> str | None:
    """The create key that the bridge left on the event."""
    private = (wire.get("extendedProperties") or {}).get("private") or {}
    return private.get(MARK)


def instance_id(base_id: str, key: Key, series: When) -> str:
    """The id of one occurrence: the series' id and the original start in UTC
    (guide "Recurring events"). Split series use the id they had before the split."""
    base = _SPLIT_SUFFIX.sub("", base_id)
    if series.all_day:
        return f"{base}_{key.replace('-', '')}"
    return f"{base}_{compact(instant_of(key, series))}"


def decode(wire: Wire, calendar_zone: str | None = None) -> Event:
    """A single event or a series; its EXDATE lines become cancelled overrides.

    `calendar_zone` is meant where a time names no zone. Raises `UnmappableError` (`NO_END`,
    `ZONE_UNKNOWN`, `RULE_INVALID`, `MALFORMED`).
    """
    when = _decode_when(wire, calendar_zone)
    event = Event(details=_decode_details(wire), when=when, uid=wire.get("iCalUID"))
    if not wire.get("recurrence"):
        return event
    lines = Lines.read(wire["recurrence"], when)
    removed = tuple(Override(key=key, cancelled=True) for key in lines.exdates)
    event = replace(event, rule=lines.rule, rdates=lines.rdates, overrides=removed)
    return recurrence.tidy(recurrence.rebase(event))


def decode_override(wire: Wire, series: When) -> Override:
    """One exception of the series that starts at `series`."""
    key = key_of(wire, series)
    if is_cancelled(wire):
        return Override(key=key, cancelled=True)
    return Override(key=key, details=_decode_details(wire), when=_decode_when(wire, series.zone))


def key_of(wire: Wire, series: When) -> Key:
    """The key of the occurrence that an exception stands for."""
    original = wire.get("originalStartTime") or {}
    try:
        if "dateTime" in original:
            at = datetime.fromisoformat(original["dateTime"])
            if at.tzinfo is None:
                at = zones.instant(at, zone_of(original.get("timeZone"), series.zone))
            if series.all_day:
                return Key(datetime.fromisoformat(original["dateTime"]).date().isoformat())
            return recurrence.key_of_instant(series, at)
        return key_of_day(date.fromisoformat(original["date"]), series)
    except UnmappableError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise UnmappableError("MALFORMED", "the exception names no original start") from error


def exdates(wire: Wire, series: When) -> frozenset[Key]:
    """The occurrences that the master's own EXDATE lines remove."""
    lines = [line for line in wire.get("recurrence") or () if line[:6].upper() == "EXDATE"]
    return frozenset(Lines.read(lines, series).exdates)


def encode(event: Event, *, id: str, origin_mark: str) -> dict[str, Any]:
    """The body of an insert; changed occurrences are calls of their own, removed ones are in it."""
    body = {"id": id, "extendedProperties": {"private": {MARK: origin_mark}}}
    _write_details(body, None, event.details)
    _write_when(body, event.when)
    if event.recurring:
        body["recurrence"] = Lines.of(event, _cancelled(event)).write(event.when)
    return body


def merge_into(wire: Wire, old: Event, new: Event) -> dict[str, Any]:
    """The body of an update that turns the single event or series from `old` into `new`.

    `wire` is what Google holds now; whatever the model does not know, or what did not change,
    stays as it is. Occurrences that `new` removes become EXDATEs unless they already are removed
    instances; changed occurrences are calls of their own.
    """
    body = dict(wire)
    if is_cancelled(wire):
        body["status"] = new.details.status.value
    _write_details(body, old.details, new.details)
    if old.when != new.when:
        _write_when(body, new.when)
    if not new.recurring:
        body.pop("recurrence", None)
        return body
    removed = _cancelled(new) - (_cancelled(old) - exdates(wire, old.when))
    if (old.when, old.rule, old.rdates) != (new.when, new.rule, new.rdates) or removed != (
        exdates(wire, old.when)
    ):
        body["recurrence"] = Lines.of(new, removed).write(new.when)
    return body


def encode_override(wire: Wire, series: Event, override: Override) -> dict[str, Any]:
    """The body of an update of one occurrence, which must not be cancelled.

    `wire` is the instance as Google holds it, or the master if the occurrence follows the rule so
    far: an instance inherits whatever the model does not know.
    """
    if override.details is None or override.when is None:
        raise ValueError("a cancelled occurrence has no body")
    old: Details | None = series.details
    if is_exception(wire):
        body = dict(wire)
        old = None if is_cancelled(wire) else _decode_details(wire)
    else:
        body = {name: value for name, value in wire.items() if name not in _OWN_OF_MASTER}
    if is_cancelled(body):
        body["status"] = override.details.status.value
    _write_details(body, old, override.details)
    _write_when(body, override.when)
    return body


# Times


def _decode_when(wire: Wire, default_zone: str | None) -> When:
    start, end = wire.get("start") or {}, wire.get("end") or {}
    if not end:
        raise UnmappableError("NO_END", "the event has no end")
    try:
        if "dateTime" not in start:
            first, last = date.fromisoformat(start["date"]), date.fromisoformat(end["date"])
            return When(start=first, duration=max(last - first, timedelta(days=1)))
        zone = zone_of(start.get("timeZone"), default_zone)
        end_zone = zone_of(end.get("timeZone"), zone)
        began, ended = _instant(start, zone), _instant(end, end_zone)
    except UnmappableError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise UnmappableError("MALFORMED", f"a time cannot be read: {error}") from error
    wall, fold = zones.wall(began, zone)
    return When(
        start=wall,
        duration=max(ended - began, timedelta(0)),
        zone=zone,
        end_zone=end_zone if end_zone != zone else None,
        fold=fold,
    )


def _instant(time: Wire, zone: str) -> datetime:
    at = datetime.fromisoformat(time["dateTime"]).replace(microsecond=0)
    return zones.instant(at, zone) if at.tzinfo is None else at.astimezone(UTC)


def _write_when(body: dict[str, Any], when: When) -> None:
    if isinstance(when.start, datetime):
        zone = when.zone or "UTC"
        at = zones.instant(when.start, zone, when.fold)
        body["start"] = _time(when.start, when.fold, at, zone)
        at, zone = at + when.duration, when.end_zone or zone
        body["end"] = _time(*zones.wall(at, zone), at, zone)
    else:
        body["start"] = {"date": when.start.isoformat()}
        body["end"] = {"date": (when.start + when.duration).isoformat()}


def _time(wall: datetime, fold: int, at: datetime, zone: str) -> dict[str, str]:
    """A wall clock and its zone is what is meant; only the second of two equal wall clocks has to
    name its offset."""
    text = wall.isoformat(timespec="seconds")
    if fold:
        text = at.astimezone(zones.info(zone)).isoformat(timespec="seconds")
    return {"dateTime": text, "timeZone": zone}


def _cancelled(event: Event) -> frozenset[Key]:
    return frozenset(override.key for override in event.overrides if override.cancelled)


# Details


def _decode_details(wire: Wire) -> Details:
    description, lines = footer.split(richtext.canonical(wire.get("description") or ""))
    place = richtext.line(wire.get("location") or "")
    attendees = wire.get("attendees") or ()
    return Details(
        title=richtext.line(wire.get("summary") or ""),
        description=description,
        footer=lines,
        location=Location(name=place) if place else None,
        visibility=_VISIBILITIES.get(wire.get("visibility", ""), Visibility.DEFAULT),
        busy=_decode_busy(wire),
        color=_COLORS.get(wire.get("colorId", "")),
        reminders=_decode_reminders(wire.get("reminders")),
        attendees=tuple(_decode_attendee(item) for item in attendees) if attendees else (),
        organizer=_decode_organizer(wire),
        meeting_url=_decode_meeting(wire),
        attachments=tuple(
            Attachment(name=richtext.line(item.get("title") or ""), url=item.get("fileUrl") or "")
            for item in wire.get("attachments") or ()
        ),
        status=Status.TENTATIVE if wire.get("status") == "tentative" else Status.CONFIRMED,
        response=next(
            (
                _RESPONSES.get(item.get("responseStatus", ""))
                for item in attendees
                if item.get("self")
            ),
            None,
        ),
        redacted=_withheld(wire),
    )


def _decode_busy(wire: Wire) -> Busy:
    special = _BUSY_BY_TYPE.get(wire.get("eventType", ""))
    if special is not None:
        return special
    return Busy.FREE if wire.get("transparency") == "transparent" else Busy.BUSY


def _decode_reminders(wire: Wire | None) -> tuple[int, ...] | None:
    if wire is None or wire.get("useDefault"):
        return None
    return tuple(sorted({int(item["minutes"]) for item in wire.get("overrides") or ()}))


def _decode_attendee(wire: Wire) -> Attendee:
    return Attendee(
        person=_person(wire) or Person(),
        kind=AttendeeKind.ROOM if wire.get("resource") else AttendeeKind.INDIVIDUAL,
        optional=bool(wire.get("optional")),
        organizer=bool(wire.get("organizer")),
        response=_RESPONSES.get(wire.get("responseStatus", ""), Response.NEEDS_ACTION),
    )


def _decode_organizer(wire: Wire) -> Person | None:
    """On a secondary calendar the calendar itself is the organiser; the person is the creator."""
    organizer = _person(wire.get("organizer"))
    if organizer and organizer.email and organizer.email.endswith(_SECONDARY):
        return _person(wire.get("creator"))
    return organizer


def _person(wire: Wire | None) -> Person | None:
    if not wire:
        return None
    email = (wire.get("email") or "").lower() or None
    return Person(email=email, name=richtext.line(wire.get("displayName") or ""))


def _decode_meeting(wire: Wire) -> str | None:
    for entry in (wire.get("conferenceData") or {}).get("entryPoints") or ():
        if entry.get("entryPointType") == "video" and entry.get("uri"):
            return str(entry["uri"])
    return wire.get("hangoutLink") or None


def _withheld(wire: Wire) -> bool:
    """Readers of a calendar see private events, and free/busy readers all, without details."""
    if "summary" in wire or wire.get("visibility") not in ("private", "confidential"):
        return False
    return not any((wire.get(name) or {}).get("self") for name in ("organizer", "creator"))


def _write_details(body: dict[str, Any], old: Details | None, new: Details) -> None:
    """Set what differs from `old`; everything, without it."""
    if old == new:
        return

    def put(field: str, name: str, value: object) -> None:
        if old is not None and getattr(old, field) == getattr(new, field):
            return
        if value is None:
            body.pop(name, None)
        else:
            body[name] = value

    put("title", "summary", new.title)
    if old is None or (old.description, old.footer) != (new.description, new.footer):
        body["description"] = footer.join(new.description, new.footer)
    put("location", "location", _encode_location(new.location))
    put("visibility", "visibility", new.visibility.value)
    put("busy", "transparency", "transparent" if new.busy is Busy.FREE else "opaque")
    put("color", "colorId", colors.nearest(new.color, PALETTE)[0] if new.color else None)
    put("reminders", "reminders", _encode_reminders(new.reminders))
    put("status", "status", new.status.value)
    put("attendees", "attendees", _encode_attendees(body.get("attendees") or (), new.attendees))


def response_word(response: Response) -> str:
    """An answer in Google's words (`responseStatus`)."""
    return _RESPONSE_WORDS[response]


def _encode_location(location: Location | None) -> str | None:
    if location is None:
        return None
    return ", ".join(part for part in (location.name, location.address) if part) or None


def _encode_reminders(reminders: tuple[int, ...] | None) -> dict[str, Any]:
    if reminders is None:
        return {"useDefault": True}
    overrides = [{"method": "popup", "minutes": minutes} for minutes in reminders]
    return {"useDefault": False, "overrides": overrides}


def _encode_attendees(
    current: Iterable[Wire], attendees: Iterable[Attendee]
) -> list[dict[str, Any]] | None:
    """Guests that stay keep all that Google knows of them; those without address cannot be
    named."""
    known = {(item.get("email") or "").lower(): item for item in current}
    guests: list[dict[str, Any]] = []
    for attendee in attendees:
        email = attendee.person.email
        if email is None:
            continue
        guest = dict(known.get(email, {"email": email}))
        if attendee.person.name and "displayName" not in guest:
            guest["displayName"] = attendee.person.name
        if attendee.optional or "optional" in guest:
            guest["optional"] = attendee.optional
        if attendee.kind is AttendeeKind.ROOM:
            guest["resource"] = True
        guest["responseStatus"] = _RESPONSE_WORDS[attendee.response]
        guests.append(guest)
    return guests or None
