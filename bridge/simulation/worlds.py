"""Worlds in memory that hold, refuse and respell events the way the real providers do."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from connectors.capabilities import Capabilities
from connectors.contract import Copy
from connectors.errors import ConflictError, RejectedError
from connectors.memory import LOSSLESS, MemoryConnector, MemoryWorld
from mappings import colors, exchange, feishu, google, merge, richtext
from mappings.limits import TargetLimits
from mappings.members import is_member
from mappings.model import Busy, Details, Event, Location, Override, Status, Visibility, When

ACCOUNT = "ann"
CALENDAR = "c"


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How a world behaves. `replaces`: it changes the name of a unit when an occurrence that was
    removed comes back, or a series becomes a single event, because no call can do that in place.
    `tells_times`: it says when an event was last changed.
    """

    name: str
    capabilities: Capabilities
    replaces: bool = False
    tells_times: bool = True

    @property
    def limits(self) -> TargetLimits:
        """What an event there can hold."""
        return self.capabilities.limits

    def world(self, now: Callable[[], datetime]) -> MemoryWorld:
        """A new world of this kind, with one calendar."""
        world = MemoryWorld(
            self.capabilities,
            normalise=lambda event: held(event, self),
            page_size=4,
            tells_times=self.tells_times,
            now=now,
        )
        world.add_calendar(ACCOUNT, CALENDAR)
        return world

    def connect(self, world: MemoryWorld) -> MemoryConnector:
        """A session in it."""
        return (Replacing if self.replaces else MemoryConnector)(world, ACCOUNT)


def _serial(capabilities: Capabilities) -> Capabilities:
    """One call after the other, so that the same history always takes the same course."""
    return replace(capabilities, parallel_writes=1, parallel_reads=1)


PLAIN = Likeness(name="plain", capabilities=_serial(LOSSLESS))
FEISHU = Likeness(
    name="feishu-like",
    capabilities=Capabilities(limits=feishu.LIMITS, reshape_refetch=True),
    replaces=True,
    tells_times=False,
)
GOOGLE = Likeness(
    name="google-like",
    capabilities=Capabilities(
        limits=google.LIMITS, write_guard=True, find_by_key=True, reshape_refetch=True
    ),
)
EXCHANGE = Likeness(
    name="exchange-like",
    capabilities=Capabilities(
        limits=exchange.LIMITS,
        write_guard=True,
        find_by_key=True,
        whole_changes=True,
        batch_size=3,
    ),
)
LIKENESSES = {item.name: item for item in (PLAIN, FEISHU, GOOGLE, EXCHANGE)}


ATTEMPTS = 3
"""Keys that are tried where something was made with one before and taken away again."""


class Replacing(MemoryConnector):
    """Makes a new unit in place of the old one where a change cannot be made to it."""

    def update(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """See `Connector`. The copy has another ref if the unit had to be made anew."""
        if not _needs_another(copy.event, event):
            return super().update(calendar, copy, event)
        if not copy.organized:
            raise RejectedError("only the organizer may change this event")
        now = self.fetch(calendar, copy.ref)
        if now is not None and merge.changes(copy.event, now.event):
            raise ConflictError("the event was changed meanwhile", current=now)
        made = self._in_place_of(calendar, copy, event, stands=now is not None)
        wanted = merge.completed(made.event, event) if now is None else event
        if made.event != wanted:
            made = super().update(calendar, made, wanted)
        self.delete(calendar, copy)
        return made

    def replaces(self, copy: Copy, event: Event) -> bool:
        """See `Replaces`."""
        return _needs_another(copy.event, event)

    def abandon(self, calendar: str, copy: Copy, event: Event) -> Copy:
        """See `Replaces`."""
        made = self._in_place_of(calendar, copy, event, stands=True)
        self.delete(calendar, made)
        return made

    def _in_place_of(self, calendar: str, copy: Copy, event: Event, *, stands: bool) -> Copy:
        for attempt in range(ATTEMPTS):
            name = f"{calendar} {copy.ref} replaced {attempt}"
            try:
                return self.create(calendar, event, sha256(name.encode()).hexdigest())
            except ConflictError:
                if not stands:
                    break
        raise ConflictError("the event was deleted meanwhile", current=None)


def _needs_another(old: Event, new: Event) -> bool:
    if old.recurring != new.recurring:
        return old.recurring
    wanted = new.overrides_by_key
    return any(
        item.cancelled
        and is_member(new, item.key)
        and not (item.key in wanted and wanted[item.key].cancelled)
        for item in old.overrides
    )


# -- what becomes of an event that is written ------------------------------------------------------


def held(event: Event, likeness: Likeness) -> Event:
    """The event as such a provider keeps it. Raises `RejectedError` for what it refuses."""
    limits = likeness.limits
    if event.rdates and not limits.rules.rdates:
        raise RejectedError("no extra dates may stand on a series here", code="rdates")
    if likeness is PLAIN:
        return event
    return replace(
        event,
        details=_details(event.details, limits),
        when=_when(event.when, limits),
        overrides=tuple(_override(item, limits) for item in event.overrides),
    )


def _override(item: Override, limits: TargetLimits) -> Override:
    if item.cancelled:
        return item
    return replace(
        item,
        details=_details(item.details, limits) if item.details else None,
        when=_when(item.when, limits) if item.when else None,
    )


def _when(when: When, limits: TargetLimits) -> When:
    least = timedelta(days=1) if when.all_day else timedelta(minutes=1)
    whole = timedelta(minutes=when.duration // timedelta(minutes=1))
    return replace(
        when,
        duration=max(whole, least),
        end_zone=when.end_zone if limits.end_zone else None,
    )


def _details(details: Details, limits: TargetLimits) -> Details:
    color = details.color if limits.colors else None
    if color and limits.palette:
        color = colors.nearest(color, limits.palette)[1]
    description = richtext.canonical(details.description)
    if not limits.html:
        description = richtext.from_text(richtext.to_text(description))
    if limits.description_length is not None and len(description) > limits.description_length:
        description = richtext.shorten_html(description, limits.description_length)
    return replace(
        details,
        title=richtext.line(details.title)[: limits.title_length],
        description=description,
        location=_location(details.location, limits),
        color=color,
        reminders=_reminders(details.reminders, limits),
        busy=details.busy if details.busy in limits.busy else Busy.BUSY,
        visibility=(
            details.visibility
            if details.visibility in limits.visibilities
            else Visibility.DEFAULT
        ),
        status=details.status if limits.statuses else Status.CONFIRMED,
        meeting_url=details.meeting_url if limits.meeting_url else None,
        attachments=details.attachments if limits.attachments else (),
    )  # fmt: skip


def _location(location: Location | None, limits: TargetLimits) -> Location | None:
    if location is None:
        return None
    name = richtext.line(location.name)[: limits.location_length]
    address = location.address if limits.address else ""
    shown = Location(name=name, address=address)
    if limits.coordinates:
        shown = replace(shown, latitude=location.latitude, longitude=location.longitude)
    return None if shown == Location() else shown


def _reminders(reminders: tuple[int, ...] | None, limits: TargetLimits) -> tuple[int, ...] | None:
    if reminders is None:
        return None if limits.default_reminders else ()
    low, high = limits.reminder_range
    kept = tuple(minutes for minutes in sorted(set(reminders)) if low <= minutes <= high)
    return kept[: limits.reminders]
