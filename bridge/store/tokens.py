"""OAuth tokens in the database, sealed by the vault (`connectors.tokens.TokenStore`)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from bridge.store.schema import tokens
from bridge.vault import Vault
from connectors.tokens import Token

if TYPE_CHECKING:
    from bridge.store.store import Store

_INSTANTS = ("access_expires", "refresh_expires")


class StoredTokens:
    """Tokens per connector and account; never in clear outside of memory.

    Each row is bound to its connector and account, so that a row moved to another account does
    not open. `load` raises `VaultError` if the key is wrong. No method may be called inside a
    transaction of the same thread.
    """

    def __init__(self, store: "Store", vault: Vault) -> None:
        self._store = store
        self._vault = vault

    def load(self, connector: str, account: str) -> Token | None:
        """The stored token, None if there is none."""
        query = select(tokens.c.sealed).where(
            tokens.c.connector == connector, tokens.c.account == account
        )
        with self._store.reading() as connection:
            sealed = connection.scalar(query)
        if sealed is None:
            return None
        return _decode(self._vault.open(sealed, _context(connector, account)))

    def save(self, connector: str, account: str, token: Token) -> None:
        """Store it; durable on return."""
        sealed = self._vault.seal(_encode(token), _context(connector, account))
        row = {"connector": connector, "account": account, "sealed": sealed}
        with self._store.begin() as tx:
            tx.upsert(tokens, [row])

    def drop(self, connector: str, account: str) -> None:
        """Forget it. Not there = done."""
        with self._store.begin() as tx:
            tx.connection.execute(
                delete(tokens).where(tokens.c.connector == connector, tokens.c.account == account)
            )

    @contextmanager
    def lock(self, connector: str, account: str) -> Iterator[None]:
        """Held by one thread of one process, on all machines that share the database.

        Raises `StoreError` if nothing can be stored just now: who spends a token that works once
        must be able to store what he gets for it.
        """
        with self._store.lock("token", connector, account):
            with self._store.begin() as tx:
                tx.put_setting("tokens", "can be stored")
            yield

    def accounts(self) -> list[tuple[str, str]]:
        """(connector, account) of every stored token."""
        query = select(tokens.c.connector, tokens.c.account).order_by(*tokens.primary_key)
        with self._store.reading() as connection:
            return [(row.connector, row.account) for row in connection.execute(query)]

    def reseal(self) -> int:
        """Seal everything anew with the vault's first key, so that others may be removed.

        How many rows changed. Raises `VaultError`, and changes nothing, if one does not open.
        """
        changed = 0
        with self._store.begin() as tx:
            for row in tx.connection.execute(select(tokens).with_for_update()).all():
                if self._vault.is_current(row.sealed):
                    continue
                context = _context(row.connector, row.account)
                sealed = self._vault.seal(self._vault.open(row.sealed, context), context)
                tx.connection.execute(
                    update(tokens)
                    .where(tokens.c.connector == row.connector, tokens.c.account == row.account)
                    .values(sealed=sealed)
                )
                changed += 1
        return changed


def _context(connector: str, account: str) -> str:
    return json.dumps([connector, account])


def _encode(token: Token) -> bytes:
    def instant(value: Any) -> str:
        return str(value.isoformat())

    return json.dumps(asdict(token), default=instant).encode()


def _decode(plain: bytes) -> Token:
    values = json.loads(plain)
    for name in _INSTANTS:
        if values[name] is not None:
            values[name] = datetime.fromisoformat(values[name])
    return Token(**values)
