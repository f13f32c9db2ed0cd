"""The long connection: what arrives is stored before it is acknowledged, and it does not go deaf.

One listener serves all cases in turn, because each start imports the SDK in a new process.
"""

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from queue import Empty, Queue
from time import monotonic, sleep
from typing import Any

import psutil
import pytest

from connectors.contract import Hint

PATIENCE = 40.0


def eventually(what: Callable[[], Any]) -> Any:
    """Wait until it is so."""
    end = monotonic() + PATIENCE
    while not (found := what()):
        assert monotonic() < end, "it never happened"
        sleep(0.02)
    return found


class Listener:
    """`listen` in a thread. The sink passes hints on, or fails if told to."""

    def __init__(self, bench: Any, **delivery: Any) -> None:
        self.bench = bench
        self.hints: Queue[Hint] = Queue()
        self.gate = threading.Event()
        self.gate.set()
        self.stopped = threading.Event()
        self.error: BaseException | None = None
        self.provider = bench.provider(delivery={"mode": "long-connection", **delivery})
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.provider.listen(self._sink, self.stopped.is_set)
        except RuntimeError as error:
            self.error = error

    def _sink(self, hint: Hint) -> None:
        if not self.gate.wait(PATIENCE):
            raise RuntimeError("the database is down")
        self.hints.put(hint)

    def connected(self) -> None:
        eventually(lambda: self.bench.sandbox.longconn.count() == 1)

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


def children() -> list[int]:
    found = []
    for child in psutil.Process().children():
        try:
            if "connectors.feishu.longconn_child" in child.cmdline():
                found.append(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.fixture(scope="module")
def listener(lasting_bench: Any) -> Iterator[Listener]:
    lasting_bench.sandbox.switch(
        longconn_ping_interval=1, longconn_reconnect_nonce=0, longconn_reconnect_interval=1
    )
    listener = Listener(lasting_bench)
    listener.connected()
    yield listener
    listener.stop()
    assert children() == []


@pytest.fixture
def edit(lasting_bench: Any, listener: Listener, single: Any) -> Callable[[], str]:
    """A person edits a calendar that the account has subscribed to; gives its id."""
    ann = lasting_bench.sandbox.add_user()
    lasting_bench.connect(ann).subscribe(ann.primary)

    def create() -> str:
        lasting_bench.sandbox.as_user(ann).create(ann.primary, single)
        return str(ann.primary)

    return create


def heard(listener: Listener, edit: Callable[[], str]) -> Hint:
    """Pushes that meet no client are repeated, on the sandbox's clock."""
    calendar = edit()
    end = monotonic() + PATIENCE
    while monotonic() < end:
        listener.bench.sandbox.clock.advance(20)
        try:
            hint = listener.hints.get(timeout=1)
        except Empty:
            continue
        if hint.calendar == calendar:
            return hint
    raise AssertionError("no hint arrived")


def test_a_change_becomes_a_hint_that_is_acknowledged(
    listener: Listener, edit: Callable[[], str]
) -> None:
    hint = heard(listener, edit)
    assert hint.connector == "feishu"
    attempts = listener.bench.sandbox.delivery.attempts
    eventually(lambda: any(a.acknowledged and a.push.id == hint.id for a in attempts))


def test_an_event_is_not_acknowledged_while_its_hint_is_not_stored(
    listener: Listener, edit: Callable[[], str]
) -> None:
    sandbox = listener.bench.sandbox
    listener.gate.clear()
    before = len(sandbox.delivery.attempts)
    calendar = edit()
    sandbox.clock.advance(4)
    eventually(lambda: len(sandbox.delivery.attempts) > before)
    assert [a.acknowledged for a in sandbox.delivery.attempts[before:]] == [False]
    listener.gate.set()
    sandbox.clock.advance(16)
    hints = (listener.hints.get(timeout=PATIENCE) for _ in range(20))
    about = islice((hint for hint in hints if hint.calendar == calendar), 2)
    assert len({hint.id for hint in about}) == 1
    eventually(lambda: sandbox.delivery.attempts[-1].acknowledged)


def test_hints_go_on_after_a_forced_close(listener: Listener, edit: Callable[[], str]) -> None:
    listener.bench.sandbox.longconn.close_all()
    assert heard(listener, edit)


def test_hints_go_on_after_a_silent_stall(listener: Listener, edit: Callable[[], str]) -> None:
    sandbox = listener.bench.sandbox
    listener.connected()
    [before] = children()
    sandbox.switch(longconn_stall="all")
    eventually(lambda: children() not in ([], [before]))
    sandbox.switch(longconn_stall="none")
    listener.connected()
    assert heard(listener, edit)
    assert "long connection is silent, starting anew" in [m for m, _ in listener.bench.logged]


def test_hints_go_on_after_the_process_hangs(listener: Listener, edit: Callable[[], str]) -> None:
    listener.connected()
    [before] = children()
    psutil.Process(before).suspend()
    eventually(lambda: children() not in ([], [before]))
    assert not psutil.pid_exists(before)
    assert heard(listener, edit)


def test_hints_go_on_after_the_process_was_killed_and_the_connection_refused(
    listener: Listener, edit: Callable[[], str]
) -> None:
    bench = listener.bench
    listener.connected()
    [before] = children()
    bench.sandbox.switch(longconn_handshake="limit")
    psutil.Process(before).kill()
    eventually(lambda: any("ClientException" in str(facts) for _, facts in bench.logged))
    bench.sandbox.switch(longconn_handshake="open")
    listener.connected()
    assert heard(listener, edit)
    assert bench.sandbox.app.secret not in str(bench.logged)


def test_nobody_listens_unless_that_is_how_events_are_delivered(bench: Any) -> None:
    bench.provider(delivery={"mode": "none"}).listen(lambda _hint: None, lambda: False)
    assert bench.sandbox.calls() == []
