"""Two calendars, the people who use them, and the bridge that is started, killed and started."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from bridge.config import EndpointConfig, LinkConfig
from bridge.decision import Rules
from bridge.records import Endpoint, Link, RunKind, Side
from bridge.runtime import rules
from bridge.simulation.faults import WRITES, Faults, Lister
from bridge.simulation.history import Break, Step
from bridge.simulation.ledger import Ledger, name_of, words
from bridge.simulation.memory import MemoryDatabase, SameThread, new_database, open_again
from bridge.simulation.people import People
from bridge.simulation.worlds import ACCOUNT, CALENDAR, Likeness
from bridge.store import Store, Tx
from bridge.sync import LinkPass, Outcome, Surroundings
from connectors.contract import Connector
from connectors.errors import ConnectorError
from connectors.memory import Call, MemoryCalendar, MemoryWorld
from mappings import identity
from mappings.policy import Policy

BEGINNING = datetime(2026, 3, 1, 12, tzinfo=UTC)
LINK = "ann/b"
ENDS = {side: Endpoint(connector=side.value, account=ACCOUNT, calendar=CALENDAR) for side in Side}


class SimulatedCrash(BaseException):
    """The process dies here. No `except Exception` may survive it."""


class LeaseLost(Exception):  # noqa: N818 - as the job engine's own
    """Another worker has taken the link over meanwhile."""


@dataclass(slots=True)
class Report:
    """How a pass ended, and what it did."""

    writes: int = 0
    held: str = ""
    ended: str = "ok"


@dataclass(slots=True)
class _Process:
    """One worker's pass: where it is, and what is still to come between."""

    breaks: list[Break]
    owner: int
    at: int = 0
    dead: bool = False


@dataclass(slots=True)
class Office:
    """Everything that outlives a process, and the way to run one."""

    kinds: Mapping[Side, Likeness]
    policy: Policy
    now: datetime = BEGINNING
    trace: list[str] = field(default_factory=list)
    owner: int = 0
    faults: Faults = field(default_factory=Faults)
    worlds: dict[Side, MemoryWorld] = field(init=False)
    database: MemoryDatabase = field(init=False)
    people: People = field(init=False)
    steps: int = 0
    raced: int = 0
    meanwhile: set[int] = field(default_factory=set)
    looked: dict[str, set[str]] = field(default_factory=dict)
    shown: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.worlds = {side: kind.world(lambda: self.now) for side, kind in self.kinds.items()}
        self.database = new_database()
        calendars = {side: self.calendar(side) for side in Side}
        self.people = People(
            calendars,
            Ledger(content=self.policy.content, carried=self.policy.content),
            lambda: self.now,
        )

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()

    def calendar(self, side: Side) -> MemoryCalendar:
        """What a person sees on that side."""
        return self.worlds[side].calendar(ACCOUNT, CALENDAR)

    def connectors(self) -> dict[Side, Connector]:
        """Sessions for the bridge, with the faults that reach listings."""
        return {
            side: Lister(self.kinds[side].connect(self.worlds[side]), side, self.faults)
            for side in Side
        }

    def rules(self) -> Rules:
        """What the link's decisions depend on, as of now."""
        a, b = (
            EndpointConfig(connector=end.connector, account=end.account, calendar=end.calendar)
            for end in ENDS.values()
        )
        config = LinkConfig(
            name=LINK, user="ann", a=a, b=b, policy=self.policy, place="", line=None
        )
        limits = {side: kind.limits for side, kind in self.kinds.items()}
        return rules(config, limits, self.now)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store as a process finds it that starts now."""
        yield open_again(self.database, lambda: self.now)

    def link(self, store: Store) -> Link:
        """The link's row."""
        link = store.link(LINK)
        if link is None:
            ends = [(end.connector, end.account, end.calendar) for end in ENDS.values()]
            uid = identity.link_uid(ends[0], ends[1])
            fresh = Link(id=0, uid=uid, name=LINK, user="ann", a=ENDS[Side.A], b=ENDS[Side.B])
            with store.begin() as tx:
                link = tx.put_link(fresh)
        return link

    # -- what happens --------------------------------------------------------------------------

    def happen(self, step: Step) -> Report | None:
        """Let one step of a history happen; a pass tells how it went."""
        self.now += timedelta(minutes=1)
        match step.do:
            case "pass" | "full pass":
                return self.run(step)
            case "expire cursors":
                self.calendar(step.side).void_cursors()
            case "wait":
                self.now += timedelta(days=step.chance().choice((1, 30)))
            case "change policy":
                self._change_policy(step)
            case _:
                self._note(f"{step}: {self._deed(step)}")
        return None

    def run(self, step: Step, *, approved: bool = False) -> Report:
        """One pass by a process of its own, an hour after whatever was before."""
        self.now += timedelta(hours=1)
        self.meanwhile.clear()
        for item in step.breaks:
            if item.at == 0:
                self.faults.listing = (step.side, item.what, step.seed)
        breaks = [item for item in step.breaks if item.at]
        report = self._pass(breaks, full=step.do == "full pass", approved=approved)
        self.faults.listing = None
        self.people.ledger.pass_ran(well=report.ended == "ok")
        self._note(f"{step}: {report.ended} {report.held}")
        return report

    def _pass(self, breaks: list[Break], *, full: bool, approved: bool = False) -> Report:
        self.owner += 1
        process = _Process(breaks, self.owner)
        outer = [(world, world.before, world.after) for world in self.worlds.values()]
        for side, world in self.worlds.items():
            world.before = self._hook(process, side, "before")
            world.after = self._hook(process, side, "after")
        report = Report()
        try:
            with self.store() as store:
                self._make_mortal(store, process)
                outcome = self._run(store, process, full=full, approved=approved)
            report.writes, report.held = outcome.counts.writes, outcome.held
        except ConnectorError as error:
            report.ended = f"{type(error).__name__}: {error}"
        except SimulatedCrash:
            report.ended = "crash"
        except LeaseLost:
            report.ended = "lease lost"
        finally:
            for world, before, after in outer:
                world.before, world.after = before, after
        return report

    def _run(self, store: Store, process: _Process, *, full: bool, approved: bool) -> Outcome:
        def fence(_tx: Tx) -> None:
            if self.owner != process.owner:
                raise LeaseLost

        around = Surroundings(
            store=store,
            now=lambda: self.now,
            log=lambda message, **facts: self._note(f"  log: {message} {facts}"),
            fence=fence,
            workers=lambda _width: SameThread(),
        )
        link = self.link(store)
        link_pass = LinkPass(
            link, self.rules(), self.connectors(), around, full=full, approved=approved
        )
        return link_pass.run(RunKind.SYNC)

    # -- what comes between --------------------------------------------------------------------

    def _make_mortal(self, store: Store, process: _Process) -> None:
        """Every commit becomes a place to die at, before it and after it."""
        begin = store.begin

        @contextmanager
        def mortal(*, durable: bool = True) -> Iterator[Tx]:
            with begin(durable=durable) as tx:
                yield tx
                self._meet(process, None, None, "before")
            self._meet(process, None, None, "after")

        store.begin = mortal  # type: ignore[method-assign]

    def _hook(self, process: _Process, side: Side, moment: str) -> Callable[[Call], None]:
        return lambda call: self._meet(process, side, call, moment)

    def _meet(self, process: _Process, side: Side | None, call: Call | None, moment: str) -> None:
        """One place where something may come between."""
        process.at += 1
        self.steps += 1
        if call is not None and side is not None:
            if moment == "before":
                self._note(f"  {side.value} {call.operation} {call.ref or call.key[:8]}")
            else:
                self._watch(side, call, moment)
        if process.dead:
            raise SimulatedCrash
        for item in [item for item in process.breaks if item.at <= process.at]:
            if self._break(process, item, call, moment):
                process.breaks.remove(item)
        if call is not None and side is not None and moment == "before":
            self._watch(side, call, moment)  # after whatever came between, so that it is seen

    def _watch(self, side: Side, call: Call, moment: str) -> None:
        """A write that no guard stops can hit what somebody wrote between the look at what is to be
        overwritten and the write: nobody could know, so nobody is to blame."""
        if self.kinds[side].capabilities.write_guard:
            return
        calendar = self.calendar(side)
        shown = words(calendar.event(call.ref)) if call.ref in calendar.refs() else set[str]()
        if call.operation == "fetch" and moment == "after":
            self.looked[call.ref] = shown
        if call.operation not in ("update", "delete"):
            return
        if moment == "before":
            self.shown[call.ref] = shown - self.looked.pop(call.ref, set())
            return
        ledger = self.people.ledger
        for word in self.shown.pop(call.ref, set()) - shown:
            if word in ledger.written and ledger.written[word].n in self.meanwhile:
                self._race({word})

    def _break(self, process: _Process, item: Break, call: Call | None, moment: str) -> bool:
        """What comes between happens, if this is a place for it; raises what the pass meets."""
        if item.what == "crash":
            process.dead = True
            self._note(f"  crash {moment} {call.operation if call else 'commit'}")
            raise SimulatedCrash
        if call is None:
            return False
        if item.step is not None:
            self.meanwhile.add(item.step.n)
            self._note(f"  meanwhile {item.step}: {self._deed(item.step)}")
            return True
        if item.what == "rival":
            if moment == "before" and call.operation in WRITES:
                return False  # a write in its flight is beyond any lease
            process.breaks.remove(item)
            report = self._pass([], full=False)
            self._note(f"  another worker: {report.ended} {report.held}")
            process.breaks.append(item)
            return True
        error = self.faults.error(item.what, call, moment)
        if error is None:
            return False
        self._note(f"  {item.what} {moment} {call.operation}")
        process.breaks.remove(item)
        raise error

    def _deed(self, step: Step) -> str:
        """What somebody writes to a copy of which the bridge has not heard yet that it was made
        cannot be told from the provider's own way to put it, where nothing tells the time."""
        ref = self.people.act(step)
        with self.store() as store:
            known = {name for name, _unit in store.refs(self.link(store).id, step.side)}
        event = (
            self.calendar(step.side).event(ref) if ref in self.calendar(step.side).refs() else None
        )
        born = self.people.ledger.born.get(name_of(event) or 0) if event else None
        if event is not None and ref not in known and born is step.side.other:
            self._race(
                {item.word for item in self.people.ledger.written.values() if item.n == step.n}
            )
        return ref

    def _race(self, words_: set[str]) -> None:
        self.people.ledger.replaced |= words_
        self.raced += len(words_)

    def _change_policy(self, step: Step) -> None:
        content = step.chance().choice([*type(self.policy.content)])
        self.policy = replace(self.policy, content=content)
        self.people.ledger.content = content
        self._note(f"{step}: {content}")

    def _note(self, text: str) -> None:
        self.trace.append(text)
