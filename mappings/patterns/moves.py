"""The exceptions of one series, in an order that a target can follow.

Exchange refuses an occurrence that would begin before its predecessor ends, end after its
successor begins, or share their date (ErrorOccurrenceCrossingBoundary; MS-OXCICAL
2.1.3.1.1.20.18). Such an occurrence is deleted from the series and stands alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from mappings import zones
from mappings.members import clock_at, clock_of
from mappings.model import Key, Override, When
from mappings.patterns.pins import is_cut
from mappings.patterns.profile import Profile


@dataclass(frozen=True, slots=True)
class Settled:
    """The overrides that can stay on the series, in order, and the keys of those that cannot."""

    overrides: tuple[Override, ...]
    detached: tuple[Key, ...]


_Span = tuple[date, datetime, datetime]


def settle(
    keys: Sequence[Key], overrides: Mapping[Key, Override], first: When, profile: Profile
) -> Settled:
    """Orders the overrides of the series whose surviving occurrences are `keys`, in order."""
    moved = {
        key
        for key, item in overrides.items()
        if item.when is not None and _differs(item.when, key, first)
    }
    kept = _neighbours(keys, moved)
    spans = {key: _span(key, overrides.get(key), first) for key in kept}
    detached: list[Key] = []
    place = 1
    while place < len(kept):
        before, after = kept[place - 1], kept[place]
        if _clear(spans[before], spans[after], profile):
            place += 1
            continue
        # One of the two has moved, or they would not be in each other's way.
        culprit = before if before in moved and after not in moved else after
        if culprit not in moved:
            place += 1
            continue
        detached.append(culprit)
        kept.remove(culprit)
        place = max(1, place - 1)
    staying = [item for key, item in overrides.items() if key not in detached]
    shifting = {
        item.key for item in staying if item.key in moved or (item.when and is_cut(item.when))
    }
    forward = [item for item in staying if item.key in shifting and _later(item, first)]
    backward = [item for item in staying if item.key in shifting and not _later(item, first)]
    still = [item for item in staying if item.key not in shifting]
    ordered = (
        *sorted(forward, key=lambda item: item.key, reverse=True),
        *sorted(backward, key=lambda item: item.key),
        *sorted(still, key=lambda item: item.key),
    )
    return Settled(ordered, tuple(sorted(detached)))


def _neighbours(keys: Sequence[Key], moved: set[Key]) -> list[Key]:
    """The moved occurrences and those next to them."""
    places = {
        place + step
        for place, key in enumerate(keys)
        if key in moved
        for step in (-1, 0, 1)
        if 0 <= place + step < len(keys)
    }
    return [keys[place] for place in sorted(places)]


def _clear(before: _Span, after: _Span, profile: Profile) -> bool:
    if not profile.overlap and before[2] > after[1]:
        return False
    return not profile.one_per_date or before[0] < after[0]


def _span(key: Key, override: Override | None, first: When) -> _Span:
    """On which day of the series the occurrence begins, and from when to when it lasts."""
    when = override.when if override else None
    zone = first.zone or "UTC"
    start = clock_at(key, first) if when is None else _wall(when, first)
    if when is None or when.all_day or first.all_day:
        length = first.duration if when is None else when.duration
        return start.date(), zones.instant(start, zone), zones.instant(start + length, zone)
    return start.date(), zones.start_instant(when), zones.end_instant(when)


def _wall(when: When, first: When) -> datetime:
    if when.all_day or first.all_day or when.zone == first.zone:
        return clock_of(when.start)
    return zones.wall(zones.start_instant(when), first.zone or "UTC")[0]


def _differs(when: When, key: Key, first: When) -> bool:
    return _wall(when, first) != clock_at(key, first) or when.duration != first.duration


def _later(override: Override, first: When) -> bool:
    assert override.when is not None
    return _wall(override.when, first) >= clock_at(override.key, first)
