"""Several processes: they wake each other, and what one leaves behind another takes up."""

import os
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, select

from bridge.jobs import Done, Ending, Fence
from bridge.store import Claim, Store
from bridge.store.schema import jobs

FOREVER = 3600.0
LEASE = timedelta(seconds=2)


class Runs:
    """A handler that notes the attempts before each of its runs."""

    def __init__(self, again: timedelta | None = None) -> None:
        self.attempts: list[int] = []
        self._again = again

    def __call__(self, claim: Claim, _fence: Fence) -> Ending:
        self.attempts.append(claim.attempts)
        return Done(self._again and datetime.now(UTC) + self._again)


def test_a_hint_of_another_process_is_heard_by_workers_that_do_not_look(
    bench, start, open_again: Callable[[], Store]
) -> None:
    links = bench.add_links(2)
    runs = Runs()
    start(runs, open_again(), idle=FOREVER)
    for number, link in enumerate(links, 1):
        bench.hint(link)
        bench.until(lambda number=number: len(runs.attempts) == number)


@pytest.mark.parametrize("kind", ["embedded-postgresql"], indirect=True)
def test_workers_listen_again_after_their_connection_broke(
    bench, start, cut_off, open_again: Callable[[], Store]
) -> None:
    [link] = bench.add_links(1)
    runs = Runs()
    start(runs, open_again(), idle=FOREVER)
    bench.hint(link)
    bench.until(bench.idle)
    cut_off()
    bench.hint(link)
    bench.until(bench.idle)
    bench.hint(link)
    bench.until(bench.idle)
    assert len(runs.attempts) == 3


def test_what_a_killed_process_ran_is_taken_up_by_another(bench, start, other_process) -> None:
    [link] = bench.add_links(1)
    victim = other_process("hangs", LEASE.total_seconds())
    bench.hint(link)
    assert victim.running() == 0
    runs = Runs()
    start(runs, lease=LEASE)
    victim.kill()
    bench.hint(link)
    bench.until(bench.idle)
    assert runs.attempts == [1]


@pytest.mark.parametrize("kind", ["embedded-sqlite"], indirect=True)
@pytest.mark.skipif(os.name == "nt", reason="Windows has no shared file locks")
def test_whoever_starts_alone_waits_for_no_lease_of_the_dead(bench, start, other_process) -> None:
    [link] = bench.add_links(1)
    victim = other_process("hangs", FOREVER)
    bench.hint(link)
    victim.running()
    victim.kill()
    runs = Runs()
    start(runs)
    bench.until(bench.idle)
    assert runs.attempts == [1]


def test_whoever_joins_others_takes_no_link_from_the_living(
    bench, start, open_again: Callable[[], Store]
) -> None:
    first, second = bench.add_links(2)
    running, go_on = threading.Event(), threading.Event()

    def slow(_claim: Claim, _fence: Fence) -> Ending:
        running.set()
        go_on.wait(bench.PATIENCE)
        return Done(None)

    start(slow, threads=1)
    bench.hint(first)
    assert running.wait(bench.PATIENCE)
    runs = Runs()
    start(runs, open_again())
    bench.hint(second)
    bench.until(lambda: bench.rests(second))
    go_on.set()
    bench.until(bench.idle)
    assert runs.attempts == [0]


def test_a_link_that_kills_its_process_pauses_while_others_go_on(
    bench, start, other_process
) -> None:
    poison, good = bench.add_links(2)
    bench.hint(poison)
    for before in range(2):
        victim = other_process("dies", 1.0)
        assert victim.running() == before
        assert victim.dead() == 9
    runs = Runs()
    start(runs)
    bench.until(lambda: bench.store.job(poison).owner is None)
    job = bench.store.job(poison)
    assert (job.deaths, job.attempts) == (2, 2)
    assert job.not_before > datetime.now(UTC)
    bench.hint(poison, good)
    bench.until(lambda: bench.rests(good))
    assert runs.attempts == [0]


@pytest.mark.parametrize("kind", ["embedded-postgresql", "procrastinate-postgresql"], indirect=True)
def test_a_machine_whose_clock_is_ahead_takes_no_lease_and_delays_no_hint(
    bench, start, open_again: Callable[..., Store]
) -> None:
    first, second = bench.add_links(2)
    running, go_on = threading.Event(), threading.Event()

    def ahead() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=5)

    def slow(claim: Claim, _fence: Fence) -> Ending:
        if claim.link_id == first:
            running.set()
            go_on.wait(bench.PATIENCE)
        return Done(None)

    start(slow)
    bench.hint(first)
    assert running.wait(bench.PATIENCE)
    elsewhere = open_again(now=ahead, wall=ahead)
    early = Runs()
    fast = start(early, elsewhere, now=ahead)
    time.sleep(1.5)
    assert early.attempts == []
    fast.stop()
    with elsewhere.begin() as tx:
        tx.hint([second], ahead())
    bench.until(lambda: bench.rests(second))
    go_on.set()
    bench.until(bench.idle)


def test_idle_workers_write_nothing_and_seldom_look(bench, start) -> None:
    links = bench.add_links(200)
    runs = Runs(again=timedelta(hours=1))
    start(runs, idle=1.0)
    bench.hint(*links)
    bench.until(bench.idle)
    time.sleep(0.5)
    said: list[str] = []

    def listen(_connection, _cursor, statement: str, *_rest: object) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        time.sleep(3)
    finally:
        event.remove(Engine, "before_cursor_execute", listen)
    assert all(statement.lstrip().startswith("SELECT") for statement in said), said
    # One a second, and one for each of the two clocks that may just have struck.
    assert len(said) <= 5, said
    assert len(runs.attempts) == len(links)


@pytest.mark.nightly
def test_processes_that_are_killed_all_the_time_miss_nothing_and_never_overlap(
    bench, other_process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKS", str(tmp_path))
    links = bench.add_links(40)
    source = dict.fromkeys(links, 0)
    processes = [other_process("learns", 6.0) for _process in range(2)]
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            link = random.choice(links)
            source[link] += 1
            with bench.store.begin() as tx:
                tx.put_setting(f"source:{link}", str(source[link]))
                tx.hint([link], datetime.now(UTC))
            time.sleep(0.005)

    changing = threading.Thread(target=change)
    changing.start()
    for number in range(10):
        time.sleep(3)
        processes[number % 2].kill()
        processes[number % 2] = other_process("learns", 6.0)
    over.set()
    changing.join()
    bench.until(bench.idle)
    changed = {link: str(value) for link, value in source.items() if value}
    assert {link: bench.store.setting(f"seen:{link}") for link in changed} == changed
    assert list(tmp_path.glob("*-overlap")) == []
    assert bench.store.job_stats(bench.soon(0)).parked == 0


@pytest.mark.parametrize("kind", ["embedded-postgresql"], indirect=True)
def test_leases_are_prolonged_in_the_order_in_which_hints_lock_links(bench, start) -> None:
    """Two transactions that lock the same rows in different orders wait for each other."""
    links = bench.add_links(8)
    held, let_go = threading.Barrier(len(links) + 1), threading.Event()

    def hold(_claim: Claim, _fence: Fence) -> Ending:
        held.wait(bench.PATIENCE)
        let_go.wait(bench.PATIENCE)
        return Done(None)

    workers = start(hold, threads=len(links), lease=timedelta(hours=1))
    for link in links:  # each claimed by itself
        bench.hint(link)
        bench.until(lambda link=link: bench.store.job(link).owner is not None)
    held.wait(bench.PATIENCE)
    beating = threading.Thread(target=workers._runs._beat)
    try:
        with bench.store.begin() as tx:
            locked = select(jobs.c.link_id).with_for_update(nowait=True)
            tx.connection.execute(locked.where(jobs.c.link_id == min(links)))
            beating.start()
            time.sleep(0.2)  # it waits for the first link, and has none of the others
            tx.connection.execute(locked)
    finally:
        let_go.set()
        beating.join()
