"""Listings: what arrives, in how many calls, and what a restart must not lose."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Any

import pytest

from connectors.contract import Gone, Unreadable, Whole
from connectors.errors import FatalError, OutcomeUnknownError, ResyncError
from connectors.sandbox.exchange import ExchangeSwitches
from connectors.sandbox.faults import Fault
from connectors.testing import builders
from connectors.testing.builders import cancelled, edited, moved
from mappings.model import Event, Key

from .conftest import ALICE, SINCE, UNTIL, Exchange, copies, listed

KEYS = [f"{number:064x}" for number in range(120)]
TWICE = builders.event(start="2026-03-03T09:00", rule="FREQ=MONTHLY;BYMONTHDAY=3,17", reminders=())


def single(number: int) -> Event:
    return builders.event(f"Event {number:03}", f"2026-03-{number % 28 + 1:02}T09:00", reminders=())


def test_a_hundred_events_are_made_in_few_calls_and_listed_in_few(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    events = [single(number) for number in range(100)]
    size = connector.capabilities.batch_size
    before = exchange.mark()
    requests = ceil(100 / size)
    for first in range(0, 100, size):
        pairs = list(zip(events[first : first + size], KEYS[first:100][:size], strict=True))
        made = connector.create_many(calendar, pairs)
        assert [copy.event for copy in made] == [event for event, _key in pairs]
    calls = exchange.calls(before)
    assert calls.count("CreateItem") == requests
    assert len(calls) <= 1 + 4 * requests
    before = exchange.mark()
    changes, _cursor = listed(exchange.connect(), calendar)
    assert sorted(change.copy.event.details.title for change in changes) == [
        event.details.title for event in events
    ]
    assert exchange.calls(before) == ["SyncFolderItems", "GetItem", "GetItem"]


def test_exceptions_and_parts_of_many_events_share_their_requests(exchange: Exchange) -> None:
    """Forty events: ten alone, ten weekly, ten weekly ones with three exceptions each, ten that
    are two series."""
    calendar = exchange.calendar()
    connector = exchange.connect()
    weekly = builders.event("Weekly", rule="FREQ=WEEKLY;COUNT=9", reminders=())
    changed = cancelled(
        edited(moved(weekly, Key("2026-03-16T09:00:00"), start="2026-03-17T09:00"),
               Key("2026-03-30T09:00:00"), title="Other"),
        Key("2026-04-13T09:00:00"),
    )  # fmt: skip
    events = [single(1), weekly, changed, TWICE] * 10
    before = exchange.mark()
    for first in (0, 20):
        pairs = list(zip(events[first : first + 20], KEYS[first : first + 20], strict=True))
        made = connector.create_many(calendar, pairs)
        assert [copy.event for copy in made] == [event for event, _key in pairs]
    calls = exchange.calls(before)
    writes = [call for call in calls if call in ("CreateItem", "UpdateItem", "DeleteItem")]
    # In each of two goes one request makes 25 items, one removes 5 occurrences, one changes 10.
    assert len(writes) == 6
    assert len(calls) <= 6 + 16


def test_nothing_new_costs_one_call_and_an_echo_no_more(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    _, cursor = listed(connector, calendar)
    before = exchange.mark()
    listed(connector, calendar, cursor)
    made = connector.create(calendar, single(1), KEYS[0])
    before = exchange.mark()
    changes, cursor = listed(connector, calendar, cursor)
    assert changes == [Whole(copy=made)]
    assert exchange.calls(before) == ["SyncFolderItems"]
    changed = connector.update(calendar, made, edited(made.event, title="Again"))
    before = exchange.mark()
    assert listed(connector, calendar, cursor)[0] == [Whole(copy=changed)]
    assert exchange.calls(before) == ["SyncFolderItems"]


def test_one_change_costs_one_write_and_one_look(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    made = connector.create(calendar, single(1), KEYS[0])
    before = exchange.mark()
    connector.update(calendar, made, edited(made.event, title="Again"))
    assert exchange.calls(before) == ["UpdateItem", "GetItem"]


def test_an_update_names_only_what_differs(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    made = connector.create(calendar, single(1), KEYS[0])
    exchange.act("change", made.ref, {"categories": ["Red"], "sensitivity": "Personal"})
    seen = connector.fetch(calendar, made.ref)
    connector.update(calendar, seen, edited(seen.event, title="Again"))
    shown = exchange.act("show", made.ref)
    assert (shown["categories"], shown["sensitivity"]) == (["Red"], "Personal")


def test_a_deletion_after_a_restart_names_the_unit(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    one = connector.create(calendar, single(1), KEYS[0])
    many = connector.create(calendar, TWICE, KEYS[1])
    _, cursor = listed(connector, calendar)
    exchange.act("remove", one.ref)
    for member in many.members:
        exchange.act("remove", member.id)
    changes, cursor = listed(exchange.connect(), calendar, cursor)
    assert sorted(changes, key=str) == sorted([Gone(ref=one.ref), Gone(ref=many.ref)], key=str)
    assert listed(exchange.connect(), calendar, cursor)[0] == []


def test_what_comes_back_from_the_deleted_items_is_there_again(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    made = connector.create(calendar, single(1), KEYS[0])
    _, cursor = listed(connector, calendar)
    exchange.act("remove", made.ref)
    (binned,) = exchange.items("deleteditems")
    exchange.act("move", binned["id"], calendar)
    changes, _ = listed(connector, calendar, cursor)
    assert {type(change) for change in changes} == {Gone, Whole}
    (back,) = [change.copy for change in changes if isinstance(change, Whole)]
    assert back.origin == KEYS[0]
    assert back.ref != made.ref
    assert connector.find(calendar, KEYS[0]) == back


def test_entries_that_are_listed_twice_arrive_once(open_exchange: Callable[..., Exchange]) -> None:
    switches = ExchangeSwitches(sync_duplicates=True, sync_page_limit=3)
    exchange = open_exchange(switches=switches)
    calendar = exchange.calendar()
    refs = [
        exchange.act("create", {"subject": str(n), "start": f"2026-03-{n:02}T09:00:00",
                                "end": f"2026-03-{n:02}T10:00:00"}, folder=calendar)["id"]
        for n in range(1, 9)
    ]  # fmt: skip
    changes, _ = listed(exchange.connect(), calendar)
    assert sorted(change.ref for change in changes) == sorted(refs)


def test_a_listing_that_does_not_say_how_it_goes_on_is_not_trusted(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    connector.create(calendar, single(1), KEYS[0])
    _, cursor = listed(connector, calendar)
    fault = Fault("op=SyncFolderItems$", "rewrite", name="cut", times=0)
    exchange.sandbox.faults.add(fault)
    with pytest.raises(FatalError) as caught:
        listed(connector, calendar, cursor)
    assert caught.value.code == "no-sync-state"


@pytest.mark.parametrize("cursor", ["", "1:", "1:{}", '1:["x"]', '0:["a",{}]', '1:["bad",{}]'])
def test_a_damaged_cursor_asks_for_everything(exchange: Exchange, cursor: str) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    connector.create(calendar, single(1), KEYS[0])
    with pytest.raises(ResyncError):
        listed(connector, calendar, cursor)


def test_a_series_in_a_nameless_zone_parks_alone_and_a_single_event_keeps_its_instant(
    exchange: Exchange,
) -> None:
    calendar = exchange.calendar()
    fields = {"subject": "Imported", "start": "2026-03-02T09:00:00", "end": "2026-03-02T10:00:00",
              "zone": "Asia/Shanghai"}  # fmt: skip
    rule = {"kind": "DailyRecurrence", "start": "2026-03-02", "number": 5}
    one = exchange.act("create", fields, folder=calendar)["id"]
    series = exchange.act("create", fields | {"recurrence": rule}, folder=calendar)["id"]
    for ref in (one, series):
        exchange.sandbox.control("custom_zone", {"address": ALICE, "event": ref})
    changes, _ = listed(exchange.connect(), calendar)
    parked = {change.ref: change for change in changes if isinstance(change, Unreadable)}
    assert parked.keys() == {series}
    assert parked[series].code == "ZONE_UNKNOWN"
    assert "choose a time zone" in parked[series].detail
    shown = copies([change for change in changes if isinstance(change, Whole)])[one]
    assert shown.event.when == builders.at("2026-03-02T02:00", "Europe/Berlin")


def test_more_occurrences_than_a_view_holds_are_all_shown(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    daily = [
        connector.create(
            calendar,
            builders.event(f"Daily {n}", f"2026-03-01T0{n}:00", rule="FREQ=DAILY;COUNT=400"),
            KEYS[n],
        )
        for n in range(3)
    ]
    found = [ref for ref, _each in connector.occurrences(calendar, SINCE, UNTIL)]
    assert {ref: found.count(ref) for ref in found} == {copy.ref: 400 for copy in daily}


def test_a_meeting_that_was_called_off_is_gone(exchange: Exchange) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    made = connector.create(calendar, single(1), KEYS[0])
    _, cursor = listed(connector, calendar)
    with exchange.sandbox.lock:
        mailbox = exchange.sandbox.world.mailbox(ALICE)
        draft = mailbox.item(made.ref).draft()
        draft.values["calendar:IsCancelled"] = True
        mailbox.put(draft)
    assert listed(connector, calendar, cursor)[0] == [Gone(ref=made.ref)]


def test_inviting_is_the_only_thing_that_mails(open_exchange: Callable[..., Any]) -> None:
    exchange = open_exchange()
    calendar = exchange.calendar()
    connector = exchange.connect()
    quiet = connector.create(calendar, single(1), KEYS[0])
    connector.update(calendar, quiet, edited(quiet.event, title="Again"))
    exchange.act("create", {"subject": "Theirs", "start": "2026-03-02T09:00:00",
                            "end": "2026-03-02T10:00:00", "attendees": ["guest@example.com"]},
                 folder=calendar)  # fmt: skip
    changes, _ = listed(exchange.connect(), calendar)
    (theirs,) = [c.copy for c in changes if c.copy.event.details.title == "Theirs"]
    moved = replace(theirs.event, when=builders.at("2026-03-02T15:00", "Europe/Berlin"))
    theirs = connector.update(calendar, theirs, moved)
    connector.delete(calendar, theirs)
    assert exchange.sandbox.mails == []
    guests = theirs.event.details.attendees
    connector.create(calendar, edited(single(2), attendees=guests), KEYS[1])
    assert len(exchange.sandbox.mails) == 1


@pytest.mark.parametrize("code", ["ErrorTimeoutExpired", "ErrorInternalServerError"])
def test_a_server_that_breaks_off_in_a_write_may_have_done_it(
    exchange: Exchange, code: str
) -> None:
    calendar = exchange.calendar()
    connector = exchange.connect()
    fault = Fault("op=CreateItem$", "rewrite", name=f"error:{code}")
    exchange.sandbox.faults.add(fault)
    with pytest.raises(OutcomeUnknownError):
        connector.create(calendar, single(1), KEYS[0])
    found = connector.find(calendar, KEYS[0])
    assert connector.create(calendar, single(1), KEYS[0]) == found
    assert len(exchange.items(calendar)) == 1
