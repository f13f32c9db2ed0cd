"""Dates beside a series: events of their own that belong to it, whoever touches them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.changes import apply_change
from connectors.contract import Copy, Fragment, Gone, Unreadable, Whole, fetch_again
from connectors.errors import ConflictError, OutcomeUnknownError
from connectors.sandbox.faults import Fault
from connectors.testing.builders import edited, event, moved
from mappings import feishu, recurrence
from mappings.model import Attendee, Event, Key, Person
from mappings.policy import Policy
from mappings.projection import project

KEY = "0123456789abcdef" * 4
SINCE, UNTIL = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 8, 1, tzinfo=UTC)
EXTRA, LATER = Key("2026-03-05T09:00:00"), Key("2026-04-01T09:00:00")
CREATES = r"^POST /open-apis/calendar/v4/calendars/[^/]+/events"


def held(wanted: Event) -> Event:
    shown = project(wanted, Policy(), feishu.LIMITS).event
    assert shown is not None
    return shown


SERIES = held(event("Review", rule="FREQ=WEEKLY;COUNT=4", rdates=(EXTRA, LATER)))
LISTED = held(event("Training", rdates=(EXTRA, LATER)))


def happenings(event: Event) -> list[tuple[str, str, str]]:
    return sorted(
        (str(each.start), str(each.end), each.details.title)
        for each in recurrence.expand(event, SINCE, UNTIL)
    )


def shown(connector: Any) -> list[tuple[str, str, str]]:
    """What Feishu itself expands."""
    return sorted(
        (str(each.start), str(each.end), each.details.title)
        for _ref, each in connector.occurrences("primary", SINCE, UNTIL)
    )


def listed(connector: Any, cursor: str | None = None, *known: Copy) -> dict[str, Any]:
    """The units of a listing, put together; what else it tells under its ref."""
    found: dict[str, Any] = {copy.ref: copy for copy in known}
    for page in connector.changes("primary", cursor):
        for change in page.changes:
            if isinstance(change, Whole | Fragment):
                found[change.ref] = apply_change(found.get(change.ref), change)
            else:
                found[change.ref] = change
    return found


def cursor(connector: Any) -> str:
    return str([page.cursor for page in connector.changes("primary", None)][-1])


def extra_id(copy: Copy, key: Key = EXTRA) -> str:
    member = copy.member(f"occurrence:{key}")
    assert member is not None
    return member.id


@pytest.fixture
def series(bench: Any, ann: Any) -> tuple[Any, Copy]:
    connector = bench.connect(ann)
    return connector, connector.create("primary", SERIES, KEY)


@pytest.mark.parametrize("wanted", [SERIES, LISTED], ids=["beside a rule", "without a rule"])
def test_every_date_takes_place_once_and_all_are_one_unit(
    bench: Any, ann: Any, wanted: Event
) -> None:
    connector = bench.connect(ann)
    made = connector.create("primary", wanted, KEY)
    assert shown(connector) == happenings(wanted) == happenings(made.event)
    assert {ref for ref, _ in connector.occurrences("primary", SINCE, UNTIL)} == {made.ref}
    assert bench.sandbox.mails == []


def test_a_process_that_knows_nothing_finds_the_same_unit(
    bench: Any, ann: Any, series: tuple[Any, Copy]
) -> None:
    _, made = series
    stranger = bench.connect(ann)
    assert listed(stranger) == {made.ref: made}
    assert fetch_again(bench.connect(ann), "primary", made.ref, made) == made


def test_no_line_of_ours_shows_in_what_people_wrote(series: tuple[Any, Copy]) -> None:
    _, made = series
    for override in made.event.overrides:
        assert override.details is not None
        assert (override.details.description, override.details.footer) == ("", ())


def test_a_broken_off_making_is_completed_without_doubles(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann, attempts=1)
    bench.sandbox.faults.add(Fault(CREATES, "drop_after", skip=1))
    with pytest.raises(OutcomeUnknownError):
        connector.create("primary", SERIES, KEY)
    again = bench.connect(ann)
    made = again.create("primary", SERIES, KEY)
    made = again.update("primary", made, SERIES)
    assert shown(again) == happenings(SERIES)
    assert listed(again) == {made.ref: made}


def test_a_person_s_edit_of_an_extra_date_is_an_edit_of_the_unit(
    bench: Any, ann: Any, series: tuple[Any, Copy]
) -> None:
    connector, made = series
    at = cursor(connector)
    bench.sandbox.as_user(ann).patch(ann.primary, extra_id(made), {"summary": "Review at last"})
    [now] = listed(bench.connect(ann), at, made).values()
    assert now.event == edited(made.event, EXTRA, title="Review at last")
    assert fetch_again(connector, "primary", made.ref, made) == now


def test_an_extra_date_that_a_person_deletes_is_gone_from_the_unit(
    bench: Any, ann: Any, series: tuple[Any, Copy]
) -> None:
    connector, made = series
    at = cursor(connector)
    bench.sandbox.as_user(ann).delete(ann.primary, extra_id(made))
    without = held(event("Review", rule="FREQ=WEEKLY;COUNT=4", rdates=(LATER,)))
    assert happenings(listed(connector, at, made)[made.ref].event) == happenings(without)
    for found in (listed(bench.connect(ann))[made.ref],
                  fetch_again(bench.connect(ann), "primary", made.ref, made)):  # fmt: skip
        assert happenings(found.event) == happenings(without)
        assert [member.part for member in found.members] == ["main", f"occurrence:{LATER}"]


def test_extra_dates_of_a_deleted_series_are_events_for_themselves(
    bench: Any, ann: Any, series: tuple[Any, Copy]
) -> None:
    connector, made = series
    at = cursor(connector)
    bench.sandbox.as_user(ann).delete(ann.primary, made.ref)
    assert listed(connector, at) == {made.ref: Gone(ref=made.ref)}
    found = listed(bench.connect(ann))
    assert set(found) == {extra_id(made), extra_id(made, LATER)}
    assert all(copy.event.details.footer == () for copy in found.values())


def test_nothing_is_made_beside_a_series_that_somebody_deleted_meanwhile(
    bench: Any, ann: Any
) -> None:
    connector = bench.connect(ann)
    plain = held(event("Review", rule="FREQ=WEEKLY;COUNT=4"))
    made = connector.create("primary", plain, KEY)
    bench.sandbox.as_user(ann).delete(ann.primary, made.ref)
    with pytest.raises(ConflictError) as refused:
        connector.update("primary", made, SERIES)
    assert refused.value.current is None
    assert shown(connector) == []


def test_an_extra_date_without_our_line_is_an_event_for_itself(
    bench: Any, ann: Any, series: tuple[Any, Copy]
) -> None:
    connector, made = series
    bench.sandbox.as_user(ann).patch(ann.primary, extra_id(made), {"description": "mine"})
    found = listed(bench.connect(ann))
    assert set(found) == {made.ref, extra_id(made)}
    assert happenings(found[extra_id(made)].event) == [happenings(SERIES)[1]]
    assert len(happenings(found[made.ref].event)) == len(happenings(SERIES)) - 1
    assert len(shown(connector)) == len(happenings(SERIES))


def test_whoever_copies_an_extra_date_makes_an_event_for_itself(
    bench: Any, ann: Any, series: tuple[Any, Copy]
) -> None:
    connector, made = series
    at = cursor(connector)
    person = bench.sandbox.as_user(ann)
    copied = person.get(ann.primary, extra_id(made))
    names = ("summary", "description", "start_time", "end_time")
    double = person.create(ann.primary, {name: copied[name] for name in names})["event_id"]
    for found in (listed(connector, at, made), listed(bench.connect(ann))):
        assert set(found) == {made.ref, double}
        assert found[made.ref] == made
    for reader in (connector, bench.connect(ann)):
        refs = [ref for ref, _ in reader.occurrences("primary", SINCE, UNTIL)]
        assert sorted(refs) == sorted([double] + [made.ref] * len(happenings(SERIES)))
    at = cursor(connector)
    person.delete(ann.primary, double)
    assert listed(connector, at, made)[made.ref] == made


def test_an_extra_date_that_repeats_is_told_with_what_to_do(
    bench: Any, ann: Any, series: tuple[Any, Copy]
) -> None:
    connector, made = series
    at = cursor(connector)
    bench.sandbox.as_user(ann).patch(ann.primary, extra_id(made), {"recurrence": "FREQ=DAILY"})
    told = listed(connector, at, made)[made.ref]
    assert isinstance(told, Unreadable)
    assert told.code == "EXTRA_REPEATS"
    assert "take the line" in told.detail


def test_extra_dates_come_move_change_and_go(bench: Any, series: tuple[Any, Copy]) -> None:
    connector, copy = series
    steps = [
        edited(SERIES, EXTRA, title="Special", description="with <b>guests</b>"),
        moved(SERIES, EXTRA, start="2026-03-06T15:00"),
        held(event("Review", rule="FREQ=WEEKLY;COUNT=4", rdates=(LATER,))),
        SERIES,
        held(event("Renamed", rule="FREQ=WEEKLY;COUNT=4", rdates=(EXTRA,))),
        held(event("Renamed", rule="FREQ=WEEKLY;COUNT=4")),
        held(event("Review", rule="FREQ=DAILY;COUNT=3", rdates=(EXTRA, LATER))),
        held(event("Review", rule="FREQ=DAILY;COUNT=4", rdates=(LATER,))),
        LISTED,
    ]
    for wanted in steps:
        copy = connector.update("primary", copy, wanted)
        assert happenings(copy.event) == happenings(wanted) == shown(connector)
        assert fetch_again(connector, "primary", copy.ref, copy) == copy
    assert bench.sandbox.mails == []


def test_deleting_the_unit_leaves_nothing_behind(bench: Any, series: tuple[Any, Copy]) -> None:
    connector, made = series
    connector.delete("primary", made)
    assert shown(connector) == []


def test_a_unit_becomes_a_single_event_and_nothing_is_left_over(series: tuple[Any, Copy]) -> None:
    connector, made = series
    single = replace(SERIES, rule=None, overrides=())
    copy = connector.update("primary", made, single)
    assert shown(connector) == happenings(single)
    assert set(listed(connector)) >= {copy.ref}


def test_whom_a_link_invites_is_invited_to_the_extra_dates_too(bench: Any, ann: Any) -> None:
    guests = (Attendee(person=Person(email="guest@example.org")),)
    connector = bench.connect(ann)
    wanted = edited(edited(SERIES, attendees=guests), EXTRA, attendees=guests)
    made = connector.create("primary", wanted, KEY)
    [extra] = [item for item in made.event.overrides if item.key == EXTRA]
    assert extra.details is not None
    assert [each.person.email for each in extra.details.attendees if not each.organizer] == [
        "guest@example.org"
    ]
    assert len(bench.sandbox.mails) == 2
