"""Pending work: no hint is missed, no link runs twice at once, no failure loops for ever."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from bridge.records import Endpoint, Link
from bridge.store import Claim, LeaseLostError, Store, StoreError
from bridge.store.jobs import DEATHS
from bridge.vault import Vault

LEASE = 30.0


class Clock(Protocol):
    time: datetime

    def __call__(self) -> datetime: ...
    def advance(self, seconds: float) -> datetime: ...


def add_links(store: Store, count: int = 1) -> list[int]:
    ends = [Endpoint(connector=name, account="ann", calendar="c") for name in ("feishu", "google")]
    with store.begin() as tx:
        return [
            tx.put_link(Link(id=0, uid=f"u{n}", name=f"l{n}", user="ann", a=ends[0], b=ends[1])).id
            for n in range(count)
        ]


def hint(store: Store, links: Sequence[int], at: datetime) -> list[int]:
    with store.begin() as tx:
        return tx.hint(links, at)


def claim(store: Store, owner: str, at: datetime, n: int = 10) -> list[Claim]:
    with store.begin() as tx:
        return tx.claim(owner, n, at, LEASE)


def finish(store: Store, done: Claim, owner: str, next_at: datetime | None = None) -> bool:
    with store.begin() as tx:
        return tx.finish(done.link_id, owner, done.dirty, next_at)


def fail(store: Store, link: int, owner: str, retry_at: datetime | None) -> bool:
    with store.begin() as tx:
        return tx.fail(link, owner, "the calendar is full", retry_at)


def test_a_hinted_link_is_claimed_once_and_rests_after_its_run(store: Store, watch: Clock) -> None:
    [link] = add_links(store)
    assert claim(store, "w1", watch()) == []
    hint(store, [link], watch())
    assert store.next_due() == watch()
    [got] = claim(store, "w1", watch())
    assert got == Claim(link_id=link, dirty=1, attempts=0)
    assert claim(store, "w2", watch()) == []
    assert finish(store, got, "w1")
    assert store.next_due() is None
    job = store.job(link)
    assert job is not None
    assert not job.pending


def test_many_hints_before_a_run_are_one_run(store: Store, watch: Clock) -> None:
    [link] = add_links(store)
    for _ in range(5):
        hint(store, [link], watch.advance(1))
    [got] = claim(store, "w1", watch())
    assert got.dirty == 5
    assert finish(store, got, "w1")
    assert claim(store, "w1", watch()) == []


def test_a_hint_during_a_run_causes_exactly_one_more_run(store: Store, watch: Clock) -> None:
    [link] = add_links(store)
    hint(store, [link], watch())
    [first] = claim(store, "w1", watch())
    for _ in range(3):
        hint(store, [link], watch())
    assert claim(store, "w2", watch()) == []
    assert finish(store, first, "w1", next_at=watch() + timedelta(hours=1))
    [second] = claim(store, "w2", watch())
    assert second.dirty == 4
    assert finish(store, second, "w2")
    assert claim(store, "w1", watch()) == []


def test_a_finished_link_comes_back_at_its_next_poll(store: Store, watch: Clock) -> None:
    [link] = add_links(store)
    hint(store, [link], watch())
    [got] = claim(store, "w1", watch())
    finish(store, got, "w1", next_at=watch() + timedelta(minutes=15))
    watch.advance(899)
    assert claim(store, "w1", watch()) == []
    watch.advance(1)
    assert [again.link_id for again in claim(store, "w1", watch())] == [link]


def test_only_the_step_from_idle_to_due_has_to_wake_anybody(store: Store, watch: Clock) -> None:
    links = add_links(store, 3)
    assert hint(store, links, watch()) == links
    assert hint(store, links, watch()) == []
    got = claim(store, "w1", watch())
    assert hint(store, links, watch()) == []
    for one in got:
        finish(store, one, "w1")
    assert hint(store, links, watch()) == []  # due again since the hint during the run
    for one in claim(store, "w1", watch()):
        finish(store, one, "w1", next_at=watch() + timedelta(hours=1))
    assert hint(store, [links[1]], watch()) == [links[1]]


def test_a_failed_link_keeps_its_back_off_though_hinted(store: Store, watch: Clock) -> None:
    [link] = add_links(store)
    hint(store, [link], watch())
    claim(store, "w1", watch())
    retry_at = watch() + timedelta(seconds=60)
    assert fail(store, link, "w1", retry_at)
    hint(store, [link], watch())
    assert claim(store, "w1", watch()) == []
    assert store.next_due() == retry_at
    [got] = claim(store, "w1", retry_at)
    assert got == Claim(link_id=link, dirty=2, attempts=1)


def test_a_snoozed_link_keeps_its_pause_though_hinted_and_counts_no_failure(
    store: Store, watch: Clock
) -> None:
    [link] = add_links(store)
    hint(store, [link], watch())
    claim(store, "w1", watch())
    until = watch() + timedelta(seconds=90)
    with store.begin() as tx:
        assert tx.snooze(link, "w1", until)
    hint(store, [link], watch())
    assert claim(store, "w1", watch.advance(89)) == []
    [got] = claim(store, "w1", until)
    assert got == Claim(link_id=link, dirty=2, attempts=0)


def test_a_parked_link_counts_hints_but_sleeps_until_replayed(store: Store, watch: Clock) -> None:
    [link] = add_links(store)
    hint(store, [link], watch())
    claim(store, "w1", watch())
    fail(store, link, "w1", None)
    assert hint(store, [link], watch()) == []
    assert claim(store, "w1", watch.advance(10_000)) == []
    job = store.job(link)
    assert job is not None
    assert (job.parked, job.dirty, job.error) == (True, 2, "the calendar is full")
    with store.begin() as tx:
        assert tx.replay(link, watch())
        assert not tx.replay(link, watch())
    [got] = claim(store, "w1", watch())
    assert got == Claim(link_id=link, dirty=2, attempts=0)


def test_an_expired_lease_is_taken_over_and_counts_as_a_failure(store: Store, watch: Clock) -> None:
    [link] = add_links(store)
    hint(store, [link], watch())
    claim(store, "w1", watch())
    assert claim(store, "w2", watch.advance(LEASE - 1)) == []
    [got] = claim(store, "w2", watch.advance(1))
    assert got == Claim(link_id=link, dirty=1, attempts=1)


def test_a_beating_worker_keeps_its_link(store: Store, watch: Clock) -> None:
    first, second = add_links(store, 2)
    hint(store, [first, second], watch())
    claim(store, "w1", watch())
    watch.advance(20)
    with store.begin() as tx:
        assert tx.beat("w1", [first], watch() + timedelta(seconds=LEASE)) == {first}
        assert tx.beat("w2", [first], watch() + timedelta(hours=9)) == frozenset()
    assert [got.link_id for got in claim(store, "w2", watch.advance(15))] == [second]


def test_a_worker_that_wakes_after_its_lease_can_write_nothing(store: Store, watch: Clock) -> None:
    [link] = add_links(store)
    hint(store, [link], watch())
    [stale] = claim(store, "w1", watch())
    with store.begin() as tx:
        tx.assert_owner(link, "w1")
    claim(store, "w2", watch.advance(LEASE))

    def write() -> None:
        with store.begin() as tx:
            tx.put_setting("written by", "w1")
            tx.assert_owner(link, "w1")

    with pytest.raises(LeaseLostError):
        write()
    assert store.setting("written by") is None
    assert not finish(store, stale, "w1")
    assert not fail(store, link, "w1", None)
    with store.begin() as tx:
        assert not tx.snooze(link, "w1", watch())
    job = store.job(link)
    assert job is not None
    assert (job.owner, job.done, job.parked) == ("w2", 0, False)


def test_nobody_takes_a_link_while_its_owner_writes(
    store: Store, open_again: Callable[[], Store], watch: Clock
) -> None:
    [link] = add_links(store)
    hint(store, [link], watch())
    claim(store, "w1", watch())
    watch.advance(LEASE)
    other, taken = open_again(), threading.Event()
    got: list[Claim] = []

    def take() -> None:
        got.extend(claim(other, "w2", watch()))
        taken.set()

    taker = threading.Thread(target=take)
    with store.begin() as tx:
        tx.assert_owner(link, "w1")
        taker.start()
        taken.wait(0.2)
        assert got == []
        tx.put_setting("written by", "w1")
    taker.join()
    assert store.setting("written by") == "w1"


def test_links_of_a_dead_process_are_due_at_once(store: Store, watch: Clock) -> None:
    first, second = add_links(store, 2)
    hint(store, [first, second], watch())
    claim(store, "host-1/7", watch(), n=1)
    claim(store, "host_1/8", watch(), n=1)
    with store.begin() as tx:
        assert tx.end_leases(watch(), "host_1/") == 1
    [got] = claim(store, "host-1/9", watch())
    assert got == Claim(link_id=second, dirty=1, attempts=1)


def test_a_link_whose_workers_die_rests_longer_each_time_and_is_parked_in_the_end(
    store: Store, watch: Clock
) -> None:
    [link] = add_links(store)
    hint(store, [link], watch())
    rests = []
    for life in range(DEATHS):
        [got] = claim(store, f"w{life}", watch())
        assert got.attempts == life
        watch.advance(LEASE)
        if life:  # a first death is taken for an accident
            assert claim(store, "next", watch()) == []
            job = store.job(link)
            assert job is not None
            if job.not_before is not None:
                rests.append((job.not_before - watch()).total_seconds())
                watch.advance(rests[-1])
    assert rests == [4, 8, 16, 32, 64, 128]
    assert store.next_due() is None
    job = store.job(link)
    assert job is not None
    assert (job.parked, job.deaths) == (True, DEATHS)
    assert "8 processes in a row" in job.error
    with store.begin() as tx:
        assert tx.replay(link, watch())
    assert claim(store, "w", watch()) == [Claim(link_id=link, dirty=1, attempts=0)]


def test_a_worker_that_reports_whatever_end_is_no_killer(store: Store, watch: Clock) -> None:
    [link] = add_links(store)
    hint(store, [link], watch())
    for _time in range(DEATHS):
        claim(store, "dies", watch())
        assert claim(store, "lives", watch.advance(LEASE))
        assert fail(store, link, "lives", watch())
    job = store.job(link)
    assert job is not None
    assert (job.deaths, job.attempts, job.parked) == (0, 2 * DEATHS, False)


def test_the_longest_due_come_first(store: Store, watch: Clock) -> None:
    links = add_links(store, 4)
    for link in reversed(links):
        hint(store, [link], watch.advance(1))
    assert [got.link_id for got in claim(store, "w1", watch(), n=2)] == [links[3], links[2]]


def test_a_hint_for_an_unknown_link_is_refused(store: Store, watch: Clock) -> None:
    with pytest.raises(StoreError):
        hint(store, [4711], watch())


class Crowd:
    """Workers and senders of hints, who write down what went wrong."""

    def __init__(self, links: Sequence[int]) -> None:
        self.version = dict.fromkeys(links, 0)
        self.seen = dict.fromkeys(links, 0)
        self.overlaps: list[int] = []
        self.over = threading.Event()
        self._running = {link: threading.Lock() for link in links}

    def hint_often(self, store: Store) -> None:
        for round_ in range(12):
            for link in list(self.version)[round_ % 2 :: 2]:
                self.version[link] += 1
                hint(store, [link], datetime.now(UTC))

    def work(self, store: Store, owner: str) -> None:
        while True:
            over = self.over.is_set()
            got = claim(store, owner, datetime.now(UTC), n=2)
            for one in got:
                self._run(one.link_id)
                finish(store, one, owner)
            if over and not got and store.next_due() is None:
                return

    def _run(self, link: int) -> None:
        if not self._running[link].acquire(blocking=False):
            self.overlaps.append(link)
            return
        self.seen[link] = max(self.seen[link], self.version[link])
        self._running[link].release()


def test_under_many_workers_no_link_overlaps_and_no_hint_is_missed(
    store: Store, open_again: Callable[[], Store]
) -> None:
    stores = [store, open_again()]
    crowd = Crowd(add_links(store, 8))
    workers = [threading.Thread(target=crowd.work, args=(stores[n % 2], f"w{n}")) for n in range(4)]
    senders = [threading.Thread(target=crowd.hint_often, args=(own,)) for own in stores]
    for thread in workers + senders:
        thread.start()
    for thread in senders:
        thread.join()
    crowd.over.set()
    for thread in workers:
        thread.join()
    assert crowd.overlaps == []
    assert crowd.seen == crowd.version
    assert not any(job.pending for job in store.jobs())


CLAIMING = """
import sys
from datetime import UTC, datetime
from bridge.store import open_store
from bridge.vault import Vault

store = open_store(sys.argv[1], vault=Vault([sys.argv[2]]), now=lambda: datetime.now(UTC))
print("ready", flush=True)
sys.stdin.readline()
while True:
    with store.begin() as tx:
        got = tx.claim(sys.argv[3], 3, datetime.fromisoformat(sys.argv[4]), 600)
    if not got:
        break
    for claim in got:
        print(claim.link_id, flush=True)
"""


def test_processes_that_claim_at_once_share_the_links_without_overlap(
    store: Store, database_url: str, watch: Clock
) -> None:
    links = add_links(store, 60)
    hint(store, links, watch())
    command = [sys.executable, "-c", CLAIMING, database_url, Vault.generate_key()]
    workers = [
        subprocess.Popen(
            [*command, name, watch().isoformat()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("w1", "w2")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    answers = []
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        out, _ = worker.communicate()
        assert worker.returncode == 0
        answers += [int(line) for line in out.split()]
    assert sorted(answers) == links
