"""Recurrence as arithmetic: the i-th member is computed, so a long past costs nothing.

These are the series that people really have: every n days, some weekdays every n weeks, one day
of a month or year.
"""

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

END = datetime(2500, 1, 1)  # noqa: DTZ001  (wall clock)
"""No provider has events from here on; Feishu's calendar ends with 2499."""

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class DayCycle:
    """The days `offsets` of every cycle of `length` days, the first cycle beginning at `base`."""

    base: datetime
    length: int
    offsets: tuple[int, ...]
    skipped: int

    def _at(self, index: int) -> datetime | None:
        cycle, place = divmod(index + self.skipped, len(self.offsets))
        days = cycle * self.length + self.offsets[place]
        return self.base + timedelta(days=days) if days < _room(self.base) else None

    def _index(self, at: datetime) -> int:
        """The number of members before `at`."""
        gap = at - self.base
        days = gap.days + (1 if gap.seconds or gap.microseconds else 0)
        cycle, rest = divmod(days, self.length)
        place = bisect_left(self.offsets, rest)
        return max(0, cycle * len(self.offsets) + place - self.skipped)

    def after(self, at: datetime) -> Iterator[datetime]:
        """See `Pattern`."""
        cycle, place = divmod(self._index(at) + self.skipped, len(self.offsets))
        room = _room(self.base)
        base, offsets = self.base, self.offsets
        for anchor in range(cycle * self.length, room, self.length):
            for offset in offsets[place:]:
                if anchor + offset >= room:
                    return
                yield base + timedelta(anchor + offset)
            place = 0

    def last(self, at: datetime) -> datetime | None:
        """See `Pattern`."""
        index = self._index(min(at, END) + _SECOND) - 1
        return self._at(index) if index >= 0 else None

    def nth(self, number: int) -> datetime | None:
        """See `Pattern`."""
        return self._at(number - 1)


@dataclass(frozen=True, slots=True)
class MonthCycle:
    """One day in each of the months `offsets` of every cycle of `length` months.

    Months are counted from year 0. The day is `day` of the month (from the end if negative), or
    the `day`-th `weekday` (0 = Monday) if that is given; every such month has it.
    """

    base: int
    length: int
    offsets: tuple[int, ...]
    day: int
    weekday: int | None
    clock: time
    skipped: int = 0

    def _at(self, index: int) -> datetime | None:
        cycle, place = divmod(index + self.skipped, len(self.offsets))
        year, month = divmod(self.base + cycle * self.length + self.offsets[place], 12)
        if year >= END.year:
            return None
        return datetime.combine(date(year, month + 1, self._day(year, month + 1)), self.clock)

    def _day(self, year: int, month: int) -> int:
        day, weekday = self.day, self.weekday
        if weekday is None and day > 0:
            return day
        first, length = monthrange(year, month)
        if weekday is None:
            return length + 1 + day
        if day > 0:
            return 1 + (weekday - first) % 7 + 7 * (day - 1)
        end = (first + length - 1) % 7
        return length - (end - weekday) % 7 + 7 * (day + 1)

    def _index(self, at: datetime) -> int:
        cycle, rest = divmod(at.year * 12 + at.month - 1 - self.base, self.length)
        place = bisect_left(self.offsets, rest)
        index = max(0, cycle * len(self.offsets) + place - self.skipped)
        found = self._at(index)
        return index + 1 if found is not None and found < at else index

    def after(self, at: datetime) -> Iterator[datetime]:
        """See `Pattern`."""
        index = self._index(at)
        while (found := self._at(index)) is not None:
            yield found
            index += 1

    def last(self, at: datetime) -> datetime | None:
        """See `Pattern`."""
        index = self._index(min(at, END) + _SECOND) - 1
        return self._at(index) if index >= 0 else None

    def nth(self, number: int) -> datetime | None:
        """See `Pattern`."""
        return self._at(number - 1)


def _room(base: datetime) -> int:
    """How many days there are from `base` to `END`, the part of a day counted as one."""
    return (END - base).days + 1
