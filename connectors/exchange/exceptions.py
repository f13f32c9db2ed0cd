"""Changed and removed occurrences of series.

An occurrence is addressed by its place in the pattern. All share the version of their series,
which every write changes, so that those of a series that stood there before are written one after
the other. Which moves Exchange takes is only known when it has been asked: one that the plan
allowed and the server refuses is told, so that the occurrence may stand alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.errors import ConnectorError
from connectors.exchange.client import Answer, Wire
from connectors.exchange.edits import BATCH, Edits, guarded, sure
from connectors.exchange.errors import CrossingError
from connectors.exchange.payloads import TIMES, Target, item_change, occurrence_address, updates_of
from connectors.exchange.reading import Item, Reader, batches, unreadable, version_of
from mappings import exchange as dialect
from mappings import exchange_joining as joining
from mappings.errors import UnmappableError
from mappings.exchange import Shown
from mappings.exchange_units import Draft
from mappings.model import Details, Key, Override, When
from mappings.patterns.pins import is_cut
from mappings.recurrence import when_of


@dataclass(slots=True)
class Written:
    """What became of the exceptions of some series, by the ids of their items: why those of
    `failed` are not written, and the moves that no series of this server can hold."""

    failed: dict[str, ConnectorError] = field(default_factory=dict)
    crossing: dict[str, set[Key]] = field(default_factory=dict)

    def refused(self, ids: Iterable[str]) -> frozenset[Key]:
        """The moves that were refused of these."""
        return frozenset().union(*(self.crossing.get(id_, ()) for id_ in ids))


@dataclass(frozen=True, slots=True)
class _Step:
    """One write to one occurrence."""

    id: str
    key: Key
    wire: Wire


class Exceptions:
    """Writes the exceptions of one account's series."""

    def __init__(self, reader: Reader, edits: Edits) -> None:
        self._reader = reader
        self._edits = edits

    def write(self, made: Sequence[tuple[str, Draft]]) -> Written:
        """Remove and change occurrences of series that were made just now, those of many series
        with the same requests.

        Nobody else knows them yet, so their versions need not be minded.
        """
        written = Written()
        series = {id_: draft for id_, draft in made if draft.deletions or draft.overrides}
        gone: list[_Step] = []
        wanted: list[tuple[Target, Sequence[Override]]] = []
        for id_, answer in self._reader.items(list(series)).items():
            draft = series[id_]
            try:
                wire = sure(answer)
                shown = self._decoded(wire, draft)
                target = Target(id_, version_of(wire), shown, draft.mark.zoning)
                gone += [
                    _Step(id_, key, occurrence_address(target, key)) for key in draft.deletions
                ]
                wanted.append((target, draft.overrides))
            except ConnectorError as error:
                written.failed[id_] = error
        changes = self._changes(wanted)
        self._run(gone, self._edits.discard, written)
        self._run(changes, lambda wires: self._edits.update(wires, "AlwaysOverwrite"), written)
        return written

    def _run(
        self,
        steps: Sequence[_Step],
        send: Callable[[Sequence[Wire]], Sequence[Answer | None]],
        written: Written,
    ) -> None:
        """Take the steps, some with each request; a series that fails is left where it is."""
        rest = list(steps)
        while rest := [step for step in rest if step.id not in written.failed]:
            batch, rest = rest[:BATCH], rest[BATCH:]
            try:
                answers = send([step.wire for step in batch])
            except ConnectorError as error:
                written.failed |= dict.fromkeys((step.id for step in batch), error)
                continue
            for step, answer in zip(batch, answers, strict=True):
                if isinstance(answer, CrossingError):
                    written.crossing.setdefault(step.id, set()).add(step.key)
                elif isinstance(answer, ConnectorError):
                    written.failed.setdefault(step.id, answer)

    def _decoded(self, wire: Wire, draft: Draft) -> Shown:
        try:
            return dialect.decode(wire, draft.mark.zoning)
        except UnmappableError as error:
            raise unreadable(error) from error

    def pin(self, items: Sequence[Item]) -> bool:
        """Give an end of their own to those occurrences of standing series that a write which
        broke off has left without; True if there were any."""
        lacking = [
            (Target(item.id, item.version, item.held.shown, item.mark.zoning), found)
            for item in items
            if item.mark and (found := joining.unpinned(item.held, item.occurrences))
        ]
        changes = self._changes(lacking)
        for batch in batches([step.wire for step in changes], BATCH):
            for answer in self._edits.update(batch, "AlwaysOverwrite"):
                sure(answer)
        return bool(changes)

    def _changes(self, wanted: Sequence[tuple[Target, Sequence[Override]]]) -> list[_Step]:
        """What has to be set on occurrences that nobody has changed yet."""
        shown = self._cut(wanted)
        steps = []
        for target, overrides in wanted:
            for override in overrides:
                key = override.key
                fields = self._difference(target, override, shown.get((target.id, key)))
                if fields:
                    change = item_change(occurrence_address(target, key), fields)
                    steps.append(_Step(target.id, key, change))
        return steps

    def _cut(
        self, wanted: Sequence[tuple[Target, Sequence[Override]]]
    ) -> dict[tuple[str, Key], Override]:
        """Those of the occurrences during which the clocks change, as Exchange shows them: whether
        they end by the wall clock is known when it has been asked."""
        asked = [
            (target, override.key)
            for target, overrides in wanted
            for override in overrides
            if is_cut(when_of(target.shown.event, override.key))
        ]
        wires = self._reader.at([occurrence_address(target, key) for target, key in asked])
        return {
            (target.id, key): dialect.decode_override(wire, target.shown, target.zoning)
            for (target, key), wire in zip(asked, wires, strict=True)
        }

    def change(self, id_: str, draft: Draft) -> frozenset[Key]:
        """Bring the occurrences of a standing series to what is wanted, one after the other; the
        moves that were refused."""
        wire = sure(self._reader.items([id_])[id_])
        changed = self._reader.occurrences([wire])
        shown = self._decoded(wire, draft)
        target = Target(id_, version_of(wire), shown, draft.mark.zoning)
        removed = {each.key for each in shown.event.overrides if each.cancelled}
        present = {
            override.key: override
            for answer in changed.values()
            if not isinstance(answer, ConnectorError)
            for override in [dialect.decode_override(answer, shown, draft.mark.zoning)]
        }
        missing = [key for key in draft.deletions if key not in removed]
        self._edits.delete([occurrence_address(target, key) for key in missing])
        if missing:
            target = replace(target, version=version_of(sure(self._reader.items([id_])[id_])))
        asked = {override.key for override in draft.overrides}
        back = [
            Override(key=key, details=shown.event.details, when=when_of(shown.event, key))
            for key in present
            if key not in asked and key not in draft.deletions
        ]
        new = [override for override in draft.overrides if override.key not in present]
        present |= {key: shown for (_id, key), shown in self._cut([(target, new)]).items()}
        target, refused = self._move(target, [*back, *draft.overrides], present)
        if refused and len(refused) < len(back) + len(draft.overrides):
            # What stood in the way may have moved by now.
            target, refused = self._move(target, refused, present)
        return frozenset(override.key for override in refused)

    def _move(
        self, target: Target, overrides: Sequence[Override], present: Mapping[Key, Override]
    ) -> tuple[Target, list[Override]]:
        """Write these, and tell which were refused."""
        refused: list[Override] = []
        for override in overrides:
            fields = self._difference(target, override, present.get(override.key))
            if not fields:
                continue
            change = item_change(occurrence_address(target, override.key), fields)
            answer = self._edits.update([change], "NeverOverwrite")[0]
            if isinstance(answer, CrossingError):
                refused.append(override)
            else:
                target = replace(target, version=version_of(guarded(answer)))
        return target, refused

    def _difference(
        self, target: Target, override: Override, present: Override | None
    ) -> dict[str, Any]:
        """What has to be set on an occurrence."""
        series = target.shown.event
        ruled = when_of(series, override.key)
        old_details = (present and present.details) or series.details
        old_when = (present and present.when) or ruled
        details, when = override.details or series.details, override.when or ruled
        before = self._encoded(old_details, old_when, target)
        after = self._encoded(details, when, target)
        updates = updates_of(before, after)
        if old_when != when:
            updates |= {name: after[name] for name in TIMES if after[name]}
        return updates

    def _encoded(self, details: Details, when: When, target: Target) -> dict[str, Any]:
        zoning = target.zoning
        if when.all_day or when.zone != zoning.source:
            zoning = dialect.written_in(when, self._reader.zone)
        return dialect.encode(details, when, zoning)
