"""One pass over one link, between two calendars in memory, on the real store."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.records import LinkState, RunKind, Side, UnitState
from bridge.sync import Outcome
from connectors.contract import Fragment
from connectors.errors import OutcomeUnknownError, RejectedError, RetryableError
from connectors.memory.world import Call
from connectors.testing.builders import event
from mappings import zones
from mappings.model import Key
from mappings.policy import Content, DeleteGuard, Direction, Filters, Policy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = Policy(direction=Direction.TO_TARGET)
WEEKLY = "FREQ=WEEKLY;BYDAY=MO"


def test_a_first_pass_copies_singles_series_and_exceptions(pair: Any) -> None:
    pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    ref = pair.a.person_puts(event("Standup", rule=WEEKLY))
    pair.a.person_cancels_occurrence(ref, Key("2026-03-09T09:00:00"))
    pair.a.person_edits_occurrence(ref, Key("2026-03-16T09:00:00"), title="Special")
    pair.a.person_puts(event("Holiday", "2026-03-05", days=2))

    outcome = pair.run()

    assert outcome.counts.created == 3
    assert pair.titles() == ["Holiday", "Lunch", "Standup"]
    assert pair.differences() == []


def test_a_second_pass_writes_nothing_and_lists_once(pair: Any) -> None:
    pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    pair.here.calls.clear()
    pair.there.calls.clear()

    outcome = pair.run()

    assert outcome.counts.writes == 0
    assert sum(pair.here.calls.values()) == 1
    assert sum(pair.there.calls.values()) == 0


def test_a_second_backfill_writes_nothing(pair: Any) -> None:
    for number in range(5):
        pair.a.person_puts(event(f"Event {number}", rule=WEEKLY))
    pair.run()
    outcome = pair.run(RunKind.BACKFILL, full=True)
    assert outcome.counts.writes == 0


def test_an_edit_travels_as_one_update_of_what_changed(pair: Any) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    pair.a.person_edits(ref, title="Dinner")
    outcome = pair.run()
    assert outcome.counts.updated == 1
    assert pair.titles() == ["Dinner"]


def test_what_a_person_added_on_the_target_survives_an_edit_at_the_source(pair: Any) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    (copy,) = pair.b.refs()
    pair.b.person_edits(copy, color="#ff0000")
    pair.a.person_edits(ref, title="Dinner")
    pair.run()
    details = pair.b.event(copy).details
    assert (details.title, details.color) == ("Dinner", "#ff0000")


def test_a_cancelled_occurrence_disappears_alone(pair: Any) -> None:
    ref = pair.a.person_puts(event("Standup", rule=WEEKLY))
    pair.run()
    pair.a.person_cancels_occurrence(ref, Key("2026-03-09T09:00:00"))
    outcome = pair.run()
    assert outcome.counts.updated == 1
    assert pair.differences() == []


def test_a_deletion_travels(pair: Any) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    pair.a.person_deletes(ref)
    outcome = pair.run()
    assert outcome.counts.deleted == 1
    assert pair.b.refs() == []
    assert pair.run().counts.writes == 0


def test_what_changed_while_a_cursor_became_void_travels_with_the_next_pass(pair: Any) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    pair.a.person_edits(ref, title="Dinner")
    pair.a.void_cursors()
    pair.run()
    assert [pair.b.event(twin).details.title for twin in pair.b.refs()] == ["Dinner"]


def test_mass_deletion_is_held_until_approved(pair: Any) -> None:
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


def test_deletions_that_only_a_complete_listing_shows_can_be_approved(pair: Any) -> None:
    refs = [pair.a.person_puts(event(f"E{n}", "2026-03-03T12:00")) for n in range(30)]
    pair.run()
    for ref in refs[:20]:
        pair.a.person_deletes(ref)
    _changes, unaware = pair.a.changes(None)
    with pair.store.begin() as tx:
        tx.set_cursor(pair.link.id, Side.A, unaware)

    assert "shrank" in pair.run(full=True).held
    assert pair.run(approved=True).counts.deleted == 20
    assert pair.run(full=True).held == ""


@pytest.mark.parametrize("keep", [0, 3])
def test_a_shrunken_complete_listing_deletes_nothing(pair: Any, keep: int) -> None:
    refs = [pair.a.person_puts(event(f"E{n}", "2026-03-03T12:00")) for n in range(30)]
    pair.run()
    pair.a.void_cursors()
    hidden = {ref: pair.a.event(ref) for ref in refs[keep:]}
    lost = Listing(pair, set(hidden))
    outcome = lost.run()
    assert outcome.counts.deleted == 0
    assert len(pair.b.refs()) == 30


def test_a_few_living_events_missing_from_a_listing_are_asked_for_and_kept(pair: Any) -> None:
    refs = [pair.a.person_puts(event(f"E{n}", "2026-03-03T12:00")) for n in range(30)]
    pair.run()
    outcome = Listing(pair, set(refs[:4])).run()
    assert (outcome.short, outcome.held, outcome.counts.deleted) == (4, "", 0)
    assert len(pair.b.refs()) == 30


def test_an_exception_missing_from_a_complete_listing_is_asked_for_and_kept(pair: Any) -> None:
    bare = replace(pair.here.capabilities, whole_changes=False)
    pair.here.capabilities = bare
    ref = pair.a.person_puts(event("Standup", rule="FREQ=WEEKLY;BYDAY=MO"))
    pair.a.person_edits_occurrence(ref, Key("2026-03-09T09:00:00"), title="Special")
    pair.run()
    outcome = Listing(pair, set(), fragments=False).run()
    assert outcome.counts.writes == 0
    (copy,) = pair.b.refs()
    assert [item.details.title for item in pair.b.event(copy).overrides] == ["Special"]


class Listing:
    """A pass during which side A's listings leave out some events and still claim to be whole."""

    def __init__(self, pair: Any, hidden: set[str], *, fragments: bool = True) -> None:
        self._pair = pair
        self._hidden = hidden
        self._fragments = fragments

    def run(self) -> Outcome:
        connectors = self._pair.connectors()
        real = connectors[Side.A]
        hidden, fragments = self._hidden, self._fragments

        class Short(type(real)):  # type: ignore[misc]
            def changes(self, calendar, cursor):
                for page in real.changes(calendar, cursor):
                    kept = tuple(
                        c
                        for c in page.changes
                        if c.ref not in hidden and (fragments or not isinstance(c, Fragment))
                    )
                    yield replace(page, changes=kept)

        short = Short.__new__(Short)
        short.__dict__.update(real.__dict__)
        self._pair.connectors = lambda: {**connectors, Side.A: short}  # type: ignore[method-assign]
        return self._pair.run(full=True)


def test_a_lost_answer_to_a_create_leaves_one_copy(pair: Any) -> None:
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


def test_a_passing_fault_is_tried_again_and_a_refusal_is_parked(pair: Any) -> None:
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


def test_an_unreadable_event_is_parked_and_the_rest_goes_on(pair: Any) -> None:
    bad = pair.a.person_puts(event("Bad", "2026-03-03T12:00"))
    pair.a.person_puts(event("Good", "2026-03-03T12:00"))
    pair.a.person_spoils(bad)
    outcome = pair.run()
    assert (outcome.counts.created, outcome.counts.parked) == (1, 1)
    assert pair.titles() == ["Good"]


def test_filtered_events_stay_away_and_leave_when_they_become_filtered(pair: Any) -> None:
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


def test_a_changed_policy_writes_everything_once_more(pair: Any) -> None:
    pair.a.person_puts(event("Secret project", "2026-03-03T12:00", description="plans"))
    pair.run()
    pair.policy = replace(POLICY, content=Content.BUSY)
    outcome = pair.run()
    assert outcome.counts.updated == 1
    (ref,) = pair.b.refs()
    details = pair.b.event(ref).details
    assert (details.title, details.description) == ("Busy", "")
    assert pair.run().counts.writes == 0


def test_what_ended_before_the_window_is_not_copied(pair: Any) -> None:
    pair.a.person_puts(event("Long ago", "2020-03-03T12:00"))
    pair.a.person_puts(event("Old but going on", "2020-03-02T12:00", rule=WEEKLY))
    pair.run()
    assert pair.titles() == ["Old but going on"]


def test_a_plan_writes_nothing_anywhere(pair: Any) -> None:
    pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    plan = pair.plan()
    assert [(a.op.value, a.title) for a in plan.actions] == [("create", "Lunch")]
    assert pair.b.refs() == []
    assert list(pair.store.units(pair.link.id)) == []
    assert pair.store.cursor(pair.link.id, Side.A) is None


def test_a_deleted_copy_comes_back_with_the_next_edit(pair: Any) -> None:
    ref = pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.run()
    (copy,) = pair.b.refs()
    pair.b.person_deletes(copy)
    pair.a.person_edits(ref, title="Dinner")
    pair.run()
    assert pair.titles() == ["Dinner"]


def test_small_guards_are_obeyed_exactly(pair: Any) -> None:
    pair.policy = replace(POLICY, delete_guard=DeleteGuard(count=1, share=0.0))
    refs = [pair.a.person_puts(event(f"E{n}", "2026-03-03T12:00")) for n in range(3)]
    pair.run()
    pair.a.person_deletes(refs[0])
    assert pair.run().counts.deleted == 1
    for ref in refs[1:]:
        pair.a.person_deletes(ref)
    assert pair.run().held


def test_half_a_creation_is_taken_back_when_its_source_is_gone(pair: Any) -> None:
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
    pair: Any, monkeypatch: pytest.MonkeyPatch
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
