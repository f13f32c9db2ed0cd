"""What was done hour by hour, and how many calls that lately took, counted by the database."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, case, func, select, type_coerce

from bridge.budget import TRAVEL
from bridge.store.schema import budgets, journal, runs
from bridge.store.store import Store

_HOUR = 3_600_000_000
_WRITES = ("create", "update", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One hour from `at`: writes at providers, runs, those that failed, and how long a run took
    on average and at most."""

    at: datetime
    writes: int = 0
    runs: int = 0
    failed: int = 0
    mean: timedelta = timedelta(0)
    longest: timedelta = timedelta(0)


def hours(store: Store, now: datetime, count: int) -> list[Hour]:
    """The last hours, the oldest first; the last is not over yet."""
    last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    since = last - timedelta(hours=count - 1)
    written, started, ended = (
        type_coerce(column, BigInteger) for column in (journal.c.at, runs.c.started, runs.c.ended)
    )
    writing = (
        select((written // _HOUR).label("hour"), func.count().label("writes"))
        .where(journal.c.at >= since, journal.c.op.in_(_WRITES))
        .group_by("hour")
    )
    failed = case((runs.c.outcome.in_(("ok", "unfinished", "held")), 0), else_=1)
    running = (
        select(
            (started // _HOUR).label("hour"),
            func.count().label("runs"),
            func.sum(failed).label("failed"),
            func.avg(ended - started).label("mean"),
            func.max(ended - started).label("longest"),
        )
        .where(runs.c.started >= since, runs.c.ended.is_not(None))
        .group_by("hour")
    )
    with store.reading() as connection:
        writes = {row.hour: row.writes for row in connection.execute(writing)}
        rows = {row.hour: row for row in connection.execute(running)}
    found = []
    for number in range(count):
        at = since + timedelta(hours=number)
        key = int(at.timestamp()) * 1_000_000 // _HOUR
        row = rows.get(key)
        found.append(
            Hour(
                at=at,
                writes=writes.get(key, 0),
                runs=row.runs if row else 0,
                failed=int(row.failed) if row else 0,
                mean=timedelta(microseconds=int(row.mean)) if row else timedelta(0),
                longest=timedelta(microseconds=int(row.longest)) if row else timedelta(0),
            )
        )
    return found


def outcomes(store: Store, since: datetime) -> dict[str, int]:
    """How many runs since then ended how: `ok`, `held`, `unfinished`, or the class of an error."""
    query = (
        select(runs.c.outcome, func.count().label("runs"))
        .where(runs.c.started >= since, runs.c.ended.is_not(None))
        .group_by(runs.c.outcome)
    )
    found: dict[str, int] = {}
    with store.reading() as connection:
        for row in connection.execute(query):
            name = row.outcome.partition(":")[0]
            found[name] = found.get(name, 0) + row.runs
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Calls that lately went out under one rate budget: so many within `window`. `barred` is until
    when the provider wants none."""

    budget: str
    operation: str
    calls: int
    window: timedelta
    barred: datetime | None


def spent(store: Store, now: datetime) -> list[Spent]:
    """The budgets that are in use, each over the longest window that it is counted in."""
    at = int(now.timestamp() * 1_000_000)
    with store.reading() as connection:
        rows = connection.execute(select(budgets).order_by(budgets.c.name, budgets.c.operation))
        return [found for row in rows if (found := _spent(row, at)) is not None]


def _spent(row: Any, at: int) -> Spent | None:
    counted = {int(length): ends for length, ends in json.loads(row.spent or "{}").items()}
    if not counted:
        return None
    length = max(counted)
    recent = (count for end, count in counted[length].items() if int(end) > at - length)
    barred = datetime.fromtimestamp(row.barred / 1_000_000, UTC) if (row.barred or 0) > at else None
    return Spent(
        budget=row.name,
        operation=row.operation,
        calls=sum(recent),
        window=timedelta(microseconds=length - TRAVEL),
        barred=barred,
    )
