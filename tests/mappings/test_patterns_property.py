"""Whatever a plan writes shows exactly what the event shows: random series, day by day."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.testing import builders
from mappings import zones
from mappings.errors import UnmappableError
from mappings.model import WEEKDAYS, Details, Event, Key, Override, When
from mappings.patterns import EWS, Plan, expand_pattern, plan
from mappings.recurrence import expand, keys, parse_rule, tidy, when_of

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
DETAILS, MOVED = Details(title="as planned"), Details(title="changed")
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")
Shown = tuple[Key | None, object, object, str]


def shown_by(made: Plan, event: Event, low: Key, high: Key) -> Counter[Shown]:
    """What a calendar shows that applies the plan, for the occurrences named in [low, high)."""
    found: Counter[Shown] = Counter()

    def show(key: Key, when: When, details: Details) -> None:
        if low <= key < high:
            start: object = zones.start_instant(when)
            end: object = zones.end_instant(when)
            if when.all_day:
                start, end = when.start, when.start + when.duration
            found[key, start, end, details.title] += 1

    for part in made.parts:
        first = date.fromisoformat(part.when.key[:10])
        overrides = {item.key: item for item in part.overrides}
        assert len(overrides) == len(part.overrides)
        assert len(set(part.deletions)) == len(part.deletions)
        assert not overrides.keys() & set(part.deletions)
        held = set()
        for day in expand_pattern(part.pattern, part.bounds, first):
            key = Key(day.isoformat() + part.when.key[10:])
            if key >= high:
                break
            held.add(key)
            if key in part.deletions:
                continue
            item = overrides.get(key)
            when = (item and item.when) or when_of(event, key)
            show(key, when, (item and item.details) or event.details)
        named = {key for key in (*part.deletions, *overrides) if key < high}
        assert named <= held, "an exception of what the pattern does not have"
    for single in made.singles:
        show(single.occurrence, single.when, single.details)
    return found


def shown_by_event(event: Event, low: Key, high: Key) -> Counter[Shown]:
    """What the event itself shows, by the project's expansion of rules."""
    since = datetime(1990, 1, 1, tzinfo=UTC)
    until = datetime.combine(date.fromisoformat(high[:10]), time(), UTC) + timedelta(days=60)
    found: Counter[Shown] = Counter()
    for item in expand(event, since, until):
        key = item.key or event.when.key
        if low <= key < high:
            found[key, item.start, item.end, item.details.title] += 1
    return found


def assert_same(event: Event, made: Plan, years: int = 10) -> None:
    start = date.fromisoformat(event.when.key[:10])
    low, high = "", start.replace(year=start.year + years, day=1).isoformat()
    if made.rolling is not None:
        low, high = (day.isoformat() for day in made.rolling)
    assert shown_by(made, event, Key(low), Key(high)) == shown_by_event(event, Key(low), Key(high))


weekdays = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=3, unique=True)
month_days = st.lists(
    st.one_of(st.integers(1, 31), st.sampled_from([28, 29, 30, 31, -1, -2])),
    min_size=1,
    max_size=3,
    unique=True,
)
months = st.lists(st.integers(1, 12), min_size=1, max_size=3, unique=True)
ordinals = st.sampled_from([1, 2, 3, 4, 5, -1, -2])


def joined(values: object) -> str:
    return ",".join(map(str, values))  # type: ignore[call-overload]


@st.composite
def of_month(draw: st.DrawFn) -> list[str]:
    """The parts that say which days of a month."""
    kind = draw(st.sampled_from(["day", "ordinal", "plain", "setpos"]))
    if kind == "day":
        return [f"BYMONTHDAY={joined(draw(month_days))}"]
    if kind == "ordinal":
        days = draw(weekdays)
        return [f"BYDAY={joined(f'{draw(ordinals)}{day}' for day in days)}"]
    if kind == "plain":
        return [f"BYDAY={joined(draw(weekdays))}"]
    whole = draw(st.sampled_from(["MO,TU,WE,TH,FR", "SA,SU", "MO,WE", joined(WEEKDAYS)]))
    return [f"BYDAY={whole}", f"BYSETPOS={draw(ordinals)}"]


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Rules from DAILY to YEARLY as people and test suites write them."""
    freq = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={freq}"]
    interval = draw(st.sampled_from([1, 1, 1, 2, 3, 5, 7, 12]))
    if interval > 1:
        parts.append(f"INTERVAL={interval}")
    maybe = st.integers(0, 3)
    if freq == "WEEKLY":
        parts.append(f"BYDAY={joined(draw(weekdays))}")
        parts.append(f"WKST={draw(st.sampled_from(['MO', 'SU', 'WE']))}")
    elif freq == "DAILY" and draw(maybe) == 0:
        parts.append(f"BYDAY={joined(draw(weekdays))}")
    elif freq != "DAILY":
        parts += draw(st.one_of(st.just([]), of_month()))
    if (freq == "YEARLY" and draw(maybe) > 0) or draw(st.integers(0, 5)) == 0:
        parts.append(f"BYMONTH={joined(draw(months))}")
    if draw(st.integers(0, 9)) == 0:
        parts.append("BYHOUR=2,3,15")
    end = draw(st.sampled_from(["", "", "COUNT", "UNTIL"]))
    if end == "COUNT":
        parts.append(f"COUNT={draw(st.integers(1, 60))}")
    elif end == "UNTIL":
        day = date(2027, 1, 1) + timedelta(days=draw(st.integers(0, 2500)))
        parts.append(f"UNTIL={day:%Y%m%d}T120000")
    return ";".join(parts)


@st.composite
def events(draw: st.DrawFn) -> Event | None:
    """A series with extra dates, cancelled, moved and otherwise changed occurrences."""
    day = date(2024, 1, 1) + timedelta(days=draw(st.integers(0, 1500)))
    text = draw(rules())
    if draw(st.integers(0, 3)) == 0:
        text = text.replace("T120000", "").replace(";BYHOUR=2,3,15", "")
        when = When(start=day, duration=timedelta(days=draw(st.integers(1, 3))))
    else:
        clock = draw(st.sampled_from([time(9, 0), time(2, 30), time(0, 0), time(23, 30)]))
        when = When(
            start=datetime.combine(day, clock),
            duration=draw(st.sampled_from([timedelta(hours=n) for n in (1, 1, 1, 24, 36)])),
            zone=draw(st.sampled_from(ZONES)),
        )
    try:
        event = Event(details=DETAILS, when=when, rule=parse_rule(text, when))
        members = list(keys(event.rule, (), when, limit=40))
    except UnmappableError:
        return None
    extra = draw(st.lists(st.integers(0, 900), max_size=2))
    rdates = tuple(
        replace(when, start=when.start + timedelta(days=days), fold=0).key for days in extra
    )
    chosen = draw(st.lists(st.sampled_from(members), max_size=4, unique=True))
    overrides = []
    for key in chosen:
        ruled = when_of(event, key)
        move = draw(st.sampled_from(["cancel", "title", "hour", "days", "back", "long"]))
        shift = {
            "hour": timedelta(hours=0 if when.all_day else 3),
            "days": timedelta(days=draw(st.integers(1, 20))),
            "back": -timedelta(days=draw(st.integers(1, 20))),
        }.get(move, timedelta(0))
        length = when.duration * (3 if move == "long" else 1)
        changed = replace(ruled, start=ruled.start + shift, duration=length)
        overrides.append(
            Override(key=key, cancelled=True)
            if move == "cancel"
            else Override(key=key, details=MOVED, when=changed)
        )
    overrides.sort(key=lambda item: item.key)
    return tidy(replace(event, rdates=rdates, overrides=tuple(overrides)))


def check(event: Event | None) -> None:
    if event is None:
        return
    made = plan(event, EWS, NOW)
    assert "SELF_CHECK" not in (made.reason or ""), made.reason
    assert_same(event, made)
    names = [item.key for item in (*made.parts, *made.singles)]
    assert len(set(names)) == len(names)


@given(events())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_plan_shows_what_the_event_shows(event: Event | None) -> None:
    check(event)


@pytest.mark.nightly
@given(events())
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_plans_show_what_their_events_show(event: Event | None) -> None:
    check(event)


def test_weeks_that_begin_on_different_days_give_parts_of_different_names() -> None:
    series = builders.event(
        "x", "2024-10-23", days=1, rule="FREQ=MONTHLY;INTERVAL=3;BYDAY=MO,TU,WE;UNTIL=20261028"
    )
    made = plan(series, EWS, NOW)
    names = [item.key for item in (*made.parts, *made.singles)]
    assert sum(name.startswith("W:MO,TU") for name in names) > 1
    assert len(set(names)) == len(names)
