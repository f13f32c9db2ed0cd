"""Asks for details that a side's listings leave out, but only where somebody will see them.

Such details cost a call per event. Nobody pays for events that are not going to be copied, for
links that do not carry the details, and for events that a complete listing shows unchanged.
"""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from connectors.changes import carry_over
from connectors.contract import Completes, Connector, Copy

Wanted = Callable[[Copy], bool]


@dataclass(frozen=True, slots=True)
class Sight:
    """A unit as a listing showed it: the last shadow, the copy now, and the members named."""

    shadow: Copy | None
    copy: Copy
    parts: Collection[str]


class Completion:
    """For one side of one link.

    `detailed`: the link carries the details at all. `wanted` says of an unknown copy whether it
    is going to be copied. `trusting`: shadows were made under the link's present policy.
    """

    def __init__(
        self,
        connector: Connector,
        calendar: str,
        *,
        detailed: bool,
        wanted: Wanted,
        trusting: bool,
    ) -> None:
        self._connector = connector
        self._calendar = calendar
        self._detailed = detailed
        self._wanted = wanted
        self._trusting = trusting

    def complete(self, sights: Sequence[Sight], *, listing_complete: bool) -> list[Copy]:
        """The copies, in order, each with all its details as far as they matter."""
        if not isinstance(self._connector, Completes) or not self._connector.left_out:
            return [sight.copy for sight in sights]
        copies = {
            number: copy
            for number, sight in enumerate(sights)
            if (copy := self._known(sight, listing_complete=listing_complete)) is not None
        }
        missing = [number for number in range(len(sights)) if number not in copies]
        if missing:
            width = max(1, self._connector.capabilities.parallel_reads)
            with ThreadPoolExecutor(width, "complete") as pool:
                asked = pool.map(lambda number: self._ask(sights[number]), missing)
                copies.update(zip(missing, asked, strict=True))
        return [copies[number] for number in range(len(sights))]

    def _known(self, sight: Sight, *, listing_complete: bool) -> Copy | None:
        """The copy if it needs no call."""
        assert isinstance(self._connector, Completes)
        if sight.shadow is None:
            return None if self._detailed and self._wanted(sight.copy) else sight.copy
        carried = carry_over(sight.copy, sight.shadow, self._connector.left_out)
        if not self._detailed:
            return carried
        unchanged = listing_complete and carried.event == sight.shadow.event
        return carried if unchanged and self._trusting else None

    def _ask(self, sight: Sight) -> Copy:
        assert isinstance(self._connector, Completes)
        copy = sight.copy
        if sight.shadow is not None:
            copy = carry_over(copy, sight.shadow, self._connector.left_out, sight.parts)
        return self._connector.complete(self._calendar, copy, sight.parts)
