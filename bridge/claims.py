"""A ref belongs to one unit; a row that knows nothing but the ref gives it up."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bridge.records import Link, Side, Unit, UnitState
from bridge.store import Store


def giving_way(store: Store, link: Link, side: Side, made: Iterable[Unit]) -> Iterator[Unit]:
    """The rows that have to be stored before `made`, whose names on `side` are new to us.

    An event that nobody could read was noted under its own name; now that it can be read it turns
    out to be the copy of a unit, made by a write whose answer was lost.
    """
    owners = {ref: unit.id for unit in made if (ref := unit.ref(side)) is not None}
    for ref, other in store.units_by_ref(link.id, side, owners).items():
        empty = other.a is None and other.b is None and other.state is not UnitState.DONE
        if empty and other.id != owners[ref]:
            yield replace(other, state=UnitState.DONE, ref_a=None, ref_b=None, retry_at=None)
