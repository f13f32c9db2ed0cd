"""Reading units: an item is asked for by id, the further items of a unit by its name."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from connectors.changes import occurrence_part
from connectors.contract import Copy, Member
from connectors.errors import ConnectorError, FatalError, RejectedError
from connectors.exchange.client import Answer, Client, Wire, item_of
from connectors.exchange.errors import PROVIDER, AbsentError
from connectors.exchange.recall import Recall
from mappings import exchange as dialect
from mappings import exchange_joining as joining
from mappings import exchange_units as units
from mappings.errors import UnmappableError
from mappings.exchange import Zoning, many
from mappings.exchange_pending import Pending
from mappings.exchange_units import Held, Mark
from mappings.model import Key

BATCH = 50
"""Items in one GetItem. More would hold up the server's other work ("EWS throttling")."""
_CONDITIONS = 50
_PAGE = 250
_KEY = re.compile("[0-9a-f]{32,64}")
"""The ref of a unit that was made as several items: its create key, which is no item's id."""


def item_id(wire: Mapping[str, Any]) -> str:
    """The ItemId of an item."""
    return str(wire["ItemId"]["@Id"])


def version_of(wire: Mapping[str, Any]) -> str:
    """The ChangeKey of an item."""
    return str(wire["ItemId"].get("@ChangeKey", ""))


def property_path(name: str) -> Wire:
    """The path to one of our named properties."""
    return {
        "@PropertySetId": units.PROPERTY_SET,
        "@PropertyName": name,
        "@PropertyType": "String",
    }


SHAPE: Wire = {
    "BaseShape": "IdOnly",
    "BodyType": "HTML",
    "AdditionalProperties": {
        "FieldURI": [{"@FieldURI": uri} for uri in dialect.ITEM_FIELDS],
        "ExtendedFieldURI": [
            property_path(name) for name in (units.KEY, units.UNIT, units.MARK, units.PENDING)
        ],
    },
}


@dataclass(frozen=True, slots=True)
class Item:
    """One stored item of a unit with its changed occurrences."""

    wire: Wire
    held: Held
    occurrences: Mapping[Key, Wire]

    @property
    def id(self) -> str:
        """Its ItemId."""
        return item_id(self.wire)

    @property
    def version(self) -> str:
        """Its ChangeKey."""
        return version_of(self.wire)

    @property
    def mark(self) -> Mark | None:
        """What the bridge wrote on it."""
        return self.held.mark

    @property
    def generation(self) -> int:
        """Which making of the unit it belongs to; what people made is older than all."""
        return self.mark.generation if self.mark else 0

    @property
    def kept(self) -> bool:
        """True if a person made it, or put something on it that another item would not have."""
        wire = self.wire
        ours = units.property_of(wire, units.KEY) or units.property_of(wire, units.UNIT)
        return not ours or dialect.flag(wire, "HasAttachments") or "Categories" in wire

    @property
    def part(self) -> str:
        """Its place in the unit."""
        return units.part_of(self.mark)


@dataclass(frozen=True, slots=True)
class Group:
    """All items of a unit. `items` are what it consists of, the main one first; `leftovers` are
    those of another making, which a broken-off write has left behind."""

    ref: str
    items: tuple[Item, ...]
    leftovers: tuple[Item, ...] = field(default=())

    @property
    def main(self) -> Item:
        """The item that the unit's details are read from."""
        return self.items[0]

    @property
    def doomed(self) -> bool:
        """True if the bridge has begun to delete the unit."""
        return any(item.mark.doomed for item in self.items if item.mark)

    @property
    def origin(self) -> str | None:
        """The create key."""
        keys = (units.property_of(item.wire, units.KEY) for item in self.items)
        named = self.ref if _KEY.fullmatch(self.ref) else None
        return next((key for key in keys if key), named)

    @property
    def outdated(self) -> bool:
        """True if its zones were chosen by other zone data than ours."""
        return units.outdated([item.mark for item in self.items if item.mark])

    @property
    def planned(self) -> datetime | None:
        """When a series that can only be written some years ahead was last continued; None for
        every other unit."""
        marks = [item.mark for item in self.items if item.mark]
        return max(mark.at for mark in marks) if joining.continued_every(marks) else None

    @property
    def uneven(self) -> bool:
        """True if a person has changed details of some of its series only."""
        return joining.uneven([item.held for item in self.items])

    @property
    def _updated(self) -> datetime | None:
        times = [dialect.updated(item.wire) for item in self.items]
        return max((time for time in times if time), default=None)

    @property
    def _extend_at(self) -> datetime | None:
        if self.uneven:
            return self._updated
        every = joining.continued_every([item.mark for item in self.items if item.mark])
        return self.planned + every if self.planned and every else None

    def copy(self) -> Copy:
        """The unit as one event. Raises `UnmappableError`."""
        event = joining.assembled([item.held for item in self.items])
        members = [
            Member(part=item.part if number else units.MAIN, id=item.id, version=item.version)
            for number, item in enumerate(self.items)
        ]
        for item in self.items:
            for key, wire in item.occurrences.items():
                part = occurrence_part(key)
                members.append(Member(part=part, id=item_id(wire), version=version_of(wire)))
        return Copy(
            ref=self.ref,
            event=event,
            members=tuple(sorted(members, key=lambda member: member.part)),
            origin=self.origin,
            organized=dialect.organized(self.main.wire),
            updated=self._updated,
            extend_at=self._extend_at,
        )


class Reader:
    """Reads the units of one account's calendars."""

    def __init__(
        self, client: Client, recall: Recall, zone: str, now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._recall = recall
        self.zone = zone
        self.now = now

    def require(self, calendar: str) -> None:
        """Raise `FatalError` if there is no such calendar; asked once."""
        if self._recall.calendars.get(calendar):
            return
        content = {
            "FolderShape": {"BaseShape": "IdOnly"},
            "FolderIds": {"FolderId": {"@Id": calendar}},
        }
        try:
            self._client.one("GetFolder", content)
        except AbsentError as error:
            raise gone_calendar(calendar, error) from error
        self._recall.calendars.put(calendar, True)

    def items(self, ids: Sequence[str]) -> dict[str, Answer]:
        """The items with these ids, each as it is or as the error that it ended in."""
        found: dict[str, Answer] = {}
        for batch in batches(ids, BATCH):
            content = {"ItemShape": SHAPE, "ItemIds": {"ItemId": [{"@Id": id_} for id_ in batch]}}
            answers = self._client.call("GetItem", content)
            for id_, answer in zip(batch, answers, strict=True):
                found[id_] = answer if isinstance(answer, ConnectorError) else item_of(answer)
        return found

    def attached(self, ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """The names of the files and items that are attached to each of these."""
        shape = {
            "BaseShape": "IdOnly",
            "AdditionalProperties": {"FieldURI": {"@FieldURI": "item:Attachments"}},
        }
        content = {"ItemShape": shape, "ItemIds": {"ItemId": [{"@Id": id_} for id_ in ids]}}
        found = {}
        for id_, answer in zip(ids, self._client.call("GetItem", content), strict=True):
            listed = item_of(_raised(answer)).get("Attachments")
            lines = [*many(listed, "FileAttachment"), *many(listed, "ItemAttachment")]
            found[id_] = frozenset(dialect.text(line, "Name") for line in lines)
        return found

    def at(self, addresses: Sequence[Wire]) -> list[Wire]:
        """The occurrences with these addresses (`OccurrenceItemId`), in order."""
        found: list[Wire] = []
        for batch in batches(addresses, BATCH):
            ids = [address["OccurrenceItemId"] for address in batch]
            content = {"ItemShape": SHAPE, "ItemIds": {"OccurrenceItemId": ids}}
            found += [item_of(_raised(each)) for each in self._client.call("GetItem", content)]
        return found

    def marked(self, calendar: str, name: str, values: Sequence[str]) -> list[Wire]:
        """The items whose named property has one of these values: their ids and properties."""
        found: list[Wire] = []
        for batch in batches(values, _CONDITIONS):
            conditions = [
                {
                    "ExtendedFieldURI": property_path(name),
                    "FieldURIOrConstant": {"Constant": {"@Value": value}},
                }
                for value in batch
            ]
            found += self._search(calendar, conditions)
        return found

    def _search(self, calendar: str, conditions: list[Wire]) -> Iterator[Wire]:
        equal: Wire = {"IsEqualTo": conditions}
        offset = 0
        while True:
            content = {
                "@Traversal": "Shallow",
                "ItemShape": {
                    "BaseShape": "IdOnly",
                    "AdditionalProperties": {
                        # Not the mark: a search cuts texts after 255 characters ("FindItem").
                        "ExtendedFieldURI": [property_path(units.KEY), property_path(units.UNIT)]
                    },
                },
                "IndexedPageItemView": {
                    "@MaxEntriesReturned": str(_PAGE),
                    "@Offset": str(offset),
                    "@BasePoint": "Beginning",
                },
                "Restriction": equal if len(conditions) == 1 else {"Or": equal},
                "ParentFolderIds": {"FolderId": {"@Id": calendar}},
            }
            answer = self._client.one("FindItem", content)
            root = answer["RootFolder"]
            found = many(root.get("Items"), "CalendarItem")
            yield from found
            offset += len(found)
            if not found or root.get("@IncludesLastItemInRange") == "true":
                return

    # -- units ---------------------------------------------------------------------------------

    def fetch(self, calendar: str, ref: str) -> Group | None:
        """The unit as it is now, None if it is gone. Raises `RejectedError` if it cannot be
        read."""
        self.require(calendar)
        return self.group(ref, *self.gathered(calendar, [ref]))

    def gathered(
        self, calendar: str, refs: Sequence[str]
    ) -> tuple[dict[str, list[Wire]], dict[str, Answer]]:
        """All items of these units, by ref, and the changed occurrences of all, by id."""
        found: dict[str, list[Wire]] = {ref: [] for ref in refs}
        ids = [ref for ref in refs if not _KEY.fullmatch(ref)]
        for ref, answer in self.items(ids).items():
            if not _absent(answer):
                found[ref].append(_raised(answer))
        # The search also tells an absent item from one whose calendar is gone.
        named = [ref for ref, wires in found.items() if not wires or _may_have_more(wires[0])]
        further: dict[str, str] = {}
        for wire in self.marked(calendar, units.UNIT, named):
            further[item_id(wire)] = units.property_of(wire, units.UNIT) or ""
        for id_ in found.keys() & further.keys():
            del further[id_]
        for id_, answer in self.items(list(further)).items():
            if not _absent(answer):
                found[further[id_]].append(_raised(answer))
        return found, self.occurrences(wire for wires in found.values() for wire in wires)

    def group(
        self, ref: str, found: Mapping[str, Sequence[Wire]], changed: Mapping[str, Answer]
    ) -> Group | None:
        """One of the units that were gathered. Raises `RejectedError` if it cannot be read."""
        try:
            return self.grouped(ref, found[ref], changed)
        except UnmappableError as error:
            raise unreadable(error) from error

    def copy(self, group: Group) -> Copy:
        """The unit as one event. Raises `RejectedError` if it cannot be understood."""
        try:
            return group.copy()
        except UnmappableError as error:
            raise unreadable(error) from error

    def grouped(
        self, ref: str, wires: Sequence[Wire], changed: Mapping[str, Answer]
    ) -> Group | None:
        """As `group`, with the dialect's own error."""
        items = [self._item(wire, changed) for wire in wires if not dialect.is_cancelled(wire)]
        if not items:
            return None
        makings = {item.generation for item in items}
        whole = {item.generation for item in items if item.mark is None or item.mark.main}
        current = min(whole or makings)
        mine: dict[str, Item] = {}
        for item in sorted(items, key=lambda each: (each.id != ref, _created(each.wire), each.id)):
            if item.generation == current:
                mine.setdefault(item.part, item)
        ordered = sorted(mine.values(), key=lambda each: (each.part != units.MAIN, each.part))
        left = [item for item in items if item.generation != current]
        return Group(ref, tuple(ordered), tuple(left))

    def occurrences(self, wires: Iterable[Wire]) -> dict[str, Answer]:
        """The changed occurrences of these series."""
        ids = [
            item_id(line)
            for wire in wires
            for line in many(wire.get("ModifiedOccurrences"), "Occurrence")
        ]
        return self.items(ids)

    def _item(self, wire: Wire, changed: Mapping[str, Answer]) -> Item:
        text = units.property_of(wire, units.MARK)
        mark = Mark.read(text, self.zone) if text else None
        zoning = mark.zoning if mark else Zoning(mailbox=self.zone)
        shown = dialect.decode(wire, zoning)
        overrides, occurrences = [], {}
        series = units.held(shown, mark, ())
        for id_ in shown.changed:
            answer = changed.get(id_)
            if answer is None or _absent(answer):
                continue
            found = _raised(answer)
            override = joining.as_meant(dialect.decode_override(found, shown, zoning), series)
            overrides.append(override)
            if not override.cancelled:
                occurrences[override.key] = found
        pending = units.property_of(wire, units.PENDING)
        held = units.held(shown, mark, overrides, Pending.read(pending) if pending else None)
        return Item(wire, held, dict(sorted(occurrences.items())))


def ref_of(wire: Wire) -> str:
    """The ref of the unit that an item belongs to."""
    return units.property_of(wire, units.UNIT) or item_id(wire)


def several(wire: Wire) -> bool:
    """True if the item's unit may consist of further items."""
    if units.property_of(wire, units.UNIT):
        return True
    text = units.property_of(wire, units.MARK)
    mark = Mark.read(text, "UTC") if text else None
    return mark is not None and mark.items > 1


def _may_have_more(wire: Wire) -> bool:
    return several(wire) or bool(wire.get("Recurrence"))


def batches(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """The values in lists of at most `size`."""
    rest = iter(values)
    while batch := list(islice(rest, size)):
        yield batch


def gone_calendar(calendar: str, error: ConnectorError) -> FatalError:
    """The error for a calendar that no longer answers."""
    return FatalError(
        f"The calendar {calendar} is gone, or the login lost access to it. Nothing is deleted; "
        "share it again or change the link.",
        provider=PROVIDER,
        operation=error.operation,
        code="calendar-gone",
    )


def unreadable(error: UnmappableError) -> RejectedError:
    """The error for a unit that cannot be understood."""
    return RejectedError(
        f"Exchange shows an event that cannot be understood: {error.detail}",
        provider=PROVIDER,
        operation="GetItem",
        code=error.code,
    )


def _absent(answer: Answer) -> bool:
    return isinstance(answer, AbsentError)


def _raised(answer: Answer) -> Wire:
    if isinstance(answer, ConnectorError):
        raise answer
    return answer


def _created(wire: Wire) -> str:
    return dialect.text(wire, "DateTimeCreated")
