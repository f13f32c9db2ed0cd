"""A series with its exceptions as one value: made canonical, and carried over a change."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from mappings.members import clock_at, clock_of, in_rule, is_member, key_of, rule_members
from mappings.model import Event, Key, Override
from mappings.occurrences import match_key, when_of
from mappings.rule_normal import normal
from mappings.rule_text import invalid
from mappings.zones import start_instant


def rebase(event: Event) -> Event:
    """The same occurrences with the start at the rule's first one.

    Providers disagree on a start that its own rule does not match; here it is no occurrence.
    Raises `UnmappableError` `RULE_INVALID` if nothing is left.
    """
    if event.rule is None:
        return event
    start = clock_of(event.when.start)
    first = next(rule_members(event.rule, event.when), None)
    if first == start:
        return event
    rule = None
    rdates = event.rdates
    if first is not None:
        rule = normal(event.rule, _start(first, event))
    elif rdates:
        first = min(clock_at(key, event.when) for key in rdates)
        rdates = tuple(key for key in rdates if clock_at(key, event.when) != first)
    else:
        raise invalid("the rule matches no date")
    when = replace(event.when, start=_start(first, event), fold=0)
    return replace(event, when=when, rule=rule, rdates=rdates)


def tidy(event: Event) -> Event:
    """The one way to write a series: sorted, each key once, nothing that changes nothing.

    Dropped are overrides that equal what the rule gives, cancellations of what is no occurrence,
    and extra dates that the rule has anyway. What an override leaves open it has from the series.
    """
    if not event.recurring:
        return replace(event, overrides=()) if event.overrides else event
    if not event.overrides and not event.rdates:
        return event
    event = replace(event, rdates=_extra_dates(event))
    kept = []
    for key, override in sorted({item.key: item for item in event.overrides}.items()):
        member = is_member(event, key)
        if override.cancelled:
            if member:
                kept.append(Override(key=key, cancelled=True))
            continue
        ruled = when_of(event, key)
        details, when = override.details or event.details, override.when or ruled
        if not member or details != event.details or when != ruled:
            kept.append(Override(key=key, details=details, when=when))
    return replace(event, overrides=tuple(kept))


def rekey(overrides: Sequence[Override], old: Event, new: Event) -> tuple[Override, ...]:
    """The overrides of `old` as overrides of `new`, whose start, zone or rule is another.

    Each finds its occurrence by equal key, by equal instant, or by local date if the date has
    only one occurrence and is claimed once. An occurrence that had not been moved away from the
    rule stays on the rule. What finds no occurrence keeps its key; `tidy` drops it if cancelled.
    """
    bare = replace(new, overrides=())
    found: dict[Key, Override] = {}
    for override in sorted(overrides, key=lambda item: not is_member(new, item.key)):
        key = renamed(override.key, old, bare)
        if key in found:
            key = override.key
        when = override.when
        if when == when_of(old, override.key) and is_member(new, key):
            when = when_of(new, key)
        found[key] = replace(override, key=key, when=when)
    return tuple(found[key] for key in sorted(found))


def renamed(key: Key, old: Event, new: Event) -> Key:
    """The key of the occurrence of `new` that stands for this one of `old`, else the same key."""
    if is_member(new, key) or not is_member(old, key):
        return key
    ruled = when_of(old, key)
    day = clock_of(ruled.start).date()
    if not (old.when.all_day or new.when.all_day):
        at = start_instant(ruled)
        same = match_key(new, instant=at)
        if same is not None and start_instant(when_of(new, same)) == at:
            return same
    return match_key(new, wall=day) or key


def _extra_dates(event: Event) -> tuple[Key, ...]:
    rule, first = event.rule, event.when
    clocks = {clock_at(key, first) for key in event.rdates}
    if rule is None:
        clocks.discard(clock_of(first.start))
    else:
        clocks = {clock for clock in clocks if not in_rule(rule, first, clock)}
    return tuple(key_of(clock, first) for clock in sorted(clocks))


def _start(clock: datetime, event: Event) -> datetime | date:
    return clock.date() if event.when.all_day else clock
