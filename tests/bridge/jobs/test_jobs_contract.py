"""What every engine promises: no hint is missed, no link runs twice at once, no fault ends it."""

import threading
import time
from collections import Counter
from datetime import datetime, timedelta

import pytest

from bridge.jobs import Done, Ending, Failed, Fence, Snooze
from bridge.records import LinkState
from bridge.store import Claim


def test_a_hint_runs_its_link_and_no_other(bench, start) -> None:
    first, second = bench.add_links(2)
    runs: Counter[int] = Counter()

    def handler(claim: Claim, _fence: Fence) -> Ending:
        runs[claim.link_id] += 1
        return Done(None)

    workers = start(handler)
    bench.hint(first)
    workers.wake()
    bench.until(lambda: runs[first] == 1 and bench.idle())
    assert runs[second] == 0


def test_hints_during_a_run_cause_one_more_run(bench, start) -> None:
    [link] = bench.add_links(1)
    runs, running, go_on = [0], threading.Event(), threading.Event()

    def handler(_claim: Claim, _fence: Fence) -> Ending:
        runs[0] += 1
        running.set()
        go_on.wait(bench.PATIENCE)
        return Done(None)

    start(handler)
    bench.hint(link)
    assert running.wait(bench.PATIENCE)
    for _hint in range(5):
        bench.hint(link)
    go_on.set()
    bench.until(lambda: runs[0] == 2 and bench.idle())
    time.sleep(0.1)
    assert runs[0] == 2


def test_a_due_poll_runs_a_link_without_a_hint(bench, start) -> None:
    [link] = bench.add_links(1)
    runs = [0]

    def handler(_claim: Claim, _fence: Fence) -> Ending:
        runs[0] += 1
        return Done(bench.soon() if runs[0] < 3 else None)

    start(handler)
    bench.hint(link)
    bench.until(lambda: runs[0] == 3 and bench.idle())


def test_a_failing_link_is_tried_again_and_tells_why(bench, start) -> None:
    [link] = bench.add_links(1)
    attempts: list[int] = []

    def handler(claim: Claim, _fence: Fence) -> Ending:
        attempts.append(claim.attempts)
        return Failed("the provider is down", bench.soon()) if len(attempts) < 3 else Done(None)

    start(handler)
    bench.hint(link)
    bench.until(lambda: len(attempts) == 3 and bench.idle())
    assert attempts == [0, 1, 2]
    job = bench.store.job(link)
    assert job is not None
    assert (job.attempts, job.error) == (0, "")


def test_a_handler_that_raises_is_a_failure_to_be_tried_again(bench, start) -> None:
    bad, good = bench.add_links(2)
    runs: Counter[int] = Counter()

    def handler(claim: Claim, _fence: Fence) -> Ending:
        runs[claim.link_id] += 1
        if claim.link_id == bad:
            raise ZeroDivisionError("a fault of ours")
        return Done(None)

    start(handler)
    bench.hint(bad, good)
    bench.until(lambda: runs[good] == 1 and runs[bad] >= 1)
    bench.until(
        lambda: (job := bench.store.job(bad)) is not None and "ZeroDivisionError" in job.error
    )
    job = bench.store.job(bad)
    assert job is not None
    assert job.attempts >= 1
    assert job.run_at is not None
    assert "a fault of ours" not in job.error


def test_a_failure_without_another_try_parks_the_link(bench, start) -> None:
    [link] = bench.add_links(1)
    start(lambda _claim, _fence: Failed("never again", None))
    bench.hint(link)
    bench.until(lambda: (job := bench.store.job(link)) is not None and job.parked)


def test_a_snoozing_link_comes_back_by_itself_and_a_hint_does_not_hurry_it(bench, start) -> None:
    [link] = bench.add_links(1)
    ends: list[datetime] = []

    def handler(_claim: Claim, _fence: Fence) -> Ending:
        ends.append(bench.soon(0))
        return Snooze(bench.soon(150)) if len(ends) == 1 else Done(None)

    start(handler)
    bench.hint(link)
    bench.until(lambda: len(ends) == 1)
    bench.hint(link)
    bench.until(lambda: len(ends) == 2 and bench.idle())
    assert ends[1] - ends[0] >= timedelta(milliseconds=140)
    job = bench.store.job(link)
    assert job is not None
    assert job.attempts == 0


def test_whoever_lost_a_link_commits_nothing_more(bench, start) -> None:
    [link] = bench.add_links(1)
    running, taken, outcomes = threading.Event(), threading.Event(), []

    def handler(_claim: Claim, fence: Fence) -> Ending:
        if outcomes:
            return Done(None)
        outcomes.append("began")
        running.set()
        taken.wait(bench.PATIENCE)
        with bench.store.begin() as tx:
            fence(tx)
            tx.set_link_state(link, LinkState.PAUSED, "written by one who had lost it")
        outcomes.append("committed")
        return Done(None)

    start(handler)
    bench.hint(link)
    assert running.wait(bench.PATIENCE)
    with bench.store.begin() as tx:
        assert tx.claim("thief", 1, bench.soon(3_600_000), 3600)
    taken.set()
    bench.until(lambda: not any(t.name == f"link-{link}" for t in threading.enumerate()))
    assert outcomes == ["began"]
    stored = bench.store.link_by_id(link)
    assert stored is not None
    assert stored.state is LinkState.ACTIVE
    job = bench.store.job(link)
    assert job is not None
    assert job.owner == "thief"


def test_a_long_run_keeps_its_lease(bench, start) -> None:
    [link] = bench.add_links(1)
    runs, go_on = [0], threading.Event()

    def handler(_claim: Claim, fence: Fence) -> Ending:
        runs[0] += 1
        go_on.wait(bench.PATIENCE)
        with bench.store.begin() as tx:
            fence(tx)
        return Done(None)

    start(handler, lease=timedelta(seconds=2))
    bench.hint(link)
    bench.until(lambda: runs[0] == 1)
    time.sleep(2.6)
    go_on.set()
    bench.until(bench.idle)
    assert runs[0] == 1


def test_stopping_ends_a_run_at_its_next_commit_and_leaves_it_due(bench, start) -> None:
    [link] = bench.add_links(1)
    running = threading.Event()

    def handler(_claim: Claim, fence: Fence) -> Ending:
        running.set()
        while True:
            time.sleep(0.005)
            with bench.store.begin() as tx:
                fence(tx)

    workers = start(handler)
    bench.hint(link)
    assert running.wait(bench.PATIENCE)
    workers.stop(bench.PATIENCE)
    assert workers.busy == 0
    job = bench.store.job(link)
    assert job is not None
    assert (job.owner, job.pending, job.attempts) == (None, True, 0)
    finished = threading.Event()

    def take_up(_claim: Claim, _fence: Fence) -> Ending:
        finished.set()
        return Done(None)

    start(take_up)
    assert finished.wait(bench.PATIENCE)


def test_stopping_waits_no_longer_than_its_patience_however_many_are_stuck(bench, start) -> None:
    links = bench.add_links(6)
    stuck, release = threading.Barrier(len(links) + 1), threading.Event()

    def handler(_claim: Claim, _fence: Fence) -> Ending:
        stuck.wait(bench.PATIENCE)
        release.wait(bench.PATIENCE)
        return Done(None)

    workers = start(handler, threads=len(links))
    bench.hint(*links)
    stuck.wait(bench.PATIENCE)
    began = time.monotonic()
    workers.stop(1)
    # Six times the patience would be 6 s.
    assert time.monotonic() - began < 5
    release.set()
    bench.until(lambda: workers.busy == 0)


def test_a_database_that_does_not_answer_for_a_while_ends_nothing(
    bench, start, monkeypatch: pytest.MonkeyPatch
) -> None:
    [link] = bench.add_links(1)
    ran, refusals = threading.Event(), [0]
    begin = bench.store.begin

    def unwilling(**how: bool) -> object:
        if threading.current_thread().name in ("jobs", f"link-{link}") and refusals[0] < 3:
            refusals[0] += 1
            raise ConnectionError("the database is away")
        return begin(**how)

    monkeypatch.setattr(bench.store, "begin", unwilling)

    def handler(_claim: Claim, _fence: Fence) -> Ending:
        ran.set()
        return Done(None)

    start(handler)
    bench.hint(link)
    assert ran.wait(bench.PATIENCE)
    assert refusals[0] == 3
    bench.until(bench.idle)


def test_stats_count_the_links_by_what_they_wait_for(bench) -> None:
    due, _later, running, snoozed, parked, _never = bench.add_links(6)
    past = bench.soon(-5000)
    with bench.store.begin() as tx:
        tx.hint([running], past)
        tx.claim("w1", 1, past, 3600)
        tx.hint([snoozed, parked], past)
        tx.claim("w2", 2, past, 3600)
        tx.snooze(snoozed, "w2", bench.soon(60_000))
        tx.fail(parked, "w2", "the calendar is full", None)
        tx.hint([due], past)
    stats = bench.store.job_stats(bench.soon(0))
    assert (stats.due, stats.running, stats.snoozed, stats.parked) == (1, 1, 1, 1)
    assert abs(stats.oldest_due - past) < timedelta(milliseconds=1)


def test_a_parked_link_runs_again_when_a_person_says_so(bench, start) -> None:
    [link] = bench.add_links(1)
    runs = [0]

    def handler(_claim: Claim, _fence: Fence) -> Ending:
        runs[0] += 1
        return Failed("never again", None) if runs[0] == 1 else Done(None)

    start(handler)
    bench.hint(link)
    bench.until(lambda: bench.store.job_stats(bench.soon(0)).parked == 1)
    bench.hint(link)
    assert runs == [1]
    with bench.store.begin() as tx:
        assert tx.replay(link, bench.soon(0))
    bench.until(bench.idle)
    assert runs == [2]


def test_as_many_links_run_at_once_as_there_are_threads(bench, start) -> None:
    """More than Python's own pool for blocking work has on a small machine."""
    links = bench.add_links(40)
    together = threading.Barrier(len(links))
    met: list[int] = []

    def handler(claim: Claim, _fence: Fence) -> Ending:
        together.wait(bench.PATIENCE)
        met.append(claim.link_id)
        return Done(None)

    start(handler, threads=len(links))
    bench.hint(*links)
    bench.until(lambda: len(met) == len(links) and bench.idle())
    assert sorted(met) == sorted(links)


def test_of_one_account_no_more_links_run_at_once_than_may(bench, start) -> None:
    links = bench.add_links(8)
    lock, running, most = threading.Lock(), [0], [0]
    ran: Counter[int] = Counter()

    def handler(claim: Claim, _fence: Fence) -> Ending:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1
            ran[claim.link_id] += 1
        return Done(None)

    start(handler, threads=4, per_account=2)
    bench.hint(*links)
    bench.until(bench.idle)
    assert ran == Counter(links)
    assert most[0] <= 2
