"""One decided unit on its way through a pass, and what becomes of its row. Pure."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from bridge.churn import REWRITES
from bridge.decision import GONE, Action, Clash, Decision, Rules, Seen
from bridge.reconcile import decide
from bridge.records import Op, Side, Unit, UnitState
from connectors.contract import Copy
from connectors.errors import ConflictError, ConnectorError
from mappings import merge
from mappings.errors import UnmappableError
from mappings.model import Event, Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One decided unit: the row as stored, what was seen, and the decision.

    `again` decides anew when a side turns out to show something else, `finish` has the last word
    on the row after success. `as_edit`: the writes stand for a person's, so that a crash leaves
    them to be found as edits instead of being taken for ours.
    """

    unit: Unit
    seen: Mapping[Side, Seen]
    decision: Decision
    again: Callable[[Unit, Mapping[Side, Seen], Rules], Decision] = decide
    finish: Callable[[Unit], Unit] = lambda row: row
    as_edit: bool = False


@dataclass(slots=True)
class Counts:
    """What a pass did, by operation."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    adopted: int = 0
    parked: int = 0

    @property
    def writes(self) -> int:
        """Calls that changed something at a provider."""
        return self.created + self.updated + self.deleted

    def count(self, op: Op) -> None:
        """One more of that kind."""
        match op:
            case Op.CREATE:
                self.created += 1
            case Op.UPDATE:
                self.updated += 1
            case Op.DELETE:
                self.deleted += 1
            case Op.ADOPT:
                self.adopted += 1
            case Op.PARK:
                self.parked += 1


@dataclass(slots=True)
class Result:
    """What became of a task. `answers` holds the sides that were written (None = deleted).

    Where a side turned out to be another than was believed, `unit` and `seen` are what is known by
    now, `decision` is made anew of them, and `conflicts` counts how often. `anew` is that side as
    long as the new decision has not been announced.
    """

    task: Task
    decision: Decision
    unit: Unit
    seen: Mapping[Side, Seen]
    answers: dict[Side, Copy | None] = field(default_factory=dict)
    done: list[tuple[Action, Copy | None]] = field(default_factory=list)
    error: Exception | None = None
    conflicts: int = 0
    anew: Side | None = None

    @classmethod
    def of(cls, task: Task, error: Exception | None = None) -> "Result":
        """Nothing yet."""
        return cls(task, task.decision, task.unit, task.seen, error=error)

    def decide_anew(self, side: Side, conflict: ConflictError, rules: Rules) -> None:
        """Take in what that side really shows."""
        unit, seen = self.unit, dict(self.seen)
        clashes: tuple[Clash, ...] = ()
        if (answer := self.answers.pop(side.other, None)) is not None:
            unit, clashes = half_done(unit, seen, side, answer), self.decision.clashes
            seen[side.other] = answer
        if conflict.current is None and self.decision.makes(side):
            # The key belongs to the dead; a provider makes nothing under it any more.
            unit = replace(unit, generation=unit.generation + 1)
        else:
            seen[side] = conflict.current or GONE
        decision = self.task.again(unit, seen, rules)
        self.unit, self.seen = unit, seen
        self.decision = replace(decision, clashes=clashes + decision.clashes)
        self.conflicts += 1
        self.anew = side


def describe(error: Exception) -> tuple[str, str]:
    """A short code and one sentence for people; never a traceback, never a secret."""
    if isinstance(error, ConnectorError):
        return error.code or type(error).__name__.removesuffix("Error"), error.message
    if isinstance(error, UnmappableError):
        return error.code, error.detail
    return "INTERNAL", f"unexpected {type(error).__name__}; see the log"


def named(task: Task) -> Unit:
    """The row with the refs of what was seen, so that a failure is remembered by name."""
    unit = task.unit
    for side, copy in task.seen.items():
        if isinstance(copy, Copy) and unit.ref(side) is None:
            if side is Side.A:
                unit = replace(unit, ref_a=copy.ref)
            else:
                unit = replace(unit, ref_b=copy.ref)
    return unit


def begun(task: Task) -> Unit:
    """The row as it is announced. An original that no shadow tells of is remembered as it is before
    the write, so that what has arrived can be told from what its people did."""
    row = named(task)
    for action in task.decision.actions:
        if action.op is Op.UPDATE and action.side is row.home and row.copy(action.side) is None:
            row = row.with_copy(action.side, action.base).doubted()
    return row


def ours(unit: Unit, action: Action) -> Event | None:
    """What our write alone makes of the side's shadow: somebody's edit that is still to travel
    from there stands in `desired` too, and must not pass for ours after a crash."""
    shadow = unit.copy(action.side)
    if shadow is None or action.base is None or action.desired is None:
        return action.desired
    if action.alone is not None and action.alone[0] == shadow.event:
        return action.alone[1]
    written = merge.changes(action.base.event, action.desired)
    # Exceptions that only follow their series do so on the shadow, too, if they stand there.
    alone = {path for path, change in written.items() if written.get(path[2:]) != change}
    return merge.transfer(action.base.event, action.desired, shadow.event, alone)


def half_done(unit: Unit, seen: Mapping[Side, Seen], failed: Side, answer: Copy) -> Unit:
    """The row as if one side's delta had arrived and been stored, the other's still being open."""
    shadow, now = unit.copy(failed.other), seen.get(failed.other)
    if shadow is not None and isinstance(now, Copy):
        still_open = merge.transfer(now.event, shadow.event, answer.event, None)
        unit = unit.with_copy(failed.other, replace(answer, event=still_open))
    arrived = seen.get(failed)
    return unit.with_copy(failed, arrived) if isinstance(arrived, Copy) else unit


def settled(result: Result) -> Unit | None:
    """The row after success: written sides hold what the provider answered."""
    row = result.decision.unit
    if row is None:
        return None
    for side, answer in result.answers.items():
        if answer is not None:
            row = row.with_copy(side, answer)
        elif row.ref(side) in (None, result.task.unit.ref(side)):
            # Providers remember the keys of the dead: what stands here next needs another one.
            row = replace(row.without(side), generation=row.generation + 1)
    state = UnitState.LIVE if row.a or row.b else UnitState.DONE
    row = replace(row, state=state, error="", error_code="", attempts=0, retry_at=None)
    if any(action.op is Op.UPDATE for action, _answer in result.done):
        row = replace(row, rewrites=_rewrites(result.task.unit))
    return result.task.finish(row)


def _rewrites(unit: Unit) -> int:
    """One more; from the beginning where it has turned out that a person writes."""
    return 1 if unit.rewrites >= REWRITES else unit.rewrites + 1


def own_part(base: Copy, desired: Event, answer: Copy) -> Copy:
    """The answer without what somebody else changed since `base` was read: without a guard a write
    goes through all the same, and its answer shows both."""
    happened = merge.changes(base.event, answer.event)
    foreign = happened.keys() - merge.changes(base.event, desired).keys()
    own = merge.transfer(answer.event, base.event, answer.event, foreign)
    own = _untaken(own, answer.event, desired, foreign)
    if merge.SCHEDULE in happened and _joined(base.event, desired, answer.event):
        own = merge.transfer(answer.event, desired, own, {merge.SCHEDULE})
    if merge.SCHEDULE in foreign:
        # Whoever moved the series took its exceptions along, or away.
        own = replace(own, overrides=desired.overrides)
    return replace(answer, event=own)


def _untaken(own: Event, answer: Event, desired: Event, foreign: Collection[merge.Path]) -> Event:
    """`own` with the exceptions that somebody took back as we had them: what the answer shows in
    their place comes from the series."""
    back = {Key(path[1]) for path in foreign if len(path) > 1} - answer.overrides_by_key.keys()
    ours = desired.overrides_by_key
    return replace(
        own,
        overrides=tuple(
            ours[each.key] if each.key in back & ours.keys() else each for each in own.overrides
        ),
    )


def swallowed(base: Copy, desired: Event, answer: Copy) -> bool:
    """Whether an occurrence that we changed was taken away since `base` was read, so that a write
    without a guard went through and left nothing of it."""
    happened = merge.changes(base.event, answer.event)
    contested, _theirs = merge.clashes(merge.changes(base.event, desired), happened)
    return bool(contested - happened.keys())


def _joined(base: Event, desired: Event, answer: Event) -> bool:
    """Whether somebody changed the time while we changed the rule, or the other way round."""
    parts = (merge.schedule(event) for event in (base, desired, answer))
    was, ours, now = [((part.when,), (part.rule, part.rdates)) for part in parts]
    mixed = [old == wanted != found for old, wanted, found in zip(was, ours, now, strict=True)]
    return ours != was and any(mixed)


def onto(held: Event, desired: Event, missing: Mapping[tuple[str, ...], object]) -> Event:
    """`held` with what is missing of `desired`."""
    return merge.transfer(held, desired, held, missing.keys())
