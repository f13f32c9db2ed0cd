"""The canonical model: one calendar event, the same for every provider.

An `Event` is a whole *unit*: a single event, or a series together with all its exceptions.
Times are kept as people mean them (wall clock + zone), never as bare instants, because a series
is defined by its wall clock (RFC 5545 section 3.3.10) and zone rules change under us.
All values are frozen; `dataclasses.replace` makes the changed copy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NewType

Key = NewType("Key", str)
"""Names one occurrence by its *original* start in the series' zone: `YYYY-MM-DD` for all-day,
`YYYY-MM-DDTHH:MM:SS` (nominal wall clock) for timed. It never changes when the occurrence moves."""


class Visibility(StrEnum):
    """Who may see the details (RFC 5545 CLASS, widened by the providers' `default`)."""

    DEFAULT = "default"
    PUBLIC = "public"
    PRIVATE = "private"


class Busy(StrEnum):
    """Whether the event takes up time (RFC 5545 TRANSP; `TENTATIVE` and `AWAY` are Exchange's)."""

    BUSY = "busy"
    FREE = "free"
    TENTATIVE = "tentative"
    AWAY = "away"
    ELSEWHERE = "elsewhere"


class Status(StrEnum):
    """RFC 5545 STATUS without CANCELLED, which the model expresses by absence."""

    CONFIRMED = "confirmed"
    TENTATIVE = "tentative"


class Response(StrEnum):
    """RFC 5545 PARTSTAT."""

    NEEDS_ACTION = "needs-action"
    ACCEPTED = "accepted"
    TENTATIVE = "tentative"
    DECLINED = "declined"


class AttendeeKind(StrEnum):
    """RFC 5545 CUTYPE, as far as the providers have it."""

    INDIVIDUAL = "individual"
    GROUP = "group"
    ROOM = "room"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody named on an event. `email` is lower case, or None where the provider hides it."""

    email: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendee:
    """One invited person, group or room."""

    person: Person
    kind: AttendeeKind = AttendeeKind.INDIVIDUAL
    optional: bool = False
    organizer: bool = False
    response: Response = Response.NEEDS_ACTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A place. Coordinates are WGS84 degrees rounded to 5 places (about a metre), or both None."""

    name: str = ""
    address: str = ""
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that somebody attached; we carry the link, never the bytes."""

    name: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """Everything about an event except when it happens.

    `description` is canonical HTML: a small fixed subset, see `mappings.richtext`; plain text is
    HTML without tags. `footer` holds the lines that the bridge itself wrote below a description
    (attendee list, join link, origin); it never counts as somebody's edit. `color` is `#rrggbb`,
    None = the calendar's own. `reminders` are minutes before the start, sorted, negative = after;
    None = the calendar's default. `response` is the RSVP of the calendar's owner, None where the
    owner is not an attendee. `redacted` = the provider withheld the details (free/busy only).
    """

    title: str = ""
    description: str = ""
    footer: tuple[str, ...] = ()
    location: Location | None = None
    visibility: Visibility = Visibility.DEFAULT
    busy: Busy = Busy.BUSY
    color: str | None = None
    reminders: tuple[int, ...] | None = None
    attendees: tuple[Attendee, ...] = ()
    organizer: Person | None = None
    meeting_url: str | None = None
    attachments: tuple[Attachment, ...] = ()
    status: Status = Status.CONFIRMED
    response: Response | None = None
    redacted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """When one event, or the first occurrence of a series, takes place.

    All-day: `start` is a `date`, `duration` whole days (the end is exclusive), `zone` None.
    Timed: `start` is a naive wall clock in `zone` (IANA), `duration` exact elapsed time.
    `fold` 1 names the second of two equal wall clocks (PEP 495). `end_zone` only where the end is
    shown in another zone than the start.
    """

    start: datetime | date
    duration: timedelta
    zone: str | None = None
    end_zone: str | None = None
    fold: int = 0

    @property
    def all_day(self) -> bool:
        """True if the event covers whole days and floats with its reader."""
        return not isinstance(self.start, datetime)

    @property
    def key(self) -> Key:
        """The key of the occurrence that starts here."""
        if isinstance(self.start, datetime):
            return Key(self.start.isoformat(timespec="seconds"))
        return Key(self.start.isoformat())


class Freq(StrEnum):
    """RFC 5545 FREQ."""

    SECONDLY = "SECONDLY"
    MINUTELY = "MINUTELY"
    HOURLY = "HOURLY"
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"


WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A recurrence rule in normal form (RFC 5545 section 3.3.10; see `mappings.recurrence`).

    `by_day` holds (ordinal, weekday) with ordinal 0 for "every". `until` is the key of the last
    real occurrence, None = endless: COUNT and UNTIL are both reduced to it, so that two spellings
    of the same bound are equal. `count` remembers that the source said COUNT (for writing back);
    it takes no part in comparison.
    """

    freq: Freq
    interval: int = 1
    by_month: tuple[int, ...] = ()
    by_week_no: tuple[int, ...] = ()
    by_year_day: tuple[int, ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_day: tuple[tuple[int, str], ...] = ()
    by_hour: tuple[int, ...] = ()
    by_minute: tuple[int, ...] = ()
    by_second: tuple[int, ...] = ()
    by_set_pos: tuple[int, ...] = ()
    week_start: str = "MO"
    until: Key | None = None
    count: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What one occurrence of a series shows instead of what the rule would give.

    Either `cancelled` (then nothing else counts) or the occurrence's *whole* content, resolved:
    not only what differs from the series. An RDATE is expressed by `Event.rdates`.
    """

    key: Key
    cancelled: bool = False
    details: Details | None = None
    when: When | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One unit: a single event (`rule` None and no `rdates`), or a series with its exceptions.

    `overrides` are sorted by key, at most one per key, and none equals what the rule gives
    anyway (see `mappings.recurrence.tidy`). `uid` is the provider's iCalendar UID or its nearest
    relative, a hint for pairing only; it takes no part in comparison.
    """

    details: Details
    when: When
    rule: Rule | None = None
    rdates: tuple[Key, ...] = ()
    overrides: tuple[Override, ...] = ()
    uid: str | None = field(default=None, compare=False)

    @property
    def recurring(self) -> bool:
        """True if the unit is a series."""
        return self.rule is not None or bool(self.rdates)

    @property
    def overrides_by_key(self) -> Mapping[Key, Override]:
        """The overrides, addressable by occurrence."""
        return MappingProxyType({override.key: override for override in self.overrides})


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One concrete happening: what a person sees in one box of the calendar.

    `start` and `end` are aware UTC instants (timed) or dates with exclusive end (all-day).
    """

    start: datetime | date
    end: datetime | date
    details: Details
    key: Key | None = None

    @property
    def duration(self) -> timedelta:
        """Exact elapsed time, or whole days."""
        if isinstance(self.start, datetime) and isinstance(self.end, datetime):
            return self.end - self.start
        return timedelta(days=self.end.toordinal() - self.start.toordinal())


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A property that a target cannot hold. Recorded and shown, never silent.

    `field` is the model's field name, `detail` one sentence for people.
    """

    field: str
    detail: str
