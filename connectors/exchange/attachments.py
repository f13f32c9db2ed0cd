"""Files that people attach at Exchange. The bridge does not carry them, and must not lose them."""

from collections.abc import Sequence

from connectors.errors import RejectedError
from connectors.exchange.errors import PROVIDER
from connectors.exchange.reading import Item, Reader, item_id
from mappings import exchange as dialect
from mappings.model import Key


def spare(reader: Reader, items: Sequence[Item], occurrences: Sequence[tuple[Item, Key]]) -> None:
    """Raise `RejectedError` if these items, or these changed occurrences, have attachments, which
    would go with them. An occurrence may show those of its series, which do not count.

    No call, unless an occurrence has any.
    """
    if any(dialect.flag(item.wire, "HasAttachments") for item in items):
        raise _refusal(items[0].held.event.details.title)
    for item, key in occurrences:
        wire = item.occurrences.get(key)
        if wire is None or not dialect.flag(wire, "HasAttachments"):
            continue
        names = reader.attached([item.id, item_id(wire)])
        if names[item_id(wire)] - names[item.id]:
            raise _refusal(f"{item.held.event.details.title} ({key})")


def _refusal(what: str) -> RejectedError:
    return RejectedError(
        f"{what!r} has to be written anew at Exchange and would lose its attachments. Save them, "
        "take them off in Outlook, and retry; or attach them to the series instead.",
        provider=PROVIDER,
        operation="UpdateItem",
        code="attachments",
    )
