"""What the contract tests of real providers share."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import RLock
from time import monotonic

import pytest

from connectors.capabilities import Capabilities
from connectors.contract import Context
from connectors.pacing import FreePacer, Pacer
from connectors.sandbox.clock import Clock
from connectors.tokens import Token


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "telling(pattern): the cases that could notice a variant")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A variant of a service is tried with the cases that could notice it; at night, with all."""
    for item in items:
        telling = item.get_closest_marker("telling")
        if telling and not re.search(telling.args[0], case_of(item)):
            item.add_marker(pytest.mark.nightly)
    if not config.option.markexpr:
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]


def case_of(item: pytest.Item) -> str:
    """The name of a case with its parameters, the variant apart."""
    assert isinstance(item, pytest.Function)
    parameters = {**item.callspec.params, "sandbox": ""}
    return f"{item.originalname} {' '.join(str(value) for value in parameters.values())}"


class Tokens:
    """A token store without durability."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens: dict[tuple[str, str], Token] = {}
        self._lock = RLock()

    def load(self, connector: str, account: str) -> Token | None:
        return self._tokens.get((connector, account))

    def save(self, connector: str, account: str, token: Token) -> None:
        self._tokens[connector, account] = token

    def drop(self, connector: str, account: str) -> None:
        self._tokens.pop((connector, account), None)

    @contextmanager
    def lock(self, connector: str, account: str) -> Iterator[None]:
        with self._lock:
            yield

    def give(self, connector: str, account: str, *, refresh: str, access: str = "") -> None:
        """As if the user had just consented; without access token it has to be fetched."""
        now = self._clock.now()
        expires = now + timedelta(hours=1) if access else now - timedelta(hours=1)
        token = Token(
            access=access,
            access_expires=expires,
            refresh=refresh,
            refresh_expires=now + timedelta(days=7),
            owner=account,
        )
        self.save(connector, account, token)


def free(_name: str, _capabilities: Capabilities) -> Pacer:
    return FreePacer()


@pytest.fixture(scope="module")
def clock() -> Clock:
    """A clock that starts shortly before the suite's events, whenever the tests are run."""
    start = datetime(2026, 2, 1, tzinfo=UTC).timestamp() - monotonic()
    return Clock(lambda: start + monotonic())


@pytest.fixture(scope="module")
def tokens(clock: Clock) -> Tokens:
    return Tokens(clock)


@pytest.fixture(scope="module")
def context(clock: Clock, tokens: Tokens) -> Context:
    """The sandbox's time; nobody sleeps."""
    return Context(
        now=clock.now,
        sleep=lambda _seconds: None,
        random=lambda: 0.5,
        tokens=tokens,
        pacer=free,
    )
