"""What a person fills in, what a calendar shows, and what can be done in it."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Protocol
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


class Refused(Exception):  # noqa: N818 - what a client tells a person, not a fault
    """The client does not offer that, or the server does not take it: nothing happened."""


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """How an event repeats (RFC 5545 names). `days` are weekdays; with `position` the n-th of
    them in the month, otherwise `day` is the day of the month. At most one of `count`, `until`."""

    freq: str
    interval: int = 1
    days: tuple[str, ...] = ()
    position: int = 0
    day: int = 0
    month: int = 0
    count: int | None = None
    until: date | None = None

    def text(self, start: datetime | date, zone: str) -> str:
        """The value of an RRULE for a series that starts then."""
        parts = [f"FREQ={self.freq}"]
        if self.interval > 1:
            parts.append(f"INTERVAL={self.interval}")
        if self.month:
            parts.append(f"BYMONTH={self.month}")
        if self.days:
            shown = ",".join(f"{self.position or ''}{day}" for day in self.days)
            parts.append(f"BYDAY={shown}")
        elif self.day:
            parts.append(f"BYMONTHDAY={self.day}")
        if self.count is not None:
            parts.append(f"COUNT={self.count}")
        if self.until is not None:
            parts.append(f"UNTIL={_until(self.until, start, zone)}")
        return ";".join(parts)


def _until(last: date, start: datetime | date, zone: str) -> str:
    if not isinstance(start, datetime):
        return f"{last:%Y%m%d}"
    end = datetime.combine(last, start.time(), ZoneInfo(zone))
    return f"{end.astimezone(UTC):%Y%m%dT%H%M%SZ}"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A new event. `start` is a wall clock in `zone`, or a date; `minutes` then are whole days."""

    title: str
    start: datetime | date
    minutes: int
    zone: str
    text: str = ""
    place: str = ""
    free: bool = False
    reminder: int | None = None
    repeat: Repeat | None = None

    @property
    def end(self) -> datetime | date:
        """When it ends, dates exclusive."""
        return self.start + timedelta(minutes=self.minutes)

    @property
    def timed(self) -> bool:
        """Whether it has times."""
        return isinstance(self.start, datetime)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One event or series as it stands there, `texts` and `starts` (instants in UTC, or dates, in
    ISO form) with those of its exceptions. `own`: its owner made it and may change it."""

    id: str
    title: str
    texts: tuple[str, ...]
    starts: tuple[str, ...]
    series: bool
    own: bool = True


@dataclass(frozen=True, kw_only=True)
class Place:
    """One occurrence of a series: how to name it, when it stands now, and when its rule has it."""

    id: str
    start: datetime | date
    original: date


class Client(Protocol):
    """One calendar, as its owner has it in front of him. Whatever cannot be done is `Refused`."""

    def lines(self) -> list[Line]:
        """Everything that stands in the calendar."""

    def places(self, event: str) -> list[Place]:
        """The first few occurrences of a series that take place."""

    def create(self, sheet: Sheet) -> str:
        """Make an event; its id."""

    def write(
        self,
        event: str,
        *,
        title: str | None = None,
        text: str | None = None,
        place: str | None = None,
        free: bool | None = None,
        reminder: int | None = None,
    ) -> None:
        """Change what stands in an event, a series or (by its id) one occurrence."""

    def move(self, event: str, start: datetime | date, minutes: int, zone: str) -> None:
        """Give an event, a series or one occurrence another time."""

    def repeat(self, event: str, repeat: Repeat) -> None:
        """Let a series follow another rule."""

    def split(self, event: str, at: Place, title: str) -> str:
        """Change "this and following": the id of the series that begins there."""

    def remove(self, event: str) -> None:
        """Delete an event, a series or one occurrence."""

    def restore(self) -> str:
        """Bring back what was deleted last; its id."""

    def duplicate(self, event: str, title: str) -> str:
        """Another event like this one, under another title; its id."""

    def put_away(self, event: str) -> None:
        """Move an event into another calendar or folder of the same account."""

    def fetch_back(self) -> str:
        """Move back what was put away last; its id."""

    def be_invited(self, sheet: Sheet) -> None:
        """Somebody else's invitation arrives."""

    def answer(self, event: str, answer: str) -> None:
        """`accepted`, `declined` or `tentative`, without telling the organizer by mail."""

    @property
    def writes(self) -> int:
        """How many calls of programs have changed something there so far."""


def walls(rule: str, start: datetime, zone: str) -> list[datetime]:
    """The wall clocks at which the first occurrences of a series would start."""

    def local(found: re.Match[str]) -> str:
        until = datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        return f"UNTIL={until.astimezone(ZoneInfo(zone)):%Y%m%dT%H%M%S}"

    bare = re.sub(r"UNTIL=(\d{8}T\d{6})Z", local, rule)
    return list(islice(rrulestr(bare, dtstart=start), 8))


def instant(start: datetime | date, zone: str) -> datetime:
    """A wall clock as an aware UTC instant; a date as its UTC midnight."""
    if isinstance(start, datetime):
        return start.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return datetime.combine(start, time(), UTC)
