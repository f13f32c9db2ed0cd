"""What goes to attendees, and their answers."""

from connectors.sandbox.exchange.call import Call
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.occurrences import View
from connectors.sandbox.exchange.shapes import identity, is_meeting
from connectors.sandbox.exchange.soap import Element, local, need, t
from connectors.sandbox.exchange.state import Mailbox

RESPONSES = {
    "CancelCalendarItem": "",
    "AcceptItem": "Accept",
    "TentativelyAcceptItem": "Tentative",
    "DeclineItem": "Decline",
}


def invite(view: View, mailbox: Mailbox, send: str) -> None:
    """Mail the attendees of a meeting about to be stored, if the request says so."""
    if send == "SendToNone" or not is_meeting(view):
        return
    _mail(view, mailbox, _guests(view), "invitation")
    view.item.values["calendar:MeetingRequestWasSent"] = True


def tell_changed(before: View, after: View, mailbox: Mailbox, send: str) -> None:
    """Mail the attendees of a changed meeting: all, or those who were added or removed."""
    old, new = _guests(before), _guests(after)
    if send == "SendToNone":
        return
    if "Changed" in send:
        _mail(after, mailbox, new - old, "invitation")
    else:
        _mail(after, mailbox, new, "update")
    _mail(after, mailbox, old - new, "cancellation")


def cancel(view: View, mailbox: Mailbox, send: str) -> None:
    """Mail the attendees of a meeting that is deleted."""
    if send != "SendToNone" and view.value("organizer") is None:
        _mail(view, mailbox, _guests(view), "cancellation")


def respond(call: Call, element: Element) -> list[Element]:
    """The organizer cancels, or an attendee answers. Raises EwsError."""
    view = call.view(need(element, "t:ReferenceItemId"))
    mailbox, answer = call.owner(view.item), RESPONSES[local(element)]
    organizer = view.value("organizer")
    quiet = call.body.get("MessageDisposition", "SendAndSaveCopy") == "SaveOnly"
    if not answer:
        if organizer is not None:
            raise EwsError("ErrorCalendarIsNotOrganizer")
        cancel(view, mailbox, "SendToNone" if quiet else "SendToAllAndSaveCopy")
        mailbox.move(view.item, mailbox.folder_of_role("deleteditems"))
        return []
    if organizer is None:
        verb = "Tentative" if answer == "Tentative" else local(element).removesuffix("Item")
        raise EwsError(f"ErrorCalendarIsOrganizerFor{verb}")
    if not quiet:
        view.world.mail(organizer[1], _subject(view), answer)
    if answer == "Decline":
        mailbox.move(view.item, mailbox.folder_of_role("deleteditems"))
        return []
    draft = view.item.draft()
    draft.values["calendar:MyResponseType"] = answer
    return [t("CalendarItem", identity(View(view.world, mailbox.put(draft), view.original)))]


def _guests(view: View) -> set[str]:
    found = set()
    for name in ("RequiredAttendees", "OptionalAttendees", "Resources"):
        found |= {guest[1] for guest in view.value(f"calendar:{name}") or ()}
    return found


def _mail(view: View, mailbox: Mailbox, guests: set[str], why: str) -> None:
    for guest in sorted(guests - {mailbox.address}):
        view.world.mail(guest, _subject(view), why)


def _subject(view: View) -> str:
    return str(view.value("item:Subject") or "")
