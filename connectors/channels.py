"""Where a connector keeps the push channels that it opened: they live longer than a process."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel over which a provider tells us about one calendar. Instants are aware UTC.

    `calendar` None = the account's list of calendars. `proof` is the hash of the secret that
    every message carries (`proof_of`); the secret itself is kept nowhere. `resource` is the
    provider's own name for what is watched, empty until it told. Of several channels of a calendar
    the `current` one is in use; the others are still to be stopped, or to run out. `heard`: at
    least one message has come.
    """

    id: str
    account: str
    calendar: str | None
    address: str
    proof: bytes = field(repr=False)
    opened: datetime
    expires: datetime
    resource: str = ""
    current: bool = False
    heard: bool = False


class ChannelStore(Protocol):
    """Keeps channels per connector name. Durable when a method returns."""

    def find(self, connector: str, id_: str) -> Channel | None:
        """The channel of that id."""

    def of(self, connector: str, account: str, calendar: str | None) -> Sequence[Channel]:
        """The channels of a calendar, the oldest first."""

    def save(self, connector: str, channel: Channel) -> None:
        """Store it, or what has changed of it; `heard` stays as it is."""

    def hear(self, connector: str, id_: str, resource: str) -> None:
        """A message came: the channel lives, and this is its `resource` if that was unknown."""

    def drop(self, connector: str, id_: str) -> None:
        """Forget it: nothing will come over it any more."""

    def lock(
        self, connector: str, account: str, calendar: str | None
    ) -> AbstractContextManager[None]:
        """Held by the one process and thread that may open and stop channels of a calendar."""


def proof_of(secret: str) -> bytes:
    """What is kept of a channel's secret, which is 256 random bits: a plain hash will do."""
    return hashlib.sha256(secret.encode()).digest()


class PassingChannels:
    """Channels that are forgotten with the process."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Channel] = {}
        self._guard = Lock()
        self._opening = Lock()

    def find(self, connector: str, id_: str) -> Channel | None:
        """See `ChannelStore`."""
        with self._guard:
            return self._kept.get((connector, id_))

    def of(self, connector: str, account: str, calendar: str | None) -> Sequence[Channel]:
        """See `ChannelStore`."""
        with self._guard:
            found = [
                channel
                for (name, _id), channel in self._kept.items()
                if (name, channel.account, channel.calendar) == (connector, account, calendar)
            ]
        return sorted(found, key=lambda channel: channel.opened)

    def save(self, connector: str, channel: Channel) -> None:
        """See `ChannelStore`."""
        with self._guard:
            known = self._kept.get((connector, channel.id))
            heard = known.heard if known else channel.heard
            self._kept[connector, channel.id] = replace(channel, heard=heard)

    def hear(self, connector: str, id_: str, resource: str) -> None:
        """See `ChannelStore`."""
        with self._guard:
            known = self._kept.get((connector, id_))
            if known is not None:
                resource = known.resource or resource
                self._kept[connector, id_] = replace(known, heard=True, resource=resource)

    def drop(self, connector: str, id_: str) -> None:
        """See `ChannelStore`."""
        with self._guard:
            self._kept.pop((connector, id_), None)

    @contextmanager
    def lock(self, connector: str, account: str, calendar: str | None) -> Iterator[None]:
        """See `ChannelStore`."""
        with self._opening:
            yield
