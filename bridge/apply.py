"""Carries decisions out: intent, call, result, each durable before the next.

An intent is committed before its call is made, and goes away in the same transaction that stores
what the provider answered. Found after a crash it is looked up, never blindly repeated. Calls run
in parallel as far as the provider permits; only the calling thread touches the database.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby, islice

from bridge.reconcile import GONE, Action, Clash, Decision, Rules, Seen, decide, difference
from bridge.records import Intent, JournalEntry, Link, Op, Side, Unit, UnitState
from bridge.store import Store, Tx
from connectors.contract import Connector, Copy, CreatesMany
from connectors.errors import (
    ConflictError,
    ConnectorError,
    FatalError,
    OutcomeUnknownError,
    RateLimitedError,
    ReauthorizeError,
    RejectedError,
    ResyncError,
    RetryableError,
)
from mappings import identity, jsonform, merge
from mappings.errors import UnmappableError
from mappings.model import Event

CONFLICT_ROUNDS = 4
RETRY_BASE = timedelta(seconds=30)
RETRY_CAP = timedelta(hours=6)
BREAKER = 5
"""So many passing faults in a row mean that the provider is down, not that a unit is unlucky."""


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
class _Result:
    """What became of a task. `answers` holds the sides that were written (None = deleted)."""

    task: Task
    decision: Decision
    answers: dict[Side, Copy | None] = field(default_factory=dict)
    done: list[tuple[Action, Copy | None]] = field(default_factory=list)
    error: Exception | None = None


_Running = dict[Future[list[_Result]], list[list[Intent]]]
"""Lots on their way, with the intents of each task."""
_Made = dict[str, Copy | Exception]
"""What one call for several units made, by create key."""


@dataclass(slots=True)
class _Books:
    """What a few results change in the database: written together."""

    rows: list[Unit] = field(default_factory=list)
    journal: list[JournalEntry] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)


def threads(width: int) -> Executor:
    """So many calls at a time."""
    return ThreadPoolExecutor(max_workers=width, thread_name_prefix="apply")


class Applier:
    """Applies the decisions of one pass over one link. `workers` makes what the calls run on."""

    def __init__(
        self,
        *,
        store: Store,
        link: Link,
        run_id: int,
        rules: Rules,
        connectors: Mapping[Side, Connector],
        now: Callable[[], datetime],
        fence: Callable[[Tx], None],
        log: Callable[..., None],
        progress: Callable[[int], None] = lambda _done: None,
        workers: Callable[[int], Executor] = threads,
    ) -> None:
        self._workers = workers
        self._store = store
        self._link = link
        self._run_id = run_id
        self._rules = rules
        self._connectors = connectors
        self._now = now
        self._fence = fence
        self._log = log
        self._progress = progress
        self._faults_in_a_row = 0
        self._fault_counted = False
        self._abort: Exception | None = None
        self.counts = Counts()

    def apply(self, tasks: Iterable[Task]) -> None:
        """Carry all tasks out. Raises what stops the whole link, after storing what is done."""
        capabilities = [self._connectors[side].capabilities for side in Side]
        width = max(each.parallel_writes for each in capabilities)
        size = width * max(4, *(each.batch_size for each in capabilities))
        source = iter(tasks)
        with self._workers(width) as pool:
            running: _Running = {}
            try:
                while self._abort is None and (chunk := self._next(source, size)):
                    for lot in self._lots(self._announce(chunk)):
                        lot_tasks = [task for task, _intents in lot]
                        future = pool.submit(self._execute_lot, lot_tasks)
                        running[future] = [intents for _task, intents in lot]
                    while len(running) > 2 * width and self._abort is None:
                        self._collect(running)
                while running:
                    self._collect(running)
            except BaseException:
                # Not ours to write any more: what has not been sent yet is not sent.
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if self._abort is not None:
            raise self._abort

    def _next(self, source: Iterator[Task], size: int) -> list[Task]:
        """The next tasks; a reading that breaks off ends the pass like a write that does."""
        try:
            return list(islice(source, size))
        except ConnectorError as error:
            self._abort = error
            return []

    # -- intents ---------------------------------------------------------------------------------

    def _announce(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, list[Intent]]]:
        """Store what is going to be done; what needs no call is stored right away."""
        quiet = [task for task in tasks if not task.decision.actions]
        loud = [task for task in tasks if task.decision.actions]
        with self._store.begin() as tx:
            self._fence(tx)
            tx.put_units(row for task in quiet if (row := task.decision.unit) and row != task.unit)
            tx.put_units(_named(task) for task in loud)
            intents = tx.add_intents(
                [self._intent(task, a) for task in loud for a in task.decision.actions]
            )
        self._progress(len(quiet))
        remaining = iter(intents)
        for task in loud:
            yield task, list(islice(remaining, len(task.decision.actions)))

    def _intent(self, task: Task, action: Action) -> Intent:
        desired = None if task.as_edit else _ours(task.unit, action)
        return Intent(
            id=0,
            link_id=self._link.id,
            run_id=self._run_id,
            unit_id=action.unit_id,
            side=action.side,
            op=action.op,
            key=self._key(action),
            desired=jsonform.event_to_json(desired) if desired else None,
            at=self._now(),
        )

    def _key(self, action: Action) -> str:
        return identity.create_key(
            self._link.uid, action.unit_id, action.side.value, action.generation
        )

    def _lots(
        self, announced: Iterable[tuple[Task, list[Intent]]]
    ) -> Iterator[list[tuple[Task, list[Intent]]]]:
        """Creates that one call can make stand together, everything else by itself."""
        for side, run in groupby(announced, lambda each: self._creates_together(each[0])):
            size = self._connectors[side].capabilities.batch_size if side else 1
            while lot := list(islice(run, size)):
                yield lot

    def _creates_together(self, task: Task) -> Side | None:
        """The side on which the task may be made together with others."""
        actions = task.decision.actions
        if len(actions) != 1 or actions[0].op is not Op.CREATE:
            return None
        connector = self._connectors[actions[0].side]
        many = isinstance(connector, CreatesMany) and connector.capabilities.batch_size > 1
        return actions[0].side if many else None

    # -- calls (worker threads; no database) -------------------------------------------------------

    def _execute_lot(self, tasks: Sequence[Task]) -> list[_Result]:
        if self._abort is not None:
            return [_Result(task=t, decision=t.decision, error=self._abort) for t in tasks]
        made = self._create_together(tasks) if len(tasks) > 1 else {}
        return [self._execute(task, made) for task in tasks]

    def _create_together(self, tasks: Sequence[Task]) -> _Made:
        """Make the units of a lot with one call; what became of each, by its key."""
        actions = [task.decision.actions[0] for task in tasks]
        side = actions[0].side
        connector, calendar = self._connectors[side], self._link.endpoint(side).calendar
        assert isinstance(connector, CreatesMany)
        units = [(a.desired, self._key(a)) for a in actions if a.desired is not None]
        try:
            answers = connector.create_many(calendar, units)
        except Exception as error:  # noqa: BLE001 as for a single one
            return {key: error for _desired, key in units}
        return {key: answer for (_desired, key), answer in zip(units, answers, strict=True)}

    def _execute(self, task: Task, made: _Made) -> _Result:
        result = _Result(task=task, decision=task.decision)
        unit, seen = task.unit, dict(task.seen)
        for _round in range(CONFLICT_ROUNDS):
            side = self._try(result, made)
            if side is None:
                return result
            conflict = result.error
            if not isinstance(conflict, ConflictError):
                return result
            clashes: tuple[Clash, ...] = ()
            if (answer := result.answers.pop(side.other, None)) is not None:
                unit, clashes = _half_done(unit, seen, side, answer), result.decision.clashes
                seen[side.other] = answer
            if conflict.current is None and result.decision.makes(side):
                # The key belongs to the dead; a provider makes nothing under it any more.
                unit = replace(unit, generation=unit.generation + 1)
            else:
                seen[side] = conflict.current or GONE
            decision = result.task.again(unit, seen, self._rules)
            result.decision = replace(decision, clashes=clashes + decision.clashes)
        return result

    def _try(self, result: _Result, made: _Made) -> Side | None:
        """Make the calls that are still missing; returns the side on which one failed."""
        for action in result.decision.actions:
            if action.side in result.answers:
                continue
            try:
                answer = self._write(action, made)
            except Exception as error:  # noqa: BLE001 one bad unit must not stop the others
                result.error = error
                return action.side
            result.answers[action.side] = answer
            result.done.append((action, answer))
        result.error = None
        return None

    def _write(self, action: Action, made: _Made) -> Copy | None:
        connector = self._connectors[action.side]
        calendar = self._link.endpoint(action.side).calendar
        match action.op:
            case Op.CREATE:
                assert action.desired is not None
                key = self._key(action)
                copy = made.pop(key, None) or connector.create(calendar, action.desired, key)
                if isinstance(copy, Exception):
                    raise copy
                return self._complete(connector, calendar, copy, action)
            case Op.UPDATE:
                assert action.desired is not None
                assert action.base is not None
                answer = connector.update(calendar, action.base, action.desired)
                guarded = connector.capabilities.write_guard
                return answer if guarded else _own_part(action.base, action.desired, answer)
            case Op.DELETE:
                assert action.base is not None
                connector.delete(calendar, action.base)
                return None
            case _:
                return action.base

    def _complete(self, connector: Connector, calendar: str, copy: Copy, action: Action) -> Copy:
        """A create may have found what an earlier try had made; bring that up to date."""
        assert action.desired is not None
        missing = difference(copy.event, action.desired, action.side, self._rules)
        if not missing:
            return copy
        wanted = _onto(copy.event, action.desired, missing)
        return connector.update(calendar, copy, wanted)

    # -- results (calling thread) ------------------------------------------------------------------

    def _collect(self, running: _Running) -> None:
        finished, _pending = wait(running, return_when=FIRST_COMPLETED)
        # In the order of sending, so that the same course of events leaves the same rows.
        lots = [(f.result(), running.pop(f)) for f in list(running) if f in finished]
        books = _Books()
        for results, intents in lots:
            self._fault_counted = False
            for result, its_intents in zip(results, intents, strict=True):
                self._enter(books, result, its_intents)
        with self._store.begin() as tx:
            self._fence(tx)
            tx.put_units(books.rows)
            tx.journal(books.journal)
            tx.drop_intents(books.settled)
        self._progress(sum(len(results) for results, _intents in lots))

    def _enter(self, books: "_Books", result: _Result, intents: Sequence[Intent]) -> None:
        for action, answer in result.done:
            books.journal.append(self._entry(result, action, answer))
            self.counts.count(action.op)
        if not isinstance(result.error, OutcomeUnknownError):
            books.settled += [intent.id for intent in intents]
        if result.error is None:
            self._faults_in_a_row = 0
            row = _settled(result)
            if row is not None:
                books.rows.append(row)
        elif self._stops_link(result.error):
            self._abort = self._abort or result.error
        else:
            row = self._parked(result)
            books.rows.append(row)
            books.journal.append(self._failure(result, row))
            if row.retry_at is None:
                self.counts.count(Op.PARK)

    def _stops_link(self, error: Exception) -> bool:
        if isinstance(error, (ReauthorizeError, FatalError, ResyncError, RateLimitedError)):
            return True
        if error is self._abort:
            return True
        if isinstance(error, (RetryableError, OutcomeUnknownError)):
            if not self._fault_counted:
                # Whatever one call was for, it is one fault.
                self._fault_counted = True
                self._faults_in_a_row += 1
            return self._faults_in_a_row >= BREAKER
        return False

    def _parked(self, result: _Result) -> Unit:
        error, unit = result.error, _named(result.task)
        assert error is not None
        code, text = describe(error)
        final = isinstance(error, (RejectedError, UnmappableError)) or not isinstance(
            error, ConnectorError
        )
        attempts = unit.attempts + 1
        delay = min(RETRY_CAP, RETRY_BASE * 2 ** min(attempts - 1, 12))
        if not isinstance(error, (ConnectorError, UnmappableError)):
            self._log("unit parked by an unexpected fault", unit=unit.id, error=repr(error))
        return replace(
            unit,
            state=UnitState.PARKED,
            error_code=code,
            error=text,
            attempts=attempts,
            retry_at=None if final else self._now() + delay,
        )

    def _entry(self, result: _Result, action: Action, answer: Copy | None) -> JournalEntry:
        lost = {
            "/".join(clash.path): str(clash.lost)
            for clash in result.decision.clashes
            if clash.winner is not action.side
        }
        return JournalEntry(
            id=0,
            at=self._now(),
            run_id=self._run_id,
            link_id=self._link.id,
            unit_id=action.unit_id,
            side=action.side,
            op=action.op.value,
            cause=action.cause,
            title=action.title,
            before=jsonform.event_to_json(action.base.event) if action.base else None,
            after=jsonform.event_to_json(answer.event) if answer else None,
            lost=lost or None,
        )

    def _failure(self, result: _Result, row: Unit) -> JournalEntry:
        actions = result.decision.actions
        return JournalEntry(
            id=0,
            at=self._now(),
            run_id=self._run_id,
            link_id=self._link.id,
            unit_id=row.id,
            side=actions[0].side if actions else None,
            op="park" if row.retry_at is None else "retry",
            cause=f"{row.error_code}: {row.error}",
            title=actions[0].title if actions else "",
        )


def describe(error: Exception) -> tuple[str, str]:
    """A short code and one sentence for people; never a traceback, never a secret."""
    if isinstance(error, ConnectorError):
        return error.code or type(error).__name__.removesuffix("Error"), error.message
    if isinstance(error, UnmappableError):
        return error.code, error.detail
    return "INTERNAL", f"unexpected {type(error).__name__}; see the log"


def _named(task: Task) -> Unit:
    """The row with the refs of what was seen, so that a failure is remembered by name."""
    unit = task.unit
    for side, copy in task.seen.items():
        if isinstance(copy, Copy) and unit.ref(side) is None:
            if side is Side.A:
                unit = replace(unit, ref_a=copy.ref)
            else:
                unit = replace(unit, ref_b=copy.ref)
    return unit


def _ours(unit: Unit, action: Action) -> Event | None:
    """What our write alone makes of the side's shadow: somebody's edit that is still to travel
    from there stands in `desired` too, and must not pass for ours after a crash."""
    shadow = unit.copy(action.side)
    if shadow is None or action.base is None or action.desired is None:
        return action.desired
    return merge.transfer(action.base.event, action.desired, shadow.event, None)


def _half_done(unit: Unit, seen: Mapping[Side, Seen], failed: Side, answer: Copy) -> Unit:
    """The row as if one side's delta had arrived and been stored, the other's still being open."""
    shadow, now = unit.copy(failed.other), seen.get(failed.other)
    if shadow is not None and isinstance(now, Copy):
        still_open = merge.transfer(now.event, shadow.event, answer.event, None)
        unit = unit.with_copy(failed.other, replace(answer, event=still_open))
    arrived = seen.get(failed)
    return unit.with_copy(failed, arrived) if isinstance(arrived, Copy) else unit


def _settled(result: _Result) -> Unit | None:
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
    return result.task.finish(row)


def _own_part(base: Copy, desired: Event, answer: Copy) -> Copy:
    """The answer without what somebody else changed since `base` was read: without a guard a write
    goes through all the same, and its answer shows both."""
    happened = merge.changes(base.event, answer.event)
    foreign = happened.keys() - merge.changes(base.event, desired).keys()
    return replace(answer, event=merge.transfer(answer.event, base.event, answer.event, foreign))


def _onto(held: Event, desired: Event, missing: Mapping[tuple[str, ...], object]) -> Event:
    return merge.transfer(held, desired, held, missing.keys())
