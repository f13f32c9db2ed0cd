"""Push channels in the database (`connectors.channels.ChannelStore`)."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, select, update

from bridge.store.schema import channels
from connectors.channels import Channel

if TYPE_CHECKING:
    from bridge.store.store import Store


class StoredChannels:
    """Channels of all connectors. No method may be called inside a transaction of the thread."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    def find(self, connector: str, id_: str) -> Channel | None:
        """The channel of that id."""
        query = select(channels).where(channels.c.connector == connector, channels.c.id == id_)
        with self._store.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _channel(row)

    def of(self, connector: str, account: str, calendar: str | None) -> Sequence[Channel]:
        """The channels of a calendar, the oldest first."""
        query = (
            select(channels)
            .where(
                channels.c.connector == connector,
                channels.c.account == account,
                channels.c.calendar == (calendar or ""),
            )
            .order_by(channels.c.opened, channels.c.id)
        )
        with self._store.reading() as connection:
            return [_channel(row) for row in connection.execute(query).mappings()]

    def save(self, connector: str, channel: Channel) -> None:
        """Store it, or what has changed of it; `heard` stays as it is."""
        row = asdict(channel) | {"connector": connector, "calendar": channel.calendar or ""}
        with self._store.begin() as tx:
            tx.upsert(channels, [row], keep=["heard"])

    def hear(self, connector: str, id_: str, resource: str) -> None:
        """A message came: the channel lives, and this is its `resource` if that was unknown."""
        known = case((channels.c.resource == "", resource), else_=channels.c.resource)
        with self._store.begin() as tx:
            tx.connection.execute(
                update(channels)
                .where(channels.c.connector == connector, channels.c.id == id_)
                .values(heard=True, resource=known)
            )

    def drop(self, connector: str, id_: str) -> None:
        """Forget it. Not there = done."""
        with self._store.begin() as tx:
            tx.connection.execute(
                delete(channels).where(channels.c.connector == connector, channels.c.id == id_)
            )

    def forget(self, before: datetime) -> int:
        """Forget the channels that ended before that; how many there were."""
        with self._store.begin() as tx:
            ended = delete(channels).where(channels.c.expires < before)
            return tx.connection.execute(ended).rowcount

    def lock(
        self, connector: str, account: str, calendar: str | None
    ) -> AbstractContextManager[None]:
        """Held by one thread of one process, on all machines that share the database."""
        return self._store.lock("channel", connector, account, calendar or "")


def _channel(row: Mapping[Any, Any]) -> Channel:
    values = {name: row[name] for name in row if name != "connector"}
    return Channel(**values | {"calendar": row["calendar"] or None})
