"""Edits as a person makes them in a calendar, as pure functions from event to event."""

from dataclasses import fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from mappings import recurrence
from mappings.model import WEEKDAYS, Details, Event, Key, Override, Rule, When


def edited(event: Event, key: Key | None = None, /, **details: Any) -> Event:
    """The event with other `Details` fields, for all of it or for the occurrence `key` alone."""
    if key is None:
        return replace(event, details=replace(event.details, **details))
    shown, when = _shown(event, key)
    return _overridden(event, Override(key=key, details=replace(shown, **details), when=when))


def moved(
    event: Event,
    key: Key | None = None,
    /,
    *,
    start: datetime | date | str,
    duration: timedelta | None = None,
) -> Event:
    """The event at another wall clock in its own zone; the occurrence `key` alone, if given.

    A series takes its end, its extra dates and its exceptions along. Moved to another day, it
    may name none but the day it starts on (`ValueError` otherwise).
    """
    if isinstance(start, str):
        start = datetime.fromisoformat(start) if "T" in start else date.fromisoformat(start)
    if key is not None:
        details, before = _shown(event, key)
        when = replace(before, start=start, duration=duration or before.duration)
        return _overridden(event, Override(key=key, details=details, when=when))
    when = replace(event.when, start=start, duration=duration or event.when.duration)
    if not event.recurring:
        return replace(event, when=when)
    shift = _clock(when) - _clock(event.when)
    new = replace(
        event,
        when=when,
        rule=_moved_rule(event.rule, event.when, when) if event.rule else None,
        rdates=tuple(
            replace(when, start=recurrence.when_of(event, key).start + shift).key
            for key in event.rdates
        ),
    )
    overrides = recurrence.rekey(event.overrides, event, new)
    return recurrence.tidy(replace(new, overrides=overrides))


def cancelled(event: Event, key: Key) -> Event:
    """The series without the occurrence `key`."""
    return _overridden(event, Override(key=key, cancelled=True))


def reverted(event: Event, key: Key) -> Event:
    """The series whose occurrence `key` follows the rule again."""
    return replace(event, overrides=tuple(o for o in event.overrides if o.key != key))


def patched(current: Event, old: Event, new: Event) -> Event:
    """`current` with everything that `new` has otherwise than `old`, and nothing else.

    What a provider does with a partial write: details field by field, the same for each
    occurrence; time, rule and extra dates as wholes.
    """
    overrides = dict(current.overrides_by_key)
    was, becomes = old.overrides_by_key, new.overrides_by_key
    for key in was.keys() | becomes.keys():
        if was.get(key) == becomes.get(key):
            continue
        if key not in becomes:
            overrides.pop(key, None)
        elif becomes[key].cancelled:
            overrides[key] = becomes[key]
        else:
            overrides[key] = _patched_occurrence(key, current, old, new)
    event = replace(
        current,
        details=_patched_details(current.details, old.details, new.details),
        when=new.when if new.when != old.when else current.when,
        rule=new.rule if new.rule != old.rule else current.rule,
        rdates=new.rdates if new.rdates != old.rdates else current.rdates,
        overrides=tuple(overrides.values()),
    )
    return recurrence.tidy(event)


def _patched_details(current: Details, old: Details, new: Details) -> Details:
    changes = {
        item.name: getattr(new, item.name)
        for item in fields(Details)
        if getattr(new, item.name) != getattr(old, item.name)
    }
    return replace(current, **changes)


def _patched_occurrence(key: Key, current: Event, old: Event, new: Event) -> Override:
    (now, when), (before, earlier), (after, later) = (
        _shown(event, key) for event in (current, old, new)
    )
    return Override(
        key=key,
        details=_patched_details(now, before, after),
        when=later if later != earlier else when,
    )


def _shown(event: Event, key: Key) -> tuple[Details, When]:
    """What the occurrence shows now; a cancelled one, what it would show without that."""
    known = event.overrides_by_key.get(key) or Override(key=key)
    return known.details or event.details, known.when or recurrence.when_of(event, key)


def _overridden(event: Event, override: Override) -> Event:
    overrides = {**event.overrides_by_key, override.key: override}
    return recurrence.tidy(replace(event, overrides=tuple(overrides.values())))


def _clock(when: When) -> datetime:
    return datetime.combine(when.start, getattr(when.start, "time", time)())


def _moved_rule(rule: Rule, old: When, new: When) -> Rule:
    was, is_ = old.start, new.start
    if _clock(old).date() != _clock(new).date():
        names = (rule.by_day, rule.by_month_day, rule.by_month)
        weekday, day, month = ((0, WEEKDAYS[was.weekday()]),), (was.day,), (was.month,)
        if rule.by_set_pos or any(
            named not in ((), own) for named, own in zip(names, (weekday, day, month), strict=True)
        ):
            raise ValueError("the rule names other days than the one the series starts on")
        rule = replace(
            rule,
            by_day=((0, WEEKDAYS[is_.weekday()]),) if rule.by_day else (),
            by_month_day=(is_.day,) if rule.by_month_day else (),
            by_month=(is_.month,) if rule.by_month else (),
        )
    if rule.until is None:
        return rule
    text = recurrence.format_rule(replace(rule, until=None), new)
    if rule.count is not None:
        bounded = recurrence.parse_rule(f"{text};COUNT={rule.count}", new)
    else:
        until = datetime.fromisoformat(rule.until) + (_clock(new) - _clock(old))
        bounded = recurrence.parse_rule(f"{text};UNTIL={until:%Y%m%dT%H%M%S}", new)
    return bounded or rule
