"""The complaint: "it stopped weeks ago because a token ran out, and nobody told me"."""

import io
import json
import re
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests

from bridge.cli import run as calbridge
from bridge.records import LinkState
from connectors.errors import ReauthorizeError
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

ALICE = "alice@office.example"


def lunch(desk: Any, title: str) -> None:
    day = monday_of(desk.feishu.clock) + timedelta(days=9)
    desk.alice.create(desk.primary, timed(title, day, 12, 0, 60, "Asia/Shanghai"))


def expire(desk: Any) -> None:
    """Alice's access token is void; only her refresh token helps now."""
    desk.feishu.desk.expire(desk.alice.user)


def bearers(desk: Any, since: int = 0) -> set[str]:
    """The first letters of the tokens that calendar calls carried."""
    return {
        call.headers["authorization"].removeprefix("Bearer ").partition("-")[0]
        for call in desk.feishu.calls(since=since)
        if call.operation.startswith(("events.", "calendars.", "attendees."))
    }


def test_every_refresh_token_is_used_once_and_the_next_one_survives_a_restart(desk: Any) -> None:
    desk.run()
    for number in range(4):
        expire(desk)
        lunch(desk, f"Lunch {number}")
        refreshed = desk.feishu_calls("oauth.token")
        assert desk.run().counts.created == 1
        assert desk.run().counts.writes == 0
        assert desk.feishu_calls("oauth.token") == refreshed + 1
        desk.restart()
    assert [token.used for token in desk.feishu.desk.refresh.values()] == [True] * 4 + [False]


def test_the_service_outlives_its_tokens(desk: Any) -> None:
    desk.silent()
    desk.configure(service={"listen": "127.0.0.1:0", "poll": "1s"})
    with desk.serving():
        for number in range(3):
            expire(desk)
            desk.feishu.clock.advance(2)
            lunch(desk, f"Lunch {number}")
            assert desk.until(lambda title=f"Lunch {number}": desk.at_google(title))
    assert desk.link().state is LinkState.ACTIVE


def test_calendars_are_read_as_the_user_and_never_as_the_app(desk: Any) -> None:
    """The SDK would quietly replace a missing user token by the app's own."""
    desk.run()
    desk.verify()
    assert bearers(desk) == {"u"}
    desk.feishu.control("revoke", {"user": ALICE})
    since = len(desk.feishu.log)
    with pytest.raises(ReauthorizeError):
        desk.run()
    assert bearers(desk, since) <= {"u"}


def test_with_the_apps_identity_calendars_are_read_as_the_app(desk: Any) -> None:
    desk.feishu.share(desk.feishu.world.calendars[desk.primary], desk.feishu.app.bot, "writer")
    desk.connector("feishu", identity="tenant", delivery={"mode": "none"})
    users = {
        "alice": {
            "feishu": {"account": ALICE, "calendar": desk.primary},
            "links": [{"to": "google", "account": ALICE}],
        }
    }
    desk.configure(users=users)
    since = len(desk.feishu.log)
    assert desk.run().counts.created == 31
    assert desk.titles() == desk.source_titles()
    assert desk.verify().differences == []
    assert bearers(desk, since) == {"t"}


def status(desk: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    calbridge(["status", "--json", "--config", str(desk.path)])
    return json.loads(capsys.readouterr().out)["links"][0]


def test_a_withdrawn_consent_is_told_deletes_nothing_and_is_mended_by_connect(
    desk: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.silent()
    desk.configure(service={"listen": "127.0.0.1:0", "poll": "1s"})
    monkeypatch.setattr(webbrowser, "open", _agree)
    with desk.serving():
        before = desk.stored()
        desk.feishu.control("revoke", {"user": ALICE})
        lunch(desk, "While away")
        desk.feishu.clock.advance(5)
        assert desk.until(lambda: desk.link().state is LinkState.WAITING)
        row = status(desk, capsys)
        assert row["state"] == "waiting"
        assert "calbridge connect feishu" in row["reason"]
        assert desk.stored() == before

        command = ["connect", "feishu", "--user", "alice", "--port", str(_free_port())]
        assert calbridge([*command, "--config", str(desk.path)]) == 0
        assert desk.until(lambda: desk.at_google("While away"))
        assert desk.until(lambda: desk.link().state is LinkState.ACTIVE)
    row = status(desk, capsys)
    assert (row["state"], row["reason"]) == ("active", "")
    assert desk.titles() == desk.source_titles()


def test_a_withdrawn_consent_is_told_before_anything_has_failed_for_it(desk: Any) -> None:
    """Feishu says so itself, and nobody has to wait for the next poll."""
    desk.by_webhook()
    desk.configure(service={"listen": "127.0.0.1:0", "poll": "1d"})
    with desk.serving() as service:
        desk.point(service)
        before = desk.stored()
        desk.feishu.control("revoke", {"user": ALICE})
        assert desk.until(lambda: desk.link().state is LinkState.WAITING)
        assert "calbridge connect feishu" in desk.link().reason
        assert desk.stored() == before


class Paster(io.TextIOBase):
    """A keyboard whose user opens the address from the terminal elsewhere, agrees, and pastes where
    that browser ended up; `change` spoils it on the way."""

    def __init__(self, shown: Callable[[], str], change: Callable[[str], str]) -> None:
        self._shown, self._change = shown, change

    def readline(self, _size: int = -1) -> str:
        (address,) = re.findall(r"^http\S+$", self._shown(), re.MULTILINE)
        answer = requests.get(address, allow_redirects=False, timeout=10)
        return self._change(answer.headers["Location"]) + "\n"


def test_without_a_browser_the_address_is_pasted_and_another_attempts_answer_is_refused(
    desk: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["connect", "feishu", "--user", "alice", "--paste", "--config", str(desk.path)]

    def pasted(change: Callable[[str], str]) -> int:
        keyboard = Paster(lambda: capsys.readouterr().err, change)
        monkeypatch.setattr(sys, "stdin", keyboard)
        return calbridge(command)

    desk.restart()
    with desk.runtime() as runtime:
        runtime.store.tokens.drop("feishu", ALICE)
    assert pasted(lambda address: re.sub("state=[^&]*", "state=of-another", address)) == 2
    with desk.runtime() as runtime:
        assert runtime.store.tokens.load("feishu", ALICE) is None
    assert pasted(lambda address: address) == 0
    with desk.runtime() as runtime:
        assert runtime.store.tokens.load("feishu", ALICE) is not None
    assert desk.run().held == ""


def _agree(url: str) -> None:
    """A browser whose user agrees at once; it knocks until the terminal listens."""

    def visit() -> None:
        answer = requests.get(url, allow_redirects=False, timeout=10)
        for _attempt in range(200):
            try:
                requests.get(answer.headers["Location"], timeout=10)
            except requests.ConnectionError:
                time.sleep(0.02)
            else:
                return

    threading.Thread(target=visit, daemon=True).start()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_waiting_link_resumes_by_itself(desk: Any) -> None:
    """Whatever way the consent came back, the link notices within a quarter of an hour."""
    desk.silent()
    desk.configure(service={"listen": "127.0.0.1:0", "poll": "1s"})
    with desk.serving():
        desk.feishu.control("revoke", {"user": ALICE})
        lunch(desk, "While away")
        desk.feishu.clock.advance(5)
        assert desk.until(lambda: desk.link().state is LinkState.WAITING)
        desk.consent()
        desk.feishu.clock.advance(16 * 60)
        assert desk.until(lambda: desk.at_google("While away"))
        assert desk.until(lambda: desk.link().state is LinkState.ACTIVE)
    assert desk.titles() == desk.source_titles()
