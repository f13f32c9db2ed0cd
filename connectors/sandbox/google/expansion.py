"""Which occurrences a `recurrence` array yields: own expansion on wall clock times.

Rules run on naive local times and become instants afterwards, so a series keeps its wall time
over changes of the offset (RFC 5545 section 3.8.5.3). A time inside a gap moves forward.
"""

import heapq
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from connectors.sandbox.google.errors import ApiError, invalid
from connectors.sandbox.google.times import Moment, localized, zone_named

HORIZON = datetime(2200, 1, 1, tzinfo=UTC)
FREQUENCIES = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
RANGES = {
    "BYMONTH": (1, 12), "BYMONTHDAY": (1, 31), "BYYEARDAY": (1, 366), "BYSETPOS": (1, 366),
    "BYWEEKNO": (1, 53), "BYHOUR": (0, 23), "BYMINUTE": (0, 59), "BYSECOND": (0, 59),
    "INTERVAL": (1, 10_000), "COUNT": (1, 1_000_000),
}  # fmt: skip
SIGNED = {"BYMONTHDAY", "BYYEARDAY", "BYSETPOS", "BYWEEKNO"}
DAYS = {"MO", "TU", "WE", "TH", "FR", "SA", "SU"}
LONGEST = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


def invalid_rule() -> ApiError:
    """400 for a recurrence line that the service does not take."""
    return invalid("Invalid recurrence rule.")


@dataclass(frozen=True)
class Reading:
    """How open points of the standard are read (see `GoogleSwitches`)."""

    several_rules: Literal["union", "first", "refuse"] = "union"
    include_unmatched_start: bool = True
    until_date: Literal["midnight", "whole_day"] = "midnight"
    date_exdate_removes_day: bool = True


class Series:
    """The occurrences of one series, computed as far as somebody asked.

    `endless`: nothing in its rules ever ends it.
    """

    def __init__(self, start: Moment, lines: tuple[str, ...], reading: Reading) -> None:
        self.start = start
        self._reading = reading
        rules: list[str] = []
        exrules: list[str] = []
        added: list[Moment] = []
        self._removed: set[datetime] = set()
        self._removed_days: set[date] = set()
        for line in lines:
            name, _, value = line.partition(":")
            match name.split(";")[0].upper():
                case "RRULE":
                    rules.append(_checked(value, start))
                case "EXRULE":
                    exrules.append(_checked(value, start))
                case "RDATE":
                    added += _dates(name, value, start)
                case "EXDATE":
                    self._remove(_dates(name, value, start, strict=False))
                case _:
                    raise invalid_rule()
        if len(rules) > 1 and reading.several_rules == "refuse":
            raise invalid_rule()
        if reading.several_rules == "first":
            rules = rules[:1]
        self.endless = any("COUNT=" not in rule and "UNTIL=" not in rule for rule in rules)
        compiled = [_compiled(rule, start, reading.until_date) for rule in rules]
        first = [start] if reading.include_unmatched_start or not rules else []
        self._source = _merged(
            [self._ruled(rule) for rule in compiled] + [iter(sorted(first + added, key=_order))]
        )
        self._excluded = _merged(
            [self._ruled(_compiled(rule, start, reading.until_date)) for rule in exrules]
        )
        self._next_excluded = next(self._excluded, None)
        self._known: list[Moment] = []
        self._orders: list[datetime] = []
        self._done = False

    def between(self, low: datetime | None, high: datetime | None) -> Iterator[Moment]:
        """Occurrences whose `order` lies in [low, high), in order. None = unbounded."""
        at = 0
        if low is not None:
            self._compute(low)
            at = bisect_left(self._orders, low)
        while True:
            if at >= len(self._known) and not self._advance():
                return
            if high is not None and self._orders[at] >= high:
                return
            yield self._known[at]
            at += 1

    def holds(self, original: Moment) -> bool:
        """Whether the series has an occurrence of that original start."""
        if original.all_day != self.start.all_day:
            return False
        found = next(self.between(original.order, original.order + timedelta(seconds=1)), None)
        return found is not None

    def _remove(self, moments: list[Moment]) -> None:
        for moment in moments:
            if moment.all_day and not self.start.all_day:
                if self._reading.date_exdate_removes_day and moment.day:
                    self._removed_days.add(moment.day)
            else:
                self._removed.add(moment.order)

    def _compute(self, until: datetime) -> None:
        while (not self._orders or self._orders[-1] < until) and self._advance():
            pass

    def _advance(self) -> bool:
        """Compute one more occurrence."""
        while not self._done:
            moment = next(self._source, None)
            if moment is None or moment.order >= HORIZON:
                self._done = True
            elif not self._is_excluded(moment):
                self._known.append(moment)
                self._orders.append(moment.order)
                return True
        return False

    def _is_excluded(self, moment: Moment) -> bool:
        if self._orders and moment.order <= self._orders[-1]:
            return True
        while self._next_excluded and self._next_excluded.order < moment.order:
            self._next_excluded = next(self._excluded, None)
        if self._next_excluded and self._next_excluded.order == moment.order:
            return True
        return moment.order in self._removed or moment.wall.date() in self._removed_days

    def _ruled(self, rule: rrule) -> Iterator[Moment]:
        for wall in rule:
            if self.start.all_day:
                yield Moment(day=wall.date())
            else:
                instant = localized(wall, ZoneInfo(self.start.zone))
                yield Moment(instant=instant, zone=self.start.zone)


def series(start: Moment, lines: tuple[str, ...], reading: Reading) -> Series:
    """The series of these lines. Raises the API's 400 if they are no recurrence.

    A series computes as it is asked, so it must not be shared between threads.
    """
    try:
        return Series(start, lines, reading)
    except (ValueError, TypeError, KeyError):
        raise invalid_rule() from None


def _order(moment: Moment) -> datetime:
    return moment.order


def _merged(sources: list[Iterator[Moment]]) -> Iterator[Moment]:
    return heapq.merge(*sources, key=_order)


def _checked(value: str, start: Moment) -> str:
    """The rule, if the service would take it (400 `Invalid recurrence rule.` otherwise)."""
    parts: dict[str, str] = {}
    for piece in value.strip().rstrip(";").split(";"):
        name, found, text = piece.partition("=")
        if not found or name.upper() in parts:
            raise invalid_rule()
        parts[name.upper()] = text.upper()
    known = {"FREQ", "UNTIL", "WKST", "BYDAY"} | set(RANGES)
    if parts.get("FREQ") not in FREQUENCIES or not set(parts) <= known:
        raise invalid_rule()
    if "UNTIL" in parts and "COUNT" in parts:
        raise invalid_rule()
    for name, (low, high) in RANGES.items():
        for text in parts[name].split(",") if name in parts else ():
            number = int(text)
            if not low <= (abs(number) if name in SIGNED else number) <= high:
                raise invalid_rule()
    _check_days(parts)
    _check_until(parts.get("UNTIL"), start)
    if start.all_day:
        for name in ("BYHOUR", "BYMINUTE", "BYSECOND"):
            parts.pop(name, None)
    return ";".join(f"{name}={text}" for name, text in parts.items())


def _check_days(parts: dict[str, str]) -> None:
    for text in parts["BYDAY"].split(",") if "BYDAY" in parts else ():
        number = text[:-2]
        if text[-2:] not in DAYS or (number and not 1 <= abs(int(number)) <= 53):
            raise invalid_rule()
        if number and parts["FREQ"] not in ("MONTHLY", "YEARLY"):
            raise invalid_rule()
    if parts.get("WKST", "MO") not in DAYS:
        raise invalid_rule()
    if "BYMONTH" in parts and "BYMONTHDAY" in parts:
        longest = max(LONGEST[int(month) - 1] for month in parts["BYMONTH"].split(","))
        if all(abs(int(day)) > longest for day in parts["BYMONTHDAY"].split(",")):
            raise invalid_rule()


def _check_until(text: str | None, start: Moment) -> None:
    if text is None:
        return
    if len(text) == len("20270101"):
        datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - only the shape matters
    elif text.endswith("Z"):
        datetime.strptime(text, "%Y%m%dT%H%M%SZ")  # noqa: DTZ007
    elif start.all_day:
        datetime.strptime(text, "%Y%m%dT%H%M%S")  # noqa: DTZ007
    else:
        raise invalid_rule()  # a local UNTIL on a timed series is refused


def _compiled(text: str, start: Moment, until_date: str) -> rrule:
    """The rule on naive wall times: a UTC `UNTIL` is first brought to the series' zone."""
    parts = dict(piece.split("=", 1) for piece in text.split(";"))
    until = parts.get("UNTIL")
    if until:
        parts["UNTIL"] = f"{_wall_until(until, start, until_date):%Y%m%dT%H%M%S}"
    rule: Any = rrulestr(
        ";".join(f"{name}={value}" for name, value in parts.items()), dtstart=start.wall
    )
    return rule  # type: ignore[no-any-return]


def _wall_until(until: str, start: Moment, until_date: str) -> datetime:
    if start.all_day:
        return datetime.strptime(until[:8], "%Y%m%d")  # noqa: DTZ007 - a naive wall time
    if len(until) == len("20270101"):
        day = datetime.strptime(until, "%Y%m%d")  # noqa: DTZ007
        return day if until_date == "midnight" else day.replace(hour=23, minute=59, second=59)
    at = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return at.astimezone(ZoneInfo(start.zone)).replace(tzinfo=None)


def _dates(name: str, value: str, start: Moment, *, strict: bool = True) -> list[Moment]:
    """The values of an RDATE or EXDATE line."""
    params = dict(
        piece.upper().split("=", 1)[:1] + piece.split("=", 1)[1:] for piece in name.split(";")[1:]
    )
    zone_name = params.get("TZID", start.zone)
    if zone_name and zone_named(zone_name) is None:
        raise invalid_rule()
    moments = []
    for piece in value.split(","):
        text = piece.split("/")[0].strip()
        moments.append(_date(text, zone_name, start))
        if strict and moments[-1].all_day != start.all_day:
            raise invalid_rule()
    return moments


def _date(text: str, zone_name: str, start: Moment) -> Moment:
    if len(text) == len("20270101") or start.all_day:
        return Moment(day=datetime.strptime(text[:8], "%Y%m%d").date())  # noqa: DTZ007
    if text.endswith("Z"):
        at = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    else:
        wall = datetime.strptime(text, "%Y%m%dT%H%M%S")  # noqa: DTZ007
        at = localized(wall, ZoneInfo(zone_name))
    return Moment(instant=at, zone=start.zone)
