"""What of an unguarded write's answer is ours, and what somebody else's."""

from dataclasses import replace

from bridge.task import own_part
from connectors.contract import Copy
from connectors.memory.edits import moved
from connectors.testing.builders import at, edited, event
from mappings import merge, recurrence
from mappings.model import Event, Key, Location

WEEKLY = event(rule="FREQ=WEEKLY;BYDAY=MO")


def ended(series: Event, last: str) -> Event:
    assert series.rule is not None
    return replace(series, rule=replace(series.rule, until=Key(last)))


def retimed(series: Event, start: str) -> Event:
    return recurrence.tidy(replace(series, when=at(start)))


def shadow(base: Event, desired: Event, answer: Event) -> Event:
    def copy(shown: Event) -> Copy:
        return Copy(ref="r", event=shown, members=())

    return own_part(copy(base), desired, copy(answer)).event


def test_a_series_that_somebody_moved_while_we_ended_it_is_still_to_travel():
    desired = ended(WEEKLY, "2026-03-16T09:00:00")
    answer = ended(retimed(WEEKLY, "2026-03-02T11:00"), "2026-03-16T11:00:00")
    remembered = shadow(WEEKLY, desired, answer)
    assert remembered == desired
    assert merge.changes(remembered, answer).keys() == {merge.SCHEDULE}


def test_a_series_that_somebody_ended_while_we_moved_it_is_still_to_travel():
    desired = retimed(WEEKLY, "2026-03-02T11:00")
    answer = ended(desired, "2026-03-16T11:00:00")
    assert shadow(WEEKLY, desired, answer) == desired


def test_what_a_provider_makes_of_our_own_time_is_ours():
    desired = retimed(WEEKLY, "2026-03-02T11:00")
    answer = replace(desired, when=replace(desired.when, zone="Asia/Singapore"))
    assert shadow(WEEKLY, desired, answer) == answer


def test_a_title_that_somebody_wrote_while_we_moved_is_still_to_travel():
    desired = retimed(WEEKLY, "2026-03-02T11:00")
    answer = replace(desired, details=replace(desired.details, title="Daily"))
    assert shadow(WEEKLY, desired, answer) == desired


def test_exceptions_that_somebody_s_move_took_away_while_we_wrote_are_still_to_go():
    apart = edited(WEEKLY, Key("2026-03-09T09:00:00"), title="Special")
    desired = edited(apart, location=Location(name="Hall"))
    answer = edited(retimed(WEEKLY, "2026-03-02T11:00"), location=Location(name="Hall"))
    remembered = shadow(apart, desired, answer)
    assert remembered == desired
    assert ("occurrence", "2026-03-09T11:00:00", "title") in merge.changes(remembered, answer)


def test_an_exception_that_somebody_took_back_while_we_edited_its_series_is_still_to_go():
    key = Key("2026-03-09T09:00:00")
    apart = moved(WEEKLY, key, start=at("2026-03-09T15:00").start)
    desired = edited(apart, location=Location(name="Hall"))
    answer = edited(WEEKLY, location=Location(name="Hall"))
    remembered = shadow(apart, desired, answer)
    assert remembered == desired
    edits = merge.changes(remembered, answer)
    assert edits.keys() == {("occurrence", key, "when"), ("occurrence", key, "location")}
