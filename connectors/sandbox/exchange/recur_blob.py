"""The binary form in which Exchange stores a recurrence (PidLidAppointmentRecur, 0x8216).

It holds what EWS cannot show, such as the interval of a yearly pattern ([MS-OXOCAL] 2.2.1.44,
AppointmentRecurrencePattern). Times are local, in minutes since 1601.
"""

import struct
from datetime import date, datetime, timedelta

from connectors.sandbox.exchange.occurrences import View, dates_of, midnight
from connectors.sandbox.exchange.recurrence import GROUPS, INDEXES, WEEKDAYS, Pattern, Recurrence
from connectors.sandbox.exchange.state import Item, World

EPOCH = datetime(1601, 1, 1)  # noqa: DTZ001 - local by definition
DAY = 24 * 60
NEVER = 0x5AE980DF
FREQUENCIES = {"Daily": 0x200A, "Weekly": 0x200B, "Monthly": 0x200C, "Yearly": 0x200D}
BY_DATE, BY_COUNT, ENDLESS = 0x2021, 0x2022, 0x2023
TEXTS = ((0x0001, "item:Subject"), (0x0010, "calendar:Location"))


def recur_blob(world: World, item: Item) -> bytes:
    """The property's value for a series."""
    rule = item.recurrence
    assert rule is not None
    zones = world.zones
    start = zones.wall(item.values["calendar:Start"], item.zone)
    length = zones.wall(item.values["calendar:End"], item.zone) - start
    begin = _minutes(start) % DAY
    moved = sorted(item.exceptions)
    now = [zones.wall(View(world, item, day).start, item.zone).date() for day in moved]
    parts = [
        _pattern(rule),
        _dates(sorted({*item.deleted, *moved})),
        _dates(sorted(now)),
        struct.pack("<II", _day(dates_of(rule).at(0) or rule.start), _last(rule)),
        struct.pack("<II", 0x3006, 0x3009),
        struct.pack("<IIH", begin, begin + int(length / timedelta(minutes=1)), len(moved)),
    ]
    parts += [_exception(world, item, day) for day in moved]
    parts.append(struct.pack("<I", 0))
    parts += [_extension(world, item, day) for day in moved]
    parts.append(struct.pack("<I", 0))
    return b"".join(parts)


def _minutes(wall: datetime) -> int:
    return int((wall - EPOCH) / timedelta(minutes=1))


def _day(day: date) -> int:
    return _minutes(midnight(day))


def _dates(days: list[date]) -> bytes:
    return struct.pack(f"<I{len(days)}I", len(days), *map(_day, days))


def _last(rule: Recurrence) -> int:
    return NEVER if rule.endless else _day(dates_of(rule).last())


def _pattern(rule: Recurrence) -> bytes:
    """RecurrencePattern up to FirstDOW."""
    pattern = rule.pattern
    frequency = next(code for name, code in FREQUENCIES.items() if name in pattern.kind)
    period, first = _period(pattern, rule.start)
    kind, specific = _specific(pattern)
    end, count = ENDLESS, 10
    if not rule.endless:
        end = BY_COUNT if rule.number is not None else BY_DATE
        count = 1 + (dates_of(rule).position(dates_of(rule).last()) or 0)
    first_day = 0 if pattern.kind != "WeeklyRecurrence" else _sunday_based(pattern.first_day)
    head = struct.pack("<HHHHHIII", 0x3004, 0x3004, frequency, kind, 0, first, period, 0)
    return head + specific + struct.pack("<III", end, count, first_day)


def _period(pattern: Pattern, start: date) -> tuple[int, int]:
    """Period and FirstDateTime."""
    if pattern.kind == "DailyRecurrence":
        period = pattern.interval * DAY
        return period, _day(start) % period
    if pattern.kind == "WeeklyRecurrence":
        since = (start.weekday() - WEEKDAYS.index(pattern.first_day)) % 7
        return pattern.interval, _day(start - timedelta(days=since)) % (pattern.interval * 7 * DAY)
    months = 12 * pattern.years if "Yearly" in pattern.kind else pattern.interval
    offset = ((start.year - 1601) * 12 + start.month - 1) % months
    return months, _day(date(1601 + offset // 12, offset % 12 + 1, 1))


def _specific(pattern: Pattern) -> tuple[int, bytes]:
    """PatternType and PatternTypeSpecific."""
    if pattern.kind == "DailyRecurrence":
        return 0, b""
    if pattern.kind == "WeeklyRecurrence":
        return 1, struct.pack("<I", _mask(pattern.days))
    if not pattern.index:
        return 2, struct.pack("<I", pattern.day)
    return 3, struct.pack("<II", _mask(pattern.days), INDEXES.index(pattern.index) + 1)


def _sunday_based(name: str) -> int:
    return (WEEKDAYS.index(name) + 1) % 7


def _mask(days: tuple[str, ...]) -> int:
    names = {name for day in days for name in (_members(day) if day in GROUPS else [day])}
    return sum(1 << _sunday_based(name) for name in names)


def _members(group: str) -> list[str]:
    return [WEEKDAYS[number] for number in GROUPS[group]]


def _head(world: World, item: Item, day: date) -> bytes:
    """Start, end and original start of an exception."""
    view, wall = View(world, item, day), world.zones.wall
    start, original = item.values["calendar:Start"], datetime.combine(day, datetime.min.time())
    original += timedelta(minutes=_minutes(wall(start, item.zone)) % DAY)
    times = (wall(view.start, item.zone), wall(view.end, item.zone), original)
    return struct.pack("<III", *map(_minutes, times))


def _own_texts(item: Item, day: date) -> list[tuple[int, str]]:
    held = item.exceptions[day].values
    return [(flag, held[uri] or "") for flag, uri in TEXTS if uri in held]


def _exception(world: World, item: Item, day: date) -> bytes:
    """ExceptionInfo."""
    texts = _own_texts(item, day)
    raw = _head(world, item, day) + struct.pack("<H", sum(flag for flag, _text in texts))
    for _flag, text in texts:
        narrow = text.encode("cp1252", "replace")
        raw += struct.pack("<HH", len(narrow) + 1, len(narrow)) + narrow
    return raw


def _extension(world: World, item: Item, day: date) -> bytes:
    """ExtendedException."""
    raw = struct.pack("<III", 4, 0, 0)
    texts = _own_texts(item, day)
    if texts:
        raw += _head(world, item, day)
        for _flag, text in texts:
            raw += struct.pack("<H", len(text.encode("utf-16-le")) // 2) + text.encode("utf-16-le")
        raw += struct.pack("<I", 0)
    return raw
