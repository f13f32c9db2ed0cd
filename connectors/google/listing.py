"""What changed in a calendar (Calendar API guide "Synchronize resources efficiently").

Masters, single events and exceptions are listed, never expanded occurrences. A sync token holds
only for the parameters it was given for, so they are fixed, and a cursor carries their mark.
"""

from collections.abc import Iterator
from dataclasses import replace

from connectors.contract import Change, Copy, Fragment, Gone, Listing, Page, Unreadable, Whole
from connectors.errors import FatalError, RejectedError, ResyncError
from connectors.google.client import Client, Wire
from connectors.google.errors import PROVIDER, AbsentError
from connectors.google.reading import (
    PAGE,
    Reader,
    belongs,
    exception,
    follows_rule,
    gone_calendar,
    is_series,
    single_or_master,
    updated_of,
)
from connectors.google.recall import Recall
from mappings import google as dialect
from mappings.errors import UnmappableError
from mappings.model import Event

EVENT_TYPES = ["default", "focusTime", "outOfOffice", "fromGmail"]
"""What counts as an event; birthdays and working locations are not meetings of anybody."""

_PARAMETERS = {
    "singleEvents": False,
    "showDeleted": True,
    "maxResults": PAGE,
    "eventTypes": EVENT_TYPES,
}
_MARK = "1:"
"""Changes whenever `_PARAMETERS` does; older cursors are then void."""


def changes(
    client: Client, reader: Reader, recall: Recall, calendar: str, cursor: str | None
) -> Iterator[Page]:
    """The pages of one listing; `Connector.changes` says what they promise."""
    listing = Listing.COMPLETE if cursor is None else Listing.DELTA
    one = _Pass(reader, recall, calendar, listing)
    for answer in _answers(client, calendar, cursor):
        zone = reader.note_zone(calendar, answer)
        found = one.page(answer.get("items", []), zone)
        if "nextPageToken" in answer:
            yield Page(changes=tuple(found), listing=listing)
        else:
            found += one.leftovers()
            yield Page(
                changes=tuple(found), listing=listing, cursor=_MARK + answer["nextSyncToken"]
            )


def _answers(client: Client, calendar: str, cursor: str | None) -> Iterator[Wire]:
    token: dict[str, str] = {}
    if cursor is not None:
        if not cursor.startswith(_MARK):
            raise _void("it was made for other parameters")
        token = {"syncToken": cursor.removeprefix(_MARK)}
    page: dict[str, str] = {}
    while True:
        try:
            answer = client.read("events.list", calendarId=calendar, **_PARAMETERS, **token, **page)
        except AbsentError as error:
            raise gone_calendar(calendar, error) from error
        except RejectedError as error:
            # Nothing but the token can be wrong with a listing.
            if cursor is None:
                raise FatalError(error.message, **error.facts) from error
            raise _void("Google does not know it") from error
        yield answer
        if "nextPageToken" not in answer:
            if not answer.get("nextSyncToken"):
                raise FatalError(
                    f"Google ended the listing of {calendar} without a sync token; nothing of it "
                    "can be trusted to be complete.",
                    provider=PROVIDER,
                    operation="events.list",
                    code="no-sync-token",
                )
            return
        page = {"pageToken": answer["nextPageToken"]}


def _void(why: str) -> ResyncError:
    return ResyncError(
        f"The sync token is void ({why}). Everything is listed again.",
        provider=PROVIDER,
        operation="events.list",
        code="sync-token",
    )


class _Pass:
    """One listing from its first page to its last."""

    def __init__(self, reader: Reader, recall: Recall, calendar: str, listing: Listing) -> None:
        self._reader = reader
        self._recall = recall
        self._calendar = calendar
        self._delta = listing is Listing.DELTA
        self._series: dict[str, Event] = {}
        self._waiting: dict[str, list[Wire]] = {}
        self._unreadable: set[str] = set()
        self._zone = "UTC"

    def page(self, wires: list[Wire], zone: str) -> list[Change]:
        """What one page tells: units first, then exceptions of series known by now."""
        self._zone = zone
        found: list[Change] = []
        whole: set[str] = set()
        for wire in wires:
            if "recurringEventId" not in wire:
                change = self._unit(wire)
                found.append(change)
                if self._delta and isinstance(change, Whole):
                    whole.add(change.ref)
        for wire in wires:
            master = wire.get("recurringEventId")
            if master is None or master in whole:
                continue  # read again after this page was made, hence with its exceptions
            series = self._known(master)
            if series is None:
                self._waiting.setdefault(master, []).append(wire)
            elif belongs(wire, series):
                found.append(_fragment(wire, series))
        return found

    def leftovers(self) -> list[Change]:
        """Exceptions listed before their series, or without it: then it is read, or they stand
        alone."""
        found: list[Change] = []
        for master, wires in self._waiting.items():
            if master in self._unreadable:
                continue
            series = self._known(master)
            if series is None:
                try:
                    series = self._reader.series_event(self._calendar, master)
                except UnmappableError as error:
                    found.append(Unreadable(ref=master, code=error.code, detail=error.detail))
                    continue
            if series is None:
                found += [self._alone(orphan) for orphan in wires]
                continue
            found += [_fragment(each, series) for each in wires if belongs(each, series)]
        return found

    def _known(self, master: str) -> Event | None:
        return self._series.get(master) or self._recall.series.get((self._calendar, master))

    def _unit(self, wire: Wire) -> Change:
        ref = wire["id"]
        if dialect.is_cancelled(wire):
            return Gone(ref=ref)
        try:
            copy = single_or_master(wire, self._zone)
        except UnmappableError as error:
            self._unreadable.add(ref)
            return Unreadable(ref=ref, code=error.code, detail=error.detail)
        if not is_series(wire):
            return Whole(copy=copy)
        self._series[ref] = copy.event
        self._recall.series.put((self._calendar, ref), copy.event)
        return self._changed_series(copy, wire) if self._delta else Whole(copy=copy)

    def _changed_series(self, copy: Copy, wire: Wire) -> Change:
        """A delta shows the master alone; what it did to the exceptions has to be read.

        It does not say which EXDATEs are gone, nor which exceptions a new time or rule ended.
        Only the echo of our own write tells nothing new.
        """
        if self._recall.echoes.get((self._calendar, copy.ref)) == copy.version():
            return Fragment(
                ref=copy.ref,
                main=replace(copy, event=replace(copy.event, overrides=())),
                overrides=copy.event.overrides,
                members=copy.members,
                updated=copy.updated,
            )
        try:
            now = self._reader.series(self._calendar, copy.ref, wire["iCalUID"])
        except RejectedError as error:
            return Unreadable(ref=copy.ref, code=error.code, detail=error.message)
        return Gone(ref=copy.ref) if now is None else Whole(copy=now)

    def _alone(self, wire: Wire) -> Change:
        """An occurrence to which the account was invited without the rest of the series."""
        if dialect.is_cancelled(wire):
            return Gone(ref=wire["id"])
        try:
            return Whole(copy=single_or_master(wire, self._zone))
        except UnmappableError as error:
            return Unreadable(ref=wire["id"], code=error.code, detail=error.detail)


def _fragment(wire: Wire, series: Event) -> Change:
    ref = wire["recurringEventId"]
    try:
        override, member = exception(wire, series)
    except UnmappableError as error:
        return Unreadable(ref=ref, code=error.code, detail=error.detail)
    if follows_rule(override, series):
        return Fragment(
            ref=ref, reverted=(override.key,), members=(member,), updated=updated_of(wire)
        )
    return Fragment(ref=ref, overrides=(override,), members=(member,), updated=updated_of(wire))
