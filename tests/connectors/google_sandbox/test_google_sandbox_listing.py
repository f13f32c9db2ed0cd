"""Listings, diffs, tokens."""

import pytest

ALICE = "alice@example.com"


@pytest.fixture
def listed(alice):
    def _listed(**options):
        return alice.events().list(**({"calendarId": "primary"} | options)).execute()

    return _listed


@pytest.fixture
def fill(sandbox, timed):
    def _fill(count):
        return [
            sandbox.seed_event(ALICE, timed(id=f"ev{n:05d}", summary=str(n)))["id"]
            for n in range(count)
        ]

    return _fill


def walk(alice, **options):
    """All pages with the library's own paging; items and the last answer."""
    request = alice.events().list(calendarId="primary", **options)
    items, answer = [], {}
    while request is not None:
        answer = request.execute()
        assert ("nextPageToken" in answer) != ("nextSyncToken" in answer)
        items += answer["items"]
        request = alice.events().list_next(request, answer)
    return items, answer


def test_pages_hold_everything_once_and_only_the_last_has_the_sync_token(alice, fill):
    names = fill(25)
    items, last = walk(alice, maxResults=10)
    assert [item["id"] for item in items] == names
    assert "nextSyncToken" in last


def test_a_diff_holds_what_changed_and_what_was_deleted_and_then_nothing(alice, fill, listed):
    names = fill(5)
    token = listed()["nextSyncToken"]
    assert listed(syncToken=token)["items"] == []
    alice.events().patch(calendarId="primary", eventId=names[1], body={"summary": "x"}).execute()
    alice.events().delete(calendarId="primary", eventId=names[2]).execute()
    diff = listed(syncToken=token)
    assert [(i["id"], i["status"]) for i in diff["items"]] == [
        (names[1], "confirmed"), (names[2], "cancelled"),
    ]  # fmt: skip
    assert set(diff["items"][1]) == {"kind", "etag", "id", "status"}
    assert listed(syncToken=diff["nextSyncToken"])["items"] == []


def test_deleted_entries_keep_details_if_the_first_listing_asked_for_them(alice, fill, listed):
    names = fill(2)
    token = listed(showDeleted=True)["nextSyncToken"]
    alice.events().delete(calendarId="primary", eventId=names[0]).execute()
    diff = listed(syncToken=token, showDeleted=True)["items"]
    assert (diff[0]["status"], diff[0]["summary"]) == ("cancelled", "0")


def test_changes_during_paging_are_not_lost(alice, fill):
    names = fill(6)
    request = alice.events().list(calendarId="primary", maxResults=3)
    first = request.execute()
    alice.events().delete(calendarId="primary", eventId=names[0]).execute()
    alice.events().patch(calendarId="primary", eventId=names[5], body={"summary": "x"}).execute()
    rest = alice.events().list_next(request, first).execute()
    assert [item["id"] for item in first["items"] + rest["items"]] == names
    diff = alice.events().list(calendarId="primary", syncToken=rest["nextSyncToken"]).execute()
    assert {i["id"]: i["status"] for i in diff["items"]} == {
        names[0]: "cancelled", names[5]: "confirmed",
    }  # fmt: skip


def test_a_diff_is_paged_with_the_same_sync_token(alice, fill, listed):
    token = listed()["nextSyncToken"]
    names = fill(5)
    items, _ = walk(alice, syncToken=token, maxResults=2)
    assert [item["id"] for item in items] == names


def test_an_expired_token_demands_a_full_sync(alice, sandbox, listed, refused):
    token = listed()["nextSyncToken"]
    sandbox.expire(calendar=ALICE)
    found = refused(alice.events().list(calendarId="primary", syncToken=token))
    assert (found["status"], found["reason"]) == (410, "fullSyncRequired")
    assert (found["domain"], found["location"]) == ("calendar", "syncToken")
    assert listed()["nextSyncToken"] != token


def test_a_token_ages_on_the_clock_of_the_sandbox(alice, sandbox, listed, refused):
    sandbox.switches.sync_token_seconds = 3600.0
    token = listed()["nextSyncToken"]
    sandbox.clock.advance(3000)
    listed(syncToken=token)
    sandbox.clock.advance(601)
    assert refused(alice.events().list(calendarId="primary", syncToken=token))["status"] == 410


def test_garbage_foreign_and_tampered_tokens_are_invalid(alice, sandbox, listed, refused):
    token = listed()["nextSyncToken"]
    team = sandbox.add_calendar(ALICE, "Team")
    for calendar, bad in [
        ("primary", "garbage"), ("primary", token[:-6] + "AAAAAA"), (team, token),
        ("primary", listed(calendarId=team)["nextSyncToken"]),
    ]:  # fmt: skip
        found = refused(alice.events().list(calendarId=calendar, syncToken=bad))
        assert (found["status"], found["message"]) == (400, "Invalid sync token value.")


def test_a_token_is_bound_to_the_parameters_of_its_listing(alice, listed, refused):
    token = listed(singleEvents=True)["nextSyncToken"]
    assert listed(singleEvents=True, syncToken=token)["items"] == []
    assert refused(alice.events().list(calendarId="primary", syncToken=token))["status"] == 400


@pytest.mark.parametrize(
    "extra",
    [
        {"iCalUID": "x"}, {"orderBy": "updated"}, {"privateExtendedProperty": "a=b"}, {"q": "x"},
        {"sharedExtendedProperty": "a=b"}, {"timeMin": "2027-01-01T00:00:00Z"},
        {"timeMax": "2027-01-01T00:00:00Z"}, {"updatedMin": "2027-01-01T00:00:00Z"},
        {"showDeleted": False},
    ],
)  # fmt: skip
def test_filters_do_not_go_with_a_token(alice, listed, refused, extra):
    first = {"showDeleted": False} if "showDeleted" in extra else {}
    token = listed(**first)["nextSyncToken"]
    request = alice.events().list(calendarId="primary", syncToken=token, **extra)
    assert refused(request)["status"] == 400


def test_a_page_may_be_short_or_empty(alice, sandbox, fill):
    names = fill(7)
    sandbox.switches.page_limit = 3
    sandbox.switches.empty_first_page = True
    items, _ = walk(alice, maxResults=100)
    assert [item["id"] for item in items] == names
    assert len(sandbox.calls("events.list")) == 4


def test_a_window_compares_with_end_and_start_exclusively(alice, sandbox, listed, timed):
    sandbox.seed_event(ALICE, timed(id="single", recurrence=[]))
    sandbox.seed_event(ALICE, timed(id="series", recurrence=["RRULE:FREQ=DAILY"]))

    def found(low, high):
        return {item["id"] for item in listed(timeMin=low, timeMax=high)["items"]}

    assert found("2027-03-01T08:59:59Z", "2027-03-01T12:00:00Z") == {"single", "series"}
    assert found("2027-03-01T09:00:00Z", "2027-03-01T12:00:00Z") == set()
    assert found("2027-03-01T00:00:00Z", "2027-03-01T08:00:00Z") == set()
    assert found("2029-06-01T00:00:00Z", "2029-06-02T00:00:00Z") == {"series"}


def test_time_bounds_need_an_offset(alice, refused):
    request = alice.events().list(calendarId="primary", timeMin="2027-03-01T00:00:00")
    assert refused(request)["status"] == 400


def test_filters_find_by_uid_type_text_and_property(alice, sandbox, listed, timed):
    sandbox.seed_event(ALICE, timed(id="first", extendedProperties={"private": {"k": "v"}}))
    sandbox.seed_event(ALICE, timed(id="second", summary="Other", eventType="focusTime",
                                    focusTimeProperties={"chatStatus": "available"}))  # fmt: skip

    def found(**options):
        return [item["id"] for item in listed(**options)["items"]]

    assert found(iCalUID="first@google.com") == ["first"]
    assert found(privateExtendedProperty="k=v") == ["first"]
    assert found(q="other") == ["second"]
    assert found(eventTypes=["focusTime", "outOfOffice"]) == ["second"]


def test_a_diff_does_not_cost_more_on_a_large_calendar(alice, sandbox, timed, listed):
    """Counted, not timed: a diff looks at the changed rows only."""
    for n in range(2000):
        sandbox.world.calendars[ALICE].log.touch(f"x{n}")
    calendar = sandbox.world.calendars[ALICE]
    head = calendar.log.head
    sandbox.seed_event(ALICE, timed(id="fresh"))
    assert [name for _, name in calendar.log.since(head)] == ["fresh"]


def test_the_log_forgets_what_was_overtaken(sandbox):
    log = sandbox.world.calendars[ALICE].log
    for _ in range(50_000):
        log.touch("again")
    assert list(log.since(0)) == [(50_000, "again")]
    assert len(log._ids) < 5_000


def test_the_list_of_calendars_has_tokens_of_its_own(alice, sandbox, refused):
    first = alice.calendarList().list().execute()
    assert [entry["id"] for entry in first["items"]] == [ALICE]
    assert first["items"][0]["primary"] is True
    team = alice.calendars().insert(body={"summary": "Team"}).execute()["id"]
    diff = alice.calendarList().list(syncToken=first["nextSyncToken"]).execute()
    assert [(entry["id"], entry["accessRole"]) for entry in diff["items"]] == [(team, "owner")]
    alice.calendars().delete(calendarId=team).execute()
    gone = alice.calendarList().list(syncToken=diff["nextSyncToken"]).execute()["items"]
    assert [(entry["id"], entry["deleted"]) for entry in gone] == [(team, True)]
    sandbox.expire(user=ALICE)
    request = alice.calendarList().list(syncToken=diff["nextSyncToken"])
    assert refused(request)["reason"] == "fullSyncRequired"


def test_clearing_a_calendar_voids_its_tokens(alice, fill, listed, refused):
    fill(3)
    token = listed()["nextSyncToken"]
    alice.calendars().clear(calendarId="primary").execute()
    assert listed()["items"] == []
    assert refused(alice.events().list(calendarId="primary", syncToken=token))["status"] == 410


@pytest.mark.parametrize(
    ("fault", "left"), [("short", 3), ("empty", 0), ("malformed", 6), ("unknown_fields", 6)]
)
def test_a_listing_can_be_spoiled_by_script(sandbox, fill, listed, fault, left):
    from connectors.sandbox.faults import Fault

    fill(6)
    sandbox.faults.add(Fault(r"GET .*/events", "rewrite", name=fault))
    spoiled = listed()
    assert len(spoiled["items"]) == left
    assert "nextSyncToken" in spoiled
    assert len(listed()["items"]) == 6
