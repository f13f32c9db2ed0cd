"""The complaint: "it takes weekly meetings, but not the one with two extra dates"."""

from datetime import timedelta
from typing import Any

import pytest

ALICE = "alice@office.example"
ZONE = "Europe/Berlin"


@pytest.fixture
def course(desk: Any) -> str:
    """A series with two extra dates and without one of its own, as calendars import them into
    Google; on both sides. Its id."""
    desk.configure(defaults={"direction": "two-way"})
    now = desk.feishu.clock.now().date()
    monday = now + timedelta(days=14 - now.weekday())
    days = [monday + timedelta(days=shift) for shift in (7, 24, 25)]
    gone, *extra = (f"{day:%Y%m%d}T090000" for day in days)
    body = {
        "summary": "Course",
        "start": {"dateTime": f"{monday}T09:00:00", "timeZone": ZONE},
        "end": {"dateTime": f"{monday}T10:00:00", "timeZone": ZONE},
        "recurrence": [
            "RRULE:FREQ=WEEKLY;COUNT=3",
            f"RDATE;TZID={ZONE}:{','.join(extra)}",
            f"EXDATE;TZID={ZONE}:{gone}",
        ],
    }
    made = desk.google.edit(ALICE, "create", ALICE, body)
    desk.run()
    return str(made["id"])


def beside(desk: Any) -> list[Any]:
    """The events at Feishu that stand for extra dates."""
    return [
        item
        for item in desk.alice.events(desk.primary)
        if "Extra date of a series" in (item.get("description") or "")
        and item["status"] != "cancelled"
    ]


def series(desk: Any) -> str:
    """The id of the series itself at Feishu."""
    found = [
        item["event_id"]
        for item in desk.alice.events(desk.primary)
        if item.get("summary") == "Course" and item.get("recurrence")
    ]
    (master,) = found
    return str(master)


def settled(desk: Any) -> None:
    """Both sides are the same, and stay so."""
    assert desk.verify().differences == []
    for full in (False, True):
        outcome = desk.run(full=full)
        assert (outcome.counts.writes, outcome.counts.parked, outcome.held) == (0, 0, "")


def test_extra_dates_stand_at_feishu_and_stay_one_unit(desk: Any, course: str) -> None:
    assert len(beside(desk)) == 2
    assert desk.titles().count("Course") == 1
    settled(desk)
    desk.restart()
    settled(desk)


def test_what_people_do_to_an_extra_date_at_feishu_arrives_at_google(
    desk: Any, course: str
) -> None:
    settled(desk)
    one, other = beside(desk)
    desk.alice.patch(desk.primary, one["event_id"], {"summary": "Course, last time"})
    desk.run()
    settled(desk)
    desk.alice.delete(desk.primary, other["event_id"])
    desk.run()
    settled(desk)
    assert desk.titles().count("Course") == 1
    assert len(beside(desk)) == 1


def test_an_edit_of_the_series_at_feishu_leaves_no_date_behind(desk: Any, course: str) -> None:
    settled(desk)
    master = series(desk)
    desk.alice.patch(desk.primary, master, {"summary": "Seminar"})
    desk.run()
    settled(desk)
    desk.alice.patch(desk.primary, master, {"recurrence": "FREQ=WEEKLY;COUNT=5"})
    desk.run()
    settled(desk)


def test_an_edit_at_google_reaches_every_date(desk: Any, course: str) -> None:
    desk.google.edit(ALICE, "change", ALICE, course, {"summary": "Seminar", "location": "Room 1"})
    desk.run()
    settled(desk)
    assert {item["summary"] for item in beside(desk)} == {"Seminar"}


def test_deleting_it_at_google_leaves_nothing_at_feishu(desk: Any, course: str) -> None:
    desk.google.edit(ALICE, "remove", ALICE, course)
    desk.run()
    settled(desk)
    assert beside(desk) == []
    assert "Course" not in desk.source_titles()


def test_deleting_the_series_at_feishu_leaves_what_stands_there(desk: Any, course: str) -> None:
    settled(desk)
    desk.alice.delete(desk.primary, series(desk))
    desk.run()
    desk.run(full=True)
    assert desk.verify().differences == []
    assert desk.titles().count("Course") == 2
    settled(desk)


@pytest.mark.parametrize("full", [False, True])
def test_a_series_deleted_at_feishu_and_edited_at_google_comes_back_with_each_date_once(
    desk: Any, course: str, *, full: bool
) -> None:
    desk.alice.delete(desk.primary, series(desk))
    desk.google.edit(ALICE, "change", ALICE, course, {"summary": "Seminar"})
    desk.run(full=full)
    for _ in range(2):
        desk.run(full=True)
    assert len(beside(desk)) == 2
    assert desk.titles().count("Seminar") == 1
    assert "Course" not in [*desk.titles(), *desk.source_titles()]
    settled(desk)


def test_a_freed_date_that_somebody_edited_stays_his_own_event(desk: Any, course: str) -> None:
    desk.alice.delete(desk.primary, series(desk))
    desk.alice.patch(desk.primary, beside(desk)[0]["event_id"], {"summary": "Farewell"})
    desk.google.edit(ALICE, "change", ALICE, course, {"summary": "Seminar"})
    for _ in range(3):
        desk.run(full=True)
    assert desk.titles().count("Seminar") == desk.titles().count("Farewell") == 1
    settled(desk)


def test_a_lost_database_doubles_nothing(desk: Any, course: str) -> None:
    settled(desk)
    before = desk.stored()
    with desk.runtime() as runtime, runtime.store.begin() as tx:
        tx.drop_units(runtime.store.links()[0].id)
    desk.run(full=True)
    settled(desk)
    assert desk.stored().keys() == before.keys()
    assert len(beside(desk)) == 2
