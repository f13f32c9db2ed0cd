"""From Feishu's events to copies: what a single call does not show is asked for here."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from threading import Lock
from typing import TypeVar

from connectors.changes import occurrence_part
from connectors.contract import Copy, Member
from connectors.errors import RejectedError
from connectors.feishu.api import CalendarApi, Wire
from connectors.feishu.errors import ATTENDEES_HIDDEN, PROVIDER, TOO_MANY_INSTANCES
from connectors.feishu.extras import Extras, is_extra, override_of
from mappings import feishu, recurrence
from mappings.errors import UnmappableError
from mappings.feishu import FeishuDialect
from mappings.feishu_extras import Extra, unmarked
from mappings.model import Details, Event, Key, Occurrence, Override, When

_PARALLEL_READS = 8
_INSTANCES_SPAN = timedelta(days=729)
_VIEW_SPAN = timedelta(days=39)
_SHORTEST_VIEW = timedelta(hours=1)

S = TypeVar("S")
T = TypeVar("T")


class EventReader:
    """Reads the events of one account. Thread safe.

    `attendees` costs one GET per event, because listings carry none. A participant is shown the
    others only where `attendee_ability` says so; where Feishu refuses them all the same, the event
    is read without, and they are not asked for again.
    """

    def __init__(
        self,
        api: CalendarApi,
        dialect: FeishuDialect,
        now: Callable[[], datetime],
        *,
        attendees: bool,
        extras: Extras,
    ) -> None:
        self.extras = extras
        self._api = api
        self._dialect = dialect
        self._now = now
        self._attendees = attendees
        self._roles: dict[str, str] = {}
        self._hidden: set[tuple[str, str]] = set()
        self._refused: set[tuple[str, str]] = set()
        self._pool: ThreadPoolExecutor | None = None
        self._lock = Lock()

    def close(self) -> None:
        """End the threads."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown()
                self._pool = None

    def know_role(self, calendar: str, role: str) -> None:
        """Remember the account's role on a calendar, in Feishu's words."""
        self._roles[calendar] = role

    # -- translation ---------------------------------------------------------------------------

    def copy(self, calendar: str, wire: Wire) -> Copy:
        """A single event, or a series without its exceptions. Raises `UnmappableError`."""
        ref, role = str(wire["event_id"]), self._role(calendar, wire)
        self._note_visibility(calendar, wire)
        with _understood():
            event = feishu.decode(wire, self._dialect, role=role)
        return Copy(
            ref=ref,
            event=replace(event, details=unmarked(event.details)[0]),
            members=(Member(part="main", id=ref),),
            organized=feishu.organized(wire, calendar),
        )

    def override(self, calendar: str, wire: Wire, series: When) -> tuple[Override, Member]:
        """An exception of the series that starts at `series`. Raises `UnmappableError`."""
        self._note_visibility(calendar, wire)
        role = self._role(calendar, wire)
        with _understood():
            override = feishu.decode_override(wire, series, self._dialect, role=role)
        return override, Member(part=occurrence_part(override.key), id=str(wire["event_id"]))

    def extra_date(self, calendar: str, wire: Wire, extra: Extra) -> tuple[Override, Member]:
        """A date beside a series, from the event that stands for it. Raises `UnmappableError`."""
        if feishu.is_cancelled(wire):
            return Override(key=extra.key, cancelled=True), _member(extra.key, wire)
        return override_of(self.copy(calendar, wire).event, str(wire["event_id"]), extra)

    def _role(self, calendar: str, wire: Wire) -> str:
        """The role matters only where details are absent: were they withheld?"""
        if wire.get("summary") or wire.get("description") or feishu.is_cancelled(wire):
            return ""
        if calendar not in self._roles:
            self._roles[calendar] = str(self._api.calendar(calendar).get("role") or "")
        return self._roles[calendar]

    # -- completion ----------------------------------------------------------------------------

    def complete(self, calendar: str, copy: Copy, parts: Collection[str]) -> Copy:
        """See `Completes`: the attendees of these members. One GET each, none where they are
        hidden from the account."""
        ids = {member.part: member.id for member in copy.members if member.part in parts}
        details = copy.event.details
        if "main" in ids:
            details = self._attended(calendar, details, ids["main"])
        overrides = tuple(
            replace(override, details=self._attended(calendar, override.details, event_id))
            if override.details and (event_id := ids.get(occurrence_part(override.key)))
            else override
            for override in copy.event.overrides
        )
        event = replace(copy.event, details=details, overrides=overrides)
        return replace(copy, event=recurrence.tidy(event))

    def _attended(self, calendar: str, details: Details, event_id: str) -> Details:
        place = (calendar, event_id)
        if place in self._hidden or place in self._refused:
            return details
        wire = self._event(calendar, event_id)
        items = (wire or {}).get("attendees") or []
        with _understood():
            return replace(details, attendees=feishu.decode_attendees(items))

    def _note_visibility(self, calendar: str, wire: Wire) -> None:
        place = (calendar, str(wire["event_id"]))
        if _shows_attendees(wire, calendar):
            self._hidden.discard(place)
        else:
            self._hidden.add(place)

    def _event(self, calendar: str, event_id: str) -> Wire | None:
        """One event with the attendees that the account may see. One GET, two where Feishu
        unexpectedly refuses them."""
        if not self._attendees or (calendar, event_id) in self._refused:
            return self._api.event(calendar, event_id, attendees=False)
        try:
            wire = self._api.event(calendar, event_id, attendees=True)
        except RejectedError as error:
            if error.code not in ATTENDEES_HIDDEN:
                raise
            self._refused.add((calendar, event_id))
            return self._api.event(calendar, event_id, attendees=False)
        return wire if wire is None or _shows_attendees(wire, calendar) else _alone(wire)

    def each(self, items: Iterable[S], read: Callable[[S], T]) -> list[T]:
        """What `read` makes of each item, several at a time: they wait mostly for the network."""
        items = list(items)
        if len(items) < 2:
            return [read(item) for item in items]
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_PARALLEL_READS, "feishu-read")
            pool = self._pool
        return list(pool.map(read, items))

    # -- single units --------------------------------------------------------------------------

    def fetch(
        self, calendar: str, ref: str, keys: Sequence[Key] = (), ids: Collection[str] = ()
    ) -> Copy | None:
        """The unit with its exceptions, None if it is gone. `RejectedError` if it is unreadable.

        Feishu has no call for "the exceptions of a series". They are found among the instances
        of two years back and two years ahead; beyond that only those that `keys` or `ids` name are,
        and of the dates beside the series only those that `ids` name.
        One GET for the event, two or more for the instances, one per exception.
        """
        wire = self._event(calendar, ref)
        if wire is None or feishu.is_cancelled(wire):
            return None
        try:
            copy = self.copy(calendar, wire)
            if not copy.event.recurring:
                return copy
            extras = {event_id for event_id in ids if is_extra(event_id, ref)}
            known = {_occurrence_id(ref, key, copy.event.when) for key in keys}
            exceptions = self._exceptions(calendar, copy, known.union(ids) - extras)
            beside = self._beside(calendar, ref, extras)
            taken = {override.key for override, _ in beside}
            exceptions = [each for each in exceptions if each[0].key not in taken] + beside
        except UnmappableError as error:
            raise RejectedError(error.detail, provider=PROVIDER, code=error.code) from error
        return _with_exceptions(copy, exceptions)

    def with_removals(self, calendar: str, copy: Copy) -> Copy:
        """A series with its removed occurrences, as far as `fetch` finds them by itself.

        Two or more GETs. Raises `UnmappableError`.
        """
        removed, _ = self._instances(calendar, copy)
        return _with_exceptions(copy, self._overrides(calendar, copy, removed))

    def _exceptions(
        self, calendar: str, copy: Copy, known: set[str]
    ) -> list[tuple[Override, Member]]:
        found, changed = self._instances(calendar, copy)
        asked = sorted((known | changed) - set(found))
        answers = zip(asked, self.each(asked, lambda id_: self._event(calendar, id_)), strict=True)
        found |= {
            event_id: wire
            for event_id, wire in answers
            if wire is not None and (feishu.is_cancelled(wire) or wire.get("is_exception"))
        }
        return self._overrides(calendar, copy, found)

    def _beside(
        self, calendar: str, ref: str, ids: Collection[str]
    ) -> list[tuple[Override, Member]]:
        """The dates beside a series that still say so."""
        wires = self.each(sorted(ids), lambda event_id: self._event(calendar, event_id))
        found = []
        for wire in wires:
            extra = self.extras.of(calendar, wire) if wire else None
            if wire and extra and extra.main == ref and not feishu.is_cancelled(wire):
                self.extras.hold(calendar, extra, str(wire["event_id"]))
                found.append(self.extra_date(calendar, wire, extra))
        return found

    def _instances(self, calendar: str, copy: Copy) -> tuple[dict[str, Wire], set[str]]:
        """The removed occurrences of a series, and the ids of the changed ones."""
        removed: dict[str, Wire] = {}
        changed: set[str] = set()
        for since, until in self._spans(copy.event):
            for item in self._api.instances(calendar, copy.ref, since, until):
                if feishu.is_cancelled(item):
                    removed[str(item["event_id"])] = item
                elif item.get("is_exception"):
                    changed.add(str(item["event_id"]))
        return removed, changed

    def _overrides(
        self, calendar: str, copy: Copy, found: Mapping[str, Wire]
    ) -> list[tuple[Override, Member]]:
        series = copy.event.when
        return [
            self.override(calendar, wire, series)
            for event_id, wire in sorted(found.items())
            if not (feishu.is_cancelled(wire) and is_stray(event_id, series))
        ]

    def _spans(self, event: Event) -> Iterator[tuple[int, int]]:
        """Windows around now, cut to the life of the series (a day wider: zones)."""
        now, day = self._now(), timedelta(days=1)
        first = max(_midnight(event.when.start) - day, now - _INSTANCES_SPAN)
        last = max(first, now) + _INSTANCES_SPAN
        if event.rule is not None and event.rule.until is not None:
            until = _midnight(datetime.fromisoformat(event.rule.until))
            last = min(last, until + 2 * day + event.when.duration)
        while first < last:
            until = min(first + _INSTANCES_SPAN, last)
            yield int(first.timestamp()), int(until.timestamp())
            first = until

    # -- verification --------------------------------------------------------------------------

    def occurrences(
        self, calendar: str, since: datetime, until: datetime
    ) -> Iterator[tuple[str, Occurrence]]:
        """Every occurrence in [since, until), as Feishu expands them, with the unit's ref. One
        GET more for each series with dates beside it, and for each of several events that say
        they stand for the same date."""
        shown: set[str] = set()
        beside: dict[Extra, list[Wire]] = {}
        for wire in self._views(calendar, since, until):
            event_id = str(wire["event_id"])
            if event_id in shown or feishu.is_cancelled(wire):
                continue
            shown.add(event_id)
            if (extra := self.extras.of(calendar, wire)) is not None:
                beside.setdefault(extra, []).append(wire)
                continue
            for occurrence in self._expanded(calendar, wire, since, until):
                yield feishu.main_id(event_id), occurrence
        alive = {main: self._is_series(calendar, main) for main in {each.main for each in beside}}
        for extra, wires in beside.items():
            holder = self._holder(calendar, extra, wires) if alive[extra.main] else None
            for wire in wires:
                own = feishu.main_id(str(wire["event_id"]))
                for occurrence in self._expanded(calendar, wire, since, until):
                    yield extra.main if own == holder else own, occurrence

    def _expanded(
        self, calendar: str, wire: Wire, since: datetime, until: datetime
    ) -> Iterator[Occurrence]:
        single = {name: value for name, value in wire.items() if name != "recurrence"}
        event = feishu.decode(single, self._dialect, role=self._role(calendar, wire))
        return recurrence.expand(event, since, until)

    def _is_series(self, calendar: str, ref: str) -> bool:
        wire = self._api.event(calendar, ref, attendees=False)
        return bool(wire and not feishu.is_cancelled(wire) and wire.get("recurrence"))

    def _holder(self, calendar: str, extra: Extra, wires: Iterable[Wire]) -> str:
        """The event that stands for a date: the oldest of those that say so."""
        claims = sorted({feishu.main_id(str(wire["event_id"])) for wire in wires})
        known = self.extras.holder(calendar, extra)
        if known is not None and known in claims:
            return known

        def age(event_id: str) -> tuple[int, str]:
            wire = self._api.event(calendar, event_id, attendees=False) or {}
            return int(wire.get("create_time") or 0), event_id

        return min(claims, key=age) if len(claims) > 1 else claims[0]

    def _views(self, calendar: str, since: datetime, until: datetime) -> Iterator[Wire]:
        """Windows as wide as Feishu takes them, halved where they hold too much."""
        while since < until:
            end = min(since + _VIEW_SPAN, until)
            yield from self._view(calendar, since, end)
            since = end

    def _view(self, calendar: str, since: datetime, until: datetime) -> Iterator[Wire]:
        try:
            yield from self._api.instance_view(
                calendar, int(since.timestamp()), int(until.timestamp())
            )
        except RejectedError as error:
            if error.code not in TOO_MANY_INSTANCES or until - since < _SHORTEST_VIEW:
                raise
            middle = since + (until - since) / 2
            yield from self._view(calendar, since, middle)
            yield from self._view(calendar, middle, until)


def _with_exceptions(copy: Copy, exceptions: Sequence[tuple[Override, Member]]) -> Copy:
    overrides = tuple(sorted((found[0] for found in exceptions), key=lambda item: item.key))
    return replace(
        copy,
        event=recurrence.tidy(replace(copy.event, overrides=overrides)),
        members=in_order([*copy.members, *(member for _, member in exceptions)]),
    )


def _member(key: Key, wire: Wire) -> Member:
    return Member(part=occurrence_part(key), id=str(wire["event_id"]))


def _occurrence_id(ref: str, key: Key, series: When) -> str:
    """The id that a key names now, even if it is from before the series became all-day."""
    return feishu.occurrence_id(ref, Key(key[:10]) if series.all_day else key, series)


def _shows_attendees(wire: Wire, calendar: str) -> bool:
    """Whether the account is meant to see who else takes part."""
    ability = wire.get("attendee_ability", "none")
    return ability != "none" or feishu.organized(wire, calendar)


def _alone(wire: Wire) -> Wire:
    return {name: value for name, value in wire.items() if name != "attendees"}


def is_stray(event_id: str, series: When) -> bool:
    """True for an exception that replaces no occurrence: an all-day series begins at midnight
    UTC, and what it left behind when it was still a timed one stands beside its occurrences."""
    key = feishu.key_of(event_id, series)
    return feishu.occurrence_id(event_id, key, series) != event_id


def in_order(members: Iterable[Member]) -> tuple[Member, ...]:
    """The one order of members, whatever way they were found."""
    return tuple(sorted(members, key=lambda member: member.part))


@contextmanager
def _understood() -> Iterator[None]:
    """Whatever nonsense stands in an event concerns this event alone."""
    try:
        yield
    except UnmappableError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnmappableError("MALFORMED", f"a field cannot be read: {error}") from error


def _midnight(day: datetime | date) -> datetime:
    """An instant for comparisons: dates and naive wall clocks as if in UTC."""
    if not isinstance(day, datetime):
        return datetime.combine(day, time(), UTC)
    return day if day.tzinfo else day.replace(tzinfo=UTC)
