"""One process at a time listens for a provider's news, and another takes over when it ends."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from bridge import listening
from bridge.listening import Listeners
from bridge.runtime import System
from bridge.store import Store
from connectors.contract import Hint

PATIENCE = 20.0


def until(true: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)
    return found


# -- seats -----------------------------------------------------------------------------------------


def test_a_seat_has_one_holder_until_it_is_left(
    store: Store, open_again: Callable[[], Store]
) -> None:
    first, second = store.seat("listen", "feishu"), open_again().seat("listen", "feishu")
    other = store.seat("listen", "lark")
    assert first.take()
    assert first.take()
    assert not second.take()
    assert (first.kept(), second.kept()) == (True, False)
    assert other.take()
    first.leave()
    assert not first.kept()
    assert until(second.take)  # a server takes a moment to see that a session has ended
    assert not first.take()
    second.leave()
    other.leave()
    assert until(first.take)
    first.leave()


HOLDER = """
import sys, time
from bridge.store.database import open_database

seat = open_database(sys.argv[1]).seat("listen", "feishu")
print(seat.take(), flush=True)
time.sleep(600)
"""


def test_the_seat_of_a_process_that_was_killed_is_free_at_once(
    store: Store, database_url: str
) -> None:
    command = [sys.executable, "-c", HOLDER, database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        seat = store.seat("listen", "feishu")
        assert not seat.take()
        holder.send_signal(signal.SIGKILL)
    assert until(seat.take)
    seat.leave()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_seat_whose_session_the_database_has_ended_is_known_to_be_lost(store: Store) -> None:
    seat, next_ = store.seat("listen", "feishu"), store.seat("listen", "feishu")
    assert seat.take()
    with store.reading() as connection:
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        )
    assert until(next_.take)
    assert not seat.kept()
    assert not seat.take()
    next_.leave()
    assert until(seat.take)  # the server frees it when it has noticed
    seat.leave()


# -- listeners -------------------------------------------------------------------------------------


class Wire:
    """A provider that notes who listens. `fault` is raised by the next attempts to."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.listening: list[object] = []
        self.attempts = 0
        self.fault: Exception | None = None
        self.nothing_to_do = False

    def listen(self, sink: Callable[[Hint], None], stop: Callable[[], bool]) -> None:
        with self.guard:
            self.attempts += 1
        if self.fault is not None:
            raise self.fault
        if self.nothing_to_do:
            return
        me = object()
        with self.guard:
            self.listening.append(me)
        sink(Hint(connector="hub"))
        while not stop():
            time.sleep(0.01)
        with self.guard:
            self.listening.remove(me)


class Process:
    """The listeners of one process. `pauses` is how long they wanted to wait."""

    def __init__(self, store: Store, wire: Wire) -> None:
        self.hints: list[Hint] = []
        config = SimpleNamespace(connectors={"hub": None})
        runtime: Any = SimpleNamespace(
            config=config, provider=lambda _name: wire, store=store, system=System()
        )
        self.listeners = Listeners(runtime, self.hints.append)
        self.listeners.start()

    def stop(self) -> None:
        self.listeners.stop()
        self.listeners.join(lambda: PATIENCE)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def process(
    wire: Wire, open_again: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Process]]:
    monkeypatch.setattr(listening, "STAND_BY", 0.05)
    monkeypatch.setattr(listening, "LOOK", 0.05)
    started: list[Process] = []

    def start() -> Process:
        started.append(Process(open_again(), wire))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_of_several_processes_one_listens_and_the_next_takes_over(
    wire: Wire, process: Callable[[], Process]
) -> None:
    crowd = [process() for _ in range(3)]
    until(lambda: wire.listening)
    time.sleep(0.3)
    assert len(wire.listening) == 1
    for _round in range(2):
        [holder] = [one for one in crowd if one.hints]
        holder.stop()
        crowd.remove(holder)
        until(lambda: wire.listening)
        assert len(wire.listening) == 1
        assert sum(bool(one.hints) for one in crowd) == 1


def test_listening_goes_on_after_a_fault(wire: Wire, process: Callable[[], Process]) -> None:
    wire.fault = OSError("no route to host")
    one = process()
    until(lambda: wire.attempts)
    wire.fault = None
    until(lambda: one.hints)


def test_who_cannot_listen_lets_others_try(wire: Wire, open_again: Callable[[], Store]) -> None:
    deaf = Wire()
    deaf.fault = OSError("no route to host")
    first = Process(open_again(), deaf)
    until(lambda: deaf.attempts)
    second = Process(open_again(), wire)
    until(lambda: second.hints)
    first.stop()
    second.stop()


def test_where_nothing_is_to_be_heard_nobody_keeps_asking(
    wire: Wire, process: Callable[[], Process], store: Store
) -> None:
    wire.nothing_to_do = True
    one = process()
    one.listeners.join(lambda: PATIENCE)
    assert wire.attempts == 1
    seat = store.seat("listen", "hub")
    assert seat.take(), "the seat is free"
    seat.leave()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_after_the_database_was_restarted_one_listens_again(
    wire: Wire, process: Callable[[], Process], store: Store
) -> None:
    crowd = [process(), process()]
    until(lambda: wire.listening)
    for _time in range(2):
        before = wire.attempts
        with store.reading() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            )
        until(lambda before=before: wire.attempts > before and len(wire.listening) == 1)
    assert sum(len(one.hints) for one in crowd) == wire.attempts


def test_no_file_of_a_seat_is_open_to_others(store: Store, tmp_path: Path) -> None:
    seat = store.seat("listen", "feishu")
    seat.take()
    for file in tmp_path.glob("*-locks/*"):
        assert file.stat().st_mode & 0o077 == 0
    seat.leave()
