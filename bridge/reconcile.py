"""Decides what one unit needs. Pure: rows and observations in, actions out.

The rule of thumb: a side's *delta* is what it shows now against its shadow; A's delta goes to B
and B's to A, field by field. A side that was not looked at has no delta. An echo of our own
write has an empty one, so loops cannot start.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.decision import GONE, Action, Clash, Decision, Rules, Seen
from bridge.pairing import join
from bridge.records import WHOLE, Op, Side, Unit, UnitState
from bridge.restored import kept, only_restored, still_restored
from bridge.travel import Changes, carried, difference, masked, may_change, newer, settle, unseen
from connectors.answers import ANSWERS
from connectors.contract import Copy
from mappings import merge, recurrence
from mappings.merge import Path
from mappings.model import Event, Loss
from mappings.policy import Content, EditVersusDelete, Unwritable
from mappings.projection import all_cancelled, project


def decide(unit: Unit, seen: Mapping[Side, Seen], rules: Rules) -> Decision:
    """The next step of one unit, given what the sides showed in this pass."""
    if unit.state is UnitState.DROPPED:
        return _decide_dropped(unit, seen)
    seen = {side: GONE if _emptied(unit, side, shown) else shown for side, shown in seen.items()}
    # That something is gone is news only where we believed it to be; a ref without a shadow is
    # half a creation, whose other half has to go too.
    gone = tuple(
        side
        for side in Side
        if seen.get(side) is GONE
        and (unit.copy(side) or (unit.ref(side) and unit.copy(side.other)))
        and not only_restored(unit, side.other)
    )
    if gone:
        return _decide_gone(unit, seen, gone, rules)
    now = {side: _now(unit, seen, side) for side in Side}
    a, b = now[Side.A], now[Side.B]
    if a is None and b is None:
        return Decision(unit=_tombstone(unit) if GONE in seen.values() else None)
    if a is None or b is None:
        return _decide_copy(unit, Side.A if a is not None else Side.B, a or b, rules)
    if unit.home is None and unit.a is None and unit.b is None:
        return join(_shown(unit, now, rules), a, b, rules)
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


def _emptied(unit: Unit, side: Side, shown: Seen) -> bool:
    """Whether somebody removed every single occurrence of a copy: it is not there any more."""
    known = unit.home is not side and unit.copy(side) is not None
    return known and isinstance(shown, Copy) and all_cancelled(shown.event)


def _now(unit: Unit, seen: Mapping[Side, Seen], side: Side) -> Copy | None:
    copy = seen.get(side)
    return copy if isinstance(copy, Copy) else unit.copy(side)


def _decide_copy(unit: Unit, source: Side, copy: Copy | None, rules: Rules) -> Decision:
    """The unit stands on one side only."""
    assert copy is not None
    target = source.other
    known = unit.copy(source) is not None and unit.state is not UnitState.DONE
    if not rules.writes(target):
        return _skipped(unit, "direction")
    if not known and copy.origin is not None:
        return _skipped(unit, "a copy made by a bridge")
    projection = project(copy.event, rules.policy, rules.limits[target])
    if projection.event is None:
        return _skipped(unit, projection.skipped)
    if not known and not recurrence.overlaps(copy.event, rules.since, rules.until):
        return _skipped(unit, "outside the window")
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


def _skipped(unit: Unit, why: str) -> Decision:
    """Not copied. One that was to be tried again is not any more."""
    waiting = unit.state is UnitState.PARKED and unit.retry_at is not None
    return Decision(unit=_tombstone(unit) if waiting else None, skipped=why)


def _decide_gone(
    unit: Unit, seen: Mapping[Side, Seen], gone: tuple[Side, ...], rules: Rules
) -> Decision:
    """The unit was deleted on at least one side."""
    if len(gone) == 2:
        return Decision(unit=_tombstone(unit))
    deleted = gone[0]
    survivor = deleted.other
    now = _now(unit, seen, survivor)
    if now is None:
        return Decision(unit=_tombstone(unit))
    if not rules.writes(survivor):
        return _recreate(unit, deleted, now, rules, "deleted where the link only writes")
    if not now.organized:
        if unit.home is not survivor or rules.policy.unwritable is Unwritable.KEEP:
            return Decision(unit=replace(unit.with_copy(survivor, now), state=UnitState.DROPPED))
        cause = f"only its organiser can delete it on {survivor.value}: put back"
        return _recreate(unit, deleted, now, rules, cause)
    edits = carried(_edits(unit, survivor, now, rules), survivor, unit.home, rules)
    wins = rules.policy.edit_versus_delete is EditVersusDelete.EDIT_WINS
    if edits and wins and rules.writes(deleted):
        return _recreate(unit, deleted, now, rules, "edited on one side, deleted on the other")
    action = Action(
        unit_id=unit.id,
        side=survivor,
        op=Op.DELETE,
        cause=f"deleted on {deleted.value}",
        title=now.event.details.title,
        base=now,
        risk="delete",
    )
    return Decision(unit=unit.with_copy(deleted, None), actions=(action,))


def _edits(unit: Unit, side: Side, now: Copy, rules: Rules) -> Changes:
    """What was changed on a side. Where its shadow is not known, because a write was broken off,
    the other side's tells what it showed."""
    shadow, twin = unit.copy(side), unit.copy(side.other)
    if shadow is not None:
        return merge.changes(shadow.event, now.event)
    shown = project(now.event, rules.policy, rules.limits[side.other]).event
    if twin is None or shown is None:
        return {}
    return difference(twin.event, shown, side.other, rules)


def _recreate(unit: Unit, side: Side, now: Copy, rules: Rules, cause: str) -> Decision:
    """Make the unit anew on the side where it was deleted. An original is made of what it last
    was, since its copy may hold less; the copy's edits are added."""
    was, shadow = unit.copy(side), unit.copy(side.other)
    row = replace(unit.with_copy(side, None), generation=unit.generation + 1)
    decision = _decide_copy(row, side.other, now, rules)
    if not decision.actions:
        return replace(decision, unit=_tombstone(row))
    desired = None
    if unit.home is side and decision.unit is not None:
        # The copy itself has not been written under the link's present rules, nor did all of what
        # it shows become part of the original.
        decision = replace(decision, unit=decision.unit.doubted())
    if unit.home is side and was is not None and shadow is not None:
        edits = carried(merge.changes(shadow.event, now.event), side.other, unit.home, rules)
        whole = merge.transfer(shadow.event, now.event, was.event, edits.keys())
        # Attendees are named in its text: nobody may be mailed because of a deletion.
        unmasked = replace(rules.policy, content=Content.FULL)
        desired = project(whole, unmasked, rules.limits[side]).event
    restores = unit.ref(side) or "" if unit.home is side else ""
    actions = tuple(
        replace(
            action, cause=cause, desired=desired or action.desired, restores=restores, remains=was
        )
        for action in decision.actions
    )
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


def _shown(unit: Unit, now: Mapping[Side, Copy | None], rules: Rules) -> Unit:
    """The row with both copies as they are."""
    row = replace(_well(unit), policy_digest=rules.digest)
    return row.with_copy(Side.A, now[Side.A]).with_copy(Side.B, now[Side.B])


def _decide_merge(unit: Unit, a: Copy, b: Copy, rules: Rules) -> Decision:
    """The unit stands on both sides: carry each side's delta to the other."""
    now = {Side.A: a, Side.B: b}
    row = _shown(unit, now, rules)
    deltas, steps = {}, {}
    refused: dict[Side, frozenset[Path]] = {}
    for source in Side:
        target = source.other
        if not rules.writes(target):
            continue
        step = _step(unit, now, source, rules)
        if step is not None:
            steps[source] = step
        elif source is unit.home:
            if WHOLE in kept(unit, target, rules):
                return Decision(unit=row)
            return _filtered(row, unit, target, now[target], rules)
    overtaken = _overtaken(unit, now, steps, rules)
    for source, step in steps.items():
        target = source.other
        found = carried(merge.changes(step.before, step.after), source, unit.home, rules)
        if target is unit.home:
            found = {path: change for path, change in found.items() if path not in overtaken}
        permitted = set(filter(may_change(now[target], rules.limits[target]), found))
        refused[source] = (
            frozenset(found.keys() - permitted)
            if unit.home is target and rules.policy.unwritable is Unwritable.REVERT
            else frozenset()
        )
        deltas[source] = {path: found[path] for path in found if path in permitted}
        row = replace(row, losses=step.losses) if source is (unit.home or Side.A) else row
    row = replace(row, restored=still_restored(unit, deltas))
    losers, clashes = settle(deltas, now, rules)
    clashes += _reverted(refused, steps) + tuple(overtaken.values())
    actions = []
    for source, step in steps.items():
        target = source.other
        held = now[target].event
        unwritable = refused.get(target, frozenset())
        onto = _without(unit, target, now[target], losers[target] | unwritable)
        paths = deltas[source].keys() - losers[source]
        change = _Change(unit, now, source, step, paths)
        desired = change.made_to(onto, rules)
        changed = merge.changes(held, desired)
        clashes += tuple(unseen(held, desired, source, unit.home, rules))
        if changed:
            reverted = unwritable and not paths
            actions.append(
                Action(
                    unit_id=unit.id,
                    side=target,
                    op=Op.UPDATE,
                    cause=f"only its organiser can change it on {source.value}: put back"
                    if reverted
                    else f"changed on {source.value}",
                    title=desired.details.title,
                    desired=desired,
                    base=now[target],
                    alone=change.alone(rules),
                    risk="conflict" if losers[source] or losers[target] else "low",
                    fields=tuple(sorted({path[-1] for path in changed})),
                )
            )
    # Where two changes have met, whether both sides agree now is looked at once more.
    row = row.doubted() if len(actions) > 1 else row
    if not unit.ruled_by(rules.digest):
        written = {action.side for action in actions}
        actions += [
            _look_again(unit.id, source.other, now[source.other])
            for source in steps
            if source.other not in written and rules.limits[source.other].zone_rules
            if now[source.other].event.recurring and now[source.other].organized
        ]
    return Decision(unit=row, actions=tuple(actions), clashes=clashes)


def _reverted(
    refused: Mapping[Side, Collection[Path]], steps: Mapping[Side, "_Step"]
) -> tuple[Clash, ...]:
    """What is put back is lost like any other value that does not stand."""
    return tuple(
        Clash(path=path, winner=source.other, kept=found[path].before, lost=found[path].after)
        for source, paths in refused.items()
        if paths
        for found in [merge.changes(steps[source].before, steps[source].after)]
        for path in sorted(paths)
    )


def _overtaken(
    unit: Unit, now: Mapping[Side, Copy], steps: Mapping[Side, "_Step"], rules: Rules
) -> dict[Path, Clash]:
    """The copy's edits of what it is to show otherwise because the link's rules have changed
    meanwhile. They were made to something else than the original, which stands."""
    home = unit.home
    if home is None or home not in steps or unit.ruled_by(rules.digest):
        return {}
    original, copy, step = unit.copy(home), unit.copy(home.other), steps[home]
    if original is None or copy is None:
        return {}
    was = project(original.event, rules.policy, rules.limits[home.other]).event
    own = merge.changes(was, step.after).keys() if was else frozenset()
    anew = merge.changes(step.before, step.after)
    unmasked = replace(rules, policy=replace(rules.policy, content=Content.FULL))
    edits = merge.changes(copy.event, now[home.other].event)
    return {
        path: Clash(path=path, winner=home, kept=anew[path].after, lost=change.after)
        for path, change in carried(edits, home.other, home, unmasked).items()
        if path in anew.keys() - own and anew[path].after != change.after
    }


def _unmasked(unit: Unit, now: Mapping[Side, Copy], home: Side, rules: Rules) -> Iterator[Event]:
    """The original as it was and as it is, as the other side would show it without a mask."""
    policy = replace(rules.policy, content=Content.FULL)
    for copy in (unit.copy(home), now[home]):
        whole = project(copy.event, policy, rules.limits[home.other]).event if copy else None
        if whole is not None:
            yield whole


def _without(unit: Unit, side: Side, copy: Copy, overruled: Collection[Path]) -> Event:
    """What a side shows without its edits that do not stand. It is made from the shadow, because
    a new schedule that does not stand has taken exceptions of the old one with it."""
    shadow, twin = unit.copy(side), unit.copy(side.other)
    if overruled and shadow is None and twin is not None:
        # A broken-off creation: what was made of it is all that is known of what it was.
        return merge.transfer(copy.event, twin.event, copy.event, overruled)
    if not overruled or shadow is None:
        return copy.event
    standing = merge.changes(shadow.event, copy.event).keys() - overruled
    return merge.transfer(shadow.event, copy.event, shadow.event, standing)


def _answered(
    unit: Unit, now: Mapping[Side, Copy], source: Side, desired: Event, rules: Rules
) -> Event:
    """`desired` with the owner's own answer to an invitation that stands on both sides."""
    shadow, target = unit.copy(source), source.other
    if unit.home is not None or shadow is None or not rules.limits[target].responses:
        return desired
    mine, theirs = now[source].event.details.response, now[target].event.details.response
    there = unit.copy(target)
    if mine not in ANSWERS or theirs in (None, mine) or mine == shadow.event.details.response:
        return desired
    contested = there is not None and theirs != there.event.details.response
    if contested and newer(now, rules.policy.conflict) is target:
        return desired
    return replace(desired, details=replace(desired.details, response=mine))


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


@dataclass(frozen=True, slots=True)
class _Change:
    """Those changes of one side that stand, on their way to the other one."""

    unit: Unit
    now: Mapping[Side, Copy]
    source: Side
    step: _Step
    paths: Collection[Path]

    def made_to(self, held: Event, rules: Rules) -> Event:
        """`held` with these changes."""
        desired = merge.transfer(self.step.before, self.step.after, held, self.paths)
        desired = _answered(self.unit, self.now, self.source, desired, rules)
        hides = rules.policy.content is not Content.FULL and desired.overrides
        if self.source is not self.unit.home or not hides:
            return desired
        secrets = _unmasked(self.unit, self.now, self.source, rules)
        return masked(desired, secrets, rules.policy.content)

    def alone(self, rules: Rules) -> tuple[Event, Event] | None:
        """What was known of the other side, and that with these changes."""
        shadow = self.unit.copy(self.source.other)
        return (shadow.event, self.made_to(shadow.event, rules)) if shadow else None


def _step(unit: Unit, now: Mapping[Side, Copy], source: Side, rules: Rules) -> _Step | None:
    """None if the policy's filters no longer let the unit through."""
    target = source.other
    limits, policy = rules.limits[target], rules.policy
    if unit.home is None:
        # A declined invitation stays where it is; the answer is what travels.
        policy = replace(policy, filters=replace(policy.filters, skip_declined=False))
    after = project(now[source].event, policy, limits)
    if after.event is None:
        return None
    shadow = unit.copy(source)
    if source is unit.home and (shadow is None or unit.policy_digest != rules.digest):
        held = (unit.copy(target) or now[target]).event
        missing = difference(held, after.event, target, rules)
        missing = {path: missing[path] for path in missing.keys() - kept(unit, target, rules)}
        return _Step(held, merge.transfer(held, after.event, held, missing), after.losses)
    if shadow is None or shadow.event == now[source].event:
        return _Step(after.event, after.event, after.losses)
    before = project(shadow.event, policy, limits)
    if before.event is None:
        before = replace(before, event=now[target].event)
    assert before.event is not None
    return _Step(before.event, after.event, after.losses)


def _filtered(row: Unit, unit: Unit, target: Side, held: Copy, rules: Rules) -> Decision:
    """The copy goes, and its edits that have not travelled with it."""
    shadow = unit.copy(target)
    edits = merge.changes(shadow.event, held.event) if shadow else {}
    clashes = tuple(
        Clash(path=path, winner=target.other, kept=None, lost=change.after)
        for path, change in carried(edits, target, unit.home, rules).items()
    )
    action = Action(
        unit_id=unit.id,
        side=target,
        op=Op.DELETE,
        cause="no longer let through by the link's filters",
        title=held.event.details.title,
        base=held,
        risk="delete",
    )
    return Decision(unit=row, actions=(action,), clashes=clashes)
