"""Series that Exchange can only hold piece by piece, over the years."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.contract import Whole
from connectors.errors import ConnectorError
from connectors.testing import builders
from connectors.testing.builders import cancelled, edited, moved
from mappings import recurrence
from mappings.model import Event, Key

from .conftest import ALICE, Exchange, listed

KEY = "ab" * 32
WINTER = builders.event(
    "Ski", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=DAILY;BYMONTH=1,2,3", reminders=()
)
"""Three months of every year: a series for each year, five years of them at once."""
YEAR = 366 * 86_400


def shown(exchange: Exchange, calendar: str, first: int, last: int) -> list[tuple[str, str]]:
    since, until = datetime(first, 1, 1, tzinfo=UTC), datetime(last, 12, 31, tzinfo=UTC)
    found = exchange.sandbox.occurrences(ALICE, since, until, folder=calendar)
    return sorted((each.start.isoformat(), each.subject) for each in found)


def wanted(event: Event, first: int, last: int) -> list[tuple[str, str]]:
    since, until = datetime(first, 1, 1, tzinfo=UTC), datetime(last, 12, 31, tzinfo=UTC)
    found = recurrence.expand(event, since, until)
    return sorted(
        (each.start.isoformat(), each.details.title)
        for each in found
        if isinstance(each.start, datetime) and since <= each.start
    )


def with_exceptions(event: Event, year: int) -> Event:
    first = cancelled(event, Key(f"{year}-01-05T10:00:00"))
    second = moved(first, Key(f"{year}-02-05T10:00:00"), start=f"{year}-02-05T15:00")
    return edited(second, Key(f"{year}-03-05T10:00:00"), title="Race")


def test_the_next_pieces_follow_in_time_and_the_past_stays_as_it_is(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    event = with_exceptions(with_exceptions(WINTER, 2027), 2032)
    made = exchange.connect().create(calendar, event, KEY)
    first = {item["id"] for item in exchange.items(calendar)}
    assert shown(exchange, calendar, 2026, 2030) == wanted(event, 2026, 2030)
    exchange.sandbox.clock.advance(4.5 * YEAR)
    assert made.extend_at < exchange.sandbox.clock.now()
    copy = exchange.connect().fetch(calendar, made.ref)
    grown = exchange.connect().update(calendar, copy, event)
    assert grown.event == event
    assert {item["id"] for item in exchange.items(calendar)} > first
    assert shown(exchange, calendar, 2026, 2035) == wanted(event, 2026, 2035)
    mark = exchange.mark()
    assert exchange.connect().update(calendar, grown, event) == grown
    assert not {"CreateItem", "UpdateItem", "DeleteItem"} & set(exchange.calls(mark))
    renamed = exchange.connect().update(calendar, grown, edited(event, title="Sleigh"))
    assert renamed.event.details.title == "Sleigh"
    assert shown(exchange, calendar, 2026, 2035) == wanted(renamed.event, 2026, 2035)
    assert first < {item["id"] for item in exchange.items(calendar)}
    assert listed(exchange.connect(), calendar)[0] == [Whole(copy=renamed)]
    exchange.sandbox.clock.advance(5 * YEAR)
    later = exchange.connect().update(calendar, renamed, renamed.event)
    assert later.event == renamed.event, "also what changed in years that no plan has any more"
    assert shown(exchange, calendar, 2026, 2038) == wanted(later.event, 2026, 2038)


def test_growth_that_breaks_off_at_any_write_is_completed(exchange: Exchange) -> None:
    event = with_exceptions(WINTER, 2032)
    ready = [exchange.calendar(f"{number}") for number in range(9)]
    made = [exchange.connect().create(calendar, event, KEY) for calendar in ready]
    exchange.sandbox.clock.advance(4.5 * YEAR)
    for number, (calendar, copy) in enumerate(zip(ready, made, strict=True)):
        exchange.break_write(number, "drop_after")
        broke = False
        try:
            exchange.connect().update(calendar, copy, event)
        except ConnectorError:
            broke = True
        exchange.mend()
        (change,) = listed(exchange.connect(), calendar)[0]
        assert change.copy.event == event, f"write {number}"
        after = exchange.connect()
        for _attempt in range(2):
            now = after.fetch(calendar, copy.ref)
            with suppress(ConnectorError):
                after.update(calendar, now, event)
        assert shown(exchange, calendar, 2026, 2035) == wanted(event, 2026, 2035)
        assert listed(exchange.connect(), calendar)[0] == [
            Whole(copy=after.fetch(calendar, copy.ref))
        ]
        if not broke:
            return
    raise AssertionError("the growth never came to its end")


@pytest.mark.parametrize("rule", ["FREQ=DAILY;BYMONTH=2,3", "FREQ=MONTHLY;BYMONTHDAY=2,17"])
def test_another_rule_holds_from_then_on(exchange: Exchange, rule: str) -> None:
    calendar = exchange.calendar()
    made = exchange.connect().create(calendar, WINTER, KEY)
    exchange.sandbox.clock.advance(4.5 * YEAR)
    copy = exchange.connect().fetch(calendar, made.ref)
    other = replace(WINTER, rule=recurrence.parse_rule(rule, WINTER.when))
    changed: Any = exchange.connect().update(calendar, copy, other)
    assert changed.event == other
    since = exchange.sandbox.clock.now() - timedelta(days=30)
    assert shown(exchange, calendar, since.year + 1, 2034) == wanted(other, since.year + 1, 2034)
