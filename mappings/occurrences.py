"""The occurrences of a series: which there are in a span of time, and which one is meant.

Instants are aware UTC. An all-day occurrence has dates, and counts as lasting from UTC midnight
to UTC midnight wherever it is compared with an instant. A wall clock that a change of offset
skips moves forward by what was skipped, but its key stays; of two equal wall clocks the first
is meant (RFC 5545 section 3.3.5).
"""

import heapq
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from mappings import zones
from mappings.expansion import END, pattern
from mappings.members import bound, clock_at, clock_of, is_member, key_of, members
from mappings.model import Event, Key, Occurrence, Override, When

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
_END = END.replace(tzinfo=UTC)


def when_of(event: Event, key: Key) -> When:
    """When the occurrence takes place if nothing overrides it."""
    if key == event.when.key:
        return event.when
    clock = clock_at(key, event.when)
    start = clock.date() if event.when.all_day else clock
    return replace(event.when, start=start, fold=0)


def expand(event: Event, since: datetime, until: datetime) -> Iterator[Occurrence]:
    """What happens in the aware span [since, until), ordered by start.

    (Several occurrences a day that a clock change moves may stand in the order of their keys.)

    An occurrence that merely reaches into the span is included. Overrides count where they
    *are*: moved in, moved out, and also at keys that the rule no longer has.
    """
    if not event.recurring:
        yield from _within([_occurrence(event.when, event, None)], since, until)
        return
    regular = _regular(event, since, until)
    if not event.overrides:
        yield from regular
        return
    changed = [_changed(event, item) for item in event.overrides if not item.cancelled]
    moved = sorted(_within(changed, since, until), key=_order)
    yield from heapq.merge(regular, moved, key=_order)


def overlaps(event: Event, since: datetime | None, until: datetime | None) -> bool:
    """True if anything happens in [since, until); None = without bound on that side."""
    return next(expand(event, since or _BEGINNING, until or _END), None) is not None


def first_start(event: Event) -> datetime:
    """When the first occurrence begins; of a series that is all cancelled, its nominal start."""
    found = next(expand(event, _BEGINNING, _END), None)
    return _begins(found) if found else zones.start_instant(event.when)


def last_end(event: Event) -> datetime | None:
    """When the last occurrence is over, None if there is no last one.

    Of a series that is all cancelled, the end of its nominal first occurrence.
    """
    if event.rule is not None and event.rule.until is None:
        return None
    overrides = event.overrides_by_key
    ends = [
        zones.end_instant(item.when or when_of(event, item.key))
        for item in event.overrides
        if not item.cancelled
    ]
    free = [key for key in event.rdates if key not in overrides]
    if event.rule is None:
        free.extend({event.when.key} - overrides.keys())
    else:
        series = pattern(event.rule, event.when.start)
        last = series.last(bound(event.rule))
        while last is not None and key_of(last, event.when) in overrides:
            last = series.last(last - _SECOND)
        if last is not None:
            free.append(key_of(last, event.when))
    ends.extend(zones.end_instant(when_of(event, key)) for key in free)
    return max(ends, default=zones.end_instant(event.when))


def key_of_instant(when: When, at: datetime) -> Key:
    """The key of whatever starts at the aware instant `at` in the series of `when`.

    For all-day series that is the UTC date. A start that a clock change has shifted has another
    nominal key; `match_key` finds it.
    """
    if when.all_day:
        return Key(at.astimezone(UTC).date().isoformat())
    return Key(zones.wall(at, when.zone or "UTC")[0].isoformat(timespec="seconds"))


def match_key(
    event: Event, *, instant: datetime | None = None, wall: datetime | date | None = None
) -> Key | None:
    """Which occurrence a provider means by its original start; None if that is not certain.

    `instant` is aware, `wall` a naive wall clock or date in the series' zone; give either or
    both. Decides by exact instant, then by nominal wall clock, then by local date if the series
    has a single occurrence on it.
    """
    if wall is None:
        if instant is None:
            return None
        wall = clock_at(key_of_instant(event.when, instant), event.when)
    nominal = None
    if isinstance(wall, datetime) or event.when.all_day:
        nominal = key_of(clock_of(wall), event.when)
        exactly = instant is None or zones.start_instant(when_of(event, nominal)) == instant
        if exactly and (is_member(event, nominal) or nominal in event.overrides_by_key):
            return nominal
    day = wall.date() if isinstance(wall, datetime) else wall
    near = _keys_near(event, day)
    if instant is not None:
        exact = [key for key in near if zones.start_instant(when_of(event, key)) == instant]
        if exact:
            return exact[-1]
        if nominal in near:
            return nominal
    on_day = [key for key in near if key[:10] == day.isoformat()]
    return on_day[0] if len(on_day) == 1 else None


def _keys_near(event: Event, day: date) -> list[Key]:
    """The keys from the day before to the day after, those of overrides included."""
    since = datetime.combine(day, time()) - _DAY
    until = since + 3 * _DAY
    near = {item.key for item in event.overrides}
    near = {key for key in near if since <= clock_at(key, event.when) < until}
    for member in members(event.rule, event.rdates, event.when, since):
        if member >= until:
            break
        near.add(key_of(member, event.when))
    return sorted(near)


def _regular(event: Event, since: datetime, until: datetime) -> Iterator[Occurrence]:
    """The occurrences that nothing overrides."""
    series = members(event.rule, event.rdates, event.when, _entry(event.when, since))
    overridden = event.overrides_by_key
    if event.when.all_day:
        days = _days(event, series, until)
        return (
            day
            for day in days
            if day.key not in overridden and _reaches(_begins(day), _ends(day), since)
        )
    return _moments(event, series, since, min(until, _END))


def _days(event: Event, series: Iterator[datetime], until: datetime) -> Iterator[Occurrence]:
    """The members of an all-day series before `until`."""
    duration, details = event.when.duration, event.details
    for member in series:
        if member.replace(tzinfo=UTC) >= until:
            return
        day = member.date()
        yield Occurrence(start=day, end=day + duration, details=details, key=Key(day.isoformat()))


def _moments(
    event: Event, series: Iterator[datetime], since: datetime, until: datetime
) -> Iterator[Occurrence]:
    """The members of a timed series that touch [since, until) and are not overridden."""
    when, details, overridden = event.when, event.details, event.overrides_by_key
    rules = zones.info(when.zone or "UTC")
    duration = when.duration
    stop = until + 2 * _DAY
    for member in series:
        local = member.replace(tzinfo=rules)
        start = local.astimezone(UTC)
        if start >= stop:
            return
        later = local.replace(fold=1)
        key = Key(member.isoformat(timespec="seconds"))
        if local.utcoffset() != later.utcoffset():
            if key == when.key:
                start = zones.start_instant(when)
            elif _met(event, start, member):
                continue
        end = start + duration
        if start < until and (end > since or start >= since) and key not in overridden:
            yield Occurrence(start=start, end=end, details=details, key=key)


def _met(event: Event, start: datetime, member: datetime) -> bool:
    """True if a clock change moves the member onto another one, which then stands for both."""
    shown, _ = zones.wall(start, event.when.zone or "UTC")
    return shown != member and is_member(event, key_of(shown, event.when))


def _entry(when: When, since: datetime) -> datetime | None:
    """A wall clock before that of any occurrence that reaches `since`, None = the beginning."""
    if since - zones.start_instant(when) <= when.duration + 3 * _DAY:
        return None
    return since.astimezone(UTC).replace(tzinfo=None) - when.duration - 2 * _DAY


def _changed(event: Event, override: Override) -> Occurrence:
    when = override.when or when_of(event, override.key)
    return _occurrence(when, event, override)


def _occurrence(when: When, event: Event, override: Override | None) -> Occurrence:
    details = (override and override.details) or event.details
    key = override.key if override else None
    if isinstance(when.start, datetime):
        start = zones.start_instant(when)
        return Occurrence(start=start, end=start + when.duration, details=details, key=key)
    return Occurrence(start=when.start, end=when.start + when.duration, details=details, key=key)


def _within(
    occurrences: list[Occurrence], since: datetime, until: datetime
) -> Iterator[Occurrence]:
    for occurrence in occurrences:
        begins = _begins(occurrence)
        if begins < until and _reaches(begins, _ends(occurrence), since):
            yield occurrence


def _reaches(begins: datetime, ends: datetime, since: datetime) -> bool:
    """True if it is not over at `since`; a moment without length is over after itself."""
    return ends > since or begins >= since


def _order(occurrence: Occurrence) -> tuple[datetime, str]:
    return _begins(occurrence), occurrence.key or ""


def _begins(occurrence: Occurrence) -> datetime:
    return _moment(occurrence.start)


def _ends(occurrence: Occurrence) -> datetime:
    return _moment(occurrence.end)


def _moment(at: datetime | date) -> datetime:
    return at if isinstance(at, datetime) else datetime.combine(at, time(), UTC)
