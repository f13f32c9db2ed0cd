"""One account never takes all workers, however many of its links wait."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from bridge.records import Endpoint, Link
from bridge.store import Store

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LEASE = 30.0


def add(store: Store, account: str, number: int, *, since: float) -> int:
    """A link of an account, due for so many seconds."""
    ends = [
        Endpoint(connector=name, account=f"{who}", calendar=f"{number}")
        for name, who in (("hub", account), ("other", f"{account}-{number}"))
    ]
    with store.begin() as tx:
        name = f"{account}-{number}"
        link = tx.put_link(Link(id=0, uid=name, name=name, user=account, a=ends[0], b=ends[1]))
        tx.hint([link.id], NOW - timedelta(seconds=since))
    return link.id


def claimed(store: Store, owner: str, n: int, at: datetime = NOW) -> list[int]:
    with store.begin() as tx:
        return [claim.link_id for claim in tx.claim(owner, n, at, LEASE, per_account=2)]


def test_links_of_others_go_before_a_third_one_of_the_same_account(
    store: Store, open_again: Callable[[], Store]
) -> None:
    many = [add(store, "ann", number, since=100 - number) for number in range(30)]
    bob = add(store, "bob", 0, since=2)
    eve = add(store, "eve", 0, since=1)
    assert claimed(store, "one", 3) == [*many[:2], bob]
    assert claimed(open_again(), "two", 8) == [eve]
    with store.begin() as tx:
        assert tx.finish(many[0], "one", 1, None)
    assert claimed(store, "three", 8) == [many[2]]
    assert claimed(store, "four", 8) == []


def test_the_leases_of_the_dead_hold_no_places(store: Store) -> None:
    many = [add(store, "ann", number, since=100 - number) for number in range(4)]
    assert claimed(store, "one", 8) == many[:2]
    late = NOW + timedelta(seconds=LEASE + 1)
    assert claimed(store, "two", 8, late) == many[2:]


@pytest.mark.parametrize("n", [1, 5])
def test_whoever_waits_longest_comes_first(store: Store, n: int) -> None:
    young = add(store, "ann", 0, since=1)
    old = add(store, "bob", 0, since=9)
    assert claimed(store, "one", n) == [old, young][:n]
