"""What an account's connectors remember to save calls. Losing it costs reads, never truth."""

from connectors.contract import Copy
from connectors.recent import Recent


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
