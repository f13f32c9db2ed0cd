"""What an undo put back stands, although the other side says otherwise. Pure."""

from collections.abc import Collection, Mapping

from bridge.decision import Rules
from bridge.records import WHOLE, Restored, Side, Unit
from bridge.travel import VISIBLE, Changes
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
