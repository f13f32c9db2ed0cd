"""Units with both shadows, found by either side's id."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Executable,
    Select,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
)

from bridge.names import names
from bridge.records import Op, Restored, Side, Unit, UnitState
from bridge.store.schema import cursors, digest, intents, journal, members, runs, units
from bridge.store.session import CHUNK, Reads, Writes, chunks
from bridge.store.shadows import copy_from_json, copy_to_json
from bridge.store.texts import dump, load, storable
from connectors.contract import Copy
from mappings.jsonform import loss_from_json, loss_to_json

_BURIED = case((units.c.state == UnitState.DONE, 1), else_=0)
_OF_LINK = units.c.link_id == bindparam("link")
_BY_ID = select(units).where(_OF_LINK, units.c.id == bindparam("unit"))
_BY_REF = {
    side: select(units)
    .where(_OF_LINK, units.c[f"{side.value}_hash"].in_(bindparam("hashes", expanding=True)))
    .order_by(_BURIED.desc())
    for side in Side
}
_DUE_RETRIES = (
    select(units)
    .where(_OF_LINK, units.c.state == UnitState.PARKED, units.c.retry_at <= bindparam("now"))
    .order_by(units.c.retry_at, units.c.id)
)
_DUE_EXTENSIONS = (
    select(units)
    .where(_OF_LINK, units.c.state == UnitState.LIVE, units.c.extend_at <= bindparam("now"))
    .order_by(units.c.extend_at, units.c.id)
)
_RESTORED = select(units).where(_OF_LINK, units.c.restored.is_not(None))
_NEXT_RETRY = select(func.min(units.c.retry_at)).where(
    _OF_LINK, units.c.state == UnitState.PARKED, units.c.retry_at.is_not(None)
)
_FORGOTTEN = delete(members).where(
    members.c.link_id == bindparam("link"),
    members.c.unit_id.in_(bindparam("units", expanding=True)),
)


class UnitReads(Reads):
    """Units to read."""

    def unit(self, link_id: int, unit_id: str) -> Unit | None:
        """One unit by its id."""
        return next(self._units(_BY_ID, link=link_id, unit=unit_id), None)

    def units_by_ref(self, link_id: int, side: Side, refs: Collection[str]) -> dict[str, Unit]:
        """The units that have these refs on that side. A tombstone gives way to a living unit."""
        found = {}
        for chunk in chunks(set(refs)):
            hashes = [digest(ref) for ref in chunk]
            for unit in self._units(_BY_REF[side], link=link_id, hashes=hashes):
                ref = unit.ref(side)
                if ref is not None:
                    found[ref] = unit
        return found

    def unit_by_member(self, link_id: int, side: Side, member_id: str) -> Unit | None:
        """The unit that the provider's object of that id belongs to on that side."""
        query = (
            select(units)
            .join(
                members, (members.c.link_id == units.c.link_id) & (members.c.unit_id == units.c.id)
            )
            .where(
                members.c.link_id == link_id,
                members.c.side == side.value,
                members.c.id_hash == digest(member_id),
            )
            .order_by(_BURIED)
        )
        return next(self._units(query), None)

    def units_by_name(
        self, link_id: int, side: Side, wanted: Collection[str]
    ) -> dict[str, list[Unit]]:
        """The units whose copy on that side has one of these names (`bridge.names`); a name may
        belong to several. Tombstones have none."""
        found: dict[str, list[Unit]] = {}
        for chunk in chunks(set(wanted)):
            by_hash = {digest(name): name for name in chunk}
            query = (
                select(members.c.id_hash, units)
                .join(
                    units,
                    (members.c.link_id == units.c.link_id) & (members.c.unit_id == units.c.id),
                )
                .where(
                    members.c.link_id == link_id,
                    members.c.side == side.value,
                    members.c.id_hash.in_(list(by_hash)),
                )
                .order_by(units.c.id)
            )
            with self.reading() as connection:
                for row in connection.execute(query).mappings():
                    found.setdefault(by_hash[row["id_hash"]], []).append(unit_from_row(row))
        return found

    def former_refs(
        self, link_id: int, side: Side, refs: Collection[str]
    ) -> dict[str, tuple[str, ...]]:
        """The refs that these units had on that side before; left out are units that always had
        the same one."""
        ref, former = units.c[f"{side.value}_ref"], units.c[f"{side.value}_former"]
        found = {}
        for chunk in chunks(set(refs)):
            query = select(ref.label("ref"), former.label("former")).where(
                units.c.link_id == link_id,
                units.c[f"{side.value}_hash"].in_([digest(each) for each in chunk]),
                units.c.state != UnitState.DONE,
                former.is_not(None),
            )
            with self.reading() as connection:
                for row in connection.execute(query):
                    found[row.ref] = tuple(load(row.former))
        return found

    def unit_by_former_ref(self, link_id: int, side: Side, ref: str) -> Unit | None:
        """The unit that had this ref on that side before, unless it is done."""
        unit = self.unit_by_member(link_id, side, _formerly(ref))
        return unit if unit is not None and unit.state is not UnitState.DONE else None

    def made_last(self, link_id: int, side: Side) -> list[tuple[str, str]]:
        """(ref, unit id) of the units whose copy on that side the link's last run has made."""
        last = select(func.max(runs.c.id)).where(
            runs.c.link_id == link_id, runs.c.ended.is_not(None)
        )
        made = select(journal.c.unit_id).where(
            journal.c.run_id == last.scalar_subquery(),
            journal.c.side == side.value,
            journal.c.op == Op.CREATE.value,
        )
        query = select(units.c[f"{side.value}_ref"], units.c.id).where(
            units.c.link_id == link_id, units.c.id.in_(made), units.c[side.value].is_not(None)
        )
        with self.reading() as connection:
            return [(ref, unit_id) for ref, unit_id in connection.execute(query) if ref]

    def units(self, link_id: int, *, state: UnitState | None = None) -> Iterator[Unit]:
        """All units of a link by id, read in small batches as the caller asks for them.

        Writing meanwhile is allowed; a unit that is put behind the reader's place is not seen.
        """
        query = select(units).where(units.c.link_id == link_id)
        if state is not None:
            query = query.where(units.c.state == state)
        for row in self._by_id(query):
            yield unit_from_row(row)

    def refs(self, link_id: int, side: Side) -> Iterator[tuple[str, str]]:
        """(ref, unit id) of all units that have a ref on that side.

        Left out are tombstones, and units that an undo brought back on the other side alone: that
        they are missing here is known.
        """
        ref = units.c[f"{side.value}_ref"]
        expected = or_(units.c.restored.is_(None), units.c[side.value].is_not(None))
        query = select(units.c.id, ref.label("ref")).where(
            units.c.link_id == link_id, units.c.state != UnitState.DONE, ref.is_not(None), expected
        )
        for row in self._by_id(query, batch=10 * CHUNK):
            yield row["ref"], row["id"]

    def generations(self, link_id: int) -> Iterator[tuple[str, int, UnitState]]:
        """(unit id, generation, state) of all units: what create keys are made of."""
        query = select(units.c.id, units.c.generation, units.c.state).where(
            units.c.link_id == link_id
        )
        for row in self._by_id(query, batch=10 * CHUNK):
            yield row["id"], row["generation"], UnitState(row["state"])

    def count_units(self, link_id: int) -> dict[UnitState, int]:
        """How many units are in each state."""
        query = (
            select(units.c.state, func.count().label("units"))
            .where(units.c.link_id == link_id)
            .group_by(units.c.state)
        )
        with self.reading() as connection:
            counted = {row.state: row.units for row in connection.execute(query)}
        return {state: counted.get(state, 0) for state in UnitState}

    def due_retries(self, link_id: int, now: datetime) -> list[Unit]:
        """Parked units whose next attempt is due, the longest waiting first."""
        return list(self._units(_DUE_RETRIES, link=link_id, now=now))

    def due_extensions(self, link_id: int, now: datetime) -> list[Unit]:
        """Living units of which a side can only hold a part, and of which more is due there."""
        return list(self._units(_DUE_EXTENSIONS, link=link_id, now=now))

    def restored_units(self, link_id: int) -> list[Unit]:
        """Units on which an undo put something back for good."""
        return list(self._units(_RESTORED, link=link_id))

    def next_retry(self, link_id: int) -> datetime | None:
        """When the first parked unit of a link wants its next attempt."""
        with self.reading() as connection:
            first: datetime | None = connection.scalar(_NEXT_RETRY, {"link": link_id})
        return first

    def find_units(self, query: str, limit: int = 50) -> list[Unit]:
        """Units of all links whose id, ref or member id is `query`, or a title contains it."""
        hashed = digest(query)
        owners = select(members.c.link_id, members.c.unit_id).where(members.c.id_hash == hashed)
        matching = or_(
            units.c.id == query,
            units.c.a_hash == hashed,
            units.c.b_hash == hashed,
            tuple_(units.c.link_id, units.c.id).in_(owners),
            units.c.titles.contains(storable(query).casefold(), autoescape=True),
        )
        order = (_BURIED, units.c.link_id, units.c.id)
        return list(self._units(select(units).where(matching).order_by(*order).limit(limit)))

    def _units(self, query: Executable, **values: Any) -> Iterator[Unit]:
        with self.reading() as connection:
            rows = connection.execute(query, values).mappings().all()
        return map(unit_from_row, rows)

    def _by_id(self, query: Select[Any], batch: int = CHUNK) -> Iterator[Mapping[Any, Any]]:
        query = query.order_by(units.c.id).limit(batch)
        after = ""
        while True:
            with self.reading() as connection:
                rows = connection.execute(query.where(units.c.id > after)).mappings().all()
            yield from rows
            if len(rows) < batch:
                return
            after = rows[-1]["id"]


class UnitWrites(UnitReads, Writes):
    """Units to write."""

    def put_units(self, batch: Iterable[Unit]) -> None:
        """Store units with shadows and members, new or known; later ones win.

        A ref belongs to one unit that is not done: to hand it over, the unit that gives it up
        comes first. Raises `StoreError` otherwise.
        """
        for chunk in chunks(list(batch)):
            latest = {(unit.link_id, unit.id): unit for unit in chunk}
            self.upsert(units, [unit_to_row(unit) for unit in chunk])
            self._forget_members(latest)
            rows = [row for unit in latest.values() for row in _member_rows(unit)]
            if rows:
                self.connection.execute(insert(members), rows)

    def drop_units(self, link_id: int) -> None:
        """Forget all that is known of a link's content: units, intents and cursors.

        The next pass is a first one again; cursors without units would hide every event.
        """
        for table in (members, units, intents, cursors):
            self.connection.execute(delete(table).where(table.c.link_id == link_id))

    def _forget_members(self, keys: Collection[tuple[int, str]]) -> None:
        by_link: dict[int, list[str]] = {}
        for link_id, unit_id in keys:
            by_link.setdefault(link_id, []).append(unit_id)
        for link_id, unit_ids in by_link.items():
            self.connection.execute(_FORGOTTEN, {"link": link_id, "units": unit_ids})


def unit_to_row(unit: Unit) -> dict[str, Any]:
    """The columns of a unit."""
    row: dict[str, Any] = {
        "link_id": unit.link_id,
        "id": unit.id,
        "state": unit.state.value,
        "retry_at": unit.retry_at,
        "extend_at": unit.extend_at,
        "policy_digest": unit.policy_digest,
        "generation": unit.generation,
        "home": unit.home.value if unit.home else None,
        "attempts": unit.attempts,
        "rewrites": unit.rewrites,
        "titles": _titles(unit),
        "error_code": storable(unit.error_code),
        "error": storable(unit.error),
        "losses": dump([loss_to_json(loss) for loss in unit.losses]) if unit.losses else None,
        "restored": None if unit.restored is None else dump(_restored_to_json(unit.restored)),
    }
    for side in Side:
        copy = unit.copy(side)
        ref = unit.ref(side) if copy is None else copy.ref
        row[f"{side.value}_hash"] = None if ref is None else digest(ref)
        row[f"{side.value}_ref"] = ref
        row[side.value] = None if copy is None else dump(copy_to_json(copy))
        row[f"{side.value}_former"] = dump(list(unit.former(side))) if unit.former(side) else None
    return row


def unit_from_row(row: Mapping[Any, Any]) -> Unit:
    """The unit of a row."""
    return Unit(
        id=row["id"],
        link_id=row["link_id"],
        state=UnitState(row["state"]),
        ref_a=row["a_ref"],
        ref_b=row["b_ref"],
        a=_copy(row["a"]),
        b=_copy(row["b"]),
        policy_digest=row["policy_digest"],
        generation=row["generation"],
        home=Side(row["home"]) if row["home"] else None,
        losses=tuple(map(loss_from_json, load(row["losses"]) or ())),
        error_code=row["error_code"],
        error=row["error"],
        attempts=row["attempts"],
        retry_at=row["retry_at"],
        rewrites=row["rewrites"],
        restored=_restored_from_json(load(row["restored"])),
        former_a=tuple(load(row["a_former"]) or ()),
        former_b=tuple(load(row["b_former"]) or ()),
    )


def _restored_to_json(restored: Restored) -> dict[str, Any]:
    return {"run": restored.run, "side": restored.side.value, "paths": sorted(restored.paths)}


def _restored_from_json(value: Any) -> Restored | None:
    if value is None:
        return None
    paths = frozenset(map(tuple, value["paths"]))
    return Restored(run=value["run"], side=Side(value["side"]), paths=paths)


def _copy(text: str | None) -> Copy | None:
    return None if text is None else copy_from_json(load(text))


def _titles(unit: Unit) -> str:
    titles = {
        storable(copy.event.details.title).casefold(): None
        for copy in (unit.a, unit.b)
        if copy is not None
    }
    return "\n".join(titles)


def _member_rows(unit: Unit) -> Iterator[dict[str, Any]]:
    for side in Side:
        copy = unit.copy(side)
        ids = {*(member.id for member in copy.members), *names(copy)} if copy else set[str]()
        for id_ in ids | set(map(_formerly, unit.former(side))):
            yield {
                "link_id": unit.link_id,
                "unit_id": unit.id,
                "side": side.value,
                "id_hash": digest(id_),
            }


def _formerly(ref: str) -> str:
    """A ref as one among the ids of a unit that has another one now. The mark of a copy may be
    the same as its ref."""
    return f"formerly {ref}"
