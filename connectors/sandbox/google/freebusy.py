"""colors.get, freeBusy.query, settings.list, channels.stop."""

from datetime import datetime
from typing import Any

from connectors.sandbox.google.call import Action, Call
from connectors.sandbox.google.errors import ApiError, invalid, required
from connectors.sandbox.google.instances import instances, overlaps
from connectors.sandbox.google.palette import colors
from connectors.sandbox.google.state import Calendar, Row, World
from connectors.sandbox.google.times import millis_text, parse_bound
from connectors.sandbox.http import Response

MAX_CALENDARS = 50


def get_colors(_call: Call) -> Response:
    """colors.get."""
    return Response.of_json(colors())


def query(call: Call) -> Response:
    """freeBusy.query: merged busy times of up to 50 calendars."""
    body = call.body()
    low = parse_bound(body.get("timeMin"), "timeMin")
    high = parse_bound(body.get("timeMax"), "timeMax")
    if low is None or high is None:
        raise required("Missing time bound.")
    items = body.get("items") or []
    if len(items) > MAX_CALENDARS:
        raise invalid("Too many calendars requested.")
    answer: dict[str, Any] = {}
    for item in items:
        name = str(item.get("id", ""))
        try:
            calendar = call.world.resolve(call.caller, name)
        except ApiError:
            answer[name] = {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
            continue
        answer[name] = {"busy": _busy(call.world, calendar, low, high)}
    return Response.of_json(
        {
            "kind": "calendar#freeBusy",
            "timeMin": millis_text(int(low.timestamp() * 1000)),
            "timeMax": millis_text(int(high.timestamp() * 1000)),
            "calendars": answer,
        }
    )


def settings(call: Call) -> Response:
    """settings.list: the user's zone and language."""
    user = call.world.users[call.caller.email]
    values = {"timezone": user.zone, "locale": "en", "weekStart": "1"}
    items = [
        {"kind": "calendar#setting", "etag": '"1"', "id": name, "value": value}
        for name, value in values.items()
    ]
    return Response.of_json({"kind": "calendar#settings", "etag": '"1"', "items": items})


def stop(call: Call) -> Response:
    """channels.stop."""
    call.service.channels.stop(call.caller, call.body())
    return Response(204)


METHODS: tuple[tuple[str, str, str, Action], ...] = (
    ("GET", "colors", "colors.get", get_colors),
    ("POST", "freeBusy", "freebusy.query", query),
    ("GET", "users/me/settings", "settings.list", settings),
    ("POST", "channels/stop", "channels.stop", stop),
)


def _busy(world: World, calendar: Calendar, low: datetime, high: datetime) -> list[dict[str, str]]:
    spans: list[tuple[datetime, datetime]] = []
    for row in list(calendar.rows.values()):
        for found in _occurrences(world, calendar, row, low, high):
            if found.cancelled or found.fields.get("transparency") == "transparent":
                continue
            start, end = found.start.within(calendar.zone), found.end.within(calendar.zone)
            spans.append((max(start, low), min(end, high)))
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return [
        {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
        for start, end in merged
    ]


def _occurrences(
    world: World, calendar: Calendar, row: Row, low: datetime, high: datetime
) -> list[Row]:
    if calendar.is_deleted(row):
        return []
    if row.recurrence:
        return [r for r in instances(world, calendar, row, low, high) if not r.stored]
    return [row] if overlaps(row, calendar.zone, low, high) else []
