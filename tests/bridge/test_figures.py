"""How links fare and what was done, in numbers, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.budget import Window
from bridge.metering import CallCounter
from bridge.records import LinkState, RunKind, UnitState
from bridge.store import Store, StoreError
from bridge.store.activity import hours, outcomes, spent
from bridge.store.calls import ALWAYS, Tally, What, called
from bridge.store.figures import done_in, figures
from connectors.metering import Called
from connectors.testing.builders import event

NOW = datetime(2026, 3, 2, 9, 20, tzinfo=UTC)


@pytest.fixture
def lunches(pair):
    for number in range(3):
        pair.a.person_puts(event(f"Lunch {number}", f"2026-03-1{number}T12:00"))
    pair.now = NOW - timedelta(minutes=50)
    pair.run()
    return pair


def test_a_link_is_counted_in_its_states(lunches) -> None:
    store: Store = lunches.store
    first, *_ = store.units(lunches.link.id)
    with store.begin() as tx:
        tx.put_units([replace(first, state=UnitState.PARKED)])
    second = lunches.another()
    found = {item.link.name: item for item in figures(store)}
    one, other = found[lunches.link.name], found["second"]
    assert (one.live, one.parked, one.dropped) == (2, 1, 0)
    assert (other.live, other.last, other.good, other.behind) == (0, None, None, None)
    assert figures(store, second.link.id) == [other]
    assert one.last is not None
    assert one.good == one.last.started == lunches.now
    assert done_in(store, one.last.id) == 3


def test_a_change_is_never_older_than_the_last_complete_run(lunches) -> None:
    store: Store = lunches.store

    def behind() -> datetime | None:
        return figures(store)[0].behind

    begun = lunches.now
    assert behind() is None
    with store.begin() as tx:
        tx.hint([lunches.link.id], NOW)
    assert behind() == begun
    lunches.now = NOW
    with store.begin() as tx:
        run = tx.start_run(lunches.link.id, RunKind.SYNC, NOW)
        tx.finish_run(run.id, NOW, "RetryableError: the line is dead")
    assert behind() == begun
    with store.begin() as tx:
        tx.set_link_state(lunches.link.id, LinkState.WAITING, "consent was lost")
    assert behind() == begun


def test_hours_count_what_was_written_and_how_long_runs_took(lunches) -> None:
    store: Store = lunches.store
    with store.begin() as tx:
        for seconds, outcome in ((2, "ok"), (4, "RetryableError: the line is dead")):
            run = tx.start_run(lunches.link.id, RunKind.SYNC, NOW)
            tx.finish_run(run.id, NOW + timedelta(seconds=seconds), outcome)
        tx.start_run(lunches.link.id, RunKind.SYNC, NOW)
    before, now = hours(store, NOW, 3)[1:]
    assert (before.at.hour, before.writes, before.runs, before.failed) == (8, 3, 1, 0)
    assert (now.at.hour, now.writes, now.runs, now.failed) == (9, 0, 2, 1)
    assert (now.mean, now.longest) == (timedelta(seconds=3), timedelta(seconds=4))
    assert outcomes(store, NOW - timedelta(hours=2)) == {"ok": 2, "RetryableError": 1}
    assert outcomes(store, NOW) == {"ok": 1, "RetryableError": 1}


def test_hours_tell_how_long_a_link_went_without_a_complete_run(lunches) -> None:
    store: Store = lunches.store
    second = lunches.another().link

    def ran(link: int, minutes: int, outcome: str = "ok") -> None:
        with store.begin() as tx:
            run = tx.start_run(link, RunKind.SYNC, NOW + timedelta(minutes=minutes))
            tx.finish_run(run.id, NOW + timedelta(minutes=minutes), outcome)

    def gaps(minutes: int) -> list[float]:
        found = hours(store, NOW + timedelta(minutes=minutes), 3)
        return [hour.gap / timedelta(minutes=1) for hour in found]

    assert gaps(0) == [0, 30, 50], "one run at 8:30, and it is 9:20"
    ran(second.id, -45)
    ran(second.id, -25)
    ran(lunches.link.id, -5)
    ran(lunches.link.id, 10, "RetryableError: the line is dead")
    assert gaps(20) == [0, 30, 45], "8:30 to 9:15 is the longest"
    assert gaps(90) == [30, 65, 115], "8:55 to 10:50, and nothing since"
    with store.begin() as tx:
        tx.set_link_state(second.id, LinkState.PAUSED, "moving house")
    assert gaps(90) == [30, 45, 95]


def test_calls_are_counted_over_the_longest_window_of_their_budget(store: Store) -> None:
    limits = (Window(1_100_000, 10), Window(60_100_000, 300))
    with store.begin() as tx:
        tx.take_slice("cloud/ann", "", limits, 3, 250_000, None, NOW - timedelta(minutes=2))
        tx.take_slice("cloud/ann", "", limits, 4, 250_000, None, NOW)
        tx.bar("cloud/ann", "", 30, NOW)
    (found,) = spent(store, NOW + timedelta(seconds=10))
    assert (found.budget, found.calls, found.window) == ("cloud/ann", 4, timedelta(minutes=1))
    assert (found.permits, found.used) == (300, 4 / 300)
    assert found.barred == NOW + timedelta(seconds=30)
    (later,) = spent(store, NOW + timedelta(minutes=5))
    assert (later.calls, later.barred) == (0, None)


def read(seconds: float, outcome: str = "ok") -> Called:
    return Called(connector="cloud", kind="read", outcome=outcome, seconds=seconds)


def test_calls_of_several_processes_are_added_up_by_the_hour_and_in_all(store: Store) -> None:
    now = NOW
    one, other = CallCounter(store, lambda: now), CallCounter(store, lambda: now)
    for seconds in (0.04, 0.3, 60):
        one.count(read(seconds))
    other.count(read(0.05))
    other.count(read(0.01, "RetryableError"))
    one.store()
    now = NOW + timedelta(hours=1)
    other.count(read(1))
    other.store()
    one.store()
    first, second = (hour.replace(minute=0) for hour in (NOW, now))
    good = What("cloud", "read", "ok")
    assert called(store)[good].calls == 5
    assert called(store)[good].time == timedelta(seconds=61.39)
    assert called(store)[good].within == (2, 2, 2, 3, 4, 4, 4, 4, 4)
    assert called(store)[What("cloud", "read", "RetryableError")].calls == 1
    hours_of = {what.hour: tally.calls for what, tally in called(store, first).items()
                if what.outcome == "ok"}  # fmt: skip
    assert hours_of == {first: 4, second: 1}
    with store.begin() as tx:
        tx.forget_calls(second)
    assert {what.hour for what in called(store, ALWAYS + timedelta(1))} == {second}
    assert called(store)[good].calls == 5


def test_counts_are_stored_by_themselves_now_and_then_and_kept_while_they_cannot_be(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = NOW
    counter = CallCounter(store, lambda: now)
    counter.count(read(1))
    assert called(store) == {}
    now = NOW + timedelta(seconds=11)
    with monkeypatch.context() as away:
        away.setattr(store, "begin", lambda **_how: (_ for _ in ()).throw(StoreError("away")))
        counter.count(read(1))
    now = NOW + timedelta(seconds=22)
    counter.count(read(1))
    assert called(store)[What("cloud", "read", "ok")] == Tally(
        3, timedelta(seconds=3), (0, 0, 0, 0, 3, 3, 3, 3, 3)
    )
