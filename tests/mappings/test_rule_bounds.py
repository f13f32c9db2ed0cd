"""COUNT and UNTIL: every way to bound a series ends in the key of its last real occurrence."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.errors import UnmappableError
from mappings.model import When
from mappings.recurrence import format_rule, keys, parse_rule
from mappings.zones import instant

HOUR = timedelta(hours=1)


def timed(start: str, zone: str) -> When:
    return When(start=datetime.fromisoformat(start), duration=HOUR, zone=zone)


def until_of(text: str, first: When, **options: str) -> str | None:
    rule = parse_rule(text, first, **options)  # type: ignore[arg-type]
    assert rule is not None
    return rule.until


ALL_DAY = When(start=date(2026, 11, 23), duration=timedelta(days=1))
ZONES = ["America/New_York", "Asia/Shanghai", "Pacific/Kiritimati", "Pacific/Honolulu", "UTC"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("hour", [0, 7, 20, 23])
@pytest.mark.parametrize(("seconds", "last"), [(-1, 30), (0, 31), (1, 31)])
def test_until_in_utc_is_compared_as_an_instant(
    zone: str, hour: int, seconds: int, last: int
) -> None:
    first = timed(f"2026-12-21T{hour:02}:00", zone)
    end = instant(datetime.fromisoformat(f"2026-12-31T{hour:02}:00"), zone)
    text = f"FREQ=DAILY;UNTIL={end + timedelta(seconds=seconds):%Y%m%dT%H%M%SZ}"
    assert until_of(text, first) == f"2026-12-{last}T{hour:02}:00:00"


def test_the_utc_date_of_until_is_not_the_local_date_of_the_last_occurrence() -> None:
    new_york = timed("2026-11-23T20:00", "America/New_York")
    assert until_of("FREQ=DAILY;UNTIL=20261201T010000Z", new_york) == "2026-11-30T20:00:00"
    shanghai = timed("2026-11-23T07:00", "Asia/Shanghai")
    assert until_of("FREQ=DAILY;UNTIL=20261130T230000Z", shanghai) == "2026-12-01T07:00:00"


@pytest.mark.parametrize("zone", ZONES)
def test_a_bare_date_bounds_a_timed_series_as_the_dialect_says(zone: str) -> None:
    first = timed("2026-11-23T09:00", zone)
    text = "FREQ=DAILY;UNTIL=20261201"
    assert until_of(text, first) == "2026-11-30T09:00:00"
    assert until_of(text, first, until_date="whole_day") == "2026-12-01T09:00:00"
    midnight = timed("2026-11-23T00:00", zone)
    assert until_of(text, midnight) == "2026-12-01T00:00:00"


def test_until_without_zone_is_the_wall_clock_of_the_series() -> None:
    first = timed("2026-11-23T09:00", "Asia/Shanghai")
    assert until_of("FREQ=DAILY;UNTIL=20261201T090000", first) == "2026-12-01T09:00:00"
    assert until_of("FREQ=DAILY;UNTIL=20261201T085959", first) == "2026-11-30T09:00:00"


@pytest.mark.parametrize("until", ["20261201", "20261201T000000Z", "20261201T093000Z"])
def test_all_day_series_take_the_date_of_any_until(until: str) -> None:
    assert until_of(f"FREQ=DAILY;UNTIL={until}", ALL_DAY) == "2026-12-01"


def test_until_between_occurrences_falls_back_to_the_last_real_one() -> None:
    first = timed("2026-11-23T09:00", "Europe/Berlin")
    assert until_of("FREQ=WEEKLY;UNTIL=20261213T235959Z", first) == "2026-12-07T09:00:00"
    assert until_of("FREQ=MONTHLY;BYMONTHDAY=31;UNTIL=20270430", first) == "2027-03-31T09:00:00"


def test_count_and_until_become_the_same_rule_but_count_is_remembered() -> None:
    first = timed("2026-11-23T09:00", "Europe/Berlin")
    counted = parse_rule("FREQ=WEEKLY;COUNT=3", first)
    bounded = parse_rule("FREQ=WEEKLY;UNTIL=20261207T080000Z", first)
    assert counted is not None
    assert bounded is not None
    assert counted == bounded
    assert (counted.count, bounded.count) == (3, None)
    assert format_rule(counted, first) == "FREQ=WEEKLY;BYDAY=MO;UNTIL=20261207T080000Z"
    assert format_rule(counted, first, count=True) == "FREQ=WEEKLY;BYDAY=MO;COUNT=3"
    assert format_rule(bounded, first, count=True) == format_rule(bounded, first)


def test_of_both_bounds_the_earlier_one_holds() -> None:
    first = timed("2026-11-23T09:00", "UTC")
    assert until_of("FREQ=DAILY;COUNT=3;UNTIL=20261201", first) == "2026-11-25T09:00:00"
    both = parse_rule("FREQ=DAILY;COUNT=30;UNTIL=20261201", first)
    assert both is not None
    assert (both.until, both.count) == ("2026-11-30T09:00:00", None)


def test_an_all_day_bound_is_written_as_a_date() -> None:
    rule = parse_rule("FREQ=DAILY;COUNT=3", ALL_DAY)
    assert rule is not None
    assert format_rule(rule, ALL_DAY) == "FREQ=DAILY;UNTIL=20261125"


def test_an_end_beyond_every_calendar_is_no_end() -> None:
    first = timed("2026-11-23T09:00", "UTC")
    assert until_of("FREQ=DAILY;UNTIL=45000101T000000Z", first) is None
    assert until_of("FREQ=YEARLY;COUNT=900", first) is None


def test_until_before_the_first_occurrence_leaves_nothing_and_is_refused() -> None:
    first = timed("2026-11-23T09:00", "Europe/Berlin")
    with pytest.raises(UnmappableError, match="RULE_INVALID"):
        parse_rule("FREQ=DAILY;UNTIL=20261123T075959Z", first)
    assert until_of("FREQ=DAILY;UNTIL=20261123T080000Z", first) == first.key


@pytest.mark.parametrize(
    ("zone", "start", "until", "last"),
    [
        # 02:30 does not exist on 8 March 2027-03-14 in New York; it takes place at 07:30Z.
        ("America/New_York", "2027-03-10T02:30", "20270314T073000Z", "2027-03-14T02:30:00"),
        ("America/New_York", "2027-03-10T02:30", "20270314T072959Z", "2027-03-13T02:30:00"),
        # 01:30 happens twice on 2026-11-01: 05:30Z and 06:30Z; the first one counts.
        ("America/New_York", "2026-10-28T01:30", "20261101T053000Z", "2026-11-01T01:30:00"),
        ("America/New_York", "2026-10-28T01:30", "20261101T052959Z", "2026-10-31T01:30:00"),
        ("America/New_York", "2026-10-28T01:45", "20261101T063000Z", "2026-11-01T01:45:00"),
        # Lord Howe shifts by half an hour: 02:00 becomes 02:30 on 2026-10-04 (15:30Z).
        ("Australia/Lord_Howe", "2026-10-01T02:15", "20261003T154500Z", "2026-10-04T02:15:00"),
        ("Australia/Lord_Howe", "2026-10-01T02:15", "20261003T154459Z", "2026-10-03T02:15:00"),
    ],
)
def test_until_at_a_clock_change_is_compared_as_an_instant(
    zone: str, start: str, until: str, last: str
) -> None:
    assert until_of(f"FREQ=DAILY;UNTIL={until}", timed(start, zone)) == last


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["DAILY", "WEEKLY;BYDAY=TU,SA", "MONTHLY;BYMONTHDAY=31", "MONTHLY;BYDAY=-1FR"]),
    st.sampled_from([*ZONES, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]),
    st.datetimes(datetime(2019, 1, 1), datetime(2028, 1, 1)),  # noqa: DTZ001
    st.integers(1, 60),
)
def test_a_written_bound_reads_back_as_the_same_bound(
    shape: str, zone: str, start: datetime, count: int
) -> None:
    first = When(start=start.replace(microsecond=0), duration=HOUR, zone=zone)
    rule = parse_rule(f"FREQ={shape};COUNT={count}", first)
    assert rule is not None
    assert list(keys(rule, (), first, limit=count + 1))[count - 1 :] == [rule.until]
    text = format_rule(rule, first)
    assert parse_rule(text, first) == rule
    assert datetime.strptime(text[-16:], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) == instant(
        datetime.fromisoformat(str(rule.until)), zone
    )
