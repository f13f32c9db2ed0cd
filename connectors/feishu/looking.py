"""Looks at what is about to be written. Feishu takes every PATCH and every DELETE, whatever has
happened to the event since it was read, and tells nobody what they overwrote.
"""

from collections.abc import Mapping
from typing import Any

from connectors.changes import carry_over
from connectors.contract import Copy
from connectors.errors import ConflictError, RejectedError
from connectors.feishu.api import CalendarApi, Wire
from connectors.feishu.errors import PROVIDER
from connectors.feishu.extras import is_extra
from connectors.feishu.reading import EventReader
from connectors.feishu.refusals import gone
from mappings import feishu, merge, recurrence
from mappings.errors import UnmappableError
from mappings.feishu import FeishuDialect
from mappings.feishu_extras import Extra
from mappings.model import Event, Key, Override

_NOBODYS = frozenset({"need_notification"})
"""What a body says that is no field of the event."""


class Looker:
    """One GET right before a write. What remains is the time between the two.

    The methods raise `ConflictError`, with the unit as it is now, if somebody has changed what is
    going to be overwritten; other fields may have changed. Thread safe.
    """

    def __init__(self, api: CalendarApi, reader: EventReader, dialect: FeishuDialect) -> None:
        self._api = api
        self._reader = reader
        self._dialect = dialect

    def event(self, calendar: str, copy: Copy, body: Mapping[str, Any]) -> None:
        """Before a PATCH of the event itself."""
        wire = self._api.event(calendar, copy.ref, attendees=False)
        if wire is None or feishu.is_cancelled(wire):
            raise gone()
        try:
            now = self._reader.copy(calendar, wire).event
        except UnmappableError as error:
            raise RejectedError(error.detail, provider=PROVIDER, code=error.code) from error
        changed = feishu.encode_changes(now, copy.event, self._dialect)
        if changed.keys() & body.keys() - _NOBODYS:
            raise self._conflict(calendar, copy)

    def occurrence(
        self,
        calendar: str,
        copy: Copy,
        before: Event,
        key: Key,
        event_id: str,
        body: Mapping[str, Any] | None,
    ) -> None:
        """Before a PATCH of an occurrence or of the event that stands for a date, or before its
        removal (`body` None), which no change survives. `before` is what it was decided on."""
        known = before.overrides_by_key.get(key) or regular(before, key)
        wire = self._api.event(calendar, event_id, attendees=False)
        try:
            now = self._override(calendar, copy.ref, key, wire, before)
        except UnmappableError as error:
            raise RejectedError(error.detail, provider=PROVIDER, code=error.code) from error
        if now is None or now.cancelled:
            raise self._conflict(calendar, copy, event_id)
        changed = feishu.encode_override(before, now, known, self._dialect).keys() - _NOBODYS
        if changed & (changed if body is None else body.keys()):
            raise self._conflict(calendar, copy, event_id)

    def everything(self, calendar: str, copy: Copy) -> bool:
        """Before a new event takes the place of this one; whether it stands there: if not, it may
        have been replaced already. As many GETs as `EventReader.fetch`."""
        now = self._reader.fetch(calendar, copy.ref, ids=_ids(copy))
        if now is None:
            return False
        if merge.changes(copy.event, carry_over(now, copy, ("attendees",)).event):
            raise ConflictError("the event was changed meanwhile", current=now, provider=PROVIDER)
        return True

    def untouched(self, calendar: str, copy: Copy, known: Override, event_id: str) -> bool:
        """Whether an event still stands for a date of the unit, just as it was known."""
        wire = self._api.event(calendar, event_id, attendees=False)
        if wire is None or feishu.is_cancelled(wire) or known.cancelled:
            return False
        now = self._override(calendar, copy.ref, known.key, wire, copy.event)
        return now is not None and not feishu.encode_override(copy.event, known, now, self._dialect)

    def _override(
        self, calendar: str, ref: str, key: Key, wire: Wire | None, before: Event
    ) -> Override | None:
        """The occurrence as it is; None where an event that stood for a date does so no more."""
        if wire is not None and is_extra(str(wire["event_id"]), ref):
            extra = Extra(ref, key)
            if self._reader.extras.of(calendar, wire) != extra:
                return None
            return self._reader.extra_date(calendar, wire, extra)[0]
        if wire is None or not (feishu.is_cancelled(wire) or wire.get("is_exception")):
            return regular(before, key)
        return self._reader.override(calendar, wire, before.when)[0]

    def _conflict(self, calendar: str, copy: Copy, *ids: str) -> ConflictError:
        return ConflictError(
            "the event was changed meanwhile",
            current=self._reader.fetch(calendar, copy.ref, ids=_ids(copy).union(ids)),
            provider=PROVIDER,
        )


def regular(event: Event, key: Key) -> Override:
    """The occurrence as the rule gives it, spelled out."""
    return Override(key=key, details=event.details, when=recurrence.when_of(event, key))


def _ids(copy: Copy) -> set[str]:
    return {member.id for member in copy.members if member.part != "main"}
