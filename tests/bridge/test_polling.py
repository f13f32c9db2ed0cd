"""Busy calendars are polled often and idle ones seldom; failures wait longer and longer."""

from datetime import timedelta

import pytest

from bridge.backoff import backoff
from bridge.polling import Habits, next_poll

BASE = timedelta(minutes=5)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def poll(calm: timedelta, random: float = 0.5, **facts: object) -> timedelta:
    return next_poll(BASE, Habits(calm=calm, **facts), lambda: random)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("calm", "minutes"),
    [
        (timedelta(0), 2.5),
        (HOUR - MINUTE, 2.5),
        (HOUR, 5),
        (DAY - MINUTE, 5),
        (DAY, 10),
        (3 * DAY, 20),
        (400 * DAY, 20),
    ],
)
def test_the_longer_nothing_has_happened_the_rarer_the_polls(
    calm: timedelta, minutes: float
) -> None:
    assert poll(calm) == timedelta(minutes=minutes)
    assert poll(calm, pushed=True) == timedelta(minutes=3 * minutes)


def test_polls_of_many_links_drift_apart_by_a_tenth() -> None:
    assert poll(HOUR, 0.0) == BASE * 0.9
    assert poll(HOUR, 1.0) == BASE * 1.1


@pytest.mark.parametrize("random", [0.0, 1.0])
@pytest.mark.parametrize("pushed", [False, True])
def test_no_poll_comes_later_than_half_of_what_a_cursor_lives(random: float, pushed: bool) -> None:
    life = timedelta(minutes=30)
    for days in (0, 0.5, 2, 10):
        wait = poll(days * DAY, random, pushed=pushed, cursor_lifetime=life)
        assert timedelta(0) < wait <= life / 2


def test_every_failure_doubles_the_longest_wait_until_the_cap() -> None:
    waits = [
        backoff(n, base=timedelta(seconds=2), cap=timedelta(seconds=30), random=lambda: 1.0)
        for n in (0, 1, 2, 3, 4, 5, 6, 10**9)
    ]
    assert [wait.total_seconds() for wait in waits] == [2, 2, 4, 8, 16, 30, 30, 30]


def test_a_wait_is_anything_up_to_the_longest() -> None:
    for random in (0.0, 0.3, 1.0):
        wait = backoff(3, base=MINUTE, cap=HOUR, random=lambda: random)  # noqa: B023
        assert wait == 4 * MINUTE * random
