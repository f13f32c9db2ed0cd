"""Writing and reading single events."""

from datetime import datetime

import pytest

ID = "0f3c9a5e77d14b1d9c50a0b1c2d3e4f5"


def insert(service, body, **options):
    return service.events().insert(calendarId="primary", body=body, **options).execute()


def get(service, event, **options):
    return service.events().get(calendarId="primary", eventId=event, **options).execute()


def update(service, event, body, **options):
    return service.events().update(calendarId="primary", eventId=event, body=body, **options)


def patch(service, event, body, **options):
    return service.events().patch(calendarId="primary", eventId=event, body=body, **options)


def delete(service, event, **options):
    return service.events().delete(calendarId="primary", eventId=event, **options)


def test_the_etag_is_twice_the_microseconds_of_the_last_change(alice, timed):
    made = insert(alice, timed())
    updated = datetime.fromisoformat(made["updated"])
    assert made["etag"] == f'"{2 * round(updated.timestamp() * 1000) * 1000}"'
    assert made["created"].endswith(".000Z")


def test_every_write_makes_a_new_etag_even_within_one_millisecond(alice, sandbox, timed):
    sandbox.clock.freeze()
    made = insert(alice, timed())
    changed = [patch(alice, made["id"], {"summary": str(n)}).execute() for n in range(3)]
    assert len({made["etag"], *(event["etag"] for event in changed)}) == 4


def test_fields_at_their_default_are_left_out(alice, timed):
    made = insert(
        alice,
        timed(
            transparency="opaque", visibility="default", guestsCanModify=False, attendees=[],
            guestsCanInviteOthers=True, description="", reminders={"useDefault": True},
        ),
    )  # fmt: skip
    absent = {"transparency", "visibility", "guestsCanModify", "attendees", "description"}
    assert absent.isdisjoint(made)
    assert made["reminders"] == {"useDefault": True}
    assert made["eventType"] == "default"
    assert made["sequence"] == 0


def test_times_come_back_with_the_offset_of_the_calendar_and_the_zone_of_the_event(alice, timed):
    made = insert(alice, timed("2027-07-01T09:00:00Z", "2027-07-01T10:00:00Z", "Asia/Tokyo"))
    assert made["start"] == {"dateTime": "2027-07-01T11:00:00+02:00", "timeZone": "Asia/Tokyo"}
    shown = get(alice, made["id"], timeZone="America/New_York")
    assert shown["start"]["dateTime"] == "2027-07-01T05:00:00-04:00"


def test_an_all_day_event_loses_its_time_zone(alice, all_day):
    body = all_day()
    body["start"]["timeZone"] = "Asia/Tokyo"
    assert insert(alice, body)["start"] == {"date": "2027-03-01"}


def test_the_calendar_is_the_organizer_whatever_the_body_says(alice, sandbox, timed):
    made = insert(alice, timed(organizer={"email": "eve@example.com"}))
    assert made["organizer"] == {"email": "alice@example.com", "self": True}
    team = sandbox.add_calendar("alice@example.com", "Team")
    other = alice.events().insert(calendarId=team, body=timed()).execute()
    assert other["organizer"] == {"email": team, "displayName": "Team", "self": True}
    assert other["creator"] == {"email": "alice@example.com"}


@pytest.mark.parametrize(
    "bad", ["abc", "with-hyphen", "UPPERCASE", "wxyz5", "under_score", "a" * 1025]
)
def test_ids_outside_base32hex_are_refused(alice, refused, timed, bad):
    request = alice.events().insert(calendarId="primary", body=timed(id=bad))
    assert refused(request)["message"] == "Invalid resource id value."


def test_a_taken_id_is_a_duplicate_even_after_deletion(alice, refused, timed):
    insert(alice, timed(id=ID))
    request = alice.events().insert(calendarId="primary", body=timed(id=ID))
    assert refused(request)["reason"] == "duplicate"
    delete(alice, ID).execute()
    found = refused(alice.events().insert(calendarId="primary", body=timed(id=ID)))
    assert (found["status"], found["reason"]) == (409, "duplicate")


def test_a_taken_uid_is_a_duplicate(alice, refused, timed):
    insert(alice, timed(iCalUID="u@elsewhere"))
    request = alice.events().insert(calendarId="primary", body=timed(iCalUID="u@elsewhere"))
    assert refused(request)["status"] == 409


def test_deleting_twice_is_410_and_deleting_nothing_404(alice, refused, timed):
    insert(alice, timed(id=ID))
    assert delete(alice, ID).execute() == ""
    assert refused(delete(alice, ID))["reason"] == "deleted"
    assert refused(delete(alice, "neverwasthere"))["status"] == 404
    assert get(alice, ID)["status"] == "cancelled"


def test_a_deleted_event_is_revived_by_putting_it_back(alice, timed):
    insert(alice, timed(id=ID, description="kept"))
    delete(alice, ID).execute()
    body = get(alice, ID) | {"status": "confirmed"}
    assert update(alice, ID, body).execute()["status"] == "confirmed"
    assert [e["id"] for e in alice.events().list(calendarId="primary").execute()["items"]] == [ID]


def test_what_a_person_deleted_cannot_be_revived(alice, sandbox, refused, timed):
    insert(alice, timed(id=ID))
    sandbox.edit("alice@example.com", "remove", "primary", ID)
    body = get(alice, ID) | {"status": "confirmed"}
    assert refused(update(alice, ID, body))["status"] == 403
    sandbox.switches.revive_after_ui_delete = True
    assert update(alice, ID, body).execute()["status"] == "confirmed"


def test_a_write_with_an_old_etag_is_refused(alice, refused, timed):
    made = insert(alice, timed(id=ID))
    patch(alice, ID, {"summary": "newer"}).execute()
    for request in (update(alice, ID, timed()), patch(alice, ID, {}), delete(alice, ID)):
        request.headers["If-Match"] = made["etag"]
        found = refused(request)
        assert (found["status"], found["reason"]) == (412, "conditionNotMet")
    request = patch(alice, ID, {"summary": "newest"})
    request.headers["If-Match"] = get(alice, ID)["etag"]
    assert request.execute()["summary"] == "newest"


def test_an_unchanged_event_is_answered_with_304(alice, timed):
    from googleapiclient.errors import HttpError

    made = insert(alice, timed())
    request = alice.events().get(calendarId="primary", eventId=made["id"])
    request.headers["If-None-Match"] = made["etag"]
    with pytest.raises(HttpError) as caught:
        request.execute()
    assert caught.value.resp.status == 304


def test_put_replaces_everything_and_patch_only_what_it_names(alice, timed):
    made = insert(
        alice,
        timed(
            location="Room",
            description="Text",
            extendedProperties={"private": {"a": "1", "b": "2"}, "shared": {"s": "3"}},
        ),
    )
    patched = patch(
        alice, made["id"], {"location": None, "extendedProperties": {"private": {"a": None}}}
    ).execute()
    assert "location" not in patched
    assert patched["description"] == "Text"
    assert patched["extendedProperties"] == {"private": {"b": "2"}, "shared": {"s": "3"}}
    replaced = update(alice, made["id"], timed()).execute()
    assert {"description", "extendedProperties"}.isdisjoint(replaced)


def test_patching_timed_to_all_day_needs_the_other_member_nulled(alice, refused, timed):
    made = insert(alice, timed())
    half = {"start": {"date": "2027-03-01"}, "end": {"date": "2027-03-02"}}
    assert refused(patch(alice, made["id"], half))["status"] == 400
    whole = {
        "start": {"date": "2027-03-01", "dateTime": None, "timeZone": None},
        "end": {"date": "2027-03-02", "dateTime": None, "timeZone": None},
    }
    assert patch(alice, made["id"], whole).execute()["start"] == {"date": "2027-03-01"}


def test_the_sequence_rises_with_the_time_and_may_not_be_lowered(alice, refused, timed):
    made = insert(alice, timed())
    assert patch(alice, made["id"], {"summary": "Other"}).execute()["sequence"] == 0
    later = {"dateTime": "2027-03-01T11:00:00", "timeZone": "Europe/Berlin"}
    assert patch(alice, made["id"], {"end": later}).execute()["sequence"] == 1
    found = refused(patch(alice, made["id"], {"sequence": 0}))
    assert found["message"].startswith("Invalid sequence value. The specified sequence number")


def test_changing_only_reminders_leaves_updated_alone(alice, timed):
    made = insert(alice, timed())
    reminders = {"useDefault": False, "overrides": [{"method": "popup", "minutes": 5}]}
    changed = patch(alice, made["id"], {"reminders": reminders}).execute()
    assert changed["reminders"] == reminders
    assert changed["updated"] == made["updated"]
    assert changed["etag"] != made["etag"]


@pytest.mark.parametrize(
    ("start", "end", "reason", "message"),
    [
        ({"dateTime": "2027-03-01T09:00:00Z"}, {"dateTime": "2027-03-01T09:00:00Z"},
         "timeRangeEmpty", "The specified time range is empty."),
        ({"dateTime": "2027-03-01T09:00:00Z"}, {"dateTime": "2027-03-01T08:00:00Z"},
         "timeRangeEmpty", "The specified time range is empty."),
        ({"date": "2027-03-01"}, {"date": "2027-03-01"},
         "timeRangeEmpty", "The specified time range is empty."),
        ({"date": "2027-03-01"}, {"dateTime": "2027-03-01T08:00:00Z"}, "invalid", None),
        ({"dateTime": "2027-03-01T09:00:00"}, {"dateTime": "2027-03-01T10:00:00"},
         "required", "Missing time zone definition for start time."),
        ({"dateTime": "2027-03-01T09:00:00Z", "timeZone": "Europe/Nowhere"},
         {"dateTime": "2027-03-01T10:00:00Z"}, "invalid",
         "Invalid time zone definition for start time."),
        ({"dateTime": "2027-03-01T09:00:00Z"}, {}, "required", "Missing end time."),
    ],
)  # fmt: skip
def test_impossible_times_are_refused(alice, refused, start, end, reason, message):
    request = alice.events().insert(calendarId="primary", body={"start": start, "end": end})
    found = refused(request)
    assert (found["status"], found["reason"]) == (400, reason)
    assert message in (None, found["message"])


def test_long_texts_and_properties_are_cut_without_a_word(alice, timed):
    made = insert(
        alice,
        timed(
            description="x" * 9000,
            extendedProperties={"private": {"k" * 44: "v" * 2000, "k" * 45: "gone"}},
        ),
    )
    assert len(made["description"]) == 8192
    assert made["extendedProperties"]["private"] == {"k" * 44: "v" * 1024}


@pytest.mark.parametrize(
    "reminders",
    [
        {"overrides": [{"method": "popup", "minutes": n} for n in range(6)]},
        {"useDefault": True, "overrides": [{"method": "popup", "minutes": 1}]},
        {"overrides": [{"method": "popup", "minutes": 40321}]},
        {"overrides": [{"method": "sms", "minutes": 1}]},
    ],
)
def test_impossible_reminders_are_refused(alice, refused, timed, reminders):
    request = alice.events().insert(calendarId="primary", body=timed(reminders=reminders))
    assert refused(request)["status"] == 400


def test_status_types_exist_on_primary_calendars_only(alice, sandbox, refused, timed):
    body = timed(eventType="focusTime", focusTimeProperties={"chatStatus": "doNotDisturb"})
    assert insert(alice, body)["eventType"] == "focusTime"
    team = sandbox.add_calendar("alice@example.com", "Team")
    request = alice.events().insert(calendarId=team, body=body)
    assert refused(request)["reason"] == "eventTypeRestriction"


def test_conference_and_attachments_survive_a_put_that_cannot_see_them(alice, timed):
    made = insert(
        alice,
        timed(
            conferenceData={"conferenceId": "abc"},
            attachments=[{"fileUrl": "https://drive.example/1"}],
        ),
        conferenceDataVersion=1,
        supportsAttachments=True,
    )
    kept = update(alice, made["id"], timed()).execute()
    assert kept["conferenceData"] == {"conferenceId": "abc"}
    assert kept["attachments"] == [{"fileUrl": "https://drive.example/1"}]
    gone = update(
        alice, made["id"], timed(), conferenceDataVersion=1, supportsAttachments=True
    ).execute()
    assert {"conferenceData", "attachments"}.isdisjoint(gone)


def test_importing_the_same_uid_again_updates(alice, timed):
    body = timed(
        iCalUID="040000008200E00074C5B7101A82E008", organizer={"email": "eve@else.example"}
    )
    first = alice.events().import_(calendarId="primary", body=body).execute()
    body["summary"] = "Renamed"
    second = alice.events().import_(calendarId="primary", body=body).execute()
    assert second["id"] == first["id"]
    assert first["id"].startswith("_")
    assert second["summary"] == "Renamed"
    assert second["privateCopy"] is True
    assert second["organizer"] == {"email": "eve@else.example"}
    assert len(alice.events().list(calendarId="primary").execute()["items"]) == 1


def test_a_google_uid_is_imported_under_its_own_id(alice, timed):
    body = timed(iCalUID="someid12345@google.com")
    made = alice.events().import_(calendarId="primary", body=body).execute()
    assert made["id"] == "someid12345"


def test_moving_hands_the_event_to_another_calendar(alice, sandbox, timed):
    team = sandbox.add_calendar("alice@example.com", "Team")
    insert(alice, timed(id=ID))
    moved = alice.events().move(calendarId="primary", eventId=ID, destination=team).execute()
    assert moved["organizer"]["email"] == team
    assert get(alice, ID)["status"] == "cancelled"
    assert alice.events().get(calendarId=team, eventId=ID).execute()["status"] == "confirmed"
