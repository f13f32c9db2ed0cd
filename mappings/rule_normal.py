"""The normal form of a rule: one spelling for each of the ways to say the same thing.

Each rewrite keeps the set of occurrences of a series that starts at `first`; none adds BYSETPOS,
which many readers get wrong. The result depends on `first` only for what the rule leaves implied.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime

from mappings.model import WEEKDAYS, Freq, Rule
from mappings.rule_text import invalid, ordered, ordered_days, week_start_matters

_ALL_MONTHS = tuple(range(1, 13))
_MONTH_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SUB_DAILY = (Freq.SECONDLY, Freq.MINUTELY, Freq.HOURLY)
_WEEKS = {  # the month days in which each weekday lies exactly once
    tuple(range(1, 8)): 1,
    tuple(range(8, 15)): 2,
    tuple(range(15, 22)): 3,
    tuple(range(22, 29)): 4,
    tuple(range(-7, 0)): -1,
}


def normal(rule: Rule, first: datetime | date) -> Rule:
    """The normal form of `rule` for a series that starts at `first` (naive wall clock or date).

    Idempotent. Raises `UnmappableError` `RULE_INVALID` if it is plain that nothing can match.
    """
    if not isinstance(first, datetime):
        if rule.freq in _SUB_DAILY:
            raise invalid(f"an all-day event cannot recur {rule.freq}")
        rule = replace(rule, by_hour=(), by_minute=(), by_second=())
    for step in _STEPS:
        rule = step(rule, first)
    return rule


def clamped(rule: Rule) -> Rule:
    """The rule that moves a day the month lacks back to the month's last day.

    That is RFC 7529's SKIP=BACKWARD and what Exchange does on its own. `rule` is monthly or
    yearly in one month, with explicit positive BYMONTHDAY.
    """
    if len(rule.by_month_day) != 1 or rule.by_day or len(rule.by_month) > 1:
        raise invalid("SKIP=BACKWARD is understood for a single BYMONTHDAY only")
    day = rule.by_month_day[0]
    months = rule.by_month or _ALL_MONTHS
    shortest = 28 if 2 in months else min(_MONTH_LENGTHS[month - 1] for month in months)
    if day <= shortest:
        return rule
    if day >= max(_MONTH_LENGTHS[month - 1] for month in months):
        return replace(rule, by_month_day=(-1,))
    return replace(rule, by_month_day=tuple(range(shortest, day + 1)), by_set_pos=(-1,))


def _times(rule: Rule, first: datetime | date) -> Rule:
    """The time of day lives in the start, unless the rule really names others."""
    if not isinstance(first, datetime):
        return rule
    if rule.by_second == (first.second,):
        rule = replace(rule, by_second=())
    if rule.by_minute == (first.minute,) and rule.freq not in (Freq.SECONDLY, Freq.MINUTELY):
        rule = replace(rule, by_minute=())
    if rule.by_hour == (first.hour,) and rule.freq not in _SUB_DAILY:
        rule = replace(rule, by_hour=())
    return rule


def _implied(rule: Rule, first: datetime | date) -> Rule:
    """What RFC 5545 takes from the start becomes explicit."""
    weekday = ((0, WEEKDAYS[first.weekday()]),)
    if rule.freq is Freq.WEEKLY and not rule.by_day:
        return replace(rule, by_day=weekday)
    if rule.freq is Freq.MONTHLY and not (rule.by_day or rule.by_month_day):
        return replace(rule, by_month_day=(first.day,))
    if rule.freq is not Freq.YEARLY or rule.by_year_day:
        return rule
    if rule.by_week_no:
        return rule if rule.by_day or rule.by_month_day else replace(rule, by_day=weekday)
    if rule.by_month_day:
        # Beside months an ordinal would count in the month, and without them it counts in the year.
        counted = any(ordinal for ordinal, _ in rule.by_day)
        return rule if rule.by_month or counted else replace(rule, by_month=_ALL_MONTHS)
    if rule.by_day:
        return rule
    return replace(rule, by_month=rule.by_month or (first.month,), by_month_day=(first.day,))


def _every_month(rule: Rule, _first: datetime | date) -> Rule:
    """All twelve months are no restriction."""
    if rule.by_month != _ALL_MONTHS:
        return rule
    if rule.freq is not Freq.YEARLY:
        return replace(rule, by_month=())
    if rule.interval == 1 and not (rule.by_set_pos or rule.by_week_no or rule.by_year_day):
        return replace(rule, freq=Freq.MONTHLY, by_month=())
    return rule


def _twelve_months(rule: Rule, first: datetime | date) -> Rule:
    """Every twelve months is every year."""
    if rule.freq is not Freq.MONTHLY or rule.interval % 12:
        return rule
    if rule.by_month and first.month not in rule.by_month:
        raise invalid("the rule matches no date: BYMONTH never meets INTERVAL")
    months = (first.month,)
    return replace(rule, freq=Freq.YEARLY, interval=rule.interval // 12, by_month=months)


def _named_months(rule: Rule, _first: datetime | date) -> Rule:
    """Every month, but only in these: every year in these. BYSETPOS counts in the year then."""
    if rule.freq is not Freq.MONTHLY or rule.interval != 1 or not rule.by_month:
        return rule
    if rule.by_set_pos and len(rule.by_month) > 1:
        return rule
    return replace(rule, freq=Freq.YEARLY)


def _daily_on_weekdays(rule: Rule, _first: datetime | date) -> Rule:
    if rule.freq is not Freq.DAILY or rule.interval != 1 or not rule.by_day:
        return rule
    if rule.by_month_day or rule.by_set_pos:
        return rule
    return replace(rule, freq=Freq.WEEKLY)


def _position_in_week(rule: Rule, _first: datetime | date) -> Rule:
    """WEEKLY;BYSETPOS: the positions are fixed weekdays, counted from WKST."""
    if rule.freq is not Freq.WEEKLY or not rule.by_set_pos or rule.by_month or _has_times(rule):
        return rule
    start = WEEKDAYS.index(rule.week_start)
    days = sorted(rule.by_day, key=lambda day: (WEEKDAYS.index(day[1]) - start) % 7)
    return replace(rule, by_day=ordered_days(set(_picked(days, rule))), by_set_pos=())


def _position_in_month(rule: Rule, _first: datetime | date) -> Rule:
    """BYDAY=TU;BYSETPOS=2 is BYDAY=2TU; any day;BYSETPOS=-1 is BYMONTHDAY=-1; likewise."""
    if not rule.by_set_pos or not _per_month(rule) or _has_times(rule):
        return rule
    ordinals = {ordinal for ordinal, _ in rule.by_day}
    if not rule.by_month_day and ordinals == {0}:
        if len(rule.by_day) == 1:
            days = {(n, rule.by_day[0][1]) for n in rule.by_set_pos if abs(n) <= 5}
            _need(days)
            return replace(rule, by_day=ordered_days(days), by_set_pos=())
        if len(rule.by_day) == 7:
            numbers = {n for n in rule.by_set_pos if abs(n) <= 31}
            _need(numbers)
            return replace(rule, by_day=(), by_month_day=ordered(numbers), by_set_pos=())
    last_days = rule.by_month_day == (28, 29, 30, 31) and not rule.by_day
    if last_days and rule.by_set_pos == (-1,):
        return replace(rule, by_month_day=(-1,), by_set_pos=())
    return rule


def _position_in_year(rule: Rule, _first: datetime | date) -> Rule:
    """YEARLY;BYDAY=MO;BYSETPOS=20 is BYDAY=20MO."""
    if rule.freq is not Freq.YEARLY or not rule.by_set_pos or _has_times(rule):
        return rule
    if rule.by_month or rule.by_month_day or rule.by_week_no or rule.by_year_day:
        return rule
    if len(rule.by_day) != 1 or rule.by_day[0][0]:
        return rule
    days = {(n, rule.by_day[0][1]) for n in rule.by_set_pos if abs(n) <= 53}
    _need(days)
    return replace(rule, by_day=ordered_days(days), by_set_pos=())


def _mixed_ordinals(rule: Rule, _first: datetime | date) -> Rule:
    """ "MO,2TU" is a union; many readers intersect, so every Monday is spelled out."""
    if len({ordinal == 0 for ordinal, _ in rule.by_day}) < 2:
        return rule
    largest = 53 if rule.freq is Freq.YEARLY and not rule.by_month else 5
    plain = {day for ordinal, day in rule.by_day if not ordinal}
    kept = {(ordinal, day) for ordinal, day in rule.by_day if ordinal and day not in plain}
    every = {(ordinal, day) for day in plain for ordinal in range(1, largest + 1)}
    return replace(rule, by_day=ordered_days(kept | every))


def _weeks_of_month(rule: Rule, _first: datetime | date) -> Rule:
    """BYDAY=TU;BYMONTHDAY=8,...,14 is BYDAY=2TU."""
    ordinal = _WEEKS.get(rule.by_month_day)
    if ordinal is None or not rule.by_day or any(n for n, _ in rule.by_day):
        return rule
    if rule.by_week_no or rule.by_year_day:
        return rule
    if rule.freq is not Freq.MONTHLY and not (rule.freq is Freq.YEARLY and rule.by_month):
        return rule
    days = ordered_days({(ordinal, day) for _, day in rule.by_day})
    return replace(rule, by_day=days, by_month_day=())


def _week_start(rule: Rule, first: datetime | date) -> Rule:
    """WKST stays only where it changes dates."""
    if week_start_matters(rule) or rule.week_start == "MO":
        return rule
    if rule.freq is Freq.WEEKLY and rule.interval > 1:
        if (0, WEEKDAYS[first.weekday()]) not in rule.by_day:
            return rule  # the start lies in a week whose one day may come before or after it
    elif rule.freq is Freq.WEEKLY and rule.by_set_pos:
        return rule
    return replace(rule, week_start="MO")


_STEPS: tuple[Callable[[Rule, datetime | date], Rule], ...] = (
    _times,
    _implied,
    _daily_on_weekdays,
    _twelve_months,
    _every_month,
    _position_in_week,
    _position_in_month,
    _position_in_year,
    _named_months,
    _mixed_ordinals,
    _weeks_of_month,
    _week_start,
)


def _has_times(rule: Rule) -> bool:
    return bool(rule.by_hour or rule.by_minute or rule.by_second)


def _per_month(rule: Rule) -> bool:
    """True if BYSETPOS counts within one month."""
    if rule.by_week_no or rule.by_year_day:
        return False
    return rule.freq is Freq.MONTHLY or (rule.freq is Freq.YEARLY and len(rule.by_month) == 1)


def _picked(days: list[tuple[int, str]], rule: Rule) -> list[tuple[int, str]]:
    size = len(days)
    picked = [days[n - 1 if n > 0 else n] for n in rule.by_set_pos if abs(n) <= size]
    _need(picked)
    return picked


def _need(found: object) -> None:
    if not found:
        raise invalid("the rule matches no date: BYSETPOS is beyond the set")
