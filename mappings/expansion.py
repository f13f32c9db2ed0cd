"""The dates that a rule gives, as naive wall clock, from any point on and with bounded work.

Series that people really have (every n days, some weekdays every n weeks, one day a month or
year) are arithmetic: their i-th member is computed, so that a series that began ten years ago
costs nothing to enter. All other rules are walked period by period within a budget of steps.
Everything ends before `END`; later members do not exist for any provider.
"""

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Protocol

from mappings.model import WEEKDAYS, Freq, Rule
from mappings.rule_normal import normal
from mappings.rule_text import invalid

END = datetime(2500, 1, 1)  # noqa: DTZ001  (wall clock)
_BUDGET = 60_000
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_UNITS = {
    Freq.HOURLY: timedelta(hours=1),
    Freq.MINUTELY: timedelta(minutes=1),
    Freq.SECONDLY: _SECOND,
}


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
    """
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
    if rule.freq in _UNITS:
        return Clock(rule, start)
    return Walk(rule, start)


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


class _Walked:
    """What can be said of any pattern that is only known by walking along it."""

    start: datetime

    def after(self, at: datetime) -> Iterator[datetime]:
        """See `Pattern`."""
        raise NotImplementedError

    def last(self, at: datetime) -> datetime | None:
        """See `Pattern`. Looks back in growing steps, since the last one is usually near."""
        at = min(at, END)
        back = timedelta(hours=1)
        while at >= self.start:
            found = None
            since = at - back if at - self.start > back else self.start
            for member in self.after(since):
                if member > at:
                    break
                found = member
            if found or since == self.start:
                return found
            back *= 8
        return None

    def nth(self, number: int) -> datetime | None:
        """See `Pattern`."""
        if number > _BUDGET:
            raise invalid(f"COUNT={number} is more than {_BUDGET} occurrences of such a rule")
        return next(islice(self.after(self.start), number - 1, None), None)


class Walk(_Walked):
    """Any rule from DAILY to YEARLY, period by period: the days that pass all BY parts."""

    def __init__(self, rule: Rule, start: datetime) -> None:
        self.start = start
        self._rule = rule
        self._days = DayTest(rule)
        self._clocks = _clocks(rule, start)

    def after(self, at: datetime) -> Iterator[datetime]:
        """See `Pattern`."""
        at = max(at, self.start)
        idle = 0
        for days in self._periods(at):
            idle += 1
            members = [
                datetime.combine(day, clock)
                for day in days
                if self._days.passes(day)
                for clock in self._clocks
            ]
            for member in self._positions(members) if self._rule.by_set_pos else members:
                if member >= at:
                    idle = 0
                    yield member
            if idle > _BUDGET:
                return

    def _positions(self, members: list[datetime]) -> list[datetime]:
        size = len(members)
        chosen = {n - 1 if n > 0 else size + n for n in self._rule.by_set_pos if abs(n) <= size}
        return [members[place] for place in sorted(chosen)]

    def _periods(self, at: datetime) -> Iterator[list[date]]:
        rule = self._rule
        step = rule.interval
        if rule.freq in (Freq.DAILY, Freq.WEEKLY):
            size = 7 if rule.freq is Freq.WEEKLY else 1
            first = self.start.toordinal()
            if size == 7:
                first -= (self.start.weekday() - WEEKDAYS.index(rule.week_start)) % 7
            skipped = (at.toordinal() - first) // (size * step) * size * step
            for day in range(first + skipped, END.toordinal(), size * step):
                yield [date.fromordinal(day + n) for n in range(size)]
        elif rule.freq is Freq.MONTHLY:
            base = self.start.year * 12 + self.start.month - 1
            skipped = (at.year * 12 + at.month - 1 - base) // step * step
            for count in range(base + skipped, END.year * 12, step):
                yield self._month(*divmod(count, 12))
        else:
            skipped = (at.year - self.start.year) // step * step
            months = [month - 1 for month in rule.by_month] or range(12)
            for year in range(self.start.year + skipped, END.year, step):
                yield [day for month in months for day in self._month(year, month)]

    def _month(self, year: int, month: int) -> list[date]:
        """The days of a month (0 = January) that BYMONTHDAY leaves."""
        length = monthrange(year, month + 1)[1]
        named = self._rule.by_month_day
        days = {n if n > 0 else length + 1 + n for n in named} if named else range(1, length + 1)
        return [date(year, month + 1, day) for day in sorted(days) if 1 <= day <= length]


class Clock(_Walked):
    """HOURLY, MINUTELY and SECONDLY rules: a steady beat, filtered, leaping over what is barred."""

    def __init__(self, rule: Rule, start: datetime) -> None:
        self.start = start
        self._rule = rule
        self._days = DayTest(rule)
        self._beat = _UNITS[rule.freq] * rule.interval
        hourly, minutely = rule.freq is Freq.HOURLY, rule.freq is not Freq.SECONDLY
        self._minutes = (rule.by_minute or (start.minute,)) if hourly else ()
        self._seconds = (rule.by_second or (start.second,)) if minutely else ()

    def after(self, at: datetime) -> Iterator[datetime]:
        """See `Pattern`. Raises `UnmappableError` if the next member is out of all reach."""
        at = max(at, self.start)
        # The beat that holds `at` may have begun up to an hour earlier.
        beat = max(0, (at - self.start) // self._beat - 1)
        base = self._base()
        idle = 0
        while (slot := base + beat * self._beat) < END:
            idle += 1
            if idle > _BUDGET:
                raise invalid("the rule recurs too often or too rarely to be followed")
            if (free := self._next_free(slot)) > slot:
                beat = -((base - free) // self._beat)
                continue
            for member in self._expand(slot):
                if member >= at:
                    idle = 0
                    yield member
            beat += 1

    def _base(self) -> datetime:
        if self._minutes:
            return self.start.replace(minute=0, second=0)
        return self.start.replace(second=0) if self._seconds else self.start

    def _next_free(self, slot: datetime) -> datetime:
        """`slot`, or the beginning of the next day, hour or minute that may match."""
        rule = self._rule
        if not self._days.passes(slot.date()):
            return datetime.combine(slot.date() + _DAY, time())
        hour = slot.replace(minute=0, second=0)
        if rule.by_hour and slot.hour not in rule.by_hour:
            return hour + timedelta(hours=1)
        if not self._minutes and rule.by_minute and slot.minute not in rule.by_minute:
            return slot.replace(second=0) + timedelta(minutes=1)
        if not self._seconds and rule.by_second and slot.second not in rule.by_second:
            return slot + _SECOND
        return slot

    def _expand(self, slot: datetime) -> Iterator[datetime]:
        for minute in self._minutes or (slot.minute,):
            for second in self._seconds or (slot.second,):
                yield slot.replace(minute=minute, second=second)


class DayTest:
    """Whether a day passes the BY parts of a rule that speak of days."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._week_start = WEEKDAYS.index(rule.week_start)
        self._plain = {WEEKDAYS.index(day) for ordinal, day in rule.by_day if not ordinal}
        self._ordinal = {(ordinal, WEEKDAYS.index(day)) for ordinal, day in rule.by_day if ordinal}
        self._in_year = rule.freq is Freq.YEARLY and not rule.by_month

    def passes(self, day: date) -> bool:
        """True if no part bars `day`."""
        rule = self._rule
        if rule.by_month and day.month not in rule.by_month:
            return False
        if rule.by_month_day:
            length = monthrange(day.year, day.month)[1]
            if not {day.day, day.day - length - 1}.intersection(rule.by_month_day):
                return False
        if rule.by_day and day.weekday() not in self._plain and not self._nth(day):
            return False
        if rule.by_year_day:
            number, length = day.timetuple().tm_yday, date(day.year, 12, 31).timetuple().tm_yday
            if not {number, number - length - 1}.intersection(rule.by_year_day):
                return False
        return not rule.by_week_no or self._in_week(day)

    def _nth(self, day: date) -> bool:
        if not self._ordinal:
            return False
        if self._in_year:
            number = day.timetuple().tm_yday
            length = date(day.year, 12, 31).timetuple().tm_yday
        else:
            number, length = day.day, monthrange(day.year, day.month)[1]
        weekday = day.weekday()
        from_start = (number - 1) // 7 + 1
        from_end = -((length - number) // 7 + 1)
        return bool({(from_start, weekday), (from_end, weekday)} & self._ordinal)

    def _in_week(self, day: date) -> bool:
        """A week belongs to the year that has most of it; the last holds 28 December."""
        year, number = self._week(day)
        weeks = self._week(date(year, 12, 28))[1]
        return bool({number, number - weeks - 1}.intersection(self._rule.by_week_no))

    def _week(self, day: date) -> tuple[int, int]:
        middle = day + timedelta(days=3 - (day.weekday() - self._week_start) % 7)
        return middle.year, (middle.timetuple().tm_yday - 1) // 7 + 1


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


def _clocks(rule: Rule, start: datetime) -> list[time]:
    return [
        time(hour, minute, second)
        for hour in rule.by_hour or (start.hour,)
        for minute in rule.by_minute or (start.minute,)
        for second in rule.by_second or (start.second,)
    ]


def _room(base: datetime) -> int:
    """How many days there are from `base` to `END`, the part of a day counted as one."""
    return (END - base).days + 1
