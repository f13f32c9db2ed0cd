"""Making units: many with few requests."""

from collections.abc import Iterator, Mapping, Sequence

from connectors.contract import Copy
from connectors.errors import ConnectorError, RejectedError, RetryableError
from connectors.exchange.client import Answer, Wire
from connectors.exchange.edits import Edits, sure
from connectors.exchange.errors import PROVIDER
from connectors.exchange.exceptions import Exceptions
from connectors.exchange.payloads import guests_of, new_item
from connectors.exchange.reading import Group, Reader, item_id
from mappings import exchange_units as units
from mappings.errors import UnmappableError
from mappings.exchange_units import Draft
from mappings.model import Event, Key


class Maker:
    """Writes the new units of one account. What Exchange refused of a unit's exceptions is left
    to be written by the caller."""

    def __init__(self, reader: Reader, edits: Edits, exceptions: Exceptions) -> None:
        self._reader = reader
        self._edits = edits
        self._exceptions = exceptions

    def make(
        self, calendar: str, making: Mapping[str, Event]
    ) -> tuple[dict[str, str | ConnectorError], dict[str, frozenset[Key]]]:
        """The ref of each unit, by its key, or why there is none; and the moves that were
        refused."""
        made: dict[str, str | ConnectorError] = {}
        plans: dict[str, tuple[Draft, ...]] = {}
        for key, event in making.items():
            try:
                plans[key] = drafts(self._reader, event, 1, key)
            except RejectedError as error:
                made[key] = error
        self._clear(calendar, [key for key, planned in plans.items() if len(planned) > 1])
        loud = [key for key in plans if guests_of(making[key].details.attendees)]
        quiet = [key for key in plans if key not in loud]
        ids: dict[str, list[str]] = {}
        for keys, mails in ((quiet, "SendToNone"), (loud, "SendToAllAndSaveCopy")):
            for key, answers in self._put(calendar, {key: plans[key] for key in keys}, mails):
                try:
                    ids[key] = [item_id(sure(answer)) for answer in answers]
                except ConnectorError as error:
                    made[key] = error
        pairs = {key: list(zip(ids[key], plans[key], strict=True)) for key in ids}
        written = self._exceptions.write([pair for each in pairs.values() for pair in each])
        refused: dict[str, frozenset[Key]] = {}
        for key, own in pairs.items():
            failed = [written.failed[id_] for id_, _draft in own if id_ in written.failed]
            # A unit of one item is named by that item, others by their key.
            made[key] = failed[0] if failed else key if len(own) > 1 else own[0][0]
            refused[key] = written.refused([id_ for id_, _draft in own])
        return made, {key: keys for key, keys in refused.items() if keys}

    def _clear(self, calendar: str, keys: Sequence[str]) -> None:
        """Take away what a creation that broke off before its main item has left behind."""
        orphans = self._reader.marked(calendar, units.UNIT, keys) if keys else []
        self._edits.remove([item_id(wire) for wire in orphans])

    def _put(
        self, calendar: str, plans: Mapping[str, Sequence[Draft]], mails: str
    ) -> Iterator[tuple[str, list[Answer]]]:
        """Write the items of new units, the main one last; the answers stand as the drafts do."""
        wires: list[Wire] = []
        for key, planned in plans.items():
            unit = key if len(planned) > 1 else None
            wires += [new_item(draft, key, unit) for draft in reversed(planned)]
        answers = iter(self._edits.insert(calendar, wires, mails))
        for key, planned in plans.items():
            own = [next(answers) for _draft in planned]
            yield key, own[::-1]


def drafts(
    reader: Reader, event: Event, generation: int, uid: str, apart: frozenset[Key] = frozenset()
) -> tuple[Draft, ...]:
    """The items that show the event. Raises `RejectedError` if nothing shows it."""
    try:
        return units.drafts(
            event,
            mailbox=reader.zone,
            now=reader.now(),
            generation=max(1, generation),
            uid=uid,
            apart=apart,
        )
    except UnmappableError as error:
        raise RejectedError(
            f"Exchange cannot hold this series: {error.detail}",
            provider=PROVIDER,
            operation="CreateItem",
            code=error.code,
        ) from error


def shown(group: Group | None, ref: str, reader: Reader) -> Copy:
    """A unit that was written just now."""
    if group is None:
        raise RetryableError(
            f"The event {ref} was written, but Exchange does not show it.",
            provider=PROVIDER,
            operation="GetItem",
            code="not-shown",
        )
    return reader.copy(group)
