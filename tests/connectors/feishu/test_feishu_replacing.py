"""What Feishu has no call for is done by a new event in the place of the old one, once."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from connectors.contract import Copy
from connectors.errors import (
    ConflictError,
    ConnectorError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from connectors.sandbox.faults import Fault
from connectors.testing.builders import cancelled, edited, event, moved
from mappings.model import Event, Key

KEY = "0123456789abcdef" * 4
WRITES = r"^(POST|PATCH|DELETE) /open-apis/calendar/v4/calendars/[^/]+/events"
WEEKLY = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=10",
               reminders=())  # fmt: skip
SECOND, THIRD = Key("2026-03-09T10:00:00"), Key("2026-03-16T10:00:00")
FOURTH = Key("2026-03-23T10:00:00")


def alive(bench: Any, user: Any) -> list[dict[str, Any]]:
    """What the person sees in his calendar, series as masters and exceptions."""
    listed = bench.sandbox.as_user(user).events(user.primary)
    return [item for item in listed if item["status"] != "cancelled"]


def fetched(connector: Any, ref: str) -> Copy:
    found = connector.fetch("primary", ref)
    assert found is not None
    return found


def content(copy: Copy) -> Event:
    """The event without the organiser, whom Feishu names by itself."""
    event = edited(copy.event, organizer=None)
    for override in event.overrides:
        if not override.cancelled:
            event = edited(event, override.key, organizer=None)
    return event


def test_a_removed_occurrence_comes_back_with_a_new_series_in_place_of_the_old(
    bench: Any, ann: Any
) -> None:
    connector = bench.connect(ann)
    first = cancelled(moved(WEEKLY, SECOND, start="2026-03-10T15:00"), THIRD)
    old = connector.create("primary", first, KEY)
    wanted = moved(WEEKLY, SECOND, start="2026-03-10T15:00")
    new = connector.update("primary", old, wanted)
    assert content(new) == wanted
    assert new.ref != old.ref
    assert {item["event_id"].rpartition("_")[0] for item in alive(bench, ann)} == {new.ref[:-2]}
    assert connector.update("primary", old, wanted).ref == new.ref


def test_a_replacement_that_broke_off_is_completed_and_leaves_one_series(
    bench: Any, ann: Any
) -> None:
    connector = bench.connect(ann, attempts=1)
    for broken in range(4):
        old = connector.create("primary", cancelled(WEEKLY, THIRD), f"{broken:064x}")
        wanted = moved(WEEKLY, SECOND, start="2026-03-10T15:00")
        bench.sandbox.faults.add(Fault(WRITES, "drop_after", skip=broken))
        with pytest.raises(OutcomeUnknownError) if broken < 3 else pytest.raises(RejectedError):
            connector.update("primary", old, wanted)
            raise RejectedError("three calls are enough")
        bench.sandbox.faults.clear()
        bench.sandbox.clock.advance(600)
        new = connector.update("primary", old, wanted)
        assert content(fetched(connector, new.ref)) == wanted
        assert {item["event_id"].rpartition("_")[0] for item in alive(bench, ann)} == {new.ref[:-2]}
        connector.delete("primary", new)


def test_a_replacement_that_is_repeated_leaves_what_people_did_with_the_new_series(
    bench: Any, ann: Any
) -> None:
    connector = bench.connect(ann)
    old = connector.create("primary", cancelled(WEEKLY, THIRD), KEY)
    new = connector.update("primary", old, WEEKLY)
    theirs = edited(moved(new.event, SECOND, start="2026-03-10T15:00"), title="Retrospective")
    shown = content(connector.update("primary", new, theirs))
    bench.sandbox.clock.advance(600)
    assert connector.update("primary", old, WEEKLY).ref == new.ref
    assert content(fetched(connector, new.ref)) == shown


def test_a_replacement_whose_rest_is_refused_for_now_says_that_something_may_stand(
    bench: Any, ann: Any
) -> None:
    connector = bench.connect(ann, attempts=1)
    busy = {"code": 190010, "msg": "busy"}
    for broken, expected in enumerate((RateLimitedError, OutcomeUnknownError, OutcomeUnknownError)):
        old = connector.create("primary", cancelled(WEEKLY, THIRD), f"{broken:064x}")
        wanted = moved(WEEKLY, SECOND, start="2026-03-10T15:00")
        fault = Fault(WRITES, "status", skip=broken, status=429, body=busy)
        bench.sandbox.faults.add(fault)
        with pytest.raises(ConnectorError) as error:
            connector.update("primary", old, wanted)
        assert type(error.value) is expected
        bench.sandbox.faults.clear()
        bench.sandbox.clock.advance(600)
        new = connector.update("primary", old, wanted)
        assert {item["event_id"].rpartition("_")[0] for item in alive(bench, ann)} == {new.ref[:-2]}
        connector.delete("primary", new)


@pytest.mark.parametrize("broken", [1, 2])
def test_a_replacement_that_is_refused_half_way_leaves_the_old_series_alone(
    bench: Any, ann: Any, broken: int
) -> None:
    connector = bench.connect(ann, attempts=1)
    first = cancelled(moved(WEEKLY, SECOND, start="2026-03-10T15:00"), THIRD)
    wanted = moved(
        moved(WEEKLY, SECOND, start="2026-03-10T15:00"), FOURTH, start="2026-03-24T08:00"
    )
    old = connector.create("primary", first, KEY)
    before = alive(bench, ann)
    for _ in range(2):
        body = {"code": 190002, "msg": "invalid parameters in request"}
        bench.sandbox.faults.add(Fault(WRITES, "status", skip=broken, status=400, body=body))
        with pytest.raises(RejectedError):
            connector.update("primary", old, wanted)
        bench.sandbox.faults.clear()
        assert alive(bench, ann) == before
    new = connector.update("primary", old, wanted)
    assert content(fetched(connector, new.ref)) == wanted
    assert {item["event_id"].rpartition("_")[0] for item in alive(bench, ann)} == {new.ref[:-2]}


def test_a_replacement_whose_removal_is_refused_too_is_settled_afterwards(
    bench: Any, ann: Any
) -> None:
    connector = bench.connect(ann, attempts=1)
    old = connector.create("primary", cancelled(WEEKLY, THIRD), KEY)
    wanted = moved(WEEKLY, SECOND, start="2026-03-10T15:00")
    body = {"code": 190002, "msg": "invalid parameters in request"}
    bench.sandbox.faults.add(Fault(WRITES, "status", skip=1, times=2, status=400, body=body))
    with pytest.raises(OutcomeUnknownError):
        connector.update("primary", old, wanted)
    bench.sandbox.faults.clear()
    new = connector.update("primary", old, wanted)
    assert {item["event_id"].rpartition("_")[0] for item in alive(bench, ann)} == {new.ref[:-2]}


def test_a_replacement_that_somebody_deleted_is_not_made_again(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann)
    old = connector.create("primary", cancelled(WEEKLY, THIRD), KEY)
    new = connector.update("primary", old, WEEKLY)
    bench.sandbox.as_user(ann).delete(ann.primary, new.ref)
    with pytest.raises(ConflictError) as refused:
        connector.update("primary", old, WEEKLY)
    assert refused.value.current is None
    assert alive(bench, ann) == []


def test_a_series_with_guests_is_not_replaced_behind_their_backs(
    bench: Any, ann: Any, bob: Any
) -> None:
    connector = bench.connect(ann)
    made = connector.create("primary", cancelled(WEEKLY, THIRD), KEY)
    bench.sandbox.as_user(ann).invite(
        ann.primary, made.ref, [{"type": "user", "user_id": bob.open_id}]
    )
    copy = fetched(connector, made.ref)
    with pytest.raises(RejectedError, match="attendees"):
        connector.update("primary", copy, replace(copy.event, overrides=()))
    assert fetched(connector, made.ref) == copy


@pytest.mark.parametrize("broken", range(4))
def test_a_replacement_that_people_overtook_is_taken_away(
    bench: Any, ann: Any, broken: int
) -> None:
    connector = bench.connect(ann, attempts=1)
    old = connector.create("primary", cancelled(WEEKLY, THIRD), KEY)
    wanted = moved(WEEKLY, SECOND, start="2026-03-10T15:00")
    if broken:
        bench.sandbox.faults.add(Fault(WRITES, "drop_after", skip=broken - 1))
        with suppress(ConnectorError):
            connector.update("primary", old, wanted)
        bench.sandbox.faults.clear()
        bench.sandbox.clock.advance(600)
    if connector.fetch("primary", old.ref) is None:
        assert broken == 3, "the old series goes last"
        return
    theirs = connector.update("primary", old, edited(old.event, title="Retrospective"))
    connector.abandon("primary", old, wanted)
    assert {item["event_id"].rpartition("_")[0] for item in alive(bench, ann)} == {old.ref[:-2]}
    assert fetched(connector, old.ref).event == theirs.event
    again = connector.update("primary", theirs, edited(wanted, title="Retrospective"))
    assert content(again) == content(fetched(connector, again.ref))
    assert {item["event_id"].rpartition("_")[0] for item in alive(bench, ann)} == {again.ref[:-2]}


def test_what_needs_a_replacement_can_be_told_without_a_call(bench: Any, ann: Any) -> None:
    connector = bench.connect(ann)
    old = connector.create("primary", cancelled(WEEKLY, THIRD), KEY)
    before = len(bench.sandbox.calls())
    assert connector.replaces(old, WEEKLY)
    assert connector.replaces(old, event("Review", "2026-03-02T10:00", "Europe/Berlin"))
    assert not connector.replaces(old, edited(old.event, title="Retrospective"))
    assert len(bench.sandbox.calls()) == before
