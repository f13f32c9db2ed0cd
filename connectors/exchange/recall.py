"""What an account's connectors remember to save calls. Losing it costs reads, never truth."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

from connectors.contract import Copy

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The most recently used entries, thread safe."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        """The entry, None if it was never put or has been pushed out."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    def put(self, key: K, value: V) -> None:
        """Remember it, forgetting the entry that was used longest ago if there are too many."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)


class Recall:
    """One account's memory.

    `calendars`: folders that were seen to exist. `copies`: units of one item as they were last
    written, by the item's id, so that their return in a listing needs no second look.
    """

    def __init__(self) -> None:
        self.calendars: Recent[str, bool] = Recent(1024)
        self.copies: Recent[str, Copy] = Recent(4096)

    def written(self, copy: Copy) -> None:
        """Remember our own write."""
        parts = [member for member in copy.members if not member.part.startswith("occurrence:")]
        if len(parts) == 1:
            self.copies.put(parts[0].id, copy)

    def echo(self, item: str, version: str) -> Copy | None:
        """The unit, if this version of its only item is our own last write."""
        copy = self.copies.get(item)
        return copy if copy is not None and copy.version() == version else None
