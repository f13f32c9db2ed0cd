"""The map of ids on SQLite: writing units, and finding them as the calendar grows."""

import random
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring import Row, row, scaled, seconds_per
from benchmarks.planner import known_unit
from bridge.records import Endpoint, Link, Side, Unit, UnitState
from bridge.store import Store, open_store
from bridge.vault import Vault

SIZES = (10_000, 100_000)
CHUNK = 500
LOOKUPS = 200


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="calbridge-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'bench.db'}"
        vault = Vault([Vault.generate_key()])
        with open_store(url, vault=vault, now=lambda: datetime.now(UTC)) as store:
            link = _link(store)
            return [item for size in SIZES for item in _at(store, link, size)]


def _at(store: Store, link: Link, size: int) -> list[Row]:
    known = store.count_units(link.id).get(UnitState.LIVE, 0)
    rates = [
        _put(store, [_of(link, number) for number in range(first, first + CHUNK)])
        for first in range(known, size, CHUNK)
    ]
    lookups = scaled(seconds_per(lambda: _find(store, link, size)), 1e6)
    return [
        row(f"units written, up to {size:,}", rates, "/s"),
        row(f"look-up by id among {size:,}", lookups, "µs", "flat"),
    ]


def _link(store: Store) -> Link:
    ends = [Endpoint(connector=name, account="ann", calendar=name) for name in ("a", "b")]
    with store.begin() as tx:
        return tx.put_link(Link(id=0, uid="bench", name="ann/b", user="ann", a=ends[0], b=ends[1]))


def _of(link: Link, number: int) -> Unit:
    return replace(known_unit(number), link_id=link.id)


def _put(store: Store, units: list[Unit]) -> float:
    """Units per second of one transaction."""
    started = time.perf_counter()
    with store.begin() as tx:
        tx.put_units(units)
    return len(units) / (time.perf_counter() - started)


def _find(store: Store, link: Link, size: int) -> int:
    dice = random.Random(1)
    for _time in range(LOOKUPS):
        ref = f"a{dice.randrange(size)}"
        assert ref in store.units_by_ref(link.id, Side.A, [ref])
    return LOOKUPS
