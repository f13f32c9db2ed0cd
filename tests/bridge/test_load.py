"""Load and faults shape themselves: over calendars in memory, with the service as people run it."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

import bridge.service
from bridge import config
from bridge.circuit import THRESHOLD
from bridge.cli import run as calbridge
from bridge.records import Link
from bridge.runtime import Runtime, System
from bridge.service import Service
from bridge.turn import Turn
from bridge.vault import Vault
from connectors.errors import RetryableError
from connectors.memory import Call, MemoryCalendar, MemoryWorld, named_world
from connectors.testing.builders import event

PATIENCE = 60.0
MANY = 150
_numbers = itertools.count(1)
CONFIG = """\
secret_key: {key}
connectors:
  hub: {{type: memory, world: load-hub-{n}}}
  other: {{type: memory, world: load-other-{n}}}
service: {{listen: "127.0.0.1:0", poll: 1d, workers: {workers}}}
users:
"""
USER = """\
  {name}:
    hub: {name}
    links: [{{to: other, account: {name}, direction: {direction}}}]
"""


@dataclass
class Town:
    """A running service for many people."""

    path: Path
    hub: MemoryWorld
    other: MemoryWorld
    calendars: dict[str, tuple[MemoryCalendar, MemoryCalendar]]
    ahead: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        self.runtime = Runtime(config.load(self.path, {}), System(now=self.now))
        self.store = self.runtime.store
        self.service = Service(self.runtime)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def link(self, name: str) -> Link:
        link = self.store.link(f"{name}/other")
        assert link is not None
        return link

    def titles(self, name: str) -> set[str]:
        copy = self.calendars[name][1]
        return {copy.event(ref).details.title for ref in copy.refs()}

    def count(self, name: str) -> int:
        return len(self.calendars[name][1].refs())


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Callable[..., Town]]:
    made: list[Town] = []

    def town(names: list[str], *, workers: int = 2, direction: str = "two-way") -> Town:
        number = next(_numbers)
        path = tmp_path / "config.yaml"
        head = CONFIG.format(n=number, key=Vault.generate_key(), workers=workers)
        path.write_text(
            head + "".join(USER.format(name=name, direction=direction) for name in names)
        )
        hub, other = named_world(f"load-hub-{number}"), named_world(f"load-other-{number}")
        calendars = {
            name: (hub.add_calendar(name, "main"), other.add_calendar(name, "main"))
            for name in names
        }
        made.append(Town(path, hub, other, calendars))
        return made[-1]

    yield town
    for each in made:
        each.service.stop()
        each.runtime.close()


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def put(calendar: MemoryCalendar, title: str) -> str:
    return calendar.person_puts(event(title, "2027-03-03T12:00"))


@pytest.mark.parametrize("direction", ["two-way", "to-target"])
def test_a_link_with_many_changes_keeps_nobody_waiting(
    found: Callable[..., Town], direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge.service, "Turn", partial(Turn, units=MANY // 10))
    big, small = ["ann", "eve"], [f"p{number}" for number in range(10)]
    town = found([*big, *small], workers=2, direction=direction)
    town.service.start()
    assert town.service.wait_idle(PATIENCE)
    for name in big:  # as many as there are workers
        for number in range(MANY):
            put(town.calendars[name][0], f"E{number}")
    until(lambda: all(town.count(name) for name in big))
    for name in small:
        put(town.calendars[name][0], "Lunch")
    until(lambda: all(town.titles(name) == {"Lunch"} for name in small))
    assert min(town.count(name) for name in big) < MANY
    until(lambda: all(town.count(name) == MANY for name in big))
    assert town.service.wait_idle(PATIENCE)
    outcomes = {run.outcome for name in big for run in town.store.runs(town.link(name).id)}
    assert outcomes == {"ok", "unfinished"}
    assert town.other.calls["create"] == 2 * MANY + len(small)


def test_a_large_link_that_nobody_waits_for_is_done_in_one_go(
    found: Callable[..., Town], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge.service, "Turn", partial(Turn, units=20))
    town = found(["ann"])
    for number in range(100):
        put(town.calendars["ann"][0], f"E{number}")
    town.service.start()
    until(lambda: town.count("ann") == 100)
    assert town.service.wait_idle(PATIENCE)
    assert {run.outcome for run in town.store.runs(town.link("ann").id)} == {"ok"}


def test_an_account_that_does_not_answer_rests_and_others_go_on(
    found: Callable[..., Town], capsys: pytest.CaptureFixture[str]
) -> None:
    town = found(["ann", "bob"])
    town.service.start()
    assert town.service.wait_idle(PATIENCE)

    def silent(call: Call) -> None:
        if call.account == "ann":
            raise RetryableError("the line is dead")

    town.hub.before = silent
    link = town.link("ann")
    put(town.calendars["ann"][0], "Late")

    def resting() -> bool:
        town.ahead += timedelta(minutes=1)
        circuit = town.store.circuits().get(("hub", "ann"))
        return circuit is not None and circuit.until is not None

    until(resting)
    circuit = town.store.circuits()["hub", "ann"]
    assert circuit.failures >= THRESHOLD
    assert set(town.store.circuits()) == {("hub", "ann")}
    put(town.calendars["bob"][0], "Lunch")
    until(lambda: town.titles("bob") == {"Lunch"})
    assert calbridge(["--config", str(town.path), "status"]) == 0
    assert "ann at hub has not answered since" in capsys.readouterr().out
    town.hub.before = lambda call: None
    job = town.store.job(link.id)
    assert job is not None
    assert job.pending
    town.ahead += timedelta(hours=1)
    until(lambda: town.titles("ann") == {"Late"})
    until(lambda: not town.store.circuits())
    assert town.service.wait_idle(PATIENCE)


def test_what_changes_often_is_polled_often_and_what_pushes_is_polled_rarely(
    found: Callable[..., Town],
) -> None:
    town = found(["ann"])
    town.service.start()
    assert town.service.wait_idle(PATIENCE)

    def next_poll() -> timedelta:
        job = town.store.job(town.link("ann").id)
        assert job is not None
        assert job.run_at is not None
        return job.run_at - town.now()

    assert next_poll() < timedelta(hours=14)
    waits = []
    for days in (2, 5):
        town.ahead += timedelta(days=days)
        started = town.store.runs(town.link("ann").id)[0].id
        town.service._workers.wake()
        until(lambda last=started: town.store.runs(town.link("ann").id)[0].id > last)
        assert town.service.wait_idle(PATIENCE)
        waits.append(next_poll())
    assert timedelta(days=1.7) < waits[0] < timedelta(days=2.3)
    assert timedelta(days=3.5) < waits[1] < timedelta(days=4.5)
    put(town.calendars["ann"][0], "Lunch")
    until(lambda: town.titles("ann") == {"Lunch"})
    assert town.service.wait_idle(PATIENCE)
    # What it has written is looked at once more, at the latest in half a minute; and then: half a
    # day where changes are new, three times that where pushes have been heard, on both sides.
    town.ahead += timedelta(minutes=1)
    town.service._workers.wake()
    until(lambda: next_poll() > timedelta(hours=16))
    assert timedelta(hours=32) < next_poll() < timedelta(hours=40)
