"""How the days of one rule are to be written: the cheapest form that is exact."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from enum import IntEnum
from functools import lru_cache
from itertools import islice, pairwise, takewhile

from mappings.expansion import pattern as rule_pattern
from mappings.model import Rule
from mappings.patterns.closed import ordinals
from mappings.patterns.cover import Cover, Partition, partition, superset
from mappings.patterns.model import EndDate, NoEnd, Numbered, Pattern, Range, name
from mappings.patterns.native import propose
from mappings.patterns.profile import Profile

MAIN = "MAIN"
"""The key of the one series that stands for the whole rule."""

SEGMENT_YEARS = 5
MOST_DAYS = 20_000
"""So many days of a series are compared at most."""

_MOST_GONE = 25
_GONE_A_YEAR = 12.5
_SPARE_A_YEAR = 4.5
_FEWEST_IN_SEGMENT = 10
_FEWEST_IN_RUN = 6
_PROVEN = 64
"""Two series of the simple forms that agree on so many days agree on all."""


class Tier(IntEnum):
    """How far a series is from what its target can say.

    One native series; one series and some deletions; several series; segments and singles that
    must be continued; single events in a rolling window.
    """

    NATIVE = 0
    TRIMMED = 1
    SEVERAL = 2
    SEGMENTED = 3
    SINGLES = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """One series: the days of `pattern` within `bounds` from `first` on, except `gone`."""

    key: str
    pattern: Pattern
    bounds: Range
    first: date
    gone: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """The pieces, and the days beside them that are written as single events.

    `rest` None = whatever the pieces do not have, as it comes into the window (`reason` says why).
    `verified` = an endless series is proven to this day only; None = for ever.
    """

    tier: Tier
    pieces: tuple[Piece, ...] = ()
    rest: tuple[date, ...] | None = ()
    verified: date | None = None
    reason: str | None = None


def singles(reason: str) -> Shape:
    """Nothing but single events in the window."""
    return Shape(Tier.SINGLES, rest=None, reason=reason)


@lru_cache(maxsize=8192)
def shape(rule: Rule, first: date, last: date | None, gap: int, profile: Profile) -> Shape:
    """The shape of a rule that begins at its member `first` and ends with its member `last`.

    The rule is in normal form, names no times, and its bound is not looked at, except to keep a
    COUNT. `gap` = the days that one occurrence takes up, if occurrences must not overlap.
    Raises `UnmappableError` as `mappings.expansion` does.
    """
    proposed = propose(rule, first, profile)
    if proposed is not None and _proven(proposed, rule, first, last, gap):
        bounds = _bounds(rule, proposed, first, last, profile)
        return Shape(Tier.NATIVE, (Piece(MAIN, proposed, bounds, first),))
    end = date(min(first.year + profile.horizon, 2499), first.month, 28)
    found = list(islice(days(rule, first, first, last or end), MOST_DAYS + 1))
    if len(found) > MOST_DAYS:
        return singles("it has more days than can be compared")
    return of_days(tuple(found), None if last else end.toordinal(), gap, profile)


def days(rule: Rule, first: date, since: date, until: date) -> Iterator[int]:
    """The days of a rule in [since, until], as ordinals."""
    at = datetime.combine(max(first, since), time())
    stop = datetime.combine(until, time())
    members = takewhile(lambda member: member <= stop, rule_pattern(rule, first).after(at))
    return (member.toordinal() for member in members)


def of_days(found: tuple[int, ...], end: int | None, gap: int, profile: Profile) -> Shape:
    """The shape of these days; up to `end` they are all, and more follow (None = no more)."""
    endless = end is not None
    verified = date.fromordinal(end) if end is not None else None
    split = _split(found, end, gap, profile, 0.0)
    covers = split.covers if split else ()
    if len(covers) == 1:
        return Shape(Tier.NATIVE, (_piece(covers[0], MAIN, endless),), verified=verified)
    broad = superset(found, gap=gap, profile=profile) if profile.exdate else None
    if broad and not endless and _trimmed(broad, len(found), len(covers), profile):
        return Shape(Tier.TRIMMED, (_piece(broad, MAIN, endless),))
    if covers:
        return Shape(Tier.SEVERAL, _named(covers, endless), verified=verified)
    if not endless and len(found) <= profile.series:
        return Shape(Tier.SEVERAL, rest=tuple(map(date.fromordinal, found)))
    return _continued(found, end, gap, profile)


def _trimmed(broad: Cover, kept: int, series: int, profile: Profile) -> bool:
    """True if one series with deletions is better than so many exact ones (0 = there are none)."""
    gone = len(broad.gone)
    if gone > _MOST_GONE or gone >= kept:
        return False
    return gone < series or not 0 < series <= profile.series


def _continued(found: tuple[int, ...], end: int | None, gap: int, profile: Profile) -> Shape:
    """Some series and a few days beside them, or series that hold for some years."""
    endless = end is not None
    verified = date.fromordinal(end) if end is not None else None
    split = _split(found, end, gap, profile, _SPARE_A_YEAR)
    if split and 2 * len(split.rest) >= len(found):
        split = None
    if split is None or len(split.covers) > profile.series:
        first = date.fromordinal(found[0])
        stop = date(first.year + SEGMENT_YEARS, 1, 1).toordinal()
        sample = tuple(day for day in found if day < stop)
        runs = segment(sample, gap, profile, "")
        worth = runs and len(sample) >= max(_FEWEST_IN_SEGMENT, _FEWEST_IN_RUN * len(runs))
        if runs and worth and (split is None or len(runs) < len(split.covers)):
            return Shape(Tier.SEGMENTED, rest=None, verified=verified, reason="it needs segments")
    if split is None:
        return singles("the target has no pattern for it")
    pieces = _named(split.covers, endless)
    if endless or len(split.rest) > _MOST_GONE:
        return Shape(Tier.SEGMENTED, pieces, None, verified, "some dates follow no pattern")
    return Shape(Tier.SEVERAL, pieces, tuple(map(date.fromordinal, split.rest)))


def _split(
    found: tuple[int, ...], end: int | None, gap: int, profile: Profile, spare: float
) -> Partition | None:
    return partition(
        found,
        gap=gap,
        last=found[-1] if end is None else end,
        whole=True,
        endless=end is not None,
        most=profile.many,
        spare=spare,
        profile=profile,
    )


def segment(found: tuple[int, ...], gap: int, profile: Profile, key: str) -> list[Piece] | None:
    """The days of a few years as one trimmed series, or as a few that follow each other.

    None if that would take too many.
    """
    if not found:
        return []
    broad = superset(found, gap=gap, profile=profile) if profile.exdate else None
    if broad and len(broad.gone) < min(len(found), _GONE_A_YEAR * SEGMENT_YEARS + 1):
        return [_piece(broad, key, False)]
    split = partition(
        found,
        gap=gap,
        last=found[-1],
        whole=False,
        endless=False,
        most=3 * SEGMENT_YEARS,
        spare=0.0,
        profile=profile,
    )
    if split is None:
        return None
    return [
        replace(piece, key=f"{key}/{piece.key}@{piece.first.isoformat()}")
        for piece in _named(split.covers, False)
    ]


def _proven(proposed: Pattern, rule: Rule, first: date, last: date | None, gap: int) -> bool:
    """True if both begin with the same days, and neither has more up to the last one."""
    stop = (last or date(2499, 12, 31)).toordinal()
    theirs = list(islice(ordinals(proposed, first.toordinal(), stop), _PROVEN))
    ours = list(islice(days(rule, first, first, date.fromordinal(stop)), _PROVEN))
    if theirs != ours or any(b - a < gap for a, b in pairwise(ours)):
        return False
    if last is None or len(ours) < _PROVEN:
        return True
    return any(day == stop for day in ordinals(proposed, first.toordinal(), stop))


def _bounds(
    rule: Rule, pattern: Pattern, first: date, last: date | None, profile: Profile
) -> Range:
    if last is None:
        return NoEnd()
    if rule.count is not None and rule.count <= profile.count:
        counted = list(islice(ordinals(pattern, first.toordinal()), rule.count))
        if len(counted) == rule.count and counted[-1] == last.toordinal():
            return Numbered(rule.count)
    return EndDate(last)


def _piece(cover: Cover, key: str, endless: bool) -> Piece:
    bounds = NoEnd() if endless else EndDate(date.fromordinal(cover.last))
    gone = tuple(map(date.fromordinal, cover.gone))
    return Piece(key, cover.pattern, bounds, date.fromordinal(cover.first), gone)


def _named(covers: Sequence[Cover], endless: bool) -> tuple[Piece, ...]:
    return tuple(
        _piece(cover, name(cover.pattern, date.fromordinal(cover.first)), endless)
        for cover in covers
    )
