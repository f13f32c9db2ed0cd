"""Who is that? New events of a pass that are not new: known under another id, doubled, or the same
as one of the other side.

Providers give an event another id when it is moved, duplicate the bridge's mark together with an
event, and put a meeting into both calendars when both were invited.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from bridge.breaker import blaming
from bridge.completion import Completion
from bridge.decision import GONE, Action, Decision, Seen
from bridge.names import is_meeting, meeting_names
from bridge.pairing import Stranger, Strangers
from bridge.records import Link, Op, Side, Unit, UnitState
from bridge.sights import Sights
from bridge.store import Store
from bridge.task import Task
from connectors.contract import Copy
from mappings import identity, merge

CHUNK = 500
"""Events looked up together."""


class Recognition:
    """For one link, over one pass in which both sides were read.

    `alive` asks a side whether it really has the event of that ref. `later` holds what was seen
    of units that a task of `settle` is about; it has to be judged once that has been carried out.
    """

    def __init__(
        self,
        store: Store,
        link: Link,
        alive: Callable[[Side, str], bool],
        completions: Mapping[Side, Completion],
    ) -> None:
        self._store = store
        self._link = link
        self._alive = alive
        self._completions = completions
        self.later: dict[str, dict[Side, Seen]] = {}

    def settle(self, sights: Sights) -> Iterator[Task]:
        """Put together in `sights` what belongs together; what has to be done beyond deciding
        each unit comes out as tasks, to be carried out first."""
        for side in Side:
            self._returned(sights, side)
            self._marked(sights, side)
        yield from self._paired(sights)
        for side in Side:
            yield from self._invited(sights, side)

    def _returned(self, sights: Sights, side: Side) -> None:
        """Events that left under one id and came back under another one in the same pass."""
        by_name: dict[str, Unit] = {}
        for unit in sights.gone(side):
            copy = unit.copy(side)
            assert copy is not None
            for name in (copy.origin, copy.event.uid):
                if name:
                    by_name[name] = unit
        for stranger in sights.strangers(side) if by_name else ():
            copy = stranger.copy
            back = by_name.get(copy.origin or "") or by_name.get(copy.event.uid or "")
            found = sights.get(back.id) if back is not None else None
            if back is None or (copy.event.uid not in by_name and not _alike(back, side, copy)):
                continue
            if found is not None and found[1][side] is GONE:
                sights.add(back, side, copy)
                sights.drop(stranger.unit.id)

    def _marked(self, sights: Sights, side: Side) -> None:
        """A copy of ours that a person duplicated, split off, moved here from another calendar or
        took out of the bin carries our mark too; what it shows is the person's. One that stands
        at the very same times as ours may be a double that we made, and is not copied further."""
        marked = [each for each in sights.strangers(side) if each.copy.origin]
        if not marked:
            return
        origins = {each.copy.origin or "" for each in marked}
        known = self._store.units_by_name(self._link.id, side, origins)
        made = self._made(side) if origins - known.keys() else {}
        for stranger in marked:
            mark, copy = stranger.copy.origin or "", stranger.copy
            owners = [(unit, at) for unit in known.get(mark, ()) if (at := unit.copy(side))]
            times = [merge.schedule(at.event) for _unit, at in owners]
            if mark not in known and mark in made:
                lost = self._store.unit(self._link.id, made[mark])
                if lost is not None and lost.copy(side) is None:
                    sights.add(lost, side, copy)
                    sights.drop(stranger.unit.id)
                elif lost is None and self._alive(side, copy.ref):
                    sights.add(stranger.unit, side, replace(copy, origin=None))
            elif times and merge.schedule(copy.event) not in times:
                sights.add(stranger.unit, side, replace(copy, origin=None))
            elif len(owners) == 1 and self._renamed(side, owners[0][1].ref, copy.ref):
                if _alike(owners[0][0], side, copy):
                    sights.add(owners[0][0], side, copy)
                    sights.drop(stranger.unit.id)
                else:
                    sights.add(stranger.unit, side, replace(copy, origin=None))

    def _renamed(self, side: Side, old: str, new: str) -> bool:
        """Whether an event stands under another id although nobody has said that it left."""
        return old != new and not self._alive(side, old) and self._alive(side, new)

    def _made(self, side: Side) -> dict[str, str]:
        """The marks of all copies that this installation ever made, except for those that another
        link looks after in this very calendar; with the id of the unit, if it lives on this link
        and side, else an empty one."""
        here, found = self._link.endpoint(side), dict[str, str]()
        for link in self._store.links():
            own = link.id == self._link.id
            made_on = [each for each in Side if link.endpoint(each) != here or own]
            for unit_id, generation, state in self._store.generations(link.id):
                living = own and state in (UnitState.LIVE, UnitState.PARKED)
                for number in range(generation + 1):
                    for each in made_on:
                        key = identity.create_key(link.uid, unit_id, each.value, number)
                        found[key] = unit_id if living and each is side else ""
        return found

    def _paired(self, sights: Sights) -> Iterator[Task]:
        if next(sights.strangers(Side.A), None) is None:
            return
        strangers = Strangers(self._link.uid, Side.B, sights.strangers(Side.B))
        for stranger in sights.strangers(Side.A) if len(strangers) else ():
            match = strangers.take(stranger)
            if match is None:
                if strangers.resembles(stranger):
                    sights.doubtful.add(stranger.unit.id)
                continue
            if match.doubtful:
                sights.doubtful.add(match.unit.id)
            for unit_id in (stranger.unit.id, match.twin_unit.id):
                sights.drop(unit_id)
            lost = match.twin_unit if match.unit.id == stranger.unit.id else stranger.unit
            if self._store.unit(self._link.id, lost.id) is not None:
                yield Task(unit=lost, seen={}, decision=Decision(unit=_given_up(lost)))
            sights.add(match.unit, Side.A, stranger.copy)
            sights.add(match.unit, Side.B, match.twin)

    def _invited(self, sights: Sights, side: Side) -> Iterator[Task]:
        """Meetings that come to a side where our copy of them stands already: the meeting itself
        takes the copy's place."""
        completion = self._completions[side]
        taken: set[str] = set()
        for stranger, units in self._perhaps_invited(sights, side):
            with blaming(self._link.endpoint(side)):
                (copy,) = completion.finish([stranger.copy])
            sights.add(stranger.unit, side, copy)
            if not is_meeting(copy):
                continue
            for unit in units:
                ours = unit.copy(side)
                if unit.home is not side.other or unit.id in taken:
                    continue
                if unit.state is not UnitState.LIVE or ours is None:
                    continue
                taken.add(unit.id)
                sights.drop(stranger.unit.id)
                if (found := sights.drop(unit.id)) is not None:
                    self.later[unit.id] = {s: it for s, it in found[1].items() if s is not side}
                yield _replacing(unit, side, ours, copy)
                break

    def _perhaps_invited(
        self, sights: Sights, side: Side
    ) -> Iterator[tuple[Stranger, Sequence[Unit]]]:
        """New events that are meetings, or may be, with the units that stand for the same one."""
        completion = self._completions[side]
        meetings = (
            (each, list(meeting_names(each.copy)))
            for each in sights.strangers(side)
            if each.copy.origin is None
            and (is_meeting(each.copy) or completion.is_put_off(each.copy))
        )
        while some := list(islice(meetings, CHUNK)):
            wanted = {name for _each, names in some for name in names}
            known = self._store.units_by_name(self._link.id, side.other, wanted)
            for stranger, names in some:
                if units := [unit for name in names for unit in known.get(name, ())]:
                    yield stranger, units


def _alike(unit: Unit, side: Side, copy: Copy) -> bool:
    """Whether an event that has our mark is the unit's own under another id. A mark is duplicated
    with its event, and who gives the duplicate another title has made an event of his own."""
    known = unit.copy(side)
    return known is not None and known.event.details.title == copy.event.details.title


def _given_up(unit: Unit) -> Unit:
    return replace(unit, state=UnitState.DONE, a=None, b=None, ref_a=None, ref_b=None)


def _replacing(unit: Unit, side: Side, ours: Copy, meeting: Copy) -> Task:
    action = Action(
        unit_id=unit.id,
        side=side,
        op=Op.DELETE,
        cause="an invitation has brought the meeting itself",
        title=ours.event.details.title,
        base=ours,
        risk="pair",
    )
    row = replace(unit.with_copy(side, meeting), home=None)
    return Task(unit=unit, seen={}, decision=Decision(unit=row, actions=(action,)))
