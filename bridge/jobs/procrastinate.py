"""The engine that hands wake-ups from machine to machine through Procrastinate's queue.

A Procrastinate job is nothing but a link's number; it is written in the transaction that made the
link due, never fails, is never retried and is deleted when it ends. The row decides everything:
whether the link is still due, who has it, when it comes back. So no fault of the queue can run a
link twice, and none can lose one, because links that are due without a job are sent again.

Jobs carry a queueing lock (one waiting job per link) but no lock: the row is one already, and a
lock stays behind with a job whose end could not be stored, which would stop the link for good
(Procrastinate documentation, "Ensure jobs run sequentially and in order", "Retry stalled jobs").
"""

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Status
from sqlalchemy import Connection, Text, cast, column, exists, literal_column, select, table

from bridge.jobs.port import LEASE, Engine, Handler, Workers
from bridge.jobs.running import Runs
from bridge.store import Store, StoreError, Tx
from bridge.store.crowding import uncrowded
from bridge.store.schema import jobs

TASK = "run_link"
QUEUE = "links"
TICK = 1.0
"""Seconds between looks for links whose back-off or poll is over, or whose job was lost."""
SWEEP = 100
"""How many links are sent in one tick at most."""
RESCUE_EVERY = 10
"""Ticks between looks for jobs that died with their worker."""
GRACE = 5.0
"""Seconds that a worker of the queue waits for its jobs before it leaves them to themselves."""
SILENCE = 30.0
"""Seconds without a heartbeat after which a worker of the queue counts as dead."""

_log = logging.getLogger("calbridge.jobs")
_queue = table("procrastinate_jobs", column("queueing_lock"), column("status"))


class ProcrastinateEngine(Engine):
    """Sends each link that becomes due through the queue. Raises `StoreError` without
    PostgreSQL."""

    def __init__(self, store: Store) -> None:
        if store.libpq is None:
            raise StoreError("the engine procrastinate needs a PostgreSQL database")
        self.libpq = dict(store.libpq)
        # Never opened: it writes through the connections of our own transactions.
        self._sender = App(connector=SyncPsycopgConnector())
        _apply_schema(store, self._sender)
        super().__init__(store)

    def notify(self, connection: Connection, links: Collection[int]) -> None:
        """Write a job for each link that has none waiting, in this transaction."""
        raw = connection.connection.driver_connection
        for link in sorted(links):
            try:
                # A job that waits already breaks a unique index, and only the savepoint with it.
                with connection.begin_nested():
                    self._sender.configure_task(
                        TASK, queue=QUEUE, queueing_lock=str(link), connection=raw
                    ).defer(link=link)
            except AlreadyEnqueued:
                continue
            except ConnectorException as error:
                _log.warning(
                    "link %s is due, but could not be queued yet: %s", link, error.__cause__
                )

    def send_due(self, now: datetime, per_account: int | None) -> None:
        """Send the links that are due, may run and have no job waiting, each in a transaction of
        its own: their back-off or poll is over, their account was busy, or their job was lost."""
        for link in self._unsent(now + self.store.skew, per_account):
            with self.store.begin() as tx:
                self.notify(tx.connection, [link])

    def _unsent(self, now: datetime, per_account: int | None) -> list[int]:
        waiting = exists().where(
            _queue.c.queueing_lock == cast(jobs.c.link_id, Text),
            _queue.c.status == literal_column("'todo'"),
        )
        query = select(jobs.c.link_id).where(jobs.c.run_at <= now, ~waiting).order_by(jobs.c.run_at)
        with self.store.reading() as connection:
            if per_account is None:
                return sorted(connection.scalars(query.limit(SWEEP)))
            found = uncrowded(connection, query, SWEEP, now, per_account)
            return sorted(row.link_id for row in found)

    def workers(
        self,
        handler: Handler,
        *,
        now: Callable[[], datetime],
        threads: int = 4,
        lease: timedelta = LEASE,
        per_account: int | None = None,
    ) -> Workers:
        """A Procrastinate worker in a thread of its own, with that many jobs at once."""
        return ProcrastinateWorkers(
            self, handler, now=now, threads=threads, lease=lease, per_account=per_account
        )


class ProcrastinateWorkers(Workers):
    """A worker of the queue, started again whenever it ends, and a look at what it missed."""

    def __init__(
        self,
        engine: ProcrastinateEngine,
        handler: Handler,
        *,
        now: Callable[[], datetime],
        threads: int,
        lease: timedelta,
        per_account: int | None,
    ) -> None:
        self._engine = engine
        self._now = now
        self._slots = threads
        self._per_account = per_account
        self._crowded = False
        self._room = asyncio.Event()
        self._runs = Runs(
            engine.store,
            handler,
            now=now,
            lease=lease,
            per_account=per_account,
            ended=self._ended,
            freed=self._make_room,
        )
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._thread = threading.Thread(target=self._serve, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin to take jobs."""
        self._runs.start()
        self._thread.start()

    def wake(self) -> None:
        """Nothing to do: the queue tells its workers itself."""

    def stop(self, patience: float = 8.0) -> None:
        """Take no more jobs, let runs end at their next commit, wait up to `patience` seconds."""
        deadline = time.monotonic() + patience
        self._runs.stop()
        self._stop.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._cancel)
        if self._thread.is_alive():
            self._thread.join(patience)
        self._runs.close(deadline - time.monotonic())

    @property
    def busy(self) -> int:
        """How many links are running now."""
        return self._runs.busy

    def _ended(self, tx: Tx, link: int) -> None:
        """Due again at once: a hint came during the run."""
        job = tx.job(link)
        if job and job.run_at and job.run_at <= self._now() + tx.skew:
            self._engine.notify(tx.connection, [link])

    def _make_room(self) -> None:
        """A run has ended: a link that its account had no room for may run now."""
        if self._crowded and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended before us
                self._loop.call_soon_threadsafe(self._room.set)

    # -- in the thread of the loop -----------------------------------------------------------------

    def _serve(self) -> None:
        # psycopg needs a selector loop, which is not Windows' default.
        with (
            contextlib.suppress(asyncio.CancelledError),
            asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
        ):
            self._loop = runner.get_loop()
            runner.run(self._work())

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        self._task = asyncio.current_task()
        while not self._stop.is_set():
            try:
                await self._work_once()
            except Exception:  # noqa: BLE001 the loop must outlive any fault
                _log.exception("the queue does not answer; trying again")
                await asyncio.sleep(TICK)

    async def _work_once(self) -> None:
        """One life of a Procrastinate worker: it ends when the database is away."""
        pool: dict[str, Any] = {"min_size": 1, "max_size": 4, "timeout": 5.0}
        app = App(connector=PsycopgConnector(kwargs=self._engine.libpq, **pool))
        app.task(name=TASK, queue=QUEUE)(self._job)
        async with app.open_async():
            tending = asyncio.create_task(self._tend(app))
            try:
                await app.run_worker_async(
                    queues=[QUEUE],
                    concurrency=self._slots,
                    install_signal_handlers=False,
                    delete_jobs="always",
                    shutdown_graceful_timeout=GRACE,
                    stalled_worker_timeout=SILENCE,
                )
            finally:
                tending.cancel()

    async def _job(self, link: int) -> None:
        """What a job does. It never fails: the row knows how the run went."""
        await _in_thread(f"link-{link}", self._run, link)

    def _run(self, link: int) -> None:
        try:
            claims = self._runs.claim(1, link)
            self._crowded = self._crowded or not claims
            for claim, owner in claims:
                self._runs.run(claim, owner)
        except Exception:  # noqa: BLE001 the link stays due and is sent again
            _log.exception("link %s could not be claimed; trying again", link)

    async def _tend(self, app: App) -> None:
        for tick in itertools.count():
            self._crowded = False
            self._room.clear()
            try:
                await _in_thread("unsent", self._engine.send_due, self._now(), self._per_account)
                if tick % RESCUE_EVERY == 0:
                    await _bury(app)
            except Exception:  # noqa: BLE001 the loop must outlive any fault
                _log.exception("due links could not be looked for; trying again")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), TICK)


async def _in_thread(name: str, call: Callable[..., None], *arguments: Any) -> None:
    """Wait for a call in a thread of its own. asyncio's own threads are few, and keep a process
    alive that wants to end."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()

    def settle(error: Exception | None) -> None:
        if over.done():
            return  # nobody waits any more
        if error is None:
            over.set_result(None)
        else:
            over.set_exception(error)

    def work() -> None:
        failed: Exception | None = None
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 raised where it is waited for
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has ended before us
            loop.call_soon_threadsafe(settle, failed)

    threading.Thread(target=work, name=name, daemon=True).start()
    await over


async def _bury(app: App) -> None:
    """Delete jobs that died with their worker. They are not tried again: their links are still
    due, and another job may wait for them already, which a retry would clash with."""
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=SILENCE):
        await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)


def _apply_schema(store: Store, app: App) -> None:
    """Create Procrastinate's tables beside ours, once, whoever starts first."""
    with store.reading() as connection:
        if _applied(connection):
            return
    with store.lock("migrate"), store.begin() as tx:
        if not _applied(tx.connection):
            tx.connection.exec_driver_sql(app.schema_manager.get_schema().replace("%", "%%"))


def _applied(connection: Connection) -> bool:
    found = connection.exec_driver_sql("SELECT to_regclass('procrastinate_jobs')")
    return found.scalar() is not None
