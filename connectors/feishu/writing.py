"""From a wanted event to Feishu's calls: a series is one write for itself and one per exception.

Nothing here mails or messages anybody, except where an event names attendees on purpose.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from connectors.answers import with_answer
from connectors.changes import occurrence_part
from connectors.contract import Copy, Member
from connectors.errors import (
    ConflictError,
    RejectedError,
)
from connectors.feishu.api import CalendarApi, Wire
from connectors.feishu.errors import EVENT_GONE, PROVIDER
from connectors.feishu.extras import is_extra
from connectors.feishu.looking import Looker, regular
from connectors.feishu.reading import EventReader, in_order, is_stray
from connectors.feishu.refusals import DEAD_KEY, check_holdable, dead_key, gone
from connectors.feishu.replacing import Replacer
from mappings import feishu, recurrence
from mappings.errors import UnmappableError
from mappings.feishu import FeishuDialect
from mappings.feishu_extras import Extra, marked
from mappings.members import is_member
from mappings.model import Attendee, Details, Event, Key, Override, Response

_OWN_VIEW = frozenset({"visibility", "free_busy_status", "color", "reminders", "need_notification"})
_FRESH = timedelta(minutes=2)
_ATTEMPTS = 16

UserIds = Callable[[Sequence[str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One call for one occurrence: a patch, or its removal if `body` is None; `id` None = an
    event of its own is to be made for it."""

    key: Key
    id: str | None
    body: Mapping[str, Any] | None
    held: Override | None


class _IrrevocableError(Exception):
    """An occurrence was removed, and Feishu has no call that brings it back."""


class EventWriter:
    """Writes the events of one account. Thread safe.

    `user_ids` finds colleagues by address: they are invited as users, all others by mail.
    """

    def __init__(
        self,
        api: CalendarApi,
        reader: EventReader,
        dialect: FeishuDialect,
        now: Callable[[], datetime],
        user_ids: UserIds,
    ) -> None:
        self._api = api
        self._reader = reader
        self._look = Looker(api, reader, dialect)
        self._replacer = Replacer(api, reader, self._look, dialect, self)
        self._dialect = dialect
        self._now = now
        self._user_ids = user_ids

    # -- the contract's three ------------------------------------------------------------------

    def create(self, calendar: str, event: Event, key: str) -> Copy:
        """See `Connector.create`. One POST, one call per exception, one GET if the event turns
        out to be an older one. `ConflictError` if the event of this key was deleted since."""
        check_holdable(event)
        wire = self._api.create(calendar, feishu.encode(event, self._dialect), key)
        return self.made(calendar, wire, event)

    def made(self, calendar: str, wire: Wire, event: Event) -> Copy:
        """The unit whose event a create was answered with, once it holds all of `event`."""
        ref = str(wire["event_id"])
        if feishu.is_cancelled(wire):
            raise dead_key()
        if self._is_old(wire):
            made = self._reader.fetch(calendar, ref)
            if made is None:
                raise dead_key()
            return made
        bare = self._decoded(calendar, wire, ())
        copy = self._with_exceptions(calendar, bare, bare.event, event)
        return self._invited(calendar, copy, event)

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """See `Connector.update`. At most one PATCH for the event and one call per occurrence
        that differs, each after a GET of what it is about to overwrite; where the times of a series
        with exceptions changed, it is read again, because what Feishu then does with the exceptions
        is not documented.

        What no patch can do (a series that becomes a single event, a removed occurrence that
        comes back) is done by a new event in place of the old one; the copy then has another ref.
        """
        check_holdable(event)
        body = feishu.encode_changes(copy.event, event, self._dialect)
        if not copy.organized:
            self._check_own_view(copy, body, event)
        if feishu.needs_recreation(copy.event, event):
            return self._replacer.replaced(calendar, copy, event)
        shown, before, fresh = copy, copy.event, False
        if body:
            if copy.event.recurring and _schedule(copy.event) != _schedule(event):
                # Feishu takes exceptions away with the rule that they belong to.
                if not self._look.everything(calendar, copy):
                    raise gone()
            else:
                self._look.event(calendar, copy, body)
            wire = self._patch_main(calendar, copy.ref, body)
            main = self._decoded(calendar, wire, copy.event.details.attendees)
            shown = replace(copy, event=main.event)
        ids = [member.id for member in copy.members if member.part != "main"]
        if ids and _schedule(copy.event) != _schedule(event):
            shown = self._read_again(calendar, copy.ref, ids)
            news = {member.part for member in shown.members if member.id not in (*ids, copy.ref)}
            event = _with_news(event, shown.event, news)
            shown = self._without_strays(calendar, shown, news)
            before, fresh = shown.event, True
        try:
            if not body and any(step.id is None for step in self._steps(shown, before, event)):
                self._require(calendar, copy.ref)
            written = self._with_exceptions(calendar, shown, before, event, fresh=fresh)
        except _IrrevocableError:
            now = replace(shown.event, overrides=before.overrides)
            return self._replacer.replaced(calendar, replace(shown, event=now), event)
        if event.details.attendees != copy.event.details.attendees:
            return self._invited(calendar, written, event)
        return written

    def delete(self, calendar: str, copy: Copy) -> None:
        """See `Connector.delete`. Feishu leaves the exceptions of a deleted series behind, so
        each of them is deleted too."""
        if not copy.organized:
            raise RejectedError(
                "only the organiser can delete this event; decline it in Feishu instead",
                provider=PROVIDER,
                code="193002",
            )
        self._api.delete(calendar, copy.ref)
        cancelled = {item.key for item in copy.event.overrides if item.cancelled}
        removed = {occurrence_part(key) for key in cancelled}
        for member in copy.members:
            if member.id != copy.ref and member.part not in removed:
                self._api.delete(calendar, member.id)

    def clear(self, calendar: str, copy: Copy) -> None:
        """See `LeavesBehind`. One GET for each date beside the series, and one DELETE."""
        beside = {m.part: m.id for m in copy.members if is_extra(m.id, copy.ref)}
        for override in copy.event.overrides:
            event_id = beside.get(occurrence_part(override.key))
            if event_id and self._look.untouched(calendar, copy, override, event_id):
                self._api.delete(calendar, event_id)

    def abandon(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """See `Replaces`; the calls are told at `Replacer.abandon`."""
        return self._replacer.abandon(calendar, copy, event)

    def answer(self, calendar: str, copy: Copy, response: Response) -> Copy:
        """Answer an invitation. One POST, which tells the organiser and no one else."""
        try:
            self._api.reply(calendar, copy.ref, feishu.response_word(response))
        except RejectedError as error:
            if error.code in EVENT_GONE:
                text = "the invitation was withdrawn meanwhile"
                raise ConflictError(text, current=None, **error.facts) from error
            raise
        return replace(copy, event=with_answer(copy.event, response))

    # -- the event itself ----------------------------------------------------------------------

    def _patch_main(self, calendar: str, ref: str, body: Wire) -> Wire:
        try:
            return self._api.patch(calendar, ref, body)
        except RejectedError as error:
            if error.code in EVENT_GONE:
                raise ConflictError(
                    "the event was deleted meanwhile", current=None, **error.facts
                ) from error
            raise

    def _require(self, calendar: str, ref: str) -> None:
        """Nothing is made beside a series that is gone. One GET."""
        wire = self._api.event(calendar, ref, attendees=False)
        if wire is None or feishu.is_cancelled(wire):
            raise gone()

    def _decoded(self, calendar: str, wire: Wire, attendees: Sequence[Attendee]) -> Copy:
        """The answer to a write, which shows everything but the attendees."""
        try:
            copy = self._reader.copy(calendar, wire)
        except UnmappableError as error:
            raise RejectedError(error.detail, provider=PROVIDER, code=error.code) from error
        return replace(copy, event=_attended(copy.event, attendees))

    def _is_old(self, wire: Wire) -> bool:
        """Whether a create was answered with an event that has lived for a while."""
        created = datetime.fromtimestamp(int(wire.get("create_time") or 0), UTC)
        return created.year > 1970 and self._now() - created > _FRESH

    # -- exceptions ----------------------------------------------------------------------------

    def _with_exceptions(
        self, calendar: str, shown: Copy, before: Event, event: Event, *, fresh: bool = True
    ) -> Copy:
        """Make the exceptions those of `event`, and say what the side holds then.

        `shown` is the unit as it is, with `before` for the exceptions that hold nothing of their
        own: they show what the series showed when they came into being. `fresh`: it was read, or
        made, just now.
        """
        overrides = {item.key: item for item in before.overrides}
        members = {member.part: member for member in shown.members}
        for step in list(self._steps(shown, before, event)):
            part = occurrence_part(step.key)
            if step.id is None:
                want = event.overrides_by_key[step.key]
                overrides[step.key], members[part] = self._beside(calendar, shown.ref, want)
                continue
            members[part] = Member(part=part, id=step.id)
            if not fresh and (step.body is None or step.body):
                self._look.occurrence(calendar, shown, before, step.key, step.id, step.body)
            if step.body is None:
                self._api.delete(calendar, step.id)
                overrides[step.key] = Override(key=step.key, cancelled=True)
                if is_extra(step.id, shown.ref):
                    del overrides[step.key], members[part]
            elif step.body and is_extra(step.id, shown.ref):
                wire = self._patch_occurrence(calendar, shown.ref, step, event)
                extra = Extra(shown.ref, step.key)
                overrides[step.key] = self._decoded_extra(calendar, wire, extra)
            elif step.body:
                wire = self._patch_occurrence(calendar, shown.ref, step, event)
                held = step.held.details if step.held else None
                attendees = (held or shown.event.details).attendees
                overrides[step.key] = self._decoded_override(calendar, wire, event, attendees)
        kept = tuple(overrides[key] for key in sorted(overrides))
        result = recurrence.tidy(replace(shown.event, overrides=kept))
        return replace(shown, event=result, members=in_order(members.values()))

    def _read_again(self, calendar: str, ref: str, ids: Sequence[str]) -> Copy:
        shown = self._reader.fetch(calendar, ref, ids=ids)
        if shown is None:
            raise gone()
        return shown

    def _without_strays(self, calendar: str, shown: Copy, news: Collection[str]) -> Copy:
        """Remove what an earlier shape of the series has left beside its occurrences, but for what
        somebody made there meanwhile."""
        strays = {
            member.part: member.id
            for member in shown.members
            if member.part not in ("main", *news)
            and not is_extra(member.id, shown.ref)
            and is_stray(member.id, shown.event.when)
        }
        for event_id in strays.values():
            self._api.delete(calendar, event_id)
        kept = [item for item in shown.event.overrides if occurrence_part(item.key) not in strays]
        members = tuple(member for member in shown.members if member.part not in strays)
        return replace(shown, event=replace(shown.event, overrides=tuple(kept)), members=members)

    def _steps(self, shown: Copy, before: Event, event: Event) -> Iterator[_Step]:
        made = {m.part.partition(":")[2]: m.id for m in shown.members if m.part != "main"}
        wanted, held = event.overrides_by_key, before.overrides_by_key
        for name in sorted({*made, *wanted, *held}):
            key = Key(name)
            want, has = wanted.get(key), held.get(key)
            beside = is_extra(made.get(key, shown.ref), shown.ref)
            if beside and is_member(event, key):
                # The rule has come to give the date itself.
                yield _Step(key=key, id=made.pop(key), body=None, held=has)
                has, beside = regular(event, key), False
            if has is None and key in made and is_member(before, key):
                has = regular(before, key)
            if want is None and has is not None and is_member(event, key):
                want = regular(event, key)
            if has == want or (want is None and (has is None or has.cancelled)):
                continue
            alone = key not in made or has is None
            if alone and want is not None and not is_member(event, key):
                yield _Step(key=key, id=None, body=None, held=None)
                continue
            id_ = made.get(key) or feishu.occurrence_id(shown.ref, key, event.when)
            if want is None or want.cancelled:
                if has is None or not has.cancelled:
                    yield _Step(key=key, id=id_, body=None, held=has)
                continue
            if has is not None and has.cancelled:
                raise _IrrevocableError
            if beside and has is not None:
                has, want = _marked(has, shown.ref), _marked(want, shown.ref)
            body = feishu.encode_override(event, has, want, self._dialect)
            yield _Step(key=key, id=id_, body=body, held=has)

    def _beside(self, calendar: str, ref: str, want: Override) -> tuple[Override, Member]:
        """Make the event that stands for a date beside the series, or bring that up to date which
        a broken-off attempt has made: the same date gets the same key while its event lives."""
        assert want.details is not None
        assert want.when is not None
        extra = Extra(ref, want.key)
        event = Event(details=marked(want.details, extra), when=want.when)
        for attempt in range(_ATTEMPTS):
            key = sha256(f"{calendar} {ref} {want.key} beside {attempt}".encode()).hexdigest()
            wire = self._api.create(calendar, feishu.encode(event, self._dialect), key)
            if feishu.is_cancelled(wire) or self._reader.extras.of(calendar, wire) != extra:
                continue  # deleted since, or made an event for itself
            event_id = str(wire["event_id"])
            self._reader.extras.hold(calendar, extra, event_id)
            has = self._decoded_extra(calendar, wire, extra)
            body = feishu.encode_override(
                event, _marked(has, ref), _marked(want, ref), self._dialect
            )
            if body:
                wire = self._api.patch(calendar, event_id, body)
                has = self._decoded_extra(calendar, wire, extra)
            assert has.details is not None
            bare = Copy(ref=event_id, event=_attended(event, ()), members=())
            guests = self._invited(calendar, bare, event).event.details.attendees
            has = replace(has, details=replace(has.details, attendees=guests))
            return has, Member(part=occurrence_part(want.key), id=event_id)
        raise RejectedError(
            f"the extra date {want.key} was deleted in Feishu again and again",
            provider=PROVIDER,
            code=DEAD_KEY,
        )

    def _decoded_extra(self, calendar: str, wire: Wire, extra: Extra) -> Override:
        try:
            return self._reader.extra_date(calendar, wire, extra)[0]
        except UnmappableError as error:
            raise RejectedError(error.detail, provider=PROVIDER, code=error.code) from error

    def _patch_occurrence(self, calendar: str, ref: str, step: _Step, event: Event) -> Wire:
        try:
            return self._api.patch(calendar, str(step.id), step.body or {})
        except RejectedError as error:
            if error.code in EVENT_GONE:
                raise ConflictError(
                    f"the occurrence {step.key} was removed meanwhile",
                    current=self._reader.fetch(calendar, ref, ids=[str(step.id)]),
                    **error.facts,
                ) from error
            raise

    def _decoded_override(
        self, calendar: str, wire: Wire, event: Event, attendees: Sequence[Attendee]
    ) -> Override:
        try:
            override, _ = self._reader.override(calendar, wire, event.when)
        except UnmappableError as error:
            raise RejectedError(error.detail, provider=PROVIDER, code=error.code) from error
        assert override.details is not None
        return replace(override, details=replace(override.details, attendees=tuple(attendees)))

    def _check_own_view(self, copy: Copy, body: Wire, event: Event) -> None:
        """A participant may change how he sees the event, nothing else."""
        try:
            steps = list(self._steps(copy, copy.event, event))
        except _IrrevocableError:
            steps = [_Step(key=event.when.key, id=copy.ref, body=None, held=None)]
        touched = set(body).union(*(step.body or {"removal"} for step in steps))
        if foreign := sorted(touched - _OWN_VIEW):
            raise RejectedError(
                f"the account only participates in this event; {', '.join(foreign)} can be "
                "changed by the organiser alone",
                provider=PROVIDER,
                code="193002",
            )

    # -- invitations ---------------------------------------------------------------------------

    def _invited(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """Invite whom the event names and is not there yet, disinvite outside addresses that it
        no longer names. An event without attendees changes nobody's invitation.

        Colleagues are never disinvited: Feishu does not tell their addresses, so that a person
        who is not named may be one whom the other side cannot name.
        """
        if not event.details.attendees or not copy.organized:
            return copy
        named = [a.person.email for a in event.details.attendees if a.person.email]
        bodies = feishu.encode_attendees(event.details.attendees, self._user_ids(named))
        there = {_target(item): item for item in self._api.attendees(calendar, copy.ref)}
        new = [body for body in bodies if _target(body) not in there]
        gone = [
            {"type": "third_party", "third_party_email": item["third_party_email"]}
            for item in there.values()
            if item.get("type") == "third_party"
            and str(item.get("third_party_email")).lower() not in named
        ]
        if new:
            self._api.invite(calendar, copy.ref, new)
        if gone:
            self._api.disinvite(calendar, copy.ref, gone)
        if not new and not gone:
            return copy
        attendees = feishu.decode_attendees(self._api.attendees(calendar, copy.ref))
        return replace(copy, event=_attended(copy.event, attendees))


def _target(attendee: Wire) -> str:
    return str(attendee.get("user_id") or attendee.get("third_party_email") or "").lower()


def _attended(event: Event, attendees: Sequence[Attendee]) -> Event:
    details: Details = replace(event.details, attendees=tuple(attendees))
    return replace(event, details=details)


def _marked(override: Override, ref: str) -> Override:
    """An exception as the event that stands for it is written."""
    assert override.details is not None
    details = marked(override.details, Extra(ref, override.key))
    return replace(override, details=details)


def _with_news(event: Event, shown: Event, news: Collection[str]) -> Event:
    """`event` with the exceptions that somebody made since it was decided."""
    theirs = [item for item in shown.overrides if occurrence_part(item.key) in news]
    known = event.overrides_by_key
    added = [item for item in theirs if item.key not in known]
    overrides = sorted((*event.overrides, *added), key=lambda item: item.key)
    return replace(event, overrides=tuple(overrides)) if added else event


def _schedule(event: Event) -> tuple[object, ...]:
    return event.when, event.rule
