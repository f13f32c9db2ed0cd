"""The complaint: "it rewrites everything over and over, and burns my quota doing it"."""

from datetime import date, timedelta
from typing import Any

import pytest

from bridge.records import RunKind
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

WRITES = ("events.insert", "events.update", "events.patch", "events.delete")
MANY = 2000


def test_a_second_backfill_and_a_second_sync_write_nothing(desk: Any) -> None:
    first = desk.run(RunKind.BACKFILL, full=True)
    assert first.counts.created == len(desk.source_titles()) == 31
    stored, written = desk.stored(), desk.google_calls(*WRITES)
    for full in (True, False, True):
        outcome = desk.run(full=full)
        assert (outcome.counts.writes, outcome.counts.adopted, outcome.held) == (0, 0, "")
    assert desk.google_calls(*WRITES) == written
    assert desk.stored() == stored


def test_feishus_own_touching_of_events_writes_nothing(desk: Any) -> None:
    """A patch that changes nothing, unknown fields and trimmed text are no edits."""
    desk.run()
    written = desk.google_calls(*WRITES)
    for item in desk.alice.events(desk.primary)[:10]:
        desk.alice.patch(desk.primary, item["event_id"], {"summary": item["summary"]})
    desk.spoil("feishu", r"GET \S+/events\?", _grow)
    assert desk.run().counts.writes == 0
    assert desk.run(full=True).counts.writes == 0
    assert desk.google_calls(*WRITES) == written


def _grow(body: Any) -> None:
    for item in body["data"]["items"]:
        item["mood"] = {"level": [1, {"deep": True}]}


@pytest.mark.timeout(120)
def test_looking_at_two_thousand_unchanged_events_costs_one_call(desk: Any) -> None:
    monday: date = monday_of(desk.feishu.clock)
    for number in range(MANY - 31):
        day = monday + timedelta(days=number % 300)
        body = timed(f"Many {number}", day, 8 + number % 10, 0, 30, "Asia/Shanghai")
        desk.feishu.seed_event(desk.primary, body)
    desk.connector("feishu", attendees="skip")
    desk.connector("google", calls_per_minute=10_000_000)
    desk.feishu.limits.enabled = False
    desk.google.switches.limits = False
    assert desk.run().counts.created == MANY
    here, there = len(desk.feishu.log), len(desk.google.log)
    outcome = desk.run()
    assert (outcome.counts.writes, outcome.counts.adopted) == (0, 0)
    assert desk.feishu_calls(since=here) == desk.feishu_calls("events.list", since=here) == 1
    assert desk.google_calls(since=there) <= 1
    assert desk.google_calls(*WRITES, since=there) == 0
