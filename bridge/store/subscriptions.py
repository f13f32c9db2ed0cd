"""Which calendars providers push about, and what is known of how well they do.

Calendar "" of an account stands for its list of calendars. Rows are written by whoever takes
pushes, and read by whoever polls, which may be another process.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, or_, select, update

from bridge.records import Endpoint
from bridge.store.schema import subscriptions
from bridge.store.session import Reads, Writes

_OF_CALENDAR = select(subscriptions).where(
    *(subscriptions.c[part] == bindparam(part) for part in ("connector", "account", "calendar"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A calendar that is pushed about, without a break since `since` as far as we know.

    `announced` is when the last push came, `suspected` when a poll found what no push had
    announced; a push clears it. Aware UTC.
    """

    end: Endpoint
    since: datetime
    announced: datetime | None = None
    suspected: datetime | None = None


class SubscriptionReads(Reads):
    """Subscriptions to read."""

    def watched(self) -> list[Watched]:
        """All of them."""
        with self.reading() as connection:
            return [_watched(row) for row in connection.execute(select(subscriptions)).mappings()]

    def watched_calendar(self, end: Endpoint) -> Watched | None:
        """That of one calendar, None if nobody pushes about it."""
        with self.reading() as connection:
            row = connection.execute(_OF_CALENDAR, asdict(end)).mappings().first()
        return None if row is None else _watched(row)


class SubscriptionWrites(SubscriptionReads, Writes):
    """Subscriptions to write."""

    def watch(self, end: Endpoint, since: datetime) -> None:
        """From now on there are pushes about it; what was before does not count."""
        row = {
            "connector": end.connector,
            "account": end.account,
            "calendar": end.calendar,
            "since": since,
            "announced": None,
            "suspected": None,
        }
        self.upsert(subscriptions, [row])

    def unwatch(self, end: Endpoint) -> None:
        """There are no pushes about it any more. There were none = done."""
        self.connection.execute(delete(subscriptions).where(_is(end)))

    def announce(self, connector: str, calendar: str | None, at: datetime) -> None:
        """A push came, about a calendar, or about all that the connector knows (None)."""
        about = subscriptions.c.connector == connector
        if calendar is not None:
            about = and_(about, subscriptions.c.calendar == calendar)
        self.connection.execute(
            update(subscriptions).where(about).values(announced=at, suspected=None)
        )

    def suspect(self, end: Endpoint, unheard_since: datetime, at: datetime) -> bool:
        """A poll found changes. True, and noted, if there should have been a push: the calendar
        is pushed about since before `unheard_since`, and no push has come after it."""
        silent = or_(subscriptions.c.announced.is_(None), subscriptions.c.announced < unheard_since)
        changed = self.connection.execute(
            update(subscriptions)
            .where(
                _is(end),
                subscriptions.c.since <= unheard_since,
                subscriptions.c.suspected.is_(None),
                silent,
            )
            .values(suspected=at)
        )
        return changed.rowcount == 1


def _is(end: Endpoint) -> ColumnElement[bool]:
    return and_(
        subscriptions.c.connector == end.connector,
        subscriptions.c.account == end.account,
        subscriptions.c.calendar == end.calendar,
    )


def _watched(row: Mapping[Any, Any]) -> Watched:
    end = Endpoint(connector=row["connector"], account=row["account"], calendar=row["calendar"])
    return Watched(
        end=end, since=row["since"], announced=row["announced"], suspected=row["suspected"]
    )
