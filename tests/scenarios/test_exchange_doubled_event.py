"""The complaint: "the server was busy, and now every meeting is in my mailbox twice"."""

from datetime import timedelta
from typing import Any

import pytest

from bridge.records import UnitState
from connectors.errors import RateLimitedError
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import SERIES, monday_of

CREATE, UPDATE, DELETE = (rf"op={name}$" for name in ("CreateItem", "UpdateItem", "DeleteItem"))
WEATHER: dict[str, dict[str, Any]] = {
    "lost answer": {"action": "drop_after", "times": 3},
    "lost request": {"action": "drop_before", "times": 3},
    "truncated answer": {"action": "truncate", "times": 2},
    "gateway page": {"action": "html", "status": 502, "times": 2},
    "nobody knows": {"action": "rewrite", "name": "error:ErrorInternalServerError", "times": 2},
}


@pytest.fixture
def lunch(mailbox: Any) -> str:
    """An event on both sides; its id at Feishu."""
    day = monday_of(mailbox.feishu.clock) + timedelta(days=2)
    made = mailbox.alice.create(mailbox.primary, timed("Lunch", day, 12, 0, 60, "Asia/Shanghai"))
    mailbox.run()
    return str(made["event_id"])


def calm(mailbox: Any) -> None:
    """The weather clears, and later the next pass runs."""
    mailbox.clear()
    mailbox.feishu.clock.advance(3600)
    mailbox.run()


def settled(mailbox: Any) -> None:
    """Both sides are the same, and stay so."""
    assert mailbox.units(UnitState.PARKED) == []
    assert mailbox.titles() == mailbox.source_titles()
    assert mailbox.verify().differences == []
    assert mailbox.run(full=True).counts.writes == 0


@pytest.mark.parametrize("weather", WEATHER)
def test_copies_edits_and_deletions_survive_bad_weather_without_a_double(
    mailbox: Any, weather: str
) -> None:
    """Writes fail at the start and in the middle, of single events and of series."""
    for operation, skip in ((CREATE, 0), (CREATE, 3), (UPDATE, 0), (DELETE, 0)):
        mailbox.weather("exchange", operation, skip=skip, **WEATHER[weather])
    mailbox.run()
    calm(mailbox)
    assert mailbox.titles() == mailbox.source_titles()

    for operation in (CREATE, UPDATE, DELETE):
        mailbox.weather("exchange", operation, **WEATHER[weather])
    alice, primary = mailbox.alice, mailbox.primary
    twice = {"recurrence": "FREQ=MONTHLY;BYMONTHDAY=1,15", "summary": "Month end"}
    alice.patch(primary, mailbox.find("Month close"), twice)
    alice.delete(primary, mailbox.find(SERIES))
    mailbox.run()
    calm(mailbox)
    assert mailbox.at_exchange("Month end")
    settled(mailbox)


@pytest.mark.parametrize("what", ["create", "update", "delete"])
def test_an_answer_that_never_comes_is_looked_up_after_a_restart(
    mailbox: Any, lunch: str, what: str
) -> None:
    day = monday_of(mailbox.feishu.clock) + timedelta(days=9)
    match what:
        case "create":
            body = timed("New", day, 8, 0, 30, "Asia/Shanghai")
            mailbox.alice.create(mailbox.primary, body)
            mailbox.weather("exchange", CREATE, "drop_after")
        case "update":
            mailbox.alice.patch(mailbox.primary, lunch, {"summary": "Dinner"})
            mailbox.weather("exchange", UPDATE, "drop_after")
        case _:
            mailbox.alice.delete(mailbox.primary, lunch)
            mailbox.weather("exchange", DELETE, "drop_after")
    mailbox.weather("exchange", r"op=(FindItem|GetItem)$", "status", skip=1, status=503, body="")
    mailbox.run()
    assert [unit.retry_at is not None for unit in mailbox.units(UnitState.PARKED)] == [True]
    mailbox.restart()
    calm(mailbox)
    settled(mailbox)


def test_a_busy_server_gets_the_rest_it_asks_for(mailbox: Any) -> None:
    mailbox.exchange.fail("CreateItem", "ErrorServerBusy", times=2, backoff=42_000)
    assert mailbox.run().counts.created == 31
    assert max(mailbox.naps) >= 42
    settled(mailbox)


def test_a_server_that_stays_busy_stops_the_link_and_the_next_pass_goes_on(mailbox: Any) -> None:
    mailbox.exchange.fail("CreateItem", "ErrorServerBusy", times=0, backoff=600_000)
    with pytest.raises(RateLimitedError) as stop:
        mailbox.run()
    assert stop.value.after >= 600
    calm(mailbox)
    settled(mailbox)


def test_what_a_person_changes_in_outlook_meanwhile_survives(mailbox: Any, lunch: str) -> None:
    """ErrorIrresolvableConflict: his other fields and ours are both there in the end."""
    there = mailbox.at_exchange("Lunch")["id"]
    fields = {"location": "Canteen 食堂", "categories": ["Food"], "reminder": 5}
    mailbox.outlook("change", there, fields)
    since = len(mailbox.exchange.log)
    mailbox.alice.patch(mailbox.primary, lunch, {"summary": "Dinner"})
    assert mailbox.run().counts.updated == 1
    assert mailbox.exchange_calls("UpdateItem", since=since) >= 2
    shown = mailbox.at_exchange("Dinner")
    assert shown["id"] == there
    assert (shown["location"], shown["categories"]) == ("Canteen 食堂", ["Food"])
    assert mailbox.run(full=True).counts.writes == 0


def test_a_reminder_that_a_person_dismissed_is_no_conflict(mailbox: Any, lunch: str) -> None:
    there = mailbox.at_exchange("Lunch")["id"]
    mailbox.outlook("touch", there)
    mailbox.alice.patch(mailbox.primary, lunch, {"summary": "Dinner"})
    assert mailbox.run().counts.updated == 1
    assert mailbox.at_exchange("Dinner")["id"] == there
    settled(mailbox)


def test_a_copy_that_was_deleted_in_outlook_is_not_edited_into_a_double(
    mailbox: Any, lunch: str
) -> None:
    mailbox.outlook("remove", mailbox.at_exchange("Lunch")["id"])
    mailbox.alice.patch(mailbox.primary, lunch, {"summary": "Dinner"})
    mailbox.run()
    settled(mailbox)
