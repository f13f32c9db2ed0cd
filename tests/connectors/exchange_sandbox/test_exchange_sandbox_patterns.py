"""The sandbox's own expansion against dateutil, pattern by pattern."""

from datetime import date, datetime
from itertools import islice

from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from connectors.sandbox.exchange.recurrence import INDEXES, WEEKDAYS, Pattern

SHORT = dict(zip(WEEKDAYS, ("MO", "TU", "WE", "TH", "FR", "SA", "SU"), strict=True))
SETS = {"Day": "MO,TU,WE,TH,FR,SA,SU", "Weekday": "MO,TU,WE,TH,FR", "WeekendDay": "SA,SU", **SHORT}
weekdays = st.sampled_from(WEEKDAYS)
starts = st.dates(date(1990, 1, 1), date(2090, 12, 31))
indexes = st.sampled_from(INDEXES)
months = st.integers(1, 12)

patterns = st.one_of(
    st.builds(Pattern, kind=st.just("DailyRecurrence"), interval=st.integers(1, 999)),
    st.builds(
        Pattern, kind=st.just("WeeklyRecurrence"), interval=st.integers(1, 9),
        days=st.lists(weekdays, min_size=1, unique=True).map(tuple), first_day=weekdays,
    ),
    st.builds(
        Pattern, kind=st.just("AbsoluteMonthlyRecurrence"), interval=st.integers(1, 14),
        day=st.integers(1, 31),
    ),
    st.builds(
        Pattern, kind=st.just("RelativeMonthlyRecurrence"), interval=st.integers(1, 14),
        days=st.sampled_from(list(SETS)).map(lambda day: (day,)), index=indexes,
    ),
    st.builds(
        Pattern, kind=st.just("AbsoluteYearlyRecurrence"), day=st.integers(1, 31), month=months
    ),
    st.builds(
        Pattern, kind=st.just("RelativeYearlyRecurrence"), month=months, index=indexes,
        days=st.sampled_from(list(SETS)).map(lambda day: (day,)),
    ),
)  # fmt: skip


def as_rule(pattern: Pattern) -> str:
    """The same pattern in RFC 5545's words: clamping is "the last of the days up to n"."""
    parts = [f"INTERVAL={pattern.interval}"]
    match pattern.kind:
        case "DailyRecurrence":
            parts.append("FREQ=DAILY")
        case "WeeklyRecurrence":
            days = ",".join(SHORT[day] for day in pattern.days)
            parts.append(f"FREQ=WEEKLY;BYDAY={days};WKST={SHORT[pattern.first_day]}")
        case kind:
            parts.append("FREQ=YEARLY" if "Yearly" in kind else "FREQ=MONTHLY")
            if pattern.month:
                parts.append(f"BYMONTH={pattern.month}")
            if pattern.index:
                position = -1 if pattern.index == "Last" else INDEXES.index(pattern.index) + 1
                parts.append(f"BYDAY={SETS[pattern.days[0]]};BYSETPOS={position}")
            else:
                days = ",".join(str(day) for day in range(min(28, pattern.day), pattern.day + 1))
                parts.append(f"BYMONTHDAY={days};BYSETPOS=-1")
    return ";".join(parts)


@given(patterns, starts)
def test_every_pattern_yields_what_the_equal_rule_yields(pattern: Pattern, start: date) -> None:
    origin = datetime.combine(start, datetime.min.time())
    expected = [found.date() for found in islice(rrulestr(as_rule(pattern), dtstart=origin), 12)]
    assert list(islice(pattern.members(start), 12)) == expected
