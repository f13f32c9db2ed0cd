"""One pass over one link: recover, read, decide, guard, apply, and only then move the cursors."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from bridge.apply import Applier, threads
from bridge.churn import churning
from bridge.completion import Completion, Sighting, finished
from bridge.decision import Action, Rules, Seen
from bridge.observe import Observation, Observer
from bridge.pairing import Stranger, Strangers, doubted
from bridge.plan import LinkPlan, guard
from bridge.recognition import Recognition
from bridge.reconcile import decide, extension
from bridge.records import JournalEntry, Link, LinkState, Op, Run, RunKind, Side, Unit, UnitState
from bridge.recovery import recover
from bridge.restored import Alone
from bridge.sights import Sights
from bridge.store import Store, Tx
from bridge.task import Counts, Task
from bridge.turn import Turn
from connectors.contract import Connector, Copy, Unreadable
from connectors.errors import ConnectorError, RejectedError, ResyncError
from mappings import recurrence
from mappings.errors import UnmappableError
from mappings.policy import AttendeePolicy, Content
from mappings.projection import project


@dataclass(slots=True)
class Outcome:
    """What a pass did to a link. `held` is why it stopped for a person, empty if it did not.
    `news` are the sides whose changes, asked for by cursor, held something new. `unfinished`: it
    stopped between two units because others wait; the next pass goes on."""

    link: str
    counts: Counts = field(default_factory=Counts)
    held: str = ""
    skipped: int = 0
    short: int = 0
    news: set[Side] = field(default_factory=set)
    unfinished: bool = False

    def to_json(self) -> dict[str, object]:
        """The link's line in `backfill|sync|apply --json`."""
        counts = self.counts
        return {
            "link": self.link,
            "created": counts.created,
            "updated": counts.updated,
            "deleted": counts.deleted,
            "adopted": counts.adopted,
            "parked": counts.parked,
            "held": self.held,
            "skipped": self.skipped,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a pass uses from outside. `fence` raises if the pass has lost its lease, `workers`
    makes what the calls of so many at a time run on, `random` (from [0, 1]) spreads retries,
    `turn` says when others are to go first."""

    store: Store
    now: Callable[[], datetime]
    log: Callable[..., None]
    fence: Callable[[Tx], None] = lambda _tx: None
    progress: Callable[[str, int], None] = lambda _link, _done: None
    workers: Callable[[int], Executor] = threads
    random: Callable[[], float] = lambda: 1.0
    turn: Turn | None = None


class LinkPass:
    """One pass. Make one, use it once.

    `permit` withholds what a person has not agreed to: units with another action are left for a
    later pass, and the cursors stay where they are.
    """

    def __init__(
        self,
        link: Link,
        rules: Rules,
        connectors: Mapping[Side, Connector],
        around: Surroundings,
        *,
        full: bool = False,
        approved: bool = False,
        permit: Callable[[Action], bool] = lambda _action: True,
    ) -> None:
        self._link = link
        self._permit = permit
        self._withheld = False
        self._rules = rules
        self._connectors = connectors
        self._around = around
        self._store = around.store
        # What a link was held for may show in a complete listing alone.
        self._full = full or approved or link.policy_digest != rules.digest
        self._approved = approved
        self._alone = Alone(self._store.restored_units(link.id))
        self._observers: dict[Side, Observer] = {}
        self._completions = {side: self._completion(side) for side in Side}
        self._seen: set[str] = set()
        self._again: dict[str, Mapping[Side, Seen]] = {}
        self._doomed: dict[str, tuple[Unit, Mapping[Side, Seen]]] = {}
        self._doubtful: set[str] = set()
        self._problems: dict[str, tuple[Unit, Unreadable]] = {}
        self._outcome = Outcome(link.name)

    def plan(self) -> LinkPlan:
        """What `run` would do. Writes nothing anywhere."""
        tasks = [*self._first(), *self._second()]
        late = self._deletions()
        problems = [problem for _unit, problem in self._problems.values()]
        return LinkPlan(
            link=self._link.name,
            actions=tuple(action for task in [*tasks, *late] for action in task.decision.actions),
            parked=tuple(f"{problem.code}: {problem.detail}" for problem in problems),
            skipped=self._outcome.skipped,
            held=self._held(late),
        )

    def run(self, kind: RunKind) -> Outcome:
        """Bring the link up to date.

        Raises `ConnectorError` if a provider stops the whole link; what was done until then is
        stored, the cursors stay, and the next pass goes on from there.
        """
        with self._store.begin(durable=False) as tx:
            self._around.fence(tx)
            run = tx.start_run(self._link.id, kind, self._around.now())
        try:
            self._run(run)
        except ConnectorError as error:
            self._close(run, f"{type(error).__name__}: {error.message}")
            raise
        unfinished = "unfinished" if self._outcome.unfinished else "ok"
        self._close(run, "held" if self._outcome.held else unfinished)
        return self._outcome

    def _run(self, run: Run) -> None:
        around = self._around
        log = partial(around.log, link=self._link.name, run=run.id)
        recover(self._link, self._connectors, self._store, around.fence, log)
        applier = Applier(
            store=self._store,
            link=self._link,
            run_id=run.id,
            rules=self._rules,
            connectors=self._connectors,
            now=around.now,
            fence=around.fence,
            log=log,
            progress=lambda done: around.progress(self._link.name, done),
            workers=around.workers,
            random=around.random,
        )
        self._outcome.counts = applier.counts
        applier.apply(self._in_turn(self._first()))
        applier.apply(self._in_turn(self._second()))
        self._park(run)
        if self._outcome.unfinished:
            return
        late = self._deletions()
        self._outcome.held = self._held(late)
        if not self._outcome.held:
            applier.apply(self._looked_at_again(late))
            if not self._withheld:
                self._advance()

    def _in_turn(self, tasks: Iterator[Task]) -> Iterator[Task]:
        """The tasks, until others are to go first. What is left is found again from the cursors,
        which stay, and what is done by then is no news any more."""
        turn, counts = self._around.turn, self._outcome.counts
        for task in () if self._outcome.unfinished else tasks:
            if turn and task.decision.actions and turn.is_over(counts.writes + counts.adopted):
                self._outcome.unfinished = True
                return
            yield task

    def _close(self, run: Run, outcome: str) -> None:
        held = self._outcome.held
        with self._store.begin(durable=bool(held)) as tx:
            self._around.fence(tx)
            tx.finish_run(run.id, self._around.now(), outcome, self._outcome.to_json())
            if held:
                tx.set_link_state(self._link.id, LinkState.HELD, held)

    def _held(self, late: Iterable[Task]) -> str:
        for observer in self._observers.values():
            if observer.held:
                return observer.held
        if self._approved:
            return ""
        actions = [action for task in late for action in task.decision.actions]
        if not actions:
            return ""  # counting takes as long as the calendar is large
        known = self._store.count_units(self._link.id).get(UnitState.LIVE, 0)
        return guard(actions, known, self._rules.policy.delete_guard)

    def _advance(self) -> None:
        """The cursors move last, and only past units that are done, parked or queued."""
        with self._store.begin(durable=False) as tx:  # else it is read once more
            self._around.fence(tx)
            for side, observer in self._observers.items():
                if observer.cursor is not None:
                    tx.set_cursor(self._link.id, side, observer.cursor)
            if self._link.policy_digest != self._rules.digest:
                tx.put_link(replace(self._link, policy_digest=self._rules.digest))

    # -- reading and deciding ----------------------------------------------------------------------

    def _first(self) -> Iterator[Task]:
        """The first sight of every unit, in the order of the listings.

        With one side to read, decisions flow while the listing is still being read; with two, a
        unit can only be judged when both have been heard.
        """
        sides = [side for side in Side if self._rules.writes(side.other)]
        if len(sides) == 1:
            yield from self._first_of(sides[0])
            return
        sights, unclear = Sights(), set()
        for side in sides:
            for batch in self._read(side):
                for observation in batch:
                    unit = observation.unit
                    if observation.problem is not None:
                        self._problems[unit.id] = unit, observation.problem
                        unclear.add(unit.id)
                    elif observation.seen is not None and not self._nothing_new(side, observation):
                        sights.add(unit, side, observation.seen)
        for unit_id in unclear:
            sights.drop(unit_id)
        recognition = Recognition(self._store, self._link, self._alive, self._completions)
        for task in recognition.settle(sights):
            yield from self._allow(task)
        self._again |= recognition.later
        self._doubtful = sights.doubtful
        for unit, seen in self._finished(sights):
            self._seen.add(unit.id)
            whole = self._asked_for(unit, seen)
            if whole is not None:
                yield from self._decide(unit, whole)

    def _asked_for(self, unit: Unit, seen: Mapping[Side, Seen]) -> Mapping[Side, Seen] | None:
        """What was seen, and what is not known of a side that was not: that nothing is there, or
        nothing new where a write did not succeed, would be a guess. None if that side cannot be
        understood."""
        whole = dict(seen)
        for side in Side:
            open_ = unit.copy(side) is None or unit.state is UnitState.PARKED
            over = unit.ref(side) is None or unit.state in (UnitState.DONE, UnitState.DROPPED)
            if side in seen or over or not open_:
                continue
            looked = self._observer(side).fetch(unit)
            if looked.problem is not None:
                self._problems[unit.id] = unit, looked.problem
                return None
            if looked.seen is not None:
                whole[side] = looked.seen
        return whole

    def _alive(self, side: Side, ref: str) -> bool:
        """Ask a side whether the event is there, unless its answers may lag behind our writes."""
        connector = self._connectors[side]
        if connector.capabilities.lag:
            return False
        try:
            return connector.fetch(self._link.endpoint(side).calendar, ref) is not None
        except (RejectedError, UnmappableError):
            return True  # what cannot be read stands there

    def _nothing_new(self, side: Side, observation: Observation) -> bool:
        """Whether the side shows exactly what we remember: most of a complete listing."""
        unit = observation.unit
        settled = unit.state is UnitState.LIVE and unit.policy_digest == self._rules.digest
        known = unit.a is not None and unit.b is not None
        return settled and known and observation.seen == unit.copy(side)

    def _first_of(self, side: Side) -> Iterator[Task]:
        """The same where only one side's changes travel. When everything is listed the other one
        is listed too, to find the events that stand there already."""
        strangers = None
        for batch in self._read(side):
            if strangers is None:
                strangers = self._strangers(side.other)
            for observation in batch:
                unit, copy = observation.unit, observation.seen
                if strangers and unit.copy(side) is None and isinstance(copy, Copy):
                    match = strangers.take(Stranger(unit, copy))
                    if match is not None:
                        self._seen.add(match.unit.id)
                        if match.doubtful:
                            self._doubtful.add(match.unit.id)
                        seen = {side: copy, side.other: match.twin}
                        for unit, whole in self._finished([(match.unit, seen)]):
                            yield from self._decide(unit, whole)
                        continue
                    if strangers.resembles(Stranger(unit, copy)):
                        self._doubtful.add(unit.id)
                yield from self._judge(side, observation)

    def _strangers(self, side: Side) -> Strangers:
        """The events of the side that is only written to which no unit knows."""
        found: list[Stranger] = []
        if self._listing_everything(side.other):
            for batch in self._observer(side).observe(None, absences=False):
                found += [
                    Stranger(observation.unit, observation.seen)
                    for observation in batch
                    if isinstance(observation.seen, Copy) and observation.unit.copy(side) is None
                ]
            self._observer(side).cursor = None
        return Strangers(self._link.uid, side, found)

    def _listing_everything(self, side: Side) -> bool:
        return self._full or self._store.cursor(self._link.id, side) is None

    def _judge(self, side: Side, observation: Observation) -> Iterator[Task]:
        unit = observation.unit
        if observation.problem is not None:
            self._problems[unit.id] = unit, observation.problem
        elif observation.seen is not None:
            unit = self._alone.claim(unit, side, observation.seen)
            if unit.id in self._seen:
                # Its row may be in flight; the newer sight is judged when that has landed.
                self._again[unit.id] = {side: observation.seen}
                return
            self._seen.add(unit.id)
            yield from self._decide(unit, {side: observation.seen})

    def _second(self) -> Iterator[Task]:
        """What was seen more than once, and what an earlier pass had put off."""
        again = [(self._store.unit(self._link.id, key), seen) for key, seen in self._again.items()]
        for unit, seen in self._finished([(unit, seen) for unit, seen in again if unit]):
            yield from self._decide(unit, seen)
        for unit in self._store.due_retries(self._link.id, self._around.now()):
            if unit.id in self._seen:
                continue
            looked = {side: self._observer(side).fetch(unit) for side in Side}
            problems = [item.problem for item in looked.values() if item.problem is not None]
            if problems:
                self._problems[unit.id] = unit, problems[0]
                continue
            seen = {side: item.seen for side, item in looked.items() if item.seen is not None}
            yield from self._decide(unit, seen)
        now = self._around.now()
        for unit in self._store.due_extensions(self._link.id, now):
            if unit.id not in self._again and unit.id not in self._problems:
                yield Task(unit=unit, seen={}, decision=extension(unit, now))

    def _decide(self, unit: Unit, seen: Mapping[Side, Seen]) -> Iterator[Task]:
        # What is understood now is newer than what was not.
        self._problems.pop(unit.id, None)
        decision = decide(unit, seen, self._rules)
        if unit.id in self._doubtful:
            decision = doubted(decision)
        if decision.skipped:
            self._outcome.skipped += 1
        if decision.unit is None and not decision.actions:
            return
        if any(action.op is Op.DELETE for action in decision.actions):
            if all(map(self._permit, decision.actions)):
                self._doomed[unit.id] = (unit, seen)
            else:
                self._withheld = True
            return
        self._doomed.pop(unit.id, None)
        if (problem := churning(self._store, unit, seen, decision)) is not None:
            self._problems[unit.id] = unit, problem
            return
        yield from self._allow(Task(unit=unit, seen=seen, decision=decision))

    def _allow(self, task: Task) -> Iterator[Task]:
        """The task, if a person has agreed to all that it does."""
        if all(map(self._permit, task.decision.actions)):
            yield task
        else:
            self._withheld = True

    def _deletions(self) -> list[Task]:
        """The deletions, decided anew on the rows as they are after everything else."""
        tasks = []
        for unit, seen in self._doomed.values():
            fresh = self._store.unit(self._link.id, unit.id) or unit
            decision = decide(fresh, seen, self._rules)
            tasks.append(Task(unit=fresh, seen=seen, decision=decision))
        return tasks

    def _looked_at_again(self, late: Iterable[Task]) -> Iterator[Task]:
        """What nothing guards from being deleted with an edit that came after the listing, or that
        the listing left out, is asked for once more."""
        for task in late:
            seen = dict(task.seen)
            for action in task.decision.actions:
                connector = self._connectors[action.side]
                if action.op is Op.DELETE and not connector.capabilities.write_guard:
                    look = self._observer(action.side).fetch(task.unit)
                    seen |= {action.side: look.seen} if look.seen is not None else {}
            if seen != task.seen:
                decision = decide(task.unit, seen, self._rules)
                task = replace(task, seen=seen, decision=decision)  # noqa: PLW2901
            yield from self._allow(task)

    def _park(self, run: Run) -> None:
        """Put aside what could not be understood; the rest has gone on already."""
        if not self._problems:
            return
        with self._store.begin() as tx:
            self._around.fence(tx)
            for unit, problem in self._problems.values():
                if unit.state is UnitState.DROPPED:
                    continue
                row = replace(
                    unit,
                    state=UnitState.PARKED,
                    error_code=problem.code,
                    error=problem.detail,
                    retry_at=None,
                )
                self._outcome.counts.parked += 1
                if row != unit:
                    tx.put_units([row])
                    tx.journal([self._parking(run, row)])

    def _parking(self, run: Run, row: Unit) -> JournalEntry:
        return JournalEntry(
            id=0,
            at=self._around.now(),
            run_id=run.id,
            link_id=self._link.id,
            unit_id=row.id,
            side=None,
            op=Op.PARK.value,
            cause=f"{row.error_code}: {row.error}",
        )

    def _observer(self, side: Side) -> Observer:
        if side not in self._observers:
            self._observers[side] = Observer(
                link=self._link,
                side=side,
                connector=self._connectors[side],
                store=self._store,
                guard=self._rules.policy.delete_guard,
                completion=self._completions[side],
                approved=self._approved,
                log=self._around.log,
            )
        return self._observers[side]

    def _completion(self, side: Side) -> Completion:
        rules, policy = self._rules, self._rules.policy
        limits = rules.limits[side.other]

        def wanted(copy: Copy) -> bool:
            inside = recurrence.overlaps(copy.event, rules.since, rules.until)
            return inside and project(copy.event, policy, limits).event is not None

        carries = policy.content is Content.FULL and policy.attendees is not AttendeePolicy.NONE
        return Completion(
            self._connectors[side],
            self._link.endpoint(side).calendar,
            detailed=carries,
            wanted=wanted,
            trusting=self._link.policy_digest == rules.digest,
            workers=self._around.workers,
            patient=rules.writes(side),
        )

    def _finished(self, found: Iterable[Sighting]) -> Iterator[Sighting]:
        return finished(self._link, self._completions, found)

    def _read(self, side: Side) -> Iterator[Iterable[Observation]]:
        observer = self._observer(side)
        cursor = None if self._full else self._store.cursor(self._link.id, side)
        try:
            for batch in observer.observe(cursor):
                yield batch if cursor is None else self._noted(side, batch)
        except ResyncError:
            if cursor is None:
                raise
            self._around.log("cursor void, listing everything", link=self._link.name, side=side)
            yield from observer.observe(None)
        self._outcome.short += observer.short

    def _noted(self, side: Side, batch: Iterable[Observation]) -> Iterator[Observation]:
        for item in batch:
            if item.is_news(side):
                self._outcome.news.add(side)
            yield item
