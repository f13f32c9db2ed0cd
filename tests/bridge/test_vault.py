import base64

import pytest

from bridge.vault import Vault, VaultError

SECRET = b"u-refresh-token-7f3a"


def test_what_is_sealed_opens_again_and_does_not_show() -> None:
    vault = Vault([Vault.generate_key()])
    sealed = vault.seal(SECRET, "feishu/ann")
    assert vault.open(sealed, "feishu/ann") == SECRET
    assert SECRET not in sealed


def test_sealing_twice_gives_two_different_values() -> None:
    vault = Vault([Vault.generate_key()])
    assert vault.seal(SECRET, "x") != vault.seal(SECRET, "x")


def test_a_value_moved_to_another_account_does_not_open() -> None:
    vault = Vault([Vault.generate_key()])
    sealed = vault.seal(SECRET, "feishu/ann")
    with pytest.raises(VaultError, match="another account"):
        vault.open(sealed, "feishu/bob")


def test_any_flipped_byte_is_noticed() -> None:
    vault = Vault([Vault.generate_key()])
    sealed = vault.seal(SECRET, "x")
    for place in range(len(sealed)):
        broken = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(VaultError):
            vault.open(broken, "x")


@pytest.mark.parametrize("length", range(18))
def test_a_cut_value_is_noticed(length: int) -> None:
    vault = Vault([Vault.generate_key()])
    with pytest.raises(VaultError):
        vault.open(vault.seal(SECRET, "x")[:length], "x")


def test_a_new_first_key_seals_and_the_former_still_opens() -> None:
    old, new = Vault.generate_key(), Vault.generate_key()
    sealed = Vault([old]).seal(SECRET, "x")
    rotated = Vault([new, old])
    assert rotated.open(sealed, "x") == SECRET
    assert not rotated.is_current(sealed)
    anew = rotated.seal(SECRET, "x")
    assert rotated.is_current(anew)
    assert Vault([new]).open(anew, "x") == SECRET


def test_a_missing_key_says_what_to_do() -> None:
    sealed = Vault([Vault.generate_key()]).seal(SECRET, "feishu/ann")
    with pytest.raises(VaultError, match="add the former key"):
        Vault([Vault.generate_key()]).open(sealed, "feishu/ann")


@pytest.mark.parametrize(
    "key", ["", "correct horse battery staple", base64.b64encode(b"short").decode(), "é" * 44]
)
def test_a_bad_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(VaultError, match="encryption key 1") as caught:
        Vault([key])
    assert not key or key not in str(caught.value)


def test_no_key_at_all_is_refused() -> None:
    with pytest.raises(VaultError, match="no encryption key"):
        Vault([])


def test_a_vault_does_not_show_its_keys() -> None:
    key = Vault.generate_key()
    assert key not in repr(Vault([key]))
