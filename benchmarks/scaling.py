"""What several processes on one database do together: 1, 2 and 4 services share the links.

Each round gives a few people new events, and ends when all of them stand at Google. A call takes
50 ms, so that waiting prevails as it does in the world; processes beyond the machine's cores
cannot help where computing does.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.cloud import Cloud, Wide, consent
from benchmarks.databases import DATABASES, database
from benchmarks.measuring import ROUNDS, Case, Row, row
from bridge import config as config_file
from bridge.service import Service

PROCESSES = (1, 2, 4)
PEOPLE = 6
EVENTS = 25
DELAY = 0.05
PATIENCE = 120.0


def cases(full: bool) -> dict[str, Case]:
    kinds = DATABASES if full else DATABASES[-1:]
    return {
        f"{kind}-{count}": partial(_measured, kind, count) for kind in kinds for count in PROCESSES
    }


def _measured(kind: str, count: int) -> list[Row]:
    groups = [[f"r{number}p{each}" for each in range(PEOPLE)] for number in range(ROUNDS)]
    links = {name: {"to": "google"} for group in groups for name in group}
    service = {"listen": "127.0.0.1:0", "poll": "1d", "workers": 2}
    with tempfile.TemporaryDirectory(prefix="calbridge-bench-") as folder, Cloud() as cloud:
        for name in links:
            cloud("add", name)
        path = Path(folder) / "bench.yaml"
        with database(kind, Path(folder)) as url:
            cloud.write(path, links, database=url, service=service)
            with Wide(config_file.load(path)) as runtime:
                consent(cloud, links, runtime)
                known = {item.link.user: item.link.id for item in runtime.ready(runtime.select())}
                with _services(path, count):
                    _until_idle(runtime)
                    cloud("latency", DELAY)
                    rates = []
                    for group in groups:
                        for name in group:
                            cloud("more", name, EVENTS)
                        started = time.perf_counter()
                        with runtime.store.begin() as tx:
                            tx.hint([known[name] for name in group], runtime.system.now())
                        _until_idle(runtime)
                        took = time.perf_counter() - started
                        rates.append(PEOPLE * EVENTS / took)
                        assert all(len(cloud("copies", name)) == EVENTS for name in group)
    what = f"{count} process{'es' if count > 1 else ''}, {kind}"
    return [row(what, rates, "events/s", "", f"{PEOPLE} links with {EVENTS} new events each")]


def _until_idle(runtime: Wide) -> None:
    deadline = time.monotonic() + PATIENCE
    while any(
        job.owner is not None or (job.run_at and job.run_at <= runtime.system.now())
        for job in runtime.store.jobs()
    ):
        if time.monotonic() > deadline:
            raise TimeoutError("the services do not come to an end")
        time.sleep(0.02)


@contextmanager
def _services(path: Path, count: int) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    pipes, children = [], []
    for _each in range(count):
        ours, theirs = context.Pipe()
        child = context.Process(target=_serve, args=(theirs, path))
        child.start()
        pipes.append(ours)
        children.append(child)
    try:
        for pipe in pipes:
            assert pipe.recv() == "running"
        yield
    finally:
        for pipe in pipes:
            pipe.send("stop")
        for child in children:
            child.join(20)


def _serve(pipe: Connection, path: Path) -> None:
    with Wide(config_file.load(path)) as runtime:
        service = Service(runtime)
        service.start()
        pipe.send("running")
        pipe.recv()
        service.stop()
