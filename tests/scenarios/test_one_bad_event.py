"""The complaint: "one strange event, and the whole synchronisation stopped without a word"."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bridge.cli import run as calbridge
from bridge.records import UnitState
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

STRANGE = "Strange 奇怪"
EVENTS = r"GET \S+/events"


def no_end(item: Any) -> None:
    del item["end_time"]


def no_start(item: Any) -> None:
    del item["start_time"]


def bad_rule(item: Any) -> None:
    item["recurrence"] = "FREQ=SOMETIMES;BYMOOD=GOOD"


def bad_zone(item: Any) -> None:
    item["start_time"]["timezone"] = "Mars/Olympus_Mons"


def bad_time(item: Any) -> None:
    item["start_time"]["timestamp"] = "soon"


def bad_types(item: Any) -> None:
    item["reminders"] = {"minutes": "some"}


SPOILT: dict[str, tuple[Callable[[Any], None], str]] = {
    "no end": (no_end, "NO_END"),
    "no start": (no_start, "MALFORMED"),
    "rule": (bad_rule, "RULE_INVALID"),
    "zone": (bad_zone, "ZONE_UNKNOWN"),
    "time": (bad_time, "MALFORMED"),
    "types": (bad_types, "MALFORMED"),
}


def strangely(change: Callable[[Any], None]) -> Callable[[Any], None]:
    """The one event comes spoilt, in listings and when asked for."""

    def spoil(body: Any) -> None:
        data = body.get("data") or {}
        for item in [*data.get("items", ()), *filter(None, [data.get("event")])]:
            if item.get("summary", "").startswith("Strange"):
                change(item)

    return spoil


@pytest.fixture
def strange(desk: Any) -> str:
    """The event's id."""
    day = monday_of(desk.feishu.clock) + timedelta(days=4)
    made = desk.alice.create(desk.primary, timed(STRANGE, day, 7, 0, 20, "Asia/Shanghai"))
    return str(made["event_id"])


@pytest.mark.parametrize("kind", SPOILT)
def test_what_cannot_be_understood_is_parked_and_all_else_goes_on(
    desk: Any, strange: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, code = SPOILT[kind]
    desk.spoil("feishu", EVENTS, strangely(change))
    counts = desk.run().counts
    assert (counts.created, counts.parked) == (31, 1)
    assert desk.at_google(STRANGE) is None
    [parked] = desk.units(UnitState.PARKED)
    assert (parked.ref_a, parked.error_code) == (strange, code)
    assert parked.error

    assert calbridge(["status", "--json", "--config", str(desk.path)]) == 0
    [row] = json.loads(capsys.readouterr().out)["links"]
    assert (row["parked"], row["units"]) == (1, 31)
    assert row["parked_units"] == [{"unit": parked.id, "code": code, "error": parked.error}]

    desk.clear()
    desk.alice.patch(desk.primary, strange, {"summary": f"{STRANGE}, mended"})
    counts = desk.run().counts
    assert (counts.created, counts.writes) == (1, 1)
    assert desk.titles() == desk.source_titles()
    assert desk.units(UnitState.PARKED) == []


def test_an_event_that_becomes_strange_keeps_its_copy_as_it_was(desk: Any, strange: str) -> None:
    desk.run()
    before = desk.stored()
    desk.alice.patch(desk.primary, strange, {"summary": f"{STRANGE} 2"})
    desk.spoil("feishu", EVENTS, strangely(bad_zone))
    assert desk.run().counts.parked == 1
    assert desk.run(full=True).counts.writes == 0
    assert desk.stored() == before
    desk.clear()
    desk.alice.patch(desk.primary, strange, {"summary": f"{STRANGE} 3"})
    assert desk.run().counts.updated == 1
    assert desk.titles() == desk.source_titles()


def test_fields_and_values_that_nobody_knows_do_no_harm(desk: Any) -> None:
    desk.weather("feishu", EVENTS, "rewrite", name="unknown_fields")
    assert desk.run().counts.created == 31
    desk.clear()
    assert desk.titles() == desk.source_titles()


def test_an_event_that_google_refuses_is_parked_with_googles_reason(
    desk: Any, strange: str
) -> None:
    body = {"error": {"code": 400, "message": "The specified time range is empty.",
                      "errors": [{"reason": "timeRangeEmpty", "message": "empty"}]}}  # fmt: skip
    desk.weather("google", r"POST \S+/events\?", "status", skip=7, times=1, status=400, body=body)
    counts = desk.run().counts
    assert (counts.created, counts.parked) == (31, 1)
    [parked] = desk.units(UnitState.PARKED)
    assert parked.error_code == "timeRangeEmpty"
    assert "time range is empty" in parked.error
    assert parked.retry_at is None
    assert strange
