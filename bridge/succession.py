"""An event that has another one's place. A calendar may have several links, and each of them may
have to put a new event in the place of an old one; the others learn of it here.
"""

from collections.abc import Collection, Iterator
from functools import cached_property

from bridge.records import Link, Side, Unit, UnitState
from bridge.store import Store
from connectors.contract import Copy


class Succession:
    """For one side of a link: what other links have done in the same calendar."""

    def __init__(self, store: Store, link: Link, side: Side) -> None:
        self._store = store
        self._link = link
        self._side = side

    def heirs(self, refs: Collection[str]) -> dict[str, Unit]:
        """Those of these refs, unknown to the link, that another link has put in the place of a
        unit of this one."""
        found: dict[str, Unit] = {}
        for link, side in self._others if refs else ():
            former = self._store.former_refs(link.id, side, refs)
            new = {old: ref for ref, olds in former.items() for old in olds}
            for old, unit in self._store.units_by_ref(self._link.id, self._side, new).items():
                if unit.state is not UnitState.DONE:
                    found[new[old]] = unit
        return found

    def heir(self, ref: str) -> Copy | None:
        """What another link has put in the place of this event that is gone, as it was then. None
        if there is nothing, or if this link takes it for an event of its own already."""
        for link, side in self._others:
            unit = self._store.unit_by_former_ref(link.id, side, ref)
            copy = unit.copy(side) if unit is not None else None
            if copy is not None and not self._known(copy.ref):
                return copy
        return None

    def _known(self, ref: str) -> bool:
        return bool(self._store.units_by_ref(self._link.id, self._side, [ref]))

    @cached_property
    def _others(self) -> list[tuple[Link, Side]]:
        return list(self._sharing())

    def _sharing(self) -> Iterator[tuple[Link, Side]]:
        here = self._link.endpoint(self._side)
        for link in self._store.links_at(here.connector, calendar=here.calendar):
            if link.id != self._link.id:
                yield from ((link, side) for side in Side if link.endpoint(side) == here)
