"""FindItem: paged listings and calendar views ("FindItem operation", EWS reference)."""

from datetime import timedelta
from typing import Any

from connectors.sandbox.exchange import occurrences, values
from connectors.sandbox.exchange.call import Call, Payload, children
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.occurrences import View, utc
from connectors.sandbox.exchange.restrictions import Restriction, comparable
from connectors.sandbox.exchange.shapes import Shape, render
from connectors.sandbox.exchange.soap import Element, child, m, need, t
from connectors.sandbox.exchange.state import CALENDAR, Folder, Mailbox

LONGEST_VIEW = timedelta(days=732)
MOST_FOUND = 1000
MOST_RESTRICTED = 250


def find(call: Call) -> Element:
    """FindItem."""
    shape = Shape.of(need(call.body, "m:ItemShape"), listing="refuse")
    view = child(call.body, "m:CalendarView")

    def one(element: Element) -> Payload:
        folder = call.folder(element)
        mailbox = call.world.mailbox_of_id(folder.id)
        if view is not None:
            return [_calendar_view(call, mailbox, folder, shape, view)]
        return [_page(call, mailbox, folder, shape)]

    return call.answer(children(call.body, "m:ParentFolderIds"), one)


def _calendar_view(
    call: Call, mailbox: Mailbox, folder: Folder, shape: Shape, view: Element
) -> Element:
    if folder.kind != CALENDAR:
        raise EwsError("ErrorCalendarFolderIsInvalidForCalendarView")
    if child(call.body, "m:Restriction") is not None or child(call.body, "m:SortOrder") is not None:
        raise EwsError("ErrorInvalidRestriction", "A calendar view cannot be restricted or sorted.")
    since = utc(values.instant(view.get("StartDate")))
    until = utc(values.instant(view.get("EndDate")))
    if until < since:
        raise EwsError("ErrorCalendarEndDateIsEarlierThanStartDate")
    if until - since > LONGEST_VIEW:
        raise EwsError("ErrorCalendarViewRangeTooBig")
    found = [
        event
        for item in folder.items.values()
        for event in occurrences.overlapping(call.world, item, since, until)
    ]
    found.sort(key=lambda event: (event.start, event.id))
    asked = view.get("MaxEntriesReturned")
    most = int(asked) if asked is not None else MOST_FOUND
    if most < 1:
        raise EwsError("ErrorInvalidPagingMaxRows")
    if asked is None and len(found) > MOST_FOUND:
        raise EwsError("ErrorExceededFindCountLimit")
    page = found[: min(most, MOST_FOUND)]
    return m(
        "RootFolder",
        t("Items", *(render(event, mailbox, shape) for event in page)),
        TotalItemsInView=str(len(page)),
        IncludesLastItemInRange="true" if len(page) == len(found) else "false",
    )


def _page(call: Call, mailbox: Mailbox, folder: Folder, shape: Shape) -> Element:
    restriction = Restriction.of(child(call.body, "m:Restriction"))
    found = [
        view
        for item in restriction.candidates(folder)
        if restriction.fits(view := View(call.world, item))
    ]
    for order in reversed(children(call.body, "m:SortOrder")):
        key = _sorting(order[0])
        found.sort(key=key, reverse=order.get("Order") == "Descending")
    paging = child(call.body, "m:IndexedPageItemView")
    offset, most = 0, MOST_FOUND
    if paging is not None:
        offset = int(paging.get("Offset"))
        most = int(paging.get("MaxEntriesReturned", str(MOST_FOUND)))
        if offset < 0:
            raise EwsError("ErrorInvalidIndexedPagingParameters")
        if most < 1:
            raise EwsError("ErrorInvalidPagingMaxRows")
        if paging.get("BasePoint") == "End":
            found.reverse()
    page = found[offset : offset + min(most, MOST_RESTRICTED if restriction.any else MOST_FOUND)]
    after = offset + len(page)
    return m(
        "RootFolder",
        t("Items", *(render(view, mailbox, shape) for view in page)),
        IndexedPagingOffset=str(after),
        TotalItemsInView=str(len(found)),
        IncludesLastItemInRange="true" if after >= len(found) else "false",
    )


def _sorting(uri: Element) -> Any:
    def key(view: View) -> Any:
        value = comparable(view, uri)
        return (value is not None, value)

    return key
