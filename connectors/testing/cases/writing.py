"""Cases about creating, changing and deleting single events."""

# ruff: noqa: D102 (the name of a case is its claim)

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from connectors.contract import Connector, Copy
from connectors.errors import ConflictError, ConnectorError, OutcomeUnknownError, RetryableError
from connectors.testing.builders import at, edited, event
from connectors.testing.cases.base import (
    Cases,
    assert_holds,
    assert_same,
    create_key,
    fetched,
    happenings,
    projected,
    provider_happenings,
    read,
)
from connectors.testing.party import Breakage, OtherParty
from mappings.model import Busy, Event, Location, Visibility

SINGLES = {
    "timed": event(),
    "in-another-zone": event(start="2026-07-01T23:30", zone="America/New_York", minutes=90),
    "half-hour-zone": event(start="2026-07-01T08:15", zone="Asia/Kolkata"),
    "in-the-hour-after-a-gap": event(start="2026-03-29T03:00", zone="Europe/Berlin"),
    "over-the-end-of-summer": event(start="2026-10-25T01:30", zone="Europe/Berlin", minutes=180),
    "over-midnight": event(start="2026-03-02T22:00", minutes=300),
    "several-days": event(start="2026-03-02T18:00", minutes=3 * 24 * 60 + 15),
    "all-day": event(start="2026-03-02"),
    "three-whole-days": event(start="2026-03-02", days=3),
    "all-day-over-summer-time": event(start="2026-03-28", days=3),
    "leap-day": event(start="2028-02-29"),
    "chinese": event("项目评审:第三季度", description="第一行\n第二行"),
    "emoji": event("🎂 Geburtstag 👩‍👩‍👧", description="four bytes: 𝔘𝔫𝔦"),
    "markup-in-the-title": event("a < b && c > d <b>"),
    "quotes-and-breaks": event('say "no" \\ maybe', description="one\ntwo & three"),
    "formatted": event(description="<b>Agenda</b><ul><li>one</li><li>two</li></ul>"),
    "link": event(description='<a href="https://example.com/?a=1&amp;b=2">notes</a>'),
    "no-title": event(""),
    "place": event(location=Location(name="会议室 7")),
    "free": event(busy=Busy.FREE),
    "private": event(visibility=Visibility.PRIVATE),
    "reminders": event(reminders=(10, 60)),
    "no-reminders": event(reminders=()),
    "title-at-the-limit": event("ü" * 5000),
    "description-at-the-limit": event(description="文" * 50_000),
    "place-at-the-limit": event(location=Location(name="n" * 3000)),
}

EDITS: dict[str, Callable[[Event], Event]] = {
    "title": lambda e: edited(e, title="Retro"),
    "title-cleared": lambda e: edited(e, title=""),
    "description": lambda e: edited(e, description="New text"),
    "description-cleared": lambda e: edited(e, description=""),
    "place": lambda e: edited(e, location=Location(name="Hall 2")),
    "place-cleared": lambda e: edited(e, location=None),
    "free": lambda e: edited(e, busy=Busy.FREE),
    "private": lambda e: edited(e, visibility=Visibility.PRIVATE),
    "reminders": lambda e: edited(e, reminders=(30,)),
    "reminders-none": lambda e: edited(e, reminders=()),
    "moved": lambda e: replace(e, when=at("2026-03-03T11:00")),
    "longer": lambda e: replace(e, when=at("2026-03-02T09:00", minutes=95)),
    "other-zone": lambda e: replace(e, when=at("2026-03-02T09:00", "America/Los_Angeles")),
    "all-day": lambda e: replace(e, when=at("2026-03-02", days=2)),
    "everything": lambda e: replace(
        edited(e, title="Other", description="Other", location=None, busy=Busy.FREE),
        when=at("2026-04-01T07:00", "Europe/London", minutes=20),
    ),
}

FULL = event(
    "Planning", description="Agenda", location=Location(name="Room 1"), reminders=(15,)
)  # fmt: skip


class WritingCases(Cases):
    """What was asked for is what stands there: once, as asked, and nothing else is touched."""

    @pytest.mark.parametrize("name", SINGLES)
    def test_a_created_event_is_what_was_asked_for(
        self, connector: Connector, calendar: str, key: str, name: str
    ) -> None:
        wanted = projected(connector, SINGLES[name])
        made = connector.create(calendar, wanted, key)
        assert_holds(connector, made, wanted)
        assert made.organized
        assert made.member("main") is not None
        if connector.capabilities.limits.marks:
            assert made.origin == key
        assert_same(fetched(connector, calendar, made), made)
        expected = [(start, end) for start, end, _ in happenings(wanted)]
        shown = provider_happenings(connector, calendar, made.ref)
        assert [(start, end) for start, end, _ in shown] == expected

    def test_what_the_bridge_made_comes_back_in_the_delta_as_it_was_answered(
        self, connector: Connector, calendar: str, cursor: str, key: str
    ) -> None:
        made = connector.create(calendar, projected(connector, event()), key)
        reading = read(connector, calendar, cursor)
        assert reading.named == {made.ref}
        assert_same(reading.copies[made.ref], made)

    def test_creating_again_with_the_same_key_makes_no_second_event(
        self, connector: Connector, calendar: str, cursor: str, key: str
    ) -> None:
        wanted = projected(connector, event("Once"))
        first = connector.create(calendar, wanted, key)
        again = connector.create(calendar, wanted, key)
        assert again.ref == first.ref
        assert again.event == first.event
        assert read(connector, calendar, cursor).copies.keys() == {first.ref}

    def test_equal_events_with_different_keys_are_two_events(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        wanted = projected(connector, event("Twin"))
        one = connector.create(calendar, wanted, key)
        two = connector.create(calendar, wanted, create_key(key, "second"))
        assert one.ref != two.ref

    @pytest.mark.parametrize("how", Breakage)
    def test_a_broken_create_can_be_repeated_and_makes_one_event(
        self,
        connector: Connector,
        calendar: str,
        cursor: str,
        key: str,
        other_party: OtherParty,
        how: Breakage,
    ) -> None:
        wanted = projected(connector, event("Broken line"))
        other_party.break_next_write(how)
        with suppress(OutcomeUnknownError, RetryableError):
            connector.create(calendar, wanted, key)
        if connector.capabilities.find_by_key:
            found = connector.find(calendar, key)
            assert (found is not None) or how is not Breakage.ANSWER_LOST
        made = connector.create(calendar, wanted, key)
        assert_holds(connector, made, wanted)
        assert read(connector, calendar, cursor).copies.keys() == {made.ref}

    @pytest.mark.parametrize("name", EDITS)
    def test_an_updated_event_is_what_was_asked_for(
        self, connector: Connector, calendar: str, key: str, name: str
    ) -> None:
        made = connector.create(calendar, projected(connector, FULL), key)
        wanted = projected(connector, EDITS[name](made.event))
        changed = connector.update(calendar, made, wanted)
        assert changed.ref == made.ref
        assert_holds(connector, changed, wanted)
        assert_same(fetched(connector, calendar, changed), changed)

    def test_an_update_that_asks_for_nothing_changes_nothing(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        made = connector.create(calendar, projected(connector, FULL), key)
        before = read(connector, calendar, None).cursor
        assert_same(connector.update(calendar, made, made.event), made)
        assert read(connector, calendar, before).named == set()

    def test_an_update_leaves_alone_what_it_was_not_asked_to_change(
        self, connector: Connector, calendar: str, key: str, other_party: OtherParty
    ) -> None:
        made = connector.create(calendar, projected(connector, FULL), key)
        other_party.edit(made.ref, title="Renamed by a person")
        wanted = projected(connector, edited(made.event, location=Location(name="Hall 2")))
        if connector.capabilities.write_guard:
            with pytest.raises(ConflictError) as refused:
                connector.update(calendar, made, wanted)
            assert refused.value.current is not None
            assert_same(refused.value.current, fetched(connector, calendar, made))
            assert refused.value.current.event.details.location == made.event.details.location
            return
        connector.update(calendar, made, wanted)
        now = fetched(connector, calendar, made).event.details
        assert now.title == "Renamed by a person"
        assert now.location == wanted.details.location

    def test_what_a_person_has_just_written_is_not_overwritten(
        self, connector: Connector, calendar: str, key: str, other_party: OtherParty
    ) -> None:
        made = connector.create(calendar, projected(connector, FULL), key)
        other_party.edit(made.ref, title="Renamed by a person")
        with pytest.raises(ConflictError) as refused:
            connector.update(calendar, made, edited(made.event, title="Renamed by the bridge"))
        assert refused.value.current is not None
        assert_same(refused.value.current, fetched(connector, calendar, made))
        assert refused.value.current.event.details.title == "Renamed by a person"

    @pytest.mark.parametrize("how", Breakage)
    def test_a_broken_update_leaves_the_old_or_the_new_and_can_be_completed(
        self,
        connector: Connector,
        calendar: str,
        key: str,
        other_party: OtherParty,
        how: Breakage,
    ) -> None:
        made = connector.create(calendar, projected(connector, FULL), key)
        wanted = projected(connector, EDITS["everything"](made.event))
        other_party.break_next_write(how)
        with suppress(OutcomeUnknownError, RetryableError, ConflictError):
            connector.update(calendar, made, wanted)
        now = fetched(connector, calendar, made)
        assert now.event.details.title in {made.event.details.title, wanted.details.title}
        assert_holds(connector, connector.update(calendar, now, wanted), wanted)
        assert_holds(connector, fetched(connector, calendar, now), wanted)

    def test_an_update_of_what_is_gone_is_a_conflict_with_nothing(
        self, connector: Connector, calendar: str, key: str, other_party: OtherParty
    ) -> None:
        made = connector.create(calendar, projected(connector, FULL), key)
        other_party.delete(made.ref)
        with pytest.raises(ConflictError) as refused:
            connector.update(calendar, made, edited(made.event, title="Too late"))
        assert refused.value.current is None
        assert connector.fetch(calendar, made.ref) is None

    def test_a_deleted_event_is_gone_and_deleting_it_again_is_done(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        made = connector.create(calendar, projected(connector, event()), key)
        before = read(connector, calendar, None)
        connector.delete(calendar, made)
        connector.delete(calendar, made)
        assert connector.fetch(calendar, made.ref) is None
        assert provider_happenings(connector, calendar, made.ref) == []
        after = read(connector, calendar, before.cursor, before.copies)
        assert after.gone == [made.ref]
        if connector.capabilities.find_by_key:
            assert connector.find(calendar, key) is None

    def test_a_deletion_that_does_not_know_the_last_edit_is_refused(
        self, connector: Connector, calendar: str, key: str, other_party: OtherParty
    ) -> None:
        if not connector.capabilities.write_guard:
            pytest.skip("the provider enforces no precondition")
        made = connector.create(calendar, projected(connector, event()), key)
        other_party.edit(made.ref, title="Still needed")
        with pytest.raises(ConflictError) as refused:
            connector.delete(calendar, made)
        assert refused.value.current is not None
        assert_same(refused.value.current, fetched(connector, calendar, made))

    @pytest.mark.parametrize("how", Breakage)
    def test_a_broken_delete_can_be_repeated(
        self,
        connector: Connector,
        calendar: str,
        key: str,
        other_party: OtherParty,
        how: Breakage,
    ) -> None:
        made = connector.create(calendar, projected(connector, event()), key)
        other_party.break_next_write(how)
        with suppress(OutcomeUnknownError, RetryableError):
            connector.delete(calendar, made)
        connector.delete(calendar, made)
        assert connector.fetch(calendar, made.ref) is None

    def test_an_event_is_found_by_the_key_it_was_made_with(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        if not connector.capabilities.find_by_key:
            pytest.skip("the provider cannot look keys up")
        made = connector.create(calendar, projected(connector, event()), key)
        found = connector.find(calendar, key)
        assert found is not None
        assert_same(found, made)
        assert connector.find(calendar, create_key(key, "never used")) is None

    def test_eight_threads_create_eight_events(
        self, connector: Connector, calendar: str, cursor: str, key: str
    ) -> None:
        wanted = [projected(connector, event(f"Parallel {n}")) for n in range(8)]

        def make(number: int) -> Copy:
            return connector.create(calendar, wanted[number], create_key(key, str(number)))

        with ThreadPoolExecutor(8) as threads:
            made = list(threads.map(make, range(8)))
        assert [copy.event.details.title for copy in made] == [f"Parallel {n}" for n in range(8)]
        assert read(connector, calendar, cursor).copies.keys() == {copy.ref for copy in made}

    def test_writing_to_an_unknown_calendar_is_an_error_of_the_contract(
        self, connector: Connector, calendar: str, key: str
    ) -> None:
        made = connector.create(calendar, projected(connector, event()), key)
        nowhere = "no-such-calendar@example.invalid"
        with pytest.raises(ConnectorError):
            connector.create(nowhere, made.event, create_key(key, "nowhere"))
        with pytest.raises(ConnectorError):
            connector.update(nowhere, made, edited(made.event, title="Lost"))
