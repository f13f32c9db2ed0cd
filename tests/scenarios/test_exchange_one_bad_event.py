"""The complaint: "one strange event, or one right that was missing, and nobody told me why"."""

import json
from datetime import timedelta
from typing import Any

import pytest

from bridge.cli import run as calbridge
from bridge.records import LinkState, UnitState
from connectors.errors import FatalError, ReauthorizeError
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import SERVICE, monday_of

ALICE = "alice@office.example"
STRANGE = "Strange 奇怪"


@pytest.fixture
def strange(mailbox: Any) -> str:
    """The event's id at Feishu."""
    day = monday_of(mailbox.feishu.clock) + timedelta(days=4)
    made = mailbox.alice.create(mailbox.primary, timed(STRANGE, day, 7, 0, 20, "Asia/Shanghai"))
    return str(made["event_id"])


def spoilt(body: Any) -> None:
    """Feishu shows a zone that nobody knows."""
    data = body.get("data") or {}
    for item in [*data.get("items", ()), *filter(None, [data.get("event")])]:
        if item.get("summary", "").startswith("Strange"):
            item["start_time"]["timezone"] = "Mars/Olympus_Mons"


def test_what_cannot_be_understood_is_parked_and_all_else_goes_on(
    mailbox: Any, strange: str
) -> None:
    mailbox.spoil("feishu", r"GET \S+/events", spoilt)
    counts = mailbox.run().counts
    assert (counts.created, counts.parked) == (31, 1)
    [parked] = mailbox.units(UnitState.PARKED)
    assert (parked.ref_a, parked.error_code) == (strange, "ZONE_UNKNOWN")
    mailbox.clear()
    mailbox.alice.patch(mailbox.primary, strange, {"summary": f"{STRANGE}, mended"})
    assert mailbox.run().counts.created == 1
    assert mailbox.titles() == mailbox.source_titles()
    assert mailbox.units(UnitState.PARKED) == []


def test_what_exchange_refuses_is_parked_alone_among_those_written_with_it(
    mailbox: Any, strange: str
) -> None:
    """One of twenty in the same request."""
    mailbox.exchange.switches.max_body = 1000
    mailbox.alice.patch(mailbox.primary, strange, {"description": "long " * 1000})
    counts = mailbox.run().counts
    assert (counts.created, counts.parked) == (31, 1)
    [parked] = mailbox.units(UnitState.PARKED)
    assert (parked.error_code, parked.retry_at) == ("ErrorMessageSizeExceeded", None)
    assert mailbox.at_exchange(STRANGE) is None
    mailbox.alice.patch(mailbox.primary, strange, {"description": "short"})
    assert mailbox.run().counts.created == 1
    assert mailbox.titles() == mailbox.source_titles()


def test_a_missing_right_to_impersonate_comes_with_advice(
    mailbox: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    mailbox.exchange.world.mailbox(SERVICE).impersonates = False
    with pytest.raises(ReauthorizeError, match="ApplicationImpersonation role"):
        mailbox.run()
    assert mailbox.titles() == []
    assert calbridge(["check", "--online", "--config", str(mailbox.path)]) == 1
    assert "ApplicationImpersonation role" in " ".join(capsys.readouterr().out.split())


def test_a_link_whose_right_to_impersonate_is_taken_away_waits_for_it(
    mailbox: Any, strange: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mailbox.run()
    mailbox.exchange.world.mailbox(SERVICE).impersonates = False
    mailbox.alice.patch(mailbox.primary, strange, {"summary": "Known again"})
    before = mailbox.stored()
    mailbox.silent()
    mailbox.configure(service={"listen": "127.0.0.1:0", "poll": "1s"})
    with mailbox.serving():
        assert mailbox.until(lambda: mailbox.link().state is LinkState.WAITING)
    assert calbridge(["status", "--json", "--config", str(mailbox.path)]) == 1
    [row] = json.loads(capsys.readouterr().out)["links"]
    assert row["state"] == "waiting"
    assert "ApplicationImpersonation role" in row["reason"]
    assert mailbox.stored() == before
    mailbox.exchange.world.mailbox(SERVICE).impersonates = True
    assert calbridge(["resume", "alice/exchange", "--config", str(mailbox.path)]) == 0
    mailbox.run()
    assert mailbox.at_exchange("Known again")


def test_a_wrong_password_says_so(mailbox: Any, capsys: pytest.CaptureFixture[str]) -> None:
    mailbox.connector("exchange", password="not-the-password")
    with pytest.raises(ReauthorizeError, match="password"):
        mailbox.run()
    assert calbridge(["check", "--online", "--config", str(mailbox.path)]) == 1
    assert "not-the-password" not in capsys.readouterr().out


def test_a_mailbox_that_is_gone_stops_the_link_and_deletes_nothing(mailbox: Any) -> None:
    mailbox.run()
    before = len(mailbox.alice.events(mailbox.primary))
    mailbox.exchange.drop_mailbox(ALICE)
    day = monday_of(mailbox.feishu.clock) + timedelta(days=4)
    mailbox.alice.create(mailbox.primary, timed("New", day, 7, 0, 20, "Asia/Shanghai"))
    with pytest.raises(FatalError, match="Check the address"):
        mailbox.run()
    assert len(mailbox.alice.events(mailbox.primary)) == before + 1
    assert mailbox.units(UnitState.DONE) == []


def test_mailboxes_that_are_full_stop_the_link_and_go_on_when_there_is_room(mailbox: Any) -> None:
    mailbox.exchange.switches.quota_items = 10
    with pytest.raises(FatalError, match="mailbox is full"):
        mailbox.run()
    assert 0 < len(mailbox.titles()) <= 10
    mailbox.exchange.switches.quota_items = None
    mailbox.run()
    assert mailbox.titles() == mailbox.source_titles()
    assert mailbox.run(full=True).counts.writes == 0
