"""The complaint: "I moved the meeting an hour ago, and the other calendar still does not know"."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.hands import AtFeishu, AtGoogle
from connectors.sandbox.worlds.live_edits import Desk, live_edits
from connectors.sandbox.worlds.office import monday_of

ALICE = "alice@office.example"
HOUR = {"listen": "127.0.0.1:0", "poll": "1h"}
SECOND = {"listen": "127.0.0.1:0", "poll": "1s"}


def story(desk: Any) -> list[Any]:
    """Create, move, rename, cancel an occurrence, change a rule, delete."""
    clock = desk.feishu.clock
    now = datetime.fromtimestamp(clock.time(), UTC)
    here = AtFeishu("Feishu", desk.feishu, desk.alice.user, now)
    there = AtGoogle("Google", desk.google, ALICE, now)
    return list(live_edits([Desk("alice", "", here, [there])], monday_of(clock)))


def happen(desk: Any, arrived: Callable[[Any], Any]) -> None:
    for edit in story(desk):
        edit.act()
        assert arrived(edit), edit.what
    assert desk.titles() == desk.source_titles()
    assert desk.verify().differences == []


def waited_for(desk: Any) -> Callable[[Any], Any]:
    return lambda edit: desk.until(edit.arrivals["Google"])


@pytest.fixture
def prompt(desk: Any) -> Any:
    """Feishu bundles pushes for a moment only, and nothing is found by asking."""
    desk.feishu.switch(aggregation_seconds=0.05)
    desk.configure(service=HOUR)
    return desk


def test_every_kind_of_edit_arrives_by_long_connection(prompt: Any) -> None:
    with prompt.serving() as service:
        assert prompt.until(prompt.trial.listening)
        assert service.wait_idle(30)
        happen(prompt, waited_for(prompt))
        assert service.wait_idle(30)
        assert prompt.run().counts.writes == 0


def test_every_kind_of_edit_arrives_by_webhook(prompt: Any) -> None:
    prompt.by_webhook()
    with prompt.serving() as service:
        prompt.point(service)
        happen(prompt, waited_for(prompt))
    assert all(attempt.acknowledged for attempt in prompt.feishu.delivery.attempts)


def test_pushes_that_come_twice_and_late_change_nothing_twice(prompt: Any) -> None:
    prompt.by_webhook()
    prompt.feishu.switch(push_duplicate_chance=1.0, push_reorder_chance=0.5)
    with prompt.serving() as service:
        prompt.point(service)
        happen(prompt, waited_for(prompt))
        sent = len(prompt.feishu.delivery.attempts)
        assert sent > len(story(prompt))
        prompt.feishu.clock.advance(60)
        assert service.wait_idle(30)
    assert prompt.run(full=True).counts.writes == 0


def test_edits_whose_pushes_are_lost_are_found_by_asking(prompt: Any) -> None:
    prompt.by_webhook()
    prompt.configure(service=SECOND)
    prompt.feishu.switch(push_drop_chance=1.0)
    *steps, last = story(prompt)
    with prompt.serving() as service:
        prompt.point(service)
        for edit in steps:
            edit.act()
        for edit in steps[2:]:
            assert prompt.until(edit.arrivals["Google"]), edit.what
        last.act()
        assert prompt.until(last.arrivals["Google"])
    assert prompt.feishu.delivery.attempts == []
    assert prompt.titles() == prompt.source_titles()


def test_a_push_that_nobody_answered_is_delivered_again(prompt: Any) -> None:
    """The bridge was down; Feishu repeats after fifteen seconds, and the first look finds all."""
    prompt.by_webhook()
    with prompt.serving() as service:
        prompt.point(service)
    day = monday_of(prompt.feishu.clock) + timedelta(days=3)
    prompt.alice.create(prompt.primary, timed("While down", day, 9, 0, 30, "Asia/Shanghai"))
    assert prompt.until(lambda: prompt.feishu.delivery.attempts)
    assert not prompt.feishu.delivery.attempts[-1].acknowledged
    with prompt.serving():
        assert prompt.until(lambda: prompt.at_google("While down"))


def test_a_burst_of_edits_ends_in_the_last_word(prompt: Any) -> None:
    """Fifty edits within moments: the last state arrives, in far fewer writes than edits."""
    prompt.by_webhook()
    day = monday_of(prompt.feishu.clock) + timedelta(days=3)
    with prompt.serving() as service:
        prompt.point(service)
        made = prompt.alice.create(prompt.primary, timed("#0", day, 9, 0, 30, "Asia/Shanghai"))
        for number in range(1, 50):
            prompt.alice.patch(prompt.primary, made["event_id"], {"summary": f"#{number}"})
        assert prompt.until(lambda: prompt.at_google("#49"))
        assert service.wait_idle(30)
    assert prompt.titles() == prompt.source_titles()
    assert prompt.run().counts.writes == 0
