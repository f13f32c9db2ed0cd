from copy import deepcopy
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from mappings import google, recurrence
from mappings.errors import UnmappableError
from mappings.model import (
    Attachment,
    Attendee,
    AttendeeKind,
    Busy,
    Details,
    Event,
    Key,
    Location,
    Override,
    Person,
    Response,
    Status,
    Visibility,
    When,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def wire(**changes: Any) -> dict[str, Any]:
    """A meeting on Monday 09:00 in Shanghai, as the organiser's own calendar shows it."""
    event: dict[str, Any] = {
        "kind": "calendar#event",
        "etag": '"3599999999998000"',
        "id": "0f3c9a",
        "status": "confirmed",
        "htmlLink": "https://calendar.example.com/event?eid=x",
        "summary": "Weekly",
        "creator": {"email": "alice@example.com", "self": True},
        "organizer": {"email": "alice@example.com", "self": True},
        "start": {"dateTime": "2027-02-01T09:00:00+08:00", "timeZone": "Asia/Shanghai"},
        "end": {"dateTime": "2027-02-01T10:00:00+08:00", "timeZone": "Asia/Shanghai"},
        "iCalUID": "0f3c9a@google.com",
        "sequence": 3,
        "reminders": {"useDefault": True},
        "eventType": "default",
    }
    return {name: value for name, value in (event | changes).items() if value is not ...}


MONDAY = When(start=at("2027-02-01T09:00"), duration=HOUR, zone="Asia/Shanghai")
ALICE = Person(email="alice@example.com")


def test_a_plain_event_is_read() -> None:
    event = google.decode(wire())
    assert event == Event(details=Details(title="Weekly", organizer=ALICE), when=MONDAY)
    assert event.uid == "0f3c9a@google.com"


def test_every_detail_is_read() -> None:
    details = google.decode(
        wire(
            summary=" Planning ",
            description="Agenda:<br><strong>budget</strong>",
            location="Room 1",
            visibility="confidential",
            transparency="transparent",
            colorId="11",
            status="tentative",
            reminders={"useDefault": False, "overrides": [{"method": "popup", "minutes": 30},
                                                          {"method": "email", "minutes": 10}]},
            attendees=[
                {"email": "alice@example.com", "self": True, "organizer": True,
                 "responseStatus": "accepted"},
                {"email": "Bob@Example.com", "displayName": "Bob", "optional": True,
                 "responseStatus": "declined"},
                {"email": "room@resource.calendar.google.com", "resource": True},
            ],
            conferenceData={"entryPoints": [
                {"entryPointType": "phone", "uri": "tel:+1"},
                {"entryPointType": "video", "uri": "https://meet.example.com/1"},
            ]},
            hangoutLink="https://meet.example.com/2",
            attachments=[{"fileUrl": "https://drive.example.com/1", "title": "plan.pdf"}],
        )
    ).details  # fmt: skip
    assert details == Details(
        title="Planning",
        description="Agenda:<br><b>budget</b>",
        location=Location(name="Room 1"),
        visibility=Visibility.PRIVATE,
        busy=Busy.FREE,
        color="#dc2127",
        reminders=(10, 30),
        attendees=(
            Attendee(person=ALICE, organizer=True, response=Response.ACCEPTED),
            Attendee(person=Person(email="bob@example.com", name="Bob"), optional=True,
                     response=Response.DECLINED),
            Attendee(person=Person(email="room@resource.calendar.google.com"),
                     kind=AttendeeKind.ROOM),
        ),
        organizer=ALICE,
        meeting_url="https://meet.example.com/1",
        attachments=(Attachment(name="plan.pdf", url="https://drive.example.com/1"),),
        status=Status.TENTATIVE,
        response=Response.ACCEPTED,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("start", "end", "zone", "when"),
    [
        ({"date": "2027-02-01"}, {"date": "2027-02-03"}, None,
         When(start=date(2027, 2, 1), duration=2 * DAY)),
        ({"dateTime": "2027-02-01T01:00:00Z"}, {"dateTime": "2027-02-01T02:00:00Z"},
         "Asia/Shanghai", MONDAY),
        ({"dateTime": "2027-02-01T01:00:00Z"}, {"dateTime": "2027-02-01T02:00:00Z"}, None,
         replace(MONDAY, start=at("2027-02-01T01:00"), zone="UTC")),
        ({"dateTime": "2027-02-01T09:00:00", "timeZone": "Asia/Shanghai"},
         {"dateTime": "2027-02-01T11:00:00", "timeZone": "Asia/Tokyo"}, None,
         replace(MONDAY, end_zone="Asia/Tokyo")),
        ({"dateTime": "2026-11-01T01:30:00-05:00", "timeZone": "America/New_York"},
         {"dateTime": "2026-11-01T02:30:00-05:00", "timeZone": "America/New_York"}, None,
         When(start=at("2026-11-01T01:30"), duration=HOUR, zone="America/New_York", fold=1)),
    ],
)  # fmt: skip
def test_times_are_read_as_wall_clock_and_zone(
    start: dict[str, str], end: dict[str, str], zone: str | None, when: When
) -> None:
    assert google.decode(wire(start=start, end=end), zone).when == when


def test_the_second_of_two_equal_wall_clocks_is_written_with_its_offset() -> None:
    when = When(start=at("2026-11-01T01:30"), duration=HOUR, zone="America/New_York", fold=1)
    body = google.encode(Event(details=Details(), when=when), id="abcde", origin_mark="abcde")
    assert body["start"]["dateTime"] == "2026-11-01T01:30:00-05:00"
    assert google.decode(body).when == when


@pytest.mark.parametrize(
    ("type_", "busy"),
    [("outOfOffice", Busy.AWAY), ("workingLocation", Busy.ELSEWHERE), ("focusTime", Busy.BUSY),
     ("fromGmail", Busy.BUSY), ("birthday", Busy.FREE)],
)  # fmt: skip
def test_special_events_show_how_busy_they_make_somebody(type_: str, busy: Busy) -> None:
    transparency = "transparent" if type_ == "birthday" else ...
    assert google.decode(wire(eventType=type_, transparency=transparency)).details.busy is busy


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"end": ...}, "NO_END"),
        ({"start": {"dateTime": "soon"}}, "MALFORMED"),
        ({"start": {}}, "MALFORMED"),
        ({"start": {"dateTime": "2027-02-01T09:00:00+08:00", "timeZone": "Mars/Olympus"}},
         "ZONE_UNKNOWN"),
        ({"recurrence": ["RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"]}, "RULE_INVALID"),
        ({"recurrence": ["EXRULE:FREQ=DAILY"]}, "RULE_INVALID"),
        ({"recurrence": ["RRULE:FREQ=DAILY", "EXDATE:soon"]}, "RULE_INVALID"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_says_why(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(UnmappableError) as caught:
        google.decode(wire(**changes))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "line",
    [
        "EXDATE;TZID=Asia/Shanghai:20270208T090000,20270215T090000",
        'EXDATE;TZID="Asia/Tokyo":20270208T100000,20270215T100000',
        "EXDATE:20270208T010000Z,20270215T010000Z",
        "EXDATE;VALUE=DATE:20270208,20270215",
        "exdate;tzid=Asia/Shanghai:20270208T090000,20270215T090000",
    ],
)
def test_removed_dates_are_understood_in_every_spelling(line: str) -> None:
    event = google.decode(wire(recurrence=["RRULE:FREQ=WEEKLY;BYDAY=MO", line]))
    assert event.overrides == (
        Override(key=Key("2027-02-08T09:00:00"), cancelled=True),
        Override(key=Key("2027-02-15T09:00:00"), cancelled=True),
    )


def test_extra_dates_stand_without_a_rule() -> None:
    event = google.decode(
        wire(recurrence=["RDATE;TZID=Asia/Shanghai:20270203T090000,20270201T090000"])
    )
    assert event.rule is None
    assert event.rdates == (Key("2027-02-03T09:00:00"),)
    assert event.recurring


def test_an_insert_holds_rule_extra_and_removed_dates() -> None:
    rule = recurrence.parse_rule("FREQ=WEEKLY;BYDAY=MO;COUNT=4", MONDAY)
    event = Event(
        details=Details(title="x"),
        when=MONDAY,
        rule=rule,
        rdates=(Key("2027-02-03T09:00:00"),),
        overrides=(Override(key=Key("2027-02-08T09:00:00"), cancelled=True),),
    )
    body = google.encode(event, id="abcde", origin_mark="abcde")
    assert body["recurrence"] == [
        "RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=4",
        "RDATE:20270203T010000Z",
        "EXDATE:20270208T010000Z",
    ]
    assert google.decode(body) == event


def test_an_insert_names_its_own_id_and_leaves_a_private_mark() -> None:
    body = google.encode(Event(details=Details(), when=MONDAY), id="abcde", origin_mark="f00")
    assert body["id"] == "abcde"
    assert body["extendedProperties"] == {"private": {"calbridge": "f00"}}
    assert google.origin(body) == "f00"
    assert google.origin(wire()) is None
    assert "attendees" not in body


def test_all_day_series_are_written_with_dates() -> None:
    when = When(start=date(2027, 2, 1), duration=DAY)
    event = Event(
        details=Details(),
        when=when,
        rule=recurrence.parse_rule("FREQ=DAILY;UNTIL=20270210", when),
        overrides=(Override(key=Key("2027-02-03"), cancelled=True),),
    )
    body = google.encode(event, id="abcde", origin_mark="m")
    assert body["start"] == {"date": "2027-02-01"}
    assert body["end"] == {"date": "2027-02-02"}
    assert body["recurrence"] == ["RRULE:FREQ=DAILY;UNTIL=20270210", "EXDATE;VALUE=DATE:20270203"]
    assert google.decode(body) == event


FOREIGN = wire(
    description="text",
    colorId="11",
    conferenceData={"entryPoints": [{"entryPointType": "video", "uri": "https://x.example"}]},
    extendedProperties={"private": {"calbridge": "m", "other": "1"}, "shared": {"s": "2"}},
    guestsCanModify=True,
    somethingNew={"deep": [1]},
    reminders={"useDefault": False, "overrides": [{"method": "email", "minutes": 10}]},
    attendees=[{"email": "bob@example.com", "comment": "hi", "responseStatus": "accepted"}],
)


def test_an_update_keeps_whatever_did_not_change() -> None:
    before = deepcopy(FOREIGN)
    event = google.decode(FOREIGN)
    assert google.merge_into(FOREIGN, event, event) == FOREIGN
    new = replace(event, details=replace(event.details, title="New"))
    assert google.merge_into(FOREIGN, event, new) == FOREIGN | {"summary": "New"}
    assert before == FOREIGN


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({"description": ""}, {"description": ""}),
        ({"location": Location(name="Room", address="1 Road")}, {"location": "Room, 1 Road"}),
        ({"color": "#ff0000"}, {"colorId": "11"}),
        ({"color": None}, {"colorId": ...}),
        ({"busy": Busy.FREE}, {"transparency": "transparent"}),
        ({"visibility": Visibility.PRIVATE}, {"visibility": "private"}),
        ({"status": Status.TENTATIVE}, {"status": "tentative"}),
        ({"reminders": None}, {"reminders": {"useDefault": True}}),
        ({"reminders": (5,)}, {"reminders": {"useDefault": False, "overrides": [
            {"method": "popup", "minutes": 5}]}}),
        ({"attendees": ()}, {"attendees": ...}),
        ({"attendees": (Attendee(person=Person(email="bob@example.com"), optional=True),
                        Attendee(person=Person(email="carol@example.com", name="Carol")))},
         {"attendees": [
             {"email": "bob@example.com", "comment": "hi", "responseStatus": "needsAction",
              "optional": True},
             {"email": "carol@example.com", "displayName": "Carol",
              "responseStatus": "needsAction"}]}),
    ],
)  # fmt: skip
def test_an_update_changes_one_field_alone(changes: dict[str, Any], body: dict[str, Any]) -> None:
    event = google.decode(FOREIGN)
    new = replace(event, details=replace(event.details, **changes))
    expected = {name: value for name, value in (FOREIGN | body).items() if value is not ...}
    assert google.merge_into(FOREIGN, event, new) == expected


SERIES = wire(
    recurrence=["RRULE:FREQ=WEEKLY;BYDAY=MO", "EXDATE;TZID=Asia/Shanghai:20270208T090000"]
)
GONE_INSTANCE = Override(key=Key("2027-02-15T09:00:00"), cancelled=True)


def test_an_update_adds_newly_removed_occurrences_as_exdates() -> None:
    old = google.decode(SERIES)
    old = replace(old, overrides=(*old.overrides, GONE_INSTANCE))
    assert google.merge_into(SERIES, old, old)["recurrence"] == SERIES["recurrence"]
    gone = Override(key=Key("2027-02-22T09:00:00"), cancelled=True)
    new = replace(old, overrides=(*old.overrides, gone))
    assert google.merge_into(SERIES, old, new)["recurrence"] == [
        "RRULE:FREQ=WEEKLY;BYDAY=MO",
        "EXDATE:20270208T010000Z,20270222T010000Z",
    ]


def test_an_update_takes_back_an_exdate() -> None:
    old = google.decode(SERIES)
    assert google.exdates(SERIES, old.when) == {"2027-02-08T09:00:00"}
    body = google.merge_into(SERIES, old, replace(old, overrides=()))
    assert body["recurrence"] == ["RRULE:FREQ=WEEKLY;BYDAY=MO"]


def test_an_update_turns_a_series_into_a_single_event() -> None:
    old = google.decode(SERIES)
    assert "recurrence" not in google.merge_into(SERIES, old, replace(old, rule=None, overrides=()))


def test_a_moved_series_takes_its_removed_dates_along() -> None:
    old = google.decode(SERIES)
    later = replace(
        old,
        when=replace(MONDAY, start=at("2027-02-01T10:00")),
        overrides=(Override(key=Key("2027-02-08T10:00:00"), cancelled=True),),
    )
    body = google.merge_into(SERIES, old, later)
    assert body["start"] == {"dateTime": "2027-02-01T10:00:00", "timeZone": "Asia/Shanghai"}
    assert google.decode(body) == later


EXCEPTION = wire(
    id="0f3c9a_20270215T010000Z",
    recurringEventId="0f3c9a",
    originalStartTime={"dateTime": "2027-02-15T09:00:00+08:00", "timeZone": "Asia/Shanghai"},
    start={"dateTime": "2027-02-16T09:00:00+08:00", "timeZone": "Asia/Shanghai"},
    end={"dateTime": "2027-02-16T10:00:00+08:00", "timeZone": "Asia/Shanghai"},
    custom="kept",
)


def test_a_moved_instance_keeps_the_key_of_its_original_start() -> None:
    override = google.decode_override(EXCEPTION, MONDAY)
    assert override.key == "2027-02-15T09:00:00"
    assert override.when == replace(MONDAY, start=at("2027-02-16T09:00"))
    cancelled = {name: EXCEPTION[name] for name in ("id", "recurringEventId", "originalStartTime")}
    assert google.decode_override(cancelled | {"status": "cancelled"}, MONDAY) == Override(
        key=Key("2027-02-15T09:00:00"), cancelled=True
    )


@pytest.mark.parametrize(
    ("original", "series", "key"),
    [
        ({"date": "2027-02-15"}, When(start=date(2027, 2, 1), duration=DAY), "2027-02-15"),
        ({"date": "2027-02-15"}, MONDAY, "2027-02-15T09:00:00"),
        ({"dateTime": "2027-02-15T00:00:00+08:00"}, When(start=date(2027, 2, 1), duration=DAY),
         "2027-02-15"),
        ({"dateTime": "2027-02-15T01:00:00Z"}, MONDAY, "2027-02-15T09:00:00"),
        ({"dateTime": "2027-02-15T09:00:00", "timeZone": "Asia/Shanghai"}, MONDAY,
         "2027-02-15T09:00:00"),
    ],
)  # fmt: skip
def test_the_original_start_is_understood_in_every_spelling(
    original: dict[str, str], series: When, key: str
) -> None:
    assert google.key_of({"originalStartTime": original}, series) == key


def test_an_exception_without_original_start_is_malformed() -> None:
    with pytest.raises(UnmappableError, match="MALFORMED"):
        google.key_of({"recurringEventId": "x"}, MONDAY)


@pytest.mark.parametrize(
    ("base", "key", "series", "id_"),
    [
        ("0f3c9a", "2027-02-15T09:00:00", MONDAY, "0f3c9a_20270215T010000Z"),
        ("0f3c9a_R20270201T010000", "2027-02-15T09:00:00", MONDAY, "0f3c9a_20270215T010000Z"),
        ("0f3c9a", "2027-02-15", When(start=date(2027, 2, 1), duration=DAY), "0f3c9a_20270215"),
    ],
)
def test_instance_ids_end_in_the_original_start(
    base: str, key: str, series: When, id_: str
) -> None:
    assert google.instance_id(base, Key(key), series) == id_


def test_an_instance_is_written_over_what_it_was() -> None:
    series = google.decode(SERIES)
    override = google.decode_override(EXCEPTION, MONDAY)
    assert override.details is not None
    renamed = replace(override, details=replace(override.details, title="Special"))
    body = google.encode_override(EXCEPTION, series, renamed)
    assert body["summary"] == "Special"
    assert body["custom"] == "kept"
    assert body["start"]["dateTime"] == "2027-02-16T09:00:00"
    assert google.decode_override(body, MONDAY) == renamed


def test_a_first_exception_inherits_from_the_master() -> None:
    master = SERIES | {"custom": "kept", "guestsCanModify": True}
    series = google.decode(master)
    override = Override(
        key=Key("2027-02-15T09:00:00"),
        details=replace(series.details, title="Special"),
        when=replace(MONDAY, start=at("2027-02-16T09:00")),
    )
    body = google.encode_override(master, series, override)
    assert (body["custom"], body["guestsCanModify"], body["summary"]) == ("kept", True, "Special")
    assert body.keys().isdisjoint({"recurrence", "id", "etag"})


def test_a_cancelled_instance_comes_back_whole() -> None:
    series = google.decode(SERIES)
    dead = {name: EXCEPTION[name] for name in ("id", "recurringEventId", "originalStartTime")}
    override = Override(key=Key("2027-02-15T09:00:00"), details=series.details, when=MONDAY)
    body = google.encode_override(dead | {"status": "cancelled"}, series, override)
    assert body["status"] == "confirmed"
    assert body["summary"] == "Weekly"


@pytest.mark.parametrize(
    ("changes", "organized"),
    [
        ({}, True),
        ({"organizer": {"email": "bob@example.com"}}, False),
        ({"organizer": {"email": "bob@example.com"}, "privateCopy": True}, True),
        ({"locked": True}, False),
        ({"organizer": ...}, True),
    ],
)
def test_only_the_organiser_may_change_everything(changes: dict[str, Any], organized: bool) -> None:
    assert google.organized(wire(**changes)) is organized


def test_on_a_secondary_calendar_the_person_is_the_creator() -> None:
    event = google.decode(
        wire(organizer={"email": "x@group.calendar.google.com", "displayName": "Team",
                        "self": True})
    )  # fmt: skip
    assert event.details.organizer == ALICE


@pytest.mark.parametrize(
    ("changes", "redacted"),
    [
        ({"summary": ..., "visibility": "private", "organizer": ..., "creator": ...}, True),
        ({"summary": ..., "visibility": "private"}, False),
        ({"summary": ...}, False),
        ({"visibility": "private", "organizer": ..., "creator": ...}, False),
    ],
)
def test_withheld_details_are_told_from_empty_ones(changes: dict[str, Any], redacted: bool) -> None:
    assert google.decode(wire(**changes)).details.redacted is redacted
