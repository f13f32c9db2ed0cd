"""The web server under strangers, dawdlers, floods and a database that does not answer."""

import http.client
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from bridge import webhooks
from bridge.store import StoreError
from bridge.webhooks import CHECKERS, MAX_BODY, STORERS, Webhooks, WebServer
from connectors.contract import Hint, PushAnswer, PushRequest

PATIENCE = 20.0
GENUINE = b'{"proof": "right"}'
FORGED = b'{"proof": "wrong"}'
_numbers = itertools.count(1)


class Provider:
    """Believes who knows the word. `check` may make it slow."""

    def __init__(self) -> None:
        self.check: Callable[[], None] = lambda: None

    def receive(self, request: PushRequest) -> PushAnswer:
        self.check()
        if request.body != GENUINE:
            return PushAnswer(status=401, reason="not proven")
        hint = Hint(connector="hub", calendar="main", id=str(next(_numbers)))
        return PushAnswer(status=200, hints=(hint,))


class Desk:
    """A web server whose hints end up in `stored`; `store` may fail or wait."""

    def __init__(self) -> None:
        self.provider = Provider()
        self.stored: list[Hint] = []
        self.store: Callable[[], None] = lambda: None
        config = SimpleNamespace(connectors={"hub": None})
        runtime: Any = SimpleNamespace(config=config, provider=lambda _name: self.provider)
        self.server = WebServer("127.0.0.1:0", Webhooks(runtime, self._take))
        self.server.start()

    @property
    def place(self) -> tuple[str, int]:
        host, _, port = self.server.address.removeprefix("http://").rpartition(":")
        return host, int(port)

    def _take(self, hint: Hint) -> None:
        self.store()
        self.stored.append(hint)

    def push(self, body: bytes = GENUINE) -> int:
        wire = http.client.HTTPConnection(*self.place, timeout=PATIENCE)
        try:
            wire.request("POST", "/hooks/hub", body)
            answer = wire.getresponse()
            answer.read()
            return answer.status
        finally:
            wire.close()

    def dial(self, first: bytes) -> socket.socket:
        wire = socket.create_connection(self.place, timeout=PATIENCE)
        wire.sendall(first)
        return wire


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(webhooks, "PATIENCE", 1.0)
    made = Desk()
    yield made
    made.server.stop()
    made.server.join(PATIENCE)


def refuse() -> None:
    raise StoreError("the database is down")


def test_a_push_that_cannot_be_stored_is_to_come_again(desk: Desk) -> None:
    desk.store = refuse
    assert desk.push() == 503
    desk.store = lambda: None
    assert desk.push() == 200
    assert len(desk.stored) == 1


def test_a_push_that_cannot_be_checked_because_the_database_is_down_is_to_come_again(
    desk: Desk,
) -> None:
    desk.provider.check = refuse
    assert desk.push() == 503


def test_a_database_that_hangs_makes_nobody_wait_and_no_more_threads_than_there_may_be(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "ANSWER", 0.3)
    gate = threading.Event()
    desk.store = lambda: gate.wait(PATIENCE) and None
    before = threading.active_count()
    try:
        assert [desk.push() for _ in range(STORERS + 3)] == [503] * (STORERS + 3)
        assert threading.active_count() <= before + STORERS + CHECKERS
        assert desk.stored == []
        assert desk.push(FORGED) == 401, "checking goes on"
    finally:
        gate.set()
    end = time.monotonic() + PATIENCE
    while len(desk.stored) < STORERS:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert desk.push() == 200


def test_a_flood_of_forged_calls_starves_no_genuine_one(desk: Desk) -> None:
    desk.provider.check = lambda: time.sleep(0.002)
    over = threading.Event()
    forged: list[int] = []

    def flood() -> None:
        while not over.is_set():
            forged.append(desk.push(FORGED))

    flooders = [threading.Thread(target=flood) for _ in range(16)]
    for flooder in flooders:
        flooder.start()
    try:
        assert [desk.push() for _ in range(20)] == [200] * 20
    finally:
        over.set()
        for flooder in flooders:
            flooder.join()
    assert set(forged) == {401}
    assert len(desk.stored) == 20


HEAD = b"POST /hooks/hub HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "last_words"),
    [(b"", b""), (b"POST /hooks/hub HT", b""), (HEAD + GENUINE[:5], b"HTTP/1.1 408")],
    ids=["silent", "half a head", "half a body"],
)
def test_who_dawdles_is_hung_up_on(desk: Desk, first: bytes, last_words: bytes) -> None:
    with desk.dial(first) as wire:
        heard = b""
        while piece := wire.recv(1000):
            heard += piece
    assert heard[:12] == last_words
    assert desk.push() == 200


def test_who_sends_byte_by_byte_is_hung_up_on_too(desk: Desk) -> None:
    def dribble(wire: socket.socket) -> None:
        while True:
            wire.sendall(b"x")
            time.sleep(0.05)

    with desk.dial(b"POST /hooks/hub HTTP/1.1\r\nX-Long: ") as wire, pytest.raises(OSError):
        dribble(wire)
    assert desk.push() == 200


def test_a_connection_may_be_used_again_after_a_rest(desk: Desk) -> None:
    wire = http.client.HTTPConnection(*desk.place, timeout=PATIENCE)
    for _time in range(4):
        wire.request("POST", "/hooks/hub", GENUINE)
        answer = wire.getresponse()
        answer.read()
        assert answer.status == 200
        time.sleep(0.4)
    wire.close()


def test_dawdlers_who_take_all_connections_keep_the_others_waiting_for_seconds_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks, "PATIENCE", 1.0)
    monkeypatch.setattr(webhooks, "CONNECTIONS", 6)
    desk = Desk()
    with ExitStack() as open_:
        for _caller in range(6):
            open_.enter_context(desk.dial(b"POST /hooks/hub HT"))
        while (answer := desk.push()) == 503:
            time.sleep(0.1)
        assert answer == 200
    desk.server.stop()
    desk.server.join(PATIENCE)


def test_a_body_is_bounded(desk: Desk) -> None:
    assert desk.push(b"x" * MAX_BODY) == 401
    assert desk.push(b"x" * (MAX_BODY + 1)) == 413


def test_a_stop_answers_who_has_not_finished_speaking() -> None:
    slow = Desk()
    with slow.dial(HEAD) as wire:
        assert slow.push() == 200
        slow.server.stop()
        assert wire.recv(1000).startswith(b"HTTP/1.1 503")
    slow.server.join(PATIENCE)
    with pytest.raises(OSError):
        socket.create_connection(slow.place, timeout=1)
