"""The members of a series as naive wall clock, and the keys that name them."""

import heapq
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time

from mappings.expansion import END, pattern
from mappings.model import Event, Key, Rule, When


def clock_of(start: datetime | date) -> datetime:
    """A start as naive wall clock; all-day starts are midnights."""
    return start if isinstance(start, datetime) else datetime.combine(start, time())


def key_of(clock: datetime, first: When) -> Key:
    """The key of the member at that wall clock."""
    if isinstance(first.start, datetime):
        return Key(clock.isoformat(timespec="seconds"))
    return Key(clock.date().isoformat())


def clock_at(key: Key, first: When) -> datetime:
    """The wall clock that a key names; a bare date on a timed series means its time of day."""
    clock = datetime.fromisoformat(key)
    if len(key) == 10 and isinstance(first.start, datetime):
        return datetime.combine(clock.date(), first.start.time())
    return clock


def bound(rule: Rule) -> datetime:
    """The wall clock after which the rule has no member."""
    return END if rule.until is None else datetime.fromisoformat(rule.until)


def rule_members(rule: Rule, first: When, at: datetime | None = None) -> Iterator[datetime]:
    """The rule's members at or after `at` (default: all), in order."""
    start = clock_of(first.start)
    last = bound(rule)
    for member in pattern(rule, first.start).after(max(at or start, start)):
        if member > last:
            return
        yield member


def members(
    rule: Rule | None, rdates: Iterable[Key], first: When, at: datetime | None = None
) -> Iterator[datetime]:
    """All members of a series at or after `at`, in order, each once."""
    if rule is not None and not rdates:
        yield from rule_members(rule, first, at)
        return
    single = clock_of(first.start)
    ruled = iter((single,)) if rule is None else rule_members(rule, first, at)
    extra = sorted({clock_at(key, first) for key in rdates})
    previous = None
    for member in heapq.merge(ruled, extra):
        if member != previous and (at is None or member >= at):
            previous = member
            yield member


def in_rule(rule: Rule, first: When, clock: datetime) -> bool:
    """True if the rule itself has a member at that wall clock."""
    return next(rule_members(rule, first, clock), None) == clock >= clock_of(first.start)


def is_member(event: Event, key: Key) -> bool:
    """True if the series has an occurrence with this key, cancelled or not."""
    if key in event.rdates:
        return True
    if (len(key) == 10) is not event.when.all_day:
        return False
    clock = clock_at(key, event.when)
    if event.rule is None:
        return clock == clock_of(event.when.start)
    return in_rule(event.rule, event.when, clock)
