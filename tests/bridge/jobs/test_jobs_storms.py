"""Many hints at once: 0 missed, 0 overlaps, whatever fails meanwhile."""

import threading
import time

import pytest

from bridge.jobs import Done, Ending, Failed
from bridge.store import StoreError


def storm(bench, links: list[int], book, hints: int, senders: int = 3) -> None:
    """Hints in transactions of their own, each after the change that it is about."""

    def send(offset: int) -> None:
        for number in range(hints // senders):
            link = links[(offset + 7 * number) % len(links)]
            book.change(link)
            while True:
                try:
                    bench.hint(link)
                except StoreError:
                    time.sleep(0.05)  # a sender says it again until it is taken
                else:
                    break

    threads = [threading.Thread(target=send, args=(offset,)) for offset in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("hints", "count"), [(240, 20), pytest.param(10_000, 100, marks=pytest.mark.nightly)]
)
def test_of_many_hints_none_is_missed_and_no_link_runs_twice_at_once(
    bench, start, open_again, hints: int, count: int
) -> None:
    links = bench.add_links(count)
    book = bench.bookkeeper(links)
    start(book, threads=3)
    start(book, open_again(), threads=3)
    storm(bench, links, book, hints)
    bench.until(bench.idle)
    assert book.seen == book.source
    assert book.overlaps == 0
    assert book.runs <= hints


def test_links_whose_runs_fail_now_and_then_all_catch_up(bench, start) -> None:
    links = bench.add_links(20)
    book = bench.bookkeeper(links)

    def end() -> Ending:
        return Failed("now and then", bench.soon(20)) if book.runs % 20 == 0 else Done(None)

    book.end = end
    start(book, threads=4)
    storm(bench, links, book, 150)
    bench.until(bench.idle)
    assert book.seen == book.source
    assert book.overlaps == 0
    assert bench.store.job_stats(bench.soon(0)).parked == 0


@pytest.mark.parametrize("kind", ["embedded-postgresql", "procrastinate-postgresql"], indirect=True)
def test_a_database_that_restarts_again_and_again_costs_no_hint(bench, start, cut_off) -> None:
    links = bench.add_links(10)
    book = bench.bookkeeper(links)
    start(book, threads=4)

    def restart() -> None:
        for _time in range(4):
            time.sleep(0.4)
            cut_off()

    restarting = threading.Thread(target=restart)
    restarting.start()
    while restarting.is_alive():
        storm(bench, links, book, 60)
    bench.until(bench.idle)
    assert book.seen == book.source
    assert book.overlaps == 0


@pytest.mark.parametrize("kind", ["embedded-postgresql", "procrastinate-postgresql"], indirect=True)
def test_idle_workers_outlive_a_restart_of_the_database(bench, start, cut_off) -> None:
    [link] = bench.add_links(1)
    book = bench.bookkeeper([link])
    start(book)
    bench.hint(link)
    bench.until(bench.idle)
    cut_off()
    book.change(link)
    bench.hint(link)
    bench.until(lambda: book.seen == book.source)
