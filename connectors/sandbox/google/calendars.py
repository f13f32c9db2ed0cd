"""The methods of resources `calendarList` and `calendars`."""

from dataclasses import replace
from typing import Any

from connectors.sandbox.google.call import Action, Call
from connectors.sandbox.google.errors import (
    bad_request,
    forbidden,
    full_sync_required,
    invalid,
    not_found,
    required,
)
from connectors.sandbox.google.listing import flag, limit_of
from connectors.sandbox.google.palette import CALENDAR_COLORS
from connectors.sandbox.google.state import ROLES, Calendar, ListEntry
from connectors.sandbox.google.times import zone_named
from connectors.sandbox.google.tokens import Mark, decode, digest, encode
from connectors.sandbox.google.validation import merged
from connectors.sandbox.http import Response

EDITABLE = (
    "summaryOverride", "colorId", "backgroundColor", "foregroundColor", "selected", "hidden",
    "defaultReminders", "notificationSettings",
)  # fmt: skip


def list_entries(call: Call) -> Response:
    """calendarList.list with sync tokens of its own."""
    user, request = call.world.users[call.caller.email], call.request
    params = digest(
        [user.email, request.param("minAccessRole"), request.param("showHidden") or "false"]
    )
    since = _since(call, params)
    mark = Mark("page", user.email, params, since or 0, until=user.log.head, epoch=user.epoch)
    if token := request.param("pageToken"):
        found = decode(token, "page", user.email)
        if found is None or found.params != params or found.epoch != user.epoch:
            raise invalid("Invalid page token value.", "pageToken")
        mark = found
    limit = limit_of(request, default=100, most=250)
    items: list[dict[str, Any]] = []
    more = False
    for number, name in user.log.since(mark.position):
        entry = user.entries[name]
        if _listed(call, entry, diff=since is not None):
            if len(items) == limit:
                more = True
                break
            items.append(_entry(call, entry))
        mark = replace(mark, position=number)
    answer: dict[str, Any] = {"kind": "calendar#calendarList", "etag": f'"p{user.log.head}"'}
    if more:
        answer["nextPageToken"] = encode(mark)
    else:
        answer["nextSyncToken"] = encode(replace(mark, kind="sync", position=mark.until, until=0))
    return Response.of_json(answer | {"items": items})


def get_entry(call: Call) -> Response:
    """calendarList.get."""
    return _answered(call, _known(call))


def insert_entry(call: Call) -> Response:
    """calendarList.insert: puts a calendar that is shared with the caller into his list."""
    name = call.body().get("id")
    if not isinstance(name, str):
        raise required("Missing calendar id.")
    calendar = call.world.resolve(call.caller, name)
    entry = call.world.enlist(call.caller.email, calendar.id)
    return _answered(call, entry)


def patch_entry(call: Call) -> Response:
    """calendarList.patch and update."""
    entry, body = _known(call), call.body()
    base = entry.shown if call.request.method == "PATCH" else {}
    entry.shown = merged(base, {name: body[name] for name in EDITABLE if name in body})
    call.world.touch_entry(call.caller.email, entry.calendar)
    return _answered(call, entry)


def delete_entry(call: Call) -> Response:
    """calendarList.delete. One's own calendars cannot be dropped from the list."""
    entry = _known(call)
    if call.world.calendars[entry.calendar].owner == call.caller.email:
        raise forbidden("The data owner cannot remove the calendar from the list.")
    entry.deleted = True
    call.world.touch_entry(call.caller.email, entry.calendar)
    return Response(204)


def watch_entries(call: Call) -> Response:
    """calendarList.watch."""
    path = "/calendar/v3/users/me/calendarList"
    channel = call.service.channels.watch(
        call.caller, "calendarList", call.caller.email, path, call.body()
    )
    return Response.of_json(channel.described())


def get(call: Call) -> Response:
    """calendars.get."""
    return _calendar(call.calendar())


def insert(call: Call) -> Response:
    """calendars.insert: a secondary calendar of the caller."""
    body = call.body()
    if not isinstance(body.get("summary"), str) or not body["summary"]:
        raise required("Missing title.")
    zone = _zone(body, call.world.users[call.caller.email].zone)
    calendar = call.world.add_calendar(call.caller.email, body["summary"], zone)
    _write(calendar, body)
    return _calendar(calendar)


def patch(call: Call) -> Response:
    """calendars.patch and update."""
    calendar, body = call.calendar("owner"), call.body()
    if call.request.method == "PUT" and not body.get("summary"):
        raise required("Missing title.")
    calendar.zone = _zone(body, calendar.zone)
    _write(calendar, body)
    calendar.updated = call.world.millis()
    for email in calendar.roles:
        call.world.touch_entry(email, calendar.id)
    return _calendar(calendar)


def delete(call: Call) -> Response:
    """calendars.delete: only secondary ones, only by their owner."""
    calendar = call.calendar("owner")
    if calendar.primary:
        raise forbidden("Cannot delete a primary calendar.", "cannotDeletePrimaryCalendar")
    if calendar.owner != call.caller.email:
        raise forbidden("Only the data owner can delete the calendar.")
    remove(call, calendar)
    return Response(204)


def remove(call: Call, calendar: Calendar) -> None:
    """The calendar is gone for everybody."""
    calendar.deleted = True
    for email in calendar.roles:
        user = call.world.users.get(email)
        if user and calendar.id in user.entries:
            user.entries[calendar.id].deleted = True
            call.world.touch_entry(email, calendar.id)


def clear(call: Call) -> Response:
    """calendars.clear: all events of a primary calendar."""
    calendar = call.calendar("owner")
    if not calendar.primary:
        raise bad_request("Only a primary calendar can be cleared.")
    calendar.erase()
    call.world.changed(calendar)
    return Response(204)


METHODS: tuple[tuple[str, str, str, Action], ...] = (
    ("GET", "users/me/calendarList", "calendarList.list", list_entries),
    ("POST", "users/me/calendarList", "calendarList.insert", insert_entry),
    ("POST", "users/me/calendarList/watch", "calendarList.watch", watch_entries),
    ("GET", "users/me/calendarList/{calendarId}", "calendarList.get", get_entry),
    ("PATCH", "users/me/calendarList/{calendarId}", "calendarList.patch", patch_entry),
    ("PUT", "users/me/calendarList/{calendarId}", "calendarList.update", patch_entry),
    ("DELETE", "users/me/calendarList/{calendarId}", "calendarList.delete", delete_entry),
    ("POST", "calendars", "calendars.insert", insert),
    ("GET", "calendars/{calendarId}", "calendars.get", get),
    ("PATCH", "calendars/{calendarId}", "calendars.patch", patch),
    ("PUT", "calendars/{calendarId}", "calendars.update", patch),
    ("DELETE", "calendars/{calendarId}", "calendars.delete", delete),
    ("POST", "calendars/{calendarId}/clear", "calendars.clear", clear),
)


def _since(call: Call, params: str) -> int | None:
    token = call.request.param("syncToken")
    if token is None:
        return None
    user = call.world.users[call.caller.email]
    mark = decode(token, "sync", user.email)
    if mark is None or mark.params != params:
        raise invalid("Invalid sync token value.", "syncToken")
    if call.request.param("minAccessRole"):
        raise bad_request("Sync token cannot be used with parameter minAccessRole.")
    if mark.epoch != user.epoch:
        raise full_sync_required()
    return mark.position


def _listed(call: Call, entry: ListEntry, *, diff: bool) -> bool:
    calendar = call.world.calendars[entry.calendar]
    gone = entry.deleted or call.caller.email not in calendar.roles
    if diff:
        return True
    if gone:
        return flag(call.request, "showDeleted")
    if entry.shown.get("hidden") and not flag(call.request, "showHidden"):
        return False
    least = call.request.param("minAccessRole")
    if least is None:
        return True
    if least not in ROLES:
        raise invalid(f"Invalid value for: {least}", "minAccessRole")
    return ROLES.index(calendar.roles[call.caller.email]) >= ROLES.index(least)


def _known(call: Call) -> ListEntry:
    calendar = call.world.resolve(call.caller, call.path["calendarId"])
    entry = call.world.users[call.caller.email].entries.get(calendar.id)
    if entry is None or entry.deleted:
        raise not_found()
    return entry


def _answered(call: Call, entry: ListEntry) -> Response:
    return Response.of_json(_entry(call, entry), ETag=f'"{entry.version}"')


def _entry(call: Call, entry: ListEntry) -> dict[str, Any]:
    calendar, email = call.world.calendars[entry.calendar], call.caller.email
    head = {
        "kind": "calendar#calendarListEntry",
        "etag": f'"{entry.version}"',
        "id": calendar.id,
    }
    if entry.deleted or email not in calendar.roles:
        return head | {"deleted": True}
    color = str(entry.shown.get("colorId", "14"))
    background, foreground = CALENDAR_COLORS.get(color, CALENDAR_COLORS["14"])
    shown: dict[str, Any] = head | _about(calendar)
    shown |= {
        "colorId": color,
        "backgroundColor": background,
        "foregroundColor": foreground,
        "selected": True,
        "accessRole": calendar.roles[email],
        "defaultReminders": [],
    }
    shown |= entry.shown
    if calendar.primary and calendar.owner == email:
        shown["primary"] = True
    elif not calendar.primary:
        shown["dataOwner"] = calendar.owner
    return shown


def _about(calendar: Calendar) -> dict[str, Any]:
    texts = {"description": calendar.description, "location": calendar.location}
    return {
        "summary": calendar.summary,
        "timeZone": calendar.zone,
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"]},
    } | {name: text for name, text in texts.items() if text}


def _calendar(calendar: Calendar) -> Response:
    etag = f'"{digest([calendar.summary, calendar.zone, calendar.description])}"'
    body = {"kind": "calendar#calendar", "etag": etag, "id": calendar.id} | _about(calendar)
    return Response.of_json(body, ETag=etag)


def _zone(body: dict[str, Any], default: str) -> str:
    zone = body.get("timeZone") or default
    if not isinstance(zone, str) or zone_named(zone) is None:
        raise invalid("Invalid time zone definition.")
    return zone


def _write(calendar: Calendar, body: dict[str, Any]) -> None:
    calendar.summary = body.get("summary") or calendar.summary
    calendar.description = body.get("description", calendar.description) or ""
    calendar.location = body.get("location", calendar.location) or ""
