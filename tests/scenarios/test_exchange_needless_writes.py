"""The complaint: "it rewrites my mailbox over and over, and burns its budget doing it"."""

from datetime import timedelta
from typing import Any

import pytest

from bridge.records import RunKind
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

WRITES = ("CreateItem", "UpdateItem", "DeleteItem")
MANY, TOGETHER = 400, 20


def test_a_second_backfill_and_a_second_sync_write_nothing(mailbox: Any) -> None:
    first = mailbox.run(RunKind.BACKFILL, full=True)
    assert first.counts.created == len(mailbox.source_titles()) == 31
    assert mailbox.titles() == mailbox.source_titles()
    stored, written = mailbox.stored(), mailbox.exchange_calls(*WRITES)
    for full in (True, False, True):
        outcome = mailbox.run(full=full)
        assert (outcome.counts.writes, outcome.counts.adopted, outcome.held) == (0, 0, "")
    assert mailbox.exchange_calls(*WRITES) == written
    assert mailbox.stored() == stored
    assert mailbox.verify().differences == []


def test_looking_at_unchanged_calendars_costs_one_call_for_each_side_that_is_read(
    mailbox: Any,
) -> None:
    mailbox.run()
    here, there = len(mailbox.feishu.log), len(mailbox.exchange.log)
    assert mailbox.run().counts.writes == 0
    assert mailbox.feishu_calls(since=here) == mailbox.feishu_calls("events.list", since=here) == 1
    assert mailbox.exchange_calls(since=there) <= 1
    assert mailbox.exchange_calls(*WRITES, since=there) == 0


def test_feishus_own_touching_of_events_writes_nothing(mailbox: Any) -> None:
    """A patch that changes nothing is no edit, whatever Exchange made of the text."""
    mailbox.run()
    written = mailbox.exchange_calls(*WRITES)
    for item in mailbox.alice.events(mailbox.primary)[:10]:
        mailbox.alice.patch(mailbox.primary, item["event_id"], {"summary": item["summary"]})
    assert mailbox.run().counts.writes == 0
    assert mailbox.run(full=True).counts.writes == 0
    assert mailbox.exchange_calls(*WRITES) == written


@pytest.mark.timeout(120)
def test_many_events_need_a_write_request_for_every_twenty(mailbox: Any) -> None:
    """Single events and plain weekly series, as most calendars are made of."""
    for item in mailbox.alice.events(mailbox.primary):
        if item["event_id"].endswith("_0"):
            mailbox.alice.delete(mailbox.primary, item["event_id"])
    monday = monday_of(mailbox.feishu.clock)
    for number in range(MANY):
        day = monday + timedelta(days=number % 300)
        more = {"recurrence": "FREQ=WEEKLY"} if number % 10 == 0 else {}
        body = timed(f"Many {number}", day, 8 + number % 10, 0, 30, "Asia/Shanghai", **more)
        mailbox.feishu.seed_event(mailbox.primary, body)
    mailbox.connector("feishu", attendees="skip")
    since = len(mailbox.exchange.log)
    assert mailbox.run(RunKind.BACKFILL, full=True).counts.created == MANY
    assert mailbox.exchange_calls("CreateItem", since=since) <= MANY / TOGETHER
    assert mailbox.exchange_calls("UpdateItem", "DeleteItem", since=since) == 0
    assert mailbox.titles() == mailbox.source_titles()
    assert mailbox.run(full=True).counts.writes == 0
