"""The real client against the sandbox, over sockets."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.channels import PassingChannels
from connectors.contract import Context
from connectors.google import PLUGIN
from connectors.google.settings import CALENDARS_SCOPE, EVENTS_SCOPE, Settings
from connectors.pacing import FreePacer
from connectors.sandbox.google import GoogleSandbox
from connectors.tokens import Token

ALICE = "alice@example.com"
SCOPES = (EVENTS_SCOPE, CALENDARS_SCOPE)


class MemoryTokens:
    """A token store in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Token] = {}
        self._lock = threading.RLock()

    def load(self, connector: str, account: str) -> Token | None:
        return self.kept.get((connector, account))

    def save(self, connector: str, account: str, token: Token) -> None:
        self.kept[connector, account] = token

    def drop(self, connector: str, account: str) -> None:
        self.kept.pop((connector, account), None)

    def lock(self, connector: str, account: str) -> AbstractContextManager[Any]:
        return self._lock


@dataclass
class Google:
    """The sandbox with Alice and her calendar, and providers that talk to it."""

    sandbox: GoogleSandbox
    tokens: MemoryTokens = field(default_factory=MemoryTokens)
    channels: PassingChannels = field(default_factory=PassingChannels)
    slept: list[float] = field(default_factory=list)
    providers: list[Any] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Time passes at the sandbox only."""
        self.slept.append(seconds)
        self.sandbox.clock.advance(seconds)

    def context(self) -> Context:
        return Context(
            now=self.sandbox.clock.now,
            sleep=self.sleep,
            random=lambda: 0.5,
            tokens=self.tokens,
            channels=self.channels,
            pacer=lambda _name, _capabilities: FreePacer(),
        )

    def provider(self, **settings: Any) -> Any:
        """A provider for an OAuth client, unless the settings say otherwise."""
        if "service_account" not in settings:
            installed = self.sandbox.oauth_client()["installed"]
            settings = {
                "client_id": installed["client_id"],
                "client_secret": installed["client_secret"],
            } | settings
        root = self.sandbox.url
        settings = {
            "api_root": root,
            "token_uri": f"{root}/token",
            "auth_uri": f"{root}/o/oauth2/v2/auth",
        } | settings
        made = PLUGIN.open("google", Settings.model_validate(settings), self.context())
        self.providers.append(made)
        return made

    def consent(self, email: str = ALICE, scopes: tuple[str, ...] = SCOPES) -> None:
        """As if the user had consented earlier; the access token has run out since."""
        refresh = self.sandbox.grant(email, scopes=scopes)
        expired = datetime.now(UTC) - timedelta(days=1)
        self.tokens.save(
            "google", email, Token(access="stale", access_expires=expired, refresh=refresh)
        )

    def connect(self, email: str = ALICE, **settings: Any) -> Any:
        provider = self.provider(**settings)
        self.consent(email)
        return provider.connect(email)

    def api_calls(self, since: int = 0) -> list[str]:
        return [
            entry.operation
            for entry in self.sandbox.calls(since=since)
            if not entry.operation.startswith("oauth")
        ]

    def mark(self) -> int:
        """Where the request log stands."""
        return len(self.sandbox.calls())

    def close(self) -> None:
        for provider in self.providers:
            provider.close()
        self.sandbox.stop()


def _open(**options: Any) -> Google:
    sandbox = GoogleSandbox(**options)
    sandbox.start()
    sandbox.add_user(ALICE, zone="Asia/Shanghai", name="Alice")
    return Google(sandbox)


@pytest.fixture
def google() -> Iterator[Google]:
    opened = _open()
    yield opened
    assert opened.sandbox.mails == [], "nobody is mailed unless a test expects it"
    opened.close()


@pytest.fixture(scope="module")
def open_google() -> Iterator[Callable[..., Google]]:
    opened: list[Google] = []

    def opener(**options: Any) -> Google:
        opened.append(_open(**options))
        return opened[-1]

    yield opener
    for each in opened:
        each.close()
