"""What a service costs that has nothing to do: workers over 1,000 links whose poll is far away."""

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measuring import Case, Row, row
from bridge.jobs import Done, Ending, Fence, Workers, open_engine
from bridge.records import Endpoint, Link
from bridge.store import Claim, Store, open_store
from bridge.vault import Vault

LINKS = 1_000
SECONDS = 3.0
ROUNDS = 3


def cases(_full: bool) -> dict[str, Case]:
    return {"all": _measure}


def _measure() -> list[Row]:
    with (
        tempfile.TemporaryDirectory(prefix="calbridge-idle-") as folder,
        open_store(
            f"sqlite:///{Path(folder) / 'bridge.db'}", vault=Vault([Vault.generate_key()]), now=_now
        ) as store,
    ):
        _add_links(store)
        workers = open_engine("embedded", store).workers(_rest, now=_now)
        workers.start()
        try:
            _settle(store, workers)
            shares = [_cpu_share() for _round in range(ROUNDS)]
        finally:
            workers.stop()
    return [row(f"{LINKS:,} idle links on SQLite", shares, "% of a core", "<= 2")]


def _now() -> datetime:
    return datetime.now(UTC)


def _rest(_claim: Claim, _fence: Fence) -> Ending:
    return Done(_now() + timedelta(hours=1))


def _add_links(store: Store) -> None:
    with store.begin() as tx:
        ends = [Endpoint(connector=name, account="ann", calendar="c") for name in ("hub", "other")]
        links = [
            tx.put_link(Link(id=0, uid=f"u{n}", name=f"l{n}", user="ann", a=ends[0], b=ends[1])).id
            for n in range(LINKS)
        ]
        tx.hint(links, _now())


def _settle(store: Store, workers: Workers) -> None:
    """Until every link has run once."""
    while store.job_stats(_now()).due or workers.busy:
        time.sleep(0.1)
    time.sleep(0.5)


def _cpu_share() -> float:
    """Percent of a core that this process took over some seconds."""
    started, used = time.perf_counter(), time.process_time()
    time.sleep(SECONDS)
    return 100 * (time.process_time() - used) / (time.perf_counter() - started)
