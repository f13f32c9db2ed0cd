"""Recurrence patterns and ranges of EWS, and the dates that they yield.

Own expansion from the definitions of the pattern elements ("Recurrence patterns and EWS"): a
month day beyond the month's end is its last day, a yearly pattern has no interval, the first
member on or after StartDate is occurrence 1, EndDate is inclusive.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import count

from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.soap import Element, local, t, text

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
GROUPS = {"Day": range(7), "Weekday": range(5), "WeekendDay": range(5, 7)}
INDEXES = ("First", "Second", "Third", "Fourth", "Last")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
LAST_END = date(4500, 9, 1)
LAST_DAY = date(4500, 8, 31)
LONGEST_INTERVAL = {"DailyRecurrence": 999, "WeeklyRecurrence": 99,
                    "AbsoluteMonthlyRecurrence": 99, "RelativeMonthlyRecurrence": 99}  # fmt: skip


@dataclass(frozen=True)
class Pattern:
    """One pattern element. `kind` is its name; what a kind does not have keeps its default.

    `days` are names as written, `month` and `day` numbers from 1, `index` First..Last. `years` is
    the interval of a yearly pattern that Outlook can store and EWS cannot show.
    """

    kind: str
    interval: int = 1
    days: tuple[str, ...] = ()
    first_day: str = "Sunday"
    day: int = 0
    index: str = ""
    month: int = 0
    years: int = 1

    def members(self, start: date) -> Iterator[date]:
        """All dates from `start` on, in order, up to the end of the calendar."""
        for found in self._members(start):
            if found > LAST_DAY:
                return
            if found >= start:
                yield found

    def _members(self, start: date) -> Iterator[date]:
        match self.kind:
            case "DailyRecurrence":
                for step in count():
                    yield start + timedelta(days=step * self.interval)
            case "WeeklyRecurrence":
                first = WEEKDAYS.index(self.first_day)
                week = start - timedelta(days=(start.weekday() - first) % 7)
                offsets = sorted((WEEKDAYS.index(day) - first) % 7 for day in self.days)
                for step in count():
                    for offset in offsets:
                        yield week + timedelta(days=7 * step * self.interval + offset)
            case "AbsoluteMonthlyRecurrence" | "RelativeMonthlyRecurrence":
                origin = start.year * 12 + start.month - 1
                for step in count():
                    year, month = divmod(origin + step * self.interval, 12)
                    yield self._in_month(year, month + 1)
            case _:
                for year in count(start.year, self.years):
                    yield self._in_month(year, self.month)

    def _in_month(self, year: int, month: int) -> date:
        first_weekday, length = calendar.monthrange(year, month)
        if not self.index:
            return date(year, month, min(self.day, length))
        name = self.days[0]
        wanted = GROUPS.get(name) or (WEEKDAYS.index(name),)
        fitting = [day for day in range(1, length + 1) if (first_weekday + day - 1) % 7 in wanted]
        return date(year, month, fitting[-1 if self.index == "Last" else INDEXES.index(self.index)])

    def element(self) -> Element:
        """As it stands in an answer."""
        interval = t("Interval", str(self.interval))
        days = t("DaysOfWeek", " ".join(self.days))
        index = t("DayOfWeekIndex", self.index)
        month = t("Month", MONTHS[self.month - 1])
        children = {
            "DailyRecurrence": [interval],
            "WeeklyRecurrence": [interval, days, t("FirstDayOfWeek", self.first_day)],
            "AbsoluteMonthlyRecurrence": [interval, t("DayOfMonth", str(self.day))],
            "RelativeMonthlyRecurrence": [interval, days, index],
            "AbsoluteYearlyRecurrence": [t("DayOfMonth", str(self.day)), month],
            "RelativeYearlyRecurrence": [days, index, month],
        }[self.kind]
        return t(self.kind, *children)


@dataclass(frozen=True)
class Recurrence:
    """A pattern and its range; `until` and `number` None = endless."""

    pattern: Pattern
    start: date
    until: date | None = None
    number: int | None = None

    def dates(self) -> Iterator[date]:
        """The local dates of all occurrences, deleted ones included."""
        for position, found in enumerate(self.pattern.members(self.start)):
            if self.number is not None and position >= self.number:
                return
            if self.until is not None and found > self.until:
                return
            yield found

    @property
    def endless(self) -> bool:
        """No end at all."""
        return self.until is None and self.number is None

    def as_yearly(self) -> "Recurrence":
        """A monthly pattern of whole years as the yearly one that EWS makes of it."""
        pattern = self.pattern
        if "Monthly" not in pattern.kind or pattern.interval % 12:
            return self
        kind = pattern.kind.replace("Monthly", "Yearly")
        month, years = self.start.month, pattern.interval // 12
        return replace(self, pattern=replace(pattern, kind=kind, month=month, years=years))

    def element(self, suffix: str) -> Element:
        """As it stands in an answer; `suffix` is the offset that Exchange appends to dates."""
        start = t("StartDate", f"{self.start}{suffix}")
        if self.number is not None:
            bound = t("NumberedRecurrence", start, t("NumberOfOccurrences", str(self.number)))
        elif self.until is not None:
            bound = t("EndDateRecurrence", start, t("EndDate", f"{self.until}{suffix}"))
        else:
            bound = t("NoEndRecurrence", start)
        return t("Recurrence", self.pattern.element(), bound)


def parsed(element: Element, first_day: str) -> Recurrence:
    """A recurrence from a request whose structure was checked. Raises EwsError.

    `first_day` is the server's own first day of the week, for a request that names none.
    """
    pattern = _pattern(element[0], first_day)
    bound = element[1]
    start = _date(text(bound, "t:StartDate"))
    until = number = None
    if local(bound) == "EndDateRecurrence":
        until = _date(text(bound, "t:EndDate"))
        if until > LAST_END:
            raise EwsError("ErrorRecurrenceEndDateTooBig")
        if until < start:
            raise EwsError("ErrorCalendarEndDateIsEarlierThanStartDate")
    if local(bound) == "NumberedRecurrence":
        number = int(text(bound, "t:NumberOfOccurrences"))
        if not 1 <= number <= 999:
            raise EwsError("ErrorCalendarInvalidRecurrence")
    recurrence = Recurrence(pattern, start, until, number)
    if next(recurrence.dates(), None) is None:
        raise EwsError("ErrorRecurrenceHasNoOccurrence")
    return recurrence


def _pattern(element: Element, first_day: str) -> Pattern:
    kind = local(element)
    if kind.endswith("Regeneration"):
        raise EwsError("ErrorCalendarInvalidRecurrence")
    interval = int(text(element, "t:Interval", "1"))
    day = int(text(element, "t:DayOfMonth", "1"))
    days = tuple(dict.fromkeys(text(element, "t:DaysOfWeek").split()))
    if not 1 <= interval <= LONGEST_INTERVAL.get(kind, 1) or not 1 <= day <= 31:
        raise EwsError("ErrorCalendarInvalidRecurrence")
    if kind == "WeeklyRecurrence" and (not days or GROUPS.keys() & set(days)):
        raise EwsError("ErrorCalendarInvalidDayForWeeklyRecurrence")
    if kind.startswith("Relative") and len(days) != 1:
        raise EwsError("ErrorCalendarInvalidRecurrence")
    month = text(element, "t:Month")
    return Pattern(
        kind=kind,
        interval=interval,
        days=days,
        first_day=text(element, "t:FirstDayOfWeek", first_day),
        day=day if "Absolute" in kind else 0,
        index=text(element, "t:DayOfWeekIndex"),
        month=MONTHS.index(month) + 1 if month else 0,
    )


def _date(raw: str) -> date:
    found = re.fullmatch(r"(\d{4}-\d{2}-\d{2})(Z|[+-]\d{2}:\d{2})?", raw.strip())
    try:
        return date.fromisoformat(found[1] if found else raw)
    except ValueError:
        raise EwsError("ErrorCalendarInvalidRecurrence") from None
