"""Where a connector keeps what must survive a restart: OAuth tokens, encrypted by the store."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One account's tokens at one provider. Instants are aware UTC.

    `repr` shows no secret.
    """

    access: str = field(repr=False)
    access_expires: datetime
    refresh: str | None = field(default=None, repr=False)
    refresh_expires: datetime | None = None
    scope: str = ""
    owner: str = ""


class TokenStore(Protocol):
    """Keeps tokens per (connector name, account). Durable when `save` returns."""

    def load(self, connector: str, account: str) -> Token | None:
        """The stored token, None if there is none."""

    def save(self, connector: str, account: str, token: Token) -> None:
        """Store it; when this returns, a crash no longer loses it."""

    def drop(self, connector: str, account: str) -> None:
        """Forget it, because the provider said it is void."""

    def lock(self, connector: str, account: str) -> AbstractContextManager[None]:
        """Held by the one process and thread that may refresh this account's token."""
