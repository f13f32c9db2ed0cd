"""What was done hour by hour, and how many calls that lately took, counted by the database."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, case, func, select, type_coerce

from bridge.budget import TRAVEL
from bridge.records import LinkState
from bridge.store.schema import budgets, journal, links, runs
from bridge.store.store import Store

_HOUR = 3_600_000_000
_WRITES = ("create", "update", "delete")
_BEFORE = timedelta(hours=6)
"""How far before the first hour a link's last complete run is looked for."""
_GOING = (LinkState.ACTIVE, LinkState.HELD, LinkState.WAITING, LinkState.SUSPENDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One hour from `at`: writes at providers, runs, those that failed, how long a run took on
    average and at most, and how old the last complete run of a link got before the next one. A
    change that nobody announced may have waited for as long."""

    at: datetime
    writes: int = 0
    runs: int = 0
    failed: int = 0
    mean: timedelta = timedelta(0)
    longest: timedelta = timedelta(0)
    gap: timedelta = timedelta(0)


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
    gaps = _gaps(store, since, now)
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
                gap=gaps.get(key, timedelta(0)),
            )
        )
    return found


def _gaps(store: Store, since: datetime, now: datetime) -> dict[int, timedelta]:
    """By hour, the longest that a link went on without a complete run, among those that are to
    run by themselves."""
    started = type_coerce(runs.c.started, BigInteger)
    before = func.lag(started).over(partition_by=runs.c.link_id, order_by=started)
    good = (
        select(runs.c.link_id, (started // _HOUR).label("hour"), started.label("started"),
               (started - before).label("gap"))
        .join(links, links.c.id == runs.c.link_id)
        .where(runs.c.outcome == "ok", runs.c.started >= since - _BEFORE, links.c.state.in_(_GOING))
        .subquery()
    )  # fmt: skip
    query = select(
        good.c.link_id, good.c.hour, func.max(good.c.started).label("last"),
        func.max(good.c.gap).label("gap"),
    ).group_by(good.c.link_id, good.c.hour)  # fmt: skip
    ends: dict[int, dict[int, tuple[int, int]]] = {}
    with store.reading() as connection:
        for row in connection.execute(query):
            ends.setdefault(row.link_id, {})[row.hour] = (row.last, row.gap or 0)
    first, present = (int(at.timestamp() * 1_000_000) for at in (since, now))
    found: dict[int, int] = {}
    for by_hour in ends.values():
        last: int | None = None
        for hour in range(min(by_hour), present // _HOUR + 1):
            last, gap = by_hour.get(hour, (last, 0))
            open_for = min((hour + 1) * _HOUR, present) - last if last is not None else 0
            if hour >= first // _HOUR:
                found[hour] = max(found.get(hour, 0), gap, open_for)
    return {hour: timedelta(microseconds=gap) for hour, gap in found.items()}


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
    """Calls that lately went out under one rate budget: so many within `window`, of `permits`
    that are ours (None until it is known). `barred` is until when the provider wants none."""

    budget: str
    operation: str
    calls: int
    window: timedelta
    permits: int | None
    barred: datetime | None

    @property
    def used(self) -> float | None:
        """Which part of what is permitted; a little over 1 where slices were rounded up."""
        return self.calls / self.permits if self.permits else None


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
        permits=row.permits,
        barred=barred,
    )
