"""A rule that names several times of day as rules that each have one."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import islice, product, takewhile

from mappings.expansion import pattern
from mappings.members import bound, clock_of
from mappings.model import Freq, Rule, When
from mappings.rule_normal import normal

MOST = 12
"""So many times of day are written as a series each."""

_SUB_DAILY = (Freq.HOURLY, Freq.MINUTELY, Freq.SECONDLY)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Strand:
    """The members at one time of day: those of `rule` from `first` to `last` (None = endless).

    The rule names no times; it is in normal form for a series that begins at `first`.
    """

    clock: time
    rule: Rule
    first: date
    last: date | None


def strands(rule: Rule, first: When) -> tuple[Strand, ...] | None:
    """The rule by times of day, the earliest first; None if it cannot be cut so.

    Raises `UnmappableError` as `mappings.expansion` does.
    """
    clocks = _clocks(rule, first)
    if clocks is None:
        return None
    timeless = replace(rule, by_hour=(), by_minute=(), by_second=())
    if rule.freq in _SUB_DAILY:
        timeless = replace(timeless, freq=Freq.DAILY, interval=1)
    if len(clocks) > 1 or timeless.freq is not rule.freq:
        timeless = replace(timeless, count=None)
    found = (_strand(timeless, clock, first, rule) for clock in clocks)
    return tuple(strand for strand in found if strand is not None)


def _strand(timeless: Rule, clock: time, first: When, rule: Rule) -> Strand | None:
    start = clock_of(first.start)
    at_clock = datetime.combine(start.date(), clock)
    series = pattern(timeless, first.start if first.all_day else at_clock)
    member = next(series.after(start), None)
    end = bound(rule)
    if member is None or member > end:
        return None
    last = None if rule.until is None else series.last(end)
    rebased = normal(replace(timeless, until=None), member.date())
    return Strand(clock, rebased, member.date(), last.date() if last else None)


def _clocks(rule: Rule, first: When) -> list[time] | None:
    start = clock_of(first.start).time()
    if rule.freq in _SUB_DAILY:
        return _beats(rule, first)
    if not (rule.by_hour or rule.by_minute or rule.by_second):
        return [start]
    clocks = product(
        rule.by_hour or (start.hour,),
        rule.by_minute or (start.minute,),
        rule.by_second or (start.second,),
    )
    found = [time(*clock) for clock in islice(clocks, MOST + 1)]
    return None if len(found) > MOST or rule.by_set_pos else sorted(found)


def _beats(rule: Rule, first: When) -> list[time] | None:
    """The times of a rule whose beat is the same every day."""
    unit = {Freq.HOURLY: 3600, Freq.MINUTELY: 60}.get(rule.freq, 1)
    if 86400 % (unit * rule.interval) or rule.by_set_pos:
        return None
    # On any one day; what says which days are meant is left out.
    daily = replace(rule, by_month=(), by_month_day=(), by_day=(), by_year_day=(), by_week_no=())
    midnight = datetime.combine(clock_of(first.start).date(), time()) + _DAY
    beats = takewhile(lambda at: at < midnight + _DAY, pattern(daily, first.start).after(midnight))
    found = [at.time() for at in islice(beats, MOST + 1)]
    return None if len(found) > MOST else found
