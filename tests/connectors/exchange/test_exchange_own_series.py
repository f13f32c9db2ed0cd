"""A person's own series: it stays the item that it is, with all that people put on it."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from connectors.contract import Whole
from connectors.errors import ConnectorError, RejectedError
from connectors.testing import builders
from connectors.testing.builders import cancelled, edited, moved, reverted
from mappings import recurrence
from mappings.model import Event, Key

from .conftest import Exchange, expected, listed

KEY = "ab" * 32
GUID = "5f0d9f6c-7b44-4f5a-9a52-0f3f7d9b6c11"
SECOND, THIRD, FOURTH = (Key(f"2026-03-{day}T10:00:00") for day in ("09", "16", "23"))


def own(exchange: Exchange, calendar: str, **more: Any) -> str:
    """A weekly series that Alice made herself, with a cancelled, a moved and a renamed
    occurrence, a file, a category and something that another program keeps on it."""
    rule = {"kind": "WeeklyRecurrence", "interval": 1, "days": ["Monday"], "first_day": "Monday"}
    fields = {
        "subject": "Theirs",
        "start": "2026-03-02T10:00:00",
        "end": "2026-03-02T11:00:00",
        "zone": "Europe/Berlin",
        "categories": ["Red"],
        "reminder": None,
        "extended": {f"{GUID}/crm": "4711"},
        "recurrence": rule | {"start": "2026-03-02", "number": 8},
    }
    ref = str(exchange.act("create", fields | more, folder=calendar)["id"])
    exchange.act("attach", ref, "agenda.pdf", "1. Welcome")
    exchange.act("remove", exchange.act("occurrence", ref, "2026-03-09"))
    there = {"start": "2026-03-17T08:00:00", "end": "2026-03-17T09:00:00"}
    exchange.act("change", exchange.act("occurrence", ref, "2026-03-16"), there)
    exchange.act("change", exchange.act("occurrence", ref, "2026-03-23"), {"subject": "Special"})
    return ref


def ruled(event: Event, text: str) -> Event:
    return replace(event, rule=recurrence.parse_rule(text, event.when))


def later(event: Event) -> Event:
    return moved(event, start="2026-03-02T15:00")


CHANGES = {
    "another-time": later,
    "another-rule": lambda event: ruled(event, "FREQ=WEEKLY;BYDAY=MO,TH;COUNT=20"),
    "comes-back": lambda event: reverted(event, SECOND),
    "several-patterns": lambda event: replace(
        ruled(event, "FREQ=MONTHLY;BYMONTHDAY=2,17;COUNT=9"), overrides=()
    ),
    "with-some-removed": lambda event: replace(
        ruled(event, "FREQ=MONTHLY;BYMONTHDAY=31;COUNT=5"),
        when=replace(event.when, start=event.when.start.replace(day=31)),
        overrides=(),
    ),
    "past-the-next": lambda event: moved(event, FOURTH, start="2026-04-02T09:00"),
    "no-series-any-more": lambda event: replace(event, rule=None, overrides=()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_it_stays_the_same_item_whatever_becomes_of_it(exchange: Exchange, name: str) -> None:
    calendar = exchange.calendar()
    ref = own(exchange, calendar)
    before = exchange.act("show", ref)
    connector = exchange.connect()
    copy = connector.fetch(calendar, ref)
    wanted = CHANGES[name](copy.event)
    changed = connector.update(calendar, copy, wanted)
    assert (changed.event, changed.ref, changed.origin) == (wanted, ref, None)
    assert changed.member("main").id == ref
    assert exchange.shown(calendar) == expected(wanted)
    after = exchange.act("show", ref)
    for kept in ("id", "uid", "categories", "files"):
        assert after[kept] == before[kept]
    assert after["extended"]["crm"] == ["4711"]
    assert "calbridge-pending" not in after["extended"]
    again = exchange.connect()
    assert listed(again, calendar)[0] == [Whole(copy=changed)]
    second = again.update(calendar, changed, edited(wanted, title="Renamed"))
    assert exchange.shown(calendar) == expected(second.event)
    third = again.update(calendar, second, later(second.event))
    assert third.member("main").id == ref
    assert exchange.shown(calendar) == expected(third.event)


@pytest.mark.parametrize("name", CHANGES)
def test_its_change_is_completed_after_any_write_that_breaks_off(
    exchange: Exchange, name: str
) -> None:
    for number in range(30):
        calendar = exchange.calendar(f"{name}-{number}")
        ref = own(exchange, calendar)
        connector = exchange.connect()
        copy = connector.fetch(calendar, ref)
        wanted = CHANGES[name](copy.event)
        exchange.break_write(number, "drop_after")
        broke = False
        try:
            connector.update(calendar, copy, wanted)
        except ConnectorError:
            broke = True
        exchange.mend()
        seen = exchange.connect()
        (change,) = listed(seen, calendar)[0]
        assert change.copy.event in (copy.event, wanted), "one or the other, nothing between"
        for _attempt in range(2):
            now = seen.fetch(calendar, ref)
            with suppress(ConnectorError):
                seen.update(calendar, now, wanted)
        final = seen.fetch(calendar, ref)
        assert (final.event, final.member("main").id) == (wanted, ref)
        assert exchange.shown(calendar) == expected(wanted), f"write {number}"
        assert listed(exchange.connect(), calendar)[0] == [Whole(copy=final)]
        if not broke:
            return
    raise AssertionError("the change never came to its end")


def test_what_a_person_changes_before_it_is_completed_counts(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    ref = own(exchange, calendar)
    connector = exchange.connect()
    copy = connector.fetch(calendar, ref)
    exchange.break_write(0, "drop_after")
    with pytest.raises(ConnectorError):
        connector.update(calendar, copy, later(copy.event))
    exchange.mend()
    exchange.act("change", exchange.act("occurrence", ref, "2026-03-23"), {"subject": "Mine"})
    settled = exchange.connect().fetch(calendar, ref)
    titles = [override.details.title for override in settled.event.overrides if override.details]
    assert "Mine" in titles
    assert "Special" not in titles
    assert exchange.shown(calendar) == expected(settled.event)
    assert len(settled.event.overrides) == len(copy.event.overrides)


def test_guests_whom_a_person_invited_stay_invited_and_hear_nothing(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    ref = own(exchange, calendar, attendees=["bob@elsewhere.example"])
    connector = exchange.connect()
    copy = connector.fetch(calendar, ref)
    connector.update(calendar, copy, later(copy.event))
    assert exchange.act("show", ref)["attendees"] == ["bob@elsewhere.example"]


def test_a_file_on_one_occurrence_is_not_lost(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    ref = own(exchange, calendar)
    exchange.act("attach", exchange.act("occurrence", ref, "2026-03-23"), "minutes.txt", "...")
    connector = exchange.connect()
    copy = connector.fetch(calendar, ref)
    mark = exchange.mark()
    with pytest.raises(RejectedError) as caught:
        connector.update(calendar, copy, later(copy.event))
    assert (caught.value.code, exchange.calls(mark).count("UpdateItem")) == ("attachments", 0)
    assert "Save them" in caught.value.message
    assert connector.fetch(calendar, ref) == copy
    renamed = connector.update(calendar, copy, edited(copy.event, title="Renamed"))
    assert renamed.event.details.title == "Renamed"


def test_a_file_on_an_occurrence_that_has_to_stand_alone_is_not_lost(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    ref = own(exchange, calendar)
    exchange.act("attach", exchange.act("occurrence", ref, "2026-03-23"), "minutes.txt", "...")
    connector = exchange.connect()
    copy = connector.fetch(calendar, ref)
    with pytest.raises(RejectedError):
        connector.update(calendar, copy, moved(copy.event, FOURTH, start="2026-04-02T09:00"))
    assert connector.fetch(calendar, ref) == copy


def test_what_people_attach_to_a_copy_of_ours_stays_on_it(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    weekly = builders.event(
        "Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=8", reminders=()
    )
    made = connector.create(calendar, cancelled(weekly, SECOND), KEY)
    exchange.act("attach", made.ref, "agenda.pdf", "1. Welcome")
    copy = connector.fetch(calendar, made.ref)
    changed = connector.update(calendar, copy, later(copy.event))
    assert changed.member("main").id == made.member("main").id
    assert exchange.act("show", made.ref)["files"] == ["agenda.pdf"]
    assert exchange.shown(calendar) == expected(changed.event)


def test_a_file_on_one_of_several_items_is_not_lost(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    twice = builders.event(start="2026-03-03T09:00", rule="FREQ=MONTHLY;BYMONTHDAY=3,17",
                           reminders=())  # fmt: skip
    made = connector.create(calendar, twice, KEY)
    (other,) = [member for member in made.members if member.part != "main"]
    exchange.act("attach", other.id, "agenda.pdf", "1. Welcome")
    copy = connector.fetch(calendar, made.ref)
    with pytest.raises(RejectedError) as caught:
        connector.update(calendar, copy, ruled(copy.event, "FREQ=MONTHLY;BYMONTHDAY=3"))
    assert caught.value.code == "attachments"
    assert connector.fetch(calendar, made.ref) == copy
    connector.delete(calendar, copy)
    assert exchange.items(calendar) == []
    thrown = [item["files"] for item in exchange.act("events", "deleteditems")]
    assert ["agenda.pdf"] in thrown, "whoever deletes finds it among the Deleted Items"
