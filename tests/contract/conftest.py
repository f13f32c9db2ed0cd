"""What the contract tests of real providers share."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import RLock

import pytest

from connectors.capabilities import Capabilities
from connectors.contract import Context
from connectors.pacing import FreePacer, Pacer
from connectors.tokens import Token


class Tokens:
    """A token store without durability."""

    def __init__(self) -> None:
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
        now = datetime.now(UTC)
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
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture(scope="module")
def context(tokens: Tokens) -> Context:
    """Real time, but nobody sleeps."""
    return Context(
        now=lambda: datetime.now(UTC),
        sleep=lambda _seconds: None,
        random=lambda: 0.5,
        tokens=tokens,
        pacer=free,
    )
