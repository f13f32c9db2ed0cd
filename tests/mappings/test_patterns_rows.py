"""The forms of rule that calendars have, one by one: what they are written as, and that it is so.

`shown` expands plans in its own way, and python-dateutil says what each rule means.
"""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr

from mappings.limits import RuleLimits
from mappings.model import Details, Event, Key, Override, When
from mappings.patterns import (
    EWS,
    GRAPH,
    AbsoluteMonthly,
    AbsoluteYearly,
    Daily,
    EndDate,
    NoEnd,
    Numbered,
    Pattern,
    Plan,
    Profile,
    RelativeMonthly,
    RelativeYearly,
    Tier,
    Weekly,
    expand_pattern,
    plan,
)
from mappings.patterns.model import LAST, WORKDAYS
from mappings.recurrence import parse_rule

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
MONDAY = datetime(2027, 1, 4, 9, 0)  # noqa: DTZ001  (wall clock)
DETAILS = Details(title="standup")


def event_of(
    text: str,
    start: datetime | date = MONDAY,
    *,
    hours: int = 1,
    zone: str = "Asia/Shanghai",
    overrides: tuple[Override, ...] = (),
    rdates: tuple[Key, ...] = (),
) -> Event:
    when = When(start=start, duration=timedelta(hours=hours), zone=zone)
    if not isinstance(start, datetime):
        when = When(start=start, duration=timedelta(days=max(1, hours // 24)))
    return Event(
        details=DETAILS,
        when=when,
        rule=parse_rule(text, when),
        overrides=overrides,
        rdates=rdates,
    )


def shown(made: Plan, low: str, high: str) -> Counter[str]:
    """The keys of all that the plan puts into the calendar in [low, high)."""
    found = Counter(str(single.occurrence) for single in made.singles)
    for part in made.parts:
        start = date.fromisoformat(part.when.key[:10])
        dates = expand_pattern(part.pattern, part.bounds, start)
        for day in takewhile(lambda day: day.isoformat() < high, dates):
            key = day.isoformat() + part.when.key[10:]
            if key not in part.deletions:
                found[key] += 1
    return Counter({key: n for key, n in found.items() if low <= key < high})


def meant(text: str, start: datetime, low: str, high: str) -> Counter[str]:
    """The same from python-dateutil."""
    rule = rrulestr(text, dtstart=start)
    members = (member.isoformat() for member in rule)
    inside = takewhile(lambda key: key < high, members)
    return Counter(key for key in inside if key >= low)


# The rule, its best tier on Exchange, the most series it may take, and whether singles are needed.
ROWS = [
    ("1", "FREQ=DAILY", 0, 1),
    ("1", "FREQ=DAILY;INTERVAL=999", 0, 1),
    ("1 by weeks", "FREQ=DAILY;INTERVAL=1001", 4, 0),
    ("1 by weeks", "FREQ=DAILY;INTERVAL=693", 0, 1),
    ("2", "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR", 0, 1),
    ("2", "FREQ=DAILY;INTERVAL=2;BYDAY=MO,WE,FR", 0, 1),
    ("2", "FREQ=DAILY;INTERVAL=4;BYDAY=MO,TU,WE", 2, 3),
    ("2", "FREQ=DAILY;INTERVAL=14;BYDAY=MO", 0, 1),
    ("3", "FREQ=DAILY;BYMONTH=1", 3, 15),
    ("4", "FREQ=WEEKLY;INTERVAL=99;BYDAY=MO,WE", 0, 1),
    ("4", "FREQ=WEEKLY;INTERVAL=100;BYDAY=MO", 0, 1),
    ("4", "FREQ=WEEKLY;INTERVAL=142;BYDAY=MO", 0, 1),
    ("5", "FREQ=WEEKLY;BYDAY=MO;BYMONTH=6,7,8", 3, 5),
    ("5", "FREQ=WEEKLY;BYDAY=MO;BYMONTH=1,2,3,4,5,6,7,8,9,10,11", 3, 1),
    ("6", "FREQ=MONTHLY;BYMONTHDAY=28", 0, 1),
    ("6", "FREQ=MONTHLY;INTERVAL=7;BYMONTHDAY=4", 0, 1),
    ("7", "FREQ=MONTHLY;BYMONTHDAY=31", 2, 7),
    ("7", "FREQ=MONTHLY;BYMONTHDAY=30", 2, 11),
    ("7", "FREQ=MONTHLY;BYMONTHDAY=29", 2, 12),
    ("8", "FREQ=MONTHLY;BYMONTHDAY=-1", 0, 1),
    ("9", "FREQ=MONTHLY;BYMONTHDAY=28,29;BYSETPOS=-1", 0, 1),
    ("9", "FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1", 0, 1),
    ("9", "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1", 0, 1),
    ("10", "FREQ=MONTHLY;BYMONTHDAY=-2", 3, 12),
    ("11", "FREQ=MONTHLY;BYMONTHDAY=1,15", 2, 2),
    ("11", "FREQ=MONTHLY;BYMONTHDAY=15,-1", 2, 2),
    ("12", "FREQ=MONTHLY;BYDAY=2TU", 0, 1),
    ("12", "FREQ=MONTHLY;BYDAY=-1FR", 0, 1),
    ("13", "FREQ=MONTHLY;BYDAY=5TU", 4, 0),
    ("14", "FREQ=MONTHLY;BYDAY=-2TU", 4, 0),
    ("15", "FREQ=MONTHLY;BYDAY=1MO,3WE", 2, 2),
    ("16", "FREQ=MONTHLY;BYDAY=MO,WE", 0, 1),
    ("16", "FREQ=MONTHLY;INTERVAL=2;BYDAY=MO", 3, 4),
    ("17", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", 0, 1),
    ("17", "FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=2", 0, 1),
    ("17", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=3", 0, 1),
    ("18", "FREQ=MONTHLY;BYDAY=MO,WE;BYSETPOS=1", 4, 0),
    ("19", "FREQ=MONTHLY;BYDAY=4MO,-1MO", 3, 1),
    ("19", "FREQ=MONTHLY;BYMONTHDAY=28,-1", 2, 12),
    ("19", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-1", 2, 2),
    ("20", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", 4, 0),
    ("20", "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", 4, 0),
    ("21", "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=31", 0, 1),
    ("21 leap day", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", 0, 1),
    ("22", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1", 0, 1),
    ("23", "FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO", 0, 1),
    ("23", "FREQ=YEARLY;BYMONTH=5;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1", 0, 1),
    ("24", "FREQ=YEARLY;INTERVAL=8;BYMONTH=5;BYMONTHDAY=6", 0, 1),
    ("24", "FREQ=YEARLY;INTERVAL=9;BYMONTH=5;BYMONTHDAY=6", 4, 0),
    ("25", "FREQ=YEARLY;BYMONTH=1,4,7,10;BYMONTHDAY=5", 0, 1),
    ("25", "FREQ=YEARLY;BYMONTH=1,5;BYMONTHDAY=5", 2, 2),
    ("26", "FREQ=YEARLY;BYMONTH=3;BYDAY=TU", 3, 4),
    ("27", "FREQ=YEARLY;BYDAY=1MO", 0, 1),
    ("27", "FREQ=YEARLY;BYDAY=-1MO", 0, 1),
    ("27", "FREQ=YEARLY;BYDAY=20MO", 4, 0),
    ("28", "FREQ=YEARLY;BYDAY=MO", 0, 1),
    ("28", "FREQ=YEARLY;INTERVAL=2;BYDAY=MO", 3, 5),
    ("29", "FREQ=YEARLY;BYYEARDAY=59", 0, 1),
    ("29", "FREQ=YEARLY;BYYEARDAY=-1", 0, 1),
    ("29", "FREQ=YEARLY;BYYEARDAY=100", 2, 4),
    ("30", "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", 4, 0),
    ("31", "FREQ=DAILY;BYHOUR=9,15;BYMINUTE=0,30", 2, 4),
    ("31", "FREQ=MONTHLY;BYMONTHDAY=1,15;BYHOUR=9,15", 2, 4),
    ("32", "FREQ=HOURLY;INTERVAL=6", 2, 4),
    ("32", "FREQ=HOURLY;BYHOUR=9,10,11", 2, 3),
    ("32 too often", "FREQ=HOURLY;INTERVAL=5", 4, 0),
]


@pytest.mark.parametrize(("row", "text", "tier", "series"), ROWS, ids=[row[1] for row in ROWS])
def test_each_form_is_exact_in_its_tier(row: str, text: str, tier: int, series: int) -> None:
    made = plan(event_of(text), EWS, NOW)
    assert made.tier == tier, made.reason
    assert len(made.parts) <= series
    assert "SELF_CHECK" not in (made.reason or "")
    low, high = "2027-01-01", "2043-01-01"
    if made.rolling:
        low, high = (day.isoformat() for day in made.rolling)
    assert shown(made, low, high) == meant(text, MONDAY, low, high)


def test_two_days_a_month_are_exactly_two_series() -> None:
    made = plan(event_of("FREQ=MONTHLY;BYMONTHDAY=1,15"), EWS, NOW)
    assert [(part.key, part.pattern) for part in made.parts] == [
        ("AM:d=15", AbsoluteMonthly(1, 15)),
        ("AM:d=1", AbsoluteMonthly(1, 1)),
    ]
    assert made.singles == ()
    assert [loss.field for loss in made.losses] == ["rule"]


@pytest.mark.parametrize("interval", range(1, 13))
@pytest.mark.parametrize("day", [28, 29, 30, 31])
def test_a_day_that_months_lack_is_never_clamped(interval: int, day: int) -> None:
    text = f"FREQ=MONTHLY;INTERVAL={interval};BYMONTHDAY={day}"
    start = datetime(2027, 1, day, 9, 0)  # noqa: DTZ001  (wall clock)
    made = plan(event_of(text, start), EWS, NOW)
    low, high = "2027-01-01", "2070-01-01"
    if made.rolling:
        low, high = (limit.isoformat() for limit in made.rolling)
    assert shown(made, low, high) == meant(text, start, low, high)
    if day == 28:
        assert made.tier is Tier.NATIVE
    elif day > 29 and interval != 11:
        assert made.tier <= Tier.SEVERAL


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("FREQ=DAILY;INTERVAL=4", Daily(4)),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU", Weekly(2, ("MO", "SU"), "SU")),
        ("FREQ=WEEKLY;INTERVAL=110", Daily(770)),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", AbsoluteMonthly(1, 31)),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", RelativeMonthly(1, WORKDAYS, LAST)),
        ("FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=4", AbsoluteYearly(3, 4)),
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", RelativeYearly(11, ("TH",), 4)),
        ("FREQ=YEARLY;INTERVAL=3;BYMONTH=3;BYMONTHDAY=4", AbsoluteMonthly(36, 4)),
    ],
)
def test_native_forms_use_the_pattern_of_their_name(text: str, pattern: Pattern) -> None:
    (part,) = plan(event_of(text), EWS, NOW).parts
    assert part.pattern == pattern
    assert part.bounds == NoEnd()
    assert part.key == "MAIN"


def test_graph_takes_years_apart_and_any_set_of_weekdays() -> None:
    (part,) = plan(event_of("FREQ=YEARLY;INTERVAL=9;BYMONTH=3;BYMONTHDAY=4"), GRAPH, NOW).parts
    assert part.pattern == AbsoluteYearly(3, 4, 9)
    (part,) = plan(event_of("FREQ=MONTHLY;BYDAY=MO,WE;BYSETPOS=1"), GRAPH, NOW).parts
    assert part.pattern == RelativeMonthly(1, ("MO", "WE"), 1)
    assert part.zone == "Asia/Shanghai"


def test_the_31st_ten_times_is_one_series_without_seven_days() -> None:
    start = datetime(2026, 1, 31, 9, 0)  # noqa: DTZ001  (wall clock)
    made = plan(event_of("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=10", start), EWS, NOW)
    (part,) = made.parts
    assert made.tier is Tier.TRIMMED
    assert (part.pattern, part.bounds) == (AbsoluteMonthly(1, 31), EndDate(date(2027, 5, 31)))
    assert [key[:10] for key in part.deletions] == [
        "2026-02-28", "2026-04-30", "2026-06-30", "2026-09-30", "2026-11-30",
        "2027-02-28", "2027-04-30",
    ]  # fmt: skip


@pytest.mark.parametrize(("first_day", "days"), [("MO", (3, 8, 17, 22)), ("SU", (3, 15, 17, 29))])
def test_the_first_day_of_the_week_decides_which_sunday(
    first_day: str, days: tuple[int, ...]
) -> None:
    text = f"FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST={first_day}"
    start = datetime(2027, 8, 3, 9, 0)  # noqa: DTZ001  (wall clock)
    (part,) = plan(event_of(text, start), EWS, NOW).parts
    found = expand_pattern(part.pattern, part.bounds, date(2027, 8, 3))
    assert [day.day for day in found] == list(days)
    assert part.bounds == Numbered(4)


@pytest.mark.parametrize("first_day", ["MO", "TU", "SU"])
@pytest.mark.parametrize("interval", [2, 3, 4])
def test_every_first_day_of_the_week_is_kept(first_day: str, interval: int) -> None:
    text = f"FREQ=WEEKLY;INTERVAL={interval};BYDAY=SU,MO,TH;WKST={first_day}"
    made = plan(event_of(text), EWS, NOW)
    assert made.tier is Tier.NATIVE
    found = shown(made, "2027", "2037")
    assert found == meant(text, MONDAY, "2027", "2037")


def test_more_than_999_times_becomes_an_end_date() -> None:
    (part,) = plan(event_of("FREQ=DAILY;COUNT=1000"), EWS, NOW).parts
    assert part.bounds == EndDate(date(2029, 9, 29))
    (part,) = plan(event_of("FREQ=DAILY;COUNT=999"), EWS, NOW).parts
    assert part.bounds == Numbered(999)


@pytest.mark.parametrize(
    "zone",
    ["Asia/Shanghai", "America/New_York", "Europe/Berlin", "UTC", "Pacific/Auckland",
     "America/Los_Angeles", "Asia/Kolkata", "Pacific/Honolulu"],
)  # fmt: skip
def test_the_end_date_is_the_local_date_of_the_last_occurrence(zone: str) -> None:
    for hour in range(24):
        start = datetime(2026, 11, 23, hour)  # noqa: DTZ001  (wall clock)
        event = event_of("FREQ=DAILY;UNTIL=20261201T000000Z", start, zone=zone)
        limit = datetime(2026, 12, 1, tzinfo=UTC)
        last = max(
            day
            for day in (date(2026, 11, 23) + timedelta(days=n) for n in range(12))
            if _instant(day, hour, zone) <= limit
        )
        (part,) = plan(event, EWS, NOW).parts
        assert part.bounds == EndDate(last), (zone, hour)


def _instant(day: date, hour: int, zone: str) -> datetime:
    return datetime.combine(day, time(hour), ZoneInfo(zone)).astimezone(UTC)


def test_the_utc_date_of_until_is_wrong_in_both_directions() -> None:
    start = datetime(2026, 11, 23, 20, 0)  # noqa: DTZ001  (wall clock)
    event = event_of("FREQ=DAILY;UNTIL=20261201T010000Z", start, zone="America/New_York")
    assert plan(event, EWS, NOW).parts[0].bounds == EndDate(date(2026, 11, 30))
    start = datetime(2026, 11, 23, 7, 0)  # noqa: DTZ001  (wall clock)
    event = event_of("FREQ=DAILY;UNTIL=20261130T230000Z", start)
    assert plan(event, EWS, NOW).parts[0].bounds == EndDate(date(2026, 12, 1))


def test_a_start_off_the_rule_is_no_occurrence() -> None:
    made = plan(event_of("FREQ=WEEKLY;BYDAY=WE;COUNT=3"), EWS, NOW)
    (part,) = made.parts
    assert part.when.start == MONDAY + timedelta(days=2)
    assert made.singles == ()


def test_extra_dates_are_single_events_and_named_by_their_date() -> None:
    event = event_of("FREQ=WEEKLY", rdates=(Key("2027-03-05T09:00:00"), Key("2027-03-05T15:30:00")))
    made = plan(event, EWS, NOW)
    assert [single.key for single in made.singles] == ["S:2027-03-05", "S:2027-03-05@15:30"]
    assert made.tier is Tier.NATIVE


@pytest.mark.parametrize(
    ("text", "hours", "series"),
    [("FREQ=DAILY", 24, 1), ("FREQ=DAILY", 25, 2), ("FREQ=DAILY", 60, 3),
     ("FREQ=WEEKLY;BYDAY=MO,TU", 30, 2), ("FREQ=WEEKLY;BYDAY=MO,WE", 48, 1)],
)  # fmt: skip
def test_occurrences_of_one_series_never_overlap(text: str, hours: int, series: int) -> None:
    made = plan(event_of(text, hours=hours), EWS, NOW)
    assert len(made.parts) == series
    for part in made.parts:
        dates = list(islice(expand_pattern(part.pattern, part.bounds, part.when.start.date()), 99))
        gaps = {(after - before).days * 24 for before, after in pairwise(dates)}
        assert min(gaps) >= hours
    assert shown(made, "2027", "2030") == meant(text, MONDAY, "2027", "2030")


def test_all_day_series_have_dates_and_no_zone() -> None:
    (part,) = plan(
        event_of("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=5", date(2027, 1, 31)), EWS, NOW
    ).parts
    assert part.zone is None
    assert part.when.start == date(2027, 1, 31)
    assert list(part.deletions) == ["2027-02-28", "2027-04-30", "2027-06-30"]


def test_a_rule_that_matches_nothing_creates_nothing() -> None:
    event = event_of("FREQ=DAILY")
    assert event.rule is not None
    never = replace(event.rule, by_month=(2,), by_month_day=(30,))
    made = plan(replace(event, rule=never), EWS, NOW)
    assert (made.parts, made.singles) == ((), ())
    assert (made.reason or "").startswith("RULE_INVALID")


def test_a_single_event_is_itself() -> None:
    made = plan(replace(event_of("FREQ=DAILY"), rule=None), EWS, NOW)
    assert [single.key for single in made.singles] == ["MAIN"]
    assert made.parts == ()


def test_an_occurrence_that_a_clock_change_moves_onto_another_is_deleted() -> None:
    start = datetime(2027, 3, 10, 2, 0)  # noqa: DTZ001  (wall clock)
    event = event_of("FREQ=DAILY;BYHOUR=2,3;COUNT=20", start, zone="America/New_York")
    made = plan(event, EWS, NOW)
    assert [part.deletions for part in made.parts] == [("2027-03-14T02:00:00",), ()]


def test_extra_dates_that_a_clock_change_puts_together_are_shown_once() -> None:
    start = datetime(2027, 3, 14, 3, 30)  # noqa: DTZ001  (wall clock)
    event = event_of(
        "FREQ=DAILY", start, zone="America/New_York", rdates=(Key("2027-03-14T02:30:00"),)
    )
    made = plan(replace(event, rule=None), EWS, NOW)
    assert [single.occurrence for single in made.singles] == ["2027-03-14T03:30:00"]


def test_a_target_that_takes_rules_gets_the_rule() -> None:
    profile = Profile(rules=RuleLimits(parts=frozenset({"BYDAY"}), rdates=False))
    event = event_of("FREQ=MONTHLY;BYDAY=5TU", rdates=(Key("2027-01-09T09:00:00"),))
    made = plan(event, profile, NOW)
    assert [part.pattern for part in made.parts] == [event.rule]
    assert [single.key for single in made.singles] == ["S:2027-01-09"]
    day = event_of("FREQ=MONTHLY;BYMONTHDAY=15")
    assert plan(day, profile, NOW).parts[0].pattern == AbsoluteMonthly(1, 15)


def test_a_cancelled_occurrence_touches_nothing_else() -> None:
    for text in ("FREQ=WEEKLY", "FREQ=MONTHLY;BYMONTHDAY=1,15", "FREQ=MONTHLY;BYDAY=5TU"):
        event = event_of(text)
        before = plan(event, EWS, NOW)
        low, high = "2026-08-22", "2028-11-22"
        victim = sorted(shown(before, low, high))[3]
        gone = Override(key=Key(victim), cancelled=True)
        after = plan(replace(event, overrides=(gone,)), EWS, NOW)
        assert shown(before, low, high) - shown(after, low, high) == Counter([victim])
        changed = set(before.parts) ^ set(after.parts)
        assert len(changed) + len(set(before.singles) ^ set(after.singles)) <= 2
        assert len({part.key for part in changed}) <= 1


def test_the_same_event_gives_the_same_plan_whenever_it_is_made() -> None:
    later = NOW + timedelta(days=300)
    for text in ("FREQ=WEEKLY", "FREQ=MONTHLY;BYMONTHDAY=1,15", "FREQ=MONTHLY;BYMONTHDAY=31"):
        assert plan(event_of(text), EWS, NOW) == plan(event_of(text), EWS, later)
    rolling = event_of("FREQ=MONTHLY;BYDAY=5TU")
    assert plan(rolling, EWS, NOW) == plan(rolling, EWS, NOW)
    assert plan(rolling, EWS, NOW) != plan(rolling, EWS, later)


def test_old_endless_series_are_compared_until_well_ahead_of_now() -> None:
    start = datetime(1971, 1, 1, 9, 0)  # noqa: DTZ001  (wall clock)
    made = plan(event_of("FREQ=MONTHLY;BYMONTHDAY=1,15", start), EWS, NOW)
    assert made.verified is not None
    assert made.verified > date(2031, 1, 1)
