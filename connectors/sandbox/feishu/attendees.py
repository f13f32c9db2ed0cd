"""Attendees: four types, participants' own copies, rooms that answer later.

Source: "Create/List/Delete event attendees" pages.
"""

from typing import Any

from connectors.sandbox.feishu.calls import READ, WRITE, Call, Route
from connectors.sandbox.feishu.content import Json
from connectors.sandbox.feishu.errors import RefusalError, violation, wrong_type
from connectors.sandbox.feishu.events import locate, writable
from connectors.sandbox.feishu.freebusy import busy_spans
from connectors.sandbox.feishu.people import show_attendee, show_attendees, tell
from connectors.sandbox.feishu.state import Attendee, Calendar, Event, User

MAX_PER_CALL, MAX_ROOMS, MAX_DELETED, MAX_TOTAL = 1000, 100, 500, 3000
_ID_FIELD = {
    "user": "user_id",
    "chat": "chat_id",
    "resource": "room_id",
    "third_party": "third_party_email",
}


def list_attendees(call: Call) -> Json:
    """All attendees, page by page; a page size below ten is raised to ten."""
    place = locate(call, "reader")
    if not place.allows("can_see_others", "can_invite_others", "can_modify_event"):
        raise RefusalError(194001)
    size = call.size(10, 100, 20, raise_small=True)
    token = call.query.get("page_token") or "0"
    if not token.isdecimal():
        raise RefusalError(190002)
    offset = int(token)
    people = show_attendees(call, place.entry.event)
    more = offset + size < len(people)
    following = str(offset + size) if more else ""
    return {
        "items": people[offset : offset + size],
        "has_more": more,
        "page_token": following,
    }


def add_attendees(call: Call) -> Json:
    """Invite. The first attendee gives an event without conference setting a Feishu meeting."""
    place = locate(call, "writer")
    if not place.allows("can_invite_others", "can_modify_event"):
        raise RefusalError(194002)
    lines = _lines(call)
    people = [_read(call, line) for line in lines]
    event = writable(call, place).event
    if len(event.attendees) + len(people) > MAX_TOTAL:
        raise violation("attendees", len(people), f"at most {MAX_TOTAL} per event")
    if call.body.get("add_operator_to_attendee") is True:
        people.insert(0, _user_attendee(call.user, "accept"))
    added = [person for person in people if person.id not in event.attendees]
    first = not event.attendees and bool(added)
    quiet = call.body.get("need_notification") is False
    for person in added:
        person.organizer = person.type == "user" and person.target == event.organizer.open_id
        event.attendees[person.id] = person
        _arrive(call, event, person)
        if not quiet or (person.type == "third_party" and _always_mails(call)):
            tell(call, event, person, "invitation")
    if first and not event.content.get("vchat", {}).get("vc_type"):
        meeting = f"https://vc.feishu.cn/j/{call.world.serial():09d}"
        event.content["vchat"] = {"vc_type": "vc", "icon_type": "vc", "meeting_url": meeting}
    call.world.touch_all(event, "update")
    return {"attendees": [show_attendee(call, event.attendees[person.id]) for person in people]}


def _always_mails(call: Call) -> bool:
    return call.world.switches.third_party_mail_always


def _lines(call: Call) -> list[Json]:
    lines = call.body.get("attendees")
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise wrong_type("attendees", lines, "a list of objects is expected")
    rooms = sum(line.get("type") == "resource" for line in lines)
    if not lines or len(lines) > MAX_PER_CALL or rooms > MAX_ROOMS:
        raise violation("attendees", len(lines), f"1 to {MAX_PER_CALL}, {MAX_ROOMS} rooms")
    return lines


def _read(call: Call, line: Json) -> Attendee:
    kind = line.get("type")
    if kind not in _ID_FIELD:
        raise RefusalError(194004)
    target = line.get(_ID_FIELD[kind])
    if not isinstance(target, str) or not target:
        raise violation(_ID_FIELD[kind], target, f"required for type {kind}")
    optional = line.get("is_optional") is True and kind != "resource"
    match kind:
        case "user":
            person = _user_attendee(call.world.user_of_id(call.id_kind, target), "needs_action")
        case "chat":
            chat = call.world.chats.get(target)
            if chat is None:
                raise violation("chat_id", target, "unknown chat")
            person = Attendee(f"chat_{target}", "chat", target, chat.name)
        case "resource":
            room = call.world.rooms.get(target)
            if room is None:
                raise violation("room_id", target, "unknown room")
            if call.caller.kind == "tenant" and not line.get("operate_id"):
                raise violation("operate_id", None, "required with bot identity")
            person = Attendee(f"resource_{target}", "resource", target, room.name)
        case _:
            address = target.lower()
            person = Attendee(f"third_party_{address}", "third_party", address, address)
    person.optional = optional
    return person


def _user_attendee(user: User, rsvp: str) -> Attendee:
    return Attendee(f"user_{user.open_id}", "user", user.open_id, user.name, rsvp=rsvp)


def _calendars_of(call: Call, person: Attendee) -> list[Calendar]:
    """The calendars on which an attendee sees the event."""
    world = call.world
    match person.type:
        case "user":
            return [world.calendars[world.users[person.target].primary]]
        case "chat":
            return [world.calendars[u.primary] for u in world.chats[person.target].members]
        case "resource":
            return [world.calendars[world.rooms[person.target].calendar]]
        case "third_party":
            return []


def _arrive(call: Call, event: Event, person: Attendee) -> None:
    for calendar in _calendars_of(call, person):
        if calendar.id != event.organizer_calendar:
            call.world.show(event, calendar).rsvp = person.rsvp
        elif calendar.id in event.entries:
            event.entries[calendar.id].rsvp = person.rsvp
    if person.type == "resource":
        room = call.world.rooms[person.target]
        delay = call.world.switches.room_reply_seconds
        call.world.later(delay, lambda: _room_answers(call, event, person, room.calendar))


def _room_answers(call: Call, event: Event, person: Attendee, calendar_id: str) -> None:
    """A room takes the first booking of a time and refuses later ones."""
    if event.cancelled or person.id not in event.attendees:
        return
    calendar = call.world.calendars[calendar_id]
    span = event.span
    taken = [
        entry
        for entry, _ in busy_spans(calendar, span.start, span.end, call.world.switches)
        if entry.event is not event and entry.rsvp == "accept"
    ]
    person.rsvp = calendar.by_id[event.id].rsvp = "decline" if taken else "accept"
    call.world.touch_all(event, "rsvp")


def delete_attendees(call: Call) -> Json:
    """Uninvite; for the uninvited it is as if the event had been deleted."""
    place = locate(call, "writer")
    if not place.organized:
        raise RefusalError(194003)
    event = writable(call, place).event
    chosen = _chosen(call)
    if not chosen or len(chosen) > MAX_DELETED:
        raise violation("attendee_ids", len(chosen), f"1 to {MAX_DELETED}")
    for attendee_id in chosen:
        if attendee_id not in event.attendees:
            raise RefusalError(194000)
    quiet = call.body.get("need_notification") is False
    for attendee_id in dict.fromkeys(chosen):
        person = event.attendees.pop(attendee_id)
        _leave(call, event, person)
        if not quiet:
            tell(call, event, person, "no longer invited")
    call.world.touch_all(event, "update")
    return {}


def _chosen(call: Call) -> list[str]:
    chosen = [str(key) for key in call.body.get("attendee_ids") or []]
    lines = call.body.get("delete_ids") or []
    return chosen + [_read(call, {**line, "operate_id": "any"}).id for line in lines]


def _leave(call: Call, event: Event, person: Attendee) -> None:
    for calendar in _calendars_of(call, person):
        entry = event.entries.get(calendar.id)
        if entry is not None and calendar.id != event.organizer_calendar:
            entry.removed = True
            call.world.touch(entry, calendar, "delete")


def chat_members(call: Call) -> Json:
    """The people behind an invited group chat."""
    place = locate(call, "reader")
    event = place.entry.event
    person = event.attendees.get(call.args["attendee_id"])
    if person is None or person.type != "chat":
        raise RefusalError(194000)
    members: list[dict[str, Any]] = [
        {
            "rsvp_status": person.rsvp,
            "is_optional": person.optional,
            "display_name": user.name,
            "open_id": user.open_id,
            "is_organizer": user is event.organizer,
            "is_external": False,
        }
        for user in call.world.chats[person.target].members
    ]
    return {"items": members, "has_more": False, "page_token": ""}


_A = "calendar/v4/calendars/{calendar_id}/events/{event_id}/attendees"
ROUTES = (
    Route("GET", _A, "attendees.list", list_attendees, READ),
    Route("POST", _A, "attendees.create", add_attendees, WRITE),
    Route("POST", f"{_A}/batch_delete", "attendees.batch_delete", delete_attendees, WRITE),
    Route("GET", f"{_A}/{{attendee_id}}/chat_members", "attendees.chat_members", chat_members,
          READ),
)  # fmt: skip
