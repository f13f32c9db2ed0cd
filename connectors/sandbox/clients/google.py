"""Somebody in Google Calendar."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from connectors.sandbox.clients.sheet import Line, Place, Refused, Repeat, Sheet, walls
from connectors.sandbox.google import GoogleSandbox
from connectors.sandbox.google.errors import ApiError

Json = dict[str, Any]
T = TypeVar("T")
WRITES = frozenset(
    {"events.insert", "events.import", "events.update", "events.patch", "events.delete",
     "events.move"}
)  # fmt: skip
COPIED = ("description", "location", "start", "end", "recurrence", "transparency", "reminders",
          "extendedProperties")  # fmt: skip


class GoogleClient:
    """See `Client`. `host` is the colleague who invites, `attic` the other calendar."""

    def __init__(self, sandbox: GoogleSandbox, email: str, host: str, attic: str) -> None:
        self._sandbox = sandbox
        self._email, self._host, self._attic = email, host, attic
        self._removed: list[str] = []
        self._away: list[str] = []

    def lines(self) -> list[Line]:
        """See `Client`."""
        parts: dict[str, list[Json]] = {}
        for item in self._items():
            main = item.get("recurringEventId")
            parts.setdefault(main or item["id"], []).insert(1 if main else 0, item)
        return [self._line(items) for items in parts.values() if "recurringEventId" not in items[0]]

    def places(self, event: str) -> list[Place]:
        """See `Client`."""
        main = self._get(event)
        rules = [line for line in main.get("recurrence", []) if line.startswith("RRULE")]
        if not rules:
            return []
        exceptions = {
            item["id"]: item
            for item in self._sandbox.events(self._email, deleted=True)
            if item.get("recurringEventId") == event
        }
        found = []
        for wall in walls(rules[0], _wall(main["start"]), main["start"].get("timeZone", "UTC")):
            name = f"{event}_{_mark(main['start'], wall)}"
            shown = exceptions.get(name)
            if shown is not None and shown["status"] == "cancelled":
                continue
            at: datetime | date = wall if "dateTime" in main["start"] else wall.date()
            if shown is not None:
                moved = _wall(shown["start"])
                at = moved if "dateTime" in shown["start"] else moved.date()
            found.append(Place(id=name, start=at, original=wall.date()))
        return found

    def create(self, sheet: Sheet) -> str:
        """See `Client`."""
        return str(self._do("create", _body(sheet))["id"])

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
        fields: Json = {"summary": title, "description": text, "location": place}
        fields = {name: value for name, value in fields.items() if value is not None}
        if free is not None:
            fields["transparency"] = "transparent" if free else "opaque"
        if reminder is not None:
            fields["reminders"] = _reminders(reminder)
        self._do("change", event, fields)

    def move(self, event: str, start: datetime | date, minutes: int, zone: str) -> None:
        """See `Client`."""
        self._do("change", event, _times(start, minutes, zone))

    def repeat(self, event: str, repeat: Repeat) -> None:
        """See `Client`."""
        start = self._get(event)["start"]
        wall = _wall(start)
        at: datetime | date = wall if "dateTime" in start else wall.date()
        line = f"RRULE:{repeat.text(at, start.get('timeZone', 'UTC'))}"
        self._do("change", event, {"recurrence": [line]})

    def split(self, event: str, at: Place, title: str) -> str:
        """See `Client`."""
        return str(self._do("split", at.id, {"summary": title})["id"])

    def remove(self, event: str) -> None:
        """See `Client`."""
        self._do("remove", event)
        self._removed.append(event)

    def restore(self) -> str:
        """See `Client`. Out of the bin of the web interface."""
        if not self._removed:
            raise Refused
        event = self._removed.pop()
        self._do("change", event, {"status": "confirmed"})
        return event

    def duplicate(self, event: str, title: str) -> str:
        """See `Client`."""
        main = self._get(event)
        body = {name: main[name] for name in COPIED if name in main}
        return str(self._do("create", body | {"summary": title})["id"])

    def put_away(self, event: str) -> None:
        """See `Client`."""
        self._carry(event, self._email, self._attic)
        self._away.append(event)

    def fetch_back(self) -> str:
        """See `Client`."""
        if not self._away:
            raise Refused
        event = self._away.pop()
        self._carry(event, self._attic, self._email)
        return event

    def be_invited(self, sheet: Sheet) -> None:
        """See `Client`."""
        body = _body(sheet) | {"attendees": [{"email": self._email}]}
        _try(lambda: self._sandbox.edit(self._host, "create", self._host, body))

    def answer(self, event: str, answer: str) -> None:
        """See `Client`."""
        self._do("respond", event, answer)

    @property
    def writes(self) -> int:
        """See `Client`."""
        return sum(call.operation in WRITES for call in self._sandbox.calls())

    def _items(self) -> list[Json]:
        found = self._sandbox.events(self._email)
        return [item for item in found if item["status"] != "cancelled"]

    def _get(self, event: str) -> Json:
        found: Json = self._do("get", event)
        return found

    def _do(self, action: str, *values: Any) -> Any:
        return _try(lambda: self._sandbox.edit(self._email, action, self._email, *values))

    def _carry(self, event: str, source: str, target: str) -> None:
        with self._sandbox.lock:
            _try(lambda: self._sandbox.person(self._email).move(source, event, target))

    def _line(self, items: list[Json]) -> Line:
        main = items[0]
        names = ("summary", "description", "location")
        return Line(
            id=main["id"],
            title=main.get("summary", ""),
            texts=tuple(item.get(name, "") for item in items for name in names),
            starts=tuple(_shown(item["start"]) for item in items),
            series=bool(main.get("recurrence")),
            own=main["organizer"]["email"] == self._email,
        )


def _try(act: Callable[[], T]) -> T:
    try:
        return act()
    except (ApiError, KeyError) as refusal:
        raise Refused(str(refusal)) from None


def _shown(point: Json) -> str:
    if "date" in point:
        return str(point["date"])
    return datetime.fromisoformat(point["dateTime"]).astimezone(UTC).isoformat()


def _wall(point: Json) -> datetime:
    if "date" in point:
        return datetime.fromisoformat(point["date"])
    moment = datetime.fromisoformat(point["dateTime"])
    return moment.astimezone(ZoneInfo(point["timeZone"])).replace(tzinfo=None)


def _mark(start: Json, wall: datetime) -> str:
    if "date" in start:
        return f"{wall:%Y%m%d}"
    moment = wall.replace(tzinfo=ZoneInfo(start["timeZone"])).astimezone(UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}"


def _reminders(minutes: int) -> Json:
    return {"useDefault": False, "overrides": [{"method": "popup", "minutes": minutes}]}


def _times(start: datetime | date, minutes: int, zone: str) -> Json:
    end = start + timedelta(minutes=minutes)
    return {"start": _point(start, zone), "end": _point(end, zone)}


def _point(at: datetime | date, zone: str) -> Json:
    if isinstance(at, datetime):
        return {"dateTime": at.isoformat(), "timeZone": zone, "date": None}
    return {"date": at.isoformat(), "dateTime": None, "timeZone": None}


def _body(sheet: Sheet) -> Json:
    body: Json = {
        "summary": sheet.title,
        "description": sheet.text,
        "transparency": "transparent" if sheet.free else "opaque",
        **_times(sheet.start, sheet.minutes, sheet.zone),
    }
    if sheet.place:
        body["location"] = sheet.place
    if sheet.reminder is not None:
        body["reminders"] = _reminders(sheet.reminder)
    if sheet.repeat is not None:
        body["recurrence"] = [f"RRULE:{sheet.repeat.text(sheet.start, sheet.zone)}"]
    return body
