"""Occurrences during which the clocks change, at a target that keeps ends by the wall clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mappings.model import Details, Event, Key, Override, When
from mappings.patterns import EWS, Plan, Tier, expand_pattern, plan
from mappings.patterns.model import Numbered
from mappings.patterns.pins import as_ruled
from mappings.recurrence import parse_rule, when_of

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def series(text: str, start: str, minutes: int, zone: str = BERLIN, **values: object) -> Event:
    when = When(start=datetime.fromisoformat(start), duration=timedelta(minutes=minutes), zone=zone)
    event = Event(details=Details(title="Shift"), when=when, rule=parse_rule(text, when))
    return replace(event, **values)  # type: ignore[arg-type]


def pinned(made: Plan) -> list[str]:
    return sorted(item.key[:10] for part in made.parts for item in part.overrides)


def alone(made: Plan) -> list[str]:
    return [single.occurrence[:10] for single in made.singles]


def test_an_occurrence_during_a_change_is_set_and_stays_what_the_rule_says() -> None:
    event = series("FREQ=DAILY;UNTIL=20271231T000000Z", "2026-01-01T22:00", 480)
    made = plan(event, EWS, NOW)
    assert made.tier is Tier.NATIVE
    assert pinned(made) == ["2026-03-28", "2026-10-24", "2027-03-27", "2027-10-30"]
    for item in made.parts[0].overrides:
        assert item == Override(key=item.key, details=event.details, when=when_of(event, item.key))
    assert (alone(made), made.parts[0].deletions, made.pinned, made.losses) == ([], (), None, ())


@pytest.mark.parametrize(
    ("start", "minutes", "zone"),
    [
        ("2026-01-01T09:00", 60, BERLIN),
        ("2026-01-01T22:00", 240, BERLIN),  # over at two, when the clocks change
        ("2026-01-01T22:00", 480, "Asia/Shanghai"),
        ("2026-01-01T22:00", 480, "UTC"),
    ],
)
def test_a_series_that_no_change_reaches_is_written_as_it_is(
    start: str, minutes: int, zone: str
) -> None:
    made = plan(series("FREQ=DAILY", start, minutes, zone), EWS, NOW)
    assert (made.tier, pinned(made), alone(made), made.pinned) == (Tier.NATIVE, [], [], None)


def test_a_target_that_keeps_the_length_gets_nothing_more() -> None:
    event = series("FREQ=DAILY", "2026-03-28T22:00", 480)
    made = plan(event, replace(EWS, wall_ends=False), NOW)
    assert (pinned(made), alone(made), made.pinned, made.losses) == ([], [], None, ())


def test_an_endless_series_is_set_ten_years_ahead_and_says_what_comes_after() -> None:
    made = plan(series("FREQ=DAILY", "2020-01-01T22:00", 480), EWS, NOW)
    assert (made.tier, len(pinned(made))) == (Tier.NATIVE, 2 * 17)
    assert pinned(made)[-1] == "2036-10-25"
    assert made.pinned is not None
    assert made.pinned.isoformat() == "2037-01-01"
    assert [(loss.field, loss.detail[:9]) for loss in made.losses] == [("when", "From 2037")]
    later = plan(series("FREQ=DAILY", "2020-01-01T22:00", 480), EWS, NOW + timedelta(days=366))
    assert set(pinned(later)) - set(pinned(made)) == {"2037-03-28", "2037-10-24"}


def test_a_series_begins_with_an_occurrence_that_no_change_touches() -> None:
    made = plan(series("FREQ=WEEKLY;COUNT=4", "2026-03-28T22:00", 480), EWS, NOW)
    (part,) = made.parts
    assert (made.tier, alone(made)) == (Tier.NATIVE, ["2026-03-28"])
    assert (part.when.key, part.bounds) == ("2026-04-04T22:00:00", Numbered(3))
    assert made.singles[0].when.duration == timedelta(hours=8)


@pytest.mark.parametrize(
    ("start", "minutes"),
    [
        ("2026-03-28T02:30", 1440),  # ends in the hour that is skipped
        ("2026-03-29T02:30", 30),  # begins in it
        ("2026-10-25T02:30", 60),  # lasts into the hour that comes twice
    ],
)
def test_no_series_takes_its_time_of_day_from_a_shifted_occurrence(
    start: str, minutes: int
) -> None:
    made = plan(series("FREQ=DAILY;COUNT=5", start, minutes), EWS, NOW)
    assert alone(made)[0] == start[:10]
    assert made.parts[0].when.key[:10] > start[:10]


def test_what_would_reach_into_the_next_occurrence_stands_alone() -> None:
    made = plan(series("FREQ=DAILY;UNTIL=20271231T000000Z", "2026-01-01T09:00", 1440), EWS, NOW)
    assert alone(made) == ["2026-03-28", "2027-03-27"]
    assert [key[:10] for key in made.parts[0].deletions] == ["2026-03-28", "2027-03-27"]
    assert pinned(made) == ["2026-10-24", "2027-10-30"]  # ends an hour before the next one


def test_whether_one_stands_alone_does_not_depend_on_exceptions() -> None:
    text, start = "FREQ=DAILY;UNTIL=20270101T000000Z", "2026-01-01T09:00"
    after = Override(key=Key("2026-03-29T09:00:00"), cancelled=True)
    made = plan(series(text, start, 1440, overrides=(after,)), EWS, NOW)
    assert alone(made) == ["2026-03-28"]


def test_a_renamed_or_cancelled_occurrence_is_not_set_twice() -> None:
    text, start = "FREQ=DAILY;UNTIL=20271231T000000Z", "2026-01-01T22:00"
    event = series(text, start, 480)
    spring, autumn = Key("2026-03-28T22:00:00"), Key("2026-10-24T22:00:00")
    named = Override(key=spring, details=Details(title="Other"), when=when_of(event, spring))
    gone = Override(key=autumn, cancelled=True)
    made = plan(replace(event, overrides=(named, gone)), EWS, NOW)
    assert pinned(made) == ["2026-03-28", "2027-03-27", "2027-10-30"]
    assert named in made.parts[0].overrides
    assert made.parts[0].deletions == (autumn,)


def test_a_neighbour_moved_to_the_end_of_a_longer_night_is_written_in_time() -> None:
    event = series("FREQ=DAILY;COUNT=9", "2026-03-25T22:00", 480)
    key = Key("2026-03-29T22:00:00")
    early = replace(when_of(event, key), start=datetime.fromisoformat("2026-03-29T07:00"))
    moved = Override(key=key, details=event.details, when=early)
    (part,) = plan(replace(event, overrides=(moved,)), EWS, NOW).parts
    assert [item.key[:10] for item in part.overrides] == ["2026-03-28", "2026-03-29"]
    over = replace(early, start=datetime.fromisoformat("2026-03-29T06:30"))
    made = plan(replace(event, overrides=(replace(moved, when=over),)), EWS, NOW)
    assert (pinned(made), alone(made)) == (["2026-03-28"], ["2026-03-29"])


def test_a_series_of_nothing_but_such_nights_is_written_as_single_events() -> None:
    made = plan(series("FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", "2026-03-29T01:45", 90), EWS, NOW)
    assert (made.tier, made.parts) == (Tier.SINGLES, ())
    assert alone(made) == ["2027-03-28", "2028-03-26"]
    assert made.reason == "again and again a clock change cuts into an occurrence"


def test_the_days_of_a_series_that_begins_later_stay_the_same() -> None:
    event = series("FREQ=WEEKLY;INTERVAL=2;BYDAY=SA,SU;COUNT=9", "2026-03-28T22:00", 480)
    made = plan(event, EWS, NOW)
    (part,) = made.parts
    start = datetime.fromisoformat(part.when.key).date()
    days = [day.isoformat() for day in expand_pattern(part.pattern, part.bounds, start)]  # type: ignore[arg-type]
    assert [*alone(made), *days][:4] == ["2026-03-28", "2026-03-29", "2026-04-11", "2026-04-12"]
    assert len(alone(made)) + len(days) == 9


def shown(start: str, minutes: int) -> When:
    at = datetime.fromisoformat(start)
    return When(start=at, duration=timedelta(minutes=minutes), zone=BERLIN)


def test_only_an_end_by_the_wall_clock_is_nobodys_edit() -> None:
    ruled = shown("2026-03-28T22:00", 480)
    by_wall, edited = shown("2026-03-28T22:00", 420), shown("2026-03-28T22:00", 450)
    assert as_ruled(by_wall, ruled, by_wall=True) == ruled
    assert as_ruled(by_wall, ruled) == by_wall
    assert as_ruled(edited, ruled, by_wall=True) == edited
    assert as_ruled(shown("2026-03-28T23:00", 420), ruled, by_wall=True).duration.seconds == 25200


def test_a_skipped_hour_has_two_names() -> None:
    ruled = shown("2026-03-29T02:30", 30)
    assert as_ruled(shown("2026-03-29T03:30", 30), ruled) == ruled
