"""The dates that a rule gives, as naive wall clock, from any point on and with bounded work.

An expander of our own, because others cannot start in the middle of a long series, nor stop at a
rule that never matches. Everything ends before `END`; no provider has later dates.
"""

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Protocol

from mappings.cycles import END, DayCycle, MonthCycle
from mappings.errors import UnmappableError
from mappings.model import WEEKDAYS, Freq, Rule
from mappings.rule_normal import normal
from mappings.walks import CLOCK_FREQS, Clock, Walk

__all__ = ["END", "Pattern", "pattern"]


class Pattern(Protocol):
    """The members of an endless rule that lie at or after its start."""

    def after(self, at: datetime) -> Iterator[datetime]:
        """The members at or after `at`, in order."""

    def last(self, at: datetime) -> datetime | None:
        """The last member at or before `at`."""

    def nth(self, number: int) -> datetime | None:
        """The member with that number, counted from 1; None if it lies beyond `END`."""


@lru_cache(maxsize=4096)
def pattern(rule: Rule, first: datetime | date) -> Pattern:
    """The members of a rule, its bound left out, for a series from `first` on.

    `first` is naive wall clock, or a date for all-day series, whose members are midnights.
    Raises `UnmappableError`: `OUT_OF_RANGE` for a start that no calendar has, `RULE_INVALID`.
    """
    if not 1000 <= first.year < END.year:
        raise UnmappableError("OUT_OF_RANGE", f"A series cannot begin in the year {first.year}")
    rule = normal(rule, first)
    start = first if isinstance(first, datetime) else datetime.combine(first, time())
    by_time = rule.by_hour or rule.by_minute or rule.by_second
    rare = rule.by_week_no or rule.by_year_day or rule.by_set_pos or by_time
    if not rare and rule.freq in (Freq.DAILY, Freq.WEEKLY) and not rule.by_month:
        if rule.freq is Freq.WEEKLY:
            return _weekly(rule, start)
        if not (rule.by_day or rule.by_month_day):
            return DayCycle(start, rule.interval, (0,), 0)
    if not rare and rule.freq in (Freq.MONTHLY, Freq.YEARLY) and _one_day_a_month(rule):
        return _monthly(rule, start)
    if rule.freq in CLOCK_FREQS:
        return Clock(rule, start)
    return Walk(rule, start)


def _weekly(rule: Rule, start: datetime) -> DayCycle:
    week_start = WEEKDAYS.index(rule.week_start)
    passed = (start.weekday() - week_start) % 7
    days = sorted((WEEKDAYS.index(day) - week_start) % 7 for _, day in rule.by_day)
    offsets = tuple(days)
    base = start - timedelta(days=passed)
    return DayCycle(base, 7 * rule.interval, offsets, bisect_left(offsets, passed))


def _one_day_a_month(rule: Rule) -> bool:
    """True if every month that the rule names has exactly one member."""
    if rule.freq is Freq.YEARLY and not rule.by_month:
        return False
    if rule.freq is Freq.MONTHLY and rule.by_month:
        return False
    if len(rule.by_day) == 1 and not rule.by_month_day:
        return 1 <= abs(rule.by_day[0][0]) <= 4
    if len(rule.by_month_day) != 1 or rule.by_day:
        return False
    months = rule.by_month or (2,)
    return abs(rule.by_month_day[0]) <= min(monthrange(2001, month)[1] for month in months)


def _monthly(rule: Rule, start: datetime) -> MonthCycle:
    if rule.by_day:
        day, weekday = rule.by_day[0][0], WEEKDAYS.index(rule.by_day[0][1])
    else:
        day, weekday = rule.by_month_day[0], None
    if rule.freq is Freq.MONTHLY:
        base, length = start.year * 12 + start.month - 1, rule.interval
    else:
        base, length = start.year * 12, 12 * rule.interval
    offsets = tuple(month - 1 for month in rule.by_month) or (0,)
    whole = MonthCycle(base, length, offsets, day, weekday, start.time())
    skipped = next(index for index in range(14) if _at_or_after(whole, index, start))
    return MonthCycle(base, length, offsets, day, weekday, start.time(), skipped)


def _at_or_after(months: MonthCycle, index: int, start: datetime) -> bool:
    found = months.nth(index + 1)
    return found is None or found >= start
