"""Compares both sides of a link by what a person would see, independently of what we remember.

Both providers are asked to expand their calendars themselves; neither our own expansion nor the
shadows take part. The ID map is used only to leave out what the bridge does not look after.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from bridge.reconcile import Rules
from bridge.records import WHOLE, Link, Restored, Side, UnitState
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
    result = Comparison(link.name, units=len(tended[Side.A]))
    here: dict[Side, dict[str, list[Any]]] = {}
    for side in Side:
        calendar = link.endpoint(side).calendar
        boxes: dict[str, list[Any]] = defaultdict(list)
        for ref, occurrence in connectors[side].occurrences(calendar, since, until):
            unit = tended[side].get(ref)
            if side is Side.A:
                for face in _projected(occurrence, rules):
                    boxes[unit or f"a:{ref}"].append(face)
            elif unit is not None:
                boxes[unit].append(_face(occurrence))
        here[side] = boxes
    result.occurrences = sum(map(len, here[Side.A].values()))
    parked = {
        unit.id
        for state in (UnitState.PARKED, UnitState.DROPPED)
        for unit in store.units(link.id, state=state)
    }
    restored = {unit.id: unit.restored for unit in store.restored_units(link.id)}
    for unit in sorted(here[Side.A].keys() | here[Side.B].keys()):
        if unit in parked:
            continue
        a, b = here[Side.A].get(unit, []), here[Side.B].get(unit, [])
        for difference in _compare(unit, a, b):
            mark = restored.get(unit)
            if mark is not None and _on_purpose(difference, mark):
                told = f"restored by undo of run {mark.run}"
                result.known.append({**difference, "why": told})
            else:
                result.differences.append(difference)
    result.differences.extend(_orphans(link, connectors[Side.B], store))
    return result


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


def _tended(link: Link, store: Store) -> dict[Side, dict[str, str]]:
    """ref -> unit id, per side, of everything the link looks after."""
    return {side: dict(store.refs(link.id, side)) for side in Side}


Face = tuple[str, str, str, str, str, str]
"""What a person sees of an occurrence: start, end, title, place, text, busy or free."""

NAMES = ("start", "end", "title", "location", "description", "busy")


def _projected(occurrence: Occurrence, rules: Rules) -> Iterator[Face]:
    """The face that side B should show for an occurrence of side A; nothing if filtered out."""
    event = _as_event(occurrence)
    projection = project(event, rules.policy, rules.limits[Side.B])
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
            yield {"unit": unit, "what": "missing on b", **dict(zip(NAMES, face, strict=True))}
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
        yield {"unit": unit, "what": "superfluous on b", **dict(zip(NAMES, face, strict=True))}
