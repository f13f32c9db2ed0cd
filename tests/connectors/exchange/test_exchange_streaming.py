"""Streaming notifications: hints, and no more, that survive lost connections."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import pytest

from connectors.contract import Hint, Listens, Subscribes
from connectors.testing import builders

from .conftest import ALICE, Exchange

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
