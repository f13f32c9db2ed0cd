"""The complaint: "somebody emptied the other calendar, and the bridge emptied mine"."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge.records import LinkState

GUARD = {"delete_guard": {"count": 3, "share": 0.2}}


@pytest.mark.parametrize("target", ["google", "exchange"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("side", ["hub", "other"])
def test_a_mass_deletion_is_held_until_a_person_says_so(
    live: Callable[..., Any], target: str, full: bool, side: str
) -> None:
    neighbours = live(target, **GUARD)
    for number in range(10):
        neighbours.put("hub" if number % 2 else "other", f"Event {number}")
    neighbours.sync()
    neighbours.sync()
    client = neighbours.sides[side]
    mine = neighbours.sides["other" if side == "hub" else "hub"]
    for line in client.lines()[:8]:
        client.remove(line.id)

    assert neighbours.sync(full=full) == 0
    (link,) = neighbours.teller.store.links()
    assert link.state is LinkState.HELD
    assert "delete guard" in link.reason
    assert len(mine.lines()) == 10

    neighbours.sync()  # approved
    assert len(mine.lines()) == len(client.lines()) == 2
    neighbours.settled()


@pytest.mark.parametrize("target", ["google", "exchange"])
@pytest.mark.parametrize("kind", ["short listing", "empty listing"])
def test_a_listing_that_lies_deletes_nothing(
    live: Callable[..., Any], target: str, kind: str
) -> None:
    neighbours = live(target, **GUARD)
    for number in range(10):
        neighbours.put("hub" if number % 2 else "other", f"Event {number}")
    neighbours.sync()
    for place in ("feishu", target):
        neighbours.town.storm(place, kind, 0)
        neighbours.sync(full=True)
        neighbours.town.clear()
        assert len(neighbours.hub.lines()) == len(neighbours.other.lines()) == 10
    neighbours.sync(full=True)
    neighbours.settled()
