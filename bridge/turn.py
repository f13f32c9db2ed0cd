"""How long a link may go on while others wait."""

from collections.abc import Callable

UNITS = 500
"""Units that are brought up to date before others get their turn."""
SECONDS = 20.0
"""... or as many seconds, counted from the first write."""
LEAST = 50
"""Units that a turn is good for however long they take; else slow refusals could eat it up. After
as many more it is looked again whether anybody waits."""


class Turn:
    """One turn of one link.

    What has been read without being written is read again in the next turn; so a turn never ends
    before writing has taken as long as the reading before it, and never while nobody waits.
    """

    def __init__(
        self,
        others_wait: Callable[[], bool],
        monotonic: Callable[[], float],
        *,
        units: int = UNITS,
        seconds: float = SECONDS,
    ) -> None:
        self._others_wait = others_wait
        self._monotonic = monotonic
        self._units = units
        self._seconds = seconds
        self._begun = monotonic()
        self._writing: float | None = None
        self._look = 0

    def is_over(self, done: int) -> bool:
        """Whether it is others' turn, now that so many units are done. To be asked before each
        unit that something has to be written for."""
        now = self._monotonic()
        if self._writing is None:
            self._writing = now
        wrote = now - self._writing
        if wrote < self._writing - self._begun:
            return False
        enough = done >= self._units or (wrote >= self._seconds and done >= LEAST)
        if not enough or done < self._look:
            return False
        self._look = done + LEAST
        return self._others_wait()
