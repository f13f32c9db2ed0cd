"""RRULE text to its parts and back (RFC 5545 section 3.3.10). No meaning is added here."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mappings.errors import UnmappableError
from mappings.model import WEEKDAYS, Freq, Rule

_BY_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_NUMBER = re.compile(r"[+-]?\d{1,6}")
_LISTS = {  # part: (field of Rule, smallest and largest magnitude, may be negative)
    "BYMONTH": ("by_month", 1, 12, False),
    "BYWEEKNO": ("by_week_no", 1, 53, True),
    "BYYEARDAY": ("by_year_day", 1, 366, True),
    "BYMONTHDAY": ("by_month_day", 1, 31, True),
    "BYHOUR": ("by_hour", 0, 23, False),
    "BYMINUTE": ("by_minute", 0, 59, False),
    "BYSECOND": ("by_second", 0, 59, False),
    "BYSETPOS": ("by_set_pos", 1, 366, True),
}
_DAILY_OR_SHORTER = frozenset({Freq.SECONDLY, Freq.MINUTELY, Freq.HOURLY, Freq.DAILY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A rule as written: its pattern, and its bounds still as text.

    `skip` is RFC 7529's SKIP: what becomes of a month day that a month lacks.
    """

    rule: Rule
    count: int | None = None
    until: str | None = None
    skip: str = "OMIT"


def invalid(detail: str) -> UnmappableError:
    """The error for a rule that nobody can follow."""
    return UnmappableError("RULE_INVALID", detail)


@lru_cache(maxsize=4096)
def read(text: str) -> Parts:
    """The validated parts of one RRULE value, with or without the property name.

    X- parts are dropped; part names and values may have any case. Raises `UnmappableError`
    `RULE_INVALID` for what RFC 5545 forbids and for calendars other than the Gregorian one.
    """
    named = _split(text)
    named.pop("RSCALE", None)
    skip = named.pop("SKIP", "OMIT")
    if skip not in {"OMIT", "BACKWARD", "FORWARD"}:
        raise invalid(f"SKIP={skip} is not defined")
    try:
        freq = Freq(named.pop("FREQ", ""))
    except ValueError:
        raise invalid(f"no valid FREQ in {text!r}") from None
    interval = _number("INTERVAL", named.pop("INTERVAL", "1"), 1, 999_999)
    count = named.pop("COUNT", None)
    until = named.pop("UNTIL", None)
    week_start = named.pop("WKST", "MO")
    if week_start not in WEEKDAYS:
        raise invalid(f"WKST={week_start} is not a weekday")
    by_day = _by_day(named.pop("BYDAY", ""))
    lists: dict[str, Any] = {
        _LISTS[name][0]: _numbers(name, value) for name, value in named.items()
    }
    rule = Rule(freq=freq, interval=interval, by_day=by_day, week_start=week_start, **lists)
    _check(rule)
    return Parts(
        rule=rule,
        count=None if count is None else _number("COUNT", count, 1, 999_999),
        until=until,
        skip=skip,
    )


def write(rule: Rule, bound: str = "") -> str:
    """The RRULE value (no property name) in a fixed order, with `bound` (`UNTIL=...`) at the end.

    WKST stands wherever it matters, because readers differ in their default.
    """
    parts = [f"FREQ={rule.freq}"]
    if rule.interval != 1:
        parts.append(f"INTERVAL={rule.interval}")
    for name, (attribute, *_) in _LISTS.items():
        if name == "BYHOUR" and rule.by_day:
            parts.append("BYDAY=" + ",".join(f"{n or ''}{day}" for n, day in rule.by_day))
        if values := getattr(rule, attribute):
            parts.append(f"{name}={','.join(map(str, values))}")
    if week_start_matters(rule) or rule.week_start != "MO":
        parts.append(f"WKST={rule.week_start}")
    if bound:
        parts.append(bound)
    return ";".join(parts)


def week_start_matters(rule: Rule) -> bool:
    """True if another WKST could give other dates."""
    return bool(rule.by_week_no) or (
        rule.freq is Freq.WEEKLY and rule.interval > 1 and len(rule.by_day) > 1
    )


def _split(text: str) -> dict[str, str]:
    named: dict[str, str] = {}
    value = text.strip().upper().removeprefix("RRULE:")
    for part in filter(None, (piece.strip() for piece in value.split(";"))):
        name, equals, content = (piece.strip() for piece in part.partition("="))
        if name.startswith("X-"):
            continue
        if not equals or not content or name in named:
            raise invalid(f"{part!r} is not a part of a rule, or stands twice")
        if name not in _KNOWN:
            raise invalid(f"{name} is not defined")
        named[name] = content
    if named.get("RSCALE", "GREGORIAN") != "GREGORIAN":
        raise invalid(f"RSCALE={named['RSCALE']}: only the Gregorian calendar is understood")
    return named


_KNOWN = frozenset(
    {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "RSCALE", "SKIP", *_LISTS}
)


def _number(name: str, text: str, low: int, high: int) -> int:
    if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
        raise invalid(f"{name}={text} is not a number from {low} to {high}")
    return int(text)


def _numbers(name: str, text: str) -> tuple[int, ...]:
    _, low, high, signed = _LISTS[name]
    values = set()
    for item in text.split(","):
        value = _number(name, item.strip(), -high if signed else low, high)
        if signed and value == 0:
            raise invalid(f"{name} has no 0")
        values.add(value)
    return ordered(values)


def ordered(values: set[int]) -> tuple[int, ...]:
    """Ascending, those counted from the end last."""
    return tuple(sorted(values, key=lambda value: (value < 0, value)))


def ordered_days(days: set[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """By weekday from Monday on, then by ordinal, those counted from the end last."""
    return tuple(sorted(days, key=lambda day: (WEEKDAYS.index(day[1]), day[0] < 0, day[0])))


def _by_day(text: str) -> tuple[tuple[int, str], ...]:
    days = set()
    for item in filter(None, text.split(",")):
        found = _BY_DAY.fullmatch(item.strip())
        if not found or (found[1] and int(found[1]) == 0):
            raise invalid(f"BYDAY={item} is not a weekday")
        days.add((int(found[1] or 0), found[2]))
    return ordered_days(days)


def _check(rule: Rule) -> None:
    """The combinations that RFC 5545 forbids."""
    largest = max((abs(ordinal) for ordinal, _ in rule.by_day), default=0)
    yearly = rule.freq is Freq.YEARLY
    if largest:
        if rule.freq not in {Freq.MONTHLY, Freq.YEARLY} or rule.by_week_no:
            raise invalid("BYDAY with a number needs FREQ=MONTHLY or YEARLY without BYWEEKNO")
        if largest > (53 if yearly and not rule.by_month else 5):
            raise invalid(f"there is no weekday number {largest} in that span")
    if rule.by_week_no and not yearly:
        raise invalid("BYWEEKNO needs FREQ=YEARLY")
    if rule.by_month_day and rule.freq is Freq.WEEKLY:
        raise invalid("BYMONTHDAY does not go with FREQ=WEEKLY")
    if rule.by_year_day and rule.freq in {Freq.DAILY, Freq.WEEKLY, Freq.MONTHLY}:
        raise invalid(f"BYYEARDAY does not go with FREQ={rule.freq}")
    lists = [getattr(rule, name) for name, *_ in _LISTS.values() if name != "by_set_pos"]
    if rule.by_set_pos and not (rule.by_day or any(lists)):
        raise invalid("BYSETPOS needs another BY part")
    if rule.by_set_pos and rule.freq in _DAILY_OR_SHORTER - {Freq.DAILY}:
        raise invalid(f"BYSETPOS is not supported with FREQ={rule.freq}")
