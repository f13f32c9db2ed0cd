"""Reads one side of a link and says, unit by unit, what that side shows now.

Only a tombstone, or absence from a complete listing that a direct question confirms, means
deletion. A listing that breaks off raises and leaves everything as it was.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from bridge.breaker import blaming
from bridge.completion import Completion, Sight
from bridge.decision import GONE, Seen
from bridge.plan import guard_count
from bridge.records import Link, Side, Unit
from bridge.store import Store
from bridge.succession import Succession
from connectors.changes import apply_change, parts_of
from connectors.contract import (
    Change,
    Connector,
    Copy,
    Fragment,
    Gone,
    Listing,
    Page,
    Unreadable,
    Whole,
    fetch_again,
)
from connectors.errors import RejectedError
from mappings import identity, merge
from mappings.errors import UnmappableError
from mappings.policy import DeleteGuard


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One unit, and what the side shows of it (`seen`) or why that is unknown (`problem`)."""

    unit: Unit
    seen: Seen | None = None
    problem: Unreadable | None = None

    def is_news(self, side: Side) -> bool:
        """Whether the side shows something else than it last showed us."""
        shadow = self.unit.copy(side)
        if isinstance(self.seen, Copy):
            return shadow is None or shadow.event != self.seen.event
        return self.seen is GONE and shadow is not None


class Observer:
    """One reading of one side.

    After `observe` has been used up, `cursor` is the cursor to continue from, `held` says why
    absences were not believed (empty if they were), and `short` counts units that a listing which
    called itself complete had left out although they are alive.
    """

    def __init__(
        self,
        *,
        link: Link,
        side: Side,
        connector: Connector,
        store: Store,
        guard: DeleteGuard,
        completion: Completion,
        approved: bool = False,
        log: Callable[..., None],
    ) -> None:
        self._link = link
        self._side = side
        self._connector = connector
        self._calendar = link.endpoint(side).calendar
        self._store = store
        self._guard = guard
        self._completion = completion
        self._approved = approved
        self._log = log
        self._succession = Succession(store, link, side)
        self._succeeded: set[str] = set()
        self._gone: set[str] = set()
        self.cursor: str | None = None
        self.held = ""
        self.short = 0

    def observe(
        self, cursor: str | None, *, absences: bool = True
    ) -> Iterator[Iterable[Observation]]:
        """Batches of observations, one unit at most once. Deletions come last. Without `absences`
        nothing is concluded from what a complete listing does not name.

        To be used up one after the other: what they need to ask is asked while they are read."""
        with blaming(self._link.endpoint(self._side)):
            yield from self._observed(cursor, absences=absences)

    def _observed(self, cursor: str | None, *, absences: bool) -> Iterator[Iterable[Observation]]:
        listed: set[str] = set()
        waiting: dict[str, list[Whole | Fragment]] = {}
        gone: dict[str, None] = {}
        self._gone.clear()
        complete = False
        for page in self._connector.changes(self._calendar, cursor):
            self.cursor = page.cursor or self.cursor
            complete = complete or page.listing is Listing.COMPLETE
            ready = self._sort(page, waiting, gone, complete=complete)
            listed.update(change.ref for change in page.changes)
            yield ready
        for refs in _chunks(list(waiting), 200):
            yield self._assemble(refs, waiting, complete=complete)
        if complete and absences:
            yield from self._absent(listed)
        if not complete and self._connector.capabilities.nets_changes:
            yield from self._unheard(listed)
        self._gone.update(gone)
        for refs in _chunks(list(gone), 500):
            known = self._store.units_by_ref(self._link.id, self._side, refs)
            yield [
                Observation(unit=unit, seen=self._heir(ref) or GONE)
                for ref, unit in known.items()
                if unit.id not in self._succeeded
            ]

    def fetch(self, unit: Unit) -> Observation:
        """Ask for one unit directly."""
        ref = unit.ref(self._side)
        if ref is None:
            return Observation(unit=unit)
        with blaming(self._link.endpoint(self._side)):
            return self._ask(ref, unit)

    def _sort(
        self,
        page: Page,
        waiting: dict[str, list[Whole | Fragment]],
        gone: dict[str, None],
        *,
        complete: bool,
    ) -> Iterable[Observation]:
        """What of a page can be judged at once: single events. The parts of a series may stand on
        different pages in any order, so they wait for the end of the listing."""
        ready: dict[str, Change] = {}
        for change in page.changes:
            match change:
                case Gone(ref=ref):
                    gone[ref] = None
                    waiting.pop(ref, None)
                    ready.pop(ref, None)
                case Unreadable(ref=ref):
                    ready[ref] = change
                case Whole(copy=copy) if not copy.event.recurring and copy.ref not in waiting:
                    gone.pop(copy.ref, None)
                    ready[copy.ref] = change
                case Whole() | Fragment():
                    gone.pop(change.ref, None)
                    waiting.setdefault(change.ref, []).append(change)
        known = self._known(ready)
        observations, sights = [], []
        for ref, change in ready.items():
            unit = known.get(ref) or self._new(ref)
            if self._is_former(ref, unit):
                continue
            if isinstance(change, Unreadable):
                observations.append(Observation(unit=unit, problem=change))
            elif isinstance(change, Whole):
                sights.append((unit, change.copy, parts_of(change)))
        return chain(observations, self._completed(sights, complete=complete))

    def _completed(
        self, sights: Sequence[tuple[Unit, Copy, Collection[str]]], *, complete: bool
    ) -> Iterator[Observation]:
        copies = self._completion.complete(
            [Sight(unit.copy(self._side), copy, parts) for unit, copy, parts in sights],
            listing_complete=complete,
        )
        for (unit, _, _), copy in zip(sights, copies, strict=True):
            yield Observation(unit=unit, seen=copy)

    def _assemble(
        self, refs: Sequence[str], waiting: dict[str, list[Whole | Fragment]], *, complete: bool
    ) -> Iterable[Observation]:
        known = self._known(refs)
        observations, sights = [], []
        for ref in refs:
            unit = known.get(ref) or self._new(ref)
            if self._is_former(ref, unit):
                continue
            shadow = unit.copy(self._side) if unit.ref(self._side) == ref else None
            # A complete listing names every exception there is; if it leaves one out, we ask.
            copy = None if complete else shadow
            changes = sorted(waiting.pop(ref), key=lambda change: isinstance(change, Fragment))
            for change in changes:
                copy = apply_change(copy, change) or copy
            if copy is None and complete:
                self._log("exception without a series ignored", link=self._link.name, ref=ref)
            elif copy is None or self._reshaped(shadow, copy) or (complete and _less(copy, shadow)):
                asked = self._ask(ref, unit)
                if ref in known or asked.seen is not GONE:
                    observations.append(asked)
            else:
                parts = frozenset().union(*map(parts_of, changes))
                sights.append((unit, copy, parts))
        return chain(observations, self._completed(sights, complete=complete))

    def _known(self, refs: Collection[str]) -> dict[str, Unit]:
        """The units that these refs belong to, be it that another link made them so."""
        known = self._store.units_by_ref(self._link.id, self._side, refs)
        heirs = self._succession.heirs([ref for ref in refs if ref not in known])
        self._succeeded.update(unit.id for unit in heirs.values())
        return known | heirs

    def _is_former(self, ref: str, unit: Unit) -> bool:
        """Whether something else, which has been seen already, has the place of this."""
        return unit.id in self._succeeded and unit.ref(self._side) == ref

    def _reshaped(self, shadow: Copy | None, copy: Copy) -> bool:
        """Whether exceptions that we only remember may have been moved by a change of the rule."""
        return (
            self._connector.capabilities.reshape_refetch
            and shadow is not None
            and bool(shadow.event.overrides)
            and merge.schedule(shadow.event) != merge.schedule(copy.event)
        )

    def _absent(self, listed: set[str]) -> Iterator[Sequence[Observation]]:
        missing, known = [], 0
        for ref, unit_id in self._store.refs(self._link.id, self._side):
            known += 1
            if ref not in listed:
                missing.append((ref, unit_id))
        if not missing:
            return
        reason = guard_count(len(missing), known, self._guard)
        if reason and not self._approved:
            self.held = f"the listing of side {self._side.value} shrank: {reason}"
            return
        for ref, unit_id in missing:
            unit = self._store.unit(self._link.id, unit_id)
            if unit is None or self._is_former(ref, unit):
                continue
            observation = self._ask(ref, unit)
            replaced = isinstance(observation.seen, Copy) and observation.seen.ref != ref
            if observation.seen is not GONE and not replaced:
                self.short += 1
            yield [observation]
        if self.short:
            self._log("a complete listing had left out living events", count=self.short)

    def _unheard(self, listed: set[str]) -> Iterator[Sequence[Observation]]:
        """What the last run made and nobody speaks of: the cursor is from before that, so it has
        been deleted since (EWS SyncFolderItems tells the difference of two states)."""
        for ref, unit_id in self._store.made_last(self._link.id, self._side):
            unit = self._store.unit(self._link.id, unit_id) if ref not in listed else None
            if unit is not None and (observation := self._ask(ref, unit)).seen is GONE:
                yield [observation]

    def _ask(self, ref: str, unit: Unit) -> Observation:
        """Read one unit directly. One that cannot be understood stops nobody else."""
        shadow = unit.copy(self._side)
        try:
            copy = fetch_again(self._connector, self._calendar, ref, shadow) or self._heir(ref)
        except (RejectedError, UnmappableError) as error:
            problem = Unreadable(ref=ref, code=error.code, detail=str(error))
            return Observation(unit=unit, problem=problem)
        return Observation(unit=unit, seen=copy or GONE)

    def _heir(self, ref: str) -> Copy | None:
        """What has the place of an event that is gone. As long as reads may lag behind writes,
        another link's word that it made it counts more than that nothing is found."""
        heir = self._succession.heir(ref)
        if heir is None or heir.ref in self._gone:
            return None
        now = self._connector.fetch(self._calendar, heir.ref)
        return heir if now is None and self._connector.capabilities.lag else now

    def _new(self, ref: str) -> Unit:
        unit_id = identity.unit_id(self._link.uid, self._side.value, ref)
        return Unit(
            id=unit_id,
            link_id=self._link.id,
            home=self._side,
            ref_a=ref if self._side is Side.A else None,
            ref_b=ref if self._side is Side.B else None,
        )


def _less(copy: Copy, shadow: Copy | None) -> bool:
    """Whether exceptions that we remember are not there."""
    known = shadow.event.overrides_by_key if shadow is not None else {}
    return bool(known.keys() - copy.event.overrides_by_key.keys())


def _chunks(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
