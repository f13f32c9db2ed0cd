"""Creating, changing and deleting units.

A unit is one item, or several where one pattern cannot say what its rule means. Exchange drops
the changed and removed occurrences of a series whose pattern or time changes (MS-OXOCAL
3.1.4.7.3.5); such a series is made anew beside the old one, which goes last, so that at every
moment one whole making of the unit stands. Nobody is mailed unless guests are being invited.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from connectors.contract import Copy
from connectors.errors import ConflictError, ConnectorError, RejectedError, RetryableError
from connectors.exchange.client import Client, Wire
from connectors.exchange.edits import Edits, guarded, restless, sure
from connectors.exchange.errors import PROVIDER, AbsentError, StaleError
from connectors.exchange.exceptions import Exceptions
from connectors.exchange.payloads import (
    TIMES,
    Target,
    guests_of,
    invitations,
    item_change,
    new_item,
    occurrence_address,
    property_update,
    updates_of,
)
from connectors.exchange.reading import (
    Group,
    Item,
    Reader,
    item_id,
    ref_of,
    several,
)
from mappings import exchange as dialect
from mappings import exchange_units as units
from mappings.errors import UnmappableError
from mappings.exchange_recurrence import alike
from mappings.exchange_units import Draft, Held, Mark
from mappings.members import is_member
from mappings.model import Event

_TRIES = 4
_STALE = timedelta(minutes=15)
_DAY = timedelta(days=1)
_WHOLE = "MAIN"
"""The name of the one item that stands for a whole rule."""


class Writer:
    """Writes the units of one account's calendars."""

    def __init__(self, client: Client, reader: Reader) -> None:
        self._reader = reader
        self._edits = Edits(client)
        self._exceptions = Exceptions(reader, self._edits)

    # -- whole units -------------------------------------------------------------------------

    def create(
        self, calendar: str, pairs: Sequence[tuple[Event, str]]
    ) -> list[Copy | ConnectorError]:
        """Make units under their keys, or give those that were already made so.

        For up to `BATCH` of them: one call to look the keys up, one to write, one to read back,
        and more only for further items and for exceptions.
        """
        self._reader.require(calendar)
        results: dict[str, Copy | ConnectorError] = {}
        for key, ref in self.refs(calendar, [key for _event, key in pairs]).items():
            found = self.settled(calendar, ref)
            if found is not None:
                results[key] = self._reader.copy(found)
        making = {key: event for event, key in pairs if key not in results}
        results |= self._make(calendar, making)
        return [results[key] for _event, key in pairs]

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """As `Connector.update`. Two calls for a single event; a series is looked at first."""
        self._reader.require(calendar)
        alone = [member.id for member in copy.members] == [copy.ref]
        if alone and not copy.event.recurring and not event.recurring:
            return self._update_single(calendar, copy, event)
        group = self._expected(calendar, copy)
        now = self._reader.copy(group)
        wanted = self._wanted(group, event)
        mails = invitations(now.event.details.attendees, event.details.attendees)
        if self._in_place(group, wanted):
            self._change(calendar, group, wanted, mails)
        else:
            self._rebuild(calendar, group, event, mails)
        return self._now(calendar, copy.ref)

    def review(self, calendar: str, copy: Copy) -> Copy:
        """Write the further items of a series that is written a few years ahead only, and note
        when that was done. Make a series anew whose zones our zone data would not choose now."""
        self._reader.require(calendar)
        if not copy.event.recurring:
            return copy
        group = self._expected(calendar, copy)
        if group.planned is None and not group.outdated:
            return copy
        wanted = self._wanted(group, copy.event)
        if group.outdated and not _same_zones(group, wanted):
            self._rebuild(calendar, group, copy.event, "SendToNone")
        elif self._in_place(group, wanted):
            self._change(calendar, group, wanted, "SendToNone")
        self._date(calendar, copy.ref)
        return self._now(calendar, copy.ref)

    def _date(self, calendar: str, ref: str) -> None:
        group = self._reader.fetch(calendar, ref)
        now = self._reader.now()
        if group is None or group.planned is None or now - group.planned < _DAY:
            return
        main = group.main
        if main.mark is not None:
            note = property_update(units.MARK, replace(main.mark, at=now).write())
            address = {"ItemId": {"@Id": main.id, "@ChangeKey": main.version}}
            guarded(self._edits.update([item_change(address, note)], "NeverOverwrite")[0])

    def delete(self, calendar: str, copy: Copy) -> None:
        """As `Connector.delete`: into the Deleted Items. One call to look, one to delete.

        Of a unit of several items the main one is marked first and goes last, so that whoever
        finds the rest knows that it is to go, too.
        """
        self._reader.require(calendar)
        group = self.settled(calendar, copy.ref)
        if group is None:
            return
        if copy.version() is not None:
            now = self._reader.copy(group)
            if _changed(copy, now):
                raise _conflict(copy.ref, now)
        mark = group.main.mark
        if len(group.items) > 1 and mark is not None:
            doomed = property_update(units.MARK, replace(mark, doomed=True).write())
            address = {"ItemId": {"@Id": group.main.id, "@ChangeKey": group.main.version}}
            guarded(self._edits.update([item_change(address, doomed)], "NeverOverwrite")[0])
        self._remove_group(group)

    def refs(self, calendar: str, keys: Sequence[str]) -> dict[str, str]:
        """The refs of the units that were made with these keys and are alive."""
        found: dict[str, str] = {}
        for wire in self._reader.marked(calendar, units.KEY, keys):
            mark = Mark.read(units.property_of(wire, units.MARK) or "", self._reader.zone)
            if mark is None or mark.main:
                key = units.property_of(wire, units.KEY) or ""
                found.setdefault(key, ref_of(wire))
        return found

    def settled(self, calendar: str, ref: str) -> Group | None:
        """The unit, after what a broken-off write has left of it was put right."""
        group = self._reader.fetch(calendar, ref)
        if group is None:
            return None
        if group.doomed:
            self._remove_group(group)
            return None
        late = self._reader.now() - _STALE
        dead = [
            item.id
            for item in group.leftovers
            if item.generation < group.main.generation
            or (dialect.updated(item.wire) or late) <= late
        ]
        doubles = self._doubles(group)
        if not dead and not doubles:
            return group
        self._edits.remove(dead)
        self._edits.delete(doubles)
        return self._reader.fetch(calendar, ref)

    def _remove_group(self, group: Group) -> None:
        others = [item.id for item in (*group.items[1:], *group.leftovers)]
        self._edits.remove([*others, group.main.id])

    # -- creating ------------------------------------------------------------------------------

    def _make(self, calendar: str, making: dict[str, Event]) -> dict[str, Copy | ConnectorError]:
        results: dict[str, Copy | ConnectorError] = {}
        plans: dict[str, tuple[Draft, ...]] = {}
        for key, event in making.items():
            try:
                plans[key] = self._drafts(event, 1, key)
            except RejectedError as error:
                results[key] = error
        self._clear(calendar, [key for key, drafts in plans.items() if len(drafts) > 1])
        loud = [key for key in plans if guests_of(making[key].details.attendees)]
        quiet = [key for key in plans if key not in loud]
        made: dict[str, str] = {}
        for keys, mails in ((quiet, "SendToNone"), (loud, "SendToAllAndSaveCopy")):
            for key, written in self._put(calendar, {key: plans[key] for key in keys}, mails):
                if isinstance(written, ConnectorError):
                    results[key] = written
                else:
                    made[key] = written
        found, changed = self._reader.gathered(calendar, list(made.values()))
        for key, ref in made.items():
            try:
                results[key] = _copy(self._reader.group(ref, found, changed), ref, self._reader)
            except ConnectorError as error:
                results[key] = error
        return results

    def _clear(self, calendar: str, keys: Sequence[str]) -> None:
        """Take away what a creation that broke off before its main item has left behind."""
        orphans = self._reader.marked(calendar, units.UNIT, keys) if keys else []
        self._edits.remove([item_id(wire) for wire in orphans])

    def _put(
        self, calendar: str, plans: dict[str, tuple[Draft, ...]], mails: str
    ) -> Iterator[tuple[str, str | ConnectorError]]:
        """Write new units; the ref of each, or why there is none. A unit of one item is named by
        that item, others by their key; the main item comes last."""
        wires: list[Wire] = []
        for key, drafts in plans.items():
            marks = {units.KEY: key} | ({units.UNIT: key} if len(drafts) > 1 else {})
            wires += [new_item(draft, marks) for draft in reversed(drafts)]
        answers = iter(self._edits.insert(calendar, wires, mails))
        for key, drafts in plans.items():
            own = [next(answers) for _draft in drafts]
            try:
                ids = [item_id(sure(answer)) for answer in reversed(own)]
                self._exceptions.write(list(zip(ids, drafts, strict=True)))
            except ConnectorError as error:
                yield key, error
            else:
                yield key, key if len(drafts) > 1 else ids[0]

    # -- changing ------------------------------------------------------------------------------

    def _update_single(self, calendar: str, copy: Copy, event: Event) -> Copy:
        old, new = copy.event, event
        zone = self._reader.zone
        draft = self._drafts(new, 1, copy.ref)[0]
        before = dialect.encode(old.details, old.when, dialect.written_in(old.when, zone))
        updates = updates_of(before, draft.fields)
        if old.when != new.when:
            updates |= {name: draft.fields[name] for name in TIMES if draft.fields[name]}
            if copy.origin is not None:
                updates |= property_update(units.MARK, draft.mark.write())
        mails = invitations(old.details.attendees, new.details.attendees)
        version = copy.version()
        for _ in range(_TRIES):
            change = item_change({"ItemId": {"@Id": copy.ref, "@ChangeKey": version}}, updates)
            try:
                sure(self._edits.update([change], "NeverOverwrite", mails)[0])
            except (StaleError, AbsentError):
                now = self._reader.fetch(calendar, copy.ref)
                found = self._reader.copy(now) if now else None
                if found is None or found.event != copy.event:
                    raise _conflict(copy.ref, found) from None
                version = found.version()
                continue
            return self._now(calendar, copy.ref)
        raise restless(copy.ref)

    def _wanted(self, group: Group, event: Event) -> tuple[Draft, ...]:
        """The plan, and the single events before it: a window that has moved on leaves the past
        alone."""
        planned = self._drafts(event, group.main.generation, _uid(group))
        origins = [draft.mark.origin for draft in planned]
        first = min((o.occurrence or o.first.key for o in origins if o), default="")
        known = {_name(draft.mark) for draft in planned}
        past = [
            units.standing(event, item.mark, mailbox=self._reader.zone, now=self._reader.now())
            for item in group.items
            if item.mark and item.mark.origin and _name(item.mark) not in known
            if (item.mark.origin.occurrence or first) < first
        ]
        return (*planned, *(draft for draft in past if draft is not None))

    def _in_place(self, group: Group, wanted: Sequence[Draft]) -> bool:
        """True if no series loses exceptions, no removed occurrence has to come back, and no
        rule that takes several items changes."""
        drafts = {_name(draft.mark): draft for draft in wanted}
        items = {_name(item.mark): item for item in group.items}
        many = len(items) > 1 or len(drafts) > 1
        for part in items.keys() | drafts.keys():
            item, draft = items.get(part), drafts.get(part)
            if item is None or draft is None:
                shape = item.held.shown.pattern if item else draft and draft.pattern
                if shape is not None or item is group.main:
                    return False
                continue
            same = _same_shape(item.held, draft)
            if many and not (same and _same_rule(item, draft)):
                return False
            if draft.pattern is None or item.held.shown.pattern is None:
                continue
            gone = {each.key for each in item.held.shown.event.overrides}
            if gone - set(draft.deletions) if same else item.held.event.overrides:
                return False
        return True

    def _change(self, calendar: str, group: Group, wanted: Sequence[Draft], mails: str) -> None:
        """From what stands there to what is wanted: what is new first, what goes last."""
        fresh = {_name(draft.mark) for draft in wanted} - {_name(item.mark) for item in group.items}
        if fresh:
            group = self._announce(group)
        marks = {units.UNIT: group.ref} | ({units.KEY: group.origin} if group.origin else {})
        drafts = {_name(draft.mark): draft for draft in wanted}
        new = [new_item(_beside(draft), marks) for name, draft in drafts.items() if name in fresh]
        for answer in self._edits.insert(calendar, new):
            sure(answer)
        for item in group.items:
            draft = drafts.get(_name(item.mark))
            if draft is not None:
                main = item is group.main
                self._change_item(item, draft if main else _beside(draft), mails)
        gone = [item for item in group.items if _name(item.mark) not in drafts]
        self._edits.remove([item.id for item in gone])

    def _change_item(self, item: Item, draft: Draft, mails: str) -> None:
        held = item.held
        before = dialect.encode(held.event.details, held.event.when, draft.mark.zoning)
        updates = updates_of(before, draft.fields)
        same = _same_shape(held, draft)
        if not same:
            updates |= {name: draft.fields[name] for name in TIMES}
        if _marked_anew(item, draft, same):
            updates |= property_update(units.MARK, draft.mark.write())
        if updates:
            key = {"ItemId": {"@Id": item.id, "@ChangeKey": item.version}}
            guarded(self._edits.update([item_change(key, updates)], "NeverOverwrite", mails)[0])
        if draft.pattern is None or not (
            draft.deletions or draft.overrides or held.event.overrides
        ):
            return
        self._exceptions.change(item.id, draft)

    def _rebuild(self, calendar: str, group: Group, event: Event, mails: str) -> None:
        """Make the unit anew beside itself, then let the old one go, its main item first."""
        if group.main.held.shown.pattern is None:
            group = self._announce(group)
        self._edits.remove([item.id for item in group.leftovers])
        drafts = self._drafts(event, group.main.generation + 1, _uid(group))
        marks = {units.UNIT: group.ref} | ({units.KEY: group.origin} if group.origin else {})
        wires = [new_item(draft, marks) for draft in drafts]
        ids = [item_id(sure(answer)) for answer in self._edits.insert(calendar, wires, mails)]
        self._exceptions.write(list(zip(ids, drafts, strict=True)))
        self._edits.remove([item.id for item in group.items])

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
        address = {"ItemId": {"@Id": main.id, "@ChangeKey": main.version}}
        answer = guarded(self._edits.update([item_change(address, note)], "NeverOverwrite")[0])
        noted = replace(main, wire={**main.wire, "ItemId": answer["ItemId"]})
        return replace(group, items=(noted, *group.items[1:]))

    # -- looking -------------------------------------------------------------------------------

    def _expected(self, calendar: str, copy: Copy) -> Group:
        """The unit, if it still is what `copy` shows. A new version of the same content (a
        dismissed reminder) is no conflict."""
        group = self.settled(calendar, copy.ref)
        if group is None:
            raise _conflict(copy.ref, None)
        now = self._reader.copy(group)
        if _changed(copy, now):
            raise _conflict(copy.ref, now)
        return group

    def _now(self, calendar: str, ref: str) -> Copy:
        group = self._reader.fetch(calendar, ref)
        return _copy(group, ref, self._reader)

    def _drafts(self, event: Event, generation: int, uid: str) -> tuple[Draft, ...]:
        try:
            return units.drafts(
                event,
                mailbox=self._reader.zone,
                now=self._reader.now(),
                generation=max(1, generation),
                uid=uid,
            )
        except UnmappableError as error:
            raise RejectedError(
                f"Exchange cannot hold this series: {error.detail}",
                provider=PROVIDER,
                operation="CreateItem",
                code=error.code,
            ) from error

    def _doubles(self, group: Group) -> list[Wire]:
        """Occurrences that stand alone by now and whose place in the series is still taken, and
        those that the plan of the rule leaves out of the series."""
        found: list[Wire] = []
        origins = [item.mark.origin for item in group.items if item.mark]
        alone = {origin.occurrence for origin in origins if origin and origin.occurrence}
        for item in group.items:
            shown = item.held.shown
            if shown.pattern is None or item.mark is None:
                continue
            target = Target(item.id, item.version, shown, item.mark.zoning)
            superfluous = {*alone, *units.planned_deletions(item.held)}
            gone = {each.key for each in shown.event.overrides if each.cancelled}
            found += [
                occurrence_address(target, key)
                for key in sorted(superfluous - gone)
                if is_member(shown.event, key)
            ]
        return found


def _uid(group: Group) -> str:
    """What the marks of the unit's items call it."""
    mark = group.main.mark
    return mark.origin.uid if mark and mark.origin else group.ref


def _name(mark: Mark | None) -> str:
    """What the plan calls an item; a unit of one item needs no name."""
    return mark.origin.part if mark and mark.origin else _WHOLE


def _beside(draft: Draft) -> Draft:
    """A further item of a unit that has its main one."""
    return replace(draft, mark=replace(draft.mark, main=False))


def _same_shape(held: Held, draft: Draft) -> bool:
    """True if time and pattern stay."""
    shown = held.shown
    if (shown.pattern is None) != (draft.pattern is None) or held.event.when != draft.when:
        return False
    if shown.pattern is None or draft.pattern is None:
        return True
    return alike(shown.pattern, draft.pattern) and shown.bounds == draft.bounds


def _same_zones(group: Group, wanted: Sequence[Draft]) -> bool:
    """True if what stands there was written in the zones that are wanted."""
    zoned = {_name(draft.mark): draft.mark.zoning for draft in wanted}
    return all(
        (zoning := zoned.get(_name(item.mark))) is None or zoning == item.mark.zoning
        for item in group.items
        if item.mark
    )


def _same_rule(item: Item, draft: Draft) -> bool:
    """True if both stand for the same rule, or a person's own series goes on as it is."""
    old, new = item.mark.origin if item.mark else None, draft.mark.origin
    if old is None or new is None:
        return item.mark is None
    return (old.rule, old.first, old.rdates) == (new.rule, new.first, new.rdates)


def _marked_anew(item: Item, draft: Draft, same: bool) -> bool:
    """True if the item's mark has to be written: a person's own item gets one only where it has
    others beside it, or another pattern."""
    if item.mark is None:
        return draft.mark.items > 1 or not same
    new = replace(draft.mark, main=item.mark.main, at=item.mark.at)
    if item.mark.items > 1 and (new.items > 1 or not new.main):
        new = replace(new, items=item.mark.items)  # how many others there are is found anyway
    return item.mark != new


def _copy(group: Group | None, ref: str, reader: Reader) -> Copy:
    if group is None:
        raise RetryableError(
            f"The event {ref} was written, but Exchange does not show it.",
            provider=PROVIDER,
            operation="GetItem",
            code="not-shown",
        )
    return reader.copy(group)


def _changed(copy: Copy, now: Copy) -> bool:
    """True if the unit is no longer what the copy shows."""
    return copy.members != now.members and copy.event != now.event


def _conflict(ref: str, current: Copy | None) -> ConflictError:
    return ConflictError(
        f"The event {ref} was {'changed' if current else 'deleted'} at Exchange meanwhile.",
        current=current,
        provider=PROVIDER,
        operation="UpdateItem",
        code="conflict",
    )
