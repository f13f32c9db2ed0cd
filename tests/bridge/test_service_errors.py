"""What becomes of a link, and of one of its events, for every class of error on either side; and
that nothing is deleted anywhere because of it."""

import itertools
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge import config
from bridge.records import Link, LinkState, Side, UnitState
from bridge.runtime import Runtime, System
from bridge.service import Service
from bridge.store import Job
from bridge.vault import Vault
from connectors import errors
from connectors.errors import ConnectorError
from connectors.memory import Call, MemoryCalendar, MemoryWorld, named_world
from connectors.testing.builders import event

PATIENCE = 20.0
LATER = timedelta(hours=3)
"""Longer than any link or event waits after its first failure."""
CONFIG = """\
secret_key: {key}
connectors:
  hub: {{type: memory, world: errors-hub-{n}}}
  other: {{type: memory, world: errors-other-{n}}}
service: {{listen: "127.0.0.1:0", poll: 1d}}
defaults: {{direction: two-way}}
users:
  ann:
    hub: ann
    links: [{{to: other, account: ann}}]
"""
_numbers = itertools.count(1)

WHAT = "it went wrong"
RETRYABLE = errors.RetryableError(WHAT)
RATE_LIMITED = errors.RateLimitedError(WHAT, after=600)
REAUTHORIZE = errors.ReauthorizeError(WHAT)
CONFLICT = errors.ConflictError(WHAT, current=None)
RESYNC = errors.ResyncError(WHAT)
OUTCOME_UNKNOWN = errors.OutcomeUnknownError(WHAT)
REJECTED = errors.RejectedError(WHAT)
FATAL = errors.FatalError(WHAT)
ALL = [
    RETRYABLE, RATE_LIMITED, REAUTHORIZE, CONFLICT, RESYNC, OUTCOME_UNKNOWN, REJECTED, FATAL,
]  # fmt: skip


def by_name(error: ConnectorError) -> str:
    return type(error).__name__


class Pair:
    """A running service between two calendars that people use, kept the same both ways."""

    def __init__(self, folder: Path) -> None:
        number = next(_numbers)
        path = folder / "config.yaml"
        path.write_text(CONFIG.format(n=number, key=Vault.generate_key()))
        self.worlds = {
            Side.A: named_world(f"errors-hub-{number}"),
            Side.B: named_world(f"errors-other-{number}"),
        }
        self.calendars = {
            side: world.add_calendar("ann", "main") for side, world in self.worlds.items()
        }
        self._ahead = timedelta(0)
        # No jitter: none of the waits is over before it has been looked at.
        self.runtime = Runtime(config.load(path, {}), System(now=self.now, random=lambda: 1.0))
        self.store = self.runtime.store
        self.service = Service(self.runtime, only=["workers", "schedule"])
        for side in Side:
            self.put(side, f"From {side}")
        self.service.start()
        self.settle()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def later(self) -> None:
        self._ahead += LATER

    def put(self, side: Side, title: str) -> str:
        return self.calendars[side].person_puts(event(title, "2027-03-03T12:00"))

    def fail(self, side: Side, operations: str, error: Exception) -> list[Call]:
        """From now on these operations fail on that side; the calls that did."""
        struck: list[Call] = []

        def fault(call: Call) -> None:
            if call.operation in operations.split():
                struck.append(call)
                raise error

        self.worlds[side].before = fault
        return struck

    def heal(self) -> None:
        for world in self.worlds.values():
            world.before = lambda call: None

    def wake(self) -> None:
        with self.store.begin() as tx:
            tx.hint([self.link.id], self.now())

    def settle(self) -> None:
        assert self.service.wait_idle(PATIENCE)

    @property
    def link(self) -> Link:
        link = self.store.link("ann/other")
        assert link is not None
        return link

    @property
    def job(self) -> Job:
        job = self.store.job(self.link.id)
        assert job is not None
        return job

    def titles(self, side: Side) -> list[str]:
        return _titles(self.calendars[side])

    def parked(self) -> list[bool]:
        """Of every parked event, whether it is tried again by itself."""
        units = self.store.units(self.link.id, state=UnitState.PARKED)
        return [unit.retry_at is not None for unit in units]


def _titles(calendar: MemoryCalendar) -> list[str]:
    return sorted(calendar.event(ref).details.title for ref in calendar.refs())


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    assert made.titles(Side.A) == made.titles(Side.B) == ["From a", "From b"]
    yield made
    made.service.stop()
    made.runtime.close()


STATES = {
    REAUTHORIZE: LinkState.WAITING,
    REJECTED: LinkState.SUSPENDED,
    FATAL: LinkState.SUSPENDED,
}
"""What a link becomes that cannot be read; with any other error it goes on trying."""


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("error", ALL, ids=by_name)
def test_a_calendar_that_cannot_be_read(pair: Pair, error: ConnectorError, side: Side) -> None:
    struck = pair.fail(side, "changes", error)
    for own in Side:
        pair.put(own, f"Meanwhile at {own}")
    gone = pair.calendars[side.other].refs()[0]
    pair.calendars[side.other].person_edits(gone, title="Renamed")
    pair.wake()
    until(lambda: struck)
    pair.settle()

    assert pair.link.state is STATES.get(error, LinkState.ACTIVE)
    assert (WHAT in pair.link.reason) is (error in STATES)
    if error not in STATES:
        assert pair.job.not_before is not None
        assert (WHAT in pair.job.error) is (error is not RATE_LIMITED)
        assert pair.job.attempts == (error is not RATE_LIMITED)
    assert len(pair.titles(side)) == 3, "nothing is deleted, and nothing written"

    pair.heal()
    pair.later()
    until(lambda: len(pair.titles(side)) == 4)
    pair.settle()
    assert pair.titles(Side.A) == pair.titles(Side.B)
    assert {"Meanwhile at a", "Meanwhile at b", "Renamed"} <= set(pair.titles(Side.A))
    assert (pair.link.state, pair.link.reason) == (LinkState.ACTIVE, "")
    assert (pair.job.attempts, pair.job.error) == (0, "")


OF_A_WRITE = {
    RETRYABLE: (LinkState.ACTIVE, [True]),
    RATE_LIMITED: (LinkState.ACTIVE, []),
    REAUTHORIZE: (LinkState.WAITING, []),
    CONFLICT: (LinkState.ACTIVE, [True]),
    RESYNC: (LinkState.ACTIVE, []),
    OUTCOME_UNKNOWN: (LinkState.ACTIVE, [True]),
    REJECTED: (LinkState.ACTIVE, [False]),
    FATAL: (LinkState.SUSPENDED, []),
}
"""What a link becomes when a write fails, and whether its event is parked and tried again."""


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("error", ALL, ids=by_name)
def test_an_event_that_cannot_be_written(pair: Pair, error: ConnectorError, side: Side) -> None:
    struck = pair.fail(side, "create", error)
    pair.put(side.other, "New")
    pair.wake()
    until(lambda: struck)
    pair.settle()

    state, parked = OF_A_WRITE[error]
    assert (pair.link.state, pair.parked()) == (state, parked)
    assert pair.titles(side) == ["From a", "From b"]
    assert pair.titles(side.other) == ["From a", "From b", "New"]

    pair.heal()
    pair.later()
    if error is REJECTED:
        [unit] = pair.store.units(pair.link.id, state=UnitState.PARKED)
        ref = unit.ref(side.other)
        assert ref is not None
        pair.calendars[side.other].person_edits(ref, title="Made acceptable")
        pair.wake()
    until(lambda: len(pair.titles(side)) == 3)
    pair.settle()
    assert pair.titles(Side.A) == pair.titles(Side.B)
    assert (pair.link.state, pair.link.reason) == (LinkState.ACTIVE, "")
    assert pair.parked() == []


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("what", ["calendar", "account"])
def test_what_is_gone_on_one_side_costs_nothing_on_the_other(
    pair: Pair, what: str, side: Side
) -> None:
    world = pair.worlds[side]
    lost = dict(world._accounts["ann"])
    if what == "calendar":
        world.remove_calendar("ann", "main")
    else:
        world.remove_account("ann")
    pair.put(side.other, "New")
    pair.wake()
    stopped = LinkState.SUSPENDED if what == "calendar" else LinkState.WAITING
    until(lambda: pair.link.state is stopped)
    pair.settle()
    for _time in range(3):
        pair.later()
        pair.wake()
        pair.settle()
    assert pair.titles(side.other) == ["From a", "From b", "New"]
    assert pair.link.state is stopped

    world._accounts["ann"] = lost
    pair.later()
    until(lambda: len(pair.titles(side)) == 3)
    pair.settle()
    assert pair.titles(Side.A) == pair.titles(Side.B) == ["From a", "From b", "New"]
    assert pair.link.state is LinkState.ACTIVE


@pytest.mark.parametrize("side", Side)
def test_a_calendar_that_comes_back_empty_empties_nothing(pair: Pair, side: Side) -> None:
    """Somebody restores it from nothing, or it is another one under the same id."""
    world: MemoryWorld = pair.worlds[side]
    for number in range(12):
        pair.put(side.other, f"More {number}")
    pair.wake()
    until(lambda: len(pair.titles(side)) == 14)
    pair.settle()
    world.remove_calendar("ann", "main")
    pair.calendars[side] = world.add_calendar("ann", "main")
    pair.later()
    pair.wake()
    until(lambda: pair.link.state is LinkState.HELD or not pair.job.pending)
    pair.settle()
    assert len(pair.titles(side.other)) == 14
