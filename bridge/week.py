"""Both calendars of a link laid over each other for a span of time, from what each side last
showed. No provider is asked; what `verify` compares at the providers is compared here at a glance.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from bridge.decision import Rules
from bridge.records import Side, Unit, UnitState
from connectors.contract import Copy
from mappings.model import Event, Occurrence
from mappings.occurrences import expand
from mappings.projection import project

_REACH = timedelta(days=31)
"""No single event is longer than that; what is, is looked at more closely."""


class Verdict(StrEnum):
    """`SAME` on both sides. `DIFFERS`, `ONLY_A`, `ONLY_B`: not as the link wants it.

    `APART`: not on the other side, and not meant to be: filtered, parked, or left alone.
    """

    SAME = "same"
    DIFFERS = "differs"
    ONLY_A = "only-a"
    ONLY_B = "only-b"
    APART = "apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One occurrence as a calendar shows it. `a` and `b` are what each side shows there; `fields`
    names what differs, `why` says why it stands apart."""

    unit: str
    verdict: Verdict
    a: Occurrence | None
    b: Occurrence | None
    fields: tuple[str, ...] = ()
    why: str = ""

    @property
    def shown(self) -> Occurrence:
        """Where to draw it."""
        found = self.a or self.b
        assert found is not None
        return found


def overlay(units: Iterable[Unit], rules: Rules, since: datetime, until: datetime) -> list[Box]:
    """Everything that happens in the aware span [since, until), by start."""
    boxes = [box for unit in units for box in _boxes(unit, rules, since, until)]
    return sorted(boxes, key=lambda box: (str(box.shown.start), box.shown.details.title, box.unit))


def _boxes(unit: Unit, rules: Rules, since: datetime, until: datetime) -> Iterator[Box]:
    if unit.state is UnitState.DONE or not any(
        _near(copy.event, since, until) for copy in (unit.a, unit.b) if copy
    ):
        return
    a, b = (list(expand(copy.event, since, until)) if copy else [] for copy in (unit.a, unit.b))
    apart = _apart(unit, rules)
    if apart:
        for here, there in _pairs(a, b):
            yield Box(unit=unit.id, verdict=Verdict.APART, a=here, b=there, why=apart)
        return
    wanted_a, wanted_b = _wanted(unit, rules, since, until, a, b)
    for here, there in _pairs(wanted_a, wanted_b):
        yield _judged(unit, here, there)


def _near(event: Event, since: datetime, until: datetime) -> bool:
    """False if it certainly does not happen then. Cheap, because it is asked of every event."""
    if event.recurring:
        return True
    day = str(event.when.start)[:10]
    longer = max(_REACH, event.when.duration)
    return (since - longer).date().isoformat() <= day <= (until + _REACH).date().isoformat()


def _apart(unit: Unit, rules: Rules) -> str:
    """Why the sides need not show the same, empty if they must."""
    if unit.state is not UnitState.LIVE:
        return unit.state.value
    if unit.restored is not None:
        return "restored by undo"
    if unit.a is not None and unit.b is not None:
        return ""
    side = Side.A if unit.a is not None else Side.B
    copy = unit.copy(side)
    if copy is None or not rules.writes(side.other) or _projected(copy, rules, side.other) is None:
        return "left out"
    return ""


def _projected(copy: Copy, rules: Rules, target: Side) -> Event | None:
    """What the other side is to show for it."""
    return project(copy.event, rules.policy, rules.limits[target]).event


def _wanted(
    unit: Unit,
    rules: Rules,
    since: datetime,
    until: datetime,
    a: list[Occurrence],
    b: list[Occurrence],
) -> tuple[list[Occurrence], list[Occurrence]]:
    """Both sides, the original as its copy is to look like."""
    source = unit.copy(unit.home) if unit.home else None
    if source is None or unit.home is None:
        return a, b
    event = _projected(source, rules, unit.home.other)
    meant = list(expand(event, since, until)) if event else []
    return (meant, b) if unit.home is Side.A else (a, meant)


def _pairs(
    a: list[Occurrence], b: list[Occurrence]
) -> Iterator[tuple[Occurrence | None, Occurrence | None]]:
    """Occurrences that belong together: at the same time, else with the same key."""
    rest = list(b)
    alone = []
    for here in a:
        twin = next((o for o in rest if (o.start, o.end) == (here.start, here.end)), None)
        if twin is None:
            alone.append(here)
        else:
            rest.remove(twin)
            yield here, twin
    for here in alone:
        twin = next((o for o in rest if o.key is not None and o.key == here.key), None)
        if twin is None and len(alone) == len(rest) == 1 and here.key is None:
            twin = rest[0]
        if twin is not None:
            rest.remove(twin)
        yield here, twin
    for there in rest:
        yield None, there


def _judged(unit: Unit, a: Occurrence | None, b: Occurrence | None) -> Box:
    if a is None or b is None:
        verdict = Verdict.ONLY_A if b is None else Verdict.ONLY_B
        return Box(unit=unit.id, verdict=verdict, a=a, b=b)
    fields = tuple(_differing(a, b, thorough=unit.home is not None))
    verdict = Verdict.DIFFERS if fields else Verdict.SAME
    return Box(unit=unit.id, verdict=verdict, a=a, b=b, fields=fields)


def _differing(a: Occurrence, b: Occurrence, *, thorough: bool) -> Iterator[str]:
    """The fields that a person would see to differ. Two people's own events may differ in more
    than time and title."""
    if (a.start, a.end) != (b.start, b.end):
        yield "when"
    if a.details.title != b.details.title:
        yield "title"
    if thorough and _place(a) != _place(b):
        yield "location"
    if thorough and a.details.busy is not b.details.busy:
        yield "busy"


def _place(occurrence: Occurrence) -> str:
    return occurrence.details.location.name if occurrence.details.location else ""


def days(zone_day: date) -> list[date]:
    """The seven days of the week of a day, Monday first (ISO 8601)."""
    monday = zone_day - timedelta(days=zone_day.weekday())
    return [monday + timedelta(days=number) for number in range(7)]
