"""What a VEVENT says apart from its times (RFC 5545 section 3.8.1, RFC 7986).

A write changes only the properties that differ: everything else in a person's object stays.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from icalendar import Alarm, Component
from icalendar.prop import vCalAddress, vDuration, vGeo, vText

from mappings import footer, richtext, zones
from mappings.caldav_times import value_in
from mappings.model import (
    Attachment,
    Attendee,
    AttendeeKind,
    Busy,
    Details,
    Location,
    Person,
    Response,
    Status,
    Visibility,
    When,
)

_VISIBILITIES = {
    "PUBLIC": Visibility.PUBLIC,
    "PRIVATE": Visibility.PRIVATE,
    "CONFIDENTIAL": Visibility.PRIVATE,
}
_CLASSES = {Visibility.PUBLIC: "PUBLIC", Visibility.PRIVATE: "PRIVATE"}
_RESPONSES = {
    "ACCEPTED": Response.ACCEPTED,
    "TENTATIVE": Response.TENTATIVE,
    "DECLINED": Response.DECLINED,
}
_KINDS = {
    "GROUP": AttendeeKind.GROUP,
    "ROOM": AttendeeKind.ROOM,
    "RESOURCE": AttendeeKind.ROOM,
}
_CUTYPES = {AttendeeKind.GROUP: "GROUP", AttendeeKind.ROOM: "ROOM"}
_SOUNDING = frozenset({"DISPLAY", "AUDIO"})
_OUTLOOK_BUSY = "X-MICROSOFT-CDO-BUSYSTATUS"


def first(component: Component, name: str) -> Any:
    """The property, or the first of several; None if there is none. The name is in upper case."""
    found = dict.get(component, name)  # a component's own `get` raises what it does not find
    return found[0] if isinstance(found, list) and found else found


def listed(component: Component, name: str) -> list[Any]:
    """All properties of that name, which is in upper case."""
    found = dict.get(component, name)
    if found is None:
        return []
    return list(found) if isinstance(found, list) else [found]


def text(component: Component, name: str) -> str:
    """A text, empty if there is none."""
    found = first(component, name)
    return "" if found is None else str(found)


# Reading


def read(component: Component, when: When, addresses: frozenset[str]) -> Details:
    """The details of an event that takes place at `when`, to an account with these addresses."""
    description, lines = footer.split(richtext.from_text(text(component, "DESCRIPTION")))
    organizer = first(component, "ORGANIZER")
    boss = _person(organizer) if organizer is not None else None
    attendees = tuple(_attendee(item, boss) for item in listed(component, "ATTENDEE"))
    return Details(
        title=richtext.line(text(component, "SUMMARY")),
        description=description,
        footer=lines,
        location=_location(component),
        visibility=_VISIBILITIES.get(text(component, "CLASS").upper(), Visibility.DEFAULT),
        busy=Busy.FREE if text(component, "TRANSP").upper() == "TRANSPARENT" else Busy.BUSY,
        reminders=_reminders(component, when),
        attendees=attendees,
        organizer=boss,
        meeting_url=_meeting(component),
        attachments=tuple(_attachments(component)),
        status=Status.TENTATIVE
        if text(component, "STATUS").upper() == "TENTATIVE"
        else Status.CONFIRMED,
        response=next((a.response for a in attendees if a.person.email in addresses), None),
    )


def email_of(property_: Any) -> str | None:
    """The address of a calendar user, lower case; None for one who has none."""
    address = str(property_)
    if address.lower().startswith("mailto:"):
        return address[7:].strip().lower() or None
    named = str(property_.params.get("EMAIL", "")).strip().lower()
    return named or None


def _person(property_: Any) -> Person:
    name = richtext.line(str(property_.params.get("CN", "")))
    email = email_of(property_)
    return Person(email=email, name="" if name.lower() == email else name)


def _attendee(property_: Any, organizer: Person | None) -> Attendee:
    params, person = property_.params, _person(property_)
    return Attendee(
        person=person,
        kind=_KINDS.get(str(params.get("CUTYPE", "")).upper(), AttendeeKind.INDIVIDUAL),
        optional=str(params.get("ROLE", "")).upper() in ("OPT-PARTICIPANT", "NON-PARTICIPANT"),
        organizer=organizer is not None and person.email == organizer.email is not None,
        response=_RESPONSES.get(str(params.get("PARTSTAT", "")).upper(), Response.NEEDS_ACTION),
    )


def _location(component: Component) -> Location | None:
    name = richtext.line(text(component, "LOCATION"))
    latitude = longitude = None
    geo = first(component, "GEO")
    if isinstance(geo, vGeo):
        latitude, longitude = round(float(geo.latitude), 5), round(float(geo.longitude), 5)
    if not name and latitude is None:
        return None
    return Location(name=name, latitude=latitude, longitude=longitude)


def _meeting(component: Component) -> str | None:
    for item in listed(component, "CONFERENCE"):
        if str(item).lower().startswith(("https://", "http://")):
            return str(item)
    return None


def _attachments(component: Component) -> Iterator[Attachment]:
    for item in listed(component, "ATTACH"):
        url = str(item)
        if url.lower().startswith(("https://", "http://")):
            name = richtext.line(str(item.params.get("FILENAME", "")))
            yield Attachment(name=name or url.rstrip("/").rpartition("/")[2], url=url)


def _alarms(component: Component) -> list[Component]:
    return [
        part
        for part in component.subcomponents
        if part.name == "VALARM" and text(part, "ACTION").upper() in _SOUNDING
    ]


def _reminders(component: Component, when: When) -> tuple[int, ...]:
    found = (_minutes(alarm, when) for alarm in _alarms(component))
    return tuple(sorted({minutes for minutes in found if minutes is not None}))


def _minutes(alarm: Component, when: When) -> int | None:
    """Minutes before the start (RFC 5545 section 3.8.6.3), None if that cannot be told."""
    trigger = first(alarm, "TRIGGER")
    offset = value_in(trigger)
    if isinstance(offset, datetime) and offset.tzinfo and isinstance(when.start, datetime):
        offset = offset - zones.start_instant(when)
    if not isinstance(offset, timedelta):
        return None
    if str(trigger.params.get("RELATED", "")).upper() == "END":
        offset += when.duration
    return round(-offset.total_seconds() / 60)


# Writing


def write(
    component: Component, old: Details | None, new: Details, when: When, owner: str | None
) -> None:
    """Set what differs from `old`; everything, without it. `owner` is the account's address."""

    def differs(field: str) -> bool:
        return old is None or getattr(old, field) != getattr(new, field)

    if differs("title"):
        _put(component, "SUMMARY", new.title)
    if differs("description") or differs("footer"):
        _put(component, "DESCRIPTION", richtext.to_text(footer.join(new.description, new.footer)))
        component.pop("X-ALT-DESC", None)  # it would tell the old text
    if differs("location"):
        _write_location(component, new.location)
    if differs("visibility"):
        _put(component, "CLASS", _CLASSES.get(new.visibility, ""))
    if differs("busy"):
        free = new.busy is Busy.FREE
        _put(component, "TRANSP", "TRANSPARENT" if free else "OPAQUE")
        if _OUTLOOK_BUSY in component:
            _put(component, _OUTLOOK_BUSY, "FREE" if free else "BUSY")
    if differs("status"):
        _put(component, "STATUS", new.status.value.upper())
    if differs("reminders"):
        _write_reminders(component, new.reminders or (), when)
    if differs("attendees") and owner is not None:
        _write_attendees(component, new.attendees, owner)


def _put(component: Component, name: str, value: str) -> None:
    component.pop(name, None)
    if value:
        component[name] = vText(value)


def _write_location(component: Component, location: Location | None) -> None:
    parts = (location.name, location.address) if location else ()
    _put(component, "LOCATION", ", ".join(part for part in parts if part))
    component.pop("GEO", None)
    if location and location.latitude is not None and location.longitude is not None:
        component["GEO"] = vGeo((location.latitude, location.longitude))


def _write_reminders(component: Component, reminders: tuple[int, ...], when: When) -> None:
    """Alarms that stay keep what a client has noted on them; mails and the like are untouched."""
    there = {}
    for alarm in _alarms(component):
        minutes = _minutes(alarm, when)
        if minutes in reminders and minutes not in there:
            there[minutes] = alarm
        else:
            component.subcomponents.remove(alarm)
    for minutes in reminders:
        if minutes not in there:
            alarm = Alarm()
            alarm["ACTION"] = vText("DISPLAY")
            alarm["DESCRIPTION"] = vText("Reminder")
            alarm["TRIGGER"] = vDuration(timedelta(minutes=-minutes))
            component.add_component(alarm)


def _write_attendees(component: Component, attendees: Iterable[Attendee], owner: str) -> None:
    """Guests that stay keep what the server knows of them; those without address cannot be
    named."""
    known = {email_of(item): item for item in listed(component, "ATTENDEE")}
    component.pop("ATTENDEE", None)
    lines = []
    for attendee in attendees:
        email = attendee.person.email
        if email is None:
            continue
        line = known.get(email)
        if line is None:
            line = vCalAddress(f"mailto:{email}")
            if attendee.person.name:
                line.params["CN"] = attendee.person.name
            if attendee.kind in _CUTYPES:
                line.params["CUTYPE"] = _CUTYPES[attendee.kind]
        line.params["ROLE"] = "OPT-PARTICIPANT" if attendee.optional else "REQ-PARTICIPANT"
        line.params["PARTSTAT"] = attendee.response.value.upper()
        lines.append(line)
    if lines:
        component["ATTENDEE"] = lines if len(lines) > 1 else lines[0]
        if "ORGANIZER" not in component:
            component["ORGANIZER"] = vCalAddress(f"mailto:{owner}")
    else:
        component.pop("ORGANIZER", None)
