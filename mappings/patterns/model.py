"""Recurrence as Exchange and Microsoft Graph write it: a pattern, a range and a first date.

Unlike a recurrence rule a pattern *clamps*: a day that a month lacks moves back to the month's
last day. Dates are local dates in the zone of the series; all occurrences have one time of day.
(Microsoft: MS-OXOCAL RecurrencePattern; Graph recurrencePattern and recurrenceRange.)
"""

from dataclasses import dataclass
from datetime import date

from mappings.model import WEEKDAYS

ANY_DAY = WEEKDAYS
"""What Exchange calls `Day` in a relative pattern."""
WORKDAYS = WEEKDAYS[:5]
"""What Exchange calls `Weekday`."""
WEEKEND = WEEKDAYS[5:]
"""What Exchange calls `WeekendDay`."""

LAST = -1
"""The index of a relative pattern that Exchange calls `Last`; the others are 1 to 4."""


@dataclass(frozen=True, slots=True)
class Daily:
    """Every `interval` days."""

    interval: int


@dataclass(frozen=True, slots=True)
class Weekly:
    """On `days` of every `interval`-th week; weeks begin on `first_day`."""

    interval: int
    days: tuple[str, ...]
    first_day: str = "MO"


@dataclass(frozen=True, slots=True)
class AbsoluteMonthly:
    """On `day` of every `interval`-th month, or on its last day if it is shorter."""

    interval: int
    day: int


@dataclass(frozen=True, slots=True)
class RelativeMonthly:
    """On the `index`-th day of every `interval`-th month that is one of `days`."""

    interval: int
    days: tuple[str, ...]
    index: int


@dataclass(frozen=True, slots=True)
class AbsoluteYearly:
    """On `day` of `month`, or on the month's last day. EWS knows only `interval` 1."""

    month: int
    day: int
    interval: int = 1


@dataclass(frozen=True, slots=True)
class RelativeYearly:
    """On the `index`-th day of `month` that is one of `days`. EWS knows only `interval` 1."""

    month: int
    days: tuple[str, ...]
    index: int
    interval: int = 1


Pattern = Daily | Weekly | AbsoluteMonthly | RelativeMonthly | AbsoluteYearly | RelativeYearly


@dataclass(frozen=True, slots=True)
class NoEnd:
    """The pattern goes on for ever."""


@dataclass(frozen=True, slots=True)
class EndDate:
    """`last` is the local date of the last occurrence (or any later date before the next)."""

    last: date


@dataclass(frozen=True, slots=True)
class Numbered:
    """`count` members of the pattern, later deleted ones included."""

    count: int


Range = NoEnd | EndDate | Numbered


def name(pattern: Pattern, first: date) -> str:
    """A short name of the pattern and its phase, the same whatever else the series consists of."""
    months = first.year * 12 + first.month - 1
    match pattern:
        case Daily(interval):
            return _phased("D", interval, first.toordinal())
        case Weekly(interval, days, first_day):
            week = (first.toordinal() - 1 - WEEKDAYS.index(first_day)) // 7
            begins = f"^{first_day}" if first_day != "MO" and interval > 1 < len(days) else ""
            return _phased(f"W:{','.join(days)}{begins}", interval, week)
        case AbsoluteMonthly(interval, day):
            return _phased(f"AM:d={day}", interval, months)
        case RelativeMonthly(interval, days, index):
            return _phased(f"RM:{_named(days)}#{index}", interval, months)
        case AbsoluteYearly(month, day, interval):
            return _phased(f"AY:{month:02}-{day:02}", interval, first.year)
        case RelativeYearly(month, days, index, interval):
            return _phased(f"RY:{month:02}-{_named(days)}#{index}", interval, first.year)


def _phased(text: str, interval: int, number: int) -> str:
    return text if interval == 1 else f"{text}/{interval}+{number % interval}"


def _named(days: tuple[str, ...]) -> str:
    return {ANY_DAY: "Day", WORKDAYS: "Weekday", WEEKEND: "WeekendDay"}.get(days, ",".join(days))
