"""A Feishu sandbox, a connector on the real SDK at its door, and everything injected."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.capabilities import Capabilities
from connectors.contract import Context
from connectors.feishu import PLUGIN
from connectors.feishu.connector import FeishuConnector
from connectors.feishu.provider import FeishuProvider
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.feishu.state import User
from connectors.tokens import Token


class Tokens:
    """A token store in memory; `saves` are all tokens in the order in which they came."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Token] = {}
        self.saves: list[Token] = []
        self._lock = threading.RLock()

    def load(self, connector: str, account: str) -> Token | None:
        return self.kept.get((connector, account))

    def save(self, connector: str, account: str, token: Token) -> None:
        self.kept[connector, account] = token
        self.saves.append(token)

    def drop(self, connector: str, account: str) -> None:
        self.kept.pop((connector, account), None)

    @contextmanager
    def lock(self, connector: str, account: str) -> Iterator[None]:
        with self._lock:
            yield


class Paces:
    """A pacer that lets everything pass and remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.slowed: list[tuple[str, float]] = []

    def wait(self, operation: str) -> None:
        self.calls.append(operation)

    def slow_down(self, operation: str, seconds: float) -> None:
        self.slowed.append((operation, seconds))


@dataclass
class Bench:
    """Everything a test needs: the sandbox, what was injected, and ways to open connectors."""

    sandbox: FeishuSandbox
    tokens: Tokens = field(default_factory=Tokens)
    paces: Paces = field(default_factory=Paces)
    slept: list[float] = field(default_factory=list)
    logged: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _open: list[Callable[[], None]] = field(default_factory=list)

    def pacer(self, _name: str, _capabilities: Capabilities) -> Paces:
        return self.paces

    def provider(self, **settings: Any) -> FeishuProvider:
        context = Context(
            now=self.sandbox.clock.now,
            sleep=self.slept.append,
            random=lambda: 0.5,
            tokens=self.tokens,
            pacer=self.pacer,
            log=lambda message, **facts: self.logged.append((message, facts)),
        )
        given = {
            "app_id": self.sandbox.app.id,
            "app_secret": self.sandbox.app.secret,
            "domain": self.sandbox.url,
            **settings,
        }
        provider = PLUGIN.open("feishu", PLUGIN.settings(**given), context)
        self._open.append(provider.close)
        return provider

    def consent(self, user: User) -> Token:
        """As if the user had just consented."""
        grant = self.sandbox.grant(user)
        token = Token(
            access=grant.access,
            access_expires=datetime.fromtimestamp(grant.access_expires, UTC),
            refresh=grant.refresh,
            refresh_expires=datetime.fromtimestamp(grant.refresh_expires or 0, UTC),
            scope=grant.scope,
            owner=user.open_id,
        )
        self.tokens.kept["feishu", user.open_id] = token
        return token

    def connect(self, user: User, **settings: Any) -> FeishuConnector:
        """A connector of a user who has consented."""
        if self.tokens.load("feishu", user.open_id) is None:
            self.consent(user)
        connector = self.provider(**settings).connect(user.open_id)
        self._open.append(connector.close)
        return connector

    def count(self, operation: str) -> int:
        return len(self.sandbox.calls(operation))

    def bearers(self, operation: str) -> set[str]:
        """The access tokens that calls of an operation carried."""
        calls = self.sandbox.calls(operation)
        return {call.headers["authorization"].removeprefix("Bearer ") for call in calls}

    def close(self) -> None:
        for close in reversed(self._open):
            close()


@contextmanager
def bench_of_its_own() -> Iterator[Bench]:
    with FeishuSandbox(limits=False) as sandbox:
        bench = Bench(sandbox)
        try:
            yield bench
        finally:
            bench.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with bench_of_its_own() as bench:
        yield bench


@pytest.fixture(scope="module")
def lasting_bench() -> Iterator[Bench]:
    """For tests whose set-up is too slow to be made for each of them."""
    with bench_of_its_own() as bench:
        yield bench


@pytest.fixture
def ann(bench: Bench) -> User:
    return bench.sandbox.add_user("Ann", "ann@example.com")


@pytest.fixture
def bob(bench: Bench) -> User:
    return bench.sandbox.add_user("Bob", "bob@example.com")


MONDAY = 1_772_413_200
"""Monday 2026-03-02 09:00 in Shanghai."""


def timed(start: int, minutes: int = 60, zone: str = "Asia/Shanghai") -> dict[str, Any]:
    """Start and end on the wire, from Unix seconds."""
    return {
        "start_time": {"timestamp": str(start), "timezone": zone},
        "end_time": {"timestamp": str(start + minutes * 60), "timezone": zone},
    }


@pytest.fixture
def single() -> dict[str, Any]:
    return {"summary": "Lunch", **timed(MONDAY)}


@pytest.fixture
def weekly() -> dict[str, Any]:
    return {"summary": "Review", "recurrence": "FREQ=WEEKLY;BYDAY=MO", **timed(MONDAY)}
