"""Killed at any moment and started again, the bridge ends in the same state."""

import random
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

KILLS = 25


class Hand:
    """Somebody who never stops editing. Deterministic for a seed."""

    def __init__(self, desk: Any, seed: int) -> None:
        self._desk = desk
        self._dice = random.Random(seed)
        self._number = 0
        self._own: list[str] = []

    def edit(self) -> None:
        """One edit of a random kind."""
        dice, alice, primary = self._dice, self._desk.alice, self._desk.primary
        kind = dice.choice(("create", "create", "series", "rename", "move", "delete", "occurrence"))
        if kind in ("create", "series") or not self._own:
            self._own.append(alice.create(primary, self._body(kind))["event_id"])
            return
        event = dice.choice(self._own)
        match kind:
            case "rename":
                alice.patch(primary, event, {"summary": f"Renamed {self._name()}"})
            case "move":
                body = self._body("create")
                times = {name: body[name] for name in ("start_time", "end_time")}
                if not alice.get(primary, event).get("recurrence"):
                    alice.patch(primary, event, times)
            case "delete":
                self._own.remove(event)
                alice.delete(primary, event)
            case "occurrence":
                shown = alice.get(primary, event)
                if shown.get("recurrence"):
                    week = dice.randrange(1, 5) * 7 * 86400
                    start = int(shown["start_time"]["timestamp"]) + week
                    occurrence = f"{event.rpartition('_')[0]}_{start}"
                    alice.patch(primary, occurrence, {"summary": f"Special {self._name()}"})

    def _name(self) -> str:
        self._number += 1
        return f"#{self._number}"

    def _body(self, kind: str) -> dict[str, Any]:
        day = monday_of(self._desk.feishu.clock) + timedelta(days=self._dice.randrange(1, 40))
        hour = self._dice.randrange(8, 18)
        # Shanghai has no daylight saving time, so that weeks are 7 x 86400 s there.
        more = {"recurrence": "FREQ=WEEKLY;COUNT=8"} if kind == "series" else {}
        return timed(f"New {self._name()}", day, hour, 0, 30, "Asia/Shanghai", **more)


def calls(desk: Any) -> int:
    """How many calls both providers have answered."""
    return len(desk.google.log) + len(desk.feishu.log)


@pytest.mark.parametrize("command", ["backfill", "run"])
def test_fifty_kills_leave_no_double_and_lose_nothing(
    desk: Any, spawn: Callable[..., BaseProcess], command: str
) -> None:
    dice, hand = random.Random(11), Hand(desk, 12)
    killed = rounds = 0
    while killed < KILLS:
        rounds += 1
        assert rounds <= 4 * KILLS, "most of them end before they can be killed"
        for _edit in range(dice.randrange(2, 6)):
            hand.edit()
        moment = calls(desk) + dice.randrange(1, 16)
        process = spawn(command, "--config", str(desk.path))
        deadline = time.monotonic() + 1.5
        while process.is_alive() and calls(desk) < moment and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(dice.random() * 0.02)
        killed += process.is_alive()
        process.kill()
        process.join()

    desk.run()
    assert desk.titles() == desk.source_titles()
    assert desk.verify().differences == []
    assert desk.run().counts.writes == 0
    assert desk.trial.mails() == 0
