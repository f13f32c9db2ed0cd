"""Reading one unit, and what of it a listing may show."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from connectors.changes import occurrence_part
from connectors.contract import Copy, Member
from connectors.errors import FatalError, RejectedError
from connectors.google.client import Client, Wire
from connectors.google.errors import PROVIDER, AbsentError
from connectors.google.recall import Recall
from mappings import google as dialect
from mappings import recurrence
from mappings.errors import UnmappableError
from mappings.model import Event, Override

PAGE = 2500


def is_series(wire: Wire) -> bool:
    """True for the master of a series."""
    return bool(wire.get("recurrence"))


def single_or_master(wire: Wire, zone: str) -> Copy:
    """The copy that one event resource makes, without exceptions of its own.

    Raises `UnmappableError`.
    """
    return Copy(
        ref=wire["id"],
        event=dialect.decode(wire, zone),
        members=(Member(part="main", id=wire["id"], version=wire.get("etag")),),
        origin=dialect.origin(wire),
        organized=dialect.organized(wire),
        updated=updated_of(wire),
    )


def updated_of(wire: Wire) -> datetime | None:
    """Google's own time of the last change."""
    text = wire.get("updated")
    return datetime.fromisoformat(text) if text else None


def with_exceptions(copy: Copy, exceptions: Iterable[tuple[Override, Member]]) -> Copy:
    """The series together with its exceptions; those that follow the rule anyway fall away."""
    overrides = dict(copy.event.overrides_by_key)
    members = {member.part: member for member in copy.members}
    for override, member in exceptions:
        overrides[override.key] = override
        members[member.part] = member
    event = replace(copy.event, overrides=tuple(overrides[key] for key in sorted(overrides)))
    return replace(
        copy,
        event=recurrence.tidy(event),
        members=tuple(members[part] for part in sorted(members)),
    )


def follows_rule(override: Override, series: Event) -> bool:
    """True if the occurrence is what the rule gives anyway."""
    return not recurrence.tidy(replace(series, overrides=(override,))).overrides


def belongs(wire: Wire, series: Event) -> bool:
    """False for what is left of an exception from before the series became all-day or timed."""
    original = wire.get("originalStartTime") or {}
    return not dialect.is_cancelled(wire) or ("date" in original) == series.when.all_day


def exception(wire: Wire, series: Event) -> tuple[Override, Member]:
    """One exception of a series. Raises `UnmappableError`.

    A removed one has no version: who removes it is not told any.
    """
    override = dialect.decode_override(wire, series.when)
    version = None if override.cancelled else wire.get("etag")
    part = occurrence_part(override.key)
    return override, Member(part=part, id=wire["id"], version=version)


class Reader:
    """Reads the units of one account's calendars."""

    def __init__(self, client: Client, recall: Recall) -> None:
        self._client = client
        self._recall = recall

    def zone(self, calendar: str) -> str:
        """The calendar's own zone, in which Google reads times that name none."""
        known = self._recall.zones.get(calendar)
        return known or self._look_at(calendar)

    def require(self, calendar: str) -> None:
        """Raise `FatalError` if the calendar itself is gone.

        Google says 404 for an event whose calendar is gone, too; taking that for the event's
        deletion would delete its copies.
        """
        self._look_at(calendar)

    def get(self, calendar: str, id_: str) -> Wire | None:
        """One event resource, also a cancelled one; None if there never was one."""
        try:
            return self._client.read("events.get", calendarId=calendar, eventId=id_)
        except AbsentError:
            self.require(calendar)
            return None

    def unit(self, calendar: str, ref: str) -> Copy | None:
        """The unit as it is now, None if it is gone. Costs one call, two for a series."""
        wire = self.get(calendar, ref)
        if wire is None or dialect.is_cancelled(wire):
            return None
        return self.of_wire(calendar, wire)

    def of_wire(self, calendar: str, wire: Wire) -> Copy | None:
        """The unit whose single event or master this is."""
        if is_series(wire):
            return self.series(calendar, wire["id"], wire["iCalUID"])
        return self.copy(wire, self.zone(calendar))

    def series(self, calendar: str, ref: str, uid: str) -> Copy | None:
        """A series with all its exceptions, None if it was deleted. Costs one call.

        All parts of a series share its iCalUID, so one listing brings the master, the moved and
        edited exceptions and the cancelled ones, and no expanded occurrences.
        """
        wires = list(self.listing(calendar, iCalUID=uid, showDeleted=True, maxResults=PAGE))
        master = next((wire for wire in wires if wire["id"] == ref), None)
        if master is None:
            raise _unlisted(ref)
        if dialect.is_cancelled(master):
            return None
        copy = self.copy(master, self.zone(calendar))
        self._recall.series.put((calendar, ref), copy.event)
        parts = [wire for wire in wires if wire.get("recurringEventId") == ref]
        try:
            return with_exceptions(
                copy,
                [exception(wire, copy.event) for wire in parts if belongs(wire, copy.event)],
            )
        except UnmappableError as error:
            raise _unreadable(error) from error

    def series_event(self, calendar: str, ref: str) -> Event | None:
        """The series without its changed occurrences, None if it is not on this calendar.

        One call. Raises `UnmappableError`.
        """
        wire = self.get(calendar, ref)
        if wire is None or dialect.is_cancelled(wire):
            return None
        event = single_or_master(wire, self.zone(calendar)).event
        self._recall.series.put((calendar, ref), event)
        return event

    def copy(self, wire: Wire, zone: str) -> Copy:
        """As `single_or_master`, with a connector's error. Raises `RejectedError`."""
        try:
            return single_or_master(wire, zone)
        except UnmappableError as error:
            raise _unreadable(error) from error

    def listing(self, calendar: str, **parameters: Any) -> Iterator[Wire]:
        """All entries of `events.list`, across its pages. Raises `FatalError` without calendar."""
        page: dict[str, str] = {}
        while True:
            try:
                answer = self._client.read("events.list", calendarId=calendar, **parameters, **page)
            except AbsentError as error:
                raise gone_calendar(calendar, error) from error
            self.note_zone(calendar, answer)
            yield from answer.get("items", ())
            if "nextPageToken" not in answer:
                return
            page = {"pageToken": answer["nextPageToken"]}

    def note_zone(self, calendar: str, answer: Wire) -> str:
        """Remember the zone that a listing names."""
        zone = str(answer.get("timeZone") or "UTC")
        self._recall.zones.put(calendar, zone)
        return zone

    def _look_at(self, calendar: str) -> str:
        try:
            answer = self._client.read(
                "events.list", calendarId=calendar, maxResults=1, fields="timeZone"
            )
        except AbsentError as error:
            raise gone_calendar(calendar, error) from error
        return self.note_zone(calendar, answer)


def gone_calendar(calendar: str, error: AbsentError) -> FatalError:
    """The error for a calendar that no longer answers."""
    return FatalError(
        f"The calendar {calendar} is gone, or the account lost access to it. Nothing is deleted; "
        "share it again or change the link.",
        provider=PROVIDER,
        operation=error.operation,
        code="calendar-gone",
    )


def _unlisted(ref: str) -> RejectedError:
    return RejectedError(
        f"Google shows the series {ref}, but does not list it under its iCalUID.",
        provider=PROVIDER,
        operation="events.list",
        code="unlisted",
    )


def _unreadable(error: UnmappableError) -> RejectedError:
    return RejectedError(
        f"Google shows an event that cannot be understood: {error.detail}",
        provider=PROVIDER,
        operation="events.get",
        code=error.code,
    )
