"""Why an event is as it is: everything that is known of one unit, as a value to be shown.

`look` asks both providers; all the rest is pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bridge.decision import GONE, Rules, Seen
from bridge.reconcile import decide
from bridge.records import WHOLE, JournalEntry, Link, LinkState, Op, Side, Unit, UnitState
from bridge.travel import difference
from bridge.wording import field_words
from connectors.contract import Connector, Copy, HasAddresses, HoldsOtherwise, fetch_again
from connectors.errors import ConnectorError
from mappings import jsonform, merge, richtext
from mappings.errors import UnmappableError
from mappings.model import Attachment, Attendee, Event, Location, Loss, Person, When
from mappings.projection import project
from mappings.rule_words import in_words

Sight = Seen | str
"""What a side showed when it was asked, or in words why that is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideView:
    """The unit on one side. `last` is when and what it last showed to the bridge, `now` what it
    shows at this moment in words: `as last seen`, `changed: title`, `gone`, or a fault."""

    side: Side
    connector: str
    account: str
    calendar: str
    ref: str | None
    title: str
    when: str
    address: str | None
    ours: bool
    now: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldView:
    """One field on both sides, short. `differs`: not explained by what the link carries."""

    name: str
    a: str
    b: str
    differs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """One thing that happened. `fields` names what changed, `lost` what was overruled."""

    at: datetime
    run: int
    side: Side | None
    op: str
    cause: str
    title: str
    fields: tuple[str, ...]
    lost: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One unit. `state` and `next` are sentences for people."""

    link: str
    unit: str
    title: str
    state: str
    sides: tuple[SideView, ...]
    fields: tuple[FieldView, ...]
    losses: tuple[str, ...]
    decisions: tuple[DecisionView, ...]
    next: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For `explain --json`."""
        return {
            "link": self.link,
            "unit": self.unit,
            "title": self.title,
            "state": self.state,
            "sides": {
                side.side.value: {
                    "connector": side.connector,
                    "account": side.account,
                    "calendar": side.calendar,
                    "ref": side.ref,
                    "title": side.title,
                    "when": side.when,
                    "address": side.address,
                    "ours": side.ours,
                    "now": side.now,
                }
                for side in self.sides
            },
            "fields": [
                {"field": item.name, "a": item.a, "b": item.b, "differs": item.differs}
                for item in self.fields
            ],
            "losses": list(self.losses),
            "decisions": [decision_json(item) for item in self.decisions],
            "next": list(self.next),
        }


def decision_json(item: DecisionView) -> dict[str, Any]:
    """One thing that happened, for `explain --json` and `journal --json`."""
    return {
        "at": item.at.isoformat(timespec="seconds"),
        "run": item.run,
        "side": item.side.value if item.side else None,
        "op": item.op,
        "cause": item.cause,
        "title": item.title,
        "fields": list(item.fields),
        "lost": dict(item.lost),
    }


def look(link: Link, unit: Unit, connectors: Mapping[Side, Connector]) -> dict[Side, Sight]:
    """What both sides show of the unit now. One question each; a fault is told, not raised."""
    seen: dict[Side, Sight] = {}
    for side in Side:
        ref, shadow = unit.ref(side), unit.copy(side)
        if ref is None:
            continue
        try:
            copy = fetch_again(connectors[side], link.endpoint(side).calendar, ref, shadow)
        except ConnectorError as error:
            seen[side] = error.message
        except UnmappableError as error:
            seen[side] = f"{error.code}: {error.detail}"
        else:
            seen[side] = copy or GONE
    return seen


def explain(
    link: Link,
    unit: Unit,
    rules: Rules,
    entries: Iterable[JournalEntry],
    connectors: Mapping[Side, Connector],
    seen: Mapping[Side, Sight] | None,
) -> Explanation:
    """The explanation. `entries` are the unit's last ones, oldest first; `seen` comes from `look`,
    None = nobody was asked. Of `connectors` only addresses are wanted: no calls."""
    a, b = (_now(unit, side, seen) for side in Side)
    shown = a or b
    return Explanation(
        link=link.name,
        unit=unit.id,
        title=shown.event.details.title if shown else "",
        state=_state(unit),
        sides=tuple(_side(link, unit, side, connectors[side], seen) for side in Side),
        fields=_fields(unit, a, b, rules),
        losses=tuple(f"{loss.field}: {loss.detail}" for loss in _losses(unit, a, b, connectors)),
        decisions=tuple(map(decision_view, entries)),
        next=_next(link, unit, rules, seen),
    )


def _losses(
    unit: Unit, a: Copy | None, b: Copy | None, connectors: Mapping[Side, Connector]
) -> Iterator[Loss]:
    """What the copy's side cannot hold, or holds in another shape."""
    yield from unit.losses
    for side, copy in ((Side.A, a), (Side.B, b)):
        connector = connectors[side]
        if copy is not None and side is not unit.home and isinstance(connector, HoldsOtherwise):
            yield from connector.shortcomings(copy.event)


def decision_view(entry: JournalEntry) -> DecisionView:
    """A journal entry with what it changed."""
    fields: tuple[str, ...] = ()
    if entry.before is not None and entry.after is not None:
        before, after = (jsonform.event_from_json(item) for item in (entry.before, entry.after))
        fields = tuple(sorted({path[-1] for path in merge.changes(before, after)}))
    return DecisionView(
        at=entry.at,
        run=entry.run_id,
        side=entry.side,
        op=entry.op,
        cause=entry.cause,
        title=entry.title,
        fields=fields,
        lost=entry.lost or {},
    )


# -- the pair --------------------------------------------------------------------------------------


def _now(unit: Unit, side: Side, seen: Mapping[Side, Sight] | None) -> Copy | None:
    """The copy to show: as it is now if that is known, else as it was last seen."""
    sight = (seen or {}).get(side)
    if sight is GONE:
        return None
    return sight if isinstance(sight, Copy) else unit.copy(side)


def _side(
    link: Link,
    unit: Unit,
    side: Side,
    connector: Connector,
    seen: Mapping[Side, Sight] | None,
) -> SideView:
    end, ref, copy = link.endpoint(side), unit.ref(side), _now(unit, side, seen)
    address = None
    if copy is not None and isinstance(connector, HasAddresses):
        address = connector.address_of(end.calendar, copy.ref)
    return SideView(
        side=side,
        connector=end.connector,
        account=end.account,
        calendar=end.calendar,
        ref=ref,
        title=copy.event.details.title if copy else "",
        when=when_text(copy.event) if copy else "",
        address=address,
        ours=ref is not None and unit.home is side.other,
        now=_sight_text(unit, side, seen),
    )


def _sight_text(unit: Unit, side: Side, seen: Mapping[Side, Sight] | None) -> str:
    shadow = unit.copy(side)
    if unit.ref(side) is None:
        return "does not stand there"
    if seen is None:
        return "not asked" if shadow else "gone or unreadable when last seen; not asked"
    match seen.get(side):
        case str() as fault:
            return f"cannot be read: {fault}"
        case Copy(event=event) if shadow is not None:
            fields = sorted({path[-1] for path in merge.changes(shadow.event, event)})
            return f"changed since: {field_words(fields)}" if fields else "as last seen"
        case Copy():
            return "stands there"
        case _:
            return "gone"


def _fields(unit: Unit, a: Copy | None, b: Copy | None, rules: Rules) -> tuple[FieldView, ...]:
    here, there = (_values(copy.event) if copy else {} for copy in (a, b))
    _unmark(here, there)
    names = [name for name in {**here, **there} if here.get(name) or there.get(name)]
    differing: set[str] = set()
    if a is not None and b is not None:
        source, target = (b, a) if unit.home is Side.B else (a, b)
        side = Side.A if unit.home is Side.B else Side.B
        wanted = project(source.event, rules.policy, rules.limits[side]).event
        found = difference(target.event, wanted, side, rules) if wanted else {}
        differing = {path[0] if len(path) == 1 else "exceptions" for path in found}
    return tuple(
        FieldView(
            name=name,
            a=here.get(name, ""),
            b=there.get(name, ""),
            differs=(("schedule" if name in ("when", "repeats") else name) in differing),
        )
        for name in names
    )


def _values(event: Event) -> dict[str, str]:
    values = {
        "title": event.details.title,
        "when": when_text(replace(event, rule=None, rdates=())),
        "repeats": _rule_text(event),
        "exceptions": ", ".join(
            f"{item.key} cancelled" if item.cancelled else f"{item.key} changed"
            for item in event.overrides
        ),
    }
    for name in merge.DETAIL_FIELDS:
        if name != "title":
            values[name] = _told(getattr(event.details, name))
    values["reminders"] = ", ".join(map(_reminder, event.details.reminders or ()))
    return values


def _unmark(here: dict[str, str], there: dict[str, str]) -> None:
    """Descriptions as people read them, unless their markup is all that differs."""
    ours, theirs = (values.get("description", "") for values in (here, there))
    if ours == theirs or richtext.to_text(ours) != richtext.to_text(theirs):
        for values in (here, there):
            if "description" in values:
                values["description"] = richtext.to_text(values["description"])


def _reminder(minutes: int) -> str:
    return f"{abs(minutes)} min {'before' if minutes >= 0 else 'after'}"


def when_text(event: Event) -> str:
    """When an event takes place, for people: start, zone, length, rule."""
    when = event.when
    return "; ".join(filter(None, (_point(when), _rule_text(event))))


def _point(when: When) -> str:
    if when.all_day:
        days = when.duration // timedelta(days=1)
        return f"{when.start} all day" + (f", {days} days" if days > 1 else "")
    start = str(when.start)[:16]
    return f"{start} {when.zone}, {when.duration // timedelta(minutes=1)} min"


def _rule_text(event: Event) -> str:
    parts = [in_words(event.rule)] if event.rule else []
    if event.rdates:
        parts.append(f"also on {', '.join(event.rdates)}")
    return "; ".join(parts)


def _told(value: Any) -> str:
    match value:
        case None | "" | () | False:
            return ""
        case Location():
            return ", ".join(filter(None, (value.name, value.address)))
        case Person():
            return value.name or value.email or "somebody"
        case Attendee():
            return _told(value.person)
        case Attachment():
            return value.name
        case tuple():
            return ", ".join(map(_told, value))
        case _:
            return str(value)


# -- how it fares ----------------------------------------------------------------------------------


def _state(unit: Unit) -> str:
    match unit.state:
        case UnitState.PARKED:
            why = f"parked: {unit.error_code}: {unit.error}"
            if unit.retry_at is not None:
                return f"{why}; tried again at {unit.retry_at.isoformat(timespec='seconds')}"
            return f"{why}; change the event so that it can be carried, or {advice(unit)}"
        case UnitState.DROPPED:
            return f"left alone for good: {unit.error}; `calbridge parked retry` takes it back"
        case UnitState.DONE:
            return "deleted on both sides; remembered so that nothing brings it back"
        case _ if unit.restored is not None:
            names = sorted({path[-1] for path in unit.restored.paths - {WHOLE}})
            what = "the event" if WHOLE in unit.restored.paths else ", ".join(names)
            return (
                f"kept the same, except {what} on {unit.restored.side.value}: restored by undo of "
                f"run {unit.restored.run}, stays until side {unit.restored.side.other.value} "
                "changes it"
            )
        case _:
            return "kept the same"


def advice(unit: Unit) -> str:
    """What a person can do with a parked unit."""
    return f"`calbridge parked retry {unit.id}`, or `calbridge parked drop {unit.id}`"


def _next(
    link: Link, unit: Unit, rules: Rules, seen: Mapping[Side, Sight] | None
) -> tuple[str, ...]:
    if link.state in (LinkState.HELD, LinkState.PAUSED, LinkState.ENDED):
        return (f"nothing: the link is {link.state.value}: {link.reason or 'a person said so'}",)
    if unit.state is UnitState.DROPPED:
        return ("nothing: it is left alone",)
    if seen is None:
        return ("unknown: nobody was asked what stands there now",)
    faults = [
        f"side {side.value} cannot be read" for side in Side if isinstance(seen.get(side), str)
    ]
    if faults:
        return (f"{' and '.join(faults)}: it waits, and everything else goes on",)
    # A pass looks at what may change: a side to which nothing may travel is not asked.
    heard = {
        side: sight
        for side, sight in seen.items()
        if not isinstance(sight, str)
        if rules.writes(side.other) or unit.retry_at is not None
    }
    decision = decide(unit, heard, rules)
    if decision.actions:
        return tuple(
            f"{action.op.value} on {action.side.value}"
            + (f": {field_words(action.fields)}" if set(action.fields) - {"*"} else "")
            + f" ({action.cause})"
            + (", unless the delete guard holds the link" if action.op is Op.DELETE else "")
            for action in decision.actions
        )
    if decision.skipped:
        return (f"nothing: {decision.skipped}",)
    return ("nothing: there is nothing to carry over",)


def standing(units: Sequence[Unit]) -> list[Unit]:
    """The units that are not only remembered; all of them if there is no other."""
    return [unit for unit in units if unit.state is not UnitState.DONE] or list(units)
