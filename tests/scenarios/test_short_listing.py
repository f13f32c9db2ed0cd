"""The complaint: "one failed or half answered request, and my other calendar was empty"."""

from datetime import timedelta
from typing import Any

import pytest

from bridge.records import LinkState, RunKind
from connectors.errors import ConnectorError
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

LISTING = r"GET \S+/events\?"
FAILURES: dict[str, dict[str, Any]] = {
    "500": {"action": "status", "status": 500, "body": {"code": 1, "msg": "internal error"}},
    "html 502": {"action": "html", "status": 502},
    "dropped before": {"action": "drop_before"},
    "dropped after": {"action": "drop_after"},
    "truncated": {"action": "truncate"},
    "no token": {"action": "rewrite", "name": "truncate_page"},
}
LIES = ("short", "empty")


def _lunch(desk: Any) -> dict[str, Any]:
    day = monday_of(desk.feishu.clock) + timedelta(days=2)
    return timed("Lunch", day, 12, 0, 60, "Asia/Shanghai")


@pytest.mark.parametrize("listing", ["full", "delta", "expired token"])
def test_failed_listings_delete_nothing_and_the_next_good_one_goes_on(
    desk: Any, listing: str
) -> None:
    assert desk.run().counts.created == 31
    desk.alice.create(desk.primary, _lunch(desk))
    before = desk.stored()
    writes = desk.google_calls("events.insert", "events.update", "events.delete")
    for failure, fault in FAILURES.items():
        if listing == "expired token":
            desk.feishu.expire_sync_tokens()
        desk.weather("feishu", LISTING, **fault)
        with pytest.raises(ConnectorError):
            desk.run(full=listing == "full")
        assert desk.stored() == before, failure
        desk.clear()
    assert desk.google_calls("events.insert", "events.update", "events.delete") == writes
    counts = desk.run(full=listing == "full").counts
    assert (counts.created, counts.writes) == (1, 1)
    assert desk.titles() == desk.source_titles()
    assert desk.verify().differences == []


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("listing", ["full", "expired token"])
def test_a_listing_that_has_lost_its_items_holds_the_link_and_deletes_nothing(
    desk: Any, lie: str, listing: str
) -> None:
    desk.run()
    before = desk.stored()
    if listing == "expired token":
        desk.feishu.expire_sync_tokens()
    desk.weather("feishu", LISTING, "rewrite", name=lie)
    outcome = desk.run(full=listing == "full")
    assert "the listing of side a shrank" in outcome.held
    assert outcome.counts.writes == 0
    assert desk.stored() == before
    assert desk.link().state is LinkState.HELD

    # Even a person who approves without looking deletes nothing that is still there.
    assert desk.run(full=True, approved=True).counts.writes == 0
    assert desk.stored() == before

    desk.clear()
    desk.alice.create(desk.primary, _lunch(desk))
    assert desk.run(full=True).counts.writes == 1
    assert desk.titles() == desk.source_titles()
    assert desk.run().counts.writes == 0


@pytest.mark.parametrize("lie", LIES)
def test_items_that_a_delta_keeps_to_itself_are_found_by_the_next_full_listing(
    desk: Any, lie: str
) -> None:
    desk.run()
    before = desk.stored()
    for number in range(3):
        desk.alice.create(desk.primary, _lunch(desk) | {"summary": f"Lunch {number}"})
    desk.weather("feishu", LISTING, "rewrite", name=lie)
    assert desk.run().counts.deleted == 0
    assert before.items() <= desk.stored().items()
    desk.clear()
    desk.run(RunKind.BACKFILL, full=True)
    assert desk.titles() == desk.source_titles()
    assert desk.verify().differences == []


def test_a_few_items_that_a_full_listing_forgot_are_asked_for_one_by_one(desk: Any) -> None:
    """Below the delete guard the listing is not believed either."""
    desk.run()
    before = desk.stored()
    gone = desk.find("Weekly check-in 每周例会")
    desk.alice.delete(desk.primary, gone)
    desk.spoil("feishu", LISTING, lambda body: body["data"]["items"].__delitem__(slice(3)))
    outcome = desk.run(full=True)
    assert (outcome.short, outcome.counts.deleted, outcome.held) == (3, 1, "")
    assert len(before) - len(desk.stored()) == 1
    assert desk.titles() == desk.source_titles()
