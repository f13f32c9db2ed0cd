"""One request on its way through the sandbox."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import partial

from connectors.sandbox.exchange import ids, occurrences
from connectors.sandbox.exchange.errors import EwsError, EwsFaultError
from connectors.sandbox.exchange.occurrences import View
from connectors.sandbox.exchange.soap import (
    MESSAGES,
    Element,
    child,
    local,
    m,
    message_xml,
    text,
)
from connectors.sandbox.exchange.state import Folder, Item, Mailbox, World

Payload = list[Element]


@dataclass(frozen=True)
class Call:
    """A request that passed authentication.

    `actor` is whose rights count, `mailbox` what distinguished folders mean without a name,
    `zone` the Windows name of the TimeZoneContext ("" = none).
    """

    world: World
    actor: Mailbox
    mailbox: Mailbox
    body: Element
    zone: str = ""

    @property
    def name(self) -> str:
        """The operation."""
        return local(self.body)

    def open(self, mailbox: Mailbox) -> Mailbox:
        """The mailbox, if the actor may use it now. Raises EwsError or EwsFaultError."""
        allowed = mailbox in (self.actor, self.mailbox) or self.actor.address in mailbox.delegates
        if not allowed:
            raise EwsError("ErrorAccessDenied")
        check_status(mailbox)
        return mailbox

    def folder(self, element: Element) -> Folder:
        """The folder of a FolderId or DistinguishedFolderId. Raises EwsError."""
        if local(element) == "FolderId":
            return self.open(self.world.mailbox_of_id(element.get("Id"))).folder(element.get("Id"))
        address = text(element, "t:Mailbox/t:EmailAddress")
        mailbox = self.world.mailbox(address) if address else self.mailbox
        return self.open(mailbox).folder_of_role(element.get("Id"))

    def owner(self, item: Item) -> Mailbox:
        """The mailbox that holds the item."""
        return self.world.mailbox_of_id(item.id)

    def view(self, element: Element) -> View:
        """The item that an ItemId, OccurrenceItemId or RecurringMasterItemId names."""
        match local(element):
            case "OccurrenceItemId":
                item, day = self._stored(element.get("RecurringMasterId"))
                if day is not None or item.recurrence is None:
                    raise EwsError("ErrorCalendarCannotUseIdForRecurringMasterId")
                return occurrences.at_index(self.world, item, int(element.get("InstanceIndex")))
            case "RecurringMasterItemId":
                item, day = self._stored(element.get("OccurrenceId"))
                if day is None and item.recurrence is None:
                    raise EwsError("ErrorCalendarCannotUseIdForOccurrenceId")
                return View(self.world, item)
            case "ItemId" | "ReferenceItemId":
                item, day = self._stored(element.get("Id"))
                if day is None:
                    return View(self.world, item)
                return occurrences.occurrence(self.world, item, day)
            case _:
                raise EwsError("ErrorInvalidIdMalformed")

    def _stored(self, identifier: str) -> tuple[Item, date | None]:
        item_id, day = ids.split(identifier)
        return self.open(self.world.mailbox_of_id(identifier)).item(item_id), day

    def answer(
        self,
        things: Iterable[Element],
        handle: Callable[[Element], Payload],
        on_error: Callable[[], Payload] = list,
    ) -> Element:
        """The operation's response with one message for each thing, in order."""
        messages = [self._message(partial(handle, thing), on_error) for thing in things]
        return self.response(*messages)

    def answer_once(
        self, handle: Callable[[], Payload], on_error: Callable[[], Payload] = list
    ) -> Element:
        """The operation's response with a single message."""
        return self.response(self._message(handle, on_error))

    def response(self, *messages: Element) -> Element:
        """The operation's response."""
        return m(f"{self.name}Response", m("ResponseMessages", *messages))

    def _message(self, handle: Callable[[], Payload], on_error: Callable[[], Payload]) -> Element:
        try:
            return success(self.name, *handle())
        except EwsError as error:
            return failure(self.name, error, *on_error())


def success(operation: str, *payload: Element) -> Element:
    """A response message without error."""
    code = m("ResponseCode", "NoError")
    return m(f"{operation}ResponseMessage", code, *payload, ResponseClass="Success")


def failure(operation: str, error: EwsError, *payload: Element) -> Element:
    """A response message with an error, before the payload that is due even then."""
    return m(
        f"{operation}ResponseMessage",
        m("MessageText", error.message),
        m("ResponseCode", error.code),
        m("DescriptiveLinkKey", "0"),
        message_xml(error.values, MESSAGES) if error.values else None,
        *payload,
        ResponseClass="Error",
    )


def check_status(mailbox: Mailbox) -> None:
    """Whether the mailbox can be used at all. Raises EwsError."""
    code = {
        "moving": "ErrorMailboxMoveInProgress",
        "unavailable": "ErrorMailboxStoreUnavailable",
        "disabled": "ErrorAccountDisabled",
    }.get(mailbox.status)
    if code is not None:
        raise EwsError(code)


def fault_of(error: EwsError) -> EwsFaultError:
    """The same refusal for the whole request."""
    return EwsFaultError(error.code, error.message, **error.values)


def children(element: Element, path: str) -> list[Element]:
    """The elements inside the one at that path."""
    found = child(element, path)
    return [] if found is None else list(found)
