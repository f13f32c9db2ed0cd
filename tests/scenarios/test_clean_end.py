"""The complaint: "it would not stop, so we killed it, and then a meeting stood there twice"."""

import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any

import psutil

from bridge.records import LinkState
from bridge.store.schema import HEAD
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

AT_MOST = 10.0
"""Seconds that docs/operations.md promises."""
SLOW = 60.0


def start(desk: Any, spawn: Callable[..., BaseProcess], *options: str) -> BaseProcess:
    return spawn("run", "--config", str(desk.path), *options)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def signalled(process: BaseProcess, *, again: bool = False) -> float:
    """Send SIGTERM, `again` and again as well; seconds until the process has ended. Two that come
    before the process has had a moment are one to it."""
    assert process.pid is not None
    begun = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    while again and process.is_alive() and time.monotonic() < begun + 2 * AT_MOST:
        process.join(0.5)
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM)
    process.join(2 * AT_MOST)
    assert not process.is_alive()
    return time.monotonic() - begun


def test_sigterm_ends_it_though_every_provider_hangs_and_callers_dawdle(
    desk: Any, spawn: Callable[..., BaseProcess]
) -> None:
    """Calls under way that would take a minute, an open long connection with its child, and a
    webhook call of which only half has come."""
    port = free_port()
    desk.configure(service={"listen": f"127.0.0.1:{port}", "poll": "1s"})
    desk.weather("google", "(POST|PUT|PATCH|DELETE) .*(events|batch)", "delay", seconds=SLOW)
    process = start(desk, spawn)
    assert desk.until(lambda: desk.trial.sandboxes["google"].faults.struck, 40)
    assert desk.until(lambda: desk.feishu.longconn.count(), 40)
    assert process.pid is not None
    children = psutil.Process(process.pid).children(recursive=True)
    assert children, "somebody has to hold the long connection"
    with socket.create_connection(("127.0.0.1", port)) as dawdler:
        dawdler.sendall(b"POST /hooks/feishu HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert signalled(process) < AT_MOST
    assert process.exitcode == 0
    _gone, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []

    desk.clear()
    desk.run()
    assert desk.titles() == desk.source_titles()
    assert desk.verify().differences == []
    assert desk.link().state is LinkState.ACTIVE


def test_a_second_sigterm_ends_it_at_once(desk: Any, spawn: Callable[..., BaseProcess]) -> None:
    desk.configure(service={"listen": "127.0.0.1:0", "poll": "1s"})
    desk.weather("google", "(POST|PUT|PATCH|DELETE) .*(events|batch)", "delay", seconds=SLOW)
    process = start(desk, spawn)
    assert desk.until(lambda: desk.trial.sandboxes["google"].faults.struck, 40)
    assert signalled(process, again=True) < 6
    assert process.exitcode == 0
    desk.clear()
    desk.run()
    assert desk.titles() == desk.source_titles()


def test_a_service_whose_database_a_newer_program_has_migrated_stops_and_writes_nothing(
    desk: Any, spawn: Callable[..., BaseProcess]
) -> None:
    desk.configure(service={"listen": "127.0.0.1:0", "poll": "1s"})
    process = start(desk, spawn)
    assert desk.until(lambda: desk.titles() == desk.source_titles(), 40)
    _schema(desk, "9999")
    day = monday_of(desk.feishu.clock) + timedelta(days=9)
    desk.alice.create(desk.primary, timed("Too late", day, 12, 0, 60, "Asia/Shanghai"))
    process.join(30)
    assert process.exitcode == 2
    assert desk.at_google("Too late") is None
    _schema(desk, HEAD)
    desk.run()
    assert desk.titles() == desk.source_titles()


def _schema(desk: Any, revision: str) -> None:
    with closing(sqlite3.connect(desk.path.with_suffix(".db"), timeout=30)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", [revision])
