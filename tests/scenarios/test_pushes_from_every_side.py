"""The complaint: "what I change there comes over here only hours later, or not at all"."""

import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import requests

from bridge import config as config_file
from bridge.runtime import Runtime, System
from bridge.subscriptions import LATE, release
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

ALICE = "alice@office.example"
HOURS = "8h"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def serving_google(desk: Any, direction: str = "from-target") -> Iterator[Any]:
    """The service with Google posting to it and polls a working day apart."""
    desk.configure(defaults={"direction": direction})
    port = free_port()
    desk.google.switches.allow_http_push = True
    desk.connector("google", push_url=f"http://127.0.0.1:{port}/hooks/google")
    desk.configure(service={"listen": f"127.0.0.1:{port}", "poll": HOURS})
    with desk.serving() as service:
        yield service


def puts_at_google(desk: Any, title: str) -> Any:
    day = monday_of(desk.google.clock) + timedelta(days=3)
    body = {
        "summary": title,
        "start": {"dateTime": f"{day}T09:00:00", "timeZone": "Asia/Shanghai"},
        "end": {"dateTime": f"{day}T09:30:00", "timeZone": "Asia/Shanghai"},
    }
    return desk.google.edit(ALICE, "create", ALICE, body)


def at_feishu(desk: Any, title: str) -> bool:
    return title in desk.source_titles()


def channels(desk: Any) -> set[str]:
    desk.google.channels.settle()
    return {channel["id"] for channel in desk.google.state()["channels"]}


def test_a_change_at_google_is_at_feishu_in_seconds_without_a_poll(desk: Any) -> None:
    with serving_google(desk):
        puts_at_google(desk, "Pushed")
        assert desk.until(lambda: at_feishu(desk, "Pushed"))


def test_a_change_in_outlook_is_at_feishu_in_seconds_without_a_poll(mailbox: Any) -> None:
    mailbox.configure(
        defaults={"direction": "from-target"}, service={"listen": "127.0.0.1:0", "poll": HOURS}
    )
    with mailbox.serving():
        day = monday_of(mailbox.exchange.clock) + timedelta(days=3)
        item = {"subject": "Streamed", "start": f"{day}T09:00:00", "end": f"{day}T09:30:00"}
        mailbox.outlook("create", item)
        assert mailbox.until(lambda: at_feishu(mailbox, "Streamed"))


def test_a_restart_goes_on_with_the_channels_that_are_there(desk: Any) -> None:
    with serving_google(desk):
        before = channels(desk)
    watches = desk.google_calls("events.watch", "calendarList.watch")
    desk.restart()
    with desk.serving():
        puts_at_google(desk, "After the restart")
        assert desk.until(lambda: at_feishu(desk, "After the restart"))
        assert channels(desk) == before
        assert desk.google_calls("events.watch", "calendarList.watch") == watches
    assert len(before) == 2  # the calendar's, and that of the list of calendars


@pytest.fixture
def one_clock(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's SDK, which looks at a clock of its own, lives by the sandboxes' too."""
    monkeypatch.setattr(
        "google.auth._helpers.utcnow", lambda: desk.google.clock.now().replace(tzinfo=None)
    )


@pytest.mark.usefixtures("one_clock")
def test_a_channel_is_replaced_before_it_ends(desk: Any) -> None:
    with serving_google(desk) as service:
        before = channels(desk)
        desk.feishu.clock.advance(6 * 86400)
        service._subscriptions.tend()
        assert service.wait_idle(30)
        after = channels(desk)
        assert len(after) == len(before) == 2
        assert before.isdisjoint(after)
        desk.feishu.clock.advance(2 * 86400)  # the old ones would be over
        puts_at_google(desk, "After a week")
        assert desk.until(lambda: at_feishu(desk, "After a week"))


@pytest.mark.usefixtures("one_clock")
@pytest.mark.parametrize("how", ["dropped", "vanished"])
def test_pushes_that_stay_away_are_noticed_and_asked_for_anew(
    desk: Any, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    with serving_google(desk) as service:
        before = channels(desk)
        # A poll that is not the first one, and behind it a day without the nightly comparison,
        # which asks by no cursor: that is between 19 and 21 o'clock UTC.
        now = desk.feishu.clock.now()
        desk.feishu.clock.advance((9 + (13 - now.hour) % 24) * 3600)
        assert service.wait_idle(30)
        if how == "dropped":
            desk.google.channels.script.extend(["drop"] * 20)
        else:
            desk.google.channels.open.clear()
        puts_at_google(desk, "Unannounced")
        assert service.wait_idle(5)
        assert not at_feishu(desk, "Unannounced")
        desk.feishu.clock.advance(18 * 3600)
        assert desk.until(lambda: at_feishu(desk, "Unannounced"))
        assert service.wait_idle(30)
        service._subscriptions.tend()
        assert "subscribing anew" not in caplog.text, "the push may only be late"
        desk.feishu.clock.advance(LATE.total_seconds() + 1)
        service._subscriptions.tend()
        warnings = [
            record.getMessage()
            for record in caplog.records
            if record.levelno == logging.WARNING and "subscribing anew" in record.getMessage()
        ]
        assert len(warnings) == 1
        assert f"connector=google account={ALICE} calendar={ALICE}" in warnings[0]
        desk.google.channels.script.clear()
        assert service.wait_idle(30)
        assert not channels(desk) <= before
        puts_at_google(desk, "Announced again")
        assert desk.until(lambda: at_feishu(desk, "Announced again"))


def test_a_forged_push_causes_no_work(desk: Any) -> None:
    with serving_google(desk) as service:
        puts_at_google(desk, "Genuine")
        assert desk.until(lambda: at_feishu(desk, "Genuine"))
        assert service.wait_idle(30)
        (channel, *_rest) = desk.google.state()["channels"]
        genuine = {
            "X-Goog-Channel-ID": channel["id"],
            "X-Goog-Channel-Token": channel["token"],
            "X-Goog-Resource-ID": channel["resourceId"],
            "X-Goog-Resource-State": "exists",
            "X-Goog-Message-Number": "4711",
        }
        before = desk.google_calls("events.list")
        url = f"{service.address}/hooks/google"
        for name in ("X-Goog-Channel-ID", "X-Goog-Channel-Token", "X-Goog-Resource-ID"):
            for value in ("", "forged"):
                forged = genuine | {name: value}
                assert requests.post(url, headers=forged, timeout=5).status_code == 404
        assert service.wait_idle(30)
        assert desk.google_calls("events.list") == before
        assert requests.post(url, headers=genuine, timeout=5).status_code == 200


def test_several_processes_on_one_database_open_one_channel(desk: Any) -> None:
    desk.google.switches.allow_http_push = True
    desk.connector("google", push_url=f"http://127.0.0.1:{free_port()}/hooks/google")
    load = config_file.load
    runtimes = [
        Runtime(load(desk.path), System(now=desk.feishu.clock.now)) for _process in range(3)
    ]
    try:
        connectors = [runtime.connector("google", ALICE) for runtime in runtimes]
        with ThreadPoolExecutor(6) as pool:
            for each in [pool.submit(c.subscribe, ALICE) for c in connectors * 2]:
                each.result()
    finally:
        for runtime in runtimes:
            runtime.close()
    assert desk.google_calls("events.watch") == 1


def test_a_link_that_ends_leaves_no_channel_behind(desk: Any) -> None:
    with serving_google(desk):
        assert len(channels(desk)) == 2
    with desk.runtime() as runtime:
        release(runtime, desk.link())
        assert channels(desk) == set()
        assert runtime.store.watched() == []
    assert desk.feishu_calls("calendar.event.unsubscription", "events.unsubscription") == 1


def test_the_secret_of_a_channel_is_in_no_file(desk: Any) -> None:
    with serving_google(desk):
        secrets = [channel["token"] for channel in desk.google.state()["channels"]]
    desk.restart()
    files = [path for path in desk.path.parent.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    for path in files:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content]


def test_the_bridges_own_writes_settle_without_going_round(desk: Any) -> None:
    """Google announces our own writes too; they are read once, and answered by nothing."""
    with serving_google(desk, "two-way") as service:
        day = monday_of(desk.feishu.clock) + timedelta(days=3)
        desk.feishu.switch(aggregation_seconds=0.05)
        desk.alice.create(desk.primary, timed("Once", day, 9, 0, 30, "Asia/Shanghai"))
        assert desk.until(lambda: desk.at_google("Once"))
        desk.google.channels.settle()
        assert service.wait_idle(30)
        writes = ("events.insert", "events.update", "events.patch", "events.delete")
        before = desk.google_calls(*writes)
        service._subscriptions.tend()
        assert service.wait_idle(30)
        assert desk.google_calls(*writes) == before
