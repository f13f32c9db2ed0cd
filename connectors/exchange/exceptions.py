"""Changed and removed occurrences of series.

An occurrence is addressed by its place in the pattern. All share the version of their series,
which every write changes, so that several are written one after the other.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from connectors.errors import ConnectorError
from connectors.exchange.client import Wire
from connectors.exchange.edits import BATCH, Edits, guarded, sure
from connectors.exchange.payloads import TIMES, Target, item_change, occurrence_address, updates_of
from connectors.exchange.reading import Reader, batches, unreadable, version_of
from mappings import exchange as dialect
from mappings.errors import UnmappableError
from mappings.exchange import Shown
from mappings.exchange_units import Draft
from mappings.model import Details, Override, When
from mappings.recurrence import when_of


class Exceptions:
    """Writes the exceptions of one account's series."""

    def __init__(self, reader: Reader, edits: Edits) -> None:
        self._reader = reader
        self._edits = edits

    def write(self, made: Sequence[tuple[str, Draft]]) -> None:
        """Remove and change occurrences of series that were made just now.

        Nobody else knows them yet, so their versions need not be minded.
        """
        series = [(id_, draft) for id_, draft in made if draft.deletions or draft.overrides]
        if not series:
            return
        wires = self._reader.items([id_ for id_, _draft in series])
        gone: list[Wire] = []
        changes: list[Wire] = []
        for id_, draft in series:
            wire = sure(wires[id_])
            shown = self._decoded(wire, draft)
            target = Target(id_, version_of(wire), shown, draft.mark.zoning)
            gone += [occurrence_address(target, key) for key in draft.deletions]
            for override in draft.overrides:
                fields = self._difference(target, override, None)
                changes.append(item_change(occurrence_address(target, override.key), fields))
        self._edits.delete(gone)
        for batch in batches(changes, BATCH):
            for answer in self._edits.update(batch, "AlwaysOverwrite"):
                sure(answer)

    def _decoded(self, wire: Wire, draft: Draft) -> Shown:
        try:
            return dialect.decode(wire, draft.mark.zoning)
        except UnmappableError as error:
            raise unreadable(error) from error

    def change(self, id_: str, draft: Draft) -> None:
        """Bring the occurrences of a standing series to what is wanted, one after the other."""
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
        for override in (*back, *draft.overrides):
            fields = self._difference(target, override, present.get(override.key))
            if not fields:
                continue
            change = item_change(occurrence_address(target, override.key), fields)
            answer = self._edits.update([change], "NeverOverwrite")[0]
            target = replace(target, version=version_of(guarded(answer)))

    def _difference(
        self, target: Target, override: Override, present: Override | None
    ) -> dict[str, Any]:
        """What has to be set on an occurrence."""
        series = target.shown.event
        old_details = (present and present.details) or series.details
        old_when = (present and present.when) or when_of(series, override.key)
        details, when = override.details or series.details, override.when or old_when
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
