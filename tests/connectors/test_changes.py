"""Putting fragments together gives the unit as the provider shows it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from connectors.changes import apply_change, occurrence_part
from connectors.contract import Copy, Fragment, Member, Whole
from mappings.model import Details, Event, Freq, Key, Override, Rule, When

MONDAY, NEXT = Key("2026-03-02T09:00:00"), Key("2026-03-09T09:00:00")
WHEN = When(start=datetime(2026, 3, 2, 9), duration=timedelta(hours=1), zone="Asia/Shanghai")  # noqa: DTZ001
SERIES = Event(details=Details(title="Standup"), when=WHEN, rule=Rule(freq=Freq.WEEKLY))


def exception(key: Key, title: str) -> Override:
    return Override(key=key, details=Details(title=title), when=WHEN)


def member(part: str, version: str) -> Member:
    return Member(part=part, id=f"id-{part}", version=version)


def copy(event: Event, *members: Member) -> Copy:
    return Copy(ref="r", event=event, members=members, origin="0" * 32)


SHOWN = copy(
    replace(SERIES, overrides=(exception(MONDAY, "First"),)),
    member("main", "1"),
    member(occurrence_part(MONDAY), "1"),
)


def test_a_whole_stands_for_itself_whatever_was_shown_before() -> None:
    fresh = copy(SERIES, member("main", "9"))
    assert apply_change(SHOWN, Whole(copy=fresh)) is fresh
    assert apply_change(None, Whole(copy=fresh)) is fresh


def test_an_exception_of_a_series_never_shown_says_too_little() -> None:
    assert apply_change(None, Fragment(ref="r", overrides=(exception(NEXT, "x"),))) is None


def test_a_new_exception_joins_the_known_ones_in_order_of_their_keys() -> None:
    change = Fragment(
        ref="r",
        overrides=(exception(NEXT, "Second"),),
        members=(member(occurrence_part(NEXT), "2"),),
    )
    merged = apply_change(SHOWN, change)
    assert merged is not None
    assert [override.key for override in merged.event.overrides] == [MONDAY, NEXT]
    assert merged.version(occurrence_part(NEXT)) == "2"
    assert merged.version(occurrence_part(MONDAY)) == "1"
    assert merged.origin == SHOWN.origin


def test_a_changed_exception_replaces_the_one_of_the_same_key() -> None:
    change = Fragment(
        ref="r",
        overrides=(exception(MONDAY, "Later"),),
        members=(member(occurrence_part(MONDAY), "5"),),
    )
    merged = apply_change(SHOWN, change)
    assert merged is not None
    assert merged.event.overrides == (exception(MONDAY, "Later"),)
    assert merged.version(occurrence_part(MONDAY)) == "5"


def test_a_reverted_occurrence_loses_its_exception_and_its_member() -> None:
    merged = apply_change(SHOWN, Fragment(ref="r", reverted=(MONDAY,)))
    assert merged is not None
    assert merged.event == SERIES
    assert [kept.part for kept in merged.members] == ["main"]


def test_a_changed_master_keeps_the_exceptions_it_does_not_name() -> None:
    updated = datetime(2026, 3, 1, tzinfo=UTC)
    main = replace(
        copy(replace(SERIES, details=Details(title="Daily")), member("main", "7")),
        updated=updated,
    )
    merged = apply_change(SHOWN, Fragment(ref="r", main=main, members=main.members))
    assert merged is not None
    assert merged.event.details.title == "Daily"
    assert merged.event.overrides == SHOWN.event.overrides
    assert (merged.version(), merged.version(occurrence_part(MONDAY))) == ("7", "1")
    assert merged.updated == updated


def test_a_series_that_became_a_single_event_has_no_exceptions_left() -> None:
    main = copy(replace(SERIES, rule=None), member("main", "7"))
    merged = apply_change(SHOWN, Fragment(ref="r", main=main))
    assert merged is not None
    assert merged.event == main.event
    assert merged.members == main.members


def test_applying_a_fragment_twice_changes_nothing_more() -> None:
    change = Fragment(
        ref="r", overrides=(exception(NEXT, "x"),), members=(member(occurrence_part(NEXT), "2"),)
    )
    once = apply_change(SHOWN, change)
    assert apply_change(once, change) == once
    cancelled = replace(change, overrides=(Override(key=NEXT, cancelled=True),), members=())
    gone = apply_change(once, cancelled)
    assert gone is not None
    assert gone.event.overrides[-1].cancelled
    assert gone.member(occurrence_part(NEXT)) is None
