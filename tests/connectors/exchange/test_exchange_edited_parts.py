"""A person edits one of the items that together are one event."""

from itertools import permutations
from typing import Any

import pytest

from connectors.contract import Unreadable, Whole
from connectors.errors import RejectedError
from connectors.testing import builders
from mappings import exchange_agreement as agreement
from mappings.errors import UnmappableError
from mappings.exchange_agreement import Told, agreed, digests
from mappings.model import Details, Event

from .conftest import SINCE, Exchange, expected, listed

KEY = "ab" * 32


def event(*args: Any, **details: Any) -> Event:
    return builders.event(*args, reminders=(), **details)


PARTS = {
    2: event("Review", "2026-03-03T09:00", rule="FREQ=MONTHLY;BYMONTHDAY=3,17"),
    3: event("Review", "2026-03-03T09:00", rule="FREQ=MONTHLY;BYMONTHDAY=3,13,23"),
    4: event("Review", "2026-03-03T09:00", rule="FREQ=MONTHLY;BYMONTHDAY=3,10,17,24"),
}
BOUNDED = event("Review", "2026-03-03T09:00", rule="FREQ=MONTHLY;BYMONTHDAY=3,13,23;COUNT=30")
EDITS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "title": ({"subject": "By hand"}, "title", "By hand"),
    "description": ({"html": "Bring cake"}, "description", "Bring cake"),
    "busy": ({"status": "Free"}, "busy", "free"),
    "reminder": ({"reminder": 30}, "reminders", (30,)),
}


def parts_of(copy: Any) -> list[str]:
    return [member.id for member in copy.members]


@pytest.mark.parametrize("field", EDITS)
@pytest.mark.parametrize("count", PARTS)
def test_an_edit_of_any_one_item_is_an_edit_of_the_event(
    exchange: Exchange, count: int, field: str
) -> None:
    fields, name, wanted = EDITS[field]
    for place in range(count):
        calendar = exchange.calendar(f"{place}")
        made = exchange.connect().create(calendar, PARTS[count], KEY)
        assert len(parts_of(made)) == count
        _, cursor = listed(exchange.connect(), calendar)
        exchange.act("change", parts_of(made)[place], fields)
        (change,), cursor = listed(exchange.connect(), calendar, cursor)
        assert getattr(change.copy.event.details, name) == wanted
        assert change.copy.event.rule == made.event.rule
        assert change.copy.event.overrides == ()
        assert change.copy.extend_at <= exchange.sandbox.clock.now(), "the others are to follow"
        after = exchange.connect()
        even = after.update(calendar, change.copy, change.copy.event)
        assert (even.event, even.extend_at) == (change.copy.event, None)
        assert parts_of(even) == parts_of(made)
        shown = {exchange.act("show", id_)[_shown(field)] for id_ in map(str, parts_of(even))}
        assert len(shown) == 1
        assert listed(exchange.connect(), calendar)[0] == [Whole(copy=even)]


def _shown(field: str) -> str:
    return {"title": "subject", "description": "body", "busy": "status"}.get(field, field)


def test_different_fields_on_different_items_are_all_edits_of_the_event(
    exchange: Exchange,
) -> None:
    calendar = exchange.calendar()
    made = exchange.connect().create(calendar, PARTS[3], KEY)
    first, second, third = parts_of(made)
    exchange.act("change", first, {"subject": "By hand"})
    exchange.act("change", second, {"location": "Room 2"})
    exchange.act("change", third, {"subject": "By hand"})
    details = exchange.connect().fetch(calendar, made.ref).event.details
    assert (details.title, details.location.name) == ("By hand", "Room 2")


def test_different_edits_of_the_same_field_are_reported(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    made = exchange.connect().create(calendar, PARTS[2], KEY)
    first, second = parts_of(made)
    exchange.act("change", first, {"subject": "One"})
    exchange.act("change", second, {"subject": "Other"})
    (change,), cursor = listed(exchange.connect(), calendar)
    assert isinstance(change, Unreadable)
    assert (change.code, change.ref) == ("DECOMPOSED", made.ref)
    assert "their title was changed there in different ways" in change.detail
    with pytest.raises(RejectedError):
        exchange.connect().fetch(calendar, made.ref)
    exchange.act("change", first, {"subject": "Other"})
    (change,), _ = listed(exchange.connect(), calendar, cursor)
    assert change.copy.event.details.title == "Other"


def test_an_edit_of_one_item_survives_an_edit_from_the_other_side(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    made = exchange.connect().create(calendar, PARTS[2], KEY)
    exchange.act("change", parts_of(made)[1], {"subject": "By hand"})
    connector = exchange.connect()
    copy = connector.fetch(calendar, made.ref)
    both = builders.edited(copy.event, description="And a text")
    changed = connector.update(calendar, copy, both)
    assert changed.event == both
    assert exchange.shown(calendar) == expected(both)
    assert {item["subject"] for item in exchange.items(calendar)} == {"By hand"}


@pytest.mark.parametrize("place", range(3))
def test_a_deleted_part_of_a_series_that_ends_is_so_many_cancelled_occurrences(
    exchange: Exchange, place: int
) -> None:
    calendar = exchange.calendar()
    made = exchange.connect().create(calendar, BOUNDED, KEY)
    exchange.act("remove", parts_of(made)[place])
    (change,), _ = listed(exchange.connect(), calendar)
    found = change.copy.event
    assert (change.ref, found.rule) == (made.ref, BOUNDED.rule)
    assert len(found.overrides) == 10
    assert all(override.cancelled for override in found.overrides)
    assert exchange.shown(calendar) == expected(found)
    renamed = exchange.connect().update(
        calendar, change.copy, builders.edited(found, title="Renamed")
    )
    assert exchange.shown(calendar) == expected(renamed.event)
    assert len(renamed.event.overrides) == 10


@pytest.mark.parametrize("place", range(3))
def test_a_part_that_was_moved_in_the_day_is_so_many_moved_occurrences(
    exchange: Exchange, place: int
) -> None:
    calendar = exchange.calendar()
    made = exchange.connect().create(calendar, BOUNDED, KEY)
    part = parts_of(made)[place]
    start = exchange.act("show", part)["start"]
    there = {"start": f"{start[:10]}T14:00:00", "end": f"{start[:10]}T15:30:00"}
    exchange.act("change", part, there)
    (change,), _ = listed(exchange.connect(), calendar)
    found = change.copy.event
    assert (found.rule, found.when, len(found.overrides)) == (BOUNDED.rule, BOUNDED.when, 10)
    assert exchange.shown(calendar) == expected(found)
    connector = exchange.connect()
    renamed = connector.update(calendar, change.copy, builders.edited(found, title="Renamed"))
    assert exchange.shown(calendar) == expected(renamed.event)


@pytest.mark.parametrize("what", ["delete", "move", "repattern"])
def test_what_would_change_a_rule_for_ever_is_reported(exchange: Exchange, what: str) -> None:
    calendar = exchange.calendar()
    made = exchange.connect().create(calendar, PARTS[3], KEY)
    part = parts_of(made)[1]
    start = exchange.act("show", part)["start"][:10]
    match what:
        case "delete":
            exchange.act("remove", part)
        case "move":
            there = {"start": f"{start}T14:00:00", "end": f"{start}T15:30:00"}
            exchange.act("change", part, there)
        case _:
            rule = {"kind": "DailyRecurrence", "interval": 9, "start": start, "number": 4}
            exchange.act("change", part, {"recurrence": rule})
    (change,), _ = listed(exchange.connect(), calendar)
    assert isinstance(change, Unreadable)
    assert change.code == "DECOMPOSED"
    assert "Change the series on the other side" in change.detail


def test_neither_number_nor_order_of_the_items_decides_what_an_edit_means() -> None:
    was, now = Details(title="was"), Details(title="now", description="text")
    written = digests(was)
    for count in range(2, 5):
        for edited in range(1, count + 1):
            shown = [now] * edited + [was] * (count - edited)
            for order in permutations(range(count)):
                told = [
                    Told(f"P{place}", SINCE, written, shown[at]) for place, at in enumerate(order)
                ]
                assert agreed(told) == now


def test_what_the_bridge_wrote_last_counts_where_its_own_write_broke_off() -> None:
    old, new = Details(title="old"), Details(title="new")
    later = SINCE.replace(hour=1)
    told = [Told("A", SINCE, digests(old), old), Told("B", later, digests(new), new)]
    assert agreed(told) == agreed(told[::-1]) == new
    assert agreement.uneven([old, new])
    edited = Told("C", SINCE, digests(old), Details(title="edited"))
    assert agreed([*told, edited]).title == "edited"
    with pytest.raises(UnmappableError, match="different ways"):
        agreed([*told, edited, Told("D", later, digests(new), Details(title="otherwise"))])
