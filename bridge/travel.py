"""Which changes may travel between the two copies of a unit, and which of two stands. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from bridge.decision import Clash, Rules
from bridge.records import Side
from connectors.answers import ANSWERS
from connectors.contract import Copy
from mappings import merge
from mappings.limits import TargetLimits
from mappings.merge import Change, Path
from mappings.model import Details, Event
from mappings.policy import AttendeePolicy, Content
from mappings.policy import Conflict as ConflictPolicy

Changes = dict[Path, Change]

PROVIDER_MADE = frozenset({"organizer", "attendees", "response", "redacted"})
BRIDGE_MADE = frozenset({"footer", "organizer", "attendees", "meeting_url", "attachments"})
VISIBLE = {
    Content.FULL: merge.DETAIL_FIELDS,
    Content.TITLE: ("title", "busy", "status"),
    Content.BUSY: ("busy", "status"),
}
EMPTY: tuple[object, ...] = (None, "", ())


def difference(held: Event, desired: Event, side: Side, rules: Rules) -> Changes:
    """What of `desired` is not on `held`, as far as a write to that side can make it so."""
    limits = rules.limits[side]
    fixed = set(PROVIDER_MADE)
    if rules.policy.attendees is AttendeePolicy.INVITE:
        fixed.discard("attendees")
    if limits.responses and desired.details.response in ANSWERS:
        fixed.discard("response")
    if not limits.meeting_url:
        fixed.add("meeting_url")
    if not limits.attachments:
        fixed.add("attachments")
    found = merge.changes(held, desired)
    return {path: change for path, change in found.items() if path[-1] not in fixed}


def carried(changes: Changes, source: Side, home: Side | None, rules: Rules) -> Changes:
    """The changes that may leave `source`. From a copy that we made nothing comes back that we
    wrote there or hid from it; two people's own events keep what only one of them shows."""
    if source is home:
        return changes
    allowed = {*VISIBLE[rules.policy.content], "schedule", "when", "exists"} - BRIDGE_MADE
    if home is None:
        allowed -= PROVIDER_MADE
    return {path: change for path, change in changes.items() if path[-1] in allowed}


def masked(event: Event, originals: Iterable[Event], content: Content) -> Event:
    """The copy without what its exceptions show of the originals although it is hidden: they were
    made while it was not."""
    hidden = [name for name in merge.DETAIL_FIELDS if name not in VISIBLE[content]]
    secrets = [
        details
        for original in originals
        for details in (original.details, *(each.details for each in original.overrides))
        if details is not None
    ]

    def covered(details: Details) -> Details:
        shown = {
            name: getattr(event.details, name)
            for name in hidden
            if any(getattr(details, name) == getattr(secret, name) for secret in secrets)
        }
        return replace(details, **shown)

    overrides = tuple(
        replace(each, details=covered(each.details)) if each.details else each
        for each in event.overrides
    )
    return replace(event, overrides=overrides)


def may_change(copy: Copy, limits: TargetLimits) -> Callable[[Path], bool]:
    """Whether the copy's account may change a path, on a side with these limits."""
    return lambda path: copy.organized or path[-1] in limits.own_view


def settle(
    deltas: Mapping[Side, Changes], now: Mapping[Side, Copy], rules: Rules
) -> tuple[dict[Side, frozenset[Path]], tuple[Clash, ...]]:
    """Which changes of which side are overruled."""
    losers: dict[Side, frozenset[Path]] = {side: frozenset() for side in Side}
    if len(deltas) < 2 or not deltas[Side.A] or not deltas[Side.B]:
        return losers, ()
    in_conflict = dict(
        zip((Side.A, Side.B), merge.clashes(deltas[Side.A], deltas[Side.B]), strict=True)
    )
    if not in_conflict[Side.A]:
        return losers, ()
    winner = newer(now, rules.policy.conflict)
    loser = winner.other
    losers[loser] = in_conflict[loser] | _left_behind(deltas[loser], in_conflict[loser])
    if merge.SCHEDULE in in_conflict[loser]:
        losers[loser] |= _given_up(deltas[loser], now[loser].event)
    clashes = []
    for path in sorted(in_conflict[loser]):
        kept = deltas[winner].get(path)
        clashes.append(
            Clash(
                path=path,
                winner=winner,
                kept=kept.after if kept else None,
                lost=deltas[loser][path].after,
            )
        )
    return losers, tuple(clashes)


def _left_behind(changes: Changes, overruled: frozenset[Path]) -> frozenset[Path]:
    """Occurrences that kept an old value when their series got another one, which does not stand
    now: theirs was no change of their own."""
    return frozenset(
        path
        for path, change in changes.items()
        if len(path) == 3 and (path[2],) in overruled and change.after == changes[(path[2],)].before
    )


def unseen(
    held: Event, desired: Event, source: Side, home: Side | None, rules: Rules
) -> Iterator[Clash]:
    """What exceptions of the original show that go away with a change to the copy. Whoever made it
    could not see that, where the link hides it."""
    if source is home or rules.policy.content is Content.FULL or not held.overrides:
        return
    left = merge.aligned(held, desired).overrides_by_key
    hidden = [name for name in merge.DETAIL_FIELDS if name not in VISIBLE[rules.policy.content]]
    for key in sorted(left.keys() - desired.overrides_by_key.keys()):
        if (details := left[key].details) is None:
            continue
        for name in hidden:
            lost, kept = getattr(details, name), getattr(desired.details, name)
            if lost not in (kept, getattr(held.details, name)):
                path = ("occurrence", key, name)
                yield Clash(path=path, winner=source, kept=kept, lost=lost)


def _given_up(changes: Changes, event: Event) -> frozenset[Path]:
    """Occurrences that are no exceptions any more since their series was moved, which does not
    stand now: some providers drop exceptions then, and nobody meant to."""
    kept = event.overrides_by_key.keys()
    return frozenset(path for path in changes if len(path) == 3 and path[1] not in kept)


def newer(now: Mapping[Side, Copy], policy: ConflictPolicy) -> Side:
    """The side whose value stands where both changed the same."""
    match policy:
        case ConflictPolicy.A:
            return Side.A
        case ConflictPolicy.B:
            return Side.B
        case ConflictPolicy.NEWEST:
            a, b = now[Side.A].updated, now[Side.B].updated
            return Side.B if a is not None and b is not None and b > a else Side.A
