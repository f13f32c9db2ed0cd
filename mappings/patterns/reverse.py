"""A pattern as a recurrence rule."""

from dataclasses import replace
from datetime import date, datetime
from itertools import islice

from mappings.members import clock_of, key_of
from mappings.model import Freq, Rule, When
from mappings.patterns.closed import expand_pattern
from mappings.patterns.model import (
    ANY_DAY,
    AbsoluteMonthly,
    AbsoluteYearly,
    Daily,
    EndDate,
    NoEnd,
    Numbered,
    Pattern,
    Range,
    RelativeMonthly,
    RelativeYearly,
    Weekly,
)
from mappings.rule_normal import clamped, normal
from mappings.rule_text import invalid

LAST_YEAR = 2499
"""Exchange ends an endless series in the year 4500, and nobody else means a later end either."""

_SHORTEST = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def unplan(pattern: Pattern, bounds: Range, first: When) -> Rule:
    """The rule in normal form that gives the same dates, its bound the last real occurrence.

    `first` is the first occurrence, whose local date the pattern starts from. A day that some
    months lack becomes the rule for "that day or the last one"; where every month of the series
    has the day, it stays plain. Raises `UnmappableError` `RULE_INVALID` if there is no occurrence.
    (Exchange: AbsoluteMonthlyRecurrence and its kin; RFC 5545 section 3.3.10.)
    """
    start = clock_of(first.start).date()
    if isinstance(bounds, EndDate) and bounds.last.year > LAST_YEAR:
        bounds = NoEnd()
    dates = expand_pattern(pattern, bounds, start)
    if next(dates, None) != start:
        raise invalid("the pattern does not begin with the first occurrence")
    rule = normal(_rule(pattern, bounds, start), first.start)
    if isinstance(bounds, NoEnd):
        return rule
    last = max(dates, default=start)
    key = key_of(datetime.combine(last, clock_of(first.start).time()), first)
    return replace(rule, until=key, count=bounds.count if isinstance(bounds, Numbered) else None)


def _rule(pattern: Pattern, bounds: Range, start: date) -> Rule:
    match pattern:
        case Daily(interval):
            return Rule(freq=Freq.DAILY, interval=interval)
        case Weekly(interval, days, first_day):
            by_day = tuple((0, day) for day in days)
            return Rule(freq=Freq.WEEKLY, interval=interval, by_day=by_day, week_start=first_day)
        case AbsoluteMonthly(interval, day) if interval % 12 == 0:
            yearly = AbsoluteYearly(start.month, day, interval // 12)
            return _rule(yearly, bounds, start)
        case AbsoluteMonthly(interval, day):
            rule = Rule(freq=Freq.MONTHLY, interval=interval, by_month_day=(day,))
            return rule if _always(pattern, bounds, start) else clamped(rule)
        case AbsoluteYearly(month, day, interval):
            return clamped(_yearly(month, interval, by_month_day=(day,)))
        case RelativeMonthly(interval, days, index):
            return _placed(Rule(freq=Freq.MONTHLY, interval=interval), days, index)
        case RelativeYearly(month, days, index, interval):
            return _placed(_yearly(month, interval), days, index)


def _yearly(month: int, interval: int, by_month_day: tuple[int, ...] = ()) -> Rule:
    return Rule(freq=Freq.YEARLY, interval=interval, by_month=(month,), by_month_day=by_month_day)


def _placed(rule: Rule, days: tuple[str, ...], index: int) -> Rule:
    if days == ANY_DAY:
        return replace(rule, by_month_day=(index,))
    if len(days) == 1:
        return replace(rule, by_day=((index, days[0]),))
    return replace(rule, by_day=tuple((0, day) for day in days), by_set_pos=(index,))


def _always(pattern: AbsoluteMonthly, bounds: Range, start: date) -> bool:
    """True if every month of the series has the day."""
    months = {(start.month - 1 + step * pattern.interval) % 12 for step in range(12)}
    if all(_SHORTEST[month] >= pattern.day for month in months):
        return True
    if isinstance(bounds, NoEnd):
        return False
    most = 12 * 500
    return all(
        day.day == pattern.day for day in islice(expand_pattern(pattern, bounds, start), most)
    )
