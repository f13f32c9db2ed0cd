"""Push channels: Google posts an empty message to our address when a calendar changed.

Source: Calendar API guide "Push notifications". A channel lives about a week, cannot be renewed
and is never listed; it is replaced before it ends. Channels lost with the process run out by
themselves. Delivery is not reliable, so a message is only ever a hint.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock

from connectors.contract import Hint, PushAnswer, PushRequest
from connectors.google.client import Client
from connectors.google.errors import AbsentError
from connectors.google.settings import PushSettings

_LIFE = timedelta(days=7)
_REPLACE_BEFORE = timedelta(days=1)
_TOKEN_LENGTH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class _Channel:
    id: str
    resource: str
    expires: datetime


class Channels:
    """The channels that this process opened, for all accounts of one provider."""

    def __init__(
        self,
        name: str,
        push: PushSettings | None,
        *,
        now: Callable[[], datetime],
        random: Callable[[], float],
    ) -> None:
        self._name = name
        self._push = push
        self._now = now
        self._random = random
        self._lock = Lock()
        self._open: dict[tuple[str, str | None], _Channel] = {}

    def open(self, client: Client, account: str, calendar: str | None) -> None:
        """See to a channel with at least a day to live; without push settings, nothing."""
        if self._push is None:
            return
        with self._lock:
            old = self._open.get((account, calendar))
        if old is not None and old.expires - self._now() > _REPLACE_BEFORE:
            return
        fresh = self._watch(client, self._push, account, calendar)
        with self._lock:
            old = self._open.pop((account, calendar), None)
            self._open[account, calendar] = fresh
        if old is not None:
            self._stop(client, old)

    def shut(self, client: Client, account: str, calendar: str | None) -> None:
        """Stop the channel that this process opened, if there is one."""
        with self._lock:
            channel = self._open.pop((account, calendar), None)
        if channel is not None:
            self._stop(client, channel)

    def receive(self, request: PushRequest) -> PushAnswer:
        """Believe a message only if its channel token is one that we signed."""
        subject = self._subject(request.headers.get("x-goog-channel-token", ""))
        if subject is None:
            return PushAnswer(status=403, reason="the channel token is not ours")
        if request.headers.get("x-goog-resource-state") == "sync":
            return PushAnswer(status=200, reason="a channel was opened")
        account, calendar = subject
        message = (
            request.headers.get("x-goog-channel-id", ""),
            request.headers.get("x-goog-message-number", ""),
        )
        hint = Hint(connector=self._name, calendar=calendar, account=account, id=":".join(message))
        return PushAnswer(status=200, hints=(hint,))

    def _watch(
        self, client: Client, push: PushSettings, account: str, calendar: str | None
    ) -> _Channel:
        name = self._new_id(account, calendar)
        body = {
            "id": name,
            "type": "web_hook",
            "address": push.address,
            "token": _sign(push, account, calendar),
            "params": {"ttl": str(int(_LIFE.total_seconds()))},
        }
        if calendar is None:
            answer = client.write("calendarList.watch", body=body)
        else:
            answer = client.write("events.watch", calendarId=calendar, body=body)
        # Google writes the milliseconds as a number or as text.
        ends = answer.get("expiration")
        expires = datetime.fromtimestamp(int(ends) / 1000, UTC) if ends else self._now() + _LIFE
        return _Channel(id=name, resource=answer.get("resourceId", ""), expires=expires)

    def _new_id(self, account: str, calendar: str | None) -> str:
        """Unique per project, because Google takes none twice."""
        parts = (self._name, account, calendar, self._now().isoformat(), self._random())
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _stop(self, client: Client, channel: _Channel) -> None:
        try:
            client.write("channels.stop", body={"id": channel.id, "resourceId": channel.resource})
        except AbsentError:
            return

    def _subject(self, token: str) -> tuple[str, str | None] | None:
        if self._push is None or len(token) > _TOKEN_LENGTH:
            return None
        seal, _, subject = token.partition(".")
        if not hmac.compare_digest(seal.encode(), _seal(self._push, subject).encode()):
            return None
        account, calendar = json.loads(base64.urlsafe_b64decode(subject))
        return account, calendar


def _sign(push: PushSettings, account: str, calendar: str | None) -> str:
    """Say which calendar a message is about, in a way that nobody else can."""
    subject = base64.urlsafe_b64encode(json.dumps([account, calendar]).encode()).decode()
    return f"{_seal(push, subject)}.{subject}"


def _seal(push: PushSettings, subject: str) -> str:
    key = push.secret.get_secret_value().encode()
    digest = hmac.new(key, subject.encode(), hashlib.sha256).digest()[:16]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
