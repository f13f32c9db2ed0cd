"""The complaint: "one failed or half answered request, and my mailbox was empty"."""

from datetime import timedelta
from typing import Any

import pytest

from bridge.records import LinkState, Side
from connectors.contract import Connector
from connectors.errors import ConnectorError
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

LISTING = r"GET \S+/events\?"
SYNC = r"op=SyncFolderItems$"
FAILURES: dict[str, dict[str, Any]] = {
    "500": {"action": "status", "status": 500, "body": {"code": 1, "msg": "internal error"}},
    "html 502": {"action": "html", "status": 502},
    "dropped after": {"action": "drop_after"},
    "truncated": {"action": "truncate"},
    "no token": {"action": "rewrite", "name": "truncate_page"},
}


def _lunch(mailbox: Any) -> dict[str, Any]:
    day = monday_of(mailbox.feishu.clock) + timedelta(days=2)
    return timed("Lunch", day, 12, 0, 60, "Asia/Shanghai")


@pytest.mark.parametrize("full", [True, False])
def test_failed_listings_of_feishu_write_nothing_at_exchange(mailbox: Any, full: bool) -> None:
    assert mailbox.run().counts.created == 31
    mailbox.alice.create(mailbox.primary, _lunch(mailbox))
    before, since = mailbox.stored(), len(mailbox.exchange.log)
    for failure, fault in FAILURES.items():
        mailbox.weather("feishu", LISTING, **fault)
        with pytest.raises(ConnectorError):
            mailbox.run(full=full)
        assert mailbox.stored() == before, failure
        mailbox.clear()
    assert mailbox.exchange_calls("CreateItem", "UpdateItem", "DeleteItem", since=since) == 0
    assert mailbox.run(full=full).counts.created == 1
    assert mailbox.titles() == mailbox.source_titles()
    assert mailbox.verify().differences == []


@pytest.mark.parametrize("lie", ["short", "empty"])
def test_a_listing_of_feishu_that_has_lost_its_items_deletes_nothing_at_exchange(
    mailbox: Any, lie: str
) -> None:
    mailbox.run()
    before = mailbox.stored()
    mailbox.weather("feishu", LISTING, "rewrite", name=lie)
    outcome = mailbox.run(full=True)
    assert "the listing of side a shrank" in outcome.held
    assert mailbox.link().state is LinkState.HELD
    assert mailbox.run(full=True, approved=True).counts.writes == 0
    assert mailbox.stored() == before
    assert mailbox.thrown_away() == []
    mailbox.clear()
    assert mailbox.run(full=True).counts.writes == 0


def test_a_listing_of_exchange_that_is_not_whole_is_none(mailbox: Any) -> None:
    """Half an answer can be mended into a short listing; it is asked for again, or refused."""
    mailbox.run()
    with mailbox.runtime() as runtime:
        link = mailbox.link()
        connector = runtime.connectors(link)[Side.B]
        calendar = link.endpoint(Side.B).calendar
        refs = listed(connector, calendar)
        assert len(refs) == 31
        mailbox.weather("exchange", SYNC, "truncate", times=2)
        assert listed(connector, calendar) == refs
        for fault in ({"action": "truncate"}, {"action": "rewrite", "name": "cut"}):
            mailbox.weather("exchange", SYNC, **fault)
            with pytest.raises(ConnectorError):
                listed(connector, calendar)
            mailbox.clear()


def listed(connector: Connector, calendar: str) -> set[str]:
    """The refs in a listing."""
    return {change.ref for page in connector.changes(calendar, None) for change in page.changes}
