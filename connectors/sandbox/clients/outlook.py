"""Somebody in Outlook."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from connectors.sandbox.clients.sheet import WEEKDAYS, Line, Place, Refused, Repeat, Sheet
from connectors.sandbox.exchange import ExchangeSandbox
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.server import Occurrence
from connectors.sandbox.exchange.zones import windows_name

Fields = dict[str, Any]
T = TypeVar("T")
WRITES = frozenset({"CreateItem", "UpdateItem", "DeleteItem", "MoveItem", "AcceptItem"})
NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
INDEXES = {1: "First", 2: "Second", 3: "Third", 4: "Fourth", -1: "Last"}
AHEAD = timedelta(days=500)


class OutlookClient:
    """See `Client`. `host` is the address that invites, `attic` another calendar folder, `zone`
    that of the mailbox."""

    def __init__(
        self, sandbox: ExchangeSandbox, address: str, host: str, attic: str, zone: str
    ) -> None:
        self._sandbox = sandbox
        self._address, self._host, self._attic = address, host, attic
        self._zone = zone

    def lines(self) -> list[Line]:
        """See `Client`."""
        return [_line(item) for item in self._do("events")]

    def places(self, event: str) -> list[Place]:
        """See `Client`."""
        now = self._sandbox.clock.now()
        found = self._sandbox.occurrences(self._address, now - AHEAD, now + AHEAD)
        mine = [item for item in found if item.item == event and item.original is not None]
        return [self._place(item) for item in mine[:8]]

    def create(self, sheet: Sheet) -> str:
        """See `Client`."""
        return str(self._do("create", self._fields(sheet))["id"])

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
        """See `Client`."""
        fields: Fields = {"subject": title, "body": text, "location": place, "reminder": reminder}
        fields = {name: value for name, value in fields.items() if value is not None}
        if free is not None:
            fields["status"] = "Free" if free else "Busy"
        self._do("change", event, fields)

    def move(self, event: str, start: datetime | date, minutes: int, zone: str) -> None:
        """See `Client`."""
        times = self._times(start, minutes, zone)
        if self._do("show", event)["type"] in ("Occurrence", "Exception"):
            times = {name: times[name] for name in ("start", "end")}
        self._do("change", event, times)

    def repeat(self, event: str, repeat: Repeat) -> None:
        """See `Client`."""
        begins = date.fromisoformat(self._do("show", event)["recurrence"]["start"])
        self._do("change", event, {"recurrence": _recurrence(repeat, begins)})

    def split(self, event: str, at: Place, title: str) -> str:
        """See `Client`."""
        day = at.original.isoformat()
        return str(self._do("split", event, day, {"subject": title})["id"])

    def remove(self, event: str) -> None:
        """See `Client`."""
        self._do("remove", event)

    def restore(self) -> str:
        """See `Client`. Out of the Deleted Items."""
        gone = self._do("events", "deleteditems")
        if not gone:
            raise Refused
        return str(self._do("move", gone[-1]["id"], "calendar")["id"])

    def duplicate(self, event: str, title: str) -> str:
        """See `Client`. The bridge's mark is copied too."""
        (made,) = self._do("copies", event, 1)
        self._do("change", made, {"subject": title})
        return str(made)

    def put_away(self, event: str) -> None:
        """See `Client`."""
        self._do("move", event, self._attic)

    def fetch_back(self) -> str:
        """See `Client`."""
        away = self._do("events", self._attic)
        if not away:
            raise Refused
        return str(self._do("move", away[-1]["id"], "calendar")["id"])

    def be_invited(self, sheet: Sheet) -> None:
        """See `Client`."""
        self._do("receive", self._host, self._fields(sheet) | {"attendees": [self._address]})

    def answer(self, event: str, answer: str) -> None:
        """See `Client`."""
        self._do("answer", event, answer)

    @property
    def writes(self) -> int:
        """See `Client`."""
        return sum(call.operation in WRITES for call in self._sandbox.calls())

    def _do(self, action: str, *values: Any) -> Any:
        return _try(lambda: self._sandbox.edit(self._address, action, *values))

    def _place(self, item: Occurrence) -> Place:
        wall = self._wall(item.start, item)
        assert item.original is not None
        original = self._wall(item.original, item).date()
        return Place(id=item.id, start=wall.date() if item.all_day else wall, original=original)

    def _wall(self, at: datetime, item: Occurrence) -> datetime:
        return self._sandbox.world.zones.wall(at, windows_name(item.zone))

    def _times(self, start: datetime | date, minutes: int, zone: str) -> Fields:
        end = start + timedelta(minutes=minutes)
        all_day = not isinstance(start, datetime)
        return {
            "start": start.isoformat(),
            "end": end.isoformat(),
            "all_day": all_day,
            "zone": self._zone if all_day else zone,
        }

    def _fields(self, sheet: Sheet) -> Fields:
        fields: Fields = {
            "subject": sheet.title,
            "body": sheet.text,
            "location": sheet.place,
            "status": "Free" if sheet.free else "Busy",
            "reminder": sheet.reminder,
            **self._times(sheet.start, sheet.minutes, sheet.zone),
        }
        if sheet.repeat is not None:
            fields["recurrence"] = _recurrence(sheet.repeat, _day(sheet.start))
        return fields


def _try(act: Callable[[], T]) -> T:
    try:
        return act()
    except EwsError as refusal:
        raise Refused(str(refusal)) from None


def _day(start: datetime | date) -> date:
    return start.date() if isinstance(start, datetime) else start


def _line(item: Fields) -> Line:
    parts = [item, *item.get("exceptions", {}).values()]
    names = ("subject", "body", "location")
    return Line(
        id=item["id"],
        title=item["subject"] or "",
        texts=tuple(part[name] or "" for part in parts for name in names),
        starts=tuple(_shown(part) for part in parts),
        series=item["type"] == "RecurringMaster",
        own=not item["organizer"],
    )


def _shown(item: Fields) -> str:
    return datetime.fromisoformat(item["start"]).astimezone(UTC).isoformat()


def _recurrence(repeat: Repeat, begins: date) -> Fields:
    """The pattern of EWS for a rule."""
    days = [NAMES[WEEKDAYS.index(day)] for day in repeat.days]
    pattern: Fields = {"interval": repeat.interval}
    match repeat.freq:
        case "DAILY":
            pattern["kind"] = "DailyRecurrence"
        case "WEEKLY":
            pattern |= {"kind": "WeeklyRecurrence", "days": days, "first_day": "Monday"}
        case _:
            reach = "Yearly" if repeat.freq == "YEARLY" else "Monthly"
            if repeat.position:
                index = INDEXES[repeat.position]
                pattern |= {"kind": f"Relative{reach}Recurrence", "days": days, "index": index}
            else:
                pattern |= {"kind": f"Absolute{reach}Recurrence", "day": repeat.day or begins.day}
            if repeat.freq == "YEARLY":
                pattern["month"] = repeat.month or begins.month
    if repeat.count is not None:
        pattern["number"] = repeat.count
    if repeat.until is not None:
        pattern["until"] = repeat.until.isoformat()
    return pattern | {"start": begins.isoformat()}
