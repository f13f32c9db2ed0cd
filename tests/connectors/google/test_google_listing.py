"""Listings: nothing is missed, nothing is taken for deleted, nothing is read in vain."""

from datetime import UTC, datetime
from hashlib import sha256

import pytest

from connectors.changes import apply_change
from connectors.contract import Fragment, Gone, Listing, Role, Unreadable, Whole
from connectors.errors import FatalError, ReauthorizeError, ResyncError, RetryableError
from connectors.sandbox.faults import Fault
from connectors.testing.builders import edited, event, moved
from mappings.model import Key

ALICE = "alice@example.com"
BOB = "bob@example.com"
KEY = sha256(b"one").hexdigest()
LIST = "^GET /calendar/v3/calendars/[^/]+/events[?]"
SECOND = Key("2026-03-09T10:00:00")


def body(summary="Talk", start="2026-03-02T10:00:00", zone="Europe/Berlin", **more):
    end = start[:11] + f"{int(start[11:13]) + 1:02}" + start[13:]
    return {
        "summary": summary,
        "start": {"dateTime": start, "timeZone": zone},
        "end": {"dateTime": end, "timeZone": zone},
    } | more


def series(**more):
    return body("Review", **({"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=10"]} | more))


def read(connector, cursor=None, calendar=ALICE):
    pages = list(connector.changes(calendar, cursor))
    return [change for page in pages for change in page.changes], pages[-1].cursor


# -- pages ----------------------------------------------------------------------------------


def test_short_and_empty_pages_are_read_to_the_last(google):
    google.sandbox.switches.page_limit = 3
    google.sandbox.switches.empty_first_page = True
    wires = [google.sandbox.seed_event(ALICE, body(f"E{number}")) for number in range(10)]
    pages = list(google.connect().changes(ALICE, None))
    assert len(pages) > 4
    assert {page.listing for page in pages} == {Listing.COMPLETE}
    refs = [change.ref for page in pages for change in page.changes]
    assert sorted(refs) == sorted(wire["id"] for wire in wires)


def test_exceptions_before_their_series_wait_for_it_and_cost_no_call(google):
    google.sandbox.switches.page_limit = 1
    for number in range(4):
        wire = google.sandbox.seed_event(ALICE, series())
        occurrence = f"{wire['id']}_20260309T090000Z"
        google.sandbox.edit(ALICE, "change", ALICE, occurrence, {"summary": f"Moved {number}"})
        google.sandbox.edit(ALICE, "change", ALICE, wire["id"], {"summary": f"Master {number}"})
    connector = google.connect()
    changes, _ = read(connector)
    copies = {}
    for change in sorted(changes, key=lambda each: isinstance(each, Fragment)):
        copies[change.ref] = apply_change(copies.get(change.ref), change)
    assert len(copies) == 4
    assert all(SECOND in copy.event.overrides_by_key for copy in copies.values())
    assert set(google.api_calls()) == {"events.list"}


def test_a_listing_that_breaks_off_raises_and_gives_no_cursor(google):
    google.sandbox.switches.page_limit = 2
    for number in range(5):
        google.sandbox.seed_event(ALICE, body(f"E{number}"))
    connector = google.connect()
    google.sandbox.faults.add(Fault(match=LIST, action="html", status=502, skip=1, times=0))
    cursors = []
    with pytest.raises(RetryableError):
        cursors += [page.cursor for page in connector.changes(ALICE, None)]
    pages = connector.changes(ALICE, None)
    google.sandbox.faults.clear()
    assert cursors == []
    assert [page.cursor is None for page in pages] == [True, True, False]


@pytest.mark.parametrize("action", ["truncate", "html", "drop_before", "drop_after"])
def test_a_spoilt_page_is_read_again(google, action):
    google.sandbox.seed_event(ALICE, body())
    connector = google.connect()
    google.sandbox.faults.add(Fault(match=LIST, action=action, status=200, times=2))
    changes, cursor = read(connector)
    assert len(changes) == 1
    assert cursor


def test_a_gateways_not_found_page_is_no_deleted_calendar(google):
    connector = google.connect()
    google.sandbox.faults.add(Fault(match=LIST, action="html", status=404, times=0))
    with pytest.raises(RetryableError, match="api_root"):
        read(connector)


# -- cursors ---------------------------------------------------------------------------------


def test_an_expired_cursor_asks_for_everything_again(google):
    connector = google.connect()
    _, cursor = read(connector)
    google.sandbox.expire(calendar=ALICE)
    with pytest.raises(ResyncError):
        read(connector, cursor)


@pytest.mark.parametrize("cursor", ["1:nonsense", "nonsense", "0:older", ""])
def test_a_cursor_that_google_never_gave_asks_for_everything_again(google, cursor):
    with pytest.raises(ResyncError):
        read(google.connect(), cursor)


def test_an_unchanged_calendar_costs_one_call(google):
    connector = google.connect()
    _, cursor = read(connector)
    before = google.mark()
    changes, _ = read(connector, cursor)
    assert changes == []
    assert google.api_calls(before) == ["events.list"]


# -- deltas -------------------------------------------------------------------------------------


def test_a_changed_exception_alone_is_a_fragment_in_the_zone_of_its_series(google):
    wire = google.sandbox.seed_event(ALICE, series())
    connector = google.connect()
    _, cursor = read(connector)
    before = google.mark()
    google.sandbox.edit(
        ALICE, "change", ALICE, f"{wire['id']}_20260309T090000Z", {"summary": "Other"}
    )
    (change,), _ = read(connector, cursor)
    assert isinstance(change, Fragment)
    assert [override.key for override in change.overrides] == [SECOND]
    shown = google.sandbox.edit(ALICE, "get", ALICE, f"{wire['id']}_20260309T090000Z")
    assert change.updated == datetime.fromisoformat(shown["updated"])
    assert google.api_calls(before) == ["events.list"]


def test_after_a_restart_the_series_of_an_exception_is_read_once(google):
    wire = google.sandbox.seed_event(ALICE, series())
    _, cursor = read(google.connect())
    for day in ("20260309", "20260316"):
        google.sandbox.edit(
            ALICE, "change", ALICE, f"{wire['id']}_{day}T090000Z", {"summary": "Other"}
        )
    restarted = google.connect()
    before = google.mark()
    changes, _ = read(restarted, cursor)
    assert [override.key for change in changes for override in change.overrides] == [
        SECOND,
        Key("2026-03-16T10:00:00"),
    ]
    assert google.api_calls(before) == ["events.list", "events.get"]


def test_an_exception_that_follows_the_rule_again_is_reverted(google):
    wire = google.sandbox.seed_event(ALICE, series())
    occurrence = f"{wire['id']}_20260309T090000Z"
    google.sandbox.edit(ALICE, "change", ALICE, occurrence, {"summary": "Other"})
    connector = google.connect()
    _, cursor = read(connector)
    google.sandbox.edit(ALICE, "change", ALICE, occurrence, {"summary": "Review"})
    (change,), _ = read(connector, cursor)
    assert change.reverted == (SECOND,)
    assert change.overrides == ()


def test_a_changed_series_is_whole_so_that_a_taken_back_removal_is_seen(google):
    wire = google.sandbox.seed_event(
        ALICE,
        series(recurrence=["RRULE:FREQ=WEEKLY;COUNT=10", "EXDATE:20260309T090000Z"]),
    )
    connector = google.connect()
    changes, cursor = read(connector)
    assert changes[0].copy.event.overrides_by_key.keys() == {SECOND}
    google.sandbox.edit(
        ALICE, "change", ALICE, wire["id"], {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=10"]}
    )
    (change,), _ = read(connector, cursor)
    assert isinstance(change, Whole)
    assert change.copy.event.overrides == ()


def test_the_echo_of_our_own_series_costs_no_further_read(google):
    connector = google.connect()
    _, cursor = read(connector)
    weekly = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=10")
    made = connector.create(ALICE, moved(weekly, SECOND, start="2026-03-10T15:00"), KEY)
    before = google.mark()
    changes, _ = read(connector, cursor)
    copy = made
    for change in changes:
        copy = apply_change(copy, change)
    assert (copy.event, copy.members) == (made.event, made.members)
    assert google.api_calls(before) == ["events.list"]


def test_deleted_units_are_gone_and_cancelled_occurrences_are_overrides(google):
    single = google.sandbox.seed_event(ALICE, body())
    whole = google.sandbox.seed_event(ALICE, series())
    doomed = google.sandbox.seed_event(ALICE, series())
    connector = google.connect()
    _, cursor = read(connector)
    google.sandbox.edit(ALICE, "remove", ALICE, single["id"])
    google.sandbox.edit(ALICE, "remove", ALICE, f"{whole['id']}_20260309T090000Z")
    google.sandbox.edit(ALICE, "remove", ALICE, doomed["id"])
    changes, _ = read(connector, cursor)
    assert {change.ref for change in changes if isinstance(change, Gone)} == {
        single["id"],
        doomed["id"],
    }
    (fragment,) = [change for change in changes if isinstance(change, Fragment)]
    assert fragment.ref == whole["id"]
    assert fragment.overrides[0].cancelled


def test_this_and_following_is_two_series_whose_occurrences_are_googles(google):
    wire = google.sandbox.seed_event(ALICE, series())
    connector = google.connect()
    changes, cursor = read(connector)
    google.sandbox.edit(
        ALICE, "split", ALICE, f"{wire['id']}_20260323T090000Z", {"summary": "Later"}
    )
    changes, _ = read(connector, cursor)
    assert len({change.ref for change in changes}) == 2
    assert all(isinstance(change, Whole) for change in changes)
    assert sum(change.copy.event.details.title == "Later" for change in changes) == 1


# -- what cannot be read, and what is not ours -----------------------------------------------------


def test_one_unreadable_event_does_not_stop_the_others(google):
    good = google.sandbox.seed_event(ALICE, body())
    bad = google.sandbox.seed_event(
        ALICE, series(recurrence=["RRULE:FREQ=WEEKLY;COUNT=3", "RRULE:FREQ=DAILY;COUNT=3"])
    )
    google.sandbox.edit(
        ALICE, "change", ALICE, f"{bad['id']}_20260309T090000Z", {"summary": "Other"}
    )
    changes, cursor = read(google.connect())
    found = {change.ref: change for change in changes}
    assert isinstance(found[good["id"]], Whole)
    assert isinstance(found[bad["id"]], Unreadable)
    assert found[bad["id"]].code == "RULE_INVALID"
    assert cursor


def test_unknown_fields_do_no_harm(google):
    google.sandbox.seed_event(ALICE, body())
    google.sandbox.faults.add(Fault(match=LIST, action="rewrite", name="unknown_fields"))
    (change,), _ = read(google.connect())
    assert isinstance(change, Whole)


def test_an_invitation_to_one_occurrence_stands_alone(google):
    google.sandbox.add_user(BOB, zone="Europe/Berlin")
    wire = google.sandbox.edit(BOB, "create", BOB, series())
    google.sandbox.edit(
        BOB,
        "change",
        BOB,
        f"{wire['id']}_20260309T090000Z",
        {"attendees": [{"email": ALICE}]},
    )
    connector = google.connect()
    changes, _ = read(connector)
    (change,) = changes
    assert isinstance(change, Whole)
    assert not change.copy.event.recurring
    assert not change.copy.organized
    assert connector.fetch(ALICE, change.ref) == change.copy
    since, until = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC)
    ((ref, occurrence),) = google.connect().occurrences(ALICE, since, until)
    assert ref == change.ref
    assert (occurrence.details, occurrence.key) == (change.copy.event.details, None)
    google.sandbox.mails.clear()


def test_the_occurrences_of_a_series_to_which_the_account_is_invited_belong_to_it(google):
    google.sandbox.add_user(BOB, zone="Europe/Berlin")
    wire = google.sandbox.edit(BOB, "create", BOB, series() | {"attendees": [{"email": ALICE}]})
    google.sandbox.mails.clear()
    connector = google.connect()
    since, until = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)
    before = google.mark()
    found = list(connector.occurrences(ALICE, since, until))
    assert len(found) > 2
    assert {ref for ref, _ in found} == {wire["id"]}
    assert len({occurrence.key for _, occurrence in found}) == len(found)
    assert google.api_calls(before) == ["events.list", "events.get"]


def test_a_guests_copy_is_not_organized(google):
    google.sandbox.add_user(BOB)
    google.sandbox.edit(BOB, "create", BOB, body(attendees=[{"email": ALICE}]))
    google.sandbox.mails.clear()
    (change,), _ = read(google.connect())
    assert not change.copy.organized
    assert change.copy.event.details.organizer.email == BOB


# -- calendars and occurrences -----------------------------------------------------------------


def test_calendars_tell_role_and_zone(google):
    google.sandbox.add_user(BOB)
    team = google.sandbox.add_calendar(BOB, "Team", zone="America/New_York")
    free = google.sandbox.add_calendar(BOB, "Free")
    google.sandbox.share(team, ALICE, "writerWithoutPrivateAccess")
    google.sandbox.share(free, ALICE, "freeBusyReader")
    found = {calendar.id: calendar for calendar in google.connect().calendars()}
    assert found[ALICE].primary
    assert found[ALICE].role is Role.OWNER
    assert (found[team].name, found[team].zone) == ("Team", "America/New_York")
    assert found[team].role is Role.WRITER
    assert found[free].role is Role.FREE_BUSY


def test_a_calendar_that_never_was_is_fatal(google):
    with pytest.raises(FatalError):
        read(google.connect(), calendar="nowhere@group.calendar.google.com")


def test_a_read_only_calendar_refuses_writes_with_advice(google):
    google.sandbox.add_user(BOB)
    team = google.sandbox.add_calendar(BOB, "Team")
    google.sandbox.share(team, ALICE, "reader")
    with pytest.raises(ReauthorizeError, match="right to change"):
        google.connect().create(team, event(), KEY)


def test_occurrences_are_googles_own_expansion_with_our_keys(google):
    connector = google.connect()
    weekly = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=6")
    connector.create(ALICE, edited(weekly, SECOND, title="Else"), KEY)
    restarted = google.connect()
    since, until = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC)
    found = sorted(
        (occurrence.start.isoformat(), str(occurrence.key), occurrence.details.title)
        for ref, occurrence in restarted.occurrences(ALICE, since, until)
    )
    assert found == [
        ("2026-03-02T09:00:00+00:00", "2026-03-02T10:00:00", "Review"),
        ("2026-03-09T09:00:00+00:00", "2026-03-09T10:00:00", "Else"),
        ("2026-03-16T09:00:00+00:00", "2026-03-16T10:00:00", "Review"),
        ("2026-03-23T09:00:00+00:00", "2026-03-23T10:00:00", "Review"),
        ("2026-03-30T08:00:00+00:00", "2026-03-30T10:00:00", "Review"),
    ]
