"""Subscribe, Unsubscribe and GetEvents ("Notification subscriptions, mailbox events, and EWS")."""

import base64
import itertools
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from connectors.sandbox.exchange import folders, schema
from connectors.sandbox.exchange.call import Call, Payload, children
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.soap import Element, local, m, t, text
from connectors.sandbox.exchange.state import Event, Mailbox, World
from connectors.sandbox.exchange.values import utc_text

MOST_EVENTS = 50
MOST_KEPT = 5000


@dataclass(frozen=True)
class Noted:
    """One event in a subscription's queue."""

    number: int
    at: datetime
    event: Event

    @property
    def watermark(self) -> str:
        """The place after this event."""
        return watermark(self.number)


@dataclass(eq=False)
class Subscription:
    """What one subscriber wants to hear. `timeout` seconds without a read end a pull
    subscription, without a connection a streaming one."""

    id: str
    mailbox: Mailbox
    kind: str
    folders: frozenset[str]
    events: frozenset[str]
    timeout: float
    touched: float
    queue: deque[Noted] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    connected: bool = False


class Subscriptions:
    """All subscriptions. Everything here happens under the sandbox's lock."""

    operations = ("Subscribe", "Unsubscribe", "GetEvents")

    def __init__(self, world: World) -> None:
        self._world = world
        self._open: dict[str, Subscription] = {}
        self._numbers = itertools.count(1)
        self.changed = threading.Event()

    def clear(self) -> None:
        """All subscriptions are lost, as after a move of the mailbox."""
        self._open.clear()
        self.changed.set()

    def find(self, identifier: str) -> Subscription:
        """A living subscription. Raises EwsError."""
        found = self._open.get(identifier)
        if found is None:
            raise EwsError("ErrorSubscriptionNotFound")
        if not found.connected and self._world.clock.time() - found.touched > found.timeout:
            del self._open[identifier]
            code = "ErrorExpiredSubscription" if found.kind == "pull" else ""
            raise EwsError(code or "ErrorSubscriptionNotFound")
        return found

    def tell(self, event: Event) -> None:
        """Something happened in a folder."""
        touched = {event.folder.id} | ({event.old_folder.id} if event.old_folder else set())
        for subscription in self._open.values():
            wanted = event.kind in subscription.events
            mine = subscription.mailbox.folders.keys() & touched
            here = not subscription.folders or subscription.folders & touched
            if wanted and mine and here:
                subscription.queue.append(Noted(next(self._numbers), self._world.now(), event))
        self.changed.set()

    def run(self, call: Call) -> Element:
        """Answer Subscribe, Unsubscribe or GetEvents."""
        schema.check(call.body)
        match call.name:
            case "Subscribe":
                return call.answer_once(lambda: self._subscribe(call))
            case "Unsubscribe":
                return call.answer_once(lambda: self._unsubscribe(call))
            case _:
                return call.answer_once(lambda: self._get_events(call))

    def _subscribe(self, call: Call) -> Payload:
        request = call.body[0]
        kind = local(request).removesuffix("SubscriptionRequest").lower()
        if kind == "push":
            raise EwsError("ErrorInvalidPushSubscriptionUrl", "This server does not push.")
        wanted = [call.folder(element) for element in children(request, "t:FolderIds")]
        everything = request.get("SubscribeToAllFolders") in ("true", "1")
        if everything == bool(wanted):
            raise EwsError("ErrorInvalidSubscriptionRequest", "The subscription is not valid.")
        mailbox = call.mailbox if everything else call.world.mailbox_of_id(wanted[0].id)
        if any(call.world.mailbox_of_id(folder.id) is not mailbox for folder in wanted):
            raise EwsError("ErrorInvalidSubscriptionRequest", "One mailbox per subscription.")
        minutes = int(text(request, "t:Timeout", "0"))
        if kind == "pull" and not 1 <= minutes <= 1440:
            raise EwsError("ErrorInvalidPullSubscriptionId", "Timeout lies between 1 and 1440.")
        self._check_count(mailbox)
        number = next(self._numbers)
        raw = f"mbx1:{number}:{mailbox.address}".encode()
        subscription = Subscription(
            id=base64.b64encode(raw).decode(),
            mailbox=mailbox,
            kind=kind,
            folders=frozenset(folder.id for folder in wanted),
            events=frozenset(e.text for e in children(request, "t:EventTypes")),
            timeout=minutes * 60 if kind == "pull" else self._world.switches.subscription_seconds,
            touched=self._world.clock.time(),
        )
        self._open[subscription.id] = subscription
        payload = [m("SubscriptionId", subscription.id)]
        return payload if kind == "streaming" else [*payload, m("Watermark", watermark(number))]

    def _check_count(self, mailbox: Mailbox) -> None:
        for identifier in list(self._open):
            try:
                self.find(identifier)
            except EwsError:
                continue
        count = sum(1 for found in self._open.values() if found.mailbox is mailbox)
        if count >= self._world.switches.max_subscriptions:
            raise EwsError("ErrorExceededSubscriptionCount")

    def _unsubscribe(self, call: Call) -> Payload:
        del self._open[self.find(text(call.body, "m:SubscriptionId")).id]
        self.changed.set()
        return []

    def _get_events(self, call: Call) -> Payload:
        subscription = self.find(text(call.body, "m:SubscriptionId"))
        if subscription.kind != "pull":
            raise EwsError("ErrorInvalidPullSubscriptionId")
        since = _number(text(call.body, "m:Watermark"))
        subscription.touched = self._world.clock.time()
        waiting = [noted for noted in subscription.queue if noted.number > since]
        page = waiting[:MOST_EVENTS]
        lines = [rendered(noted) for noted in page]
        if not lines:
            lines = [t("StatusEvent", t("Watermark", watermark(since)))]
        return [
            m(
                "Notification",
                t("SubscriptionId", subscription.id),
                t("PreviousWatermark", watermark(since)),
                t("MoreEvents", "true" if len(waiting) > len(page) else "false"),
                *lines,
            )
        ]


def watermark(number: int) -> str:
    """A place in a queue."""
    return base64.b64encode(b"wm" + number.to_bytes(16, "big")).decode()


def _number(text_: str) -> int:
    try:
        raw = base64.b64decode(text_, validate=True)
    except ValueError:
        raise EwsError("ErrorInvalidWatermark") from None
    if len(raw) != 18 or not raw.startswith(b"wm"):
        raise EwsError("ErrorInvalidWatermark")
    return int.from_bytes(raw[2:], "big")


def rendered(noted: Noted) -> Element:
    """The event's element."""
    event = noted.event
    parent = folders.reference(event.folder)
    lines = [
        t("Watermark", noted.watermark),
        t("TimeStamp", utc_text(noted.at)),
        t("ItemId", Id=event.item_id, ChangeKey=event.change_key),
        _parent("ParentFolderId", parent),
    ]
    if event.old_folder is not None:
        lines.append(t("OldItemId", Id=event.old_item_id, ChangeKey=event.change_key))
        lines.append(_parent("OldParentFolderId", folders.reference(event.old_folder)))
    return t(event.kind, *lines)


def _parent(name: str, reference: Element) -> Element:
    return t(name, **dict(reference.attrib))
