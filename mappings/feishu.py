"""Feishu/Lark Calendar v4 events: wire objects <-> the canonical model.

Sources: open.feishu.cn pages "日程资源介绍" (event resource), "创建日程", "更新日程",
"创建日程参与人". Wire objects are the parsed JSON of an event. Times are Unix seconds as decimal
strings with an IANA zone, or a date without one. What the documentation leaves open is a switch
of `FeishuDialect`.

Coordinates are GCJ-02 in China and WGS84 elsewhere on this wire. The datum is not marked, hence
not converted: a value goes through as it is, rounded to 5 places, and is only ever sent when the
location changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from mappings import colors, footer, recurrence, richtext, zones
from mappings.errors import UnmappableError
from mappings.limits import RuleLimits, TargetLimits
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

LIMITS = TargetLimits(
    title_length=1000,
    description_length=40960 - 500,
    location_length=512,
    reminder_range=(-20160, 20160),
    default_reminders=False,
    statuses=False,
    meeting_url=True,
    responses=True,
    end_zone=False,
    earliest=datetime(1970, 1, 2, tzinfo=UTC),
    latest=datetime(2499, 12, 31, tzinfo=UTC),
    rules=RuleLimits(
        parts=frozenset({"BYMONTH", "BYMONTHDAY", "BYDAY", "BYSETPOS"}),
        rdates=False,
        spelled_out=True,
    ),
)
"""What an event of a Feishu calendar can hold. A description leaves room for a line of ours
(`mappings.feishu_extras`)."""

_ADDRESS_LENGTH = 255
_DAY = timedelta(days=1)
_RESPONSES = {
    "needs_action": Response.NEEDS_ACTION,
    "accept": Response.ACCEPTED,
    "tentative": Response.TENTATIVE,
    "decline": Response.DECLINED,
}
_RESPONSE_WORDS = {
    Response.ACCEPTED: "accept",
    Response.TENTATIVE: "tentative",
    Response.DECLINED: "decline",
}
_KINDS = {"resource": AttendeeKind.ROOM, "chat": AttendeeKind.GROUP}
_VISIBILITIES = {item.value: item for item in Visibility}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeishuDialect:
    """Behaviours that no documentation settles; `check --online` can find them out.

    `read_end`, `write_end`: whether the end date of an all-day event is the last day or the day
    after it, in answers and in requests. `until_date`: whether a bare date as UNTIL of a timed
    series includes that day. `blank_location`: what clears a location, whose name must have at
    least one character.
    """

    read_end: Literal["exclusive", "inclusive"] = "exclusive"
    write_end: Literal["exclusive", "inclusive"] = "inclusive"
    until_date: Literal["midnight", "whole_day"] = "whole_day"
    blank_location: str = " "


DEFAULT = FeishuDialect()


def uid_of(event_id: str) -> str:
    """What all members of a series share: the event id without its original time."""
    return event_id.rpartition("_")[0] or event_id


def main_id(event_id: str) -> str:
    """The id of the single event or series master that an event belongs to."""
    return f"{uid_of(event_id)}_0"


def occurrence_id(main_id: str, key: Key, series: When) -> str:
    """The id of one occurrence: the uid and the Unix seconds of its original start
    (all-day: midnight UTC of its date)."""
    if series.all_day:
        day = date.fromisoformat(key)
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    else:
        fold = series.fold if key == series.key else 0
        at = zones.instant(datetime.fromisoformat(key), series.zone or "UTC", fold)
    return f"{uid_of(main_id)}_{int(at.timestamp())}"


def is_exception(wire: Wire) -> bool:
    """True if the object is one occurrence of a series, changed or removed."""
    return bool(wire.get("is_exception")) or not str(wire.get("event_id", "_0")).endswith("_0")


def is_cancelled(wire: Wire) -> bool:
    """True if the object stands for a deleted event or a removed occurrence."""
    return wire.get("status") == "cancelled"


def organized(wire: Wire, calendar_id: str) -> bool:
    """True if the event was created on this calendar, so that all of it may be changed."""
    return wire.get("organizer_calendar_id") in (None, "", calendar_id)


def decode(wire: Wire, switches: FeishuDialect = DEFAULT, *, role: str = "") -> Event:
    """A single event or a series without its exceptions.

    `role` is the account's role on the calendar in Feishu's words, which decides whether absent
    details were withheld. Raises `UnmappableError` (`NO_END`, `ZONE_UNKNOWN`, `RULE_INVALID`,
    `MALFORMED`).
    """
    when = _decode_when(wire, switches)
    event = Event(
        details=decode_details(wire, role), when=when, uid=uid_of(str(wire.get("event_id", "")))
    )
    text = wire.get("recurrence")
    if not text:
        return event
    rule = recurrence.parse_rule(str(text), when, until_date=switches.until_date)
    return recurrence.rebase(replace(event, rule=rule))


def decode_override(
    wire: Wire, series: When, switches: FeishuDialect = DEFAULT, *, role: str = ""
) -> Override:
    """One exception of the series that starts at `series`."""
    key = key_of(str(wire.get("event_id", "")), series)
    if is_cancelled(wire):
        return Override(key=key, cancelled=True)
    return Override(key=key, details=decode_details(wire, role), when=_decode_when(wire, switches))


def key_of(event_id: str, series: When) -> Key:
    """The key of the occurrence that an exception's id names."""
    seconds = event_id.rpartition("_")[2]
    try:
        at = datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UnmappableError("MALFORMED", f"event id without original time: {event_id}") from error
    if series.all_day:
        return Key(at.date().isoformat())
    return recurrence.key_of_instant(series, at)


def _decode_when(wire: Wire, switches: FeishuDialect) -> When:
    start, end = wire.get("start_time"), wire.get("end_time")
    if not start:
        raise UnmappableError("MALFORMED", "the event has no start")
    if not end:
        raise UnmappableError("NO_END", "the event has no end")
    try:
        if start.get("date"):
            return _decode_days(start["date"], end.get("date"), switches)
        began, ended = _instant(start), _instant(end)
    except UnmappableError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise UnmappableError("MALFORMED", f"a time cannot be read: {error}") from error
    zone = _zone(start.get("timezone"))
    end_zone = _zone(end.get("timezone") or zone)
    wall, fold = zones.wall(began, zone)
    return When(
        start=wall,
        duration=max(ended - began, timedelta(0)),
        zone=zone,
        end_zone=end_zone if end_zone != zone else None,
        fold=fold,
    )


def _decode_days(first: str, last: str | None, switches: FeishuDialect) -> When:
    if not last:
        raise UnmappableError("NO_END", "the all-day event has no end")
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    if switches.read_end == "inclusive":
        end += _DAY
    return When(start=start, duration=max(end - start, _DAY))


def _instant(time_info: Wire) -> datetime:
    return datetime.fromtimestamp(int(time_info["timestamp"]), UTC)


def _zone(name: str | None) -> str:
    zone = zones.resolve(name or "Asia/Shanghai")
    if zone is None:
        raise UnmappableError("ZONE_UNKNOWN", f"unknown time zone {name!r}")
    return zone


def decode_details(wire: Wire, role: str = "") -> Details:
    """Everything about the event except when it happens; `role` as for `decode`."""
    description, lines = footer.split(richtext.canonical(wire.get("description") or ""))
    reminders = wire.get("reminders")
    organizer = wire.get("event_organizer") or {}
    vchat = wire.get("vchat") or {}
    return Details(
        title=richtext.line(wire.get("summary") or ""),
        description=description,
        footer=lines,
        location=_decode_location(wire.get("location")),
        visibility=_VISIBILITIES.get(wire.get("visibility", ""), Visibility.DEFAULT),
        busy=Busy.FREE if wire.get("free_busy_status") == "free" else Busy.BUSY,
        color=colors.from_argb(int(wire.get("color") or 0)),
        reminders=None
        if reminders is None
        else tuple(sorted({int(item["minutes"]) for item in reminders})),
        attendees=decode_attendees(wire.get("attendees") or ()),
        organizer=Person(name=richtext.line(organizer["display_name"]))
        if organizer.get("display_name")
        else None,
        meeting_url=vchat.get("meeting_url") or None,
        attachments=_decode_attachments(wire),
        status=Status.TENTATIVE if wire.get("status") == "tentative" else Status.CONFIRMED,
        response=_RESPONSES.get(wire.get("self_rsvp_status", "")),
        redacted=_withheld(wire, role),
    )


def _withheld(wire: Wire, role: str) -> bool:
    if wire.get("summary") or wire.get("description"):
        return False
    return role == "free_busy_reader" or (
        wire.get("visibility") == "private" and role in ("reader", "unknown")
    )


def _decode_location(wire: Wire | None) -> Location | None:
    if not wire:
        return None
    name = richtext.line(wire.get("name") or "")
    address = richtext.line(wire.get("address") or "")
    latitude, longitude = wire.get("latitude"), wire.get("longitude")
    if not latitude and not longitude:
        latitude = longitude = None
    if not name and not address and latitude is None:
        return None
    if latitude is None or longitude is None:
        return Location(name=name, address=address)
    return Location(
        name=name,
        address=address,
        latitude=round(float(latitude), 5),
        longitude=round(float(longitude), 5),
    )


def _decode_attachments(wire: Wire) -> tuple[Attachment, ...]:
    """The files live behind Feishu's own login, so the link is the one to the event."""
    return tuple(
        Attachment(name=richtext.line(item.get("name") or ""), url=wire.get("app_link") or "")
        for item in wire.get("attachments") or ()
        if not item.get("is_deleted")
    )


def decode_attendees(
    items: Iterable[Wire], emails: Mapping[str, str] | None = None
) -> tuple[Attendee, ...]:
    """The attendees as the attendee list or the event itself names them.

    `emails` tells the mail addresses of user ids, which the wire does not show. Who was removed
    is left out.
    """
    emails = emails or {}
    return tuple(
        Attendee(
            person=Person(
                email=(
                    item.get("third_party_email") or emails.get(item.get("user_id", "")) or ""
                ).lower()
                or None,
                name=richtext.line(item.get("display_name") or ""),
            ),
            kind=_KINDS.get(item.get("type", ""), AttendeeKind.INDIVIDUAL),
            optional=bool(item.get("is_optional")),
            organizer=bool(item.get("is_organizer")),
            response=_RESPONSES.get(item.get("rsvp_status", ""), Response.NEEDS_ACTION),
        )
        for item in items
        if item.get("rsvp_status") != "removed"
    )


def encode_attendees(
    attendees: Sequence[Attendee], user_ids: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """The bodies for adding attendees: colleagues by user id, everybody else by mail address.

    Rooms, groups and people without address cannot be named from outside and are left out, as
    is the organiser, who is there anyway.
    """
    user_ids = user_ids or {}
    bodies: list[dict[str, Any]] = []
    for attendee in attendees:
        email = attendee.person.email
        if not email or attendee.organizer or attendee.kind is not AttendeeKind.INDIVIDUAL:
            continue
        if email in user_ids:
            body = {"type": "user", "user_id": user_ids[email]}
        else:
            body = {"type": "third_party", "third_party_email": email}
        bodies.append(body | {"is_optional": attendee.optional})
    return bodies


def response_word(response: Response) -> str:
    """An answer as the reply call takes it. "No answer" cannot be given."""
    return _RESPONSE_WORDS[response]


def encode(event: Event, switches: FeishuDialect = DEFAULT) -> dict[str, Any]:
    """The body that creates the event or series; exceptions and attendees are calls of their own.

    Never notifies anybody and never lets Feishu add a video meeting by itself.
    """
    details = event.details
    body: dict[str, Any] = {
        "summary": details.title,
        "description": footer.join(details.description, details.footer),
        "need_notification": False,
        "visibility": details.visibility.value,
        "free_busy_status": _encode_busy(details.busy),
        "vchat": _encode_vchat(details.meeting_url),
        "color": colors.to_argb(details.color),
        **_encode_when(event.when, switches),
    }
    if details.location is not None:
        body["location"] = _encode_location(details.location, switches)
    if details.reminders is not None:
        body["reminders"] = _encode_reminders(details.reminders)
    if event.rule is not None:
        body["recurrence"] = recurrence.format_rule(event.rule, event.when)
    return body


def encode_changes(old: Event, new: Event, switches: FeishuDialect = DEFAULT) -> dict[str, Any]:
    """The PATCH body that turns the single event or series `old` into `new`, exceptions apart.

    Empty if nothing of it differs. A series cannot be turned into a single event or back, see
    `needs_recreation`.
    """
    body = _detail_changes(old.details, new.details, switches)
    if old.when != new.when:
        body |= _encode_when(new.when, switches)
    if new.rule is not None and (old.rule != new.rule or old.when != new.when):
        body["recurrence"] = recurrence.format_rule(new.rule, new.when)
    return body | {"need_notification": False} if body else {}


def needs_recreation(old: Event, new: Event) -> bool:
    """True if no PATCH leads from one to the other: a series that becomes a single event."""
    return old.rule is not None and new.rule is None


def encode_override(
    series: Event, old: Override | None, new: Override, switches: FeishuDialect = DEFAULT
) -> dict[str, Any]:
    """The PATCH body for one occurrence id; `old` None = the occurrence follows the rule so far.

    Empty if nothing differs. A cancelled override is a DELETE, hence no business of this one;
    after a cancelled `old` everything is sent.
    """
    if new.details is None or new.when is None:
        raise ValueError("a cancelled occurrence has no body")
    if old is None:
        before, when = series.details, recurrence.when_of(series, new.key)
    elif old.details is None or old.when is None:
        return encode(Event(details=new.details, when=new.when), switches)
    else:
        before, when = old.details, old.when
    body = _detail_changes(before, new.details, switches)
    if when != new.when:
        body |= _encode_when(new.when, switches)
    return body | {"need_notification": False} if body else {}


def _detail_changes(old: Details, new: Details, switches: FeishuDialect) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if old == new:
        return body
    if old.title != new.title:
        body["summary"] = new.title
    if (old.description, old.footer) != (new.description, new.footer):
        body["description"] = footer.join(new.description, new.footer)
    if old.location != new.location:
        body["location"] = _encode_location(new.location or Location(), switches)
    if old.visibility != new.visibility:
        body["visibility"] = new.visibility.value
    if _encode_busy(old.busy) != _encode_busy(new.busy):
        body["free_busy_status"] = _encode_busy(new.busy)
    if old.color != new.color:
        body["color"] = colors.to_argb(new.color)
    if old.reminders != new.reminders:
        body["reminders"] = _encode_reminders(new.reminders or ())
    if old.meeting_url != new.meeting_url:
        body["vchat"] = _encode_vchat(new.meeting_url)
    return body


def _encode_when(when: When, switches: FeishuDialect) -> dict[str, Any]:
    """Both times: one alone has no effect."""
    if isinstance(when.start, datetime):
        zone = when.zone or "UTC"
        at = zones.instant(when.start, zone, when.fold)
        return {
            "start_time": _time_info(at, zone),
            "end_time": _time_info(at + when.duration, when.end_zone or zone),
        }
    last = when.start + when.duration
    if switches.write_end == "inclusive":
        last -= _DAY
    return {
        "start_time": {"date": when.start.isoformat(), "timezone": "UTC"},
        "end_time": {"date": last.isoformat(), "timezone": "UTC"},
    }


def _time_info(at: datetime, zone: str) -> dict[str, str]:
    return {"timestamp": str(int(at.timestamp())), "timezone": zone}


def _encode_location(location: Location, switches: FeishuDialect) -> dict[str, Any]:
    body: dict[str, Any] = {"name": location.name or location.address or switches.blank_location}
    if location.address:
        body["address"] = location.address[:_ADDRESS_LENGTH]
    if location.latitude is not None and location.longitude is not None:
        body |= {"latitude": location.latitude, "longitude": location.longitude}
    return body


def _encode_busy(busy: Busy) -> str:
    return "free" if busy is Busy.FREE else "busy"


def _encode_reminders(reminders: tuple[int, ...]) -> list[dict[str, int]]:
    return [{"minutes": minutes} for minutes in reminders]


def _encode_vchat(meeting_url: str | None) -> dict[str, str]:
    """Always explicit: without it Feishu adds a meeting of its own with the first attendee."""
    if meeting_url is None:
        return {"vc_type": "no_meeting"}
    return {"vc_type": "third_party", "meeting_url": meeting_url}
