"""An account that is back: whatever waited for it is due, however long it had meant to wait."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bridge.breaker import ONCE, SPREAD, Breaker
from bridge.circuit import THRESHOLD
from bridge.records import Endpoint, Link, RunKind, Unit, UnitState
from bridge.store import Store
from connectors.errors import RetryableError

HOUR = timedelta(hours=1)


class Office:
    """A link for each person, from a hub that was away to a calendar of another provider."""

    def __init__(self, store: Store, clock: Any) -> None:
        self.store, self.clock = store, clock
        self.breaker = Breaker(store, now=clock, random=lambda: 1.0)
        self.ann, self.ann_too = self.link("ann", "ann"), self.link("ann", "team")
        self.bob, self.eve = self.link("bob", "bob"), self.link("eve", "eve", hub="third")

    def link(self, a: str, b: str, hub: str = "hub") -> Link:
        ends = [Endpoint(connector=c, account=who, calendar=who) for c, who in ((hub, a), ("o", b))]
        with self.store.begin() as tx:
            uid = f"{hub}/{a}/{b}"
            link = tx.put_link(Link(id=0, uid=uid, name=uid, user=a, a=ends[0], b=ends[1]))
            tx.hint([link.id], self.clock())
        return link

    def fails(self, link: Link, again: timedelta = HOUR) -> None:
        """A run of it fails, and is to be repeated only after so long."""
        error = RetryableError("the line is dead")
        error.account = (link.a.connector, link.a.account)
        self.breaker.failed(link, error)
        with self.store.begin() as tx:
            tx.hint([link.id], self.clock())
            tx.claim("worker", 1, self.clock(), 60, link_id=link.id)
            tx.fail(link.id, "worker", "the line is dead", self.clock() + again)

    def goes_away(self, link: Link) -> None:
        for _time in range(THRESHOLD):
            self.fails(link)
        assert self.breaker.admit(link) is not None

    def due(self, link: Link) -> datetime:
        job = self.store.job(link.id)
        assert job is not None
        assert job.run_at is not None
        return job.run_at


@pytest.fixture
def office(store: Store, watch: Any) -> Office:
    return Office(store, watch)


def test_links_of_an_account_that_is_back_need_not_wait_out_their_own_back_off(
    office: Office,
) -> None:
    office.goes_away(office.ann)
    office.fails(office.ann_too)
    office.fails(office.eve)
    office.clock.advance(60)
    office.breaker.worked(office.ann)
    assert office.due(office.ann_too) == office.clock() + SPREAD
    assert office.due(office.eve) == office.clock() + HOUR - timedelta(minutes=1)


def test_events_that_were_put_off_meanwhile_go_with_them(office: Office, store: Store) -> None:
    office.goes_away(office.ann)
    unit = Unit(id="u", link_id=office.ann_too.id, state=UnitState.PARKED, attempts=9)
    with store.begin() as tx:
        tx.put_units([replace(unit, retry_at=office.clock() + 6 * HOUR)])
        tx.put_units([replace(unit, id="refused", retry_at=None)])
    office.breaker.worked(office.ann)
    assert [each.id for each in store.due_retries(office.ann_too.id, office.clock())] == ["u"]
    assert office.due(office.ann_too) <= office.clock() + SPREAD


def test_the_other_accounts_of_a_provider_look_as_soon_as_one_is_back(office: Office) -> None:
    office.goes_away(office.ann)
    office.goes_away(office.bob)
    office.breaker.worked(office.ann)
    assert office.due(office.bob) == office.clock() + SPREAD
    assert office.breaker.admit(office.bob) is None


def test_one_that_stays_away_is_not_asked_by_everyone_who_is_back(office: Office) -> None:
    office.goes_away(office.ann)
    office.goes_away(office.bob)
    office.breaker.worked(office.ann)
    office.fails(office.bob)
    office.goes_away(office.ann)
    office.breaker.worked(office.ann)
    assert office.breaker.admit(office.bob) is not None
    office.clock.advance(ONCE.total_seconds())
    office.goes_away(office.ann)
    office.fails(office.bob)
    office.breaker.worked(office.ann)
    assert office.breaker.admit(office.bob) is None


def test_to_ask_for_patience_is_no_sign_that_an_account_is_back(office: Office) -> None:
    for _time in range(THRESHOLD - 1):
        office.fails(office.ann)
        office.breaker.slowed(office.ann)
    office.fails(office.ann)
    rest = office.breaker.admit(office.ann)
    assert rest is not None
    office.clock.time = rest
    assert office.breaker.admit(office.ann) is None
    office.breaker.slowed(office.ann)
    assert office.breaker.admit(office.ann_too) is None, "the next one may try"


def test_a_link_knows_since_when_it_had_no_good_run(office: Office, store: Store) -> None:
    assert store.silent_since(office.ann.id) is None
    begun = office.clock()
    for outcome in ("busy", *["ok"] * 2, *["busy"] * 50):
        with store.begin() as tx:
            run = tx.start_run(office.ann.id, RunKind.SYNC, office.clock())
            tx.finish_run(run.id, office.clock(), outcome)
        office.clock.advance(60)
    assert store.silent_since(office.ann.id) == begun + timedelta(minutes=2)
