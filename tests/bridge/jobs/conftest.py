"""Every engine on every database it runs on."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from bridge.jobs import Done, Ending, Fence, Handler, Workers, open_engine
from bridge.records import Endpoint, Link
from bridge.store import Claim, Store, open_store
from bridge.vault import Vault

PATIENCE = 30.0
KINDS = ("embedded-sqlite", "embedded-postgresql", "procrastinate-postgresql")
ON_POSTGRESQL = KINDS[1:]


def now() -> datetime:
    return datetime.now(UTC)


class Bench:
    """A store whose engine hears of hints, with some links."""

    PATIENCE = PATIENCE

    def __init__(self, store: Store) -> None:
        self.store = store

    def add_links(self, count: int) -> list[int]:
        ends = [
            Endpoint(connector=name, account="ann", calendar="c") for name in ("feishu", "google")
        ]
        with self.store.begin() as tx:
            return [
                tx.put_link(
                    Link(id=0, uid=f"u{n}", name=f"l{n}", user="ann", a=ends[0], b=ends[1])
                ).id
                for n in range(count)
            ]

    def hint(self, *links: int) -> None:
        with self.store.begin() as tx:
            tx.hint(links, now())

    def soon(self, milliseconds: int = 1) -> datetime:
        return now() + timedelta(milliseconds=milliseconds)

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.005)

    def bookkeeper(self, links: list[int]) -> "Bookkeeper":
        return Bookkeeper(links)

    def idle(self) -> bool:
        return all(not job.pending and job.owner is None for job in self.store.jobs())

    def rests(self, link: int) -> bool:
        job = self.store.job(link)
        return job is not None and not job.pending and job.owner is None


class Bookkeeper:
    """A handler that notes what it saw of a source, and whether runs of a link ever overlapped."""

    def __init__(self, links: list[int]) -> None:
        self.source = dict.fromkeys(links, 0)
        self.seen = dict.fromkeys(links, 0)
        self.runs = 0
        self.overlaps = 0
        self._running: set[int] = set()
        self._lock = threading.Lock()

    def change(self, link: int) -> None:
        with self._lock:
            self.source[link] += 1

    def __call__(self, claim: Claim, _fence: Fence) -> Ending:
        link = claim.link_id
        with self._lock:
            self.runs += 1
            self.overlaps += link in self._running
            self._running.add(link)
            value = self.source[link]
        time.sleep(0.001)
        ending = self.end()
        with self._lock:
            if isinstance(ending, Done):
                self.seen[link] = max(self.seen[link], value)
            self._running.discard(link)
        return ending

    def end(self) -> Ending:
        return Done(None)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def engine_name(kind: str) -> str:
    return kind.partition("-")[0]


@pytest.fixture
def database_url(kind: str, request: pytest.FixtureRequest) -> str:
    url = str(request.getfixturevalue(f"{kind.partition('-')[2]}_url"))
    return f"{url}&application_name=jobs" if url.startswith("postgresql") else url


@pytest.fixture
def open_again(database_url: str, engine_name: str, vault: Vault) -> Iterator[Callable[..., Store]]:
    """Opens the test's database once more, as another process would."""
    opened: list[Store] = []

    def open_one(**options: Any) -> Store:
        store = open_store(database_url, vault=vault, **{"now": now, **options})
        opened.append(store)
        open_engine(engine_name, store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)


@pytest.fixture
def start(store: Store, engine_name: str) -> Iterator[Callable[..., Workers]]:
    """Starts workers on the test's store, or on another one; ends them with the test."""
    started: list[Workers] = []

    def start_one(handler: Handler, on: Store | None = None, **options: Any) -> Workers:
        if engine_name == "embedded":
            options.setdefault("idle", 0.02)
        else:
            options.pop("idle", None)
        engine = open_engine(engine_name, on or store)
        workers = engine.workers(handler, **{"now": now, **options})
        started.append(workers)
        workers.start()
        return workers

    yield start_one
    for workers in started:
        workers.stop()


# -- other processes -------------------------------------------------------------------------------

# `learn` notes what a run saw of its link's source, and whether it was not alone with it.
PROCESS = """
import os, random, sys, time
from datetime import UTC, datetime, timedelta
from bridge.jobs import Done, Failed, open_engine
from bridge.store import open_store
from bridge.vault import Vault

url, name, lease, what = sys.argv[1:]
now = lambda: datetime.now(UTC)

def handler(claim, fence):
    print("runs", claim.link_id, claim.attempts, flush=True)
    if what == "hangs":
        time.sleep(600)
    if what == "dies":
        os._exit(9)
    if what == "learns":
        return learn(claim.link_id, fence)
    return Done(None)

def learn(link, fence):
    import fcntl

    place = os.path.join(os.environ["LOCKS"], str(link))
    with open(place, "a") as alone:
        try:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            open(place + "-overlap", "a").close()
        value = store.setting(f"source:{link}")
        time.sleep(0.02)
        if random.random() < 0.05:
            return Failed("now and then", now() + timedelta(milliseconds=100))
        with store.begin() as tx:
            fence(tx)
            tx.put_setting(f"seen:{link}", value)
    return Done(None)

store = open_store(url, vault=Vault([Vault.generate_key()]), now=now)
workers = open_engine(name, store).workers(
    handler, now=now, lease=timedelta(seconds=float(lease)), threads=1
)
workers.start()
sys.stdin.read()
"""


class Process:
    """Workers in a process of their own, which hang, die, or finish whatever they run."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-c", PROCESS, *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def running(self) -> int:
        """Waits until it runs a link: the attempts before."""
        assert self._process.stdout is not None
        word, _link, attempts = self._process.stdout.readline().split()
        assert word == "runs"
        return int(attempts)

    def dead(self) -> int:
        """Waits until it has ended by itself."""
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def other_process(database_url: str, engine_name: str) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start_one(what: str, lease: float = 2.0) -> Process:
        started.append(Process(database_url, engine_name, str(lease), what))
        return started[-1]

    yield start_one
    for process in started:
        process.kill()


@pytest.fixture
def cut_off(database_url: str) -> Iterator[Callable[[], None]]:
    """Ends all sessions of the test at the server, as its restart would."""
    engine = create_engine(
        database_url.replace("postgresql:", "postgresql+psycopg:").replace("=jobs", "=cutter"),
        isolation_level="AUTOCOMMIT",
    )
    ending = text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE application_name = 'jobs' AND datname = current_database()"
    )

    def cut() -> None:
        with engine.connect() as connection:
            assert connection.scalar(ending)

    yield cut
    engine.dispose()
