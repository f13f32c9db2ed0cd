"""Whatever Google or Exchange can hold stands in Feishu exactly, occurrence by occurrence."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from connectors.contract import Copy, fetch_again
from mappings import exchange, feishu, google, merge, recurrence, zones
from mappings.limits import TargetLimits
from mappings.model import Busy, Details, Event, Key, Location, Override, Status, Visibility, When
from mappings.policy import Policy
from mappings.projection import project

SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
RULES = (
    "FREQ=DAILY;COUNT=6",
    "FREQ=DAILY;INTERVAL=3;UNTIL=20260601T000000Z",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR",
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,TU;COUNT=9",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=7",
    "FREQ=MONTHLY;BYDAY=2TU,-1FR",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=YEARLY;BYMONTH=3,9;BYDAY=1SU",
    "FREQ=YEARLY;BYWEEKNO=10,20;BYDAY=TH;COUNT=4",
    "FREQ=YEARLY;BYYEARDAY=60,120,-1;COUNT=5",
    "FREQ=DAILY;BYHOUR=9,15;COUNT=8",
    "FREQ=HOURLY;INTERVAL=5;COUNT=7",
)
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
DETAILS = st.builds(
    Details,
    title=st.sampled_from(["Review", "Büro 会议 🎂", "a < b", ""]),
    description=st.sampled_from(["", "one\ntwo", "<b>Agenda</b><ul><li>one</li></ul>", "a & b"]),
    location=st.none() | st.just(Location(name="Room 1")),
    visibility=st.sampled_from(Visibility),
    busy=st.sampled_from(Busy),
    color=st.sampled_from([None, "#a4bdfc", "#dc2127"]),
    reminders=st.sampled_from([None, (), (10,), (0, 60, 1440)]),
    status=st.sampled_from(Status),
)
LENGTHS = st.sampled_from([0, 30, 60, 23 * 60, 3 * 24 * 60 + 15])
FROM = st.sampled_from([google.LIMITS, exchange.LIMITS])


@st.composite
def events(draw: st.DrawFn) -> Event:
    """A single event or a series with exceptions and, from Google, with extra dates."""
    if draw(st.booleans()):
        day = draw(st.dates(date(2026, 2, 1), date(2026, 5, 1)))
        when = When(start=day, duration=timedelta(days=draw(st.integers(1, 3))))
    else:
        zone = draw(st.sampled_from(ZONES))
        drawn = draw(st.datetimes(datetime(2026, 2, 1), datetime(2026, 5, 1)))  # noqa: DTZ001
        wall, fold = zones.wall(zones.instant(drawn.replace(second=0, microsecond=0), zone), zone)
        when = When(start=wall, duration=timedelta(minutes=draw(LENGTHS)), zone=zone, fold=fold)
    event = Event(details=draw(DETAILS), when=when)
    rule = draw(st.none() | st.sampled_from(RULES))
    if rule is not None:
        assume(not (when.all_day and ("HOUR" in rule)))
        event = recurrence.rebase(replace(event, rule=recurrence.parse_rule(rule, when)))
    off = draw(st.lists(st.integers(1, 60), max_size=3, unique=True))
    event = replace(event, rdates=tuple(sorted(near(event.when, days) for days in off)))
    event = recurrence.tidy(event)
    if not event.recurring:
        return event
    keys = list(recurrence.keys(event.rule, event.rdates, event.when, limit=6))
    chosen = draw(st.lists(st.sampled_from(keys), max_size=3, unique=True))
    strangers = [near(event.when, days) for days in draw(st.lists(st.integers(61, 70), max_size=1))]
    overrides = [draw(exceptions(event, key, off_rule=key in strangers))
                 for key in dict.fromkeys([*chosen, *strangers])]  # fmt: skip
    return recurrence.tidy(replace(event, overrides=tuple(overrides)))


@st.composite
def exceptions(draw: st.DrawFn, event: Event, key: Key, *, off_rule: bool) -> Override:
    if not off_rule and draw(st.booleans()):
        return Override(key=key, cancelled=True)
    when = recurrence.when_of(event, key)
    shift = timedelta(days=draw(st.integers(-3, 3)))
    return Override(key=key, details=draw(DETAILS), when=replace(when, start=when.start + shift))


def near(when: When, days: int) -> Key:
    return replace(when, start=when.start + timedelta(days=days), fold=0).key


def projected(event: Event, *chain: TargetLimits) -> Event:
    for limits in chain:
        shown = project(event, Policy(), limits).event
        assume(shown is not None)
        assert shown is not None
        event = shown
    return event


def happenings(event: Event) -> list[tuple[str, str, str]]:
    return sorted(
        (str(each.start), str(each.end), each.details.title)
        for each in recurrence.expand(event, SINCE, UNTIL)
    )


@pytest.fixture(scope="module")
def feishu_side(lasting_bench: Any) -> tuple[Any, Any]:
    ann = lasting_bench.sandbox.add_user("Ann", "ann@example.com")
    return lasting_bench, lasting_bench.connect(ann)


NUMBERS = count()


def stands(side: Any, copy: Copy, wanted: Event) -> None:
    """The unit is `wanted`, says Feishu's expansion, and whoever reads it again."""
    _, connector = side
    mine = sorted(
        (str(each.start), str(each.end), each.details.title)
        for ref, each in connector.occurrences("primary", SINCE, UNTIL)
        if ref == copy.ref
    )
    assert mine == happenings(wanted)
    differing = merge.changes(copy.event, wanted).keys() - {("color",)}
    assert {path for path in differing if path[-1] not in ("organizer", "color")} == set()
    assert fetch_again(connector, "primary", copy.ref, copy) == copy


@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(source=FROM, first=events(), second=events())
def test_everything_stands_at_feishu_as_it_stands_there(
    feishu_side: Any, source: TargetLimits, first: Event, second: Event
) -> None:
    bench, connector = feishu_side
    theirs = projected(first, source)
    wanted = projected(theirs, feishu.LIMITS)
    assert [line[:2] for line in happenings(wanted)] == [line[:2] for line in happenings(theirs)]
    # Before anything is written: an example that is turned down here leaves nothing behind.
    later = projected(second, source, feishu.LIMITS)
    key = sha256(str(next(NUMBERS)).encode()).hexdigest()
    copy = connector.create("primary", wanted, key)
    stands(feishu_side, copy, wanted)
    copy = connector.update("primary", copy, later)
    stands(feishu_side, copy, later)
    before = len(bench.sandbox.calls())
    assert connector.update("primary", copy, copy.event) == copy
    assert len(bench.sandbox.calls()) == before
    connector.delete("primary", copy)
    assert list(connector.occurrences("primary", SINCE, UNTIL)) == []
    assert bench.sandbox.mails == []
