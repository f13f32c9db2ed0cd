"""What changed in a calendar (SyncFolderItems; "Mailbox synchronization and EWS in Exchange").

A listing names items; what they are is then read in batches. A series is one item, whatever
happened to its occurrences, so every change shows a whole unit. A deletion names an item only:
the cursor therefore carries which items are parts of units that consist of several.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from connectors.contract import Change, Copy, Gone, Listing, Page, Unreadable, Whole
from connectors.errors import ConnectorError, FatalError, RejectedError, ResyncError
from connectors.exchange.client import Answer, Client, Wire
from connectors.exchange.errors import PROVIDER, AbsentError
from connectors.exchange.reading import (
    BATCH,
    Reader,
    batches,
    gone_calendar,
    item_id,
    ref_of,
    several,
)
from connectors.exchange.recall import Recall
from mappings.errors import UnmappableError
from mappings.exchange import many, text

PAGE = 512
_MARK = "1:"
"""Changes whenever the form of a cursor does; older cursors are then void."""


@dataclass(slots=True)
class Cursor:
    """The sync state, and the ref of every item that is not the only one of its unit.

    Items are named by a digest, because ids are long.
    """

    state: str = ""
    parts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, raw: str) -> "Cursor":
        """Raises `ResyncError`."""
        try:
            if not raw.startswith(_MARK):
                raise ValueError(raw)
            state, refs = json.loads(raw.removeprefix(_MARK))
            parts = {name: str(ref) for ref, names in refs.items() for name in names}
            return cls(str(state), parts)
        except (ValueError, TypeError, AttributeError):
            raise _void("it is none of ours") from None

    def write(self) -> str:
        """As text."""
        refs: dict[str, list[str]] = {}
        for name, ref in self.parts.items():
            refs.setdefault(ref, []).append(name)
        return _MARK + json.dumps([self.state, refs], separators=(",", ":"))

    def note(self, wire: Wire) -> None:
        """Remember an item if it is one of several."""
        name = _digest(item_id(wire))
        if several(wire):
            self.parts[name] = ref_of(wire)
        else:
            self.parts.pop(name, None)

    def unit_of(self, id_: str) -> str | None:
        """The ref of the unit that lost this item, if it may have others."""
        return self.parts.pop(_digest(id_), None)


def _digest(id_: str) -> str:
    return sha256(id_.encode()).hexdigest()[:16]


def changes(
    client: Client, reader: Reader, recall: Recall, calendar: str, cursor: str | None
) -> Iterator[Page]:
    """The pages of one listing; `Connector.changes` says what they promise."""
    listing = Listing.COMPLETE if cursor is None else Listing.DELTA
    position = Cursor() if cursor is None else Cursor.read(cursor)
    one = _Pass(reader, recall, calendar, position, cursor is None)
    for answer, last in _answers(client, calendar, position):
        found = tuple(one.page(answer.get("Changes")))
        yield Page(changes=found, listing=listing, cursor=position.write() if last else None)


def _answers(client: Client, calendar: str, position: Cursor) -> Iterator[tuple[Wire, bool]]:
    while True:
        content = {
            "ItemShape": {"BaseShape": "IdOnly"},
            "SyncFolderId": {"FolderId": {"@Id": calendar}},
            "SyncState": position.state or None,
            "MaxChangesReturned": str(PAGE),
        }
        try:
            answer = client.one("SyncFolderItems", content)
        except AbsentError as error:
            raise gone_calendar(calendar, error) from error
        except RejectedError as error:
            if position.state:
                raise _void(error.code) from error
            raise FatalError(error.message, **error.facts) from error
        last = text(answer, "IncludesLastItemInRange") in ("true", "1")
        state = text(answer, "SyncState")
        if not state or (not last and state == position.state):
            raise FatalError(
                f"Exchange does not say how its listing of {calendar} goes on; nothing of it can "
                "be trusted to be complete.",
                provider=PROVIDER,
                operation="SyncFolderItems",
                code="no-sync-state",
            )
        position.state = state
        yield answer, last
        if last:
            return


def _void(why: str) -> ResyncError:
    return ResyncError(
        f"The sync state is void ({why}). Everything is listed again.",
        provider=PROVIDER,
        operation="SyncFolderItems",
        code="sync-state",
    )


class _Pass:
    """One listing from its first page to its last."""

    def __init__(
        self, reader: Reader, recall: Recall, calendar: str, cursor: Cursor, complete: bool
    ) -> None:
        self._reader = reader
        self._recall = recall
        self._calendar = calendar
        self._cursor = cursor
        self._complete = complete
        self._shown: dict[str, str] = {}
        self._families: set[str] = set()

    def page(self, listed: Wire | str | None) -> Iterator[Change]:
        """What one page tells, each unit once in the whole listing."""
        versions: dict[str, str] = {}
        for name in ("Create", "Update"):
            for line in many(listed, name):
                item = next((v for v in line.values() if isinstance(v, dict)), {})
                id_ = item_id(item)
                version = item["ItemId"].get("@ChangeKey", "")
                if self._shown.get(id_) != version:
                    versions[id_] = version
        self._shown |= versions
        gone = [item_id(line) for line in many(listed, "Delete")]
        unread: list[str] = []
        for id_, version in versions.items():
            echo = self._recall.echo(id_, version)
            if echo is not None and id_ == echo.ref:
                yield Whole(copy=echo)
            else:
                unread.append(id_)
        families: dict[str, None] = {}
        for batch in batches(unread, BATCH):
            yield from self._read(batch, families)
        for id_ in gone:
            ref = self._cursor.unit_of(id_)
            if ref is None and id_ not in self._cursor.parts.values():
                yield Gone(ref=id_)
            else:
                families[ref or id_] = None
        yield from self._several(list(families))

    def _read(self, ids: Sequence[str], families: dict[str, None]) -> Iterator[Change]:
        alone: list[tuple[str, Answer]] = []
        for id_, answer in self._reader.items(ids).items():
            if not isinstance(answer, ConnectorError):
                self._cursor.note(answer)
                if several(answer):
                    families[ref_of(answer)] = None
                    continue
            alone.append((id_, answer))
        wires = [answer for _id, answer in alone if not isinstance(answer, ConnectorError)]
        changed = self._reader.occurrences(wires)
        for id_, answer in alone:
            if isinstance(answer, AbsentError):
                yield Gone(ref=id_)
            elif isinstance(answer, RejectedError):
                yield Unreadable(ref=id_, code=answer.code, detail=answer.message)
            elif isinstance(answer, ConnectorError):
                raise answer
            else:
                yield self._unit(id_, [answer], changed)

    def _several(self, refs: Sequence[str]) -> Iterator[Change]:
        """Units of several items, read anew as a whole."""
        fresh = [ref for ref in refs if ref not in self._families]
        if self._complete:
            # What changes from now on stands in the next listing.
            self._families.update(fresh)
        for batch in batches(fresh, BATCH):
            found, changed = self._reader.gathered(self._calendar, batch)
            for ref in batch:
                for wire in found[ref]:
                    self._cursor.note(wire)
                yield self._unit(ref, found[ref], changed)

    def _unit(self, ref: str, wires: list[Wire], changed: dict[str, Answer]) -> Change:
        try:
            group = self._reader.grouped(ref, wires, changed)
            if group is None or group.doomed:
                return Gone(ref=ref)
            copy: Copy = group.copy()
        except UnmappableError as error:
            return Unreadable(ref=ref, code=error.code, detail=error.detail)
        except RejectedError as error:
            return Unreadable(ref=ref, code=error.code, detail=error.message)
        return Whole(copy=copy)
