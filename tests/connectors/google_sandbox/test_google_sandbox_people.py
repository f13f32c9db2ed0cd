"""Guests, roles, mails, and persons at the web interface."""

import pytest

ALICE, BOB, EVE = "alice@example.com", "bob@example.com", "eve@else.example"
ID = "9e0p1e0000000000"


@pytest.fixture
def bob(client):
    return client(BOB)


@pytest.fixture
def invite(alice, timed):
    def _invite(mails="none", **fields):
        body = timed(id=ID, attendees=[{"email": BOB}, {"email": EVE}], **fields)
        return alice.events().insert(calendarId="primary", body=body, sendUpdates=mails).execute()

    return _invite


def get(service, event=ID):
    return service.events().get(calendarId="primary", eventId=event).execute()


def patch(service, body, event=ID, **options):
    return service.events().patch(calendarId="primary", eventId=event, body=body, **options)


def test_a_guest_gets_a_copy_with_the_same_uid(invite, bob):
    made = invite(extendedProperties={"private": {"a": "1"}, "shared": {"s": "2"}})
    copy = get(bob)
    assert copy["iCalUID"] == made["iCalUID"]
    assert copy["organizer"] == {"email": ALICE}
    assert {"email": BOB, "self": True, "responseStatus": "needsAction"} in copy["attendees"]
    assert copy["extendedProperties"] == {"shared": {"s": "2"}}


@pytest.mark.parametrize(
    ("mails", "to"), [("none", []), ("externalOnly", [EVE]), ("all", [BOB, EVE])]
)
def test_mails_go_to_whom_the_request_says(sandbox, invite, mails, to):
    invite(mails)
    assert [mail["to"] for mail in sandbox.mails] == to


def test_by_default_nobody_is_mailed(sandbox, alice, timed):
    body = timed(attendees=[{"email": EVE}])
    alice.events().insert(calendarId="primary", body=body).execute()
    assert sandbox.mails == []


def test_the_service_can_be_told_to_mail_all_the_same(sandbox, invite):
    sandbox.switches.none_still_mails = True
    invite("none")
    assert len(sandbox.mails) == 2


def test_the_organizers_changes_reach_the_guests_and_keep_what_is_theirs(invite, alice, bob):
    invite()
    patch(bob, {"colorId": "5", "extendedProperties": {"private": {"mine": "1"}}}).execute()
    patch(alice, {"summary": "Renamed"}).execute()
    copy = get(bob)
    assert (copy["summary"], copy["colorId"]) == ("Renamed", "5")
    assert copy["extendedProperties"]["private"] == {"mine": "1"}
    assert "colorId" not in get(alice)


def test_a_guest_may_not_change_what_is_shared(invite, bob, refused):
    invite()
    assert refused(patch(bob, {"summary": "Mine"}))["reason"] == "forbiddenForNonOrganizer"


def test_an_organizer_may_let_guests_change_it(invite, bob):
    invite(guestsCanModify=True)
    assert patch(bob, {"summary": "Ours"}).execute()["summary"] == "Ours"


def test_an_answer_reaches_the_organizer(sandbox, invite, alice):
    invite()
    sandbox.edit(BOB, "respond", "primary", ID, "accepted")
    answers = {a["email"]: a["responseStatus"] for a in get(alice)["attendees"]}
    assert answers == {BOB: "accepted", EVE: "needsAction"}


def test_removing_ones_copy_declines(sandbox, invite, alice, bob):
    invite()
    sandbox.edit(BOB, "remove", "primary", ID)
    assert get(bob)["status"] == "cancelled"
    assert get(alice)["status"] == "confirmed"
    assert get(alice)["attendees"][0]["responseStatus"] == "declined"


def test_deleting_takes_the_event_from_all_guests(invite, alice, bob):
    invite()
    alice.events().delete(calendarId="primary", eventId=ID).execute()
    assert get(bob)["status"] == "cancelled"


def test_an_uninvited_guest_loses_the_copy(invite, alice, bob):
    invite()
    patch(alice, {"attendees": [{"email": EVE}]}).execute()
    assert get(bob)["status"] == "cancelled"


def test_exceptions_reach_the_guests_too(invite, alice, bob):
    invite(recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    second = f"{ID}_20270302T080000Z"
    patch(alice, {"summary": "Special"}, second).execute()
    found = bob.events().instances(calendarId="primary", eventId=ID).execute()["items"]
    assert [row["summary"] for row in found] == ["Standup", "Special", "Standup"]


def test_exceptions_that_fall_with_the_rule_fall_for_the_guests_too(invite, alice, bob):
    invite(recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    patch(alice, {"summary": "Special"}, f"{ID}_20270303T080000Z").execute()
    patch(alice, {"recurrence": ["RRULE:FREQ=DAILY;COUNT=2"]}).execute()
    for service in (alice, bob):
        listed = service.events().list(calendarId="primary").execute()["items"]
        assert [row["id"] for row in listed] == [ID]


def test_a_guest_may_decline_one_occurrence(sandbox, invite, alice):
    invite(recurrence=["RRULE:FREQ=DAILY;COUNT=3"])
    second = f"{ID}_20270302T080000Z"
    sandbox.edit(BOB, "remove", "primary", second)
    answers = [row["attendees"][0]["responseStatus"] for row in (get(alice, second), get(alice))]
    assert answers == ["declined", "needsAction"]
    assert get(alice, second)["status"] == "confirmed"


def test_unshared_calendars_do_not_exist_for_others(bob, refused):
    assert refused(bob.events().list(calendarId=ALICE))["reason"] == "notFound"


def test_roles_permit_what_they_name(sandbox, bob, refused, timed):
    team = sandbox.add_calendar(ALICE, "Team")
    open_, hidden = (
        sandbox.seed_event(team, timed(visibility=v, summary=v))["id"]
        for v in ("default", "private")
    )

    def seen():
        rows = bob.events().list(calendarId=team).execute()["items"]
        return {row["id"]: row.get("summary") for row in rows}

    def insert():
        return bob.events().insert(calendarId=team, body=timed())

    sandbox.share(team, BOB, "freeBusyReader")
    assert seen() == {open_: None, hidden: None}
    sandbox.share(team, BOB, "reader")
    assert seen() == {open_: "default", hidden: None}
    assert refused(insert())["reason"] == "requiredAccessLevel"
    sandbox.share(team, BOB, "writerWithoutPrivateAccess")
    assert insert().execute()["summary"] == "Standup"
    assert seen()[hidden] is None
    sandbox.share(team, BOB, "writer")
    assert seen()[hidden] == "private"
    assert refused(bob.calendars().delete(calendarId=team))["status"] == 403
    sandbox.share(team, BOB, None)
    assert refused(insert())["status"] == 404


def test_a_change_of_rights_voids_sync_tokens(sandbox, bob, refused):
    team = sandbox.add_calendar(ALICE, "Team")
    sandbox.share(team, BOB, "reader")
    token = bob.events().list(calendarId=team).execute()["nextSyncToken"]
    sandbox.share(team, BOB, "writer")
    assert refused(bob.events().list(calendarId=team, syncToken=token))["status"] == 410


def test_free_busy_merges_what_overlaps(sandbox, alice, timed):
    sandbox.seed_event(ALICE, timed(recurrence=["RRULE:FREQ=DAILY"]))
    sandbox.seed_event(ALICE, timed("2027-03-02T09:30:00", "2027-03-02T11:00:00"))
    sandbox.seed_event(ALICE, timed("2027-03-02T20:00:00", "2027-03-02T21:00:00",
                                    transparency="transparent"))  # fmt: skip
    body = {
        "timeMin": "2027-03-02T00:00:00Z", "timeMax": "2027-03-03T00:00:00Z",
        "items": [{"id": ALICE}, {"id": BOB}],
    }  # fmt: skip
    found = alice.freebusy().query(body=body).execute()["calendars"]
    assert found[ALICE]["busy"] == [
        {"start": "2027-03-02T08:00:00Z", "end": "2027-03-02T10:00:00Z"}
    ]
    assert found[BOB]["errors"][0]["reason"] == "notFound"


def test_with_attendees_omitted_a_guest_answers_and_touches_no_other_line(invite, alice, bob):
    invite()
    lines = [{"email": BOB, "responseStatus": "accepted", "displayName": "Robert"}]
    patch(bob, {"attendees": lines, "attendeesOmitted": True}).execute()
    answers = {line["email"]: line for line in get(alice)["attendees"]}
    assert answers.keys() == {BOB, EVE}
    assert answers[BOB] == {"email": BOB, "responseStatus": "accepted"}
    assert answers[EVE]["responseStatus"] == "needsAction"
