"""What has been handed out of a rate budget, and what still may be. Pure; microseconds since 1970.

Permits are handed out in slices: so many calls, to be made until a given instant. As nobody knows
when exactly they are made, a slice counts against every window that reaches back to its end. Who
has used it up tells how many calls there were and when the last one went out; the rest is free.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.capabilities import RateBudget

SECOND = 1_000_000
TRAVEL = SECOND // 10
"""Calls do not all take equally long to the provider, so two of ours may come closer together
than they were sent. By this much every window is longer than the provider's."""
GRAINS = 50
"""Ends are rounded up to this part of their window, so that the ledger stays short."""
SLICES = 8
"""Nobody takes more than this part of the narrowest window at once."""


@dataclass(frozen=True, slots=True)
class Window:
    """No stretch of `length` microseconds may hold more than `permits` calls."""

    length: int
    permits: int

    def grain(self, instant: int) -> int:
        """The end of the grain that the instant lies in."""
        size = self.length // GRAINS
        return -(-instant // size) * size

    def counts(self, end: int, now: int) -> bool:
        """Whether calls until `end` may lie in this window at `now`. An end far ahead was written
        before the clock was set back, and would close the budget for as long."""
        return now - self.length < end <= now + 2 * self.length


def windows(budget: RateBudget, headroom: float) -> tuple[Window, ...]:
    """The windows of a budget, of which only the share `headroom` is ours."""
    rates = ((SECOND, budget.per_second), (60 * SECOND, budget.per_minute))
    return tuple(
        Window(length + TRAVEL, max(1, int(headroom * rate))) for length, rate in rates if rate
    )


def largest_slice(limits: Iterable[Window]) -> int:
    """How many permits one slice may hold."""
    return max(1, min(window.permits for window in limits) // SLICES)


def slice_length(limits: Iterable[Window]) -> int:
    """How long a slice may be used: at most a second, and not long against any window."""
    return min(SECOND, min(window.length for window in limits) // 4)


@dataclass(frozen=True, slots=True)
class Used:
    """What became of a slice of `permits` until `end`: so many calls, the last one at `last`."""

    permits: int
    end: int
    calls: int
    last: int


class Ledger:
    """The slices that still count, for one budget and one operation."""

    def __init__(
        self, limits: Iterable[Window], counts: Mapping[int, Mapping[int, int]] | None = None
    ) -> None:
        known = counts or {}
        self._counts = {window: dict(known.get(window.length, {})) for window in limits}

    @classmethod
    def read(cls, limits: Iterable[Window], text: str) -> "Ledger":
        """From what `write` wrote; windows that were not known then are empty."""
        stored = {
            int(length): {int(end): count for end, count in ends.items()}
            for length, ends in json.loads(text or "{}").items()
        }
        return cls(limits, stored)

    def write(self, now: int) -> str:
        """As text, without what does not count any more at `now`."""
        return json.dumps(
            {
                window.length: {
                    end: count for end, count in ends.items() if window.counts(end, now)
                }
                for window, ends in self._counts.items()
            },
            separators=(",", ":"),
        )

    def room(self, now: int) -> int:
        """How many more calls every window that holds `now` has room for."""
        return max(
            0,
            min(
                window.permits
                - sum(count for end, count in ends.items() if window.counts(end, now))
                for window, ends in self._counts.items()
            ),
        )

    def room_from(self, now: int) -> int:
        """The earliest instant at which there is room for a call if nothing more is taken."""
        return max(_free(window, ends, now) for window, ends in self._counts.items())

    def take(self, permits: int, end: int) -> None:
        """Hand out a slice."""
        self._add(permits, end)

    def settle(self, used: Used) -> None:
        """A slice is over before its time, or was not used up."""
        for window, ends in self._counts.items():
            end = window.grain(used.end)
            if end in ends:
                ends[end] = max(0, ends[end] - used.permits)
        if used.calls:
            self._add(used.calls, min(used.last, used.end))

    def _add(self, permits: int, end: int) -> None:
        for window, ends in self._counts.items():
            rounded = window.grain(end)
            ends[rounded] = ends.get(rounded, 0) + permits


def _free(window: Window, ends: Mapping[int, int], now: int) -> int:
    counting = sorted(item for item in ends.items() if window.counts(item[0], now))
    taken, instant = sum(count for _end, count in counting), now
    for end, count in counting:
        if taken < window.permits:
            break
        taken -= count
        instant = end + window.length
    return instant
