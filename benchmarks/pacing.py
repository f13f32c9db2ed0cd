"""How much of a permitted rate one process reaches, or several together, and what that costs.

The real pacer over one SQLite database, in virtual time; a call takes 50 ms, eight go at once.
"""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring import Case, Row, counted
from bridge.pacing import SharedPacer
from bridge.simulation.lanes import Lanes
from bridge.store import Store, Tx, open_store
from bridge.vault import Vault
from connectors.capabilities import RateBudget

BUDGETS = {
    "Feishu, one API": RateBudget(per_second=50, per_minute=1000),
    "Google, one user": RateBudget(per_minute=600),
}
MINUTES = 3
CALL = 0.05
AT_ONCE = 8


def cases(_full: bool) -> dict[str, Case]:
    return {"all": _measure}


def _measure() -> list[Row]:
    return [
        item
        for name, budget in BUDGETS.items()
        for processes in (1, 2, 4)
        for item in _driven(name, budget, processes)
    ]


def _driven(name: str, budget: RateBudget, processes: int) -> list[Row]:
    clock = Lanes()
    vault = Vault([Vault.generate_key()])
    with tempfile.TemporaryDirectory(prefix="calbridge-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'bench.db'}"
        stores = [
            open_store(url, vault=vault, now=lambda: datetime.now(UTC)) for _one in range(processes)
        ]
        counting = _Counting()
        pacers = [_pacer(store, budget, clock) for store in stores]
        times: list[float] = []
        lanes = [_lane(pacer, clock, times) for pacer in pacers for _call in range(AT_ONCE)]
        with counting:
            clock.run(lanes)
        for store in stores:
            store.close()
    who = f"{name}, {processes} process{'es' if processes > 1 else ''}"
    assert budget.per_minute is not None
    rows = [
        counted(
            f"{who}: share of the permitted rate",
            100 * len(times) / (budget.per_minute * MINUTES),
            "%",
            ">= 90",
        ),
        counted(f"{who}: most calls in a minute", _densest(times, 60), "", _at_most(budget, 60)),
        counted(f"{who}: transactions for 1000 calls", 1000 * counting.count / len(times), ""),
    ]
    if budget.per_second:
        most = _densest(times, 1)
        rows.insert(2, counted(f"{who}: most calls in a second", most, "", _at_most(budget, 1)))
    return rows


class _Counting:
    """Counts the slices that are asked for."""

    def __enter__(self) -> None:
        self.count = 0
        self._take = take = Tx.take_slice

        def counted_take(tx: Tx, *arguments: object) -> object:
            self.count += 1
            return take(tx, *arguments)

        Tx.take_slice = counted_take

    def __exit__(self, *_error: object) -> None:
        Tx.take_slice = self._take


def _pacer(store: Store, budget: RateBudget, clock: Lanes) -> SharedPacer:
    return SharedPacer(
        store, "bench", budget, now=clock.now, monotonic=clock.monotonic, sleep=clock.sleep
    )


def _lane(pacer: SharedPacer, clock: Lanes, times: list[float]) -> Callable[[], None]:
    def calls() -> None:
        while True:
            pacer.wait("list")
            if clock.seconds >= 60 * MINUTES:
                return
            times.append(clock.seconds)
            clock.sleep(CALL)

    return calls


def _densest(times: list[float], seconds: float) -> int:
    times = sorted(times)
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def _at_most(budget: RateBudget, seconds: int) -> str:
    limit = budget.per_second if seconds == 1 else budget.per_minute
    return f"<= {limit:g}"
