"""Somebody in the Feishu client."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from connectors.sandbox.clients.sheet import Line, Place, Refused, Repeat, Sheet, instant, walls
from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.feishu.errors import RefusalError
from connectors.sandbox.feishu.state import User

Json = dict[str, Any]
T = TypeVar("T")
WRITES = frozenset(
    {"events.create", "events.patch", "events.delete", "events.reply", "attendees.create",
     "attendees.batch_delete"}
)  # fmt: skip
ANSWERS = {"accepted": "accept", "declined": "decline", "tentative": "tentative"}


class FeishuClient:
    """See `Client`. `host` is the colleague who invites."""

    def __init__(self, sandbox: FeishuSandbox, user: User, host: User) -> None:
        self._sandbox = sandbox
        self._user, self._host = user, host
        self._person = sandbox.as_user(user)
        self._calendar = user.primary

    def lines(self) -> list[Line]:
        """See `Client`."""
        parts: dict[str, list[Json]] = {}
        for item in self._items():
            uid, _, original = item["event_id"].rpartition("_")
            parts.setdefault(uid, []).insert(0 if original == "0" else 1, item)
        return [_line(items, self._calendar) for items in parts.values() if _is_main(items[0])]

    def places(self, event: str) -> list[Place]:
        """See `Client`."""
        uid = event.rpartition("_")[0]
        main = _try(lambda: self._person.get(self._calendar, event))
        if not main.get("recurrence"):
            return []
        everything = self._person.events(self._calendar)
        known = {item["event_id"]: item for item in everything}
        zone = main["start_time"].get("timezone", "UTC")
        found = []
        for wall in walls(main["recurrence"], _wall(main["start_time"]), zone):
            stamp = int(wall.replace(tzinfo=ZoneInfo(zone)).timestamp())
            shown = known.get(f"{uid}_{stamp}")
            if shown is not None and shown["status"] == "cancelled":
                continue
            day = "date" in main["start_time"]
            at: datetime | date = wall.date() if day else wall
            if shown is not None:
                moved = _wall(shown["start_time"])
                at = moved.date() if "date" in shown["start_time"] else moved
            found.append(Place(id=f"{uid}_{stamp}", start=at, original=wall.date()))
        return found

    def create(self, sheet: Sheet) -> str:
        """See `Client`."""
        return str(_try(lambda: self._person.create(self._calendar, _body(sheet)))["event_id"])

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
        body: Json = {"summary": title, "description": text}
        if place is not None:
            body["location"] = {"name": place}
        if free is not None:
            body["free_busy_status"] = "free" if free else "busy"
        if reminder is not None:
            body["reminders"] = [{"minutes": reminder}]
        self._patch(event, body)

    def move(self, event: str, start: datetime | date, minutes: int, zone: str) -> None:
        """See `Client`."""
        self._patch(event, _times(start, minutes, zone))

    def repeat(self, event: str, repeat: Repeat) -> None:
        """See `Client`."""
        main = _try(lambda: self._person.get(self._calendar, event))
        start, zone = _start(main["start_time"])
        self._patch(event, {"recurrence": repeat.text(start, zone)})

    def split(self, event: str, at: Place, title: str) -> str:
        """See `Client`. The client ends the old series and makes another one."""
        main = _try(lambda: self._person.get(self._calendar, event))
        start, _zone = _start(main["start_time"])
        parts = [
            part
            for part in main["recurrence"].split(";")
            if not part.startswith(("COUNT=", "UNTIL="))
        ]
        stamp = int(at.id.rpartition("_")[2])
        last = datetime.fromtimestamp(stamp, UTC) - timedelta(seconds=1)
        until = f"{last:%Y%m%dT%H%M%SZ}" if isinstance(start, datetime) else f"{last:%Y%m%d}"
        self._patch(event, {"recurrence": ";".join([*parts, f"UNTIL={until}"])})
        self._sweep(event, stamp)
        kept = ("description", "location", "visibility", "free_busy_status", "reminders", "color")
        body = {name: main[name] for name in kept if name in main}
        body |= {"summary": title, "recurrence": ";".join(parts), "vchat": main["vchat"]}
        body |= _shifted(main, stamp)
        return str(_try(lambda: self._person.create(self._calendar, body))["event_id"])

    def remove(self, event: str) -> None:
        """See `Client`. The client takes the exceptions of a series away with it."""
        _try(lambda: self._person.delete(self._calendar, event))
        if event.endswith("_0"):
            self._sweep(event, 1)

    def _sweep(self, event: str, since: int) -> None:
        """Take away the exceptions of a series from an original start on."""
        uid = event.rpartition("_")[0]
        for item in self._items():
            series, _, original = item["event_id"].rpartition("_")
            if series == uid and int(original) >= since:
                self._person.delete(self._calendar, item["event_id"])

    def restore(self) -> str:
        """See `Client`."""
        raise Refused

    def duplicate(self, event: str, title: str) -> str:
        """See `Client`."""
        main = _try(lambda: self._person.get(self._calendar, event))
        kept = ("description", "location", "start_time", "end_time", "recurrence", "visibility",
                "free_busy_status", "reminders", "color", "vchat")  # fmt: skip
        body = {name: main[name] for name in kept if name in main} | {"summary": title}
        if "date" in main["start_time"]:
            body |= _shifted(main, int(_wall(main["start_time"]).replace(tzinfo=UTC).timestamp()))
        return str(_try(lambda: self._person.create(self._calendar, body))["event_id"])

    def put_away(self, event: str) -> None:
        """See `Client`."""
        raise Refused

    def fetch_back(self) -> str:
        """See `Client`."""
        raise Refused

    def be_invited(self, sheet: Sheet) -> None:
        """See `Client`."""
        guest = {"type": "user", "user_id": self._user.open_id}
        host = self._sandbox.as_user(self._host)
        _try(lambda: host.create(self._host.primary, _body(sheet), [guest]))

    def answer(self, event: str, answer: str) -> None:
        """See `Client`."""
        _try(lambda: self._person.reply(self._calendar, event, ANSWERS[answer]))

    @property
    def writes(self) -> int:
        """See `Client`."""
        return sum(call.operation in WRITES for call in self._sandbox.calls())

    def _items(self) -> list[Json]:
        return [
            item
            for item in self._person.events(self._calendar)
            if item["status"] != "cancelled"
        ]  # fmt: skip

    def _patch(self, event: str, body: Json) -> None:
        given = {name: value for name, value in body.items() if value is not None}
        _try(lambda: self._person.patch(self._calendar, event, given))


def _try(act: Callable[[], T]) -> T:
    try:
        return act()
    except RefusalError as refusal:
        raise Refused(str(refusal)) from None


def _is_main(item: Json) -> bool:
    return str(item["event_id"]).endswith("_0")


def _line(items: list[Json], calendar: str) -> Line:
    main = items[0]
    texts = [
        text
        for item in items
        for text in (
            item.get("summary", ""),
            item.get("description", ""),
            item.get("location", {}).get("name", ""),
        )
    ]
    return Line(
        id=main["event_id"],
        title=main.get("summary", ""),
        texts=tuple(texts),
        starts=tuple(_shown(item["start_time"]) for item in items),
        series=bool(main.get("recurrence")),
        own=main["organizer_calendar_id"] == calendar,
    )


def _shown(point: Json) -> str:
    if "date" in point:
        return str(point["date"])
    return datetime.fromtimestamp(int(point["timestamp"]), UTC).isoformat()


def _wall(point: Json) -> datetime:
    if "date" in point:
        return datetime.fromisoformat(point["date"])
    zone = ZoneInfo(point["timezone"])
    return datetime.fromtimestamp(int(point["timestamp"]), zone).replace(tzinfo=None)


def _start(point: Json) -> tuple[datetime | date, str]:
    wall = _wall(point)
    return (wall.date(), "UTC") if "date" in point else (wall, point["timezone"])


def _times(start: datetime | date, minutes: int, zone: str) -> Json:
    if not isinstance(start, datetime):
        last = start + timedelta(minutes=minutes) - timedelta(days=1)
        return {
            "start_time": {"date": start.isoformat()},
            "end_time": {"date": last.isoformat()},
        }
    stamp = int(instant(start, zone).timestamp())
    return {
        "start_time": {"timestamp": str(stamp), "timezone": zone},
        "end_time": {"timestamp": str(stamp + 60 * minutes), "timezone": zone},
    }


def _shifted(main: Json, stamp: int) -> Json:
    """The times of an event, moved to another start."""
    length = _wall(main["end_time"]) - _wall(main["start_time"])
    if "date" in main["start_time"]:
        day = datetime.fromtimestamp(stamp, UTC).date()
        return _times(day, length // timedelta(minutes=1), "UTC")
    length = timedelta(
        seconds=int(main["end_time"]["timestamp"]) - int(main["start_time"]["timestamp"])
    )
    zone = main["start_time"]["timezone"]
    start = datetime.fromtimestamp(stamp, ZoneInfo(zone)).replace(tzinfo=None)
    return _times(start, length // timedelta(minutes=1), zone)


def _body(sheet: Sheet) -> Json:
    body: Json = {
        "summary": sheet.title,
        "description": sheet.text,
        "vchat": {"vc_type": "no_meeting"},
        "free_busy_status": "free" if sheet.free else "busy",
        **_times(sheet.start, sheet.minutes, sheet.zone),
    }
    if sheet.place:
        body["location"] = {"name": sheet.place}
    if sheet.reminder is not None:
        body["reminders"] = [{"minutes": sheet.reminder}]
    if sheet.repeat is not None:
        body["recurrence"] = sheet.repeat.text(sheet.start, sheet.zone)
    return body
