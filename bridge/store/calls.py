"""How many calls went to providers, how long they took and how they ended, by the hour and in all.

What all processes counted is added up in the database, so that any of them can show it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from bridge.store.schema import calls
from bridge.store.session import Reads, Writes

BOUNDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds. A call is counted under every bound that it did not exceed."""
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
"""The hour under which everything is counted once more, for ever."""
_KEY = ("connector", "kind", "outcome", "hour")
_SUMS = ("calls", "micros", *(f"within_{number}" for number in range(len(BOUNDS))))


@dataclass(frozen=True, slots=True)
class Tally:
    """So many calls took so long together; `within` of them no longer than each of `BOUNDS`."""

    calls: int = 0
    time: timedelta = timedelta(0)
    within: tuple[int, ...] = (0,) * len(BOUNDS)

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        within = tuple(map(sum, zip(self.within, other.within, strict=True)))
        return Tally(self.calls + other.calls, self.time + other.time, within)

    @classmethod
    def of(cls, seconds: float) -> "Tally":
        """One call."""
        within = tuple(int(seconds <= bound) for bound in BOUNDS)
        return cls(1, timedelta(seconds=seconds), within)


@dataclass(frozen=True, slots=True, order=True)
class What:
    """Calls of one connector that are counted together; `hour` is `ALWAYS` for all of them."""

    connector: str
    kind: str
    outcome: str
    hour: datetime = ALWAYS


class CallWrites(Writes):
    """Adding to the counts."""

    def count_calls(self, counted: Mapping[What, Tally]) -> None:
        """Add to what is there, for the hour and for always."""
        sums: dict[What, Tally] = {}
        for what, tally in counted.items():
            for hour in {what.hour, ALWAYS}:
                key = What(what.connector, what.kind, what.outcome, hour)
                sums[key] = sums.get(key, Tally()).plus(tally)
        module = postgresql if self.connection.dialect.name == "postgresql" else sqlite
        insert = module.insert(calls)
        added = {name: calls.c[name] + insert.excluded[name] for name in _SUMS}
        statement = insert.on_conflict_do_update(index_elements=list(_KEY), set_=added)
        # Always in the same order, so that processes do not wait for each other crosswise.
        rows = [_row(what, sums[what]) for what in sorted(sums)]
        if rows:
            self.connection.execute(statement, rows)

    def forget_calls(self, before: datetime) -> None:
        """Forget hours; what is counted for always stays."""
        self.connection.execute(delete(calls).where(calls.c.hour < before, calls.c.hour != ALWAYS))


def called(store: Reads, since: datetime | None = None) -> dict[What, Tally]:
    """The hours that began since then, or what is counted for always."""
    wanted = calls.c.hour == ALWAYS if since is None else calls.c.hour >= since
    with store.reading() as connection:
        rows = connection.execute(select(calls).where(wanted)).mappings()
        return {What(*(row[name] for name in _KEY)): _tally(row) for row in rows}


def traffic(store: Reads, since: datetime) -> dict[datetime, tuple[Tally, Tally]]:
    """By hour, all calls, and those among them that did not end well."""
    found: dict[datetime, tuple[Tally, Tally]] = {}
    for what, tally in called(store, since).items():
        every, bad = found.get(what.hour, (Tally(), Tally()))
        failed = bad if what.outcome == "ok" else bad.plus(tally)
        found[what.hour] = (every.plus(tally), failed)
    return found


def _row(what: What, tally: Tally) -> dict[str, Any]:
    sums: Sequence[int] = (tally.calls, tally.time // timedelta(microseconds=1), *tally.within)
    facts = (what.connector, what.kind, what.outcome, what.hour)
    return dict(zip((*_KEY, *_SUMS), (*facts, *sums), strict=True))


def _tally(row: Mapping[Any, Any]) -> Tally:
    within = tuple(int(row[f"within_{number}"]) for number in range(len(BOUNDS)))
    return Tally(int(row["calls"]), timedelta(microseconds=int(row["micros"])), within)
