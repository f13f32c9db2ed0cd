"""The memory world does what tests of the bridge rely on beyond the contract."""

from dataclasses import replace
from threading import Thread
from typing import cast

import pytest

from connectors import registry
from connectors.contract import Context, Hint, Role, Subscription
from connectors.errors import (
    ConflictError,
    FatalError,
    OutcomeUnknownError,
    ReauthorizeError,
    RejectedError,
    RetryableError,
)
from connectors.memory import (
    LOSSLESS,
    Call,
    MemoryCalendar,
    MemoryConnector,
    MemoryProvider,
    MemoryWorld,
    named_world,
)
from connectors.testing.builders import edited, event, moved
from mappings.model import Attendee, Key, Person, Response

ANN = "ann@example.com"
KEY = "0" * 32


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


@pytest.fixture
def calendar(world: MemoryWorld) -> MemoryCalendar:
    return world.add_calendar(ANN, "team")


@pytest.fixture
def connector(world: MemoryWorld, calendar: MemoryCalendar) -> MemoryConnector:
    return MemoryProvider("memory", world).connect(ANN)


def invited(address: str) -> Attendee:
    return Attendee(person=Person(email=address), response=Response.NEEDS_ACTION)


def test_a_fault_before_a_call_prevents_it_and_one_after_it_does_not(
    world: MemoryWorld, calendar: MemoryCalendar, connector: MemoryConnector
) -> None:
    def strike(call: Call) -> None:
        raise OutcomeUnknownError(f"{call.operation} {call.number}")

    world.before = strike
    with pytest.raises(OutcomeUnknownError, match="create 1"):
        connector.create("team", event(), KEY)
    assert calendar.refs() == []
    world.before, world.after = (lambda call: None), strike
    with pytest.raises(OutcomeUnknownError, match="create 2"):
        connector.create("team", event(), KEY)
    assert len(calendar.refs()) == 1


def test_a_listing_can_break_off_between_two_pages(
    world: MemoryWorld, calendar: MemoryCalendar, connector: MemoryConnector
) -> None:
    def break_off(call: Call) -> None:
        if call.number == 2:
            raise RetryableError("page 2")

    world.page_size, world.before = 2, break_off
    for number in range(3):
        calendar.person_puts(event(f"Event {number}"))
    pages = connector.changes("team", None)
    assert next(pages).cursor is None
    with pytest.raises(RetryableError):
        next(pages)


def test_calls_are_counted_by_operation_and_persons_are_not(
    world: MemoryWorld, calendar: MemoryCalendar, connector: MemoryConnector
) -> None:
    ref = calendar.person_puts(event())
    calendar.person_edits(ref, title="Renamed")
    list(connector.changes("team", None))
    connector.fetch("team", ref)
    assert world.calls == {"changes": 1, "fetch": 1}


def test_only_whom_the_bridge_adds_is_mailed(
    world: MemoryWorld, calendar: MemoryCalendar, connector: MemoryConnector
) -> None:
    ref = calendar.person_puts(event(attendees=(invited("bob@example.com"),)))
    copy = connector.fetch("team", ref)
    assert copy is not None
    copy = connector.update("team", copy, edited(copy.event, title="Renamed"))
    assert world.mails == []
    more = (*copy.event.details.attendees, invited("cy@example.com"))
    connector.update("team", copy, edited(copy.event, attendees=more))
    assert world.mails == ["cy@example.com"]


def test_a_key_of_the_dead_makes_nothing_new(
    calendar: MemoryCalendar, connector: MemoryConnector
) -> None:
    made = connector.create("team", event(), KEY)
    calendar.person_deletes(made.ref)
    with pytest.raises(ConflictError) as refused:
        connector.create("team", event(), KEY)
    assert refused.value.current is None
    assert calendar.refs() == []


def test_a_duplicate_bears_the_mark_but_is_not_found_by_its_key(
    calendar: MemoryCalendar, connector: MemoryConnector
) -> None:
    made = connector.create("team", event(), KEY)
    twin = calendar.person_puts(event(), origin=KEY)
    copy, found = connector.fetch("team", twin), connector.find("team", KEY)
    assert copy is not None
    assert found is not None
    assert (copy.origin, found.ref) == (KEY, made.ref)


def test_a_participant_may_change_his_own_view_and_nothing_else(
    calendar: MemoryCalendar, connector: MemoryConnector
) -> None:
    ref = calendar.person_puts(event(), organized=False)
    copy = connector.fetch("team", ref)
    assert copy is not None
    assert not copy.organized
    copy = connector.update("team", copy, edited(copy.event, reminders=(5,)))
    with pytest.raises(RejectedError):
        connector.update("team", copy, moved(copy.event, start="2026-03-02T10:00"))


def test_a_reader_may_not_write(world: MemoryWorld) -> None:
    world.add_calendar(ANN, "holidays", role=Role.READER)
    with pytest.raises(ReauthorizeError):
        MemoryConnector(world, ANN).create("holidays", event(), KEY)


def test_what_is_gone_says_so_by_consequence(
    world: MemoryWorld, connector: MemoryConnector
) -> None:
    world.remove_calendar(ANN, "team")
    with pytest.raises(FatalError):
        connector.fetch("team", "team-1")
    world.remove_account(ANN)
    with pytest.raises(ReauthorizeError):
        connector.calendars()
    assert [finding.ok for finding in MemoryProvider("m", world).examine(ANN)] == [False]


def test_what_a_service_makes_of_an_event_stands_for_everybody(
    world: MemoryWorld, calendar: MemoryCalendar, connector: MemoryConnector
) -> None:
    world.normalise = lambda written: edited(written, title=written.details.title.upper())
    assert connector.create("team", event("quiet"), KEY).event.details.title == "QUIET"
    ref = calendar.person_puts(event("please"))
    assert calendar.event(ref).details.title == "PLEASE"


def test_without_look_up_by_key_nothing_is_claimed_to_be_absent() -> None:
    world = MemoryWorld(capabilities=replace(LOSSLESS, find_by_key=False))
    world.add_calendar(ANN, "team")
    with pytest.raises(FatalError):
        MemoryConnector(world, ANN).find("team", KEY)


def test_a_moved_series_takes_its_end_and_its_exceptions_along() -> None:
    series = event(rule="FREQ=WEEKLY;COUNT=4")
    series = edited(series, Key("2026-03-09T09:00:00"), title="Special")
    later = moved(series, start="2026-03-04T15:00")
    assert later.rule is not None
    assert later.rule.until == "2026-03-25T15:00:00"
    assert later.rule.by_day == ((0, "WE"),)
    earlier = moved(series, start="2026-03-02T08:00")
    assert [override.key for override in earlier.overrides] == ["2026-03-09T08:00:00"]
    with pytest.raises(ValueError, match="other days"):
        moved(event(rule="FREQ=WEEKLY;BYDAY=MO,FR"), start="2026-03-03T09:00")


def test_every_write_is_announced_to_who_has_subscribed_and_listens(
    world: MemoryWorld, calendar: MemoryCalendar
) -> None:
    hints: list[Hint] = []
    provider = MemoryProvider("memory", world)
    world.add_calendar(ANN, "private").person_puts(event())
    connector = provider.connect(ANN)
    assert connector.subscribe(None) is None
    assert connector.subscribe("team") == Subscription()
    listener = Thread(target=provider.listen, args=(hints.append, lambda: bool(hints)))
    listener.start()
    while not hints:
        calendar.person_puts(event())
    listener.join()
    assert hints[0] == Hint(connector="memory", calendar="team", account=ANN)


def test_a_config_names_a_world_of_this_process() -> None:
    plugin, context = registry.plugin("memory"), cast("Context", None)
    settings = plugin.settings(world="test-config", accounts={ANN: ["team", "private"]})
    provider = plugin.open("m", settings, context)
    shown = provider.connect(ANN).calendars()
    assert [(each.id, each.primary) for each in shown] == [("team", True), ("private", False)]
    assert provider.resolve([ANN, "stranger"]).keys() == {ANN}
    named_world("test-config").add_calendar(ANN, "third")
    assert len(plugin.open("m", settings, context).connect(ANN).calendars()) == 3
