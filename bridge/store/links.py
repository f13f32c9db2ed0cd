"""Links, their cursors, and facts about this installation."""

import secrets
from collections.abc import Collection
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import Row, bindparam, case, delete, insert, or_, select, update

from bridge.records import Endpoint, Link, LinkState, Side
from bridge.store.errors import StoreError
from bridge.store.schema import cursors, links, settings
from bridge.store.session import Reads, Writes
from bridge.store.texts import storable

_ALL = select(links).order_by(links.c.id)
_BY_ID = select(links).where(links.c.id == bindparam("link"))
_CURSOR = select(cursors.c.cursor).where(
    cursors.c.link_id == bindparam("link"), cursors.c.side == bindparam("of")
)
_SETTING = select(settings.c.value).where(settings.c.name == bindparam("called"))
_PARTS = [field.name for field in fields(Endpoint)]


class LinkReads(Reads):
    """Links, cursors and settings to read."""

    def links(self) -> list[Link]:
        """All links, ended ones too, in the order in which they were first stored."""
        with self.reading() as connection:
            return [_link(row) for row in connection.execute(_ALL)]

    def links_at(
        self,
        connector: str,
        *,
        calendar: str | None = None,
        accounts: Collection[str] | None = None,
    ) -> list[Link]:
        """The links that have not ended and have an end there: in that calendar or with one of
        those accounts, if they are given. As `links`."""
        ends = []
        for side in Side:
            end = links.c[f"{side.value}_connector"] == connector
            if calendar is not None:
                end &= links.c[f"{side.value}_calendar"] == calendar
            if accounts is not None:
                end &= links.c[f"{side.value}_account"].in_(accounts)
            ends.append(end)
        query = _ALL.where(or_(*ends), links.c.state != LinkState.ENDED.value)
        with self.reading() as connection:
            return [_link(row) for row in connection.execute(query)]

    def link(self, name: str) -> Link | None:
        """The link of that name; of several, the newest that has not ended."""
        ended = case((links.c.state == LinkState.ENDED, 1), else_=0)
        query = select(links).where(links.c.name == name).order_by(ended, links.c.id.desc())
        with self.reading() as connection:
            row = connection.execute(query.limit(1)).first()
        return None if row is None else _link(row)

    def link_by_id(self, link_id: int) -> Link | None:
        """The link with that number."""
        with self.reading() as connection:
            row = connection.execute(_BY_ID, {"link": link_id}).first()
        return None if row is None else _link(row)

    def cursor(self, link_id: int, side: Side) -> str | None:
        """How far that side was read; None = never, or the cursor was given up."""
        with self.reading() as connection:
            return connection.scalar(_CURSOR, {"link": link_id, "of": side.value})

    def setting(self, name: str) -> str | None:
        """A fact stored about this installation."""
        with self.reading() as connection:
            return connection.scalar(_SETTING, {"called": name})


class LinkWrites(LinkReads, Writes):
    """Links, cursors and settings to write."""

    def put_link(self, link: Link) -> Link:
        """Store a link under its `uid` and return it with its number.

        State and reason of a link that is known already stay as they are, so that reading the
        config again never releases a held or paused link; `set_link_state` changes them.
        """
        row = _row(link)
        known = self.connection.execute(
            select(links.c.id, links.c.state, links.c.reason).where(links.c.uid == link.uid)
        ).first()
        if known is None:
            self.connection.execute(insert(links), row)
            found = self.connection.scalar(select(links.c.id).where(links.c.uid == link.uid))
            return replace(link, id=int(found or 0))
        changed = {name: row[name] for name in row if name not in ("uid", "state", "reason")}
        self.connection.execute(update(links).where(links.c.id == known.id).values(changed))
        return replace(link, id=known.id, state=LinkState(known.state), reason=known.reason)

    def set_link_state(self, link_id: int, state: LinkState, reason: str = "") -> None:
        """Say whether a link runs, and why not. Raises `StoreError` if there is no such link."""
        changed = self.connection.execute(
            update(links)
            .where(links.c.id == link_id)
            .values(state=state.value, reason=storable(reason))
        )
        if changed.rowcount != 1:
            raise StoreError(f"there is no link with the number {link_id}")

    def set_cursor(self, link_id: int, side: Side, cursor: str | None) -> None:
        """Remember how far that side was read; None gives the cursor up."""
        if cursor is None:
            self.connection.execute(
                delete(cursors).where(cursors.c.link_id == link_id, cursors.c.side == side.value)
            )
        else:
            row = {"link_id": link_id, "side": side.value, "cursor": cursor}
            self.upsert(cursors, [row])

    def put_setting(self, name: str, value: str) -> None:
        """Store a fact about this installation."""
        self.upsert(settings, [{"name": name, "value": value}])

    def drop_setting(self, name: str, value: str) -> None:
        """Forget a fact, unless it has become another one meanwhile."""
        self.connection.execute(
            delete(settings).where(settings.c.name == name, settings.c.value == value)
        )

    def ensure_instance(self) -> str:
        """This installation's random id, made once."""
        self.insert_new(settings, {"name": "instance", "value": secrets.token_hex(16)})
        instance = self.setting("instance")
        if instance is None:
            raise StoreError("the installation's id was removed from the database meanwhile")
        return instance


def _row(link: Link) -> dict[str, str]:
    ends = {
        f"{side.value}_{part}": getattr(link.endpoint(side), part)
        for side in Side
        for part in _PARTS
    }
    return {
        "uid": link.uid,
        "name": link.name,
        "user": link.user,
        **ends,
        "state": link.state.value,
        "reason": storable(link.reason),
        "policy_digest": link.policy_digest,
    }


def _link(row: Row[Any]) -> Link:
    return Link(
        id=row.id,
        uid=row.uid,
        name=row.name,
        user=row.user,
        a=Endpoint(connector=row.a_connector, account=row.a_account, calendar=row.a_calendar),
        b=Endpoint(connector=row.b_connector, account=row.b_account, calendar=row.b_calendar),
        state=LinkState(row.state),
        reason=row.reason,
        policy_digest=row.policy_digest,
    )
