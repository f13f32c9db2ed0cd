"""GetStreamingEvents: one HTTP answer that goes on, a row of whole SOAP envelopes."""

import threading
import time
from collections import Counter
from collections.abc import Iterator

from connectors.sandbox.exchange import schema, soap
from connectors.sandbox.exchange.call import Call, children, failure, success
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.soap import Element, m, t, text
from connectors.sandbox.exchange.subscriptions import Subscription, Subscriptions, rendered
from connectors.sandbox.http import Response

NAME = "GetStreamingEvents"
POLL = 0.1
MOST = 200


class Streams:
    """The open connections."""

    def __init__(
        self, subscriptions: Subscriptions, lock: threading.RLock, stopping: threading.Event
    ) -> None:
        self._subscriptions = subscriptions
        self._lock = lock
        self._stopping = stopping
        self._generation = 0
        self.open_count = 0
        self._held: Counter[str] = Counter()

    def close_all(self) -> None:
        """End all connections, in the way that the switch `streaming_close` says."""
        self._generation += 1
        self._subscriptions.changed.set()

    def open(self, call: Call, server: str) -> Response:
        """Begin to answer a request that has come to a Mailbox server, which knows only the
        subscriptions of its own mailboxes. Raises EwsFaultError."""
        schema.check(call.body)
        wanted = [line.text for line in children(call.body, "m:SubscriptionIds")]
        minutes = int(text(call.body, "m:ConnectionTimeout"))
        headers = {"Content-Type": soap.CONTENT_TYPE}
        try:
            if not 1 <= minutes <= 30:
                raise EwsError("ErrorInvalidArgument", "ConnectionTimeout lies between 1 and 30.")
            if len(wanted) > MOST:
                raise EwsError("ErrorInvalidArgument", f"At most {MOST} subscriptions.")
            if self._held[call.actor.address] >= call.world.switches.hanging_connections:
                raise EwsError("ErrorExceededConnectionCount")
        except EwsError as error:
            return Response(200, _envelope(failure(NAME, error)), headers)
        found, lost = self._found(wanted, server)
        if lost:
            names = m("ErrorSubscriptionIds", *(t("SubscriptionId", name) for name in lost))
            why = next(iter(lost.values()))
            return Response(200, _envelope(failure(NAME, why, names)), headers)
        for subscription in found:
            subscription.connected = True
        return Response(200, b"", headers, stream=self._stream(call, found, minutes * 60))

    def _found(
        self, wanted: list[str], server: str
    ) -> tuple[list[Subscription], dict[str, EwsError]]:
        """The subscriptions, and why some of them are none."""
        found: list[Subscription] = []
        lost: dict[str, EwsError] = {}
        for name in wanted:
            try:
                found.append(self._subscriptions.find(name))
            except EwsError as error:
                lost[name] = error
                continue
            if found[-1].kind != "streaming":
                lost[name] = EwsError("ErrorInvalidSubscription", "It does not stream.")
            elif found[-1].mailbox.server != server:
                lost[name] = EwsError("ErrorSubscriptionNotFound")
        return found, lost

    def _stream(self, call: Call, found: list[Subscription], seconds: float) -> Iterator[bytes]:
        clock, switches = call.world.clock, call.world.switches
        generation, until = self._generation, clock.time() + seconds
        last_sent = time.monotonic()
        self.open_count += 1
        self._held[call.actor.address] += 1
        try:
            yield _envelope(success(NAME, m("ConnectionStatus", "OK")))
            while clock.time() < until and generation == self._generation:
                if self._stopping.is_set():
                    return
                with self._lock:
                    self._subscriptions.changed.clear()
                    message = self._news(found)
                if message is not None:
                    last_sent = time.monotonic()
                    yield _envelope(message)
                    if message.get("ResponseClass") == "Error":
                        return
                elif time.monotonic() - last_sent >= switches.keep_alive_seconds:
                    last_sent = time.monotonic()
                    yield _envelope(success(NAME, m("ConnectionStatus", "OK")))
                self._subscriptions.changed.wait(POLL)
            if switches.streaming_close:
                yield _envelope(success(NAME, m("ConnectionStatus", "Closed")))
        finally:
            self.open_count -= 1
            self._held[call.actor.address] -= 1
            with self._lock:
                for subscription in found:
                    subscription.connected = False
                    subscription.touched = clock.time()

    def _news(self, found: list[Subscription]) -> Element | None:
        """A message with everything that waits; an error if a subscription is lost."""
        lines, lost = [], []
        for subscription in found:
            try:
                self._subscriptions.find(subscription.id)
            except EwsError:
                lost.append(t("SubscriptionId", subscription.id))
                continue
            events = [rendered(noted) for noted in subscription.queue]
            subscription.queue.clear()
            if events:
                lines.append(t("Notification", t("SubscriptionId", subscription.id),
                               t("MoreEvents", "false"), *events))  # fmt: skip
        if lost:
            return failure(
                NAME,
                EwsError("ErrorSubscriptionNotFound"),
                m("ErrorSubscriptionIds", *lost),
                m("ConnectionStatus", "Closed"),
            )
        return success(NAME, m("Notifications", *lines)) if lines else None


def _envelope(message: Element) -> bytes:
    return soap.envelope(m(f"{NAME}Response", m("ResponseMessages", message)))
