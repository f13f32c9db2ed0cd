"""What a run did is taken back, once, and nobody does it again by himself."""

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Any

import pytest

from bridge.config import EndpointConfig, LinkConfig
from bridge.deeds import Undone
from bridge.records import Endpoint, Link, RunKind, Side, Unit, UnitState
from bridge.runtime import rules
from bridge.store import Store, Tx, open_store
from bridge.sync import LinkPass, Outcome, Surroundings
from bridge.undo import Undo
from bridge.vault import Vault
from bridge.verify import Comparison, verify
from connectors.errors import RetryableError
from connectors.memory import LOSSLESS, MemoryProvider, MemoryWorld
from connectors.memory.calendar import MemoryCalendar
from connectors.memory.world import Call
from connectors.testing.builders import event
from mappings import identity
from mappings.model import Event, Key
from mappings.policy import Content, DeleteGuard, Direction, Filters, Policy

VAULT = Vault([Vault.generate_key()])
ENDS = {side: Endpoint(connector=side.value, account="ann", calendar="c") for side in Side}
ONE_WAY = Policy(direction=Direction.TO_TARGET, delete_guard=DeleteGuard(count=50))
TWO_WAY = replace(ONE_WAY, direction=Direction.TWO_WAY)
BARE = replace(LOSSLESS, write_guard=False, find_by_key=False, whole_changes=False)


class Crash(BaseException):
    """The process dies here."""


@dataclass
class Office:
    """Two calendars, a link between them, and its database."""

    database: Path
    policy: Policy = ONE_WAY
    worlds: dict[Side, MemoryWorld] = field(
        default_factory=lambda: {side: MemoryWorld() for side in Side}
    )
    now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)
    die_at: int | None = None
    steps: int = 0

    def __post_init__(self) -> None:
        for world in self.worlds.values():
            world.add_calendar("ann", "c")
            world.now = lambda: self.now

    @property
    def a(self) -> MemoryCalendar:
        return self.worlds[Side.A].calendar("ann", "c")

    @property
    def b(self) -> MemoryCalendar:
        return self.worlds[Side.B].calendar("ann", "c")

    def titles(self, side: Side = Side.B) -> list[str]:
        calendar = self.worlds[side].calendar("ann", "c")
        return sorted(calendar.event(ref).details.title for ref in calendar.refs())

    def copy_of(self, title: str, side: Side = Side.B) -> str:
        calendar = self.worlds[side].calendar("ann", "c")
        return next(r for r in calendar.refs() if calendar.event(r).details.title == title)

    @contextmanager
    def process(self) -> Iterator[Store]:
        store = open_store(f"sqlite:///{self.database}", vault=VAULT, now=lambda: self.now)
        try:
            yield store
        finally:
            store.close()

    def sync(self, *, full: bool = False) -> Outcome:
        self.now += timedelta(hours=1)
        with self.process() as store:
            link = self.link(store)
            around = Surroundings(store=store, now=lambda: self.now, log=lambda *_a, **_f: None)
            kind = RunKind.SYNC
            return LinkPass(link, self.rules(), self.connectors(), around, full=full).run(kind)

    def undo(self, run: int | None = None, **options: bool) -> Undone:
        """Take a run back, by default the last that wrote something."""
        self.now += timedelta(hours=1)
        with self.process() as store:
            self._mortal(store)
            return self._undo(store, run, **options).run()

    def preview(self, run: int | None = None, **options: bool) -> Undone:
        with self.process() as store:
            return self._undo(store, run, **options).preview()

    def _undo(self, store: Store, run: int | None, **options: bool) -> Undo:
        link = self.link(store)
        number = run or self.last(store)
        found = store.run(number)
        assert found is not None
        around = Surroundings(store=store, now=lambda: self.now, log=lambda *_a, **_f: None)
        return Undo(link, self.rules(), self.connectors(), around, found, **options)

    def last(self, store: Store) -> int:
        return store.journal(limit=1)[0].run_id

    def last_run(self) -> int:
        with self.process() as store:
            return self.last(store)

    def unit(self, title: str) -> Unit:
        with self.process() as store:
            (found,) = store.find_units(title)
            return found

    def units(self) -> list[Unit]:
        with self.process() as store:
            return list(store.units(self.link(store).id))

    def verify(self) -> Comparison:
        with self.process() as store:
            return verify(self.link(store), self.rules(), self.connectors(), store, self.now)

    def quiet(self) -> None:
        """Nothing is left to do: neither for changes nor for everything."""
        for full in (False, True, False):
            outcome = self.sync(full=full)
            assert (outcome.counts.writes, outcome.held) == (0, "")
        for world in self.worlds.values():
            assert world.mails == []

    def link(self, store: Store) -> Link:
        known = store.link("ann/b")
        if known is not None:
            return known
        ends = [(end.connector, end.account, end.calendar) for end in ENDS.values()]
        uid = identity.link_uid(ends[0], ends[1])
        with store.begin() as tx:
            return tx.put_link(
                Link(id=0, uid=uid, name="ann/b", user="ann", a=ENDS[Side.A], b=ENDS[Side.B])
            )

    def connectors(self) -> dict[Side, Any]:
        return {s: MemoryProvider(s.value, self.worlds[s]).connect("ann") for s in Side}

    def rules(self) -> Any:
        a, b = (
            EndpointConfig(connector=end.connector, account=end.account, calendar=end.calendar)
            for end in ENDS.values()
        )
        config = LinkConfig(
            name="ann/b", user="ann", a=a, b=b, policy=self.policy, place="", line=None
        )
        limits = {side: world.capabilities.limits for side, world in self.worlds.items()}
        return rules(config, limits, self.now)

    # -- dying ---------------------------------------------------------------------------------

    def clone(self, database: Path, die_at: int | None) -> "Office":
        shutil.copy(self.database, database)
        memo: dict[int, Any] = {id(world.lock): RLock() for world in self.worlds.values()}
        for world in self.worlds.values():
            world.now = datetime.now
        worlds = copy.deepcopy(self.worlds, memo)
        return Office(database, self.policy, worlds, self.now, die_at)

    def _mortal(self, store: Store) -> None:
        begin = store.begin

        @contextmanager
        def mortal() -> Iterator[Tx]:
            with begin() as tx:
                yield tx
                self._step()
            self._step()

        store.begin = mortal  # type: ignore[method-assign]
        for world in self.worlds.values():
            world.before = world.after = self._step

    def _step(self, _call: Call | None = None) -> None:
        self.steps += 1
        if self.die_at is not None and self.steps >= self.die_at:
            raise Crash

    def revive(self) -> None:
        self.die_at = None


def lunch(title: str = "Lunch", **details: Any) -> Event:
    return event(title, "2026-03-03T12:00", **details)


@pytest.fixture(params=["to-target", "two-way"])
def office(request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path) -> Office:
    shutil.copy(migrated_file, tmp_path / "bridge.db")
    direction = Direction(request.param)
    return Office(tmp_path / "bridge.db", replace(ONE_WAY, direction=direction))


def two_way(office: Office) -> bool:
    return office.policy.direction is Direction.TWO_WAY


# -- deletions -------------------------------------------------------------------------------------


def test_copies_that_a_mass_deletion_took_come_back_and_stay(office: Office) -> None:
    refs = [office.a.person_puts(lunch(f"E{n}")) for n in range(20)]
    office.a.person_puts(event("Standup", rule="FREQ=DAILY;COUNT=5"))
    office.sync()
    before = sorted(repr(office.b.event(ref)) for ref in office.b.refs())
    for ref in [*refs, office.copy_of("Standup", Side.A)]:
        office.a.person_deletes(ref)
    assert office.sync().counts.deleted == 21

    done = office.undo()

    assert (done.counts.created, done.counts.deleted, done.left, done.failed) == (21, 0, [], 0)
    assert sorted(repr(office.b.event(ref)) for ref in office.b.refs()) == before
    if two_way(office):
        assert office.sync().counts.created == 21
        assert office.titles(Side.A) == office.titles(Side.B)
    else:
        assert office.a.refs() == []
        assert len(office.verify().known) == 25
    office.policy = replace(office.policy, delete_guard=DeleteGuard(count=2, share=0))
    office.quiet()
    assert office.verify().differences == []
    assert len(office.b.refs()) == 21


def test_restored_copies_are_linked_to_their_units_again(office: Office) -> None:
    ref = office.a.person_puts(lunch())
    office.sync()
    (unit,) = office.units()
    office.a.person_deletes(ref)
    office.sync()
    office.undo()
    (again,) = office.units()
    assert again.id == unit.id
    assert again.generation > unit.generation
    assert again.ref_b == office.copy_of("Lunch")


def test_a_deletion_that_is_told_again_is_old_news(office: Office) -> None:
    ref = office.a.person_puts(lunch())
    office.sync()
    office.a.person_deletes(ref)
    office.sync()
    office.undo()
    office.a._touch(office.a._units[ref], {"main"})
    assert office.sync().counts.deleted == 0
    assert office.titles() == ["Lunch"]
    office.quiet()


def test_what_was_restored_travels_even_if_its_calendar_never_mentions_it(office: Office) -> None:
    office.policy = TWO_WAY
    ref = office.a.person_puts(lunch())
    office.sync()
    office.a.person_deletes(ref)
    office.sync()
    office.undo()
    with office.process() as store, store.begin() as tx:
        *_, last = office.connectors()[Side.B].changes("c", None)
        tx.set_cursor(office.link(store).id, Side.B, last.cursor)
    assert office.sync().counts.created == 1
    assert office.titles(Side.A) == ["Lunch"]


def test_an_original_that_comes_back_itself_is_not_doubled(office: Office) -> None:
    ref = office.a.person_puts(lunch())
    office.sync()
    office.a.person_deletes(ref)
    office.sync()
    office.undo()
    office.a._units[ref].alive = True
    office.a._touch(office.a._units[ref], {"main"})
    office.sync()
    assert (office.titles(Side.A), office.titles(Side.B)) == (["Lunch"], ["Lunch"])
    office.quiet()
    office.a.person_edits(ref, title="Dinner")
    office.sync()
    assert office.titles() == ["Dinner"]


def test_originals_that_are_put_in_again_under_new_ids_find_their_copies(office: Office) -> None:
    office.policy = ONE_WAY
    refs = [office.a.person_puts(lunch(f"E{n}")) for n in range(3)]
    office.sync()
    for ref in refs:
        office.a.person_deletes(ref)
    office.sync()
    office.undo()
    for number in range(3):
        office.a.person_puts(lunch(f"E{number}", description="put in again"))
    assert office.sync().counts.created == 0
    assert office.titles() == ["E0", "E1", "E2"]
    assert office.b.event(office.copy_of("E1")).details.description == "put in again"
    office.quiet()
    comparison = office.verify()
    assert (comparison.differences, comparison.known) == ([], [])


def test_what_only_somebody_else_may_change_is_restored_on_its_own_side(office: Office) -> None:
    ref = office.a.person_puts(lunch(), organized=False)
    office.sync()
    office.a.person_edits(ref, title="BROKEN")
    office.sync()
    office.undo()
    assert (office.titles(Side.A), office.titles()) == (["BROKEN"], ["Lunch"])
    office.quiet()
    assert office.titles() == ["Lunch"]
    assert office.verify().differences == []


def test_a_copy_that_somebody_has_made_again_is_not_doubled(office: Office) -> None:
    ref = office.a.person_puts(lunch())
    office.sync()
    office.a.person_deletes(ref)
    office.sync()
    run = office.last_run()
    office.a.person_puts(lunch())
    office.sync()
    done = office.undo(run)
    assert [item.why for item in done.left] == [
        "the same event stands there already under another id"
    ]
    assert office.titles() == ["Lunch"]
    office.quiet()


def test_a_copy_that_somebody_took_out_of_the_bin_is_linked(office: Office) -> None:
    ref = office.a.person_puts(lunch())
    office.sync()
    (mine,) = office.b.refs()
    office.a.person_deletes(ref)
    office.sync()
    office.b._units[mine].alive = True
    done = office.undo()
    assert done.counts.created == 0
    assert office.b.refs() == [mine]
    assert office.units()[0].ref_b == mine
    if two_way(office):
        office.sync()
        assert office.titles(Side.A) == ["Lunch"]
    office.quiet()


def test_what_the_filters_took_away_stays_when_it_was_restored(office: Office) -> None:
    office.a.person_puts(lunch("Secret"))
    office.sync()
    plain = office.policy
    office.policy = replace(plain, filters=Filters(skip_titles=("secret",)))
    assert office.sync().counts.deleted == 1
    office.undo()
    assert office.titles() == ["Secret"]
    office.quiet()
    office.a.person_edits(office.a.refs()[0], description="more")
    office.quiet()
    assert office.verify().differences == []
    office.policy = plain
    office.sync()
    office.a.person_deletes(office.a.refs()[0])
    office.sync()
    assert office.titles() == []


# -- updates ---------------------------------------------------------------------------------------


def test_a_bad_update_is_taken_back_on_its_side(office: Office) -> None:
    ref = office.a.person_puts(lunch(description="soup"))
    office.sync()
    office.a.person_edits(ref, title="BROKEN", description="")
    office.sync()

    done = office.undo()

    assert done.counts.updated == 1
    (mine,) = office.b.refs()
    details = office.b.event(mine).details
    assert (details.title, details.description) == ("Lunch", "soup")
    if two_way(office):
        assert office.sync().counts.updated == 1
        assert office.titles(Side.A) == ["Lunch"]
    else:
        assert office.titles(Side.A) == ["BROKEN"]
        assert len(office.verify().known) == 1
    assert office.verify().differences == []
    office.quiet()


def test_a_restored_value_stands_until_its_field_changes_at_the_source(tmp_path: Path) -> None:
    office = Office(tmp_path / "bridge.db")
    ref = office.a.person_puts(lunch())
    office.sync()
    office.a.person_edits(ref, title="BROKEN")
    office.sync()
    office.undo()
    office.a.person_edits(ref, description="with soup")
    office.sync()
    (mine,) = office.b.refs()
    assert office.b.event(mine).details.title == "Lunch"
    assert office.b.event(mine).details.description == "with soup"
    office.policy = replace(office.policy, color=False)
    office.quiet()
    assert office.titles() == ["Lunch"]
    office.a.person_edits(ref, title="Dinner")
    office.sync()
    assert office.titles() == ["Dinner"]
    assert office.verify().known == []
    assert office.units()[0].restored is None


def test_what_is_masked_later_is_masked_on_restored_copies_too(tmp_path: Path) -> None:
    office = Office(tmp_path / "bridge.db")
    ref = office.a.person_puts(lunch())
    office.sync()
    office.a.person_edits(ref, title="BROKEN")
    office.sync()
    office.undo()
    office.policy = replace(office.policy, content=Content.BUSY)
    office.sync()
    assert office.titles() == ["Busy"]


def test_what_somebody_changed_since_is_kept_and_told(office: Office) -> None:
    ref = office.a.person_puts(lunch(description="soup"))
    office.sync()
    office.a.person_edits(ref, title="BROKEN", description="")
    office.sync()
    run = office.last_run()
    (mine,) = office.b.refs()
    office.b.person_edits(mine, title="Mended by hand")
    done = office.undo(run)
    (left,) = done.left
    assert (left.fields, left.why) == (("title",), "somebody changed it since")
    details = office.b.event(mine).details
    assert (details.title, details.description) == ("Mended by hand", "soup")
    forced = office.undo(run, force=True)
    assert (forced.counts.updated, forced.left) == (1, [])
    assert office.titles() == ["Lunch"]


def test_occurrences_go_back_one_by_one(office: Office) -> None:
    ref = office.a.person_puts(event("Standup", rule="FREQ=DAILY;COUNT=5"))
    office.sync()
    before = office.b.event(office.b.refs()[0])
    office.a.person_cancels_occurrence(ref, Key("2026-03-03T09:00:00"))
    office.a.person_edits_occurrence(ref, Key("2026-03-04T09:00:00"), title="Special")
    office.sync()
    office.undo()
    assert office.b.event(office.b.refs()[0]) == before
    if two_way(office):
        office.sync()
        assert office.a.event(ref) == before
    office.quiet()
    assert office.verify().differences == []


# -- creations -------------------------------------------------------------------------------------


def test_copies_that_a_run_made_go_and_their_originals_stay(office: Office) -> None:
    refs = [office.a.person_puts(lunch(f"Junk {n}")) for n in range(3)]
    office.sync()
    done = office.undo()
    assert (done.counts.deleted, office.b.refs()) == (3, [])
    assert office.a.refs() == refs
    office.quiet()
    office.a.person_edits(refs[0], title="Junk again")
    office.quiet()
    assert office.b.refs() == []
    assert {unit.state for unit in office.units()} == {UnitState.DROPPED}
    assert office.verify().differences == []


def test_a_copy_that_somebody_worked_on_is_not_taken_away(office: Office) -> None:
    office.a.person_puts(lunch())
    office.sync()
    (mine,) = office.b.refs()
    office.b.person_edits(mine, description="my notes")
    done = office.undo()
    assert (done.left[0].fields, office.b.refs()) == (("description",), [mine])
    assert office.undo(done.run, force=True).counts.deleted == 1


def test_an_original_that_goes_takes_the_memory_of_it_along(office: Office) -> None:
    ref = office.a.person_puts(lunch())
    office.sync()
    office.undo()
    office.a.person_deletes(ref)
    office.quiet()
    assert [unit.state for unit in office.units()] == [UnitState.DONE]


# -- the undo of an undo, dry runs, faults ---------------------------------------------------------


def scene(office: Office) -> int:
    """A run that made, changed and deleted something."""
    kept = office.a.person_puts(lunch("Kept", description="old"))
    gone = office.a.person_puts(lunch("Gone"))
    office.sync()
    office.a.person_puts(lunch("New"))
    office.a.person_edits(kept, description="bad")
    office.a.person_deletes(gone)
    office.sync()
    return office.last_run()


def test_an_undo_can_be_undone(tmp_path: Path) -> None:
    office = Office(tmp_path / "bridge.db")
    scene(office)
    before = sorted(repr(office.b.event(ref)) for ref in office.b.refs())
    first = office.undo()
    assert office.titles() == ["Gone", "Kept"]
    second = office.undo(first.number)
    assert (second.counts.created, second.counts.updated, second.counts.deleted) == (1, 1, 1)
    assert sorted(repr(office.b.event(ref)) for ref in office.b.refs()) == before
    office.quiet()
    assert (office.verify().differences, office.verify().known) == ([], [])
    assert office.titles() == ["Kept", "New"]
    office.a.person_edits(office.copy_of("New", Side.A), title="Newer")
    office.sync()
    assert office.titles() == ["Kept", "Newer"]


def test_a_second_undo_of_the_same_run_does_nothing(office: Office) -> None:
    run = scene(office)
    office.undo(run)
    again = office.undo(run)
    assert (again.counts.writes, again.left) == (0, [])


def test_a_dry_run_says_what_would_be_done_and_does_nothing(office: Office) -> None:
    run = scene(office)
    before = office.titles()
    told = office.preview(run)
    assert sorted((action.op, action.title) for action in told.actions) == [
        ("create", "Gone"), ("delete", "New"), ("update", "Kept")]  # fmt: skip
    assert office.titles() == before
    with office.process() as store:
        assert {run.kind for run in store.runs()} == {RunKind.SYNC}


def test_an_undo_that_breaks_off_goes_on_when_it_is_called_again(office: Office) -> None:
    run = scene(office)

    def fail(call: Call) -> None:
        if call.operation in ("create", "update", "delete"):
            raise RetryableError("the line is bad")

    office.worlds[Side.B].before = fail
    office.undo(run)
    office.worlds[Side.B].before = lambda call: None
    office._mortal = lambda store: None  # type: ignore[method-assign]
    done = office.undo(run)
    assert done.failed == 0
    assert office.titles() == ["Gone", "Kept"]


@pytest.mark.parametrize("capabilities", [LOSSLESS, BARE], ids=["lossless", "bare"])
@pytest.mark.parametrize("policy", [ONE_WAY, TWO_WAY], ids=["to-target", "two-way"])
def test_an_undo_killed_anywhere_ends_the_same_even_if_a_pass_runs_before_it_is_called_again(
    tmp_path: Path, capabilities: Any, policy: Policy
) -> None:
    capabilities = replace(capabilities, parallel_writes=1, parallel_reads=1)
    worlds = {side: MemoryWorld(capabilities=capabilities) for side in Side}
    office = Office(tmp_path / "bridge.db", policy, worlds)
    run = scene(office)
    undisturbed = office.clone(tmp_path / "whole.db", None)
    undisturbed.undo(run)
    steps = undisturbed.steps
    expected = _end(undisturbed)
    for n in range(1, steps + 1, 1 if capabilities.find_by_key else 3):
        ruined = office.clone(tmp_path / f"{n}.db", n)
        with pytest.raises(Crash):
            ruined.undo(run)
        ruined.revive()
        if n % 2:
            ruined.sync()
        ruined.undo(run)
        assert _end(ruined) == expected, n
    assert steps > 15


def _end(office: Office) -> tuple[list[str], list[str]]:
    for world in office.worlds.values():
        world.before = world.after = lambda call: None
    office.sync()
    assert office.sync(full=True).counts.writes == 0
    states = {unit.state for unit in office.units()}
    assert UnitState.PARKED not in states
    assert office.verify().differences == []
    sides = [office.worlds[side].calendar("ann", "c") for side in Side]
    a, b = (sorted(repr(each.event(ref)) for ref in each.refs()) for each in sides)
    return a, b
