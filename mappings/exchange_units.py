"""A unit at Exchange: one item, or several that together show what one rule means.

Every item that the bridge writes carries its mark: of which making of the unit it is (a unit whose
series has to be made anew gets a new `generation` before the old one goes), the zones that were
meant, and for series the rule itself (`mappings.patterns.origin`).
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from mappings import exchange as dialect
from mappings import recurrence, zones
from mappings.errors import UnmappableError
from mappings.exchange import Shown, Wire, Zoning
from mappings.exchange_agreement import digests
from mappings.exchange_pending import Pending
from mappings.members import clock_at, clock_of, is_member
from mappings.model import Event, Key, Override, Rule, When
from mappings.patterns import (
    EWS,
    Origin,
    Part,
    Pattern,
    Plan,
    Range,
    Single,
    expand_pattern,
    origin_of,
    plan,
    read_origin,
    write_origin,
)
from mappings.patterns.assembly import single_events
from mappings.series import rebase

PROPERTY_SET = "c8f0b5de-64a3-4d0a-a7a1-5f1f3c0d9b27"
"""The namespace of our named properties; it must never change."""
KEY, UNIT, MARK = "calbridge-key", "calbridge-unit", "calbridge-mark"
"""The create key, on main items; the unit's ref where that is not the item's own id; the mark."""
PENDING = "calbridge-pending"
"""The exceptions that a series is still to get (`mappings.exchange_pending`)."""

MAIN = "main"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What an item says of itself: one of so many `items` of the unit's `generation`, planned
    `at` (aware UTC), and whether it is the `main` one, which is written last and deleted last.
    `doomed` = the unit is being deleted. `origin` only on items of series; `wrote` only where
    several series stand for one rule: digests of the details (`mappings.exchange_agreement`).
    """

    zoning: Zoning
    generation: int = 1
    items: int = 1
    main: bool = True
    doomed: bool = False
    at: datetime
    origin: Origin | None = None
    wrote: str = ""

    def write(self) -> str:
        """As one line of JSON, ASCII only."""
        zoning = self.zoning
        found = {
            "v": _VERSION,
            "g": self.generation,
            "n": self.items,
            "m": int(self.main),
            "t": f"{self.at:%Y-%m-%dT%H:%M:%SZ}",
            "x": int(self.doomed),
            "z": [zoning.source, zoning.source_windows, zoning.end, zoning.end_windows],
            "o": write_origin(self.origin) if self.origin else None,
        }
        if self.wrote:
            found["w"] = self.wrote
        return json.dumps(found, separators=(",", ":"))

    @classmethod
    def read(cls, text: str, mailbox: str) -> "Mark | None":
        """The mark that was written, None if it is none of ours or damaged."""
        try:
            found = json.loads(text)
            if found["v"] != _VERSION:
                return None
            zones = (*(None if zone is None else str(zone) for zone in found["z"]),)
            source, source_windows, end, end_windows = zones
            return cls(
                generation=int(found["g"]),
                items=int(found["n"]),
                main=bool(found["m"]),
                doomed=bool(found["x"]),
                at=dialect.instant(str(found["t"])),
                zoning=Zoning(
                    mailbox=mailbox,
                    source=source,
                    source_windows=source_windows,
                    end=end,
                    end_windows=end_windows,
                ),
                origin=read_origin(found["o"]) if found.get("o") else None,
                wrote=str(found.get("w", "")),
            )
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One item to be made: its properties, its mark, and what has to be done to its occurrences
    afterwards, in this order: `deletions`, then `overrides`."""

    part: str
    fields: dict[str, Any]
    mark: Mark
    when: When
    pattern: Pattern | None = None
    bounds: Range | None = None
    deletions: tuple[Key, ...] = ()
    overrides: tuple[Override, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One item of a unit as it was read, its changed occurrences included in `event`, and those
    which it is still to get (`pending`)."""

    shown: Shown
    event: Event
    mark: Mark | None
    pending: Pending | None = None


def property_of(wire: Wire, name: str) -> str | None:
    """One of our named properties of an item."""
    for line in dialect.many(wire, "ExtendedProperty"):
        uri = line.get("ExtendedFieldURI") or {}
        ours = str(uri.get("@PropertySetId", "")).lower() == PROPERTY_SET
        if ours and uri.get("@PropertyName") == name:
            return dialect.text(line, "Value") or None
    return None


def drafts(
    event: Event,
    *,
    mailbox: str,
    now: datetime,
    generation: int,
    uid: str,
    apart: Collection[Key] = (),
) -> tuple[Draft, ...]:
    """The items that show the event, the first of them is the unit's `main`.

    `uid` names the unit in the marks. Occurrences in `apart` stand alone, although the plan would
    leave them in their series. Raises `UnmappableError` if nothing shows the event.
    """
    if not event.recurring:
        zoning = dialect.written_in(event.when, mailbox)
        fields = dialect.encode(event.details, event.when, zoning)
        mark = Mark(generation=generation, zoning=zoning, at=now)
        return (Draft(part=MAIN, fields=fields, mark=mark, when=event.when),)
    planned = plan(event, EWS, now)
    items = _apart(event, planned, apart)
    if not items:
        code, _, detail = (planned.reason or "EMPTY: the series has no occurrence").partition(": ")
        raise UnmappableError(code, detail)
    made = [_draft(event, item, mailbox, now, generation, uid) for item in items]
    wrote = digests(event.details) if len(planned.parts) > 1 else ""
    return tuple(
        replace(
            draft,
            part=draft.part if number else MAIN,
            mark=replace(
                draft.mark,
                items=len(made),
                main=not number,
                wrote=wrote if draft.pattern is not None else "",
            ),
        )
        for number, draft in enumerate(made)
    )


def _apart(event: Event, planned: Plan, keys: Collection[Key]) -> list[Part | Single]:
    """The items of a plan, with these occurrences taken out of their series. Exchange holds no
    series of which nothing is left."""
    parts: list[Part] = []
    alone: list[Key] = []
    for part in planned.parts:
        taken = [key for key in keys if key not in part.deletions and _shows(part, key)]
        alone += taken
        kept = tuple(item for item in part.overrides if item.key not in keys)
        gone = tuple(sorted({*part.deletions, *taken}))
        if not _emptied(part, gone):
            parts.append(replace(part, deletions=gone, overrides=kept))
    singles = single_events(rebase(event), sorted(alone), frozenset())
    return [*parts, *planned.singles, *singles]


def _emptied(part: Part, gone: Collection[Key]) -> bool:
    """True if all occurrences of the part's pattern are removed."""
    assert not isinstance(part.pattern, Rule)
    first = clock_of(part.when.start).date()
    removed = {key[:10] for key in gone}
    dates = expand_pattern(part.pattern, part.bounds, first)
    return bool(gone) and all(day.isoformat() in removed for day in dates)


def _shows(part: Part, key: Key) -> bool:
    """True if the part's pattern has that occurrence."""
    assert not isinstance(part.pattern, Rule)
    clock, start = clock_at(key, part.when), clock_of(part.when.start)
    found = _place(part.pattern, part.bounds, start.date(), clock.date())
    return found is not None and clock.time() == start.time()


def _draft(
    event: Event, item: Part | Single, mailbox: str, now: datetime, generation: int, uid: str
) -> Draft:
    origin = origin_of(event, item, uid, zones.DATA_VERSION)
    if isinstance(item, Single):
        zoning = dialect.written_in(item.when, mailbox)
        fields = dialect.encode(item.details, item.when, zoning)
        mark = Mark(generation=generation, zoning=zoning, at=now, origin=origin)
        return Draft(part=item.key, fields=fields, mark=mark, when=item.when)
    assert not isinstance(item.pattern, Rule)
    zoning = dialect.written_in(item.when, mailbox, item.zone)
    recurring = (item.pattern, item.bounds, clock_of(item.when.start).date())
    return Draft(
        part=item.key,
        fields=dialect.encode(event.details, item.when, zoning, recurring),
        mark=Mark(generation=generation, zoning=zoning, at=now, origin=origin),
        when=item.when,
        pattern=item.pattern,
        bounds=item.bounds,
        deletions=item.deletions,
        overrides=item.overrides,
    )


def standing(event: Event, item: Held, *, mailbox: str) -> Draft | None:
    """What an item that lies before the window of the plan is to be: a single event that stands
    for an occurrence, or one of the series of a rule that is written piece by piece. None if it
    is none of that kind, or no longer takes place."""
    mark, origin = item.mark, item.mark.origin if item.mark else None
    if mark is None or origin is None:
        return None
    key = origin.occurrence
    if key is None:
        planned = plan(event, EWS, _since(item.event.when, mailbox))
        part = next((part for part in planned.parts if part.key == origin.part), None)
        if part is None or planned.rolling is None:
            return None
        made = _draft(event, part, mailbox, mark.at, mark.generation, origin.uid)
        wrote = digests(event.details) if mark.wrote else ""
        return replace(made, mark=replace(made.mark, items=mark.items, wrote=wrote))
    override = event.overrides_by_key.get(key)
    if not is_member(event, key) if override is None else override.cancelled:
        return None
    single = Single(
        key=origin.part,
        occurrence=key,
        when=(override and override.when) or recurrence.when_of(event, key),
        details=(override and override.details) or event.details,
    )
    return _draft(event, single, mailbox, mark.at, mark.generation, origin.uid)


def _since(when: When, mailbox: str) -> datetime:
    if isinstance(when.start, datetime):
        return zones.start_instant(when)
    return zones.instant(clock_of(when.start), mailbox)


def rolling(marks: Sequence[Mark]) -> bool:
    """True if these may be the marks of an endless series that is written piece by piece: by
    segments, or by single events in a window that moves on."""
    origins = [mark.origin for mark in marks if mark.origin and mark.origin.rule]
    endless = [each for each in origins if "UNTIL=" not in each.rule and "COUNT=" not in each.rule]
    return any("SEG:" in each.part or each.occurrence is not None for each in endless)


def outdated(marks: Sequence[Mark]) -> bool:
    """True if zones were chosen by other zone data than ours."""
    origins = (mark.origin for mark in marks)
    return any(origin.tzdata != zones.DATA_VERSION for origin in origins if origin)


def part_of(mark: Mark | None) -> str:
    """The place of an item in its unit."""
    if mark is None or mark.main or mark.origin is None:
        return MAIN
    return mark.origin.part


def held(
    shown: Shown, mark: Mark | None, overrides: Sequence[Override], pending: Pending | None = None
) -> Held:
    """An item together with its changed occurrences. What is pending gives way to what a person
    has changed meanwhile."""
    event = shown.event
    kept = {} if pending is None else pending.all()
    kept |= {item.key: item for item in (*event.overrides, *overrides)}
    event = recurrence.tidy(replace(event, overrides=tuple(kept.values())))
    return Held(shown=shown, event=event, mark=mark, pending=pending)


def index_of(item: Shown, key: Key) -> int | None:
    """The place of an occurrence in its item's pattern, from 1, removed ones counted."""
    assert item.pattern is not None
    assert item.bounds is not None
    start = clock_of(item.event.when.start).date()
    return _place(item.pattern, item.bounds, start, date.fromisoformat(key[:10]))


def _place(pattern: Pattern, bounds: Range, start: date, day: date) -> int | None:
    for number, found in enumerate(expand_pattern(pattern, bounds, start), start=1):
        if found == day:
            return number
        if found > day:
            return None
    return None
