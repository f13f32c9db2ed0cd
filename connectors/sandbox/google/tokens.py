"""Sync and page tokens: opaque to clients, bound to what they were issued for."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

SECRET = "sandbox"


@dataclass(frozen=True)
class Mark:
    """Where a listing stands.

    `scope` names the collection and `params` the parameters it was read with (a digest).
    `position` and `skip` say what was shown already, `until` what the next diff starts from,
    `epoch` the state of the collection that the token belongs to, `issued` when (Unix seconds).
    `window` is the time window of the first listing.
    """

    kind: str
    scope: str
    params: str
    position: int
    skip: int = 0
    until: int = 0
    epoch: int = 0
    issued: int = 0
    window: tuple[str | None, str | None] = (None, None)


def digest(value: Any) -> str:
    """A short fingerprint of JSON values."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def encode(mark: Mark) -> str:
    """The token of a mark."""
    values = [
        mark.kind, mark.scope, mark.params, mark.position, mark.skip, mark.until, mark.epoch,
        mark.issued, list(mark.window),
    ]  # fmt: skip
    text = json.dumps(values, separators=(",", ":"))
    return base64.urlsafe_b64encode(f"{_seal(text)}{text}".encode()).decode()


def decode(token: str, kind: str, scope: str) -> Mark | None:
    """The mark of a token, None if it is garbage or was issued for something else."""
    try:
        text = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        return None
    seal, text = text[:8], text[8:]
    if seal != _seal(text):
        return None
    *values, (low, high) = json.loads(text)
    mark = replace(Mark(*values), window=(low, high))
    return mark if (mark.kind, mark.scope) == (kind, scope) else None


def _seal(text: str) -> str:
    return hashlib.sha256((SECRET + text).encode()).hexdigest()[:8]
