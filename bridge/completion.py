"""Asks for details that a side's listings leave out, but only where somebody will see them.

Such details cost a call per event. Nobody pays for events that are not going to be copied, for
links that do not carry the details, and for events that a complete listing shows unchanged.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from bridge.breaker import blaming
from bridge.decision import Seen
from bridge.records import Link, Side, Unit
from connectors.changes import carry_over
from connectors.contract import Completes, Connector, Copy

AHEAD = 4
"""Questions asked before their answers are wanted, for each that may be under way at a time: enough
that writing never waits for reading, and few enough to ask in vain when a turn ends."""

Wanted = Callable[[Copy], bool]
Sighting = tuple[Unit, Mapping[Side, Seen]]
"""A unit, and what sides have shown of it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A unit as a listing showed it: the last shadow, the copy now, and the members named."""

    shadow: Copy | None
    copy: Copy
    parts: Collection[str]


class Completion:
    """For one side of one link.

    `detailed`: the link carries the details at all. `wanted` says of an unknown copy whether it
    is going to be copied. `trusting`: shadows were made under the link's present policy. `workers`
    makes what so many questions at a time are asked on. `patient`: whether an event that no unit
    knows is going to be copied shows later; what it leaves out is put off until `finish`.
    """

    def __init__(
        self,
        connector: Connector,
        calendar: str,
        *,
        detailed: bool,
        wanted: Wanted,
        trusting: bool,
        workers: Callable[[int], Executor],
        patient: bool = False,
    ) -> None:
        self._asked = connector if isinstance(connector, Completes) and connector.left_out else None
        self._width = max(1, connector.capabilities.parallel_reads)
        self._calendar = calendar
        self._detailed = detailed
        self._wanted = wanted
        self._trusting = trusting
        self._workers = workers
        self._patient = patient
        self._put_off: dict[str, Collection[str]] = {}

    def complete(self, sights: Iterable[Sight], *, listing_complete: bool) -> Iterator[Copy]:
        """The copies, in order, each with all its details as far as they matter now. While the
        caller is busy with one, the next ones are asked for."""
        if self._asked is None:
            return (sight.copy for sight in sights)
        return self._answers(self._asked, (self._open(each, listing_complete) for each in sights))

    def is_put_off(self, copy: Copy) -> bool:
        """Whether `finish` has something to ask about the event."""
        return copy.ref in self._put_off

    def finish(self, copies: Iterable[Copy]) -> Iterator[Copy]:
        """The copies, in order, with what was put off; asked for in the same way."""
        if self._asked is None:
            return iter(copies)
        return self._answers(
            self._asked,
            (copy if parts is None else Sight(None, copy, parts)
             for copy in copies for parts in [self._put_off.pop(copy.ref, None)]),
        )  # fmt: skip

    def _answers(self, asked: Completes, items: Iterable[Copy | Sight]) -> Iterator[Copy]:
        due: deque[Copy | Future[Copy]] = deque()
        pool = self._workers(self._width)
        try:
            for item in items:
                due.append(item if isinstance(item, Copy) else pool.submit(self._ask, asked, item))
                if len(due) > AHEAD * self._width:
                    yield _answer(due.popleft())
            while due:
                yield _answer(due.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _open(self, sight: Sight, listing_complete: bool) -> Copy | Sight:
        """The sight if it has to be asked about now, else the copy."""
        assert self._asked is not None
        known = self._known(self._asked, sight, listing_complete=listing_complete)
        if known is None and self._patient and sight.shadow is None:
            self._put_off[sight.copy.ref] = sight.parts
            return sight.copy
        return sight if known is None else known

    def _known(self, asked: Completes, sight: Sight, *, listing_complete: bool) -> Copy | None:
        """The copy if it needs no call."""
        if sight.shadow is None:
            return None if self._detailed and self._wanted(sight.copy) else sight.copy
        carried = carry_over(sight.copy, sight.shadow, asked.left_out)
        if not self._detailed:
            return carried
        unchanged = listing_complete and carried.event == sight.shadow.event
        return carried if unchanged and self._trusting else None

    def _ask(self, asked: Completes, sight: Sight) -> Copy:
        copy = sight.copy
        if sight.shadow is not None:
            copy = carry_over(copy, sight.shadow, asked.left_out, sight.parts)
        return asked.complete(self._calendar, copy, sight.parts)


def _answer(copy: Copy | Future[Copy]) -> Copy:
    return copy.result() if isinstance(copy, Future) else copy


def finished(
    link: Link, completions: Mapping[Side, Completion], found: Iterable[Sighting]
) -> Iterator[Sighting]:
    """What was seen of each unit, with all that was put off. Goes through `found` several times."""
    copies = {side: completions[side].finish(_shown(found, side)) for side in Side}
    for unit, seen in found:
        whole = dict(seen)
        for side, each in seen.items():
            if isinstance(each, Copy):
                with blaming(link.endpoint(side)):
                    whole[side] = next(copies[side])
        yield unit, whole


def _shown(found: Iterable[Sighting], side: Side) -> Iterator[Copy]:
    for _unit, seen in found:
        copy = seen.get(side)
        if isinstance(copy, Copy):
            yield copy
