"""Both sides' changes travel: passes between two calendars in memory, on the real store."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bridge.verify import FUTURE
from connectors.memory.calendar import MemoryCalendar
from connectors.testing.builders import event
from mappings.model import Event, Key, Location
from mappings.policy import Conflict, Content, Direction, Filters, Policy

TWO_WAY = Policy(direction=Direction.TWO_WAY)
WEEKLY = "FREQ=WEEKLY;BYDAY=MO"
FIRST, SECOND = Key("2026-03-09T09:00:00"), Key("2026-03-16T09:00:00")


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


def test_what_is_new_on_either_side_stands_on_both(both: Any) -> None:
    both.a.person_puts(event("Here", "2026-03-03T12:00"))
    both.b.person_puts(event("There", "2026-03-04T12:00", rule=WEEKLY))
    both.run()
    assert titles(both.a) == titles(both.b) == ["Here", "There"]
    both.settled()


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
    both.settled()


def test_a_deletion_travels_from_the_copy_to_the_original(both: Any) -> None:
    both.a.person_puts(event("Lunch", "2026-03-03T12:00"))
    both.run()
    both.b.person_deletes(both.b.refs()[0])
    both.run()
    assert both.a.refs() == both.b.refs() == []
    both.settled()


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
    both.settled()


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
    both.settled()


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
    both.settled()


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
    both.settled()


def test_all_day_events_at_the_edge_of_what_is_compared_are_no_difference(both: Any) -> None:
    ref = both.a.person_puts(event("Holiday", "2026-03-01", days=1, rule="FREQ=DAILY"))
    both.run()
    edge = both.now + FUTURE
    last = Key(edge.date().isoformat())
    both.a.person_cancels_occurrence(ref, last)
    assert both.differences() == []
    both.a.person_cancels_occurrence(ref, Key((edge.date() - timedelta(days=2)).isoformat()))
    assert len(both.differences()) == 1
