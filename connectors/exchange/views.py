"""Occurrences as the server expands them (FindItem with a CalendarView).

A view holds at most a thousand entries and two years; it is cut in halves until it says that it
is whole. Views show times and names only, so what an occurrence is about is read from its series
or, where it differs, from itself.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from connectors.errors import ConnectorError, FatalError
from connectors.exchange.client import Client, Wire, item_of
from connectors.exchange.errors import PROVIDER, AbsentError
from connectors.exchange.reading import (
    BATCH,
    SHAPE,
    Reader,
    batches,
    gone_calendar,
    item_id,
    ref_of,
)
from mappings import exchange as dialect
from mappings import exchange_joining as joining
from mappings import exchange_units as units
from mappings import zones
from mappings.errors import UnmappableError
from mappings.exchange import Shown, Zoning, many, text
from mappings.exchange_units import Held, Mark
from mappings.model import Details, Occurrence, Override
from mappings.recurrence import when_of

MOST = 1000
_LONGEST = timedelta(days=365)
_SHORTEST = timedelta(minutes=1)
_DAY = timedelta(days=1)
_FIELDS = (
    "calendar:UID",
    "calendar:Start",
    "calendar:End",
    "calendar:CalendarItemType",
    "calendar:IsAllDayEvent",
    "calendar:StartTimeZone",
    "calendar:IsCancelled",
)


def occurrences(
    client: Client, reader: Reader, calendar: str, since: datetime, until: datetime
) -> Iterator[tuple[str, Occurrence]]:
    """Everything that overlaps [since, until), with the ref of its unit."""
    entries: dict[str, Wire] = {}
    start = since
    while start < until:
        end = min(start + _LONGEST, until)
        for wire in _view(client, calendar, start, end):
            if not dialect.is_cancelled(wire):
                entries.setdefault(item_id(wire), wire)
        start = end
    plain = {id_: wire for id_, wire in entries.items() if _kind(wire) == "Occurrence"}
    masters = _masters(client, [wire for wire in entries.values() if _of_series(wire)])
    own = reader.items([id_ for id_ in entries if id_ not in plain])
    series: dict[str, Shown] = {}
    for id_, wire in entries.items():
        answer = masters.get(_uid(wire)) if id_ in plain else own.get(id_)
        if answer is None or isinstance(answer, ConnectorError):
            continue
        master = masters.get(_uid(wire)) if _of_series(wire) else answer
        try:
            if answer is master:  # one of many that look the same
                shown = series.get(_uid(wire)) or _shown(reader, answer, master)
                series[_uid(wire)] = shown
            else:
                shown = _shown(reader, answer, master)
            found = _occurrence(wire, shown)
            if master is not None and _of_series(wire) and not shown.event.when.all_day:
                found = _as_meant(found, shown, _original(answer), reader, master)
        except UnmappableError:
            continue  # no listing of ours can read it either
        yield ref_of(master or answer), found


def _view(client: Client, calendar: str, since: datetime, until: datetime) -> Iterator[Wire]:
    content = {
        "@Traversal": "Shallow",
        "ItemShape": {
            "BaseShape": "IdOnly",
            "AdditionalProperties": {"FieldURI": [{"@FieldURI": uri} for uri in _FIELDS]},
        },
        "CalendarView": {
            "@MaxEntriesReturned": str(MOST),
            "@StartDate": _utc(since),
            "@EndDate": _utc(until),
        },
        "ParentFolderIds": {"FolderId": {"@Id": calendar}},
    }
    try:
        root = client.one("FindItem", content)["RootFolder"]
    except AbsentError as error:
        raise gone_calendar(calendar, error) from error
    found = many(root.get("Items"), "CalendarItem")
    if root.get("@IncludesLastItemInRange") == "true" and len(found) < MOST:
        yield from found
        return
    middle = (since + (until - since) / 2).replace(microsecond=0)
    if until - since <= _SHORTEST or not since < middle < until:
        raise FatalError(
            f"More than {MOST} events of {calendar} take place at once; Exchange shows no more.",
            provider=PROVIDER,
            operation="FindItem",
            code="too-many",
        )
    yield from _view(client, calendar, since, middle)
    yield from _view(client, calendar, middle, until)


def _masters(client: Client, wires: list[Wire]) -> dict[str, Wire]:
    """The series of these occurrences, by UID."""
    by_uid = {_uid(wire): item_id(wire) for wire in wires}
    found: dict[str, Wire] = {}
    for batch in batches(list(by_uid.values()), BATCH):
        ids = [{"@OccurrenceId": id_} for id_ in batch]
        content = {"ItemShape": SHAPE, "ItemIds": {"RecurringMasterItemId": ids}}
        for answer in client.call("GetItem", content):
            if not isinstance(answer, ConnectorError):
                master = item_of(answer)
                found[_uid(master)] = master
    return found


def _shown(reader: Reader, wire: Wire, master: Wire | None) -> Shown:
    marked = units.property_of(wire, units.MARK) or (
        units.property_of(master, units.MARK) if master else None
    )
    mark = Mark.read(marked, reader.zone) if marked else None
    return dialect.decode(wire, mark.zoning if mark else Zoning(mailbox=reader.zone))


def _held(reader: Reader, master: Wire) -> Held:
    """A series without its changed occurrences."""
    mark = Mark.read(units.property_of(master, units.MARK) or "", reader.zone)
    return units.held(_shown(reader, master, master), mark, ())


def _as_meant(
    found: Occurrence, shown: Shown, original: datetime | None, reader: Reader, master: Wire
) -> Occurrence:
    """Where the bridge has set no end, Exchange may keep it by the wall clock, so that one lasts
    longer or shorter by a change of the clock; nobody has changed it."""
    begin, end, when = found.start, found.end, shown.event.when
    if not isinstance(begin, datetime) or not _clock_changes(begin, end, shown.zone):
        return found
    series = _held(reader, master)
    key = dialect.key_of(original or begin, series.shown)
    if original is None:
        when = replace(when_of(series.shown.event, key), duration=found.duration)
    meant = joining.as_meant(Override(key=key, when=when), series).when
    return replace(found, end=begin + (meant or when).duration)


def _original(wire: Wire) -> datetime | None:
    """Where a changed occurrence began; None on a series, which stands for the others."""
    raw = text(wire, "OriginalStart")
    return dialect.instant(raw) if raw else None


def _occurrence(wire: Wire, shown: Shown) -> Occurrence:
    begin, end = dialect.instant(text(wire, "Start")), dialect.instant(text(wire, "End"))
    details: Details = shown.event.details
    when = shown.event.when
    if when.all_day:
        first: date = zones.wall(begin, shown.zone)[0].date()
        return Occurrence(start=first, end=first + when.duration, details=details)
    return Occurrence(start=begin, end=end, details=details)


def _clock_changes(begin: datetime, end: date, zone: str) -> bool:
    assert isinstance(end, datetime)
    return _offset(begin - _DAY, zone) != _offset(end + _DAY, zone)


def _offset(at: datetime, zone: str) -> timedelta:
    return zones.wall(at, zone)[0] - at.astimezone(UTC).replace(tzinfo=None)


def _kind(wire: Wire) -> str:
    return text(wire, "CalendarItemType")


def _of_series(wire: Wire) -> bool:
    return _kind(wire) in ("Occurrence", "Exception")


def _uid(wire: Wire) -> str:
    return text(wire, "UID")


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
