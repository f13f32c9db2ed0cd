"""Series: expansion, occurrences, exceptions, splits."""

import pytest

from connectors.sandbox.google import GoogleSwitches

ID = "5e51e5000000000000000000"
ALICE = "alice@example.com"


@pytest.fixture
def made(alice, timed):
    def _made(*lines, **fields):
        body = timed(id=ID, recurrence=list(lines), **fields)
        return alice.events().insert(calendarId="primary", body=body).execute()

    return _made


@pytest.fixture
def instances(alice):
    def _instances(**options):
        options = {"calendarId": "primary", "eventId": ID} | options
        return alice.events().instances(**options).execute()["items"]

    return _instances


@pytest.fixture
def patch(alice):
    def _patch(event, body):
        return alice.events().patch(calendarId="primary", eventId=event, body=body).execute()

    return _patch


def starts(rows):
    return [row["start"].get("dateTime") or row["start"]["date"] for row in rows]


def test_a_series_keeps_its_wall_time_over_the_change_to_summer_time(made, instances):
    made("RRULE:FREQ=WEEKLY;COUNT=3", start="2027-03-21T09:00:00", end="2027-03-21T10:00:00")
    rows = instances()
    assert starts(rows) == [
        "2027-03-21T09:00:00+01:00", "2027-03-28T09:00:00+02:00", "2027-04-04T09:00:00+02:00",
    ]  # fmt: skip
    assert rows[1]["id"] == f"{ID}_20270328T070000Z"


def test_a_time_that_does_not_exist_moves_forward_and_counts(made, instances):
    made("RRULE:FREQ=DAILY;COUNT=3", start="2027-03-27T02:30:00", end="2027-03-27T03:00:00")
    assert starts(instances()) == [
        "2027-03-27T02:30:00+01:00", "2027-03-28T03:30:00+02:00", "2027-03-29T02:30:00+02:00",
    ]  # fmt: skip


def test_a_time_that_exists_twice_is_the_first(made, instances):
    made("RRULE:FREQ=DAILY;COUNT=2", start="2027-10-30T02:30:00", end="2027-10-30T03:00:00")
    assert starts(instances())[1] == "2027-10-31T02:30:00+02:00"


def test_excluded_and_added_dates_are_kept_and_honoured(made, instances):
    lines = (
        "RRULE:FREQ=DAILY;COUNT=4",
        "EXDATE;TZID=Europe/Berlin:20270302T090000",
        "EXDATE:20270303T080000Z",
        "RDATE;TZID=Asia/Shanghai:20270310T160000",
    )
    assert made(*lines)["recurrence"] == list(lines)
    assert starts(instances()) == [
        "2027-03-01T09:00:00+01:00", "2027-03-04T09:00:00+01:00", "2027-03-10T09:00:00+01:00",
    ]  # fmt: skip


def test_dates_alone_make_a_series(made, instances):
    made("RDATE;TZID=Europe/Berlin:20270305T090000,20270307T090000")
    assert len(instances()) == 3


def test_all_day_instances_are_named_by_date(alice, all_day, instances):
    body = all_day(
        "2027-12-31", "2028-01-02", id=ID, recurrence=["RRULE:FREQ=YEARLY;UNTIL=20291231"]
    )
    alice.events().insert(calendarId="primary", body=body).execute()
    rows = instances()
    assert [row["id"] for row in rows] == [f"{ID}_{year}1231" for year in (2027, 2028, 2029)]
    assert rows[2]["end"] == {"date": "2030-01-02"}
    assert rows[0]["originalStartTime"] == {"date": "2027-12-31"}


def test_until_is_inclusive(made, instances):
    made("RRULE:FREQ=DAILY;UNTIL=20270303T080000Z")
    assert len(instances()) == 3


@pytest.mark.parametrize(
    "line",
    [
        "RRULE:FREQ=DAILY;COUNT=2;UNTIL=20270401T000000Z",
        "RRULE:FREQ=DAILY;COUNT=-1",
        "RRULE:FREQ=DAILY;UNTIL=20270401T000000",
        "RRULE:FREQ=HOURLY;COUNT=3",
        "RRULE:FREQ=WEEKLY;BYDAY=2MO",
        "RRULE:FREQ=DAILY;INTERVAL=0",
        "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "RRULE:FREQ=MONTHLY;BYMONTHDAY=40",
        "RRULE:COUNT=3",
        "DTSTART:20270301T090000Z",
        "FREQ=DAILY",
        "EXDATE:tomorrow",
    ],
)
def test_lines_that_are_no_recurrence_are_refused(alice, refused, timed, line):
    request = alice.events().insert(calendarId="primary", body=timed(recurrence=[line]))
    found = refused(request)
    assert (found["status"], found["message"]) == (400, "Invalid recurrence rule.")


def test_a_timed_series_needs_a_zone_name(alice, refused):
    body = {
        "start": {"dateTime": "2027-03-01T09:00:00+01:00"},
        "end": {"dateTime": "2027-03-01T10:00:00+01:00"},
        "recurrence": ["RRULE:FREQ=DAILY"],
    }
    found = refused(alice.events().insert(calendarId="primary", body=body))
    assert found["message"] == "Missing time zone definition for start time."


def test_an_occurrence_is_addressable_before_anybody_touched_it(alice, made):
    made("RRULE:FREQ=DAILY")
    row = alice.events().get(calendarId="primary", eventId=f"{ID}_20270401T070000Z").execute()
    assert row["recurringEventId"] == ID
    assert row["start"]["dateTime"] == "2027-04-01T09:00:00+02:00"
    assert "recurrence" not in row


def test_an_id_that_the_rule_does_not_produce_is_not_found(alice, made, refused):
    made("RRULE:FREQ=WEEKLY")
    request = alice.events().get(calendarId="primary", eventId=f"{ID}_20270302T080000Z")
    assert refused(request)["status"] == 404


def test_a_moved_occurrence_keeps_its_original_start(alice, made, instances, patch):
    made("RRULE:FREQ=DAILY;COUNT=3")
    second = instances()[1]["id"]
    moved = patch(second, {
        "start": {"dateTime": "2027-03-05T15:00:00"}, "end": {"dateTime": "2027-03-05T16:00:00"},
    })  # fmt: skip
    assert moved["originalStartTime"]["dateTime"] == "2027-03-02T09:00:00+01:00"
    assert moved["iCalUID"] == f"{ID}@google.com"
    assert [row["id"] for row in instances(originalStart="2027-03-02T08:00:00Z")] == [second]
    window = {"timeMin": "2027-03-05T00:00:00Z", "timeMax": "2027-03-06T00:00:00Z"}
    assert [row["id"] for row in instances(**window)] == [second]
    listed = alice.events().list(calendarId="primary").execute()["items"]
    assert {row["id"] for row in listed} == {ID, second}


def test_an_occurrence_takes_no_recurrence_of_its_own(alice, made, refused):
    made("RRULE:FREQ=DAILY;COUNT=3")
    request = alice.events().patch(
        calendarId="primary",
        eventId=f"{ID}_20270302T080000Z",
        body={"recurrence": ["RRULE:FREQ=DAILY"]},
    )
    assert refused(request)["status"] == 400


def test_a_cancelled_occurrence_stands_in_plain_listings(alice, made, instances):
    made("RRULE:FREQ=DAILY;COUNT=3")
    gone = instances()[1]["id"]
    alice.events().delete(calendarId="primary", eventId=gone).execute()
    listed = {r["id"]: r for r in alice.events().list(calendarId="primary").execute()["items"]}
    assert listed[gone] == {
        "kind": "calendar#event",
        "etag": listed[gone]["etag"],
        "id": gone,
        "status": "cancelled",
        "recurringEventId": ID,
        "originalStartTime": {"dateTime": "2027-03-02T09:00:00+01:00", "timeZone": "Europe/Berlin"},
    }
    assert len(instances()) == 2
    assert len(instances(showDeleted=True)) == 3


def test_a_deleted_series_takes_its_exceptions_out_of_listings(alice, made, instances, patch):
    made("RRULE:FREQ=DAILY;COUNT=3")
    patch(instances()[1]["id"], {"summary": "Special"})
    alice.events().delete(calendarId="primary", eventId=ID).execute()
    assert alice.events().list(calendarId="primary").execute()["items"] == []
    dead = alice.events().list(calendarId="primary", showDeleted=True).execute()["items"]
    assert {row["status"] for row in dead} == {"cancelled"}
    assert len(dead) == 2


def test_exceptions_that_the_new_rule_still_produces_survive(made, instances, patch):
    made("RRULE:FREQ=DAILY;COUNT=10")
    rows = instances()
    patch(rows[2]["id"], {"summary": "Third"})
    patch(rows[7]["id"], {"summary": "Eighth"})
    patch(ID, {"recurrence": ["RRULE:FREQ=DAILY;COUNT=5"]})
    assert [row["summary"] for row in instances()] == [
        "Standup", "Standup", "Third", "Standup", "Standup",
    ]  # fmt: skip


def test_exceptions_can_be_told_to_fall_with_every_change_of_the_rule(
    sandbox, made, instances, patch
):
    sandbox.switches.exceptions_on_time_change = "drop_all"
    made("RRULE:FREQ=DAILY;COUNT=5")
    patch(instances()[2]["id"], {"summary": "Third"})
    patch(ID, {"recurrence": ["RRULE:FREQ=DAILY;COUNT=6"]})
    assert {row["summary"] for row in instances()} == {"Standup"}


def test_single_events_replace_masters_by_occurrences_in_order(
    alice, made, instances, patch, timed
):
    made("RRULE:FREQ=DAILY;COUNT=4")
    rows = instances()
    patch(rows[0]["id"], {
        "start": {"dateTime": "2027-03-03T12:00:00"}, "end": {"dateTime": "2027-03-03T13:00:00"},
    })  # fmt: skip
    alice.events().delete(calendarId="primary", eventId=rows[3]["id"]).execute()
    listed = alice.events().list(
        calendarId="primary", singleEvents=True, orderBy="startTime", timeMax="2027-03-31T00:00:00Z"
    ).execute()  # fmt: skip
    assert [row["id"] for row in listed["items"]] == [rows[n]["id"] for n in (1, 2, 0)]
    assert "nextSyncToken" not in listed


def test_this_and_following_starts_a_series_with_its_own_id(alice, sandbox, made, instances):
    made("RRULE:FREQ=DAILY;COUNT=10")
    pivot = instances()[4]["id"]
    fresh = sandbox.edit(ALICE, "split", "primary", pivot, {"summary": "Later"})
    assert fresh["id"] == f"{ID}_R20270305T090000"
    assert len(instances()) == 4
    rows = instances(eventId=fresh["id"])
    assert len(rows) == 6
    assert rows[0]["id"] == f"{ID}_20270305T080000Z"
    assert rows[0]["recurringEventId"] == fresh["id"]
    row = alice.events().get(calendarId="primary", eventId=rows[3]["id"]).execute()
    assert row["recurringEventId"] == fresh["id"]


def test_a_revived_series_gets_its_exceptions_back(alice, made, instances, patch):
    made("RRULE:FREQ=DAILY;COUNT=3")
    patch(instances()[1]["id"], {"summary": "Special"})
    alice.events().delete(calendarId="primary", eventId=ID).execute()
    body = alice.events().get(calendarId="primary", eventId=ID).execute() | {"status": "confirmed"}
    alice.events().update(calendarId="primary", eventId=ID, body=body).execute()
    assert [row["summary"] for row in instances()] == ["Standup", "Special", "Standup"]


def test_an_occurrence_that_a_person_deleted_can_be_restored(alice, sandbox, made, instances):
    made("RRULE:FREQ=DAILY;COUNT=3")
    second = instances()[1]["id"]
    sandbox.edit(ALICE, "remove", "primary", second)
    body = alice.events().get(calendarId="primary", eventId=second).execute()
    body["status"] = "confirmed"
    alice.events().update(calendarId="primary", eventId=second, body=body).execute()
    assert len(instances()) == 3


def test_switches_are_named_in_their_documentation():
    named = GoogleSwitches.__doc__ or ""
    assert [name for name in vars(GoogleSwitches()) if f"{name}:" not in named] == []
