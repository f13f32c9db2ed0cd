"""Single events: get, create, patch, delete, reply; and how an occurrence becomes an exception.

Source: "Create event", "Update event", "Delete event", "Reply to event" pages.
"""

import re
from dataclasses import dataclass

from connectors.sandbox.feishu.calls import READ, WRITE, Call, Route
from connectors.sandbox.feishu.content import (
    Json,
    read_content,
    show_event,
    show_occurrence,
    split_personal,
)
from connectors.sandbox.feishu.errors import RefusalError, violation
from connectors.sandbox.feishu.expansion import check_rule, is_start
from connectors.sandbox.feishu.listing import eventful
from connectors.sandbox.feishu.people import notify, show_attendees
from connectors.sandbox.feishu.state import PERSONAL, Attendee, Calendar, Entry, Event
from connectors.sandbox.feishu.times import read_span

_EVENT_ID = re.compile(r"(.+)_(\d+)")
_ANSWERS = ("accept", "decline", "tentative")


@dataclass(frozen=True)
class Place:
    """Where an event id points: an entry, or (`implied`) an occurrence that its series implies
    and that has no entry of its own; then `entry` is the series'."""

    calendar: Calendar
    entry: Entry
    original: int
    implied: bool = False

    @property
    def organized(self) -> bool:
        """Whether the event was made on this very calendar."""
        return self.entry.event.organizer_calendar == self.calendar.id

    def allows(self, *abilities: str) -> bool:
        """Whether the caller may, as organizer or by the event's `attendee_ability`."""
        return self.organized or self.entry.event.content.get("attendee_ability") in abilities


def locate(call: Call, role: str) -> Place:
    """The event that the path names. Raises 193000 or 193001."""
    calendar = eventful(call, role)
    event_id = call.args["event_id"]
    match = _EVENT_ID.fullmatch(event_id)
    if match is None:
        raise RefusalError(193000)
    original = int(match[2])
    if entry := calendar.by_id.get(event_id):
        return Place(calendar, entry, original)
    master = calendar.by_id.get(f"{match[1]}_0")
    if master is None or not master.event.recurrence:
        raise RefusalError(193001)
    if master.gone:
        raise RefusalError(193003)
    if not is_start(master.event, original, call.world.switches):
        raise RefusalError(193001)
    return Place(calendar, master, original, implied=True)


def writable(call: Call, place: Place) -> Entry:
    """The entry to write to, made an exception of its own if need be. Raises 193003."""
    if place.entry.gone:
        raise RefusalError(193003)
    if place.implied:
        return materialise(call, place.entry.event, place.original).entries[place.calendar.id]
    return place.entry


def materialise(call: Call, master: Event, original: int) -> Event:
    """Make an occurrence an event of its own, in every calendar that shows the series."""
    world = call.world
    exception = Event(
        uid=master.uid,
        original=original,
        organizer_calendar=master.organizer_calendar,
        organizer=master.organizer,
        span=master.span.moved_to(original),
        created=int(world.clock.time()),
        content=dict(master.content),
        attendees={key: Attendee(**vars(person)) for key, person in master.attendees.items()},
        master=master,
    )
    master.exceptions[original] = exception
    for calendar_id, whole in list(master.entries.items()):
        if not whole.removed:
            entry = world.show(exception, world.calendars[calendar_id], silently=True)
            entry.personal, entry.rsvp = dict(whole.personal), whole.rsvp
    return exception


def get_event(call: Call) -> Json:
    """One event; `need_attendee` adds its attendees."""
    place = locate(call, "free_busy_reader")
    switches, entry = call.world.switches, place.entry
    if place.implied:
        if switches.get_unmaterialised == "not_found":
            raise RefusalError(193001)
        span = entry.event.span.moved_to(place.original)
        return {"event": show_occurrence(call, place.calendar, entry, place.original, span)}
    deleted = entry.removed or (entry.event.cancelled and entry.event.master is None)
    if deleted and switches.get_deleted == "refused":
        raise RefusalError(193003)
    shown = show_event(call, place.calendar, entry)
    if call.flag("need_attendee", default=False):
        limit = min(int(call.query.get("max_attendee_num") or 10), 100)
        people = show_attendees(call, entry.event)
        shown |= {"attendees": people[:limit], "has_more_attendee": len(people) > limit}
    return {"event": shown}


def create_event(call: Call) -> Json:
    """A new event without attendees; the same key gives the first one again."""
    calendar = eventful(call, "writer")
    if calendar.type not in ("primary", "shared"):
        raise RefusalError(191004)
    key = call.query.get("idempotency_key")
    if key is not None and not 32 <= len(key) <= 128:
        raise violation("idempotency_key", key, "32 to 128 characters")
    if key and (known := _known(call, calendar, key)):
        return {"event": show_event(call, calendar, known)}
    event, personal = _new_event(call, calendar)
    entry = call.world.show(event, calendar, silently=True)
    entry.personal = personal
    call.world.touch(entry, calendar, "create")
    if key:
        calendar.keys[call.caller.app.id, key] = event.id
    return {"event": show_event(call, calendar, entry)}


def _known(call: Call, calendar: Calendar, key: str) -> Entry | None:
    event_id = calendar.keys.get((call.caller.app.id, key))
    entry = calendar.by_id.get(event_id) if event_id else None
    if entry and entry.gone and call.world.switches.key_of_deleted_event == "new":
        return None
    return entry


def _new_event(call: Call, calendar: Calendar) -> tuple[Event, Json]:
    world, body = call.world, call.body
    for name in ("start_time", "end_time"):
        if body.get(name) is None:
            raise violation(name, None, "required")
    fields = read_content(body, world.switches)
    personal: Json = {}
    for name in ("color", "reminders"):
        if name in fields:
            personal[name] = fields.pop(name)
    rule = body.get("recurrence") or ""
    event = Event(
        uid=f"{world.hex(32)}-{world.hex(16)}-{world.hex(16)}-{world.hex(16)}-{world.hex(48)}",
        original=0,
        organizer_calendar=calendar.id,
        organizer=calendar.owner,
        span=read_span(body["start_time"], body["end_time"], world.switches),
        created=int(world.clock.time()),
        content=fields,
        recurrence=check_rule(rule, world.switches) if rule else "",
    )
    return event, personal


def patch_event(call: Call) -> Json:
    """Change the given fields; times only if both are given."""
    place = locate(call, "writer")
    if place.entry.gone:
        raise RefusalError(193003)
    fields = read_content(call.body, call.world.switches)
    shared, personal = split_personal(fields)
    _check_rights(call, place, shared)
    start, end = call.body.get("start_time"), call.body.get("end_time")
    span = read_span(start, end, call.world.switches) if start and end else None
    rule = _new_rule(call, place)
    if shared.get("location") == {} and call.world.switches.location_clear == "refused":
        raise violation("location", {}, "name is required")
    entry = writable(call, place)
    event = entry.event
    _write_shared(call, event, shared)
    if span is not None:
        moved = span.start != event.span.start
        event.span = span
        if moved and call.world.switches.master_move_drops_exceptions:
            cancel_exceptions(call, event)
    if rule is not None:
        event.recurrence = rule
    entry.personal |= personal
    if personal and not (shared or span or rule is not None or place.implied):
        call.world.touch(entry, place.calendar, "update")
    else:
        call.world.touch_all(event, "update")
    if shared or span or rule is not None:
        notify(call, event, "event changed")
    return {"event": show_event(call, place.calendar, entry)}


def _check_rights(call: Call, place: Place, shared: Json) -> None:
    others = {"start_time", "end_time", "recurrence"} & {k for k, v in call.body.items() if v}
    if (shared or others) and not place.allows("can_modify_event"):
        raise RefusalError(193002, msg=f"participants may change only {', '.join(PERSONAL)}")


def _new_rule(call: Call, place: Place) -> str | None:
    """The rule to set, None to leave it alone."""
    text = call.body.get("recurrence")
    if text is None or (text == "" and call.world.switches.empty_recurrence == "ignored"):
        return None
    if text and (place.implied or place.entry.event.master is not None):
        raise violation("recurrence", text, "an exception has no recurrence")
    return check_rule(text, call.world.switches) if text else ""


def _write_shared(call: Call, event: Event, shared: Json) -> None:
    switches = call.world.switches
    for name, value in shared.items():
        if value == "" and not switches.empty_string_clears:
            continue
        if name == "location" and not value:
            if switches.location_clear == "cleared":
                event.content.pop("location", None)
            continue
        event.content[name] = value


def delete_event(call: Call) -> Json:
    """Delete an event, or remove one occurrence, which leaves a cancelled exception behind."""
    place = locate(call, "writer")
    if place.entry.gone:
        raise RefusalError(193003)
    if not place.organized:
        raise RefusalError(193002, msg="only the organizer may delete")
    event = writable(call, place).event
    event.status = "cancelled"
    call.world.touch_all(event, "delete")
    if call.world.switches.cascade:
        cancel_exceptions(call, event)
    notify(call, event, "event deleted", wanted=call.flag("need_notification", default=True))
    return {}


def cancel_exceptions(call: Call, master: Event) -> None:
    """Take the exceptions of a series away."""
    for exception in master.exceptions.values():
        if not exception.cancelled:
            exception.status = "cancelled"
            call.world.touch_all(exception, "delete")


def reply(call: Call) -> Json:
    """The caller's own answer to an invitation."""
    place = locate(call, "writer")
    answer = call.body.get("rsvp_status")
    if answer not in _ANSWERS:
        raise violation("rsvp_status", answer, f"one of {', '.join(_ANSWERS)}")
    entry = writable(call, place)
    own = entry.event.attendees.get(f"user_{call.user.open_id}")
    if own is None or place.calendar.owner is not call.user:
        raise RefusalError(193002, msg="not an attendee")
    own.rsvp = entry.rsvp = answer
    call.world.touch_all(entry.event, "rsvp")
    return {}


_E = "calendar/v4/calendars/{calendar_id}/events"
ROUTES = (
    Route("POST", _E, "events.create", create_event, WRITE),
    Route("GET", f"{_E}/{{event_id}}", "events.get", get_event, READ),
    Route("PATCH", f"{_E}/{{event_id}}", "events.patch", patch_event, WRITE),
    Route("DELETE", f"{_E}/{{event_id}}", "events.delete", delete_event, WRITE),
    Route("POST", f"{_E}/{{event_id}}/reply", "events.reply", reply, WRITE),
)
