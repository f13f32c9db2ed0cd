"""The mark on every copy that says which series it belongs to, and the series put together again.

The rule itself travels with each part, because several parts, or a part and its deletions, do
not tell what rule they came from.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from mappings.errors import UnmappableError
from mappings.model import Details, Event, Key, Override, When
from mappings.occurrences import when_of
from mappings.patterns.pins import as_ruled
from mappings.patterns.planner import plan
from mappings.patterns.profile import Profile
from mappings.patterns.result import Part, Single
from mappings.recurrence import format_rule, parse_rule
from mappings.series import rebase, tidy

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a copy comes from.

    `uid` names the series, `part` the part or single within its plan, `occurrence` the member for
    which a single stands. `rule`, `first` and `rdates` are the series' own; `tzdata` is the
    version of the zone data with which the plan was made.
    """

    uid: str
    part: str
    rule: str
    first: When
    rdates: tuple[Key, ...] = ()
    occurrence: Key | None = None
    tzdata: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """One object at the target with its mark, and what it shows, in the canonical model."""

    origin: Origin
    event: Event


@dataclass(frozen=True, slots=True)
class Joined:
    """The series as its copies show it. `missing` = parts of the plan that have no copy;
    `differing` = parts whose time or details are no longer those of the series."""

    event: Event
    missing: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()


def origin_of(event: Event, item: Part | Single, uid: str, tzdata: str) -> Origin:
    """The mark for a part or single of the event's plan."""
    event = rebase(event)
    return Origin(
        uid=uid,
        part=item.key,
        rule=format_rule(event.rule, event.when, count=True) if event.rule else "",
        first=event.when,
        rdates=event.rdates,
        occurrence=item.occurrence if isinstance(item, Single) else None,
        tzdata=tzdata,
    )


def write_origin(origin: Origin) -> str:
    """The mark as one line of JSON, ASCII only."""
    first = origin.first
    payload = {
        "v": _VERSION,
        "u": origin.uid,
        "p": origin.part,
        "r": origin.rule,
        "s": first.key,
        "d": int(first.duration.total_seconds()),
        "z": first.zone,
        "e": first.end_zone,
        "f": first.fold,
        "x": list(origin.rdates),
        "k": origin.occurrence,
        "t": origin.tzdata,
    }
    kept = {name: value for name, value in payload.items() if value or name in "vups"}
    return json.dumps(kept, separators=(",", ":"))


def read_origin(text: str) -> Origin | None:
    """The mark that was written, None if it is none of ours or damaged."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or found.get("v") != _VERSION:
            return None
        start = str(found["s"])
        timed = len(start) > 10
        return Origin(
            uid=str(found["u"]),
            part=str(found["p"]),
            rule=str(found.get("r", "")),
            first=When(
                start=datetime.fromisoformat(start) if timed else date.fromisoformat(start),
                duration=timedelta(seconds=int(found.get("d", 0))),
                zone=found.get("z"),
                end_zone=found.get("e"),
                fold=int(found.get("f", 0)),
            ),
            rdates=tuple(Key(str(key)) for key in found.get("x", ())),
            occurrence=Key(str(found["k"])) if found.get("k") else None,
            tzdata=str(found.get("t", "")),
        )
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def join(
    copies: Sequence[Copy],
    profile: Profile,
    now: datetime,
    *,
    preferred: Sequence[str] = (),
    known: Collection[str] | None = None,
) -> Joined | None:
    """The series of which these are all the copies; None if their marks do not fit together.

    Profile, `now` and zones as for `plan`.

    What the plan itself deletes is no cancellation; what is deleted beyond it, and a single that
    should be there and is not, is one. Overrides and singles that differ become overrides.
    """
    if len({(copy.origin.uid, copy.origin.rule, copy.origin.first) for copy in copies}) != 1:
        return None
    copies = sorted(copies, key=lambda copy: (copy.origin.occurrence or "", copy.origin.part))
    origin = copies[0].origin
    try:
        rule = parse_rule(origin.rule, origin.first)
    except UnmappableError:
        return None
    base = Event(
        details=_details(copies),
        when=origin.first,
        rule=rule,
        rdates=origin.rdates,
        uid=copies[0].event.uid,
    )
    planned = plan(base, profile, now, preferred=preferred, known=known)
    parts = {part.key: part for part in planned.parts}
    overrides: dict[Key, Override] = {}
    differing = []
    for copy in copies:
        occurrence = copy.origin.occurrence
        if occurrence is not None:
            when = as_ruled(copy.event.when, when_of(base, occurrence))
            overrides[occurrence] = Override(key=occurrence, details=copy.event.details, when=when)
            continue
        part = parts.pop(copy.origin.part, None)
        if part is None and planned.rolling:
            part = _earlier(base, copy, profile, now)
        if part is None:
            differing.append(copy.origin.part)
            continue
        if copy.event.when != part.when or copy.event.details != base.details:
            differing.append(part.key)
        removed = set(part.deletions)
        overrides |= {
            item.key: item
            for item in copy.event.overrides
            if not (item.cancelled and item.key in removed)
        }
    for single in planned.singles:
        overrides.setdefault(single.occurrence, Override(key=single.occurrence, cancelled=True))
    event = Event(
        details=base.details,
        when=base.when,
        rule=rule,
        rdates=base.rdates,
        overrides=tuple(overrides.values()),
        uid=base.uid,
    )
    return Joined(tidy(event), tuple(parts), tuple(differing))


def _details(copies: Sequence[Copy]) -> Details:
    """The series' own, of copies in order: those of its first part. A series of which only singles
    stand is what most of them show."""
    shown = [copy.event.details for copy in copies]
    if copies[0].origin.occurrence is None:
        return shown[0]
    return max(shown, key=shown.count)


def _earlier(base: Event, copy: Copy, profile: Profile, now: datetime) -> Part | None:
    """A part that the plan of a rolling series had when its days were ahead."""
    start = copy.event.when.start
    clock = start if isinstance(start, datetime) else datetime.combine(start, time())
    planned = plan(base, profile, min(now, clock.replace(tzinfo=UTC)))
    return next((part for part in planned.parts if part.key == copy.origin.part), None)
