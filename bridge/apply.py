"""Carries decisions out: intent, call, result, each durable before the next.

An intent is committed before its call is made, and goes away in the same transaction that stores
what the provider answered. Found after a crash it is looked up, never blindly repeated. Calls run
in parallel as far as the provider permits; only the calling thread touches the database.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby, islice

from bridge.backoff import backoff
from bridge.breaker import blaming
from bridge.claims import giving_way
from bridge.decision import Action, Decision, Rules
from bridge.records import Intent, JournalEntry, Link, Op, Side, Unit, UnitState
from bridge.store import Store, Tx
from bridge.task import (
    Counts,
    Result,
    Task,
    begun,
    describe,
    ours,
    own_part,
    settled,
    swallowed,
)
from bridge.travel import difference
from connectors.contract import Connector, Copy, CreatesMany, LeavesBehind
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

CONFLICT_ROUNDS = 4
RETRY_BASE = timedelta(seconds=30)
RETRY_CAP = timedelta(hours=6)
BREAKER = 5
"""So many passing faults in a row mean that the provider is down, not that a unit is unlucky."""


_Running = dict[Future[list[Result]], list[list[Intent]]]
"""Lots on their way, with the open intents of each task."""
_Made = dict[str, Copy | Exception]
"""What one call for several units made, by create key."""


@dataclass(slots=True)
class _Books:
    """What a few results change in the database: written together. `joined` are the rows that got
    a new name on a side."""

    rows: list[Unit] = field(default_factory=list)
    joined: dict[Side, list[Unit]] = field(default_factory=lambda: {side: [] for side in Side})
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
        random: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._workers = workers
        self._random = random
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
                        self._collect(running, pool)
                while running:
                    self._collect(running, pool)
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
        rows = [row for task in quiet if (row := task.decision.unit) and row != task.unit]
        rows += map(begun, loud)
        stored = {task.unit.id: task.unit for task in tasks}
        new = {side: [row for row in rows if _is_new(stored[row.id], row, side)] for side in Side}
        yielded = self._giving_way(new)
        with self._store.begin() as tx:
            self._fence(tx)
            tx.put_units([*yielded, *rows])
            intents = tx.add_intents(
                [
                    self._intent(task, begun(task), task.decision, action)
                    for task in loud
                    for action in task.decision.actions
                ]
            )
        self._progress(len(quiet))
        remaining = iter(intents)
        for task in loud:
            yield task, list(islice(remaining, len(task.decision.actions)))

    def _intent(self, task: Task, unit: Unit, decision: Decision, action: Action) -> Intent:
        """`unit` is what is known for certain when it comes to settling the intent."""
        desired = None if task.as_edit else ours(unit, action)
        return Intent(
            id=0,
            link_id=self._link.id,
            run_id=self._run_id,
            unit_id=action.unit_id,
            side=action.side,
            op=action.op,
            key=self._key(action),
            desired=jsonform.event_to_json(desired) if desired else None,
            lost=_lost(decision, action) or _deleted(unit, action),
            at=self._now(),
        )

    def _key(self, action: Action) -> str:
        if action.restores:
            end = self._link.endpoint(action.side)
            return identity.restore_key(
                end.connector, end.calendar, action.restores, action.generation
            )
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
        many = connector.capabilities.batch_size > 1 and isinstance(connector, CreatesMany)
        return actions[0].side if many else None

    # -- calls (worker threads; no database) -------------------------------------------------------

    def _execute_lot(self, tasks: Sequence[Task]) -> list[Result]:
        if self._abort is not None:
            return [Result.of(task, self._abort) for task in tasks]
        made = self._create_together(tasks) if len(tasks) > 1 else {}
        return [self._execute(Result.of(task), made) for task in tasks]

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

    def _execute(self, result: Result, made: _Made) -> Result:
        """Make the calls; where a side turns out to be another than was believed, only decide."""
        result.anew = None
        if self._abort is not None:
            result.error = self._abort
            return result
        side = self._try(result, made)
        conflict = result.error
        left = result.conflicts + 1 < CONFLICT_ROUNDS
        if left and side is not None and isinstance(conflict, ConflictError):
            result.decide_anew(side, conflict, self._rules)
        return result

    def _try(self, result: Result, made: _Made) -> Side | None:
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
        with blaming(self._link.endpoint(action.side)):
            return self._call(action, made)

    def _call(self, action: Action, made: _Made) -> Copy | None:
        connector = self._connectors[action.side]
        calendar = self._link.endpoint(action.side).calendar
        match action.op:
            case Op.CREATE:
                assert action.desired is not None
                if action.remains is not None and isinstance(connector, LeavesBehind):
                    connector.clear(calendar, action.remains)
                key = self._key(action)
                copy = made.pop(key, None) or connector.create(calendar, action.desired, key)
                if isinstance(copy, Exception):
                    raise copy
                return self._complete(copy, action)
            case Op.UPDATE:
                assert action.desired is not None
                assert action.base is not None
                if connector.capabilities.write_guard:
                    return connector.update(calendar, action.base, action.desired)
                answer = connector.update(calendar, action.base, action.desired)
                if swallowed(action.base, action.desired, answer):
                    raise ConflictError("what was written to has gone meanwhile", current=answer)
                return own_part(action.base, action.desired, answer)
            case Op.DELETE:
                assert action.base is not None
                connector.delete(calendar, action.base)
                return None
            case _:
                return action.base

    def _complete(self, copy: Copy, action: Action) -> Copy:
        """A create may have found what an earlier try had made, or another worker that thinks the
        link is his: that is looked at before it is written over."""
        assert action.desired is not None
        if difference(copy.event, action.desired, action.side, self._rules):
            raise ConflictError("an earlier attempt made it otherwise", current=copy)
        return copy

    # -- results (calling thread) ------------------------------------------------------------------

    def _collect(self, running: _Running, pool: Executor) -> None:
        finished, _pending = wait(running, return_when=FIRST_COMPLETED)
        # In the order of sending, so that the same course of events leaves the same rows.
        lots = [(f.result(), running.pop(f)) for f in list(running) if f in finished]
        books = _Books()
        anew: list[tuple[Result, list[Intent]]] = []
        for results, intents in lots:
            self._fault_counted = False
            for result, its_intents in zip(results, intents, strict=True):
                if result.anew is not None:
                    anew.append((result, its_intents))
                else:
                    self._enter(books, result, its_intents)
        yielded = self._giving_way(books.joined)
        with self._store.begin() as tx:
            self._fence(tx)
            tx.put_units([*yielded, *books.rows])
            tx.journal(books.journal)
            tx.drop_intents(books.settled)
            again = [(result, self._announce_anew(tx, result, its)) for result, its in anew]
        self._progress(sum(len(results) for results, _intents in lots) - len(anew))
        for result, its_intents in again:
            running[pool.submit(self._go_on, result)] = [its_intents]

    def _announce_anew(self, tx: Tx, result: Result, intents: Sequence[Intent]) -> list[Intent]:
        """The intents after a decision was made anew: of what has been done, and of what is to be
        done now."""
        task, decision = result.task, result.decision
        found = not any(a.op is Op.CREATE for a in decision.actions)
        done = [
            intent
            for intent in intents
            # Nothing but the create tells that what it found is ours.
            if intent.side is not result.anew or (found and intent.op is Op.CREATE)
        ]
        tx.drop_intents([intent.id for intent in intents if intent not in done])
        # Settled one after the other, each begins where the one before has ended.
        known = {intent.side: result.unit for intent in done}
        return done + tx.add_intents(
            [
                self._intent(task, known.get(action.side, begun(task)), decision, action)
                for action in decision.actions
            ]
        )

    def _go_on(self, result: Result) -> list[Result]:
        return [self._execute(result, {})]

    def _giving_way(self, named: Mapping[Side, Sequence[Unit]]) -> list[Unit]:
        return [
            row
            for side, rows in named.items()
            if rows
            for row in giving_way(self._store, self._link, side, rows)
        ]

    def _enter(self, books: "_Books", result: Result, intents: Sequence[Intent]) -> None:
        for action, answer in result.done:
            books.journal.append(self._entry(result, action, answer))
            if action.op is not Op.ADOPT:
                self.counts.count(action.op)
        open_ = self._open(result, intents)
        books.settled += [intent.id for intent in intents if intent.side not in open_]
        if result.error is None:
            self._faults_in_a_row = 0
            row = settled(result)
            if row is not None:
                books.rows.append(row)
                for side in {action.side for action, _answer in result.done}:
                    if _is_new(result.task.unit, row, side):
                        books.joined[side].append(row)
                if row.home is None and result.task.unit.a is result.task.unit.b is None:
                    self.counts.count(Op.ADOPT)
        elif self._stops_link(result.error):
            self._abort = self._abort or result.error
        else:
            row = self._parked(result)
            books.rows.append(row)
            books.journal.append(self._failure(result, row))
            if row.retry_at is None:
                self.counts.count(Op.PARK)

    def _open(self, result: Result, intents: Sequence[Intent]) -> Collection[Side]:
        """The sides on which the next pass has to look what became of a task. Where one of two
        writes failed, the row is left as it was, and does not know of the other one either, nor of
        what a create has found."""
        if self._may_stand(result):
            return set(Side)
        if result.error is None or result.task.as_edit:
            return ()
        found = [intent for intent in intents if intent.op is Op.CREATE and result.conflicts]
        return {intent.side for intent in found} | {action.side for action, _answer in result.done}

    def _may_stand(self, result: Result) -> bool:
        """Whether a failed task may have left something behind: always where the answer was lost,
        and a change that broke off half way, where nothing can be looked up."""
        if isinstance(result.error, RetryableError):
            return any(
                action.op is Op.UPDATE
                and not self._connectors[action.side].capabilities.find_by_key
                for action in result.decision.actions
            )
        return isinstance(result.error, OutcomeUnknownError)

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

    def _parked(self, result: Result) -> Unit:
        error, unit = result.error, begun(result.task)
        assert error is not None
        code, text = describe(error)
        final = isinstance(error, (RejectedError, UnmappableError)) or not isinstance(
            error, ConnectorError
        )
        attempts = unit.attempts + 1
        delay = backoff(attempts, base=RETRY_BASE, cap=RETRY_CAP, random=self._random)
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

    def _entry(self, result: Result, action: Action, answer: Copy | None) -> JournalEntry:
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
            lost=_lost(result.decision, action),
        )

    def _failure(self, result: Result, row: Unit) -> JournalEntry:
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


def _is_new(unit: Unit, row: Unit, side: Side) -> bool:
    """Whether another row may have the name that this one has on that side: not if something of
    it stood there before under that name."""
    return unit.copy(side) is None or unit.ref(side) != row.ref(side)


def _lost(decision: Decision, action: Action) -> dict[str, str] | None:
    """What the action overrules on its side, by path; None if nothing."""
    lost = {
        "/".join(clash.path): str(clash.lost)
        # Of two, the first: in between stood what we had written.
        for clash in reversed(decision.clashes)
        if clash.winner is not action.side
    }
    return lost or None


def _deleted(unit: Unit, action: Action) -> dict[str, str] | None:
    """The edits that a deletion takes along, by path."""
    shadow = unit.copy(action.side)
    if action.op is not Op.DELETE or action.base is None or shadow is None:
        return None
    edits = merge.changes(shadow.event, action.base.event)
    return {"/".join(path): str(change.after) for path, change in edits.items()} or None
