"""Listing events: full, since a sync token, in a window, and expanded.

Source: "List events", "Get instances of a recurring event", "Query instance view" pages.
"""

from typing import Literal

from connectors.sandbox.feishu.calendars import require, resolve
from connectors.sandbox.feishu.calls import READ, Call, Route
from connectors.sandbox.feishu.content import Json, as_instance, show_event, show_occurrence
from connectors.sandbox.feishu.errors import RefusalError, violation
from connectors.sandbox.feishu.expansion import occurrences
from connectors.sandbox.feishu.state import Calendar, Entry
from connectors.sandbox.feishu.times import DAY

_PAGE, _SYNC, _INSTANCES = "ListEventsPageToken", "ListEventsSyncToken", "InstancesPageToken"
TWO_YEARS = 731 * DAY


def eventful(call: Call, role: str) -> Calendar:
    """The path's calendar, of a type that the event APIs serve. Raises 191004 or 191002."""
    calendar = resolve(call)
    if calendar.type in ("google", "exchange"):
        raise RefusalError(191004)
    return require(call, calendar, role)


def list_events(call: Call) -> Json:
    """`GET events`: which of the four ways the parameters ask for."""
    calendar = eventful(call, "reader")
    size = call.size(50, 1000, 500)
    size = min(size, call.world.switches.short_pages or size)
    start, end = call.seconds("start_time"), call.seconds("end_time")
    anchor = call.seconds("anchor_time")
    windowed = start is not None or end is not None
    if windowed and call.query.get("sync_token"):
        raise RefusalError(190009)
    if windowed and anchor is not None:
        raise violation("anchor_time", anchor, "not together with start_time and end_time")
    if windowed:
        return _window(call, calendar, start or 0, end or 2**40, size)
    if text := call.query.get("page_token"):
        token = _token(call, calendar, _PAGE, text)
        return _resume(call, calendar, token, size, anchored=True)
    if text := call.query.get("sync_token"):
        token = _token(call, calendar, _SYNC, text)
        return _resume(call, calendar, token, size, anchored=anchor is not None)
    head = calendar.log.head(_visible(call))
    token = {"n": 0, "v": head, "a": anchor, "z": call.world.switches.empty_pages}
    return _resume(call, calendar, token, size, anchored=anchor is not None)


def _visible(call: Call) -> float:
    """Writes after this moment have not reached the listing yet."""
    lag = 0.0 if call.at_once else call.world.switches.lag_seconds
    return call.world.clock.time() - lag


def _resume(call: Call, calendar: Calendar, token: Json, size: int, *, anchored: bool) -> Json:
    if "n" in token:
        return _full(call, calendar, token, size, anchored=anchored)
    return _delta(call, calendar, token, size, anchored=anchored)


def _full(call: Call, calendar: Calendar, token: Json, size: int, *, anchored: bool) -> Json:
    """The next items from position `n`; the sync token tells the version of the beginning, so
    that what changes while somebody pages shows up in the first delta."""
    number, anchor = token["n"], token["a"]
    items: list[Json] = []
    visible = _visible(call)
    entries = calendar.entries
    while number < len(entries) and len(items) < size and not token.get("z"):
        entry = entries[number]
        if entry.appeared <= visible and _belongs(call, entry, anchor):
            items.append(show_event(call, calendar, entry))
        number += 1
    if number >= len(entries) and not token.get("z"):
        sync = _mint(call, calendar, _SYNC, {"v": token["v"]})
        return {"has_more": False, "page_token": "", "sync_token": sync, "items": items}
    following = {"n": number, "v": token["v"], "a": anchor}
    kind, name = (_PAGE, "page_token") if anchored else (_SYNC, "sync_token")
    return {"has_more": True, name: _mint(call, calendar, kind, following), "items": items}


def _belongs(call: Call, entry: Entry, anchor: int | None) -> bool:
    """Whether a full listing shows the entry (anchor_time: see the parameter's description)."""
    event, shown = entry.event, call.world.switches.cancelled_in_full_listing
    if entry.gone:
        removed_occurrence = event.master is not None and not entry.removed
        if shown == "none" or (shown == "exceptions" and not removed_occurrence):
            return False
    if anchor is None or event.recurrence:
        return True
    original_in = event.master is None or event.original >= anchor
    return original_in and event.span.end >= anchor


def _delta(call: Call, calendar: Calendar, token: Json, size: int, *, anchored: bool) -> Json:
    head = calendar.log.head(_visible(call))
    numbers, reached = calendar.log.since(token["v"], head, size)
    items = [show_event(call, calendar, calendar.entries[number]) for number in numbers]
    more = reached < head
    if more and (anchored or call.world.switches.delta_pages_by == "page_token"):
        page = _mint(call, calendar, _PAGE, {"v": reached})
        return {"has_more": True, "page_token": page, "items": items}
    sync = _mint(call, calendar, _SYNC, {"v": reached})
    return {"has_more": more, "page_token": "", "sync_token": sync, "items": items}


def _window(call: Call, calendar: Calendar, start: int, end: int, size: int) -> Json:
    """One shot: what overlaps, cut off at the page size, without any token."""
    found = []
    for entry in calendar.entries:
        if not entry.gone and _meets(call, calendar, entry, start, end):
            found.append(show_event(call, calendar, entry))
            if len(found) > size:
                break
    return {"has_more": len(found) > size, "items": found[:size]}


def _meets(call: Call, calendar: Calendar, entry: Entry, start: int, end: int) -> bool:
    if not entry.event.recurrence:
        return entry.event.span.overlaps(start, end)
    return any(occurrences(entry, calendar, start, end, call.world.switches))


# -- tokens --------------------------------------------------------------------------------------


def _mint(call: Call, calendar: Calendar, kind: str, fields: Json) -> str:
    world = call.world
    who = {"c": calendar.id, "u": call.user.open_id, "e": world.epoch, "t": world.clock.time()}
    return world.cursors.mint(kind, who | fields)


def _token(call: Call, calendar: Calendar, kind: str, text: str) -> Json:
    world = call.world
    token = world.cursors.read(kind, text)
    if token is None:
        raise violation("sync_token" if kind == _SYNC else "page_token", text, "malformed")
    if (token["c"], token["u"]) != (calendar.id, call.user.open_id):
        raise RefusalError(world.switches.foreign_token_code)
    days = world.switches.sync_token_days
    life = days * DAY if kind == _SYNC else world.switches.page_token_seconds
    if token["e"] != world.epoch or world.clock.time() - token["t"] > life:
        raise RefusalError(190008)
    return token


# -- expanded ------------------------------------------------------------------------------------


def instances(call: Call) -> Json:
    """The occurrences of one series within two years, exceptions and removed ones included."""
    calendar = eventful(call, "reader")
    entry = calendar.by_id.get(call.args["event_id"])
    if entry is None or entry.removed:
        raise RefusalError(193001)
    if entry.event.cancelled:
        raise RefusalError(193003)
    if not entry.event.recurrence:
        raise RefusalError(193000, msg="not a recurring event")
    start, end = _range(call, TWO_YEARS, 190002)
    size = call.size(10, 500, 50)
    offset = 0
    if text := call.query.get("page_token"):
        offset = _token(call, calendar, _INSTANCES, text)["n"]
    found = _instances_of(call, calendar, entry, start, end, "all")
    more = offset + size < len(found)
    page = _mint(call, calendar, _INSTANCES, {"n": offset + size}) if more else ""
    return {"has_more": more, "page_token": page, "items": found[offset : offset + size]}


def instance_view(call: Call) -> Json:
    """Everything that happens within 40 days, expanded, without paging."""
    calendar = eventful(call, "reader")
    if calendar.type == "resource":
        raise RefusalError(191004)
    start, end = _range(call, 40 * DAY, 193103)
    found: list[Json] = []
    for entry in calendar.entries:
        if entry.gone:
            continue
        if entry.event.recurrence:
            found += _instances_of(call, calendar, entry, start, end, "rule")
        elif entry.event.span.overlaps(start, end):
            found.append(as_instance(show_event(call, calendar, entry)))
    if len(found) >= 1000:
        raise RefusalError(193104)
    return {"items": sorted(found, key=lambda item: item["event_id"])}


def _range(call: Call, longest: int, code: int) -> tuple[int, int]:
    start, end = call.seconds("start_time"), call.seconds("end_time")
    if start is None or end is None or end <= start:
        raise violation("start_time", start, "start_time before end_time is required")
    if end - start >= longest:
        raise RefusalError(code)
    return start, end


def _instances_of(
    call: Call,
    calendar: Calendar,
    entry: Entry,
    start: int,
    end: int,
    which: Literal["all", "rule"],
) -> list[Json]:
    switches = call.world.switches
    found = [
        (original, show_occurrence(call, calendar, entry, original, span))
        for original, span in occurrences(entry, calendar, start, end, switches)
    ]
    if which == "all":
        for original, event in entry.event.exceptions.items():
            exception = calendar.by_id.get(event.id)
            inside = event.span.overlaps(start, end) or start <= original < end
            if exception is not None and inside:
                found.append((original, as_instance(show_event(call, calendar, exception))))
    return [item for _, item in sorted(found, key=lambda pair: pair[0])]


_E = "calendar/v4/calendars/{calendar_id}/events"
ROUTES = (
    Route("GET", _E, "events.list", list_events, READ),
    Route("GET", f"{_E}/instance_view", "events.instance_view", instance_view, READ),
    Route("GET", f"{_E}/{{event_id}}/instances", "events.instances", instances, READ),
)
