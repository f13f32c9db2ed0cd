"""What becomes of the properties that a request sets on an item.

All changes of one request take effect together, whatever their order: zones first, then the
instants in them, then all-day rounding, then the rules of the series.
"""

import re
from datetime import date, datetime, timedelta
from typing import Any

from connectors.sandbox.exchange import occurrences, values
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.fields import BY_NAME, BY_URI, Field
from connectors.sandbox.exchange.occurrences import View, midnight, utc
from connectors.sandbox.exchange.recurrence import Recurrence
from connectors.sandbox.exchange.soap import Element, local
from connectors.sandbox.exchange.state import Exception_, ExtendedKey, Item, World
from connectors.sandbox.exchange.zones import CUSTOM

LONGEST = timedelta(days=5 * 366)
NEVER_DELETED = {
    "calendar:Start", "calendar:End", "calendar:IsAllDayEvent", "calendar:LegacyFreeBusyStatus",
    "item:Sensitivity", "item:Importance", "item:ItemClass", "calendar:UID", "item:ReminderIsSet",
    "item:ReminderMinutesBeforeStart",
}  # fmt: skip
TIMING = {
    "calendar:Start", "calendar:End", "calendar:StartTimeZone", "calendar:EndTimeZone",
    "calendar:IsAllDayEvent",
}  # fmt: skip


class Changes:
    """What a request sets and deletes; `values` None = deleted."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.values: dict[str, Any] = {}
        self.extended: dict[ExtendedKey, tuple[str, ...]] = {}
        self.appended: dict[str, Any] = {}

    @classmethod
    def of_new(cls, world: World, element: Element) -> "Changes":
        """Everything that a CalendarItem of CreateItem holds. Raises EwsError."""
        changes = cls(world)
        for line in element:
            changes._set(line)
        return changes

    @classmethod
    def of_updates(cls, world: World, updates: Element) -> "Changes":
        """Everything that an ItemChange asks for. Raises EwsError."""
        changes = cls(world)
        for update in updates:
            uri = update[0]
            if local(update) == "DeleteItemField":
                changes._delete(uri)
                continue
            if len(update[1]) != 1:
                raise EwsError("ErrorIncorrectUpdatePropertyCount")
            changes._check_match(uri, update[1][0])
            changes._set(update[1][0], append=local(update) == "AppendToItemField")
        return changes

    def _set(self, element: Element, *, append: bool = False) -> None:
        if local(element) == "ExtendedProperty":
            key, found = values.extended(element)
            self.extended[key] = found
            return
        field = BY_NAME[local(element)]
        _check_writable(field)
        value = values.read(field, element, self._world.switches.first_day_of_week)
        if append:
            if field.kind not in ("body", "attendees", "words"):
                raise EwsError("ErrorInvalidPropertyAppend")
            self.appended[field.uri] = value
        else:
            self.values[field.uri] = value

    def _delete(self, uri: Element) -> None:
        if local(uri) == "ExtendedFieldURI":
            self.extended[values.extended_key(uri)] = ()
            return
        field = BY_URI.get(uri.get("FieldURI"))
        if field is None or field.uri in NEVER_DELETED:
            raise EwsError("ErrorInvalidPropertyDelete")
        _check_writable(field)
        self.values[field.uri] = None

    @staticmethod
    def _check_match(uri: Element, element: Element) -> None:
        named = uri.get("FieldURI", "item:ExtendedProperty").partition(":")[2]
        if named != local(element):
            raise EwsError("ErrorUpdatePropertyMismatch")
        if named == "ExtendedProperty":
            key = values.extended_key(uri)
            if key != values.extended_key(element[0]):
                raise EwsError("ErrorUpdatePropertyMismatch")


def _check_writable(field: Field) -> None:
    if field.name == "MimeContent":
        raise EwsError("ErrorMimeContentInvalid", "This server takes no iCalendar content.")
    if not field.writable:
        raise EwsError("ErrorInvalidPropertySet", f"Property {field.uri} cannot be set.")


def fill_new(world: World, item: Item, changes: Changes, zone: str) -> None:
    """Put a new item's properties into place. Raises EwsError."""
    start_zone = changes.values.get("calendar:StartTimeZone") or zone or "UTC"
    now = world.now().replace(minute=0, second=0) + timedelta(hours=1)
    begin = changes.values.get("calendar:Start", now)
    item.values = {
        "calendar:Start": begin,
        "calendar:End": begin + timedelta(minutes=30),
        "calendar:StartTimeZone": start_zone,
        "calendar:EndTimeZone": start_zone,
        "calendar:IsAllDayEvent": False,
        "calendar:LegacyFreeBusyStatus": "Busy",
        "calendar:IsResponseRequested": True,
        "calendar:AllowNewTimeProposal": True,
        "item:Sensitivity": "Normal",
        "item:Importance": "Normal",
        "item:ReminderIsSet": world.switches.default_reminder,
        "item:ReminderMinutesBeforeStart": 15,
    }
    fill(world, item, changes)


def fill(world: World, item: Item, changes: Changes) -> None:
    """Change a stored item's draft, a single one or a series. Raises EwsError."""
    before = item.draft()
    new = _settled(world, before.values, changes)
    item.recurrence = new.pop("calendar:Recurrence", item.recurrence)
    item.values |= new
    for uri in [uri for uri, value in new.items() if value is None]:
        del item.values[uri]
    _extend(item.extended, changes)
    if item.recurrence is None:
        item.exceptions.clear()
        item.deleted.clear()
        return
    occurrences.align_to_pattern(world, item)
    occurrences.check_length(world, item)
    _settle_exceptions(world, before, item)


def fill_occurrence(world: World, item: Item, day: date, changes: Changes) -> None:
    """Make one occurrence of the series' draft an exception, or change it. Raises EwsError."""
    if any(BY_URI[uri].series for uri in changes.values):
        raise EwsError("ErrorInvalidPropertySet", "The property belongs to the whole series.")
    view = View(world, item, day)
    now = {uri: view.value(uri) for uri in item.values}
    now |= view.exception.values if view.exception else {}
    new = _settled(world, now, changes)
    exception = item.exceptions.setdefault(day, Exception_())
    exception.values |= {uri: value for uri, value in new.items() if value != now.get(uri)}
    exception.modified = world.now()
    _extend(exception.extended, changes, keep_empty=True)
    if TIMING & new.keys():
        occurrences.check_neighbours(world, item, day)


def _extend(
    held: dict[ExtendedKey, tuple[str, ...]], changes: Changes, *, keep_empty: bool = False
) -> None:
    for key, found in changes.extended.items():
        if found or keep_empty:
            held[key] = found
        else:
            held.pop(key, None)


def _settled(world: World, now: dict[str, Any], changes: Changes) -> dict[str, Any]:
    """The new values of what changes, consistent with each other."""
    new = {uri: value for uri, value in changes.values.items() if uri != "item:Body"}
    for uri, value in changes.appended.items():
        new[uri] = _appended(now.get(uri), value)
    if (body := changes.values.get("item:Body", new.get("item:Body"))) is not None:
        new["item:Body"] = _stored_body(world, *body)
    elif "item:Body" in changes.values:
        new["item:Body"] = None
    for name in ("calendar:StartTimeZone", "calendar:EndTimeZone"):
        if name in new:
            new[name] = now[name] if new[name] is None else new[name]
            if new[name] == CUSTOM != now[name]:
                raise EwsError("ErrorTimeZone")
            world.zones.rules(new[name])
    if TIMING & new.keys() or now["calendar:Start"].tzinfo is None:
        new |= _timing(world, now, new)
    return new


def _timing(world: World, now: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    timing: dict[str, Any] = {}
    for end in ("calendar:Start", "calendar:End"):
        name = f"{end}TimeZone"
        zone = new.get(name, now[name])
        written = new.get(end)
        if written is None and now[end].tzinfo is not None and zone != now[name]:
            written = world.zones.wall(now[end], now[name])
        if written is None:
            written = now[end]
        naive = written.tzinfo is None
        timing[end] = world.zones.instant(written, zone) if naive else utc(written)
    if new.get("calendar:IsAllDayEvent", now["calendar:IsAllDayEvent"]):
        zone = new.get("calendar:StartTimeZone", now["calendar:StartTimeZone"])
        _round_to_days(world, timing, zone)
    _check_span(world, timing["calendar:Start"], timing["calendar:End"])
    return timing


def _round_to_days(world: World, timing: dict[str, Any], zone: str) -> None:
    """Start down and End up to midnight in the item's zone (how to create all-day events)."""
    first = world.zones.wall(timing["calendar:Start"], zone).date()
    wall = world.zones.wall(timing["calendar:End"], zone)
    last = wall.date() if _begins_day(world, wall, zone) else wall.date() + timedelta(days=1)
    last = max(last, first + timedelta(days=1))
    timing["calendar:Start"] = world.zones.instant(midnight(first), zone)
    timing["calendar:End"] = world.zones.instant(midnight(last), zone)


def _begins_day(world: World, wall: datetime, zone: str) -> bool:
    """Whether it is the first instant of its date, which is not 00:00 on every date."""
    return world.zones.instant(wall, zone) <= world.zones.instant(midnight(wall.date()), zone)


def _check_span(world: World, start: datetime, end: datetime) -> None:
    if end < start or (end == start and world.switches.zero_length == "refuse"):
        raise EwsError("ErrorCalendarEndDateIsEarlierThanStartDate")
    if end - start > LONGEST:
        raise EwsError("ErrorCalendarDurationIsTooLong")
    if start.year < 1601 or end.year > 4500:
        raise EwsError("ErrorCalendarOutOfRange")


def _appended(now: Any, value: Any) -> Any:
    if now is None:
        return value
    if isinstance(value[0], str) and len(value) == 2 and value[0] in ("HTML", "Text"):
        return now[0], now[1] + value[1]
    return now + value


def _stored_body(world: World, kind: str, text: str) -> tuple[str, str]:
    if len(text.encode()) > world.switches.max_body:
        raise EwsError("ErrorMessageSizeExceeded")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if kind == "Text":
        return kind, text.replace("\n", "\r\n") if world.switches.text_line_ends == "crlf" else text
    if world.switches.html_body == "keep":
        return kind, text
    found = re.search(r"(?is)<body[^>]*>(.*)</body>", text)
    inside = found[1] if found else re.sub(r"(?is)</?html[^>]*>|<head>.*?</head>", "", text)
    head = '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
    return (
        kind,
        f"<html>\r\n<head>\r\n{head}</head>\r\n<body>\r\n{inside.strip()}\r\n</body>\r\n</html>\r\n",
    )


def _settle_exceptions(world: World, before: Item, item: Item) -> None:
    """Drop what the change of the series makes void ([MS-OXOCAL] 3.1.4.7.3.5, switches)."""
    if not (item.exceptions or item.deleted) or before.recurrence is None:
        return
    assert item.recurrence is not None
    switches = world.switches
    old, new = before.recurrence, item.recurrence
    same_pattern = (old.pattern, old.start) == (new.pattern, new.start)
    same_range = (old.until, old.number) == (new.until, new.number)
    same_time = _clock(world, before) == _clock(world, item)
    keep = (
        same_pattern
        and (same_range or switches.end_change_keeps_exceptions)
        and (same_time or switches.time_change_keeps_exceptions)
    )
    covered = _covered(new, item) if keep else set()
    item.exceptions = {day: found for day, found in item.exceptions.items() if day in covered}
    item.deleted &= covered


def _covered(recurrence: Recurrence, item: Item) -> set[date]:
    dates = occurrences.dates_of(recurrence)
    return {d for d in (*item.exceptions, *item.deleted) if dates.position(d) is not None}


def _clock(world: World, item: Item) -> Any:
    start = world.zones.wall(item.values["calendar:Start"], item.zone)
    length = world.zones.wall(item.values["calendar:End"], item.zone) - start
    return item.zone, start.time(), length
