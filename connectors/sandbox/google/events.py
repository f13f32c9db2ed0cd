"""The methods of resource `events`."""

from dataclasses import replace
from typing import Any

from connectors.sandbox.google import writing
from connectors.sandbox.google.call import Action, Call
from connectors.sandbox.google.errors import invalid, not_found, required
from connectors.sandbox.google.instances import instances, locate
from connectors.sandbox.google.listing import EventListing, flag, limit_of
from connectors.sandbox.google.rendering import Rendering
from connectors.sandbox.google.state import Row
from connectors.sandbox.google.times import Moment, millis_text, parse_bound, zone_named
from connectors.sandbox.google.tokens import Mark, decode, digest, encode
from connectors.sandbox.google.writing import Write
from connectors.sandbox.http import Response

WRITER = "writerWithoutPrivateAccess"


def list_(call: Call) -> Response:
    """events.list."""
    return Response.of_json(
        EventListing(call.world, call.caller, call.calendar(), call.request).answer()
    )


def get(call: Call) -> Response:
    """events.get: deleted ones too, with status cancelled."""
    calendar = call.calendar("reader")
    row = locate(call.world, calendar, call.path["eventId"])
    if row is None:
        raise not_found()
    if call.request.headers.get("If-None-Match") in (row.etag, "*"):
        return Response(304, headers={"ETag": row.etag})
    return _shown(call, row)


def insert(call: Call) -> Response:
    """events.insert."""
    return _shown(call, writing.insert(_write(call), call.body()))


def import_(call: Call) -> Response:
    """events.import."""
    return _shown(call, writing.import_(replace(_write(call), mails="none"), call.body()))


def update(call: Call) -> Response:
    """events.update."""
    return _shown(call, writing.update(_write(call), call.path["eventId"], call.body()))


def patch(call: Call) -> Response:
    """events.patch."""
    return _shown(call, writing.patch(_write(call), call.path["eventId"], call.body()))


def delete(call: Call) -> Response:
    """events.delete."""
    writing.delete(_write(call), call.path["eventId"])
    return Response(204)


def move(call: Call) -> Response:
    """events.move."""
    destination = call.world.resolve(call.caller, call.request.param("destination") or "")
    call.world.require(call.caller, destination, WRITER)
    row = writing.move(_write(call), call.path["eventId"], destination)
    return Response.of_json(Rendering(call.world, call.caller, destination).event(row))


def instances_(call: Call) -> Response:
    """events.instances: by original start, within a window, with or without deleted ones."""
    calendar, request = call.calendar("reader"), call.request
    master = locate(call.world, calendar, call.path["eventId"])
    if master is None:
        raise not_found()
    low = parse_bound(request.param("timeMin"), "timeMin")
    high = parse_bound(request.param("timeMax"), "timeMax")
    rows: list[Row] = []
    if master.recurrence and not master.cancelled:
        rows = list(instances(call.world, calendar, master, low, high))
        rows.sort(key=lambda row: row.start.order)
    if not flag(request, "showDeleted"):
        rows = [row for row in rows if not row.cancelled]
    if original := request.param("originalStart"):
        rows = [row for row in rows if row.original and _is_at(row.original, original)]
    zone = request.param("timeZone") or calendar.zone
    bound = digest(sorted(pair for pair in request.query if pair[0] != "pageToken"))
    at = 0
    if token := request.param("pageToken"):
        mark = decode(token, "page", master.id)
        if mark is None or mark.params != bound:
            raise invalid("Invalid page token value.", "pageToken")
        at = mark.position
    limit = min(limit_of(request), call.world.switches.page_limit)
    rendering = Rendering(call.world, call.caller, calendar, zone=zone)
    answer: dict[str, Any] = {
        "kind": "calendar#events",
        "etag": f'"p{calendar.updated:x}"',
        "summary": calendar.summary,
        "updated": millis_text(calendar.updated),
        "timeZone": zone,
        "accessRole": calendar.roles[call.caller.email],
        "defaultReminders": [],
        "items": [rendering.event(row) for row in rows[at : at + limit]],
    }
    if at + limit < len(rows):
        answer["nextPageToken"] = encode(Mark("page", master.id, bound, at + limit))
    return Response.of_json(answer)


def watch(call: Call) -> Response:
    """events.watch."""
    calendar = call.calendar("reader")
    path = f"/calendar/v3/calendars/{calendar.id}/events"
    channel = call.service.channels.watch(call.caller, "events", calendar.id, path, call.body())
    return Response.of_json(channel.described())


def quick_add(call: Call) -> Response:
    """events.quickAdd: an hour from the next full hour, named after the text."""
    text = call.request.param("text")
    if not text:
        raise required("Missing text.")
    calendar = call.calendar(WRITER)
    start = int(call.world.clock.time()) // 3600 * 3600 + 3600
    body = {
        "summary": text,
        "start": {"dateTime": millis_text(start * 1000), "timeZone": calendar.zone},
        "end": {"dateTime": millis_text((start + 3600) * 1000), "timeZone": calendar.zone},
    }
    return _shown(call, writing.insert(_write(call), body))


METHODS: tuple[tuple[str, str, str, Action], ...] = (
    ("GET", "calendars/{calendarId}/events", "events.list", list_),
    ("POST", "calendars/{calendarId}/events", "events.insert", insert),
    ("POST", "calendars/{calendarId}/events/import", "events.import", import_),
    ("POST", "calendars/{calendarId}/events/quickAdd", "events.quickAdd", quick_add),
    ("POST", "calendars/{calendarId}/events/watch", "events.watch", watch),
    ("GET", "calendars/{calendarId}/events/{eventId}", "events.get", get),
    ("PUT", "calendars/{calendarId}/events/{eventId}", "events.update", update),
    ("PATCH", "calendars/{calendarId}/events/{eventId}", "events.patch", patch),
    ("DELETE", "calendars/{calendarId}/events/{eventId}", "events.delete", delete),
    ("GET", "calendars/{calendarId}/events/{eventId}/instances", "events.instances", instances_),
    ("POST", "calendars/{calendarId}/events/{eventId}/move", "events.move", move),
)


def _shown(call: Call, row: Row) -> Response:
    calendar = call.calendar()
    zone, limit = call.request.param("timeZone"), call.request.param("maxAttendees")
    if zone and zone_named(zone) is None:
        raise invalid(f"Invalid time zone: {zone}", "timeZone")
    rendering = Rendering(
        call.world, call.caller, calendar, zone=zone, max_attendees=int(limit) if limit else None
    )
    return Response.of_json(rendering.event(row), ETag=row.etag)


def _write(call: Call) -> Write:
    request = call.request
    mails = request.param("sendUpdates")
    if mails not in (None, "all", "externalOnly", "none"):
        raise invalid(f"Invalid value for: {mails}", "sendUpdates")
    if mails is None:
        mails = "all" if request.param("sendNotifications") == "true" else "none"
    calendar = call.calendar(WRITER)
    call.service.limits.space(calendar)
    keeps = []
    if request.param("conferenceDataVersion", "0") == "0":
        keeps.append("conferenceData")
    if request.param("supportsAttachments", "false") != "true":
        keeps.append("attachments")
    return Write(
        call.world,
        call.caller,
        calendar,
        mails=mails,
        if_match=request.headers.get("If-Match"),
        keeps=tuple(keeps),
    )


def _is_at(original: Moment, text: str) -> bool:
    if original.all_day or "T" not in text.upper():
        return original.all_day and text[:10] == original.order.date().isoformat()
    return parse_bound(text, "originalStart") == original.order
