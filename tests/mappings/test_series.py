"""A series with its exceptions: canonical, rebased, and carried over a change of the master."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.errors import UnmappableError
from mappings.model import Details, Event, Key, Override, When
from mappings.recurrence import expand, keys, parse_rule, rebase, rekey, tidy, when_of

HOUR = timedelta(hours=1)
DETAILS = Details(title="Stand-up")
OTHER = Details(title="Retrospective")
SPAN = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))


def timed(start: str, zone: str = "Europe/Berlin") -> When:
    return When(start=datetime.fromisoformat(start), duration=HOUR, zone=zone)


def series(when: When, rule: str, *overrides: Override, rdates: tuple[str, ...] = ()) -> Event:
    return Event(
        details=DETAILS,
        when=when,
        rule=parse_rule(rule, when) if rule else None,
        rdates=tuple(map(Key, rdates)),
        overrides=overrides,
    )


def gone(key: str) -> Override:
    return Override(key=Key(key), cancelled=True)


def renamed(key: str, zone: str = "Europe/Berlin") -> Override:
    return Override(key=Key(key), details=OTHER, when=timed(key, zone))


def moved(key: str, to: str, zone: str = "Europe/Berlin") -> Override:
    return Override(key=Key(key), details=DETAILS, when=timed(to, zone))


START = timed("2026-11-23T09:00")


def test_a_tidy_series_is_left_as_it_is() -> None:
    event = series(START, "FREQ=DAILY", gone("2026-11-24T09:00:00"), renamed("2026-11-25T09:00:00"))
    assert tidy(event) == event
    plain = series(START, "FREQ=DAILY")
    assert tidy(plain) is plain


def test_what_equals_the_rule_is_no_exception() -> None:
    same = Override(key=Key("2026-11-24T09:00:00"), details=DETAILS, when=timed("2026-11-24T09:00"))
    assert tidy(series(START, "FREQ=DAILY", same)).overrides == ()
    assert tidy(series(START, "FREQ=DAILY", Override(key=same.key))).overrides == ()


def test_only_occurrences_can_be_cancelled_but_changed_orphans_live() -> None:
    orphan = renamed("2026-11-25T17:00:00")
    event = series(START, "FREQ=DAILY", gone("2026-11-24T08:00:00"), orphan)
    assert tidy(event).overrides == (orphan,)


def test_an_orphan_is_kept_even_if_it_has_nothing_of_its_own() -> None:
    event = series(START, "FREQ=DAILY", Override(key=Key("2026-11-25T17:00:00")))
    (kept,) = tidy(event).overrides
    assert (kept.details, kept.when) == (DETAILS, timed("2026-11-25T17:00"))


def test_an_extra_date_can_be_cancelled_and_stands_once() -> None:
    extra = "2026-11-25T17:00:00"
    event = series(
        START, "FREQ=DAILY;COUNT=9", gone(extra), rdates=(extra, extra, "2026-11-24T09:00:00")
    )
    assert tidy(event).rdates == (extra,)
    assert tidy(event).overrides == (gone(extra),)
    dates = series(START, "", rdates=(START.key, "2026-12-01T09:00:00"))
    assert tidy(dates).rdates == ("2026-12-01T09:00:00",)


def test_overrides_are_sorted_and_the_last_word_on_a_key_holds() -> None:
    event = series(
        START,
        "FREQ=DAILY",
        renamed("2026-11-26T09:00:00"),
        renamed("2026-11-24T09:00:00"),
        gone("2026-11-26T09:00:00"),
    )
    assert tidy(event).overrides == (renamed("2026-11-24T09:00:00"), gone("2026-11-26T09:00:00"))


def test_a_cancelled_override_carries_nothing_else() -> None:
    event = series(START, "FREQ=DAILY", replace(renamed("2026-11-24T09:00:00"), cancelled=True))
    assert tidy(event).overrides == (gone("2026-11-24T09:00:00"),)


def test_a_single_event_has_no_exceptions() -> None:
    event = series(START, "", renamed("2026-11-24T09:00:00"))
    assert tidy(event).overrides == ()


@st.composite
def overrides(draw: st.DrawFn) -> Override:
    day = draw(st.integers(20, 30))
    hour = draw(st.sampled_from([9, 9, 9, 17]))
    return Override(
        key=Key(f"2026-11-{day}T{hour:02}:00:00"),
        cancelled=draw(st.booleans()),
        details=draw(st.sampled_from([None, DETAILS, OTHER])),
        when=draw(
            st.sampled_from([None, timed(f"2026-11-{day}T09:00"), timed("2026-11-23T12:00")])
        ),
    )


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["FREQ=DAILY;COUNT=30", "FREQ=WEEKLY;BYDAY=MO,TH", "FREQ=DAILY;BYHOUR=9,17"]),
    st.lists(overrides(), max_size=6, unique_by=lambda item: item.key),
    st.lists(st.sampled_from(["2026-11-24T09:00:00", "2026-11-28T17:00:00"]), max_size=3),
)
def test_tidying_changes_no_occurrence_and_nothing_when_repeated(
    rule: str, exceptions: list[Override], rdates: list[str]
) -> None:
    event = series(START, rule, *exceptions, rdates=tuple(rdates))
    once = tidy(event)
    assert tidy(once) == once
    assert list(expand(once, *SPAN)) == list(expand(event, *SPAN))


def test_rebasing_moves_the_start_to_the_first_real_occurrence() -> None:
    event = series(timed("2026-11-24T09:00"), "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR;COUNT=4")
    based = rebase(event)
    assert based.when == timed("2026-11-27T09:00")
    assert list(expand(based, *SPAN)) == list(expand(event, *SPAN))
    assert rebase(based) is based


def test_rebasing_keeps_the_weeks_of_an_interval() -> None:
    sunday = timed("2026-11-22T09:00")
    event = series(sunday, "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;WKST=SU;COUNT=3")
    based = rebase(event)
    assert based.when.key == "2026-11-23T09:00:00"
    assert based.rule == parse_rule("FREQ=WEEKLY;INTERVAL=2;COUNT=3", based.when)
    assert list(expand(based, *SPAN)) == list(expand(event, *SPAN))


def test_rebasing_turns_a_time_in_the_rule_into_the_time_of_the_series() -> None:
    based = rebase(series(START, "FREQ=DAILY;BYHOUR=10;COUNT=3"))
    assert based.when == timed("2026-11-23T10:00")
    assert based.rule == parse_rule("FREQ=DAILY;COUNT=3", based.when)


def test_rebasing_an_all_day_series_gives_a_date() -> None:
    when = When(start=date(2026, 11, 24), duration=timedelta(days=1))
    assert rebase(series(when, "FREQ=WEEKLY;BYDAY=MO")).when.start == date(2026, 11, 30)


def test_a_series_of_extra_dates_alone_is_left_as_it_is() -> None:
    event = series(START, "", rdates=("2026-12-01T09:00:00",))
    assert rebase(event) is event


def test_without_any_occurrence_there_is_nothing_to_rebase() -> None:
    rule = parse_rule("FREQ=DAILY;COUNT=2", START)
    empty = Event(details=DETAILS, when=timed("2027-01-01T09:00"), rule=rule)
    with pytest.raises(UnmappableError):
        rebase(empty)
    dates = replace(empty, rdates=(Key("2027-03-01T09:00:00"), Key("2027-02-01T09:00:00")))
    based = rebase(dates)
    assert (based.when.key, based.rule) == ("2027-02-01T09:00:00", None)
    assert list(keys(None, based.rdates, based.when, limit=9)) == sorted(dates.rdates)


def test_exceptions_follow_a_new_time_of_day_by_their_date() -> None:
    old = series(START, "FREQ=DAILY")
    new = series(timed("2026-11-23T10:00"), "FREQ=DAILY")
    exceptions = (
        gone("2026-11-24T09:00:00"),
        renamed("2026-11-25T09:00:00"),
        moved("2026-11-26T09:00:00", "2026-11-26T15:00:00"),
    )
    assert rekey(exceptions, old, new) == (
        gone("2026-11-24T10:00:00"),
        renamed("2026-11-25T10:00:00"),
        moved("2026-11-26T10:00:00", "2026-11-26T15:00:00"),
    )


def test_exceptions_follow_a_new_zone_by_their_instant() -> None:
    old = series(timed("2026-11-23T20:00", "America/New_York"), "FREQ=DAILY")
    new = series(timed("2026-11-24T09:00", "Asia/Shanghai"), "FREQ=DAILY")
    assert rekey((gone("2026-11-25T20:00:00"),), old, new) == (gone("2026-11-26T09:00:00"),)


def test_exceptions_follow_the_switch_to_all_day_and_back() -> None:
    old = series(START, "FREQ=DAILY")
    when = When(start=date(2026, 11, 23), duration=timedelta(days=1))
    new = series(when, "FREQ=DAILY")
    assert rekey((gone("2026-11-25T09:00:00"),), old, new) == (gone("2026-11-25"),)
    assert rekey((gone("2026-11-25"),), new, old) == (gone("2026-11-25T09:00:00"),)
    name_only = Override(key=Key("2026-11-25"), details=OTHER, when=when_of(new, Key("2026-11-25")))
    assert rekey((name_only,), new, old) == (renamed("2026-11-25T09:00:00"),)


def test_an_exception_without_a_day_in_the_new_rule_stays_what_it_is() -> None:
    old = series(START, "FREQ=DAILY")
    new = series(timed("2026-11-23T10:00"), "FREQ=WEEKLY")
    kept = moved("2026-11-25T09:00:00", "2026-11-25T15:00:00")
    assert rekey((kept, gone("2026-11-26T09:00:00")), old, new) == (
        kept,
        gone("2026-11-26T09:00:00"),
    )
    after = replace(new, overrides=rekey((kept, gone("2026-11-26T09:00:00")), old, new))
    assert tidy(after).overrides == (kept,)


def test_two_exceptions_of_one_date_never_take_the_same_occurrence() -> None:
    old = series(START, "FREQ=DAILY;BYHOUR=9,17")
    new = series(timed("2026-11-23T10:00"), "FREQ=DAILY")
    result = rekey((gone("2026-11-24T09:00:00"), renamed("2026-11-24T17:00:00")), old, new)
    assert len({item.key for item in result}) == 2


def test_an_unchanged_master_keeps_every_key() -> None:
    event = series(START, "FREQ=DAILY")
    exceptions = (gone("2026-11-24T09:00:00"), renamed("2026-11-25T17:00:00"))
    assert rekey(exceptions, event, event) == exceptions
