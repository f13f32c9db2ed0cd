"""Due links, the longest due first, but only so many of one account at once."""

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, not_, select, tuple_

from bridge.store.schema import jobs, links

_ENDS = tuple((links.c[f"{side}_connector"], links.c[f"{side}_account"]) for side in "ab")
_COLUMNS = tuple(column for end in _ENDS for column in end)


def uncrowded(
    connection: Connection, due: Select[Any], n: int, now: datetime, per_account: int
) -> list[Row[Any]]:
    """Up to `n` rows of `due` (from jobs) so that of no account more than `per_account` links run
    together. Two claims at the same instant may each take the last place."""
    running = _running(connection, now)
    due = due.join(links, links.c.id == jobs.c.link_id).add_columns(*_COLUMNS)
    due = due.with_for_update(skip_locked=True, of=jobs)
    chosen: list[Row[Any]] = []
    seen: list[int] = []
    while len(chosen) < n:
        full = sorted(account for account, count in running.items() if count >= per_account)
        query = due.where(jobs.c.link_id.not_in(seen)).limit(n - len(chosen))
        if full:
            query = query.where(and_(*(not_(tuple_(*end).in_(full)) for end in _ENDS)))
        rows = connection.execute(query).all()
        if not rows:
            break
        for row in rows:
            seen.append(row.link_id)
            accounts = _accounts(row)
            if all(running[account] < per_account for account in accounts):
                running.update(accounts)
                chosen.append(row)
    return chosen


def _running(connection: Connection, now: datetime) -> Counter[tuple[str, str]]:
    query = (
        select(*_COLUMNS)
        .join_from(jobs, links, links.c.id == jobs.c.link_id)
        .where(jobs.c.owner.is_not(None), jobs.c.run_at > now)
    )
    running: Counter[tuple[str, str]] = Counter()
    for row in connection.execute(query):
        running.update(_accounts(row))
    return running


def _accounts(row: Row[Any]) -> set[tuple[str, str]]:
    return {(getattr(row, who.name), getattr(row, account.name)) for who, account in _ENDS}
