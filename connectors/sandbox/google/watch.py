"""Push channels ("Push notifications", Calendar API guides) and the sender behind them."""

import http.client
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from connectors.sandbox.clock import Clock
from connectors.sandbox.google.errors import ApiError, invalid, not_found, required
from connectors.sandbox.google.state import Caller, World
from connectors.sandbox.google.tokens import digest

RETRIED = {500, 502, 503, 504}
RETRY_DELAYS = (0.5, 2.0, 8.0)
TIMEOUT = 10.0


@dataclass
class Channel:
    """One channel. `kind` and `name` say what is watched: a calendar's events, a user's list."""

    id: str
    kind: str
    name: str
    resource_id: str
    resource_uri: str
    address: str
    token: str
    expires: float
    caller: Caller
    sent: int = 0

    def described(self) -> dict[str, Any]:
        """The answer of a watch call."""
        shown = {
            "kind": "api#channel",
            "id": self.id,
            "resourceId": self.resource_id,
            "resourceUri": self.resource_uri,
            "expiration": str(int(self.expires * 1000)),
        }
        return shown | ({"token": self.token} if self.token else {})


@dataclass(frozen=True)
class Message:
    """One push to be delivered."""

    channel: Channel
    number: int
    state: str

    def headers(self) -> dict[str, str]:
        """The whole content: the body is empty."""
        channel = self.channel
        named = {
            "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
            "X-Goog-Channel-ID": channel.id,
            "X-Goog-Message-Number": str(self.number),
            "X-Goog-Resource-ID": channel.resource_id,
            "X-Goog-Resource-State": self.state,
            "X-Goog-Resource-URI": channel.resource_uri,
            "X-Goog-Channel-Expiration": format_datetime(
                datetime.fromtimestamp(channel.expires, UTC), usegmt=True
            ),
        }
        return named | ({"X-Goog-Channel-Token": channel.token} if channel.token else {})


@dataclass
class Delivery:
    """How one message fared. `status` 0 = nobody answered, -1 = dropped by the script."""

    channel: str
    number: int
    state: str
    status: int


@dataclass
class Channels:
    """All channels and the thread that delivers their messages, in order.

    `script` says what befalls the next messages (other than `sync`), one entry each.
    """

    world: World
    clock: Clock
    stopping: threading.Event
    url: str
    open: dict[str, Channel] = field(default_factory=dict)
    script: deque[Literal["send", "drop", "duplicate"]] = field(default_factory=deque)
    deliveries: list[Delivery] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)
    _queue: deque[Message] = field(default_factory=deque)
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _busy: bool = False
    _thread: threading.Thread | None = None

    def watch(self, caller: Caller, kind: str, name: str, path: str, body: Any) -> Channel:
        """Open a channel. Raises 400 for an address or id that is not acceptable."""
        channel_id, address = body.get("id"), str(body.get("address", ""))
        if not isinstance(channel_id, str) or not 1 <= len(channel_id) <= 64:
            raise required("Missing or invalid channel id.")
        if body.get("type") not in ("web_hook", "webhook"):
            raise invalid(f"Unknown channel type: {body.get('type')}")
        if len(str(body.get("token", ""))) > 256:
            raise invalid("Channel token is too long.")
        scheme = urlsplit(address).scheme
        if scheme != "https" and not (scheme == "http" and self.world.switches.allow_http_push):
            raise ApiError(
                400, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {address}"
            )
        if channel_id in self._used:
            raise ApiError(400, "channelIdNotUnique", f"Channel id {channel_id} not unique")
        self._used.add(channel_id)
        channel = Channel(
            id=channel_id,
            kind=kind,
            name=name,
            resource_id=digest([kind, name]),
            resource_uri=f"{self.url}{path}?alt=json",
            address=address,
            token=str(body.get("token", "")),
            expires=self._expiry(body),
            caller=caller,
        )
        self.open[channel.id] = channel
        self._post(channel, "sync")
        return channel

    def stop(self, caller: Caller, body: Any) -> None:
        """Close a channel of this user and client. Raises 404."""
        channel = self.open.get(str(body.get("id")))
        if channel is None or channel.resource_id != body.get("resourceId"):
            raise not_found()
        same_user = caller.service_account or channel.caller.email == caller.email
        if channel.caller.client != caller.client or not same_user:
            raise not_found()
        del self.open[channel.id]

    def changed(self, kind: str, name: str) -> None:
        """Tell the channels of a resource that it changed."""
        now = self.clock.time()
        for channel in list(self.open.values()):
            if channel.expires <= now:
                del self.open[channel.id]
            elif (channel.kind, channel.name) == (kind, name):
                self._post(channel, "exists")

    def settle(self, timeout: float = 10.0) -> bool:
        """Wait until every message so far is delivered or given up."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._queue and not self._busy, timeout)

    def close_all(self) -> None:
        """Forget all channels and what is still to be sent."""
        with self._wake:
            self._queue.clear()
        self.open.clear()
        self.script.clear()
        self.deliveries.clear()

    def join(self) -> None:
        """Wait for the sender to end after `stopping` was set."""
        if self._thread is not None:
            self._thread.join(TIMEOUT)

    def _expiry(self, body: dict[str, Any]) -> float:
        now = self.clock.time()
        latest = now + self.world.switches.watch_seconds
        try:
            if body.get("expiration"):
                return min(latest, int(body["expiration"]) / 1000)
            ttl = (body.get("params") or {}).get("ttl")
            return min(latest, now + int(ttl)) if ttl else latest
        except (TypeError, ValueError):
            raise invalid("Invalid channel expiration.") from None

    def _post(self, channel: Channel, state: str) -> None:
        """Queue a message. Numbers rise with gaps after the first."""
        channel.sent = 1 if state == "sync" else channel.sent + 1 + self.world.random.randrange(50)
        message = Message(channel, channel.sent, state)
        fate = self.script.popleft() if self.script and state != "sync" else "send"
        if fate == "drop":
            self.deliveries.append(Delivery(channel.id, message.number, state, -1))
            return
        with self._wake:
            self._queue.extend([message] * (2 if fate == "duplicate" else 1))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._send_all, name="google-push", daemon=True
                )
                self._thread.start()
            self._wake.notify_all()

    def _send_all(self) -> None:
        while not self.stopping.is_set():
            with self._wake:
                self._busy = False
                self._wake.notify_all()
                if not self._wake.wait_for(lambda: bool(self._queue), 0.05):
                    continue
                message = self._queue.popleft()
                self._busy = True
            self._deliver(message)

    def _deliver(self, message: Message) -> None:
        status = 0
        for delay in (0.0, *RETRY_DELAYS):
            if delay:
                self.clock.wait_until(self.clock.time() + delay, self.stopping.is_set)
            status = _send(message)
            if status not in RETRIED or self.stopping.is_set():
                break
        self.deliveries.append(Delivery(message.channel.id, message.number, message.state, status))


def _send(message: Message) -> int:
    """POST it; the status, 0 if nobody answered. Header names keep their spelling."""
    split = urlsplit(message.channel.address)
    kind = http.client.HTTPSConnection if split.scheme == "https" else http.client.HTTPConnection
    connection = kind(split.hostname or "", split.port, timeout=TIMEOUT)
    path = (split.path or "/") + (f"?{split.query}" if split.query else "")
    try:
        connection.request("POST", path, b"", message.headers())
        with connection.getresponse() as answer:
            return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
