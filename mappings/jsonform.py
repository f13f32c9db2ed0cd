"""The canonical model as plain JSON values, for storing and for plans that people review.

Loss-free; what has its default value is left out, and unknown keys are ignored on reading, so
that old records stay readable. Written out by hand, because it runs for every stored event.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from mappings.errors import UnmappableError
from mappings.model import (
    Attachment,
    Attendee,
    AttendeeKind,
    Busy,
    Details,
    Event,
    Freq,
    Key,
    Location,
    Loss,
    Override,
    Person,
    Response,
    Rule,
    Status,
    Visibility,
    When,
)

VERSION = 1
"""Of the form below. A reader refuses a newer one than it knows."""

Json = dict[str, Any]

_LISTS = (
    "by_month",
    "by_week_no",
    "by_year_day",
    "by_month_day",
    "by_hour",
    "by_minute",
    "by_second",
    "by_set_pos",
)


def event_to_json(event: Event) -> Json:
    """A whole unit, its series and exceptions included, with the form's version as `v`."""
    out: Json = {
        "v": VERSION,
        "when": when_to_json(event.when),
        "details": details_to_json(event.details),
    }
    if event.rule is not None:
        out["rule"] = rule_to_json(event.rule)
    if event.rdates:
        out["rdates"] = list(event.rdates)
    if event.overrides:
        out["overrides"] = [override_to_json(override) for override in event.overrides]
    if event.uid is not None:
        out["uid"] = event.uid
    return out


def event_from_json(data: Mapping[str, Any]) -> Event:
    """The unit. Raises `UnmappableError` `MALFORMED` for what this version did not write."""
    if data.get("v", VERSION) > VERSION:
        detail = f"The record has form {data['v']}; this program reads up to {VERSION}"
        raise UnmappableError("MALFORMED", detail)
    try:
        rule = data.get("rule")
        return Event(
            details=details_from_json(data.get("details", {})),
            when=when_from_json(data["when"]),
            rule=None if rule is None else rule_from_json(rule),
            rdates=tuple(map(Key, data.get("rdates", ()))),
            overrides=tuple(map(override_from_json, data.get("overrides", ()))),
            uid=data.get("uid"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnmappableError("MALFORMED", f"The record is not an event: {error}") from error


def when_to_json(when: When) -> Json:
    """`start` in ISO form (a date = all-day), `duration` in seconds."""
    seconds: int | float = when.duration.days * 86400 + when.duration.seconds
    if when.duration.microseconds:
        seconds += when.duration.microseconds / 1_000_000
    out: Json = {"start": when.start.isoformat(), "duration": seconds}
    if when.zone is not None:
        out["zone"] = when.zone
    if when.end_zone is not None:
        out["end_zone"] = when.end_zone
    if when.fold:
        out["fold"] = when.fold
    return out


def when_from_json(data: Mapping[str, Any]) -> When:
    """The reverse of `when_to_json`."""
    text: str = data["start"]
    start = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    return When(
        start=start,
        duration=timedelta(seconds=data["duration"]),
        zone=data.get("zone"),
        end_zone=data.get("end_zone"),
        fold=data.get("fold", 0),
    )


def rule_to_json(rule: Rule) -> Json:
    """The fields of the normal form; a day of BYDAY is `[ordinal, weekday]`."""
    out: Json = {"freq": rule.freq.value}
    if rule.interval != 1:
        out["interval"] = rule.interval
    for name in _LISTS:
        if values := getattr(rule, name):
            out[name] = list(values)
    if rule.by_day:
        out["by_day"] = [list(day) for day in rule.by_day]
    if rule.week_start != "MO":
        out["week_start"] = rule.week_start
    if rule.until is not None:
        out["until"] = rule.until
    if rule.count is not None:
        out["count"] = rule.count
    return out


def rule_from_json(data: Mapping[str, Any]) -> Rule:
    """The reverse of `rule_to_json`."""
    until = data.get("until")
    lists: Json = {name: tuple(data[name]) for name in _LISTS if name in data}
    return Rule(
        freq=Freq(data["freq"]),
        interval=data.get("interval", 1),
        by_day=tuple((ordinal, day) for ordinal, day in data.get("by_day", ())),
        week_start=data.get("week_start", "MO"),
        until=None if until is None else Key(until),
        count=data.get("count"),
        **lists,
    )


def override_to_json(override: Override) -> Json:
    """One exception of a series."""
    out: Json = {"key": override.key}
    if override.cancelled:
        out["cancelled"] = True
    if override.details is not None:
        out["details"] = details_to_json(override.details)
    if override.when is not None:
        out["when"] = when_to_json(override.when)
    return out


def override_from_json(data: Mapping[str, Any]) -> Override:
    """The reverse of `override_to_json`."""
    details, when = data.get("details"), data.get("when")
    return Override(
        key=Key(data["key"]),
        cancelled=data.get("cancelled", False),
        details=None if details is None else details_from_json(details),
        when=None if when is None else when_from_json(when),
    )


def loss_to_json(loss: Loss) -> Json:
    """A property that a target could not hold."""
    return {"field": loss.field, "detail": loss.detail}


def loss_from_json(data: Mapping[str, Any]) -> Loss:
    """The reverse of `loss_to_json`."""
    return Loss(field=data["field"], detail=data.get("detail", ""))


def details_to_json(details: Details) -> Json:
    """Everything about an event except when it happens."""
    out: Json = {}
    if details.title:
        out["title"] = details.title
    if details.description:
        out["description"] = details.description
    if details.footer:
        out["footer"] = list(details.footer)
    if details.location is not None:
        out["location"] = _location_to_json(details.location)
    if details.attendees:
        out["attendees"] = [_attendee_to_json(attendee) for attendee in details.attendees]
    if details.organizer is not None:
        out["organizer"] = _person_to_json(details.organizer)
    if details.reminders is not None:
        out["reminders"] = list(details.reminders)
    if details.color is not None:
        out["color"] = details.color
    if details.meeting_url is not None:
        out["meeting_url"] = details.meeting_url
    if details.attachments:
        out["attachments"] = [{"name": file.name, "url": file.url} for file in details.attachments]
    _states_to_json(details, out)
    return out


def _states_to_json(details: Details, out: Json) -> None:
    if details.visibility is not Visibility.DEFAULT:
        out["visibility"] = details.visibility.value
    if details.busy is not Busy.BUSY:
        out["busy"] = details.busy.value
    if details.status is not Status.CONFIRMED:
        out["status"] = details.status.value
    if details.response is not None:
        out["response"] = details.response.value
    if details.redacted:
        out["redacted"] = True


def details_from_json(data: Mapping[str, Any]) -> Details:
    """The reverse of `details_to_json`."""
    location, organizer = data.get("location"), data.get("organizer")
    reminders, response = data.get("reminders"), data.get("response")
    return Details(
        title=data.get("title", ""),
        description=data.get("description", ""),
        footer=tuple(data.get("footer", ())),
        location=None if location is None else _location_from_json(location),
        visibility=Visibility(data.get("visibility", Visibility.DEFAULT)),
        busy=Busy(data.get("busy", Busy.BUSY)),
        color=data.get("color"),
        reminders=None if reminders is None else tuple(reminders),
        attendees=tuple(map(_attendee_from_json, data.get("attendees", ()))),
        organizer=None if organizer is None else _person_from_json(organizer),
        meeting_url=data.get("meeting_url"),
        attachments=tuple(
            Attachment(name=file["name"], url=file.get("url", ""))
            for file in data.get("attachments", ())
        ),
        status=Status(data.get("status", Status.CONFIRMED)),
        response=None if response is None else Response(response),
        redacted=data.get("redacted", False),
    )


def _location_to_json(location: Location) -> Json:
    out: Json = {}
    if location.name:
        out["name"] = location.name
    if location.address:
        out["address"] = location.address
    if location.latitude is not None:
        out["latitude"] = location.latitude
    if location.longitude is not None:
        out["longitude"] = location.longitude
    return out


def _location_from_json(data: Mapping[str, Any]) -> Location:
    return Location(
        name=data.get("name", ""),
        address=data.get("address", ""),
        latitude=data.get("latitude"),
        longitude=data.get("longitude"),
    )


def _person_to_json(person: Person) -> Json:
    out: Json = {}
    if person.email is not None:
        out["email"] = person.email
    if person.name:
        out["name"] = person.name
    return out


def _person_from_json(data: Mapping[str, Any]) -> Person:
    return Person(email=data.get("email"), name=data.get("name", ""))


def _attendee_to_json(attendee: Attendee) -> Json:
    out = _person_to_json(attendee.person)
    if attendee.kind is not AttendeeKind.INDIVIDUAL:
        out["kind"] = attendee.kind.value
    if attendee.optional:
        out["optional"] = True
    if attendee.organizer:
        out["organizer"] = True
    if attendee.response is not Response.NEEDS_ACTION:
        out["response"] = attendee.response.value
    return out


def _attendee_from_json(data: Mapping[str, Any]) -> Attendee:
    return Attendee(
        person=_person_from_json(data),
        kind=AttendeeKind(data.get("kind", AttendeeKind.INDIVIDUAL)),
        optional=data.get("optional", False),
        organizer=data.get("organizer", False),
        response=Response(data.get("response", Response.NEEDS_ACTION)),
    )
