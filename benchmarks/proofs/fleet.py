"""Processes of `calbridge run` that share a database, are killed, and are started again."""

import multiprocessing
import os
import random
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from benchmarks.proofs.city import City

PRELOADED = (
    "alembic.command",
    "bridge.cli",
    "bridge.commands.copying",
    "bridge.commands.run",
    "connectors.exchange.provider",
    "connectors.feishu.provider",
    "connectors.google.provider",
    "psycopg",
)
SAMPLE = 0.5
_PROGRAM = """
import os, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from bridge.cli import run

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

def confine(connection, _entry):
    connection.execute("PRAGMA max_page_count={pages}")

if {log!r}:
    log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
if {pages}:
    event.listen(Engine, "connect", confine)
sys.exit(run({arguments!r}))
"""


def forking() -> Callable[..., BaseProcess]:
    """Starts `calbridge ...` in a process of its own, forked from one that has all SDKs loaded.
    What it prints goes to the file `log`; its SQLite database may have that many `pages`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))

    def start(*arguments: str, log: str = "", pages: int = 0) -> BaseProcess:
        program = _PROGRAM.format(log=log, pages=pages, arguments=list(arguments))
        process = context.Process(target=exec, args=(program, {}))
        process.start()
        return process

    return start


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class Fleet:
    """`size` processes, each with a web address of its own, and their logs in `folder`. Their
    SQLite database may have that many `pages`, 0 = as many as it likes."""

    def __init__(
        self, city: City, folder: Path, config: Mapping[str, Any], size: int, *, pages: int = 0
    ) -> None:
        self._start = forking()
        self._pages = pages
        self._folder = folder
        self._ports = [free_port() for _ in range(size)]
        self._paths = []
        for number, port in enumerate(self._ports):
            service = {**config["service"], "listen": f"127.0.0.1:{port}"}
            path = folder / f"process-{number}.yaml"
            self._paths.append(city.write(path, {**config, "service": service}))
        self._processes: list[BaseProcess | None] = [None] * size
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, name="memory", daemon=True)
        self.kills = 0
        self.peak = 0
        """The largest resident memory of one process with its children, in bytes."""

    def __enter__(self) -> "Fleet":
        for number in range(len(self._paths)):
            self.start(number)
        self._sampler.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        for process in self._living():
            process.kill()
            process.join()
        self._sampler.join()

    def doors(self) -> Sequence[str]:
        """Where they listen for webhooks."""
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    def start(self, number: int) -> None:
        """Start one, again or for the first time."""
        log = str(self._folder / f"process-{number}.log")
        self._processes[number] = self._start(
            "run", "--config", str(self._paths[number]), log=log, pages=self._pages
        )

    def kill(self, dice: random.Random) -> None:
        """SIGKILL one of them, and start it again at once."""
        number = dice.randrange(len(self._processes))
        process = self._processes[number]
        if process is not None:
            process.kill()
            process.join()
            self.kills += 1
        self.start(number)

    def end(self) -> list[int | None]:
        """SIGTERM to all; their exit codes."""
        living = self._living()
        for process in living:
            if process.pid is not None:
                os.kill(process.pid, signal.SIGTERM)
        for process in living:
            process.join(60)
        return [process.exitcode for process in living]

    def wait(self, patience: float) -> list[int | None]:
        """Until they have ended by themselves; their exit codes, None for who has not."""
        for process in self._living():
            process.join(patience)
        return [process.exitcode for process in self._processes if process is not None]

    def told(self) -> list[str]:
        """All lines of their logs."""
        return [
            line
            for path in sorted(self._folder.glob("process-*.log"))
            for line in path.read_text(errors="replace").splitlines()
        ]

    def errors(self) -> list[str]:
        """Lines of the logs that no fault of others accounts for."""
        return [line for line in self.told() if " ERROR calbridge.jobs run of link " in line]

    def _living(self) -> list[BaseProcess]:
        return [
            process for process in self._processes if process is not None and process.is_alive()
        ]

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE):
            for process in self._living():
                with suppress(psutil.Error):
                    main = psutil.Process(process.pid)
                    family = [main, *main.children(recursive=True)]
                    self.peak = max(self.peak, sum(_rss(member) for member in family))


def _rss(process: psutil.Process) -> int:
    """What the process has for itself: pages that it shares with its parent are nobody's."""
    if sys.platform == "linux":
        return int(process.memory_full_info().uss)
    return int(process.memory_info().rss)
