"""GetStreamingEvents: one HTTP answer that goes on, a row of whole SOAP envelopes."""

import threading
import time
from collections.abc import Iterator

from connectors.sandbox.exchange import schema, soap
from connectors.sandbox.exchange.call import Call, children, failure, success
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.soap import Element, m, t, text
from connectors.sandbox.exchange.subscriptions import Subscription, Subscriptions, rendered
from connectors.sandbox.http import Response

NAME = "GetStreamingEvents"
POLL = 0.1


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

    def close_all(self) -> None:
        """End all connections, in the way that the switch `streaming_close` says."""
        self._generation += 1
        self._subscriptions.changed.set()

    def open(self, call: Call) -> Response:
        """Begin to answer a request. Raises EwsFaultError."""
        schema.check(call.body)
        wanted = [line.text for line in children(call.body, "m:SubscriptionIds")]
        minutes = int(text(call.body, "m:ConnectionTimeout"))
        headers = {"Content-Type": soap.CONTENT_TYPE}
        try:
            if not 1 <= minutes <= 30:
                raise EwsError("ErrorInvalidArgument", "ConnectionTimeout lies between 1 and 30.")
            found = self._found(wanted)
        except EwsError as error:
            lost = [m("ErrorSubscriptionIds", *(t("SubscriptionId", name) for name in wanted))]
            message = failure(NAME, error, *(lost if "Subscription" in error.code else []))
            return Response(200, _envelope(message), headers)
        for subscription in found:
            subscription.connected = True
        return Response(200, b"", headers, stream=self._stream(call, found, minutes * 60))

    def _found(self, wanted: list[str]) -> list[Subscription]:
        found = [self._subscriptions.find(name) for name in wanted]
        if any(subscription.kind != "streaming" for subscription in found):
            raise EwsError("ErrorInvalidSubscription", "It is not a streaming subscription.")
        return found

    def _stream(self, call: Call, found: list[Subscription], seconds: float) -> Iterator[bytes]:
        clock, switches = call.world.clock, call.world.switches
        generation, until = self._generation, clock.time() + seconds
        last_sent = time.monotonic()
        self.open_count += 1
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
