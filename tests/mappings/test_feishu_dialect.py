from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from mappings import feishu, recurrence
from mappings.errors import UnmappableError
from mappings.feishu import FeishuDialect
from mappings.model import (
    Attachment,
    Attendee,
    AttendeeKind,
    Busy,
    Details,
    Event,
    Freq,
    Key,
    Location,
    Override,
    Person,
    Response,
    Status,
    Visibility,
    When,
)

CALENDAR = "feishu.cn_abc@group.calendar.feishu.cn"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def wire(**changes: Any) -> dict[str, Any]:
    """A weekly meeting, Monday 10:00 in Shanghai."""
    event: dict[str, Any] = {
        "event_id": "7c1e2f_0",
        "organizer_calendar_id": CALENDAR,
        "summary": "Weekly",
        "description": "",
        "start_time": {"timestamp": "1764554400", "timezone": "Asia/Shanghai"},
        "end_time": {"timestamp": "1764558000", "timezone": "Asia/Shanghai"},
        "recurrence": "FREQ=WEEKLY;BYDAY=MO",
        "status": "confirmed",
        "is_exception": False,
        "visibility": "default",
        "free_busy_status": "busy",
        "attendee_ability": "none",
        "color": -1,
        "reminders": [{"minutes": 5}],
        "vchat": {"vc_type": "no_meeting"},
        "create_time": "1764000000",
        "event_organizer": {"user_id": "ou_1", "display_name": "Alice"},
        "app_link": "https://applink.example.com/e",
    }
    return {name: value for name, value in (event | changes).items() if value is not ...}


WEEKLY = When(start=at("2025-12-01T10:00"), duration=HOUR, zone="Asia/Shanghai")


def test_a_series_is_read() -> None:
    event = feishu.decode(wire())
    assert event.when == WEEKLY
    assert event.rule is not None
    assert (event.rule.freq, event.rule.by_day) == (Freq.WEEKLY, ((0, "MO"),))
    assert event.uid == "7c1e2f"
    assert event.details == Details(title="Weekly", reminders=(5,), organizer=Person(name="Alice"))


def test_every_detail_is_read() -> None:
    event = feishu.decode(
        wire(
            recurrence="",
            summary=" Planning\n2027 ",
            description="<p>Agenda:</p><b>budget</b>",
            visibility="private",
            free_busy_status="free",
            color=-65536,
            reminders=[{"minutes": 30}, {"minutes": -5}],
            status="tentative",
            self_rsvp_status="decline",
            location={"name": "Room 1", "address": "1 Road", "latitude": 31.230416870117,
                      "longitude": 121.47370147705},
            vchat={"vc_type": "third_party", "meeting_url": "https://meet.example.com/1"},
            attachments=[{"file_token": "t1", "name": "plan.pdf"},
                         {"file_token": "t2", "name": "old.pdf", "is_deleted": True}],
            attendees=[
                {"type": "user", "user_id": "ou_1", "display_name": "Alice", "is_organizer": True,
                 "rsvp_status": "accept"},
                {"type": "third_party", "third_party_email": "Bob@Example.com",
                 "is_optional": True, "rsvp_status": "tentative"},
                {"type": "resource", "room_id": "omm_1", "display_name": "Room 1",
                 "rsvp_status": "accept"},
                {"type": "chat", "chat_id": "oc_1", "display_name": "Team"},
                {"type": "user", "user_id": "ou_9", "rsvp_status": "removed"},
            ],
        )
    )  # fmt: skip
    assert event.details == Details(
        title="Planning 2027",
        description="Agenda:<br><b>budget</b>",
        location=Location(
            name="Room 1", address="1 Road", latitude=31.23042, longitude=121.4737
        ),
        visibility=Visibility.PRIVATE,
        busy=Busy.FREE,
        color="#ff0000",
        reminders=(-5, 30),
        attendees=(
            Attendee(person=Person(name="Alice"), organizer=True, response=Response.ACCEPTED),
            Attendee(person=Person(email="bob@example.com"), optional=True,
                     response=Response.TENTATIVE),
            Attendee(person=Person(name="Room 1"), kind=AttendeeKind.ROOM,
                     response=Response.ACCEPTED),
            Attendee(person=Person(name="Team"), kind=AttendeeKind.GROUP),
        ),
        organizer=Person(name="Alice"),
        meeting_url="https://meet.example.com/1",
        attachments=(Attachment(name="plan.pdf", url="https://applink.example.com/e"),),
        status=Status.TENTATIVE,
        response=Response.DECLINED,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("switch", "end", "days"),
    [("exclusive", "2027-02-02", 1), ("exclusive", "2027-02-03", 2), ("inclusive", "2027-02-01", 1),
     ("inclusive", "2027-02-02", 2), ("exclusive", "2027-02-01", 1)],
)  # fmt: skip
def test_the_end_of_an_all_day_event_follows_the_switch(switch: Any, end: str, days: int) -> None:
    event = feishu.decode(
        wire(
            recurrence="",
            start_time={"date": "2027-02-01", "timezone": "UTC", "timestamp": "1801440000"},
            end_time={"date": end, "timezone": "UTC"},
        ),
        FeishuDialect(read_end=switch),
    )
    assert event.when == When(start=date(2027, 2, 1), duration=days * DAY)


@pytest.mark.parametrize(
    ("switch", "end"), [("inclusive", "2027-02-02"), ("exclusive", "2027-02-03")]
)
def test_the_end_that_is_written_has_a_switch_of_its_own(switch: Any, end: str) -> None:
    when = When(start=date(2027, 2, 1), duration=2 * DAY)
    body = feishu.encode(Event(details=Details(), when=when), FeishuDialect(write_end=switch))
    assert body["start_time"] == {"date": "2027-02-01", "timezone": "UTC"}
    assert body["end_time"] == {"date": end, "timezone": "UTC"}


def test_a_bare_until_date_includes_that_day_unless_switched() -> None:
    bounded = wire(recurrence="RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20251215")
    whole = feishu.decode(bounded)
    midnight = feishu.decode(bounded, FeishuDialect(until_date="midnight"))
    assert whole.rule is not None
    assert whole.rule.until == "2025-12-15T10:00:00"
    assert midnight.rule is not None
    assert midnight.rule.until == "2025-12-08T10:00:00"


def test_an_end_in_another_zone_is_kept() -> None:
    event = feishu.decode(wire(end_time={"timestamp": "1764558000", "timezone": "Europe/Berlin"}))
    assert event.when == replace(WEEKLY, end_zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"end_time": ...}, "NO_END"),
        ({"start_time": ...}, "MALFORMED"),
        ({"start_time": {"timestamp": "x", "timezone": "UTC"}}, "MALFORMED"),
        ({"start_time": {"timestamp": "1764554400", "timezone": "Mars/Olympus"}}, "ZONE_UNKNOWN"),
        ({"recurrence": "FREQ=SOMETIMES"}, "RULE_INVALID"),
        ({"start_time": {"date": "2027-02-30"}, "end_time": {"date": "2027-03-01"}}, "MALFORMED"),
        ({"start_time": {"date": "2027-02-01"}}, "NO_END"),
    ],
)
def test_what_cannot_be_understood_says_why(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(UnmappableError) as caught:
        feishu.decode(wire(**changes))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("changes", "role", "redacted"),
    [
        ({"summary": ...}, "free_busy_reader", True),
        ({"summary": "", "visibility": "private"}, "reader", True),
        ({"summary": "", "visibility": "private"}, "owner", False),
        ({"summary": ""}, "reader", False),
        ({}, "free_busy_reader", False),
        ({"summary": ...}, "", False),
    ],
)
def test_withheld_details_are_told_from_empty_ones(
    changes: dict[str, Any], role: str, redacted: bool
) -> None:
    assert feishu.decode(wire(**changes), role=role).details.redacted is redacted


def test_ids_name_the_family() -> None:
    assert feishu.uid_of("7c1e2f_1765159200") == "7c1e2f"
    assert feishu.main_id("7c1e2f_1765159200") == "7c1e2f_0"
    assert feishu.main_id("7c1e2f_0") == "7c1e2f_0"
    assert feishu.is_exception({"event_id": "7c1e2f_1765159200"})
    assert not feishu.is_exception({"event_id": "7c1e2f_0", "is_exception": False})


def test_only_events_made_on_the_calendar_are_organised_by_it() -> None:
    assert feishu.organized(wire(), CALENDAR)
    assert not feishu.organized(wire(), "feishu.cn_other@group.calendar.feishu.cn")


def test_a_removed_occurrence_is_an_override() -> None:
    gone = {"event_id": "7c1e2f_1765159200", "is_exception": True, "status": "cancelled"}
    assert feishu.decode_override(gone, WEEKLY) == Override(
        key=Key("2025-12-08T10:00:00"), cancelled=True
    )


def test_a_moved_occurrence_keeps_the_key_of_its_original_start() -> None:
    moved = wire(
        event_id="7c1e2f_1765764000",
        is_exception=True,
        recurrence="",
        summary="Moved",
        start_time={"timestamp": "1765771200", "timezone": "Asia/Shanghai"},
        end_time={"timestamp": "1765774800", "timezone": "Asia/Shanghai"},
    )
    override = feishu.decode_override(moved, WEEKLY)
    assert override.key == "2025-12-15T10:00:00"
    assert override.when == replace(WEEKLY, start=at("2025-12-15T12:00"))
    assert override.details is not None
    assert override.details.title == "Moved"


@pytest.mark.parametrize(
    ("series", "key", "id_"),
    [
        (WEEKLY, "2025-12-08T10:00:00", "7c1e2f_1765159200"),
        (When(start=date(2027, 2, 1), duration=DAY), "2027-02-08", "7c1e2f_1802044800"),
        (
            When(start=at("2027-03-01T09:00"), duration=HOUR, zone="America/New_York"),
            "2027-03-15T09:00:00",
            "7c1e2f_1805115600",
        ),
    ],
)
def test_occurrence_ids_and_keys_are_each_others_inverse(series: When, key: str, id_: str) -> None:
    assert feishu.occurrence_id("7c1e2f_0", Key(key), series) == id_
    assert feishu.key_of(id_, series) == key


def test_an_exception_without_original_time_is_malformed() -> None:
    with pytest.raises(UnmappableError, match="MALFORMED"):
        feishu.key_of("7c1e2f_soon", WEEKLY)


def test_a_create_notifies_nobody_and_starts_no_meeting() -> None:
    body = feishu.encode(Event(details=Details(title="x"), when=WEEKLY))
    assert body["need_notification"] is False
    assert body["vchat"] == {"vc_type": "no_meeting"}
    assert "attendees" not in body
    assert body["start_time"] == {"timestamp": "1764554400", "timezone": "Asia/Shanghai"}
    linked = Details(meeting_url="https://meet.example.com/1")
    assert feishu.encode(Event(details=linked, when=WEEKLY))["vchat"] == {
        "vc_type": "third_party",
        "meeting_url": "https://meet.example.com/1",
    }


def test_count_is_written_as_until() -> None:
    rule = recurrence.parse_rule("FREQ=WEEKLY;BYDAY=MO;COUNT=3", WEEKLY)
    body = feishu.encode(Event(details=Details(), when=WEEKLY, rule=rule))
    assert body["recurrence"] == "FREQ=WEEKLY;BYDAY=MO;UNTIL=20251215T020000Z"


OLD = Event(
    details=Details(
        title="Weekly",
        description="text",
        location=Location(name="Room"),
        color="#ff0000",
        reminders=(5,),
        meeting_url="https://meet.example.com/1",
    ),
    when=WEEKLY,
    rule=recurrence.parse_rule("FREQ=WEEKLY;BYDAY=MO", WEEKLY),
)


def test_no_difference_is_no_call() -> None:
    assert feishu.encode_changes(OLD, OLD) == {}


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({"title": "New"}, {"summary": "New"}),
        ({"title": ""}, {"summary": ""}),
        ({"description": ""}, {"description": ""}),
        ({"location": None}, {"location": {"name": " "}}),
        ({"location": Location(address="1 Road")},
         {"location": {"name": "1 Road", "address": "1 Road"}}),
        ({"visibility": Visibility.PUBLIC}, {"visibility": "public"}),
        ({"busy": Busy.FREE}, {"free_busy_status": "free"}),
        ({"color": None}, {"color": -1}),
        ({"reminders": None}, {"reminders": []}),
        ({"reminders": (5, 10)}, {"reminders": [{"minutes": 5}, {"minutes": 10}]}),
        ({"meeting_url": None}, {"vchat": {"vc_type": "no_meeting"}}),
    ],
)  # fmt: skip
def test_a_patch_holds_what_differs_and_nothing_else(
    changes: dict[str, Any], body: dict[str, Any]
) -> None:
    new = replace(OLD, details=replace(OLD.details, **changes))
    assert feishu.encode_changes(OLD, new) == body | {"need_notification": False}


def test_a_footer_is_written_below_the_description() -> None:
    new = replace(OLD, details=replace(OLD.details, footer=("Join: https://example.com/x",)))
    body = feishu.encode_changes(OLD, new)
    assert body.keys() == {"description", "need_notification"}
    again = feishu.decode(wire(description=body["description"])).details
    assert (again.description, again.footer) == ("text", ("Join: https://example.com/x",))


def test_both_times_are_sent_if_one_changes() -> None:
    new = replace(OLD, when=replace(WEEKLY, duration=2 * HOUR))
    assert feishu.encode_changes(OLD, new) == {
        "start_time": {"timestamp": "1764554400", "timezone": "Asia/Shanghai"},
        "end_time": {"timestamp": "1764561600", "timezone": "Asia/Shanghai"},
        "recurrence": "FREQ=WEEKLY;BYDAY=MO",
        "need_notification": False,
    }


def test_a_series_that_becomes_single_has_to_be_made_anew() -> None:
    single = replace(OLD, rule=None)
    assert feishu.needs_recreation(OLD, single)
    assert not feishu.needs_recreation(single, OLD)
    assert not feishu.needs_recreation(OLD, replace(OLD, details=Details()))


def test_an_occurrence_is_patched_against_what_it_showed_before() -> None:
    key = Key("2025-12-08T10:00:00")
    when = replace(WEEKLY, start=at("2025-12-08T10:00"))
    renamed = Override(key=key, details=replace(OLD.details, title="Special"), when=when)
    moved = replace(renamed, when=replace(when, start=at("2025-12-08T11:00")))
    assert feishu.encode_override(OLD, None, renamed) == {
        "summary": "Special",
        "need_notification": False,
    }
    assert feishu.encode_override(OLD, renamed, renamed) == {}
    assert feishu.encode_override(OLD, renamed, moved).keys() == {
        "start_time",
        "end_time",
        "need_notification",
    }
    revived = feishu.encode_override(OLD, Override(key=key, cancelled=True), moved)
    assert revived["summary"] == "Special"
    assert revived["start_time"]["timestamp"] == "1765162800"


def test_attendees_are_invited_by_user_id_or_address() -> None:
    attendees = (
        Attendee(person=Person(email="alice@example.com"), organizer=True),
        Attendee(person=Person(email="bob@example.com"), optional=True),
        Attendee(person=Person(email="carol@example.com")),
        Attendee(person=Person(name="No Address")),
        Attendee(person=Person(email="room@example.com"), kind=AttendeeKind.ROOM),
    )
    assert feishu.encode_attendees(attendees, {"carol@example.com": "ou_3"}) == [
        {"type": "third_party", "third_party_email": "bob@example.com", "is_optional": True},
        {"type": "user", "user_id": "ou_3", "is_optional": False},
    ]


def test_known_user_ids_get_their_address() -> None:
    items = [{"type": "user", "user_id": "ou_3", "display_name": "Carol"}]
    assert feishu.decode_attendees(items, {"ou_3": "carol@example.com"}) == (
        Attendee(person=Person(email="carol@example.com", name="Carol")),
    )


def test_the_second_of_two_equal_wall_clocks_stays_the_second() -> None:
    when = When(start=at("2026-11-01T01:30"), duration=HOUR, zone="America/New_York", fold=1)
    body = feishu.encode(Event(details=Details(), when=when))
    assert body["start_time"]["timestamp"] == "1793514600"
    assert feishu.decode(body | {"event_id": "7c1e2f_0"}).when == when
