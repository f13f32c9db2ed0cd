"""What people do in the Feishu client while the bridge is running."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connectors.sandbox.feishu import FeishuSandbox
from connectors.sandbox.worlds.calendar_past import at, timed
from connectors.sandbox.worlds.trial import Edit
from connectors.sandbox.worlds.witnesses import Witness

SERIES = "Weekly check-in 每周例会"
LUNCH = "Lunch with Li 🍜"
DINNER = "Dinner with Li 🍷"


@dataclass
class Office:
    """One person at Feishu, who watches where their edits have to arrive, and the ids that come
    to light on the way."""

    who: str
    by: str
    feishu: FeishuSandbox
    user: Any
    witnesses: Sequence[Witness]
    ids: dict[str, str] = field(default_factory=dict)

    def find(self, title: str) -> str:
        """The id of an own event by its title."""
        if title not in self.ids:
            self.ids[title] = next(
                item["event_id"]
                for item in self.feishu.as_user(self.user).events(self.user.primary)
                if item.get("summary") == title and item["event_id"].endswith("_0")
            )
        return self.ids[title]


Act = Callable[[Any], None]
Check = Callable[[Witness], bool]


def live_edits(offices: Sequence[Office], monday: date) -> list[Edit]:
    """The edits of all offices, in the order in which each has to make them."""
    return [
        Edit(what, office.who, office.by, _doing(office, act), _arrivals(office, check))
        for office in offices
        for what, act, check in _day(office, monday)
    ]


def _doing(office: Office, act: Act) -> Callable[[], None]:
    return lambda: act(office.feishu.as_user(office.user))


def _arrivals(office: Office, check: Check) -> dict[str, Callable[[], bool]]:
    def arrival(witness: Witness) -> Callable[[], bool]:
        return lambda: check(witness)

    return {witness.name: arrival(witness) for witness in office.witnesses}


def _day(office: Office, monday: date) -> list[tuple[str, Act, Check]]:
    day = monday + timedelta(days=8)
    primary = office.user.primary
    stamp = int(at(monday + timedelta(weeks=3), 10, 0, "Europe/Berlin")["timestamp"])
    cancelled = datetime.fromtimestamp(stamp, UTC)
    evening = datetime.combine(day, time(18, 30), ZoneInfo("Asia/Shanghai"))

    def create(person: Any) -> None:
        body = timed(LUNCH, day, 12, 0, 60, "Asia/Shanghai", location={"name": "食堂"})
        office.ids[LUNCH] = person.create(primary, body)["event_id"]

    def move(person: Any) -> None:
        later = timed("", day, 18, 30, 90, "Asia/Shanghai")
        times = {name: later[name] for name in ("start_time", "end_time")}
        person.patch(primary, office.ids[LUNCH], times)

    def rename(person: Any) -> None:
        person.patch(primary, office.ids[LUNCH], {"summary": DINNER})

    def cancel(person: Any) -> None:
        person.delete(primary, f"{office.find(SERIES).rpartition('_')[0]}_{stamp}")

    def change_rule(person: Any) -> None:
        body = {"recurrence": "FREQ=WEEKLY;BYDAY=MO,TH"}
        person.patch(primary, office.find(SERIES), body)

    def delete(person: Any) -> None:
        person.delete(primary, office.ids[LUNCH])

    return [
        ("create an event", create, lambda witness: witness.start(LUNCH) is not None),
        ("move it", move, lambda witness: witness.start(LUNCH) == evening),
        ("rename it", rename, lambda witness: witness.start(DINNER) == evening),
        ("cancel one occurrence", cancel, lambda witness: witness.lacks(SERIES, cancelled)),
        ("change a series' rule", change_rule, lambda witness: witness.on_thursdays(SERIES)),
        ("delete the event", delete, lambda witness: witness.start(DINNER) is None),
    ]
