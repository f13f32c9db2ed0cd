"""How links fare and what was done, in numbers, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bridge.budget import Window
from bridge.records import LinkState, RunKind, UnitState
from bridge.store import Store
from bridge.store.activity import hours, outcomes, spent
from bridge.store.figures import done_in, figures
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


def test_calls_are_counted_over_the_longest_window_of_their_budget(store: Store) -> None:
    limits = (Window(1_100_000, 10), Window(60_100_000, 300))
    with store.begin() as tx:
        tx.take_slice("cloud/ann", "", limits, 3, 250_000, None, NOW - timedelta(minutes=2))
        tx.take_slice("cloud/ann", "", limits, 4, 250_000, None, NOW)
        tx.bar("cloud/ann", "", 30, NOW)
    (found,) = spent(store, NOW + timedelta(seconds=10))
    assert (found.budget, found.calls, found.window) == ("cloud/ann", 4, timedelta(minutes=1))
    assert found.barred == NOW + timedelta(seconds=30)
    (later,) = spent(store, NOW + timedelta(minutes=5))
    assert (later.calls, later.barred) == (0, None)
