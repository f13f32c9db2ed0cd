"""Which occurrences there are in a span, across clock changes and with exceptions."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.model import Details, Event, Key, Occurrence, Override, When
from mappings.recurrence import (
    expand,
    first_start,
    key_of_instant,
    last_end,
    match_key,
    overlaps,
    parse_rule,
    when_of,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DETAILS = Details(title="Stand-up")


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def timed(start: str, zone: str = "UTC", duration: timedelta = HOUR, fold: int = 0) -> When:
    return When(start=wall(start), duration=duration, zone=zone, fold=fold)


def all_day(start: str, days: int = 1) -> When:
    return When(start=date.fromisoformat(start), duration=timedelta(days=days))


def series(when: When, rule: str, *overrides: Override, rdates: tuple[str, ...] = ()) -> Event:
    return Event(
        details=DETAILS,
        when=when,
        rule=parse_rule(rule, when),
        rdates=tuple(map(Key, rdates)),
        overrides=overrides,
    )


def starts(event: Event, since: str, until: str) -> list[str]:
    return [shown(item) for item in expand(event, utc(since), utc(until))]


def shown(item: Occurrence) -> str:
    if isinstance(item.start, datetime):
        return item.start.replace(tzinfo=None).isoformat(timespec="minutes")
    return item.start.isoformat()


@pytest.mark.parametrize(
    ("zone", "start", "since", "expected"),
    [
        (
            "America/New_York",
            "2027-03-13T02:30",
            "2027-03-13",
            ["2027-03-13T07:30", "2027-03-14T07:30", "2027-03-15T06:30"],
        ),
        (
            "America/New_York",
            "2026-10-31T01:30",
            "2026-10-31",
            ["2026-10-31T05:30", "2026-11-01T05:30", "2026-11-02T06:30"],
        ),
        (
            "Europe/Berlin",
            "2027-03-27T02:30",
            "2027-03-27",
            ["2027-03-27T01:30", "2027-03-28T01:30", "2027-03-29T00:30"],
        ),
        (
            "Europe/Berlin",
            "2026-10-24T02:30",
            "2026-10-24",
            ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"],
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-03T02:15",
            "2026-10-02",
            ["2026-10-02T15:45", "2026-10-03T15:45", "2026-10-04T15:15"],
        ),
        (
            "Australia/Lord_Howe",
            "2027-04-03T01:45",
            "2027-04-02",
            ["2027-04-02T14:45", "2027-04-03T14:45", "2027-04-04T15:15"],
        ),
        (  # Morocco goes back for Ramadan in 2025: clocks repeat 02:00-03:00 on 23 February
            "Africa/Casablanca",
            "2025-02-22T02:30",
            "2025-02-22",
            ["2025-02-22T01:30", "2025-02-23T01:30", "2025-02-24T02:30"],
        ),
    ],
)
def test_wall_clocks_that_are_skipped_move_forward_and_repeated_ones_mean_the_first(
    zone: str, start: str, since: str, expected: list[str]
) -> None:
    event = series(timed(start, zone), "FREQ=DAILY;COUNT=3")
    assert starts(event, since, "2030-01-01") == expected
    first = wall(start).date()
    keys = [item.key for item in expand(event, utc(since), utc("2030-01-01"))]
    assert keys == [f"{first + n * DAY}{start[10:]}:00" for n in range(3)]


def test_the_day_that_samoa_skipped_shows_one_occurrence_and_not_two() -> None:
    event = series(timed("2011-12-29T09:00", "Pacific/Apia"), "FREQ=DAILY;COUNT=4")
    found = list(expand(event, utc("2011-12-01"), utc("2012-02-01")))
    assert [item.key for item in found] == [
        "2011-12-29T09:00:00",
        "2011-12-31T09:00:00",
        "2012-01-01T09:00:00",
    ]
    assert found[1].start - found[0].start == timedelta(days=1)  # type: ignore[operator]


def test_an_hourly_series_does_not_double_in_the_skipped_hour() -> None:
    event = series(timed("2027-03-14T00:15", "America/New_York"), "FREQ=MINUTELY;INTERVAL=30")
    found = starts(event, "2027-03-14T05:00", "2027-03-14T09:00")
    assert found == sorted(set(found))
    assert found[0] == "2027-03-14T05:15"
    assert len(found) == 8


def test_a_start_in_the_second_of_two_equal_hours_is_kept() -> None:
    when = timed("2026-11-01T01:30", "America/New_York", fold=1)
    event = series(when, "FREQ=DAILY;COUNT=2")
    assert starts(event, "2026-11-01", "2026-12-01") == ["2026-11-01T06:30", "2026-11-02T06:30"]


def test_the_length_is_elapsed_time_also_across_a_clock_change() -> None:
    event = series(timed("2027-03-13T23:00", "America/New_York", 8 * HOUR), "FREQ=DAILY;COUNT=2")
    for item in expand(event, utc("2027-03-01"), utc("2027-04-01")):
        assert item.end - item.start == 8 * HOUR  # type: ignore[operator]


def test_what_merely_reaches_into_the_span_is_shown_and_what_touches_it_is_not() -> None:
    event = series(timed("2026-11-23T09:00", duration=2 * HOUR), "FREQ=DAILY;COUNT=3")
    assert starts(event, "2026-11-24T10:59", "2026-11-24T11:00") == ["2026-11-24T09:00"]
    assert starts(event, "2026-11-24T11:00", "2026-11-25T09:00") == []
    long = series(timed("2026-11-23T09:00", duration=10 * DAY), "FREQ=WEEKLY")
    assert starts(long, "2027-01-01", "2027-01-02") == ["2026-12-28T09:00"]
    assert starts(long, "2026-12-31", "2027-01-01") == ["2026-12-21T09:00", "2026-12-28T09:00"]


def test_a_moment_without_length_happens_in_the_span_that_begins_with_it() -> None:
    event = series(timed("2026-11-23T09:00", duration=timedelta(0)), "FREQ=DAILY;COUNT=3")
    assert starts(event, "2026-11-24T09:00", "2026-11-24T10:00") == ["2026-11-24T09:00"]
    assert starts(event, "2026-11-24T08:00", "2026-11-24T09:00") == []


def test_all_day_series_are_dates_with_an_exclusive_end() -> None:
    event = series(all_day("2026-11-23", 2), "FREQ=WEEKLY;COUNT=3")
    found = list(expand(event, utc("2026-12-01"), utc("2026-12-02")))
    assert [(item.start, item.end, item.key) for item in found] == [
        (date(2026, 11, 30), date(2026, 12, 2), "2026-11-30")
    ]
    assert starts(event, "2026-12-02", "2026-12-07") == []


def test_a_single_event_is_one_occurrence_without_key() -> None:
    event = Event(details=DETAILS, when=timed("2026-11-23T09:00", "Asia/Shanghai"))
    (found,) = expand(event, utc("2026-11-01"), utc("2026-12-01"))
    assert (found.start, found.key) == (utc("2026-11-23T01:00"), None)
    assert starts(event, "2026-11-23T02:00", "2026-12-01") == []


OTHER = Details(title="Moved")
MOVED_OUT = Override(key=Key("2026-11-24T09:00:00"), details=OTHER, when=timed("2027-02-01T15:00"))
MOVED_IN = Override(key=Key("2027-03-01T09:00:00"), details=OTHER, when=timed("2026-11-25T08:00"))
GONE = Override(key=Key("2026-11-26T09:00:00"), cancelled=True)
ORPHAN = Override(key=Key("2026-11-25T17:00:00"), details=OTHER, when=timed("2026-11-25T17:00"))
GONE_ORPHAN = Override(key=Key("2026-11-25T18:00:00"), cancelled=True)


def test_exceptions_are_shown_where_they_are_and_not_where_they_were() -> None:
    event = series(
        timed("2026-11-23T09:00"), "FREQ=DAILY", MOVED_OUT, ORPHAN, GONE_ORPHAN, GONE, MOVED_IN
    )
    assert starts(event, "2026-11-23", "2026-11-28") == [
        "2026-11-23T09:00",
        "2026-11-25T08:00",
        "2026-11-25T09:00",
        "2026-11-25T17:00",
        "2026-11-27T09:00",
    ]
    assert "2027-02-01T15:00" in starts(event, "2027-02-01", "2027-02-02")
    assert starts(event, "2027-03-01", "2027-03-02") == []
    titles = {item.key: item.details.title for item in expand(event, *SPAN)}
    assert titles[MOVED_IN.key] == "Moved"
    assert titles[Key("2026-11-23T09:00:00")] == "Stand-up"


SPAN = (utc("2026-11-23"), utc("2026-11-28"))


def test_extra_dates_stand_among_the_others_once() -> None:
    event = series(
        timed("2026-11-23T09:00"),
        "FREQ=DAILY;COUNT=2",
        rdates=("2026-11-23T09:00:00", "2026-11-23T21:00:00", "2026-12-24T09:00:00"),
    )
    assert starts(event, "2026-11-01", "2027-01-01") == [
        "2026-11-23T09:00",
        "2026-11-23T21:00",
        "2026-11-24T09:00",
        "2026-12-24T09:00",
    ]
    only_dates = Event(details=DETAILS, when=event.when, rdates=event.rdates[1:])
    assert len(starts(only_dates, "2026-11-01", "2027-01-01")) == 3


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["DAILY", "WEEKLY;BYDAY=MO,TH", "MONTHLY;BYMONTHDAY=31", "DAILY;BYHOUR=1,14"]),
    st.sampled_from(["America/New_York", "Australia/Lord_Howe", "Asia/Shanghai"]),
    st.integers(0, 23),
    st.integers(0, 50),
    st.integers(0, 24 * 400),
    st.integers(1, 24 * 60),
)
def test_any_span_shows_what_the_whole_shows_of_it(
    shape: str, zone: str, hour: int, length: int, offset: int, width: int
) -> None:
    when = timed(f"2026-11-23T{hour:02}:30", zone, length * HOUR)
    event = series(when, f"FREQ={shape};COUNT=400")
    whole = list(expand(event, utc("2020-01-01"), utc("2100-01-01")))
    since = utc("2026-11-20") + offset * HOUR
    until = since + width * HOUR
    expected = [
        item
        for item in whole
        if item.start < until and (item.end > since or item.start >= since)  # type: ignore[operator]
    ]
    assert list(expand(event, since, until)) == expected
    assert overlaps(event, since, until) == bool(expected)


def test_a_series_without_end_is_entered_anywhere_and_has_no_last_end() -> None:
    event = series(timed("1999-11-23T09:00"), "FREQ=DAILY")
    assert starts(event, "2400-01-01", "2400-01-02") == ["2400-01-01T09:00"]
    assert last_end(event) is None
    assert overlaps(event, utc("2400-01-01"), None)
    assert not overlaps(event, None, utc("1999-11-23T09:00"))
    assert overlaps(event, None, utc("1999-11-23T09:01"))


def test_the_last_end_follows_the_exceptions() -> None:
    when = timed("2026-11-23T09:00")
    plain = series(when, "FREQ=DAILY;COUNT=4")
    assert last_end(plain) == utc("2026-11-26T10:00")
    assert last_end(series(when, "FREQ=DAILY;COUNT=4", GONE)) == utc("2026-11-25T10:00")
    assert last_end(series(when, "FREQ=DAILY;COUNT=4", MOVED_OUT)) == utc("2027-02-01T16:00")
    extra = series(when, "FREQ=DAILY;COUNT=4", rdates=("2026-12-01T09:00:00",))
    assert last_end(extra) == utc("2026-12-01T10:00")
    assert last_end(Event(details=DETAILS, when=when)) == utc("2026-11-23T10:00")
    assert last_end(series(all_day("2026-11-23"), "FREQ=DAILY;COUNT=2")) == utc("2026-11-25")


def test_the_first_start_follows_the_exceptions() -> None:
    when = timed("2026-11-23T09:00", "Asia/Shanghai")
    first_gone = Override(key=when.key, cancelled=True)
    assert first_start(series(when, "FREQ=DAILY")) == utc("2026-11-23T01:00")
    assert first_start(series(when, "FREQ=DAILY", first_gone)) == utc("2026-11-24T01:00")
    assert first_start(series(when, "FREQ=DAILY;COUNT=1", first_gone)) == utc("2026-11-23T01:00")
    assert first_start(series(all_day("2026-11-23"), "FREQ=DAILY")) == utc("2026-11-23")


def test_a_series_that_is_all_cancelled_overlaps_nothing() -> None:
    when = timed("2026-11-23T09:00")
    event = series(when, "FREQ=DAILY;COUNT=1", Override(key=when.key, cancelled=True))
    assert not overlaps(event, None, None)
    assert last_end(event) == utc("2026-11-23T10:00")


def test_when_of_an_occurrence_has_the_series_zone_and_length() -> None:
    event = series(timed("2026-11-23T09:00", "Asia/Shanghai", 2 * HOUR), "FREQ=DAILY")
    assert when_of(event, Key("2026-12-01T09:00:00")) == timed(
        "2026-12-01T09:00", "Asia/Shanghai", 2 * HOUR
    )
    days = series(all_day("2026-11-23", 2), "FREQ=DAILY")
    assert when_of(days, Key("2026-12-01")) == all_day("2026-12-01", 2)


def test_the_key_of_an_instant_is_its_wall_clock_in_the_series_zone() -> None:
    shanghai = timed("2026-11-23T07:00", "Asia/Shanghai")
    assert key_of_instant(shanghai, utc("2026-11-30T23:00")) == "2026-12-01T07:00:00"
    assert key_of_instant(all_day("2026-11-23"), utc("2026-12-01")) == "2026-12-01"


class TestWhichOccurrenceIsMeant:
    gap = series(timed("2027-03-01T02:30", "America/New_York"), "FREQ=DAILY")

    def test_the_exact_instant_decides(self) -> None:
        assert match_key(self.gap, instant=utc("2027-03-12T07:30")) == "2027-03-12T02:30:00"
        assert match_key(self.gap, instant=utc("2027-03-14T07:30")) == "2027-03-14T02:30:00"

    def test_an_instant_from_older_zone_data_is_found_by_its_date(self) -> None:
        assert match_key(self.gap, instant=utc("2027-03-14T06:30")) == "2027-03-14T02:30:00"
        assert match_key(self.gap, instant=utc("2027-03-12T08:30")) == "2027-03-12T02:30:00"

    def test_the_nominal_wall_clock_decides(self) -> None:
        assert match_key(self.gap, wall=wall("2027-03-14T02:30")) == "2027-03-14T02:30:00"

    def test_a_bare_date_means_that_day(self) -> None:
        assert match_key(self.gap, wall=date(2027, 3, 14)) == "2027-03-14T02:30:00"

    def test_a_date_with_two_occurrences_is_not_guessed(self) -> None:
        twice = series(timed("2027-03-01T09:00"), "FREQ=DAILY;BYHOUR=9,17")
        assert match_key(twice, wall=date(2027, 3, 2)) is None
        assert match_key(twice, instant=utc("2027-03-02T12:00")) is None
        assert match_key(twice, instant=utc("2027-03-02T17:00")) == "2027-03-02T17:00:00"

    def test_a_day_without_occurrence_matches_nothing(self) -> None:
        weekly = series(timed("2027-03-01T09:00"), "FREQ=WEEKLY;COUNT=3")
        assert match_key(weekly, instant=utc("2027-03-02T09:00")) is None
        assert match_key(weekly, wall=wall("2027-03-22T09:00")) is None
        assert match_key(weekly, wall=wall("2027-02-22T09:00")) is None

    def test_all_day_series_match_dates(self) -> None:
        days = series(all_day("2027-03-01"), "FREQ=DAILY")
        assert match_key(days, instant=utc("2027-03-05")) == "2027-03-05"
        assert match_key(days, wall=date(2027, 3, 5)) == "2027-03-05"
        assert match_key(days, wall=wall("2027-03-05T00:00")) == "2027-03-05"

    def test_extra_dates_and_known_exceptions_count(self) -> None:
        event = series(
            timed("2026-11-23T09:00"), "FREQ=WEEKLY", ORPHAN, rdates=("2026-11-24T12:00:00",)
        )
        assert match_key(event, instant=utc("2026-11-24T12:00")) == "2026-11-24T12:00:00"
        assert match_key(event, instant=utc("2026-11-25T17:00")) == ORPHAN.key

    def test_nothing_given_is_nothing_found(self) -> None:
        assert match_key(self.gap) is None
