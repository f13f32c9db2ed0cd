"""Series at Exchange: decomposed where a pattern cannot say it, made anew where it would lose."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from connectors.contract import Gone, Whole
from connectors.errors import ConnectorError
from connectors.testing import builders
from connectors.testing.builders import cancelled, edited, moved
from mappings import exchange_units, zones
from mappings.model import Event, Key

from .conftest import expected, listed

KEY = "ab" * 32


def event(*args: Any, **details: Any) -> Event:
    """As Exchange holds it: without a reminder there is none."""
    return builders.event(*args, reminders=(), **details)


WEEKLY = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=12")
SECOND, THIRD = Key("2026-03-09T10:00:00"), Key("2026-03-16T10:00:00")
PAST_NEXT = moved(WEEKLY, SECOND, start="2026-03-18T08:00")
"""An occurrence that stands behind its successor, which no series of Exchange can hold."""

RULES = {
    "the-31st": event(start="2026-03-31T17:00", zone="Europe/Berlin", rule="FREQ=MONTHLY;COUNT=8"),
    "the-31st-for-ever": event(start="2026-03-31T17:00", rule="FREQ=MONTHLY"),
    "friday-the-13th": event(start="2026-03-13T09:00", rule="FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR"),
    "twice-a-month": event(start="2026-03-03T09:00", rule="FREQ=MONTHLY;BYMONTHDAY=3,17"),
    "twice-a-day": event(start="2026-03-03T09:00", rule="FREQ=DAILY;BYHOUR=9,15;COUNT=20"),
    "every-other-year": event(start="2026-03-03T09:00", rule="FREQ=YEARLY;INTERVAL=2"),
    "leap-days": event(start="2024-02-29T09:00", rule="FREQ=YEARLY"),
    "fifth-monday": event(start="2026-03-30T09:00", rule="FREQ=MONTHLY;BYDAY=5MO;COUNT=6"),
    "extra-dates": event(rule="FREQ=WEEKLY;COUNT=4", rdates=("2026-03-05T09:00:00",)),
    "past-the-next": PAST_NEXT,
    "exceptions": cancelled(edited(WEEKLY, SECOND, title="With guests"), THIRD),
    "longer-than-a-day": event(start="2026-03-03T09:00", minutes=2160, rule="FREQ=DAILY;COUNT=9"),
    "changed-31st": edited(
        event(start="2026-03-31T17:00", rule="FREQ=MONTHLY;COUNT=8"),
        Key("2026-05-31T17:00:00"),
        title="May",
    ),
}


@pytest.fixture(scope="module")
def shared() -> Any:
    from .conftest import _open

    opened = _open()
    yield opened
    assert opened.sandbox.mails == []
    opened.close()


@pytest.mark.parametrize("name", RULES)
def test_a_rule_that_no_pattern_says_takes_place_exactly(shared: Any, name: str) -> None:
    calendar = shared.calendar(name)
    connector = shared.connect()
    wanted = RULES[name]
    made = connector.create(calendar, wanted, KEY)
    assert made.event == wanted
    assert shared.shown(calendar) == expected(wanted)
    again = shared.connect()
    assert again.fetch(calendar, made.ref) == made
    changes, cursor = listed(again, calendar)
    assert changes == [Whole(copy=made)]
    assert listed(again, calendar, cursor)[0] == []
    renamed = again.update(calendar, made, edited(wanted, title="Renamed"))
    assert shared.shown(calendar) == expected(renamed.event)
    assert renamed.ref == made.ref
    again.delete(calendar, renamed)
    assert shared.items(calendar) == []
    assert set(listed(shared.connect(), calendar, cursor)[0]) == {Gone(ref=made.ref)}


def test_a_person_deletes_one_item_of_a_decomposed_series(shared: Any) -> None:
    calendar = shared.calendar("one-item")
    made = shared.connect().create(calendar, RULES["twice-a-month"], KEY)
    _, cursor = listed(shared.connect(), calendar)
    (other,) = [member for member in made.members if member.part != "main"]
    shared.act("remove", other.id)
    (change,), _ = listed(shared.connect(), calendar, cursor)
    assert isinstance(change, Whole)
    assert change.ref == made.ref
    left = {key[8:10] for key in map(str, _starts(change.copy.event))}
    assert left == {"03"}


def _starts(event_: Event) -> list[str]:
    return [start for start, _, _ in expected(event_)]


def test_a_person_renames_a_series_that_was_made_anew(shared: Any) -> None:
    calendar = shared.calendar("rebuilt")
    connector = shared.connect()
    made = connector.create(calendar, RULES["exceptions"], KEY)
    later = moved(made.event, start="2026-03-02T14:00")
    changed = connector.update(calendar, made, later)
    assert changed.ref == made.ref
    assert changed.member("main").id != made.member("main").id
    _, cursor = listed(shared.connect(), calendar)
    (item,) = shared.items(calendar)
    shared.act("change", item["id"], {"subject": "By hand"})
    (change,), cursor = listed(shared.connect(), calendar, cursor)
    assert change.ref == made.ref
    assert change.copy.origin == KEY
    assert change.copy.event.details.title == "By hand"
    shared.act("remove", item["id"])
    assert listed(shared.connect(), calendar, cursor)[0] == [Gone(ref=made.ref)]


CHANGES = {
    "exceptions-on-a-new-time": (
        RULES["exceptions"],
        moved(RULES["exceptions"], start="2026-03-02T14:00"),
    ),
    "comes-back": (cancelled(WEEKLY, SECOND), WEEKLY),
    "moved-past-the-next": (WEEKLY, PAST_NEXT),
    "moved-back": (PAST_NEXT, WEEKLY),
    "two-patterns-to-one": (RULES["twice-a-month"], WEEKLY),
    "one-pattern-to-two": (WEEKLY, RULES["twice-a-month"]),
    "single-to-several": (event("Review", "2026-03-02T10:00", "Europe/Berlin"), PAST_NEXT),
    "several-to-single": (PAST_NEXT, event("Review", "2026-03-02T10:00", "Europe/Berlin")),
    "other-exceptions": (
        cancelled(edited(WEEKLY, SECOND, title="One"), THIRD),
        cancelled(edited(WEEKLY, Key("2026-03-23T10:00:00"), title="Two"), THIRD),
    ),
    "title-with-exceptions": (PAST_NEXT, edited(PAST_NEXT, title="Renamed")),
}


@pytest.mark.parametrize("how", ["drop_before", "drop_after"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_breaks_off_at_any_write_is_completed_by_the_next_attempt(
    shared: Any, name: str, how: str
) -> None:
    old, new = CHANGES[name]
    for number in range(20):
        calendar = shared.calendar(f"{name}-{how}-{number}")
        connector = shared.connect()
        made = connector.create(calendar, old, KEY)
        before = shared.mark()
        shared.break_write(number, how)
        broke = False
        try:
            connector.update(calendar, made, new)
        except ConnectorError:
            broke = True
        shared.mend()
        if not broke:
            assert shared.mark() - before < 40
            break
        shared.sandbox.clock.advance(3600)
        after = shared.connect()
        for _attempt in range(2):
            now = after.fetch(calendar, made.ref)
            assert now is not None
            with suppress(ConnectorError):
                after.update(calendar, now, new)
        final = after.fetch(calendar, made.ref)
        assert final.event == new
        assert shared.shown(calendar) == expected(new), f"write {number}"
        assert listed(shared.connect(), calendar)[0] == [Whole(copy=final)]
    else:
        raise AssertionError("the change never came to its end")
    assert shared.shown(calendar) == expected(new)


@pytest.mark.parametrize("how", ["drop_before", "drop_after"])
@pytest.mark.parametrize("name", ["past-the-next", "the-31st", "twice-a-month", "exceptions"])
def test_a_creation_that_breaks_off_at_any_write_is_completed_by_the_next_attempt(
    shared: Any, name: str, how: str
) -> None:
    wanted = RULES[name]
    for number in range(20):
        calendar = shared.calendar(f"make-{name}-{how}-{number}")
        shared.break_write(number, how)
        broke = False
        try:
            shared.connect().create(calendar, wanted, KEY)
        except ConnectorError:
            broke = True
        shared.mend()
        after = shared.connect()
        if broke:
            made = after.create(calendar, wanted, KEY)
            after.update(calendar, made, wanted)
        found = after.find(calendar, KEY)
        assert found.event == wanted
        assert shared.shown(calendar) == expected(wanted), f"write {number}"
        if not broke:
            return
    raise AssertionError("the creation never came to its end")


def test_a_series_of_a_person_keeps_its_name_when_it_has_to_be_made_anew(shared: Any) -> None:
    calendar = shared.calendar("foreign")
    rule = {"kind": "WeeklyRecurrence", "interval": 1, "days": ["Monday"], "first_day": "Monday"}
    fields = {
        "subject": "Theirs",
        "start": "2026-03-02T10:00:00",
        "end": "2026-03-02T11:00:00",
        "zone": "Europe/Berlin",
        "recurrence": rule | {"start": "2026-03-02", "number": 6},
    }
    ref = shared.act("create", fields, folder=calendar)["id"]
    shared.act("remove", shared.act("occurrence", ref, "2026-03-09"))
    connector = shared.connect()
    copy = connector.fetch(calendar, ref)
    assert copy.origin is None
    later = moved(copy.event, start="2026-03-02T15:00")
    changed = connector.update(calendar, copy, later)
    assert (changed.ref, changed.origin) == (ref, None)
    assert shared.shown(calendar) == expected(later)
    assert shared.connect().fetch(calendar, ref).event == later


def test_a_window_of_single_events_moves_on_and_leaves_the_past_alone(
    open_exchange: Any,
) -> None:
    exchange = open_exchange()
    calendar = exchange.calendar()
    connector = exchange.connect()
    made = connector.create(calendar, RULES["friday-the-13th"], KEY)
    stored = {item["start"] for item in exchange.items(calendar)}
    assert stored
    exchange.sandbox.clock.advance(400 * 86400)
    assert exchange.connect().fetch(calendar, made.ref) == made
    mark = exchange.mark()
    later = exchange.connect().update(calendar, made, made.event)
    assert later.event == made.event
    assert {item["start"] for item in exchange.items(calendar)} > stored
    assert max(item["start"] for item in exchange.items(calendar)) > "2028-09"
    assert len(exchange.calls(mark)) < 12
    mark = exchange.mark()
    exchange.connect().update(calendar, later, later.event)
    assert not {"CreateItem", "UpdateItem", "DeleteItem"} & set(exchange.calls(mark))
    renamed = connector.update(calendar, later, edited(later.event, title="Renamed"))
    assert renamed.event.details.title == "Renamed"


def test_a_single_event_that_once_was_several_items_can_be_changed(shared: Any) -> None:
    calendar = shared.calendar("once-several")
    connector = shared.connect()
    made = connector.create(calendar, PAST_NEXT, KEY)
    single = connector.update(calendar, made, event("Review", "2026-03-02T10:00", "Europe/Berlin"))
    again = connector.update(calendar, single, edited(single.event, title="Renamed"))
    assert (again.ref, again.event.details.title) == (made.ref, "Renamed")
    assert [item["subject"] for item in shared.items(calendar)] == ["Renamed"]


def test_new_zone_data_changes_nothing_where_the_zones_still_agree(
    shared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calendar = shared.calendar("new-zone-data")
    connector = shared.connect()
    made = connector.create(calendar, WEEKLY, KEY)
    mark = shared.mark()
    assert connector.update(calendar, made, made.event) == made
    assert not {"CreateItem", "UpdateItem", "DeleteItem"} & set(shared.calls(mark))
    monkeypatch.setattr(zones, "DATA_VERSION", "2099z")
    seen = connector.update(calendar, made, made.event)
    assert (seen.ref, seen.event) == (made.ref, made.event)
    assert shared.shown(calendar) == expected(WEEKLY)
    mark = shared.mark()
    connector.update(calendar, seen, seen.event)
    assert not {"CreateItem", "UpdateItem", "DeleteItem"} & set(shared.calls(mark))


def test_new_zone_data_moves_a_series_to_the_zone_that_agrees_now(
    shared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calendar = shared.calendar("another-zone")
    connector = shared.connect()
    series = cancelled(edited(WEEKLY, SECOND, title="With guests"), THIRD)
    choose = exchange_units.plan

    def paris(*arguments: Any, **options: Any) -> Any:
        planned = choose(*arguments, **options)
        parts = tuple(replace(part, zone="Romance Standard Time") for part in planned.parts)
        return replace(planned, parts=parts)

    with monkeypatch.context() as then:
        then.setattr(zones, "DATA_VERSION", "2020a")
        then.setattr(exchange_units, "plan", paris)
        made = connector.create(calendar, series, KEY)
    assert [item["zone"] for item in shared.items(calendar)] == ["Romance Standard Time"]
    seen = connector.update(calendar, made, made.event)
    assert [item["zone"] for item in shared.items(calendar)] == ["W. Europe Standard Time"]
    assert (seen.ref, seen.event) == (made.ref, series)
    assert shared.shown(calendar) == expected(series)
