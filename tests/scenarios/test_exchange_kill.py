"""Killed at any moment between Feishu and Exchange, the bridge ends in the same state."""

import random
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from .test_kill import Hand

KILLS = 10
SEVERAL = "FREQ=MONTHLY;BYMONTHDAY=3,17;COUNT=8"
"""What Exchange holds as two series."""


class Hands(Hand):
    """Makes series of every other kind as well, and turns one kind into the other."""

    def edit(self) -> None:
        if self._own and self._dice.random() < 0.25:
            event = self._dice.choice(self._own)
            if self._desk.alice.get(self._desk.primary, event).get("recurrence"):
                rule = self._dice.choice((SEVERAL, "FREQ=WEEKLY;COUNT=8", "FREQ=DAILY;COUNT=9"))
                self._desk.alice.patch(self._desk.primary, event, {"recurrence": rule})
                return
        super().edit()


def calls(mailbox: Any) -> int:
    return len(mailbox.exchange.log) + len(mailbox.feishu.log)


@pytest.mark.parametrize("command", ["backfill", "run"])
def test_twenty_kills_leave_no_double_and_lose_nothing(
    mailbox: Any, spawn: Callable[..., BaseProcess], command: str
) -> None:
    dice, hand = random.Random(21), Hands(mailbox, 22)
    killed = rounds = 0
    while killed < KILLS:
        rounds += 1
        assert rounds <= 4 * KILLS, "most of them end before they can be killed"
        for _edit in range(dice.randrange(2, 6)):
            hand.edit()
        moment = calls(mailbox) + dice.randrange(1, 40)
        process = spawn(command, "--config", str(mailbox.path))
        deadline = time.monotonic() + 1.5
        while process.is_alive() and calls(mailbox) < moment and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(dice.random() * 0.02)
        killed += process.is_alive()
        process.kill()
        process.join()

    mailbox.run()
    assert mailbox.titles() == mailbox.source_titles()
    assert mailbox.verify().differences == []
    assert mailbox.run().counts.writes == 0
    assert mailbox.trial.mails() == 0
