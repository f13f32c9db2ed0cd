"""Feishu takes every write: what somebody changed since an event was read is looked for right
before."""

from typing import Any

import pytest

from connectors.contract import Copy
from connectors.errors import ConflictError
from connectors.testing.builders import cancelled, edited, event, moved
from mappings.model import Key, Location

KEY = "0123456789abcdef" * 4
SINGLE = event("Lunch", "2026-03-02T12:00", "Europe/Berlin", reminders=())
WEEKLY = event("Review", "2026-03-02T10:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=10",
               reminders=())  # fmt: skip
SECOND = Key("2026-03-09T10:00:00")
LATER = event("Review", "2026-03-03T11:00", "Europe/Berlin", rule="FREQ=WEEKLY;COUNT=10",
              reminders=())  # fmt: skip


class Desk:
    """A connector, and the person whose calendar it is."""

    def __init__(self, bench: Any, user: Any) -> None:
        self.bench = bench
        self.connector = bench.connect(user)
        self._user = user

    @property
    def person(self) -> Any:
        return self.bench.sandbox.as_user(self._user)

    def writes(self, ref: str, body: dict[str, Any]) -> None:
        self.person.patch(self._user.primary, ref, body)

    def removes(self, ref: str) -> None:
        self.person.delete(self._user.primary, ref)

    def made(self, what: Any) -> Copy:
        return self.connector.create("primary", what, KEY)

    def calls(self, act: Any) -> list[str]:
        before = len(self.bench.sandbox.calls())
        act()
        return [call.operation for call in self.bench.sandbox.calls(since=before)]


@pytest.fixture
def desk(bench: Any, ann: Any) -> Desk:
    return Desk(bench, ann)


def occurrence(copy: Copy) -> str:
    """The id of the second occurrence."""
    return f"{copy.ref[:-2]}_1773046800"


def test_an_edit_of_the_same_field_is_not_overwritten_but_shown(desk: Desk) -> None:
    copy = desk.made(SINGLE)
    desk.writes(copy.ref, {"summary": "Dinner"})
    with pytest.raises(ConflictError) as refused:
        desk.connector.update("primary", copy, edited(copy.event, title="Brunch"))
    assert refused.value.current is not None
    assert refused.value.current.event.details.title == "Dinner"
    now = desk.connector.update(
        "primary", refused.value.current, edited(refused.value.current.event, title="Brunch")
    )
    assert now.event.details.title == "Brunch"


def test_an_edit_of_another_field_stands_beside_ours(desk: Desk) -> None:
    copy = desk.made(SINGLE)
    desk.writes(copy.ref, {"summary": "Dinner"})
    desk.connector.update("primary", copy, edited(copy.event, location=Location(name="Roof")))
    shown = desk.connector.fetch("primary", copy.ref).event.details
    assert (shown.title, shown.location) == ("Dinner", Location(name="Roof"))


def test_each_write_is_one_read_more_and_a_create_is_none(desk: Desk) -> None:
    made: list[Copy] = []
    series = moved(WEEKLY, SECOND, start="2026-03-10T15:00")
    assert "events.get" not in desk.calls(lambda: made.append(desk.made(series)))
    renamed = edited(made[0].event, title="Retro")
    assert desk.calls(lambda: desk.connector.update("primary", made[0], renamed)) == [
        "events.get", "events.patch",
    ]  # fmt: skip
    assert desk.calls(lambda: desk.connector.update("primary", made[0], made[0].event)) == []


@pytest.mark.parametrize("known", [False, True])
def test_an_edit_of_the_same_occurrence_is_not_overwritten(desk: Desk, *, known: bool) -> None:
    series = moved(WEEKLY, SECOND, start="2026-03-10T15:00") if known else WEEKLY
    copy = desk.made(series)
    desk.writes(occurrence(copy), {"summary": "Exam"})
    with pytest.raises(ConflictError) as refused:
        desk.connector.update("primary", copy, edited(copy.event, SECOND, title="Test"))
    assert refused.value.current is not None
    shown = refused.value.current.event.overrides_by_key[SECOND].details
    assert shown is not None
    assert shown.title == "Exam"


def test_an_occurrence_that_somebody_edited_is_not_removed(desk: Desk) -> None:
    copy = desk.made(WEEKLY)
    desk.writes(occurrence(copy), {"summary": "Exam"})
    with pytest.raises(ConflictError):
        desk.connector.update("primary", copy, cancelled(copy.event, SECOND))
    assert SECOND in desk.connector.fetch("primary", copy.ref).event.overrides_by_key


def test_an_occurrence_that_somebody_removed_is_a_conflict(desk: Desk) -> None:
    copy = desk.made(WEEKLY)
    desk.removes(occurrence(copy))
    with pytest.raises(ConflictError) as refused:
        desk.connector.update("primary", copy, edited(copy.event, SECOND, title="Test"))
    assert refused.value.current is not None
    assert refused.value.current.event.overrides_by_key[SECOND].cancelled


def test_a_series_is_not_moved_from_under_an_occurrence_that_somebody_edited(desk: Desk) -> None:
    copy = desk.made(WEEKLY)
    desk.writes(occurrence(copy), {"summary": "Exam"})
    with pytest.raises(ConflictError) as refused:
        desk.connector.update("primary", copy, LATER)
    assert refused.value.current is not None
    assert SECOND in refused.value.current.event.overrides_by_key


def test_a_series_that_somebody_deleted_is_not_moved(desk: Desk) -> None:
    copy = desk.made(WEEKLY)
    desk.removes(copy.ref)
    with pytest.raises(ConflictError) as refused:
        desk.connector.update("primary", copy, LATER)
    assert refused.value.current is None


def test_what_somebody_deleted_is_gone(desk: Desk) -> None:
    copy = desk.made(SINGLE)
    desk.removes(copy.ref)
    with pytest.raises(ConflictError) as refused:
        desk.connector.update("primary", copy, edited(copy.event, title="Brunch"))
    assert refused.value.current is None


def test_a_series_that_somebody_edited_is_not_replaced(desk: Desk) -> None:
    copy = desk.made(cancelled(WEEKLY, SECOND))
    desk.writes(copy.ref, {"summary": "Retro"})
    with pytest.raises(ConflictError) as refused:
        desk.connector.update("primary", copy, WEEKLY)
    assert refused.value.current is not None
    assert refused.value.current.event.details.title == "Retro"
