"""Edits as a person makes them in a calendar, as pure functions from event to event."""

from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from typing import Any

from mappings.model import Details, Event, Key, Override, When


def occurrence_when(event: Event, key: Key) -> When:
    """When the series itself would hold the occurrence `key`."""
    if event.when.all_day:
        return replace(event.when, start=date.fromisoformat(key))
    return replace(event.when, start=datetime.fromisoformat(key), fold=0)


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

    A moved series starts anew: exceptions of the old times do not outlive it.
    """
    if isinstance(start, str):
        start = datetime.fromisoformat(start) if "T" in start else date.fromisoformat(start)
    if key is None:
        when = replace(event.when, start=start, duration=duration or event.when.duration)
        return replace(event, when=when, overrides=())
    details, before = _shown(event, key)
    when = replace(before, start=start, duration=duration or before.duration)
    return _overridden(event, Override(key=key, details=details, when=when))


def cancelled(event: Event, key: Key) -> Event:
    """The series without the occurrence `key`."""
    return _overridden(event, Override(key=key, cancelled=True))


def reverted(event: Event, key: Key) -> Event:
    """The series whose occurrence `key` follows the rule again."""
    return replace(event, overrides=tuple(o for o in event.overrides if o.key != key))


def patched(current: Event, old: Event, new: Event) -> Event:
    """`current` with everything that `new` has otherwise than `old`, and nothing else.

    What a provider does with a partial write: details field by field, time, rule and extra dates
    as wholes, exceptions occurrence by occurrence.
    """
    details = {
        item.name: getattr(new.details, item.name)
        for item in fields(Details)
        if getattr(new.details, item.name) != getattr(old.details, item.name)
    }
    overrides = dict(current.overrides_by_key)
    was, becomes = old.overrides_by_key, new.overrides_by_key
    for key in was.keys() | becomes.keys():
        if was.get(key) == becomes.get(key):
            continue
        if key in becomes:
            overrides[key] = becomes[key]
        else:
            overrides.pop(key, None)
    return replace(
        current,
        details=replace(current.details, **details),
        when=new.when if new.when != old.when else current.when,
        rule=new.rule if new.rule != old.rule else current.rule,
        rdates=new.rdates if new.rdates != old.rdates else current.rdates,
        overrides=tuple(overrides[key] for key in sorted(overrides)),
    )


def _shown(event: Event, key: Key) -> tuple[Details, When]:
    """What the occurrence shows now; a cancelled one, what it would show without that."""
    known = event.overrides_by_key.get(key) or Override(key=key)
    return known.details or event.details, known.when or occurrence_when(event, key)


def _overridden(event: Event, override: Override) -> Event:
    overrides = {**event.overrides_by_key, override.key: override}
    return replace(event, overrides=tuple(overrides[key] for key in sorted(overrides)))
