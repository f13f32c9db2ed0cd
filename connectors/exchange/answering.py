"""Answering an invitation: AcceptItem, TentativelyAcceptItem, DeclineItem.

With `SaveOnly` the answer stands on the account's own item and no mail goes to the organiser
(Exchange Web Services reference, "AcceptItem"). A declined meeting leaves the calendar for the
Deleted Items; an accepted one may come back under another id.
"""

from dataclasses import replace

from connectors.answers import with_answer
from connectors.contract import Copy
from connectors.errors import ConflictError
from connectors.exchange.client import Client, Wire
from connectors.exchange.comparison import changed
from connectors.exchange.edits import sure
from connectors.exchange.errors import PROVIDER, AbsentError, StaleError
from connectors.exchange.reading import Reader, item_id
from mappings.model import Response

_ELEMENTS = {
    Response.ACCEPTED: "AcceptItem",
    Response.TENTATIVE: "TentativelyAcceptItem",
    Response.DECLINED: "DeclineItem",
}


def answer(client: Client, reader: Reader, calendar: str, copy: Copy, response: Response) -> Copy:
    """Give this answer. Two calls, one for a look before and one after.

    The copy of a declined meeting is what it was with the answer, although nothing stands in the
    calendar any more. Raises `ConflictError` if the invitation is gone or not as `copy` shows it.
    """
    group = reader.fetch(calendar, copy.ref)
    if group is None:
        raise _conflict(copy.ref, None)
    now = reader.copy(group)
    if now.event.details.response == response:
        return now
    if changed(copy, now):
        raise _conflict(copy.ref, now)
    place = {"@Id": group.main.id, "@ChangeKey": group.main.version}
    content = {
        "@MessageDisposition": "SaveOnly",
        "Items": {_ELEMENTS[response]: {"ReferenceItemId": place}},
    }
    try:
        answered = sure(client.call("CreateItem", content)[0])
    except (AbsentError, StaleError) as error:
        found = reader.fetch(calendar, copy.ref)
        raise _conflict(copy.ref, reader.copy(found) if found else None) from error
    for ref in _refs(answered, copy.ref):
        found = reader.fetch(calendar, ref)
        if found is not None:
            return reader.copy(found)
    if response is not Response.DECLINED:
        raise _conflict(copy.ref, None)
    return replace(now, event=with_answer(now.event, response))


def _refs(answered: Wire, ref: str) -> list[str]:
    """Where the meeting may stand now: among what an answer makes is its item in the calendar."""
    items = answered.get("Items")
    made = items.get("CalendarItem") if isinstance(items, dict) else None
    return list(dict.fromkeys([item_id(made), ref] if isinstance(made, dict) else [ref]))


def _conflict(ref: str, current: Copy | None) -> ConflictError:
    return ConflictError(
        f"The invitation {ref} was {'changed' if current else 'withdrawn'} meanwhile.",
        current=current,
        provider=PROVIDER,
        operation="CreateItem",
        code="conflict",
    )
