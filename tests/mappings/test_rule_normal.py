"""The normal form: each rewrite, and that none of them changes a date."""

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.errors import UnmappableError
from mappings.model import WEEKDAYS, When
from mappings.recurrence import format_rule, normalise, parse_rule

MONDAY = When(
    start=datetime.fromisoformat("2026-11-23T09:00"),
    duration=timedelta(hours=1),
    zone="Europe/Berlin",
)
DAY = When(start=date(2026, 11, 23), duration=timedelta(days=1))
WEEK = "MO,TU,WE,TH,FR,SA,SU"


def normal_text(text: str, first: When = MONDAY) -> str:
    rule = parse_rule(text, first)
    assert rule is not None
    return format_rule(rule, first)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("rrule:freq=weekly;byday=we,mo;interval=1", "FREQ=WEEKLY;BYDAY=MO,WE"),
        (" FREQ=DAILY ; INTERVAL=02 ;X-FOO=1", "FREQ=DAILY;INTERVAL=2"),
        ("FREQ=MONTHLY;BYDAY=+2TU", "FREQ=MONTHLY;BYDAY=2TU"),
        ("FREQ=MONTHLY;BYMONTHDAY=3,-1,3,1", "FREQ=MONTHLY;BYMONTHDAY=1,3,-1"),
        ("FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO"),
        ("FREQ=MONTHLY", "FREQ=MONTHLY;BYMONTHDAY=23"),
        ("FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=23"),
        ("FREQ=YEARLY;BYMONTH=3", "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=23"),
        ("FREQ=YEARLY;BYWEEKNO=20", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;WKST=MO"),
        ("FREQ=YEARLY;BYMONTHDAY=5", "FREQ=MONTHLY;BYMONTHDAY=5"),
        (
            "FREQ=YEARLY;INTERVAL=2;BYMONTHDAY=5",
            "FREQ=YEARLY;INTERVAL=2;BYMONTH=1,2,3,4,5,6,7,8,9,10,11,12;BYMONTHDAY=5",
        ),
        ("FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0", "FREQ=DAILY"),
        ("FREQ=DAILY;BYHOUR=9,17", "FREQ=DAILY;BYHOUR=9,17"),
        ("FREQ=DAILY;BYDAY=MO,FR", "FREQ=WEEKLY;BYDAY=MO,FR"),
        ("FREQ=DAILY;INTERVAL=2;BYDAY=MO", "FREQ=DAILY;INTERVAL=2;BYDAY=MO"),
        ("FREQ=WEEKLY;BYDAY=TU,SU;BYSETPOS=1", "FREQ=WEEKLY;BYDAY=TU"),
        ("FREQ=WEEKLY;BYDAY=TU,SU;BYSETPOS=1;WKST=SU", "FREQ=WEEKLY;BYDAY=SU"),
        ("FREQ=WEEKLY;BYDAY=TU,SU;BYSETPOS=-1,1", "FREQ=WEEKLY;BYDAY=TU,SU"),
        ("FREQ=MONTHLY;BYDAY=TU;BYSETPOS=2", "FREQ=MONTHLY;BYDAY=2TU"),
        ("FREQ=MONTHLY;BYDAY=TU;BYSETPOS=2,-1", "FREQ=MONTHLY;BYDAY=2TU,-1TU"),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=TU;BYSETPOS=2", "FREQ=YEARLY;BYMONTH=3;BYDAY=2TU"),
        ("FREQ=YEARLY;BYDAY=MO;BYSETPOS=20", "FREQ=YEARLY;BYDAY=20MO"),
        ("FREQ=MONTHLY;BYDAY=MO,2TU", "FREQ=MONTHLY;BYDAY=1MO,2MO,3MO,4MO,5MO,2TU"),
        ("FREQ=MONTHLY;BYDAY=TU;BYMONTHDAY=1,2,3,4,5,6,7", "FREQ=MONTHLY;BYDAY=1TU"),
        ("FREQ=MONTHLY;BYDAY=TU;BYMONTHDAY=8,9,10,11,12,13,14", "FREQ=MONTHLY;BYDAY=2TU"),
        ("FREQ=MONTHLY;BYDAY=TU;BYMONTHDAY=15,16,17,18,19,20,21", "FREQ=MONTHLY;BYDAY=3TU"),
        ("FREQ=MONTHLY;BYDAY=TU;BYMONTHDAY=22,23,24,25,26,27,28", "FREQ=MONTHLY;BYDAY=4TU"),
        ("FREQ=MONTHLY;BYDAY=TU;BYMONTHDAY=-7,-6,-5,-4,-3,-2,-1", "FREQ=MONTHLY;BYDAY=-1TU"),
        ("FREQ=MONTHLY;BYMONTH=3,6;BYDAY=1MO", "FREQ=YEARLY;BYMONTH=3,6;BYDAY=1MO"),
        (
            "FREQ=MONTHLY;BYMONTH=3,6;BYDAY=MO,TU;BYSETPOS=1",
            "FREQ=MONTHLY;BYMONTH=3,6;BYDAY=MO,TU;BYSETPOS=1",
        ),
        ("FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1", "FREQ=MONTHLY;BYMONTHDAY=-1"),
        (f"FREQ=MONTHLY;BYDAY={WEEK};BYSETPOS=-1", "FREQ=MONTHLY;BYMONTHDAY=-1"),
        (f"FREQ=MONTHLY;BYDAY={WEEK};BYSETPOS=2", "FREQ=MONTHLY;BYMONTHDAY=2"),
        ("FREQ=MONTHLY;INTERVAL=12", "FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=23"),
        ("FREQ=MONTHLY;INTERVAL=24;BYDAY=1MO", "FREQ=YEARLY;INTERVAL=2;BYMONTH=11;BYDAY=1MO"),
        ("FREQ=WEEKLY;BYDAY=MO,TU;WKST=SU", "FREQ=WEEKLY;BYDAY=MO,TU"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;WKST=SU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO"),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU",
        ),
        ("FREQ=DAILY;RSCALE=GREGORIAN;SKIP=OMIT", "FREQ=DAILY"),
        (
            "RSCALE=GREGORIAN;FREQ=MONTHLY;BYMONTHDAY=30;SKIP=BACKWARD",
            "FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1",
        ),
        (
            "RSCALE=GREGORIAN;FREQ=MONTHLY;BYMONTHDAY=31;SKIP=BACKWARD",
            "FREQ=MONTHLY;BYMONTHDAY=-1",
        ),
        (
            "RSCALE=GREGORIAN;FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;SKIP=BACKWARD",
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1",
        ),
    ],
)
def test_every_rewrite_gives_the_one_spelling(written: str, expected: str) -> None:
    assert normal_text(written) == expected
    assert normal_text(expected) == expected


def test_all_day_rules_lose_their_times_of_day() -> None:
    assert normal_text("FREQ=DAILY;BYHOUR=9,17;BYMINUTE=30", DAY) == "FREQ=DAILY"


def test_the_week_start_of_a_single_day_stays_while_the_start_is_on_another_day() -> None:
    sunday = When(start=date(2026, 11, 22), duration=timedelta(days=1))
    kept = normal_text("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;WKST=SU", sunday)
    assert kept == "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;WKST=SU"


@pytest.mark.parametrize(
    "text",
    [
        "INTERVAL=2",
        "FREQ=FORTNIGHTLY",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;FREQ=DAILY",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=x",
        "FREQ=DAILY;UNTIL=soon",
        "FREQ=DAILY;UNTIL=20261301",
        "FREQ=DAILY;UNTIL=20200101",
        "FREQ=DAILY;BYEASTER=1",
        "FREQ=DAILY;BYMONTH=13",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYDAY=1MO",
        "FREQ=DAILY;BYWEEKNO=1",
        "FREQ=DAILY;BYYEARDAY=1",
        "FREQ=DAILY;BYSETPOS=1",
        "FREQ=WEEKLY;BYMONTHDAY=1",
        "FREQ=WEEKLY;BYDAY=XX",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
        "FREQ=WEEKLY;WKST=XX",
        "FREQ=MONTHLY;BYDAY=6MO",
        "FREQ=MONTHLY;BYDAY=0MO",
        "FREQ=MONTHLY;BYMONTHDAY=0",
        "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTH=3",
        "FREQ=YEARLY;BYDAY=54MO",
        "FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO",
        "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=31",
        "FREQ=HOURLY;BYMINUTE=0;BYSETPOS=1",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=10",
        "RSCALE=CHINESE;FREQ=YEARLY",
        "FREQ=MONTHLY;BYMONTHDAY=31;SKIP=FORWARD",
        "FREQ=DAILY;BYHOUR=24",
        "FREQ",
    ],
)
def test_a_rule_that_nobody_can_follow_is_refused_with_its_code(text: str) -> None:
    with pytest.raises(UnmappableError) as caught:
        parse_rule(text, MONDAY)
    assert caught.value.code == "RULE_INVALID"


def test_an_all_day_event_cannot_recur_hourly() -> None:
    with pytest.raises(UnmappableError):
        parse_rule("FREQ=HOURLY", DAY)


@pytest.mark.parametrize("text", ["", "  ", "RRULE:"])
def test_no_text_is_no_rule(text: str) -> None:
    assert parse_rule(text, MONDAY) is None


def numbers(low: int, high: int, *, signed: bool = False) -> st.SearchStrategy[str]:
    values = st.integers(low, high)
    if signed:
        values = values | st.integers(-high, -low)
    return st.lists(values, min_size=1, max_size=4, unique=True).map(
        lambda found: ",".join(map(str, found))
    )


def weekdays(ordinals: int) -> st.SearchStrategy[str]:
    plain = st.sampled_from(WEEKDAYS)
    ordinal = st.integers(-ordinals, ordinals).filter(bool)
    with_ordinal = st.builds("{}{}".format, ordinal, plain)
    item = plain | with_ordinal if ordinals else plain
    return st.lists(item, min_size=1, max_size=4, unique=True).map(",".join)


BLOCKS = ["1,2,3,4,5,6,7", "8,9,10,11,12,13,14", "-7,-6,-5,-4,-3,-2,-1", "28,29,30,31"]
PARTS: dict[str, dict[str, st.SearchStrategy[str]]] = {
    "DAILY": {
        "BYMONTH": numbers(1, 12),
        "BYMONTHDAY": numbers(1, 31, signed=True),
        "BYDAY": weekdays(0),
    },
    "WEEKLY": {"BYMONTH": numbers(1, 12), "BYDAY": weekdays(0), "BYSETPOS": numbers(1, 3)},
    "MONTHLY": {
        "BYMONTH": numbers(1, 12),
        "BYMONTHDAY": numbers(1, 31, signed=True) | st.sampled_from(BLOCKS),
        "BYDAY": weekdays(5) | st.just(WEEK),
        "BYSETPOS": numbers(1, 4, signed=True),
    },
    "YEARLY": {
        "BYMONTH": numbers(1, 12),
        "BYMONTHDAY": numbers(1, 31, signed=True) | st.sampled_from(BLOCKS),
        "BYDAY": weekdays(5),
        "BYYEARDAY": numbers(1, 366, signed=True),
        "BYSETPOS": numbers(1, 4, signed=True),
    },
}


@st.composite
def rules(draw: st.DrawFn) -> str:
    freq = draw(st.sampled_from(sorted(PARTS)))
    chosen = draw(st.sets(st.sampled_from(sorted(PARTS[freq])), max_size=3))
    if chosen == {"BYSETPOS"}:
        chosen = set()
    parts = [f"FREQ={freq}", f"INTERVAL={draw(st.sampled_from([1, 1, 1, 2, 3, 5, 12]))}"]
    parts += [f"{name}={draw(PARTS[freq][name])}" for name in sorted(chosen)]
    parts.append(f"WKST={draw(st.sampled_from(['MO', 'SU', 'WE']))}")
    return ";".join(parts)


STARTS = st.dates(date(2019, 1, 1), date(2031, 12, 31))


@settings(max_examples=150, deadline=None)
@given(rules(), STARTS)
def test_the_normal_form_is_its_own_normal_form_and_survives_its_text(
    text: str, start: date
) -> None:
    first = When(start=datetime.combine(start, time(9, 30)), duration=timedelta(1))
    try:
        rule = parse_rule(text, first)
    except UnmappableError:
        return
    assert rule is not None
    assert normalise(rule, first) == rule
    assert parse_rule(format_rule(rule, first), first) == rule
