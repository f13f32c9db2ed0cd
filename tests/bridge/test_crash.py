"""A process that dies anywhere, and is started again, ends where an undisturbed one ends.

Every scenario is run once without a crash, and then once for every place where a process can die:
before and after each call to a provider, before and after each commit. The dead process never
does anything again; a new one opens the same database. By day simple stories die at every third
place only, each beginning at another one.
"""

import copy
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import RLock
from typing import Any

import pytest

from bridge.config import EndpointConfig, LinkConfig
from bridge.records import Endpoint, Link, RunKind, Side, UnitState
from bridge.runtime import rules
from bridge.store import Store, Tx, open_store
from bridge.sync import LinkPass, Surroundings
from bridge.vault import Vault
from bridge.verify import verify
from connectors.capabilities import Capabilities
from connectors.errors import ConnectorError, OutcomeUnknownError, RetryableError
from connectors.memory import LOSSLESS, MemoryProvider, MemoryWorld
from connectors.memory.calendar import MemoryCalendar
from connectors.memory.world import Call
from connectors.testing.builders import cancelled, edited, event, moved
from mappings import identity, recurrence
from mappings.model import Event, Key
from mappings.policy import DeleteGuard, Direction, Policy

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
VAULT = Vault([Vault.generate_key()])
WRITES = ("create", "update", "delete")
ENDS = {side: Endpoint(connector=side.value, account="ann", calendar="c") for side in Side}
ONE_WAY = Policy(direction=Direction.TO_TARGET, delete_guard=DeleteGuard(count=50))
TWO_WAY = replace(ONE_WAY, direction=Direction.TWO_WAY)
GUARDED = replace(LOSSLESS, parallel_writes=1)
BARE = replace(
    LOSSLESS,
    parallel_writes=1,
    write_guard=False,
    find_by_key=False,
    whole_changes=False,
    reshape_refetch=True,
)
"""A provider that names single members, guards no write and looks nothing up."""


class Crash(BaseException):
    """The process dies here. No `except Exception` may survive it."""


class Fate:
    """Lets the process die at its n-th step; from then on it can do nothing any more."""

    def __init__(self, at: int | None = None) -> None:
        self._at = at
        self._dead = False
        self.steps = 0

    def step(self, _call: Call | None = None) -> None:
        self.steps += 1
        if self._dead or self.steps == self._at:
            self._dead = True
            raise Crash

    def rules(self, store: Store) -> None:
        """Every commit of the store becomes a place to die at, before it and after it."""
        begin = store.begin

        @contextmanager
        def mortal(**how: bool) -> Iterator[Tx]:
            with begin(**how) as tx:
                yield tx
                self.step()
            self.step()

        store.begin = mortal  # type: ignore[method-assign]


@dataclass
class Office:
    """Two services and a database: what outlives a process."""

    worlds: Mapping[Side, MemoryWorld]
    database: Path
    policy: Policy
    now: datetime = START

    def calendar(self, side: Side) -> MemoryCalendar:
        return self.worlds[side].calendar("ann", "c")

    def refs(self) -> dict[str, str]:
        """The refs on side A by title."""
        a = self.calendar(Side.A)
        return {a.event(ref).details.title: ref for ref in a.refs()}

    def clone(self, database: Path) -> "Office":
        """The same state once more, to be ruined."""
        shutil.copy(self.database, database)
        memo: dict[int, Any] = {id(world.lock): RLock() for world in self.worlds.values()}
        return replace(self, worlds=copy.deepcopy(self.worlds, memo), database=database)

    def run(self, fate: Fate | None = None) -> int:
        """One pass by a process of its own; returns its writes."""
        with self.process() as store:
            if fate is not None:
                fate.rules(store)
                for world in self.worlds.values():
                    world.before = world.after = fate.step
            try:
                return self.sync(store)
            finally:
                for world in self.worlds.values():
                    world.before = world.after = lambda call: None

    def sync(self, store: Store) -> int:
        """One pass, an hour after the last; returns its writes."""
        self.now += timedelta(hours=1)
        return self._pass(store).run(RunKind.SYNC).counts.writes

    def settle(self) -> None:
        """Passes until one writes nothing. That must come soon, and stay so."""
        with self.process() as store:
            assert any(self.sync(store) == 0 for _attempt in range(4))
            (link,) = store.links()
            assert store.intents(link.id) == []
            states = store.count_units(link.id)
            assert states[UnitState.PARKED] == 0
            assert states[UnitState.LIVE] == len(self.calendar(Side.A).refs())
            assert not verify(link, self._rules(), self._connectors(), store, self.now).differences

    def content(self) -> dict[Side, list[str]]:
        """Everything that people see, side by side, without the names that providers give."""
        calendars = {side: self.calendar(side) for side in Side}
        return {
            side: sorted(repr(calendar.event(ref)) for ref in calendar.refs())
            for side, calendar in calendars.items()
        }

    @contextmanager
    def process(self) -> Iterator[Store]:
        """What a process that was started now remembers."""
        store = open_store(f"sqlite:///{self.database}", vault=VAULT, now=lambda: self.now)
        try:
            yield store
        finally:
            store.close()

    def _connectors(self) -> dict[Side, Any]:
        return {s: MemoryProvider(s.value, self.worlds[s]).connect("ann") for s in Side}

    def _rules(self) -> Any:
        a, b = (
            EndpointConfig(connector=end.connector, account=end.account, calendar=end.calendar)
            for end in ENDS.values()
        )
        config = LinkConfig(
            name="ann/b", user="ann", a=a, b=b, policy=self.policy, place="", line=None
        )
        limits = {side: world.capabilities.limits for side, world in self.worlds.items()}
        return rules(config, limits, self.now)

    def _pass(self, store: Store) -> LinkPass:
        link = store.link("ann/b")
        if link is None:
            ends = [(end.connector, end.account, end.calendar) for end in ENDS.values()]
            uid = identity.link_uid(ends[0], ends[1])
            fresh = Link(id=0, uid=uid, name="ann/b", user="ann", a=ENDS[Side.A], b=ENDS[Side.B])
            with store.begin() as tx:
                link = tx.put_link(fresh)
        around = Surroundings(store=store, now=lambda: self.now, log=lambda *_a, **_f: None)
        return LinkPass(link, self._rules(), self._connectors(), around)


# -- what happens in an office ---------------------------------------------------------------------

MONDAY, TUESDAY, WEDNESDAY = (Key(f"2026-03-0{day}T09:00:00") for day in (2, 3, 4))


def series(title: str = "Standup") -> Event:
    """A daily series with an exception of each kind."""
    daily = event(title, rule="FREQ=DAILY;COUNT=8")
    special = edited(cancelled(daily, MONDAY), TUESDAY, title="Special")
    return moved(special, WEDNESDAY, start="2026-03-04T16:00")


def opening(office: Office) -> None:
    for content in (event("Lunch", "2026-03-03T12:00"), event("Holiday", "2026-03-05"), series()):
        office.calendar(Side.A).person_puts(content)


def creates_a_single(office: Office) -> None:
    office.calendar(Side.A).person_puts(event("Dentist", "2026-03-04T15:00"))


def creates_a_series_with_exceptions(office: Office) -> None:
    office.calendar(Side.A).person_puts(series("Review"))


def renames_a_single(office: Office) -> None:
    office.calendar(Side.A).person_edits(office.refs()["Lunch"], title="Dinner")


def renames_a_series(office: Office) -> None:
    office.calendar(Side.A).person_edits(office.refs()["Standup"], title="Sprint")


def moves_a_single(office: Office) -> None:
    office.calendar(Side.A).person_moves(office.refs()["Lunch"], "2026-03-06T18:00")


def moves_a_series(office: Office) -> None:
    office.calendar(Side.A).person_moves(office.refs()["Standup"], "2026-03-02T10:30")


def moves_an_occurrence(office: Office) -> None:
    key = Key("2026-03-05T09:00:00")
    office.calendar(Side.A).person_moves_occurrence(
        office.refs()["Standup"], key, "2026-03-05T20:00"
    )


def changes_three_occurrences(office: Office) -> None:
    a, ref = office.calendar(Side.A), office.refs()["Standup"]
    a.person_edits_occurrence(ref, Key("2026-03-05T09:00:00"), title="Fifth")
    a.person_reverts_occurrence(ref, TUESDAY)
    a.person_cancels_occurrence(ref, WEDNESDAY)


def shortens_a_rule(office: Office) -> None:
    def shorter(content: Event) -> Event:
        rule = recurrence.parse_rule("FREQ=DAILY;COUNT=5", content.when)
        return replace(content, rule=rule)

    office.calendar(Side.A).person_edits(office.refs()["Standup"], shorter)


def makes_a_single_recurring(office: Office) -> None:
    def weekly(content: Event) -> Event:
        return replace(content, rule=recurrence.parse_rule("FREQ=WEEKLY;COUNT=4", content.when))

    office.calendar(Side.A).person_edits(office.refs()["Lunch"], weekly)


def deletes_a_single(office: Office) -> None:
    office.calendar(Side.A).person_deletes(office.refs()["Lunch"])


def deletes_a_series(office: Office) -> None:
    office.calendar(Side.A).person_deletes(office.refs()["Standup"])


def does_everything_at_once(office: Office) -> None:
    creates_a_single(office)
    renames_a_series(office)
    office.calendar(Side.A).person_cancels_occurrence(office.refs()["Sprint"], WEDNESDAY)
    deletes_a_single(office)
    for number in range(3):
        office.calendar(Side.A).person_puts(event(f"Mass {number}", "2026-03-06T09:00"))


def loses_its_cursors(office: Office) -> None:
    for side in Side:
        office.calendar(side).void_cursors()
    renames_a_single(office)
    deletes_a_series(office)


ONE_WAY_STORIES: tuple[Callable[[Office], None], ...] = (
    creates_a_single,
    creates_a_series_with_exceptions,
    renames_a_single,
    renames_a_series,
    moves_a_single,
    moves_a_series,
    moves_an_occurrence,
    changes_three_occurrences,
    shortens_a_rule,
    makes_a_single_recurring,
    deletes_a_single,
    deletes_a_series,
    does_everything_at_once,
    loses_its_cursors,
)


def on_b(office: Office, title: str) -> str:
    b = office.calendar(Side.B)
    return next(ref for ref in b.refs() if b.event(ref).details.title == title)


def both_create(office: Office) -> None:
    creates_a_single(office)
    office.calendar(Side.B).person_puts(series("Theirs"))


def both_edit_the_same_events(office: Office) -> None:
    office.calendar(Side.B).person_moves(on_b(office, "Lunch"), "2026-03-06T18:00")
    office.calendar(Side.B).person_moves_occurrence(
        on_b(office, "Standup"), Key("2026-03-06T09:00:00"), "2026-03-06T20:00"
    )
    renames_a_single(office)
    renames_a_series(office)


def one_edits_what_the_other_deletes(office: Office) -> None:
    office.calendar(Side.B).person_deletes(on_b(office, "Lunch"))
    renames_a_single(office)
    office.calendar(Side.B).person_edits(on_b(office, "Standup"), title="Kept")
    deletes_a_series(office)


def the_other_side_deletes(office: Office) -> None:
    office.calendar(Side.B).person_deletes(on_b(office, "Holiday"))


TWO_WAY_STORIES: tuple[Callable[[Office], None], ...] = (
    both_create,
    both_edit_the_same_events,
    one_edits_what_the_other_deletes,
    the_other_side_deletes,
)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Capabilities, Policy], Office]:
    """Offices in which the opening stands on both sides, made once per kind."""
    made: dict[tuple[bool, Direction], Office] = {}

    def base(capabilities: Capabilities, policy: Policy) -> Office:
        kind = capabilities.find_by_key, policy.direction
        if kind not in made:
            made[kind] = _office(tmp_path_factory.mktemp("base") / "b.db", capabilities, policy)
            opening(made[kind])
            made[kind].settle()
        return made[kind]

    return base


def _office(database: Path, capabilities: Capabilities, policy: Policy) -> Office:
    worlds = {side: MemoryWorld(capabilities, page_size=4, now=lambda: START) for side in Side}
    for world in worlds.values():
        world.add_calendar("ann", "c")
    return Office(worlds, database, policy)


def sweep(start: Office, tmp_path: Path, first: int = 1, every: int = 1) -> None:
    """Die at every step of the pass, or at some, each time from the same start, until a pass is
    through alive. How many steps it has is not always the same: results that arrive together are
    committed together."""
    undisturbed = start.clone(tmp_path / "undisturbed.db")
    whole = Fate()
    undisturbed.run(whole)
    undisturbed.settle()
    expected = undisturbed.content()
    assert whole.steps > 8
    steps = count(first, every)
    alive = False
    while not alive:
        step = next(steps)
        office, fate = start.clone(tmp_path / f"{step}.db"), Fate(step)
        with suppress(Crash):
            office.run(fate)
            alive = True
            assert fate.steps < step, "it died and went on"
        office.settle()
        assert office.content() == expected, f"died at step {step}"


CASES = [
    *((story, ONE_WAY, BARE) for story in ONE_WAY_STORIES),
    *((story, TWO_WAY, BARE) for story in TWO_WAY_STORIES),
    (creates_a_series_with_exceptions, ONE_WAY, GUARDED),
    (changes_three_occurrences, ONE_WAY, GUARDED),
    (both_edit_the_same_events, TWO_WAY, GUARDED),
    (one_edits_what_the_other_deletes, TWO_WAY, GUARDED),
]


RICH = (
    creates_a_series_with_exceptions,
    does_everything_at_once,
    both_edit_the_same_events,
    one_edits_what_the_other_deletes,
)
NAMED = {
    f"{story.__name__}-{'guarded' if c is GUARDED else 'bare'}": (story, policy, c)
    for story, policy, c in CASES
}


@pytest.mark.parametrize("name", NAMED)
def test_death_at_a_step_changes_nothing_in_the_end(
    bases: Callable[[Capabilities, Policy], Office], tmp_path: Path, name: str
) -> None:
    story, policy, capabilities = NAMED[name]
    start = bases(capabilities, policy).clone(tmp_path / "start.db")
    story(start)
    if story in RICH:
        sweep(start, tmp_path)
    else:
        sweep(start, tmp_path, first=1 + list(NAMED).index(name) % 3, every=3)


@pytest.mark.nightly
@pytest.mark.parametrize("name", [name for name in NAMED if NAMED[name][0] not in RICH])
def test_death_at_any_step_changes_nothing_in_the_end(
    bases: Callable[[Capabilities, Policy], Office], tmp_path: Path, name: str
) -> None:
    story, policy, capabilities = NAMED[name]
    start = bases(capabilities, policy).clone(tmp_path / "start.db")
    story(start)
    sweep(start, tmp_path)


@pytest.mark.parametrize("capabilities", [GUARDED, BARE], ids=["guarded", "bare"])
def test_death_at_any_step_of_the_first_copy_leaves_no_double(
    tmp_path: Path, capabilities: Capabilities
) -> None:
    start = _office(tmp_path / "start.db", capabilities, ONE_WAY)
    with start.process():
        opening(start)
    sweep(start, tmp_path)


# -- calls that fail instead -----------------------------------------------------------------------


@pytest.mark.parametrize("capabilities", [GUARDED, BARE], ids=["guarded", "bare"])
@pytest.mark.parametrize(
    ("moment", "error", "operations"),
    [
        ("before", RetryableError("try again"), None),
        ("after", OutcomeUnknownError("the answer was lost"), WRITES),
    ],
    ids=["refused", "answer lost"],
)
def test_any_one_call_may_fail(
    bases: Callable[[Capabilities, Policy], Office],
    tmp_path: Path,
    moment: str,
    error: ConnectorError,
    operations: tuple[str, ...] | None,
    capabilities: Capabilities,
) -> None:
    start = bases(capabilities, ONE_WAY).clone(tmp_path / "start.db")
    does_everything_at_once(start)
    undisturbed = start.clone(tmp_path / "undisturbed.db")
    undisturbed.settle()
    number = 0
    while True:
        number += 1
        office = start.clone(tmp_path / f"{number}.db")
        fault = Fault(number, error, operations)
        for world in office.worlds.values():
            setattr(world, moment, fault)
        try:
            office.run()
        except ConnectorError:
            assert fault.struck
        office.settle()
        assert office.content() == undisturbed.content(), f"call {number}"
        if not fault.struck:
            break
    assert number > 6


class Fault:
    """Fails the n-th call, once."""

    def __init__(
        self, number: int, error: ConnectorError, operations: tuple[str, ...] | None
    ) -> None:
        self._left = number
        self._error = error
        self._operations = operations
        self.struck = False

    def __call__(self, call: Call) -> None:
        if self._operations and call.operation not in self._operations:
            return
        self._left -= 1
        if self._left == 0:
            self.struck = True
            raise self._error
