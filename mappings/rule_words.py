"""A recurrence rule the way people say it, in English."""

from collections.abc import Iterable, Iterator

from mappings import rule_text
from mappings.model import WEEKDAYS, Freq, Rule

DAY_NAMES = dict(
    zip(
        WEEKDAYS,
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        strict=True,
    )
)
MONTH_NAMES = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
ORDINALS = ("first", "second", "third", "fourth", "fifth")
_UNITS = {Freq.DAILY: "day", Freq.WEEKLY: "week", Freq.MONTHLY: "month", Freq.YEARLY: "year"}
_UNSAID = ("by_week_no", "by_year_day", "by_hour", "by_minute", "by_second")


def in_words(rule: Rule) -> str:
    """For example `every 2 weeks on Monday, Friday until 2026-05-01 (9 times)`. Two rules that
    are told the same have the same dates from the same start; what nobody says in words stays as
    RRULE text. The day of the bound is that of the last occurrence, in the series' own zone."""
    unit = _UNITS.get(rule.freq)
    if unit is None or any(getattr(rule, name) for name in _UNSAID):
        return " ".join((rule_text.write(rule), *_bound(rule)))
    every = f"every {unit}" if rule.interval == 1 else f"every {rule.interval} {unit}s"
    return " ".join((every, *_days(rule), *_months(rule), *_bound(rule)))


def _days(rule: Rule) -> Iterator[str]:
    on = "on"
    if rule.by_set_pos:
        on = f"on the {_listed(map(_ordinal, rule.by_set_pos))} of"
    if rule.by_month_day:
        yield f"{on} {_listed(map(_month_day, rule.by_month_day))}"
        on = "if it is"  # both together: the thirteenth, if it is a Friday
    if rule.by_day:
        yield f"{on} {_listed(_weekday(ordinal, day) for ordinal, day in rule.by_day)}"
    if rule.week_start != "MO" and rule_text.week_start_matters(rule):
        yield f"in weeks from {DAY_NAMES[rule.week_start]}"


def _months(rule: Rule) -> Iterator[str]:
    if rule.by_month:
        yield f"in {_listed(MONTH_NAMES[month - 1] for month in rule.by_month)}"


def _bound(rule: Rule) -> Iterator[str]:
    if rule.until is not None:
        yield f"until {rule.until[:10]}"
    if rule.count is not None:
        yield f"({rule.count} times)"


def _weekday(ordinal: int, day: str) -> str:
    return f"the {_ordinal(ordinal)} {DAY_NAMES[day]}" if ordinal else DAY_NAMES[day]


def _month_day(day: int) -> str:
    return f"day {day}" if day > 0 else f"the {_ordinal(day)} day"


def _ordinal(place: int) -> str:
    if place == -1:
        return "last"
    size = abs(place)
    name = ORDINALS[size - 1] if size <= len(ORDINALS) else f"{size}th"
    return f"{name} last" if place < 0 else name


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items)
