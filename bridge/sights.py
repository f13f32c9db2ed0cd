"""What both sides showed in a pass. Pure.

Where changes travel both ways nothing is decided before both sides have been heard, so a first pass
over a large calendar has to remember all of it. Events that no unit knows, which most of it are
then, are kept as the text that the store would keep of them, a third as large.
"""

from collections.abc import Iterator

from bridge.completion import Sighting
from bridge.decision import GONE, Seen
from bridge.pairing import Stranger
from bridge.records import Side, Unit, UnitState
from bridge.store.shadows import copy_from_json, copy_to_json
from bridge.store.texts import dump, load
from connectors.contract import Copy

_Seen = dict[Side, Seen]
_Packed = tuple[int, Side, str]
"""Of a new event: the link's number, where it was seen, and its copy as text."""


class Sights:
    """What was seen, by unit, in the order of the listings. `doubtful` are units of which it is not
    certain whether they stand on the other side already. Whoever goes through them may change what
    is kept meanwhile."""

    def __init__(self) -> None:
        self.doubtful: set[str] = set()
        self._kept: dict[str, tuple[Unit, _Seen] | _Packed] = {}

    def __contains__(self, unit_id: str) -> bool:
        return unit_id in self._kept

    def __iter__(self) -> Iterator[Sighting]:
        for unit_id in list(self._kept):
            if (found := self.get(unit_id)) is not None:
                yield found

    def add(self, unit: Unit, side: Side, seen: Seen) -> None:
        """One side's word on a unit; the later one counts."""
        found = self.get(unit.id)
        if found is None:
            self._kept[unit.id] = _packed(unit, side, seen) or (unit, {side: seen})
        else:
            self._kept[unit.id] = (found[0], {**found[1], side: seen})

    def get(self, unit_id: str) -> tuple[Unit, _Seen] | None:
        """A unit and what was seen of it, None if nothing was."""
        kept = self._kept.get(unit_id)
        return kept if kept is None or len(kept) == 2 else _unpacked(unit_id, kept)

    def drop(self, unit_id: str) -> tuple[Unit, _Seen] | None:
        """The same, which is forgotten."""
        found = self.get(unit_id)
        self._kept.pop(unit_id, None)
        return found

    def strangers(self, side: Side) -> Iterator[Stranger]:
        """The events of that side that no unit has a copy of, in the order of the listing."""
        for unit_id, kept in list(self._kept.items()):
            if len(kept) == 3 and kept[1] is not side:
                continue
            unit, seen = kept if len(kept) == 2 else _unpacked(unit_id, kept)
            copy = seen.get(side)
            new = unit.a is None and unit.b is None and unit.state is not UnitState.DROPPED
            if new and len(seen) == 1 and isinstance(copy, Copy):
                yield Stranger(unit, copy)

    def gone(self, side: Side) -> Iterator[Unit]:
        """The units that are said to be gone from that side."""
        for kept in list(self._kept.values()):
            if len(kept) == 2 and kept[1].get(side) is GONE and kept[0].copy(side) is not None:
                yield kept[0]


def _packed(unit: Unit, side: Side, seen: Seen) -> _Packed | None:
    """A new event as text; None for anything that would not come back from it as it was."""
    if not isinstance(seen, Copy) or unit != _new(unit.id, unit.link_id, side, seen.ref):
        return None
    text = dump(copy_to_json(seen))
    return (unit.link_id, side, text) if copy_from_json(load(text)) == seen else None


def _unpacked(unit_id: str, packed: _Packed) -> tuple[Unit, _Seen]:
    link_id, side, text = packed
    copy = copy_from_json(load(text))
    return _new(unit_id, link_id, side, copy.ref), {side: copy}


def _new(unit_id: str, link_id: int, side: Side, ref: str) -> Unit:
    on_a = side is Side.A
    return Unit(
        id=unit_id,
        link_id=link_id,
        home=side,
        ref_a=ref if on_a else None,
        ref_b=None if on_a else ref,
    )
