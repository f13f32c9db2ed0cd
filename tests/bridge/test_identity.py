"""Who is that? Events that come back, move, split or are doubled."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.records import Side
from connectors.memory.calendar import MemoryCalendar
from connectors.testing.builders import event
from mappings import identity
from mappings.model import Event, Key, Location
from mappings.policy import Direction, Policy

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
    both.settled()


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
    both.settled()


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
    both.settled()


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
    both.settled()


def test_a_copy_moved_into_another_linked_calendar_moves_on_both_sides(both: Any) -> None:
    other = both.another()
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
    both.settled()


def test_what_another_link_has_brought_back_takes_the_place_of_our_copy(both: Any) -> None:
    limits = replace(both.here.capabilities.limits, marks=False)
    both.here.capabilities = replace(both.here.capabilities, limits=limits)
    third = both.third()
    both.b.person_puts(event("Lunch", location=Location(name="Canteen")))
    both.run()
    third.run()
    both.a.person_deletes(both.a.refs()[0])
    both.b.person_edits(both.b.refs()[0], title="Dinner")
    third.b.person_edits(third.b.refs()[0], location=Location(name="Roof"))
    for _ in range(2):
        third.run()
        both.run()
    for calendar in (both.a, both.b, third.b):
        assert titles(calendar) == ["Dinner"]
        assert only(calendar).details.location.name == "Roof"
    assert both.run(full=True).counts.writes == third.run(full=True).counts.writes == 0


@pytest.mark.parametrize("edited_twice", [False, True])
def test_an_original_that_two_links_want_back_comes_back_once(
    both: Any, *, edited_twice: bool
) -> None:
    limits = replace(both.here.capabilities.limits, marks=False)
    both.here.capabilities = replace(both.here.capabilities, limits=limits)
    third = both.third()
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
