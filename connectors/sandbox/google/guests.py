"""Attendees: copies on the calendars of other users of the sandbox, mails, organizer's rights."""

from typing import Any

from connectors.sandbox.google.errors import forbidden
from connectors.sandbox.google.instances import locate
from connectors.sandbox.google.state import Calendar, Caller, Row, World

OWN = ("reminders", "colorId", "transparency", "privateCopy")
"""What each guest has for himself; `extendedProperties.private` is the other such thing."""


def check_inviting(caller: Caller, fields: dict[str, Any]) -> None:
    """A bare service account may not invite anybody."""
    if fields.get("attendees") and caller.service_account and not caller.delegated:
        raise forbidden(
            "Service accounts cannot invite attendees without Domain-Wide Delegation of Authority.",
            "forbiddenForServiceAccounts",
        )


def organized(row: Row, calendar: Calendar) -> bool:
    """The calendar is the event's organizer, not a guest."""
    return bool(row.organizer.get("email") == calendar.id)


def with_own_answer(
    held: list[dict[str, Any]], written: list[dict[str, Any]], guest: str
) -> list[dict[str, Any]]:
    """The attendees after a write that says it omits some (`attendeesOmitted`, reference of the
    Events resource): nothing but the guest's own answer is taken from it."""
    own = next((line for line in written if line["email"] == guest), {})
    answer = {name: own[name] for name in ("responseStatus", "comment") if name in own}
    return [line | answer if line["email"] == guest else line for line in held]


def shared_view(row: Row, guest: str) -> dict[str, Any]:
    """What all guests share, except the guest's own answer."""
    fields = {name: value for name, value in row.fields.items() if name not in OWN}
    fields["extendedProperties"] = fields.get("extendedProperties", {}).get("shared", {})
    fields["attendees"] = [
        {"email": guest} if entry["email"] == guest else entry
        for entry in fields.get("attendees", [])
    ]
    return fields | {"start": row.start, "end": row.end, "status": row.status}


def spread(world: World, calendar: Calendar, row: Row, old: Row | None) -> None:
    """Carry a change to the copies that other users hold."""
    if row.fields.get("privateCopy"):
        return
    if organized(row, calendar):
        _to_guests(world, calendar, row, old)
    else:
        _to_organizer(world, calendar, row, old)


def notify(
    world: World, caller: Caller, calendar: Calendar, row: Row, old: Row | None, mails: str
) -> None:
    """The mails that the change sends."""
    wanted = "all" if world.switches.none_still_mails else mails
    if wanted == "none" or row.fields.get("privateCopy"):
        return
    why = "cancelled" if row.cancelled else "updated" if old else "invited"
    if not organized(row, calendar):
        world.mail(row.organizer["email"], row.fields.get("summary", ""), "answered")
        return
    emails = set(_emails(row)) | set(_emails(old))
    for email in sorted(emails - {caller.email, calendar.id}):
        if wanted == "all" or email not in world.users:
            world.mail(email, row.fields.get("summary", ""), why)


def drop_exception(world: World, calendar: Calendar, exception: Row) -> None:
    """The guests' series no longer have this occurrence either."""
    for email in _emails(exception) if organized(exception, calendar) else ():
        home = world.calendars.get(email)
        mine = home.rows.get(exception.id) if home and home is not calendar else None
        if home and mine and not mine.dropped:
            home.drop_exception(mine)
            mine.updated, mine.version = exception.updated, exception.version
            home.log.touch(mine.id)


def _emails(row: Row | None) -> list[str]:
    return [guest["email"] for guest in row.fields.get("attendees", [])] if row else []


def _to_guests(world: World, calendar: Calendar, row: Row, old: Row | None) -> None:
    invited = set(_emails(row))
    for email in sorted(invited | set(_emails(old))):
        if email not in world.users or email == calendar.id:
            continue
        home = world.calendars[email]
        status = row.status if email in invited else "cancelled"
        mine = home.rows.get(row.id)
        if mine is None and status == "cancelled" and row.master is None:
            continue
        _store(world, home, row, mine, status)


def _store(world: World, home: Calendar, row: Row, mine: Row | None, status: str) -> None:
    """The guest's copy: what is shared from the organizer, the rest his own."""
    fields = {name: value for name, value in row.fields.items() if name not in OWN}
    kept = mine.fields if mine else {}
    fields |= {name: kept[name] for name in OWN if name in kept}
    properties = {
        "shared": row.fields.get("extendedProperties", {}).get("shared", {}),
        "private": kept.get("extendedProperties", {}).get("private", {}),
    }
    fields["extendedProperties"] = {kind: values for kind, values in properties.items() if values}
    if not fields["extendedProperties"]:
        del fields["extendedProperties"]
    copy = row.copy(fields=fields, status=status, removed_by_person=False)
    if mine:
        copy.version = mine.version
        copy.created = mine.created
        if mine.cancelled and _answer(row, home.id) == "declined" and status != "cancelled":
            copy.status = "cancelled"
    copy.updated = world.millis()
    copy.version = max(2 * copy.updated * 1000, copy.version + 2)
    home.put(copy)
    world.changed(home)


def _answer(row: Row, email: str) -> str:
    return next(
        (g["responseStatus"] for g in row.fields.get("attendees", []) if g["email"] == email), ""
    )


def _to_organizer(world: World, calendar: Calendar, row: Row, old: Row | None) -> None:
    """A guest answered, or removed his copy (which declines)."""
    home = world.calendars.get(row.organizer["email"])
    theirs = locate(world, home, row.id) if home else None
    if home is None or theirs is None or theirs.cancelled:
        return
    answer = "declined" if row.cancelled else _answer(row, calendar.id)
    if not answer or answer == _answer(theirs, calendar.id):
        return
    entries = [
        guest | {"responseStatus": answer} if guest["email"] == calendar.id else guest
        for guest in theirs.fields.get("attendees", [])
    ]
    changed = theirs.copy(stored=True)
    changed.fields["attendees"] = entries
    changed.updated = world.millis()
    changed.version = max(2 * changed.updated * 1000, changed.version + 2)
    home.put(changed)
    world.changed(home)
    _to_guests(world, home, changed, theirs)
