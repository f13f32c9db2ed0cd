"""Creating, changing and deleting units.

A unit is one item, or several where one pattern cannot say what its rule means. Exchange drops
the changed and removed occurrences of a series whose pattern or time changes (MS-OXOCAL
3.1.4.7.3.5), so that nobody changes it without writing them again (`rewriting`). Nobody is mailed
unless guests are being invited.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from connectors.contract import Copy
from connectors.errors import ConflictError, ConnectorError, RejectedError
from connectors.exchange.client import Client, Wire
from connectors.exchange.comparison import (
    alone,
    changed,
    in_place,
    name_of,
    removed,
    same_zones,
    uid_of,
)
from connectors.exchange.edits import Edits, restless, sure
from connectors.exchange.errors import PROVIDER, AbsentError, StaleError
from connectors.exchange.exceptions import Exceptions
from connectors.exchange.making import Maker, drafts, shown
from connectors.exchange.payloads import (
    TIMES,
    Target,
    invitations,
    item_change,
    occurrence_address,
    property_update,
    updates_of,
)
from connectors.exchange.reading import Group, Reader, ref_of
from connectors.exchange.rewriting import Rewriter
from mappings import exchange as dialect
from mappings import exchange_joining as joining
from mappings import exchange_units as units
from mappings.exchange_units import Draft
from mappings.members import is_member
from mappings.model import Event, Key

_TRIES = 4
_STALE = timedelta(minutes=15)
_DAY = timedelta(days=1)


class Writer:
    """Writes the units of one account's calendars."""

    def __init__(self, client: Client, reader: Reader, log: Callable[..., None]) -> None:
        self._reader = reader
        self._log = log
        self._edits = Edits(client)
        self._exceptions = Exceptions(reader, self._edits)
        self._maker = Maker(reader, self._edits, self._exceptions)
        self._rewriter = Rewriter(reader, self._edits, self._exceptions)

    # -- whole units -------------------------------------------------------------------------

    def create(
        self, calendar: str, pairs: Sequence[tuple[Event, str]]
    ) -> list[Copy | ConnectorError]:
        """Make units under their keys, or give those that were already made so.

        For up to `BATCH` of them: one call to look the keys up, one to write, one to read back,
        and a few more for further items and for the exceptions of all of them.
        """
        self._reader.require(calendar)
        results: dict[str, Copy | ConnectorError] = {}
        for key, ref in self.refs(calendar, [key for _event, key in pairs]).items():
            found = self.settled(calendar, ref)
            if found is not None:
                results[key] = self._reader.copy(found)
        making = {key: event for event, key in pairs if key not in results}
        made, refused = self._maker.make(calendar, making)
        refs = {key: ref for key, ref in made.items() if isinstance(ref, str)}
        results |= {key: error for key, error in made.items() if not isinstance(error, str)}
        for key, moves in refused.items():
            try:
                self._detach(calendar, refs[key], making[key], moves)
            except ConnectorError as error:
                results[key] = error
        gathered = self._reader.gathered(calendar, list(refs.values()))
        for key, ref in refs.items():
            if key not in results:
                try:
                    group = self._reader.group(ref, *gathered)
                    results[key] = shown(group, ref, self._reader)
                except ConnectorError as error:
                    results[key] = error
        return [results[key] for _event, key in pairs]

    def _detach(self, calendar: str, ref: str, event: Event, moves: frozenset[Key]) -> None:
        group = self._reader.fetch(calendar, ref)
        if group is not None:
            self._bring(calendar, group, event, "SendToNone", moves)

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """As `Connector.update`. Two calls for a single event; a series is looked at first."""
        self._reader.require(calendar)
        alone_ = [member.id for member in copy.members] == [copy.ref]
        if alone_ and not copy.event.recurring and not event.recurring:
            return self._update_single(calendar, copy, event)
        group = self._expected(calendar, copy)
        now = self._reader.copy(group)
        mails = invitations(now.event.details.attendees, event.details.attendees)
        self._bring(calendar, group, event, mails)
        return self._now(calendar, copy.ref)

    def review(self, calendar: str, copy: Copy) -> Copy:
        """Write the further items of a series that is written a few years ahead only, and note
        when that was done. Make a series anew whose zones our zone data would not choose now. Let
        the others follow where a person changed one of several series."""
        self._reader.require(calendar)
        if not copy.event.recurring:
            return copy
        group = self._expected(calendar, copy)
        if group.planned is None and not group.outdated and not group.uneven:
            return copy
        self._bring(calendar, group, copy.event, "SendToNone")
        self._date(calendar, copy.ref)
        return self._now(calendar, copy.ref)

    def _date(self, calendar: str, ref: str) -> None:
        group = self._reader.fetch(calendar, ref)
        now = self._reader.now()
        if group is None or group.planned is None or now - group.planned < _DAY:
            return
        main = group.main
        if main.mark is not None:
            self._rewriter.note(
                main, property_update(units.MARK, replace(main.mark, at=now).write())
            )

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
            if changed(copy, now):
                raise _conflict(copy.ref, now)
        mark = group.main.mark
        if len(group.items) > 1 and mark is not None:
            doomed = property_update(units.MARK, replace(mark, doomed=True).write())
            self._rewriter.note(group.main, doomed)
        self._remove_group(group)

    def refs(self, calendar: str, keys: Sequence[str]) -> dict[str, str]:
        """The refs of the units that were made with these keys and are alive."""
        found: dict[str, str] = {}
        for wire in self._reader.marked(calendar, units.KEY, keys):
            found.setdefault(units.property_of(wire, units.KEY) or "", ref_of(wire))
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
        if self._exceptions.pin(group.items) or dead or doubles:
            self._edits.remove(dead)
            self._edits.delete(doubles)
            group = self._reader.fetch(calendar, ref)
        if group is not None and any(item.held.pending for item in group.items):
            event = self._reader.copy(group).event
            self._bring(calendar, group, event, "SendToNone")
            group = self._finished(calendar, ref)
        return group

    def _remove_group(self, group: Group) -> None:
        others = [item.id for item in (*group.items[1:], *group.leftovers)]
        self._edits.remove([*others, group.main.id])

    # -- changing ------------------------------------------------------------------------------

    def _update_single(self, calendar: str, copy: Copy, event: Event) -> Copy:
        old, new = copy.event, event
        zone = self._reader.zone
        draft = drafts(self._reader, new, 1, copy.ref)[0]
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

    def _bring(
        self,
        calendar: str,
        group: Group,
        event: Event,
        mails: str,
        refused: frozenset[Key] = frozenset(),
    ) -> None:
        """Bring a unit to what is wanted.

        A move that the server refuses, although by the published rules no neighbour stands in
        its way, is kept as an event of its own, as the plan does with those that cross.
        """
        # Nobody else writes here: what another making has left behind is of a write that broke off.
        self._edits.remove([item.id for item in group.leftovers])
        known: frozenset[Key] = frozenset()
        while True:
            for key in sorted(refused - known):
                self._log("Exchange refuses a move; the occurrence stands alone", key=key)
            known |= refused
            wanted = self._stays(group, event, known)
            if wanted is not None:
                refused = self._rewriter.change(calendar, group, wanted, mails)
            elif group.main.kept:
                refused = self._rewriter.remake(calendar, group, event, mails, known)
            else:
                refused = self._rewriter.rebuild(calendar, group, event, mails, known)
            if not refused:
                break
            if refused <= known:
                raise _immovable(group.ref, min(refused))
            found = self._reader.fetch(calendar, group.ref)
            if found is None:
                raise _conflict(group.ref, None)
            group, mails = found, "SendToNone"

    def _finished(self, calendar: str, ref: str) -> Group | None:
        """The unit after a change that came to its end: no exceptions are pending any more, and
        nothing of another making is left."""
        group = self._reader.fetch(calendar, ref)
        if group is not None and group.leftovers:
            self._edits.remove([item.id for item in group.leftovers])
            group = self._reader.fetch(calendar, ref)
        due = [item for item in group.items if item.held.pending] if group else []
        if not due:
            return group
        forget = property_update(units.PENDING, None)
        addresses = [{"ItemId": {"@Id": item.id, "@ChangeKey": item.version}} for item in due]
        changes = [item_change(address, forget) for address in addresses]
        for answer in self._edits.update(changes, "AlwaysOverwrite"):
            sure(answer)
        return self._reader.fetch(calendar, ref)

    def _stays(
        self, group: Group, event: Event, refused: frozenset[Key]
    ) -> tuple[Draft, ...] | None:
        """What is wanted, if the items that stand there can become it as they are.

        An occurrence that has been removed from a series does not come back without losing all
        others. In a person's own series it is replaced by an event of its own.
        """
        changed_ = {item.key for item in event.overrides if not item.cancelled}
        apart = alone(group) & changed_ | refused
        choices = [apart]
        if group.main.kept:
            choices.append(apart | alone(group) | removed(group, event))
        for each in choices:
            wanted = self._wanted(group, event, each)
            zoned = not group.outdated or same_zones(group, wanted)
            if zoned and in_place(group, wanted):
                return wanted
        return None

    def _wanted(self, group: Group, event: Event, apart: frozenset[Key]) -> tuple[Draft, ...]:
        """The plan, and what stands before it: a window that has moved on leaves the past
        alone."""
        planned = drafts(self._reader, event, group.main.generation, uid_of(group), apart)
        known = {name_of(draft.mark) for draft in planned}
        first = min((each.when.key for each in planned), default=Key(""))
        past = [
            units.standing(event, item.held, mailbox=self._reader.zone)
            for item in group.items
            if name_of(item.mark) not in known and item.held.event.when.key < first
        ]
        return (*planned, *(draft for draft in past if draft is not None))

    # -- looking -------------------------------------------------------------------------------

    def _expected(self, calendar: str, copy: Copy) -> Group:
        """The unit, if it still is what `copy` shows. A new version of the same content (a
        dismissed reminder) is no conflict."""
        group = self.settled(calendar, copy.ref)
        if group is None:
            raise _conflict(copy.ref, None)
        now = self._reader.copy(group)
        if changed(copy, now):
            raise _conflict(copy.ref, now)
        return group

    def _now(self, calendar: str, ref: str) -> Copy:
        return shown(self._finished(calendar, ref), ref, self._reader)

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
            superfluous = {*alone, *joining.planned_deletions(item.held)}
            gone = {each.key for each in shown.event.overrides if each.cancelled}
            found += [
                occurrence_address(target, key)
                for key in sorted(superfluous - gone)
                if is_member(shown.event, key)
            ]
        return found


def _conflict(ref: str, current: Copy | None) -> ConflictError:
    return ConflictError(
        f"The event {ref} was {'changed' if current else 'deleted'} at Exchange meanwhile.",
        current=current,
        provider=PROVIDER,
        operation="UpdateItem",
        code="conflict",
    )


def _immovable(ref: str, key: Key) -> RejectedError:
    return RejectedError(
        f"Exchange refuses to move the occurrence {key} of {ref}. Move it to a day without "
        "another occurrence.",
        provider=PROVIDER,
        operation="UpdateItem",
        code="crossing",
    )
