"""The workers: no hint is missed, no link runs twice at once, no fault ends the loop."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bridge.jobs import Done, EmbeddedEngine, Ending, Failed, Snooze, Workers
from bridge.records import Endpoint, Link, LinkState
from bridge.store import Claim, Store, Tx

PATIENCE = 20.0
Fence = Callable[[Tx], None]
Start = Callable[..., Workers]


def now() -> datetime:
    return datetime.now(UTC)


def soon(milliseconds: int = 1) -> datetime:
    return now() + timedelta(milliseconds=milliseconds)


def add_links(store: Store, count: int) -> list[int]:
    ends = [Endpoint(connector=name, account="ann", calendar="c") for name in ("feishu", "google")]
    with store.begin() as tx:
        return [
            tx.put_link(Link(id=0, uid=f"u{n}", name=f"l{n}", user="ann", a=ends[0], b=ends[1])).id
            for n in range(count)
        ]


def hint(store: Store, links: list[int]) -> None:
    with store.begin() as tx:
        tx.hint(links, now())


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def idle(store: Store) -> bool:
    return all(not job.pending and job.owner is None for job in store.jobs())


@pytest.fixture
def start(store: Store) -> Iterator[Start]:
    """Starts workers on the test's store, or on another one; ends them with the test."""
    started: list[Workers] = []

    def start_one(
        handler: Callable[[Claim, Fence], Ending], on: Store | None = None, **options: object
    ) -> Workers:
        engine = EmbeddedEngine(on or store)
        workers = engine.workers(handler, now=now, idle=0.02, **options)  # type: ignore[arg-type]
        started.append(workers)
        workers.start()
        return workers

    yield start_one
    for workers in started:
        workers.stop()


def test_a_hint_runs_its_link_and_no_other(store: Store, start: Start) -> None:
    first, second = add_links(store, 2)
    runs: Counter[int] = Counter()

    def handler(claim: Claim, _fence: Fence) -> Ending:
        runs[claim.link_id] += 1
        return Done(None)

    workers = start(handler)
    hint(store, [first])
    workers.wake()
    until(lambda: runs[first] == 1 and idle(store))
    assert runs[second] == 0


def test_hints_during_a_run_cause_one_more_run(store: Store, start: Start) -> None:
    [link] = add_links(store, 1)
    runs, running, go_on = [0], threading.Event(), threading.Event()

    def handler(_claim: Claim, _fence: Fence) -> Ending:
        runs[0] += 1
        running.set()
        go_on.wait(PATIENCE)
        return Done(None)

    start(handler)
    hint(store, [link])
    assert running.wait(PATIENCE)
    for _hint in range(5):
        hint(store, [link])
    go_on.set()
    until(lambda: runs[0] == 2 and idle(store))
    time.sleep(0.1)
    assert runs[0] == 2


def test_a_due_poll_runs_a_link_without_a_hint(store: Store, start: Start) -> None:
    [link] = add_links(store, 1)
    runs = [0]

    def handler(_claim: Claim, _fence: Fence) -> Ending:
        runs[0] += 1
        return Done(soon() if runs[0] < 3 else None)

    start(handler)
    hint(store, [link])
    until(lambda: runs[0] == 3 and idle(store))


def test_a_failing_link_is_tried_again_and_tells_why(store: Store, start: Start) -> None:
    [link] = add_links(store, 1)
    attempts: list[int] = []

    def handler(claim: Claim, _fence: Fence) -> Ending:
        attempts.append(claim.attempts)
        return Failed("the provider is down", soon()) if len(attempts) < 3 else Done(None)

    start(handler)
    hint(store, [link])
    until(lambda: len(attempts) == 3 and idle(store))
    assert attempts == [0, 1, 2]
    job = store.job(link)
    assert job is not None
    assert (job.attempts, job.error) == (0, "")


def test_a_handler_that_raises_is_a_failure_to_be_tried_again(store: Store, start: Start) -> None:
    bad, good = add_links(store, 2)
    runs: Counter[int] = Counter()

    def handler(claim: Claim, _fence: Fence) -> Ending:
        runs[claim.link_id] += 1
        if claim.link_id == bad:
            raise ZeroDivisionError("a fault of ours")
        return Done(None)

    start(handler)
    hint(store, [bad, good])
    until(lambda: runs[good] == 1 and runs[bad] >= 1)
    until(lambda: (job := store.job(bad)) is not None and "ZeroDivisionError" in job.error)
    job = store.job(bad)
    assert job is not None
    assert job.attempts >= 1
    assert job.run_at is not None
    assert "a fault of ours" not in job.error


def test_a_failure_without_another_try_parks_the_link(store: Store, start: Start) -> None:
    [link] = add_links(store, 1)
    start(lambda _claim, _fence: Failed("never again", None))
    hint(store, [link])
    until(lambda: (job := store.job(link)) is not None and job.parked)


def test_a_snoozing_link_comes_back_by_itself_and_a_hint_does_not_hurry_it(
    store: Store, start: Start
) -> None:
    [link] = add_links(store, 1)
    ends: list[datetime] = []

    def handler(_claim: Claim, _fence: Fence) -> Ending:
        ends.append(now())
        return Snooze(soon(150)) if len(ends) == 1 else Done(None)

    start(handler)
    hint(store, [link])
    until(lambda: len(ends) == 1)
    hint(store, [link])
    until(lambda: len(ends) == 2 and idle(store))
    assert ends[1] - ends[0] >= timedelta(milliseconds=140)
    job = store.job(link)
    assert job is not None
    assert job.attempts == 0


def test_whoever_lost_a_link_commits_nothing_more(store: Store, start: Start) -> None:
    [link] = add_links(store, 1)
    running, taken, outcomes = threading.Event(), threading.Event(), []

    def handler(_claim: Claim, fence: Fence) -> Ending:
        if outcomes:
            return Done(None)
        outcomes.append("began")
        running.set()
        taken.wait(PATIENCE)
        with store.begin() as tx:
            fence(tx)
            tx.set_link_state(link, LinkState.PAUSED, "written by one who had lost it")
        outcomes.append("committed")
        return Done(None)

    start(handler)
    hint(store, [link])
    assert running.wait(PATIENCE)
    with store.begin() as tx:
        assert tx.claim("thief", 1, now() + timedelta(hours=1), 3600)
    taken.set()
    until(lambda: not any(t.name == f"link-{link}" for t in threading.enumerate()))
    assert outcomes == ["began"]
    stored = store.link_by_id(link)
    assert stored is not None
    assert stored.state is LinkState.ACTIVE
    job = store.job(link)
    assert job is not None
    assert job.owner == "thief"


def test_a_long_run_keeps_its_lease(store: Store, start: Start) -> None:
    [link] = add_links(store, 1)
    runs, go_on = [0], threading.Event()

    def handler(_claim: Claim, fence: Fence) -> Ending:
        runs[0] += 1
        go_on.wait(PATIENCE)
        with store.begin() as tx:
            fence(tx)
        return Done(None)

    start(handler, lease=timedelta(seconds=1))
    hint(store, [link])
    until(lambda: runs[0] == 1)
    time.sleep(1.6)
    go_on.set()
    until(lambda: idle(store))
    assert runs[0] == 1


def test_stopping_ends_a_run_at_its_next_commit_and_leaves_it_due(
    store: Store, start: Start
) -> None:
    [link] = add_links(store, 1)
    running = threading.Event()

    def handler(_claim: Claim, fence: Fence) -> Ending:
        running.set()
        while True:
            time.sleep(0.005)
            with store.begin() as tx:
                fence(tx)

    workers = start(handler)
    hint(store, [link])
    assert running.wait(PATIENCE)
    workers.stop(PATIENCE)
    assert workers.busy == 0
    job = store.job(link)
    assert job is not None
    assert (job.owner, job.pending, job.attempts) == (None, True, 0)
    finished = threading.Event()

    def take_up(_claim: Claim, _fence: Fence) -> Ending:
        finished.set()
        return Done(None)

    start(take_up)
    assert finished.wait(PATIENCE)


def test_stopping_waits_no_longer_than_its_patience_however_many_are_stuck(
    store: Store, start: Start
) -> None:
    links = add_links(store, 6)
    stuck, release = threading.Barrier(len(links) + 1), threading.Event()

    def handler(_claim: Claim, _fence: Fence) -> Ending:
        stuck.wait(PATIENCE)
        release.wait(PATIENCE)
        return Done(None)

    workers = start(handler, threads=len(links))
    hint(store, links)
    stuck.wait(PATIENCE)
    began = time.monotonic()
    workers.stop(0.3)
    # Six times the patience would be 1.8 s.
    assert time.monotonic() - began < 1.5
    release.set()
    until(lambda: workers.busy == 0)


class Bookkeeper:
    """A handler that notes what it saw of a source, and whether runs of a link ever overlapped."""

    def __init__(self, links: list[int]) -> None:
        self.source = dict.fromkeys(links, 0)
        self.seen = dict.fromkeys(links, 0)
        self.overlaps = 0
        self._running: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self, claim: Claim, _fence: Fence) -> Ending:
        link = claim.link_id
        with self._lock:
            self.overlaps += link in self._running
            self._running.add(link)
        value = self.source[link]
        time.sleep(0.001)
        with self._lock:
            self.seen[link] = max(self.seen[link], value)
            self._running.discard(link)
        return Done(None)


@pytest.mark.parametrize("processes", [1, 2])
def test_of_many_hints_none_is_missed_and_no_link_runs_twice_at_once(
    store: Store, start: Start, open_again: Callable[[], Store], processes: int
) -> None:
    links = add_links(store, 20)
    book = Bookkeeper(links)
    start(book, threads=3)
    if processes == 2:
        start(book, open_again(), threads=3)

    def push(offset: int) -> None:
        for number in range(100):
            link = links[(offset + 7 * number) % len(links)]
            with book._lock:
                book.source[link] += 1
            hint(store, [link])

    pushers = [threading.Thread(target=push, args=(offset,)) for offset in range(3)]
    for pusher in pushers:
        pusher.start()
    for pusher in pushers:
        pusher.join()
    until(lambda: idle(store))
    assert book.seen == book.source
    assert book.overlaps == 0


def test_a_database_that_does_not_answer_for_a_while_ends_nothing(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    [link] = add_links(store, 1)
    ran, refusals = threading.Event(), [0]
    begin = store.begin

    def unwilling() -> object:
        if threading.current_thread().name == "jobs" and refusals[0] < 3:
            refusals[0] += 1
            raise ConnectionError("the database is away")
        return begin()

    monkeypatch.setattr(store, "begin", unwilling)

    def handler(_claim: Claim, _fence: Fence) -> Ending:
        ran.set()
        return Done(None)

    start(handler)
    hint(store, [link])
    assert ran.wait(PATIENCE)
    assert refusals[0] == 3
    until(lambda: idle(store))
