"""The complaint: "a colleague unshared a calendar, and everything we had copied was wiped"."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import run as calbridge
from bridge.records import LinkState
from connectors.sandbox.feishu.calendars import delete_calendar, patch_calendar, unsubscribe
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

ALICE = "alice@office.example"
WRITES = ("events.insert", "events.update", "events.patch", "events.delete")


def use(desk: Any, calendar: str) -> None:
    """Link this calendar of Alice's; pushes come by webhook, and nothing is found by asking."""
    desk.by_webhook()
    user = {
        "feishu": {"account": ALICE, "calendar": calendar},
        "links": [{"to": "google", "account": ALICE}],
    }
    desk.configure(users={"alice": user}, service={"listen": "127.0.0.1:0", "poll": "1h"})


@pytest.fixture
def team(desk: Any) -> Any:
    """A calendar of Bob's with twenty events, which Alice reads."""
    bob = desk.feishu.add_user("Bob", "bob@office.example")
    calendar = desk.feishu.add_calendar(bob, "Team 团队")
    desk.feishu.share(calendar, desk.alice.user, "reader")
    for number in range(20):
        day = monday_of(desk.feishu.clock) + timedelta(days=number)
        desk.feishu.seed_event(calendar.id, timed(f"T{number}", day, 9, 0, 30, "Asia/Shanghai"))
    use(desk, "Team 团队")
    return calendar


def names(desk: Any) -> list[str]:
    with desk.runtime() as runtime:
        return [calendar.name for calendar in runtime.store.calendars("feishu", ALICE)]


def act(desk: Any, person: Any, handler: Any, calendar: str, body: Any = None) -> None:
    """What somebody does to a calendar in the Feishu client."""
    desk.feishu.as_user(person)._call(handler, {"calendar_id": calendar}, body or {}, {})


def test_calendars_that_come_are_renamed_and_go_are_noticed(desk: Any) -> None:
    use(desk, "primary")
    with desk.serving() as service:
        desk.point(service)
        before = names(desk)
        alice = desk.alice.user
        calendar = desk.feishu.add_calendar(alice, "Projects 项目").id
        assert desk.until(lambda: names(desk) == [*before, "Projects 项目"])
        act(desk, alice, patch_calendar, calendar, {"summary": "Projects 2"})
        assert desk.until(lambda: names(desk) == [*before, "Projects 2"])
        act(desk, alice, delete_calendar, calendar)
        assert desk.until(lambda: names(desk) == before)
        assert service.wait_idle(30)
    assert desk.link().state is LinkState.ACTIVE
    assert desk.run().counts.writes == 0


@pytest.mark.parametrize("how", ["deleted", "taken off the list"])
def test_a_linked_calendar_that_vanishes_suspends_the_link_and_deletes_nothing(
    desk: Any, team: Any, how: str
) -> None:
    with desk.serving() as service:
        desk.point(service)
        before = desk.stored()
        assert len(before) == 20
        if how == "deleted":
            act(desk, team.owner, delete_calendar, team.id)
        else:
            act(desk, desk.alice.user, unsubscribe, team.id)
        assert desk.until(lambda: desk.link().state is LinkState.SUSPENDED)
        assert "nothing was" in desk.link().reason
        assert service.wait_idle(30)
    assert desk.stored() == before
    assert desk.google_calls("events.delete") == 0


def test_a_calendar_that_comes_back_is_taken_up_again(desk: Any, team: Any) -> None:
    with desk.serving() as service:
        desk.point(service)
        act(desk, desk.alice.user, unsubscribe, team.id)
        assert desk.until(lambda: desk.link().state is LinkState.SUSPENDED)
        day = monday_of(desk.feishu.clock) + timedelta(days=30)
        desk.feishu.seed_event(team.id, timed("Meanwhile", day, 9, 0, 30, "Asia/Shanghai"))
        desk.feishu.share(team, desk.alice.user, "reader")
        desk.feishu.clock.advance(16 * 60)
        assert desk.until(lambda: desk.at_google("Meanwhile"))
        assert desk.until(lambda: desk.link().state is LinkState.ACTIVE)
    assert len(desk.stored()) == 21


@pytest.mark.parametrize("kind", ["google", "exchange"])
def test_a_calendar_that_feishu_itself_has_bound_is_refused_in_one_line(
    desk: Any, kind: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two bridges over the same pair double every event."""
    desk.feishu.add_calendar(desk.alice.user, "Bound", kind)
    use(desk, "Bound")
    calls = desk.google_calls(*WRITES)
    for command in ("backfill", "sync", "plan"):
        assert calbridge([command, "--config", str(desk.path)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        [line] = told.err.splitlines()
        assert kind in line
        assert "bound" in line
        assert Path(desk.path).name in line
    assert desk.google_calls(*WRITES) == calls == 0
    with desk.runtime() as runtime:
        assert runtime.store.links() == []
