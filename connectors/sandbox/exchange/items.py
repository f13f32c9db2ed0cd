"""CreateItem, GetItem, UpdateItem, DeleteItem, MoveItem and CopyItem."""

from connectors.sandbox.exchange import ids, invitations, writing
from connectors.sandbox.exchange.call import Call, Payload, children, fault_of
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.occurrences import View, dates_of
from connectors.sandbox.exchange.recurrence import Recurrence
from connectors.sandbox.exchange.shapes import OUTLOOK_UID, Shape, identity, render
from connectors.sandbox.exchange.soap import Element, child, local, m, need, t, text
from connectors.sandbox.exchange.state import CALENDAR, Folder, Item, Mailbox, World
from connectors.sandbox.exchange.writing import Changes


def get(call: Call) -> Element:
    """GetItem."""
    shape = Shape.of(need(call.body, "m:ItemShape"))

    def one(element: Element) -> Payload:
        view = call.view(element)
        return [m("Items", render(view, call.owner(view.item), shape))]

    return call.answer(children(call.body, "m:ItemIds"), one, lambda: [m("Items")])


def create(call: Call) -> Element:
    """CreateItem."""
    target = child(call.body, "m:SavedItemFolderId")
    try:
        folder = call.mailbox.folder_of_role("calendar")
        if target is not None:
            folder = call.folder(target[0])
    except EwsError as error:
        if error.code == "ErrorFolderNotFound":
            error = EwsError("ErrorSavedItemFolderNotFound")
        raise fault_of(error) from None

    def one(element: Element) -> Payload:
        if local(element) in invitations.RESPONSES:
            return [m("Items", *invitations.respond(call, element))]
        if local(element) != "CalendarItem":
            raise EwsError("ErrorInvalidOperation", "This server keeps calendar items only.")
        send = call.body.get("SendMeetingInvitations")
        if send is None:
            raise EwsError("ErrorSendMeetingInvitationsRequired")
        view = created(call.world, folder, Changes.of_new(call.world, element), call.zone, send)
        return [m("Items", t("CalendarItem", identity(view)))]

    return call.answer(children(call.body, "m:Items"), one, lambda: [m("Items")])


def created(world: World, folder: Folder, changes: Changes, zone: str, send: str) -> View:
    """A new calendar item. Raises EwsError."""
    mailbox = world.mailbox_of_id(folder.id)
    _check_writable(mailbox)
    if folder.kind != CALENDAR:
        raise EwsError("ErrorCannotCreateCalendarItemInNonCalendarFolder")
    item = Item(mailbox.new_id(), folder, {})
    writing.fill_new(world, item, changes, zone)
    if "calendar:UID" not in item.values:
        item.values["calendar:UID"] = OUTLOOK_UID + world.dice.randbytes(40).hex().upper()
    invitations.invite(View(world, item), mailbox, send)
    return View(world, mailbox.put(item))


def update(call: Call) -> Element:
    """UpdateItem."""

    def one(change: Element) -> Payload:
        send = call.body.get("SendMeetingInvitationsOrCancellations")
        view = call.view(change[0])
        if send is None:
            raise EwsError("ErrorSendMeetingInvitationsOrCancellationsRequired")
        stale = _check_version(view.item, change[0], call.body.get("ConflictResolution"))
        changes = Changes.of_updates(call.world, need(change, "t:Updates"))
        view = changed(view, call.owner(view.item), changes, send)
        count = t("Count", str(int(stale)))
        return [m("Items", t("CalendarItem", identity(view))), m("ConflictResults", count)]

    return call.answer(children(call.body, "m:ItemChanges"), one, lambda: [m("Items")])


def _check_version(item: Item, element: Element, resolution: str) -> bool:
    """Whether the caller's change key is stale and yet good enough. Raises EwsError."""
    key = element.get("ChangeKey")
    if not key:
        raise EwsError("ErrorChangeKeyRequiredForWriteOperations")
    ids.check_change_key(key)
    if key == item.change_key:
        return False
    if resolution == "NeverOverwrite":
        raise EwsError("ErrorIrresolvableConflict")
    return True


def changed(view: View, mailbox: Mailbox, changes: Changes, send: str) -> View:
    """The item after a change: a single one, a series, or one occurrence. Raises EwsError."""
    _check_writable(mailbox)
    draft = view.item.draft()
    if view.original is None:
        writing.fill(view.world, draft, changes)
    else:
        writing.fill_occurrence(view.world, draft, view.original, changes)
    if not view.world.switches.touch_on_noop and draft.same_content(view.item):
        return view
    after = View(view.world, mailbox.put(draft), view.original)
    invitations.tell_changed(view, after, mailbox, send)
    return after


def delete(call: Call) -> Element:
    """DeleteItem."""

    def one(element: Element) -> Payload:
        send = call.body.get("SendMeetingCancellations")
        view = call.view(element)
        if send is None:
            raise EwsError("ErrorSendMeetingCancellationsRequired")
        deleted(view, call.owner(view.item), call.body.get("DeleteType"), send)
        return []

    return call.answer(children(call.body, "m:ItemIds"), one)


def deleted(view: View, mailbox: Mailbox, how: str, send: str) -> None:
    """Delete an item, a series or one occurrence. Raises EwsError."""
    _check_writable(mailbox)
    item = view.item
    invitations.cancel(view, mailbox, send)
    if view.original is not None:
        draft = item.draft()
        draft.exceptions.pop(view.original, None)
        draft.deleted.add(view.original)
        assert draft.recurrence is not None
        if _all_deleted(draft.recurrence, draft):
            if view.world.switches.last_occurrence == "refuse":
                raise EwsError("ErrorRecurrenceHasNoOccurrence")
            deleted(View(view.world, item), mailbox, how, "SendToNone")
            return
        mailbox.put(draft)
    elif how == "MoveToDeletedItems":
        mailbox.move(item, mailbox.folder_of_role("deleteditems"))
    else:
        mailbox.remove(item)
        role = "deletions" if how == "SoftDelete" else "purges"
        kept = item.draft()
        kept.id, kept.folder = mailbox.new_id(), mailbox.folder_of_role(f"recoverableitems{role}")
        mailbox.put(kept, tell=False)


def _all_deleted(recurrence: Recurrence, item: Item) -> bool:
    dates, position = dates_of(recurrence), 0
    while (day := dates.at(position)) is not None:
        if day not in item.deleted:
            return False
        position += 1
    return True


def move(call: Call) -> Element:
    """MoveItem and CopyItem: the result has a new id."""
    copying = call.name == "CopyItem"

    def one(element: Element) -> Payload:
        try:
            target = call.folder(need(call.body, "m:ToFolderId")[0])
        except EwsError as error:
            code = error.code.replace("ErrorFolderNotFound", "ErrorToFolderNotFound")
            raise EwsError(code) from None
        view = call.view(element)
        if view.original is not None:
            raise EwsError("ErrorCalendarCannotMoveOrCopyOccurrence")
        mailbox = call.owner(view.item)
        if call.world.mailbox_of_id(target.id) is not mailbox:
            raise EwsError("ErrorCrossMailboxMoveCopy")
        if copying:
            draft = view.item.draft()
            draft.id, draft.folder = mailbox.new_id(), target
            item = mailbox.put(draft)
        else:
            item = mailbox.move(view.item, target)
        if text(call.body, "m:ReturnNewItemIds", "true") in ("false", "0"):
            return [m("Items")]
        return [m("Items", t("CalendarItem", identity(View(call.world, item))))]

    return call.answer(children(call.body, "m:ItemIds"), one, lambda: [m("Items")])


def _check_writable(mailbox: Mailbox) -> None:
    if mailbox.status == "readonly":
        raise EwsError("ErrorAccessDenied")
