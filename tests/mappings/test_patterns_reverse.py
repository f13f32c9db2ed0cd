"""Patterns as rules: each form against python-dateutil, and series put together again."""

import json
from calendar import monthrange
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, takewhile

import pytest
from dateutil.rrule import rrulestr

from mappings.errors import UnmappableError
from mappings.model import Details, Event, Freq, Key, Override, Rule, When
from mappings.patterns import (
    EWS,
    AbsoluteMonthly,
    AbsoluteYearly,
    Copy,
    Daily,
    EndDate,
    NoEnd,
    Numbered,
    Pattern,
    RelativeMonthly,
    RelativeYearly,
    Weekly,
    expand_pattern,
    join,
    origin_of,
    plan,
    read_origin,
    rolled,
    unplan,
    write_origin,
)
from mappings.patterns.model import ANY_DAY, LAST, WEEKEND, WORKDAYS
from mappings.recurrence import format_rule, keys, parse_rule, tidy

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
DETAILS = Details(title="standup")
HORIZON = date(2048, 1, 1)
INDEXES = (1, 2, 3, 4, LAST)


def at(day: date) -> When:
    return When(
        start=datetime.combine(day, time(9, 0)), duration=timedelta(hours=1), zone="Europe/Berlin"
    )


def by_rule(text: str, start: date, until: date = HORIZON) -> list[date]:
    """What python-dateutil makes of a rule: the other opinion."""
    rule = rrulestr(text, dtstart=datetime.combine(start, time()))
    return [day.date() for day in takewhile(lambda day: day.date() < until, rule)]


def by_pattern(pattern: Pattern, start: date, until: date = HORIZON) -> list[date]:
    return list(takewhile(lambda day: day < until, expand_pattern(pattern, NoEnd(), start)))


def first_of(pattern: Pattern, since: date) -> date:
    return next(expand_pattern(pattern, NoEnd(), since))


PATTERNS = [
    *(Daily(n) for n in (1, 2, 5, 999)),
    *(
        Weekly(n, days, first)
        for n in (1, 5)
        for days in (("MO",), ("TU", "SU"), WORKDAYS, ("WE", "FR", "SA"))
        for first in ("MO", "SU", "WE")
    ),
    *(AbsoluteMonthly(n, day) for n in (1, 5) for day in range(1, 32)),
    *(AbsoluteMonthly(12 * n, day) for n in (1, 5) for day in (1, 28, 29, 30, 31)),
    *(
        RelativeMonthly(n, days, index)
        for n in (1, 5)
        for days in (("MO",), ("SU",), WORKDAYS, WEEKEND, ANY_DAY, ("TU", "TH"))
        for index in INDEXES
    ),
    *(AbsoluteYearly(month, day) for month in range(1, 13) for day in range(1, 32)),
    *(
        RelativeYearly(month, days, index)
        for month in (2, 4, 12)
        for days in (("FR",), WORKDAYS, WEEKEND, ANY_DAY)
        for index in INDEXES
    ),
    AbsoluteYearly(6, 15, 5),
    RelativeYearly(5, ("MO",), LAST, 5),
]


@pytest.mark.parametrize("since", [date(2026, 1, 1), date(2027, 6, 17)])
def test_every_pattern_and_its_rule_give_the_same_dates_for_twenty_years(since: date) -> None:
    for pattern in PATTERNS:
        start = first_of(pattern, since)
        text = format_rule(unplan(pattern, NoEnd(), at(start)), at(start))
        assert by_rule(text, start) == by_pattern(pattern, start), (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (Daily(3), "FREQ=DAILY;INTERVAL=3"),
        (Weekly(2, ("TU", "SU"), "SU"), "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU"),
        (AbsoluteMonthly(1, 28), "FREQ=MONTHLY;BYMONTHDAY=28"),
        (AbsoluteMonthly(1, 29), "FREQ=MONTHLY;BYMONTHDAY=28,29;BYSETPOS=-1"),
        (AbsoluteMonthly(1, 30), "FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1"),
        (AbsoluteMonthly(1, 31), "FREQ=MONTHLY;BYMONTHDAY=-1"),
        (RelativeMonthly(1, ("TU",), 2), "FREQ=MONTHLY;BYDAY=2TU"),
        (RelativeMonthly(1, ("FR",), LAST), "FREQ=MONTHLY;BYDAY=-1FR"),
        (RelativeMonthly(1, WORKDAYS, 1), "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1"),
        (RelativeMonthly(1, ANY_DAY, 4), "FREQ=MONTHLY;BYMONTHDAY=4"),
        (RelativeMonthly(1, ANY_DAY, LAST), "FREQ=MONTHLY;BYMONTHDAY=-1"),
        (AbsoluteYearly(2, 29), "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1"),
        (AbsoluteYearly(4, 31), "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=-1"),
        (AbsoluteMonthly(36, 5), "FREQ=YEARLY;INTERVAL=3;BYMONTH=1;BYMONTHDAY=5"),
    ],
)
def test_the_rule_of_a_pattern_is_the_plain_one(pattern: Pattern, text: str) -> None:
    start = at(first_of(pattern, date(2026, 1, 1)))
    written = format_rule(unplan(pattern, NoEnd(), start), start)
    assert parse_rule(written, start) == parse_rule(text, start)


def test_a_weekday_of_the_month_is_one_day_a_month_and_not_five() -> None:
    rule = unplan(RelativeMonthly(1, WORKDAYS, 1), NoEnd(), at(date(2026, 1, 1)))
    assert len(list(keys(rule, (), at(date(2026, 1, 1)), limit=12))) == 12
    assert {day[:7] for day in keys(rule, (), at(date(2026, 1, 1)), limit=12)} == {
        f"2026-{month:02}" for month in range(1, 13)
    }


def test_a_day_that_every_month_of_the_series_has_stays_a_plain_day() -> None:
    every_six = unplan(AbsoluteMonthly(6, 31), NoEnd(), at(date(2027, 1, 31)))
    assert every_six.by_month_day == (31,)
    short = unplan(AbsoluteMonthly(2, 30), EndDate(date(2027, 7, 30)), at(date(2027, 3, 30)))
    assert short.by_month_day == (30,)
    assert short.until == "2027-07-30T09:00:00"


def test_ranges_end_with_the_last_real_occurrence() -> None:
    start = at(date(2027, 1, 5))
    rule = unplan(Weekly(1, ("TU",)), EndDate(date(2027, 1, 25)), start)
    assert (rule.until, rule.count) == ("2027-01-19T09:00:00", None)
    rule = unplan(Weekly(1, ("TU",)), Numbered(4), start)
    assert (rule.until, rule.count) == ("2027-01-26T09:00:00", 4)
    assert unplan(Weekly(1, ("TU",)), NoEnd(), start).until is None


def test_an_end_in_the_year_4500_is_no_end() -> None:
    assert unplan(Weekly(1, ("TU",)), EndDate(date(4500, 9, 1)), at(date(2027, 1, 5))).until is None


def test_a_pattern_that_does_not_begin_with_its_first_occurrence_is_refused() -> None:
    with pytest.raises(UnmappableError):
        unplan(Weekly(1, ("MO",)), NoEnd(), at(date(2027, 1, 5)))
    with pytest.raises(UnmappableError):
        unplan(Weekly(1, ("TU",)), EndDate(date(2027, 1, 1)), at(date(2027, 1, 5)))


def test_outlooks_31st_every_second_month_is_the_last_day_and_not_the_31st() -> None:
    rule = unplan(AbsoluteMonthly(2, 31), NoEnd(), at(date(2027, 1, 31)))
    found = [key[:10] for key in keys(rule, (), at(date(2027, 1, 31)), limit=6)]
    assert found == [
        "2027-01-31", "2027-03-31", "2027-05-31", "2027-07-31", "2027-09-30", "2027-11-30",
    ]  # fmt: skip


def test_days_beyond_the_month_are_clamped_in_every_month_of_a_leap_cycle() -> None:
    for day in range(28, 32):
        dates = islice(expand_pattern(AbsoluteMonthly(1, day), NoEnd(), date(2096, 1, 1)), 108)
        for found in dates:
            assert found.day == min(day, monthrange(found.year, found.month)[1])


def series(text: str, start: date, *overrides: Override, rdates: tuple[Key, ...] = ()) -> Event:
    when = at(start)
    rule = parse_rule(text, when)
    return tidy(Event(details=DETAILS, when=when, rule=rule, rdates=rdates, overrides=overrides))


def copies_of(event: Event) -> list[Copy]:
    """What is read back from a target to which the plan was written."""
    made = plan(event, EWS, NOW)
    copies = []
    for part in made.parts:
        assert not isinstance(part.pattern, Rule)
        gone = tuple(Override(key=key, cancelled=True) for key in part.deletions)
        shown = Event(
            details=event.details,
            when=part.when,
            rule=unplan(part.pattern, part.bounds, part.when),
            overrides=tuple(sorted((*gone, *part.overrides), key=lambda item: item.key)),
        )
        copies.append(Copy(origin_of(event, part, "series-1", "2026.6"), shown))
    for single in made.singles:
        shown = Event(details=single.details, when=single.when)
        copies.append(Copy(origin_of(event, single, "series-1", "2026.6"), shown))
    return copies


def moved(key: str, start: datetime, title: str = "standup") -> Override:
    when = replace(at(start.date()), start=start)
    return Override(key=Key(key), details=Details(title=title), when=when)


JOINED = [
    ("FREQ=WEEKLY;BYDAY=TU,TH", date(2027, 1, 5)),
    ("FREQ=DAILY;COUNT=20", date(2027, 1, 5)),
    ("FREQ=MONTHLY;BYMONTHDAY=1,15", date(2027, 1, 1)),
    ("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=10", date(2027, 1, 31)),
    ("FREQ=MONTHLY;BYDAY=5TU", date(2027, 3, 30)),
    ("FREQ=YEARLY;BYMONTH=3;BYDAY=TU", date(2027, 3, 2)),
    ("FREQ=DAILY;BYMONTH=1", date(2027, 1, 5)),
]


@pytest.mark.parametrize(("text", "start"), JOINED)
def test_the_copies_of_a_series_give_the_series_back(text: str, start: date) -> None:
    bare = series(text, start)
    members = list(keys(bare.rule, (), bare.when, limit=4))
    event = series(
        text,
        start,
        Override(key=members[1], cancelled=True),
        moved(members[2], datetime.fromisoformat(members[2]) + timedelta(hours=2), "later"),
        rdates=(Key(f"{start + timedelta(days=3)}T12:00:00"),),
    )
    found = join(copies_of(event), EWS, NOW)
    assert found is not None
    assert found.event == event
    assert (found.missing, found.differing) == ((), ())


def test_a_series_of_which_only_singles_stand_is_not_taken_for_its_changed_first_day() -> None:
    days = tuple(Key(f"2027-01-{day:02}T09:00:00") for day in (5, 7, 10))
    bare = Event(details=DETAILS, when=at(date(2027, 1, 5)), rdates=days)
    special = moved(days[0], datetime.fromisoformat(days[0]), "special")
    event = tidy(replace(bare, overrides=(special,)))
    copies = copies_of(event)
    assert all(copy.origin.occurrence for copy in copies)
    found = join(copies, EWS, NOW)
    assert found is not None
    assert found.event == event


def test_what_people_delete_and_move_at_the_target_becomes_an_exception() -> None:
    event = series("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=10", date(2026, 1, 31))
    (copy,) = copies_of(event)
    march = Override(key=Key("2026-03-31T09:00:00"), cancelled=True)
    may = moved("2026-05-31T09:00:00", datetime.fromisoformat("2026-05-31T11:00"))
    others = [item for item in copy.event.overrides if item.key not in (march.key, may.key)]
    edited = tuple(sorted([*others, march, may], key=lambda item: item.key))
    found = join([replace(copy, event=replace(copy.event, overrides=edited))], EWS, NOW)
    assert found is not None
    assert found.event.overrides == (march, may)


def test_a_part_that_is_missing_or_has_another_time_is_told() -> None:
    event = series("FREQ=MONTHLY;BYMONTHDAY=1,15", date(2027, 1, 1))
    first, second = copies_of(event)
    found = join([first], EWS, NOW)
    assert found is not None
    assert found.missing == (second.origin.part,)
    late = replace(second.event, when=replace(second.event.when, duration=timedelta(hours=2)))
    found = join([first, Copy(second.origin, late)], EWS, NOW)
    assert found is not None
    assert found.differing == (second.origin.part,)


def test_copies_of_different_series_are_not_joined() -> None:
    one = copies_of(series("FREQ=DAILY;COUNT=3", date(2027, 1, 1)))
    two = copies_of(series("FREQ=DAILY;COUNT=4", date(2027, 1, 1)))
    assert join([*one, *two], EWS, NOW) is None


@pytest.mark.parametrize(("text", "start"), JOINED)
def test_a_mark_survives_the_wire_in_a_few_hundred_characters(text: str, start: date) -> None:
    event = series(text, start, rdates=(Key("2027-08-01T12:00:00"),))
    for copy in copies_of(event):
        line = write_origin(copy.origin)
        assert read_origin(line) == copy.origin
        assert len(line) < 300
        assert line.isascii()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"v":2}', '{"v":1,"s":"x"}', '{"v":1,"u":"a","p":"b"}', "{"]
)
def test_what_is_no_mark_of_ours_is_none(text: str) -> None:
    assert read_origin(text) is None


def test_an_all_day_mark_keeps_its_date() -> None:
    when = When(start=date(2027, 1, 31), duration=timedelta(days=2))
    event = Event(details=DETAILS, when=when, rule=Rule(freq=Freq.DAILY, interval=3))
    (part,) = plan(event, EWS, NOW).parts
    found = read_origin(write_origin(origin_of(event, part, "u", "2026.6")))
    assert found is not None
    assert found.first == when
    assert json.loads(write_origin(found))["s"] == "2027-01-31"


def test_a_new_day_keeps_the_parts_that_were_there() -> None:
    before = plan(series("FREQ=MONTHLY;BYMONTHDAY=1,15", date(2027, 1, 1)), EWS, NOW)
    after = plan(series("FREQ=MONTHLY;BYMONTHDAY=1,15,20", date(2027, 1, 1)), EWS, NOW)
    change = rolled(before, after)
    assert [old.key for old, _ in change.kept] == ["AM:d=1", "AM:d=15"]
    assert [item.key for item in change.added] == ["AM:d=20"]
    assert (change.dropped, change.left) == ((), ())
    back = rolled(after, before)
    assert [item.key for item in back.dropped] == ["AM:d=20"]


def test_the_one_native_series_stays_when_its_rule_changes() -> None:
    before = plan(series("FREQ=WEEKLY;BYDAY=TU", date(2027, 1, 5)), EWS, NOW)
    after = plan(series("FREQ=WEEKLY;BYDAY=TU,WE", date(2027, 1, 5)), EWS, NOW)
    change = rolled(before, after)
    assert [(old.key, new.key) for old, new in change.kept] == [("MAIN", "MAIN")]
    assert not change.added
    assert not change.dropped


def test_a_window_that_moves_on_adds_ahead_and_leaves_the_past_alone() -> None:
    event = series("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", date(2026, 2, 13))
    before, after = (plan(event, EWS, now) for now in (NOW, NOW + timedelta(days=200)))
    change = rolled(before, after)
    assert change.left
    assert not change.dropped
    assert all(item.key > max(old.key for old, _ in change.kept) for item in change.added)


def test_segments_are_appended_and_those_of_the_past_are_left() -> None:
    event = series("FREQ=DAILY;BYMONTH=1", date(2022, 1, 1))
    before, after = (plan(event, EWS, now) for now in (NOW, NOW.replace(year=2027, month=6)))
    change = rolled(before, after)
    assert all(item.key.startswith("SEG:2022..2027/") for item in change.left)
    assert not change.dropped
