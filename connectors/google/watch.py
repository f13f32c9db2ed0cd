"""Push channels: Google posts an empty message to our address when a calendar changed.

Source: Calendar API guide "Push notifications". A channel lives about a week, cannot be renewed
and is never listed: it is replaced before it ends, the new one first. Delivery is not reliable,
so a message is only ever a hint.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.channels import Channel, ChannelStore, proof_of
from connectors.contract import Hint, PushAnswer, PushRequest, Subscription
from connectors.errors import ConnectorError, OutcomeUnknownError
from connectors.google.client import Client
from connectors.google.errors import AbsentError

_LIFE = timedelta(days=7)
_RENEWED = 0.8
"""The part of a channel's life after which it is replaced."""
_FIRST_MESSAGE = timedelta(minutes=10)
"""Google greets over a new channel at once. Silence for so long means that nothing gets here."""
_OPEN_ALREADY = "channelIdNotUnique"
_NOBODY = bytes(32)


class Channels:
    """The channels of all accounts of one provider, kept in `store`."""

    def __init__(
        self,
        name: str,
        address: str | None,
        store: ChannelStore,
        *,
        now: Callable[[], datetime],
        log: Callable[..., None],
    ) -> None:
        self._name = name
        self._address = address
        self._store = store
        self._now = now
        self._log = log

    def open(self, client: Client, account: str, calendar: str | None) -> Subscription | None:
        """See to a channel that has a good part of its life before it; None without an address."""
        if self._address is None:
            return None
        with self._store.lock(self._name, account, calendar):
            known = self._store.of(self._name, account, calendar)
            channel = next((each for each in known if self._serves(each)), None)
            if channel is None:
                channel = self._watch(client, self._address, account, calendar)
            elif not channel.heard and self._now() - channel.opened > _FIRST_MESSAGE:
                self._log(
                    "no message of Google has ever arrived; is push_url right and public?",
                    push_url=self._address,
                    account=account,
                    calendar=calendar,
                )
            for old in known:
                if old.id != channel.id:
                    self._retire(client, old)
        return Subscription(renew_at=_renewal(channel))

    def shut(self, client: Client, account: str, calendar: str | None) -> None:
        """Stop the channels of a calendar."""
        with self._store.lock(self._name, account, calendar):
            for channel in self._store.of(self._name, account, calendar):
                self._retire(client, channel)

    def receive(self, request: PushRequest) -> PushAnswer:
        """Believe a message only over a channel of ours, with its secret and its resource.

        Whatever is wrong gets the same answer, and Google does not repeat it ("Receiving
        notifications": any status but 2xx and 5xx is a failure for good).
        """
        headers = request.headers
        id_ = headers.get("x-goog-channel-id", "")
        resource = headers.get("x-goog-resource-id", "")
        channel = self._store.find(self._name, id_)
        given = proof_of(headers.get("x-goog-channel-token", ""))
        proven = hmac.compare_digest(channel.proof if channel else _NOBODY, given)
        if channel is None or not proven or not _same(channel.resource or resource, resource):
            return PushAnswer(status=404, reason="not over a channel of ours")
        if not channel.heard:
            self._store.hear(self._name, id_, resource)
        if headers.get("x-goog-resource-state") == "sync":
            return PushAnswer(status=200)
        number = headers.get("x-goog-message-number", "")
        hint = Hint(
            connector=self._name,
            calendar=channel.calendar,
            account=channel.account,
            id=f"{id_}:{number}" if number else "",
        )
        return PushAnswer(status=200, hints=(hint,))

    def _serves(self, channel: Channel) -> bool:
        here = channel.current and channel.address == self._address
        return here and self._now() < _renewal(channel)

    def _watch(self, client: Client, address: str, account: str, calendar: str | None) -> Channel:
        """Open a channel. It is stored before Google hears of it, because its first message may
        come sooner than the answer, and the answer may never come."""
        secret = secrets.token_urlsafe(32)
        now = self._now()
        channel = Channel(
            id=secrets.token_hex(16),
            account=account,
            calendar=calendar,
            address=address,
            proof=proof_of(secret),
            opened=now,
            expires=now + _LIFE,
        )
        self._store.save(self._name, channel)
        body = {
            "id": channel.id,
            "type": "web_hook",
            "address": address,
            "token": secret,
            "params": {"ttl": str(int(_LIFE.total_seconds()))},
        }
        try:
            answer = _watched(client, calendar, body)
        except OutcomeUnknownError:
            raise
        except ConnectorError as error:
            if error.code != _OPEN_ALREADY:
                self._store.drop(self._name, channel.id)
                raise
            answer = {}  # by our first attempt, whose answer was lost; its messages tell the rest
        # Google writes the milliseconds as a number or as text.
        ends = answer.get("expiration")
        told = self._store.find(self._name, channel.id) or channel
        opened = replace(
            channel,
            resource=str(answer.get("resourceId") or told.resource),
            expires=datetime.fromtimestamp(int(ends) / 1000, UTC) if ends else channel.expires,
            current=True,
        )
        self._store.save(self._name, opened)
        return opened

    def _retire(self, client: Client, channel: Channel) -> None:
        """Stop a channel. What cannot be stopped now stays known, is tried again the next time,
        and runs out in the end."""
        if channel.current:
            self._store.save(self._name, replace(channel, current=False))
        if self._now() < channel.expires:
            if not channel.resource:
                return  # nobody knows whether it was opened
            try:
                body = {"id": channel.id, "resourceId": channel.resource}
                client.write("channels.stop", body=body)
            except AbsentError:
                pass
            except ConnectorError as error:
                self._log("a channel is not stopped yet", channel=channel.id, why=error.message)
                return
        self._store.drop(self._name, channel.id)


def _watched(client: Client, calendar: str | None, body: dict[str, Any]) -> dict[str, Any]:
    if calendar is None:
        return client.write("calendarList.watch", body=body)
    return client.write("events.watch", calendarId=calendar, body=body)


def _renewal(channel: Channel) -> datetime:
    return channel.opened + _RENEWED * (channel.expires - channel.opened)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
