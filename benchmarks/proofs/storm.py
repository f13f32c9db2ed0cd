"""Edits on all sides while processes are killed, pushes go astray and the database restarts.

In the end every calendar shows what its people meant, once; no link was ever worked on twice at
once, no provider was called faster than it permits, and nobody got a mail.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.proofs.city import City, city
from benchmarks.proofs.crowd import Crowd
from benchmarks.proofs.fleet import Fleet
from benchmarks.proofs.judging import at_rest, unrest, until
from benchmarks.proofs.postman import Postman
from benchmarks.proofs.report import Report, quantile
from bridge import config as config_file
from bridge.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Storm:
    """Its size. `pace` is edits a second, `kill_every` how many edits lie between two SIGKILLs
    (0 = none), `cut_every` the same for what `cut` does, `luck` the probability of each kind of
    bad luck that a push may have. `patience` in seconds, for the calm after it."""

    processes: int = 3
    links: int = 200
    edits: int = 2000
    pace: float = 10.0
    kill_every: int = 40
    cut_every: int = 0
    luck: float = 0.1
    poll: str = "1m"
    workers: int = 4
    patience: float = 600.0
    seed: int = 1


def prove(
    size: Storm,
    database: str,
    folder: Path,
    *,
    title: str = "storm",
    cut: Callable[[], None] = lambda: None,
) -> Report:
    """Let it rage, wait for the calm, and look."""
    report = Report(f"{title}: {size.links} links, {size.edits} edits, {size.processes} processes")
    with city(size.links, seed=size.seed) as town:
        doors: list[str] = []
        with Postman(lambda: doors, size.luck, size.seed) as postman:
            config = town.config(
                database, poll=size.poll, workers=size.workers,
                push_url=f"{postman.url}/hooks/google",
            )  # fmt: skip
            path = town.write(folder / "judge.yaml", config)
            town.consent(path)
            with Fleet(town, folder, config, size.processes) as fleet:
                doors.extend(fleet.doors())
                _rage(size, report, town, fleet, path, cut)
                if not size.cut_every:  # without its database a run fails, and says so
                    report.expect(not fleet.errors(), f"the logs tell of {fleet.errors()[:3]}")
                report.tell("kills", fleet.kills)
                report.tell("memory of a process, at most", fleet.peak / 2**20, "MiB")
            report.tell(
                "webhooks lost, doubled, late",
                f"{postman.dropped}, {postman.doubled}, {postman.late}",
            )
        refused, mails = town.refused, town.mails
        report.complaints += unrest(path)
        report.tell("calls refused for coming too fast", refused)
        report.expect(not refused, f"{refused} calls were refused for coming too fast")
        report.expect(not mails, f"{mails} mails were sent")
    report.tell("differences, doubles, overlapping runs, mails", len(report.complaints))
    return report


def _rage(
    size: Storm, report: Report, town: City, fleet: Fleet, config: Path, cut: Callable[[], None]
) -> None:
    dice, crowd = random.Random(size.seed), Crowd(town, size.seed)
    report.expect(
        until(lambda: town.feishu.longconn.count() == 1, size.patience), "nobody listens to Feishu"
    )
    town.feishu.switch(
        push_drop_chance=size.luck,
        push_duplicate_chance=size.luck,
        push_reorder_chance=size.luck,
    )
    begun, calls = time.monotonic(), town.calls
    for number in range(1, size.edits + 1):
        crowd.edit()
        time.sleep(max(0.0, begun + number / size.pace - time.monotonic()))
        if size.kill_every and number % size.kill_every == 0:
            fleet.kill(dice)
            town.exchange.streams.close_all()
        if size.cut_every and number % size.cut_every == 0:
            cut()
    raged = time.monotonic() - begun
    settled = until(crowd.settled, size.patience)
    calm = time.monotonic() - begun - raged
    report.complaints += list(crowd.complaints()) if not settled else []
    with Runtime(config_file.load(config)) as judge:
        report.expect(until(lambda: at_rest(judge.store), size.patience), "it came to no rest")
    codes = fleet.end()
    report.expect(set(codes) == {0}, f"the processes ended with {codes}")
    latencies = crowd.latencies()
    report.tell("the storm took", raged, "s")
    report.tell("from the last edit until all sides were equal", calm, "s")
    report.tell("edits a second", size.edits / (raged + calm))
    report.tell("edit to target, p50", quantile(latencies, 0.5), "s")
    report.tell("edit to target, p99", quantile(latencies, 0.99), "s")
    report.tell("calls per edit", (town.calls - calls) / size.edits)
