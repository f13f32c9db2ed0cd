"""Calendar items of Exchange mean what the model says, and the reverse."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.testing.builders import at, event
from mappings import exchange, exchange_recurrence, exchange_units
from mappings import exchange_joining as joining
from mappings.errors import UnmappableError
from mappings.exchange import Zoning
from mappings.exchange_units import Mark
from mappings.model import (
    Attendee,
    AttendeeKind,
    Busy,
    Details,
    Event,
    Key,
    Location,
    Person,
    Response,
    Visibility,
    When,
)
from mappings.patterns import (
    AbsoluteMonthly,
    AbsoluteYearly,
    Daily,
    EndDate,
    NoEnd,
    Numbered,
    RelativeMonthly,
    RelativeYearly,
    Weekly,
)

BERLIN = Zoning(mailbox="Europe/Berlin")
NOW = datetime(2026, 2, 1, tzinfo=UTC)
WIRE: dict[str, Any] = {
    "ItemId": {"@Id": "I1", "@ChangeKey": "C1"},
    "Subject": "Lunch",
    "Sensitivity": "Normal",
    "Body": {"@BodyType": "HTML", "#": "<html>\r\n<body>\r\none<br>\r\ntwo\r\n</body></html>"},
    "ReminderIsSet": "true",
    "ReminderMinutesBeforeStart": "15",
    "Start": "2026-03-02T11:00:00Z",
    "End": "2026-03-02T12:00:00Z",
    "IsAllDayEvent": "false",
    "LegacyFreeBusyStatus": "OOF",
    "Location": "Room 1",
    "StartTimeZone": {"@Id": "W. Europe Standard Time"},
    "EndTimeZone": {"@Id": "W. Europe Standard Time"},
}


def shown(zoning: Zoning = BERLIN, **changes: Any) -> Event:
    wire = {name: value for name, value in (WIRE | changes).items() if value is not None}
    return exchange.decode(wire, zoning).event


def round_trip(wanted: Event, mailbox: str = "Europe/Berlin") -> Event:
    (draft,) = exchange_units.drafts(wanted, mailbox=mailbox, now=NOW, generation=1, uid="u")
    wire = {name: value for name, value in draft.fields.items() if value is not None}
    mark = Mark.read(draft.mark.write(), mailbox)
    assert mark == draft.mark
    held = exchange_units.held(exchange.decode(wire, mark.zoning), mark, ())
    return joining.assembled([held])


def test_an_item_is_read_field_by_field() -> None:
    assert shown() == Event(
        details=Details(
            title="Lunch",
            description="one\ntwo",
            location=Location(name="Room 1"),
            busy=Busy.AWAY,
            reminders=(15,),
        ),
        when=at("2026-03-02T12:00", "Europe/Berlin"),
    )


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"Sensitivity": "Personal"}, "visibility", Visibility.PRIVATE),
        ({"Sensitivity": "Confidential"}, "visibility", Visibility.PRIVATE),
        ({"LegacyFreeBusyStatus": "NoData"}, "busy", Busy.BUSY),
        ({"LegacyFreeBusyStatus": "WorkingElsewhere"}, "busy", Busy.ELSEWHERE),
        ({"ReminderIsSet": "0"}, "reminders", ()),
        ({"Location": ""}, "location", None),
        ({"Body": {"@BodyType": "Text", "#": "a < b\r\nc"}}, "description", "a < b\nc"),
        ({"Body": None}, "description", ""),
        ({"JoinOnlineMeetingUrl": "https://m.example/1"}, "meeting_url", "https://m.example/1"),
        ({"Subject": None, "Body": None, "Sensitivity": "Private"}, "redacted", True),
    ],
)
def test_a_property_means_what_outlook_shows(
    changes: dict[str, Any], field: str, value: Any
) -> None:
    assert getattr(shown(**changes).details, field) == value


def test_guests_keep_their_answers_and_hidden_addresses_stay_hidden() -> None:
    guest = {"Mailbox": {"Name": "Bo", "EmailAddress": "Bo@Example.com"}, "ResponseType": "Accept"}
    hidden = {"Mailbox": {"Name": "Old", "EmailAddress": "/O=ORG/CN=OLD", "RoutingType": "EX"}}
    room = {"Mailbox": {"EmailAddress": "room@example.com"}}
    details = shown(
        RequiredAttendees={"Attendee": [guest, hidden]},
        Resources={"Attendee": room},
        Organizer={"Mailbox": {"Name": "Ann", "EmailAddress": "ann@example.com"}},
        IsMeeting="true",
        MyResponseType="Tentative",
    ).details
    bo = Person(email="bo@example.com", name="Bo")
    assert details.attendees == (
        Attendee(person=bo, response=Response.ACCEPTED),
        Attendee(person=Person(name="Old")),
        Attendee(person=Person(email="room@example.com"), kind=AttendeeKind.ROOM),
    )
    assert details.organizer == Person(email="ann@example.com", name="Ann")
    assert details.response is Response.TENTATIVE


@pytest.mark.parametrize("changes", [{"End": None}, {"Start": "soon"}, {"Start": "2026-03-02"}])
def test_an_item_that_makes_no_sense_is_unmappable(changes: dict[str, Any]) -> None:
    with pytest.raises(UnmappableError):
        shown(**changes)


@pytest.mark.parametrize("zone", ["tzone://Microsoft/Custom", "Customized Time Zone", ""])
def test_a_single_event_in_a_nameless_zone_keeps_its_instant(zone: str) -> None:
    assert shown(StartTimeZone={"@Id": zone}).when == at("2026-03-02T12:00", "Europe/Berlin")


def test_a_series_in_a_nameless_zone_is_not_guessed_at() -> None:
    rule = {"DailyRecurrence": {"Interval": "1"}, "NoEndRecurrence": {"StartDate": "2026-03-02"}}
    with pytest.raises(UnmappableError, match="ZONE_UNKNOWN"):
        shown(StartTimeZone={"@Id": "tzone://Microsoft/Custom"}, Recurrence=rule)


ZONES = ["Asia/Shanghai", "Asia/Urumqi", "Europe/Kyiv", "America/Vancouver", "UTC",
         "Asia/Kolkata", "Etc/GMT-8", "Antarctica/Troll", "Asia/Kathmandu"]  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
def test_a_zone_comes_back_as_it_was_meant(zone: str) -> None:
    wanted = event(start="2026-07-01T09:30", zone=zone, reminders=())
    assert round_trip(wanted) == wanted


def test_a_zone_that_somebody_changed_in_outlook_is_the_new_one() -> None:
    zoning = replace(BERLIN, source="Asia/Urumqi", source_windows="Central Asia Standard Time")
    assert shown(zoning).when == at("2026-03-02T12:00", "Europe/Berlin")


@pytest.mark.parametrize("mailbox", ["Pacific/Auckland", "America/Los_Angeles", "Asia/Beirut"])
@pytest.mark.parametrize("day", ["2026-03-28", "2026-03-29", "2026-10-25", "2026-12-31"])
def test_days_are_days_of_the_mailbox_wherever_it_is(mailbox: str, day: str) -> None:
    wanted = event(start=day, days=2, reminders=())
    assert round_trip(wanted, mailbox) == wanted


def test_days_of_another_zone_are_still_days() -> None:
    wire = {
        "IsAllDayEvent": "true",
        "Start": "2026-03-01T16:00:00Z",
        "End": "2026-03-03T16:00:00Z",
        "StartTimeZone": {"@Id": "China Standard Time"},
    }
    assert shown(**wire).when == When(start=date(2026, 3, 2), duration=timedelta(days=2))


def test_the_second_of_two_equal_hours_stays_the_second() -> None:
    when = at("2026-10-25T02:30", "Europe/Berlin", fold=1)
    wanted = Event(details=Details(reminders=()), when=when)
    assert round_trip(wanted) == wanted


PATTERNS = [
    Daily(3),
    Weekly(2, ("MO", "WE"), "SU"),
    AbsoluteMonthly(1, 31),
    RelativeMonthly(2, ("MO", "TU", "WE", "TH", "FR"), -1),
    RelativeMonthly(1, ("SA", "SU"), 2),
    AbsoluteYearly(2, 29),
    RelativeYearly(11, ("TH",), 4),
]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("bounds", [NoEnd(), EndDate(date(2027, 1, 1)), Numbered(9)])
def test_every_pattern_and_range_is_written_and_read(pattern: Any, bounds: Any) -> None:
    start = date(2026, 3, 2)
    wire = exchange_recurrence.encode(pattern, bounds, start)
    assert exchange_recurrence.decode(wire) == (pattern, bounds, start)


def test_dates_with_offsets_and_words_for_several_days_are_understood() -> None:
    wire = {
        "WeeklyRecurrence": {"Interval": "1", "DaysOfWeek": "Weekday"},
        "EndDateRecurrence": {"StartDate": "2026-03-02+08:00", "EndDate": "4500-09-01Z"},
    }
    pattern, bounds, start = exchange_recurrence.decode(wire)
    assert pattern == Weekly(1, ("MO", "TU", "WE", "TH", "FR"), "SU")
    assert (bounds, start) == (NoEnd(), date(2026, 3, 2))


def test_a_task_pattern_is_no_calendar_series() -> None:
    wire = {"DailyRegeneration": {"Interval": "1"}, "NoEndRecurrence": {"StartDate": "2026-03-02"}}
    with pytest.raises(UnmappableError, match="RULE_INVALID"):
        exchange_recurrence.decode(wire)


@pytest.mark.parametrize(
    "rule",
    ["FREQ=WEEKLY;COUNT=9", "FREQ=YEARLY;INTERVAL=3", "FREQ=MONTHLY;BYDAY=-1MO;UNTIL=20270101T0900Z"
     .replace("0900Z", "000000Z"), "FREQ=DAILY;INTERVAL=14"],
)  # fmt: skip
def test_a_rule_comes_back_in_its_own_words(rule: str) -> None:
    wanted = event(start="2026-03-30T09:00", zone="Europe/Berlin", rule=rule, reminders=())
    assert round_trip(wanted) == wanted


def test_a_yearly_interval_survives_a_server_that_forgets_it() -> None:
    wanted = event(start="2026-03-30T09:00", rule="FREQ=YEARLY;INTERVAL=3", reminders=())
    (draft,) = exchange_units.drafts(
        wanted, mailbox="Europe/Berlin", now=NOW, generation=1, uid="u"
    )
    forgetful = exchange_recurrence.encode(AbsoluteYearly(3, 30), NoEnd(), date(2026, 3, 30))
    wire = {name: value for name, value in draft.fields.items() if value is not None}
    found = exchange.decode(wire | {"Recurrence": forgetful}, draft.mark.zoning)
    held = exchange_units.held(found, draft.mark, ())
    assert joining.assembled([held]) == wanted


def test_removed_occurrences_are_named_by_the_series_clock() -> None:
    rule = {
        "WeeklyRecurrence": {"Interval": "1", "DaysOfWeek": "Monday", "FirstDayOfWeek": "Monday"},
        "NumberedRecurrence": {"StartDate": "2026-03-02", "NumberOfOccurrences": "9"},
    }
    gone = {"DeletedOccurrence": [{"Start": "2026-03-30T10:00:00Z"}]}
    found = shown(Recurrence=rule, DeletedOccurrences=gone)
    assert [override.key for override in found.overrides] == [Key("2026-03-30T12:00:00")]


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"v":2}', '{"v":1,"g":"a"}'])
def test_a_damaged_mark_is_none(text: str) -> None:
    assert Mark.read(text, "UTC") is None


@given(
    start=st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2099, 1, 1)),  # noqa: DTZ001 wall clocks
    minutes=st.integers(1, 60 * 24 * 30),
    zone=st.sampled_from(ZONES),
    title=st.text(st.characters(categories=["L", "N"]), max_size=20),
    busy=st.sampled_from(Busy),
)
def test_single_events_come_back(
    start: datetime, minutes: int, zone: str, title: str, busy: Busy
) -> None:
    details = Details(title=title, busy=busy, reminders=())
    wall = start.replace(second=0, microsecond=0)
    when = When(start=wall, duration=timedelta(minutes=minutes), zone=zone)
    found = round_trip(Event(details=details, when=when))
    assert found.details == details
    assert exchange.zones.start_instant(found.when) == exchange.zones.start_instant(when)
    assert (found.when.duration, found.when.zone) == (when.duration, when.zone)
