"""The Recurrence element of Exchange Web Services <-> patterns (`mappings.patterns`).

Source: EWS reference "Recurrence" (RecurrenceType). A pattern stands first, its range second. EWS
has no yearly interval: every twelfth month may come back as a plain year.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, assert_never

from mappings.errors import UnmappableError
from mappings.model import WEEKDAYS
from mappings.patterns import (
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
from mappings.patterns.model import ANY_DAY, LAST, WEEKEND, WORKDAYS
from mappings.rule_words import DAY_NAMES, MONTH_NAMES

Wire = Mapping[str, Any]

_DAY_OF = {name: day for day, name in DAY_NAMES.items()}
_SETS = {"Day": ANY_DAY, "Weekday": WORKDAYS, "WeekendDay": WEEKEND}
_INDEXES = {"First": 1, "Second": 2, "Third": 3, "Fourth": 4, "Last": LAST}
_INDEX_NAMES = {number: name for name, number in _INDEXES.items()}


def decode(wire: Wire) -> tuple[Pattern, Range, date]:
    """The pattern, its range and the date from which it counts.

    Raises `UnmappableError` `RULE_INVALID`.
    """
    try:
        for name, reader in _PATTERNS.items():
            if name in wire:
                return reader(wire[name]), *_range(wire)
    except (KeyError, ValueError, TypeError) as error:
        raise UnmappableError("RULE_INVALID", f"the recurrence cannot be read: {error}") from error
    raise UnmappableError("RULE_INVALID", f"no calendar recurrence: {', '.join(wire)}")


def encode(pattern: Pattern, bounds: Range, start: date) -> dict[str, Any]:
    """The element's content."""
    since = {"StartDate": start.isoformat()}
    match bounds:
        case NoEnd():
            span = {"NoEndRecurrence": since}
        case EndDate(last):
            span = {"EndDateRecurrence": since | {"EndDate": last.isoformat()}}
        case Numbered(count):
            span = {"NumberedRecurrence": since | {"NumberOfOccurrences": str(count)}}
        case _:
            assert_never(bounds)
    return _pattern(pattern) | span


def as_shown(pattern: Pattern) -> Pattern:
    """The pattern as a server may give it back: a whole number of years without the number."""
    match pattern:
        case AbsoluteMonthly(interval, day) if interval % 12 == 0:
            return AbsoluteYearly(0, day)
        case RelativeMonthly(interval, days, index) if interval % 12 == 0:
            return RelativeYearly(0, days, index)
        case _:
            return pattern


def alike(shown: Pattern, written: Pattern) -> bool:
    """True if a server that was given `written` may show `shown`."""
    if shown == written:
        return True
    match as_shown(written), shown:
        case AbsoluteYearly(0, day), AbsoluteYearly(_, found):
            return day == found
        case RelativeYearly(0, days, index), RelativeYearly(_, found_days, found_index):
            return (days, index) == (found_days, found_index)
        case _:
            return False


def _daily(wire: Wire) -> Pattern:
    return Daily(int(wire["Interval"]))


def _weekly(wire: Wire) -> Pattern:
    first = _DAY_OF[wire.get("FirstDayOfWeek") or "Sunday"]
    days = _days(wire)
    return Weekly(int(wire["Interval"]), tuple(day for day in WEEKDAYS if day in days), first)


def _absolute_monthly(wire: Wire) -> Pattern:
    return AbsoluteMonthly(int(wire["Interval"]), int(wire["DayOfMonth"]))


def _relative_monthly(wire: Wire) -> Pattern:
    return RelativeMonthly(int(wire["Interval"]), _days(wire), _INDEXES[wire["DayOfWeekIndex"]])


def _absolute_yearly(wire: Wire) -> Pattern:
    return AbsoluteYearly(MONTH_NAMES.index(wire["Month"]) + 1, int(wire["DayOfMonth"]))


def _relative_yearly(wire: Wire) -> Pattern:
    month = MONTH_NAMES.index(wire["Month"]) + 1
    return RelativeYearly(month, _days(wire), _INDEXES[wire["DayOfWeekIndex"]])


_PATTERNS = {
    "DailyRecurrence": _daily,
    "WeeklyRecurrence": _weekly,
    "AbsoluteMonthlyRecurrence": _absolute_monthly,
    "RelativeMonthlyRecurrence": _relative_monthly,
    "AbsoluteYearlyRecurrence": _absolute_yearly,
    "RelativeYearlyRecurrence": _relative_yearly,
}


def _days(wire: Wire) -> tuple[str, ...]:
    """Names, or the words for several days, which old series use in weekly patterns, too."""
    found: dict[str, None] = {}
    for word in str(wire["DaysOfWeek"]).split():
        found |= dict.fromkeys(_SETS.get(word) or (_DAY_OF[word],))
    if not found:
        raise ValueError("no days")
    return tuple(found)


def _range(wire: Wire) -> tuple[Range, date]:
    if "EndDateRecurrence" in wire:
        span = wire["EndDateRecurrence"]
        last = _date(span["EndDate"])
        # Outlook's "no end" in old series is a date in the year 4500.
        bounds: Range = NoEnd() if last.year >= 2500 else EndDate(last)
    elif "NumberedRecurrence" in wire:
        span = wire["NumberedRecurrence"]
        bounds = Numbered(int(span["NumberOfOccurrences"]))
    else:
        span = wire["NoEndRecurrence"]
        bounds = NoEnd()
    return bounds, _date(span["StartDate"])


def _date(text: str) -> date:
    """An xs:date; the offset that may follow says nothing about the day."""
    return date.fromisoformat(text[:10])


def _pattern(pattern: Pattern) -> dict[str, Any]:
    match pattern:
        case Daily(interval):
            return {"DailyRecurrence": {"Interval": str(interval)}}
        case Weekly(interval, days, first_day):
            content = {
                "Interval": str(interval),
                "DaysOfWeek": " ".join(DAY_NAMES[day] for day in days),
                "FirstDayOfWeek": DAY_NAMES[first_day],
            }
            return {"WeeklyRecurrence": content}
        case AbsoluteMonthly(interval, day):
            content = {"Interval": str(interval), "DayOfMonth": str(day)}
            return {"AbsoluteMonthlyRecurrence": content}
        case RelativeMonthly(interval, days, index):
            content = {"Interval": str(interval)} | _placed(days, index)
            return {"RelativeMonthlyRecurrence": content}
        case AbsoluteYearly(month, day):
            content = {"DayOfMonth": str(day), "Month": MONTH_NAMES[month - 1]}
            return {"AbsoluteYearlyRecurrence": content}
        case RelativeYearly(month, days, index):
            content = _placed(days, index) | {"Month": MONTH_NAMES[month - 1]}
            return {"RelativeYearlyRecurrence": content}


def _placed(days: tuple[str, ...], index: int) -> dict[str, str]:
    word = next((word for word, several in _SETS.items() if several == days), None)
    name = word or " ".join(DAY_NAMES[day] for day in days)
    return {"DaysOfWeek": name, "DayOfWeekIndex": _INDEX_NAMES[index]}
