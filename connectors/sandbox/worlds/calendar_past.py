"""What stands in the calendars of an office when the curtain rises, in Feishu's wire form.

Deterministic for a seed and a day. Starts are given as days from `monday` (that of the current
week), so that the world is never stale.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]
ZONES = ("Asia/Shanghai", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Sydney")

TITLES = (
    "Budget review", "1:1", "设计评审", "Customer call", "产品周会", "Interview", "🚀 Launch prep",
    "Architecture", "Sales pipeline", "客户拜访 📞", "Legal sync", "复盘会议", "Onboarding",
    "Hiring debrief", "Roadmap", "数据分析分享", "Vendor negotiation", "Security review",
)  # fmt: skip
PLACES = ("Room Everest", "三楼会议室", "Café Central", "Lab 2", "")
TEXTS = (
    "",
    "Agenda:<br>1. numbers<br>2. <b>risks</b><br>3. next steps",
    '请提前阅读 <a href="https://docs.example.com/spec">文档</a> 📄',
    "Bring your laptop &amp; badge",
    "<ul><li>status</li><li>问题</li></ul>",
)
RULES = (
    ("FREQ=DAILY;COUNT=15", 0), ("FREQ=WEEKLY;BYDAY=MO", 0), ("FREQ=WEEKLY;BYDAY=MO,WE,FR", 0),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", 1), ("FREQ=WEEKLY;BYDAY=TH", 3),
    ("FREQ=DAILY;INTERVAL=3", 2), ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", 0),
)  # fmt: skip


@dataclass
class Seed:
    """One event that is there from the beginning.

    `moves` and `cancels` name occurrences by their number; `attendees` are wire lines.
    """

    body: Json
    attendees: list[Json] = field(default_factory=list)
    moves: dict[int, timedelta] = field(default_factory=dict)
    renames: dict[int, str] = field(default_factory=dict)
    cancels: tuple[int, ...] = ()


def at(day: date, hour: int, minute: int, zone: str) -> Json:
    """A time on the wire."""
    moment = datetime.combine(day, time(hour, minute), ZoneInfo(zone))
    return {"timestamp": str(int(moment.timestamp())), "timezone": zone}


def timed(
    title: str, day: date, hour: int, minute: int, minutes: int, zone: str, **more: Any
) -> Json:
    """A timed event."""
    start = at(day, hour, minute, zone)
    end = {"timestamp": str(int(start["timestamp"]) + 60 * minutes), "timezone": zone}
    return {"summary": title, "start_time": start, "end_time": end,
            "vchat": {"vc_type": "no_meeting"}, **more}  # fmt: skip


def all_day(title: str, day: date, days: int, **more: Any) -> Json:
    """An all-day event; the last day is named, as Feishu takes it."""
    last = day + timedelta(days=days - 1)
    return {"summary": title, "start_time": {"date": day.isoformat()},
            "end_time": {"date": last.isoformat()}, "vchat": {"vc_type": "no_meeting"},
            **more}  # fmt: skip


def seeds(dice: random.Random, monday: date, colleagues: list[Json], room: str) -> Iterator[Seed]:
    """Somebody's calendar: about ninety events of every kind."""
    for number in range(60):
        yield _single(dice, monday, number, colleagues, room)
    for number in range(8):
        days = dice.choice((1, 1, 2, 3, 5))
        day = monday + timedelta(days=dice.randrange(-20, 120))
        title = ("Holiday 🏖️", "出差 上海", "Conference", "Team offsite")[number % 4]
        yield Seed(all_day(title, day, days, free_busy_status=dice.choice(("busy", "free"))))
    for number, zone in enumerate((*ZONES, *ZONES, "Asia/Shanghai")):
        yield _series(dice, monday, number, zone, colleagues if number % 3 == 0 else [])
    for number in range(3):
        day = monday + timedelta(days=dice.randrange(0, 60))
        start = at(day, 22, 0, ZONES[number])
        end = at(day + timedelta(days=1 + number), 6, 30, ZONES[number])
        yield Seed({**timed("夜间发布 / night deployment", day, 22, 0, 60, ZONES[number]),
                    "start_time": start, "end_time": end})  # fmt: skip
    yield Seed(
        all_day("Birthday 🎂", monday + timedelta(days=9), 1, recurrence="FREQ=YEARLY",
                free_busy_status="free")
    )  # fmt: skip
    first = (monday.replace(day=1) - timedelta(days=1)).replace(day=1)
    yield Seed(timed("Month close", first, 17, 0, 45, "Asia/Shanghai",
                     recurrence="FREQ=MONTHLY;BYMONTHDAY=1"))  # fmt: skip


def _single(
    dice: random.Random, monday: date, number: int, colleagues: list[Json], room: str
) -> Seed:
    day = monday + timedelta(days=dice.randrange(-30, 90))
    body = timed(
        f"{dice.choice(TITLES)} #{number}", day, dice.randrange(8, 19), dice.choice((0, 15, 30)),
        dice.choice((15, 30, 45, 60, 90)), dice.choice(ZONES),
        description=dice.choice(TEXTS),
        reminders=[{"minutes": minutes} for minutes in dice.choice(((), (5,), (15,), (60, 5)))],
        free_busy_status=dice.choice(("busy", "busy", "busy", "free")),
        visibility=dice.choice(("default", "default", "default", "private", "public")),
        color=dice.choice((-1, -1, -14513409, -1009115)),
    )  # fmt: skip
    place = dice.choice(PLACES)
    if place:
        body["location"] = {"name": place}
    if number % 20 == 7:
        body["location"] = {"name": "Bund Center", "address": "222 Yan'an Rd",
                            "latitude": 31.2304, "longitude": 121.4737}  # fmt: skip
    attendees: list[Json] = []
    if number % 6 == 0:
        attendees = dice.sample(colleagues, k=min(2, len(colleagues)))
    if number % 12 == 0:
        attendees = [*attendees, {"type": "resource", "room_id": room}]
    if number % 15 == 1:
        attendees = [{"type": "third_party", "third_party_email": "guest@partner.example"}]
    return Seed(body, attendees)


def _series(
    dice: random.Random, monday: date, number: int, zone: str, colleagues: list[Json]
) -> Seed:
    rule, weekday = RULES[number % len(RULES)]
    day = monday + timedelta(weeks=dice.randrange(-12, 3), days=weekday)
    title = f"{dice.choice(TITLES)} ({zone.split('/')[1].replace('_', ' ')})"
    body = timed(
        title, day, dice.randrange(8, 18), dice.choice((0, 30)), dice.choice((25, 50)), zone,
        recurrence=rule, description=dice.choice(TEXTS), reminders=[{"minutes": 10}],
    )  # fmt: skip
    return Seed(
        body,
        colleagues[:2],
        moves={3: timedelta(hours=2)} if number % 2 == 0 else {},
        renames={4: f"{title}: special"} if number % 3 == 1 else {},
        cancels=(2, 6) if number % 2 == 1 else (),
    )
