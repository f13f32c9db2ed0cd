"""The per-calendar change log that sync tokens point into, and the opaque tokens themselves."""

import base64
import hashlib
import hmac
import json
from bisect import bisect_right
from typing import Any


class ChangeLog:
    """A growing list of "item n changed"; only an item's newest line counts.

    A position is a number of lines, so "since position p" costs what changed since, not what
    the calendar holds.
    """

    def __init__(self) -> None:
        self._items: list[int] = []
        self._times: list[float] = []
        self._newest: dict[int, int] = {}

    def touch(self, item: int, at: float) -> None:
        """Item number `item` changed now."""
        self._newest[item] = len(self._items)
        self._items.append(item)
        self._times.append(at)

    def head(self, until: float) -> int:
        """The position after the last line written at or before `until`."""
        if not self._times or self._times[-1] <= until:
            return len(self._items)
        return bisect_right(self._times, until)

    def since(self, position: int, head: int, limit: int) -> tuple[list[int], int]:
        """Up to `limit` items changed between two positions, and the position reached."""
        found: list[int] = []
        while position < head and len(found) < limit:
            item = self._items[position]
            if self._newest[item] == position:
                found.append(item)
            position += 1
        return found, position


class Cursors:
    """Page and sync tokens: opaque, tamper-proof, without memory on the server."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def mint(self, kind: str, fields: dict[str, Any]) -> str:
        """A token of that kind."""
        raw = json.dumps(fields, separators=(",", ":")).encode()
        return f"{kind}_{base64.urlsafe_b64encode(self._seal(kind, raw) + raw).decode()}"

    def read(self, kind: str, token: str) -> dict[str, Any] | None:
        """The fields of a token of that kind, None if it is not one of ours."""
        name, _, text = token.partition("_")
        try:
            data = base64.urlsafe_b64decode(text)
        except ValueError:
            return None
        seal, raw = data[:8], data[8:]
        if name != kind or not hmac.compare_digest(seal, self._seal(kind, raw)):
            return None
        fields: dict[str, Any] = json.loads(raw)
        return fields

    def _seal(self, kind: str, raw: bytes) -> bytes:
        return hmac.new(self._secret, kind.encode() + raw, hashlib.sha256).digest()[:8]
