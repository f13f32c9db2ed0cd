"""What has to be true when everything has come to rest.

The judge looks at the calendars as people see them and at the ledger of what they did. Of the
engine he uses the projection (which says what a side can hold) and the journal.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta

from bridge.records import Side, Unit, UnitState
from bridge.simulation.ledger import MASKED, Written, name_of, words
from bridge.simulation.office import Office
from bridge.simulation.worlds import held
from bridge.store import Store
from connectors.errors import RejectedError
from mappings import jsonform, recurrence, richtext
from mappings.model import Event, Occurrence
from mappings.policy import Content, EditVersusDelete
from mappings.projection import all_cancelled, project

PAST = timedelta(days=60)
FUTURE = timedelta(days=400)


def judge(office: Office) -> list[str]:
    """Everything that is not as it should be, one sentence each."""
    with office.store() as store:
        return list(dict.fromkeys(_Judge(office, store).all()))


def wanted(office: Office) -> set[tuple[Side, str]]:
    """The events that are to stand on the other side, too: more of them, as time goes by."""
    with office.store() as store:
        return set(_Judge(office, store).wanted())


class _Judge:
    def __init__(self, office: Office, store: Store) -> None:
        self._office = office
        self._rules = office.rules()
        self._policy = self._rules.policy
        self._ledger = office.people.ledger
        self._deleted = {
            name
            for name in self._ledger.born
            if name in self._ledger.deleted or self._ledger.emptied(name)
        }
        self._link = office.link(store)
        self._store = store
        self._units = list(store.units(self._link.id))
        self._journal = list(store.journal(link_id=self._link.id, limit=100_000))
        calendars = {side: office.calendar(side) for side in Side}
        self._events = {
            side: {ref: calendar.event(ref) for ref in calendar.refs()}
            for side, calendar in calendars.items()
        }
        self._named: dict[Side, dict[int, list[Event]]] = {}
        self._nameless: dict[Side, list[Event]] = {}
        for side in Side:
            named: dict[int, list[Event]] = defaultdict(list)
            for event in self._events[side].values():
                # A series whose every occurrence is cancelled is nowhere to be seen.
                if (name := name_of(event)) is not None and not all_cancelled(event):
                    named[name].append(event)
            self._named[side] = named
            self._nameless[side] = [
                event for event in self._events[side].values() if name_of(event) is None
            ]

    def all(self) -> Iterator[str]:
        """Every complaint."""
        yield from self._database()
        yield from self._mails()
        yield from self._same()
        yield from self._once()
        yield from self._nothing_lost()
        yield from self._nothing_deleted()
        yield from self._masks()

    # -- the database --------------------------------------------------------------------------

    def _database(self) -> Iterator[str]:
        if intents := self._store.intents(self._link.id):
            yield f"{len(intents)} intents are still open"
        for unit in self._units:
            if unit.state is UnitState.PARKED and not unit.error:
                yield f"unit {unit.id[:8]} is parked without a reason"
            if unit.error_code == "INTERNAL":
                yield f"unit {unit.id[:8]} is parked by a fault of the program: {unit.error}"
            if unit.state is UnitState.PARKED and unit.retry_at is not None:
                yield f"unit {unit.id[:8]} is still being retried: {unit.error}"
            if unit.state is UnitState.DONE and (unit.a or unit.b):
                yield f"unit {unit.id[:8]} is a tombstone with a shadow"
        for side in Side:
            refs = Counter(unit.ref(side) for unit in self._living() if unit.ref(side) is not None)
            for ref, count in refs.items():
                if count > 1:
                    yield f"{count} units claim {ref} on {side.value}"

    def _living(self) -> list[Unit]:
        return [unit for unit in self._units if unit.state is not UnitState.DONE]

    def _mails(self) -> Iterator[str]:
        for side, world in self._office.worlds.items():
            if world.mails:
                yield f"{side.value} mailed {world.mails}"

    # -- both sides ----------------------------------------------------------------------------

    def _same(self) -> Iterator[str]:
        """Units that stand on both sides show the same occurrences."""
        for unit in self._units:
            if unit.state is not UnitState.LIVE or unit.ref_a is None or unit.ref_b is None:
                continue
            a = self._events[Side.A].get(unit.ref_a)
            b = self._events[Side.B].get(unit.ref_b)
            if a is None or b is None:
                if a is not b:
                    gone = "a" if a is None else "b"
                    yield f"{_title(a or b)} stands on one side, {gone} has lost it"
                continue
            if self._policy.content is not Content.FULL or not self._two_way():
                continue
            left, right = self._faces(a, Side.A), self._faces(b, Side.B)
            if left != right:
                yield f"{_title(a)} differs: a only {sorted(left - right)[:3]}, b only {sorted(right - left)[:3]}"  # fmt: skip  # noqa: E501

    def _two_way(self) -> bool:
        return all(self._rules.writes(side) for side in Side)

    def _faces(self, event: Event, side: Side) -> Counter[tuple[str, ...]]:
        """What people would see of it on both sides."""
        for target in (side.other, side):
            projection = project(event, self._policy, self._rules.limits[target])
            if projection.event is None:
                return Counter()
            try:
                event = held(projection.event, self._office.kinds[target])
            except RejectedError:
                event = projection.event
        now = self._office.now
        return Counter(map(_face, recurrence.expand(event, now - PAST, now + FUTURE)))

    def _once(self) -> Iterator[str]:
        """No unit stands twice anywhere."""
        for side, named in self._named.items():
            for name, events in named.items():
                if len(events) > 1:
                    yield f"U{name} stands {len(events)} times on {side.value}"

    # -- what people did -----------------------------------------------------------------------

    def _nothing_lost(self) -> Iterator[str]:
        excused = self._excused()
        for item in self._ledger.standing():
            if item.unit == 0 or item.kind in MASKED[self._policy.content]:
                continue
            if item.unit in excused or (
                item.masked and item.side is not self._ledger.born.get(item.unit)
            ):
                continue
            gone = not any(self._named[side].get(item.unit) for side in Side)
            if gone and (self._ledger.nameless or self._ledger.emptied(item.unit)):
                continue
            sides = {side for side in Side if self._shows(item, side)}
            if sides == set(Side) or self._overruled(item):
                continue
            where = ", ".join(side.value for side in sides) or "nowhere"
            yield f"{item.word}, written on {item.side.value} into U{item.unit}, is {where}"

    def _shows(self, item: Written, side: Side) -> bool:
        events = self._named[side].get(item.unit) or self._nameless[side]
        return any(item.word in words(event) for event in events)

    def _overruled(self, item: Written) -> bool:
        """Whether the journal tells that it lost against another value, against a deletion where
        those win, or was put back because only the organiser may write it."""
        deletes = self._policy.edit_versus_delete is EditVersusDelete.DELETE_WINS
        for entry in self._journal:
            if entry.lost and any(item.in_journal in text for text in _texts(entry.lost)):
                return True
            undone = (deletes and entry.op == "delete") or "put back" in entry.cause
            before = jsonform.event_from_json(entry.before) if undone and entry.before else None
            if before is not None and item.word in words(before):
                return True
        return False

    def _excused(self) -> set[int]:
        """Units that are not kept the same, for a reason that the bridge can name."""
        excused = self._ledger.marked | self._parked()
        for side in Side:
            if not self._rules.writes(side.other):
                excused |= {n for n, born in self._ledger.born.items() if born is side}
            for name, events in self._named[side].items():
                if name in self._named[side.other]:
                    continue
                if not any(self._inside(event, side) for event in events):
                    excused.add(name)
        return excused

    def _parked(self) -> set[int]:
        """Units that wait for a person."""
        parked = set()
        for unit in self._living():
            if unit.state is not UnitState.PARKED:
                continue
            for side in Side:
                copy = unit.copy(side)
                event = self._events[side].get(unit.ref(side) or "")
                for known in (event, copy.event if copy else None):
                    if known is not None and (name := name_of(known)) is not None:
                        parked.add(name)
        return parked

    def _inside(self, event: Event, side: Side) -> bool:
        """Whether the link wants it on the other side at all."""
        target = side.other
        wanted = project(event, self._policy, self._rules.limits[target]).event is not None
        return wanted and recurrence.overlaps(event, self._rules.since, self._rules.until)

    def wanted(self) -> Iterator[tuple[Side, str]]:
        """Side and ref of every event that the link wants on the other side."""
        for side in Side:
            for ref, event in self._events[side].items():
                if self._inside(event, side):
                    yield side, ref

    def _nothing_deleted(self) -> Iterator[str]:
        """Whatever nobody deleted is there; what somebody deleted is nowhere or everywhere."""
        excused = self._excused()
        gone = [
            (name, born)
            for name, born in self._ledger.born.items()
            if name not in self._deleted and not self._named[born].get(name)
        ]
        unnamed = self._ledger.nameless + self._ledger.unnamed
        if len(gone) > unnamed:
            for name, born in gone:
                yield f"U{name}, made on {born.value}, is gone though nobody deleted it"
        if self._policy.content is Content.BUSY or self._ledger.nameless:
            return
        for name in self._ledger.born:
            standing = {side for side in Side if self._named[side].get(name)}
            if unnamed and all(self._nameless[side] for side in Side if side not in standing):
                continue
            if name in self._deleted:
                if len(standing) == 1 and name not in excused:
                    yield f"U{name} was deleted, and still stands on {standing}"
            elif name not in excused and len(standing) < 2:
                yield f"U{name} is not on both sides, though nobody deleted it"

    def _masks(self) -> Iterator[str]:
        """What is masked stays on its side."""
        hidden, parked = MASKED[self._policy.content], self._parked()
        for item in self._ledger.written.values():
            # What travelled while it was allowed to is on both sides; a copy loses it again.
            native = self._ledger.born.get(item.unit) is item.side
            hides = item.kind in hidden and item.unit not in parked
            if not hides or not (native or item.hidden):
                continue
            for event in self._events[item.side.other].values():
                if item.word in words(event) and not all_cancelled(event):
                    yield f"{item.word} of {item.side.value} is seen on the other side"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    else:
        yield str(value)


def _title(event: Event | None) -> str:
    return event.details.title[:20] if event else "nothing"


def _face(occurrence: Occurrence) -> tuple[str, ...]:
    details = occurrence.details
    return (
        str(occurrence.start),
        str(occurrence.end),
        details.title,
        details.location.name if details.location else "",
        " ".join(richtext.to_text(details.description).split()),
        details.busy.value,
    )
