"""Two filled calendars meet: what is the same is linked, not copied."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.records import RunKind, Side
from connectors.memory.calendar import MemoryCalendar
from connectors.testing.builders import event
from mappings.model import Attendee, Event, Location, Person, Response
from mappings.policy import Conflict, Direction, Policy

TWO_WAY = Policy(direction=Direction.TWO_WAY)
WEEKLY = "FREQ=WEEKLY;BYDAY=MO"
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


def only(calendar: MemoryCalendar) -> Event:
    (ref,) = calendar.refs()
    return calendar.event(ref)


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
    both.settled()


def test_two_alike_are_linked_one_to_one(both: Any) -> None:
    for calendar in (both.a, both.b, both.b):
        calendar.person_puts(event("Lunch", "2026-03-03T12:00"))
    both.run()
    assert len(both.a.refs()) == len(both.b.refs()) == 2
    both.settled()


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
    both.settled()
