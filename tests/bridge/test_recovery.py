"""What people do to an event while nobody knows yet whether a write to it has arrived."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.records import Side
from bridge.recovery import explained
from bridge.store import Store
from connectors.contract import Copy, Member
from connectors.errors import OutcomeUnknownError
from connectors.memory.calendar import MemoryCalendar
from connectors.testing.builders import edited, event
from mappings.model import Event, Key, Location

from .test_apply import TWO_WAY, Pair, at_first, failing, make


@pytest.fixture
def pair(store: Store) -> Pair:
    return make(store, TWO_WAY)


def at(content: Event, place: str) -> Event:
    location = Location(name=place) if place else None
    return replace(content, details=replace(content.details, location=location))


def put_at(calendar: MemoryCalendar, ref: str, place: str) -> None:
    calendar.person_edits(ref, lambda content: at(content, place))


def later_by_two_hours(content: Event) -> Event:
    when = content.when
    return replace(content, when=replace(when, start=when.start + timedelta(hours=2)))


def break_off(pair: Pair, operation: str, *sides: Side) -> None:
    """A call of that kind is carried out on each side, and its answer lost."""
    for side in sides:
        pair.worlds[side].after = at_first(operation, failing(OutcomeUnknownError("no answer")))


def places(pair: Pair) -> list[str]:
    found = [calendar.event(ref) for calendar in (pair.a, pair.b) for ref in calendar.refs()]
    return [item.details.location.name if item.details.location else "" for item in found]


@pytest.mark.parametrize("tells_times", [True, False])
def test_an_edit_of_a_copy_whose_making_was_not_known_yet_is_kept(
    pair: Pair, tells_times: bool
) -> None:
    pair.worlds[Side.B].tells_times = tells_times
    pair.a.person_puts(event("Lunch"))
    break_off(pair, "create", Side.B)
    pair.run()
    (twin,) = pair.b.refs()
    put_at(pair.b, twin, "Room 7")
    pair.run()
    pair.run()
    assert places(pair) == ["Room 7", "Room 7"]


def test_the_move_of_a_copy_whose_making_was_not_known_yet_is_kept(pair: Pair) -> None:
    pair.worlds[Side.B].tells_times = False
    ref = pair.a.person_puts(event("Lunch"))
    break_off(pair, "create", Side.B)
    pair.run()
    (twin,) = pair.b.refs()
    later = later_by_two_hours(pair.b.event(twin))
    pair.b.person_edits(twin, lambda _content: later)
    pair.run()
    pair.run()
    assert pair.a.event(ref).when == pair.b.event(twin).when == later.when


@pytest.mark.parametrize("place", ["Room 8", ""])
def test_an_edit_after_one_whose_arrival_was_not_known_yet_stands(pair: Pair, place: str) -> None:
    pair.a.person_puts(event("Lunch"))
    pair.run()
    (twin,) = pair.b.refs()
    put_at(pair.b, twin, "Room 7")
    break_off(pair, "update", Side.A)
    pair.run()
    put_at(pair.b, twin, place)
    pair.run()
    pair.run()
    assert places(pair) == [place, place]


def test_an_edit_stands_although_neither_making_nor_the_edit_before_was_known(pair: Pair) -> None:
    pair.a.person_puts(event("Lunch"))
    break_off(pair, "create", Side.B)
    pair.run()
    (twin,) = pair.b.refs()
    put_at(pair.b, twin, "Room 7")
    break_off(pair, "update", Side.A)
    pair.run()
    put_at(pair.b, twin, "Room 8")
    pair.run()
    pair.run()
    assert places(pair) == ["Room 8", "Room 8"]


def test_an_edit_stands_although_the_one_before_went_with_an_edit_of_the_original(
    pair: Pair,
) -> None:
    ref = pair.a.person_puts(event("Lunch"))
    break_off(pair, "create", Side.B)
    pair.run()
    (twin,) = pair.b.refs()
    put_at(pair.b, twin, "Room 7")
    pair.a.person_edits(ref, title="Dinner")
    break_off(pair, "update", Side.A)
    pair.run()
    put_at(pair.b, twin, "Room 8")
    pair.run()
    pair.run()
    assert places(pair) == ["Room 8", "Room 8"]
    assert pair.titles(Side.A) == pair.titles(Side.B) == ["Dinner"]


def test_what_stands_in_place_of_a_part_of_a_write_was_put_over_it() -> None:
    """The write moved the event, and carried along the place that a person had just given it."""
    before = event("Lunch")
    written = at(later_by_two_hours(before), "Room 7")
    now = at(written, "Room 8")
    assert known_after(before, written, now) == written


def test_what_no_part_of_a_write_explains_says_nothing_of_whether_it_arrived() -> None:
    before = event("Lunch")
    assert known_after(before, at(before, "Room 7"), at(before, "Room 8")) == before


def test_an_occurrence_of_another_schedule_is_not_the_one_that_was_written() -> None:
    """Both leave an exception behind that bears the same name and title."""
    before = event("Lunch", rule="FREQ=DAILY;COUNT=6")
    key = Key("2026-03-03T09:00:00")
    written = edited(later_by_two_hours(before), key, title="Special")
    now = edited(later_by_two_hours(later_by_two_hours(before)), key, title="Special")
    assert known_after(before, written, now) == before


def test_what_is_not_known_yet_stays_under_the_version_that_is() -> None:
    before = event("Lunch")
    written = at(before, "Room 7")
    now = replace(written, details=replace(written.details, title="Dinner"))
    shadow, found = (
        Copy(ref="r", event=content, members=(Member(part="", id="r", version=version),))
        for content, version in ((before, "1"), (now, "2"))
    )
    known = explained(shadow, found, written, found)
    assert known.event == written
    assert known.version("") == "1"


def known_after(before: Event, written: Event, now: Event) -> Event:
    shadow, found = (Copy(ref="r", event=content, members=()) for content in (before, now))
    return explained(shadow, found, written, found).event
