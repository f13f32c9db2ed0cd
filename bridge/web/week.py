"""The week view: both calendars of a link in one grid."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from starlette.responses import Response

from bridge.records import Link
from bridge.web.links import link_of, ready_of
from bridge.web.site import Visit
from bridge.week import Box, Verdict, days, overlay
from mappings import zones

SLOT = 15
"""Minutes of one row of the grid."""
LANES = (1, 2, 3, 4, 6)
"""In how many columns a day can be divided, when things happen at once."""
SHORT = 2
"""Rows of the lowest box: one line of text."""
MORNING, EVENING = 8, 18


@dataclass(slots=True, kw_only=True)
class Placed:
    """A box in a day's column: rows from `at`, `rows` high, lane `lane` of `of`."""

    box: Box
    at: int
    rows: int
    clock: str
    short: bool
    lane: int = 1
    of: int = 1


@dataclass(slots=True, kw_only=True)
class Day:
    """One column."""

    day: date
    today: bool
    whole: list[Box] = field(default_factory=list)
    timed: list[Placed] = field(default_factory=list)


def week_page(visit: Visit) -> Response:
    """The page."""
    link = link_of(visit)
    ready = ready_of(visit, link)
    zone = _zone(visit, link)
    today = visit.runtime.system.now().astimezone(zone).date()
    week = days(_day(visit.query("day")) or today)
    since, until = (_midnight(day, zone) for day in (week[0], week[0] + timedelta(days=7)))
    rules = visit.runtime.rules(ready.config, link)
    boxes = overlay(visit.runtime.store.units(link.id), rules, since, until)
    columns = [Day(day=day, today=day == today) for day in week]
    for box in boxes:
        _place(box, columns, zone)
    first, last = _hours(columns)
    for column in columns:
        for placed in column.timed:
            placed.at -= first * 60 // SLOT
        _spread(column.timed)
    return visit.page(
        "week.html",
        link=link,
        zone=zone.key,
        columns=columns,
        hours=range(first, last),
        tally={verdict.value: sum(b.verdict is verdict for b in boxes) for verdict in Verdict},
        before=week[0] - timedelta(days=7),
        after=week[0] + timedelta(days=7),
    )


def _zone(visit: Visit, link: Link) -> ZoneInfo:
    """The zone that was asked for, else that of one of the calendars."""
    names = [visit.query("zone")]
    for end in (link.a, link.b):
        known = visit.runtime.store.calendars(end.connector, end.account)
        names += [each.zone or "" for each in known if each.id == end.calendar]
    return ZoneInfo(next((name for name in names if name and zones.is_known(name)), "UTC"))


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1971 <= day.year <= 9000 else None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _place(box: Box, columns: Iterable[Day], zone: ZoneInfo) -> None:
    """Put it into every column that it touches."""
    shown = box.shown
    if not (isinstance(shown.start, datetime) and isinstance(shown.end, datetime)):
        for column in columns:
            if shown.start <= column.day < shown.end:
                column.whole.append(box)
        return
    start, end = shown.start.astimezone(zone), shown.end.astimezone(zone)
    for column in columns:
        begins = max(start.replace(tzinfo=None), datetime.combine(column.day, time()))
        ends = min(end.replace(tzinfo=None), datetime.combine(column.day, time.max))
        if begins.date() != column.day or (begins > ends and start < end):
            continue
        at = (begins.hour * 60 + begins.minute) // SLOT
        until = -(-(ends.hour * 60 + ends.minute) // SLOT)
        clock = f"{start:%H:%M}"
        rows = max(SHORT, until - at)
        column.timed.append(Placed(box=box, at=at, rows=rows, clock=clock, short=rows == SHORT))


def _hours(columns: Iterable[Day]) -> tuple[int, int]:
    """The hours that the grid has to show."""
    rows = [(p.at, p.at + p.rows) for column in columns for p in column.timed]
    first = min([MORNING, *(at * SLOT // 60 for at, _ in rows)])
    last = max([EVENING, *(-(-end * SLOT // 60) for _, end in rows)])
    return first, min(24, last)


def _spread(timed: list[Placed]) -> None:
    """Give what happens at the same time lanes beside each other."""
    timed.sort(key=lambda placed: (placed.at, -placed.rows))
    group: list[Placed] = []
    until = 0
    for placed in timed:
        if group and placed.at >= until:
            _divide(group)
            group = []
        group.append(placed)
        until = max(until, placed.at + placed.rows)
    _divide(group)


def _divide(group: list[Placed]) -> None:
    ends: list[int] = []
    for placed in group:
        lane = next((n for n, end in enumerate(ends) if end <= placed.at), len(ends))
        if lane == len(ends):
            ends.append(0)
        ends[lane] = placed.at + placed.rows
        placed.lane = min(lane + 1, LANES[-1])
    of = next((lanes for lanes in LANES if lanes >= len(ends)), LANES[-1])
    for placed in group:
        placed.of = of
