"""Windows zones are chosen by what they do, not by what they are called."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

from mappings import zones
from mappings.model import Details, Event, When
from mappings.patterns import EWS, EndDate, Tier, iana_zone, plan, windows_zone
from mappings.patterns.windows import transitions, zone_spans
from mappings.recurrence import parse_rule

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SOON, LATER = datetime(2026, 12, 1, tzinfo=UTC), datetime(2031, 12, 1, tzinfo=UTC)
OLD_SERVER = ("Pacific Standard Time", "Yukon Standard Time", "Eastern Standard Time", "UTC")


@pytest.mark.parametrize(
    ("zone", "windows"),
    [
        ("Asia/Shanghai", "China Standard Time"),
        ("Asia/Hong_Kong", "China Standard Time"),
        ("Europe/Berlin", "W. Europe Standard Time"),
        ("Europe/Paris", "Romance Standard Time"),
        ("Europe/Kyiv", "FLE Standard Time"),
        ("America/New_York", "Eastern Standard Time"),
        ("UTC", "UTC"),
    ],
)
def test_usual_zones_get_their_usual_name(zone: str, windows: str) -> None:
    assert windows_zone(zone, SOON, LATER) == (windows, False)


def test_every_zone_that_is_found_behaves_the_same_for_five_years() -> None:
    ids = files("tzdata").joinpath("zones").read_text("ascii").split()
    without = []
    for zone in ids:
        found = windows_zone(zone, SOON, LATER)
        if found is None:
            without.append(zone)
            continue
        golden = zones.resolve(found[0])
        assert golden is not None
        for year in range(2027, 2032):
            for at, _, _ in (*transitions(zone, year), *transitions(golden, year)):
                for moment in (at - timedelta(seconds=1), at):
                    if SOON <= moment <= LATER:
                        assert zones.wall(moment, zone) == zones.wall(moment, golden), zone
    assert len(without) <= 12, without


def test_a_server_that_lacks_the_new_zone_gets_one_that_behaves_like_it() -> None:
    usual = windows_zone("America/Vancouver", SOON, LATER)
    assert usual is not None
    found = windows_zone("America/Vancouver", SOON, LATER, known=OLD_SERVER)
    assert found == ("Yukon Standard Time", True)


def test_a_preferred_zone_is_taken_only_if_it_behaves_the_same() -> None:
    kept = windows_zone("Asia/Shanghai", SOON, LATER, preferred=("Singapore Standard Time",))
    assert kept == ("Singapore Standard Time", True)
    refused = windows_zone("Asia/Shanghai", SOON, LATER, preferred=("Tokyo Standard Time",))
    assert refused == ("China Standard Time", False)


def test_the_span_is_cut_where_the_zone_changes_its_ways() -> None:
    first = datetime(2025, 6, 1, tzinfo=UTC)
    spans = zone_spans("America/Vancouver", first, LATER, known=OLD_SERVER)
    assert [span.windows for span in spans] == ["Pacific Standard Time", "Yukon Standard Time"]
    assert spans[0].until is not None
    assert spans[0].until.year == 2026


def test_a_series_across_the_cut_is_written_in_both_zones() -> None:
    when = When(
        start=datetime.fromisoformat("2025-06-02T09:00"),
        duration=timedelta(hours=1),
        zone="America/Vancouver",
    )
    event = Event(details=Details(), when=when, rule=parse_rule("FREQ=WEEKLY", when))
    made = plan(event, EWS, NOW, known=OLD_SERVER)
    assert made.tier is Tier.SEGMENTED
    assert [part.zone for part in made.parts] == ["Pacific Standard Time", "Yukon Standard Time"]
    assert [part.key for part in made.parts] == [
        "Pacific Standard Time/MAIN", "Yukon Standard Time/MAIN",
    ]  # fmt: skip
    before, after = made.parts
    assert isinstance(before.bounds, EndDate)
    assert after.when.key[:10] == (before.bounds.last + timedelta(days=7)).isoformat()


def test_a_zone_that_nobody_has_is_written_as_single_events() -> None:
    when = When(
        start=datetime.fromisoformat("2026-12-07T09:00"),
        duration=timedelta(hours=1),
        zone="Asia/Tokyo",
    )
    event = Event(details=Details(), when=when, rule=parse_rule("FREQ=WEEKLY;COUNT=20", when))
    made = plan(event, EWS, NOW, known=OLD_SERVER)
    assert made.tier is Tier.SINGLES
    assert (made.reason or "").startswith("ZONE_UNRESOLVED")
    assert len(made.singles) == 20


def test_the_way_back_prefers_the_zone_the_series_came_from() -> None:
    assert iana_zone("China Standard Time", SOON, LATER, ["Asia/Hong_Kong"]) == "Asia/Hong_Kong"
    assert iana_zone("China Standard Time", SOON, LATER, ["Asia/Tokyo"]) == "Asia/Shanghai"
    assert iana_zone("Customized Time Zone", SOON, LATER, ["Asia/Tokyo"]) is None


def test_transitions_are_found_to_the_second() -> None:
    spring, autumn = transitions("Europe/Berlin", 2027)
    assert spring[0] == datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert (spring[1], spring[2]) == (timedelta(hours=1), timedelta(hours=2))
    assert autumn[0] == datetime(2027, 10, 31, 1, tzinfo=UTC)
    assert transitions("Asia/Shanghai", 2027) == ()
    (gap,) = [change for change in transitions("Pacific/Apia", 2011) if change[0].month == 12]
    assert gap[2] - gap[1] == timedelta(hours=24)
    assert transitions("Australia/Lord_Howe", 2027)[0][2] == timedelta(hours=10, minutes=30)
