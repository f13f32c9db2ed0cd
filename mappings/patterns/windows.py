"""Which Windows time zone stands for an IANA zone: the one that behaves the same, not the one
that is said to.

Exchange names zones by Windows ids. Tables pair the names, but zones part ways when laws change,
so every choice is compared with the zone data over the time in which a series takes place.
"""

import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files

from mappings import zones

_WEEK = timedelta(days=7)
_SECOND = timedelta(seconds=1)
AHEAD = timedelta(days=5 * 366)
"""So far ahead zones are compared; nobody knows the laws beyond."""


@dataclass(frozen=True, slots=True)
class ZoneSpan:
    """From the end of the span before it until `until` (aware UTC, None = the end) the Windows
    zone `windows` behaves like the source; None = none does. `substituted` = it is not the one
    that the Unicode CLDR names."""

    windows: str | None
    substituted: bool
    until: datetime | None = None


def windows_zone(
    zone: str,
    first: datetime,
    last: datetime,
    *,
    preferred: Sequence[str] = (),
    known: Collection[str] | None = None,
) -> tuple[str, bool] | None:
    """The Windows id that behaves like `zone` between two aware instants, and whether another
    one than CLDR's had to be taken; None if there is none.

    `preferred` ids are tried first (the one a copy already has, the mailbox's own); `known` are
    the ids that the server has. Raises `UnmappableError` `ZONE_UNKNOWN`.
    """
    for candidate in _candidates(zone, preferred, known):
        if _parting(zone, candidate, first, last) is None:
            return candidate, candidate != _ids().get(zone)
    return None


def zone_spans(
    zone: str,
    first: datetime,
    last: datetime,
    *,
    preferred: Sequence[str] = (),
    known: Collection[str] | None = None,
) -> tuple[ZoneSpan, ...]:
    """The Windows zones that together behave like `zone` from `first` to `last` (aware).

    Usually one. Where none agrees all the way the span is cut where the best one parts; what no
    Windows zone covers for at least four weeks is left without.
    """
    spans: list[ZoneSpan] = []
    start = first
    while True:
        found = windows_zone(zone, start, last, preferred=preferred, known=known)
        if found is not None:
            return (*spans, ZoneSpan(*found))
        longest, until = None, start
        for candidate in _candidates(zone, preferred, known):
            parting = _parting(zone, candidate, start, last)
            if parting is not None and parting > until:
                longest, until = candidate, parting
        if longest is None or until - start < 4 * _WEEK or len(spans) == 3:
            return (*spans, ZoneSpan(None, False))
        spans.append(ZoneSpan(longest, longest != _ids().get(zone), until))
        start = until


def iana_zone(windows: str, first: datetime, last: datetime, likely: Iterable[str]) -> str | None:
    """The IANA zone that a Windows id means, None if the id is unknown.

    Of several that behave the same between the two aware instants the first `likely` one is
    taken (the zone a series came from, the calendar's own), else CLDR's.
    """
    golden = zones.resolve(windows)
    if golden is None:
        return None
    for zone in likely:
        if zones.is_known(zone) and _apart(zone, golden, first, last) is None:
            return zone
    return golden


@lru_cache(maxsize=1024)
def transitions(zone: str, year: int) -> tuple[tuple[datetime, timedelta, timedelta], ...]:
    """The changes of offset in a UTC year: the instant, the offset before, and that from then on.

    Raises `UnmappableError` `ZONE_UNKNOWN`.
    """
    info = zones.info(zone)

    def offset(at: datetime) -> timedelta:
        return at.astimezone(info).utcoffset() or timedelta(0)

    found = []
    low = datetime(year, 1, 1, tzinfo=UTC) - _SECOND
    end = datetime(year + 1, 1, 1, tzinfo=UTC) - _SECOND
    while low < end:
        high = min(low + _WEEK, end)
        before, after = offset(low), offset(high)
        if before != after:
            left, right = low, high
            while right - left > _SECOND:
                middle = left + (right - left) // (2 * _SECOND) * _SECOND
                left, right = (middle, right) if offset(middle) == before else (left, middle)
            found.append((right, before, offset(right)))
        low = high
    return tuple(found)


def _candidates(
    zone: str, preferred: Sequence[str], known: Collection[str] | None
) -> Iterable[str]:
    """Windows ids in the order in which they are to be tried."""
    own = _ids().get(zone)
    first = [name for name in (*preferred, own) if name in _golden()]
    ids = dict.fromkeys([*first, *_similar(zone)])
    return [name for name in ids if known is None or name in known]


@lru_cache(maxsize=1024)
def _similar(zone: str) -> tuple[str, ...]:
    """All Windows ids, those of the same part of the world first."""
    region = zone.partition("/")[0]
    golden = _golden()
    return tuple(sorted(golden, key=lambda name: (golden[name].partition("/")[0] != region, name)))


def _parting(zone: str, windows: str, first: datetime, last: datetime) -> datetime | None:
    """When the two part between the instants, None if they do not."""
    return _apart(zone, _golden()[windows], first, last)


def _apart(zone: str, other: str, first: datetime, last: datetime) -> datetime | None:
    first, last = first.astimezone(UTC), max(first, last).astimezone(UTC)
    if zone == other:
        return None
    if zones.wall(first, zone)[0] != zones.wall(first, other)[0]:
        return first
    partings = _partings(zone, other, first.year, last.year)
    place = bisect_left(partings, first)
    return partings[place] if place < len(partings) and partings[place] <= last else None


@lru_cache(maxsize=4096)
def _partings(zone: str, other: str, first: int, last: int) -> list[datetime]:
    """The instants of either zone's changes, from year to year, after which they differ."""
    instants = sorted(
        {
            at
            for year in range(first, last + 1)
            for name in (zone, other)
            for at, _, _ in transitions(name, year)
        }
    )
    return [at for at in instants if zones.wall(at, zone)[0] != zones.wall(at, other)[0]]


@cache
def _golden() -> dict[str, str]:
    table = json.loads(files("mappings").joinpath("windows_zones.json").read_text("utf-8"))
    golden: dict[str, str] = table["zones"]
    return golden


@cache
def _ids() -> dict[str, str]:
    table = files("mappings.patterns").joinpath("windows_ids.json").read_text("utf-8")
    ids: dict[str, str] = json.loads(table)["zones"]
    return ids
