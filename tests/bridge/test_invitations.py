"""Meetings that somebody else organises: nobody fights over them, and answers travel."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.records import Side, UnitState
from connectors.memory.calendar import MemoryCalendar
from connectors.testing.builders import event
from mappings.model import Attendee, Busy, Event, Location, Person, Response, Visibility
from mappings.policy import Direction, Policy, Unwritable

TWO_WAY = Policy(direction=Direction.TWO_WAY)
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


def titles(calendar: MemoryCalendar) -> list[str]:
    return sorted(calendar.event(ref).details.title for ref in calendar.refs())


def only(calendar: MemoryCalendar) -> Event:
    (ref,) = calendar.refs()
    return calendar.event(ref)


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
    both.settled()


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
    both.settled()


def test_a_deleted_copy_of_somebody_else_s_meeting_comes_back(both: Any) -> None:
    both.a.person_puts(event("Board", attendees=GUESTS), organized=False)
    both.run()
    both.b.person_deletes(both.b.refs()[0])
    both.run()
    assert titles(both.a) == titles(both.b) == ["Board"]
    both.settled()


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
    both.settled()


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
