"""Both sides' changes travel: passes between two calendars in memory, on the real store."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.records import RunKind, Side, UnitState
from connectors.memory.calendar import MemoryCalendar
from connectors.testing.builders import event
from mappings import identity
from mappings.model import (
    Attendee,
    Busy,
    Event,
    Key,
    Location,
    Person,
    Response,
    Visibility,
)
from mappings.policy import Conflict, Content, Direction, Filters, Policy, Unwritable

TWO_WAY = Policy(direction=Direction.TWO_WAY)
WEEKLY = "FREQ=WEEKLY;BYDAY=MO"
FIRST, SECOND = Key("2026-03-09T09:00:00"), Key("2026-03-16T09:00:00")
BOSS = Person(email="boss@example.com")
GUESTS = (
    Attendee(person=BOSS, organizer=True, response=Response.ACCEPTED),
    Attendee(person=Person(email="ann@example.com")),
)


@pytest.fixture
def both(pair: Any) -> Any:
    """The same link, in both directions."""
    pair.policy = TWO_WAY
    return pair


def another_link(pair: Any) -> Any:
    """The same people's other calendars, linked too."""
    a, b = pair.here.add_calendar("ann", "a2"), pair.there.add_calendar("ann", "b2")
    ends = (replace(pair.link.a, calendar="a2"), replace(pair.link.b, calendar="b2"))
    uid = identity.link_uid(("hub", "ann", "a2"), ("other", "ann", "b2"))
    with pair.store.begin() as tx:
        link = tx.put_link(replace(pair.link, id=0, uid=uid, name="second", a=ends[0], b=ends[1]))
    return replace(pair, a=a, b=b, link=link)


def two_links(pair: Any) -> Any:
    """The same calendar linked with a third one, at a service of its own."""
    c = pair.there.add_calendar("ann", "c")
    ends = pair.link.a, replace(pair.link.b, calendar="c")
    uid = identity.link_uid(("hub", "ann", "a"), ("other", "ann", "c"))
    with pair.store.begin() as tx:
        link = tx.put_link(replace(pair.link, id=0, uid=uid, name="third", b=ends[1]))
    return replace(pair, b=c, link=link)


def titles(calendar: MemoryCalendar) -> list[str]:
    return sorted(calendar.event(ref).details.title for ref in calendar.refs())


def only(calendar: MemoryCalendar) -> Event:
    (ref,) = calendar.refs()
    return calendar.event(ref)


def settled(pair: Any) -> None:
    """Both sides show the same, and nothing is left to do."""
    assert pair.differences() == []
    for full in (False, True):
        outcome = pair.run(full=full)
        assert (outcome.counts.writes, outcome.counts.parked, outcome.held) == (0, 0, "")


# -- changes on both sides -------------------------------------------------------------------------


def test_what_is_new_on_either_side_stands_on_both(both: Any) -> None:
    both.a.person_puts(event("Here", "2026-03-03T12:00"))
    both.b.person_puts(event("There", "2026-03-04T12:00", rule=WEEKLY))
    both.run()
    assert titles(both.a) == titles(both.b) == ["Here", "There"]
    settled(both)


def test_an_original_may_be_edited_through_its_copy(both: Any) -> None:
    both.b.person_puts(event("There", "2026-03-02T09:00", rule=WEEKLY))
    both.run()
    (copy,) = both.a.refs()
    both.a.person_edits(copy, title="Renamed")
    both.a.person_cancels_occurrence(copy, FIRST)
    both.a.person_edits_occurrence(copy, SECOND, title="Special")
    both.run()
    assert only(both.b).details.title == "Renamed"
    assert {item.key: item.cancelled for item in only(both.b).overrides} == {
        FIRST: True,
        SECOND: False,
    }
    settled(both)


def test_a_deletion_travels_from_the_copy_to_the_original(both: Any) -> None:
    both.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    both.run()
    both.b.person_deletes(both.b.refs()[0])
    both.run()
    assert both.a.refs() == both.b.refs() == []
    settled(both)


def test_edits_of_different_fields_and_occurrences_all_survive(both: Any) -> None:
    ref = both.a.person_puts(event("Standup", rule=WEEKLY))
    both.run()
    (copy,) = both.b.refs()
    both.a.person_edits(ref, location=Location(name="Room 1"))
    both.a.person_edits_occurrence(ref, FIRST, title="First")
    both.b.person_edits(copy, title="Daily")
    both.b.person_cancels_occurrence(copy, SECOND)
    both.run()
    shown = only(both.a)
    assert shown.details.title == "Daily"
    assert shown.details.location == Location(name="Room 1")
    assert shown.overrides_by_key[FIRST].details.title == "First"
    assert shown.overrides_by_key[SECOND].cancelled
    settled(both)


@pytest.mark.parametrize("winner", [Conflict.A, Conflict.B])
def test_of_two_titles_one_stands_and_the_other_is_in_the_journal(
    both: Any, winner: Conflict
) -> None:
    both.policy = replace(TWO_WAY, conflict=winner)
    ref = both.a.person_puts(event("Standup"))
    both.run()
    both.a.person_edits(ref, title="from a")
    both.b.person_edits(both.b.refs()[0], title="from b")
    both.run()
    kept, lost = ("from a", "from b") if winner is Conflict.A else ("from b", "from a")
    assert titles(both.a) == titles(both.b) == [kept]
    entries = both.store.journal(link_id=both.link.id)
    assert [entry.lost for entry in entries if entry.lost] == [{"title": lost}]
    settled(both)


def test_an_original_deleted_and_its_copy_edited_comes_back_as_rich_as_it_was(both: Any) -> None:
    both.policy = replace(TWO_WAY, content=Content.TITLE)
    ref = both.a.person_puts(event("Secret", description="plans", location=Location(name="Room 1")))
    both.run()
    both.a.person_deletes(ref)
    both.b.person_edits(both.b.refs()[0], title="Still on")
    both.run()
    shown = only(both.a).details
    assert (shown.title, shown.description, shown.location) == (
        "Still on",
        "plans",
        Location(name="Room 1"),
    )
    assert only(both.b).details.description == ""
    settled(both)


def test_what_a_copy_may_not_show_does_not_delete_the_original(both: Any) -> None:
    both.policy = replace(TWO_WAY, filters=Filters(skip_titles=("^Private",)))
    both.a.person_puts(event("Lunch"))
    both.run()
    both.b.person_edits(both.b.refs()[0], title="Private lunch")
    both.run()
    assert titles(both.a) == ["Lunch"]
    assert titles(both.b) == ["Private lunch"]
    assert both.run().counts.writes == 0


def test_a_stricter_content_hides_the_copies_and_leaves_the_originals(both: Any) -> None:
    both.a.person_puts(event("Mine", "2026-03-03T12:00", description="my plans"))
    both.b.person_puts(event("Theirs", "2026-03-04T12:00", description="their plans"))
    both.run()
    both.policy = replace(TWO_WAY, content=Content.BUSY)
    both.run()
    assert titles(both.a) == ["Busy", "Mine"]
    assert titles(both.b) == ["Busy", "Theirs"]
    settled(both)


# -- first contact ---------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", Direction)
def test_the_same_event_on_both_sides_is_linked_and_not_copied(
    pair: Any, direction: Direction
) -> None:
    pair.policy = replace(TWO_WAY, direction=direction)
    pair.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    pair.b.person_puts(event("lunch", "2026-03-03T04:00", "Europe/London"))
    pair.a.person_puts(event("Standup", rule=WEEKLY))
    pair.b.person_puts(event("Standup", rule=WEEKLY))
    outcome = pair.run(RunKind.BACKFILL)
    assert outcome.counts.created == 0
    assert len(pair.a.refs()) == len(pair.b.refs()) == 2
    assert pair.run(full=True).counts.writes == 0


def test_a_plan_says_which_events_it_takes_for_the_same(both: Any) -> None:
    both.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    both.b.person_puts(event("Lunch", "2026-03-03T12:00"))
    (action,) = both.plan().actions
    assert (action.op.value, action.cause) == ("adopt", "the same event on both sides")


def test_a_plan_names_its_doubts(both: Any) -> None:
    for calendar in (both.a, both.b, both.b):
        calendar.person_puts(event("Lunch", "2026-03-03T12:00"))
    for calendar, address in ((both.a, "ann@example.com"), (both.b, "bob@example.com")):
        calendar.person_puts(event("1:1", organizer=Person(email=address)))
    both.a.person_puts(event("Clear"))
    risks = {(action.title, action.op.value, action.risk) for action in both.plan().actions}
    assert risks == {
        ("Lunch", "adopt", "doubt"),
        ("Lunch", "create", "low"),
        ("1:1", "create", "doubt"),
        ("1:1", "create", "low"),
        ("Clear", "create", "low"),
    }


def test_linked_events_are_given_what_they_lack(both: Any) -> None:
    both.policy = replace(TWO_WAY, conflict=Conflict.A)
    both.a.person_puts(event("Lunch", location=Location(name="Canteen")))
    both.b.person_puts(event("Lunch", description="bring cake", location=Location(name="Roof")))
    both.run()
    for shown in (only(both.a).details, only(both.b).details):
        assert (shown.location, shown.description) == (Location(name="Canteen"), "bring cake")
    lost = [entry.lost for entry in both.store.journal(link_id=both.link.id) if entry.lost]
    assert "Roof" in str(lost)
    settled(both)


def test_two_alike_are_linked_one_to_one(both: Any) -> None:
    for calendar in (both.a, both.b, both.b):
        calendar.person_puts(event("Lunch", "2026-03-03T12:00"))
    both.run()
    assert len(both.a.refs()) == len(both.b.refs()) == 2
    settled(both)


def test_meetings_of_different_organisers_are_not_the_same(both: Any) -> None:
    for calendar, address in ((both.a, "ann@example.com"), (both.b, "bob@example.com")):
        calendar.person_puts(event("1:1", organizer=Person(email=address)))
    both.run()
    assert len(both.a.refs()) == len(both.b.refs()) == 2


def test_the_same_invitation_under_another_title_is_linked_by_its_uid(both: Any) -> None:
    for calendar, title in ((both.a, "Invitation: Board"), (both.b, "Board")):
        calendar.person_puts(replace(event(title, attendees=GUESTS), uid="u@x"), organized=False)
    both.run()
    assert len(both.a.refs()) == len(both.b.refs()) == 1


def test_copies_are_recognised_when_the_database_was_lost(both: Any) -> None:
    both.a.person_puts(event("Mine", "2026-03-03T12:00"))
    both.b.person_puts(event("Theirs", "2026-03-04T12:00"))
    both.run()
    with both.store.begin() as tx:
        tx.drop_units(both.link.id)
    outcome = both.run()
    assert outcome.counts.writes == 0
    homes = {unit.a.event.details.title: unit.home for unit in both.store.units(both.link.id)}
    assert homes == {"Mine": Side.A, "Theirs": Side.B}
    settled(both)


# -- invitations and participants ------------------------------------------------------------------


def test_a_participant_s_copy_is_put_back_once(both: Any) -> None:
    both.a.person_puts(event("Board", attendees=GUESTS), organized=False)
    both.run()
    (copy,) = both.b.refs()
    both.b.person_edits(copy, title="Bored")
    both.b.person_moves(copy, "2026-03-02T15:00")
    outcome = both.run()
    assert (outcome.counts.updated, outcome.counts.parked) == (1, 0)
    assert titles(both.b) == ["Board"]
    causes = [entry.cause for entry in both.store.journal(link_id=both.link.id)]
    assert "only its organiser can change it on a: put back" in causes
    settled(both)


def test_a_participant_s_copy_may_differ_where_the_policy_says_so(both: Any) -> None:
    both.policy = replace(TWO_WAY, unwritable=Unwritable.KEEP)
    ref = both.a.person_puts(event("Board", attendees=GUESTS), organized=False)
    both.run()
    both.b.person_edits(both.b.refs()[0], title="Bored")
    assert both.run().counts.writes == 0
    both.a.person_edits(ref, location=Location(name="Roof"))
    both.run()
    shown = only(both.b).details
    assert (shown.title, shown.location) == ("Bored", Location(name="Roof"))
    assert titles(both.a) == ["Board"]


def test_a_participant_s_own_view_travels_back(both: Any) -> None:
    both.a.person_puts(event("Board", attendees=GUESTS, reminders=()), organized=False)
    both.run()
    both.b.person_edits(both.b.refs()[0], reminders=(10,))
    both.run()
    assert only(both.a).details.reminders == (10,)
    settled(both)


def test_a_deleted_copy_of_somebody_else_s_meeting_comes_back(both: Any) -> None:
    both.a.person_puts(event("Board", attendees=GUESTS), organized=False)
    both.run()
    both.b.person_deletes(both.b.refs()[0])
    both.run()
    assert titles(both.a) == titles(both.b) == ["Board"]
    settled(both)


def test_a_meeting_on_both_sides_is_moved_by_its_organiser_alone(both: Any) -> None:
    meeting = replace(event("Board", attendees=GUESTS, organizer=BOSS), uid="u@x")
    here = both.a.person_puts(meeting)
    there = both.b.person_puts(meeting, organized=False)
    both.run()
    both.a.person_moves(here, "2026-03-02T15:00")
    assert both.run().counts.writes == 0  # the invitation itself brings the news
    both.b.person_moves(there, "2026-03-02T15:00")
    assert both.run().counts.writes == 0
    assert both.store.count_units(both.link.id)[UnitState.LIVE] == 1


ANSWERS = (Response.ACCEPTED, Response.TENTATIVE, Response.DECLINED)


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("side", Side)
def test_an_answer_to_an_invitation_travels(both: Any, side: Side, answer: Response) -> None:
    meeting = replace(event("Board", attendees=GUESTS, response=Response.NEEDS_ACTION), uid="u@x")
    refs = {
        Side.A: both.a.person_puts(meeting, organized=False),
        Side.B: both.b.person_puts(meeting, organized=False),
    }
    both.run()
    ours, theirs = (both.a, both.b) if side is Side.A else (both.b, both.a)
    ours.person_edits(refs[side], response=answer)
    both.run()
    assert only(theirs).details.response is answer
    assert both.run().counts.writes == 0
    assert both.here.mails == both.there.mails == []


def test_an_answer_taken_back_stays_where_it_was(both: Any) -> None:
    meeting = replace(event("Board", attendees=GUESTS, response=Response.ACCEPTED), uid="u@x")
    here, _there = (side.person_puts(meeting, organized=False) for side in (both.a, both.b))
    both.run()
    both.a.person_edits(here, response=Response.NEEDS_ACTION)
    assert both.run().counts.writes == 0
    assert only(both.b).details.response is Response.ACCEPTED


def test_what_a_participant_may_not_change_there_is_put_back_here(both: Any) -> None:
    limits = replace(both.here.capabilities.limits, own_view=frozenset({"busy"}))
    both.here.capabilities = replace(both.here.capabilities, limits=limits)
    both.a.person_puts(event("Board", attendees=GUESTS), organized=False)
    both.run()
    both.b.person_edits(both.b.refs()[0], busy=Busy.FREE, visibility=Visibility.PRIVATE)
    both.run()
    assert only(both.a).details.busy is only(both.b).details.busy is Busy.FREE
    assert only(both.b).details.visibility is Visibility.DEFAULT
    settled(both)


def test_an_invitation_that_comes_later_takes_the_copy_s_place(both: Any) -> None:
    meeting = replace(event("Board", attendees=GUESTS, organizer=BOSS), uid="u@x")
    both.a.person_puts(meeting, organized=False)
    both.run()
    (copy,) = both.b.refs()
    arrived = both.b.person_puts(meeting, organized=False)
    outcome = both.run()
    assert outcome.counts.deleted == 1
    assert both.b.refs() == [arrived] != [copy]
    assert len(both.a.refs()) == 1
    assert both.run(full=True).counts.writes == 0


# -- identity --------------------------------------------------------------------------------------


def test_a_series_split_on_the_copy_arrives_as_two(both: Any) -> None:
    both.a.person_puts(event("Standup", rule="FREQ=WEEKLY;BYDAY=MO;COUNT=10"))
    both.run()
    (copy,) = both.b.refs()
    mark = both.b.copy(copy).origin
    both.b.person_edits(
        copy, lambda old: replace(old, rule=replace(old.rule, until=FIRST, count=None))
    )
    rest = event("Standup", "2026-03-16T10:00", rule="FREQ=WEEKLY;BYDAY=MO;COUNT=8")
    both.b.person_puts(rest, origin=mark)
    both.run()
    assert len(both.a.refs()) == 2
    assert sorted(both.a.event(ref).when.start.hour for ref in both.a.refs()) == [9, 10]
    settled(both)


def test_a_copy_that_comes_back_under_another_id_is_the_same(both: Any) -> None:
    ref = both.a.person_puts(event("Lunch"))
    both.run()
    (copy,) = both.b.refs()
    shown = both.b.copy(copy)
    both.b.person_deletes(copy)
    moved = both.b.person_puts(shown.event, origin=shown.origin)
    assert both.run().counts.writes == 0
    both.a.person_edits(ref, title="Late lunch")
    both.run()
    assert both.b.refs() == [moved]
    assert titles(both.b) == ["Late lunch"]
    settled(both)


def test_a_copy_whose_old_id_went_unmentioned_is_not_made_again(both: Any) -> None:
    ref = both.a.person_puts(event("Lunch"))
    both.run()
    (copy,) = both.b.refs()
    shown = both.b.copy(copy)
    both.b.person_deletes(copy)
    _changes, unaware = both.b.changes(None)
    with both.store.begin() as tx:
        tx.set_cursor(both.link.id, Side.B, unaware)
    moved = both.b.person_puts(shown.event, origin=shown.origin)
    both.a.person_edits(ref, title="Late lunch")
    both.run()
    assert both.b.refs() == [moved]
    assert titles(both.b) == ["Late lunch"]
    settled(both)


def test_a_double_of_our_copy_is_not_copied_on(both: Any) -> None:
    both.a.person_puts(event("Lunch"))
    both.run()
    shown = both.b.copy(both.b.refs()[0])
    both.b.person_puts(shown.event, origin=shown.origin)
    both.run()
    assert len(both.a.refs()) == 1


def test_the_mark_of_a_copy_is_the_create_key_of_its_unit(both: Any) -> None:
    both.a.person_puts(event("Lunch"))
    both.run()
    (unit,) = both.store.units(both.link.id)
    assert both.b.copy(unit.ref_b).origin == identity.create_key(both.link.uid, unit.id, "b", 0)


def test_a_copy_taken_out_of_the_bin_stands_on_both_sides_again(both: Any) -> None:
    both.a.person_puts(event("Lunch"))
    both.run()
    shown = both.b.copy(both.b.refs()[0])
    both.b.person_deletes(shown.ref)
    both.run()
    assert both.a.refs() == []
    both.b.person_puts(shown.event, origin=shown.origin)
    both.run()
    assert titles(both.a) == titles(both.b) == ["Lunch"]
    settled(both)


def test_a_copy_moved_into_another_linked_calendar_moves_on_both_sides(both: Any) -> None:
    other = another_link(both)
    both.a.person_puts(event("Lunch"))
    both.run()
    shown = both.b.copy(both.b.refs()[0])
    for order in ((both, other), (other, both)):
        here, there = (both.b, other.b) if both.b.refs() else (other.b, both.b)
        shown = here.copy(here.refs()[0])
        here.person_deletes(shown.ref)
        there.person_puts(shown.event, origin=shown.origin)
        for _ in range(2):
            for link in order:
                link.run()
        filled, empty = (both, other) if both.b.refs() else (other, both)
        assert titles(filled.a) == titles(filled.b) == ["Lunch"]
        assert empty.a.refs() == empty.b.refs() == []


def test_a_copy_of_which_we_never_heard_is_not_taken_for_somebody_s_own(both: Any) -> None:
    both.a.person_puts(event("Lunch"))
    both.run()
    (unit,) = both.store.units(both.link.id)
    with both.store.begin() as tx:
        tx.put_units([replace(unit, a=None, b=None, ref_b=None)])
    both.run(full=True)
    assert titles(both.a) == titles(both.b) == ["Lunch"]
    settled(both)


@pytest.mark.parametrize("edited_twice", [False, True])
def test_an_original_that_two_links_want_back_comes_back_once(
    both: Any, *, edited_twice: bool
) -> None:
    limits = replace(both.here.capabilities.limits, marks=False)
    both.here.capabilities = replace(both.here.capabilities, limits=limits)
    third = two_links(both)
    ref = both.a.person_puts(event("Lunch", location=Location(name="Canteen")))
    both.run()
    third.run()
    both.a.person_deletes(ref)
    both.b.person_edits(both.b.refs()[0], title="Dinner")
    if edited_twice:
        third.b.person_edits(third.b.refs()[0], location=Location(name="Roof"))
    for _ in range(2):
        both.run()
        third.run()
    for calendar in (both.a, both.b, third.b):
        assert titles(calendar) == ["Dinner"]
        assert only(calendar).details.location.name == ("Roof" if edited_twice else "Canteen")
    assert both.run(full=True).counts.writes == third.run(full=True).counts.writes == 0
