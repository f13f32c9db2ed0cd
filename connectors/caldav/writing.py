"""Creating, changing and deleting units.

Every write bears a precondition, so it can be repeated without harm: a new object may not exist
yet (`If-None-Match: *`, under a name of our choice), an old one must still bear the ETag that was
seen (`If-Match`). One call, unless the object is not remembered or the server keeps its ETag to
itself.
"""

from collections.abc import Callable
from datetime import datetime

from connectors.caldav.addresses import object_url
from connectors.caldav.client import Client
from connectors.caldav.errors import PROVIDER, AbsentError
from connectors.caldav.reading import Reader
from connectors.caldav.recall import Object, Recall
from connectors.caldav.settings import Settings
from connectors.contract import Copy
from connectors.errors import ConflictError, RejectedError, RetryableError
from mappings import caldav as dialect
from mappings.errors import UnmappableError
from mappings.model import Event

_TRIES = 4
_SCHEDULES = "calendar-auto-schedule"


class Writer:
    """Writes the units of one account's calendars. `owner` is the account's own address."""

    def __init__(
        self,
        client: Client,
        reader: Reader,
        recall: Recall,
        settings: Settings,
        *,
        owner: str | None,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._reader = reader
        self._recall = recall
        self._settings = settings
        self._owner = owner
        self._now = now

    def create(self, calendar: str, event: Event, key: str) -> Copy:
        """As `Connector.create`; one call."""
        ref = name_of(key)
        try:
            text = dialect.encode(event, key=key, now=self._now(), owner=self._owner)
        except UnmappableError as error:
            raise _unsayable(error) from error
        for _ in range(_TRIES):
            try:
                return self._put(calendar, ref, text, None)
            except ConflictError:
                made = self._reader.unit(calendar, ref)
                if made is not None:
                    return made
        raise _restless(ref)

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """As `Connector.update`; one call, two where the object was not seen lately."""
        ref = copy.ref
        found = self._recall.get(calendar, ref, copy.version())
        for _ in range(_TRIES):
            found = found or self._reader.get(calendar, ref)
            shown = self._reader.copy(calendar, ref, found) if found else None
            if found is None or shown is None:
                raise _changed_meanwhile(ref, None)
            if same(shown.event, event):
                return shown  # nothing to do, or an earlier attempt of ours arrived after all
            if shown.version() != copy.version() and shown.event != copy.event:
                raise _changed_meanwhile(ref, shown)
            self._expect_silence(calendar, shown, found)
            try:
                return self._put(
                    calendar, ref, self._merged(calendar, found, shown, event), found.etag
                )
            except ConflictError:
                self._recall.forget(calendar, ref)
                found = None
        raise _restless(ref)

    def delete(self, calendar: str, copy: Copy) -> None:
        """As `Connector.delete`; one call."""
        ref, etag = copy.ref, copy.version()
        if found := self._recall.get(calendar, ref, etag):
            self._expect_silence(calendar, copy, found)
        elif copy.event.details.attendees:
            now = self._reader.get(calendar, ref)
            if now is None:
                return
            self._expect_silence(calendar, copy, now)
        for _ in range(_TRIES):
            try:
                self._client.delete(object_url(calendar, ref), etag=etag)
            except AbsentError:
                self._reader.require(calendar)
            except ConflictError:
                self._recall.forget(calendar, ref)
                shown = self._reader.unit(calendar, ref)
                if shown is None:
                    return
                if shown.event != copy.event:
                    raise _changed_meanwhile(ref, shown) from None
                etag = shown.version()
                continue
            self._recall.forget(calendar, ref)
            return
        raise _restless(ref)

    def _put(self, calendar: str, ref: str, text: str, etag: str | None) -> Copy:
        """Store the text under its precondition, and say what then stands there."""
        try:
            new = self._client.put(object_url(calendar, ref), text, etag=etag)
        except AbsentError as error:
            self._reader.require(calendar)
            raise RejectedError(error.message, **error.facts) from error
        if new is None:
            # The server changed what it was given, or does not tell.
            made = self._reader.unit(calendar, ref)
        else:
            written = Object(new, text)
            self._recall.put(calendar, ref, written)
            made = self._reader.copy(calendar, ref, written)
        if made is None:
            raise _changed_meanwhile(ref, None)
        return made

    def _merged(self, calendar: str, found: Object, shown: Copy, event: Event) -> str:
        try:
            return dialect.merge_into(
                found.text,
                shown.event,
                event,
                zone=self._reader.zone(calendar),
                now=self._now(),
                owner=self._owner,
            )
        except UnmappableError as error:
            raise _unsayable(error) from error

    def _expect_silence(self, calendar: str, copy: Copy, found: Object) -> None:
        """Raise `RejectedError` where the server itself would mail a person's guests.

        A copy of ours names guests only under the policy `invite`. A server that schedules says so
        in its `DAV` header (RFC 6638 section 2); it is asked once for each calendar.
        """
        if copy.origin is not None or not copy.organized or self._settings.mail_guests:
            return
        shown = dialect.decode(found.text, self._reader.zone(calendar), self._reader.addresses)
        if shown is None or not shown.guests:
            return
        mailing = self._recall.mailing.get(calendar)
        if mailing is None:
            mailing = _SCHEDULES in self._client.features(calendar)
            self._recall.mailing.put(calendar, mailing)
        if mailing:
            raise RejectedError(
                "The CalDAV server would mail the guests of this meeting, which a person invited. "
                "Change it there, or allow `mail_guests`.",
                provider=PROVIDER,
                operation="PUT",
                code="would-mail",
            )


def name_of(key: str) -> str:
    """The name of the object that is made with a create key."""
    return f"{key}.ics"


def same(shown: Event, wanted: Event) -> bool:
    """Whether nothing is left to write, apart from what a server sets by itself."""
    return dialect.writable(shown) == dialect.writable(dialect.anchored(wanted))


def _unsayable(error: UnmappableError) -> RejectedError:
    return RejectedError(
        f"iCalendar cannot say this: {error.detail}.",
        provider=PROVIDER,
        operation="PUT",
        code=error.code,
    )


def _changed_meanwhile(ref: str, current: Copy | None) -> ConflictError:
    return ConflictError(
        f"The event {ref} was {'changed' if current else 'deleted'} on the server meanwhile.",
        current=current,
        provider=PROVIDER,
        operation="PUT",
        code="412",
    )


def _restless(ref: str) -> RetryableError:
    return RetryableError(
        f"The event {ref} changes faster than it can be written.",
        provider=PROVIDER,
        operation="PUT",
        code="412",
    )
