"""What an account's connectors remember to save calls. Losing it costs reads, never truth."""

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from mappings.model import Event

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

    `zones`: a calendar's zone. `series`: (calendar, ref) to the series as last seen, because an
    exception that changes alone says nothing of its series' zone. `echoes`: (calendar, ref) to
    the version that our own last write gave a series, so that its return in a listing needs no
    second look.
    """

    def __init__(self) -> None:
        self.zones: Recent[str, str] = Recent(1024)
        self.series: Recent[tuple[str, str], Event] = Recent(4096)
        self.echoes: Recent[tuple[str, str], str] = Recent(16384)
