"""Runs, the writes under way in them (intents), and what happened (journal)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, insert, or_, select, update

from bridge.records import Intent, JournalEntry, Op, Run, RunKind, Side
from bridge.store.errors import StoreError
from bridge.store.schema import intents, journal, runs
from bridge.store.session import Reads, Writes, chunks
from bridge.store.texts import dump_or_none, load, storable

_OPEN = select(intents).where(intents.c.link_id == bindparam("link")).order_by(intents.c.id)
_LATEST = select(runs).order_by(runs.c.id.desc()).limit(bindparam("most"))
_LATEST_OF_LINK = _LATEST.where(runs.c.link_id == bindparam("link"))
_NEW_RUN = insert(runs).returning(runs.c.id)
_NEW_INTENTS = insert(intents).returning(intents.c.id, sort_by_parameter_order=True)
_SETTLED = delete(intents).where(intents.c.id.in_(bindparam("settled", expanding=True)))
_ENDED = update(runs).where(runs.c.id == bindparam("run"))


class HistoryReads(Reads):
    """Runs and intents to read."""

    def intents(self, link_id: int) -> list[Intent]:
        """Writes of a link that were decided and have no result yet, the oldest first."""
        with self.reading() as connection:
            return [_intent(row) for row in connection.execute(_OPEN, {"link": link_id}).mappings()]

    def run(self, run_id: int) -> Run | None:
        """One run."""
        with self.reading() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().first()
        return None if row is None else run_of(row)

    def runs(self, link_id: int | None = None, limit: int = 100) -> list[Run]:
        """The last runs, of one link or of all, the newest first."""
        query = _LATEST if link_id is None else _LATEST_OF_LINK
        wanted = {"most": limit} | ({} if link_id is None else {"link": link_id})
        with self.reading() as connection:
            return [run_of(row) for row in connection.execute(query, wanted).mappings()]


class JournalReads(Reads):
    """The journal to read; a transaction only appends to it."""

    def journal(
        self,
        link_id: int | None = None,
        unit_id: str | None = None,
        run_id: int | None = None,
        limit: int = 100,
        before_id: int | None = None,
        since: datetime | None = None,
    ) -> list[JournalEntry]:
        """What happened, the newest first; `before_id` of the last entry gives the next page."""
        query = select(journal).order_by(journal.c.id.desc()).limit(limit)
        for column, wanted in (
            (journal.c.link_id, link_id),
            (journal.c.unit_id, unit_id),
            (journal.c.run_id, run_id),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        if before_id is not None:
            query = query.where(journal.c.id < before_id)
        if since is not None:
            query = query.where(journal.c.at >= since)
        with self.reading() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]


class HistoryWrites(HistoryReads, Writes):
    """Runs, intents and journal to write."""

    def start_run(self, link_id: int, kind: RunKind, at: datetime) -> Run:
        """Open a run."""
        row = {"link_id": link_id, "kind": kind.value, "started": at, "outcome": ""}
        run_id = self.connection.execute(_NEW_RUN, row).scalar_one()
        return Run(id=run_id, link_id=link_id, kind=kind, started=at)

    def finish_run(self, run_id: int, at: datetime, outcome: str, counts: Any = None) -> None:
        """Close a run. `counts` is any JSON value. Raises `StoreError` if there is no such run."""
        row = {"ended": at, "outcome": storable(outcome), "counts": dump_or_none(counts)}
        changed = self.connection.execute(_ENDED, {"run": run_id, **row})
        if changed.rowcount != 1:
            raise StoreError(f"there is no run with the number {run_id}")

    def add_intents(self, new: Sequence[Intent]) -> list[Intent]:
        """Store intents, whose `id` is ignored, and return them numbered in the same order."""
        numbered = []
        for chunk in chunks(new):
            ids = self.connection.scalars(_NEW_INTENTS, [_intent_row(intent) for intent in chunk])
            numbered += [replace(intent, id=id_) for intent, id_ in zip(chunk, ids, strict=True)]
        return numbered

    def drop_intents(self, ids: Collection[int]) -> None:
        """Forget intents, because their results are stored (in this same transaction)."""
        for chunk in chunks(ids):
            self.connection.execute(_SETTLED, {"settled": chunk})

    def drop_intent(self, id_: int) -> None:
        """Forget one intent."""
        self.drop_intents([id_])

    def journal(self, entries: Iterable[JournalEntry]) -> None:
        """Append entries, whose `id` is ignored, in their order."""
        for chunk in chunks(list(entries)):
            self.connection.execute(insert(journal), [_entry_row(entry) for entry in chunk])

    def forget_runs(self, before: datetime, idle_before: datetime, limit: int = 5000) -> int:
        """Remove runs older than `before`, and those older than `idle_before` that wrote nothing to
        the journal, except the last one of each link; how many, at most `limit` at once."""
        wrote = or_(
            exists().where(journal.c.run_id == runs.c.id),
            exists().where(intents.c.run_id == runs.c.id),
        )
        later = runs.alias("later")
        last = ~exists().where(later.c.link_id == runs.c.link_id, later.c.id > runs.c.id)
        idle = and_(runs.c.started < idle_before, ~wrote)
        old = select(runs.c.id).where(or_(runs.c.started < before, idle), ~last)
        forgotten = delete(runs).where(runs.c.id.in_(old.order_by(runs.c.id).limit(limit)))
        return self.connection.execute(forgotten).rowcount

    def forget_journal(self, before: datetime) -> int:
        """Remove entries older than that; how many there were."""
        return self.connection.execute(delete(journal).where(journal.c.at < before)).rowcount


def _intent_row(intent: Intent) -> dict[str, Any]:
    return {
        "link_id": intent.link_id,
        "run_id": intent.run_id,
        "unit_id": intent.unit_id,
        "side": intent.side.value,
        "op": intent.op.value,
        "key": intent.key,
        "at": intent.at,
        "desired": dump_or_none(_content(intent)),
    }


def _content(intent: Intent) -> Any:
    return {"desired": intent.desired, "lost": intent.lost} if intent.lost else intent.desired


def _intent(row: Mapping[Any, Any]) -> Intent:
    content = load(row["desired"])
    overrules = isinstance(content, dict) and content.keys() == {"desired", "lost"}
    values = dict(row) | {
        "side": Side(row["side"]),
        "op": Op(row["op"]),
        "desired": content["desired"] if overrules else content,
        "lost": content["lost"] if overrules else None,
    }
    return Intent(**values)


def _entry_row(entry: JournalEntry) -> dict[str, Any]:
    return {
        "at": entry.at,
        "run_id": entry.run_id,
        "link_id": entry.link_id,
        "unit_id": entry.unit_id,
        "side": None if entry.side is None else entry.side.value,
        "op": entry.op,
        "cause": storable(entry.cause),
        "title": storable(entry.title),
        "before": dump_or_none(entry.before),
        "after": dump_or_none(entry.after),
        "lost": dump_or_none(entry.lost),
    }


def _entry(row: Mapping[Any, Any]) -> JournalEntry:
    values = dict(row) | {name: load(row[name]) for name in ("before", "after", "lost")}
    values["side"] = None if row["side"] is None else Side(row["side"])
    return JournalEntry(**values)


def run_of(row: Mapping[Any, Any]) -> Run:
    """The run of a row."""
    return Run(**dict(row) | {"kind": RunKind(row["kind"]), "counts": load(row["counts"])})
