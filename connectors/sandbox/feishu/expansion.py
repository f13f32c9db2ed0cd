"""Recurrence: which occurrences a series has (RFC 5545 section 3.8.5.3).

Expanded as wall clock in the start's zone, converted to instants afterwards, so that a meeting
at nine stays at nine across daylight saving changes.
"""

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from functools import lru_cache
from itertools import islice

from dateutil.rrule import rrulestr

from connectors.sandbox.feishu.errors import violation
from connectors.sandbox.feishu.state import Calendar, Entry, Event
from connectors.sandbox.feishu.switches import FeishuSwitches
from connectors.sandbox.feishu.times import DAY, Span, instant, wall

_BOUNDS = {
    "BYMONTH": (1, 12, False),
    "BYMONTHDAY": (1, 31, True),
    "BYYEARDAY": (1, 366, True),
    "BYWEEKNO": (1, 53, True),
    "BYSETPOS": (1, 366, True),
    "BYHOUR": (0, 23, False),
    "BYMINUTE": (0, 59, False),
    "BYSECOND": (0, 59, False),
}
_DAY = r"(MO|TU|WE|TH|FR|SA|SU)"
_SHAPES = {
    "FREQ": re.compile(r"[A-Z]+"),
    "INTERVAL": re.compile(r"[1-9]\d{0,3}"),
    "COUNT": re.compile(r"[1-9]\d{0,3}"),
    "UNTIL": re.compile(r"\d{8}(T\d{6}Z?)?"),
    "BYDAY": re.compile(rf"([+-]?\d{{0,2}}{_DAY})(,[+-]?\d{{0,2}}{_DAY})*"),
    "WKST": re.compile(_DAY),
}


def check_rule(text: str, switches: FeishuSwitches) -> str:
    """The rule without prefix. Raises 190014 if Feishu could not take it."""
    bare = text.strip().removeprefix("RRULE:")
    try:
        if len(text) > 2000:
            raise ValueError("longer than 2000 characters")
        _check_parts(_parts(bare), sub_daily=switches.sub_daily)
        rrulestr(_rule_text(_parts(bare), None), dtstart=datetime(2020, 1, 1))  # noqa: DTZ001
    except ValueError as error:
        raise violation("recurrence", text, str(error)) from None
    return bare


@lru_cache(maxsize=4096)
def _parts(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [part.partition("=") for part in text.strip(";").split(";")]
    names = [name.upper() for name, _, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a part stands twice")
    return tuple((name.upper(), value.upper()) for name, _, value in pairs)


def _check_parts(pairs: tuple[tuple[str, str], ...], *, sub_daily: bool) -> None:
    parts = dict(pairs)
    frequencies = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
    if sub_daily:
        frequencies |= {"SECONDLY", "MINUTELY", "HOURLY"}
    if parts.get("FREQ") not in frequencies:
        raise ValueError("FREQ is missing or not supported")
    if "COUNT" in parts and "UNTIL" in parts:
        raise ValueError("COUNT and UNTIL exclude each other")
    for name, value in pairs:
        if name in _BOUNDS:
            _check_numbers(name, value)
        elif name not in _SHAPES or not _SHAPES[name].fullmatch(value):
            raise ValueError(f"{name} is unknown or malformed")
    if "UNTIL" in parts:
        _until(parts["UNTIL"], "UTC", whole_day=True)


def _check_numbers(name: str, value: str) -> None:
    low, high, signed = _BOUNDS[name]
    for text in value.split(","):
        number = int(text)
        if not low <= (abs(number) if signed else number) <= high:
            raise ValueError(f"{name} is out of range")


def _rule_text(pairs: tuple[tuple[str, str], ...], until: datetime | None) -> str:
    kept = [f"{name}={value}" for name, value in pairs if name not in ("COUNT", "UNTIL")]
    if until is not None:
        kept.append(f"UNTIL={until:%Y%m%dT%H%M%S}")
    return ";".join(kept)


def _until(value: str, zone: str, *, whole_day: bool) -> datetime:
    """UNTIL as wall clock of the series' zone."""
    if "T" not in value:
        day = datetime.strptime(value, "%Y%m%d")  # noqa: DTZ007
        return datetime.combine(day, time(23, 59, 59) if whole_day else time())
    local = datetime.strptime(value.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007
    return wall(instant(local, "UTC"), zone) if value.endswith("Z") else local


def starts(event: Event, low: int, high: int, switches: FeishuSwitches) -> Iterator[int]:
    """The original starts of a series in [low, high), ascending, each once."""
    span = event.span
    if high <= span.start:
        return
    pairs = _parts(event.recurrence)
    parts = dict(pairs)
    zone = "UTC" if span.all_day else span.start_zone
    if span.all_day:
        pairs = tuple(p for p in pairs if p[0] not in ("BYHOUR", "BYMINUTE", "BYSECOND"))
    first, last = wall(span.start, zone), wall(high, zone) + timedelta(days=1)
    if "UNTIL" in parts:
        whole_day = span.all_day or switches.until_date == "whole_day"
        last = min(last, _until(parts["UNTIL"], zone, whole_day=whole_day))
    count = int(parts["COUNT"]) if "COUNT" in parts else None
    previous = -1
    for local in islice(rrulestr(_rule_text(pairs, last), dtstart=first), count):
        start = span.start if local == first else instant(local, zone)
        if start >= high + DAY:
            return
        if low <= start < high and start != previous:
            yield start
        previous = start


def is_start(event: Event, original: int, switches: FeishuSwitches) -> bool:
    """Whether the rule gives an occurrence that starts exactly then."""
    return next(starts(event, original, original + 1, switches), None) == original


def occurrences(
    entry: Entry, calendar: Calendar, low: int, high: int, switches: FeishuSwitches
) -> Iterator[tuple[int, Span]]:
    """The occurrences of a master that overlap [low, high) and have no exception of their own in
    this calendar: original start and span."""
    event = entry.event
    for start in starts(event, low - event.span.length, high, switches):
        span = event.span.moved_to(start)
        if span.overlaps(low, high) and f"{event.uid}_{start}" not in calendar.by_id:
            yield start, span
