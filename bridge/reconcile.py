"""Decides what one unit needs. Pure: rows and observations in, actions out.

The rule of thumb: a side's *delta* is what it shows now against its shadow; A's delta goes to B
and B's to A, field by field. A side that was not looked at has no delta. An echo of our own
write has an empty one, so loops cannot start.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from bridge.records import WHOLE, Op, Restored, Side, Unit, UnitState
from connectors.contract import Copy
from mappings import merge, recurrence
from mappings.limits import TargetLimits
from mappings.merge import Change, Path
from mappings.model import Event, Loss
from mappings.policy import AttendeePolicy, Content, EditVersusDelete, Policy
from mappings.policy import Conflict as ConflictPolicy
from mappings.projection import project


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
    (None for create). `fields` names what changes, for people.
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


def decide(unit: Unit, seen: Mapping[Side, Seen], rules: Rules) -> Decision:
    """The next step of one unit, given what the sides showed in this pass."""
    if unit.state is UnitState.DROPPED:
        return _decide_dropped(unit, seen)
    # That something is gone is news only where we believed it to be; a ref without a shadow is
    # half a creation, whose other half has to go too.
    gone = tuple(
        side
        for side in Side
        if seen.get(side) is GONE
        and (unit.copy(side) or (unit.ref(side) and unit.copy(side.other)))
        and not _only_restored(unit, side.other)
    )
    if gone:
        return _decide_gone(unit, seen, gone, rules)
    now = {side: _now(unit, seen, side) for side in Side}
    a, b = now[Side.A], now[Side.B]
    if a is None and b is None:
        return Decision(unit=_tombstone(unit) if GONE in seen.values() else None)
    if a is None or b is None:
        return _decide_copy(unit, Side.A if a is not None else Side.B, a or b, rules)
    return _decide_merge(unit, a, b, rules)


def extension(unit: Unit, now: datetime) -> Decision:
    """The next piece of an endless series for the sides that can only hold it piece by piece."""
    due = [
        (side, copy)
        for side in Side
        if (copy := unit.copy(side)) and copy.extend_at and copy.extend_at <= now
    ]
    actions = tuple(
        Action(
            unit_id=unit.id,
            side=side,
            op=Op.UPDATE,
            cause="the next piece of an endless series is due",
            title=copy.event.details.title,
            desired=copy.event,
            base=copy,
            fields=("schedule",),
        )
        for side, copy in due
    )
    return Decision(unit=unit, actions=actions)


def _now(unit: Unit, seen: Mapping[Side, Seen], side: Side) -> Copy | None:
    copy = seen.get(side)
    return copy if isinstance(copy, Copy) else unit.copy(side)


def _decide_copy(unit: Unit, source: Side, copy: Copy | None, rules: Rules) -> Decision:
    """The unit stands on one side only."""
    assert copy is not None
    target = source.other
    known = unit.copy(source) is not None and unit.state is not UnitState.DONE
    if not rules.writes(target):
        return Decision(unit=None, skipped="direction")
    if not known and copy.origin is not None:
        return Decision(unit=None, skipped="a copy made by a bridge")
    projection = project(copy.event, rules.policy, rules.limits[target])
    if projection.event is None:
        return Decision(unit=None, skipped=projection.skipped)
    if not known and not recurrence.overlaps(copy.event, rules.since, rules.until):
        return Decision(unit=None, skipped="outside the window")
    row = replace(
        _well(unit).with_copy(source, copy),
        losses=projection.losses,
        policy_digest=rules.digest,
        restored=None,
    )
    action = Action(
        unit_id=unit.id,
        side=target,
        op=Op.CREATE,
        cause=f"new on {source.value}",
        title=copy.event.details.title,
        desired=projection.event,
        generation=row.generation,
        fields=("*",),
    )
    return Decision(unit=row, actions=(action,))


def _decide_gone(
    unit: Unit, seen: Mapping[Side, Seen], gone: tuple[Side, ...], rules: Rules
) -> Decision:
    """The unit was deleted on at least one side."""
    if len(gone) == 2:
        return Decision(unit=_tombstone(unit))
    deleted = gone[0]
    survivor = deleted.other
    shadow, now = unit.copy(survivor), _now(unit, seen, survivor)
    if now is None:
        return Decision(unit=_tombstone(unit))
    title = now.event.details.title
    if not rules.writes(survivor):
        return _recreate(unit, deleted, now, rules, "deleted where the link only writes")
    edited = shadow is not None and _carried(
        merge.changes(shadow.event, now.event), survivor, rules
    )
    wins = rules.policy.edit_versus_delete is EditVersusDelete.EDIT_WINS
    if edited and wins and rules.writes(deleted):
        return _recreate(unit, deleted, now, rules, "edited on one side, deleted on the other")
    action = Action(
        unit_id=unit.id,
        side=survivor,
        op=Op.DELETE,
        cause=f"deleted on {deleted.value}",
        title=title,
        base=now,
        risk="delete",
    )
    return Decision(unit=unit.with_copy(deleted, None), actions=(action,))


def _recreate(unit: Unit, side: Side, now: Copy, rules: Rules, cause: str) -> Decision:
    row = replace(unit.with_copy(side, None), generation=unit.generation + 1)
    decision = _decide_copy(row, side.other, now, rules)
    actions = tuple(replace(action, cause=cause) for action in decision.actions)
    return replace(decision, actions=actions)


def _well(unit: Unit) -> Unit:
    return replace(unit, state=UnitState.LIVE, error_code="", error="", attempts=0, retry_at=None)


def _tombstone(unit: Unit) -> Unit:
    row = replace(_well(unit), state=UnitState.DONE, a=None, b=None, losses=())
    return replace(row, restored=None)


def _decide_dropped(unit: Unit, seen: Mapping[Side, Seen]) -> Decision:
    """Nothing, whatever the sides show; but what is gone need not be looked for again."""
    row = unit
    for side in Side:
        if seen.get(side) is GONE:
            row = row.without(side)
    if row.ref_a is None and row.ref_b is None:
        row = _tombstone(unit)
    return Decision(unit=row if row != unit else None, skipped="left alone: a person said so")


def _only_restored(unit: Unit, side: Side) -> bool:
    """Whether the unit stands on that side because of an undo, although the other's is gone."""
    restored = unit.restored
    alone = unit.copy(side) is not None and unit.copy(side.other) is None
    return restored is not None and restored.side is side and WHOLE in restored.paths and alone


def _still_restored(unit: Unit, deltas: Mapping[Side, Mapping[Path, Change]]) -> Restored | None:
    """What of an undo still stands: not what the other side has changed since."""
    if unit.restored is None:
        return None
    return unit.restored.without({WHOLE} | deltas.get(unit.restored.side.other, {}).keys())


def _kept(unit: Unit, side: Side, rules: Rules) -> Collection[Path]:
    """The paths that stay on that side as an undo left them; what is masked now does not."""
    if unit.restored is None or unit.restored.side is not side:
        return ()
    shown = {*VISIBLE[rules.policy.content], "schedule", "when", "exists"}
    return {path for path in unit.restored.paths if path == WHOLE or path[-1] in shown}


def _decide_merge(unit: Unit, a: Copy, b: Copy, rules: Rules) -> Decision:
    """The unit stands on both sides: carry each side's delta to the other."""
    now = {Side.A: a, Side.B: b}
    row = replace(_well(unit).with_copy(Side.A, a).with_copy(Side.B, b), policy_digest=rules.digest)
    deltas, steps = {}, {}
    for source in Side:
        target = source.other
        if not rules.writes(target):
            continue
        step = _step(unit, now, source, rules)
        if step is None:
            if WHOLE in _kept(unit, target, rules):
                return Decision(unit=row)
            return _filtered(row, unit, target, now[target])
        steps[source] = step
        deltas[source] = _carried(merge.changes(step.before, step.after), source, rules)
        row = replace(row, losses=step.losses) if source is Side.A else row
    row = replace(row, restored=_still_restored(unit, deltas))
    losers, clashes = _settle(deltas, now, rules)
    actions = []
    for source, step in steps.items():
        target = source.other
        paths = deltas[source].keys() - losers[source]
        desired = merge.transfer(step.before, step.after, now[target].event, paths)
        changed = merge.changes(now[target].event, desired)
        if changed:
            actions.append(
                Action(
                    unit_id=unit.id,
                    side=target,
                    op=Op.UPDATE,
                    cause=f"changed on {source.value}",
                    title=desired.details.title,
                    desired=desired,
                    base=now[target],
                    risk="conflict" if losers[source] or losers[target] else "low",
                    fields=tuple(sorted({path[-1] for path in changed})),
                )
            )
    if unit.policy_digest != rules.digest:
        written = {action.side for action in actions}
        actions += [
            _look_again(unit.id, source.other, now[source.other])
            for source in steps
            if source.other not in written and rules.limits[source.other].zone_rules
            if now[source.other].event.recurring
        ]
    return Decision(unit=row, actions=tuple(actions), clashes=clashes)


def _look_again(unit_id: str, side: Side, copy: Copy) -> Action:
    return Action(
        unit_id=unit_id,
        side=side,
        op=Op.UPDATE,
        cause="the link's rules or the zone data changed",
        title=copy.event.details.title,
        desired=copy.event,
        base=copy,
        fields=("schedule",),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """One side's content before and after, as the other side could hold it."""

    before: Event
    after: Event
    losses: tuple[Loss, ...]


def _step(unit: Unit, now: Mapping[Side, Copy], source: Side, rules: Rules) -> _Step | None:
    """None if the policy's filters no longer let the unit through."""
    target = source.other
    limits = rules.limits[target]
    after = project(now[source].event, rules.policy, limits)
    if after.event is None:
        return None
    shadow = unit.copy(source)
    if source is Side.A and (shadow is None or unit.policy_digest != rules.digest):
        held = (unit.copy(target) or now[target]).event
        missing = difference(held, after.event, target, rules)
        missing = {path: missing[path] for path in missing.keys() - _kept(unit, target, rules)}
        return _Step(held, merge.transfer(held, after.event, held, missing), after.losses)
    if shadow is None or shadow.event == now[source].event:
        return _Step(after.event, after.event, after.losses)
    before = project(shadow.event, rules.policy, limits)
    if before.event is None:
        before = replace(before, event=now[target].event)
    assert before.event is not None
    return _Step(before.event, after.event, after.losses)


PROVIDER_MADE = frozenset({"organizer", "attendees", "response", "redacted"})


def difference(held: Event, desired: Event, side: Side, rules: Rules) -> dict[Path, Change]:
    """What of `desired` is not on `held`, as far as a write to that side can make it so."""
    limits = rules.limits[side]
    fixed = set(PROVIDER_MADE)
    if rules.policy.attendees is AttendeePolicy.INVITE:
        fixed.discard("attendees")
    if limits.responses:
        fixed.discard("response")
    if not limits.meeting_url:
        fixed.add("meeting_url")
    if not limits.attachments:
        fixed.add("attachments")
    found = merge.changes(held, desired)
    return {path: change for path, change in found.items() if path[-1] not in fixed}


VISIBLE = {
    Content.FULL: merge.DETAIL_FIELDS,
    Content.TITLE: ("title", "busy", "status"),
    Content.BUSY: ("busy", "status"),
}
BRIDGE_MADE = frozenset({"footer", "organizer", "attendees", "meeting_url", "attachments"})


def _carried(changes: dict[Path, Change], source: Side, rules: Rules) -> dict[Path, Change]:
    """The changes that may travel. What the bridge wrote or masked on B never comes back to A."""
    if source is Side.A:
        return changes
    allowed = {*VISIBLE[rules.policy.content], "schedule", "when", "exists"} - BRIDGE_MADE
    return {path: change for path, change in changes.items() if path[-1] in allowed}


def _settle(
    deltas: Mapping[Side, Mapping[Path, Change]], now: Mapping[Side, Copy], rules: Rules
) -> tuple[dict[Side, frozenset[Path]], tuple[Clash, ...]]:
    """Which changes of which side are overruled."""
    losers: dict[Side, frozenset[Path]] = {side: frozenset() for side in Side}
    if len(deltas) < 2 or not deltas[Side.A] or not deltas[Side.B]:
        return losers, ()
    in_conflict = dict(
        zip((Side.A, Side.B), merge.clashes(deltas[Side.A], deltas[Side.B]), strict=True)
    )
    if not in_conflict[Side.A]:
        return losers, ()
    winner = _winner(now, rules.policy.conflict)
    loser = winner.other
    losers[loser] = in_conflict[loser]
    clashes = []
    for path in sorted(in_conflict[loser]):
        kept = deltas[winner].get(path)
        clashes.append(
            Clash(
                path=path,
                winner=winner,
                kept=kept.after if kept else None,
                lost=deltas[loser][path].after,
            )
        )
    return losers, tuple(clashes)


def _winner(now: Mapping[Side, Copy], policy: ConflictPolicy) -> Side:
    match policy:
        case ConflictPolicy.A:
            return Side.A
        case ConflictPolicy.B:
            return Side.B
        case ConflictPolicy.NEWEST:
            a, b = now[Side.A].updated, now[Side.B].updated
            return Side.B if a is not None and b is not None and b > a else Side.A


def _filtered(row: Unit, unit: Unit, target: Side, held: Copy) -> Decision:
    action = Action(
        unit_id=unit.id,
        side=target,
        op=Op.DELETE,
        cause="no longer let through by the link's filters",
        title=held.event.details.title,
        base=held,
        risk="delete",
    )
    return Decision(unit=row, actions=(action,))
