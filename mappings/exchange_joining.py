"""The items of a unit at Exchange read as one event again, also where people changed some of them.

The rule stands on every item (`mappings.patterns.origin`); what the items show beyond it are the
edits.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import islice

from mappings import exchange_agreement as agreement
from mappings import recurrence
from mappings.errors import UnmappableError
from mappings.exchange_agreement import Told, agreed
from mappings.exchange_recurrence import alike
from mappings.exchange_units import Held, Mark, rolling
from mappings.members import clock_of, key_of
from mappings.model import Details, Event, Key, Override, Rule, When
from mappings.patterns import EWS, Origin, Part, Plan, expand_pattern, join, plan
from mappings.patterns import Copy as PartCopy
from mappings.patterns.pins import as_ruled

_CONTINUED_EVERY = timedelta(days=30)
"""A window of two years and segments of five leave room for many a month that nobody looks."""
_PINNED_EVERY = timedelta(days=365)
"""Clock changes are looked for ten years ahead."""
_MOST_ATTRIBUTED = 100
"""A person who deletes or moves a part means at most so many occurrences, not a rule."""


def assembled(items: Sequence[Held]) -> Event:
    """The unit that these items show.

    A series that still runs as the bridge wrote it is read by the rule it stands for; one that
    a person has changed, by its own pattern. Where several items stand for one rule, details that
    people edited count as `mappings.exchange_agreement` says, and a part that they deleted or gave
    another time is so many cancelled or moved occurrences. Raises `UnmappableError` `DECOMPOSED`
    where that would be too many, or the rule cannot follow at all.
    """
    if len(items) == 1 and not _alone(items[0]):
        return items[0].event
    marks = [item.mark for item in items if item.mark and item.mark.origin]
    if len(marks) < len(items):
        return items[0].event
    at = max(mark.at for mark in marks)
    copies = [
        PartCopy(mark.origin, _as_planned(item, details))
        for mark, item, details in zip(marks, items, _agreed(items), strict=True)
        if mark.origin
    ]
    found = join(copies, EWS, at)
    if found is None:
        raise _decomposed(len(items), "were taken from different series")
    if not found.missing:
        return found.event
    kept = {each.key: each for each in found.event.overrides}
    members = [_members(marks[0], at, part) for part in found.missing]
    gone = [key for each in members for key in each or ()]
    if None in members:
        if len(items) == 1:
            return items[0].event
        raise _decomposed(marks[0].items, "were in part deleted")
    cancelled = {key: Override(key=key, cancelled=True) for key in gone}
    overrides = tuple((cancelled | kept).values())
    return recurrence.tidy(replace(found.event, overrides=overrides))


def uneven(items: Sequence[Held]) -> bool:
    """True if the series of a unit do not show the same details."""
    return agreement.uneven([item.event.details for item in items if item.shown.pattern])


def _decomposed(items: int, what: str) -> UnmappableError:
    return UnmappableError(
        "DECOMPOSED",
        f"The series stands at Exchange as {items} items that {what}. Change the series on the "
        "other side, or delete all its items.",
    )


def _as_planned(item: Held, details: Details) -> Event:
    """What an item shows, with the time that the plan gives it: where a person has changed the
    time of a part, all its occurrences are moved ones."""
    event = replace(item.event, details=details)
    if _unmoved(item):
        return event
    part, shown = _planned(item.mark), item.shown
    if part is None or shown.pattern is None or isinstance(part.pattern, Rule):
        raise _decomposed(item.mark.items if item.mark else 1, "no longer repeat as planned")
    follows = (
        alike(shown.pattern, part.pattern)
        and shown.bounds == part.bounds
        and event.when.all_day == part.when.all_day
        and clock_of(event.when.start).date() == clock_of(part.when.start).date()
    )
    days = list(islice(_dates(part), _MOST_ATTRIBUTED + 1))
    if not follows or len(days) > _MOST_ATTRIBUTED:
        raise _decomposed(item.mark.items if item.mark else 1, "no longer repeat as planned")
    own = event.overrides_by_key
    overrides = []
    for day in days:
        key, new = _key_on(part.when, day), _key_on(event.when, day)
        if key in part.deletions:
            overrides.append(Override(key=key, cancelled=True))
            continue
        now = own.get(new) or Override(key=new)
        when = now.when or recurrence.when_of(event, new)
        overrides.append(
            Override(key=key, cancelled=True)
            if now.cancelled
            else Override(key=key, details=now.details or details, when=when)
        )
    return replace(event, when=part.when, overrides=tuple(overrides))


def _members(mark: Mark, at: datetime, name: str) -> list[Key] | None:
    """The occurrences of a part that is not there; None if they are too many."""
    made = _plan_of(mark.origin, at) if mark.origin else None
    for part in made.parts if made else ():
        if part.key == name:
            days = list(islice(_dates(part), _MOST_ATTRIBUTED + 1))
            if len(days) <= _MOST_ATTRIBUTED:
                return [_key_on(part.when, day) for day in days]
    return None


def _dates(part: Part) -> Iterator[date]:
    assert not isinstance(part.pattern, Rule)
    return expand_pattern(part.pattern, part.bounds, clock_of(part.when.start).date())


def _key_on(when: When, day: date) -> Key:
    return key_of(datetime.combine(day, clock_of(when.start).time()), when)


def _alone(item: Held) -> bool:
    return bool(item.mark and item.mark.origin) and _unmoved(item)


def _unmoved(item: Held) -> bool:
    """True if the item has the time and pattern that the bridge gave it."""
    origin = item.mark.origin if item.mark else None
    if origin is None:
        return True
    if origin.occurrence is not None:
        return item.shown.pattern is None
    part = _planned(item.mark)
    if part is None or item.shown.pattern is None or isinstance(part.pattern, Rule):
        return False
    return (
        alike(item.shown.pattern, part.pattern)
        and item.shown.bounds == part.bounds
        and item.event.when == part.when
    )


def _planned(mark: Mark | None) -> Part | None:
    """The part of the rule's plan that an item stands for."""
    if mark is None or mark.origin is None:
        return None
    found = _plan_of(mark.origin, mark.at)
    key = mark.origin.part
    return next((part for part in found.parts if part.key == key), None) if found else None


@lru_cache(maxsize=1024)
def _plan_of(origin: Origin, now: datetime) -> Plan | None:
    try:
        rule = recurrence.parse_rule(origin.rule, origin.first) if origin.rule else None
    except UnmappableError:
        return None
    event = Event(details=Details(), when=origin.first, rule=rule, rdates=origin.rdates)
    return plan(event, EWS, now) if event.recurring else None


def _agreed(items: Sequence[Held]) -> list[Details]:
    """The details of every item, where the series among them show the same."""
    told = [
        Told(item.mark.origin.part, item.mark.at, item.mark.wrote, item.event.details)
        for item in items
        if item.shown.pattern is not None and item.mark and item.mark.origin
    ]
    series = agreed(told) if told else Details()
    return [series if item.shown.pattern is not None else item.event.details for item in items]


def continued_every(marks: Sequence[Mark]) -> timedelta | None:
    """How often a unit with these marks has to be looked at again, because not all of it is
    written yet; None = never."""
    if rolling(marks):
        return _CONTINUED_EVERY
    plans = (_plan_of(mark.origin, mark.at) for mark in marks if mark.origin and mark.origin.rule)
    return _PINNED_EVERY if any(made and made.pinned for made in plans) else None


def unpinned(item: Held, present: Collection[Key]) -> tuple[Override, ...]:
    """The occurrences that the plan gives an end of their own and that have none: they are
    neither removed nor among those `present` as changed ones. Their details are the series'."""
    held = {each.key for each in item.shown.event.overrides}.union(present)
    return tuple(replace(each, details=None) for each in _pins(item) if each.key not in held)


def as_meant(override: Override, series: Held) -> Override:
    """An occurrence as it was meant: nobody has moved an end that merely stayed where it is by
    the wall clock while the clocks changed, unless the plan has given it one of its own."""
    if override.when is None or any(each.key == override.key for each in _pins(series)):
        return override
    ruled = recurrence.when_of(series.shown.event, override.key)
    return replace(override, when=as_ruled(override.when, ruled, by_wall=True))


def _pins(item: Held) -> tuple[Override, ...]:
    part = _planned(item.mark) if item.shown.pattern and _unmoved(item) else None
    return part.overrides if part else ()


def planned_deletions(item: Held) -> tuple[Key, ...]:
    """The occurrences that the item's pattern has and its rule has not."""
    part = _planned(item.mark) if _alone(item) else None
    return part.deletions if part else ()
