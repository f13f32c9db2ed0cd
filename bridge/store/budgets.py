"""Rate budgets that all processes on one database share, handed out in slices."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select, update

from bridge.budget import Ledger, Used, Window
from bridge.store.schema import budgets
from bridge.store.session import Writes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OF = (budgets.c.name == bindparam("whose")) & (budgets.c.operation == bindparam("what"))
_LOCKED = select(budgets.c.spent, budgets.c.barred).where(_OF).with_for_update()
_CHANGED = update(budgets).where(_OF)


@dataclass(frozen=True, slots=True)
class Slice:
    """Permission for `permits` calls from `at` until `end`. With none, `end` is when to ask again.

    Microseconds since 1970 by the clock that all share.
    """

    permits: int
    at: int
    end: int


def _length(window: Window) -> int:
    return window.length


class BudgetWrites(Writes):
    """Taking from budgets. `now` of a method is None for the clock of the database, by which the
    processes of many machines agree to the millisecond."""

    def take_slice(
        self,
        name: str,
        operation: str,
        limits: tuple[Window, ...],
        wanted: int,
        length: int,
        used: Used | None,
        now: datetime | None,
    ) -> Slice:
        """Settle the last slice and take the next one, of at most `wanted` permits."""
        row = self._locked(name, operation)
        at = self._instant(now)
        ledger = Ledger.read(limits, row.spent)
        if used is not None:
            ledger.settle(used)
        barred = row.barred is not None and row.barred > at
        permits = 0 if barred else min(wanted, ledger.room(at))
        end = at + length if permits else ledger.room_from(at)
        if permits:
            ledger.take(permits, end)
        spent = {"spent": ledger.write(at), "permits": max(limits, key=_length).permits}
        self.connection.execute(_CHANGED, {"whose": name, "what": operation, **spent})
        return Slice(permits, at, max(end, row.barred) if barred else end)

    def bar(self, name: str, operation: str, seconds: float, now: datetime | None) -> None:
        """Nobody gets a slice for so many seconds."""
        row = self._locked(name, operation)
        until = self._instant(now) + int(seconds * 1_000_000)
        barred = max(until, row.barred or 0)
        self.connection.execute(_CHANGED, {"whose": name, "what": operation, "barred": barred})

    def _locked(self, name: str, operation: str) -> Any:
        row = {"name": name, "operation": operation, "spent": "", "barred": None, "permits": None}
        mine = {"whose": name, "what": operation}
        found = self.connection.execute(_LOCKED, mine).first()
        if found is None:
            self.insert_new(budgets, row)
            found = self.connection.execute(_LOCKED, mine).one()
        return found

    def _instant(self, now: datetime | None) -> int:
        if now is None and self.connection.dialect.name == "postgresql":
            now = self.connection.scalar(select(func.clock_timestamp()))
        return ((now or self.now()) - _EPOCH) // timedelta(microseconds=1)
