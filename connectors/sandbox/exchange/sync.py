"""SyncFolderItems: what is in a folder, then what changed ("Mailbox synchronization and EWS").

A state names a position in the folder's log. The first run walks down from the newest item; the
same state always answers the same question again. A series is one item: a change of an
occurrence is an Update of the master.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from connectors.sandbox.exchange.call import Call, Payload, children
from connectors.sandbox.exchange.errors import EwsError, EwsFaultError
from connectors.sandbox.exchange.occurrences import View
from connectors.sandbox.exchange.shapes import Shape, render
from connectors.sandbox.exchange.soap import Element, m, need, t, text
from connectors.sandbox.exchange.state import Folder

MOST = 512


@dataclass(frozen=True)
class Position:
    """Where a state stands. `below` > 0: still in the first run, next are items whose first
    change is below that number; afterwards everything after `head` follows."""

    folder: str
    epoch: int
    head: int
    below: int = 0
    last: str = ""

    def text(self, length: int) -> str:
        """The opaque state, padded to a length."""
        parts = [self.folder, self.epoch, self.head, self.below, self.last]
        raw = zlib.compress(json.dumps(parts).encode())
        raw = len(raw).to_bytes(4, "big") + raw
        return base64.b64encode(raw.ljust(length * 3 // 4, b"\x00")).decode()

    @classmethod
    def parse(cls, state: str, folder: Folder) -> "Position":
        """Raises EwsError if it is no state of this folder (any more)."""
        try:
            raw = base64.b64decode(state, validate=True)
            length = int.from_bytes(raw[:4], "big")
            found = cls(*json.loads(zlib.decompress(raw[4 : 4 + length])))
        except (binascii.Error, ValueError, TypeError, zlib.error):
            raise EwsError("ErrorInvalidSyncStateData") from None
        if (found.folder, found.epoch) != (folder.id, folder.epoch):
            raise EwsError("ErrorInvalidSyncStateData")
        return found


def sync(call: Call) -> Element:
    """SyncFolderItems."""
    shape = Shape.of(need(call.body, "m:ItemShape"), listing="omit")
    most = int(text(call.body, "m:MaxChangesReturned"))
    if not 1 <= most <= MOST:
        raise EwsFaultError(
            "ErrorSchemaValidation", "The request failed schema validation: MaxChangesReturned."
        )
    most = min(most, call.world.switches.sync_page_limit)
    ignored = {element.get("Id") for element in children(call.body, "m:Ignore")}

    def once() -> Payload:
        folder = _folder(call)
        state = text(call.body, "m:SyncState").strip()
        if state:
            position = Position.parse(state, folder)
        else:
            head = folder.log.head
            position = Position(folder.id, folder.epoch, head, below=head + 1)
        changes, after, complete = _page(call, folder, position, shape, most)
        changes = [change for change in changes if _name(change) not in ignored]
        return [
            m("SyncState", after.text(call.world.switches.sync_state_bytes)),
            m("IncludesLastItemInRange", "true" if complete else "false"),
            m("Changes", *changes),
        ]

    return call.answer_once(
        once, lambda: [m("SyncState"), m("IncludesLastItemInRange", "true"), m("Changes")]
    )


def _folder(call: Call) -> Folder:
    try:
        return call.folder(need(call.body, "m:SyncFolderId")[0])
    except EwsError as error:
        if error.code == "ErrorFolderNotFound":
            raise EwsError("ErrorSyncFolderNotFound") from None
        raise


def _name(change: Element) -> str | None:
    found: str | None = change.find(".//{*}ItemId").get("Id")
    return found


def _page(
    call: Call, folder: Folder, position: Position, shape: Shape, most: int
) -> tuple[list[Element], Position, bool]:
    """The changes, the position after them, and whether nothing is left."""
    first_run = position.below > 0
    source = _initial(folder, position) if first_run else _later(folder, position)
    mailbox = call.world.mailbox_of_id(folder.id)
    changes: list[Element] = []
    at, last = position.below if first_run else position.head, position.last
    complete = True
    if call.world.switches.sync_duplicates and last in folder.items:
        changes.append(t("Create", render(View(call.world, folder.items[last]), mailbox, shape)))
    for number, kind, item_id in source:
        if len(changes) >= most:
            complete = False
            break
        at, last = number, item_id
        if kind == "Delete":
            changes.append(t("Delete", t("ItemId", Id=item_id)))
        else:
            view = View(call.world, folder.items[item_id])
            changes.append(t(kind, render(view, mailbox, shape)))
    if first_run and not complete:
        return changes, Position(folder.id, folder.epoch, position.head, at, last), False
    if first_run:
        complete = folder.log.head == position.head
        return changes, Position(folder.id, folder.epoch, position.head), complete
    head = at if not complete else folder.log.head
    return changes, Position(folder.id, folder.epoch, head), complete


def _initial(folder: Folder, position: Position) -> Iterator[tuple[int, str, str]]:
    """Items that were there when the first run began, as they are now."""
    for number, item_id in folder.log.newest_first(position.below):
        if item_id in folder.items:
            yield number, "Create", item_id


def _later(folder: Folder, position: Position) -> Iterator[tuple[int, str, str]]:
    for number, item_id in folder.log.since(position.head):
        known = folder.log.born(item_id) <= position.head
        if item_id not in folder.items:
            if known:
                yield number, "Delete", item_id
        else:
            yield number, "Update" if known else "Create", item_id
