"""The complaint: "the network hiccupped, and now every meeting is there twice, or not at all"."""

from datetime import timedelta
from typing import Any

import pytest

from bridge.records import UnitState
from connectors.errors import RateLimitedError
from connectors.sandbox.worlds.calendar_past import timed
from connectors.sandbox.worlds.office import monday_of

ALICE = "alice@office.example"
INSERT, UPDATE, DELETE = r"POST \S+/events\?", r"PUT \S+/events/", r"DELETE \S+/events/"


def refusal(status: int, reason: str) -> dict[str, Any]:
    """Google's error envelope."""
    detail = {"domain": "usageLimits", "reason": reason, "message": reason}
    return {"error": {"code": status, "message": reason, "errors": [detail]}}


@pytest.fixture
def lunch(desk: Any) -> str:
    """An event on both sides; its id at Feishu."""
    day = monday_of(desk.feishu.clock) + timedelta(days=2)
    made = desk.alice.create(desk.primary, timed("Lunch", day, 12, 0, 60, "Asia/Shanghai"))
    desk.run()
    return str(made["event_id"])


def settled(desk: Any) -> None:
    """Both sides are the same, and stay so."""
    assert desk.titles() == desk.source_titles()
    assert desk.verify().differences == []
    assert desk.run(full=True).counts.writes == 0


WEATHER: dict[str, dict[str, Any]] = {
    "lost answer": {"action": "drop_after", "times": 7},
    "lost request": {"action": "drop_before", "times": 7},
    "truncated answer": {"action": "truncate", "times": 3},
    "gateway page": {"action": "html", "status": 502, "times": 3},
    "backend error": {"action": "status", "status": 500, "times": 3,
                      "body": refusal(500, "backendError")},
    "429": {"action": "status", "status": 429, "times": 3, "headers": {"Retry-After": "7"},
            "body": refusal(429, "rateLimitExceeded")},
    "403 rate": {"action": "status", "status": 403, "times": 3,
                 "body": refusal(403, "rateLimitExceeded")},
    "401": {"action": "status", "status": 401, "times": 1, "body": refusal(401, "authError")},
}  # fmt: skip


@pytest.mark.parametrize("weather", WEATHER)
def test_copies_edits_and_deletions_survive_bad_weather_without_a_double(
    desk: Any, weather: str
) -> None:
    """Writes fail at the start and in the middle."""
    for method, skip in ((INSERT, 0), (INSERT, 20), (UPDATE, 0)):
        desk.weather("google", method, skip=skip, **WEATHER[weather])
    desk.run()
    desk.clear()
    desk.feishu.clock.advance(1800)
    desk.run()
    assert desk.titles() == desk.source_titles()

    desk.weather("google", UPDATE, **WEATHER[weather])
    desk.weather("google", DELETE, **WEATHER[weather])
    desk.alice.patch(desk.primary, desk.find("Month close"), {"summary": "Month end"})
    desk.alice.delete(desk.primary, desk.find("Weekly check-in 每周例会"))
    desk.run()
    desk.clear()
    desk.feishu.clock.advance(1800)
    desk.run()
    assert desk.at_google("Month end")
    settled(desk)


@pytest.mark.parametrize("method", ["insert", "update", "delete"])
def test_an_answer_that_never_comes_is_looked_up_after_a_restart(
    desk: Any, lunch: str, method: str
) -> None:
    """Every answer is lost until the bridge gives up; then its process ends."""
    day = monday_of(desk.feishu.clock) + timedelta(days=9)
    match method:
        case "insert":
            desk.alice.create(desk.primary, timed("New", day, 8, 0, 30, "Asia/Shanghai"))
            desk.weather("google", INSERT, "drop_after")
        case "update":
            desk.alice.patch(desk.primary, lunch, {"summary": "Dinner"})
            desk.weather("google", UPDATE, "drop_after")
        case _:
            desk.alice.delete(desk.primary, lunch)
            desk.weather("google", DELETE, "drop_after")
    desk.weather("google", r"GET \S+/events/", "status", status=503, body={})
    outcome = desk.run()
    assert outcome.counts.writes == 0
    assert [unit.retry_at is not None for unit in desk.units(UnitState.PARKED)] == [True]
    desk.clear()
    desk.restart()
    desk.feishu.clock.advance(3600)
    desk.run()
    assert desk.units(UnitState.PARKED) == []
    settled(desk)


def test_retry_after_is_obeyed(desk: Any) -> None:
    desk.weather("google", INSERT, **WEATHER["429"] | {"times": 1})
    desk.run()
    assert max(desk.naps) >= 7
    settled(desk)


def test_a_spent_quota_stops_the_link_and_the_next_pass_goes_on(desk: Any) -> None:
    desk.weather("google", INSERT, "status", skip=10, status=403,
                 body=refusal(403, "quotaExceeded"))  # fmt: skip
    with pytest.raises(RateLimitedError) as stop:
        desk.run()
    assert stop.value.after >= 3590
    assert 0 < len(desk.titles()) < 31
    desk.clear()
    calls = desk.google_calls()
    with pytest.raises(RateLimitedError):
        desk.run()
    assert desk.google_calls() == calls
    desk.feishu.clock.advance(3700)
    desk.restart()
    desk.run()
    settled(desk)


def test_tokens_that_expire_in_the_middle_are_replaced(desk: Any) -> None:
    """Both access tokens are void when a third of the events has been copied."""
    alice = desk.feishu.world.user_by(ALICE)
    calls = iter(range(1000))

    def expire(_body: Any) -> None:
        if next(calls) == 10:
            desk.google.expire(user=ALICE)
            desk.feishu.desk.expire(alice)

    desk.spoil("google", INSERT, expire)
    tokens = desk.google_calls("oauth.token")
    assert desk.run().counts.created == 31
    assert desk.google_calls("oauth.token") == tokens + 2
    desk.clear()
    settled(desk)


def test_what_a_person_changes_at_google_meanwhile_survives(desk: Any, lunch: str) -> None:
    """Between our look and our write he changes other fields: 412, and then both are there."""
    there = desk.at_google("Lunch")["id"]
    meddled = iter((True,))

    def meddle(_body: Any) -> None:
        if next(meddled, False):
            fields = {"location": "Canteen 食堂", "colorId": "11"}
            desk.google.edit(ALICE, "change", ALICE, there, fields)

    desk.spoil("google", rf"GET \S+/events/{there}", meddle)
    since = len(desk.google.log)
    desk.alice.patch(desk.primary, lunch, {"summary": "Dinner"})
    assert desk.run().counts.updated == 1
    statuses = [call.status for call in desk.google.calls("events.update", since=since)]
    assert statuses == [412, 200]
    shown = desk.at_google("Dinner")
    assert (shown["location"], shown["colorId"]) == ("Canteen 食堂", "11")
    assert shown["id"] == there


def test_an_edit_at_google_before_ours_survives_in_its_other_fields(desk: Any, lunch: str) -> None:
    there = desk.at_google("Lunch")["id"]
    fields = {"location": "Canteen", "summary": "His own name"}
    desk.google.edit(ALICE, "change", ALICE, there, fields)
    desk.alice.patch(desk.primary, lunch, {"summary": "Dinner"})
    desk.run()
    shown = desk.at_google("Dinner")
    assert (shown["id"], shown["location"]) == (there, "Canteen")


def test_a_copy_that_was_deleted_at_google_is_not_edited_into_a_double(
    desk: Any, lunch: str
) -> None:
    desk.google.edit(ALICE, "remove", ALICE, desk.at_google("Lunch")["id"])
    desk.alice.patch(desk.primary, lunch, {"summary": "Dinner"})
    desk.run()
    settled(desk)
