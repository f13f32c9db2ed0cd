"""Expansion against two oracles: RFC 5545 read day by day, and python-dateutil."""

from calendar import monthrange
from datetime import date, datetime, time, timedelta
from itertools import islice, takewhile

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mappings.errors import UnmappableError
from mappings.expansion import pattern
from mappings.model import WEEKDAYS, Key, When
from mappings.recurrence import format_rule, keys, parse_rule

CLOCK = time(9, 30)
YEARS = 9


def first_at(day: date) -> When:
    return When(start=datetime.combine(day, CLOCK), duration=timedelta(hours=1), zone="UTC")


def ours(text: str, start: date, until: date) -> list[date]:
    """What the project says, through the public way in."""
    try:
        rule = parse_rule(text, first_at(start))
    except UnmappableError:
        return []
    found = keys(rule, (), first_at(start), limit=9999)
    return [
        date.fromisoformat(key[:10])
        for key in takewhile(lambda key: key[:10] < until.isoformat(), found)
    ]


def oracle(text: str, start: date, until: date) -> list[date]:
    """Every day between, asked on its own whether the written rule has it.

    Knows nothing of normal forms: implied parts and BYSETPOS are read as RFC 5545 has them.
    """
    parts = dict(part.split("=") for part in text.split(";"))
    freq, interval = parts["FREQ"], int(parts.get("INTERVAL", 1))
    week_start = WEEKDAYS.index(parts.get("WKST", "MO"))
    lists = {
        name: {int(n) for n in parts[name].split(",")}
        for name in ("BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS")
        if name in parts
    }
    by_day = [(int(item[:-2] or 0), WEEKDAYS.index(item[-2:])) for item in _items(parts)]
    _imply(freq, lists, by_day, start)

    def period(day: date) -> int:
        if freq == "DAILY":
            return day.toordinal()
        if freq == "WEEKLY":
            return (day.toordinal() - 1 - week_start) // 7
        return day.year * 12 + day.month if freq == "MONTHLY" else day.year

    def has(day: date) -> bool:
        in_month = monthrange(day.year, day.month)[1]
        in_year = date(day.year, 12, 31).timetuple().tm_yday
        number = day.timetuple().tm_yday
        checks = {
            "BYMONTH": lambda: {day.month},
            "BYMONTHDAY": lambda: {day.day, day.day - in_month - 1},
            "BYYEARDAY": lambda: {number, number - in_year - 1},
            "BYWEEKNO": lambda: week_numbers(day, week_start),
        }
        if any(name in lists and not check() & lists[name] for name, check in checks.items()):
            return False
        if not by_day:
            return True
        in_span = freq == "YEARLY" and "BYMONTH" not in lists
        place, length = (number, in_year) if in_span else (day.day, in_month)
        ordinals = {0, (place + 6) // 7, -((length - place) // 7 + 1)}
        return any(weekday == day.weekday() and n in ordinals for n, weekday in by_day)

    found: list[date] = []
    sets: dict[int, list[date]] = {}
    earliest = start - timedelta(days=370)
    for offset in range((until - earliest).days + 370):
        day = earliest + timedelta(days=offset)
        if (period(day) - period(start)) % interval == 0 and has(day):
            sets.setdefault(period(day), []).append(day)
    for _, days in sorted(sets.items()):
        if chosen := lists.get("BYSETPOS"):
            size = len(days)
            days = [day for i, day in enumerate(days) if {i + 1, i - size} & chosen]
        found += [day for day in days if start <= day < until]
    return found


def _items(parts: dict[str, str]) -> list[str]:
    return parts["BYDAY"].split(",") if "BYDAY" in parts else []


def _imply(
    freq: str, lists: dict[str, set[int]], by_day: list[tuple[int, int]], start: date
) -> None:
    days_given = by_day or lists.keys() & {"BYMONTHDAY", "BYYEARDAY"}
    if days_given or freq == "DAILY":
        return
    if freq == "WEEKLY" or "BYWEEKNO" in lists:
        by_day.append((0, start.weekday()))
        return
    lists["BYMONTHDAY"] = {start.day}
    if freq == "YEARLY":
        lists.setdefault("BYMONTH", {start.month})


def week_numbers(day: date, week_start: int) -> set[int]:
    """The number of the day's week from both ends of the year that has most of that week."""
    monday = day - timedelta(days=(day.weekday() - week_start) % 7)
    week = [monday + timedelta(days=n) for n in range(7)]
    year = week[3].year
    first = next(date(year, 1, n) for n in range(1, 8) if date(year, 1, n).weekday() == week_start)
    if first.day > 4:
        first -= timedelta(days=7)
    number = (monday - first).days // 7 + 1
    later = next(
        date(year + 1, 1, n) for n in range(1, 8) if date(year + 1, 1, n).weekday() == week_start
    )
    if later.day > 4:
        later -= timedelta(days=7)
    return {number, number - (later - first).days // 7 - 1}


def numbers(low: int, high: int, *, signed: bool = False) -> st.SearchStrategy[str]:
    values = st.integers(low, high)
    if signed:
        values = values | st.integers(-high, -low)
    return st.lists(values, min_size=1, max_size=5, unique=True).map(
        lambda found: ",".join(map(str, found))
    )


def weekdays(ordinals: int) -> st.SearchStrategy[str]:
    plain = st.sampled_from(WEEKDAYS)
    item = plain
    if ordinals:
        item = plain | st.builds(
            "{}{}".format, st.integers(-ordinals, ordinals).filter(bool), plain
        )
    return st.lists(item, min_size=1, max_size=4, unique=True).map(",".join)


BLOCKS = st.sampled_from(["1,2,3,4,5,6,7", "15,16,17,18,19,20,21", "-7,-6,-5,-4,-3,-2,-1"])
PARTS: dict[str, dict[str, st.SearchStrategy[str]]] = {
    "DAILY": {
        "BYMONTH": numbers(1, 12),
        "BYMONTHDAY": numbers(1, 31, signed=True),
        "BYDAY": weekdays(0),
    },
    "WEEKLY": {
        "BYMONTH": numbers(1, 12),
        "BYDAY": weekdays(0),
        "BYSETPOS": numbers(1, 3, signed=True),
    },
    "MONTHLY": {
        "BYMONTH": numbers(1, 12),
        "BYMONTHDAY": numbers(1, 31, signed=True) | BLOCKS,
        "BYDAY": weekdays(5) | st.just(",".join(WEEKDAYS)),
        "BYSETPOS": numbers(1, 4, signed=True),
    },
    "YEARLY": {
        "BYMONTH": numbers(1, 12),
        "BYMONTHDAY": numbers(1, 31, signed=True) | BLOCKS,
        "BYDAY": weekdays(5),
        "BYYEARDAY": numbers(1, 366, signed=True),
        "BYWEEKNO": numbers(1, 53, signed=True),
        "BYSETPOS": numbers(1, 4, signed=True),
    },
}


@st.composite
def rules(draw: st.DrawFn, freqs: tuple[str, ...] = tuple(PARTS)) -> str:
    freq = draw(st.sampled_from(freqs))
    chosen = draw(st.sets(st.sampled_from(sorted(PARTS[freq])), max_size=3))
    if chosen == {"BYSETPOS"}:
        chosen = set()
    parts = [f"FREQ={freq}", f"INTERVAL={draw(st.sampled_from([1, 1, 1, 2, 3, 4, 12, 24]))}"]
    parts += [f"{name}={draw(PARTS[freq][name])}" for name in sorted(chosen)]
    parts.append(f"WKST={draw(st.sampled_from(['MO', 'SU', 'TH']))}")
    return ";".join(parts)


STARTS = st.dates(date(2019, 1, 1), date(2031, 12, 31))


@pytest.mark.parametrize("freq", sorted(PARTS))
def test_the_dates_are_those_of_a_day_by_day_reading(freq: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(rules((freq,)), STARTS)
    def compare(text: str, start: date) -> None:
        assume(not ("BYWEEKNO" in text and any(c.isdigit() for c in _day_text(text))))
        until = start.replace(year=start.year + (YEARS if freq == "YEARLY" else 5), day=1)
        assert ours(text, start, until) == oracle(text, start, until)

    compare()


def _day_text(text: str) -> str:
    return next((part for part in text.split(";") if part.startswith("BYDAY")), "")


@settings(max_examples=150, deadline=None)
@given(rules(), STARTS)
def test_the_normal_form_gives_dateutil_the_same_dates(text: str, start: date) -> None:
    assume("BYWEEKNO" not in text)  # dateutil counts in calendar years there
    try:
        rule = parse_rule(text, first_at(start))
    except UnmappableError:
        return
    assert rule is not None
    assume(not (rule.freq == "WEEKLY" and rule.by_set_pos))  # and loses part of the first week
    theirs = iter(rrulestr(format_rule(rule, first_at(start)), dtstart=first_at(start).start))
    expected = [Key(member.isoformat()) for member in islice(theirs, 25)]
    assert list(keys(rule, (), first_at(start), limit=25)) == [
        key for key in expected if key < "2500"
    ]


CLOCK_RULES = [
    "FREQ=HOURLY;INTERVAL=5",
    "FREQ=HOURLY;INTERVAL=3;BYMINUTE=0,45;BYDAY=MO,FR",
    "FREQ=HOURLY;BYHOUR=9,10,23;BYMONTH=2",
    "FREQ=MINUTELY;INTERVAL=7;BYHOUR=3,4",
    "FREQ=MINUTELY;INTERVAL=1440",
    "FREQ=MINUTELY;BYMINUTE=1,2;BYSECOND=0,30;BYMONTHDAY=-1",
    "FREQ=SECONDLY;INTERVAL=3607",
    "FREQ=SECONDLY;BYSECOND=5;BYMINUTE=7;BYHOUR=3",
    "FREQ=DAILY;BYHOUR=8,17;BYMINUTE=0,30",
    "FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=8,17;BYSETPOS=1,-1",
    "FREQ=MONTHLY;BYMONTHDAY=1,31;BYHOUR=8,17;BYSETPOS=-1",
]


@pytest.mark.parametrize("text", CLOCK_RULES)
def test_rules_with_times_of_day_give_what_dateutil_gives(text: str) -> None:
    first = first_at(date(2026, 11, 23))
    rule = parse_rule(text, first)
    assert rule is not None
    theirs = iter(rrulestr(text, dtstart=first.start))
    expected = [member.isoformat() for member in islice(theirs, 60)]
    assert list(keys(rule, (), first, limit=60)) == expected


@settings(max_examples=200, deadline=None)
@given(rules(), STARTS, st.integers(0, 4000), st.sampled_from([-1, 0, 1]))
def test_entering_a_series_anywhere_is_the_same_as_walking_there(
    text: str, start: date, days: int, seconds: int
) -> None:
    first = first_at(start)
    assert isinstance(first.start, datetime)
    try:
        rule = parse_rule(text, first)
    except UnmappableError:
        return
    assert rule is not None
    series = pattern(rule, first.start)
    at = first.start + timedelta(days=days, seconds=seconds)
    walked = list(takewhile(lambda member: member.year < 2046, series.after(first.start)))
    later = takewhile(lambda member: member.year < 2046, series.after(at))
    assert list(later) == [member for member in walked if member >= at]
    assert series.last(at) == max((member for member in walked if member <= at), default=None)
    for number in (1, 2, 7):
        if number <= len(walked):
            assert series.nth(number) == walked[number - 1]


@pytest.mark.parametrize("interval", range(1, 13))
@pytest.mark.parametrize("day", [28, 29, 30, 31])
def test_a_month_without_the_day_is_skipped(interval: int, day: int) -> None:
    text = f"FREQ=MONTHLY;INTERVAL={interval};BYMONTHDAY={day}"
    start, until = date(2096, 1, day), date(2105, 1, 1)
    assert ours(text, start, until) == oracle(text, start, until)
    assert all(found.day == day for found in ours(text, start, until))


def test_29_february_skips_the_year_2100() -> None:
    found = ours("FREQ=YEARLY", date(2092, 2, 29), date(2110, 1, 1))
    assert [day.year for day in found] == [2092, 2096, 2104, 2108]


@pytest.mark.parametrize(("week_start", "days"), [("MO", [3, 8, 17, 22]), ("SU", [3, 15, 17, 29])])
def test_the_week_start_decides_which_days_share_a_week(week_start: str, days: list[int]) -> None:
    text = f"FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST={week_start}"
    found = ours(text, date(2027, 8, 3), date(2028, 1, 1))
    assert [day.day for day in found] == days


def test_keys_continue_after_a_key_and_know_the_extra_dates() -> None:
    first = first_at(date(2026, 11, 23))
    rule = parse_rule("FREQ=DAILY;COUNT=3", first)
    extra = (Key("2026-11-24T12:00:00"), Key("2026-11-24T09:30:00"), Key("2026-12-24T09:30:00"))
    assert list(keys(rule, extra, first, limit=9)) == [
        "2026-11-23T09:30:00",
        "2026-11-24T09:30:00",
        "2026-11-24T12:00:00",
        "2026-11-25T09:30:00",
        "2026-12-24T09:30:00",
    ]
    rest = keys(rule, extra, first, after=Key("2026-11-24T09:30:00"), limit=2)
    assert list(rest) == ["2026-11-24T12:00:00", "2026-11-25T09:30:00"]
    assert list(keys(None, extra[2:], first, limit=9)) == [first.key, extra[2]]


def test_a_start_off_the_rule_is_no_member() -> None:
    first = first_at(date(2026, 11, 23))
    rule = parse_rule("FREQ=WEEKLY;BYDAY=TU;COUNT=2", first)
    assert list(keys(rule, (), first, limit=9)) == ["2026-11-24T09:30:00", "2026-12-01T09:30:00"]


def test_an_ordinal_beside_days_of_the_month_counts_in_the_year() -> None:
    text = "FREQ=YEARLY;BYDAY=1MO;BYMONTHDAY=1,2,3,4,5,6,7"
    expected = [date(2019, 1, 7), date(2020, 1, 6), date(2021, 1, 4)]
    assert ours(text, date(2019, 1, 7), date(2021, 12, 31)) == expected
