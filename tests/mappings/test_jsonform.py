"""The stored form of an event loses nothing."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import jsonform
from mappings.errors import UnmappableError
from mappings.model import (
    WEEKDAYS,
    Attachment,
    Attendee,
    AttendeeKind,
    Busy,
    Details,
    Event,
    Freq,
    Key,
    Location,
    Loss,
    Override,
    Person,
    Response,
    Rule,
    Status,
    Visibility,
    When,
)

TEXT = st.sampled_from(["", "x", "周会", 'a"\n\x00😀'])
MAYBE = st.none() | TEXT
PEOPLE = st.builds(Person, email=MAYBE, name=TEXT)
DEGREES = st.none() | st.floats(-180, 180, allow_nan=False)
LOCATIONS = st.builds(Location, name=TEXT, address=TEXT, latitude=DEGREES, longitude=DEGREES)
ATTENDEES = st.builds(
    Attendee,
    person=PEOPLE,
    kind=st.sampled_from(AttendeeKind),
    optional=st.booleans(),
    organizer=st.booleans(),
    response=st.sampled_from(Response),
)


def some(items: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=most).map(tuple)


DETAILS = st.builds(
    Details,
    title=TEXT,
    description=TEXT,
    footer=some(TEXT),
    location=st.none() | LOCATIONS,
    visibility=st.sampled_from(Visibility),
    busy=st.sampled_from(Busy),
    color=MAYBE,
    reminders=st.none() | some(st.integers(-100, 20160)),
    attendees=some(ATTENDEES, 2),
    organizer=st.none() | PEOPLE,
    meeting_url=MAYBE,
    attachments=some(st.builds(Attachment, name=TEXT, url=TEXT)),
    status=st.sampled_from(Status),
    response=st.none() | st.sampled_from(Response),
    redacted=st.booleans(),
)
DURATIONS = st.timedeltas(timedelta(0), timedelta(days=3000))
WHENS = st.builds(
    When,
    start=st.dates() | st.datetimes().map(lambda start: start.replace(fold=0)),
    duration=DURATIONS,
    zone=MAYBE,
    end_zone=MAYBE,
    fold=st.integers(0, 1),
)
KEYS = st.sampled_from([Key("2026-11-23"), Key("2026-11-23T09:00:00")])
NUMBERS = some(st.integers(-366, 366))
RULES = st.builds(
    Rule,
    freq=st.sampled_from(Freq),
    interval=st.integers(1, 99),
    by_month=NUMBERS,
    by_week_no=NUMBERS,
    by_year_day=NUMBERS,
    by_month_day=NUMBERS,
    by_day=some(st.tuples(st.integers(-5, 5), st.sampled_from(WEEKDAYS))),
    by_hour=NUMBERS,
    by_minute=NUMBERS,
    by_second=NUMBERS,
    by_set_pos=NUMBERS,
    week_start=st.sampled_from(WEEKDAYS),
    until=st.none() | KEYS,
    count=st.none() | st.integers(1, 99),
)
OVERRIDES = st.builds(
    Override,
    key=KEYS,
    cancelled=st.booleans(),
    details=st.none() | DETAILS,
    when=st.none() | WHENS,
)
EVENTS = st.builds(
    Event,
    details=DETAILS,
    when=WHENS,
    rule=st.none() | RULES,
    rdates=some(KEYS),
    overrides=some(OVERRIDES, 2),
    uid=MAYBE,
)


@settings(max_examples=100, deadline=None)
@given(EVENTS)
def test_an_event_survives_being_stored_whole(event: Event) -> None:
    stored = json.dumps(jsonform.event_to_json(event))
    back = jsonform.event_from_json(json.loads(stored))
    assert repr(back) == repr(event)  # equality would overlook `uid` and `count`


@given(st.builds(Loss, field=TEXT, detail=TEXT))
def test_a_loss_survives_being_stored(loss: Loss) -> None:
    assert jsonform.loss_from_json(jsonform.loss_to_json(loss)) == loss


BARE = {"when": {"start": "2026-11-23T09:00:00", "duration": 3600, "zone": "UTC"}}


def test_what_is_not_there_has_its_default_and_what_is_unknown_is_ignored() -> None:
    event = jsonform.event_from_json({**BARE, "colour": "red", "details": {"mood": 1}})
    assert event.details == Details()
    assert not event.recurring
    assert jsonform.event_to_json(event) == {"v": 1, "details": {}, **BARE}


def test_an_all_day_start_stays_a_date() -> None:
    event = jsonform.event_from_json({"when": {"start": "2026-11-23", "duration": 86400}})
    assert event.when.all_day


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"when": None},
        {"when": {"start": "soon", "duration": 1}},
        {"when": {"start": "2026-11-23"}},
        {**BARE, "v": 2},
        {**BARE, "details": {"busy": "sleepy"}},
        {**BARE, "rule": {"freq": "NEVER"}},
        {**BARE, "overrides": [{}]},
        {**BARE, "overrides": [None]},
    ],
)
def test_a_record_of_another_form_is_refused_with_its_code(data: dict[str, object]) -> None:
    with pytest.raises(UnmappableError) as caught:
        jsonform.event_from_json(data)
    assert caught.value.code == "MALFORMED"
