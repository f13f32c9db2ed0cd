"""Calendar objects mean what the model says, and the reverse."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import icalendar
import pytest
from dateutil import tz
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from connectors.testing.builders import at, cancelled, edited, event, moved
from mappings import caldav, caldav_zones, merge, recurrence, richtext, zones
from mappings.errors import UnmappableError
from mappings.model import (
    Attendee,
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
)
from mappings.policy import AttendeePolicy, Policy
from mappings.projection import project

NOW = datetime(2026, 2, 1, tzinfo=UTC)
KEY = "ab" * 32
WEEKLY = event(
    "Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=30", reminders=()
)
SECOND, THIRD = Key("2026-03-09T10:00:00"), Key("2026-03-16T10:00:00")

OUTLOOK = """BEGIN:VCALENDAR
PRODID:-//Somebody//Client//EN
VERSION:2.0
METHOD:PUBLISH
BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:16011028T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010325T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
UID:0400-1
DTSTAMP:20260101T000000Z
SEQUENCE:4
DTSTART;TZID=Customized Time Zone:20260302T100000
DURATION:PT1H30M
RRULE:FREQ=WEEKLY;COUNT=5
EXDATE:20260309T090000Z
SUMMARY;LANGUAGE=de:Besprechung\\, kurz
DESCRIPTION:a < b\\nsecond line
X-ALT-DESC;FMTTYPE=text/html:<b>a</b>
LOCATION:Raum 1
GEO:52.51624;13.37771
CLASS:CONFIDENTIAL
TRANSP:TRANSPARENT
STATUS:TENTATIVE
CATEGORIES:Blue,Work
X-MICROSOFT-CDO-BUSYSTATUS:FREE
X-ODD;P="a:b":c\\,d;e
ORGANIZER;CN=Ann:MAILTO:Ann@Example.com
ATTENDEE;CN=Bob;PARTSTAT=ACCEPTED;X-NUM=3:mailto:bob@example.com
ATTENDEE;CUTYPE=ROOM;ROLE=OPT-PARTICIPANT:mailto:room@example.com
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:Mine
TRIGGER:-PT15M
X-MINE:1
END:VALARM
BEGIN:VALARM
ACTION:EMAIL
SUMMARY:mail me
DESCRIPTION:mail me
ATTENDEE:mailto:ann@example.com
TRIGGER:-PT1H
END:VALARM
END:VEVENT
BEGIN:VEVENT
UID:0400-1
DTSTAMP:20260101T000000Z
RECURRENCE-ID;TZID=Customized Time Zone:20260316T100000
DTSTART;TZID=Customized Time Zone:20260317T120000
DTEND;TZID=Customized Time Zone:20260317T133000
SUMMARY:Verschoben
X-ODD-TOO:yes
END:VEVENT
END:VCALENDAR
""".replace("\n", "\r\n")


def shown(source: str, zone: str = "UTC") -> Event:
    found = caldav.decode(source, zone, frozenset({"ann@example.com"}))
    assert found is not None
    assert found.event is not None
    return found.event


def vevent(*lines: str) -> str:
    body = ("UID:u", "DTSTAMP:20260101T000000Z", *lines)
    frame = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", *body)
    return "\r\n".join((*frame, "END:VEVENT", "END:VCALENDAR", ""))


def write(old: str, before: Event, after: Event) -> str:
    return caldav.merge_into(old, before, after, zone="UTC", now=NOW)


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
DETAILS = st.builds(
    Details,
    title=TEXT.map(richtext.line),
    description=TEXT.map(richtext.from_text),
    footer=st.sampled_from([(), ("Attendee: a",)]),
    location=st.none() | st.builds(Location, name=TEXT.map("Room {}".format).map(richtext.line)),
    visibility=st.sampled_from(Visibility),
    busy=st.sampled_from([Busy.BUSY, Busy.FREE]),
    reminders=st.sets(st.integers(-60, 3000), max_size=3).map(lambda v: tuple(sorted(v))),
    status=st.sampled_from(Status),
)
WALLS = st.datetimes(*map(datetime.fromisoformat, ("1990-01-01", "2040-01-01"))).map(
    lambda wall: wall.replace(microsecond=0)
)
ZONES = st.sampled_from(("Asia/Shanghai", "America/New_York", "Europe/Berlin", "UTC"))
RULES = st.sampled_from(
    (None, "FREQ=DAILY;COUNT=9", "FREQ=WEEKLY;BYDAY=MO,WE", "FREQ=MONTHLY;BYDAY=-1FR;COUNT=5")
)


@st.composite
def units(draw: st.DrawFn) -> Event:
    """An event that a calendar object can hold."""
    zone, wall = draw(ZONES), draw(WALLS)
    wall, fold = zones.wall(zones.instant(wall, zone), zone)
    assume(not fold)
    when = replace(
        at(wall.isoformat(), zone), duration=timedelta(minutes=draw(st.integers(0, 3000)))
    )
    if draw(st.booleans()):
        when = at(wall.date().isoformat(), days=draw(st.integers(1, 9)))
    made = Event(details=draw(DETAILS), when=when)
    text = draw(RULES)
    if text is not None:
        rule = recurrence.parse_rule(text, when)
        made = recurrence.rebase(replace(made, rule=rule))
        keys = list(recurrence.keys(made.rule, (), made.when, limit=5))
        chosen = draw(st.sets(st.sampled_from(keys), max_size=3))
        overrides = tuple(
            Override(key=key, cancelled=True)
            if draw(st.booleans())
            else Override(key=key, details=draw(DETAILS), when=recurrence.when_of(made, key))
            for key in sorted(chosen)
        )
        made = recurrence.tidy(replace(made, overrides=overrides))
    held = project(made, Policy(attendees=AttendeePolicy.NONE), caldav.LIMITS).event
    assume(held is not None)
    assert held is not None
    return held


@settings(max_examples=40)
@given(units(), units())
def test_what_is_written_is_read_again_and_turns_into_anything_else(one: Event, two: Event) -> None:
    source = caldav.encode(one, key=KEY, now=NOW)
    found = caldav.decode(source, "UTC")
    assert found is not None
    assert (found.event, found.origin, found.organized) == (one, KEY, True)
    changed = write(source, one, two)
    assert shown(changed) == two
    assert shown(write(changed, two, one)) == one


def test_a_clients_object_is_understood_to_the_last_property() -> None:
    found = shown(OUTLOOK)
    assert found.when == replace(
        at("2026-03-02T10:00", "Europe/Berlin"), duration=timedelta(minutes=90)
    )
    assert found.overrides_by_key[SECOND].cancelled
    override = found.overrides_by_key[THIRD]
    assert override.details is not None
    assert (override.details.title, override.when and override.when.key) == (
        "Verschoben",
        "2026-03-17T12:00:00",
    )
    details = found.details
    assert (details.title, details.description) == ("Besprechung, kurz", "a < b\nsecond line")
    assert details.location == Location(name="Raum 1", latitude=52.51624, longitude=13.37771)
    assert (details.visibility, details.busy) == (Visibility.PRIVATE, Busy.FREE)
    assert (details.status, details.reminders) == (Status.TENTATIVE, (15,))
    assert details.organizer == Person(email="ann@example.com", name="Ann")
    assert [a.response for a in details.attendees] == [Response.ACCEPTED, Response.NEEDS_ACTION]
    assert details.attendees[1].optional


def test_an_edit_leaves_whatever_else_a_client_keeps_in_the_object() -> None:
    before = shown(OUTLOOK)
    after = edited(edited(before, title="Neu", reminders=(15, 30)), THIRD, title="Später")
    changed = write(OUTLOOK, before, after)
    assert merge.changes(shown(changed), after) == {}
    unfolded = changed.replace("\r\n ", "")
    for kept in (
        "METHOD:PUBLISH",
        "CATEGORIES:Blue,Work",
        'X-ODD;P="a:b":c\\,d;e',
        "X-ODD-TOO:yes",
        "X-ALT-DESC;FMTTYPE=text/html:<b>a</b>",
        "X-NUM=3",
        "ACTION:EMAIL",
        "X-MINE:1",
        "TZID=Customized Time Zone:20260302T100000",
        "DURATION:PT1H30M",
        "SEQUENCE:4",
        "UID:0400-1",
    ):
        assert kept in unfolded, kept


def test_a_new_time_counts_as_a_new_sequence_and_defines_its_zone() -> None:
    source = caldav.encode(event(reminders=()), key=KEY, now=NOW)
    assert "SEQUENCE" not in source
    after = event(start="2026-03-02T11:00", zone="Europe/Berlin", reminders=())
    changed = write(source, event(reminders=()), after)
    assert "SEQUENCE:1" in changed
    assert "TZID:Europe/Berlin" in changed
    assert shown(changed) == after


def test_moving_a_series_takes_its_changed_occurrences_and_their_extras_along() -> None:
    series = edited(cancelled(WEEKLY, THIRD), SECOND, title="With guests")
    source = caldav.encode(series, key=KEY, now=NOW).replace(
        "SUMMARY:With guests", "SUMMARY:With guests\r\nX-EXTRA:kept"
    )
    later = moved(series, start="2026-03-02T14:00")
    changed = write(source, series, later)
    assert merge.changes(shown(changed), later) == {}
    assert "X-EXTRA:kept" in changed
    assert "RECURRENCE-ID;TZID=Europe/Berlin:20260309T140000" in changed


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("SUMMARY:no start",), "MALFORMED"),
        (("DTSTART;TZID=Nowhere/Land:20260302T100000",), "ZONE_UNKNOWN"),
        (("DTSTART:20260302T100000Z", "RRULE:FREQ=DAILY", "EXRULE:FREQ=WEEKLY"), "RULE_INVALID"),
        (("DTSTART:20260302T100000Z", "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"), "RULE_INVALID"),
        (("DTSTART:20260302T100000Z", "RRULE:FREQ=SOMETIMES"), "RULE_INVALID"),
        (("DTSTART:yesterday",), "MALFORMED"),
        (("DTSTART:20260302T100000Z", "DURATION:PX"), "MALFORMED"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_a_reason(lines: Any, code: str) -> None:
    with pytest.raises(UnmappableError) as refused:
        caldav.decode(vevent(*lines), "UTC")
    assert refused.value.code == code


def test_tasks_are_no_events_and_cancelled_events_are_none() -> None:
    task = vevent("DTSTART:20260302T100000Z").replace("VEVENT", "VTODO")
    assert caldav.decode(task, "UTC") is None
    gone = caldav.decode(vevent("DTSTART:20260302T100000Z", "STATUS:CANCELLED"), "UTC")
    assert gone is not None
    assert gone.event is None


def test_floating_times_are_those_of_the_calendar_and_stay_floating() -> None:
    source = vevent("DTSTART:20260302T100000", "DTEND:20260302T110000", "RRULE:FREQ=DAILY;COUNT=3")
    before = shown(source, "Asia/Shanghai")
    assert before.when == at("2026-03-02T10:00")
    after = cancelled(before, Key("2026-03-03T10:00:00"))
    changed = caldav.merge_into(source, before, after, zone="Asia/Shanghai", now=NOW)
    assert "EXDATE:20260303T100000\r\n" in changed
    assert shown(changed, "Asia/Shanghai") == after


def test_an_extra_date_with_a_length_of_its_own_is_read_as_such() -> None:
    source = vevent(
        "DTSTART:20260302T100000Z",
        "DTEND:20260302T110000Z",
        "RRULE:FREQ=WEEKLY;COUNT=2",
        "RDATE;VALUE=PERIOD:20260304T100000Z/PT3H,20260305T100000Z/20260305T110000Z",
    )
    found = shown(source)
    assert found.rdates == ("2026-03-04T10:00:00", "2026-03-05T10:00:00")
    (override,) = found.overrides
    assert override.when is not None
    assert override.when.duration == timedelta(hours=3)


def test_the_second_of_two_equal_hours_is_written_and_read_as_that() -> None:
    late = event(start="2026-10-25T02:30", zone="Europe/Berlin", reminders=())
    late = replace(late, when=replace(late.when, fold=1))
    source = caldav.encode(late, key=KEY, now=NOW)
    assert "20261025T013000Z" in source
    assert shown(source) == late
    rule = recurrence.parse_rule("FREQ=DAILY", late.when)
    with pytest.raises(UnmappableError):
        caldav.encode(replace(late, rule=rule), key=KEY, now=NOW)
    with pytest.raises(UnmappableError):
        write(source, late, replace(late, rule=rule))


def test_guests_are_written_only_where_the_account_has_an_address() -> None:
    invited = event(reminders=(), attendees=(Attendee(person=Person(email="bob@example.com")),))
    assert "ATTENDEE" not in caldav.encode(invited, key=KEY, now=NOW)
    source = caldav.encode(invited, key=KEY, now=NOW, owner="ann@example.com")
    assert "mailto:bob@example.com" in source
    assert "ORGANIZER:mailto:ann@example.com" in source


@pytest.mark.parametrize("year", [1995, 2009, 2026])
@pytest.mark.parametrize(
    "zone",
    ["Europe/Berlin", "America/New_York", "Asia/Shanghai", "Asia/Jerusalem", "Australia/Lord_Howe"],
)
def test_a_written_zone_does_what_the_zone_does(zone: str, year: int) -> None:
    text = caldav_zones.component(zone, year).to_ical().decode()
    read = icalendar.Calendar.from_ical(f"BEGIN:VCALENDAR\r\n{text}END:VCALENDAR\r\n")
    unfolded = read.walk("VTIMEZONE")[0].to_ical().decode().replace("\r\n ", "").replace("\r", "")
    rules = tz.tzical(StringIO(unfolded)).get()
    wall = datetime.fromisoformat(f"{year}-01-03T12:00")
    while wall.year < year + 12:
        expected = wall.replace(tzinfo=zones.info(zone)).utcoffset()
        assert wall.replace(tzinfo=rules).utcoffset() == expected, wall
        wall += timedelta(days=9)


def test_words_that_look_like_a_zone_stay_words() -> None:
    text = "BEGIN:VTIMEZONE\nTZID:Mars\nEND:VTIMEZONE"
    folded = vevent("SUMMARY:x", "DESCRIPTION:see\r\n BEGIN:VTIMEZONE\r\n \\nEND:VTIMEZONE")
    for source, wanted in (
        (caldav.encode(edited(WEEKLY, description=f"<p>{text}</p>"), key=KEY, now=NOW), None),
        (folded.replace("SUMMARY:x", "SUMMARY:x\r\nDTSTART:20260302T090000Z"), "VTIMEZONE"),
    ):
        found = shown(source).details.description or ""
        assert "END:VTIMEZONE" in found
        assert (wanted or "Mars") in found
