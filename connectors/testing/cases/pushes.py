"""Cases about subscribing, for connectors that must ask for pushes."""

# ruff: noqa: D102 (the name of a case is its claim)

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic

import pytest

from connectors.contract import Connector, Hint, Listens, Provider, Subscribes
from connectors.testing.builders import event
from connectors.testing.cases.base import Cases, read
from connectors.testing.party import OtherParty

PATIENCE = 60.0


class PushCases(Cases):
    """Asking for pushes is harmless however often, and never shows in the calendar."""

    @pytest.fixture
    def provider(self) -> Provider | None:
        """The provider that `connector` came from; one that `Listens` is listened to."""
        return None

    @pytest.fixture
    def subscriber(self, connector: Connector) -> Subscribes:
        """The connector, if it is one that subscribes."""
        if not isinstance(connector, Subscribes):
            pytest.skip("the connector does not subscribe")
        return connector

    def test_subscribing_may_be_repeated(self, subscriber: Subscribes, calendar: str) -> None:
        for subject in (calendar, None):
            first, second = subscriber.subscribe(subject), subscriber.subscribe(subject)
            assert (first is None) == (second is None)
            for each in (first, second):
                ends = each.renew_at if each else None
                assert ends is None or ends.tzinfo is not None
            subscriber.unsubscribe(subject)

    def test_unsubscribing_may_be_repeated_and_needs_no_subscription(
        self, subscriber: Subscribes, calendar: str
    ) -> None:
        for subject in (calendar, None):
            subscriber.unsubscribe(subject)
            subscriber.subscribe(subject)
            subscriber.unsubscribe(subject)
            subscriber.unsubscribe(subject)

    def test_what_was_unsubscribed_can_be_subscribed_to_again(
        self, subscriber: Subscribes, calendar: str
    ) -> None:
        before = subscriber.subscribe(calendar)
        subscriber.unsubscribe(calendar)
        after = subscriber.subscribe(calendar)
        assert (before is None) == (after is None)
        subscriber.unsubscribe(calendar)

    def test_subscribing_leaves_no_trace_in_the_calendar(
        self, connector: Connector, subscriber: Subscribes, calendar: str, cursor: str
    ) -> None:
        subscriber.subscribe(calendar)
        subscriber.unsubscribe(calendar)
        assert read(connector, calendar, cursor).named == set()

    def test_what_happens_in_a_subscribed_calendar_is_hinted_at(
        self,
        subscriber: Subscribes,
        provider: object,
        calendar: str,
        other_party: OtherParty,
    ) -> None:
        if not isinstance(provider, Listens) or subscriber.subscribe(calendar) is None:
            pytest.skip("nothing is listened to")
        hints: SimpleQueue[Hint] = SimpleQueue()
        stop = threading.Event()
        listener = threading.Thread(target=provider.listen, args=(hints.put, stop.is_set))
        listener.start()
        try:
            deadline = monotonic() + PATIENCE
            found = None
            while found != calendar:
                assert monotonic() < deadline, "no hint came"
                other_party.put_event(event())  # the first may come before the connection
                with suppress(Empty):
                    found = hints.get(timeout=0.5).calendar
        finally:
            stop.set()
            listener.join(PATIENCE)
            subscriber.unsubscribe(calendar)
        assert not listener.is_alive()
