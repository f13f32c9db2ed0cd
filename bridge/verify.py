"""Compares both sides of a link by what a person would see, independently of what we remember.

Both providers are asked to expand their calendars themselves; neither our own expansion nor the
shadows take part. The ID map is used only to leave out what the bridge does not look after.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from bridge.decision import Rules
from bridge.records import WHOLE, Link, Restored, Side, Unit, UnitState
from bridge.store import Store
from connectors.contract import Connector, Whole
from mappings import richtext
from mappings.model import Details, Event, Occurrence, When
from mappings.projection import project

PAST = timedelta(days=60)
FUTURE = timedelta(days=400)


@dataclass(slots=True)
class Comparison:
    """The result for one link. Each difference is a JSON object for people and programs.

    `known` are those that an undo made on purpose; they need nobody.
    """

    link: str
    units: int = 0
    occurrences: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)
    known: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The link's line in `verify --json`."""
        return {
            "link": self.link,
            "units": self.units,
            "occurrences": self.occurrences,
            "differences": self.differences,
            "known": self.known,
        }


def verify(
    link: Link,
    rules: Rules,
    connectors: Mapping[Side, Connector],
    store: Store,
    now: datetime,
    *,
    past: timedelta = PAST,
    future: timedelta = FUTURE,
) -> Comparison:
    """Compare the link's calendars from `now - past` to `now + future`, within its window."""
    since = max(filter(None, (now - past, rules.since)))
    until = min(filter(None, (now + future, rules.until)))
    tended = _tended(link, store)
    orphans = list(_orphans(link, connectors[Side.B], store))
    strays = {orphan["unit"] for orphan in orphans}
    result = Comparison(link.name, units=sum(unit.ref_a is not None for unit in tended.values()))
    by_ref = {
        side: {ref: unit for unit in tended.values() if (ref := unit.ref(side))} for side in Side
    }
    raw: dict[Side, _Boxes] = {side: defaultdict(list) for side in Side}
    projected: dict[Side, _Boxes] = {side: defaultdict(list) for side in Side}
    for side in Side:
        calendar = link.endpoint(side).calendar
        for ref, occurrence in connectors[side].occurrences(calendar, since, until):
            unit = by_ref[side].get(ref)
            if unit is None and (ref in strays or not rules.writes(side.other)):
                continue
            if _at_the_edge(occurrence, since, until):
                continue
            box = unit.id if unit else f"{side.value}:{ref}"
            raw[side][box].append(_face(occurrence))
            projected[side][box] += _projected(occurrence, rules, side.other)
    result.occurrences = sum(map(len, projected[Side.A].values()))
    for box in sorted(set().union(*projected.values(), *raw.values())):
        unit = tended.get(box)
        mark = unit.restored if unit else None
        for difference in _differing(box, unit, raw, projected):
            if mark is not None and _on_purpose(difference, mark):
                told = f"restored by undo of run {mark.run}"
                result.known.append({**difference, "why": told})
            else:
                result.differences.append(difference)
    result.differences.extend(orphans)
    return result


def _at_the_edge(occurrence: Occurrence, since: datetime, until: datetime) -> bool:
    """Whether it depends on the zone in which somebody looks if an all-day event is compared."""
    start, end, day = occurrence.start, occurrence.end, timedelta(days=1)
    if isinstance(start, datetime):
        return False
    return end <= (since + day).date() or start >= (until - day).date()


def _differing(
    box: str,
    unit: Unit | None,
    raw: Mapping[Side, "_Boxes"],
    projected: Mapping[Side, "_Boxes"],
) -> list[dict[str, Any]]:
    """How a unit's sides differ: a copy from what its original is to look like there, people's own
    events from each other. What waits for a person or is left alone may differ."""
    if unit is not None and unit.state is not UnitState.LIVE:
        return []
    if unit is not None and unit.home is None and not _ours(unit):
        return []  # an invitation, kept the same by its organiser
    home = unit.home if unit else Side(box[0])
    ways = [
        _compare(
            box,
            (projected if source is Side.A else raw)[Side.A].get(box, []),
            (projected if source is Side.B else raw)[Side.B].get(box, []),
        )
        for source in ([home] if home else Side)
    ]
    return min((list(way) for way in ways), key=len)


def _ours(unit: Unit) -> bool:
    """Whether the account may write both copies."""
    return all(copy is None or copy.organized for copy in (unit.a, unit.b))


SCHEDULING = {"schedule", "when", "exists"}


def _on_purpose(difference: Mapping[str, Any], restored: Restored) -> bool:
    """Whether an undo explains a difference: it put back that field, or the time."""
    if WHOLE in restored.paths:
        return True
    put_back = {path[-1] for path in restored.paths}
    if difference["what"] != "different":
        return bool(put_back & SCHEDULING)
    return {item["field"] for item in difference["fields"]} <= put_back


def _orphans(link: Link, connector: Connector, store: Store) -> Iterator[dict[str, Any]]:
    """Copies that carry a bridge's mark although no link to that calendar knows them."""
    known = {
        ref
        for other in store.links()
        for side in Side
        if other.endpoint(side) == link.b
        for ref, _unit in store.refs(other.id, side)
    }
    for page in connector.changes(link.b.calendar, None):
        for change in page.changes:
            if isinstance(change, Whole) and change.copy.origin and change.ref not in known:
                title = change.copy.event.details.title
                yield {"unit": change.ref, "what": "orphaned copy on b", "title": title}


def _tended(link: Link, store: Store) -> dict[str, Unit]:
    """Everything the link looks after, by unit id."""
    return {unit.id: unit for unit in store.units(link.id) if unit.state is not UnitState.DONE}


Face = tuple[str, str, str, str, str, str]
"""What a person sees of an occurrence: start, end, title, place, text, busy or free."""

_Boxes = dict[str, list[Face]]
"""Faces by unit id, or by side and ref where no unit knows the event."""

NAMES = ("start", "end", "title", "location", "description", "busy")


def _projected(occurrence: Occurrence, rules: Rules, target: Side) -> Iterator[Face]:
    """The face that the other side should show for an occurrence; nothing if filtered out."""
    event = _as_event(occurrence)
    projection = project(event, rules.policy, rules.limits[target])
    if projection.event is not None:
        details = projection.event.details
        yield _face(Occurrence(start=occurrence.start, end=occurrence.end, details=details))


def _as_event(occurrence: Occurrence) -> Event:
    start = occurrence.start
    zone = "UTC" if isinstance(start, datetime) else None
    if isinstance(start, datetime):
        start = start.replace(tzinfo=None)
    when = When(start=start, duration=occurrence.duration, zone=zone)
    return Event(details=occurrence.details, when=when)


def _face(occurrence: Occurrence) -> Face:
    details: Details = occurrence.details
    return (
        _point(occurrence.start),
        _point(occurrence.end),
        details.title,
        details.location.name if details.location else "",
        " ".join(richtext.to_text(details.description).split()),
        details.busy.value,
    )


def _point(value: datetime | date) -> str:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value.isoformat()


def _compare(unit: str, a: Iterable[Face], b: Iterable[Face]) -> Iterator[dict[str, Any]]:
    """Occurrences are matched by start and end first, so that a changed title is one difference
    and not a missing and a superfluous occurrence."""
    left, right = sorted(a), sorted(b)
    for face in list(left):
        if face in right:
            left.remove(face)
            right.remove(face)
    for face in left:
        twin = next((other for other in right if other[:2] == face[:2]), None)
        if twin is None:
            yield {"unit": unit, "what": "only on a", **dict(zip(NAMES, face, strict=True))}
            continue
        right.remove(twin)
        fields = [
            {"field": name, "a": mine, "b": theirs}
            for name, mine, theirs in zip(NAMES, face, twin, strict=True)
            if mine != theirs
        ]
        yield {"unit": unit, "what": "different", "start": face[0], "title": face[2],
               "fields": fields}  # fmt: skip
    for face in right:
        yield {"unit": unit, "what": "only on b", **dict(zip(NAMES, face, strict=True))}
