"""What an account's connectors remember to save calls. Losing it costs reads, never truth."""

from typing import TYPE_CHECKING

from connectors.recent import Recent

if TYPE_CHECKING:
    from mappings.model import Event


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
