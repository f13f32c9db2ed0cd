"""Streaming notifications: hints, and no more, that survive lost connections."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import pytest

from connectors.contract import Hint, Listens, Subscribes, Subscription
from connectors.exchange.client import Client
from connectors.exchange.streaming import MOST
from connectors.sandbox.faults import Fault
from connectors.testing import builders

from .conftest import ALICE, SERVICE, Exchange

EVENT = {"subject": "Lunch", "start": "2026-03-02T12:00:00", "end": "2026-03-02T13:00:00"}


@dataclass
class Listener:
    """A provider that listens in a thread of its own."""

    provider: Any
    hints: "SimpleQueue[Hint]" = field(default_factory=SimpleQueue)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(
            target=self.provider.listen, args=(self.hints.put, self.stopped.is_set)
        )
        self.thread.start()

    def next(self) -> Hint:
        return self.hints.get(timeout=20)

    def stop(self) -> None:
        self.stopped.set()
        self.provider.close()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def listen(exchange: Exchange) -> Iterator[Callable[[Any], Listener]]:
    started: list[Listener] = []

    def start(provider: Any) -> Listener:
        started.append(Listener(provider))
        return started[-1]

    yield start
    for listener in started:
        listener.stop()
    gc.collect()  # a connection that nobody has closed fails this test, not one that runs later


def test_what_happens_in_a_watched_calendar_is_hinted_at_and_nothing_else(
    exchange: Exchange, listen: Callable[[Any], Listener]
) -> None:
    watched, other = exchange.calendar("Watched"), exchange.calendar("Other")
    provider = exchange.provider()
    connector = provider.connect(ALICE)
    assert isinstance(provider, Listens)
    assert isinstance(connector, Subscribes)
    connector.subscribe(None)
    connector.subscribe(watched)
    listener = listen(provider)
    expected = Hint(connector="exchange", account=ALICE, calendar=watched)
    assert listener.next() == expected, "whatever was missed before the connection"
    exchange.act("create", EVENT, folder=other)
    exchange.act("create", EVENT, folder=watched)
    assert listener.next() == expected
    assert listener.hints.empty()


@pytest.mark.parametrize("how", ["close_streams", "drop_subscriptions"])
def test_a_lost_connection_is_made_anew_and_hints_at_what_was_missed(
    exchange: Exchange, listen: Callable[[Any], Listener], how: str
) -> None:
    calendar = exchange.calendar()
    provider = exchange.provider()
    provider.connect(ALICE).subscribe(calendar)
    listener = listen(provider)
    first = listener.next()
    exchange.sandbox.control(how, {})
    assert listener.next() == first
    exchange.act("create", EVENT, folder=calendar)
    assert listener.next() == first


STREAM = "op=GetStreamingEvents$"
SUBSCRIBE = "op=(Subscribe|GetStreamingEvents)$"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(STREAM, "status", status=503, times=25),
        Fault(SUBSCRIBE, "drop_before", times=25),
        Fault(STREAM, "drop_after", times=3),
        Fault(STREAM, "html", status=502, times=3),
        Fault(STREAM, "delay", seconds=2.0),
    ],
    ids=["refused for long", "cut off for long", "ends at once", "a gateway in between", "slow"],
)
def test_what_keeps_a_connection_from_coming_about_only_takes_time(
    exchange: Exchange, listen: Callable[[Any], Listener], fault: Fault
) -> None:
    calendar = exchange.calendar()
    provider = exchange.provider()
    provider.connect(ALICE).subscribe(calendar)
    exchange.sandbox.faults.add(fault)
    listener = listen(provider)
    listener.next()
    exchange.act("create", EVENT, folder=calendar)
    listener.next()
    assert fault.struck >= 1


def test_a_connection_that_has_fallen_silent_is_given_up_for_a_new_one(
    exchange: Exchange, listen: Callable[[Any], Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands, but nothing comes over it any more, not even a sign of life."""
    defaults = Client.__init__.__kwdefaults__
    assert defaults["stream_timeout"] > exchange.sandbox.switches.keep_alive_seconds
    monkeypatch.setitem(defaults, "stream_timeout", 0.5)
    exchange.sandbox.switches.keep_alive_seconds = 3600
    calendar = exchange.calendar()
    provider = exchange.provider()
    provider.connect(ALICE).subscribe(calendar)
    listener = listen(provider)
    for _connection in range(3):
        listener.next()
    assert any("no news from Exchange" in line for line in exchange.logged)


def test_listening_does_not_take_connections_from_reading(
    exchange: Exchange, listen: Callable[[Any], Listener]
) -> None:
    calendar = exchange.calendar()
    provider = exchange.provider(max_connections=1)
    connector = provider.connect(ALICE)
    connector.subscribe(calendar)
    listener = listen(provider)
    listener.next()
    made = connector.create(calendar, builders.event(reminders=()), "ab" * 32)
    assert connector.fetch(calendar, made.ref) == made
    assert listener.next().calendar == calendar


# -- many mailboxes --------------------------------------------------------------------------------


@dataclass
class Staff:
    """Colleagues with a mailbox each, and a login that may act for all of them."""

    exchange: Exchange
    provider: Any
    calendars: dict[str, str] = field(default_factory=dict)

    def joins(self, name: str, *, server: str = "mbx1", more: int = 0) -> str:
        address = f"{name}@office.example"
        mailbox = self.exchange.sandbox.add_mailbox(address, zone="Europe/Berlin")
        mailbox.server = server
        connector = self.provider.connect(address)
        folders = [self.exchange.sandbox.add_calendar(address, f"C{n}") for n in range(1 + more)]
        for folder in folders:
            assert connector.subscribe(folder) == Subscription()
        self.calendars[address] = folders[0]
        return address

    def acts(self, address: str) -> Hint:
        calendar = self.calendars[address]
        self.exchange.sandbox.edit(address, "create", EVENT, folder=calendar)
        return Hint(connector="exchange", account=address, calendar=calendar)

    @property
    def open_connections(self) -> int:
        return self.exchange.sandbox.streams.open_count

    def heard(self, listener: Listener, *wanted: Hint) -> None:
        """Reads on until each of these hints has come."""
        missing = set(wanted)
        while missing:
            missing.discard(listener.next())

    def following(self, count: int) -> None:
        """Until so many calendars are connected."""
        deadline = time.monotonic() + 30
        while sum(len(group.follows or ()) for group in self.provider._streams._groups) < count:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def staff(exchange: Exchange) -> Staff:
    exchange.sandbox.add_mailbox(SERVICE).impersonates = True
    provider = exchange.provider(username=SERVICE, access="impersonation")
    return Staff(exchange, provider)


def test_many_mailboxes_share_a_connection(staff: Staff, listen: Callable[[Any], Listener]) -> None:
    people = [staff.joins(f"user{number}") for number in range(12)]
    listener = listen(staff.provider)
    first = [Hint(connector="exchange", account=a, calendar=staff.calendars[a]) for a in people]
    staff.heard(listener, *first)
    assert staff.open_connections == 1
    staff.heard(listener, *(staff.acts(person) for person in people))
    assert len(staff.exchange.sandbox.calls("Subscribe")) == 12
    assert threading.active_count() < 40


def test_who_joins_and_leaves_later_is_followed_and_no_longer_followed(
    staff: Staff, listen: Callable[[Any], Listener]
) -> None:
    ann, bob = staff.joins("ann"), staff.joins("bob")
    listener = listen(staff.provider)
    staff.heard(listener, staff.acts(ann), staff.acts(bob))
    cid = staff.joins("cid")
    staff.following(3)
    staff.heard(listener, staff.acts(cid), staff.acts(ann))
    staff.provider.connect(bob).unsubscribe(staff.calendars[bob])
    deadline = time.monotonic() + 30
    while not staff.exchange.sandbox.calls("Unsubscribe"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    staff.heard(listener, staff.acts(cid))
    assert staff.open_connections == 1


def test_mailboxes_at_different_servers_end_up_on_different_connections(
    staff: Staff, listen: Callable[[Any], Listener]
) -> None:
    people = [staff.joins(f"user{number}", server=f"mbx{1 + number % 2}") for number in range(6)]
    listener = listen(staff.provider)
    staff.heard(
        listener,
        *(Hint(connector="exchange", account=a, calendar=staff.calendars[a]) for a in people),
    )
    staff.heard(listener, *(staff.acts(person) for person in people))
    assert staff.open_connections == 2


def test_a_mailbox_that_refuses_keeps_nobody_else_from_being_heard(
    staff: Staff, listen: Callable[[Any], Listener]
) -> None:
    gone, ann = staff.joins("aaron"), staff.joins("ann")
    staff.exchange.sandbox.world.mailboxes[gone].status = "disabled"
    listener = listen(staff.provider)
    staff.heard(listener, staff.acts(ann))
    assert any(gone in line for line in staff.exchange.logged)


def test_what_does_not_fit_is_left_out_and_said_once(
    staff: Staff, listen: Callable[[Any], Listener]
) -> None:
    staff.exchange.sandbox.switches.turn(hanging_connections=1)
    provider = staff.exchange.provider(username=SERVICE, access="impersonation", max_streams=1)
    staff.provider = provider
    big = staff.joins("ann", more=MOST - 1)
    staff.joins("bob")
    listener = listen(provider)
    staff.heard(listener, staff.acts(big))
    assert staff.open_connections == 1
    assert len([line for line in staff.exchange.logged if "max_streams" in line]) == 1


def test_asking_anew_makes_a_new_subscription(
    staff: Staff, listen: Callable[[Any], Listener]
) -> None:
    ann, bob = staff.joins("ann"), staff.joins("bob")
    listener = listen(staff.provider)
    staff.heard(listener, staff.acts(ann), staff.acts(bob))
    connector = staff.provider.connect(ann)
    connector.unsubscribe(staff.calendars[ann])
    connector.subscribe(staff.calendars[ann])
    deadline = time.monotonic() + 30
    while len(staff.exchange.sandbox.calls("Subscribe")) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    staff.heard(listener, staff.acts(ann), staff.acts(bob))


def test_without_streaming_nothing_is_promised(exchange: Exchange) -> None:
    connector = exchange.provider(streaming=False).connect(ALICE)
    assert connector.subscribe(exchange.calendar()) is None
    assert connector.subscribe(None) is None
