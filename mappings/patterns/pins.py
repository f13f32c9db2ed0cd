"""Occurrences that a change of the clock cuts into.

An occurrence lasts as long as its series says, whatever the clocks do meanwhile (RFC 5545 section
3.3.6: a duration in hours is exact). Exchange stores when a series begins and ends in minutes
after midnight (MS-OXOCAL 2.2.1.44.5), so an occurrence over which the clocks change may end there
by the wall clock instead. Such an occurrence is *pinned*: it gets its own start and end.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import takewhile

from mappings import zones
from mappings.model import When
from mappings.patterns.closed import expand_pattern
from mappings.patterns.model import Numbered
from mappings.patterns.shape import Piece
from mappings.patterns.windows import transitions

YEARS = 10
"""So many whole years ahead occurrences are pinned."""

_DAY = timedelta(days=1)
_MOST_TRIES = 6


def pinned_until(first: date, now: datetime) -> date:
    """The day before which all occurrences of a series that begins on `first` are pinned."""
    return date(min(max(first.year, now.year) + YEARS + 1, 2499), 1, 1)


def wall_end(when: When) -> datetime:
    """When the timed event ends (aware UTC) if its end is kept by the wall clock."""
    assert isinstance(when.start, datetime)
    start = zones.start_instant(when)
    return max(zones.instant(when.start + when.duration, when.zone or "UTC"), start)


def is_cut(when: When) -> bool:
    """True if the event would end elsewhere by the wall clock."""
    return not when.all_day and wall_end(when) != zones.end_instant(when)


def as_ruled(shown: When, ruled: When, *, by_wall: bool = False) -> When:
    """`ruled`, if what is shown is the same: the same instants, however they are spelled, or
    (`by_wall`) an end at which only the clocks differ. Otherwise `shown`."""
    if shown == ruled or shown.all_day or ruled.all_day or shown.end_zone != ruled.end_zone:
        return shown
    start = zones.start_instant(shown)
    if start != zones.start_instant(ruled):
        return shown
    same = shown.duration == ruled.duration
    return ruled if same or (by_wall and start + shown.duration == wall_end(ruled)) else shown


def cut_days(first: When, clock: time, until: date) -> tuple[date, ...]:
    """The days before `until` on which an event like `first`, beginning at `clock` on that day or
    later, would end elsewhere by the wall clock; the same for every such series."""
    if first.all_day or first.zone is None or first.zone in ("UTC", "Etc/UTC"):
        return ()
    assert isinstance(first.start, datetime)
    found = _cut_days(first.zone, clock, first.duration, first.start.year, until.year)
    begin = first.start.date()
    return tuple(day for day in found if begin <= day < until)


@lru_cache(maxsize=2048)
def _cut_days(
    zone: str, clock: time, duration: timedelta, first: int, last: int
) -> tuple[date, ...]:
    days: dict[date, None] = {}
    for year in range(first, last + 1):
        for at, before, after in transitions(zone, year):
            offsets = (before, after)
            low = (at + min(offsets) - duration).astimezone(UTC).replace(tzinfo=None) - _DAY
            high = (at + max(offsets)).astimezone(UTC).replace(tzinfo=None) + _DAY
            day = low.date()
            while day <= high.date():
                if is_cut(When(start=datetime.combine(day, clock), duration=duration, zone=zone)):
                    days[day] = None
                day += _DAY
    return tuple(sorted(days))


def _plain(when: When) -> bool:
    """True if a series may begin with it: its wall clocks are those of all others."""
    if not isinstance(when.start, datetime):
        return True
    zone = when.zone or "UTC"
    start, fold = zones.wall(zones.start_instant(when), zone)
    end, _ = zones.wall(zones.end_instant(when), zone)
    return (start, end, fold) == (when.start, start + when.duration, 0) and not is_cut(when)


def begun(piece: Piece, clock: time, first: When) -> tuple[Piece | None, tuple[date, ...]] | None:
    """The piece from a day on that can stand for all its days, and the days before that one.

    The target takes time of day and length of a series from its first occurrence, which must
    therefore be none that a change of the clock shifts or cuts. No piece = no other day is left.
    None = the piece has no such day among its first ones.
    """
    if first.all_day:
        return piece, ()
    early: list[date] = []
    gone = set(piece.gone)
    for place, day in enumerate(expand_pattern(piece.pattern, piece.bounds, piece.first)):
        if day in gone:
            continue
        start = datetime.combine(day, clock)
        fold = first.fold if start == first.start else 0
        if _plain(replace(first, start=start, fold=fold)):
            if not place:
                return piece, ()
            bounds = piece.bounds
            if isinstance(bounds, Numbered):
                bounds = Numbered(bounds.count - place)
            kept = tuple(each for each in piece.gone if each > day)
            return replace(piece, first=day, bounds=bounds, gone=kept), tuple(early)
        early.append(day)
        if len(early) == _MOST_TRIES:
            return None
    return None, tuple(early)


@dataclass(frozen=True, slots=True)
class Pins:
    """The days to be pinned, and those that would then reach into the next one."""

    pinned: tuple[date, ...] = ()
    apart: tuple[date, ...] = ()


def pins(piece: Piece, clock: time, first: When, cut: Iterable[date]) -> Pins:
    """What is to be done about the days of a piece that are cut, whatever exceptions it has."""
    wanted = {day for day in cut if day >= piece.first}
    if not wanted:
        return Pins()
    gone = set(piece.gone)
    dates = expand_pattern(piece.pattern, piece.bounds, piece.first)
    last = max(wanted) + max(first.duration, _DAY) + _DAY
    days = [day for day in takewhile(lambda day: day <= last, dates) if day not in gone]
    pinned, apart = [], []
    for place, day in enumerate(days):
        if day not in wanted:
            continue
        zone = first.zone or "UTC"
        end = zones.instant(datetime.combine(day, clock), zone) + first.duration
        following = days[place + 1] if place + 1 < len(days) else None
        if following and end > zones.instant(datetime.combine(following, clock), zone):
            apart.append(day)
        else:
            pinned.append(day)
    return Pins(tuple(pinned), tuple(apart))
