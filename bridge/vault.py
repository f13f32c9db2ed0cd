"""Authenticated encryption of what must not be read from the database: OAuth tokens.

AES-256-GCM (NIST SP 800-38D) with a random nonce for each message. A sealed value is bound to
its *context* (whose token it is), so that swapping rows in the database is noticed.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = b"\x01"
_KEY_BYTES = 32
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_PREFIX_BYTES = len(_FORMAT) + _KEY_ID_BYTES
_HEADER_BYTES = _PREFIX_BYTES + _NONCE_BYTES


class VaultError(Exception):
    """A key is missing, malformed or the wrong one, or a sealed value was tampered with.

    The message says which, and what to do; it never holds a key or what was sealed.
    """


class Vault:
    """Seals with the first key, opens with any of them: put a new key first to rotate.

    A key is 32 random bytes in URL-safe base64, as `generate_key` makes them. Passphrases are
    refused: they would make the database as weak as the shortest of them.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise VaultError("no encryption key is set; make one with `calbridge init`")
        decoded = [_decode(number, key) for number, key in enumerate(keys, 1)]
        self._current = _key_id(decoded[0])
        self._ciphers = {_key_id(key): AESGCM(key) for key in decoded}

    def __repr__(self) -> str:
        return f"Vault({len(self._ciphers)} keys)"

    @staticmethod
    def generate_key() -> str:
        """A new random key, as text for the configuration."""
        return base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode("ascii")

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypt `plain`; only `open` with the same `context` gives it back."""
        nonce = os.urandom(_NONCE_BYTES)
        head = _FORMAT + self._current
        cipher = self._ciphers[self._current]
        return head + nonce + cipher.encrypt(nonce, plain, head + context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed. Raises `VaultError` if no key fits, or value or context are not ours."""
        head, nonce = sealed[:_PREFIX_BYTES], sealed[_PREFIX_BYTES:_HEADER_BYTES]
        if len(sealed) <= _HEADER_BYTES or not head.startswith(_FORMAT):
            raise VaultError(f"the stored secret of {context} is damaged; connect again")
        cipher = self._ciphers.get(head[len(_FORMAT) :])
        if cipher is None:
            raise VaultError(
                f"the secret of {context} was stored with a key that is not configured; "
                "add the former key after the current one, or connect again"
            )
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES:], head + context.encode())
        except InvalidTag:
            raise VaultError(
                f"the stored secret of {context} was changed or belongs to another account; "
                "connect again"
            ) from None

    def is_current(self, sealed: bytes) -> bool:
        """True if the first key sealed it, so that rotation has nothing to do."""
        return sealed.startswith(_FORMAT + self._current)


def _decode(number: int, key: str) -> bytes:
    try:
        raw = base64.b64decode(key.strip(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _KEY_BYTES:
        raise VaultError(
            f"encryption key {number} is not {_KEY_BYTES} bytes in URL-safe base64; "
            "passphrases are not accepted"
        )
    return raw


def _key_id(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=_KEY_ID_BYTES, person=b"calbridge-key").digest()
