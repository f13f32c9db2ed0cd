"""What of an event appears on the other side: the user's wishes, then the target's limits.

`project` is pure and the only place where something may be left out. Whatever a target cannot
hold is recorded as a `Loss`; what the policy hides is not a loss but a wish.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from mappings import colors, footer, recurrence, richtext, zones
from mappings.limits import TargetLimits
from mappings.model import (
    Attendee,
    Busy,
    Details,
    Event,
    Key,
    Location,
    Loss,
    Override,
    Person,
    Response,
    Status,
    Visibility,
    When,
)
from mappings.policy import AttendeePolicy, Content, Filters, Policy
from mappings.spelled import spelled_out

LISTED_ATTENDEES = 50
"""How many attendees a footer names; the rest is counted."""

_NEAREST_BUSY = {
    Busy.TENTATIVE: Busy.BUSY,
    Busy.AWAY: Busy.BUSY,
    Busy.ELSEWHERE: Busy.FREE,
    Busy.FREE: Busy.BUSY,
    Busy.BUSY: Busy.BUSY,
}
_RESPONSES = {
    Response.NEEDS_ACTION: "no answer",
    Response.ACCEPTED: "accepted",
    Response.TENTATIVE: "maybe",
    Response.DECLINED: "declined",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """`event` as the target is to hold it, and what it cannot hold; or None and why it is
    `skipped` altogether."""

    event: Event | None
    losses: tuple[Loss, ...] = ()
    skipped: str = ""


def project(event: Event, policy: Policy, limits: TargetLimits, *, origin: str = "") -> Projection:
    """The event as it is to appear on a side with these limits.

    The footer is made anew: lines that the bridge once wrote on the source are not carried over.
    Everything else is idempotent. `origin` names the source for the origin note. A series whose
    main content the filters refuse is skipped whole, as is one whose occurrences are all cancelled;
    a single refused occurrence is cancelled.
    Rules that the target cannot express stay as they are.
    """
    return _Projector(policy, limits, origin).project(event)


class _Skip(Exception):  # noqa: N818 - the end of one projection, not an error
    """The unit does not appear at all; says why."""


class _Projector:
    """One projection: collects the losses on its way."""

    def __init__(self, policy: Policy, limits: TargetLimits, origin: str) -> None:
        self._policy = policy
        self._limits = limits
        self._origin = richtext.line(origin)
        self._losses: dict[Loss, None] = {}

    def project(self, event: Event) -> Projection:
        if reason := refused(event.details, event.when, self._policy.filters):
            return Projection(event=None, skipped=reason)
        masked = self._masks(event.details)
        if self._limits.rules.spelled_out:
            event = spelled_out(event, self._limits.rules)
        try:
            event = self._within_time(event)
        except _Skip as skip:
            return Projection(event=None, losses=tuple(self._losses), skipped=str(skip))
        result = replace(
            event,
            details=self._details(event.details),
            when=self._when(event.when),
            overrides=tuple(self._override(override) for override in event.overrides),
            uid=None if masked else event.uid,
        )
        if event.overrides:
            result = recurrence.tidy(result)
        if all_cancelled(result):
            reason = "all its occurrences are cancelled"
            return Projection(event=None, losses=tuple(self._losses), skipped=reason)
        return Projection(event=result, losses=tuple(self._losses))

    def _lose(self, field: str, detail: str) -> None:
        self._losses[Loss(field=field, detail=detail)] = None

    # When

    def _within_time(self, event: Event) -> Event:
        """The event without what lies outside the years that the target knows."""
        earliest, latest = self._limits.earliest, self._limits.latest
        if earliest is None and latest is None:
            return event
        start = zones.start_instant(event.when)
        if latest is not None and start > latest:
            self._lose("when", f"the target ends with the year {latest.year}")
            raise _Skip("later than the target's calendar goes")
        if earliest is None or start >= earliest:
            return event
        self._lose("when", f"the target begins with the year {earliest.year}")
        later = _from(event, earliest) if event.recurring else None
        if later is None:
            raise _Skip("earlier than the target's calendar goes")
        return later

    def _when(self, when: When) -> When:
        limits, shortest = self._limits, timedelta(days=1) if when.all_day else timedelta(minutes=1)
        if when.duration <= timedelta(0) and not (limits.zero_duration and not when.all_day):
            self._lose("when", "an event without duration is shown with the shortest one")
            when = replace(when, duration=shortest)
        if limits.max_duration is not None and when.duration > limits.max_duration:
            self._lose("when", "the event is longer than the target allows")
            when = replace(when, duration=limits.max_duration)
        if when.end_zone is not None and not limits.end_zone:
            self._lose("when", "the end is shown in the time zone of the start")
            when = replace(when, end_zone=None)
        return when

    # Occurrences

    def _override(self, override: Override) -> Override:
        if override.cancelled or override.details is None or override.when is None:
            return override
        if refused(override.details, override.when, self._policy.filters):
            return Override(key=override.key, cancelled=True)
        return replace(
            override, details=self._details(override.details), when=self._when(override.when)
        )

    # Details

    def _masks(self, details: Details) -> bool:
        return details.redacted or self._policy.content is not Content.FULL

    def _details(self, details: Details) -> Details:
        if self._masks(details):
            return self._masked(details)
        invite = self._policy.attendees is AttendeePolicy.INVITE
        limits = self._limits
        description, lines = self._text(details)
        return Details(
            title=self._cut("title", details.title, limits.title_length),
            description=description,
            footer=lines,
            location=self._location(details.location),
            visibility=self._visibility(details.visibility),
            busy=self._busy(details.busy),
            color=self._color(details.color),
            reminders=self._reminders(details.reminders),
            attendees=details.attendees if invite else (),
            organizer=details.organizer if invite else None,
            meeting_url=details.meeting_url if limits.meeting_url else None,
            attachments=details.attachments if limits.attachments else (),
            status=self._status(details.status),
        )

    def _masked(self, details: Details) -> Details:
        """Only that somebody is busy, and the title if that is wished."""
        title = self._policy.busy_title
        if self._policy.content is not Content.BUSY and not details.redacted:
            title = details.title
        return Details(
            title=self._cut("title", title, self._limits.title_length),
            visibility=self._visibility(details.visibility),
            busy=self._busy(details.busy),
            reminders=self._default_reminders(),
            status=self._status(details.status),
        )

    def _text(self, details: Details) -> tuple[str, tuple[str, ...]]:
        """Description and footer, together within the target's length."""
        description = details.description
        if not self._limits.html and richtext.has_markup(description):
            self._lose("description", "the target holds no formatting")
            description = richtext.from_text(richtext.to_text(description))
        lines = self._footer(details)
        limit = self._limits.description_length
        if limit is None or (not lines and len(description) <= limit):
            return description, lines
        while lines and len(footer.join("", lines)) > limit // 2:
            self._lose("attendees", "the footer is shortened to fit the description")
            lines = lines[:-1]
        excess = len(footer.join(description, lines)) - limit
        while excess > 0 and description:
            self._lose("description", f"cut after {limit} characters")
            description = richtext.shorten_html(description, len(description) - excess)
            excess = len(footer.join(description, lines)) - limit
        return description, lines

    def _footer(self, details: Details) -> tuple[str, ...]:
        lines: list[str] = []
        if details.meeting_url and not self._limits.meeting_url:
            lines.append(f"Join: {details.meeting_url}")
        if self._policy.attendees is AttendeePolicy.TEXT and details.attendees:
            lines += people(details.organizer, details.attendees)
        if not self._limits.attachments:
            lines += [f"Attachment: {item.name} {item.url}" for item in details.attachments]
        if self._policy.origin_note and self._origin:
            lines.append(f"Copied from: {self._origin}")
        return tuple(richtext.line(line) for line in lines)

    def _cut(self, field: str, text: str, limit: int | None) -> str:
        if limit is None or len(text) <= limit:
            return text
        self._lose(field, f"cut after {limit} characters")
        return richtext.shorten(text, limit)

    def _location(self, location: Location | None) -> Location | None:
        if location is None:
            return None
        limits = self._limits
        if not limits.coordinates and location.latitude is not None:
            self._lose("location", "the target holds no coordinates")
            text = f"{location.latitude}, {location.longitude}"
            name = location.name if location.name or location.address else text
            location = replace(location, name=name, latitude=None, longitude=None)
        if not limits.address and location.address:
            parts = [location.name, location.address]
            if location.address in location.name:
                parts.pop()
            location = replace(location, name=", ".join(filter(None, parts)), address="")
        name = self._cut("location", location.name, limits.location_length)
        address = self._cut("location", location.address, limits.location_length)
        return replace(location, name=name, address=address)

    def _visibility(self, visibility: Visibility) -> Visibility:
        if visibility in self._limits.visibilities:
            return visibility
        self._lose("visibility", f"the target does not know {visibility.value!r}")
        return Visibility.DEFAULT

    def _busy(self, busy: Busy) -> Busy:
        if busy in self._limits.busy:
            return busy
        nearest = _NEAREST_BUSY[busy]
        nearest = nearest if nearest in self._limits.busy else Busy.BUSY
        self._lose("busy", f"{busy.value!r} is shown as {nearest.value!r}")
        return nearest

    def _status(self, status: Status) -> Status:
        if status is Status.CONFIRMED or self._limits.statuses:
            return status
        self._lose("status", "the target knows no tentative events")
        return Status.CONFIRMED

    def _color(self, color: str | None) -> str | None:
        if color is None or not self._policy.color:
            return None
        if not self._limits.colors:
            self._lose("color", "the target holds no colours")
            return None
        if not self._limits.palette:
            return color.lower()
        _, shown = colors.nearest(color, self._limits.palette)
        if shown != color.lower():
            self._lose("color", f"{color} is shown as {shown}")
        return shown

    def _reminders(self, reminders: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if not self._policy.reminders:
            return self._default_reminders()
        if reminders is None:
            if not self._limits.default_reminders:
                self._lose("reminders", "the target knows no default reminder")
            return self._default_reminders()
        low, high = self._limits.reminder_range
        held = tuple(minutes for minutes in reminders if low <= minutes <= high)
        held = held[: self._limits.reminders]
        if held != reminders:
            self._lose("reminders", f"the target holds {len(held)} of {len(reminders)}")
        return held

    def _default_reminders(self) -> tuple[int, ...] | None:
        return None if self._limits.default_reminders else ()


def all_cancelled(event: Event) -> bool:
    """True for a series of which nothing is left to show; a target may refuse such a series."""
    if not event.overrides or (event.rule is not None and event.rule.until is None):
        return False
    if not all(item.cancelled for item in event.overrides):
        return False
    limit = len(event.overrides) + 1
    members = recurrence.keys(event.rule, event.rdates, event.when, limit=limit)
    return event.overrides_by_key.keys() >= set(members)


def refused(details: Details, when: When, filters: Filters) -> str:
    """Why the user does not want this event on the other side; empty if he does."""
    if filters.skip_declined and details.response is Response.DECLINED:
        return "declined"
    if filters.skip_all_day and when.all_day:
        return "all-day"
    if filters.only_busy and details.busy is Busy.FREE:
        return "free"
    for pattern in filters.skip_titles:
        if _compiled(pattern).search(details.title):
            return f"title matches {pattern!r}"
    return ""


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def people(organizer: Person | None, attendees: Sequence[Attendee]) -> list[str]:
    """Organiser and attendees as lines for people, in an order that does not depend on the
    provider's."""
    organizer = organizer or next((item.person for item in attendees if item.organizer), None)
    lines = [f"Organiser: {_person(organizer)}"] if organizer else []
    guests = sorted(
        (f"{_person(item.person)} ({_answer(item)})" for item in attendees if not item.organizer),
        key=str.casefold,
    )
    lines += [f"Attendee: {guest}" for guest in guests[:LISTED_ATTENDEES]]
    if len(guests) > LISTED_ATTENDEES:
        lines.append(f"Attendees: {len(guests) - LISTED_ATTENDEES} more")
    return lines


def _person(person: Person) -> str:
    if not person.email:
        return person.name or "unknown"
    return f"{person.name} <{person.email}>" if person.name else person.email


def _answer(attendee: Attendee) -> str:
    answer = _RESPONSES[attendee.response]
    return f"{answer}, optional" if attendee.optional else answer


def _from(event: Event, earliest: datetime) -> Event | None:
    """The part of a series from an instant on, None if nothing is left of it."""
    day = earliest.date() + timedelta(days=1)
    after = Key(day.isoformat() if event.when.all_day else f"{day.isoformat()}T00:00:00")
    first = next(recurrence.keys(event.rule, event.rdates, event.when, after=after, limit=1), None)
    if first is None:
        return None
    rule = event.rule
    if rule is not None:
        spent = rule.until is not None and rule.until < first
        rule = None if spent else replace(rule, count=None)
    return replace(
        event,
        when=replace(recurrence.when_of(event, first), fold=0),
        rule=rule,
        rdates=tuple(key for key in event.rdates if key > first),
        overrides=tuple(item for item in event.overrides if item.key >= first),
    )
