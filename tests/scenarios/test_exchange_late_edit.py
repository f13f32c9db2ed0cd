"""The complaint: "I changed the series at Feishu, and Outlook shows something else"."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.sandbox.worlds.calendar_past import all_day, at, timed
from connectors.sandbox.worlds.office import SERIES, monday_of

DAY = 86_400
TWICE = "FREQ=MONTHLY;BYMONTHDAY=3,17"
"""What Exchange holds as two series."""


def times(start: int, minutes: int) -> dict[str, Any]:
    """From an instant on, for so many minutes."""
    ends = {"start_time": start, "end_time": start + 60 * minutes}
    return {
        name: {"timestamp": str(at_), "timezone": "Asia/Shanghai"} for name, at_ in ends.items()
    }


class Story:
    """Alice at Feishu, and what her mailbox must show after every step."""

    def __init__(self, mailbox: Any) -> None:
        self.mailbox = mailbox
        self.monday = monday_of(mailbox.feishu.clock)
        # Whoever deletes a series in Feishu's client means its changed occurrences, too.
        mailbox.feishu.switch(cascade=True)
        mailbox.run()

    def create(self, title: str, days: int, **more: Any) -> str:
        day = self.monday + timedelta(days=days)
        body = timed(title, day, 12, 0, 60, "Asia/Shanghai", **more)
        return str(self.mailbox.alice.create(self.mailbox.primary, body)["event_id"])

    def patch(self, event: str, **fields: Any) -> None:
        self.mailbox.alice.patch(self.mailbox.primary, event, fields)

    def delete(self, event: str) -> None:
        self.mailbox.alice.delete(self.mailbox.primary, event)

    def occurrence(self, event: str, number: int, step: int = 7) -> tuple[str, int]:
        """The id of an occurrence by its number, and its start; Shanghai's days are all equal."""
        shown = self.mailbox.alice.get(self.mailbox.primary, event)
        start = int(shown["start_time"]["timestamp"]) + number * step * DAY
        return f"{event.rpartition('_')[0]}_{start}", start

    def arrives(self) -> None:
        """One pass later the mailbox shows what Feishu shows, and a further pass writes nothing."""
        self.mailbox.run()
        assert self.mailbox.titles() == self.mailbox.source_titles()
        assert self.mailbox.verify().differences == []
        assert self.mailbox.run(full=True).counts.writes == 0

    def starts(self, title: str, days: int = 100) -> list[datetime]:
        """When a unit takes place from this Monday on, as Outlook shows it."""
        since = datetime.combine(self.monday, datetime.min.time(), UTC)
        found = self.mailbox.exchange.occurrences(
            "alice@office.example", since, since + timedelta(days=days)
        )
        return [each.start for each in found if each.subject == title]


@pytest.fixture
def story(mailbox: Any) -> Story:
    return Story(mailbox)


def test_the_life_of_an_event(story: Story) -> None:
    event = story.create("Lunch with Li 🍜", 8)
    story.arrives()
    made = story.mailbox.at_exchange("Lunch with Li 🍜")
    day = story.monday + timedelta(days=9)
    story.patch(event, start_time=at(day, 18, 30, "Asia/Shanghai"),
                end_time=at(day, 20, 0, "Asia/Shanghai"))  # fmt: skip
    story.arrives()
    assert story.starts("Lunch with Li 🍜") == [
        datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=10, minutes=30)
    ]
    story.patch(event, summary="Dinner with Li 🍷", location={"name": "食堂"})
    story.arrives()
    shown = story.mailbox.at_exchange("Dinner with Li 🍷")
    assert (shown["id"], shown["location"]) == (made["id"], "食堂")
    whole = all_day("", day, 2)
    story.patch(event, start_time=whole["start_time"], end_time=whole["end_time"])
    story.arrives()
    assert story.mailbox.at_exchange("Dinner with Li 🍷")["all_day"] is True
    story.delete(event)
    story.arrives()
    assert story.mailbox.thrown_away() == ["Dinner with Li 🍷"]


def test_single_occurrences_are_cancelled_moved_and_edited(story: Story) -> None:
    event = story.create("Review 评审", 1, recurrence="FREQ=WEEKLY;COUNT=10")
    story.arrives()
    made = story.mailbox.at_exchange("Review 评审")["id"]
    story.delete(story.occurrence(event, 2)[0])
    story.arrives()
    assert len(story.starts("Review 评审")) == 9
    moved, start = story.occurrence(event, 4)
    story.patch(moved, **times(start + 2 * DAY, 60))
    story.arrives()
    renamed, _start = story.occurrence(event, 5)
    story.patch(renamed, summary="Review 评审: special", description="Bring cake")
    story.arrives()
    assert len(story.starts("Review 评审: special")) == 1
    story.patch(event, summary="Retro 复盘")
    story.arrives()
    assert story.mailbox.at_exchange("Retro 复盘")["id"] == made
    story.delete(event)
    story.arrives()
    assert story.starts("Retro 复盘") == []


def test_a_series_whose_occurrences_are_all_cancelled_goes(story: Story) -> None:
    """Exchange refuses to take the last one out of a series."""
    event = story.create("Trial", 1, recurrence="FREQ=WEEKLY;COUNT=3")
    story.arrives()
    for number in range(3):
        story.delete(story.occurrence(event, number)[0])
    story.mailbox.run()
    assert story.starts("Trial") == []
    assert story.mailbox.thrown_away() == ["Trial"]
    assert story.mailbox.verify().differences == []
    assert story.mailbox.run(full=True).counts.writes == 0


def test_an_occurrence_moved_past_its_neighbour_is_shown_where_it_was_moved(story: Story) -> None:
    """No series of Exchange can hold that; an event of its own stands for it."""
    event = story.create("Sync", 1, recurrence="FREQ=WEEKLY;COUNT=10")
    story.arrives()
    moved, start = story.occurrence(event, 3)
    for shift in (9 * DAY, 16 * DAY, 0):
        story.patch(moved, **times(start + shift, 30))
        story.arrives()
        assert datetime.fromtimestamp(start + shift, UTC) in story.starts("Sync")
        assert len(story.starts("Sync")) == 10


RULES = (
    "FREQ=WEEKLY;BYDAY=MO,TH",
    TWICE,
    "FREQ=WEEKLY;BYDAY=TU",
    "FREQ=MONTHLY;BYMONTHDAY=31;COUNT=9",
    "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
    "FREQ=YEARLY;INTERVAL=2",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=MONTHLY;BYDAY=5MO",
    "FREQ=WEEKLY;BYDAY=TU",
)
"""One series, several, one again, one with holes, pieces, single events, and back."""


def test_a_rule_changes_into_any_other_and_back(story: Story) -> None:
    event = story.mailbox.find(SERIES)
    before = len(story.mailbox.stored())
    for rule in RULES:
        story.patch(event, recurrence=rule)
        story.arrives()
    story.patch(event, summary="Renamed")
    story.arrives()
    assert len(story.starts("Renamed", 70)) == 10
    assert len(story.mailbox.stored()) == before
    story.delete(event)
    story.arrives()
    assert story.starts("Renamed", 400) == []


def test_a_series_of_several_items_is_renamed_excepted_and_thrown_away_as_one(
    story: Story,
) -> None:
    event = story.create("Payday", 1, recurrence=f"{TWICE};COUNT=12")
    story.arrives()
    before = len(story.mailbox.stored())
    dates = story.starts("Payday", 400)
    story.delete(f"{event.rpartition('_')[0]}_{int(dates[3].timestamp())}")
    story.patch(f"{event.rpartition('_')[0]}_{int(dates[4].timestamp())}", summary="Bonus")
    story.arrives()
    shown = story.starts("Payday", 400)
    assert shown == [day for day in dates if day not in dates[3:5]]
    assert story.starts("Bonus", 400) == [dates[4]]
    story.delete(event)
    story.arrives()
    assert story.starts("Payday", 400) == story.starts("Bonus", 400) == []
    assert len(story.mailbox.stored()) == before - 2
    assert story.mailbox.thrown_away().count("Payday") >= 2


def test_every_kind_of_edit_arrives_by_push(mailbox: Any) -> None:
    """The service at work, woken by Feishu alone."""
    mailbox.feishu.switch(aggregation_seconds=0.05)
    mailbox.configure(service={"listen": "127.0.0.1:0", "poll": "1h"})
    with mailbox.serving() as service:
        assert mailbox.until(mailbox.trial.listening)
        assert service.wait_idle(30)
        day = monday_of(mailbox.feishu.clock) + timedelta(days=9)
        body = timed("Lunch", day, 12, 0, 60, "Asia/Shanghai")
        event = mailbox.alice.create(mailbox.primary, body)["event_id"]
        assert mailbox.until(lambda: mailbox.at_exchange("Lunch"))
        mailbox.alice.patch(mailbox.primary, event, {"summary": "Dinner"})
        assert mailbox.until(lambda: mailbox.at_exchange("Dinner"))
        mailbox.alice.delete(mailbox.primary, event)
        assert mailbox.until(lambda: mailbox.thrown_away() == ["Dinner"])
