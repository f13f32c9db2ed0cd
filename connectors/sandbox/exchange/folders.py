"""GetFolder, FindFolder, CreateFolder, UpdateFolder, DeleteFolder and SyncFolderHierarchy."""

import base64
import binascii
import json

from connectors.sandbox.exchange.call import Call, Payload, children
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.soap import Element, child, local, m, need, t, text
from connectors.sandbox.exchange.state import CALENDAR, NOTES, Folder, Mailbox


def render(mailbox: Mailbox, folder: Folder, base: str) -> Element:
    """The folder's element."""
    name = "CalendarFolder" if folder.kind == CALENDAR else "Folder"
    identity = reference(folder)
    if base == "IdOnly":
        return t(name, identity)
    above = folder.parent
    below = sum(1 for other in mailbox.folders.values() if other.parent is folder)
    parent = t("ParentFolderId", Id=above.id, ChangeKey=above.change_key) if above else None
    return t(
        name,
        identity,
        parent,
        t("FolderClass", folder.kind) if folder.kind else None,
        t("DisplayName", folder.name),
        t("TotalCount", str(len(folder.items))),
        t("ChildFolderCount", str(below)),
    )


def reference(folder: Folder) -> Element:
    """FolderId."""
    return t("FolderId", Id=folder.id, ChangeKey=folder.change_key)


def _base(call: Call) -> str:
    """Which properties; whoever asks for additional ones gets all that there are."""
    shape = need(call.body, "m:FolderShape")
    extra = child(shape, "t:AdditionalProperties") is not None
    return "Default" if extra else text(shape, "t:BaseShape")


def get(call: Call) -> Element:
    """GetFolder."""

    def one(element: Element) -> Payload:
        folder = call.folder(element)
        mailbox = call.world.mailbox_of_id(folder.id)
        return [m("Folders", render(mailbox, folder, _base(call)))]

    return call.answer(children(call.body, "m:FolderIds"), one, lambda: [m("Folders")])


def find(call: Call) -> Element:
    """FindFolder: restrictions other than on the folder's class are not looked at."""
    view = child(call.body, "m:IndexedPageFolderView")
    offset = int(view.get("Offset")) if view is not None else 0
    most = int(view.get("MaxEntriesReturned", "1000")) if view is not None else 1000

    def one(element: Element) -> Payload:
        parent = call.folder(element)
        mailbox = call.world.mailbox_of_id(parent.id)
        deep = call.body.get("Traversal") == "Deep"
        found = [
            folder
            for folder in mailbox.folders.values()
            if folder is not parent
            and (parent in folder.within() if deep else folder.parent is parent)
        ]
        page = found[offset : offset + most]
        after = offset + len(page)
        root = m(
            "RootFolder",
            t("Folders", *(render(mailbox, folder, _base(call)) for folder in page)),
            IndexedPagingOffset=str(after),
            TotalItemsInView=str(len(found)),
            IncludesLastItemInRange="true" if after >= len(found) else "false",
        )
        return [root]

    return call.answer(children(call.body, "m:ParentFolderIds"), one)


def create(call: Call) -> Element:
    """CreateFolder."""

    def one(element: Element) -> Payload:
        try:
            parent = call.folder(need(call.body, "m:ParentFolderId")[0])
        except EwsError as error:
            code = error.code.replace("ErrorFolderNotFound", "ErrorParentFolderNotFound")
            raise EwsError(code) from None
        mailbox = call.world.mailbox_of_id(parent.id)
        name = text(element, "t:DisplayName")
        _check_name(mailbox, parent, name)
        kind = CALENDAR if local(element) == "CalendarFolder" else NOTES
        folder = mailbox.add_folder(name, text(element, "t:FolderClass") or kind, parent)
        return [m("Folders", render(mailbox, folder, "IdOnly"))]

    return call.answer(children(call.body, "m:Folders"), one, lambda: [m("Folders")])


def _check_name(mailbox: Mailbox, parent: Folder | None, name: str) -> None:
    if not name:
        raise EwsError("ErrorFolderSavePropertyError", "A folder needs a name.")
    for other in mailbox.folders.values():
        if other.parent is parent and other.name.casefold() == name.casefold():
            raise EwsError("ErrorFolderExists", "A folder with the specified name already exists.")


def update(call: Call) -> Element:
    """UpdateFolder: the display name."""

    def one(change: Element) -> Payload:
        folder = call.folder(change[0])
        mailbox = call.world.mailbox_of_id(folder.id)
        for step in need(change, "t:Updates"):
            if local(step) != "SetFolderField" or step[0].get("FieldURI") != "folder:DisplayName":
                raise EwsError("ErrorInvalidPropertySet")
            name = text(step[1], "t:DisplayName")
            if name.casefold() != folder.name.casefold():
                _check_name(mailbox, folder.parent, name)
            folder.name = name
        mailbox.touch_folder(folder)
        return [m("Folders", render(mailbox, folder, "IdOnly"))]

    return call.answer(children(call.body, "m:FolderChanges"), one, lambda: [m("Folders")])


def delete(call: Call) -> Element:
    """DeleteFolder."""

    def one(element: Element) -> Payload:
        folder = call.folder(element)
        if folder.role:
            raise EwsError(
                "ErrorDeleteDistinguishedFolder", "Distinguished folders cannot be deleted."
            )
        mailbox = call.world.mailbox_of_id(folder.id)
        if call.body.get("DeleteType") == "MoveToDeletedItems":
            folder.parent = mailbox.folder_of_role("deleteditems")
            mailbox.touch_folder(folder)
        else:
            mailbox.drop_folder(folder)
        return []

    return call.answer(children(call.body, "m:FolderIds"), one)


def sync(call: Call) -> Element:
    """SyncFolderHierarchy of the whole mailbox below the message root."""

    def once() -> Payload:
        mailbox = call.open(call.mailbox)
        target = child(call.body, "m:SyncFolderId")
        if target is not None:
            mailbox = call.world.mailbox_of_id(call.folder(target[0]).id)
        since = _position(mailbox, text(call.body, "m:SyncState"))
        changes = []
        for _number, folder_id in mailbox.hierarchy.since(since):
            folder = mailbox.folders.get(folder_id)
            born = mailbox.hierarchy.born(folder_id)
            if folder is not None:
                kind = "Create" if born > since else "Update"
                changes.append(t(kind, render(mailbox, folder, _base(call))))
            elif born <= since:
                changes.append(t("Delete", t("FolderId", Id=folder_id)))
        raw = json.dumps([mailbox.address, mailbox.hierarchy.head]).encode()
        return [
            m("SyncState", base64.b64encode(raw).decode()),
            m("IncludesLastFolderInRange", "true"),
            m("Changes", *changes),
        ]

    return call.answer_once(
        once, lambda: [m("SyncState"), m("IncludesLastFolderInRange", "true"), m("Changes")]
    )


def _position(mailbox: Mailbox, state: str) -> int:
    if not state:
        return 0
    try:
        address, number = json.loads(base64.b64decode(state, validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise EwsError("ErrorInvalidSyncStateData") from None
    if address != mailbox.address:
        raise EwsError("ErrorInvalidSyncStateData")
    return int(number)
