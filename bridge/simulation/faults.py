"""What goes wrong between the bridge and a provider."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from bridge.records import Side
from connectors.contract import Copy, Listing, Page
from connectors.errors import (
    ConnectorError,
    OutcomeUnknownError,
    RateLimitedError,
    ReauthorizeError,
    ResyncError,
    RetryableError,
)
from connectors.memory import Call, MemoryConnector
from mappings.model import Event

WRITES = frozenset({"create", "create_many", "update", "delete"})


@dataclass(slots=True)
class Faults:
    """The faults of the pass that is running. `listing` is (side, what, seed) of a listing that
    does not tell the truth."""

    listing: tuple[Side, str, int] | None = None

    def error(self, what: str, call: Call, moment: str) -> ConnectorError | None:
        """What this call meets at this moment, None if the fault does not fit it."""
        write = call.operation in WRITES
        match what, moment:
            case "refused", "before":
                return RetryableError("503, try again")
            case "limited", "before":
                return RateLimitedError("429, too many requests", after=30)
            case "consent lost", "before":
                return ReauthorizeError("401, the token was withdrawn")
            case "expired", "before" if call.operation == "changes":
                return ResyncError("410, the cursor is void")
            case "request lost", "before":
                return OutcomeUnknownError("no answer") if write else RetryableError("no answer")
            case "answer lost", "after":
                return OutcomeUnknownError("no answer") if write else RetryableError("no answer")
            case _:
                return None


class Lister:
    """A session whose listings may come up short. Everything else is the session's own."""

    def __init__(self, inner: MemoryConnector, side: Side, faults: Faults) -> None:
        self._inner = inner
        self._side = side
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def create_many(
        self, calendar: str, units: Sequence[tuple[Event, str]]
    ) -> Sequence[Copy | ConnectorError]:
        """See `CreatesMany`."""
        return self._inner.create_many(calendar, units)

    def changes(self, calendar: str, cursor: str | None) -> Iterator[Page]:
        """See `Connector`, which this does not always keep."""
        pages = self._inner.changes(calendar, cursor)
        if self._faults.listing is None or self._faults.listing[0] is not self._side:
            yield from pages
            return
        _side, what, seed = self._faults.listing
        if what == "stale listing" and cursor is not None:
            # A replica that has not heard of anything yet.
            yield Page(changes=(), listing=Listing.DELTA, cursor=cursor)
            return
        chance = Random(seed)  # noqa: S311 - a simulation, not a secret
        for page in pages:
            if cursor is not None or what == "stale listing":
                yield page
                continue
            share = 0.0 if what == "empty listing" else 0.6
            kept = tuple(item for item in page.changes if chance.random() < share)
            yield replace(page, changes=kept)
