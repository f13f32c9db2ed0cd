"""The values of deciding: the rules of a link, what was seen, and what is to be done. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from bridge.records import Op, Side, Unit
from connectors.contract import Copy
from mappings.limits import TargetLimits
from mappings.merge import Path
from mappings.model import Event
from mappings.policy import Policy


class Missing(Enum):
    """The side said, beyond doubt, that the unit is not there any more."""

    GONE = "gone"


GONE = Missing.GONE
Seen = Copy | Missing
"""What a side showed of a unit in this pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Everything that decisions about a link's units depend on.

    `since` and `until` bound the link's window now (aware UTC, None = open); `digest` names the
    policy and limits, so that a unit written under another one is written again.
    """

    policy: Policy
    limits: Mapping[Side, TargetLimits]
    since: datetime | None = None
    until: datetime | None = None
    digest: str = ""

    def writes(self, side: Side) -> bool:
        """Whether the policy lets changes travel to that side."""
        return self.policy.writes(to_target=side is Side.B)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A field that both sides changed: what stands, and what was overruled where."""

    path: Path
    winner: Side
    kept: object
    lost: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One write to one side, with why and how risky.

    `desired` is what the side is to hold (None for delete), `base` what we believe it holds
    (None for create). `fields` names what changes, for people. `restores` is the ref of an original
    that this brings back to where it was deleted, `remains` the copy that was deleted there.
    `alone`: what was known of the side, and what this write makes of that, without what somebody
    has changed there, which is to travel from it.
    """

    unit_id: str
    side: Side
    op: Op
    cause: str
    title: str
    desired: Event | None = None
    base: Copy | None = None
    generation: int = 0
    risk: str = "low"
    fields: tuple[str, ...] = ()
    restores: str = ""
    remains: Copy | None = None
    alone: tuple[Event, Event] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of one unit.

    `unit` is the row to store once every action has succeeded, with the written sides' shadows
    replaced by what the providers answered (None = nothing to remember). Until then the old row
    stands, so that a delta stays open until it has really arrived. `skipped` says why a unit is
    deliberately not copied.
    """

    unit: Unit | None
    actions: tuple[Action, ...] = ()
    clashes: tuple[Clash, ...] = ()
    skipped: str = ""

    def makes(self, side: Side) -> bool:
        """Whether the unit is to be made on that side."""
        return any(action.op is Op.CREATE and action.side is side for action in self.actions)
