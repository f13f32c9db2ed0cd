"""The parts of write requests, as plain values."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from connectors.errors import RejectedError
from connectors.exchange.client import Wire
from connectors.exchange.errors import PROVIDER
from connectors.exchange.reading import property_path
from mappings import exchange as dialect
from mappings import exchange_units as units
from mappings.exchange import Shown, Zoning
from mappings.exchange_pending import Pending
from mappings.exchange_units import Draft
from mappings.model import Attendee, Key

TIMES = ("Start", "End", "IsAllDayEvent", "Recurrence", "StartTimeZone", "EndTimeZone")
"""What is only ever written together: a zone alone would move the event."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where occurrences are written: an item, and how it looks."""

    id: str
    version: str
    shown: Shown
    zoning: Zoning


def new_item(draft: Draft, key: str | None, unit: str | None, *, pending: bool = False) -> Wire:
    """A CalendarItem in the schema's order: extended properties stand before the times.

    `key` is the unit's create key, which only the main item bears, so that whoever searches for
    it finds a unit that was written to its end. `unit` is the ref, None if that is the item's id.
    `pending`: it counts at once, and says itself which exceptions it is still to get.
    """
    due = Pending(draft.deletions, draft.overrides).write() if pending else None
    named = {units.KEY: key if draft.mark.main else None, units.UNIT: unit, units.PENDING: due}
    extended = [
        {"ExtendedFieldURI": property_path(name), "Value": value}
        for name, value in (*named.items(), (units.MARK, draft.mark.write()))
        if value is not None
    ]
    wire: Wire = {}
    for name, value in draft.fields.items():
        if name == "Start":
            wire["ExtendedProperty"] = extended
        wire[name] = value
    return wire


def updates_of(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The properties apart from the times that differ; None = to be removed."""
    names = [name for name in after if name not in TIMES]
    return {name: after[name] for name in names if after[name] != before.get(name)}


def property_update(name: str, value: str | None) -> dict[str, Any]:
    """One of our named properties among the updates of an item; None = to be removed."""
    return {f"ExtendedProperty:{name}": value}


def item_change(address: Wire, updates: dict[str, Any]) -> Wire:
    """One ItemChange."""
    lines: Wire = {}
    for name, value in updates.items():
        if name.startswith("ExtendedProperty:"):
            path = {"ExtendedFieldURI": property_path(name.partition(":")[2])}
            item = {"CalendarItem": {"ExtendedProperty": path | {"Value": value}}}
            how, line = ("SetItemField", path | item) if value else ("DeleteItemField", path)
            lines.setdefault(how, []).append(line)
        elif value is None:
            path = {"FieldURI": {"@FieldURI": dialect.uri_of(name)}}
            lines.setdefault("DeleteItemField", []).append(path)
        else:
            path = {"FieldURI": {"@FieldURI": dialect.uri_of(name)}}
            line = path | {"CalendarItem": {name: value}}
            lines.setdefault("SetItemField", []).append(line)
    return address | {"Updates": lines}


def occurrence_address(target: Target, key: Key) -> Wire:
    """How an occurrence is named in requests. Raises `RejectedError` if the series has none."""
    index = units.index_of(target.shown, key)
    if index is None:
        raise RejectedError(
            f"The series has no occurrence {key} at Exchange.",
            provider=PROVIDER,
            operation="UpdateItem",
            code="no-occurrence",
        )
    place = {
        "@RecurringMasterId": target.id,
        "@ChangeKey": target.version,
        "@InstanceIndex": str(index),
    }
    return {"OccurrenceItemId": place}


def guests_of(attendees: Iterable[Attendee]) -> set[str | None]:
    """Their addresses."""
    return {attendee.person.email for attendee in attendees}


def invitations(before: Iterable[Attendee], after: Iterable[Attendee]) -> str:
    """Mail only if the bridge invites or uninvites somebody. A change of an event that has
    guests anyway mails nobody: whom a person invited is that person's to inform."""
    return "SendToNone" if guests_of(before) == guests_of(after) else "SendToAllAndSaveCopy"
