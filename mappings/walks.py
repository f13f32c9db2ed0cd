"""Recurrence by walking: all rules that are no arithmetic, within a budget of steps."""

from abc import ABC, abstractmethod
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice

from mappings.cycles import END
from mappings.model import WEEKDAYS, Freq, Rule
from mappings.rule_text import invalid

_BUDGET = 60_000
"""Beats without a member after which a `Clock` gives up, and the largest COUNT that is walked."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_UNITS = {
    Freq.HOURLY: timedelta(hours=1),
    Freq.MINUTELY: timedelta(minutes=1),
    Freq.SECONDLY: _SECOND,
}
CLOCK_FREQS = frozenset(_UNITS)
"""The frequencies that `Clock` follows."""


class _Walked(ABC):
    """What can be said of any pattern that is only known by walking along it."""

    start: datetime

    @abstractmethod
    def after(self, at: datetime) -> Iterator[datetime]:
        """See `Pattern`."""

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
    """Any rule from DAILY to YEARLY, period by period: the days that pass all BY parts.

    `END` bounds the work: a rule that never matches looks at 500 years of days, half a second.
    """

    def __init__(self, rule: Rule, start: datetime) -> None:
        self.start = start
        self._rule = rule
        self._days = DayTest(rule)
        self._clocks = _clocks(rule, start)

    def after(self, at: datetime) -> Iterator[datetime]:
        """See `Pattern`."""
        at = max(at, self.start)
        for days in self._periods(at):
            members = [
                datetime.combine(day, clock)
                for day in days
                if self._days.passes(day)
                for clock in self._clocks
            ]
            for member in self._positions(members) if self._rule.by_set_pos else members:
                if member >= at:
                    yield member

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


def _clocks(rule: Rule, start: datetime) -> list[time]:
    return [
        time(hour, minute, second)
        for hour in rule.by_hour or (start.hour,)
        for minute in rule.by_minute or (start.minute,)
        for second in rule.by_second or (start.second,)
    ]
