"""Exceptions of a series as Exchange takes them: none crosses another, and none is lost."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.model import Details, Event, Key, Override, When
from mappings.patterns import EWS, Part, Plan, expand_pattern, plan
from mappings.patterns.assembly import Assembled, assemble
from mappings.patterns.check import difference
from mappings.patterns.model import EndDate
from mappings.patterns.planner import _checked
from mappings.patterns.windows import ZoneSpan
from mappings.recurrence import parse_rule

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
FIRST = When(
    start=datetime.fromisoformat("2027-01-04T09:00"),
    duration=timedelta(hours=1),
    zone="America/New_York",
)
CHANGED = Details(title="changed")


def series(text: str, *overrides: Override, first: When = FIRST) -> Event:
    ordered = tuple(sorted(overrides, key=lambda item: item.key))
    rule = parse_rule(text, first)
    return Event(details=Details(title="standup"), when=first, rule=rule, overrides=ordered)


def moved(day: str, start: str, hours: int = 1, zone: str = "America/New_York") -> Override:
    when = When(start=datetime.fromisoformat(start), duration=timedelta(hours=hours), zone=zone)
    return Override(key=Key(f"{day}T09:00:00"), details=CHANGED, when=when)


def outcome(made: Plan) -> tuple[list[str], list[str], list[str]]:
    """The days deleted, those changed in the series in order, and those that stand alone."""
    (part,) = made.parts
    return (
        [key[:10] for key in part.deletions],
        [item.key[:10] for item in part.overrides],
        [single.occurrence[:10] for single in made.singles],
    )


@pytest.mark.parametrize(
    ("start", "stays"),
    [
        ("2027-01-11T15:00", True),  # later the same day
        ("2027-01-13T09:00", True),  # between its neighbours
        ("2027-01-17T23:00", True),  # the day before the next one, ends at its midnight
        ("2027-01-17T23:30", True),  # reaches into that day, but ends before it begins
        ("2027-01-18T07:00", False),  # the date of the next one
        ("2027-01-19T09:00", False),  # past the next one
        ("2027-01-04T12:00", False),  # the date of the one before
        ("2027-01-01T09:00", False),  # before all
    ],
)
def test_a_move_stays_on_the_series_only_between_its_neighbours(start: str, stays: bool) -> None:
    made = plan(series("FREQ=WEEKLY", moved("2027-01-11", start)), EWS, NOW)
    expected = ([], ["2027-01-11"], []) if stays else (["2027-01-11"], [], ["2027-01-11"])
    assert outcome(made) == expected
    for single in made.singles:
        assert single.when.start == datetime.fromisoformat(start)
        assert single.details == CHANGED


def test_an_occurrence_that_would_last_into_the_next_one_stands_alone() -> None:
    long = moved("2027-01-11", "2027-01-11T09:00", hours=24 * 7 + 1)
    assert outcome(plan(series("FREQ=WEEKLY", long), EWS, NOW))[2] == ["2027-01-11"]
    fits = moved("2027-01-11", "2027-01-11T09:00", hours=24 * 7)
    assert outcome(plan(series("FREQ=WEEKLY", fits), EWS, NOW))[1] == ["2027-01-11"]


def test_a_deleted_neighbour_is_in_nobodys_way() -> None:
    gone = Override(key=Key("2027-01-18T09:00:00"), cancelled=True)
    over = moved("2027-01-11", "2027-01-20T09:00")
    assert outcome(plan(series("FREQ=WEEKLY", gone, over), EWS, NOW)) == (
        ["2027-01-18"], ["2027-01-11"], [],
    )  # fmt: skip


def test_two_that_change_places_do_not_both_stay() -> None:
    one = moved("2027-01-11", "2027-01-18T09:00")
    two = moved("2027-01-18", "2027-01-11T09:00")
    deleted, kept, alone = outcome(plan(series("FREQ=WEEKLY", one, two), EWS, NOW))
    assert deleted == alone
    assert sorted([*kept, *alone]) == ["2027-01-11", "2027-01-18"]
    assert alone


def test_forward_moves_come_from_last_to_first_and_backward_ones_from_first_to_last() -> None:
    later = [moved(f"2027-01-{day:02}", f"2027-01-{day + 2:02}T09:00") for day in (4, 11)]
    earlier = [moved(f"2027-02-{day:02}", f"2027-02-{day - 2:02}T09:00") for day in (8, 15)]
    titled = replace(moved("2027-03-01", "2027-03-01T09:00"), details=CHANGED)
    made = plan(series("FREQ=WEEKLY", *later, *earlier, titled), EWS, NOW)
    assert outcome(made)[1] == [
        "2027-01-11",
        "2027-01-04",
        "2027-02-08",
        "2027-02-15",
        "2027-03-01",
    ]


def test_a_move_in_another_zone_is_compared_on_the_clock_of_the_series() -> None:
    late = moved("2027-01-11", "2027-01-18T10:00", zone="Asia/Tokyo")  # still the 17th in New York
    assert outcome(plan(series("FREQ=WEEKLY", late), EWS, NOW))[1] == ["2027-01-11"]
    early = moved("2027-01-11", "2027-01-18T15:00", zone="Asia/Tokyo")
    assert outcome(plan(series("FREQ=WEEKLY", early), EWS, NOW))[2] == ["2027-01-11"]


def test_an_override_that_the_rule_no_longer_has_stands_alone() -> None:
    orphan = replace(moved("2027-01-12", "2027-01-12T11:00"), key=Key("2027-01-12T09:00:00"))
    assert outcome(plan(series("FREQ=WEEKLY", orphan), EWS, NOW)) == ([], [], ["2027-01-12"])


def test_each_override_goes_to_the_part_that_has_its_occurrence() -> None:
    first = replace(FIRST, start=datetime.fromisoformat("2027-01-01T09:00"))
    fifteenth = moved("2027-03-15", "2027-03-15T12:00")
    gone = Override(key=Key("2027-04-01T09:00:00"), cancelled=True)
    made = plan(series("FREQ=MONTHLY;BYMONTHDAY=1,15", fifteenth, gone, first=first), EWS, NOW)
    parts = {part.key: part for part in made.parts}
    assert [item.key for item in parts["AM:d=15"].overrides] == [fifteenth.key]
    assert parts["AM:d=15"].deletions == ()
    assert parts["AM:d=1"].deletions == (gone.key,)


def test_overrides_of_trimmed_days_do_not_bring_them_back() -> None:
    first = replace(FIRST, start=datetime.fromisoformat("2027-01-31T09:00"))
    february = moved("2027-02-28", "2027-02-28T12:00")
    made = plan(series("FREQ=MONTHLY;BYMONTHDAY=31;COUNT=10", february, first=first), EWS, NOW)
    deleted, kept, alone = outcome(made)
    assert "2027-02-28" in deleted
    assert kept == []
    assert alone == ["2027-02-28"]


shifts = st.lists(
    st.tuples(st.integers(0, 9), st.integers(-20 * 24, 20 * 24), st.integers(1, 100)),
    max_size=6,
    unique_by=lambda shift: shift[0],
)


@given(shifts, st.sampled_from(["FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO,TU"]))
@settings(max_examples=150, deadline=None)
def test_applied_one_by_one_no_occurrence_ever_crosses_another(
    changes: list[tuple[int, int, int]], text: str
) -> None:
    bare = plan(series(text), EWS, NOW).parts[0]
    days = [day for day, _ in zip(_days(bare), range(10), strict=False)]
    overrides = [
        moved(
            day.isoformat(),
            (datetime.combine(day, FIRST.start.time()) + timedelta(hours=shift)).isoformat(),  # type: ignore[union-attr]
            hours,
        )
        for place, shift, hours in changes
        for day in [days[place]]
    ]
    made = plan(series(text, *overrides), EWS, NOW)
    (part,) = made.parts
    clock = datetime.fromisoformat("2027-01-01T09:00").time()
    calendar = {
        Key(f"{day}T09:00:00"): (datetime.combine(day, clock), timedelta(hours=1))
        for day, _ in zip(_days(part), range(60), strict=False)
    }
    for key in part.deletions:
        del calendar[key]
    for item in part.overrides:
        assert item.when is not None
        assert isinstance(item.when.start, datetime)
        calendar[item.key] = (item.when.start, item.when.duration)
        _assert_in_order(calendar)
    assert {item.key for item in part.overrides} | {s.occurrence for s in made.singles} == {
        item.key for item in overrides
    }


def _days(part: Part) -> list[date]:
    start = date.fromisoformat(part.when.key[:10])
    return list(expand_pattern(part.pattern, EndDate(date(2028, 1, 1)), start))


def _assert_in_order(calendar: dict[Key, tuple[datetime, timedelta]]) -> None:
    spans = [calendar[key] for key in sorted(calendar)]
    for (start, length), (following, _) in pairwise(spans):
        assert start + length <= following
        assert start.date() < following.date()


def test_a_plan_that_is_wrong_is_noticed_and_replaced_by_single_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event = series("FREQ=WEEKLY;COUNT=30")
    here = ZoneSpan("Eastern Standard Time", False)
    good = assemble(event, EWS, NOW, here)
    part = good.plan.parts[0]
    wrong = [
        replace(part, bounds=EndDate(date(2027, 6, 1))),
        replace(part, deletions=(Key("2027-01-11T09:00:00"),)),
        replace(part, when=replace(part.when, start=datetime.fromisoformat("2027-01-05T09:00"))),
    ]
    assert difference(event, good.plan, good.without) is None
    for bad in wrong:
        made = replace(good.plan, parts=(bad,))
        assert difference(event, made, frozenset()) is not None
    double = replace(good.plan, parts=(part, replace(part, key="again")))
    assert "2 times" in (difference(event, double, frozenset()) or "")
    broken = Assembled(replace(good.plan, parts=(wrong[0],)), frozenset())
    monkeypatch.setattr("mappings.patterns.planner.assemble", lambda *_: broken)
    made = _checked(event, EWS, NOW, here)
    assert (made.reason or "").startswith("SELF_CHECK: ")
    assert len(made.singles) == 30
