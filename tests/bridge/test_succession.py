"""One calendar with two links: what one of them puts in the place of an event is not a stranger to
the other one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bridge.records import Side
from bridge.simulation.worlds import Replacing
from connectors.contract import Page
from connectors.testing.builders import event
from mappings.model import Key, Location
from mappings.policy import Conflict, Direction, Policy

WEEKLY = "FREQ=WEEKLY;BYDAY=MO"
FIRST, SECOND = Key("2026-03-09T09:00:00"), Key("2026-03-16T09:00:00")


@dataclass(frozen=True)
class Hub(Replacing):
    """Gives an event another id where an occurrence that was removed is to come back. Its
    listings leave out what is `hidden`."""

    hidden: frozenset[str] = frozenset()

    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        for page in super().changes(calendar, cursor):
            shown = tuple(change for change in page.changes if change.ref not in self.hidden)
            yield replace(page, changes=shown)


@dataclass
class Hidden:
    refs: frozenset[str] = frozenset()


@pytest.fixture
def hidden() -> Hidden:
    """What the hub's listings do not show yet."""
    return Hidden()


@pytest.fixture
def links(pair: Any, hidden: Hidden) -> Any:
    """Two links of one calendar; the other sides win."""
    limits = replace(pair.here.capabilities.limits, marks=False)
    pair.here.capabilities = replace(pair.here.capabilities, limits=limits)
    pair.policy = Policy(direction=Direction.TWO_WAY, conflict=Conflict.B)
    third = pair.third()
    for link in (pair, third):
        link.connectors = _on_hub(link, hidden)
    return pair, third


def _on_hub(link: Any, hidden: Hidden) -> Any:
    sessions = type(link).connectors

    def connectors() -> dict[Side, Any]:
        opened = sessions(link)
        return opened | {Side.A: Hub(link.here, "ann", hidden.refs)}

    return connectors


def replaced(first: Any, third: Any) -> tuple[str, str]:
    """A series that both links know gets another id at the hub through the first one; its former
    id and the copy's."""
    first.b.person_puts(event("Class", rule=WEEKLY, location=Location(name="Canteen")))
    first.run()
    third.run()
    (old,) = first.a.refs()
    (copy,) = third.b.refs()
    first.a.person_cancels_occurrence(old, FIRST)
    first.b.person_edits_occurrence(first.b.refs()[0], FIRST, title="Exam")
    first.run()
    assert first.a.refs() != [old]
    return old, copy


def assert_one_of_each(first: Any, third: Any, title: str = "Class") -> None:
    shown = []
    for calendar in (first.a, first.b, third.b):
        (ref,) = calendar.refs()
        found = calendar.event(ref)
        assert found.details.title == title
        shown.append((found.when, found.rule, found.details.location, found.overrides_by_key))
    assert shown[0] == shown[1] == shown[2]
    assert first.run(full=True).counts.writes == third.run(full=True).counts.writes == 0


def test_what_one_link_has_replaced_is_the_same_to_the_other(links: Any) -> None:
    first, third = links
    _old, copy = replaced(first, third)
    third.run()
    assert third.b.refs() == [copy]
    assert_one_of_each(first, third)


@pytest.mark.parametrize("full", [False, True])
def test_an_edit_at_the_third_calendar_meets_the_new_one(links: Any, *, full: bool) -> None:
    first, third = links
    _old, copy = replaced(first, third)
    third.b.person_edits(copy, title="Lecture")
    third.run(full=full)
    first.run(full=full)
    assert third.b.refs() == [copy]
    assert_one_of_each(first, third, "Lecture")


def test_one_that_no_listing_shows_yet_is_found_all_the_same(links: Any, hidden: Hidden) -> None:
    first, third = links
    _old, copy = replaced(first, third)
    third.b.person_edits(copy, title="Lecture")
    hidden.refs = frozenset(first.a.refs())
    third.run()
    hidden.refs = frozenset()
    for _ in range(2):
        first.run()
        third.run()
    assert third.b.refs() == [copy]
    assert_one_of_each(first, third, "Lecture")


def test_what_was_deleted_after_it_was_replaced_is_deleted_everywhere(links: Any) -> None:
    first, third = links
    replaced(first, third)
    first.a.person_deletes(first.a.refs()[0])
    third.run()
    first.run()
    assert first.a.refs() == first.b.refs() == third.b.refs() == []


def test_what_was_replaced_twice_is_still_the_same(links: Any) -> None:
    first, third = links
    _old, copy = replaced(first, third)
    first.a.person_cancels_occurrence(first.a.refs()[0], SECOND)
    first.b.person_edits_occurrence(first.b.refs()[0], SECOND, title="Test")
    between = first.a.refs()
    first.run()
    assert first.a.refs() != between
    third.b.person_edits(copy, title="Lecture")
    third.run()
    first.run()
    assert third.b.refs() == [copy]
    assert_one_of_each(first, third, "Lecture")


def test_a_link_that_only_copies_keeps_its_copy(links: Any) -> None:
    first, third = links
    third.policy = Policy(direction=Direction.TO_TARGET)
    _old, copy = replaced(first, third)
    third.run()
    assert third.b.refs() == [copy]
    assert_one_of_each(first, third)
