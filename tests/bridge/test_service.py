"""The service as a whole, over calendars in memory: pushes in, copies out, faults survived."""

import http.client
import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bridge import config
from bridge.config_schema import duration
from bridge.errors import ConfigError
from bridge.records import Link, LinkState, Side, UnitState
from bridge.runtime import Runtime, System
from bridge.service import ECHO, RECONSIDER, Service
from bridge.vault import Vault
from bridge.webhooks import MAX_BODY
from connectors.contract import Hint, Role
from connectors.errors import FatalError, RateLimitedError, ReauthorizeError, RetryableError
from connectors.memory import Call, MemoryCalendar, MemoryWorld, named_world
from connectors.memory.connector import MemoryConnector
from connectors.testing.builders import event
from mappings.policy import Window

CONFIG = """\
secret_key: {key}
connectors:
  hub: {{type: memory, world: service-hub-{n}}}
  other: {{type: memory, world: service-other-{n}}}
service: {{listen: "127.0.0.1:0", poll: 1d, workers: 2}}
users:
  ann:
    hub: ann
    links: [{{to: other, account: ann}}]
"""
PATIENCE = 20.0
_numbers = itertools.count(1)


class Office:
    """A running service between two worlds, with a clock that can be put forward."""

    def __init__(self, folder: Path) -> None:
        number = next(_numbers)
        path = folder / "config.yaml"
        path.write_text(CONFIG.format(n=number, key=Vault.generate_key()))
        self.hub = named_world(f"service-hub-{number}")
        self.other = named_world(f"service-other-{number}")
        self.a, self.b = (w.add_calendar("ann", "main") for w in (self.hub, self.other))
        self._ahead = timedelta(0)
        self.runtime = Runtime(config.load(path, {}), System(now=self.now))
        self.store = self.runtime.store
        self.service = Service(self.runtime)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def later(self, time: timedelta) -> None:
        self._ahead += time

    def link(self) -> Link:
        link = self.store.link("ann/other")
        assert link is not None
        return link

    def titles(self) -> list[str]:
        return sorted(self.b.event(ref).details.title for ref in self.b.refs())

    def settled(self) -> None:
        assert self.service.wait_idle(PATIENCE)

    def tell(self, **facts: str) -> None:
        self.service._intake.take(Hint(connector="hub", **facts))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.service.stop()
    made.runtime.close()


@pytest.fixture
def running(office: Office) -> Office:
    office.service.start()
    office.settled()
    return office


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def failing(operation: str, error: Exception) -> Callable[[Call], None]:
    def fault(call: Call) -> None:
        if call.operation == operation:
            raise error

    return fault


def healthy(world: MemoryWorld) -> None:
    world.before = lambda call: None


def lunch(calendar: MemoryCalendar, title: str = "Lunch") -> str:
    return calendar.person_puts(event(title, "2027-03-03T12:00"))


def test_what_is_there_at_the_start_and_what_comes_later_is_copied(office: Office) -> None:
    lunch(office.a, "Before")
    office.service.start()
    until(lambda: office.titles() == ["Before"])
    ref = lunch(office.a, "After")
    until(lambda: office.titles() == ["After", "Before"])
    office.a.person_deletes(ref)
    until(lambda: office.titles() == ["Before"])
    office.settled()
    assert office.link().state is LinkState.ACTIVE


def test_a_link_is_looked_at_again_soon_after_something_was_made(office: Office) -> None:
    lunch(office.a)
    planner, worker = (Service(office.runtime, only=[role]) for role in ("schedule", "workers"))
    planner.start()
    planner.stop()
    worker.start()
    until(lambda: office.titles() == ["Lunch"])
    assert worker.wait_idle(PATIENCE)
    worker.stop()
    (job,) = office.store.jobs()
    assert job.run_at is not None
    assert job.run_at <= office.now() + ECHO


def test_an_edit_during_a_run_is_not_missed(running: Office) -> None:
    ref = lunch(running.a)
    until(lambda: running.titles() == ["Lunch"])
    for number in range(30):
        running.a.person_edits(ref, title=f"Lunch {number}")
    until(lambda: running.titles() == ["Lunch 29"])


def test_a_lost_consent_makes_a_link_wait_and_it_resumes_by_itself(running: Office) -> None:
    lunch(running.a)
    until(lambda: running.titles() == ["Lunch"])
    running.hub.before = failing("changes", ReauthorizeError("consent was withdrawn"))
    lunch(running.a, "Dinner")
    until(lambda: running.link().state is LinkState.WAITING)
    running.settled()
    assert "consent was withdrawn" in running.link().reason
    assert running.titles() == ["Lunch"]
    healthy(running.hub)
    running.later(RECONSIDER)
    until(lambda: running.titles() == ["Dinner", "Lunch"])
    running.settled()
    assert (running.link().state, running.link().reason) == (LinkState.ACTIVE, "")


def test_once_a_day_everything_is_listed_so_that_what_no_delta_told_is_found(
    running: Office,
) -> None:
    lunch(running.a)
    until(lambda: running.titles() == ["Lunch"])
    running.settled()
    link = running.link()
    with running.store.begin() as tx:
        tx.drop_units(link.id)
        tx.set_cursor(link.id, Side.A, running.a.changes(None)[1])
    running.later(timedelta(hours=25))
    running.tell(calendar="main")
    until(lambda: running.store.count_units(link.id)[UnitState.LIVE] == 1)
    assert running.titles() == ["Lunch"]


def test_everything_is_listed_at_night_and_only_once(running: Office) -> None:
    """At the hour of `service.nightly` and no earlier, though the last time was long ago."""
    listings: list[bool] = []
    changes = MemoryConnector.changes

    def watched(self: MemoryConnector, calendar: str, cursor: str | None) -> object:
        listings.append(cursor is None)
        return changes(self, calendar, cursor)

    evening = running.now().replace(hour=20, minute=0, second=0) + timedelta(days=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryConnector, "changes", watched)
        running.later(evening - running.now())
        running.tell(calendar="main")
        until(lambda: listings)
        running.settled()
        for hours, nightly in ((1, False), (5, False), (4, True), (1, False), (10, False)):
            listings.clear()
            running.later(timedelta(hours=hours))
            running.tell(calendar="main")
            until(lambda: listings)
            running.settled()
            assert any(listings) is nightly, running.now()


def test_what_enters_the_window_as_time_goes_by_is_copied(office: Office) -> None:
    near = office.now() + timedelta(days=5)
    far = office.now() + timedelta(days=12)
    for title, at in (("Near", near), ("Far", far)):
        office.a.person_puts(event(title, at.strftime("%Y-%m-%dT12:00")))
    window(office, "1w")
    office.service.start()
    until(lambda: office.titles() == ["Near"])
    office.settled()
    office.later(timedelta(days=4))
    office.tell(calendar="main")
    office.settled()
    assert office.titles() == ["Near"]
    office.later(timedelta(days=3))
    office.tell(calendar="main")
    until(lambda: office.titles() == ["Far", "Near"])
    office.settled()
    office.later(timedelta(days=200))
    office.tell(calendar="main")
    office.settled()
    assert office.titles() == ["Far", "Near"], "what leaves the window stays"


def window(office: Office, future: str) -> None:
    links = [
        replace(link, policy=replace(link.policy, window=Window(future=duration(future))))
        for link in office.runtime.config.links
    ]
    office.runtime.config = replace(office.runtime.config, links=tuple(links))


def test_a_calendar_that_is_gone_suspends_its_link_and_deletes_nothing(running: Office) -> None:
    lunch(running.a)
    until(lambda: running.titles() == ["Lunch"])
    running.hub.before = failing("changes", FatalError("the calendar is gone"))
    running.tell(calendar="main")
    until(lambda: running.link().state is LinkState.SUSPENDED)
    running.settled()
    assert running.titles() == ["Lunch"]


def test_a_passing_fault_is_tried_again(running: Office) -> None:
    running.hub.before = failing("changes", RetryableError("the line is dead"))
    lunch(running.a)
    until(lambda: (job := running.store.job(running.link().id)) and job.attempts)
    assert running.link().state is LinkState.ACTIVE
    healthy(running.hub)
    running.later(timedelta(hours=2))
    until(lambda: running.titles() == ["Lunch"])


def test_a_provider_that_asks_for_patience_gets_it_and_no_failure_is_counted(
    running: Office,
) -> None:
    running.hub.before = failing("changes", RateLimitedError("too many calls", after=600))
    lunch(running.a)
    number = running.link().id
    until(lambda: (job := running.store.job(number)) and job.not_before)
    healthy(running.hub)
    running.tell(calendar="main")
    running.settled()
    job = running.store.job(number)
    assert job is not None
    assert job.attempts == 0
    assert running.titles() == []
    running.later(timedelta(seconds=601))
    until(lambda: running.titles() == ["Lunch"])


@pytest.mark.parametrize("state", [LinkState.HELD, LinkState.PAUSED])
def test_a_link_that_a_person_has_to_release_is_not_read(running: Office, state: LinkState) -> None:
    with running.store.begin() as tx:
        tx.set_link_state(running.link().id, state, "look at it")
    running.hub.calls.clear()
    lunch(running.a)
    running.tell(calendar="main")
    running.settled()
    assert running.hub.calls["changes"] == 0
    assert (running.link().state, running.titles()) == (state, [])


def test_a_mass_deletion_holds_the_link(running: Office) -> None:
    refs = [lunch(running.a, f"E{number}") for number in range(15)]
    until(lambda: len(running.titles()) == 15)
    running.settled()
    with running.hub.lock:
        for ref in refs:
            running.a.person_deletes(ref)
    until(lambda: running.link().state is LinkState.HELD)
    running.settled()
    assert len(running.titles()) == 15
    assert "delete guard" in running.link().reason


def test_a_push_is_believed_once(running: Office) -> None:
    accepted = running.service._intake.accepted
    for _time in range(3):
        running.tell(calendar="main", id="push-1")
    assert running.service._intake.accepted == accepted + 1


def test_a_push_about_a_strange_calendar_wakes_nobody(running: Office) -> None:
    job = running.store.job(running.link().id)
    running.tell(calendar="somebody else's")
    running.tell(account="somebody else")
    assert running.store.job(running.link().id) == job


def test_calendars_that_come_go_and_change_are_noticed(
    running: Office, caplog: pytest.LogCaptureFixture
) -> None:
    def names() -> list[str]:
        return [calendar.name for calendar in running.store.calendars("hub", "ann")]

    assert names() == ["main"]
    running.hub.add_calendar("ann", "second", name="Second")
    running.tell(account="ann")
    until(lambda: names() == ["main", "Second"])
    running.settled()
    running.a.info = replace(running.a.info, name="Renamed", role=Role.WRITER)
    running.hub.remove_calendar("ann", "second")
    with caplog.at_level(logging.INFO, "calbridge"):
        running.tell(account="ann")
        until(lambda: names() == ["Renamed"])
        running.settled()
    assert "calendars changed" in caplog.text
    assert running.link().state is LinkState.ACTIVE


def test_a_lost_calendar_suspends_its_link_until_it_is_back(running: Office) -> None:
    lunch(running.a)
    until(lambda: running.titles() == ["Lunch"])
    running.settled()
    lost = running.hub._accounts["ann"].pop("main")
    running.tell(account="ann")
    until(lambda: running.link().state is LinkState.SUSPENDED)
    running.settled()
    assert "no longer in the list" in running.link().reason
    assert running.titles() == ["Lunch"]
    running.hub._accounts["ann"]["main"] = lost
    running.later(RECONSIDER)
    until(lambda: running.link().state is LinkState.ACTIVE)
    assert running.titles() == ["Lunch"]


def test_one_account_without_consent_keeps_nobody_waiting_and_joins_later(office: Office) -> None:
    office.hub.before = failing("calendars", ReauthorizeError("no consent yet"))
    office.service.start()
    office.settled()
    assert office.store.links() == []
    lunch(office.a)
    healthy(office.hub)
    office.service.take_in()
    until(lambda: office.titles() == ["Lunch"])


def test_a_link_that_cannot_be_used_stops_the_start(office: Office) -> None:
    office.a.info = replace(office.a.info, foreign="google")
    with pytest.raises(ConfigError):
        office.service.start()
    assert office.store.links() == []


def test_an_address_in_use_is_said_to_be(office: Office, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = office.runtime.config.service.model_copy(update={"listen": f"127.0.0.1:{port}"})
        office.runtime.config = replace(office.runtime.config, service=service)
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            office.service.start()


# -- webhooks --------------------------------------------------------------------------------------


def ask(office: Office, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    place = urlsplit(office.service.address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=PATIENCE)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_service_says_that_it_lives(running: Office) -> None:
    assert ask(running, "GET", "/healthz") == (200, b'{"ok":true}')


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/hooks/nobody", 404), ("POST", "/hooks/hub", 404), ("GET", "/hooks/hub", 405),
     ("GET", "/", 404), ("POST", "/hooks/../healthz", 404)],
)  # fmt: skip
def test_what_is_no_hook_is_refused(running: Office, method: str, path: str, status: int) -> None:
    assert ask(running, method, path, b"{}")[0] == status


def test_a_body_that_is_too_large_is_refused(running: Office) -> None:
    assert ask(running, "POST", "/hooks/hub", b"x" * MAX_BODY)[0] == 404
    assert ask(running, "POST", "/hooks/hub", b"x" * (MAX_BODY + 1))[0] == 413


def test_a_body_without_end_is_refused_while_it_comes(running: Office) -> None:
    place = urlsplit(running.service.address)
    with socket.create_connection((place.hostname, place.port or 0), timeout=PATIENCE) as wire:
        head = "POST /hooks/hub HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        wire.sendall(head.encode())
        piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _piece in range(MAX_BODY // 0x10000 + 1):
            wire.sendall(piece)
        # The body has not ended, and never will.
        assert wire.recv(100).startswith(b"HTTP/1.1 413")


# -- the end ---------------------------------------------------------------------------------------


def test_a_stop_leaves_no_thread_and_a_start_goes_on(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    office = Office(tmp_path)
    office.service.start()
    lunch(office.a)
    until(lambda: office.titles() == ["Lunch"])
    office.service.stop()
    assert set(threading.enumerate()) <= before
    lunch(office.a, "While it slept")
    second = Service(office.runtime)
    second.start()
    until(lambda: len(office.titles()) == 2)
    assert second.wait_idle(PATIENCE)
    second.stop()
    office.runtime.close()
    assert set(threading.enumerate()) <= before


def test_a_stop_in_the_middle_of_a_copy_loses_and_doubles_nothing(office: Office) -> None:
    for number in range(60):
        lunch(office.a, f"E{number:02}")
    written = threading.Event()

    def slowly(call: Call) -> None:
        if call.operation == "create":
            written.set()
            time.sleep(0.005)

    office.other.before = slowly
    office.service.start()
    assert written.wait(PATIENCE)
    office.service.stop()
    assert len(office.b.refs()) < 60
    second = Service(office.runtime)
    second.start()
    until(lambda: len(office.b.refs()) >= 60)
    assert second.wait_idle(PATIENCE)
    second.stop()
    assert office.titles() == [f"E{number:02}" for number in range(60)]
    assert office.store.intents(office.link().id) == []


def test_each_role_can_run_alone(office: Office) -> None:
    lunch(office.a)
    planner = Service(office.runtime, only=["schedule"])
    planner.start()
    planner.stop()
    assert office.titles() == []
    worker = Service(office.runtime, only=["workers"])
    worker.start()
    until(lambda: office.titles() == ["Lunch"])
    assert worker.wait_idle(PATIENCE)
    worker.stop()
    assert office.link().endpoint(Side.A).calendar == "main"
