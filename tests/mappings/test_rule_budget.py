"""No rule text, however mad, keeps the program busy."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings import walks
from mappings.errors import UnmappableError
from mappings.model import Freq, When
from mappings.recurrence import keys, parse_rule
from mappings.rule_text import read

LIMIT = 1_000_000
"""Steps of a walk for one rule: under a second of work. Without a budget they have no end."""

Steps = list[int]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    """Counts every day that a walk looks at."""
    taken = [0]
    passes = walks.DayTest.passes

    def counted(self: walks.DayTest, day: date) -> bool:
        taken[0] += 1
        assert taken[0] <= LIMIT
        return passes(self, day)

    monkeypatch.setattr(walks.DayTest, "passes", counted)
    return taken


def refusal(action: Callable[[], Any]) -> str | None:
    """The code that the action is refused with, None if it succeeds."""
    try:
        action()
    except UnmappableError as error:
        return error.code
    return None


def follow(text: str, steps: Steps, first: When | None = None) -> None:
    start = datetime.fromisoformat("2026-11-23T09:00")
    series = first or When(start=start, duration=timedelta(1), zone="UTC")
    steps[0] = 0

    def walk() -> None:
        rule = parse_rule(text, series)
        assert len(list(islice(keys(rule, (), series, limit=50), 51))) <= 50

    assert refusal(walk) in {None, "RULE_INVALID"}


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=WEEKLY;INTERVAL=999999",
        "FREQ=MONTHLY;INTERVAL=2;BYMONTH=1;BYDAY=5MO",
        "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1",
        "FREQ=YEARLY;INTERVAL=999999;BYMONTHDAY=31",
        "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=3",
        "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=29;BYHOUR=1;BYMINUTE=1;BYSECOND=1",
        "FREQ=SECONDLY;INTERVAL=86400;BYHOUR=3",
        "FREQ=SECONDLY;COUNT=999999",
        "FREQ=SECONDLY;UNTIL=24990101T000000Z",
        "FREQ=MINUTELY;UNTIL=24990101T000000Z",
        "FREQ=DAILY;COUNT=999999",
        "FREQ=DAILY;BYHOUR=9,10;COUNT=999999",
        "FREQ=WEEKLY;BYDAY=MO;BYHOUR=1,2;UNTIL=24990101T000000Z",
        "FREQ=MONTHLY;BYMONTHDAY=1;BYSETPOS=366",
    ],
)
def test_hostile_rules_end_within_the_budget(text: str, steps: Steps) -> None:
    follow(text, steps)


@st.composite
def texts(draw: st.DrawFn) -> str:
    def numbers(low: int, high: int) -> str:
        found = draw(st.lists(st.integers(low, high), min_size=1, max_size=6))
        return ",".join(map(str, found))

    offers = {
        "INTERVAL": lambda: str(draw(st.sampled_from([1, 2, 7, 24, 365, 86400, 999999]))),
        "COUNT": lambda: str(draw(st.sampled_from([1, 30, 5000, 999999]))),
        "UNTIL": lambda: draw(st.sampled_from(["20270101", "20991231T235959Z", "24990101"])),
        "BYMONTH": lambda: numbers(1, 12),
        "BYWEEKNO": lambda: numbers(-53, 53),
        "BYYEARDAY": lambda: numbers(-366, 366),
        "BYMONTHDAY": lambda: numbers(-31, 31),
        "BYDAY": lambda: draw(st.sampled_from(["MO", "5SU", "-5FR,MO", "53TU", "SA,SU"])),
        "BYHOUR": lambda: numbers(0, 23),
        "BYMINUTE": lambda: numbers(0, 59),
        "BYSECOND": lambda: numbers(0, 59),
        "BYSETPOS": lambda: numbers(-366, 366),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(offers)), max_size=5))
    parts = [f"FREQ={draw(st.sampled_from(list(Freq)))}"]
    return ";".join(parts + [f"{name}={offers[name]()}" for name in sorted(chosen)])


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=texts())
def test_any_combination_of_parts_ends_within_the_budget(text: str, steps: Steps) -> None:
    follow(text, steps)


@settings(max_examples=200)
@given(st.text(max_size=60) | st.text("FREQ=;:,-+DAILYWK0123 \n", max_size=60))
def test_noise_is_refused_and_never_breaks_the_reader(text: str) -> None:
    assert refusal(lambda: read(text)) in {None, "RULE_INVALID"}


RULES = ["DAILY", "WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU", "MONTHLY", "YEARLY;BYYEARDAY=1"]


@pytest.mark.parametrize("rule", RULES)
def test_a_series_runs_up_to_the_end_of_every_calendar(rule: str) -> None:
    first = When(start=date(2499, 12, 1), duration=timedelta(days=1))
    found = refusal(lambda: list(keys(parse_rule(f"FREQ={rule}", first), (), first, limit=99)))
    assert found == ("RULE_INVALID" if "YEARDAY" in rule else None)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("start", [date(1, 1, 1), date(2600, 1, 1), date(9999, 12, 31)])
def test_a_start_outside_every_calendar_is_refused(rule: str, start: date) -> None:
    first = When(start=start, duration=timedelta(days=1))
    assert refusal(lambda: parse_rule(f"FREQ={rule}", first)) == "OUT_OF_RANGE"
