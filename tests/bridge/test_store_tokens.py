"""Tokens: durable, one refresher at a time, and never readable in the database."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from bridge.store import Store, open_store
from bridge.store.schema import tokens
from bridge.vault import Vault, VaultError
from connectors.tokens import Token

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TOKEN = Token(
    access="u-access-5d1c",
    access_expires=AT,
    refresh="ur-refresh-91ab",
    refresh_expires=AT.replace(day=9, microsecond=5),
    scope="calendar offline_access",
    owner="ou_1",
)


def test_a_token_comes_back_after_a_restart(store: Store, open_again: Callable[[], Store]) -> None:
    assert store.tokens.load("feishu", "ann") is None
    store.tokens.save("feishu", "ann", TOKEN)
    minimal = Token(access="x", access_expires=AT)
    store.tokens.save("google", "ann", minimal)
    other = open_again().tokens
    assert other.load("feishu", "ann") == TOKEN
    assert other.load("google", "ann") == minimal
    assert other.load("feishu", "Ann") is None
    assert other.accounts() == [("feishu", "ann"), ("google", "ann")]


def test_a_newer_token_replaces_the_older_and_a_void_one_goes(store: Store) -> None:
    store.tokens.save("feishu", "ann", TOKEN)
    newer = Token(access="y", access_expires=AT)
    store.tokens.save("feishu", "ann", newer)
    assert store.tokens.load("feishu", "ann") == newer
    store.tokens.drop("feishu", "ann")
    store.tokens.drop("feishu", "ann")
    assert store.tokens.load("feishu", "ann") is None


def test_no_token_can_be_read_from_the_database_files(sqlite_url: str, vault: Vault) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))

    def secrets_in_files() -> list[str]:
        raw = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
        assert b"feishu" in raw
        return [secret for secret in ("5d1c", "91ab") if secret.encode() in raw]

    store = open_store(sqlite_url, vault=vault, now=lambda: AT)
    store.tokens.save("feishu", "ann", TOKEN)
    assert secrets_in_files() == []
    store.close()
    assert secrets_in_files() == []


def test_no_token_can_be_read_from_the_table(store: Store) -> None:
    store.tokens.save("feishu", "ann", TOKEN)
    with store.reading() as connection:
        [row] = connection.execute(select(tokens)).all()
    everything = b"".join(
        value if isinstance(value, bytes) else str(value).encode() for value in row
    )
    assert b"5d1c" not in everything
    assert b"91ab" not in everything


def test_a_row_moved_to_another_account_does_not_open(store: Store) -> None:
    store.tokens.save("feishu", "ann", TOKEN)
    with store.begin() as tx:
        tx.connection.execute(update(tokens).values(account="bob"))
    with pytest.raises(VaultError):
        store.tokens.load("feishu", "bob")


def test_after_resealing_the_former_key_is_needed_no_more(database_url: str) -> None:
    old, new = Vault.generate_key(), Vault.generate_key()

    def opened(*keys: str) -> Store:
        return open_store(database_url, vault=Vault(keys), now=lambda: AT)

    with opened(old) as store:
        for account in ("ann", "bob"):
            store.tokens.save("feishu", account, TOKEN)
    with opened(new) as store, pytest.raises(VaultError, match="not configured"):
        store.tokens.load("feishu", "ann")
    with opened(new, old) as store:
        store.tokens.save("feishu", "cid", TOKEN)
        assert store.tokens.reseal() == 2
        assert store.tokens.reseal() == 0
    with opened(new) as store:
        assert [store.tokens.load("feishu", name) for name in ("ann", "bob", "cid")] == [TOKEN] * 3


def test_only_one_of_many_refreshes_a_rotating_token(
    store: Store, open_again: Callable[[], Store]
) -> None:
    """Each refresh voids the token before it, so that two at once would lose the account."""
    stores = [store, open_again()]
    store.tokens.save("feishu", "ann", Token(access="0", access_expires=AT))
    spent: list[str] = []

    def refresh(own: Store) -> None:
        for _ in range(5):
            with own.tokens.lock("feishu", "ann"):
                token = own.tokens.load("feishu", "ann")
                assert token is not None
                spent.append(token.access)
                successor = Token(access=str(int(token.access) + 1), access_expires=AT)
                own.tokens.save("feishu", "ann", successor)

    threads = [threading.Thread(target=refresh, args=(stores[n % 2],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spent == [str(number) for number in range(20)]
