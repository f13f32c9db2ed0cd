"""Events and listings as the API shows them ("Events" reference): defaults left out."""

import base64
from typing import Any

from connectors.sandbox.google.state import ROLES, Calendar, Caller, Row, World
from connectors.sandbox.google.times import millis_text

ORDER = (
    "summary", "description", "location", "colorId", "creator", "organizer", "start", "end",
    "endTimeUnspecified", "recurrence", "transparency",
    "visibility", "iCalUID", "sequence", "attendees", "attendeesOmitted", "extendedProperties",
    "hangoutLink", "conferenceData", "anyoneCanAddSelf", "guestsCanInviteOthers",
    "guestsCanModify", "guestsCanSeeOtherGuests", "privateCopy", "locked", "reminders", "source",
    "attachments", "workingLocationProperties", "outOfOfficeProperties", "focusTimeProperties",
    "birthdayProperties", "eventType",
)  # fmt: skip
PRIVATE = ("private", "confidential")


class Rendering:
    """How one answer shows events: for whom, in which zone, with how many attendees."""

    def __init__(
        self,
        world: World,
        caller: Caller,
        calendar: Calendar,
        *,
        zone: str | None = None,
        max_attendees: int | None = None,
    ) -> None:
        self._world = world
        self._caller = caller
        self._calendar = calendar
        self._zone = zone
        self._max_attendees = max_attendees
        role = ROLES.index(calendar.roles[caller.email])
        self._sees_nothing = role < ROLES.index("reader")
        self._sees_private = role >= ROLES.index("writer")

    def event(self, row: Row, *, details: bool = True) -> dict[str, Any]:
        """One event. `details` False: cancelled ones show only what is guaranteed."""
        cancelled = row.cancelled or self._calendar.is_deleted(row)
        head: dict[str, Any] = {"kind": "calendar#event", "etag": row.etag, "id": row.id}
        head["status"] = "cancelled" if cancelled else row.status
        if row.master:
            original = row.original
            head["recurringEventId"] = row.master
            head["originalStartTime"] = original and original.render(
                self._offset(row), with_zone=True
            )
        if cancelled and not details:
            return head
        if self._sees_nothing or (self._hides(row)):
            return head | self._times(row) | {"visibility": "private"}
        shown = head | {
            "htmlLink": _link(row, self._calendar),
            "created": millis_text(row.created),
            "updated": millis_text(row.updated),
        }
        body = self._body(row)
        return shown | {name: body[name] for name in ORDER if name in body}

    def _hides(self, row: Row) -> bool:
        return row.fields.get("visibility") in PRIVATE and not self._sees_private

    def _body(self, row: Row) -> dict[str, Any]:
        body = {
            **row.fields,
            **self._times(row),
            "creator": self._person({"email": row.creator}),
            "organizer": self._person(row.organizer),
            "iCalUID": row.uid,
            "sequence": row.sequence,
            "reminders": row.fields.get("reminders", {"useDefault": True}),
            "eventType": row.fields.get("eventType", "default"),
        }
        if attendees := row.fields.get("attendees"):
            shown = [self._attendee(guest, row) for guest in attendees]
            if self._max_attendees is not None and len(shown) > self._max_attendees:
                shown = [guest for guest in shown if guest.get("self")]
                body["attendeesOmitted"] = True
            body["attendees"] = shown
        return body

    def _times(self, row: Row) -> dict[str, Any]:
        offset = self._offset(row)
        return {
            "start": row.start.render(offset, with_zone=True),
            "end": row.end.render(offset, with_zone=True),
        }

    def _offset(self, row: Row) -> str:
        if self._zone:
            return self._zone
        return row.start.zone if self._world.switches.offset_of == "event" else self._calendar.zone

    def _person(self, person: dict[str, Any]) -> dict[str, Any]:
        return person | ({"self": True} if person.get("email") == self._calendar.id else {})

    def _attendee(self, guest: dict[str, Any], row: Row) -> dict[str, Any]:
        flags = {"organizer": True} if guest["email"] == row.organizer.get("email") else {}
        return self._person(guest) | flags


def _link(row: Row, calendar: Calendar) -> str:
    place = calendar.id.replace("group.calendar.google.com", "g").replace("gmail.com", "m")
    eid = base64.urlsafe_b64encode(f"{row.id} {place}".encode()).decode().rstrip("=")
    return f"https://www.google.com/calendar/event?eid={eid}"
