"""A person at the web interface: the same code path as the API, without its rates."""

import re
from datetime import timedelta
from typing import Any

from connectors.sandbox.google import writing
from connectors.sandbox.google.errors import not_found
from connectors.sandbox.google.instances import locate
from connectors.sandbox.google.rendering import Rendering
from connectors.sandbox.google.state import Caller, Row, World, base_of
from connectors.sandbox.google.writing import Write, raw_fields


class Person:
    """One user in front of the calendar. Answers are events as the API would show them."""

    def __init__(self, world: World, email: str) -> None:
        self._world = world
        self._caller = Caller(email=world.users[email.lower()].email, person=True)

    def create(self, calendar: str, body: dict[str, Any], *, mails: str = "none") -> dict[str, Any]:
        """Make an event."""
        write = self._write(calendar, mails)
        return self._shown(write, writing.insert(write, body))

    def change(
        self, calendar: str, event: str, fields: dict[str, Any], *, mails: str = "none"
    ) -> dict[str, Any]:
        """Change some fields of an event, of a series or (by its id) of one occurrence."""
        write = self._write(calendar, mails)
        return self._shown(write, writing.patch(write, event, fields))

    def remove(self, calendar: str, event: str, *, mails: str = "none") -> None:
        """Delete an event, a series or one occurrence."""
        writing.delete(self._write(calendar, mails), event)

    def get(self, calendar: str, event: str) -> dict[str, Any]:
        """Look at an event."""
        write = self._write(calendar)
        row = locate(self._world, write.calendar, event)
        if row is None:
            raise not_found()
        return self._shown(write, row)

    def respond(self, calendar: str, event: str, answer: str, *, mails: str = "none") -> None:
        """Answer an invitation: accepted, declined, tentative."""
        write = self._write(calendar, mails)
        row = locate(self._world, write.calendar, event)
        if row is None:
            raise not_found()
        entries = [
            guest | ({"responseStatus": answer} if guest["email"] == self._caller.email else {})
            for guest in row.fields.get("attendees", [])
        ]
        writing.patch(write, event, {"attendees": entries})

    def move(self, calendar: str, event: str, destination: str) -> None:
        """Hand an event to another calendar."""
        write = self._write(calendar)
        target = self._write(destination).calendar
        writing.move(write, event, target)

    def split(self, calendar: str, occurrence: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Change "this and following": the old series ends before the occurrence, a new one
        `<base>_R<pivot>` begins with it. The new series."""
        write = self._write(calendar)
        pivot = locate(self._world, write.calendar, occurrence)
        if pivot is None or pivot.master is None or pivot.original is None:
            raise not_found()
        master = write.calendar.rows[pivot.master]
        before = list(self._world.series(master).between(None, pivot.original.order))
        body = raw_fields(master) | {
            "start": pivot.original.raw(),
            "end": pivot.original.plus(master.end.order - master.start.order).raw(),
            "recurrence": [_remaining(line, len(before)) for line in master.recurrence],
        }
        writing.patch(write, master.id, {"recurrence": _ended(master, pivot)})
        mark = (
            f"{pivot.original.wall:%Y%m%d}"
            if pivot.original.all_day
            else (f"{pivot.original.wall:%Y%m%dT%H%M%S}")
        )
        row = writing.insert_following(write, f"{base_of(master.id)}_R{mark}", body)
        return self.change(calendar, row.id, fields) if fields else self._shown(write, row)

    def _write(self, calendar: str, mails: str = "none") -> Write:
        found = self._world.resolve(self._caller, calendar)
        self._world.require(self._caller, found, "writerWithoutPrivateAccess")
        return Write(self._world, self._caller, found, mails)

    def _shown(self, write: Write, row: Row) -> dict[str, Any]:
        return Rendering(self._world, self._caller, write.calendar).event(row)


def _ended(master: Row, pivot: Row) -> list[str]:
    """The master's lines, its rules ending just before the pivot."""
    original = pivot.original
    assert original is not None
    if original.all_day:
        until = f"{original.order - timedelta(days=1):%Y%m%d}"
    else:
        until = f"{original.order - timedelta(seconds=1):%Y%m%dT%H%M%SZ}"
    lines = []
    for line in master.recurrence:
        if line.upper().startswith("RRULE"):
            bare = re.sub(r";?(COUNT|UNTIL)=[^;]*", "", line, flags=re.IGNORECASE)
            lines.append(f"{bare.rstrip(';')};UNTIL={until}")
        else:
            lines.append(line)
    return lines


def _remaining(line: str, gone: int) -> str:
    """A rule counting on from the pivot."""
    return re.sub(
        r"COUNT=(\d+)", lambda m: f"COUNT={max(1, int(m[1]) - gone)}", line, flags=re.IGNORECASE
    )
