"""Days covered by patterns: exactly, piece by piece, or by one broader pattern minus some days.

Works on the days alone, so it does not matter how a rule spells them. Every pattern that is
returned has been expanded and compared day by day.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from math import gcd

from mappings.model import WEEKDAYS
from mappings.patterns.closed import month_days, ordinals
from mappings.patterns.model import (
    LAST,
    WEEKEND,
    WORKDAYS,
    Daily,
    Pattern,
    Weekly,
)
from mappings.patterns.native import monthly
from mappings.patterns.profile import Profile

_TRIES = 14
"""How many later days are tried as the next member of a pattern."""
_SIGHT = 1500
"""How many later days are looked at to find those."""
_LATEST = 10 * 366
"""A pattern of an endless series begins within so many days; the longest step is 99 months."""
_FEWEST, _FEWEST_ENDLESS = 3, 6
"""A pattern for fewer days would be a coincidence, unless it may end anywhere."""
_LONGEST = 24
"""Longer steps than so many months are coincidences too, unless they are whole years."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Some days, given by a pattern: from `first` to `last`, except `gone`."""

    pattern: Pattern
    first: int
    last: int
    gone: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Partition:
    """Days cut into disjoint covers, and those that none of them has."""

    covers: tuple[Cover, ...]
    rest: tuple[int, ...]


def partition(
    days: Sequence[int],
    *,
    gap: int,
    last: int,
    whole: bool,
    endless: bool,
    most: int,
    spare: float,
    profile: Profile,
) -> Partition | None:
    """The days as few patterns; None if it takes more than `most`, or `spare` days a year.

    Always takes the pattern that has the most of what is left, beginning with the earliest day.
    `gap` is the least distance between two members. With `whole` each pattern must hold until
    `last`, else it may end anywhere. `endless` = the days stand for a series without end, and up
    to `last` there are no others.
    """
    left = dict.fromkeys(days)
    covers: list[Cover] = []
    rest: list[int] = []
    while left:
        first = next(iter(left))
        found = None
        if len(covers) < most and not (endless and first - days[0] > _LATEST):
            fewest = _FEWEST_ENDLESS if endless else _FEWEST if whole else 1
            found = _best(first, left, last, gap, fewest, whole, profile)
        if found is None:
            rest.append(first)
            del left[first]
            if len(rest) > 8 + spare * (first - days[0]) / 365:
                return None
            continue
        covers.append(found[0])
        for day in found[1]:
            del left[day]
    if len(rest) > max(spare * (days[-1] - days[0]) / 365, spare):
        return None
    return Partition(tuple(covers), tuple(rest))


def superset(days: Sequence[int], *, gap: int, profile: Profile) -> Cover | None:
    """The pattern that has all the days and the fewest others; None if there is none."""
    if len(days) < 2:
        return None
    wanted = set(days)
    best: Cover | None = None
    for pattern in _broad(days, profile):
        most = len(best.gone) if best else len(days)
        gone: list[int] = []
        found, previous = 0, days[0] - gap
        for day in ordinals(pattern, days[0], days[-1]):
            if day - previous < gap:
                break
            previous = day
            if day in wanted:
                found += 1
            else:
                gone.append(day)
                if len(gone) >= most:
                    break
        if found == len(days):
            best = Cover(pattern, days[0], days[-1], tuple(gone))
    return best


def _best(
    first: int,
    left: dict[int, None],
    last: int,
    gap: int,
    fewest: int,
    whole: bool,
    profile: Profile,
) -> tuple[Cover, list[int]] | None:
    best: tuple[Cover, list[int]] | None = None
    for pattern in _starting(first, left, profile):
        run = _run(pattern, first, left, last, gap, whole)
        if len(run) >= fewest and (best is None or len(run) > len(best[1])):
            best = Cover(pattern, first, run[-1]), run
            if len(run) == len(left):
                break
    return best


def _run(
    pattern: Pattern, first: int, left: Collection[int], last: int, gap: int, whole: bool
) -> list[int]:
    """The pattern's days as long as all of them are wanted; none, if `whole` and one is not."""
    run: list[int] = []
    for day in ordinals(pattern, first, last):
        if run and day - run[-1] < gap:
            return []
        if day not in left:
            return [] if whole else run
        run.append(day)
    return run


def _starting(first: int, left: dict[int, None], profile: Profile) -> Iterator[Pattern]:
    """The patterns worth trying for the earliest of the days."""
    yield from _weekly(first, left, profile)
    yield from _monthly(first, left, profile)
    for day in islice(left, 1, 4):
        if day - first <= profile.max_days and (day - first) % 7:
            yield Daily(day - first)
    yield Daily(1)


def _weekly(first: int, left: dict[int, None], profile: Profile) -> Iterator[Pattern]:
    weekday = (first - 1) % 7
    later = (day for day in left if (day - first) % 7 == 0)
    intervals = dict.fromkeys((day - first) // 7 for day in islice(later, 1, 5))
    for interval in intervals:
        if interval > profile.max_weeks:
            if 7 * interval <= profile.max_days:
                yield Daily(7 * interval)
            continue
        for first_day in range(7 if interval > 1 else 1):
            base = first - (weekday - first_day) % 7
            week = range(first, base + 7)
            # With every week the days of the week before the first one count as well.
            span = range(first, first + 7) if interval == 1 else week
            here = {(day - 1) % 7 for day in span if day in left}
            later_week = range(base + 7 * interval, base + 7 * interval + 7)
            here |= {(day - 1) % 7 for day in later_week if day in left}
            days = tuple(WEEKDAYS[day] for day in sorted(here))
            if len(days) == 7 and interval == 1:
                yield Daily(1)
            yield Weekly(interval, days, WEEKDAYS[first_day])
        yield Weekly(interval, (WEEKDAYS[weekday],))


def _monthly(first: int, left: dict[int, None], profile: Profile) -> Iterator[Pattern]:
    start = _month(first)
    for kind in _kinds(first, profile):
        for month in _months_of(kind, left, _TRIES):
            interval = month - start
            if interval <= 0 or (interval > _LONGEST and interval % 12):
                continue
            pattern = _named(interval, kind, start, profile)
            if pattern is not None:
                yield pattern


_Kind = int | tuple[tuple[str, ...], int]


def _kinds(first: int, profile: Profile) -> list[_Kind]:
    """What a day may be to its month: a number, or the n-th of some weekdays."""
    begin, length = month_days(_month(first))
    number = first - begin + 1
    kinds: list[_Kind] = [number]
    if number == length and profile.clamp:
        kinds += list(range(number + 1, 32))
    weekday = (first - 1) % 7
    sets = [(WEEKDAYS[weekday],), WORKDAYS if weekday < 5 else WEEKEND]
    for days in sets:
        wanted = [day for day in range(begin, begin + length) if WEEKDAYS[(day - 1) % 7] in days]
        place = wanted.index(first)
        if place < 4:
            kinds.append((days, place + 1))
        if place == len(wanted) - 1:
            kinds.append((days, LAST))
    return kinds


def _months_of(kind: _Kind, left: Collection[int], most: int) -> Iterator[int]:
    """The next months that have this kind of day among the wanted ones."""
    found = 0
    for day in islice(left, _SIGHT):
        if found == most:
            return
        month = _month(day)
        if _is(kind, day, month):
            found += 1
            yield month


def _is(kind: _Kind, day: int, month: int) -> bool:
    begin, length = month_days(month)
    number = day - begin + 1
    if isinstance(kind, int):
        return number == min(kind, length)
    days, index = kind
    if WEEKDAYS[(day - 1) % 7] not in days:
        return False
    if len(days) == 1:
        return (number + 6) // 7 == index if index > 0 else number > length - 7
    return next(ordinals(_relative(days, index), begin)) == day


def _relative(days: tuple[str, ...], index: int) -> Pattern:
    pattern = monthly(1, (days, index), Profile())
    assert pattern is not None
    return pattern


def _named(interval: int, kind: _Kind, start: int, profile: Profile) -> Pattern | None:
    month = start % 12 + 1 if interval % 12 == 0 else 0
    return monthly(interval, kind, profile, month)


def _broad(days: Sequence[int], profile: Profile) -> Iterator[Pattern]:
    """Patterns that may have all of the days."""
    months = [_month(day) for day in days]
    step = _step(months)
    for kind in _kinds(days[0], profile):
        if step and all(_is(kind, day, month) for day, month in zip(days, months, strict=True)):
            pattern = _named(step, kind, months[0], profile)
            if pattern is not None:
                yield pattern
    weekdays = tuple(WEEKDAYS[n] for n in sorted({(day - 1) % 7 for day in days}))
    if len(weekdays) < 7:
        for first_day in range(7):
            weeks = [(day - 1 - first_day) // 7 for day in days]
            interval = _step(weeks)
            if interval and interval <= profile.max_weeks:
                yield Weekly(interval, weekdays, WEEKDAYS[first_day])
    interval = _step(list(days))
    if interval and interval <= profile.max_days:
        yield Daily(interval)


def _step(numbers: Sequence[int]) -> int:
    """The greatest common distance."""
    return gcd(*(number - numbers[0] for number in numbers))


def _month(day: int) -> int:
    found = date.fromordinal(day)
    return found.year * 12 + found.month - 1
