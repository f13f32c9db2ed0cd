"""What a listing tells, how it goes on, and that it never ends quietly when it broke."""

from typing import Any

import pytest

from connectors.changes import apply_change
from connectors.contract import Fragment, Gone, Listing, Role, Unreadable, Whole
from connectors.errors import FatalError, RateLimitedError, ResyncError, RetryableError
from connectors.sandbox.faults import Fault

MONDAY = 1_772_413_200
WEEK = 7 * 86_400
EVENTS = r"^GET .*/events\?"


def listed(connector: Any, cursor: str | None = None, calendar: str = "primary") -> Any:
    """All changes of a listing, and its pages."""
    pages = list(connector.changes(calendar, cursor))
    return [change for page in pages for change in page.changes], pages


def completed(connector: Any, change: Any) -> Any:
    """The copy of a change with what listings leave out."""
    return connector.complete("primary", change.copy, ["main"])


def occurrence(ref: str, start: int) -> str:
    return f"{ref.removesuffix('0')}{start}"


def seeded(bench: Any, user: Any, body: Any, count: int) -> list[str]:
    return [bench.sandbox.seed_event(user.primary, body) for _ in range(count)]


@pytest.mark.parametrize(
    "weather", [{}, {"short_pages": 3}, {"short_pages": 3, "empty_pages": True}]
)
def test_all_pages_are_read_however_short_or_empty(
    bench: Any, ann: Any, single: Any, weather: dict[str, Any]
) -> None:
    refs = seeded(bench, ann, single, 10)
    bench.sandbox.switch(**weather)
    changes, pages = listed(bench.connect(ann))
    assert [change.ref for change in changes] == refs
    assert [page.cursor is None for page in pages] == [True] * (len(pages) - 1) + [False]
    assert {page.listing for page in pages} == {Listing.COMPLETE}


@pytest.mark.parametrize("way", ["sync_token", "page_token"])
def test_a_delta_of_many_pages_is_followed_by_whatever_token_comes(
    bench: Any, ann: Any, single: Any, way: str
) -> None:
    connector = bench.connect(ann)
    cursor = listed(connector)[1][-1].cursor
    refs = seeded(bench, ann, single, 10)
    bench.sandbox.switch(short_pages=4, delta_pages_by=way)
    changes, pages = listed(connector, cursor)
    assert [change.ref for change in changes] == refs
    assert len(pages) == 3
    assert listed(connector, pages[-1].cursor)[0] == []


def test_an_anchored_listing_does_not_claim_to_be_complete(
    bench: Any, ann: Any, single: Any
) -> None:
    seeded(bench, ann, single, 1)
    changes, pages = listed(bench.connect(ann, full_since=MONDAY + WEEK))
    assert changes == []
    assert {page.listing for page in pages} == {Listing.PARTIAL}


def test_an_empty_delta_costs_one_call(bench: Any, ann: Any, single: Any) -> None:
    seeded(bench, ann, single, 5)
    connector = bench.connect(ann)
    cursor = listed(connector)[1][-1].cursor
    before = len(bench.sandbox.calls())
    assert listed(connector, cursor)[0] == []
    assert len(bench.sandbox.calls()) == before + 1


def test_a_series_and_its_exceptions_come_as_parts_of_one_unit(
    bench: Any, ann: Any, weekly: Any
) -> None:
    connector = bench.connect(ann)
    ref = bench.sandbox.seed_event(ann.primary, weekly)
    bench.sandbox.seed_patch(
        ann.primary, occurrence(ref, MONDAY + WEEK), {"summary": "With guests"}
    )
    bench.sandbox.seed_patch(ann.primary, occurrence(ref, MONDAY + 2 * WEEK), None)
    whole, fragment = listed(connector)[0]
    assert isinstance(whole, Whole)
    assert whole.copy.event.overrides == ()
    assert isinstance(fragment, Fragment)
    assert fragment.ref == whole.ref == ref
    retitled, removed = fragment.overrides
    assert (retitled.key, retitled.details.title) == ("2026-03-09T09:00:00", "With guests")
    assert (removed.key, removed.cancelled) == ("2026-03-16T09:00:00", True)
    assert {member.part for member in fragment.members} == {
        "occurrence:2026-03-09T09:00:00",
        "occurrence:2026-03-16T09:00:00",
    }


def test_exceptions_on_a_page_before_their_series_find_it(
    bench: Any, ann: Any, weekly: Any
) -> None:
    connector = bench.connect(ann)
    cursor = listed(connector)[1][-1].cursor
    ref = bench.sandbox.seed_event(ann.primary, weekly)
    bench.sandbox.seed_patch(ann.primary, occurrence(ref, MONDAY + WEEK), {"summary": "First"})
    bench.sandbox.seed_patch(ann.primary, ref, {"description": "touched last"})
    bench.sandbox.switch(short_pages=1)
    changes, pages = listed(connector, cursor)
    assert len(pages) == 2
    assert [type(change) for change in changes] == [Fragment, Fragment]
    assert [change.overrides for change in changes if change.main] == [()]
    assert [o.key for change in changes for o in change.overrides] == ["2026-03-09T09:00:00"]


def test_an_exception_alone_asks_for_its_series_only_if_that_is_unknown(
    bench: Any, ann: Any, weekly: Any
) -> None:
    ref = bench.sandbox.seed_event(ann.primary, weekly)
    knows = bench.connect(ann, attendees="skip")
    stranger = bench.connect(ann, attendees="skip")
    cursor = listed(knows)[1][-1].cursor
    bench.sandbox.seed_patch(ann.primary, occurrence(ref, MONDAY + WEEK), {"summary": "New"})
    for connector, reads in ((knows, 0), (stranger, 1), (stranger, 1)):
        changes, _ = listed(connector, cursor)
        assert [o.details.title for change in changes for o in change.overrides] == ["New"]
        assert bench.count("events.get") == reads


def test_a_series_that_moved_to_another_zone_elsewhere_is_not_remembered_wrongly(
    bench: Any, ann: Any, weekly: Any
) -> None:
    ref = bench.sandbox.seed_event(ann.primary, weekly)
    connector, other = bench.connect(ann), bench.connect(ann)
    listed(connector)
    berlin = {"timezone": "Europe/Berlin"}
    times = {
        "start_time": {"timestamp": str(MONDAY), **berlin},
        "end_time": {"timestamp": str(MONDAY + 3600), **berlin},
    }
    bench.sandbox.seed_patch(ann.primary, ref, times)
    cursor = listed(other)[1][-1].cursor
    bench.sandbox.seed_patch(ann.primary, occurrence(ref, MONDAY + WEEK), {"summary": "New"})
    [fragment] = listed(connector, cursor)[0]
    assert [override.key for override in fragment.overrides] == ["2026-03-09T02:00:00"]


def test_orphans_of_a_deleted_series_are_nobodys_business(
    bench: Any, ann: Any, weekly: Any
) -> None:
    connector = bench.connect(ann)
    ref = bench.sandbox.seed_event(ann.primary, weekly)
    exception = occurrence(ref, MONDAY + WEEK)
    bench.sandbox.seed_patch(ann.primary, exception, {"summary": "Stays behind"})
    cursor = listed(connector)[1][-1].cursor
    bench.sandbox.seed_patch(ann.primary, ref, None)
    bench.sandbox.seed_patch(ann.primary, exception, {"summary": "Touched after all"})
    changes, pages = listed(connector, cursor)
    assert changes == [Gone(ref=ref)]
    bench.sandbox.seed_patch(ann.primary, exception, {"summary": "Once more"})
    assert listed(connector, pages[-1].cursor)[0] == []
    assert listed(connector)[0] == []


def test_a_removed_occurrence_is_not_a_deleted_series(bench: Any, ann: Any, weekly: Any) -> None:
    connector = bench.connect(ann)
    ref = bench.sandbox.seed_event(ann.primary, weekly)
    cursor = listed(connector)[1][-1].cursor
    bench.sandbox.as_user(ann).delete(ann.primary, occurrence(ref, MONDAY))
    [change] = listed(connector, cursor)[0]
    assert isinstance(change, Fragment)
    assert [(o.key, o.cancelled) for o in change.overrides] == [("2026-03-02T09:00:00", True)]


@pytest.mark.parametrize(("dialect", "calls"), [("hidden", 2), ("shown", 0)])
def test_what_a_full_listing_hides_does_not_take_place_again(
    bench: Any, ann: Any, weekly: Any, single: Any, dialect: str, calls: int
) -> None:
    shown = {"hidden": "none", "shown": "exceptions"}[dialect]
    bench.sandbox.switch(cancelled_in_full_listing=shown)
    bench.sandbox.seed_event(ann.primary, single)
    ref = bench.sandbox.seed_event(ann.primary, weekly)
    person = bench.sandbox.as_user(ann)
    person.delete(ann.primary, occurrence(ref, MONDAY + WEEK))
    person.patch(ann.primary, occurrence(ref, MONDAY + 2 * WEEK), {"summary": "Guests"})
    connector = bench.connect(ann, dialect={"cancelled_in_listing": dialect})
    copies: dict[str, Any] = {}
    for change in listed(connector)[0]:
        copies[change.ref] = apply_change(copies.get(change.ref), change)
    assert bench.count("events.instances") == calls
    assert [item.cancelled for item in copies[ref].event.overrides] == [True, False]
    for copy in copies.values():
        fetched = connector.fetch("primary", copy.ref)
        assert (fetched.event.overrides, fetched.members) == (copy.event.overrides, copy.members)


def test_a_deleted_event_is_gone_with_many_fields_or_few(bench: Any, ann: Any, single: Any) -> None:
    connector = bench.connect(ann)
    for tombstones in ("few", "all"):
        bench.sandbox.switch(tombstones=tombstones)
        ref = bench.sandbox.seed_event(ann.primary, single)
        cursor = listed(connector)[1][-1].cursor
        bench.sandbox.as_user(ann).delete(ann.primary, ref)
        assert listed(connector, cursor)[0] == [Gone(ref=ref)]


def test_an_invitation_that_is_withdrawn_is_gone(
    bench: Any, ann: Any, bob: Any, single: Any
) -> None:
    ref = bench.sandbox.seed_event(ann.primary, single, [{"type": "user", "user_id": bob.open_id}])
    connector = bench.connect(bob)
    [copy] = [change.copy for change in listed(connector)[0]]
    assert (copy.ref, copy.organized) == (ref, False)
    cursor = listed(connector)[1][-1].cursor
    bench.sandbox.as_user(ann).delete(ann.primary, ref)
    assert listed(connector, cursor)[0] == [Gone(ref=ref)]


# -- attendees ------------------------------------------------------------------------------------


def test_attendees_are_read_one_call_per_event(bench: Any, ann: Any, bob: Any, single: Any) -> None:
    guests = [
        {"type": "user", "user_id": bob.open_id},
        {"type": "third_party", "third_party_email": "Guest@Example.org"},
    ]
    bench.sandbox.seed_event(ann.primary, single, guests)
    bench.sandbox.seed_event(ann.primary, single)
    connector = bench.connect(ann)
    copies = [completed(connector, change) for change in listed(connector)[0]]
    assert bench.count("events.get") == 2
    people = {attendee.person.name for attendee in copies[0].event.details.attendees}
    addresses = {attendee.person.email for attendee in copies[0].event.details.attendees}
    assert "Bob" in people
    assert "guest@example.org" in addresses
    assert copies[1].event.details.attendees == ()


def test_more_attendees_than_an_event_shows_are_all_read(bench: Any, ann: Any, single: Any) -> None:
    guests = [{"type": "third_party", "third_party_email": f"g{n}@example.org"} for n in range(130)]
    ref = bench.sandbox.seed_event(ann.primary, single, guests)
    connector = bench.connect(ann)
    [change] = listed(connector)[0]
    copy = completed(connector, change)
    shown = {attendee.person.email for attendee in copy.event.details.attendees}
    assert {f"g{n}@example.org" for n in range(130)} <= shown
    assert connector.fetch("primary", ref) == copy


def test_attendees_are_not_read_where_nobody_wants_them_or_may(
    bench: Any, ann: Any, bob: Any, single: Any
) -> None:
    bench.sandbox.seed_event(ann.primary, single, [{"type": "user", "user_id": bob.open_id}])
    connector = bench.connect(bob)
    [change] = listed(connector)[0]
    listed(bench.connect(ann, attendees="skip"))
    assert bench.count("events.get") == 0
    assert connector.fetch("primary", change.ref) == change.copy
    assert change.copy.event.details.attendees == ()


def test_a_participant_reads_the_others_where_the_organiser_lets_him(
    bench: Any, ann: Any, bob: Any, single: Any
) -> None:
    guests = [
        {"type": "user", "user_id": bob.open_id},
        {"type": "third_party", "third_party_email": "guest@example.org"},
    ]
    bench.sandbox.seed_event(ann.primary, single | {"attendee_ability": "can_see_others"}, guests)
    connector = bench.connect(bob)
    [change] = listed(connector)[0]
    assert not change.copy.organized
    copy = completed(connector, change)
    addresses = {attendee.person.email for attendee in copy.event.details.attendees}
    assert "guest@example.org" in addresses
    assert connector.fetch("primary", change.ref) == copy


def test_attendees_that_are_refused_stop_nothing_and_are_asked_for_once(
    bench: Any, ann: Any, bob: Any, single: Any
) -> None:
    guests = [{"type": "user", "user_id": bob.open_id}]
    bench.sandbox.seed_event(ann.primary, single | {"attendee_ability": "can_see_others"}, guests)
    refusal = {"code": 194001, "msg": "no permission"}
    bench.sandbox.faults.add(
        Fault("need_attendee=true", "status", times=0, status=403, body=refusal)
    )
    connector = bench.connect(bob)
    [change] = listed(connector)[0]
    assert change.copy.event.details.title == "Lunch"
    assert completed(connector, change) == change.copy
    asked = bench.count("events.get")
    assert connector.fetch("primary", change.ref) == change.copy
    assert listed(connector)[0] == [change]
    assert bench.count("events.get") == asked + 1


# -- nonsense -------------------------------------------------------------------------------------


def test_an_unreadable_entry_is_named_and_the_rest_goes_on(
    bench: Any, ann: Any, single: Any
) -> None:
    bad, *good = seeded(bench, ann, single, 4)
    bench.sandbox.faults.add(Fault(EVENTS, "rewrite", name="malformed"))
    first, *rest = listed(bench.connect(ann))[0]
    assert isinstance(first, Unreadable)
    assert (first.ref, first.code) == (bad, "MALFORMED")
    assert [change.ref for change in rest] == good


def test_an_unreadable_series_takes_its_exceptions_along(
    bench: Any, ann: Any, weekly: Any, single: Any
) -> None:
    ref = bench.sandbox.seed_event(ann.primary, weekly)
    bench.sandbox.seed_patch(ann.primary, occurrence(ref, MONDAY), {"summary": "x"})
    good = bench.sandbox.seed_event(ann.primary, single)
    calendar = bench.sandbox.world.calendars[ann.primary]
    calendar.by_id[ref].event.recurrence = "FREQ=SOMETIMES"
    bad, fine = listed(bench.connect(ann))[0]
    assert (bad.ref, bad.code) == (ref, "RULE_INVALID")
    assert fine.ref == good


def test_unknown_fields_and_values_do_no_harm(bench: Any, ann: Any, single: Any) -> None:
    seeded(bench, ann, single, 2)
    connector = bench.connect(ann)
    plain = listed(connector)[0]
    bench.sandbox.faults.add(Fault(EVENTS, "rewrite", name="unknown_fields"))
    assert listed(connector)[0] == plain


# -- breaking off ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(EVENTS, "drop_before", skip=1),
        Fault(EVENTS, "drop_after", skip=1),
        Fault(EVENTS, "html", skip=1, status=502),
        Fault(EVENTS, "html", skip=1, status=200),
        Fault(EVENTS, "truncate", skip=1),
        Fault(EVENTS, "status", skip=1, status=500, body={"code": 190003, "msg": "internal"}),
        Fault(EVENTS, "status", skip=1, status=429, body={"code": 190010, "msg": "busy"}),
        Fault(EVENTS, "status", skip=1, status=200, body=[1, 2]),
        Fault(EVENTS, "status", skip=1, status=500, body={"code": "x", "error": {
            "field_violations": [7], "permission_violations": "none"}}),
        Fault(EVENTS, "status", skip=1, status=200, body="not json", headers={
            "Content-Type": "application/json"}),
    ],
    ids=lambda fault: f"{fault.action}-{fault.status}",
)  # fmt: skip
@pytest.mark.parametrize("times", [1, 0], ids=["once", "for-ever"])
def test_a_fault_in_the_middle_is_survived_or_raised_but_never_an_end(
    bench: Any, ann: Any, single: Any, fault: Fault, times: int
) -> None:
    refs = seeded(bench, ann, single, 9)
    bench.sandbox.switch(short_pages=3)
    connector = bench.connect(ann)
    connector.resolve("primary")
    bench.sandbox.faults.add(Fault(**{**vars(fault), "times": times, "seen": 0, "struck": 0}))
    if times:
        assert [change.ref for change in listed(connector)[0]] == refs
        return
    pages = connector.changes("primary", None)
    assert len(next(pages).changes) == 3
    with pytest.raises(RetryableError):
        list(pages)


def test_a_listing_that_ends_without_a_sync_token_is_broken(
    bench: Any, ann: Any, single: Any
) -> None:
    seeded(bench, ann, single, 4)
    bench.sandbox.faults.add(Fault(EVENTS, "rewrite", name="truncate_page", times=0))
    with pytest.raises(RetryableError, match="without a sync token"):
        listed(bench.connect(ann))


def test_a_listing_that_repeats_itself_is_broken(bench: Any, ann: Any) -> None:
    page = {"code": 0, "msg": "", "data": {"has_more": True, "page_token": "same", "items": []}}
    bench.sandbox.faults.add(Fault(EVENTS, "status", status=200, body=page, times=0))
    with pytest.raises(RetryableError, match="does not go on"):
        listed(bench.connect(ann))
    assert bench.count("") == 2


def test_a_rate_limit_is_obeyed_by_the_figure_that_feishu_gives(
    bench: Any, ann: Any, single: Any
) -> None:
    seeded(bench, ann, single, 1)
    connector = bench.connect(ann)
    body = {"code": 99991400, "msg": "request trigger frequency limit"}
    bench.sandbox.faults.add(
        Fault(EVENTS, "status", status=429, body=body, headers={"x-ogw-ratelimit-reset": "7"})
    )
    assert len(listed(connector)[0]) == 1
    assert bench.paces.slowed == [("GET /calendars/:calendar_id/events", 7.0)]
    assert bench.slept[0] >= 7
    bench.sandbox.faults.add(
        Fault(EVENTS, "status", status=429, body=body, headers={"x-ogw-ratelimit-reset": "900"})
    )
    with pytest.raises(RateLimitedError) as limited:
        listed(connector)
    assert limited.value.after == 900
    assert limited.value.request_id == ""


def test_an_expired_cursor_asks_for_a_full_listing(bench: Any, ann: Any, single: Any) -> None:
    connector = bench.connect(ann)
    cursor = listed(connector)[1][-1].cursor
    bench.sandbox.expire_sync_tokens()
    with pytest.raises(ResyncError) as void:
        listed(connector, cursor)
    assert void.value.code == "190008"
    assert void.value.request_id


@pytest.mark.parametrize("code", [190008, 190002, 190014, 190009])
def test_somebody_elses_cursor_asks_for_a_full_listing_whatever_feishu_calls_it(
    bench: Any, ann: Any, bob: Any, code: int
) -> None:
    bench.sandbox.switch(foreign_token_code=code)
    calendar = bench.sandbox.add_calendar(ann, "Team")
    bench.sandbox.share(calendar, bob, "writer")
    cursor = listed(bench.connect(ann), calendar=calendar.id)[1][-1].cursor
    with pytest.raises(ResyncError):
        listed(bench.connect(bob), cursor, calendar.id)


# -- calendars ------------------------------------------------------------------------------------


def test_calendars_come_with_role_and_kind_and_foreign_ones_are_flagged(
    bench: Any, ann: Any, bob: Any
) -> None:
    team = bench.sandbox.add_calendar(bob, "Team")
    bench.sandbox.share(team, ann, "reader")
    bound = [bench.sandbox.add_calendar(ann, kind, kind).id for kind in ("google", "exchange")]
    found = {calendar.id: calendar for calendar in bench.connect(ann).calendars()}
    assert found[ann.primary].primary
    assert found[ann.primary].role is Role.OWNER
    assert (found[team.id].role, found[team.id].primary) == (Role.READER, False)
    assert [found[id_].foreign for id_ in bound] == ["google", "exchange"]
    assert {found[ann.primary].foreign, found[team.id].foreign} == {""}


def test_a_foreign_or_unknown_calendar_stops_the_link_and_is_never_empty(
    bench: Any, ann: Any
) -> None:
    connector = bench.connect(ann)
    bound = bench.sandbox.add_calendar(ann, "Bound", "google")
    for calendar, code in ((bound.id, "191004"), ("feishu.cn_x@group.calendar.feishu.cn", None)):
        with pytest.raises(FatalError) as stopped:
            listed(connector, calendar=calendar)
        assert code in (None, stopped.value.code)


def test_more_calendars_than_a_page_are_all_listed(bench: Any, ann: Any) -> None:
    ids = {bench.sandbox.add_calendar(ann, f"C{n}").id for n in range(520)}
    assert {calendar.id for calendar in bench.connect(ann).calendars()} == ids | {ann.primary}


def test_primary_is_looked_up_once(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann)
    listed(connector)
    listed(connector)
    assert connector.resolve("primary") == ann.primary
    assert bench.count("calendars.primary") == 1
    assert {call.path.split("/")[5] for call in bench.sandbox.calls("events.list")} == {
        ann.primary.replace("@", "%40")
    }


@pytest.mark.parametrize("items", [[{"summary": "nameless"}], ["text"], {"event_id": "x"}, 7])
def test_a_page_whose_events_have_no_names_is_broken(bench: Any, ann: Any, items: Any) -> None:
    page = {"code": 0, "msg": "", "data": {"has_more": False, "sync_token": "s", "items": items}}
    bench.sandbox.faults.add(Fault(EVENTS, "status", status=200, body=page, times=0))
    with pytest.raises(RetryableError, match="cannot be read"):
        listed(bench.connect(ann))
