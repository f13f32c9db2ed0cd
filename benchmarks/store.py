"""The map of ids on both databases: writing units, and finding them as the calendar grows.

A look-up gets one unit by its id at the provider, from another place of the table each time.
"""

import random
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.databases import DATABASES, database
from benchmarks.measuring import Case, Row, row, scaled, seconds_per
from benchmarks.planner import known_unit
from bridge.records import Endpoint, Link, Side, Unit, UnitState
from bridge.store import Store, open_store
from bridge.vault import Vault

SIZES = {False: (10_000, 100_000), True: (10_000, 100_000, 1_000_000, 10_000_000)}
CHUNK = 500
LOOKUPS = 200
UPSERTS = 10
FLAT = "<= 2"


def cases(full: bool) -> dict[str, Case]:
    found: dict[str, Case] = {kind: partial(_grown, kind, SIZES[False]) for kind in DATABASES}
    if full:
        found |= {f"{kind}-large": partial(_grown, kind, SIZES[True]) for kind in DATABASES}
    return found


def _grown(kind: str, sizes: tuple[int, ...]) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="calbridge-bench-") as folder:
        vault = Vault([Vault.generate_key()])
        with (
            database(kind, Path(folder)) as url,
            open_store(url, vault=vault, now=lambda: datetime.now(UTC)) as store,
        ):
            link = _link(store)
            rows, first = [], 0.0
            for size in sizes:
                _fill(store, link, size)
                found = _at(store, link, size, kind)
                first = first or found[0].median
                rows += found
            times = rows[-2].median / first
    return [*rows, Row(f"look-up among {sizes[-1]:,} against {sizes[0]:,}, {kind}",
                       times, times, times, "times", FLAT)]  # fmt: skip


def _fill(store: Store, link: Link, size: int) -> None:
    known = store.count_units(link.id).get(UnitState.LIVE, 0)
    for first in range(known, size, CHUNK):
        with store.begin(durable=False) as tx:
            tx.put_units([_of(link, number) for number in range(first, first + CHUNK)])


def _at(store: Store, link: Link, size: int, kind: str) -> list[Row]:
    lookups = scaled(seconds_per(lambda: _find(store, link, size)), 1e6)
    dice = random.Random(2)
    rates = [
        _put(store, [_of(link, dice.randrange(size)) for _each in range(CHUNK)])
        for _time in range(UPSERTS)
    ]
    return [
        row(f"look-up by id among {size:,}, {kind}", lookups, "µs"),
        row(f"upserts among {size:,}, {kind}", rates, "/s"),
    ]


def _link(store: Store) -> Link:
    ends = [Endpoint(connector=name, account="ann", calendar=name) for name in ("a", "b")]
    with store.begin() as tx:
        return tx.put_link(Link(id=0, uid="bench", name="ann/b", user="ann", a=ends[0], b=ends[1]))


def _of(link: Link, number: int) -> Unit:
    return replace(known_unit(number), link_id=link.id)


def _put(store: Store, units: list[Unit]) -> float:
    """Units per second of one transaction, the translation of the units included."""
    units = list({unit.id: unit for unit in units}.values())
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
