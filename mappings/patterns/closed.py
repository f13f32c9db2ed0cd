"""The dates that a pattern gives, computed from its own definition.

Nothing here knows recurrence rules, so that comparing the two proves something. Days are counted
as proleptic Gregorian ordinals (`date.toordinal`).
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from itertools import islice

from mappings.model import WEEKDAYS
from mappings.patterns.model import (
    AbsoluteMonthly,
    AbsoluteYearly,
    Daily,
    EndDate,
    Numbered,
    Pattern,
    Range,
    RelativeMonthly,
    RelativeYearly,
    Weekly,
)

LAST_DAY = date(2499, 12, 31).toordinal()
"""Nothing recurs after this day; no provider holds later events."""


def expand_pattern(pattern: Pattern, bounds: Range, start: date) -> Iterator[date]:
    """The dates of a pattern from `start` on, in order; earlier members do not count.

    (MS-OXOCAL 2.2.1.44.1; the first member at or after the start is occurrence 1.)
    """
    last = bounds.last.toordinal() if isinstance(bounds, EndDate) else LAST_DAY
    count = bounds.count if isinstance(bounds, Numbered) else None
    return map(date.fromordinal, islice(ordinals(pattern, start.toordinal(), last), count))


def ordinals(pattern: Pattern, start: int, last: int = LAST_DAY) -> Iterator[int]:
    """The days of an endless pattern that begins at `start`, up to `last`."""
    last = min(last, LAST_DAY)
    match pattern:
        case Daily(interval):
            yield from range(start, last + 1, interval)
        case Weekly():
            yield from _weekly(pattern, start, last)
        case _:
            for day in _by_month(pattern, start):
                if day > last:
                    return
                if day >= start:
                    yield day


def _weekly(pattern: Weekly, start: int, last: int) -> Iterator[int]:
    first_day = WEEKDAYS.index(pattern.first_day)
    week = start - (start - 1 - first_day) % 7
    offsets = sorted((WEEKDAYS.index(day) - first_day) % 7 for day in pattern.days)
    for base in range(week, last + 1, 7 * pattern.interval):
        for offset in offsets:
            if start <= base + offset <= last:
                yield base + offset


def _by_month(
    pattern: AbsoluteMonthly | RelativeMonthly | AbsoluteYearly | RelativeYearly, start: int
) -> Iterator[int]:
    begin = date.fromordinal(start)
    month, step = begin.year * 12 + begin.month - 1, pattern.interval
    if isinstance(pattern, AbsoluteYearly | RelativeYearly):
        # The first year is the first one whose member is not over: Exchange counts from there.
        month, step = begin.year * 12 + pattern.month - 1, 12 * step
        if _in_month(pattern, month) < start:
            month += 12
    for number in range(month, 2500 * 12, step):
        yield _in_month(pattern, number)


def _in_month(
    pattern: AbsoluteMonthly | RelativeMonthly | AbsoluteYearly | RelativeYearly, number: int
) -> int:
    first, length = month_days(number)
    match pattern:
        case AbsoluteMonthly(day=day) | AbsoluteYearly(day=day):
            return first + min(day, length) - 1
        case RelativeMonthly(days=days, index=index) | RelativeYearly(days=days, index=index):
            return _indexed(first, length, days, index)


@lru_cache(maxsize=16384)
def _indexed(first: int, length: int, days: tuple[str, ...], index: int) -> int:
    wanted = {WEEKDAYS.index(day) for day in days}
    found = [day for day in range(first, first + length) if (day - 1) % 7 in wanted]
    return found[index - 1 if index > 0 else index]


@lru_cache(maxsize=8192)
def month_days(number: int) -> tuple[int, int]:
    """The first day and the length of a month, months counted from January of year 0."""
    year, month = divmod(number, 12)
    return date(year, month + 1, 1).toordinal(), monthrange(year, month + 1)[1]
