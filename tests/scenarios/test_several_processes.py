"""The complaint: "with a second server every meeting came twice, and with one down none came"."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

import psutil
import pytest
import requests

from bridge.records import LinkState

from .conftest import ENCRYPT_KEY, VERIFICATION_TOKEN
from .test_clean_end import free_port
from .test_kill import Hand

KILLS = 3


@pytest.fixture
def shared(desk: Any, postgresql_url: str) -> Any:
    """The desk on PostgreSQL. Polls are rare, so that what arrives has been pushed."""
    desk.configure(
        database=postgresql_url, service={"listen": "127.0.0.1:0", "poll": "1h", "workers": 2}
    )
    desk.consent()
    return desk


@pytest.fixture
def start(shared: Any, spawn: Callable[..., BaseProcess]) -> Iterator[Callable[..., BaseProcess]]:
    started: list[BaseProcess] = []

    def one(*roles: str) -> BaseProcess:
        options = [option for role in roles for option in ("--only", role)]
        started.append(spawn("run", "--config", str(shared.path), *options))
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.join()


def same(desk: Any) -> bool:
    return bool(desk.titles() == desk.source_titles())


def lunch(hand: Hand) -> None:
    hand._own.append(hand._desk.alice.create(hand._desk.primary, hand._body("create"))["event_id"])


def test_two_processes_killed_in_turn_keep_a_link_running(
    shared: Any, start: Callable[..., BaseProcess]
) -> None:
    """One of them always lives. Whoever it is: it listens, works, and doubles nothing."""
    dice, hand = random.Random(31), Hand(shared, 32)
    crowd = [start(), start()]
    assert shared.until(lambda: same(shared) and shared.feishu.longconn.count() == 1, 60)
    for _kill in range(KILLS):
        for _edit in range(dice.randrange(2, 5)):
            hand.edit()
        time.sleep(dice.random() * 0.5)
        victim = crowd.pop(0)
        children = psutil.Process(victim.pid).children(recursive=True)
        victim.kill()
        victim.join()
        assert psutil.wait_procs(children, timeout=10)[1] == [], "no child outlives its parent"
        crowd.append(start())
        assert shared.until(lambda: shared.feishu.longconn.count() == 1, 60)
    for _edit in range(5):
        hand.edit()
    assert shared.until(lambda: same(shared), 60), "without a poll"
    assert shared.link().state is LinkState.ACTIVE
    for process in crowd:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGTERM)
    for process in crowd:
        process.join(15)
    assert [process.exitcode for process in crowd] == [0, 0]

    shared.run()
    assert same(shared)
    assert shared.verify().differences == []
    assert shared.run().counts.writes == 0
    assert shared.trial.mails() == 0


def test_processes_with_a_role_each_work_together(
    shared: Any, start: Callable[..., BaseProcess]
) -> None:
    """What one hears, another does."""
    hand = Hand(shared, 33)
    worker, schedule, intake = start("workers"), start("schedule"), start("intake")
    assert shared.until(lambda: same(shared) and shared.feishu.longconn.count() == 1, 60)
    lunch(hand)
    assert shared.until(lambda: same(shared), 30)
    worker.kill()
    worker.join()
    lunch(hand)
    time.sleep(1)
    assert not same(shared), "nobody is left to do it"
    start("workers")
    assert shared.until(lambda: same(shared), 60)
    assert schedule.is_alive()
    assert intake.is_alive()


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_webhooks_come_in_where_nobody_works(
    shared: Any, start: Callable[..., BaseProcess]
) -> None:
    port = free_port()
    shared.by_webhook()
    shared.configure(service={"listen": f"127.0.0.1:{port}", "poll": "1h"})
    hand = Hand(shared, 34)
    start("workers")
    start("web")
    assert shared.until(lambda: answers(port), 60)
    shared.feishu.delivery.use(
        "webhook", f"http://127.0.0.1:{port}/hooks/feishu", ENCRYPT_KEY, VERIFICATION_TOKEN
    )
    with shared.runtime() as runtime:
        runtime.ready(runtime.select())
        with runtime.store.begin() as tx:
            tx.hint([link.id for link in runtime.store.links()], runtime.system.now())
    assert shared.until(lambda: same(shared), 60)
    lunch(hand)
    assert shared.until(lambda: same(shared), 30)
