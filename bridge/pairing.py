"""Finds out which events of two calendars are the same one, so that it is linked and not copied.

Pure. The surest sign is the bridge's own mark (a lost database), then the iCalendar UID (an
invitation that came to both calendars), then the same start, length and title with organisers who
may be the same person.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from bridge.decision import Action, Clash, Decision, Rules
from bridge.records import Op, Side, Unit
from bridge.travel import EMPTY, difference, newer
from connectors.contract import Copy
from mappings import identity, merge
from mappings.merge import Path
from mappings.model import Event
from mappings.projection import project

GENERATIONS = 8
"""So many times an event may have been made anew, and its copy is still recognised."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """An event that no unit knows, with the row that it would get."""

    unit: Unit
    copy: Copy


@dataclass(frozen=True, slots=True)
class Match:
    """Two strangers that are one event: the row for both, the other side's copy, and the row that
    it had by itself. `doubtful` = others there looked the same."""

    unit: Unit
    twin: Copy
    twin_unit: Unit
    doubtful: bool = False


class Strangers:
    """The events of `side` that no unit knows, to be matched with those of the other side."""

    def __init__(self, link_uid: str, side: Side, strangers: Iterable[Stranger]) -> None:
        self._link_uid = link_uid
        self._side = side
        self._left = {stranger.copy.ref: stranger for stranger in strangers}
        self._by_mark = self._index("mark")
        self._by_uid = self._index("uid")
        self._by_look = self._index("look")

    def __len__(self) -> int:
        return len(self._left)

    def take(self, other: Stranger) -> Match | None:
        """The stranger that is the same event as this one of the other side, which is then
        spoken for; None if there is none."""
        return self._marked(other) or self._same(other)

    def resembles(self, other: Stranger) -> bool:
        """Whether something on this side looks like the event, although it is not the same."""
        name = _name("look", other.copy)
        return name is not None and any(ref in self._left for ref in self._by_look.get(name, ()))

    def _index(self, kind: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for ref, stranger in self._left.items():
            name = _name(kind, stranger.copy)
            if name is not None:
                found.setdefault(name, []).append(ref)
        return found

    def _marked(self, other: Stranger) -> Match | None:
        """One of the two is the copy that the bridge made of the other."""
        for generation in range(GENERATIONS if self._by_mark else 0):
            key = identity.create_key(self._link_uid, other.unit.id, self._side.value, generation)
            if (found := self._pop(self._by_mark, key)) is not None:
                unit = replace(other.unit, generation=generation)
                return Match(unit, found.copy, found.unit)
        if other.copy.origin is None:
            return None
        ref, generation = self._keys.get(other.copy.origin, ("", 0))
        original = self._left.pop(ref, None)
        if original is None:
            return None
        unit = replace(original.unit, generation=generation)
        return Match(unit, original.copy, original.unit)

    @cached_property
    def _keys(self) -> dict[str, tuple[str, int]]:
        """The marks that copies of the strangers would have."""
        return {
            identity.create_key(
                self._link_uid, stranger.unit.id, self._side.other.value, generation
            ): (ref, generation)
            for ref, stranger in self._left.items()
            for generation in range(GENERATIONS)
        }

    def _same(self, other: Stranger) -> Match | None:
        if other.copy.origin is not None:
            return None
        for kind, index in (("uid", self._by_uid), ("look", self._by_look)):
            name = _name(kind, other.copy)
            found = self._pop(index, name, like=other.copy.event) if name else None
            if found is not None:
                unit = other.unit if self._side is Side.B else found.unit
                alike = kind == "look" and self.resembles(other)
                return Match(replace(unit, home=None), found.copy, found.unit, alike)
        return None

    def _pop(
        self, index: dict[str, list[str]], name: str, like: Event | None = None
    ) -> Stranger | None:
        for ref in index.get(name, ()):
            stranger = self._left.get(ref)
            if stranger is None or (like and not _compatible(stranger.copy.event, like)):
                continue
            return self._left.pop(ref)
        return None


def _name(kind: str, copy: Copy) -> str | None:
    if kind == "mark":
        return copy.origin
    if copy.origin is not None:
        return None
    return copy.event.uid if kind == "uid" else identity.pairing_key(copy.event)


def _compatible(one: Event, other: Event) -> bool:
    return one.recurring == other.recurring and identity.same_organizer((one, other))


def join(row: Unit, a: Copy, b: Copy, rules: Rules) -> Decision:
    """Link two people's own events that are the same: each is given what it lacks, and where
    both say something else the policy decides. An invitation's content is its organiser's."""
    now = {Side.A: a, Side.B: b}
    if not (a.organized and b.organized):
        return Decision(unit=row, actions=(_adoption(row, b, "the same meeting on both sides"),))
    winner = newer(now, rules.policy.conflict)
    if not rules.writes(winner.other):
        winner = winner.other
    actions: list[Action] = []
    clashes: list[Clash] = []
    for source in Side:
        target = source.other
        projection = project(now[source].event, rules.policy, rules.limits[target])
        if projection.event is None or not rules.writes(target):
            continue
        held = now[target].event
        found = difference(held, projection.event, target, rules)
        paths = [
            path
            for path, change in found.items()
            if _own(path) and change.after not in EMPTY
            and (source is winner or change.before in EMPTY)
        ]  # fmt: skip
        desired = merge.transfer(held, projection.event, held, paths)
        if desired == held:
            continue
        clashes += [
            Clash(path=path, winner=source, kept=found[path].after, lost=found[path].before)
            for path in paths
            if found[path].before not in EMPTY
        ]
        actions.append(
            Action(
                unit_id=row.id,
                side=target,
                op=Op.UPDATE,
                cause=f"the same event as on {source.value}, brought together",
                title=desired.details.title,
                desired=desired,
                base=now[target],
                risk="conflict" if clashes else "low",
                fields=tuple(sorted({path[-1] for path in paths})),
            )
        )
    for side in (Side.B, Side.A):
        if all(action.side is not side for action in actions):
            actions.append(_adoption(row, now[side], "the same event on both sides", side))
            break
    return Decision(unit=row, actions=tuple(actions), clashes=tuple(clashes))


def doubted(decision: Decision) -> Decision:
    """The decision for an event of which several look alike, so that a plan says so."""
    actions = tuple(
        replace(action, risk="doubt", cause=f"{action.cause}; others look the same, please check")
        if action.op in (Op.CREATE, Op.ADOPT)
        else action
        for action in decision.actions
    )
    return replace(decision, actions=actions)


def _own(path: Path) -> bool:
    """Whether a path is people's own: what the bridge writes for one side is not for the other."""
    return path[-1] not in ("footer", "meeting_url", "attachments", "attendees", "response")


def _adoption(row: Unit, copy: Copy, cause: str, side: Side = Side.B) -> Action:
    return Action(
        unit_id=row.id,
        side=side,
        op=Op.ADOPT,
        cause=cause,
        title=copy.event.details.title,
        base=copy,
        risk="pair",
    )
