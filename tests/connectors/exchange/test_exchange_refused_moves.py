"""A move that the published rules allow and this server refuses: the occurrence stands alone."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from connectors.contract import Whole
from connectors.errors import ConnectorError
from connectors.sandbox.exchange import ExchangeSwitches
from connectors.testing import builders
from connectors.testing.builders import cancelled, edited, moved, reverted
from mappings.model import Event, Key

from .conftest import Exchange, expected, listed

KEY = "ab" * 32


def event(*args: Any, **details: Any) -> Event:
    return builders.event(*args, reminders=(), **details)


DAILY = event("Standup", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=DAILY;COUNT=12")
WEEKLY = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=8")
SECOND, THIRD, FIFTH = (Key(f"2026-03-{day}T10:00:00") for day in ("09", "16", "30"))
TO_THE_EVE = moved(WEEKLY, THIRD, start="2026-03-22T18:00")
"""The day before its successor: allowed, unless a server wants a day between."""
TWO_OF_THEM = moved(TO_THE_EVE, FIFTH, start="2026-03-24T08:00")
TWICE = event("Twice", "2026-03-03T09:00", rule="FREQ=MONTHLY;BYMONTHDAY=3,4;COUNT=8")


@pytest.fixture
def strict(open_exchange: Callable[..., Exchange]) -> Exchange:
    return open_exchange(switches=ExchangeSwitches(days_between=1))


def test_a_refused_move_of_a_new_series_stands_alone(strict: Exchange) -> None:
    calendar = strict.calendar()
    connector = strict.connect()
    made = connector.create(calendar, TO_THE_EVE, KEY)
    assert made.event == TO_THE_EVE
    assert strict.shown(calendar) == expected(TO_THE_EVE)
    assert sorted(item["type"] for item in strict.items(calendar)) == ["RecurringMaster", "Single"]
    assert any(str(THIRD) in line for line in strict.logged)
    assert strict.connect().find(calendar, KEY) == made
    changes, cursor = listed(strict.connect(), calendar)
    assert changes == [Whole(copy=made)]
    connector.delete(calendar, made)
    assert strict.items(calendar) == []
    assert listed(strict.connect(), calendar, cursor)[0] != []


def test_a_refused_move_that_stands_alone_costs_nothing_more(strict: Exchange) -> None:
    calendar = strict.calendar()
    connector = strict.connect()
    made = connector.create(calendar, TO_THE_EVE, KEY)
    master = made.member("main")
    renamed = connector.update(calendar, made, edited(made.event, title="Renamed"))
    assert renamed.member("main").id == master.id
    assert strict.shown(calendar) == expected(renamed.event)
    again = connector.update(
        calendar, renamed, moved(renamed.event, THIRD, start="2026-03-17T10:00")
    )
    assert again.member("main").id == master.id
    assert strict.shown(calendar) == expected(again.event)
    back = connector.update(calendar, again, reverted(again.event, THIRD))
    assert strict.shown(calendar) == expected(back.event)
    assert [item["type"] for item in strict.items(calendar)] == ["RecurringMaster"]


def test_several_series_in_one_request_are_each_written_as_far_as_they_may(
    strict: Exchange,
) -> None:
    calendar = strict.calendar()
    wanted = [TWO_OF_THEM, cancelled(WEEKLY, SECOND), edited(WEEKLY, SECOND, title="Other")]
    pairs = [(each, f"{number:064x}") for number, each in enumerate(wanted)]
    made = strict.connect().create_many(calendar, pairs)
    assert [copy.event for copy in made] == wanted
    assert strict.shown(calendar) == sorted(line for each in wanted for line in expected(each))


def test_exceptions_that_stood_in_each_others_way_go_back_together(strict: Exchange) -> None:
    calendar = strict.calendar()
    strict.sandbox.switches.turn(days_between=0)
    connector = strict.connect()
    first, second = Key("2026-03-09T10:00:00"), Key("2026-03-16T10:00:00")
    both = moved(moved(WEEKLY, first, start="2026-03-15T10:00"), second, start="2026-03-20T10:00")
    made = connector.create(calendar, both, KEY)
    other = moved(moved(WEEKLY, first, start="2026-03-03T10:00"), second, start="2026-03-04T10:00")
    changed = connector.update(calendar, made, other)
    assert strict.shown(calendar) == expected(changed.event) == expected(other)
    back = connector.update(calendar, changed, WEEKLY)
    assert strict.shown(calendar) == expected(WEEKLY)
    assert [item["type"] for item in strict.items(calendar)] == ["RecurringMaster"]
    assert back.member("main").id == made.member("main").id


CHANGES = {
    "one": (WEEKLY, TO_THE_EVE),
    "two": (WEEKLY, TWO_OF_THEM),
    "one-more": (TO_THE_EVE, TWO_OF_THEM),
    "moved-back": (TWO_OF_THEM, WEEKLY),
    "on-a-new-time": (TO_THE_EVE, moved(TO_THE_EVE, start="2026-03-02T14:00")),
    "single-to-series": (event("Review", "2026-03-02T10:00", "Europe/Berlin"), TO_THE_EVE),
    "of-two-parts": (TWICE, moved(TWICE, Key("2026-04-03T09:00:00"), start="2026-03-04T20:00")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_detachment_that_breaks_off_at_any_write_is_completed_by_the_next_attempt(
    strict: Exchange, name: str
) -> None:
    old, new = CHANGES[name]
    for number in range(30):
        calendar = strict.calendar(f"{name}-{number}")
        connector = strict.connect()
        made = connector.create(calendar, old, KEY)
        strict.break_write(number, "drop_after")
        broke = False
        try:
            connector.update(calendar, made, new)
        except ConnectorError:
            broke = True
        strict.mend()
        strict.sandbox.clock.advance(3600)
        after = strict.connect()
        for _attempt in range(2):
            now = after.fetch(calendar, made.ref)
            with suppress(ConnectorError):
                after.update(calendar, now, new)
        final = after.fetch(calendar, made.ref)
        assert final.event == new
        assert strict.shown(calendar) == expected(new), f"write {number}"
        assert listed(strict.connect(), calendar)[0] == [Whole(copy=final)]
        if not broke:
            return
    raise AssertionError("the change never came to its end")
