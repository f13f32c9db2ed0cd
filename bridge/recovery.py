"""Settles what a crash or a lost answer left open, before anything else is decided.

Every intent that is found belongs to a write whose result was never stored. The provider is asked
what it holds now; the shadow then takes over exactly that part of it which our write explains, so
that somebody else's edit made in between stays visible as an edit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from bridge.breaker import blaming
from bridge.claims import giving_way
from bridge.records import Intent, JournalEntry, Link, Op, Side, Unit, UnitState
from bridge.store import Store, Tx
from bridge.travel import Changes
from connectors.contract import Connector, Copy, Replaces, fetch_again
from connectors.errors import ConflictError, RejectedError
from mappings import identity, jsonform, merge
from mappings.errors import UnmappableError
from mappings.model import Event

PLAIN: frozenset[merge.Path] = frozenset({("title",), ("location",)})
"""What every provider shows the way it was written."""
MEANWHILE = timedelta(seconds=30)
"""A change this long after a create was announced is not the create's own, whatever the clocks."""


def recover(
    link: Link,
    connectors: Mapping[Side, Connector],
    store: Store,
    fence: Callable[[Tx], None],
    log: Callable[..., None],
) -> int:
    """Settle every open intent of a link; returns how many there were."""
    intents = store.intents(link.id)
    for intent in intents:
        unit = store.unit(link.id, intent.unit_id)
        try:
            with blaming(link.endpoint(intent.side)):
                tell = partial(_tell, store, fence, intent)
                connector = connectors[intent.side]
                settled = _settle(link, unit, intent, connector, tell) if unit else None
        except (RejectedError, UnmappableError):
            settled = unit  # what cannot be read now is reported by the next write or reading
        rows = [settled] if settled is not None and settled != unit else []
        rows = [*giving_way(store, link, intent.side, rows), *rows]
        with store.begin() as tx:
            fence(tx)
            tx.put_units(rows)
            tx.journal(_overruled(intent, intent.lost))
            tx.drop_intents([intent.id])
    if intents:
        log("settled writes of unknown outcome", link=link.name, count=len(intents))
    return len(intents)


def _tell(
    store: Store, fence: Callable[[Tx], None], intent: Intent, lost: Mapping[str, str]
) -> None:
    with store.begin() as tx:
        fence(tx)
        tx.journal(_overruled(intent, lost))


def _overruled(intent: Intent, lost: Mapping[str, str] | None) -> Iterator[JournalEntry]:
    """What the write overruled, in case it went through: nobody could tell later."""
    if not lost:
        return
    yield JournalEntry(
        id=0,
        at=intent.at,
        run_id=intent.run_id,
        link_id=intent.link_id,
        unit_id=intent.unit_id,
        side=intent.side,
        op=intent.op.value,
        cause="broken off and settled afterwards",
        lost=lost,
    )


def _settle(
    link: Link,
    unit: Unit,
    intent: Intent,
    connector: Connector,
    tell: Callable[[Mapping[str, str]], None],
) -> Unit:
    calendar = link.endpoint(intent.side).calendar
    if intent.op is Op.CREATE:
        found = _made(connector, calendar, intent)
        shadow = unit.copy(intent.side)
        if found is None or (shadow is not None and shadow.ref == found.ref):
            return unit
        row = unit.with_copy(intent.side, _as_made(found, intent))
        return replace(row, generation=_generation(link, unit, intent)).doubted()
    shadow = unit.copy(intent.side)
    if shadow is None:
        return unit
    now = fetch_again(connector, calendar, shadow.ref, shadow)
    if intent.op is Op.DELETE:
        if now is not None:
            return unit
        gone = replace(unit.without(intent.side), generation=unit.generation + 1)
        return gone if gone.a or gone.b else replace(gone, state=UnitState.DONE)
    if intent.desired is None:
        return unit
    desired = jsonform.event_from_json(intent.desired)
    stood = now
    if not connector.capabilities.find_by_key:
        now = _finished(connector, calendar, shadow, now, intent, tell)
    if now is None:
        return unit  # its disappearance is news for the next reading
    known = explained(shadow, now, desired, stood or now)
    if known.event == shadow.event and known.ref == shadow.ref:
        return unit.with_copy(intent.side, known)
    # It has arrived, and what it came from may be another by now: the two are to be compared.
    row = unit.with_copy(intent.side, known).doubted()
    twin = unit.copy(intent.side.other)
    if twin is None or unit.home is intent.side.other:
        return row
    # What has arrived at an original, its copy showed; what that shows otherwise is newer.
    sent = merge.transfer(shadow.event, known.event, twin.event, None)
    return row.with_copy(intent.side.other, replace(twin, event=sent))


def _finished(
    connector: Connector,
    calendar: str,
    shadow: Copy,
    now: Copy | None,
    intent: Intent,
    tell: Callable[[Mapping[str, str]], None],
) -> Copy | None:
    """The unit after the rest of a change that takes several steps: another unit may stand in its
    place, which would pass for somebody's own until the repetition finds it again, and exceptions
    may have gone with a schedule, which would pass for somebody's wish.

    Only what can have such a consequence is repeated over what somebody has changed since."""
    standing, desired = now or shadow, jsonform.event_from_json(intent.desired)
    ours = merge.changes(shadow.event, desired)
    theirs = merge.changes(shadow.event, standing.event)
    contested, overruled = merge.clashes(ours, theirs)
    spared = {path for path in contested if path[-1] not in ("schedule", "exists")}
    # What the change only put back is no difference between the shadow and what was to be.
    told = intent.lost or {}
    put_back = {path for path in theirs.keys() - ours.keys() if "/".join(path) in told}
    wanted = merge.transfer(standing.event, shadow.event, standing.event, put_back)
    wanted = merge.transfer(shadow.event, desired, wanted, ours.keys() - spared)
    anew = isinstance(connector, Replaces) and (
        # What it was made to may have been what is known of the unit, or what it is now.
        connector.replaces(shadow, desired) or connector.replaces(standing, wanted)
    )
    if now is not None and not anew and merge.SCHEDULE not in {*ours, *put_back}:
        return now
    left = merge.changes(shadow.event, wanted)
    lost = {path: theirs[path] for path in overruled if left.get(path) != theirs[path]}
    if merge.SCHEDULE in put_back:
        # The occurrences of a schedule go with it.
        put_back |= {path for path in theirs if len(path) > 1 and left.get(path) != theirs[path]}
    lost |= {path: theirs[path] for path in put_back}
    if now is not None and theirs and anew and isinstance(connector, Replaces):
        # With what somebody did since, the repetition may go another way.
        half = connector.abandon(calendar, shadow, desired)
        lost |= _foreign(half.event, (desired, standing.event, wanted))
    news = {path: value for path, value in _texts(lost).items() if told.get(path) != value}
    if news:
        tell(news)
    if wanted == standing.event:
        return now
    try:
        return connector.update(calendar, standing, wanted)
    except ConflictError as conflict:
        return conflict.current


def _foreign(event: Event, known: Sequence[Event]) -> Changes:
    """What stands on `event` otherwise than on each of those: somebody else wrote it."""
    found = [merge.changes(each, event) for each in known]
    return {path: found[0][path] for path in set.intersection(*map(set, found))}


def _texts(changes: Changes) -> dict[str, str]:
    return {"/".join(path): str(change.after) for path, change in sorted(changes.items())}


def _made(connector: Connector, calendar: str, intent: Intent) -> Copy | None:
    """What the create has made. Where nothing can be looked up it is repeated under its key:
    until its result is known the event would pass for somebody's own."""
    if connector.capabilities.find_by_key:
        return connector.find(calendar, intent.key)
    try:
        return connector.create(calendar, jsonform.event_from_json(intent.desired), intent.key)
    except ConflictError:
        return None  # made, and deleted since


def _as_made(found: Copy, intent: Intent) -> Copy:
    """The copy as the create left it. What it holds otherwise is the provider's way to put it,
    unless it says that somebody wrote to it later, or nobody but a person puts such a thing
    otherwise."""
    desired = jsonform.event_from_json(intent.desired)
    if found.updated is not None and found.updated > intent.at + MEANWHILE:
        return _unversioned(found, desired, None)
    plain = PLAIN if found.event.recurring or desired.recurring else {*PLAIN, merge.SCHEDULE}
    event = merge.transfer(found.event, desired, found.event, plain)
    return found if event == found.event else _unversioned(found, event, None)


def _unversioned(now: Copy, event: Event, shadow: Copy | None) -> Copy:
    """`now` with content that is older than it. Under the versions of what is not known yet, a
    write would pass every guard."""
    members = tuple(
        replace(item, version=shadow.version(item.part) if shadow else None) for item in now.members
    )
    return replace(now, event=event, members=members)


def _generation(link: Link, unit: Unit, intent: Intent) -> int:
    """Of which making of the unit the key is: the row's, or the one that was to replace it."""
    following = unit.generation + 1
    key = identity.create_key(link.uid, unit.id, intent.side.value, following)
    return following if key == intent.key else unit.generation


def explained(shadow: Copy, now: Copy, desired: Event, stood: Copy) -> Copy:
    """`now`, with every difference to `shadow` undone that `desired` does not account for.

    Where a part of what was written to the series, or to an occurrence, `stood` there before
    anything was repeated, all of it was there: one call had brought it. What stands in place of the
    rest was put over it since."""
    happened = merge.changes(shadow.event, now.event)
    wanted = merge.changes(shadow.event, desired)
    ours = _common(happened, wanted)
    arrived = {path[:-1] for path in _common(merge.changes(shadow.event, stood.event), wanted)}
    covered = {path for path in wanted.keys() & happened.keys() - ours if path[:-1] in arrived}
    event = merge.transfer(shadow.event, now.event, shadow.event, ours)
    event = merge.transfer(shadow.event, desired, event, covered)
    if event == now.event:
        return now
    return _unversioned(now, event, shadow)


def _common(happened: Changes, wanted: Changes) -> set[merge.Path]:
    common = {
        path
        for path, change in happened.items()
        if path in wanted and wanted[path].after == change.after
    }
    if merge.SCHEDULE in wanted.keys() - common:
        # An occurrence may have the same name on the schedule that stands there instead.
        return {path for path in common if len(path) == 1}
    return common
