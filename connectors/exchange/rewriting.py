"""Turning the items of a unit into others.

A series of the bridge's own whose pattern or time changes is made anew beside the old one, which
goes last, so that at every moment one whole making of the unit stands. What a person made, or put
something on, stays the item that it is: it gets the new pattern together with a note of the
exceptions that it is still to get.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from connectors.errors import RejectedError
from connectors.exchange.attachments import spare
from connectors.exchange.client import Wire
from connectors.exchange.comparison import beside, marked_anew, name_of, same_shape, uid_of
from connectors.exchange.edits import Edits, guarded, sure
from connectors.exchange.errors import PROVIDER
from connectors.exchange.exceptions import Exceptions
from connectors.exchange.making import drafts
from connectors.exchange.payloads import TIMES, item_change, new_item, property_update, updates_of
from connectors.exchange.reading import Group, Item, Reader, item_id, several
from mappings import exchange as dialect
from mappings import exchange_units as units
from mappings.exchange_pending import Pending
from mappings.exchange_units import Draft, Mark
from mappings.model import Event, Key

_MOST_PENDING = 30_000
"""Characters of a named property that every server keeps; more is refused, before it is tried."""


class Rewriter:
    """Rewrites the units of one account. Each way tells the moves that Exchange refused."""

    def __init__(self, reader: Reader, edits: Edits, exceptions: Exceptions) -> None:
        self._reader = reader
        self._edits = edits
        self._exceptions = exceptions

    def change(
        self, calendar: str, group: Group, wanted: Sequence[Draft], mails: str
    ) -> frozenset[Key]:
        """From what stands there to what is wanted: what is new first, what goes last. The moves
        that were refused."""
        drafts_ = {name_of(draft.mark): draft for draft in wanted}
        standing = {name_of(item.mark): item for item in group.items}
        gone = [item for name, item in standing.items() if name not in drafts_]
        taken = [
            (item, draft.mark.origin.occurrence)
            for name, draft in drafts_.items()
            if name not in standing and draft.mark.origin and draft.mark.origin.occurrence
            for item in group.items
        ]
        spare(self._reader, gone, taken)
        fresh = [beside(draft) for name, draft in drafts_.items() if name not in standing]
        if fresh:
            group = self._announce(group)
        made = self._insert(calendar, group, fresh, "SendToNone", pending=True)
        refused = set(self._except(made, fresh))
        for item in group.items:
            draft = drafts_.get(name_of(item.mark))
            if draft is not None:
                main = item is group.main
                refused |= self._change_item(item, draft if main else beside(draft), mails)
        self._edits.remove([item.id for item in gone])
        return frozenset(refused)

    def _change_item(self, item: Item, draft: Draft, mails: str) -> frozenset[Key]:
        held = item.held
        same = same_shape(held, draft)
        updates = _updates(item, draft, {} if same else draft.fields)
        if marked_anew(item, draft, same):
            updates |= property_update(units.MARK, draft.mark.write())
        if updates:
            self.note(item, updates, mails)
        if draft.pattern is None or not (
            draft.deletions or draft.overrides or held.event.overrides
        ):
            return frozenset()
        return self._exceptions.change(item.id, draft)

    def rebuild(
        self, calendar: str, group: Group, event: Event, mails: str, apart: frozenset[Key]
    ) -> frozenset[Key]:
        """Make the unit anew beside itself, then let the old one go, its main item first. The
        moves that were refused."""
        planned = drafts(self._reader, event, group.main.generation + 1, uid_of(group), apart)
        spare(self._reader, group.items, _occurrences(group.items))
        if group.main.held.shown.pattern is None:
            group = self._announce(group)
        ids = self._insert(calendar, group, planned, mails)
        refused = self._except(ids, planned)
        self._edits.remove([item.id for item in group.items])
        return refused

    def remake(
        self, calendar: str, group: Group, event: Event, mails: str, apart: frozenset[Key]
    ) -> frozenset[Key]:
        """Give the main item another pattern where it stands; its further items are made anew,
        before the main one says that it has them. The moves that were refused."""
        planned = drafts(self._reader, event, group.main.generation + 1, uid_of(group), apart)
        main, others = planned[0], planned[1:]
        pending = Pending(main.deletions, main.overrides).write()
        if len(pending) > _MOST_PENDING:
            raise _too_much(group.ref)
        spare(self._reader, group.items[1:], _occurrences(group.items))
        if others:
            group = self._announce(group)
        refused = self._except(self._insert(calendar, group, others, mails), others)
        updates = _updates(group.main, main, main.fields)
        updates |= property_update(units.MARK, main.mark.write())
        if main.deletions or main.overrides:
            updates |= property_update(units.PENDING, pending)
        self.note(group.main, updates, mails)
        if main.deletions or main.overrides:
            refused |= self._exceptions.change(group.main.id, main)
        self._edits.remove([item.id for item in group.items[1:]])
        return refused

    def _insert(
        self,
        calendar: str,
        group: Group,
        planned: Sequence[Draft],
        mails: str,
        *,
        pending: bool = False,
    ) -> list[str]:
        """Write further items of a unit; their ids. `pending`: they count at once."""
        wires = [
            new_item(
                draft,
                group.origin,
                group.ref,
                pending=pending and bool(draft.deletions or draft.overrides),
            )
            for draft in planned
        ]
        return [item_id(sure(answer)) for answer in self._edits.insert(calendar, wires, mails)]

    def _except(self, ids: Sequence[str], planned: Sequence[Draft]) -> frozenset[Key]:
        """Write the exceptions of new items; the moves that were refused."""
        written = self._exceptions.write(list(zip(ids, planned, strict=True)))
        for error in written.failed.values():
            raise error
        return written.refused(ids)

    def _announce(self, group: Group) -> Group:
        """Note on the only item of a unit that there will be others: readers who come upon it
        look for these only then."""
        main = group.main
        if several(main.wire):
            return group
        at = self._reader.now()
        zoning = dialect.written_in(main.held.event.when, self._reader.zone)
        mark = main.mark or Mark(generation=0, zoning=zoning, at=at)
        note = property_update(units.MARK, replace(mark, items=2).write())
        noted = replace(main, wire={**main.wire, "ItemId": self.note(main, note)["ItemId"]})
        return replace(group, items=(noted, *group.items[1:]))

    def note(self, item: Item, updates: dict[str, Any], mails: str = "SendToNone") -> Wire:
        """Change an item that was read a moment ago."""
        address = {"ItemId": {"@Id": item.id, "@ChangeKey": item.version}}
        change = item_change(address, updates)
        return guarded(self._edits.update([change], "NeverOverwrite", mails)[0])


def _updates(item: Item, draft: Draft, times: dict[str, Any]) -> dict[str, Any]:
    """The properties of an item that differ, and the times, of which none goes alone."""
    held = item.held
    before = dialect.encode(held.event.details, held.event.when, draft.mark.zoning)
    return updates_of(before, draft.fields) | {name: times[name] for name in TIMES if times}


def _occurrences(items: Sequence[Item]) -> list[tuple[Item, Key]]:
    return [(item, key) for item in items for key in item.occurrences]


def _too_much(ref: str) -> RejectedError:
    return RejectedError(
        f"The series {ref} is a person's own and has too many changed occurrences to be given "
        "another pattern safely. Change its pattern in Outlook.",
        provider=PROVIDER,
        operation="UpdateItem",
        code="too-many-exceptions",
    )
