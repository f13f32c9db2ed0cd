"""Short ways to say an event, for tests of connectors and of the bridge."""

from datetime import date, datetime, timedelta
from typing import Any

from connectors.memory.edits import cancelled, edited, moved, patched, reverted
from mappings import recurrence
from mappings.model import Details, Event, Key, Override, When

__all__ = ["at", "cancelled", "edited", "event", "moved", "patched", "reverted"]


def at(
    start: str, zone: str = "Asia/Shanghai", *, minutes: int = 60, days: int = 1, fold: int = 0
) -> When:
    """A time: `2026-03-02T09:00` in `zone` for `minutes`, or all `days` from `2026-03-02`."""
    if "T" in start:
        duration = timedelta(minutes=minutes)
        return When(start=datetime.fromisoformat(start), duration=duration, zone=zone, fold=fold)
    return When(start=date.fromisoformat(start), duration=timedelta(days=days))


def event(
    title: str = "Standup",
    start: str = "2026-03-02T09:00",
    zone: str = "Asia/Shanghai",
    *,
    minutes: int = 60,
    days: int = 1,
    rule: str | None = None,
    rdates: tuple[str, ...] = (),
    overrides: tuple[Override, ...] = (),
    **details: Any,
) -> Event:
    """A single event, or with `rule` (RFC 5545 text) a series. `details` are `Details` fields."""
    when = at(start, zone, minutes=minutes, days=days)
    return Event(
        details=Details(title=title, **details),
        when=when,
        rule=recurrence.parse_rule(rule, when) if rule else None,
        rdates=tuple(Key(key) for key in rdates),
        overrides=overrides,
    )
