"""Takes back what one run did, on the side where it did it, without mail.

The journal says what each unit showed before and after the run. Between the two and what stands
now there is a three-way merge: what the run changed and nobody has changed since goes back; what
somebody changed since stays and is reported. Copies that the run made go away, those that it
deleted are made anew. An undo is a run with intents and a journal of its own: it can be killed at
any point and called again, and it can be undone.

What happens on the other side then: where changes travel both ways, the restored value counts as
somebody's edit and travels with the next pass. Where they travel one way only, it stays until the
other side changes the same field (`bridge.records.Restored`). A copy that was taken away is not
made again (`UnitState.DROPPED`), because the original is a person's and must not go with it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from bridge.apply import Applier
from bridge.decision import GONE, Action, Decision, Rules, Seen
from bridge.deeds import Deed, Left, Undone, deeds, history
from bridge.records import (
    WHOLE,
    Link,
    Op,
    Restored,
    Run,
    RunKind,
    Side,
    Unit,
    UnitState,
)
from bridge.recovery import recover
from bridge.sync import Surroundings
from bridge.task import Task
from bridge.travel import PROVIDER_MADE, difference
from connectors.contract import Connector, Copy, fetch_again
from connectors.errors import ConnectorError, RejectedError
from mappings import identity, merge
from mappings.errors import UnmappableError
from mappings.merge import Path
from mappings.model import Details, Event
from mappings.policy import AttendeePolicy
from mappings.projection import project

BROKEN_OFF = "UNDO"
RESTORED = "RESTORED"
UNDONE = "UNDONE"


class Undo:
    """The undo of one run. `preview` writes nothing anywhere; `run` does it. Use once.

    `force` also puts back what somebody changed since. The caller holds the link's lock.
    """

    def __init__(
        self,
        link: Link,
        rules: Rules,
        connectors: Mapping[Side, Connector],
        around: Surroundings,
        run: Run,
        *,
        force: bool = False,
    ) -> None:
        self._link = link
        self._rules = rules
        # Nobody is invited again, for that would mail him.
        self._silent = replace(rules, policy=replace(rules.policy, attendees=AttendeePolicy.NONE))
        self._connectors = connectors
        self._around = around
        self._store = around.store
        self._run = run
        self._force = force
        self._result = Undone(link.name, run.id)
        self._standing: dict[Side, dict[str, str]] = {}

    def preview(self) -> Undone:
        """What `run` would do now."""
        for task in self._tasks():
            self._result.actions += task.decision.actions
        return self._result

    def run(self) -> Undone:
        """Do it. Raises `ConnectorError` if a provider stops the whole link; what was done until
        then is stored, and another call goes on from there."""
        around = self._around
        recover(self._link, self._connectors, self._store, around.fence, around.log)
        with self._store.begin() as tx:
            around.fence(tx)
            run = tx.start_run(self._link.id, RunKind.UNDO, around.now())
        self._result.number = run.id
        applier = Applier(
            store=self._store,
            link=self._link,
            run_id=run.id,
            rules=self._rules,
            connectors=self._connectors,
            now=around.now,
            fence=around.fence,
            log=around.log,
            progress=lambda done: around.progress(self._link.name, done),
            workers=around.workers,
        )
        self._result.counts = applier.counts
        try:
            applier.apply(self._tasks())
        except ConnectorError as error:
            self._close(run, f"{type(error).__name__}: {error.message}")
            raise
        entries = history(self._store, run.id)
        self._result.failed = sum(entry.op in ("park", "retry") for entry in entries)
        self._close(run, "ok")
        return self._result

    def _close(self, run: Run, outcome: str) -> None:
        with self._store.begin() as tx:
            self._around.fence(tx)
            tx.finish_run(run.id, self._around.now(), outcome, self._result.to_json())
            tx.hint([self._link.id], self._around.now())

    # -- deciding ----------------------------------------------------------------------------------

    def _tasks(self) -> Iterator[Task]:
        by_unit: dict[str, list[Deed]] = {}
        for deed in deeds(history(self._store, self._run.id)):
            by_unit.setdefault(deed.unit_id, []).append(deed)
        width = min(each.capabilities.parallel_reads for each in self._connectors.values())
        with ThreadPoolExecutor(max(1, width), "undo") as pool:
            for unit, its, seen in pool.map(self._look, by_unit.values()):
                if unit is None:
                    self._leave(its[0], "the bridge no longer knows it")
                elif isinstance(seen, Exception):
                    self._leave(its[0], f"it cannot be read: {seen}")
                else:
                    yield self._task(unit, its, seen)

    def _look(
        self, its: list[Deed]
    ) -> tuple[Unit | None, list[Deed], dict[Side, Seen] | Exception]:
        """What stands now on the sides where the run did something. Runs in a thread."""
        unit = self._store.unit(self._link.id, its[0].unit_id)
        if unit is None:
            return None, its, {}
        try:
            return unit, its, {deed.side: self._ask(unit, deed) for deed in its}
        except (RejectedError, UnmappableError) as error:
            return unit, its, error

    def _ask(self, unit: Unit, deed: Deed) -> Seen:
        connector, side = self._connectors[deed.side], deed.side
        calendar, ref, shadow = self._link.endpoint(side).calendar, unit.ref(side), unit.copy(side)
        now = fetch_again(connector, calendar, ref, shadow) if ref is not None else None
        if now is not None:
            return now
        if deed.after is None and unit.generation and connector.capabilities.find_by_key:
            # Somebody may have taken it out of the provider's bin himself.
            key = identity.create_key(self._link.uid, unit.id, side.value, unit.generation - 1)
            return connector.find(calendar, key) or GONE
        return GONE

    def _task(self, unit: Unit, its: list[Deed], seen: Mapping[Side, Seen]) -> Task:
        decision = self._decide(its, unit, seen, self._rules)
        for deed in its:
            self._report(deed, seen[deed.side], decision)
        edits = any(
            action.op is Op.UPDATE and self._travels(unit, action.side)
            for action in decision.actions
        )
        finish = partial(self._finish, unit, its, decision)
        if not decision.actions:
            row = decision.unit or unit
            done = row == unit and unit.error_code != BROKEN_OFF
            return Task(unit=unit, seen=seen, decision=Decision(unit=row if done else finish(row)))
        return Task(
            unit=self._prepared(unit, decision),
            seen=seen,
            decision=decision,
            again=partial(self._anew, its),
            finish=finish,
            as_edit=edits,
        )

    def _anew(
        self, its: list[Deed], unit: Unit, seen: Mapping[Side, Seen], rules: Rules
    ) -> Decision:
        """The decision after a side turned out to show something else. Runs in a thread."""
        decision = self._decide(its, unit, seen, rules)
        for deed in its:
            self._report(deed, seen.get(deed.side) or GONE, decision)
        return decision

    def _decide(
        self, its: list[Deed], unit: Unit, seen: Mapping[Side, Seen], _rules: Rules
    ) -> Decision:
        actions: list[Action] = []
        row = unit
        for deed in its:
            now = seen.get(deed.side) or GONE
            if deed.after is None and isinstance(now, Copy) and unit.copy(deed.side) is None:
                row = row.with_copy(deed.side, now)
            elif action := self._action(unit, deed, now):
                actions.append(action)
        return Decision(unit=row, actions=tuple(actions))

    def _action(self, unit: Unit, deed: Deed, now: Seen) -> Action | None:
        if deed.before is None:
            if not isinstance(now, Copy) or (self._since(deed, now) and not self._force):
                return None
            return self._act(deed, Op.DELETE, base=now, risk="delete", fields=("*",))
        if deed.after is None:
            if isinstance(now, Copy) or (self._doubled(deed) and not self._force):
                return None
            desired = _without_guests(deed.before)
            return self._act(
                deed, Op.CREATE, desired=desired, fields=("*",), generation=unit.generation
            )
        if not isinstance(now, Copy):
            return None
        only = set(merge.changes(deed.after, deed.before))
        if not self._force:
            only -= self._since(deed, now)
        wanted = merge.transfer(deed.after, deed.before, now.event, only)
        missing = difference(now.event, wanted, deed.side, self._silent)
        if not missing:
            return None
        desired = merge.transfer(now.event, wanted, now.event, missing.keys())
        fields = tuple(sorted({path[-1] for path in missing}))
        return self._act(deed, Op.UPDATE, base=now, desired=desired, fields=fields)

    def _act(self, deed: Deed, op: Op, **facts: Any) -> Action:
        cause = f"undo of run {self._run.id}"
        return Action(
            unit_id=deed.unit_id, side=deed.side, op=op, cause=cause, title=deed.title, **facts
        )

    def _since(self, deed: Deed, now: Copy) -> frozenset[Path]:
        """What the run left and somebody has changed since, as far as the undo would touch it."""
        assert deed.after is not None
        since = merge.changes(deed.after, now.event)
        since = {path: change for path, change in since.items() if path[-1] not in PROVIDER_MADE}
        if deed.before is None:
            return frozenset(since)
        return merge.clashes(merge.changes(deed.after, deed.before), since)[0]

    def _doubled(self, deed: Deed) -> bool:
        """Whether another unit shows the same event there already: somebody made it again."""
        assert deed.before is not None
        if deed.side not in self._standing:
            self._standing[deed.side] = {
                key: unit.id
                for unit in self._store.units(self._link.id, state=UnitState.LIVE)
                if (copy := unit.copy(deed.side)) is not None
                if (key := identity.pairing_key(copy.event)) is not None
            }
        key = identity.pairing_key(deed.before)
        other = self._standing[deed.side].get(key) if key else None
        return other is not None and other != deed.unit_id

    # -- what is reported --------------------------------------------------------------------------

    def _report(self, deed: Deed, now: Seen, decision: Decision) -> None:
        acted = any(action.side is deed.side for action in decision.actions)
        if deed.after is None:
            if not acted and not isinstance(now, Copy):
                self._leave(deed, "the same event stands there already under another id")
        elif not isinstance(now, Copy):
            if deed.before is not None:
                self._leave(deed, "it was deleted since")
        elif not self._force and (since := self._since(deed, now)):
            fields = tuple(sorted({path[-1] for path in since}))
            self._leave(deed, "somebody changed it since", fields)

    def _leave(self, deed: Deed, why: str, fields: tuple[str, ...] = ()) -> None:
        if any(
            (left.unit_id, left.side) == (deed.unit_id, deed.side) for left in self._result.left
        ):
            return
        self._result.left.append(
            Left(unit_id=deed.unit_id, side=deed.side, title=deed.title, why=why, fields=fields)
        )

    # -- rows --------------------------------------------------------------------------------------

    def _travels(self, unit: Unit, side: Side) -> bool:
        """Whether what is restored there goes on to the other side."""
        other = unit.copy(side.other)
        return self._rules.writes(side.other) and (other is None or other.organized)

    def _prepared(self, unit: Unit, decision: Decision) -> Unit:
        """The row while the writes are under way: what a crash leaves must do no harm."""
        for action in decision.actions:
            if action.op is Op.DELETE:
                unit = self._dropped(unit)
            elif action.op is Op.CREATE:
                why = f"undo of run {self._run.id} broke off here; call it again"
                unit = replace(
                    self._unclaimed(unit, action.side.other),
                    state=UnitState.PARKED,
                    error_code=BROKEN_OFF,
                    error=why,
                    retry_at=None,
                    restored=self._restored(action.side, {WHOLE}),
                )
            elif not self._travels(unit, action.side):
                assert action.base is not None
                assert action.desired is not None
                paths = merge.changes(action.base.event, action.desired).keys()
                unit = replace(unit, restored=self._restored(action.side, paths, unit.restored))
        return unit

    def _finish(self, unit: Unit, its: list[Deed], decision: Decision, row: Unit) -> Unit:
        """The row when all is done."""
        made = {deed.side for deed in its if deed.after is None}
        for action in decision.actions:
            stands = [side for side in Side if row.copy(side) is not None]
            if action.op is Op.DELETE and stands == [action.side.other]:
                row = self._dropped(row)
            shadow, written = unit.copy(action.side), row.copy(action.side)
            if action.op is Op.UPDATE and shadow and written:
                if self._travels(unit, action.side):
                    row = row.with_copy(action.side, replace(written, event=shadow.event))
                else:
                    assert action.base is not None
                    assert action.desired is not None
                    touched = merge.changes(action.base.event, action.desired).keys()
                    row = replace(row, restored=self._kept(row, action.side, touched))
        for side in made:
            row = self._back(row, side, again=unit.state is UnitState.DROPPED)
        return row

    def _dropped(self, unit: Unit) -> Unit:
        why = f"its copy was taken away by undo of run {self._run.id}"
        return replace(unit, state=UnitState.DROPPED, error_code=UNDONE, error=why, retry_at=None)

    def _back(self, row: Unit, side: Side, *, again: bool) -> Unit:
        """The row of a unit that stands again on that side. `again`: nobody has looked at the
        other side meanwhile."""
        if row.copy(side) is None:
            return row
        row = self._unclaimed(row, side.other)
        alone = row.copy(side.other) is None
        row = replace(row, state=UnitState.LIVE, error_code="", error="", retry_at=None)
        row = replace(row, restored=self._kept(row, side))
        if again or (alone and self._travels(row, side)):
            # The next pass looks at both sides, whatever their listings say.
            why = f"restored by undo of run {self._run.id}; the next pass looks at the other side"
            row = replace(
                row,
                state=UnitState.PARKED,
                error_code=RESTORED,
                error=why,
                retry_at=self._around.now(),
            )
        return row

    def _unclaimed(self, unit: Unit, side: Side) -> Unit:
        """The unit without a name that has become another unit's meanwhile."""
        ref = unit.ref(side)
        if ref is None or unit.copy(side) is not None:
            return unit
        owner = self._store.units_by_ref(self._link.id, side, [ref]).get(ref)
        taken = owner is not None and owner.id != unit.id and owner.state is not UnitState.DONE
        return unit.without(side) if taken else unit

    def _kept(
        self, row: Unit, side: Side, touched: Collection[Path] | None = None
    ) -> Restored | None:
        """What now differs on purpose from what the other side says, of what was `touched`."""
        here, there = row.copy(side), row.copy(side.other)
        if here is None:
            return None
        if there is None:
            return self._restored(side, {WHOLE})
        said = project(there.event, self._rules.policy, self._rules.limits[side])
        if said.event is None:
            return self._restored(side, {WHOLE})
        differing = set(difference(here.event, said.event, side, self._silent))
        if touched is not None:
            before = row.restored
            known = before.paths if before and before.side is side else frozenset[Path]()
            differing &= known.union(touched)
        return self._restored(side, differing)

    def _restored(
        self, side: Side, paths: Iterable[Path], before: Restored | None = None
    ) -> Restored | None:
        known = before.paths if before is not None and before.side is side else frozenset()
        whole = known.union(paths)
        return Restored(run=self._run.id, side=side, paths=whole) if whole else None


def _without_guests(event: Event) -> Event:
    def alone(details: Details) -> Details:
        return replace(details, attendees=(), organizer=None)

    overrides = tuple(
        replace(override, details=alone(override.details)) if override.details else override
        for override in event.overrides
    )
    return replace(event, details=alone(event.details), overrides=overrides)
