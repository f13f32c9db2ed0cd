"""Creating, changing and deleting units.

Every write can be repeated without harm: an insert bears an id of our choice, an update or delete
the version that it expects. A change reads the object first and sends it back whole (`get`, then
`update`): an update replaces everything, so what the bridge does not know has to be sent along;
`patch` would save the read, but it counts three times against the quota and overwrites lists all
the same (reference of `events.patch`). Nobody is mailed unless guests are being invited.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from connectors.changes import occurrence_part
from connectors.contract import Copy, Member
from connectors.errors import ConflictError, RetryableError
from connectors.google.client import Client, Wire
from connectors.google.errors import PROVIDER, AbsentError, ForbiddenError
from connectors.google.reading import Reader, exception, follows_rule, with_exceptions
from mappings import google as dialect
from mappings import merge, recurrence
from mappings.members import is_member
from mappings.model import Attendee, Details, Event, Key, Override

_TRIES = 4
Written = tuple[Override, Member]


class Writer:
    """Writes the units of one account's calendars."""

    def __init__(self, client: Client, reader: Reader) -> None:
        self._client = client
        self._reader = reader

    # -- whole units -------------------------------------------------------------------------

    def create(self, calendar: str, event: Event, key: str) -> Copy:
        """As `Connector.create`; one call, and one more for every changed occurrence.

        Raises `ConflictError` with code `dead-key` if an event of this id was deleted and may
        not be brought back: the key is spent, another one has to be used.
        """
        event = _anchored(event)
        body = dialect.encode(event, id=key, origin_mark=key)
        mails = _mails((), event.details.attendees)
        try:
            wire = self._client.write(
                "events.insert", calendarId=calendar, body=body, sendUpdates=mails
            )
        except ConflictError:
            return self._made_before(calendar, event, key, body, mails)
        made = self._reader.copy(wire, self._reader.zone(calendar))
        # What was made just now cannot have been changed by others, so its occurrences need not
        # be looked at first.
        written = [
            self._put_occurrence(calendar, made, override, wire, version=None)
            for override in _changed(event)
        ]
        return with_exceptions(made, written)

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """As `Connector.update`. Two calls for the event itself, three where a series gets another
        time or rule or loses an occurrence, one or two per occurrence.

        What becomes of exceptions when their series is changed is not documented; they are read
        again and put right where they differ.
        """
        now, event = copy, _anchored(event)
        if not _alike(_of_master(copy.event, copy), _of_master(event, copy)):
            now = self._update_master(calendar, copy, event)
        written: list[Written] = []
        if event.recurring:
            written = self._settle(calendar, now, event)
        return with_exceptions(now, written)

    def delete(self, calendar: str, copy: Copy) -> None:
        """As `Connector.delete`; one call."""
        version = copy.version()
        for _ in range(_TRIES):
            try:
                self._client.write(
                    "events.delete",
                    version=version,
                    calendarId=calendar,
                    eventId=copy.ref,
                    sendUpdates="none",
                )
            except AbsentError as error:
                if error.code == "notFound":
                    self._reader.require(calendar)
            except ConflictError:
                wire = self._reader.get(calendar, copy.ref)
                if wire is None or dialect.is_cancelled(wire):
                    return
                version = self._expected(calendar, copy, wire).version()
                continue
            return
        raise _restless(copy.ref)

    # -- the single event or the master --------------------------------------------------------

    def _made_before(
        self, calendar: str, event: Event, key: str, body: dict[str, Any], mails: str
    ) -> Copy:
        """An event of this id exists: our own, whose answer was lost, or one that was deleted."""
        wire = self._reader.get(calendar, key)
        if wire is None:
            raise RetryableError(
                "Google says the event exists, but does not show it yet.",
                provider=PROVIDER,
                operation="events.insert",
                code="duplicate",
            )
        revived = dialect.is_cancelled(wire)
        if revived:
            wire = self._revive(calendar, wire, body, mails)
        copy = self._reader.of_wire(calendar, wire)
        if copy is None:
            raise _dead(key)
        unfinished = len(copy.members) == 1 and _alike(_bare(copy.event), _bare(event))
        if event.recurring and (revived or unfinished):
            return with_exceptions(copy, self._settle(calendar, copy, event))
        return copy

    def _revive(self, calendar: str, wire: Wire, body: dict[str, Any], mails: str) -> Wire:
        """Bring back a deleted event as `body` has it; a deleted id can never be inserted."""
        whole = {**wire, **body, "status": body.get("status", "confirmed")}
        if "recurrence" not in body:
            whole.pop("recurrence", None)
        try:
            return self._client.write(
                "events.update",
                version=wire.get("etag"),
                calendarId=calendar,
                eventId=wire["id"],
                body=whole,
                sendUpdates=mails,
            )
        except (ForbiddenError, AbsentError) as error:
            raise _dead(wire["id"]) from error

    def _update_master(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """Write time, rule, details and EXDATEs; the answer shows the exceptions as they are."""
        wire = self._put_master(calendar, copy, event)
        exceptions = [member for member in copy.members if member.part != "main"]
        same_kind = event.recurring and event.when.all_day == copy.event.when.all_day
        if same_kind and exceptions:
            now = self._reader.of_wire(calendar, wire)
            if now is None:
                raise _changed_meanwhile(copy.ref, None)
            return now
        for member in exceptions:
            self._remove_stray(calendar, member)
        return self._reader.copy(wire, self._reader.zone(calendar))

    def _put_master(self, calendar: str, copy: Copy, event: Event) -> Wire:
        old = replace(copy.event, overrides=())
        new = _of_master(event, copy)
        for _ in range(_TRIES):
            wire = self._reader.get(calendar, copy.ref)
            if wire is None or dialect.is_cancelled(wire):
                raise _changed_meanwhile(copy.ref, None)
            shown = self._reader.copy(wire, self._reader.zone(calendar))
            if _alike(shown.event, new):
                return wire  # an earlier attempt of ours arrived after all
            self._expected(calendar, copy, wire)
            if copy.event.recurring and _ends_exceptions(_of_master(copy.event, copy), new):
                self._expect_exceptions(calendar, copy, wire)
            try:
                return self._client.write(
                    "events.update",
                    version=shown.version(),
                    calendarId=calendar,
                    eventId=copy.ref,
                    body=dialect.merge_into(wire, old, new),
                    sendUpdates=_mails(copy.event.details.attendees, event.details.attendees),
                    supportsAttachments=True,
                )
            except ConflictError:
                continue
            except AbsentError as error:
                raise _changed_meanwhile(copy.ref, None) from error
        raise _restless(copy.ref)

    def _expected(self, calendar: str, copy: Copy, wire: Wire) -> Copy:
        """The object as `wire` shows it, if it still is what `copy` shows.

        A new version of the same content (an echo, a changed reminder of somebody else) is no
        conflict.
        """
        shown = self._reader.copy(wire, self._reader.zone(calendar))
        same = _alike(shown.event, _of_master(copy.event, copy))
        if same or shown.version() == copy.version():
            return shown
        raise _changed_meanwhile(copy.ref, self._reader.of_wire(calendar, wire))

    def _expect_exceptions(self, calendar: str, copy: Copy, wire: Wire) -> None:
        """Raise `ConflictError` if somebody changed an occurrence since: the version of the series
        does not tell. One call."""
        now = self._reader.of_wire(calendar, wire)
        if now is None or not _alike(now.event, copy.event):
            raise _changed_meanwhile(copy.ref, now)

    # -- occurrences ---------------------------------------------------------------------------

    def _settle(self, calendar: str, now: Copy, event: Event) -> list[Written]:
        """Write the occurrences in which the series as it is `now` differs from `event`."""
        have, want = now.event.overrides_by_key, event.overrides_by_key
        keys = sorted(
            key for key in {*have, *want} if not _same_override(have.get(key), want.get(key))
        )
        written = []
        for key in keys:
            desired = want.get(key) or _as_the_rule_says(event, key)
            if desired.cancelled:
                written.append(self._cancel_occurrence(calendar, now, key))
            else:
                written.append(self._change_occurrence(calendar, now, desired))
        return written

    def _change_occurrence(self, calendar: str, now: Copy, desired: Override) -> Written:
        id_ = _occurrence_id(now, desired.key)
        for _ in range(_TRIES):
            wire = self._reader.get(calendar, id_)
            if wire is None:
                raise _changed_meanwhile(now.ref, self._reader.unit(calendar, now.ref))
            shown, member = exception(wire, now.event)
            if _same_override(shown, desired):
                return shown, member  # an earlier attempt of ours arrived after all
            self._expect_occurrence(calendar, now, shown, member)
            try:
                return self._put_occurrence(calendar, now, desired, wire, version=member.version)
            except ConflictError:
                continue
        raise _restless(id_)

    def _cancel_occurrence(self, calendar: str, now: Copy, key: Key) -> Written:
        part = occurrence_part(key)
        known = now.member(part)
        id_ = _occurrence_id(now, key)
        version = known.version if known else None
        for _ in range(_TRIES):
            if version is None:
                wire = self._reader.get(calendar, id_)
                if wire is None or dialect.is_cancelled(wire):
                    break
                shown, member = exception(wire, now.event)
                self._expect_occurrence(calendar, now, shown, member)
                version = member.version
            try:
                self._client.write(
                    "events.delete",
                    version=version,
                    calendarId=calendar,
                    eventId=id_,
                    sendUpdates="none",
                )
            except AbsentError:
                break
            except ConflictError:
                version = None
                continue
            break
        else:
            raise _restless(id_)
        return Override(key=key, cancelled=True), Member(part=part, id=id_)

    def _expect_occurrence(self, calendar: str, now: Copy, shown: Override, member: Member) -> None:
        """Raise `ConflictError` if the occurrence is no longer what `now` shows.

        One that is as the rule says, though it was removed, is nobody's edit: Google may also
        list as removed an exception that ended with a change of its series.
        """
        known = now.member(member.part)
        if known is not None and known.version and known.version == member.version:
            return
        expected = now.event.overrides_by_key.get(shown.key)
        unedited = expected is None or expected.cancelled
        if _same_override(shown, expected) or (unedited and follows_rule(shown, now.event)):
            return
        raise _changed_meanwhile(now.ref, self._reader.unit(calendar, now.ref))

    def _put_occurrence(
        self, calendar: str, now: Copy, desired: Override, wire: Wire, *, version: str | None
    ) -> Written:
        """`wire` is the occurrence as Google shows it, or its series."""
        before = desired.details.attendees if desired.details else ()
        if dialect.is_exception(wire):
            shown, _ = exception(wire, now.event)
            before = shown.details.attendees if shown.details else now.event.details.attendees
        answer = self._client.write(
            "events.update",
            version=version,
            calendarId=calendar,
            eventId=_occurrence_id(now, desired.key),
            body=dialect.encode_override(wire, now.event, desired),
            sendUpdates=_mails(before, desired.details.attendees if desired.details else ()),
            supportsAttachments=True,
        )
        return exception(answer, now.event)

    def _remove_stray(self, calendar: str, member: Member) -> None:
        """An exception has no place in a series that became a single event, or all-day."""
        try:
            self._client.write(
                "events.delete", calendarId=calendar, eventId=member.id, sendUpdates="none"
            )
        except AbsentError:
            return


def _mails(before: Iterable[Attendee], after: Iterable[Attendee]) -> str:
    """`sendUpdates`: mail only if the bridge invites or uninvites somebody.

    A change of an event that has guests anyway mails nobody: only policy `invite` lets guests
    through to this side, and those whom a person invited are that person's to inform.
    """
    guests = {attendee.person.email for attendee in before}
    return "none" if guests == {attendee.person.email for attendee in after} else "all"


def _bare(event: Event) -> Event:
    return replace(event, overrides=())


def _alike(one: Event, other: Event) -> bool:
    """Equal in everything that a write decides."""
    return (
        replace(one, details=_writable(one.details), overrides=())
        == replace(other, details=_writable(other.details), overrides=())
        and one.overrides_by_key.keys() == other.overrides_by_key.keys()
        and all(
            _same_override(override, other.overrides_by_key[override.key])
            for override in one.overrides
        )
    )


def _same_override(one: Override | None, other: Override | None) -> bool:
    if one is None or other is None or one.details is None or other.details is None:
        return one == other
    return replace(one, details=_writable(one.details)) == replace(
        other, details=_writable(other.details)
    )


def _writable(details: Details) -> Details:
    """Without what Google sets by itself, or takes from nobody."""
    return replace(
        details, organizer=None, response=None, meeting_url=None, attachments=(), redacted=False
    )


def _anchored(event: Event) -> Event:
    """The same occurrences, every changed one at a date that the series has.

    Google addresses an occurrence through its series; one that the rule does not give (any more)
    needs an extra date to stand on.
    """
    loose = [
        override.key
        for override in event.overrides
        if event.recurring and not override.cancelled and not is_member(event, override.key)
    ]
    return replace(event, rdates=tuple(sorted({*event.rdates, *loose}))) if loose else event


def _of_master(event: Event, copy: Copy) -> Event:
    """The part of `event` that the master itself holds, if `copy` is how the unit is stored.

    Removed occurrences are EXDATEs of the master, unless they already exist as exceptions. When
    time or rule change, exceptions may end, and every removal is written as EXDATE.
    """
    reshaped = (event.when, event.rule, event.rdates) != (
        copy.event.when,
        copy.event.rule,
        copy.event.rdates,
    )
    return replace(
        event,
        overrides=tuple(
            override
            for override in event.overrides
            if override.cancelled
            and (reshaped or copy.member(occurrence_part(override.key)) is None)
        ),
    )


def _ends_exceptions(old: Event, new: Event) -> bool:
    """Whether writing `new` to a master may end exceptions: by another time or rule, or EXDATE."""
    return merge.schedule(old) != merge.schedule(new) or old.overrides != new.overrides


def _changed(event: Event) -> tuple[Override, ...]:
    return tuple(override for override in event.overrides if not override.cancelled)


def _as_the_rule_says(event: Event, key: Key) -> Override:
    """The occurrence without any exception; one that the rule does not give is not there."""
    if not is_member(event, key):
        return Override(key=key, cancelled=True)
    return Override(key=key, details=event.details, when=recurrence.when_of(event, key))


def _occurrence_id(copy: Copy, key: Key) -> str:
    known = copy.member(occurrence_part(key))
    return known.id if known else dialect.instance_id(copy.ref, key, copy.event.when)


def _dead(key: str) -> ConflictError:
    return ConflictError(
        f"An event with the id {key} was deleted and cannot be brought back; it is made anew "
        "under another id.",
        current=None,
        provider=PROVIDER,
        operation="events.insert",
        code="dead-key",
    )


def _changed_meanwhile(ref: str, current: Copy | None) -> ConflictError:
    return ConflictError(
        f"The event {ref} was {'changed' if current else 'deleted'} at Google meanwhile.",
        current=current,
        provider=PROVIDER,
        operation="events.update",
        code="conditionNotMet",
    )


def _restless(ref: str) -> RetryableError:
    return RetryableError(
        f"The event {ref} changes faster than it can be written.",
        provider=PROVIDER,
        operation="events.update",
        code="conditionNotMet",
    )
