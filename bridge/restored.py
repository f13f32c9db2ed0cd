"""What an undo put back stands, although the other side says otherwise. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from bridge.decision import Rules, Seen
from bridge.records import WHOLE, Restored, Side, Unit, UnitState
from bridge.travel import VISIBLE, Changes
from connectors.contract import Copy
from mappings import identity
from mappings.merge import Path


def only_restored(unit: Unit, side: Side) -> bool:
    """Whether the unit stands on that side because of an undo, although the other's is gone."""
    restored = unit.restored
    alone = unit.copy(side) is not None and unit.copy(side.other) is None
    return restored is not None and restored.side is side and WHOLE in restored.paths and alone


def still_restored(unit: Unit, deltas: Mapping[Side, Changes]) -> Restored | None:
    """What of an undo still stands: not what the other side has changed since."""
    if unit.restored is None:
        return None
    return unit.restored.without({WHOLE} | deltas.get(unit.restored.side.other, {}).keys())


def kept(unit: Unit, side: Side, rules: Rules) -> Collection[Path]:
    """The paths that stay on that side as an undo left them; what is masked now does not."""
    if unit.restored is None or unit.restored.side is not side:
        return ()
    shown = {*VISIBLE[rules.policy.content], "schedule", "when", "exists"}
    return {path for path in unit.restored.paths if path == WHOLE or path[-1] in shown}


class Alone:
    """The units that an undo brought back on one side alone. When the other side shows the same
    event again, under a new id, it is theirs: otherwise it would be copied a second time."""

    def __init__(self, restored: Iterable[Unit]) -> None:
        self._by_look: dict[tuple[Side, str], Unit] = {}
        for unit in restored:
            for side in Side:
                if only_restored(unit, side) and unit.state is not UnitState.DROPPED:
                    copy = unit.copy(side)
                    key = identity.pairing_key(copy.event) if copy else None
                    if key is not None:
                        self._by_look[side.other, key] = unit

    def claim(self, unit: Unit, side: Side, seen: Seen) -> Unit:
        """The unit that an event of that side belongs to: `unit`, or one of these."""
        new = unit.a is None and unit.b is None and unit.state is UnitState.LIVE
        if not self._by_look or not new or not isinstance(seen, Copy) or seen.origin is not None:
            return unit
        key = identity.pairing_key(seen.event)
        twin = self._by_look.pop((side, key), None) if key else None
        if twin is None:
            return unit
        if side is Side.A:
            return replace(twin, ref_a=seen.ref)
        return replace(twin, ref_b=seen.ref)
