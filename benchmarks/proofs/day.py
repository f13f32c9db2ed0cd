"""A whole day of many users: nothing grows that has no reason to.

The city is a process of its own, so that what is measured here is the bridge's alone.
"""

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import psutil
import yaml

from benchmarks.proofs.city import City, city
from benchmarks.proofs.crowd import Crowd
from benchmarks.proofs.judging import rows
from benchmarks.proofs.report import Report
from benchmarks.proofs.timelapse import unhurried
from bridge import config as config_file
from bridge.runtime import Runtime, System
from connectors.sandbox.clock import Clock

GROWTH = 24 * 2**20
"""Bytes by which a process may be larger in the end than after the first quarter of the day."""
LOGGED = frozenset({"runs", "journal", "calls", "pushes"})
"""Tables that keep what happened for a day or longer (`bridge.housekeeping`)."""


@dataclass(frozen=True)
class Sample:
    """What the bridge takes up at a moment."""

    memory: int
    threads: int
    files: int
    rows: dict[str, int]


def prove(
    folder: Path, *, links: int = 1000, hours: int = 24, step: int = 600, edits: int = 5
) -> Report:
    """`edits` are made in each step of so many seconds."""
    report = Report(f"{hours} h of {links} links, {edits} edits every {step} s")
    clock = Clock()
    with _elsewhere(links, folder) as town:
        system = System(
            now=clock.now, sleep=lambda s: time.sleep(min(s, 0.005)), random=Random(1).random
        )
        with (
            patch("google.auth._helpers.utcnow", lambda: clock.now().replace(tzinfo=None)),
            patch.dict(os.environ, OAUTHLIB_INSECURE_TRANSPORT="1"),
            Runtime(config_file.load(folder / "judge.yaml"), system) as runtime,
        ):
            service = unhurried(runtime)
            service.start()
            rested = service.wait_idle(3600)
            samples = [_sample(runtime)]
            for _step in range(hours * 3600 // step):
                town.call("edit", edits)
                town.call("advance", step)
                clock.advance(step)
                service._subscriptions.tend()  # noqa: SLF001
                service._housekeeping.tidy()  # noqa: SLF001
                rested = service.wait_idle(600) and rested
                samples.append(_sample(runtime))
            for _more in range(48):  # what was done last has to wait for a poll
                if not town.call("complaints")["complaints"]:
                    break
                town.call("advance", 1800)
                clock.advance(1800)
                rested = service.wait_idle(600) and rested
            report.expect(rested, "there was no rest between two steps")
            report.expect(runtime.store.job_stats(clock.now()).parked == 0, "links are parked")
            service.stop()
        _judge(report, samples)
        found = town.call("complaints")
        report.complaints += found["complaints"]
        report.tell("calls", found["calls"])
        report.tell("differences, doubles, mails", len(found["complaints"]))
    return report


def _judge(report: Report, samples: list[Sample]) -> None:
    settled, last = samples[len(samples) // 4], samples[-1]
    late = samples[len(samples) // 4 :]
    report.tell(
        "memory after a quarter, at the end", _pair(settled.memory, last.memory, 2**20), "MiB"
    )
    report.tell("threads after a quarter, at the end", _pair(settled.threads, last.threads))
    report.tell("open files and sockets", _pair(settled.files, last.files))
    report.expect(
        last.memory - settled.memory < GROWTH,
        f"memory grew by {(last.memory - settled.memory) / 2**20:.0f} MiB",
    )
    allowed = max(8, settled.threads // 10)
    report.expect(
        min(item.threads for item in late[-3:]) <= settled.threads + allowed,
        "threads are left over",
    )
    report.expect(
        min(item.files for item in late[-3:]) <= settled.files + max(16, settled.files // 10),
        "open files or sockets are left over",
    )
    for table, count in last.rows.items():
        before = settled.rows[table]
        if count != before:
            report.tell(f"rows of {table}", _pair(before, count))
        # Units, members and what people wrote grow with the edits; nothing else may.
        if table not in LOGGED | {"units", "members"}:
            report.expect(count <= 1.2 * before + 20, f"{table} grew from {before} to {count} rows")


def _pair(before: float, after: float, unit: float = 1) -> str:
    return f"{before / unit:,.0f}, {after / unit:,.0f}"


def _sample(runtime: Runtime) -> Sample:
    gc.collect()
    me = psutil.Process()
    family = [me, *me.children(recursive=True)]
    return Sample(
        memory=me.memory_full_info().uss,
        threads=threading.active_count(),
        files=sum(member.num_fds() for member in family[:1]),
        rows=rows(runtime.store),
    )


# -- the city's process ----------------------------------------------------------------------------


class _Elsewhere:
    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def call(self, what: str, value: float = 0) -> Any:
        """Have something done there; what came of it."""
        self._pipe.send((what, value))
        return self._pipe.recv()


@contextmanager
def _elsewhere(links: int, folder: Path) -> Iterator[_Elsewhere]:
    """A city in a process of its own, its config in the folder, everybody's consent given."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_live, args=(there, links, str(folder)), daemon=True)
    process.start()
    town = _Elsewhere(here)
    try:
        town.call("start")
        yield town
    finally:
        here.send(("stop", 0))
        process.join(30)
        process.kill()


def _live(pipe: Connection, links: int, folder: str) -> None:
    with city(links) as town:
        town.feishu.limits.enabled = False
        town.google.switches.limits = False
        town.exchange.switches.limits = False
        content = town.config(f"sqlite:///{folder}/calbridge.db", poll="4h")
        path = town.write(Path(folder) / "judge.yaml", yaml.safe_load(yaml.safe_dump(content)))
        town.consent(path)
        crowd = Crowd(town, seed=11)
        while True:
            what, value = pipe.recv()
            if what == "stop":
                return
            pipe.send(_do(town, crowd, what, value))


def _do(town: City, crowd: Crowd, what: str, value: float) -> Any:
    match what:
        case "edit":
            for _edit in range(int(value)):
                crowd.edit()
        case "advance":
            town.clock.advance(value)
        case "complaints":
            mails = [f"{town.mails} mails were sent"] if town.mails else []
            return {"complaints": [*crowd.complaints(), *mails], "calls": town.calls}
    return None
