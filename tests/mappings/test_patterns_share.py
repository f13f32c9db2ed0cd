"""How many rules a target takes as they are, and that no rule text is too much for the planner."""

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings.errors import UnmappableError
from mappings.model import WEEKDAYS, Details, Event, When
from mappings.patterns import EWS, Tier, plan
from mappings.patterns.assembly import MOST_SINGLES
from mappings.patterns.shape import shape
from mappings.recurrence import parse_rule

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
FIRST = When(
    start=datetime.fromisoformat("2027-01-04T09:00"), duration=timedelta(hours=1), zone="Asia/Tokyo"
)
ENDS = ("", ";COUNT=10", ";COUNT=1200", ";UNTIL=20300101T000000Z")
REALISTIC = [
    f"FREQ={text}{end}"
    for text in (
        "DAILY", "DAILY;INTERVAL=2", "DAILY;INTERVAL=10", "DAILY;BYDAY=MO,TU,WE,TH,FR",
        "WEEKLY", "WEEKLY;BYDAY=MO", "WEEKLY;BYDAY=TU,TH", "WEEKLY;BYDAY=MO,TU,WE,TH,FR",
        "WEEKLY;BYDAY=SA,SU", "WEEKLY;INTERVAL=2;BYDAY=MO", "WEEKLY;INTERVAL=2;BYDAY=WE,FR;WKST=SU",
        "WEEKLY;INTERVAL=3;BYDAY=MO,WE", "WEEKLY;INTERVAL=4", "WEEKLY;INTERVAL=6;BYDAY=FR",
        "MONTHLY", "MONTHLY;BYMONTHDAY=1", "MONTHLY;BYMONTHDAY=15", "MONTHLY;BYMONTHDAY=-1",
        "MONTHLY;INTERVAL=2", "MONTHLY;INTERVAL=3;BYMONTHDAY=10", "MONTHLY;INTERVAL=6",
        "MONTHLY;BYDAY=1MO", "MONTHLY;BYDAY=2TU", "MONTHLY;BYDAY=3WE", "MONTHLY;BYDAY=4TH",
        "MONTHLY;BYDAY=-1FR", "MONTHLY;INTERVAL=3;BYDAY=1MO", "MONTHLY;BYDAY=FR;BYSETPOS=-1",
        "MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1", "MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1",
        "YEARLY", "YEARLY;BYMONTH=5;BYMONTHDAY=12", "YEARLY;BYMONTH=11;BYDAY=4TH",
        "YEARLY;BYMONTH=5;BYDAY=-1MO", "YEARLY;INTERVAL=2", "YEARLY;INTERVAL=4",
        "YEARLY;BYMONTH=1,4,7,10;BYMONTHDAY=4",
    )
    for end in ENDS
]  # fmt: skip


def event_of(text: str) -> Event | None:
    try:
        return Event(details=Details(), when=FIRST, rule=parse_rule(text, FIRST))
    except UnmappableError:
        return None


def tier_of(text: str) -> Tier | None:
    event = event_of(text)
    return None if event is None else plan(event, EWS, NOW).tier


def test_nearly_all_rules_that_people_use_are_one_native_series() -> None:
    tiers = [tier_of(text) for text in REALISTIC]
    native = sum(tier is Tier.NATIVE for tier in tiers)
    assert native >= 0.99 * len(REALISTIC), [
        text for text, tier in zip(REALISTIC, tiers, strict=True) if tier is not Tier.NATIVE
    ]


def test_few_of_all_daily_to_yearly_rules_end_as_single_events() -> None:
    days = ("MO", "TU,TH", "1MO", "-1FR", "5WE", "-2SA", "1MO,3WE", "MO,2TU")
    texts = [f"FREQ=DAILY;INTERVAL={n}" for n in range(1, 31)]
    texts += [f"FREQ=WEEKLY;INTERVAL={n};BYDAY={d}" for n in (1, 2, 3, 8) for d in days[:2]]
    texts += [f"FREQ=MONTHLY;INTERVAL={n};BYDAY={d}" for n in (1, 2, 3) for d in days]
    texts += [f"FREQ=MONTHLY;BYMONTHDAY={n}" for n in (*range(1, 32), -1, -2, -3)]
    texts += [f"FREQ=YEARLY;BYMONTH={n};BYDAY={d}" for n in (1, 2, 12) for d in days]
    texts += [f"FREQ=YEARLY;INTERVAL={n}" for n in range(1, 11)]
    texts += [f"FREQ=YEARLY;BYYEARDAY={n}" for n in (1, 60, 100, 365, -1, -100)]
    texts += [f"FREQ=YEARLY;BYWEEKNO={n}" for n in (1, 20, 53)]
    tiers = [tier_of(text) for text in texts]
    assert None not in tiers
    assert sum(tier is Tier.SINGLES for tier in tiers) <= 0.16 * len(texts)


def test_a_shape_is_worked_out_once_for_all_series_of_the_same_rule() -> None:
    shape.cache_clear()
    for _ in range(5):
        tier_of("FREQ=WEEKLY;BYDAY=MO,TH")
    assert shape.cache_info().misses == 1
    assert shape.cache_info().hits == 4


numbers = {
    "INTERVAL": st.integers(1, 400),
    "BYMONTH": st.integers(1, 12),
    "BYMONTHDAY": st.integers(-31, 31).filter(bool),
    "BYYEARDAY": st.integers(-366, 366).filter(bool),
    "BYWEEKNO": st.integers(-53, 53).filter(bool),
    "BYSETPOS": st.integers(-5, 5).filter(bool),
    "BYHOUR": st.integers(0, 23),
    "BYMINUTE": st.integers(0, 59),
    "BYSECOND": st.integers(0, 59),
    "COUNT": st.integers(1, 2000),
}


@st.composite
def any_rule(draw: st.DrawFn) -> str:
    freqs = ("SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
    parts = [f"FREQ={draw(st.sampled_from(freqs))}"]
    for name in draw(st.lists(st.sampled_from(sorted(numbers)), max_size=4, unique=True)):
        single = name in ("INTERVAL", "COUNT")
        values = draw(st.lists(numbers[name], min_size=1, max_size=1 if single else 3))
        parts.append(f"{name}={','.join(map(str, values))}")
    if draw(st.booleans()):
        days = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=4, unique=True)
        parts.append(f"BYDAY={','.join(draw(days))}")
    return ";".join(parts)


def test_days_that_end_long_before_the_next_ones_are_no_endless_pattern() -> None:
    event = event_of("FREQ=YEARLY;INTERVAL=51;BYWEEKNO=1,-1,-2;BYDAY=MO,TU,WE")
    assert event is not None
    made = plan(event, EWS, NOW)
    assert made.parts == ()
    assert "SELF_CHECK" not in (made.reason or "")


@given(any_rule())
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_rule_text_ends_in_a_bounded_plan(text: str) -> None:
    event = event_of(text)
    if event is None:
        return
    made = plan(event, EWS, NOW)
    assert "SELF_CHECK" not in (made.reason or "")
    assert len(made.singles) <= MOST_SINGLES
    assert len(made.parts) <= 12 * 24
    assert sum(len(part.deletions) for part in made.parts) <= 12 * 75
    assert made.tier < Tier.SINGLES or made.reason
