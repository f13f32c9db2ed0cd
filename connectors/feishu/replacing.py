"""Changes that Feishu has no call for: a new event takes the place of the old one."""

from hashlib import sha256
from typing import Protocol

from connectors.contract import Copy
from connectors.errors import ConflictError, RejectedError, RetryableError
from connectors.feishu.api import CalendarApi, Wire
from connectors.feishu.errors import PROVIDER
from connectors.feishu.looking import Looker
from connectors.feishu.reading import EventReader
from connectors.feishu.refusals import DEAD_KEY, gone, two_stand
from mappings import feishu, merge
from mappings.feishu import FeishuDialect
from mappings.members import is_member
from mappings.model import Event

ATTEMPTS = 16
"""Keys that are tried where something was made with one before and taken away again."""


class Writer(Protocol):
    """What is done to the new event and to the old one."""

    def made(self, calendar: str, wire: Wire, event: Event) -> Copy:
        """The unit whose event a create was answered with, once it holds all of `event`."""

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """See `Connector.update`."""

    def delete(self, calendar: str, copy: Copy) -> None:
        """See `Connector.delete`."""


class Replacer:
    """Makes the new event first, so that a crash loses nothing; its key depends on the old one
    alone, so that a repetition finds it. Thread safe."""

    def __init__(
        self,
        api: CalendarApi,
        reader: EventReader,
        look: Looker,
        dialect: FeishuDialect,
        writer: Writer,
    ) -> None:
        self._api = api
        self._reader = reader
        self._look = look
        self._dialect = dialect
        self._writer = writer

    def replaced(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """The new event instead of the old one. `ConflictError` if somebody has changed the old
        one; `OutcomeUnknownError` where both may stand."""
        if copy.event.details.attendees:
            raise RejectedError(
                "Feishu can only make this change with a new event, which would drop the "
                "attendees' answers; change it in Feishu",
                provider=PROVIDER,
                code="recreate",
            )
        stands = self._look.everything(calendar, copy)
        wire = self._in_place_of(calendar, copy, event, stands=stands)
        try:
            made = self._writer.made(calendar, wire, event)
            # Where the old one has gone, all was done before: what is different, people did.
            wanted = event if stands else merge.completed(made.event, event)
            made = self._writer.update(calendar, made, wanted)
        except RejectedError:
            self._undo(calendar, wire, event)
            raise
        except (ConflictError, RetryableError) as error:
            raise two_stand() from error
        try:
            self._writer.delete(calendar, copy)
        except (RejectedError, RetryableError) as error:
            raise two_stand() from error
        return made

    def abandon(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """See `Replaces`. One POST, which finds the attempt or makes another, and a delete."""
        wire = self._in_place_of(calendar, copy, event, stands=True)
        return self._undo(calendar, wire, event)

    def _in_place_of(self, calendar: str, copy: Copy, event: Event, *, stands: bool) -> Wire:
        """The event that takes the place of another, which `stands` there yet. One that was taken
        away while it did was an attempt that came to nothing."""
        body = feishu.encode(event, self._dialect)
        for attempt in range(ATTEMPTS):
            name = f"{calendar} {copy.ref} replaced" + (f" {attempt}" if attempt else "")
            wire = self._api.create(calendar, body, sha256(name.encode()).hexdigest())
            if not feishu.is_cancelled(wire):
                return wire
            if not stands:
                raise gone()
        raise RejectedError(
            "Feishu can only make this change with a new event, and refuses that again and again",
            provider=PROVIDER,
            code=DEAD_KEY,
        )

    def _undo(self, calendar: str, wire: Wire, event: Event) -> Copy:
        """Take away what was made for a change that comes to nothing, with its exceptions."""
        ref = str(wire["event_id"])
        made = self._reader.fetch(calendar, ref) or Copy(ref=ref, event=event, members=())
        try:
            self._writer.delete(calendar, made)
        except (RejectedError, RetryableError) as error:
            raise two_stand() from error
        return made


def replaces(old: Event, new: Event) -> bool:
    """Whether no PATCH leads from one to the other: a series becomes a single event, or an
    occurrence that was taken away is to take place again."""
    if feishu.needs_recreation(old, new):
        return True
    wanted = new.overrides_by_key
    return any(
        override.cancelled
        and is_member(new, override.key)
        and not (override.key in wanted and wanted[override.key].cancelled)
        for override in old.overrides
    )
