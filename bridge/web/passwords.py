"""Password hashes for the config: scrypt (RFC 7914) with a random salt.

`scrypt:LOG2_N:R:P:SALT:HASH`, salt and hash in URL-safe base64. The cost stands in the hash, so
that it can grow without making the old ones useless.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
import threading

LOG2_N, R, P = 15, 8, 3
"""OWASP's "Password Storage Cheat Sheet" has this among its equal choices: 32 MiB, a few tenths
of a second."""
_MEMORY = 256 * 1024 * 1024
_SHAPE = re.compile(r"scrypt:(\d{1,2}):(\d{1,2}):(\d{1,2}):([\w=-]+):([\w=-]+)")
_one_at_a_time = threading.Lock()


def hash_password(password: str) -> str:
    """A hash to put into the config."""
    salt = os.urandom(16)
    return _format(salt, _derive(password, salt, LOG2_N, R, P), LOG2_N, R, P)


def well_formed(text: str) -> bool:
    """Whether that is a hash of ours, of a bearable cost."""
    return _parse(text) is not None


def matches(password: str, text: str) -> bool:
    """Whether the hash is that of the password. One at a time, so that a flood of attempts takes
    no more memory than one."""
    parsed = _parse(text)
    if parsed is None:
        return False
    salt, known, *cost = parsed
    with _one_at_a_time:
        return hmac.compare_digest(_derive(password, salt, *cost), known)


def _derive(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=1 << log2_n, r=r, p=p, maxmem=_MEMORY, dklen=32
    )


def _format(salt: bytes, derived: bytes, *cost: int) -> str:
    parts = [base64.urlsafe_b64encode(value).decode() for value in (salt, derived)]
    return ":".join(["scrypt", *map(str, cost), *parts])


def _parse(text: str) -> tuple[bytes, bytes, int, int, int] | None:
    match = _SHAPE.fullmatch(text)
    if match is None:
        return None
    log2_n, r, p = int(match[1]), int(match[2]), int(match[3])
    if not (10 <= log2_n <= 20 and 1 <= r <= 16 and 1 <= p <= 16) or 128 * r << log2_n > _MEMORY:
        return None
    try:
        return base64.urlsafe_b64decode(match[4]), base64.urlsafe_b64decode(match[5]), log2_n, r, p
    except (binascii.Error, ValueError):
        return None
