"""Single events: what exchangelib writes is what exchangelib reads."""

from datetime import timedelta

import pytest
from exchangelib import Attendee, CalendarItem, EWSDate, EWSTimeZone, HTMLBody, Mailbox
from exchangelib.errors import (
    ErrorCalendarDurationIsTooLong,
    ErrorCalendarEndDateIsEarlierThanStartDate,
    ErrorInvalidIdMalformed,
    ErrorIrresolvableConflict,
    ErrorItemNotFound,
    ErrorMessageSizeExceeded,
    ErrorQuotaExceeded,
)
from exchangelib.items import NEVER_OVERWRITE, SEND_TO_ALL_AND_SAVE_COPY
from exchangelib.properties import UID

ALICE, BOB = "alice@office.example", "bob@office.example"


def test_all_written_fields_read_back(alice, event, at):
    made = event(
        alice, subject="Über 中文", body="line 1\nline 2", location="Raum 4", categories=["A", "B"],
        sensitivity="Private", importance="High", legacy_free_busy_status="OOF",
        reminder_is_set=True, reminder_minutes_before_start=45, bridge_id="key-1",
    )  # fmt: skip
    got = alice.calendar.get(id=made.id)
    assert (got.subject, got.body, got.location) == ("Über 中文", "line 1\r\nline 2", "Raum 4")
    assert (got.categories, got.sensitivity, got.importance) == (["A", "B"], "Private", "High")
    assert (got.legacy_free_busy_status, got.reminder_minutes_before_start) == ("OOF", 45)
    assert (got.start, got.end) == (at(2027, 3, 1, 9), at(2027, 3, 1, 10))
    assert (got.type, got.bridge_id, got.is_meeting) == ("Single", "key-1", False)
    assert got.organizer.email_address == ALICE
    assert got.uid.startswith("040000008200E00074C5B7101A82E008")


def test_every_write_makes_a_new_change_key(alice, event):
    made = event(alice)
    keys = [made.changekey]
    for subject in ("one", "two"):
        made.subject = subject
        made.save(update_fields=["subject"])
        keys.append(made.changekey)
    assert len(set(keys)) == 3
    assert alice.calendar.get(id=made.id).changekey == keys[-1]


def test_a_stale_change_key_is_a_conflict_unless_the_writer_insists(alice, event):
    made = event(alice)
    stale = alice.calendar.get(id=made.id)
    made.subject = "first"
    made.save(update_fields=["subject"])
    stale.location = "late"
    with pytest.raises(ErrorIrresolvableConflict):
        stale.save(update_fields=["location"], conflict_resolution=NEVER_OVERWRITE)
    assert alice.calendar.get(id=made.id).location is None
    stale.save(update_fields=["location"])
    now = alice.calendar.get(id=made.id)
    assert (now.subject, now.location) == ("first", "late")


def test_html_bodies_come_back_as_whole_documents(alice, event, sandbox):
    made = event(alice, body=HTMLBody("<p>Hello <b>you</b></p>"))
    got = alice.calendar.get(id=made.id)
    assert isinstance(got.body, HTMLBody)
    assert got.body.startswith("<html>")
    assert "<p>Hello <b>you</b></p>" in got.body
    assert got.text_body == "Hello you"
    sandbox.switches.turn(html_body="keep")
    kept = event(alice, body=HTMLBody("<p>x</p>"))
    assert alice.calendar.get(id=kept.id).body == "<p>x</p>"


def test_an_all_day_event_is_midnight_to_midnight_in_its_zone(alice, event, sandbox):
    made = event(alice, is_all_day=True, start=EWSDate(2027, 3, 27), end=EWSDate(2027, 3, 28))
    shown = sandbox.edit(ALICE, "show", made.id)
    assert (shown["start"], shown["end"]) == ("2027-03-26T23:00:00Z", "2027-03-28T22:00:00Z")
    made = event(alice, is_all_day=True, start=EWSDate(2027, 5, 1), end=EWSDate(2027, 5, 2))
    got = alice.calendar.get(id=made.id)
    assert (got.start, got.end) == (EWSDate(2027, 5, 1), EWSDate(2027, 5, 2))


def test_all_day_rounds_start_down_and_end_up(alice, event, at, sandbox):
    made = event(alice, is_all_day=True, start=at(2027, 3, 1, 9), end=at(2027, 3, 1, 10))
    shown = sandbox.edit(ALICE, "show", made.id)
    assert (shown["start"], shown["end"]) == ("2027-02-28T23:00:00Z", "2027-03-01T23:00:00Z")


def test_changing_only_the_zone_keeps_the_wall_time(alice, event, at):
    made = event(alice)
    made._start_timezone = made._end_timezone = EWSTimeZone("Asia/Shanghai")
    made.save(update_fields=["_start_timezone", "_end_timezone"])
    got = alice.calendar.get(id=made.id)
    assert got.start == at(2027, 3, 1, 9, zone="Asia/Shanghai")
    assert got.end == at(2027, 3, 1, 10, zone="Asia/Shanghai")


def test_start_and_zone_together_keep_the_instant(alice, event, at):
    made = event(alice)
    made.start = at(2027, 3, 1, 16, zone="Asia/Shanghai")
    made._start_timezone = EWSTimeZone("Asia/Shanghai")
    made.save(update_fields=["start"])
    got = alice.calendar.get(id=made.id)
    assert got.start == at(2027, 3, 1, 9)
    assert got._start_timezone == EWSTimeZone("Asia/Shanghai")
    assert got._end_timezone == EWSTimeZone("Europe/Berlin")


def test_impossible_spans_are_refused(alice, event, at):
    with pytest.raises(ErrorCalendarEndDateIsEarlierThanStartDate):
        event(alice, end=at(2027, 3, 1, 9))
    with pytest.raises(ErrorCalendarDurationIsTooLong):
        event(alice, end=at(2034, 3, 1, 9))
    assert alice.calendar.all().count() == 0


def test_the_three_ways_to_delete_end_in_three_folders(alice, event, sandbox):
    for number, delete in enumerate(("move_to_trash", "soft_delete", "delete")):
        getattr(event(alice, subject=f"d{number}"), delete)()
    with sandbox.lock:
        mailbox = sandbox.world.mailbox(ALICE)
        places = {
            item.values["item:Subject"]: folder.role
            for folder in mailbox.folders.values()
            for item in folder.items.values()
        }
    assert places == {"d0": "deleteditems", "d1": "recoverableitemsdeletions",
                      "d2": "recoverableitemspurges"}  # fmt: skip


def test_a_move_gives_a_new_id_and_keeps_uid_and_key(alice, event):
    made = event(alice, bridge_id="key-7")
    uid, old = alice.calendar.get(id=made.id).uid, made.id
    made.move_to_trash()
    with pytest.raises(ErrorItemNotFound):
        alice.calendar.get(id=old)
    lost = alice.trash.get(subject="Standup")
    lost.move(alice.calendar)
    back = alice.calendar.get(bridge_id="key-7")
    assert back.id not in (old, "")
    assert alice.calendar.get(id=back.id).uid == uid


def test_unknown_and_malformed_ids_differ(alice, event):
    made = event(alice)
    known = made.id
    made.delete()
    with pytest.raises(ErrorItemNotFound):
        alice.calendar.get(id=known)
    with pytest.raises(ErrorInvalidIdMalformed):
        alice.calendar.get(id="no id at all")
    with pytest.raises(ErrorInvalidIdMalformed):
        alice.calendar.get(id=known[:-8])


def test_attendees_are_mailed_only_if_the_request_says_so(alice, event, sandbox):
    guests = [Attendee(mailbox=Mailbox(email_address=BOB), response_type="Unknown")]
    made = event(alice, required_attendees=guests)
    got = alice.calendar.get(id=made.id)
    assert got.is_meeting
    assert not got.meeting_request_was_sent
    made.subject = "moved"
    made.save(update_fields=["subject"])
    made.delete()
    assert sandbox.mails == []
    loud = CalendarItem(
        account=alice, folder=alice.calendar, subject="Loud", start=got.start, end=got.end,
        required_attendees=guests,
    )  # fmt: skip
    loud.save(send_meeting_invitations=SEND_TO_ALL_AND_SAVE_COPY)
    loud.delete(send_meeting_cancellations=SEND_TO_ALL_AND_SAVE_COPY)
    assert [(mail["to"], mail["why"]) for mail in sandbox.mails] == [
        (BOB, "invitation"),
        (BOB, "cancellation"),
    ]


def test_a_received_meeting_names_its_organizer(alice, sandbox):
    fields = {"subject": "Review", "start": "2027-03-01T09:00:00", "end": "2027-03-01T10:00:00",
              "attendees": [ALICE]}  # fmt: skip
    made = sandbox.edit(ALICE, "receive", "carol@other.example", fields)
    got = alice.calendar.get(id=made["id"])
    assert got.organizer.email_address == "carol@other.example"
    assert (got.my_response_type, got.appointment_state) == (
        "NoResponseReceived", ("Meeting", "Received"),
    )  # fmt: skip
    got.accept()
    assert alice.calendar.get(id=made["id"]).my_response_type == "Accept"
    sandbox.edit(ALICE, "cancelled", made["id"])
    assert alice.calendar.get(id=made["id"]).is_cancelled


def test_a_full_mailbox_and_a_large_body_are_refused(alice, event, sandbox):
    sandbox.switches.turn(max_body=1000)
    with pytest.raises(ErrorMessageSizeExceeded):
        event(alice, body="x" * 1001)
    event(alice)
    sandbox.switches.turn(quota_items=1)
    with pytest.raises(ErrorQuotaExceeded):
        event(alice)
    assert alice.calendar.all().count() == 1


def test_the_binary_id_of_a_foreign_uid_is_found(alice, event):
    made = event(alice, uid="foreign-uid@google.com")
    assert alice.calendar.get(id=made.id).uid == "foreign-uid@google.com"
    wrapped = UID("foreign-uid@google.com")
    assert wrapped in alice_global_ids(alice, made)


def alice_global_ids(alice, made):
    from exchangelib import ExtendedProperty

    class GlobalId(ExtendedProperty):
        distinguished_property_set_id = "Meeting"
        property_id = 0x03
        property_type = "Binary"

    CalendarItem.register("global_id", GlobalId)
    try:
        return [alice.calendar.get(id=made.id).global_id]
    finally:
        CalendarItem.deregister("global_id")


def test_deleted_fields_are_gone(alice, event):
    made = event(alice, location="Room", bridge_id="k")
    made.location = made.bridge_id = None
    made.save(update_fields=["location", "bridge_id"])
    got = alice.calendar.get(id=made.id)
    assert (got.location, got.bridge_id) == (None, None)
    assert list(alice.calendar.filter(bridge_id="k")) == []


def test_modified_times_are_whole_seconds_of_sandbox_time(alice, event, sandbox):
    made = event(alice)
    before = alice.calendar.get(id=made.id).last_modified_time
    sandbox.clock.advance(3600)
    made.subject = "later"
    made.save(update_fields=["subject"])
    after = alice.calendar.get(id=made.id).last_modified_time
    assert timedelta(hours=1) <= after - before < timedelta(hours=1, minutes=1)
    assert after.microsecond == 0
