"""One pass over one link, between two calendars in memory, on the real store."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from bridge.config import EndpointConfig, LinkConfig
from bridge.records import Endpoint, Link, LinkState, RunKind, Side, UnitState
from bridge.runtime import rules
from bridge.store import Store
from bridge.sync import LinkPass, Outcome, Surroundings
from bridge.verify import verify
from connectors.errors import OutcomeUnknownError, RejectedError, RetryableError
from connectors.memory import MemoryProvider, MemoryWorld
from connectors.memory.calendar import MemoryCalendar
from connectors.memory.world import Call
from connectors.testing.builders import event
from mappings import identity, zones
from mappings.model import Key
from mappings.policy import Content, DeleteGuard, Direction, Filters, Policy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = Policy(direction=Direction.TO_TARGET)


@dataclass
class Pair:
    """A link from calendar `a` to calendar `b`, each at a service of its own."""

    store: Store
    here: MemoryWorld
    there: MemoryWorld
    a: MemoryCalendar
    b: MemoryCalendar
    link: Link
    policy: Policy = POLICY
    now: datetime = NOW

    def run(self, kind: RunKind = RunKind.SYNC, **options: bool) -> Outcome:
        return self._pass(**options).run(kind)

    def plan(self):
        return self._pass().plan()

    def _pass(self, **options: bool) -> LinkPass:
        link = self.store.link(self.link.name)
        assert link is not None
        connectors = self.connectors()
        around = Surroundings(
            store=self.store, now=lambda: self.now, log=lambda *_args, **_facts: None
        )
        return LinkPass(link, self._rules(), connectors, around, **options)

    def connectors(self):
        return {
            Side.A: MemoryProvider("hub", self.here).connect("ann"),
            Side.B: MemoryProvider("other", self.there).connect("ann"),
        }

    def _rules(self):
        config = LinkConfig(
            name="ann/other",
            user="ann",
            a=EndpointConfig(connector="hub", account="ann", calendar="a"),
            b=EndpointConfig(connector="other", account="ann", calendar="b"),
            policy=self.policy,
            place="users.ann.links[0]",
            line=1,
        )
        limits = {side: c.capabilities.limits for side, c in self.connectors().items()}
        return rules(config, limits, self.now)

    def differences(self) -> list[object]:
        result = verify(self.link, self._rules(), self.connectors(), self.store, self.now)
        return list(result.differences)

    def titles(self) -> list[str]:
        return sorted(self.b.event(ref).details.title for ref in self.b.refs())


@pytest.fixture
def pair(store: Store) -> Pair:
    here, there = MemoryWorld(), MemoryWorld()
    a = here.add_calendar("ann", "a")
    b = there.add_calendar("ann", "b")
    ends = (
        Endpoint(connector="hub", account="ann", calendar="a"),
        Endpoint(connector="other", account="ann", calendar="b"),
    )
    uid = identity.link_uid(("hub", "ann", "a"), ("other", "ann", "b"))
    with store.begin() as tx:
        link = tx.put_link(Link(id=0, uid=uid, name="ann/other", user="ann", a=ends[0], b=ends[1]))
    return Pair(store, here, there, a, b, link)


WEEKLY = "FREQ=WEEKLY;BYDAY=MO"


def test_a_first_pass_copies_singles_series_and_exceptions(pair: Pair) -> None:
    pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    ref = pair.a.person_puts(event("Standup", rule=WEEKLY))
    pair.a.person_cancels_occurrence(ref, Key("2026-03-09T09:00:00"))
    pair.a.person_edits_occurrence(ref, Key("2026-03-16T09:00:00"), title="Special")
    pair.a.person_puts(event("Holiday", "2026-03-05", days=2))

    outcome = pair.run()

    assert outcome.counts.created == 3
    assert pair.titles() == ["Holiday", "Lunch", "Standup"]
    assert pair.differences() == []


def test_a_second_pass_writes_nothing_and_lists_once(pair: Pair) -> None:
    pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    pair.here.calls.clear()
    pair.there.calls.clear()

    outcome = pair.run()

    assert outcome.counts.writes == 0
    assert sum(pair.here.calls.values()) == 1
    assert sum(pair.there.calls.values()) == 0


def test_a_second_backfill_writes_nothing(pair: Pair) -> None:
    for number in range(5):
        pair.a.person_puts(event(f"Event {number}", rule=WEEKLY))
    pair.run()
    outcome = pair.run(RunKind.BACKFILL, full=True)
    assert outcome.counts.writes == 0


def test_an_edit_travels_as_one_update_of_what_changed(pair: Pair) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    pair.a.person_edits(ref, title="Dinner")
    outcome = pair.run()
    assert outcome.counts.updated == 1
    assert pair.titles() == ["Dinner"]


def test_what_a_person_added_on_the_target_survives_an_edit_at_the_source(pair: Pair) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    (copy,) = pair.b.refs()
    pair.b.person_edits(copy, color="#ff0000")
    pair.a.person_edits(ref, title="Dinner")
    pair.run()
    details = pair.b.event(copy).details
    assert (details.title, details.color) == ("Dinner", "#ff0000")


def test_a_cancelled_occurrence_disappears_alone(pair: Pair) -> None:
    ref = pair.a.person_puts(event("Standup", rule=WEEKLY))
    pair.run()
    pair.a.person_cancels_occurrence(ref, Key("2026-03-09T09:00:00"))
    outcome = pair.run()
    assert outcome.counts.updated == 1
    assert pair.differences() == []


def test_a_deletion_travels(pair: Pair) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    pair.a.person_deletes(ref)
    outcome = pair.run()
    assert outcome.counts.deleted == 1
    assert pair.b.refs() == []
    assert pair.run().counts.writes == 0


def test_mass_deletion_is_held_until_approved(pair: Pair) -> None:
    refs = [pair.a.person_puts(event(f"E{n}", "2026-03-03T12:00")) for n in range(30)]
    pair.run()
    for ref in refs[:20]:
        pair.a.person_deletes(ref)

    outcome = pair.run()

    assert outcome.counts.deleted == 0
    assert "delete guard" in outcome.held
    link = pair.store.link("ann/other")
    assert link is not None
    assert link.state is LinkState.HELD
    assert len(pair.b.refs()) == 30
    assert pair.run(approved=True).counts.deleted == 20
    assert len(pair.b.refs()) == 10


@pytest.mark.parametrize("keep", [0, 3])
def test_a_shrunken_complete_listing_deletes_nothing(pair: Pair, keep: int) -> None:
    refs = [pair.a.person_puts(event(f"E{n}", "2026-03-03T12:00")) for n in range(30)]
    pair.run()
    pair.a.void_cursors()
    hidden = {ref: pair.a.event(ref) for ref in refs[keep:]}
    lost = Listing(pair, set(hidden))
    outcome = lost.run()
    assert outcome.counts.deleted == 0
    assert len(pair.b.refs()) == 30


def test_a_few_living_events_missing_from_a_listing_are_asked_for_and_kept(pair: Pair) -> None:
    refs = [pair.a.person_puts(event(f"E{n}", "2026-03-03T12:00")) for n in range(30)]
    pair.run()
    outcome = Listing(pair, set(refs[:4])).run()
    assert (outcome.short, outcome.held, outcome.counts.deleted) == (4, "", 0)
    assert len(pair.b.refs()) == 30


class Listing:
    """A pass during which side A's listings leave out some events and still claim to be whole."""

    def __init__(self, pair: Pair, hidden: set[str]) -> None:
        self._pair = pair
        self._hidden = hidden

    def run(self) -> Outcome:
        connectors = self._pair.connectors()
        real = connectors[Side.A]
        hidden = self._hidden

        class Short(type(real)):  # type: ignore[misc]
            def changes(self, calendar, cursor):
                for page in real.changes(calendar, cursor):
                    kept = tuple(c for c in page.changes if c.ref not in hidden)
                    yield replace(page, changes=kept)

        short = Short.__new__(Short)
        short.__dict__.update(real.__dict__)
        self._pair.connectors = lambda: {**connectors, Side.A: short}  # type: ignore[method-assign]
        return self._pair.run(full=True)


def test_a_lost_answer_to_a_create_leaves_one_copy(pair: Pair) -> None:
    pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.there.after = once("create", OutcomeUnknownError("the answer was lost"))
    pair.run()
    assert len(pair.b.refs()) == 1
    pair.now = pair.now.replace(hour=18)
    pair.run()
    assert len(pair.b.refs()) == 1
    units = list(pair.store.units(pair.link.id))
    assert [unit.state for unit in units] == [UnitState.LIVE]
    assert pair.store.intents(pair.link.id) == []
    assert pair.differences() == []


def test_a_passing_fault_is_tried_again_and_a_refusal_is_parked(pair: Pair) -> None:
    pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.there.before = once("create", RetryableError("try again"))
    assert pair.run().counts.created == 0
    pair.now = pair.now.replace(hour=18)
    assert pair.run().counts.created == 1

    pair.a.person_puts(event("Bad", "2026-03-04T12:00"))
    pair.a.person_puts(event("Good", "2026-03-04T12:00"))
    pair.there.before = refuse_once_by_title("create")
    outcome = pair.run()
    assert (outcome.counts.created, outcome.counts.parked) == (1, 1)
    parked = list(pair.store.units(pair.link.id, state=UnitState.PARKED))
    assert len(parked) == 1
    assert parked[0].retry_at is None


def once(operation: str, error: Exception) -> Callable[[Call], None]:
    left = [error]

    def fault(call: Call) -> None:
        if call.operation == operation and left:
            raise left.pop()

    return fault


def refuse_once_by_title(operation: str) -> Callable[[Call], None]:
    return once(operation, RejectedError("not this one"))


def test_an_unreadable_event_is_parked_and_the_rest_goes_on(pair: Pair) -> None:
    bad = pair.a.person_puts(event("Bad", "2026-03-03T12:00"))
    pair.a.person_puts(event("Good", "2026-03-03T12:00"))
    pair.a.person_spoils(bad)
    outcome = pair.run()
    assert (outcome.counts.created, outcome.counts.parked) == (1, 1)
    assert pair.titles() == ["Good"]


def test_filtered_events_stay_away_and_leave_when_they_become_filtered(pair: Pair) -> None:
    pair.policy = replace(POLICY, filters=Filters(skip_titles=("^Private",)))
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.a.person_puts(event("Private: dentist", "2026-03-03T15:00"))
    assert pair.run().counts.created == 1
    pair.a.person_edits(ref, title="Private lunch")
    assert pair.run().counts.deleted == 1
    assert pair.titles() == []
    pair.a.person_edits(ref, title="Lunch again")
    assert pair.run().counts.created == 1
    assert pair.titles() == ["Lunch again"]


def test_a_changed_policy_writes_everything_once_more(pair: Pair) -> None:
    pair.a.person_puts(event("Secret project", "2026-03-03T12:00", description="plans"))
    pair.run()
    pair.policy = replace(POLICY, content=Content.BUSY)
    outcome = pair.run()
    assert outcome.counts.updated == 1
    (ref,) = pair.b.refs()
    details = pair.b.event(ref).details
    assert (details.title, details.description) == ("Busy", "")
    assert pair.run().counts.writes == 0


def test_what_ended_before_the_window_is_not_copied(pair: Pair) -> None:
    pair.a.person_puts(event("Long ago", "2020-03-03T12:00"))
    pair.a.person_puts(event("Old but going on", "2020-03-02T12:00", rule=WEEKLY))
    pair.run()
    assert pair.titles() == ["Old but going on"]


def test_a_plan_writes_nothing_anywhere(pair: Pair) -> None:
    pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    plan = pair.plan()
    assert [(a.op.value, a.title) for a in plan.actions] == [("create", "Lunch")]
    assert pair.b.refs() == []
    assert list(pair.store.units(pair.link.id)) == []
    assert pair.store.cursor(pair.link.id, Side.A) is None


def test_a_deleted_copy_comes_back_with_the_next_edit(pair: Pair) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    (copy,) = pair.b.refs()
    pair.b.person_deletes(copy)
    pair.a.person_edits(ref, title="Dinner")
    pair.run()
    assert pair.titles() == ["Dinner"]


def test_small_guards_are_obeyed_exactly(pair: Pair) -> None:
    pair.policy = replace(POLICY, delete_guard=DeleteGuard(count=1, share=0.0))
    refs = [pair.a.person_puts(event(f"E{n}", "2026-03-03T12:00")) for n in range(3)]
    pair.run()
    pair.a.person_deletes(refs[0])
    assert pair.run().counts.deleted == 1
    for ref in refs[1:]:
        pair.a.person_deletes(ref)
    assert pair.run().held


def test_half_a_creation_is_taken_back_when_its_source_is_gone(pair: Pair) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.there.after = once("create", Crash())
    with pytest.raises(Crash):
        pair.run()
    assert len(pair.b.refs()) == 1
    pair.a.person_deletes(ref)
    pair.run(full=True)
    assert pair.b.refs() == []


class Crash(BaseException):
    """The process dies here."""


def test_series_are_looked_at_again_when_the_zone_data_changes(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replace(pair.there.capabilities.limits, zone_rules=True)
    pair.there.capabilities = replace(pair.there.capabilities, limits=limits)
    pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.a.person_puts(event("Standup", rule=WEEKLY))
    pair.run()
    monkeypatch.setattr(zones, "DATA_VERSION", "2099z")
    pair.there.calls.clear()
    pair.run()
    assert pair.there.calls["update"] == 1
    pair.run()
    assert pair.there.calls["update"] == 1
