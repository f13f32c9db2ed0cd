"""The complaint: "anybody who finds the webhook can make it work, or make it tell secrets"."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import requests

from connectors.sandbox.feishu.webhook import Webhook
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

EVENT = "calendar.calendar.event.changed_v4"


@dataclass
class Stranger:
    """Somebody who calls the webhook of the running service."""

    desk: Any
    service: Any
    url: str
    key: str
    token: str

    def event(self, id_: str = "push-1", **header: Any) -> dict[str, Any]:
        now = self.desk.feishu.clock.time()
        return {
            "schema": "2.0",
            "header": {
                "event_id": id_,
                "event_type": EVENT,
                "create_time": str(int(now * 1000)),
                "token": self.token,
                "app_id": self.desk.feishu.app.id,
                "tenant_key": "tenant_1",
                **header,
            },
            "event": {"calendar_id": self.desk.primary},
        }

    def call(self, payload: Any, *, key: str | None = None, age: float = 0) -> int:
        """Encrypt, sign and send; the HTTP status."""
        sender = Webhook(self.url, self.key if key is None else key, self.token)
        return sender._post(payload, self.desk.feishu.clock.time() - age, 5)[0]

    def listings(self) -> int:
        assert self.service.wait_idle(30)
        return int(self.desk.feishu_calls("events.list"))


@pytest.fixture
def stranger(desk: Any) -> Iterator[Stranger]:
    desk.by_webhook()
    desk.configure(service={"listen": "127.0.0.1:0", "poll": "1h"})
    with desk.serving() as service:
        desk.point(service)
        hook = desk.feishu.delivery.webhook
        url = f"{service.address}/hooks/feishu"
        yield Stranger(desk, service, url, hook.encrypt_key, hook.verification_token)


def test_a_genuine_push_makes_one_look_and_its_replay_none(stranger: Stranger) -> None:
    before = stranger.listings()
    push = stranger.event()
    assert stranger.call(push) == 200
    assert stranger.listings() == before + 1
    for _again in range(3):
        assert stranger.call(push) == 200
    assert stranger.listings() == before + 1


def test_what_is_not_proven_to_come_from_feishu_causes_no_work(
    stranger: Stranger, caplog: pytest.LogCaptureFixture
) -> None:
    before = stranger.listings()
    post = requests.post
    wrong_token = {**stranger.event(), "header": {**stranger.event()["header"], "token": "guess"}}
    answers = {
        "signed with another key": stranger.call(stranger.event(), key="another key"),
        "not encrypted": stranger.call(stranger.event(), key=""),
        "wrong token": stranger.call(wrong_token),
        "stale": stranger.call(stranger.event(), age=8 * 3600),
        "from the future": stranger.call(stranger.event(), age=-3600),
        "another app": stranger.call(stranger.event(app_id="cli_other")),
        "not JSON": post(stranger.url, data=b"\xff\x00<xml/>", timeout=5).status_code,
        "not an object": post(stranger.url, json=[1, 2], timeout=5).status_code,
        "empty": post(stranger.url, data=b"", timeout=5).status_code,
        "oversize": post(stranger.url, data=b" " * (2 << 20), timeout=5).status_code,
        "bad signature": post(
            stranger.url,
            json={"encrypt": "AAAA"},
            headers={"X-Lark-Signature": "0" * 64, "X-Lark-Request-Timestamp": "now"},
            timeout=5,
        ).status_code,
        "GET": requests.get(stranger.url, timeout=5).status_code,
        "unknown connector": post(f"{stranger.url}2", json={}, timeout=5).status_code,
        "no receiver": post(
            stranger.url.replace("feishu", "google"), json={"a": 1}, timeout=5
        ).status_code,
    }
    assert answers == {
        "signed with another key": 401,
        "not encrypted": 401,
        "wrong token": 401,
        "stale": 403,
        "from the future": 403,
        "another app": 403,
        "not JSON": 400,
        "not an object": 400,
        "empty": 400,
        "oversize": 413,
        "bad signature": 401,
        "GET": 405,
        "unknown connector": 404,
        "no receiver": answers["no receiver"],
    }
    assert 400 <= answers["no receiver"] < 500
    assert stranger.listings() == before
    refusals = [
        record.getMessage()
        for record in caplog.records
        if record.name == "calbridge.intake" and record.levelno == logging.WARNING
    ]
    assert any("signature does not match" in line for line in refusals)
    assert any("stale" in line for line in refusals)
    assert not [line for line in refusals if stranger.token in line or stranger.key in line]


def test_after_a_flood_of_rubbish_the_next_genuine_push_is_heard(stranger: Stranger) -> None:
    desk = stranger.desk
    for number in range(50):
        assert stranger.call(stranger.event(f"forged-{number}"), key="guess") == 401
    day = monday_of(desk.feishu.clock) + timedelta(days=3)
    desk.feishu.switch(aggregation_seconds=0.05)
    desk.alice.create(desk.primary, timed("After", day, 9, 0, 30, "Asia/Shanghai"))
    assert desk.until(lambda: desk.at_google("After"))


def test_a_push_says_where_to_look_and_never_what_happened(stranger: Stranger) -> None:
    """Even one that is genuine, and claims that everything was deleted, deletes nothing."""
    before = stranger.desk.stored()
    push = stranger.event("push-2")
    events = stranger.desk.alice.events(stranger.desk.primary)
    push["event"] |= {"calendar_event_id": events[0]["event_id"], "change_type": "delete"}
    assert stranger.call(json.loads(json.dumps(push))) == 200
    assert stranger.service.wait_idle(30)
    assert stranger.desk.stored() == before
