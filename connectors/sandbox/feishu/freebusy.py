"""Free/busy ("Query free/busy" and "Batch query free/busy" pages)."""

from collections.abc import Iterator

from connectors.sandbox.feishu.calls import READ, Call, Route
from connectors.sandbox.feishu.content import Json
from connectors.sandbox.feishu.errors import RefusalError
from connectors.sandbox.feishu.expansion import occurrences
from connectors.sandbox.feishu.state import Calendar, Entry
from connectors.sandbox.feishu.switches import FeishuSwitches
from connectors.sandbox.feishu.times import DAY, Span, rfc3339, to_rfc3339


def busy_spans(
    calendar: Calendar, start: int, end: int, switches: FeishuSwitches
) -> Iterator[tuple[Entry, Span]]:
    """Everything in a calendar that takes up time in [start, end)."""
    for entry in calendar.entries:
        status = {**entry.event.content, **entry.personal}.get("free_busy_status", "busy")
        if entry.gone or status == "free" or entry.rsvp == "decline":
            continue
        if entry.event.recurrence:
            for _, span in occurrences(entry, calendar, start, end, switches):
                yield entry, span
        elif entry.event.span.overlaps(start, end):
            yield entry, entry.event.span


def list_freebusy(call: Call) -> Json:
    """One person's or room's busy times within 90 days."""
    start, end = _range(call, 90)
    if user_id := call.body.get("user_id"):
        user = call.world.user_of_id(call.id_kind, user_id)
        calendar = call.world.calendars[user.primary]
    elif room := call.world.rooms.get(str(call.body.get("room_id"))):
        calendar = call.world.calendars[room.calendar]
    else:
        raise RefusalError(198004)
    return {"freebusy_list": _items(call, calendar, start, end)}


def batch_freebusy(call: Call) -> Json:
    """Up to ten persons' busy times within 14 days."""
    start, end = _range(call, 14)
    wanted = call.body.get("user_ids")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= 10:
        raise RefusalError(198004)
    lists = []
    for user_id in wanted:
        user = call.world.user_of_id(call.id_kind, user_id)
        items = _items(call, call.world.calendars[user.primary], start, end)
        lists.append({**call.visible_id(user), "freebusy_items": items})
    return {"freebusy_lists": lists}


def _range(call: Call, days: int) -> tuple[int, int]:
    start, end = rfc3339(call.body.get("time_min")), rfc3339(call.body.get("time_max"))
    if start is None:
        raise RefusalError(198001)
    if end is None or end <= start:
        raise RefusalError(198002)
    if end - start > days * DAY:
        raise RefusalError(198003)
    return start, end


def _items(call: Call, calendar: Calendar, start: int, end: int) -> list[Json]:
    found = sorted(
        busy_spans(calendar, start, end, call.world.switches), key=lambda pair: pair[1].start
    )
    with_rsvp = call.body.get("need_rsvp_status") is True
    return [
        {"start_time": to_rfc3339(span.start), "end_time": to_rfc3339(span.end)}
        | ({"rsvp_status": entry.rsvp or "accept"} if with_rsvp else {})
        for entry, span in found
    ]


ROUTES = (
    Route("POST", "calendar/v4/freebusy/list", "freebusy.list", list_freebusy, READ),
    Route("POST", "calendar/v4/freebusy/batch", "freebusy.batch", batch_freebusy, READ),
)
