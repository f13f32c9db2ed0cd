"""The listing of a calendar as changes: paging, cursors, and exceptions put to their series.

Source: docs "Get event list", tutorial "Obtain calendar events automatically".
"""

from collections.abc import Iterable, Iterator, Mapping

from connectors.contract import (
    Change,
    Fragment,
    Gone,
    Listing,
    Member,
    Page,
    Unreadable,
    Whole,
)
from connectors.errors import RejectedError, ResyncError, RetryableError
from connectors.feishu.api import CalendarApi, Wire
from connectors.feishu.errors import EVENT_GONE, PROVIDER
from connectors.feishu.reading import EventReader, is_stray
from connectors.recent import Recent
from mappings import feishu
from mappings.errors import UnmappableError
from mappings.feishu_extras import Extra
from mappings.model import Event, Override, When

_REMEMBERED = 20_000


class SeriesTimes:
    """When the series start that were seen lately: the keys of exceptions hang on it.

    Another process may have seen a series move to another zone that this one remembers
    otherwise, so `recall` answers only where the exception itself speaks for what is remembered.
    """

    def __init__(self) -> None:
        self._known: Recent[tuple[str, str], When] = Recent(_REMEMBERED)

    def remember(self, calendar: str, ref: str, when: When) -> None:
        """The series starts at `when`."""
        self._known.put((calendar, ref), when)

    def forget(self, calendar: str, ref: str) -> None:
        """There is no such series (any more)."""
        self._known.forget((calendar, ref))

    def recall(self, calendar: str, ref: str, exceptions: Iterable[Wire]) -> When | None:
        """When it starts, None if that is unknown or in doubt."""
        when = self._known.get((calendar, ref))
        if when is None:
            return None
        for wire in exceptions:
            start = wire.get("start_time") or {}
            if bool(start.get("date")) != when.all_day:
                return None
            if not when.all_day and start.get("timezone") != when.zone:
                return None
        return when


class Lister:
    """Lists the calendars of one account."""

    def __init__(
        self,
        api: CalendarApi,
        reader: EventReader,
        *,
        page_size: int,
        full_since: int,
        removals_hidden: bool = False,
    ) -> None:
        self._api = api
        self._reader = reader
        self._page_size = page_size
        self._full_since = full_since
        self._removals_hidden = removals_hidden
        self.series = SeriesTimes()

    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        """See `Connector.changes`. One GET per page, and one for the master of exceptions that
        come without it; in a full listing that hides removed occurrences, two or more per
        series."""
        full = Listing.COMPLETE if self._full_since == 1 else Listing.PARTIAL
        listing = Listing.DELTA if cursor else full
        batch = _Batch(self._api, self._reader, self.series, calendar, delta=bool(cursor))
        for items, following in self._pages(calendar, cursor):
            changes = batch.page(items, last=following is not None)
            if self._removals_hidden and not cursor:
                changes = self._reader.each(changes, lambda each: self._completed(calendar, each))
            yield Page(changes=tuple(changes), listing=listing, cursor=following)

    def _completed(self, calendar: str, change: Change) -> Change:
        """A series together with its removed occurrences, which would else take place again."""
        if not isinstance(change, Whole) or not change.copy.event.recurring:
            return change
        try:
            return Whole(copy=self._reader.with_removals(calendar, change.copy))
        except UnmappableError as error:
            return Unreadable(ref=change.ref, code=error.code, detail=error.detail)
        except RejectedError as error:
            if error.code in EVENT_GONE:
                return change  # deleted meanwhile, which the next delta tells
            raise

    def _pages(self, calendar: str, cursor: str | None) -> Iterator[tuple[list[Wire], str | None]]:
        """Pages of items; the last one with the next cursor.

        A page goes on by page token; where that is missing, by the sync token that came instead.
        Pages may be short or empty while there is more.
        """
        start = {"sync_token": cursor} if cursor else {"anchor_time": str(self._full_since)}
        position, used = start, set(start.values())
        while True:
            data = self._page(calendar, position)
            items = list(data["items"])
            page_token, sync_token = data.get("page_token"), data.get("sync_token")
            if not data.get("has_more"):
                if not sync_token:
                    raise _broken("ended without a sync token")
                yield items, str(sync_token)
                return
            onward = str(page_token or sync_token or "")
            position = {"page_token" if page_token else "sync_token": onward}
            if not onward or onward in used:
                raise _broken("does not go on")
            used.add(onward)
            yield items, None

    def _page(self, calendar: str, position: Mapping[str, str]) -> Wire:
        try:
            return self._api.page(calendar, position, self._page_size)
        except RejectedError as error:
            if "anchor_time" in position:
                raise
            # Only our token can be what Feishu dislikes about this call.
            raise ResyncError(f"the cursor was refused: {error.message}", **error.facts) from error


class _Batch:
    """The changes of one listing. Exceptions wait until their series is known."""

    def __init__(
        self,
        api: CalendarApi,
        reader: EventReader,
        series: SeriesTimes,
        calendar: str,
        *,
        delta: bool,
    ) -> None:
        self._api = api
        self._reader = reader
        self._series = series
        self._calendar = calendar
        self._delta = delta
        self._seen: dict[str, Event | None] = {}
        self._waiting: dict[str, list[Wire]] = {}

    def page(self, wires: Iterable[Wire], *, last: bool) -> list[Change]:
        """What this page tells; on the last one also what had to wait."""
        changes: list[Change] = []
        for wire in wires:
            extra = self._reader.extras.of(self._calendar, wire)
            if extra is not None:
                self._waiting.setdefault(extra.main, []).append(wire)
            elif feishu.is_exception(wire):
                ref = feishu.main_id(str(wire["event_id"]))
                self._waiting.setdefault(ref, []).append(wire)
            else:
                changes.append(self._main(wire))
        for ref in [ref for ref in self._waiting if ref in self._seen]:
            changes += self._fragment(ref, self._seen[ref], self._waiting.pop(ref))
        if last:
            for ref, waiting in self._waiting.items():
                changes += self._late(ref, waiting) if self._delta else self._alone(waiting)
        return changes

    def _main(self, wire: Wire) -> Change:
        ref = str(wire["event_id"])
        self._seen[ref] = None
        self._series.forget(self._calendar, ref)
        if feishu.is_cancelled(wire):
            return Gone(ref=ref)
        try:
            copy = self._reader.copy(self._calendar, wire)
        except UnmappableError as error:
            return Unreadable(ref=ref, code=error.code, detail=error.detail)
        if not copy.event.recurring:
            return Whole(copy=copy)
        self._seen[ref] = copy.event
        self._series.remember(self._calendar, ref, copy.event.when)
        return Fragment(ref=ref, main=copy) if self._delta else Whole(copy=copy)

    def _late(self, ref: str, waiting: list[Wire]) -> list[Change]:
        """Exceptions whose series did not change itself. No series any more = orphans, which
        Feishu leaves behind when a series is deleted; nobody sees them."""
        exceptions = [wire for wire in waiting if feishu.is_exception(wire)]
        when = self._series.recall(self._calendar, ref, exceptions)
        if when is not None and exceptions:
            return self._fragment(ref, when, waiting)
        wire = self._api.event(self._calendar, ref, attendees=False)
        if wire is None or feishu.is_cancelled(wire):
            return self._alone(waiting)
        try:
            copy = self._reader.copy(self._calendar, wire)
        except UnmappableError as error:
            return [Unreadable(ref=ref, code=error.code, detail=error.detail)]
        self._series.remember(self._calendar, ref, copy.event.when)
        return self._fragment(ref, copy.event if copy.event.recurring else None, waiting)

    def _alone(self, waiting: Iterable[Wire]) -> list[Change]:
        """Dates beside a series that is gone are events for themselves from then on."""
        return [self._main(wire) for wire in waiting if not feishu.is_exception(wire)]

    def _fragment(
        self, ref: str, series: Event | When | None, waiting: Iterable[Wire]
    ) -> list[Change]:
        """The exceptions of one series, if there (still) is one that can be read."""
        if series is None:
            return self._alone(waiting)
        when = series.when if isinstance(series, Event) else series
        overrides: dict[str, Override] = {}
        members: dict[str, Member] = {}
        waiting = list(waiting)
        beside, copied = self._beside(waiting)
        try:
            for wire in filter(feishu.is_exception, waiting):
                if feishu.is_cancelled(wire) and is_stray(str(wire["event_id"]), when):
                    continue
                override, member = self._reader.override(self._calendar, wire, when)
                overrides[override.key] = override
                members[member.part] = member
            for extra, wire in beside.items():
                override, member = self._reader.extra_date(self._calendar, wire, extra)
                if not override.cancelled:
                    overrides[override.key], members[member.part] = override, member
                else:
                    overrides.setdefault(override.key, override)
        except UnmappableError as error:
            return [Unreadable(ref=ref, code=error.code, detail=error.detail)]
        if not overrides:
            return copied
        shown = tuple(overrides.values())
        return [Fragment(ref=ref, overrides=shown, members=tuple(members.values())), *copied]

    def _beside(self, waiting: Iterable[Wire]) -> tuple[dict[Extra, Wire], list[Change]]:
        """What stands for each date beside a series, and what only says so, because a person has
        copied it: events for themselves."""
        found: dict[Extra, list[Wire]] = {}
        for wire in waiting:
            extra = self._reader.extras.of(self._calendar, wire)
            if extra is not None:
                found.setdefault(extra, []).append(wire)
        chosen: dict[Extra, Wire] = {}
        copied: list[Change] = []
        for extra, wires in found.items():
            living = sorted(
                (wire for wire in wires if not feishu.is_cancelled(wire)),
                key=lambda wire: (int(wire.get("create_time") or 0), str(wire["event_id"])),
            )
            holder = self._holder(extra, wires) if self._delta else None
            for wire in living:
                holder = holder or str(wire["event_id"])
                if wire["event_id"] == holder:
                    chosen[extra] = wire
                else:
                    copied.append(self._main(wire))
            if holder is not None:
                self._reader.extras.hold(self._calendar, extra, holder)
            elif wires:
                chosen[extra] = wires[0]
        return chosen, copied

    def _holder(self, extra: Extra, wires: Iterable[Wire]) -> str | None:
        """The event that stood for the date before this delta, if it still does."""
        holder = self._reader.extras.holder(self._calendar, extra)
        shown = next((wire for wire in wires if wire["event_id"] == holder), None)
        if holder is not None and shown is None:
            shown = self._api.event(self._calendar, holder, attendees=False)
        if shown is None or feishu.is_cancelled(shown):
            return None
        return holder if self._reader.extras.of(self._calendar, shown) == extra else None


def _broken(how: str) -> RetryableError:
    return RetryableError(
        f"the listing {how}", provider=PROVIDER, operation="GET /calendars/:calendar_id/events"
    )
