"""CreateAttachment, GetAttachment and DeleteAttachment, of files ("Attachments and EWS").

What is attached belongs to an item or to one occurrence, which shows those of its series, too.
Attaching makes a new version of the stored item.
"""

import base64
import binascii
from dataclasses import replace

from connectors.sandbox.exchange.call import Call, Payload, children
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.occurrences import View
from connectors.sandbox.exchange.soap import Element, local, m, need, t, text
from connectors.sandbox.exchange.state import Exception_, File, Item


def create(call: Call) -> Element:
    """CreateAttachment."""
    parent = need(call.body, "m:ParentItemId")

    def one(element: Element) -> Payload:
        if local(element) != "FileAttachment":
            raise EwsError("ErrorInvalidOperation", "This server keeps files only.")
        try:
            content = base64.b64decode(text(element, "t:Content"), validate=True)
        except (binascii.Error, ValueError):
            raise EwsError("ErrorInvalidBase64") from None
        named = t("ItemId", Id=parent.get("Id"))
        return [
            m("Attachments", _line(*attached(call.view(named), text(element, "t:Name"), content)))
        ]

    return call.answer(children(call.body, "m:Attachments"), one, lambda: [m("Attachments")])


def get(call: Call) -> Element:
    """GetAttachment."""

    def one(element: Element) -> Payload:
        item, file = _found(call, element.get("Id"))
        content = t("Content", base64.b64encode(file.content).decode())
        return [m("Attachments", _line(item, file, content))]

    return call.answer(children(call.body, "m:AttachmentIds"), one, lambda: [m("Attachments")])


def delete(call: Call) -> Element:
    """DeleteAttachment."""

    def one(element: Element) -> Payload:
        item, file = _found(call, element.get("Id"))
        draft = item.draft()
        draft.files = _without(draft.files, file)
        for day, held in draft.exceptions.items():
            draft.exceptions[day] = replace(held, files=_without(held.files, file))
        stored = call.owner(item).put(draft)
        return [m("RootItemId", RootItemId=stored.id, RootItemChangeKey=stored.change_key)]

    return call.answer(children(call.body, "m:AttachmentIds"), one)


def attached(view: View, name: str, content: bytes) -> tuple[Item, File]:
    """Attach a file to an item or an occurrence, which becomes an exception by that."""
    world, draft = view.world, view.item.draft()
    mailbox = world.mailbox_of_id(draft.id)
    file = File(base64.b64encode(world.dice.randbytes(24)).decode(), name, content)
    if view.original is None:
        draft.files += (file,)
    else:
        held = draft.exceptions.setdefault(view.original, Exception_())
        held.files += (file,)
        held.modified = world.now()
    return mailbox.put(draft), file


def _line(item: Item, file: File, *content: Element) -> Element:
    root = t("AttachmentId", Id=file.id, RootItemId=item.id, RootItemChangeKey=item.change_key)
    return t("FileAttachment", root, t("Name", file.name), *content)


def _found(call: Call, file_id: str) -> tuple[Item, File]:
    for folder in call.mailbox.folders.values():
        for item in folder.items.values():
            held = [item.files, *(each.files for each in item.exceptions.values())]
            for file in (file for files in held for file in files):
                if file.id == file_id:
                    return item, file
    raise EwsError("ErrorItemNotFound")


def _without(files: tuple[File, ...], gone: File) -> tuple[File, ...]:
    return tuple(file for file in files if file.id != gone.id)
