"""What an account's connectors remember to save calls. Losing it costs reads, never truth."""

import zlib
from dataclasses import dataclass

from connectors.recent import Recent

_LARGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Object:
    """One calendar object as the server held it: its ETag, and its text."""

    etag: str | None
    text: str


class Recall:
    """One account's memory: the objects last seen, so that a change needs no read, each
    calendar's zone, and what `OPTIONS` said."""

    def __init__(self) -> None:
        self.zones: Recent[str, str] = Recent(256)
        self.mailing: Recent[str, bool] = Recent(256)
        self._objects: Recent[tuple[str, str], tuple[str, bytes]] = Recent(16384)

    def put(self, calendar: str, ref: str, object_: Object) -> None:
        """Remember the object under its ETag; without one, or if it is huge, not."""
        if object_.etag is None or len(object_.text) > _LARGEST:
            self.forget(calendar, ref)
            return
        packed = zlib.compress(object_.text.encode(), 1)
        self._objects.put((calendar, ref), (object_.etag, packed))

    def get(self, calendar: str, ref: str, etag: str | None) -> Object | None:
        """The object, if it is remembered under that ETag."""
        found = self._objects.get((calendar, ref))
        if found is None or etag is None or found[0] != etag:
            return None
        return Object(etag, zlib.decompress(found[1]).decode())

    def forget(self, calendar: str, ref: str) -> None:
        """It changed, or is gone."""
        self._objects.forget((calendar, ref))
