"""The pattern that a rule's words suggest. Only a proposal: its dates are compared before use."""

from datetime import date

from mappings.model import WEEKDAYS, Freq, Rule
from mappings.patterns.model import (
    LAST,
    WEEKEND,
    WORKDAYS,
    AbsoluteMonthly,
    AbsoluteYearly,
    Daily,
    Pattern,
    RelativeMonthly,
    RelativeYearly,
    Weekly,
)
from mappings.patterns.profile import Profile

_INDEXES = (1, 2, 3, 4, LAST)


def propose(rule: Rule, first: date, profile: Profile) -> Pattern | None:
    """The one pattern that may equal the rule from its first member on.

    `rule` is in normal form and names no times of day (RFC 5545 section 3.3.10).
    """
    if rule.by_week_no or rule.by_year_day:
        return None
    if rule.freq is Freq.DAILY:
        plain = not (rule.by_month or rule.by_month_day or rule.by_day)
        return _daily(rule.interval, first, profile) if plain else None
    if rule.freq is Freq.WEEKLY:
        return None if rule.by_month or rule.by_set_pos else _weekly(rule, profile)
    if _every_week(rule):
        return Weekly(1, tuple(day for day in WEEKDAYS if (0, day) in rule.by_day))
    if rule.freq is Freq.MONTHLY:
        return None if rule.by_month else monthly(rule.interval, _in_month(rule, profile), profile)
    months = 12 * rule.interval
    if rule.freq is Freq.YEARLY and len(rule.by_month) == 1:
        return monthly(months, _in_month(rule, profile), profile, rule.by_month[0])
    if rule.freq is Freq.YEARLY and not rule.by_month and len(rule.by_day) == 1:
        # The n-th Monday of the year is that of January, the last one that of December.
        month = 1 if rule.by_day[0][0] > 0 else 12
        return monthly(months, _in_month(rule, profile), profile, month)
    return None


def monthly(
    interval: int, day: int | tuple[tuple[str, ...], int] | None, profile: Profile, month: int = 0
) -> Pattern | None:
    """The pattern for one day in every `interval`-th month, None if the target has none.

    `day` is a day of the month, or weekdays and an index. With a `month` the interval is whole
    years, and what the target can say yearly is said so.
    """
    if day is None:
        return None
    if month and (interval == 12 or profile.yearly_interval) and interval <= 12 * 99:
        if isinstance(day, int):
            return AbsoluteYearly(month, day, interval // 12)
        return RelativeYearly(month, *day, interval // 12)
    if interval > profile.max_months:
        return None
    if isinstance(day, int):
        return AbsoluteMonthly(interval, day)
    return RelativeMonthly(interval, *day)


def _every_week(rule: Rule) -> bool:
    """True for some weekdays of every month or year, without any number."""
    if rule.freq not in (Freq.MONTHLY, Freq.YEARLY) or rule.interval != 1 or rule.by_set_pos:
        return False
    limited = rule.by_month or rule.by_month_day
    return bool(rule.by_day) and not limited and all(not ordinal for ordinal, _ in rule.by_day)


def _daily(interval: int, first: date, profile: Profile) -> Pattern | None:
    if interval <= profile.max_days:
        return Daily(interval)
    weeks, rest = divmod(interval, 7)
    if rest or weeks > profile.max_weeks:
        return None
    return Weekly(weeks, (WEEKDAYS[first.weekday()],))


def _weekly(rule: Rule, profile: Profile) -> Pattern | None:
    days = tuple(day for day in WEEKDAYS if (0, day) in rule.by_day)
    if rule.interval <= profile.max_weeks:
        return Weekly(rule.interval, days, rule.week_start)
    if len(days) == 1 and 7 * rule.interval <= profile.max_days:
        return Daily(7 * rule.interval)
    return None


def _in_month(rule: Rule, profile: Profile) -> int | tuple[tuple[str, ...], int] | None:
    """Which day of a month the rule means."""
    if rule.by_month_day:
        return None if rule.by_day else _month_day(rule, profile)
    ordinals = {ordinal for ordinal, _ in rule.by_day}
    if len(ordinals) != 1:
        return None
    (ordinal,) = ordinals
    days = tuple(day for day in WEEKDAYS if (ordinal, day) in rule.by_day)
    if ordinal:
        single = len(days) == 1 and ordinal in _INDEXES and not rule.by_set_pos
        return (days, ordinal) if single else None
    if len(rule.by_set_pos) != 1 or rule.by_set_pos[0] not in _INDEXES:
        return None
    whole = len(days) == 1 or days in (WEEKDAYS, WORKDAYS, WEEKEND)
    return (days, rule.by_set_pos[0]) if whole or profile.sets else None


def _month_day(rule: Rule, profile: Profile) -> int | None:
    named = rule.by_month_day
    if rule.by_set_pos == (-1,) and profile.clamp:
        return named[-1] if named == tuple(range(named[0], named[-1] + 1)) else None
    if len(named) != 1 or rule.by_set_pos:
        return None
    if named[0] == -1:
        return 31 if profile.clamp else None
    return named[0] if named[0] > 0 else None
