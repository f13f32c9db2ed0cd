"""events.insert, import, update, patch, delete, move: the rules of changing events."""

from dataclasses import dataclass
from typing import Any

from connectors.sandbox.google import guests
from connectors.sandbox.google.errors import (
    ApiError,
    deleted,
    duplicate,
    forbidden,
    invalid,
    non_organizer,
    not_found,
    precondition_failed,
    required,
)
from connectors.sandbox.google.instances import locate
from connectors.sandbox.google.state import Calendar, Caller, Row, World
from connectors.sandbox.google.validation import (
    check_event_type,
    check_id,
    merged,
    normalized,
    without_nulls,
)

UID_DOMAIN = "@google.com"
BASE32HEX = "0123456789abcdefghijklmnopqrstuv"


@dataclass(frozen=True)
class Write:
    """One write: who, where, whom to mail (`all`, `externalOnly`, `none`), under which version.

    `keeps` are fields of the stored event that this request cannot touch.
    """

    world: World
    caller: Caller
    calendar: Calendar
    mails: str = "none"
    if_match: str | None = None
    keeps: tuple[str, ...] = ()


def insert(write: Write, body: Any) -> Row:
    """A new event. 409 if its id or UID is taken, even by something deleted."""
    body = without_nulls(body)
    calendar = write.calendar
    if "id" in body:
        check_id(body["id"])
        if body["id"] in calendar.rows:
            raise duplicate()
    if calendar.by_uid.get(body.get("iCalUID", "")):
        raise duplicate()
    row = _made(write, body)
    row.organizer = _own_organizer(write)
    check_event_type(row.fields, row.start, primary=calendar.primary)
    return _commit(write, row, None)


def insert_following(write: Write, event_id: str, body: dict[str, Any]) -> Row:
    """The second half of a split series, with the id that the web interface gives it."""
    row = _made(write, without_nulls(body) | {"id": event_id})
    row.organizer = _own_organizer(write)
    return _commit(write, row, None)


def import_(write: Write, body: Any) -> Row:
    """A private copy of somebody's event; the same UID again updates it. Mails nobody."""
    body = without_nulls(body)
    uid = body.get("iCalUID")
    if not isinstance(uid, str) or not uid:
        raise required("Missing iCalUID.")
    if body.pop("eventType", "default") != "default":
        body = {name: body[name] for name in body if not name.endswith("Properties")}
    known = [write.calendar.rows[name] for name in write.calendar.by_uid.get(uid, ())]
    old = next((row for row in known if row.master is None), None)
    if old is None:
        row = _made(write, body | {"id": _imported_id(uid)})
    else:
        if old.cancelled and not write.world.switches.import_revives:
            raise duplicate()
        row = _rewritten(write, old, body)
    organizer = body.get("organizer", {})
    row.organizer = _own_organizer(write)
    row.fields.pop("privateCopy", None)
    if organizer.get("email") and organizer["email"].lower() != row.organizer["email"]:
        named = {"displayName": organizer["displayName"]} if organizer.get("displayName") else {}
        row.organizer = {"email": organizer["email"].lower()} | named
        row.fields["privateCopy"] = True
    return _commit(write, row, old)


def update(write: Write, event_id: str, body: Any) -> Row:
    """Replace the whole event (PUT)."""
    return _change(write, event_id, without_nulls(body), whole=True)


def patch(write: Write, event_id: str, body: Any) -> Row:
    """Change the given fields (PATCH): null deletes, arrays are replaced whole."""
    if not isinstance(body, dict):
        raise invalid("Parse Error")
    return _change(write, event_id, body, whole=False)


def delete(write: Write, event_id: str) -> None:
    """Cancel the event or occurrence. 410 if that was done before."""
    old = _located(write, event_id)
    if write.calendar.is_deleted(old) or old.cancelled:
        raise deleted()
    _check_version(write, old)
    _commit(write, old.copy(status="cancelled", stored=True), old)


def move(write: Write, event_id: str, destination: Calendar) -> Row:
    """Hand the event to another calendar, which becomes its organizer."""
    old = _located(write, event_id)
    if old.master or old.fields.get("eventType") or not guests.organized(old, write.calendar):
        raise forbidden("This event cannot be moved.", "cannotMove")
    there = destination.rows.get(old.id)
    if there is not None and not destination.is_deleted(there):
        raise duplicate()
    target = Write(write.world, write.caller, destination, write.mails)
    row = old.copy()
    row.organizer = _own_organizer(target)
    kept = [exception.copy() for exception in write.calendar.exceptions_of(old.id)]
    _commit(write, old.copy(status="cancelled"), old)
    for exception in kept:
        destination.put(exception.copy(organizer=row.organizer))
    return _commit(target, row, there)


def _change(write: Write, event_id: str, body: dict[str, Any], *, whole: bool) -> Row:
    old = _located(write, event_id)
    _check_version(write, old)
    restorable = write.caller.person or write.world.switches.revive_after_ui_delete
    if old.removed_by_person and not restorable:
        raise forbidden()
    if write.calendar.is_deleted(old) and old.master:
        raise forbidden()
    complete = body if whole else merged(raw_fields(old), body)
    return _commit(write, _rewritten(write, old, complete), old)


def _located(write: Write, event_id: str) -> Row:
    row = locate(write.world, write.calendar, event_id)
    if row is None:
        raise not_found()
    write.world.require(write.caller, write.calendar, "writerWithoutPrivateAccess")
    hidden = row.fields.get("visibility") in ("private", "confidential")
    if hidden:
        write.world.require(write.caller, write.calendar, "writer")
    return row


def _check_version(write: Write, row: Row) -> None:
    if write.if_match not in (None, "*", row.etag):
        raise precondition_failed()


def raw_fields(row: Row) -> dict[str, Any]:
    """The stored event as a client would send it."""
    fields = dict(row.fields)
    return fields | {
        "start": row.start.raw(),
        "end": row.end.raw(),
        "status": row.status,
        "reminders": fields.get("reminders", {"useDefault": True}),
    }


def _made(write: Write, body: dict[str, Any]) -> Row:
    world, calendar = write.world, write.calendar
    fields, start, end, status = normalized(body, calendar.zone, world.reading)
    event_id = body.get("id") or world.new_id()
    return Row(
        id=event_id,
        uid=body.get("iCalUID") or event_id + UID_DOMAIN,
        fields=fields,
        start=start,
        end=end,
        status=status,
        creator=write.caller.email,
        organizer={},
        sequence=int(body.get("sequence") or 0),
    )


def _rewritten(write: Write, old: Row, body: dict[str, Any]) -> Row:
    world, calendar = write.world, write.calendar
    if old.master and body.get("recurrence"):
        raise invalid("Recurring event instances cannot have recurrence.")
    fields, start, end, status = normalized(
        body, calendar.zone, world.reading, exception=old.master is not None
    )
    if body.get("attendeesOmitted"):
        fields["attendees"] = guests.with_own_answer(
            old.fields.get("attendees", []), fields.get("attendees", []), write.calendar.id
        )
    for name in write.keeps:
        fields.pop(name, None)
        if name in old.fields:
            fields[name] = old.fields[name]
    if fields.get("eventType", "default") != old.fields.get("eventType", "default"):
        if "eventType" in body:
            raise ApiError(
                400, "eventTypeRestriction", "The event type cannot be changed.", domain="calendar"
            )
        fields["eventType"] = old.fields["eventType"]
    if "privateCopy" in old.fields:
        fields["privateCopy"] = True
    sequence = body.get("sequence")
    if isinstance(sequence, int) and sequence < old.sequence:
        raise invalid(
            "Invalid sequence value. The specified sequence number is below the current sequence "
            "number of the resource. Re-fetch the resource and use its sequence number on the "
            "following request."
        )
    kept = (start, end, tuple(fields.get("recurrence", ()))) == (old.start, old.end, old.recurrence)
    floor = old.sequence if kept else old.sequence + 1
    return old.copy(
        fields=fields,
        start=start,
        end=end,
        status=status,
        sequence=max(floor, sequence) if isinstance(sequence, int) else floor,
        stored=True,
    )


def _commit(write: Write, row: Row, old: Row | None) -> Row:
    """Stamp, store and spread a change. `old` is the event as it was (maybe a virtual one)."""
    world, calendar = write.world, write.calendar
    if old is not None:
        _guard_shared(write, row, old)
    if old is None or row.fields.get("attendees") != old.fields.get("attendees"):
        guests.check_inviting(write.caller, row.fields)
    if not row.cancelled:
        row.removed_by_person = False
    elif write.caller.person and row.master is None and not (old and old.cancelled):
        row.removed_by_person = True
    if old is not None and old.stored and row == old and not world.switches.noop_write_touches:
        return old
    stamp(world, row, old)
    calendar.put(row)
    if old is not None and row.master is None:
        _revise_exceptions(write, row, old)
    world.changed(calendar)
    guests.spread(write.world, calendar, row, old)
    guests.notify(write.world, write.caller, calendar, row, old, write.mails)
    return row


def stamp(world: World, row: Row, old: Row | None) -> None:
    """New version and times. A change of mere reminders leaves `updated` alone."""
    now = world.millis()
    if not row.created:
        row.created = now // 1000 * 1000
    only_reminders = old is not None and old.stored and _only_reminders(row, old)
    if not only_reminders:
        row.updated = now
    row.version = max(2 * row.updated * 1000, row.version + 2)


def _only_reminders(row: Row, old: Row) -> bool:
    rest = {**row.fields, "reminders": old.fields.get("reminders")}
    before = {**old.fields, "reminders": old.fields.get("reminders")}
    changed = row.fields.get("reminders") != old.fields.get("reminders")
    same = (row.start, row.end, row.status) == (old.start, old.end, old.status)
    return changed and same and rest == before


def _guard_shared(write: Write, row: Row, old: Row) -> None:
    """On somebody else's event only one's own view may change."""
    if guests.organized(old, write.calendar) or row.fields.get("privateCopy"):
        return
    if row.cancelled and not old.cancelled:
        return
    if old.fields.get("guestsCanModify"):
        return
    if guests.shared_view(row, write.calendar.id) != guests.shared_view(old, write.calendar.id):
        raise non_organizer()


def _revise_exceptions(write: Write, row: Row, old: Row) -> None:
    """Exceptions after a change of the series' time or rule, or after its deletion."""
    world, calendar = write.world, write.calendar
    exceptions = calendar.exceptions_of(row.id)
    if row.cancelled and not old.cancelled:
        if world.switches.master_delete_lists_exceptions:
            for exception in exceptions:
                calendar.log.touch(exception.id)
        return
    same = (row.start, row.end, row.recurrence) == (old.start, old.end, old.recurrence)
    mode = world.switches.exceptions_on_time_change
    if same or (mode == "keep_all" and row.recurrence):
        return
    for exception in exceptions:
        original = exception.original
        on_rule = row.recurrence and original and world.series(row).holds(original)
        if mode == "drop_all" or not on_rule:
            calendar.drop_exception(exception)
            stamp(world, exception, exception)
            calendar.log.touch(exception.id)
            guests.drop_exception(world, calendar, exception)


def _own_organizer(write: Write) -> dict[str, Any]:
    calendar = write.calendar
    named = {} if calendar.primary else {"displayName": calendar.summary}
    return {"email": calendar.id} | named


def _imported_id(uid: str) -> str:
    """`x` for `x@google.com`; otherwise `_` and the UID in base32hex without padding."""
    stem = uid.removesuffix(UID_DOMAIN)
    if stem != uid:
        return stem
    bits = "".join(f"{byte:08b}" for byte in uid.encode())
    bits += "0" * (-len(bits) % 5)
    return "_" + "".join(BASE32HEX[int(bits[at : at + 5], 2)] for at in range(0, len(bits), 5))
