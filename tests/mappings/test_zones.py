"""Wall clocks, instants, and the names that calendars give to zones."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings import zones
from mappings.errors import UnmappableError
from mappings.model import When


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown", "zone", "fold", "expected"),
    [
        ("2026-11-23T09:00", "Asia/Shanghai", 0, "2026-11-23T01:00"),
        ("2027-03-14T02:30", "America/New_York", 0, "2027-03-14T07:30"),
        ("2027-03-14T02:30", "America/New_York", 1, "2027-03-14T07:30"),
        ("2026-11-01T01:30", "America/New_York", 0, "2026-11-01T05:30"),
        ("2026-11-01T01:30", "America/New_York", 1, "2026-11-01T06:30"),
        ("2026-11-01T09:30", "America/New_York", 1, "2026-11-01T14:30"),
        ("2026-10-04T02:15", "Australia/Lord_Howe", 0, "2026-10-03T15:45"),
        ("2011-12-30T09:00", "Pacific/Apia", 0, "2011-12-30T19:00"),
        ("2060-07-01T09:00", "Europe/Berlin", 0, "2060-07-01T07:00"),
    ],
)
def test_a_wall_clock_has_one_instant(shown: str, zone: str, fold: int, expected: str) -> None:
    assert zones.instant(wall(shown), zone, fold) == utc(expected)


@given(
    st.sampled_from(["America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
    st.datetimes(datetime(1975, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
)
def test_every_instant_has_a_wall_clock_that_leads_back(zone: str, at: datetime) -> None:
    moment = at.replace(tzinfo=UTC)
    shown, fold = zones.wall(moment, zone)
    assert zones.instant(shown, zone, fold) == moment
    assert shown.tzinfo is None
    if fold:
        assert zones.instant(shown, zone, 0) < moment


def test_an_unknown_zone_is_an_error_with_its_code() -> None:
    for name in ("Mars/Olympus", "../etc/passwd", "", "europe/berlin", "zone.tab"):
        assert not zones.is_known(name)
        with pytest.raises(UnmappableError) as caught:
            zones.instant(wall("2026-01-01"), name)
        assert caught.value.code == "ZONE_UNKNOWN"


def test_zone_data_is_that_of_the_package_whatever_the_system_has() -> None:
    # British Columbia keeps its summer time from 2026 on; older system data say otherwise.
    assert zones.instant(wall("2027-01-15T09:00"), "America/Vancouver") == utc("2027-01-15T16:00")
    assert isinstance(zones.info("Europe/Berlin"), ZoneInfo)


@pytest.mark.parametrize(
    ("day", "zone", "since", "until"),
    [
        ("2026-11-23", "Asia/Shanghai", "2026-11-22T16:00", "2026-11-23T16:00"),
        ("2026-04-24", "Africa/Cairo", "2026-04-23T22:00", "2026-04-24T21:00"),
        ("2026-03-29", "Asia/Beirut", "2026-03-28T22:00", "2026-03-29T21:00"),
        ("2026-11-01", "America/New_York", "2026-11-01T04:00", "2026-11-02T05:00"),
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00", "2011-12-30T10:00"),
    ],
)
def test_a_day_lasts_from_its_first_instant_to_that_of_the_next(
    day: str, zone: str, since: str, until: str
) -> None:
    assert zones.day_bounds(date.fromisoformat(day), zone) == (utc(since), utc(until))


def test_all_day_events_last_from_utc_midnight_to_utc_midnight() -> None:
    when = When(start=date(2026, 11, 23), duration=timedelta(days=2))
    assert zones.start_instant(when) == utc("2026-11-23")
    assert zones.end_instant(when) == utc("2026-11-25")


def test_the_end_is_elapsed_time_after_the_start() -> None:
    when = When(
        start=wall("2027-03-13T23:00"), duration=timedelta(hours=8), zone="America/New_York"
    )
    assert zones.end_instant(when) == utc("2027-03-14T12:00")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/BERLIN", "Europe/Berlin"),
        (" Asia/Shanghai ", "Asia/Shanghai"),
        ("Asia/Urumqi", "Asia/Urumqi"),
        ("Europe/Kiev", "Europe/Kiev"),
        ("Europe/Kyiv", "Europe/Kyiv"),
        ("US/Pacific", "US/Pacific"),
        ("America/New York", "America/New_York"),
        ("UTC", "UTC"),
        ("Z", "UTC"),
        ("GMT", "GMT"),
        ("+00:00", "UTC"),
        # Etc/ ids count westward, everybody else eastward.
        ("Etc/GMT-8", "Etc/GMT-8"),
        ("+08:00", "Etc/GMT-8"),
        ("UTC+8", "Etc/GMT-8"),
        ("GMT+08:00", "Etc/GMT-8"),
        ("-0500", "Etc/GMT+5"),
        ("UTC+14", "Etc/GMT-14"),
        ("UTC+05:30", "Asia/Kolkata"),
        ("+05:45", "Asia/Kathmandu"),
        ("-09:30", "Pacific/Marquesas"),
        ("+15:00", None),
        ("-13", None),
        ("+05:17", None),
        ("China Standard Time", "Asia/Shanghai"),
        ('"China Standard Time"', "Asia/Shanghai"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("pacific standard time", "America/Los_Angeles"),
        ("UTC-11", "Etc/GMT+11"),
        ("(UTC+08:00) Beijing, Chongqing, Hong Kong, Urumqi", "Asia/Shanghai"),
        ("(GMT+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Berlin"),
        ("(UTC-08:00) Pacific Time (US & Canada)", "America/Los_Angeles"),
        ("/freeassociation.sourceforge.net/Europe/Berlin", "Europe/Berlin"),
        (
            "/example.org/20260101_1/America/Argentina/Buenos_Aires",
            "America/Argentina/Buenos_Aires",
        ),
        ("/example.org/Japan", "Japan"),
        ("tzone://Microsoft/Utc", "UTC"),
        ("tzone://Microsoft/Custom", None),
        ("Customized Time Zone", None),
        ("Nowhere/Japan", None),
        ("(UTC+08:00) Some Place", None),
        ("CST", None),
        ("", None),
    ],
)
def test_a_name_means_one_zone_or_none(name: str, expected: str | None) -> None:
    assert zones.resolve(name) == expected


def test_every_windows_zone_leads_to_a_zone_there_is() -> None:
    names = zones._windows()
    assert len(names) > 250
    assert all(zones.is_known(iana) for iana in names.values())


@given(st.text(max_size=40) | st.text("/+-:0123456789UTCGMT ()", max_size=20))
def test_no_name_breaks_the_reader(name: str) -> None:
    found = zones.resolve(name)
    assert found is None or zones.is_known(found)
