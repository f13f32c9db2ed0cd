"""Occurrences during which the clocks change: Exchange may end them by the wall clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.contract import Whole
from connectors.errors import ConnectorError
from connectors.testing import builders
from connectors.testing.builders import edited
from mappings import recurrence
from mappings.model import Event, Key

from .conftest import ALICE, SINCE, UNTIL, Exchange, expected, listed

KEY = "cd" * 32
WRITES = {"CreateItem", "UpdateItem", "DeleteItem"}
SPRING, FAR = Key("2026-03-28T22:00:00"), Key("2040-03-24T22:00:00")


def event(start: str, minutes: int, rule: str) -> Event:
    """As Exchange holds it: without a reminder there is none."""
    return builders.event(
        "Night shift", start, "Europe/Berlin", minutes=minutes, rule=rule, reminders=()
    )


SHIFT = event("2026-02-02T22:00", 480, "FREQ=DAILY")
SERIES = {
    "shift": SHIFT,
    "some-nights": event("2026-02-06T23:30", 300, "FREQ=WEEKLY;BYDAY=FR,SA;UNTIL=20271224T225959Z"),
    "around-the-clock": event("2026-02-02T09:00", 1440, "FREQ=DAILY;COUNT=400"),
    "first-night": event("2026-03-28T22:00", 480, "FREQ=WEEKLY;COUNT=90"),
    "skipped-hour": event("2026-02-02T02:30", 30, "FREQ=DAILY;COUNT=400"),
    "last-of-the-month": event("2026-03-31T01:00", 90, "FREQ=MONTHLY;BYMONTHDAY=-1"),
}


@pytest.mark.parametrize("end", ["wall", "exact"])
@pytest.mark.parametrize("name", SERIES)
def test_an_occurrence_lasts_as_long_as_all_others(exchange: Exchange, name: str, end: str) -> None:
    exchange.sandbox.switches.turn(occurrence_end=end)
    calendar, connector, wanted = exchange.calendar(), exchange.connect(), SERIES[name]
    made = connector.create(calendar, wanted, KEY)
    assert exchange.shown(calendar) == expected(wanted)
    assert made.event == wanted
    assert listed(exchange.connect(), calendar)[0] == [Whole(copy=made)]
    mark = exchange.mark()
    assert exchange.connect().fetch(calendar, made.ref) == made
    assert exchange.connect().update(calendar, made, made.event) == made
    assert not WRITES & set(exchange.calls(mark))
    renamed = edited(wanted, title="Other")
    assert connector.update(calendar, made, renamed).event == renamed
    assert exchange.shown(calendar) == expected(renamed)


def test_nothing_is_set_where_exchange_keeps_the_length(exchange: Exchange) -> None:
    exchange.sandbox.switches.turn(occurrence_end="exact")
    calendar = exchange.calendar()
    mark = exchange.mark()
    exchange.connect().create(calendar, SHIFT, KEY)
    assert "UpdateItem" not in exchange.calls(mark)


def test_many_series_are_set_with_few_requests(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    mark = exchange.mark()
    pairs = [(SHIFT, f"{number:064x}") for number in range(10)]
    made = exchange.connect().create_many(calendar, pairs)
    assert [copy.event for copy in made] == [SHIFT] * 10
    # Twenty-one nights of each, sixty-four in a request.
    assert exchange.calls(mark).count("UpdateItem") == 4
    assert exchange.calls(mark).count("CreateItem") == 1


def test_an_endless_series_is_continued_once_a_year(exchange: Exchange) -> None:
    calendar, connector = exchange.calendar(), exchange.connect()
    made = connector.create(calendar, SHIFT, KEY)
    since, until = datetime(2036, 12, 1, tzinfo=UTC), datetime(2037, 12, 1, tzinfo=UTC)

    def odd() -> list[timedelta]:
        found = exchange.sandbox.occurrences(ALICE, since, until, folder=calendar)
        return [each.end - each.start for each in found if each.end - each.start != HOURS]

    assert odd() == [timedelta(hours=7), timedelta(hours=9)]
    now = exchange.sandbox.clock.now()
    assert timedelta(days=364) < made.extend_at - now < timedelta(days=366)
    exchange.sandbox.clock.advance(366 * 86400)
    later = exchange.connect().update(calendar, made, made.event)
    assert later.event == SHIFT
    assert odd() == []
    assert later.extend_at - made.extend_at >= timedelta(days=365)
    mark = exchange.mark()
    assert exchange.connect().update(calendar, later, later.event) == later
    assert not WRITES & set(exchange.calls(mark))


HOURS = timedelta(hours=8)


def test_a_persons_edit_of_such_an_occurrence_is_seen(exchange: Exchange) -> None:
    calendar, connector = exchange.calendar(), exchange.connect()
    made = connector.create(calendar, SHIFT, KEY)
    occurrence = exchange.act("occurrence", made.members[0].id, SPRING[:10])
    ruled = recurrence.when_of(SHIFT, SPRING)
    for end, hours in (("2026-03-29T05:00:00", 6), ("2026-03-29T06:00:00", 7)):
        exchange.act("change", occurrence, {"start": "2026-03-28T22:00:00", "end": end})
        (override,) = exchange.connect().fetch(calendar, made.ref).event.overrides
        assert override.when == replace(ruled, duration=timedelta(hours=hours))
    now = exchange.connect().fetch(calendar, made.ref)
    mark = exchange.mark()
    assert exchange.connect().update(calendar, now, now.event) == now
    assert not WRITES & set(exchange.calls(mark)), "it stays as the person wanted it"
    assert connector.update(calendar, now, SHIFT).event == SHIFT
    assert exchange.shown(calendar) == expected(SHIFT)


@pytest.mark.parametrize("key", [SPRING, FAR])
def test_a_person_who_renames_such_an_occurrence_has_not_moved_it(
    exchange: Exchange, key: Key
) -> None:
    calendar, connector = exchange.calendar(), exchange.connect()
    made = connector.create(calendar, SHIFT, KEY)
    exchange.act(
        "change", exchange.act("occurrence", made.members[0].id, key[:10]), {"subject": "Swapped"}
    )
    (override,) = exchange.connect().fetch(calendar, made.ref).event.overrides
    assert override.details is not None
    assert (override.details.title, override.when) == ("Swapped", recurrence.when_of(SHIFT, key))


def test_a_persons_own_series_is_no_edit_at_its_nights(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    fields = {
        "subject": "Theirs",
        "start": "2026-02-02T22:00:00",
        "end": "2026-02-03T06:00:00",
        "recurrence": {"kind": "DailyRecurrence", "interval": 1, "start": "2026-02-02"},
    }
    ref = exchange.act("create", fields, folder=calendar)["id"]
    exchange.act("change", exchange.act("occurrence", ref, SPRING[:10]), {"subject": "Swapped"})
    connector = exchange.connect()
    copy = connector.fetch(calendar, ref)
    (override,) = copy.event.overrides
    assert override.when == recurrence.when_of(copy.event, SPRING)
    found = [each for _, each in connector.occurrences(calendar, SINCE, UNTIL)]
    assert {each.duration for each in found} == {HOURS}


@pytest.mark.parametrize("how", ["drop_before", "drop_after"])
@pytest.mark.parametrize("name", ["shift", "around-the-clock"])
def test_a_creation_that_breaks_off_is_completed_whenever_the_unit_is_looked_at(
    exchange: Exchange, name: str, how: str
) -> None:
    wanted = SERIES[name]
    for number in range(9):
        calendar = exchange.calendar(f"break-{number}")
        exchange.break_write(number, how)
        try:
            exchange.connect().create(calendar, wanted, KEY)
        except ConnectorError:
            pass
        else:
            return
        finally:
            exchange.mend()
        found = exchange.connect().find(calendar, KEY)
        if found is None:
            found = exchange.connect().create(calendar, wanted, KEY)
        assert found.event == wanted
        assert exchange.shown(calendar) == expected(wanted), f"write {number}"
    raise AssertionError("the creation never came to its end")


def test_what_exchange_shows_is_not_glossed_over(exchange: Exchange) -> None:
    exchange.sandbox.switches.turn(occurrence_end="exact")
    calendar, connector = exchange.calendar(), exchange.connect()
    made = connector.create(calendar, SHIFT, KEY)
    exchange.sandbox.switches.turn(occurrence_end="wall")

    def lengths() -> set[Any]:
        found = connector.occurrences(calendar, SINCE, UNTIL)
        return {each.duration for _, each in found}

    assert lengths() == {HOURS, timedelta(hours=7), timedelta(hours=9)}
    assert connector.fetch(calendar, made.ref).event == SHIFT
    assert lengths() == {HOURS}
