"""What one run did, as its journal tells: the values that an undo works with."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bridge.decision import Action
from bridge.records import JournalEntry, Op, Side
from bridge.store import Store
from bridge.task import Counts
from mappings import jsonform
from mappings.model import Event

WRITES = {Op.CREATE, Op.UPDATE, Op.DELETE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What a run did to one unit on one side: its content before and after, None = not there."""

    unit_id: str
    side: Side
    title: str
    before: Event | None
    after: Event | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """Something that stays as it is, and why. `fields` names what somebody changed since."""

    unit_id: str
    side: Side
    title: str
    why: str
    fields: tuple[str, ...] = ()


@dataclass(slots=True)
class Undone:
    """What an undo does, or did: `actions` before, `counts` after. `left` is what it leaves."""

    link: str
    run: int
    actions: list[Action] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    number: int = 0
    failed: int = 0

    def to_json(self) -> dict[str, Any]:
        """For `undo --json`, and for the run's row."""
        return {
            "link": self.link,
            "undone": self.run,
            "run": self.number,
            "created": self.counts.created,
            "updated": self.counts.updated,
            "deleted": self.counts.deleted,
            "failed": self.failed,
            "left": [
                {"unit": item.unit_id, "side": item.side.value, "title": item.title,
                 "why": item.why, "fields": list(item.fields)}
                for item in self.left
            ],
        }  # fmt: skip


def deeds(entries: Iterable[JournalEntry]) -> list[Deed]:
    """What the entries of one run, oldest first, come to for each unit and side."""
    found: dict[tuple[str, Side], Deed] = {}
    for entry in entries:
        if entry.side is None or entry.op not in WRITES:
            continue
        before, after = (_event(value) for value in (entry.before, entry.after))
        known = found.get((entry.unit_id, entry.side))
        found[entry.unit_id, entry.side] = Deed(
            unit_id=entry.unit_id,
            side=entry.side,
            title=entry.title or (known.title if known else ""),
            before=known.before if known else before,
            after=after,
        )
    return [deed for deed in found.values() if deed.before != deed.after]


def _event(value: Any) -> Event | None:
    return None if value is None else jsonform.event_from_json(value)


def history(store: Store, run_id: int) -> list[JournalEntry]:
    """All entries of a run, oldest first."""
    found: list[JournalEntry] = []
    page = store.journal(run_id=run_id, limit=1000)
    while page:
        found += page
        page = store.journal(run_id=run_id, limit=1000, before_id=page[-1].id)
    return found[::-1]
