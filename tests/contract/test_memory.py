"""The in-memory connector keeps the contract, as a lossless service and as poorer ones."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from connectors.capabilities import Capabilities
from connectors.contract import Connector, Provider
from connectors.errors import OutcomeUnknownError, RetryableError
from connectors.memory import LOSSLESS, Call, MemoryCalendar, MemoryProvider, MemoryWorld
from connectors.testing.builders import edited, event, moved
from connectors.testing.contract import Breakage, ConnectorContract, OtherParty
from mappings.limits import TargetLimits
from mappings.model import Event, Key, Response
from mappings.policy import Policy
from mappings.projection import project

POOR = TargetLimits(
    title_length=250,
    description_length=2000,
    location_length=100,
    html=False,
    address=False,
    coordinates=False,
    colors=False,
    reminders=1,
    default_reminders=False,
)


class MemoryPerson:
    """Somebody who edits the store itself."""

    def __init__(self, world: MemoryWorld, calendar: MemoryCalendar) -> None:
        self.world = world
        self.calendar = calendar

    def put_event(self, event: Event) -> str:
        return self.calendar.person_puts(event)

    def edit(self, ref: str, *, title: str | None = None, start: str | None = None) -> None:
        self.calendar.person_edits(ref, changed(None, title, start))

    def delete(self, ref: str) -> None:
        self.calendar.person_deletes(ref)

    def edit_occurrence(
        self, ref: str, key: Key, *, title: str | None = None, start: str | None = None
    ) -> None:
        self.calendar.person_edits(ref, changed(key, title, start))

    def cancel_occurrence(self, ref: str, key: Key) -> None:
        self.calendar.person_cancels_occurrence(ref, key)

    def put_invitation(self, event: Event) -> tuple[str, str] | None:
        invited = edited(event, response=Response.NEEDS_ACTION)
        return self.calendar.info.id, self.calendar.person_puts(invited, organized=False)

    def put_unreadable(self) -> str | None:
        ref = self.calendar.person_puts(event("Spoilt"))
        self.calendar.person_spoils(ref)
        return ref

    def void_cursors(self) -> None:
        self.calendar.void_cursors()

    def break_next_write(self, how: Breakage) -> None:
        def strike(call: Call) -> None:
            if call.operation in ("create", "update", "delete"):
                self.world.before = self.world.after = lambda call: None
                raise FAULTS[how]

        if how is Breakage.ANSWER_LOST:
            self.world.after = strike
        else:
            self.world.before = strike

    def sent_mails(self) -> int:
        return len(self.world.mails)


FAULTS = {
    Breakage.REQUEST_LOST: OutcomeUnknownError("the line broke"),
    Breakage.ANSWER_LOST: OutcomeUnknownError("the line broke"),
    Breakage.UNAVAILABLE: RetryableError("try later"),
}


def changed(key: Key | None, title: str | None, start: str | None) -> Callable[[Event], Event]:
    def edit(before: Event) -> Event:
        after = before if title is None else edited(before, key, title=title)
        return after if start is None else moved(after, key, start=start)

    return edit


def poorer(written: Event) -> Event:
    held = project(written, Policy(), POOR).event
    assert held is not None
    return held


WORLDS = {
    "lossless": MemoryWorld(),
    "small-pages": MemoryWorld(page_size=3),
    "fragments": MemoryWorld(capabilities=replace(LOSSLESS, whole_changes=False), page_size=3),
    "without-guard": MemoryWorld(
        capabilities=replace(LOSSLESS, write_guard=False, find_by_key=False, whole_changes=False)
    ),
    "poor": MemoryWorld(
        capabilities=Capabilities(limits=POOR, whole_changes=True), normalise=poorer
    ),
}


class TestMemory(ConnectorContract):
    @pytest.fixture(params=WORLDS)
    def world(self, request: pytest.FixtureRequest) -> MemoryWorld:
        model = WORLDS[request.param]
        return MemoryWorld(
            capabilities=model.capabilities,
            normalise=model.normalise,
            page_size=model.page_size,
        )

    @pytest.fixture
    def provider(self, world: MemoryWorld) -> Provider:
        return MemoryProvider("memory", world)

    @pytest.fixture
    def connector(self, world: MemoryWorld, provider: Provider) -> Connector:
        world.add_calendar("ann@example.com", "team")
        return provider.connect("ann@example.com")

    @pytest.fixture
    def calendar(self) -> str:
        return "team"

    @pytest.fixture
    def other_party(self, world: MemoryWorld) -> OtherParty:
        return MemoryPerson(world, world.add_calendar("ann@example.com", "team"))
