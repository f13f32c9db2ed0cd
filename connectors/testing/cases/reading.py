"""Cases about listings, cursors and what arrives through them."""

# ruff: noqa: D102 (the name of a case is its claim)

import pytest

from connectors.contract import Connector
from connectors.errors import ConnectorError, ResyncError
from connectors.testing.builders import event
from connectors.testing.cases.base import Cases, assert_same, fetched, pages, read
from connectors.testing.party import OtherParty
from mappings.model import Key

WEEKLY = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=30")
SECOND, THIRD = Key("2026-03-09T10:00:00"), Key("2026-03-16T10:00:00")


class ReadingCases(Cases):
    """A reader who follows the cursors knows what a reader who fetches knows."""

    def test_the_calendar_is_among_the_accounts_calendars(
        self, connector: Connector, calendar: str
    ) -> None:
        assert calendar in [each.id for each in connector.calendars()]

    def test_a_full_listing_shows_every_unit_as_a_fetch_does(
        self, connector: Connector, calendar: str, other_party: OtherParty
    ) -> None:
        singles = [other_party.put_event(event(f"Single {n}")) for n in range(12)]
        series = other_party.put_event(WEEKLY)
        other_party.edit_occurrence(series, SECOND, title="Review with guests")
        other_party.cancel_occurrence(series, THIRD)
        reading = read(connector, calendar, None)
        assert {*singles, series} <= reading.copies.keys()
        for copy in reading.copies.values():
            assert_same(fetched(connector, calendar, copy), copy)

    def test_a_unit_stands_in_a_full_listing_once_or_in_disjoint_parts(
        self, connector: Connector, calendar: str, other_party: OtherParty
    ) -> None:
        ref = other_party.put_event(event())
        found = pages(connector, calendar, None)
        assert [change.ref for page in found for change in page.changes].count(ref) == 1

    def test_without_changes_a_delta_is_empty_and_leads_nowhere_else(
        self, connector: Connector, calendar: str, cursor: str
    ) -> None:
        following = read(connector, calendar, cursor)
        assert following.named == set()
        assert read(connector, calendar, following.cursor).named == set()

    def test_a_cursor_can_be_read_again_because_storing_the_next_one_may_fail(
        self, connector: Connector, calendar: str, cursor: str, other_party: OtherParty
    ) -> None:
        ref = other_party.put_event(event())
        assert ref in read(connector, calendar, cursor).named
        assert ref in read(connector, calendar, cursor).named

    def test_reading_leaves_no_trace(
        self, connector: Connector, calendar: str, cursor: str, other_party: OtherParty
    ) -> None:
        ref = other_party.put_event(WEEKLY)
        before = read(connector, calendar, cursor)
        fetched(connector, calendar, before.copies[ref])
        read(connector, calendar, None)
        assert read(connector, calendar, before.cursor).named == set()

    def test_a_persons_new_event_arrives_in_the_delta(
        self, connector: Connector, calendar: str, cursor: str, other_party: OtherParty
    ) -> None:
        ref = other_party.put_event(event("Lunch"))
        reading = read(connector, calendar, cursor)
        assert reading.copies[ref].event.details.title == "Lunch"
        assert_same(reading.copies[ref], fetched(connector, calendar, reading.copies[ref]))
        assert reading.copies[ref].origin is None
        assert read(connector, calendar, reading.cursor).named == set()

    def test_a_persons_edit_arrives_in_the_delta(
        self, connector: Connector, calendar: str, other_party: OtherParty
    ) -> None:
        ref = other_party.put_event(event("Lunch"))
        before = read(connector, calendar, None)
        other_party.edit(ref, title="Late lunch", start="2026-03-02T13:30")
        after = read(connector, calendar, before.cursor, before.copies)
        assert after.named == {ref}
        assert after.copies[ref].event.details.title == "Late lunch"
        assert after.copies[ref].event.when.key == "2026-03-02T13:30:00"
        assert_same(after.copies[ref], fetched(connector, calendar, after.copies[ref]))

    def test_a_persons_deletion_arrives_as_a_tombstone(
        self, connector: Connector, calendar: str, other_party: OtherParty
    ) -> None:
        ref = other_party.put_event(event())
        before = read(connector, calendar, None)
        other_party.delete(ref)
        after = read(connector, calendar, before.cursor, before.copies)
        assert after.gone == [ref]
        assert connector.fetch(calendar, ref) is None
        assert ref not in read(connector, calendar, None).copies

    def test_a_deleted_series_arrives_as_one_tombstone_and_nothing_of_it_stays(
        self, connector: Connector, calendar: str, other_party: OtherParty
    ) -> None:
        ref = other_party.put_event(WEEKLY)
        other_party.edit_occurrence(ref, SECOND, title="Review with guests")
        before = read(connector, calendar, None)
        other_party.delete(ref)
        after = read(connector, calendar, before.cursor, before.copies)
        assert set(after.gone) == {ref}
        assert after.named == {ref}
        assert ref not in read(connector, calendar, None).copies

    @pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
    def test_one_edited_occurrence_arrives_and_gives_the_same_as_a_fetch(
        self, connector: Connector, calendar: str, other_party: OtherParty, known: bool
    ) -> None:
        ref = other_party.put_event(WEEKLY)
        before = read(connector, calendar, None)
        other_party.edit_occurrence(ref, SECOND, title="Review with guests")
        other_party.edit_occurrence(ref, THIRD, start="2026-03-17T15:00")
        shadows = before.copies if known else {}
        after = read(connector, calendar, before.cursor, shadows)
        assert after.named == {ref}
        overrides = after.copies[ref].event.overrides_by_key
        assert overrides.keys() == {SECOND, THIRD}
        retitled, moved = overrides[SECOND], overrides[THIRD]
        assert retitled.details is not None
        assert retitled.details.title == "Review with guests"
        assert moved.when is not None
        assert moved.when.key == "2026-03-17T15:00:00"
        assert_same(after.copies[ref], fetched(connector, calendar, after.copies[ref]))

    def test_one_removed_occurrence_arrives_and_gives_the_same_as_a_fetch(
        self, connector: Connector, calendar: str, other_party: OtherParty
    ) -> None:
        ref = other_party.put_event(WEEKLY)
        before = read(connector, calendar, None)
        other_party.cancel_occurrence(ref, SECOND)
        after = read(connector, calendar, before.cursor, before.copies)
        assert after.gone == []
        assert after.copies[ref].event.overrides_by_key[SECOND].cancelled
        assert_same(after.copies[ref], fetched(connector, calendar, after.copies[ref]))

    def test_an_exception_edited_again_and_then_removed_is_followed(
        self, connector: Connector, calendar: str, other_party: OtherParty
    ) -> None:
        ref = other_party.put_event(WEEKLY)
        other_party.edit_occurrence(ref, SECOND, title="One")
        first = read(connector, calendar, None)
        other_party.edit_occurrence(ref, SECOND, title="Two")
        second = read(connector, calendar, first.cursor, first.copies)
        shown = second.copies[ref].event.overrides_by_key[SECOND].details
        assert shown is not None
        assert shown.title == "Two"
        other_party.cancel_occurrence(ref, SECOND)
        third = read(connector, calendar, second.cursor, second.copies)
        assert third.copies[ref].event.overrides_by_key[SECOND].cancelled
        assert_same(third.copies[ref], fetched(connector, calendar, third.copies[ref]))

    def test_a_void_cursor_asks_for_a_new_listing(
        self, connector: Connector, calendar: str, cursor: str, other_party: OtherParty
    ) -> None:
        ref = other_party.put_event(event())
        other_party.void_cursors()
        with pytest.raises(ResyncError):
            list(connector.changes(calendar, cursor))
        again = read(connector, calendar, None)
        assert ref in again.copies
        assert read(connector, calendar, again.cursor).named == set()

    def test_a_cursor_that_never_was_one_asks_for_a_new_listing(
        self, connector: Connector, calendar: str
    ) -> None:
        with pytest.raises(ResyncError):
            list(connector.changes(calendar, "no cursor of ours"))

    def test_an_unreadable_entry_is_named_and_the_rest_goes_on(
        self, connector: Connector, calendar: str, cursor: str, other_party: OtherParty
    ) -> None:
        bad = other_party.put_unreadable()
        if bad is None:
            pytest.skip("the service takes nothing that cannot be translated")
        good = other_party.put_event(event("Readable"))
        for since in (cursor, None):
            reading = read(connector, calendar, since)
            assert bad in reading.unreadable
            assert good in reading.copies

    def test_what_was_never_there_is_not_found(self, connector: Connector, calendar: str) -> None:
        assert connector.fetch(calendar, "neverexistedatall0000_0") is None

    def test_an_unknown_calendar_is_an_error_and_never_an_empty_listing(
        self, connector: Connector
    ) -> None:
        with pytest.raises(ConnectorError):
            list(connector.changes("no-such-calendar@example.invalid", None))
        with pytest.raises(ConnectorError):
            connector.fetch("no-such-calendar@example.invalid", "whatever")
