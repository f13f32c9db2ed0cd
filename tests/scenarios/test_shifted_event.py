"""The complaint: "the copy is a day off, an hour off after the clocks changed, or half empty"."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bridge.records import Side
from connectors.sandbox.worlds.calendar_past import Seed, all_day, timed
from connectors.sandbox.worlds.office import monday_of, plant


@pytest.fixture
def day(desk: Any) -> date:
    """A Monday some weeks ahead."""
    found: date = monday_of(desk.feishu.clock) + timedelta(weeks=4)
    return found


def instant(time: Any) -> datetime:
    return datetime.fromisoformat(time["dateTime"]).astimezone(UTC)


def exceptions(desk: Any, master: Any) -> dict[Any, Any]:
    """The exceptions of a series at Google by their original start."""
    return {
        item["originalStartTime"].get("date") or instant(item["originalStartTime"]): item
        for item in desk.google.events(master["calendar"], deleted=True)
        if item.get("recurringEventId") == master["id"]
    }


def test_every_field_of_a_meeting_arrives(desk: Any, day: date) -> None:
    body = timed(
        "评审 🚀 & <Review>", day, 22, 30, 150, "America/New_York",
        description='请看 <a href="https://docs.example.com/s?a=1&amp;b=2">文档</a> 📄'
        "<br><b>bold</b>",
        location={"name": "外滩中心 Bund", "address": "222 Yan'an Rd"},
        visibility="private", free_busy_status="free", color=-14513409,
        reminders=[{"minutes": 60}, {"minutes": 5}],
    )  # fmt: skip
    guests = [{"type": "third_party", "third_party_email": "guest@partner.example"}]
    with desk.feishu.world.quietly():
        desk.alice.create(desk.primary, body, guests)
    desk.run()
    shown = desk.at_google("评审 🚀 & <Review>")
    start = datetime(day.year, day.month, day.day, 22, 30, tzinfo=ZoneInfo("America/New_York"))
    assert instant(shown["start"]) == start.astimezone(UTC)
    assert instant(shown["end"]) == start.astimezone(UTC) + timedelta(minutes=150)
    assert {shown["start"]["timeZone"], shown["end"]["timeZone"]} == {"America/New_York"}
    assert shown["location"] == "外滩中心 Bund, 222 Yan'an Rd"
    assert (shown["visibility"], shown["transparency"]) == ("private", "transparent")
    assert shown["colorId"] == "9"
    assert shown["reminders"]["useDefault"] is False
    reminders = {(item["method"], item["minutes"]) for item in shown["reminders"]["overrides"]}
    assert reminders == {("popup", 5), ("popup", 60)}
    text, _, footer = shown["description"].partition("─── calendar bridge ───")
    assert 'href="https://docs.example.com/s?a=1&amp;b=2"' in text
    assert "请看" in text
    assert "文档" in text
    assert "<b>bold</b>" in text
    assert "guest@partner.example" in footer
    assert "attendees" not in shown


def test_an_event_without_anything_special_is_just_that(desk: Any, day: date) -> None:
    desk.alice.create(desk.primary, timed("Plain", day, 9, 0, 15, "Asia/Shanghai", reminders=[]))
    desk.run()
    shown = desk.at_google("Plain")
    assert shown["reminders"] == {"useDefault": False}
    assert not {"description", "location", "colorId", "attendees", "recurrence"} & shown.keys()
    assert shown.get("visibility", "default") == "default"
    assert shown.get("transparency", "opaque") == "opaque"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles", "Asia/Kolkata"])
def test_days_stay_the_same_days_wherever_the_reader_lives(desk: Any, day: date, zone: str) -> None:
    desk.google.world.calendars["alice@office.example"].zone = zone
    desk.alice.create(desk.primary, all_day("One day 🏖️", day, 1))
    desk.alice.create(desk.primary, all_day("Trip 出差", day, 3, free_busy_status="free"))
    desk.alice.create(desk.primary, all_day("Yearly", day, 1, recurrence="FREQ=YEARLY"))
    desk.run()
    for title, length in (("One day 🏖️", 1), ("Trip 出差", 3), ("Yearly", 1)):
        shown = desk.at_google(title)
        assert shown["start"] == {"date": day.isoformat()}
        assert shown["end"] == {"date": (day + timedelta(days=length)).isoformat()}
    assert desk.at_google("Trip 出差")["transparency"] == "transparent"
    assert desk.verify().differences == []
    assert desk.run(full=True).counts.writes == 0


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney"])
def test_a_weekly_meeting_keeps_its_hour_when_the_clocks_change(desk: Any, zone: str) -> None:
    first = monday_of(desk.feishu.clock)
    desk.alice.create(
        desk.primary, timed("Weekly", first, 10, 0, 45, zone, recurrence="FREQ=WEEKLY;BYDAY=MO")
    )
    desk.run()
    shown = desk.at_google("Weekly")
    assert shown["recurrence"] == ["RRULE:FREQ=WEEKLY;BYDAY=MO"]
    assert shown["start"]["timeZone"] == zone
    since = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(days=1)
    with desk.runtime() as runtime:
        link = runtime.store.links()[0]
        there = runtime.connectors(link)[Side.B]
        found = there.occurrences(link.b.calendar, since, since + timedelta(days=366))
        starts = [occurrence.start for ref, occurrence in found if ref == shown["id"]]
    assert len(starts) == 53
    assert {start.astimezone(ZoneInfo(zone)).time().isoformat() for start in starts} == {"10:00:00"}
    assert len({start.time() for start in starts}) == 2
    assert desk.verify().differences == []


def test_changed_and_cancelled_occurrences_are_those_of_the_same_dates(
    desk: Any, day: date
) -> None:
    zone = "Europe/Berlin"
    body = timed("Series", day, 9, 0, 30, zone, recurrence="FREQ=DAILY;COUNT=10")
    seed = Seed(body, moves={2: timedelta(hours=3)}, renames={4: "Series, special"}, cancels=(6,))
    plant(desk.feishu, desk.primary, seed)
    desk.run()
    master = desk.at_google("Series")
    assert [line for line in master["recurrence"] if line.startswith("RRULE")] == [
        "RRULE:FREQ=DAILY;COUNT=10"
    ]
    starts = [
        datetime(d.year, d.month, d.day, 9, 0, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        for d in (day + timedelta(days=number) for number in range(10))
    ]
    shown = exceptions(desk, {**master, "calendar": "alice@office.example"})
    assert instant(shown[starts[2]]["start"]) == starts[2] + timedelta(hours=3)
    assert shown[starts[4]]["summary"] == "Series, special"
    assert instant(shown[starts[4]]["start"]) == starts[4]
    exdates = "".join(line for line in master["recurrence"] if line.startswith("EXDATE"))
    cancelled = {start for start, item in shown.items() if item["status"] == "cancelled"}
    assert cancelled == {starts[6]} or f"{starts[6]:%Y%m%dT%H%M%SZ}" in exdates
    assert desk.verify().differences == []


def test_the_whole_office_stands_at_google_as_it_does_at_feishu(desk: Any) -> None:
    desk.run()
    assert _faces_at_feishu(desk.alice.events(desk.primary)) == _faces_at_google(
        desk.google.events("alice@office.example")
    )
    comparison = desk.verify()
    assert comparison.differences == []
    assert comparison.units == 31
    assert comparison.occurrences > 200


def _faces_at_feishu(items: Iterable[Any]) -> Counter[Any]:
    return Counter(
        (
            item["summary"],
            item["start_time"].get("date") or int(item["start_time"]["timestamp"]),
            item["end_time"].get("date") or int(item["end_time"]["timestamp"]),
            None if "date" in item["start_time"] else item["start_time"]["timezone"],
            item["free_busy_status"],
            item["visibility"],
            bool(item["recurrence"]),
            tuple(sorted(reminder["minutes"] for reminder in item["reminders"])),
            (item.get("location") or {}).get("name", ""),
        )
        for item in items
        if item["event_id"].endswith("_0")
    )


def _faces_at_google(items: Iterable[Any]) -> Counter[Any]:
    return Counter(
        (
            item["summary"],
            item["start"].get("date") or int(instant(item["start"]).timestamp()),
            item["end"].get("date") or int(instant(item["end"]).timestamp()),
            item["start"].get("timeZone"),
            "free" if item.get("transparency") == "transparent" else "busy",
            item.get("visibility", "default"),
            "recurrence" in item,
            tuple(sorted(each["minutes"] for each in item["reminders"].get("overrides", ()))),
            item.get("location", "").removesuffix(", 222 Yan'an Rd"),
        )
        for item in items
        if "recurringEventId" not in item
    )
