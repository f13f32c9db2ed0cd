"""Laws of the three-way merge: what one side changed arrives, what it did not touch stays."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.testing.builders import at, cancelled, edited, event, moved, reverted
from mappings import recurrence
from mappings.merge import SCHEDULE, Change, aligned, changes, clashes, schedule, shown, transfer
from mappings.model import Busy, Details, Event, Key

DAILY = event("Standup", rule="FREQ=DAILY;COUNT=6")
KEYS = [Key(f"2026-03-0{day}T09:00:00") for day in range(2, 8)]
FIRST, SECOND, THIRD = KEYS[1:4]
OTHER = Key("2026-03-05T09:00:00")

TITLES = st.sampled_from(["Standup", "Review", ""])
COLORS = st.sampled_from([None, "#ff0000"])
DETAILS = st.builds(
    Details,
    title=TITLES,
    color=COLORS,
    busy=st.sampled_from([Busy.BUSY, Busy.FREE]),
    reminders=st.sampled_from([None, (), (10,)]),
)


@st.composite
def versions(draw: st.DrawFn) -> Event:
    """One of the many states that a small daily series can be in, or a single event."""
    rule = draw(st.sampled_from(["FREQ=DAILY;COUNT=6", "FREQ=DAILY;COUNT=6", "FREQ=DAILY", None]))
    start = draw(st.sampled_from(["2026-03-02T09:00", "2026-03-02T09:00", "2026-03-02T14:30"]))
    series = replace(event("", start, rule=rule), details=draw(DETAILS))
    if rule is None:
        return series
    keys = list(recurrence.keys(series.rule, (), series.when, limit=5))
    for key in draw(st.lists(st.sampled_from(keys), max_size=3, unique=True)):
        if draw(st.booleans()):
            series = cancelled(series, key)
            continue
        series = edited(series, key, title=draw(TITLES), color=draw(COLORS))
        if draw(st.booleans()):
            series = moved(series, key, start=f"{key[:10]}T{draw(st.integers(15, 22))}:00")
    return series


@given(versions(), versions())
def test_no_change_changes_nothing(x: Event, y: Event) -> None:
    assert transfer(x, x, y, None) == y


@given(versions(), versions())
def test_changes_carried_onto_where_they_began_give_where_they_end(a: Event, b: Event) -> None:
    assert transfer(a, b, a, None) == recurrence.tidy(b)


@given(versions(), versions())
def test_there_are_changes_exactly_where_two_events_differ(a: Event, b: Event) -> None:
    assert (changes(a, b) == {}) == (a == b)


@given(versions(), versions(), versions())
def test_carrying_the_same_changes_twice_is_carrying_them_once(
    a: Event, b: Event, c: Event
) -> None:
    once = transfer(a, b, c, None)
    assert transfer(a, b, once, None) == once


@given(versions(), versions())
def test_only_what_is_named_is_carried(a: Event, b: Event) -> None:
    assert transfer(a, b, a, []) == a
    carried = transfer(a, b, a, [("title",)])
    assert carried.details == replace(a.details, title=b.details.title)
    assert schedule(carried) == schedule(a)


@given(versions(), versions())
def test_a_result_is_tidy(a: Event, b: Event) -> None:
    result = transfer(a, b, DAILY, None)
    assert result == recurrence.tidy(result)


@given(versions(), DETAILS, DETAILS)
def test_different_fields_of_both_sides_survive(
    base: Event, ours: Details, theirs: Details
) -> None:
    left = edited(base, title=ours.title, color=ours.color)
    right = edited(base, busy=theirs.busy, reminders=theirs.reminders)
    wanted = replace(
        base.details,
        title=ours.title,
        color=ours.color,
        busy=theirs.busy,
        reminders=theirs.reminders,
    )
    assert transfer(base, left, right, None).details == wanted
    assert transfer(base, right, left, None).details == wanted


@pytest.mark.parametrize("key", KEYS)
def test_an_occurrence_shows_what_the_rule_gives_or_what_was_made_of_it(key: Key) -> None:
    ruled = shown(DAILY, key)
    assert ruled is not None
    assert (ruled.details, ruled.when.key) == (DAILY.details, key)
    assert shown(cancelled(DAILY, key), key) is None
    special = shown(edited(DAILY, key, title="Special"), key)
    assert special is not None
    assert special.details.title == "Special"
    assert shown(DAILY, Key("2026-04-01T09:00:00")) is None


def both(base: Event, left: Event, right: Event) -> Event:
    """Each side's changes made to the other; the order may not matter."""
    merged = transfer(base, left, right, None)
    assert transfer(base, right, left, None) == merged
    return merged


def test_edits_of_different_occurrences_survive_together() -> None:
    left = cancelled(edited(DAILY, FIRST, title="Left"), OTHER)
    right = moved(DAILY, SECOND, start="2026-03-04T16:00")
    merged = both(DAILY, left, right)
    assert set(merged.overrides_by_key) == {FIRST, SECOND, OTHER}
    assert merged.overrides_by_key[FIRST] == left.overrides_by_key[FIRST]
    assert merged.overrides_by_key[SECOND] == right.overrides_by_key[SECOND]
    assert merged.overrides_by_key[OTHER].cancelled
    assert clashes(changes(DAILY, left), changes(DAILY, right)) == (frozenset(), frozenset())


def test_different_fields_of_one_occurrence_survive_together() -> None:
    left = edited(DAILY, FIRST, title="Left")
    right = moved(edited(DAILY, FIRST, color="#00ff00"), FIRST, start="2026-03-03T16:00")
    override = both(DAILY, left, right).overrides_by_key[FIRST]
    assert override.details == replace(DAILY.details, title="Left", color="#00ff00")
    assert override.when == at("2026-03-03T16:00")


def test_a_renamed_series_renames_the_occurrence_that_the_other_side_moved() -> None:
    left = edited(DAILY, title="Sprint")
    right = moved(DAILY, FIRST, start="2026-03-03T16:00")
    override = both(DAILY, left, right).overrides_by_key[FIRST]
    assert override.details is not None
    assert (override.details.title, override.when) == ("Sprint", at("2026-03-03T16:00"))


def test_a_renamed_series_leaves_an_occurrence_its_own_name() -> None:
    left = edited(DAILY, title="Sprint", color="#00ff00")
    right = edited(DAILY, FIRST, title="Special")
    override = both(DAILY, left, right).overrides_by_key[FIRST]
    assert override.details == replace(DAILY.details, title="Special", color="#00ff00")


def test_an_exception_of_both_sides_follows_a_rename_where_it_agreed_with_the_series() -> None:
    base = edited(DAILY, FIRST, color="#0000ff")
    after = edited(base, title="Sprint")
    override = transfer(base, after, base, None).overrides_by_key[FIRST]
    # On the renaming side the exception kept the old name, so it keeps it everywhere.
    assert override == after.overrides_by_key[FIRST]


def test_an_occurrence_edited_on_one_side_follows_the_series_that_the_other_moved() -> None:
    left = moved(DAILY, start="2026-03-02T14:30")
    right = edited(DAILY, FIRST, title="Special")
    merged = both(DAILY, left, right)
    assert merged.when == left.when
    (override,) = merged.overrides
    assert override.key == Key("2026-03-03T14:30:00")
    assert override.when == at("2026-03-03T14:30")
    assert override.details is not None
    assert override.details.title == "Special"


def test_a_loser_s_own_time_is_dropped_but_not_what_it_made_of_an_occurrence() -> None:
    ours = edited(moved(DAILY, start="2026-03-02T14:30"), Key("2026-03-03T14:30:00"), title="Mine")
    theirs = moved(DAILY, start="2026-03-02T16:00")
    paths = changes(DAILY, ours).keys() - clashes(changes(DAILY, ours), changes(DAILY, theirs))[0]
    merged = transfer(DAILY, ours, theirs, paths)
    assert merged.when == theirs.when
    assert [(o.key, o.when) for o in merged.overrides] == [
        ("2026-03-03T16:00:00", at("2026-03-03T16:00"))
    ]


def test_a_cancelled_occurrence_stays_cancelled_when_the_series_moves() -> None:
    left = moved(DAILY, start="2026-03-02T14:30")
    merged = both(DAILY, left, cancelled(DAILY, FIRST))
    assert [(o.key, o.cancelled) for o in merged.overrides] == [("2026-03-03T14:30:00", True)]


def test_a_revived_occurrence_stands_at_the_new_time_of_a_series_that_was_moved() -> None:
    base = cancelled(DAILY, FIRST)
    left = moved(base, start="2026-03-02T14:30")
    right = edited(reverted(base, FIRST), FIRST, title="Special")
    (override,) = both(base, left, right).overrides
    assert (override.key, override.when) == ("2026-03-03T14:30:00", at("2026-03-03T14:30"))


def test_a_moved_series_leaves_a_moved_occurrence_where_a_person_put_it() -> None:
    left = moved(DAILY, start="2026-03-02T14:30")
    right = moved(DAILY, FIRST, start="2026-03-03T16:00")
    (override,) = both(DAILY, left, right).overrides
    assert (override.key, override.when) == ("2026-03-03T14:30:00", at("2026-03-03T16:00"))


def test_moving_a_series_with_exceptions_is_no_change_of_the_exceptions() -> None:
    base = edited(cancelled(DAILY, SECOND), FIRST, title="Special")
    after = moved(base, start="2026-03-02T14:30")
    assert set(changes(base, after)) == {SCHEDULE}
    assert aligned(base, after).overrides_by_key.keys() == after.overrides_by_key.keys()
    assert transfer(base, after, base, None) == after


def test_a_change_of_the_zone_alone_keeps_the_exceptions() -> None:
    base = edited(DAILY, FIRST, title="Special")
    after = replace(
        base,
        when=at("2026-03-02T10:00", "Asia/Tokyo"),
        rule=recurrence.parse_rule("FREQ=DAILY;COUNT=6", at("2026-03-02T10:00", "Asia/Tokyo")),
        overrides=(),
    )
    after = edited(after, Key("2026-03-03T10:00:00"), title="Special")
    assert set(changes(base, after)) == {SCHEDULE}


def test_a_reverted_occurrence_follows_the_rule_on_the_other_side_too() -> None:
    base = edited(cancelled(DAILY, SECOND), FIRST, title="Special")
    after = reverted(reverted(base, FIRST), SECOND)
    assert transfer(base, after, base, None) == DAILY


def test_a_series_cut_short_loses_no_exception_before_the_cut() -> None:
    base = edited(DAILY, FIRST, title="Special")
    shorter = replace(base, rule=recurrence.parse_rule("FREQ=DAILY;COUNT=3", base.when))
    assert transfer(base, shorter, base, None) == shorter


def test_a_single_event_that_becomes_a_series_does_so_on_the_other_side() -> None:
    single = event("Standup")
    assert transfer(single, DAILY, edited(single, color="#00ff00"), None) == edited(
        DAILY, color="#00ff00"
    )
    assert transfer(DAILY, single, edited(DAILY, FIRST, title="x"), None) == single


def conflict(base: Event, left: Event, right: Event) -> tuple[set[str], set[str]]:
    ours, theirs = clashes(changes(base, left), changes(base, right))
    assert clashes(changes(base, right), changes(base, left)) == (theirs, ours)
    return {path[-1] for path in ours}, {path[-1] for path in theirs}


def test_the_same_field_with_two_values_is_a_clash() -> None:
    left, right = edited(DAILY, title="Left", color="#ff0000"), edited(DAILY, title="Right")
    assert conflict(DAILY, left, right) == ({"title"}, {"title"})


def test_the_same_field_with_one_value_is_none() -> None:
    left = right = edited(DAILY, title="Same")
    assert conflict(DAILY, left, right) == (set(), set())


def test_two_new_times_are_a_clash() -> None:
    left, right = moved(DAILY, start="2026-03-02T14:30"), moved(DAILY, start="2026-03-02T16:00")
    assert conflict(DAILY, left, right) == ({"schedule"}, {"schedule"})


def test_a_cancelled_and_an_edited_occurrence_are_a_clash() -> None:
    left = cancelled(DAILY, FIRST)
    right = moved(edited(DAILY, FIRST, title="Special"), FIRST, start="2026-03-03T16:00")
    assert conflict(DAILY, left, right) == ({"exists"}, {"title", "when"})


def test_a_cancelled_occurrence_and_an_edit_of_another_are_none() -> None:
    left, right = cancelled(DAILY, FIRST), edited(DAILY, SECOND, title="Special")
    assert conflict(DAILY, left, right) == (set(), set())


def test_both_cancelling_is_none() -> None:
    left = right = cancelled(DAILY, FIRST)
    assert conflict(DAILY, left, right) == (set(), set())


def test_a_moved_series_and_a_moved_occurrence_do_not_clash() -> None:
    left = moved(DAILY, start="2026-03-02T14:30")
    right = moved(DAILY, FIRST, start="2026-03-03T16:00")
    assert conflict(DAILY, left, right) == (set(), set())


def test_all_day_series_merge_by_date() -> None:
    base = event("Holiday", "2026-03-02", rule="FREQ=DAILY;COUNT=5")
    left = edited(base, Key("2026-03-03"), title="Left")
    right = cancelled(
        moved(base, start="2026-03-02", duration=timedelta(days=1)), Key("2026-03-04")
    )
    merged = both(base, left, right)
    assert [(o.key, o.cancelled) for o in merged.overrides] == [
        ("2026-03-03", False),
        ("2026-03-04", True),
    ]


def test_a_change_names_before_and_after() -> None:
    found = changes(DAILY, edited(DAILY, title="New"))
    assert found == {("title",): Change("Standup", "New")}
    assert changes(DAILY, cancelled(DAILY, FIRST)) == {
        ("occurrence", FIRST, "exists"): Change(before=True, after=False)
    }


@pytest.mark.parametrize("start", ["2026-03-02T09:00", "2026-03-02T16:00"])
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin"])
def test_an_edited_occurrence_that_a_new_rule_has_no_date_for_is_the_same_on_both_sides(
    start: str, zone: str
) -> None:
    was = event(rule="FREQ=WEEKLY;BYDAY=MO", minutes=90)
    edit = edited(was, Key("2026-03-09T09:00:00"), title="Special")
    rule = event("Standup", start, zone, rule="FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", minutes=30)
    there = transfer(was, rule, edit, None)
    here = transfer(was, edit, rule, None)
    assert there == here
    assert [item.when for item in here.overrides] == [item.when for item in edit.overrides]
