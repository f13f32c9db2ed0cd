"""What people do in the Feishu client while the bridge is running."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.google import GoogleSandbox
from connectors.sandbox.worlds.calendar_past import Json, at, timed
from connectors.sandbox.worlds.trial import Edit

SERIES = "Weekly check-in 每周例会"
LUNCH = "Lunch with Li 🍜"
DINNER = "Dinner with Li 🍷"


@dataclass
class Office:
    """One person's two calendars, and the ids that come to light on the way."""

    link: str
    by: str
    feishu: FeishuSandbox
    user: Any
    google: GoogleSandbox
    address: str
    ids: dict[str, str] = field(default_factory=dict)

    def edit(self, call: Callable[[Any], Any]) -> Any:
        """Do something as this person."""
        return call(self.feishu.as_user(self.user))

    def find(self, title: str) -> str:
        """The id of an own event by its title."""
        if title not in self.ids:
            self.ids[title] = next(
                item["event_id"]
                for item in self.feishu.as_user(self.user).events(self.user.primary)
                if item.get("summary") == title and item["event_id"].endswith("_0")
            )
        return self.ids[title]

    def shown(self, title: str) -> Json | None:
        """The event of that title as it stands at Google."""
        for item in self.google.events(self.address):
            if item.get("summary") == title and "recurringEventId" not in item:
                return item
        return None

    def occurrence(self, title: str, start: int) -> Json | None:
        """The exception of a series that replaces the occurrence with that start."""
        master = self.shown(title)
        for item in self.google.events(self.address, deleted=True):
            original = item.get("originalStartTime", {}).get("dateTime")
            if not original or not master or item.get("recurringEventId") != master["id"]:
                continue
            if int(datetime.fromisoformat(original).timestamp()) == start:
                return item
        return None


def live_edits(offices: Sequence[Office], monday: date) -> list[Edit]:
    """The edits of all offices, in the order in which each has to make them."""
    return [edit for office in offices for edit in _day(office, monday)]


def _day(office: Office, monday: date) -> list[Edit]:
    day = monday + timedelta(days=8)
    primary = office.user.primary
    series_day = monday + timedelta(weeks=3)
    cancelled = int(at(series_day, 10, 0, "Europe/Berlin")["timestamp"])

    def create(person: Any) -> None:
        body = timed(LUNCH, day, 12, 0, 60, "Asia/Shanghai", location={"name": "食堂"})
        office.ids[LUNCH] = person.create(primary, body)["event_id"]

    def move(person: Any) -> None:
        later = timed("", day, 18, 30, 90, "Asia/Shanghai")
        times = {name: later[name] for name in ("start_time", "end_time")}
        person.patch(primary, office.ids[LUNCH], times)

    def moved() -> bool:
        event = office.shown(LUNCH)
        start = datetime(day.year, day.month, day.day, 18, 30, tzinfo=ZoneInfo("Asia/Shanghai"))
        return bool(event) and _start(event) == start.astimezone(UTC)

    def rename(person: Any) -> None:
        person.patch(primary, office.ids[LUNCH], {"summary": DINNER})

    def cancel(person: Any) -> None:
        person.delete(primary, f"{office.find(SERIES).rpartition('_')[0]}_{cancelled}")

    def is_cancelled() -> bool:
        master = office.shown(SERIES)
        stamp = datetime.fromtimestamp(cancelled, UTC).strftime("%Y%m%dT%H%M%SZ")
        lines = master["recurrence"] if master else []
        listed = any(line.startswith("EXDATE") and stamp in line for line in lines)
        exception = office.occurrence(SERIES, cancelled)
        return listed or (exception is not None and exception["status"] == "cancelled")

    def change_rule(person: Any) -> None:
        body = {"recurrence": "FREQ=WEEKLY;BYDAY=MO,TH"}
        person.patch(primary, office.find(SERIES), body)

    def rule_changed() -> bool:
        event = office.shown(SERIES)
        return event is not None and any("TH" in line for line in event["recurrence"])

    def delete(person: Any) -> None:
        person.delete(primary, office.ids[LUNCH])

    steps: list[tuple[str, Callable[[Any], None], Callable[[], bool]]] = [
        ("create an event", create, lambda: office.shown(LUNCH) is not None),
        ("move it", move, moved),
        ("rename it", rename, lambda: office.shown(DINNER) is not None),
        ("cancel one occurrence", cancel, is_cancelled),
        ("change a series' rule", change_rule, rule_changed),
        ("delete the event", delete, lambda: office.shown(DINNER) is None),
    ]
    return [
        Edit(what, office.link, office.by, _doing(office, act), arrived)
        for what, act, arrived in steps
    ]


def _doing(office: Office, act: Callable[[Any], None]) -> Callable[[], None]:
    return lambda: office.edit(act)


def _start(event: Json | None) -> datetime | None:
    if event is None or "dateTime" not in event["start"]:
        return None
    return datetime.fromisoformat(event["start"]["dateTime"]).astimezone(UTC)
